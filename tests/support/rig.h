/* A rig: one graph, what is wanted of it, and all that it takes to run it. Anything that goes wrong fails the
 * test with the engine's own message. */
#ifndef BROOD_TESTS_RIG_H
#define BROOD_TESTS_RIG_H

#include "gan/program/program.h"

enum { RIG_MOST = 32 };

typedef struct {
    Graph *graph;
    ProgramOutput outputs[RIG_MOST];
    ProgramAssignment assignments[RIG_MOST];
    ProgramGradient gradients[RIG_MOST];
    size_t output_count, assignment_count, gradient_count;
    Node *early;    /* NULL: none */
    Layout *layout; /* this rig's own, or NULL when it runs on a shared one */
    Program *program;
    State state; /* of the own layout */
    Workspace *workspace;
} Rig;

typedef enum { RIG_FUSED, RIG_PLAIN, RIG_LITERAL, RIG_DEBUG, RIG_AVERAGES } RigMode;

void rig_open(Rig *rig); /* an empty graph */
void rig_close(Rig *rig);

void rig_want(Rig *rig, const char *name, Node *node);
void rig_assign(Rig *rig, Node *variable, Node *value);
/* Gradients of `loss` with respect to `count` parameters, as the program's gradients. */
void rig_descend(Rig *rig, Node *loss, Node *const *parameters, size_t count);

/* Compiles on a layout of the rig's own and makes a zeroed state; or on a shared layout, with no state. */
void rig_compile(Rig *rig, RigMode mode);
void rig_compile_on(Rig *rig, const Layout *layout, RigMode mode);

/* A finished layout of all the graphs' parameters and variables. */
Layout *rig_layout(Rig *const *rigs, size_t count);

/* An input that the program does not read is passed over. */
void rig_set(Rig *rig, const char *input, const double *values);
void rig_set_number(Rig *rig, const char *input, double value);
real *rig_tensor(Rig *rig, const char *name); /* a parameter or a variable in the rig's own state */
void rig_run(Rig *rig);                       /* on the rig's own state, key 1, counter 1 */
void rig_run_on(Rig *rig, State *state, uint64_t key, uint64_t counter);
const real *rig_get(const Rig *rig, const char *output);
size_t rig_count(const Rig *rig, const char *output); /* numbers in it */
double rig_number(const Rig *rig, const char *output);

/* A node that must have been made: fails with the graph's error when it is NULL. */
Node *rig_node(const Rig *rig, Node *node);

/* |got - expected| / |expected|, or |got - expected| where `expected` is as good as zero. */
double check_distance(const real *got, const double *expected, size_t count);
/* Fails with the place of the largest difference when that distance is not below `tolerance`. */
void check_near(const char *what, const real *got, const double *expected, size_t count, double tolerance);
/* One NaN is as good as another. */
void check_same_bits(const char *what, const real *got, const real *expected, size_t count);
/* Fails unless `text` holds `part`. */
void check_contains(const char *text, const char *part);

#endif
