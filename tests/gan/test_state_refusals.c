/* State files that are refused: other architectures, with the differences named, and damage of every kind. */
#include "tests/gan/states.h"

#include <fcntl.h>

/* ---- other architectures ------------------------------------------------------------------------------- */

/* Loading into a state of the usual layout is refused, and leaves it alone. */
static void refuse(const char *path, Status status, const char *const *things) {
    Layout *layout = usual_layout();
    State state = state_of(layout), before = state_of(layout);
    fill_odd(&state);
    state_copy(&before, &state);
    Error error = {.status = STATUS_OK};
    ptrdiff_t live = alloc_live();
    assert_int_equal(state_load(&state, path, &error), status);
    assert_int_equal(alloc_live(), live);
    check_contains(error.message, path);
    assert_says(&error, status, things);
    assert_memory_equal(state.data, before.data, layout_numbers(layout) * sizeof(real));
    state_free(&state);
    state_free(&before);
    layout_free(layout);
}

#define SAYING(...) ((const char *const[]){__VA_ARGS__, NULL})

static void refuse_leaves(const char *folder, const Leaf *leaves, size_t count, int kinds,
                          const char *const *things) {
    Layout *layout = layout_of(leaves, count, kinds);
    State state = state_of(layout);
    refuse(save(&state, folder), STATUS_INVALID, things);
    state_free(&state);
    layout_free(layout);
}

static void test_other_architectures(void **folder) {
    enum { BOTH = MOMENTS | AVERAGES };
    Leaf leaves[LEAF_COUNT + 1];
    memcpy(leaves, LEAVES, sizeof LEAVES);
    leaves[0].shape = shape_of(3, 4);
    refuse_leaves(*folder, leaves, LEAF_COUNT, BOTH,
                  SAYING("another architecture", "G/parameter/conv1.w: (3, 5) here, (3, 4) in the file",
                         "G/moment2/conv1.w: (3, 5) here", "G/average_parameter/conv1.w: (3, 5) here"));
    leaves[0].shape = shape_of(15);
    refuse_leaves(*folder, leaves, LEAF_COUNT, BOTH,
                  SAYING("G/parameter/conv1.w: (3, 5) here, (15) in the file"));
    leaves[0] = LEAVES[0];
    leaves[2].group = "D";
    refuse_leaves(*folder, leaves, LEAF_COUNT, BOTH,
                  SAYING("G/variable/norm.mean: not in the file", "D/variable/norm.mean: only in the file"));
    leaves[2] = LEAVES[2];
    leaves[2].kind = LAYOUT_PARAMETER;
    refuse_leaves(*folder, leaves, LEAF_COUNT, PLAIN,
                  SAYING("(17 tensors here, 6 in the file)", "G/variable/norm.mean: not in the file",
                         "and 8 more that are not in the file", "G/parameter/norm.mean: only in the file"));
    leaves[2] = LEAVES[2];
    leaves[1].name = "renamed";
    refuse_leaves(*folder, leaves, LEAF_COUNT, MOMENTS,
                  SAYING("D/parameter/conv1.w': not in the file", "D/parameter/renamed: only in the file"));
    leaves[1] = LEAVES[1];
    leaves[LEAF_COUNT] = (Leaf){"D", "more", LAYOUT_PARAMETER, {1, {1}}};
    refuse_leaves(*folder, leaves, LEAF_COUNT + 1, BOTH,
                  SAYING("17 tensors here, 20 in the file", "D/parameter/more: only in the file"));
    refuse_leaves(*folder, LEAVES, LEAF_COUNT - 1, BOTH, SAYING("/variable/clock: not in the file"));
    leaves[LEAF_COUNT] = (Leaf){"", "last", LAYOUT_VARIABLE, {1, {1}}};
    refuse_leaves(*folder, leaves, LEAF_COUNT + 1, BOTH, SAYING("/variable/last: only in the file"));
    leaves[0] = LEAVES[3], leaves[3] = LEAVES[0];
    refuse_leaves(*folder, leaves, LEAF_COUNT, BOTH,
                  SAYING("the order: tensor 1 is G/parameter/conv1.w here, G/parameter/scale in the file"));
    refuse_leaves(*folder, NULL, 0, PLAIN, SAYING("17 tensors here, 0 in the file"));
}

