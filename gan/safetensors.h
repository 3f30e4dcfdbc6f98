/* The safetensors format (https://huggingface.co/docs/safetensors): named tensors, and facts in words.
 *
 *     8 bytes   N, the length of the header, little-endian
 *     N bytes   {"__metadata__":{"fact":"value",...},
 *                "name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},...} and spaces
 *     the rest  the numbers of one tensor after the other, without gaps, row-major, little-endian
 *
 * Brood's own files hold one more fact, "numbers": the hash of all that follows the header (file_hash), so
 * that damage does not go unseen. The same tensors and facts give the same bytes, always; there is no blank
 * in the header, and spaces after it bring the numbers to a multiple of 64.
 *
 * Whatever is read may be hostile: every length, name, shape and offset is checked before it is used, and the
 * limits are below. */
#ifndef BROOD_GAN_SAFETENSORS_H
#define BROOD_GAN_SAFETENSORS_H

#include "base/file.h"
#include "base/real.h"
#include "gan/graph/shape.h"

enum {
    SAFETENSORS_TENSOR_LIMIT = 1 << 14, /* tensors in a file; a member of a large pair has hundreds */
    SAFETENSORS_NAME_LIMIT = 512,     /* bytes of a name: group, kind and name of a tensor at their longest */
    SAFETENSORS_ITEM_LIMIT = 1 << 20, /* JSON values in a header: what parsing one can cost in memory */
    SAFETENSORS_ALIGNMENT = 64        /* of the first number in the file */
};
#define SAFETENSORS_HEADER_LIMIT ((size_t)16 << 20) /* bytes: the tensors at their most, and facts */

typedef enum {
    SAFETENSORS_F32,
    SAFETENSORS_F64,
    SAFETENSORS_TYPES,
    SAFETENSORS_REAL =
        sizeof(real) == sizeof(float) ? SAFETENSORS_F32 : SAFETENSORS_F64 /* the engine's own */
} SafetensorsType;

#define SAFETENSORS_NUMBERS "numbers" /* the fact that every file has which is written here */

const char *safetensors_type_text(SafetensorsType type); /* "F32", "F64" */

typedef struct {
    const char *name; /* UTF-8 without control characters, 1 to SAFETENSORS_NAME_LIMIT bytes */
    SafetensorsType type;
    Shape shape;
    size_t offset; /* in a file that is read: of its first number, in bytes from the end of the header */
    const void *numbers; /* borrowed; in a file that is read: NULL until safetensors_load, at any address */
} SafetensorsTensor;

size_t safetensors_bytes(const SafetensorsTensor *tensor); /* of its numbers */

typedef struct {
    const char *name, *value; /* the name is like a tensor's; the value is UTF-8, several lines if need be */
} SafetensorsFact;

/* ---- writing ------------------------------------------------------------------------------------------- */

/* A file that is ready to be hashed and written. */
typedef struct {
    FilePiece *pieces; /* the header, which is its own, then the tensors' numbers, which are borrowed */
    size_t count;
} SafetensorsDraft;

/* STATUS_INVALID when a name is not as it must be, is there twice or is the format's or Brood's own
 * ("__metadata__", "numbers"), or when there is more than the limits allow. */
Status safetensors_draft(SafetensorsDraft *draft, const SafetensorsTensor *tensors, size_t tensor_count,
                         const SafetensorsFact *facts, size_t fact_count, Error *error);
void safetensors_draft_free(SafetensorsDraft *draft);

/* The hash of a header without facts: it stands for the tensors' names, types, shapes and order. Numbers and
 * offsets are not looked at. */
Status safetensors_signature(const SafetensorsTensor *tensors, size_t tensor_count, char signature[FILE_HASH],
                             Error *error);

/* ---- reading ------------------------------------------------------------------------------------------- */

/* A file that is read. Tensors are in the order of their numbers. */
typedef struct {
    SafetensorsTensor *tensors;
    size_t tensor_count;
    SafetensorsFact *facts;
    size_t fact_count;
    struct cJSON *json; /* what is below is the reader's own; this one owns the texts */
    File file;
    uint8_t *header, *numbers;
    size_t header_size, numbers_size;
} Safetensors;

/* Opens a file, reads its header and checks it, and that the file is as long as the header says.
 * STATUS_CORRUPT when it is not what it should be. After a failure there is nothing to close. */
Status safetensors_open(Safetensors *file, const char *path, Error *error);
void safetensors_close(Safetensors *file);

/* Reads the numbers, once, and compares their hash with the fact "numbers" where the file has it. */
Status safetensors_load(Safetensors *file, Error *error);
/* The hash of the whole file as it was read: header and, so after safetensors_load, numbers. */
Status safetensors_hash(const Safetensors *file, char hash[FILE_HASH], Error *error);

const SafetensorsTensor *safetensors_find(const Safetensors *file, const char *name); /* NULL: none */
const char *safetensors_fact(const Safetensors *file, const char *name);              /* NULL: none */

#endif
