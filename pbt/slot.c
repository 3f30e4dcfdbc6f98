#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "pbt/population.h"

/* What a member reads back may have passed through a float or a printed number. */
static const double READ_BACK_TOLERANCE = 1e-6;

PbtView slot_view(const Standing *standing) {
    return (PbtView){.slot = standing->slot,
                     .failed = standing->failed,
                     .pinned = standing->pinned,
                     .steps = standing->steps,
                     .age = standing->age,
                     .score = standing->score,
                     .fitness = standing->fitness,
                     .noise = standing->fitness == standing->score.score ? standing->score.deviation : 0,
                     .values = standing->values,
                     .window = standing->window,
                     .window_count = standing->window_count,
                     .parent = standing->parent,
                     .state = standing->state,
                     .failure = standing->failure};
}

PbtScore slot_unscored(void) {
    PbtScore score = {.score = NAN};
    for (size_t i = 0; i < PBT_REPORTS; i++) score.reports[i] = score.report_deviations[i] = NAN;
    return score;
}

/* What a member's function came to: `own` says why it failed. That there was no memory is no fault of the
 * member's: it would make the outcome depend on the machine, and so ends the run. */
static Status fail(Slot *slot, const char *stage, Status status, const Error *own, Error *error) {
    if (!status) return STATUS_OK;
    if (status == STATUS_NO_MEMORY)
        return error_set(error, status, "member %lld, %s: %.800s", (long long)slot->now.slot, stage,
                         own->message);
    slot->now.failed = true;
    slot->now.state[0] = '\0';
    slot->now.score.score = slot->now.fitness = NAN;
    slot->failing = true;
    snprintf(slot->now.failure, sizeof slot->now.failure, "%s: %.480s", stage, own->message);
    return STATUS_OK;
}

static void heal(Slot *slot) {
    slot->now.failed = false;
    slot->now.failure[0] = '\0';
    slot->failing = false;
}

/* ---- create, apply ------------------------------------------------------------------------------------- */

void slot_free(PbtRun *run, Slot *slot) {
    const PbtKind *kind = run->options.kind;
    if (slot->member) kind->free(kind->context, slot->member);
    slot->member = NULL;
}

Status slot_create(PbtRun *run, void *worker, Slot *slot, Error *error) {
    const PbtKind *kind = run->options.kind;
    PbtBirth birth = {run->options.seed, slot->now.slot, slot->now.values};
    Error own = {.status = STATUS_OK};
    slot_free(run, slot);
    heal(slot);
    Status status = kind->create(kind->context, worker, &birth, &slot->member, &own);
    if (!status) return slot_apply(run, worker, slot, error);
    slot->member = NULL;
    return fail(slot, "creating", status, &own, error);
}

static bool same_value(double wanted, double applied) {
    return fabs(wanted - applied) <= READ_BACK_TOLERANCE * fabs(wanted);
}

Status slot_apply(PbtRun *run, void *worker, Slot *slot, Error *error) {
    const PbtKind *kind = run->options.kind;
    const PbtSpace *space = &run->options.space;
    double applied[PBT_HYPERS] = {0};
    Error own = {.status = STATUS_OK};
    if (slot->now.failed) return STATUS_OK;
    Status status = kind->apply(kind->context, worker, slot->member, slot->now.values, applied, &own);
    for (size_t i = 0; !status && i < space->count; i++)
        if (!same_value(slot->now.values[i], applied[i]))
            status = error_set(&own, STATUS_INVALID, "%s was set to %.17g, but the member reads %.17g",
                               space->hypers[i].name, slot->now.values[i], applied[i]);
    return fail(slot, "applying hyperparameters", status, &own, error);
}

/* ---- train, score -------------------------------------------------------------------------------------- */

static double cpu_seconds(const PbtKind *kind, void *member) {
    struct timespec time;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return 0;
    double outside = kind->cpu ? kind->cpu(kind->context, member) : 0;
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec + outside;
}

static void start_training(const PbtRun *run, Slot *slot) {
    slot->ledger = (Ledger){.training = 0};
    for (size_t i = 0; i < run->options.kind->signal_count; i++) {
        slot->signals[i] = NAN;
        slot->observed[i] = 0;
    }
    slot->now.parent = slot->now.slot;
    slot->now.parent_round = slot->now.round + 1;
    slot->training = !slot->now.failed;
}

static void observe(const PbtKind *kind, Slot *slot, int64_t steps) {
    double signals[PBT_SIGNALS];
    for (size_t i = 0; i < kind->signal_count; i++) signals[i] = NAN;
    if (kind->observe) kind->observe(kind->context, slot->member, signals);
    for (size_t i = 0; i < kind->signal_count; i++) {
        if (isnan(signals[i])) continue;
        if (slot->observed[i] == 0) slot->signals[i] = 0;
        slot->observed[i] += (double)steps;
        slot->signals[i] += (signals[i] - slot->signals[i]) * ((double)steps / slot->observed[i]);
    }
}

