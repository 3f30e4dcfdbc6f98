#include "gan/optimizer.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "gan/optimizer_internal.h"

static const char *const TEXT[OPTIMIZER_KINDS] = {"sgd", "adam", "rmsprop"};

const char *optimizer_text(OptimizerKind kind) {
    return TEXT[kind];
}

OptimizerSettings optimizer_settings(OptimizerKind kind) {
    return (OptimizerSettings){.kind = kind,
                               .lr = kind == OPTIMIZER_SGD ? 1e-2 : 1e-3,
                               .beta1 = 0.9,
                               .beta2 = 0.999,
                               .epsilon = 1e-8,
                               .decay = 0.99};
}

int optimizer_moments(OptimizerKind kind) {
    return kind == OPTIMIZER_SGD ? 1 : 2;
}

/* ---- settings ------------------------------------------------------------------------------------------ */
typedef struct {
    const char *name;
    bool used;
    double value, least, most;
    bool below; /* `most` itself is too much */
} Field;

/* A NaN is in no range. */
static bool field_valid(const Field *f) {
    return f->value >= f->least && (f->below ? f->value < f->most : f->value <= f->most);
}

Status optimizer_check(const OptimizerSettings *settings, Error *error) {
    if ((int)settings->kind < 0 || settings->kind >= OPTIMIZER_KINDS)
        return error_set(error, STATUS_INVALID, "optimizer: kind is %d: one of sgd, adam, rmsprop expected",
                         (int)settings->kind);
    bool is_sgd = settings->kind == OPTIMIZER_SGD, is_adam = settings->kind == OPTIMIZER_ADAM;
    bool is_rmsprop = settings->kind == OPTIMIZER_RMSPROP;
    const Field fields[] = {
        {"lr", true, settings->lr, 0, OPTIMIZER_MOST, false},
        {"beta1", is_adam, settings->beta1, 0, 1, true},
        {"beta2", is_adam, settings->beta2, 0, 1, true},
        {"epsilon", !is_sgd, settings->epsilon, OPTIMIZER_EPSILON_LEAST, OPTIMIZER_MOST, false},
        {"momentum", !is_adam, settings->momentum, 0, 1, true},
        {"decay", is_rmsprop, settings->decay, 0, 1, true},
        {"weight_decay", true, settings->weight_decay, 0, OPTIMIZER_MOST, false},
        {"clip_norm", true, settings->clip_norm, 0, OPTIMIZER_MOST, false},
        {"nesterov", is_sgd, settings->nesterov, 0, 1, false},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const Field *f = &fields[i];
        if (f->used && !field_valid(f))
            return error_set(error, STATUS_INVALID, "%s: %s is %g: a number from %g to %s%g expected",
                             optimizer_text(settings->kind), f->name, f->value, f->least,
                             f->below ? "below " : "", f->most);
    }
    return STATUS_OK;
}

/* ---- steps --------------------------------------------------------------------------------------------- */
static OptimizerNumbers numbers_of(const OptimizerSettings *s, int64_t step) {
    OptimizerNumbers n = {.scale = 1,
                          .keep = (real)(1 - s->lr * s->weight_decay),
                          .rate = (real)s->lr,
                          .momentum = (real)s->momentum,
                          .epsilon = (real)s->epsilon};
    if (s->kind == OPTIMIZER_ADAM) {
        n.rate = (real)(s->lr / (1 - pow(s->beta1, (double)step)));
        n.root = (real)(1 / sqrt(1 - pow(s->beta2, (double)step)));
        n.beta1 = (real)s->beta1;
        n.new1 = (real)(1 - s->beta1);
        n.beta2 = (real)s->beta2;
        n.new2 = (real)(1 - s->beta2);
    } else {
        n.beta2 = (real)s->decay;
        n.new2 = (real)(1 - s->decay);
    }
    return n;
}

static OptimizerUpdate *update_of(const OptimizerKernels *kernels, const OptimizerSettings *settings) {
    switch (settings->kind) {
    case OPTIMIZER_SGD: return settings->nesterov ? kernels->nesterov : kernels->sgd;
    case OPTIMIZER_ADAM: return kernels->adam;
    case OPTIMIZER_RMSPROP:
    case OPTIMIZER_KINDS: break;
    }
    assert(settings->kind == OPTIMIZER_RMSPROP);
    return kernels->rmsprop;
}

/* A gradient holding a NaN makes the scale NaN, and with it all parameters: nothing hides it. */
static real clip_scale(double norm, double limit) {
    return norm <= limit ? 1 : (real)(limit / norm);
}

/* A stretch of the gradient stays in the first-level cache between its two readings: adding up its squares
 * and the update itself are one pass over memory. */
enum { STRETCH = 2048 };

static size_t stretch_at(size_t start, size_t count) {
    return count - start < STRETCH ? count - start : STRETCH;
}

double optimizer_step(const OptimizerSettings *settings, int64_t step, size_t count, real *p, const real *g,
                      real *m, real *v) {
    assert(step >= 1);
    const OptimizerKernels *kernels = ISA_PICK(optimizer_kernels);
    OptimizerUpdate *update = update_of(kernels, settings);
    OptimizerNumbers numbers = numbers_of(settings, step);
    bool has_v = optimizer_moments(settings->kind) == 2, clip = settings->clip_norm > 0;
    double squares = 0;
    if (clip) {
        for (size_t i = 0; i < count; i += STRETCH)
            squares += kernels->sum_of_squares(g + i, stretch_at(i, count));
        numbers.scale = clip_scale(sqrt(squares), settings->clip_norm);
    }
    for (size_t i = 0; i < count; i += STRETCH) {
        size_t length = stretch_at(i, count);
        if (!clip) squares += kernels->sum_of_squares(g + i, length);
        update(&numbers, length, p + i, g + i, m + i, has_v ? v + i : NULL);
    }
    return sqrt(squares);
}
