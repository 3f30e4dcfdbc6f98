/* The DCGAN step that dcgan_torch.py beside this file times: the same layers, losses and optimizer, one
 * discriminator and one generator update on one batch of latents. Prints the time of a step, its useful work,
 * where the time goes by kind of op, what it takes in memory, and
 * what a second thread brings. With two numbers, WIDTH CHANNELS, only that
 * size is timed, in one line of the comparator's form. */
#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"
#include "gan/optimizer.h"
#include "gan/program/program.h"

enum { BATCH = 64, LATENT = 64, SIDE = 32, WARM = 5, COUNTED = 30 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop(const char *what, const Error *error) {
    fprintf(stderr, "%s: %s\n", what, error ? error->message : "out of memory");
    exit(1);
}

/* ---- the two networks ---------------------------------------------------------------------------------- */

enum { PARAMETERS = 12 };
typedef struct {
    Graph *graph;
    const char *group;
    Node *parameters[PARAMETERS];
    size_t count;
} Net;

static Node *parameter(Net *net, Shape shape) {
    char name[16];
    snprintf(name, sizeof name, "%s%zu", net->group, net->count);
    return net->parameters[net->count++] = graph_parameter(net->graph, net->group, name, shape);
}

/* By the batch's own statistics. The variance takes the mean as given, and (mean − given)² away again: the
 * same value and the same derivatives of every order, but two reductions to differentiate instead of three.
 */
static Node *batch_norm(Net *net, Node *x) {
    Graph *g = net->graph;
    Shape shape = node_shape(x), channels = shape_of(1, 1, 1, shape.size[3]);
    const unsigned axes = 1 | 2 | 4;
    Node *shift = graph_neg(g, graph_mean(g, x, axes)), *given = graph_detach(g, shift);
    Node *spread = graph_mean(g, graph_square(g, graph_add(g, x, graph_expand(g, given, shape))), axes);
    Node *variance = graph_sub(g, spread, graph_square(g, graph_sub(g, shift, given)));
    Node *scale = graph_pow(g, graph_offset(g, variance, 1e-5), -0.5);
    Node *unit = graph_mul(g, graph_add(g, x, graph_expand(g, shift, shape)), graph_expand(g, scale, shape));
    Node *gain = graph_expand(g, parameter(net, channels), shape);
    Node *bias = graph_expand(g, parameter(net, channels), shape);
    return graph_add(g, graph_mul(g, unit, gain), bias);
}

static Node *generator(Net *net, Node *z, int64_t width, int64_t channels) {
    Graph *g = net->graph;
    const int64_t sizes[] = {LATENT, width * 4, width * 2, width, channels};
    Node *x = z;
    net->count = 0;
    for (int i = 0; i < 4; i++) {
        Node *w = parameter(net, shape_of(4, 4, sizes[i + 1], sizes[i]));
        x = graph_conv_transpose(g, x, w, i ? 2 : 1, i ? 1 : 0);
        x = i < 3 ? graph_relu(g, batch_norm(net, x)) : graph_tanh(g, x);
    }
    return x;
}

static Node *discriminator(Net *net, Node *x, int64_t width, int64_t channels) {
    Graph *g = net->graph;
    const int64_t sizes[] = {channels, width, width * 2, width * 4};
    net->count = 0;
    for (int i = 0; i < 3; i++) {
        x = graph_conv(g, x, parameter(net, shape_of(4, 4, sizes[i], sizes[i + 1])), 2, 1);
        x = graph_leaky_relu(g, i ? batch_norm(net, x) : x, 0.2);
    }
    return graph_conv(g, x, parameter(net, shape_of(4, 4, sizes[3], 1)), 1, 0);
}

/* Multiply-adds × 2 of one image's forward pass, convolutions only. */
static double work_of_generator(double width, double channels) {
    return 2 * (LATENT * width * 4 * 16 + 16 * width * 4 * width * 2 * 16 + 64 * width * 2 * width * 16 +
                256 * width * channels * 16);
}

static double work_of_discriminator(double width, double channels) {
    return 2 * (256 * width * channels * 16 + 64 * width * 2 * width * 16 + 16 * width * 4 * width * 2 * 16 +
                width * 4 * 16);
}

/* ---- one member ---------------------------------------------------------------------------------------- */

typedef struct {
    Graph *d_graph, *g_graph;
    Layout *layout;
    Program *d_update, *g_update;
    double useful;
} Model;

static void add_gradients(ProgramGradient *pairs, Graph *graph, Node *loss, const Net *net) {
    Node *gradients[PARAMETERS];
    if (!graph_grad(graph, loss, net->parameters, net->count, gradients))
        stop("gradients", graph_error(graph));
    for (size_t i = 0; i < net->count; i++) pairs[i] = (ProgramGradient){net->parameters[i], gradients[i]};
}

static Program *compile(const Model *model, Graph *graph, const ProgramSpec *spec) {
    Error error;
    Program *program = program_new(graph, model->layout, spec, &error);
    if (!program) stop("compile", &error);
    return program;
}

static Model model_new(int64_t width, int64_t channels) {
    Model model = {.d_graph = graph_new(), .g_graph = graph_new(), .layout = layout_new()};
    if (!model.d_graph || !model.g_graph || !model.layout) stop("model", NULL);
    Net d = {.graph = model.d_graph, .group = "D"}, gd = {.graph = model.g_graph, .group = "D"};
    Net gg = {.graph = model.g_graph, .group = "G"};
    Shape images = shape_of(BATCH, SIDE, SIDE, channels);
    /* The discriminator's update: softplus(−D(real)) + softplus(D(fake)), the means over the batch. */
    Graph *g = model.d_graph;
    Node *on_real = discriminator(&d, graph_input(g, "real", images), width, channels);
    Node *on_fake = discriminator(&d, graph_input(g, "fake", images), width, channels);
    Node *d_loss = graph_add(g, graph_mean_all(g, graph_softplus(g, graph_neg(g, on_real))),
                             graph_mean_all(g, graph_softplus(g, on_fake)));
    /* The generator's: softplus(−D(G(z))). Its images are made early, for the discriminator's update to use.
     */
    g = model.g_graph;
    Node *fake = generator(&gg, graph_normal(g, shape_of(BATCH, 1, 1, LATENT)), width, channels);
    Node *judged = discriminator(&gd, fake, width, channels);
    Node *g_loss = graph_mean_all(g, graph_softplus(g, graph_neg(g, judged)));
    ProgramGradient d_gradients[PARAMETERS], g_gradients[PARAMETERS];
    add_gradients(d_gradients, model.d_graph, d_loss, &d);
    add_gradients(g_gradients, model.g_graph, g_loss, &gg);
    Error error;
    if (layout_add_graph(model.layout, model.g_graph, &error) ||
        layout_add_graph(model.layout, model.d_graph, &error) ||
        layout_add_kind(model.layout, "G", LAYOUT_MOMENT1, &error) ||
        layout_add_kind(model.layout, "G", LAYOUT_MOMENT2, &error) ||
        layout_add_kind(model.layout, "D", LAYOUT_MOMENT1, &error) ||
        layout_add_kind(model.layout, "D", LAYOUT_MOMENT2, &error) || layout_finish(model.layout, &error))
        stop("layout", &error);
    model.d_update = compile(&model, model.d_graph,
                             &(ProgramSpec){.outputs = (ProgramOutput[]){{"loss", d_loss}},
                                            .output_count = 1,
                                            .gradients = d_gradients,
                                            .gradient_count = d.count});
    model.g_update = compile(&model, model.g_graph,
                             &(ProgramSpec){.outputs = (ProgramOutput[]){{"loss", g_loss}, {"fake", fake}},
                                            .output_count = 2,
                                            .gradients = g_gradients,
                                            .gradient_count = gg.count,
                                            .early = fake});
    model.useful = BATCH * (3 * work_of_generator((double)width, (double)channels) +
                            8 * work_of_discriminator((double)width, (double)channels));
    return model;
}

static void model_free(Model *model) {
    program_free(model->d_update);
    program_free(model->g_update);
    layout_free(model->layout);
    graph_free(model->d_graph);
    graph_free(model->g_graph);
}

typedef struct {
    State state;
    Workspace *d_space, *g_space;
    int64_t steps;
    double optimizer_seconds;
} Trainer;

static Trainer trainer_new(const Model *model) {
    Trainer trainer = {.d_space = workspace_new(), .g_space = workspace_new()};
    Error error;
    if (!trainer.d_space || !trainer.g_space) stop("workspace", NULL);
    if (state_new(&trainer.state, model->layout, &error) ||
        workspace_reserve(trainer.d_space, model->d_update, &error) ||
        workspace_reserve(trainer.g_space, model->g_update, &error))
        stop("state", &error);
    /* Vectors are batch norm's gains and biases, in turn; the rest starts as PyTorch starts a convolution. */
    for (size_t i = 0; i < layout_count(model->layout); i++) {
        const LayoutEntry *entry = layout_entry(model->layout, i);
        if (entry->kind != LAYOUT_PARAMETER) continue;
        real *w = trainer.state.data + entry->offset;
        bool vector = entry->shape.size[0] == 1 && entry->shape.size[1] == 1;
        bool gain = vector && (strcmp(entry->group, "G") == 0 ? atoi(entry->name + 1) % 3 == 1
                                                              : atoi(entry->name + 1) % 3 == 2);
        random_uniform(1, i, 0, entry->count, w);
        for (size_t j = 0; j < entry->count; j++)
            w[j] = vector ? (real)gain : (real)((2 * (double)w[j] - 1) * 0.05);
    }
    random_uniform(2, 0, 0, (size_t)shape_count(program_input_shape(model->d_update, 0)),
                   workspace_input(trainer.d_space, model->d_update,
                                   (size_t)program_input_index(model->d_update, "real")));
    return trainer;
}

static void trainer_free(Trainer *trainer) {
    workspace_free(trainer->d_space);
    workspace_free(trainer->g_space);
    state_free(&trainer->state);
}

static void optimize(Trainer *trainer, Workspace *space, const Program *program, const char *group) {
    OptimizerSettings adam = optimizer_settings(OPTIMIZER_ADAM);
    adam.lr = 2e-4;
    adam.beta1 = 0.5;
    double start = now();
    size_t count;
    real *p = state_block(&trainer->state, group, LAYOUT_PARAMETER, &count);
    real *m = state_block(&trainer->state, group, LAYOUT_MOMENT1, &count);
    real *v = state_block(&trainer->state, group, LAYOUT_MOMENT2, &count);
    optimizer_step(&adam, trainer->steps, count, p, workspace_gradients(space, program, group, &count), m, v);
    trainer->optimizer_seconds += now() - start;
}

static void step(Trainer *trainer, const Model *model) {
    Error error;
    const Program *d = model->d_update, *g = model->g_update;
    uint64_t counter = (uint64_t)++trainer->steps;
    size_t fake_in = (size_t)program_input_index(d, "fake"),
           fake_out = (size_t)program_output_index(g, "fake");
    if (program_begin(g, &trainer->state, trainer->g_space, 7, counter, &error)) stop("run", &error);
    memcpy(workspace_input(trainer->d_space, d, fake_in), workspace_output(trainer->g_space, g, fake_out),
           (size_t)shape_count(program_input_shape(d, fake_in)) * sizeof(real));
    if (program_run(d, &trainer->state, trainer->d_space, 7, counter, &error)) stop("run", &error);
    optimize(trainer, trainer->d_space, d, "D");
    if (program_finish(g, &trainer->state, trainer->g_space, 7, counter, &error)) stop("run", &error);
    optimize(trainer, trainer->g_space, g, "G");
}

/* ---- timing -------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_step(Trainer *trainer, const Model *model) {
    double times[COUNTED];
    for (int i = 0; i < WARM; i++) step(trainer, model);
    for (int i = 0; i < COUNTED; i++) {
        double start = now();
        step(trainer, model);
        times[i] = now() - start;
    }
    qsort(times, COUNTED, sizeof *times, compare);
    return times[COUNTED / 2];
}

/* Shares of a profiled step; the profile's own cost is two clock readings a kernel. */
static void print_profile(Trainer *trainer, const Model *model) {
    workspace_profile(trainer->d_space, true);
    workspace_profile(trainer->g_space, true);
    trainer->optimizer_seconds = 0;
    double start = now();
    for (int i = 0; i < COUNTED; i++) step(trainer, model);
    double whole = now() - start;
    printf("   ");
    for (int kind = 0; kind < PROFILE_KINDS; kind++)
        printf(" %s %.1f %%", profile_kind_text((ProfileKind)kind),
               100 / whole *
                   (workspace_seconds(trainer->d_space, (ProfileKind)kind) +
                    workspace_seconds(trainer->g_space, (ProfileKind)kind)));
    printf(" optimizer %.1f %%\n", 100 / whole * trainer->optimizer_seconds);
    workspace_profile(trainer->d_space, false);
    workspace_profile(trainer->g_space, false);
}

/* ---- sgemm, and two threads ---------------------------------------------------------------------------- */

/* GFLOP/s of a large product: what the step's rate is a share of. */
static double sgemm_rate(void) {
    enum { LARGE = 1024, TIMES = 20 };
    float *a = memory_new(LARGE * LARGE, sizeof *a), *b = memory_new(LARGE * LARGE, sizeof *b);
    float *c = memory_new(LARGE * LARGE, sizeof *c);
    if (!a || !b || !c) stop("sgemm", NULL);
    double best = 1e9;
    for (int i = 0; i < TIMES; i++) {
        double start = now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, LARGE, LARGE, LARGE, 1, a, LARGE, b, LARGE, 0,
                    c, LARGE);
        if (now() - start < best) best = now() - start;
    }
    memory_free(a);
    memory_free(b);
    memory_free(c);
    return 2e-9 * LARGE * LARGE * LARGE / best;
}

