/* Sums and their adjoint, the broadcast; the maximum; and their gradients. */
#include <inttypes.h>
#include <string.h>

#include "gan/graph/node.h"

enum { FACTOR_DEPTH = 6, TERM_DEPTH = 2 };

/* The shape after reducing `axes`; axes of size 1 are left out of the set, since nothing happens along them.
 */
static bool reduced(Graph *graph, const char *what, Node *a, unsigned *axes, Shape *shape) {
    if (!node_all(graph, a, a)) return false;
    if (*axes >> a->shape.rank) {
        char text[SHAPE_TEXT];
        graph_fail(graph, "%s: an axis beyond the %d of shape %s", what, a->shape.rank,
                   shape_text(a->shape, text));
        return false;
    }
    *shape = a->shape;
    for (int axis = 0; axis < a->shape.rank; axis++) {
        if (a->shape.size[axis] == 1) *axes &= ~(1u << axis);
        if (*axes >> axis & 1) shape->size[axis] = 1;
    }
    return true;
}

static unsigned all_axes(const Node *a) {
    return (1u << a->shape.rank) - 1;
}

static Node *reduction(Graph *graph, Op op, Node *a, unsigned axes, Shape shape) {
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.axes = axes;
    return node_make(graph, op, shape, a, NULL, &detail);
}

/* ---- sum ----------------------------------------------------------------------------------------------- */

/* If all values of `a` along `axes` are equal, the node that holds each once (its summed axes have size 1).
 */
static Node *without_axes(Graph *graph, Node *a, unsigned axes, Shape shape) {
    double value;
    if (node_constant(a, &value)) return graph_expand(graph, graph_constant(graph, value), shape);
    if (a->op != OP_EXPAND) return NULL;
    for (int axis = 0; axis < a->shape.rank; axis++)
        if (axes >> axis & 1 && a->args[0]->shape.size[axis] != 1) return NULL;
    return graph_expand(graph, a->args[0], shape);
}

/* Whether a product has a factor that does not vary along the summed axes. `depth` bounds the walk here and
 * below: products of shared products have many paths. */
static bool has_even_factor(Graph *graph, Node *a, unsigned axes, Shape shape, int depth) {
    if (without_axes(graph, a, axes, shape)) return true;
    if (a->op != OP_MUL || depth == 0) return false;
    return has_even_factor(graph, a->args[0], axes, shape, depth - 1) ||
           has_even_factor(graph, a->args[1], axes, shape, depth - 1);
}

/* Splits a product into the factors that vary along the summed axes, multiplied into *inside, and the others,
 * multiplied into *outside. */
static void split_factors(Graph *graph, Node *a, unsigned axes, Shape shape, int depth, Node **inside,
                          Node **outside) {
    Node *even = without_axes(graph, a, axes, shape);
    if (even)
        *outside = *outside ? graph_mul(graph, *outside, even) : even;
    else if (has_even_factor(graph, a, axes, shape, depth)) {
        split_factors(graph, a->args[0], axes, shape, depth - 1, inside, outside);
        split_factors(graph, a->args[1], axes, shape, depth - 1, inside, outside);
    } else
        *inside = *inside ? graph_mul(graph, *inside, a) : a;
}

/* A sum of sums, with the factors that do not vary along the summed axes taken out. This is what lets batch
 * norm's backward pass get by with the two reductions that a hand-written one has: Σ g·γ·(x − m)·r is
 * γ·r·Σ g·(x − m), and what remains is one node for all the places that need it. */
