#include "app/scoring/scorer.h"

#include <string.h>

#include "app/scoring/scorer_internal.h"
#include "base/memory.h"

enum { CHUNK = 512 }; /* images at a time, about */

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* ---- making a scorer ----------------------------------------------------------------------------------- */

static Status refuse(const Measure *measure, const char *why, Error *error) {
    return error_set(error, STATUS_INVALID, "%s: %s", measure_text(measure->kind), why);
}

static Status check_width(const Measure *measure, const Looker *looker, size_t width, Error *error) {
    if (width == looker_features(looker)) return STATUS_OK;
    return error_set(
        error, STATUS_INVALID,
        "%s: features of different widths: the classifier gives %zu, those of the real images have "
        "%zu; take both from the same classifier",
        measure_text(measure->kind), looker_features(looker), width);
}

static Status check_features(const Measure *measure, const Looker *looker, Error *error) {
    if (measure->kind == MEASURE_FRECHET) {
        if (!measure->statistics || measure->repeats < 2)
            return refuse(measure, "statistics of real images and two resamples are needed", error);
        return check_width(measure, looker, measure->statistics->columns, error);
    }
    if (!measure->real.data || measure->real.rows < 2)
        return refuse(measure, "features of two real images at least are needed", error);
    if (measure_is_prdc(measure->kind) &&
        (measure->k < 1 || measure->k >= measure->samples || measure->k >= measure->real.rows))
        return error_set(error, STATUS_INVALID,
                         "%s: neighbor %zu of %zu images and %zu real ones: k must be below both",
                         measure_text(measure->kind), measure->k, measure->samples, measure->real.rows);
    if (measure->kind == MEASURE_KERNEL && measure->repeats < 2)
        return refuse(measure, "two subsets at least are needed", error);
    if (measure->kind == MEASURE_MEMORIZATION && (!measure->held_out || measure->held_out_count < 2))
        return refuse(measure, "distances of two held-out images at least are needed", error);
    return check_width(measure, looker, measure->real.columns, error);
}

static Status check_measure(const ScorerSpec *spec, const Measure *measure, Error *error) {
    if (measure->samples < 2) return refuse(measure, "at least two images are needed", error);
    if (spec->looker_count == 0)
        return measure_fits_points(measure->kind)
                   ? STATUS_OK
                   : refuse(measure, "points have no classifier to be looked at by", error);
    if (measure->looker >= spec->looker_count) return refuse(measure, "there is no such classifier", error);
    if (measure->kind == MEASURE_HIGH_QUALITY) return refuse(measure, "only points have centers", error);
    if (measure->kind == MEASURE_CLASS_BALANCE && !measure->reference)
        return refuse(measure, "counts of real images are needed", error);
    const Looker *looker = &spec->lookers[measure->looker];
    return measure_needs_features(measure->kind) ? check_features(measure, looker, error) : STATUS_OK;
}

static Status check_spec(const ScorerSpec *spec, Error *error) {
    if (spec->measure_count == 0) return error_set(error, STATUS_INVALID, "there is nothing to measure");
    for (size_t i = 0; i < spec->looker_count; i++) {
        Status status = looker_check(&spec->lookers[i], error);
        if (status) return status;
        if (looker_numbers(&spec->lookers[i]) != spec->numbers)
            return error_set(error, STATUS_INVALID,
                             "the classifier is for other images: of %zu numbers, not of %zu",
                             looker_numbers(&spec->lookers[i]), spec->numbers);
    }
    if (spec->looker_count == 0 && spec->centers.columns != spec->numbers)
        return error_set(error, STATUS_INVALID, "points of %zu numbers, but centers of %zu", spec->numbers,
                         spec->centers.columns);
    for (size_t i = 0; i < spec->measure_count; i++) {
        Status status = check_measure(spec, &spec->measures[i], error);
        if (status) return status;
    }
    return STATUS_OK;
}

static void *copy_of(const void *items, size_t count, size_t size) {
    void *copy = memory_new(count, size);
    if (copy && count) memcpy(copy, items, count * size);
    return copy;
}

Scorer *scorer_new(const ScorerSpec *spec, Error *error) {
    if (check_spec(spec, error)) return NULL;
    Scorer *scorer = memory_new(1, sizeof *scorer);
    if (scorer) {
        scorer->spec = *spec;
        scorer->spec.lookers = copy_of(spec->lookers, spec->looker_count, sizeof *spec->lookers);
        scorer->spec.measures = copy_of(spec->measures, spec->measure_count, sizeof *spec->measures);
    }
    if (!scorer || !scorer->spec.lookers || !scorer->spec.measures) {
        scorer_free(scorer);
        error_no_memory(error, "a scorer");
        return NULL;
    }
    for (size_t i = 0; i < spec->measure_count; i++)
        scorer->samples = most(scorer->samples, spec->measures[i].samples);
    return scorer;
}

