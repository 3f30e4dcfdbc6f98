/* What Lua's own libraries lack to keep a run: folders, files that are written whole, other programs, clocks,
 * the terminal, and the wish of the person at the keyboard to stop. */
#include "app/lua/lua_files.h"

#include <cblas.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app/lua/lua_script.h"
#include "base/file.h"
#include "base/isa.h"
#include "base/real.h"

/* ---- folders ------------------------------------------------------------------------------------------- */

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

/* files.kind(path) → "file", "folder", "other", or nil where there is nothing */
static int kind_of(lua_State *L) {
    struct stat status;
    if (stat(binding_text(L, 1, "kind: path"), &status) != 0)
        lua_pushnil(L);
    else
        lua_pushstring(L, S_ISREG(status.st_mode) ? "file" : S_ISDIR(status.st_mode) ? "folder" : "other");
    return 1;
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_listed(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Fills the table given with the names of a scandir list. */
static int push_names(lua_State *L) {
    struct dirent **entries = lua_touserdata(L, 1);
    int count = (int)lua_tointeger(L, 2);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, entries[i]->d_name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* files.list(path) → the names in a folder, sorted */
static int list(lua_State *L) {
    const char *path = binding_text(L, 1, "list: path");
    struct dirent **entries;
    int count = scandir(path, &entries, is_listed, compare_names);
    if (count < 0) script_error(L, "cannot read the folder %s: %s", path, strerror(errno));
    lua_pushcfunction(L, push_names);
    lua_pushlightuserdata(L, entries);
    lua_pushinteger(L, count);
    int status = lua_pcall(L, 2, 1, 0); /* it may run out of memory, and the list is not Lua's */
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
    return status == LUA_OK ? 1 : lua_error(L);
}

/* files.absolute(path) → the path from the root, without links; nil where there is nothing */
static int absolute(lua_State *L) {
    char path[PATH_MAX];
    lua_pushstring(L, realpath(binding_text(L, 1, "absolute: path"), path)); /* nil for NULL */
    return 1;
}

/* ---- files --------------------------------------------------------------------------------------------- */

/* files.hash(path) */
static int hash_of_file(lua_State *L) {
    char hash[FILE_HASH];
    Error error;
    if (file_hash_at(binding_text(L, 1, "hash: path"), hash, &error)) script_error(L, "%s", error.message);
    lua_pushstring(L, hash);
    return 1;
}

/* files.save(path, text) */
static int save(lua_State *L) {
    const char *path = binding_text(L, 1, "save: path");
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    Error error;
    if (file_save(path, &(FilePiece){text, size}, 1, &error) != STATUS_OK)
        script_error(L, "%s", error.message);
    return 0;
}

/* ---- other programs ------------------------------------------------------------------------------------ */

extern char **environ;

/* files.run(list) → exit code of the program list[1] with the other elements as its arguments. No shell. */
static int run(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t count = lua_rawlen(L, 1);
    luaL_checkstack(L, (int)count + LUA_MINSTACK, "too many arguments");
    const char **words = binding_scratch(L, count + 1, sizeof *words);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        words[i] = binding_text(L, -1, "run: a word");
    }
    pid_t child;
    int status = 0, failure = posix_spawnp(&child, words[0], NULL, NULL, (char **)(uintptr_t)words, environ);
    if (failure) script_error(L, "cannot run %s: %s", words[0], strerror(failure));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 1;
}

/* ---- the wish to stop ---------------------------------------------------------------------------------- */

enum { NOTICE = 200 }; /* bytes of a text, with its final zero */

/* What is said at Ctrl-C: what will be done, how long that takes, and what the next Ctrl-C does. */
typedef struct {
    char first[NOTICE], last[NOTICE];
    double ends; /* on the clock; 0: not known */
} Notice;

static volatile sig_atomic_t interrupted;
static Notice notices[2]; /* one that holds, and one that may be written */
static atomic_int holds;

static double seconds_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void append(char *line, size_t room, const char *text) {
    size_t used = strlen(line);
    for (; *text && used + 1 < room; text++) line[used++] = *text;
    line[used] = '\0';
}

/* In a signal handler there is no snprintf. */
static void append_duration(char *line, size_t room, double seconds) {
    const char *unit = seconds < 100 ? " s" : seconds < 6000 ? " minutes" : " hours";
    int64_t number = (int64_t)(seconds / (seconds < 100 ? 1 : seconds < 6000 ? 60 : 3600) + 0.5);
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    append(line, room, ", about ");
    append(line, room, digits + at);
    append(line, room, unit);
}

/* A second signal finds the default handler, and ends the program. */
static void note_signal(int number) {
    const Notice *notice = &notices[atomic_load(&holds)];
    int error = errno;
    char line[3 * NOTICE] = "\n";
    double left = notice->ends - seconds_of(CLOCK_MONOTONIC);
    interrupted = number;
    append(line, sizeof line, notice->first);
    if (left >= 1 && left < 1e9) append_duration(line, sizeof line, left);
    append(line, sizeof line, notice->last);
    append(line, sizeof line, "\n");
    ssize_t unused = write(STDERR_FILENO, line, strlen(line));
    (void)unused;
    errno = error;
}

/* files.at_interrupt(first, last [, ends]): "FIRST, about 40 s" until `ends` on the clock of files.seconds,
 * then "LAST" */
static int at_interrupt(lua_State *L) {
    int next = !atomic_load(&holds);
    notices[next] = (Notice){.ends = luaL_optnumber(L, 3, 0)};
    append(notices[next].first, NOTICE, binding_text(L, 1, "at_interrupt: first"));
    append(notices[next].last, NOTICE, binding_text(L, 2, "at_interrupt: last"));
    atomic_store(&holds, next);
    return 0;
}

static int watch_interrupt(lua_State *L) {
    (void)L;
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return 0;
}

static int is_interrupted(lua_State *L) {
    lua_pushboolean(L, interrupted != 0);
    return 1;
}

/* ---- clocks -------------------------------------------------------------------------------------------- */

static int seconds(lua_State *L) {
    lua_pushnumber(L, seconds_of(CLOCK_MONOTONIC));
    return 1;
}

static int cpu_seconds(lua_State *L) {
    lua_pushnumber(L, seconds_of(CLOCK_PROCESS_CPUTIME_ID));
    return 1;
}

/* ---- the machine --------------------------------------------------------------------------------------- */

static int cores(lua_State *L) {
    cpu_set_t set;
    lua_pushinteger(L, sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1);
    return 1;
}

/* All that the bits of a training step depend on, apart from script and seed. */
static int machine(lua_State *L) {
    lua_pushfstring(L, "brood %s, %s loops, OpenBLAS %s, %d-bit numbers", BROOD_VERSION,
                    isa_text(isa_level()), openblas_get_corename(), (int)(8 * sizeof(real)));
    return 1;
}

/* ---- the terminal -------------------------------------------------------------------------------------- */

/* files.terminal([error]) → columns, rows of standard output or error; nil where that is no terminal */
static int terminal(lua_State *L) {
    int descriptor = binding_flag(L, 1, "terminal: error") ? STDERR_FILENO : STDOUT_FILENO;
    struct winsize size = {0};
    if (!isatty(descriptor)) {
        lua_pushnil(L);
        return 1;
    }
    bool known = ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    lua_pushinteger(L, known ? size.ws_col : 80); /* what a terminal has that does not say */
    lua_pushinteger(L, known ? size.ws_row : 24);
    return 2;
}

static const BindingFunction FUNCTIONS[] = {
    {"make_folder", "(path: string): boolean", "Makes a folder; false when there is one of this name.",
     make_folder},
    {"kind", "(path: string): string?", "'file', 'folder' or 'other'; nil where there is nothing.", kind_of},
    {"list", "(path: string): string[]", "The names in a folder, sorted.", list},
    {"absolute", "(path: string): string?", "The path from the root; nil where there is nothing.", absolute},
    {"save", "(path: string, text: string)", "Writes a file whole or not at all.", save},
    {"hash", "(path: string): string", "The hash of a file's content.", hash_of_file},
    {"run", "(words: string[]): integer", "Runs a program without a shell; its exit code.", run},
    {"watch_interrupt", "()", "From now on Ctrl-C is noted; the second one stops the program.",
     watch_interrupt},
    {"at_interrupt", "(first: string, last: string, ends?: number)",
     "What Ctrl-C is answered by: between the two texts the time until `ends`, on the clock of seconds().",
     at_interrupt},
    {"interrupted", "(): boolean", "Whether Ctrl-C has been noted.", is_interrupted},
    {"seconds", "(): number", "Seconds since some moment in the past.", seconds},
    {"cores", "(): integer", "Processor cores that the program may use.", cores},
    {"machine", "(): string", "What kind of machine this is: on another, the same steps may give other bits.",
     machine},
    {"cpu_seconds", "(): number", "Seconds of processor time that the program has used.", cpu_seconds},
    {"terminal", "(error?: boolean): integer?, integer?",
     "Columns and rows of the terminal that is standard output, or error; nil where that is none.", terminal},
    {NULL, NULL, NULL, NULL}};
const BindingModule binding_files = {"brood.files", "Folders, files, programs, clocks and the terminal.",
                                     FUNCTIONS, NULL};
