/* The fuser and the planner against the plain run (one kernel an op, no buffer used twice), on seeded random
 * graphs with gradients, assignments and random leaves. Without sums every bit must be the same; with them
 * the order of additions may differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/draw.h"
#include "tests/support/rig.h"

enum { GRAPHS = 250, STEPS = 30, POOL = 96, PARAMETERS = 12, MOST_COUNT = 6000, OUTPUTS = 8, RUNS = 2 };

static const double WITHIN = sizeof(real) == sizeof(float) ? 1e-5 : 1e-12;

typedef struct {
    Rig rig;
    Draw draw;
    bool sums; /* whether ops are used that add in an order of their own */
    Node *pool[POOL];
    int count;
    Node *parameters[PARAMETERS], *variables[4];
    size_t parameter_count;
    int indices; /* inputs of row numbers, named i0, i1 ... */
    int64_t rows[8];
} Growth;

static int64_t pick(Growth *growth, int64_t least, int64_t most) {
    return draw_integer(&growth->draw, least, most);
}

static Node *any(Growth *growth) {
    /* The newest more often, so that graphs grow deep. */
    int64_t back = pick(growth, 0, 1) ? pick(growth, 0, 4) : pick(growth, 0, growth->count - 1);
    return growth->pool[back < growth->count ? growth->count - 1 - back : 0];
}

static Node *any_shaped(Growth *growth, Shape shape) {
    int64_t start = pick(growth, 0, growth->count - 1);
    for (int i = 0; i < growth->count; i++) {
        Node *node = growth->pool[(start + i) % growth->count];
        if (shape_equal(node_shape(node), shape)) return node;
    }
    return NULL;
}

static Node *parameter(Growth *growth, Shape shape) {
    char name[16];
    if (growth->parameter_count == PARAMETERS) return NULL;
    snprintf(name, sizeof name, "p%zu", growth->parameter_count);
    Node *node = graph_parameter(growth->rig.graph, growth->parameter_count % 2 ? "G" : "D", name, shape);
    return growth->parameters[growth->parameter_count++] = node;
}

/* ---- steps: each makes a node from those there are, or NULL where the drawn ones do not fit ------------ */

static Node *one_at_a_time(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *a = any(growth);
    switch (pick(growth, 0, 17)) {
    case 0: return graph_tanh(g, a);
    case 1: return graph_sigmoid(g, a);
    case 2: return graph_softplus(g, a);
    case 3: return graph_square(g, graph_scale(g, a, 0.7));
    case 4: return graph_relu(g, a);
    case 5: return graph_leaky_relu(g, a, 0.2);
    case 6: return graph_abs(g, a);
    case 7: return graph_mul(g, graph_step(g, a), graph_tanh(g, a));
    case 8: return graph_exp(g, graph_tanh(g, a));
    case 9: return graph_log(g, graph_offset(g, graph_softplus(g, a), 0.5));
    case 10: return graph_sqrt(g, graph_offset(g, graph_square(g, a), 0.5));
    case 11: return graph_scale(g, a, -0.5);
    case 12: return graph_offset(g, a, 0.25);
    case 13: return graph_detach(g, a);
    case 14: return graph_clamp(g, a, -0.9, 0.8);
    case 15: return graph_pow(g, graph_offset(g, graph_square(g, a), 1), -0.5);
    case 16: return graph_pow(g, graph_offset(g, graph_square(g, a), 1), 0.3);
    default: return graph_offset(g, graph_scale(g, graph_step(g, a), 0.5), -0.1);
    }
}

static Node *two_at_a_time(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *a = any(growth), *b = any_shaped(growth, node_shape(a));
    if (growth->sums && pick(growth, 0, 3) == 0) b = any_shaped(growth, shape_scalar());
    if (!b) return NULL;
    switch (pick(growth, 0, 6)) {
    case 0: return graph_add(g, a, b);
    case 1: return graph_sub(g, a, b);
    case 2: return graph_mul(g, a, b);
    case 3: return graph_div(g, a, graph_offset(g, graph_square(g, b), 0.5));
    case 4: return graph_max(g, a, b);
    case 5: return graph_min(g, a, b);
    default: return graph_mul(g, a, graph_sigmoid(g, graph_add(g, a, b)));
    }
}

static unsigned some_axes(Growth *growth, Shape shape) {
    return (unsigned)pick(growth, 0, (1 << shape.rank) - 1);
}

