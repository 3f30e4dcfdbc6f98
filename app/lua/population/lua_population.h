/* Populations as Lua sees them: what the files of this folder share. scripts/lib/brood/population.lua gives
 * the table that a population is made from. */
#ifndef BROOD_APP_LUA_POPULATION_H
#define BROOD_APP_LUA_POPULATION_H

#include "app/lua/lua_binding.h"
#include "app/members/gan.h"
#include "app/members/program.h"
#include "pbt/pbt.h"

#define POPULATION_CLASS "brood.Population"
#define RNG_CLASS        "brood.Rng"

extern const BindingModule binding_population;
extern const BindingClass rng_class;

/* User values of a population. */
enum {
    POPULATION_SPEC = 1, /* the table that it was made from: its functions are the callbacks */
    POPULATION_KEEPS,    /* { [reference] = what C points into, or members that are alive } */
    POPULATION_FAILURE,  /* the message of the callback that ended the run, with its traceback */
    POPULATION_USER_VALUES = POPULATION_FAILURE
};

typedef struct {
    PbtRun *run; /* NULL: closed, or not begun yet */
    PbtOptions options;
    PbtKind own_kind; /* of members written in Lua */
    GanKind *gan;
    const Scorer *scorer, *reporter; /* of the GANs; NULL: none */
    ProgramKind *program;
    double sign; /* of the score as people say it: -1 where lower is better, which pbt/ knows nothing of */
    bool asks;   /* a function of the table tells when to stop */
    bool going;  /* pbt/ is at work: what its functions call must leave the run alone */
    /* Where callbacks find Lua: set by whoever enters. Nothing of pbt/ runs outside of such a call. */
    lua_State *L;
    int self; /* place of the population on its stack */
} Population;

/* ---- lua_callbacks.c ----------------------------------------------------------------------------------- */

/* Calls body(population, arguments as light userdata), which may raise errors as it likes: none goes through
 * pbt/. What goes wrong becomes an error of one line. With `ends` it is the end of the run, and kept whole
 * for whoever is told. */
Status callback_protect(Population *population, lua_CFunction body, void *arguments, bool ends, Error *error);

/* For bodies: each finds the population at index 1, and raises errors. */
void callback_function(lua_State *L, const char *name); /* pushes a function of the table */
/* math.random is a stream of the run's: each call of a script's function finds it at a place of its own. */
void callback_seed_random(lua_State *L, uint64_t slot, const char *purpose, uint64_t counter);
void callback_keeps(lua_State *L); /* pushes the table that the population keeps */
void callback_push_values(lua_State *L, const PbtSpace *space, const double *values); /* { name = value } */
void callback_read_values(lua_State *L, int index, const PbtSpace *space, const char *what, double *values);
void callback_push_view(lua_State *L, const Population *population, const PbtView *view);
void callback_push_numbers(lua_State *L, const double *numbers, size_t count);
void callback_read_numbers(lua_State *L, int index, const char *what, double *numbers, size_t count);

PbtCallbacks population_callbacks(lua_State *L, int spec, Population *population);

/* ---- lua_options.c ------------------------------------------------------------------------------------- */

/* Reads the table at `spec` into the population's options; raises errors. `keeps` is the place of the table
 * that keeps what they point to. */
void options_read(lua_State *L, int spec, int keeps, Population *population);
void options_read_exploit(lua_State *L, int index, PbtExploit *exploit);
void options_read_explore(lua_State *L, int index, PbtExplore *explore);
/* A list of texts in the table's field, kept; NULL where there is none. */
const char *const *options_texts(lua_State *L, int table, int keeps, const char *field, size_t *count);

/* ---- kinds of members: each sets options.kind ---------------------------------------------------------- */

void gan_members(lua_State *L, int spec, int keeps, Population *population);     /* lua_gan.c */
void lua_members(lua_State *L, int spec, int keeps, Population *population);     /* lua_member.c */
void program_members(lua_State *L, int spec, int keeps, Population *population); /* lua_program.c */

/* ---- lua_rng.c ----------------------------------------------------------------------------------------- */

void rng_push(lua_State *L, PbtStream stream);

#endif
