/* What looks at images: a classifier's forward pass, the same for all threads. */
#ifndef BROOD_APP_SCORING_LOOKER_H
#define BROOD_APP_SCORING_LOOKER_H

#include "gan/program/program.h"

typedef struct {
    const Program *program; /* images (batch, h, w, c) → features (batch, width), logits (batch, classes) */
    State *state;           /* only read */
    /* 1; or 3 where the program sees one plane of a color image at a time: the features of an image are then
     * those of its planes one after the other, and its classes are one of each plane (1000 of 10), the first
     * plane's counting most. */
    size_t planes;
} Looker;

/* Refuses a program without these inputs and outputs. */
Status looker_check(const Looker *looker, Error *error);

size_t looker_numbers(const Looker *looker);  /* in an image */
size_t looker_features(const Looker *looker); /* of an image */
size_t looker_classes(const Looker *looker);

/* Rounds images to what 8-bit pixels can hold, in place. STATUS_NOT_FINITE where one holds a NaN or an
 * infinity: it is named by its number, `first` + 1 for the first. */
Status looker_round(real *images, size_t count, size_t numbers, size_t first, Error *error);

/* Features (count, looker_features) and logits (count, looker_classes) of rounded images (count, h, w, c);
 * either may be NULL. What is said of an image does not depend on the others. */
Status looker_look(const Looker *looker, Workspace *workspace, const real *images, size_t count,
                   double *features, double *logits, Error *error);

#endif
