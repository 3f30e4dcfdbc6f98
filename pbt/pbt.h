/* Population based training (Jaderberg et al. 2017, arXiv 1711.09846) of anything that can be stepped, scored
 * and copied. Members are driven through a table of functions (PbtKind), hyperparameters live in a search
 * space, and a run keeps itself in a directory, so that it can be killed at any instant and goes on as if it
 * had not been.
 *
 * Every draw is a pure function of (seed, slot, purpose, round): the outcome of a synchronous run depends on
 * its options only, whatever the number of workers. All callbacks, and whatever is called here, run on the
 * caller's thread. Values of hyperparameters are doubles, in the order of the space; slots count from 0,
 * rounds from 1. */
#ifndef BROOD_PBT_PBT_H
#define BROOD_PBT_PBT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "pbt/space.h"

/* ---- exploit ------------------------------------------------------------------------------------------- */

/* Failed members lose every comparison and are nobody's donor; at their next ready moment they are
 * replaced, under any rule but PBT_NONE, by a copy of a good one: of the top share, or of the better
 * half. */
typedef enum {
    PBT_NONE,
    PBT_TRUNCATION, /* the bottom share copies a random member of the top share */
    PBT_TOURNAMENT, /* against one random member: the better one's copy */
    PBT_TTEST,      /* the same, if Welch's t-test over the last scores of both lineages is significant */
    PBT_EXPLOIT_CALLBACK
} PbtExploitKind;

typedef struct {
    PbtExploitKind kind;
    double bottom, top; /* truncation: a share selects max(1, round(share × n)) of n members, at most half */
    size_t window;      /* t-test: scores of each; nothing is tested before there are as many */
    double level;       /* t-test: p (two-sided) below which a difference counts, beyond the scores' noise */
    int64_t token;      /* callback: handed on, to tell callbacks apart */
} PbtExploit;

PbtExploit pbt_exploit_default(void); /* truncation, 0.2 and 0.2; window 10, level 0.05 */
Status pbt_exploit_check(const PbtExploit *exploit, Error *error);

typedef struct {
    double score, deviation; /* what exploit compares (greater is better), and its noise; 0 if unknown */
    double reports[PBT_REPORTS], report_deviations[PBT_REPORTS]; /* NaN: not known */
} PbtScore;

/* A member as others see it. */
typedef struct {
    int64_t slot;
    bool failed, pinned;
    int64_t steps; /* that the slot has trained; never goes back */
    int64_t age;   /* that its weights have been trained, along the lineage */
    PbtScore score;
    double fitness;       /* what is compared: the score, or in a control a random number */
    double noise;         /* its standard deviation */
    const double *values; /* hyperparameters */
    const double *window; /* the last scores along the lineage, the latest last */
    size_t window_count;
    int64_t parent;    /* where its weights came from at its last ready moment; else its own slot */
    const char *state; /* hash; "" when none is saved */
    const char *failure;
} PbtView;

typedef struct {
    uint64_t key, counter; /* for random_..._at, with any index */
} PbtStream;

/* The donor's index, or -1. `ties` ranks members of equal fitness, by slot; it is the same for all of a
 * round. */
ptrdiff_t pbt_exploit_choose(const PbtExploit *exploit, const PbtView *members, size_t count, size_t me,
                             PbtStream stream, uint64_t draw, PbtStream ties);
/* p, two-sided, that two samples have the same mean; their variances are at least the squares of what is
 * known of their noise. */
double pbt_welch(const double *a, size_t a_count, double a_noise, const double *b, size_t b_count,
                 double b_noise);

/* ---- members ------------------------------------------------------------------------------------------- */

/* All that is known of a member. Any function but free may fail. A failure of create, apply, step, health,
 * score, report, judge, copy or save, or of load where that is the copy, or a score that is not finite, makes
 * a failed member; before it gets a copy it is freed and created anew, as is a member whose structural
 * hyperparameters change. A STATUS_IO of save (a full disk) or load, and STATUS_NO_MEMORY of any, end the
 * run: the outcome is not to depend on the machine. What they say of a failure is kept with the run, so it
 * had better be the same each time. Functions of one member never run at the same time; those of different
 * members do, each with a worker's own context. */
typedef struct {
    uint64_t seed; /* of the run */
    int64_t slot;
    const double *values;
} PbtBirth;

