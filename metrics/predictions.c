#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "metrics/metrics.h"

/* `out`: the probabilities, then Σ p ln p. */
static void softmax(const double *logits, size_t classes, size_t greatest, double *out) {
    double total = 0, sum = 0;
    for (size_t j = 0; j < classes; j++) total += exp(logits[j] - logits[greatest]);
    double log_total = log(total);
    for (size_t j = 0; j < classes; j++) {
        double log_p = logits[j] - logits[greatest] - log_total;
        out[j] = exp(log_p);
        if (out[j] > 0) sum += out[j] * log_p; /* p ln p goes to 0 with p */
    }
    out[classes] = sum;
}

static size_t greatest_of(const double *values, size_t count) {
    size_t greatest = 0;
    for (size_t j = 1; j < count; j++)
        if (values[j] > values[greatest]) greatest = j;
    return greatest;
}

static Status make_room(Predictions *predictions, size_t rows, size_t classes, Error *error) {
    if (rows <= predictions->room) return STATUS_OK;
    size_t room = predictions->room < rows / 2 ? rows : predictions->room + predictions->room / 2 + 1;
    if (room < rows) room = rows;
    size_t values_bytes, labels_bytes;
    if (__builtin_mul_overflow(room, (classes + 1) * sizeof(double), &values_bytes) ||
        __builtin_mul_overflow(room, sizeof(uint32_t), &labels_bytes))
        return error_no_memory(error, "predictions");
    double *values = memory_resize(predictions->values, values_bytes);
    if (!values) return error_no_memory(error, "predictions");
    predictions->values = values;
    uint32_t *labels = memory_resize(predictions->labels, labels_bytes);
    if (!labels) return error_no_memory(error, "predictions");
    predictions->labels = labels;
    predictions->room = room;
    return STATUS_OK;
}

Status predictions_add(Predictions *predictions, Matrix logits, Error *error) {
    size_t classes = logits.columns, rows;
    if (predictions->rows && classes != predictions->classes)
        return error_set(error, STATUS_INVALID,
                         "logits: %zu columns, after rows of %zu; every chunk must be the same classifier's",
                         classes, predictions->classes);
    Status status = matrix_check_values(logits, "logits", predictions->rows, error);
    if (status) return status;
    if (__builtin_add_overflow(predictions->rows, logits.rows, &rows) || rows > UINT32_MAX ||
        classes >= UINT32_MAX)
        return error_set(error, STATUS_INVALID, "logits: more than 2^32 - 1 rows or classes");
    status = make_room(predictions, rows, classes, error);
    if (status) return status;
    for (size_t i = 0; i < logits.rows; i++) {
        const double *row = logits.data + i * classes;
        size_t at = predictions->rows + i, greatest = greatest_of(row, classes);
        softmax(row, classes, greatest, predictions->values + at * (classes + 1));
        predictions->labels[at] = (uint32_t)greatest;
    }
    predictions->classes = classes;
    predictions->rows = rows;
    return STATUS_OK;
}

Status predictions_add_float(Predictions *predictions, const float *logits, size_t rows, size_t classes,
                             Error *error) {
    double *copy;
    Status status = matrix_widen(logits, rows, classes, &copy, error);
    if (!status) status = predictions_add(predictions, (Matrix){copy, rows, classes}, error);
    memory_free(copy);
    return status;
}

void predictions_free(Predictions *predictions) {
    memory_free(predictions->values);
    memory_free(predictions->labels);
    *predictions = (Predictions){0};
}
