/* How fast convolution is, as a share of what a large sgemm reaches on the same core in the same run. All
 * times are this thread's CPU time: what else the machine does shall not count. The best of many runs is
 * shown. */
#include <cblas.h>
#include <stdio.h>
#include <time.h>

#include "base/isa.h"
#include "base/memory.h"
#include "gan/kernels/conv.h"

#ifdef BROOD_DOUBLE
#define gemm cblas_dgemm
#else
#define gemm cblas_sgemm
#endif

enum { BATCH = 64, PAD = 1, FACES = 3, SECONDS = 15 };

/* Channels of x and y, side of x, kernel, stride; and the share of sgemm that is asked for, in percent. */
static const struct {
    int x_channels, y_channels, side, kernel, stride, target;
} SHAPES[] = {
    {3, 64, 32, 4, 2, 85}, {64, 128, 16, 4, 2, 85}, {128, 256, 8, 4, 2, 85},  {16, 32, 16, 4, 2, 78},
    {1, 16, 32, 4, 2, 0},  {64, 64, 32, 3, 1, 85},  {128, 128, 16, 3, 1, 85}, {3, 32, 32, 4, 2, 0},
    {32, 64, 16, 4, 2, 0}, {64, 128, 8, 4, 2, 0},   {32, 64, 8, 4, 2, 0},
};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static real *numbers_new(size_t count) {
    real *numbers = memory_new(count, sizeof(real));
    for (size_t i = 0; numbers && i < count; i++) numbers[i] = (real)(i % 17) / 16 - (real)0.5;
    return numbers;
}

/* ---- sgemm --------------------------------------------------------------------------------------------- */

enum { GEMM_SIDE = 2048 };
typedef struct {
    real *a, *b, *c;
    double best; /* GFLOP/s */
} Gemm;

static void gemm_measure(Gemm *g, int side) {
    const double start = cpu_seconds();
    gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, side, side, side, 1, g->a, side, g->b, side, 0, g->c,
         side);
    const double rate = 2e-9 * side * side * side / (cpu_seconds() - start);
    if (rate > g->best) g->best = rate;
}

/* ---- a convolution ------------------------------------------------------------------------------------- */

typedef struct {
    ConvShape shape;
    real *x, *w, *y, *scratch;
    double best[FACES]; /* GFLOP/s */
} Case;

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

static int case_new(Case *c, int index) {
    const int64_t side = SHAPES[index].side, kernel = SHAPES[index].kernel, stride = SHAPES[index].stride;
    const int64_t y_side = (side + 2 * PAD - kernel) / stride + 1;
    ConvShape *s = &c->shape;
    *c = (Case){.shape = {BATCH, side, side, SHAPES[index].x_channels, y_side, y_side,
                          SHAPES[index].y_channels, kernel, kernel, stride, PAD}};
    c->x = numbers_new((size_t)(BATCH * side * side * s->x_channels));
    c->w = numbers_new((size_t)(kernel * kernel * s->x_channels * s->y_channels));
    c->y = numbers_new((size_t)(BATCH * y_side * y_side * s->y_channels));
    c->scratch = memory_new(
        most(most(conv_scratch(s, CONV_FACE_Y), conv_scratch(s, CONV_FACE_X)), conv_scratch(s, CONV_FACE_W)),
        sizeof(real));
    return c->x && c->w && c->y && c->scratch;
}

static void case_free(Case *c) {
    memory_free(c->x);
    memory_free(c->w);
    memory_free(c->y);
    memory_free(c->scratch);
}

static double useful_flops(const ConvShape *s) {
    return 2. * (double)(s->batch * s->y_height * s->y_width * s->y_channels) *
           (double)(s->kernel_height * s->kernel_width * s->x_channels);
}

static void case_measure(Case *c, int face) {
    const double start = cpu_seconds();
    if (face == CONV_FACE_Y) conv_y(&c->shape, c->x, c->w, c->y, c->scratch);
    if (face == CONV_FACE_X) conv_x(&c->shape, c->y, c->w, c->x, c->scratch);
    if (face == CONV_FACE_W) conv_w(&c->shape, c->x, c->y, c->w, c->scratch);
    const double rate = 1e-9 * useful_flops(&c->shape) / (cpu_seconds() - start);
    if (rate > c->best[face]) c->best[face] = rate;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static void print_case(const Case *c, int target, double gemm_rate) {
    const ConvShape *s = &c->shape;
    char text[64];
    snprintf(text, sizeof text, "%d -> %d, side %d, kernel %d, stride %d", (int)s->x_channels,
             (int)s->y_channels, (int)s->x_height, (int)s->kernel_height, (int)s->stride);
    printf("%-44s", text);
    for (int face = 0; face < FACES; face++)
        printf("  %6.1f %4.0f %%", c->best[face], 100 * c->best[face] / gemm_rate);
    if (target) printf("  (asked for: %d %%)", target);
    printf("\n");
}

/* Rounds over all shapes, so that a spell of noise does not hit one of them alone; the best counts. */
static int bench_conv(void) {
    const double start = cpu_seconds();
    openblas_set_num_threads(1);
    Gemm g = {numbers_new(GEMM_SIDE * GEMM_SIDE), numbers_new(GEMM_SIDE * GEMM_SIDE),
              numbers_new(GEMM_SIDE * GEMM_SIDE), 0};
    Case cases[SHAPE_COUNT] = {0};
    int ready = g.a && g.b && g.c;
    for (int i = 0; i < SHAPE_COUNT; i++) ready = case_new(&cases[i], i) && ready;
    for (int round = 0; ready && (round < 2 || cpu_seconds() - start < SECONDS); round++) {
        gemm_measure(&g, GEMM_SIDE);
        for (int i = 0; i < SHAPE_COUNT; i++) {
            gemm_measure(&g, GEMM_SIDE / 2);
            for (int face = 0; face < FACES; face++)
                for (int repeat = 0; repeat < 3; repeat++) case_measure(&cases[i], face);
        }
    }
    if (ready) {
        printf("level %s, " REAL_NAME ", batch %d; sgemm of a large product (OpenBLAS %s): %.1f GFLOP/s\n",
               isa_text(isa_level()), BATCH, openblas_get_corename(), g.best);
        printf("%-44s  %13s  %13s  %13s\n", "GFLOP/s and share of sgemm", "conv_y", "conv_x", "conv_w");
        for (int i = 0; i < SHAPE_COUNT; i++) print_case(&cases[i], SHAPES[i].target, g.best);
    } else {
        fprintf(stderr, "bench_conv: out of memory\n");
    }
    for (int i = 0; i < SHAPE_COUNT; i++) case_free(&cases[i]);
    memory_free(g.a);
    memory_free(g.b);
    memory_free(g.c);
    return ready ? 0 : 1;
}

int main(void) {
    return bench_conv();
}
