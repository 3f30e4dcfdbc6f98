/* What the trainer costs beside what it runs: steps of a DCGAN of width 16 on drawn digits, by trainer_run,
 * and the same programs and optimizers run bare on one batch. Both in turn, since the machine may be busy;
 * prints the medians, their ratio, and what drawing the data takes of it. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"
#include "gan/trainer.h"

enum { BATCH = 64, LATENT = 64, SIDE = 32, WIDTH = 16, WARM = 5, COUNTED = 100, PARAMETERS = 24 };

/* Of this thread's own time, whatever else the machine does. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(Status status, const Error *error) {
    if (status == STATUS_OK) return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

/* ---- the networks -------------------------------------------------------------------------------------- */

typedef struct {
    Graph *graph;
    const char *group;
    Node *parameters[PARAMETERS];
    size_t made, next; /* a network that is applied again takes the same parameters, in the same order */
} Net;

static Node *parameter(Net *net, Shape shape) {
    if (net->next == net->made) {
        char name[16];
        snprintf(name, sizeof name, "%s%zu", net->group, net->made);
        net->parameters[net->made++] = graph_parameter(net->graph, net->group, name, shape);
    }
    return net->parameters[net->next++];
}

static Node *bias(Net *net, Node *x) {
    Shape shape = node_shape(x);
    return graph_add(net->graph, x,
                     graph_expand(net->graph, parameter(net, shape_of(1, 1, 1, shape.size[3])), shape));
}

static Node *batch_norm(Net *net, Node *x) {
    Graph *g = net->graph;
    Shape shape = node_shape(x);
    Node *centered = graph_sub(g, x, graph_expand(g, graph_mean(g, x, 7), shape));
    Node *variance = graph_mean(g, graph_square(g, centered), 7);
    Node *unit =
        graph_mul(g, centered, graph_expand(g, graph_pow(g, graph_offset(g, variance, 1e-5), -0.5), shape));
    return bias(net,
                graph_mul(g, unit, graph_expand(g, parameter(net, shape_of(1, 1, 1, shape.size[3])), shape)));
}

static Node *generator(Net *net) {
    Graph *g = net->graph;
    static const int64_t SIZES[] = {LATENT, 4 * WIDTH, 2 * WIDTH, WIDTH, 1};
    Node *x = graph_normal(g, shape_of(BATCH, 1, 1, LATENT));
    net->next = 0;
    for (int i = 0; i < 4; i++) {
        Node *w = parameter(net, shape_of(4, 4, SIZES[i + 1], SIZES[i]));
        x = graph_conv_transpose(g, x, w, i ? 2 : 1, i ? 1 : 0);
        x = i < 3 ? graph_relu(g, batch_norm(net, x)) : graph_tanh(g, bias(net, x));
    }
    return x;
}

static Node *discriminator(Net *net, Node *x) {
    static const int64_t SIZES[] = {1, WIDTH, 2 * WIDTH, 4 * WIDTH};
    net->next = 0;
    for (int i = 0; i < 3; i++) {
        Node *w = parameter(net, shape_of(4, 4, SIZES[i], SIZES[i + 1]));
        x = graph_leaky_relu(net->graph, bias(net, graph_conv(net->graph, x, w, 2, 1)), 0.2);
    }
    return graph_conv(net->graph, x, parameter(net, shape_of(4, 4, SIZES[3], 1)), 1, 0);
}

/* ---- the model ----------------------------------------------------------------------------------------- */

typedef struct {
    Layout *layout;
    Program *programs[2]; /* D's, G's */
    TrainerModel trainer;
} Model;

