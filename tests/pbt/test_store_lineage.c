/* The run store: nothing needed is ever removed, and nothing else is kept; who descends from whom. */
#include "tests/pbt/kept.h"

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
