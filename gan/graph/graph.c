/* The graph itself: nodes, names, the table of equal expressions, and the first error. */
#include "gan/graph/graph.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "gan/graph/node.h"

enum { BUCKETS = 4096, NAME_LIMIT = 200 };

struct Graph {
    Error error; /* status STATUS_OK: none */
    Node **nodes;
    size_t count, room;
    char **texts; /* names and sources, each kept once */
    size_t text_count, text_room;
    const char *line, *layer; /* of the nodes to come */
    int64_t random_leaves;
    bool simplifies;
    Node *buckets[BUCKETS];
};

Graph *graph_new(void) {
    return memory_new(1, sizeof(Graph));
}

void graph_free(Graph *graph) {
    if (!graph) return;
    for (size_t i = 0; i < graph->count; i++) memory_free(graph->nodes[i]);
    for (size_t i = 0; i < graph->text_count; i++) memory_free(graph->texts[i]);
    memory_free(graph->nodes);
    memory_free(graph->texts);
    memory_free(graph);
}

/* ---- errors -------------------------------------------------------------------------------------------- */

const Error *graph_error(const Graph *graph) {
    return graph->error.status == STATUS_OK ? NULL : &graph->error;
}

void graph_clear_error(Graph *graph) {
    graph->error.status = STATUS_OK;
}

Node *graph_fail(Graph *graph, const char *format, ...) {
    if (graph_error(graph)) return NULL;
    va_list arguments;
    va_start(arguments, format);
    char text[sizeof graph->error.message];
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&graph->error, STATUS_INVALID, "%s", text);
    return NULL;
}

Node *graph_no_memory(Graph *graph) {
    if (!graph_error(graph)) error_no_memory(&graph->error, "the graph");
    return NULL;
}

bool node_all(Graph *graph, Node *a, Node *b) {
    if (!a || !b) return graph_fail(graph, "an argument is missing") != NULL;
    if (a->graph != graph || b->graph != graph)
        return graph_fail(graph, "a tensor of another graph was given: tensors of one graph only") != NULL;
    return true;
}

/* ---- texts --------------------------------------------------------------------------------------------- */

/* The graph's own copy of a text; sources repeat for many nodes, so the latest copies are looked at first. */
static const char *keep_text(Graph *graph, const char *text) {
    for (size_t i = graph->text_count; i-- > 0 && i + 32 > graph->text_count;)
        if (strcmp(graph->texts[i], text) == 0) return graph->texts[i];
    char *copy = memory_string(text);
    if (!copy || !memory_grow((void **)&graph->texts, graph->text_count, &graph->text_room, sizeof(char *))) {
        memory_free(copy);
        graph_no_memory(graph);
        return NULL;
    }
    graph->texts[graph->text_count++] = copy;
    return copy;
}

void graph_set_source(Graph *graph, const char *line, const char *layer) {
    graph->line = line ? keep_text(graph, line) : NULL;
    graph->layer = layer ? keep_text(graph, layer) : NULL;
}

void graph_borrow_source(Graph *graph, const char *line, const char *layer) {
    graph->line = line;
    graph->layer = layer;
}

Source graph_source(const Graph *graph) {
    return (Source){graph->line, graph->layer};
}

void graph_simplify(Graph *graph) {
    graph->simplifies = true;
}

