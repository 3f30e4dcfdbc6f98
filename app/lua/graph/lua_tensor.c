/* Tensors: operators with NumPy's broadcasting, and methods. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"

Tensor *tensor_check(lua_State *L, int index, const char *what) {
    Tensor *tensor = binding_object(L, index, TENSOR_CLASS, what);
    if (!tensor->box->graph) script_error(L, "%s: the tensor's graph is closed", what);
    return tensor;
}

Node *tensor_of(lua_State *L, int index, const GraphBox *box, const char *what) {
    Tensor *tensor = tensor_check(L, index, what);
    if (tensor->box != box) script_error(L, "%s: this tensor belongs to another graph", what);
    return tensor->node;
}

int tensor_push(lua_State *L, int owner, Node *node) {
    GraphBox *box = luaL_testudata(L, owner, GRAPH_CLASS);
    owner = lua_absindex(L, owner);
    if (!box) box = ((Tensor *)luaL_checkudata(L, owner, TENSOR_CLASS))->box;
    if (!node) graph_raise(L, box->graph);
    Tensor *tensor = lua_newuserdatauv(L, sizeof *tensor, 1);
    tensor->box = box;
    tensor->node = node;
    if (lua_touserdata(L, owner) == box)
        lua_pushvalue(L, owner);
    else
        lua_getiuservalue(L, owner, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, TENSOR_CLASS);
    return 1;
}

Shape shape_without(Shape shape, unsigned axes) {
    Shape rest = {.rank = 0};
    for (int axis = 0; axis < shape.rank; axis++)
        if (!(axes >> axis & 1)) rest.size[rest.rank++] = shape.size[axis];
    return rest;
}

/* ---- broadcasting -------------------------------------------------------------------------------------- */

/* The shape that both become: axes are matched from the last, and a size of 1 is repeated. */
static bool common_shape(Shape a, Shape b, Shape *common) {
    common->rank = a.rank > b.rank ? a.rank : b.rank;
    for (int back = 1; back <= common->rank; back++) {
        int64_t left = back <= a.rank ? a.size[a.rank - back] : 1,
                right = back <= b.rank ? b.size[b.rank - back] : 1;
        if (left != right && left != 1 && right != 1) return false;
        common->size[common->rank - back] = left == 1 ? right : left;
    }
    return true;
}

/* Repeats `node` to `shape`, which common_shape() or the caller has found to fit. */
static Node *broadcast(Graph *graph, Node *node, Shape shape) {
    Shape from = node_shape(node), full = {.rank = shape.rank};
    for (int axis = 0; axis < shape.rank; axis++) {
        int before = axis - (shape.rank - from.rank);
        full.size[axis] = before >= 0 ? from.size[before] : 1;
    }
    return graph_expand(graph, graph_reshape(graph, node, full), shape);
}

typedef Node *BinaryMaker(Graph *, Node *, Node *);

/* The graph of whichever of the two arguments is a tensor; the index of that one in *owner. */
static GraphBox *box_of_either(lua_State *L, const char *what, int *owner) {
    *owner = luaL_testudata(L, 1, TENSOR_CLASS) ? 1 : 2;
    return tensor_check(L, *owner, what)->box;
}

/* An operand: a tensor, or a number, which becomes a constant. */
static Node *operand(lua_State *L, int index, const GraphBox *box, const char *what) {
    if (lua_type(L, index) == LUA_TNUMBER) return graph_constant(box->graph, lua_tonumber(L, index));
    if (!luaL_testudata(L, index, TENSOR_CLASS))
        script_error(L, "%s: tensors and numbers can be combined, not a %s", what, luaL_typename(L, index));
    return tensor_of(L, index, box, what);
}

