#include "gan/kernels/conv.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>

#include "base/isa.h"
#include "gan/kernels/conv_internal.h"

ISA_DECLARE(ConvKernels, conv_kernels);

#ifdef BROOD_DOUBLE
#define gemm cblas_dgemm
#else
#define gemm cblas_sgemm
#endif

enum {
#ifndef CHUNK_NUMBERS
    CHUNK_NUMBERS = 1 << 18, /* images are worked on in chunks of about this size, which stay in the L2 cache */
#endif
#ifndef FOLD
#define FOLD 8
#endif
    FOLD_CHANNELS = FOLD        /* below so many channels, conv_x adds up windows */
};

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* ---- scratch ---------------------------------------------------------------------------------------------- */

/* Hands out aligned parts of the scratch one after the other; with no base it only counts. Parts that hold
 * something else than numbers are never read as numbers. */
typedef struct {
    real *base;
    size_t used;
} Arena;

static void *take(Arena *arena, size_t count, size_t size) {
    void *part = arena->base ? arena->base + arena->used : NULL;
    arena->used += divide_up(count * size, REAL_ALIGNMENT) * REAL_LANES;
    return part;
}

static size_t packed_numbers(size_t depth, size_t columns) {
    return depth * divide_up(columns, REAL_LANES) * REAL_LANES;
}

/* ---- frames: chunks of images with zeros around them ------------------------------------------------------- */

typedef struct {
    size_t height, width, channels;      /* of an image */
    size_t top, left;                    /* zeros before it */
    size_t padded_height, padded_width;  /* with zeros on all sides */
    size_t images, numbers;              /* of a chunk, of a padded image */
    real *data;                          /* (images, padded_height, padded_width, channels) */
} Frame;

#ifndef CHUNK_PIXELS
#define CHUNK_PIXELS 256
#endif
static size_t chunk_images(size_t batch, size_t numbers, size_t pixels) {
    size_t images = CHUNK_NUMBERS / numbers;
    if (images > CHUNK_PIXELS / pixels) images = CHUNK_PIXELS / pixels;
    if (images < 1) images = 1;
    return divide_up(batch, divide_up(batch, images)); /* chunks of about the same size */
}

static void frame_place(Frame *frame, const ConvShape *s, Arena *arena) {
    frame->numbers = frame->padded_height * frame->padded_width * frame->channels;
    frame->images = chunk_images((size_t)s->batch, frame->numbers, (size_t)(s->y_height * s->y_width));
    frame->data = take(arena, frame->images * frame->numbers, sizeof(real));
}

static void frame_clear(const Frame *frame) {
    memset(frame->data, 0, frame->images * frame->numbers * sizeof(real));
}

static void frame_load(const Frame *frame, const ConvKernels *kernels, const real *source, size_t images) {
    const size_t row = frame->width * frame->channels, padded_row = frame->padded_width * frame->channels;
    for (size_t b = 0; b < images; b++) {
        real *to = frame->data + b * frame->numbers + frame->top * padded_row + frame->left * frame->channels;
        for (size_t i = 0; i < frame->height; i++, source += row, to += padded_row) kernels->copy(row, source, to);
    }
}

/* Offsets of the pixels (first_row + i · step, first_column + j · step) of all images, i < rows, j < columns. */
static void list_pixels(const Frame *frame, size_t first_row, size_t first_column, size_t step, size_t rows,
                        size_t columns, size_t *list) {
    for (size_t b = 0; b < frame->images; b++)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++)
                *list++ = b * frame->numbers +
                          ((first_row + i * step) * frame->padded_width + first_column + j * step) * frame->channels;
}

/* Distances of a patch's numbers from its first. */
static void list_patch(const Frame *frame, size_t rows, size_t columns, size_t *list) {
    for (size_t i = 0; i < rows; i++)
        for (size_t n = 0; n < columns * frame->channels; n++)
            *list++ = i * frame->padded_width * frame->channels + n;
}

