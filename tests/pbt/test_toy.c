/* The paper's toy (figure 2), through all of the population code: two members that start at (0.9, 0.9) with h
 * = (1, 0) and (0, 1), 200 steps at rate 0.01, every 4 of which the weaker copies the better and adds N(0,
 * 0.1) to h, h >= 0. Means of the best score over 200 seeds. */
#include "tests/pbt/toy_run.h"

enum { SEEDS = 200, ROUNDS = 50 };

static Status add_noise(void *context, int64_t token, PbtStream stream, double *values, Error *error) {
    (void)context, (void)token, (void)error;
    for (int i = 0; i < 2; i++)
        values[i] = fmax(0, values[i] + 0.1 * random_normal_at(stream.key, stream.counter, (uint64_t)i));
    return STATUS_OK;
}

static double mean_best(PbtControl control) {
    static const double START[] = {1, 0, 0, 1};
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    double sum = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        PbtOptions options = toy_options(&kind, 2, seed);
        options.space = (PbtSpace){TOY_HYPERS, 2};
        options.initial = START;
        options.control = control;
        options.exploit.bottom = options.exploit.top = 0.5;
        options.explore.kind = PBT_EXPLORE_CALLBACK;
        options.callbacks.explore = add_noise;
        PbtRun *run;
        PbtEnd end;
        assert_ok(pbt_run_new(&run, &options, &toy_error));
        assert_ok(pbt_run_rounds(run, ROUNDS, &end, &toy_error));
        sum += toy_best(run);
        pbt_run_free(run);
    }
    assert_int_equal(atomic_load(&world.live), 0);
    return sum / SEEDS;
}

static void check(PbtControl control, double expected, double tolerance) {
    double mean = mean_best(control);
    print_message("%-14s %.4f (expected %.3f)\n", pbt_control_name(control), mean, expected);
    assert_near(mean, expected, tolerance);
}

static void test_pbt(void **state) {
    (void)state;
    check(PBT_CONTROL_OFF, 1.198, 0.01);
}

static void test_weights_only(void **state) {
    (void)state;
    check(PBT_WEIGHTS_ONLY, 1.172, 0.01);
}

static void test_no_explore(void **state) {
    (void)state;
    check(PBT_NO_EXPLORE, 0.390, 0.01);
}

static void test_explore_only(void **state) {
    (void)state;
    check(PBT_EXPLORE_ONLY, 1.08, 0.03);
}

static void test_grid_search(void **state) {
    (void)state;
    check(PBT_RANDOM_SEARCH, 0.390, 0.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pbt),         cmocka_unit_test(test_weights_only),
        cmocka_unit_test(test_no_explore),  cmocka_unit_test(test_explore_only),
        cmocka_unit_test(test_grid_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
