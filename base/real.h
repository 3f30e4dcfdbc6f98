/* The number type of the engine: float, or double in the build that the gradient tests use (REAL=double). */
#ifndef BROOD_BASE_REAL_H
#define BROOD_BASE_REAL_H

#ifdef BROOD_DOUBLE
typedef double real;
#define REAL_NAME "double"
#else
typedef float real;
#define REAL_NAME "float"
#endif

/* Tensors start at multiples of this many bytes. */
enum { REAL_ALIGNMENT = 64, REAL_LANES = REAL_ALIGNMENT / sizeof(real) };

#endif
