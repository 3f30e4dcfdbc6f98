/* What classifiers need to be kept: states in files, hashes. */
#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "app/lua/metric/lua_metric.h"
#include "gan/state_file.h"

/* A classifier's file has one fact of ours: a text that the library writes and reads. */
#define FACTS "classifier"
enum { FACTS_LIMIT = 1 << 16 };

/* hash(...): texts and values */
int kept_hash(lua_State *L) {
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
int kept_save(lua_State *L) {
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
int kept_load(lua_State *L) {
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
