/* Compiling begins with the same formulas in a simpler form. The script's own graph keeps every node, since
 * any of them may be differentiated against; once a program is compiled nobody can. */
#include <string.h>

#include "base/memory.h"
#include "gan/program/internal.h"

/* rebuilt[id]: the node's counterpart; made on the way up from the leaves, for needed nodes only. */
static void mark_needed(const Graph *graph, bool *needed) {
    for (int id = graph_node_count(graph) - 1; id >= 0; id--) {
        const Node *node = graph_node(graph, id);
        for (int i = 0; needed[id] && i < op_arity(node->op); i++) needed[node->args[i]->id] = true;
    }
}

static void rebuild(const Graph *graph, const bool *needed, Graph *simple, Node **rebuilt) {
    for (int id = 0; id < graph_node_count(graph) && !graph_error(simple); id++) {
        const Node *node = graph_node(graph, id);
        if (!needed[id]) continue;
        graph_borrow_source(simple, node->line, node->layer);
        int arity = op_arity(node->op);
        rebuilt[id] = node_rebuild(simple, node, arity > 0 ? rebuilt[node->args[0]->id] : NULL,
                                   arity > 1 ? rebuilt[node->args[1]->id] : NULL);
    }
}

/* The lists of a spec in one block of memory, in which nodes can be exchanged. */
typedef struct {
    ProgramOutput *outputs;
    ProgramAssignment *assignments;
    ProgramGradient *gradients;
} Lists;

static Lists copy_lists(const ProgramSpec *spec, void *memory) {
    Lists lists = {.outputs = memory};
    lists.assignments = (ProgramAssignment *)(lists.outputs + spec->output_count);
    lists.gradients = (ProgramGradient *)(lists.assignments + spec->assignment_count);
    for (size_t i = 0; i < spec->output_count; i++) lists.outputs[i] = spec->outputs[i];
    for (size_t i = 0; i < spec->assignment_count; i++) lists.assignments[i] = spec->assignments[i];
    for (size_t i = 0; i < spec->gradient_count; i++) lists.gradients[i] = spec->gradients[i];
    return lists;
}

/* Calls for each node that the spec names, with the place where it is named. */
static void each_node(const ProgramSpec *spec, const Lists *lists, Node **early,
                      void (*visit)(void *context, Node **place), void *context) {
    for (size_t i = 0; i < spec->output_count; i++) visit(context, &lists->outputs[i].node);
    for (size_t i = 0; i < spec->assignment_count; i++) {
        visit(context, &lists->assignments[i].variable);
        visit(context, &lists->assignments[i].value);
    }
    for (size_t i = 0; i < spec->gradient_count; i++) {
        visit(context, &lists->gradients[i].parameter);
        visit(context, &lists->gradients[i].gradient);
    }
    if (*early) visit(context, early);
}

static void visit_need(void *context, Node **place) {
    bool *needed = context;
    needed[(*place)->id] = true;
}

static void visit_exchange(void *context, Node **place) {
    Node **rebuilt = context;
    *place = rebuilt[(*place)->id];
}

Status simplify_graph(const Graph *graph, ProgramSpec *spec, Graph **simple, void **memory, Error *error) {
    size_t nodes = (size_t)graph_node_count(graph);
    bool *needed = memory_new(nodes, sizeof *needed);
    Node **rebuilt = memory_new(nodes, sizeof *rebuilt);
    *simple = graph_new();
    *memory = memory_new(1, spec->output_count * sizeof(ProgramOutput) +
                                spec->assignment_count * sizeof(ProgramAssignment) +
                                spec->gradient_count * sizeof(ProgramGradient));
    Status status = STATUS_OK;
    if (!needed || !rebuilt || !*simple || !*memory)
        status = error_no_memory(error, "compiling a program");
    else {
        graph_simplify(*simple);
        Lists lists = copy_lists(spec, *memory);
        each_node(spec, &lists, &spec->early, visit_need, needed);
        mark_needed(graph, needed);
        rebuild(graph, needed, *simple, rebuilt);
        if (graph_error(*simple)) {
            *error = *graph_error(*simple);
            status = error->status;
        } else
            each_node(spec, &lists, &spec->early, visit_exchange, rebuilt);
        spec->outputs = lists.outputs;
        spec->assignments = lists.assignments;
        spec->gradients = lists.gradients;
    }
    memory_free(needed);
    memory_free(rebuilt);
    return status;
}
