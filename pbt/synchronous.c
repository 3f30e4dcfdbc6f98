/* Rounds: all members train, are scored, then exploit and explore. */
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "pbt/population.h"
#include "pbt/store/store.h"

/* ---- a job for each member, by all workers ------------------------------------------------------------- */

typedef Status CrewJob(PbtRun *run, void *worker, Slot *slot, Error *error);

typedef struct {
    PbtRun *run;
    CrewJob *job;
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t news;
    size_t pieces;            /* of the job for each member, which follow each other */
    size_t *begun;            /* pieces of each member that were taken */
    bool *busy;               /* whether a worker has it */
    size_t *done, done_count; /* members in the order in which they were finished */
    size_t ended;             /* pieces, of all members */
    size_t at_work;           /* threads */
    bool stop;
    Status status; /* of the first job that ended the run */
    Error error;
} Crew;

typedef struct {
    Crew *crew;
    void *worker;
    pthread_t thread;
} Hand;

/* The member that is furthest behind of those that no worker has: so all come to their end together, and no
 * worker waits long. run->count when there is none. */
static size_t next_member(const Crew *crew) {
    size_t count = crew->run->count, next = count;
    for (size_t i = 0; i < count; i++)
        if (!crew->busy[i] && crew->begun[i] < (next < count ? crew->begun[next] : crew->pieces)) next = i;
    return next;
}

static void *work(void *argument) {
    Hand *hand = argument;
    Crew *crew = hand->crew;
    PbtRun *run = crew->run;
    pthread_mutex_lock(&crew->mutex);
    size_t index;
    while (!crew->stop && (index = next_member(crew)) < run->count) {
        bool last = ++crew->begun[index] == crew->pieces;
        crew->busy[index] = true;
        pthread_mutex_unlock(&crew->mutex);
        Error error = {.status = STATUS_OK};
        Status status = crew->job(run, hand->worker, run->slots[index], &error);
        pthread_mutex_lock(&crew->mutex);
        crew->busy[index] = false;
        crew->ended++;
        if (last) crew->done[crew->done_count++] = index;
        if (status && !crew->status) {
            crew->status = status;
            crew->error = error;
        }
        if (status) crew->stop = true;
        pthread_cond_signal(&crew->news);
    }
    crew->at_work--;
    pthread_cond_signal(&crew->news);
    pthread_mutex_unlock(&crew->mutex);
    return NULL;
}

/* `ended` of so many pieces are done; that a member is ready is told by itself. */
static Status tell_share(PbtRun *run, size_t ended, size_t all, bool ready, Error *error) {
    run->share = (double)ended / (double)all;
    return ready ? STATUS_OK : run_progress(run, PBT_TRAINING, NOBODY, error);
}

/* On the caller's thread, while the others work: tells of members as they get ready, and of pieces. */
static Status watch(Crew *crew, bool tell, bool *interrupted, Error *error) {
    PbtRun *run = crew->run;
    Status status = STATUS_OK;
    size_t told = 0, ended = 0;
    pthread_mutex_lock(&crew->mutex);
    while (crew->at_work > 0 || told < crew->done_count) {
        if (told == crew->done_count) run_wait(&crew->news, &crew->mutex);
        bool news = told < crew->done_count;
        Slot *slot = news ? run->slots[crew->done[told++]] : NULL;
        bool more = crew->ended > ended;
        ended = crew->ended;
        pthread_mutex_unlock(&crew->mutex);
        if (slot) slot->seen = slot->now;
        run->told = slot;
        if (more && tell && !status)
            status = tell_share(run, ended, crew->pieces * run->count, slot || crew->pieces == 1, error);
        if (slot && tell && !status) status = run_progress(run, PBT_MEMBER_READY, slot->now.slot, error);
        run->told = NULL;
        if (run_interrupted(run)) *interrupted = true;
        pthread_mutex_lock(&crew->mutex);
        if (status || *interrupted) crew->stop = true;
    }
    pthread_mutex_unlock(&crew->mutex);
    return status;
}

