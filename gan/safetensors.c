#include "gan/safetensors.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers are written as they lie in memory, and the format is little-endian");
_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "F32 is float and F64 is double");

static const char METADATA[] = "__metadata__";
enum { LENGTH_BYTES = 8 }; /* of the header's length, at the start of a file */

static const struct {
    const char *text;
    size_t bytes;
} TYPES[SAFETENSORS_TYPES] = {
    [SAFETENSORS_F32] = {"F32", sizeof(float)}, [SAFETENSORS_F64] = {"F64", sizeof(double)}};

const char *safetensors_type_text(SafetensorsType type) {
    return TYPES[type].text;
}

size_t safetensors_bytes(const SafetensorsTensor *tensor) {
    return (size_t)shape_count(tensor->shape) * TYPES[tensor->type].bytes;
}

/* ---- names and texts ----------------------------------------------------------------------------------- */

/* The bytes of the UTF-8 character at `at`; 0 when there is none. Unicode, table 3-7: no overlong forms, no
 * surrogates, nothing beyond U+10FFFF. */
static size_t character_bytes(const unsigned char *at) {
    if (at[0] < 0x80) return 1;
    size_t bytes = at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
    if (bytes == 0) return 0;
    unsigned char least = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char most = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < least || at[1] > most) return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return bytes;
}

/* What a terminal would obey instead of show: U+0000 to U+001F, and U+007F to U+009F. */
static bool control_character(const unsigned char *at) {
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

static bool text_fine(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t bytes = character_bytes(at);
        if (bytes == 0) return false;
        at += bytes;
    }
    return true;
}

