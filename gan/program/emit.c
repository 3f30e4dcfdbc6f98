/* The elementwise nodes of a kernel become the instructions of one loop. */
#include <string.h>

#include "base/memory.h"
#include "gan/program/internal.h"

typedef enum { REGISTER_TILE, REGISTER_HELD, REGISTER_INPUT, REGISTER_STORE } RegisterKind;

typedef struct {
    Schedule *schedule;
    Loop *loop;
    size_t instruction_room, input_room, store_room, sum_room;
    int *reg_of;                        /* by node id: its register, or −1 */
    RegisterKind kinds[LOOP_REGISTERS]; /* registers are numbered as they come, and renumbered at the end */
    int registers;
    bool failed; /* no memory */
} Emitter;

static int emit(Emitter *e, const Node *node);

/* ---- registers and instructions ------------------------------------------------------------------------ */

static int new_register(Emitter *e, RegisterKind kind) {
    if (e->registers == LOOP_REGISTERS) e->failed = true; /* cannot be: a group's size is bounded */
    if (e->failed) return 0;
    e->kinds[e->registers] = kind;
    return e->registers++;
}

static bool grow(Emitter *e, void **items, size_t count, size_t *room, size_t size) {
    if (!memory_grow(items, count, room, size)) e->failed = true;
    return !e->failed;
}

/* The register of an instruction that does the same, or of a new one. */
static int instruction(Emitter *e, LoopOp op, int a, int b, int c, double s, double t) {
    Loop *loop = e->loop;
    for (size_t i = 0; i < loop->instruction_count && op != LOOP_COPY; i++) {
        const Instruction *in = &loop->instructions[i];
        if (in->op == op && in->a == a && in->b == b && in->c == c && in->s == (real)s && in->t == (real)t)
            return in->y;
    }
    int y = new_register(e, REGISTER_TILE);
    if (!grow(e, (void **)&loop->instructions, loop->instruction_count, &e->instruction_room,
              sizeof(Instruction)))
        return 0;
    loop->instructions[loop->instruction_count++] =
        (Instruction){.op = op, .y = y, .a = a, .b = b, .c = c, .s = (real)s, .t = (real)t};
    return y;
}

/* ---- how a smaller tensor lies along the loop ---------------------------------------------------------- */

/* `small` has the rank of `large`, and size 1 where it is spread. */
static Access access_of(Shape large, Shape small) {
    int64_t stride[SHAPE_AXES], step = 1;
    for (int axis = large.rank - 1; axis >= 0; axis--) {
        stride[axis] = small.size[axis] == 1 ? 0 : step;
        step *= small.size[axis];
    }
    Access access = {.rank = 0};
    for (int axis = 0; axis < large.rank; axis++) {
        if (large.size[axis] == 1) continue;
        int last = access.rank - 1;
        if (last >= 0 && access.stride[last] == stride[axis] * large.size[axis]) {
            access.size[last] *= large.size[axis];
            access.stride[last] = stride[axis];
        } else {
            access.size[access.rank] = large.size[axis];
            access.stride[access.rank++] = stride[axis];
        }
    }
    if (access.rank == 0) access = (Access){.rank = 1, .size = {1}, .stride = {0}};
    return access;
}

/* The length after which the access repeats, if it is a plain repetition that fits into a tile; else 0. */
static size_t period_of(const Access *access) {
    size_t period = 0;
    if (access->rank == 1 && access->stride[0] == 0) period = 1;
    if (access->rank == 2 && access->stride[0] == 0 && access->stride[1] == 1)
        period = (size_t)access->size[1];
    return period <= LOOP_TILE ? period : 0;
}

static Spread spread_of(const Node *node, Shape large, Shape small) {
    Access access = access_of(large, small);
    size_t period = period_of(&access);
    return (Spread){.node = node,
                    .kind = period ? SPREAD_PERIODIC : SPREAD_RUNS,
                    .period = period,
                    .access = access,
                    .numbers = (size_t)shape_count(small)};
}

static size_t greatest_divisor(size_t a, size_t b) {
    return b ? greatest_divisor(b, a % b) : a;
}

