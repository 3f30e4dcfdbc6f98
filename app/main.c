/* The command line: one table of commands, options that all of them take, help, and exit codes. */
#include <cblas.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/app.h"
#include "app/names.h"
#include "base/memory.h"

/* An option of one command's own. Long, and short as well where there is a letter. */
typedef struct {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* as help calls it; NULL: it takes none */
    const char *help;
} CommandOption;

typedef struct {
    const char *name, *arguments, *summary;
    int at_least,
        at_most;        /* arguments; at_most -1: any number, and options after the first are the script's */
    const char *module; /* of the Lua library, that does the work; NULL: `run` does */
    AppCommandRun *run;
    const CommandOption *options; /* ended by one without a name; NULL: none */
    const char *details;
} Command;

static AppCommandRun help_command, lua_command, lua_types_command;

static const CommandOption RUN_OPTIONS[] = {
    {"seed", 0, "N", "the seed, whatever the script says"},
    {"steps", 0, "N", "train every member for N steps"},
    {"rounds", 0, "N", "train for N rounds"},
    {"set", 0, "NAME=VALUE",
     "change a field, as population=4, exploit.top=0.3, hyper.g_lr=2e-4; may be repeated"},
    {"control", 0, "WORD",
     "random-search, random-fitness, weights-only, hypers-only, no-explore or explore-only"},
    {"out", 'o', "DIR", "the run's directory, which is made"},
    {"from", 0, "RUN", "start with the members of another run, RUN or RUN@ROUND, or with a state file"},
    {"seeds", 0, "N", "N runs, one after the other, each with the next seed"},
    {"workers", 0, "N", "threads; as many as there are cores"},
    {NULL, 0, NULL, NULL}};
static const CommandOption RESUME_OPTIONS[] = {
    {"rounds", 0, "N", "train for N rounds more; otherwise as many as it was to have"},
    {"workers", 0, "N", "threads; their number changes nothing but the time"},
    {"whole", 0, NULL, "if states are missing or damaged, go back to the last round whose states are whole"},
    {"accept-drift", 0, NULL, "go on although this is another kind of machine, where steps give other bits"},
    {NULL, 0, NULL, NULL}};
static const CommandOption CHECK_OPTIONS[] = {
    {"set", 0, "NAME=VALUE", "change a field, as with `brood run`; may be repeated"}, {NULL, 0, NULL, NULL}};
static const CommandOption REPLAY_OPTIONS[] = {
    {"member", 0, "N", "the lineage that ends in this member; otherwise the best one's"},
    {"constant", 0, NULL, "the last values of the lineage, all the time"},
    {"seed", 0, "N", "another seed than the run's"},
    {"order", 0, NULL,
     "all of an asynchronous run, in the order of its ready moments: the same numbers again"},
    {"out", 'o', "DIR", "the new run's directory, which is made"},
    {"workers", 0, "N", "threads"},
    {NULL, 0, NULL, NULL}};
static const CommandOption GRID_OPTIONS[] = {
    {"member", 0, "N", "of this member at the end; otherwise of the one with the best score ever"},
    {"count", 'n', "N", "images in the grid, 64; strips or pairs with the other kinds of picture, 8 and 32"},
    {"output", 'o', "FILE",
     "write this file; otherwise grid.png, interpolation.png ... in the run's directory"},
    {"interpolate", 0, NULL, "strips that go from one latent vector to another"},
    {"neighbours", 0, NULL,
     "each image with the image of the data set nearest to it, by pixels, at its right"},
    {"classes", 0, NULL, "a row for each class of a conditional generator, of the same latent vectors"},
    {"class", 0, "NAME", "only this class of a conditional generator"},
    {"seed", 0, "N", "other latent vectors"},
    {"raw", 0, NULL, "by the generator as it is, not by the averaged one"},
    {NULL, 0, NULL, NULL}};
static const CommandOption WEIGHTS_OPTIONS[] = {
    {"output", 'o', "FILE", "the file to write, needed"},
    {"member", 0, "N", "of this member at the end; otherwise of the one with the best score ever"},
    {NULL, 0, NULL, NULL}};
static const CommandOption FETCH_OPTIONS[] = {
    {"from", 0, "PLACE", "a folder that holds the files, or the address that their names are put behind"},
    {NULL, 0, NULL, NULL}};