static bool name_fine(const char *name) {
    size_t length = strlen(name);
    if (length < 1 || length > SAFETENSORS_NAME_LIMIT || !text_fine(name)) return false;
    for (const unsigned char *at = (const unsigned char *)name; *at; at += character_bytes(at))
        if (control_character(at)) return false;
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of tensors, or of facts (`what`): each as it must be, and there but once. Sorts them. */
static Status check_names(const char *what, const char **names, size_t count, Status refusal, Error *error) {
    for (size_t i = 0; i < count; i++)
        if (!name_fine(names[i]))
            return error_set(
                error, refusal,
                "the name of %s %zu is not what it must be: 1 to %d bytes of UTF-8 without control "
                "characters",
                what, i + 1, SAFETENSORS_NAME_LIMIT);
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return error_set(error, refusal, "two %ss are called '%s'", what, names[i]);
    return STATUS_OK;
}

/* What holds for tensors and facts that are written, and for those that are read. */
static Status check_all_names(const SafetensorsTensor *tensors, size_t tensor_count,
                              const SafetensorsFact *facts, size_t fact_count, Status refusal, Error *error) {
    if (tensor_count > SAFETENSORS_TENSOR_LIMIT)
        return error_set(error, refusal, "%zu tensors: at most %d expected", tensor_count,
                         SAFETENSORS_TENSOR_LIMIT);
    const char **names = memory_new(tensor_count > fact_count ? tensor_count : fact_count, sizeof *names);
    if (!names) return error_no_memory(error, "the names of tensors");
    for (size_t i = 0; i < tensor_count; i++) names[i] = tensors[i].name;
    Status status = check_names("tensor", names, tensor_count, refusal, error);
    for (size_t i = 0; i < fact_count; i++) names[i] = facts[i].name;
    if (!status) status = check_names("fact", names, fact_count, refusal, error);
    memory_free(names);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

/* Every cJSON function passes a NULL on, so that only results are looked at. */
static bool add_number(cJSON *array, int64_t number) {
    cJSON *item = cJSON_CreateNumber((double)number); /* exact: far below 2^53 */
    if (cJSON_AddItemToArray(array, item)) return true;
    cJSON_Delete(item);
    return false;
}

static bool add_tensor(cJSON *header, const SafetensorsTensor *tensor, size_t offset) {
    cJSON *item = cJSON_AddObjectToObject(header, tensor->name);
    bool fine = cJSON_AddStringToObject(item, "dtype", TYPES[tensor->type].text) != NULL;
    cJSON *shape = cJSON_AddArrayToObject(item, "shape"),
          *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    fine = fine && shape != NULL; /* a scalar adds nothing to it that would tell */
    for (int axis = 0; axis < tensor->shape.rank; axis++)
        fine = fine && add_number(shape, tensor->shape.size[axis]);
    return fine && add_number(offsets, (int64_t)offset) &&
           add_number(offsets, (int64_t)(offset + safetensors_bytes(tensor)));
}

/* The header's JSON without a blank, to be freed by cJSON_free. `numbers`: their hash; NULL: no metadata. */
static Status header_text(const SafetensorsTensor *tensors, size_t tensor_count, const SafetensorsFact *facts,
                          size_t fact_count, const char *numbers, char **text, Error *error) {
    cJSON *header = cJSON_CreateObject();
    bool fine = header != NULL;
    if (numbers) {
        cJSON *metadata = cJSON_AddObjectToObject(header, METADATA);
        for (size_t i = 0; i < fact_count; i++)
            fine = fine && cJSON_AddStringToObject(metadata, facts[i].name, facts[i].value);
        fine = fine && cJSON_AddStringToObject(metadata, SAFETENSORS_NUMBERS, numbers);
    }
    size_t offset = 0;
    for (size_t i = 0; i < tensor_count; i++) {
        fine = fine && add_tensor(header, &tensors[i], offset);
        offset += safetensors_bytes(&tensors[i]);
    }
    *text = fine ? cJSON_PrintUnformatted(header) : NULL;
    cJSON_Delete(header);
    return *text ? STATUS_OK : error_no_memory(error, "a header");
}

/* Length, text and spaces. */
static Status header_piece(const char *text, FilePiece *piece, Error *error) {
    size_t length = strlen(text);
    if (length > SAFETENSORS_HEADER_LIMIT - SAFETENSORS_ALIGNMENT)
        return error_set(error, STATUS_INVALID,
                         "%zu bytes of names, shapes and facts: at most %zu can be written", length,
                         SAFETENSORS_HEADER_LIMIT - SAFETENSORS_ALIGNMENT);
    size_t size =
        (LENGTH_BYTES + length + SAFETENSORS_ALIGNMENT - 1) / SAFETENSORS_ALIGNMENT * SAFETENSORS_ALIGNMENT;
    char *bytes = memory_new(size, 1);
    if (!bytes) return error_no_memory(error, "a header");
    uint64_t padded = size - LENGTH_BYTES;
    memcpy(bytes, &padded, LENGTH_BYTES);
    memcpy(bytes + LENGTH_BYTES, text, length);
    memset(bytes + LENGTH_BYTES + length, ' ', size - LENGTH_BYTES - length);
    *piece = (FilePiece){.bytes = bytes, .size = size};
    return STATUS_OK;
}

static Status check_written(const SafetensorsTensor *tensors, size_t tensor_count,
                            const SafetensorsFact *facts, size_t fact_count, Error *error) {
    Status status = check_all_names(tensors, tensor_count, facts, fact_count, STATUS_INVALID, error);
    if (status) return status;
    int64_t count = 0;
    for (size_t i = 0; i < tensor_count; i++) {
        if (strcmp(tensors[i].name, METADATA) == 0)
            return error_set(error, STATUS_INVALID, "a tensor cannot be called '%s': the file's facts are",
                             METADATA);
        count += shape_count(tensors[i].shape); /* each at most SHAPE_LIMIT, and 2^14 of them: no overflow */
    }
    if (count > SHAPE_LIMIT)
        return error_set(error, STATUS_INVALID, "%lld numbers: too many for a file", (long long)count);
    for (size_t i = 0; i < fact_count; i++) {
        if (strcmp(facts[i].name, SAFETENSORS_NUMBERS) == 0)
            return error_set(error, STATUS_INVALID,
                             "a fact cannot be called '%s': the hash of the numbers is", SAFETENSORS_NUMBERS);
        if (!text_fine(facts[i].value))
            return error_set(error, STATUS_INVALID, "fact '%s' is not UTF-8", facts[i].name);
    }
    return STATUS_OK;
}

Status safetensors_draft(SafetensorsDraft *draft, const SafetensorsTensor *tensors, size_t tensor_count,
                         const SafetensorsFact *facts, size_t fact_count, Error *error) {
    *draft = (SafetensorsDraft){.pieces = NULL};
    Status status = check_written(tensors, tensor_count, facts, fact_count, error);
    if (status) return status;
    draft->count = tensor_count + 1;
    draft->pieces = memory_new(draft->count, sizeof *draft->pieces);
    if (!draft->pieces) return error_no_memory(error, "a file's pieces");
    for (size_t i = 0; i < tensor_count; i++)
        draft->pieces[i + 1] =
            (FilePiece){.bytes = tensors[i].numbers, .size = safetensors_bytes(&tensors[i])};
    char numbers[FILE_HASH], *text = NULL;
    status = file_hash(draft->pieces + 1, tensor_count, numbers, error);
    if (!status) status = header_text(tensors, tensor_count, facts, fact_count, numbers, &text, error);
    if (!status) status = header_piece(text, &draft->pieces[0], error);
    cJSON_free(text);
    if (status) safetensors_draft_free(draft);
    return status;
}

void safetensors_draft_free(SafetensorsDraft *draft) {
    if (draft->pieces) memory_free((void *)draft->pieces[0].bytes);
    memory_free(draft->pieces);
    *draft = (SafetensorsDraft){.pieces = NULL};
}

Status safetensors_signature(const SafetensorsTensor *tensors, size_t tensor_count, char signature[FILE_HASH],
                             Error *error) {
    Status status = check_written(tensors, tensor_count, NULL, 0, error);
    char *text = NULL;
    if (!status) status = header_text(tensors, tensor_count, NULL, 0, NULL, &text, error);
    if (!status) status = file_hash(&(FilePiece){.bytes = text, .size = strlen(text)}, 1, signature, error);
    cJSON_free(text);
    return status;
}

/* ---- reading: the header's JSON ------------------------------------------------------------------------ */

static Status corrupt(Error *error, const char *what) {
    return error_set(error, STATUS_CORRUPT, "%s", what);
}

/* Every value but the first follows one of these, so this is at least the number of values. */
static bool too_many_items(const char *json) {
    size_t items = 1;
    for (const char *at = json; *at; at++) items += *at == ',' || *at == '{' || *at == '[';
    return items > SAFETENSORS_ITEM_LIMIT;
}

/* Parses the header, which is followed by a zero. */
static Status parse_json(Safetensors *file, Error *error) {
    const char *json = (const char *)file->header + LENGTH_BYTES, *rest = NULL;
    size_t length = file->header_size - LENGTH_BYTES;
    if (json[0] != '{')
        return corrupt(error, "its header is no JSON object: damaged, or no safetensors file");
    if (too_many_items(json))
        return error_set(error, STATUS_CORRUPT, "its header holds more than %d values",
                         SAFETENSORS_ITEM_LIMIT);
    file->json = cJSON_ParseWithLengthOpts(json, length + 1, &rest, false);
    if (!file->json)
        return error_set(error, STATUS_CORRUPT,
                         "its header cannot be parsed (byte %zu of %zu): damaged, unless memory has run out",
                         rest ? (size_t)(rest - json) + 1 : 0, length);
    if (rest + strspn(rest, " ") != json + length)
        return corrupt(error, "its header goes on after the JSON object: damaged");
    return STATUS_OK;
}

/* An integer from `least` on that a double holds exactly. */
static bool whole_number(const cJSON *item, int64_t least, int64_t *value) {
    static const double MOST = 9007199254740992.0; /* 2^53 */
    double number = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (!(number >= (double)least && number <= MOST) || number != floor(number)) return false;
    *value = (int64_t)number;
    return true;
}

static bool read_type(const cJSON *item, SafetensorsType *type) {
    for (int t = 0; t < SAFETENSORS_TYPES; t++) {
        *type = (SafetensorsType)t;
        if (cJSON_IsString(item) && strcmp(item->valuestring, TYPES[t].text) == 0) return true;
    }
    return false;
}

static bool read_shape(const cJSON *list, Shape *shape) {
    *shape = shape_scalar();
    if (!cJSON_IsArray(list)) return false;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (shape->rank == SHAPE_AXES || !whole_number(item, 1, &shape->size[shape->rank])) return false;
        shape->rank++;
    }
    return shape_check(shape, NULL) == STATUS_OK;
}

/* Whether the offsets are there and as far apart as type and shape say. */
static bool read_offsets(const cJSON *list, SafetensorsTensor *tensor) {
    int64_t begin, end;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 2 || !whole_number(list->child, 0, &begin) ||
        !whole_number(list->child->next, 0, &end))
        return false;
    tensor->offset = (size_t)begin;
    return end - begin == (int64_t)safetensors_bytes(tensor); /* at most 8 · 2^40: no overflow */
}

