/* Every op: its shape rule, its values against a plain reference, its adjoint where it is linear, and that
 * the table of cases leaves no op out. Gradients are test_gradients.c's, from the same table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/op_cases.h"
#include "tests/support/rig.h"

enum { ROUNDS = 12, MOST_SIZE = 7 };

static const bool SINGLE = sizeof(real) == sizeof(float);
static const char *const ARGUMENT[OP_ARGUMENTS] = {"a", "b"};
static Tensor args[OP_ARGUMENTS], expected;

static void open_case(Rig *rig, const OpCase *op, const OpInstance *instance, Node **inputs) {
    rig_open(rig);
    for (int i = 0; i < op->arity; i++)
        inputs[i] = rig_node(rig, graph_input(rig->graph, ARGUMENT[i], instance->shape[i]));
}

static void feed_case(Rig *rig, const OpCase *op) {
    for (int i = 0; i < op->arity; i++) rig_set(rig, ARGUMENT[i], args[i].data);
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* One instance; whether its node was of the very op that the case is for. */
static bool check_value(const OpCase *op, uint64_t seed, RigMode mode) {
    Draw draw = draw_from(seed);
    OpInstance instance = op_case_draw(op, &draw, MOST_SIZE);
    op_case_fill(op, &instance, &draw, args);
    op_case_reference(op, &instance, &expected, args);

    Rig rig;
    Node *inputs[OP_ARGUMENTS];
    open_case(&rig, op, &instance, inputs);
    Node *y = rig_node(&rig, op_case_build(op, &instance, rig.graph, inputs));
    char what[128], got[SHAPE_TEXT], wanted[SHAPE_TEXT];
    snprintf(what, sizeof what, "%s, seed %d%s", op->name, (int)seed, mode == RIG_PLAIN ? ", plain" : "");
    if (!shape_equal(node_shape(y), expected.shape))
        fail_msg("%s: shape %s, expected %s", what, shape_text(node_shape(y), got),
                 shape_text(expected.shape, wanted));
    bool same_op = node_op(y) == op->op;
    rig_want(&rig, "y", y);
    rig_compile(&rig, mode);
    feed_case(&rig, op);
    rig_run(&rig);
    check_near(what, rig_get(&rig, "y"), expected.data, rig_count(&rig, "y"), SINGLE ? 2e-6 : 1e-14);
    rig_close(&rig);
    return same_op;
}

static void test_values(void **unused) {
    (void)unused;
    for (size_t i = 0; i < OP_CASE_COUNT; i++) {
        const OpCase *op = &OP_CASES[i];
        bool seen = op->op == OP_COUNT;
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            seen = check_value(op, seed, RIG_FUSED) || seen;
            check_value(op, seed, RIG_PLAIN);
        }
        if (!seen) fail_msg("%s: no instance made a node of the op %s", op->name, op_text(op->op));
    }
}

/* ---- adjoints ------------------------------------------------------------------------------------------ */