typedef struct {
    void *context;              /* the first argument of every function */
    bool one_thread;            /* call all functions on the thread that runs the population */
    const char *const *parts;   /* names of what can be copied on its own; bit i of a set is part i */
    size_t part_count;          /* 0: one part without a name */
    const char *const *reports; /* names of report scores */
    size_t report_count;
    const char *const *signals; /* names of what `observe` tells */
    size_t signal_count;
    /* The training of a round of rounds that all members make together may be cut into as many calls of
     * `step`, each on any worker, so that no worker waits long for the last member; health comes after the
     * last. 0: 1. There are more of them where each would have more than `piece_steps` steps; 0: any number.
     */
    size_t pieces;
    int64_t piece_steps;
    const char *ending; /* of a state's file, as ".safetensors"; NULL: none */
    Status (*worker_new)(void *context, size_t index, void **worker, Error *error); /* may be NULL */
    void (*worker_free)(void *context, void *worker);
    /* A member that has not trained, the same for the same birth. */
    Status (*create)(void *context, void *worker, const PbtBirth *birth, void **member, Error *error);
    void (*free)(void *context, void *member);
    /* Sets all hyperparameters from the next step on; `applied` takes what the live member now says they are.
     */
    Status (*apply)(void *context, void *worker, void *member, const double *values, double *applied,
                    Error *error);
    /* Trains. `first` is the number of steps that this slot made before, which no copy changes: the counter
     * for the member's random streams. */
    Status (*step)(void *context, void *worker, void *member, int64_t first, int64_t steps, Error *error);
    Status (*score)(void *context, void *worker, void *member, PbtScore *score, Error *error);
    Status (*health)(void *context, void *worker, void *member, Error *error); /* after all; may be NULL */
    /* Adds the report scores to what `score` has given, which then leaves them alone; of the best members
     * only, where the options say so. NULL: `score` gives them too. */
    Status (*report)(void *context, void *worker, void *member, PbtScore *score, Error *error);
    /* On the caller's thread, once a member has been scored: may change the score. May be NULL. */
    Status (*judge)(void *context, void *member, PbtScore *score, Error *error);
    /* Numbers about the last call of `step`, in the order of `signals`, preset to NaN: not known. Those of a
     * round are means over its calls. */
    void (*observe)(void *context, void *member, double *signals);
    Status (*copy)(void *context, void *worker, void *member, void *donor, unsigned parts, Error *error);
    /* Of what copy copies, and nothing else. */
    Status (*hash)(void *context, void *worker, void *member, char hash[FILE_HASH], Error *error);
    /* Writes folder/HASH with the kind's ending, whole and synced or not at all; it may be there already. */
    Status (*save)(void *context, void *worker, void *member, const char *folder, char hash[FILE_HASH],
                   Error *error);
    Status (*load)(void *context, void *worker, void *member, const char *folder, const char *hash,
                   Error *error);
    /* CPU seconds that the member has used so far outside of the calling thread; may be NULL. */
    double (*cpu)(void *context, void *member);
} PbtKind;

/* ---- a run --------------------------------------------------------------------------------------------- */

typedef struct PbtRun PbtRun;

typedef enum {
    PBT_CONTROL_OFF,
    PBT_RANDOM_SEARCH,  /* no exploit */
    PBT_RANDOM_FITNESS, /* exploit compares random numbers */
    PBT_WEIGHTS_ONLY,   /* own hyperparameters kept, no explore */
    PBT_HYPERS_ONLY,    /* own weights kept */
    PBT_NO_EXPLORE,     /* both copied, nothing changed */
    PBT_EXPLORE_ONLY,   /* nothing copied: the loser explores from its own hyperparameters */
    PBT_CONTROLS
} PbtControl;
const char *pbt_control_name(PbtControl control); /* "off", "random-search", ... */

typedef struct {
    const char *name, *value;
    bool aside; /* not determined by script and seed: paths, names, times */
} PbtFact;

/* PBT_TRAINING: more pieces of the round's training are done, of whatever member (-1). */
typedef enum { PBT_MEMBER_READY, PBT_ROUND_DONE, PBT_TRAINING } PbtMoment;

/* Any may be NULL. One that fails ends the run, with all that was committed intact. */
typedef struct {
    void *context;
    /* `donor` is preset to -1: nobody. */
    Status (*exploit)(void *context, int64_t token, const PbtView *members, size_t count, size_t me,
                      PbtStream stream, ptrdiff_t *donor, Error *error);
    Status (*explore)(void *context, int64_t token, PbtStream stream, double *values, Error *error);
    /* After each round, before it is committed. */
    Status (*schedule)(void *context, PbtRun *run, Error *error);
    Status (*progress)(void *context, PbtRun *run, PbtMoment moment, int64_t slot, Error *error);
    /* Plain data to be kept with every round, and read back by pbt_run_memory. */
    Status (*remember)(void *context, const void **bytes, size_t *size, Error *error);
    bool (*interrupted)(void *context); /* asked often: true ends the run soon, leaving the last round */
} PbtCallbacks;