/* 0, step, 2 · step ... */
static void list_steps(size_t count, size_t step, size_t *list) {
    for (size_t i = 0; i < count; i++) list[i] = i * step;
}

#ifndef DIRECT_ROWS
#define DIRECT_ROWS 64
#endif
/* Sets b of a product: the matrix itself if it is used few times and whole, else packed into `room`. */
static void set_b(ConvProduct *product, const ConvKernels *kernels, const ConvMatrix *matrix, real *room) {
    const bool whole = matrix->column_step == 1 && matrix->columns % kernels->lanes == 0;
    product->packed = !(whole && (matrix->columns <= kernels->panel || product->rows < DIRECT_ROWS));
    if (product->packed) kernels->pack(matrix, 0, matrix->depth, room);
    product->b = product->packed ? room : matrix->source;
}

/* ---- conv_y and conv_w ------------------------------------------------------------------------------------- */

/* Both read windows of x: the rows of A are pixels and its columns the patch, or the other way round. */
typedef struct {
    Frame frame;    /* of x */
    size_t pixels;  /* of y, one image */
    size_t *pixel;  /* (images · pixels) where their windows start in the frame */
    size_t patch;   /* numbers in a window */
    size_t *within; /* (patch) where they are from the window's start */
    size_t *c_row;
    real *b;
} Windows;

static size_t windows_place(Windows *windows, const ConvShape *s, ConvFace face, real *scratch) {
    Arena arena = {scratch, 0};
    windows->frame = (Frame){.height = (size_t)s->x_height,
                             .width = (size_t)s->x_width,
                             .channels = (size_t)s->x_channels,
                             .top = (size_t)s->pad,
                             .left = (size_t)s->pad,
                             .padded_height = (size_t)(s->x_height + 2 * s->pad),
                             .padded_width = (size_t)(s->x_width + 2 * s->pad)};
    frame_place(&windows->frame, s, &arena);
    windows->pixels = (size_t)(s->y_height * s->y_width);
    windows->patch = (size_t)(s->kernel_height * s->kernel_width * s->x_channels);
    const size_t chunk = windows->frame.images * windows->pixels;
    windows->pixel = take(&arena, chunk, sizeof(size_t));
    windows->within = take(&arena, windows->patch, sizeof(size_t));
    windows->c_row = take(&arena, face == CONV_FACE_Y ? chunk : windows->patch, sizeof(size_t));
    windows->b = take(&arena, packed_numbers(face == CONV_FACE_Y ? windows->patch : chunk, (size_t)s->y_channels),
                      sizeof(real));
    return arena.used;
}

static void windows_fill(const Windows *windows, const ConvShape *s) {
    frame_clear(&windows->frame);
    list_pixels(&windows->frame, 0, 0, (size_t)s->stride, (size_t)s->y_height, (size_t)s->y_width, windows->pixel);
    list_patch(&windows->frame, (size_t)s->kernel_height, (size_t)s->kernel_width, windows->within);
}

static void windows_to_y(const ConvShape *s, const real *x, const real *w, real *y, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    Windows windows;
    windows_place(&windows, s, CONV_FACE_Y, scratch);
    windows_fill(&windows, s);
    const Frame *frame = &windows.frame;
    const size_t batch = (size_t)s->batch, columns = (size_t)s->y_channels, pixels = windows.pixels;
    list_steps(frame->images * pixels, columns, windows.c_row);
    ConvProduct product = {.rows = batch * pixels,
                           .depth = windows.patch,
                           .columns = columns,
                           .a = frame->data,
                           .a_row = windows.pixel,
                           .a_depth = windows.within,
                           .c_row = windows.c_row};
    set_b(&product, kernels, &(ConvMatrix){w, windows.patch, columns, columns, 1}, windows.b);
    for (size_t first = 0; first < batch; first += frame->images) {
        const size_t images = batch - first < frame->images ? batch - first : frame->images;
        frame_load(frame, kernels, x + first * frame->height * frame->width * frame->channels, images);
        product.rows = images * pixels;
        product.c = y + first * pixels * columns;
        kernels->multiply(&product);
    }
}

