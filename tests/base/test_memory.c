/* What everything stands on: errors, memory, shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"
#include "gan/graph/shape.h"

/* ---- errors -------------------------------------------------------------------------------------------- */
enum { MESSAGE = sizeof((Error *)0)->message };

static void assert_letters(const char *text, char letter, size_t count) {
    for (size_t i = 0; i < count; i++) assert_int_equal(text[i], letter);
}

static void test_error_is_set(void **state) {
    (void)state;
    Error error = {STATUS_OK, "before"};
    assert_int_equal(error_set(&error, STATUS_IO, "%s: line %d", "a file", 7), STATUS_IO);
    assert_int_equal(error.status, STATUS_IO);
    assert_string_equal(error.message, "a file: line 7");
    assert_int_equal(error_set(NULL, STATUS_CORRUPT, "nobody %s", "listens"), STATUS_CORRUPT);
    assert_int_equal(error_no_memory(&error, "64 images"), STATUS_NO_MEMORY);
    assert_int_equal(error.status, STATUS_NO_MEMORY);
    assert_string_equal(error.message, "out of memory: no room for 64 images");
    assert_int_equal(error_no_memory(NULL, "nothing"), STATUS_NO_MEMORY);
}

static void test_long_messages_are_cut(void **state) {
    (void)state;
    char text[2 * MESSAGE];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    Error error;
    assert_int_equal(error_set(&error, STATUS_INVALID, "%s", text), STATUS_INVALID);
    assert_int_equal(strlen(error.message), MESSAGE - 1);
    assert_letters(error.message, 'x', MESSAGE - 1);
}

static void test_error_is_prefixed(void **state) {
    (void)state;
    Error error;
    error_set(&error, STATUS_CORRUPT, "no such table");
    assert_int_equal(error_prefix(&error, "%s:%d: ", "run.db", 3), STATUS_CORRUPT);
    assert_int_equal(error.status, STATUS_CORRUPT);
    assert_string_equal(error.message, "run.db:3: no such table");
    error_prefix(&error, "runs/");
    assert_string_equal(error.message, "runs/run.db:3: no such table");
    error_prefix(NULL, "nobody listens");
}

static void test_prefixed_messages_are_cut(void **state) {
    (void)state;
    char text[2 * MESSAGE];
    memset(text, 'p', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t length = MESSAGE - 8; length <= MESSAGE + 8; length++) {
        Error error;
        error_set(&error, STATUS_IO, "mmmmmm");
        assert_int_equal(error_prefix(&error, "%.*s", (int)length, text), STATUS_IO);
        size_t prefix = length < MESSAGE - 1 ? length : MESSAGE - 1;
        size_t rest = MESSAGE - 1 - prefix < 6 ? MESSAGE - 1 - prefix : 6;
        assert_int_equal(strlen(error.message), prefix + rest);
        assert_letters(error.message, 'p', prefix);
        assert_letters(error.message + prefix, 'm', rest);
    }
}

/* ---- memory -------------------------------------------------------------------------------------------- */
static void test_memory_is_aligned_and_zeroed(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) /* again, so that freed blocks come back */
        for (size_t count = 0; count < 300; count += 7) {
            unsigned char *block = memory_new(count, 3);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % 64, 0);
            for (size_t i = 0; i < count * 3; i++) {
                assert_int_equal(block[i], 0);
                block[i] = 0xff;
            }
            memory_free(block);
        }
    memory_free(NULL);
}

static void test_memory_refuses_what_cannot_be(void **state) {
    (void)state;
    assert_null(memory_new(SIZE_MAX, 2));
    assert_null(memory_new(SIZE_MAX / 8 + 2, 8));
    assert_null(memory_new(SIZE_MAX, 1)); /* no product overflows, but rounding up to a whole line would */
    assert_null(memory_new(1, SIZE_MAX - 63));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* these stop the program instead */
    assert_null(memory_new(SIZE_MAX / 4, 1));
    char *block = memory_resize(NULL, 4);
    assert_non_null(block);
    memcpy(block, "old", 4);
    assert_null(memory_resize(block, SIZE_MAX / 4));
    assert_string_equal(block, "old");
    memory_free(block);
#endif
}

