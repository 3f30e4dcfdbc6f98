/* What a prompt needs that Lua's own libraries lack: lines that can be edited, with history and completion
 * (by libedit), names inside of guarded values, and calls that Ctrl-C ends. */
#include "app/lua/lua_terminal.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "app/lua/lua_script.h"
#include "base/memory.h"

/* ---- a prompt ------------------------------------------------------------------------------------------ */

enum { HISTORY_LINES = 1000 };
static const char CLASS[] = "brood.Prompt";

typedef struct {
    EditLine *line;
    History *history;
    char *file;       /* of the history */
    lua_State *L;     /* while a line is read */
    const char *text; /* what stands before the line */
    bool cancelled;   /* by Ctrl-C */
} Prompt;

static Prompt *prompt_of(EditLine *line) {
    Prompt *prompt = NULL;
    el_get(line, EL_CLIENTDATA, &prompt);
    return prompt;
}

static char *prompt_text(EditLine *line) {
    return (char *)(uintptr_t)prompt_of(line)->text;
}

static unsigned char cancel_line(EditLine *line, int key) {
    (void)key;
    prompt_of(line)->cancelled = true;
    return CC_EOF;
}

/* ---- completion ---------------------------------------------------------------------------------------- */

/* Pushes what the function given to read makes of the text before the cursor: the candidates, and how many
 * bytes of them are there already. False: there are none. */
static bool ask_candidates(lua_State *L, const LineInfo *info) {
    enum { COMPLETE = 3 }; /* argument of read */
    lua_pushvalue(L, COMPLETE);
    lua_pushlstring(L, info->buffer, (size_t)(info->cursor - info->buffer));
    return lua_pcall(L, 1, 2, 0) == LUA_OK && lua_istable(L, -2) && lua_rawlen(L, -2) > 0;
}

/* The i-th candidate of the table at `index`, which keeps it alive; "" where it is no text. */
static const char *candidate(lua_State *L, int index, lua_Unsigned i) {
    const char *text = lua_rawgeti(L, index, (lua_Integer)i) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    lua_pop(L, 1);
    return text;
}

/* How long the beginning is that all candidates share. */
static size_t shared_length(lua_State *L, int list, lua_Unsigned count) {
    const char *first = candidate(L, list, 1);
    size_t length = strlen(first);
    for (lua_Unsigned i = 2; i <= count; i++) {
        const char *other = candidate(L, list, i);
        size_t same = 0;
        while (same < length && first[same] == other[same]) same++;
        length = same;
    }
    return length;
}

static void print_candidates(lua_State *L, int list, lua_Unsigned count, int columns) {
    enum { GAP = 2 };
    size_t width = GAP;
    for (lua_Unsigned i = 1; i <= count; i++) {
        size_t length = strlen(candidate(L, list, i)) + GAP;
        if (length > width) width = length;
    }
    lua_Unsigned across = (lua_Unsigned)columns > width ? (lua_Unsigned)columns / width : 1;
    lua_Unsigned rows = (count + across - 1) / across;
    putchar('\n');
    for (lua_Unsigned row = 0; row < rows; row++) {
        for (lua_Unsigned i = row + 1; i <= count; i += rows)
            printf("%-*s", i + rows <= count ? (int)width : 0, candidate(L, list, i));
        putchar('\n');
    }
    fflush(stdout);
}

static unsigned char insert(EditLine *line, const char *text, size_t length) {
    char piece[256];
    if (length == 0 || length >= sizeof piece) return CC_REFRESH;
    memcpy(piece, text, length);
    piece[length] = '\0';
    return el_insertstr(line, piece) == 0 ? CC_REFRESH : CC_ERROR;
}

static unsigned char complete_with(EditLine *line, lua_State *L, int list) {
    lua_Unsigned count = lua_rawlen(L, list);
    size_t there = (size_t)lua_tointeger(L, list + 1), shared = shared_length(L, list, count);
    if (shared > there) return insert(line, candidate(L, list, 1) + there, shared - there);
    if (count == 1) return CC_NORM;
    int columns = 80;
    el_get(line, EL_GETTC, "co", &columns);
    print_candidates(L, list, count, columns);
    return CC_REDISPLAY;
}

/* Tab. Where nothing stands before the cursor, it indents. */
static unsigned char complete(EditLine *line, int key) {
    (void)key;
    lua_State *L = prompt_of(line)->L;
    const LineInfo *info = el_line(line);
    if ((size_t)(info->cursor - info->buffer) == strspn(info->buffer, " ")) return insert(line, "    ", 4);
    int top = lua_gettop(L);
    unsigned char what = CC_ERROR;
    if (lua_checkstack(L, LUA_MINSTACK) && ask_candidates(L, info)) what = complete_with(line, L, top + 1);
    lua_settop(L, top);
    return what;
}

