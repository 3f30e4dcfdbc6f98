/* Search spaces: what is refused, what is drawn; and explore: that nothing leaves its bounds, and nothing
 * drifts. */
#include "tests/pbt/toy_run.h"

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void refuse(PbtHyper hyper, const char *words) {
    if (!hyper.name) hyper.name = "x";
    PbtSpace space = {&hyper, 1};
    assert_refused(pbt_space_check(&space, &toy_error), STATUS_INVALID, words);
}

static void test_refusals(void **state) {
    (void)state;
    static const double TWICE[] = {1, 2, 1}, NOT_FINITE[] = {1, NAN};
    static const char *const LABELS[] = {"a", "a"}, *const UNNAMED[] = {"a", NULL};
    refuse((PbtHyper){.kind = PBT_UNIFORM, .low = 1, .high = 1}, "uniform(1, 1) is empty");
    refuse((PbtHyper){.kind = PBT_UNIFORM, .low = 2, .high = 1}, "hyperparameter x: uniform(2, 1) is empty");
    refuse((PbtHyper){.kind = PBT_UNIFORM, .low = NAN, .high = 1}, "finite");
    refuse((PbtHyper){.kind = PBT_UNIFORM, .low = 0, .high = INFINITY}, "finite");
    refuse((PbtHyper){.kind = PBT_UNIFORM, .low = -1.7e308, .high = 1.7e308}, "too wide");
    refuse((PbtHyper){.kind = PBT_LOG_UNIFORM, .low = 0, .high = 1}, "above 0");
    refuse((PbtHyper){.kind = PBT_LOG_UNIFORM, .low = -1, .high = 1}, "above 0");
    refuse((PbtHyper){.kind = PBT_INTEGER, .low = 1, .high = 2.5}, "whole numbers");
    refuse((PbtHyper){.kind = PBT_INTEGER, .low = 0, .high = 1e17}, "whole numbers");
    refuse((PbtHyper){.kind = PBT_CHOICE}, "choice of 0 options");
    refuse((PbtHyper){.kind = PBT_CHOICE, .count = 3, .numbers = TWICE}, "options 1 and 3 are both 1");
    refuse((PbtHyper){.kind = PBT_CATEGORY, .count = 2, .numbers = NOT_FINITE}, "option 2 is");
    refuse((PbtHyper){.kind = PBT_CATEGORY, .count = 2, .labels = LABELS}, "are both \"a\"");
    refuse((PbtHyper){.kind = PBT_CATEGORY, .count = 2, .labels = UNNAMED}, "option 2 has no name");
    refuse((PbtHyper){.kind = PBT_CONSTANT, .low = NAN}, "constant");
    refuse((PbtHyper){.name = "", .kind = PBT_CONSTANT}, "a name");
}

static void test_names(void **state) {
    (void)state;
    PbtHyper hypers[] = {{.name = "b", .kind = PBT_CONSTANT}, {.name = "a", .kind = PBT_CONSTANT}};
    PbtSpace space = {hypers, 2};
    assert_refused(pbt_space_check(&space, &toy_error), STATUS_INVALID, "in order of name");
    pbt_space_sort(hypers, 2);
    assert_ok(pbt_space_check(&space, &toy_error));
    hypers[1].name = "a";
    assert_refused(pbt_space_check(&space, &toy_error), STATUS_INVALID, "there twice");
    space.count = PBT_HYPERS + 1;
    assert_refused(pbt_space_check(&space, &toy_error), STATUS_INVALID, "at most 64");
}

static void test_explore_refusals(void **state) {
    (void)state;
    PbtExplore explore = pbt_explore_default();
    assert_ok(pbt_explore_check(&explore, &toy_error));
    explore.factors[1] = 0;
    assert_refused(pbt_explore_check(&explore, &toy_error), STATUS_INVALID, "factor 2 is 0");
    explore = pbt_explore_default();
    explore.chance = NAN;
    assert_refused(pbt_explore_check(&explore, &toy_error), STATUS_INVALID, "chance is");
    explore.chance = 1, explore.resample = 1.5;
    assert_refused(pbt_explore_check(&explore, &toy_error), STATUS_INVALID, "resample is 1.5");
}

