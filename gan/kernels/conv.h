/* Convolution, as three faces of one trilinear form T(x, w, y) = <conv(x, w), y>. Each face computes the
 * gradient of T with respect to one of the three tensors from the other two:
 *
 *     conv_y   y[b,i,j,cy] = sum over di, dj, cx of x[b, i·s + di − p, j·s + dj − p, cx] · w[di,dj,cx,cy],
 *              where s is the stride and p the pad
 *     conv_x   the adjoint in x: the transposed convolution, the gradient with respect to the input
 *     conv_w   the adjoint in w: the gradient with respect to the weights
 *
 * Layouts: x (batch, x_height, x_width, x_channels), y (batch, y_height, y_width, y_channels),
 * w (kernel_height, kernel_width, x_channels, y_channels). Pixels of x that no window covers get zero in
 * conv_x. Results overwrite. Nothing is allocated; `scratch` holds conv_scratch() numbers, aligned to
 * REAL_ALIGNMENT, of any content before and after, apart from the tensors.
 *
 * The same arguments give the same bits at one instruction set level; levels differ by rounding. A NaN or an
 * infinity reaches all that it touches. Padding is summed as zeros: where it meets an infinity or a NaN of
 * the other factor (of w in conv_y and conv_x, of y in conv_w), the sum is NaN. */
#ifndef BROOD_KERNELS_CONV_H
#define BROOD_KERNELS_CONV_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"

typedef struct {
    int64_t batch;
    int64_t x_height, x_width, x_channels;
    int64_t y_height, y_width, y_channels; /* y_height = (x_height + 2·pad − kernel_height) / stride + 1 */
    int64_t kernel_height, kernel_width;
    int64_t stride, pad;
} ConvShape;

typedef enum { CONV_FACE_Y, CONV_FACE_X, CONV_FACE_W } ConvFace;

/* Numbers of scratch that a face needs. */
size_t conv_scratch(const ConvShape *shape, ConvFace face);

void conv_y(const ConvShape *shape, const real *x, const real *w, real *y, real *scratch);
void conv_x(const ConvShape *shape, const real *y, const real *w, real *x, real *scratch);
void conv_w(const ConvShape *shape, const real *x, const real *y, real *w, real *scratch);

#endif