static Node *sum_over(Graph *graph, Node *a, unsigned axes, Shape shape, int depth) {
    if (a->op == OP_ADD && depth > 0) {
        Node *left = sum_over(graph, a->args[0], axes, shape, depth - 1);
        Node *right = sum_over(graph, a->args[1], axes, shape, depth - 1);
        return left && right ? graph_add(graph, left, right) : NULL;
    }
    Node *inside = NULL, *outside = NULL;
    split_factors(graph, a, axes, shape, FACTOR_DEPTH, &inside, &outside);
    if (graph_error(graph)) return NULL;
    Node *sum = inside ? reduction(graph, OP_SUM, inside, axes, shape) : NULL;
    if (!outside) return sum;
    double count = (double)(shape_count(a->shape) / shape_count(shape));
    return sum ? graph_mul(graph, sum, outside) : graph_scale(graph, outside, count);
}

Node *graph_sum(Graph *graph, Node *a, unsigned axes) {
    Shape shape;
    if (!reduced(graph, "sum", a, &axes, &shape)) return NULL;
    if (!axes) return a;
    return graph_simplifies(graph) ? sum_over(graph, a, axes, shape, TERM_DEPTH)
                                   : reduction(graph, OP_SUM, a, axes, shape);
}

Node *grad_sum(Graph *graph, Node *node, Node *g, int argument) {
    return graph_expand(graph, g, node->args[argument]->shape);
}

Node *graph_mean(Graph *graph, Node *a, unsigned axes) {
    Node *sum = graph_sum(graph, a, axes);
    return sum ? graph_scale(graph, sum, (double)shape_count(sum->shape) / (double)shape_count(a->shape))
               : NULL;
}

Node *graph_sum_all(Graph *graph, Node *a) {
    if (!node_all(graph, a, a)) return NULL;
    return graph_reshape(graph, graph_sum(graph, a, all_axes(a)), shape_scalar());
}

Node *graph_mean_all(Graph *graph, Node *a) {
    if (!node_all(graph, a, a)) return NULL;
    return graph_reshape(graph, graph_mean(graph, a, all_axes(a)), shape_scalar());
}

/* ---- amax ---------------------------------------------------------------------------------------------- */

Node *graph_amax(Graph *graph, Node *a, unsigned axes) {
    Shape shape;
    if (!reduced(graph, "amax", a, &axes, &shape)) return NULL;
    return axes ? reduction(graph, OP_AMAX, a, axes, shape) : graph_detach(graph, a);
}

/* ---- expand -------------------------------------------------------------------------------------------- */

Node *graph_expand(Graph *graph, Node *a, Shape shape) {
    if (!node_all(graph, a, a)) return NULL;
    char from[SHAPE_TEXT], to[SHAPE_TEXT];
    Error error;
    if (shape_check(&shape, &error) != STATUS_OK) return graph_fail(graph, "expand: %s", error.message);
    if (a->shape.rank == 0 && shape.rank > 0) {
        Shape ones = {.rank = shape.rank};
        for (int axis = 0; axis < shape.rank; axis++) ones.size[axis] = 1;
        a = graph_reshape(graph, a, ones);
        if (!a) return NULL;
    }
    if (a->shape.rank != shape.rank)
        return graph_fail(graph, "expand: %s cannot become %s: the number of axes differs",
                          shape_text(a->shape, from), shape_text(shape, to));
    for (int axis = 0; axis < shape.rank; axis++)
        if (a->shape.size[axis] != shape.size[axis] && a->shape.size[axis] != 1)
            return graph_fail(graph, "expand: %s cannot become %s: axis %d has size %" PRId64 ", not 1",
                              shape_text(a->shape, from), shape_text(shape, to), axis + 1,
                              a->shape.size[axis]);
    if (shape_equal(a->shape, shape)) return a;
    if (graph_simplifies(graph) && a->op == OP_EXPAND) a = a->args[0];
    return node_make(graph, OP_EXPAND, shape, a, NULL, NULL);
}

Node *grad_expand(Graph *graph, Node *node, Node *g, int argument) {
    unsigned axes = 0;
    for (int axis = 0; axis < node->shape.rank; axis++)
        if (node->args[argument]->shape.size[axis] != node->shape.size[axis]) axes |= 1u << axis;
    return graph_sum(graph, g, axes);
}
