/* Products: lookup, matmul, the three faces of convolution, and their gradients. */
#include <inttypes.h>
#include <string.h>

#include "gan/graph/node.h"

/* ---- lookup -------------------------------------------------------------------------------------------- */

/* The axes of `head`, then those of `tail` after its first one. */
static bool join_shapes(Shape head, Shape tail, Shape *joined) {
    if (head.rank + tail.rank - 1 > SHAPE_AXES) return false;
    *joined = head;
    for (int axis = 1; axis < tail.rank; axis++) joined->size[joined->rank++] = tail.size[axis];
    return true;
}

Node *graph_gather(Graph *graph, Node *table, Node *index) {
    if (!node_all(graph, table, index)) return NULL;
    Shape shape;
    if (table->shape.rank < 1) return graph_fail(graph, "gather: the table has no rows, it is a scalar");
    if (!join_shapes(index->shape, table->shape, &shape))
        return graph_fail(graph, "gather: the result would have more than %d axes", SHAPE_AXES);
    return node_make(graph, OP_GATHER, shape, table, index, NULL);
}

Node *grad_gather(Graph *graph, Node *node, Node *g, int argument) {
    return argument == 0 ? graph_scatter(graph, g, node->args[1], node->args[0]->shape.size[0]) : NULL;
}

Node *graph_scatter(Graph *graph, Node *values, Node *index, int64_t rows) {
    if (!node_all(graph, values, index)) return NULL;
    char left[SHAPE_TEXT], right[SHAPE_TEXT];
    Shape shape = {.rank = 1, .size = {rows}};
    bool fits = values->shape.rank >= index->shape.rank;
    for (int axis = 0; fits && axis < index->shape.rank; axis++)
        fits = values->shape.size[axis] == index->shape.size[axis];
    if (!fits || values->shape.rank - index->shape.rank + 1 > SHAPE_AXES)
        return graph_fail(graph, "scatter: values %s do not begin with the index's axes %s",
                          shape_text(values->shape, left), shape_text(index->shape, right));
    for (int axis = index->shape.rank; axis < values->shape.rank; axis++)
        shape.size[shape.rank++] = values->shape.size[axis];
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.index[0] = rows;
    return node_make(graph, OP_SCATTER, shape, values, index, &detail);
}

Node *grad_scatter(Graph *graph, Node *node, Node *g, int argument) {
    return argument == 0 ? graph_gather(graph, g, node->args[1]) : NULL;
}

/* ---- matmul -------------------------------------------------------------------------------------------- */

Node *graph_matmul(Graph *graph, Node *a, Node *b, bool transpose_a, bool transpose_b) {
    if (!node_all(graph, a, b)) return NULL;
    int rank = a->shape.rank;
    char left[SHAPE_TEXT], right[SHAPE_TEXT];
    shape_text(a->shape, left);
    shape_text(b->shape, right);
    if ((rank != 2 && rank != 3) || b->shape.rank != rank)
        return graph_fail(graph, "matmul: two matrices, or two batches of matrices, expected, got %s and %s",
                          left, right);
    int64_t m = a->shape.size[transpose_a ? rank - 1 : rank - 2],
            k = a->shape.size[transpose_a ? rank - 2 : rank - 1];
    int64_t inner = b->shape.size[transpose_b ? rank - 1 : rank - 2],
            n = b->shape.size[transpose_b ? rank - 2 : rank - 1];
    if (k != inner || (rank == 3 && a->shape.size[0] != b->shape.size[0]))
        return graph_fail(graph,
                          "matmul: %s%s and %s%s do not fit: %" PRId64 " columns on the left, %" PRId64
                          " rows on the right",
                          left, transpose_a ? " transposed" : "", right, transpose_b ? " transposed" : "", k,
                          inner);
    if (m > INT32_MAX || n > INT32_MAX || k > INT32_MAX)
        return graph_fail(graph, "matmul: %s and %s: sides of at most %d expected", left, right, INT32_MAX);
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.transpose_a = transpose_a;
    detail.transpose_b = transpose_b;
    Shape shape = rank == 2 ? shape_of(m, n) : shape_of(a->shape.size[0], m, n);
    return node_make(graph, OP_MATMUL, shape, a, b, &detail);
}

