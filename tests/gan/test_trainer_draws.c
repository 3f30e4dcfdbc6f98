/* The trainer's random numbers, early images and averages, on games small enough to be played by hand. */
#include "tests/gan/game.h"

#include <stdlib.h>

#include "tests/support/rig.h"

/* ---- random numbers ------------------------------------------------------------------------------------ */

enum { HISTORY = 64 };

/* Keeps the last numbers that a program saw, the latest last. */
static void remember(Draft *draft, const char *name, Node *number) {
    Graph *g = draft->graph;
    Node *history = graph_variable(g, "seen", name, shape_of(HISTORY));
    Node *rest = graph_slice(g, history, (int64_t[]){1}, (int64_t[]){HISTORY - 1});
    Node *parts[] = {rest, graph_reshape(g, number, shape_of(1))};
    draft_assign(draft, history, graph_concat(g, parts, 2, 0));
}

/* A player whose loss is number × weight, for a random number that it remembers. */
static Draft random_draft(const char *group, const char *name) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Node *w = graph_parameter(g, group, group, shape_scalar()), *z = graph_normal(g, shape_scalar());
    draft_loss(&draft, graph_mul(g, w, z), &w, 1);
    remember(&draft, name, z);
    return draft;
}

static Game random_game(void) {
    Draft drafts[] = {random_draft("D", "d"), random_draft("G", "g"), random_draft("D", "p")};
    Game game = game_new(drafts, 3);
    TrainerPlayer *player = game_player(&game, "D", game.programs[0], 0.1);
    player->repeats = number_constant(3);
    player->penalized = game.programs[2];
    player->lazy = number_constant(2);
    game_player(&game, "G", game.programs[1], 0.1)->repeats = number_constant(2);
    return game;
}

/* Adds what the programs saw to a list. */
static size_t collect(const Member *member, real *list, size_t count) {
    static const char *const NAMES[] = {"d", "p", "g"};
    for (int n = 0; n < 3; n++) {
        const real *history = member_tensor(member, LAYOUT_VARIABLE, NAMES[n]);
        for (int i = 0; i < HISTORY; i++)
            if (history[i] != 0) list[count++] = history[i];
    }
    return count;
}

static int by_value(const void *a, const void *b) {
    real x = *(const real *)a, y = *(const real *)b;
    return (x > y) - (x < y);
}

/* No number is ever drawn twice: not by another program, update, step or slot, nor after a copy. */
static void test_no_number_twice(void **state) {
    (void)state;
    enum { SLOTS = 3, STEPS = 10 };
    Game game = random_game();
    Trainer *trainer = game_trainer(&game);
    Member members[SLOTS];
    real list[2 * SLOTS * 3 * HISTORY];
    size_t count = 0;
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        members[slot] = game_member(&game, slot);
        game_run(trainer, &members[slot], STEPS + (int64_t)slot);
        count = collect(&members[slot], list, count);
    }
    /* The most trained takes over the state of the least trained one, and goes on. */
    state_copy(&members[2].state, &members[0].state);
    for (int i = 0; i < 3; i++)
        memset(member_tensor(&members[2], LAYOUT_VARIABLE,
                             i == 0   ? "d"
                             : i == 1 ? "p"
                                      : "g"),
               0, HISTORY * sizeof(real));
    game_run(trainer, &members[2], STEPS);
    count = collect(&members[2], list, count);
    assert_int_equal(count, (3 * STEPS + 3 + STEPS) * 5);
    qsort(list, count, sizeof *list, by_value);
    for (size_t i = 1; i < count; i++)
        if (list[i] == list[i - 1]) fail_msg("%.9g was drawn twice", (double)list[i]);
    for (int i = 0; i < SLOTS; i++) member_free(&members[i]);
    trainer_free(trainer);
    game_free(&game);
}

/* Equal states, keys and steps: equal bits. Another slot: others, by name of key or by steps alone. */
static void test_streams_are_the_slots(void **state) {
    (void)state;
    Game game = random_game();
    Trainer *trainer = game_trainer(&game);
    Member one = game_member(&game, 4), same = game_member(&game, 4), other = game_member(&game, 5),
           later = game_member(&game, 4);
    later.steps = 1;
    game_run(trainer, &one, 6);
    game_run(trainer, &same, 2);
    game_run(trainer, &same, 4);
    game_run(trainer, &other, 6);
    game_run(trainer, &later, 6);
    size_t bytes = layout_numbers(game.layout) * sizeof(real);
    assert_memory_equal(one.state.data, same.state.data, bytes);
    assert_memory_not_equal(one.state.data, other.state.data, bytes);
    assert_memory_not_equal(one.state.data, later.state.data, bytes);
    assert_int_equal(one.steps, 6);
    Member *all[] = {&one, &same, &other, &later};
    for (int i = 0; i < 4; i++) member_free(all[i]);
    trainer_free(trainer);
    game_free(&game);
}

