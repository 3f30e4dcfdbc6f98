#include "metrics/distances.h"

#include <string.h>

#include "base/isa.h"
#include "base/memory.h"

ISA_DECLARE(DistanceKernels, distance_kernels);

Status distances_rows(Matrix matrix, DistanceRows *out, Error *error) {
    size_t stride = (matrix.columns + DISTANCES_LANES - 1) / DISTANCES_LANES * DISTANCES_LANES, count;
    *out = (DistanceRows){.rows = matrix.rows, .stride = stride};
    if (!__builtin_mul_overflow(matrix.rows, stride, &count))
        out->data = memory_new(count, sizeof *out->data);
    if (!out->data) return error_no_memory(error, "a copy of feature rows");
    for (size_t i = 0; i < matrix.rows; i++)
        memcpy(out->data + i * stride, matrix.data + i * matrix.columns,
               matrix.columns * sizeof *matrix.data);
    return STATUS_OK;
}

void distances_rows_free(DistanceRows *rows) {
    memory_free(rows->data);
    *rows = (DistanceRows){0};
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

void distances_block(const DistanceRows *x, size_t x_first, const DistanceRows *y, size_t y_first,
                     DistanceBlock *out) {
    out->down = least(DISTANCES_DOWN, x->rows - x_first);
    out->across = least(DISTANCES_ACROSS, y->rows - y_first);
    ISA_PICK(distance_kernels)
        ->squared(x->data + x_first * x->stride, out->down, y->data + y_first * y->stride, out->across,
                  x->stride, out->squared);
}
