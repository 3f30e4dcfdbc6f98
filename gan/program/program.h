/* A program is a graph compiled for running: an ordered list of kernels and a plan of one arena. It is made
 * once, never changes, and is shared by all threads; what changes lies in the state (a member's numbers) and
 * in the workspace (a thread's arena). Names bind it to a layout, so that one state serves many programs. */
#ifndef BROOD_PROGRAM_PROGRAM_H
#define BROOD_PROGRAM_PROGRAM_H

#include "gan/program/layout.h"

typedef struct {
    const char *name; /* of an output */
    Node *node;
} ProgramOutput;

typedef struct {
    Node *variable; /* OP_VARIABLE */
    Node *value;    /* of its shape; written after everything else has been computed */
} ProgramAssignment;

typedef struct {
    Node *parameter; /* OP_PARAMETER */
    Node *gradient;  /* of its shape; lands in the workspace at the parameter's place in its group's block */
} ProgramGradient;

typedef struct {
    const ProgramOutput *outputs;
    size_t output_count;
    const ProgramAssignment *assignments;
    size_t assignment_count;
    const ProgramGradient *gradients;
    size_t gradient_count;
    /* What program_begin computes; NULL: nothing. The rest is program_finish's, and may read parameters that
     * have changed since: so a generator's forward pass serves the discriminator's update and then its own.
     */
    Node *early;
    bool read_averages; /* parameters and variables are read from the averages of their group where it has
                           them */
    bool plain;         /* one kernel an op, no buffer used twice: the oracle of the planner and the fuser */
    bool literal;       /* fused and planned, but no formula simplified: the plain run's bits, but for sums */
    bool debug;         /* plain, and a run stops at the first op that produces a NaN or an infinity */
} ProgramSpec;

typedef struct Program Program;
typedef struct Workspace Workspace;

/* Compiles. `layout` is finished, and outlives the program; the graph need not. */
Program *program_new(const Graph *graph, const Layout *layout, const ProgramSpec *spec, Error *error);
void program_free(Program *program);

typedef struct {
    size_t nodes;       /* ops that run, leaves left out */
    size_t kernels;     /* kernels that they were fused into */
    size_t arena_bytes; /* workspace that one run needs */
    size_t state_bytes; /* the layout's state */
    size_t parameters;  /* numbers in the parameters that the program reads */
    double flops;       /* floating-point operations of a run: 2 per multiply-add of conv and matmul, 1 per
                           elementwise op */
} ProgramStats;
ProgramStats program_stats(const Program *program);

/* Inputs that the program reads (an input that no output needs is not among them), and outputs, by index. */
size_t program_inputs(const Program *program);
const char *program_input_name(const Program *program, size_t index);
Shape program_input_shape(const Program *program, size_t index);
int program_input_index(const Program *program, const char *name); /* -1: none such */
size_t program_outputs(const Program *program);
const char *program_output_name(const Program *program, size_t index);
Shape program_output_shape(const Program *program, size_t index);
int program_output_index(const Program *program, const char *name);

/* One arena per thread, as large as the largest program reserved in it. */
Workspace *workspace_new(void);
void workspace_free(Workspace *workspace);
Status workspace_reserve(Workspace *workspace, const Program *program, Error *error);
size_t workspace_bytes(const Workspace *workspace);

/* Where to write an input before a run, and read an output after it. Another program's run in the same
 * workspace overwrites both. */
real *workspace_input(Workspace *workspace, const Program *program, size_t index);
const real *workspace_output(const Workspace *workspace, const Program *program, size_t index);
/* A group's gradients, laid out as its parameter block in the state; NULL when the program makes none. */
real *workspace_gradients(Workspace *workspace, const Program *program, const char *group, size_t *count);

/* Runs once: reads inputs and state, fills outputs and gradients, then carries out the assignments. Random
 * leaves draw from stream `key` at `counter`. Allocates nothing. Fails only on a row number out of range in
 * gather or scatter, and, in a debugging program, on a number that is not finite: the message names op, layer
 * and script line. */
Status program_run(const Program *program, State *state, Workspace *workspace, uint64_t key, uint64_t counter,
                   Error *error);

/* The same in two parts, for programs with an early node. Outputs are whole after the second. */
Status program_begin(const Program *program, State *state, Workspace *workspace, uint64_t key,
                     uint64_t counter, Error *error);
Status program_finish(const Program *program, State *state, Workspace *workspace, uint64_t key,
                      uint64_t counter, Error *error);

/* Time spent by kind of kernel, for benchmarks: switched on per workspace, added up over runs. */
typedef enum {
    PROFILE_CONV,
    PROFILE_MATMUL,
    PROFILE_LOOP,
    PROFILE_MOVE,
    PROFILE_RANDOM,
    PROFILE_KINDS
} ProfileKind;
const char *profile_kind_text(ProfileKind kind);
void workspace_profile(Workspace *workspace, bool on);
double workspace_seconds(const Workspace *workspace, ProfileKind kind);

#endif