/* The slot's steps count even if they fail, so that its streams never show the same numbers again. */
Status slot_train(PbtRun *run, void *worker, Slot *slot, size_t pieces, Error *error) {
    const PbtKind *kind = run->options.kind;
    Error own = {.status = STATUS_OK};
    int64_t interval = run->settings.interval, piece = (int64_t)slot->piece, count = (int64_t)pieces;
    int64_t steps = interval * (piece + 1) / count - interval * piece / count;
    bool last = slot->piece + 1 == pieces;
    if (slot->piece == 0) start_training(run, slot);
    slot->piece = last ? 0 : slot->piece + 1;
    if (!slot->training) return STATUS_OK;
    double start = cpu_seconds(kind, slot->member);
    bool failed = slot->now.failed;
    Status status = STATUS_OK;
    if (!failed && steps > 0)
        status = kind->step(kind->context, worker, slot->member, slot->now.steps, steps, &own);
    if (!failed && !status && last && kind->health)
        status = kind->health(kind->context, worker, slot->member, &own);
    slot->ledger.training += cpu_seconds(kind, slot->member) - start;
    slot->now.steps += steps;
    slot->now.age += steps;
    if (!failed && steps > 0) observe(kind, slot, steps);
    return fail(slot, "training", status, &own, error);
}

/* Never -0, which a database would turn into 0. */
static void take_reports(const PbtKind *kind, PbtScore *score) {
    for (size_t i = 0; i < kind->report_count; i++)
        score->reports[i] += 0.0, score->report_deviations[i] += 0.0;
}

static Status take_score(const PbtRun *run, Slot *slot, PbtScore *score, Status status, Error *own,
                         Error *error) {
    if (!status && (!isfinite(score->score) || !isfinite(score->deviation)))
        status = error_set(own, STATUS_NOT_FINITE, "the score is %g ± %g", error_number(score->score),
                           error_number(score->deviation));
    score->score += 0.0; /* as with reports */
    score->deviation += 0.0;
    take_reports(run->options.kind, score);
    slot->now.score = *score;
    return fail(slot, "scoring", status, own, error);
}

Status slot_score(PbtRun *run, void *worker, Slot *slot, Error *error) {
    const PbtKind *kind = run->options.kind;
    Error own = {.status = STATUS_OK};
    if (slot->now.failed) return STATUS_OK;
    PbtScore score = slot_unscored();
    double start = cpu_seconds(kind, slot->member);
    Status status = kind->score(kind->context, worker, slot->member, &score, &own);
    slot->ledger.scoring += cpu_seconds(kind, slot->member) - start;
    return take_score(run, slot, &score, status, &own, error);
}

Status slot_report(PbtRun *run, void *worker, Slot *slot, Error *error) {
    const PbtKind *kind = run->options.kind;
    Error own = {.status = STATUS_OK};
    if (slot->now.failed || !kind->report) return STATUS_OK;
    double start = cpu_seconds(kind, slot->member);
    Status status = kind->report(kind->context, worker, slot->member, &slot->now.score, &own);
    slot->ledger.scoring += cpu_seconds(kind, slot->member) - start;
    take_reports(kind, &slot->now.score);
    return fail(slot, "scoring", status, &own, error);
}

static Status judge(PbtRun *run, Slot *slot, Error *error) {
    const PbtKind *kind = run->options.kind;
    Error own = {.status = STATUS_OK};
    PbtScore score = slot->now.score;
    if (slot->now.failed || !kind->judge) return STATUS_OK;
    double start = cpu_seconds(kind, slot->member);
    Status status = kind->judge(kind->context, slot->member, &score, &own);
    slot->ledger.scoring += cpu_seconds(kind, slot->member) - start;
    return take_score(run, slot, &score, status, &own, error);
}

/* ---- save, load ---------------------------------------------------------------------------------------- */

Status slot_save(PbtRun *run, void *worker, Slot *slot, Error *error) {
    const PbtKind *kind = run->options.kind;
    slot->now.state[0] = '\0';
    if (slot->now.failed || !run->store) return STATUS_OK;
    Error own = {.status = STATUS_OK};
    double start = cpu_seconds(kind, slot->member);
    Status status = kind->save(kind->context, worker, slot->member, run->states, slot->now.state, &own);
    slot->ledger.saving += cpu_seconds(kind, slot->member) - start;
    if (status == STATUS_IO)
        return error_set(error, STATUS_IO, "member %lld cannot be saved: %.800s", (long long)slot->now.slot,
                         own.message);
    return fail(slot, "saving", status, &own, error);
}

