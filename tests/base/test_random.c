/* Random numbers: known answers, distributions, independence, and that nothing but (key, counter, index)
 * decides a value: not the instruction set, not the way a range is cut into calls. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/random_internal.h"

enum { MANY = 1000000 };

/* How many standard deviations a statistic may lie off. The seeds are fixed, so a test passes always or
 * never. */
static const double LIMIT = 4.5;

static void assert_near(double value, double expected, double tolerance) {
    if (!(fabs(value - expected) <= tolerance))
        fail_msg("%.9g, expected %.9g ± %.3g", value, expected, tolerance);
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

/* ---- known answers ---------------------------------------------------------------------------------------
 * From Random123's kat_vectors (Salmon et al.): counter, key, result of philox4x32 with 10 rounds. */
static const struct {
    uint32_t counter[4], key[2], result[4];
} KNOWN[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static uint64_t join(const uint32_t word[2]) {
    return (uint64_t)word[1] << 32 | word[0];
}

static void test_philox_known_answers(void **state) {
    (void)state;
    IsaLevel best = isa_level();
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        uint64_t key = join(KNOWN[i].key), block = join(KNOWN[i].counter),
                 counter = join(KNOWN[i].counter + 2);
        PhiloxBlock made = philox_block(key, counter, block);
        assert_memory_equal(made.word, KNOWN[i].result, sizeof made.word);
        for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
            use_level(level);
            uint32_t words[RANDOM_GROUP];
            ISA_PICK(random_kernels)->words(key, counter, block, RANDOM_GROUP, words);
            assert_memory_equal(words, KNOWN[i].result, sizeof made.word);
        }
    }
}

/* Word i of a draw is word i mod 4 of block i / 4, also where block numbers pass 32 bits. */
static void test_words_are_blocks_in_order(void **state) {
    (void)state;
    const uint64_t key = UINT64_C(0x0123456789abcdef), counter = UINT64_C(0xfedcba9876543210);
    const uint64_t starts[] = {0, 3, (UINT64_C(1) << 34) - 50, (UINT64_C(1) << 63) + 5};
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
            uint32_t words[200];
            random_bits(key, counter, starts[s], 200, words);
            for (uint64_t i = 0; i < 200; i++) {
                uint64_t index = starts[s] + i;
                assert_int_equal(words[i], philox_block(key, counter, index / 4).word[index % 4]);
            }
        }
    }
}

/* Committed values, so that platforms can be compared. */
static void test_golden_values(void **state) {
    (void)state;
    const uint64_t key = random_key(2024, 7, "latent");
    assert_int_equal(key, UINT64_C(0xbaf384b157d20418));
    assert_int_equal(random_key(0, 0, ""), UINT64_C(0xabeb07645fdeee09));

    static const uint32_t UNIFORM[6] = {0x8160d8, 0xfbc80f, 0x6d4d33, 0x375031, 0xa6f598, 0xf42b0f};
    real uniform[6];
    random_uniform(key, 42, 1001, 6, uniform);
    for (int i = 0; i < 6; i++) assert_true((double)uniform[i] == UNIFORM[i] * 0x1p-24);

    static const uint64_t UNIFORM_AT[3] = {UINT64_C(0x8e7367f145480), UINT64_C(0x1641b3009d2a9a),
                                           UINT64_C(0xbcea4753d2123)}; /* in units of 2^-53 */
    for (uint64_t i = 0; i < 3; i++)
        assert_true(random_uniform_at(key, 42, i) == (double)UNIFORM_AT[i] * 0x1p-53);

    static const uint64_t INTEGER[6] = {367625, 617468, 14100, 557844, 568233, 582916};
    for (uint64_t i = 0; i < 6; i++) assert_int_equal(random_integer_at(key, 42, i, 1000003), INTEGER[i]);

    static const uint64_t PERMUTED[10] = {9, 8, 0, 2, 4, 5, 6, 3, 7, 1};
    for (uint64_t i = 0; i < 10; i++) assert_int_equal(random_permute(key, 42, 10, i), PERMUTED[i]);
    static const uint64_t PERMUTED_60000[4] = {51856, 1685, 54426, 10620};
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(random_permute(key, 42, 60000, i), PERMUTED_60000[i]);

    static const double NORMAL[6] = {-0.019361187742371281, -0.16343312832623624, 0.080754748700657505,
                                     -1.009392619828178,    -1.4301945756274017,  -0.1601300736366007};
    real normal[6];
    random_normal(key, 42, 1001, 6, normal);
    for (int i = 0; i < 6; i++) assert_near((double)normal[i], NORMAL[i], 2e-6);
    static const double NORMAL_AT[3] = {0.4891175963634079, 0.26337193291230604, -0.23955519021901969};
    for (uint64_t i = 0; i < 3; i++) assert_near(random_normal_at(key, 42, i), NORMAL_AT[i], 1e-14);
}

