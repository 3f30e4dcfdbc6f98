/* Vector kernels of the optimizers: one pass each, every operation rounded alike at every level. */
#include "gan/optimizer_internal.h"

#include <tgmath.h> /* the square root of a float is a float */

/* Squares are added up in double, where those of floats neither overflow nor vanish, in a fixed number of
 * lanes, so that the order of additions is the same at every level. */
enum { LANES = 32 };

static double sum_of_squares(const real *g, size_t count) {
    double lane[LANES] = {0}, sum = 0;
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += (double)g[i + j] * (double)g[i + j];
    for (size_t i = whole; i < count; i++) lane[i - whole] += (double)g[i] * (double)g[i];
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

static void sgd(const OptimizerNumbers *numbers, size_t count, real *restrict p, const real *restrict g,
                real *restrict m, real *v) {
    (void)v;
    const OptimizerNumbers n = *numbers;
    for (size_t i = 0; i < count; i++) {
        m[i] = n.momentum * m[i] + n.scale * g[i];
        p[i] = n.keep * p[i] - n.rate * m[i];
    }
}

static void nesterov(const OptimizerNumbers *numbers, size_t count, real *restrict p, const real *restrict g,
                     real *restrict m, real *v) {
    (void)v;
    const OptimizerNumbers n = *numbers;
    for (size_t i = 0; i < count; i++) {
        real gradient = n.scale * g[i];
        m[i] = n.momentum * m[i] + gradient;
        p[i] = n.keep * p[i] - n.rate * (gradient + n.momentum * m[i]);
    }
}

static void adam(const OptimizerNumbers *numbers, size_t count, real *restrict p, const real *restrict g,
                 real *restrict m, real *restrict v) {
    const OptimizerNumbers n = *numbers;
    for (size_t i = 0; i < count; i++) {
        real gradient = n.scale * g[i];
        m[i] = n.beta1 * m[i] + n.new1 * gradient;
        v[i] = n.beta2 * v[i] + n.new2 * gradient * gradient;
        p[i] = n.keep * p[i] - n.rate * (m[i] / (n.root * sqrt(v[i]) + n.epsilon));
    }
}

static void rmsprop(const OptimizerNumbers *numbers, size_t count, real *restrict p, const real *restrict g,
                    real *restrict m, real *restrict v) {
    const OptimizerNumbers n = *numbers;
    for (size_t i = 0; i < count; i++) {
        real gradient = n.scale * g[i];
        v[i] = n.beta2 * v[i] + n.new2 * gradient * gradient;
        m[i] = n.momentum * m[i] + gradient / (sqrt(v[i]) + n.epsilon);
        p[i] = n.keep * p[i] - n.rate * m[i];
    }
}

const OptimizerKernels ISA(optimizer_kernels) = {
    .sum_of_squares = sum_of_squares, .sgd = sgd, .nesterov = nesterov, .adam = adam, .rmsprop = rmsprop};
