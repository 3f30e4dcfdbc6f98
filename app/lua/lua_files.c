/* What Lua's own libraries lack to keep a run: folders, clocks. */
#include "app/lua/lua_files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "app/lua/lua_script.h"

/* files.make_folder(path) → true when it is new; false when there is one already */
static int make_folder(lua_State *L) {
    const char *path = binding_text(L, 1, "make_folder: path");
    if (mkdir(path, 0777) == 0)
        lua_pushboolean(L, true);
    else if (errno == EEXIST)
        lua_pushboolean(L, false);
    else
        script_error(L, "cannot make the folder %s: %s", path, strerror(errno));
    return 1;
}

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int seconds(lua_State *L) {
    lua_pushnumber(L, seconds_of(CLOCK_MONOTONIC));
    return 1;
}

static int cpu_seconds(lua_State *L) {
    lua_pushnumber(L, seconds_of(CLOCK_PROCESS_CPUTIME_ID));
    return 1;
}

static const BindingFunction FUNCTIONS[] = {
    {"make_folder", "(path: string): boolean", "Makes a folder; false when there is one of this name.", make_folder},
    {"seconds", "(): number", "Seconds since some moment in the past.", seconds},
    {"cpu_seconds", "(): number", "Seconds of processor time that the program has used.", cpu_seconds},
    {NULL, NULL, NULL, NULL}};
const BindingModule binding_files = {"brood.files", "Folders and clocks.", FUNCTIONS, NULL};
