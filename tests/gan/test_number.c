/* Numbers that change with a member's age: every kind against its formula, at its ends, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "gan/number.h"

static const double TOLERANCE = 1e-14;

static double at(Number number, int64_t step) {
    return number_at(&number, NULL, step);
}

static void check(Number number, int64_t step, double expected) {
    double got = at(number, step);
    if (!(fabs(got - expected) <= TOLERANCE * fmax(1, fabs(expected))))
        fail_msg("step %d: %.17g expected, got %.17g", (int)step, expected, got);
}

static Number span(NumberKind kind, double from, double to, double steps) {
    return (Number){.kind = kind, .from = from, .to = to, .steps = steps};
}

/* ---- values -------------------------------------------------------------------------------------------- */

static void test_constant(void **state) {
    (void)state;
    check(number_constant(0.3), 0, 0.3);
    check(number_constant(0.3), 1000000, 0.3);
}

static void test_hyper(void **state) {
    (void)state;
    double hypers[] = {1, 2, 3};
    Number second = number_hyper(1);
    assert_true(number_at(&second, hypers, 0) == 2);
    hypers[1] = 5;
    assert_true(number_at(&second, hypers, 0) == 5);
}

static void test_linear(void **state) {
    (void)state;
    Number n = span(NUMBER_LINEAR, 2, -1, 10);
    check(n, 0, 2);
    check(n, 1, 1.7);
    check(n, 5, 0.5);
    check(n, 9, -0.7);
}

static void test_cosine(void **state) {
    (void)state;
    Number n = span(NUMBER_COSINE, 4, 1, 12);
    check(n, 0, 4);
    check(n, 3, 1 + 3 * (1 + sqrt(0.5)) / 2); /* cos 45° */
    check(n, 4, 1 + 3 * 0.75);                /* cos 60° */
    check(n, 6, 2.5);
    check(n, 8, 1 + 3 * 0.25);
}

static void test_exponential(void **state) {
    (void)state;
    Number n = span(NUMBER_EXPONENTIAL, 1, 16, 8);
    check(n, 0, 1);
    check(n, 1, sqrt(2));
    check(n, 2, 2);
    check(n, 6, 8);
    check(span(NUMBER_EXPONENTIAL, -1, -16, 8), 4, -4);
}

/* At its end, and ever after, a schedule is exactly `to`. */
static void test_ends(void **state) {
    (void)state;
    static const NumberKind KINDS[] = {NUMBER_LINEAR, NUMBER_COSINE, NUMBER_EXPONENTIAL, NUMBER_WARMUP};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        Number n = span(KINDS[i], 0.1, 0.3, 7);
        assert_true(at(n, 6) != 0.3);
        assert_true(at(n, 7) == 0.3);
        assert_true(at(n, 8) == 0.3);
        assert_true(at(n, (int64_t)1 << 50) == 0.3);
    }
}

static void test_piecewise(void **state) {
    (void)state;
    static const NumberPoint POINTS[] = {{5, 1}, {10, 2}, {11, -3}};
    Number n = {.kind = NUMBER_PIECEWISE, .points = POINTS, .point_count = 3};
    static const double EXPECTED[][2] = {{0, 1}, {5, 1}, {9, 1}, {10, 2}, {11, -3}, {12, -3}, {1e9, -3}};
    for (size_t i = 0; i < sizeof EXPECTED / sizeof *EXPECTED; i++)
        assert_true(at(n, (int64_t)EXPECTED[i][0]) == EXPECTED[i][1]);
}

static void test_warmup(void **state) {
    (void)state;
    Number alone = span(NUMBER_WARMUP, 0, 1, 4);
    check(alone, 0, 0);
    check(alone, 1, 0.25);
    check(alone, 3, 0.75);
    Number inner = span(NUMBER_LINEAR, 1, 0, 10), middle = span(NUMBER_WARMUP, 1, 1, 2);
    middle.after = &inner;
    Number outer = alone;
    outer.after = &middle; /* 4 steps up, 2 that stay, 10 down, each counted from its own start */
    check(outer, 3, 0.75);
    check(outer, 4, 1);
    check(outer, 6, 1);
    check(outer, 7, 0.9);
    check(outer, 15, 0.1);
    check(outer, 16, 0);
    Number hyper = number_hyper(0);
    outer.after = &hyper;
    assert_true(number_at(&outer, (double[]){0.7}, 4) == 0.7);
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void check_refused(Number number, const char *part) {
    Error error;
    assert_int_equal(number_check(&number, &error), STATUS_INVALID);
    if (!strstr(error.message, part)) fail_msg("'%s' expected in '%s'", part, error.message);
    Number before = span(NUMBER_WARMUP, 0, 1, 5);
    before.after = &number;
    assert_int_equal(number_check(&before, NULL), STATUS_INVALID);
}

static Number through(const NumberPoint *points, size_t count) {
    return (Number){.kind = NUMBER_PIECEWISE, .points = points, .point_count = count};
}

static void test_refusals(void **state) {
    (void)state;
    const double nan = (double)NAN, infinity = (double)INFINITY;
    check_refused(span(NUMBER_LINEAR, 1, 2, 0), "more than 0 steps");
    check_refused(span(NUMBER_COSINE, 1, 2, nan), "more than 0 steps");
    check_refused(span(NUMBER_WARMUP, 1, 2, infinity), "more than 0 steps");
    check_refused(span(NUMBER_LINEAR, nan, 2, 5), "finite numbers");
    check_refused(span(NUMBER_LINEAR, 1, infinity, 5), "finite numbers");
    check_refused(span(NUMBER_EXPONENTIAL, 1, 0, 5), "from 1 to 0");
    check_refused(span(NUMBER_EXPONENTIAL, -1, 2, 5), "one side of 0");
    check_refused(number_constant(nan), "finite");
    check_refused(through(NULL, 0), "at least one");
    check_refused(through((NumberPoint[]){{5, 1}, {5, 2}}, 2), "step 5 comes after step 5");
    check_refused(through((NumberPoint[]){{0, nan}}, 1), "finite");
    check_refused(through((NumberPoint[]){{nan, 1}}, 1), "finite");
}

static void test_accepted(void **state) {
    (void)state;
    Number fine[] = {number_constant(0),
                     number_hyper(3),
                     span(NUMBER_LINEAR, 1, 0, 1),
                     span(NUMBER_COSINE, 1, 0, 0.5),
                     span(NUMBER_EXPONENTIAL, 1e-3, 1e-6, 100),
                     through((NumberPoint[]){{0, 1}, {1, 2}}, 2)};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_int_equal(number_check(&fine[i], NULL), STATUS_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant),  cmocka_unit_test(test_hyper),       cmocka_unit_test(test_linear),
        cmocka_unit_test(test_cosine),    cmocka_unit_test(test_exponential), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_piecewise), cmocka_unit_test(test_warmup),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
