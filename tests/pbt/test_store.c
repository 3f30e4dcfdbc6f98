/* The run store: a run that is killed and resumed is the run that was not; damage is named; nothing needed is
 * ever removed, and nothing else is kept. */
#include <fcntl.h>
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

static Status remember(void *context, const void **bytes, size_t *size, Error *error) {
    Bench *bench = context;
    (void)error;
    snprintf(bench->memory, sizeof bench->memory, "%lld adds", (long long)bench->adds);
    *bytes = bench->memory;
    *size = strlen(bench->memory) + 1;
    return STATUS_OK;
}

static Status schedule(void *context, PbtRun *run, Error *error) {
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

static void set_up(Bench *bench, uint64_t seed) {
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

static void tear_down(Bench *bench) {
    toy_remove(bench->directory);
    assert_int_equal(atomic_load(&bench->world.live), 0);
}

static void recall(Bench *bench, const PbtRun *run) {
    size_t size;
    const char *memory = pbt_run_memory(run, &size);
    long long adds = 0;
    if (size > 0) assert_int_equal(sscanf(memory, "%lld adds", &adds), 1);
    bench->adds = adds;
}

static void run_new(Bench *bench, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    assert_ok(pbt_run_new(&run, &bench->options, &toy_error));
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    pbt_run_free(run);
}

static void run_resumed(Bench *bench, bool whole, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    assert_ok(pbt_run_resume(&run, &bench->options, whole, &toy_error));
    recall(bench, run);
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    assert_int_equal(pbt_run_round(run), rounds);
    pbt_run_free(run);
}

static void assert_same_run(Bench *bench, const char *expected) {
    char *found = toy_export(bench->directory, false);
    assert_string_equal(found, expected);
    memory_free(found);
}

static char *uninterrupted(uint64_t seed, int64_t rounds) {
    Bench bench;
    set_up(&bench, seed);
    run_new(&bench, rounds);
    char *text = toy_export(bench.directory, false);
    tear_down(&bench);
    return text;
}

/* ---- resuming ------------------------------------------------------------------------------------------ */

static char *stopped_after(int64_t stop, const PbtExploit *exploit) {
    Bench bench;
    set_up(&bench, 1);
    bench.options.exploit = *exploit;
    run_new(&bench, stop);
    bench.options.workers = 1 + (size_t)stop % 3;
    bench.adds = -1;
    run_resumed(&bench, false, ROUNDS);
    assert_int_equal(bench.adds, 1);
    char *text = toy_export(bench.directory, false);
    tear_down(&bench);
    return text;
}

static void test_resume_everywhere(void **state) {
    (void)state;
    const PbtExploit rules[] = {pbt_exploit_default(), {.kind = PBT_TTEST, .window = 3, .level = 0.7}};
    for (size_t rule = 0; rule < 2; rule++) {
        char *expected = stopped_after(ROUNDS, &rules[rule]);
        for (int64_t stop = 0; stop < ROUNDS; stop++) {
            char *found = stopped_after(stop, &rules[rule]);
            assert_string_equal(found, expected);
            memory_free(found);
        }
        memory_free(expected);
    }
}

static void test_finished(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 1);
    run_new(&bench, 4);
    assert_ok(pbt_run_resume(&run, &bench.options, false, &toy_error));
    assert_ok(pbt_run_rounds(run, 4, &end, &toy_error)); /* says so */
    assert_int_equal(end, PBT_FINISHED);
    assert_int_equal(pbt_run_round(run), 4);
    pbt_run_free(run);
    assert_refused(pbt_run_new(&run, &bench.options, &toy_error), STATUS_INVALID,
                   "there is a run in it already");
    tear_down(&bench);
}

static void test_never_begun(void **state) {
    (void)state;
    Bench bench;
    char path[300], *expected = uninterrupted(1, 3);
    set_up(&bench, 1);
    snprintf(path, sizeof path, "%s/run.db", bench.directory); /* killed before it held anything */
    close(open(path, O_CREAT | O_WRONLY, 0666));
    run_resumed(&bench, false, 3);
    assert_same_run(&bench, expected);
    toy_remove(bench.directory);
    run_resumed(&bench, false, 3); /* not even a directory */
    assert_same_run(&bench, expected);
    tear_down(&bench);
    memory_free(expected);
}

/* A child trains; it is killed at a random instant, again and again, until it has come to the end. */
static void child(Bench *bench, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    Error error;
    bool done = !pbt_run_resume(&run, &bench->options, false, &error);
    if (done) {
        recall(bench, run);
        done = !pbt_run_rounds(run, rounds, &end, &error);
    }
    _exit(done ? 0 : 1);
}

static void test_killed(void **state) {
    (void)state;
    enum { RUNS = 7, KILLS = 9, KILLED_ROUNDS = 60 };
    int killed = 0;
    char *expected = uninterrupted(2, KILLED_ROUNDS);
    for (int number = 0; number < RUNS; number++) {
        Bench bench;
        set_up(&bench, 2);
        bench.options.workers = 1 + (size_t)number % 2;
        for (int kill_number = 0; kill_number < KILLS; kill_number++) {
            pid_t process = fork();
            assert_true(process >= 0);
            if (process == 0) child(&bench, KILLED_ROUNDS);
            usleep((useconds_t)(1000 + rand() % 9000));
            kill(process, SIGKILL);
            int status;
            assert_int_equal(waitpid(process, &status, 0), process);
            killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        }
        run_resumed(&bench, false, KILLED_ROUNDS);
        assert_same_run(&bench, expected);
        tear_down(&bench);
    }
    print_message("%d of %d kills came before the end, %d of %d outcomes identical\n", killed, RUNS * KILLS,
                  RUNS, RUNS);
    assert_true(killed > RUNS * KILLS / 3);
    memory_free(expected);
}

/* ---- what is refused ----------------------------------------------------------------------------------- */

static void test_changed_options(void **state) {
    (void)state;
    static const PbtHyper OTHER[] = {{.name = "h0", .kind = PBT_LOG_UNIFORM, .low = 0.01, .high = 20},
                                     {.name = "h1", .kind = PBT_LOG_UNIFORM, .low = 0.01, .high = 10}};
    static const PbtFact SCRIPT[] = {{"script", "abc", false}, {"path", "/a", true}},
                         CHANGED[] = {{"script", "abd", false}, {"path", "/b", true}};
    Bench bench;
    set_up(&bench, 1);
    bench.options.facts = SCRIPT, bench.options.fact_count = 2;
    run_new(&bench, 1);
    const PbtOptions good = bench.options;
    PbtRun *run;
    PbtOptions bad = good;
    bad.seed = 2;
    assert_refused(pbt_run_resume(&run, &bad, false, &toy_error), STATUS_INVALID,
                   "begun with seed \"1\", which now is \"2\"");
    bad = good, bad.space.hypers = OTHER;
    assert_refused(pbt_run_resume(&run, &bad, false, &toy_error), STATUS_INVALID,
                   "hyper.h0 \"log_uniform 0.01 10\", which now is \"log_uniform 0.01 20\"");
    bad = good, bad.control = PBT_RANDOM_SEARCH;
    assert_refused(pbt_run_resume(&run, &bad, false, &toy_error), STATUS_INVALID, "random-search");
    bad = good, bad.facts = CHANGED;
    assert_refused(pbt_run_resume(&run, &bad, false, &toy_error), STATUS_INVALID, "script \"abc\"");
    bad = good, bad.fact_count = 0;
    assert_refused(pbt_run_resume(&run, &bad, false, &toy_error), STATUS_INVALID, "facts");
    char *script;
    assert_ok(pbt_fact(bench.directory, "script", &script, &toy_error));
    assert_string_equal(script, "abc");
    memory_free(script);
    run_resumed(&bench, false, 2);
    tear_down(&bench);
}

static void test_locked(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run, *second;
    PbtEnd end;
    set_up(&bench, 1);
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_refused(pbt_run_resume(&second, &bench.options, false, &toy_error), STATUS_IO,
                   "another process is running");
    char path[300];
    sqlite3 *other;
    snprintf(path, sizeof path, "%s/run.db", bench.directory);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_refused(pbt_run_rounds(run, 1, &end, &toy_error), STATUS_IO, "locked by another process");
    sqlite3_close(other);
    pbt_run_free(run);
    run_resumed(&bench, false, 2);
    tear_down(&bench);
}

static void write_over(const char *path, long offset, const char *bytes, size_t count) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void test_damaged_database(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    char path[300];
    set_up(&bench, 1);
    run_new(&bench, 2);
    snprintf(path, sizeof path, "%s/run.db", bench.directory);
    write_over(path, 0, "rubbish rubbish ", 16);
    assert_refused(pbt_run_resume(&run, &bench.options, false, &toy_error), STATUS_CORRUPT,
                   "run.db: it is damaged");
    PbtBest best;
    assert_refused(pbt_best(bench.directory, &best, &toy_error), STATUS_CORRUPT, "damaged");
    write_over(path, 0, "SQLite format 3", 16);
    char noise[4096];
    memset(noise, 0xA5, sizeof noise);
    for (long page = 1; page < 8; page++) write_over(path, 4096 * page, noise, sizeof noise);
    assert_refused(pbt_run_resume(&run, &bench.options, false, &toy_error), STATUS_CORRUPT, "damaged");
    tear_down(&bench);
}

static void in_database(const Bench *bench, const char *sql) {
    char path[300];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/run.db", bench->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* Content that SQLite is content with, but that makes no sense. */
static void test_hostile_database(void **state) {
    (void)state;
    const char *const attacks[] = {
        "UPDATE round SET interval = -5",
        "UPDATE round SET exploit = 'truncation bottom 7 top 0.2 window 10 level 0.05 token 0'",
        "UPDATE round SET explore = 'rule chance 1 resample 0 token 0 factors 1 1 1 1 1 1 1 1 1 1 1 1 1'",
        "UPDATE round SET explore = x'00'",
        "DELETE FROM standing",
        "UPDATE standing SET state = '../../../../../../etc/passwd'",
        "UPDATE standing SET state = '/tc/passwdaaaaaaaaaaaaaaaaaaaaaaa'",
        "UPDATE standing SET window = zeroblob(100000)",
        "UPDATE standing SET window = zeroblob(7)",
        "UPDATE standing SET reports = zeroblob(100000)",
        "UPDATE standing SET slot = -slot - 1",
        "UPDATE standing SET steps = -1",
        "INSERT INTO standing SELECT round - 1, 9223372036854775807, parent, parent_round, steps, age, "
        "failed, "
        "pinned, score, deviation, fitness, window, reports, state, failure FROM standing WHERE round = 2 "
        "AND slot = 1",
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO "
        "standing "
        "SELECT round, i, parent, parent_round, steps, age, failed, pinned, score, deviation, fitness, "
        "window, "
        "reports, state, failure FROM standing, n WHERE round = 2 AND slot = 1",
        "UPDATE standing SET parent_round = 1 << 60",
        "UPDATE value SET value = 1e300",
        "UPDATE value SET name = name || 'x'",
        "DELETE FROM value WHERE name = 'h1'",
        "INSERT INTO value SELECT round, slot, 'h2', 1 FROM standing",
        "DROP TABLE value",
        "DROP TABLE round",
        "UPDATE round SET round = 77 WHERE round = 2",
        "PRAGMA user_version = 77",
    };
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        Bench bench;
        PbtRun *run;
        set_up(&bench, 1);
        run_new(&bench, 2);
        in_database(&bench, attacks[i]);
        Status status = pbt_run_resume(&run, &bench.options, false, &toy_error);
        if (status != STATUS_CORRUPT) fail_msg("%s: status %d: %s", attacks[i], status, toy_error.message);
        tear_down(&bench);
    }
}

static void test_hostile_best(void **state) {
    (void)state;
    const char *const attacks[] = {"UPDATE scored SET state = '../../../../../../../etc/passwdaaaa'",
                                   "UPDATE scored SET score = 9e999"};
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        Bench bench;
        PbtBest best;
        set_up(&bench, 1);
        run_new(&bench, 2);
        in_database(&bench, attacks[i]);
        assert_refused(pbt_best(bench.directory, &best, &toy_error), STATUS_CORRUPT, "makes no sense");
        tear_down(&bench);
    }
}

