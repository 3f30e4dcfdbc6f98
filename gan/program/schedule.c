/* Which nodes are computed, which are stored, and which kernel computes each. */
#include <string.h>

#include "base/memory.h"
#include "gan/program/internal.h"

const Node *schedule_base(const Node *node) {
    while (node->op == OP_RESHAPE || node->op == OP_DETACH) node = node->args[0];
    return node;
}

bool schedule_leaf(Op op) {
    return op == OP_INPUT || op == OP_PARAMETER || op == OP_VARIABLE;
}

bool schedule_elementwise(Op op) {
    return op == OP_CONSTANT || op == OP_EXPAND || (op >= OP_ADD && op <= OP_STEP);
}

static NodeInfo *info_of(const Schedule *schedule, const Node *node) {
    return &schedule->info[node->id];
}

static bool stored(const Schedule *schedule, const Node *base) {
    return schedule_leaf(base->op) || info_of(schedule, base)->root;
}

static Node *argument(const Node *node, int i) {
    return (Node *)schedule_base(node->args[i]);
}

/* ---- what is needed ------------------------------------------------------------------------------------ */

static void need(Schedule *schedule, const Node *node, bool root) {
    NodeInfo *info = info_of(schedule, schedule_base(node));
    info->needed = true;
    info->uses++;
    if (root) info->root = true;
}

/* Results are roots; leaves among them are copied when the program is planned. */
static void need_results(Schedule *schedule) {
    const ProgramSpec *spec = schedule->spec;
    for (size_t i = 0; i < spec->output_count; i++) need(schedule, spec->outputs[i].node, true);
    for (size_t i = 0; i < spec->assignment_count; i++) need(schedule, spec->assignments[i].value, true);
    for (size_t i = 0; i < spec->gradient_count; i++) need(schedule, spec->gradients[i].gradient, true);
}

/* From the results back to the leaves: arguments have smaller ids. Whatever is not elementwise stores its
 * result and reads stored ones; a broadcast reads a stored one, unless it is a constant. */
static void need_arguments(Schedule *schedule) {
    for (int id = graph_node_count(schedule->graph) - 1; id >= 0; id--) {
        const Node *node = graph_node(schedule->graph, id);
        NodeInfo *info = &schedule->info[id];
        double value;
        if (!info->needed) continue;
        bool inlined = schedule_elementwise(node->op) || node->op == OP_SUM;
        if (!schedule_elementwise(node->op) && !schedule_leaf(node->op)) info->root = true;
        if (node_constant(node, &value)) continue;
        for (int i = 0; i < op_arity(node->op); i++)
            need(schedule, node->args[i], !inlined || node->op == OP_EXPAND || schedule->spec->plain);
    }
    for (int id = 0; id < graph_node_count(schedule->graph); id++)
        if (schedule_leaf(graph_node(schedule->graph, id)->op)) schedule->info[id].root = false;
}

/* ---- what is stored ------------------------------------------------------------------------------------ */

typedef struct {
    Schedule *schedule;
    size_t mark;
    ScheduleVisit *visit;
    void *context;
} Walk;

/* Each stored value is reported once as it lies and once as spread, at most. */
static size_t walk_argument(Walk *walk, const Node *node);

static size_t walk_node(Walk *walk, const Node *node) {
    double value;
    if (node_constant(node, &value)) return 0;
    if (node->op == OP_EXPAND) {
        if (walk->visit) walk->visit(walk->context, argument(node, 0), true);
        return 0;
    }
    size_t nodes = node->op == OP_SUM ? 0 : 1;
    for (int i = 0; i < op_arity(node->op); i++) nodes += walk_argument(walk, argument(node, i));
    return nodes;
}

static size_t walk_argument(Walk *walk, const Node *node) {
    NodeInfo *info = info_of(walk->schedule, node);
    if (info->mark == walk->mark) return 0;
    info->mark = walk->mark;
    if (!stored(walk->schedule, node)) return walk_node(walk, node);
    if (walk->visit) walk->visit(walk->context, node, false);
    return 0;
}

size_t schedule_walk(Schedule *schedule, const Node *root, ScheduleVisit *visit, void *context) {
    Walk walk = {schedule, ++schedule->walks, visit, context};
    return walk_node(&walk, root);
}

static size_t cost(Op op) {
    switch (op) {
    case OP_POW: return 2;
    case OP_EXP:
    case OP_LOG:
    case OP_TANH:
    case OP_SIGMOID:
    case OP_SOFTPLUS: return SHARED_LIMIT; /* worth storing as soon as two want it */
    default: return 0;
    }
}

/* Elementwise nodes that are cheap to compute again where they are needed stay unstored; long or costly ones
 * become roots. Arguments come first, so that walks stop at the roots found so far. */
