#include "app/lua/lua_binding.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/app.h"
#include "app/lua/data/lua_data.h"
#include "app/lua/data/lua_image.h"
#include "app/lua/lua_files.h"
#include "app/lua/lua_initializer.h"
#include "app/lua/lua_model.h"
#include "app/lua/lua_script.h"
#include "app/lua/lua_terminal.h"
#include "app/lua/metric/lua_metric.h"
#include "app/lua/population/lua_population.h"
#include "app/lua/population/lua_record.h"
#include "app/names.h"

const BindingModule *const binding_modules[] = {&binding_graph,    &binding_data,        &binding_model,
                                                &binding_image,    &binding_initializer, &binding_files,
                                                &binding_metric,   &binding_population,  &binding_record,
                                                &binding_terminal, &binding_script,      NULL};

/* ---- classes and modules ------------------------------------------------------------------------------- */

/* __index of objects and modules. Upvalues: the table of names, and what to call the thing in an error. */
static int find_member(lua_State *L) {
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *thing = lua_tostring(L, lua_upvalueindex(2));
    if (lua_type(L, 2) != LUA_TSTRING)
        script_error(L, "%s: cannot be indexed with a %s", thing, luaL_typename(L, 2));
    const char *name = lua_tostring(L, 2);
    NameSearch search;
    names_start(&search, name);
    lua_pushnil(L);
    while (lua_next(L, lua_upvalueindex(1))) {
        lua_pop(L, 1);
        names_offer(&search, lua_tostring(L, -1));
    }
    const char *near = names_best(&search);
    if (near) script_error(L, "%s has no '%s': did you mean '%s'?", thing, name, near);
    script_error(L, "%s has no '%s'", thing, name);
}

static int refuse_change(lua_State *L) {
    script_error(L, "%s: nothing can be assigned to it", lua_tostring(L, lua_upvalueindex(1)));
}

/* Gives the metatable on top an __index that finds in the table below it and names what is not there. */
static void guard_members(lua_State *L, const char *thing) {
    lua_pushvalue(L, -2);
    lua_pushstring(L, thing);
    lua_pushcclosure(L, find_member, 2);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, thing);
    lua_pushcclosure(L, refuse_change, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushstring(L, thing);
    lua_setfield(L, -2, "__metatable"); /* what getmetatable shows: the real one stays out of reach */
}

static void push_functions(lua_State *L, const BindingFunction *functions) {
    lua_newtable(L);
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->function);
        lua_setfield(L, -2, functions->name);
    }
}

static void make_class(lua_State *L, const BindingClass *class) {
    push_functions(L, class->methods);
    luaL_newmetatable(L, class->name);
    guard_members(L, class->name);
    luaL_setfuncs(L, class->metamethods, 0);
    lua_pop(L, 2);
}

static int open_module(lua_State *L) {
    const BindingModule *module = lua_touserdata(L, lua_upvalueindex(1));
    for (size_t i = 0; module->classes && module->classes[i]; i++) make_class(L, module->classes[i]);
    push_functions(L, module->functions);
    lua_newtable(L);
    guard_members(L, module->name);
    lua_setmetatable(L, -2);
    return 1;
}

void binding_preload(lua_State *L, const BindingModule *module) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushlightuserdata(L, (void *)module);
    lua_pushcclosure(L, open_module, 1);
    lua_setfield(L, -2, module->name);
    lua_pop(L, 1);
}

/* ---- types --------------------------------------------------------------------------------------------- */

static void print_function(const BindingFunction *function, const char *self) {
    const char *signature = function->signature + 1; /* after the bracket */
    printf("---@field %s fun(%s%s%s%s # %s\n", function->name, self ? "self: " : "", self ? self : "",
           self && signature[0] != ')' ? ", " : "", signature, function->doc);
}

static void print_module(const BindingModule *module) {
    printf("---@meta %s\n\n", module->name);
    for (size_t i = 0; module->classes && module->classes[i]; i++) {
        const BindingClass *class = module->classes[i];
        printf("---%s\n---@class %s\n%s", class->doc, class->name, class->operators ? class->operators : "");
        for (const BindingFunction *f = class->methods; f->name; f++) print_function(f, class->name);
        printf("\n");
    }
    printf("---%s\n---@class %s\n", module->doc, module->name);
    for (const BindingFunction *f = module->functions; f->name; f++) print_function(f, NULL);
    printf("local module = {}\nreturn module\n\n");
}

void binding_print_types(void) {
    for (size_t i = 0; binding_modules[i]; i++) print_module(binding_modules[i]);
}

/* ---- readers of arguments ------------------------------------------------------------------------------ */

/* What stands at `index`, for an error: "2.5", "nothing", "a string". Pushes it. */
static const char *describe(lua_State *L, int index) {
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return lua_pushliteral(L, "nothing");
    case LUA_TNUMBER:
        return isnan(lua_tonumber(L, index)) ? lua_pushliteral(L, "nan") : luaL_tolstring(L, index, NULL);
    case LUA_TSTRING: return lua_pushfstring(L, "the text '%s'", lua_tostring(L, index));
    case LUA_TUSERDATA:
        if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
            return lua_pushfstring(L, "a %s", lua_tostring(L, -1));
        return lua_pushliteral(L, "userdata");
    default: return lua_pushfstring(L, "a %s", luaL_typename(L, index));
    }
}