static double dot(const real *a, const double *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* <A x, r> = <x, Aᵀ r>, where x is all the arguments in `set` and Aᵀ r is the gradient of <A x, r>. */
static void check_adjoint(const OpCase *op, unsigned set, uint64_t seed) {
    static Tensor r;
    Draw draw = draw_from(seed);
    OpInstance instance = op_case_draw(op, &draw, MOST_SIZE);
    op_case_fill(op, &instance, &draw, args);
    op_case_reference(op, &instance, &r, args); /* for its shape */
    draw_fill(&draw, r.data, (size_t)tensor_count(&r), -1, 1);

    Rig rig;
    Node *inputs[OP_ARGUMENTS], *gradient;
    open_case(&rig, op, &instance, inputs);
    Node *y = rig_node(&rig, op_case_build(op, &instance, rig.graph, inputs));
    Node *form = graph_sum_all(rig.graph, graph_mul(rig.graph, y, graph_input(rig.graph, "r", r.shape)));
    rig_want(&rig, "y", y);
    for (int i = 0; i < op->arity; i++) {
        if (!(set >> i & 1)) continue;
        graph_grad(rig.graph, form, &inputs[i], 1, &gradient);
        rig_want(&rig, ARGUMENT[i], rig_node(&rig, gradient));
    }
    rig_compile(&rig, RIG_FUSED);
    feed_case(&rig, op);
    rig_set(&rig, "r", r.data);
    rig_run(&rig);

    size_t count = (size_t)tensor_count(&r);
    const real *ax = rig_get(&rig, "y");
    double left = dot(ax, r.data, count), right = 0, norms = 0;
    for (size_t i = 0; i < count; i++) norms += fabs((double)ax[i] * r.data[i]);
    for (int i = 0; i < op->arity; i++)
        if (set >> i & 1)
            right += dot(rig_get(&rig, ARGUMENT[i]), args[i].data, rig_count(&rig, ARGUMENT[i]));
    if (!(fabs(left - right) <= (SINGLE ? 2e-6 : 1e-14) * (norms + 1)))
        fail_msg("%s, seed %d, arguments %u: <A x, r> = %.17g, <x, A' r> = %.17g", op->name, (int)seed, set,
                 left, right);
    rig_close(&rig);
}

static void test_adjoints(void **unused) {
    (void)unused;
    for (size_t i = 0; i < OP_CASE_COUNT; i++)
        for (int set = 0; set < 2; set++)
            for (uint64_t seed = 100; OP_CASES[i].linear[set] && seed < 100 + ROUNDS; seed++)
                check_adjoint(&OP_CASES[i], OP_CASES[i].linear[set], seed);
}

/* ---- leaves -------------------------------------------------------------------------------------------- */

static void leaf_input(void) {
    const double values[] = {1, -2, 3, 0.5, -0.25, 8};
    Rig rig;
    rig_open(&rig);
    Node *x = graph_input(rig.graph, "x", shape_of(2, 3));
    assert_int_equal(node_op(x), OP_INPUT);
    assert_string_equal(node_name(x), "x");
    assert_ptr_equal(x, graph_input(rig.graph, "x", shape_of(2, 3)));
    rig_want(&rig, "x itself", x);
    rig_want(&rig, "twice", graph_add(rig.graph, x, x));
    rig_compile(&rig, RIG_FUSED);
    assert_int_equal(program_inputs(rig.program), 1);
    assert_string_equal(program_input_name(rig.program, 0), "x");
    assert_true(shape_equal(program_input_shape(rig.program, 0), shape_of(2, 3)));
    rig_set(&rig, "x", values);
    rig_run(&rig);
    check_near("an input as an output", rig_get(&rig, "x itself"), values, 6, 1e-15);
    assert_true((double)rig_get(&rig, "twice")[5] == 16);
    rig_close(&rig);
}

static void leaf_of_state(Op op) {
    Rig rig;
    rig_open(&rig);
    Node *leaf = op == OP_PARAMETER ? graph_parameter(rig.graph, "", "p", shape_of(5))
                                    : graph_variable(rig.graph, "", "p", shape_of(5));
    assert_int_equal(node_op(leaf), op);
    rig_want(&rig, "itself", leaf);
    rig_want(&rig, "negated", graph_neg(rig.graph, leaf));
    rig_compile(&rig, RIG_FUSED);
    real *p = rig_tensor(&rig, "p");
    for (int i = 0; i < 5; i++) p[i] = (real)(i - 1);
    rig_run(&rig);
    for (int i = 0; i < 5; i++) {
        assert_true((double)rig_get(&rig, "itself")[i] == i - 1);
        assert_true((double)rig_get(&rig, "negated")[i] == 1 - i);
    }
    rig_close(&rig);
}

static void leaf_parameter(void) {
    leaf_of_state(OP_PARAMETER);
}

static void leaf_variable(void) {
    leaf_of_state(OP_VARIABLE);
}

static void leaf_constant(void) {
    Rig rig;
    rig_open(&rig);
    Node *c = graph_constant(rig.graph, 2.5);
    assert_int_equal(node_op(c), OP_CONSTANT);
    assert_int_equal(node_shape(c).rank, 0);
    rig_want(&rig, "scalar", c);
    rig_want(&rig, "filled", graph_expand(rig.graph, c, shape_of(3, 2)));
    rig_compile(&rig, RIG_FUSED);
    rig_run(&rig);
    assert_true(rig_number(&rig, "scalar") == 2.5);
    assert_int_equal(rig_count(&rig, "filled"), 6);
    for (int i = 0; i < 6; i++) assert_true((double)rig_get(&rig, "filled")[i] == 2.5);
    rig_close(&rig);
}

static double correlation(const real *a, const real *b, size_t count) {
    double ab = 0, aa = 0, bb = 0, am = 0, bm = 0;
    for (size_t i = 0; i < count; i++) am += (double)a[i] / (double)count, bm += (double)b[i] / (double)count;
    for (size_t i = 0; i < count; i++) {
        double x = (double)a[i] - am, y = (double)b[i] - bm;
        ab += x * y, aa += x * x, bb += y * y;
    }
    return ab / sqrt(aa * bb);
}

/* Two leaves of one op, each a stream of its own; fresh numbers for another key or counter, the same for the
 * same. */
static void leaf_random(Op op, double mean, double variance) {
    enum { COUNT = 20000 };
    static real first[COUNT];
    Rig rig;
    rig_open(&rig);
    Shape shape = shape_of(COUNT / 4, 4);
    bool normal = op == OP_NORMAL;
    Node *a = normal ? graph_normal(rig.graph, shape) : graph_uniform(rig.graph, shape);
    Node *b = normal ? graph_normal(rig.graph, shape) : graph_uniform(rig.graph, shape);
    assert_int_equal(node_op(a), op);
    assert_ptr_not_equal(a, b);
    rig_want(&rig, "a", a);
    rig_want(&rig, "b", b);
    rig_compile(&rig, RIG_FUSED);
    rig_run_on(&rig, &rig.state, 7, 3);
    memcpy(first, rig_get(&rig, "a"), sizeof first);
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) {
        double x = (double)first[i] - mean;
        if (!normal) assert_true(first[i] >= 0 && first[i] < 1);
        sum += x, squares += x * x;
    }
    assert_true(fabs(sum / COUNT) < 5 * sqrt(variance / COUNT));
    assert_true(fabs(squares / COUNT / variance - 1) < 5 * sqrt(2.0 / COUNT));
    assert_true(fabs(correlation(first, rig_get(&rig, "b"), COUNT)) < 5 / sqrt((double)COUNT));
    const uint64_t other[][2] = {{7, 4}, {8, 3}};
    for (int i = 0; i < 2; i++) {
        rig_run_on(&rig, &rig.state, other[i][0], other[i][1]);
        assert_true(fabs(correlation(first, rig_get(&rig, "a"), COUNT)) < 5 / sqrt((double)COUNT));
    }
    rig_run_on(&rig, &rig.state, 7, 3);
    check_same_bits("the same key and counter", rig_get(&rig, "a"), first, COUNT);
    rig_close(&rig);
}