static Status by_threads(PbtRun *run, CrewJob *job, size_t pieces, size_t threads, bool tell,
                         bool *interrupted, Error *error) {
    Crew crew = {.run = run, .job = job, .pieces = pieces};
    Hand *hands = memory_new(threads, sizeof *hands);
    crew.done = memory_new(run->count, sizeof *crew.done);
    crew.begun = memory_new(run->count, sizeof *crew.begun);
    crew.busy = memory_new(run->count, sizeof *crew.busy);
    Status status =
        hands && crew.done && crew.begun && crew.busy ? STATUS_OK : error_no_memory(error, "threads");
    pthread_mutex_init(&crew.mutex, NULL);
    pthread_cond_init(&crew.news, NULL);
    for (size_t i = 0; i < run->count; i++) run->slots[i]->seen = run->slots[i]->now;
    run->training = true;
    size_t started = 0;
    while (!status && started < threads) {
        hands[started] = (Hand){.crew = &crew, .worker = run->workers[started]};
        pthread_mutex_lock(&crew.mutex);
        crew.at_work++;
        pthread_mutex_unlock(&crew.mutex);
        int failed = pthread_create(&hands[started].thread, NULL, work, &hands[started]);
        if (!failed) {
            started++;
            continue;
        }
        pthread_mutex_lock(&crew.mutex);
        crew.at_work--;
        crew.stop = true;
        pthread_mutex_unlock(&crew.mutex);
        status = error_set(error, STATUS_IO, "thread %zu of %zu cannot be started: %s", started + 1, threads,
                           strerror(failed));
    }
    if (!status) status = watch(&crew, tell, interrupted, error);
    for (size_t i = 0; i < started; i++) pthread_join(hands[i].thread, NULL);
    run->training = false;
    if (!status && crew.status) {
        status = crew.status;
        if (error) *error = crew.error;
    }
    pthread_cond_destroy(&crew.news);
    pthread_mutex_destroy(&crew.mutex);
    memory_free(crew.busy);
    memory_free(crew.begun);
    memory_free(crew.done);
    memory_free(hands);
    return status;
}

static Status by_caller(PbtRun *run, CrewJob *job, size_t pieces, bool tell, bool *interrupted,
                        Error *error) {
    for (size_t i = 0; i < run->count; i++) {
        Status status = STATUS_OK;
        for (size_t piece = 0; !status && piece < pieces; piece++) {
            status = job(run, run_worker(run), run->slots[i], error);
            if (!status && tell)
                status =
                    tell_share(run, i * pieces + piece + 1, run->count * pieces, piece + 1 == pieces, error);
        }
        if (!status && tell) status = run_progress(run, PBT_MEMBER_READY, run->slots[i]->now.slot, error);
        if (status) return status;
        if (run_interrupted(run)) {
            *interrupted = true;
            return STATUS_OK;
        }
    }
    return STATUS_OK;
}

static Status crew_each(PbtRun *run, CrewJob *job, size_t pieces, bool tell, bool *interrupted,
                        Error *error) {
    size_t threads = run_threads(run) < run->count ? run_threads(run) : run->count;
    *interrupted = false;
    return threads > 1 ? by_threads(run, job, pieces, threads, tell, interrupted, error)
                       : by_caller(run, job, pieces, tell, interrupted, error);
}

/* ---- training ------------------------------------------------------------------------------------------ */

static size_t training_pieces(const PbtRun *run) {
    const PbtKind *kind = run->options.kind;
    size_t pieces = kind->pieces > 0 ? kind->pieces : 1;
    int64_t more = kind->piece_steps > 0 ? (run->settings.interval - 1) / kind->piece_steps + 1 : 1;
    return (size_t)more > pieces ? (size_t)more : pieces;
}

static Status train_job(PbtRun *run, void *worker, Slot *slot, Error *error) {
    Status status = slot_train(run, worker, slot, training_pieces(run), error);
    if (status || slot->piece > 0) return status; /* there is more to come */
    status = slot_score(run, worker, slot, error);
    if (!status && run->options.report_best == 0) status = slot_report(run, worker, slot, error);
    return status ? status : slot_save(run, worker, slot, error);
}

/* ---- exploit ------------------------------------------------------------------------------------------- */

/* All choose by the same scores, before anybody copies. */
static Status choose_all(PbtRun *run, int64_t round, Heritage *heritages, Error *error) {
    Company company;
    Status status = company_new(&company, run->count, error);
    if (status) return status;
    for (size_t i = 0; i < run->count; i++) company_add(&company, &run->slots[i]->scored);
    for (size_t i = 0; !status && i < run->count; i++)
        status = inherit_choose(run, &company, i, round, &heritages[i], error);
    company_free(&company);
    return status;
}

/* Copies in progress. Who is copied must still be as it was scored: a member is overwritten only after all
 * who copy it, and where they copy each other in a circle, one of them is set aside. */