static void choose_roots(Schedule *schedule) {
    for (int id = 0; id < graph_node_count(schedule->graph); id++) {
        const Node *node = graph_node(schedule->graph, id);
        NodeInfo *info = &schedule->info[id];
        double value;
        if (!info->needed || info->root || !schedule_elementwise(node->op) || node->op == OP_EXPAND) continue;
        if (node_constant(node, &value)) continue;
        size_t nodes = schedule_walk(schedule, node, NULL, NULL);
        info->root = nodes > BODY_LIMIT || (info->uses > 1 && nodes + cost(node->op) > SHARED_LIMIT);
    }
}

/* ---- which kernel computes it -------------------------------------------------------------------------- */

/* What a root's expression reads, as seen from the kernels there are. */
typedef struct {
    Schedule *schedule;
    int64_t count;          /* elements of the loop */
    int earliest;           /* the first kernel in which everything that is read can be had */
    const Node *values[32]; /* read as they lie: the first so many */
    size_t value_count;
    int needs[2 * BODY_LIMIT]; /* kernels whose results are read */
    size_t need_count;
} Reads;

static bool holds(const int *numbers, size_t count, int number) {
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number) return true;
    return false;
}

static bool is_loop_root(const Node *node) {
    return schedule_elementwise(node->op) || node->op == OP_SUM;
}

static int64_t loop_count(const Node *root) {
    return shape_count(root->op == OP_SUM ? root->args[0]->shape : root->shape);
}

static void visit_read(void *context, const Node *value, bool spread) {
    Reads *reads = context;
    int kernel = info_of(reads->schedule, value)->kernel;
    bool whole = !spread && shape_count(value->shape) == reads->count;
    /* A value of the same loop can be used tile by tile; a sum, or what another op makes, only afterwards. */
    bool within = whole && kernel >= 0 && schedule_elementwise(value->op) &&
                  reads->schedule->groups[kernel].loop &&
                  reads->schedule->groups[kernel].count == reads->count;
    int from = within ? kernel : kernel + 1;
    if (from > reads->earliest) reads->earliest = from;
    if (kernel >= 0 && reads->need_count < sizeof reads->needs / sizeof *reads->needs &&
        !holds(reads->needs, reads->need_count, kernel))
        reads->needs[reads->need_count++] = kernel;
    if (whole && reads->value_count < sizeof reads->values / sizeof *reads->values)
        reads->values[reads->value_count++] = value;
}

/* Whether the group computes, or reads as it lies, one of the values. */
static bool shares(const Group *group, const Reads *reads) {
    for (size_t i = 0; i < group->value_count; i++)
        for (size_t j = 0; j < reads->value_count; j++)
            if (group->values[i] == reads->values[j]) return true;
    return false;
}

static Status keep_value(Schedule *schedule, Group *group, const Node *value) {
    if (!memory_grow((void **)&group->values, group->value_count, &group->value_room, sizeof(Node *)))
        return error_no_memory(schedule->error, "a program's kernels");
    group->values[group->value_count++] = value;
    return STATUS_OK;
}

static Status keep_need(Schedule *schedule, Group *group, int kernel) {
    if (holds(group->needs, group->need_count, kernel)) return STATUS_OK;
    if (!memory_grow((void **)&group->needs, group->need_count, &group->need_room, sizeof(int)))
        return error_no_memory(schedule->error, "a program's kernels");
    group->needs[group->need_count++] = kernel;
    return STATUS_OK;
}

static Status add_root(Schedule *schedule, size_t index, Node *root, const Reads *reads, size_t body) {
    Group *group = &schedule->groups[index];
    if (!memory_grow((void **)&group->roots, group->root_count, &group->root_room, sizeof(Node *)))
        return error_no_memory(schedule->error, "a program's kernels");
    group->roots[group->root_count++] = root;
    group->body += body;
    info_of(schedule, root)->kernel = (int)index;
    Status status = keep_value(schedule, group, root);
    for (size_t i = 0; i < reads->value_count && status == STATUS_OK; i++)
        status = keep_value(schedule, group, reads->values[i]);
    for (size_t i = 0; i < reads->need_count && status == STATUS_OK; i++)
        if (reads->needs[i] != (int)index) status = keep_need(schedule, group, reads->needs[i]);
    return status;
}

static Status new_group(Schedule *schedule, Node *root, bool loop, const Reads *reads, size_t body) {
    if (!memory_grow((void **)&schedule->groups, schedule->group_count, &schedule->group_room, sizeof(Group)))
        return error_no_memory(schedule->error, "a program's kernels");
    schedule->groups[schedule->group_count++] = (Group){.loop = loop, .count = reads->count};
    return add_root(schedule, schedule->group_count - 1, root, reads, body);
}

