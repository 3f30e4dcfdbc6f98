/* The run store: damage is named, and what is whole goes on. */
#include "tests/pbt/kept.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_database),
        cmocka_unit_test(test_hostile_database),
        cmocka_unit_test(test_hostile_best),
        cmocka_unit_test(test_hostile_asynchronous),
        cmocka_unit_test(test_random_damage),
        cmocka_unit_test(test_missing_and_damaged_states),
        cmocka_unit_test(test_no_whole_round),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_disk_under_the_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
