#include "app/members/gan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "gan/data/image.h"
#include "gan/state_file.h"

struct GanKind {
    GanOptions options;
    PbtKind table;
};

/* What copies can be made of, generator first: the age goes with it. */
static const char *const PARTS[] = {"G", "D"};
enum { PART_COUNT = sizeof PARTS / sizeof *PARTS, PIECES = 8 /* of a round's training */, PIECE_STEPS = 100 };

/* ---- workers ------------------------------------------------------------------------------------------- */

/* What a thread needs for members of one shape; made when the first of them comes. */
typedef struct {
    Trainer *trainer;
    Workspace *sampling;
    real *images; /* GAN_SPREAD_IMAGES */
} Bench;

typedef struct {
    Bench benches[GAN_MODELS];
    ScorerBench *scoring, *reporting;
} Worker;

static Status worker_new(void *context, size_t index, void **made, Error *error) {
    (void)context, (void)index;
    *made = memory_new(1, sizeof(Worker));
    return *made ? STATUS_OK : error_no_memory(error, "a worker");
}

static void worker_free(void *context, void *freed) {
    Worker *worker = freed;
    (void)context;
    if (!worker) return;
    for (size_t i = 0; i < GAN_MODELS; i++) {
        trainer_free(worker->benches[i].trainer);
        workspace_free(worker->benches[i].sampling);
        memory_free(worker->benches[i].images);
    }
    scorer_bench_free(worker->scoring);
    scorer_bench_free(worker->reporting);
    memory_free(worker);
}

