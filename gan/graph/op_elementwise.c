/* Ops that work element by element, the sugar built from them, and their gradients. */
#include <math.h>
#include <string.h>

#include "gan/graph/node.h"

/* Brings two arguments to one shape: equal ones stay, a scalar is expanded. */
static bool match(Graph *graph, const char *what, Node **a, Node **b) {
    if (!node_all(graph, *a, *b)) return false;
    if (shape_equal((*a)->shape, (*b)->shape)) return true;
    if ((*a)->shape.rank == 0)
        *a = graph_expand(graph, *a, (*b)->shape);
    else if ((*b)->shape.rank == 0)
        *b = graph_expand(graph, *b, (*a)->shape);
    else {
        char left[SHAPE_TEXT], right[SHAPE_TEXT];
        graph_fail(graph, "%s: the shapes %s and %s differ", what, shape_text((*a)->shape, left),
                   shape_text((*b)->shape, right));
        return false;
    }
    return *a && *b;
}

static Node *constant_like(Graph *graph, Node *a, double value) {
    Node *constant = graph_constant(graph, value);
    return constant && a ? graph_expand(graph, constant, a->shape) : NULL;
}

static Node *unary(Graph *graph, Op op, Node *a) {
    return node_all(graph, a, a) ? node_make(graph, op, a->shape, a, NULL, NULL) : NULL;
}

/* ---- add ----------------------------------------------------------------------------------------------- */

/* A known number goes last, otherwise the older node goes first: equal sums become one node. */
static void order(Node **a, Node **b) {
    double value;
    bool a_known = node_constant(*a, &value), b_known = node_constant(*b, &value);
    if (a_known != b_known ? a_known : (*a)->id > (*b)->id) {
        Node *swap = *a;
        *a = *b;
        *b = swap;
    }
}

Node *graph_add(Graph *graph, Node *a, Node *b) {
    if (!match(graph, "add", &a, &b)) return NULL;
    order(&a, &b);
    double left, right;
    if (node_constant(b, &right)) {
        if (right == 0) return a;
        if (node_constant(a, &left)) return constant_like(graph, a, left + right);
    }
    return node_make(graph, OP_ADD, a->shape, a, b, NULL);
}

Node *grad_add(Graph *graph, Node *node, Node *g, int argument) {
    (void)graph, (void)node, (void)argument;
    return g;
}

Node *graph_sub(Graph *graph, Node *a, Node *b) {
    if (!match(graph, "subtract", &a, &b)) return NULL;
    return graph_add(graph, a, graph_neg(graph, b));
}

Node *graph_offset(Graph *graph, Node *a, double term) {
    return node_all(graph, a, a) ? graph_add(graph, a, constant_like(graph, a, term)) : NULL;
}

/* ---- mul ----------------------------------------------------------------------------------------------- */

/* Factors that are broadcast alike are multiplied before they are broadcast: (x·E(p))·E(q) is x·E(p·q),
 * and a number goes into the broadcast, too. NULL: nothing to gather. */
static Node *gather_broadcasts(Graph *graph, Node *a, Node *b) {
    double value;
    for (int turn = 0; turn < 2; turn++) {
        Node *spread = turn ? a : b, *other = turn ? b : a;
        if (spread->op != OP_EXPAND || node_constant(spread, &value)) continue;
        Node *small = spread->args[0];
        if (node_constant(other, &value))
            return graph_expand(graph, graph_scale(graph, small, value), spread->shape);
        if (other->op == OP_EXPAND && shape_equal(other->args[0]->shape, small->shape))
            return graph_expand(graph, graph_mul(graph, other->args[0], small), spread->shape);
        if (other->op == OP_MUL && node_constant(other->args[1], &value))
            return graph_mul(graph, other->args[0],
                             graph_expand(graph, graph_scale(graph, small, value), spread->shape));
        for (int i = 0; i < 2 && other->op == OP_MUL; i++) {
            Node *factor = other->args[i];
            if (factor->op != OP_EXPAND || !shape_equal(factor->args[0]->shape, small->shape)) continue;
            Node *both = graph_expand(graph, graph_mul(graph, factor->args[0], small), spread->shape);
            return graph_mul(graph, other->args[!i], both);
        }
    }
    return NULL;
}

