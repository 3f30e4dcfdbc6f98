/* Metrics for Lua: arguments are positional and errors begin with the first one, the name of the metric as
 * the script knows it. Rows are read by rows_read; labels and modes count from 1. */
#include "app/lua/metric/lua_metric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "app/lua/metric/lua_rows.h"
#include "app/lua/metric/lua_scorer.h"

enum { LABEL = 96, WHAT = 1 }; /* room for "NAME: argument"; the argument that names the metric */

/* ---- arguments and results ----------------------------------------------------------------------------- */

static const char *what_of(lua_State *L) {
    return luaL_checkstring(L, WHAT);
}

/* The rows at `index`, which errors call "METRIC: NAME". */
static Matrix argument(lua_State *L, int index, const char *name) {
    char label[LABEL];
    snprintf(label, sizeof label, "%s: %s", what_of(L), name);
    return rows_read(L, index, label);
}

static uint32_t *labels_argument(lua_State *L, int index, const char *name, size_t classes, size_t *count) {
    char label[LABEL];
    snprintf(label, sizeof label, "%s: %s", what_of(L), name);
    return rows_labels(L, index, label, classes, count);
}

static size_t size_argument(lua_State *L, int index) {
    return (size_t)binding_integer(L, index, what_of(L), 0, INT32_MAX);
}

