/* Programs as members in tests: the interpreter, kinds over the toy and its rogues, and that nothing is left
 * behind. */
#ifndef BROOD_TESTS_MEMBERS_BENCH_H
#define BROOD_TESTS_MEMBERS_BENCH_H

#include "tests/pbt/toy_run.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "app/members/program.h"

enum { BENCH_WORDS = 64 };

typedef struct {
    const char *command[BENCH_WORDS];
    char directory[256];
    ProgramOptions program;
    ProgramKind *kind;
    PbtOptions options;
} Bench;

/* The interpreter itself, which starts faster than what may stand for it in PATH. */
static const char *bench_python(void) {
    static char path[FILE_PATH_LIMIT];
    if (*path) return path;
    FILE *pipe = popen("python3 -c 'import sys; print(sys.executable)'", "re");
    assert_non_null(pipe);
    assert_non_null(fgets(path, sizeof path, pipe));
    assert_int_equal(pclose(pipe), 0);
    path[strcspn(path, "\n")] = '\0';
    return path;
}

/* A population of `n`, in rounds of four steps, of `python -SB SCRIPT`, with an argument or without; no kind
 * is made yet. */
static inline void bench_set_up(Bench *bench, size_t n, uint64_t seed, const char *script,
                                const char *argument) {
    *bench = (Bench){.command = {bench_python(), "-SB", script, argument}};
    toy_directory(bench->directory);
    bench->program = (ProgramOptions){.command = bench->command,
                                      .time_limit = 20,
                                      .folder = bench->directory,
                                      .space = {TOY_LOG_HYPERS, 2},
                                      .reports = TOY_REPORTS,
                                      .report_count = 1};
    bench->options = toy_options(NULL, n, seed);
    bench->options.directory = bench->directory;
}

static inline void bench_make(Bench *bench) {
    assert_ok(program_kind_new(&bench->kind, &bench->program, &toy_error));
    bench->options.kind = program_kind(bench->kind);
}

/* No member may be left: neither as a process, nor as one that nobody has waited for. */
static inline void bench_tear_down(Bench *bench) {
    program_kind_free(bench->kind);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    toy_remove(bench->directory);
}

static inline void bench_run(Bench *bench, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    assert_ok(pbt_run_new(&run, &bench->options, &toy_error));
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    pbt_run_free(run);
}

static inline size_t bench_descriptors(void) {
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static inline double bench_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
