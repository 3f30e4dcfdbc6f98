/* The trainer on games small enough to be played by hand: who updates when, with what numbers. */
#include "tests/gan/game.h"

#include <math.h>

#include "tests/support/rig.h"

/* ---- a game of two numbers ----------------------------------------------------------------------------- */

/* D's slope psi and G's point theta: D's loss theta·psi + first·psi²/2, or ten times the penalty where
 * `penalized`; G's loss −theta·psi. */
static Draft slope_draft(bool penalized) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Node *psi = graph_parameter(g, "D", "psi", shape_scalar()),
         *theta = graph_parameter(g, "G", "theta", shape_scalar());
    Node *penalty = graph_mul(g, graph_input(g, "h.first", shape_scalar()), graph_square(g, psi));
    draft_loss(&draft, graph_add(g, graph_mul(g, theta, psi), graph_scale(g, penalty, penalized ? 5 : 0.5)),
               &psi, 1);
    if (penalized) draft_output(&draft, "penalty", penalty);
    return draft;
}

static Draft point_draft(void) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Node *psi = graph_parameter(g, "D", "psi", shape_scalar()),
         *theta = graph_parameter(g, "G", "theta", shape_scalar());
    draft_loss(&draft, graph_neg(g, graph_mul(g, theta, psi)), &theta, 1);
    return draft;
}

enum { SLOPE, POINT, PENALIZED };

static Game duel_new(void) {
    Draft drafts[] = {slope_draft(false), point_draft(), slope_draft(true)};
    Game game = game_new(drafts, 3);
    game_player(&game, "D", game.programs[SLOPE], 0.1);
    game_player(&game, "G", game.programs[POINT], 0.1);
    return game;
}

static void move_psi(Duel *duel, double rate, double gamma) {
    duel->psi -= rate * (duel->theta + gamma * duel->psi);
}

static void move_theta(Duel *duel, double rate) {
    duel->theta += rate * duel->psi;
}

static void test_in_turn(void **state) {
    (void)state;
    Game game = duel_new();
    game.hypers[0] = 0.5;
    Duel duel = duel_begin(&game);
    for (int step = 0; step < 20; step++) {
        game_run(duel.trainer, &duel.member, 1);
        move_psi(&duel, 0.1, 0.5);
        move_theta(&duel, 0.1); /* sees the new psi */
        duel_check(&duel);
    }
    duel_end(&duel);
    game_free(&game);
}

static void test_at_once(void **state) {
    (void)state;
    Game game = duel_new();
    game.hypers[0] = 0.5;
    game.model.simultaneous = true;
    Duel duel = duel_begin(&game);
    for (int step = 0; step < 20; step++) {
        game_run(duel.trainer, &duel.member, 1);
        Duel before = duel;
        move_psi(&duel, 0.1, 0.5);
        duel.theta += 0.1 * before.psi;
        duel_check(&duel);
    }
    duel_end(&duel);
    game_free(&game);
}

static void test_order_of_players(void **state) {
    (void)state;
    Draft drafts[] = {slope_draft(false), point_draft()};
    Game game = game_new(drafts, 2);
    game_player(&game, "G", game.programs[POINT], 0.1);
    game_player(&game, "D", game.programs[SLOPE], 0.1);
    Duel duel = duel_begin(&game);
    for (int step = 0; step < 5; step++) {
        game_run(duel.trainer, &duel.member, 1);
        move_theta(&duel, 0.1);
        move_psi(&duel, 0.1, 0);
        duel_check(&duel);
    }
    duel_end(&duel);
    game_free(&game);
}

/* The number of updates is live, and rounded. */
static void test_repeats(void **state) {
    (void)state;
    static const double REPEATS[] = {1, 3, 2.6, 0.2, 5, -4, 1.4};
    static const int UPDATES[] = {1, 3, 3, 1, 5, 1, 1};
    Game game = duel_new();
    game.model.players[0].repeats = number_hyper(1);
    Duel duel = duel_begin(&game);
    for (size_t step = 0; step < sizeof UPDATES / sizeof *UPDATES; step++) {
        game.hypers[1] = REPEATS[step];
        game_run(duel.trainer, &duel.member, 1);
        for (int i = 0; i < UPDATES[step]; i++) move_psi(&duel, 0.1, 0);
        move_theta(&duel, 0.1);
        duel_check(&duel);
    }
    Error error;
    game.hypers[1] = 1e18;
    assert_int_equal(trainer_run(duel.trainer, &duel.member, 1, NULL, &error), STATUS_INVALID);
    check_contains(error.message, "player D: 1e+18 updates in a step");
    duel_end(&duel);
    game_free(&game);
}

