/* Running kernels. */
#include <cblas.h>
#include <inttypes.h>
#include <string.h>

#include "base/random.h"
#include "gan/program/internal.h"

/* ---- loops --------------------------------------------------------------------------------------------- */

typedef struct {
    real *arena, *state;
} Memory;

static real *at(Memory memory, Place place) {
    return (place.kind == PLACE_STATE ? memory.state : memory.arena) + place.offset;
}

/* A walk along an access, stretch by stretch of its last axis. */
typedef struct {
    const Access *access;
    int64_t index[SHAPE_AXES];
    int64_t element; /* of the smaller tensor */
} Walk;

static Walk walk_from(const Access *access, size_t start) {
    Walk walk = {.access = access};
    int64_t rest = (int64_t)start;
    for (int axis = access->rank - 1; axis >= 0; axis--) {
        walk.index[axis] = rest % access->size[axis];
        rest /= access->size[axis];
        walk.element += walk.index[axis] * access->stride[axis];
    }
    return walk;
}

/* How far the last axis goes on, at most `most`. */
static size_t walk_stretch(const Walk *walk, size_t most) {
    int last = walk->access->rank - 1;
    size_t left = (size_t)(walk->access->size[last] - walk->index[last]);
    return left < most ? left : most;
}

static void walk_on(Walk *walk, size_t steps) {
    const Access *access = walk->access;
    int axis = access->rank - 1;
    walk->index[axis] += (int64_t)steps;
    walk->element += (int64_t)steps * access->stride[axis];
    for (; axis > 0 && walk->index[axis] == access->size[axis]; axis--) {
        walk->element += access->stride[axis - 1] - access->size[axis] * access->stride[axis];
        walk->index[axis] = 0;
        walk->index[axis - 1]++;
    }
}

/* The stride of an access's last axis is 1, or 0 where it repeats one number. */
static void spread_runs(const Access *access, size_t start, size_t n, const real *from, real *tile) {
    Walk walk = walk_from(access, start);
    for (size_t done = 0, length; done < n; done += length) {
        length = walk_stretch(&walk, n - done);
        if (access->stride[access->rank - 1])
            memcpy(tile + done, from + walk.element, length * sizeof(real));
        else
            for (size_t i = 0; i < length; i++) tile[done + i] = from[walk.element];
        walk_on(&walk, length);
    }
}

/* Short stretches, such as an image's channels, are not worth a call. */
static double sum_stretch(const LoopKernels *loops, size_t n, const real *tile) {
    enum { SHORT = 32 };
    if (n > SHORT) return loops->sum(n, tile);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)tile[i];
    return sum;
}

static void sum_runs(const LoopKernels *loops, const Access *access, size_t start, size_t n, const real *tile,
                     real *to) {
    Walk walk = walk_from(access, start);
    for (size_t done = 0, length; done < n; done += length) {
        length = walk_stretch(&walk, n - done);
        if (access->stride[access->rank - 1])
            loops->accumulate(length, to + walk.element, tile + done);
        else
            to[walk.element] += (real)sum_stretch(loops, length, tile + done);
        walk_on(&walk, length);
    }
}

/* Doubles what is there until the tile, whole periods long, is full. */
static void spread_periods(size_t period, size_t n, const real *from, real *tile) {
    memcpy(tile, from, period * sizeof(real));
    for (size_t done = period; done < n;) {
        size_t length = done < n - done ? done : n - done;
        memcpy(tile + done, tile, length * sizeof(real));
        done += length;
    }
}

/* Folds the accumulated tile, whole periods long, into one period: halves are added, as long as there are
 * two. */
static void fold_periods(const LoopKernels *loops, size_t period, size_t n, real *sums, real *to) {
    if (period == 1) {
        to[0] = (real)loops->sum(n, sums);
        return;
    }
    for (size_t rows = n / period; rows > 1; rows = (rows + 1) / 2)
        loops->accumulate(rows / 2 * period, sums, sums + (rows + 1) / 2 * period);
    memcpy(to, sums, period * sizeof(real));
}

