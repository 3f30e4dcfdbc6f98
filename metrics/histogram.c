#include <math.h>

#include "metrics/metrics.h"

Status histogram_count(const uint32_t *labels, size_t samples, size_t classes, size_t *counts, Error *error) {
    for (size_t i = 0; i < samples; i++)
        if (labels[i] >= classes)
            return error_set(
                error, STATUS_INVALID,
                "sample %zu (counted from 1) is of class %u (counted from 0), but there are only %zu", i + 1,
                (unsigned)labels[i], classes);
    for (size_t k = 0; k < classes; k++) counts[k] = 0;
    for (size_t i = 0; i < samples; i++) counts[labels[i]]++;
    return STATUS_OK;
}

static double total(const size_t *counts, size_t classes) {
    double sum = 0;
    for (size_t k = 0; k < classes; k++) sum += (double)counts[k];
    return sum;
}

Status histogram_summary(const size_t *counts, const size_t *reference, size_t classes, HistogramSummary *out,
                         Error *error) {
    double samples = total(counts, classes),
           references = reference ? total(reference, classes) : (double)classes;
    if (samples <= 0 || references <= 0)
        return error_set(error, STATUS_INVALID, "class histogram: %s has no samples in its %zu classes",
                         samples <= 0 ? "it" : "the reference", classes);
    double entropy = 0, difference = 0;
    for (size_t k = 0; k < classes; k++) {
        double p = (double)counts[k] / samples, q = (reference ? (double)reference[k] : 1) / references;
        if (p > 0) entropy -= p * log(p);
        difference += fabs(p - q);
    }
    entropy = fmax(entropy, 0); /* one class alone gives −0 */
    *out =
        (HistogramSummary){.entropy = entropy, .effective = exp(entropy), .total_variation = difference / 2};
    return STATUS_OK;
}
