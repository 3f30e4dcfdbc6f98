/* Values: tensors full of numbers, and how numbers come in from Lua. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"

Value *value_push(lua_State *L, Shape shape) {
    size_t count = (size_t)shape_count(shape), bytes;
    if (__builtin_mul_overflow(count, sizeof(real), &bytes) || bytes > SIZE_MAX / 2)
        script_error(L, "out of memory: %zu numbers", count);
    Value *value = lua_newuserdatauv(L, sizeof *value + bytes, 0);
    value->shape = shape;
    value->count = count;
    luaL_setmetatable(L, VALUE_CLASS);
    return value;
}

void value_push_shape(lua_State *L, Shape shape) {
    lua_createtable(L, shape.rank, 0);
    for (int axis = 0; axis < shape.rank; axis++) {
        lua_pushinteger(L, shape.size[axis]);
        lua_rawseti(L, -2, axis + 1);
    }
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void read_value(lua_State *L, const Value *value, const char *what, Shape shape, real *into) {
    char wanted[SHAPE_TEXT], given[SHAPE_TEXT];
    if (!shape_equal(value->shape, shape))
        script_error(L, "%s: shape %s expected, got %s", what, shape_text(shape, wanted),
                     shape_text(value->shape, given));
    memcpy(into, value->data, value->count * sizeof(real));
}

/* All is looked at before anything is copied: `into` may be a live state. */
static void read_table(lua_State *L, int index, const char *what, Shape shape, real *into) {
    lua_Integer count = (lua_Integer)shape_count(shape);
    char text[SHAPE_TEXT];
    if (lua_rawlen(L, index) != (lua_Unsigned)count)
        script_error(L, "%s: %" PRId64 " numbers expected, row by row for shape %s, got %llu", what,
                     (int64_t)count, shape_text(shape, text), (unsigned long long)lua_rawlen(L, index));
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, index, i) != LUA_TNUMBER)
            script_error(L, "%s: element %" PRId64 ": a number expected, got a %s%s", what, (int64_t)i,
                         luaL_typename(L, -1),
                         lua_istable(L, -1) ? ": numbers are given flat, row by row" : "");
        lua_pop(L, 1);
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, index, i);
        into[i - 1] = (real)lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
}

void value_read(lua_State *L, int index, const char *what, Shape shape, real *into) {
    index = lua_absindex(L, index);
    size_t count = (size_t)shape_count(shape);
    const Value *value = luaL_testudata(L, index, VALUE_CLASS);
    char text[SHAPE_TEXT];
    if (value) {
        read_value(L, value, what, shape, into);
    } else if (lua_type(L, index) == LUA_TTABLE) {
        read_table(L, index, what, shape, into);
    } else if (lua_type(L, index) == LUA_TNUMBER) {
        for (size_t i = 0; i < count; i++) into[i] = (real)lua_tonumber(L, index);
    } else {
        script_error(
            L, "%s: a number, a flat table of %zu for shape %s, or a value of that shape, expected, got a %s",
            what, count, shape_text(shape, text), luaL_typename(L, index));
    }
}

/* graph.value(shape, numbers) */
int value_make(lua_State *L) {
    Shape shape = binding_shape(L, 1, "graph.value", false);
    lua_settop(L, 2);
    Value *value = value_push(L, shape);
    value_read(L, 2, "graph.value", shape, value->data);
    return 1;
}

/* ---- methods ------------------------------------------------------------------------------------------- */

static Value *value_check(lua_State *L, const char *what) {
    return binding_object(L, 1, VALUE_CLASS, what);
}

static int value_shape(lua_State *L) {
    value_push_shape(L, value_check(L, "shape")->shape);
    return 1;
}

static int value_flat(lua_State *L) {
    Value *value = value_check(L, "flat");
    lua_createtable(L, value->count < INT_MAX ? (int)value->count : INT_MAX, 0);
    for (size_t i = 0; i < value->count; i++) {
        lua_pushnumber(L, (lua_Number)value->data[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int value_item(lua_State *L) {
    Value *value = value_check(L, "item");
    char text[SHAPE_TEXT];
    if (value->count != 1)
        script_error(L, "item: one element expected, shape %s has %zu: use flat",
                     shape_text(value->shape, text), value->count);
    lua_pushnumber(L, (lua_Number)value->data[0]);
    return 1;
}

static int value_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)value_check(L, "#")->count);
    return 1;
}

/* The shape, and the first numbers. */
static int value_text(lua_State *L) {
    enum { SHOWN = 8 };
    const Value *value = value_check(L, "tostring");
    char text[SHAPE_TEXT], number[40];
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, "value ");
    luaL_addstring(&buffer, shape_text(value->shape, text));
    luaL_addstring(&buffer, ":");
    for (size_t i = 0; i < value->count && i < SHOWN; i++) {
        snprintf(number, sizeof number, " %.6g", (double)value->data[i]);
        luaL_addstring(&buffer, number);
    }
    if (value->count > SHOWN) luaL_addstring(&buffer, " ...");
    luaL_pushresult(&buffer);
    return 1;
}

static const BindingFunction METHODS[] = {
    {"shape", "(): integer[]", "The sizes of the axes; empty for a single number.", value_shape},
    {"flat", "(): number[]", "All numbers in one table, row by row.", value_flat},
    {"item", "(): number", "The number itself, of a value that holds one.", value_item},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg META[] = {{"__len", value_length}, {"__tostring", value_text}, {NULL, NULL}};

static const char OPERATORS[] = "---@operator len: integer\n"
                                "---@alias brood.Numbers number|number[]|brood.Value\n"
                                "---@alias brood.Optimizer table\n";

const BindingClass value_class = {VALUE_CLASS, "A tensor full of numbers.", OPERATORS, METHODS, META};
