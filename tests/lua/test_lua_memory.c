/* Lua without memory: the n-th allocation fails, for every n that a small script gets to. Each time the
 * script must end with an ordinary Lua error, and nothing may be left behind. The allocator's functions are
 * wrapped at link time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <string.h>

#include "app/lua/lua_script.h"
#include "tests/support/alloc.h"

/* ---- the script ---------------------------------------------------------------------------------------- */

static const char SCRIPT[] =
    "local graph = require 'brood'.graph\n"
    "local g = graph.new()\n"
    "g:layer 'first'\n"
    "local x, w = g:input('x', { 2, 3 }), g:param('w', { 3, 2 }, { group = 'G', value = { .1, .2, -.3, .4, "
    ".5, -.6 } })\n"
    "local b = g:variable('b', { 2 }, { group = 'G', value = 1 })\n"
    "local y = (graph.matmul(x, w) + b):tanh():softmax() + 0.1 * g:normal { 2, 2 }\n"
    "local z = graph.concat({ y, y:slice { 1 }:pad { { 0, 1 } } }, 1):reshape { -1 }\n"
    "local loss = z:square():mean()\n"
    "local state = g:state { optimizers = { G = graph.adam {} }, averages = true }\n"
    "local p = g:compile({ loss = loss, z = z }, { state = state, assign = { { b, b * 0.9 } }, minimize = "
    "loss,\n"
    "  optimizer = graph.adam { lr = 'rate' }, group = 'G', debug = true })\n"
    "local q <close> = g:compile({ gw = graph.grad(loss, { w, b })[1] }, { state = p, averages = true })\n"
    "local out = p:run({ x = { .1, .2, .3, .4, .5, .6 }, rate = 0.1 }, { seed = 3 })\n"
    "q:run { x = graph.value({ 2, 3 }, { 1, 2, 3, 4, 5, 6 }) }\n"
    "state:average(0.5)\n"
    "local copy = state:copy()\n"
    "copy:set('w', p:get('w'))\n"
    "q:use(copy)\n"
    "assert(#state:tensors() == 6 and tostring(p) and tostring(y) and p:stats().nodes > 0 and "
    "p:inputs().rate)\n"
    "assert(#out.z:flat() == 8 and out.loss:item() > 0 and out.norm:item() > 0)\n"
    "assert(not pcall(function() return y + g:input('other', { 7 }) end))\n";

/* It returns the function that is tried: what the library takes to load is tried by the other one. */
static const char POPULATION[] =
    "local brood = require 'brood'\n"
    "local pbt = brood.pbt\n"
    "local hyper = { pace = pbt.uniform(0, 1), kind = pbt.category { 'a', 'b' } }\n"
    "hyper.size = pbt.structural(pbt.integer(1, 9))\n"
    "local walk = brood.experiment {\n"
    "  name = 'walk', population = 2, rounds = 2, interval = 2, hyper = hyper,\n"
    "  exploit = function(me, others)\n"
    "    return me.slot == 0 and not others[1].failed and others[1] or nil\n"
    "  end,\n"
    "  explore = function(h, rng) h.pace = rng:uniform() return h end,\n"
    "  schedule = function(run)\n"
    "    run.state[run.round] = math.random()\n"
    "    if run.round == 1 then run:add(1) run.interval = 3 else run.exploit = pbt.truncation {} end\n"
    "  end,\n"
    "  members = pbt.member {\n"
    "    init = function(h) return { at = 0, size = h.size } end, reports = { 'far' },\n"
    "    step = function(me, h, steps, rng) me.at = me.at + h.pace * steps * rng:uniform() end,\n"
    "    score = function(me) return me.at, 0.1, { far = me.at } end,\n"
    "  },\n"
    "}\n"
    "return function()\n"
    "  local run <close> = walk:begin { seed = 2 }\n"
    "  assert(run:go() == 'finished' and #run.members == 3 and run.round == 2)\n"
    "end\n";

/* A state with what is to be called on its stack. */
static lua_State *prepare(const ScriptHome *home, const char *script) {
    lua_State *L = script_new(home);
    assert_non_null(L);
    assert_int_equal(luaL_loadbufferx(L, script, strlen(script), "=script", "t"), LUA_OK);
    if (script == POPULATION && script_call(L, 0, 1) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
    return L;
}

/* Runs the script with its n-th allocation refused. Returns whether it came to its end before that. */
static bool run_with_refusal(const ScriptHome *home, const char *script, size_t n, bool onwards) {
    ptrdiff_t live = alloc_live();
    lua_State *L = prepare(home, script);
    alloc_refuse(n, onwards);
    int status = script_call(L, 0, 0);
    bool refused = alloc_refused();
    alloc_refuse(0, false);
    if (status != LUA_OK) {
        const char *message = luaL_tolstring(L, -1, NULL);
        if (!refused || !strstr(message, "memory")) fail_msg("allocation %zu: %s", n, message);
    }
    lua_close(L);
    if (alloc_live() != live) fail_msg("allocation %zu: %td blocks leaked", n, alloc_live() - live);
    return !refused;
}

static void check_that_it_works(const char *script) {
    ScriptHome home = script_home(NULL, "-");
    ptrdiff_t live = alloc_live();
    lua_State *L = prepare(&home, script);
    if (script_call(L, 0, 0) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
    lua_close(L);
    assert_int_equal(alloc_live(), live);
}

static void test_the_scripts_work(void **unused) {
    (void)unused;
    check_that_it_works(SCRIPT);
    check_that_it_works(POPULATION);
}

static void refuse_each(const char *script, bool onwards) {
    ScriptHome home = script_home(NULL, "-");
    size_t n = 1;
    while (!run_with_refusal(&home, script, n, onwards)) n++;
    assert_true(n > 100);
}

/* One refusal: Lua itself tries again after a collection, the engine does not. */
static void test_one_allocation_fails(void **unused) {
    (void)unused;
    refuse_each(SCRIPT, false);
}

static void test_memory_ends(void **unused) {
    (void)unused;
    refuse_each(SCRIPT, true);
}

/* A member that lacks memory is a failed one, which may be replaced: the run need not end. */
static void test_one_allocation_of_a_population_fails(void **unused) {
    (void)unused;
    refuse_each(POPULATION, false);
}

static void test_memory_of_a_population_ends(void **unused) {
    (void)unused;
    refuse_each(POPULATION, true);
}

static void test_a_state_without_memory(void **unused) {
    (void)unused;
    ScriptHome home = script_home(NULL, "-");
    ptrdiff_t live = alloc_live();
    bool refused = true;
    for (size_t n = 1; refused; n++) {
        alloc_refuse(n, true);
        lua_State *L = script_new(&home);
        refused = alloc_refused();
        alloc_refuse(0, false);
        if (L) lua_close(L);
        assert_true(refused || L);
        assert_int_equal(alloc_live(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_scripts_work),
        cmocka_unit_test(test_one_allocation_fails),
        cmocka_unit_test(test_memory_ends),
        cmocka_unit_test(test_one_allocation_of_a_population_fails),
        cmocka_unit_test(test_memory_of_a_population_ends),
        cmocka_unit_test(test_a_state_without_memory),
    };
    return cmocka_run_group_tests_name("lua memory", tests, NULL, NULL);
}
