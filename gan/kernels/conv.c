#include "gan/kernels/conv.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>

#include "base/isa.h"
#include "gan/kernels/conv_internal.h"

ISA_DECLARE(ConvKernels, conv_kernels);

enum {
    /* Images are worked on in chunks that stay in the second-level cache, lists and all: as many as have this
     * many numbers, or this many pixels of y, and at least one. */
    CHUNK_NUMBERS = 1 << 18,
    CHUNK_PIXELS = 256,
    FEW_CHANNELS = 8, /* fewer leave most lanes of a product empty */
    PACK_ROWS = 64    /* as soon as so many rows of A use it, B is worth packing */
};

static size_t divide_up(size_t a, size_t b) {
    return (a + b - 1) / b;
}

static size_t round_up(size_t a, size_t multiple) {
    return divide_up(a, multiple) * multiple;
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static ConvSizes sizes_of(const ConvShape *shape) {
    ConvSizes s = {.batch = (size_t)shape->batch,
                   .x_height = (size_t)shape->x_height,
                   .x_width = (size_t)shape->x_width,
                   .x_channels = (size_t)shape->x_channels,
                   .y_height = (size_t)shape->y_height,
                   .y_width = (size_t)shape->y_width,
                   .y_channels = (size_t)shape->y_channels,
                   .kernel_height = (size_t)shape->kernel_height,
                   .kernel_width = (size_t)shape->kernel_width,
                   .stride = (size_t)shape->stride,
                   .pad = (size_t)shape->pad};
    s.x_image = s.x_height * s.x_width * s.x_channels;
    s.pixels = s.y_height * s.y_width;
    s.y_image = s.pixels * s.y_channels;
    s.window = s.kernel_height * s.kernel_width * s.x_channels;
    return s;
}

/* ---- scratch ------------------------------------------------------------------------------------------- */

/* Hands out aligned parts of the scratch one after the other, or, with no base, only counts. A part holds
 * things of one type (numbers, offsets, pointers) and is read as nothing else. */
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
    return depth * round_up(columns, REAL_LANES);
}

static size_t chunk_images(const ConvSizes *s, size_t image_numbers) {
    const size_t images = most(1, least(CHUNK_NUMBERS / image_numbers, CHUNK_PIXELS / s->pixels));
    return divide_up(s->batch, divide_up(s->batch, images)); /* so that chunks have about the same size */
}

/* ---- grids: where pixels are --------------------------------------------------------------------------- */

/* Images of rows of pixels. As a frame, zeros lie around the images, which are copied into it. */
typedef struct {
    size_t images, height, width, channels;
    size_t image; /* numbers in an image, at least height · width · channels */
} Grid;

/* Offsets of the pixels (first_row + i · step, first_column + j · step) of all images, for i < rows, j <
 * columns. */
static void list_pixels(const Grid *grid, size_t first_row, size_t first_column, size_t step, size_t rows,
                        size_t columns, size_t *list) {
    for (size_t b = 0; b < grid->images; b++)
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++) {
                const size_t pixel = (first_row + i * step) * grid->width + first_column + j * step;
                *list++ = b * grid->image + pixel * grid->channels;
            }
}

/* Distances of a window's numbers from its first. */
static void list_window(const Grid *grid, size_t rows, size_t columns, size_t *list) {
    for (size_t i = 0; i < rows; i++)
        for (size_t n = 0; n < columns * grid->channels; n++) *list++ = i * grid->width * grid->channels + n;
}

/* 0, step, 2 · step ... */
static void list_steps(size_t count, size_t step, size_t *list) {
    for (size_t i = 0; i < count; i++) list[i] = i * step;
}

static void clear(const Grid *grid, real *frame) {
    memset(frame, 0, grid->images * grid->image * sizeof(real));
}

/* Copies images, (height, width, the grid's channels) each, to row `top` and column `left` of those in the
 * frame. */
static void copy_images(const real *from, size_t images, size_t height, size_t width, const Grid *grid,
                        size_t top, size_t left, real *frame) {
    const size_t row = width * grid->channels;
    for (size_t b = 0; b < images; b++)
        for (size_t i = 0; i < height; i++, from += row)
            memcpy(frame + b * grid->image + ((top + i) * grid->width + left) * grid->channels, from,
                   row * sizeof(real));
}

