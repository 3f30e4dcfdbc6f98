/* The numeric loops of convolution: one product, the packing of its right factor, and the sum of overlapping
 * windows. */
#include "gan/kernels/conv_internal.h"

#include <stdint.h>
#include <string.h>

#include "base/isa.h"

/* ---- vectors ---------------------------------------------------------------------------------------------- */
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#if defined(__x86_64__) && defined(__FMA__)
#include <immintrin.h>
#endif

enum { LANES = VECTOR_BYTES / (int)sizeof(real) };
typedef real Vector __attribute__((vector_size(VECTOR_BYTES)));
typedef real VectorAnywhere __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

INLINE Vector load(const real *from) {
    return *(const VectorAnywhere *)from;
}

INLINE void store(real *to, Vector value) {
    *(VectorAnywhere *)to = value;
}

/* sum + scale · value, fused where the instruction set has it: the compiler is told not to fuse by itself. */
INLINE Vector multiply_add(real scale, Vector value, Vector sum) {
#if !defined(__x86_64__) || !defined(__FMA__)
    return sum + scale * value;
#elif VECTOR_BYTES == 64 && defined(BROOD_DOUBLE)
    return _mm512_fmadd_pd(_mm512_set1_pd(scale), value, sum);
#elif VECTOR_BYTES == 64
    return _mm512_fmadd_ps(_mm512_set1_ps(scale), value, sum);
#elif defined(BROOD_DOUBLE)
    return _mm256_fmadd_pd(_mm256_set1_pd(scale), value, sum);
#else
    return _mm256_fmadd_ps(_mm256_set1_ps(scale), value, sum);
#endif
}

/* ---- the product ------------------------------------------------------------------------------------------ */

/* A tile is ROWS rows of C by 1 .. PANEL_VECTORS vectors, held in registers while k walks the depth. 6 by 4
 * of the 32 registers of AVX-512 (6 by 2 of 16) leave room for a row of B and an element of A. */
#if VECTOR_BYTES == 64
enum { ROWS = 6, PANEL_VECTORS = 4 };
#else
enum { ROWS = 6, PANEL_VECTORS = 2 };
#endif
enum {
    PANEL = PANEL_VECTORS * LANES,
#ifndef DEPTH_BLOCK
    DEPTH_BLOCK = 128,
#endif
#ifndef MAXR
    MAX_ROWS = 8,
#else
    MAX_ROWS = MAXR
#endif
 /* a tile of one vector has more rows, for enough sums at a time */
};
#ifndef ROWS2
#define ROWS2 (VECTOR_BYTES == 64 ? 8 : 6)
#endif
#ifndef ROWS1
#define ROWS1 8
#endif

typedef struct {
    const real *a;
    const size_t *a_row, *a_depth;
    const real *b; /* (depth, b_step), of which vectors · LANES are used */
    size_t b_step;
    real *c;
    const size_t *c_row;
    size_t rows, depth, columns;
    bool add;
} Tile;

static __attribute__((noinline)) void store_part(real *c, const real *part, size_t columns, bool add) {
    for (size_t n = 0; n < columns; n++) c[n] = add ? c[n] + part[n] : part[n];
}

INLINE void tile(const Tile *t, const int rows, const int vectors) {
    const real *a[MAX_ROWS];
    Vector sum[MAX_ROWS][PANEL_VECTORS];
    UNROLLED for (int r = 0; r < rows; r++) {
        a[r] = t->a + t->a_row[r];
        UNROLLED for (int v = 0; v < vectors; v++) sum[r][v] = (Vector){0};
    }
    const real *b = t->b;
    const size_t depth = t->depth, b_step = t->b_step, *a_depth = t->a_depth;
    for (size_t k = 0; k < depth; k++, b += b_step) {
        const size_t offset = a_depth[k];
        Vector value[PANEL_VECTORS];
        UNROLLED for (int v = 0; v < vectors; v++) value[v] = load(b + v * LANES);
        UNROLLED for (int r = 0; r < rows; r++) {
            const real scale = a[r][offset];
            UNROLLED for (int v = 0; v < vectors; v++) sum[r][v] = multiply_add(scale, value[v], sum[r][v]);
        }
    }
    const bool whole = t->columns >= (size_t)(vectors * LANES);
    UNROLLED for (int r = 0; r < rows; r++) {
        if ((size_t)r == t->rows) return;
        real *c = t->c + t->c_row[r];
        if (whole) {
            UNROLLED for (int v = 0; v < vectors; v++)
                store(c + v * LANES, t->add ? load(c + v * LANES) + sum[r][v] : sum[r][v]);
        } else {
            Vector part[PANEL_VECTORS];
            UNROLLED for (int v = 0; v < vectors; v++) part[v] = sum[r][v];
            store_part(c, (const real *)part, t->columns, t->add);
        }
    }
}

