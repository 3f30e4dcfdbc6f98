/* Squared distances between rows, block by block. Private to this folder.
 *
 * A distance is the sum of squared differences itself. The way over a matrix product, |x|² + |y|² − 2 x·y,
 * would be little faster and cancels: equal rows would not get 0, equal distances would not compare equal,
 * and an offset would eat the digits, while precision and recall hang on ties. The sum always runs over eight
 * lanes in the same order, whatever the instruction set and wherever the pair stands in a block, so every
 * pair of rows has one distance, bit for bit. */
#ifndef BROOD_METRICS_DISTANCES_H
#define BROOD_METRICS_DISTANCES_H

#include "metrics/matrix.h"

enum { DISTANCES_LANES = 8, DISTANCES_DOWN = 32, DISTANCES_ACROSS = 128 };

/* A copy of a matrix whose rows are padded with zeros to a multiple of DISTANCES_LANES numbers. */
typedef struct {
    double *data;
    size_t rows, stride;
} DistanceRows;

Status distances_rows(Matrix matrix, DistanceRows *out, Error *error);
void distances_rows_free(DistanceRows *rows);

/* The squared distances of a block of pairs: of rows x_first and the next DISTANCES_DOWN (fewer at the end)
 * from rows y_first and the next DISTANCES_ACROSS. The distance of x row x_first + i and y row y_first + j is
 * squared[i][j]. Strides must be equal. */
typedef struct {
    size_t down, across; /* what the block holds */
    double squared[DISTANCES_DOWN][DISTANCES_ACROSS];
} DistanceBlock;

void distances_block(const DistanceRows *x, size_t x_first, const DistanceRows *y, size_t y_first,
                     DistanceBlock *out);

/* The loop, compiled for each instruction set. x: down rows, y: across rows, both of `stride` numbers. */
typedef struct {
    void (*squared)(const double *x, size_t down, const double *y, size_t across, size_t stride,
                    double (*out)[DISTANCES_ACROSS]);
} DistanceKernels;

#endif
