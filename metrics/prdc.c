#include <math.h>

#include "base/memory.h"
#include "metrics/distances.h"
#include "metrics/metrics.h"

/* ---- radii --------------------------------------------------------------------------------------------- */

/* Puts a value into a heap of `size` values with the greatest on top, in the place of the top. */
static void heap_replace(double *heap, size_t size, double value) {
    size_t at = 0;
    for (size_t child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && heap[child + 1] > heap[child]) child++;
        if (heap[child] <= value) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}

/* heaps: DISTANCES_DOWN × k, the k least distances so far of each row. A row is not its own neighbor. */
static void take_nearest(const DistanceBlock *block, size_t x_first, size_t y_first, size_t k,
                         double *heaps) {
    for (size_t i = 0; i < block->down; i++)
        for (size_t j = 0; j < block->across; j++)
            if (block->squared[i][j] < heaps[i * k] && x_first + i != y_first + j)
                heap_replace(heaps + i * k, k, block->squared[i][j]);
}

static Status radii_of(const DistanceRows *rows, size_t k, double *out, Error *error) {
    double *heaps = memory_new(DISTANCES_DOWN * k, sizeof *heaps);
    if (!heaps) return error_no_memory(error, "nearest neighbors");
    DistanceBlock block;
    for (size_t x = 0; x < rows->rows; x += DISTANCES_DOWN) {
        for (size_t i = 0; i < DISTANCES_DOWN * k; i++) heaps[i] = INFINITY;
        for (size_t y = 0; y < rows->rows; y += DISTANCES_ACROSS) {
            distances_block(rows, x, rows, y, &block);
            take_nearest(&block, x, y, k, heaps);
        }
        for (size_t i = 0; i < block.down; i++) out[x + i] = heaps[i * k];
    }
    memory_free(heaps);
    return STATUS_OK;
}

static Status check_k(size_t k, size_t rows, const char *name, Error *error) {
    if (k > 0 && k < rows) return STATUS_OK;
    return error_set(error, STATUS_INVALID,
                     "%s: neighbor %zu of %zu rows; k must be 1 or more and below the number of rows", name,
                     k, rows);
}

static Status check_radii(const double *radii, size_t rows, const char *name, Error *error) {
    for (size_t i = 0; i < rows; i++)
        if (!isfinite(radii[i]) || radii[i] < 0)
            return error_set(
                error, STATUS_NOT_FINITE,
                "%s: row %zu (counted from 1) has %g as squared distance to its neighbor; the features "
                "are too large",
                name, i + 1, radii[i]);
    return STATUS_OK;
}

Status prdc_radii(Matrix rows, size_t k, double *out, Error *error) {
    DistanceRows padded = {0};
    Status status = matrix_check(rows, "features", error);
    if (!status) status = check_k(k, rows.rows, "features", error);
    if (!status) status = distances_rows(rows, &padded, error);
    if (!status) status = radii_of(&padded, k, out, error);
    if (!status) status = check_radii(out, rows.rows, "features", error);
    distances_rows_free(&padded);
    return status;
}

/* ---- the four ------------------------------------------------------------------------------------------ */

/* What is found while the pairs pass by, block by block. */
typedef struct {
    const double *real_radii, *fake_radii; /* squared */
    double *fake_nearest;                  /* for each real row, the least squared distance of a fake one */
    bool *real_covered;                    /* for each real row: it lies in the ball of a fake one */
    size_t precise, inside; /* fake rows in some real ball; pairs of a fake row and a real ball it lies in */
    double squares;         /* the sum of squares of how many real balls each fake row lies in */
    bool in_precision, in_density; /* whether rows at the ball's border are in */
} Census;

static inline bool within(double distance, double radius, bool border) {
    return border ? distance <= radius : distance < radius;
}

/* `block` is of fake rows down and real rows across. */
static void take_pairs(const DistanceBlock *block, size_t fake_first, size_t real_first, Census *census,
                       bool *fake_precise, size_t *fake_inside) {
    const double *real_radii = census->real_radii + real_first;
    double *fake_nearest = census->fake_nearest + real_first;
    bool *real_covered = census->real_covered + real_first;
    for (size_t i = 0; i < block->down; i++) {
        double fake_radius = census->fake_radii[fake_first + i];
        bool precise = false;
        size_t inside = 0;
        for (size_t j = 0; j < block->across; j++) {
            double distance = block->squared[i][j];
            precise |= within(distance, real_radii[j], census->in_precision);
            inside += within(distance, real_radii[j], census->in_density);
            real_covered[j] |= within(distance, fake_radius, census->in_precision);
            if (distance < fake_nearest[j]) fake_nearest[j] = distance;
        }
        fake_precise[i] |= precise;
        fake_inside[i] += inside;
    }
}

