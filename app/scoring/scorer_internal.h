/* What scorer.c, which makes and looks, and measure.c, which measures, share. */
#ifndef BROOD_APP_SCORING_SCORER_INTERNAL_H
#define BROOD_APP_SCORING_SCORER_INTERNAL_H

#include "app/scoring/scorer.h"

struct Scorer {
    ScorerSpec spec; /* with tables of its own */
    size_t samples;
};

/* What one looker has seen: the first `rows` images. */
typedef struct {
    size_t rows;          /* 0: no measure needs it */
    bool wanted_features; /* by some measure; else features is NULL, and predictions are empty */
    bool wanted_predictions;
    double *features;        /* (rows, width) */
    Predictions predictions; /* (rows) */
    /* The last computation, which several measures share. */
    Prdc prdc;
    size_t prdc_samples, prdc_k; /* 0: none yet */
    const double *prdc_radii;
} View;

struct ScorerBench {
    Workspace *workspace; /* of the lookers */
    real *images;         /* a chunk, rounded */
    size_t images_room;   /* in numbers */
    double *logits;       /* of a chunk */
    View *views;          /* (lookers) */
    size_t view_count;
    double *points;     /* (samples, numbers), where points are measured */
    uint32_t *labels;   /* (samples) the mode of each point */
    bool *high_quality; /* (samples) */
};

bool measure_needs_features(MeasureKind kind);
bool measure_fits_points(MeasureKind kind);
bool measure_is_prdc(MeasureKind kind);

/* Fills value and deviation from the views. */
Status measure_take(const Scorer *scorer, ScorerBench *bench, const Measure *measure, double *value,
                    double *deviation, Error *error);

#endif
