/* brood.population.core: runs of populations. scripts/lib/brood/population.lua makes the table that one is
 * begun with, and what scripts call `run`. */
#include "app/lua/population/lua_population.h"

#include <string.h>

#include "app/lua/lua_script.h"
#include "app/lua/lua_terminal.h"
#include "base/random.h"

enum { SELF = 1 }; /* place of the population in its methods */

/* Whatever may call back goes through here. */
static Population *enter(lua_State *L, const char *what) {
    Population *population = binding_object(L, SELF, POPULATION_CLASS, what);
    if (!population->run) script_error(L, "%s: the population is closed", what);
    population->L = L;
    population->self = SELF;
    return population;
}

/* Raises the error: that of the callback which ended the run, if one did. */
static void raise(lua_State *L, Status status, const Error *error) {
    if (lua_getiuservalue(L, SELF, POPULATION_FAILURE) == LUA_TSTRING) {
        lua_pushnil(L);
        lua_setiuservalue(L, SELF, POPULATION_FAILURE);
        lua_error(L);
    }
    lua_pop(L, 1);
    if (terminal_interrupted()) script_error(L, "interrupted");
    if (status != STATUS_OK) script_error(L, "%s", error->message);
}

static void set_going(lua_State *L, Population *population, bool going) {
    population->going = going;
    script_set_going(L, going);
}

/* ---- beginning and ending ------------------------------------------------------------------------------ */

static int population_close(lua_State *L) {
    Population *population = luaL_checkudata(L, SELF, POPULATION_CLASS);
    if (population->going) script_error(L, "close: the population is in the middle of a round");
    lua_settop(L, SELF);
    population->L = L;
    population->self = SELF;
    pbt_run_free(population->run);
    gan_kind_free(population->gan);
    program_kind_free(population->program);
    population->run = NULL;
    population->gan = NULL;
    population->program = NULL;
    return 0;
}

static void read_kind(lua_State *L, int spec, int keeps, Population *population) {
    binding_field(L, spec, "kind");
    const char *kind = binding_text(L, -1, "kind");
    lua_pop(L, 1);
    if (strcmp(kind, "gan") == 0)
        gan_members(L, spec, keeps, population);
    else if (strcmp(kind, "lua") == 0)
        lua_members(L, spec, keeps, population);
    else
        program_members(L, spec, keeps, population);
}

/* population.new(table [, resume [, whole]]) */
static int population_new(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    bool resume = binding_flag(L, 2, "resume"), whole = binding_flag(L, 3, "whole");
    lua_settop(L, 1);
    Population *population = lua_newuserdatauv(L, sizeof *population, POPULATION_USER_VALUES);
    memset(population, 0, sizeof *population);
    luaL_setmetatable(L, POPULATION_CLASS);
    lua_insert(L, SELF);
    int spec = 2, keeps = 3;
    lua_newtable(L);
    lua_pushvalue(L, spec);
    lua_setiuservalue(L, SELF, POPULATION_SPEC);
    lua_pushvalue(L, keeps);
    lua_setiuservalue(L, SELF, POPULATION_KEEPS);
    population->L = L;
    population->self = SELF;
    population->sign = 1;
    options_read(L, spec, keeps, population);
    read_kind(L, spec, keeps, population);
    Error error;
    Status status = resume ? pbt_run_resume(&population->run, &population->options, whole, &error)
                           : pbt_run_new(&population->run, &population->options, &error);
    raise(L, status, &error);
    lua_settop(L, SELF);
    return 1;
}

/* population:rounds(n) → "finished", "stopped" or "interrupted" */
static int population_rounds(lua_State *L) {
    static const char *const ENDS[] = {"finished", "stopped", "interrupted"};
    Population *population = enter(L, "rounds");
    int64_t rounds = binding_integer(L, 2, "rounds", 0, INT64_MAX);
    if (population->going) script_error(L, "rounds: the population is in the middle of one");
    PbtEnd end;
    Error error;
    lua_pushnil(L);
    lua_setiuservalue(L, SELF, POPULATION_FAILURE);
    set_going(L, population, true);
    Status status = pbt_run_rounds(population->run, rounds, &end, &error);
    set_going(L, population, false);
    raise(L, status, &error);
    lua_pushstring(L, ENDS[end]);
    return 1;
}

/* ---- looking ------------------------------------------------------------------------------------------- */

static int population_round(lua_State *L) {
    lua_pushinteger(L, pbt_run_round(enter(L, "round")->run));
    return 1;
}