static void take_all_pairs(const DistanceRows *real, const DistanceRows *fake, Census *census) {
    DistanceBlock block;
    for (size_t f = 0; f < fake->rows; f += DISTANCES_DOWN) {
        bool fake_precise[DISTANCES_DOWN] = {false};
        size_t fake_inside[DISTANCES_DOWN] = {0};
        for (size_t r = 0; r < real->rows; r += DISTANCES_ACROSS) {
            distances_block(fake, f, real, r, &block);
            take_pairs(&block, f, r, census, fake_precise, fake_inside);
        }
        for (size_t i = 0; i < DISTANCES_DOWN; i++) {
            census->precise += fake_precise[i];
            census->inside += fake_inside[i];
            census->squares += (double)fake_inside[i] * (double)fake_inside[i];
        }
    }
}

static Prdc summary(const Census *census, size_t real, size_t fake, size_t k) {
    size_t recalled = 0, covered = 0;
    for (size_t i = 0; i < real; i++) {
        recalled += census->real_covered[i];
        covered += within(census->fake_nearest[i], census->real_radii[i], census->in_density);
    }
    double n = (double)fake, inside = (double)census->inside;
    double variance = fmax(census->squares - inside * inside / n, 0) / (n - 1);
    return (Prdc){.precision = (double)census->precise / n,
                  .recall = (double)recalled / (double)real,
                  .density = inside / ((double)k * n),
                  .density_deviation = sqrt(variance / n) / (double)k,
                  .coverage = (double)covered / (double)real};
}

static Status take_census(const DistanceRows *real, const double *real_radii, const DistanceRows *fake,
                          size_t k, PrdcTies ties, Prdc *out, Error *error) {
    double *radii = memory_new(real->rows, sizeof *radii),
           *fake_radii = memory_new(fake->rows, sizeof *fake_radii);
    double *fake_nearest = memory_new(real->rows, sizeof *fake_nearest);
    bool *real_covered = memory_new(real->rows, sizeof *real_covered);
    Status status = STATUS_OK;
    if (!radii || !fake_radii || !fake_nearest || !real_covered)
        status = error_no_memory(error, "radii of balls");
    if (!status && !real_radii) status = radii_of(real, k, radii, error);
    if (!real_radii) real_radii = radii;
    if (!status) status = check_radii(real_radii, real->rows, "real", error);
    if (!status) status = radii_of(fake, k, fake_radii, error);
    if (!status) status = check_radii(fake_radii, fake->rows, "fake", error);
    if (!status) {
        Census census = {.real_radii = real_radii,
                         .fake_radii = fake_radii,
                         .fake_nearest = fake_nearest,
                         .real_covered = real_covered,
                         .in_precision = ties != PRDC_TIES_OUT,
                         .in_density = ties == PRDC_TIES_IN};
        for (size_t i = 0; i < real->rows; i++) fake_nearest[i] = INFINITY;
        take_all_pairs(real, fake, &census);
        *out = summary(&census, real->rows, fake->rows, k);
    }
    memory_free(radii);
    memory_free(fake_radii);
    memory_free(fake_nearest);
    memory_free(real_covered);
    return status;
}

Status prdc(Matrix real_rows, const double *real_radii, Matrix fake_rows, size_t k, PrdcTies ties, Prdc *out,
            Error *error) {
    DistanceRows real = {0}, fake = {0};
    Status status = matrix_check_pair(real_rows, "real", fake_rows, "fake", error);
    if (!status) status = check_k(k, real_rows.rows, "real", error);
    if (!status) status = check_k(k, fake_rows.rows, "fake", error);
    if (!status) status = distances_rows(real_rows, &real, error);
    if (!status) status = distances_rows(fake_rows, &fake, error);
    if (!status) status = take_census(&real, real_radii, &fake, k, ties, out, error);
    if (!status) out->few_rows = real_rows.rows < real_rows.columns || fake_rows.rows < fake_rows.columns;
    distances_rows_free(&real);
    distances_rows_free(&fake);
    return status;
}
