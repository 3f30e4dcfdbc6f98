/* Optimizers: against PyTorch's numbers, against formulas written out here, and what PBT relies on. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/isa.h"
#include "base/memory.h"
#include "gan/optimizer.h"
#include "optimizer_golden.h"

enum { COUNT = 37, STEPS = 10 };

static const double TOLERANCE = sizeof(real) == 4 ? 3e-6 : 1e-13;

static void assert_near(const char *what, size_t index, double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%s: number %zu is %.17g, expected %.17g", what, index, value, expected);
}

static void use_level(IsaLevel level) {
    unsetenv("BROOD_ISA");
    if (level < isa_level()) setenv("BROOD_ISA", isa_text(level), 1);
}

static int restore_level(void **state) {
    (void)state;
    unsetenv("BROOD_ISA");
    return 0;
}

/* ---- the problem: also in optimizer_golden.py ---------------------------------------------------------- */
static double problem_start(size_t i) {
    return (double)((i * 37 + 11) % 101) / 50 - 1;
}

static double problem_gradient(double p, size_t i, int64_t step) {
    double target = (double)((i * 53 + 29) % 97) / 48 - 1, curvature = 0.1 + (double)(i % 7) * 0.4;
    return curvature * (p - target) + 0.05 * (double)((int64_t)(i + 3 * (size_t)step) % 5 - 2);
}

/* A player: what a member owns of it, and its gradient. */
typedef struct {
    size_t count;
    real *p, *g, *m, *v;
} Player;

static Player player_new(size_t count) {
    Player player = {count, memory_new(count, sizeof(real)), memory_new(count, sizeof(real)),
                     memory_new(count, sizeof(real)), memory_new(count, sizeof(real))};
    assert_true(player.p && player.g && player.m && player.v);
    for (size_t i = 0; i < count; i++) player.p[i] = (real)problem_start(i);
    return player;
}

static void player_free(Player *player) {
    memory_free(player->p);
    memory_free(player->g);
    memory_free(player->m);
    memory_free(player->v);
}

static void player_gradient(Player *player, int64_t step) {
    for (size_t i = 0; i < player->count; i++)
        player->g[i] = (real)problem_gradient((double)player->p[i], i, step);
}

static double player_step(Player *player, const OptimizerSettings *settings, int64_t step) {
    return optimizer_step(settings, step, player->count, player->p, player->g, player->m,
                          optimizer_moments(settings->kind) == 2 ? player->v : NULL);
}

static void assert_players_equal(const Player *a, const Player *b) {
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->p, b->p, a->count * sizeof(real));
    assert_memory_equal(a->m, b->m, a->count * sizeof(real));
    assert_memory_equal(a->v, b->v, a->count * sizeof(real));
}

/* Settings in which every term of every kind counts. */
static OptimizerSettings rich_settings(OptimizerKind kind) {
    return (OptimizerSettings){.kind = kind,
                               .lr = 0.03,
                               .beta1 = 0.7,
                               .beta2 = 0.95,
                               .epsilon = 1e-3,
                               .momentum = 0.6,
                               .decay = 0.9,
                               .weight_decay = 0.2,
                               .nesterov = kind == OPTIMIZER_SGD};
}

/* ---- PyTorch ------------------------------------------------------------------------------------------- */
static void test_ten_steps_as_pytorch(void **state) {
    (void)state;
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        for (size_t c = 0; c < sizeof GOLDEN / sizeof *GOLDEN; c++) {
            Error error;
            assert_int_equal(optimizer_check(&GOLDEN[c].settings, &error), STATUS_OK);
            Player player = player_new(COUNT);
            for (int64_t step = 1; step <= STEPS; step++) {
                player_gradient(&player, step);
                player_step(&player, &GOLDEN[c].settings, step);
            }
            for (size_t i = 0; i < COUNT; i++)
                assert_near(GOLDEN[c].name, i, (double)player.p[i], GOLDEN[c].p[i], TOLERANCE);
            player_free(&player);
        }
    }
}

/* ---- the formulas, one number at a time, in double ----------------------------------------------------- */
typedef struct {
    double p, m, v;
} Reference;

