/* What conv.c and conv_simd.c share. All faces of a convolution become products of a matrix A that is never
 * built with a packed matrix B: an element of A is found by adding an offset of its row to an offset of its
 * column, since the patch under a window is the same set of distances from wherever the window stands. */
#ifndef BROOD_KERNELS_CONV_INTERNAL_H
#define BROOD_KERNELS_CONV_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

/* C[r][n] = sum over k < depth of A[r][k] · B[k][n], r < rows, n < columns. Offsets count numbers. */
typedef struct {
    size_t rows, depth, columns;
    const real *a;         /* A[r][k] = a[a_row[r] + a_depth[k]] */
    const size_t *a_row;   /* (rows) */
    const size_t *a_depth; /* (depth) */
    const real *b;         /* packed: conv_kernels' pack and packed say how */
    real *c;               /* C[r][n] = c[c_row[r] + n] */
    const size_t *c_row;   /* (rows) */
    bool packed;           /* else b is (depth, columns), columns a multiple of `lanes` */
    bool add;              /* to what C holds */
} ConvProduct;

/* A matrix (depth, columns) of which element (k, n) is at source[k · row_step + n · column_step]; one of the
 * steps is 1. */
typedef struct {
    const real *source;
    size_t depth, columns, row_step, column_step;
} ConvMatrix;

/* The sum of overlapping windows (col2im) for one image of x. `windows` holds for each pixel of y the
 * (kernel_height, kernel_width, channels) numbers that it adds to x; pixel (i, j) is slot
 * gap + i · (y_width + gap) + j, and all other slots are zero. gap = kernel_width / stride, rounded up. */
typedef struct {
    size_t x_height, x_width, channels;
    size_t y_height, y_width;
    size_t kernel_height, kernel_width, stride, pad, gap;
    const real *windows;
    const real **sources; /* room for (kernel_height / stride + 1) · gap of them */
    real *row; /* room for (x_width + pad + stride) · channels + REAL_LANES numbers */
    real *x;         /* (x_height, x_width, channels) */
} ConvFold;

typedef struct {
    /* Columns are rounded up to a multiple of `lanes`, and packed in panels of `panel` of them (the last one
     * may be narrower), one after the other, each (depth, its columns). */
    size_t lanes, panel;
    void (*multiply)(const ConvProduct *product);
    /* Packs rows first .. first + matrix->depth - 1 of a B that has `depth` rows. */
    void (*pack)(const ConvMatrix *matrix, size_t first, size_t depth, real *packed);
    void (*fold)(const ConvFold *fold);
    void (*copy)(size_t count, const real *from, real *to);
} ConvKernels;

#endif
