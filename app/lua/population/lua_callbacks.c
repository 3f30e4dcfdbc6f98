/* What scripts and the library are called for while a run goes on: on the thread that runs the population,
 * between two statements of pbt/. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "app/lua/lua_script.h"
#include "app/lua/lua_terminal.h"
#include "app/lua/population/lua_population.h"
#include "base/random.h"

/* ---- calling ------------------------------------------------------------------------------------------- */

enum { SELF = 1, ARGUMENTS = 2 }; /* places on a body's stack */

/* What a member fails by is kept with the run, and is to be the same wherever script and run lie: of a place
 * "folder/file.lua:3:" at the beginning only the file's name. */
static const char *without_folder(const char *message) {
    size_t length = strcspn(message, ":");
    if (message[length] != ':' || !isdigit((unsigned char)message[length + 1])) return message;
    while (length > 0 && message[length - 1] != '/') length--;
    return message + length;
}

Status callback_protect(Population *population, lua_CFunction body, void *arguments, bool ends,
                        Error *error) {
    lua_State *L = population->L;
    int self = population->self;
    if (!lua_checkstack(L, LUA_MINSTACK)) return error_no_memory(error, "a call of the script");
    lua_pushcfunction(L, body);
    lua_pushvalue(L, self);
    lua_pushlightuserdata(L, arguments);
    population->self = SELF;
    int code = script_call(L, 2, 0);
    population->L = L; /* what was called may have entered the population elsewhere */
    population->self = self;
    if (code == LUA_OK) return STATUS_OK;
    const char *message = lua_tostring(L, -1);
    if (!message) message = "an error without a message";
    const char *told = ends ? message : without_folder(message);
    Status status = error_set(error, code == LUA_ERRMEM ? STATUS_NO_MEMORY : STATUS_INVALID, "%.*s",
                              (int)strcspn(told, "\n"), told);
    if (ends)
        lua_setiuservalue(L, self, POPULATION_FAILURE);
    else
        lua_pop(L, 1);
    return status;
}

