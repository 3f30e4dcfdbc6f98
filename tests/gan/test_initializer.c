/* What parameters begin with. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gan/initializer.h"

enum { MOST = 64 * 64 };

static void fill(InitializerKind kind, double number, Shape shape, uint64_t key, real *numbers) {
    Error error;
    assert_int_equal(initializer_fill((Initializer){kind, number}, shape, key, numbers, &error), STATUS_OK);
}

static void moments(const real *numbers, size_t count, double *mean, double *deviation) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)numbers[i];
        squares += (double)numbers[i] * (double)numbers[i];
    }
    *mean = sum / (double)count;
    *deviation = sqrt(squares / (double)count - *mean * *mean);
}

static void test_constant(void **unused) {
    (void)unused;
    real numbers[6];
    fill(INITIALIZER_CONSTANT, 1.5, shape_of(2, 3), 1, numbers);
    for (int i = 0; i < 6; i++) assert_true(numbers[i] == (real)1.5);
}

static void test_random_kinds(void **unused) {
    (void)unused;
    static real numbers[MOST];
    double mean, deviation;
    fill(INITIALIZER_NORMAL, 0.02, shape_of(64, 64), 7, numbers);
    moments(numbers, MOST, &mean, &deviation);
    assert_true(fabs(mean) < 0.02 * 4 / 64);
    assert_true(fabs(deviation - 0.02) < 0.001);
    fill(INITIALIZER_UNIFORM, 0.3, shape_of(64, 64), 7, numbers);
    moments(numbers, MOST, &mean, &deviation);
    assert_true(fabs(mean) < 0.02);
    assert_true(fabs(deviation - 0.3 / sqrt(3)) < 0.005);
    for (int i = 0; i < MOST; i++) assert_true(fabs((double)numbers[i]) <= 0.3);
}

/* The rows or the columns, whichever are fewer, are orthogonal and have length `gain`. */
static void check_orthogonal(Shape shape, double gain) {
    static real q[MOST];
    fill(INITIALIZER_ORTHOGONAL, gain, shape, 3, q);
    size_t columns = (size_t)shape.size[shape.rank - 1], rows = (size_t)shape_count(shape) / columns;
    size_t few = rows < columns ? rows : columns, many = rows < columns ? columns : rows;
    for (size_t i = 0; i < few; i++)
        for (size_t j = 0; j <= i; j++) {
            double product = 0;
            for (size_t k = 0; k < many; k++)
                product += rows < columns ? (double)q[i * columns + k] * (double)q[j * columns + k]
                                          : (double)q[k * columns + i] * (double)q[k * columns + j];
            assert_true(fabs(product - (i == j ? gain * gain : 0)) < 1e-5 * gain * gain);
        }
}

static void test_orthogonal(void **unused) {
    (void)unused;
    check_orthogonal(shape_of(5, 5), 1);
    check_orthogonal(shape_of(3, 3, 4, 8), 1.4142135623730951);
    check_orthogonal(shape_of(2, 2, 1, 32), 0.5);
    check_orthogonal(shape_of(7), 1);
    check_orthogonal(shape_of(1, 1), 2);
}

/* Columns point anywhere: with R's signs left as they are, the first number of Q would never be positive. */
static void test_orthogonal_is_even(void **unused) {
    (void)unused;
    int positive = 0;
    for (uint64_t key = 0; key < 200; key++) {
        real q[9];
        fill(INITIALIZER_ORTHOGONAL, 1, shape_of(3, 3), key, q);
        positive += q[0] > 0;
    }
    assert_in_range(positive, 70, 130);
}

static void test_pure(void **unused) {
    (void)unused;
    for (int kind = 0; kind < INITIALIZER_KINDS; kind++) {
        real a[32], b[32], c[32];
        fill((InitializerKind)kind, 1, shape_of(8, 4), 5, a);
        fill((InitializerKind)kind, 1, shape_of(8, 4), 5, b);
        fill((InitializerKind)kind, 1, shape_of(8, 4), 6, c);
        assert_memory_equal(a, b, sizeof a);
        assert_int_equal(memcmp(a, c, sizeof a) == 0, kind == INITIALIZER_CONSTANT);
        assert_string_not_equal(initializer_text((InitializerKind)kind), "");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_constant), cmocka_unit_test(test_random_kinds),
                                       cmocka_unit_test(test_orthogonal),
                                       cmocka_unit_test(test_orthogonal_is_even),
                                       cmocka_unit_test(test_pure)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
