/* Layouts and states; what programs write into them: gradients, assignments; what they read: averages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/nets.h"
#include "tests/support/rig.h"

static const double CLOSE = sizeof(real) == sizeof(float) ? 1e-6 : 1e-13;

static void assert_ok(Status status, const Error *error) {
    if (status) fail_msg("%s", error->message);
}

/* ---- layouts ------------------------------------------------------------------------------------------- */

/* Two groups with parameters of awkward sizes and a variable, moments for one and averages for the other. */
static Layout *example_layout(Graph *graph) {
    Error error;
    graph_parameter(graph, "G", "g1", shape_of(3, 5));
    graph_parameter(graph, "D", "d1", shape_of(17));
    graph_variable(graph, "G", "mean", shape_of(5));
    graph_parameter(graph, "G", "g2", shape_scalar());
    graph_parameter(graph, "D", "d2", shape_of(2, 2, 2));
    Layout *layout = layout_new();
    assert_non_null(layout);
    assert_ok(layout_add_graph(layout, graph, &error), &error);
    assert_ok(layout_add_kind(layout, "D", LAYOUT_MOMENT1, &error), &error);
    assert_ok(layout_add_kind(layout, "D", LAYOUT_MOMENT2, &error), &error);
    assert_ok(layout_add_kind(layout, "G", LAYOUT_AVERAGE_PARAMETER, &error), &error);
    assert_ok(layout_add_kind(layout, "G", LAYOUT_AVERAGE_VARIABLE, &error), &error);
    assert_ok(layout_finish(layout, &error), &error);
    return layout;
}

static void test_layout_entries(void **unused) {
    (void)unused;
    Graph *graph = graph_new();
    Layout *layout = example_layout(graph);
    assert_int_equal(layout_count(layout), 5 + 2 * 2 + 2 + 1);
    static unsigned char taken[4096];
    memset(taken, 0, sizeof taken);
    size_t numbers = layout_numbers(layout);
    assert_true(numbers <= sizeof taken);
    for (size_t i = 0; i < layout_count(layout); i++) {
        const LayoutEntry *entry = layout_entry(layout, i);
        assert_int_equal(entry->offset % REAL_LANES, 0);
        assert_int_equal(entry->count, shape_count(entry->shape));
        assert_true(entry->offset + entry->count <= numbers);
        assert_ptr_equal(layout_find(layout, entry->kind, entry->name), entry);
        for (size_t n = 0; n < entry->count; n++) {
            assert_false(taken[entry->offset + n]);
            taken[entry->offset + n] = 1;
        }
        size_t count, start = layout_block(layout, entry->group, entry->kind, &count);
        assert_true(start <= entry->offset && entry->offset + entry->count <= start + count);
    }
    const LayoutEntry *g1 = layout_find(layout, LAYOUT_PARAMETER, "g1");
    assert_string_equal(g1->group, "G");
    assert_true(shape_equal(g1->shape, shape_of(3, 5)));
    assert_null(layout_find(layout, LAYOUT_MOMENT1, "g1"));
    assert_null(layout_find(layout, LAYOUT_PARAMETER, "nobody"));
    layout_free(layout);
    graph_free(graph);
}

/* Tensors of a block lie at the same distances from its start in every kind: one pass serves all. */
static void test_blocks_run_in_parallel(void **unused) {
    (void)unused;
    Graph *graph = graph_new();
    Layout *layout = example_layout(graph);
    const struct {
        const char *group, *name;
        LayoutKind kind, other;
    } pairs[] = {{"D", "d1", LAYOUT_PARAMETER, LAYOUT_MOMENT1},
                 {"D", "d2", LAYOUT_PARAMETER, LAYOUT_MOMENT2},
                 {"G", "g2", LAYOUT_PARAMETER, LAYOUT_AVERAGE_PARAMETER},
                 {"G", "mean", LAYOUT_VARIABLE, LAYOUT_AVERAGE_VARIABLE}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t count, other_count;
        size_t start = layout_block(layout, pairs[i].group, pairs[i].kind, &count);
        size_t other_start = layout_block(layout, pairs[i].group, pairs[i].other, &other_count);
        assert_int_equal(count, other_count);
        assert_int_equal(start % REAL_LANES, 0);
        assert_int_equal(layout_find(layout, pairs[i].kind, pairs[i].name)->offset - start,
                         layout_find(layout, pairs[i].other, pairs[i].name)->offset - other_start);
    }
    size_t count = 1;
    layout_block(layout, "G", LAYOUT_MOMENT1, &count);
    assert_int_equal(count, 0);
    count = 1;
    layout_block(layout, "nobody", LAYOUT_PARAMETER, &count);
    assert_int_equal(count, 0);
    for (int kind = 0; kind < LAYOUT_KINDS; kind++)
        for (int other = 0; other < kind; other++)
            assert_string_not_equal(layout_kind_text((LayoutKind)kind), layout_kind_text((LayoutKind)other));
    layout_free(layout);
    graph_free(graph);
}

