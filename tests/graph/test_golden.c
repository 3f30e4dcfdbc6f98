/* Against PyTorch: ten steps of a small DCGAN (losses, the first step's gradients, all parameters and running
 * statistics at the end), and the parameter gradients of two penalties. The numbers, and how the networks are
 * built there, are tests/golden/dcgan.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gan/optimizer.h"
#include "tests/support/nets.h"
#include "tests/support/rig.h"

typedef struct {
    const char *name;
    size_t count;
    const double *values;
} GoldenTensor;

#include "tests/golden/dcgan.inc"

enum { BATCH = 8, WIDTH = 4, CHANNELS = 2, STEPS = 10, ROOM = BATCH * NET_SIZE * NET_SIZE * CHANNELS };
static const double TOLERANCE = sizeof(real) == sizeof(float) ? 1e-4 : 1e-8;
#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* ---- the waves that stand for data and initial parameters ---------------------------------------------- */

static double wave(int stream, size_t i) {
    double at = (double)i;
    return sin(0.5 + 1.7 * stream + 0.37 * at + 0.011 * at * at);
}

static void set_wave(Rig *rig, const char *input, int stream) {
    static double values[ROOM];
    for (size_t i = 0; i < ROOM; i++) values[i] = wave(stream, i);
    rig_set(rig, input, values);
}

static void fill_parameters(State *state, const Net *net, int stream) {
    for (size_t n = 0; n < net->parameter_count; n++) {
        const LayoutEntry *entry =
            layout_find(state->layout, LAYOUT_PARAMETER, node_name(net->parameters[n]));
        const char *ending = strrchr(entry->name, '.');
        double last = (double)entry->shape.size[entry->shape.rank - 1];
        double reach = strcmp(ending, ".w") == 0 ? sqrt(2.0 * last / (double)entry->count) : 0.1;
        double middle = strcmp(ending, ".s") == 0 ? 1 : 0;
        for (size_t i = 0; i < entry->count; i++)
            state->data[entry->offset + i] = (real)(middle + reach * wave(stream + (int)n, i));
    }
}

/* ---- the two players ----------------------------------------------------------------------------------- */

typedef struct {
    Rig rig;
    Net g, d;
    Net *trained; /* one of the two */
    OptimizerSettings settings;
} Player;

/* old·0.9 + new·0.1, the variance unbiased. The generator's statistics follow every call of it. */
static void keep_statistics(Player *player) {
    static const char *const NAME[] = {"G.1.norm.mean", "G.1.norm.variance", "G.2.norm.mean",
                                       "G.2.norm.variance"};
    static const double PIXELS[] = {16, 16, 64, 64};
    Graph *graph = player->rig.graph;
    for (int i = 0; i < 4; i++) {
        Node *fresh = player->g.moments[i];
        Node *kept = graph_variable(graph, "G", NAME[i], node_shape(fresh));
        double n = BATCH * PIXELS[i], unbiased = i % 2 ? n / (n - 1) : 1;
        rig_assign(
            &player->rig, kept,
            graph_add(graph, graph_scale(graph, kept, 0.9), graph_scale(graph, fresh, 0.1 * unbiased)));
    }
}

static void open_player(Player *player, bool discriminator) {
    rig_open(&player->rig);
    Graph *g = player->rig.graph;
    player->g = net_new(g, "G");
    player->d = net_new(g, "D");
    player->trained = discriminator ? &player->d : &player->g;
    Node *fake = net_generator(&player->g, graph_input(g, "z", shape_of(BATCH, NET_LATENT)), WIDTH, CHANNELS);
    Node *real_images = graph_input(g, "real", shape_of(BATCH, NET_SIZE, NET_SIZE, CHANNELS));
    Node *loss;
    if (discriminator) {
        Node *on_real = net_discriminator(&player->d, real_images, WIDTH, NET_LEAKY_RELU, true);
        Node *on_fake = net_discriminator(&player->d, graph_detach(g, fake), WIDTH, NET_LEAKY_RELU, true);
        loss = graph_add(g, graph_mean_all(g, graph_softplus(g, graph_neg(g, on_real))),
                         graph_mean_all(g, graph_softplus(g, on_fake)));
    } else {
        Node *on_fake = net_discriminator(&player->d, fake, WIDTH, NET_LEAKY_RELU, true);
        loss = graph_mean_all(g, graph_softplus(g, graph_neg(g, on_fake)));
    }
    rig_want(&player->rig, "loss", loss);
    rig_descend(&player->rig, loss, player->trained->parameters, player->trained->parameter_count);
    keep_statistics(player);
    player->settings = optimizer_settings(OPTIMIZER_ADAM);
    player->settings.lr = discriminator ? 1e-3 : 2e-3;
    player->settings.beta1 = 0.5;
}

