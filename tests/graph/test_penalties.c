/* Parameter gradients of gradient penalties, against an oracle that shares no code with second gradients: two
 * ordinary backward passes. With g = the gradient of S(x) = sum of scores, and v = d penalty / d g by hand,
 *
 *     d penalty / d theta = d/de [ d S(x + e v) / d theta ]  at e = 0,
 *
 * here by central differences. It holds for every parameter that the gradient depends on, the generator's
 * among them when x is its output, and for x = z when S scores generated images: then it runs through
 * transposed convolutions and batch norm. Meaningful in double only. */
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

enum { BATCH = 6, WIDTH = 3, CHANNELS = 2, PIXELS = NET_SIZE * NET_SIZE * CHANNELS, ROOM = BATCH * PIXELS };
static const bool SINGLE = sizeof(real) == sizeof(float);
/* The largest shift of a number: small, so that no unit of relu crosses its kink. */
static const double STEP = 1e-6, TOLERANCE = 1e-7;

typedef enum { WGAN_GP, R1 } Penalty;
typedef enum {
    AT_IMAGES,  /* x is an input */
    AT_MIXTURE, /* x = u·real + (1 − u)·G(z): the generator's parameters matter too */
    AT_LATENT   /* x is z, S scores G(z) */
} Place;

typedef struct {
    const char *name;
    Penalty penalty;
    Place place;
    NetActivation activation;
} Case;

static const double FACTOR[] = {[WGAN_GP] = 10, [R1] = 1.5};

typedef struct {
    Rig rig;
    Net g, d;
    Node *x, *score; /* x before the shift; the sum of scores at x + shift */
} Model;

/* `shift` is an input, shaped like x, in the oracle; NULL in the program under test. */
static void open_model(Model *model, const Case *which, bool shifted) {
    rig_open(&model->rig);
    Graph *g = model->rig.graph;
    model->g = net_new(g, "G");
    model->d = net_new(g, "D");
    Shape images = shape_of(BATCH, NET_SIZE, NET_SIZE, CHANNELS);
    Node *z = graph_input(g, "z", shape_of(BATCH, NET_LATENT)), *x = z;
    if (which->place == AT_IMAGES) x = graph_input(g, "real", images);
    if (which->place == AT_MIXTURE) {
        Node *share = graph_expand(g, graph_input(g, "share", shape_of(BATCH, 1, 1, 1)), images);
        Node *fake = net_generator(&model->g, z, WIDTH, CHANNELS), *data = graph_input(g, "real", images);
        x = graph_add(g, fake, graph_mul(g, share, graph_sub(g, data, fake)));
    }
    model->x = rig_node(&model->rig, x);
    if (shifted) x = graph_add(g, x, graph_input(g, "shift", node_shape(x)));
    Node *seen = which->place == AT_LATENT ? net_generator(&model->g, x, WIDTH, CHANNELS) : x;
    bool norm = which->place == AT_LATENT; /* elsewhere WGAN-GP's discriminator has none */
    model->score = graph_sum_all(g, net_discriminator(&model->d, seen, WIDTH, which->activation, norm));
    rig_node(&model->rig, model->score);
}

static Node *penalty_of(Graph *g, const Case *which, Node *slope) {
    Node *square = graph_sum(g, graph_square(g, slope), (1u << node_shape(slope).rank) - 2);
    Node *each = which->penalty == R1 ? square : graph_square(g, graph_offset(g, graph_sqrt(g, square), -1));
    return graph_scale(g, graph_mean_all(g, each), FACTOR[which->penalty]);
}

static void feed(Rig *rig) {
    static double values[ROOM];
    const char *const inputs[] = {"z", "real", "share"};
    for (int i = 0; i < 3; i++) {
        Draw draw = draw_from(40 + (uint64_t)i);
        draw_fill(&draw, values, ROOM, i == 2 ? 0 : -1, 1);
        rig_set(rig, inputs[i], values);
    }
}

/* d penalty / d g, by hand. */
static void hand_gradient(const Case *which, const real *slope, size_t count, double *v) {
    size_t each = count / BATCH;
    for (size_t n = 0; n < BATCH; n++) {
        double square = 0;
        for (size_t i = 0; i < each; i++) square += (double)slope[n * each + i] * (double)slope[n * each + i];
        double length = sqrt(square), factor = 2 * FACTOR[which->penalty] / BATCH;
        if (which->penalty == WGAN_GP) factor *= (length - 1) / length;
        for (size_t i = 0; i < each; i++) v[n * each + i] = factor * (double)slope[n * each + i];
    }
}

/* Parameters that the penalty's gradient is tested for, in the generator and in the discriminator. With leaky
 * relu biases move nothing but kinks, so the slope need not depend on them. */
static size_t tested_parameters(Model *model, const Case *which, Node **parameters) {
    size_t count = 0;
    const Net *nets[] = {&model->g, &model->d};
    for (int n = 0; n < 2; n++)
        for (size_t i = 0; i < nets[n]->parameter_count; i++) {
            const char *name = node_name(nets[n]->parameters[i]);
            bool bias = name[strlen(name) - 1] == 'b';
            bool last = strcmp(name, "D.3.b") == 0; /* a constant added to the scores */
            if (last || (bias && which->activation == NET_LEAKY_RELU)) continue;
            parameters[count++] = nets[n]->parameters[i];
        }
    return count;
}

