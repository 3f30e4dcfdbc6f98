#include "tests/support/rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void rig_open(Rig *rig) {
    *rig = (Rig){.graph = graph_new()};
    assert_non_null(rig->graph);
}

void rig_close(Rig *rig) {
    workspace_free(rig->workspace);
    program_free(rig->program);
    if (rig->layout) state_free(&rig->state);
    layout_free(rig->layout);
    graph_free(rig->graph);
    *rig = (Rig){.graph = NULL};
}

Node *rig_node(const Rig *rig, Node *node) {
    const Error *error = graph_error(rig->graph);
    if (!node) fail_msg("no node: %s", error ? error->message : "and no error either");
    if (error) fail_msg("a node, and an error: %s", error->message);
    return node;
}

void rig_want(Rig *rig, const char *name, Node *node) {
    assert_true(rig->output_count < RIG_MOST);
    rig->outputs[rig->output_count++] = (ProgramOutput){.name = name, .node = rig_node(rig, node)};
}

void rig_assign(Rig *rig, Node *variable, Node *value) {
    assert_true(rig->assignment_count < RIG_MOST);
    rig->assignments[rig->assignment_count++] =
        (ProgramAssignment){.variable = rig_node(rig, variable), .value = rig_node(rig, value)};
}

void rig_descend(Rig *rig, Node *loss, Node *const *parameters, size_t count) {
    Node *gradients[RIG_MOST];
    assert_true(rig->gradient_count + count <= RIG_MOST);
    if (!graph_grad(rig->graph, rig_node(rig, loss), parameters, count, gradients))
        fail_msg("no gradient: %s", graph_error(rig->graph)->message);
    for (size_t i = 0; i < count; i++)
        rig->gradients[rig->gradient_count++] =
            (ProgramGradient){.parameter = parameters[i], .gradient = rig_node(rig, gradients[i])};
}

Layout *rig_layout(Rig *const *rigs, size_t count) {
    Error error = {.status = STATUS_OK};
    Layout *layout = layout_new();
    assert_non_null(layout);
    for (size_t i = 0; i < count; i++)
        if (layout_add_graph(layout, rigs[i]->graph, &error)) fail_msg("layout: %s", error.message);
    if (layout_finish(layout, &error)) fail_msg("layout: %s", error.message);
    return layout;
}

void rig_compile_on(Rig *rig, const Layout *layout, RigMode mode) {
    Error error = {.status = STATUS_OK};
    ProgramSpec spec = {.outputs = rig->outputs,
                        .output_count = rig->output_count,
                        .assignments = rig->assignments,
                        .assignment_count = rig->assignment_count,
                        .gradients = rig->gradients,
                        .gradient_count = rig->gradient_count,
                        .early = rig->early,
                        .read_averages = mode == RIG_AVERAGES,
                        .plain = mode == RIG_PLAIN,
                        .literal = mode == RIG_LITERAL,
                        .debug = mode == RIG_DEBUG};
    rig->program = program_new(rig->graph, layout, &spec, &error);
    if (!rig->program) fail_msg("no program: %s", error.message);
    rig->workspace = workspace_new();
    assert_non_null(rig->workspace);
    if (workspace_reserve(rig->workspace, rig->program, &error)) fail_msg("workspace: %s", error.message);
}

void rig_compile(Rig *rig, RigMode mode) {
    Error error = {.status = STATUS_OK};
    rig->layout = rig_layout(&rig, 1);
    if (state_new(&rig->state, rig->layout, &error)) fail_msg("state: %s", error.message);
    rig_compile_on(rig, rig->layout, mode);
}

void rig_set(Rig *rig, const char *input, const double *values) {
    int index = program_input_index(rig->program, input);
    if (index < 0) return;
    real *into = workspace_input(rig->workspace, rig->program, (size_t)index);
    assert_non_null(into);
    int64_t count = shape_count(program_input_shape(rig->program, (size_t)index));
    for (int64_t i = 0; i < count; i++) into[i] = (real)values[i];
}

void rig_set_number(Rig *rig, const char *input, double value) {
    rig_set(rig, input, &value);
}

real *rig_tensor(Rig *rig, const char *name) {
    real *parameter = state_tensor(&rig->state, LAYOUT_PARAMETER, name);
    real *tensor = parameter ? parameter : state_tensor(&rig->state, LAYOUT_VARIABLE, name);
    if (!tensor) fail_msg("the state has no %s", name);
    return tensor;
}

void rig_run_on(Rig *rig, State *state, uint64_t key, uint64_t counter) {
    Error error = {.status = STATUS_OK};
    if (program_run(rig->program, state, rig->workspace, key, counter, &error))
        fail_msg("the run failed: %s", error.message);
}

void rig_run(Rig *rig) {
    rig_run_on(rig, &rig->state, 1, 1);
}

static size_t output_index(const Rig *rig, const char *output) {
    int index = program_output_index(rig->program, output);
    if (index < 0) fail_msg("the program has no output %s", output);
    return (size_t)index;
}

const real *rig_get(const Rig *rig, const char *output) {
    return workspace_output(rig->workspace, rig->program, output_index(rig, output));
}

size_t rig_count(const Rig *rig, const char *output) {
    return (size_t)shape_count(program_output_shape(rig->program, output_index(rig, output)));
}

double rig_number(const Rig *rig, const char *output) {
    assert_int_equal(rig_count(rig, output), 1);
    return (double)*rig_get(rig, output);
}

/* What counts as all zeros: finite differences leave some rounding. */
static const double NAUGHT = 1e-10;

double check_distance(const real *got, const double *expected, size_t count) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)got[i] - expected[i];
        difference += d * d;
        norm += expected[i] * expected[i];
    }
    return sqrt(norm > NAUGHT * NAUGHT ? difference / norm : difference);
}

void check_near(const char *what, const real *got, const double *expected, size_t count, double tolerance) {
    double distance = check_distance(got, expected, count);
    if (distance < tolerance) return; /* false for a NaN, as it must be */
    size_t worst = 0;
    double largest = -1;
    for (size_t i = 0; i < count; i++) {
        double d = fabs((double)got[i] - expected[i]);
        if (!(d <= largest)) worst = i, largest = isnan(d) ? (double)INFINITY : d;
    }
    fail_msg("%s: distance %.3g, at most %.3g allowed; number %zu of %zu is %.17g, expected %.17g", what,
             distance, tolerance, worst, count, (double)got[worst], expected[worst]);
}

void check_same_bits(const char *what, const real *got, const real *expected, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(&got[i], &expected[i], sizeof got[i]) != 0 && !(isnan(got[i]) && isnan(expected[i])))
            fail_msg("%s: number %zu of %zu is %.17g, expected the very bits of %.17g", what, i, count,
                     (double)got[i], (double)expected[i]);
}

void check_contains(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" does not say \"%s\"", text, part);
}