/* Counts that would overflow, and more rows than members can have published. */
static void test_hostile_asynchronous(void **state) {
    (void)state;
    const char *const attacks[] = {
        "UPDATE turn SET turn = 9223372036854775807 WHERE turn = (SELECT max(turn) FROM turn)",
        "INSERT INTO turn VALUES(9007199254740993, 0, 1)",
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO scored "
        "SELECT round, i, steps, age, failed, pinned, score, deviation, fitness, window, state, failure "
        "FROM scored, n WHERE round = 2 AND slot = 1;"
        "INSERT INTO value SELECT 1, slot, name, 1 FROM (SELECT DISTINCT name FROM value), scored "
        "WHERE slot >= 100",
    };
    const char *const words[] = {"counts make no sense", "counts make no sense", "too many members"};
    for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        Bench bench;
        PbtRun *run;
        set_up(&bench, 1);
        bench.options.asynchronous = true;
        bench.options.callbacks = (PbtCallbacks){.context = NULL};
        run_new(&bench, 2);
        in_database(&bench, attacks[i]);
        assert_refused(pbt_run_resume(&run, &bench.options, false, &toy_error), STATUS_CORRUPT, words[i]);
        tear_down(&bench);
    }
}

/* Bytes changed at random: whatever is read then is refused, or makes sense. */
static void test_random_damage(void **state) {
    (void)state;
    enum { TRIES = 150, BYTES = 6 };
    Bench bench;
    char path[300];
    uint8_t *good;
    size_t size;
    int refused = 0;
    set_up(&bench, 1);
    run_new(&bench, 4);
    snprintf(path, sizeof path, "%s/run.db", bench.directory);
    assert_ok(file_load(path, 1 << 24, &good, &size, &toy_error));
    uint8_t *bad = memory_new(size, 1);
    for (uint64_t n = 0; n < TRIES; n++) {
        memcpy(bad, good, size);
        for (uint64_t i = 0; i < BYTES; i++)
            bad[random_integer_at(5, n, 2 * i, size)] = (uint8_t)random_integer_at(5, n, 2 * i + 1, 256);
        FilePiece piece = {bad, size};
        assert_ok(file_save(path, &piece, 1, &toy_error));
        PbtRun *run;
        PbtLineage lineage;
        ToyText text = {.text = NULL};
        if (pbt_run_resume(&run, &bench.options, false, &toy_error))
            refused++;
        else
            pbt_run_free(run);
        if (!pbt_lineage(bench.directory, 1, 0, &lineage, &toy_error)) pbt_lineage_free(&lineage);
        (void)pbt_export(bench.directory, true, toy_row, &text, &toy_error);
        memory_free(text.text);
    }
    assert_true(refused > TRIES / 10);
    memory_free(bad);
    memory_free(good);
    tear_down(&bench);
}

