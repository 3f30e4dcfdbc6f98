/* Gradients of every op, to the third order, against finite differences.
 *
 * For an op y(x) let F0(x, r) = <y(x), r> and F(k+1) = sum over z of <dFk/dz, v>, where z runs over x and r,
 * and the v are fixed random numbers. Then the engine's gradient of Fk is its gradient of order k + 1, and
 * finite differences of Fk must agree with it number by number. Because r is one of the variables, this holds
 * for linear ops too: their second gradients are the op and its adjoint again.
 *
 * In double this is exact to about 1e-11. In float only the first order is tested, against differences of the
 * plain reference, which is in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "tests/support/op_cases.h"
#include "tests/support/rig.h"

enum { ROUNDS = 4, MOST_SIZE = 3, VARIABLES = OP_ARGUMENTS + 1, ORDERS = 3 };

static const bool SINGLE = sizeof(real) == sizeof(float);
static const double STEP = 1e-3;

/* The variables of F: the arguments, and r last. */
typedef struct {
    const OpCase *op;
    OpInstance instance;
    Tensor value[VARIABLES];
    double direction[ORDERS][VARIABLES][TENSOR_ROOM]; /* the v of each order */
    int count;
} Form;

static Form form;
static const char *const DIRECTION[ORDERS][VARIABLES] = {
    {"v1 a", "v1 b", "v1 r"}, {"v2 a", "v2 b", "v2 r"}, {"v3 a", "v3 b", "v3 r"}};

static const char *name_of(int i) {
    return i == form.op->arity ? "r" : i == 0 ? "a" : "b";
}

static bool is_variable(int i) {
    bool argument = i < form.op->arity;
    return i < form.count && !(argument && form.op->domain[i] == DOMAIN_INDEX);
}

/* r takes the place after the last argument. */
static void draw_form(const OpCase *op, uint64_t seed) {
    Draw draw = draw_from(seed);
    form.op = op;
    form.instance = op_case_draw(op, &draw, MOST_SIZE);
    form.count = op->arity + 1;
    op_case_fill(op, &form.instance, &draw, form.value);
    Tensor *r = &form.value[op->arity];
    op_case_reference(op, &form.instance, r, form.value);
    draw_fill(&draw, r->data, (size_t)tensor_count(r), -1, 1);
    for (int order = 0; order < ORDERS; order++)
        for (int i = 0; i < form.count; i++)
            draw_fill(&draw, form.direction[order][i], (size_t)tensor_count(&form.value[i]), -1, 1);
}

/* Four points, error of the fourth power of the step. */
static double slope(double (*value)(void *context), void *context, double *at) {
    static const double WEIGHT[] = {1, -8, 8, -1}, PLACE[] = {-2, -1, 1, 2};
    double start = *at, sum = 0;
    for (int i = 0; i < 4; i++) {
        *at = start + PLACE[i] * STEP;
        sum += WEIGHT[i] * value(context);
    }
    *at = start;
    return sum / (12 * STEP);
}

static double form_by_reference(void *unused) {
    static Tensor y;
    (void)unused;
    op_case_reference(form.op, &form.instance, &y, form.value);
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(&y); i++) sum += y.data[i] * form.value[form.op->arity].data[i];
    return sum;
}

