/* One vector of numbers at the instruction set level that is being compiled, and SLEEF's functions on it.
 * Only for *_simd.c files. */
#ifndef BROOD_BASE_VECTOR_H
#define BROOD_BASE_VECTOR_H

#include <sleef.h>
#include <stddef.h>

#include "base/real.h"

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define VECTOR_LANES ((size_t)VECTOR_BYTES / sizeof(real))

/* Loads and stores through this type need no alignment beyond a number's own. */
typedef real Vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/* VECTOR_SLEEF(exp, u10) is SLEEF's exp for a Vector, within 1.0 units in the last place. */
#define VECTOR_JOIN(name, lanes, accuracy, suffix) Sleef_##name##lanes##_##accuracy##suffix
#if defined(__AVX512F__) && defined(BROOD_DOUBLE)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, d8, accuracy, avx512f)
#elif defined(__AVX512F__)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, f16, accuracy, avx512f)
#elif defined(__AVX2__) && defined(BROOD_DOUBLE)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, d4, accuracy, avx2)
#elif defined(__AVX2__)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, f8, accuracy, avx2)
#elif defined(__SSE2__) && defined(BROOD_DOUBLE)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, d2, accuracy, sse2)
#elif defined(__SSE2__)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, f4, accuracy, sse2)
#elif defined(__aarch64__) && defined(BROOD_DOUBLE)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, d2, accuracy, advsimd)
#elif defined(__aarch64__)
#define VECTOR_SLEEF(name, accuracy) VECTOR_JOIN(name, f4, accuracy, advsimd)
#else
#error "no SLEEF vector functions are known for this architecture: add a line to base/vector.h"
#endif

/* Eight, sixteen, … numbers a step; the rest goes through a padded copy, so that a number's result does not
 * depend on where in the stretch it stands. */
static inline void vector_map(size_t n, real *y, const real *a, Vector (*f)(Vector)) {
    size_t i = 0;
    for (; i + VECTOR_LANES <= n; i += VECTOR_LANES) *(Vector *)(y + i) = f(*(const Vector *)(a + i));
    if (i == n) return;
    union {
        Vector vector;
        real number[VECTOR_BYTES / sizeof(real)];
    } rest = {.number = {0}};
    for (size_t j = 0; i + j < n; j++) rest.number[j] = a[i + j];
    rest.vector = f(rest.vector);
    for (size_t j = 0; i + j < n; j++) y[i + j] = rest.number[j];
}

#endif
