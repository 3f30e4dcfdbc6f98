/* Rows of doubles: userdata, and readers. */
#include "app/lua/metric/lua_rows.h"

#include <inttypes.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"

typedef struct {
    size_t rows, columns;
    double data[];
} Rows;

void rows_raise(lua_State *L, const char *what, Status status, const Error *error) {
    if (status != STATUS_OK) script_error(L, "%s: %s", what, error->message);
}

double *rows_push(lua_State *L, size_t rows, size_t columns) {
    size_t count, bytes;
    if (__builtin_mul_overflow(rows, columns, &count) ||
        __builtin_mul_overflow(count, sizeof(double), &bytes) || bytes > SIZE_MAX / 2)
        script_error(L, "out of memory: %zu rows of %zu numbers", rows, columns);
    Rows *made = lua_newuserdatauv(L, sizeof *made + bytes, 0);
    made->rows = rows;
    made->columns = columns;
    luaL_setmetatable(L, ROWS_CLASS);
    return made->data;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

/* `count` numbers of the list at `index`; `row` is 0 where the list is all there is. */
static void read_numbers(lua_State *L, int index, const char *what, size_t row, size_t count, double *into) {
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TNUMBER) {
            const char *found = luaL_typename(L, -1);
            if (row > 0)
                script_error(L, "%s: row %zu, column %zu: a number expected, got a %s", what, row, i + 1,
                             found);
            script_error(L, "%s: element %zu: a number expected, got a %s", what, i + 1, found);
        }
        into[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
}

/* { {1, 2}, {3, 4} } */
static Matrix read_lists(lua_State *L, int index, const char *what) {
    size_t rows = lua_rawlen(L, index);
    lua_rawgeti(L, index, 1);
    size_t columns = lua_rawlen(L, -1);
    lua_pop(L, 1);
    double *data = rows_push(L, rows, columns);
    for (size_t i = 0; i < rows; i++) {
        if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TTABLE)
            script_error(L, "%s: row %zu: a list of numbers expected, got a %s", what, i + 1,
                         luaL_typename(L, -1));
        size_t width = lua_rawlen(L, -1);
        if (width != columns)
            script_error(L, "%s: rows of different widths: row 1 has %zu numbers, row %zu has %zu", what,
                         columns, i + 1, width);
        read_numbers(L, lua_gettop(L), what, i + 1, columns, data + i * columns);
        lua_pop(L, 1);
    }
    return (Matrix){data, rows, columns};
}

/* { 1, 2, 3, 4, columns = 2 }; without columns there is one. */
static Matrix read_flat(lua_State *L, int index, const char *what) {
    size_t count = lua_rawlen(L, index), columns = 1;
    if (binding_field(L, index, "columns") != LUA_TNIL) {
        int is_whole;
        lua_Integer given = lua_tointegerx(L, -1, &is_whole);
        if (!is_whole || given < 1)
            script_error(L, "%s: columns: a whole number of at least 1 expected", what);
        columns = (size_t)given;
    }
    lua_pop(L, 1);
    if (count % columns != 0)
        script_error(L, "%s: %zu numbers do not make rows of %zu columns", what, count, columns);
    double *data = rows_push(L, count / columns, columns);
    read_numbers(L, index, what, 0, count, data);
    return (Matrix){data, count / columns, columns};
}

static Matrix read_value(lua_State *L, const Value *value, const char *what) {
    if (value->shape.rank == 0)
        script_error(L, "%s: rows expected, as a value (rows, columns); got a single number", what);
    size_t rows = (size_t)value->shape.size[0], columns = rows ? value->count / rows : 0;
    double *data = rows_push(L, rows, columns);
    for (size_t i = 0; i < value->count; i++) data[i] = (double)value->data[i];
    return (Matrix){data, rows, columns};
}

Matrix rows_read(lua_State *L, int index, const char *what) {
    index = lua_absindex(L, index);
    const Rows *rows = luaL_testudata(L, index, ROWS_CLASS);
    if (rows) return (Matrix){rows->data, rows->rows, rows->columns};
    const Value *value = luaL_testudata(L, index, VALUE_CLASS);
    if (value) return read_value(L, value, what);
    if (lua_type(L, index) != LUA_TTABLE)
        script_error(L,
                     "%s: rows of numbers expected, as { {1, 2}, {3, 4} }, { 1, 2, 3, 4, columns = 2 } or a "
                     "value; got a %s",
                     what, luaL_typename(L, index));
    bool nested = lua_rawgeti(L, index, 1) == LUA_TTABLE;
    lua_pop(L, 1);
    return nested ? read_lists(L, index, what) : read_flat(L, index, what);
}

uint32_t *rows_labels(lua_State *L, int index, const char *what, size_t classes, size_t *count) {
    Matrix given = rows_read(L, index, what);
    if (given.columns != 1)
        script_error(L, "%s: a list of class numbers expected, got rows of %zu numbers", what, given.columns);
    uint32_t *labels = binding_scratch(L, given.rows, sizeof *labels);
    for (size_t i = 0; i < given.rows; i++) {
        double label = given.data[i];
        if (!(label >= 1 && label <= (double)classes) || label != (double)(uint32_t)label)
            script_error(L, "%s: element %zu: a whole number from 1 to %zu expected, got %g", what, i + 1,
                         classes, label);
        labels[i] = (uint32_t)label - 1;
    }
    *count = given.rows;
    return labels;
}

/* ---- the class ----------------------------------------------------------------------------------------- */

static const Rows *rows_check(lua_State *L, const char *what) {
    return binding_object(L, 1, ROWS_CLASS, what);
}

static int rows_shape(lua_State *L) {
    const Rows *rows = rows_check(L, "shape");
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, (lua_Integer)rows->rows);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, (lua_Integer)rows->columns);
    lua_rawseti(L, -2, 2);
    return 1;
}

static int rows_flat(lua_State *L) {
    const Rows *rows = rows_check(L, "flat");
    size_t count = rows->rows * rows->columns;
    lua_createtable(L, count < INT_MAX ? (int)count : INT_MAX, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, rows->data[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int rows_length(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)rows_check(L, "#")->rows);
    return 1;
}

static int rows_text(lua_State *L) {
    const Rows *rows = rows_check(L, "tostring");
    lua_pushfstring(L, "rows (%I, %I)", (LUAI_UACINT)rows->rows, (LUAI_UACINT)rows->columns);
    return 1;
}

static const BindingFunction METHODS[] = {
    {"shape", "(): integer[]", "Rows and columns.", rows_shape},
    {"flat", "(): number[]", "All numbers in one table, row by row.", rows_flat},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg META[] = {{"__len", rows_length}, {"__tostring", rows_text}, {NULL, NULL}};

const BindingClass rows_class = {ROWS_CLASS, "Rows of numbers in double precision, for metrics.",
                                 "---@operator len: integer\n", METHODS, META};