/* All rows of C for one panel and one block of the depth. */
INLINE void tiles(Tile t, size_t count, const int rows, const int vectors) {
    const size_t step = (size_t)rows;
    size_t padded[MAX_ROWS];
    for (t.rows = step; count > 0; count -= t.rows, t.a_row += step, t.c_row += step) {
        if (count < step) { /* the last tile is computed whole, repeating a row, and stored in part */
            for (size_t r = 0; r < step; r++) padded[r] = t.a_row[r < count ? r : 0];
            t.a_row = padded;
            t.rows = count;
        }
        tile(&t, rows, vectors);
    }
}

static void multiply(const ConvProduct *product) {
    const size_t depth = product->depth, blocks = (depth + DEPTH_BLOCK - 1) / DEPTH_BLOCK;
    for (size_t block = 0; block < blocks; block++) {
        const size_t first = depth * block / blocks, end = depth * (block + 1) / blocks;
        for (size_t column = 0; column < product->columns; column += PANEL) {
            const size_t columns = product->columns - column < PANEL ? product->columns - column : PANEL;
            const size_t vectors = (columns + LANES - 1) / LANES, width = vectors * LANES;
            const Tile t = {.a = product->a,
                            .a_row = product->a_row,
                            .a_depth = product->a_depth + first,
                            .b = product->packed ? product->b + column * depth + first * width : product->b + first * product->columns + column,
                            .b_step = product->packed ? width : product->columns,
                            .c = product->c + column,
                            .c_row = product->c_row,
                            .depth = end - first,
                            .columns = columns,
                            .add = product->add || block > 0};
            switch (vectors) {
            case 1: tiles(t, product->rows, ROWS1, 1); break;
            case 2: tiles(t, product->rows, ROWS2, 2); break;
#if VECTOR_BYTES == 64
            case 3: tiles(t, product->rows, ROWS, 3); break;
            case 4: tiles(t, product->rows, ROWS, 4); break;
#endif
            }
        }
    }
}

/* ---- packing ---------------------------------------------------------------------------------------------- */

static void pack(const ConvMatrix *matrix, size_t first, size_t depth, real *packed) {
    for (size_t column = 0; column < matrix->columns; column += PANEL) {
        const size_t columns = matrix->columns - column < PANEL ? matrix->columns - column : PANEL;
        const size_t width = (columns + LANES - 1) / LANES * LANES;
        const real *from = matrix->source + column * matrix->column_step;
        real *to = packed + column * depth + first * width;
        for (size_t k = 0; k < matrix->depth; k++, to += width, from += matrix->row_step) {
            size_t n = 0;
            if (matrix->column_step == 1) {
                for (; n + LANES <= columns; n += LANES) store(to + n, load(from + n));
            }
            for (; n < columns; n++) to[n] = from[n * matrix->column_step];
            for (; n < width; n++) to[n] = 0;
        }
    }
}

static void copy(size_t count, const real *from, real *to) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) store(to + i, load(from + i));
    for (; i < count; i++) to[i] = from[i];
}

/* ---- the sum of overlapping windows ----------------------------------------------------------------------- */