static int combine(lua_State *L, const char *what, BinaryMaker *make) {
    int owner;
    GraphBox *box = box_of_either(L, what, &owner);
    Graph *graph = graph_begin(L, box);
    Node *a = operand(L, 1, box, what), *b = operand(L, 2, box, what);
    if (!a || !b) graph_raise(L, graph);
    Shape left = node_shape(a), right = node_shape(b), common;
    if (!common_shape(left, right, &common)) {
        char left_text[SHAPE_TEXT], right_text[SHAPE_TEXT];
        script_error(L,
                     "%s: the shapes %s and %s do not go together: from the last axis backwards, sizes must "
                     "be equal or 1",
                     what, shape_text(left, left_text), shape_text(right, right_text));
    }
    /* The engine takes scalars as they are; anything else is made equal. */
    if (left.rank > 0 && right.rank > 0) {
        a = broadcast(graph, a, common);
        b = broadcast(graph, b, common);
    }
    return tensor_push(L, owner, make(graph, a, b));
}

static int tensor_add(lua_State *L) {
    return combine(L, "+", graph_add);
}

static int tensor_subtract(lua_State *L) {
    return combine(L, "-", graph_sub);
}

static int tensor_multiply(lua_State *L) {
    return combine(L, "*", graph_mul);
}

static int tensor_divide(lua_State *L) {
    return combine(L, "/", graph_div);
}

int tensor_max(lua_State *L) {
    return combine(L, "max", graph_max);
}

int tensor_min(lua_State *L) {
    return combine(L, "min", graph_min);
}

/* x ^ 2 is a power; 2 ^ x is exp(x log 2). */
static int tensor_power(lua_State *L) {
    int owner;
    GraphBox *box = box_of_either(L, "^", &owner);
    Node *tensor = tensor_of(L, owner, box, "^");
    if (lua_type(L, 3 - owner) != LUA_TNUMBER)
        script_error(L, "^: one side must be a number; for tensors on both, write (b * a:log()):exp()");
    double number = lua_tonumber(L, 3 - owner);
    Graph *graph = graph_begin(L, box);
    if (owner == 1) return tensor_push(L, 1, graph_pow(graph, tensor, number));
    if (!(number > 0))
        script_error(L, "^: a number raised to a tensor must be greater than 0, not %g", number);
    return tensor_push(L, 2, graph_exp(graph, graph_scale(graph, tensor, log(number))));
}

/* ---- one tensor at a time ------------------------------------------------------------------------------ */

typedef Node *UnaryMaker(Graph *, Node *);

static int map(lua_State *L, const char *what, UnaryMaker *make) {
    Tensor *x = tensor_check(L, 1, what);
    return tensor_push(L, 1, make(graph_begin(L, x->box), x->node));
}

/* The method x:NAME() is graph_NAME(x). */
#define UNARY_METHODS(X)                                                                                     \
    X(exp) X(log) X(tanh) X(sigmoid) X(softplus) X(relu) X(abs) X(square) X(sqrt) X(detach) X(neg) X(step)
#define X(name)                                                                                              \
    static int tensor_##name(lua_State *L) {                                                                 \
        return map(L, #name, graph_##name);                                                                  \
    }
UNARY_METHODS(X)
#undef X

static int tensor_leaky_relu(lua_State *L) {
    Tensor *x = tensor_check(L, 1, "leaky_relu");
    double slope = lua_isnoneornil(L, 2) ? 0.2 : binding_number(L, 2, "leaky_relu: slope");
    return tensor_push(L, 1, graph_leaky_relu(graph_begin(L, x->box), x->node, slope));
}

static int tensor_clamp(lua_State *L) {
    Tensor *x = tensor_check(L, 1, "clamp");
    double low = binding_number(L, 2, "clamp: low"), high = binding_number(L, 3, "clamp: high");
    return tensor_push(L, 1, graph_clamp(graph_begin(L, x->box), x->node, low, high));
}

/* ---- reductions ---------------------------------------------------------------------------------------- */

/* The axes of x:sum(2, 3), x:sum{2, 3, keep = true}: a bit set, all of them when none is named. */
static unsigned read_axes(lua_State *L, const char *what, int rank, bool *keep) {
    char label[64];
    snprintf(label, sizeof label, "%s: keep", what);
    binding_pack(L, 2);
    binding_field(L, 2, "keep");
    *keep = binding_flag(L, -1, label);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
    unsigned axes = 0;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        unsigned axis = 1u << binding_axis(L, -1, what, rank);
        if (axes & axis) script_error(L, "%s: axis %d is named twice", what, (int)lua_tointeger(L, -1));
        axes |= axis;
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "keep") != 0)
            script_error(L, "%s: there is no option '%s', only keep", what, lua_tostring(L, -1));
    }
    return count > 0 ? axes : (1u << rank) - 1;
}

