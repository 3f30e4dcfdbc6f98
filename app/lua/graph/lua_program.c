/* Programs: compiling a graph for Lua, and running it. What Lua calls a program is the engine's program, the
 * state that it works on, and a workspace of its own. */
#include "gan/program/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "app/names.h"
#include "base/random.h"

typedef struct {
    Program *program; /* NULL: closed */
    Workspace *workspace;
    StateBox *state; /* the userdata that is the one user value */
    int64_t seed;
    uint64_t step; /* of the random leaves: counts the runs */
    bool optimizes;
    LiveOptimizer optimizer;
    char group[GRAPH_NAME]; /* whose parameters it changes */
} ProgramBox;

static int program_close(lua_State *L) {
    ProgramBox *box = luaL_checkudata(L, 1, PROGRAM_CLASS);
    workspace_free(box->workspace);
    program_free(box->program);
    box->workspace = NULL;
    box->program = NULL;
    return 0;
}

static ProgramBox *program_check(lua_State *L, const char *what) {
    ProgramBox *box = binding_object(L, 1, PROGRAM_CLASS, what);
    if (!box->program) script_error(L, "%s: the program is closed", what);
    return box;
}

const Program *program_parts(lua_State *L, int index, const char *what, StateBox **state,
                             Workspace **workspace) {
    const ProgramBox *box = binding_object(L, index, PROGRAM_CLASS, what);
    if (!box->program) script_error(L, "%s: the program is closed", what);
    if (!box->state->state.data) script_error(L, "%s: the program's state is closed", what);
    *state = box->state;
    if (workspace) *workspace = box->workspace;
    return box->program;
}

/* ---- compiling: what the options say ------------------------------------------------------------------- */

enum { SELF = 1, OUTPUTS, OPTIONS }; /* places on the stack; what follows stays there until the end */

static int by_name(const void *a, const void *b) {
    return strcmp(((const ProgramOutput *)a)->name, ((const ProgramOutput *)b)->name);
}

/* The outputs, in order of name: Lua's own order of a table changes from run to run. */
static void read_outputs(lua_State *L, const GraphBox *graph, ProgramSpec *spec) {
    char label[GRAPH_NAME + 32];
    if (lua_type(L, OUTPUTS) != LUA_TTABLE)
        script_error(L, "compile: a table { name = tensor } of outputs expected");
    lua_pushnil(L);
    for (; lua_next(L, OUTPUTS); lua_pop(L, 1)) spec->output_count++;
    ProgramOutput *outputs = binding_scratch(L, spec->output_count, sizeof *outputs);
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, OUTPUTS)) {
        if (lua_type(L, -2) != LUA_TSTRING) script_error(L, "compile: outputs have names: { name = tensor }");
        snprintf(label, sizeof label, "compile: output '%s'", lua_tostring(L, -2));
        outputs[count++] = (ProgramOutput){lua_tostring(L, -2), tensor_of(L, -1, graph, label)};
        lua_pop(L, 1);
    }
    qsort(outputs, count, sizeof *outputs, by_name);
    spec->outputs = outputs;
}

/* Tensor `place` of the pair on top of the stack. */
static Node *read_half(lua_State *L, const GraphBox *graph, int place, const char *label) {
    if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) != 2)
        script_error(L, "%s: a pair {variable, tensor} expected", label);
    lua_rawgeti(L, -1, place);
    Node *node = tensor_of(L, -1, graph, label);
    lua_pop(L, 1);
    return node;
}

