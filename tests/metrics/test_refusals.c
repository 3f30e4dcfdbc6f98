/* Bad input: what is refused, and what the message says; what is computed, but flagged. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "metrics/metrics.h"
#include "tests/metrics/check.h"
#include "tests/metrics/rows.h"

enum { ROWS = 20, COLUMNS = 4 };

static Error error;

/* Every metric of two sets of rows, under one signature. */
static Status of_frechet(Matrix x, Matrix y) {
    FrechetDistance out;
    return frechet_distance_rows(x, y, &out, &error);
}

static Status of_kernel(Matrix x, Matrix y) {
    KernelDistance out;
    return kernel_distance(x, y, false, &out, &error);
}

static Status of_subsets(Matrix x, Matrix y) {
    KernelSubsets out;
    return kernel_distance_subsets(x, y, 2, 2, &out, &error);
}

static Status of_prdc(Matrix x, Matrix y) {
    Prdc out;
    return prdc(x, NULL, y, 1, PRDC_TIES_ORIGINAL, &out, &error);
}

static Status of_memorization(Matrix x, Matrix y) {
    Memorization out;
    return memorization(x, y, y, &out, &error);
}

static Status of_memorization_generated(Matrix x, Matrix y) {
    Memorization out;
    return memorization(x, x, y, &out, &error);
}

static Status (*const METRICS[])(Matrix x, Matrix y) = {
    of_frechet, of_kernel, of_subsets, of_prdc, of_memorization, of_memorization_generated};
enum { METRIC_COUNT = sizeof METRICS / sizeof *METRICS };

static Matrix rows_of(double data[ROWS * COLUMNS], uint64_t seed) {
    rows_fill(data, ROWS, COLUMNS, seed, 1, 0);
    return (Matrix){data, ROWS, COLUMNS};
}

static void test_one_row(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    Matrix x = rows_of(a, 1), y = rows_of(b, 2), one = {b, 1, COLUMNS}, none = {NULL, 0, COLUMNS};
    for (size_t k = 0; k < METRIC_COUNT; k++) {
        assert_ok(METRICS[k](x, y));
        assert_refused(METRICS[k](x, one), STATUS_INVALID, ": 1 row; at least two are needed");
        assert_refused(METRICS[k](one, y), STATUS_INVALID, ": 1 row; at least two are needed");
        assert_refused(METRICS[k](x, none), STATUS_INVALID, ": 0 rows; at least two are needed");
    }
    ClassifierScore score;
    double radius;
    assert_refused(classifier_score_logits(one, NULL, &score, &error), STATUS_INVALID,
                   "1 row for 1 split; at least two");
    assert_refused(prdc_radii(one, 1, &radius, &error), STATUS_INVALID, "at least two");
    assert_refused(memorization_nearest(x, one, &radius, NULL, &error), STATUS_INVALID,
                   "training: 1 row; at least two");
}

static void test_not_finite(void **state) {
    (void)state;
    const struct {
        double value;
        const char *text;
    } bad[] = {{NAN, "row 3, column 2 (counted from 1) is "},
               {INFINITY, "row 3, column 2 (counted from 1) is inf"},
               {-INFINITY, "row 3, column 2 (counted from 1) is -inf"}};
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Matrix x = rows_of(a, 1), y = rows_of(b, 2);
        b[2 * COLUMNS + 1] = bad[i].value;
        for (size_t k = 0; k < METRIC_COUNT; k++) {
            assert_refused(METRICS[k](x, y), STATUS_NOT_FINITE, bad[i].text);
            assert_refused(METRICS[k](y, x), STATUS_NOT_FINITE, bad[i].text);
        }
        ClassifierScore score;
        double out[ROWS];
        uint32_t mode[ROWS];
        bool good[ROWS];
        assert_refused(classifier_score_logits(y, NULL, &score, &error), STATUS_NOT_FINITE, bad[i].text);
        assert_refused(prdc_radii(y, 1, out, &error), STATUS_NOT_FINITE, bad[i].text);
        assert_refused(memorization_nearest(y, x, out, NULL, &error), STATUS_NOT_FINITE, bad[i].text);
        assert_refused(modes_nearest_center(y, x, 1, 3, mode, good, &error), STATUS_NOT_FINITE, bad[i].text);
        assert_refused(modes_nearest_center(x, y, 1, 3, mode, good, &error), STATUS_NOT_FINITE, bad[i].text);
    }
}