/* ---- what a value depends on --------------------------------------------------------------------------- */
typedef struct {
    uint32_t *bits;
    real *uniform, *normal;
} Draws;

static Draws draws_new(size_t count) {
    Draws d = {memory_new(count, sizeof *d.bits), memory_new(count, sizeof(real)),
               memory_new(count, sizeof(real))};
    assert_true(d.bits && d.uniform && d.normal);
    return d;
}

static void draws_free(Draws d) {
    memory_free(d.bits);
    memory_free(d.uniform);
    memory_free(d.normal);
}

static void draws_fill(Draws d, uint64_t first, size_t at, size_t count) {
    random_bits(11, 5, first + at, count, d.bits + at);
    random_uniform(11, 5, first + at, count, d.uniform + at);
    random_normal(11, 5, first + at, count, d.normal + at);
}

static void draws_assert_equal(Draws a, Draws b, size_t count) {
    assert_memory_equal(a.bits, b.bits, count * sizeof *a.bits);
    assert_memory_equal(a.uniform, b.uniform, count * sizeof(real));
    assert_memory_equal(a.normal, b.normal, count * sizeof(real));
}

static void test_levels_give_the_same_bits(void **state) {
    (void)state;
    enum { COUNT = 100003 };
    Draws one = draws_new(COUNT), other = draws_new(COUNT);
    IsaLevel best = isa_level();
    use_level(ISA_BASELINE);
    draws_fill(one, 6, 0, COUNT);
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        draws_fill(other, 6, 0, COUNT);
        draws_assert_equal(one, other, COUNT);
    }
    draws_free(one);
    draws_free(other);
}

static void test_any_split_gives_the_same_bits(void **state) {
    (void)state;
    enum { COUNT = 7001 };
    Draws whole = draws_new(COUNT), parts = draws_new(COUNT);
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        draws_fill(whole, 0, 0, COUNT);
        for (uint64_t longest = 1; longest < 4000; longest *= 3) {
            draws_fill(parts, 0, 0, 0);
            for (size_t at = 0, piece = 0, count; at < COUNT; at += count, piece++) {
                count = (size_t)random_integer_at(99, longest, piece, longest + 1);
                if (count > COUNT - at) count = COUNT - at;
                draws_fill(parts, 0, at, count);
            }
            draws_assert_equal(whole, parts, COUNT);
        }
    }
    draws_free(whole);
    draws_free(parts);
}

/* Nothing is written outside the range. */
static void test_writes_only_what_was_asked(void **state) {
    (void)state;
    enum { ROOM = 300 };
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        for (size_t count = 0; count <= 140; count++) {
            uint32_t bits[ROOM];
            real uniform[ROOM], normal[ROOM];
            for (int i = 0; i < ROOM; i++) bits[i] = 0xdeadbeef, uniform[i] = normal[i] = -77;
            random_bits(3, 1, count, count, bits + 80);
            random_uniform(3, 1, count, count, uniform + 80);
            random_normal(3, 1, count, count, normal + 80);
            for (size_t i = 0; i < ROOM; i++) {
                if (i >= 80 && i < 80 + count) continue;
                assert_int_equal(bits[i], 0xdeadbeef);
                assert_true(uniform[i] == -77 && normal[i] == -77);
            }
        }
    }
}

/* ---- distributions ------------------------------------------------------------------------------------- */
/* Mean, variance, skewness and excess kurtosis of `count` numbers against those of a distribution with
 * moments `expected`; `spread` holds the standard deviations of the four, times sqrt(count). */
static void assert_moments(const real *numbers, size_t count, const double expected[4],
                           const double spread[4]) {
    double mean = 0, second = 0, third = 0, fourth = 0, n = (double)count;
    for (size_t i = 0; i < count; i++) mean += (double)numbers[i] / n;
    for (size_t i = 0; i < count; i++) {
        double off = (double)numbers[i] - mean;
        second += off * off / n;
        third += off * off * off / n;
        fourth += off * off * off * off / n;
    }
    const double got[4] = {mean, second, third / pow(second, 1.5), fourth / (second * second) - 3};
    for (int i = 0; i < 4; i++) assert_near(got[i], expected[i], LIMIT * spread[i] / sqrt(n));
}

