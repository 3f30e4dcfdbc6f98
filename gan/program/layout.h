/* A layout names everything that a member owns, and says where it lies in the member's state: one flat
 * allocation, in the layout's order. Tensors of one group and kind lie together in a block, so that an
 * optimizer, a copy by parts or an average is one pass over one array. Every tensor starts at a multiple of
 * REAL_LANES numbers; the gaps hold zeros. */
#ifndef BROOD_PROGRAM_LAYOUT_H
#define BROOD_PROGRAM_LAYOUT_H

#include "base/real.h"
#include "gan/graph/graph.h"

typedef enum {
    LAYOUT_PARAMETER, /* what the optimizer changes */
    LAYOUT_VARIABLE,  /* what assignments change: running statistics, power iteration vectors */
    LAYOUT_MOMENT1,   /* the optimizer's, shaped like the parameters */
    LAYOUT_MOMENT2,
    LAYOUT_AVERAGE_PARAMETER, /* moving averages */
    LAYOUT_AVERAGE_VARIABLE,
    LAYOUT_KINDS
} LayoutKind;

const char *layout_kind_text(LayoutKind kind); /* "parameter", "variable", "moment1", ... */

typedef struct {
    const char *group, *name;
    LayoutKind kind;
    Shape shape;
    size_t offset, count; /* in numbers, from the state's start */
} LayoutEntry;

typedef struct Layout Layout;

Layout *layout_new(void);
void layout_free(Layout *layout);

/* Adds the parameters and variables of a graph that the layout does not have yet; those it has must agree in
 * group and shape. Several graphs may share one layout. */
Status layout_add_graph(Layout *layout, const Graph *graph, Error *error);
/* Adds, for each parameter (or variable, for LAYOUT_AVERAGE_VARIABLE) of the group, a tensor of `kind`. */
Status layout_add_kind(Layout *layout, const char *group, LayoutKind kind, Error *error);
/* Fixes the offsets; nothing can be added after. Programs and states are made from a finished layout. */
Status layout_finish(Layout *layout, Error *error);

size_t layout_count(const Layout *layout); /* entries */
const LayoutEntry *layout_entry(const Layout *layout, size_t index);
const LayoutEntry *layout_find(const Layout *layout, LayoutKind kind, const char *name); /* NULL: none */
size_t layout_numbers(const Layout *layout); /* a state's length */
/* Where the block of a group and kind starts, and its length in numbers (0: there is none). */
size_t layout_block(const Layout *layout, const char *group, LayoutKind kind, size_t *count);

/* A state: the numbers of one member. */
typedef struct {
    const Layout *layout; /* borrowed: outlives the state */
    real *data;           /* layout_numbers(layout) numbers, REAL_ALIGNMENT aligned */
} State;

Status state_new(State *state, const Layout *layout, Error *error); /* all zeros */
void state_free(State *state);
void state_copy(State *into, const State *from);                           /* same layout; one memcpy */
real *state_tensor(const State *state, LayoutKind kind, const char *name); /* NULL: no such tensor */
real *state_block(const State *state, const char *group, LayoutKind kind, size_t *count);

#endif
