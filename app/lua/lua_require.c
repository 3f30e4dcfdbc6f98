/* Where `require` finds modules: beside the script, along package.path, and in Brood's own library. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/embedded.h"
#include "app/lua/lua_script.h"
#include "base/file.h"

#define EMBEDDED_CHUNKS "@[brood]/" /* names of embedded chunks begin so: no file's name does by accident */

bool script_is_library(lua_State *L, const char *chunk) {
    const char *library = script_home_of(L)->library;
    if (strncmp(chunk, EMBEDDED_CHUNKS, strlen(EMBEDDED_CHUNKS)) == 0) return true;
    if (!library || chunk[0] != '@') return false;
    size_t length = strlen(library);
    return strncmp(chunk + 1, library, length) == 0 && strncmp(chunk + 1 + length, "/brood/", 7) == 0;
}

int script_modules(lua_State *L) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "brood.modules");
    return 1;
}

/* A file is part of the script, so that a run can tell whether it has changed since. */
static void note_module(lua_State *L, const char *file) {
    char path[PATH_MAX], hash[FILE_HASH];
    if (!realpath(file, path) || file_hash_at(path, hash, NULL)) return;
    script_modules(L);
    lua_pushstring(L, hash);
    lua_setfield(L, -2, path);
    lua_pop(L, 1);
}

static bool readable(const char *file) {
    FILE *stream = fopen(file, "r");
    if (stream) fclose(stream);
    return stream != NULL;
}

/* Loads a module's file: pushes the loader and the file's name, as `require` expects of a searcher. */
static int load_module(lua_State *L, const char *file) {
    if (luaL_loadfilex(L, file, "t") != LUA_OK)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", lua_tostring(L, 1), file,
                          lua_tostring(L, -1));
    lua_pushstring(L, file);
    return 2;
}

/* The module's name as a path: "a.b" is "a/b". Pushes it. */
static const char *push_path(lua_State *L) {
    return luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
}

/* Looks for folder/path.lua and folder/path/init.lua. */
static int search_folder(lua_State *L, const char *folder) {
    static const char *const ENDINGS[] = {".lua", "/init.lua"};
    const char *path = push_path(L), *files[2];
    for (int i = 0; i < 2; i++) {
        files[i] = lua_pushfstring(L, "%s/%s%s", folder, path, ENDINGS[i]);
        if (readable(files[i])) return load_module(L, files[i]);
    }
    lua_pushfstring(L, "no file '%s'\n\tno file '%s'", files[0], files[1]);
    return 1;
}

int script_search_beside(lua_State *L) {
    int results = search_folder(L, script_home_of(L)->beside);
    if (results == 2) note_module(L, lua_tostring(L, -1));
    return results;
}

/* As Lua's own searcher, which would load compiled Lua too. */
int script_search_path(lua_State *L) {
    luaL_checkstring(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "path");
    if (lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "package.path must be a string");
    if (!*lua_tostring(L, -1)) return 0;
    lua_getfield(L, lua_upvalueindex(1), "searchpath");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 2);
    if (lua_isnil(L, -2)) return 1; /* the list of files that are not there */
    lua_pop(L, 1);
    note_module(L, lua_tostring(L, -1));
    return load_module(L, lua_tostring(L, -1));
}

static const EmbeddedScript *find_embedded(const char *name) {
    for (const EmbeddedScript *script = embedded_scripts; script->name; script++)
        if (strcmp(script->name, name) == 0) return script;
    return NULL;
}

static int search_embedded(lua_State *L) {
    const char *path = push_path(L);
    const EmbeddedScript *script = find_embedded(lua_pushfstring(L, "%s.lua", path));
    if (!script) script = find_embedded(lua_pushfstring(L, "%s/init.lua", path));
    if (!script) {
        lua_pushfstring(L, "no '%s.lua' in Brood's library", path);
        return 1;
    }
    const char *chunk = script->name + (strncmp(script->name, "brood/", 6) == 0 ? 6 : 0);
    chunk = lua_pushfstring(L, EMBEDDED_CHUNKS "%s", chunk);
    if (luaL_loadbufferx(L, (const char *)script->text, script->length, chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_pushstring(L, chunk + 1);
    return 2;
}

int script_search_library(lua_State *L) {
    const char *library = script_home_of(L)->library;
    return library ? search_folder(L, library) : search_embedded(L);
}