static void loop_begin(const Loop *loop, Memory memory, real **reg, real *scratch) {
    size_t stride = loop_stride(loop);
    for (int r = 0; r < loop->tile_registers; r++) reg[r] = scratch + (size_t)r * stride;
    for (size_t i = 0; i < loop->input_count; i++) {
        const Spread *input = &loop->inputs[i];
        if (input->kind == SPREAD_PERIODIC)
            spread_periods(input->period, loop->tile, at(memory, input->place), reg[input->reg]);
    }
    for (size_t i = 0; i < loop->sum_count; i++) {
        const Spread *sum = &loop->sums[i];
        if (sum->kind == SPREAD_PERIODIC)
            memset(scratch + sum->sum, 0, loop->tile * sizeof(real));
        else
            memset(at(memory, sum->place), 0, sum->numbers * sizeof(real));
    }
}

static void loop_tile(const Loop *loop, const LoopKernels *loops, Memory memory, size_t start, size_t n,
                      real **reg, real *scratch) {
    for (size_t i = 0; i < loop->input_count; i++) {
        const Spread *input = &loop->inputs[i];
        if (input->kind == SPREAD_FULL)
            reg[input->reg] = at(memory, input->place) + start;
        else if (input->kind == SPREAD_RUNS)
            spread_runs(&input->access, start, n, at(memory, input->place), reg[input->reg]);
    }
    for (size_t i = 0; i < loop->store_count; i++)
        reg[loop->stores[i].reg] = at(memory, loop->stores[i].place) + start;
    for (size_t i = 0; i < loop->instruction_count; i++) {
        const Instruction *in = &loop->instructions[i];
        loops->op[in->op](n, reg[in->y], in->a < 0 ? NULL : reg[in->a], in->b < 0 ? NULL : reg[in->b],
                          in->c < 0 ? NULL : reg[in->c], in->s, in->t);
    }
    for (size_t i = 0; i < loop->sum_count; i++) {
        const Spread *sum = &loop->sums[i];
        if (sum->kind == SPREAD_PERIODIC)
            loops->accumulate(n, scratch + sum->sum, reg[sum->reg]);
        else
            sum_runs(loops, &sum->access, start, n, reg[sum->reg], at(memory, sum->place));
    }
}

static void loop_run(const Loop *loop, Memory memory, real *scratch) {
    const LoopKernels *loops = loop_kernels();
    real *reg[LOOP_REGISTERS];
    loop_begin(loop, memory, reg, scratch);
    for (size_t start = 0; start < loop->count; start += loop->tile) {
        size_t n = loop->count - start < loop->tile ? loop->count - start : loop->tile;
        loop_tile(loop, loops, memory, start, n, reg, scratch);
    }
    for (size_t i = 0; i < loop->sum_count; i++) {
        const Spread *sum = &loop->sums[i];
        if (sum->kind == SPREAD_PERIODIC)
            fold_periods(loops, sum->period, loop->tile, scratch + sum->sum, at(memory, sum->place));
    }
}

/* ---- movement ------------------------------------------------------------------------------------------ */

static void strides_of(Shape shape, int64_t stride[SHAPE_AXES]) {
    int64_t step = 1;
    for (int axis = shape.rank - 1; axis >= 0; axis--) {
        stride[axis] = step;
        step *= shape.size[axis];
    }
}

static void run_permute(const Kernel *k, const real *a, real *y) {
    int64_t from[SHAPE_AXES], to[SHAPE_AXES];
    strides_of(k->a_shape, from);
    strides_of(k->y_shape, to);
    Move move = {.rank = k->y_shape.rank};
    for (int axis = 0; axis < move.rank; axis++) {
        move.size[axis] = k->y_shape.size[axis];
        move.from[axis] = from[k->detail.index[axis]];
        move.to[axis] = to[axis];
    }
    move_copy(&move, a, y);
}

