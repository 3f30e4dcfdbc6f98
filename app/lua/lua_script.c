#include "app/lua/lua_script.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/app.h"
#include "app/lua/lua_binding.h"
#include "app/names.h"
#include "base/memory.h"

/* ---- errors -------------------------------------------------------------------------------------------- */

bool script_line(lua_State *L, char text[SCRIPT_LINE]) {
    lua_Debug frame;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0 || script_is_library(L, frame.source)) continue;
        snprintf(text, SCRIPT_LINE, "%s:%d", frame.short_src, frame.currentline);
        return true;
    }
    text[0] = '\0';
    return false;
}

void script_error(lua_State *L, const char *format, ...) {
    char line[SCRIPT_LINE], message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (script_line(L, line))
        lua_pushfstring(L, "%s: %s", line, message);
    else
        lua_pushstring(L, message);
    lua_error(L);
    abort(); /* lua_error does not return */
}

/* Turns any error value into a text with a traceback. */
static int add_traceback(lua_State *L) {
    const char *message = lua_tostring(L, 1);
    if (!message) {
        if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
            message = lua_tostring(L, -1);
        else
            message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    }
    luaL_traceback(L, L, message, 1);
    return 1;
}

int script_call(lua_State *L, int arguments, int results) {
    int handler = lua_gettop(L) - arguments;
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, handler);
    int status = lua_pcall(L, arguments, results, handler);
    lua_remove(L, handler);
    return status;
}

/* Warnings come in pieces; those that begin with @ are switches for other programs. */
static void warn_piece(void *unused, const char *text, int more) {
    (void)unused;
    if (!more && text[0] == '@') return;
    fputs(text, stderr);
    if (!more) fputc('\n', stderr);
}

static int no_protection(lua_State *L) {
    const char *message = lua_tostring(L, -1);
    fprintf(stderr, "brood: internal error, Lua called without protection: %s\n", message ? message : "?");
    return 0; /* Lua aborts */
}

/* ---- only text is loaded: compiled Lua can crash the interpreter --------------------------------------- */