typedef struct {
    const PbtKind *kind; /* borrowed, as is all that is pointed to here */
    PbtSpace space;
    const double *initial; /* population × hypers values to start from; NULL: drawn from the prior */
    uint64_t seed;
    size_t population;
    int64_t interval; /* steps */
    int64_t burn_in;  /* steps before the first exploit */
    PbtExploit exploit;
    PbtExplore explore;
    PbtControl control;
    bool recombine;    /* each part from a donor of its own, unless a callback names it; scored again then */
    bool asynchronous; /* needs a directory; knows no schedule and no recombination */
    size_t workers;    /* threads; 0 is 1 */
    PbtCallbacks callbacks;
    const char *directory; /* of run.db and states/; NULL: nothing is kept */
    size_t report_best;    /* report scores of so many members a round, the best ones; 0: of all. Asynchronous
                              runs know no best one */
    size_t keep_best;      /* states of the best scores ever are kept: as many, at least 1 */
    int64_t keep_every;    /* and those of every n-th round; 0: none */
    /* Directory of another run, whose members this one begins with, in order of slot and in turn; where that
     * has more, with the best of them, the best first. NULL: none. */
    const char *from;
    int64_t from_round;   /* after which round; 0: its last */
    const PbtFact *facts; /* kept in the store; a resumed run's must agree */
    size_t fact_count;
    const int64_t *order; /* asynchronous: replays a run, slots in the order of its ready moments */
    size_t order_count;
} PbtOptions;

typedef enum { PBT_FINISHED, PBT_STOPPED, PBT_INTERRUPTED } PbtEnd;

/* A new run. The directory is made; it may not hold a run. */
Status pbt_run_new(PbtRun **run, const PbtOptions *options, Error *error);
/* From the last committed round; from the start if there is none. Options that decide the outcome must be
 * those the run was started with, else STATUS_INVALID says what differs. With `whole`, rounds whose states
 * are missing or damaged are given up, for the last one that is whole. */
Status pbt_run_resume(PbtRun **run, const PbtOptions *options, bool whole, Error *error);
/* Goes on until `rounds` rounds have been made in all; returns at once when they have. STATUS_NOT_FINITE when
 * all members failed. After an error or an interruption the run makes no more rounds (STATUS_INVALID): it is
 * to be freed, and may be resumed. */
Status pbt_run_rounds(PbtRun *run, int64_t rounds, PbtEnd *end, Error *error);
void pbt_run_free(PbtRun *run);

int64_t pbt_run_round(const PbtRun *run); /* rounds done (asynchronous: by all members) */
double pbt_run_share(const PbtRun *run);  /* of the present round's training that is done; between rounds 0 */
size_t pbt_run_count(const PbtRun *run);
PbtView pbt_run_view(const PbtRun *run, size_t index); /* in order of slot; valid until the run goes on */
/* The same as it was at the end of its last training, before it copied anybody. */
PbtView pbt_run_scored(const PbtRun *run, size_t index);
/* What was observed of its last training, in the order of the kind's signals; NaN: not known. */
const double *pbt_run_signals(const PbtRun *run, size_t index);
bool pbt_run_stopped(const PbtRun *run); /* by its schedule */
/* Whether no worker has the member: it is so for all between rounds, and while threads train for the one
 * whose ready moment it is. */
bool pbt_run_resting(const PbtRun *run, size_t index);
/* The live member, which must be resting, and a context to use it with. */
void *pbt_run_member(const PbtRun *run, size_t index, void **worker);
const void *pbt_run_memory(const PbtRun *run, size_t *size); /* what was remembered when the run was left */

/* For the schedule: each is an event, kept in the store, and holds from the next round on. */
int64_t pbt_run_interval(const PbtRun *run);
Status pbt_run_set_interval(PbtRun *run, int64_t steps, Error *error);
Status pbt_run_set_exploit(PbtRun *run, const PbtExploit *exploit, Error *error);
Status pbt_run_set_explore(PbtRun *run, const PbtExplore *explore, Error *error);
Status pbt_run_stop(PbtRun *run, Error *error);
Status pbt_run_go_on(PbtRun *run, Error *error); /* takes a stop back */
/* Its state of now is kept, and from now on it is never overwritten, even if it fails. */
Status pbt_run_pin(PbtRun *run, int64_t slot, Error *error);
/* Sets its hyperparameters, all but the structural ones. With those of a lineage, round by round, its replay.
 */
Status pbt_run_set_values(PbtRun *run, int64_t slot, const double *values, Error *error);
Status pbt_run_fork(PbtRun *run, int64_t from, int64_t into, Error *error); /* `into` becomes a copy */
Status pbt_run_add(PbtRun *run, size_t count, Error *error);                /* new members, with new slots */
Status pbt_run_drop(PbtRun *run, int64_t slot, Error *error);

#include "pbt/store/record.h" /* what a run left behind: export, lineage, best member */

#endif
