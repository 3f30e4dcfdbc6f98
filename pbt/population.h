/* A run from inside: its members, and what both ways of scheduling them share. */
#ifndef BROOD_PBT_POPULATION_H
#define BROOD_PBT_POPULATION_H

#include <pthread.h>

#include "pbt/pbt.h"

enum { PBT_FAILURE = 512 }; /* bytes of what is told of one, with its final zero */

/* All that is known of a member at one moment, apart from what only its kind knows. */
typedef struct {
    int64_t slot, round; /* ready moments so far */
    int64_t steps, age;
    int64_t parent, parent_round; /* whose weights, as trained in which round, it has */
    bool failed, pinned;
    PbtScore score;
    double fitness;
    double window[PBT_WINDOW]; /* the last scores along the lineage, the latest last */
    size_t window_count;
    double values[PBT_HYPERS];
    char state[FILE_HASH];     /* "" when none is saved */
    char failure[PBT_FAILURE]; /* what it failed in, and why; "" when it has not */
} Standing;

typedef struct {
    double training, scoring, saving; /* CPU seconds of one round */
} Ledger;

typedef struct {
    Standing now;    /* in a round: as it trains; at its end: after exploit and explore */
    Standing scored; /* at the end of the round's training: what all others see */
    Ledger ledger;
    double signals[PBT_SIGNALS];  /* of the last training */
    double observed[PBT_SIGNALS]; /* steps that each is the mean of */
    size_t piece;                 /* of the round's training: the next one */
    bool training;                /* it had not failed before that */
    void *member;                 /* NULL: none is alive */
    bool reporting;               /* its report scores are to be measured */
    bool mosaic;                  /* in this round it got its parts from several donors */
    bool failing;                 /* it has failed in this round, and no event says so yet */
    Standing seen;                /* what others than its worker may see while it trains */
} Slot;

/* In the place of a slot in events. */
enum { NOBODY = -1, ASIDE = -2 /* not determined by script and seed */ };

typedef struct {
    int64_t slot, other;
    const char *kind; /* a constant */
    char text[512];
} Event;

typedef struct {
    int64_t interval;
    PbtExploit exploit;
    PbtExplore explore;
} Settings;

typedef struct Store Store;

struct PbtRun {
    PbtOptions options;
    Settings settings;
    int64_t round;      /* done */
    const char *broken; /* what left its members in the middle of a round; NULL: nothing */
    int64_t next_slot;
    bool stopped;
    bool scheduling;  /* the schedule is being called */
    bool training;    /* by threads */
    double share;     /* of the round's training that is done */
    const Slot *told; /* whose ready moment it is, while threads train */
    Slot **slots;     /* in order of slot */
    size_t count, room;
    void **workers; /* one context per thread, and one more for the caller's */
    size_t worker_count;
    Store *store; /* NULL: nothing is kept */
    char states[FILE_PATH_LIMIT];
    char (*saved)[FILE_HASH]; /* states since the last commit, whether a member still has them or not */
    size_t saved_count, saved_room;
    Event *events; /* since the last commit */
    size_t event_count, event_room;
    uint8_t *memory; /* read from the store on resuming */
    size_t memory_size;
    Standing *published; /* asynchronous: what was seen at ready moments, as long as a member may need it */
    size_t published_count, published_room;
    int64_t turns; /* asynchronous: ready moments so far */
};

/* ---- run.c --------------------------------------------------------------------------------------------- */

size_t run_parts(const PbtRun *run);               /* at least 1 */
const char *run_ending(const PbtOptions *options); /* of states' files; may be empty */
unsigned run_all_parts(const PbtRun *run);
void *run_worker(const PbtRun *run);              /* the caller's own */
size_t run_threads(const PbtRun *run);            /* workers, apart from the caller's context */
size_t run_find(const PbtRun *run, int64_t slot); /* index, or count */
Status run_add_slot(PbtRun *run, int64_t number, Slot **slot, Error *error); /* the last, and empty */
void run_remove_slot(PbtRun *run, size_t index);
Status run_event(PbtRun *run, Error *error, const char *kind, int64_t slot, int64_t other, const char *format,
                 ...) __attribute__((format(printf, 6, 7)));
Status run_saved(PbtRun *run, const Slot *slot, Error *error); /* after slot_save, on the caller's thread */
bool run_interrupted(const PbtRun *run);
void run_wait(pthread_cond_t *news, pthread_mutex_t *mutex); /* not for long: there are other questions */
Status run_progress(PbtRun *run, PbtMoment moment, int64_t slot, Error *error);
Status run_conclude(PbtRun *run, int64_t round, int64_t since, Error *error); /* the end of a transaction */
Status run_check_rules(const PbtRun *run, const PbtExploit *exploit, const PbtExplore *explore, Error *error);
Status run_all_failed(const PbtRun *run, Error *error); /* STATUS_NOT_FINITE if no member is left */