/* The loss of D, with R1 where penalized, or of G; fresh images for each. */
static Node *loss_of(Net *d, Net *maker, bool judge, bool penalized) {
    Graph *g = d->graph;
    Node *on_fake = discriminator(d, generator(maker));
    if (!judge) return graph_mean_all(g, graph_softplus(g, graph_neg(g, on_fake)));
    Node *images = graph_input(g, "real", shape_of(BATCH, SIDE, SIDE, 1)), *slope;
    Node *on_real = discriminator(d, images);
    Node *loss = graph_add(g, graph_mean_all(g, graph_softplus(g, graph_neg(g, on_real))),
                           graph_mean_all(g, graph_softplus(g, on_fake)));
    if (!penalized) return loss;
    graph_grad(g, graph_sum_all(g, on_real), &images, 1, &slope);
    return graph_add(g, loss, graph_scale(g, graph_sum_all(g, graph_square(g, slope)), 0.5 / BATCH));
}

static void add_layout(Model *model, const Graph *graph) {
    Error error;
    check(layout_add_graph(model->layout, graph, &error), &error);
}

static void finish_layout(Model *model) {
    Error error;
    for (int player = 0; player < 2; player++)
        for (int kind = LAYOUT_MOMENT1; kind < LAYOUT_KINDS; kind++)
            check(layout_add_kind(model->layout, player ? "G" : "D", (LayoutKind)kind, &error), &error);
    check(trainer_add_clock(model->layout, &error), &error);
    check(layout_finish(model->layout, &error), &error);
}

static Program *compile(const Model *model, Graph *graph, Node *loss, const Net *net) {
    Node *found[PARAMETERS];
    ProgramGradient gradients[PARAMETERS];
    Error error;
    if (!graph_grad(graph, loss, net->parameters, net->made, found))
        check(STATUS_INVALID, graph_error(graph));
    for (size_t i = 0; i < net->made; i++) gradients[i] = (ProgramGradient){net->parameters[i], found[i]};
    ProgramSpec spec = {.outputs = &(ProgramOutput){"loss", loss},
                        .output_count = 1,
                        .gradients = gradients,
                        .gradient_count = net->made};
    Program *program = program_new(graph, model->layout, &spec, &error);
    if (!program) check(STATUS_INVALID, &error);
    return program;
}

static TrainerPlayer player(const char *name, const Program *program) {
    return (TrainerPlayer){.name = name,
                           .group = name,
                           .update = program,
                           .repeats = number_constant(1),
                           .optimizer = OPTIMIZER_ADAM,
                           .lr = number_constant(2e-4),
                           .beta1 = number_constant(0.5),
                           .beta2 = number_constant(0.999),
                           .epsilon = number_constant(1e-8)};
}

static Model model_new(const Dataset *data, bool penalized) {
    Model model = {.layout = layout_new()};
    Graph *graphs[2];
    Node *losses[2];
    Net d[2], maker[2];
    for (int i = 0; i < 2; i++) {
        graphs[i] = graph_new();
        if (!graphs[i] || !model.layout) check(STATUS_NO_MEMORY, &(Error){.message = "out of memory"});
        d[i] = (Net){.graph = graphs[i], .group = "D"};
        maker[i] = (Net){.graph = graphs[i], .group = "G"};
        losses[i] = loss_of(&d[i], &maker[i], i == 0, penalized);
        add_layout(&model, graphs[i]);
    }
    finish_layout(&model);
    for (int i = 0; i < 2; i++) {
        model.programs[i] = compile(&model, graphs[i], losses[i], i ? &maker[i] : &d[i]);
        graph_free(graphs[i]);
    }
    model.trainer =
        (TrainerModel){.layout = model.layout,
                       .players = {player("D", model.programs[0]), player("G", model.programs[1])},
                       .player_count = 2,
                       .average = "G",
                       .average_decay = number_constant(0.999),
                       .average_warmup = 10,
                       .data = data,
                       .batch = BATCH};
    return model;
}

static void model_free(Model *model) {
    for (int p = 0; p < 2; p++) program_free(model->programs[p]);
    layout_free(model->layout);
}

static Member member_new_of(const Model *model) {
    Member member;
    Error error;
    check(member_new(&member, &model->trainer, &error), &error);
    member.key = 1;
    for (size_t i = 0; i < layout_count(model->layout); i++) {
        const LayoutEntry *entry = layout_entry(model->layout, i);
        if (entry->kind != LAYOUT_PARAMETER) continue;
        real *w = member.state.data + entry->offset;
        random_normal(1, i, 0, entry->count, w);
        for (size_t j = 0; j < entry->count; j++) w[j] *= (real)0.05;
    }
    return member;
}