static void test_whose_row(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    Matrix x = rows_of(a, 1), y = rows_of(b, 2);
    b[0] = NAN;
    assert_refused(of_frechet(x, y), STATUS_NOT_FINITE, "y: row 1, column 1");
    assert_refused(of_kernel(y, x), STATUS_NOT_FINITE, "x: row 1, column 1");
    assert_refused(of_prdc(x, y), STATUS_NOT_FINITE, "fake: row 1, column 1");
    assert_refused(of_prdc(y, x), STATUS_NOT_FINITE, "real: row 1, column 1");
    assert_refused(of_memorization(y, x), STATUS_NOT_FINITE, "training: row 1, column 1");
    assert_refused(of_memorization(x, y), STATUS_NOT_FINITE, "held-out: row 1, column 1");
    assert_refused(of_memorization_generated(x, y), STATUS_NOT_FINITE, "generated: row 1, column 1");
}

/* In a stream the row is counted from the first chunk on, and what was there stays as it was. */
static void test_not_finite_in_a_stream(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    float floats[ROWS * COLUMNS] = {0};
    Matrix x = rows_of(a, 1), y = rows_of(b, 2);
    b[7 * COLUMNS + 3] = NAN;
    floats[2] = INFINITY;
    FrechetStatistics statistics;
    assert_ok(frechet_statistics_new(&statistics, COLUMNS, &error));
    assert_ok(frechet_statistics_add(&statistics, x, &error));
    double before = statistics.values[COLUMNS];
    assert_refused(frechet_statistics_add(&statistics, y, &error), STATUS_NOT_FINITE, "row 28, column 4");
    assert_refused(frechet_statistics_add_float(&statistics, floats, 2, COLUMNS, &error), STATUS_NOT_FINITE,
                   "row 21, column 3");
    assert_int_equal(statistics.rows, ROWS);
    assert_near(statistics.values[COLUMNS], before, 0);
    frechet_statistics_free(&statistics);

    Predictions predictions = {0};
    assert_refused(predictions_add(&predictions, y, &error), STATUS_NOT_FINITE, "row 8, column 4");
    assert_ok(predictions_add(&predictions, x, &error));
    assert_refused(predictions_add(&predictions, y, &error), STATUS_NOT_FINITE, "row 28, column 4");
    assert_refused(predictions_add_float(&predictions, floats, 2, COLUMNS, &error), STATUS_NOT_FINITE,
                   "row 21, column 3");
    assert_int_equal(predictions.rows, ROWS);
    predictions_free(&predictions);
}

static void test_widths(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    Matrix x = rows_of(a, 1), y = rows_of(b, 2), none = {a, 5, 0};
    y.rows = 10;
    y.columns = 7;
    for (size_t k = 0; k < METRIC_COUNT; k++) {
        assert_refused(METRICS[k](x, y), STATUS_INVALID, "has 4 columns, ");
        assert_refused(METRICS[k](x, y), STATUS_INVALID, " has 7; ");
        assert_refused(METRICS[k](none, none), STATUS_INVALID, "5 rows and 0 columns; at least one column");
    }
    double out[ROWS];
    uint32_t mode[ROWS];
    bool good[ROWS];
    assert_refused(memorization_nearest(y, x, out, NULL, &error), STATUS_INVALID,
                   "training has 4 columns, queries have 7");
    assert_refused(modes_nearest_center(x, y, 1, 3, mode, good, &error), STATUS_INVALID,
                   "points have 4 columns, and 10 centers have 7");

    Predictions predictions = {0};
    assert_ok(predictions_add(&predictions, x, &error));
    assert_refused(predictions_add(&predictions, y, &error), STATUS_INVALID, "7 columns, after rows of 4");
    predictions_free(&predictions);

    FrechetStatistics four, seven;
    FrechetDistance distance;
    assert_ok(frechet_statistics_new(&four, 4, &error));
    assert_ok(frechet_statistics_new(&seven, 7, &error));
    assert_ok(frechet_statistics_add(&four, x, &error));
    assert_ok(frechet_statistics_add(&seven, y, &error));
    assert_refused(frechet_statistics_add(&four, y, &error), STATUS_INVALID,
                   "have 4 columns, the new rows 7");
    assert_refused(frechet_statistics_merge(&four, &seven, &error), STATUS_INVALID, "4 columns and 7");
    assert_refused(frechet_distance(&four, &seven, &distance, &error), STATUS_INVALID,
                   "x has 4 columns, y has 7");
    frechet_statistics_free(&four);
    frechet_statistics_free(&seven);
}

