/* The run store: a run that is killed and resumed is the run that was not, whatever failed in it, and whoever
 * reads it. */
#include "tests/pbt/kept.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_everywhere),
        cmocka_unit_test(test_finished),
        cmocka_unit_test(test_never_begun),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_changed_options),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_failures_are_remembered),
        cmocka_unit_test(test_published_failures),
        cmocka_unit_test(test_a_long_reader),
        cmocka_unit_test(test_readers_who_may_not_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
