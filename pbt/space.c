#include "pbt/population.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

/* Integers up to this are exact doubles. */
static const double INTEGER_LIMIT = 0x1p53;

static const char *const KIND_NAMES[] = {"uniform", "log_uniform", "integer",
                                         "choice",  "category",    "constant"};

const char *pbt_hyper_kind_name(PbtHyperKind kind) {
    return KIND_NAMES[kind];
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const PbtHyper *)a)->name, ((const PbtHyper *)b)->name);
}

void pbt_space_sort(PbtHyper *hypers, size_t count) {
    if (count > 0) qsort(hypers, count, sizeof *hypers, compare_names);
}

/* ---- lists --------------------------------------------------------------------------------------------- */

static double option(const PbtHyper *hyper, size_t index) {
    return hyper->numbers ? hyper->numbers[index] : (double)index;
}

static size_t nearest_option(const PbtHyper *hyper, double value) {
    size_t nearest = 0;
    for (size_t i = 1; i < hyper->count; i++)
        if (fabs(option(hyper, i) - value) < fabs(option(hyper, nearest) - value)) nearest = i;
    return nearest;
}

const char *pbt_hyper_label(const PbtHyper *hyper, double value) {
    bool list = hyper->kind == PBT_CHOICE || hyper->kind == PBT_CATEGORY;
    return list && hyper->labels ? hyper->labels[nearest_option(hyper, value)] : NULL;
}

/* ---- checks -------------------------------------------------------------------------------------------- */

static Status check_list(const PbtHyper *hyper, Error *error) {
    const char *kind = pbt_hyper_kind_name(hyper->kind);
    if (hyper->count == 0 || hyper->count > PBT_OPTIONS)
        return error_set(error, STATUS_INVALID, "%s of %zu options: 1 to %d were expected", kind,
                         hyper->count, PBT_OPTIONS);
    for (size_t i = 0; i < hyper->count; i++) {
        if (!isfinite(option(hyper, i)))
            return error_set(error, STATUS_INVALID, "%s: option %zu is %g, a number was expected", kind,
                             i + 1, option(hyper, i));
        if (hyper->labels && !hyper->labels[i])
            return error_set(error, STATUS_INVALID, "%s: option %zu has no name", kind, i + 1);
        for (size_t j = 0; j < i; j++) {
            if (option(hyper, i) == option(hyper, j))
                return error_set(error, STATUS_INVALID, "%s: options %zu and %zu are both %g", kind, j + 1,
                                 i + 1, option(hyper, i));
            if (hyper->labels && strcmp(hyper->labels[i], hyper->labels[j]) == 0)
                return error_set(error, STATUS_INVALID, "%s: options %zu and %zu are both \"%s\"", kind,
                                 j + 1, i + 1, hyper->labels[i]);
        }
    }
    return STATUS_OK;
}

static Status check_range(const PbtHyper *hyper, Error *error) {
    const char *kind = pbt_hyper_kind_name(hyper->kind);
    double low = hyper->low, high = hyper->high;
    if (!isfinite(low) || !isfinite(high))
        return error_set(error, STATUS_INVALID, "%s(%g, %g): both bounds must be finite numbers", kind, low,
                         high);
    if (!(low < high))
        return error_set(
            error, STATUS_INVALID,
            "%s(%g, %g) is empty: the first bound must lie below the second; for a fixed value use a "
            "constant",
            kind, low, high);
    if (hyper->kind == PBT_LOG_UNIFORM && low <= 0)
        return error_set(error, STATUS_INVALID,
                         "log_uniform(%g, %g): the bounds must lie above 0, since their logarithms are taken",
                         low, high);
    if (!isfinite(high - low) || (hyper->kind == PBT_LOG_UNIFORM && !isfinite(high / low)))
        return error_set(error, STATUS_INVALID, "%s(%g, %g): the range is too wide for a double", kind, low,
                         high);
    if (hyper->kind == PBT_INTEGER &&
        (low != floor(low) || high != floor(high) || fabs(low) > INTEGER_LIMIT || fabs(high) > INTEGER_LIMIT))
        return error_set(error, STATUS_INVALID, "integer(%g, %g): whole numbers up to 2^53 were expected",
                         low, high);
    return STATUS_OK;
}

static Status check_hyper(const PbtHyper *hyper, Error *error) {
    switch (hyper->kind) {
    case PBT_UNIFORM:
    case PBT_LOG_UNIFORM:
    case PBT_INTEGER: return check_range(hyper, error);
    case PBT_CHOICE:
    case PBT_CATEGORY: return check_list(hyper, error);
    case PBT_CONSTANT:
        if (isfinite(hyper->low)) return STATUS_OK;
        return error_set(error, STATUS_INVALID, "a constant of %g: a finite number was expected", hyper->low);
    }
    return error_set(error, STATUS_INVALID, "a kind numbered %d, which does not exist", (int)hyper->kind);
}

