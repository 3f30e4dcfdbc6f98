#include "gan/number.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

Number number_constant(double value) {
    return (Number){.kind = NUMBER_CONSTANT, .from = value};
}

Number number_hyper(int index) {
    return (Number){.kind = NUMBER_HYPER, .hyper = index};
}

static double piecewise(const Number *number, double step) {
    double value = number->points[0].value;
    for (size_t i = 1; i < number->point_count && number->points[i].step <= step; i++)
        value = number->points[i].value;
    return value;
}

static double schedule_at(const Number *number, const double *hypers, double step) {
    double from = number->from, to = number->to;
    bool over = step >= number->steps; /* it has arrived: exactly `to` */
    double share = over ? 1 : step / number->steps;
    switch (number->kind) {
    case NUMBER_CONSTANT: return from;
    case NUMBER_HYPER: return hypers[number->hyper];
    case NUMBER_LINEAR: return over ? to : from + (to - from) * share;
    case NUMBER_COSINE: return over ? to : to + (from - to) * (1 + cos(acos(-1.0) * share)) / 2;
    case NUMBER_EXPONENTIAL: return over ? to : from * pow(to / from, share);
    case NUMBER_PIECEWISE: return piecewise(number, step);
    case NUMBER_WARMUP:
        if (over && number->after) return schedule_at(number->after, hypers, step - number->steps);
        return over ? to : from + (to - from) * share;
    case NUMBER_KINDS: break;
    }
    assert(number->kind < NUMBER_KINDS);
    return 0;
}

double number_at(const Number *number, const double *hypers, int64_t step) {
    return schedule_at(number, hypers, (double)step);
}

/* ---- checks -------------------------------------------------------------------------------------------- */

static Status check_span(const Number *number, Error *error) {
    if (!(number->steps > 0 && isfinite(number->steps)))
        return error_set(error, STATUS_INVALID, "a schedule lasts more than 0 steps, not %g", number->steps);
    if (!isfinite(number->from) || !isfinite(number->to))
        return error_set(error, STATUS_INVALID, "a schedule goes between finite numbers, not from %g to %g",
                         number->from, number->to);
    if (number->kind == NUMBER_EXPONENTIAL && !(number->from * number->to > 0))
        return error_set(error, STATUS_INVALID,
                         "an exponential schedule cannot go from %g to %g: both on one side of 0",
                         number->from, number->to);
    return number->after ? number_check(number->after, error) : STATUS_OK;
}

static Status check_points(const Number *number, Error *error) {
    if (number->point_count == 0)
        return error_set(error, STATUS_INVALID, "a piecewise schedule needs at least one {step, value}");
    for (size_t i = 0; i < number->point_count; i++) {
        const NumberPoint *point = &number->points[i];
        if (!isfinite(point->step) || !isfinite(point->value))
            return error_set(error, STATUS_INVALID, "piecewise schedule: {%g, %g}: finite numbers expected",
                             point->step, point->value);
        if (i > 0 && point->step <= point[-1].step)
            return error_set(error, STATUS_INVALID, "piecewise schedule: step %g comes after step %g",
                             point->step, point[-1].step);
    }
    return STATUS_OK;
}

Status number_check(const Number *number, Error *error) {
    switch (number->kind) {
    case NUMBER_CONSTANT:
        if (isfinite(number->from)) return STATUS_OK;
        return error_set(error, STATUS_INVALID, "a finite number expected, not %g", number->from);
    case NUMBER_LINEAR:
    case NUMBER_COSINE:
    case NUMBER_EXPONENTIAL:
    case NUMBER_WARMUP: return check_span(number, error);
    case NUMBER_PIECEWISE: return check_points(number, error);
    case NUMBER_HYPER:
    case NUMBER_KINDS: break;
    }
    return STATUS_OK;
}