/* ---- the factor B -------------------------------------------------------------------------------------- */

/* Sets a product's B to the matrix itself where that will do, else packs it into `room`. */
static void set_b(ConvProduct *product, const ConvKernels *kernels, const ConvMatrix *matrix, real *room) {
    const bool readable = matrix->column_step == 1 && matrix->columns % kernels->lanes == 0;
    product->packed = !readable || (matrix->columns > kernels->panel && product->rows >= PACK_ROWS);
    product->b = product->packed ? room : matrix->source;
    if (product->packed) kernels->pack(matrix, 0, matrix->depth, room);
}

/* ---- conv_y and conv_w --------------------------------------------------------------------------------- */

/* Both read x through windows. To conv_y, A has a row for each window, to conv_w a column. */
typedef struct {
    Grid grid; /* of a chunk of x, padded */
    real *frame;
    size_t *corner; /* (pixels of the chunk) where a window starts in the frame */
    size_t *within; /* (window) */
    size_t *c_row;
    real *b;
} Windows;

static size_t windows_place(Windows *windows, const ConvSizes *s, ConvFace face, real *scratch) {
    Arena arena = {scratch, 0};
    Grid *grid = &windows->grid;
    *grid = (Grid){
        .height = s->x_height + 2 * s->pad, .width = s->x_width + 2 * s->pad, .channels = s->x_channels};
    grid->image = grid->height * grid->width * grid->channels;
    grid->images = chunk_images(s, grid->image);
    const size_t corners = grid->images * s->pixels;
    const bool to_y = face == CONV_FACE_Y;
    windows->frame = take(&arena, grid->images * grid->image, sizeof(real));
    windows->corner = take(&arena, corners, sizeof(size_t));
    windows->within = take(&arena, s->window, sizeof(size_t));
    windows->c_row = take(&arena, to_y ? corners : s->window, sizeof(size_t));
    windows->b = take(&arena, packed_numbers(to_y ? s->window : corners, s->y_channels), sizeof(real));
    return arena.used;
}

static void windows_fill(const Windows *windows, const ConvSizes *s) {
    clear(&windows->grid, windows->frame);
    list_pixels(&windows->grid, 0, 0, s->stride, s->y_height, s->y_width, windows->corner);
    list_window(&windows->grid, s->kernel_height, s->kernel_width, windows->within);
}

static void windows_load(const Windows *windows, const ConvSizes *s, const real *x, size_t images) {
    copy_images(x, images, s->x_height, s->x_width, &windows->grid, s->pad, s->pad, windows->frame);
}

static void windows_y(const ConvSizes *s, const real *x, const real *w, real *y, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    Windows windows;
    windows_place(&windows, s, CONV_FACE_Y, scratch);
    windows_fill(&windows, s);
    list_steps(windows.grid.images * s->pixels, s->y_channels, windows.c_row);
    ConvProduct product = {.rows = s->batch * s->pixels,
                           .depth = s->window,
                           .columns = s->y_channels,
                           .a = windows.frame,
                           .a_row = windows.corner,
                           .a_depth = windows.within,
                           .c_row = windows.c_row};
    set_b(&product, kernels, &(ConvMatrix){w, s->window, s->y_channels, s->y_channels, 1}, windows.b);
    for (size_t first = 0, images; first < s->batch; first += images) {
        images = least(s->batch - first, windows.grid.images);
        windows_load(&windows, s, x + first * s->x_image, images);
        product.rows = images * s->pixels;
        product.c = y + first * s->y_image;
        kernels->multiply(&product);
    }
}

static void windows_w(const ConvSizes *s, const real *x, const real *y, real *w, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    Windows windows;
    windows_place(&windows, s, CONV_FACE_W, scratch);
    windows_fill(&windows, s);
    list_steps(s->window, s->y_channels, windows.c_row);
    ConvProduct product = {.rows = s->window,
                           .columns = s->y_channels,
                           .a = windows.frame,
                           .a_row = windows.within,
                           .a_depth = windows.corner,
                           .c = w,
                           .c_row = windows.c_row};
    for (size_t first = 0, images; first < s->batch; first += images) {
        images = least(s->batch - first, windows.grid.images);
        windows_load(&windows, s, x + first * s->x_image, images);
        product.depth = images * s->pixels;
        product.add = first > 0;
        const ConvMatrix pixels = {y + first * s->y_image, product.depth, s->y_channels, s->y_channels, 1};
        set_b(&product, kernels, &pixels, windows.b);
        kernels->multiply(&product);
    }
}

