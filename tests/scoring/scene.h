/* A small generator and a small classifier for the tests of scoring, with weights drawn once. */
#ifndef BROOD_TESTS_SCORING_SCENE_H
#define BROOD_TESTS_SCORING_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "app/scoring/scorer.h"
#include "base/memory.h"
#include "base/random.h"

enum { SIDE = 8, LATENT = 5, FEATURES = 6, CLASSES = 4 };

static inline void check_status(Status status, const Error *error) {
    if (status != STATUS_OK) fail_msg("%s", error->message);
}

/* Normal numbers of deviation `scale` for everything that is in the layout. */
static inline State scene_state(const Layout *layout, uint64_t seed, double scale) {
    State state;
    Error error;
    check_status(state_new(&state, layout, &error), &error);
    random_normal(seed, 0, 0, layout_numbers(layout), state.data);
    for (size_t i = 0; i < layout_numbers(layout); i++) state.data[i] *= (real)scale;
    return state;
}

static inline Program *scene_compile(const Graph *graph, const Layout *layout, ProgramOutput *outputs,
                                     size_t count) {
    Error error;
    Program *program =
        program_new(graph, layout, &(ProgramSpec){.outputs = outputs, .output_count = count}, &error);
    if (!program) fail_msg("%s", error.message);
    return program;
}

static inline Layout *scene_layout(const Graph *graph) {
    Layout *layout = layout_new();
    Error error;
    assert_non_null(layout);
    check_status(layout_add_graph(layout, graph, &error), &error);
    check_status(layout_finish(layout, &error), &error);
    return layout;
}

/* ---- a classifier -------------------------------------------------------------------------------------- */

typedef struct {
    Layout *layout;
    Program *program;
    State *state;
    Looker looker;
} Eye;

/* It looks at gray images of SIDE × SIDE, `batch` at a time. Equal seeds are equal weights. */
static inline Eye eye_new(int64_t batch, uint64_t seed, size_t planes) {
    Eye eye;
    Graph *g = graph_new();
    assert_non_null(g);
    Node *x = graph_input(g, "images", shape_of(batch, SIDE, SIDE, 1));
    x = graph_relu(g, graph_conv(g, x, graph_parameter(g, "C", "conv", shape_of(4, 4, 1, 3)), 2, 1));
    x = graph_reshape(g, x, shape_of(batch, 4 * 4 * 3));
    Node *features = graph_relu(
        g, graph_matmul(g, x, graph_parameter(g, "C", "body", shape_of(4 * 4 * 3, FEATURES)), false, false));
    Node *logits =
        graph_matmul(g, features, graph_parameter(g, "C", "head", shape_of(FEATURES, CLASSES)), false, false);
    eye.layout = scene_layout(g);
    eye.program =
        scene_compile(g, eye.layout, (ProgramOutput[]){{"features", features}, {"logits", logits}}, 2);
    eye.state = memory_new(1, sizeof *eye.state);
    assert_non_null(eye.state);
    *eye.state = scene_state(eye.layout, seed, 0.6);
    eye.looker = (Looker){eye.program, eye.state, planes};
    graph_free(g);
    return eye;
}

static inline void eye_free(Eye *eye) {
    program_free(eye->program);
    state_free(eye->state);
    memory_free(eye->state);
    layout_free(eye->layout);
}

/* ---- a generator --------------------------------------------------------------------------------------- */

typedef struct {
    Model model;
    State state;
    Workspace *workspace;
} Maker;

/* It makes `batch` images (or points, where `numbers` is 2) at a time. */
static inline Maker maker_new(int64_t batch, int64_t numbers) {
    Maker maker = {.workspace = workspace_new()};
    Graph *g = graph_new();
    assert_non_null(g);
    assert_non_null(maker.workspace);
    Node *z = graph_input(g, "z", shape_of(batch, LATENT));
    Node *x = graph_matmul(g, z, graph_parameter(g, "G", "w", shape_of(LATENT, numbers)), false, false);
    if (numbers > 2)
        x = graph_tanh(g, graph_reshape(g, x, shape_of(batch, SIDE, SIDE, numbers / (SIDE * SIDE))));
    maker.model.layout = scene_layout(g);
    maker.model.sampler = scene_compile(g, maker.model.layout, (ProgramOutput[]){{"images", x}}, 1);
    maker.state = scene_state(maker.model.layout, 3, 0.7);
    graph_free(g);
    return maker;
}

static inline void maker_free(Maker *maker) {
    state_free(&maker->state);
    workspace_free(maker->workspace);
    model_free(&maker->model);
}

#endif