void scorer_free(Scorer *scorer) {
    if (!scorer) return;
    memory_free((void *)(uintptr_t)scorer->spec.lookers);
    memory_free((void *)(uintptr_t)scorer->spec.measures);
    memory_free(scorer);
}

size_t scorer_count(const Scorer *scorer) {
    return scorer->spec.measure_count;
}

size_t scorer_samples(const Scorer *scorer) {
    return scorer->samples;
}

size_t scorer_numbers(const Scorer *scorer) {
    return scorer->spec.numbers;
}

/* ---- benches ------------------------------------------------------------------------------------------- */

static Status make_view(const Scorer *scorer, size_t which, View *view, Error *error) {
    for (size_t i = 0; i < scorer->spec.measure_count; i++) {
        const Measure *measure = &scorer->spec.measures[i];
        if (measure->looker != which) continue;
        view->rows = most(view->rows, measure->samples);
        *(measure_needs_features(measure->kind) ? &view->wanted_features : &view->wanted_predictions) = true;
    }
    if (!view->wanted_features) return STATUS_OK;
    size_t width = looker_features(&scorer->spec.lookers[which]), numbers;
    if (!__builtin_mul_overflow(view->rows, width, &numbers))
        view->features = memory_new(numbers, sizeof *view->features);
    return view->features ? STATUS_OK : error_no_memory(error, "features");
}

static Status furnish_for_images(const Scorer *scorer, ScorerBench *bench, Error *error) {
    size_t classes = 0;
    bench->views = memory_new(scorer->spec.looker_count, sizeof *bench->views);
    if (!bench->views) return error_no_memory(error, "what is seen");
    for (size_t i = 0; i < scorer->spec.looker_count; i++) {
        Status status = make_view(scorer, i, &bench->views[i], error);
        if (!status) status = workspace_reserve(bench->workspace, scorer->spec.lookers[i].program, error);
        if (status) return status;
        classes = most(classes, looker_classes(&scorer->spec.lookers[i]));
    }
    bench->logits = memory_new(CHUNK * classes, sizeof *bench->logits);
    return bench->logits ? STATUS_OK : error_no_memory(error, "logits");
}

static Status furnish_for_points(const Scorer *scorer, ScorerBench *bench, Error *error) {
    bench->points = memory_new(scorer->samples * scorer->spec.numbers, sizeof *bench->points);
    bench->labels = memory_new(scorer->samples, sizeof *bench->labels);
    bench->high_quality = memory_new(scorer->samples, sizeof *bench->high_quality);
    return bench->points && bench->labels && bench->high_quality ? STATUS_OK
                                                                 : error_no_memory(error, "points");
}

ScorerBench *scorer_bench_new(const Scorer *scorer, Error *error) {
    ScorerBench *bench = memory_new(1, sizeof *bench);
    if (!bench || !(bench->workspace = workspace_new())) {
        memory_free(bench);
        error_no_memory(error, "a scorer's bench");
        return NULL;
    }
    bench->view_count = scorer->spec.looker_count;
    Status status = bench->view_count ? furnish_for_images(scorer, bench, error)
                                      : furnish_for_points(scorer, bench, error);
    if (status == STATUS_OK) return bench;
    scorer_bench_free(bench);
    return NULL;
}

void scorer_bench_free(ScorerBench *bench) {
    if (!bench) return;
    for (size_t i = 0; bench->views && i < bench->view_count; i++) {
        predictions_free(&bench->views[i].predictions);
        memory_free(bench->views[i].features);
    }
    workspace_free(bench->workspace);
    memory_free(bench->images);
    memory_free(bench->logits);
    memory_free(bench->views);
    memory_free(bench->points);
    memory_free(bench->labels);
    memory_free(bench->high_quality);
    memory_free(bench);
}

/* ---- looking ------------------------------------------------------------------------------------------- */

static void begin(ScorerBench *bench) {
    for (size_t i = 0; i < bench->view_count; i++) {
        bench->views[i].predictions.rows = 0;
        bench->views[i].prdc_samples = 0;
    }
}

/* The first `count` images of the chunk, which are number `first` and so on. */
static Status look(const Looker *looker, ScorerBench *bench, View *view, size_t first, size_t count,
                   Error *error) {
    size_t width = looker_features(looker), classes = looker_classes(looker);
    for (size_t done = 0; done < count; done += CHUNK) {
        size_t some = least(CHUNK, count - done);
        Status status =
            looker_look(looker, bench->workspace, bench->images + done * looker_numbers(looker), some,
                        view->wanted_features ? view->features + (first + done) * width : NULL,
                        view->wanted_predictions ? bench->logits : NULL, error);
        if (!status && view->wanted_predictions)
            status = predictions_add(&view->predictions, (Matrix){bench->logits, some, classes}, error);
        if (status) return status;
    }
    return STATUS_OK;
}

