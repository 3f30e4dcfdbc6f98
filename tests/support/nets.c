#include "tests/support/nets.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double EPSILON = 1e-5;

Net net_new(Graph *graph, const char *group) {
    return (Net){.graph = graph, .group = group};
}

static Node *parameter(Net *net, const char *name, const char *ending, Shape shape) {
    char text[64];
    snprintf(text, sizeof text, "%s.%s", name, ending);
    Node *node = graph_parameter(net->graph, net->group, text, shape);
    for (size_t i = 0; i < net->parameter_count; i++)
        if (net->parameters[i] == node) return node; /* the network is applied a second time */
    assert(net->parameter_count < NET_MOST);
    return net->parameters[net->parameter_count++] = node;
}

static int64_t last_size(Node *x) {
    Shape shape = node_shape(x);
    return shape.size[shape.rank - 1];
}

Node *net_linear(Net *net, const char *name, Node *x, int64_t out) {
    if (!x) return NULL;
    return graph_matmul(net->graph, x, parameter(net, name, "w", shape_of(last_size(x), out)), false, false);
}

Node *net_conv(Net *net, const char *name, Node *x, int64_t out, int64_t kernel, int64_t stride,
               int64_t pad) {
    if (!x) return NULL;
    Node *w = parameter(net, name, "w", shape_of(kernel, kernel, last_size(x), out));
    return graph_conv(net->graph, x, w, stride, pad);
}

Node *net_upconv(Net *net, const char *name, Node *x, int64_t out, int64_t kernel, int64_t stride,
                 int64_t pad) {
    if (!x) return NULL;
    Node *w = parameter(net, name, "w", shape_of(kernel, kernel, out, last_size(x)));
    return graph_conv_transpose(net->graph, x, w, stride, pad);
}

Node *net_channels(Graph *graph, Node *vector, Shape shape) {
    Shape ones = {.rank = shape.rank};
    for (int axis = 0; axis < shape.rank; axis++) ones.size[axis] = 1;
    ones.size[shape.rank - 1] = shape.size[shape.rank - 1];
    return graph_expand(graph, graph_reshape(graph, vector, ones), shape);
}

Node *net_bias(Net *net, const char *name, Node *x) {
    if (!x) return NULL;
    Node *bias = parameter(net, name, "b", shape_of(last_size(x)));
    return graph_add(net->graph, x, net_channels(net->graph, bias, node_shape(x)));
}

Node *net_batch_norm(Net *net, const char *name, Node *x) {
    if (!x) return NULL;
    Graph *g = net->graph;
    Shape shape = node_shape(x), channels = shape_of(last_size(x));
    unsigned axes = (1u << (shape.rank - 1)) - 1;
    Node *mean = graph_mean(g, x, axes);
    Node *centered = graph_sub(g, x, graph_expand(g, mean, shape));
    Node *variance = graph_mean(g, graph_square(g, centered), axes);
    Node *inverse = graph_pow(g, graph_offset(g, variance, EPSILON), -0.5);
    Node *normal = graph_mul(g, centered, graph_expand(g, inverse, shape));
    Node *scale = parameter(net, name, "s", channels);
    assert(net->moment_count + 2 <= NET_MOST);
    net->moments[net->moment_count++] = graph_reshape(g, mean, channels);
    net->moments[net->moment_count++] = graph_reshape(g, variance, channels);
    return net_bias(net, name, graph_mul(g, normal, net_channels(g, scale, shape)));
}

Node *net_generator(Net *net, Node *z, int64_t width, int64_t channels) {
    if (!z) return NULL;
    Graph *g = net->graph;
    Node *x = graph_reshape(g, z, shape_of(node_shape(z).size[0], 1, 1, NET_LATENT));
    x = graph_relu(g, net_batch_norm(net, "G.1.norm", net_upconv(net, "G.1", x, 2 * width, 4, 1, 0)));
    x = graph_relu(g, net_batch_norm(net, "G.2.norm", net_upconv(net, "G.2", x, width, 4, 2, 1)));
    return graph_tanh(g, net_upconv(net, "G.3", x, channels, 4, 2, 1));
}

static Node *activate(Graph *graph, NetActivation activation, Node *x) {
    switch (activation) {
    case NET_SOFTPLUS: return graph_softplus(graph, x);
    case NET_TANH: return graph_tanh(graph, x);
    default: return graph_leaky_relu(graph, x, 0.2);
    }
}

Node *net_discriminator(Net *net, Node *x, int64_t width, NetActivation activation, bool batch_norm) {
    if (!x) return NULL;
    Graph *g = net->graph;
    int64_t batch = node_shape(x).size[0];
    x = activate(g, activation, net_bias(net, "D.1", net_conv(net, "D.1", x, width, 4, 2, 1)));
    x = net_conv(net, "D.2", x, 2 * width, 4, 2, 1);
    x = activate(g, activation, batch_norm ? net_batch_norm(net, "D.2.norm", x) : net_bias(net, "D.2", x));
    x = net_bias(net, "D.3", net_conv(net, "D.3", x, 1, 4, 1, 0));
    return x ? graph_reshape(g, x, shape_of(batch)) : NULL;
}

void net_fill(State *state, uint64_t seed) {
    Draw draw = draw_from(seed);
    for (size_t i = 0; i < layout_count(state->layout); i++) {
        const LayoutEntry *entry = layout_entry(state->layout, i);
        if (entry->kind != LAYOUT_PARAMETER) continue;
        const char *ending = strrchr(entry->name, '.');
        bool weights = ending && strcmp(ending, ".w") == 0, scale = ending && strcmp(ending, ".s") == 0;
        int64_t last = entry->shape.rank ? entry->shape.size[entry->shape.rank - 1] : 1;
        double reach = weights ? sqrt(3.0 * (double)last / (double)entry->count) : 0.3;
        for (size_t n = 0; n < entry->count; n++)
            state->data[entry->offset + n] = (real)(scale + draw_uniform(&draw, -reach, reach));
    }
}