Status pbt_space_check(const PbtSpace *space, Error *error) {
    if (space->count > PBT_HYPERS)
        return error_set(error, STATUS_INVALID, "%zu hyperparameters: at most %d can be had", space->count,
                         PBT_HYPERS);
    for (size_t i = 0; i < space->count; i++) {
        const PbtHyper *hyper = &space->hypers[i];
        if (!hyper->name || !*hyper->name || strlen(hyper->name) >= PBT_NAME)
            return error_set(error, STATUS_INVALID,
                             "hyperparameter \"%.80s\": a name of 1 to %d bytes was expected",
                             hyper->name ? hyper->name : "", PBT_NAME - 1);
        int order = i == 0 ? -1 : strcmp(space->hypers[i - 1].name, hyper->name);
        if (order == 0)
            return error_set(error, STATUS_INVALID, "hyperparameter %s is there twice", hyper->name);
        if (order > 0)
            return error_set(error, STATUS_INVALID,
                             "hyperparameter %s comes after %s: they must be in order of name", hyper->name,
                             space->hypers[i - 1].name);
        Status status = check_hyper(hyper, error);
        if (status) {
            error_prefix(error, "hyperparameter %s: ", hyper->name);
            return status;
        }
    }
    return STATUS_OK;
}

/* ---- legal values -------------------------------------------------------------------------------------- */

static double clamp(double value, double low, double high) {
    return value < low ? low : value > high ? high : value;
}

/* Never -0, which a run's database would turn into 0. */
static double keep(const PbtHyper *hyper, double value) {
    switch (hyper->kind) {
    case PBT_UNIFORM:
    case PBT_LOG_UNIFORM: return clamp(value, hyper->low, hyper->high) + 0.0;
    case PBT_INTEGER: return clamp(round(value), hyper->low, hyper->high) + 0.0;
    case PBT_CHOICE:
    case PBT_CATEGORY: return option(hyper, nearest_option(hyper, value)) + 0.0;
    case PBT_CONSTANT: break;
    }
    return hyper->low + 0.0;
}

Status pbt_space_keep(const PbtSpace *space, double *values, Error *error) {
    for (size_t i = 0; i < space->count; i++) {
        if (!isfinite(values[i]))
            return error_set(error, STATUS_NOT_FINITE,
                             "hyperparameter %s is %g: a finite number was expected", space->hypers[i].name,
                             error_number(values[i]));
        values[i] = keep(&space->hypers[i], values[i]);
    }
    return STATUS_OK;
}

bool space_explorable(const PbtHyper *hyper) {
    return hyper->kind != PBT_CONSTANT && !hyper->structural;
}

/* ---- the prior ----------------------------------------------------------------------------------------- */

double space_draw(const PbtHyper *hyper, uint64_t key, uint64_t counter, uint64_t index) {
    double low = hyper->low, high = hyper->high;
    double fraction = random_uniform_at(key, counter, index);
    switch (hyper->kind) {
    case PBT_UNIFORM: return keep(hyper, low + fraction * (high - low));
    case PBT_LOG_UNIFORM: return keep(hyper, low * exp(fraction * log(high / low)));
    case PBT_INTEGER:
        return low + (double)random_integer_at(key, counter, index, (uint64_t)(high - low) + 1) + 0.0;
    case PBT_CHOICE:
    case PBT_CATEGORY: return option(hyper, random_integer_at(key, counter, index, hyper->count)) + 0.0;
    case PBT_CONSTANT: break;
    }
    return hyper->low + 0.0;
}

void pbt_space_sample(const PbtSpace *space, uint64_t key, uint64_t counter, double *values) {
    for (size_t i = 0; i < space->count; i++) values[i] = space_draw(&space->hypers[i], key, counter, i);
}

/* ---- walking ------------------------------------------------------------------------------------------- */

/* Where a walker on a line between two mirrors comes to stand. */
static double reflect(double value, double low, double high) {
    double width = high - low, way = fmod(fabs(value - low), 2 * width);
    return low + (way <= width ? way : 2 * width - way);
}

/* The product as it is while it stays within the bounds, so that × 0.8 is × 0.8 to the last bit. */
static double walk_logarithmic(const PbtHyper *hyper, double value, double factor) {
    double moved = value * factor;
    if (moved >= hyper->low && moved <= hyper->high) return moved;
    double low = log(hyper->low), high = log(hyper->high);
    return exp(reflect(log(value) + log(factor), low, high));
}

/* An integer k is the stretch from k − ½ to k + ½; the walker stands evenly somewhere in it. The chance of
 * going from k to m is then that of going from m to k, also at the bounds: nothing ratchets. */
static double walk_integer(const PbtHyper *hyper, double value, double factor, double fraction) {
    double low = hyper->low - 0.5, high = hyper->high + 0.5;
    double moved = value - 0.5 + fraction + log(factor) * (high - low) / 2;
    return floor(reflect(moved, low, high) + 0.5);
}

static double walk_list(const PbtHyper *hyper, double value, double factor) {
    size_t at = nearest_option(hyper, value);
    if (factor > 1 && at + 1 < hyper->count) at++;
    if (factor < 1 && at > 0) at--;
    return option(hyper, at);
}

double space_walk(const PbtHyper *hyper, double value, double factor, double fraction) {
    double low = hyper->low, high = hyper->high;
    switch (hyper->kind) {
    case PBT_UNIFORM: return keep(hyper, reflect(value + log(factor) * (high - low) / 2, low, high));
    case PBT_LOG_UNIFORM: return keep(hyper, walk_logarithmic(hyper, value, factor));
    case PBT_INTEGER: return keep(hyper, walk_integer(hyper, value, factor, fraction));
    case PBT_CHOICE: return walk_list(hyper, value, factor);
    case PBT_CATEGORY:
    case PBT_CONSTANT: break;
    }
    return value;
}
