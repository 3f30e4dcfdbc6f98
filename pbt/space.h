/* The hyperparameters of a population: what they may be, and how explore changes them. Part of pbt/pbt.h. */
#ifndef BROOD_PBT_SPACE_H
#define BROOD_PBT_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    PBT_HYPERS = 64,       /* at most, in a space */
    PBT_NAME = 64,         /* bytes of a name, with its final zero */
    PBT_OPTIONS = 256,     /* in a list */
    PBT_FACTORS = 8,       /* of perturb */
    PBT_WINDOW = 64,       /* scores that a t-test may look back on */
    PBT_REPORTS = 16,      /* report scores */
    PBT_SIGNALS = 128,     /* numbers kept of each round's training */
    PBT_ENDING = 16,       /* bytes of the ending of a state's file, with its final zero */
    PBT_PARTS = 8,         /* of a member */
    PBT_POPULATION = 4096, /* members */
    PBT_WORKERS = 256
};

/* ---- search space -------------------------------------------------------------------------------------- */

typedef enum {
    PBT_UNIFORM,     /* low .. high */
    PBT_LOG_UNIFORM, /* low .. high, 0 < low */
    PBT_INTEGER,     /* low .. high, both included */
    PBT_CHOICE,      /* one of an ordered list */
    PBT_CATEGORY,    /* one of a list without order */
    PBT_CONSTANT     /* low */
} PbtHyperKind;

typedef struct {
    const char *name;
    PbtHyperKind kind;
    double low, high;
    const double *numbers;     /* choice, category: the options; NULL: 0, 1, ..., count - 1 */
    const char *const *labels; /* their names, where they have any */
    size_t count;              /* options */
    bool structural;           /* shapes the member: travels with its weights, never explored */
} PbtHyper;

typedef struct {
    const PbtHyper *hypers; /* in order of name */
    size_t count;
} PbtSpace;

void pbt_space_sort(PbtHyper *hypers, size_t count);         /* into the order of names (strcmp) */
Status pbt_space_check(const PbtSpace *space, Error *error); /* whether the space makes sense */
/* Draws from the prior. */
void pbt_space_sample(const PbtSpace *space, uint64_t key, uint64_t counter, double *values);
/* Puts each value on the nearest legal one; NaN and infinity are refused. */
Status pbt_space_keep(const PbtSpace *space, double *values, Error *error);
const char *pbt_hyper_kind_name(PbtHyperKind kind);
const char *pbt_hyper_label(const PbtHyper *hyper, double value); /* NULL where the option has no name */

/* ---- explore ------------------------------------------------------------------------------------------- */

/* Each hyperparameter walks on the axis on which its prior is even, in equal steps up and down, and turns
 * round at the bounds: under random selection the population keeps the prior's distribution, nothing
 * drifts. A factor f multiplies on a logarithmic axis; on a linear one it moves by ln f × half the range,
 * integers being rounded at random; in an ordered list it moves to the neighbor above (f > 1) or below,
 * and stays at the ends. Categories are only ever drawn from the prior anew. */
typedef enum { PBT_EXPLORE_RULE, PBT_EXPLORE_CALLBACK } PbtExploreKind;

typedef struct {
    PbtExploreKind kind;
    double factors[PBT_FACTORS]; /* one is drawn for each hyperparameter */
    size_t factor_count;         /* 0: nothing is perturbed */
    double chance;               /* that a hyperparameter is perturbed */
    double resample;             /* chance that it is drawn from the prior anew instead */
    int64_t token;               /* callback: handed on, to tell callbacks apart */
} PbtExplore;

PbtExplore pbt_explore_default(void); /* factors 0.8 and 1.25, for every hyperparameter */
Status pbt_explore_check(const PbtExplore *explore, Error *error);
void pbt_explore_apply(const PbtExplore *explore, const PbtSpace *space, uint64_t key, uint64_t counter,
                       double *values);

#endif