/* ---- images that are used twice ------------------------------------------------------------------------ */

/* G's image is theta + z. D's loss is psi·fake, G's −psi·fake; both remember the image, its label, and psi.
 */
static void add_images(Draft *draft, bool judge, bool reuse) {
    Graph *g = draft->graph;
    Node *psi = graph_parameter(g, "D", "psi", shape_scalar()),
         *theta = graph_parameter(g, "G", "theta", shape_scalar());
    Node *label = graph_input(g, "fake_labels", shape_of(1));
    Node *z = graph_normal(g, shape_of(1)), *made = graph_add(g, graph_expand(g, theta, shape_of(1)), z);
    Node *fake = judge && reuse ? graph_input(g, "fake", shape_of(1)) : made;
    Node *output = graph_mul(g, psi, graph_sum_all(g, fake));
    if (!judge) draft_output(draft, "fake", fake);
    if (!judge && reuse) draft->spec.early = fake;
    draft_loss(draft, judge ? output : graph_neg(g, output), judge ? &psi : &theta, 1);
    remember(draft, judge ? "judged" : "made", fake);
    remember(draft, judge ? "judge's" : "maker's", z);
    remember(draft, judge ? "judged label" : "made label", label);
}

static const char *const CLASSES[5] = {"a", "b", "c", "d", "e"};
static const Dataset LABELLED = {
    .height = 1, .width = 1, .channels = 1, .classes = 5, .class_names = CLASSES};

static Game images_game(bool reuse) {
    Draft drafts[] = {draft_new(), draft_new()};
    add_images(&drafts[0], true, reuse);
    add_images(&drafts[1], false, reuse);
    Game game = game_new(drafts, 2);
    game.model.reuse = reuse;
    game.model.data = &LABELLED; /* only its classes are read */
    game_player(&game, "D", game.programs[0], 0.1);
    game_player(&game, "G", game.programs[1], 0.1);
    return game;
}

static double latest(const Duel *duel, const char *name) {
    return (double)member_tensor(&duel->member, LAYOUT_VARIABLE, name)[HISTORY - 1];
}

static void check_reuse(bool simultaneous, double repeats) {
    Game game = images_game(true);
    game.model.simultaneous = simultaneous;
    game.model.players[0].repeats = number_constant(repeats);
    Duel duel = duel_begin(&game);
    for (int step = 0; step < 15; step++) {
        double psi = duel.psi;
        game_run(duel.trainer, &duel.member, 1);
        for (int i = 1; i <= (int)repeats; i++) { /* all of D's updates judge what G has made */
            const real *judged = member_tensor(&duel.member, LAYOUT_VARIABLE, "judged");
            assert_true((double)judged[HISTORY - i] == latest(&duel, "made"));
        }
        assert_true(latest(&duel, "judged label") == latest(&duel, "made label"));
        assert_true(latest(&duel, "judge's") != latest(&duel, "maker's"));
        duel.psi -= 0.1 * repeats * latest(&duel, "made");
        duel.theta += 0.1 * (simultaneous ? psi : duel.psi); /* backwards through the D that is now */
        duel_check(&duel);
    }
    duel_end(&duel);
    game_free(&game);
}

static void test_reuse(void **state) {
    (void)state;
    check_reuse(false, 1);
    check_reuse(false, 3);
    check_reuse(true, 1);
}

static void test_fresh(void **state) {
    (void)state;
    Game game = images_game(false);
    Duel duel = duel_begin(&game);
    bool labels_differ = false;
    for (int step = 0; step < 15; step++) {
        game_run(duel.trainer, &duel.member, 1);
        assert_true(latest(&duel, "judged") != latest(&duel, "made"));
        labels_differ = labels_differ || latest(&duel, "judged label") != latest(&duel, "made label");
        duel.psi -= 0.1 * latest(&duel, "judged");
        duel.theta += 0.1 * duel.psi;
        duel_check(&duel);
    }
    assert_true(labels_differ);
    duel_end(&duel);
    game_free(&game);
}

