#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "metrics/distances.h"
#include "metrics/metrics.h"

/* Which share of held-out rows counts as suspiciously near. */
static const double NEAR_QUANTILE = 0.01;

/* distances: squared distances so far; nearest: may be NULL. */
static void take_nearest(const DistanceBlock *block, size_t query_first, size_t training_first,
                         double *distances, size_t *nearest) {
    for (size_t i = 0; i < block->down; i++)
        for (size_t j = 0; j < block->across; j++)
            if (block->squared[i][j] < distances[query_first + i]) {
                distances[query_first + i] = block->squared[i][j];
                if (nearest) nearest[query_first + i] = training_first + j;
            }
}

static Status nearest_of(Matrix queries, const DistanceRows *training, double *distances, size_t *nearest,
                         Error *error) {
    DistanceRows rows;
    Status status = distances_rows(queries, &rows, error);
    if (status) return status;
    DistanceBlock block;
    for (size_t i = 0; i < queries.rows; i++) {
        distances[i] = INFINITY;
        if (nearest) nearest[i] = 0;
    }
    for (size_t q = 0; q < rows.rows; q += DISTANCES_DOWN)
        for (size_t t = 0; t < training->rows; t += DISTANCES_ACROSS) {
            distances_block(&rows, q, training, t, &block);
            take_nearest(&block, q, t, distances, nearest);
        }
    for (size_t i = 0; i < queries.rows; i++) distances[i] = sqrt(distances[i]);
    distances_rows_free(&rows);
    return STATUS_OK;
}

Status memorization_nearest(Matrix queries, Matrix training, double *distances, size_t *nearest,
                            Error *error) {
    Status status = matrix_check(training, "training", error);
    if (!status) status = matrix_check_values(queries, "queries", 0, error);
    if (!status && queries.columns != training.columns)
        status = error_set(
            error, STATUS_INVALID,
            "features of different widths: training has %zu columns, queries have %zu; take both from "
            "the same layer of the same classifier",
            training.columns, queries.columns);
    if (status) return status;
    DistanceRows rows;
    status = distances_rows(training, &rows, error);
    if (!status) status = nearest_of(queries, &rows, distances, nearest, error);
    distances_rows_free(&rows);
    return status;
}

static double mean(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return sum / (double)count;
}

static double share_below(const double *sorted, size_t count, double limit) {
    size_t below = 0;
    while (below < count && sorted[below] < limit) below++;
    return (double)below / (double)count;
}

static double share_zero(const double *sorted, size_t count) {
    size_t zeros = 0;
    while (zeros < count && sorted[zeros] <= 0) zeros++;
    return (double)zeros / (double)count;
}

static double ratio(double generated, double held_out) {
    if (held_out > 0) return generated / held_out;
    return generated > 0 ? INFINITY : 1;
}

static Memorization compare_sorted(const double *generated, size_t generated_count, const double *held_out,
                                   size_t held_out_count) {
    Memorization result = {.generated_median = matrix_quantile(generated, generated_count, 0.5),
                           .generated_mean = mean(generated, generated_count),
                           .held_out_median = matrix_quantile(held_out, held_out_count, 0.5),
                           .held_out_mean = mean(held_out, held_out_count),
                           .near_distance = matrix_quantile(held_out, held_out_count, NEAR_QUANTILE),
                           .exact_share = share_zero(generated, generated_count)};
    result.ratio = ratio(result.generated_median, result.held_out_median);
    result.near_share = share_below(generated, generated_count, result.near_distance);
    return result;
}

static Status check_distances(const double *distances, size_t count, const char *name, Error *error) {
    if (count < 2)
        return error_set(error, STATUS_INVALID, "%s: %zu distance%s; at least two are needed", name, count,
                         count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++)
        if (!isfinite(distances[i]) || distances[i] < 0)
            return error_set(error, STATUS_NOT_FINITE,
                             "%s: row %zu (counted from 1) is at distance %g; the features are too large",
                             name, i + 1, distances[i]);
    return STATUS_OK;
}

Status memorization_compare(const double *generated, size_t generated_count, const double *held_out,
                            size_t held_out_count, Memorization *out, Error *error) {
    Status status = check_distances(generated, generated_count, "generated", error);
    if (!status) status = check_distances(held_out, held_out_count, "held-out", error);
    if (status) return status;
    double *copies = memory_new(generated_count + held_out_count, sizeof *copies);
    if (!copies) return error_no_memory(error, "sorted distances");
    memcpy(copies, generated, generated_count * sizeof *copies);
    memcpy(copies + generated_count, held_out, held_out_count * sizeof *copies);
    matrix_sort(copies, generated_count);
    matrix_sort(copies + generated_count, held_out_count);
    *out = compare_sorted(copies, generated_count, copies + generated_count, held_out_count);
    memory_free(copies);
    return STATUS_OK;
}

Status memorization(Matrix training, Matrix held_out, Matrix generated, Memorization *out, Error *error) {
    Status status = matrix_check_pair(training, "training", held_out, "held-out", error);
    if (!status) status = matrix_check_pair(training, "training", generated, "generated", error);
    if (status) return status;
    DistanceRows rows;
    status = distances_rows(training, &rows, error);
    double *distances = memory_new(generated.rows + held_out.rows, sizeof *distances);
    if (!status && !distances) status = error_no_memory(error, "distances to the training rows");
    if (!status) status = nearest_of(generated, &rows, distances, NULL, error);
    if (!status) status = nearest_of(held_out, &rows, distances + generated.rows, NULL, error);
    if (!status)
        status = memorization_compare(distances, generated.rows, distances + generated.rows, held_out.rows,
                                      out, error);
    if (!status)
        out->few_rows = training.rows < training.columns || held_out.rows < held_out.columns ||
                        generated.rows < generated.columns;
    distances_rows_free(&rows);
    memory_free(distances);
    return status;
}
