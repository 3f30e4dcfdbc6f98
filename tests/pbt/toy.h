/* Members for tests: the toy of the paper's figure 2. Weights are (t0, t1), trained to raise the surrogate
 * 1.2 - (h0 t0^2 + h1 t1^2) by gradient ascent; the score is 1.2 - (t0^2 + t1^2). Parts are t0 and t1. A
 * world can be told to go wrong in many ways. */
#ifndef BROOD_TESTS_PBT_TOY_H
#define BROOD_TESTS_PBT_TOY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/random.h"
#include "pbt/pbt.h"

typedef struct {
    double theta[2];
    double trained; /* steps */
} ToyWeights;

typedef struct {
    uint64_t seed;
    int64_t slot;
    ToyWeights weights; /* first in memory order of what is hashed */
    double h[2];
} Toy;

typedef struct {
    double rate;                              /* of learning */
    double noise;                             /* on the weights, of each step */
    double score_noise;                       /* deviation of the score, drawn anew at each step count */
    int64_t fail_slot, fail_from, fail_until; /* steps of that slot from .. until fail */
    int64_t nan_slot;                         /* whose score is a NaN */
    int64_t all_fail_from;                    /* steps */
    bool deaf;                                /* hyperparameter h1 is not applied */
    bool forgetful;                           /* copies leave out theta[1] */
    int64_t bad_copies;                       /* so many copies and states that are loaded go wrong */
    bool full_disk;                           /* saving fails */
    bool plateau;                             /* all scores are equal */
    bool dawdle;                              /* steps take a while, more for some slots */
    int64_t copies_of_failed;                 /* a copy whose donor is not finite */
    bool homely;                              /* all steps must be made by the thread `home` */
    pthread_t home;
    atomic_long live; /* members */
    atomic_long busy; /* calls at work with a worker's context, to catch two at a time */
} ToyWorld;

static inline ToyWorld toy_world(void) {
    return (ToyWorld){.rate = 0.01, .fail_slot = -1, .nan_slot = -1, .all_fail_from = INT64_MAX};
}

typedef struct {
    atomic_int busy;
} ToyWorker;

static inline Status toy_worker_new(void *context, size_t index, void **worker, Error *error) {
    (void)context, (void)index;
    ToyWorker *made = memory_new(1, sizeof *made);
    *worker = made;
    return made ? STATUS_OK : error_no_memory(error, "a worker");
}

static inline void toy_worker_free(void *context, void *worker) {
    (void)context;
    memory_free(worker);
}

static inline Status toy_create(void *context, void *worker, const PbtBirth *birth, void **member,
                                Error *error) {
    ToyWorld *world = context;
    (void)worker;
    Toy *toy = memory_new(1, sizeof *toy);
    if (!toy) return error_no_memory(error, "a toy");
    *toy = (Toy){.seed = birth->seed, .slot = birth->slot, .weights = {{0.9, 0.9}, 0}};
    atomic_fetch_add(&world->live, 1);
    *member = toy;
    return STATUS_OK;
}

static inline void toy_free(void *context, void *member) {
    ToyWorld *world = context;
    atomic_fetch_sub(&world->live, 1);
    memory_free(member);
}

/* The last two hyperparameters are h0 and h1; others have nothing to do. */
static inline Status toy_apply(void *context, void *worker, void *member, const double *values,
                               double *applied, Error *error) {
    ToyWorld *world = context;
    Toy *toy = member;
    (void)worker, (void)error;
    toy->h[0] = values[0];
    if (!world->deaf) toy->h[1] = values[1];
    applied[0] = toy->h[0];
    applied[1] = toy->h[1];
    return STATUS_OK;
}

static inline bool toy_fails(const ToyWorld *world, const Toy *toy, int64_t step) {
    if (step >= world->all_fail_from) return true;
    return toy->slot == world->fail_slot && step >= world->fail_from && step < world->fail_until;
}

static inline Status toy_step(void *context, void *worker, void *member, int64_t first, int64_t steps,
                              Error *error) {
    ToyWorld *world = context;
    ToyWorker *hand = worker;
    Toy *toy = member;
    if (world->homely) assert_true(pthread_equal(world->home, pthread_self()));
    assert_int_equal(atomic_fetch_add(&hand->busy, 1), 0);
    uint64_t key = random_key(toy->seed, (uint64_t)toy->slot, "toy");
    Status status = STATUS_OK;
    for (int64_t step = first; !status && step < first + steps; step++) {
        for (int i = 0; i < 2; i++) {
            double *theta = &toy->weights.theta[i];
            *theta += world->rate * -2 * toy->h[i] * *theta;
            if (world->noise > 0) *theta += world->noise * random_normal_at(key, (uint64_t)step, (uint64_t)i);
        }
        toy->weights.trained++;
        if (toy_fails(world, toy, step)) {
            toy->weights.theta[0] = NAN;
            status = error_set(error, STATUS_NOT_FINITE, "the loss is nan in step %lld", (long long)step);
        }
    }
    if (world->dawdle) usleep((useconds_t)(200 + 300 * (toy->slot % 3) + rand() % 400));
    atomic_fetch_sub(&hand->busy, 1);
    return status;
}

