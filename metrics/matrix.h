/* A table of numbers that somebody else owns, and the checks that every metric makes before it starts. */
#ifndef BROOD_METRICS_MATRIX_H
#define BROOD_METRICS_MATRIX_H

#include <stddef.h>

#include "base/error.h"

typedef struct {
    const double *data; /* rows × columns, row after row */
    size_t rows, columns;
} Matrix;

/* Refuses a matrix without columns, and one that holds a NaN or an infinity: the message says the matrix's
 * name, and row and column counted from 1. `first_row` is added to the row, for a chunk of a longer stream.
 */
Status matrix_check_values(Matrix matrix, const char *name, size_t first_row, Error *error);

/* The same, and refuses fewer than two rows. */
Status matrix_check(Matrix matrix, const char *name, Error *error);

/* matrix_check of both; and refuses features of different widths, saying both. */
Status matrix_check_pair(Matrix a, const char *a_name, Matrix b, const char *b_name, Error *error);

/* A copy of float rows as doubles, freed by memory_free. */
Status matrix_widen(const float *rows, size_t count, size_t columns, double **out, Error *error);

/* Sorts `count` finite numbers, least first. */
void matrix_sort(double *values, size_t count);

/* The value below which `share` (0 .. 1) of `count` (at least one) sorted numbers lie, by linear
 * interpolation between the two around position share · (count − 1), as NumPy's default does. */
double matrix_quantile(const double *sorted, size_t count, double share);

#endif
