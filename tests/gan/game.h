/* A game for tests of the trainer: players made by hand of a few nodes each, compiled together on one layout.
 */
#ifndef BROOD_TESTS_GAME_H
#define BROOD_TESTS_GAME_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "gan/trainer.h"

enum { GAME_PROGRAMS = 4, GAME_MOST = 24 };

/* What one program is to be made of. */
typedef struct {
    Graph *graph;
    ProgramOutput outputs[GAME_MOST];
    ProgramAssignment assignments[GAME_MOST];
    ProgramGradient gradients[GAME_MOST];
    ProgramSpec spec;
} Draft;

static inline void check_status(Status status, const Error *error) {
    if (status != STATUS_OK) fail_msg("%s", error->message);
}

static inline Draft draft_new(void) {
    Draft draft = {.graph = graph_new()};
    assert_non_null(draft.graph);
    return draft;
}

static inline void draft_output(Draft *draft, const char *name, Node *node) {
    draft->outputs[draft->spec.output_count++] = (ProgramOutput){name, node};
}

static inline void draft_assign(Draft *draft, Node *variable, Node *value) {
    draft->assignments[draft->spec.assignment_count++] = (ProgramAssignment){variable, value};
}

/* The output `loss`, and its gradients. */
static inline void draft_loss(Draft *draft, Node *loss, Node *const *parameters, size_t count) {
    Node *found[GAME_MOST];
    if (!graph_grad(draft->graph, loss, parameters, count, found))
        fail_msg("%s", graph_error(draft->graph)->message);
    for (size_t i = 0; i < count; i++)
        draft->gradients[draft->spec.gradient_count++] = (ProgramGradient){parameters[i], found[i]};
    draft_output(draft, "loss", loss);
}

typedef struct {
    Layout *layout;
    Program *programs[GAME_PROGRAMS]; /* of the drafts, in their order */
    size_t program_count;
    TrainerModel model; /* players are for the test to add, by game_player */
    double hypers[4];
} Game;

static const char *const GAME_HYPERS[] = {"first", "second"};

/* Compiles the drafts; groups D and G have room for all that any optimizer or average wants. */
static inline Game game_new(Draft *drafts, size_t count) {
    Game game = {.layout = layout_new(), .program_count = count};
    Error error;
    assert_non_null(game.layout);
    for (size_t i = 0; i < count; i++)
        check_status(layout_add_graph(game.layout, drafts[i].graph, &error), &error);
    for (int group = 0; group < 2; group++)
        for (int kind = LAYOUT_MOMENT1; kind < LAYOUT_KINDS; kind++)
            check_status(layout_add_kind(game.layout, group ? "G" : "D", (LayoutKind)kind, &error), &error);
    check_status(trainer_add_clock(game.layout, &error), &error);
    check_status(layout_finish(game.layout, &error), &error);
    for (size_t i = 0; i < count; i++) {
        ProgramSpec spec = drafts[i].spec;
        spec.outputs = drafts[i].outputs;
        spec.assignments = drafts[i].assignments;
        spec.gradients = drafts[i].gradients;
        game.programs[i] = program_new(drafts[i].graph, game.layout, &spec, &error);
        if (!game.programs[i]) fail_msg("%s", error.message);
        graph_free(drafts[i].graph);
    }
    game.model = (TrainerModel){.layout = game.layout,
                                .average_decay = number_constant(0.999),
                                .batch = 1,
                                .hypers = GAME_HYPERS,
                                .hyper_count = 2};
    return game;
}

static inline void game_free(Game *game) {
    for (size_t i = 0; i < game->program_count; i++) program_free(game->programs[i]);
    layout_free(game->layout);
}

/* A player by plain SGD, to be changed as the test likes. */
static inline TrainerPlayer *game_player(Game *game, const char *name, const Program *update, double lr) {
    TrainerPlayer *player = &game->model.players[game->model.player_count++];
    *player = (TrainerPlayer){.name = name,
                              .group = name,
                              .update = update,
                              .lazy = number_constant(1),
                              .repeats = number_constant(1),
                              .optimizer = OPTIMIZER_SGD,
                              .lr = number_constant(lr),
                              .beta1 = number_constant(0.9),
                              .beta2 = number_constant(0.999),
                              .epsilon = number_constant(1e-8),
                              .decay = number_constant(0.9)};
    return player;
}

static inline Trainer *game_trainer(const Game *game) {
    Error error;
    Trainer *trainer = trainer_new(&game->model, &error);
    if (!trainer) fail_msg("%s", error.message);
    return trainer;
}

static inline Member game_member(const Game *game, uint64_t slot) {
    Member member;
    Error error;
    check_status(member_new(&member, &game->model, &error), &error);
    member.key = random_key(1, slot, "member");
    member.hypers = game->hypers;
    return member;
}

static inline real *member_tensor(const Member *member, LayoutKind kind, const char *name) {
    real *tensor = state_tensor(&member->state, kind, name);
    if (!tensor) fail_msg("there is no tensor %s", name);
    return tensor;
}

static inline void game_run(Trainer *trainer, Member *member, int64_t steps) {
    Error error;
    check_status(trainer_run(trainer, member, steps, NULL, &error), &error);
}

static inline void check_number(double got, double expected, double tolerance) {
    if (!(fabs(got - expected) <= tolerance)) fail_msg("%.9g expected, got %.9g", expected, got);
}

/* Both players' numbers, from 1 and 1; played by the trainer and by hand. */
typedef struct {
    Trainer *trainer;
    Member member;
    double theta, psi;
} Duel;

static inline Duel duel_begin(const Game *game) {
    Duel duel = {.trainer = game_trainer(game), .member = game_member(game, 0), .theta = 1, .psi = 1};
    *member_tensor(&duel.member, LAYOUT_PARAMETER, "theta") = 1;
    *member_tensor(&duel.member, LAYOUT_PARAMETER, "psi") = 1;
    return duel;
}

static inline void duel_end(Duel *duel) {
    trainer_free(duel->trainer);
    member_free(&duel->member);
}

static inline void duel_check(const Duel *duel) {
    const double tolerance = 2e-5;
    double theta = (double)*member_tensor(&duel->member, LAYOUT_PARAMETER, "theta");
    double psi = (double)*member_tensor(&duel->member, LAYOUT_PARAMETER, "psi");
    if (!(fabs(theta - duel->theta) < tolerance && fabs(psi - duel->psi) < tolerance))
        fail_msg("theta %.7g, psi %.7g expected, got %.7g, %.7g", duel->theta, duel->psi, theta, psi);
}

#endif
