/* The scorer: what it measures is what the metrics make of what the classifier sees, and depends on nothing
 * else. */
#include "app/scoring/scorer.h"
#include "tests/scoring/scene.h"

#include <math.h>
#include <pthread.h>

#include "base/memory.h"
#include "gan/data/image.h"
#include "tests/support/alloc.h"

enum { SAMPLES = 700, KEY = 9, MOST = 16, REAL_ROWS = 300 };

/* What is known of real images: made-up features. */
typedef struct {
    double features[REAL_ROWS * 3 * FEATURES], radii[REAL_ROWS], held_out[REAL_ROWS];
    size_t counts[CLASSES * CLASSES * CLASSES];
    FrechetStatistics statistics;
    size_t width;
} Known;

static void known_make(Known *known, size_t width) {
    Error error;
    uint64_t key = random_key(4, 0, "features");
    known->width = width;
    for (size_t i = 0; i < REAL_ROWS * width; i++) known->features[i] = 2 * random_uniform_at(key, 0, i);
    for (size_t i = 0; i < REAL_ROWS; i++) known->held_out[i] = 1 + random_uniform_at(key, 1, i);
    for (size_t i = 0; i < sizeof known->counts / sizeof *known->counts; i++) known->counts[i] = 10 + i;
    Matrix rows = {known->features, REAL_ROWS, width};
    check_status(prdc_radii(rows, 4, known->radii, &error), &error);
    check_status(frechet_statistics_new(&known->statistics, width, &error), &error);
    check_status(frechet_statistics_add(&known->statistics, rows, &error), &error);
}

static Measure measure_of(MeasureKind kind, size_t samples, size_t looker, const Known *known) {
    return (Measure){.kind = kind,
                     .samples = samples,
                     .looker = looker,
                     .repeats = 5,
                     .k = 4,
                     .statistics = &known->statistics,
                     .real = {known->features, REAL_ROWS, known->width},
                     .radii = known->radii,
                     .held_out = known->held_out,
                     .held_out_count = REAL_ROWS,
                     .reference = known->counts};
}

static const MeasureKind OF_IMAGES[] = {
    MEASURE_CLASSIFIER_SCORE, MEASURE_FRECHET,       MEASURE_KERNEL,   MEASURE_PRECISION,
    MEASURE_RECALL,           MEASURE_DENSITY,       MEASURE_COVERAGE, MEASURE_MEMORIZATION,
    MEASURE_CLASS_BALANCE,    MEASURE_CLASS_ENTROPY, MEASURE_MODES,    MEASURE_REVERSE_KL,
};
enum { IMAGE_KINDS = sizeof OF_IMAGES / sizeof *OF_IMAGES };

static Scorer *scorer_of(const Looker *lookers, size_t looker_count, const Measure *measures, size_t count) {
    Error error;
    ScorerSpec spec = {.numbers = looker_numbers(lookers),
                       .lookers = lookers,
                       .looker_count = looker_count,
                       .measures = measures,
                       .measure_count = count};
    Scorer *scorer = scorer_new(&spec, &error);
    if (!scorer) fail_msg("%s", error.message);
    return scorer;
}

/* All that images can be measured by, of so many images. */
static Scorer *whole_scorer(const Looker *looker, const Known *known, size_t samples) {
    Measure measures[IMAGE_KINDS];
    for (size_t i = 0; i < IMAGE_KINDS; i++) measures[i] = measure_of(OF_IMAGES[i], samples, 0, known);
    return scorer_of(looker, 1, measures, IMAGE_KINDS);
}

typedef struct {
    double values[MOST], deviations[MOST];
} Result;

static Status measure(const Scorer *scorer, Maker *maker, Result *result, Error *error) {
    memset(result, 0, sizeof *result);
    ScorerBench *bench = scorer_bench_new(scorer, error);
    if (!bench) return error->status;
    Status status = scorer_measure(scorer, bench, &maker->model, &maker->state, maker->workspace, KEY,
                                   result->values, result->deviations, error);
    scorer_bench_free(bench);
    return status;
}

static Result measured(const Scorer *scorer, Maker *maker) {
    Result result;
    Error error;
    check_status(measure(scorer, maker, &result, &error), &error);
    return result;
}

static real *sampled(Maker *maker, size_t count) {
    Error error;
    real *images = memory_new(count * model_image_numbers(&maker->model), sizeof *images);
    assert_non_null(images);
    check_status(model_sample(&maker->model, false, &maker->state, maker->workspace, KEY, 0, count, NULL,
                              images, &error),
                 &error);
    return images;
}

