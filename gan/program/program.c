/* Programs and workspaces: compiling, looking, running. */
#include "gan/program/program.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "gan/program/internal.h"

/* ---- compiling ----------------------------------------------------------------------------------------- */

static Status check_node(const Graph *graph, const Node *node, const char *what, const char *name,
                         Error *error) {
    if (!node) return error_set(error, STATUS_INVALID, "%s '%s' has no tensor", what, name);
    if (node->graph != graph)
        return error_set(error, STATUS_INVALID, "%s '%s' is a tensor of another graph", what, name);
    return STATUS_OK;
}

static Status check_pair(const Graph *graph, const Node *target, const Node *value, Op op, const char *what,
                         Error *error) {
    if (!target || target->op != op || target->graph != graph)
        return error_set(error, STATUS_INVALID, "%s needs a %s of this graph", what, op_text(op));
    Status status = check_node(graph, value, what, target->name, error);
    char left[SHAPE_TEXT], right[SHAPE_TEXT];
    if (status == STATUS_OK && !shape_equal(target->shape, value->shape))
        return error_set(error, STATUS_INVALID, "%s '%s' of shape %s cannot take a value of shape %s", what,
                         target->name, shape_text(target->shape, left), shape_text(value->shape, right));
    return status;
}

static Status check_spec(const Graph *graph, const ProgramSpec *spec, Error *error) {
    Status status = spec->early ? check_node(graph, spec->early, "early", "node", error) : STATUS_OK;
    for (size_t i = 0; i < spec->output_count && status == STATUS_OK; i++) {
        status = check_node(graph, spec->outputs[i].node, "output", spec->outputs[i].name, error);
        for (size_t j = 0; j < i && status == STATUS_OK; j++)
            if (strcmp(spec->outputs[i].name, spec->outputs[j].name) == 0)
                status =
                    error_set(error, STATUS_INVALID, "two outputs are named '%s'", spec->outputs[i].name);
    }
    for (size_t i = 0; i < spec->assignment_count && status == STATUS_OK; i++) {
        const ProgramAssignment *pair = &spec->assignments[i];
        status = check_pair(graph, pair->variable, pair->value, OP_VARIABLE, "assignment", error);
        for (size_t j = 0; j < i && status == STATUS_OK; j++)
            if (pair->variable == spec->assignments[j].variable)
                status =
                    error_set(error, STATUS_INVALID, "variable '%s' is assigned twice", pair->variable->name);
    }
    for (size_t i = 0; i < spec->gradient_count && status == STATUS_OK; i++) {
        const ProgramGradient *pair = &spec->gradients[i];
        status = check_pair(graph, pair->parameter, pair->gradient, OP_PARAMETER, "gradient", error);
        for (size_t j = 0; j < i && status == STATUS_OK; j++)
            if (pair->parameter == spec->gradients[j].parameter)
                status = error_set(error, STATUS_INVALID, "parameter '%s' has two gradients",
                                   pair->parameter->name);
    }
    return status;
}

static size_t conv_kernel_scratch(const Node *node) {
    ConvFace face = node->op == OP_CONV ? CONV_FACE_Y : node->op == OP_CONV_DX ? CONV_FACE_X : CONV_FACE_W;
    bool conv = node->op == OP_CONV || node->op == OP_CONV_DX || node->op == OP_CONV_DW;
    return conv ? conv_scratch(&node->detail.conv, face) : 0;
}

/* "log, layer generator.3, at script.lua:17" */
static char *origin_of(const Node *node) {
    char text[512];
    snprintf(text, sizeof text, "%s%s%s%s%s", op_text(node->op), node->layer ? ", layer " : "",
             node->layer ? node->layer : "", node->line ? ", at " : "", node->line ? node->line : "");
    return memory_string(text);
}

