/* How much processor time each metric takes, at the sizes that a run uses: the best of some repetitions. Run
 * it with OPENBLAS_NUM_THREADS=1 for one core. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "metrics/metrics.h"
#include "tests/metrics/rows.h"

enum { CLASSES = 10, REPETITIONS = 5, TRAINING = 20000 };

typedef struct {
    Matrix x, y, training, logits;
    Predictions predictions;
} Input;

static Status time_predictions(Input *input, Error *error) {
    Predictions predictions = {0};
    Status status = predictions_add(&predictions, input->logits, error);
    predictions_free(&predictions);
    return status;
}

static Status time_classifier_score(Input *input, Error *error) {
    ClassifierScore score;
    return classifier_score(&input->predictions, NULL, &score, error);
}

static Status time_frechet_statistics(Input *input, Error *error) {
    FrechetStatistics statistics;
    Status status = frechet_statistics_new(&statistics, input->x.columns, error);
    if (!status) status = frechet_statistics_add(&statistics, input->x, error);
    frechet_statistics_free(&statistics);
    return status;
}

static Status time_frechet(Input *input, Error *error) {
    FrechetDistance distance;
    return frechet_distance_rows(input->x, input->y, &distance, error);
}

static Status time_kernel(Input *input, Error *error) {
    KernelDistance distance;
    return kernel_distance(input->x, input->y, false, &distance, error);
}

static Status time_kernel_subsets(Input *input, Error *error) {
    KernelSubsets distance;
    return kernel_distance_subsets(input->x, input->y, 50, 500, &distance, error);
}

static Status time_prdc(Input *input, Error *error) {
    Prdc result;
    return prdc(input->x, NULL, input->y, PRDC_DEFAULT_K, PRDC_TIES_ORIGINAL, &result, error);
}

static Status time_memorization(Input *input, Error *error) {
    Memorization result;
    return memorization(input->training, input->x, input->y, &result, error);
}

static const struct {
    const char *name;
    Status (*run)(Input *input, Error *error);
} TIMED[] = {
    {"predictions (softmax of 10)", time_predictions},
    {"classifier score, 200 resamples", time_classifier_score},
    {"Frechet statistics of one set", time_frechet_statistics},
    {"Frechet distance of rows", time_frechet},
    {"kernel distance", time_kernel},
    {"kernel distance, 50 x 500", time_kernel_subsets},
    {"prdc", time_prdc},
    {"memorization, 20000 training", time_memorization},
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double best_time(Status (*run)(Input *, Error *), Input *input) {
    double best = 1e9;
    Error error;
    for (int i = 0; i < REPETITIONS; i++) {
        double start = now();
        if (run(input, &error)) {
            fprintf(stderr, "%s\n", error.message);
            exit(1);
        }
        double taken = now() - start;
        if (taken < best) best = taken;
    }
    return best;
}

static Matrix made(size_t rows, size_t columns, uint64_t seed, double scale) {
    double *data = memory_new(rows * columns, sizeof *data);
    if (!data) exit(1);
    rows_fill(data, rows, columns, seed, scale, 0.5);
    return (Matrix){data, rows, columns};
}

static void bench(size_t rows, size_t columns) {
    Input input = {.x = made(rows, columns, 1, 1),
                   .y = made(rows, columns, 2, 1.1),
                   .training = made(TRAINING, columns, 3, 1),
                   .logits = made(rows, CLASSES, 4, 5)};
    Error error;
    if (predictions_add(&input.predictions, input.logits, &error)) exit(1);
    for (size_t i = 0; i < sizeof TIMED / sizeof *TIMED; i++)
        printf("%5zu x %3zu  %-34s %9.2f ms\n", rows, columns, TIMED[i].name,
               1e3 * best_time(TIMED[i].run, &input));
    predictions_free(&input.predictions);
    memory_free((void *)input.x.data);
    memory_free((void *)input.y.data);
    memory_free((void *)input.training.data);
    memory_free((void *)input.logits.data);
}

int main(void) {
    for (size_t rows = 2500; rows <= 5000; rows *= 2)
        for (size_t columns = 64; columns <= 128; columns *= 2) bench(rows, columns);
    return 0;
}