typedef struct {
    PbtRun *run;
    const Heritage *heritages; /* of each member */
    bool *waiting;             /* to copy */
    void **aside;              /* what was set aside of a member */
} Copies;

static bool still_needed(const Copies *copies, size_t index) {
    const PbtRun *run = copies->run;
    if (copies->aside[index]) return false;
    for (size_t i = 0; i < run->count; i++)
        for (size_t part = 0; copies->waiting[i] && part < run_parts(run); part++)
            if (copies->heritages[i].donors[part] == &run->slots[index]->scored) return true;
    return false;
}

/* The first that nobody waiting needs; in a circle the first that waits; run->count when none does. */
static size_t next_copy(const Copies *copies) {
    size_t count = copies->run->count, first = count;
    for (size_t i = 0; i < count; i++) {
        if (!copies->waiting[i]) continue;
        if (!still_needed(copies, i)) return i;
        if (first == count) first = i;
    }
    return first;
}

static void *source_of(const Copies *copies, const Standing *donor) {
    size_t index = run_find(copies->run, donor->slot);
    return copies->aside[index] ? copies->aside[index] : copies->run->slots[index]->member;
}

static Status copy_whole(const Copies *copies, Slot *slot, const Standing *donor, Error *error) {
    PbtRun *run = copies->run;
    void *source = source_of(copies, donor);
    Status status = slot_copy(run, run_worker(run), slot, source, run_all_parts(run), error);
    return status ? status : slot_prove(run, slot, donor->state, source, error);
}

static Status copy_one(Copies *copies, size_t index, Error *error) {
    PbtRun *run = copies->run;
    const Heritage *heritage = &copies->heritages[index];
    Slot *slot = run->slots[index];
    Status status = inherit_standing(run, slot, heritage, error);
    if (!status && heritage->whole) return copy_whole(copies, slot, heritage->donors[0], error);
    for (size_t part = 0; !status && part < run_parts(run); part++)
        status = slot_copy(run, run_worker(run), slot, source_of(copies, heritage->donors[part]), 1u << part,
                           error);
    return status;
}

static Status copy_in_order(Copies *copies, Error *error) {
    size_t count = copies->run->count;
    Status status = STATUS_OK;
    for (size_t i = 0; i < count; i++)
        copies->waiting[i] = copies->heritages[i].donors[0] && copies->heritages[i].weights;
    for (size_t i; !status && (i = next_copy(copies)) < count; copies->waiting[i] = false) {
        Slot *slot = copies->run->slots[i];
        bool aside = still_needed(copies, i);
        if (aside) status = slot_twin(copies->run, slot, &copies->aside[i], error);
        bool stays = aside && !copies->aside[i]; /* as it was scored, for those who copy it */
        if (!status && !stays) status = copy_one(copies, i, error);
    }
    return status;
}

static Status copy_all(PbtRun *run, const Heritage *heritages, Error *error) {
    const PbtKind *kind = run->options.kind;
    Copies copies = {run, heritages, memory_new(run->count, sizeof *copies.waiting),
                     memory_new(run->count, sizeof *copies.aside)};
    Status status = copies.waiting && copies.aside ? copy_in_order(&copies, error)
                                                   : error_no_memory(error, "copying members");
    for (size_t i = 0; copies.aside && i < run->count; i++)
        if (copies.aside[i]) kind->free(kind->context, copies.aside[i]);
    memory_free(copies.waiting);
    memory_free(copies.aside);
    return status;
}

/* ---- report scores of the best ------------------------------------------------------------------------- */

static Status report_job(PbtRun *run, void *worker, Slot *slot, Error *error) {
    return slot->reporting ? slot_report(run, worker, slot, error) : STATUS_OK;
}

static bool better(const Slot *a, const Slot *b) {
    if (a->now.failed != b->now.failed) return b->now.failed;
    return a->now.score.score > b->now.score.score ||
           (a->now.score.score == b->now.score.score && a->now.slot < b->now.slot);
}

static Status report_best(PbtRun *run, bool *interrupted, Error *error) {
    if (!run->options.kind->report || run->options.report_best == 0) return STATUS_OK;
    for (size_t i = 0; i < run->count; i++) {
        size_t rank = 0;
        for (size_t j = 0; j < run->count; j++) rank += better(run->slots[j], run->slots[i]);
        run->slots[i]->reporting = rank < run->options.report_best;
    }
    return crew_each(run, report_job, 1, false, interrupted, error);
}

/* A mosaic of several donors has a score of its own; all others have their donor's, or keep theirs. Where
 * only the best are reported, that has been done. */
