/* Every member at its own pace: the next free worker takes the least trained one. A member that is ready
 * compares itself with what the others published at its own age, and copies that, never the live member. What
 * happens at a ready moment depends on what was published before it, and so on the order of ready moments:
 * that is written down, and with it the run can be made again. */
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "pbt/population.h"
#include "pbt/store/store.h"

/* ---- what members publish ------------------------------------------------------------------------------ */

static int64_t youngest(const PbtRun *run) {
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < run->count; i++)
        if (run->slots[i]->now.round < least) least = run->slots[i]->now.round;
    return least;
}

static Status publish(PbtRun *run, const Standing *standing, Error *error) {
    if (!memory_grow((void **)&run->published, run->published_count, &run->published_room,
                     sizeof *run->published))
        return error_no_memory(error, "what members publish");
    run->published[run->published_count++] = *standing;
    return STATUS_OK;
}

/* Nobody will come to an age that all have passed. */
static void prune(PbtRun *run) {
    int64_t least = youngest(run);
    size_t kept = 0;
    for (size_t i = 0; i < run->published_count; i++)
        if (run->published[i].round >= least) run->published[kept++] = run->published[i];
    run->published_count = kept;
}

Status asynchronous_recall(PbtRun *run, Error *error) {
    run->round = youngest(run);
    Status status = store_read_turns(run->store, &run->turns, error);
    if (status) return status;
    status = store_read_scored(run->store, run, run->round, &run->published, &run->published_count, error);
    run->published_room = run->published_count;
    return status;
}

/* ---- a ready moment ------------------------------------------------------------------------------------ */

/* Those who published at this age, with the member itself among them; returns whether one of them is sound.
 */
static bool gather(const PbtRun *run, const Slot *slot, int64_t round, Company *company) {
    bool sound = false;
    company->count = 0;
    company_add(company, &slot->scored);
    for (size_t i = 0; i < run->published_count; i++) {
        const Standing *other = &run->published[i];
        bool itself = other->slot == slot->scored.slot && other->round == slot->scored.round;
        if (other->round != round || itself) continue;
        company_add(company, other);
        sound = sound || !other->failed;
    }
    return sound;
}

/* A member that failed, and finds nobody sound of its age, looks among the younger ones. */
static Status choose(PbtRun *run, const Slot *slot, Heritage *heritage, Error *error) {
    Company company;
    Status status = company_new(&company, run->published_count + 1, error);
    if (status) return status;
    int64_t round = slot->scored.round;
    bool sound = gather(run, slot, round, &company);
    while (slot->scored.failed && !sound && round > 0) sound = gather(run, slot, --round, &company);
    size_t me = 0;
    while (company.standings[me] != &slot->scored) me++;
    status = inherit_choose(run, &company, me, slot->scored.round, heritage, error);
    company_free(&company);
    return status;
}

static Status inherit(PbtRun *run, Slot *slot, const Heritage *heritage, Error *error) {
    if (!heritage->donors[0]) return STATUS_OK;
    Status status = inherit_standing(run, slot, heritage, error);
    if (!status && heritage->weights) status = slot_copy_saved(run, slot, slot->now.state, error);
    return status ? status : inherit_finish(run, slot, heritage, slot->now.round, error);
}

static Status put_down(PbtRun *run, const Slot *slot, Error *error) {
    Status status = store_begin(run->store, error);
    run->round = youngest(run);
    if (!status) status = store_put_scored(run->store, run, slot, error);
    if (!status) status = store_put_standing(run->store, run, slot, error);
    if (!status) status = store_put_turn(run->store, run->turns + 1, slot->now.slot, slot->now.round, error);
    if (!status) status = run_conclude(run, slot->now.round, run->round - 1, error);
    if (status) store_abandon(run->store);
    return status;
}

/* On the caller's thread, which is also the only one that saves: a state that is forgotten here cannot be one
 * that is being written. */
