/* Scoring: images are generated, rounded to 8 bits, looked at by classifiers, and measured. No scripts
 * inside: what is measured stands in a table, and the scorer made of it serves all threads.
 *
 * Images are generated once and looked at once by each classifier, for all measures together; a measure of
 * fewer images takes the first ones. What comes out does not depend on thread, chunk or what else is
 * measured.
 */
#ifndef BROOD_APP_SCORING_SCORER_H
#define BROOD_APP_SCORING_SCORER_H

#include "app/scoring/looker.h"
#include "gan/model.h"
#include "metrics/metrics.h"

typedef enum {
    MEASURE_CLASSIFIER_SCORE, /* deviation: by bootstrap */
    MEASURE_FRECHET,          /* by bootstrap: `repeats` resamples */
    MEASURE_KERNEL,           /* mean of `repeats` subsets; from their spread, scaled to all images */
    MEASURE_PRECISION,        /* shares have the deviation of so many tosses of a coin */
    MEASURE_RECALL,
    MEASURE_DENSITY, /* of the mean over images */
    MEASURE_COVERAGE,
    MEASURE_MEMORIZATION,  /* share of images nearer to a training image than 99 % of held-out ones are */
    MEASURE_CLASS_BALANCE, /* total variation from the real classes; this and what follows by bootstrap */
    MEASURE_CLASS_ENTROPY, /* exp(entropy): how many classes, were they equally common */
    MEASURE_MODES,         /* modes with a point of high quality, or classes with an image */
    MEASURE_HIGH_QUALITY,  /* share of points that lie near a center */
    MEASURE_REVERSE_KL,    /* from the uniform distribution over modes */
    MEASURE_KINDS
} MeasureKind;

const char *measure_text(MeasureKind kind); /* "classifier_score", ... */
bool measure_named(const char *text, MeasureKind *kind);

/* What is known of the real images is made once, and borrowed. */
typedef struct {
    MeasureKind kind;
    size_t samples;                      /* images, at least 2 */
    size_t looker;                       /* among the scorer's; points have none */
    size_t repeats;                      /* at least 2 */
    size_t k;                            /* PRECISION to COVERAGE: of the k-th neighbor */
    const FrechetStatistics *statistics; /* FRECHET: of real images */
    Matrix real;             /* KERNEL, PRECISION to COVERAGE, MEMORIZATION (training): features */
    const double *radii;     /* PRECISION to COVERAGE (real.rows): squared, of the real features */
    const double *held_out;  /* MEMORIZATION: distances of held-out images to the nearest in `real` */
    size_t held_out_count;   /* at least 2 */
    const size_t *reference; /* CLASS_BALANCE (classes): how many real images are of each class */
} Measure;

typedef struct {
    size_t numbers; /* in an image or a point */
    const Looker *lookers;
    size_t looker_count; /* 0: points are measured */
    const Measure *measures;
    size_t measure_count;
    Matrix centers;           /* of points: modes × numbers */
    double deviation, within; /* of points: of the modes, and how many deviations away quality is high */
} ScorerSpec;

typedef struct Scorer Scorer;           /* never changes: shared by all threads */
typedef struct ScorerBench ScorerBench; /* what a thread needs to measure: room for images and what is seen */

/* Copies the tables of the spec; borrows programs, states and what is known of the real images. */
Scorer *scorer_new(const ScorerSpec *spec, Error *error);
void scorer_free(Scorer *scorer);
size_t scorer_count(const Scorer *scorer);   /* measures */
size_t scorer_samples(const Scorer *scorer); /* images that all measures together need */
size_t scorer_numbers(const Scorer *scorer); /* in an image or point */

ScorerBench *scorer_bench_new(const Scorer *scorer, Error *error); /* the scorer outlives it */
void scorer_bench_free(ScorerBench *bench);

/* Measures what the model's averaged generator makes of the fixed latent vectors that `key` chooses, as
 * model_sample does. values, deviations (NULL: not wanted): (scorer_count). STATUS_NOT_FINITE, naming the
 * image, when one is not finite. */
Status scorer_measure(const Scorer *scorer, ScorerBench *bench, const Model *model, State *state,
                      Workspace *sampling, uint64_t key, double *values, double *deviations, Error *error);

/* Told of while it goes on: `done` of `all` images are looked at (what: NULL), then that the measure `what`
 * comes next, after `done` of `all`. */
typedef struct {
    void *context;
    void (*tell)(void *context, const char *what, size_t done, size_t all);
} ScorerProgress;

/* The same of `count` images or points that are at hand, (count, numbers): at least scorer_samples of them.
 * progress: NULL, nobody is told. */
Status scorer_measure_images(const Scorer *scorer, ScorerBench *bench, const real *images, size_t count,
                             const ScorerProgress *progress, double *values, double *deviations,
                             Error *error);

#endif