/* ---- the prompt's life --------------------------------------------------------------------------------- */

static int free_prompt(lua_State *L) {
    Prompt *prompt = luaL_checkudata(L, 1, CLASS);
    if (prompt->history) history_end(prompt->history);
    if (prompt->line) el_end(prompt->line);
    memory_free(prompt->file);
    *prompt = (Prompt){.line = NULL};
    return 0;
}

static void set_up_line(EditLine *line) {
    el_set(line, EL_EDITOR, "emacs");
    el_set(line, EL_SIGNAL, 1); /* the window's size, being put aside */
    el_set(line, EL_PROMPT, prompt_text);
    el_set(line, EL_ADDFN, "brood-cancel", "Gives the line up", cancel_line);
    el_set(line, EL_ADDFN, "brood-complete", "Completes a name", complete);
    el_set(line, EL_BIND, "^C", "brood-cancel", NULL);
    el_set(line, EL_BIND, "^I", "brood-complete", NULL);
    el_set(line, EL_BIND, "^R", "em-inc-search-prev", NULL);
}

/* terminal.prompt(history) → brood.Prompt */
static int new_prompt(lua_State *L) {
    const char *file = binding_text(L, 1, "terminal.prompt: history");
    Prompt *prompt = lua_newuserdatauv(L, sizeof *prompt, 0);
    *prompt = (Prompt){.text = ""};
    luaL_setmetatable(L, CLASS);
    setlocale(LC_CTYPE, ""); /* how many columns a letter has */
    prompt->file = memory_string(file);
    prompt->line = el_init("brood", stdin, stdout, stderr);
    prompt->history = history_init();
    if (!prompt->file || !prompt->line || !prompt->history) script_error(L, "out of memory: no prompt");
    HistEvent event;
    history(prompt->history, &event, H_SETSIZE, HISTORY_LINES);
    history(prompt->history, &event, H_SETUNIQUE, 1);
    history(prompt->history, &event, H_LOAD, file);
    el_set(prompt->line, EL_CLIENTDATA, prompt);
    el_set(prompt->line, EL_HIST, history, prompt->history);
    set_up_line(prompt->line);
    return 1;
}

static Prompt *open_prompt(lua_State *L) {
    Prompt *prompt = luaL_checkudata(L, 1, CLASS);
    if (!prompt->line) script_error(L, "the prompt is closed");
    return prompt;
}

/* A line from the editor, while which Ctrl-C comes as a key and not as a signal. */
static const char *edit_line(Prompt *prompt, int *length) {
    struct termios before, now;
    bool known = tcgetattr(STDIN_FILENO, &before) == 0;
    now = before;
    now.c_cc[VINTR] = _POSIX_VDISABLE;
    if (known) tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
    const char *line = el_gets(prompt->line, length);
    if (known) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return line;
}

/* prompt:read(text, complete) → a line without its end; false after Ctrl-C; nil at the end */
static int read_line(lua_State *L) {
    Prompt *prompt = open_prompt(L);
    prompt->text = binding_text(L, 2, "prompt:read: text");
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    prompt->L = L;
    prompt->cancelled = false;
    int length = 0;
    const char *line = edit_line(prompt, &length);
    prompt->L = NULL;
    prompt->text = "";
    if (prompt->cancelled) {
        el_reset(prompt->line);
        puts("^C");
        lua_pushboolean(L, false);
    } else if (!line || length <= 0) {
        puts("");
        lua_pushnil(L);
    } else {
        lua_pushlstring(L, line, (size_t)length - (line[length - 1] == '\n'));
    }
    return 1;
}

/* prompt:remember(line) → whether the history could be written */
static int remember(lua_State *L) {
    Prompt *prompt = open_prompt(L);
    HistEvent event;
    history(prompt->history, &event, H_ENTER, binding_text(L, 2, "prompt:remember: line"));
    lua_pushboolean(L, history(prompt->history, &event, H_SAVE, prompt->file) >= 0);
    return 1;
}

/* ---- names inside of values ---------------------------------------------------------------------------- */

/* Pushes the table that names of the value on top come from when it has none itself, be it guarded (binding's
 * classes: the table is the function's first upvalue) or not; false, with nothing pushed, where there is
 * none. */
static bool push_inherited(lua_State *L) {
    if (!lua_getmetatable(L, -1)) return false;
    lua_pushliteral(L, "__index");
    lua_rawget(L, -2);
    lua_remove(L, -2);
    if (lua_iscfunction(L, -1) && lua_getupvalue(L, -1, 1)) lua_remove(L, -2);
    if (lua_istable(L, -1)) return true;
    lua_pop(L, 1);
    return false;
}

