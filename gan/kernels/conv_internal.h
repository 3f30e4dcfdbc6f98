/* What conv.c and conv_simd.c share. All faces of a convolution become products of a matrix A that is never
 * built with a matrix B: an element of A is found by adding an offset of its row to an offset of its column,
 * since the numbers under a window are the same distances apart wherever the window stands. */
#ifndef BROOD_KERNELS_CONV_INTERNAL_H
#define BROOD_KERNELS_CONV_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/real.h"

static inline size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* A ConvShape, with what follows from it. */
typedef struct {
    size_t batch;
    size_t x_height, x_width, x_channels;
    size_t y_height, y_width, y_channels;
    size_t kernel_height, kernel_width;
    size_t stride, pad;
    size_t x_image, y_image; /* numbers in an image */
    size_t pixels;           /* of y in an image */
    size_t window;           /* numbers of x under a window: kernel_height · kernel_width · x_channels */
} ConvSizes;

/* C[r][n] = sum over k < depth of A[r][k] · B[k][n], for r < rows and n < columns. Offsets count numbers. */
typedef struct {
    size_t rows, depth, columns;
    const real *a;         /* A[r][k] = a[a_row[r] + a_depth[k]] */
    const size_t *a_row;   /* (rows) */
    const size_t *a_depth; /* (depth) */
    const real *b;
    bool packed; /* b was made by `pack`; else it is (depth, columns) and columns a multiple of `lanes` */
    bool add;    /* to what C holds */
    real *c;     /* C[r][n] = c[c_row[r] + n] */
    const size_t *c_row; /* (rows) */
} ConvProduct;

/* A matrix (depth, columns): element (k, n) is source[k · row_step + n · column_step]. */
typedef struct {
    const real *source;
    size_t depth, columns, row_step, column_step;
} ConvMatrix;

/* The sum of overlapping windows (known as col2im) of one image. Pixel (i, j) of y has `window` numbers,
 * shaped (kernel_height, kernel_width, x_channels), to add to x. They are in slot gap + i · (y_width + gap) +
 * j of `windows`. All other slots hold zeros. */
typedef struct {
    const ConvSizes *sizes;
    size_t gap;           /* kernel_width / stride, rounded up: slots between the rows of y */
    size_t slot;          /* numbers in a slot, at least a window's */
    const real *windows;  /* (gap + y_height · (y_width + gap), slot), and REAL_LANES numbers to read past */
    const real **sources; /* room for (kernel_height / stride + 1) · gap pointers */
    real *row;            /* room for (x_width + pad + stride) · x_channels + REAL_LANES numbers */
    real *x;              /* (x_height, x_width, x_channels) */
} ConvFold;

typedef struct {
    size_t lanes; /* numbers in a vector: a divisor of REAL_LANES */
    size_t panel; /* columns that a product works on at a time */
    void (*multiply)(const ConvProduct *product);
    /* Packs `matrix` as rows first .. first + matrix->depth - 1 of a B that has `depth` rows. Packed are
     * panels of columns one after the other, each (depth, its columns), the last one rounded up to whole
     * vectors. */
    void (*pack)(const ConvMatrix *matrix, size_t first, size_t depth, real *packed);
    void (*fold)(const ConvFold *fold);
} ConvKernels;

#endif