static void reference_step(const OptimizerSettings *s, int64_t step, double g, Reference *r) {
    r->p -= s->lr * s->weight_decay * r->p;
    switch (s->kind) {
    case OPTIMIZER_SGD:
        r->m = s->momentum * r->m + g;
        r->p -= s->lr * (s->nesterov ? g + s->momentum * r->m : r->m);
        break;
    case OPTIMIZER_ADAM: {
        r->m = s->beta1 * r->m + (1 - s->beta1) * g;
        r->v = s->beta2 * r->v + (1 - s->beta2) * g * g;
        double mean = r->m / (1 - pow(s->beta1, (double)step)),
               square = r->v / (1 - pow(s->beta2, (double)step));
        r->p -= s->lr * mean / (sqrt(square) + s->epsilon);
        break;
    }
    case OPTIMIZER_RMSPROP:
        r->v = s->decay * r->v + (1 - s->decay) * g * g;
        r->m = s->momentum * r->m + g / (sqrt(r->v) + s->epsilon);
        r->p -= s->lr * r->m;
        break;
    case OPTIMIZER_KINDS: fail();
    }
}

/* What PBT does between steps. */
static void change_settings(OptimizerSettings *s, int64_t step) {
    if (step == 3) s->lr *= 0.5;
    if (step == 4) s->beta1 = 0.2, s->momentum = 0.85;
    if (step == 5) s->clip_norm = 0.01;
    if (step == 6) s->weight_decay = 0, s->epsilon = 1e-5;
    if (step == 7) s->clip_norm = 1e6, s->nesterov = 0;
    if (step == 8) s->beta2 = 0.5, s->decay = 0.5;
}

static void assert_follows_reference(OptimizerKind kind, size_t count) {
    OptimizerSettings settings = rich_settings(kind);
    Player player = player_new(count);
    Reference *reference = memory_new(count, sizeof *reference);
    assert_non_null(reference);
    for (size_t i = 0; i < count; i++) reference[i].p = (double)player.p[i];
    for (int64_t step = 1; step <= STEPS; step++) {
        change_settings(&settings, step);
        player_gradient(&player, step);
        double squares = 0;
        for (size_t i = 0; i < count; i++) squares += (double)player.g[i] * (double)player.g[i];
        double norm = sqrt(squares), scale = 1;
        if (settings.clip_norm > 0 && norm > settings.clip_norm) scale = settings.clip_norm / norm;
        assert_near("norm", count, player_step(&player, &settings, step), norm, norm * 1e-12);
        for (size_t i = 0; i < count; i++) {
            reference_step(&settings, step, (double)player.g[i] * scale, &reference[i]);
            assert_near("p", i, (double)player.p[i], reference[i].p, TOLERANCE);
            assert_near("m", i, (double)player.m[i], reference[i].m, 10 * TOLERANCE);
            assert_near("v", i, (double)player.v[i], reference[i].v, TOLERANCE);
        }
    }
    memory_free(reference);
    player_free(&player);
}

static void test_every_count_follows_the_formulas(void **state) {
    (void)state;
    static const size_t LONGER[] = {127, 128, 2047, 2048, 2049, 5003};
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
            for (size_t count = 1; count <= 70; count++) assert_follows_reference((OptimizerKind)kind, count);
            for (size_t i = 0; i < sizeof LONGER / sizeof *LONGER; i++)
                assert_follows_reference((OptimizerKind)kind, LONGER[i]);
        }
    }
}

static void test_levels_give_the_same_bits(void **state) {
    (void)state;
    IsaLevel best = isa_level();
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
        Player first = player_new(5003);
        double first_norm[STEPS + 1];
        for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
            use_level(level);
            OptimizerSettings settings = rich_settings((OptimizerKind)kind);
            Player other = player_new(5003), *player = level == ISA_BASELINE ? &first : &other;
            for (int64_t step = 1; step <= STEPS; step++) {
                change_settings(&settings, step);
                player_gradient(player, step);
                double norm = player_step(player, &settings, step);
                if (level == ISA_BASELINE) first_norm[step] = norm;
                assert_true(norm == first_norm[step]);
            }
            if (level != ISA_BASELINE) assert_players_equal(&first, &other);
            player_free(&other);
        }
        player_free(&first);
    }
}

/* ---- clipping ------------------------------------------------------------------------------------------ */
/* The same as a step with a gradient scaled by hand; the norm that is told is the one before. */
static void test_clipping_scales_the_gradient(void **state) {
    (void)state;
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
        OptimizerSettings plain = rich_settings((OptimizerKind)kind), clipped = plain;
        Player a = player_new(COUNT), b = player_new(COUNT);
        for (size_t i = 0; i < COUNT; i++) a.g[i] = b.g[i] = i % 2 ? (real)0.5 : (real)-0.25;
        double norm = player_step(&a, &plain, 1);
        assert_near("norm", 0, norm, sqrt(18 * 0.25 + 19 * 0.0625), 1e-14);
        player_free(&a);

        a = player_new(COUNT);
        for (size_t i = 0; i < COUNT; i++) a.g[i] = b.g[i] / 8;
        clipped.clip_norm = norm / 8;
        player_step(&a, &plain, 1);
        assert_true(player_step(&b, &clipped, 1) == norm);
        assert_players_equal(&a, &b);
        assert_true(b.g[1] == (real)0.5); /* the caller's gradient stays */
        player_free(&a);
        player_free(&b);
    }
}