static void windows_to_w(const ConvShape *s, const real *x, const real *y, real *w, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    Windows windows;
    windows_place(&windows, s, CONV_FACE_W, scratch);
    windows_fill(&windows, s);
    const Frame *frame = &windows.frame;
    const size_t batch = (size_t)s->batch, columns = (size_t)s->y_channels, pixels = windows.pixels;
    list_steps(windows.patch, columns, windows.c_row);
    ConvProduct product = {.rows = windows.patch,
                           .columns = columns,
                           .a = frame->data,
                           .a_row = windows.within,
                           .a_depth = windows.pixel,
                           .c = w,
                           .c_row = windows.c_row};
    for (size_t first = 0; first < batch; first += frame->images) {
        const size_t images = batch - first < frame->images ? batch - first : frame->images;
        frame_load(frame, kernels, x + first * frame->height * frame->width * frame->channels, images);
        product.depth = images * pixels;
        product.add = first > 0;
        set_b(&product, kernels, &(ConvMatrix){y + first * pixels * columns, product.depth, columns, columns, 1}, windows.b);
        kernels->multiply(&product);
    }
}

/* ---- conv_x: gathered ---------------------------------------------------------------------------------------
 * Pixels of x whose distance from the first window is the same modulo the stride (a phase) are covered by the
 * same elements of w, every stride-th in each direction, and are a plain convolution of y with them. */

typedef struct {
    size_t first_row, first_column; /* in x */
    size_t from_row, from_column;   /* in the frame of y, where the first pixel's window starts */
    size_t rows, columns;           /* pixels of x */
    size_t height, width;           /* of the windows */
    size_t w_row, w_column;         /* the kernel's first element in this phase */
} Phase;

/* One direction of a phase: `shift` is the distance from the first window, modulo the stride. */
static void phase_axis(size_t shift, size_t stride, size_t pad, size_t kernel, size_t size, size_t before, size_t *first,
                       size_t *from, size_t *count, size_t *taps) {
    *first = (shift + stride - pad % stride) % stride;
    *count = *first < size ? divide_up(size - *first, stride) : 0;
    *taps = shift < kernel ? divide_up(kernel - shift, stride) : 0;
    *from = (*first + pad - shift) / stride + before + 1 - *taps;
}

typedef struct {
    Frame frame; /* of y */
    size_t *a_row, *a_depth, *c_row; /* of all phases, one after the other */
    real *b;
    ConvProduct *products;
    size_t phases;
} Gather;

static size_t gather_place(Gather *gather, const ConvShape *s, real *scratch) {
    Arena arena = {scratch, 0};
    const size_t stride = (size_t)s->stride, pad = (size_t)s->pad;
    const size_t y_height = (size_t)s->y_height, y_width = (size_t)s->y_width;
    const size_t rows = ((size_t)s->x_height - 1 + pad) / stride + 1, columns = ((size_t)s->x_width - 1 + pad) / stride + 1;
    Frame *frame = &gather->frame;
    *frame = (Frame){.height = y_height, .width = y_width, .channels = (size_t)s->y_channels};
    frame->top = divide_up((size_t)s->kernel_height, stride) - 1;
    frame->left = divide_up((size_t)s->kernel_width, stride) - 1;
    frame->padded_height = frame->top + (rows > y_height ? rows : y_height);
    frame->padded_width = frame->left + (columns > y_width ? columns : y_width);
    frame_place(frame, s, &arena);
    const size_t chunk = frame->images * (size_t)(s->x_height * s->x_width);
    const size_t depth = (size_t)(s->kernel_height * s->kernel_width * s->y_channels);
    const size_t phases_down = stride < (size_t)s->kernel_height ? stride : (size_t)s->kernel_height;
    const size_t phases_across = stride < (size_t)s->kernel_width ? stride : (size_t)s->kernel_width;
    gather->a_row = take(&arena, chunk, sizeof(size_t));
    gather->c_row = take(&arena, chunk, sizeof(size_t));
    gather->a_depth = take(&arena, depth, sizeof(size_t));
    gather->b = take(&arena, packed_numbers(depth, (size_t)s->x_channels), sizeof(real));
    gather->products = take(&arena, phases_down * phases_across, sizeof(ConvProduct));
    return arena.used;
}