static const CommandOption CLASSIFIER_OPTIONS[] = {
    {"path", 0, "PATH", "where that data set lies; a second argument says the same"}, {NULL, 0, NULL, NULL}};
static const CommandOption SCORE_OPTIONS[] = {
    {"real", 0, "DATASET", "the data set to compare with; of a run, otherwise what it was trained on"},
    {"path", 0, "PATH", "where that data set lies"},
    {"count", 'n', "N", "use N images, at most 10000; otherwise all of a folder, 5000 of a generator"},
    {NULL, 0, NULL, NULL}};

static const CommandOption SHOW_OPTIONS[] = {
    {"schedule", 0, NULL, "print the hyperparameters along its lineage, as a Lua table that can be replayed"},
    {"member", 0, "N", "of the member that is N at the end, not of the best one there ever was"},
    {NULL, 0, NULL, NULL}};
static const CommandOption LINEAGE_OPTIONS[] = {
    {"member", 0, "N", "only the ancestors of the member that is N at the end, with their hyperparameters"},
    {"all", 0, NULL, "every branch, also of a large population's those that died out"},
    {NULL, 0, NULL, NULL}};
static const CommandOption COMPARE_OPTIONS[] = {
    {"output", 'o', "FILE", "draw this picture, otherwise compare.png"}, {NULL, 0, NULL, NULL}};
static const CommandOption EXPORT_OPTIONS[] = {
    {"csv", 0, NULL, "as one table with a column that names the table of each row"},
    {"json", 0, NULL, "as one document with a list of rows for each table"},
    {"ledger", 0, NULL, "also what script and seed do not determine: paths, CPU seconds, resumptions"},
    {NULL, 0, NULL, NULL}};

