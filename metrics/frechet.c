#include <cblas.h>
#include <float.h>
#include <math.h>

#include "base/memory.h"
#include "metrics/metrics.h"

/* LAPACK, which OpenBLAS brings along without a header. Fortran's calling convention: everything by address,
 * and the lengths of the texts at the end. */
void dsyevd_(const char *vectors, const char *triangle, const int *n, double *a, const int *lda,
             double *values, double *work, const int *work_size, int *integers, const int *integers_size,
             int *info, size_t vectors_length, size_t triangle_length);
void dgesdd_(const char *vectors, const int *m, const int *n, double *a, const int *lda, double *values,
             double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *work_size,
             int *integers, int *info, size_t vectors_length);

/* Rows are centered and multiplied in blocks of this many: 256 rows of 128 features stay in the L2 cache. */
enum { BLOCK = 256 };

/* ---- statistics ---------------------------------------------------------------------------------------- */

size_t frechet_statistics_count(size_t columns) {
    return columns + columns * columns;
}

Status frechet_statistics_new(FrechetStatistics *statistics, size_t columns, Error *error) {
    *statistics = (FrechetStatistics){0};
    if (columns == 0 || columns > FRECHET_MOST_COLUMNS)
        return error_set(error, STATUS_INVALID, "Fréchet statistics: %zu features; 1 to %d are possible",
                         columns, FRECHET_MOST_COLUMNS);
    statistics->values = memory_new(frechet_statistics_count(columns), sizeof *statistics->values);
    if (!statistics->values) return error_no_memory(error, "Fréchet statistics");
    statistics->columns = columns;
    return STATUS_OK;
}

void frechet_statistics_free(FrechetStatistics *statistics) {
    memory_free(statistics->values);
    *statistics = (FrechetStatistics){0};
}

/* Takes in the mean of `added` further rows; work: columns. The further rows' own scatter is added elsewhere.
 */
static void join_mean(FrechetStatistics *statistics, size_t added, const double *mean, double *work) {
    size_t columns = statistics->columns;
    double before = (double)statistics->rows, after = before + (double)added;
    double *old_mean = statistics->values, *scatter = statistics->values + columns;
    for (size_t j = 0; j < columns; j++) {
        work[j] = mean[j] - old_mean[j];
        old_mean[j] += work[j] * ((double)added / after);
    }
    statistics->rows += added;
    if (before > 0)
        cblas_dsyr(CblasRowMajor, CblasUpper, (int)columns, before * (double)added / after, work, 1, scatter,
                   (int)columns);
}

/* mean: columns; centered: rows × columns, less their mean. */
static void center(const double *rows, size_t count, size_t columns, double *mean, double *centered) {
    /* The mean is summed up from differences to the first row, so that an offset does not swallow its digits.
     */
    for (size_t j = 0; j < columns; j++) mean[j] = 0;
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < columns; j++) mean[j] += rows[i * columns + j] - rows[j];
    for (size_t j = 0; j < columns; j++) mean[j] = rows[j] + mean[j] / (double)count;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < columns; j++) centered[i * columns + j] = rows[i * columns + j] - mean[j];
}

Status frechet_statistics_add(FrechetStatistics *statistics, Matrix rows, Error *error) {
    size_t columns = statistics->columns;
    if (rows.columns != columns)
        return error_set(
            error, STATUS_INVALID,
            "features of different widths: the statistics have %zu columns, the new rows %zu; take "
            "both from the same layer of the same classifier",
            columns, rows.columns);
    Status status = matrix_check_values(rows, "features", statistics->rows, error);
    if (status) return status;
    double *mean = memory_new((BLOCK + 2) * columns, sizeof *mean);
    if (!mean) return error_no_memory(error, "a block of feature rows");
    double *difference = mean + columns, *centered = difference + columns;
    for (size_t first = 0; first < rows.rows; first += BLOCK) {
        size_t count = rows.rows - first < BLOCK ? rows.rows - first : BLOCK;
        center(rows.data + first * columns, count, columns, mean, centered);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)columns, (int)count, 1, centered,
                    (int)columns, 1, statistics->values + columns, (int)columns);
        join_mean(statistics, count, mean, difference);
    }
    memory_free(mean);
    return STATUS_OK;
}

Status frechet_statistics_add_float(FrechetStatistics *statistics, const float *rows, size_t count,
                                    size_t columns, Error *error) {
    double *copy;
    Status status = matrix_widen(rows, count, columns, &copy, error);
    if (!status) status = frechet_statistics_add(statistics, (Matrix){copy, count, columns}, error);
    memory_free(copy);
    return status;
}

