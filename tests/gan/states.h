/* What the tests of state files share: layouts, states, and folders that they are saved in. */
#ifndef BROOD_TESTS_GAN_STATES_H
#define BROOD_TESTS_GAN_STATES_H

#include "tests/data/made.h"

#include <dirent.h>
#include <float.h>
#include <math.h>

#include "gan/state_file.h"
#include "tests/support/alloc.h"
#include "tests/support/nets.h"
#include "tests/support/rig.h"

/* That files are synced is another test's matter (tests/base/test_file.c): here it would only take time. */
int fsync(int file) {
    (void)file;
    return 0;
}

/* ---- layouts and states -------------------------------------------------------------------------------- */

typedef struct {
    const char *group, *name;
    LayoutKind kind; /* parameter or variable */
    Shape shape;
} Leaf;

static const Leaf LEAVES[] = {{"G", "conv1.w", LAYOUT_PARAMETER, {2, {3, 5}}},
                              {"D", "conv1.w'", LAYOUT_PARAMETER, {1, {17}}},
                              {"G", "norm.mean", LAYOUT_VARIABLE, {1, {5}}},
                              {"G", "scale", LAYOUT_PARAMETER, {0, {0}}},
                              {"D", "fc \"\\\xc3\xa9/b", LAYOUT_PARAMETER, {3, {2, 2, 2}}},
                              {"", "clock", LAYOUT_VARIABLE, {1, {2}}}};
enum { LEAF_COUNT = sizeof LEAVES / sizeof *LEAVES };

/* Kinds that are added for both groups. */
enum { PLAIN = 0, MOMENTS = 1, AVERAGES = 2 };

static inline Layout *layout_of(const Leaf *leaves, size_t count, int kinds) {
    Graph *graph = graph_new();
    Error error;
    for (size_t i = 0; i < count; i++) {
        Node *node = leaves[i].kind == LAYOUT_PARAMETER
                         ? graph_parameter(graph, leaves[i].group, leaves[i].name, leaves[i].shape)
                         : graph_variable(graph, leaves[i].group, leaves[i].name, leaves[i].shape);
        assert_non_null(node);
    }
    Layout *layout = layout_new();
    assert_int_equal(layout_add_graph(layout, graph, &error), STATUS_OK);
    graph_free(graph);
    for (int kind = LAYOUT_MOMENT1; kind < LAYOUT_KINDS; kind++) {
        if (!(kinds & (kind < LAYOUT_AVERAGE_PARAMETER ? MOMENTS : AVERAGES))) continue;
        assert_int_equal(layout_add_kind(layout, "G", (LayoutKind)kind, &error), STATUS_OK);
        if (kind < LAYOUT_AVERAGE_PARAMETER)
            assert_int_equal(layout_add_kind(layout, "D", (LayoutKind)kind, &error), STATUS_OK);
    }
    assert_int_equal(layout_finish(layout, &error), STATUS_OK);
    return layout;
}

static inline Layout *usual_layout(void) {
    return layout_of(LEAVES, LEAF_COUNT, MOMENTS | AVERAGES);
}

static inline State state_of(const Layout *layout) {
    State state;
    assert_int_equal(state_new(&state, layout, NULL), STATUS_OK);
    return state;
}

static inline void fill_bytes(State *state, int byte) {
    memset(state->data, byte, layout_numbers(state->layout) * sizeof(real));
}

static inline void fill(State *state, uint64_t seed) {
    Draw draw = draw_from(seed);
    for (size_t i = 0; i < layout_count(state->layout); i++) {
        const LayoutEntry *entry = layout_entry(state->layout, i);
        for (size_t n = 0; n < entry->count; n++)
            state->data[entry->offset + n] = (real)draw_uniform(&draw, -3, 3);
    }
}

/* Random bits: NaNs of all sorts among them, and then a few numbers that must not be lost. */
static inline void fill_odd(State *state) {
    Draw draw = draw_from(7);
    unsigned char *bytes = (unsigned char *)state->data;
    for (size_t i = 0; i < layout_numbers(state->layout) * sizeof(real); i++)
        bytes[i] = (unsigned char)draw_bits(&draw);
    real *numbers = state_tensor(state, LAYOUT_PARAMETER, "conv1.w");
    const real odd[] = {
        (real)-0.0,      (real)NAN,
        -(real)NAN,      (real)INFINITY,
        -(real)INFINITY, sizeof(real) == sizeof(float) ? (real)FLT_TRUE_MIN : (real)DBL_TRUE_MIN};
    memcpy(numbers, odd, sizeof odd);
}

static inline void check_same_tensors(const State *got, const State *expected) {
    for (size_t i = 0; i < layout_count(expected->layout); i++) {
        const LayoutEntry *entry = layout_entry(expected->layout, i);
        const real *there = state_tensor(got, entry->kind, entry->name);
        assert_non_null(there);
        check_same_bits(entry->name, there, expected->data + entry->offset, entry->count);
    }
}

static inline void check_ok(Status status, const Error *error) {
    if (status) fail_msg("%s", error->message);
}

static inline int files_in(const char *folder) {
    DIR *list = opendir(folder);
    assert_non_null(list);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(list));) count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

/* Saves, and gives the path. */
static inline const char *save(const State *state, const char *folder) {
    char name[STATE_NAME];
    Error error = {.status = STATUS_OK};
    check_ok(state_save(state, folder, name, &error), &error);
    return path_in(folder, name);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_up, folder_down)

#endif
