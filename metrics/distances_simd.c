/* Compiled once for each instruction set (base/isa.h). */
#include "base/isa.h"
#include "metrics/distances.h"

/* One register's worth of the lanes. At every level lane l sums the columns l, l + 8, l + 16, ... in this
 * order, so the sums come out the same. */
#if defined(__AVX512F__)
enum { PART_LANES = 8 };
#elif defined(__AVX__)
enum { PART_LANES = 4 };
#else
enum { PART_LANES = 2 };
#endif
typedef double Part __attribute__((vector_size(PART_LANES * sizeof(double)), may_alias));

enum { TILE_DOWN = 4, TILE_ACROSS = 2 }; /* pairs whose sums are kept in registers together */

static inline double sum_of(const double *v) {
    return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

/* Inlined with constant `down` and `across`, so that the inner loops unroll. */
static inline __attribute__((always_inline)) void tile(const double *x, size_t down, const double *y,
                                                       size_t across, size_t stride, double *out) {
    double lanes[TILE_DOWN * TILE_ACROSS][DISTANCES_LANES] __attribute__((aligned(64)));
    for (size_t lane = 0; lane < DISTANCES_LANES; lane += PART_LANES) {
        Part sums[TILE_DOWN * TILE_ACROSS] = {{0}};
        for (size_t column = lane; column < stride; column += DISTANCES_LANES)
            for (size_t i = 0; i < down; i++)
                for (size_t j = 0; j < across; j++) {
                    Part difference =
                        *(const Part *)(x + i * stride + column) - *(const Part *)(y + j * stride + column);
                    sums[i * across + j] += difference * difference;
                }
        for (size_t pair = 0; pair < down * across; pair++) *(Part *)(lanes[pair] + lane) = sums[pair];
    }
    for (size_t i = 0; i < down; i++)
        for (size_t j = 0; j < across; j++) out[i * DISTANCES_ACROSS + j] = sum_of(lanes[i * across + j]);
}

static void squared(const double *x, size_t down, const double *y, size_t across, size_t stride,
                    double (*out)[DISTANCES_ACROSS]) {
    size_t full_down = down / TILE_DOWN * TILE_DOWN, full_across = across / TILE_ACROSS * TILE_ACROSS;
    for (size_t i = 0; i < full_down; i += TILE_DOWN)
        for (size_t j = 0; j < full_across; j += TILE_ACROSS)
            tile(x + i * stride, TILE_DOWN, y + j * stride, TILE_ACROSS, stride, &out[i][j]);
    for (size_t i = 0; i < down; i++)
        for (size_t j = i < full_down ? full_across : 0; j < across; j++)
            tile(x + i * stride, 1, y + j * stride, 1, stride, &out[i][j]);
}

const DistanceKernels ISA(distance_kernels) = {.squared = squared};
