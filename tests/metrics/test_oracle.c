/* Against NumPy, SciPy and scikit-learn: see oracle.py. The largest set takes a second or two. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "metrics/metrics.h"
#include "tests/metrics/check.h"
#include "tests/metrics/rows.h"

static Error error;

typedef struct {
    double precision, recall, density, coverage;
} PrdcExpected;

typedef struct {
    RowsKind x_kind, y_kind;
    size_t x_rows, y_rows, columns, k;
    double y_scale, y_shift;
    bool deficient; /* a covariance is singular */
    double frechet, means, kernel, kernel_biased;
    PrdcExpected prdc[PRDC_TIES_IN + 1]; /* in the order of PrdcTies */
    struct {
        double generated_median, generated_mean, held_out_median, held_out_mean, near_distance, near_share;
    } memorization;
} PairCase;

typedef struct {
    size_t rows, classes, splits;
    double scale, whole, mean, deviation;
} LogitsCase;

typedef struct {
    size_t samples, classes, occurring, hit;
    double entropy, reverse_kl, total_variation;
} LabelsCase;

#include "tests/metrics/oracle_values.inc"

enum { PAIR_COUNT = sizeof PAIRS / sizeof *PAIRS, LARGEST = PAIR_COUNT - 1 };

static Matrix filled(size_t rows, size_t columns, uint64_t seed, double scale, double shift, RowsKind kind) {
    double *data = memory_new(rows * columns, sizeof *data);
    assert_non_null(data);
    rows_fill(data, rows, columns, seed, scale, shift);
    rows_shape(data, rows, columns, kind);
    return (Matrix){data, rows, columns};
}

static void release(Matrix matrix) {
    memory_free((void *)matrix.data);
}

static void compare_distances(const PairCase *pair, Matrix x, Matrix y) {
    FrechetDistance frechet;
    assert_ok(frechet_distance_rows(x, y, &frechet, &error));
    assert_near(frechet.distance, pair->frechet, pair->deficient ? 1e-8 : 1e-10);
    assert_near(frechet.mean_part, pair->means, 1e-10);
    assert_int_equal(frechet.few_rows, pair->x_rows < pair->columns || pair->y_rows < pair->columns);
    KernelDistance kernel;
    assert_ok(kernel_distance(x, y, false, &kernel, &error));
    assert_near(kernel.distance, pair->kernel, 1e-10);
    assert_ok(kernel_distance(x, y, true, &kernel, &error));
    assert_near(kernel.distance, pair->kernel_biased, 1e-10);
}

static void compare_prdc(const PairCase *pair, Matrix x, Matrix y) {
    double *radii = memory_new(x.rows, sizeof *radii);
    assert_non_null(radii);
    assert_ok(prdc_radii(x, pair->k, radii, &error));
    /* One way for the largest is enough, and with the radii at hand. */
    bool largest = pair == &PAIRS[LARGEST];
    for (PrdcTies ties = PRDC_TIES_ORIGINAL; ties <= (largest ? PRDC_TIES_ORIGINAL : PRDC_TIES_IN); ties++) {
        Prdc out;
        assert_ok(prdc(x, largest ? radii : NULL, y, pair->k, ties, &out, &error));
        assert_near(out.precision, pair->prdc[ties].precision, 1e-10);
        assert_near(out.recall, pair->prdc[ties].recall, 1e-10);
        assert_near(out.density, pair->prdc[ties].density, 1e-10);
        assert_near(out.coverage, pair->prdc[ties].coverage, 1e-10);
    }
    memory_free(radii);
}

static void compare_memorization(const PairCase *pair, Matrix training, Matrix held_out, Matrix generated) {
    Memorization out;
    assert_ok(memorization(training, held_out, generated, &out, &error));
    assert_near(out.generated_median, pair->memorization.generated_median, 1e-10);
    assert_near(out.generated_mean, pair->memorization.generated_mean, 1e-10);
    assert_near(out.held_out_median, pair->memorization.held_out_median, 1e-10);
    assert_near(out.held_out_mean, pair->memorization.held_out_mean, 1e-10);
    assert_near(out.near_distance, pair->memorization.near_distance, 1e-10);
    assert_near(out.near_share, pair->memorization.near_share, 1e-10);
}

static void compare(size_t index) {
    const PairCase *pair = &PAIRS[index];
    Matrix x = filled(pair->x_rows, pair->columns, 1000 + index, 1, 0, pair->x_kind);
    Matrix y = filled(pair->y_rows, pair->columns, 2000 + index, pair->y_scale, pair->y_shift, pair->y_kind);
    Matrix held_out = filled(pair->y_rows, pair->columns, 3000 + index, 1, 0, pair->x_kind);
    compare_distances(pair, x, y);
    compare_prdc(pair, x, y);
    compare_memorization(pair, x, held_out, y);
    release(x);
    release(y);
    release(held_out);
}

static void test_small_pairs(void **state) {
    (void)state;
    for (size_t i = 0; i < LARGEST; i++) compare(i);
}

static void test_largest_pair(void **state) {
    (void)state;
    compare(LARGEST);
}

static void test_logits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof LOGITS / sizeof *LOGITS; i++) {
        const LogitsCase *expected = &LOGITS[i];
        Matrix logits = filled(expected->rows, expected->classes, 4000 + i, expected->scale, 0, ROWS_PLAIN);
        ClassifierScoreOptions options = {.splits = expected->splits, .keep_order = true};
        ClassifierScore score;
        assert_ok(classifier_score_logits(logits, &options, &score, &error));
        assert_near(score.whole, expected->whole, 1e-10);
        assert_near(score.mean, expected->mean, 1e-10);
        assert_near(score.deviation, expected->deviation, 1e-10);
        release(logits);
    }
}

static void test_labels(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof LABELS / sizeof *LABELS; i++) {
        const LabelsCase *expected = &LABELS[i];
        size_t samples = expected->samples, classes = expected->classes,
               *counts = memory_new(classes, sizeof *counts);
        uint32_t *labels = memory_new(samples, sizeof *labels);
        assert_true(counts && labels);
        uint64_t seed = 5000 + i;
        for (size_t k = 0; k < samples; k++)
            labels[k] = (uint32_t)((rows_bell(&seed) + 2) / 4 * (double)expected->occurring);
        HistogramSummary summary;
        assert_ok(histogram_count(labels, samples, classes, counts, &error));
        assert_ok(histogram_summary(counts, NULL, classes, &summary, &error));
        assert_near(summary.entropy, expected->entropy, 1e-10);
        assert_near(summary.effective, exp(expected->entropy), 1e-10);
        assert_near(summary.total_variation, expected->total_variation, 1e-10);
        ModeCoverage modes;
        assert_ok(modes_coverage(labels, NULL, samples, classes, &modes, &error));
        assert_int_equal(modes.hit, expected->hit);
        assert_near(modes.reverse_kl, expected->reverse_kl, 1e-10);
        memory_free(labels);
        memory_free(counts);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_pairs),
        cmocka_unit_test(test_largest_pair),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
