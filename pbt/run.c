#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"
#include "pbt/population.h"
#include "pbt/store/store.h"

static const char *const CONTROL_NAMES[PBT_CONTROLS] = {
    "off", "random-search", "random-fitness", "weights-only", "hypers-only", "no-explore", "explore-only"};

const char *pbt_control_name(PbtControl control) {
    return CONTROL_NAMES[control];
}

/* ---- checks -------------------------------------------------------------------------------------------- */

static Status check_initial(const PbtOptions *options, Error *error) {
    const PbtSpace *space = &options->space;
    double kept[PBT_HYPERS];
    for (size_t slot = 0; options->initial && slot < options->population; slot++) {
        const double *given = options->initial + slot * space->count;
        memcpy(kept, given, space->count * sizeof *kept);
        Status status = pbt_space_keep(space, kept, error);
        for (size_t i = 0; !status && i < space->count; i++)
            if (kept[i] != given[i])
                status = error_set(error, STATUS_INVALID, "%s is %g, which is outside of its range",
                                   space->hypers[i].name, given[i]);
        if (!status) continue;
        error_prefix(error, "initial values of member %zu: ", slot);
        return status;
    }
    return STATUS_OK;
}

static Status check_counts(const PbtOptions *options, Error *error) {
    if (options->population < 1 || options->population > PBT_POPULATION)
        return error_set(error, STATUS_INVALID, "a population of %zu: 1 to %d members were expected",
                         options->population, PBT_POPULATION);
    if (options->interval < 1)
        return error_set(error, STATUS_INVALID, "an interval of %lld steps: at least 1 was expected",
                         (long long)options->interval);
    if (options->burn_in < 0)
        return error_set(error, STATUS_INVALID, "a burn-in of %lld steps: 0 or more were expected",
                         (long long)options->burn_in);
    if (options->workers > PBT_WORKERS)
        return error_set(error, STATUS_INVALID, "%zu workers: at most %d can be had", options->workers,
                         PBT_WORKERS);
    if (options->control >= PBT_CONTROLS)
        return error_set(error, STATUS_INVALID, "a control numbered %d, which does not exist",
                         (int)options->control);
    if (options->kind->part_count > PBT_PARTS || options->kind->report_count > PBT_REPORTS)
        return error_set(error, STATUS_INVALID,
                         "members of %zu parts and %zu report scores: at most %d and %d can be had",
                         options->kind->part_count, options->kind->report_count, PBT_PARTS, PBT_REPORTS);
    if (options->kind->signal_count > PBT_SIGNALS)
        return error_set(error, STATUS_INVALID, "members of %zu signals: at most %d can be had",
                         options->kind->signal_count, PBT_SIGNALS);
    if (options->keep_every < 0)
        return error_set(error, STATUS_INVALID,
                         "states of every %lld-th round: 0 (none) or more were expected",
                         (long long)options->keep_every);
    return STATUS_OK;
}

static Status check_modes(const PbtOptions *options, Error *error) {
    if (options->from && options->initial)
        return error_set(
            error, STATUS_INVALID,
            "a run that begins with another run's members cannot be given initial values as well");
    if (options->asynchronous && !options->directory)
        return error_set(error, STATUS_INVALID,
                         "an asynchronous run needs a directory for what members publish");
    if (options->asynchronous && options->callbacks.schedule)
        return error_set(error, STATUS_INVALID,
                         "an asynchronous run has no rounds, and so can have no schedule");
    if (options->asynchronous && options->recombine)
        return error_set(error, STATUS_INVALID, "an asynchronous run cannot recombine members");
    if (options->order && !options->asynchronous)
        return error_set(error, STATUS_INVALID, "only an asynchronous run can be replayed in an order");
    if (!options->recombine) return STATUS_OK;
    if (options->kind->part_count < 2)
        return error_set(error, STATUS_INVALID, "recombining needs members of two or more parts");
    for (size_t i = 0; i < options->space.count; i++)
        if (options->space.hypers[i].structural)
            return error_set(error, STATUS_INVALID,
                             "recombining needs members of one shape, but hyperparameter %s is structural",
                             options->space.hypers[i].name);
    return STATUS_OK;
}

