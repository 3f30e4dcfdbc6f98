/* The numeric loops of convolution: one product, the packing of its right factor, and the sum of overlapping
 * windows. */
#include <stdint.h>
#include <string.h>

#include "base/isa.h"
#include "gan/kernels/conv_internal.h"

#if defined(__x86_64__) && defined(__FMA__)
#include <immintrin.h>
#endif

#define INLINE   static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

/* ---- vectors ------------------------------------------------------------------------------------------- */

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
enum { LANES = VECTOR_BYTES / (int)sizeof(real) };
typedef real Vector __attribute__((vector_size(VECTOR_BYTES)));
typedef real VectorAnywhere __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

INLINE Vector load(const real *from) {
    return *(const VectorAnywhere *)from;
}

INLINE void store(real *to, Vector vector) {
    *(VectorAnywhere *)to = vector;
}

/* sum + scale · vector, rounded once where the instruction set can: the compiler is told not to by itself. */
INLINE Vector multiply_add(real scale, Vector vector, Vector sum) {
#if !defined(__x86_64__) || !defined(__FMA__)
    return sum + scale * vector;
#elif VECTOR_BYTES == 64 && defined(BROOD_DOUBLE)
    return _mm512_fmadd_pd(_mm512_set1_pd(scale), vector, sum);
#elif VECTOR_BYTES == 64
    return _mm512_fmadd_ps(_mm512_set1_ps(scale), vector, sum);
#elif defined(BROOD_DOUBLE)
    return _mm256_fmadd_pd(_mm256_set1_pd(scale), vector, sum);
#else
    return _mm256_fmadd_ps(_mm256_set1_ps(scale), vector, sum);
#endif
}

/* ---- the product --------------------------------------------------------------------------------------- */

/* A tile of C, some rows by 1 .. PANEL_VECTORS vectors, stays in registers while k walks the depth: 6 by 4 of
 * the 32 registers of AVX-512, or 6 by 2 of 16, leave room for a row of B and an element of A. Narrow tiles
 * have more rows, for enough independent sums. A block of the depth is so long that its part of a panel stays
 * in the first-level cache while all rows of A pass by. */
#if VECTOR_BYTES == 64
enum { PANEL_VECTORS = 4, ROWS = 6, ROWS_OF_TWO = 8, ROWS_OF_ONE = 8 };
#else
enum { PANEL_VECTORS = 2, ROWS = 6, ROWS_OF_TWO = 6, ROWS_OF_ONE = 8 };
#endif
enum { MOST_ROWS = 8, PANEL = PANEL_VECTORS * LANES, DEPTH_BLOCK = 128 };

/* The part of a product that is in one panel and one block of the depth. */
typedef struct {
    size_t rows, depth, columns;
    const real *a;
    const size_t *a_row, *a_depth;
    const real *b;
    size_t b_step; /* from one row of B to the next */
    bool add;
    real *c;
    const size_t *c_row;
} Part;

static __attribute__((noinline)) void store_some(real *c, const real *sum, size_t columns, bool add) {
    for (size_t n = 0; n < columns; n++) c[n] = add ? c[n] + sum[n] : sum[n];
}

/* Computes `rows` rows of C and stores the first part->rows. Inlined with constants for `rows` and `vectors`.
 */