/* A rig with F of the given order, "f", and its gradients, named like the variables. */
static void open_form(Rig *rig, int order) {
    Node *variable[VARIABLES], *gradient[VARIABLES], *free[VARIABLES];
    int which[VARIABLES];
    size_t frees = 0;
    rig_open(rig);
    Graph *graph = rig->graph;
    for (int i = 0; i < form.count; i++) {
        variable[i] = rig_node(rig, graph_input(graph, name_of(i), form.value[i].shape));
        if (!is_variable(i)) continue;
        which[frees] = i;
        free[frees++] = variable[i];
    }
    Node *y = rig_node(rig, op_case_build(form.op, &form.instance, graph, variable));
    Node *f = graph_sum_all(graph, graph_mul(graph, y, variable[form.op->arity]));
    for (int k = 0; k <= order; k++) {
        if (!graph_grad(graph, f, free, frees, gradient))
            fail_msg("%s, order %d: %s", form.op->name, k + 1, graph_error(graph)->message);
        if (k == order) break;
        f = graph_constant(graph, 0);
        for (size_t n = 0; n < frees; n++) {
            Node *v = graph_input(graph, DIRECTION[k][which[n]], node_shape(free[n]));
            f = graph_add(graph, f, graph_sum_all(graph, graph_mul(graph, gradient[n], v)));
        }
    }
    rig_want(rig, "f", f);
    for (size_t n = 0; n < frees; n++) {
        assert_true(shape_equal(node_shape(gradient[n]), node_shape(free[n])));
        rig_want(rig, name_of(which[n]), gradient[n]);
    }
    rig_compile(rig, RIG_FUSED);
    for (int k = 0; k < order; k++)
        for (int i = 0; i < form.count; i++) rig_set(rig, DIRECTION[k][i], form.direction[k][i]);
}

static double form_by_engine(void *context) {
    Rig *rig = context;
    for (int i = 0; i < form.count; i++) rig_set(rig, name_of(i), form.value[i].data);
    rig_run(rig);
    return rig_number(rig, "f");
}

static void check_order(int order, uint64_t seed) {
    static double differences[VARIABLES][TENSOR_ROOM];
    Rig rig;
    open_form(&rig, order);
    bool by_reference = order == 0;
    for (int i = 0; i < form.count; i++)
        for (int64_t n = 0; is_variable(i) && n < tensor_count(&form.value[i]); n++)
            differences[i][n] =
                slope(by_reference ? form_by_reference : form_by_engine, &rig, &form.value[i].data[n]);
    form_by_engine(&rig); /* at the point itself */
    for (int i = 0; i < form.count; i++) {
        if (!is_variable(i)) continue;
        char what[128];
        snprintf(what, sizeof what, "%s, seed %d: gradient of order %d by %s", form.op->name, (int)seed,
                 order + 1, name_of(i));
        check_near(what, rig_get(&rig, name_of(i)), differences[i], rig_count(&rig, name_of(i)),
                   SINGLE ? 1e-5 : 1e-8);
    }
    rig_close(&rig);
}

static void test_gradients(void **unused) {
    (void)unused;
    for (size_t i = 0; i < OP_CASE_COUNT; i++)
        for (int order = 0; order < OP_CASES[i].orders && (order == 0 || !SINGLE); order++)
            for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
                draw_form(&OP_CASES[i], seed + 1000 * (i + 1));
                check_order(order, seed);
            }
}

/* ---- zero by definition -------------------------------------------------------------------------------- */

static Node *largest(Graph *graph, Node *a) {
    return graph_expand(graph, graph_amax(graph, a, 1), node_shape(a));
}

/* d sum(x · f(x)) / dx is f(x) when f counts as a constant. */
static void test_constants_to_gradients(void **unused) {
    (void)unused;
    Node *(*const constant[])(Graph *, Node *) = {graph_step, graph_detach, largest};
    for (size_t i = 0; i < sizeof constant / sizeof *constant; i++) {
        const double values[] = {0.5, -1, 2, -0.25, 1.5};
        Rig rig;
        rig_open(&rig);
        Node *x = graph_input(rig.graph, "x", shape_of(5)), *f = constant[i](rig.graph, x), *gradient;
        graph_grad(rig.graph, graph_sum_all(rig.graph, graph_mul(rig.graph, x, f)), &x, 1, &gradient);
        rig_want(&rig, "f", f);
        rig_want(&rig, "gradient", gradient);
        rig_compile(&rig, RIG_FUSED);
        rig_set(&rig, "x", values);
        rig_run(&rig);
        check_same_bits("a constant to gradients", rig_get(&rig, "gradient"), rig_get(&rig, "f"), 5);
        rig_close(&rig);
    }
}