static void read_assignments(lua_State *L, const GraphBox *graph, ProgramSpec *spec) {
    char label[64];
    int type = binding_field(L, OPTIONS, "assign"), list = lua_gettop(L);
    if (type == LUA_TNIL) return;
    if (type != LUA_TTABLE) script_error(L, "compile: assign: a list of pairs {variable, tensor} expected");
    spec->assignment_count = lua_rawlen(L, list);
    ProgramAssignment *assignments = binding_scratch(L, spec->assignment_count, sizeof *assignments);
    for (size_t i = 0; i < spec->assignment_count; i++) {
        snprintf(label, sizeof label, "compile: assign[%zu]", i + 1);
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        assignments[i] = (ProgramAssignment){read_half(L, graph, 1, label), read_half(L, graph, 2, label)};
        if (node_op(assignments[i].variable) != OP_VARIABLE)
            script_error(L, "%s: only variables can be assigned, this is a tensor %s", label,
                         op_text(node_op(assignments[i].variable)));
        lua_pop(L, 1);
    }
    spec->assignments = assignments;
}

static bool read_flag(lua_State *L, const char *name) {
    char label[64];
    snprintf(label, sizeof label, "compile: %s", name);
    binding_field(L, OPTIONS, name);
    return binding_flag(L, -1, label);
}

/* ---- compiling: optimization --------------------------------------------------------------------------- */

/* The group that the options name; by default the only one that has parameters. */
static void read_group(lua_State *L, int leaves, char group[GRAPH_NAME]) {
    bool named = binding_field(L, OPTIONS, "group") != LUA_TNIL, found = false;
    const char *wanted = named ? binding_text(L, -1, "compile: group") : NULL;
    NameSearch search;
    names_start(&search, wanted ? wanted : "");
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, leaves); i++) {
        lua_rawgeti(L, leaves, i);
        const Node *leaf = ((Tensor *)lua_touserdata(L, -1))->node;
        lua_getfield(L, leaves, node_name(leaf));
        const char *of_leaf = lua_tostring(L, -1);
        if (node_op(leaf) == OP_PARAMETER && (!wanted || strcmp(wanted, of_leaf) == 0)) {
            if (found && strcmp(group, of_leaf) != 0)
                script_error(
                    L,
                    "compile: the parameters are in several groups, '%s' and '%s' among them: say which one "
                    "to optimize, group = \"%s\"",
                    group, of_leaf, of_leaf);
            snprintf(group, GRAPH_NAME, "%s", of_leaf);
            found = true;
        }
        names_offer(&search, of_leaf);
        lua_pop(L, 2);
    }
    const char *near = names_best(&search);
    if (!found && wanted)
        script_error(L, "compile: there are no parameters in group '%s'%s%s%s", wanted,
                     near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    if (!found) script_error(L, "compile: there is nothing to optimize: the graph has no parameters");
}

/* The gradients of the loss with respect to all parameters of the group. */
static void make_gradients(lua_State *L, const GraphBox *box, int leaves, const char *group, Node *loss,
                           ProgramSpec *spec) {
    size_t most = lua_rawlen(L, leaves), count = 0;
    Node **parameters = binding_scratch(L, most, sizeof *parameters);
    Node **gradients = binding_scratch(L, most, sizeof *gradients);
    ProgramGradient *pairs = binding_scratch(L, most, sizeof *pairs);
    for (size_t i = 1; i <= most; i++) {
        lua_rawgeti(L, leaves, (lua_Integer)i);
        Node *leaf = ((Tensor *)lua_touserdata(L, -1))->node;
        lua_getfield(L, leaves, node_name(leaf));
        if (node_op(leaf) == OP_PARAMETER && strcmp(lua_tostring(L, -1), group) == 0)
            parameters[count++] = leaf;
        lua_pop(L, 2);
    }
    Graph *graph = graph_begin(L, box);
    if (!graph_grad(graph, loss, parameters, count, gradients)) graph_raise(L, graph);
    for (size_t i = 0; i < count; i++) pairs[i] = (ProgramGradient){parameters[i], gradients[i]};
    spec->gradients = pairs;
    spec->gradient_count = count;
}

