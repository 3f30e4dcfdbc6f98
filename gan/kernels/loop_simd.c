/* The loops behind loop.h, compiled once for each instruction set. */
#include <math.h>

#include "base/isa.h"
#include "base/vector.h"
#include "gan/kernels/loop.h"

#ifdef BROOD_DOUBLE
#define SQRT(x) sqrt(x)
#define REAL(x) x
#else
#define SQRT(x) sqrtf(x)
#define REAL(x) x##f
#endif

/* A result is written over an argument only at the same index: no iteration depends on another. */
#define LOOP(name, expression)                                                                               \
    static void name(size_t n, real *y, const real *a, const real *b, const real *c, real s, real t) {       \
        (void)a, (void)b, (void)c, (void)s, (void)t;                                                         \
        _Pragma("GCC ivdep") for (size_t i = 0; i < n; i++) y[i] = (expression);                             \
    }

LOOP(loop_copy, a[i])
LOOP(loop_fill, s)
LOOP(loop_add, a[i] + b[i])
LOOP(loop_sub, a[i] - b[i])
LOOP(loop_offset, a[i] + s)
LOOP(loop_mul, a[i] * b[i])
LOOP(loop_scale, a[i] * s)
LOOP(loop_affine, a[i] * s + t)
LOOP(loop_mul_add, a[i] * b[i] + c[i])
LOOP(loop_scale_add, a[i] * s + b[i])
LOOP(loop_square, a[i] * a[i])
LOOP(loop_sqrt, SQRT(a[i]))
LOOP(loop_reciprocal, REAL(1.0) / a[i])
LOOP(loop_rsqrt, REAL(1.0) / SQRT(a[i]))
/* A NaN is not equal to itself. */
#define SELECT(a, s, t) ((a) == (a) ? ((a) > 0 ? (s) : (t)) : (a))
LOOP(loop_select, SELECT(a[i], s, t))
LOOP(loop_leaky, a[i] * (a[i] > 0 ? s : t))
LOOP(loop_mask, b[i] * SELECT(a[i], s, t))

/* ---- with SLEEF ---------------------------------------------------------------------------------------- */

static inline Vector all(real number) {
    return number - (Vector){0};
}

static inline Vector vector_exp(Vector a) {
    return VECTOR_SLEEF(exp, u10)(a);
}

static inline Vector vector_log(Vector a) {
    return VECTOR_SLEEF(log, u10)(a);
}

static inline Vector vector_tanh(Vector a) {
    return VECTOR_SLEEF(tanh, u35)(a);
}

static inline Vector vector_sigmoid(Vector a) {
    return 1 / (1 + vector_exp(-a));
}

/* max(a, 0) + log(1 + exp(−|a|)) never overflows. C has no ?: on vectors, hence the masks; a NaN goes to
 * `below`. */
static inline Vector vector_softplus(Vector a) {
    __typeof__(a > a) positive = a > all(0), bits = (__typeof__(positive))a;
    Vector above = (Vector)(positive & bits), below = (Vector)(~positive & bits);
    return above + VECTOR_SLEEF(log1p, u10)(vector_exp(below - above));
}

#define VECTOR_LOOP(name, function)                                                                          \
    static void name(size_t n, real *y, const real *a, const real *b, const real *c, real s, real t) {       \
        (void)b, (void)c, (void)s, (void)t;                                                                  \
        vector_map(n, y, a, function);                                                                       \
    }

VECTOR_LOOP(loop_exp, vector_exp)
VECTOR_LOOP(loop_log, vector_log)
VECTOR_LOOP(loop_tanh, vector_tanh)
VECTOR_LOOP(loop_sigmoid, vector_sigmoid)
VECTOR_LOOP(loop_softplus, vector_softplus)

static void loop_pow(size_t n, real *y, const real *a, const real *b, const real *c, real s, real t) {
    (void)b, (void)c, (void)t;
    Vector exponent = all(s);
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES)
        *(Vector *)(y + i) = VECTOR_SLEEF(pow, u10)(*(const Vector *)(a + i), exponent);
    union {
        Vector vector;
        real number[VECTOR_BYTES / sizeof(real)];
    } rest = {.number = {0}};
    if (i == n) return;
    for (size_t j = 0; i + j < n; j++) rest.number[j] = a[i + j];
    rest.vector = VECTOR_SLEEF(pow, u10)(rest.vector, exponent);
    for (size_t j = 0; i + j < n; j++) y[i + j] = rest.number[j];
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

static void loop_accumulate(size_t n, real *sum, const real *a) {
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++) sum[i] += a[i];
}

/* Four vectors of partial sums hide the latency of an addition. */
static double loop_sum(size_t n, const real *a) {
    enum { PARTS = 4 };
    union {
        Vector vector[PARTS];
        real number[PARTS * VECTOR_BYTES / sizeof(real)];
    } part = {.number = {0}};
    size_t i = 0;
    for (; i + PARTS * VECTOR_LANES <= n; i += PARTS * VECTOR_LANES)
        for (size_t j = 0; j < PARTS; j++) part.vector[j] += *(const Vector *)(a + i + j * VECTOR_LANES);
    double sum = 0;
    for (; i < n; i++) sum += (double)a[i];
    for (size_t j = 0; j < PARTS * VECTOR_LANES; j++) sum += (double)part.number[j];
    return sum;
}

extern const LoopKernels ISA(loop_kernels);
const LoopKernels ISA(loop_kernels) = {
    .op =
        {
            [LOOP_COPY] = loop_copy,
            [LOOP_FILL] = loop_fill,
            [LOOP_ADD] = loop_add,
            [LOOP_SUB] = loop_sub,
            [LOOP_OFFSET] = loop_offset,
            [LOOP_MUL] = loop_mul,
            [LOOP_SCALE] = loop_scale,
            [LOOP_AFFINE] = loop_affine,
            [LOOP_MUL_ADD] = loop_mul_add,
            [LOOP_SCALE_ADD] = loop_scale_add,
            [LOOP_SQUARE] = loop_square,
            [LOOP_SQRT] = loop_sqrt,
            [LOOP_RECIPROCAL] = loop_reciprocal,
            [LOOP_RSQRT] = loop_rsqrt,
            [LOOP_POW] = loop_pow,
            [LOOP_EXP] = loop_exp,
            [LOOP_LOG] = loop_log,
            [LOOP_TANH] = loop_tanh,
            [LOOP_SIGMOID] = loop_sigmoid,
            [LOOP_SOFTPLUS] = loop_softplus,
            [LOOP_SELECT] = loop_select,
            [LOOP_LEAKY] = loop_leaky,
            [LOOP_MASK] = loop_mask,
        },
    .accumulate = loop_accumulate,
    .sum = loop_sum,
};
