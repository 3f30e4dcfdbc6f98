/* Programs side by side: several over one state, several in one workspace, one in several threads; and that
 * the same run gives the same bits, always. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "gan/optimizer.h"
#include "tests/support/nets.h"
#include "tests/support/rig.h"

enum { WIDTH = 4, CHANNELS = 2, MOST_BATCH = 6, IMAGE = NET_SIZE * NET_SIZE * CHANNELS };
static const double CLOSE = sizeof(real) == sizeof(float) ? 1e-5 : 1e-13;

static void assert_ok(Status status, const Error *error) {
    if (status) fail_msg("%s", error->message);
}

/* ---- the programs of a small GAN ----------------------------------------------------------------------- */

static Node *mean_softplus(Graph *g, Node *score, double sign) {
    return graph_mean_all(g, graph_softplus(g, graph_scale(g, score, sign)));
}

/* The discriminator's update, its latents drawn by the program, with R1 on request. */
static void open_discriminator(Rig *rig, int64_t batch, bool penalty) {
    rig_open(rig);
    Graph *g = rig->graph;
    Net generator = net_new(g, "G"), discriminator = net_new(g, "D");
    Node *images = graph_input(g, "real", shape_of(batch, NET_SIZE, NET_SIZE, CHANNELS));
    Node *fake = net_generator(&generator, graph_normal(g, shape_of(batch, NET_LATENT)), WIDTH, CHANNELS);
    Node *on_real = net_discriminator(&discriminator, images, WIDTH, NET_LEAKY_RELU, false);
    Node *on_fake = net_discriminator(&discriminator, graph_detach(g, fake), WIDTH, NET_LEAKY_RELU, false);
    Node *loss = graph_add(g, mean_softplus(g, on_real, -1), mean_softplus(g, on_fake, 1)), *slope;
    if (penalty) {
        graph_grad(g, graph_sum_all(g, on_real), &images, 1, &slope);
        Node *r1 = graph_mean_all(g, graph_sum(g, graph_square(g, slope), 2 | 4 | 8));
        loss = graph_add(g, loss, graph_mul(g, graph_input(g, "gamma", shape_scalar()), r1));
    }
    rig_want(rig, "loss", loss);
    rig_want(rig, "score", on_real);
    rig_descend(rig, loss, discriminator.parameters, discriminator.parameter_count);
}

/* The generator's update; it keeps the statistics of its first batch norm. */
static void open_generator(Rig *rig, int64_t batch) {
    rig_open(rig);
    Graph *g = rig->graph;
    Net generator = net_new(g, "G"), discriminator = net_new(g, "D");
    Node *fake = net_generator(&generator, graph_normal(g, shape_of(batch, NET_LATENT)), WIDTH, CHANNELS);
    Node *loss = mean_softplus(g, net_discriminator(&discriminator, fake, WIDTH, NET_LEAKY_RELU, false), -1);
    rig_want(rig, "loss", loss);
    rig_descend(rig, loss, generator.parameters, generator.parameter_count);
    Node *mean = graph_variable(g, "G", "mean", shape_of(2 * WIDTH));
    rig_assign(rig, mean, graph_add(g, graph_scale(g, mean, 0.9), graph_scale(g, generator.moments[0], 0.1)));
}

typedef struct {
    Rig d, g;
    Layout *layout; /* with two moments for each player */
} Gan;

static void open_gan(Gan *gan, int64_t batch, RigMode mode) {
    Error error;
    open_discriminator(&gan->d, batch, true);
    open_generator(&gan->g, batch);
    gan->layout = layout_new();
    assert_ok(layout_add_graph(gan->layout, gan->d.graph, &error), &error);
    assert_ok(layout_add_graph(gan->layout, gan->g.graph, &error), &error);
    for (int kind = LAYOUT_MOMENT1; kind <= LAYOUT_MOMENT2; kind++) {
        assert_ok(layout_add_kind(gan->layout, "G", (LayoutKind)kind, &error), &error);
        assert_ok(layout_add_kind(gan->layout, "D", (LayoutKind)kind, &error), &error);
    }
    assert_ok(layout_finish(gan->layout, &error), &error);
    rig_compile_on(&gan->d, gan->layout, mode);
    rig_compile_on(&gan->g, gan->layout, mode);
}