static Status check_rules(const PbtOptions *options, const PbtExploit *exploit, const PbtExplore *explore,
                          Error *error) {
    if (exploit->kind == PBT_EXPLOIT_CALLBACK && !options->callbacks.exploit)
        return error_set(error, STATUS_INVALID, "exploit: there is no function to call");
    if (explore->kind == PBT_EXPLORE_CALLBACK && !options->callbacks.explore)
        return error_set(error, STATUS_INVALID, "explore: there is no function to call");
    Status status = pbt_exploit_check(exploit, error);
    return status ? status : pbt_explore_check(explore, error);
}

Status run_check_rules(const PbtRun *run, const PbtExploit *exploit, const PbtExplore *explore,
                       Error *error) {
    return check_rules(&run->options, exploit, explore, error);
}

static Status check(const PbtOptions *options, Error *error) {
    Status status = pbt_space_check(&options->space, error);
    if (!status) status = check_rules(options, &options->exploit, &options->explore, error);
    if (!status) status = check_counts(options, error);
    if (!status) status = check_modes(options, error);
    return status ? status : check_initial(options, error);
}

/* ---- getters ------------------------------------------------------------------------------------------- */

size_t run_parts(const PbtRun *run) {
    return run->options.kind->part_count ? run->options.kind->part_count : 1;
}

unsigned run_all_parts(const PbtRun *run) {
    return (1u << run_parts(run)) - 1;
}

const char *run_ending(const PbtOptions *options) {
    return options->kind->ending ? options->kind->ending : "";
}

void *run_worker(const PbtRun *run) {
    return run->workers[run->worker_count - 1];
}

size_t run_threads(const PbtRun *run) {
    return run->worker_count > 1 ? run->worker_count - 1 : 1;
}

size_t run_find(const PbtRun *run, int64_t slot) {
    size_t index = 0;
    while (index < run->count && run->slots[index]->now.slot != slot) index++;
    return index;
}

int64_t pbt_run_round(const PbtRun *run) {
    return run->round;
}

PbtView pbt_run_scored(const PbtRun *run, size_t index) {
    const Slot *slot = run->slots[index];
    bool scored = slot->scored.round > 0; /* those that were added have not been */
    return slot_view(scored ? &slot->scored : &slot->now);
}

const double *pbt_run_signals(const PbtRun *run, size_t index) {
    return run->slots[index]->signals;
}

bool pbt_run_stopped(const PbtRun *run) {
    return run->stopped;
}

double pbt_run_share(const PbtRun *run) {
    return run->share;
}

size_t pbt_run_count(const PbtRun *run) {
    return run->count;
}

PbtView pbt_run_view(const PbtRun *run, size_t index) {
    const Slot *slot = run->slots[index];
    return slot_view(run->training ? &slot->seen : &slot->now);
}

bool pbt_run_resting(const PbtRun *run, size_t index) {
    return !run->training || run->slots[index] == run->told;
}

void *pbt_run_member(const PbtRun *run, size_t index, void **worker) {
    if (worker) *worker = run_worker(run);
    return run->slots[index]->member;
}

const void *pbt_run_memory(const PbtRun *run, size_t *size) {
    *size = run->memory_size;
    return run->memory;
}

int64_t pbt_run_interval(const PbtRun *run) {
    return run->settings.interval;
}

/* ---- slots, events ------------------------------------------------------------------------------------- */

