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
 * and all their outputs that are scalars are signals. */
#ifndef BROOD_GAN_TRAINER_H
#define BROOD_GAN_TRAINER_H

#include "gan/data/data.h"
#include "gan/number.h"
#include "gan/optimizer.h"
#include "gan/program/program.h"

enum { TRAINER_PLAYERS = 8, TRAINER_SETTINGS = 8 };

typedef struct {
    const char *name;         /* its signals are NAME.loss, ..., and NAME.norm, the gradient's norm */
    const char *group;        /* the parameters that it updates */
    const Program *update;    /* makes their gradients */
    const Program *penalized; /* every `lazy`-th update runs this one instead; NULL: never */
    Number lazy;
    Number repeats; /* updates in a step; rounded, at least 1 */
    OptimizerKind optimizer;
    Number lr, beta1, beta2, epsilon, momentum, decay, weight_decay, clip_norm;
    int nesterov;
    Number clip; /* parameters are kept within ± this; 0: not */
} TrainerPlayer;

typedef struct {
    const Layout
        *layout; /* holds the trainer's own tensor (trainer_add_clock), and what the optimizers keep */
    TrainerPlayer players[TRAINER_PLAYERS];
    size_t player_count;
    bool simultaneous; /* all gradients are computed before any update; each player updates once a step */
    bool reuse; /* one player's early output `fake` serves the inputs `fake` of the others in that step */
    const char *average; /* the group that is averaged after each step, in its average blocks; NULL: none */
    Number average_decay;
    double average_warmup; /* steps: the decay is at most (1 + step) / (warmup + step); 0: none */
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

/* One member in training. The state is what another member may copy; the stream is its own for good: two
 * members with equal states go on to differ. */
typedef struct {
    State state;
    const double *hypers; /* in the model's order; may change between steps */
    uint64_t key;         /* of its random streams: random_key(run's seed, slot, "member") */
    uint64_t updates;     /* that this member has made, of any player: never rewound */
    uint64_t draws;       /* batches drawn */
} Member;

int64_t member_age(const Member *member); /* steps that its state has been trained */
void member_resume(Member *member);       /* takes updates and draws as the state last saw them */

/* Zeroed state, NaN nowhere; parameters are for the caller to fill. */
Status member_new(Member *member, const TrainerModel *model, Error *error);
void member_free(Member *member);

/* What a thread needs to train members of a model: workspaces and the programs' bindings. */
typedef struct Trainer Trainer;
Trainer *trainer_new(const TrainerModel *model, Error *error); /* the model outlives it */
void trainer_free(Trainer *trainer);
size_t trainer_bytes(const Trainer *trainer); /* of its workspaces */

/* Signals, by index: "D.loss", "G.norm", ... Values are those of the player's last update. */
size_t trainer_signals(const Trainer *trainer);
const char *trainer_signal_name(const Trainer *trainer, size_t index);

/* Trains for `steps` steps. `signals` (may be NULL) takes the means over these steps. STATUS_NOT_FINITE,
 * naming the signal and the step, as soon as one is a NaN or infinite: the state is then worth nothing.
 * Allocates nothing. */
Status trainer_run(Trainer *trainer, Member *member, int64_t steps, double *signals, Error *error);

#endif
