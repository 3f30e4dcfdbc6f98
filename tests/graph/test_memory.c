/* Memory: none is asked for during a step, and wherever it runs out on the way to one, that is an error and
 * neither a crash nor a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gan/optimizer.h"
#include "gan/program/program.h"
#include "tests/support/alloc.h"
#include "tests/support/nets.h"

enum { BATCH = 3, WIDTH = 2, CHANNELS = 1, MOST_CALLS = 200000 };

typedef struct {
    Graph *graph;
    Layout *layout;
    Program *program;
    State state;
    Workspace *workspace;
    Error error;
} Everything;

static void release(Everything *all) {
    workspace_free(all->workspace);
    state_free(&all->state);
    program_free(all->program);
    layout_free(all->layout);
    graph_free(all->graph);
}

/* A program with something of everything: convolutions both ways, batch norm, a gradient of a gradient,
 * lookup, movement, random leaves, assignments, outputs and gradients. */
static Status build_program(Everything *all) {
    Graph *g = all->graph;
    graph_set_source(g, "script.lua:1", "D");
    Net generator = net_new(g, "G"), discriminator = net_new(g, "D");
    Node *z = graph_normal(g, shape_of(BATCH, NET_LATENT));
    Node *table = graph_parameter(g, "G", "table.w", shape_of(5, NET_LATENT));
    z = graph_add(g, z, graph_gather(g, table, graph_input(g, "class", shape_of(BATCH))));
    Node *images = net_generator(&generator, z, WIDTH, CHANNELS);
    Node *score = net_discriminator(&discriminator, images, WIDTH, NET_LEAKY_RELU, true);
    Node *slope = NULL, *amount = graph_uniform(g, shape_scalar());
    graph_grad(g, graph_sum_all(g, score), &images, 1, &slope);
    Node *penalty = graph_mean_all(g, graph_square(g, slope));
    Node *loss = graph_add(g, graph_mean_all(g, graph_softplus(g, score)), graph_mul(g, amount, penalty));
    Node *parameters[NET_MOST * 2], *found[NET_MOST * 2];
    size_t count = 0;
    for (size_t i = 0; i < generator.parameter_count; i++) parameters[count++] = generator.parameters[i];
    for (size_t i = 0; i + 1 < discriminator.parameter_count; i++)
        parameters[count++] = discriminator.parameters[i];
    parameters[count++] = table;
    graph_set_source(g, "script.lua:2", NULL);
    graph_grad(g, loss, parameters, count, found);
    Node *mean = graph_variable(g, "G", "mean", shape_of(2 * WIDTH));
    Node *small = graph_permute(g, graph_avg_pool(g, graph_upsample(g, images, 2), 4), (int[]){3, 0, 1, 2});
    small =
        graph_amax(g, graph_slice(g, small, (int64_t[]){0, 0, 1, 1}, (int64_t[]){CHANNELS, BATCH, 4, 4}), 15);
    if (graph_error(g)) {
        all->error = *graph_error(g);
        return all->error.status;
    }
    ProgramGradient gradients[NET_MOST * 2];
    for (size_t i = 0; i < count; i++) gradients[i] = (ProgramGradient){parameters[i], found[i]};
    ProgramSpec spec = {
        .outputs = (ProgramOutput[]){{"loss", loss}, {"images", images}, {"largest", small}},
        .output_count = 3,
        .assignments = (ProgramAssignment[]){{mean, generator.moments[0]}},
        .assignment_count = 1,
        .gradients = gradients,
        .gradient_count = count,
    };
    Status status = layout_add_graph(all->layout, g, &all->error);
    for (int kind = LAYOUT_MOMENT1; kind <= LAYOUT_AVERAGE_VARIABLE && status == STATUS_OK; kind++)
        status = layout_add_kind(all->layout, "G", (LayoutKind)kind, &all->error);
    if (status == STATUS_OK) status = layout_finish(all->layout, &all->error);
    if (status != STATUS_OK) return status;
    all->program = program_new(g, all->layout, &spec, &all->error);
    return all->program ? STATUS_OK : all->error.status;
}

static Status build(Everything *all) {
    all->graph = graph_new();
    all->layout = layout_new();
    all->workspace = workspace_new();
    if (!all->graph || !all->layout || !all->workspace) return STATUS_NO_MEMORY; /* these say it by NULL */
    Status status = build_program(all);
    if (status == STATUS_OK) status = state_new(&all->state, all->layout, &all->error);
    if (status == STATUS_OK) status = workspace_reserve(all->workspace, all->program, &all->error);
    return status;
}

/* ---- running out --------------------------------------------------------------------------------------- */