/* Reads minimize, optimizer and group. Returns whether the program optimizes. */
static bool read_optimization(lua_State *L, const GraphBox *box, ProgramSpec *spec, LiveOptimizer *optimizer,
                              char group[GRAPH_NAME]) {
    bool wanted = binding_field(L, OPTIONS, "minimize") != LUA_TNIL;
    int loss = lua_gettop(L);
    bool has_optimizer = binding_field(L, OPTIONS, "optimizer") != LUA_TNIL;
    if (wanted != has_optimizer)
        script_error(L, "compile: %s",
                     wanted ? "minimize needs an optimizer: optimizer = graph.adam{...}"
                            : "an optimizer needs what it is to minimize: minimize = loss");
    if (!wanted) return false;
    *optimizer = optimizer_read(L, -1, "compile: optimizer");
    Node *node = tensor_of(L, loss, box, "compile: minimize");
    lua_getiuservalue(L, SELF, GRAPH_LEAVES);
    int leaves = lua_gettop(L);
    read_group(L, leaves, group);
    make_gradients(L, box, leaves, group, node, spec);
    for (size_t i = 0; i < spec->output_count; i++)
        if (strcmp(spec->outputs[i].name, "norm") == 0)
            script_error(
                L,
                "compile: the output 'norm' is the gradient's norm, which minimize adds: use another name");
    return true;
}

/* ---- compiling: the state ------------------------------------------------------------------------------ */

/* A given state must have what the program needs. */
static void check_state(lua_State *L, const Layout *layout, const char *group, const LiveOptimizer *optimizer,
                        bool averages) {
    static const LayoutKind MOMENTS[] = {LAYOUT_MOMENT1, LAYOUT_MOMENT2};
    size_t count;
    for (int i = 0; optimizer && i < optimizer_moments(optimizer->settings.kind); i++) {
        layout_block(layout, group, MOMENTS[i], &count);
        if (count == 0)
            script_error(L,
                         "compile: the state has no room for the moments of %s over group '%s': make it by "
                         "g:state{ optimizers = { [\"%s\"] = graph.%s{...} } }",
                         optimizer_text(optimizer->settings.kind), group, group,
                         optimizer_text(optimizer->settings.kind));
    }
    bool found = !averages;
    for (size_t i = 0; i < layout_count(layout) && !found; i++)
        found = layout_entry(layout, i)->kind == LAYOUT_AVERAGE_PARAMETER;
    if (!found)
        script_error(L, "compile: the state has no averages to read: make it by g:state{ averages = true }");
}

/* Pushes the state: the given one, or a new one with room for what the program needs. */
static StateBox *find_state(lua_State *L, const char *group, const LiveOptimizer *optimizer, bool averages) {
    if (binding_field(L, OPTIONS, "state") != LUA_TNIL) {
        StateBox *box = state_check(L, lua_gettop(L), "compile: state");
        check_state(L, box->state.layout, group, optimizer, averages);
        return box;
    }
    lua_newtable(L); /* optimizers by group */
    if (optimizer) {
        binding_field(L, OPTIONS, "optimizer");
        lua_setfield(L, -2, group);
    }
    return state_push(L, SELF, lua_gettop(L), averages);
}

/* Pushes a program without content, that keeps the state on top of the stack alive. */
static ProgramBox *push_program(lua_State *L, StateBox *state) {
    ProgramBox *box = lua_newuserdatauv(L, sizeof *box, 1);
    memset(box, 0, sizeof *box);
    box->state = state;
    luaL_setmetatable(L, PROGRAM_CLASS);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, 1);
    return box;
}

static void fill_program(lua_State *L, ProgramBox *box, const GraphBox *graph, const ProgramSpec *spec) {
    Error error = {0};
    box->program = program_new(graph->graph, box->state->state.layout, spec, &error);
    if (!box->program) script_error(L, "compile: %s", error.message);
    box->workspace = workspace_new();
    if (!box->workspace) script_error(L, "compile: out of memory: no room for a workspace");
    if (workspace_reserve(box->workspace, box->program, &error) != STATUS_OK)
        script_error(L, "compile: %s", error.message);
    binding_outside_bytes(L, workspace_bytes(box->workspace));
}

