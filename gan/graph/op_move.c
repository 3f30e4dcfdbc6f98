/* Ops that move elements about without computing, resampling of images, and their gradients. */
#include <inttypes.h>
#include <string.h>

#include "gan/graph/node.h"

/* ---- reshape ------------------------------------------------------------------------------------------- */

Node *graph_reshape(Graph *graph, Node *a, Shape shape) {
    if (!node_all(graph, a, a)) return NULL;
    char from[SHAPE_TEXT], to[SHAPE_TEXT];
    Error error;
    if (shape_check(&shape, &error) != STATUS_OK) return graph_fail(graph, "reshape: %s", error.message);
    if (shape_count(shape) != shape_count(a->shape))
        return graph_fail(graph, "reshape: %s has %" PRId64 " elements, %s has %" PRId64,
                          shape_text(a->shape, from), shape_count(a->shape), shape_text(shape, to),
                          shape_count(shape));
    if (graph_simplifies(graph) && a->op == OP_RESHAPE) a = a->args[0];
    return shape_equal(a->shape, shape) ? a : node_make(graph, OP_RESHAPE, shape, a, NULL, NULL);
}

Node *grad_reshape(Graph *graph, Node *node, Node *g, int argument) {
    return graph_reshape(graph, g, node->args[argument]->shape);
}

/* ---- permute ------------------------------------------------------------------------------------------- */

Node *graph_permute(Graph *graph, Node *a, const int *order) {
    if (!node_all(graph, a, a)) return NULL;
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    Shape shape = {.rank = a->shape.rank};
    unsigned seen = 0;
    bool same = true;
    for (int axis = 0; axis < shape.rank; axis++) {
        if (order[axis] < 0 || order[axis] >= shape.rank || seen >> order[axis] & 1)
            return graph_fail(graph, "permute: the order must name each of the %d axes once", shape.rank);
        seen |= 1u << order[axis];
        same = same && order[axis] == axis;
        shape.size[axis] = a->shape.size[order[axis]];
        detail.index[axis] = order[axis];
    }
    return same ? a : node_make(graph, OP_PERMUTE, shape, a, NULL, &detail);
}

Node *grad_permute(Graph *graph, Node *node, Node *g, int argument) {
    (void)argument;
    int inverse[SHAPE_AXES];
    for (int axis = 0; axis < node->shape.rank; axis++) inverse[node->detail.index[axis]] = axis;
    return graph_permute(graph, g, inverse);
}

/* ---- slice and pad ------------------------------------------------------------------------------------- */

Node *graph_slice(Graph *graph, Node *a, const int64_t *first, const int64_t *count) {
    if (!node_all(graph, a, a)) return NULL;
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    char text[SHAPE_TEXT];
    Shape shape = {.rank = a->shape.rank};
    for (int axis = 0; axis < shape.rank; axis++) {
        if (first[axis] < 0 || count[axis] < 1 || first[axis] > a->shape.size[axis] - count[axis])
            return graph_fail(graph,
                              "slice: %" PRId64 " from index %" PRId64
                              " (the first is 0) of axis %d is outside of shape %s",
                              count[axis], first[axis], axis + 1, shape_text(a->shape, text));
        shape.size[axis] = count[axis];
        detail.index[axis] = first[axis];
    }
    return shape_equal(shape, a->shape) ? a : node_make(graph, OP_SLICE, shape, a, NULL, &detail);
}

Node *grad_slice(Graph *graph, Node *node, Node *g, int argument) {
    const Node *a = node->args[argument];
    int64_t after[SHAPE_AXES];
    for (int axis = 0; axis < a->shape.rank; axis++)
        after[axis] = a->shape.size[axis] - node->shape.size[axis] - node->detail.index[axis];
    return graph_pad(graph, g, node->detail.index, after);
}

Node *graph_pad(Graph *graph, Node *a, const int64_t *before, const int64_t *after) {
    if (!node_all(graph, a, a)) return NULL;
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    Shape shape = a->shape;
    for (int axis = 0; axis < shape.rank; axis++) {
        if (before[axis] < 0 || after[axis] < 0 || before[axis] > SHAPE_LIMIT || after[axis] > SHAPE_LIMIT)
            return graph_fail(graph,
                              "pad: %" PRId64 " before and %" PRId64 " after axis %d: 0 or more expected",
                              before[axis], after[axis], axis + 1);
        shape.size[axis] += before[axis] + after[axis];
        detail.index[axis] = before[axis];
    }
    return shape_equal(shape, a->shape) ? a : node_make(graph, OP_PAD, shape, a, NULL, &detail);
}