static void close_gan(Gan *gan) {
    rig_close(&gan->d);
    rig_close(&gan->g);
    layout_free(gan->layout);
}

static void feed(Workspace *workspace, const Program *program, uint64_t seed) {
    for (size_t i = 0; i < program_inputs(program); i++) {
        real *input = workspace_input(workspace, program, i);
        bool gamma = strcmp(program_input_name(program, i), "gamma") == 0;
        Draw draw = draw_from(seed);
        for (int64_t n = 0; n < shape_count(program_input_shape(program, i)); n++)
            input[n] = gamma ? 1 : (real)draw_uniform(&draw, -1, 1);
    }
}

static void new_state(State *state, const Layout *layout) {
    assert_int_equal(state_new(state, layout, NULL), STATUS_OK);
    net_fill(state, 11);
}

/* One player's update, in a workspace of the caller's. No assertions: other threads come here too. */
static void update(const Program *program, Workspace *workspace, State *state, const char *group, int step) {
    OptimizerSettings settings = optimizer_settings(OPTIMIZER_ADAM);
    size_t count = 0;
    feed(workspace, program, (uint64_t)step);
    program_run(program, state, workspace, 77, (uint64_t)step, NULL);
    optimizer_step(&settings, step, state_block(state, group, LAYOUT_PARAMETER, &count) ? count : 0,
                   state_block(state, group, LAYOUT_PARAMETER, &count),
                   workspace_gradients(workspace, program, group, &count),
                   state_block(state, group, LAYOUT_MOMENT1, &count),
                   state_block(state, group, LAYOUT_MOMENT2, &count));
}

typedef struct {
    const Gan *gan;
    State *state;
    int first, last;          /* steps */
    pthread_barrier_t *start; /* NULL: at once */
} Training;

/* With a workspace of its own, as a worker thread has. */
static void *train(void *context) {
    Training *training = context;
    const Gan *gan = training->gan;
    Workspace *workspace = workspace_new();
    bool ready = workspace && workspace_reserve(workspace, gan->d.program, NULL) == STATUS_OK &&
                 workspace_reserve(workspace, gan->g.program, NULL) == STATUS_OK;
    if (training->start) pthread_barrier_wait(training->start);
    for (int step = training->first; ready && step <= training->last; step++) {
        update(gan->d.program, workspace, training->state, "D", step);
        update(gan->g.program, workspace, training->state, "G", step);
    }
    workspace_free(workspace);
    return ready ? context : NULL;
}

/* ---- the same bits ------------------------------------------------------------------------------------- */

static void test_repetition(void **unused) {
    (void)unused;
    Gan gan;
    State first, second;
    open_gan(&gan, MOST_BATCH, RIG_FUSED);
    new_state(&first, gan.layout);
    new_state(&second, gan.layout);
    double start = (double)first.data[3];
    assert_non_null(train(&(Training){&gan, &first, 1, 4, NULL}));
    assert_non_null(train(&(Training){&gan, &second, 1, 4, NULL}));
    assert_true((double)first.data[3] != start);
    check_same_bits("the second training", second.data, first.data, layout_numbers(gan.layout));
    state_free(&first);
    state_free(&second);
    close_gan(&gan);
}

/* A whole second set of graph, layout and programs. */
static void test_compiled_again(void **unused) {
    (void)unused;
    Gan gans[2];
    State states[2];
    for (int i = 0; i < 2; i++) {
        open_gan(&gans[i], 3, RIG_FUSED);
        new_state(&states[i], gans[i].layout);
        assert_non_null(train(&(Training){&gans[i], &states[i], 1, 3, NULL}));
    }
    check_same_bits("the second program", states[1].data, states[0].data, layout_numbers(gans[0].layout));
    for (int i = 0; i < 2; i++) {
        state_free(&states[i]);
        close_gan(&gans[i]);
    }
}