static void test_layout_errors(void **unused) {
    (void)unused;
    Error error = {.status = STATUS_OK};
    Graph *graph = graph_new(), *other = graph_new(), *kind = graph_new();
    Layout *layout = layout_new();
    graph_parameter(graph, "G", "weights", shape_of(3, 5));
    graph_parameter(other, "G", "weights", shape_of(4, 5));
    graph_variable(kind, "G", "weights", shape_of(3, 5));
    assert_ok(layout_add_graph(layout, graph, &error), &error);
    assert_ok(layout_add_graph(layout, graph, &error), &error);
    assert_int_equal(layout_count(layout), 1);
    assert_int_equal(layout_add_graph(layout, other, &error), STATUS_INVALID);
    check_contains(error.message, "weights");
    check_contains(error.message, "(3, 5)");
    check_contains(error.message, "(4, 5)");
    assert_int_equal(layout_add_graph(layout, kind, &error), STATUS_INVALID);
    check_contains(error.message, "weights");
    assert_ok(layout_finish(layout, &error), &error);
    graph_parameter(graph, "G", "late", shape_of(2));
    assert_int_equal(layout_add_graph(layout, graph, &error), STATUS_INVALID);
    check_contains(error.message, "late");
    layout_free(layout);
    graph_free(graph);
    graph_free(other);
    graph_free(kind);
}

static void test_states(void **unused) {
    (void)unused;
    Error error;
    Graph *graph = graph_new();
    Layout *layout = example_layout(graph);
    State state, copy;
    assert_ok(state_new(&state, layout, &error), &error);
    assert_ok(state_new(&copy, layout, &error), &error);
    assert_int_equal((uintptr_t)state.data % REAL_ALIGNMENT, 0);
    for (size_t i = 0; i < layout_numbers(layout); i++) assert_true(state.data[i] == 0);
    real *g1 = state_tensor(&state, LAYOUT_PARAMETER, "g1");
    assert_ptr_equal(g1, state.data + layout_find(layout, LAYOUT_PARAMETER, "g1")->offset);
    assert_null(state_tensor(&state, LAYOUT_VARIABLE, "g1"));
    for (size_t i = 0; i < layout_numbers(layout); i++) state.data[i] = (real)i;
    g1[14] = 3;
    state_copy(&copy, &state);
    check_same_bits("the copy", copy.data, state.data, layout_numbers(layout));
    g1[14] = 4;
    assert_true(state_tensor(&copy, LAYOUT_PARAMETER, "g1")[14] == 3);
    size_t count, start = layout_block(layout, "D", LAYOUT_MOMENT2, &count), same;
    assert_ptr_equal(state_block(&state, "D", LAYOUT_MOMENT2, &same), state.data + start);
    assert_int_equal(count, same);
    state_free(&state);
    state_free(&copy);
    layout_free(layout);
    graph_free(graph);
}

/* ---- gradients in the workspace ------------------------------------------------------------------------ */

/* Gradients that need work, that are a leaf, a constant, or the very same node twice, and one left out: each
 * lies where its parameter does, and what no gradient fills is zero, run after run. */