static Node *reduce(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *a = any(growth), *b;
    Shape shape = node_shape(a);
    unsigned axes = some_axes(growth, shape);
    if (!growth->sums) return graph_amax(g, a, axes);
    switch (pick(growth, 0, 5)) {
    case 0: return graph_scale(g, graph_sum(g, a, axes), 0.1);
    case 4:
        return graph_sub(g, graph_scale(g, a, 20),
                         graph_tanh(g, graph_expand(g, graph_sum(g, a, axes), shape)));
    case 1: return graph_expand(g, graph_mean(g, a, axes), shape);
    case 2: return graph_amax(g, a, axes);
    case 3: return graph_mean_all(g, a);
    default: /* batch norm's shape of things */
        b = graph_sub(g, a, graph_expand(g, graph_mean(g, a, axes), shape));
        a = graph_pow(g, graph_offset(g, graph_mean(g, graph_square(g, b), axes), 0.1), -0.5);
        return graph_mul(g, b, graph_expand(g, a, shape));
    }
}

static Node *move(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *a = any(growth);
    Shape shape = node_shape(a);
    int order[SHAPE_AXES];
    int64_t first[SHAPE_AXES], last[SHAPE_AXES];
    if (shape.rank == 0) return NULL;
    int axis = (int)pick(growth, 0, shape.rank - 1);
    int64_t which = pick(growth, 0, 4);
    for (int i = 0; i < shape.rank; i++) {
        order[i] = which == 0 ? (i + axis) % shape.rank : i;
        first[i] =
            which == 1 && i == axis ? pick(growth, 0, shape.size[i] - 1) : pick(growth, 0, 1) * (which == 2);
        last[i] = which == 2 ? pick(growth, 0, 1) : shape.size[i] - first[i];
    }
    switch (which) {
    case 0: return graph_permute(g, a, order);
    case 1: return graph_slice(g, a, first, last);
    case 2: return graph_pad(g, a, first, last);
    case 3: return graph_concat(g, (Node *[]){a, any_shaped(growth, shape)}, 2, axis);
    default: /* two axes joined */
        if (shape.rank < 2 || axis == 0) return NULL;
        shape.size[axis - 1] *= shape.size[axis];
        for (int i = axis; i + 1 < shape.rank; i++) shape.size[i] = shape.size[i + 1];
        shape.rank--;
        return graph_reshape(g, a, shape);
    }
}

static Node *image(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *a = any(growth), *w;
    Shape shape = node_shape(a);
    if (shape.rank != 4) return NULL;
    int64_t kernel = pick(growth, 1, 4), stride = pick(growth, 1, 2), pad = pick(growth, 0, 1),
            out = pick(growth, 1, 4);
    bool fits = shape.size[1] + 2 * pad >= kernel && shape.size[2] + 2 * pad >= kernel && kernel > 2 * pad;
    switch (pick(growth, 0, 3)) {
    case 0: return graph_upsample(g, a, 2);
    case 1: return shape.size[1] % 2 || shape.size[2] % 2 ? NULL : graph_avg_pool(g, a, 2);
    case 2:
        w = fits ? parameter(growth, shape_of(kernel, kernel, shape.size[3], out)) : NULL;
        return w ? graph_scale(g, graph_conv(g, a, w, stride, pad), 0.3) : NULL;
    default:
        w = fits ? parameter(growth, shape_of(kernel, kernel, out, shape.size[3])) : NULL;
        return w ? graph_scale(g, graph_conv_transpose(g, a, w, stride, pad), 0.3) : NULL;
    }
}

static Node *matrix(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *a = any(growth), *w;
    Shape shape = node_shape(a);
    if (shape.rank != 2) return NULL;
    int64_t out = pick(growth, 1, 9);
    switch (pick(growth, 0, 2)) {
    case 0: return graph_scale(g, graph_matmul(g, a, a, true, false), 0.2);
    case 1: w = parameter(growth, shape_of(shape.size[1], out)); break;
    default: w = parameter(growth, shape_of(out, shape.size[1])); break;
    }
    if (!w) return NULL;
    return graph_scale(g, graph_matmul(g, a, w, false, node_shape(w).size[0] == out && out != shape.size[1]),
                       0.3);
}