/* ---- the prior ----------------------------------------------------------------------------------------- */

static const double LIST[] = {1, 2, 5, 10};
static const PbtHyper ALL[] = {
    {.name = "a", .kind = PBT_CATEGORY, .numbers = LIST, .count = 4},
    {.name = "b", .kind = PBT_CHOICE, .numbers = LIST, .count = 4},
    {.name = "c", .kind = PBT_CONSTANT, .low = 7},
    {.name = "d", .kind = PBT_INTEGER, .low = 1, .high = 12},
    {.name = "e", .kind = PBT_LOG_UNIFORM, .low = 1e-5, .high = 1e-2},
    {.name = "f", .kind = PBT_UNIFORM, .low = -1, .high = 3},
    {.name = "g", .kind = PBT_INTEGER, .low = 1, .high = 5, .structural = true},
};
enum { HYPERS = sizeof ALL / sizeof *ALL, CATEGORY = 0, CHOICE, CONSTANT, INTEGER, LOG, LINEAR, STRUCTURAL };
static const PbtSpace SPACE = {ALL, HYPERS};

/* Where a value lies on its axis, 0 at the lower end and 1 at the upper. */
static double position(size_t which, double value) {
    switch (which) {
    case LOG: return log(value / 1e-5) / log(1e3);
    case LINEAR: return (value + 1) / 4;
    case INTEGER: return (value - 1) / 11;
    case STRUCTURAL: return (value - 1) / 4;
    case CONSTANT: return 0.5;
    default: return value == 1 ? 0 : value == 2 ? 1.0 / 3 : value == 5 ? 2.0 / 3 : 1;
    }
}

static double prior_variance(size_t which) {
    return which == CATEGORY || which == CHOICE ? 5.0 / 36
           : which == INTEGER                   ? 143 / (12 * 121.0)
           : which == STRUCTURAL                ? 1.0 / 8
           : which == CONSTANT                  ? 0
                                                : 1.0 / 12;
}

/* Mean and variance of positions are those of the prior, within four standard errors. */
static void check_prior(const char *what, double sum[HYPERS], double squares[HYPERS], double n) {
    for (size_t i = 0; i < HYPERS; i++) {
        double mean = sum[i] / n, variance = squares[i] / n - mean * mean, expected = prior_variance(i);
        if (fabs(mean - 0.5) > 4 * sqrt(expected / n) + 1e-12 ||
            fabs(variance - expected) > 4 * 0.15 / sqrt(n))
            fail_msg("%s: hyperparameter %s: mean %g, variance %g", what, ALL[i].name, mean, variance);
    }
}

static void test_prior(void **state) {
    (void)state;
    enum { DRAWS = 20000 };
    double values[HYPERS], kept[HYPERS], sum[HYPERS] = {0}, squares[HYPERS] = {0};
    assert_ok(pbt_space_check(&SPACE, &toy_error));
    for (uint64_t n = 0; n < DRAWS; n++) {
        pbt_space_sample(&SPACE, 11, n, values);
        memcpy(kept, values, sizeof values);
        assert_ok(pbt_space_keep(&SPACE, kept, &toy_error));
        assert_memory_equal(kept, values, sizeof values);
        for (size_t i = 0; i < HYPERS; i++) {
            double at = position(i, values[i]);
            sum[i] += at, squares[i] += at * at;
        }
    }
    check_prior("prior", sum, squares, DRAWS);
}

static void test_keep(void **state) {
    (void)state;
    double values[HYPERS] = {4, 1000, 3, 2.6, 1, -5, 9};
    const double legal[HYPERS] = {5, 10, 7, 3, 1e-2, -1, 5};
    assert_ok(pbt_space_keep(&SPACE, values, &toy_error));
    for (size_t i = 0; i < HYPERS; i++) assert_true(values[i] == legal[i]);
    values[LOG] = NAN;
    assert_refused(pbt_space_keep(&SPACE, values, &toy_error), STATUS_NOT_FINITE, "hyperparameter e is");
}

/* ---- explore ------------------------------------------------------------------------------------------- */

/* Members that start from the prior and are perturbed again and again, whatever they do: they stay within
 * bounds, and the population keeps the prior's distribution. */
