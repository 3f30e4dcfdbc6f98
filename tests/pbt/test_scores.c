/* Scores beyond the one that members are selected by: reports of the best, judgement, signals. */
#include "tests/pbt/toy_run.h"

enum { MEMBERS = 6 };

static Status report(void *context, void *worker, void *member, PbtScore *out, Error *error) {
    Toy *toy = member;
    (void)context, (void)worker;
    out->reports[0] = 100 + toy->weights.theta[0];
    out->report_deviations[0] = 0.25;
    if (toy->slot == 3 && toy->weights.trained > 8) return error_set(error, STATUS_INVALID, "no report");
    return STATUS_OK;
}

static PbtRun *run_rounds(const PbtOptions *options, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    assert_ok(pbt_run_new(&run, options, &toy_error));
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    return run;
}

/* Members by score, the best first. */
static int by_score(const void *a, const void *b) {
    double first = ((const PbtView *)a)->score.score, second = ((const PbtView *)b)->score.score;
    return first < second ? 1 : -1;
}

static void check_reported(size_t best, size_t expected) {
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    kind.report = report;
    PbtOptions options = toy_options(&kind, MEMBERS, 5);
    options.exploit.kind = PBT_NONE;
    options.report_best = best;
    options.workers = 2;
    PbtRun *run = run_rounds(&options, 2);
    PbtView views[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++) views[i] = pbt_run_view(run, i);
    qsort(views, MEMBERS, sizeof *views, by_score);
    for (size_t i = 0; i < MEMBERS; i++) {
        if (i < expected)
            assert_true(views[i].score.reports[0] > 99);
        else
            assert_true(views[i].score.reports[0] < 2); /* what the score itself has said */
    }
    pbt_run_free(run);
}

static void test_report_scores_of_the_best(void **state) {
    (void)state;
    check_reported(0, MEMBERS);
    check_reported(2, 2);
    check_reported(MEMBERS + 1, MEMBERS);
}

static void test_a_report_that_fails(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    kind.report = report;
    PbtOptions options = toy_options(&kind, MEMBERS, 5);
    options.exploit.kind = PBT_NONE;
    PbtRun *run = run_rounds(&options, 3);
    for (size_t i = 0; i < MEMBERS; i++) assert_int_equal(pbt_run_view(run, i).failed, i == 3);
    assert_non_null(strstr(pbt_run_view(run, 3).failure, "no report"));
    pbt_run_free(run);
}

/* They are in the store, and in the views of a run that goes on from it. */
static void test_noise_of_reports(void **state) {
    (void)state;
    char directory[256];
    toy_directory(directory);
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    kind.report = report;
    PbtOptions options = toy_options(&kind, MEMBERS, 5);
    options.directory = directory;
    options.report_best = 1;
    pbt_run_free(run_rounds(&options, 1));
    PbtRun *run;
    assert_ok(pbt_run_resume(&run, &options, false, &toy_error));
    int known = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        PbtScore score = pbt_run_view(run, i).score;
        bool reported = score.reports[0] > 99;
        known += reported;
        if (reported)
            assert_true(score.report_deviations[0] == 0.25);
        else
            assert_true(isnan(score.report_deviations[0]));
    }
    assert_true(known >= 1 && known < MEMBERS); /* the best, and those who copied it */
    pbt_run_free(run);
    char *text = toy_export(directory, false);
    assert_non_null(strstr(text, ",0.25\n"));
    memory_free(text);
    toy_remove(directory);
}

typedef struct {
    ToyWorld world; /* first: the context of all other functions */
    int reports;
} Counted;

static Status count_report(void *context, void *worker, void *member, PbtScore *out, Error *error) {
    ((Counted *)context)->reports++;
    return report(context, worker, member, out, error);
}

/* Members put together from several donors are scored again, but reported again only where all are. */
static void test_reports_of_mosaics(void **state) {
    (void)state;
    for (size_t best = 0; best <= 2; best += 2) {
        Counted counted = {.world = toy_world()};
        counted.world.noise = 0.05;
        PbtKind kind = toy_kind(&counted.world);
        kind.context = &counted;
        kind.report = count_report;
        PbtOptions options = toy_options(&kind, 8, 5);
        options.recombine = true;
        options.exploit.bottom = options.exploit.top = 0.5;
        options.report_best = best;
        pbt_run_free(run_rounds(&options, 1));
        if (best == 0) assert_true(counted.reports > 8);
        if (best == 2) assert_int_equal(counted.reports, 2);
    }
}

/* Raises the score of slot 0 above all others, and refuses slot 1. */
static Status judge(void *context, void *member, PbtScore *score, Error *error) {
    ToyWorld *world = context;
    Toy *toy = member;
    assert_true(pthread_equal(world->home, pthread_self()));
    if (toy->slot == 0) score->score += 50;
    return toy->slot == 1 ? error_set(error, STATUS_INVALID, "not like this") : STATUS_OK;
}

static void test_judgement(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.home = pthread_self();
    PbtKind kind = toy_kind(&world);
    kind.judge = judge;
    PbtOptions options = toy_options(&kind, MEMBERS, 5);
    options.exploit.kind = PBT_NONE;
    options.workers = 3;
    PbtRun *run = run_rounds(&options, 1);
    assert_true(pbt_run_view(run, 0).fitness > 49);
    assert_true(pbt_run_view(run, 1).failed);
    assert_non_null(strstr(pbt_run_view(run, 1).failure, "not like this"));
    for (size_t i = 2; i < MEMBERS; i++) assert_true(pbt_run_view(run, i).fitness < 2);
    pbt_run_free(run);
}