static void test_two_threads(void **unused) {
    (void)unused;
    enum { THREADS = 2, LONG = 40 }; /* long enough for them to meet */
    Gan gan;
    State alone, states[THREADS];
    Training trainings[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    open_gan(&gan, MOST_BATCH, RIG_FUSED);
    new_state(&alone, gan.layout);
    assert_non_null(train(&(Training){&gan, &alone, 1, LONG, NULL}));
    for (int i = 0; i < THREADS; i++) {
        new_state(&states[i], gan.layout);
        trainings[i] = (Training){&gan, &states[i], 1, LONG, &start};
        assert_int_equal(pthread_create(&threads[i], NULL, train, &trainings[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
        check_same_bits("a thread's training", states[i].data, alone.data, layout_numbers(gan.layout));
        state_free(&states[i]);
    }
    pthread_barrier_destroy(&start);
    state_free(&alone);
    close_gan(&gan);
}

/* A state copied in the middle and taken further by another thread ends as it would have here. */
static void test_copied_state(void **unused) {
    (void)unused;
    Gan gan;
    State here, there;
    pthread_t thread;
    void *result;
    open_gan(&gan, 4, RIG_FUSED);
    new_state(&here, gan.layout);
    new_state(&there, gan.layout);
    assert_non_null(train(&(Training){&gan, &here, 1, 2, NULL}));
    state_copy(&there, &here);
    Training rest = {&gan, &there, 3, 5, NULL};
    assert_int_equal(pthread_create(&thread, NULL, train, &rest), 0);
    assert_non_null(train(&(Training){&gan, &here, 3, 5, NULL}));
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    check_same_bits("the copy's training", there.data, here.data, layout_numbers(gan.layout));
    state_free(&here);
    state_free(&there);
    close_gan(&gan);
}

/* Another counter draws other latents: otherwise the tests above would show nothing about them. */
static void test_counter_matters(void **unused) {
    (void)unused;
    Gan gan;
    State state;
    open_gan(&gan, 4, RIG_FUSED);
    new_state(&state, gan.layout);
    rig_run_on(&gan.g, &state, 1, 1);
    double first = rig_number(&gan.g, "loss");
    rig_run_on(&gan.g, &state, 1, 2);
    assert_true(rig_number(&gan.g, "loss") != first);
    rig_run_on(&gan.g, &state, 2, 1);
    assert_true(rig_number(&gan.g, "loss") != first);
    rig_run_on(&gan.g, &state, 1, 1);
    assert_true(rig_number(&gan.g, "loss") == first);
    state_free(&state);
    close_gan(&gan);
}

/* ---- one state, many programs -------------------------------------------------------------------------- */

/* Two batch sizes, with and without penalty: the same scores for the same images; and nobody writes. */
static void test_programs_share_a_state(void **unused) {
    (void)unused;
    Rig rigs[3];
    open_discriminator(&rigs[0], MOST_BATCH, false);
    open_discriminator(&rigs[1], MOST_BATCH, true);
    open_discriminator(&rigs[2], 2, true);
    Layout *layout = rig_layout((Rig *[]){&rigs[0], &rigs[1], &rigs[2]}, 3);
    State state, before;
    new_state(&state, layout);
    new_state(&before, layout);
    double scores[MOST_BATCH], loss = 0;
    for (int i = 0; i < 3; i++) {
        rig_compile_on(&rigs[i], layout, RIG_FUSED);
        feed(rigs[i].workspace, rigs[i].program, 5);
        rig_run_on(&rigs[i], &state, 9, 9);
        for (size_t n = 0; i == 0 && n < MOST_BATCH; n++) scores[n] = (double)rig_get(&rigs[0], "score")[n];
        check_near("the scores", rig_get(&rigs[i], "score"), scores, rig_count(&rigs[i], "score"), CLOSE);
        if (i == 0) loss = rig_number(&rigs[0], "loss");
        if (i == 1) assert_true(rig_number(&rigs[1], "loss") > loss + 1e-3);
    }
    check_same_bits("the state", state.data, before.data, layout_numbers(layout));
    for (int i = 0; i < 3; i++) rig_close(&rigs[i]);
    state_free(&state);
    state_free(&before);
    layout_free(layout);
}

/* In one workspace, in turns, and after a larger one has moved in: the same bits as in its own. */
static void test_programs_share_a_workspace(void **unused) {
    (void)unused;
    static real own[1 << 14];
    Gan gan;
    State state;
    size_t count;
    open_gan(&gan, 3, RIG_FUSED);
    new_state(&state, gan.layout);
    feed(gan.d.workspace, gan.d.program, 1);
    rig_run_on(&gan.d, &state, 1, 1);
    real *gradients = workspace_gradients(gan.d.workspace, gan.d.program, "D", &count);
    assert_true(count <= sizeof own / sizeof *own);
    memcpy(own, gradients, count * sizeof *own);

    Workspace *shared = workspace_new();
    Error error;
    assert_ok(workspace_reserve(shared, gan.g.program, &error), &error);
    size_t small = workspace_bytes(shared);
    assert_true(small >= program_stats(gan.g.program).arena_bytes);
    assert_ok(workspace_reserve(shared, gan.d.program, &error), &error);
    assert_true(workspace_bytes(shared) >= small);
    size_t large = workspace_bytes(shared);
    assert_ok(workspace_reserve(shared, gan.g.program, &error), &error);
    assert_int_equal(workspace_bytes(shared), large);
    for (int round = 0; round < 2; round++) {
        assert_ok(program_run(gan.g.program, &state, shared, 5, 5, &error), &error);
        feed(shared, gan.d.program, 1);
        assert_ok(program_run(gan.d.program, &state, shared, 1, 1, &error), &error);
        gradients = workspace_gradients(shared, gan.d.program, "D", &count);
        check_same_bits("in the shared workspace", gradients, own, count);
    }
    workspace_free(shared);
    state_free(&state);
    close_gan(&gan);
}

/* The graph may go as soon as the program is made. */
static void test_program_outlives_graph(void **unused) {
    (void)unused;
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Node *w = graph_parameter(g, "D", "w", shape_of(2)), *x = graph_input(g, "x", shape_of(2));
    Node *y = graph_sum_all(g, graph_tanh(g, graph_mul(g, w, x)));
    rig_want(&rig, "y", y);
    rig_descend(&rig, y, &w, 1);
    rig_compile(&rig, RIG_DEBUG);
    graph_free(rig.graph);
    rig.graph = NULL;
    rig_tensor(&rig, "w")[0] = 1;
    rig_set(&rig, "x", (double[]){2, 3});
    rig_run(&rig);
    double expected = tanh(2);
    check_near("the output", rig_get(&rig, "y"), &expected, 1, CLOSE);
    size_t count;
    assert_non_null(workspace_gradients(rig.workspace, rig.program, "D", &count));
    assert_int_equal(program_input_index(rig.program, "x"), 0);
    rig_close(&rig);
}

/* ---- a run in two parts -------------------------------------------------------------------------------- */

/* Begin computes the early node; finish sees parameters that changed since, and the early node as it was. */
static void test_two_parts(void **unused) {
    (void)unused;
    enum { COUNT = 50 };
    Error error;
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Shape shape = shape_of(COUNT);
    Node *p = graph_parameter(g, "G", "p", shape), *w = graph_parameter(g, "D", "w", shape);
    Node *kept = graph_variable(g, "D", "kept", shape);
    Node *fake = graph_tanh(g, graph_mul(g, p, graph_normal(g, shape)));
    Node *loss = graph_sum_all(g, graph_mul(g, fake, w));
    rig.early = fake;
    rig_want(&rig, "fake", fake);
    rig_want(&rig, "loss", loss);
    rig_descend(&rig, loss, (Node *[]){p, w}, 2);
    rig_assign(&rig, kept, graph_mul(g, fake, w));
    rig_compile(&rig, RIG_FUSED);
    for (int n = 0; n < COUNT; n++) rig_tensor(&rig, "p")[n] = 1, rig_tensor(&rig, "w")[n] = 7;
    assert_ok(program_begin(rig.program, &rig.state, rig.workspace, 3, 4, &error), &error);
    double early[COUNT], sum = 0;
    for (int n = 0; n < COUNT; n++) {
        early[n] = (double)rig_get(&rig, "fake")[n];
        rig_tensor(&rig, "w")[n] = (real)n;
        sum += early[n] * n;
        assert_true(rig_tensor(&rig, "kept")[n] == 0);
    }
    assert_true(early[0] != 0 && fabs(early[0]) < 1);
    assert_ok(program_finish(rig.program, &rig.state, rig.workspace, 3, 4, &error), &error);
    check_near("the early node", rig_get(&rig, "fake"), early, COUNT, 1e-30);
    check_near("the loss", rig_get(&rig, "loss"), &sum, 1, CLOSE);
    size_t count, lanes = (COUNT + REAL_LANES - 1) / REAL_LANES * REAL_LANES;
    const real *gradient = workspace_gradients(rig.workspace, rig.program, "D", &count);
    assert_int_equal(count, lanes);
    check_near("the gradient by w", gradient, early, COUNT, CLOSE);
    for (int n = 0; n < COUNT; n++) early[n] *= n;
    check_near("what is kept", rig_tensor(&rig, "kept"), early, COUNT, CLOSE);
    rig_close(&rig);
}

/* ---- figures ------------------------------------------------------------------------------------------- */

static void test_stats(void **unused) {
    (void)unused;
    Rig rigs[2];
    size_t arena[2];
    for (int i = 0; i < 2; i++) {
        open_generator(&rigs[i], MOST_BATCH);
        rig_compile(&rigs[i], i == 0 ? RIG_FUSED : RIG_PLAIN);
        ProgramStats stats = program_stats(rigs[i].program);
        arena[i] = stats.arena_bytes;
        assert_true(stats.nodes > 0 && stats.kernels > 0);
        if (i == 0) assert_true(stats.kernels * 2 < stats.nodes); /* so is fusing */
        assert_int_equal(stats.state_bytes, layout_numbers(rigs[i].layout) * sizeof(real));
        assert_true(stats.arena_bytes <= workspace_bytes(rigs[i].workspace));
        assert_int_equal(stats.parameters, 4 * 4 * 8 * 8 + 16 + 4 * 4 * 4 * 8 + 8 + 4 * 4 * 2 * 4 /* G */
                                               + 4 * 4 * 2 * 4 + 4 + 4 * 4 * 4 * 8 + 8 + 4 * 4 * 8 +
                                               1 /* D */);
        rig_close(&rigs[i]);
    }
    assert_true(arena[0] * 2 < arena[1]); /* planning is worth something */
}

static void test_flops(void **unused) {
    (void)unused;
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Node *a = graph_input(g, "a", shape_of(10, 20)), *b = graph_input(g, "b", shape_of(20, 30));
    Node *x = graph_input(g, "x", shape_of(2, 8, 8, 3)), *w = graph_input(g, "w", shape_of(4, 4, 3, 5));
    rig_want(&rig, "matmul", graph_matmul(g, a, b, false, false));
    rig_want(&rig, "conv", graph_conv(g, x, w, 2, 1));
    rig_want(&rig, "add", graph_add(g, a, a));
    rig_compile(&rig, RIG_FUSED);
    double expected = 2.0 * 10 * 20 * 30 + 2.0 * (2 * 4 * 4 * 5) * (4 * 4 * 3) + 200;
    assert_true(fabs(program_stats(rig.program).flops - expected) < 0.5);
    rig_close(&rig);
}

static void test_profile(void **unused) {
    (void)unused;
    Gan gan;
    State state;
    open_gan(&gan, 3, RIG_FUSED);
    new_state(&state, gan.layout);
    rig_run_on(&gan.g, &state, 1, 1);
    for (int kind = 0; kind < PROFILE_KINDS; kind++) {
        assert_non_null(profile_kind_text((ProfileKind)kind));
        assert_true(workspace_seconds(gan.g.workspace, (ProfileKind)kind) == 0);
    }
    workspace_profile(gan.g.workspace, true);
    rig_run_on(&gan.g, &state, 1, 1);
    double once = workspace_seconds(gan.g.workspace, PROFILE_CONV);
    rig_run_on(&gan.g, &state, 1, 1);
    assert_true(once > 0 && workspace_seconds(gan.g.workspace, PROFILE_CONV) > once);
    assert_true(workspace_seconds(gan.g.workspace, PROFILE_LOOP) > 0);
    assert_true(workspace_seconds(gan.g.workspace, PROFILE_RANDOM) > 0);
    assert_true(workspace_seconds(gan.g.workspace, PROFILE_MATMUL) == 0);
    state_free(&state);
    close_gan(&gan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetition),
        cmocka_unit_test(test_compiled_again),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_copied_state),
        cmocka_unit_test(test_counter_matters),
        cmocka_unit_test(test_programs_share_a_state),
        cmocka_unit_test(test_programs_share_a_workspace),
        cmocka_unit_test(test_program_outlives_graph),
        cmocka_unit_test(test_two_parts),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_flops),
        cmocka_unit_test(test_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
