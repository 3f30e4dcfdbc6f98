/* Inside a graph: nodes, and what the ops' files share. Not for users of the graph. */
#ifndef BROOD_GRAPH_NODE_H
#define BROOD_GRAPH_NODE_H

#include "gan/graph/graph.h"
#include "gan/kernels/conv.h"

/* What an op needs to know beyond its arguments and its result's shape. Compared byte by byte when equal
 * expressions are looked for, so it is zeroed before it is filled. */
typedef struct {
    double number;             /* CONSTANT: the value; POW: the exponent */
    int64_t index[SHAPE_AXES]; /* PERMUTE: the order; SLICE: first; PAD: before; UPSAMPLE, POOLSUM: [0] the
                                  factor; SCATTER: [0] rows; NORMAL, UNIFORM: [0] which stream */
    ConvShape conv;            /* CONV, CONV_DX, CONV_DW: the one shared geometry */
    unsigned axes;             /* SUM, AMAX: bit set of reduced axes */
    bool transpose_a, transpose_b; /* MATMUL */
} NodeDetail;

struct Node {
    Op op;
    int id; /* counts from 0 in order of creation, so arguments have smaller ids */
    Graph *graph;
    Shape shape;
    Node *args[2];
    NodeDetail detail;
    const char *group, *name; /* leaves */
    const char *line, *layer; /* where it was written; NULL: unknown */
    Node *next_equal;         /* next in the same bucket of the table of expressions */
};

/* Makes a node of the op, or returns the equal one that exists. The shape is checked; NULL on error. */
Node *node_make(Graph *graph, Op op, Shape shape, Node *a, Node *b, const NodeDetail *detail);
/* False, with the error set where it is new, unless all nodes are there and belong to the graph. */
bool node_all(Graph *graph, Node *a, Node *b);
/* Records the first error of the graph and returns NULL. */
Node *graph_fail(Graph *graph, const char *format, ...) __attribute__((format(printf, 2, 3)));
Node *graph_no_memory(Graph *graph);

/* A graph that simplifies as it grows: constructors may return another formula of the same value. That takes
 * intermediate nodes out of the way, so a graph that is yet to be differentiated must not; compiling rebuilds
 * what it needs in one that does. */
void graph_simplify(Graph *graph);
bool graph_simplifies(const Graph *graph);
/* As graph_set_source, without copying: the texts outlive the graph. */
typedef struct {
    const char *line, *layer;
} Source;
Source graph_source(const Graph *graph);
void graph_borrow_source(Graph *graph, const char *line, const char *layer);
/* The same node in another graph, of the arguments a and b there. */
Node *node_rebuild(Graph *graph, const Node *node, Node *a, Node *b);

/* Whether every element of the node is one known number, and which. */
bool node_constant(const Node *node, double *value);

/* The gradient rule of an op: what `g`, the gradient of the node's result, brings to one of its arguments.
 * NULL without an error: nothing. */
typedef Node *GradientRule(Graph *graph, Node *node, Node *g, int argument);

/* One rule a file section; op.c holds the table. */
GradientRule grad_add, grad_mul, grad_pow, grad_exp, grad_log, grad_tanh, grad_sigmoid, grad_softplus;
GradientRule grad_sum, grad_expand;
GradientRule grad_reshape, grad_permute, grad_slice, grad_pad, grad_upsample, grad_poolsum;
GradientRule grad_gather, grad_scatter, grad_matmul, grad_conv, grad_conv_dx, grad_conv_dw;
GradientRule *op_gradient(Op op); /* NULL: the op has no gradient */

#endif
