/* The measures: each a value and its standard deviation, of what has been seen. */
#include <math.h>
#include <string.h>

#include "app/scoring/scorer_internal.h"
#include "base/memory.h"
#include "base/random.h"

static const char *const NAMES[MEASURE_KINDS] = {
    [MEASURE_CLASSIFIER_SCORE] = "classifier_score",
    [MEASURE_FRECHET] = "frechet",
    [MEASURE_KERNEL] = "kernel",
    [MEASURE_PRECISION] = "precision",
    [MEASURE_RECALL] = "recall",
    [MEASURE_DENSITY] = "density",
    [MEASURE_COVERAGE] = "coverage",
    [MEASURE_MEMORIZATION] = "memorization",
    [MEASURE_CLASS_BALANCE] = "class_balance",
    [MEASURE_CLASS_ENTROPY] = "class_entropy",
    [MEASURE_MODES] = "modes",
    [MEASURE_HIGH_QUALITY] = "high_quality",
    [MEASURE_REVERSE_KL] = "reverse_kl",
};

const char *measure_text(MeasureKind kind) {
    return NAMES[kind];
}

bool measure_named(const char *text, MeasureKind *kind) {
    for (int i = 0; i < MEASURE_KINDS; i++)
        if (strcmp(NAMES[i], text) == 0) {
            *kind = (MeasureKind)i;
            return true;
        }
    return false;
}

bool measure_is_prdc(MeasureKind kind) {
    return kind >= MEASURE_PRECISION && kind <= MEASURE_COVERAGE;
}

bool measure_needs_features(MeasureKind kind) {
    return kind >= MEASURE_FRECHET && kind <= MEASURE_MEMORIZATION;
}

bool measure_fits_points(MeasureKind kind) {
    return kind >= MEASURE_MODES;
}

/* The deviation of a share that so many tosses gave. */
static double share_deviation(double share, size_t tosses) {
    return sqrt(share * (1 - share) / (double)tosses);
}

/* n − 1 in the denominator. About the first, so that equal values have no deviation at all. */
static double deviation_of(const double *values, size_t count) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) sum += values[i] - values[0];
    double mean = values[0] + sum / (double)count;
    for (size_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    return sqrt(squares / (double)(count - 1));
}

/* ---- by features --------------------------------------------------------------------------------------- */

/* The distance of a draw with replacement of the rows. What is drawn depends on the number of rows only. */
static Status resampled_frechet(const FrechetStatistics *real_statistics, Matrix rows, size_t resample,
                                double *copy, double *distance, Error *error) {
    uint64_t key = random_key(0, 0, "frechet bootstrap");
    for (size_t i = 0; i < rows.rows; i++)
        memcpy(copy + i * rows.columns,
               rows.data + random_integer_at(key, resample, i, rows.rows) * rows.columns,
               rows.columns * sizeof *copy);
    FrechetStatistics drawn;
    FrechetDistance found = {0};
    Status status = frechet_statistics_new(&drawn, rows.columns, error);
    if (!status) status = frechet_statistics_add(&drawn, (Matrix){copy, rows.rows, rows.columns}, error);
    if (!status) status = frechet_distance(real_statistics, &drawn, &found, error);
    frechet_statistics_free(&drawn);
    *distance = found.distance;
    return status;
}

static Status frechet_deviation(const Measure *measure, Matrix rows, double *deviation, Error *error) {
    double *copy = memory_new(rows.rows * rows.columns, sizeof *copy);
    double *distances = memory_new(measure->repeats, sizeof *distances);
    Status status = copy && distances ? STATUS_OK : error_no_memory(error, "resamples of features");
    for (size_t r = 0; !status && r < measure->repeats; r++)
        status = resampled_frechet(measure->statistics, rows, r, copy, &distances[r], error);
    if (!status) *deviation = deviation_of(distances, measure->repeats);
    memory_free(copy);
    memory_free(distances);
    return status;
}

static Status frechet(const Measure *measure, Matrix rows, double *value, double *deviation, Error *error) {
    FrechetStatistics seen;
    FrechetDistance found = {0};
    Status status = frechet_statistics_new(&seen, rows.columns, error);
    if (!status) status = frechet_statistics_add(&seen, rows, error);
    if (!status) status = frechet_distance(measure->statistics, &seen, &found, error);
    frechet_statistics_free(&seen);
    *value = found.distance;
    return status ? status : frechet_deviation(measure, rows, deviation, error);
}

/* The mean over subsets. Their spread shrinks with the root of the images. */
static Status kernel(const Measure *measure, Matrix rows, double *value, double *deviation, Error *error) {
    size_t size = rows.rows / 2 < measure->real.rows / 2 ? rows.rows / 2 : measure->real.rows / 2;
    size = size > 1000 ? 1000 : size < 2 ? 2 : size;
    KernelSubsets found;
    Status status = kernel_distance_subsets(measure->real, rows, measure->repeats, size, &found, error);
    if (status) return status;
    *value = found.mean;
    *deviation = found.deviation * sqrt((double)size / (double)rows.rows);
    return STATUS_OK;
}

static Status neighbors(const Measure *measure, Matrix rows, View *view, double *value, double *deviation,
                        Error *error) {
    if (view->prdc_samples != rows.rows || view->prdc_k != measure->k || view->prdc_radii != measure->radii) {
        Status status =
            prdc(measure->real, measure->radii, rows, measure->k, PRDC_TIES_ORIGINAL, &view->prdc, error);
        if (status) return status;
        view->prdc_samples = rows.rows;
        view->prdc_k = measure->k;
        view->prdc_radii = measure->radii;
    }
    const Prdc *found = &view->prdc;
    if (measure->kind == MEASURE_DENSITY) {
        *value = found->density;
        *deviation = found->density_deviation;
        return STATUS_OK;
    }
    bool of_fake = measure->kind == MEASURE_PRECISION;
    *value = of_fake ? found->precision : measure->kind == MEASURE_RECALL ? found->recall : found->coverage;
    *deviation = share_deviation(*value, of_fake ? rows.rows : measure->real.rows);
    return STATUS_OK;
}