static void test_memory_is_resized(void **state) {
    (void)state;
    char *block = memory_resize(NULL, 6);
    assert_non_null(block);
    memcpy(block, "brood", 6);
    block = memory_resize(block, 100000);
    assert_string_equal(block, "brood");
    block = memory_resize(block, 3);
    assert_memory_equal(block, "bro", 3);
    block = memory_resize(block, 0); /* still a block */
    assert_non_null(block);
    memory_free(block);
}

static void test_strings_are_copied(void **state) {
    (void)state;
    char text[] = "generator";
    char *copy = memory_string(text);
    text[0] = 'G';
    assert_string_equal(copy, "generator");
    memory_free(copy);
    copy = memory_string("");
    assert_string_equal(copy, "");
    memory_free(copy);
    assert_null(memory_string(NULL));
}

static void test_arrays_grow(void **state) {
    (void)state;
    void *block = NULL;
    size_t room = 0, grown = 0;
    for (size_t count = 0; count < 1000; count++) {
        size_t before = room;
        assert_true(memory_grow(&block, count, &room, sizeof(size_t)));
        assert_true(room > count);
        if (room != before) {
            grown++;
            assert_int_equal(room, before ? 2 * before : 8);
        }
        ((size_t *)block)[count] = count * count;
    }
    assert_int_equal(grown, 8); /* 8, 16, ... 1024 */
    for (size_t i = 0; i < 1000; i++) assert_int_equal(((size_t *)block)[i], i * i);
    memory_free(block);
}

static void test_arrays_that_cannot_grow_stay(void **state) {
    (void)state;
    int item = 5;
    static const size_t ROOMS[] = {SIZE_MAX / 2 + 1, SIZE_MAX / 8, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof ROOMS / sizeof *ROOMS; i++) {
        void *block = &item;
        size_t room = ROOMS[i];
        assert_false(memory_grow(&block, room, &room, 8));
        assert_ptr_equal(block, &item);
        assert_int_equal(room, ROOMS[i]);
    }
}

/* ---- shapes -------------------------------------------------------------------------------------------- */
static void test_shapes_are_made(void **state) {
    (void)state;
    Shape shape = shape_of(64, 32, 32, 3);
    assert_int_equal(shape.rank, 4);
    assert_int_equal(shape.size[0], 64);
    assert_int_equal(shape.size[3], 3);
    assert_int_equal(shape_count(shape), 64 * 32 * 32 * 3);
    assert_int_equal(shape_scalar().rank, 0);
    assert_int_equal(shape_count(shape_scalar()), 1);
    assert_int_equal(shape_of(1, 2, 3, 4, 5, 6, 7, 8).rank, SHAPE_AXES);
}

static void test_shapes_are_compared(void **state) {
    (void)state;
    assert_true(shape_equal(shape_of(2, 3), shape_of(2, 3)));
    assert_true(shape_equal(shape_scalar(), shape_scalar()));
    assert_false(shape_equal(shape_of(2, 3), shape_of(3, 2)));
    assert_false(shape_equal(shape_of(2, 3), shape_of(2, 3, 1)));
    assert_false(shape_equal(shape_scalar(), shape_of(1)));
    Shape rest = shape_of(2, 3);
    rest.size[5] = 77; /* beyond the rank: of no account */
    assert_true(shape_equal(rest, shape_of(2, 3)));
}

static void assert_shape_text(Shape shape, const char *expected) {
    char text[SHAPE_TEXT];
    assert_ptr_equal(shape_text(shape, text), text);
    assert_string_equal(text, expected);
}

static void test_shapes_have_a_text(void **state) {
    (void)state;
    assert_shape_text(shape_of(64, 32, 32, 3), "(64, 32, 32, 3)");
    assert_shape_text(shape_of(7), "(7)");
    assert_shape_text(shape_scalar(), "()");
    assert_shape_text(shape_of(-2, 0), "(-2, 0)");
    assert_shape_text(shape_of(1, 2, 3, 4, 5, 6, 7, 8), "(1, 2, 3, 4, 5, 6, 7, 8)");
}