static Status make_kernels(Schedule *schedule, Program *program, Error *error) {
    program->kernels = memory_new(schedule->group_count, sizeof(Kernel));
    if (!program->kernels) return error_no_memory(error, "a program's kernels");
    for (size_t k = 0; k < schedule->group_count; k++) {
        const Group *group = &schedule->groups[k];
        const Node *root = group->roots[0];
        Kernel *kernel = &program->kernels[program->kernel_count++];
        kernel->op = root->op;
        kernel->detail = root->detail;
        kernel->y_shape = root->shape;
        if (op_arity(root->op) > 0) kernel->a_shape = root->args[0]->shape;
        if (op_arity(root->op) > 1) kernel->b_shape = root->args[1]->shape;
        kernel->scratch = conv_kernel_scratch(root);
        if (group->loop) {
            kernel->loop = emit_loop(schedule, group);
            if (!kernel->loop) return STATUS_NO_MEMORY;
            kernel->scratch = kernel->loop->scratch;
        }
        if (!program->debug) continue;
        kernel->origin = origin_of(root);
        if (!kernel->origin) return error_no_memory(error, "a program's kernels");
    }
    return STATUS_OK;
}

static double flops_of(const Node *node) {
    const ConvShape *conv = &node->detail.conv;
    switch (node->op) {
    case OP_CONV:
    case OP_CONV_DX:
    case OP_CONV_DW:
        return 2.0 * (double)(conv->batch * conv->y_height * conv->y_width * conv->y_channels) *
               (double)(conv->kernel_height * conv->kernel_width * conv->x_channels);
    case OP_MATMUL: {
        int rank = node->args[0]->shape.rank;
        return 2.0 * (double)shape_count(node->shape) *
               (double)node->args[0]->shape.size[node->detail.transpose_a ? rank - 2 : rank - 1];
    }
    case OP_SUM: return (double)shape_count(node->args[0]->shape);
    default: return node->op >= OP_ADD && node->op <= OP_STEP ? (double)shape_count(node->shape) : 0;
    }
}

/* The network's work, counted once a node whatever the kernels compute again. */
static void count_work(const Schedule *schedule, Program *program) {
    for (int id = 0; id < graph_node_count(schedule->graph); id++) {
        const Node *node = graph_node(schedule->graph, id);
        double value;
        if (!schedule->info[id].needed || op_arity(node->op) == 0 || node_constant(node, &value)) continue;
        program->stats.nodes++;
        program->stats.flops += flops_of(node);
    }
    program->stats.kernels = program->kernel_count;
    program->stats.arena_bytes = program->arena * sizeof(real);
    program->stats.state_bytes = layout_numbers(schedule->layout) * sizeof(real);
}

static Status build(Program *program, const Graph *graph, const ProgramSpec *spec, Error *error) {
    Schedule schedule = {.graph = graph, .layout = program->layout, .spec = spec, .error = error};
    Status status = schedule_build(&schedule);
    program->early_count = schedule.early_count;
    if (status == STATUS_OK) status = make_kernels(&schedule, program, error);
    if (status == STATUS_OK) status = plan_program(&schedule, program);
    if (status == STATUS_OK) count_work(&schedule, program);
    schedule_free(&schedule);
    return status;
}

Program *program_new(const Graph *graph, const Layout *layout, const ProgramSpec *given, Error *error) {
    ProgramSpec spec = *given;
    spec.plain = spec.plain || spec.debug;
    spec.literal = spec.literal || spec.plain;
    if (check_spec(graph, &spec, error) != STATUS_OK) return NULL;
    Program *program = memory_new(1, sizeof *program);
    if (!program) {
        error_no_memory(error, "a program");
        return NULL;
    }
    program->layout = layout;
    program->debug = spec.debug;
    Graph *simple = NULL;
    void *lists = NULL;
    Status status = spec.literal ? STATUS_OK : simplify_graph(graph, &spec, &simple, &lists, error);
    if (status == STATUS_OK) status = build(program, simple ? simple : graph, &spec, error);
    memory_free(lists);
    graph_free(simple);
    if (status == STATUS_OK) return program;
    program_free(program);
    return NULL;
}

