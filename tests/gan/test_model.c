/* A model as scripts make it: a small DCGAN with batch norm and averages on drawn digits. What training it
 * promises: the same bits in any company, none of the memory that it does not have already, and samples that
 * do not depend on each other. */
#include "gan/model.h"
#include "tests/gan/game.h"

#include <cblas.h>
#include <math.h>
#include <pthread.h>

#include "tests/support/alloc.h"
#include "tests/support/nets.h"
#include "tests/support/rig.h"

enum { BATCH = 4, WIDTH = 2, SAMPLES = 8, STEPS = 4 };

/* ---- the model ----------------------------------------------------------------------------------------- */

/* G's images. In training by the batch's own statistics, of which running ones are kept where `draft` is G's;
 * in sampling scaled by the running ones. */
static Node *images_of(Draft *draft, Net *net, Node *z, bool keep) {
    Graph *g = draft->graph;
    Node *images = net_generator(net, z, WIDTH, 1);
    for (size_t i = 0; i < net->moment_count && keep; i++) {
        Node *running = graph_variable(g, "G",
                                       i == 0   ? "G.mean1"
                                       : i == 1 ? "G.variance1"
                                       : i == 2 ? "G.mean2"
                                                : "G.variance2",
                                       node_shape(net->moments[i]));
        draft_assign(draft, running,
                     graph_add(g, graph_scale(g, running, 0.9), graph_scale(g, net->moments[i], 0.1)));
    }
    return images;
}

/* z (n, latent), labels (n) → images, one by one: a linear layer, shifted by a class's row and by running
 * statistics. */
static Draft sampler_draft(void) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Net net = net_new(g, "G");
    Node *z = graph_input(g, "z", shape_of(SAMPLES, NET_LATENT));
    Node *table = graph_parameter(g, "G", "G.classes.w", shape_of(10, NET_LATENT));
    Node *classes = graph_offset(g, graph_input(g, "labels", shape_of(SAMPLES)), -1);
    z = graph_add(g, z, graph_gather(g, table, classes));
    Node *mean = graph_variable(g, "G", "G.mean1", shape_of(2 * WIDTH));
    Node *x = graph_reshape(g, z, shape_of(SAMPLES, 1, 1, NET_LATENT));
    x = net_upconv(&net, "G.1", x, 2 * WIDTH, 4, 1, 0);
    x = graph_relu(g, graph_sub(g, x, net_channels(g, mean, node_shape(x))));
    x = graph_relu(g, net_upconv(&net, "G.2", x, WIDTH, 4, 2, 1));
    draft_output(&draft, "images", graph_tanh(g, net_upconv(&net, "G.3", x, 1, 4, 2, 1)));
    return draft;
}

/* softplus(−D(real)) + softplus(D(fake)), with a gradient penalty where `penalized`. */
static Draft judge_draft(bool penalized) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Net d = net_new(g, "D"), maker = net_new(g, "G");
    Shape images = shape_of(BATCH, NET_SIZE, NET_SIZE, 1);
    Node *real_images = graph_input(g, "real", images);
    Node *fake = images_of(&draft, &maker, graph_normal(g, shape_of(BATCH, NET_LATENT)), false);
    Node *on_real = net_discriminator(&d, real_images, WIDTH, NET_LEAKY_RELU, false);
    Node *on_fake = net_discriminator(&d, fake, WIDTH, NET_LEAKY_RELU, false), *slope;
    Node *loss = graph_add(g, graph_mean_all(g, graph_softplus(g, graph_neg(g, on_real))),
                           graph_mean_all(g, graph_softplus(g, on_fake)));
    if (penalized) {
        assert_true(graph_grad(g, graph_sum_all(g, on_real), &real_images, 1, &slope));
        loss = graph_add(g, loss, graph_mean_all(g, graph_square(g, slope)));
    }
    Node *labels = graph_input(g, "real_labels", shape_of(BATCH));
    draft_output(&draft, "label", graph_mean_all(g, labels));
    draft_loss(&draft, loss, d.parameters, d.parameter_count);
    return draft;
}