static void test_few_rows_are_flagged(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    Matrix x = rows_of(a, 1), y = rows_of(b, 2);
    for (size_t rows = 3; rows <= 4; rows++) {
        y.rows = rows;
        FrechetDistance frechet;
        KernelDistance kernel;
        KernelSubsets subsets;
        Prdc four;
        Memorization memory;
        assert_ok(frechet_distance_rows(x, y, &frechet, &error));
        assert_int_equal(frechet.few_rows, rows < COLUMNS);
        assert_true(isfinite(frechet.distance));
        assert_ok(kernel_distance(x, y, false, &kernel, &error));
        assert_int_equal(kernel.few_rows, rows < COLUMNS);
        assert_ok(kernel_distance_subsets(x, y, 1, rows, &subsets, &error));
        assert_int_equal(subsets.few_rows, rows < COLUMNS);
        assert_ok(prdc(x, NULL, y, 1, PRDC_TIES_ORIGINAL, &four, &error));
        assert_int_equal(four.few_rows, rows < COLUMNS);
        assert_ok(memorization(x, x, y, &memory, &error));
        assert_int_equal(memory.few_rows, rows < COLUMNS);
    }
}

static void test_too_large(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS], out[ROWS];
    Matrix x = rows_of(a, 1), y = rows_of(b, 2);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) b[i] *= 1e200;
    for (size_t k = 0; k < METRIC_COUNT; k++)
        assert_refused(METRICS[k](x, y), STATUS_NOT_FINITE, "too large");
    assert_refused(prdc_radii(y, 1, out, &error), STATUS_NOT_FINITE, "too large");
    /* Logits cannot be too large: the softmax is taken from differences. */
    ClassifierScore score;
    for (size_t i = 0; i < ROWS * COLUMNS; i++) b[i] = i % 5 ? -1.7e308 : 1.7e308;
    assert_ok(classifier_score_logits(y, NULL, &score, &error));
    assert_true(isfinite(score.mean) && isfinite(score.bootstrap_deviation));
}

static void test_classifier_score(void **state) {
    (void)state;
    double a[ROWS * COLUMNS];
    Matrix x = rows_of(a, 1);
    ClassifierScore score;
    Predictions empty = {0};
    assert_refused(classifier_score(&empty, NULL, &score, &error), STATUS_INVALID, "0 rows for 1 split;");
    assert_refused(classifier_score_logits(x, &(ClassifierScoreOptions){.splits = 21}, &score, &error),
                   STATUS_INVALID, "20 rows for 21 splits;");
    assert_ok(classifier_score_logits(x, &(ClassifierScoreOptions){.splits = 20}, &score, &error));
    assert_near(score.mean, 1, 1e-14); /* a row alone does not differ from its mean */
}

static void test_neighbors(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS], radii[ROWS];
    Matrix x = rows_of(a, 1), y = rows_of(b, 2);
    Prdc out;
    y.rows = 5;
    assert_refused(prdc(x, NULL, y, 0, PRDC_TIES_OUT, &out, &error), STATUS_INVALID,
                   "real: neighbor 0 of 20 rows");
    assert_refused(prdc(x, NULL, y, 20, PRDC_TIES_OUT, &out, &error), STATUS_INVALID,
                   "real: neighbor 20 of 20 rows");
    assert_refused(prdc(x, NULL, y, 5, PRDC_TIES_OUT, &out, &error), STATUS_INVALID,
                   "fake: neighbor 5 of 5 rows");
    assert_ok(prdc(x, NULL, y, 4, PRDC_TIES_OUT, &out, &error));
    assert_refused(prdc_radii(x, 20, radii, &error), STATUS_INVALID, "neighbor 20 of 20 rows");
    assert_ok(prdc_radii(x, 19, radii, &error));
    radii[3] = NAN; /* as from a damaged file */
    assert_refused(prdc(x, radii, y, 4, PRDC_TIES_OUT, &out, &error), STATUS_NOT_FINITE, "real: row 4");
    radii[3] = -1;
    assert_refused(prdc(x, radii, y, 4, PRDC_TIES_OUT, &out, &error), STATUS_NOT_FINITE, "real: row 4");
}

static void test_kernel_subsets(void **state) {
    (void)state;
    double a[ROWS * COLUMNS], b[ROWS * COLUMNS];
    Matrix x = rows_of(a, 1), y = rows_of(b, 2);
    KernelSubsets out;
    y.rows = 10;
    assert_refused(kernel_distance_subsets(x, y, 0, 5, &out, &error), STATUS_INVALID, "0 subsets of 5 rows");
    assert_refused(kernel_distance_subsets(x, y, 1, 1, &out, &error), STATUS_INVALID, "1 subsets of 1 rows");
    assert_refused(kernel_distance_subsets(x, y, 1, 11, &out, &error), STATUS_INVALID, "of 20 and 10");
    assert_refused(kernel_distance_subsets(y, x, 1, 11, &out, &error), STATUS_INVALID, "of 10 and 20");
}

