/* Graphs: their leaves, and the module's table. */
#include "app/lua/graph/lua_graph.h"

#include <stdio.h>
#include <string.h>

#include "app/lua/lua_script.h"

/* ---- the graph ----------------------------------------------------------------------------------------- */

static int graph_create(lua_State *L) {
    if (lua_gettop(L) > 0) script_error(L, "graph.new takes no arguments");
    GraphBox *box = lua_newuserdatauv(L, sizeof *box, GRAPH_USER_VALUES);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, GRAPH_CLASS);
    for (int i = 1; i <= GRAPH_USER_VALUES; i++) {
        lua_newtable(L);
        lua_setiuservalue(L, -2, i);
    }
    box->graph = graph_new();
    if (!box->graph) script_error(L, "out of memory: no room for a graph");
    return 1;
}

static int graph_close(lua_State *L) {
    GraphBox *box = luaL_checkudata(L, 1, GRAPH_CLASS);
    graph_free(box->graph);
    box->graph = NULL;
    return 0;
}

GraphBox *graph_check(lua_State *L, int index, const char *what) {
    GraphBox *box = binding_object(L, index, GRAPH_CLASS, what);
    if (!box->graph) script_error(L, "%s: the graph is closed", what);
    return box;
}

Graph *graph_begin(lua_State *L, const GraphBox *box) {
    char line[SCRIPT_LINE];
    bool known = script_line(L, line);
    graph_set_source(box->graph, known ? line : NULL, box->layer[0] ? box->layer : NULL);
    return box->graph;
}

void graph_raise(lua_State *L, Graph *graph) {
    const Error *error = graph_error(graph);
    char message[sizeof error->message];
    snprintf(message, sizeof message, "%s", error ? error->message : "the graph gave no reason");
    graph_clear_error(graph);
    script_error(L, "%s", message);
}

static int graph_text(lua_State *L) {
    GraphBox *box = luaL_checkudata(L, 1, GRAPH_CLASS);
    lua_getiuservalue(L, 1, GRAPH_LEAVES);
    lua_Integer leaves = (lua_Integer)lua_rawlen(L, -1);
    if (box->graph)
        lua_pushfstring(L, "graph of %I parameters and variables", (LUAI_UACINT)leaves);
    else
        lua_pushliteral(L, "graph (closed)");
    return 1;
}

/* g:text() */
static int graph_lines(lua_State *L) {
    const Graph *graph = graph_check(L, 1, "g:text")->graph;
    luaL_Buffer lines;
    luaL_buffinit(L, &lines);
    for (int id = 0; id < graph_node_count(graph); id++) {
        char line[NODE_TEXT];
        luaL_addstring(&lines, node_text(graph_node(graph, id), line));
        luaL_addchar(&lines, '\n');
    }
    luaL_pushresult(&lines);
    return 1;
}

/* g:layer(path) */
static int graph_layer(lua_State *L) {
    GraphBox *box = graph_check(L, 1, "g:layer");
    const char *path = lua_isnoneornil(L, 2) ? "" : binding_text(L, 2, "g:layer: path");
    if (strlen(path) >= sizeof box->layer)
        script_error(L, "g:layer: a path has at most %zu characters", sizeof box->layer - 1);
    if (box->layer[0])
        lua_pushstring(L, box->layer);
    else
        lua_pushnil(L);
    strcpy(box->layer, path);
    return 1;
}

/* ---- leaves -------------------------------------------------------------------------------------------- */

enum { LABEL = GRAPH_NAME + 32 };

/* "KIND 'NAME'" for errors, from the name at index 2. */
static const char *leaf_label(lua_State *L, const char *kind, char label[LABEL]) {
    snprintf(label, LABEL, "%s '%s'", kind, binding_text(L, 2, kind));
    return label;
}

static int graph_make_input(lua_State *L) {
    char label[LABEL];
    GraphBox *box = graph_check(L, 1, "g:input");
    Shape shape = binding_shape(L, 3, leaf_label(L, "input", label), false);
    return tensor_push(L, 1, graph_input(graph_begin(L, box), lua_tostring(L, 2), shape));
}

/* Enters the leaf on top of the stack into the graph's list, and its initial value, if there is one. */
static void remember_leaf(lua_State *L, const char *name, const char *group, int value) {
    int leaf = lua_gettop(L);
    lua_getiuservalue(L, 1, GRAPH_LEAVES);
    if (binding_field(L, -1, name) == LUA_TNIL) {
        lua_pushvalue(L, leaf);
        lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
        lua_pushstring(L, group);
        lua_setfield(L, -3, name);
    }
    if (value) {
        lua_getiuservalue(L, 1, GRAPH_INITIAL);
        lua_pushvalue(L, value);
        lua_setfield(L, -2, name);
    }
    lua_settop(L, leaf);
}

