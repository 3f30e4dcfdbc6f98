#include "metrics/matrix.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

Status matrix_check_values(Matrix matrix, const char *name, size_t first_row, Error *error) {
    size_t count;
    if (matrix.columns == 0 || __builtin_mul_overflow(matrix.rows, matrix.columns, &count))
        return error_set(error, STATUS_INVALID,
                         "%s: a table of %zu rows and %zu columns; at least one column, "
                         "and no more than fit in memory, are needed",
                         name, matrix.rows, matrix.columns);
    for (size_t i = 0; i < count; i++)
        if (!isfinite(matrix.data[i]))
            return error_set(error, STATUS_NOT_FINITE,
                             "%s: row %zu, column %zu (counted from 1) is %g; every value must be a finite "
                             "number: see what made this row",
                             name, first_row + i / matrix.columns + 1, i % matrix.columns + 1,
                             matrix.data[i]);
    return STATUS_OK;
}

Status matrix_check(Matrix matrix, const char *name, Error *error) {
    if (matrix.rows < 2)
        return error_set(error, STATUS_INVALID, "%s: %zu row%s; at least two are needed: give more samples",
                         name, matrix.rows, matrix.rows == 1 ? "" : "s");
    return matrix_check_values(matrix, name, 0, error);
}

Status matrix_check_pair(Matrix a, const char *a_name, Matrix b, const char *b_name, Error *error) {
    Status status = matrix_check(a, a_name, error);
    if (!status) status = matrix_check(b, b_name, error);
    if (!status && a.columns != b.columns)
        status =
            error_set(error, STATUS_INVALID,
                      "features of different widths: %s has %zu columns, %s has %zu; take both from the same "
                      "layer of the same classifier",
                      a_name, a.columns, b_name, b.columns);
    return status;
}

Status matrix_widen(const float *rows, size_t count, size_t columns, double **out, Error *error) {
    size_t values;
    *out = NULL;
    if (!__builtin_mul_overflow(count, columns, &values)) *out = memory_new(values, sizeof **out);
    if (!*out) return error_no_memory(error, "a copy of float rows");
    for (size_t i = 0; i < values; i++) (*out)[i] = (double)rows[i];
    return STATUS_OK;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void matrix_sort(double *values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
}

double matrix_quantile(const double *sorted, size_t count, double share) {
    double position = share * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (position - (double)below) * (sorted[below + 1] - sorted[below]);
}