static Node *lookup(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *a = any(growth);
    char name[16];
    if (node_shape(a).rank == 0 || growth->indices == 8) return NULL;
    int64_t length = pick(growth, 0, 1) ? node_shape(a).size[0] : pick(growth, 1, 5);
    snprintf(name, sizeof name, "i%d", growth->indices);
    growth->rows[growth->indices++] = node_shape(a).size[0];
    Node *index = graph_input(g, name, shape_of(length));
    if (length == node_shape(a).size[0]) return graph_scatter(g, a, index, length);
    return graph_gather(g, a, index);
}

static Node *grow_step(Growth *growth) {
    switch (pick(growth, 0, 11)) {
    case 0:
    case 1:
    case 2: return one_at_a_time(growth);
    case 3:
    case 4:
    case 5: return two_at_a_time(growth);
    case 6:
    case 7: return reduce(growth);
    case 8: return move(growth);
    case 9: return image(growth);
    case 10: return matrix(growth);
    default:
        return pick(growth, 0, 3) ? lookup(growth) : graph_normal(growth->rig.graph, node_shape(any(growth)));
    }
}

/* ---- a graph ------------------------------------------------------------------------------------------- */

static void add(Growth *growth, Node *node) {
    if (growth->count < POOL) growth->pool[growth->count++] = rig_node(&growth->rig, node);
}

static void plant(Growth *growth) {
    Graph *g = growth->rig.graph;
    Shape images =
        pick(growth, 0, 2) ? shape_of(2, 4, 6, 3) : shape_of(3, 10, 12, 5); /* the latter: several tiles */
    const Shape shapes[4] = {images, shape_of(5, 8), shape_of(7), images};
    static const char *const INPUT[] = {"x0", "x1", "x2", "x3"}, *const VARIABLE[] = {"v0", "v1", "v2", "v3"};
    for (int i = 0; i < 4; i++) {
        add(growth, graph_input(g, INPUT[i], shapes[i]));
        add(growth, growth->variables[i] = graph_variable(g, "G", VARIABLE[i], shapes[i]));
        add(growth, parameter(growth, shapes[i]));
    }
    if (growth->sums) add(growth, parameter(growth, shape_scalar()));
}

static Node *loss_of(Growth *growth) {
    Graph *g = growth->rig.graph;
    Node *loss = NULL;
    for (int i = 0; i < 6; i++) {
        Node *a = graph_tanh(g, any(growth)), *term;
        Shape shape = node_shape(a), one = {.rank = shape.rank};
        for (int axis = 0; axis < shape.rank; axis++) one.size[axis] = 1;
        int64_t first[SHAPE_AXES] = {0};
        term = growth->sums ? graph_mean_all(g, graph_square(g, a))
                            : graph_reshape(g, graph_slice(g, a, first, one.size), shape_scalar());
        loss = loss ? graph_add(g, loss, term) : term;
    }
    for (size_t i = 0; i < growth->parameter_count; i++) { /* so that it depends on every one of them */
        Node *a = growth->parameters[i];
        int64_t first[SHAPE_AXES] = {0}, one[SHAPE_AXES] = {1, 1, 1, 1, 1, 1, 1, 1};
        loss = graph_add(g, loss, graph_reshape(g, graph_slice(g, a, first, one), shape_scalar()));
    }
    return loss;
}

static void grow(Growth *growth, uint64_t seed, bool sums) {
    *growth = (Growth){.draw = draw_from(seed), .sums = sums};
    rig_open(&growth->rig);
    Rig *rig = &growth->rig;
    plant(growth);
    for (int step = 0; step < STEPS; step++) {
        Node *node = grow_step(growth);
        if (graph_error(rig->graph)) fail_msg("seed %d: %s", (int)seed, graph_error(rig->graph)->message);
        if (!node || shape_count(node_shape(node)) > MOST_COUNT) continue;
        add(growth, node);
    }
    static const char *const OUTPUT[OUTPUTS] = {"y0", "y1", "y2", "y3", "y4", "y5", "y6", "y7"};
    for (int i = 0; i < OUTPUTS; i++) rig_want(rig, OUTPUT[i], any(growth));
    for (int i = 0; i < 4; i++)
        rig_assign(rig, growth->variables[i], any_shaped(growth, node_shape(growth->variables[i])));
    rig_descend(rig, loss_of(growth), growth->parameters, growth->parameter_count);
}