/* The initial value, read in full before the leaf is made. Returns its place on the stack, 0 when there is
 * none. */
static int initial_value(lua_State *L, const char *label, Shape shape) {
    if (binding_field(L, 4, "value") == LUA_TNIL) return 0;
    int given = lua_gettop(L);
    Value *value = value_push(L, shape);
    value_read(L, given, label, shape, value->data);
    return given + 1;
}

static int make_leaf(lua_State *L, const char *kind, Node *make(Graph *, const char *, const char *, Shape)) {
    static const char *const OPTIONS[] = {"group", "value", NULL};
    char label[LABEL];
    lua_settop(L, 4);
    GraphBox *box = graph_check(L, 1, kind);
    const char *name = binding_text(L, 2, kind), *group = "";
    leaf_label(L, kind, label);
    Shape shape = binding_shape(L, 3, label, false);
    binding_fields(L, 4, label, OPTIONS);
    if (binding_field(L, 4, "group") != LUA_TNIL) group = binding_text(L, -1, "group");
    int value = initial_value(L, label, shape);
    tensor_push(L, 1, make(graph_begin(L, box), group, name, shape));
    remember_leaf(L, name, group, value);
    return 1;
}

static int graph_make_parameter(lua_State *L) {
    return make_leaf(L, "parameter", graph_parameter);
}

static int graph_make_variable(lua_State *L) {
    return make_leaf(L, "variable", graph_variable);
}

static int graph_make_constant(lua_State *L) {
    GraphBox *box = graph_check(L, 1, "g:constant");
    double value = binding_number(L, 2, "g:constant");
    Shape shape = binding_shape(L, 3, "g:constant", false);
    Graph *graph = graph_begin(L, box);
    return tensor_push(L, 1, graph_expand(graph, graph_constant(graph, value), shape));
}

static int graph_make_normal(lua_State *L) {
    GraphBox *box = graph_check(L, 1, "g:normal");
    Shape shape = binding_shape(L, 2, "g:normal", false);
    return tensor_push(L, 1, graph_normal(graph_begin(L, box), shape));
}

static int graph_make_uniform(lua_State *L) {
    GraphBox *box = graph_check(L, 1, "g:uniform");
    Shape shape = binding_shape(L, 2, "g:uniform", false);
    return tensor_push(L, 1, graph_uniform(graph_begin(L, box), shape));
}

/* ---- what Lua sees ------------------------------------------------------------------------------------- */