/* ---- conv_x, gathered ---------------------------------------------------------------------------------- */

/* Pixels of x that are the same distance, modulo the stride, from the first window's corner are a phase. They
 * meet the same elements of w, every stride-th in both directions, so they are a convolution of y, with
 * stride 1, by these elements in reverse order. */

/* A phase in one direction. */
typedef struct {
    size_t tap, taps;    /* the first element of w, and how many there are */
    size_t first, count; /* pixels of x: first, first + stride ... */
    size_t from;         /* where the first pixel's window starts, in the frame of y */
} Axis;

static Axis phase_axis(size_t tap, const ConvSizes *s, size_t kernel, size_t size) {
    Axis axis = {.tap = tap, .first = (tap + s->stride - s->pad % s->stride) % s->stride};
    axis.taps = tap < kernel ? divide_up(kernel - tap, s->stride) : 0;
    axis.count = axis.first < size ? divide_up(size - axis.first, s->stride) : 0;
    /* Zeros before y in its frame: enough for the phase with most taps. */
    const size_t before = divide_up(kernel, s->stride) - 1;
    axis.from = (axis.first + s->pad - tap) / s->stride + before + 1 - axis.taps;
    return axis;
}

typedef struct {
    Grid grid; /* of a chunk of y, padded */
    size_t top, left;
    real *frame;
    size_t *a_row, *a_depth, *c_row; /* of all phases, one after the other */
    real *b;                         /* likewise */
    ConvProduct *products;           /* (phases) */
    size_t phases;
} Gather;

static size_t gather_place(Gather *gather, const ConvSizes *s, real *scratch) {
    Arena arena = {scratch, 0};
    Grid *grid = &gather->grid;
    gather->top = divide_up(s->kernel_height, s->stride) - 1;
    gather->left = divide_up(s->kernel_width, s->stride) - 1;
    /* The last pixels of x may need zeros behind y. */
    *grid = (Grid){.height = gather->top + most(s->y_height, (s->x_height - 1 + s->pad) / s->stride + 1),
                   .width = gather->left + most(s->y_width, (s->x_width - 1 + s->pad) / s->stride + 1),
                   .channels = s->y_channels};
    grid->image = grid->height * grid->width * grid->channels;
    grid->images = chunk_images(s, grid->image);
    const size_t depth = s->kernel_height * s->kernel_width * s->y_channels;
    const size_t x_pixels = grid->images * s->x_height * s->x_width;
    gather->frame = take(&arena, grid->images * grid->image, sizeof(real));
    gather->a_row = take(&arena, x_pixels, sizeof(size_t));
    gather->a_depth = take(&arena, depth, sizeof(size_t));
    gather->c_row = take(&arena, x_pixels, sizeof(size_t));
    gather->b = take(&arena, packed_numbers(depth, s->x_channels), sizeof(real));
    gather->products = take(&arena, least(s->stride, s->kernel_height) * least(s->stride, s->kernel_width),
                            sizeof(ConvProduct));
    return arena.used;
}

static void pack_phase(const ConvKernels *kernels, const ConvSizes *s, const Axis *down, const Axis *across,
                       const real *w, real *b) {
    const size_t depth = down->taps * across->taps * s->y_channels;
    size_t at = 0;
    for (size_t i = down->taps; i-- > 0;)
        for (size_t j = across->taps; j-- > 0; at += s->y_channels) {
            const size_t di = down->tap + i * s->stride, dj = across->tap + j * s->stride;
            const real *tap = w + (di * s->kernel_width + dj) * s->x_channels * s->y_channels;
            kernels->pack(&(ConvMatrix){tap, s->y_channels, s->x_channels, 1, s->y_channels}, at, depth, b);
        }
}