enum { DEPTH = 8 }; /* of inheritance */

/* terminal.names(value) → what may stand behind a dot, in no order, some twice */
static int names_of(lua_State *L) {
    lua_settop(L, 1);
    lua_newtable(L);
    lua_insert(L, 1);
    lua_Integer count = 0;
    bool more = lua_istable(L, 2) || push_inherited(L);
    for (int depth = 0; more && depth < DEPTH; depth++) {
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            lua_pop(L, 1);
            if (lua_type(L, -1) != LUA_TSTRING) continue;
            lua_pushvalue(L, -1);
            lua_rawseti(L, 1, ++count);
        }
        more = push_inherited(L);
    }
    lua_settop(L, 1);
    return 1;
}

/* terminal.member(value, name) → what is called so in it, without any of the script's functions being called
 */
static int member_of(lua_State *L) {
    lua_settop(L, 2);
    lua_insert(L, 1);
    bool more = lua_istable(L, 2) || push_inherited(L);
    for (int depth = 0; more && depth < DEPTH; depth++) {
        lua_pushvalue(L, 1);
        if (lua_rawget(L, -2) != LUA_TNIL) return 1;
        lua_pop(L, 1);
        more = push_inherited(L);
    }
    lua_pushnil(L);
    return 1;
}

/* ---- calls that Ctrl-C ends ---------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

/* A second signal finds the default handler: what does not come back to Lua is ended with the program. */
static void note_signal(int number) {
    interrupted = number;
}

static void stop_if_interrupted(lua_State *L, lua_Debug *unused) {
    (void)unused;
    if (interrupted) luaL_error(L, "interrupted"); /* again and again: nobody is to catch it on the way */
}

bool terminal_interrupted(void) {
    return interrupted != 0;
}

/* terminal.call(f) → true and f's results, or false and a message with a traceback */
static int call(lua_State *L) {
    enum { INSTRUCTIONS = 1000 }; /* between two looks at the flag */
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART}, before;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    interrupted = 0;
    lua_sethook(L, stop_if_interrupted, LUA_MASKCOUNT, INSTRUCTIONS);
    sigaction(SIGINT, &action, &before);
    bool fine = script_call(L, 0, LUA_MULTRET) == LUA_OK;
    sigaction(SIGINT, &before, NULL);
    lua_sethook(L, NULL, 0, 0);
    interrupted = 0;
    fflush(stdout);
    lua_pushboolean(L, fine);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* Scripts may not give values to globals that are not there; lines at a prompt may. */
static int open_globals(lua_State *L) {
    lua_pushglobaltable(L);
    if (!lua_getmetatable(L, -1)) return 0;
    lua_pushnil(L);
    lua_setfield(L, -2, "__newindex");
    return 0;
}

static int is_interactive(lua_State *L) {
    lua_pushboolean(L, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
    return 1;
}

/* ---- the module ---------------------------------------------------------------------------------------- */

static const BindingFunction METHODS[] = {
    {"read", "(text: string, complete: fun(before: string): string[], integer): string|false|nil",
     "A line; false after Ctrl-C, nil at the end. complete gives names, and how much of them is there "
     "already.",
     read_line},
    {"remember", "(line: string): boolean", "Puts a line into the history; false: it could not be written.",
     remember},
    {"close", "()", "Frees what it holds, at once.", free_prompt},
    {NULL, NULL, NULL, NULL}};
static const luaL_Reg METAMETHODS[] = {{"__gc", free_prompt}, {"__close", free_prompt}, {NULL, NULL}};
static const BindingClass prompt_class = {CLASS, "Reads lines that can be edited.", NULL, METHODS,
                                          METAMETHODS};

static const BindingFunction FUNCTIONS[] = {
    {"interactive", "(): boolean", "Whether a person is at the keyboard.", is_interactive},
    {"prompt", "(history: string): brood.Prompt", "A prompt that keeps its history in a file.", new_prompt},
    {"names", "(value: any): string[]", "The names in a value, its class's too.", names_of},
    {"member", "(value: any, name: string): any", "What is called so in a value, or nil.", member_of},
    {"call", "(f: fun(): any): boolean, any",
     "f's results, or a message with a traceback; Ctrl-C ends the call.", call},
    {"open_globals", "()", "From now on new globals may be made.", open_globals},
    {NULL, NULL, NULL, NULL}};

static const BindingClass *const CLASSES[] = {&prompt_class, NULL};
const BindingModule binding_terminal = {"brood.terminal", "The person at the keyboard.", FUNCTIONS, CLASSES};