/* With y = A·B, where A and B are the factors as read through their flags: dA = g·Bᵀ, dB = Aᵀ·g. */
Node *grad_matmul(Graph *graph, Node *node, Node *g, int argument) {
    Node *a = node->args[0], *b = node->args[1];
    bool ta = node->detail.transpose_a, tb = node->detail.transpose_b;
    if (argument == 0)
        return ta ? graph_matmul(graph, b, g, tb, true) : graph_matmul(graph, g, b, false, !tb);
    return tb ? graph_matmul(graph, g, a, true, ta) : graph_matmul(graph, a, g, !ta, false);
}

/* ---- convolution --------------------------------------------------------------------------------------- */

static bool conv_arguments(Graph *graph, const char *what, Node *image, Node *w, int64_t stride,
                           int64_t pad) {
    if (!node_all(graph, image, w)) return false;
    char text[SHAPE_TEXT];
    if (image->shape.rank != 4)
        graph_fail(graph, "%s: images (batch, height, width, channels) expected, got shape %s", what,
                   shape_text(image->shape, text));
    else if (w->shape.rank != 4)
        graph_fail(graph,
                   "%s: weights (kernel height, kernel width, x channels, y channels) expected, got shape %s",
                   what, shape_text(w->shape, text));
    else if (stride < 1 || stride > SHAPE_LIMIT || pad < 0 || pad > SHAPE_LIMIT)
        graph_fail(graph,
                   "%s: stride at least 1 and pad at least 0 expected, got stride %" PRId64 ", pad %" PRId64,
                   what, stride, pad);
    return graph_error(graph) == NULL;
}

static Shape x_shape(const ConvShape *conv) {
    return shape_of(conv->batch, conv->x_height, conv->x_width, conv->x_channels);
}

static Shape y_shape(const ConvShape *conv) {
    return shape_of(conv->batch, conv->y_height, conv->y_width, conv->y_channels);
}

static Shape w_shape(const ConvShape *conv) {
    return shape_of(conv->kernel_height, conv->kernel_width, conv->x_channels, conv->y_channels);
}

/* Kernels lay zeros around images, of x as many as are padded, of y up to a window's. In double, where
 * nothing overflows. */
static bool too_large(const ConvShape *conv) {
    double x =
        ((double)conv->x_height + 2 * (double)conv->pad) * ((double)conv->x_width + 2 * (double)conv->pad);
    double y = ((double)conv->y_height + 2 * (double)conv->kernel_height) *
               ((double)conv->y_width + 2 * (double)conv->kernel_width);
    double limit = (double)SHAPE_LIMIT;
    return x * (double)conv->x_channels > limit || y * (double)conv->y_channels > limit;
}

static Node *face(Graph *graph, Op op, const ConvShape *conv, Node *a, Node *b) {
    if (!node_all(graph, a, b)) return NULL;
    if (too_large(conv))
        return graph_fail(graph, "%s: an image would have more than %" PRId64 " elements, padding included",
                          op_text(op), SHAPE_LIMIT);
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.conv = *conv;
    Shape shape = op == OP_CONV ? y_shape(conv) : op == OP_CONV_DX ? x_shape(conv) : w_shape(conv);
    return node_make(graph, op, shape, a, b, &detail);
}

static Node *channels_differ(Graph *graph, const char *what, Node *image, Node *w, const char *which,
                             int64_t expected) {
    char left[SHAPE_TEXT], right[SHAPE_TEXT];
    return graph_fail(
        graph, "%s: images %s have %" PRId64 " channels, weights %s have %" PRId64 " %s channels", what,
        shape_text(image->shape, left), image->shape.size[3], shape_text(w->shape, right), expected, which);
}