static void gather_fill(Gather *gather, const ConvKernels *kernels, const ConvSizes *s, const real *w) {
    const Grid *grid = &gather->grid;
    const Grid x = {grid->images, s->x_height, s->x_width, s->x_channels, s->x_image};
    ConvProduct p = {.columns = s->x_channels, .a = gather->frame, .packed = true};
    size_t *a_row = gather->a_row, *a_depth = gather->a_depth, *c_row = gather->c_row;
    real *b = gather->b;
    clear(grid, gather->frame);
    gather->phases = 0;
    for (size_t i = 0; i < least(s->stride, s->kernel_height); i++)
        for (size_t j = 0; j < least(s->stride, s->kernel_width); j++) {
            const Axis down = phase_axis(i, s, s->kernel_height, s->x_height);
            const Axis across = phase_axis(j, s, s->kernel_width, s->x_width);
            p.rows = down.count * across.count; /* of one image */
            p.depth = down.taps * across.taps * s->y_channels;
            p.a_row = a_row;
            p.a_depth = a_depth;
            p.c_row = c_row;
            p.b = b;
            list_pixels(grid, down.from, across.from, 1, down.count, across.count, a_row);
            list_window(grid, down.taps, across.taps, a_depth);
            list_pixels(&x, down.first, across.first, s->stride, down.count, across.count, c_row);
            pack_phase(kernels, s, &down, &across, w, b);
            gather->products[gather->phases++] = p;
            a_row += grid->images * p.rows;
            a_depth += p.depth;
            c_row += grid->images * p.rows;
            b += packed_numbers(p.depth, p.columns);
        }
}

static void gather_x(const ConvSizes *s, const real *y, const real *w, real *x, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    Gather gather;
    gather_place(&gather, s, scratch);
    gather_fill(&gather, kernels, s, w);
    const bool uncovered =
        s->stride > s->kernel_height || s->stride > s->kernel_width; /* pixels between windows */
    if (uncovered) memset(x, 0, s->batch * s->x_image * sizeof(real));
    for (size_t first = 0, images; first < s->batch; first += images) {
        images = least(s->batch - first, gather.grid.images);
        copy_images(y + first * s->y_image, images, s->y_height, s->y_width, &gather.grid, gather.top,
                    gather.left, gather.frame);
        for (size_t phase = 0; phase < gather.phases; phase++) {
            ConvProduct product = gather.products[phase];
            product.rows *= images;
            product.c = x + first * s->x_image;
            kernels->multiply(&product);
        }
    }
}

/* ---- conv_x, scattered --------------------------------------------------------------------------------- */

/* With few channels of x most lanes of a gathered product would be empty. Instead a product gives, for each
 * pixel of y, all the numbers that it adds to its window, and then the windows are added up. */

typedef struct {
    Grid grid; /* of a chunk of windows */
    ConvFold fold;
    real *windows;
    size_t *a_row, *a_depth, *c_row;
    real *b;
} Scatter;

static size_t scatter_place(Scatter *scatter, const ConvSizes *s, real *scratch) {
    Arena arena = {scratch, 0};
    Grid *grid = &scatter->grid;
    ConvFold *fold = &scatter->fold;
    fold->sizes = s;
    fold->gap = divide_up(s->kernel_width, s->stride);
    fold->slot = round_up(s->window, REAL_LANES); /* so that whole vectors are stored */
    *grid = (Grid){.height = s->y_height, .width = s->y_width + fold->gap, .channels = fold->slot};
    grid->image = (fold->gap + grid->height * grid->width) * grid->channels;
    grid->images = chunk_images(s, grid->image);
    const size_t pixels = grid->images * s->pixels;
    scatter->windows = take(&arena, grid->images * grid->image + REAL_LANES, sizeof(real));
    scatter->a_row = take(&arena, pixels, sizeof(size_t));
    scatter->a_depth = take(&arena, s->y_channels, sizeof(size_t));
    scatter->c_row = take(&arena, pixels, sizeof(size_t));
    scatter->b = take(&arena, packed_numbers(s->y_channels, fold->slot), sizeof(real));
    fold->sources = take(&arena, (s->kernel_height / s->stride + 1) * fold->gap, sizeof(real *));
    fold->row = take(&arena, (s->x_width + s->pad + s->stride) * s->x_channels + REAL_LANES, sizeof(real));
    return arena.used;
}