static void some_state(const Bench *bench, int64_t round, char path[400]) {
    char database[300];
    sqlite3 *db;
    sqlite3_stmt *rows;
    snprintf(database, sizeof database, "%s/run.db", bench->directory);
    assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
    sqlite3_prepare_v2(
        db,
        "SELECT state FROM standing WHERE round = ?1 AND state != '' AND state NOT IN (SELECT state"
        " FROM standing WHERE round < ?1)",
        -1, &rows, NULL);
    sqlite3_bind_int64(rows, 1, round);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    snprintf(path, 400, "%s/states/%s", bench->directory, (const char *)sqlite3_column_text(rows, 0));
    sqlite3_finalize(rows);
    sqlite3_close(db);
}

static void test_missing_and_damaged_states(void **state) {
    (void)state;
    char path[400], *expected = uninterrupted(1, ROUNDS);
    for (int how = 0; how < 3; how++) {
        Bench bench;
        PbtRun *run;
        set_up(&bench, 1);
        run_new(&bench, 6);
        some_state(&bench, 6, path);
        if (how == 0) assert_int_equal(unlink(path), 0);
        if (how == 1) write_over(path, 3, "x", 1);
        if (how == 2) assert_int_equal(truncate(path, 5), 0);
        assert_refused(pbt_run_resume(&run, &bench.options, false, &toy_error),
                       how == 0 ? STATUS_IO : STATUS_CORRUPT, path);
        run_resumed(&bench, true, ROUNDS); /* from the last whole round, with the same outcome */
        assert_same_run(&bench, expected);
        char *ledger = toy_export(bench.directory, true);
        assert_non_null(strstr(ledger, "rolled back,-,from round 6 to round 5"));
        memory_free(ledger);
        tear_down(&bench);
    }
    memory_free(expected);
}

