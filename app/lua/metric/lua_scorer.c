#include "app/lua/metric/lua_scorer.h"

#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "app/lua/metric/lua_metric.h"
#include "app/lua/metric/lua_rows.h"

enum { SCORER_KEEPS = 1 }; /* user value: the list of what the scorer borrows */

static ScorerBox *box_check(lua_State *L, int index, const char *what) {
    ScorerBox *box = binding_object(L, index, SCORER_CLASS, what);
    if (!box->scorer) script_error(L, "%s: the scorer is closed", what);
    return box;
}

Scorer *scorer_check(lua_State *L, int index, const char *what) {
    return box_check(L, index, what)->scorer;
}

static int scorer_close(lua_State *L) {
    ScorerBox *box = luaL_checkudata(L, 1, SCORER_CLASS);
    scorer_bench_free(box->bench);
    scorer_free(box->scorer);
    *box = (ScorerBox){.scorer = NULL};
    return 0;
}

/* ---- reading the table --------------------------------------------------------------------------------- */

enum { SPEC = 1, BOX, KEEPS }; /* places on the stack */

/* Keeps the value on top of the stack alive as long as the scorer; pops it. */
static void keep(lua_State *L) {
    luaL_ref(L, KEEPS);
}

static void *kept_memory(lua_State *L, size_t count, size_t size) {
    void *memory = binding_scratch(L, count, size);
    keep(L);
    return memory;
}

static size_t size_field(lua_State *L, int table, const char *name, size_t otherwise) {
    size_t value = otherwise;
    if (binding_field(L, table, name) != LUA_TNIL) value = (size_t)binding_integer(L, -1, name, 0, INT32_MAX);
    lua_pop(L, 1);
    return value;
}

static double number_field(lua_State *L, int table, const char *name) {
    double value = binding_field(L, table, name) == LUA_TNIL ? 0 : binding_number(L, -1, name);
    lua_pop(L, 1);
    return value;
}