/* The original function is the upvalue 1, the place of its argument `mode` the upvalue 2. */
static int load_text(lua_State *L) {
    int mode = (int)lua_tointeger(L, lua_upvalueindex(2));
    if (lua_gettop(L) < mode) lua_settop(L, mode);
    lua_pushliteral(L, "t");
    lua_replace(L, mode);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int do_file(lua_State *L) {
    const char *file = luaL_optstring(L, 1, NULL);
    lua_settop(L, 1);
    if (luaL_loadfilex(L, file, "t") != LUA_OK) return lua_error(L);
    lua_call(L, 0, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

static void restrict_loading(lua_State *L) {
    static const struct {
        const char *name;
        int mode;
    } LOADERS[] = {{"load", 3}, {"loadfile", 2}};
    for (size_t i = 0; i < sizeof LOADERS / sizeof LOADERS[0]; i++) {
        lua_getglobal(L, LOADERS[i].name);
        lua_pushinteger(L, LOADERS[i].mode);
        lua_pushcclosure(L, load_text, 2);
        lua_setglobal(L, LOADERS[i].name);
    }
    lua_register(L, "dofile", do_file);
}

/* ---- modules ------------------------------------------------------------------------------------------- */

/* require: what is loaded already or built in, beside the script, package.path, then the library. */
static void set_searchers(lua_State *L) {
    static const lua_CFunction OURS[] = {script_search_beside, script_search_path, script_search_library};
    lua_getglobal(L, "package");
    lua_createtable(L, 4, 0);
    lua_getfield(L, -2, "searchers");
    lua_rawgeti(L, -1, 1); /* Lua's own for package.preload */
    lua_rawseti(L, -3, 1);
    lua_pop(L, 1);
    for (int i = 0; i < 3; i++) {
        lua_pushvalue(L, -2); /* as upvalue, as Lua's own searchers have it */
        lua_pushcclosure(L, OURS[i], 1);
        lua_rawseti(L, -2, i + 2);
    }
    lua_setfield(L, -2, "searchers");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
    lua_pushnil(L);
    lua_setfield(L, -2, "loadlib");
    lua_pop(L, 1);
}

/* ---- the module brood.script: what the Lua part of the library needs to blame the right line ----------- */

static int line_of_script(lua_State *L) {
    char line[SCRIPT_LINE];
    if (script_line(L, line))
        lua_pushstring(L, line);
    else
        lua_pushnil(L);
    return 1;
}

static int fail_at_script(lua_State *L) {
    script_error(L, "%s", luaL_checkstring(L, 1));
}

static int nearest_name(lua_State *L) {
    NameSearch search;
    names_start(&search, luaL_checkstring(L, 1));
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 2); i++) {
        if (lua_rawgeti(L, 2, i) == LUA_TSTRING) names_offer(&search, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pushstring(L, names_best(&search)); /* nil for NULL */
    return 1;
}

static int call_constructor(lua_State *L) {
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* A tail call replaces its caller's frame by that of a Lua function, but not by one of C: so the line of
 * `return nn.relu {}` is still there when the library asks for it. */
static int make_constructor(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushcclosure(L, call_constructor, 1);
    return 1;
}

static const BindingFunction SCRIPT_FUNCTIONS[] = {
    {"constructor", "(f: function): function", "The function, called so that its caller's line is not lost.",
     make_constructor},
    {"line", "(): string?",
     "The line of the script that the program is at, \"file:line\", outside the library.", line_of_script},
    {"fail", "(message: string)", "Raises an error that begins with the script's line.", fail_at_script},
    {"modules", "(): table<string, string>",
     "The files that `require` has loaded, apart from the library: hashes of their content, by path.",
     script_modules},
    {"nearest", "(name: string, names: string[]): string?", "The name most like `name`, nil when none is.",
     nearest_name},
    {NULL, NULL, NULL, NULL}};
const BindingModule binding_script = {"brood.script", "Helpers for the Lua part of the library.",
                                      SCRIPT_FUNCTIONS, NULL};

/* ---- globals ------------------------------------------------------------------------------------------- */

/* Raises "WHAT 'name'ADVICE", with the nearest name among the globals. */
static _Noreturn void undefined_global(lua_State *L, const char *what, const char *advice) {
    if (lua_type(L, 2) != LUA_TSTRING) script_error(L, "globals have names, not a %s", luaL_typename(L, 2));
    NameSearch search;
    const char *name = lua_tostring(L, 2);
    names_start(&search, name);
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) names_offer(&search, lua_tostring(L, -1));
    }
    const char *near = names_best(&search);
    luaL_where(L, 1); /* the line itself, in the library too: it is the one at fault */
    lua_pushfstring(L, "%s '%s'%s%s%s%s", what, name, advice, near ? ": did you mean '" : "",
                    near ? near : "", near ? "'?" : "");
    lua_concat(L, 2);
    lua_error(L);
    abort();
}

static int read_global(lua_State *L) {
    undefined_global(L, "there is no global", "");
}

static int write_global(lua_State *L) {
    undefined_global(L, "assignment to the undefined global", " (a new name is declared with local)");
}

static void guard_globals(lua_State *L) {
    lua_pushglobaltable(L);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, read_global);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, write_global);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "guarded");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/* ---- math.random: the same numbers in every run -------------------------------------------------------- */

/* Lua's own randomseed, which is the upvalue, takes a seed from the clock when it is given none. */
static int seed_random(lua_State *L) {
    if (lua_type(L, 1) != LUA_TNUMBER)
        script_error(L, "math.randomseed: give it a number, so that the run can be repeated");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

static void fix_random(lua_State *L) {
    lua_getglobal(L, "math");
    lua_getfield(L, -1, "randomseed");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, SCRIPT_RANDOM_SEED);
    lua_pushcclosure(L, seed_random, 1);
    lua_pushvalue(L, -1);
    lua_pushinteger(L, 1);
    lua_call(L, 1, 0);
    lua_setfield(L, -2, "randomseed");
    lua_pop(L, 1);
}

/* ---- pairs: in order of keys --------------------------------------------------------------------------- */

/* Whether key 1 comes before key 2: numbers, then texts, then the rest as it comes. */
static int key_before(lua_State *L) {
    int first = lua_type(L, 1), second = lua_type(L, 2);
    bool plain = first == LUA_TNUMBER || first == LUA_TSTRING;
    bool other = second == LUA_TNUMBER || second == LUA_TSTRING;
    if (plain && other && first == second)
        lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    else
        lua_pushboolean(L, plain != other ? plain : plain && first == LUA_TNUMBER && second == LUA_TSTRING);
    return 1;
}

