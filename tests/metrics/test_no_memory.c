/* Every allocation of every metric fails once: the metric says so, leaks nothing, and what it was to add to
 * is as it was. Linked with the allocator watched: see tests/support/alloc.h. */
#include "base/memory.h"
#include "metrics/metrics.h"
#include "tests/metrics/check.h"
#include "tests/metrics/rows.h"
#include "tests/support/alloc.h"

enum { ROWS = 40, COLUMNS = 5, MOST_CALLS = 100 };

static double x_data[ROWS * COLUMNS], y_data[ROWS * COLUMNS];
static float floats[ROWS * COLUMNS];
static const Matrix X = {x_data, ROWS, COLUMNS}, Y = {y_data, ROWS, COLUMNS};

static Status run_classifier_score(Error *error) {
    ClassifierScore out;
    return classifier_score_logits(X, NULL, &out, error);
}

static Status run_predictions(Error *error) {
    Predictions predictions = {0};
    Status status = STATUS_OK;
    for (size_t i = 0; !status && i < ROWS; i += 10) {
        size_t before = predictions.rows;
        status = predictions_add_float(&predictions, floats + i * COLUMNS, 10, COLUMNS, error);
        assert_int_equal(predictions.rows, status ? before : before + 10);
    }
    predictions_free(&predictions);
    return status;
}

static Status run_frechet(Error *error) {
    FrechetDistance out;
    return frechet_distance_rows(X, Y, &out, error);
}

static Status run_frechet_statistics(Error *error) {
    FrechetStatistics a = {0}, b = {0};
    Status status = frechet_statistics_new(&a, COLUMNS, error);
    if (!status) status = frechet_statistics_new(&b, COLUMNS, error);
    if (!status) status = frechet_statistics_add_float(&a, floats, ROWS, COLUMNS, error);
    if (!status) status = frechet_statistics_add(&b, Y, error);
    if (!status) status = frechet_statistics_merge(&a, &b, error);
    frechet_statistics_free(&a);
    frechet_statistics_free(&b);
    return status;
}

static Status run_kernel(Error *error) {
    KernelDistance out;
    return kernel_distance(X, Y, false, &out, error);
}

static Status run_kernel_subsets(Error *error) {
    KernelSubsets out;
    return kernel_distance_subsets(X, Y, 2, 10, &out, error);
}

static Status run_prdc(Error *error) {
    Prdc out;
    return prdc(X, NULL, Y, 3, PRDC_TIES_ORIGINAL, &out, error);
}

static Status run_prdc_radii(Error *error) {
    double radii[ROWS];
    return prdc_radii(X, 3, radii, error);
}

static Status run_modes(Error *error) {
    const uint32_t mode[] = {1, 2, 3};
    ModeCoverage out;
    return modes_coverage(mode, NULL, 3, 10, &out, error);
}

static Status run_memorization(Error *error) {
    Memorization out;
    return memorization(X, Y, Y, &out, error);
}

static Status run_memorization_nearest(Error *error) {
    double distances[ROWS];
    return memorization_nearest(X, Y, distances, NULL, error);
}

static Status (*const RUNS[])(Error *error) = {
    run_classifier_score,
    run_predictions,
    run_frechet,
    run_frechet_statistics,
    run_kernel,
    run_kernel_subsets,
    run_prdc,
    run_prdc_radii,
    run_modes,
    run_memorization,
    run_memorization_nearest,
};

static void test_each_allocation_fails(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof RUNS / sizeof *RUNS; k++) {
        size_t nth = 0;
        bool refused = true;
        while (refused) {
            assert_true(++nth < MOST_CALLS);
            Error error = {0};
            ptrdiff_t before = alloc_live();
            alloc_refuse(nth, false);
            Status status = RUNS[k](&error);
            refused = alloc_refused();
            alloc_refuse(0, false);
            assert_int_equal(alloc_live(), before);
            assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
            assert_int_equal(error.status, status);
        }
        assert_true(nth > 1); /* at least one was refused */
    }
}

static int fill(void **state) {
    (void)state;
    rows_fill(x_data, ROWS, COLUMNS, 1, 1, 0);
    rows_fill(y_data, ROWS, COLUMNS, 2, 1, 0.5);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) floats[i] = (float)x_data[i];
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails)};
    return cmocka_run_group_tests(tests, fill, NULL);
}