static Draft maker_draft(void) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Net d = net_new(g, "D"), maker = net_new(g, "G");
    Node *table = graph_parameter(g, "G", "G.classes.w", shape_of(10, NET_LATENT));
    Node *classes = graph_offset(g, graph_input(g, "fake_labels", shape_of(BATCH)), -1);
    Node *z = graph_add(g, graph_normal(g, shape_of(BATCH, NET_LATENT)), graph_gather(g, table, classes));
    Node *fake = images_of(&draft, &maker, z, true);
    Node *judged = net_discriminator(&d, fake, WIDTH, NET_LEAKY_RELU, false);
    maker.parameters[maker.parameter_count++] = table;
    draft_loss(&draft, graph_mean_all(g, graph_softplus(g, graph_neg(g, judged))), maker.parameters,
               maker.parameter_count);
    return draft;
}

typedef struct {
    Game game; /* owns layout and programs until they are the model's */
    Model model;
    Dataset *data;
} Fixture;

/* Averages, moments of Adam, lazy penalties, two D updates a step. */
static Fixture fixture_new(bool simultaneous) {
    Draft drafts[] = {judge_draft(false), judge_draft(true), maker_draft(), sampler_draft()};
    Fixture fixture = {.game = game_new(drafts, 4)};
    Game *game = &fixture.game;
    TrainerPlayer *d = game_player(game, "D", game->programs[0], 1e-3);
    d->penalized = game->programs[1];
    d->lazy = number_constant(3);
    d->repeats = number_constant(simultaneous ? 1 : 2);
    d->optimizer = OPTIMIZER_ADAM;
    d->clip_norm = number_constant(1);
    game_player(game, "G", game->programs[2], 1e-3)->optimizer = OPTIMIZER_ADAM;
    DataOptions options = data_options(DATA_DIGITS);
    options.side = NET_SIZE;
    options.count = 50; /* an epoch is over within a few steps */
    Error error;
    fixture.data = dataset_open(&options, &error);
    if (!fixture.data) fail_msg("%s", error.message);
    game->model.data = fixture.data;
    game->model.batch = BATCH;
    game->model.average = "G";
    game->model.average_decay = number_constant(0.9);
    game->model.simultaneous = simultaneous;
    fixture.model = (Model){.trainer = game->model,
                            .layout = game->layout,
                            .programs = {game->programs[0], game->programs[1], game->programs[2]},
                            .program_count = 3,
                            .raw_sampler = game->programs[3]};
    return fixture;
}

/* The averages' program is compiled from the same draft; drafts are gone once compiled. */
static void add_sampler(Fixture *fixture) {
    Draft draft = sampler_draft();
    draft.spec.outputs = draft.outputs;
    draft.spec.read_averages = true;
    Error error;
    fixture->model.sampler = program_new(draft.graph, fixture->model.layout, &draft.spec, &error);
    if (!fixture->model.sampler) fail_msg("%s", error.message);
    graph_free(draft.graph);
}

static void fixture_free(Fixture *fixture) {
    model_free(&fixture->model);
    dataset_free(fixture->data);
}

static Member member_of(const Fixture *fixture, uint64_t slot) {
    Member member;
    Error error;
    check_status(model_member(&fixture->model, 7, slot, &member, &error), &error);
    net_fill(&member.state, 3);
    return member;
}

static Trainer *trainer_of(const Fixture *fixture) {
    Error error;
    Trainer *trainer = trainer_new(&fixture->model.trainer, &error);
    if (!trainer) fail_msg("%s", error.message);
    return trainer;
}

static void check_same_state(const Member *got, const Member *expected) {
    check_same_bits("state", got->state.data, expected->state.data, layout_numbers(got->state.layout));
}

static bool states_differ(const Member *a, const Member *b) {
    return memcmp(a->state.data, b->state.data, layout_numbers(a->state.layout) * sizeof(real)) != 0;
}

/* ---- training ------------------------------------------------------------------------------------------ */

static void test_slots_diverge(void **unused) {
    (void)unused;
    Fixture fixture = fixture_new(false);
    Trainer *trainer = trainer_of(&fixture);
    Member members[] = {member_of(&fixture, 0), member_of(&fixture, 0), member_of(&fixture, 1)};
    check_same_state(&members[0], &members[2]);
    for (int i = 0; i < 3; i++) game_run(trainer, &members[i], STEPS);
    check_same_state(&members[0], &members[1]);
    assert_true(states_differ(&members[0], &members[2]));
    state_copy(&members[2].state, &members[0].state); /* a copy goes on to differ */
    for (int i = 0; i < 3; i++) game_run(trainer, &members[i], 1);
    check_same_state(&members[0], &members[1]);
    assert_true(states_differ(&members[0], &members[2]));
    for (int i = 0; i < 3; i++) member_free(&members[i]);
    trainer_free(trainer);
    fixture_free(&fixture);
}