static void scatter_x(const ConvSizes *s, const real *y, const real *w, real *x, real *scratch) {
    const ConvKernels *kernels = ISA_PICK(conv_kernels);
    Scatter scatter;
    scatter_place(&scatter, s, scratch);
    const Grid *grid = &scatter.grid;
    ConvFold *fold = &scatter.fold;
    memset(scatter.windows, 0, (grid->images * grid->image + REAL_LANES) * sizeof(real));
    list_steps(grid->images * s->pixels, s->y_channels, scatter.a_row);
    list_steps(s->y_channels, 1, scatter.a_depth);
    list_pixels(grid, 0, fold->gap, 1, s->y_height, s->y_width, scatter.c_row);
    ConvProduct product = {.depth = s->y_channels,
                           .columns = round_up(s->window, kernels->lanes),
                           .a_row = scatter.a_row,
                           .a_depth = scatter.a_depth,
                           .b = scatter.b,
                           .packed = true,
                           .c = scatter.windows,
                           .c_row = scatter.c_row};
    kernels->pack(&(ConvMatrix){w, s->y_channels, s->window, 1, s->y_channels}, 0, s->y_channels, scatter.b);
    for (size_t first = 0, images; first < s->batch; first += images) {
        images = least(s->batch - first, grid->images);
        product.rows = images * s->pixels;
        product.a = y + first * s->y_image;
        kernels->multiply(&product);
        for (size_t b = 0; b < images; b++) {
            fold->windows = scatter.windows + b * grid->image;
            fold->x = x + (first + b) * s->x_image;
            kernels->fold(fold);
        }
    }
}

/* ---- few channels of y --------------------------------------------------------------------------------- */

/* With stride 1 convolution by w is the transposed convolution by w turned around, with the channels of x and
 * y in each other's place. So few channels of y are treated as few channels of x. */

static ConvSizes sizes_turned(const ConvSizes *s) {
    return sizes_of(&(ConvShape){.batch = (int64_t)s->batch,
                                 .x_height = (int64_t)s->y_height,
                                 .x_width = (int64_t)s->y_width,
                                 .x_channels = (int64_t)s->y_channels,
                                 .y_height = (int64_t)s->x_height,
                                 .y_width = (int64_t)s->x_width,
                                 .y_channels = (int64_t)s->x_channels,
                                 .kernel_height = (int64_t)s->kernel_height,
                                 .kernel_width = (int64_t)s->kernel_width,
                                 .stride = 1,
                                 .pad = (int64_t)(s->kernel_height - 1 - s->pad)});
}

/* (taps, rows, columns) with the taps in reverse order, as (taps, columns, rows). */
static void turn_weights(const real *from, size_t taps, size_t rows, size_t columns, real *to) {
    for (size_t tap = taps; tap-- > 0; from += rows * columns)
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++) to[(tap * columns + c) * rows + r] = from[r * columns + c];
}

static void turned_y(const ConvSizes *s, const real *x, const real *w, real *y, real *scratch) {
    const ConvSizes turned = sizes_turned(s);
    Arena arena = {scratch, 0};
    real *weights = take(&arena, s->window * s->y_channels, sizeof(real));
    turn_weights(w, s->kernel_height * s->kernel_width, s->x_channels, s->y_channels, weights);
    scatter_x(&turned, x, weights, y, scratch + arena.used);
}

static void turned_w(const ConvSizes *s, const real *x, const real *y, real *w, real *scratch) {
    const ConvSizes turned = sizes_turned(s);
    Arena arena = {scratch, 0};
    real *weights = take(&arena, s->window * s->y_channels, sizeof(real));
    windows_w(&turned, y, x, weights, scratch + arena.used);
    turn_weights(weights, s->kernel_height * s->kernel_width, s->y_channels, s->x_channels, w);
}

static size_t turned_place(const ConvSizes *s, ConvFace face) {
    const ConvSizes turned = sizes_turned(s);
    Arena arena = {NULL, 0};
    Scatter scatter;
    Windows windows;
    take(&arena, s->window * s->y_channels, sizeof(real));
    return arena.used + (face == CONV_FACE_Y ? scatter_place(&scatter, &turned, NULL)
                                             : windows_place(&windows, &turned, face, NULL));
}

/* ---- dense products ------------------------------------------------------------------------------------ */

#ifdef BROOD_DOUBLE
#define gemm cblas_dgemm
#else
#define gemm cblas_sgemm
#endif