typedef struct {
    const Model *model;
    double until;
    int64_t steps;
} Worker;

static void *work(void *context) {
    Worker *worker = context;
    Trainer trainer = trainer_new(worker->model);
    while (now() < worker->until) step(&trainer, worker->model), worker->steps++;
    trainer_free(&trainer);
    return NULL;
}

/* Steps that so many threads make in the given time, each with a state and a workspace of its own. */
static double steps_of(const Model *model, int threads, double seconds) {
    pthread_t thread[2];
    Worker workers[2];
    double steps = 0;
    for (int i = 0; i < threads; i++) {
        workers[i] = (Worker){.model = model, .until = now() + seconds};
        if (pthread_create(&thread[i], NULL, work, &workers[i])) stop("threads", NULL);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        steps += (double)workers[i].steps;
    }
    return steps;
}

/* One and two in turn, since the machine may be busy: the median of the ratios. */
static void print_threads(const Model *model, double seconds) {
    double ratios[5];
    for (int i = 0; i < 5; i++) {
        double one = steps_of(model, 1, seconds);
        ratios[i] = steps_of(model, 2, seconds) / one;
    }
    qsort(ratios, 5, sizeof *ratios, compare);
    printf("    two threads make %.2f times the steps of one (from %.2f to %.2f)\n", ratios[2], ratios[0],
           ratios[4]);
}