/* State, key and steps are all that there is to a member: with them it goes on bit for bit, in another
 * trainer, however its steps are cut up, and whoever else is trained in between. */
static void test_resume(void **unused) {
    (void)unused;
    for (int simultaneous = 0; simultaneous < 2; simultaneous++) {
        Fixture fixture = fixture_new(simultaneous);
        Trainer *trainer = trainer_of(&fixture);
        Member whole = member_of(&fixture, 0), saved = member_of(&fixture, 0), other = member_of(&fixture, 9);
        game_run(trainer, &whole, 2 * STEPS + 3);
        game_run(trainer, &saved, STEPS);
        Member resumed = member_of(&fixture, 0);
        state_copy(&resumed.state, &saved.state);
        resumed.steps = saved.steps;
        trainer_free(trainer);
        trainer = trainer_of(&fixture);
        for (int step = 0; step < STEPS + 3; step++) {
            game_run(trainer, &resumed, 1);
            game_run(trainer, &other, 1);
        }
        check_same_state(&resumed, &whole);
        assert_int_equal(member_age(&resumed), 2 * STEPS + 3);
        member_free(&whole);
        member_free(&saved);
        member_free(&resumed);
        member_free(&other);
        trainer_free(trainer);
        fixture_free(&fixture);
    }
}

typedef struct {
    const Fixture *fixture;
    Member member;
    Status status;
    Error error;
} Worker;

static void *work(void *argument) {
    Worker *worker = argument;
    Trainer *trainer = trainer_new(&worker->fixture->model.trainer, &worker->error);
    worker->status =
        trainer ? trainer_run(trainer, &worker->member, 3 * STEPS, NULL, &worker->error) : STATUS_NO_MEMORY;
    trainer_free(trainer);
    return NULL;
}

/* Two threads, each with a trainer, make the bits that one makes. */
static void test_threads(void **unused) {
    (void)unused;
    Fixture fixture = fixture_new(false);
    Trainer *trainer = trainer_of(&fixture);
    pthread_t threads[2];
    Worker workers[2] = {{.fixture = &fixture, .member = member_of(&fixture, 0)},
                         {.fixture = &fixture, .member = member_of(&fixture, 1)}};
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        check_status(workers[i].status, &workers[i].error);
        Member alone = member_of(&fixture, (uint64_t)i);
        game_run(trainer, &alone, 3 * STEPS);
        check_same_state(&workers[i].member, &alone);
        member_free(&alone);
        member_free(&workers[i].member);
    }
    trainer_free(trainer);
    fixture_free(&fixture);
}

static void test_no_allocation(void **unused) {
    (void)unused;
    for (int simultaneous = 0; simultaneous < 2; simultaneous++) {
        Fixture fixture = fixture_new(simultaneous);
        Trainer *trainer = trainer_of(&fixture);
        Member member = member_of(&fixture, 0);
        double signals[16];
        Error error;
        assert_true(trainer_signals(trainer) <= 16);
        size_t before = alloc_calls();
        Status status = trainer_run(trainer, &member, 2 * STEPS, signals, &error);
        size_t after = alloc_calls();
        check_status(status, &error);
        assert_int_equal(after, before);
        assert_true(trainer_bytes(trainer) > 0);
        trainer_free(trainer);
        member_free(&member);
        fixture_free(&fixture);
    }
}