INLINE void tile(const Part *part, const int rows, const int vectors) {
    const real *a[MOST_ROWS], *b = part->b;
    Vector sum[MOST_ROWS][PANEL_VECTORS];
    UNROLLED for (int r = 0; r < rows; r++) {
        a[r] = part->a + part->a_row[r];
        UNROLLED for (int v = 0; v < vectors; v++) sum[r][v] = (Vector){0};
    }
    const size_t depth = part->depth, b_step = part->b_step, *a_depth = part->a_depth;
    for (size_t k = 0; k < depth; k++, b += b_step) {
        const size_t offset = a_depth[k];
        Vector row[PANEL_VECTORS];
        UNROLLED for (int v = 0; v < vectors; v++) row[v] = load(b + v * LANES);
        UNROLLED for (int r = 0; r < rows; r++) {
            const real scale = a[r][offset];
            UNROLLED for (int v = 0; v < vectors; v++) sum[r][v] = multiply_add(scale, row[v], sum[r][v]);
        }
    }
    const bool whole = part->columns >= (size_t)(vectors * LANES);
    UNROLLED for (int r = 0; r < rows; r++) {
        if ((size_t)r == part->rows) return;
        real *c = part->c + part->c_row[r];
        if (whole) {
            UNROLLED for (int v = 0; v < vectors; v++) {
                real *to = c + v * LANES;
                store(to, part->add ? load(to) + sum[r][v] : sum[r][v]);
            }
        } else {
            Vector row[PANEL_VECTORS];
            UNROLLED for (int v = 0; v < vectors; v++) row[v] = sum[r][v];
            store_some(c, (const real *)row, part->columns, part->add);
        }
    }
}

INLINE void tiles(Part part, const int rows, const int vectors) {
    const size_t step = (size_t)rows;
    size_t a_row[MOST_ROWS], left = part.rows;
    for (part.rows = step; left > 0; left -= part.rows, part.a_row += step, part.c_row += step) {
        if (left < step) { /* the last tile is computed whole, its missing rows repeat another */
            for (size_t r = 0; r < step; r++) a_row[r] = part.a_row[r < left ? r : 0];
            part.a_row = a_row;
            part.rows = left;
        }
        tile(&part, rows, vectors);
    }
}

static size_t whole_vectors(size_t columns) {
    return (columns + LANES - 1) / LANES;
}

static void multiply(const ConvProduct *p) {
    const size_t blocks = (p->depth + DEPTH_BLOCK - 1) / DEPTH_BLOCK;
    for (size_t block = 0; block < blocks; block++) {
        const size_t first = p->depth * block / blocks, end = p->depth * (block + 1) / blocks;
        for (size_t column = 0; column < p->columns; column += PANEL) {
            const size_t columns = least(p->columns - column, PANEL), vectors = whole_vectors(columns);
            const size_t b_step = p->packed ? vectors * LANES : p->columns;
            const Part part = {.rows = p->rows,
                               .depth = end - first,
                               .columns = columns,
                               .a = p->a,
                               .a_row = p->a_row,
                               .a_depth = p->a_depth + first,
                               .b = p->b + (p->packed ? column * p->depth : column) + first * b_step,
                               .b_step = b_step,
                               .add = p->add || block > 0,
                               .c = p->c + column,
                               .c_row = p->c_row};
            switch (vectors) {
            case 1: tiles(part, ROWS_OF_ONE, 1); break;
            case 2: tiles(part, ROWS_OF_TWO, 2); break;
#if VECTOR_BYTES == 64
            case 3: tiles(part, ROWS, 3); break;
            case 4: tiles(part, ROWS, 4); break;
#endif
            }
        }
    }
}

static void pack(const ConvMatrix *matrix, size_t first, size_t depth, real *packed) {
    for (size_t column = 0; column < matrix->columns; column += PANEL) {
        const size_t columns = least(matrix->columns - column, PANEL), width = whole_vectors(columns) * LANES;
        const real *from = matrix->source + column * matrix->column_step;
        real *to = packed + column * depth + first * width;
        for (size_t k = 0; k < matrix->depth; k++, from += matrix->row_step, to += width) {
            size_t n = 0;
            for (; matrix->column_step == 1 && n + LANES <= columns; n += LANES)
                store(to + n, load(from + n));
            for (; n < columns; n++) to[n] = from[n * matrix->column_step];
            for (; n < width; n++) to[n] = 0;
        }
    }
}

/* ---- the sum of overlapping windows -------------------------------------------------------------------- */