static void bench(int64_t width, int64_t channels, bool whole) {
    Model model = model_new(width, channels);
    Trainer trainer = trainer_new(&model);
    double median = median_step(&trainer, &model), sgemm = whole ? sgemm_rate() : 0;
    printf("brood threads 1 width %d channels %d batch %d: %.1f ms/step  %.1f useful GFLOP/s\n", (int)width,
           (int)channels, BATCH, median * 1e3, model.useful / median * 1e-9);
    if (whole) {
        print_profile(&trainer, &model);
        ProgramStats d = program_stats(model.d_update), g = program_stats(model.g_update);
        printf("    kernels: discriminator %zu for %zu nodes, generator %zu for %zu\n", d.kernels, d.nodes,
               g.kernels, g.nodes);
        printf("    %.0f %% of sgemm's %.0f GFLOP/s\n", 100 * model.useful / median * 1e-9 / sgemm, sgemm);
        printf("    workspace: %.1f + %.1f MB, state %.2f MB\n", (double)d.arena_bytes * 1e-6,
               (double)g.arena_bytes * 1e-6, (double)g.state_bytes * 1e-6);
        print_threads(&model, width == 64 ? 1.5 : 0.7);
    }
    trainer_free(&trainer);
    model_free(&model);
}

int main(int count, char **arguments) {
    openblas_set_num_threads(1);
    if (count == 3) {
        bench(atoi(arguments[1]), atoi(arguments[2]), false);
        return 0;
    }
    bench(64, 3, true);
    bench(32, 3, true);
    bench(16, 1, true);
    return 0;
}