static void test_frechet_statistics(void **state) {
    (void)state;
    double a[ROWS * COLUMNS];
    Matrix x = rows_of(a, 1);
    FrechetStatistics statistics, good;
    FrechetDistance out;
    assert_refused(frechet_statistics_new(&statistics, 0, &error), STATUS_INVALID, "0 features");
    assert_refused(frechet_statistics_new(&statistics, FRECHET_MOST_COLUMNS + 1, &error), STATUS_INVALID,
                   "16385 features; 1 to 16384");
    assert_ok(frechet_statistics_new(&good, COLUMNS, &error));
    assert_ok(frechet_statistics_add(&good, x, &error));
    assert_ok(frechet_statistics_new(&statistics, COLUMNS, &error));
    x.rows = 1;
    assert_ok(frechet_statistics_add(&statistics, x, &error));
    assert_refused(frechet_distance(&good, &statistics, &out, &error), STATUS_INVALID,
                   "y: statistics of 1 row");
    assert_ok(frechet_statistics_add(&statistics, x, &error));
    assert_ok(frechet_distance(&good, &statistics, &out, &error));
    statistics.values[1] = NAN; /* as from a damaged file */
    assert_refused(frechet_distance(&statistics, &good, &out, &error), STATUS_NOT_FINITE,
                   "x: mean or covariance");
    statistics.values[1] = 0;
    statistics.values[COLUMNS + COLUMNS + 1] = -1;
    assert_refused(frechet_distance(&statistics, &good, &out, &error), STATUS_INVALID,
                   "variance of feature 2");
    frechet_statistics_free(&statistics);
    frechet_statistics_free(&good);
}

static void test_labels(void **state) {
    (void)state;
    const uint32_t labels[] = {0, 3, 10}, small[] = {0, 1, 2};
    const size_t counts[] = {1, 2}, zeros[] = {0, 0};
    size_t out[10];
    uint32_t mode[3];
    ModeCoverage modes;
    HistogramSummary summary;
    assert_refused(histogram_count(labels, 3, 10, out, &error), STATUS_INVALID,
                   "sample 3 (counted from 1) is of class 10");
    assert_refused(modes_coverage(labels, NULL, 3, 10, &modes, &error), STATUS_INVALID, "is of class 10");
    assert_refused(modes_coverage(labels, NULL, 0, 10, &modes, &error), STATUS_INVALID,
                   "0 samples of 10 modes");
    assert_refused(modes_stack(small, labels, small, 3, mode, &error), STATUS_INVALID,
                   "sample 3 (counted from 1) has the digits 2, 10, 2");
    assert_refused(histogram_summary(zeros, NULL, 2, &summary, &error), STATUS_INVALID, "it has no samples");
    assert_refused(histogram_summary(counts, zeros, 2, &summary, &error), STATUS_INVALID,
                   "the reference has no samples");
}

static void test_centers(void **state) {
    (void)state;
    const double points[] = {0, 1};
    uint32_t mode[2];
    bool good[2];
    Matrix p = {points, 2, 1};
    assert_refused(modes_nearest_center(p, p, 0, 3, mode, good, &error), STATUS_INVALID,
                   "both must be above 0");
    assert_refused(modes_nearest_center(p, p, 1, NAN, mode, good, &error), STATUS_INVALID,
                   "both must be above 0");
    assert_refused(modes_nearest_center(p, (Matrix){points, 0, 1}, 1, 3, mode, good, &error), STATUS_INVALID,
                   "0 centers");
}

static void test_memorization_distances(void **state) {
    (void)state;
    const double good[] = {1, 2}, bad[] = {1, -2};
    Memorization out;
    assert_ok(memorization_compare(good, 2, good, 2, &out, &error));
    assert_refused(memorization_compare(good, 1, good, 2, &out, &error), STATUS_INVALID,
                   "generated: 1 distance;");
    assert_refused(memorization_compare(good, 2, good, 1, &out, &error), STATUS_INVALID,
                   "held-out: 1 distance;");
    assert_refused(memorization_compare(good, 2, bad, 2, &out, &error), STATUS_NOT_FINITE, "held-out: row 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_row),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_whose_row),
        cmocka_unit_test(test_not_finite_in_a_stream),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_few_rows_are_flagged),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_classifier_score),
        cmocka_unit_test(test_neighbors),
        cmocka_unit_test(test_kernel_subsets),
        cmocka_unit_test(test_frechet_statistics),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_centers),
        cmocka_unit_test(test_memorization_distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
