/* Known values, worked out by hand or published with the formulas. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "metrics/metrics.h"
#include "tests/metrics/check.h"

static Error error;

enum { ROWS = 40, COLUMNS = 5 };

static Matrix sines(double data[ROWS * COLUMNS]) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) data[i * COLUMNS + j] = sin(0.37 * i + 1.3 * j + 0.11 * i * j);
    return (Matrix){data, ROWS, COLUMNS};
}

static Matrix cosines(double data[ROWS * COLUMNS]) {
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            data[i * COLUMNS + j] = 1.2 * cos(0.21 * i + 0.9 * j + 0.07 * i * j) + 0.1 * j;
    return (Matrix){data, ROWS, COLUMNS};
}

static void test_inputs(void **state) {
    (void)state;
    double x[ROWS * COLUMNS], y[ROWS * COLUMNS], x_sum = 0, y_sum = 0;
    sines(x);
    cosines(y);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        x_sum += x[i];
        y_sum += y[i];
    }
    assert_near(x_sum, -1.55961558302, 1e-11);
    assert_near(y_sum, 35.1826175505, 1e-11);
}

/* ---- classifier score ---------------------------------------------------------------------------------- */

static ClassifierScore score(const double *logits, size_t rows, size_t classes, size_t splits) {
    ClassifierScore out;
    ClassifierScoreOptions options = {.splits = splits, .keep_order = true};
    assert_ok(classifier_score_logits((Matrix){logits, rows, classes}, &options, &out, &error));
    return out;
}

static void test_equal_logits(void **state) {
    (void)state;
    double logits[100 * 10] = {0};
    assert_near(score(logits, 100, 10, 1).mean, 1, 1e-10);
}

static void test_certain_and_balanced(void **state) {
    (void)state;
    double logits[100 * 10] = {0};
    for (int i = 0; i < 100; i++) logits[i * 10 + i % 10] = 1000;
    assert_near(score(logits, 100, 10, 1).mean, 10, 1e-10);
    for (int i = 0; i < 1000; i++) logits[i] -= 1000; /* 0 and −1000 */
    assert_near(score(logits, 100, 10, 1).mean, 10, 1e-10);
}

static void test_one_class_only(void **state) {
    (void)state;
    double logits[100 * 10] = {0};
    for (int i = 0; i < 100; i++) logits[i * 10 + 3] = 1000;
    assert_near(score(logits, 100, 10, 1).mean, 1, 1e-10);
    assert_near(score(logits, 1000, 1, 1).mean, 1, 1e-10); /* a classifier of one class */
}

static void test_nine_tenths(void **state) {
    (void)state;
    double logits[100 * 10];
    for (int i = 0; i < 1000; i++) logits[i] = log(0.1 / 9);
    for (int i = 0; i < 100; i++) logits[i * 10 + i % 10] = log(0.9);
    assert_near(score(logits, 100, 10, 1).mean, 5.799546134795291, 1e-10);
}

static void test_splits_in_order(void **state) {
    (void)state;
    double logits[20 * 2] = {0};
    for (int i = 0; i < 20; i++) logits[i * 2 + i / 10] = 1000;
    assert_near(score(logits, 20, 2, 1).mean, 2, 1e-10);
    assert_near(score(logits, 20, 2, 2).mean, 1, 1e-10);
    assert_near(score(logits, 20, 2, 2).whole, 2, 1e-10);
    assert_near(score(logits, 20, 2, 2).deviation, 0, 1e-10);
    /* Shuffled, which is the default, both splits see both classes. */
    ClassifierScore shuffled;
    ClassifierScoreOptions options = {.splits = 2};
    assert_ok(classifier_score_logits((Matrix){logits, 20, 2}, &options, &shuffled, &error));
    assert_true(shuffled.mean > 1.3);
}

static void test_splits_of_sines(void **state) {
    (void)state;
    double logits[50 * 10];
    for (int i = 0; i < 50; i++)
        for (int j = 0; j < 10; j++) logits[i * 10 + j] = 3 * sin(0.7 * i + 1.3 * j + 0.01 * i * j);
    assert_near(score(logits, 50, 10, 1).mean, 2.30684439925453, 1e-10);
    assert_near(score(logits, 50, 10, 5).mean, 2.27161785996282, 1e-10);
    assert_near(score(logits, 50, 10, 5).deviation, 0.0189981719404284, 1e-10);
}

