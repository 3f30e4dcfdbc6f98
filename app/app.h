/* The program `brood`: what its commands share. Only this folder prints or exits. */
#ifndef BROOD_APP_APP_H
#define BROOD_APP_APP_H

#include <stdbool.h>

/* Exit codes. `brood --help` lists them. */
enum {
    EXIT_FINE = 0,         /* all went well */
    EXIT_FAILED = 1,       /* the script or the work failed; the reason is on standard error */
    EXIT_USAGE = 2,        /* the command line makes no sense; nothing was started */
    EXIT_INTERRUPTED = 130 /* stopped by Ctrl-C; what was done is kept */
};

/* Options that every command takes. */
typedef struct {
    const char *scripts; /* --scripts: a folder to take the Lua library from; NULL: the embedded one */
} AppOptions;

/* A command's work. argv[0] is the command's name, and the arguments follow, options taken out.
 * Returns an exit code. */
typedef int AppCommandRun(const AppOptions *options, int argc, char **argv);

/* Prints "brood: MESSAGE" on standard error. Returns `code`, so that a command can end with
 * `return app_fail(EXIT_FAILED, ...)`. */
int app_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

AppCommandRun doctor_command; /* doctor.c */

/* Runs the Lua script argv[0] ("-": standard input) with the arguments that follow. The library comes from
 * the folder `library`, or, NULL, from the program. Errors go to standard error. Returns whether the script
 * ran to its end. (lua/lua_script.c) */
bool script_main(const char *library, int argc, char **argv);
/* Calls the function that the library's module argv[0] returns, with the arguments that follow; `require`
 * looks beside the script `beside` first. (lua/lua_script.c) */
bool script_module(const char *library, const char *beside, int argc, char **argv);
const char *script_lua_version(void); /* "5.4.4" (lua/lua_script.c) */
/* Prints the types of the Lua functions that are written in C, as a definition file. (lua/lua_binding.c) */
void binding_print_types(void);

#endif