/* ---- whole expressions --------------------------------------------------------------------------------- */

/* By an inner node: with m = x², d sum(exp(m)) / dm is exp(m), whatever m is made of; and by both at once. */
static void test_inner_node(void **unused) {
    (void)unused;
    const double values[] = {0.5, -1, 0.25};
    Rig rig;
    rig_open(&rig);
    Node *x = graph_input(rig.graph, "x", shape_of(3)), *m = graph_square(rig.graph, x);
    Node *gradients[2];
    graph_grad(rig.graph, graph_sum_all(rig.graph, graph_exp(rig.graph, m)), (Node *[]){m, x}, 2, gradients);
    rig_want(&rig, "m", gradients[0]);
    rig_want(&rig, "x", gradients[1]);
    rig_compile(&rig, RIG_FUSED);
    rig_set(&rig, "x", values);
    rig_run(&rig);
    double by_m[3], by_x[3];
    for (int i = 0; i < 3; i++) {
        by_m[i] = exp(values[i] * values[i]);
        by_x[i] = by_m[i] * 2 * values[i];
    }
    check_near("by the inner node", rig_get(&rig, "m"), by_m, 3, SINGLE ? 1e-6 : 1e-14);
    check_near("by the leaf", rig_get(&rig, "x"), by_x, 3, SINGLE ? 1e-6 : 1e-14);
    rig_close(&rig);
}

/* A node used along several paths gets the sum of what they bring; y itself has gradient 1. */
static void test_many_paths(void **unused) {
    (void)unused;
    Rig rig;
    rig_open(&rig);
    Graph *g = rig.graph;
    Node *x = graph_input(g, "x", shape_scalar());
    Node *y = graph_add(g, graph_mul(g, x, graph_tanh(g, x)), graph_add(g, graph_square(g, x), x));
    Node *gradients[2];
    graph_grad(g, y, (Node *[]){x, y}, 2, gradients);
    rig_want(&rig, "x", gradients[0]);
    rig_want(&rig, "y", gradients[1]);
    rig_compile(&rig, RIG_FUSED);
    rig_set_number(&rig, "x", 0.7);
    rig_run(&rig);
    double t = tanh(0.7), wanted = t + 0.7 * (1 - t * t) + 1.4 + 1;
    check_near("the sum of the paths", rig_get(&rig, "x"), &wanted, 1, SINGLE ? 1e-6 : 1e-14);
    assert_true(rig_number(&rig, "y") == 1);
    rig_close(&rig);
}

/* The first four derivatives of tanh, by hand. */
static void test_fourth_order(void **unused) {
    (void)unused;
    Rig rig;
    rig_open(&rig);
    Node *x = graph_input(rig.graph, "x", shape_scalar()), *f = graph_tanh(rig.graph, x);
    static const char *const ORDER[] = {"1", "2", "3", "4"};
    for (int i = 0; i < 4; i++) {
        graph_grad(rig.graph, f, &x, 1, &f);
        rig_want(&rig, ORDER[i], f);
    }
    rig_compile(&rig, RIG_FUSED);
    rig_set_number(&rig, "x", 0.3);
    rig_run(&rig);
    double t = tanh(0.3), s = 1 - t * t;
    const double wanted[] = {s, -2 * t * s, s * (6 * t * t - 2), s * (16 * t - 24 * t * t * t)};
    for (int i = 0; i < 4; i++)
        check_near("a derivative of tanh", rig_get(&rig, ORDER[i]), &wanted[i], 1, SINGLE ? 3e-6 : 1e-13);
    rig_close(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),    cmocka_unit_test(test_constants_to_gradients),
        cmocka_unit_test(test_inner_node),   cmocka_unit_test(test_many_paths),
        cmocka_unit_test(test_fourth_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