void callback_function(lua_State *L, const char *name) {
    luaL_checkstack(L, LUA_MINSTACK, "a callback");
    lua_getiuservalue(L, SELF, POPULATION_SPEC);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

void callback_keeps(lua_State *L) {
    lua_getiuservalue(L, SELF, POPULATION_KEEPS);
}

void callback_seed_random(lua_State *L, uint64_t slot, const char *purpose, uint64_t counter) {
    const Population *population = lua_touserdata(L, SELF);
    lua_getfield(L, LUA_REGISTRYINDEX, SCRIPT_RANDOM_SEED);
    lua_pushinteger(L, (lua_Integer)random_key(population->options.seed, slot, purpose));
    lua_pushinteger(L, (lua_Integer)counter);
    lua_call(L, 2, 0);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

void callback_push_numbers(lua_State *L, const double *numbers, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, numbers[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void callback_read_numbers(lua_State *L, int index, const char *what, double *numbers, size_t count) {
    index = lua_absindex(L, index);
    if (count > 0 && !lua_istable(L, index))
        script_error(L, "%s: a list of %d numbers expected, got %s", what, (int)count,
                     luaL_typename(L, index));
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TNUMBER)
            script_error(L, "%s: number %d expected, got %s", what, (int)i + 1, luaL_typename(L, -1));
        numbers[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
}

/* ---- hyperparameters as tables ------------------------------------------------------------------------- */

/* Options and constants were written as whole numbers, if they are any. */
static bool is_whole(const PbtHyper *hyper, double value) {
    bool ranges = hyper->kind == PBT_UNIFORM || hyper->kind == PBT_LOG_UNIFORM;
    return !ranges && value == floor(value) && fabs(value) <= 0x1p53;
}

void callback_push_values(lua_State *L, const PbtSpace *space, const double *values) {
    lua_createtable(L, 0, (int)space->count);
    for (size_t i = 0; i < space->count; i++) {
        const PbtHyper *hyper = &space->hypers[i];
        const char *label = pbt_hyper_label(hyper, values[i]);
        if (label)
            lua_pushstring(L, label);
        else if (is_whole(hyper, values[i]))
            lua_pushinteger(L, (lua_Integer)values[i]);
        else
            lua_pushnumber(L, values[i]);
        lua_setfield(L, -2, hyper->name);
    }
}

static double read_label(lua_State *L, const PbtHyper *hyper, const char *what, const char *text) {
    for (size_t i = 0; hyper->labels && i < hyper->count; i++)
        if (strcmp(hyper->labels[i], text) == 0) return hyper->numbers ? hyper->numbers[i] : (double)i;
    script_error(L, "%s: '%s' is none of the options of %s", what, text, hyper->name);
    return NAN;
}

static bool is_known(const PbtSpace *space, const char *name) {
    for (size_t i = 0; i < space->count; i++)
        if (strcmp(space->hypers[i].name, name) == 0) return true;
    return false;
}

void callback_read_values(lua_State *L, int index, const PbtSpace *space, const char *what, double *values) {
    index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        script_error(L, "%s: a table of hyperparameters expected, got %s", what,
                     lua_isnil(L, index) ? "nothing" : luaL_typename(L, index));
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        if (lua_type(L, -2) != LUA_TSTRING || !is_known(space, lua_tostring(L, -2)))
            script_error(L, "%s: there is no hyperparameter '%s'", what,
                         lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[not a name]");
    for (size_t i = 0; i < space->count; i++) {
        const PbtHyper *hyper = &space->hypers[i];
        lua_pushstring(L, hyper->name);
        int type = lua_rawget(L, index);
        if (type == LUA_TSTRING)
            values[i] = read_label(L, hyper, what, lua_tostring(L, -1));
        else if (type == LUA_TNUMBER)
            values[i] = lua_tonumber(L, -1);
        else
            script_error(L, "%s: a number expected for %s, got %s", what, hyper->name,
                         type == LUA_TNIL ? "nothing" : luaL_typename(L, -1));
        lua_pop(L, 1);
    }
}

/* ---- members as tables --------------------------------------------------------------------------------- */

static void set_integer(lua_State *L, const char *name, int64_t value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* A number that is not known is nil. */
static void set_number(lua_State *L, const char *name, double value) {
    if (isnan(value)) return;
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

/* By place, and by name. */
static void push_reports(lua_State *L, const PbtKind *kind, const PbtView *view) {
    lua_createtable(L, (int)kind->report_count, (int)kind->report_count);
    if (view->failed || view->age == 0) return;
    for (size_t i = 0; i < kind->report_count; i++) {
        if (isnan(view->score.reports[i])) continue; /* not measured in this round */
        set_number(L, kind->reports[i], view->score.reports[i]);
        lua_pushnumber(L, view->score.reports[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

void callback_push_view(lua_State *L, const Population *population, const PbtView *view) {
    const PbtOptions *options = &population->options;
    double window[PBT_WINDOW];
    for (size_t i = 0; i < view->window_count; i++) window[i] = population->sign * view->window[i];
    luaL_checkstack(L, LUA_MINSTACK, "a member");
    lua_createtable(L, 0, 14);
    set_integer(L, "slot", view->slot);
    set_integer(L, "steps", view->steps);
    set_integer(L, "age", view->age);
    set_integer(L, "parent", view->parent);
    set_flag(L, "failed", view->failed);
    set_flag(L, "pinned", view->pinned);
    set_number(L, "score", population->sign * view->score.score + 0.0); /* no -0 */
    set_number(L, "deviation", view->score.deviation);
    set_number(L, "fitness", view->fitness);
    set_text(L, "state", view->state);
    set_text(L, "failure", view->failure);
    push_reports(L, options->kind, view);
    lua_setfield(L, -2, "reports");
    callback_push_values(L, &options->space, view->values);
    lua_setfield(L, -2, "values");
    callback_push_numbers(L, window, view->window_count);
    lua_setfield(L, -2, "window");
}

/* ---- exploit ------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t token;
    const PbtView *members;
    size_t count, me;
    PbtStream stream;
    ptrdiff_t *donor;
} ExploitCall;

/* The donor at the top of the stack, below it the place of the function that returned it: one of the tables
 * that were given, a member's number, or nil. */
static void read_donor(lua_State *L, const ExploitCall *call) {
    const char *place = luaL_tolstring(L, -1, NULL);
    lua_replace(L, -2);
    if (lua_isnil(L, -2)) return;
    lua_pushvalue(L, -2);
    if (lua_istable(L, -1)) lua_getfield(L, -1, "slot");
    if (!lua_isinteger(L, -1))
        script_error(L, "exploit: the function of %s must return one of the others, or nil; it returned a %s",
                     place, luaL_typename(L, -1 - lua_istable(L, -2)));
    lua_Integer slot = lua_tointeger(L, -1);
    for (size_t i = 0; i < call->count; i++)
        if (call->members[i].slot == slot) *call->donor = (ptrdiff_t)i;
    if (*call->donor < 0)
        script_error(L, "exploit: the function of %s named member %lld, which there is not", place,
                     (long long)slot);
    if ((size_t)*call->donor == call->me)
        script_error(L, "exploit: the function of %s named member %lld its own donor", place,
                     (long long)slot);
}

static int exploit_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    const ExploitCall *call = lua_touserdata(L, ARGUMENTS);
    callback_seed_random(L, (uint64_t)call->members[call->me].slot, "lua.exploit", call->stream.counter);
    callback_function(L, "exploit");
    lua_pushinteger(L, call->token);
    callback_push_view(L, population, &call->members[call->me]);
    lua_createtable(L, (int)call->count, 0);
    lua_Integer others = 0;
    for (size_t i = 0; i < call->count; i++) {
        if (i == call->me || call->members[i].failed) continue; /* who is nobody's donor */
        callback_push_view(L, population, &call->members[i]);
        lua_rawseti(L, -2, ++others);
    }
    rng_push(L, call->stream);
    lua_call(L, 4, 2);
    read_donor(L, call);
    return 0;
}

static Status exploit(void *context, int64_t token, const PbtView *members, size_t count, size_t me,
                      PbtStream stream, ptrdiff_t *donor, Error *error) {
    ExploitCall call = {token, members, count, me, stream, donor};
    return callback_protect(context, exploit_body, &call, true, error);
}

/* ---- explore ------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t token;
    PbtStream stream;
    double *values;
} ExploreCall;

static int explore_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    const ExploreCall *call = lua_touserdata(L, ARGUMENTS);
    callback_seed_random(L, call->stream.key, "lua.explore", call->stream.counter);
    callback_function(L, "explore");
    lua_pushinteger(L, call->token);
    callback_push_values(L, &population->options.space, call->values);
    rng_push(L, call->stream);
    lua_call(L, 3, 2);
    const PbtSpace *space = &population->options.space;
    const char *what =
        lua_pushfstring(L, "explore: what the function of %s returned", luaL_tolstring(L, -1, NULL));
    callback_read_values(L, -4, space, what, call->values);
    for (size_t i = 0; i < space->count; i++)
        if (!isfinite(call->values[i]))
            script_error(L, "%s: hyperparameter %s is %f: a finite number was expected", what,
                         space->hypers[i].name, error_number(call->values[i]));
    return 0;
}

static Status explore(void *context, int64_t token, PbtStream stream, double *values, Error *error) {
    ExploreCall call = {token, stream, values};
    return callback_protect(context, explore_body, &call, true, error);
}

/* ---- rounds -------------------------------------------------------------------------------------------- */

static int schedule_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    callback_seed_random(L, 0, "lua.schedule", (uint64_t)pbt_run_round(population->run));
    callback_function(L, "schedule");
    lua_call(L, 0, 0);
    return 0;
}

static Status schedule(void *context, PbtRun *run, Error *error) {
    (void)run;
    return callback_protect(context, schedule_body, NULL, true, error);
}

typedef struct {
    PbtMoment moment;
    int64_t slot;
} ProgressCall;

static int progress_body(lua_State *L) {
    static const char *const MOMENTS[] = {"ready", "round", "training"};
    const ProgressCall *call = lua_touserdata(L, ARGUMENTS);
    callback_function(L, "progress");
    lua_pushstring(L, MOMENTS[call->moment]);
    lua_pushinteger(L, call->slot);
    lua_call(L, 2, 0);
    return 0;
}

static Status progress(void *context, PbtRun *run, PbtMoment moment, int64_t slot, Error *error) {
    (void)run;
    ProgressCall call = {moment, slot};
    return callback_protect(context, progress_body, &call, true, error);
}

typedef struct {
    const void **bytes;
    size_t *size;
} RememberCall;

/* The text stays alive among what is kept until the next one takes its place. */
static int remember_body(lua_State *L) {
    const RememberCall *call = lua_touserdata(L, ARGUMENTS);
    callback_keeps(L);
    callback_function(L, "remember");
    lua_call(L, 0, 1);
    *call->bytes = luaL_checklstring(L, -1, call->size);
    lua_setfield(L, -2, "memory");
    return 0;
}

static Status remember(void *context, const void **bytes, size_t *size, Error *error) {
    RememberCall call = {bytes, size};
    return callback_protect(context, remember_body, &call, true, error);
}

static int interrupted_body(lua_State *L) {
    bool *stop = lua_touserdata(L, ARGUMENTS);
    callback_function(L, "interrupted");
    lua_call(L, 0, 1);
    *stop = lua_toboolean(L, -1);
    return 0;
}

static bool interrupted(void *context) {
    Population *population = context;
    bool stop = false;
    if (terminal_interrupted()) return true;
    return population->asks && (callback_protect(population, interrupted_body, &stop, true, NULL) || stop);
}

/* ---- which there are ----------------------------------------------------------------------------------- */

static bool has(lua_State *L, int spec, const char *name) {
    bool found = binding_field(L, spec, name) == LUA_TFUNCTION;
    lua_pop(L, 1);
    return found;
}

PbtCallbacks population_callbacks(lua_State *L, int spec, Population *population) {
    population->asks = has(L, spec, "interrupted");
    return (PbtCallbacks){.context = population,
                          .exploit = has(L, spec, "exploit") ? exploit : NULL,
                          .explore = has(L, spec, "explore") ? explore : NULL,
                          .schedule = has(L, spec, "schedule") ? schedule : NULL,
                          .progress = has(L, spec, "progress") ? progress : NULL,
                          .remember = has(L, spec, "remember") ? remember : NULL,
                          .interrupted = interrupted};
}