static const double UNIFORM_MOMENTS[4] = {0.5, 1 / 12.0, 0, -1.2};
static const double UNIFORM_SPREAD[4] = {0.289, 0.0746, 1.1, 0.7};
static const double NORMAL_MOMENTS[4] = {0, 1, 0, 0};
static const double NORMAL_SPREAD[4] = {1, 1.4143, 2.4495, 4.899};

/* Pearson's statistic of counts that should all be equal, in standard deviations from its mean. */
static double chi_square(const uint32_t *counts, size_t bins, double total) {
    double sum = 0, expected = total / (double)bins;
    for (size_t i = 0; i < bins; i++) sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    return (sum - (double)(bins - 1)) / sqrt(2.0 * (double)(bins - 1));
}

enum { BINS = 1000 };

/* `at` is a number's place in its distribution, in [0, 1]. */
static void count_bin(uint32_t counts[BINS], double at) {
    size_t bin = (size_t)(at * BINS);
    counts[bin < BINS ? bin : BINS - 1]++;
}

static double normal_place(double x) {
    return 0.5 * erfc(-x / sqrt(2));
}

static void test_uniforms_are_uniform(void **state) {
    (void)state;
    real *numbers = memory_new(MANY, sizeof *numbers);
    uint32_t counts[BINS] = {0};
    random_uniform(random_key(1, 0, "test"), 0, 0, MANY, numbers);
    for (size_t i = 0; i < MANY; i++) {
        double x = (double)numbers[i];
        assert_true(x >= 0 && x < 1 && x * 0x1p24 == floor(x * 0x1p24));
        count_bin(counts, x);
    }
    assert_moments(numbers, MANY, UNIFORM_MOMENTS, UNIFORM_SPREAD);
    assert_near(chi_square(counts, BINS, MANY), 0, LIMIT);
    memory_free(numbers);
}

static void test_normals_are_normal(void **state) {
    (void)state;
    real *numbers = memory_new(MANY, sizeof *numbers);
    uint32_t counts[BINS] = {0}, beyond_four = 0;
    random_normal(random_key(2, 0, "test"), 0, 0, MANY, numbers);
    for (size_t i = 0; i < MANY; i++) {
        double x = (double)numbers[i];
        count_bin(counts, normal_place(x));
        beyond_four += fabs(x) > 4;
    }
    assert_moments(numbers, MANY, NORMAL_MOMENTS, NORMAL_SPREAD);
    assert_near(chi_square(counts, BINS, MANY), 0, LIMIT);
    double rare = MANY * 2 * normal_place(-4); /* 63 */
    assert_near(beyond_four, rare, LIMIT * sqrt(rare));
    memory_free(numbers);
}

/* Against the transform in double, for words drawn and for the extreme ones. */
static void test_normals_follow_box_and_muller(void **state) {
    (void)state;
    enum { COUNT = 64 * RANDOM_GROUP };
    static const uint32_t EXTREME[] = {0,          1,          2,          3,          0x7fffffff,
                                       0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0x40000000,
                                       0xc0000000, 0xffffff80, 0xffffff00};
    enum { EXTREMES = sizeof EXTREME / sizeof *EXTREME };
    static uint32_t words[COUNT];
    static real numbers[COUNT];
    random_bits(17, 0, 0, COUNT, words);
    for (size_t i = 0; i < EXTREMES; i++)
        for (size_t j = 0; j < EXTREMES; j++) {
            words[2 * (i * EXTREMES + j)] = EXTREME[i];
            words[2 * (i * EXTREMES + j) + 1] = EXTREME[j];
        }
    IsaLevel best = isa_level();
    for (IsaLevel level = ISA_BASELINE; level <= best; level++) {
        use_level(level);
        ISA_PICK(random_kernels)->normal(words, COUNT, numbers);
        for (size_t i = 0; i < COUNT; i += 2) {
            double fraction = ((words[i] >> 1) + 0.5) * 0x1p-31, radius = sqrt(-2 * log(fraction));
            double angle = (int32_t)words[i + 1] * 0x1p-31 * acos(-1);
            /* A fraction near 1 has lost what tells it from 1, and with it digits of a small radius. */
            double epsilon = sizeof(real) == 4 ? 0x1p-24 : 0x1p-52;
            double tolerance = 8 * epsilon * (radius + 1) + fmin(epsilon / radius, sqrt(2 * epsilon));
            assert_near((double)numbers[i], radius * cos(angle), tolerance);
            assert_near((double)numbers[i + 1], radius * sin(angle), tolerance);
        }
    }
}