/* ---- Fréchet distance ---------------------------------------------------------------------------------- */

static void test_frechet_of_pairs(void **state) {
    (void)state;
    double reals[200], fakes[200];
    for (int i = 0; i < 100; i++) {
        reals[2 * i] = i < 50 ? 2 : 1;
        reals[2 * i + 1] = 1;
        fakes[2 * i] = i < 50 ? 9 : 2;
        fakes[2 * i + 1] = 9;
    }
    FrechetDistance out;
    assert_ok(frechet_distance_rows((Matrix){reals, 100, 2}, (Matrix){fakes, 100, 2}, &out, &error));
    assert_near(out.distance, 980.0 / 11, 1e-10);
    assert_near(out.mean_part + out.covariance_part, out.distance, 1e-15);
    assert_near(out.mean_part, 16 + 64, 1e-10);
    assert_false(out.few_rows);
}

/* Statistics of a Gaussian in the plane with mean 0 that are not taken from rows, as they may come from a
 * file. */
static FrechetStatistics plane(double xx, double xy, double yy) {
    FrechetStatistics out;
    assert_ok(frechet_statistics_new(&out, 2, &error));
    assert_int_equal(frechet_statistics_count(2), 6);
    out.rows = 11;
    out.values[2] = 10 * xx;
    out.values[3] = 10 * xy;
    out.values[5] = 10 * yy;
    return out;
}

static void test_frechet_of_rotated(void **state) {
    (void)state;
    FrechetStatistics straight = plane(4, 0, 1), rotated = plane(2.5, 1.5, 2.5);
    FrechetDistance out;
    assert_ok(frechet_distance(&straight, &rotated, &out, &error));
    assert_near(out.distance, 0.9446148618625845, 1e-10);
    assert_ok(frechet_distance(&rotated, &straight, &out, &error));
    assert_near(out.distance, 0.9446148618625845, 1e-10);
    frechet_statistics_free(&straight);
    frechet_statistics_free(&rotated);
}

static void test_frechet_of_sines(void **state) {
    (void)state;
    double x[ROWS * COLUMNS], y[ROWS * COLUMNS];
    FrechetDistance out;
    assert_ok(frechet_distance_rows(sines(x), cosines(y), &out, &error));
    assert_near(out.distance, 0.452777065117, 1e-10);
}

/* ---- kernel distance ----------------------------------------------------------------------------------- */

static double kernel(Matrix x, Matrix y, bool biased) {
    KernelDistance out;
    assert_ok(kernel_distance(x, y, biased, &out, &error));
    return out.distance;
}

static void test_kernel(void **state) {
    (void)state;
    double a[] = {0, 1}, b[] = {0, 2}, x[ROWS * COLUMNS], y[ROWS * COLUMNS];
    assert_near(kernel((Matrix){a, 2, 1}, (Matrix){b, 2, 1}, false), -13, 1e-10);
    assert_near(kernel((Matrix){a, 2, 1}, (Matrix){b, 2, 1}, true), 19.75, 1e-10);
    assert_near(kernel(sines(x), cosines(y), false), 0.146955419619, 1e-10);
    assert_near(kernel(sines(x), cosines(y), true), 0.312263293127, 1e-10);
}

/* ---- precision, recall, density, coverage -------------------------------------------------------------- */

static void assert_prdc(Matrix reals, Matrix fakes, size_t k, PrdcTies ties, double precision, double recall,
                        double density, double coverage) {
    Prdc out;
    assert_ok(prdc(reals, NULL, fakes, k, ties, &out, &error));
    assert_near(out.precision, precision, 1e-10);
    assert_near(out.recall, recall, 1e-10);
    assert_near(out.density, density, 1e-10);
    assert_near(out.coverage, coverage, 1e-10);
}

