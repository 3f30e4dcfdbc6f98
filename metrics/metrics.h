/* Metrics: what turns a classifier's logits and features into scores. Everything here is numbers in, numbers
 * out, in double precision; what draws images and runs classifiers is built on top.
 *
 *   predictions_        logits to stored class probabilities, chunk by chunk
 *   classifier_score    exp of the mean divergence of p(class | image) from p(class) ("Inception score")
 *   frechet_            distance between two Gaussians fitted to features; statistics that can be kept
 *   kernel_distance     squared maximum mean discrepancy with a cubic kernel
 *   prdc                precision, recall, density, coverage, from nearest neighbors
 *   modes_              how many modes were hit, and how evenly
 *   histogram_          counts of classes, their entropy, their distance from another set's
 *   memorization        are generated images nearer to the training images than unseen real ones are?
 *
 * Every function refuses values that are not finite (STATUS_NOT_FINITE, naming row and column) and what has
 * the wrong shape (STATUS_INVALID); what it was to add to is then as it was. Results do not depend on the
 * order of rows, except to rounding and where shuffling says so. Classes, modes and labels count from 0. All
 * distances are Euclidean. BLAS runs in as many threads as the caller has set. */
#ifndef BROOD_METRICS_METRICS_H
#define BROOD_METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "metrics/matrix.h"

/* ---- predictions --------------------------------------------------------------------------------------- */

/* What a classifier said of many images. Starts as {0}; rows are added in as many chunks as the caller likes
 * and the scores are the same, bit for bit. */
typedef struct {
    size_t rows, classes;
    size_t room;      /* rows for which there is memory */
    double *values;   /* rows × (classes + 1): p(class | image), then Σ p ln p over the classes */
    uint32_t *labels; /* rows: the class with the greatest logit, the first of equals */
} Predictions;

/* Adds the softmax of each row of logits (rows × classes). It is taken by way of its logarithm, so that
 * logits of ±1000 are as good as any. */
Status predictions_add(Predictions *predictions, Matrix logits, Error *error);
Status predictions_add_float(Predictions *predictions, const float *logits, size_t rows, size_t classes,
                             Error *error);
void predictions_free(Predictions *predictions); /* and makes it empty again */

/* ---- classifier score ---------------------------------------------------------------------------------- */

/* exp(mean over rows of KL(p(y | x) ‖ p(y))), natural logarithm, p(y) the mean of the rows' p(y | x): between
 * 1 and the number of classes. Salimans et al. 2016, "Improved techniques for training GANs", where the
 * classifier is Inception. */
typedef struct {
    double mean;      /* over the splits, each with a p(y) of its own */
    double deviation; /* population standard deviation over the splits; 0 for one split */
    double whole;     /* over all rows as one split; equals `mean` when there is one split, to rounding */
    double bootstrap_deviation; /* of `whole`, over 200 resamples of the rows (n − 1 in the denominator) */
    double bootstrap_low, bootstrap_high; /* 2.5 % and 97.5 % quantiles of `whole` over the resamples */
} ClassifierScore;

enum { CLASSIFIER_SCORE_RESAMPLES = 200 };

typedef struct {
    size_t splits;   /* contiguous, split k starting at floor(k · rows / splits); 0 means 1 */
    bool keep_order; /* otherwise rows are shuffled before splitting, always in the same way */
} ClassifierScoreOptions;

/* `options` may be NULL. Needs two rows, and a row for each split. Deterministic: what is drawn depends on
 * the number of rows only. */
Status classifier_score(const Predictions *predictions, const ClassifierScoreOptions *options,
                        ClassifierScore *out, Error *error);
Status classifier_score_logits(Matrix logits, const ClassifierScoreOptions *options, ClassifierScore *out,
                               Error *error);

/* ---- Fréchet distance ---------------------------------------------------------------------------------- */

/* Mean and scatter of feature rows, taken in chunk by chunk: those of the real images are computed once and
 * kept. To keep them in a file, write `rows`, `columns` and the frechet_statistics_count(columns) doubles of
 * `values`; to read them back, frechet_statistics_new and fill (frechet_distance checks what it is given). */
typedef struct {
    size_t rows, columns;
    double *values; /* columns means; then columns × columns sums of (x_i − mean_i)(x_j − mean_j), of which
                       only i <= j are kept and the others are 0 */
} FrechetStatistics;