/* Copies the smaller of two boxes from or to its place in the larger one. */
static Move box(const Kernel *k, Shape inner, int64_t *offset) {
    int64_t from[SHAPE_AXES], to[SHAPE_AXES];
    strides_of(k->a_shape, from);
    strides_of(k->y_shape, to);
    Move move = {.rank = inner.rank};
    *offset = 0;
    for (int axis = 0; axis < move.rank; axis++) {
        move.size[axis] = inner.size[axis];
        move.from[axis] = from[axis];
        move.to[axis] = to[axis];
        *offset += k->detail.index[axis] * (k->op == OP_SLICE ? from[axis] : to[axis]);
    }
    return move;
}

static void run_slice(const Kernel *k, const real *a, real *y) {
    int64_t offset;
    Move move = box(k, k->y_shape, &offset);
    move_copy(&move, a + offset, y);
}

static void run_pad(const Kernel *k, const real *a, real *y) {
    int64_t offset;
    Move move = box(k, k->a_shape, &offset);
    memset(y, 0, (size_t)shape_count(k->y_shape) * sizeof(real));
    move_copy(&move, a, y + offset);
}

/* Axes (batch, rows, row in block, columns, column in block, channels); the small image stands still within a
 * block. */
static Move blocks(Shape small, int64_t factor, bool up) {
    int64_t n = small.size[0], h = small.size[1], w = small.size[2], c = small.size[3], f = factor;
    Move move = {.rank = 6, .size = {n, h, f, w, f, c}};
    const int64_t narrow[6] = {h * w * c, w * c, 0, c, 0, 1};
    const int64_t wide[6] = {h * f * w * f * c, f * w * f * c, w * f * c, f * c, c, 1};
    memcpy(move.from, up ? narrow : wide, sizeof narrow);
    memcpy(move.to, up ? wide : narrow, sizeof wide);
    return move;
}

static void run_upsample(const Kernel *k, const real *a, real *y) {
    Move move = blocks(k->a_shape, k->detail.index[0], true);
    move_copy(&move, a, y);
}

static void run_poolsum(const Kernel *k, const real *a, real *y) {
    Move move = blocks(k->y_shape, k->detail.index[0], false);
    memset(y, 0, (size_t)shape_count(k->y_shape) * sizeof(real));
    move_add(&move, a, y);
}

/* Starts from each block's first element, so that all numbers, and NaN, compare as they are. */
static void run_amax(const Kernel *k, const real *a, real *y) {
    int64_t from[SHAPE_AXES], to[SHAPE_AXES];
    strides_of(k->a_shape, from);
    strides_of(k->y_shape, to);
    Move first = {.rank = k->a_shape.rank}, all = {.rank = k->a_shape.rank};
    for (int axis = 0; axis < all.rank; axis++) {
        bool reduced = k->detail.axes >> axis & 1;
        first.size[axis] = reduced ? 1 : k->a_shape.size[axis];
        all.size[axis] = k->a_shape.size[axis];
        first.from[axis] = all.from[axis] = from[axis];
        first.to[axis] = all.to[axis] = reduced ? 0 : to[axis];
    }
    move_copy(&first, a, y);
    move_max(&all, a, y);
}

/* ---- lookup -------------------------------------------------------------------------------------------- */

static Status check_rows(const Kernel *k, size_t bad, size_t rows, const real *index, Error *error) {
    if (bad == SIZE_MAX) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "%s: index number %zu is %g: a whole number in 0 .. %zu expected",
                     op_text(k->op), bad + 1, (double)index[bad], rows - 1);
}

static Status run_gather(const Kernel *k, const real *table, const real *index, real *y, Error *error) {
    size_t rows = (size_t)k->a_shape.size[0], count = (size_t)shape_count(k->b_shape);
    size_t width = (size_t)shape_count(k->a_shape) / rows;
    return check_rows(k, move_gather(count, width, rows, table, index, y), rows, index, error);
}

static Status run_scatter(const Kernel *k, const real *values, const real *index, real *y, Error *error) {
    size_t rows = (size_t)k->y_shape.size[0], count = (size_t)shape_count(k->b_shape);
    size_t width = (size_t)shape_count(k->y_shape) / rows;
    return check_rows(k, move_scatter(count, width, rows, values, index, y), rows, index, error);
}