static void test_gradients_within_the_limit_are_not_scaled(void **state) {
    (void)state;
    OptimizerSettings plain = rich_settings(OPTIMIZER_ADAM), clipped = plain;
    Player a = player_new(COUNT), b = player_new(COUNT);
    player_gradient(&a, 1);
    player_gradient(&b, 1);
    clipped.clip_norm = player_step(&a, &plain, 1); /* at the limit: not beyond it */
    player_step(&b, &clipped, 1);
    assert_players_equal(&a, &b);
    player_free(&a);
    player_free(&b);
}

/* Squares of large floats overflow a float, those of small ones vanish; sums of many lose digits. */
static void test_norm_is_robust(void **state) {
    (void)state;
    enum { MANY = 300000 };
    OptimizerSettings settings = {.kind = OPTIMIZER_SGD};
    static const double SIZES[] = {1e30, 1e-30, 0.1};
    for (size_t s = 0; s < 3; s++) {
        Player player = player_new(MANY);
        for (size_t i = 0; i < MANY; i++) player.g[i] = (real)SIZES[s];
        double expected = (double)(real)SIZES[s] * sqrt(MANY);
        assert_near("norm", s, player_step(&player, &settings, 1), expected, 1e-12 * expected);
        player_free(&player);
    }
}

/* A gradient of 1e30 clipped to 1 is an ordinary step. */
static void test_clipping_tames_large_gradients(void **state) {
    (void)state;
    OptimizerSettings settings = {.kind = OPTIMIZER_SGD, .lr = 1, .clip_norm = 1};
    Player player = player_new(4);
    for (size_t i = 0; i < 4; i++) player.p[i] = 0, player.g[i] = (real)1e30;
    player_step(&player, &settings, 1);
    for (size_t i = 0; i < 4; i++) assert_near("p", i, (double)player.p[i], -0.5, TOLERANCE);
    player_free(&player);
}

/* ---- what PBT relies on -------------------------------------------------------------------------------- */
static void test_weight_decay_is_decoupled(void **state) {
    (void)state;
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
        OptimizerSettings settings = optimizer_settings((OptimizerKind)kind);
        settings.lr = 0.1, settings.weight_decay = 0.5, settings.clip_norm = kind == OPTIMIZER_ADAM;
        Player player = player_new(COUNT);
        for (int64_t step = 1; step <= 3; step++) assert_true(player_step(&player, &settings, step) == 0);
        for (size_t i = 0; i < COUNT; i++) {
            assert_near("p", i, (double)player.p[i], problem_start(i) * 0.95 * 0.95 * 0.95, TOLERANCE);
            assert_true(player.m[i] == 0 && player.v[i] == 0);
        }
        player_free(&player);
    }
}

static void test_rate_zero_changes_moments_only(void **state) {
    (void)state;
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
        OptimizerSettings settings = rich_settings((OptimizerKind)kind);
        settings.lr = 0;
        Player player = player_new(COUNT), before = player_new(COUNT);
        player_gradient(&player, 1);
        player_step(&player, &settings, 1);
        assert_memory_equal(player.p, before.p, COUNT * sizeof(real));
        assert_memory_not_equal(player.m, before.m, COUNT * sizeof(real));
        if (optimizer_moments((OptimizerKind)kind) == 2)
            assert_memory_not_equal(player.v, before.v, COUNT * sizeof(real));
        player_free(&player);
        player_free(&before);
    }
}

static void test_settings_take_effect_at_once(void **state) {
    (void)state;
    OptimizerSettings settings = {.kind = OPTIMIZER_SGD, .lr = 0.25};
    Player player = player_new(1);
    player.p[0] = 0, player.g[0] = 1;
    player_step(&player, &settings, 1);
    assert_true(player.p[0] == (real)-0.25);
    settings.lr = 0.5;
    player_step(&player, &settings, 2);
    assert_true(player.p[0] == (real)-0.75);
    settings.momentum = 0.5; /* m was 1 and becomes 1.5 */
    player_step(&player, &settings, 3);
    assert_true(player.p[0] == (real)-1.5);
    player_free(&player);
}

