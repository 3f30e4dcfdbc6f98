#include "gan/state_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static const char LAYOUT_FACT[] = "layout", AVERAGED_FACT[] = "averaged";

/* ---- a layout as a list of tensors --------------------------------------------------------------------- */

/* The tensors of a layout in the state's order, with the names that they have in a file. */
typedef struct {
    const LayoutEntry **entries; /* (count) */
    SafetensorsTensor *tensors;  /* (count) */
    size_t count;
    char *names; /* all of them, one after the other */
} Listing;

static void listing_free(Listing *listing) {
    memory_free(listing->entries);
    memory_free(listing->tensors);
    memory_free(listing->names);
}

static int compare_places(const void *a, const void *b) {
    const LayoutEntry *first = *(const LayoutEntry *const *)a, *second = *(const LayoutEntry *const *)b;
    return (first->offset > second->offset) - (first->offset < second->offset);
}

/* Without '/' in groups and kinds, different tensors have different names. */
static Status check_group(const LayoutEntry *entry, Error *error) {
    if (!strchr(entry->group, '/')) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "group '%s' of %s '%s' has a '/' in its name: it cannot be saved",
                     entry->group, layout_kind_text(entry->kind), entry->name);
}

static size_t name_room(const LayoutEntry *entry) {
    return strlen(entry->group) + strlen(layout_kind_text(entry->kind)) + strlen(entry->name) + sizeof "//";
}

static Status fill_listing(Listing *listing, const State *state, Error *error) {
    char *name = listing->names;
    for (size_t i = 0; i < listing->count; i++) {
        const LayoutEntry *entry = listing->entries[i];
        Status status = check_group(entry, error);
        if (status) return status;
        size_t room = name_room(entry);
        snprintf(name, room, "%s/%s/%s", entry->group, layout_kind_text(entry->kind), entry->name);
        listing->tensors[i] =
            (SafetensorsTensor){.name = name,
                                .type = SAFETENSORS_REAL,
                                .shape = entry->shape,
                                .numbers = state->data ? state->data + entry->offset : NULL};
        name += room;
    }
    return STATUS_OK;
}

/* A state without data gives a listing without numbers. */
static Status listing_new(Listing *listing, const State *state, Error *error) {
    *listing = (Listing){.count = layout_count(state->layout)};
    listing->entries = memory_new(listing->count, sizeof *listing->entries);
    listing->tensors = memory_new(listing->count, sizeof *listing->tensors);
    size_t room = 0;
    for (size_t i = 0; i < listing->count; i++) room += name_room(layout_entry(state->layout, i));
    listing->names = memory_new(room, 1);
    Status status = STATUS_OK;
    if (!listing->entries || !listing->tensors || !listing->names) {
        status = error_no_memory(error, "the names of a state's tensors");
    } else {
        for (size_t i = 0; i < listing->count; i++) listing->entries[i] = layout_entry(state->layout, i);
        qsort(listing->entries, listing->count, sizeof *listing->entries, compare_places);
        status = fill_listing(listing, state, error);
    }
    if (status) listing_free(listing);
    return status;
}

Status state_signature(const Layout *layout, char signature[FILE_HASH], Error *error) {
    Listing listing;
    Status status = listing_new(&listing, &(State){.layout = layout}, error);
    if (status) return status;
    status = safetensors_signature(listing.tensors, listing.count, signature, error);
    listing_free(&listing);
    return status;
}

/* ---- saving -------------------------------------------------------------------------------------------- */

/* The facts given come after the one of our own. */
static Status draft_with_facts(SafetensorsDraft *draft, const SafetensorsTensor *tensors, size_t tensor_count,
                               SafetensorsFact own, const SafetensorsFact *facts, size_t fact_count,
                               Error *error) {
    SafetensorsFact *all = memory_new(fact_count + 1, sizeof *all);
    if (!all) return error_no_memory(error, "a file's facts");
    all[0] = own;
    if (fact_count) memcpy(all + 1, facts, fact_count * sizeof *all);
    Status status = safetensors_draft(draft, tensors, tensor_count, all, fact_count + 1, error);
    memory_free(all);
    return status;
}