/* Upvalues: the keys, and how many were visited. Fields that are gone by now are passed over. */
static int next_in_order(lua_State *L) {
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
    lua_settop(L, 1);
    while (lua_rawgeti(L, lua_upvalueindex(1), ++at) != LUA_TNIL) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, 1) != LUA_TNIL) {
            lua_pushinteger(L, at);
            lua_replace(L, lua_upvalueindex(2));
            return 2;
        }
        lua_settop(L, 1);
    }
    return 1; /* nil */
}

/* Lua visits fields in an order that is another one each time: what a script makes of it would be, too. The
 * upvalues are pairs as it was and table.sort. */
static int ordered_pairs(lua_State *L) {
    if (!lua_istable(L, 1) || luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_settop(L, 2);
        lua_call(L, 1, 3);
        return 3;
    }
    lua_settop(L, 1);
    lua_newtable(L);
    lua_Integer count = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, 2, ++count);
    }
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 2);
    lua_pushcfunction(L, key_before);
    lua_call(L, 2, 0);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_in_order, 2);
    lua_insert(L, 1);
    lua_pushnil(L);
    return 3;
}

static void order_pairs(lua_State *L) {
    lua_getglobal(L, "pairs");
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_remove(L, -2);
    lua_pushcclosure(L, ordered_pairs, 2);
    lua_setglobal(L, "pairs");
}

/* ---- os.exit ------------------------------------------------------------------------------------------- */

static const char GOING = 0; /* its address is the key in the registry */

void script_set_going(lua_State *L, bool going) {
    lua_pushboolean(L, going);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &GOING);
}

/* Lua's own is the upvalue. Threads that train work on what Lua owns: the state stays as it is then. */
static int leave(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &GOING) != LUA_TNIL && lua_toboolean(L, -1)) {
        int code = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
        fflush(NULL);
        _exit(code);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
    return 0;
}

static void guard_exit(lua_State *L) {
    script_set_going(L, false); /* from now on there is room for it */
    lua_getglobal(L, "os");
    lua_getfield(L, -1, "exit");
    lua_pushcclosure(L, leave, 1);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 1);
}

/* ---- the state ----------------------------------------------------------------------------------------- */

/* Of `debug`, only what looks: the rest can take userdata apart under C's feet. */
static void restrict_debug(lua_State *L) {
    static const char *const KEPT[] = {"traceback", "getinfo", "getlocal", "sethook", "gethook"};
    lua_getglobal(L, "debug");
    lua_createtable(L, 0, 5);
    for (size_t i = 0; i < sizeof KEPT / sizeof KEPT[0]; i++) {
        lua_getfield(L, -2, KEPT[i]);
        lua_setfield(L, -2, KEPT[i]);
    }
    lua_pushvalue(L, -1);
    lua_setglobal(L, "debug");
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "debug");
    lua_pop(L, 3);
}

