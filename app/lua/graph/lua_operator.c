/* The functions of brood.graph that take tensors. */
#include <inttypes.h>
#include <stdio.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"

/* ---- gradients ----------------------------------------------------------------------------------------- */

/* The tensors of the list at `index`, as nodes of one graph. Pushes their memory. */
static Node **read_list(lua_State *L, int index, const GraphBox *box, const char *what, size_t count) {
    Node **nodes = binding_scratch(L, count, sizeof *nodes);
    char label[64];
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        snprintf(label, sizeof label, "%s[%zu]", what, i + 1);
        nodes[i] = tensor_of(L, -1, box, label);
        lua_pop(L, 1);
    }
    return nodes;
}

static int grad_of_list(lua_State *L, Tensor *y) {
    size_t count = lua_rawlen(L, 2);
    if (count == 0) script_error(L, "grad: x: at least one tensor expected, the list is empty");
    Node **xs = read_list(L, 2, y->box, "grad: x", count),
         **gradients = binding_scratch(L, count, sizeof *gradients);
    Graph *graph = graph_begin(L, y->box);
    if (!graph_grad(graph, y->node, xs, count, gradients)) graph_raise(L, graph);
    lua_createtable(L, count < INT_MAX ? (int)count : 0, 0);
    for (size_t i = 0; i < count; i++) {
        tensor_push(L, 1, gradients[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

int operator_grad(lua_State *L) {
    Tensor *y = tensor_check(L, 1, "grad: y");
    if (lua_type(L, 2) == LUA_TTABLE) return grad_of_list(L, y);
    Node *x = tensor_of(L, 2, y->box, "grad: x"), *gradient;
    Graph *graph = graph_begin(L, y->box);
    if (!graph_grad(graph, y->node, &x, 1, &gradient)) graph_raise(L, graph);
    return tensor_push(L, 1, gradient);
}

/* ---- linear algebra and convolution -------------------------------------------------------------------- */

int operator_matmul(lua_State *L) {
    static const char *const OPTIONS[] = {"transpose_a", "transpose_b", NULL};
    Tensor *a = tensor_check(L, 1, "matmul: a");
    Node *b = tensor_of(L, 2, a->box, "matmul: b");
    binding_fields(L, 3, "matmul", OPTIONS);
    binding_field(L, 3, "transpose_a");
    bool transpose_a = binding_flag(L, -1, "matmul: transpose_a");
    binding_field(L, 3, "transpose_b");
    bool transpose_b = binding_flag(L, -1, "matmul: transpose_b");
    return tensor_push(L, 1, graph_matmul(graph_begin(L, a->box), a->node, b, transpose_a, transpose_b));
}

typedef Node *ConvMaker(Graph *, Node *, Node *, int64_t stride, int64_t pad);

static int convolve(lua_State *L, const char *name, ConvMaker *make) {
    static const char *const OPTIONS[] = {"stride", "pad", NULL};
    char label[64];
    int64_t numbers[] = {1, 0}; /* stride, pad */
    Tensor *image = tensor_check(L, 1, name);
    Node *w = tensor_of(L, 2, image->box, name);
    binding_fields(L, 3, name, OPTIONS);
    for (int i = 0; OPTIONS[i]; i++) {
        snprintf(label, sizeof label, "%s: %s", name, OPTIONS[i]);
        if (binding_field(L, 3, OPTIONS[i]) != LUA_TNIL)
            numbers[i] = binding_integer(L, -1, label, numbers[i], INT64_MAX);
    }
    return tensor_push(L, 1, make(graph_begin(L, image->box), image->node, w, numbers[0], numbers[1]));
}

int operator_conv(lua_State *L) {
    return convolve(L, "conv", graph_conv);
}

int operator_conv_transpose(lua_State *L) {
    return convolve(L, "conv_transpose", graph_conv_transpose);
}

/* ---- images -------------------------------------------------------------------------------------------- */

static int resample(lua_State *L, const char *name, Node *make(Graph *, Node *, int64_t)) {
    char label[64];
    Tensor *image = tensor_check(L, 1, name);
    snprintf(label, sizeof label, "%s: factor", name);
    int64_t factor = binding_integer(L, 2, label, 1, INT64_MAX);
    return tensor_push(L, 1, make(graph_begin(L, image->box), image->node, factor));
}

int operator_upsample(lua_State *L) {
    return resample(L, "upsample", graph_upsample);
}

int operator_avg_pool(lua_State *L) {
    return resample(L, "avg_pool", graph_avg_pool);
}

/* ---- joining and lookup -------------------------------------------------------------------------------- */

int operator_concat(lua_State *L) {
    if (lua_type(L, 1) != LUA_TTABLE)
        script_error(L, "concat: a list of tensors expected, got %s", luaL_typename(L, 1));
    size_t count = lua_rawlen(L, 1);
    if (count == 0) script_error(L, "concat: at least one tensor expected, the list is empty");
    lua_settop(L, 2);
    lua_rawgeti(L, 1, 1);
    Tensor *first = tensor_check(L, 3, "concat: parts[1]");
    int axis = binding_axis(L, 2, "concat", node_shape(first->node).rank);
    Node **parts = read_list(L, 1, first->box, "concat: parts", count);
    return tensor_push(L, 3, graph_concat(graph_begin(L, first->box), parts, count, axis));
}

int operator_gather(lua_State *L) {
    Tensor *table = tensor_check(L, 1, "gather: table");
    Node *index = tensor_of(L, 2, table->box, "gather: index");
    Graph *graph = graph_begin(L, table->box);
    return tensor_push(L, 1, graph_gather(graph, table->node, graph_offset(graph, index, -1)));
}

int operator_scatter(lua_State *L) {
    Tensor *values = tensor_check(L, 1, "scatter: values");
    Node *index = tensor_of(L, 2, values->box, "scatter: index");
    int64_t rows = binding_integer(L, 3, "scatter: rows", 1, SHAPE_LIMIT);
    Graph *graph = graph_begin(L, values->box);
    return tensor_push(L, 1, graph_scatter(graph, values->node, graph_offset(graph, index, -1), rows));
}

/* ---- softmax and its relatives ------------------------------------------------------------------------- */

typedef struct {
    Graph *graph;
    Shape shape;
    unsigned axes;
    Node *shifted; /* x less its maximum along the axis, so that exp cannot overflow */
    Node *most;    /* that maximum, its axis kept */
    Node *sum;     /* of exp(shifted), its axis kept */
} Softmax;

static Softmax soften(lua_State *L, const char *name) {
    Tensor *x = tensor_check(L, 1, name);
    Softmax soft = {.shape = node_shape(x->node)};
    if (soft.shape.rank == 0) script_error(L, "%s: a scalar has no axis", name);
    int axis = lua_isnoneornil(L, 2) ? soft.shape.rank - 1 : binding_axis(L, 2, name, soft.shape.rank);
    soft.graph = graph_begin(L, x->box);
    soft.axes = 1u << axis;
    soft.most = graph_amax(soft.graph, x->node, soft.axes);
    soft.shifted = graph_sub(soft.graph, x->node, graph_expand(soft.graph, soft.most, soft.shape));
    soft.sum = graph_sum(soft.graph, graph_exp(soft.graph, soft.shifted), soft.axes);
    return soft;
}

int operator_softmax(lua_State *L) {
    Softmax soft = soften(L, "softmax");
    Graph *graph = soft.graph;
    Node *share = graph_expand(graph, graph_pow(graph, soft.sum, -1), soft.shape);
    return tensor_push(L, 1, graph_mul(graph, graph_exp(graph, soft.shifted), share));
}

int operator_log_softmax(lua_State *L) {
    Softmax soft = soften(L, "log_softmax");
    Graph *graph = soft.graph;
    Node *total = graph_expand(graph, graph_log(graph, soft.sum), soft.shape);
    return tensor_push(L, 1, graph_sub(graph, soft.shifted, total));
}

int operator_log_sum_exp(lua_State *L) {
    Softmax soft = soften(L, "log_sum_exp");
    Graph *graph = soft.graph;
    Node *total = graph_add(graph, soft.most, graph_log(graph, soft.sum));
    return tensor_push(L, 1, graph_reshape(graph, total, shape_without(soft.shape, soft.axes)));
}