/* Of each sort of difference the first few are told, one a line. */
static void test_many_differences(void **folder) {
    Layout *layout = layout_of(LEAVES, 2, PLAIN), *here = usual_layout();
    State saved = state_of(layout), state = state_of(here);
    Error error = {.status = STATUS_OK};
    assert_int_equal(state_load(&state, save(&saved, *folder), &error), STATUS_INVALID);
    size_t lines = 0;
    for (const char *at = error.message; (at = strchr(at, '\n')); at++) lines++;
    assert_int_equal(lines, 4 + 1);
    check_contains(error.message, ": not in the file\n  and 11 more that are not in the file");
    state_free(&saved);
    state_free(&state);
    layout_free(layout);
    layout_free(here);
}

/* Differences of the longest names leave the message readable. */
static void test_long_names(void **folder) {
    enum { COUNT = 12, LONGEST = 200 };
    static char names[COUNT][LONGEST + 1];
    Leaf leaves[COUNT];
    for (int i = 0; i < COUNT; i++) {
        memset(names[i], 'a' + i, LONGEST);
        leaves[i] =
            (Leaf){names[COUNT - 1 - i], names[i], LAYOUT_PARAMETER, {8, {1, 1, 1, 1, 1, 1, 1, 1 + i}}};
        memset(names[i], 'a' + i, LONGEST);
    }
    for (int i = 0; i < COUNT; i++) leaves[i].group = names[0];
    Layout *layout = layout_of(leaves, COUNT, PLAIN);
    for (int i = 0; i < COUNT; i += 2) leaves[i].shape.size[0] = 1 << 20;
    for (int i = 1; i < COUNT; i += 2) leaves[i].group = "G";
    Layout *other = layout_of(leaves, COUNT, PLAIN);
    State state = state_of(layout), here = state_of(other);
    Error error = {.status = STATUS_OK};
    assert_int_equal(state_load(&here, save(&state, *folder), &error), STATUS_INVALID);
    ASSERT_SAYS(&error, STATUS_INVALID, "(12 tensors here, 12 in the file)",
                "aaaa: (1048576, 1, 1, 1, 1, 1, 1, 1) here");
    assert_true(strlen(error.message) < sizeof error.message);
    state_free(&state);
    state_free(&here);
    layout_free(layout);
    layout_free(other);
}

static void test_other_number_type(void **folder) {
    static const Leaf ONE = {"G", "a", LAYOUT_PARAMETER, {1, {2}}};
    static const double numbers[2];
    const SafetensorsTensor tensor = {.name = "G/parameter/a",
                                      .type = SAFETENSORS_REAL == SAFETENSORS_F32 ? SAFETENSORS_F64
                                                                                  : SAFETENSORS_F32,
                                      .shape = shape_of(2),
                                      .numbers = numbers};
    SafetensorsDraft draft;
    assert_int_equal(safetensors_draft(&draft, &tensor, 1, NULL, 0, NULL), STATUS_OK);
    const char *path = path_in(*folder, "other");
    assert_int_equal(file_save(path, draft.pieces, draft.count, NULL), STATUS_OK);
    safetensors_draft_free(&draft);
    refuse(path, STATUS_INVALID, SAYING("its numbers are F", "this build", "'G/parameter/a'"));
    Layout *layout = layout_of(&ONE, 1, PLAIN);
    State state = state_of(layout);
    Error error;
    assert_int_equal(state_load(&state, path, &error), STATUS_INVALID);
    ASSERT_SAYS(&error, STATUS_INVALID, "its numbers are F", "this build");
    state_free(&state);
    layout_free(layout);
}

/* ---- damage -------------------------------------------------------------------------------------------- */

/* A small file, so that every byte and every bit of it can be tried. */
static Layout *small_layout(void) {
    static const Leaf SMALL[] = {{"G", "a", LAYOUT_PARAMETER, {2, {2, 3}}},
                                 {"D", "b", LAYOUT_VARIABLE, {1, {10}}}};
    return layout_of(SMALL, 2, PLAIN);
}

