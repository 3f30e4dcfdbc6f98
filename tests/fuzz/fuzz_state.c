/* Fuzzes the reader of safetensors files, and of state files. What it accepts is written and read again, and
 * must be the same; a state that cannot be loaded stays as it was. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "gan/state_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void must(int truth) {
    if (!truth) abort();
}

/* A file that lies in memory. */
enum { PATH = 64 };
static int open_in_memory(char path[PATH]) {
    int file = memfd_create("fuzz", 0);
    must(file >= 0);
    snprintf(path, PATH, "/proc/self/fd/%d", file);
    return file;
}

/* ---- any safetensors file ------------------------------------------------------------------------------ */

static int same(const Safetensors *a, const Safetensors *b) {
    if (a->tensor_count != b->tensor_count) return 0;
    for (size_t i = 0; i < a->tensor_count; i++) {
        const SafetensorsTensor *one = &a->tensors[i], *other = &b->tensors[i];
        if (strcmp(one->name, other->name) != 0 || one->type != other->type || one->offset != other->offset ||
            !shape_equal(one->shape, other->shape) ||
            memcmp(one->numbers, other->numbers, safetensors_bytes(one)) != 0)
            return 0;
    }
    return 1;
}

/* The facts of a file but for the one that is made anew. */
static size_t facts_of(const Safetensors *file, SafetensorsFact *facts) {
    size_t count = 0;
    for (size_t i = 0; i < file->fact_count; i++)
        if (strcmp(file->facts[i].name, SAFETENSORS_NUMBERS) != 0) facts[count++] = file->facts[i];
    return count;
}

static void write_and_read_again(const Safetensors *file) {
    char path[PATH];
    int copy = open_in_memory(path);
    SafetensorsFact *facts = calloc(file->fact_count + 1, sizeof *facts);
    must(facts != NULL);
    size_t count = facts_of(file, facts);
    SafetensorsDraft draft;
    must(!safetensors_draft(&draft, file->tensors, file->tensor_count, facts, count, NULL));
    for (size_t i = 0; i < draft.count; i++)
        must(write(copy, draft.pieces[i].bytes, draft.pieces[i].size) == (ssize_t)draft.pieces[i].size);
    Safetensors again;
    must(!safetensors_open(&again, path, NULL) && !safetensors_load(&again, NULL));
    must(same(file, &again) && again.fact_count == count + 1);
    for (size_t i = 0; i < count; i++)
        must(strcmp(safetensors_fact(&again, facts[i].name), facts[i].value) == 0);
    safetensors_close(&again);
    safetensors_draft_free(&draft);
    free(facts);
    close(copy);
}

static void read_tensors(const char *path) {
    Safetensors file;
    Error error;
    if (safetensors_open(&file, path, &error)) return;
    if (!safetensors_load(&file, &error)) write_and_read_again(&file);
    safetensors_close(&file);
}

/* ---- a state of this layout ---------------------------------------------------------------------------- */

static const Layout *layout_of_seeds(void) {
    static Layout *layout;
    if (layout) return layout;
    Graph *graph = graph_new();
    layout = layout_new();
    must(graph && layout && graph_parameter(graph, "G", "a", shape_of(2, 3)) &&
         graph_variable(graph, "D", "b", shape_of(5)) && !layout_add_graph(layout, graph, NULL) &&
         !layout_add_kind(layout, "G", LAYOUT_AVERAGE_PARAMETER, NULL) && !layout_finish(layout, NULL));
    graph_free(graph);
    return layout;
}

static void read_state(const char *path) {
    const Layout *layout = layout_of_seeds();
    size_t bytes = layout_numbers(layout) * sizeof(real);
    State state, before;
    Error error;
    must(!state_new(&state, layout, NULL) && !state_new(&before, layout, NULL));
    memset(state.data, 0x5a, bytes);
    state_copy(&before, &state);
    if (state_load(&state, path, &error)) must(memcmp(state.data, before.data, bytes) == 0);
    state_free(&state);
    state_free(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char path[PATH];
    int file = open_in_memory(path);
    must(write(file, bytes, size) == (ssize_t)size);
    read_tensors(path);
    read_state(path);
    close(file);
    return 0;
}
