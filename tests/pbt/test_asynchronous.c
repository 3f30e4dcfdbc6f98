/* Asynchronous populations: whatever the order of ready moments was, the run can be made again from it;
 * members are compared at their own age; failures, kills, resuming. */
#include <signal.h>
#include <sys/wait.h>

#include "tests/pbt/toy_run.h"

enum { MEMBERS = 6, ROUNDS = 10 };

typedef struct {
    ToyWorld world;
    PbtKind kind;
    PbtOptions options;
    char directory[256];
} Bench;

static void set_up(Bench *bench, uint64_t seed, size_t workers) {
    *bench = (Bench){.world = toy_world()};
    bench->world.noise = bench->world.score_noise = 0.02;
    bench->world.dawdle = true;
    bench->kind = toy_kind(&bench->world);
    bench->options = toy_options(&bench->kind, MEMBERS, seed);
    bench->options.asynchronous = true;
    bench->options.workers = workers;
    bench->options.directory = bench->directory;
    toy_directory(bench->directory);
}

static void tear_down(Bench *bench) {
    toy_remove(bench->directory);
    assert_int_equal(atomic_load(&bench->world.live), 0);
}

static void train(Bench *bench, bool resume, int64_t rounds) {
    PbtRun *run;
    PbtEnd end;
    if (resume)
        assert_ok(pbt_run_resume(&run, &bench->options, false, &toy_error));
    else
        assert_ok(pbt_run_new(&run, &bench->options, &toy_error));
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    assert_int_equal(end, PBT_FINISHED);
    assert_int_equal(pbt_run_round(run), rounds);
    for (size_t i = 0; i < MEMBERS; i++) assert_int_equal(pbt_run_view(run, i).steps, 4 * rounds);
    pbt_run_free(run);
}

/* Makes the run again, by one worker, from its order, and compares all. */
static void assert_replays(Bench *bench, int64_t rounds) {
    Bench again;
    int64_t *order;
    size_t count;
    assert_ok(pbt_order(bench->directory, &order, &count, &toy_error));
    assert_int_equal(count, MEMBERS * rounds);
    set_up(&again, bench->options.seed, 1);
    again.world.dawdle = false;
    again.world.fail_slot = bench->world.fail_slot;
    again.world.fail_from = bench->world.fail_from, again.world.fail_until = bench->world.fail_until;
    again.options.exploit = bench->options.exploit;
    again.options.control = bench->options.control;
    again.options.order = order, again.options.order_count = count;
    train(&again, false, rounds);
    char *one = toy_export(bench->directory, false), *two = toy_export(again.directory, false);
    assert_string_equal(one, two);
    assert_true(bench->options.control == PBT_RANDOM_SEARCH || strstr(one, ",copied,") ||
                strstr(one, ",replaced,"));
    memory_free(one);
    memory_free(two);
    memory_free(order);
    tear_down(&again);
}

static void test_replay(void **state) {
    (void)state;
    const PbtExploit rules[] = {
        pbt_exploit_default(), {.kind = PBT_TOURNAMENT}, {.kind = PBT_TTEST, .window = 3, .level = 0.6}};
    for (size_t workers = 1; workers <= 4; workers++)
        for (size_t rule = 0; rule < 3; rule++) {
            Bench bench;
            set_up(&bench, workers, workers);
            bench.options.exploit = rules[rule];
            train(&bench, false, ROUNDS);
            assert_replays(&bench, ROUNDS);
            tear_down(&bench);
        }
}

static void test_controls(void **state) {
    (void)state;
    const PbtControl controls[] = {PBT_RANDOM_FITNESS, PBT_WEIGHTS_ONLY, PBT_NO_EXPLORE, PBT_RANDOM_SEARCH};
    for (size_t c = 0; c < 4; c++) {
        Bench bench;
        set_up(&bench, 7, 3);
        bench.options.control = controls[c];
        train(&bench, false, ROUNDS);
        assert_replays(&bench, ROUNDS);
        tear_down(&bench);
    }
}

static void test_failures(void **state) {
    (void)state;
    for (int64_t slot = 0; slot < MEMBERS; slot += 2) {
        Bench bench;
        set_up(&bench, 8, 3);
        bench.world.fail_slot = slot, bench.world.fail_from = 9, bench.world.fail_until = 20;
        train(&bench, false, ROUNDS);
        assert_replays(&bench, ROUNDS);
        char *text = toy_export(bench.directory, false);
        assert_non_null(strstr(text, ",replaced,"));
        memory_free(text);
        tear_down(&bench);
    }
}

/* A state that a member does not take is its own failure. */
static void test_bad_copy(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 8, 1);
    bench.world.bad_copies = 1;
    bench.options.exploit.bottom = bench.options.exploit.top = 0.5;
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_ok(pbt_run_rounds(run, ROUNDS, &end, &toy_error));
    pbt_run_free(run);
    char *text = toy_export(bench.directory, false);
    assert_non_null(strstr(text, ",failed,"));
    assert_non_null(strstr(text, "copying: the toy is broken"));
    assert_non_null(strstr(text, ",replaced,"));
    memory_free(text);
    tear_down(&bench);
}

/* Nobody of its age to copy: the first of all to be ready fails, then everybody. */
static void test_all_fail(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 8, 2);
    bench.world.all_fail_from = 0;
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_refused(pbt_run_rounds(run, 5, &end, &toy_error), STATUS_NOT_FINITE, "all 6 members have failed");
    pbt_run_free(run);
    tear_down(&bench);
}

