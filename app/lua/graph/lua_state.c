/* States: the numbers that programs work on. */
#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "app/names.h"

#define LAYOUT_CLASS "brood.Layout" /* never seen by a script: it is shared by a state and its copies */

typedef struct {
    Layout *layout;
} LayoutBox;

/* ---- layouts ------------------------------------------------------------------------------------------- */

static int layout_close(lua_State *L) {
    LayoutBox *box = luaL_checkudata(L, 1, LAYOUT_CLASS);
    layout_free(box->layout);
    box->layout = NULL;
    return 0;
}

static Layout *push_layout(lua_State *L) {
    LayoutBox *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->layout = NULL;
    if (luaL_newmetatable(L, LAYOUT_CLASS)) {
        lua_pushcfunction(L, layout_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    box->layout = layout_new();
    if (!box->layout) script_error(L, "out of memory: no room for a layout");
    return box->layout;
}

static void check(lua_State *L, Status status, const Error *error) {
    if (status != STATUS_OK) script_error(L, "%s", error->message);
}

/* Whether entry `index` is the first parameter or variable of its group. */
static bool first_of_group(const Layout *layout, size_t index) {
    const LayoutEntry *entry = layout_entry(layout, index);
    for (size_t i = 0; i < index; i++)
        if (strcmp(layout_entry(layout, i)->group, entry->group) == 0) return false;
    return true;
}

/* The moments of the optimizer that the table at `optimizers` gives to the group. */
static void add_moments(lua_State *L, Layout *layout, const char *group, int optimizers) {
    char label[GRAPH_NAME + 32];
    Error error;
    if (!optimizers || binding_field(L, optimizers, group) == LUA_TNIL) return;
    snprintf(label, sizeof label, "the optimizer of group '%s'", group);
    int moments = optimizer_moments(optimizer_read(L, -1, label).settings.kind);
    if (moments >= 1) check(L, layout_add_kind(layout, group, LAYOUT_MOMENT1, &error), &error);
    if (moments >= 2) check(L, layout_add_kind(layout, group, LAYOUT_MOMENT2, &error), &error);
}

static void add_averages(lua_State *L, Layout *layout, const char *group) {
    Error error;
    check(L, layout_add_kind(layout, group, LAYOUT_AVERAGE_PARAMETER, &error), &error);
    check(L, layout_add_kind(layout, group, LAYOUT_AVERAGE_VARIABLE, &error), &error);
}

/* Every group that is given an optimizer must have parameters. */
static void check_groups(lua_State *L, const Layout *layout, int optimizers) {
    lua_pushnil(L);
    while (optimizers && lua_next(L, optimizers)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            script_error(L, "optimizers: a table { group = optimizer } expected");
        const char *group = lua_tostring(L, -1);
        size_t count;
        layout_block(layout, group, LAYOUT_PARAMETER, &count);
        if (count > 0) continue;
        NameSearch search;
        names_start(&search, group);
        for (size_t i = 0; i < layout_count(layout); i++)
            names_offer(&search, layout_entry(layout, i)->group);
        const char *near = names_best(&search);
        script_error(L, "there are no parameters in group '%s'%s%s%s", group, near ? ": did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
    }
}

/* The layout of the graph's state, pushed. */
static Layout *build_layout(lua_State *L, const GraphBox *graph, int optimizers, bool averages) {
    Layout *layout = push_layout(L);
    int top = lua_gettop(L);
    Error error;
    check(L, layout_add_graph(layout, graph->graph, &error), &error);
    size_t leaves = layout_count(layout); /* it grows below */
    for (size_t i = 0; i < leaves; i++) {
        if (!first_of_group(layout, i)) continue;
        const char *group = layout_entry(layout, i)->group;
        add_moments(L, layout, group, optimizers);
        if (averages) add_averages(L, layout, group);
        lua_settop(L, top);
    }
    check(L, layout_finish(layout, &error), &error);
    check_groups(L, layout, optimizers);
    lua_settop(L, top);
    return layout;
}

/* ---- making states ------------------------------------------------------------------------------------- */

/* Pushes a state of the layout whose userdata is on top, which it replaces. */
static StateBox *push_state(lua_State *L) {
    const LayoutBox *layout = lua_touserdata(L, -1);
    StateBox *box = lua_newuserdatauv(L, sizeof *box, STATE_USER_VALUES);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, STATE_CLASS);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, STATE_LAYOUT);
    lua_newtable(L);
    lua_setiuservalue(L, -2, STATE_STEPS);
    Error error;
    check(L, state_new(&box->state, layout->layout, &error), &error);
    binding_outside_bytes(L, layout_numbers(layout->layout) * sizeof(real));
    return box;
}

/* Initial values of parameters and variables, where the graph has them. */
static void fill_state(lua_State *L, StateBox *box, int graph_index) {
    lua_getiuservalue(L, graph_index, GRAPH_INITIAL);
    const Layout *layout = box->state.layout;
    for (size_t i = 0; i < layout_count(layout); i++) {
        const LayoutEntry *entry = layout_entry(layout, i);
        bool leaf = entry->kind == LAYOUT_PARAMETER || entry->kind == LAYOUT_VARIABLE;
        if (leaf && binding_field(L, -1, entry->name) != LUA_TNIL) {
            const Value *value = lua_touserdata(L, -1);
            memcpy(box->state.data + entry->offset, value->data, value->count * sizeof(real));
        }
        if (leaf) lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* average = decay · average + (1 − decay) · now */
static bool update_averages(StateBox *box, double decay) {
    const Layout *layout = box->state.layout;
    bool any = false;
    for (size_t i = 0; i < layout_count(layout); i++) {
        const LayoutEntry *entry = layout_entry(layout, i);
        if (entry->kind != LAYOUT_AVERAGE_PARAMETER && entry->kind != LAYOUT_AVERAGE_VARIABLE) continue;
        LayoutKind source = entry->kind == LAYOUT_AVERAGE_PARAMETER ? LAYOUT_PARAMETER : LAYOUT_VARIABLE;
        const real *now = state_tensor(&box->state, source, entry->name);
        real *average = box->state.data + entry->offset;
        for (size_t k = 0; k < entry->count; k++)
            average[k] = (real)decay * average[k] + (real)(1 - decay) * now[k];
        any = true;
    }
    return any;
}

StateBox *state_push(lua_State *L, int graph_index, int optimizers, bool averages) {
    build_layout(L, graph_check(L, graph_index, "state"), optimizers, averages);
    StateBox *box = push_state(L);
    fill_state(L, box, graph_index);
    update_averages(box, 0);
    return box;
}

/* g:state{...} */
int state_from_graph(lua_State *L) {
    static const char *const OPTIONS[] = {"optimizers", "averages", NULL};
    graph_check(L, 1, "g:state");
    lua_settop(L, 2);
    binding_fields(L, 2, "g:state", OPTIONS);
    binding_field(L, 2, "averages");
    bool averages = binding_flag(L, -1, "g:state: averages");
    int type = binding_field(L, 2, "optimizers");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        script_error(L, "g:state: optimizers: a table { group = optimizer } expected");
    state_push(L, 1, type == LUA_TNIL ? 0 : lua_gettop(L), averages);
    return 1;
}

/* ---- finding ------------------------------------------------------------------------------------------- */

StateBox *state_check(lua_State *L, int index, const char *what) {
    if (luaL_testudata(L, index, PROGRAM_CLASS)) {
        lua_getiuservalue(L, index, 1);
        lua_replace(L, index);
    }
    StateBox *box = binding_object(L, index, STATE_CLASS, what);
    if (!box->state.data) script_error(L, "%s: the state is closed", what);
    return box;
}

static int state_close(lua_State *L) {
    StateBox *box = luaL_checkudata(L, 1, STATE_CLASS);
    state_free(&box->state);
    box->state.data = NULL;
    return 0;
}

/* The kind that the text at `index` names; LAYOUT_KINDS when there is nothing. */
static LayoutKind read_kind(lua_State *L, int index, const char *what) {
    if (lua_isnoneornil(L, index)) return LAYOUT_KINDS;
    const char *text = binding_text(L, index, what);
    NameSearch search;
    names_start(&search, text);
    for (int kind = 0; kind < LAYOUT_KINDS; kind++) {
        const char *name = layout_kind_text((LayoutKind)kind);
        if (strcmp(text, name) == 0) return (LayoutKind)kind;
        names_offer(&search, name);
    }
    const char *near = names_best(&search);
    script_error(L, "%s: there is no kind '%s': did you mean '%s'?", what, text, near ? near : "parameter");
}

/* The tensor named at index 2, of the kind at index `kind_index`: by default a parameter or a variable. */
static const LayoutEntry *find_tensor(lua_State *L, const StateBox *box, int kind_index, const char *what) {
    const Layout *layout = box->state.layout;
    const char *name = binding_text(L, 2, what);
    LayoutKind kind = read_kind(L, kind_index, what);
    const LayoutEntry *entry = layout_find(layout, kind == LAYOUT_KINDS ? LAYOUT_PARAMETER : kind, name);
    if (!entry && kind == LAYOUT_KINDS) entry = layout_find(layout, LAYOUT_VARIABLE, name);
    if (entry) return entry;
    NameSearch search;
    names_start(&search, name);
    for (size_t i = 0; i < layout_count(layout); i++)
        if (kind == LAYOUT_KINDS || layout_entry(layout, i)->kind == kind)
            names_offer(&search, layout_entry(layout, i)->name);
    const char *near = names_best(&search),
               *kind_text = kind == LAYOUT_KINDS ? "parameter or variable" : layout_kind_text(kind);
    if (near)
        script_error(L, "%s: the state has no %s '%s': did you mean '%s'?", what, kind_text, name, near);
    script_error(L, "%s: the state has no %s '%s'", what, kind_text, name);
}

/* ---- methods ------------------------------------------------------------------------------------------- */

int state_set(lua_State *L) {
    StateBox *box = state_check(L, 1, "set");
    const LayoutEntry *entry = find_tensor(L, box, 4, "set");
    char label[GRAPH_NAME + 32];
    snprintf(label, sizeof label, "set: %s '%s'", layout_kind_text(entry->kind), entry->name);
    value_read(L, 3, label, entry->shape, box->state.data + entry->offset);
    return 0;
}

int state_get(lua_State *L) {
    StateBox *box = state_check(L, 1, "get");
    const LayoutEntry *entry = find_tensor(L, box, 3, "get");
    Value *value = value_push(L, entry->shape);
    memcpy(value->data, box->state.data + entry->offset, value->count * sizeof(real));
    return 1;
}

int state_average(lua_State *L) {
    StateBox *box = state_check(L, 1, "average");
    double decay = binding_number(L, 2, "average: decay");
    if (!(decay >= 0 && decay <= 1)) script_error(L, "average: a decay from 0 to 1 expected, got %g", decay);
    if (!update_averages(box, decay))
        script_error(L, "average: the state has no room for averages: make it by g:state{ averages = true }");
    return 0;
}

static int state_tensors(lua_State *L) {
    StateBox *box = state_check(L, 1, "tensors");
    const Layout *layout = box->state.layout;
    lua_newtable(L);
    for (size_t i = 0; i < layout_count(layout); i++) {
        const LayoutEntry *entry = layout_entry(layout, i);
        lua_createtable(L, 0, 4);
        lua_pushstring(L, entry->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, entry->group);
        lua_setfield(L, -2, "group");
        lua_pushstring(L, layout_kind_text(entry->kind));
        lua_setfield(L, -2, "kind");
        value_push_shape(L, entry->shape);
        lua_setfield(L, -2, "shape");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int state_clone(lua_State *L) {
    StateBox *box = state_check(L, 1, "copy");
    lua_getiuservalue(L, 1, STATE_LAYOUT);
    StateBox *copy = push_state(L);
    state_copy(&copy->state, &box->state);
    lua_getiuservalue(L, -1, STATE_STEPS);
    lua_getiuservalue(L, 1, STATE_STEPS);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2); /* theirs of steps, group, group, steps */
        lua_rawset(L, -5);
    }
    lua_pop(L, 2);
    return 1;
}

int64_t state_steps(lua_State *L, const char *group) {
    lua_getiuservalue(L, -1, STATE_STEPS);
    lua_getfield(L, -1, group);
    int64_t steps = lua_tointeger(L, -1); /* nil is 0 */
    lua_pop(L, 2);
    return steps;
}

void state_set_steps(lua_State *L, const char *group, int64_t steps) {
    lua_getiuservalue(L, -1, STATE_STEPS);
    lua_pushinteger(L, steps);
    lua_setfield(L, -2, group);
    lua_pop(L, 1);
}

static int state_text(lua_State *L) {
    StateBox *box = luaL_checkudata(L, 1, STATE_CLASS);
    if (box->state.data)
        lua_pushfstring(L, "state of %d tensors, %I bytes", (int)layout_count(box->state.layout),
                        (LUAI_UACINT)(layout_numbers(box->state.layout) * sizeof(real)));
    else
        lua_pushliteral(L, "state (closed)");
    return 1;
}

static const BindingFunction METHODS[] = {
    {"set", "(name: string, value: brood.Numbers, kind?: string)",
     "Sets a parameter or variable, or a tensor of another kind: moment1, moment2, average_parameter, "
     "average_variable. A number fills it.",
     state_set},
    {"get", "(name: string, kind?: string): brood.Value",
     "A copy of a parameter or variable, or of another kind.", state_get},
    {"tensors", "(): {name: string, group: string, kind: string, shape: integer[]}[]",
     "What the state holds.", state_tensors},
    {"average", "(decay: number)",
     "Moves the averages: decay times themselves and 1 - decay times the present.", state_average},
    {"copy", "(): brood.State", "Another state with the same numbers.", state_clone},
    {"close", "()", "Gives the memory back now.", state_close},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg META[] = {
    {"__gc", state_close}, {"__close", state_close}, {"__tostring", state_text}, {NULL, NULL}};

const BindingClass state_class = {
    STATE_CLASS, "The numbers that programs work on: parameters, variables, moments.", NULL, METHODS, META};