static Status copies(const Measure *measure, Matrix rows, double *value, double *deviation, Error *error) {
    double *distances = memory_new(rows.rows, sizeof *distances);
    if (!distances) return error_no_memory(error, "distances to training images");
    Memorization found = {0};
    Status status = memorization_nearest(rows, measure->real, distances, NULL, error);
    if (!status)
        status = memorization_compare(distances, rows.rows, measure->held_out, measure->held_out_count,
                                      &found, error);
    memory_free(distances);
    *value = found.near_share;
    *deviation = share_deviation(*value, rows.rows);
    return status;
}

static Status by_features(const Measure *measure, Matrix rows, View *view, double *value, double *deviation,
                          Error *error) {
    switch (measure->kind) {
    case MEASURE_FRECHET: return frechet(measure, rows, value, deviation, error);
    case MEASURE_KERNEL: return kernel(measure, rows, value, deviation, error);
    case MEASURE_MEMORIZATION: return copies(measure, rows, value, deviation, error);
    default: return neighbors(measure, rows, view, value, deviation, error);
    }
}

/* ---- by labels ----------------------------------------------------------------------------------------- */

/* How many samples are of each mode or class; and of these, of high quality. */
typedef struct {
    size_t samples, modes, good;
    size_t *all, *good_ones; /* (modes) */
} Tally;

static void tally_clear(Tally *tally) {
    tally->samples = tally->good = 0;
    memset(tally->all, 0, tally->modes * sizeof *tally->all);
    memset(tally->good_ones, 0, tally->modes * sizeof *tally->good_ones);
}

static void tally_add(Tally *tally, uint32_t mode, bool good) {
    tally->samples++;
    tally->all[mode]++;
    tally->good += good;
    tally->good_ones[mode] += good;
}

static double tally_value(const Measure *measure, const Tally *tally) {
    HistogramSummary summary = {0};
    histogram_summary(tally->all, measure->reference, tally->modes, &summary, NULL); /* there are samples */
    if (measure->kind == MEASURE_CLASS_BALANCE) return summary.total_variation;
    if (measure->kind == MEASURE_CLASS_ENTROPY) return summary.effective;
    if (measure->kind == MEASURE_REVERSE_KL) return fmax(log((double)tally->modes) - summary.entropy, 0);
    if (measure->kind == MEASURE_HIGH_QUALITY) return (double)tally->good / (double)tally->samples;
    size_t hit = 0;
    for (size_t i = 0; i < tally->modes; i++) hit += tally->good_ones[i] > 0;
    return (double)hit;
}

/* `good` NULL: all are. */
static void tally_all(const Measure *measure, const uint32_t *labels, const bool *good, Tally *tally,
                      double *value, double *deviation) {
    enum { RESAMPLES = CLASSIFIER_SCORE_RESAMPLES };
    uint64_t key = random_key(0, 0, "class bootstrap");
    double values[RESAMPLES];
    tally_clear(tally);
    for (size_t i = 0; i < measure->samples; i++) tally_add(tally, labels[i], !good || good[i]);
    *value = tally_value(measure, tally);
    for (size_t r = 0; r < RESAMPLES; r++) {
        tally_clear(tally);
        for (size_t i = 0; i < measure->samples; i++) {
            size_t drawn = random_integer_at(key, r, i, measure->samples);
            tally_add(tally, labels[drawn], !good || good[drawn]);
        }
        values[r] = tally_value(measure, tally);
    }
    *deviation = deviation_of(values, RESAMPLES);
}

static Status by_labels(const Measure *measure, const uint32_t *labels, const bool *good, size_t modes,
                        double *value, double *deviation, Error *error) {
    Tally tally = {.modes = modes};
    tally.all = memory_new(modes, sizeof *tally.all);
    tally.good_ones = memory_new(modes, sizeof *tally.good_ones);
    bool room = tally.all && tally.good_ones;
    if (room) tally_all(measure, labels, good, &tally, value, deviation);
    memory_free(tally.all);
    memory_free(tally.good_ones);
    return room ? STATUS_OK : error_no_memory(error, "counts of classes");
}

/* ---- one measure --------------------------------------------------------------------------------------- */

static Status score_of(const Predictions *predictions, double *value, double *deviation, Error *error) {
    ClassifierScore score;
    Status status = classifier_score(predictions, NULL, &score, error);
    if (status) return status;
    *value = score.whole;
    *deviation = score.bootstrap_deviation;
    return STATUS_OK;
}

Status measure_take(const Scorer *scorer, ScorerBench *bench, const Measure *measure, double *value,
                    double *deviation, Error *error) {
    if (scorer->spec.looker_count == 0)
        return by_labels(measure, bench->labels, bench->high_quality, scorer->spec.centers.rows, value,
                         deviation, error);
    View *view = &bench->views[measure->looker];
    if (measure_needs_features(measure->kind)) {
        size_t width = looker_features(&scorer->spec.lookers[measure->looker]);
        Matrix rows = {view->features, measure->samples, width};
        return by_features(measure, rows, view, value, deviation, error);
    }
    Predictions first = view->predictions;
    first.rows = measure->samples;
    if (measure->kind == MEASURE_CLASSIFIER_SCORE) return score_of(&first, value, deviation, error);
    return by_labels(measure, first.labels, NULL, first.classes, value, deviation, error);
}