static void test_prdc(void **state) {
    (void)state;
    double reals[] = {0, 1, 2, 3, 10}, fakes[] = {0.5, 1.5, 2.5, 9, 20};
    for (PrdcTies ties = PRDC_TIES_ORIGINAL; ties <= PRDC_TIES_IN; ties++) {
        assert_prdc((Matrix){reals, 5, 1}, (Matrix){fakes, 5, 1}, 1, ties, .8, 1, 1.4, 1);
        assert_prdc((Matrix){reals, 5, 1}, (Matrix){fakes, 5, 1}, 2, ties, .8, 1, 1, 1);
    }
    /* The fake rows lie in 2, 2, 2, 1 and 0 balls: a variance of .8, and a fifth of it for the mean. */
    Prdc out;
    assert_ok(prdc((Matrix){reals, 5, 1}, NULL, (Matrix){fakes, 5, 1}, 1, PRDC_TIES_ORIGINAL, &out, &error));
    assert_near(out.density_deviation, .4, 1e-12);
}

static void test_prdc_ties(void **state) {
    (void)state;
    double reals[] = {0, 1, 2}, fakes[] = {3, 5};
    Matrix r = {reals, 3, 1}, f = {fakes, 2, 1};
    assert_prdc(r, f, 1, PRDC_TIES_OUT, 0, 1.0 / 3, 0, 0);
    assert_prdc(r, f, 1, PRDC_TIES_IN, .5, 2.0 / 3, .5, 1.0 / 3);
    assert_prdc(r, f, 1, PRDC_TIES_ORIGINAL, .5, 2.0 / 3, 0, 0);
}

static void test_prdc_of_sines(void **state) {
    (void)state;
    double x[ROWS * COLUMNS], y[ROWS * COLUMNS];
    assert_prdc(sines(x), cosines(y), 3, PRDC_TIES_OUT, 1, .8, 101.0 / 120, .85); /* .8416667 */
    memcpy(y, x, sizeof y);
    assert_prdc((Matrix){x, ROWS, COLUMNS}, (Matrix){y, ROWS, COLUMNS}, 3, PRDC_TIES_ORIGINAL, 1, 1, 1, 1);
    assert_prdc((Matrix){x, ROWS, COLUMNS}, (Matrix){y, ROWS, COLUMNS}, 3, PRDC_TIES_OUT, 1, 1, 1, 1);
}

/* ---- modes --------------------------------------------------------------------------------------------- */

static void test_modes_tenth(void **state) {
    (void)state;
    uint32_t mode[5000];
    for (uint32_t i = 0; i < 5000; i++) mode[i] = i % 100 * 7;
    ModeCoverage out;
    assert_ok(modes_coverage(mode, NULL, 5000, 1000, &out, &error));
    assert_int_equal(out.hit, 100);
    assert_near(out.reverse_kl, log(10), 1e-10);
    assert_near(out.high_quality, 1, 0);
}

static void test_modes_uniform(void **state) {
    (void)state;
    enum { SAMPLES = 26000 };
    static uint32_t mode[SAMPLES];
    uint64_t key = random_key(7, 0, "test modes");
    for (uint64_t i = 0; i < SAMPLES; i++) mode[i] = (uint32_t)random_integer_at(key, 0, i, MODES_STACKED);
    ModeCoverage out;
    assert_ok(modes_coverage(mode, NULL, SAMPLES, MODES_STACKED, &out, &error));
    assert_int_equal(out.hit, 1000);
    assert_true(fabs(out.reverse_kl - 0.0196) < 3 * 0.0008);
}

static void test_modes_of_a_ring(void **state) {
    (void)state;
    double centers[16], points[10 * 2] = {0};
    for (int k = 0; k < 8; k++) {
        centers[2 * k] = cos(k * acos(-1) / 4);
        centers[2 * k + 1] = sin(k * acos(-1) / 4);
    }
    /* Two at each of centers 0 and 1, one 3 deviations from center 2, one a little more from center 3, four
     * at the origin, which is as near to one as to another. */
    memcpy(points, centers, 4 * sizeof *points);
    memcpy(points + 4, centers, 4 * sizeof *points);
    points[8] = centers[4];
    points[9] = centers[5] + 0.06;
    points[10] = centers[6];
    points[11] = centers[7] + 0.0601;
    uint32_t mode[10];
    bool good[10];
    const double pair[] = {0, 2}, between[] = {1};
    assert_ok(modes_nearest_center((Matrix){between, 1, 1}, (Matrix){pair, 2, 1}, 1, 3, mode, good, &error));
    assert_int_equal(mode[0], 0); /* the first of equals */
    assert_ok(modes_nearest_center((Matrix){points, 10, 2}, (Matrix){centers, 8, 2}, 0.02000001, 3, mode,
                                   good, &error));
    const uint32_t expected[] = {0, 1, 0, 1, 2, 3};
    assert_memory_equal(mode, expected, sizeof expected);
    ModeCoverage out;
    assert_ok(modes_coverage(mode, good, 10, 8, &out, &error));
    assert_int_equal(out.hit, 3);
    assert_near(out.high_quality, .5, 1e-15);
}