/* Wherever memory runs out while a trainer or a member is made, that is an error, and nothing is lost. */
static void test_no_memory(void **unused) {
    (void)unused;
    enum { MOST_CALLS = 1000 };
    Fixture fixture = fixture_new(true);
    ptrdiff_t live = alloc_live();
    for (size_t nth = 1;; nth++) {
        assert_true(nth < MOST_CALLS);
        Error error = {.status = STATUS_OK};
        Member member;
        alloc_refuse(nth, false);
        Status status = model_member(&fixture.model, 1, 2, &member, &error);
        Trainer *trainer = status == STATUS_OK ? trainer_new(&fixture.model.trainer, &error) : NULL;
        bool refused = alloc_refused();
        alloc_refuse(0, false);
        trainer_free(trainer);
        member_free(&member);
        assert_int_equal(alloc_live(), live);
        if (!refused) {
            assert_non_null(trainer);
            break;
        }
        assert_null(trainer);
        assert_int_equal(error.status, STATUS_NO_MEMORY);
    }
    fixture_free(&fixture);
}

/* Real labels count from 1, and D sees all samples of an epoch before it sees one again. */
static void test_data(void **unused) {
    (void)unused;
    Fixture fixture = fixture_new(true); /* one batch a step */
    Trainer *trainer = trainer_of(&fixture);
    Member member = member_of(&fixture, 0);
    double signals[16], expected = 0, sum = 0;
    Error error;
    for (int digit = 0; digit < 10; digit++)
        expected += (double)((digit + 1) * fixture.data->histogram[digit]) / (double)fixture.data->count;
    enum { TWO_EPOCHS = 2 * 50 / BATCH };
    for (int step = 0; step < TWO_EPOCHS; step++) {
        check_status(trainer_run(trainer, &member, 1, signals, &error), &error);
        for (size_t i = 0; i < trainer_signals(trainer); i++)
            if (strcmp(trainer_signal_name(trainer, i), "D.label") == 0) sum += signals[i] / TWO_EPOCHS;
    }
    if (!(fabs(sum - expected) < 1e-5)) fail_msg("mean label %.7g expected, got %.7g", expected, sum);
    trainer_free(trainer);
    member_free(&member);
    fixture_free(&fixture);
}

/* ---- sampling ------------------------------------------------------------------------------------------ */

enum { SHOWN = 3 * SAMPLES + 5, NUMBERS = NET_SIZE * NET_SIZE };

typedef struct {
    Fixture fixture;
    Member member;
    Workspace *workspace;
} Studio;

static Studio studio_new(void) {
    Studio studio = {.fixture = fixture_new(false), .workspace = workspace_new()};
    assert_non_null(studio.workspace);
    add_sampler(&studio.fixture);
    Trainer *trainer = trainer_of(&studio.fixture);
    studio.member = member_of(&studio.fixture, 0);
    game_run(trainer, &studio.member, STEPS);
    trainer_free(trainer);
    return studio;
}

static void studio_free(Studio *studio) {
    workspace_free(studio->workspace);
    member_free(&studio->member);
    fixture_free(&studio->fixture);
}

static void sample(Studio *studio, bool raw, uint64_t key, size_t first, size_t count, const real *labels,
                   real *images) {
    Error error;
    check_status(model_sample(&studio->fixture.model, raw, &studio->member.state, studio->workspace, key,
                              first, count, labels, images, &error),
                 &error);
}

static void test_facts(void **unused) {
    (void)unused;
    Studio studio = studio_new();
    const Model *model = &studio.fixture.model;
    assert_int_equal(model_image_numbers(model), NUMBERS);
    assert_int_equal(model_sampler_batch(model), SAMPLES);
    assert_int_equal(model_latent(model), NET_LATENT);
    assert_true(model_conditional(model));
    studio_free(&studio);
}

/* Image n is the same bits whatever is asked for beside it, and sampling leaves the member as it is. */
static void test_images_stand_alone(void **unused) {
    (void)unused;
    static real all[SHOWN * NUMBERS], some[SHOWN * NUMBERS];
    Studio studio = studio_new();
    Member before = member_of(&studio.fixture, 0);
    state_copy(&before.state, &studio.member.state);
    sample(&studio, false, 5, 0, SHOWN, NULL, all);
    for (size_t first = 0; first < SHOWN; first++)
        for (size_t count = 1; first + count <= SHOWN; count += 6) {
            memset(some, 0, sizeof some);
            sample(&studio, false, 5, first, count, NULL, some);
            check_same_bits("images", some, all + first * NUMBERS, count * NUMBERS);
            assert_true(count == SHOWN || some[count * NUMBERS] == 0);
        }
    check_same_state(&studio.member, &before);
    sample(&studio, false, 6, 0, 1, NULL, some);
    assert_memory_not_equal(some, all, NUMBERS * sizeof(real));
    assert_memory_not_equal(all, all + 10 * NUMBERS, NUMBERS * sizeof(real));
    member_free(&before);
    studio_free(&studio);
}