/* `when`: for messages. */
static void check_tensors(const char *when, const GoldenTensor *golden, size_t count, const Layout *layout,
                          LayoutKind kind, const real *block, size_t start) {
    for (size_t i = 0; i < count; i++) {
        const LayoutEntry *entry = layout_find(layout, kind, golden[i].name);
        if (!entry) fail_msg("the layout has no %s", golden[i].name);
        assert_int_equal(entry->count, golden[i].count);
        char what[128];
        snprintf(what, sizeof what, "%s: %s", when, golden[i].name);
        check_near(what, block + entry->offset - start, golden[i].values, golden[i].count, TOLERANCE);
    }
}

static void update(Player *player, State *state, int step) {
    Rig *rig = &player->rig;
    rig_run_on(rig, state, 1, (uint64_t)step);
    bool discriminator = player->trained == &player->d;
    const char *group = player->trained->group;
    size_t count, gradient_count;
    real *parameters = state_block(state, group, LAYOUT_PARAMETER, &count);
    real *gradients = workspace_gradients(rig->workspace, rig->program, group, &gradient_count);
    assert_non_null(gradients);
    assert_int_equal(gradient_count, count);
    check_near(discriminator ? "the discriminator's loss" : "the generator's loss", rig_get(rig, "loss"),
               &GOLDEN_LOSSES[discriminator ? 0 : 1].values[step - 1], 1, TOLERANCE);
    if (step == 1) {
        size_t start = layout_block(state->layout, group, LAYOUT_PARAMETER, &count);
        check_tensors("first gradient", discriminator ? GOLDEN_D_GRADIENTS : GOLDEN_G_GRADIENTS,
                      discriminator ? LENGTH(GOLDEN_D_GRADIENTS) : LENGTH(GOLDEN_G_GRADIENTS), state->layout,
                      LAYOUT_PARAMETER, gradients, start);
    }
    optimizer_step(&player->settings, step, count, parameters, gradients,
                   state_block(state, group, LAYOUT_MOMENT1, &count),
                   state_block(state, group, LAYOUT_MOMENT2, &count));
}

static Layout *layout_with_moments(Rig *const *rigs, size_t count) {
    Error error;
    Layout *layout = layout_new();
    for (size_t i = 0; i < count; i++)
        assert_int_equal(layout_add_graph(layout, rigs[i]->graph, &error), STATUS_OK);
    for (int kind = LAYOUT_MOMENT1; kind <= LAYOUT_MOMENT2; kind++) {
        assert_int_equal(layout_add_kind(layout, "G", (LayoutKind)kind, &error), STATUS_OK);
        assert_int_equal(layout_add_kind(layout, "D", (LayoutKind)kind, &error), STATUS_OK);
    }
    assert_int_equal(layout_finish(layout, &error), STATUS_OK);
    return layout;
}