/* Whether neither a root nor the loop waits for anything new when the root joins it. */
static bool waits_for_the_same(const Group *group, int index, const Reads *reads) {
    for (size_t i = 0; i < reads->need_count; i++)
        if (reads->needs[i] != index && !holds(group->needs, group->need_count, reads->needs[i]))
            return false;
    if (holds(reads->needs, reads->need_count, index)) return true;
    for (size_t i = 0; i < group->need_count; i++)
        if (!holds(reads->needs, reads->need_count, group->needs[i])) return false;
    return true;
}

/* Whether a root may be computed in a loop that there is: over as many elements, and touching the same
 * memory. A small loop gains nothing from that, so there nothing is made to wait. */
static bool fits(const Group *group, int index, const Reads *reads, size_t body) {
    if (!group->loop || group->count != reads->count || group->body + body > GROUP_LIMIT) return false;
    return shares(group, reads) && (reads->count > LOOP_TILE || waits_for_the_same(group, index, reads));
}

/* A root joins the first loop that it fits and that runs late enough. */
static Status place_loop_root(Schedule *schedule, Node *root) {
    Reads reads = {.schedule = schedule, .count = loop_count(root)};
    size_t body = schedule_walk(schedule, root, visit_read, &reads) + 1;
    size_t first =
        (size_t)reads.earliest > schedule->early_count ? (size_t)reads.earliest : schedule->early_count;
    for (size_t k = first; !schedule->spec->plain && k < schedule->group_count; k++)
        if (fits(&schedule->groups[k], (int)k, &reads, body))
            return add_root(schedule, k, root, &reads, body);
    return new_group(schedule, root, true, &reads, body);
}

static Status place_other_root(Schedule *schedule, Node *root) {
    Reads none = {.schedule = schedule};
    return new_group(schedule, root, false, &none, 0);
}

static void mark_early(Schedule *schedule) {
    if (!schedule->spec->early) return;
    need(schedule, schedule->spec->early, true);
    info_of(schedule, schedule_base(schedule->spec->early))->early = true;
    for (int id = graph_node_count(schedule->graph) - 1; id >= 0; id--) {
        const Node *node = graph_node(schedule->graph, id);
        for (int i = 0; schedule->info[id].early && i < op_arity(node->op); i++)
            info_of(schedule, argument(node, i))->early = true;
    }
}

static Status group_roots(Schedule *schedule, bool early) {
    for (int id = 0; id < graph_node_count(schedule->graph); id++) {
        Node *node = graph_node(schedule->graph, id);
        const NodeInfo *info = &schedule->info[id];
        if (!info->needed || !info->root || info->early != early) continue;
        Status status =
            is_loop_root(node) ? place_loop_root(schedule, node) : place_other_root(schedule, node);
        if (status != STATUS_OK) return status;
    }
    if (early) schedule->early_count = schedule->group_count;
    return STATUS_OK;
}

/* ---- the order of running ------------------------------------------------------------------------------ */

/* Kernel `to` reads what kernel `from` makes. */
typedef struct {
    int from, to;
} Edge;

typedef struct {
    Schedule *schedule;
    Edge *edges;
    size_t count, room;
    int to;
    bool failed; /* no memory */
} Edges;

static void visit_edge(void *context, const Node *value, bool spread) {
    (void)spread;
    Edges *edges = context;
    int from = info_of(edges->schedule, value)->kernel;
    if (from < 0 || from == edges->to) return;
    if (!memory_grow((void **)&edges->edges, edges->count, &edges->room, sizeof(Edge)))
        edges->failed = true;
    else
        edges->edges[edges->count++] = (Edge){from, edges->to};
}

static Edges find_edges(Schedule *schedule) {
    Edges edges = {.schedule = schedule};
    for (size_t k = 0; k < schedule->group_count && !edges.failed; k++) {
        const Group *group = &schedule->groups[k];
        edges.to = (int)k;
        for (size_t r = 0; r < group->root_count; r++)
            if (group->loop)
                schedule_walk(schedule, group->roots[r], visit_edge, &edges);
            else
                for (int i = 0; i < op_arity(group->roots[r]->op); i++)
                    visit_edge(&edges, argument(group->roots[r], i), false);
    }
    return edges;
}

/* Fills `order` with the kernels as they are to run: of those that are ready, the one that became ready last.
 * So a chain is followed to its end, backward pass and all, before another one starts, and what it needed is
 * free again: a discriminator's passes over real and over generated images need the memory of one. Of what
 * becomes ready together the newest goes first: the gradient of a layer's weights before that of its input,
 * which leads away. `waiting` counts what each kernel waits for; `stack` is as long as there are kernels. */