static void leaf_normal(void) {
    leaf_random(OP_NORMAL, 0, 1);
}

static void leaf_uniform(void) {
    leaf_random(OP_UNIFORM, 0.5, 1.0 / 12);
}

static void (*const LEAF[OP_COUNT])(void) = {
    [OP_INPUT] = leaf_input,       [OP_PARAMETER] = leaf_parameter, [OP_VARIABLE] = leaf_variable,
    [OP_CONSTANT] = leaf_constant, [OP_NORMAL] = leaf_normal,       [OP_UNIFORM] = leaf_uniform};

static void test_leaves(void **unused) {
    (void)unused;
    for (int op = 0; op < OP_COUNT; op++)
        if (LEAF[op]) LEAF[op]();
}

/* ---- completeness -------------------------------------------------------------------------------------- */

/* By definition, not by omission. */
static bool gradient_is_zero(Op op) {
    return op == OP_STEP || op == OP_DETACH || op == OP_AMAX;
}

static void test_every_op_has_a_case(void **unused) {
    (void)unused;
    for (int i = 0; i < OP_COUNT; i++) {
        Op op = (Op)i;
        assert_true(op_text(op) && *op_text(op) && op_formula(op) && *op_formula(op));
        for (int other = 0; other < i; other++) assert_string_not_equal(op_text(op), op_text((Op)other));
        if (op_arity(op) == 0) {
            if (!LEAF[op]) fail_msg("the leaf %s has no test", op_text(op));
            continue;
        }
        bool gradient = !gradient_is_zero(op);
        if (gradient != (op_differentiable(op) != 0))
            fail_msg("%s: %s", op_text(op),
                     gradient ? "it has no gradient rule" : "it should have no gradient");
        bool found = false;
        for (size_t n = 0; n < OP_CASE_COUNT && !found; n++)
            found = OP_CASES[n].op == op && OP_CASES[n].reference && OP_CASES[n].orders >= (gradient ? 2 : 0);
        if (!found)
            fail_msg("%s has no case with a reference%s in tests/support/op_cases.c", op_text(op),
                     gradient ? " and gradients of two orders" : "");
    }
}

/* ---- the edges of numbers ------------------------------------------------------------------------------ */

typedef struct {
    const char *name;
    Node *(*unary)(Graph *graph, Node *a);
    double at, expected;
} Edge;

static Node *leaky(Graph *graph, Node *a) {
    return graph_leaky_relu(graph, a, 0.2);
}

static Node *clamped(Graph *graph, Node *a) {
    return graph_clamp(graph, a, -1, 1);
}

static Node *max_of_zero(Graph *graph, Node *a) {
    return graph_max(graph, a, graph_constant(graph, 0));
}

static Node *min_of_zero(Graph *graph, Node *a) {
    return graph_min(graph, a, graph_constant(graph, 0));
}

static Node *largest(Graph *graph, Node *a) {
    return graph_expand(graph, graph_amax(graph, a, 1), shape_of(37));
}

static Node *times_zero(Graph *graph, Node *a) {
    return graph_scale(graph, a, 0);
}

static Node *masked(Graph *graph, Node *a) {
    return graph_mul(graph, graph_uniform(graph, node_shape(a)), graph_step(graph, a));
}