static void test_single_draws(void **state) {
    (void)state;
    real *uniforms = memory_new(MANY, sizeof *uniforms), *normals = memory_new(MANY, sizeof *normals);
    static uint32_t uniform_counts[BINS], normal_counts[BINS];
    uint64_t key = random_key(3, 0, "test"), low_bits = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        double uniform = random_uniform_at(key, 8, i), normal = random_normal_at(key, 8, i);
        assert_true(uniform >= 0 && uniform < 1);
        low_bits |= (uint64_t)(uniform * 0x1p53);
        count_bin(uniform_counts, uniform);
        count_bin(normal_counts, normal_place(normal));
        uniforms[i] = (real)uniform;
        normals[i] = (real)normal;
    }
    assert_int_equal(low_bits, (UINT64_C(1) << 53) - 1);
    assert_moments(uniforms, MANY, UNIFORM_MOMENTS, UNIFORM_SPREAD);
    assert_moments(normals, MANY, NORMAL_MOMENTS, NORMAL_SPREAD);
    assert_near(chi_square(uniform_counts, BINS, MANY), 0, LIMIT);
    assert_near(chi_square(normal_counts, BINS, MANY), 0, LIMIT);
    memory_free(uniforms);
    memory_free(normals);
}

static void test_integers_are_uniform(void **state) {
    (void)state;
    static const uint64_t BOUNDS[] = {1, 2, 3, 7, 10, 1000};
    uint64_t key = random_key(4, 0, "test");
    for (size_t b = 0; b < sizeof BOUNDS / sizeof *BOUNDS; b++) {
        uint32_t counts[1000] = {0};
        enum { DRAWS = MANY / 5 };
        for (uint64_t i = 0; i < DRAWS; i++) {
            uint64_t value = random_integer_at(key, BOUNDS[b], i, BOUNDS[b]);
            assert_true(value < BOUNDS[b]);
            counts[value]++;
        }
        if (BOUNDS[b] > 1) assert_near(chi_square(counts, (size_t)BOUNDS[b], DRAWS), 0, LIMIT);
    }
}

/* With a bound of 3·2^62 a quarter of the words is rejected; without that, values divisible by 3 would come
 * up twice as often as others. What is drawn instead is nobody else's value. */
static void test_integers_without_bias(void **state) {
    (void)state;
    const uint64_t bound = UINT64_C(3) << 62;
    uint32_t thirds[3] = {0}, parts[8] = {0};
    uint64_t previous = bound;
    for (uint64_t i = 0; i < MANY / 5; i++) {
        uint64_t value = random_integer_at(77, 1, i, bound);
        assert_true(value < bound && value != previous);
        previous = value;
        thirds[value % 3]++;
        parts[value / (bound / 8)]++;
    }
    assert_near(chi_square(thirds, 3, MANY / 5), 0, LIMIT);
    assert_near(chi_square(parts, 8, MANY / 5), 0, LIMIT);
}

/* ---- independence -------------------------------------------------------------------------------------- */
enum { PAIRED = 100000 };

typedef struct {
    real a[PAIRED], b[PAIRED];
} Pair;

static Pair *pair_new(void) {
    Pair *pair = memory_new(1, sizeof *pair);
    assert_non_null(pair);
    return pair;
}

/* The correlation of two arrays, in standard deviations of what independent ones have. */
static double correlation(const real *a, const real *b, size_t count) {
    double sum_a = 0, sum_b = 0, aa = 0, bb = 0, ab = 0, n = (double)count;
    for (size_t i = 0; i < count; i++) {
        double x = (double)a[i], y = (double)b[i];
        sum_a += x, sum_b += y, aa += x * x, bb += y * y, ab += x * y;
    }
    double covariance = ab - sum_a * sum_b / n;
    return covariance / sqrt((aa - sum_a * sum_a / n) * (bb - sum_b * sum_b / n)) * sqrt(n);
}