bool graph_simplifies(const Graph *graph) {
    return graph->simplifies;
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

static size_t bucket_of(Op op, const Shape *shape, const Node *a, const Node *b, const NodeDetail *detail) {
    uint64_t hash = 1469598103934665603u ^ (uint64_t)op;
    const uint64_t prime = 1099511628211u;
    hash = (hash ^ (uint64_t)(a ? a->id + 1 : 0)) * prime;
    hash = (hash ^ (uint64_t)(b ? b->id + 1 : 0)) * prime;
    for (int axis = 0; axis < shape->rank; axis++) hash = (hash ^ (uint64_t)shape->size[axis]) * prime;
    const unsigned char *bytes = (const unsigned char *)detail;
    for (size_t i = 0; i < sizeof *detail; i++) hash = (hash ^ bytes[i]) * prime;
    return (size_t)((hash >> 20) % BUCKETS);
}

Node *node_make(Graph *graph, Op op, Shape shape, Node *a, Node *b, const NodeDetail *detail) {
    static const NodeDetail NOTHING;
    if (!detail) detail = &NOTHING;
    if (graph_error(graph)) return NULL;
    Error error;
    if (shape_check(&shape, &error) != STATUS_OK)
        return graph_fail(graph, "%s: %s", op_text(op), error.message);
    size_t bucket = bucket_of(op, &shape, a, b, detail);
    for (Node *node = graph->buckets[bucket]; node; node = node->next_equal)
        if (node->op == op && node->args[0] == a && node->args[1] == b && shape_equal(node->shape, shape) &&
            memcmp(&node->detail, detail, sizeof *detail) == 0 && !node->name)
            return node;
    Node *node = memory_new(1, sizeof *node);
    if (!node || !memory_grow((void **)&graph->nodes, graph->count, &graph->room, sizeof(Node *))) {
        memory_free(node);
        return graph_no_memory(graph);
    }
    node->op = op;
    node->id = (int)graph->count;
    node->graph = graph;
    node->shape = shape;
    node->args[0] = a;
    node->args[1] = b;
    memcpy(&node->detail, detail, sizeof *detail);
    node->line = graph->line;
    node->layer = graph->layer;
    node->next_equal = graph->buckets[bucket];
    graph->buckets[bucket] = node;
    graph->nodes[graph->count++] = node;
    return node;
}

int graph_node_count(const Graph *graph) {
    return (int)graph->count;
}

Node *graph_node(const Graph *graph, int id) {
    return graph->nodes[id];
}

/* ---- leaves -------------------------------------------------------------------------------------------- */

static const char *leaf_kind(Op op) {
    return op == OP_INPUT ? "input" : op == OP_PARAMETER ? "parameter" : "variable";
}

/* Inputs have names of their own; parameters and variables share theirs, since they live in one state. */
static Node *find_leaf(Graph *graph, Op op, const char *name) {
    for (size_t i = 0; i < graph->count; i++) {
        Node *node = graph->nodes[i];
        if (node->name && (node->op == OP_INPUT) == (op == OP_INPUT) && strcmp(node->name, name) == 0)
            return node;
    }
    return NULL;
}

static Node *leaf(Graph *graph, Op op, const char *group, const char *name, Shape shape) {
    if (graph_error(graph)) return NULL;
    if (!name || !*name || strlen(name) > NAME_LIMIT || (group && strlen(group) > NAME_LIMIT))
        return graph_fail(graph, "the name of %s %s must have 1 to %d characters",
                          op == OP_INPUT ? "an" : "a", leaf_kind(op), NAME_LIMIT);
    Node *same = find_leaf(graph, op, name);
    if (same) {
        char old[SHAPE_TEXT], new[SHAPE_TEXT];
        if (same->op == op && shape_equal(same->shape, shape) && (!group || strcmp(same->group, group) == 0))
            return same;
        return graph_fail(graph, "%s '%s' of shape %s%s%s: the name is taken by %s '%s' of shape %s%s%s",
                          leaf_kind(op), name, shape_text(shape, new), group && *group ? " in group " : "",
                          group ? group : "", leaf_kind(same->op), name, shape_text(same->shape, old),
                          same->group && *same->group ? " in group " : "", same->group ? same->group : "");
    }
    const char *kept_name = keep_text(graph, name), *kept_group = group ? keep_text(graph, group) : NULL;
    if (!kept_name || (group && !kept_group)) return NULL;
    /* A leaf must not be taken for an equal expression: its place in the order of leaves tells it apart. */
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.number = (double)graph->count;
    Node *node = node_make(graph, op, shape, NULL, NULL, &detail);
    if (!node) return NULL;
    node->name = kept_name;
    node->group = kept_group;
    return node;
}

Node *graph_input(Graph *graph, const char *name, Shape shape) {
    return leaf(graph, OP_INPUT, NULL, name, shape);
}

Node *graph_parameter(Graph *graph, const char *group, const char *name, Shape shape) {
    return leaf(graph, OP_PARAMETER, group ? group : "", name, shape);
}

Node *graph_variable(Graph *graph, const char *group, const char *name, Shape shape) {
    return leaf(graph, OP_VARIABLE, group ? group : "", name, shape);
}

Node *graph_constant(Graph *graph, double value) {
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.number = value;
    return node_make(graph, OP_CONSTANT, shape_scalar(), NULL, NULL, &detail);
}

static Node *random_leaf(Graph *graph, Op op, Shape shape) {
    NodeDetail detail;
    memset(&detail, 0, sizeof detail);
    detail.index[0] = graph->random_leaves++;
    return node_make(graph, op, shape, NULL, NULL, &detail);
}

Node *graph_normal(Graph *graph, Shape shape) {
    return random_leaf(graph, OP_NORMAL, shape);
}

Node *graph_uniform(Graph *graph, Shape shape) {
    return random_leaf(graph, OP_UNIFORM, shape);
}

/* Ops with formulas to simplify go through their constructors again. */
Node *node_rebuild(Graph *graph, const Node *node, Node *a, Node *b) {
    switch (node->op) {
    case OP_INPUT:
    case OP_PARAMETER:
    case OP_VARIABLE: return leaf(graph, node->op, node->group, node->name, node->shape);
    case OP_ADD: return graph_add(graph, a, b);
    case OP_MUL: return graph_mul(graph, a, b);
    case OP_SUM: return graph_sum(graph, a, node->detail.axes);
    case OP_EXPAND: return graph_expand(graph, a, node->shape);
    case OP_RESHAPE: return graph_reshape(graph, a, node->shape);
    default: return node_make(graph, node->op, node->shape, a, b, &node->detail);
    }
}

/* ---- looking ------------------------------------------------------------------------------------------- */

bool node_constant(const Node *node, double *value) {
    while (node->op == OP_EXPAND || node->op == OP_RESHAPE) node = node->args[0];
    if (node->op != OP_CONSTANT) return false;
    *value = node->detail.number;
    return true;
}

Shape node_shape(const Node *node) {
    return node->shape;
}

Op node_op(const Node *node) {
    return node->op;
}

const char *node_name(const Node *node) {
    return node->name;
}

const char *node_line(const Node *node) {
    return node->line;
}

const char *node_layer(const Node *node) {
    return node->layer;
}

/* Writes behind what `text` holds already. */
static void append(char text[NODE_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(char text[NODE_TEXT], const char *format, ...) {
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, NODE_TEXT - used, format, arguments);
    va_end(arguments);
}

/* What is 0 is left out: an op that does not use a field has 0 there. */
static void append_detail(char text[NODE_TEXT], const NodeDetail *detail) {
    if (detail->number != 0) append(text, ", number %.17g", detail->number);
    int used = SHAPE_AXES;
    while (used > 0 && detail->index[used - 1] == 0) used--;
    for (int i = 0; i < used; i++) append(text, "%s %" PRId64, i == 0 ? ", index" : "", detail->index[i]);
    if (detail->conv.stride) append(text, ", stride %" PRId64, detail->conv.stride);
    if (detail->conv.pad) append(text, ", pad %" PRId64, detail->conv.pad);
    if (detail->axes) append(text, ", axes %#x", detail->axes);
    if (detail->transpose_a) append(text, ", a transposed");
    if (detail->transpose_b) append(text, ", b transposed");
}

const char *node_text(const Node *node, char text[NODE_TEXT]) {
    char shape[SHAPE_TEXT];
    snprintf(text, NODE_TEXT, "%d %s %s", node->id, op_text(node->op), shape_text(node->shape, shape));
    for (int i = 0; i < op_arity(node->op); i++)
        append(text, "%s %d", i == 0 ? " of" : "", node->args[i]->id);
    if (node->name)
        append(text, " '%s'", node->name); /* and the details only tell leaves apart */
    else
        append_detail(text, &node->detail);
    return text;
}
