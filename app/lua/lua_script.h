/* The Lua state that scripts run in: which libraries there are, where modules come from, guarded globals,
 * reproducible random numbers, and errors with a traceback. */
#ifndef BROOD_APP_LUA_SCRIPT_H
#define BROOD_APP_LUA_SCRIPT_H

#include <limits.h>
#include <lua.h>
#include <stdbool.h>

/* Where a state's modules come from. Outlives the state. */
typedef struct {
    const char *library;   /* the folder that holds brood/; NULL: the library inside the program */
    char beside[PATH_MAX]; /* the script's folder */
} ScriptHome;

#define SCRIPT_RANDOM_SEED "brood.randomseed" /* in the registry: Lua's own math.randomseed */

/* Whether threads work on what Lua owns: os.exit leaves the state as it is then. Allocates nothing. */
void script_set_going(lua_State *L, bool going);

/* A home for the script `file` ("-": standard input). */
ScriptHome script_home(const char *library, const char *file);

/* A state with the libraries open. NULL: out of memory. Closed by lua_close. */
lua_State *script_new(const ScriptHome *home);

/* Calls the function below its `arguments` on the stack, as lua_pcall does, and leaves either `results`
 * values or a message with a traceback. */
int script_call(lua_State *L, int arguments, int results);

/* The script's line that the program is at, "file:line": the innermost one outside Brood's own library.
 * False, with an empty text, when there is none. */
enum { SCRIPT_LINE = LUA_IDSIZE + 24 };
bool script_line(lua_State *L, char text[SCRIPT_LINE]);

/* Raises an error that begins with script_line(). */
_Noreturn void script_error(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Searchers of `require`, in their order (lua_require.c): beside the script, along package.path, and in
 * Brood's own library, which is the home's folder or the table of embedded scripts. */
int script_search_beside(lua_State *L);
int script_search_path(lua_State *L);
int script_search_library(lua_State *L);
/* Pushes { [path from the root] = hash of the content } of all files that the first two have loaded. */
int script_modules(lua_State *L);
/* Whether a chunk's name ("@...") is one that script_search_library() gave. */
bool script_is_library(lua_State *L, const char *chunk);

/* The home that the state was made with. */
const ScriptHome *script_home_of(lua_State *L);

#endif