static void feed(const Growth *growth, Rig *rig, uint64_t seed) {
    static double values[MOST_COUNT];
    for (size_t i = 0; i < program_inputs(rig->program); i++) {
        const char *name = program_input_name(rig->program, i);
        Draw draw = draw_from(seed * 10000 + 256 * (uint64_t)name[0] +
                              (uint64_t)name[1]); /* whichever others there are */
        size_t count = (size_t)shape_count(program_input_shape(rig->program, i));
        draw_fill(&draw, values, count, -1.5, 1.5);
        for (size_t n = 0; *name == 'i' && n < count; n++)
            values[n] = (double)draw_integer(&draw, 0, growth->rows[name[1] - '0'] - 1);
        if (*name == 'x' && !growth->sums && seed % 4 == 0) { /* bad numbers go the same ways */
            values[draw_integer(&draw, 0, (int64_t)count - 1)] = (double)NAN;
            values[draw_integer(&draw, 0, (int64_t)count - 1)] = (double)INFINITY;
        }
        rig_set(rig, name, values);
    }
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

static void compare(const char *what, const real *got, const real *plain, size_t count, bool bits) {
    static double expected[1 << 16];
    static real finite[1 << 16];
    if (bits) {
        check_same_bits(what, got, plain, count);
        return;
    }
    assert_true(count <= sizeof expected / sizeof *expected);
    for (size_t i = 0; i < count; i++) {
        bool out = !isfinite(plain[i]) && !isfinite(got[i]); /* either way there is no number */
        expected[i] = out ? 0 : (double)plain[i];
        finite[i] = out ? 0 : got[i];
    }
    check_near(what, finite, expected, count, WITHIN);
}

static void compare_rigs(const char *when, Rig *got, Rig *plain, const State *states, bool bits) {
    char what[96];
    size_t count, same;
    for (size_t i = 0; i < OUTPUTS; i++) {
        snprintf(what, sizeof what, "%s, %s", when, got->outputs[i].name);
        const char *name = got->outputs[i].name;
        compare(what, rig_get(got, name), rig_get(plain, name), rig_count(got, name), bits);
    }
    const char *const groups[] = {"G", "D"};
    for (int i = 0; i < 2; i++) {
        snprintf(what, sizeof what, "%s, gradients of %s", when, groups[i]);
        const real *gradients = workspace_gradients(got->workspace, got->program, groups[i], &count);
        compare(what, gradients, workspace_gradients(plain->workspace, plain->program, groups[i], &same),
                count, bits);
    }
    snprintf(what, sizeof what, "%s, state", when);
    compare(what, states[0].data, states[1].data, layout_numbers(states[0].layout), bits);
}

static void check_graph(uint64_t seed, bool sums, RigMode mode) {
    static Growth growth;
    grow(&growth, seed, sums);
    Rig *fused = &growth.rig, plain = growth.rig;
    if (seed % 3 == 0) fused->early = any(&growth); /* a run in two parts is the same run */
    Layout *layout = rig_layout(&fused, 1);
    rig_compile_on(fused, layout, mode);
    rig_compile_on(&plain, layout, RIG_PLAIN);
    State states[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(state_new(&states[i], layout, NULL), STATUS_OK);
        Draw draw = draw_from(seed + 1);
        for (size_t n = 0; n < layout_numbers(layout); n++)
            states[i].data[n] = (real)draw_uniform(&draw, -1, 1);
    }
    for (uint64_t run = 1; run <= RUNS; run++) {
        char when[64];
        snprintf(when, sizeof when, "seed %d, run %d", (int)seed, (int)run);
        feed(&growth, fused, seed * 10 + run);
        feed(&growth, &plain, seed * 10 + run);
        rig_run_on(fused, &states[0], seed, run);
        rig_run_on(&plain, &states[1], seed, run);
        compare_rigs(when, fused, &plain, states, mode == RIG_LITERAL && !sums);
    }
    for (int i = 0; i < 2; i++) state_free(&states[i]);
    plain.graph = NULL;
    rig_close(&plain);
    rig_close(fused);
    layout_free(layout);
}

static void test_same_bits_without_sums(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) check_graph(seed, false, RIG_LITERAL);
}

/* Formulas in a simpler form: the same to rounding. */
static void test_close_when_simplified(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) check_graph(seed, false, RIG_FUSED);
}

static void test_close_with_sums(void **unused) {
    (void)unused;
    for (uint64_t seed = 1001; seed <= 1000 + GRAPHS; seed++)
        check_graph(seed, true, seed % 2 ? RIG_FUSED : RIG_LITERAL);
}

