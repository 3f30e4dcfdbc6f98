/* Differentiation: one sweep from y back to the xs, each op's rule adding nodes of the same op set. */
#include "base/memory.h"
#include "gan/graph/node.h"

/* depends[id]: whether the node's value changes with one of the xs, as far as gradients see. */
static void mark_dependents(Graph *graph, Node *y, Node *const *xs, size_t count, bool *depends) {
    for (size_t i = 0; i < count; i++)
        if (xs[i]->id <= y->id) depends[xs[i]->id] = true;
    for (int id = 0; id <= y->id; id++) {
        Node *node = graph_node(graph, id);
        if (!op_gradient(node->op)) continue;
        for (int i = 0; i < op_arity(node->op); i++) depends[id] = depends[id] || depends[node->args[i]->id];
    }
}

static void sweep(Graph *graph, Node *y, const bool *depends, Node **adjoint) {
    adjoint[y->id] = graph_expand(graph, graph_constant(graph, 1), y->shape);
    for (int id = y->id; id >= 0 && !graph_error(graph); id--) {
        Node *node = graph_node(graph, id), *g = adjoint[id];
        GradientRule *rule = op_gradient(node->op);
        if (!g || !depends[id] || !rule) continue;
        graph_borrow_source(graph, node->line, node->layer); /* the backward op comes from the same line */
        for (int i = 0; i < op_arity(node->op); i++) {
            Node *argument = node->args[i];
            if (!depends[argument->id]) continue;
            Node *part = rule(graph, node, g, i);
            if (!part) continue;
            Node **sum = &adjoint[argument->id];
            *sum = *sum ? graph_add(graph, *sum, part) : part;
        }
    }
}

static const char *describe(const Node *node, char text[SHAPE_TEXT]) {
    return node->name ? node->name : shape_text(node->shape, text);
}

bool graph_grad(Graph *graph, Node *y, Node *const *xs, size_t count, Node **gradients) {
    if (!node_all(graph, y, y)) return false;
    char text[SHAPE_TEXT];
    if (shape_count(y->shape) != 1)
        return graph_fail(graph, "grad: the gradient is taken of a scalar, not of shape %s: sum it first",
                          shape_text(y->shape, text)) != NULL;
    for (size_t i = 0; i < count; i++)
        if (!node_all(graph, xs[i], y)) return false;
    bool *depends = memory_new((size_t)y->id + 1, sizeof *depends);
    Node **adjoint = memory_new((size_t)y->id + 1, sizeof *adjoint);
    if (!depends || !adjoint)
        graph_no_memory(graph);
    else {
        Source own = graph_source(graph);
        mark_dependents(graph, y, xs, count, depends);
        sweep(graph, y, depends, adjoint);
        graph_borrow_source(graph, own.line, own.layer);
    }
    for (size_t i = 0; i < count && !graph_error(graph); i++) {
        gradients[i] = xs[i]->id <= y->id ? adjoint[xs[i]->id] : NULL;
        if (!gradients[i])
            graph_fail(graph, "grad: %s %s does not depend on %s %s%s", op_text(y->op), describe(y, text),
                       op_text(xs[i]->op), describe(xs[i], (char[SHAPE_TEXT]){0}),
                       ": check that it is used, and not only behind detach or step");
    }
    memory_free(depends);
    memory_free(adjoint);
    return graph_error(graph) == NULL;
}
