/* The three faces of convolution against seven plain loops in double, at every instruction set level. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "gan/kernels/conv.h"

#ifdef BROOD_DOUBLE
static const double TOLERANCE = 1e-12;
#else
static const double TOLERANCE = 1e-5;
#endif

/* ---- tensors ------------------------------------------------------------------------------------------- */

typedef struct {
    size_t count;
    real *data; /* aligned, with nothing readable behind it, so that a sanitizer sees a step too far */
} Tensor;

static Tensor tensor_new(size_t count) {
    Tensor t = {count, NULL};
    assert_int_equal(posix_memalign((void **)&t.data, REAL_ALIGNMENT, (count ? count : 1) * sizeof(real)), 0);
    return t;
}

static uint64_t random_word(uint64_t *seed) { /* xorshift64* */
    *seed ^= *seed >> 12, *seed ^= *seed << 25, *seed ^= *seed >> 27;
    return *seed * UINT64_C(0x2545F4914F6CDD1D);
}

static int64_t random_between(uint64_t *seed, int64_t low, int64_t high) {
    return low + (int64_t)((random_word(seed) >> 33) % (uint64_t)(high - low + 1));
}

static Tensor tensor_random(size_t count, uint64_t *seed) {
    Tensor t = tensor_new(count);
    for (size_t i = 0; i < count; i++) t.data[i] = (real)((double)(random_word(seed) >> 40) / (1 << 23) - 1);
    return t;
}

static double dot(const real *a, const real *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* ---- the reference ------------------------------------------------------------------------------------- */

static size_t x_count(const ConvShape *s) {
    return (size_t)(s->batch * s->x_height * s->x_width * s->x_channels);
}

static size_t y_count(const ConvShape *s) {
    return (size_t)(s->batch * s->y_height * s->y_width * s->y_channels);
}

static size_t w_count(const ConvShape *s) {
    return (size_t)(s->kernel_height * s->kernel_width * s->x_channels * s->y_channels);
}

static size_t face_count(const ConvShape *s, ConvFace face) {
    return face == CONV_FACE_Y ? y_count(s) : face == CONV_FACE_X ? x_count(s) : w_count(s);
}

/* Each term of the trilinear form once, in double. */
static double *reference(const ConvShape *s, ConvFace face, const real *x, const real *w, const real *y) {
    double *result = calloc(face_count(s, face), sizeof(double));
    assert_non_null(result);
    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t i = 0; i < s->y_height; i++)
            for (int64_t j = 0; j < s->y_width; j++)
                for (int64_t di = 0; di < s->kernel_height; di++)
                    for (int64_t dj = 0; dj < s->kernel_width; dj++) {
                        const int64_t r = i * s->stride + di - s->pad, c = j * s->stride + dj - s->pad;
                        if (r < 0 || r >= s->x_height || c < 0 || c >= s->x_width) continue;
                        for (int64_t cx = 0; cx < s->x_channels; cx++)
                            for (int64_t cy = 0; cy < s->y_channels; cy++) {
                                const int64_t at_x =
                                    ((b * s->x_height + r) * s->x_width + c) * s->x_channels + cx;
                                const int64_t at_y =
                                    ((b * s->y_height + i) * s->y_width + j) * s->y_channels + cy;
                                const int64_t at_w =
                                    ((di * s->kernel_width + dj) * s->x_channels + cx) * s->y_channels + cy;
                                if (face == CONV_FACE_Y) result[at_y] += (double)x[at_x] * (double)w[at_w];
                                if (face == CONV_FACE_X) result[at_x] += (double)y[at_y] * (double)w[at_w];
                                if (face == CONV_FACE_W) result[at_w] += (double)x[at_x] * (double)y[at_y];
                            }
                    }
    return result;
}

/* ---- running a face ------------------------------------------------------------------------------------ */

enum { GUARD = 64 };
static const real GUARD_VALUE = (real)12345.75;

