/* Inside a program. Compilation goes through five files, in this order:
 *
 *     simplify.c   what is wanted is rebuilt in a graph that simplifies
 *     schedule.c   which nodes are computed, which of them are stored, and which kernel computes each
 *     emit.c       the elementwise nodes of a kernel become the instructions of one loop
 *     plan.c       every stored value gets its place in the arena, for as long as it is needed
 *     run.c        runs the kernels
 *
 * A stored value that is not a leaf is called a root. Elementwise nodes between roots are computed wherever
 * they are needed, tile by tile, and never stored; broadcasts are never stored unless something else than an
 * elementwise node reads them. */
#ifndef BROOD_PROGRAM_INTERNAL_H
#define BROOD_PROGRAM_INTERNAL_H

#include "gan/graph/node.h"
#include "gan/kernels/loop.h"
#include "gan/kernels/move.h"
#include "gan/program/program.h"

enum {
    LOOP_TILE = 1024,  /* numbers that an instruction handles at a time: a dozen tiles fit in the L1 cache */
    BODY_LIMIT = 40,   /* nodes computed on the way to an argument of a root */
    SHARED_LIMIT = 12, /* the same for a node that several roots need: beyond it, storing is cheaper */
    GROUP_LIMIT = 64,  /* nodes in a loop of several roots */
    /* A root's two arguments can each take BODY_LIMIT nodes, which with it read one value more than they are;
       and a result may be copied. */
    LOOP_REGISTERS = 4 * BODY_LIMIT + 4
};

/* ---- places -------------------------------------------------------------------------------------------- */

typedef enum { PLACE_NONE, PLACE_ARENA, PLACE_STATE } PlaceKind;
typedef struct {
    PlaceKind kind;
    size_t offset; /* in numbers */
} Place;

/* ---- loops --------------------------------------------------------------------------------------------- */

/* How a smaller tensor lies along the elements of a loop: element i of the loop belongs to element
 * Σ index[axis]·stride[axis] of the tensor. Neighbouring axes are joined where they can be. */
typedef struct {
    int rank;
    int64_t size[SHAPE_AXES], stride[SHAPE_AXES];
} Access;

typedef enum {
    SPREAD_FULL,     /* the same elements: read and written in place */
    SPREAD_PERIODIC, /* element i belongs to i mod period (1: a scalar), and tiles are whole periods */
    SPREAD_RUNS      /* anything else, walked stretch by stretch */
} SpreadKind;

typedef struct {
    const Node *node; /* while compiling */
    Place place;
    SpreadKind kind;
    size_t period;
    Access access;
    int reg;        /* the register that holds its tile, or whose tiles are summed into it */
    size_t sum;     /* of a sum: where its accumulator lies in the loop's scratch */
    size_t numbers; /* of the smaller tensor */
} Spread;

typedef struct {
    LoopOp op;
    int y, a, b, c; /* registers; −1: unused */
    real s, t;
} Instruction;

/* Registers are pointers: to a tile in the scratch (first), or into memory at the tile's first element. */
typedef struct {
    size_t count, tile; /* elements of the loop, and of a tile */
    Instruction *instructions;
    size_t instruction_count;
    Spread *inputs, *stores, *sums;
    size_t input_count, store_count, sum_count;
    int tile_registers; /* registers 0 .. tile_registers − 1 are tiles */
    int registers;
    size_t scratch; /* numbers */
} Loop;

/* From one tile in the scratch to the next, in numbers. The odd cache lines between them keep equal positions
 * of different tiles out of one set of the L1 cache. */
static inline size_t loop_stride(const Loop *loop) {
    return (loop->tile + REAL_LANES - 1) / REAL_LANES * REAL_LANES + 3 * REAL_LANES;
}

/* ---- kernels ------------------------------------------------------------------------------------------- */

typedef struct {
    Op op; /* OP_COUNT: a loop */
    Loop *loop;
    Shape y_shape, a_shape, b_shape;
    NodeDetail detail;
    Place y, a, b;
    size_t scratch; /* numbers */
    char *origin;   /* of debugging programs: "log, layer generator.3, at script.lua:17" */
} Kernel;