static void test_no_whole_round(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    char path[400];
    set_up(&bench, 1);
    run_new(&bench, 3);
    for (int64_t round = 2; round <= 3; round++) {
        some_state(&bench, round, path);
        assert_int_equal(unlink(path), 0);
    }
    assert_refused(pbt_run_resume(&run, &bench.options, true, &toy_error), STATUS_IO, "states/");
    tear_down(&bench);
}

static void test_full_disk(void **state) {
    (void)state;
    char *expected = uninterrupted(1, ROUNDS);
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 1);
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_ok(pbt_run_rounds(run, 5, &end, &toy_error));
    bench.world.full_disk = true;
    assert_refused(pbt_run_rounds(run, 6, &end, &toy_error), STATUS_IO, "cannot be saved");
    pbt_run_free(run);
    bench.world.full_disk = false;
    run_resumed(&bench, false, ROUNDS);
    assert_same_run(&bench, expected);
    tear_down(&bench);
    memory_free(expected);
}

/* The same when it is the database that cannot grow: every limit of file size ends the run at another place.
 */
static void test_full_disk_under_the_database(void **state) {
    (void)state;
    char *expected = uninterrupted(1, ROUNDS);
    int ended = 0;
    for (rlim_t limit = 58000; limit <= 110000; limit += 4000) {
        Bench bench;
        set_up(&bench, 1);
        pid_t process = fork();
        assert_true(process >= 0);
        if (process == 0) {
            PbtRun *run;
            PbtEnd end;
            Error error = {.status = STATUS_OK};
            const struct rlimit size = {limit, limit};
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &size);
            Status status = pbt_run_new(&run, &bench.options, &error);
            if (!status) status = pbt_run_rounds(run, ROUNDS, &end, &error);
            _exit(!status ? 0 : status == STATUS_IO ? 1 : 2);
        }
        int status;
        assert_int_equal(waitpid(process, &status, 0), process);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        ended += WEXITSTATUS(status);
        run_resumed(&bench, false, ROUNDS);
        assert_same_run(&bench, expected);
        tear_down(&bench);
    }
    assert_true(ended > 3);
    memory_free(expected);
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static Status see_failures(void *context, int64_t token, const PbtView *members, size_t count, size_t me,
                           PbtStream stream, ptrdiff_t *donor, Error *error) {
    Bench *bench = context;
    (void)token, (void)me, (void)stream, (void)donor, (void)error;
    for (size_t i = 0; i < count; i++) {
        assert_true(members[i].failed == (*members[i].failure != '\0'));
        bench->adds += members[i].failed;
    }
    return STATUS_OK;
}

static bool at_last(void *context) {
    return ((Bench *)context)->asked++ >= 3 * MEMBERS - 4;
}

static void fail_first(Bench *bench, bool asynchronous) {
    set_up(bench, 1);
    bench->world.fail_slot = 0, bench->world.fail_from = 8, bench->world.fail_until = 9;
    bench->options.asynchronous = asynchronous;
    bench->options.exploit.kind = PBT_NONE;
    bench->options.callbacks = (PbtCallbacks){.context = bench};
}

/* Why a member failed is known after the run was left, and why all have. */
static void test_failures_are_remembered(void **state) {
    (void)state;
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        Bench bench;
        PbtRun *run;
        PbtEnd end;
        fail_first(&bench, asynchronous);
        run_new(&bench, 3);
        bench.world.all_fail_from = 12;
        assert_ok(pbt_run_resume(&run, &bench.options, false, &toy_error));
        assert_string_equal(pbt_run_view(run, 0).failure, "training: the loss is nan in step 8");
        assert_refused(pbt_run_rounds(run, 4, &end, &toy_error), STATUS_NOT_FINITE, "the loss is nan");
        pbt_run_free(run);
        assert_ok(pbt_run_resume(&run, &bench.options, false, &toy_error));
        assert_refused(pbt_run_rounds(run, 4, &end, &toy_error), STATUS_NOT_FINITE, "the loss is nan");
        pbt_run_free(run);
        tear_down(&bench);
    }
}