static void train(RigMode mode) {
    static Player d, g;
    open_player(&d, true);
    open_player(&g, false);
    Layout *layout = layout_with_moments((Rig *[]){&d.rig, &g.rig}, 2);
    State state;
    assert_int_equal(state_new(&state, layout, NULL), STATUS_OK);
    rig_compile_on(&d.rig, layout, mode);
    rig_compile_on(&g.rig, layout, mode);
    fill_parameters(&state, &d.g, 100);
    fill_parameters(&state, &d.d, 200);
    for (int norm = 1; norm <= 2; norm++) {
        real *variance =
            state_tensor(&state, LAYOUT_VARIABLE, norm == 1 ? "G.1.norm.variance" : "G.2.norm.variance");
        for (int i = 0; i < 2 * WIDTH / norm; i++) variance[i] = 1;
    }
    for (int step = 1; step <= STEPS; step++) {
        set_wave(&d.rig, "real", 3 * step);
        set_wave(&d.rig, "z", 3 * step + 1);
        set_wave(&g.rig, "z", 3 * step + 2);
        update(&d, &state, step);
        update(&g, &state, step);
    }
    check_tensors("after ten steps", GOLDEN_G_PARAMETERS, LENGTH(GOLDEN_G_PARAMETERS), layout,
                  LAYOUT_PARAMETER, state.data, 0);
    check_tensors("after ten steps", GOLDEN_D_PARAMETERS, LENGTH(GOLDEN_D_PARAMETERS), layout,
                  LAYOUT_PARAMETER, state.data, 0);
    check_tensors("after ten steps", GOLDEN_STATISTICS, LENGTH(GOLDEN_STATISTICS), layout, LAYOUT_VARIABLE,
                  state.data, 0);
    rig_close(&d.rig);
    rig_close(&g.rig);
    state_free(&state);
    layout_free(layout);
}

static void test_ten_steps(void **unused) {
    (void)unused;
    train(RIG_FUSED);
}

static void test_ten_steps_plain(void **unused) {
    (void)unused;
    train(RIG_PLAIN);
}

/* ---- penalties ----------------------------------------------------------------------------------------- */

/* The mean over images of `of` their gradient's squared length. */
static Node *penalty(Graph *graph, Node *score, Node *images, bool wgan) {
    Node *slope;
    if (!graph_grad(graph, graph_sum_all(graph, score), &images, 1, &slope)) return NULL;
    Node *square = graph_sum(graph, graph_square(graph, slope), 2 | 4 | 8);
    if (!wgan) return graph_scale(graph, graph_mean_all(graph, square), 1.5);
    Node *off = graph_offset(graph, graph_sqrt(graph, square), -1);
    return graph_scale(graph, graph_mean_all(graph, graph_square(graph, off)), 10);
}

static void check_penalty(bool wgan, const GoldenTensor *golden, size_t count) {
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Net net = net_new(g, "D");
    Node *images = graph_input(g, "images", shape_of(BATCH, NET_SIZE, NET_SIZE, CHANNELS));
    Node *score = net_discriminator(&net, images, WIDTH, NET_LEAKY_RELU, false);
    Node *loss = penalty(g, score, images, wgan);
    rig_want(&rig, "penalty", loss);
    for (size_t i = 1; i < count; i++) {
        Node *gradient = NULL;
        for (size_t n = 0; n < net.parameter_count; n++)
            if (strcmp(node_name(net.parameters[n]), golden[i].name) == 0)
                graph_grad(g, loss, &net.parameters[n], 1, &gradient);
        rig_want(&rig, golden[i].name, gradient);
    }
    rig_compile(&rig, RIG_FUSED);
    fill_parameters(&rig.state, &net, 300);
    set_wave(&rig, "images", 50);
    rig_run(&rig);
    for (size_t i = 0; i < count; i++)
        check_near(golden[i].name, rig_get(&rig, golden[i].name), golden[i].values, golden[i].count,
                   TOLERANCE);
    rig_close(&rig);
}

static void test_wgan_gp(void **unused) {
    (void)unused;
    check_penalty(true, GOLDEN_WGAN_GP, LENGTH(GOLDEN_WGAN_GP));
}

static void test_r1(void **unused) {
    (void)unused;
    check_penalty(false, GOLDEN_R1, LENGTH(GOLDEN_R1));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ten_steps),
                                       cmocka_unit_test(test_ten_steps_plain), cmocka_unit_test(test_wgan_gp),
                                       cmocka_unit_test(test_r1)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