static Result measured_images(const Scorer *scorer, const real *images, size_t count) {
    Result result = {{0}, {0}};
    Error error;
    ScorerBench *bench = scorer_bench_new(scorer, &error);
    assert_non_null(bench);
    check_status(
        scorer_measure_images(scorer, bench, images, count, NULL, result.values, result.deviations, &error),
        &error);
    scorer_bench_free(bench);
    return result;
}

static void assert_same(const Result *a, const Result *b) {
    for (size_t i = 0; i < MOST; i++)
        if (a->values[i] != b->values[i] || a->deviations[i] != b->deviations[i])
            fail_msg("measure %zu: %.17g ± %.17g, and %.17g ± %.17g", i, a->values[i], a->deviations[i],
                     b->values[i], b->deviations[i]);
}

/* ---- what is measured ---------------------------------------------------------------------------------- */

/* By hand: all images rounded through bytes, one at a time through a program of batch 1. */
static void see(Maker *maker, double *features, double *logits, size_t count) {
    Eye eye = eye_new(1, 2, 1);
    Workspace *workspace = workspace_new();
    real *images = sampled(maker, count);
    Error error;
    uint8_t bytes[SIDE * SIDE];
    check_status(workspace_reserve(workspace, eye.program, &error), &error);
    for (size_t i = 0; i < count; i++) {
        image_to_bytes(images + i * SIDE * SIDE, SIDE * SIDE, bytes);
        bytes_to_image(bytes, SIDE * SIDE, workspace_input(workspace, eye.program, 0));
        check_status(program_run(eye.program, eye.state, workspace, 0, 0, &error), &error);
        for (size_t j = 0; j < FEATURES; j++)
            features[i * FEATURES + j] = (double)workspace_output(workspace, eye.program, 0)[j];
        for (size_t j = 0; j < CLASSES; j++)
            logits[i * CLASSES + j] = (double)workspace_output(workspace, eye.program, 1)[j];
    }
    memory_free(images);
    workspace_free(workspace);
    eye_free(&eye);
}

static void assert_near(double got, double expected, double relative) {
    if (!(fabs(got - expected) <= relative * fmax(1e-9, fabs(expected))))
        fail_msg("%.12g expected, got %.12g", expected, got);
}

static void test_values(void **state) {
    (void)state;
    static Known known;
    static double features[SAMPLES * FEATURES], logits[SAMPLES * CLASSES];
    known_make(&known, FEATURES);
    Maker maker = maker_new(4, SIDE * SIDE);
    Eye eye = eye_new(64, 2, 1);
    Scorer *scorer = whole_scorer(&eye.looker, &known, SAMPLES);
    Result r = measured(scorer, &maker);
    see(&maker, features, logits, SAMPLES);
    Matrix seen = {features, SAMPLES, FEATURES}, reals = {known.features, REAL_ROWS, FEATURES};
    Error error;
    ClassifierScore score;
    FrechetDistance frechet;
    KernelSubsets kernel;
    Prdc found;
    Memorization copies;
    check_status(classifier_score_logits((Matrix){logits, SAMPLES, CLASSES}, NULL, &score, &error), &error);
    check_status(frechet_distance_rows(reals, seen, &frechet, &error), &error);
    check_status(kernel_distance_subsets(reals, seen, 5, 150, &kernel, &error), &error);
    check_status(prdc(reals, NULL, seen, 4, PRDC_TIES_ORIGINAL, &found, &error), &error);
    double distances[SAMPLES];
    check_status(memorization_nearest(seen, reals, distances, NULL, &error), &error);
    check_status(memorization_compare(distances, SAMPLES, known.held_out, REAL_ROWS, &copies, &error),
                 &error);
    const double tight = sizeof(real) == 8 ? 1e-10 : 1e-4;
    assert_near(r.values[0], score.whole, tight);
    assert_near(r.deviations[0], score.bootstrap_deviation, 10 * tight);
    assert_near(r.values[1], frechet.distance, tight);
    assert_true(r.deviations[1] > 0 && r.deviations[1] < r.values[1]);
    assert_near(r.values[2], kernel.mean, tight);
    assert_near(r.deviations[2], kernel.deviation * sqrt(150.0 / SAMPLES), 10 * tight);
    assert_near(r.values[3], found.precision, 1e-9);
    assert_near(r.deviations[3], sqrt(found.precision * (1 - found.precision) / SAMPLES), 1e-9);
    assert_near(r.values[4], found.recall, 1e-9);
    assert_near(r.deviations[4], sqrt(found.recall * (1 - found.recall) / REAL_ROWS), 1e-9);
    assert_near(r.values[5], found.density, 1e-9);
    assert_near(r.values[6], found.coverage, 1e-9);
    assert_near(r.values[7], copies.near_share, 1e-9);
    size_t counts[CLASSES] = {0};
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t most = 0;
        for (size_t j = 1; j < CLASSES; j++)
            if (logits[i * CLASSES + j] > logits[i * CLASSES + most]) most = j;
        counts[most]++;
    }
    HistogramSummary against, plain;
    check_status(histogram_summary(counts, known.counts, CLASSES, &against, &error), &error);
    check_status(histogram_summary(counts, NULL, CLASSES, &plain, &error), &error);
    size_t hit = 0;
    for (size_t j = 0; j < CLASSES; j++) hit += counts[j] > 0;
    assert_near(r.values[8], against.total_variation, 1e-9);
    assert_near(r.values[9], plain.effective, 1e-9);
    assert_near(r.values[10], (double)hit, 1e-9);
    assert_near(r.values[11], log(CLASSES) - plain.entropy, 1e-9);
    for (size_t i = 0; i < IMAGE_KINDS; i++) assert_true(isfinite(r.deviations[i]) && r.deviations[i] >= 0);
    scorer_free(scorer);
    eye_free(&eye);
    maker_free(&maker);
    frechet_statistics_free(&known.statistics);
}

