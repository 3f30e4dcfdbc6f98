/* Populations of programs: the toy in Python is the toy in C, for one worker and two, for runs that were left
 * and resumed, and in asynchronous runs. */
#include "tests/members/bench.h"

static const char TOY[] = "scripts/programs/toy.py";

/* ---- the same as in C ---------------------------------------------------------------------------------- */

/* All of a round that does not depend on how states are written. */
static Status note(void *context, PbtRun *run, PbtMoment moment, int64_t slot, Error *error) {
    (void)slot, (void)error;
    for (size_t i = 0; moment == PBT_ROUND_DONE && i < pbt_run_count(run); i++) {
        PbtView view = pbt_run_view(run, i);
        toy_write(context, "%lld %lld %d %lld %.17g %.17g %.17g %.17g\n", (long long)pbt_run_round(run),
                  (long long)view.slot, view.failed, (long long)view.parent, view.score.score,
                  view.score.reports[0], view.values[0], view.values[1]);
    }
    return STATUS_OK;
}

static char *noted(const PbtOptions *given, int64_t rounds) {
    ToyText text = {.text = NULL};
    PbtOptions options = *given;
    options.directory = NULL;
    options.callbacks = (PbtCallbacks){.context = &text, .progress = note};
    PbtRun *run;
    PbtEnd end;
    assert_ok(pbt_run_new(&run, &options, &toy_error));
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    pbt_run_free(run);
    return text.text;
}

static void test_toy_as_in_c(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        Bench bench;
        ToyWorld world = toy_world();
        PbtKind kind = toy_kind(&world);
        PbtOptions options = toy_options(&kind, 5, seed);
        bench_set_up(&bench, 5, seed, TOY, NULL);
        if (seed == 3) bench.program.folder = NULL;
        bench_make(&bench);
        char *expected = noted(&options, 10), *found = noted(&bench.options, 10);
        assert_string_equal(found, expected);
        memory_free(expected);
        memory_free(found);
        bench_tear_down(&bench);
    }
}

/* ---- workers, resuming, asynchronous runs -------------------------------------------------------------- */

static char *exported(size_t workers, int64_t stop) {
    enum { ROUNDS = 8 };
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    bench_set_up(&bench, 5, 3, TOY, NULL);
    bench.options.workers = workers;
    bench_make(&bench);
    bench_run(&bench, stop ? stop : ROUNDS);
    if (stop) {
        assert_ok(pbt_run_resume(&run, &bench.options, false, &toy_error));
        assert_int_equal(pbt_run_round(run), stop);
        assert_ok(pbt_run_rounds(run, ROUNDS, &end, &toy_error));
        pbt_run_free(run);
    }
    char *text = toy_export(bench.directory, false);
    bench_tear_down(&bench);
    return text;
}

static void test_workers(void **state) {
    (void)state;
    char *one = exported(1, 0), *two = exported(2, 0);
    assert_non_null(strstr(one, "copied"));
    assert_string_equal(one, two);
    memory_free(one);
    memory_free(two);
}

static void test_resume(void **state) {
    (void)state;
    char *whole = exported(2, 0);
    for (int64_t stop = 1; stop < 8; stop += 3) {
        char *resumed = exported(1 + (size_t)stop % 2, stop);
        assert_string_equal(whole, resumed);
        memory_free(resumed);
    }
    memory_free(whole);
}

static void test_asynchronous(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    bench_set_up(&bench, 4, 1, TOY, NULL);
    bench.options.asynchronous = true;
    bench.options.workers = 2;
    bench.options.exploit = (PbtExploit){.kind = PBT_TOURNAMENT};
    bench_make(&bench);
    bench_run(&bench, 5);
    assert_ok(pbt_run_resume(&run, &bench.options, false, &toy_error));
    assert_ok(pbt_run_rounds(run, 10, &end, &toy_error));
    for (size_t i = 0; i < pbt_run_count(run); i++) {
        assert_false(pbt_run_view(run, i).failed);
        assert_int_equal(pbt_run_view(run, i).steps, 40);
    }
    pbt_run_free(run);
    char *text = toy_export(bench.directory, false);
    assert_non_null(strstr(text, "copied"));
    memory_free(text);
    bench_tear_down(&bench);
}

/* ---- numpy --------------------------------------------------------------------------------------------- */

static void test_spirals(void **state) {
    (void)state;
    if (system("python3 -c 'import numpy' 2>/dev/null") != 0) skip();
    static const PbtHyper HYPERS[] = {
        {.name = "lr", .kind = PBT_LOG_UNIFORM, .low = 1e-2, .high = 1},
        {.name = "momentum", .kind = PBT_UNIFORM, .low = 0, .high = 0.95},
        {.name = "weight_decay", .kind = PBT_LOG_UNIFORM, .low = 1e-6, .high = 1e-2}};
    static const char *const REPORTS[] = {"loss"};
    char *exports[2];
    for (size_t workers = 1; workers <= 2; workers++) {
        Bench bench;
        PbtRun *run;
        PbtEnd end;
        bench_set_up(&bench, 4, 1, "scripts/programs/spirals.py", NULL);
        bench.command[1] = "-B";
        bench.program.space = bench.options.space = (PbtSpace){HYPERS, 3};
        bench.program.reports = REPORTS;
        bench.options.interval = 100;
        bench.options.workers = workers;
        bench.options.exploit.bottom = bench.options.exploit.top = 0.5;
        bench_make(&bench);
        assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
        assert_ok(pbt_run_rounds(run, 10, &end, &toy_error));
        for (size_t i = 0; i < 4; i++) {
            PbtView view = pbt_run_view(run, i);
            print_message("member %zu: %.3f, loss %.3f, lr %.4f\n", i, view.score.score,
                          view.score.reports[0], view.values[0]);
        }
        assert_true(toy_best(run) > 0.9);
        pbt_run_free(run);
        exports[workers - 1] = toy_export(bench.directory, false);
        bench_tear_down(&bench);
    }
    assert_string_equal(exports[0], exports[1]);
    memory_free(exports[0]);
    memory_free(exports[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toy_as_in_c),  cmocka_unit_test(test_workers), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_asynchronous), cmocka_unit_test(test_spirals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