/* Runs in scratch that holds NaN at first, between guards that must stay as they are. */
static Tensor run(const ConvShape *s, ConvFace face, const real *x, const real *w, const real *y) {
    const size_t needed = conv_scratch(s, face);
    Tensor result = tensor_new(face_count(s, face)), scratch = tensor_new(needed + 2 * GUARD);
    for (size_t i = 0; i < result.count; i++) result.data[i] = (real)NAN;
    for (size_t i = 0; i < scratch.count; i++)
        scratch.data[i] = i >= GUARD && i < GUARD + needed ? (real)NAN : GUARD_VALUE;
    real *middle = scratch.data + GUARD;
    switch (face) {
    case CONV_FACE_Y: conv_y(s, x, w, result.data, middle); break;
    case CONV_FACE_X: conv_x(s, y, w, result.data, middle); break;
    case CONV_FACE_W: conv_w(s, x, y, result.data, middle); break;
    }
    for (size_t i = 0; i < GUARD; i++) {
        assert_true(scratch.data[i] == GUARD_VALUE);
        assert_true(scratch.data[GUARD + needed + i] == GUARD_VALUE);
    }
    free(scratch.data);
    return result;
}

static const char *const FACE_TEXT[] = {"conv_y", "conv_x", "conv_w"};

static void describe(const ConvShape *s, ConvFace face) {
    print_message("%s, %s: batch %d, x %dx%dx%d, y %dx%dx%d, kernel %dx%d, stride %d, pad %d\n",
                  FACE_TEXT[face], isa_text(isa_level()), (int)s->batch, (int)s->x_height, (int)s->x_width,
                  (int)s->x_channels, (int)s->y_height, (int)s->y_width, (int)s->y_channels,
                  (int)s->kernel_height, (int)s->kernel_width, (int)s->stride, (int)s->pad);
}

static void assert_close(const ConvShape *s, ConvFace face, const real *got, const double *expected) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < face_count(s, face); i++) {
        difference += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    const bool close = norm > 0 ? sqrt(difference / norm) < TOLERANCE : difference == 0; /* false for NaN */
    if (!close) describe(s, face);
    assert_true(close);
}

/* The levels of this machine, each in turn the one that is used. */
static int levels(void) {
    unsetenv("BROOD_ISA");
    return (int)isa_level() + 1;
}

static void use_level(int level) {
    setenv("BROOD_ISA", isa_text((IsaLevel)level), 1);
    assert_int_equal(isa_level(), level);
}

typedef struct {
    Tensor x, w, y;
    double *expected[3]; /* by face */
} Case;

static void case_expect(Case *c, const ConvShape *s) {
    for (int face = CONV_FACE_Y; face <= CONV_FACE_W; face++)
        c->expected[face] = reference(s, (ConvFace)face, c->x.data, c->w.data, c->y.data);
}

static Case case_new(const ConvShape *s, uint64_t *seed) {
    return (Case){.x = tensor_random(x_count(s), seed),
                  .w = tensor_random(w_count(s), seed),
                  .y = tensor_random(y_count(s), seed)};
}

static void case_free(Case *c) {
    for (int face = CONV_FACE_Y; face <= CONV_FACE_W; face++) free(c->expected[face]);
    free(c->x.data), free(c->w.data), free(c->y.data);
}