/* ---- what it does not depend on ------------------------------------------------------------------------ */

/* Other batches of the sampler, images at hand: the same bits. Other batches of the classifier: another
 * program, whose sums may run in another order. */
static void test_chunks(void **state) {
    (void)state;
    static Known known;
    known_make(&known, FEATURES);
    Eye eyes[] = {eye_new(64, 2, 1), eye_new(1, 2, 1), eye_new(100, 2, 1)};
    Maker makers[] = {maker_new(4, SIDE * SIDE), maker_new(64, SIDE * SIDE), maker_new(600, SIDE * SIDE)};
    real *images = sampled(&makers[1], SAMPLES + 3);
    Result first = {{0}, {0}};
    for (int i = 0; i < 3; i++) {
        Scorer *scorer = whole_scorer(&eyes[i].looker, &known, SAMPLES);
        Result own = measured(scorer, &makers[0]);
        if (i == 0) first = own;
        for (size_t m = 0; m < IMAGE_KINDS; m++) assert_near(own.values[m], first.values[m], 1e-6);
        for (int j = 0; j < 3; j++) {
            Result other = measured(scorer, &makers[j]);
            assert_same(&own, &other);
        }
        Result at_hand = measured_images(scorer, images, SAMPLES + 3);
        assert_same(&own, &at_hand);
        scorer_free(scorer);
    }
    for (int i = 0; i < 3; i++) {
        eye_free(&eyes[i]);
        maker_free(&makers[i]);
    }
    memory_free(images);
    frechet_statistics_free(&known.statistics);
}

/* Two classifiers, each measure of another number of images: as if each was measured alone. */
static void test_company(void **state) {
    (void)state;
    static Known known;
    known_make(&known, FEATURES);
    Eye one = eye_new(64, 2, 1), other = eye_new(64, 5, 1);
    Maker maker = maker_new(64, SIDE * SIDE);
    const Looker both[] = {one.looker, other.looker};
    const Measure measures[] = {
        measure_of(MEASURE_CLASSIFIER_SCORE, 700, 0, &known),
        measure_of(MEASURE_COVERAGE, 300, 0, &known),
        measure_of(MEASURE_CLASSIFIER_SCORE, 500, 1, &known),
        measure_of(MEASURE_FRECHET, 100, 1, &known),
        measure_of(MEASURE_PRECISION, 310, 0, &known),
        measure_of(MEASURE_CLASSIFIER_SCORE, 2, 0, &known),
    };
    enum { COUNT = sizeof measures / sizeof *measures };
    Scorer *scorer = scorer_of(both, 2, measures, COUNT);
    assert_int_equal(scorer_samples(scorer), 700);
    Result all = measured(scorer, &maker);
    for (size_t i = 0; i < COUNT; i++) {
        Measure alone = measures[i];
        alone.looker = 0;
        Scorer *single = scorer_of(&both[measures[i].looker], 1, &alone, 1);
        Result result = measured(single, &maker);
        assert_true(result.values[0] == all.values[i] && result.deviations[0] == all.deviations[i]);
        scorer_free(single);
    }
    assert_true(all.values[0] != all.values[2]);
    scorer_free(scorer);
    eye_free(&one);
    eye_free(&other);
    maker_free(&maker);
    frechet_statistics_free(&known.statistics);
}