enum { FRECHET_MOST_COLUMNS = 16384 }; /* 2 GiB of scatter */

/* `rows` 0. Refuses columns of 0 and above FRECHET_MOST_COLUMNS. */
Status frechet_statistics_new(FrechetStatistics *statistics, size_t columns, Error *error);
void frechet_statistics_free(FrechetStatistics *statistics);
size_t frechet_statistics_count(size_t columns);

/* Adds rows. They are centered on their own mean in small blocks, and blocks are joined by the pairwise
 * formula of Chan, Golub and LeVeque (1983), so a large offset costs no digits. Chunks of other sizes give
 * the same numbers to rounding. */
Status frechet_statistics_add(FrechetStatistics *statistics, Matrix rows, Error *error);
Status frechet_statistics_add_float(FrechetStatistics *statistics, const float *rows, size_t count,
                                    size_t columns, Error *error);

/* Adds what `other` has seen, as if its rows had been added here. */
Status frechet_statistics_merge(FrechetStatistics *statistics, const FrechetStatistics *other, Error *error);

/* |m1 − m2|² + tr(C1 + C2 − 2 (C1 C2)^½), covariances with rows − 1 in the denominator: the squared
 * 2-Wasserstein distance of two Gaussians. Heusel et al. 2017, "GANs trained by a two time-scale update rule
 * converge to a local Nash equilibrium". Unit: that of the features, squared. Biased upwards: N rows of d
 * independent features of unit variance against exact statistics give about d/N + d(d + 1)/(4N) where 0 is
 * true, so compare at equal N only. */
typedef struct {
    double distance;
    double mean_part;       /* |m1 − m2|² */
    double covariance_part; /* the rest */
    bool few_rows;          /* fewer rows than features in either set: computed, but little is known of the
                               covariance; worth a warning */
} FrechetDistance;

/* Symmetric to rounding. STATUS_NOT_FINITE where the numbers overflow or LAPACK finds no eigenvalues. */
Status frechet_distance(const FrechetStatistics *x, const FrechetStatistics *y, FrechetDistance *out,
                        Error *error);
Status frechet_distance_rows(Matrix x, Matrix y, FrechetDistance *out, Error *error);

/* ---- kernel distance ----------------------------------------------------------------------------------- */

/* Squared maximum mean discrepancy with k(a, b) = (a·b / columns + 1)³. Bińkowski et al. 2018, "Demystifying
 * MMD GANs" ("Kernel Inception distance"). No unit. The unbiased form leaves k(a, a) out of the means within
 * a set; it is 0 on average for equal distributions, so it is often negative. */
typedef struct {
    double distance;
    bool few_rows; /* fewer rows than features in either set */
} KernelDistance;

/* Over all rows of both sets. The biased form takes all pairs, and is never negative but for rounding. */
Status kernel_distance(Matrix x, Matrix y, bool biased, KernelDistance *out, Error *error);

typedef struct {
    double mean;      /* of the unbiased distance, over the subsets */
    double deviation; /* population standard deviation over the subsets */
    bool few_rows;    /* fewer rows in a subset than features */
} KernelSubsets;

/* Over `subsets` draws of `size` rows of each set, without replacement within a draw, from a fixed stream:
 * equal calls give equal bits. Refuses no subsets, and a size below 2 or above the rows of either set. */
Status kernel_distance_subsets(Matrix x, Matrix y, size_t subsets, size_t size, KernelSubsets *out,
                               Error *error);

/* ---- precision, recall, density, coverage -------------------------------------------------------------- */

/* Around every row stands a ball that reaches to its k-th nearest other row of the same set.
 *   precision: share of fake rows that lie in the ball of some real row
 *   recall:    share of real rows that lie in the ball of some fake row
 *   density:   mean over fake rows of the number of real balls they lie in, divided by k; may exceed 1
 *   coverage:  share of real rows with a fake row in their ball
 * The first two are of Kynkäänniemi et al. 2019, "Improved precision and recall metric for assessing
 * generative models"; the others of Naeem et al. 2020, "Reliable fidelity and diversity metrics for
 * generative models".
 *
 * Rows at exactly the k-th neighbor's distance are in or out as `ties` says. A distance is the plain sum of
 * squared differences: it is 0 for equal rows and the same in both directions, bit for bit. */