/* One geometry: all faces right at all levels, the same bits twice, and adjoint to one another. */
static void check(const ConvShape *s, uint64_t *seed) {
    Case c = case_new(s, seed);
    case_expect(&c, s);
    for (int count = levels(), level = 0; level < count; level++) {
        use_level(level);
        double form[3], size = 0;
        for (int f = CONV_FACE_Y; f <= CONV_FACE_W; f++) {
            const ConvFace face = (ConvFace)f;
            Tensor first = run(s, face, c.x.data, c.w.data, c.y.data);
            Tensor second = run(s, face, c.x.data, c.w.data, c.y.data);
            assert_close(s, face, first.data, c.expected[face]);
            assert_memory_equal(first.data, second.data, first.count * sizeof(real));
            const Tensor *other = face == CONV_FACE_Y ? &c.y : face == CONV_FACE_X ? &c.x : &c.w;
            form[face] = dot(first.data, other->data, first.count);
            const double norms =
                dot(first.data, first.data, first.count) * dot(other->data, other->data, first.count);
            size = fmax(size, sqrt(norms));
            free(first.data), free(second.data);
        }
        assert_true(fabs(form[CONV_FACE_Y] - form[CONV_FACE_X]) <= TOLERANCE * size);
        assert_true(fabs(form[CONV_FACE_Y] - form[CONV_FACE_W]) <= TOLERANCE * size);
    }
    case_free(&c);
}

/* ---- geometries ---------------------------------------------------------------------------------------- */

static ConvShape shape_of(int64_t batch, int64_t x_height, int64_t x_width, int64_t x_channels,
                          int64_t y_channels, int64_t kernel_height, int64_t kernel_width, int64_t stride,
                          int64_t pad) {
    return (ConvShape){.batch = batch,
                       .x_height = x_height,
                       .x_width = x_width,
                       .x_channels = x_channels,
                       .y_height = (x_height + 2 * pad - kernel_height) / stride + 1,
                       .y_width = (x_width + 2 * pad - kernel_width) / stride + 1,
                       .y_channels = y_channels,
                       .kernel_height = kernel_height,
                       .kernel_width = kernel_width,
                       .stride = stride,
                       .pad = pad};
}

static ConvShape square(int64_t batch, int64_t size, int64_t x_channels, int64_t y_channels, int64_t kernel,
                        int64_t stride, int64_t pad) {
    return shape_of(batch, size, size, x_channels, y_channels, kernel, kernel, stride, pad);
}

static ConvShape random_shape(uint64_t *seed) {
    static const int64_t CHANNELS[] = {1, 2, 3, 5, 7, 8, 9, 16, 17, 31, 32, 33, 48, 65};
    const int64_t last = (int64_t)(sizeof CHANNELS / sizeof *CHANNELS) - 1;
    const int64_t kernel_height = random_between(seed, 1, 7);
    const int64_t kernel_width = random_between(seed, 0, 1) ? kernel_height : random_between(seed, 1, 7);
    const int64_t stride = random_between(seed, 1, 3), pad = random_between(seed, 0, 3);
    const int64_t least_height = kernel_height > 2 * pad ? kernel_height - 2 * pad : 1;
    const int64_t least_width = kernel_width > 2 * pad ? kernel_width - 2 * pad : 1;
    return shape_of(random_between(seed, 1, 3), least_height + random_between(seed, 0, 8),
                    least_width + random_between(seed, 0, 8), CHANNELS[random_between(seed, 0, last)],
                    CHANNELS[random_between(seed, 0, last)], kernel_height, kernel_width, stride, pad);
}

/* ---- tests --------------------------------------------------------------------------------------------- */

static void test_random_geometries(void **state) {
    (void)state;
    uint64_t seed = 20240607;
    for (int i = 0; i < 250; i++) {
        const ConvShape shape = random_shape(&seed);
        check(&shape, &seed);
    }
}