static void assert_visible(double bad, OptimizerKind kind, double clip_norm, size_t at) {
    OptimizerSettings settings = rich_settings(kind);
    settings.clip_norm = clip_norm;
    Player player = player_new(COUNT);
    player_gradient(&player, 1);
    player.g[at] = (real)bad;
    double norm = player_step(&player, &settings, 1);
    assert_true(isnan(bad) ? isnan(norm) : isinf(norm));
    assert_true(!isfinite(player.p[at]));
    if (isnan(bad) && clip_norm > 0) /* a scale that is NaN spoils all */
        for (size_t i = 0; i < COUNT; i++) assert_true(isnan(player.p[i]));
    player_free(&player);
}

static void test_nan_and_infinity_are_seen(void **state) {
    (void)state;
    static const double CLIPS[] = {0, 1e-3, 1e20};
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        for (int kind = 0; kind < OPTIMIZER_KINDS; kind++)
            for (size_t clip = 0; clip < 3; clip++)
                for (size_t at = 0; at < COUNT; at++) {
                    assert_visible((double)NAN, (OptimizerKind)kind, CLIPS[clip], at);
                    assert_visible((double)INFINITY, (OptimizerKind)kind, CLIPS[clip], at);
                    assert_visible((double)-INFINITY, (OptimizerKind)kind, CLIPS[clip], at);
                }
    }
}

/* ---- memory -------------------------------------------------------------------------------------------- */
/* Pages between two that cannot be touched. */
typedef struct {
    char *base;
    size_t inner, page;
} Fence;

static Fence fence_new(size_t bytes) {
    Fence fence = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    fence.inner = (bytes + fence.page - 1) / fence.page * fence.page;
    fence.base = mmap(NULL, fence.inner + 2 * fence.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fence.base == MAP_FAILED) fail_msg("mmap: %s", strerror(errno));
    assert_int_equal(mprotect(fence.base + fence.page, fence.inner, PROT_READ | PROT_WRITE), 0);
    return fence;
}

static void fence_free(Fence fence) {
    munmap(fence.base, fence.inner + 2 * fence.page);
}

/* `count` numbers that begin at the lower fence, or end at the upper one. */
static real *fence_numbers(Fence fence, size_t count, int at_end) {
    size_t offset = at_end ? fence.inner - count * sizeof(real) : 0;
    return (real *)(void *)(fence.base + fence.page + offset);
}

static void test_nothing_beyond_count_is_touched(void **state) {
    (void)state;
    enum { MOST = 150 };
    Fence p = fence_new(MOST * sizeof(real)), g = fence_new(MOST * sizeof(real));
    Fence m = fence_new(MOST * sizeof(real)), v = fence_new(MOST * sizeof(real));
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        for (int kind = 0; kind < OPTIMIZER_KINDS; kind++)
            for (size_t count = 0; count <= MOST; count++)
                for (int at_end = 0; at_end < 2; at_end++) {
                    OptimizerSettings settings = rich_settings((OptimizerKind)kind);
                    settings.clip_norm = (double)(count % 2);
                    double norm = optimizer_step(
                        &settings, 1, count, fence_numbers(p, count, at_end), fence_numbers(g, count, at_end),
                        fence_numbers(m, count, at_end), fence_numbers(v, count, at_end));
                    assert_true(norm == 0);
                }
    }
    fence_free(p);
    fence_free(g);
    fence_free(m);
    fence_free(v);
}

/* ---- settings ------------------------------------------------------------------------------------------ */
static void test_usual_settings(void **state) {
    (void)state;
    Error error;
    static const char *const TEXT[] = {"sgd", "adam", "rmsprop"};
    static const int MOMENTS[] = {1, 2, 2};
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
        OptimizerSettings settings = optimizer_settings((OptimizerKind)kind);
        assert_int_equal(settings.kind, kind);
        assert_int_equal(optimizer_check(&settings, &error), STATUS_OK);
        assert_true(settings.lr == (kind == OPTIMIZER_SGD ? 1e-2 : 1e-3));
        assert_true(settings.beta1 == 0.9 && settings.beta2 == 0.999 && settings.epsilon == 1e-8);
        assert_true(settings.decay == 0.99 && settings.momentum == 0 && settings.nesterov == 0);
        assert_true(settings.weight_decay == 0 && settings.clip_norm == 0);
        assert_int_equal(optimizer_moments((OptimizerKind)kind), MOMENTS[kind]);
        assert_string_equal(optimizer_text((OptimizerKind)kind), TEXT[kind]);
    }
}