static void pack_phase(const ConvKernels *kernels, const ConvShape *s, const Phase *phase, const real *w, real *b) {
    const size_t x_channels = (size_t)s->x_channels, y_channels = (size_t)s->y_channels, stride = (size_t)s->stride;
    size_t at = 0;
    for (size_t i = phase->height; i-- > 0;) {
        for (size_t j = phase->width; j-- > 0; at += y_channels) {
            const size_t di = phase->w_row + i * stride, dj = phase->w_column + j * stride;
            const ConvMatrix tap = {w + (di * (size_t)s->kernel_width + dj) * x_channels * y_channels, y_channels, x_channels,
                                    1, y_channels};
            kernels->pack(&tap, at, phase->height * phase->width * y_channels, b);
        }
    }
}

static void gather_fill(Gather *gather, const ConvKernels *kernels, const ConvShape *s, const real *w) {
    const Frame *frame = &gather->frame;
    const size_t stride = (size_t)s->stride, pad = (size_t)s->pad;
    const size_t x_height = (size_t)s->x_height, x_width = (size_t)s->x_width, x_channels = (size_t)s->x_channels;
    size_t *a_row = gather->a_row, *a_depth = gather->a_depth, *c_row = gather->c_row;
    real *b = gather->b;
    frame_clear(frame);
    gather->phases = 0;
    for (size_t i = 0; i < stride; i++) {
        for (size_t j = 0; j < stride; j++) {
            Phase phase = {.w_row = i, .w_column = j};
            phase_axis(i, stride, pad, (size_t)s->kernel_height, x_height, frame->top, &phase.first_row, &phase.from_row,
                       &phase.rows, &phase.height);
            phase_axis(j, stride, pad, (size_t)s->kernel_width, x_width, frame->left, &phase.first_column, &phase.from_column,
                       &phase.columns, &phase.width);
            if (phase.height * phase.width * phase.rows * phase.columns == 0) continue;
            const size_t depth = phase.height * phase.width * frame->channels;
            const Frame x = {.padded_width = x_width, .channels = x_channels, .images = frame->images,
                             .numbers = x_height * x_width * x_channels};
            list_pixels(frame, phase.from_row, phase.from_column, 1, phase.rows, phase.columns, a_row);
            list_pixels(&x, phase.first_row, phase.first_column, stride, phase.rows, phase.columns, c_row);
            list_patch(frame, phase.height, phase.width, a_depth);
            pack_phase(kernels, s, &phase, w, b);
            gather->products[gather->phases++] = (ConvProduct){.rows = phase.rows * phase.columns,
                                                               .depth = depth,
                                                               .columns = x_channels,
                                                               .a = frame->data,
                                                               .a_row = a_row,
                                                               .a_depth = a_depth,
                                                               .b = b,
                                                               .packed = true,
                                                               .c_row = c_row};
            a_row += frame->images * phase.rows * phase.columns;
            c_row += frame->images * phase.rows * phase.columns;
            a_depth += depth;
            b += packed_numbers(depth, x_channels);
        }
    }
}

