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

/* A state with the script loaded. */
static lua_State *prepare(const ScriptHome *home) {
    lua_State *L = script_new(home);
    assert_non_null(L);
    assert_int_equal(luaL_loadbufferx(L, SCRIPT, strlen(SCRIPT), "=script", "t"), LUA_OK);
    return L;
}

/* Runs the script with its n-th allocation refused. Returns whether it came to its end before that. */
static bool run_with_refusal(const ScriptHome *home, size_t n, bool onwards) {
    ptrdiff_t live = alloc_live();
    lua_State *L = prepare(home);
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

static void test_the_script_works(void **unused) {
    (void)unused;
    ScriptHome home = script_home(NULL, "-");
    ptrdiff_t live = alloc_live();
    lua_State *L = prepare(&home);
    if (script_call(L, 0, 0) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
    lua_close(L);
    assert_int_equal(alloc_live(), live);
}

/* One refusal: Lua itself tries again after a collection, the engine does not. */
static void test_one_allocation_fails(void **unused) {
    (void)unused;
    ScriptHome home = script_home(NULL, "-");
    size_t n = 1;
    while (!run_with_refusal(&home, n, false)) n++;
    assert_true(n > 100);
}

static void test_memory_ends(void **unused) {
    (void)unused;
    ScriptHome home = script_home(NULL, "-");
    size_t n = 1;
    while (!run_with_refusal(&home, n, true)) n++;
    assert_true(n > 100);
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
        cmocka_unit_test(test_the_script_works),
        cmocka_unit_test(test_one_allocation_fails),
        cmocka_unit_test(test_memory_ends),
        cmocka_unit_test(test_a_state_without_memory),
    };
    return cmocka_run_group_tests_name("lua memory", tests, NULL, NULL);
}