static Status load_proved(PbtRun *run, Slot *slot, const char *states, const char *hash, Error *error) {
    const PbtKind *kind = run->options.kind;
    void *worker = run_worker(run);
    char found[FILE_HASH] = "";
    Status status = kind->load(kind->context, worker, slot->member, states, hash, error);
    if (!status) status = kind->hash(kind->context, worker, slot->member, found, error);
    if (!status && strcmp(found, hash) != 0)
        status = error_set(error, STATUS_CORRUPT, "its content is damaged: it has the hash %s", found);
    return status;
}

static void name_state(const PbtRun *run, const Slot *slot, const char *states, const char *hash,
                       Error *error) {
    error_prefix(error, "%s/%s%s, a state of member %lld: ", states, hash, run_ending(&run->options),
                 (long long)slot->now.slot);
}

Status slot_load(PbtRun *run, Slot *slot, const char *states, const char *hash, Error *error) {
    Status status = load_proved(run, slot, states, hash, error);
    if (status) name_state(run, slot, states, hash, error);
    return status;
}

Status slot_copy_saved(PbtRun *run, Slot *slot, const char *hash, Error *error) {
    Error own = {.status = STATUS_OK};
    if (slot->now.failed) return STATUS_OK;
    Status status = load_proved(run, slot, run->states, hash, &own);
    if (status != STATUS_IO) return fail(slot, "copying", status, &own, error);
    error_set(error, status, "%s", own.message);
    name_state(run, slot, run->states, hash, error);
    return status;
}

/* ---- copy ---------------------------------------------------------------------------------------------- */

Status slot_copy(PbtRun *run, void *worker, Slot *slot, void *donor, unsigned parts, Error *error) {
    const PbtKind *kind = run->options.kind;
    Error own = {.status = STATUS_OK};
    if (slot->now.failed) return STATUS_OK;
    Status status = kind->copy(kind->context, worker, slot->member, donor, parts, &own);
    return fail(slot, "copying", status, &own, error);
}

Status slot_twin(PbtRun *run, Slot *slot, void **twin, Error *error) {
    const PbtKind *kind = run->options.kind;
    void *worker = run_worker(run);
    PbtBirth birth = {run->options.seed, slot->scored.slot, slot->scored.values};
    Error own = {.status = STATUS_OK};
    void *made;
    Status status = kind->create(kind->context, worker, &birth, &made, &own);
    if (!status) {
        status = kind->copy(kind->context, worker, made, slot->member, run_all_parts(run), &own);
        if (status) kind->free(kind->context, made);
    }
    *twin = status ? NULL : made;
    return fail(slot, "copying", status, &own, error);
}

static Status hash_of(PbtRun *run, void *member, char hash[FILE_HASH], Error *error) {
    const PbtKind *kind = run->options.kind;
    hash[0] = '\0';
    return kind->hash(kind->context, run_worker(run), member, hash, error);
}

Status slot_prove(PbtRun *run, Slot *slot, const char *state, void *donor, Error *error) {
    char wanted[FILE_HASH], found[FILE_HASH];
    if (slot->now.failed) return STATUS_OK;
    snprintf(wanted, sizeof wanted, "%s", state);
    if (!*wanted) {
        Status status = hash_of(run, donor, wanted, error);
        if (status) return status;
    }
    Error own = {.status = STATUS_OK};
    Status status = hash_of(run, slot->member, found, &own);
    if (!status && strcmp(found, wanted) != 0)
        status = error_set(&own, STATUS_CORRUPT, "the copy has the hash %s, its donor %s", found, wanted);
    return fail(slot, "copying", status, &own, error);
}

/* ---- the end of training ------------------------------------------------------------------------------- */

static void remember_score(Standing *standing, double score) {
    if (standing->window_count == PBT_WINDOW) {
        memmove(standing->window, standing->window + 1, (PBT_WINDOW - 1) * sizeof *standing->window);
        standing->window_count--;
    }
    standing->window[standing->window_count++] = score;
}

Status slot_settle(PbtRun *run, Slot *slot, int64_t round, Error *error) {
    const PbtOptions *options = &run->options;
    Standing *now = &slot->now;
    now->round = round;
    Status status = run_saved(run, slot, error);
    if (!status) status = judge(run, slot, error);
    if (status) return status;
    if (!now->failed) {
        now->fitness = now->score.score;
        if (options->control == PBT_RANDOM_FITNESS)
            now->fitness = random_uniform_at(random_key(options->seed, (uint64_t)now->slot, "pbt.fitness"),
                                             (uint64_t)round, 0);
        remember_score(now, now->fitness);
    }
    return slot_tell(run, slot, error);
}

Status slot_tell(PbtRun *run, Slot *slot, Error *error) {
    if (!slot->failing) return STATUS_OK;
    slot->failing = false;
    return run_event(run, error, "failed", slot->now.slot, NOBODY, "%s", slot->now.failure);
}