static void assert_refused(OptimizerSettings settings, const char *message) {
    Error error = {STATUS_OK, ""};
    assert_int_equal(optimizer_check(&settings, &error), STATUS_INVALID);
    assert_int_equal(error.status, STATUS_INVALID);
    assert_string_equal(error.message, message);
    assert_int_equal(optimizer_check(&settings, NULL), STATUS_INVALID);
}

static void test_settings_out_of_range_are_named(void **state) {
    (void)state;
    const OptimizerSettings adam = optimizer_settings(OPTIMIZER_ADAM);
    OptimizerSettings s;
    s = adam, s.lr = -0.5, assert_refused(s, "adam: lr is -0.5: a number from 0 to 1e+30 expected");
    s = adam, s.lr = 1e31, assert_refused(s, "adam: lr is 1e+31: a number from 0 to 1e+30 expected");
    s = adam, s.beta1 = 1, assert_refused(s, "adam: beta1 is 1: a number from 0 to below 1 expected");
    s = adam, s.beta2 = -1e-9,
    assert_refused(s, "adam: beta2 is -1e-09: a number from 0 to below 1 expected");
    s = adam, s.epsilon = 0, assert_refused(s, "adam: epsilon is 0: a number from 1e-30 to 1e+30 expected");
    s = optimizer_settings(OPTIMIZER_SGD), s.momentum = 1.5;
    assert_refused(s, "sgd: momentum is 1.5: a number from 0 to below 1 expected");
    s.momentum = 0, s.nesterov = 2;
    assert_refused(s, "sgd: nesterov is 2: a number from 0 to 1 expected");
    s = optimizer_settings(OPTIMIZER_RMSPROP), s.decay = 1;
    assert_refused(s, "rmsprop: decay is 1: a number from 0 to below 1 expected");
    s = adam, s.weight_decay = -1;
    assert_refused(s, "adam: weight_decay is -1: a number from 0 to 1e+30 expected");
    s = adam, s.clip_norm = -1, assert_refused(s, "adam: clip_norm is -1: a number from 0 to 1e+30 expected");
    s = adam, s.kind = (OptimizerKind)7;
    assert_refused(s, "optimizer: kind is 7: one of sgd, adam, rmsprop expected");
}

static void test_settings_that_are_no_numbers_are_refused(void **state) {
    (void)state;
    static const double BAD[] = {(double)NAN, (double)INFINITY, (double)-INFINITY};
    for (size_t i = 0; i < 3; i++) {
        OptimizerSettings s = {.kind = OPTIMIZER_RMSPROP, .epsilon = 1e-8};
        assert_int_equal(optimizer_check(&s, NULL), STATUS_OK);
        double *fields[] = {&s.lr, &s.epsilon, &s.momentum, &s.decay, &s.weight_decay, &s.clip_norm};
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
            double good = *fields[f];
            *fields[f] = BAD[i];
            assert_int_equal(optimizer_check(&s, NULL), STATUS_INVALID);
            *fields[f] = good;
        }
    }
}

/* What a kind does not read may be anything. */
static void test_unused_settings_are_not_checked(void **state) {
    (void)state;
    OptimizerSettings sgd = {.kind = OPTIMIZER_SGD, .beta1 = 5, .beta2 = -1, .epsilon = -1, .decay = 9};
    assert_int_equal(optimizer_check(&sgd, NULL), STATUS_OK);
    OptimizerSettings adam = optimizer_settings(OPTIMIZER_ADAM);
    adam.momentum = 7, adam.decay = -3, adam.nesterov = 9;
    assert_int_equal(optimizer_check(&adam, NULL), STATUS_OK);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, restore_level)
    const struct CMUnitTest tests[] = {
        TEST(test_ten_steps_as_pytorch),
        TEST(test_every_count_follows_the_formulas),
        TEST(test_levels_give_the_same_bits),
        TEST(test_clipping_scales_the_gradient),
        TEST(test_gradients_within_the_limit_are_not_scaled),
        TEST(test_norm_is_robust),
        TEST(test_clipping_tames_large_gradients),
        TEST(test_weight_decay_is_decoupled),
        TEST(test_rate_zero_changes_moments_only),
        TEST(test_settings_take_effect_at_once),
        TEST(test_nan_and_infinity_are_seen),
        TEST(test_nothing_beyond_count_is_touched),
        TEST(test_usual_settings),
        TEST(test_settings_out_of_range_are_named),
        TEST(test_settings_that_are_no_numbers_are_refused),
        TEST(test_unused_settings_are_not_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