/* g:compile(outputs, options) */
int program_compile(lua_State *L) {
    static const char *const NAMES[] = {"assign",   "state", "minimize", "optimizer", "group",
                                        "averages", "plain", "debug",    NULL};
    lua_settop(L, OPTIONS);
    luaL_checkstack(L, 2 * LUA_MINSTACK, "compile");
    GraphBox *graph = graph_check(L, SELF, "compile");
    binding_fields(L, OPTIONS, "compile", NAMES);
    ProgramSpec spec = {0};
    LiveOptimizer optimizer;
    char group[GRAPH_NAME] = "";
    read_outputs(L, graph, &spec);
    read_assignments(L, graph, &spec);
    bool optimizes = read_optimization(L, graph, &spec, &optimizer, group);
    if (!optimizes && spec.output_count + spec.assignment_count == 0)
        script_error(L,
                     "compile: there is nothing to compute: no outputs, no assignments, nothing to minimize");
    spec.read_averages = read_flag(L, "averages");
    spec.plain = read_flag(L, "plain");
    spec.debug = read_flag(L, "debug");
    StateBox *state = find_state(L, group, optimizes ? &optimizer : NULL, spec.read_averages);
    ProgramBox *box = push_program(L, state);
    box->optimizes = optimizes;
    if (optimizes) box->optimizer = optimizer;
    strcpy(box->group, group);
    fill_program(L, box, graph, &spec);
    return 1;
}

/* ---- running ------------------------------------------------------------------------------------------- */

enum { INPUTS = 2, RUN_OPTIONS };

static void read_run_options(lua_State *L, ProgramBox *box) {
    static const char *const NAMES[] = {"seed", "step", NULL};
    binding_fields(L, RUN_OPTIONS, "run", NAMES);
    if (binding_field(L, RUN_OPTIONS, "seed") != LUA_TNIL)
        box->seed = binding_integer(L, -1, "run: seed", INT64_MIN, INT64_MAX);
    if (binding_field(L, RUN_OPTIONS, "step") != LUA_TNIL)
        box->step = (uint64_t)binding_integer(L, -1, "run: step", 0, INT64_MAX);
    lua_pop(L, 2);
}

static _Noreturn void unknown_input(lua_State *L, const ProgramBox *box, const char *name) {
    NameSearch search;
    names_start(&search, name);
    for (size_t i = 0; i < program_inputs(box->program); i++)
        names_offer(&search, program_input_name(box->program, i));
    int next = 0;
    for (const char *live; box->optimizes && (live = optimizer_live_name(&box->optimizer, &next));)
        names_offer(&search, live);
    const char *near = names_best(&search);
    if (near) script_error(L, "run: the program reads no input '%s': did you mean '%s'?", name, near);
    script_error(L, "run: the program reads no input '%s'", name);
}

static bool reads(const ProgramBox *box, const char *name) {
    return program_input_index(box->program, name) >= 0 ||
           (box->optimizes && optimizer_uses(&box->optimizer, name));
}

static void check_input_names(lua_State *L, const ProgramBox *box) {
    if (lua_type(L, INPUTS) != LUA_TTABLE)
        script_error(L, "run: a table { name = numbers } of inputs expected, got a %s",
                     luaL_typename(L, INPUTS));
    lua_pushnil(L);
    while (lua_next(L, INPUTS)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) script_error(L, "run: inputs have names: { name = numbers }");
        if (!reads(box, lua_tostring(L, -1))) unknown_input(L, box, lua_tostring(L, -1));
    }
}