/* ---- bare ---------------------------------------------------------------------------------------------- */

static void bare_update(const Model *model, State *state, Workspace *space, int p, int64_t step) {
    static const char *const GROUPS[] = {"D", "G"};
    Error error;
    check(program_run(model->programs[p], state, space, (uint64_t)p + 1, (uint64_t)step, &error), &error);
    OptimizerSettings adam = optimizer_settings(OPTIMIZER_ADAM);
    adam.lr = 2e-4;
    adam.beta1 = 0.5;
    size_t count;
    real *w = state_block(state, GROUPS[p], LAYOUT_PARAMETER, &count);
    real *m = state_block(state, GROUPS[p], LAYOUT_MOMENT1, &count);
    real *v = state_block(state, GROUPS[p], LAYOUT_MOMENT2, &count);
    optimizer_step(&adam, step, count, w, workspace_gradients(space, model->programs[p], GROUPS[p], &count),
                   m, v);
}

/* One batch of real images, drawn once; it has to be laid in place each time, as all inputs have. */
static void bare_step(const Model *model, State *state, Workspace *space, const real *batch, int64_t step) {
    memcpy(workspace_input(space, model->programs[0], 0), batch, BATCH * SIDE * SIDE * sizeof(real));
    for (int p = 0; p < 2; p++) bare_update(model, state, space, p, step);
}

/* ---- timing -------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void bench(const char *title, const Model *model) {
    static double bare[COUNTED], whole[COUNTED], drawing[COUNTED], ratios[COUNTED];
    Error error;
    Trainer *trainer = trainer_new(&model->trainer, &error);
    Workspace *space = workspace_new();
    real *batch = memory_new(BATCH * SIDE * SIDE, sizeof *batch);
    if (!trainer) check(STATUS_INVALID, &error);
    for (int p = 0; p < 2; p++) check(workspace_reserve(space, model->programs[p], &error), &error);
    Member one = member_new_of(model), two = member_new_of(model);
    for (int i = -WARM; i < COUNTED; i++) {
        double start = now();
        dataset_batch(model->trainer.data, 1, (uint64_t)(i + WARM), BATCH, batch, NULL);
        double drawn = now();
        bare_step(model, &one.state, space, batch, i + WARM + 1);
        double done = now();
        check(trainer_run(trainer, &two, 1, NULL, &error), &error);
        if (i < 0) continue;
        drawing[i] = drawn - start;
        bare[i] = done - drawn;
        whole[i] = now() - done;
        ratios[i] = whole[i] / bare[i];
    }
    double step = median(whole, COUNTED), data = median(drawing, COUNTED), plain = median(bare, COUNTED);
    printf("%s: %.2f ms a step, bare %.2f ms: ratio %.3f (best of each %.3f)\n", title, 1e3 * step,
           1e3 * plain, median(ratios, COUNTED), whole[0] / bare[0]);
    printf("    drawing a batch takes %.2f ms, %.1f %% of a step\n", 1e3 * data, 100 * data / step);
    memory_free(batch);
    workspace_free(space);
    trainer_free(trainer);
    member_free(&one);
    member_free(&two);
}

int main(int count, char **arguments) {
    openblas_set_num_threads(1);
    DataKind kind = DATA_DIGITS;
    if (count > 1 && !data_kind_named(arguments[1], &kind)) {
        fprintf(stderr, "%s: digits, mnist or fashion_mnist expected\n", arguments[1]);
        return 1;
    }
    DataOptions options = data_options(kind);
    options.side = SIDE;
    Error error;
    Dataset *data = dataset_open(&options, &error);
    if (!data) check(error.status, &error);
    for (int penalized = 0; penalized < 2; penalized++) {
        Model model = model_new(data, penalized);
        bench(penalized ? "with R1" : "plain", &model);
        model_free(&model);
    }
    dataset_free(data);
    return 0;
}