static Status draft_state(SafetensorsDraft *draft, const State *state, const SafetensorsFact *facts,
                          size_t fact_count, Error *error) {
    Listing listing;
    Status status = listing_new(&listing, state, error);
    if (status) return status;
    char signature[FILE_HASH];
    status = safetensors_signature(listing.tensors, listing.count, signature, error);
    if (!status)
        status = draft_with_facts(draft, listing.tensors, listing.count,
                                  (SafetensorsFact){LAYOUT_FACT, signature}, facts, fact_count, error);
    listing_free(&listing);
    return status;
}

Status state_hash(const State *state, char hash[FILE_HASH], Error *error) {
    SafetensorsDraft draft;
    Status status = draft_state(&draft, state, NULL, 0, error);
    if (status) return status;
    status = file_hash(draft.pieces, draft.count, hash, error);
    safetensors_draft_free(&draft);
    return status;
}

/* Whether a file is there that holds what its name says. */
static bool saved_before(const char *path, const char *hash, const SafetensorsDraft *draft) {
    size_t expected = 0, size;
    for (size_t i = 0; i < draft->count; i++) expected += draft->pieces[i].size;
    uint8_t *bytes;
    char found[FILE_HASH];
    if (file_load(path, expected, &bytes, &size, NULL) != STATUS_OK) return false;
    Status status = file_hash(&(FilePiece){.bytes = bytes, .size = size}, 1, found, NULL);
    memory_free(bytes);
    return status == STATUS_OK && strcmp(found, hash) == 0;
}

static Status save_draft(const SafetensorsDraft *draft, const char *directory, char name[STATE_NAME],
                         Error *error) {
    char hash[FILE_HASH], path[FILE_PATH_LIMIT];
    Status status = file_hash(draft->pieces, draft->count, hash, error);
    if (status) return status;
    snprintf(name, STATE_NAME, "%s" STATE_FILE_ENDING, hash);
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return error_set(error, STATUS_INVALID,
                         "a folder's path of %zu bytes is too long, %d are the most: %s", strlen(directory),
                         FILE_PATH_LIMIT - STATE_NAME - 1, directory);
    if (saved_before(path, hash, draft)) return file_sync_folder(path, error);
    return file_save(path, draft->pieces, draft->count, error);
}

Status state_save(const State *state, const char *directory, char name[STATE_NAME], Error *error) {
    SafetensorsDraft draft;
    Status status = draft_state(&draft, state, NULL, 0, error);
    if (status) return status;
    status = save_draft(&draft, directory, name, error);
    safetensors_draft_free(&draft);
    return status;
}

Status state_save_as(const State *state, const char *path, const SafetensorsFact *facts, size_t fact_count,
                     Error *error) {
    SafetensorsDraft draft;
    Status status = draft_state(&draft, state, facts, fact_count, error);
    if (status) return status;
    status = file_save(path, draft.pieces, draft.count, error);
    safetensors_draft_free(&draft);
    return status;
}

/* ---- telling layouts apart ----------------------------------------------------------------------------- */

static bool same_tensor(const SafetensorsTensor *a, const SafetensorsTensor *b) {
    return a->type == b->type && shape_equal(a->shape, b->shape) && strcmp(a->name, b->name) == 0;
}

static bool same_tensors(const Listing *here, const Safetensors *file) {
    bool same = here->count == file->tensor_count;
    for (size_t i = 0; same && i < here->count; i++) same = same_tensor(&here->tensors[i], &file->tensors[i]);
    return same;
}

/* A message that grows by lines, of which only the first few are kept of each sort. */
enum { LINES = 4, NAME_SHOWN = 90, LIST_ROOM = 880 };
typedef struct {
    char text[LIST_ROOM];
    size_t used, lines; /* lines of the sort at hand */
} Differences;

static void __attribute__((format(printf, 2, 3))) add_difference(Differences *list, const char *format, ...) {
    if (list->lines++ >= LINES || list->used >= LIST_ROOM) return;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(list->text + list->used, LIST_ROOM - list->used, format, arguments);
    va_end(arguments);
    if (length > 0) list->used += (size_t)length;
}

static void end_of_sort(Differences *list, const char *what) {
    size_t more = list->lines > LINES ? list->lines - LINES : 0;
    list->lines = 0;
    if (more) add_difference(list, "\n  and %zu more %s", more, what);
    list->lines = 0;
}

