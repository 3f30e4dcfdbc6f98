/* What classifiers need of Lua's values: images in batches, states in files, hashes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "app/lua/metric/lua_metric.h"
#include "gan/state_file.h"

/* A classifier's file has one fact of ours: a text that the library writes and reads. */
#define FACTS "classifier"
enum { FACTS_LIMIT = 1 << 16 };

static Value *value_argument(lua_State *L, int index, const char *what) {
    Value *value = binding_object(L, index, VALUE_CLASS, what);
    if (value->shape.rank == 0) script_error(L, "%s: a value of one row or more expected", what);
    return value;
}

static size_t row_numbers(const Value *value) {
    return value->shape.size[0] ? value->count / (size_t)value->shape.size[0] : 0;
}

/* ---- batches ------------------------------------------------------------------------------------------- */

/* As a PNG would hold it: the nearest of 256 levels from -1 to 1. */
static real rounded(real value) {
    double level = floor(((double)value + 1.0) * 127.5 + 0.5);
    level = level < 0 ? 0 : level > 255 ? 255 : level;
    return (real)(level / 127.5 - 1.0);
}

/* take(images, first, count) */
int batch_take(lua_State *L) {
    const Value *images = value_argument(L, 1, "images");
    int64_t rows = images->shape.size[0], first = binding_integer(L, 2, "take: first", 1, rows) - 1;
    Shape shape = images->shape;
    shape.size[0] = binding_integer(L, 3, "take: count", 1, 1 << 20);
    size_t numbers = row_numbers(images), from = (size_t)first * numbers;
    Value *batch = value_push(L, shape);
    for (size_t i = 0; i < batch->count; i++) {
        real value = from + i < images->count ? images->data[from + i] : -1;
        if (!isfinite(value))
            script_error(L, "images: image %zu holds %g: every pixel must be a finite number",
                         (from + i) / numbers + 1, (double)value);
        batch->data[i] = rounded(value);
    }
    return 1;
}

/* finite(value) → true, or false and the first row that holds a NaN or an infinity */
int batch_finite(lua_State *L) {
    const Value *value = value_argument(L, 1, "finite");
    size_t place = 0;
    while (place < value->count && isfinite(value->data[place])) place++;
    lua_pushboolean(L, place == value->count);
    if (place == value->count) return 1;
    lua_pushinteger(L, (lua_Integer)(place / row_numbers(value)) + 1);
    return 2;
}

/* put(into, first, rows) */
int batch_put(lua_State *L) {
    Value *into = value_argument(L, 1, "put: into");
    size_t first = (size_t)binding_integer(L, 2, "put: first", 1, into->shape.size[0]) - 1;
    const Value *rows = value_argument(L, 3, "put: rows");
    size_t numbers = row_numbers(into);
    if (row_numbers(rows) != numbers)
        script_error(L, "put: rows of %zu numbers expected, got %zu", numbers, row_numbers(rows));
    size_t room = into->count - first * numbers;
    memcpy(into->data + first * numbers, rows->data,
           (rows->count < room ? rows->count : room) * sizeof(real));
    return 0;
}

/* ---- files --------------------------------------------------------------------------------------------- */

/* hash(...): texts and values */
int batch_hash(lua_State *L) {
    int count = lua_gettop(L);
    FilePiece *pieces = binding_scratch(L, (size_t)count, sizeof *pieces);
    for (int i = 0; i < count; i++) {
        const Value *value = luaL_testudata(L, i + 1, VALUE_CLASS);
        if (value)
            pieces[i] = (FilePiece){value->data, value->count * sizeof(real)};
        else
            pieces[i].bytes = luaL_checklstring(L, i + 1, &pieces[i].size);
    }
    char hash[FILE_HASH];
    Error error;
    if (file_hash(pieces, (size_t)count, hash, &error)) script_error(L, "%s", error.message);
    lua_pushstring(L, hash);
    return 1;
}

/* save(state, path, facts) → true, or false and a message */
int batch_save(lua_State *L) {
    const StateBox *box = state_check(L, 1, "save");
    const char *path = binding_text(L, 2, "save: path");
    SafetensorsFact fact = {FACTS, binding_text(L, 3, "save: facts")};
    Error error;
    Status status = state_save_as(&box->state, path, &fact, 1, &error);
    lua_pushboolean(L, status == STATUS_OK);
    if (status == STATUS_OK) return 1;
    lua_pushstring(L, error.message);
    return 2;
}

/* The facts of a file, "" where it has none. Nothing of the file stays open: Lua may raise an error later. */
static Status read_facts(const char *path, char facts[FACTS_LIMIT], Error *error) {
    Safetensors file;
    Status status = safetensors_open(&file, path, error);
    if (status != STATUS_OK) return status;
    const char *text = safetensors_fact(&file, FACTS);
    int length = snprintf(facts, FACTS_LIMIT, "%s", text ? text : "");
    safetensors_close(&file);
    if (length < FACTS_LIMIT) return STATUS_OK;
    return error_set(error, STATUS_CORRUPT, "%s: over %d bytes of facts", path, FACTS_LIMIT);
}

/* load(state, path) → facts, or nil and a message */
int batch_load(lua_State *L) {
    StateBox *box = state_check(L, 1, "load");
    const char *path = binding_text(L, 2, "load: path");
    char *facts = binding_scratch(L, FACTS_LIMIT, 1);
    Error error;
    Status status = read_facts(path, facts, &error);
    if (status == STATUS_OK) status = state_load(&box->state, path, &error);
    if (status == STATUS_OK) {
        lua_pushstring(L, facts);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, error.message);
    return 2;
}
