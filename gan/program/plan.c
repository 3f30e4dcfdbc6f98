/* Every stored value gets its place: leaves in the state or among the inputs, gradients in their group's
 * block, everything else in the arena for as long as it is needed. */
#include <string.h>

#include "base/memory.h"
#include "gan/program/internal.h"

/* A stretch of the arena that one value, or several written over each other, hold from one kernel to another.
 */
typedef struct {
    size_t numbers;
    size_t first, last; /* kernels */
    int same_as;        /* the buffer that this one is written over; −1: none */
    size_t offset;
} Buffer;

typedef struct {
    Schedule *schedule;
    Program *program;
    Buffer *buffers;
    size_t count, room;
    int *buffer_of; /* by node id; −1: none */
    size_t copy_room, gap_room;
    size_t end; /* one past the last kernel: when results are read */
} Plan;

static size_t round_up(size_t numbers) {
    return (numbers + REAL_LANES - 1) / REAL_LANES * REAL_LANES;
}

static NodeInfo *info_of(const Plan *plan, const Node *node) {
    return &plan->schedule->info[node->id];
}

static size_t numbers_of(const Node *node) {
    return (size_t)shape_count(node->shape);
}

static Status no_memory(const Plan *plan) {
    return error_no_memory(plan->schedule->error, "a program's plan");
}

/* Takes a stretch that nothing else ever uses, behind what is taken so far. */
static Place reserve(Plan *plan, size_t numbers) {
    Place place = {PLACE_ARENA, plan->program->arena};
    plan->program->arena += round_up(numbers);
    return place;
}

/* ---- leaves -------------------------------------------------------------------------------------------- */

static Status place_state_leaf(Plan *plan, const Node *node) {
    const Layout *layout = plan->schedule->layout;
    LayoutKind kind = node->op == OP_PARAMETER ? LAYOUT_PARAMETER : LAYOUT_VARIABLE;
    LayoutKind average = node->op == OP_PARAMETER ? LAYOUT_AVERAGE_PARAMETER : LAYOUT_AVERAGE_VARIABLE;
    const LayoutEntry *entry = layout_find(layout, kind, node->name),
                      *averaged = layout_find(layout, average, node->name);
    if (!entry || !shape_equal(entry->shape, node->shape))
        return error_set(plan->schedule->error, STATUS_INVALID,
                         "%s '%s' is not in the state's layout with this shape", op_text(node->op),
                         node->name);
    if (plan->schedule->spec->read_averages && averaged) entry = averaged;
    info_of(plan, node)->place = (Place){PLACE_STATE, entry->offset};
    if (node->op == OP_PARAMETER) plan->program->stats.parameters += entry->count;
    return STATUS_OK;
}

static Status place_input(Plan *plan, const Node *node, size_t *room) {
    Program *program = plan->program;
    char *name = memory_string(node->name);
    if (!name || !memory_grow((void **)&program->inputs, program->input_count, room, sizeof(Port))) {
        memory_free(name);
        return no_memory(plan);
    }
    Place place = reserve(plan, numbers_of(node));
    info_of(plan, node)->place = place;
    program->inputs[program->input_count++] = (Port){name, node->shape, place};
    return STATUS_OK;
}