static void test_resume(void **state) {
    (void)state;
    for (int64_t stop = 0; stop <= ROUNDS; stop += 2) {
        Bench bench;
        set_up(&bench, 9, 3);
        train(&bench, false, stop);
        train(&bench, true, ROUNDS);
        assert_replays(&bench, ROUNDS);
        tear_down(&bench);
    }
}

static void child(Bench *bench) {
    PbtRun *run;
    PbtEnd end;
    Error error;
    bool done =
        !pbt_run_resume(&run, &bench->options, false, &error) && !pbt_run_rounds(run, ROUNDS, &end, &error);
    _exit(done ? 0 : 1);
}

/* A killed run goes on from each member's last ready moment, and what comes of it is still replayed exactly.
 */
static void test_killed(void **state) {
    (void)state;
    enum { RUNS = 4, KILLS = 6 };
    int killed = 0;
    for (uint64_t number = 0; number < RUNS; number++) {
        Bench bench;
        set_up(&bench, 20 + number, 1 + number % 3);
        for (int kill_number = 0; kill_number < KILLS; kill_number++) {
            pid_t process = fork();
            assert_true(process >= 0);
            if (process == 0) child(&bench);
            usleep((useconds_t)(1000 + rand() % 10000));
            kill(process, SIGKILL);
            int status;
            assert_int_equal(waitpid(process, &status, 0), process);
            killed += WIFSIGNALED(status);
            assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        }
        train(&bench, true, ROUNDS);
        assert_replays(&bench, ROUNDS);
        tear_down(&bench);
    }
    assert_true(killed > RUNS * KILLS / 3);
}

/* Nobody copies anybody of another age, unless it has failed. */
static void test_ages(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 10, 3);
    bench.options.exploit.bottom = bench.options.exploit.top = 0.5;
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    for (int64_t round = 1; round <= ROUNDS; round++) {
        assert_ok(pbt_run_rounds(run, round, &end, &toy_error));
        for (size_t i = 0; i < MEMBERS; i++) {
            PbtView view = pbt_run_view(run, i);
            const Toy *toy = pbt_run_member(run, i, NULL);
            assert_int_equal(view.age, view.steps);
            assert_true(toy->weights.trained == (double)view.age);
        }
    }
    pbt_run_free(run);
    tear_down(&bench);
}

static Status no_schedule(void *context, PbtRun *run, Error *error) {
    (void)context, (void)run, (void)error;
    return STATUS_OK;
}

static void test_refusals(void **state) {
    (void)state;
    static const int64_t WRONG[] = {0, 99};
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    set_up(&bench, 10, 3);
    PbtOptions bad = bench.options;
    bad.callbacks.schedule = no_schedule;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "no schedule");
    bad = bench.options, bad.recombine = true;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "cannot recombine");
    bad = bench.options, bad.order = WRONG, bad.order_count = 2;
    assert_ok(pbt_run_new(&run, &bad, &toy_error));
    assert_refused(pbt_run_rounds(run, 5, &end, &toy_error), STATUS_INVALID, "a member 99");
    pbt_run_free(run);
    tear_down(&bench);
}

/* A state that somebody needs is gone: all go back to the last round that is whole. */
static void test_missing_state(void **state) {
    (void)state;
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    char path[400];
    set_up(&bench, 12, 1);
    bench.world.dawdle = false;
    static const int64_t ORDER[] = {0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2};
    PbtOptions ahead = bench.options;
    ahead.order = ORDER, ahead.order_count = sizeof ORDER / sizeof *ORDER;
    assert_ok(pbt_run_new(&run, &ahead, &toy_error));
    assert_ok(pbt_run_rounds(run, ROUNDS, &end, &toy_error));
    assert_int_equal(pbt_run_round(run), 2);
    snprintf(path, sizeof path, "%s/states/%s", bench.directory, pbt_run_view(run, 1).state);
    pbt_run_free(run);
    assert_int_equal(unlink(path), 0);
    assert_refused(pbt_run_resume(&run, &bench.options, false, &toy_error), STATUS_IO, path);
    assert_ok(pbt_run_resume(&run, &bench.options, true, &toy_error));
    for (size_t i = 0; i < MEMBERS; i++) assert_int_equal(pbt_run_view(run, i).steps, 8);
    assert_ok(pbt_run_rounds(run, ROUNDS, &end, &toy_error));
    pbt_run_free(run);
    assert_replays(&bench, ROUNDS);
    tear_down(&bench);
}

static bool soon(void *context) {
    return ++*(int *)context > 12;
}

static void test_interruption(void **state) {
    (void)state;
    for (size_t workers = 1; workers <= 3; workers += 2) {
        Bench bench;
        PbtRun *run;
        PbtEnd end;
        int asked = 0;
        set_up(&bench, 11, workers);
        PbtOptions options = bench.options;
        options.callbacks.context = &asked;
        options.callbacks.interrupted = soon;
        assert_ok(pbt_run_new(&run, &options, &toy_error));
        assert_ok(pbt_run_rounds(run, 1000, &end, &toy_error));
        assert_int_equal(end, PBT_INTERRUPTED);
        pbt_run_free(run);
        train(&bench, true, ROUNDS);
        assert_replays(&bench, ROUNDS);
        tear_down(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_failures),      cmocka_unit_test(test_all_fail),
        cmocka_unit_test(test_bad_copy),      cmocka_unit_test(test_resume),
        cmocka_unit_test(test_killed),        cmocka_unit_test(test_ages),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_interruption),
        cmocka_unit_test(test_missing_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
