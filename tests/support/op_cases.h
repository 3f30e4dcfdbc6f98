/* The table of op cases: how to draw shapes and attributes, how the engine builds it, what a plain reference
 * makes of it. The tests of values, adjoints and gradients walk this one table. */
#ifndef BROOD_TESTS_OP_CASES_H
#define BROOD_TESTS_OP_CASES_H

#include "gan/graph/graph.h"
#include "tests/support/draw.h"
#include "tests/support/reference.h"

/* What numbers an argument gets. The grids keep clear of kinks: at halves, and between them. */
typedef enum {
    DOMAIN_ANY,
    DOMAIN_POSITIVE,
    DOMAIN_NONZERO,
    DOMAIN_GRID,
    DOMAIN_OFF_GRID,
    DOMAIN_INDEX
} Domain;

enum { OP_ARGUMENTS = 2 };

/* One drawn instance of a case. */
typedef struct {
    Shape shape[OP_ARGUMENTS];
    Shape target;                                /* reshape, expand */
    double number;                               /* an exponent, a factor, a slope ... */
    int64_t stride, pad;                         /* convolutions */
    int64_t factor, rows;                        /* resampling; gather and scatter */
    int order[SHAPE_AXES];                       /* permute */
    int64_t first[SHAPE_AXES], last[SHAPE_AXES]; /* slice: first and count; pad: before and after */
    unsigned axes;                               /* reductions */
    int axis;                                    /* concat */
    bool transpose_a, transpose_b;               /* matmul */
} OpInstance;

typedef struct OpCase OpCase;
struct OpCase {
    const char *name;
    Op op;     /* that the node must be, for some instance at least; OP_COUNT: sugar, any */
    int arity; /* arguments that the case hands over */
    Domain domain[OP_ARGUMENTS];
    unsigned linear[2]; /* sets of arguments (bits) in which it is jointly linear, the others held */
    int orders;         /* of gradients that are tested: 3 where the third is not zero */
    /* `most`: the largest size of an axis. */
    void (*draw)(Draw *draw, int64_t most, OpInstance *instance);
    Node *(*build)(const OpCase *self, Graph *graph, Node *const *args, const OpInstance *instance);
    void (*reference)(const OpCase *self, Tensor *y, const Tensor *args, const OpInstance *instance);
    /* Elementwise cases: the constructor and its reference. */
    Node *(*unary)(Graph *graph, Node *a);
    double (*number1)(double a);
    Node *(*binary)(Graph *graph, Node *a, Node *b);
    double (*number2)(double a, double b);
};

extern const OpCase OP_CASES[];
extern const size_t OP_CASE_COUNT;

OpInstance op_case_draw(const OpCase *op, Draw *draw, int64_t most);
/* Fills args[i] with numbers of its domain. */
void op_case_fill(const OpCase *op, const OpInstance *instance, Draw *draw, Tensor *args);
Node *op_case_build(const OpCase *op, const OpInstance *instance, Graph *graph, Node *const *args);
void op_case_reference(const OpCase *op, const OpInstance *instance, Tensor *y, const Tensor *args);

#endif