Node *grad_pad(Graph *graph, Node *node, Node *g, int argument) {
    return graph_slice(graph, g, node->detail.index, node->args[argument]->shape.size);
}

/* A sum of padded parts: its gradients are slices. */
Node *graph_concat(Graph *graph, Node *const *parts, size_t count, int axis) {
    if (count == 0) return graph_fail(graph, "concat: nothing to join");
    for (size_t i = 0; i < count; i++)
        if (!node_all(graph, parts[i], parts[0])) return NULL;
    Shape shape = parts[0]->shape;
    char first[SHAPE_TEXT], other[SHAPE_TEXT];
    if (axis < 0 || axis >= shape.rank)
        return graph_fail(graph, "concat: shape %s has no axis %d", shape_text(shape, first), axis + 1);
    shape.size[axis] = 0;
    for (size_t i = 0; i < count; i++) {
        Shape part = parts[i]->shape;
        int64_t length = axis < part.rank ? part.size[axis] : 0;
        Shape rest = part;
        rest.size[axis] = parts[0]->shape.size[axis];
        if (!shape_equal(rest, parts[0]->shape))
            return graph_fail(graph, "concat: %s and %s differ beyond axis %d",
                              shape_text(parts[0]->shape, first), shape_text(part, other), axis + 1);
        shape.size[axis] += length;
    }
    Node *joined = NULL;
    int64_t before[SHAPE_AXES] = {0}, after[SHAPE_AXES] = {0};
    for (size_t i = 0; i < count; i++) {
        after[axis] = shape.size[axis] - before[axis] - parts[i]->shape.size[axis];
        Node *padded = graph_pad(graph, parts[i], before, after);
        joined = joined ? graph_add(graph, joined, padded) : padded;
        before[axis] += parts[i]->shape.size[axis];
    }
    return joined;
}

/* ---- images -------------------------------------------------------------------------------------------- */

static bool image(Graph *graph, const char *what, Node *a, int64_t factor) {
    if (!node_all(graph, a, a)) return false;
    char text[SHAPE_TEXT];
    if (a->shape.rank != 4) {
        graph_fail(graph, "%s: images (batch, height, width, channels) expected, got shape %s", what,
                   shape_text(a->shape, text));
        return false;
    }
    if (factor < 1 || factor > SHAPE_LIMIT) {
        graph_fail(graph, "%s: the factor must be at least 1, not %" PRId64, what, factor);
        return false;
    }
    return true;
}

static Node *resample(Graph *graph, Op op, Node *a, Shape shape, int64_t factor) {
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.index[0] = factor;
    return factor == 1 ? a : node_make(graph, op, shape, a, NULL, &detail);
}

Node *graph_upsample(Graph *graph, Node *a, int64_t factor) {
    if (!image(graph, "upsample", a, factor)) return NULL;
    Shape shape = a->shape;
    for (int axis = 1; axis <= 2; axis++)
        if (__builtin_mul_overflow(shape.size[axis], factor, &shape.size[axis])) shape.size[axis] = INT64_MAX;
    return resample(graph, OP_UPSAMPLE, a, shape, factor);
}

Node *grad_upsample(Graph *graph, Node *node, Node *g, int argument) {
    (void)argument;
    return graph_poolsum(graph, g, node->detail.index[0]);
}

Node *graph_poolsum(Graph *graph, Node *a, int64_t factor) {
    if (!image(graph, "pool", a, factor)) return NULL;
    Shape shape = a->shape;
    char text[SHAPE_TEXT];
    if (shape.size[1] % factor || shape.size[2] % factor)
        return graph_fail(graph, "pool: height and width of %s are not multiples of %" PRId64,
                          shape_text(shape, text), factor);
    shape.size[1] /= factor;
    shape.size[2] /= factor;
    return resample(graph, OP_POOLSUM, a, shape, factor);
}

Node *grad_poolsum(Graph *graph, Node *node, Node *g, int argument) {
    (void)argument;
    return graph_upsample(graph, g, node->detail.index[0]);
}

Node *graph_avg_pool(Graph *graph, Node *a, int64_t factor) {
    return graph_scale(graph, graph_poolsum(graph, a, factor), 1 / ((double)factor * (double)factor));
}