/* Asynchronous: who comes later to the age at which a member failed sees why. */
static void test_published_failures(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    fail_first(&bench, true);
    bench.options.exploit.kind = PBT_EXPLOIT_CALLBACK;
    bench.options.callbacks.exploit = see_failures;
    bench.options.callbacks.interrupted = at_last;
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_ok(pbt_run_rounds(run, 4, &end, &toy_error));
    assert_int_equal(end, PBT_INTERRUPTED);
    pbt_run_free(run);
    bench.adds = 0;
    bench.options.callbacks.interrupted = NULL;
    assert_ok(pbt_run_resume(&run, &bench.options, false, &toy_error));
    assert_ok(pbt_run_rounds(run, 4, &end, &toy_error));
    pbt_run_free(run);
    assert_true(bench.adds > 0);
    tear_down(&bench);
}

/* ---- readers ------------------------------------------------------------------------------------------- */

static sqlite3_stmt *hold(const Bench *bench, sqlite3 **db) {
    char path[300];
    sqlite3_stmt *rows;
    snprintf(path, sizeof path, "%s/run.db", bench->directory);
    assert_int_equal(sqlite3_open(path, db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(*db, "SELECT round FROM round ORDER BY round", -1, &rows, NULL), 0);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    return rows;
}

static bool is_there(const Bench *bench, const char *name) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", bench->directory, name);
    return access(path, F_OK) == 0;
}

/* run.db without anything else, in a directory of its own. */
static void assert_whole_alone(const Bench *bench, const char *expected) {
    Bench alone;
    char path[300];
    uint8_t *bytes;
    size_t size;
    set_up(&alone, 1);
    snprintf(path, sizeof path, "%s/run.db", bench->directory);
    assert_ok(file_load(path, 1 << 24, &bytes, &size, &toy_error));
    FilePiece piece = {bytes, size};
    snprintf(path, sizeof path, "%s/run.db", alone.directory);
    assert_ok(file_save(path, &piece, 1, &toy_error));
    assert_same_run(&alone, expected);
    memory_free(bytes);
    tear_down(&alone);
}

/* Who reads for long sees one moment, and keeps neither the run nor its end waiting. */
static void test_a_long_reader(void **state) {
    (void)state;
    char *expected = uninterrupted(1, ROUNDS);
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    sqlite3 *db;
    set_up(&bench, 1);
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_ok(pbt_run_rounds(run, 1, &end, &toy_error));
    sqlite3_stmt *rows = hold(&bench, &db);
    assert_ok(pbt_run_rounds(run, ROUNDS, &end, &toy_error));
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    assert_int_equal(sqlite3_step(rows), SQLITE_DONE); /* rounds 0 and 1 */
    assert_int_equal(sqlite3_reset(rows), SQLITE_OK);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW); /* of now */
    pbt_run_free(run);
    assert_whole_alone(&bench, expected);
    sqlite3_finalize(rows);
    sqlite3_close(db);
    assert_same_run(&bench, expected);
    run_resumed(&bench, false, ROUNDS);
    assert_false(is_there(&bench, "run.db-wal") || is_there(&bench, "run.db-shm"));
    assert_whole_alone(&bench, expected);
    tear_down(&bench);
    memory_free(expected);
}

/* As somebody who may read only: the rounds done, or -1. */
static int64_t read_as_guest(const Bench *bench) {
    chmod(bench->directory, 0555);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        ToyText text = {.text = NULL};
        Error error;
        if (getuid() == 0 && setuid(65534) != 0) _exit(200);
        if (pbt_export(bench->directory, true, toy_row, &text, &error)) {
            fprintf(stderr, "%s\n", error.message);
            _exit(100);
        }
        int round = 0;
        char line[32];
        do snprintf(line, sizeof line, "\nround,%d,", ++round);
        while (strstr(text.text, line));
        _exit(round - 1);
    }
    int status;
    assert_int_equal(waitpid(process, &status, 0), process);
    chmod(bench->directory, 0755);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 100 ? -1 : WEXITSTATUS(status);
}

static void leave_at_once(Bench *bench, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    Error error;
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0)
        _exit(pbt_run_new(&run, &bench->options, &error) || pbt_run_rounds(run, rounds, &end, &error));
    int status;
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_readers_who_may_not_write(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 1); /* while it runs, and when it is over */
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_ok(pbt_run_rounds(run, 3, &end, &toy_error));
    assert_int_equal(read_as_guest(&bench), 3);
    pbt_run_free(run);
    assert_int_equal(read_as_guest(&bench), 3);
    tear_down(&bench);
    set_up(&bench, 1); /* when it was killed, also without what it had left beside run.db */
    leave_at_once(&bench, 3);
    assert_true(is_there(&bench, "run.db-wal"));
    assert_int_equal(read_as_guest(&bench), 3);
    in_database(&bench, "PRAGMA wal_checkpoint");
    assert_false(is_there(&bench, "run.db-wal"));
    assert_int_equal(read_as_guest(&bench), 3);
    tear_down(&bench);
}