static void gather_x(const ConvShape *s, const real *y, const real *w, real *x, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    const size_t batch = (size_t)s->batch, x_numbers = (size_t)(s->x_height * s->x_width * s->x_channels);
    const size_t y_numbers = (size_t)(s->y_height * s->y_width * s->y_channels);
    Gather gather;
    gather_place(&gather, s, scratch);
    gather_fill(&gather, kernels, s, w);
    /* Some pixels lie between the windows. */
    if (s->stride > s->kernel_height || s->stride > s->kernel_width) memset(x, 0, batch * x_numbers * sizeof(real));
    for (size_t first = 0; first < batch; first += gather.frame.images) {
        const size_t images = batch - first < gather.frame.images ? batch - first : gather.frame.images;
        frame_load(&gather.frame, kernels, y + first * y_numbers, images);
        for (size_t p = 0; p < gather.phases; p++) {
            ConvProduct product = gather.products[p];
            product.rows *= images;
            product.c = x + first * x_numbers;
            kernels->multiply(&product);
        }
    }
}

/* ---- conv_x: scattered --------------------------------------------------------------------------------------
 * With few channels of x a gathered product would leave most lanes empty. Instead each pixel of y gives all
 * the numbers that it adds to its window, and the windows are added up. */

typedef struct {
    ConvFold fold;
    size_t images, image; /* of a chunk, numbers of windows in one */
    size_t *a_row, *a_depth, *c_row;
    real *windows, *b;
} Scatter;

static size_t scatter_place(Scatter *scatter, const ConvShape *s, real *scratch) {
    Arena arena = {scratch, 0};
    ConvFold *fold = &scatter->fold;
    *fold = (ConvFold){.x_height = (size_t)s->x_height,
                       .x_width = (size_t)s->x_width,
                       .channels = (size_t)s->x_channels,
                       .y_height = (size_t)s->y_height,
                       .y_width = (size_t)s->y_width,
                       .kernel_height = (size_t)s->kernel_height,
                       .kernel_width = (size_t)s->kernel_width,
                       .stride = (size_t)s->stride,
                       .pad = (size_t)s->pad};
    fold->gap = divide_up(fold->kernel_width, fold->stride);
    const size_t window = fold->kernel_height * fold->kernel_width * fold->channels;
    const size_t y_channels = (size_t)s->y_channels;
    scatter->image = (fold->gap + fold->y_height * (fold->y_width + fold->gap)) * window;
    scatter->images = chunk_images((size_t)s->batch, scatter->image, fold->y_height * fold->y_width);
    const size_t chunk = scatter->images * fold->y_height * fold->y_width;
    scatter->windows = take(&arena, scatter->images * scatter->image + REAL_LANES, sizeof(real));
    scatter->a_row = take(&arena, chunk, sizeof(size_t));
    scatter->c_row = take(&arena, chunk, sizeof(size_t));
    scatter->a_depth = take(&arena, y_channels, sizeof(size_t));
    scatter->b = take(&arena, packed_numbers(y_channels, window), sizeof(real));
    fold->sources = take(&arena, (fold->kernel_height / fold->stride + 1) * fold->gap, sizeof(real *));
    fold->row = take(&arena, (fold->x_width + fold->pad + fold->stride) * fold->channels + REAL_LANES, sizeof(real));
    return arena.used;
}

static void scatter_x(const ConvShape *s, const real *y, const real *w, real *x, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    Scatter scatter;
    scatter_place(&scatter, s, scratch);
    ConvFold *fold = &scatter.fold;
    const size_t window = fold->kernel_height * fold->kernel_width * fold->channels;
    const size_t batch = (size_t)s->batch, y_channels = (size_t)s->y_channels;
    const size_t pixels = fold->y_height * fold->y_width, x_numbers = fold->x_height * fold->x_width * fold->channels;
    memset(scatter.windows, 0, (scatter.images * scatter.image + REAL_LANES) * sizeof(real));
    list_steps(scatter.images * pixels, y_channels, scatter.a_row);
    list_steps(y_channels, 1, scatter.a_depth);
    const Frame slots = {.padded_width = fold->y_width + fold->gap, .channels = window, .images = scatter.images,
                         .numbers = scatter.image};
    list_pixels(&slots, 0, fold->gap, 1, fold->y_height, fold->y_width, scatter.c_row);
    ConvProduct product = {.depth = y_channels,
                           .columns = window,
                           .a_row = scatter.a_row,
                           .a_depth = scatter.a_depth,
                           .c = scatter.windows,
                           .c_row = scatter.c_row};
    set_b(&product, kernels, &(ConvMatrix){w, y_channels, window, 1, y_channels}, scatter.b);
    for (size_t first = 0; first < batch; first += scatter.images) {
        const size_t images = batch - first < scatter.images ? batch - first : scatter.images;
        product.rows = images * pixels;
        product.a = y + first * pixels * y_channels;
        kernels->multiply(&product);
        for (size_t i = 0; i < images; i++) {
            fold->windows = scatter.windows + i * scatter.image;
            fold->x = x + (first + i) * x_numbers;
            kernels->fold(fold);
        }
    }
}