/* Narrower vectors: a piece is a few numbers, at any address. */
#define PIECE_BYTES (VECTOR_BYTES < 32 ? VECTOR_BYTES : 32)
enum { PIECE_LANES = PIECE_BYTES / (int)sizeof(real) };
#ifdef BROOD_DOUBLE
typedef int64_t Bits;
#else
typedef int32_t Bits;
#endif
typedef Bits Mask __attribute__((vector_size(PIECE_BYTES)));
typedef real Piece __attribute__((vector_size(PIECE_BYTES)));
typedef real PieceAnywhere __attribute__((vector_size(PIECE_BYTES), aligned(sizeof(real)), may_alias));

/* Ones for the lanes below `count`. */
INLINE Mask mask_below(size_t count) {
    static const Bits LANE[] = {0, 1, 2, 3, 4, 5, 6, 7};
    Mask lane;
    memcpy(&lane, LANE, sizeof lane);
    return lane < (Bits)(count < PIECE_LANES ? count : PIECE_LANES);
}

INLINE Piece sum_at(const real *const *sources, size_t count, size_t offset, Mask mask) {
    Piece sum = {0};
    for (size_t i = 0; i < count; i++) sum += *(const PieceAnywhere *)(sources[i] + offset);
    return (Piece)((Mask)sum & mask);
}

/* Adds up a row of pieces. Of a whole source all of each piece counts, of a cut one its first `last` numbers. */
INLINE void fold_row(const ConvFold *f, const real *const *whole, size_t whole_count, const real *const *cut,
                     size_t cut_count) {
    const size_t piece = f->stride * f->channels, window = f->kernel_height * f->kernel_width * f->channels;
    const size_t pieces = (f->x_width + f->pad + f->stride - 1) / f->stride;
    const size_t last = (f->kernel_width - (f->gap - 1) * f->stride) * f->channels;
    /* The last vector of a piece may reach into the next piece, so it is stored before the others. */
    for (size_t t = (piece + PIECE_LANES - 1) / PIECE_LANES * PIECE_LANES; t > 0;) {
        t -= PIECE_LANES;
        const Mask all = mask_below(piece - t), some = mask_below(last > t ? last - t : 0);
        real *row = f->row + t;
        for (size_t j = 0, offset = t; j < pieces; j++, offset += window, row += piece) {
            Piece sum = sum_at(whole, whole_count, offset, all);
            if (cut_count > 0) sum += sum_at(cut, cut_count, offset, some);
            *(PieceAnywhere *)row = sum;
        }
    }
}

/* A row of x is made of pieces of stride · channels numbers. The window of y's pixel j covers pieces
 * j .. j + gap - 1, the last of them in part when the stride does not divide the kernel's width. */
static void fold(const ConvFold *f) {
    const size_t window = f->kernel_height * f->kernel_width * f->channels, x_row = f->x_width * f->channels;
    const size_t entire = f->kernel_width / f->stride;
    const real **whole = f->sources, **cut = f->sources + (f->kernel_height / f->stride + 1) * entire;
    for (size_t r = 0; r < f->x_height; r++) {
        const size_t nearest = (r + f->pad) / f->stride; /* row of y */
        size_t whole_count = 0, cut_count = 0, di = (r + f->pad) % f->stride;
        for (size_t back = 0; back <= nearest && di < f->kernel_height; back++, di += f->stride) {
            if (nearest - back >= f->y_height) continue;
            const size_t slot = f->gap + (nearest - back) * (f->y_width + f->gap);
            const real *source = f->windows + slot * window + di * f->kernel_width * f->channels;
            for (size_t g = 0; g < f->gap; g++, source += f->stride * f->channels, source -= window) {
                if (g < entire) whole[whole_count++] = source;
                else cut[cut_count++] = source;
            }
        }
        if (whole_count == 4 && cut_count == 0) { /* the usual case, with its four sources in registers */
            const real *const four[4] = {whole[0], whole[1], whole[2], whole[3]};
            fold_row(f, four, 4, NULL, 0);
        } else {
            fold_row(f, whole, whole_count, cut, cut_count);
        }
        copy(x_row, f->row + f->pad * f->channels, f->x + r * x_row);
    }
}

extern const ConvKernels ISA(conv_kernels);
const ConvKernels ISA(conv_kernels) = {LANES, PANEL, multiply, pack, fold, copy};