static void test_no_drift(void **state) {
    (void)state;
    enum { RUNS = 4000, TIMES = 60 };
    PbtExplore explore = pbt_explore_default();
    double values[HYPERS], kept[HYPERS], sum[HYPERS] = {0}, squares[HYPERS] = {0};
    for (uint64_t run = 0; run < RUNS; run++) {
        pbt_space_sample(&SPACE, 12, run, values);
        double structural = values[STRUCTURAL], category = values[CATEGORY];
        for (uint64_t time = 0; time < TIMES; time++) {
            double before = values[INTEGER];
            pbt_explore_apply(&explore, &SPACE, random_key(13, run, "drift"), time, values);
            double moved = fabs(values[INTEGER] - before);
            assert_true(moved == 0 || moved >= 1);
            memcpy(kept, values, sizeof values);
            assert_ok(pbt_space_keep(&SPACE, kept, &toy_error));
            assert_memory_equal(kept, values, sizeof values);
        }
        assert_true(values[STRUCTURAL] == structural && values[CATEGORY] == category);
        for (size_t i = 0; i < HYPERS; i++) {
            double at = position(i, values[i]);
            sum[i] += at, squares[i] += at * at;
        }
    }
    check_prior("after perturbing", sum, squares, RUNS);
}

static void test_factors(void **state) {
    (void)state;
    enum { TRIES = 400 };
    PbtExplore explore = pbt_explore_default();
    int up = 0, neighbor = 0;
    for (uint64_t n = 0; n < TRIES; n++) {
        double values[HYPERS] = {5, 5, 7, 3, 1e-3, 1, 2};
        pbt_explore_apply(&explore, &SPACE, 14, n, values);
        assert_true(values[LOG] == 1e-3 * 0.8 || values[LOG] == 1e-3 * 1.25);
        assert_near(fabs(values[LINEAR] - 1), log(1.25) * 2, 1e-12);
        assert_true(values[CHOICE] == 2 || values[CHOICE] == 10);
        assert_true(values[INTEGER] >= 1 && values[INTEGER] <= 5);
        up += values[LOG] > 1e-3;
        neighbor += values[CHOICE] == 10;
    }
    assert_in_range(up, TRIES / 2 - 60, TRIES / 2 + 60);
    assert_in_range(neighbor, TRIES / 2 - 60, TRIES / 2 + 60);
}

/* Even a factor that leads far beyond a bound comes back from it. */
static void test_bounds(void **state) {
    (void)state;
    static const double FAR[] = {1e-9, 1e9, 3};
    PbtExplore explore = {.factor_count = 3, .chance = 1};
    memcpy(explore.factors, FAR, sizeof FAR);
    double values[HYPERS], kept[HYPERS];
    pbt_space_sample(&SPACE, 15, 0, values);
    for (uint64_t n = 0; n < 2000; n++) {
        pbt_explore_apply(&explore, &SPACE, 16, n, values);
        memcpy(kept, values, sizeof values);
        assert_ok(pbt_space_keep(&SPACE, kept, &toy_error));
        assert_memory_equal(kept, values, sizeof values);
    }
}

static void test_chances(void **state) {
    (void)state;
    enum { TRIES = 4000 };
    const double start[HYPERS] = {5, 5, 7, 3, 1e-3, 1, 2};
    PbtExplore explore = pbt_explore_default();
    int perturbed = 0, resampled = 0;
    explore.chance = 0.25, explore.resample = 0.4;
    for (uint64_t n = 0; n < TRIES; n++) {
        double values[HYPERS];
        memcpy(values, start, sizeof start);
        pbt_explore_apply(&explore, &SPACE, 17, n, values);
        bool factor = values[LOG] == 1e-3 * 0.8 || values[LOG] == 1e-3 * 1.25;
        perturbed += factor;
        resampled += !factor && values[LOG] != 1e-3;
        assert_true(values[STRUCTURAL] == 2 && values[CONSTANT] == 7);
    }
    assert_near(resampled / (double)TRIES, 0.4, 0.035);
    assert_near(perturbed / (double)TRIES, 0.6 * 0.25, 0.025);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_explore_refusals),
        cmocka_unit_test(test_prior),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_no_drift),
        cmocka_unit_test(test_factors),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_chances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
