/* What must hold whatever the numbers are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "base/memory.h"
#include "base/random.h"
#include "metrics/metrics.h"
#include "tests/metrics/check.h"
#include "tests/metrics/rows.h"

enum { ROWS = 300, COLUMNS = 12, CLASSES = 10 };

static Error error;

/* Two sets, and the first in another order. */
typedef struct {
    double x_data[ROWS * COLUMNS], y_data[ROWS * COLUMNS], mixed_data[ROWS * COLUMNS];
    Matrix x, y, mixed;
} Sets;

static Sets *sets_made(RowsKind x_kind, RowsKind y_kind) {
    Sets *sets = memory_new(1, sizeof *sets);
    assert_non_null(sets);
    rows_fill(sets->x_data, ROWS, COLUMNS, 1, 1, 0);
    rows_fill(sets->y_data, ROWS, COLUMNS, 2, 1.2, 0.25);
    rows_shape(sets->x_data, ROWS, COLUMNS, x_kind);
    rows_shape(sets->y_data, ROWS, COLUMNS, y_kind);
    for (size_t i = 0; i < ROWS; i++)
        memcpy(sets->mixed_data + random_permute(9, 0, ROWS, i) * COLUMNS, sets->x_data + i * COLUMNS,
               COLUMNS * sizeof(double));
    sets->x = (Matrix){sets->x_data, ROWS, COLUMNS};
    sets->y = (Matrix){sets->y_data, ROWS, COLUMNS};
    sets->mixed = (Matrix){sets->mixed_data, ROWS, COLUMNS};
    return sets;
}

static double frechet(Matrix x, Matrix y) {
    FrechetDistance out;
    assert_ok(frechet_distance_rows(x, y, &out, &error));
    return out.distance;
}

static double kernel(Matrix x, Matrix y, bool biased) {
    KernelDistance out;
    assert_ok(kernel_distance(x, y, biased, &out, &error));
    return out.distance;
}

static Prdc nearest(Matrix x, Matrix y) {
    Prdc out;
    assert_ok(prdc(x, NULL, y, PRDC_DEFAULT_K, PRDC_TIES_ORIGINAL, &out, &error));
    return out;
}

static ClassifierScore score(Matrix logits) {
    ClassifierScore out;
    assert_ok(classifier_score_logits(logits, NULL, &out, &error));
    return out;
}

static void assert_same_prdc(Prdc a, Prdc b) {
    assert_near(a.precision, b.precision, 0);
    assert_near(a.recall, b.recall, 0);
    assert_near(a.density, b.density, 0);
    assert_near(a.coverage, b.coverage, 0);
}

/* ---- order of rows ------------------------------------------------------------------------------------- */

static void test_order_of_rows(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    assert_memory_not_equal(sets->x_data, sets->mixed_data, sizeof sets->x_data);
    assert_near(frechet(sets->mixed, sets->y), frechet(sets->x, sets->y), 1e-12);
    assert_near(kernel(sets->mixed, sets->y, false), kernel(sets->x, sets->y, false), 1e-12);
    assert_same_prdc(nearest(sets->mixed, sets->y), nearest(sets->x, sets->y));
    assert_same_prdc(nearest(sets->y, sets->mixed), nearest(sets->y, sets->x));
    assert_near(score(sets->mixed).whole, score(sets->x).whole, 1e-13);
    Memorization a, b;
    assert_ok(memorization(sets->x, sets->y, sets->y, &a, &error));
    assert_ok(memorization(sets->mixed, sets->y, sets->y, &b, &error));
    assert_memory_equal(&a, &b, offsetof(Memorization, few_rows));
    memory_free(sets);
}

/* ---- symmetry ------------------------------------------------------------------------------------------ */

static void test_symmetry(void **state) {
    (void)state;
    const RowsKind kinds[] = {ROWS_PLAIN, ROWS_REPEATED_COLUMNS, ROWS_CONSTANT_COLUMNS, ROWS_CONSTANT};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        Sets *sets = sets_made(kinds[k], ROWS_PLAIN);
        assert_near(frechet(sets->x, sets->y), frechet(sets->y, sets->x), 1e-11);
        assert_near(kernel(sets->x, sets->y, false), kernel(sets->y, sets->x, false), 1e-12);
        memory_free(sets);
    }
}

/* ---- identical sets ------------------------------------------------------------------------------------ */

