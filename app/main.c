/* The command line: one table of commands, options that all of them take, help, and exit codes. */
#include <cblas.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/app.h"
#include "app/names.h"

typedef struct {
    const char *name, *arguments, *summary;
    int at_least, at_most; /* arguments; at_most -1: any number */
    AppCommandRun *run;
    const char *details;
} Command;

static AppCommandRun help_command, run_experiment, check_experiment, lua_command, lua_stubs_command;

static const Command COMMANDS[] = {
    {"run", "SCRIPT [DIRECTORY]", "run an experiment", 1, 2, run_experiment,
     "The script returns brood.experiment { ... }. What becomes of it is kept in the directory, by default the\n"
     "next free one of runs/00001-NAME, runs/00002-NAME, ...: a log, pictures of the data and of what the generator\n"
     "makes of the same latent vectors, round after round."},
    {"check", "SCRIPT", "build an experiment, and print what it is made of, without training", 1, 1, check_experiment, NULL},
    {"lua", "FILE [ARGUMENT...]", "run a Lua script", 1, -1, lua_command,
     "The script finds its arguments in `arg` and in `...`, as with the plain Lua interpreter. `require` "
     "looks\n"
     "beside the script, along package.path (empty unless the script sets it), then in Brood's own library.\n"
     "FILE may be - for standard input. An error in the script ends the program with exit code 1."},
    {"lua-stubs", "", "print the Lua functions as a stub file for the Lua language server", 0, 0,
     lua_stubs_command,
     "Put the output where your editor's language server looks for libraries:\n"
     "  brood lua-stubs > brood-graph.lua"},
    {"doctor", "", "show what the program is built of and what this machine offers", 0, 0, doctor_command,
     NULL},
    {"help", "[COMMAND]", "show this help, or a command's", 0, 1, help_command, NULL},
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

/* ---- help ---------------------------------------------------------------------------------------------- */

static const char OPTIONS_TEXT[] =
    "Options:\n"
    "  -h, --help         show help\n"
    "      --version      show the version\n"
    "      --scripts DIR  take the Lua library from DIR/brood, not from the program\n";

static void print_help(FILE *out) {
    fputs("Brood breeds populations of GANs.\n\n"
          "Usage: brood [OPTION...] COMMAND [ARGUMENT...]\n\n"
          "Commands:\n",
          out);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-11s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
    fprintf(out,
            "\n%s\n"
            "Exit codes:\n"
            "  %d  all went well\n"
            "  %d  the script or the work failed; the reason is on standard error\n"
            "  %d  the command line makes no sense; nothing was started\n\n"
            "`brood help COMMAND` tells more about a command.\n",
            OPTIONS_TEXT, EXIT_FINE, EXIT_FAILED, EXIT_USAGE);
}

static void print_usage(FILE *out, const Command *command) {
    fprintf(out, "Usage: brood %s%s%s\n", command->name, *command->arguments ? " " : "", command->arguments);
}

static void print_command_help(const Command *command) {
    print_usage(stdout, command);
    printf("\n%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
    if (command->details) printf("\n%s\n", command->details);
    printf("\n%s", OPTIONS_TEXT);
}

static const Command *find_command(const char *name) {
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(COMMANDS[i].name, name) == 0) return &COMMANDS[i];
    return NULL;
}

static int unknown_command(const char *name) {
    NameSearch search;
    names_start(&search, name);
    for (int i = 0; i < COMMAND_COUNT; i++) names_offer(&search, COMMANDS[i].name);
    const char *near = names_best(&search);
    if (near) return app_fail(EXIT_USAGE, "there is no command '%s': did you mean '%s'?", name, near);
    return app_fail(EXIT_USAGE, "there is no command '%s': `brood --help` lists them", name);
}

static int help_command(const AppOptions *options, int argc, char **argv) {
    (void)options;
    const Command *command = argc > 1 ? find_command(argv[1]) : NULL;
    if (argc > 1 && !command) return unknown_command(argv[1]);
    if (command)
        print_command_help(command);
    else
        print_help(stdout);
    return EXIT_FINE;
}

/* ---- Lua ----------------------------------------------------------------------------------------------- */

static bool has_library(const char *folder) {
    char path[PATH_MAX];
    struct stat status;
    int used = snprintf(path, sizeof path, "%s/brood", folder);
    return used > 0 && used < (int)sizeof path && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The commands that work on an experiment are functions of the Lua library. */
static int module_command(const AppOptions *options, const char *module, int argc, char **argv) {
    if (options->scripts && !has_library(options->scripts))
        return app_fail(EXIT_USAGE, "--scripts %s: there is no folder 'brood' in it", options->scripts);
    argv[0] = (char *)module;
    return script_module(options->scripts, argv[1], argc, argv) ? EXIT_FINE : EXIT_FAILED;
}

static int run_experiment(const AppOptions *options, int argc, char **argv) {
    return module_command(options, "brood.command_run", argc, argv);
}

static int check_experiment(const AppOptions *options, int argc, char **argv) {
    return module_command(options, "brood.command_check", argc, argv);
}

static int lua_command(const AppOptions *options, int argc, char **argv) {
    if (options->scripts && !has_library(options->scripts))
        return app_fail(EXIT_USAGE, "--scripts %s: there is no folder 'brood' in it", options->scripts);
    return script_main(options->scripts, argc - 1, argv + 1) ? EXIT_FINE : EXIT_FAILED;
}

static int lua_stubs_command(const AppOptions *options, int argc, char **argv) {
    (void)options, (void)argc, (void)argv;
    binding_print_stubs();
    return EXIT_FINE;
}

/* ---- options ------------------------------------------------------------------------------------------- */

typedef enum { GO_ON, SHOW_HELP, SHOW_VERSION, WRONG } Wish;

/* Reads the options at the front of argv, up to the first argument, whose index is left in getopt's `optind`.
 */
static Wish read_options(int argc, char **argv, AppOptions *options) {
    enum { OPTION_VERSION = 256, OPTION_SCRIPTS };
    static const struct option LONG_OPTIONS[] = {{"help", no_argument, NULL, 'h'},
                                                 {"version", no_argument, NULL, OPTION_VERSION},
                                                 {"scripts", required_argument, NULL, OPTION_SCRIPTS},
                                                 {NULL, 0, NULL, 0}};
    optind = 0; /* start afresh: options stand before the command and after it */
    for (int option; (option = getopt_long(argc, argv, "+h", LONG_OPTIONS, NULL)) != -1;) switch (option) {
        case 'h': return SHOW_HELP;
        case OPTION_VERSION: return SHOW_VERSION;
        case OPTION_SCRIPTS: options->scripts = optarg; break;
        default: return WRONG; /* getopt has said why */
        }
    return GO_ON;
}

static int print_version(void) {
    puts("brood " BROOD_VERSION);
    return EXIT_FINE;
}

static int run_command(const Command *command, AppOptions *options, int argc, char **argv) {
    char name[64];
    snprintf(name, sizeof name, "brood %s", command->name); /* for getopt's messages */
    argv[0] = name;
    Wish wish = read_options(argc, argv, options);
    argv[0] = (char *)command->name;
    if (wish == SHOW_VERSION) return print_version();
    if (wish == SHOW_HELP) {
        print_command_help(command);
        return EXIT_FINE;
    }
    int given = argc - optind;
    bool fits = given >= command->at_least && (command->at_most < 0 || given <= command->at_most);
    if (wish == GO_ON && fits) {
        argv[optind - 1] = (char *)command->name; /* what stood there has been read */
        return command->run(options, given + 1, argv + optind - 1);
    }
    if (wish == GO_ON)
        app_fail(EXIT_USAGE, given ? "%s: too many arguments" : "%s: an argument is missing", command->name);
    print_usage(stderr, command);
    return EXIT_USAGE;
}

static int run(int argc, char **argv) {
    AppOptions options = {0};
    switch (read_options(argc, argv, &options)) {
    case SHOW_HELP: print_help(stdout); return EXIT_FINE;
    case SHOW_VERSION: return print_version();
    case WRONG: fputs("`brood --help` shows the options\n", stderr); return EXIT_USAGE;
    case GO_ON: break;
    }
    if (optind >= argc) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const Command *command = find_command(argv[optind]);
    return command ? run_command(command, &options, argc - optind, argv + optind)
                   : unknown_command(argv[optind]);
}

int main(int argc, char **argv) {
    /* A worker is one thread: OpenBLAS's own threads would fight with the others over the cores. */
    openblas_set_num_threads(1);
    int code = run(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_FINE)
        return app_fail(EXIT_FAILED, "cannot write to standard output: is the disk full?");
    return code;
}
