/* Feature rows for the tests of metrics, made by formulas that oracle.py repeats bit for bit: only exact
 * integer steps and single additions and multiplications. */
#ifndef BROOD_TESTS_METRICS_ROWS_H
#define BROOD_TESTS_METRICS_ROWS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum {
    ROWS_PLAIN,            /* every column on its own */
    ROWS_REPEATED_COLUMNS, /* column j is that of j mod 3: the rank is 3 */
    ROWS_CONSTANT_COLUMNS, /* odd columns are the same in all rows, as dead units are */
    ROWS_CONSTANT,         /* all rows are the first one */
    ROWS_FADING, /* column j is divided by 2^j: full rank, but the last variances are next to nothing */
    ROWS_GRID    /* twice the number, rounded down: integers, with many equal rows and distances */
} RowsKind;

/* Knuth's 64-bit linear congruential generator; the upper 53 bits as a number in [0, 1). */
static inline double rows_uniform(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

/* Nearly normal: the sum of four uniforms about 0. Variance 1/3. */
static inline double rows_bell(uint64_t *state) {
    double sum = rows_uniform(state);
    sum += rows_uniform(state);
    sum += rows_uniform(state);
    sum += rows_uniform(state);
    return sum - 2;
}

/* Row-major; column j has the scale `scale` (1 + j / columns) and the mean `shift`. */
static inline void rows_fill(double *out, size_t rows, size_t columns, uint64_t seed, double scale,
                             double shift) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            double stretched = scale * (1 + (double)j / (double)columns);
            out[i * columns + j] = stretched * rows_bell(&seed) + shift;
        }
}

/* Makes filled rows into those of a kind. */
static inline void rows_shape(double *rows, size_t count, size_t columns, RowsKind kind) {
    for (size_t i = 0; i < count; i++) {
        double *row = rows + i * columns;
        for (size_t j = 3; kind == ROWS_REPEATED_COLUMNS && j < columns; j++) row[j] = row[j % 3];
        for (size_t j = 1; kind == ROWS_CONSTANT_COLUMNS && j < columns; j += 2) row[j] = 0.5;
        if (kind == ROWS_CONSTANT && i > 0) memcpy(row, rows, columns * sizeof *row);
        for (size_t j = 0; kind == ROWS_FADING && j < columns; j++) row[j] = ldexp(row[j], -(int)j);
        for (size_t j = 0; kind == ROWS_GRID && j < columns; j++) row[j] = floor(2 * row[j]);
    }
}

#endif