static void test_identical_sets(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    assert_near(frechet(sets->x, sets->mixed), 0, 1e-12);
    assert_near(kernel(sets->x, sets->mixed, true), 0, 1e-12);
    assert_true(kernel(sets->x, sets->mixed, false) < 0);
    assert_same_prdc(nearest(sets->x, sets->mixed),
                     (Prdc){.precision = 1, .recall = 1, .density = 1, .coverage = 1});
    Memorization memory;
    assert_ok(memorization(sets->x, sets->y, sets->mixed, &memory, &error));
    assert_near(memory.exact_share, 1, 0);
    assert_near(memory.ratio, 0, 0);
    const size_t counts[] = {3, 1, 4};
    HistogramSummary histogram;
    assert_ok(histogram_summary(counts, counts, 3, &histogram, &error));
    assert_near(histogram.total_variation, 0, 0);
    memory_free(sets);
}

static void test_constant_sets(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_CONSTANT, ROWS_CONSTANT);
    double apart = 0;
    for (size_t j = 0; j < COLUMNS; j++) apart += pow(sets->x_data[j] - sets->y_data[j], 2);
    assert_near(frechet(sets->x, sets->y), apart, 1e-12);
    assert_near(frechet(sets->x, sets->x), 0, 0);
    assert_near(kernel(sets->x, sets->x, false), 0, 1e-12);
    /* All balls have the radius 0, and every row lies on the border of every ball. */
    assert_same_prdc(nearest(sets->x, sets->x), (Prdc){.precision = 1, .recall = 1});
    Memorization memory;
    assert_ok(memorization(sets->x, sets->x, sets->x, &memory, &error));
    assert_near(memory.ratio, 1, 0);
    assert_ok(memorization(sets->x, sets->x, sets->y, &memory, &error));
    assert_true(isinf(memory.ratio));
    assert_near(score(sets->x).mean, 1, 1e-14);
    assert_near(score(sets->x).bootstrap_deviation, 0, 1e-14);
    memory_free(sets);
}

/* ---- noise --------------------------------------------------------------------------------------------- */

static void test_noise_is_worse(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    double last_frechet = -1, last_kernel = -1, last_density = 9, last_score = 99;
    for (int step = 0; step < 6; step++) {
        uint64_t seed = 33;
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            sets->y_data[i] = sets->x_data[i] + 0.4 * step * rows_bell(&seed);
            sets->mixed_data[i] = sets->x_data[i] * (6 - step); /* as logits: less and less sure */
        }
        double now_frechet = frechet(sets->x, sets->y), now_kernel = kernel(sets->x, sets->y, true);
        double now_density = nearest(sets->x, sets->y).density, now_score = score(sets->mixed).whole;
        assert_true(now_frechet > last_frechet);
        assert_true(now_kernel > last_kernel);
        assert_true(now_density < last_density);
        assert_true(now_score < last_score);
        last_frechet = now_frechet;
        last_kernel = now_kernel;
        last_density = now_density;
        last_score = now_score;
    }
    memory_free(sets);
}

/* ---- chunks -------------------------------------------------------------------------------------------- */

static void test_predictions_in_chunks(void **state) {
    (void)state;
    static double logits[ROWS * CLASSES];
    rows_fill(logits, ROWS, CLASSES, 5, 6, 0);
    ClassifierScore whole = score((Matrix){logits, ROWS, CLASSES}), chunked;
    const size_t sizes[] = {1, 7, 64, 299};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        Predictions predictions = {0};
        for (size_t i = 0; i < ROWS; i += sizes[k]) {
            size_t count = ROWS - i < sizes[k] ? ROWS - i : sizes[k];
            assert_ok(predictions_add(&predictions, (Matrix){logits + i * CLASSES, count, CLASSES}, &error));
        }
        assert_int_equal(predictions.rows, ROWS);
        assert_ok(classifier_score(&predictions, NULL, &chunked, &error));
        assert_memory_equal(&chunked, &whole, sizeof whole);
        predictions_free(&predictions);
        assert_null(predictions.values);
    }
}