static Status place_leaves(Plan *plan) {
    size_t input_room = 0;
    for (int id = 0; id < graph_node_count(plan->schedule->graph); id++) {
        const Node *node = graph_node(plan->schedule->graph, id);
        if (!plan->schedule->info[id].needed || !schedule_leaf(node->op)) continue;
        Status status =
            node->op == OP_INPUT ? place_input(plan, node, &input_room) : place_state_leaf(plan, node);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* ---- gradients ----------------------------------------------------------------------------------------- */

static Status copy_value(Plan *plan, Place from, Place to, size_t count) {
    Program *program = plan->program;
    if (!memory_grow((void **)&program->copies, program->copy_count, &plan->copy_room, sizeof(Copy)))
        return no_memory(plan);
    program->copies[program->copy_count++] = (Copy){from, to, count};
    return STATUS_OK;
}

static Status find_gradient_block(Plan *plan, const char *group, size_t *room, GradientBlock **found) {
    Program *program = plan->program;
    for (size_t i = 0; i < program->block_count; i++)
        if (strcmp(program->blocks[i].group, group) == 0) {
            *found = &program->blocks[i];
            return STATUS_OK;
        }
    char *name = memory_string(group);
    if (!name || !memory_grow((void **)&program->blocks, program->block_count, room, sizeof(GradientBlock))) {
        memory_free(name);
        return no_memory(plan);
    }
    size_t count;
    layout_block(plan->schedule->layout, group, LAYOUT_PARAMETER, &count);
    program->blocks[program->block_count] = (GradientBlock){name, reserve(plan, count).offset, count};
    *found = &program->blocks[program->block_count++];
    return STATUS_OK;
}

/* A gradient is computed where the optimizer will look for it; the same node a second time is copied there.
 */
static Status place_gradients(Plan *plan) {
    const ProgramSpec *spec = plan->schedule->spec;
    const Layout *layout = plan->schedule->layout;
    size_t block_room = 0;
    for (size_t i = 0; i < spec->gradient_count; i++) {
        const Node *parameter = spec->gradients[i].parameter;
        const LayoutEntry *entry = layout_find(layout, LAYOUT_PARAMETER, parameter->name);
        if (!entry)
            return error_set(plan->schedule->error, STATUS_INVALID,
                             "parameter '%s' is not in the state's layout", parameter->name);
        GradientBlock *block = NULL;
        Status status = find_gradient_block(plan, parameter->group, &block_room, &block);
        if (status != STATUS_OK) return status;
        size_t unused, start = layout_block(layout, parameter->group, LAYOUT_PARAMETER, &unused);
        Place place = {PLACE_ARENA, block->offset + entry->offset - start};
        const Node *base = schedule_base(spec->gradients[i].gradient);
        NodeInfo *info = info_of(plan, base);
        if (info->place.kind == PLACE_NONE)
            info->place = place;
        else
            status = copy_value(plan, info->place, place, entry->count);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* What of the gradient blocks no gradient fills: the alignment between tensors, and parameters left out. */
static Status find_gaps(Plan *plan) {
    Program *program = plan->program;
    const Layout *layout = plan->schedule->layout;
    const ProgramSpec *spec = plan->schedule->spec;
    for (size_t b = 0; b < program->block_count; b++) {
        const GradientBlock *block = &program->blocks[b];
        size_t unused, start = layout_block(layout, block->group, LAYOUT_PARAMETER, &unused), position = 0;
        while (position < block->count) {
            size_t next = block->count, length = 0; /* the next gradient at or after the position */
            for (size_t i = 0; i < spec->gradient_count; i++) {
                const LayoutEntry *entry =
                    layout_find(layout, LAYOUT_PARAMETER, spec->gradients[i].parameter->name);
                if (strcmp(entry->group, block->group) != 0 || entry->offset - start < position) continue;
                if (entry->offset - start < next) next = entry->offset - start, length = entry->count;
            }
            if (next > position) {
                if (!memory_grow((void **)&program->gaps, program->gap_count, &plan->gap_room, sizeof(Range)))
                    return no_memory(plan);
                program->gaps[program->gap_count++] = (Range){block->offset + position, next - position};
            }
            position = next + length;
        }
    }
    return STATUS_OK;
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

static Status make_buffers(Plan *plan) {
    Schedule *schedule = plan->schedule;
    for (size_t k = 0; k < schedule->group_count; k++)
        for (size_t r = 0; r < schedule->groups[k].root_count; r++) {
            const Node *root = schedule->groups[k].roots[r];
            NodeInfo *info = info_of(plan, root);
            if (info->internal || info->place.kind != PLACE_NONE) continue;
            if (!memory_grow((void **)&plan->buffers, plan->count, &plan->room, sizeof(Buffer)))
                return no_memory(plan);
            plan->buffer_of[root->id] = (int)plan->count;
            plan->buffers[plan->count++] =
                (Buffer){.numbers = round_up(numbers_of(root)), .first = k, .last = k, .same_as = -1};
        }
    return STATUS_OK;
}

static void needed_until(Plan *plan, const Node *node, size_t kernel) {
    int index = plan->buffer_of[schedule_base(node)->id];
    if (index >= 0 && plan->buffers[index].last < kernel) plan->buffers[index].last = kernel;
}

static void find_lifetimes(Plan *plan) {
    Schedule *schedule = plan->schedule;
    for (size_t k = 0; k < schedule->group_count; k++) {
        const Loop *loop = plan->program->kernels[k].loop;
        const Node *root = schedule->groups[k].roots[0];
        if (loop)
            for (size_t i = 0; i < loop->input_count; i++) needed_until(plan, loop->inputs[i].node, k);
        else
            for (int i = 0; i < op_arity(root->op); i++) needed_until(plan, root->args[i], k);
    }
    const ProgramSpec *spec = schedule->spec;
    for (size_t i = 0; i < spec->output_count; i++) needed_until(plan, spec->outputs[i].node, plan->end);
    for (size_t i = 0; i < spec->assignment_count; i++)
        needed_until(plan, spec->assignments[i].value, plan->end);
    for (size_t i = 0; i < spec->gradient_count; i++)
        needed_until(plan, spec->gradients[i].gradient, plan->end);
}

/* ---- in place ------------------------------------------------------------------------------------------ */

static int representative(const Plan *plan, int index) {
    while (plan->buffers[index].same_as >= 0) index = plan->buffers[index].same_as;
    return index;
}

/* Whether no instruction reads the input after the one that writes the store, nor any sum. */
static bool read_before_written(const Loop *loop, const Spread *input, const Spread *store) {
    for (size_t i = 0; i < loop->sum_count; i++)
        if (loop->sums[i].reg == input->reg) return false;
    bool written = false;
    for (size_t i = 0; i < loop->instruction_count; i++) {
        const Instruction *in = &loop->instructions[i];
        if (written && (in->a == input->reg || in->b == input->reg || in->c == input->reg)) return false;
        if (in->y == store->reg) written = true;
    }
    return true;
}

static bool read_once(const Loop *loop, const Spread *input) {
    int times = 0;
    for (size_t i = 0; i < loop->input_count; i++) times += loop->inputs[i].node == input->node;
    return times == 1;
}

/* A loop may write a result over an input that it is the last to need. */
static void share_in_place(Plan *plan, size_t k) {
    const Loop *loop = plan->program->kernels[k].loop;
    if (!loop) return;
    for (size_t s = 0; s < loop->store_count; s++) {
        int store = plan->buffer_of[loop->stores[s].node->id];
        if (store < 0) continue;
        for (size_t i = 0; i < loop->input_count && plan->buffers[store].same_as < 0; i++) {
            const Spread *input = &loop->inputs[i];
            int buffer = plan->buffer_of[input->node->id];
            if (input->kind != SPREAD_FULL || buffer < 0 || !read_once(loop, input)) continue;
            Buffer *whole = &plan->buffers[representative(plan, buffer)];
            if (whole->last != k || whole->numbers != plan->buffers[store].numbers) continue;
            if (!read_before_written(loop, input, &loop->stores[s])) continue;
            plan->buffers[store].same_as = representative(plan, buffer);
            whole->last = plan->buffers[store].last;
        }
    }
}

/* ---- the arena ----------------------------------------------------------------------------------------- */

static bool overlap_in_time(const Buffer *a, const Buffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest place where the buffer meets none of the placed ones that live at the same time. */
static size_t lowest_offset(const Plan *plan, const Buffer *buffer, const int *placed, size_t count) {
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < count; i++) {
            const Buffer *other = &plan->buffers[placed[i]];
            if (!overlap_in_time(buffer, other)) continue;
            if (offset < other->offset + other->numbers && other->offset < offset + buffer->numbers) {
                offset = other->offset + other->numbers;
                moved = true;
            }
        }
    }
    return offset;
}

/* Largest first, each as low as it can go. */
static Status place_buffers(Plan *plan) {
    int *order = memory_new(plan->count + 1, sizeof *order);
    if (!order) return no_memory(plan);
    size_t count = 0, top = 0;
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->buffers[i].same_as >= 0) continue;
        size_t at = count++;
        for (; at > 0 && plan->buffers[order[at - 1]].numbers < plan->buffers[i].numbers; at--)
            order[at] = order[at - 1];
        order[at] = (int)i;
    }
    for (size_t i = 0; i < count; i++) {
        Buffer *buffer = &plan->buffers[order[i]];
        buffer->offset = plan->schedule->spec->plain ? top : lowest_offset(plan, buffer, order, i);
        if (top < buffer->offset + buffer->numbers) top = buffer->offset + buffer->numbers;
    }
    memory_free(order);
    Place start = reserve(plan, top);
    for (int id = 0; id < graph_node_count(plan->schedule->graph); id++) {
        int index = plan->buffer_of[id];
        if (index < 0) continue;
        size_t offset = plan->buffers[representative(plan, index)].offset;
        plan->schedule->info[id].place = (Place){PLACE_ARENA, start.offset + offset};
    }
    return STATUS_OK;
}

/* ---- results ------------------------------------------------------------------------------------------- */

static Place place_of(const Plan *plan, const Node *node) {
    return info_of(plan, schedule_base(node))->place;
}

/* An output that is a part of the state is copied, so that it can be read without knowing the state. */
static Status place_outputs(Plan *plan) {
    Program *program = plan->program;
    const ProgramSpec *spec = plan->schedule->spec;
    program->outputs = memory_new(spec->output_count, sizeof(Port));
    if (!program->outputs) return no_memory(plan);
    for (size_t i = 0; i < spec->output_count; i++) {
        const Node *node = spec->outputs[i].node;
        Port port = {memory_string(spec->outputs[i].name), node->shape, place_of(plan, node)};
        if (!port.name) return no_memory(plan);
        program->outputs[program->output_count++] = port;
        if (port.place.kind != PLACE_STATE) continue;
        program->outputs[i].place = reserve(plan, numbers_of(node));
        Status status = copy_value(plan, port.place, program->outputs[i].place, numbers_of(node));
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* All values are taken before any variable changes: one that is itself a part of the state goes through the
 * arena. */
static Status place_assignments(Plan *plan) {
    const ProgramSpec *spec = plan->schedule->spec;
    size_t first = plan->program->copy_count;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0, taken = first; i < spec->assignment_count; i++) {
            const Node *variable = spec->assignments[i].variable, *value = spec->assignments[i].value;
            const LayoutEntry *entry = layout_find(plan->schedule->layout, LAYOUT_VARIABLE, variable->name);
            if (!entry)
                return error_set(plan->schedule->error, STATUS_INVALID,
                                 "variable '%s' is not in the state's layout", variable->name);
            Place from = place_of(plan, value), to = {PLACE_STATE, entry->offset};
            bool through = from.kind == PLACE_STATE;
            if (pass == 0 && !through) continue;
            if (pass == 0) to = reserve(plan, entry->count);
            if (pass == 1 && through) from = plan->program->copies[taken++].to;
            Status status = copy_value(plan, from, to, entry->count);
            if (status != STATUS_OK) return status;
        }
    return STATUS_OK;
}

/* ---- kernels ------------------------------------------------------------------------------------------- */

static void place_loop(Plan *plan, Loop *loop) {
    for (size_t i = 0; i < loop->input_count; i++)
        loop->inputs[i].place = place_of(plan, loop->inputs[i].node);
    for (size_t i = 0; i < loop->store_count; i++)
        loop->stores[i].place = place_of(plan, loop->stores[i].node);
    for (size_t i = 0; i < loop->sum_count; i++) loop->sums[i].place = place_of(plan, loop->sums[i].node);
}

static void place_kernels(Plan *plan) {
    size_t scratch = 0;
    for (size_t k = 0; k < plan->program->kernel_count; k++) {
        Kernel *kernel = &plan->program->kernels[k];
        const Node *root = plan->schedule->groups[k].roots[0];
        if (kernel->loop)
            place_loop(plan, kernel->loop);
        else {
            kernel->y = place_of(plan, root);
            if (op_arity(root->op) > 0) kernel->a = place_of(plan, root->args[0]);
            if (op_arity(root->op) > 1) kernel->b = place_of(plan, root->args[1]);
        }
        if (scratch < kernel->scratch) scratch = kernel->scratch;
    }
    plan->program->scratch = reserve(plan, scratch).offset;
}

Status plan_program(Schedule *schedule, Program *program) {
    size_t nodes = (size_t)graph_node_count(schedule->graph);
    Plan plan = {.schedule = schedule, .program = program, .end = schedule->group_count};
    plan.buffer_of = memory_new(nodes, sizeof(int));
    Status status = plan.buffer_of ? STATUS_OK : no_memory(&plan);
    for (size_t i = 0; plan.buffer_of && i < nodes; i++) plan.buffer_of[i] = -1;
    if (status == STATUS_OK) status = place_leaves(&plan);
    if (status == STATUS_OK) status = place_gradients(&plan);
    if (status == STATUS_OK) status = find_gaps(&plan);
    if (status == STATUS_OK) status = make_buffers(&plan);
    if (status == STATUS_OK) {
        find_lifetimes(&plan);
        for (size_t k = 0; k < schedule->group_count && !schedule->spec->plain; k++) share_in_place(&plan, k);
        status = place_buffers(&plan);
    }
    if (status == STATUS_OK) status = place_outputs(&plan);
    if (status == STATUS_OK) status = place_assignments(&plan);
    if (status == STATUS_OK) place_kernels(&plan);
    memory_free(plan.buffers);
    memory_free(plan.buffer_of);
    return status;
}
