#include <math.h>

#include "base/memory.h"
#include "metrics/metrics.h"

enum { DIGITS = 10 };

/* counts: modes; hit: modes. KL(p ‖ 1/K) = Σ p ln(p K). */
static void summarize(const size_t *counts, const bool *hit, size_t samples, size_t modes,
                      ModeCoverage *out) {
    out->hit = 0;
    out->reverse_kl = 0;
    for (size_t k = 0; k < modes; k++) {
        double p = (double)counts[k] / (double)samples;
        if (counts[k]) out->reverse_kl += p * log(p * (double)modes);
        out->hit += hit[k];
    }
    out->reverse_kl = fmax(out->reverse_kl, 0); /* it is not negative, but for rounding */
}

Status modes_coverage(const uint32_t *mode, const bool *high_quality, size_t samples, size_t modes,
                      ModeCoverage *out, Error *error) {
    if (samples == 0 || modes == 0)
        return error_set(error, STATUS_INVALID,
                         "modes: %zu samples of %zu modes; at least one of each is needed", samples, modes);
    size_t *counts = memory_new(modes, sizeof *counts), good = 0;
    bool *hit = memory_new(modes, sizeof *hit);
    Status status = counts && hit ? STATUS_OK : error_no_memory(error, "counts of modes");
    if (!status) status = histogram_count(mode, samples, modes, counts, error);
    for (size_t i = 0; !status && i < samples; i++)
        if (!high_quality || high_quality[i]) {
            hit[mode[i]] = true;
            good++;
        }
    if (!status) {
        summarize(counts, hit, samples, modes, out);
        out->high_quality = (double)good / (double)samples;
    }
    memory_free(counts);
    memory_free(hit);
    return status;
}

static double squared_distance(const double *a, const double *b, size_t columns) {
    double sum = 0;
    for (size_t j = 0; j < columns; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sum;
}

Status modes_nearest_center(Matrix points, Matrix centers, double standard_deviation, double deviations,
                            uint32_t *mode, bool *high_quality, Error *error) {
    Status status = matrix_check_values(points, "points", 0, error);
    if (!status) status = matrix_check_values(centers, "centers", 0, error);
    if (status) return status;
    if (points.columns != centers.columns || centers.rows == 0 || centers.rows > UINT32_MAX)
        return error_set(
            error, STATUS_INVALID,
            "modes: points have %zu columns, and %zu centers have %zu; centers of the same width are "
            "needed",
            points.columns, centers.rows, centers.columns);
    if (!(standard_deviation > 0) || !(deviations > 0))
        return error_set(error, STATUS_INVALID, "modes: %g standard deviations of %g; both must be above 0",
                         deviations, standard_deviation);
    for (size_t i = 0; i < points.rows; i++) {
        double nearest = INFINITY;
        mode[i] = 0;
        for (size_t k = 0; k < centers.rows; k++) {
            double distance = squared_distance(points.data + i * points.columns,
                                               centers.data + k * centers.columns, points.columns);
            if (distance < nearest) {
                nearest = distance;
                mode[i] = (uint32_t)k;
            }
        }
        high_quality[i] = sqrt(nearest) <= deviations * standard_deviation;
    }
    return STATUS_OK;
}

Status modes_stack(const uint32_t *first, const uint32_t *second, const uint32_t *third, size_t samples,
                   uint32_t *mode, Error *error) {
    for (size_t i = 0; i < samples; i++)
        if (first[i] >= DIGITS || second[i] >= DIGITS || third[i] >= DIGITS)
            return error_set(
                error, STATUS_INVALID,
                "modes: sample %zu (counted from 1) has the digits %u, %u, %u; three of 0 to 9 are "
                "needed",
                i + 1, (unsigned)first[i], (unsigned)second[i], (unsigned)third[i]);
    for (size_t i = 0; i < samples; i++) mode[i] = (first[i] * DIGITS + second[i]) * DIGITS + third[i];
    return STATUS_OK;
}