static void test_predictions(void **state) {
    (void)state;
    const float logits[] = {1, 3, 2, /**/ -5, -5, -6, /**/ 0, 0, 1000};
    Predictions predictions = {0};
    assert_ok(predictions_add_float(&predictions, logits, 3, 3, &error));
    const uint32_t labels[] = {1, 0, 2}; /* the first of equals */
    assert_memory_equal(predictions.labels, labels, sizeof labels);
    for (size_t i = 0; i < 3; i++) {
        double sum = 0;
        for (size_t j = 0; j < 3; j++) sum += predictions.values[i * 4 + j];
        assert_near(sum, 1, 1e-15);
    }
    assert_near(predictions.values[1], 1 / (1 + exp(-1) + exp(-2)), 1e-15);
    assert_near(predictions.values[11], 0, 0);
    predictions_free(&predictions);
}

static void add_chunks(FrechetStatistics *statistics, Matrix rows, size_t size) {
    assert_ok(frechet_statistics_new(statistics, rows.columns, &error));
    for (size_t i = 0; i < rows.rows; i += size) {
        size_t count = rows.rows - i < size ? rows.rows - i : size;
        assert_ok(frechet_statistics_add(
            statistics, (Matrix){rows.data + i * rows.columns, count, rows.columns}, &error));
    }
}

static void assert_same_statistics(const FrechetStatistics *a, const FrechetStatistics *b) {
    assert_int_equal(a->rows, b->rows);
    for (size_t i = 0; i < frechet_statistics_count(a->columns); i++)
        assert_true(fabs(a->values[i] - b->values[i]) < 1e-11);
}

static void test_frechet_in_chunks(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    FrechetStatistics whole, chunked, joined, rest;
    add_chunks(&whole, sets->x, ROWS);
    const size_t sizes[] = {1, 7, 64, 256, 299};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        add_chunks(&chunked, sets->x, sizes[k]);
        assert_same_statistics(&chunked, &whole);
        frechet_statistics_free(&chunked);
    }
    add_chunks(&joined, (Matrix){sets->x_data, 100, COLUMNS}, 30);
    add_chunks(&rest, (Matrix){sets->x_data + 100 * COLUMNS, ROWS - 100, COLUMNS}, 30);
    assert_ok(frechet_statistics_merge(&joined, &rest, &error));
    assert_same_statistics(&joined, &whole);
    frechet_statistics_free(&joined);
    frechet_statistics_free(&rest);
    /* Nothing joined with something is that, and the other way round. */
    assert_ok(frechet_statistics_new(&joined, COLUMNS, &error));
    assert_ok(frechet_statistics_merge(&joined, &whole, &error));
    assert_same_statistics(&joined, &whole);
    assert_ok(frechet_statistics_new(&rest, COLUMNS, &error));
    assert_ok(frechet_statistics_merge(&joined, &rest, &error));
    assert_same_statistics(&joined, &whole);
    frechet_statistics_free(&joined);
    frechet_statistics_free(&rest);
    frechet_statistics_free(&whole);
    memory_free(sets);
}

static void test_frechet_of_floats(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    static float floats[ROWS * COLUMNS];
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        floats[i] = (float)sets->x_data[i];
        sets->x_data[i] = (double)floats[i];
    }
    FrechetStatistics as_doubles, as_floats;
    add_chunks(&as_doubles, sets->x, ROWS);
    assert_ok(frechet_statistics_new(&as_floats, COLUMNS, &error));
    assert_ok(frechet_statistics_add_float(&as_floats, floats, ROWS, COLUMNS, &error));
    assert_memory_equal(as_floats.values, as_doubles.values,
                        frechet_statistics_count(COLUMNS) * sizeof(double));
    frechet_statistics_free(&as_doubles);
    frechet_statistics_free(&as_floats);
    memory_free(sets);
}

static void test_memorization_in_chunks(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    double whole[ROWS], chunked[ROWS];
    size_t nearest_row[ROWS];
    assert_ok(memorization_nearest(sets->x, sets->x, whole, nearest_row, &error));
    for (size_t i = 0; i < ROWS; i++) assert_int_equal(nearest_row[i], i);
    assert_ok(memorization_nearest(sets->y, sets->x, whole, NULL, &error));
    for (size_t i = 0; i < ROWS; i += 50)
        assert_ok(memorization_nearest((Matrix){sets->y_data + i * COLUMNS, 50, COLUMNS}, sets->x,
                                       chunked + i, NULL, &error));
    assert_memory_equal(whole, chunked, sizeof whole);
    memory_free(sets);
}

/* ---- offsets ------------------------------------------------------------------------------------------- */