/* Training lives on seeing NaN: none is lost on the way, and large numbers do not make one. */
static void test_edges(void **unused) {
    (void)unused;
    const double inf = (double)INFINITY, nan = (double)NAN;
    const Edge edges[] = {
        {"exp", graph_exp, 1000, inf},
        {"exp", graph_exp, -1000, 0},
        {"exp", graph_exp, -inf, 0},
        {"exp", graph_exp, 0, 1},
        {"log", graph_log, 0, -inf},
        {"log", graph_log, -1, nan},
        {"log", graph_log, inf, inf},
        {"log", graph_log, 1, 0},
        {"tanh", graph_tanh, 1000, 1},
        {"tanh", graph_tanh, -inf, -1},
        {"tanh", graph_tanh, 1e-10, 1e-10},
        {"sigmoid", graph_sigmoid, 1000, 1},
        {"sigmoid", graph_sigmoid, -1000, 0},
        {"sigmoid", graph_sigmoid, -50, 1.9287498479639178e-22},
        {"softplus", graph_softplus, 1000, 1000},
        {"softplus", graph_softplus, -1000, 0},
        {"softplus", graph_softplus, -50, 1.9287498479639178e-22},
        {"softplus", graph_softplus, inf, inf},
        {"step", graph_step, 0, 0},
        {"step", graph_step, 1e-30, 1},
        {"step", graph_step, -inf, 0},
        {"step", graph_step, inf, 1},
        {"sqrt", graph_sqrt, 0, 0},
        {"sqrt", graph_sqrt, -1, nan},
        {"square", graph_square, -3, 9},
        {"relu", graph_relu, 0, 0},
        {"relu", graph_relu, inf, inf},
        {"leaky relu", leaky, inf, inf},
        {"leaky relu", leaky, -inf, -inf},
        {"abs", graph_abs, -inf, inf},
        {"clamp", clamped, 1, 1},
        {"clamp", clamped, 1e30, 1},
        {"max", max_of_zero, 0, 0},
        {"a nought times infinity", times_zero, inf, nan},
        {"exp", graph_exp, nan, nan},
        {"log", graph_log, nan, nan},
        {"tanh", graph_tanh, nan, nan},
        {"sigmoid", graph_sigmoid, nan, nan},
        {"softplus", graph_softplus, nan, nan},
        {"step", graph_step, nan, nan},
        {"sqrt", graph_sqrt, nan, nan},
        {"square", graph_square, nan, nan},
        {"relu", graph_relu, nan, nan},
        {"leaky relu", leaky, nan, nan},
        {"abs", graph_abs, nan, nan},
        {"clamp", clamped, nan, nan},
        {"max", max_of_zero, nan, nan},
        {"min", min_of_zero, nan, nan},
        {"amax", largest, nan, nan},
        {"a number times step", masked, nan, nan},
        {"a nought times NaN", times_zero, nan, nan},
    };
    enum { LANES = 37 }; /* vectors and their rest */
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        Rig rig;
        rig_open(&rig);
        rig_want(&rig, "y", edges[i].unary(rig.graph, graph_input(rig.graph, "a", shape_of(LANES))));
        rig_compile(&rig, RIG_FUSED);
        double values[LANES];
        for (int n = 0; n < LANES; n++) values[n] = edges[i].at;
        rig_set(&rig, "a", values);
        rig_run(&rig);
        for (int n = 0; n < LANES; n++) {
            double y = (double)rig_get(&rig, "y")[n], wanted = edges[i].expected;
            bool right = isnan(wanted)   ? isnan(y)
                         : isinf(wanted) ? y == wanted
                                         : fabs(y - wanted) <= (SINGLE ? 3e-7 : 1e-15) * fabs(wanted);
            if (!right)
                fail_msg("%s of %g at place %d is %.17g, expected %.17g", edges[i].name, edges[i].at, n, y,
                         wanted);
        }
        rig_close(&rig);
    }
}

/* One NaN among many is found wherever it stands. */
static void test_amax_sees_every_nan(void **unused) {
    (void)unused;
    enum { COUNT = 67 };
    double values[COUNT] = {0};
    Rig rig;
    rig_open(&rig);
    rig_want(&rig, "y", graph_amax(rig.graph, graph_input(rig.graph, "a", shape_of(COUNT)), 1));
    rig_compile(&rig, RIG_FUSED);
    for (int n = 0; n < COUNT; n++) {
        values[n] = (double)NAN;
        rig_set(&rig, "a", values);
        rig_run(&rig);
        if (!isnan(rig_number(&rig, "y"))) fail_msg("amax lost the NaN at place %d", n);
        values[n] = -n;
    }
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_has_a_case),
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_adjoints),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_amax_sees_every_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