Status run_add_slot(PbtRun *run, int64_t number, Slot **slot, Error *error) {
    if (!memory_grow((void **)&run->slots, run->count, &run->room, sizeof(Slot *)) ||
        !(*slot = memory_new(1, sizeof **slot)))
        return error_no_memory(error, "a member");
    (*slot)->now.slot = (*slot)->now.parent = number;
    (*slot)->now.score = slot_unscored();
    (*slot)->now.fitness = NAN;
    run->slots[run->count++] = *slot;
    if (number >= run->next_slot) run->next_slot = number + 1;
    return STATUS_OK;
}

void run_remove_slot(PbtRun *run, size_t index) {
    slot_free(run, run->slots[index]);
    memory_free(run->slots[index]);
    run->count--;
    memmove(run->slots + index, run->slots + index + 1, (run->count - index) * sizeof *run->slots);
}

Status run_event(PbtRun *run, Error *error, const char *kind, int64_t slot, int64_t other, const char *format,
                 ...) {
    if (!run->store) return STATUS_OK;
    if (!memory_grow((void **)&run->events, run->event_count, &run->event_room, sizeof *run->events))
        return error_no_memory(error, "an event");
    Event *event = &run->events[run->event_count++];
    *event = (Event){.kind = kind, .slot = slot, .other = other};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(event->text, sizeof event->text, format, arguments);
    va_end(arguments);
    return STATUS_OK;
}

Status run_saved(PbtRun *run, const Slot *slot, Error *error) {
    if (!*slot->now.state) return STATUS_OK;
    if (!memory_grow((void **)&run->saved, run->saved_count, &run->saved_room, sizeof *run->saved))
        return error_no_memory(error, "states");
    memcpy(run->saved[run->saved_count++], slot->now.state, FILE_HASH);
    return STATUS_OK;
}

bool run_interrupted(const PbtRun *run) {
    const PbtCallbacks *callbacks = &run->options.callbacks;
    return callbacks->interrupted && callbacks->interrupted(callbacks->context);
}

void run_wait(pthread_cond_t *news, pthread_mutex_t *mutex) {
    enum { PATIENCE = 100 * 1000 * 1000 }; /* nanoseconds between questions whether to go on */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += PATIENCE;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(news, mutex, &until);
}

Status run_progress(PbtRun *run, PbtMoment moment, int64_t slot, Error *error) {
    const PbtCallbacks *callbacks = &run->options.callbacks;
    return callbacks->progress ? callbacks->progress(callbacks->context, run, moment, slot, error)
                               : STATUS_OK;
}

Status run_all_failed(const PbtRun *run, Error *error) {
    const char *why = "";
    for (size_t i = 0; i < run->count; i++) {
        PbtView view = pbt_run_view(run, i);
        if (!view.failed) return STATUS_OK;
        if (*view.failure) why = view.failure;
    }
    return error_set(error, STATUS_NOT_FINITE,
                     "all %zu members have failed by round %lld, and none is left to go on with (%.500s)",
                     run->count, (long long)run->round, why);
}

Status run_conclude(PbtRun *run, int64_t round, int64_t since, Error *error) {
    if (!run->store) return STATUS_OK;
    Status status = store_put_round(run->store, run, error);
    if (!status) status = store_put_states(run->store, run, error);
    if (!status) status = store_put_events(run->store, run, round, error);
    if (!status) status = store_retain(run->store, &run->options, since, error);
    if (!status) status = store_commit(run->store, run->states, error);
    if (!status) run->event_count = run->saved_count = 0;
    return status;
}

/* ---- beginning ----------------------------------------------------------------------------------------- */

/* One context for each thread, and one for the caller's own; when that is the only thread, they are one. */
static Status hire(PbtRun *run, Error *error) {
    const PbtKind *kind = run->options.kind;
    size_t threads = kind->one_thread || run->options.order ? 1 : run->options.workers;
    size_t wanted = threads > 1 ? threads + 1 : 1;
    if (!(run->workers = memory_new(wanted, sizeof *run->workers))) return error_no_memory(error, "workers");
    for (; run->worker_count < wanted; run->worker_count++) {
        if (!kind->worker_new) continue;
        Status status =
            kind->worker_new(kind->context, run->worker_count, &run->workers[run->worker_count], error);
        if (status) return status;
    }
    return STATUS_OK;
}