/* Multiples of 2^-10 that stay so with an offset of 2^30: not a digit of the input is lost. */
static void test_offset(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        sets->x_data[i] = floor(sets->x_data[i] * 1024) / 1024;
        sets->y_data[i] = floor(sets->y_data[i] * 1024) / 1024;
    }
    double distance = frechet(sets->x, sets->y);
    Prdc four = nearest(sets->x, sets->y);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        sets->x_data[i] += 0x1p30;
        sets->y_data[i] += 0x1p30;
    }
    assert_near(frechet(sets->x, sets->y), distance,
                1e-6); /* of a mean near 2^30, 2^-22 is what a double holds */
    assert_same_prdc(nearest(sets->x, sets->y), four);
    memory_free(sets);
}

/* ---- instruction sets ---------------------------------------------------------------------------------- */

static void test_instruction_sets(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    double first[ROWS], radii[ROWS];
    for (int level = 0; level < ISA_LEVELS; level++) {
        setenv("BROOD_ISA", isa_text((IsaLevel)level), 1);
        assert_ok(prdc_radii(sets->x, 3, radii, &error));
        if (level == 0) memcpy(first, radii, sizeof first);
        assert_memory_equal(radii, first, sizeof first);
    }
    unsetenv("BROOD_ISA");
    memory_free(sets);
}

static void test_kept_radii(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    double radii[ROWS];
    Prdc out;
    assert_ok(prdc_radii(sets->x, PRDC_DEFAULT_K, radii, &error));
    assert_ok(prdc(sets->x, radii, sets->y, PRDC_DEFAULT_K, PRDC_TIES_ORIGINAL, &out, &error));
    assert_same_prdc(out, nearest(sets->x, sets->y));
    memset(radii, 0, sizeof radii); /* and they are really used */
    assert_ok(prdc(sets->x, radii, sets->y, PRDC_DEFAULT_K, PRDC_TIES_ORIGINAL, &out, &error));
    assert_near(out.precision, 0, 0);
    memory_free(sets);
}

/* ---- kernel subsets ------------------------------------------------------------------------------------ */

static void test_kernel_subsets(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    KernelSubsets all, some, again;
    double whole = kernel(sets->x, sets->y, false);
    assert_ok(kernel_distance_subsets(sets->x, sets->y, 3, ROWS, &all, &error));
    assert_near(all.mean, whole, 1e-12);
    assert_near(all.deviation, 0, 1e-12);
    assert_ok(kernel_distance_subsets(sets->x, sets->y, 100, 50, &some, &error));
    assert_true(some.deviation > 0);
    assert_true(fabs(some.mean - whole) < 3 * some.deviation / 10);
    assert_false(some.few_rows);
    assert_ok(kernel_distance_subsets(sets->x, sets->y, 100, 50, &again, &error));
    assert_memory_equal(&some, &again, offsetof(KernelSubsets, few_rows));
    assert_ok(kernel_distance_subsets(sets->x, sets->y, 2, COLUMNS - 1, &again, &error));
    assert_true(again.few_rows);
    /* Two draws: the second's value is what the mean of both makes it. */
    assert_ok(kernel_distance_subsets(sets->x, sets->y, 1, 50, &some, &error));
    assert_ok(kernel_distance_subsets(sets->x, sets->y, 2, 50, &again, &error));
    assert_near(again.deviation, fabs(some.mean - again.mean), 1e-10);
    memory_free(sets);
}

/* Each set is drawn from anew each time, and not in the order of the other. */
static void test_kernel_subsets_are_drawn(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_CONSTANT, ROWS_PLAIN);
    KernelSubsets out;
    assert_ok(kernel_distance_subsets(sets->x, sets->y, 10, 50, &out, &error));
    assert_true(out.deviation > 1e-3);
    assert_ok(kernel_distance_subsets(sets->y, sets->x, 10, 50, &out, &error));
    assert_true(out.deviation > 1e-3);
    /* Equal draws from one set would give the distance of a set from itself, which is below 0 every time. */
    assert_ok(kernel_distance_subsets(sets->y, sets->y, 1, ROWS, &out, &error));
    double itself = out.mean * ROWS / 50;
    assert_ok(kernel_distance_subsets(sets->y, sets->y, 100, 50, &out, &error));
    assert_true(out.mean > itself / 2);
    memory_free(sets);
}