/* Labels of what is generated: from 1, all classes about equally often. */
static void test_labels(void **state) {
    (void)state;
    Game game = images_game(false);
    Duel duel = duel_begin(&game);
    int seen[6] = {0};
    for (int step = 0; step < 500; step++) {
        game_run(duel.trainer, &duel.member, 1);
        double label = latest(&duel, "made label");
        assert_in_range((int)label, 1, 5);
        seen[(int)label]++;
    }
    for (int label = 1; label <= 5; label++) assert_in_range(seen[label], 60, 140);
    duel_end(&duel);
    game_free(&game);
}

static void check_refused(const Game *game, const char *part) {
    Error error;
    assert_null(trainer_new(&game->model, &error));
    assert_int_equal(error.status, STATUS_INVALID);
    check_contains(error.message, part);
}

static void test_reuse_refused(void **state) {
    (void)state;
    Game game = images_game(true);
    game.model.players[1].repeats = number_constant(2);
    check_refused(&game, "player G updates exactly once a step when its images are reused");
    game.model.players[1].repeats = number_constant(1);
    game.model.players[1].penalized = game.programs[1];
    check_refused(&game, "player G: only one player, with one program");
    game.model.players[1].penalized = NULL;
    game.model.reuse = false;
    check_refused(&game, "'fake', but no player's images are reused");
    game_free(&game);
}

/* ---- the moving average -------------------------------------------------------------------------------- */

/* G's weight moves by −1 a step; its statistic is the weight's square. */
static Game average_game(void) {
    Draft draft = draft_new();
    Graph *g = draft.graph;
    Node *w = graph_parameter(g, "G", "w", shape_of(1)),
         *statistic = graph_variable(g, "G", "s", shape_of(1));
    draft_loss(&draft, graph_sum_all(g, w), &w, 1);
    draft_assign(&draft, statistic, graph_square(g, w));
    Game game = game_new(&draft, 1);
    game_player(&game, "G", game.programs[0], 1);
    game.model.average = "G";
    game.model.average_decay = number_hyper(0);
    return game;
}

static void check_average(double warmup) {
    Game game = average_game();
    game.model.average_warmup = warmup;
    Trainer *trainer = game_trainer(&game);
    Member member = game_member(&game, 0);
    double w = 0, mean = 0, mean_statistic = 0;
    for (int step = 0; step < 40; step++) {
        game.hypers[0] = step < 30 ? 0.7 : 0.2; /* live, too */
        game_run(trainer, &member, 1);
        double decay = game.hypers[0];
        if (warmup > 0) decay = fmin(decay, (1 + step) / (warmup + step));
        mean_statistic = decay * mean_statistic + (1 - decay) * w * w;
        w -= 1;
        mean = decay * mean + (1 - decay) * w;
        check_number((double)*member_tensor(&member, LAYOUT_PARAMETER, "w"), w, 0);
        check_number((double)*member_tensor(&member, LAYOUT_AVERAGE_PARAMETER, "w"), mean, 1e-4);
        check_number((double)*member_tensor(&member, LAYOUT_AVERAGE_VARIABLE, "s"), mean_statistic, 2e-3);
    }
    Error error;
    game.hypers[0] = 1.5;
    game.model.average_warmup = 0;
    assert_int_equal(trainer_run(trainer, &member, 1, NULL, &error), STATUS_INVALID);
    check_contains(error.message, "the decay of the average is 1.5");
    trainer_free(trainer);
    member_free(&member);
    game_free(&game);
}

static void test_average(void **state) {
    (void)state;
    check_average(0);
    check_average(10);
}

/* Decay 0: the average is what it averages, bit for bit. */
static void test_no_average(void **state) {
    (void)state;
    Game game = average_game();
    game.hypers[0] = 0;
    Trainer *trainer = game_trainer(&game);
    Member member = game_member(&game, 0);
    *member_tensor(&member, LAYOUT_PARAMETER, "w") = (real)0.1;
    game_run(trainer, &member, 3);
    assert_true(*member_tensor(&member, LAYOUT_AVERAGE_PARAMETER, "w") ==
                *member_tensor(&member, LAYOUT_PARAMETER, "w"));
    assert_true(*member_tensor(&member, LAYOUT_AVERAGE_VARIABLE, "s") ==
                *member_tensor(&member, LAYOUT_VARIABLE, "s"));
    trainer_free(trainer);
    member_free(&member);
    game_free(&game);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_number_twice), cmocka_unit_test(test_streams_are_the_slots),
        cmocka_unit_test(test_reuse),           cmocka_unit_test(test_reuse_refused),
        cmocka_unit_test(test_fresh),           cmocka_unit_test(test_labels),
        cmocka_unit_test(test_average),         cmocka_unit_test(test_no_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