static const Command COMMANDS[] = {
    {"run", "SCRIPT", "run an experiment", 1, 1, "brood.command.run", NULL, RUN_OPTIONS,
     "The script returns brood.experiment { ... }. What becomes of it is kept in a new directory, by "
     "default\n"
     "the next free one of runs/00001-NAME, runs/00002-NAME, ...:\n"
     "  script.lua, plan.lua   the script as it was run, and what else it was begun with\n"
     "  run.db, states/        all numbers of the run, and the states of its members\n"
     "  classifiers/           those that score it\n"
     "  start.safetensors      the state that all members began with, after --from STATE\n"
     "  log.txt                what was said\n"
     "  reals.png, samples/    the data, and what is made of the same latent vectors, round after round\n"
     "  best.png, interpolation.png, neighbours.png, classes.png\n"
     "                         at the end, of the best member there ever was: what it makes, and between "
     "what;\n"
     "                         beside the nearest images of the data; class by class\n"
     "  scores.png, schedules.png, lineage.png\n"
     "                         how scores and hyperparameters went, and who descends from whom\n"
     "Ctrl-C stops after the round that is running; a second one stops at once. `brood resume` goes on."},
    {"resume", "RUN", "go on with a run, as if it had never stopped", 1, 1, "brood.command.resume", NULL,
     RESUME_OPTIONS,
     "RUN is the directory of the run. The script, and what it requires, must be what it was when the run "
     "began.\n"
     "A run that was ended before its first round was kept starts over."},
    {"replay", "RUN", "train one member by the schedule that a run has found, or make the run again", 1, 1,
     "brood.command.replay", NULL, REPLAY_OPTIONS,
     "Of a run that was begun with --from, the replay is of what it trained itself, and begins from "
     "scratch;\n"
     "with --order it begins where the run began, which must still be there."},
    {"check", "SCRIPT", "build an experiment, and print what it is made of and what a run will take", 1, 1,
     "brood.command.check", NULL, CHECK_OPTIONS, NULL},
    {"show", "RUN", "what was run, what came of it, and what it cost", 1, 1, "brood.command.show", NULL,
     SHOW_OPTIONS,
     "A script replays a schedule as `replay = require \"winner\"`, after\n"
     "  brood show RUN --schedule > winner.lua"},
    {"lineage", "RUN", "who descends from whom, as a tree", 1, 1, "brood.command.lineage", NULL,
     LINEAGE_OPTIONS, NULL},
    {"compare", "RUN...", "scores of runs at equal steps", 1, 10000, "brood.command.compare", NULL,
     COMPARE_OPTIONS,
     "Runs that differ in nothing but the seed are one arm: its mean and standard deviation are shown, and "
     "the\n"
     "differences of arms over the seeds that they share. Scores are those of the member with the best "
     "selection\n"
     "score so far."},
    {"export", "--csv|--json RUN", "print all numbers of a run, in a fixed order", 1, 1,
     "brood.command.export", NULL, EXPORT_OPTIONS,
     "Two runs of the same script and seed print the same bytes, whatever the number of workers, and however "
     "often\n"
     "they were stopped and resumed."},
    {"grid", "RUN", "draw what a run's generator makes", 1, 1, "brood.command.grid", NULL, GRID_OPTIONS,
     NULL},
    {"weights", "-o FILE RUN-OR-STATE", "write the averaged generator alone, as a safetensors file", 1, 1,
     "brood.command.weights", NULL, WEIGHTS_OPTIONS,
     "Of a run, that of the best member there ever was, or of --member. The file's facts (its metadata) "
     "tell\n"
     "where it comes from."},
    {"classifier", "DATASET", "train or show the two classifiers of a data set", 1, 2,
     "brood.command.classifier", NULL, CLASSIFIER_OPTIONS,
     "DATASET is digits, mnist, fashion_mnist, cifar10 or folder: one whose images have classes."},
    {"score", "IMAGES", "all metrics of images beside those of real ones", 1, 1, "brood.command.score", NULL,
     SCORE_OPTIONS,
     "IMAGES is a folder of PNG files, whoever made them, the directory of a run, or a state file in one:\n"
     "then the averaged generator makes the images. DATASET is digits, mnist, fashion_mnist, cifar10,\n"
     "stacked_mnist, folder, ring or grid. The classifiers that look at images are trained when they are\n"
     "needed for the first time, and kept."},
    {"fetch", "NAME", "download a data set: mnist, fashion-mnist or cifar10", 1, 1, "brood.command.fetch",
     NULL, FETCH_OPTIONS,
     "The files come from where they were published, by curl, into $XDG_DATA_HOME/brood or "
     "~/.local/share/brood.\n"
     "Only files whose sums are right are kept. Those of a folder that have no published sum, as they were\n"
     "unpacked, are kept if they can be read."},
    {"repl", "", "a prompt over the Lua library", 0, 0, "brood.command.repl", NULL, NULL,
     "Its modules are there as globals: nn, loss, data ... An expression prints its value; lines go on "
     "until\n"
     "they make sense; names that are given without `local` stay. Tab completes; the history is kept in\n"
     "$XDG_STATE_HOME/brood or ~/.local/state/brood. Ctrl-C gives a line up or ends what it does, Ctrl-D "
     "leaves.\n"
     "Lines may come from a pipe as well: `echo 1 + 1 | brood repl`."},
    {"lua", "FILE [ARGUMENT...]", "run a Lua script", 1, -1, NULL, lua_command, NULL,
     "The script finds its arguments in `arg` and in `...`, as with the plain Lua interpreter. `require` "
     "looks\n"
     "beside the script, along package.path (empty unless the script sets it), then in Brood's own library.\n"
     "FILE may be - for standard input. An error in the script ends the program with exit code 1."},
    {"lua-types", "", "print the types of the functions that are written in C, for the Lua language server",
     0, 0, NULL, lua_types_command, NULL,
     "Put the output where your editor's language server looks for libraries:\n"
     "  brood lua-types > brood-graph.lua"},
    {"doctor", "", "show what the program is built of and what this machine offers", 0, 0, NULL,
     doctor_command, NULL, NULL},
    {"help", "[COMMAND]", "show this help, or a command's", 0, 1, NULL, help_command, NULL, NULL},
};
enum { COMMAND_COUNT = sizeof COMMANDS / sizeof COMMANDS[0] };

/* ---- help ---------------------------------------------------------------------------------------------- */

static const char OPTIONS_TEXT[] =
    "  -h, --help           show help\n"
    "      --version        show the version\n"
    "      --scripts DIR    take the Lua library from DIR/brood, not from the program\n";

