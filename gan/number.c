#include "gan/number.h"

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
    double share = number->steps > 0 && step < number->steps ? step / number->steps : 1;
    bool over = share == 1 && number->kind >= NUMBER_LINEAR && number->kind <= NUMBER_EXPONENTIAL;
    if (over) return number->to; /* exactly */
    switch (number->kind) {
    case NUMBER_CONSTANT: return number->from;
    case NUMBER_HYPER: return hypers[number->hyper];
    case NUMBER_LINEAR: return number->from + (number->to - number->from) * share;
    case NUMBER_COSINE: return number->to + (number->from - number->to) * (1 + cos(acos(-1.0) * share)) / 2;
    case NUMBER_EXPONENTIAL: return number->from * pow(number->to / number->from, share);
    case NUMBER_PIECEWISE: return piecewise(number, step);
    case NUMBER_WARMUP:
        if (step >= number->steps && number->after) return schedule_at(number->after, hypers, step - number->steps);
        return number->from + (number->to - number->from) * share;
    default: return 0;
    }
}

double number_at(const Number *number, const double *hypers, int64_t step) {
    return schedule_at(number, hypers, (double)step);
}

Status number_check(const Number *number, Error *error) {
    bool bounded = number->kind == NUMBER_LINEAR || number->kind == NUMBER_COSINE ||
                   number->kind == NUMBER_EXPONENTIAL || number->kind == NUMBER_WARMUP;
    if (bounded && !(number->steps > 0 && isfinite(number->steps)))
        return error_set(error, STATUS_INVALID, "a schedule lasts more than 0 steps, not %g", number->steps);
    if (!isfinite(number->from) || !isfinite(number->to))
        return error_set(error, STATUS_INVALID, "a schedule goes between finite numbers, not from %g to %g",
                         number->from, number->to);
    if (number->kind == NUMBER_EXPONENTIAL && !(number->from * number->to > 0))
        return error_set(error, STATUS_INVALID,
                         "an exponential schedule cannot go from %g to %g: both on one side of 0",
                         number->from, number->to);
    if (number->kind == NUMBER_PIECEWISE && number->point_count == 0)
        return error_set(error, STATUS_INVALID, "a piecewise schedule needs at least one {step, value}");
    for (size_t i = 1; number->kind == NUMBER_PIECEWISE && i < number->point_count; i++)
        if (!(number->points[i].step > number->points[i - 1].step))
            return error_set(error, STATUS_INVALID, "piecewise schedule: step %g comes after step %g",
                             number->points[i].step, number->points[i - 1].step);
    return number->after ? number_check(number->after, error) : STATUS_OK;
}