static Status prepare(PbtRun **out, const PbtOptions *options, Error *error) {
    *out = NULL;
    Status status = check(options, error);
    if (status) return status;
    PbtRun *run = memory_new(1, sizeof *run);
    if (!run) return error_no_memory(error, "a run");
    run->options = *options;
    run->settings = (Settings){options->interval, options->exploit, options->explore};
    if (options->directory) {
        int length = snprintf(run->states, sizeof run->states, "%s/states", options->directory);
        if (length < 0 || (size_t)length >= sizeof run->states)
            status = error_set(error, STATUS_INVALID, "the path of the run's directory is too long");
    }
    if (!status) status = hire(run, error);
    if (status)
        pbt_run_free(run);
    else
        *out = run;
    return status;
}

void pbt_run_free(PbtRun *run) {
    if (!run) return;
    const PbtKind *kind = run->options.kind;
    while (run->count > 0) run_remove_slot(run, run->count - 1);
    for (size_t i = 0; i < run->worker_count; i++)
        if (kind->worker_free) kind->worker_free(kind->context, run->workers[i]);
    store_close(run->store);
    memory_free(run->workers);
    memory_free(run->slots);
    memory_free(run->events);
    memory_free(run->saved);
    memory_free(run->memory);
    memory_free(run->published);
    memory_free(run);
}

static Status populate(PbtRun *run, Error *error) {
    const PbtOptions *options = &run->options;
    const PbtSpace *space = &options->space;
    Status status = STATUS_OK;
    for (size_t i = 0; !status && i < options->population; i++) {
        Slot *slot;
        status = run_add_slot(run, (int64_t)i, &slot, error);
        if (status) break;
        if (options->initial)
            memcpy(slot->now.values, options->initial + i * space->count, space->count * sizeof(double));
        else
            pbt_space_sample(space, random_key(options->seed, i, "pbt.prior"), 0, slot->now.values);
        status = slot_create(run, run_worker(run), slot, error);
        if (!status) status = slot_tell(run, slot, error);
    }
    return status;
}

/* What the run is, and its members before they train, in one transaction. */
static Status begin_record(PbtRun *run, Error *error) {
    Status status = store_begin(run->store, error);
    if (!status) status = store_put_options(run->store, &run->options, error);
    for (size_t i = 0; !status && i < run->count; i++)
        status = store_put_standing(run->store, run, run->slots[i], error);
    if (!status) status = run_conclude(run, 0, 0, error);
    if (status) store_abandon(run->store);
    return status;
}

/* ---- beginning from another run ------------------------------------------------------------------------ */

/* The other's hyperparameters as far as this space has them, the nearest legal values; the rest is drawn. */
static Status take_values(PbtRun *run, Slot *slot, Error *error) {
    const PbtSpace *space = &run->options.space;
    double *values = slot->now.values, drawn[PBT_HYPERS];
    pbt_space_sample(space, random_key(run->options.seed, (uint64_t)slot->now.slot, "pbt.prior"), 0, drawn);
    for (size_t i = 0; i < space->count; i++)
        if (isnan(values[i])) values[i] = drawn[i];
    return pbt_space_keep(space, values, error);
}

/* Where it left off, with its steps, so that no stream shows the same numbers twice; its scores are another
 * run's, and may mean something else here. */
