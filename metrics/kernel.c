#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "metrics/metrics.h"

/* Products of this many rows with as many are held at a time. */
enum { BLOCK = 256 };

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* (p + 1)³ − 1, in full precision where p is small. What every k has taken off cancels in the distance. */
static inline double cube(double p) {
    return p * (3 + p * (3 + p));
}

/* The sum of `cube` over some products; in four sums, which need not wait for each other. */
static double cubes(const double *products, size_t count) {
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (size_t l = 0; l < 4; l++) sums[l] += cube(products[i + l]);
    for (; i < count; i++) sums[0] += cube(products[i]);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* The products of rows x_first... and y_first..., divided by the number of columns. products: BLOCK × BLOCK.
 */
static void block_products(Matrix x, size_t x_first, Matrix y, size_t y_first, double *products) {
    int down = (int)least(BLOCK, x.rows - x_first), across = (int)least(BLOCK, y.rows - y_first);
    int columns = (int)x.columns;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, down, across, columns, 1 / (double)columns,
                x.data + x_first * x.columns, columns, y.data + y_first * y.columns, columns, 0, products,
                BLOCK);
}

/* The sum of k − 1 over all pairs of a row of x and a row of y. */
static double sum_between(Matrix x, Matrix y, double *products) {
    double sum = 0;
    for (size_t i = 0; i < x.rows; i += BLOCK)
        for (size_t j = 0; j < y.rows; j += BLOCK) {
            block_products(x, i, y, j, products);
            for (size_t r = 0; r < least(BLOCK, x.rows - i); r++)
                sum += cubes(products + r * BLOCK, least(BLOCK, y.rows - j));
        }
    return sum;
}

/* The sum of k − 1 over ordered pairs of two different rows of x. Blocks above the diagonal count twice. */
static double sum_within(Matrix x, double *products) {
    double sum = 0;
    for (size_t i = 0; i < x.rows; i += BLOCK)
        for (size_t j = i; j < x.rows; j += BLOCK) {
            size_t down = least(BLOCK, x.rows - i), across = least(BLOCK, x.rows - j);
            block_products(x, i, x, j, products);
            for (size_t r = 0; r < down; r++) {
                const double *row = products + r * BLOCK;
                sum += j > i ? 2 * cubes(row, across) : cubes(row, r) + cubes(row + r + 1, across - r - 1);
            }
        }
    return sum;
}

/* The sum of k − 1 of each row with itself. */
static double sum_selves(Matrix x) {
    double sum = 0;
    for (size_t i = 0; i < x.rows; i++) {
        const double *row = x.data + i * x.columns;
        double product = cblas_ddot((int)x.columns, row, 1, row, 1) / (double)x.columns;
        sum += cube(product);
    }
    return sum;
}

static double mean_within(Matrix x, bool biased, double *products) {
    double n = (double)x.rows, sum = sum_within(x, products);
    return biased ? (sum + sum_selves(x)) / (n * n) : sum / (n * (n - 1));
}

static double distance_of(Matrix x, Matrix y, bool biased, double *products) {
    double between = sum_between(x, y, products) / ((double)x.rows * (double)y.rows);
    return mean_within(x, biased, products) + mean_within(y, biased, products) - 2 * between;
}

static Status check(Matrix x, Matrix y, Error *error) {
    Status status = matrix_check_pair(x, "x", y, "y", error);
    if (!status && x.columns > INT_MAX)
        status = error_set(error, STATUS_INVALID, "kernel distance: %zu features; at most %d are possible",
                           x.columns, INT_MAX);
    return status;
}

static Status too_large(Error *error) {
    return error_set(error, STATUS_NOT_FINITE, "kernel distance: the features are too large for their cubes");
}

Status kernel_distance(Matrix x, Matrix y, bool biased, KernelDistance *out, Error *error) {
    Status status = check(x, y, error);
    if (status) return status;
    double *products = memory_new(BLOCK * BLOCK, sizeof *products);
    if (!products) return error_no_memory(error, "a block of the kernel distance");
    double distance = distance_of(x, y, biased, products);
    memory_free(products);
    if (!isfinite(distance)) return too_large(error);
    *out = (KernelDistance){.distance = distance, .few_rows = x.rows < x.columns || y.rows < y.columns};
    return STATUS_OK;
}

/* The first `size` rows of the draw-th random order of `from`. */
static void draw_rows(Matrix from, uint64_t key, size_t draw, size_t size, double *to) {
    for (size_t i = 0; i < size; i++) {
        size_t row = (size_t)random_permute(key, draw, from.rows, i);
        memcpy(to + i * from.columns, from.data + row * from.columns, from.columns * sizeof *to);
    }
}

static Status over_subsets(Matrix x, Matrix y, size_t subsets, size_t size, double *work, KernelSubsets *out,
                           Error *error) {
    uint64_t x_key = random_key(0, 0, "kernel distance: x"), y_key = random_key(0, 0, "kernel distance: y");
    double *x_rows = work + BLOCK * BLOCK, *y_rows = x_rows + size * x.columns;
    double sum = 0, squares = 0, first = 0;
    for (size_t draw = 0; draw < subsets; draw++) {
        draw_rows(x, x_key, draw, size, x_rows);
        draw_rows(y, y_key, draw, size, y_rows);
        double distance =
            distance_of((Matrix){x_rows, size, x.columns}, (Matrix){y_rows, size, y.columns}, false, work);
        if (draw == 0) first = distance;
        sum += distance - first;
        squares += (distance - first) * (distance - first);
    }
    double mean = sum / (double)subsets;
    if (!isfinite(first + squares)) return too_large(error);
    *out = (KernelSubsets){.mean = first + mean,
                           .deviation = sqrt(fmax(squares / (double)subsets - mean * mean, 0)),
                           .few_rows = size < x.columns};
    return STATUS_OK;
}

Status kernel_distance_subsets(Matrix x, Matrix y, size_t subsets, size_t size, KernelSubsets *out,
                               Error *error) {
    Status status = check(x, y, error);
    if (status) return status;
    if (subsets == 0 || size < 2 || size > x.rows || size > y.rows)
        return error_set(
            error, STATUS_INVALID,
            "kernel distance: %zu subsets of %zu rows, of %zu and %zu; at least one subset, of 2 rows "
            "to as many as both sets have, is needed",
            subsets, size, x.rows, y.rows);
    double *work = memory_new(BLOCK * BLOCK + 2 * size * x.columns, sizeof *work);
    if (!work) return error_no_memory(error, "subsets of the kernel distance");
    status = over_subsets(x, y, subsets, size, work, out, error);
    memory_free(work);
    return status;
}