static Matrix rows_field(lua_State *L, int table, const char *name) {
    Matrix rows = {NULL, 0, 0};
    if (binding_field(L, table, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return rows;
    }
    binding_object(L, -1, ROWS_CLASS, name);
    rows = rows_read(L, -1, name);
    keep(L);
    return rows;
}

/* One column of numbers, as many as there should be. */
static const double *column_field(lua_State *L, int table, const char *name, size_t expected, size_t *count) {
    Matrix rows = rows_field(L, table, name);
    if (rows.data && (rows.columns != 1 || (expected && rows.rows != expected)))
        script_error(L, "%s: a list of %zu numbers expected", name, expected);
    if (count) *count = rows.rows;
    return rows.data;
}

static const size_t *counts_field(lua_State *L, int table, const char *name, size_t classes) {
    if (binding_field(L, table, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    int list = lua_gettop(L);
    if (lua_rawlen(L, list) != classes)
        script_error(L, "%s: counts of %zu classes expected, got %zu", name, classes,
                     (size_t)lua_rawlen(L, list));
    size_t *counts = kept_memory(L, classes, sizeof *counts);
    for (size_t i = 0; i < classes; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        counts[i] = (size_t)binding_integer(L, -1, name, 0, INT64_MAX);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return counts;
}

/* The looker in the table { program, planes } on top of the stack; its program and state are kept. */
static Looker read_looker(lua_State *L) {
    int table = lua_gettop(L);
    binding_field(L, table, "program");
    StateBox *state;
    const Program *program = program_parts(L, -1, "program", &state, NULL);
    lua_pushvalue(L, -1);
    keep(L);
    state_check(L, lua_gettop(L), "program");
    keep(L);
    return (Looker){program, &state->state, size_field(L, table, "planes", 1)};
}

static MeasureKind read_kind(lua_State *L, int table) {
    MeasureKind kind;
    binding_field(L, table, "kind");
    const char *name = binding_text(L, -1, "kind");
    if (!measure_named(name, &kind)) script_error(L, "there is no measure '%s'", name);
    lua_pop(L, 1);
    return kind;
}

static const FrechetStatistics *statistics_field(lua_State *L, int table) {
    const FrechetStatistics *statistics = NULL;
    if (binding_field(L, table, "statistics") == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    statistics = binding_object(L, -1, STATISTICS_CLASS, "statistics");
    keep(L);
    return statistics;
}

static Measure read_measure(lua_State *L, const ScorerSpec *spec) {
    int table = lua_gettop(L);
    Measure measure = {.kind = read_kind(L, table),
                       .samples = size_field(L, table, "samples", 0),
                       .looker = size_field(L, table, "looker", 1) - 1,
                       .repeats = size_field(L, table, "repeats", 0),
                       .k = size_field(L, table, "k", 0),
                       .statistics = statistics_field(L, table),
                       .real = rows_field(L, table, "real")};
    measure.radii = column_field(L, table, "radii", measure.real.rows, NULL);
    measure.held_out = column_field(L, table, "held_out", 0, &measure.held_out_count);
    if (measure.looker < spec->looker_count)
        measure.reference =
            counts_field(L, table, "reference", looker_classes(&spec->lookers[measure.looker]));
    return measure;
}

/* The list `name`, whose length is returned; it stays on the stack. */
static size_t list_field(lua_State *L, const char *name) {
    if (binding_field(L, SPEC, name) == LUA_TNIL) return 0;
    luaL_checktype(L, -1, LUA_TTABLE);
    return lua_rawlen(L, -1);
}

static void read_lookers(lua_State *L, ScorerSpec *spec) {
    Error error;
    spec->looker_count = list_field(L, "lookers");
    int list = lua_gettop(L);
    Looker *lookers = kept_memory(L, spec->looker_count, sizeof *lookers);
    spec->lookers = lookers;
    for (size_t i = 0; i < spec->looker_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        lookers[i] = read_looker(L);
        if (looker_check(&lookers[i], &error)) script_error(L, "%s", error.message);
        lua_settop(L, list);
    }
}

static void read_measures(lua_State *L, ScorerSpec *spec) {
    spec->measure_count = list_field(L, "measures");
    int list = lua_gettop(L);
    Measure *measures = kept_memory(L, spec->measure_count, sizeof *measures);
    spec->measures = measures;
    for (size_t i = 0; i < spec->measure_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        measures[i] = read_measure(L, spec);
        lua_settop(L, list);
    }
}

int scorer_make(lua_State *L) {
    lua_settop(L, SPEC);
    luaL_checktype(L, SPEC, LUA_TTABLE);
    ScorerBox *box = lua_newuserdatauv(L, sizeof *box, SCORER_KEEPS);
    *box = (ScorerBox){.scorer = NULL};
    luaL_setmetatable(L, SCORER_CLASS);
    lua_newtable(L);
    lua_pushvalue(L, KEEPS);
    lua_setiuservalue(L, BOX, SCORER_KEEPS);
    ScorerSpec spec = {.numbers = size_field(L, SPEC, "numbers", 0),
                       .centers = rows_field(L, SPEC, "centers"),
                       .deviation = number_field(L, SPEC, "deviation"),
                       .within = number_field(L, SPEC, "within")};
    read_lookers(L, &spec);
    read_measures(L, &spec);
    Error error;
    box->scorer = scorer_new(&spec, &error);
    if (!box->scorer) script_error(L, "%s", error.message);
    lua_settop(L, BOX);
    return 1;
}

/* ---- measuring ----------------------------------------------------------------------------------------- */

static void push_numbers(lua_State *L, const double *numbers, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, numbers[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static const Value *images_argument(lua_State *L, int index, const char *what) {
    const Value *images = binding_object(L, index, VALUE_CLASS, what);
    if (images->shape.rank < 2)
        script_error(L, "%s: images (n, height, width, channels) or points (n, numbers) expected", what);
    return images;
}

/* Calls progress(what or nil, done, all), which is at index 3. */
static void tell(void *context, const char *what, size_t done, size_t all) {
    lua_State *L = context;
    lua_pushvalue(L, 3);
    lua_pushstring(L, what);
    lua_pushinteger(L, (lua_Integer)done);
    lua_pushinteger(L, (lua_Integer)all);
    lua_call(L, 3, 0); /* an error leaves nothing behind: no memory is held between measures */
}

/* scorer:measure(images [, progress]) → values, deviations; or nil and a message when one is not finite */
static int scorer_measure_of(lua_State *L) {
    ScorerBox *box = box_check(L, 1, "measure");
    const Value *images = images_argument(L, 2, "measure: images");
    size_t rows = (size_t)images->shape.size[0], count = scorer_count(box->scorer);
    ScorerProgress progress = {L, tell};
    lua_settop(L, 3);
    if (rows == 0 || images->count / rows != scorer_numbers(box->scorer))
        script_error(L, "measure: images of %zu numbers expected, got %zu", scorer_numbers(box->scorer),
                     rows ? images->count / rows : 0);
    double *values = binding_scratch(L, count, sizeof *values),
           *deviations = binding_scratch(L, count, sizeof *deviations);
    Error error;
    if (!box->bench && !(box->bench = scorer_bench_new(box->scorer, &error)))
        script_error(L, "%s", error.message);
    Status status =
        scorer_measure_images(box->scorer, box->bench, images->data, rows,
                              lua_isfunction(L, 3) ? &progress : NULL, values, deviations, &error);
    if (status == STATUS_NOT_FINITE) {
        lua_pushnil(L);
        lua_pushstring(L, error.message);
        return 2;
    }
    if (status) script_error(L, "%s", error.message);
    push_numbers(L, values, count);
    push_numbers(L, deviations, count);
    return 2;
}

static int scorer_count_of(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)scorer_count(scorer_check(L, 1, "count")));
    return 1;
}

static int scorer_samples_of(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)scorer_samples(scorer_check(L, 1, "samples")));
    return 1;
}

/* look(program, planes, images) → logits, features */
int scorer_look(lua_State *L) {
    lua_settop(L, 3);
    StateBox *state;
    Workspace *workspace;
    Looker looker = {.program = program_parts(L, 1, "look", &state, &workspace)};
    looker.planes = (size_t)binding_integer(L, 2, "look: planes", 1, 3);
    looker.state = &state->state;
    const Value *images = images_argument(L, 3, "images");
    size_t count = (size_t)images->shape.size[0];
    Error error;
    if (looker_check(&looker, &error)) script_error(L, "%s", error.message);
    if (images->count != count * looker_numbers(&looker))
        script_error(L, "images: as many numbers expected as the classifier's have, %zu each",
                     looker_numbers(&looker));
    real *rounded = binding_scratch(L, images->count, sizeof *rounded);
    memcpy(rounded, images->data, images->count * sizeof *rounded);
    double *logits = rows_push(L, count, looker_classes(&looker)),
           *features = rows_push(L, count, looker_features(&looker));
    Status status = looker_round(rounded, count, looker_numbers(&looker), 0, &error);
    if (!status) status = looker_look(&looker, workspace, rounded, count, features, logits, &error);
    if (status) script_error(L, "images: %s", error.message);
    return 2;
}

static const BindingFunction METHODS[] = {
    {"measure",
     "(images: brood.Value, progress?: fun(what: string?, done: integer, all: integer)): number[]?, "
     "number[]|string",
     "Each measure's value and standard deviation; nil and the reason when an image is not finite.",
     scorer_measure_of},
    {"count", "(): integer", "How many measures it takes.", scorer_count_of},
    {"samples", "(): integer", "How many images they need.", scorer_samples_of},
    {NULL, NULL, NULL, NULL}};
static const luaL_Reg META[] = {{"__gc", scorer_close}, {"__close", scorer_close}, {NULL, NULL}};
const BindingClass scorer_class = {SCORER_CLASS, "What measures images, for all threads.", NULL, METHODS,
                                   META};