static Status read_tensor(const cJSON *item, SafetensorsTensor *tensor, Error *error) {
    enum { FIELDS = 3 };
    *tensor = (SafetensorsTensor){.name = item->string};
    const char *wrong = NULL;
    if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != FIELDS)
        wrong = "its dtype, shape and data_offsets were expected, and nothing else";
    else if (!read_type(cJSON_GetObjectItemCaseSensitive(item, "dtype"), &tensor->type))
        wrong = "its dtype is neither F32 nor F64";
    else if (!read_shape(cJSON_GetObjectItemCaseSensitive(item, "shape"), &tensor->shape))
        wrong = "its shape is not a short list of sizes from 1 on, or means too many numbers";
    else if (!read_offsets(cJSON_GetObjectItemCaseSensitive(item, "data_offsets"), tensor))
        wrong = "its data_offsets are not where so many numbers start and end";
    if (!wrong) return STATUS_OK;
    return error_set(error, STATUS_CORRUPT, "tensor '%s': %s", name_fine(tensor->name) ? tensor->name : "?",
                     wrong);
}

static Status read_facts(Safetensors *file, const cJSON *list, Error *error) {
    if (!cJSON_IsObject(list) || file->facts)
        return corrupt(error, "its __metadata__ is not one JSON object");
    file->facts = memory_new((size_t)cJSON_GetArraySize(list), sizeof *file->facts);
    if (!file->facts) return error_no_memory(error, "a file's facts");
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsString(item) || !text_fine(item->valuestring))
            return error_set(error, STATUS_CORRUPT, "fact %zu of its __metadata__ is not a text in UTF-8",
                             file->fact_count + 1);
        file->facts[file->fact_count++] = (SafetensorsFact){.name = item->string, .value = item->valuestring};
    }
    return STATUS_OK;
}