static void print_help(FILE *out) {
    fputs("Brood breeds populations of GANs.\n\n"
          "Usage: brood [OPTION...] COMMAND [ARGUMENT...]\n\n"
          "Commands:\n",
          out);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-11s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
    fprintf(out,
            "\nOptions:\n%s\n"
            "Exit codes:\n"
            "  %-4d all went well\n"
            "  %-4d the script or the work failed; the reason is on standard error\n"
            "  %-4d the command line makes no sense; nothing was started\n"
            "  %-4d stopped by Ctrl-C; what was done is kept\n\n"
            "`brood help COMMAND` tells more about a command.\n",
            OPTIONS_TEXT, EXIT_FINE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED);
}

static void print_usage(FILE *out, const Command *command) {
    fprintf(out, "Usage: brood %s%s%s%s\n", command->name, command->options ? " [OPTION...]" : "",
            *command->arguments ? " " : "", command->arguments);
}

static void print_options(const Command *command) {
    for (const CommandOption *option = command->options; option && option->name; option++) {
        char letter[] = "   ", name[32];
        if (option->letter) snprintf(letter, sizeof letter, "-%c,", option->letter);
        snprintf(name, sizeof name, "--%s%s%s", option->name, option->argument ? " " : "",
                 option->argument ? option->argument : "");
        printf("  %s %-16s %s\n", letter, name, option->help);
    }
}

