/* Elementwise loops over a stretch of numbers: the instructions that fused kernels are made of. A result may
 * be written over any of its arguments (same index). NaN passes through all of them. */
#ifndef BROOD_KERNELS_LOOP_H
#define BROOD_KERNELS_LOOP_H

#include <stddef.h>

#include "base/real.h"

/* clang-format off */
#define LOOP_TABLE(X) \
    /* name       formula; s and t are plain numbers */ \
    X(COPY,       "y = a") \
    X(FILL,       "y = s") \
    X(ADD,        "y = a + b") \
    X(SUB,        "y = a - b") \
    X(OFFSET,     "y = a + s") \
    X(MUL,        "y = a b") \
    X(SCALE,      "y = a s") \
    X(AFFINE,     "y = a s + t") \
    X(MUL_ADD,    "y = a b + c") \
    X(SCALE_ADD,  "y = a s + b") \
    X(SQUARE,     "y = a a") \
    X(SQRT,       "y = sqrt(a)") \
    X(RECIPROCAL, "y = 1 / a") \
    X(RSQRT,      "y = 1 / sqrt(a)") \
    X(POW,        "y = a^s") \
    X(EXP,        "y = exp(a)") \
    X(LOG,        "y = log(a)") \
    X(TANH,       "y = tanh(a)") \
    X(SIGMOID,    "y = 1 / (1 + exp(-a))") \
    X(SOFTPLUS,   "y = log(1 + exp(a))") \
    X(SELECT,     "y = a > 0 ? s : t") \
    X(LEAKY,      "y = a (a > 0 ? s : t)") \
    X(MASK,       "y = b (a > 0 ? s : t)")
/* clang-format on */

typedef enum {
#define X(name, formula) LOOP_##name,
    LOOP_TABLE(X)
#undef X
        LOOP_OPS
} LoopOp;

typedef void LoopFunction(size_t n, real *y, const real *a, const real *b, const real *c, real s, real t);

typedef struct {
    LoopFunction *op[LOOP_OPS];
    void (*accumulate)(size_t n, real *sum, const real *a); /* sum[i] += a[i] */
    double (*sum)(size_t n, const real *a);                 /* of a[i], in several partial sums */
} LoopKernels;

/* The loops for this machine. */
const LoopKernels *loop_kernels(void);

#endif