static Status bench_for(Worker *worker, const GanPair *pair, Bench **found, Error *error) {
    Bench *bench = *found = &worker->benches[pair->number];
    size_t numbers = pair->model->sampler ? model_image_numbers(pair->model) : 0;
    if (!bench->sampling && !(bench->sampling = workspace_new())) return error_no_memory(error, "a worker");
    if (!bench->images && !(bench->images = memory_new(GAN_SPREAD_IMAGES * numbers, sizeof(real))))
        return error_no_memory(error, "images");
    if (!bench->trainer) bench->trainer = trainer_new(&pair->model->trainer, error);
    return bench->trainer ? STATUS_OK : error->status;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static Status create(void *context, void *worker, const PbtBirth *birth, void **member, Error *error) {
    const GanOptions *options = &((GanKind *)context)->options;
    (void)worker;
    GanPair *pair = memory_new(1, sizeof *pair);
    if (!pair) return error_no_memory(error, "a member");
    Status status = options->make(options->context, birth, pair, error);
    if (status) {
        memory_free(pair);
        return status;
    }
    for (size_t i = 0; i < PBT_SIGNALS; i++) pair->signals[i] = NAN;
    for (size_t i = 0; i < GAN_MEASURES; i++) pair->values[i] = pair->deviations[i] = NAN;
    memcpy(pair->structural, birth->values, options->space.count * sizeof *birth->values);
    *member = pair;
    return STATUS_OK;
}

static void free_pair(void *context, void *member) {
    const GanOptions *options = &((GanKind *)context)->options;
    options->unmake(options->context, member);
    memory_free(member);
}

static Status apply(void *context, void *worker, void *member, const double *values, double *applied,
                    Error *error) {
    const PbtSpace *space = &((GanKind *)context)->options.space;
    GanPair *pair = member;
    size_t live = 0;
    (void)worker, (void)error;
    for (size_t i = 0; i < space->count; i++) {
        if (space->hypers[i].structural) {
            applied[i] = pair->structural[i];
        } else {
            pair->hypers[live] = values[i];
            applied[i] = pair->member->hypers[live++]; /* what the trainer reads */
        }
    }
    return STATUS_OK;
}

/* ---- training ------------------------------------------------------------------------------------------ */

static Status spread(const GanPair *pair, Bench *bench, uint64_t seed, double *result, Error *error) {
    *result = NAN;
    if (!pair->model->sampler) return STATUS_OK;
    Status status =
        model_sample(pair->model, false, &pair->member->state, bench->sampling,
                     random_key(seed, 0, "latents"), 0, GAN_SPREAD_IMAGES, NULL, bench->images, error);
    if (!status) *result = images_spread(bench->images, GAN_SPREAD_IMAGES, model_image_numbers(pair->model));
    return status;
}

static Status step(void *context, void *worker, void *member, int64_t first, int64_t steps, Error *error) {
    const GanOptions *options = &((GanKind *)context)->options;
    GanPair *pair = member;
    Bench *bench;
    size_t count = options->signal_count;
    for (size_t i = 0; i < count; i++) pair->signals[i] = NAN;
    for (size_t i = 0; i < GAN_MEASURES; i++) pair->values[i] = pair->deviations[i] = NAN;
    Status status = bench_for(worker, pair, &bench, error);
    if (status) return status;
    pair->member->steps = first;
    return trainer_run(bench->trainer, pair->member, steps, pair->signals, error);
}

static void observe(void *context, void *member, double *signals) {
    const GanPair *pair = member;
    memcpy(signals, pair->signals, ((GanKind *)context)->options.signal_count * sizeof *signals);
}

static Status health(void *context, void *worker, void *member, Error *error) {
    const GanOptions *options = &((GanKind *)context)->options;
    GanPair *pair = member;
    const State *state = &pair->member->state;
    for (size_t i = 0; i < layout_count(state->layout); i++) {
        const LayoutEntry *entry = layout_entry(state->layout, i);
        for (size_t n = 0; n < entry->count; n++)
            if (!isfinite(state->data[entry->offset + n]))
                return error_set(error, STATUS_NOT_FINITE, "%s %s holds %g", layout_kind_text(entry->kind),
                                 entry->name, error_number((double)state->data[entry->offset + n]));
    }
    if (options->signal_count == 0) return STATUS_OK;
    Bench *bench;
    Status status = bench_for(worker, pair, &bench, error);
    if (status) return status;
    return spread(pair, bench, options->seed, &pair->signals[options->signal_count - 1], error);
}

/* ---- scoring ------------------------------------------------------------------------------------------- */

/* Measures into the pair's values and deviations from the place `first` on. */
static Status measure(const GanOptions *options, const Scorer *scorer, ScorerBench **room, Worker *worker,
                      GanPair *pair, size_t first, Error *error) {
    Bench *bench;
    Status status = bench_for(worker, pair, &bench, error);
    if (status) return status;
    if (!*room && !(*room = scorer_bench_new(scorer, error))) return error->status;
    return scorer_measure(scorer, *room, pair->model, &pair->member->state, bench->sampling,
                          random_key(options->seed, 0, "latents"), pair->values + first,
                          pair->deviations + first, error);
}

/* From what was measured, from the place `first` on. */
static void take_reports(const GanOptions *options, const GanPair *pair, size_t first, PbtScore *out) {
    memcpy(out->reports, pair->values + first, options->report_count * sizeof *out->reports);
    memcpy(out->report_deviations, pair->deviations + first, options->report_count * sizeof *out->reports);
}

static Status score(void *context, void *worker, void *member, PbtScore *out, Error *error) {
    const GanOptions *options = &((GanKind *)context)->options;
    GanPair *pair = member;
    if (!options->scorer) {
        *out = (PbtScore){.score = (double)member_age(pair->member)};
        return STATUS_OK;
    }
    Status status = measure(options, options->scorer, &((Worker *)worker)->scoring, worker, pair, 0, error);
    out->score = out->deviation = 0; /* the judge is yet to say */
    if (status || options->judge) return status;
    out->score = options->sign * pair->values[0];
    out->deviation = pair->deviations[0];
    if (!options->reporter) take_reports(options, pair, 1, out);
    return STATUS_OK;
}

/* Behind what the scorer has measured. */
static Status report(void *context, void *worker, void *member, PbtScore *out, Error *error) {
    const GanOptions *options = &((GanKind *)context)->options;
    GanPair *pair = member;
    size_t first = scorer_count(options->scorer);
    Status status =
        measure(options, options->reporter, &((Worker *)worker)->reporting, worker, pair, first, error);
    if (!status) take_reports(options, pair, first, out);
    return status;
}

static Status judge(void *context, void *member, PbtScore *out, Error *error) {
    const GanOptions *options = &((GanKind *)context)->options;
    return options->judge(options->context, member, out, error);
}

/* ---- copies and states --------------------------------------------------------------------------------- */

static Status copy(void *context, void *worker, void *member, void *donor, unsigned parts, Error *error) {
    GanPair *to = member, *from = donor;
    (void)context, (void)worker;
    if (to->model != from->model)
        return error_set(error, STATUS_INVALID, "members of different shapes cannot copy each other");
    if (parts == (1u << PART_COUNT) - 1) {
        state_copy(&to->member->state, &from->member->state);
        return STATUS_OK;
    }
    for (int part = 0; part < PART_COUNT; part++)
        if (parts >> part & 1)
            member_copy_group(to->member, from->member, &to->model->trainer, PARTS[part], part == 0);
    return STATUS_OK;
}

static Status hash(void *context, void *worker, void *member, char text[FILE_HASH], Error *error) {
    (void)context, (void)worker;
    return state_hash(&((GanPair *)member)->member->state, text, error);
}

static Status save(void *context, void *worker, void *member, const char *folder, char text[FILE_HASH],
                   Error *error) {
    char name[STATE_NAME];
    (void)context, (void)worker;
    Status status = state_save(&((GanPair *)member)->member->state, folder, name, error);
    if (!status) {
        memcpy(text, name, FILE_HASH - 1);
        text[FILE_HASH - 1] = '\0';
    }
    return status;
}

static Status load(void *context, void *worker, void *member, const char *folder, const char *text,
                   Error *error) {
    char path[FILE_PATH_LIMIT];
    (void)context, (void)worker;
    int length = snprintf(path, sizeof path, "%s/%s%s", folder, text, STATE_FILE_ENDING);
    if (length < 0 || (size_t)length >= sizeof path)
        return error_set(error, STATUS_INVALID, "the path of the states is too long");
    return state_load(&((GanPair *)member)->member->state, path, error);
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

Status gan_kind_new(GanKind **out, const GanOptions *options, Error *error) {
    GanKind *kind = *out = memory_new(1, sizeof *kind);
    if (!kind) return error_no_memory(error, "a kind of members");
    kind->options = *options;
    kind->table = (PbtKind){.context = kind,
                            .parts = PARTS,
                            .part_count = PART_COUNT,
                            .reports = options->reports,
                            .report_count = options->report_count,
                            .pieces = PIECES,
                            .piece_steps = PIECE_STEPS,
                            .signals = options->signals,
                            .signal_count = options->signal_count,
                            .ending = STATE_FILE_ENDING,
                            .worker_new = worker_new,
                            .worker_free = worker_free,
                            .create = create,
                            .free = free_pair,
                            .apply = apply,
                            .step = step,
                            .observe = observe,
                            .health = health,
                            .score = score,
                            .report = options->reporter ? report : NULL,
                            .judge = options->judge ? judge : NULL,
                            .copy = copy,
                            .hash = hash,
                            .save = save,
                            .load = load};
    return STATUS_OK;
}

void gan_kind_free(GanKind *kind) {
    memory_free(kind);
}

const PbtKind *gan_kind(const GanKind *kind) {
    return &kind->table;
}