static const BindingFunction GRAPH_METHODS[] = {
    {"input", "(name: string, shape?: integer[]): brood.Tensor",
     "What is given to each run. Without a shape: one number.", graph_make_input},
    {"param",
     "(name: string, shape?: integer[], options?: {group?: string, value?: brood.Numbers}): brood.Tensor",
     "What an optimizer changes. `group` is the player that owns it; `value` what a new state begins with "
     "(0).",
     graph_make_parameter},
    {"variable",
     "(name: string, shape?: integer[], options?: {group?: string, value?: brood.Numbers}): brood.Tensor",
     "State that only assignments change.", graph_make_variable},
    {"constant", "(number: number, shape?: integer[]): brood.Tensor", "The same number everywhere.",
     graph_make_constant},
    {"normal", "(shape?: integer[]): brood.Tensor", "Fresh normal numbers in every run: mean 0, variance 1.",
     graph_make_normal},
    {"uniform", "(shape?: integer[]): brood.Tensor",
     "Fresh uniform numbers in every run, from 0 up to, not with, 1.", graph_make_uniform},
    {"layer", "(path?: string): string?",
     "Names the layer that the tensors made from now on belong to; nil ends that. Returns the name before.",
     graph_layer},
    {"state", "(options?: {optimizers?: {[string]: brood.Optimizer}, averages?: boolean}): brood.State",
     "A state that several programs can share. `optimizers` maps groups to the optimizer that will train "
     "them; `averages` makes room for moving averages.",
     state_from_graph},
    {"compile",
     "(outputs: {[string]: brood.Tensor}, options?: {assign?: brood.Tensor[][], state?: "
     "brood.State|brood.Program, minimize?: brood.Tensor, optimizer?: brood.Optimizer, group?: string, "
     "averages?: boolean, plain?: boolean, debug?: boolean}): brood.Program",
     "Compiles a program that computes the outputs. Options: assign {{variable, tensor}, ...} after each "
     "run; the state to work on; minimize a scalar by an optimizer over a group's parameters, one step a "
     "run; read the moving averages; plain, without fused kernels; debug, which stops at the first NaN or "
     "infinity.",
     program_compile},
    {"text", "(): string",
     "All that is in it, a line each: number, op, shape, arguments and the like. Graphs of equal texts "
     "compute "
     "the same.",
     graph_lines},
    {"close", "()", "Gives the memory back now. Programs compiled from the graph live on.", graph_close},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg GRAPH_META[] = {
    {"__gc", graph_close}, {"__close", graph_close}, {"__tostring", graph_text}, {NULL, NULL}};

const BindingClass graph_class = {GRAPH_CLASS, "A graph of symbolic tensors.", NULL, GRAPH_METHODS,
                                  GRAPH_META};

static const BindingClass *const CLASSES[] = {&graph_class, &tensor_class,  &value_class,
                                              &state_class, &program_class, NULL};

#define OPTIMIZER_COMMON "lr?: number|string, weight_decay?: number|string, clip_norm?: number|string"

static const BindingFunction FUNCTIONS[] = {
    {"new", "(): brood.Graph", "A new, empty graph.", graph_create},
    {"grad", "(y: brood.Tensor, x: brood.Tensor|brood.Tensor[]): brood.Tensor|brood.Tensor[]",
     "The gradient of the scalar y with respect to a tensor, or to each of a list; itself differentiable.",
     operator_grad},
    {"matmul",
     "(a: brood.Tensor, b: brood.Tensor, options?: {transpose_a?: boolean, transpose_b?: boolean}): "
     "brood.Tensor",
     "(m, k) times (k, n), or batches of them.", operator_matmul},
    {"conv", "(x: brood.Tensor, w: brood.Tensor, options?: {stride?: integer, pad?: integer}): brood.Tensor",
     "Images (n, h, w, cx), weights (kh, kw, cx, cy): images of cy channels. Stride 1, pad 0.",
     operator_conv},
    {"conv_transpose",
     "(y: brood.Tensor, w: brood.Tensor, options?: {stride?: integer, pad?: integer}): brood.Tensor",
     "The adjoint of conv: images (n, h, w, cy), weights (kh, kw, cx, cy): images of cx channels.",
     operator_conv_transpose},
    {"upsample", "(x: brood.Tensor, factor: integer): brood.Tensor",
     "Each pixel becomes factor by factor equal ones.", operator_upsample},
    {"avg_pool", "(x: brood.Tensor, factor: integer): brood.Tensor", "Means of factor by factor blocks.",
     operator_avg_pool},
    {"concat", "(parts: brood.Tensor[], axis: integer): brood.Tensor", "Joins tensors along an axis.",
     operator_concat},
    {"gather", "(table: brood.Tensor, index: brood.Tensor): brood.Tensor",
     "Rows of a table; the index holds row numbers from 1.", operator_gather},
    {"scatter", "(values: brood.Tensor, index: brood.Tensor, rows: integer): brood.Tensor",
     "Adds values into the rows, numbered from 1, of a table of zeros: the adjoint of gather.",
     operator_scatter},
    {"max", "(a: brood.Tensor|number, b: brood.Tensor|number): brood.Tensor",
     "The larger of the two, element by element.", tensor_max},
    {"min", "(a: brood.Tensor|number, b: brood.Tensor|number): brood.Tensor",
     "The smaller of the two, element by element.", tensor_min},
    {"softmax", "(x: brood.Tensor, axis?: integer): brood.Tensor",
     "exp(x) scaled to sum 1 along an axis (the last).", operator_softmax},
    {"log_softmax", "(x: brood.Tensor, axis?: integer): brood.Tensor",
     "The logarithm of softmax, without overflow.", operator_log_softmax},
    {"log_sum_exp", "(x: brood.Tensor, axis?: integer): brood.Tensor",
     "log(sum(exp(x))) along an axis (the last), which is dropped, without overflow.", operator_log_sum_exp},
    {"value", "(shape: integer[], numbers: brood.Numbers): brood.Value",
     "A tensor full of numbers, for set and run: read once, used often.", value_make},
    {"sgd",
     "(settings?: {" OPTIMIZER_COMMON ", momentum?: number|string, nesterov?: boolean}): brood.Optimizer",
     "Gradient descent with momentum. A text in place of a number names the run value to take it from.",
     optimizer_sgd},
    {"adam",
     "(settings?: {" OPTIMIZER_COMMON
     ", beta1?: number|string, beta2?: number|string, epsilon?: number|string}): brood.Optimizer",
     "Adam; with weight_decay, AdamW.", optimizer_adam},
    {"rmsprop",
     "(settings?: {" OPTIMIZER_COMMON
     ", decay?: number|string, epsilon?: number|string, momentum?: number|string}): brood.Optimizer",
     "RMSProp.", optimizer_rmsprop},
    {NULL, NULL, NULL, NULL}};

const BindingModule binding_graph = {
    "brood.graph", "Symbolic tensors, their gradients, and programs made of them.", FUNCTIONS, CLASSES};