static void free_ports(Port *ports, size_t count) {
    for (size_t i = 0; i < count; i++) memory_free(ports[i].name);
    memory_free(ports);
}

void program_free(Program *program) {
    if (!program) return;
    for (size_t k = 0; k < program->kernel_count; k++) {
        loop_free(program->kernels[k].loop);
        memory_free(program->kernels[k].origin);
    }
    for (size_t b = 0; b < program->block_count; b++) memory_free(program->blocks[b].group);
    free_ports(program->inputs, program->input_count);
    free_ports(program->outputs, program->output_count);
    memory_free(program->kernels);
    memory_free(program->copies);
    memory_free(program->blocks);
    memory_free(program->gaps);
    memory_free(program);
}

/* ---- looking ------------------------------------------------------------------------------------------- */

ProgramStats program_stats(const Program *program) {
    return program->stats;
}

static int find_port(const Port *ports, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0) return (int)i;
    return -1;
}

size_t program_inputs(const Program *program) {
    return program->input_count;
}

const char *program_input_name(const Program *program, size_t index) {
    return program->inputs[index].name;
}

Shape program_input_shape(const Program *program, size_t index) {
    return program->inputs[index].shape;
}

int program_input_index(const Program *program, const char *name) {
    return find_port(program->inputs, program->input_count, name);
}

size_t program_outputs(const Program *program) {
    return program->output_count;
}

const char *program_output_name(const Program *program, size_t index) {
    return program->outputs[index].name;
}

Shape program_output_shape(const Program *program, size_t index) {
    return program->outputs[index].shape;
}

int program_output_index(const Program *program, const char *name) {
    return find_port(program->outputs, program->output_count, name);
}

/* ---- workspaces ---------------------------------------------------------------------------------------- */

Workspace *workspace_new(void) {
    return memory_new(1, sizeof(Workspace));
}

void workspace_free(Workspace *workspace) {
    if (!workspace) return;
    memory_free(workspace->arena);
    memory_free(workspace);
}

Status workspace_reserve(Workspace *workspace, const Program *program, Error *error) {
    if (program->arena <= workspace->numbers) return STATUS_OK;
    real *arena = memory_new(program->arena, sizeof(real));
    if (!arena)
        return error_set(error, STATUS_NO_MEMORY, "out of memory: no room for a workspace of %.1f MB",
                         (double)program->arena * sizeof(real) * 1e-6);
    memory_free(workspace->arena);
    workspace->arena = arena;
    workspace->numbers = program->arena;
    return STATUS_OK;
}

size_t workspace_bytes(const Workspace *workspace) {
    return workspace->numbers * sizeof(real);
}

real *workspace_input(Workspace *workspace, const Program *program, size_t index) {
    return workspace->arena + program->inputs[index].place.offset;
}

const real *workspace_output(const Workspace *workspace, const Program *program, size_t index) {
    return workspace->arena + program->outputs[index].place.offset;
}

real *workspace_gradients(Workspace *workspace, const Program *program, const char *group, size_t *count) {
    for (size_t b = 0; b < program->block_count; b++)
        if (strcmp(program->blocks[b].group, group) == 0) {
            *count = program->blocks[b].count;
            return workspace->arena + program->blocks[b].offset;
        }
    *count = 0;
    return NULL;
}

const char *profile_kind_text(ProfileKind kind) {
    static const char *const TEXT[PROFILE_KINDS] = {"conv", "matmul", "loop", "move", "random"};
    return TEXT[kind];
}

void workspace_profile(Workspace *workspace, bool on) {
    workspace->profile = on;
    memset(workspace->seconds, 0, sizeof workspace->seconds);
}

double workspace_seconds(const Workspace *workspace, ProfileKind kind) {
    return workspace->seconds[kind];
}

/* ---- running ------------------------------------------------------------------------------------------- */

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static const real *place_pointer(const Workspace *workspace, const State *state, Place place) {
    return (place.kind == PLACE_STATE ? state->data : workspace->arena) + place.offset;
}