/* x as (rows, inputs), w as (inputs, outputs), y as (rows, outputs). */
static void dense(const ConvSizes *s, ConvFace face, const real *a, const real *b, real *c) {
    const int rows = (int)(s->batch * s->pixels), inputs = (int)s->window, outputs = (int)s->y_channels;
    const enum CBLAS_ORDER order = CblasRowMajor;
    switch (face) {
    case CONV_FACE_Y: /* y = x w */
        gemm(order, CblasNoTrans, CblasNoTrans, rows, outputs, inputs, 1, a, inputs, b, outputs, 0, c,
             outputs);
        break;
    case CONV_FACE_X: /* x = y wᵀ */
        gemm(order, CblasNoTrans, CblasTrans, rows, inputs, outputs, 1, a, outputs, b, outputs, 0, c, inputs);
        break;
    case CONV_FACE_W: /* w = xᵀ y */
        gemm(order, CblasTrans, CblasNoTrans, inputs, outputs, rows, 1, a, inputs, b, outputs, 0, c, outputs);
        break;
    }
}

/* ---- the three faces ----------------------------------------------------------------------------------- */

typedef enum { METHOD_DENSE, METHOD_WINDOWS, METHOD_TURNED, METHOD_GATHER, METHOD_SCATTER } Method;

/* Windows that are the rows of x as it lies in memory: each image is one window, or each pixel. */
static bool is_dense(const ConvSizes *s) {
    const bool images = s->x_height == s->kernel_height && s->x_width == s->kernel_width;
    const bool pixels = s->kernel_height == 1 && s->kernel_width == 1 && s->stride == 1;
    const bool fits = s->batch * s->pixels <= INT_MAX && s->window <= INT_MAX && s->y_channels <= INT_MAX;
    return s->pad == 0 && (images || pixels) && fits;
}

static bool is_turned(const ConvSizes *s) {
    const bool square = s->kernel_height == s->kernel_width;
    return s->y_channels < FEW_CHANNELS && s->x_channels >= FEW_CHANNELS && s->stride == 1 && square &&
           s->pad < s->kernel_height;
}

static Method method_of(const ConvSizes *s, ConvFace face) {
    if (is_dense(s)) return METHOD_DENSE;
    if (face == CONV_FACE_X) return s->x_channels < FEW_CHANNELS ? METHOD_SCATTER : METHOD_GATHER;
    return is_turned(s) ? METHOD_TURNED : METHOD_WINDOWS;
}

size_t conv_scratch(const ConvShape *shape, ConvFace face) {
    const ConvSizes s = sizes_of(shape);
    Windows windows;
    Gather gather;
    Scatter scatter;
    switch (method_of(&s, face)) {
    case METHOD_DENSE: return 0;
    case METHOD_WINDOWS: return windows_place(&windows, &s, face, NULL);
    case METHOD_TURNED: return turned_place(&s, face);
    case METHOD_GATHER: return gather_place(&gather, &s, NULL);
    case METHOD_SCATTER: return scatter_place(&scatter, &s, NULL);
    }
    return 0;
}

void conv_y(const ConvShape *shape, const real *x, const real *w, real *y, real *scratch) {
    const ConvSizes s = sizes_of(shape);
    const Method method = method_of(&s, CONV_FACE_Y);
    if (method == METHOD_DENSE)
        dense(&s, CONV_FACE_Y, x, w, y);
    else if (method == METHOD_TURNED)
        turned_y(&s, x, w, y, scratch);
    else
        windows_y(&s, x, w, y, scratch);
}

void conv_x(const ConvShape *shape, const real *y, const real *w, real *x, real *scratch) {
    const ConvSizes s = sizes_of(shape);
    const Method method = method_of(&s, CONV_FACE_X);
    if (method == METHOD_DENSE)
        dense(&s, CONV_FACE_X, y, w, x);
    else if (method == METHOD_SCATTER)
        scatter_x(&s, y, w, x, scratch);
    else
        gather_x(&s, y, w, x, scratch);
}

void conv_w(const ConvShape *shape, const real *x, const real *y, real *w, real *scratch) {
    const ConvSizes s = sizes_of(shape);
    const Method method = method_of(&s, CONV_FACE_W);
    if (method == METHOD_DENSE)
        dense(&s, CONV_FACE_W, x, y, w);
    else if (method == METHOD_TURNED)
        turned_w(&s, x, y, w, scratch);
    else
        windows_w(&s, x, y, w, scratch);
}
