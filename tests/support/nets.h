/* Small networks for tests, built from the ops as a script's layers are. */
#ifndef BROOD_TESTS_NETS_H
#define BROOD_TESTS_NETS_H

#include "gan/graph/graph.h"
#include "gan/program/layout.h"
#include "tests/support/draw.h"

enum { NET_MOST = 16 };

/* A player's network: its parameters, in order of first use, and the statistics of its batch norms, two
 * vectors (mean, variance) each, in order of the calls. */
typedef struct {
    Graph *graph;
    const char *group;
    Node *parameters[NET_MOST];
    size_t parameter_count;
    Node *moments[NET_MOST];
    size_t moment_count;
} Net;

Net net_new(Graph *graph, const char *group);

/* Layers. `name` begins the names of their parameters: NAME.w (weights), NAME.b (bias), NAME.s (scale). */
Node *net_linear(Net *net, const char *name, Node *x, int64_t out); /* (n, in) → (n, out) */
Node *net_conv(Net *net, const char *name, Node *x, int64_t out, int64_t kernel, int64_t stride, int64_t pad);
Node *net_upconv(Net *net, const char *name, Node *x, int64_t out, int64_t kernel, int64_t stride,
                 int64_t pad);
Node *net_bias(Net *net, const char *name, Node *x); /* a vector added over the last axis */
/* Over all axes but the last, by the batch's own mean and variance (which divides by n, not n − 1), epsilon
 * 1e-5, then scale and bias. */
Node *net_batch_norm(Net *net, const char *name, Node *x);

/* A vector, or (1, …, 1, channels), repeated to a shape that ends with as many channels. */
Node *net_channels(Graph *graph, Node *vector, Shape shape);

/* The pair that most tests train: 16 × 16 images. */
enum { NET_LATENT = 8, NET_SIZE = 16 };
typedef enum { NET_LEAKY_RELU, NET_SOFTPLUS, NET_TANH } NetActivation;

/* z (n, NET_LATENT) → (n, 16, 16, channels): three upconvs, two batch norms, relu, tanh. */
Node *net_generator(Net *net, Node *z, int64_t width, int64_t channels);
/* x (n, 16, 16, channels) → (n): three convs, with batch norm after the second on request. */
Node *net_discriminator(Net *net, Node *x, int64_t width, NetActivation activation, bool batch_norm);

/* Fills a state's parameters with numbers that keep activations of order one. */
void net_fill(State *state, uint64_t seed);

#endif