static void test_edge_geometries(void **state) {
    (void)state;
    const ConvShape shapes[] = {
        square(1, 1, 1, 1, 1, 1, 0),  /* a single number */
        square(3, 5, 4, 6, 1, 1, 0),  /* windows of one pixel: a dense product */
        square(2, 5, 4, 6, 1, 2, 0),  /* stride above the kernel: pixels that no window covers */
        square(2, 9, 3, 17, 2, 3, 0), /* the same with few channels */
        square(2, 9, 20, 17, 2, 5, 1),
        square(5, 4, 19, 1, 4, 1, 0),        /* the kernel is the whole image: dense */
        shape_of(4, 3, 5, 7, 9, 3, 5, 2, 0), /* the same, not square, with a stride that does nothing */
        square(2, 4, 3, 5, 4, 1, 1),         /* nearly */
        square(2, 4, 16, 8, 6, 1, 1),        /* the kernel is the padded image */
        square(1, 8, 3, 16, 3, 2, 0),        /* last row and column uncovered */
        square(1, 8, 16, 3, 3, 2, 0),
        square(2, 2, 9, 9, 1, 1, 3), /* windows that see nothing but zeros */
        square(2, 2, 3, 9, 1, 1, 3),
        square(2, 3, 9, 9, 2, 3, 3),
        shape_of(2, 1, 12, 3, 4, 1, 5, 1, 0), /* one row */
        shape_of(2, 12, 1, 9, 4, 5, 1, 2, 2), /* one column */
        square(1, 7, 1, 1, 7, 1, 3),
        square(2, 9, 16, 3, 3, 1, 1), /* few channels of y */
        square(2, 8, 33, 1, 5, 1, 2),
        square(30, 7, 9, 2, 4, 1, 3),
        square(2, 6, 9, 2, 3, 1, 3),         /* the same, with padding wider than the kernel */
        shape_of(2, 6, 7, 9, 2, 2, 3, 1, 0), /* and with a kernel that is not square */
        square(1, 6, 5, 130, 3, 1, 1),       /* several panels, the last one narrow */
        square(1, 5, 130, 5, 3, 1, 1),       /* a depth of several blocks */
        square(3, 4, 1200, 3, 2, 2, 0),
        square(40, 16, 33, 2, 3, 2, 1), /* several chunks of images */
        square(90, 16, 3, 33, 3, 2, 1),
    };
    uint64_t seed = 7;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check(&shapes[i], &seed);
}

static void test_real_geometries(void **state) {
    (void)state;
    const ConvShape shapes[] = {
        square(3, 32, 3, 64, 4, 2, 1),  square(2, 16, 64, 128, 4, 2, 1),  square(3, 8, 128, 256, 4, 2, 1),
        square(1, 32, 64, 64, 3, 1, 1), square(2, 16, 128, 128, 3, 1, 1), square(3, 16, 16, 32, 4, 2, 1),
        square(2, 32, 1, 16, 4, 2, 1),  square(3, 8, 32, 64, 4, 2, 1),    square(4, 4, 64, 1, 4, 1, 0),
    };
    uint64_t seed = 11;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check(&shapes[i], &seed);
}

/* Numbers that are not finite must reach what they touch and, but for zeros in the padding that an infinity
 * in the other factor meets, nothing else. */
static bool agrees(ConvFace face, real got, double expected) {
    if (face == CONV_FACE_W && !isfinite(expected)) return !isfinite(got);
    if (face == CONV_FACE_W) return true;
    if (isnan(expected)) return isnan(got);
    return isinf(expected) ? (double)got == expected : (bool)isfinite(got);
}

static void test_not_finite(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int i = 0; i < 150; i++) {
        const ConvShape s = random_shape(&seed);
        const real bad = i % 2 ? (real)NAN : (real)INFINITY;
        Case c = case_new(&s, &seed);
        c.x.data[random_word(&seed) % c.x.count] = bad;
        c.y.data[random_word(&seed) % c.y.count] = bad;
        case_expect(&c, &s);
        for (int count = levels(), level = 0; level < count; level++) {
            use_level(level);
            for (int f = CONV_FACE_Y; f <= CONV_FACE_W; f++) {
                const ConvFace face = (ConvFace)f;
                Tensor got = run(&s, face, c.x.data, c.w.data, c.y.data);
                for (size_t n = 0; n < got.count; n++) {
                    const bool good = agrees(face, got.data[n], c.expected[face][n]);
                    if (!good) describe(&s, face);
                    assert_true(good);
                }
                free(got.data);
            }
        }
        case_free(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_geometries),
        cmocka_unit_test(test_edge_geometries),
        cmocka_unit_test(test_real_geometries),
        cmocka_unit_test(test_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