static void test_gradient_block(void **unused) {
    (void)unused;
    enum { COUNT = 5 };
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Shape shape = shape_of(COUNT);
    Node *x = graph_input(g, "x", shape), *p[6];
    static const char *const NAME[] = {"worked", "leaf", "constant", "same", "same again", "left out"};
    for (int i = 0; i < 6; i++) p[i] = graph_parameter(g, "G", NAME[i], shape);
    Node *h = graph_tanh(g, x);
    Node *terms = graph_add(g, graph_square(g, p[0]), graph_mul(g, p[1], x));
    terms = graph_add(g, terms, graph_add(g, graph_scale(g, p[2], 3), graph_mul(g, p[3], h)));
    terms = graph_add(g, terms, graph_add(g, graph_mul(g, p[4], h), graph_exp(g, p[5])));
    rig_want(&rig, "tanh", h);
    rig_descend(&rig, graph_sum_all(g, terms), p, 5);
    rig_compile(&rig, RIG_FUSED);
    const double values[COUNT] = {0.5, -1, 2, 0.25, -0.75};
    size_t count, start = layout_block(rig.layout, "G", LAYOUT_PARAMETER, &count), same;
    for (size_t i = 0; i < count; i++) rig.state.data[start + i] = 9; /* gaps too: they must not matter */
    for (int n = 0; n < COUNT; n++) rig_tensor(&rig, "worked")[n] = (real)n;
    assert_null(workspace_gradients(rig.workspace, rig.program, "D", &same));
    for (int round = 0; round < 2; round++) {
        real *block = workspace_gradients(rig.workspace, rig.program, "G", &same);
        assert_non_null(block);
        assert_int_equal(same, count);
        assert_int_equal((uintptr_t)block % REAL_ALIGNMENT, 0);
        for (size_t i = 0; i < count; i++) block[i] = (real)NAN; /* what an earlier program may have left */
        rig_set(&rig, "x", values);
        rig_run(&rig);
        double expected[256] = {0};
        assert_true(count <= 256);
        for (int i = 0; i < 5; i++) {
            size_t offset = layout_find(rig.layout, LAYOUT_PARAMETER, NAME[i])->offset - start;
            for (int n = 0; n < COUNT; n++)
                expected[offset + (size_t)n] = i == 0   ? 2 * n
                                               : i == 1 ? values[n]
                                               : i == 2 ? 3
                                                        : tanh(values[n]);
        }
        check_near("the block of gradients", block, expected, count, CLOSE);
        for (size_t i = 0; i < count; i++)
            if (expected[i] == 0) assert_true(block[i] == 0);
    }
    rig_close(&rig);
}

/* ---- outputs ------------------------------------------------------------------------------------------- */

/* Leaves, one node under two names, and inner values that others are computed from. */
static void test_outputs(void **unused) {
    (void)unused;
    const double values[] = {1, 2, 3, 4, 5, 6};
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Node *x = graph_input(g, "x", shape_of(2, 3)), *unused_input = graph_input(g, "not needed", shape_of(4));
    Node *p = graph_parameter(g, "", "p", shape_of(2, 3)), *y = graph_mul(g, x, p);
    Node *z = graph_offset(g, y, 1), *sum = graph_sum(g, z, 2);
    assert_non_null(unused_input);
    rig_want(&rig, "input", x);
    rig_want(&rig, "parameter", p);
    rig_want(&rig, "inner", y);
    rig_want(&rig, "inner again", y);
    rig_want(&rig, "reshaped", graph_reshape(g, y, shape_of(6)));
    rig_want(&rig, "sum", sum);
    rig_want(&rig, "constant", graph_constant(g, 4));
    rig_compile(&rig, RIG_FUSED);
    assert_int_equal(program_inputs(rig.program), 1);
    assert_int_equal(program_input_index(rig.program, "not needed"), -1);
    assert_int_equal(program_outputs(rig.program), 7);
    assert_int_equal(program_output_index(rig.program, "nothing"), -1);
    assert_string_equal(program_output_name(rig.program, (size_t)program_output_index(rig.program, "sum")),
                        "sum");
    assert_true(shape_equal(
        program_output_shape(rig.program, (size_t)program_output_index(rig.program, "sum")), shape_of(2, 1)));
    for (int i = 0; i < 6; i++) rig_tensor(&rig, "p")[i] = (real)(i + 1);
    const double product[] = {1, 4, 9, 16, 25, 36}, sums[] = {17, 80};
    for (int round = 0; round < 2; round++) {
        rig_set(&rig, "x", values);
        rig_run(&rig);
        check_near("input", rig_get(&rig, "input"), values, 6, CLOSE);
        check_near("parameter", rig_get(&rig, "parameter"), values, 6, CLOSE);
        check_near("inner", rig_get(&rig, "inner"), product, 6, CLOSE);
        check_near("inner again", rig_get(&rig, "inner again"), product, 6, CLOSE);
        check_near("reshaped", rig_get(&rig, "reshaped"), product, 6, CLOSE);
        check_near("sum", rig_get(&rig, "sum"), sums, 2, CLOSE);
        assert_true(rig_number(&rig, "constant") == 4);
    }
    rig_close(&rig);
}