/* Tiles hold whole periods of as many spreads as possible; the others are walked in runs. */
static void choose_tile(Loop *loop) {
    size_t common = 1;
    for (size_t pass = 0; pass < 2; pass++) {
        Spread *spreads = pass ? loop->sums : loop->inputs;
        for (size_t i = 0; i < (pass ? loop->sum_count : loop->input_count); i++) {
            if (spreads[i].kind != SPREAD_PERIODIC) continue;
            size_t multiple = common / greatest_divisor(common, spreads[i].period) * spreads[i].period;
            if (multiple <= LOOP_TILE)
                common = multiple;
            else
                spreads[i].kind = SPREAD_RUNS;
        }
    }
    loop->tile = LOOP_TILE / common * common;
    if (loop->tile > loop->count) loop->tile = loop->count;
}

/* ---- values from outside ------------------------------------------------------------------------------- */

static int input(Emitter *e, Spread spread, RegisterKind kind) {
    Loop *loop = e->loop;
    spread.reg = new_register(e, kind);
    if (!grow(e, (void **)&loop->inputs, loop->input_count, &e->input_room, sizeof(Spread))) return 0;
    loop->inputs[loop->input_count++] = spread;
    return spread.reg;
}

static int emit_expand(Emitter *e, const Node *node) {
    Spread spread = spread_of(schedule_base(node->args[0]), node->shape, node->args[0]->shape);
    for (size_t i = 0; i < e->loop->input_count; i++) {
        const Spread *same = &e->loop->inputs[i];
        if (same->node == spread.node && same->kind == spread.kind && same->period == spread.period &&
            memcmp(&same->access, &spread.access, sizeof same->access) == 0)
            return same->reg;
    }
    return input(e, spread, REGISTER_HELD);
}
/* ---- patterns: several nodes that are one instruction, to the same bits -------------------------------- */

static bool unstored(const Emitter *e, const Node *node) {
    return !e->schedule->info[node->id].root && !schedule_leaf(node->op);
}

/* Neither stored nor computed in this loop so far. */
static bool fresh(const Emitter *e, const Node *node) {
    return unstored(e, node) && e->reg_of[node->id] < 0;
}

static bool scaled(const Node *node, double *factor) {
    return node->op == OP_MUL && node_constant(node->args[1], factor);
}

static const Node *base(const Node *node, int argument) {
    return schedule_base(node->args[argument]);
}

/* Whether the node is z > 0 ? s : t, built from step. */
static bool is_select(const Emitter *e, const Node *node, const Node **z, double *s, double *t) {
    double offset = 0, factor = 1;
    if (node->op == OP_ADD && unstored(e, node) && node_constant(node->args[1], &offset))
        node = base(node, 0);
    if (unstored(e, node) && scaled(node, &factor)) node = base(node, 0);
    if (node->op != OP_STEP || !unstored(e, node)) return false;
    *z = base(node, 0);
    *s = (double)((real)factor + (real)offset);
    *t = offset;
    return true;
}

static int emit_mul(Emitter *e, const Node *node) {
    const Node *a = base(node, 0), *b = base(node, 1), *z;
    double s, t;
    if (node_constant(node->args[1], &s)) return instruction(e, LOOP_SCALE, emit(e, a), -1, -1, s, 0);
    for (int turn = 0; turn < 2; turn++) {
        const Node *factor = turn ? a : b, *other = turn ? b : a;
        if (!is_select(e, factor, &z, &s, &t)) continue;
        if (z == other) return instruction(e, LOOP_LEAKY, emit(e, z), -1, -1, s, t);
        int mask = emit(e, z);
        return instruction(e, LOOP_MASK, mask, emit(e, other), -1, s, t);
    }
    int left = emit(e, a);
    return instruction(e, LOOP_MUL, left, emit(e, b), -1, 0, 0);
}