Status frechet_statistics_merge(FrechetStatistics *statistics, const FrechetStatistics *other, Error *error) {
    size_t columns = statistics->columns;
    if (other->columns != columns)
        return error_set(
            error, STATUS_INVALID,
            "features of different widths: %zu columns and %zu; statistics to be joined must be of "
            "the same features",
            columns, other->columns);
    if (other->rows == 0) return STATUS_OK;
    double *work = memory_new(columns, sizeof *work);
    if (!work) return error_no_memory(error, "joining Fréchet statistics");
    for (size_t i = columns; i < frechet_statistics_count(columns); i++)
        statistics->values[i] += other->values[i];
    join_mean(statistics, other->rows, other->values, work);
    memory_free(work);
    return STATUS_OK;
}

/* ---- distance ------------------------------------------------------------------------------------------ */

/* Statistics may come from a file: what cannot be a mean and a scatter is refused. */
static Status check(const FrechetStatistics *statistics, const char *name, Error *error) {
    if (statistics->rows < 2 || statistics->columns == 0 || statistics->columns > FRECHET_MOST_COLUMNS)
        return error_set(
            error, STATUS_INVALID,
            "%s: statistics of %zu row%s and %zu features; at least two rows, and 1 to %d features, "
            "are needed",
            name, statistics->rows, statistics->rows == 1 ? "" : "s", statistics->columns,
            FRECHET_MOST_COLUMNS);
    for (size_t i = 0; i < frechet_statistics_count(statistics->columns); i++)
        if (!isfinite(statistics->values[i]))
            return error_set(
                error, STATUS_NOT_FINITE,
                "%s: mean or covariance of the features is %g; the features are too large, or the "
                "statistics are damaged",
                name, statistics->values[i]);
    for (size_t j = 0; j < statistics->columns; j++)
        if (statistics->values[statistics->columns * (j + 1) + j] < 0)
            return error_set(
                error, STATUS_INVALID,
                "%s: the variance of feature %zu (counted from 1) is negative; the statistics are "
                "damaged: compute them again",
                name, j + 1);
    return STATUS_OK;
}

static Status lapack_failed(const char *routine, int info, Error *error) {
    return error_set(
        error, STATUS_NOT_FINITE,
        "Fréchet distance: LAPACK's %s gave up with code %d; are the features of very different sizes?",
        routine, info);
}

/* Eigenvalues, least first, and eigenvectors of a symmetric matrix. On return row i of `a` is the i-th
 * vector. Fortran counts columns first: our upper triangle is its lower one, its columns are our rows. */
static Status eigenvectors(double *a, size_t size, double *values, Error *error) {
    int n = (int)size, info = 0, integers_wanted = 0, query = -1;
    double wanted = 0;
    dsyevd_("V", "L", &n, a, &n, values, &wanted, &query, &integers_wanted, &query, &info, 1, 1);
    if (info) return lapack_failed("dsyevd", info, error);
    int work_size = (int)wanted;
    double *work = memory_new((size_t)work_size, sizeof *work);
    int *integers = memory_new((size_t)integers_wanted, sizeof *integers);
    Status status = work && integers ? STATUS_OK : error_no_memory(error, "eigenvectors of a covariance");
    if (!status) {
        dsyevd_("V", "L", &n, a, &n, values, work, &work_size, integers, &integers_wanted, &info, 1, 1);
        if (info) status = lapack_failed("dsyevd", info, error);
    }
    memory_free(work);
    memory_free(integers);
    return status;
}

/* The sum of the singular values of a (rows × columns), which is destroyed. */
static Status singular_values_sum(double *a, size_t rows, size_t columns, double *sum, Error *error) {
    size_t least = rows < columns ? rows : columns;
    *sum = 0;
    if (least == 0) return STATUS_OK;
    int m = (int)columns, n = (int)rows, one = 1, info = 0, query = -1; /* as above: transposed */
    double wanted = 0, nothing = 0;
    double *values = memory_new(least, sizeof *values);
    int *integers = memory_new(8 * least, sizeof *integers);
    double *work = NULL;
    if (values && integers) {
        dgesdd_("N", &m, &n, a, &m, values, &nothing, &one, &nothing, &one, &wanted, &query, integers, &info,
                1);
        work = memory_new((size_t)wanted, sizeof *work);
    }
    Status status = work ? STATUS_OK : error_no_memory(error, "singular values");
    if (!status) {
        int work_size = (int)wanted;
        dgesdd_("N", &m, &n, a, &m, values, &nothing, &one, &nothing, &one, work, &work_size, integers, &info,
                1);
        if (info) status = lapack_failed("dgesdd", info, error);
    }
    for (size_t i = 0; !status && i < least; i++) *sum += values[i];
    memory_free(values);
    memory_free(integers);
    memory_free(work);
    return status;
}