static void add_shape(Differences *list, const SafetensorsTensor *here, const SafetensorsTensor *there) {
    char own[SHAPE_TEXT], other[SHAPE_TEXT];
    if (shape_equal(here->shape, there->shape)) return;
    add_difference(list, "\n  %.*s: %s here, %s in the file", NAME_SHOWN, here->name,
                   shape_text(here->shape, own), shape_text(there->shape, other));
}

static bool listed(const Listing *here, const char *name) {
    for (size_t i = 0; i < here->count; i++)
        if (strcmp(here->tensors[i].name, name) == 0) return true;
    return false;
}

static void list_differences(Differences *list, const Listing *here, const Safetensors *file) {
    for (size_t i = 0; i < here->count; i++) {
        const SafetensorsTensor *there = safetensors_find(file, here->tensors[i].name);
        if (there) add_shape(list, &here->tensors[i], there);
    }
    end_of_sort(list, "of other shapes");
    for (size_t i = 0; i < here->count; i++)
        if (!safetensors_find(file, here->tensors[i].name))
            add_difference(list, "\n  %.*s: not in the file", NAME_SHOWN, here->tensors[i].name);
    end_of_sort(list, "that are not in the file");
    for (size_t i = 0; i < file->tensor_count; i++)
        if (!listed(here, file->tensors[i].name))
            add_difference(list, "\n  %.*s: only in the file", NAME_SHOWN, file->tensors[i].name);
    end_of_sort(list, "that are only in the file");
    for (size_t i = 0; list->used == 0 && i < here->count; i++)
        if (strcmp(here->tensors[i].name, file->tensors[i].name) != 0)
            add_difference(list, "\n  the order: tensor %zu is %.*s here, %.*s in the file", i + 1,
                           NAME_SHOWN, here->tensors[i].name, NAME_SHOWN, file->tensors[i].name);
}

static Status other_layout(const Listing *here, const Safetensors *file, Error *error) {
    for (size_t i = 0; i < file->tensor_count; i++)
        if (file->tensors[i].type != SAFETENSORS_REAL)
            return error_set(error, STATUS_INVALID,
                             "%s: its numbers are %s, those of this build of the program %s (tensor '%.*s')",
                             file->file.path, safetensors_type_text(file->tensors[i].type),
                             safetensors_type_text(SAFETENSORS_REAL), NAME_SHOWN, file->tensors[i].name);
    Differences list = {.used = 0};
    list_differences(&list, here, file);
    return error_set(error, STATUS_INVALID,
                     "%s: the state of another architecture (%zu tensors here, %zu in the file):%s",
                     file->file.path, here->count, file->tensor_count, list.text);
}

/* ---- loading ------------------------------------------------------------------------------------------- */

/* Whether a file's name is that of a hash; if so, gives it. */
static bool named_by_hash(const char *path, char hash[FILE_HASH]) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strlen(name) != STATE_NAME - 1 || strcmp(name + FILE_HASH - 1, STATE_FILE_ENDING) != 0 ||
        strspn(name, "0123456789abcdef") != FILE_HASH - 1)
        return false;
    memcpy(hash, name, FILE_HASH - 1);
    hash[FILE_HASH - 1] = '\0';
    return true;
}

/* Reads the numbers, and makes sure that they are what they should be. */
static Status load_numbers(Safetensors *file, Error *error) {
    Status status = safetensors_load(file, error);
    char expected[FILE_HASH], hash[FILE_HASH];
    if (status || !named_by_hash(file->file.path, expected)) return status;
    status = safetensors_hash(file, hash, error);
    if (status || strcmp(hash, expected) == 0) return status;
    return error_set(error, STATUS_CORRUPT, "%s: damaged, or renamed: the hash of its content is %s",
                     file->file.path, hash);
}