static Status read_items(Safetensors *file, Error *error) {
    file->tensors = memory_new((size_t)cJSON_GetArraySize(file->json), sizeof *file->tensors);
    if (!file->tensors) return error_no_memory(error, "a file's tensors");
    const cJSON *item;
    cJSON_ArrayForEach(item, file->json) {
        Status status = strcmp(item->string, METADATA) == 0
                            ? read_facts(file, item, error)
                            : read_tensor(item, &file->tensors[file->tensor_count++], error);
        if (status) return status;
    }
    return check_all_names(file->tensors, file->tensor_count, file->facts, file->fact_count, STATUS_CORRUPT,
                           error);
}

/* ---- reading: the file --------------------------------------------------------------------------------- */

static int compare_offsets(const void *a, const void *b) {
    const SafetensorsTensor *first = a, *second = b;
    return (first->offset > second->offset) - (first->offset < second->offset);
}

/* Puts the tensors in the order of their numbers, and checks that these fill the rest of the file. */
static Status check_places(Safetensors *file, Error *error) {
    qsort(file->tensors, file->tensor_count, sizeof *file->tensors, compare_offsets);
    size_t end = 0; /* every tensor starts below 2^53 and has at most 2^43 bytes */
    for (size_t i = 0; i < file->tensor_count; i++) {
        const SafetensorsTensor *tensor = &file->tensors[i];
        if (tensor->offset != end)
            return error_set(
                error, STATUS_CORRUPT,
                "the numbers of tensor '%s' start at byte %zu, those before them end at byte %zu: "
                "damaged",
                tensor->name, tensor->offset, end);
        end += safetensors_bytes(tensor);
    }
    file->numbers_size = file->file.size - file->header_size;
    if (end != file->numbers_size)
        return error_set(error, STATUS_CORRUPT,
                         "%s: %zu bytes of numbers after the header were expected, not %zu",
                         end > file->numbers_size ? "truncated" : "oversized", end, file->numbers_size);
    return STATUS_OK;
}