/* Neither number by number nor with one stream a step behind. */
static void assert_independent(const Pair *pair) {
    assert_near(correlation(pair->a, pair->b, PAIRED), 0, LIMIT);
    assert_near(correlation(pair->a + 1, pair->b, PAIRED - 1), 0, LIMIT);
    assert_near(correlation(pair->a, pair->b + 1, PAIRED - 1), 0, LIMIT);
}

static void assert_streams_independent(uint64_t key_a, uint64_t counter_a, uint64_t key_b,
                                       uint64_t counter_b) {
    Pair *pair = pair_new();
    random_uniform(key_a, counter_a, 0, PAIRED, pair->a);
    random_uniform(key_b, counter_b, 0, PAIRED, pair->b);
    assert_independent(pair);
    random_normal(key_a, counter_a, 0, PAIRED, pair->a);
    random_normal(key_b, counter_b, 0, PAIRED, pair->b);
    assert_independent(pair);
    memory_free(pair);
}

static void test_neighbouring_streams_are_independent(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        assert_streams_independent(random_key(i, 0, "latent"), 1, random_key(i + 1, 0, "latent"), 1);
        assert_streams_independent(random_key(5, i, "latent"), 1, random_key(5, i + 1, "latent"), 1);
        assert_streams_independent(random_key(5, i, "latent"), i, random_key(5, i, "latent"), i + 1);
        assert_streams_independent(i, 1, i + 1, 1); /* keys of the caller's own making */
    }
    assert_streams_independent(random_key(5, 3, "latent"), 1, random_key(5, 3, "batch"), 1);
    assert_streams_independent(random_key(5, 3, "latent1"), 1, random_key(5, 3, "latent2"), 1);
    assert_streams_independent(random_key(3, 5, "latent"), 1, random_key(5, 3, "latent"), 1);
}

/* The two normals of a pair share a radius: their squares must not show it. */
static void test_a_stream_is_independent_of_itself(void **state) {
    (void)state;
    Pair *pair = pair_new();
    random_normal(12, 3, 0, PAIRED, pair->a);
    for (size_t i = 0; i < PAIRED; i++) pair->b[i] = pair->a[i] * pair->a[i];
    for (size_t lag = 1; lag <= 8; lag++) {
        assert_near(correlation(pair->a, pair->a + lag, PAIRED - lag), 0, LIMIT);
        assert_near(correlation(pair->b, pair->b + lag, PAIRED - lag), 0, LIMIT);
        assert_near(correlation(pair->a, pair->b + lag, PAIRED - lag), 0, LIMIT);
    }
    memory_free(pair);
}

/* Draws of several kinds at one place of one stream. */
static void test_kinds_of_draws_are_independent(void **state) {
    (void)state;
    enum { KINDS = 5 };
    real *kind[KINDS];
    for (int k = 0; k < KINDS; k++) kind[k] = memory_new(PAIRED, sizeof(real));
    random_uniform(31, 2, 0, PAIRED, kind[0]);
    for (uint64_t i = 0; i < PAIRED; i++) {
        kind[1][i] = (real)random_uniform_at(31, 2, i);
        kind[2][i] = (real)normal_place(random_normal_at(31, 2, i));
        kind[3][i] = (real)random_integer_at(31, 2, i, 1000);
        kind[4][i] = (real)random_permute(31, 2, PAIRED, i);
    }
    Pair *pair = pair_new();
    for (int a = 0; a < KINDS; a++)
        for (int b = 0; b < a; b++) {
            memcpy(pair->a, kind[a], sizeof pair->a);
            memcpy(pair->b, kind[b], sizeof pair->b);
            assert_independent(pair);
        }
    memory_free(pair);
    for (int k = 0; k < KINDS; k++) memory_free(kind[k]);
}

/* Each of seed, slot and purpose changes half of a key's bits. */
static void test_keys_differ(void **state) {
    (void)state;
    double changed = 0;
    enum { SEEDS = 500 };
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t key = random_key(seed, seed / 3, "latent");
        changed += __builtin_popcountll(key ^ random_key(seed + 1, seed / 3, "latent"));
        changed += __builtin_popcountll(key ^ random_key(seed, seed / 3 + 1, "latent"));
        changed += __builtin_popcountll(key ^ random_key(seed, seed / 3, "latenu"));
        changed += __builtin_popcountll(key ^ random_key(seed | UINT64_C(1) << 63, seed / 3, "latent"));
        assert_int_equal(key, random_key(seed, seed / 3, "latent"));
    }
    assert_near(changed / (4 * SEEDS), 32, LIMIT * 4 / sqrt(4 * SEEDS));
}

