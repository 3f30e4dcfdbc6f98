/* A graph of symbolic tensors, closed under differentiation: the gradient of a node is more nodes of the
 * same set of ops (op.h), so gradients of gradients need no further rule.
 *
 * Errors are sticky. A constructor that is given NULL, or fails, returns NULL and leaves the reason in the
 * graph; the first reason stays. So a network is written as one expression and checked once:
 *
 *     Node *y = graph_tanh(g, graph_add(g, graph_conv(g, x, w, 2, 1), bias));
 *     if (!y) report(graph_error(g));
 *
 * Axes count from 0 here (from 1 in Lua). Nodes belong to their graph and end with it. Equal expressions
 * are one node. */
#ifndef BROOD_GRAPH_GRAPH_H
#define BROOD_GRAPH_GRAPH_H

#include "base/real.h"
#include "gan/graph/op.h"
#include "gan/graph/shape.h"

typedef struct Graph Graph;

Graph *graph_new(void); /* NULL: out of memory */
void graph_free(Graph *graph);

/* The first error since the graph was made or cleared; NULL when there is none. */
const Error *graph_error(const Graph *graph);
void graph_clear_error(Graph *graph);

/* Where the nodes made from now on come from: the script's "file:line" and the layer's path, either may be
 * NULL. Both are copied. */
void graph_set_source(Graph *graph, const char *line, const char *layer);

/* ---- leaves ---------------------------------------------------------------------------------------------
 * Names are unique among a graph's inputs, and among its parameters and variables; asking again for the same
 * name and shape gives the same node. */
Node *graph_input(Graph *graph, const char *name, Shape shape);
/* `group` is the player that owns it ("G", "D"; "" when there is but one). */
Node *graph_parameter(Graph *graph, const char *group, const char *name, Shape shape);
/* State that no optimizer touches; a program's assignments change it. */
Node *graph_variable(Graph *graph, const char *group, const char *name, Shape shape);
Node *graph_constant(Graph *graph, double value); /* a scalar */
/* Fresh numbers in every run; each call is a stream of its own. */
Node *graph_normal(Graph *graph, Shape shape);
Node *graph_uniform(Graph *graph, Shape shape); /* [0, 1) */

/* ---- arithmetic: equal shapes, or a scalar with anything ----------------------------------------------- */
Node *graph_add(Graph *graph, Node *a, Node *b);
Node *graph_sub(Graph *graph, Node *a, Node *b);
Node *graph_mul(Graph *graph, Node *a, Node *b);
Node *graph_div(Graph *graph, Node *a, Node *b);
Node *graph_neg(Graph *graph, Node *a);
Node *graph_scale(Graph *graph, Node *a, double factor);
Node *graph_offset(Graph *graph, Node *a, double term);
Node *graph_pow(Graph *graph, Node *a, double exponent);
Node *graph_square(Graph *graph, Node *a);
Node *graph_sqrt(Graph *graph, Node *a);

/* ---- one at a time ------------------------------------------------------------------------------------- */
Node *graph_exp(Graph *graph, Node *a);
Node *graph_log(Graph *graph, Node *a);
Node *graph_tanh(Graph *graph, Node *a);
Node *graph_sigmoid(Graph *graph, Node *a);
Node *graph_softplus(Graph *graph, Node *a); /* log(1 + exp(a)) */
Node *graph_step(Graph *graph, Node *a);     /* a > 0 ? 1 : 0; its gradient is zero; NaN stays NaN */
Node *graph_relu(Graph *graph, Node *a); /* these are built from step: an infinity that they cut off is NaN */
Node *graph_leaky_relu(Graph *graph, Node *a, double slope);
Node *graph_abs(Graph *graph, Node *a);
Node *graph_max(Graph *graph, Node *a, Node *b);
Node *graph_min(Graph *graph, Node *a, Node *b);
Node *graph_clamp(Graph *graph, Node *a, double low, double high);
Node *graph_detach(Graph *graph, Node *a); /* the value, with no gradient */

/* ---- reductions and broadcasts: `axes` is a bit set, 1 << axis -------------------------------------------
 * Sums keep the rank: a summed axis has size 1. */