static void run_out(bool onwards) {
    ptrdiff_t live = alloc_live();
    for (size_t n = 1; n < MOST_CALLS; n++) {
        Everything all = {.graph = NULL};
        alloc_refuse(n, onwards);
        Status status = build(&all);
        bool refused = alloc_refused();
        alloc_refuse(0, false);
        if (refused && status != STATUS_NO_MEMORY)
            fail_msg("call %zu was refused, status %d: %s", n, (int)status, all.error.message);
        if (!refused && status != STATUS_OK) fail_msg("no call was refused, yet: %s", all.error.message);
        release(&all);
        if (alloc_live() != live) fail_msg("call %zu was refused: %td blocks leaked", n, alloc_live() - live);
        if (!refused) {
            assert_true(n > 100); /* or the wrapping at link time does not work */
            return;
        }
    }
    fail_msg("it never succeeds");
}

static void test_nth_refused(void **unused) {
    (void)unused;
    run_out(false);
}

static void test_refused_from_the_nth_on(void **unused) {
    (void)unused;
    run_out(true);
}

/* A graph that ran out goes on after its error is cleared; a workspace keeps what it had. */
static void test_going_on(void **unused) {
    (void)unused;
    Error error;
    Graph *g = graph_new();
    Node *x = graph_input(g, "x", shape_of(1000));
    alloc_refuse(1, true);
    Node *y = graph_tanh(g, x);
    alloc_refuse(0, false);
    assert_null(y);
    assert_non_null(graph_error(g));
    assert_int_equal(graph_error(g)->status, STATUS_NO_MEMORY);
    assert_null(graph_exp(g, x)); /* sticky */
    graph_clear_error(g);
    assert_null(graph_error(g));
    y = graph_tanh(g, x);
    assert_non_null(y);

    Layout *layout = layout_new();
    assert_int_equal(layout_finish(layout, &error), STATUS_OK);
    ProgramSpec spec = {.outputs = (ProgramOutput[]){{"y", y}}, .output_count = 1};
    ProgramSpec larger = {.outputs = (ProgramOutput[]){{"y", y}}, .output_count = 1, .plain = true};
    Program *program = program_new(g, layout, &spec, &error),
            *other = program_new(g, layout, &larger, &error);
    Workspace *workspace = workspace_new();
    State state;
    assert_int_equal(state_new(&state, layout, &error), STATUS_OK);
    alloc_refuse(1, true);
    assert_int_equal(workspace_reserve(workspace, program, &error), STATUS_NO_MEMORY);
    alloc_refuse(0, false);
    assert_int_equal(workspace_reserve(workspace, program, &error), STATUS_OK);
    alloc_refuse(1, true); /* either it fits already, or there is none: never a crash */
    (void)workspace_reserve(workspace, other, &error);
    alloc_refuse(0, false);
    workspace_input(workspace, program, 0)[999] = 1;
    assert_int_equal(program_run(program, &state, workspace, 1, 1, &error), STATUS_OK);
    assert_true((double)workspace_output(workspace, program, 0)[999] > 0.7615);
    workspace_free(workspace);
    state_free(&state);
    program_free(program);
    program_free(other);
    layout_free(layout);
    graph_free(g);
}

/* ---- during a step ------------------------------------------------------------------------------------- */

static void test_no_allocation_during_a_step(void **unused) {
    (void)unused;
    Everything all = {.graph = NULL};
    assert_int_equal(build(&all), STATUS_OK);
    net_fill(&all.state, 1);
    OptimizerSettings settings = optimizer_settings(OPTIMIZER_ADAM);
    settings.clip_norm = 1;
    size_t calls = alloc_calls(), count;
    ptrdiff_t live = alloc_live();
    assert_true(calls > 100);
    for (int step = 1; step <= 3; step++) {
        real *class = workspace_input(all.workspace, all.program, 0);
        for (int i = 0; i < BATCH; i++) class[i] = (real)i;
        Status status = program_run(all.program, &all.state, all.workspace, 1, (uint64_t)step, &all.error);
        if (status != STATUS_OK) fail_msg("%s", all.error.message);
        real *parameters = state_block(&all.state, "G", LAYOUT_PARAMETER, &count);
        real *m = state_block(&all.state, "G", LAYOUT_MOMENT1, &count);
        real *v = state_block(&all.state, "G", LAYOUT_MOMENT2, &count);
        real *gradients = workspace_gradients(all.workspace, all.program, "G", &count);
        for (int kind = 0; kind < OPTIMIZER_KINDS; kind++) {
            settings.kind = (OptimizerKind)kind;
            optimizer_step(&settings, step, count, parameters, gradients, m, v);
        }
        workspace_output(all.workspace, all.program, 0);
    }
    if (alloc_calls() != calls) fail_msg("%zu allocations during three steps", alloc_calls() - calls);
    assert_int_equal(alloc_live(), live);
    release(&all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nth_refused),
        cmocka_unit_test(test_refused_from_the_nth_on),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_no_allocation_during_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
