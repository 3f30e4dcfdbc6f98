#include <math.h>

#include "base/memory.h"
#include "base/random.h"
#include "metrics/metrics.h"

/* The words of one resample are drawn in pieces of this many. */
enum { DRAWS = 1024 };

/* Sums of rows of predictions: classes + 1 numbers, as in a row. */
typedef struct {
    size_t rows, classes;
    double *sums;
} Pool;

static void pool_clear(Pool *pool) {
    for (size_t j = 0; j <= pool->classes; j++) pool->sums[j] = 0;
    pool->rows = 0;
}

static void pool_add(Pool *pool, const Predictions *predictions, size_t row) {
    size_t width = pool->classes + 1;
    const double *values = predictions->values + row * width;
    for (size_t j = 0; j < width; j++) pool->sums[j] += values[j];
    pool->rows++;
}

/* The mean divergence is mean(Σ p(y|x) ln p(y|x)) − Σ p(y) ln p(y): only sums over rows are needed. */
static double pool_score(const Pool *pool) {
    double rows = (double)pool->rows, divergence = pool->sums[pool->classes] / rows;
    for (size_t j = 0; j < pool->classes; j++) {
        double p = pool->sums[j] / rows;
        if (p > 0) divergence -= p * log(p);
    }
    return exp(fmax(divergence, 0)); /* it is not negative, but for rounding */
}

/* floor(part · rows / parts) without overflow of the product; part <= parts. */
static size_t bound(size_t part, size_t rows, size_t parts) {
    return rows / parts * part + rows % parts * part / parts;
}

static void score_splits(const Predictions *predictions, size_t splits, bool keep_order, Pool *pool,
                         ClassifierScore *out) {
    uint64_t key = random_key(0, 0, "classifier score: shuffle");
    double sum = 0, squares = 0, first = 0;
    for (size_t k = 0; k < splits; k++) {
        size_t end = bound(k + 1, predictions->rows, splits);
        pool_clear(pool);
        for (size_t i = bound(k, predictions->rows, splits); i < end; i++)
            pool_add(pool, predictions, keep_order ? i : random_permute(key, 0, predictions->rows, i));
        double score = pool_score(pool);
        if (k == 0) first = score;
        sum += score - first; /* about the first, so that equal scores have no deviation at all */
        squares += (score - first) * (score - first);
    }
    double mean = sum / (double)splits;
    out->mean = first + mean;
    out->deviation = sqrt(fmax(squares / (double)splits - mean * mean, 0));
}

/* Draws as many rows as there are, with replacement. A 32-bit word scaled to the number of rows is uneven by
 * less than rows / 2^32, which no bootstrap notices. */
static void resample(const Predictions *predictions, uint64_t key, uint64_t counter, Pool *pool) {
    uint32_t words[DRAWS];
    pool_clear(pool);
    for (size_t first = 0; first < predictions->rows; first += DRAWS) {
        size_t count = predictions->rows - first < DRAWS ? predictions->rows - first : DRAWS;
        random_bits(key, counter, first, count, words);
        for (size_t i = 0; i < count; i++)
            pool_add(pool, predictions, (size_t)((uint64_t)words[i] * predictions->rows >> 32));
    }
}

static void bootstrap(const Predictions *predictions, Pool *pool, ClassifierScore *out) {
    uint64_t key = random_key(0, 0, "classifier score: bootstrap");
    double scores[CLASSIFIER_SCORE_RESAMPLES], mean = 0, squares = 0;
    for (size_t k = 0; k < CLASSIFIER_SCORE_RESAMPLES; k++) {
        resample(predictions, key, k, pool);
        scores[k] = pool_score(pool);
        mean += scores[k] / CLASSIFIER_SCORE_RESAMPLES;
    }
    for (size_t k = 0; k < CLASSIFIER_SCORE_RESAMPLES; k++)
        squares += (scores[k] - mean) * (scores[k] - mean);
    matrix_sort(scores, CLASSIFIER_SCORE_RESAMPLES);
    out->bootstrap_deviation = sqrt(squares / (CLASSIFIER_SCORE_RESAMPLES - 1));
    out->bootstrap_low = matrix_quantile(scores, CLASSIFIER_SCORE_RESAMPLES, 0.025);
    out->bootstrap_high = matrix_quantile(scores, CLASSIFIER_SCORE_RESAMPLES, 0.975);
}

Status classifier_score(const Predictions *predictions, const ClassifierScoreOptions *options,
                        ClassifierScore *out, Error *error) {
    size_t splits = options && options->splits ? options->splits : 1;
    if (predictions->rows < 2 || splits > predictions->rows)
        return error_set(
            error, STATUS_INVALID,
            "classifier score: %zu row%s for %zu split%s; at least two rows are needed, and one for "
            "each split: give more samples or fewer splits",
            predictions->rows, predictions->rows == 1 ? "" : "s", splits, splits == 1 ? "" : "s");
    Pool pool = {.classes = predictions->classes};
    pool.sums = memory_new(pool.classes + 1, sizeof *pool.sums);
    if (!pool.sums) return error_no_memory(error, "the sums of a classifier score");
    score_splits(predictions, splits, options && options->keep_order, &pool, out);
    pool_clear(&pool);
    for (size_t i = 0; i < predictions->rows; i++) pool_add(&pool, predictions, i);
    out->whole = pool_score(&pool);
    bootstrap(predictions, &pool, out);
    memory_free(pool.sums);
    return STATUS_OK;
}

Status classifier_score_logits(Matrix logits, const ClassifierScoreOptions *options, ClassifierScore *out,
                               Error *error) {
    Predictions predictions = {0};
    Status status = predictions_add(&predictions, logits, error);
    if (!status) status = classifier_score(&predictions, options, out, error);
    predictions_free(&predictions);
    return status;
}
