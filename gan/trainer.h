/* Training: runs the players of a model on a member's state, step by step. No scripts inside: programs,
 * numbers and data only.
 *
 * A step is, in the order of the players, each player's updates: draw a batch, run the player's program, step
 * its optimizer. Players of a GAN are the discriminator and the generator; a classifier has one player.
 *
 * Programs are bound by the names of their inputs:
 *     real, real_labels      the next batch of the data set; labels count from 1
 *     fake_labels            classes drawn evenly for the images to be generated
 *     fake                   the early images of the player that has them (see `reuse`)
 *     h.NAME                 the present value of hyperparameter NAME
 *     n.NUMBER               the present value of the model's number, counted from 0
 * and all their outputs that are scalars are signals. A program draws fresh random numbers for every update.
 */
#ifndef BROOD_GAN_TRAINER_H
#define BROOD_GAN_TRAINER_H

#include "gan/data/data.h"
#include "gan/number.h"
#include "gan/optimizer.h"
#include "gan/program/program.h"

enum {
    TRAINER_PLAYERS = 8,
    TRAINER_REPEATS = 1000 /* updates of a player in a step, at most */
};

typedef struct {
    const char *name;      /* its signals are NAME.loss, ..., and NAME.norm, the gradient's norm */
    const char *group;     /* the parameters that it updates */
    const Program *update; /* makes their gradients */
    const Program
        *penalized; /* every `lazy`-th update, from the first on, runs this one instead; NULL: none */
    Number lazy;
    Number repeats; /* updates in a step: rounded, at least 1, at most TRAINER_REPEATS */
    OptimizerKind optimizer;
    Number lr, beta1, beta2, epsilon, momentum, decay, weight_decay, clip_norm;
    int nesterov;
    Number clip; /* parameters are kept within ± this; 0: not */
} TrainerPlayer;

typedef struct {
    const Layout *layout; /* with the trainer's clock, and the moments and averages that are asked for here */
    TrainerPlayer players[TRAINER_PLAYERS];
    size_t player_count;
    bool simultaneous; /* all gradients are computed before any update; repeats are the constant 1 */
    bool reuse; /* one player's early node, its output `fake`, serves the inputs `fake` of all others in that
                   step; this player's repeats are the constant 1, and no program of it is penalized */
    const char *average;   /* the group that is averaged after each step, in its average blocks; NULL: none */
    Number average_decay;  /* from 0 to 1 */
    double average_warmup; /* steps: the decay is at most (1 + age) / (warmup + age); 0: none */
    const Dataset *data;   /* NULL: no program reads real */
    size_t batch;
    const char *const *hypers; /* names */
    size_t hyper_count;
    const Number *numbers;
    size_t number_count;
} TrainerModel;

/* Adds the tensor in which a state carries its age and its players' counts of updates: what must go with the
 * weights when they are copied or loaded. To be called before layout_finish. */
Status trainer_add_clock(Layout *layout, Error *error);

/* One member in training. The state is what another member may copy. Key and steps are its own for good, and
 * number all that is random: two members with equal states go on to differ, and one goes on as it would have
 * if its state, its key and its steps are what they were. */
typedef struct {
    State state;
    const double *hypers; /* in the model's order; may change between steps */
    uint64_t key;         /* of its random streams: random_key(run's seed, slot, "member") */
    int64_t steps;        /* that this member has made, whatever it copied: never goes back */
} Member;

/* The state is zeros, for the caller to fill; key 0 and no steps. */
Status member_new(Member *member, const TrainerModel *model, Error *error);
void member_free(Member *member);
int64_t member_age(const Member *member); /* steps that its state has been trained, along the lineage */
/* Copies what one group of another member of the same model owns: tensors, moments, averages, and how often
 * its players were updated; with `age` also the age. */
void member_copy_group(Member *member, const Member *from, const TrainerModel *model, const char *group,
                       bool age);

/* What a thread needs to train members of a model: workspaces and the programs' bindings. */
typedef struct Trainer Trainer;
Trainer *trainer_new(const TrainerModel *model, Error *error); /* the model outlives it */
void trainer_free(Trainer *trainer);
size_t trainer_bytes(const Trainer *trainer); /* of its workspaces */

/* Signals, by index: "D.loss", "G.norm", ... */
size_t trainer_signals(const Trainer *trainer);
const char *trainer_signal_name(const Trainer *trainer, size_t index);

/* Trains for `steps` steps. `signals` (may be NULL) takes each signal's mean over the updates that made it;
 * NaN where none did. STATUS_NOT_FINITE, naming the signal and the step, as soon as one is a NaN or infinite;
 * STATUS_INVALID when a hyperparameter or schedule takes a setting out of its range. After either the state
 * is worth nothing. Allocates nothing. */
Status trainer_run(Trainer *trainer, Member *member, int64_t steps, double *signals, Error *error);

#endif
