/* Digits: the same everywhere, never off the page, told apart, and unlike each other. */
#include "tests/data/made.h"

#include <xxhash.h>

#include "gan/data/parts.h"

enum { SIDE = 32, AREA = SIDE * SIDE, KEY = 7 };

static void test_an_image_is_a_function_of_key_and_id(void **state) {
    (void)state;
    uint8_t a[AREA], b[AREA];
    digits_draw(KEY, 5, 3, SIDE, 1, a);
    digits_draw(KEY, 5, 3, SIDE, 1, b);
    assert_memory_equal(a, b, AREA);
    digits_draw(KEY, 6, 3, SIDE, 1, b);
    assert_memory_not_equal(a, b, AREA);
    digits_draw(KEY + 1, 5, 3, SIDE, 1, b);
    assert_memory_not_equal(a, b, AREA);
    digits_draw(KEY, 5, 4, SIDE, 1, b);
    assert_memory_not_equal(a, b, AREA);
}

static XXH64_hash_t hash_of_many(int side, int channels) {
    XXH64_hash_t hash = 0;
    uint8_t pixels[DIGITS_SIDE_MAX * DIGITS_SIDE_MAX * 3];
    for (uint64_t id = 0; id < 200; id++) {
        digits_draw(KEY, id, (int)(id % 10), side, channels, pixels);
        hash = XXH64(pixels, (size_t)(side * side * channels), hash);
    }
    return hash;
}

static void test_same_bytes_at_every_instruction_set(void **state) {
    (void)state;
    static const char *const LEVELS[] = {"baseline", "avx2", "avx512"};
    static const int SIDES[] = {16, 28, 32, 45, 64};
    for (size_t i = 0; i < sizeof SIDES / sizeof SIDES[0]; i++) {
        unsetenv("BROOD_ISA");
        XXH64_hash_t gray = hash_of_many(SIDES[i], 1), color = hash_of_many(SIDES[i], 3);
        for (size_t level = 0; level < 3; level++) {
            setenv("BROOD_ISA", LEVELS[level], 1);
            assert_int_equal(hash_of_many(SIDES[i], 1), gray);
            assert_int_equal(hash_of_many(SIDES[i], 3), color);
        }
    }
    unsetenv("BROOD_ISA");
}

/* Whoever changes how digits look changes what a seed means: then, and only then, these numbers change. */
static void test_same_bytes_as_ever(void **state) {
    (void)state;
    assert_int_equal(hash_of_many(32, 1), UINT64_C(0xc013ac424ade6cb4));
    assert_int_equal(hash_of_many(32, 3), UINT64_C(0xaad55acb78dfa94f));
}

static void test_ink_stays_on_the_page(void **state) {
    (void)state;
    enum { DARK = 80 }; /* above paper and noise, far below ink */
    for (int side = DIGITS_SIDE_MIN; side <= DIGITS_SIDE_MAX; side += 8) {
        uint8_t pixels[DIGITS_SIDE_MAX * DIGITS_SIDE_MAX];
        for (uint64_t id = 0; id < 500; id++) {
            digits_draw(KEY, id, (int)(id % 10), side, 1, pixels);
            int inked = 0;
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++) {
                    bool edge = y == 0 || x == 0 || y == side - 1 || x == side - 1;
                    if (edge) assert_in_range(pixels[y * side + x], 0, DARK);
                    inked += pixels[y * side + x] > DARK;
                }
            assert_in_range(inked, side * side / 80, side * side / 2);
        }
    }
}

/* Images of the same digit by another hand are closer to its mean than to others', though not always. */
static void test_classes_differ_but_not_trivially(void **state) {
    (void)state;
    enum { TRAIN = 3000, TEST = 1000 };
    static double mean[10][AREA];
    uint8_t pixels[AREA];
    for (uint64_t id = 0; id < TRAIN; id++) {
        digits_draw(KEY, id, (int)(id % 10), SIDE, 1, pixels);
        for (int i = 0; i < AREA; i++) mean[id % 10][i] += pixels[i] / (TRAIN / 10.0);
    }
    int right = 0;
    for (uint64_t id = 0; id < TEST; id++) {
        digits_draw(KEY + 1, id, (int)(id % 10), SIDE, 1, pixels);
        int best = 0;
        double least = 1e300;
        for (int digit = 0; digit < 10; digit++) {
            double distance = 0;
            for (int i = 0; i < AREA; i++) {
                double off = pixels[i] - mean[digit][i];
                distance += off * off;
            }
            if (distance < least) least = distance, best = digit;
        }
        right += best == (int)(id % 10);
    }
    assert_in_range(right, TEST * 45 / 100, TEST * 80 / 100);
}

static void test_color_is_color_and_gray_is_varied(void **state) {
    (void)state;
    uint8_t pixels[3 * AREA];
    int colorful = 0, brightest = 0, faintest = 255;
    for (uint64_t id = 0; id < 200; id++) {
        digits_draw(KEY, id, (int)(id % 10), SIDE, 3, pixels);
        int spread = 0;
        for (int i = 0; i < AREA; i++) {
            int off = abs(pixels[3 * i] - pixels[3 * i + 1]) + abs(pixels[3 * i + 1] - pixels[3 * i + 2]);
            spread = off > spread ? off : spread;
        }
        colorful += spread > 40;
        digits_draw(KEY, id, (int)(id % 10), SIDE, 1, pixels);
        int peak = 0;
        for (int i = 0; i < AREA; i++) peak = pixels[i] > peak ? pixels[i] : peak;
        brightest = peak > brightest ? peak : brightest;
        faintest = peak < faintest ? peak : faintest;
    }
    assert_true(colorful > 190);
    assert_true(brightest > 245);
    assert_in_range(faintest, 130, 235);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_image_is_a_function_of_key_and_id),
        cmocka_unit_test(test_same_bytes_at_every_instruction_set),
        cmocka_unit_test(test_same_bytes_as_ever),
        cmocka_unit_test(test_ink_stays_on_the_page),
        cmocka_unit_test(test_classes_differ_but_not_trivially),
        cmocka_unit_test(test_color_is_color_and_gray_is_varied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
