/* The userdata of brood.graph, and what its files share. Each object keeps the ones it needs alive by its
 * user values; an explicit close leaves a NULL behind that every use checks. */
#ifndef BROOD_APP_LUA_GRAPH_H
#define BROOD_APP_LUA_GRAPH_H

#include "app/lua/lua_binding.h"
#include "gan/optimizer.h"
#include "gan/program/program.h"

#define GRAPH_CLASS   "brood.Graph"
#define TENSOR_CLASS  "brood.Tensor"
#define VALUE_CLASS   "brood.Value"
#define STATE_CLASS   "brood.State"
#define PROGRAM_CLASS "brood.Program"
enum { GRAPH_NAME = 201 }; /* room for a name of the engine's, and of a layer's path */

extern const BindingClass graph_class, tensor_class, value_class, state_class, program_class;

/* ---- graphs and tensors -------------------------------------------------------------------------------- */

typedef struct {
    Graph *graph;           /* NULL: closed */
    char layer[GRAPH_NAME]; /* "": none */
} GraphBox;
enum {
    GRAPH_LEAVES = 1, /* user value: { [1..] = parameters and variables in order, [name] = group } */
    GRAPH_INITIAL,    /* user value: { [name] = brood.Value } */
    GRAPH_USER_VALUES = GRAPH_INITIAL
};

typedef struct {
    GraphBox *box; /* the userdata that is the one user value */
    Node *node;
} Tensor;

/* The open graph at `index`. */
GraphBox *graph_check(lua_State *L, int index, const char *what);
/* The tensor at `index`, of an open graph. */
Tensor *tensor_check(lua_State *L, int index, const char *what);
/* As tensor_check, and the tensor must belong to `box`. */
Node *tensor_of(lua_State *L, int index, const GraphBox *box, const char *what);

/* Before nodes are made: tells the graph the script's line, and returns it. */
Graph *graph_begin(lua_State *L, const GraphBox *box);
/* After: pushes the node as a tensor of the graph that the graph or tensor at `owner` belongs to; a NULL
 * raises the graph's error. */
int tensor_push(lua_State *L, int owner, Node *node);
/* The shape less the axes of a bit set. */
Shape shape_without(Shape shape, unsigned axes);
/* Raises the graph's error, and clears it. */
_Noreturn void graph_raise(lua_State *L, Graph *graph);

/* Functions of the module on tensors: lua_operator.c, and lua_tensor.c for those that are methods too. */
int operator_grad(lua_State *L), operator_matmul(lua_State *L), operator_conv(lua_State *L);
int operator_conv_transpose(lua_State *L), operator_upsample(lua_State *L), operator_avg_pool(lua_State *L);
int operator_concat(lua_State *L), operator_gather(lua_State *L), operator_scatter(lua_State *L);
int operator_softmax(lua_State *L), operator_log_softmax(lua_State *L), operator_log_sum_exp(lua_State *L);
int tensor_max(lua_State *L), tensor_min(lua_State *L);

/* ---- values: tensors full of numbers ------------------------------------------------------------------- */

typedef struct {
    Shape shape;
    size_t count;
    real data[];
} Value;

/* Pushes a value, to be filled. */
Value *value_push(lua_State *L, Shape shape);
/* Pushes the sizes as a table. */
void value_push_shape(lua_State *L, Shape shape);
/* Copies numbers from a flat table, a value of the same shape, or a number, which stands for all elements,
 * into `into`. Nothing is copied when an error is raised. */
void value_read(lua_State *L, int index, const char *what, Shape shape, real *into);
int value_make(lua_State *L); /* graph.value(shape, numbers) */

/* ---- states -------------------------------------------------------------------------------------------- */

typedef struct {
    State state; /* data NULL: closed */
} StateBox;
enum {
    STATE_LAYOUT = 1, /* user value: the layout's userdata */
    STATE_STEPS,      /* user value: { [group] = optimizer steps so far } */
    STATE_USER_VALUES = STATE_STEPS
};

/* The open state at `index`. A program there gives way to its state. */
StateBox *state_check(lua_State *L, int index, const char *what);
/* Pushes a new state for the graph at `graph_index`, with moments for the optimizers that the table at
 * `optimizers` gives to groups (0: none), and room for moving averages of everything if `averages`. */
StateBox *state_push(lua_State *L, int graph_index, int optimizers, bool averages);
int state_from_graph(lua_State *L); /* g:state{...} */
/* Methods of states that programs have too, working on their state. */
int state_set(lua_State *L), state_get(lua_State *L), state_average(lua_State *L);
/* An optimizer's steps over a group so far, in the state on top of the stack. */
int64_t state_steps(lua_State *L, const char *group);
void state_set_steps(lua_State *L, const char *group, int64_t steps);

/* ---- optimizers ---------------------------------------------------------------------------------------- */

enum { OPTIMIZER_NUMBERS = 8 };
typedef struct {
    OptimizerSettings settings;
    char live[OPTIMIZER_NUMBERS][GRAPH_NAME]; /* the run value that a number is taken from; "": it is fixed */
} LiveOptimizer;

int optimizer_sgd(lua_State *L), optimizer_adam(lua_State *L), optimizer_rmsprop(lua_State *L);
/* The optimizer described by the table at `index`, as graph.adam{...} and its like return. */
LiveOptimizer optimizer_read(lua_State *L, int index, const char *what);
/* The names of the run values that are used, one call after the other from *next 0; NULL at the end. */
const char *optimizer_live_name(const LiveOptimizer *optimizer, int *next);
bool optimizer_uses(const LiveOptimizer *optimizer, const char *name);
/* Sets the numbers that use the run value `name` from the Lua value at `index`. */
void optimizer_set_live(lua_State *L, int index, LiveOptimizer *optimizer, const char *name);
/* Changes fixed numbers: the table at `index` maps their names to new ones. */
void optimizer_tune(lua_State *L, int index, LiveOptimizer *optimizer);

int program_compile(lua_State *L); /* g:compile(outputs, options) */
/* The open program at `index`, the userdata of its state, and its workspace (NULL: not wanted). */
const Program *program_parts(lua_State *L, int index, const char *what, StateBox **state,
                             Workspace **workspace);

#endif