typedef struct {
    Place from, to;
    size_t count;
} Copy;

typedef struct {
    char *name;
    Shape shape;
    Place place;
} Port; /* an input or an output */

typedef struct {
    char *group;
    size_t offset, count; /* in the arena */
} GradientBlock;

typedef struct {
    size_t offset, count;
} Range;

struct Program {
    const Layout *layout;
    bool debug;
    Kernel *kernels;
    size_t kernel_count, early_count; /* the first early_count are program_begin's */
    Copy *copies; /* after the kernels: first into outputs and gradients, then the assignments */
    size_t copy_count;
    Port *inputs, *outputs;
    size_t input_count, output_count;
    GradientBlock *blocks;
    size_t block_count;
    Range *gaps; /* of gradient blocks: zeroed before a run */
    size_t gap_count;
    size_t arena;   /* numbers */
    size_t scratch; /* offset in the arena, of what all kernels share */
    ProgramStats stats;
};

struct Workspace {
    real *arena;
    size_t numbers;
    bool profile;
    double seconds[PROFILE_KINDS];
};

/* ---- the schedule: what compilation knows of each node ------------------------------------------------- */

typedef struct {
    bool needed;
    bool early;    /* program_begin computes it */
    bool root;     /* computed and visible outside of its expression */
    bool internal; /* a root that only its own kernel reads: not stored */
    int uses;
    int kernel;  /* of roots; −1: a leaf, or not yet */
    Place place; /* of leaves and stored roots */
    size_t mark; /* of the last walk that came by */
} NodeInfo;

typedef struct {
    bool loop;
    int64_t count; /* of a loop: elements */
    int *needs;    /* of a loop: the kernels whose results it reads */
    size_t need_count, need_room;
    Node **roots; /* the roots that it computes, in order */
    size_t root_count, root_room;
    const Node **values; /* of a loop: what it computes, and what it reads as it lies */
    size_t value_count, value_room;
    size_t body; /* of a loop: nodes, roughly */
} Group;

typedef struct {
    const Graph *graph;
    const Layout *layout;
    const ProgramSpec *spec;
    NodeInfo *info; /* by node id */
    Group *groups;  /* one a kernel, in the order of running */
    size_t group_count, group_room;
    size_t early_count; /* groups of program_begin */
    size_t walks;
    Error *error;
} Schedule;

/* Rebuilds what the spec wants in a graph of its own, `simple`, to be freed by the caller even after a
 * failure; `spec` comes to want the nodes there, in lists that `lists` holds, to be freed as well. */
Status simplify_graph(const Graph *graph, ProgramSpec *spec, Graph **simple, void **lists, Error *error);

/* The node whose numbers these are: reshape and detach only rename. */
const Node *schedule_base(const Node *node);
bool schedule_elementwise(Op op); /* including constants and broadcasts */
bool schedule_leaf(Op op);        /* input, parameter, variable */

Status schedule_build(Schedule *schedule);
void schedule_free(Schedule *schedule);

/* Calls `visit` for each stored value that the expression of a root reads (once each), telling whether it is
 * read as it lies or through a broadcast. Returns the number of nodes in the expression. */
typedef void ScheduleVisit(void *context, const Node *value, bool spread);
size_t schedule_walk(Schedule *schedule, const Node *root, ScheduleVisit *visit, void *context);

/* The instructions of a group; places are filled in by the planner. */
Loop *emit_loop(Schedule *schedule, const Group *group);
void loop_free(Loop *loop);

/* Fills the program's places, arena and copies. */
Status plan_program(Schedule *schedule, Program *program);

/* Runs one kernel on an arena and a state. */
Status kernel_run(const Kernel *kernel, real *arena, real *state, real *scratch, uint64_t key,
                  uint64_t counter, Error *error);
ProfileKind kernel_profile(const Kernel *kernel);

#endif