/* ---- live numbers -------------------------------------------------------------------------------------- */

/* What changes between two steps is what the very next one uses. */
static void test_live_hypers(void **state) {
    (void)state;
    Game game = duel_new();
    game.model.players[0].lr = number_hyper(1);
    Duel duel = duel_begin(&game);
    for (int step = 0; step < 8; step++) {
        game.hypers[0] = step % 3;              /* the loss's */
        game.hypers[1] = 0.01 * (1 + step % 4); /* the optimizer's */
        game_run(duel.trainer, &duel.member, 1);
        move_psi(&duel, game.hypers[1], game.hypers[0]);
        move_theta(&duel, 0.1);
        duel_check(&duel);
    }
    duel_end(&duel);
    game_free(&game);
}

/* Schedules go by the state's age: it travels with a copy. */
static void test_schedules(void **state) {
    (void)state;
    Game game = duel_new();
    game.model.players[1].lr = (Number){.kind = NUMBER_LINEAR, .from = 0.1, .to = 0, .steps = 10};
    Duel duel = duel_begin(&game);
    for (int step = 0; step < 12; step++) {
        game_run(duel.trainer, &duel.member, 1);
        move_psi(&duel, 0.1, 0);
        move_theta(&duel, step < 10 ? 0.1 * (1 - step / 10.0) : 0);
        duel_check(&duel);
        Member copy = game_member(&game, 5);
        state_copy(&copy.state, &duel.member.state);
        assert_int_equal(member_age(&copy), step + 1);
        member_free(&duel.member);
        duel.member = copy;
    }
    duel_end(&duel);
    game_free(&game);
}

/* A schedule within a program, as the input n.INDEX. */
static void test_numbers(void **state) {
    (void)state;
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Node *w = graph_parameter(g, "G", "w", shape_scalar());
    Node *slope = graph_add(g, graph_input(g, "n.1", shape_scalar()),
                            graph_scale(g, graph_input(g, "n.0", shape_scalar()), 100));
    draft_loss(&draft, graph_mul(g, w, slope), &w, 1);
    Game game = game_new(&draft, 1);
    game_player(&game, "G", game.programs[0], 1);
    const Number numbers[] = {number_hyper(1), {.kind = NUMBER_LINEAR, .from = 1, .to = 5, .steps = 4}};
    game.model.numbers = numbers;
    game.model.number_count = 2;
    Trainer *trainer = game_trainer(&game);
    Member member = game_member(&game, 0);
    real *value = member_tensor(&member, LAYOUT_PARAMETER, "w");
    for (int step = 0; step < 6; step++) {
        game.hypers[1] = step;
        *value = 0;
        game_run(trainer, &member, 1);
        assert_true(*value == (real) - ((step < 4 ? 1 + step : 5) + 100 * step));
    }
    trainer_free(trainer);
    member_free(&member);
    game_free(&game);
}

/* Each setting of an optimizer reaches it: as a hyperparameter it does what optimizer_step does with it. */
static void check_setting(OptimizerKind kind, Number *(*field)(TrainerPlayer *),
                          double *(*setting)(OptimizerSettings *), double value) {
    Game game = duel_new();
    TrainerPlayer *player = &game.model.players[0];
    player->optimizer = kind;
    *field(player) = number_hyper(1);
    game.model.player_count = 1;
    Duel duel = duel_begin(&game);
    OptimizerSettings settings = {
        .kind = kind, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.9};
    real p = 1, m = 0, v = 0, before = 1;
    for (int step = 1; step <= 3; step++) { /* two as always, then one with the new value */
        game.hypers[1] = step < 3 ? *setting(&settings) : value;
        *setting(&settings) = game.hypers[1];
        before = p;
        game_run(duel.trainer, &duel.member, 1);
        optimizer_step(&settings, step, 1, &p, &(real){1}, &m, &v);
        assert_true(*member_tensor(&duel.member, LAYOUT_PARAMETER, "psi") == p);
        assert_true(before != p);
    }
    duel_end(&duel);
    game_free(&game);
}