static void test_truncated_anywhere(void **folder) {
    Layout *layout = small_layout();
    State state = state_of(layout);
    const char *path = path_in(*folder, "damaged");
    Error error = {.status = STATUS_OK};
    check_ok(state_save_as(&state, path, NULL, 0, &error), &error);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    for (off_t length = facts.st_size; length-- > 0;) {
        assert_int_equal(truncate(path, length), 0);
        assert_int_equal(state_load(&state, path, &error), STATUS_CORRUPT);
        check_contains(error.message, path);
    }
    state_free(&state);
    layout_free(layout);
}

static void test_every_bit_counts(void **folder) {
    Layout *layout = small_layout();
    State state = state_of(layout), before = state_of(layout);
    fill(&state, 1);
    state_copy(&before, &state);
    const char *path = path_in(*folder, "damaged");
    Error error = {.status = STATUS_OK};
    check_ok(state_save_as(&state, path, NULL, 0, &error), &error);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    ptrdiff_t live = alloc_live();
    uint8_t byte;
    for (off_t at = 0; pread(file, &byte, 1, at) == 1; at++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t damaged = (uint8_t)(byte ^ (1 << bit));
            assert_int_equal(pwrite(file, &damaged, 1, at), 1);
            if (state_load(&state, path, &error) == STATUS_OK)
                fail_msg("byte %ld is accepted as '%c' instead of '%c'", (long)at, damaged, byte);
            if (error.status != STATUS_CORRUPT && error.status != STATUS_INVALID)
                fail_msg("%s", error.message);
        }
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
    }
    close(file);
    assert_int_equal(alloc_live(), live);
    check_same_bits("the state", state.data, before.data, layout_numbers(layout));
    check_ok(state_load(&state, path, &error), &error); /* whole again */
    state_free(&state);
    state_free(&before);
    layout_free(layout);
}

/* Facts that are missing, or another layout's; a file under another state's name. */
static void test_what_a_header_must_say(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout), other = state_of(layout);
    Error error = {.status = STATUS_OK};
    fill(&other, 1);
    const char *path = save(&state, *folder), *second = save(&other, *folder),
               *copy = path_in(*folder, "copy");
    size_t size;
    uint8_t *bytes = file_content(path, &size);
    make_file(copy, bytes, size);
    check_ok(state_load(&other, copy, &error), &error); /* under any name but another hash */
    check_same_tensors(&other, &state);
    make_file(second, bytes, size);
    refuse(second, STATUS_CORRUPT, SAYING("damaged, or renamed"));
    static const char *const FACTS[] = {"layout", "numbers"};
    for (int i = 0; i < 2; i++) {
        char *fact = memmem(bytes, size, FACTS[i], strlen(FACTS[i]));
        assert_non_null(fact);
        fact[0] = 'x';
        make_file(copy, bytes, size);
        refuse(copy, STATUS_CORRUPT, SAYING("facts 'layout' and 'numbers'"));
        memcpy(fact, FACTS[i], strlen(FACTS[i]));
    }
    char *value = (char *)memmem(bytes, size, "layout", 6) + strlen("layout\":\"");
    *value = *value == '0' ? '1' : '0';
    make_file(copy, bytes, size);
    refuse(copy, STATUS_CORRUPT, SAYING("facts 'layout' and 'numbers'"));
    free(bytes);
    state_free(&state);
    state_free(&other);
    layout_free(layout);
}

static void test_what_is_no_state_file(void **folder) {
    refuse(path_in(*folder, "nobody"), STATUS_IO, SAYING("No such file"));
    refuse(*folder, STATUS_IO, SAYING("something else"));
    refuse("/dev/zero", STATUS_IO, SAYING("something else"));
    make_file(path_in(*folder, "text"), "This is no state file at all.", 29);
    refuse(path_in(*folder, "text"), STATUS_CORRUPT, SAYING("no safetensors file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_other_architectures),
        IN_FOLDER(test_many_differences),
        IN_FOLDER(test_long_names),
        IN_FOLDER(test_other_number_type),
        IN_FOLDER(test_truncated_anywhere),
        IN_FOLDER(test_every_bit_counts),
        IN_FOLDER(test_what_a_header_must_say),
        IN_FOLDER(test_what_is_no_state_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
