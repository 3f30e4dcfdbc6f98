/* Populations of toys that are kept in a directory, for tests of the store. */
#ifndef BROOD_TESTS_PBT_KEPT_H
#define BROOD_TESTS_PBT_KEPT_H

#include <signal.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/pbt/toy_run.h"

#include <dirent.h>

enum { MEMBERS = 6, ROUNDS = 12 };

/* What the schedule remembers, as a script's run.state would. */
typedef struct {
    ToyWorld world;
    PbtKind kind;
    PbtOptions options;
    char directory[256], memory[64];
    int64_t adds, asked;
} Bench;

static inline Status remember(void *context, const void **bytes, size_t *size, Error *error) {
    Bench *bench = context;
    (void)error;
    snprintf(bench->memory, sizeof bench->memory, "%lld adds", (long long)bench->adds);
    *bytes = bench->memory;
    *size = strlen(bench->memory) + 1;
    return STATUS_OK;
}

static inline Status schedule(void *context, PbtRun *run, Error *error) {
    Bench *bench = context;
    PbtExplore both = pbt_explore_default();
    PbtExploit tournament = {.kind = PBT_TOURNAMENT};
    both.resample = 0.25;
    switch (pbt_run_round(run)) {
    case 3: return pbt_run_pin(run, 1, error);
    case 4: return pbt_run_set_explore(run, &both, error);
    case 5: bench->adds++; return pbt_run_add(run, 1, error);
    case 6: return pbt_run_set_interval(run, 3, error);
    case 7: return pbt_run_drop(run, 2, error);
    case 8: return pbt_run_fork(run, 0, 3, error);
    case 9: return pbt_run_set_exploit(run, &tournament, error);
    default: return STATUS_OK;
    }
}

static inline void set_up(Bench *bench, uint64_t seed) {
    *bench = (Bench){.world = toy_world()};
    bench->world.noise = bench->world.score_noise = 0.02;
    bench->world.fail_slot = 4, bench->world.fail_from = 17, bench->world.fail_until = 19;
    bench->kind = toy_kind(&bench->world);
    bench->options = toy_options(&bench->kind, MEMBERS, seed);
    bench->options.directory = bench->directory;
    bench->options.callbacks.context = bench;
    bench->options.callbacks.schedule = schedule;
    bench->options.callbacks.remember = remember;
    toy_directory(bench->directory);
}

static inline void tear_down(Bench *bench) {
    toy_remove(bench->directory);
    assert_int_equal(atomic_load(&bench->world.live), 0);
}

static inline void recall(Bench *bench, const PbtRun *run) {
    size_t size;
    const char *memory = pbt_run_memory(run, &size);
    long long adds = 0;
    if (size > 0) assert_int_equal(sscanf(memory, "%lld adds", &adds), 1);
    bench->adds = adds;
}

static inline void run_new(Bench *bench, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    assert_ok(pbt_run_new(&run, &bench->options, &toy_error));
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    pbt_run_free(run);
}

static inline void run_resumed(Bench *bench, bool whole, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    assert_ok(pbt_run_resume(&run, &bench->options, whole, &toy_error));
    recall(bench, run);
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    assert_int_equal(pbt_run_round(run), rounds);
    pbt_run_free(run);
}

static inline void assert_same_run(Bench *bench, const char *expected) {
    char *found = toy_export(bench->directory, false);
    assert_string_equal(found, expected);
    memory_free(found);
}

static inline char *uninterrupted(uint64_t seed, int64_t rounds) {
    Bench bench;
    set_up(&bench, seed);
    run_new(&bench, rounds);
    char *text = toy_export(bench.directory, false);
    tear_down(&bench);
    return text;
}

static inline void in_database(const Bench *bench, const char *sql) {
    char path[300];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/run.db", bench->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

#endif