static Status rescore_job(PbtRun *run, void *worker, Slot *slot, Error *error) {
    if (!slot->mosaic) return STATUS_OK;
    Status status = slot_score(run, worker, slot, error);
    if (!status && run->options.report_best == 0) status = slot_report(run, worker, slot, error);
    return status ? status : slot_save(run, worker, slot, error);
}

static Status rescore(PbtRun *run, int64_t round, bool *interrupted, Error *error) {
    bool any = false;
    for (size_t i = 0; i < run->count; i++) any = any || run->slots[i]->mosaic;
    if (!any) return STATUS_OK;
    Status status = crew_each(run, rescore_job, 1, false, interrupted, error);
    for (size_t i = 0; !status && !*interrupted && i < run->count; i++)
        if (run->slots[i]->mosaic) status = slot_settle(run, run->slots[i], round, error);
    return status;
}

static Status exploit_and_explore(PbtRun *run, int64_t round, bool *interrupted, Error *error) {
    Heritage *heritages = memory_new(run->count, sizeof *heritages);
    if (!heritages) return error_no_memory(error, "exploit");
    Status status = choose_all(run, round, heritages, error);
    if (!status) status = copy_all(run, heritages, error);
    for (size_t i = 0; !status && i < run->count; i++) {
        Slot *slot = run->slots[i];
        slot->mosaic = heritages[i].donors[0] && heritages[i].weights && !heritages[i].whole;
        if (!heritages[i].donors[0]) continue;
        if (!heritages[i].weights) status = inherit_standing(run, slot, &heritages[i], error);
        if (!status) status = inherit_finish(run, slot, &heritages[i], round, error);
    }
    memory_free(heritages);
    return status ? status : rescore(run, round, interrupted, error);
}

/* ---- rounds -------------------------------------------------------------------------------------------- */

static Status train_all(PbtRun *run, int64_t round, bool *interrupted, Error *error) {
    Status status = crew_each(run, train_job, training_pieces(run), true, interrupted, error);
    for (size_t i = 0; !status && !*interrupted && i < run->count; i++)
        status = slot_settle(run, run->slots[i], round, error);
    if (!status && !*interrupted) status = report_best(run, interrupted, error);
    for (size_t i = 0; !status && !*interrupted && i < run->count; i++) {
        status = slot_tell(run, run->slots[i], error); /* a report may have failed */
        run->slots[i]->scored = run->slots[i]->now;
    }
    return status;
}

static Status call_schedule(PbtRun *run, Error *error) {
    const PbtCallbacks *callbacks = &run->options.callbacks;
    if (!callbacks->schedule) return STATUS_OK;
    run->scheduling = true;
    Status status = callbacks->schedule(callbacks->context, run, error);
    run->scheduling = false;
    return status;
}

/* What was scored is put down before the schedule may drop members. */
static Status finish_round(PbtRun *run, int64_t round, Error *error) {
    Status status = run->store ? store_begin(run->store, error) : STATUS_OK;
    for (size_t i = 0; !status && run->store && i < run->count; i++)
        status = store_put_scored(run->store, run, run->slots[i], error);
    run->round = round;
    if (!status) status = call_schedule(run, error);
    for (size_t i = 0; !status && run->store && i < run->count; i++)
        status = store_put_standing(run->store, run, run->slots[i], error);
    if (!status) status = run_conclude(run, round, round - 1, error);
    if (status && run->store) store_abandon(run->store);
    return status;
}

static Status make_round(PbtRun *run, bool *interrupted, Error *error) {
    int64_t round = run->round + 1;
    Status status = train_all(run, round, interrupted, error);
    if (!status && !*interrupted) status = exploit_and_explore(run, round, interrupted, error);
    run->share = 0;
    if (status || *interrupted) return status;
    status = finish_round(run, round, error);
    return status ? status : run_progress(run, PBT_ROUND_DONE, -1, error);
}

Status synchronous_rounds(PbtRun *run, int64_t rounds, PbtEnd *end, Error *error) {
    bool interrupted = false;
    Status status = STATUS_OK;
    while (!status && !interrupted && !run->stopped && run->round < rounds) {
        status = run_all_failed(run, error);
        if (!status) status = make_round(run, &interrupted, error);
    }
    if (!status) status = run_all_failed(run, error);
    *end = interrupted ? PBT_INTERRUPTED : run->stopped ? PBT_STOPPED : PBT_FINISHED;
    return status;
}
