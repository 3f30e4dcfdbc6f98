/* What gan/optimizer.c and its vector kernels share. */
#ifndef BROOD_GAN_OPTIMIZER_INTERNAL_H
#define BROOD_GAN_OPTIMIZER_INTERNAL_H

#include <stddef.h>

#include "base/isa.h"
#include "base/real.h"

/* The numbers of one step, the same for every parameter: computed once, in double. */
typedef struct {
    real scale;       /* of the gradient: below 1 when it is clipped */
    real keep;        /* 1 − lr·weight_decay */
    real rate;        /* lr; Adam: lr / (1 − beta1^step) */
    real momentum;    /* SGD, RMSProp */
    real beta1, new1; /* Adam: beta1 and 1 − beta1 */
    real beta2, new2; /* Adam: beta2 and 1 − beta2; RMSProp: decay and 1 − decay */
    real root, epsilon; /* the denominator is root·sqrt(v) + epsilon; Adam: root = 1 / sqrt(1 − beta2^step) */
} OptimizerNumbers;

/* Updates p and the moments; kinds without v leave it alone. */
typedef void OptimizerUpdate(const OptimizerNumbers *numbers, size_t count, real *p, const real *g, real *m,
                             real *v);

typedef struct {
    double (*sum_of_squares)(const real *g, size_t count);
    OptimizerUpdate *sgd, *nesterov, *adam, *rmsprop;
} OptimizerKernels;

ISA_DECLARE(OptimizerKernels, optimizer_kernels);

#endif