typedef struct {
    double precision, recall, density, coverage;
    double density_deviation; /* standard deviation of the mean that density is */
    bool few_rows;            /* fewer rows than features in either set */
} Prdc;

typedef enum {
    PRDC_TIES_ORIGINAL, /* in for precision and recall, out for density and coverage, as their authors do */
    PRDC_TIES_OUT,      /* "<" everywhere */
    PRDC_TIES_IN        /* "<=" everywhere */
} PrdcTies;

enum { PRDC_DEFAULT_K = 5 };

/* The squared distance from each row to its k-th nearest other row. out: rows. 1 <= k < rows. */
Status prdc_radii(Matrix rows, size_t k, double *out, Error *error);

/* `real_radii` is what prdc_radii gave for `real_rows` and k, to use real images again and again; or NULL. k
 * must be below the number of rows of both sets. Time grows with rows² × columns, memory with the rows. */
Status prdc(Matrix real_rows, const double *real_radii, Matrix fake_rows, size_t k, PrdcTies ties, Prdc *out,
            Error *error);

/* ---- modes --------------------------------------------------------------------------------------------- */

typedef struct {
    size_t hit;        /* modes with at least one sample; one of high quality, where that is known */
    double reverse_kl; /* KL(samples ‖ uniform over the modes), in nats, over all samples; 0 .. ln(modes) */
    double high_quality; /* share of samples of high quality; 1 where that is not known */
} ModeCoverage;

/* From each sample's mode, 0 .. modes − 1, and whether it is of high quality (NULL: not known). */
Status modes_coverage(const uint32_t *mode, const bool *high_quality, size_t samples, size_t modes,
                      ModeCoverage *out, Error *error);

/* For mixtures: the nearest center of each point (the first of equals), and whether it lies within
 * `deviations` (3 is usual) times `standard_deviation` of it. points: samples × d, centers: modes × d.
 * Refuses more than 2^32 − 1 centers. */
Status modes_nearest_center(Matrix points, Matrix centers, double standard_deviation, double deviations,
                            uint32_t *mode, bool *high_quality, Error *error);

enum { MODES_STACKED = 1000 };

/* For three digits in the three color planes: mode = 100 · first + 10 · second + third. */
Status modes_stack(const uint32_t *first, const uint32_t *second, const uint32_t *third, size_t samples,
                   uint32_t *mode, Error *error);

/* ---- class histogram ----------------------------------------------------------------------------------- */

/* counts: classes; how many of the `samples` labels are of each. Refuses a label of `classes` or more. */
Status histogram_count(const uint32_t *labels, size_t samples, size_t classes, size_t *counts, Error *error);

typedef struct {
    double entropy;         /* −Σ p ln p, in nats */
    double effective;       /* exp(entropy): as many equally common classes have this entropy */
    double total_variation; /* ½ Σ |p − q| against the reference: 0 equal, 1 without overlap */
} HistogramSummary;

/* `reference` (another set's counts, such as the real images') NULL means uniform. Refuses counts that are
 * all 0, of either set. */
Status histogram_summary(const size_t *counts, const size_t *reference, size_t classes, HistogramSummary *out,
                         Error *error);

/* ---- memorization -------------------------------------------------------------------------------------- */

/* Distances in features from a row to the nearest training row, for generated rows and for held-out ones
 * (real images that no training saw). Unit: that of the features. */
typedef struct {
    double generated_median, generated_mean;
    double held_out_median, held_out_mean;
    double ratio;         /* generated_median / held_out_median; 1 where both are 0. Well below 1: copies */
    double near_distance; /* the 1 % quantile of the held-out distances; wants some hundred held-out rows */
    double near_share;    /* share of generated rows with a distance below that: about 0.01 without copying */
    double exact_share;   /* share of generated rows with distance 0: equal to a training row */
    bool few_rows;        /* fewer rows than features in any set; false from memorization_compare */
} Memorization;

/* For each query row its distance to the nearest training row, and which one that is (the first of equals);
 * `nearest` may be NULL. Queries may come in chunks. */
Status memorization_nearest(Matrix queries, Matrix training, double *distances, size_t *nearest,
                            Error *error);

/* From such distances, of two rows of either at least. */
Status memorization_compare(const double *generated, size_t generated_count, const double *held_out,
                            size_t held_out_count, Memorization *out, Error *error);

Status memorization(Matrix training, Matrix held_out, Matrix generated, Memorization *out, Error *error);

#endif