/* ---- dense products ----------------------------------------------------------------------------------------- */

/* One window that is the whole of x, or windows of one pixel each: plain matrices, rows (windows) of x and y. */
static bool is_dense(const ConvShape *s) {
    const bool one = s->y_height == 1 && s->y_width == 1 && s->x_height == s->kernel_height && s->x_width == s->kernel_width;
    const bool each = s->kernel_height == 1 && s->kernel_width == 1 && s->stride == 1;
    const int64_t rows = s->batch * s->y_height * s->y_width;
    const int64_t depth = s->kernel_height * s->kernel_width * s->x_channels;
    return (one || each) && s->pad == 0 && rows <= INT_MAX && depth <= INT_MAX && s->y_channels <= INT_MAX;
}

static void dense(const ConvShape *s, ConvFace face, const real *a, const real *b, real *c) {
    const int rows = (int)(s->batch * s->y_height * s->y_width), outputs = (int)s->y_channels;
    const int inputs = (int)(s->kernel_height * s->kernel_width * s->x_channels);
    switch (face) {
    case CONV_FACE_Y: /* y = x w */
        gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, outputs, inputs, 1, a, inputs, b, outputs, 0, c, outputs);
        break;
    case CONV_FACE_X: /* x = y wᵀ */
        gemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, inputs, outputs, 1, a, outputs, b, outputs, 0, c, inputs);
        break;
    case CONV_FACE_W: /* w = xᵀ y */
        gemm(CblasRowMajor, CblasTrans, CblasNoTrans, inputs, outputs, rows, 1, a, inputs, b, outputs, 0, c, outputs);
        break;
    }
}

/* ---- the three faces ---------------------------------------------------------------------------------------- */

static bool is_scattered(const ConvShape *s) {
    return s->x_channels < FOLD_CHANNELS;
}

size_t conv_scratch(const ConvShape *shape, ConvFace face) {
    Windows windows;
    Gather gather;
    Scatter scatter;
    if (is_dense(shape)) return 0;
    if (face != CONV_FACE_X) return windows_place(&windows, shape, face, NULL);
    return is_scattered(shape) ? scatter_place(&scatter, shape, NULL) : gather_place(&gather, shape, NULL);
}

void conv_y(const ConvShape *shape, const real *x, const real *w, real *y, real *scratch) {
    if (is_dense(shape)) dense(shape, CONV_FACE_Y, x, w, y);
    else windows_to_y(shape, x, w, y, scratch);
}

void conv_x(const ConvShape *shape, const real *y, const real *w, real *x, real *scratch) {
    if (is_dense(shape)) dense(shape, CONV_FACE_X, y, w, x);
    else if (is_scattered(shape)) scatter_x(shape, y, w, x, scratch);
    else gather_x(shape, y, w, x, scratch);
}

void conv_w(const ConvShape *shape, const real *x, const real *y, real *w, real *scratch) {
    if (is_dense(shape)) dense(shape, CONV_FACE_W, x, y, w);
    else windows_to_w(shape, x, y, w, scratch);
}