Node *graph_mul(Graph *graph, Node *a, Node *b) {
    if (!match(graph, "multiply", &a, &b)) return NULL;
    order(&a, &b);
    double left, right;
    if (node_constant(b, &right)) {
        if (right == 1) return a;
        if (node_constant(a, &left)) return constant_like(graph, a, left * right);
        if (graph_simplifies(graph) && a->op == OP_MUL && node_constant(a->args[1], &left))
            return graph_mul(graph, a->args[0], constant_like(graph, a, left * right));
    }
    Node *gathered = graph_simplifies(graph) ? gather_broadcasts(graph, a, b) : NULL;
    if (gathered || graph_error(graph)) return gathered;
    return node_make(graph, OP_MUL, a->shape, a, b, NULL);
}

/* Whether `factor` is t + (1 − t)·step(a) with t ≥ 0, as in relu and leaky relu, and `a` is stored before it
 * is rectified: what a convolution or another op with a kernel of its own makes, perhaps with a bias. */
static bool rectifies(const Node *factor, const Node *a, double *t) {
    double scale = 1;
    *t = 0;
    if (factor->op == OP_ADD && node_constant(factor->args[1], t)) factor = factor->args[0];
    if (factor->op == OP_MUL && node_constant(factor->args[1], &scale)) factor = factor->args[0];
    if (factor->op != OP_STEP || factor->args[0] != a || *t < 0 || scale != 1 - *t) return false;
    if (a->op == OP_ADD && a->args[0]->op == OP_EXPAND) a = a->args[1];
    if (a->op == OP_ADD && a->args[1]->op == OP_EXPAND) a = a->args[0];
    return a->op > OP_EXPAND;
}

/* A rectified value has the sign of what was rectified. So its gradient need not look back at that: the
 * rectifier can work in place. */
Node *grad_mul(Graph *graph, Node *node, Node *g, int argument) {
    Node *factor = node->args[!argument];
    double t;
    if (rectifies(factor, node->args[argument], &t)) {
        Node *step = graph_step(graph, node);
        factor = graph_offset(graph, graph_scale(graph, step, 1 - t), t);
    }
    return graph_mul(graph, g, factor);
}

Node *graph_scale(Graph *graph, Node *a, double factor) {
    return node_all(graph, a, a) ? graph_mul(graph, a, constant_like(graph, a, factor)) : NULL;
}

Node *graph_neg(Graph *graph, Node *a) {
    return graph_scale(graph, a, -1);
}

Node *graph_div(Graph *graph, Node *a, Node *b) {
    if (!match(graph, "divide", &a, &b)) return NULL;
    return graph_mul(graph, a, graph_pow(graph, b, -1));
}

/* ---- pow ----------------------------------------------------------------------------------------------- */

Node *graph_pow(Graph *graph, Node *a, double exponent) {
    if (!node_all(graph, a, a)) return NULL;
    if (!isfinite(exponent))
        return graph_fail(graph, "pow: the exponent must be a finite number, not %g", exponent);
    double value;
    if (exponent == 1) return a;
    if (exponent == 0) return constant_like(graph, a, 1);
    if (node_constant(a, &value)) return constant_like(graph, a, pow(value, exponent));
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.number = exponent;
    return node_make(graph, OP_POW, a->shape, a, NULL, &detail);
}

Node *grad_pow(Graph *graph, Node *node, Node *g, int argument) {
    (void)argument;
    double p = node->detail.number;
    return graph_mul(graph, g, graph_scale(graph, graph_pow(graph, node->args[0], p - 1), p));
}