/* Narrower vectors, since a piece is a few numbers at any address. */
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

/* Ones in the lanes below `count`. */
INLINE Mask mask_below(size_t count) {
    static const Bits LANE[] = {0, 1, 2, 3, 4, 5, 6, 7};
    Mask lane;
    memcpy(&lane, LANE, sizeof lane);
    return lane < (Bits)least(count, PIECE_LANES);
}

INLINE Piece sum_at(size_t offset, const real *const *sources, size_t count, Mask mask) {
    Piece sum = {0};
    for (size_t i = 0; i < count; i++) sum += *(const PieceAnywhere *)(sources[i] + offset);
    return (Piece)((Mask)sum & mask);
}

/* Adds up a row of pieces of stride · channels numbers. Of a whole source each piece counts in full, of a cut
 * one the first kernel_width % stride pixels. */
INLINE void fold_row(const ConvFold *f, const real *const *whole, size_t whole_count, const real *const *cut,
                     size_t cut_count) {
    const ConvSizes *s = f->sizes;
    const size_t piece = s->stride * s->x_channels, cut_piece = s->kernel_width % s->stride * s->x_channels;
    const size_t pieces = (s->x_width + s->pad + s->stride - 1) / s->stride;
    /* The last vector of a piece may reach into the next piece, so it is stored before the others. */
    for (size_t t = (piece + PIECE_LANES - 1) / PIECE_LANES * PIECE_LANES; t > 0;) {
        t -= PIECE_LANES;
        const Mask mask = mask_below(piece - t), cut_mask = mask_below(cut_piece > t ? cut_piece - t : 0);
        real *row = f->row + t;
        for (size_t j = 0, offset = t; j < pieces; j++, offset += f->slot, row += piece) {
            Piece sum = sum_at(offset, whole, whole_count, mask);
            if (cut_count > 0) sum += sum_at(offset, cut, cut_count, cut_mask);
            *(PieceAnywhere *)row = sum;
        }
    }
}

/* A row of x, with its padding, is a row of pieces. The window of y's pixel j covers pieces j .. j + gap - 1,
 * the last one in part if the stride does not divide the kernel's width. */
static void fold(const ConvFold *f) {
    const ConvSizes *s = f->sizes;
    const size_t covered = s->kernel_width / s->stride, x_row = s->x_width * s->x_channels;
    const real **whole = f->sources, **cut = f->sources + (s->kernel_height / s->stride + 1) * covered;
    for (size_t r = 0; r < s->x_height; r++) {
        const size_t nearest = (r + s->pad) / s->stride; /* the last row of y that reaches this one of x */
        size_t whole_count = 0, cut_count = 0, di = (r + s->pad) % s->stride;
        for (size_t back = 0; back <= nearest && di < s->kernel_height; back++, di += s->stride) {
            if (nearest - back >= s->y_height) continue;
            const size_t slot = f->gap + (nearest - back) * (s->y_width + f->gap);
            for (size_t g = 0; g < f->gap; g++) {
                const size_t within = (di * s->kernel_width + g * s->stride) * s->x_channels;
                const real *source = f->windows + (slot - g) * f->slot + within;
                if (g < covered)
                    whole[whole_count++] = source;
                else
                    cut[cut_count++] = source;
            }
        }
        if (whole_count == 4 && cut_count == 0) {                                /* kernel 4, stride 2 */
            const real *const four[] = {whole[0], whole[1], whole[2], whole[3]}; /* to stay in registers */
            fold_row(f, four, 4, NULL, 0);
        } else {
            fold_row(f, whole, whole_count, cut, cut_count);
        }
        memcpy(f->x + r * x_row, f->row + s->pad * s->x_channels, x_row * sizeof(real));
    }
}

extern const ConvKernels ISA(conv_kernels);
const ConvKernels ISA(conv_kernels) = {LANES, PANEL, multiply, pack, fold};