/* ---- assignments --------------------------------------------------------------------------------------- */

/* a and b change places, c takes a's old value, d a leaf, e a constant, f its own double; y sees the old a.
 */
static void check_old_values(RigMode mode) {
    enum { COUNT = 40 };
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Shape shape = shape_of(COUNT);
    static const char *const NAME[] = {"a", "b", "c", "d", "e", "f"};
    Node *v[6];
    for (int i = 0; i < 6; i++) v[i] = graph_variable(g, i % 2 ? "G" : "D", NAME[i], shape);
    rig_assign(&rig, v[0], v[1]);
    rig_assign(&rig, v[1], v[0]);
    rig_assign(&rig, v[2], graph_offset(g, v[0], 0.5));
    rig_assign(&rig, v[3], graph_input(g, "x", shape));
    rig_assign(&rig, v[4], graph_expand(g, graph_constant(g, 5), shape));
    rig_assign(&rig, v[5], graph_add(g, v[5], v[5]));
    rig_want(&rig, "y", graph_scale(g, v[0], 2));
    rig_want(&rig, "a itself", v[0]);
    rig_compile(&rig, mode);
    double x[COUNT], a = 1, b = 2, f = 3;
    for (int n = 0; n < COUNT; n++) x[n] = n;
    for (int i = 0; i < 6; i++)
        for (int n = 0; n < COUNT; n++) rig_tensor(&rig, NAME[i])[n] = (real)(i == 0 ? a : i == 1 ? b : f);
    for (int round = 0; round < 3; round++) {
        rig_set(&rig, "x", x);
        rig_run(&rig);
        for (int n = 0; n < COUNT; n++) {
            assert_true((double)rig_get(&rig, "y")[n] == 2 * a);
            assert_true((double)rig_get(&rig, "a itself")[n] == a);
            assert_true((double)rig_tensor(&rig, "a")[n] == b);
            assert_true((double)rig_tensor(&rig, "b")[n] == a);
            assert_true((double)rig_tensor(&rig, "c")[n] == a + 0.5);
            assert_true((double)rig_tensor(&rig, "d")[n] == n);
            assert_true((double)rig_tensor(&rig, "e")[n] == 5);
            assert_true((double)rig_tensor(&rig, "f")[n] == 2 * f);
        }
        double swap = a;
        a = b, b = swap, f *= 2;
    }
    rig_close(&rig);
}

static void test_assignments_see_old_values(void **unused) {
    (void)unused;
    check_old_values(RIG_FUSED);
    check_old_values(RIG_PLAIN);
}

/* Running mean and variance of three batches, as batch norm keeps them. */
static void test_running_statistics(void **unused) {
    (void)unused;
    enum { BATCH = 6, CHANNELS = 3, ROUNDS = 3 };
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Net net = net_new(g, "G");
    Node *x = graph_input(g, "x", shape_of(BATCH, CHANNELS));
    rig_want(&rig, "y", net_batch_norm(&net, "norm", x));
    static const char *const NAME[] = {"mean", "variance"};
    for (int i = 0; i < 2; i++) {
        Node *kept = graph_variable(g, "G", NAME[i], shape_of(CHANNELS));
        Node *fresh = graph_scale(g, net.moments[i], 0.25);
        rig_assign(&rig, kept, graph_add(g, graph_scale(g, kept, 0.75), fresh));
    }
    rig_compile(&rig, RIG_FUSED);
    double kept[2][CHANNELS] = {{0}};
    Draw draw = draw_from(3);
    for (int round = 0; round < ROUNDS; round++) {
        double values[BATCH * CHANNELS];
        draw_fill(&draw, values, BATCH * CHANNELS, -2, 3);
        rig_set(&rig, "x", values);
        rig_run(&rig);
        for (int c = 0; c < CHANNELS; c++) {
            double mean = 0, variance = 0;
            for (int n = 0; n < BATCH; n++) mean += values[n * CHANNELS + c] / BATCH;
            for (int n = 0; n < BATCH; n++) {
                double off = values[n * CHANNELS + c] - mean;
                variance += off * off / BATCH;
            }
            kept[0][c] = 0.75 * kept[0][c] + 0.25 * mean;
            kept[1][c] = 0.75 * kept[1][c] + 0.25 * variance;
        }
        for (int i = 0; i < 2; i++)
            check_near(NAME[i], rig_tensor(&rig, NAME[i]), kept[i], CHANNELS, CLOSE * 5);
    }
    rig_close(&rig);
}