static int emit_add(Emitter *e, const Node *node) {
    const Node *a = base(node, 0), *b = base(node, 1);
    double factor, term;
    if (node_constant(node->args[1], &term)) {
        if (scaled(a, &factor) && fresh(e, a))
            return instruction(e, LOOP_AFFINE, emit(e, base(a, 0)), -1, -1, factor, term);
        return instruction(e, LOOP_OFFSET, emit(e, a), -1, -1, term, 0);
    }
    for (int turn = 0; turn < 2; turn++) {
        const Node *product = turn ? a : b, *other = turn ? b : a;
        if (product->op != OP_MUL || !fresh(e, product) || product == other) continue;
        int sum = emit(e, other);
        if (!fresh(e, product)) return instruction(e, LOOP_ADD, sum, emit(e, product), -1, 0, 0);
        if (scaled(product, &factor)) {
            int value = emit(e, base(product, 0));
            return factor == -1 ? instruction(e, LOOP_SUB, sum, value, -1, 0, 0)
                                : instruction(e, LOOP_SCALE_ADD, value, sum, -1, factor, 0);
        }
        const Node *z;
        double s, t;
        if (is_select(e, base(product, 0), &z, &s, &t) || is_select(e, base(product, 1), &z, &s, &t))
            return instruction(e, LOOP_ADD, sum, emit(e, product), -1, 0, 0);
        int left = emit(e, base(product, 0)), right = emit(e, base(product, 1));
        return instruction(e, LOOP_MUL_ADD, left, right, sum, 0, 0);
    }
    int left = emit(e, a);
    return instruction(e, LOOP_ADD, left, emit(e, b), -1, 0, 0);
}

static int emit_pow(Emitter *e, const Node *node) {
    double p = node->detail.number;
    LoopOp op = p == 2      ? LOOP_SQUARE
                : p == 0.5  ? LOOP_SQRT
                : p == -1   ? LOOP_RECIPROCAL
                : p == -0.5 ? LOOP_RSQRT
                            : LOOP_POW;
    return instruction(e, op, emit(e, base(node, 0)), -1, -1, p, 0);
}

/* ---- any node ------------------------------------------------------------------------------------------ */

static int emit_unary(Emitter *e, LoopOp op, const Node *node) {
    return instruction(e, op, emit(e, base(node, 0)), -1, -1, 0, 0);
}

static int compute(Emitter *e, const Node *node) {
    double value;
    if (node_constant(node, &value)) return instruction(e, LOOP_FILL, -1, -1, -1, value, 0);
    switch (node->op) {
    case OP_ADD: return emit_add(e, node);
    case OP_MUL: return emit_mul(e, node);
    case OP_POW: return emit_pow(e, node);
    case OP_EXP: return emit_unary(e, LOOP_EXP, node);
    case OP_LOG: return emit_unary(e, LOOP_LOG, node);
    case OP_TANH: return emit_unary(e, LOOP_TANH, node);
    case OP_SIGMOID: return emit_unary(e, LOOP_SIGMOID, node);
    case OP_SOFTPLUS: return emit_unary(e, LOOP_SOFTPLUS, node);
    case OP_STEP: return instruction(e, LOOP_SELECT, emit(e, base(node, 0)), -1, -1, 1, 0);
    default: return emit_expand(e, node);
    }
}

/* Stored values of other kernels are read; a root of this one was computed when its turn came. */
static int emit(Emitter *e, const Node *node) {
    if (e->failed) return 0;
    int *reg = &e->reg_of[node->id];
    if (*reg < 0) {
        bool outside = !unstored(e, node);
        int made = outside ? input(e, (Spread){.node = node, .kind = SPREAD_FULL}, REGISTER_INPUT)
                           : compute(e, node);
        *reg = made;
    }
    return *reg;
}

/* A register that is a spread, or another root's, cannot be stored as it is: it is copied. */
static int own_result(Emitter *e, int reg) {
    return e->kinds[reg] == REGISTER_TILE ? reg : instruction(e, LOOP_COPY, reg, -1, -1, 0, 0);
}

static void emit_root(Emitter *e, const Node *root) {
    Loop *loop = e->loop;
    if (root->op == OP_SUM) {
        Spread sum = spread_of(root, root->args[0]->shape, root->shape);
        sum.reg = emit(e, base(root, 0));
        if (grow(e, (void **)&loop->sums, loop->sum_count, &e->sum_room, sizeof(Spread)))
            loop->sums[loop->sum_count++] = sum;
        return;
    }
    int reg = own_result(e, compute(e, root));
    if (e->failed) return;
    e->reg_of[root->id] = reg;
    if (e->schedule->info[root->id].internal) return;
    e->kinds[reg] = REGISTER_STORE;
    if (grow(e, (void **)&loop->stores, loop->store_count, &e->store_room, sizeof(Spread)))
        loop->stores[loop->store_count++] = (Spread){.node = root, .kind = SPREAD_FULL, .reg = reg};
}