void *binding_object(lua_State *L, int index, const char *class_name, const char *what) {
    void *object = luaL_testudata(L, index, class_name);
    if (!object) script_error(L, "%s: a %s expected, got %s", what, class_name, describe(L, index));
    return object;
}

/* A number that is whole, be it an integer or a float; strings do not count. */
static bool whole(lua_State *L, int index, int64_t *value) {
    int is_whole = 0;
    *value = 0;
    if (lua_type(L, index) == LUA_TNUMBER) *value = lua_tointegerx(L, index, &is_whole);
    return is_whole;
}

int64_t binding_integer(lua_State *L, int index, const char *what, int64_t low, int64_t high) {
    int64_t value;
    if (whole(L, index, &value) && value >= low && value <= high) return value;
    if (high == INT64_MAX)
        script_error(L, "%s: a whole number of at least %" PRId64 " expected, got %s", what, low,
                     describe(L, index));
    script_error(L, "%s: a whole number from %" PRId64 " to %" PRId64 " expected, got %s", what, low, high,
                 describe(L, index));
}

double binding_number(lua_State *L, int index, const char *what) {
    if (lua_type(L, index) != LUA_TNUMBER)
        script_error(L, "%s: a number expected, got %s", what, describe(L, index));
    return lua_tonumber(L, index);
}

bool binding_flag(lua_State *L, int index, const char *what) {
    if (!lua_isnoneornil(L, index) && !lua_isboolean(L, index))
        script_error(L, "%s: true or false expected, got %s", what, describe(L, index));
    return lua_toboolean(L, index);
}

const char *binding_text(lua_State *L, int index, const char *what) {
    if (lua_type(L, index) != LUA_TSTRING)
        script_error(L, "%s: a text expected, got %s", what, describe(L, index));
    return lua_tostring(L, index);
}

Shape binding_shape(lua_State *L, int index, const char *what, bool unchecked) {
    index = lua_absindex(L, index);
    bool listed = lua_type(L, index) == LUA_TTABLE;
    lua_Unsigned rank = listed ? lua_rawlen(L, index) : !lua_isnoneornil(L, index);
    if (rank > SHAPE_AXES)
        script_error(L, "%s: a shape has at most %d axes, this one %llu", what, SHAPE_AXES,
                     (unsigned long long)rank);
    Shape shape = {.rank = (int)rank};
    for (int axis = 0; axis < shape.rank; axis++) {
        if (listed)
            lua_rawgeti(L, index, axis + 1);
        else
            lua_pushvalue(L, index);
        if (!whole(L, -1, &shape.size[axis]))
            script_error(L, "%s: the size of axis %d must be a whole number, not %s", what, axis + 1,
                         describe(L, -1));
        lua_pop(L, 1);
    }
    Error error;
    if (!unchecked && shape_check(&shape, &error) != STATUS_OK)
        script_error(L, "%s: %s", what, error.message);
    return shape;
}

void binding_pack(lua_State *L, int index) {
    int count = lua_gettop(L) - index + 1;
    if (count == 1 && lua_type(L, index) == LUA_TTABLE) return;
    lua_createtable(L, count > 0 ? count : 0, 0);
    lua_insert(L, index);
    for (int i = count; i >= 1; i--) lua_rawseti(L, index, i);
}

int binding_axis(lua_State *L, int index, const char *what, int rank) {
    int64_t axis;
    if (!whole(L, index, &axis) || axis == 0 || axis > rank || axis < -rank)
        script_error(L, "%s: an axis from 1 to %d expected (or -1 for the last, and so on), got %s", what,
                     rank, describe(L, index));
    return (int)(axis > 0 ? axis - 1 : rank + axis);
}

void binding_fields(lua_State *L, int index, const char *what, const char *const *names) {
    if (lua_isnoneornil(L, index)) return;
    if (lua_type(L, index) != LUA_TTABLE)
        script_error(L, "%s: a table of options expected, got %s", what, describe(L, index));
    index = lua_absindex(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            script_error(L, "%s: options have names, this one is [%s]", what, describe(L, -1));
        const char *name = lua_tostring(L, -1);
        NameSearch search;
        names_start(&search, name);
        size_t i = 0;
        for (; names[i] && strcmp(names[i], name) != 0; i++) names_offer(&search, names[i]);
        if (names[i]) continue;
        const char *near = names_best(&search);
        if (near) script_error(L, "%s: there is no option '%s': did you mean '%s'?", what, name, near);
        script_error(L, "%s: there is no option '%s'", what, name);
    }
}

int binding_field(lua_State *L, int index, const char *name) {
    if (lua_type(L, index) != LUA_TTABLE) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

void *binding_scratch(lua_State *L, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) script_error(L, "out of memory: %zu items", count);
    void *memory = lua_newuserdatauv(L, bytes ? bytes : 1, 0);
    memset(memory, 0, bytes ? bytes : 1);
    return memory;
}

void *binding_keep(lua_State *L, int keeps, size_t count, size_t size) {
    void *memory = binding_scratch(L, count, size);
    luaL_ref(L, keeps);
    return memory;
}

const char *binding_keep_text(lua_State *L, int keeps, const char *what) {
    const char *text = binding_text(L, -1, what);
    luaL_ref(L, keeps);
    return text;
}

void binding_outside_bytes(lua_State *L, size_t bytes) {
    size_t kilobytes = bytes / 1024;
    if (kilobytes > 0) lua_gc(L, LUA_GCSTEP, (int)(kilobytes < INT_MAX / 2 ? kilobytes : INT_MAX / 2));
}