static inline Status toy_score(void *context, void *worker, void *member, PbtScore *score, Error *error) {
    ToyWorld *world = context;
    Toy *toy = member;
    (void)worker, (void)error;
    const double *theta = toy->weights.theta;
    uint64_t key = random_key(toy->seed, (uint64_t)toy->slot, "toy.score");
    double noise = world->score_noise * random_normal_at(key, (uint64_t)toy->weights.trained, 0);
    score->score = world->plateau ? 1 : 1.2 - (theta[0] * theta[0] + theta[1] * theta[1]) + noise;
    score->deviation = world->score_noise;
    score->reports[0] = theta[0];
    if (toy->slot == world->nan_slot) score->score = NAN;
    return STATUS_OK;
}

static inline Status toy_copy(void *context, void *worker, void *member, void *donor, unsigned parts,
                              Error *error) {
    ToyWorld *world = context;
    Toy *to = member, *from = donor;
    (void)worker;
    if (world->bad_copies > 0)
        return world->bad_copies--, error_set(error, STATUS_INVALID, "the toy is broken");
    if (!isfinite(from->weights.theta[0])) world->copies_of_failed++;
    if (parts & 1) to->weights.theta[0] = from->weights.theta[0];
    if (parts & 2 && !world->forgetful) to->weights.theta[1] = from->weights.theta[1];
    to->weights.trained = from->weights.trained;
    return STATUS_OK;
}

static inline Status toy_hash(void *context, void *worker, void *member, char hash[FILE_HASH], Error *error) {
    Toy *toy = member;
    (void)context, (void)worker;
    FilePiece piece = {&toy->weights, sizeof toy->weights};
    return file_hash(&piece, 1, hash, error);
}

static inline Status toy_save(void *context, void *worker, void *member, const char *folder,
                              char hash[FILE_HASH], Error *error) {
    ToyWorld *world = context;
    Toy *toy = member;
    char path[FILE_PATH_LIMIT];
    FilePiece piece = {&toy->weights, sizeof toy->weights};
    if (world->full_disk) return error_set(error, STATUS_IO, "%s: no space left on device", folder);
    Status status = toy_hash(context, worker, member, hash, error);
    if (status) return status;
    snprintf(path, sizeof path, "%s/%s", folder, hash);
    return access(path, F_OK) == 0 ? STATUS_OK : file_save(path, &piece, 1, error);
}

static inline Status toy_load(void *context, void *worker, void *member, const char *folder, const char *hash,
                              Error *error) {
    (void)worker;
    ToyWorld *world = context;
    Toy *toy = member;
    char path[FILE_PATH_LIMIT];
    uint8_t *bytes;
    if (world->bad_copies > 0)
        return world->bad_copies--, error_set(error, STATUS_INVALID, "the toy is broken");
    size_t size;
    snprintf(path, sizeof path, "%s/%s", folder, hash);
    Status status = file_load(path, sizeof toy->weights, &bytes, &size, error);
    if (status) return status;
    ToyWeights weights;
    if (size == sizeof weights)
        memcpy(&weights, bytes, size);
    else
        status =
            error_set(error, STATUS_CORRUPT, "%zu bytes were expected, it has %zu", sizeof weights, size);
    memory_free(bytes);
    if (status) return status;
    toy->weights = weights;
    return STATUS_OK;
}

static const char *const TOY_PARTS[] = {"t0", "t1"};
static const char *const TOY_REPORTS[] = {"theta"};

static inline PbtKind toy_kind(ToyWorld *world) {
    return (PbtKind){.context = world,
                     .parts = TOY_PARTS,
                     .part_count = 2,
                     .reports = TOY_REPORTS,
                     .report_count = 1,
                     .worker_new = toy_worker_new,
                     .worker_free = toy_worker_free,
                     .create = toy_create,
                     .free = toy_free,
                     .apply = toy_apply,
                     .step = toy_step,
                     .score = toy_score,
                     .copy = toy_copy,
                     .hash = toy_hash,
                     .save = toy_save,
                     .load = toy_load};
}

static const PbtHyper TOY_HYPERS[] = {{.name = "h0", .kind = PBT_UNIFORM, .low = 0, .high = 1000},
                                      {.name = "h1", .kind = PBT_UNIFORM, .low = 0, .high = 1000}};
static const PbtHyper TOY_LOG_HYPERS[] = {{.name = "h0", .kind = PBT_LOG_UNIFORM, .low = 0.01, .high = 10},
                                          {.name = "h1", .kind = PBT_LOG_UNIFORM, .low = 0.01, .high = 10}};

/* A population of `n`, in rounds of four steps. */
static inline PbtOptions toy_options(const PbtKind *kind, size_t n, uint64_t seed) {
    return (PbtOptions){.kind = kind,
                        .space = {TOY_LOG_HYPERS, 2},
                        .seed = seed,
                        .population = n,
                        .interval = 4,
                        .exploit = pbt_exploit_default(),
                        .explore = pbt_explore_default()};
}

#endif