static Status look_at_points(const Scorer *scorer, ScorerBench *bench, size_t first, size_t count,
                             Error *error) {
    const ScorerSpec *spec = &scorer->spec;
    double *points = bench->points + first * spec->numbers;
    for (size_t i = 0; i < count * spec->numbers; i++) points[i] = (double)bench->images[i];
    Matrix chunk = {points, count, spec->numbers};
    Status status = matrix_check_values(chunk, "points", first, error);
    if (status) return status;
    return modes_nearest_center(chunk, spec->centers, spec->deviation, spec->within, bench->labels + first,
                                bench->high_quality + first, error);
}

/* Takes in the chunk. */
static Status take_in(const Scorer *scorer, ScorerBench *bench, size_t first, size_t count, Error *error) {
    const ScorerSpec *spec = &scorer->spec;
    if (spec->looker_count == 0) return look_at_points(scorer, bench, first, count, error);
    Status status = looker_round(bench->images, count, spec->numbers, first, error);
    for (size_t i = 0; !status && i < spec->looker_count; i++) {
        View *view = &bench->views[i];
        if (view->rows <= first) continue;
        status = look(&spec->lookers[i], bench, view, first, least(count, view->rows - first), error);
    }
    return status;
}

static Status make_room(const Scorer *scorer, ScorerBench *bench, size_t images, Error *error) {
    size_t numbers, bytes;
    if (__builtin_mul_overflow(images, scorer->spec.numbers, &numbers) ||
        __builtin_mul_overflow(numbers, sizeof(real), &bytes))
        return error_no_memory(error, "images");
    if (numbers <= bench->images_room) return STATUS_OK;
    real *images_made = memory_resize(bench->images, bytes);
    if (!images_made) return error_no_memory(error, "images");
    bench->images = images_made;
    bench->images_room = numbers;
    return STATUS_OK;
}

/* ---- measuring ----------------------------------------------------------------------------------------- */

static void tell(const ScorerProgress *progress, const char *what, size_t done, size_t all) {
    if (progress) progress->tell(progress->context, what, done, all);
}

static Status take_measures(const Scorer *scorer, ScorerBench *bench, const ScorerProgress *progress,
                            double *values, double *deviations, Error *error) {
    for (size_t i = 0; i < scorer->spec.measure_count; i++) {
        const Measure *measure = &scorer->spec.measures[i];
        double deviation;
        tell(progress, measure_text(measure->kind), i, scorer->spec.measure_count);
        Status status = measure_take(scorer, bench, measure, &values[i], &deviation, error);
        if (status) return status;
        if (deviations) deviations[i] = deviation;
    }
    return STATUS_OK;
}

Status scorer_measure(const Scorer *scorer, ScorerBench *bench, const Model *model, State *state,
                      Workspace *sampling, uint64_t key, double *values, double *deviations, Error *error) {
    size_t numbers = scorer->spec.numbers, batch = model_sampler_batch(model);
    if (model_image_numbers(model) != numbers)
        return error_set(error, STATUS_INVALID,
                         "the generator makes images of %zu numbers, the scorer measures those of %zu",
                         model_image_numbers(model), numbers);
    size_t chunk = (CHUNK + batch - 1) / batch * batch; /* whole batches */
    Status status = make_room(scorer, bench, least(chunk, scorer->samples), error);
    begin(bench);
    for (size_t first = 0; !status && first < scorer->samples; first += chunk) {
        size_t some = least(chunk, scorer->samples - first);
        status = model_sample(model, false, state, sampling, key, first, some, NULL, bench->images, error);
        if (!status) status = take_in(scorer, bench, first, some, error);
    }
    return status ? status : take_measures(scorer, bench, NULL, values, deviations, error);
}

Status scorer_measure_images(const Scorer *scorer, ScorerBench *bench, const real *images, size_t count,
                             const ScorerProgress *progress, double *values, double *deviations,
                             Error *error) {
    size_t numbers = scorer->spec.numbers;
    if (count < scorer->samples)
        return error_set(error, STATUS_INVALID, "%zu images, but %zu are to be measured", count,
                         scorer->samples);
    Status status = make_room(scorer, bench, least(CHUNK, scorer->samples), error);
    begin(bench);
    for (size_t first = 0; !status && first < scorer->samples; first += CHUNK) {
        size_t some = least(CHUNK, scorer->samples - first);
        memcpy(bench->images, images + first * numbers, some * numbers * sizeof(real));
        status = take_in(scorer, bench, first, some, error);
        tell(progress, NULL, first + some, scorer->samples);
    }
    return status ? status : take_measures(scorer, bench, progress, values, deviations, error);
}
