/* Optimizers over flat parameter blocks. The *settings* are what a script or PBT changes between steps, live;
 * the *state* (moments and a count of steps) is what a member owns and what exploit copies.
 *
 *   SGD      m = momentum·m + g
 *            p −= lr·m                                     nesterov: p −= lr·(g + momentum·m)
 *   Adam     m = beta1·m + (1 − beta1)·g
 *            v = beta2·v + (1 − beta2)·g²
 *            p −= lr·m / (1 − beta1^step) / (sqrt(v / (1 − beta2^step)) + epsilon)
 *   RMSProp  v = decay·v + (1 − decay)·g²
 *            m = momentum·m + g / (sqrt(v) + epsilon)
 *            p −= lr·m
 *
 * with g the gradient, clipped. The moments m and v start as zeros. Adam is algorithm 1 of Kingma and Ba
 * 2014; SGD and RMSProp (not centered) are those of PyTorch. Weight decay is decoupled in every kind
 * (Loshchilov and Hutter 2017): before the step p is multiplied by 1 − lr·weight_decay. */
#ifndef BROOD_GAN_OPTIMIZER_H
#define BROOD_GAN_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/real.h"

typedef enum { OPTIMIZER_SGD, OPTIMIZER_ADAM, OPTIMIZER_RMSPROP, OPTIMIZER_KINDS } OptimizerKind;

const char *optimizer_text(OptimizerKind kind); /* "sgd", "adam", "rmsprop" */

/* So that floats hold them, and what is divided or multiplied by them. */
#define OPTIMIZER_EPSILON_LEAST 1e-30
#define OPTIMIZER_MOST          1e30 /* of lr, epsilon, weight_decay and clip_norm */

typedef struct {
    OptimizerKind kind;
    double lr;           /* at least 0 */
    double beta1, beta2; /* Adam: decay of the two moments; at least 0, below 1 */
    double epsilon;      /* Adam, RMSProp: added to the root; at least OPTIMIZER_EPSILON_LEAST */
    double momentum;     /* SGD, RMSProp: at least 0, below 1 */
    double decay;        /* RMSProp: at least 0, below 1 */
    double weight_decay; /* at least 0 */
    double clip_norm;    /* gradients are scaled down to this global norm; 0: never */
    int nesterov;        /* SGD: 1 for Nesterov's momentum, else 0 */
} OptimizerSettings;

/* The usual numbers of a kind: lr 1e-3 (SGD 1e-2), betas 0.9 and 0.999, epsilon 1e-8, RMSProp decay 0.99, the
 * rest 0. */
OptimizerSettings optimizer_settings(OptimizerKind kind);

/* STATUS_INVALID when a setting that the kind reads is out of its range; the message names it, its value and
 * the range. */
Status optimizer_check(const OptimizerSettings *settings, Error *error);

/* How many moment blocks, each as long as the parameters, the kind keeps. SGD 1: m. Adam and RMSProp 2: m,
 * then v. There is always room for momentum, since it is a live number. */
int optimizer_moments(OptimizerKind kind);

/* One step over `count` parameters p with gradient g, which is left as it is. `m` and `v` are the moment
 * blocks (those that the kind does not keep are not looked at, and may be NULL); `step` counts from 1 and is
 * the caller's to keep. The settings have passed optimizer_check.
 *
 * Returns the norm of the whole gradient before clipping, added up in double: NaN when the gradient holds a
 * NaN, infinite when it holds an infinity. Such a gradient always leaves a NaN or an infinity in p, clipped
 * or not. (A number of more than 1.8e19, whose square is no float, leaves an infinity in v instead, and Adam
 * and RMSProp never move its parameter again.) The bits of result, p, m and v are the same for every
 * instruction set. */
double optimizer_step(const OptimizerSettings *settings, int64_t step, size_t count, real *p, const real *g,
                      real *m, real *v);

#endif