static void observe(void *context, void *member, double *signals) {
    (void)context;
    signals[1] = ((Toy *)member)->weights.trained;
}

static void test_signals_are_kept(void **state) {
    (void)state;
    static const char *const SIGNALS[] = {"nothing", "trained"};
    char directory[256];
    toy_directory(directory);
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    kind.signals = SIGNALS, kind.signal_count = 2, kind.observe = observe;
    PbtOptions options = toy_options(&kind, 2, 5);
    options.directory = directory;
    options.exploit.kind = PBT_NONE;
    pbt_run_free(run_rounds(&options, 2));
    char *text = toy_export(directory, false);
    assert_non_null(strstr(text, "signal,2,1,trained,8"));
    assert_non_null(strstr(text, "signal,1,0,nothing,-"));
    memory_free(text);
    toy_remove(directory);
}

/* ---- rounds in pieces ---------------------------------------------------------------------------------- */

typedef struct {
    ToyWorld world; /* first: the context of all other functions */
    atomic_int calls, checks;
    double share; /* of the round, as it was last told */
} Pieces;

static Status count_step(void *context, void *worker, void *member, int64_t first, int64_t steps,
                         Error *error) {
    atomic_fetch_add(&((Pieces *)context)->calls, 1);
    return toy_step(context, worker, member, first, steps, error);
}

static Status count_health(void *context, void *worker, void *member, Error *error) {
    (void)worker, (void)member, (void)error;
    atomic_fetch_add(&((Pieces *)context)->checks, 1);
    return STATUS_OK;
}

static Status watch_share(void *context, PbtRun *run, PbtMoment moment, int64_t slot, Error *error) {
    Pieces *pieces = context;
    double share = pbt_run_share(run);
    (void)error;
    if (moment == PBT_ROUND_DONE) {
        assert_true(share == 0);
    } else {
        assert_true(moment == PBT_TRAINING ? slot == -1 && share > pieces->share : share >= pieces->share);
        assert_true(share <= 1);
    }
    pieces->share = share;
    return STATUS_OK;
}

static char *run_in_pieces(size_t pieces, int64_t steps, size_t workers, int *calls, int *checks) {
    static const char *const SIGNALS[] = {"nothing", "trained"};
    char directory[256];
    toy_directory(directory);
    Pieces counted = {.world = toy_world()};
    counted.world.noise = 0.05;
    counted.world.dawdle = workers > 1;
    counted.world.fail_slot = 2; /* in the second piece of the third round, once */
    counted.world.fail_from = 9, counted.world.fail_until = 10;
    PbtKind kind = toy_kind(&counted.world);
    kind.context = &counted;
    kind.step = count_step, kind.health = count_health;
    kind.pieces = pieces, kind.piece_steps = steps;
    kind.signals = SIGNALS, kind.signal_count = 2, kind.observe = observe;
    PbtOptions options = toy_options(&kind, MEMBERS, 5);
    options.directory = directory;
    options.workers = workers;
    options.callbacks.context = &counted, options.callbacks.progress = watch_share;
    pbt_run_free(run_rounds(&options, 4));
    char *text = toy_export(directory, false);
    toy_remove(directory);
    *calls = counted.calls, *checks = counted.checks;
    return text;
}

/* Lines of an export that do not begin so. */
static char *without(char *text, const char *beginning) {
    char *to = text;
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n') + 1;
        size_t length = (size_t)(end - line);
        if (strncmp(line, beginning, strlen(beginning)) != 0) {
            memmove(to, line, length);
            to += length;
        }
        line = end;
    }
    *to = 0;
    return text;
}

/* Who makes which piece changes nothing, and neither do the pieces, but for what is a mean over them. */
static void test_pieces(void **state) {
    (void)state;
    int calls, checks;
    char *one = run_in_pieces(0, 0, 1, &calls, &checks), *three = run_in_pieces(3, 0, 1, &calls, &checks);
    assert_int_equal(calls, 3 * 4 * MEMBERS - 1);
    assert_int_equal(checks, 4 * MEMBERS - 1);
    assert_non_null(strstr(three, ",failed,"));
    assert_non_null(strstr(three, "signal,1,0,trained,2.75")); /* 1 step, 1 step and 2: (1 + 2 + 2 × 4) / 4 */
    for (size_t workers = 2; workers <= 5; workers++) {
        char *threads = run_in_pieces(3, 0, workers, &calls, &checks);
        assert_string_equal(threads, three);
        memory_free(threads);
    }
    memory_free(run_in_pieces(3, 1, 2, &calls, &checks)); /* of 1 step each */
    assert_int_equal(calls, 4 * 4 * MEMBERS - 2);
    assert_string_equal(without(one, "signal"), without(three, "signal"));
    memory_free(one);
    memory_free(three);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_scores_of_the_best), cmocka_unit_test(test_a_report_that_fails),
        cmocka_unit_test(test_noise_of_reports),          cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_reports_of_mosaics),        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_signals_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