/* ---- matmul -------------------------------------------------------------------------------------------- */

static void multiply(bool ta, bool tb, int m, int n, int k, const real *a, const real *b, real *y) {
    CBLAS_TRANSPOSE flag_a = ta ? CblasTrans : CblasNoTrans, flag_b = tb ? CblasTrans : CblasNoTrans;
#ifdef BROOD_DOUBLE
    cblas_dgemm(CblasRowMajor, flag_a, flag_b, m, n, k, 1, a, ta ? m : k, b, tb ? k : n, 0, y, n);
#else
    cblas_sgemm(CblasRowMajor, flag_a, flag_b, m, n, k, 1, a, ta ? m : k, b, tb ? k : n, 0, y, n);
#endif
}

static void run_matmul(const Kernel *kernel, const real *a, const real *b, real *y) {
    Shape shape = kernel->y_shape;
    bool ta = kernel->detail.transpose_a, tb = kernel->detail.transpose_b;
    int64_t m = shape.size[shape.rank - 2], n = shape.size[shape.rank - 1];
    int64_t k = kernel->a_shape.size[ta ? shape.rank - 2 : shape.rank - 1];
    int64_t batch = shape.rank == 3 ? shape.size[0] : 1;
    for (int64_t i = 0; i < batch; i++)
        multiply(ta, tb, (int)m, (int)n, (int)k, a + i * m * k, b + i * k * n, y + i * m * n);
}

/* ---- any kernel ---------------------------------------------------------------------------------------- */

Status kernel_run(const Kernel *kernel, real *arena, real *state, real *scratch, uint64_t key,
                  uint64_t counter, Error *error) {
    Memory memory = {arena, state};
    if (kernel->loop) {
        loop_run(kernel->loop, memory, scratch);
        return STATUS_OK;
    }
    real *y = at(memory, kernel->y);
    const real *a = at(memory, kernel->a), *b = at(memory, kernel->b);
    size_t count = (size_t)shape_count(kernel->y_shape);
    /* Each random leaf has a range of indices of its own. */
    uint64_t first = (uint64_t)kernel->detail.index[0] << 44;
    switch (kernel->op) {
    case OP_NORMAL: random_normal(key, counter, first, count, y); break;
    case OP_UNIFORM: random_uniform(key, counter, first, count, y); break;
    case OP_PERMUTE: run_permute(kernel, a, y); break;
    case OP_SLICE: run_slice(kernel, a, y); break;
    case OP_PAD: run_pad(kernel, a, y); break;
    case OP_UPSAMPLE: run_upsample(kernel, a, y); break;
    case OP_POOLSUM: run_poolsum(kernel, a, y); break;
    case OP_AMAX: run_amax(kernel, a, y); break;
    case OP_GATHER: return run_gather(kernel, a, b, y, error);
    case OP_SCATTER: return run_scatter(kernel, a, b, y, error);
    case OP_MATMUL: run_matmul(kernel, a, b, y); break;
    case OP_CONV: conv_y(&kernel->detail.conv, a, b, y, scratch); break;
    case OP_CONV_DX: conv_x(&kernel->detail.conv, a, b, y, scratch); break;
    case OP_CONV_DW: conv_w(&kernel->detail.conv, a, b, y, scratch); break;
    default: return error_set(error, STATUS_INVALID, "op %s has no kernel of its own", op_text(kernel->op));
    }
    return STATUS_OK;
}

ProfileKind kernel_profile(const Kernel *kernel) {
    if (kernel->loop) return PROFILE_LOOP;
    switch (kernel->op) {
    case OP_CONV:
    case OP_CONV_DX:
    case OP_CONV_DW: return PROFILE_CONV;
    case OP_MATMUL: return PROFILE_MATMUL;
    case OP_NORMAL:
    case OP_UNIFORM: return PROFILE_RANDOM;
    default: return PROFILE_MOVE;
    }
}