static void print_command_help(const Command *command) {
    print_usage(stdout, command);
    printf("\n%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
    if (command->details) printf("\n%s\n", command->details);
    fputs("\nOptions:\n", stdout);
    print_options(command);
    fputs(OPTIONS_TEXT, stdout);
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

static int lua_command(const AppOptions *options, int argc, char **argv) {
    if (options->scripts && !has_library(options->scripts))
        return app_fail(EXIT_USAGE, "--scripts %s: there is no folder 'brood' in it", options->scripts);
    return script_main(options->scripts, argc - 1, argv + 1) ? EXIT_FINE : EXIT_FAILED;
}

static int lua_types_command(const AppOptions *options, int argc, char **argv) {
    (void)options, (void)argc, (void)argv;
    binding_print_types();
    return EXIT_FINE;
}

/* ---- options ------------------------------------------------------------------------------------------- */

typedef enum { GO_ON, SHOW_HELP, SHOW_VERSION, WRONG } Wish;

enum { OPTION_LIMIT = 24, OPTION_VERSION = 256, OPTION_SCRIPTS, OPTION_OWN };

/* What was given of a command's own options, in order. */
typedef struct {
    const CommandOption *option[64];
    const char *value[64]; /* NULL: it takes none */
    int count;
} GivenOptions;

/* getopt's tables: the options that all commands take, then the command's own, where there is one. */
typedef struct {
    struct option names[OPTION_LIMIT + 4];
    char letters[2 * OPTION_LIMIT + 8];
} OptionTables;

static void make_tables(const Command *command, OptionTables *tables) {
    static const struct option COMMON[] = {{"help", no_argument, NULL, 'h'},
                                           {"version", no_argument, NULL, OPTION_VERSION},
                                           {"scripts", required_argument, NULL, OPTION_SCRIPTS}};
    memcpy(tables->names, COMMON, sizeof COMMON);
    struct option *next = tables->names + sizeof COMMON / sizeof COMMON[0];
    /* Of the program's options, and of a script's, only those up to the first argument are ours. */
    char *letter = tables->letters + sprintf(tables->letters, !command || command->at_most < 0 ? "+h" : "h");
    const CommandOption *own = command ? command->options : NULL;
    for (int i = 0; own && own[i].name && i < OPTION_LIMIT; i++) {
        *next++ = (struct option){own[i].name, own[i].argument ? required_argument : no_argument, NULL,
                                  OPTION_OWN + i};
        if (own[i].letter) letter += sprintf(letter, "%c%s", own[i].letter, own[i].argument ? ":" : "");
    }
    *next = (struct option){NULL, 0, NULL, 0};
}

static const CommandOption *own_option(const Command *command, int found) {
    if (found >= OPTION_OWN) return &command->options[found - OPTION_OWN];
    for (const CommandOption *own = command ? command->options : NULL; own && own->name; own++)
        if (own->letter == found) return own;
    return NULL;
}

/* Reads the options: before a command (NULL) those at the front, after it those anywhere. The index of the
 * first argument is left in getopt's `optind`. */
static Wish read_options(const Command *command, int argc, char **argv, AppOptions *options,
                         GivenOptions *given) {
    OptionTables tables;
    make_tables(command, &tables);
    optind = 0; /* start afresh: options stand before the command and after it */
    for (int found; (found = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1;) {
        const CommandOption *own = own_option(command, found);
        if (found == 'h') return SHOW_HELP;
        if (found == OPTION_VERSION) return SHOW_VERSION;
        if (found == OPTION_SCRIPTS) {
            options->scripts = optarg;
        } else if (own && given->count < (int)(sizeof given->value / sizeof given->value[0])) {
            given->option[given->count] = own;
            given->value[given->count++] = own->argument ? optarg : NULL;
        } else {
            return WRONG; /* getopt has said why */
        }
    }
    return GO_ON;
}

/* ---- commands of the Lua library ----------------------------------------------------------------------- */

/* The module's function gets the options as "--NAME=VALUE" or "--NAME", then "--", then the arguments:
 * scripts/lib/brood/command.lua makes a table of them. `require` looks beside the script, or in the run. */
static int run_module(const Command *command, const AppOptions *options, const GivenOptions *given, int argc,
                      char **argv) {
    if (options->scripts && !has_library(options->scripts))
        return app_fail(EXIT_USAGE, "--scripts %s: there is no folder 'brood' in it", options->scripts);
    size_t room = 0;
    for (int i = 0; i < given->count; i++)
        room +=
            strlen(given->option[i]->name) + (given->value[i] ? strlen(given->value[i]) : 0) + sizeof "--=";
    char end[] = "--", beside[PATH_MAX];
    struct stat status;
    const char *first = argc > 1 ? argv[1] : "";
    bool folder = stat(first, &status) == 0 && S_ISDIR(status.st_mode); /* of a run */
    snprintf(beside, sizeof beside, "%s%s", first, folder ? "/" : "");
    char *text = memory_new(room + 1, 1);
    char **words = memory_new((size_t)(given->count + argc + 1), sizeof *words);
    bool fine = text && words;
    if (fine) {
        int count = 0;
        words[count++] = (char *)(uintptr_t)command->module;
        char *next = text;
        for (int i = 0; i < given->count; i++) {
            words[count++] = next;
            next += 1 + sprintf(next, "--%s%s%s", given->option[i]->name, given->value[i] ? "=" : "",
                                given->value[i] ? given->value[i] : "");
        }
        words[count++] = end;
        for (int i = 1; i < argc; i++) words[count++] = argv[i];
        fine = script_module(options->scripts, beside, count, words);
    } else {
        app_fail(EXIT_FAILED, "out of memory: no room for the arguments");
    }
    memory_free(text);
    memory_free(words);
    return fine ? EXIT_FINE : EXIT_FAILED;
}

/* ---- running a command --------------------------------------------------------------------------------- */

static int print_version(void) {
    puts("brood " BROOD_VERSION);
    return EXIT_FINE;
}

static int run_command(const Command *command, AppOptions *options, int argc, char **argv) {
    char name[64];
    snprintf(name, sizeof name, "brood %s", command->name); /* for getopt's messages */
    argv[0] = name;
    GivenOptions own = {.count = 0};
    Wish wish = read_options(command, argc, argv, options, &own);
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
        if (command->module) return run_module(command, options, &own, given + 1, argv + optind - 1);
        return command->run(options, given + 1, argv + optind - 1);
    }
    if (wish == GO_ON)
        app_fail(EXIT_USAGE, given ? "%s: too many arguments" : "%s: an argument is missing", command->name);
    print_usage(stderr, command);
    return EXIT_USAGE;
}

static int run(int argc, char **argv) {
    AppOptions options = {0};
    switch (read_options(NULL, argc, argv, &options, NULL)) {
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
    /* A file that grows over the limit shall be a failure that is told, not a signal that kills. */
    signal(SIGXFSZ, SIG_IGN);
    int code = run(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_FINE)
        return app_fail(EXIT_FAILED, "cannot write to standard output: is the disk full?");
    return code;
}