static Status ready(PbtRun *run, Slot *slot, Error *error) {
    Heritage heritage;
    int64_t before = run->round;
    Status status = slot_save(run, run_worker(run), slot, error);
    if (!status) status = slot_settle(run, slot, slot->now.round + 1, error);
    slot->scored = slot->now;
    if (!status) status = publish(run, &slot->scored, error);
    if (!status) status = choose(run, slot, &heritage, error);
    if (!status) status = inherit(run, slot, &heritage, error);
    if (!status) status = put_down(run, slot, error);
    if (status) return status;
    run->turns++;
    prune(run);
    slot->seen = slot->now;
    status = run_progress(run, PBT_MEMBER_READY, slot->now.slot, error);
    if (!status && run->round > before) status = run_progress(run, PBT_ROUND_DONE, NOBODY, error);
    return status ? status : run_all_failed(run, error);
}

/* ---- by the caller alone ------------------------------------------------------------------------------- */

static Status train(PbtRun *run, void *worker, Slot *slot, Error *error) {
    Status status = slot_train(run, worker, slot, 1, error);
    if (!status) status = slot_score(run, worker, slot, error);
    return status ? status : slot_report(run, worker, slot, error);
}

/* The next member in the order that is replayed, or the least trained one; NULL when there is nothing to do.
 */
static Status next_alone(const PbtRun *run, int64_t rounds, Slot **next, Error *error) {
    *next = NULL;
    if (!run->options.order) {
        for (size_t i = 0; i < run->count; i++) {
            Slot *slot = run->slots[i];
            if (slot->now.round < rounds && (!*next || slot->now.round < (*next)->now.round)) *next = slot;
        }
        return STATUS_OK;
    }
    if ((size_t)run->turns >= run->options.order_count) return STATUS_OK;
    int64_t slot = run->options.order[run->turns];
    size_t index = run_find(run, slot);
    if (index == run->count)
        return error_set(error, STATUS_INVALID,
                         "the order to be replayed has a member %lld, which there is not", (long long)slot);
    if (run->slots[index]->now.round < rounds) *next = run->slots[index];
    return STATUS_OK;
}

static Status alone(PbtRun *run, int64_t rounds, bool *interrupted, Error *error) {
    for (;;) {
        Slot *slot;
        Status status = next_alone(run, rounds, &slot, error);
        if (status || !slot) return status;
        status = train(run, run_worker(run), slot, error);
        if (status) return status;
        if (run_interrupted(run)) {
            *interrupted = true;
            return STATUS_OK;
        }
        status = ready(run, slot, error);
        if (status) return status;
    }
}

/* ---- by threads ---------------------------------------------------------------------------------------- */

typedef enum { IDLE, TRAINING, READY } Pace;

typedef struct {
    PbtRun *run;
    int64_t rounds;
    pthread_mutex_t mutex; /* guards all that follows, and whose turn a member is */
    pthread_cond_t work, news;
    Pace *pace;    /* of each member */
    size_t *queue; /* of those that are ready, the first first */
    size_t queued;
    bool stop;
    Status status; /* of the first training that ended the run */
    Error error;
} Crowd;

typedef struct {
    Crowd *crowd;
    void *worker;
    pthread_t thread;
} Hand;

static size_t least_trained(const Crowd *crowd) {
    const PbtRun *run = crowd->run;
    size_t least = run->count;
    for (size_t i = 0; i < run->count; i++) {
        if (crowd->pace[i] != IDLE || run->slots[i]->now.round >= crowd->rounds) continue;
        if (least == run->count || run->slots[i]->now.round < run->slots[least]->now.round) least = i;
    }
    return least;
}

static void *work(void *argument) {
    Hand *hand = argument;
    Crowd *crowd = hand->crowd;
    PbtRun *run = crowd->run;
    pthread_mutex_lock(&crowd->mutex);
    while (!crowd->stop) {
        size_t index = least_trained(crowd);
        if (index == run->count) {
            pthread_cond_wait(&crowd->work, &crowd->mutex);
            continue;
        }
        crowd->pace[index] = TRAINING;
        pthread_mutex_unlock(&crowd->mutex);
        Error error = {.status = STATUS_OK};
        Status status = train(run, hand->worker, run->slots[index], &error);
        pthread_mutex_lock(&crowd->mutex);
        if (status && !crowd->status) {
            crowd->status = status;
            crowd->error = error;
        }
        if (!status) {
            crowd->pace[index] = READY;
            crowd->queue[crowd->queued++] = index;
        }
        pthread_cond_signal(&crowd->news);
    }
    pthread_mutex_unlock(&crowd->mutex);
    return NULL;
}