static void test_modes_stacked(void **state) {
    (void)state;
    const uint32_t first[] = {0, 9, 1}, second[] = {0, 9, 2}, third[] = {0, 9, 3}, expected[] = {0, 999, 123};
    uint32_t mode[3];
    assert_ok(modes_stack(first, second, third, 3, mode, &error));
    assert_memory_equal(mode, expected, sizeof mode);
}

/* ---- histogram ----------------------------------------------------------------------------------------- */

static void test_histogram(void **state) {
    (void)state;
    const uint32_t labels[] = {0, 1, 1, 3};
    size_t counts[4];
    const size_t reference[] = {30, 10, 0, 0}, expected[] = {1, 2, 0, 1};
    HistogramSummary out;
    assert_ok(histogram_count(labels, 4, 4, counts, &error));
    assert_memory_equal(counts, expected, sizeof counts);
    assert_ok(histogram_summary(counts, reference, 4, &out, &error));
    assert_near(out.entropy, 1.5 * log(2), 1e-14);
    assert_near(out.effective, exp2(1.5), 1e-14);
    assert_near(out.total_variation, .5, 1e-14);
    assert_ok(histogram_summary(counts, NULL, 4, &out, &error));
    assert_near(out.total_variation, .25, 1e-14);
    assert_ok(histogram_summary(reference, counts, 4, &out, &error));
    assert_near(out.total_variation, .5, 1e-14);
}

/* ---- memorization -------------------------------------------------------------------------------------- */

static void test_memorization(void **state) {
    (void)state;
    /* Training rows at 0, 10, 20, ...: held-out rows are 1 to 4 away, generated ones are copies but for two.
     */
    double training[10], held_out[101], generated[] = {0, 10, 20, 30.5, 43};
    size_t nearest[5];
    double distances[5];
    for (int i = 0; i < 10; i++) training[i] = 10 * i;
    for (int i = 0; i < 101; i++) held_out[i] = 50 + 1 + 3 * i / 100.0;
    Matrix t = {training, 10, 1}, h = {held_out, 101, 1}, g = {generated, 5, 1};
    Memorization out;
    assert_ok(memorization(t, h, g, &out, &error));
    assert_near(out.held_out_median, 2.5, 1e-12);
    assert_near(out.held_out_mean, 2.5, 1e-12);
    assert_near(out.near_distance, 1.03, 1e-12);
    assert_near(out.generated_median, 0, 0);
    assert_near(out.generated_mean, .7, 1e-12);
    assert_near(out.ratio, 0, 0);
    assert_near(out.near_share, .8, 1e-12);
    assert_near(out.exact_share, .6, 1e-12);
    assert_ok(memorization_nearest(g, t, distances, nearest, &error));
    assert_near(distances[3], .5, 1e-12);
    const size_t expected[] = {0, 1, 2, 3, 4};
    assert_memory_equal(nearest, expected, sizeof expected);
    training[2] = 10; /* of equals, the first */
    assert_ok(memorization_nearest(g, t, distances, nearest, &error));
    assert_int_equal(nearest[1], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_equal_logits),
        cmocka_unit_test(test_certain_and_balanced),
        cmocka_unit_test(test_one_class_only),
        cmocka_unit_test(test_nine_tenths),
        cmocka_unit_test(test_splits_in_order),
        cmocka_unit_test(test_splits_of_sines),
        cmocka_unit_test(test_frechet_of_pairs),
        cmocka_unit_test(test_frechet_of_rotated),
        cmocka_unit_test(test_frechet_of_sines),
        cmocka_unit_test(test_kernel),
        cmocka_unit_test(test_prdc),
        cmocka_unit_test(test_prdc_ties),
        cmocka_unit_test(test_prdc_of_sines),
        cmocka_unit_test(test_modes_tenth),
        cmocka_unit_test(test_modes_uniform),
        cmocka_unit_test(test_modes_of_a_ring),
        cmocka_unit_test(test_modes_stacked),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_memorization),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
