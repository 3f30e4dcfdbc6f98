/* What parameters begin with. */
#ifndef BROOD_GAN_INITIALIZER_H
#define BROOD_GAN_INITIALIZER_H

#include "base/real.h"
#include "gan/graph/shape.h"

typedef enum {
    INITIALIZER_CONSTANT,   /* all are `number` */
    INITIALIZER_NORMAL,     /* mean 0, standard deviation `number` */
    INITIALIZER_UNIFORM,    /* from −number to number */
    INITIALIZER_ORTHOGONAL, /* all singular values are `number`: the last axis counts the columns, the others
                               the rows (Saxe et al. 2014) */
    INITIALIZER_KINDS
} InitializerKind;

const char *initializer_text(InitializerKind kind); /* "constant", "normal", ... */

typedef struct {
    InitializerKind kind;
    double number;
} Initializer;

/* Fills a tensor: a pure function of its arguments. `key` chooses the random stream (base/random.h). Fails
 * when an orthogonal matrix finds no memory. */
Status initializer_fill(Initializer initializer, Shape shape, uint64_t key, real *numbers, Error *error);

#endif