/* ---- slot.c: what is done to one member, on any thread ------------------------------------------------- */

/* Where the member itself fails, its slot is marked so; a status other than STATUS_OK is the end of the run:
 * memory that is not there, and what else is the machine's fault. */

PbtView slot_view(const Standing *standing);
PbtScore slot_unscored(void);                                            /* nothing is known of it */
Status slot_create(PbtRun *run, void *worker, Slot *slot, Error *error); /* anew, with its present values */
void slot_free(PbtRun *run, Slot *slot);
Status slot_apply(PbtRun *run, void *worker, Slot *slot, Error *error); /* and reads back */
/* The next of so many pieces of a round's training, the first where slot->piece is 0. */
Status slot_train(PbtRun *run, void *worker, Slot *slot, size_t pieces, Error *error);
Status slot_score(PbtRun *run, void *worker, Slot *slot, Error *error);
/* After slot_score, where that leaves reports out. */
Status slot_report(PbtRun *run, void *worker, Slot *slot, Error *error);
Status slot_save(PbtRun *run, void *worker, Slot *slot, Error *error);
/* Reads a state from the folder `states`, and proves it by its hash. */
Status slot_load(PbtRun *run, Slot *slot, const char *states, const char *hash, Error *error);
Status slot_copy(PbtRun *run, void *worker, Slot *slot, void *donor, unsigned parts, Error *error);
/* The same of a state of this run. That its file cannot be read is the end of the run. */
Status slot_copy_saved(PbtRun *run, Slot *slot, const char *hash, Error *error);
/* A member like it, to be freed by its kind; NULL: it could not be made, and its slot is marked so. */
Status slot_twin(PbtRun *run, Slot *slot, void **twin, Error *error);
/* That the copy is what the donor is, whose state may be known. */
Status slot_prove(PbtRun *run, Slot *slot, const char *state, void *donor, Error *error);
/* On the caller's thread: what follows from a new score, and an event if the member has failed. */
Status slot_settle(PbtRun *run, Slot *slot, int64_t round, Error *error);
Status slot_tell(PbtRun *run, Slot *slot, Error *error); /* the event only */

/* ---- inherit.c: exploit and explore for one member ----------------------------------------------------- */

/* Members as others see them at a ready moment, in order of slot. */
typedef struct {
    PbtView *views;
    const Standing **standings;
    size_t count;
} Company;

Status company_new(Company *company, size_t room, Error *error);
void company_add(Company *company, const Standing *standing);
void company_free(Company *company);

/* What becomes of one member at its ready moment. */
typedef struct {
    const Standing *donors[PBT_PARTS]; /* of each part; NULL: nothing happens */
    bool weights, hypers, explores;    /* what is copied, and whether it is changed then */
    bool whole;                        /* all parts from one donor */
    bool replaced;                     /* the member had failed */
} Heritage;

Status inherit_choose(PbtRun *run, const Company *company, size_t me, int64_t round, Heritage *heritage,
                      Error *error);
/* Takes over what the donors had, apart from the weights; a member that failed, or whose shape changes, is
 * created anew to receive them. */
Status inherit_standing(PbtRun *run, Slot *slot, const Heritage *heritage, Error *error);
/* After the weights: explores, applies, and tells. */
Status inherit_finish(PbtRun *run, Slot *slot, const Heritage *heritage, int64_t round, Error *error);

/* ---- the schedulers ------------------------------------------------------------------------------------ */

Status synchronous_rounds(PbtRun *run, int64_t rounds, PbtEnd *end, Error *error);
Status asynchronous_rounds(PbtRun *run, int64_t rounds, PbtEnd *end, Error *error);
Status asynchronous_recall(PbtRun *run, Error *error); /* what members had published, on resuming */

/* ---- space.c ------------------------------------------------------------------------------------------- */

/* Whether explore may change it. */
bool space_explorable(const PbtHyper *hyper);
/* From the prior: the same for the same (key, counter, index). */
double space_draw(const PbtHyper *hyper, uint64_t key, uint64_t counter, uint64_t index);
/* `value` after a walk of ln `factor` on the hyperparameter's axis; `fraction`, even in [0, 1), decides how
 * an integer is rounded. */
double space_walk(const PbtHyper *hyper, double value, double factor, double fraction);

#endif