/* ---- numbering the registers: as few tiles as can be --------------------------------------------------- */

static void find_last_uses(const Loop *loop, size_t last[LOOP_REGISTERS]) {
    for (int r = 0; r < LOOP_REGISTERS; r++) last[r] = 0;
    for (size_t i = 0; i < loop->instruction_count; i++) {
        const Instruction *in = &loop->instructions[i];
        const int reads[3] = {in->a, in->b, in->c};
        for (int j = 0; j < 3; j++)
            if (reads[j] >= 0) last[reads[j]] = i;
    }
    for (size_t i = 0; i < loop->sum_count; i++) last[loop->sums[i].reg] = SIZE_MAX;
}

static void number_registers(Emitter *e) {
    Loop *loop = e->loop;
    size_t last[LOOP_REGISTERS];
    int number[LOOP_REGISTERS], tiles = 0;
    bool busy[LOOP_REGISTERS] = {false};
    find_last_uses(loop, last);
    for (int r = 0; r < e->registers; r++)
        if (e->kinds[r] == REGISTER_HELD) busy[tiles] = true, number[r] = tiles++;
    for (size_t i = 0; i < loop->instruction_count; i++) {
        const Instruction *in = &loop->instructions[i];
        const int reads[3] = {in->a, in->b, in->c};
        for (int j = 0; j < 3; j++)
            if (reads[j] >= 0 && e->kinds[reads[j]] == REGISTER_TILE && last[reads[j]] == i)
                busy[number[reads[j]]] = false;
        if (e->kinds[in->y] != REGISTER_TILE) continue;
        int free = 0;
        while (busy[free]) free++;
        if (free == tiles) tiles++;
        number[in->y] = free;
        busy[free] = last[in->y] > i; /* a value that nothing reads frees its tile at once */
    }
    loop->tile_registers = tiles;
    loop->registers = tiles;
    for (int r = 0; r < e->registers; r++)
        if (e->kinds[r] == REGISTER_INPUT || e->kinds[r] == REGISTER_STORE) number[r] = loop->registers++;
    for (size_t i = 0; i < loop->instruction_count; i++) {
        Instruction *in = &loop->instructions[i];
        int *all[4] = {&in->y, &in->a, &in->b, &in->c};
        for (int j = 0; j < 4; j++)
            if (*all[j] >= 0) *all[j] = number[*all[j]];
    }
    for (size_t i = 0; i < loop->input_count; i++) loop->inputs[i].reg = number[loop->inputs[i].reg];
    for (size_t i = 0; i < loop->store_count; i++) loop->stores[i].reg = number[loop->stores[i].reg];
    for (size_t i = 0; i < loop->sum_count; i++) loop->sums[i].reg = number[loop->sums[i].reg];
}

static void lay_out_scratch(Loop *loop) {
    size_t stride = loop_stride(loop);
    loop->scratch = (size_t)loop->tile_registers * stride;
    for (size_t i = 0; i < loop->sum_count; i++) {
        if (loop->sums[i].kind != SPREAD_PERIODIC) continue;
        loop->sums[i].sum = loop->scratch;
        loop->scratch += stride;
    }
}

Loop *emit_loop(Schedule *schedule, const Group *group) {
    size_t nodes = (size_t)graph_node_count(schedule->graph);
    Emitter e = {.schedule = schedule};
    e.loop = memory_new(1, sizeof(Loop));
    e.reg_of = memory_new(nodes, sizeof(int));
    e.failed = !e.loop || !e.reg_of;
    if (!e.failed) {
        for (size_t i = 0; i < nodes; i++) e.reg_of[i] = -1;
        e.loop->count = (size_t)group->count;
        for (size_t r = 0; r < group->root_count && !e.failed; r++) emit_root(&e, group->roots[r]);
    }
    if (!e.failed) {
        choose_tile(e.loop);
        number_registers(&e);
        lay_out_scratch(e.loop);
    }
    memory_free(e.reg_of);
    if (!e.failed) return e.loop;
    loop_free(e.loop);
    error_no_memory(schedule->error, "a program's loops");
    return NULL;
}

void loop_free(Loop *loop) {
    if (!loop) return;
    memory_free(loop->instructions);
    memory_free(loop->inputs);
    memory_free(loop->stores);
    memory_free(loop->sums);
    memory_free(loop);
}