#define SETTING(name)                                                                                        \
    static Number *name##_field(TrainerPlayer *player) {                                                     \
        return &player->name;                                                                                \
    }                                                                                                        \
    static double *name##_setting(OptimizerSettings *settings) {                                             \
        return &settings->name;                                                                              \
    }
SETTING(lr)
SETTING(beta1)
SETTING(beta2)
SETTING(epsilon)
SETTING(momentum)
SETTING(decay)
SETTING(weight_decay)
SETTING(clip_norm)

static void test_settings(void **state) {
    (void)state;
    check_setting(OPTIMIZER_ADAM, lr_field, lr_setting, 0.3);
    check_setting(OPTIMIZER_ADAM, beta1_field, beta1_setting, 0.2);
    check_setting(OPTIMIZER_ADAM, beta2_field, beta2_setting, 0.5);
    check_setting(OPTIMIZER_ADAM, epsilon_field, epsilon_setting, 0.7);
    check_setting(OPTIMIZER_SGD, momentum_field, momentum_setting, 0.6);
    check_setting(OPTIMIZER_RMSPROP, decay_field, decay_setting, 0.3);
    check_setting(OPTIMIZER_SGD, weight_decay_field, weight_decay_setting, 2);
    check_setting(OPTIMIZER_SGD, clip_norm_field, clip_norm_setting, 0.25);
}

static void test_nesterov(void **state) {
    (void)state;
    Game game = duel_new();
    game.model.player_count = 1;
    game.model.players[0].momentum = number_constant(0.5);
    game.model.players[0].nesterov = 1;
    Duel duel = duel_begin(&game);
    game_run(duel.trainer, &duel.member, 1);
    duel.psi -= 0.1 * 1.5;
    duel_check(&duel);
    duel_end(&duel);
    game_free(&game);
}