static Status take_member(PbtRun *run, size_t index, const Standing *other, const char *states,
                          Error *error) {
    Slot *slot;
    Status status = run_add_slot(run, (int64_t)index, &slot, error);
    if (status) return status;
    slot->now = *other;
    slot->now.slot = slot->now.parent = (int64_t)index;
    slot->now.round = slot->now.parent_round = 0;
    slot->now.pinned = false;
    slot->now.score = slot_unscored();
    slot->now.fitness = NAN;
    slot->now.window_count = 0;
    slot->now.state[0] = '\0';
    status = take_values(run, slot, error);
    if (!status) status = slot_create(run, run_worker(run), slot, error);
    if (!status && *other->state && !slot->now.failed) {
        status = slot_load(run, slot, states, other->state, error);
        if (!status) status = slot_save(run, run_worker(run), slot, error);
        if (!status) status = run_saved(run, slot, error);
        if (!status) status = slot_apply(run, run_worker(run), slot, error);
    }
    if (!status) status = slot_tell(run, slot, error);
    return status ? status
                  : run_event(run, error, "taken over", slot->now.slot, other->slot, "%s", slot->now.state);
}

/* The best first; those of equal scores, or of none, in order of slot. */
static int by_rank(const void *one, const void *another) {
    const Standing *a = one, *b = another;
    double mine = isnan(a->score.score) ? (double)-INFINITY : a->score.score;
    double theirs = isnan(b->score.score) ? (double)-INFINITY : b->score.score;
    if (mine != theirs) return mine > theirs ? -1 : 1;
    return a->slot < b->slot ? -1 : 1;
}

static Status take_members(PbtRun *run, Standing *others, size_t count, Error *error) {
    char states[FILE_PATH_LIMIT];
    size_t sound = 0;
    int length = snprintf(states, sizeof states, "%s/states", run->options.from);
    if (length < 0 || (size_t)length >= sizeof states)
        return error_set(error, STATUS_INVALID, "its path is too long");
    for (size_t i = 0; i < count; i++) sound += !others[i].failed;
    if (sound == 0) return error_set(error, STATUS_INVALID, "all of its members have failed");
    if (sound > run->options.population) qsort(others, count, sizeof *others, by_rank);
    Status status = STATUS_OK;
    size_t taken = 0;
    for (size_t next = 0; !status && taken < run->options.population; next = (next + 1) % count)
        if (!others[next].failed) status = take_member(run, taken++, &others[next], states, error);
    return status;
}

static Status populate_from(PbtRun *run, Error *error) {
    Store *store;
    Standing *others = NULL;
    size_t count = 0;
    int64_t round = run->options.from_round;
    Status status = store_look(&store, run->options.from, error);
    if (!status && round == 0) status = store_last_round(store, &round, error);
    if (!status) status = store_read_others(store, run, round, &others, &count, error);
    if (!status) status = take_members(run, others, count, error);
    if (status)
        error_prefix(error, "a run cannot be begun from %s after round %lld: ", run->options.from,
                     (long long)round);
    memory_free(others);
    store_close(store);
    return status;
}

static Status begin(PbtRun *run, Error *error) {
    Status status = run->options.from ? populate_from(run, error) : populate(run, error);
    return status || !run->store ? status : begin_record(run, error);
}

Status pbt_run_new(PbtRun **out, const PbtOptions *options, Error *error) {
    PbtRun *run;
    Status status = prepare(&run, options, error);
    *out = NULL;
    if (status) return status;
    bool begun = false;
    if (options->directory)
        status = store_open(&run->store, options->directory, run_ending(options), &begun, error);
    if (!status && begun)
        status = error_set(error, STATUS_INVALID,
                           "%s: there is a run in it already: resume that, or choose another directory",
                           options->directory);
    if (!status) status = begin(run, error);
    if (status)
        pbt_run_free(run);
    else
        *out = run;
    return status;
}

/* ---- resuming ------------------------------------------------------------------------------------------ */