static void set_number(lua_State *L, const char *name, double value) {
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool value) {
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

static void check(lua_State *L, Status status, const Error *error) {
    rows_raise(L, what_of(L), status, error);
}

/* ---- classifier score, labels -------------------------------------------------------------------------- */

/* inception_score(what, logits, splits, shuffle) */
static int inception_score(lua_State *L) {
    Matrix logits = argument(L, 2, "logits");
    ClassifierScoreOptions options = {size_argument(L, 3), !lua_toboolean(L, 4)};
    ClassifierScore score;
    Error error;
    check(L, matrix_check(logits, "logits", &error), &error);
    check(L, classifier_score_logits(logits, &options, &score, &error), &error);
    lua_newtable(L);
    set_number(L, "mean", score.mean);
    set_number(L, "deviation", score.deviation);
    set_number(L, "whole", score.whole);
    set_number(L, "bootstrap_deviation", score.bootstrap_deviation);
    set_number(L, "low", score.bootstrap_low);
    set_number(L, "high", score.bootstrap_high);
    return 1;
}

/* labels(what, logits): of each row the class with the greatest logit, from 1 */
static int labels_of(lua_State *L) {
    Matrix logits = argument(L, 2, "logits");
    Predictions predictions = {0};
    double *labels = rows_push(L, logits.rows, 1);
    Error error;
    Status status = predictions_add(&predictions, logits, &error);
    for (size_t i = 0; !status && i < logits.rows; i++) labels[i] = 1.0 + predictions.labels[i];
    predictions_free(&predictions);
    check(L, status, &error);
    return 1;
}

/* ---- Fréchet distance ---------------------------------------------------------------------------------- */

static int statistics_close(lua_State *L) {
    frechet_statistics_free(luaL_checkudata(L, 1, STATISTICS_CLASS));
    return 0;
}

static int statistics_rows(lua_State *L) {
    const FrechetStatistics *statistics = binding_object(L, 1, STATISTICS_CLASS, "rows");
    lua_pushinteger(L, (lua_Integer)statistics->rows);
    return 1;
}

static FrechetStatistics *push_statistics(lua_State *L) {
    FrechetStatistics *statistics = lua_newuserdatauv(L, sizeof *statistics, 0);
    *statistics = (FrechetStatistics){0};
    luaL_setmetatable(L, STATISTICS_CLASS);
    return statistics;
}

/* The statistics at `index`, or those of the rows there, which are pushed. */
static const FrechetStatistics *statistics_argument(lua_State *L, int index, const char *name) {
    const FrechetStatistics *given = luaL_testudata(L, index, STATISTICS_CLASS);
    if (given) return given;
    Matrix rows = argument(L, index, name);
    FrechetStatistics *made = push_statistics(L);
    Error error;
    check(L, matrix_check(rows, name, &error), &error);
    check(L, frechet_statistics_new(made, rows.columns, &error), &error);
    check(L, frechet_statistics_add(made, rows, &error), &error);
    return made;
}

/* statistics(what, x) */
static int frechet_statistics_of(lua_State *L) {
    lua_settop(L, 2);
    statistics_argument(L, 2, "x");
    return 1;
}

/* frechet(what, x, y): either may be statistics */
static int frechet(lua_State *L) {
    const FrechetStatistics *x = statistics_argument(L, 2, "x"), *y = statistics_argument(L, 3, "y");
    if (x->columns != y->columns)
        script_error(
            L,
            "%s: features of different widths: x has %zu columns, y has %zu; take both from the same "
            "layer of the same classifier",
            what_of(L), x->columns, y->columns);
    FrechetDistance distance;
    Error error;
    check(L, frechet_distance(x, y, &distance, &error), &error);
    lua_newtable(L);
    set_number(L, "distance", distance.distance);
    set_number(L, "mean_part", distance.mean_part);
    set_number(L, "covariance_part", distance.covariance_part);
    set_flag(L, "few_rows", distance.few_rows);
    return 1;
}

/* ---- kernel distance ----------------------------------------------------------------------------------- */

/* kernel(what, x, y, biased) */
static int kernel(lua_State *L) {
    Matrix x = argument(L, 2, "x"), y = argument(L, 3, "y");
    KernelDistance distance;
    Error error;
    check(L, matrix_check_pair(x, "x", y, "y", &error), &error);
    check(L, kernel_distance(x, y, lua_toboolean(L, 4), &distance, &error), &error);
    lua_newtable(L);
    set_number(L, "distance", distance.distance);
    set_flag(L, "few_rows", distance.few_rows);
    return 1;
}

/* kernel_subsets(what, x, y, subsets, size) */
static int kernel_subsets(lua_State *L) {
    Matrix x = argument(L, 2, "x"), y = argument(L, 3, "y");
    KernelSubsets result;
    Error error;
    check(L, matrix_check_pair(x, "x", y, "y", &error), &error);
    check(L, kernel_distance_subsets(x, y, size_argument(L, 4), size_argument(L, 5), &result, &error),
          &error);
    lua_newtable(L);
    set_number(L, "distance", result.mean);
    set_number(L, "deviation", result.deviation);
    set_flag(L, "few_rows", result.few_rows);
    return 1;
}

/* ---- precision, recall, density, coverage; memorization ------------------------------------------------ */

/* radii(what, rows, k) */
static int radii(lua_State *L) {
    Matrix rows = argument(L, 2, "real");
    size_t k = size_argument(L, 3);
    double *out = rows_push(L, rows.rows, 1);
    Error error;
    check(L, prdc_radii(rows, k, out, &error), &error);
    return 1;
}

/* prdc(what, real, fake, k, strict, radii): strict nil leaves ties as each metric's authors do */
static int prdc_of(lua_State *L) {
    lua_settop(L, 6);
    Matrix real_rows = argument(L, 2, "real"), fake_rows = argument(L, 3, "fake");
    PrdcTies ties = PRDC_TIES_ORIGINAL;
    if (!lua_isnil(L, 5)) ties = lua_toboolean(L, 5) ? PRDC_TIES_OUT : PRDC_TIES_IN;
    const double *reach = lua_isnil(L, 6) ? NULL : argument(L, 6, "radii").data;
    Prdc result;
    Error error;
    check(L, matrix_check_pair(real_rows, "real", fake_rows, "fake", &error), &error);
    check(L, prdc(real_rows, reach, fake_rows, size_argument(L, 4), ties, &result, &error), &error);
    lua_newtable(L);
    set_number(L, "precision", result.precision);
    set_number(L, "recall", result.recall);
    set_number(L, "density", result.density);
    set_number(L, "coverage", result.coverage);
    set_flag(L, "few_rows", result.few_rows);
    return 1;
}

/* memorization(what, training, held_out, generated) */
static int memorization_of(lua_State *L) {
    Matrix training = argument(L, 2, "training"), held_out = argument(L, 3, "held_out");
    Matrix generated = argument(L, 4, "generated");
    Memorization result;
    Error error;
    check(L, matrix_check_pair(training, "training", held_out, "held_out", &error), &error);
    check(L, matrix_check_pair(training, "training", generated, "generated", &error), &error);
    check(L, memorization(training, held_out, generated, &result, &error), &error);
    lua_newtable(L);
    set_number(L, "generated_median", result.generated_median);
    set_number(L, "generated_mean", result.generated_mean);
    set_number(L, "held_out_median", result.held_out_median);
    set_number(L, "held_out_mean", result.held_out_mean);
    set_number(L, "ratio", result.ratio);
    set_number(L, "near_distance", result.near_distance);
    set_number(L, "near_share", result.near_share);
    set_number(L, "exact_share", result.exact_share);
    set_flag(L, "few_rows", result.few_rows);
    return 1;
}

/* nearest(what, queries, training): of each query the distance from the nearest training row */
static int nearest(lua_State *L) {
    Matrix queries = argument(L, 2, "queries"), training = argument(L, 3, "training");
    double *out = rows_push(L, queries.rows, 1);
    Error error;
    check(L, memorization_nearest(queries, training, out, NULL, &error), &error);
    return 1;
}

/* ---- modes --------------------------------------------------------------------------------------------- */

static int push_modes(lua_State *L, const uint32_t *mode, const bool *quality, size_t samples, size_t modes) {
    ModeCoverage coverage;
    Error error;
    check(L, modes_coverage(mode, quality, samples, modes, &coverage, &error), &error);
    lua_newtable(L);
    set_number(L, "hit", (double)coverage.hit);
    set_number(L, "modes", (double)modes);
    set_number(L, "reverse_kl", coverage.reverse_kl);
    set_number(L, "high_quality", coverage.high_quality);
    return 1;
}

/* modes(what, modes of samples, count) */
static int modes(lua_State *L) {
    size_t samples, count = size_argument(L, 3);
    uint32_t *mode = labels_argument(L, 2, "samples", count, &samples);
    return push_modes(L, mode, NULL, samples, count);
}

/* modes_near(what, points, centers, deviation, within) */
static int modes_near(lua_State *L) {
    Matrix points = argument(L, 2, "points"), centers = argument(L, 3, "centers");
    uint32_t *mode = binding_scratch(L, points.rows, sizeof *mode);
    bool *quality = binding_scratch(L, points.rows, sizeof *quality);
    Error error;
    check(L,
          modes_nearest_center(points, centers, luaL_checknumber(L, 4), luaL_checknumber(L, 5), mode, quality,
                               &error),
          &error);
    return push_modes(L, mode, quality, points.rows, centers.rows);
}

/* modes_stacked(what, first, second, third): digits as classes 1 to 10 */
static int modes_stacked(lua_State *L) {
    static const char *const NAMES[] = {"first", "second", "third"};
    enum { DIGITS = 10 };
    size_t samples[3];
    uint32_t *digits[3];
    for (int i = 0; i < 3; i++) digits[i] = labels_argument(L, 2 + i, NAMES[i], DIGITS, &samples[i]);
    if (samples[1] != samples[0] || samples[2] != samples[0])
        script_error(L, "%s: lists of different lengths: %zu, %zu and %zu", what_of(L), samples[0],
                     samples[1], samples[2]);
    uint32_t *mode = binding_scratch(L, samples[0], sizeof *mode);
    Error error;
    check(L, modes_stack(digits[0], digits[1], digits[2], samples[0], mode, &error), &error);
    return push_modes(L, mode, NULL, samples[0], MODES_STACKED);
}

/* ---- histogram ----------------------------------------------------------------------------------------- */

/* histogram(what, labels, classes) → counts */
static int histogram(lua_State *L) {
    size_t samples, classes = size_argument(L, 3);
    uint32_t *labels = labels_argument(L, 2, "labels", classes, &samples);
    size_t *counts = binding_scratch(L, classes, sizeof *counts);
    Error error;
    check(L, histogram_count(labels, samples, classes, counts, &error), &error);
    lua_createtable(L, (int)classes, 0);
    for (size_t i = 0; i < classes; i++) {
        lua_pushinteger(L, (lua_Integer)counts[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static size_t *counts_argument(lua_State *L, int index, const char *name, size_t *classes) {
    Matrix given = argument(L, index, name);
    if (given.columns != 1)
        script_error(L, "%s: %s: a list of counts expected, got rows of %zu numbers", what_of(L), name,
                     given.columns);
    size_t *counts = binding_scratch(L, given.rows, sizeof *counts);
    for (size_t i = 0; i < given.rows; i++) {
        if (!(given.data[i] >= 0 && given.data[i] < 0x1p53) || given.data[i] != floor(given.data[i]))
            script_error(L, "%s: %s: element %zu: a count expected, got %g", what_of(L), name, i + 1,
                         given.data[i]);
        counts[i] = (size_t)given.data[i];
    }
    *classes = given.rows;
    return counts;
}

/* summary(what, counts, reference or nil) */
static int summary(lua_State *L) {
    lua_settop(L, 3);
    size_t classes, others = 0;
    size_t *counts = counts_argument(L, 2, "counts", &classes);
    size_t *reference = lua_isnil(L, 3) ? NULL : counts_argument(L, 3, "reference", &others);
    if (reference && others != classes)
        script_error(L, "%s: %zu classes, but the reference has %zu", what_of(L), classes, others);
    HistogramSummary result;
    Error error;
    check(L, histogram_summary(counts, reference, classes, &result, &error), &error);
    lua_newtable(L);
    set_number(L, "entropy", result.entropy);
    set_number(L, "effective", result.effective);
    set_number(L, "total_variation", result.total_variation);
    return 1;
}

/* ---- the module ---------------------------------------------------------------------------------------- */

/* rows(what, x) → brood.Rows, read once to be used often */
static int rows_of(lua_State *L) {
    lua_settop(L, 2);
    argument(L, 2, "x");
    return 1;
}

static const BindingFunction STATISTICS_METHODS[] = {
    {"rows", "(): integer", "How many rows were taken in.", statistics_rows}, {NULL, NULL, NULL, NULL}};
static const luaL_Reg STATISTICS_META[] = {
    {"__gc", statistics_close}, {"__close", statistics_close}, {NULL, NULL}};
static const BindingClass statistics_class = {STATISTICS_CLASS,
                                              "Mean and covariance of features, for Fréchet distances.", NULL,
                                              STATISTICS_METHODS, STATISTICS_META};

static const BindingFunction FUNCTIONS[] = {
    {"rows", "(what: string, x: any): brood.Rows", "Rows, read once to be used often.", rows_of},
    {"inception_score", "(what: string, logits: any, splits: integer, shuffle: boolean): table",
     "mean, deviation, whole, bootstrap_deviation, low, high.", inception_score},
    {"labels", "(what: string, logits: any): brood.Rows", "The class with the greatest logit, from 1.",
     labels_of},
    {"statistics", "(what: string, x: any): brood.FrechetStatistics",
     "Statistics, computed once to be used often.", frechet_statistics_of},
    {"frechet", "(what: string, x: any, y: any): table", "distance, mean_part, covariance_part, few_rows.",
     frechet},
    {"kernel", "(what: string, x: any, y: any, biased: boolean): table", "distance, few_rows.", kernel},
    {"kernel_subsets", "(what: string, x: any, y: any, subsets: integer, size: integer): table",
     "distance, deviation, few_rows.", kernel_subsets},
    {"radii", "(what: string, real: any, k: integer): brood.Rows",
     "The squared distance of each row from its k-th neighbor.", radii},
    {"prdc", "(what: string, real: any, fake: any, k: integer, strict?: boolean, radii?: brood.Rows): table",
     "precision, recall, density, coverage, few_rows.", prdc_of},
    {"memorization", "(what: string, training: any, held_out: any, generated: any): table",
     "ratio, near_share, exact_share and more.", memorization_of},
    {"nearest", "(what: string, queries: any, training: any): brood.Rows",
     "The distance of each row from the nearest training row.", nearest},
    {"modes", "(what: string, modes: any, count: integer): table", "hit, modes, reverse_kl, high_quality.",
     modes},
    {"modes_near", "(what: string, points: any, centers: any, deviation: number, within: number): table",
     "The same for points near centers.", modes_near},
    {"modes_stacked", "(what: string, first: any, second: any, third: any): table",
     "The same for three digits each, classes 1 to 10.", modes_stacked},
    {"histogram", "(what: string, labels: any, classes: integer): integer[]", "Labels of each class.",
     histogram},
    {"summary", "(what: string, counts: any, reference?: any): table", "entropy, effective, total_variation.",
     summary},
    {"scorer", "(spec: table): brood.Scorer", "A scorer, of what metric.scorer has put together.",
     scorer_make},
    {"look", "(program: brood.Program, planes: integer, images: brood.Value): brood.Rows, brood.Rows",
     "Logits and features that a classifier's program gives images, rounded as 8-bit pixels are.",
     scorer_look},
    {"hash", "(...: string|brood.Value): string", "The hash of all of it, one after the other.", kept_hash},
    {"save", "(state: brood.State, path: string, facts: string): boolean, string?",
     "Saves a state and a text; false and the reason when it cannot be written.", kept_save},
    {"load", "(state: brood.State, path: string): string?, string?",
     "Reads a state, and gives the text; nil and the reason when it cannot be read.", kept_load},
    {NULL, NULL, NULL, NULL}};

static const BindingClass *const CLASSES[] = {&rows_class, &statistics_class, &scorer_class, NULL};
const BindingModule binding_metric = {"brood.metric.core", "Metrics, as brood.metric is built on.", FUNCTIONS,
                                      CLASSES};