typedef struct {
    const Scorer *scorer;
    Maker maker;
    Result result;
} Worker;

static void *work(void *given) {
    Worker *worker = given;
    for (int i = 0; i < 5; i++) worker->result = measured(worker->scorer, &worker->maker);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    static Known known;
    known_make(&known, FEATURES);
    Eye eye = eye_new(64, 2, 1);
    Scorer *scorer = whole_scorer(&eye.looker, &known, 200);
    Worker workers[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        workers[i] = (Worker){.scorer = scorer, .maker = maker_new(64, SIDE * SIDE)};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    Result here = measured(scorer, &workers[0].maker);
    for (int i = 0; i < 3; i++) {
        assert_same(&here, &workers[i].result);
        maker_free(&workers[i].maker);
    }
    scorer_free(scorer);
    eye_free(&eye);
    frechet_statistics_free(&known.statistics);
}

/* Only what an 8-bit picture can hold counts. */
static void test_rounding(void **state) {
    (void)state;
    static Known known;
    known_make(&known, FEATURES);
    Eye eye = eye_new(64, 2, 1);
    Maker maker = maker_new(64, SIDE * SIDE);
    Scorer *scorer = whole_scorer(&eye.looker, &known, 50);
    real *images = sampled(&maker, 50);
    Result first = measured_images(scorer, images, 50);
    uint8_t bytes[50 * SIDE * SIDE];
    image_to_bytes(images, 50 * SIDE * SIDE, bytes);
    bytes_to_image(bytes, 50 * SIDE * SIDE, images);
    for (size_t i = 0; i < 50 * SIDE * SIDE; i++) images[i] += (real)(i % 2 ? 0.003 : -0.003);
    Result rounded = measured_images(scorer, images, 50);
    assert_same(&first, &rounded);
    for (size_t i = 0; i < 50 * SIDE * SIDE; i++) images[i] += (real)0.02;
    Result moved = measured_images(scorer, images, 50);
    assert_true(moved.values[0] != first.values[0]);
    memory_free(images);
    scorer_free(scorer);
    eye_free(&eye);
    maker_free(&maker);
    frechet_statistics_free(&known.statistics);
}

/* ---- planes, points ------------------------------------------------------------------------------------ */

/* Three gray images as the planes of one: its classes are theirs, its features one after the other. */
static void test_planes(void **state) {
    (void)state;
    Eye eye = eye_new(16, 2, 1);
    Maker maker = maker_new(64, SIDE * SIDE);
    enum { COUNT = 40 };
    real *gray = sampled(&maker, 3 * COUNT), *color = sampled(&maker, 3 * COUNT);
    static double features[3 * COUNT * FEATURES], logits[3 * COUNT * CLASSES];
    static double joint_features[COUNT * 3 * FEATURES], joint[COUNT * CLASSES * CLASSES * CLASSES];
    for (size_t i = 0; i < COUNT; i++)
        for (size_t p = 0; p < 3; p++)
            for (size_t q = 0; q < SIDE * SIDE; q++)
                color[(i * SIDE * SIDE + q) * 3 + p] = gray[(3 * i + p) * SIDE * SIDE + q];
    Looker stacked = eye.looker;
    stacked.planes = 3;
    Error error;
    check_status(looker_check(&stacked, &error), &error);
    assert_int_equal(looker_classes(&stacked), 64);
    assert_int_equal(looker_features(&stacked), 18);
    assert_int_equal(looker_numbers(&stacked), 3 * SIDE * SIDE);
    check_status(looker_look(&eye.looker, maker.workspace, gray, 3 * COUNT, features, logits, &error),
                 &error);
    check_status(looker_look(&stacked, maker.workspace, color, COUNT, joint_features, joint, &error), &error);
    assert_memory_equal(features, joint_features, sizeof features);
    Predictions single = {0}, triple = {0};
    check_status(predictions_add(&single, (Matrix){logits, 3 * COUNT, CLASSES}, &error), &error);
    check_status(predictions_add(&triple, (Matrix){joint, COUNT, 64}, &error), &error);
    for (size_t i = 0; i < COUNT; i++) {
        const uint32_t *labels = single.labels + 3 * i;
        assert_int_equal(triple.labels[i], labels[0] * 16 + labels[1] * 4 + labels[2]);
        double product = 1;
        for (size_t p = 0; p < 3; p++) product *= single.values[(3 * i + p) * (CLASSES + 1) + labels[p]];
        assert_near(triple.values[i * 65 + triple.labels[i]], product, 1e-9);
    }
    predictions_free(&single);
    predictions_free(&triple);
    memory_free(gray);
    memory_free(color);
    maker_free(&maker);
    eye_free(&eye);
}

static const double CENTERS[] = {0, 0, 10, 0, 0, 10};

static ScorerSpec point_spec(const Measure *measures, size_t count) {
    return (ScorerSpec){.numbers = 2,
                        .measures = measures,
                        .measure_count = count,
                        .centers = {CENTERS, 3, 2},
                        .deviation = 0.1,
                        .within = 3};
}

static void test_points(void **state) {
    (void)state;
    const Measure measures[] = {{.kind = MEASURE_MODES, .samples = 8},
                                {.kind = MEASURE_HIGH_QUALITY, .samples = 8},
                                {.kind = MEASURE_REVERSE_KL, .samples = 8},
                                {.kind = MEASURE_MODES, .samples = 4}};
    /* Five near the first center, one of them not quite near; one near the second; two far from the third. */
    const real points[] = {0, 0, (real)0.1, 0, 0, (real)0.2, 0, 0, (real)0.4, 0, 10, 0, 0, 9, 1, 10};
    ScorerSpec spec = point_spec(measures, 4);
    Error error;
    Scorer *scorer = scorer_new(&spec, &error);
    assert_non_null(scorer);
    Result r = measured_images(scorer, points, 8);
    assert_near(r.values[0], 2, 1e-12);
    assert_near(r.values[1], 5.0 / 8, 1e-12);
    double p[] = {5.0 / 8, 1.0 / 8, 2.0 / 8}, kl = log(3);
    for (int i = 0; i < 3; i++) kl += p[i] * log(p[i]);
    assert_near(r.values[2], kl, 1e-9);
    assert_near(r.values[3], 1, 1e-12);
    assert_true(r.deviations[0] > 0 && r.deviations[1] > 0.1 && r.deviations[1] < 0.25);
    Maker maker = maker_new(64, 2);
    Result made = measured(scorer, &maker);
    assert_true(made.values[0] >= 0 && made.values[1] < 1);
    maker_free(&maker);
    scorer_free(scorer);
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void test_not_finite(void **state) {
    (void)state;
    static Known known;
    known_make(&known, FEATURES);
    Eye eye = eye_new(64, 2, 1);
    Maker maker = maker_new(64, SIDE * SIDE);
    Scorer *scorer = whole_scorer(&eye.looker, &known, 600);
    real *images = sampled(&maker, 600);
    double values[MOST], deviations[MOST];
    Error error;
    ScorerBench *bench = scorer_bench_new(scorer, &error);
    assert_non_null(bench);
    images[597 * SIDE * SIDE + 3] = (real)NAN;
    assert_int_equal(scorer_measure_images(scorer, bench, images, 600, NULL, values, deviations, &error),
                     STATUS_NOT_FINITE);
    assert_non_null(strstr(error.message, "image 598 "));
    images[5 * SIDE * SIDE] = (real)INFINITY;
    assert_int_equal(scorer_measure_images(scorer, bench, images, 600, NULL, values, deviations, &error),
                     STATUS_NOT_FINITE);
    assert_non_null(strstr(error.message, "image 6 "));
    for (size_t i = 0; i < layout_numbers(maker.model.layout); i++) maker.state.data[i] = (real)NAN;
    assert_int_equal(
        scorer_measure(scorer, bench, &maker.model, &maker.state, maker.workspace, KEY, values, NULL, &error),
        STATUS_NOT_FINITE);
    assert_non_null(strstr(error.message, "image 1 "));
    /* The bench is as good as before. */
    Maker well = maker_new(64, SIDE * SIDE);
    check_status(
        scorer_measure(scorer, bench, &well.model, &well.state, well.workspace, KEY, values, NULL, &error),
        &error);
    Result again = measured(scorer, &well);
    assert_memory_equal(values, again.values, IMAGE_KINDS * sizeof *values);
    assert_int_equal(scorer_measure_images(scorer, bench, images, 599, NULL, values, deviations, &error),
                     STATUS_INVALID);
    assert_string_equal(error.message, "599 images, but 600 are to be measured");
    Maker other = maker_new(64, 3 * SIDE * SIDE);
    assert_int_equal(
        scorer_measure(scorer, bench, &other.model, &other.state, other.workspace, KEY, values, NULL, &error),
        STATUS_INVALID);
    assert_non_null(strstr(error.message, "images of 192 numbers, the scorer measures those of 64"));
    scorer_bench_free(bench);
    memory_free(images);
    maker_free(&maker);
    maker_free(&well);
    maker_free(&other);
    scorer_free(scorer);
    eye_free(&eye);
    frechet_statistics_free(&known.statistics);
}

static void assert_refused(const ScorerSpec *spec, const char *words) {
    Error error = {.status = STATUS_OK};
    assert_null(scorer_new(spec, &error));
    assert_int_equal(error.status, STATUS_INVALID);
    if (!strstr(error.message, words)) fail_msg("'%s' expected in '%s'", words, error.message);
}

static void test_refused_specs(void **state) {
    (void)state;
    static Known known;
    known_make(&known, FEATURES);
    Eye eye = eye_new(64, 2, 1);
    Measure m = measure_of(MEASURE_FRECHET, 100, 0, &known);
    ScorerSpec spec = {.numbers = SIDE * SIDE, .lookers = &eye.looker, .looker_count = 1, .measures = &m};
    assert_refused(&spec, "nothing to measure");
    spec.measure_count = 1;
    spec.numbers = 7;
    assert_refused(&spec, "the classifier is for other images: of 64 numbers, not of 7");
    spec.numbers = SIDE * SIDE;
    m.samples = 1;
    assert_refused(&spec, "frechet: at least two images");
    m.samples = 100;
    m.looker = 1;
    assert_refused(&spec, "no such classifier");
    m.looker = 0;
    m.repeats = 1;
    assert_refused(&spec, "two resamples");
    m.repeats = 5;
    m.kind = MEASURE_COVERAGE;
    m.real.columns = 5;
    assert_refused(&spec,
                   "coverage: features of different widths: the classifier gives 6, those of the real");
    m.real.columns = FEATURES;
    m.k = 100;
    assert_refused(&spec, "coverage: neighbor 100 of 100 images and 300 real ones");
    m.kind = MEASURE_MEMORIZATION;
    m.held_out_count = 1;
    assert_refused(&spec, "two held-out images");
    m.kind = MEASURE_CLASS_BALANCE;
    m.reference = NULL;
    assert_refused(&spec, "counts of real images");
    m.kind = MEASURE_HIGH_QUALITY;
    assert_refused(&spec, "only points have centers");
    m.kind = MEASURE_FRECHET;
    ScorerSpec points = point_spec(&m, 1);
    assert_refused(&points, "points have no classifier");
    m.kind = MEASURE_MODES;
    points.numbers = 3;
    assert_refused(&points, "points of 3 numbers, but centers of 2");
    eye_free(&eye);
    frechet_statistics_free(&known.statistics);
}

/* ---- no memory ----------------------------------------------------------------------------------------- */

/* Each allocation fails once: an error says so, and nothing is left behind. */
static void test_no_memory(void **state) {
    (void)state;
    static Known known;
    known_make(&known, FEATURES);
    Eye eye = eye_new(64, 2, 1);
    Maker maker = maker_new(64, SIDE * SIDE);
    Measure measures[IMAGE_KINDS];
    for (size_t i = 0; i < IMAGE_KINDS; i++) measures[i] = measure_of(OF_IMAGES[i], 60, 0, &known);
    ScorerSpec spec = {.numbers = SIDE * SIDE,
                       .lookers = &eye.looker,
                       .looker_count = 1,
                       .measures = measures,
                       .measure_count = IMAGE_KINDS};
    Error error;
    Result result;
    check_status(workspace_reserve(maker.workspace, maker.model.sampler, &error), &error);
    ptrdiff_t live = alloc_live();
    bool refused = true;
    size_t n = 1;
    for (; refused; n++) {
        alloc_refuse(n, false);
        Scorer *scorer = scorer_new(&spec, &error);
        Status status = scorer ? measure(scorer, &maker, &result, &error) : error.status;
        scorer_free(scorer);
        refused = alloc_refused();
        alloc_refuse(0, false);
        assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
        assert_int_equal(alloc_live(), live);
    }
    assert_true(n > 20);
    maker_free(&maker);
    eye_free(&eye);
    frechet_statistics_free(&known.statistics);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_company),       cmocka_unit_test(test_threads),
        cmocka_unit_test(test_rounding),      cmocka_unit_test(test_planes),
        cmocka_unit_test(test_points),        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_refused_specs), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