/* Each player counts its own updates, which Adam goes by, and the counts go where the state goes. */
static void test_counts_of_updates(void **state) {
    (void)state;
    Game game = duel_new();
    game.model.players[0].repeats = number_constant(3);
    game.model.players[0].optimizer = game.model.players[1].optimizer = OPTIMIZER_ADAM;
    Duel duel = duel_begin(&game);
    OptimizerSettings settings = {
        .kind = OPTIMIZER_ADAM, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    real psi = 1, theta = 1, m[2] = {0}, v[2] = {0}, slope;
    int psi_updates = 0;
    for (int step = 1; step <= 6; step++) {
        Member copy = game_member(&game, 1);
        state_copy(&copy.state, &duel.member.state);
        member_free(&duel.member);
        duel.member = copy;
        game_run(duel.trainer, &duel.member, 1);
        for (int i = 0; i < 3; i++) {
            slope = theta;
            optimizer_step(&settings, ++psi_updates, 1, &psi, &slope, &m[0], &v[0]);
        }
        slope = -psi;
        optimizer_step(&settings, step, 1, &theta, &slope, &m[1], &v[1]);
        duel.psi = (double)psi;
        duel.theta = (double)theta;
        duel_check(&duel);
    }
    duel_end(&duel);
    game_free(&game);
}

static void test_settings_out_of_range(void **state) {
    (void)state;
    Game game = duel_new();
    game.model.players[0].lr = number_hyper(1);
    Duel duel = duel_begin(&game);
    Error error;
    game.hypers[1] = -1;
    assert_int_equal(trainer_run(duel.trainer, &duel.member, 1, NULL, &error), STATUS_INVALID);
    check_contains(error.message, "player D: sgd: lr is -1");
    duel_end(&duel);
    game_free(&game);
}

static void test_weight_clip(void **state) {
    (void)state;
    Game game = duel_new();
    game.model.players[0].clip = number_hyper(1);
    Duel duel = duel_begin(&game);
    static const double BOUNDS[] = {0, 0.4, 0.6, 0.1, 0};
    for (size_t step = 0; step < sizeof BOUNDS / sizeof *BOUNDS; step++) {
        game.hypers[1] = BOUNDS[step];
        game_run(duel.trainer, &duel.member, 1);
        move_psi(&duel, 0.1, 0);
        if (BOUNDS[step] > 0) duel.psi = fmax(-BOUNDS[step], fmin(duel.psi, BOUNDS[step]));
        move_theta(&duel, 0.1);
        duel_check(&duel);
    }
    duel_end(&duel);
    game_free(&game);
}

/* ---- lazy penalties, and the signals they bring -------------------------------------------------------- */

static void check_lazy(bool simultaneous) {
    enum { EVERY = 3, STEPS = 11 };
    Game game = duel_new();
    game.hypers[0] = 0.5;
    game.model.players[0].penalized = game.programs[PENALIZED];
    game.model.players[0].lazy = number_constant(EVERY);
    game.model.players[0].repeats = number_constant(simultaneous ? 1 : 2);
    game.model.simultaneous = simultaneous;
    Duel duel = duel_begin(&game);
    int updates = 0;
    for (int step = 0; step < STEPS; step++) {
        game_run(duel.trainer, &duel.member, 1);
        double psi = duel.psi;
        for (int i = 0; i < (simultaneous ? 1 : 2); i++, updates++)
            move_psi(&duel, 0.1, updates % EVERY == 0 ? 5 : 0.5);
        duel.theta += 0.1 * (simultaneous ? psi : duel.psi);
        duel_check(&duel);
        Trainer *other = game_trainer(&game); /* which update is next lies in the state */
        trainer_free(duel.trainer);
        duel.trainer = other;
    }
    duel_end(&duel);
    game_free(&game);
}

static void test_lazy(void **state) {
    (void)state;
    check_lazy(false);
    check_lazy(true);
}

static size_t signal_index(const Trainer *trainer, const char *name) {
    for (size_t i = 0; i < trainer_signals(trainer); i++)
        if (strcmp(trainer_signal_name(trainer, i), name) == 0) return i;
    fail_msg("there is no signal %s", name);
    return 0;
}

/* Means over the updates that made them; a trainer remembers nothing of the member before. */
static void test_signals(void **state) {
    (void)state;
    Game game = duel_new();
    game.hypers[0] = 0.5;
    game.model.players[0].penalized = game.programs[PENALIZED];
    game.model.players[0].lazy = number_constant(4);
    game.model.players[0].lr = number_constant(0);
    game.model.players[1].lr = number_constant(1); /* theta = 1, 2, 3, ... while psi stays 1 */
    Duel duel = duel_begin(&game);
    Error error;
    double signals[8];
    assert_int_equal(trainer_signals(duel.trainer), 5);
    size_t loss = signal_index(duel.trainer, "D.loss"), norm = signal_index(duel.trainer, "D.norm");
    size_t penalty = signal_index(duel.trainer, "D.penalty"), g_loss = signal_index(duel.trainer, "G.loss");
    size_t g_norm = signal_index(duel.trainer, "G.norm");
    check_status(trainer_run(duel.trainer, &duel.member, 5, signals, &error), &error);
    check_number(signals[loss], 3 + (2 * 2.5 + 3 * 0.25) / 5, 1e-5);
    check_number(signals[norm], 3 + (2 * 5 + 3 * 0.5) / 5, 1e-5);
    check_number(signals[penalty], 0.5, 1e-6);
    check_number(signals[g_loss], -3, 1e-6);
    check_number(signals[g_norm], 1, 1e-6);
    check_status(trainer_run(duel.trainer, &duel.member, 2, signals, &error), &error);
    assert_true(isnan(signals[penalty]));
    check_number(signals[g_loss], -6.5, 1e-6);
    duel_end(&duel);
    game_free(&game);
}

static void test_not_finite(void **state) {
    (void)state;
    Game game = duel_new();
    Duel duel = duel_begin(&game);
    Error error;
    game_run(duel.trainer, &duel.member, 7);
    game.hypers[0] = (double)NAN;
    assert_int_equal(trainer_run(duel.trainer, &duel.member, 5, NULL, &error), STATUS_NOT_FINITE);
    check_contains(error.message, "D.loss is ");
    check_contains(error.message, "nan at step 8");
    duel_end(&duel);
    duel = duel_begin(&game);
    game.hypers[0] = 0;
    *member_tensor(&duel.member, LAYOUT_PARAMETER, "theta") = (real)1e30;
    *member_tensor(&duel.member, LAYOUT_PARAMETER, "psi") = (real)1e-30;
    game.model.players[0].lr = number_constant(1e30); /* only the next loss is infinite */
    assert_int_equal(trainer_run(duel.trainer, &duel.member, 5, NULL, &error), STATUS_NOT_FINITE);
    check_contains(error.message, "G.loss is ");
    duel_end(&duel);
    game_free(&game);
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static const char *const CLASSES[5] = {"a", "b", "c", "d", "e"};
static const Dataset LABELLED = {
    .height = 1, .width = 1, .channels = 1, .classes = 5, .class_names = CLASSES};

static void check_refused(const Game *game, const char *part) {
    Error error;
    Trainer *trainer = trainer_new(&game->model, &error);
    assert_null(trainer);
    assert_int_equal(error.status, STATUS_INVALID);
    check_contains(error.message, part);
}

/* A trainer of a program that reads one input. */
static void check_input_refused(const char *input, Shape shape, const Dataset *data, const char *part) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Node *w = graph_parameter(g, "G", "w", shape_scalar());
    draft_loss(&draft, graph_mul(g, w, graph_sum_all(g, graph_input(g, input, shape))), &w, 1);
    Game game = game_new(&draft, 1);
    game_player(&game, "G", game.programs[0], 1);
    const Number only = number_constant(1);
    game.model.data = data;
    game.model.numbers = &only;
    game.model.number_count = 1;
    check_refused(&game, part);
    game_free(&game);
}

static void test_inputs_refused(void **state) {
    (void)state;
    check_input_refused("h.third", shape_scalar(), NULL, "player G: a program reads hyperparameter 'third'");
    check_input_refused("h.first", shape_of(2), NULL, "'h.first' has the shape (2): one of 1 numbers");
    check_input_refused("noise", shape_scalar(), NULL, "'noise', which nothing provides");
    check_input_refused("n.1", shape_scalar(), NULL, "'n.1', which nothing provides");
    check_input_refused("n.0x", shape_scalar(), NULL, "'n.0x', which nothing provides");
    check_input_refused("n. 0", shape_scalar(), NULL, "'n. 0', which nothing provides");
    check_input_refused("n.", shape_scalar(), NULL, "'n.', which nothing provides");
    check_input_refused("n.x", shape_scalar(), NULL, "'n.x', which nothing provides");
    check_input_refused("real", shape_of(1, 1, 1, 1), NULL, "'real', but the experiment has no data");
    check_input_refused("real_labels", shape_of(1), NULL, "'real_labels', but the experiment has no data");
    check_input_refused("real", shape_of(1, 2, 2, 1), &LABELLED,
                        "'real' has the shape (1, 2, 2, 1): one of 1");
    check_input_refused("fake_labels", shape_of(9), &LABELLED, "'fake_labels' has the shape (9)");
    check_input_refused("fake", shape_of(1), &LABELLED, "'fake', but no player's images are reused");
}

static void test_models_refused(void **state) {
    (void)state;
    Game game = duel_new();
    game.model.simultaneous = true;
    game.model.players[0].repeats = number_hyper(0);
    check_refused(&game, "player D updates exactly once a step when updates are simultaneous");
    game_free(&game);
}

/* The clock holds counts that no float does. */
static void test_old_age(void **state) {
    (void)state;
    const int64_t age = ((int64_t)1 << 40) + 12345;
    Game game = duel_new();
    Duel duel = duel_begin(&game);
    real *clock = member_tensor(&duel.member, LAYOUT_VARIABLE, "trainer.clock");
    clock[0] = (real)(age >> 24);
    clock[1] = (real)(age & ((1 << 24) - 1));
    game_run(duel.trainer, &duel.member, 3);
    assert_true(member_age(&duel.member) == age + 3);
    clock[0] = 0;
    clock[1] = (1 << 24) - 1;
    game_run(duel.trainer, &duel.member, 2);
    assert_true(member_age(&duel.member) == (1 << 24) + 1);
    duel_end(&duel);
    game_free(&game);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_turn),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_order_of_players),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_live_hypers),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_nesterov),
        cmocka_unit_test(test_counts_of_updates),
        cmocka_unit_test(test_settings_out_of_range),
        cmocka_unit_test(test_weight_clip),
        cmocka_unit_test(test_lazy),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_inputs_refused),
        cmocka_unit_test(test_models_refused),
        cmocka_unit_test(test_old_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
