/* Layouts and states: names, places, and one flat allocation. */
#include "gan/program/layout.h"

#include <string.h>

#include "base/memory.h"
#include "gan/graph/node.h"

typedef struct {
    const char *group; /* borrowed from an entry */
    size_t offset[LAYOUT_KINDS], count[LAYOUT_KINDS];
} Block;

struct Layout {
    LayoutEntry *entries;
    size_t count, room;
    Block *blocks; /* one per group, in order of appearance */
    size_t block_count, block_room;
    size_t numbers;
    bool finished;
};

const char *layout_kind_text(LayoutKind kind) {
    static const char *const TEXT[LAYOUT_KINDS] = {"parameter", "variable",          "moment1",
                                                   "moment2",   "average_parameter", "average_variable"};
    return TEXT[kind];
}

Layout *layout_new(void) {
    return memory_new(1, sizeof(Layout));
}

void layout_free(Layout *layout) {
    if (!layout) return;
    for (size_t i = 0; i < layout->count; i++) {
        memory_free((char *)layout->entries[i].group);
        memory_free((char *)layout->entries[i].name);
    }
    memory_free(layout->entries);
    memory_free(layout->blocks);
    memory_free(layout);
}

static Block *find_block(const Layout *layout, const char *group) {
    for (size_t i = 0; i < layout->block_count; i++)
        if (strcmp(layout->blocks[i].group, group) == 0) return &layout->blocks[i];
    return NULL;
}

static Status add(Layout *layout, const char *group, const char *name, LayoutKind kind, Shape shape,
                  Error *error) {
    if (layout->finished)
        return error_set(error, STATUS_INVALID, "the layout is finished: %s '%s' comes too late",
                         layout_kind_text(kind), name);
    char *own_group = memory_string(group), *own_name = memory_string(name);
    bool new_block = !find_block(layout, group);
    if (!own_group || !own_name ||
        !memory_grow((void **)&layout->entries, layout->count, &layout->room, sizeof(LayoutEntry)) ||
        (new_block &&
         !memory_grow((void **)&layout->blocks, layout->block_count, &layout->block_room, sizeof(Block)))) {
        memory_free(own_group);
        memory_free(own_name);
        return error_no_memory(error, "the layout");
    }
    layout->entries[layout->count++] = (LayoutEntry){.group = own_group,
                                                     .name = own_name,
                                                     .kind = kind,
                                                     .shape = shape,
                                                     .count = (size_t)shape_count(shape)};
    if (new_block) layout->blocks[layout->block_count++] = (Block){.group = own_group};
    return STATUS_OK;
}

/* Parameters and variables share one space of names. */
static const LayoutEntry *find_either(const Layout *layout, const char *name) {
    const LayoutEntry *entry = layout_find(layout, LAYOUT_PARAMETER, name);
    return entry ? entry : layout_find(layout, LAYOUT_VARIABLE, name);
}

Status layout_add_graph(Layout *layout, const Graph *graph, Error *error) {
    for (int id = 0; id < graph_node_count(graph); id++) {
        const Node *node = graph_node(graph, id);
        if (node->op != OP_PARAMETER && node->op != OP_VARIABLE) continue;
        LayoutKind kind = node->op == OP_PARAMETER ? LAYOUT_PARAMETER : LAYOUT_VARIABLE;
        const LayoutEntry *entry = find_either(layout, node->name);
        char here[SHAPE_TEXT], there[SHAPE_TEXT];
        if (entry && (entry->kind != kind || !shape_equal(entry->shape, node->shape) ||
                      strcmp(entry->group, node->group)))
            return error_set(
                error, STATUS_INVALID,
                "%s '%s' of shape %s in group '%s' is a %s of shape %s in group '%s' elsewhere in this state",
                layout_kind_text(kind), node->name, shape_text(node->shape, here), node->group,
                layout_kind_text(entry->kind), shape_text(entry->shape, there), entry->group);
        if (entry) continue;
        Status status = add(layout, node->group, node->name, kind, node->shape, error);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

Status layout_add_kind(Layout *layout, const char *group, LayoutKind kind, Error *error) {
    LayoutKind like = kind == LAYOUT_AVERAGE_VARIABLE ? LAYOUT_VARIABLE : LAYOUT_PARAMETER;
    size_t count = layout->count; /* the array grows below */
    for (size_t i = 0; i < count; i++) {
        LayoutEntry entry = layout->entries[i];
        if (entry.kind != like || strcmp(entry.group, group) != 0 || layout_find(layout, kind, entry.name))
            continue;
        Status status = add(layout, entry.group, entry.name, kind, entry.shape, error);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

static size_t round_up(size_t count) {
    return (count + REAL_LANES - 1) / REAL_LANES * REAL_LANES;
}

Status layout_finish(Layout *layout, Error *error) {
    size_t offset = 0;
    for (size_t b = 0; b < layout->block_count; b++) {
        Block *block = &layout->blocks[b];
        for (int kind = 0; kind < LAYOUT_KINDS; kind++) {
            block->offset[kind] = offset;
            for (size_t i = 0; i < layout->count; i++) {
                LayoutEntry *entry = &layout->entries[i];
                if ((int)entry->kind != kind || strcmp(entry->group, block->group) != 0) continue;
                entry->offset = offset;
                if (offset > (size_t)SHAPE_LIMIT)
                    return error_set(error, STATUS_INVALID, "the state is too large: over %zu numbers",
                                     offset);
                offset += round_up(entry->count);
            }
            block->count[kind] = offset - block->offset[kind];
        }
    }
    layout->numbers = offset;
    layout->finished = true;
    return STATUS_OK;
}

size_t layout_count(const Layout *layout) {
    return layout->count;
}

const LayoutEntry *layout_entry(const Layout *layout, size_t index) {
    return &layout->entries[index];
}

const LayoutEntry *layout_find(const Layout *layout, LayoutKind kind, const char *name) {
    for (size_t i = 0; i < layout->count; i++)
        if (layout->entries[i].kind == kind && strcmp(layout->entries[i].name, name) == 0)
            return &layout->entries[i];
    return NULL;
}

size_t layout_numbers(const Layout *layout) {
    return layout->numbers;
}

size_t layout_block(const Layout *layout, const char *group, LayoutKind kind, size_t *count) {
    const Block *block = find_block(layout, group);
    *count = block ? block->count[kind] : 0;
    return block ? block->offset[kind] : 0;
}

/* ---- states -------------------------------------------------------------------------------------------- */

Status state_new(State *state, const Layout *layout, Error *error) {
    state->layout = layout;
    state->data = memory_new(layout->numbers, sizeof(real));
    return state->data ? STATUS_OK : error_no_memory(error, "a state");
}

void state_free(State *state) {
    memory_free(state->data);
    state->data = NULL;
}

void state_copy(State *into, const State *from) {
    memcpy(into->data, from->data, from->layout->numbers * sizeof(real));
}

real *state_tensor(const State *state, LayoutKind kind, const char *name) {
    const LayoutEntry *entry = layout_find(state->layout, kind, name);
    return entry ? state->data + entry->offset : NULL;
}

real *state_block(const State *state, const char *group, LayoutKind kind, size_t *count) {
    size_t offset = layout_block(state->layout, group, kind, count);
    return *count ? state->data + offset : NULL;
}