Node *graph_square(Graph *graph, Node *a) {
    return graph_pow(graph, a, 2);
}

Node *graph_sqrt(Graph *graph, Node *a) {
    return graph_pow(graph, a, 0.5);
}

/* ---- transcendental ------------------------------------------------------------------------------------ */

Node *graph_exp(Graph *graph, Node *a) {
    return unary(graph, OP_EXP, a);
}

Node *grad_exp(Graph *graph, Node *node, Node *g, int argument) {
    (void)argument;
    return graph_mul(graph, g, node);
}

Node *graph_log(Graph *graph, Node *a) {
    return unary(graph, OP_LOG, a);
}

Node *grad_log(Graph *graph, Node *node, Node *g, int argument) {
    return graph_div(graph, g, node->args[argument]);
}

Node *graph_tanh(Graph *graph, Node *a) {
    return unary(graph, OP_TANH, a);
}

Node *grad_tanh(Graph *graph, Node *node, Node *g, int argument) {
    (void)argument;
    return graph_mul(graph, g, graph_offset(graph, graph_neg(graph, graph_square(graph, node)), 1));
}

Node *graph_sigmoid(Graph *graph, Node *a) {
    return unary(graph, OP_SIGMOID, a);
}

Node *grad_sigmoid(Graph *graph, Node *node, Node *g, int argument) {
    (void)argument;
    return graph_mul(graph, g, graph_mul(graph, node, graph_offset(graph, graph_neg(graph, node), 1)));
}

Node *graph_softplus(Graph *graph, Node *a) {
    return unary(graph, OP_SOFTPLUS, a);
}

Node *grad_softplus(Graph *graph, Node *node, Node *g, int argument) {
    return graph_mul(graph, g, graph_sigmoid(graph, node->args[argument]));
}

/* ---- kinks: all are built from step, whose gradient is zero -------------------------------------------- */

Node *graph_step(Graph *graph, Node *a) {
    return unary(graph, OP_STEP, a);
}

/* a·(slope + (1 − slope)·step(a)) */
Node *graph_leaky_relu(Graph *graph, Node *a, double slope) {
    Node *factor = graph_offset(graph, graph_scale(graph, graph_step(graph, a), 1 - slope), slope);
    return graph_mul(graph, a, factor);
}

Node *graph_relu(Graph *graph, Node *a) {
    return graph_mul(graph, a, graph_step(graph, a));
}

Node *graph_abs(Graph *graph, Node *a) {
    return graph_mul(graph, a, graph_offset(graph, graph_scale(graph, graph_step(graph, a), 2), -1));
}

/* The larger one exactly, where b + relu(a − b) would round. */
static Node *choose(Graph *graph, Node *step, Node *a, Node *b) {
    Node *other = graph_offset(graph, graph_neg(graph, step), 1);
    return graph_add(graph, graph_mul(graph, a, step), graph_mul(graph, b, other));
}

Node *graph_max(Graph *graph, Node *a, Node *b) {
    if (!match(graph, "max", &a, &b)) return NULL;
    return choose(graph, graph_step(graph, graph_sub(graph, a, b)), a, b);
}

Node *graph_min(Graph *graph, Node *a, Node *b) {
    if (!match(graph, "min", &a, &b)) return NULL;
    return choose(graph, graph_step(graph, graph_sub(graph, b, a)), a, b);
}

Node *graph_clamp(Graph *graph, Node *a, double low, double high) {
    if (!(low <= high)) return graph_fail(graph, "clamp: the bounds %g and %g are not in order", low, high);
    if (!node_all(graph, a, a)) return NULL;
    return graph_min(graph, graph_max(graph, a, graph_constant(graph, low)), graph_constant(graph, high));
}

Node *graph_detach(Graph *graph, Node *a) {
    if (!node_all(graph, a, a)) return NULL;
    return a->op == OP_DETACH ? a : unary(graph, OP_DETACH, a);
}