static void test_labels(void **unused) {
    (void)unused;
    static real in_turn[SHOWN * NUMBERS], given[SHOWN * NUMBERS];
    real labels[SHOWN];
    Studio studio = studio_new();
    for (int i = 0; i < SHOWN; i++) labels[i] = (real)(1 + i % 10);
    sample(&studio, false, 5, 0, SHOWN, NULL, in_turn);
    sample(&studio, false, 5, 0, SHOWN, labels, given);
    check_same_bits("images", given, in_turn, SHOWN * NUMBERS);
    labels[SHOWN - 1] = 3; /* was another: only this image changes */
    sample(&studio, false, 5, 0, SHOWN, labels, given);
    check_same_bits("images", given, in_turn, (SHOWN - 1) * NUMBERS);
    assert_memory_not_equal(given + (SHOWN - 1) * NUMBERS, in_turn + (SHOWN - 1) * NUMBERS,
                            NUMBERS * sizeof(real));
    Error error;
    real latents[NET_LATENT] = {0};
    labels[0] = 11;
    assert_int_equal(model_sample_from(&studio.fixture.model, false, &studio.member.state, studio.workspace,
                                       latents, 1, labels, given, &error),
                     STATUS_INVALID);
    assert_int_equal(model_sample_from(&studio.fixture.model, false, &studio.member.state, studio.workspace,
                                       latents, 1, NULL, given, &error),
                     STATUS_INVALID);
    check_contains(error.message, "labels");
    studio_free(&studio);
}

static void copy_block(const State *state, LayoutKind from, LayoutKind into) {
    size_t count;
    const real *source = state_block(state, "G", from, &count);
    memcpy(state_block(state, "G", into, &count), source, count * sizeof(real));
}

/* The averages, weights and running statistics, are what is sampled; the raw ones on request. */
static void test_averaged(void **unused) {
    (void)unused;
    static real averaged[NUMBERS], raw[NUMBERS], after[NUMBERS];
    Studio studio = studio_new();
    const State *state = &studio.member.state;
    sample(&studio, false, 5, 0, 1, NULL, averaged);
    sample(&studio, true, 5, 0, 1, NULL, raw);
    assert_memory_not_equal(averaged, raw, sizeof raw);
    /* Averages that are what they average make the raw images. */
    copy_block(state, LAYOUT_PARAMETER, LAYOUT_AVERAGE_PARAMETER);
    sample(&studio, false, 5, 0, 1, NULL, after);
    assert_memory_not_equal(after, raw, sizeof raw); /* statistics are still others */
    copy_block(state, LAYOUT_VARIABLE, LAYOUT_AVERAGE_VARIABLE);
    sample(&studio, false, 5, 0, 1, NULL, after);
    check_same_bits("images", after, raw, NUMBERS);
    studio_free(&studio);
}

static void test_latents(void **unused) {
    (void)unused;
    static real rowwise[SHOWN * NUMBERS], from[SHOWN * NUMBERS];
    static real latents[SHOWN * NET_LATENT], labels[SHOWN];
    Studio studio = studio_new();
    random_normal(5, 0, 0, SHOWN * NET_LATENT, latents);
    for (int i = 0; i < SHOWN; i++) labels[i] = (real)(1 + i % 10);
    sample(&studio, false, 5, 0, SHOWN, NULL, rowwise);
    Error error;
    check_status(model_sample_from(&studio.fixture.model, false, &studio.member.state, studio.workspace,
                                   latents, SHOWN, labels, from, &error),
                 &error);
    check_same_bits("images", from, rowwise, SHOWN * NUMBERS);
    studio_free(&studio);
}

int main(void) {
    openblas_set_num_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_diverge), cmocka_unit_test(test_resume),
        cmocka_unit_test(test_threads),       cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_data),
        cmocka_unit_test(test_facts),         cmocka_unit_test(test_images_stand_alone),
        cmocka_unit_test(test_labels),        cmocka_unit_test(test_averaged),
        cmocka_unit_test(test_latents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