static Status read_header(Safetensors *file, Error *error) {
    uint64_t length;
    if (file->file.size < LENGTH_BYTES)
        return error_set(error, STATUS_CORRUPT, "%s: %zu bytes are not even a header's length: truncated",
                         file->file.path, file->file.size);
    Status status = file_read_next(&file->file, &length, LENGTH_BYTES, error);
    if (status) return status;
    if (length < 2 || length > SAFETENSORS_HEADER_LIMIT)
        return error_set(
            error, STATUS_CORRUPT,
            "%s: a header of %llu bytes is announced, 2 to %zu were expected: no safetensors file, or "
            "a damaged one",
            file->file.path, (unsigned long long)length, SAFETENSORS_HEADER_LIMIT);
    if (length > file->file.size - LENGTH_BYTES)
        return error_set(
            error, STATUS_CORRUPT,
            "%s: truncated, or no safetensors file: a header of %llu bytes is announced, %zu follow",
            file->file.path, (unsigned long long)length, file->file.size - LENGTH_BYTES);
    file->header_size = LENGTH_BYTES + (size_t)length;
    file->header = memory_new(file->header_size + 1, 1); /* zeros: one of them ends the text */
    if (!file->header) return error_no_memory(error, "a header");
    memcpy(file->header, &length, LENGTH_BYTES);
    return file_read_next(&file->file, file->header + LENGTH_BYTES, (size_t)length, error);
}

Status safetensors_open(Safetensors *file, const char *path, Error *error) {
    *file = (Safetensors){.tensors = NULL};
    Status status = file_open(&file->file, path, error);
    if (status) return status;
    status = read_header(file, error);
    if (!status) {
        status = parse_json(file, error);
        if (!status) status = read_items(file, error);
        if (!status) status = check_places(file, error);
        if (status) error_prefix(error, "%s: ", path);
    }
    if (status) safetensors_close(file);
    return status;
}

void safetensors_close(Safetensors *file) {
    file_close(&file->file);
    cJSON_Delete(file->json);
    memory_free(file->tensors);
    memory_free(file->facts);
    memory_free(file->header);
    memory_free(file->numbers);
    *file = (Safetensors){.file = {.descriptor = -1}};
}

Status safetensors_load(Safetensors *file, Error *error) {
    uint8_t *numbers = memory_resize(NULL, file->numbers_size);
    if (!numbers) return error_no_memory(error, file->file.path);
    file->numbers = numbers;
    Status status = file_read_next(&file->file, numbers, file->numbers_size, error);
    if (status) return status;
    const char *promised = safetensors_fact(file, SAFETENSORS_NUMBERS);
    char hash[FILE_HASH];
    if (promised)
        status = file_hash(&(FilePiece){.bytes = numbers, .size = file->numbers_size}, 1, hash, error);
    if (status) return status;
    if (promised && strcmp(promised, hash) != 0)
        return error_set(error, STATUS_CORRUPT,
                         "%s: damaged: its numbers have the hash %s, not the one in its header",
                         file->file.path, hash);
    for (size_t i = 0; i < file->tensor_count; i++)
        file->tensors[i].numbers = numbers + file->tensors[i].offset;
    return STATUS_OK;
}

Status safetensors_hash(const Safetensors *file, char hash[FILE_HASH], Error *error) {
    const FilePiece pieces[] = {{file->header, file->header_size},
                                {file->numbers, file->numbers ? file->numbers_size : 0}};
    return file_hash(pieces, sizeof pieces / sizeof *pieces, hash, error);
}

const SafetensorsTensor *safetensors_find(const Safetensors *file, const char *name) {
    for (size_t i = 0; i < file->tensor_count; i++)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

const char *safetensors_fact(const Safetensors *file, const char *name) {
    for (size_t i = 0; i < file->fact_count; i++)
        if (strcmp(file->facts[i].name, name) == 0) return file->facts[i].value;
    return NULL;
}