static void read_inputs(lua_State *L, ProgramBox *box) {
    char label[GRAPH_NAME + 32], text[SHAPE_TEXT];
    for (size_t i = 0; i < program_inputs(box->program); i++) {
        const char *name = program_input_name(box->program, i);
        Shape shape = program_input_shape(box->program, i);
        if (binding_field(L, INPUTS, name) == LUA_TNIL)
            script_error(L, "run: input '%s' of shape %s is missing", name, shape_text(shape, text));
        snprintf(label, sizeof label, "run: input '%s'", name);
        value_read(L, -1, label, shape, workspace_input(box->workspace, box->program, i));
        lua_pop(L, 1);
    }
    int next = 0;
    for (const char *name; box->optimizes && (name = optimizer_live_name(&box->optimizer, &next));) {
        if (binding_field(L, INPUTS, name) == LUA_TNIL)
            script_error(L, "run: '%s', which the optimizer reads, is missing", name);
        optimizer_set_live(L, -1, &box->optimizer, name);
        lua_pop(L, 1);
    }
}

/* One step of the optimizer, counted in the state. Returns the gradient's norm. */
static double optimize(lua_State *L, ProgramBox *box) {
    State *state = &box->state->state;
    size_t count, others;
    const real *gradient = workspace_gradients(box->workspace, box->program, box->group, &count);
    real *parameters = state_block(state, box->group, LAYOUT_PARAMETER, &count);
    real *first = state_block(state, box->group, LAYOUT_MOMENT1, &others);
    real *second = state_block(state, box->group, LAYOUT_MOMENT2, &others);
    lua_getiuservalue(L, 1, 1);
    int64_t step = state_steps(L, box->group) + 1;
    state_set_steps(L, box->group, step);
    lua_pop(L, 1);
    return optimizer_step(&box->optimizer.settings, step, count, parameters, gradient, first, second);
}

static void push_outputs(lua_State *L, const ProgramBox *box) {
    size_t count = program_outputs(box->program);
    lua_createtable(L, 0, count < 1000 ? (int)count + 1 : 1000);
    for (size_t i = 0; i < count; i++) {
        Value *value = value_push(L, program_output_shape(box->program, i));
        memcpy(value->data, workspace_output(box->workspace, box->program, i), value->count * sizeof(real));
        lua_setfield(L, -2, program_output_name(box->program, i));
    }
}

/* The engine counts rows from 0, and its message on one out of range does too. */
static const char *row_note(const Error *error) {
    bool rows = strncmp(error->message, "gather", 6) == 0 || strncmp(error->message, "scatter", 7) == 0;
    return rows ? " (these are counted from 0: the script's numbers are one more)" : "";
}

/* p:run(inputs, options) */
static int program_execute(lua_State *L) {
    ProgramBox *box = program_check(L, "run");
    if (!box->state->state.data) script_error(L, "run: the program's state is closed");
    lua_settop(L, RUN_OPTIONS);
    if (lua_isnil(L, INPUTS)) {
        lua_newtable(L);
        lua_replace(L, INPUTS);
    }
    read_run_options(L, box);
    check_input_names(L, box);
    read_inputs(L, box);
    Error error = {0};
    uint64_t key = random_key((uint64_t)box->seed, 0, "run");
    if (program_run(box->program, &box->state->state, box->workspace, key, box->step++, &error) != STATUS_OK)
        script_error(L, "run: %s%s", error.message, row_note(&error));
    double norm = box->optimizes ? optimize(L, box) : 0;
    push_outputs(L, box);
    if (box->optimizes) {
        value_push(L, shape_scalar())->data[0] = (real)norm;
        lua_setfield(L, -2, "norm");
    }
    return 1;
}

/* ---- other methods ------------------------------------------------------------------------------------- */

static int program_tune(lua_State *L) {
    ProgramBox *box = program_check(L, "tune");
    if (!box->optimizes) script_error(L, "tune: the program has no optimizer");
    optimizer_tune(L, 2, &box->optimizer);
    return 0;
}

static int program_state(lua_State *L) {
    program_check(L, "state");
    lua_getiuservalue(L, 1, 1);
    return 1;
}