/* A root of the covariance: R (rank × columns, at the start of `root`, which has columns × columns) with
 * Rᵀ R = C. Directions whose variance is rounding error only are left out, as in NumPy's matrix_rank: the
 * root of 1e-16 would count as 1e-8. */
static Status covariance_root(const FrechetStatistics *statistics, double *root, size_t *rank, Error *error) {
    size_t columns = statistics->columns;
    double *values = memory_new(columns, sizeof *values);
    if (!values) return error_no_memory(error, "eigenvalues of a covariance");
    for (size_t i = 0; i < columns * columns; i++)
        root[i] = statistics->values[columns + i] / (double)(statistics->rows - 1);
    Status status = eigenvectors(root, columns, values, error);
    *rank = 0;
    double least = fmax(values[columns - 1], 0) * (double)columns * DBL_EPSILON;
    for (size_t i = 0; !status && i < columns; i++) {
        if (!(values[i] > least)) continue;
        double scale = sqrt(values[i]);
        for (size_t j = 0; j < columns; j++) root[*rank * columns + j] = scale * root[i * columns + j];
        (*rank)++;
    }
    memory_free(values);
    return status;
}

/* tr((C1 C2)^½). The eigenvalues of C1^½ C2 C1^½ are the squares of the singular values of R1 R2ᵀ; to take
 * these at once spares the square, and with it half of the digits of the small ones. */
static Status root_trace(const FrechetStatistics *x, const FrechetStatistics *y, double *trace,
                         Error *error) {
    size_t columns = x->columns, x_rank = 0, y_rank = 0;
    double *x_root = memory_new(3 * columns * columns, sizeof *x_root);
    if (!x_root) return error_no_memory(error, "roots of the covariances");
    double *y_root = x_root + columns * columns, *product = y_root + columns * columns;
    Status status = covariance_root(x, x_root, &x_rank, error);
    if (!status) status = covariance_root(y, y_root, &y_rank, error);
    if (!status && x_rank && y_rank)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)x_rank, (int)y_rank, (int)columns, 1,
                    x_root, (int)columns, y_root, (int)columns, 0, product, (int)y_rank);
    if (!status) status = singular_values_sum(product, x_rank, y_rank, trace, error);
    memory_free(x_root);
    return status;
}

static double variance_sum(const FrechetStatistics *statistics) {
    double sum = 0;
    for (size_t j = 0; j < statistics->columns; j++)
        sum += statistics->values[statistics->columns * (j + 1) + j] / (double)(statistics->rows - 1);
    return sum;
}

Status frechet_distance(const FrechetStatistics *x, const FrechetStatistics *y, FrechetDistance *out,
                        Error *error) {
    Status status = check(x, "x", error);
    if (!status) status = check(y, "y", error);
    if (!status && x->columns != y->columns)
        status =
            error_set(error, STATUS_INVALID,
                      "features of different widths: x has %zu columns, y has %zu; take both from the same "
                      "layer of the same classifier",
                      x->columns, y->columns);
    double trace = 0, means = 0;
    if (!status) status = root_trace(x, y, &trace, error);
    if (status) return status;
    for (size_t j = 0; j < x->columns; j++)
        means += (x->values[j] - y->values[j]) * (x->values[j] - y->values[j]);
    double covariances = variance_sum(x) + variance_sum(y) - 2 * trace;
    if (!isfinite(means + covariances))
        return error_set(error, STATUS_NOT_FINITE, "Fréchet distance: the features are too large for it");
    covariances = fmax(covariances, 0); /* it is not negative, but for rounding */
    *out = (FrechetDistance){.distance = means + covariances,
                             .mean_part = means,
                             .covariance_part = covariances,
                             .few_rows = x->rows < x->columns || y->rows < y->columns};
    return STATUS_OK;
}

Status frechet_distance_rows(Matrix x, Matrix y, FrechetDistance *out, Error *error) {
    FrechetStatistics x_statistics = {0}, y_statistics = {0};
    Status status = matrix_check_pair(x, "x", y, "y", error);
    if (!status) status = frechet_statistics_new(&x_statistics, x.columns, error);
    if (!status) status = frechet_statistics_new(&y_statistics, y.columns, error);
    if (!status) status = frechet_statistics_add(&x_statistics, x, error);
    if (!status) status = frechet_statistics_add(&y_statistics, y, error);
    if (!status) status = frechet_distance(&x_statistics, &y_statistics, out, error);
    frechet_statistics_free(&x_statistics);
    frechet_statistics_free(&y_statistics);
    return status;
}