/* ---- retention ----------------------------------------------------------------------------------------- */

static size_t count_states(const Bench *bench) {
    char path[300];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/states", bench->directory);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static int64_t ask(const Bench *bench, const char *sql) {
    char path[300];
    sqlite3 *db;
    sqlite3_stmt *rows;
    snprintf(path, sizeof path, "%s/run.db", bench->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(rows), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(rows, 0);
    sqlite3_finalize(rows);
    sqlite3_close(db);
    return number;
}

static bool kept(const Bench *bench, const char *hash) {
    char path[400];
    snprintf(path, sizeof path, "%s/states/%s", bench->directory, hash);
    return access(path, R_OK) == 0;
}

static void each_kept(const Bench *bench, const char *sql) {
    char path[300];
    sqlite3 *db;
    sqlite3_stmt *rows;
    snprintf(path, sizeof path, "%s/run.db", bench->directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    size_t count = 0;
    for (; sqlite3_step(rows) == SQLITE_ROW; count++) {
        const char *hash = (const char *)sqlite3_column_text(rows, 0);
        if (!kept(bench, hash)) fail_msg("state %s is gone, which is wanted by: %s", hash, sql);
    }
    assert_true(count > 0);
    sqlite3_finalize(rows);
    sqlite3_close(db);
}

static void test_retention(void **state) {
    (void)state;
    for (int64_t every = 0; every <= 4; every += 4) {
        Bench bench;
        PbtRun *run;
        PbtEnd end;
        PbtBest best;
        set_up(&bench, 3);
        bench.options.keep_every = every;
        bench.options.keep_best = 2;
        assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
        for (int64_t round = 1; round <= ROUNDS; round++) {
            assert_ok(pbt_run_rounds(run, round, &end, &toy_error));
            assert_int_equal(count_states(&bench), ask(&bench, "SELECT count(*) FROM state"));
            each_kept(&bench, "SELECT state FROM standing WHERE state != '' AND round > 0 AND round >= "
                              "(SELECT max(round) - 1 FROM round)");
            each_kept(
                &bench,
                "SELECT state FROM scored WHERE NOT failed AND round >= (SELECT max(round) FROM round)");
            each_kept(&bench, "SELECT state FROM scored WHERE NOT failed ORDER BY score DESC LIMIT 2");
            if (round >= 3) each_kept(&bench, "SELECT state FROM pin");
            if (round >= 4 && every)
                each_kept(&bench, "SELECT state FROM scored WHERE NOT failed AND round % 4 = 0");
            assert_ok(pbt_best(bench.directory, &best, &toy_error));
            assert_true(kept(&bench, best.state));
        }
        if (!every) assert_in_range(count_states(&bench), MEMBERS, 4 * MEMBERS + 3);
        pbt_run_free(run);
        tear_down(&bench);
    }
}

static Status refuse_later(void *context, void *member, PbtScore *score, Error *error) {
    const Toy *toy = member;
    (void)context, (void)score;
    bool refused = toy->slot == 1 && toy->weights.trained > 4;
    return refused ? error_set(error, STATUS_INVALID, "not like this") : STATUS_OK;
}

static Status report_seldom(void *context, void *worker, void *member, PbtScore *out, Error *error) {
    const Toy *toy = member;
    (void)context, (void)worker;
    out->reports[0] = 1;
    return toy->slot == 3 ? error_set(error, STATUS_INVALID, "no report") : STATUS_OK;
}

static Status add_and_drop(void *context, PbtRun *run, Error *error) {
    (void)context;
    Status status = pbt_run_add(run, 1, error);
    return status ? status : pbt_run_drop(run, pbt_run_view(run, pbt_run_count(run) - 1).slot, error);
}

/* Members that fail, or go, after they were saved leave no file behind. */
static void test_states_of_nobody(void **state) {
    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        Bench bench;
        PbtRun *run;
        PbtEnd end;
        set_up(&bench, 1);
        bench.kind.judge = refuse_later;
        bench.kind.report = mode == 1 ? report_seldom : NULL;
        bench.options.report_best = mode == 1 ? MEMBERS : 0;
        bench.options.asynchronous = mode == 2;
        bench.options.callbacks = (PbtCallbacks){.schedule = mode == 0 ? add_and_drop : NULL};
        assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
        for (int64_t round = 1; round <= 6; round++) {
            assert_ok(pbt_run_rounds(run, round, &end, &toy_error));
            assert_int_equal(count_states(&bench), ask(&bench, "SELECT count(*) FROM state"));
            each_kept(&bench, "SELECT state FROM standing WHERE state != '' AND round = "
                              "(SELECT max(round) FROM round)");
        }
        assert_true(ask(&bench, "SELECT count(*) FROM event WHERE kind = 'failed' AND slot = 1") > 0);
        pbt_run_free(run);
        tear_down(&bench);
    }
}

/* What a killed process left is swept away on resuming; what is not a state is left alone. */
static void test_sweep(void **state) {
    (void)state;
    const char *const orphans[] = {"0123456789abcdef0123456789abcdef",
                                   "0123456789abcdef0123456789abcdef.77-0.tmp"};
    const char *const foreign[] = {"README", "0123456789abcdef0123456789abcdef.txt", "0123"};
    Bench bench;
    char path[400];
    set_up(&bench, 1);
    run_new(&bench, 2);
    size_t before = count_states(&bench);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/states/%s", bench.directory, i < 2 ? orphans[i] : foreign[i - 2]);
        close(open(path, O_CREAT | O_WRONLY, 0666));
    }
    run_resumed(&bench, false, 2);
    assert_int_equal(count_states(&bench), before + 3);
    for (size_t i = 0; i < 3; i++) assert_true(kept(&bench, foreign[i]));
    tear_down(&bench);
}

