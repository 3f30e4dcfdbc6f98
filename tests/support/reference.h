/* Plain evaluations of the ops, in double: short loops written from the formulas in gan/graph/op.h and
 * graph.h. They share nothing with the engine. Each sets the shape of `y` by itself. */
#ifndef BROOD_TESTS_REFERENCE_H
#define BROOD_TESTS_REFERENCE_H

#include "gan/graph/shape.h"

enum { TENSOR_ROOM = 4096 };
typedef struct {
    Shape shape;
    double data[TENSOR_ROOM];
} Tensor;

int64_t tensor_count(const Tensor *tensor);

double reference_identity(double a);
double reference_square(double a);
double reference_negate(double a);
double reference_sigmoid(double a);
double reference_softplus(double a);
double reference_step(double a);
double reference_relu(double a);
double reference_plus(double a, double b);
double reference_minus(double a, double b);
double reference_times(double a, double b);
double reference_over(double a, double b);

void reference_unary(Tensor *y, const Tensor *a, double (*f)(double));
/* Equal shapes, or either one a scalar. */
void reference_binary(Tensor *y, const Tensor *a, const Tensor *b, double (*f)(double, double));
/* Folds the axes in the bit set from `start`; they stay, with size 1. */
void reference_fold(Tensor *y, const Tensor *a, unsigned axes, double start, double (*f)(double, double));
void reference_fold_all(Tensor *y, const Tensor *a, double start, double (*f)(double, double));
void reference_scale(Tensor *y, double factor); /* in place */
void reference_expand(Tensor *y, const Tensor *a, Shape shape);
void reference_reshape(Tensor *y, const Tensor *a, Shape shape);
void reference_permute(Tensor *y, const Tensor *a, const int *order);
void reference_slice(Tensor *y, const Tensor *a, const int64_t *first, const int64_t *count);
void reference_pad(Tensor *y, const Tensor *a, const int64_t *before, const int64_t *after);
void reference_concat(Tensor *y, const Tensor *const *parts, size_t count, int axis);
void reference_upsample(Tensor *y, const Tensor *a, int64_t factor);
void reference_poolsum(Tensor *y, const Tensor *a, int64_t factor);
void reference_gather(Tensor *y, const Tensor *table, const Tensor *index);
void reference_scatter(Tensor *y, const Tensor *values, const Tensor *index, int64_t rows);
void reference_matmul(Tensor *y, const Tensor *a, const Tensor *b, bool transpose_a, bool transpose_b);

/* The three faces of T(x, w, y): each fills the tensor it is named after, of the shape given. */
void reference_conv_y(Tensor *y, const Tensor *x, const Tensor *w, int64_t stride, int64_t pad);
void reference_conv_x(Tensor *x, const Tensor *y, const Tensor *w, int64_t stride, int64_t pad, Shape shape);
void reference_conv_w(Tensor *w, const Tensor *x, const Tensor *y, int64_t stride, int64_t pad, Shape shape);

#endif