/* Shapes that no check would pass are printed too, in error messages: cut, but within their room. */
static void test_long_texts_are_cut(void **state) {
    (void)state;
    const int64_t least = INT64_MIN;
    Shape shape = shape_of(least, least, least, least, least, least, least, least);
    char text[SHAPE_TEXT + 1];
    memset(text, '#', sizeof text);
    shape_text(shape, text);
    assert_int_equal(strnlen(text, sizeof text), SHAPE_TEXT - 1);
    assert_int_equal(text[SHAPE_TEXT], '#');
    assert_memory_equal(text, "(-9223372036854775808, -9223372036854775808, ", 45);
}

static void assert_shape_refused(Shape shape, const char *message) {
    Error error = {STATUS_OK, ""};
    assert_int_equal(shape_check(&shape, &error), STATUS_INVALID);
    assert_string_equal(error.message, message);
    assert_int_equal(shape_check(&shape, NULL), STATUS_INVALID);
}

static void assert_shape_passes(Shape shape) {
    Error error = {STATUS_OK, ""};
    assert_int_equal(shape_check(&shape, &error), STATUS_OK);
    assert_string_equal(error.message, "");
}

static void test_shapes_are_checked(void **state) {
    (void)state;
    assert_shape_passes(shape_scalar());
    assert_shape_passes(shape_of(1));
    assert_shape_passes(shape_of(1, 2, 3, 4, 5, 6, 7, 8));
    assert_shape_refused(shape_of(3, 0), "axis 2 of shape (3, 0) has size 0: at least 1 expected");
    assert_shape_refused(shape_of(-4, 2), "axis 1 of shape (-4, 2) has size -4: at least 1 expected");
    assert_shape_refused(shape_of(1, 2, 3, 4, 5, 6, 7, 8, 9), "a shape has at most 8 axes, this one 9");
    Shape negative = {.rank = -1};
    assert_shape_refused(negative, "a shape has at most 8 axes, this one -1");
}

/* 2^40 elements and no more, also where the product passes 2^63, 2^64, or comes round to something small. */
static void test_shapes_have_a_limit(void **state) {
    (void)state;
    assert_shape_passes(shape_of(SHAPE_LIMIT));
    assert_shape_passes(shape_of(1 << 20, 1 << 20));
    assert_int_equal(shape_count(shape_of(1 << 20, 1 << 20)), SHAPE_LIMIT);
    assert_shape_refused(shape_of(SHAPE_LIMIT + 1),
                         "shape (1099511627777) has more than 1099511627776 elements");
    assert_shape_refused(shape_of(1 << 20, 1 << 20, 2),
                         "shape (1048576, 1048576, 2) has more than 1099511627776 elements");
    assert_shape_refused(shape_of(1 << 30, 1 << 30, 1 << 4),
                         "shape (1073741824, 1073741824, 16) has more than 1099511627776 elements");
    const int64_t half = INT64_C(1) << 32;
    assert_shape_refused(shape_of(half, half),
                         "shape (4294967296, 4294967296) has more than 1099511627776 elements");
    assert_shape_refused(shape_of(3, INT64_MAX),
                         "shape (3, 9223372036854775807) has more than 1099511627776 elements");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_is_set),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_error_is_prefixed),
        cmocka_unit_test(test_prefixed_messages_are_cut),
        cmocka_unit_test(test_memory_is_aligned_and_zeroed),
        cmocka_unit_test(test_memory_refuses_what_cannot_be),
        cmocka_unit_test(test_memory_is_resized),
        cmocka_unit_test(test_strings_are_copied),
        cmocka_unit_test(test_arrays_grow),
        cmocka_unit_test(test_arrays_that_cannot_grow_stay),
        cmocka_unit_test(test_shapes_are_made),
        cmocka_unit_test(test_shapes_are_compared),
        cmocka_unit_test(test_shapes_have_a_text),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_shapes_are_checked),
        cmocka_unit_test(test_shapes_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