/* ---- lineage ------------------------------------------------------------------------------------------- */

static void test_lineage(void **state) {
    (void)state;
    Bench bench;
    PbtBest best;
    PbtLineage lineage;
    set_up(&bench, 1);
    bench.world.noise = bench.world.score_noise = 0;
    run_new(&bench, ROUNDS);
    assert_ok(pbt_best(bench.directory, &best, &toy_error));
    assert_ok(pbt_lineage(bench.directory, best.slot, best.round, &lineage, &toy_error));
    assert_int_equal(lineage.hypers, 2);
    assert_string_equal(lineage.names[1], "h1");
    assert_int_equal(lineage.ancestors[lineage.count - 1].round, best.round);
    /* Trained from scratch by the lineage's schedule, a member comes to the same score. */
    double theta[2] = {0.9, 0.9};
    int64_t age = 0, moves = 0;
    for (size_t i = 0; i < lineage.count; i++) {
        const PbtAncestor *ancestor = &lineage.ancestors[i];
        assert_int_equal(ancestor->round, i + 1);
        for (int64_t step = 0; step < ancestor->steps; step++)
            for (int t = 0; t < 2; t++) theta[t] += 0.01 * -2 * ancestor->values[t] * theta[t];
        age += ancestor->steps;
        assert_int_equal(ancestor->age, age);
        assert_near(ancestor->score, 1.2 - theta[0] * theta[0] - theta[1] * theta[1], 1e-9);
        moves += i > 0 && ancestor->slot != lineage.ancestors[i - 1].slot;
    }
    assert_true(moves > 0 && ask(&bench, "SELECT count(*) FROM event WHERE kind = 'copied'") > 5);
    assert_near(lineage.ancestors[lineage.count - 1].score, best.score, 0);
    pbt_lineage_free(&lineage);
    for (int64_t slot = 0; slot <= MEMBERS; slot++) { /* any member's, also of one dropped or added */
        assert_ok(pbt_lineage(bench.directory, slot, 0, &lineage, &toy_error));
        for (size_t i = 1; i < lineage.count; i++)
            assert_int_equal(lineage.ancestors[i].age,
                             lineage.ancestors[i - 1].age + lineage.ancestors[i].steps);
        pbt_lineage_free(&lineage);
    }
    assert_refused(pbt_lineage(bench.directory, 77, 0, &lineage, &toy_error), STATUS_INVALID, "no member 77");
    tear_down(&bench);
}

/* The winner's schedule, from scratch: one member, told its values and intervals round by round. */
typedef struct {
    const PbtLineage *lineage;
} Script;

static Status follow(void *context, PbtRun *run, Error *error) {
    const PbtLineage *lineage = ((Script *)context)->lineage;
    size_t next = (size_t)pbt_run_round(run);
    if (next >= lineage->count) return pbt_run_stop(run, error);
    Status status = pbt_run_set_values(run, 0, lineage->ancestors[next].values, error);
    return status ? status : pbt_run_set_interval(run, lineage->ancestors[next].steps, error);
}

static void test_replay_of_a_lineage(void **state) {
    (void)state;
    Bench bench, again;
    PbtBest best;
    PbtLineage lineage;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 1);
    set_up(&again, 1);
    bench.world.noise = bench.world.score_noise = again.world.noise = again.world.score_noise = 0;
    run_new(&bench, ROUNDS);
    assert_ok(pbt_best(bench.directory, &best, &toy_error));
    assert_ok(pbt_lineage(bench.directory, best.slot, best.round, &lineage, &toy_error));
    Script script = {&lineage};
    PbtOptions options = again.options;
    again.world.fail_slot = -1;
    options.population = 1;
    options.initial = lineage.values;
    options.interval = lineage.ancestors[0].steps;
    options.callbacks = (PbtCallbacks){.context = &script, .schedule = follow};
    assert_ok(pbt_run_new(&run, &options, &toy_error));
    assert_ok(pbt_run_rounds(run, 1000, &end, &toy_error));
    assert_int_equal(end, PBT_STOPPED);
    assert_near(pbt_run_view(run, 0).score.score, best.score, 1e-12);
    pbt_run_free(run);
    pbt_lineage_free(&lineage);
    tear_down(&bench);
    tear_down(&again);
}