Node *graph_conv(Graph *graph, Node *x, Node *w, int64_t stride, int64_t pad) {
    if (!conv_arguments(graph, "conv", x, w, stride, pad)) return NULL;
    if (x->shape.size[3] != w->shape.size[2])
        return channels_differ(graph, "conv", x, w, "x", w->shape.size[2]);
    ConvShape conv = {.batch = x->shape.size[0],
                      .x_height = x->shape.size[1],
                      .x_width = x->shape.size[2],
                      .x_channels = x->shape.size[3],
                      .y_channels = w->shape.size[3],
                      .kernel_height = w->shape.size[0],
                      .kernel_width = w->shape.size[1],
                      .stride = stride,
                      .pad = pad};
    int64_t room_y = conv.x_height + 2 * pad - conv.kernel_height,
            room_x = conv.x_width + 2 * pad - conv.kernel_width;
    char text[SHAPE_TEXT];
    if (room_y < 0 || room_x < 0)
        return graph_fail(graph,
                          "conv: a kernel of %" PRId64 " × %" PRId64
                          " does not fit into images %s padded by %" PRId64,
                          conv.kernel_height, conv.kernel_width, shape_text(x->shape, text), pad);
    conv.y_height = room_y / stride + 1;
    conv.y_width = room_x / stride + 1;
    return face(graph, OP_CONV, &conv, x, w);
}

Node *graph_conv_transpose(Graph *graph, Node *y, Node *w, int64_t stride, int64_t pad) {
    if (!conv_arguments(graph, "conv_transpose", y, w, stride, pad)) return NULL;
    if (y->shape.size[3] != w->shape.size[3])
        return channels_differ(graph, "conv_transpose", y, w, "y", w->shape.size[3]);
    ConvShape conv = {.batch = y->shape.size[0],
                      .y_height = y->shape.size[1],
                      .y_width = y->shape.size[2],
                      .y_channels = y->shape.size[3],
                      .x_channels = w->shape.size[2],
                      .kernel_height = w->shape.size[0],
                      .kernel_width = w->shape.size[1],
                      .stride = stride,
                      .pad = pad};
    char text[SHAPE_TEXT];
    if (__builtin_mul_overflow(conv.y_height - 1, stride, &conv.x_height) ||
        __builtin_mul_overflow(conv.y_width - 1, stride, &conv.x_width) ||
        __builtin_add_overflow(conv.x_height, conv.kernel_height - 2 * pad, &conv.x_height) ||
        __builtin_add_overflow(conv.x_width, conv.kernel_width - 2 * pad, &conv.x_width))
        return graph_fail(graph, "conv_transpose: a stride of %" PRId64 " is too large", stride);
    if (conv.x_height < 1 || conv.x_width < 1)
        return graph_fail(graph, "conv_transpose: a pad of %" PRId64 " leaves nothing of images %s", pad,
                          shape_text(y->shape, text));
    return face(graph, OP_CONV_DX, &conv, y, w);
}

Node *grad_conv(Graph *graph, Node *node, Node *g, int argument) {
    const ConvShape *conv = &node->detail.conv;
    return argument == 0 ? face(graph, OP_CONV_DX, conv, g, node->args[1])
                         : face(graph, OP_CONV_DW, conv, node->args[0], g);
}

Node *grad_conv_dx(Graph *graph, Node *node, Node *g, int argument) {
    const ConvShape *conv = &node->detail.conv;
    return argument == 0 ? face(graph, OP_CONV, conv, g, node->args[1])
                         : face(graph, OP_CONV_DW, conv, g, node->args[0]);
}

Node *grad_conv_dw(Graph *graph, Node *node, Node *g, int argument) {
    const ConvShape *conv = &node->detail.conv;
    return argument == 0 ? face(graph, OP_CONV_DX, conv, node->args[1], g)
                         : face(graph, OP_CONV, conv, node->args[0], g);
}