/* p:use(state) */
static int program_use(lua_State *L) {
    ProgramBox *box = program_check(L, "use");
    lua_settop(L, 2);
    StateBox *state = state_check(L, 2, "use");
    if (state->state.layout != box->state->state.layout)
        script_error(
            L, "use: this state was made for other programs: a copy of the program's own state is needed");
    box->state = state;
    lua_setiuservalue(L, 1, 1);
    return 0;
}

static int program_figures(lua_State *L) {
    ProgramStats stats = program_stats(program_check(L, "stats")->program);
    const struct {
        const char *name;
        size_t number;
    } FIGURES[] = {{"nodes", stats.nodes},
                   {"kernels", stats.kernels},
                   {"arena_bytes", stats.arena_bytes},
                   {"state_bytes", stats.state_bytes},
                   {"parameters", stats.parameters}};
    lua_newtable(L);
    for (size_t i = 0; i < sizeof FIGURES / sizeof FIGURES[0]; i++) {
        lua_pushinteger(L, (lua_Integer)FIGURES[i].number);
        lua_setfield(L, -2, FIGURES[i].name);
    }
    lua_pushnumber(L, stats.flops);
    lua_setfield(L, -2, "flops");
    return 1;
}

/* { name = shape } of what run expects. */
static int program_expects(lua_State *L) {
    ProgramBox *box = program_check(L, "inputs");
    lua_newtable(L);
    for (size_t i = 0; i < program_inputs(box->program); i++) {
        value_push_shape(L, program_input_shape(box->program, i));
        lua_setfield(L, -2, program_input_name(box->program, i));
    }
    int next = 0;
    for (const char *name; box->optimizes && (name = optimizer_live_name(&box->optimizer, &next));) {
        value_push_shape(L, shape_scalar());
        lua_setfield(L, -2, name);
    }
    return 1;
}

static int program_text(lua_State *L) {
    ProgramBox *box = luaL_checkudata(L, 1, PROGRAM_CLASS);
    if (box->program)
        lua_pushfstring(L, "program of %d nodes, %d inputs and %d outputs",
                        (int)program_stats(box->program).nodes, (int)program_inputs(box->program),
                        (int)program_outputs(box->program));
    else
        lua_pushliteral(L, "program (closed)");
    return 1;
}

static const BindingFunction METHODS[] = {
    {"run",
     "(inputs?: {[string]: brood.Numbers}, options?: {seed?: integer, step?: integer}): {[string]: "
     "brood.Value}",
     "Runs once: reads the inputs, which a number fills, computes the outputs, carries out the assignments, "
     "and takes the "
     "optimizer's step, whose gradient norm is the output `norm`. `seed` and `step` choose the random "
     "leaves' numbers from here on: the seed stays, the step counts up.",
     program_execute},
    {"set", "(name: string, value: brood.Numbers, kind?: string)", "As set of its state.", state_set},
    {"get", "(name: string, kind?: string): brood.Value", "As get of its state.", state_get},
    {"average", "(decay: number)", "As average of its state.", state_average},
    {"tune", "(settings: {[string]: number})", "Changes the optimizer's numbers from the next run on.",
     program_tune},
    {"state", "(): brood.State", "The state that the program works on.", program_state},
    {"use", "(state: brood.State)", "Works on this copy of its state from now on.", program_use},
    {"inputs", "(): {[string]: integer[]}", "The names that run expects, with their shapes.",
     program_expects},
    {"stats",
     "(): {nodes: integer, kernels: integer, arena_bytes: integer, state_bytes: integer, parameters: "
     "integer, flops: number}",
     "Size and work of the program: flops are floating-point operations of a run.", program_figures},
    {"close", "()", "Gives the memory back now; the state lives on.", program_close},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg META[] = {
    {"__gc", program_close}, {"__close", program_close}, {"__tostring", program_text}, {NULL, NULL}};

const BindingClass program_class = {PROGRAM_CLASS, "A compiled graph, with the state it works on.", NULL,
                                    METHODS, META};