/* ---- large ones ---------------------------------------------------------------------------------------- */

enum { LARGE = 300, CHANNELS = 24 };

/* A long chain of elementwise nodes. */
static Node *deep(Graph *g, Node *x, Node *const *vectors) {
    (void)vectors;
    Node *y = x;
    for (int i = 0; i < LARGE; i++)
        y = graph_add(g, graph_scale(g, graph_mul(g, y, graph_sigmoid(g, y)), 0.9), x);
    return y;
}

/* Many terms of as many vectors repeated over the batch. */
static Node *wide_sum(Graph *g, Node *x, Node *const *vectors) {
    Node *y = x;
    for (int i = 0; i + 1 < PARAMETERS; i++) {
        Node *a = graph_expand(g, vectors[i], node_shape(x)),
             *b = graph_expand(g, vectors[i + 1], node_shape(x));
        for (int n = 0; n < LARGE / PARAMETERS; n++)
            y = graph_add(g, y,
                          graph_mul(g, graph_offset(g, a, n), graph_tanh(g, graph_scale(g, b, 0.1 * n))));
    }
    return graph_scale(g, y, 0.01);
}

/* Many results of one argument, all needed at once. */
static Node *many_roots(Graph *g, Node *x, Node *const *vectors) {
    Node *product = graph_tanh(g, x);
    for (int i = 0; i < LARGE; i++) {
        Node *vector = graph_expand(g, vectors[i % PARAMETERS], node_shape(x));
        Node *term = graph_exp(g, graph_scale(g, graph_add(g, x, vector), -0.01 * (i % 20)));
        product = graph_add(g, graph_tanh(g, product), graph_mul(g, term, graph_scale(g, product, 0.5)));
    }
    return product;
}

static void test_large_expressions(void **unused) {
    (void)unused;
    Node *(*const build[])(Graph *, Node *, Node *const *) = {deep, wide_sum, many_roots};
    for (size_t i = 0; i < sizeof build / sizeof *build; i++) {
        static double values[100 * CHANNELS];
        Rig rigs[2];
        Draw draw = draw_from(i);
        draw_fill(&draw, values, sizeof values / sizeof *values, -1, 1);
        for (int mode = RIG_FUSED; mode <= RIG_PLAIN; mode++) {
            Rig *rig = &rigs[mode];
            rig_open(rig);
            Node *vectors[PARAMETERS + 1];
            for (int v = 0; v < PARAMETERS; v++) {
                char name[16];
                snprintf(name, sizeof name, "p%d", v);
                vectors[v] = graph_parameter(rig->graph, "G", name, shape_of(1, CHANNELS));
            }
            vectors[PARAMETERS] = graph_input(rig->graph, "x", shape_of(100, CHANNELS));
            Node *y = build[i](rig->graph, vectors[PARAMETERS], vectors), *by_x;
            Node *loss = graph_mean_all(rig->graph, graph_square(rig->graph, y));
            rig_want(rig, "y", y);
            if (build[i] != deep) rig_descend(rig, loss, vectors, PARAMETERS);
            graph_grad(rig->graph, loss, &vectors[PARAMETERS], 1, &by_x);
            rig_want(rig, "by x", by_x);
            rig_compile(rig, (RigMode)mode);
            draw = draw_from(i + 10);
            for (size_t n = 0; n < layout_numbers(rig->layout); n++)
                rig->state.data[n] = (real)draw_uniform(&draw, -1, 1);
            rig_set(rig, "x", values);
            rig_run(rig);
        }
        compare("a large expression", rig_get(&rigs[0], "y"), rig_get(&rigs[1], "y"), 100 * CHANNELS, false);
        compare("its gradient by x", rig_get(&rigs[0], "by x"), rig_get(&rigs[1], "by x"), 100 * CHANNELS,
                false);
        size_t count = 0, same;
        const real *gradients = workspace_gradients(rigs[0].workspace, rigs[0].program, "G", &count);
        if (count)
            compare("its gradients", gradients,
                    workspace_gradients(rigs[1].workspace, rigs[1].program, "G", &same), count, false);
        for (int mode = 0; mode < 2; mode++) rig_close(&rigs[mode]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_without_sums), cmocka_unit_test(test_close_when_simplified),
        cmocka_unit_test(test_close_with_sums), cmocka_unit_test(test_large_expressions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