/* ---- permutations -------------------------------------------------------------------------------------- */
static void assert_permutation(uint64_t key, uint64_t counter, uint64_t n) {
    unsigned char *seen = memory_new(n, 1);
    assert_non_null(seen);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t to = random_permute(key, counter, n, i);
        assert_true(to < n);
        assert_false(seen[to]);
        seen[to] = 1;
    }
    memory_free(seen);
}

static void test_permutations_are_bijections(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= 70; n++) assert_permutation(1, n, n);
    static const uint64_t SIZES[] = {100, 255, 256, 257, 1000, 4096, 4097, 60000, 65536, 65537};
    for (size_t s = 0; s < sizeof SIZES / sizeof *SIZES; s++)
        for (uint64_t counter = 0; counter < 2; counter++) assert_permutation(9, counter, SIZES[s]);
    /* Sizes that nobody stores. */
    assert_int_not_equal(random_permute(1, 1, UINT64_MAX, 5), random_permute(1, 1, UINT64_MAX, 6));
    assert_true(random_permute(1, 1, (UINT64_C(1) << 62) + 1, 5) <= UINT64_C(1) << 62);
}

/* Permutations of few things come up equally often: all n! of them. */
static void test_small_permutations_are_uniform(void **state) {
    (void)state;
    static const uint32_t PERMUTATIONS[] = {1, 1, 2, 6, 24, 120, 720};
    for (uint64_t n = 2; n <= 6; n++) {
        uint32_t counts[720] = {0};
        enum { DRAWS = 36000 };
        for (uint64_t counter = 0; counter < DRAWS; counter++) {
            uint64_t to[6], number = 0;
            for (uint64_t i = 0; i < n; i++) to[i] = random_permute(6, counter, n, i);
            for (uint64_t i = 0; i < n; i++) { /* the permutation's number in the factorial system */
                uint64_t smaller = 0;
                for (uint64_t j = i + 1; j < n; j++) smaller += to[j] < to[i];
                number = number * (n - i) + smaller;
            }
            counts[number]++;
        }
        assert_near(chi_square(counts, PERMUTATIONS[n], DRAWS), 0, LIMIT);
    }
}

/* Where positions go: everywhere alike, in no relation to where they were, their neighbours or the counter.
 */
static void test_permutations_look_random(void **state) {
    (void)state;
    enum { N = 1000, DRAWS = 100 };
    uint32_t first[10] = {0}, agreeing = 0;
    Pair *pair = pair_new();
    for (uint64_t counter = 0; counter < DRAWS; counter++)
        for (uint64_t i = 0; i < N; i++) {
            uint64_t to = random_permute(8, counter, N, i);
            pair->a[counter * N + i] = (real)i;
            pair->b[counter * N + i] = (real)to;
            if (i < 100) first[to / 100]++;
            agreeing += to == random_permute(8, counter + 1, N, i);
            agreeing += to == random_permute(9, counter, N, i);
        }
    assert_independent(pair);
    assert_near(correlation(pair->b, pair->b + 1, PAIRED - 1), 0, LIMIT);
    assert_near(chi_square(first, 10, DRAWS * 100), 0, LIMIT);
    assert_near(agreeing, 2 * DRAWS, LIMIT * sqrt(2 * DRAWS)); /* one position in N by chance */
    memory_free(pair);
}

int main(void) {
#define TEST(name) cmocka_unit_test_teardown(name, restore_level)
    const struct CMUnitTest tests[] = {
        TEST(test_philox_known_answers),
        TEST(test_words_are_blocks_in_order),
        TEST(test_golden_values),
        TEST(test_levels_give_the_same_bits),
        TEST(test_any_split_gives_the_same_bits),
        TEST(test_writes_only_what_was_asked),
        TEST(test_uniforms_are_uniform),
        TEST(test_normals_are_normal),
        TEST(test_normals_follow_box_and_muller),
        TEST(test_single_draws),
        TEST(test_integers_are_uniform),
        TEST(test_integers_without_bias),
        TEST(test_neighbouring_streams_are_independent),
        TEST(test_a_stream_is_independent_of_itself),
        TEST(test_kinds_of_draws_are_independent),
        TEST(test_keys_differ),
        TEST(test_permutations_are_bijections),
        TEST(test_small_permutations_are_uniform),
        TEST(test_permutations_look_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
