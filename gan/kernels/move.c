#include "gan/kernels/move.h"

#include <string.h>

#include "gan/kernels/loop.h"

/* Joins neighbouring axes that both sides walk as one, and drops those of size 1. */
static Move collapse(const Move *move) {
    Move out = {.rank = 0};
    for (int axis = 0; axis < move->rank; axis++) {
        if (move->size[axis] == 1) continue;
        int last = out.rank - 1;
        if (last >= 0 && out.from[last] == move->from[axis] * move->size[axis] &&
            out.to[last] == move->to[axis] * move->size[axis]) {
            out.size[last] *= move->size[axis];
            out.from[last] = move->from[axis];
            out.to[last] = move->to[axis];
        } else {
            out.size[out.rank] = move->size[axis];
            out.from[out.rank] = move->from[axis];
            out.to[out.rank++] = move->to[axis];
        }
    }
    if (out.rank == 0) out = (Move){.rank = 1, .size = {1}, .from = {1}, .to = {1}};
    return out;
}

typedef void Run(int64_t n, const real *from, int64_t from_stride, real *to, int64_t to_stride);

/* Calls `run` for each stretch of the last axis. */
static void walk(const Move *given, const real *from, real *to, Run *run) {
    Move move = collapse(given);
    int64_t index[MOVE_AXES] = {0};
    int last = move.rank - 1;
    for (;;) {
        run(move.size[last], from, move.from[last], to, move.to[last]);
        int axis = last - 1;
        for (; axis >= 0; axis--) {
            from += move.from[axis];
            to += move.to[axis];
            if (++index[axis] < move.size[axis]) break;
            index[axis] = 0;
            from -= move.from[axis] * move.size[axis];
            to -= move.to[axis] * move.size[axis];
        }
        if (axis < 0) return;
    }
}

static void run_copy(int64_t n, const real *from, int64_t from_stride, real *to, int64_t to_stride) {
    if (from_stride == 1 && to_stride == 1)
        memcpy(to, from, (size_t)n * sizeof(real));
    else
        for (int64_t i = 0; i < n; i++) to[i * to_stride] = from[i * from_stride];
}

static void run_add(int64_t n, const real *from, int64_t from_stride, real *to, int64_t to_stride) {
    if (from_stride == 1 && to_stride == 1)
        loop_kernels()->accumulate((size_t)n, to, from);
    else
        for (int64_t i = 0; i < n; i++) to[i * to_stride] += from[i * from_stride];
}

static void run_max(int64_t n, const real *from, int64_t from_stride, real *to, int64_t to_stride) {
    for (int64_t i = 0; i < n; i++) {
        real a = from[i * from_stride], *top = &to[i * to_stride];
        if (!(a <= *top) && *top == *top) *top = a;
    }
}

void move_copy(const Move *move, const real *from, real *to) {
    walk(move, from, to, run_copy);
}

void move_add(const Move *move, const real *from, real *to) {
    walk(move, from, to, run_add);
}

void move_max(const Move *move, const real *from, real *to) {
    walk(move, from, to, run_max);
}

/* False for NaN too. */
static int row_of(real index, size_t rows, size_t *row) {
    if (!(index >= 0 && index < (real)rows)) return 0;
    *row = (size_t)index;
    return (real)*row == index;
}

size_t move_gather(size_t count, size_t width, size_t rows, const real *table, const real *index, real *y) {
    for (size_t i = 0, row; i < count; i++) {
        if (!row_of(index[i], rows, &row)) return i;
        memcpy(y + i * width, table + row * width, width * sizeof(real));
    }
    return SIZE_MAX;
}

size_t move_scatter(size_t count, size_t width, size_t rows, const real *values, const real *index, real *y) {
    memset(y, 0, rows * width * sizeof(real));
    for (size_t i = 0, row; i < count; i++) {
        if (!row_of(index[i], rows, &row)) return i;
        for (size_t j = 0; j < width; j++) y[row * width + j] += values[i * width + j];
    }
    return SIZE_MAX;
}