static Status check_facts(const Listing *here, const Safetensors *file, Error *error) {
    char signature[FILE_HASH];
    Status status = safetensors_signature(here->tensors, here->count, signature, error);
    if (status) return status;
    const char *layout = safetensors_fact(file, LAYOUT_FACT);
    if (layout && strcmp(layout, signature) == 0 && safetensors_fact(file, SAFETENSORS_NUMBERS))
        return STATUS_OK;
    return error_set(
        error, STATUS_CORRUPT,
        "%s: damaged, or not saved by this program: the facts 'layout' and 'numbers' that a state file "
        "has are not there or not right",
        file->file.path);
}

/* Gaps become zeros, whatever they were. */
static void take_numbers(State *state, const Listing *here, const Safetensors *file) {
    memset(state->data, 0, layout_numbers(state->layout) * sizeof(real));
    for (size_t i = 0; i < here->count; i++)
        memcpy(state->data + here->entries[i]->offset, file->tensors[i].numbers,
               safetensors_bytes(&here->tensors[i]));
}

static Status load_listed(State *state, const Listing *here, const char *path, Error *error) {
    Safetensors file;
    Status status = safetensors_open(&file, path, error);
    if (status) return status;
    if (!same_tensors(here, &file)) status = other_layout(here, &file, error);
    if (!status) status = check_facts(here, &file, error);
    if (!status) status = load_numbers(&file, error);
    if (!status) take_numbers(state, here, &file);
    safetensors_close(&file);
    return status;
}

Status state_load(State *state, const char *path, Error *error) {
    Listing here;
    Status status = listing_new(&here, state, error);
    if (status) return status;
    status = load_listed(state, &here, path, error);
    listing_free(&here);
    return status;
}

/* ---- exporting ----------------------------------------------------------------------------------------- */

/* What is left of a tensor's name after "GROUP/KIND/"; NULL when it is of another group or kind. */
static const char *plain_name(const char *name, const char *group, LayoutKind kind) {
    const char *parts[] = {group, layout_kind_text(kind)};
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(parts[i]);
        if (strncmp(name, parts[i], length) != 0 || name[length] != '/') return NULL;
        name += length + 1;
    }
    return name;
}

/* Adds the group's tensors of a kind to `chosen`; returns how many. */
static size_t choose(const Safetensors *file, const char *group, LayoutKind kind, SafetensorsTensor *chosen) {
    size_t count = 0;
    for (size_t i = 0; i < file->tensor_count; i++) {
        const char *name = plain_name(file->tensors[i].name, group, kind);
        if (!name) continue;
        chosen[count] = file->tensors[i];
        chosen[count++].name = name;
    }
    return count;
}

static Status export_chosen(const Safetensors *file, const char *group, SafetensorsTensor *chosen,
                            const char *path, const SafetensorsFact *facts, size_t fact_count, Error *error) {
    size_t count = choose(file, group, LAYOUT_AVERAGE_PARAMETER, chosen);
    bool averaged = count > 0;
    if (!averaged) count = choose(file, group, LAYOUT_PARAMETER, chosen);
    if (count == 0)
        return error_set(
            error, STATUS_INVALID, "%s: no parameters of a group '%s' in it (its first tensor is '%.*s')",
            file->file.path, group, NAME_SHOWN, file->tensor_count ? file->tensors[0].name : "none");
    size_t variables = choose(file, group, LAYOUT_AVERAGE_VARIABLE, chosen + count);
    if (variables == 0) variables = choose(file, group, LAYOUT_VARIABLE, chosen + count);
    SafetensorsDraft draft;
    Status status =
        draft_with_facts(&draft, chosen, count + variables,
                         (SafetensorsFact){AVERAGED_FACT, averaged ? "yes" : "no"}, facts, fact_count, error);
    if (status) return status;
    status = file_save(path, draft.pieces, draft.count, error);
    safetensors_draft_free(&draft);
    return status;
}

Status state_export(const char *state_path, const char *group, const char *path, const SafetensorsFact *facts,
                    size_t fact_count, Error *error) {
    Safetensors file;
    Status status = safetensors_open(&file, state_path, error);
    if (status) return status;
    SafetensorsTensor *chosen = memory_new(file.tensor_count, sizeof *chosen);
    status = chosen ? load_numbers(&file, error) : error_no_memory(error, "the tensors to be exported");
    if (!status) status = export_chosen(&file, group, chosen, path, facts, fact_count, error);
    memory_free(chosen);
    safetensors_close(&file);
    return status;
}
