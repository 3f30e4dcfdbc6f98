/* Optimizers: their settings, every number of which is live. To a script an optimizer is a plain table, its
 * kind and its settings; a program keeps it as a LiveOptimizer. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "app/names.h"

enum { SGD = 1 << OPTIMIZER_SGD, ADAM = 1 << OPTIMIZER_ADAM, RMSPROP = 1 << OPTIMIZER_RMSPROP, ALL = 7 };

typedef struct {
    const char *name;
    size_t offset;  /* in OptimizerSettings */
    unsigned kinds; /* bit set of those that have it */
} Number;

static const Number NUMBERS[OPTIMIZER_NUMBERS] = {
    {"lr", offsetof(OptimizerSettings, lr), ALL},
    {"beta1", offsetof(OptimizerSettings, beta1), ADAM},
    {"beta2", offsetof(OptimizerSettings, beta2), ADAM},
    {"epsilon", offsetof(OptimizerSettings, epsilon), ADAM | RMSPROP},
    {"momentum", offsetof(OptimizerSettings, momentum), SGD | RMSPROP},
    {"decay", offsetof(OptimizerSettings, decay), RMSPROP},
    {"weight_decay", offsetof(OptimizerSettings, weight_decay), ALL},
    {"clip_norm", offsetof(OptimizerSettings, clip_norm), ALL},
};
enum { LABEL = 64, NAMES = OPTIMIZER_NUMBERS + 3 }; /* nesterov, kind, NULL */

static double *number_in(OptimizerSettings *settings, int number) {
    return (double *)((char *)settings + NUMBERS[number].offset);
}

static bool has_number(OptimizerKind kind, int number) {
    return NUMBERS[number].kinds >> kind & 1;
}

static const char *label_of(OptimizerKind kind, int number, char label[LABEL]) {
    snprintf(label, LABEL, "%s: %s", optimizer_text(kind), NUMBERS[number].name);
    return label;
}

static void check_settings(lua_State *L, const OptimizerSettings *settings) {
    Error error;
    if (optimizer_check(settings, &error) != STATUS_OK) script_error(L, "%s", error.message);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Only names that the kind has; `all`: those that are not numbers too. */
static void check_names(lua_State *L, int index, OptimizerKind kind, bool all) {
    const char *names[NAMES];
    int count = 0;
    for (int i = 0; i < OPTIMIZER_NUMBERS; i++)
        if (has_number(kind, i)) names[count++] = NUMBERS[i].name;
    if (all && kind == OPTIMIZER_SGD) names[count++] = "nesterov";
    if (all) names[count++] = "kind";
    names[count] = NULL;
    binding_fields(L, index, optimizer_text(kind), names);
}

/* Number `i` from the value on top of the stack: a number, or the name of a run value. */
static void read_number(lua_State *L, LiveOptimizer *optimizer, int i) {
    char label[LABEL];
    label_of(optimizer->settings.kind, i, label);
    if (lua_type(L, -1) != LUA_TSTRING) {
        *number_in(&optimizer->settings, i) = binding_number(L, -1, label);
        return;
    }
    const char *name = lua_tostring(L, -1);
    if (!*name || strlen(name) >= GRAPH_NAME)
        script_error(L, "%s: the name of a run value has 1 to %d characters", label, GRAPH_NAME - 1);
    strcpy(optimizer->live[i], name);
}

static LiveOptimizer read_settings(lua_State *L, int index, OptimizerKind kind) {
    LiveOptimizer optimizer = {.settings = optimizer_settings(kind)};
    check_names(L, index, kind, true);
    for (int i = 0; i < OPTIMIZER_NUMBERS; i++) {
        if (!has_number(kind, i)) continue;
        if (binding_field(L, index, NUMBERS[i].name) != LUA_TNIL) read_number(L, &optimizer, i);
        lua_pop(L, 1);
    }
    binding_field(L, index, "nesterov");
    optimizer.settings.nesterov = binding_flag(L, -1, "sgd: nesterov");
    lua_pop(L, 1);
    check_settings(L, &optimizer.settings);
    return optimizer;
}

LiveOptimizer optimizer_read(lua_State *L, int index, const char *what) {
    index = lua_absindex(L, index);
    int top = lua_gettop(L);
    binding_field(L, index, "kind");
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
        if (strcmp(text, optimizer_text((OptimizerKind)kind)) != 0) continue;
        LiveOptimizer optimizer = read_settings(L, index, (OptimizerKind)kind);
        lua_settop(L, top);
        return optimizer;
    }
    script_error(L, "%s: an optimizer expected, as graph.adam{...} makes it, got a %s", what,
                 luaL_typename(L, index));
}

/* graph.KIND{...}: the table that describes the optimizer, checked now so that the error names this line. */
static int describe(lua_State *L, OptimizerKind kind) {
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    if (binding_field(L, 1, "kind") != LUA_TNIL)
        script_error(L, "%s: there is no option 'kind'", optimizer_text(kind));
    read_settings(L, 1, kind);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2); /* the table, name, name, setting */
        lua_rawset(L, -4);
    }
    lua_pushstring(L, optimizer_text(kind));
    lua_setfield(L, -2, "kind");
    return 1;
}

int optimizer_sgd(lua_State *L) {
    return describe(L, OPTIMIZER_SGD);
}

int optimizer_adam(lua_State *L) {
    return describe(L, OPTIMIZER_ADAM);
}

int optimizer_rmsprop(lua_State *L) {
    return describe(L, OPTIMIZER_RMSPROP);
}

/* ---- live numbers -------------------------------------------------------------------------------------- */

const char *optimizer_live_name(const LiveOptimizer *optimizer, int *next) {
    while (*next < OPTIMIZER_NUMBERS) {
        const char *name = optimizer->live[(*next)++];
        if (*name) return name;
    }
    return NULL;
}

bool optimizer_uses(const LiveOptimizer *optimizer, const char *name) {
    int next = 0;
    for (const char *live; (live = optimizer_live_name(optimizer, &next));)
        if (strcmp(live, name) == 0) return true;
    return false;
}

void optimizer_set_live(lua_State *L, int index, LiveOptimizer *optimizer, const char *name) {
    char label[LABEL];
    LiveOptimizer changed = *optimizer;
    for (int i = 0; i < OPTIMIZER_NUMBERS; i++)
        if (strcmp(optimizer->live[i], name) == 0)
            *number_in(&changed.settings, i) =
                binding_number(L, index, label_of(changed.settings.kind, i, label));
    check_settings(L, &changed.settings);
    *optimizer = changed;
}

void optimizer_tune(lua_State *L, int index, LiveOptimizer *optimizer) {
    char label[LABEL];
    LiveOptimizer changed = *optimizer;
    check_names(L, index, changed.settings.kind, false);
    for (int i = 0; i < OPTIMIZER_NUMBERS; i++) {
        if (!has_number(changed.settings.kind, i) || binding_field(L, index, NUMBERS[i].name) == LUA_TNIL)
            continue;
        label_of(changed.settings.kind, i, label);
        if (*changed.live[i])
            script_error(L, "%s comes from the run value '%s': give it to run", label, changed.live[i]);
        *number_in(&changed.settings, i) = binding_number(L, -1, label);
    }
    check_settings(L, &changed.settings);
    *optimizer = changed;
}