static int reduce(lua_State *L, const char *what, Node *make(Graph *, Node *, unsigned)) {
    Tensor *x = tensor_check(L, 1, what);
    Shape shape = node_shape(x->node);
    bool keep;
    unsigned axes = read_axes(L, what, shape.rank, &keep);
    Graph *graph = graph_begin(L, x->box);
    Node *reduced = make(graph, x->node, axes);
    return tensor_push(L, 1, keep ? reduced : graph_reshape(graph, reduced, shape_without(shape, axes)));
}

static int tensor_sum(lua_State *L) {
    return reduce(L, "sum", graph_sum);
}

static int tensor_mean(lua_State *L) {
    return reduce(L, "mean", graph_mean);
}

static int tensor_amax(lua_State *L) {
    return reduce(L, "amax", graph_amax);
}

/* ---- movement ------------------------------------------------------------------------------------------ */

/* One size may be -1: it is what is left. */
static int tensor_reshape(lua_State *L) {
    Tensor *x = tensor_check(L, 1, "reshape");
    binding_pack(L, 2);
    Shape shape = binding_shape(L, 2, "reshape", true);
    int64_t left = shape_count(node_shape(x->node));
    int open = -1;
    for (int axis = 0; axis < shape.rank; axis++) {
        if (shape.size[axis] == -1 && open >= 0)
            script_error(L, "reshape: only one size can be left open by -1");
        if (shape.size[axis] == -1) {
            open = axis;
        } else if (shape.size[axis] > 0)
            left = left % shape.size[axis] == 0 ? left / shape.size[axis] : 0;
    }
    char text[SHAPE_TEXT];
    if (open >= 0 && left == 0)
        script_error(L, "reshape: no size fits the place of -1: shape %s has %" PRId64 " elements",
                     shape_text(node_shape(x->node), text), shape_count(node_shape(x->node)));
    if (open >= 0) shape.size[open] = left;
    return tensor_push(L, 1, graph_reshape(graph_begin(L, x->box), x->node, shape));
}

static int tensor_expand(lua_State *L) {
    Tensor *x = tensor_check(L, 1, "expand");
    binding_pack(L, 2);
    Shape shape = binding_shape(L, 2, "expand", false), from = node_shape(x->node), common;
    if (!common_shape(from, shape, &common) || !shape_equal(common, shape)) {
        char old[SHAPE_TEXT], new[SHAPE_TEXT];
        script_error(
            L, "expand: shape %s cannot become %s: from the last axis backwards, sizes must be equal or 1",
            shape_text(from, old), shape_text(shape, new));
    }
    return tensor_push(L, 1, broadcast(graph_begin(L, x->box), x->node, shape));
}

static int tensor_permute(lua_State *L) {
    Tensor *x = tensor_check(L, 1, "permute");
    int order[SHAPE_AXES], rank = node_shape(x->node).rank;
    binding_pack(L, 2);
    if (lua_rawlen(L, 2) != (lua_Unsigned)rank)
        script_error(L, "permute: all %d axes must be named once, got %d", rank, (int)lua_rawlen(L, 2));
    for (int axis = 0; axis < rank; axis++) {
        lua_rawgeti(L, 2, axis + 1);
        order[axis] = binding_axis(L, -1, "permute", rank);
        lua_pop(L, 1);
    }
    return tensor_push(L, 1, graph_permute(graph_begin(L, x->box), x->node, order));
}

/* Reads the pairs of x:slice{...} and x:pad{...}: {a, b}, n for {n, n}, false or nothing to leave an axis be.
 * Which axes have one: the bit set that is returned. */