/* What a debugging run says of a number that is not finite: which, where, and what the op read. */
static Status check_numbers(const char *what, const real *numbers, Shape shape, Error *error) {
    size_t count = (size_t)shape_count(shape);
    char text[SHAPE_TEXT];
    for (size_t i = 0; i < count; i++)
        if (!isfinite(numbers[i]))
            return error_set(error, STATUS_NOT_FINITE, "%s: element %zu of %zu, shape %s, is %g", what, i + 1,
                             count, shape_text(shape, text), (double)numbers[i]);
    return STATUS_OK;
}

static Status check_inputs(const Program *program, const State *state, const Workspace *workspace,
                           Error *error) {
    char what[300];
    for (size_t i = 0; i < program->input_count; i++) {
        snprintf(what, sizeof what, "input '%s' before the run", program->inputs[i].name);
        const real *numbers = workspace->arena + program->inputs[i].place.offset;
        if (check_numbers(what, numbers, program->inputs[i].shape, error) != STATUS_OK) return error->status;
    }
    for (size_t i = 0; i < layout_count(program->layout); i++) {
        const LayoutEntry *entry = layout_entry(program->layout, i);
        snprintf(what, sizeof what, "%s '%s' before the run", layout_kind_text(entry->kind), entry->name);
        if (check_numbers(what, state->data + entry->offset, entry->shape, error) != STATUS_OK)
            return error->status;
    }
    return STATUS_OK;
}

static Status check_result(const Kernel *kernel, const State *state, const Workspace *workspace,
                           Error *error) {
    Place place = !kernel->loop             ? kernel->y
                  : kernel->loop->sum_count ? kernel->loop->sums[0].place
                                            : kernel->loop->stores[0].place;
    return check_numbers(kernel->origin, place_pointer(workspace, state, place), kernel->y_shape, error);
}

static Status run_kernels(const Program *program, size_t first, size_t end, State *state,
                          Workspace *workspace, uint64_t key, uint64_t counter, Error *error) {
    for (size_t k = first; k < end; k++) {
        const Kernel *kernel = &program->kernels[k];
        double start = workspace->profile ? seconds_now() : 0;
        Status status = kernel_run(kernel, workspace->arena, state->data, workspace->arena + program->scratch,
                                   key, counter, error);
        if (workspace->profile) workspace->seconds[kernel_profile(kernel)] += seconds_now() - start;
        if (status == STATUS_OK && program->debug) status = check_result(kernel, state, workspace, error);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

Status program_begin(const Program *program, State *state, Workspace *workspace, uint64_t key,
                     uint64_t counter, Error *error) {
    if (workspace->numbers < program->arena)
        return error_set(error, STATUS_INVALID, "the workspace was not reserved for this program");
    if (program->debug && check_inputs(program, state, workspace, error) != STATUS_OK) return error->status;
    return run_kernels(program, 0, program->early_count, state, workspace, key, counter, error);
}

Status program_finish(const Program *program, State *state, Workspace *workspace, uint64_t key,
                      uint64_t counter, Error *error) {
    for (size_t i = 0; i < program->gap_count; i++)
        memset(workspace->arena + program->gaps[i].offset, 0, program->gaps[i].count * sizeof(real));
    Status status = run_kernels(program, program->early_count, program->kernel_count, state, workspace, key,
                                counter, error);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < program->copy_count; i++) {
        const Copy *copy = &program->copies[i];
        real *to = (copy->to.kind == PLACE_STATE ? state->data : workspace->arena) + copy->to.offset;
        memmove(to, place_pointer(workspace, state, copy->from), copy->count * sizeof(real));
    }
    return STATUS_OK;
}

Status program_run(const Program *program, State *state, Workspace *workspace, uint64_t key, uint64_t counter,
                   Error *error) {
    Status status = program_begin(program, state, workspace, key, counter, error);
    return status == STATUS_OK ? program_finish(program, state, workspace, key, counter, error) : status;
}