/* ---- bootstrap ----------------------------------------------------------------------------------------- */

static void test_bootstrap(void **state) {
    (void)state;
    enum { SETS = 60, SAMPLES = 2500 };
    static double logits[SAMPLES * CLASSES];
    double sum = 0, squares = 0, deviations = 0, widths = 0;
    size_t inside = 0;
    for (uint64_t k = 0; k < SETS; k++) {
        rows_fill(logits, SAMPLES, CLASSES, 100 + k, 6, 0);
        ClassifierScore out = score((Matrix){logits, SAMPLES, CLASSES});
        assert_near(out.mean, out.whole, 1e-13);
        assert_near(out.deviation, 0, 0);
        assert_true(out.bootstrap_low < out.bootstrap_high);
        sum += out.whole;
        squares += out.whole * out.whole;
        deviations += out.bootstrap_deviation;
        inside += out.bootstrap_low < out.whole && out.whole < out.bootstrap_high;
        widths += (out.bootstrap_high - out.bootstrap_low) / out.bootstrap_deviation;
    }
    double spread = sqrt(squares / SETS - sum / SETS * sum / SETS);
    /* The deviation that one set tells is that of many sets; and 95 % of a bell are 3.92 deviations wide. */
    assert_near(deviations / SETS, spread, 0.25);
    assert_near(widths / SETS, 3.92, 0.05);
    assert_true(inside > SETS * 9 / 10);
}

/* ---- Fréchet distance: bias, file ---------------------------------------------------------------------- */

static void test_frechet_bias(void **state) {
    (void)state;
    enum { SETS = 20, SAMPLES = 1000, WIDTH = 8 };
    static double rows[SAMPLES * WIDTH];
    FrechetStatistics exact, sampled;
    assert_ok(frechet_statistics_new(&exact, WIDTH, &error));
    exact.rows = SAMPLES;
    for (size_t j = 0; j < WIDTH; j++) exact.values[WIDTH * (j + 1) + j] = SAMPLES - 1;
    double mean = 0;
    for (uint64_t k = 0; k < SETS; k++) {
        for (uint64_t i = 0; i < SAMPLES * WIDTH; i++) rows[i] = random_normal_at(k, 0, i);
        FrechetDistance out;
        add_chunks(&sampled, (Matrix){rows, SAMPLES, WIDTH}, SAMPLES);
        assert_ok(frechet_distance(&sampled, &exact, &out, &error));
        mean += out.distance / SETS;
        frechet_statistics_free(&sampled);
    }
    assert_near(mean, (double)WIDTH / SAMPLES + WIDTH * (WIDTH + 1.0) / (4.0 * SAMPLES), 0.15);
    frechet_statistics_free(&exact);
}

static void test_frechet_kept(void **state) {
    (void)state;
    Sets *sets = sets_made(ROWS_PLAIN, ROWS_PLAIN);
    FrechetStatistics x, y, kept;
    FrechetDistance before, after;
    add_chunks(&x, sets->x, ROWS);
    add_chunks(&y, sets->y, ROWS);
    assert_ok(frechet_statistics_new(&kept, x.columns, &error));
    kept.rows = x.rows;
    memcpy(kept.values, x.values, frechet_statistics_count(x.columns) * sizeof *x.values);
    assert_ok(frechet_distance(&x, &y, &before, &error));
    assert_ok(frechet_distance(&kept, &y, &after, &error));
    assert_memory_equal(&before, &after, offsetof(FrechetDistance, few_rows));
    frechet_statistics_free(&x);
    frechet_statistics_free(&y);
    frechet_statistics_free(&kept);
    memory_free(sets);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_rows),
        cmocka_unit_test(test_symmetry),
        cmocka_unit_test(test_identical_sets),
        cmocka_unit_test(test_constant_sets),
        cmocka_unit_test(test_noise_is_worse),
        cmocka_unit_test(test_predictions_in_chunks),
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_frechet_in_chunks),
        cmocka_unit_test(test_frechet_of_floats),
        cmocka_unit_test(test_memorization_in_chunks),
        cmocka_unit_test(test_offset),
        cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_kept_radii),
        cmocka_unit_test(test_kernel_subsets),
        cmocka_unit_test(test_kernel_subsets_are_drawn),
        cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_frechet_bias),
        cmocka_unit_test(test_frechet_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