static unsigned read_pairs(lua_State *L, const char *what, int rank, int64_t pair[][2]) {
    char label[64];
    unsigned given = 0;
    if (lua_type(L, 2) != LUA_TTABLE) script_error(L, "%s: a table with a pair for each axis expected", what);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pop(L, 1);
        snprintf(label, sizeof label, "%s: axis", what);
        binding_integer(L, -1, label, 1, rank);
    }
    for (int axis = 0; axis < rank; axis++) {
        int type = lua_rawgeti(L, 2, axis + 1);
        if (lua_toboolean(L, -1)) given |= 1u << axis;
        for (int end = 0; end < 2 && lua_toboolean(L, -1); end++) {
            snprintf(label, sizeof label, "%s: axis %d, %s number", what, axis + 1, end ? "second" : "first");
            if (type == LUA_TTABLE)
                lua_rawgeti(L, -1, end + 1);
            else
                lua_pushvalue(L, -1);
            pair[axis][end] = binding_integer(L, -1, label, -SHAPE_LIMIT, SHAPE_LIMIT);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return given;
}

/* Positions count from 1, or from -1 backwards, and both ends belong to the slice. */
static int tensor_slice(lua_State *L) {
    Tensor *x = tensor_check(L, 1, "slice");
    Shape shape = node_shape(x->node);
    int64_t ends[SHAPE_AXES][2] = {{0}}, first[SHAPE_AXES], count[SHAPE_AXES];
    unsigned given = read_pairs(L, "slice", shape.rank, ends);
    for (int axis = 0; axis < shape.rank; axis++) {
        int64_t size = shape.size[axis];
        bool cut = given >> axis & 1;
        int64_t from = !cut ? 1 : ends[axis][0] < 0 ? size + 1 + ends[axis][0] : ends[axis][0];
        int64_t to = !cut ? size : ends[axis][1] < 0 ? size + 1 + ends[axis][1] : ends[axis][1];
        if (from < 1 || to > size || from > to)
            script_error(L,
                         "slice: axis %d has positions 1 to %" PRId64 ", which {%" PRId64 ", %" PRId64
                         "} does not fit",
                         axis + 1, size, ends[axis][0], ends[axis][1]);
        first[axis] = from - 1;
        count[axis] = to - from + 1;
    }
    return tensor_push(L, 1, graph_slice(graph_begin(L, x->box), x->node, first, count));
}

static int tensor_pad(lua_State *L) {
    Tensor *x = tensor_check(L, 1, "pad");
    int rank = node_shape(x->node).rank;
    int64_t pairs[SHAPE_AXES][2] = {{0}}, before[SHAPE_AXES], after[SHAPE_AXES];
    unsigned given = read_pairs(L, "pad", rank, pairs);
    for (int axis = 0; axis < rank; axis++) {
        before[axis] = given >> axis & 1 ? pairs[axis][0] : 0;
        after[axis] = given >> axis & 1 ? pairs[axis][1] : 0;
    }
    return tensor_push(L, 1, graph_pad(graph_begin(L, x->box), x->node, before, after));
}

/* ---- looking ------------------------------------------------------------------------------------------- */

static int tensor_shape(lua_State *L) {
    value_push_shape(L, node_shape(tensor_check(L, 1, "shape")->node));
    return 1;
}

static int tensor_text(lua_State *L) {
    Tensor *x = luaL_checkudata(L, 1, TENSOR_CLASS);
    char text[SHAPE_TEXT];
    if (!x->box->graph) {
        lua_pushliteral(L, "tensor (its graph is closed)");
        return 1;
    }
    const char *name = node_name(x->node);
    lua_pushfstring(L, "tensor %s %s%s%s", op_text(node_op(x->node)), name ? name : "", name ? " " : "",
                    shape_text(node_shape(x->node), text));
    return 1;
}

/* ---- what Lua sees ------------------------------------------------------------------------------------- */

#define ELEMENTWISE "(): brood.Tensor"
#define REDUCTION   "(...: integer|{keep?: boolean}): brood.Tensor"

static const BindingFunction METHODS[] = {
    {"shape", "(): integer[]", "The sizes of the axes; empty for a scalar.", tensor_shape},
    {"sum", REDUCTION,
     "Sums over axes, which are dropped: x:sum(2, 3), x:sum{2, 3, keep = true}; all without any.",
     tensor_sum},
    {"mean", REDUCTION, "Means over axes, as sum.", tensor_mean},
    {"amax", REDUCTION, "Largest elements over axes, as sum. Has no gradient.", tensor_amax},
    {"reshape", "(...: integer|integer[]): brood.Tensor",
     "The same elements in another shape; one size may be -1.", tensor_reshape},
    {"expand", "(...: integer|integer[]): brood.Tensor", "Repeated to a shape, by NumPy's rules.",
     tensor_expand},
    {"permute", "(...: integer|integer[]): brood.Tensor", "Axis i of the result is axis order[i].",
     tensor_permute},
    {"slice", "(ranges: (integer[]|integer|false)[]): brood.Tensor",
     "x:slice{ {2, -1}, false, 3 }: first and last position of each axis, both included; false for all.",
     tensor_slice},
    {"pad", "(amounts: (integer[]|integer|false)[]): brood.Tensor",
     "x:pad{ {1, 2}, false, 3 }: zeros before and after each axis.", tensor_pad},
    {"exp", ELEMENTWISE, "e to the x.", tensor_exp},
    {"log", ELEMENTWISE, "Natural logarithm.", tensor_log},
    {"tanh", ELEMENTWISE, "Hyperbolic tangent.", tensor_tanh},
    {"sigmoid", ELEMENTWISE, "1 / (1 + exp(-x)).", tensor_sigmoid},
    {"softplus", ELEMENTWISE, "log(1 + exp(x)).", tensor_softplus},
    {"relu", ELEMENTWISE, "x where positive, otherwise 0.", tensor_relu},
    {"leaky_relu", "(slope?: number): brood.Tensor", "x where positive, otherwise slope times x (0.2).",
     tensor_leaky_relu},
    {"abs", ELEMENTWISE, "Magnitude.", tensor_abs},
    {"neg", ELEMENTWISE, "-x.", tensor_neg},
    {"step", ELEMENTWISE, "1 where positive, otherwise 0. Has no gradient.", tensor_step},
    {"square", ELEMENTWISE, "x times x.", tensor_square},
    {"sqrt", ELEMENTWISE, "Square root.", tensor_sqrt},
    {"max", "(other: brood.Tensor|number): brood.Tensor", "The larger of the two, element by element.",
     tensor_max},
    {"min", "(other: brood.Tensor|number): brood.Tensor", "The smaller of the two, element by element.",
     tensor_min},
    {"clamp", "(low: number, high: number): brood.Tensor", "Held between two numbers.", tensor_clamp},
    {"softmax", "(axis?: integer): brood.Tensor", "As graph.softmax.", operator_softmax},
    {"log_softmax", "(axis?: integer): brood.Tensor", "As graph.log_softmax.", operator_log_softmax},
    {"log_sum_exp", "(axis?: integer): brood.Tensor", "As graph.log_sum_exp.", operator_log_sum_exp},
    {"detach", ELEMENTWISE, "The same numbers, through which no gradient passes.", tensor_detach},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg META[] = {{"__add", tensor_add},       {"__sub", tensor_subtract},
                                {"__mul", tensor_multiply},  {"__div", tensor_divide},
                                {"__pow", tensor_power},     {"__unm", tensor_neg},
                                {"__tostring", tensor_text}, {NULL, NULL}};

static const char OPERATORS[] = "---@operator add(brood.Tensor|number): brood.Tensor\n"
                                "---@operator sub(brood.Tensor|number): brood.Tensor\n"
                                "---@operator mul(brood.Tensor|number): brood.Tensor\n"
                                "---@operator div(brood.Tensor|number): brood.Tensor\n"
                                "---@operator pow(number): brood.Tensor\n"
                                "---@operator unm: brood.Tensor\n";

const BindingClass tensor_class = {TENSOR_CLASS, "A symbolic tensor: a formula, not yet numbers.", OPERATORS,
                                   METHODS, META};
