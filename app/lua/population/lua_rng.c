/* Random numbers for rules that scripts write: a stream of its own for every call, so that what is drawn
 * depends on nothing but the run's seed, the member and the round. */
#include "app/lua/lua_script.h"
#include "app/lua/population/lua_population.h"
#include "base/random.h"

typedef struct {
    PbtStream stream;
    uint64_t drawn;
} Rng;

void rng_push(lua_State *L, PbtStream stream) {
    Rng *rng = lua_newuserdatauv(L, sizeof *rng, 0);
    *rng = (Rng){.stream = stream};
    luaL_setmetatable(L, RNG_CLASS);
}

static Rng *rng_check(lua_State *L, const char *what) {
    return binding_object(L, 1, RNG_CLASS, what);
}

static double number_or(lua_State *L, int index, const char *what, double otherwise) {
    return lua_isnoneornil(L, index) ? otherwise : binding_number(L, index, what);
}

static int rng_uniform(lua_State *L) {
    Rng *rng = rng_check(L, "uniform");
    double low = number_or(L, 2, "uniform: low", 0), high = number_or(L, 3, "uniform: high", 1);
    double drawn = random_uniform_at(rng->stream.key, rng->stream.counter, rng->drawn++);
    lua_pushnumber(L, low + drawn * (high - low));
    return 1;
}

static int rng_normal(lua_State *L) {
    Rng *rng = rng_check(L, "normal");
    double mean = number_or(L, 2, "normal: mean", 0), deviation = number_or(L, 3, "normal: deviation", 1);
    lua_pushnumber(L,
                   mean + deviation * random_normal_at(rng->stream.key, rng->stream.counter, rng->drawn++));
    return 1;
}

static int rng_integer(lua_State *L) {
    Rng *rng = rng_check(L, "integer");
    int64_t low = binding_integer(L, 2, "integer: low", INT32_MIN, INT32_MAX);
    int64_t high = binding_integer(L, 3, "integer: high", low, INT32_MAX);
    uint64_t drawn =
        random_integer_at(rng->stream.key, rng->stream.counter, rng->drawn++, (uint64_t)(high - low) + 1);
    lua_pushinteger(L, low + (int64_t)drawn);
    return 1;
}

static const BindingFunction METHODS[] = {
    {"uniform", "(low?: number, high?: number): number", "Evenly from low (0) up to high (1).", rng_uniform},
    {"normal", "(mean?: number, deviation?: number): number", "Normally, with mean 0 and deviation 1.",
     rng_normal},
    {"integer", "(low: integer, high: integer): integer", "One of low, low + 1, ..., high.", rng_integer},
    {NULL, NULL, NULL, NULL}};
static const luaL_Reg META[] = {{NULL, NULL}};
const BindingClass rng_class = {RNG_CLASS, "Random numbers for a rule.", NULL, METHODS, META};