static void test_begun_from_another(void **state) {
    (void)state;
    Bench bench, other;
    PbtRun *run, *old;
    PbtEnd end;
    set_up(&bench, 1);
    set_up(&other, 1);
    assert_ok(pbt_run_new(&old, &other.options, &toy_error));
    assert_ok(pbt_run_rounds(old, 3, &end, &toy_error));
    bench.options.from = other.directory;
    bench.options.population = MEMBERS + 2;
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    for (size_t i = 0; i < MEMBERS + 2; i++) {
        PbtView mine = pbt_run_view(run, i), theirs = pbt_run_view(old, i % MEMBERS);
        assert_int_equal(mine.slot, i);
        assert_int_equal(mine.age, theirs.age);
        assert_true(mine.values[1] == theirs.values[1]);
        assert_string_equal(mine.state, theirs.state);
        assert_true(isfinite(theirs.score.score) &&
                    theirs.window_count == 3); /* that run's, not this one's */
        assert_true(isnan(mine.score.score) && isnan(mine.score.reports[0]) && isnan(mine.fitness));
        assert_true(mine.score.deviation == 0 && mine.window_count == 0);
        assert_true(kept(&bench, mine.state));
    }
    pbt_run_free(run);
    pbt_run_free(old);
    toy_remove(other.directory); /* no longer needed */
    run_resumed(&bench, false, ROUNDS);
    char *text = toy_export(bench.directory, false);
    assert_non_null(strstr(text, "event,0,7,taken over,1,"));
    memory_free(text);
    toy_remove(bench.directory);
    assert_refused(pbt_run_new(&run, &bench.options, &toy_error), STATUS_IO, "a run cannot be begun from");
    tear_down(&bench);
}

/* Where there is no room for all, the best begin, the best first. */
static void test_begun_by_the_best(void **state) {
    (void)state;
    Bench bench, other;
    PbtRun *run, *old;
    PbtEnd end;
    set_up(&bench, 1);
    set_up(&other, 1);
    assert_ok(pbt_run_new(&old, &other.options, &toy_error));
    assert_ok(pbt_run_rounds(old, 3, &end, &toy_error));
    bench.options.from = other.directory;
    bench.options.population = 2;
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    size_t best[2] = {0, 0};
    for (size_t place = 0; place < 2; place++) {
        if (place == 1 && best[0] == 0) best[1] = 1;
        for (size_t i = 0; i < MEMBERS; i++)
            if ((place == 0 || i != best[0]) &&
                pbt_run_view(old, i).score.score > pbt_run_view(old, best[place]).score.score)
                best[place] = i;
        PbtView mine = pbt_run_view(run, place), theirs = pbt_run_view(old, best[place]);
        assert_true(mine.values[0] == theirs.values[0] && mine.values[1] == theirs.values[1]);
        assert_string_equal(mine.state, theirs.state);
    }
    assert_true(best[0] != 0 || best[1] != 1); /* not the first two */
    pbt_run_free(run);
    pbt_run_free(old);
    tear_down(&bench);
    tear_down(&other);
}

static Status count_moments(void *context, PbtRun *run, PbtMoment moment, int64_t slot, Error *error) {
    int *counts = context;
    (void)error;
    counts[moment]++;
    assert_true(moment == PBT_ROUND_DONE || pbt_run_view(run, (size_t)slot).slot == slot);
    return STATUS_OK;
}

static void test_progress_and_ledger(void **state) {
    (void)state;
    for (size_t workers = 1; workers <= 2; workers++) {
        Bench bench;
        int counts[2] = {0};
        set_up(&bench, 1);
        bench.options.callbacks = (PbtCallbacks){.context = counts, .progress = count_moments};
        bench.options.workers = workers;
        run_new(&bench, 5);
        assert_int_equal(counts[PBT_MEMBER_READY], 5 * MEMBERS);
        assert_int_equal(counts[PBT_ROUND_DONE], 5);
        assert_int_equal(ask(&bench, "SELECT count(*) FROM ledger WHERE training > 0 AND saving >= 0"),
                         5 * MEMBERS);
        tear_down(&bench);
    }
}

static void test_nothing_there(void **state) {
    (void)state;
    Bench bench;
    PbtBest best;
    set_up(&bench, 1);
    assert_refused(pbt_best(bench.directory, &best, &toy_error), STATUS_IO, "run.db");
    run_new(&bench, 0);
    assert_refused(pbt_best(bench.directory, &best, &toy_error), STATUS_INVALID, "nothing has been scored");
    tear_down(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_everywhere),
        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_never_begun),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_changed_options),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_damaged_database),
        cmocka_unit_test(test_hostile_database),
        cmocka_unit_test(test_hostile_best),
        cmocka_unit_test(test_hostile_asynchronous),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_missing_and_damaged_states),
        cmocka_unit_test(test_no_whole_round),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_disk_under_the_database),
        cmocka_unit_test(test_failures_are_remembered),
        cmocka_unit_test(test_published_failures),
        cmocka_unit_test(test_a_long_reader),
        cmocka_unit_test(test_readers_who_may_not_write),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_states_of_nobody),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_lineage),
        cmocka_unit_test(test_replay_of_a_lineage),
        cmocka_unit_test(test_begun_from_another),
        cmocka_unit_test(test_begun_by_the_best),
        cmocka_unit_test(test_progress_and_ledger),
        cmocka_unit_test(test_nothing_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
