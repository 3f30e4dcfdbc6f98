/* A number that may change while training goes on: a constant, a hyperparameter's present value, or a
 * schedule over a member's age in steps. */
#ifndef BROOD_GAN_NUMBER_H
#define BROOD_GAN_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum {
    NUMBER_CONSTANT, /* from */
    NUMBER_HYPER,    /* the present value of hyperparameter number `hyper` */
    NUMBER_LINEAR,   /* in a straight line from `from` to `to` over `steps`, then `to` */
    NUMBER_COSINE, /* to + (from − to)·(1 + cos(π·step/steps)) / 2, then `to` (Loshchilov and Hutter 2016) */
    NUMBER_EXPONENTIAL, /* from·(to/from)^(step/steps), then `to` */
    NUMBER_PIECEWISE,   /* the value of the last point whose step has come; before the first, the first's */
    NUMBER_WARMUP, /* in a straight line from `from` to `to` over `steps`; then `after` from its start, or
                      `to` */
    NUMBER_KINDS
} NumberKind;

typedef struct {
    double step, value;
} NumberPoint;

typedef struct Number Number;
struct Number {
    NumberKind kind;
    double from, to, steps;
    int hyper;
    const NumberPoint *points; /* piecewise: in order of step */
    size_t point_count;
    const Number *after; /* warm-up */
};

Number number_constant(double value);
Number number_hyper(int index);

/* The number at an age of `step` steps; `hypers` are the member's hyperparameters. */
double number_at(const Number *number, const double *hypers, int64_t step);

/* STATUS_INVALID when it makes no sense: no steps, an exponential through 0, points out of order, a NaN. */
Status number_check(const Number *number, Error *error);

#endif