/* The oracle's gradients of S(x + e·v), added to the differences with a weight. */
static void add_pass(Model *oracle, State *state, const double *v, size_t v_count, double e, double weight,
                     double *const *sums, Node *const *parameters, size_t count) {
    static double shift[ROOM];
    for (size_t i = 0; i < v_count; i++) shift[i] = e * v[i];
    rig_set(&oracle->rig, "shift", shift);
    rig_run_on(&oracle->rig, state, 1, 1);
    for (size_t p = 0; p < count; p++) {
        const real *gradient = rig_get(&oracle->rig, node_name(parameters[p]));
        for (int64_t i = 0; i < shape_count(node_shape(parameters[p])); i++)
            sums[p][i] += weight * (double)gradient[i];
    }
}

static double largest(const double *v, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs(v[i]));
    return most;
}

static void want_gradients(Model *model, Node *y, Node *const *parameters, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Node *gradient;
        if (!graph_grad(model->rig.graph, y, &parameters[i], 1, &gradient))
            fail_msg("%s: %s", node_name(parameters[i]), graph_error(model->rig.graph)->message);
        rig_want(&model->rig, node_name(parameters[i]), gradient);
    }
}

static void check_penalty(const Case *which) {
    static double v[ROOM], numbers[NET_MOST * 2][1024];
    Model model, oracle;
    Node *parameters[NET_MOST * 2], *oracles[NET_MOST * 2], *slope;
    double *sums[NET_MOST * 2] = {NULL};
    open_model(&model, which, false);
    open_model(&oracle, which, true);
    graph_grad(model.rig.graph, model.score, &model.x, 1, &slope);
    rig_want(&model.rig, "slope", slope);
    size_t count = tested_parameters(&model, which, parameters);
    assert_int_equal(tested_parameters(&oracle, which, oracles), count);
    want_gradients(&model, rig_node(&model.rig, penalty_of(model.rig.graph, which, slope)), parameters,
                   count);
    want_gradients(&oracle, oracle.score, oracles, count);

    Layout *layout = rig_layout((Rig *[]){&model.rig, &oracle.rig}, 2);
    State state;
    assert_int_equal(state_new(&state, layout, NULL), STATUS_OK);
    net_fill(&state, 5);
    rig_compile_on(&model.rig, layout, RIG_FUSED);
    rig_compile_on(&oracle.rig, layout, RIG_FUSED);
    feed(&model.rig);
    feed(&oracle.rig);
    rig_run_on(&model.rig, &state, 1, 1);
    size_t v_count = rig_count(&model.rig, "slope");
    hand_gradient(which, rig_get(&model.rig, "slope"), v_count, v);

    memset(numbers, 0, sizeof numbers);
    for (size_t p = 0; p < count; p++) sums[p] = numbers[p];
    double e = STEP / largest(v, v_count);
    add_pass(&oracle, &state, v, v_count, e, 1 / (2 * e), sums, oracles, count);
    add_pass(&oracle, &state, v, v_count, -e, -1 / (2 * e), sums, oracles, count);
    for (size_t p = 0; p < count; p++) {
        char what[128];
        const char *name = node_name(parameters[p]);
        snprintf(what, sizeof what, "%s, by %s", which->name, name);
        check_near(what, rig_get(&model.rig, name), sums[p], rig_count(&model.rig, name), TOLERANCE);
    }
    rig_close(&model.rig);
    rig_close(&oracle.rig);
    state_free(&state);
    layout_free(layout);
}

static void test_penalties(void **unused) {
    (void)unused;
    static const Case CASES[] = {
        {"WGAN-GP, leaky relu", WGAN_GP, AT_IMAGES, NET_LEAKY_RELU},
        {"WGAN-GP, softplus", WGAN_GP, AT_IMAGES, NET_SOFTPLUS},
        {"R1, leaky relu", R1, AT_IMAGES, NET_LEAKY_RELU},
        {"R1, softplus", R1, AT_IMAGES, NET_SOFTPLUS},
        {"R1, tanh", R1, AT_IMAGES, NET_TANH},
        {"WGAN-GP at mixtures with fakes, softplus", WGAN_GP, AT_MIXTURE, NET_SOFTPLUS},
        {"R1 at mixtures with fakes, tanh", R1, AT_MIXTURE, NET_TANH},
        {"WGAN-GP at the latents, leaky relu", WGAN_GP, AT_LATENT, NET_LEAKY_RELU},
        {"WGAN-GP at the latents, softplus", WGAN_GP, AT_LATENT, NET_SOFTPLUS},
        {"R1 at the latents, softplus", R1, AT_LATENT, NET_SOFTPLUS},
    };
    if (SINGLE) skip();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) check_penalty(&CASES[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_penalties)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