static Node *normalized(Graph *g, Node *vector) {
    Node *length = graph_sqrt(g, graph_sum_all(g, graph_square(g, vector)));
    return graph_div(g, vector, length);
}

/* Spectral norm's power iteration: singular values of (3 0; 4 5) are √45 and √5. One iteration a run. */
static void test_power_iteration(void **unused) {
    (void)unused;
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Node *w = graph_parameter(g, "D", "w", shape_of(2, 2)), *u = graph_variable(g, "D", "u", shape_of(2, 1));
    Node *v = normalized(g, graph_matmul(g, w, u, true, false));
    Node *next = normalized(g, graph_matmul(g, w, v, false, false));
    rig_assign(&rig, u, next);
    rig_want(&rig, "norm", graph_sum_all(g, graph_mul(g, u, graph_matmul(g, w, v, false, false))));
    rig_compile(&rig, RIG_FUSED);
    const real weights[] = {3, 0, 4, 5};
    memcpy(rig_tensor(&rig, "w"), weights, sizeof weights);
    rig_tensor(&rig, "u")[0] = 1;
    rig_run(&rig);
    double first = rig_number(&rig, "norm");
    assert_true(first < 6); /* of the old u: 3 after one iteration, far from the end */
    for (int i = 0; i < 40; i++) rig_run(&rig);
    double expected = sqrt(45);
    check_near("the spectral norm", rig_get(&rig, "norm"), &expected, 1, CLOSE * 5);
    rig_close(&rig);
}

/* ---- averages ------------------------------------------------------------------------------------------ */

/* G has averages, D has none: a program that reads averages takes the former's and the latter's own. */
static void test_averages(void **unused) {
    (void)unused;
    Error error;
    Rig own, averaged;
    Rig *rigs[] = {&own, &averaged};
    for (int i = 0; i < 2; i++) {
        rig_open(rigs[i]);
        Graph *g = rigs[i]->graph;
        rig_want(rigs[i], "g", graph_scale(g, graph_parameter(g, "G", "g", shape_of(3)), 2));
        rig_want(rigs[i], "mean", graph_variable(g, "G", "mean", shape_of(3)));
        rig_want(rigs[i], "d", graph_scale(g, graph_parameter(g, "D", "d", shape_of(3)), 2));
    }
    Layout *layout = layout_new();
    assert_ok(layout_add_graph(layout, own.graph, &error), &error);
    assert_ok(layout_add_kind(layout, "G", LAYOUT_AVERAGE_PARAMETER, &error), &error);
    assert_ok(layout_add_kind(layout, "G", LAYOUT_AVERAGE_VARIABLE, &error), &error);
    assert_ok(layout_finish(layout, &error), &error);
    rig_compile_on(&own, layout, RIG_FUSED);
    rig_compile_on(&averaged, layout, RIG_AVERAGES);
    State state;
    assert_ok(state_new(&state, layout, &error), &error);
    for (int n = 0; n < 3; n++) {
        state_tensor(&state, LAYOUT_PARAMETER, "g")[n] = 1;
        state_tensor(&state, LAYOUT_AVERAGE_PARAMETER, "g")[n] = 10;
        state_tensor(&state, LAYOUT_VARIABLE, "mean")[n] = 2;
        state_tensor(&state, LAYOUT_AVERAGE_VARIABLE, "mean")[n] = 20;
        state_tensor(&state, LAYOUT_PARAMETER, "d")[n] = 3;
    }
    const double expected[2][3] = {{2, 2, 6}, {20, 20, 6}};
    static const char *const NAME[] = {"g", "mean", "d"};
    for (int i = 0; i < 2; i++) {
        rig_run_on(rigs[i], &state, 1, 1);
        for (int k = 0; k < 3; k++)
            for (int n = 0; n < 3; n++) assert_true((double)rig_get(rigs[i], NAME[k])[n] == expected[i][k]);
        rig_close(rigs[i]);
    }
    state_free(&state);
    layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout_entries),
        cmocka_unit_test(test_blocks_run_in_parallel),
        cmocka_unit_test(test_layout_errors),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_gradient_block),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_assignments_see_old_values),
        cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_power_iteration),
        cmocka_unit_test(test_averages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