static bool take_ready(Crowd *crowd, size_t *index) {
    if (crowd->queued == 0) run_wait(&crowd->news, &crowd->mutex);
    if (crowd->queued == 0) return false;
    *index = crowd->queue[0];
    crowd->queued--;
    memmove(crowd->queue, crowd->queue + 1, crowd->queued * sizeof *crowd->queue);
    return true;
}

static Status attend(Crowd *crowd, bool *interrupted, Error *error) {
    PbtRun *run = crowd->run;
    Status status = STATUS_OK;
    pthread_mutex_lock(&crowd->mutex);
    while (!status && !crowd->status && !*interrupted && youngest(run) < crowd->rounds) {
        size_t index;
        bool taken = take_ready(crowd, &index);
        pthread_mutex_unlock(&crowd->mutex);
        run->told = taken ? run->slots[index] : NULL;
        if (taken) status = ready(run, run->slots[index], error);
        run->told = NULL;
        *interrupted = run_interrupted(run);
        pthread_mutex_lock(&crowd->mutex);
        if (taken) crowd->pace[index] = IDLE;
        pthread_cond_broadcast(&crowd->work);
    }
    crowd->stop = true;
    pthread_cond_broadcast(&crowd->work);
    pthread_mutex_unlock(&crowd->mutex);
    return status;
}

static Status with_hands(Crowd *crowd, Hand *hands, size_t count, bool *interrupted, Error *error) {
    size_t started = 0;
    Status status = STATUS_OK;
    for (; !status && started < count; started += !status) {
        hands[started] = (Hand){.crowd = crowd, .worker = crowd->run->workers[started]};
        int failed = pthread_create(&hands[started].thread, NULL, work, &hands[started]);
        if (failed)
            status = error_set(error, STATUS_IO, "thread %zu of %zu cannot be started: %s", started + 1,
                               count, strerror(failed));
    }
    if (status) {
        pthread_mutex_lock(&crowd->mutex);
        crowd->stop = true;
        pthread_cond_broadcast(&crowd->work);
        pthread_mutex_unlock(&crowd->mutex);
    } else {
        status = attend(crowd, interrupted, error);
    }
    for (size_t i = 0; i < started; i++) pthread_join(hands[i].thread, NULL);
    if (status || !crowd->status) return status;
    if (error) *error = crowd->error;
    return crowd->status;
}

static Status together(PbtRun *run, int64_t rounds, bool *interrupted, Error *error) {
    Crowd crowd = {.run = run, .rounds = rounds};
    size_t threads = run_threads(run);
    Hand *hands = memory_new(threads, sizeof *hands);
    crowd.pace = memory_new(run->count, sizeof *crowd.pace);
    crowd.queue = memory_new(run->count, sizeof *crowd.queue);
    pthread_mutex_init(&crowd.mutex, NULL);
    pthread_cond_init(&crowd.work, NULL);
    pthread_cond_init(&crowd.news, NULL);
    for (size_t i = 0; i < run->count; i++) run->slots[i]->seen = run->slots[i]->now;
    run->training = true;
    Status status = hands && crowd.pace && crowd.queue
                        ? with_hands(&crowd, hands, threads, interrupted, error)
                        : error_no_memory(error, "threads");
    run->training = false;
    pthread_cond_destroy(&crowd.news);
    pthread_cond_destroy(&crowd.work);
    pthread_mutex_destroy(&crowd.mutex);
    memory_free(crowd.queue);
    memory_free(crowd.pace);
    memory_free(hands);
    return status;
}

Status asynchronous_rounds(PbtRun *run, int64_t rounds, PbtEnd *end, Error *error) {
    bool interrupted = false;
    Status status = run_all_failed(run, error);
    if (!status && youngest(run) < rounds)
        status = run_threads(run) > 1 ? together(run, rounds, &interrupted, error)
                                      : alone(run, rounds, &interrupted, error);
    *end = interrupted ? PBT_INTERRUPTED : PBT_FINISHED;
    return status;
}