static int set_up(lua_State *L) {
    static const luaL_Reg LIBRARIES[] = {
        {LUA_GNAME, luaopen_base},          {LUA_LOADLIBNAME, luaopen_package},
        {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
        {LUA_IOLIBNAME, luaopen_io},        {LUA_OSLIBNAME, luaopen_os},
        {LUA_STRLIBNAME, luaopen_string},   {LUA_MATHLIBNAME, luaopen_math},
        {LUA_UTF8LIBNAME, luaopen_utf8},    {LUA_DBLIBNAME, luaopen_debug}};
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV"); /* LUA_PATH and the like do not count */
    for (size_t i = 0; i < sizeof LIBRARIES / sizeof LIBRARIES[0]; i++) {
        luaL_requiref(L, LIBRARIES[i].name, LIBRARIES[i].func, 1);
        lua_pop(L, 1);
    }
    set_searchers(L);
    restrict_loading(L);
    restrict_debug(L);
    fix_random(L);
    order_pairs(L);
    guard_exit(L);
    for (size_t i = 0; binding_modules[i]; i++) binding_preload(L, binding_modules[i]);
    guard_globals(L);
    return 0;
}

static void *allocate(void *unused, void *block, size_t old_size, size_t new_size) {
    (void)unused, (void)old_size;
    if (new_size > 0) return memory_resize(block, new_size);
    memory_free(block);
    return NULL;
}

const ScriptHome *script_home_of(lua_State *L) {
    return *(const ScriptHome *const *)lua_getextraspace(L);
}

lua_State *script_new(const ScriptHome *home) {
    lua_State *L = lua_newstate(allocate, NULL);
    if (!L) return NULL;
    *(const ScriptHome **)lua_getextraspace(L) = home;
    lua_atpanic(L, no_protection);
    lua_setwarnf(L, warn_piece, NULL);
    lua_pushcfunction(L, set_up);
    if (lua_pcall(L, 0, 0, 0) == LUA_OK) return L;
    lua_setwarnf(L, NULL, NULL); /* closing has no memory either, and would say so again and again */
    lua_close(L);
    return NULL;
}

const char *script_lua_version(void) {
    return LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE;
}

/* ---- running a file ------------------------------------------------------------------------------------ */

typedef struct {
    int argc;
    char **argv;
} Arguments;

/* arg[0] is the script, arg[1] its first argument, arg[-1] the command. */
static void set_arg(lua_State *L, const Arguments *arguments) {
    lua_pushglobaltable(L);
    lua_pushliteral(L, "arg");
    lua_createtable(L, arguments->argc, 2);
    for (int i = -1; i < arguments->argc; i++) {
        lua_pushstring(L, i < 0 ? "brood" : arguments->argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static void load_script(lua_State *L, const char *file) {
    if (luaL_loadfilex(L, strcmp(file, "-") == 0 ? NULL : file, "t") == LUA_OK) return;
    const char *message = lua_tostring(L, -1);
    if (strstr(message, "attempt to load a binary chunk"))
        luaL_error(L, "%s: this is compiled Lua, which is not run: give the source text", file);
    lua_error(L);
}

static int run_file(lua_State *L) {
    const Arguments *arguments = lua_touserdata(L, 1);
    set_arg(L, arguments);
    load_script(L, arguments->argv[0]);
    luaL_checkstack(L, arguments->argc + LUA_MINSTACK, "too many arguments to the script");
    for (int i = 1; i < arguments->argc; i++) lua_pushstring(L, arguments->argv[i]);
    if (script_call(L, arguments->argc - 1, 0) != LUA_OK) return lua_error(L);
    return 0;
}

ScriptHome script_home(const char *library, const char *file) {
    ScriptHome home = {.library = library};
    const char *slash = strrchr(file, '/');
    size_t length = slash ? (size_t)(slash - file) : 0;
    if (slash == file) length = 1; /* the root */
    if (length == 0 || length >= sizeof home.beside)
        strcpy(home.beside, ".");
    else
        memcpy(home.beside, file, length); /* the rest is zeros */
    return home;
}

/* The library's module argv[0], which returns a function, called with the other arguments. */
static int run_module(lua_State *L) {
    const Arguments *arguments = lua_touserdata(L, 1);
    luaL_checkstack(L, arguments->argc + LUA_MINSTACK, "too many arguments");
    lua_getglobal(L, "require");
    lua_pushstring(L, arguments->argv[0]);
    if (script_call(L, 1, 1) != LUA_OK) return lua_error(L);
    for (int i = 1; i < arguments->argc; i++) lua_pushstring(L, arguments->argv[i]);
    if (script_call(L, arguments->argc - 1, 0) != LUA_OK) return lua_error(L);
    return 0;
}

static bool run(const ScriptHome *home, lua_CFunction function, Arguments arguments) {
    lua_State *L = script_new(home);
    if (!L) {
        app_fail(EXIT_FAILED, "out of memory: Lua cannot start");
        return false;
    }
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, &arguments);
    bool fine = lua_pcall(L, 1, 0, 0) == LUA_OK;
    if (!fine) {
        const char *message = lua_tostring(L, -1);
        app_fail(EXIT_FAILED, "%s", message ? message : "an error without a message");
    }
    lua_close(L);
    return fine;
}

bool script_main(const char *library, int argc, char **argv) {
    ScriptHome home = script_home(library, argv[0]);
    return run(&home, run_file, (Arguments){argc, argv});
}

bool script_module(const char *library, const char *beside, int argc, char **argv) {
    ScriptHome home = script_home(library, beside);
    return run(&home, run_module, (Arguments){argc, argv});
}
