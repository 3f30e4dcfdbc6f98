/* GAN pairs as members of a population: what pbt/ drives. They are trained and scored by threads, in C; only
 * their making is left to whoever knows how networks are put together. */
#ifndef BROOD_APP_MEMBERS_GAN_H
#define BROOD_APP_MEMBERS_GAN_H

#include "app/scoring/scorer.h"
#include "gan/model.h"
#include "pbt/pbt.h"

enum {
    GAN_MODELS = 256,      /* shapes that the members of a run may have between them */
    GAN_MEASURES = 32,     /* of scorer and reporter together */
    GAN_SPREAD_IMAGES = 64 /* whose spread is a signal */
};

/* A member that is alive. `make` fills the first five; they stay what they are. */
typedef struct {
    const Model *model;
    size_t number;  /* of the model among those of the run, below GAN_MODELS */
    Member *member; /* its `hypers` are these: */
    double *hypers; /* in the order of the space, structural ones left out */
    void *owner;    /* of all that */
    double structural[PBT_HYPERS];
    double signals[PBT_SIGNALS];
    double values[GAN_MEASURES], deviations[GAN_MEASURES]; /* of the last measures; NaN: not taken */
} GanPair;

typedef struct {
    void *context;
    PbtSpace space;
    uint64_t seed;
    /* Both on the thread that runs the population. */
    Status (*make)(void *context, const PbtBirth *birth, GanPair *pair, Error *error);
    void (*unmake)(void *context, GanPair *pair);
    /* Measures what is selected by first, then the report scores unless the reporter does. NULL: the score is
     * the age. */
    const Scorer *scorer;
    const Scorer *reporter; /* NULL: the scorer measures all */
    /* Turns what was measured into scores; on the thread that runs the population. NULL: measures are scores.
     */
    Status (*judge)(void *context, const GanPair *pair, PbtScore *score, Error *error);
    double sign;                /* of the first measure: -1 where lower is better */
    const char *const *reports; /* names */
    size_t report_count;
    const char *const *signals; /* names: the trainer's, then the spread of fixed images */
    size_t signal_count;
} GanOptions;

typedef struct GanKind GanKind;

Status gan_kind_new(GanKind **kind, const GanOptions *options, Error *error); /* texts are borrowed */
void gan_kind_free(GanKind *kind);
const PbtKind *gan_kind(const GanKind *kind);

#endif