Node *graph_sum(Graph *graph, Node *a, unsigned axes);
Node *graph_mean(Graph *graph, Node *a, unsigned axes);
Node *graph_amax(Graph *graph, Node *a,
                 unsigned axes);            /* no gradient: only to stabilise softmax and the like */
Node *graph_sum_all(Graph *graph, Node *a); /* to a scalar */
Node *graph_mean_all(Graph *graph, Node *a);
/* Axes of size 1 are repeated to the sizes of `shape`, which has the same rank; a scalar goes to any shape.
 */
Node *graph_expand(Graph *graph, Node *a, Shape shape);

/* ---- movement ------------------------------------------------------------------------------------------ */
Node *graph_reshape(Graph *graph, Node *a, Shape shape);
Node *graph_permute(Graph *graph, Node *a, const int *order); /* axis i of the result is order[i] of a */
Node *graph_slice(Graph *graph, Node *a, const int64_t *first,
                  const int64_t *count); /* one of each per axis */
Node *graph_pad(Graph *graph, Node *a, const int64_t *before, const int64_t *after); /* with zeros */
Node *graph_concat(Graph *graph, Node *const *parts, size_t count, int axis);

/* ---- images (batch, height, width, channels) ----------------------------------------------------------- */
Node *graph_upsample(Graph *graph, Node *a,
                     int64_t factor); /* each pixel becomes factor × factor equal ones */
Node *graph_poolsum(Graph *graph, Node *a, int64_t factor); /* sums of factor × factor blocks; its adjoint */
Node *graph_avg_pool(Graph *graph, Node *a, int64_t factor);
/* x (n, h, w, cx), w (kh, kw, cx, cy) → (n, (h + 2·pad − kh) / stride + 1, …, cy); the division is rounded
 * down. */
Node *graph_conv(Graph *graph, Node *x, Node *w, int64_t stride, int64_t pad);
/* y (n, h, w, cy), w (kh, kw, cx, cy) → (n, (h − 1)·stride − 2·pad + kh, …, cx): the transposed convolution.
 */
Node *graph_conv_transpose(Graph *graph, Node *y, Node *w, int64_t stride, int64_t pad);

/* ---- lookup and linear algebra ------------------------------------------------------------------------- */
/* table (rows, …), index of any shape holding row numbers 0 .. rows − 1 → index's shape, then table's other
 * axes. */
Node *graph_gather(Graph *graph, Node *table, Node *index);
/* The adjoint: values of gather's result shape are added into a table of `rows` rows. */
Node *graph_scatter(Graph *graph, Node *values, Node *index, int64_t rows);
/* (m, k) × (k, n) → (m, n), or with a leading batch axis on both; a flag reads that factor transposed. */
Node *graph_matmul(Graph *graph, Node *a, Node *b, bool transpose_a, bool transpose_b);

/* ---- differentiation ----------------------------------------------------------------------------------- */
/* gradients[i] = d y / d xs[i], shaped like xs[i]. `y` is a scalar (one element). An x on which y does not
 * depend is an error. Returns false and leaves the error in the graph. */
bool graph_grad(Graph *graph, Node *y, Node *const *xs, size_t count, Node **gradients);

/* ---- looking at nodes ---------------------------------------------------------------------------------- */
Shape node_shape(const Node *node);
Op node_op(const Node *node);
const char *node_name(const Node *node);  /* of a leaf; NULL for others */
const char *node_line(const Node *node);  /* "file:line" or NULL */
const char *node_layer(const Node *node); /* layer's path or NULL */

/* A graph's nodes, in order of creation: arguments before what is made of them. */
int graph_node_count(const Graph *graph);
Node *graph_node(const Graph *graph, int id);
/* A node in a line, with all that its value depends on and not where it was written: "7 conv (64, 8, 8, 16)
 * of 3 5, stride 2, pad 1". Graphs of equal lines compute the same. Returns `text`. */
enum { NODE_TEXT = 768 };
const char *node_text(const Node *node, char text[NODE_TEXT]);

#endif