static int population_share(lua_State *L) {
    lua_pushnumber(L, pbt_run_share(enter(L, "share")->run));
    return 1;
}

static int population_interval(lua_State *L) {
    lua_pushinteger(L, pbt_run_interval(enter(L, "interval")->run));
    return 1;
}

static int population_stopped(lua_State *L) {
    lua_pushboolean(L, pbt_run_stopped(enter(L, "stopped")->run));
    return 1;
}

static int push_members(lua_State *L, const char *what, PbtView view(const PbtRun *, size_t)) {
    Population *population = enter(L, what);
    size_t count = pbt_run_count(population->run);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        PbtView member = view(population->run, i);
        callback_push_view(L, population, &member);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int population_members(lua_State *L) {
    return push_members(L, "members", pbt_run_view);
}

static int population_scored(lua_State *L) {
    return push_members(L, "scored", pbt_run_scored);
}

/* The index of the slot at index 2 if its member is alive; their count where it is not, or another thread may
 * be training it. */
static size_t resting(lua_State *L, const Population *population, const char *what) {
    int64_t slot = binding_integer(L, 2, what, 0, INT64_MAX);
    size_t count = pbt_run_count(population->run);
    for (size_t i = 0; i < count; i++)
        if (pbt_run_view(population->run, i).slot == slot && pbt_run_resting(population->run, i))
            return pbt_run_member(population->run, i, NULL) ? i : count;
    return count;
}

/* population:gan(slot) → the live member: between rounds, and at its own ready moment */
static int population_gan(lua_State *L) {
    Population *population = enter(L, "gan");
    if (!population->gan) script_error(L, "gan: the members are no GANs");
    size_t index = resting(L, population, "gan: slot");
    if (index == pbt_run_count(population->run)) return 0;
    const GanPair *pair = pbt_run_member(population->run, index, NULL);
    lua_getiuservalue(L, SELF, POPULATION_KEEPS);
    lua_rawgetp(L, -1, pair->owner);
    return 1;
}

/* population:signals(slot) → { name = number } of its last training, where `gan` gives the member */
static int population_signals(lua_State *L) {
    Population *population = enter(L, "signals");
    const PbtKind *kind = population->options.kind;
    size_t index = resting(L, population, "signals: slot");
    lua_createtable(L, 0, (int)kind->signal_count);
    if (index == pbt_run_count(population->run)) return 1;
    const double *signals = pbt_run_signals(population->run, index);
    for (size_t i = 0; i < kind->signal_count; i++) {
        lua_pushnumber(L, signals[i]);
        lua_setfield(L, -2, kind->signals[i]);
    }
    return 1;
}

static int population_memory(lua_State *L) {
    size_t size;
    const char *bytes = pbt_run_memory(enter(L, "memory")->run, &size);
    lua_pushlstring(L, bytes ? bytes : "", size);
    return 1;
}

/* ---- what a schedule may do ---------------------------------------------------------------------------- */

static int population_set_interval(lua_State *L) {
    Population *population = enter(L, "interval");
    int64_t steps = binding_integer(L, 2, "interval", 1, INT64_MAX);
    Error error;
    raise(L, pbt_run_set_interval(population->run, steps, &error), &error);
    return 0;
}

static int population_set_exploit(lua_State *L) {
    Population *population = enter(L, "exploit");
    PbtExploit exploit;
    Error error;
    options_read_exploit(L, 2, &exploit);
    raise(L, pbt_run_set_exploit(population->run, &exploit, &error), &error);
    return 0;
}

static int population_set_explore(lua_State *L) {
    Population *population = enter(L, "explore");
    PbtExplore explore;
    Error error;
    options_read_explore(L, 2, &explore);
    raise(L, pbt_run_set_explore(population->run, &explore, &error), &error);
    return 0;
}

static int population_stop(lua_State *L) {
    Error error;
    raise(L, pbt_run_stop(enter(L, "stop")->run, &error), &error);
    return 0;
}

static int population_go_on(lua_State *L) {
    Error error;
    raise(L, pbt_run_go_on(enter(L, "go_on")->run, &error), &error);
    return 0;
}

static int population_pin(lua_State *L) {
    Population *population = enter(L, "pin");
    int64_t slot = binding_integer(L, 2, "pin: member", 0, INT64_MAX);
    Error error;
    raise(L, pbt_run_pin(population->run, slot, &error), &error);
    return 0;
}

static int population_fork(lua_State *L) {
    Population *population = enter(L, "fork");
    int64_t from = binding_integer(L, 2, "fork: from", 0, INT64_MAX);
    int64_t into = binding_integer(L, 3, "fork: into", 0, INT64_MAX);
    Error error;
    raise(L, pbt_run_fork(population->run, from, into, &error), &error);
    return 0;
}

static int population_add(lua_State *L) {
    Population *population = enter(L, "add");
    int64_t count = binding_integer(L, 2, "add: members", 1, PBT_POPULATION);
    Error error;
    raise(L, pbt_run_add(population->run, (size_t)count, &error), &error);
    return 0;
}

static int population_drop(lua_State *L) {
    Population *population = enter(L, "drop");
    int64_t slot = binding_integer(L, 2, "drop: member", 0, INT64_MAX);
    Error error;
    raise(L, pbt_run_drop(population->run, slot, &error), &error);
    return 0;
}

static int population_set_values(lua_State *L) {
    Population *population = enter(L, "values");
    int64_t slot = binding_integer(L, 2, "values: member", 0, INT64_MAX);
    double values[PBT_HYPERS];
    Error error;
    callback_read_values(L, 3, &population->options.space, "values", values);
    raise(L, pbt_run_set_values(population->run, slot, values, &error), &error);
    return 0;
}

/* ---- the module ---------------------------------------------------------------------------------------- */

static const BindingFunction METHODS[] = {
    {"rounds", "(rounds: integer): string",
     "Goes on until so many rounds are done in all: 'finished', 'stopped' or 'interrupted'.",
     population_rounds},
    {"close", "()", "Ends it, and frees what it holds.", population_close},
    {"round", "(): integer", "Rounds done.", population_round},
    {"share", "(): number", "Of the present round's training that is done.", population_share},
    {"interval", "(): integer", "Steps in a round.", population_interval},
    {"stopped", "(): boolean", "Whether the schedule has stopped it.", population_stopped},
    {"members", "(): table[]", "All members, as tables.", population_members},
    {"scored", "(): table[]", "All members as they were when they were scored, before any copied another.",
     population_scored},
    {"gan", "(slot: integer): brood.Member?", "The live member of a slot, between rounds.", population_gan},
    {"signals", "(slot: integer): table<string, number>", "What was seen of its last steps.",
     population_signals},
    {"memory", "(): string", "What was remembered when the run was left.", population_memory},
    {"set_interval", "(steps: integer)", "From the next round on.", population_set_interval},
    {"set_exploit", "(rule: table)", "From the next round on.", population_set_exploit},
    {"set_explore", "(rule: table)", "From the next round on.", population_set_explore},
    {"set_values", "(slot: integer, values: table)", "Sets a member's hyperparameters.",
     population_set_values},
    {"stop", "()", "This round was the last.", population_stop},
    {"go_on", "()", "Takes a stop back.", population_go_on},
    {"pin", "(slot: integer)", "Never overwritten from now on; its state is kept.", population_pin},
    {"fork", "(from: integer, into: integer)", "The second becomes a copy of the first.", population_fork},
    {"add", "(count: integer)", "So many new members.", population_add},
    {"drop", "(slot: integer)", "Takes a member out.", population_drop},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg META[] = {{"__gc", population_close}, {"__close", population_close}, {NULL, NULL}};
static const BindingClass population_class = {POPULATION_CLASS, "A population in training.", NULL, METHODS,
                                              META};
/* population.rng(seed, slot, purpose, counter) */
static int population_rng(lua_State *L) {
    uint64_t seed = (uint64_t)binding_integer(L, 1, "rng: seed", 0, INT64_MAX);
    uint64_t slot = (uint64_t)binding_integer(L, 2, "rng: slot", 0, INT64_MAX);
    uint64_t counter = (uint64_t)binding_integer(L, 4, "rng: counter", 0, INT64_MAX);
    rng_push(L, (PbtStream){random_key(seed, slot, binding_text(L, 3, "rng: purpose")), counter});
    return 1;
}

static const BindingFunction FUNCTIONS[] = {
    {"new", "(options: table, resume?: boolean, whole?: boolean): brood.Population",
     "Begins a run, or goes on with the one that is in its directory.", population_new},
    {"rng", "(seed: integer, slot: integer, purpose: string, counter: integer): brood.Rng",
     "A stream of random numbers.", population_rng},
    {NULL, NULL, NULL, NULL}};
static const BindingClass *const CLASSES[] = {&population_class, &rng_class, NULL};
const BindingModule binding_population = {"brood.population.core", "Runs of populations.", FUNCTIONS,
                                          CLASSES};