static void depth_first(const Schedule *schedule, const Edges *edges, int *waiting, int *stack, int *order) {
    size_t done = 0, top = 0;
    for (int part = 0; part < 2; part++) {
        size_t first = part ? schedule->early_count : 0,
               end = part ? schedule->group_count : schedule->early_count;
        for (size_t k = end; k-- > first;)
            if (waiting[k] == 0) stack[top++] = (int)k;
        while (top > 0) {
            int kernel = stack[--top];
            order[done++] = kernel;
            for (size_t i = 0; i < edges->count; i++) {
                int to = edges->edges[i].to;
                if (edges->edges[i].from == kernel && --waiting[to] == 0 && (size_t)to < end)
                    stack[top++] = to;
            }
        }
    }
}

static Status reorder(Schedule *schedule) {
    size_t count = schedule->group_count;
    Edges edges = find_edges(schedule);
    int *numbers = memory_new(3 * count, sizeof *numbers);
    Group *groups = memory_new(count, sizeof *groups);
    bool failed = edges.failed || !numbers || !groups;
    if (!failed) {
        for (size_t i = 0; i < edges.count; i++) numbers[edges.edges[i].to]++;
        int *order = numbers + 2 * count;
        depth_first(schedule, &edges, numbers, numbers + count, order);
        for (size_t k = 0; k < count; k++) groups[k] = schedule->groups[k];
        for (size_t k = 0; k < count; k++) {
            schedule->groups[k] = groups[order[k]];
            for (size_t r = 0; r < schedule->groups[k].root_count; r++)
                info_of(schedule, schedule->groups[k].roots[r])->kernel = (int)k;
        }
    }
    memory_free(groups);
    memory_free(numbers);
    memory_free(edges.edges);
    return failed ? error_no_memory(schedule->error, "a program's kernels") : STATUS_OK;
}

/* ---- roots that only their own kernel reads ------------------------------------------------------------ */

typedef struct {
    Schedule *schedule;
    int kernel;
} Reader;

static void visit_outside(void *context, const Node *value, bool spread) {
    Reader *reader = context;
    NodeInfo *info = info_of(reader->schedule, value);
    if (spread || info->kernel != reader->kernel) info->internal = false;
}

static void find_internal(Schedule *schedule) {
    const ProgramSpec *spec = schedule->spec;
    for (size_t k = 0; k < schedule->group_count; k++)
        for (size_t r = 0; r < schedule->groups[k].root_count; r++) {
            const Node *root = schedule->groups[k].roots[r];
            info_of(schedule, root)->internal = schedule_elementwise(root->op) && !spec->plain;
        }
    for (size_t i = 0; i < spec->output_count; i++)
        info_of(schedule, schedule_base(spec->outputs[i].node))->internal = false;
    for (size_t i = 0; i < spec->assignment_count; i++)
        info_of(schedule, schedule_base(spec->assignments[i].value))->internal = false;
    for (size_t i = 0; i < spec->gradient_count; i++)
        info_of(schedule, schedule_base(spec->gradients[i].gradient))->internal = false;
    for (size_t k = 0; k < schedule->group_count; k++) {
        const Group *group = &schedule->groups[k];
        Reader reader = {schedule, (int)k};
        for (size_t r = 0; r < group->root_count; r++) {
            if (group->loop)
                schedule_walk(schedule, group->roots[r], visit_outside, &reader);
            else
                for (int i = 0; i < op_arity(group->roots[r]->op); i++)
                    info_of(schedule, argument(group->roots[r], i))->internal = false;
        }
    }
}

Status schedule_build(Schedule *schedule) {
    size_t count = (size_t)graph_node_count(schedule->graph);
    schedule->info = memory_new(count, sizeof(NodeInfo));
    if (!schedule->info) return error_no_memory(schedule->error, "compiling a program");
    for (size_t id = 0; id < count; id++) schedule->info[id].kernel = -1;
    need_results(schedule);
    mark_early(schedule);
    need_arguments(schedule);
    choose_roots(schedule);
    Status status = group_roots(schedule, true);
    if (status == STATUS_OK) status = group_roots(schedule, false);
    if (status == STATUS_OK && !schedule->spec->plain) status = reorder(schedule);
    if (status == STATUS_OK) find_internal(schedule);
    return status;
}

void schedule_free(Schedule *schedule) {
    for (size_t k = 0; k < schedule->group_count; k++) {
        memory_free(schedule->groups[k].roots);
        memory_free(schedule->groups[k].values);
        memory_free(schedule->groups[k].needs);
    }
    memory_free(schedule->groups);
    memory_free(schedule->info);
}