static Status revive(PbtRun *run, const Standing *standing, Error *error) {
    Slot *slot;
    Status status = run_add_slot(run, standing->slot, &slot, error);
    if (status) return status;
    slot->now = slot->scored = *standing;
    if (standing->failed) return STATUS_OK;
    status = slot_create(run, run_worker(run), slot, error);
    if (status) return status;
    if (slot->now.failed)
        return error_set(error, STATUS_INVALID, "member %lld cannot be made again: %.500s",
                         (long long)standing->slot, slot->now.failure);
    if (!*standing->state) return STATUS_OK;
    status = slot_load(run, slot, run->states, standing->state, error);
    if (!status) status = slot_apply(run, run_worker(run), slot, error);
    if (status) return status;
    if (slot->now.failed)
        return error_set(error, STATUS_INVALID, "member %lld cannot be set up again: %.500s",
                         (long long)standing->slot, slot->now.failure);
    return STATUS_OK;
}

/* In an asynchronous run `until` is the last round of any member, `round` that of the least trained. */
static Status revive_round(PbtRun *run, int64_t round, int64_t until, Error *error) {
    Standing *standings = NULL;
    size_t count = 0;
    while (run->count > 0) run_remove_slot(run, run->count - 1);
    Status status = store_read_round(run->store, run, round, error);
    bool latest = run->options.asynchronous;
    if (!status) status = store_read_standings(run->store, run, until, latest, &standings, &count, error);
    for (size_t i = 0; !status && i < count; i++) status = revive(run, &standings[i], error);
    memory_free(standings);
    return status;
}

/* With `whole`, back to the last round all of whose states are there. In an asynchronous run the first to be
 * given up is what some members are ahead of others. */
static Status revive_last(PbtRun *run, int64_t last, bool whole, Error *error) {
    int64_t all = run->options.asynchronous ? INT64_MAX : last, round = all;
    Status status = revive_round(run, last, all, error);
    while (status && status != STATUS_NO_MEMORY && whole && round > 1) {
        Error other;
        if (round > last)
            round = last;
        else if (store_round_before(run->store, round, &round, &other) || round < 1)
            break;
        Status again = revive_round(run, round, round, &other);
        if (again == STATUS_NO_MEMORY) return error_set(error, again, "%s", other.message);
        if (!again) status = STATUS_OK;
    }
    if (status || round == all) return status;
    status = store_give_up(run->store, round, error);
    return status ? status
                  : run_event(run, error, "rolled back", NOBODY, ASIDE, "from round %lld to round %lld",
                              (long long)last, (long long)round);
}

static Status recall(PbtRun *run, bool whole, Error *error) {
    int64_t last = 0;
    Status status = store_check_options(run->store, &run->options, error);
    if (!status) status = store_last_round(run->store, &last, error);
    if (!status) status = revive_last(run, last, whole, error);
    if (!status) status = store_read_next_slot(run->store, &run->next_slot, error);
    if (!status && run->options.asynchronous) status = asynchronous_recall(run, error);
    if (!status) store_sweep(run->store, run->states);
    return status
               ? status
               : run_event(run, error, "resumed", NOBODY, ASIDE, "after round %lld", (long long)run->round);
}

Status pbt_run_resume(PbtRun **out, const PbtOptions *options, bool whole, Error *error) {
    PbtRun *run;
    *out = NULL;
    if (!options->directory)
        return error_set(error, STATUS_INVALID, "a run without a directory cannot be resumed");
    Status status = prepare(&run, options, error);
    if (status) return status;
    bool begun = false;
    status = store_open(&run->store, options->directory, run_ending(options), &begun, error);
    if (!status) status = begun ? recall(run, whole, error) : begin(run, error);
    if (status)
        pbt_run_free(run);
    else
        *out = run;
    return status;
}

Status pbt_run_rounds(PbtRun *run, int64_t rounds, PbtEnd *end, Error *error) {
    *end = PBT_FINISHED;
    if (run->broken) return error_set(error, STATUS_INVALID, "the run %s: free it and resume", run->broken);
    Status status = run->options.asynchronous ? asynchronous_rounds(run, rounds, end, error)
                                              : synchronous_rounds(run, rounds, end, error);
    if (status) run->broken = "ended with an error";
    if (!status && *end == PBT_INTERRUPTED) run->broken = "was interrupted";
    return status;
}
