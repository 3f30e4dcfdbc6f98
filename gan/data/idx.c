/* IDX, the format of MNIST's files: big-endian words for type, rank and sizes, then the values. Often
 * gzipped. */
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "gan/data/parts.h"

enum {
    IDX_UNSIGNED_BYTE = 0x08,
    IDX_WORD = 4,
    MNIST_SIDE = 28,
    MNIST_CLASSES = 10,
};
/* Files of MNIST's family have up to 47 MB; the limit leaves room for larger relatives. */
#define IDX_BYTES_LIMIT ((size_t)1 << 30)
/* No deflate stream grows by more than this factor, so a header that promises more is lying. */
#define DEFLATE_GROWTH 1032

/* ---- bytes, unzipped on the way if need be ------------------------------------------------------------- */

typedef struct {
    const uint8_t *bytes;
    size_t size, used; /* of a plain file */
    bool zipped;
    bool ended, dry, broken; /* of a zipped file: whole, truncated, damaged */
    z_stream stream;
} IdxReader;

static void *zip_new(void *unused, unsigned count, unsigned size) {
    (void)unused;
    return memory_new(count, size);
}

static void zip_free(void *unused, void *block) {
    (void)unused;
    memory_free(block);
}

static Status reader_open(IdxReader *reader, const char *name, const uint8_t *bytes, size_t size,
                          Error *error) {
    *reader = (IdxReader){.bytes = bytes, .size = size};
    reader->zipped = size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
    if (!reader->zipped) return STATUS_OK;
    if (size > IDX_BYTES_LIMIT)
        return error_set(error, STATUS_CORRUPT, "%s: at most %zu bytes were expected, there are %zu", name,
                         IDX_BYTES_LIMIT, size);
    reader->stream = (z_stream){.zalloc = zip_new,
                                .zfree = zip_free,
                                .next_in = (uint8_t *)(uintptr_t)bytes, /* zlib leaves its input as it is */
                                .avail_in = (unsigned)size};
    enum { GZIP_ONLY = 16 + MAX_WBITS };
    return inflateInit2(&reader->stream, GZIP_ONLY) == Z_OK ? STATUS_OK : error_no_memory(error, name);
}

static void reader_close(IdxReader *reader) {
    if (reader->zipped) inflateEnd(&reader->stream);
}

/* Takes up to `count` bytes, at most IDX_BYTES_LIMIT, and returns how many there were. */
static size_t reader_take(IdxReader *reader, uint8_t *out, size_t count) {
    if (!reader->zipped) {
        size_t got = reader->size - reader->used < count ? reader->size - reader->used : count;
        memcpy(out, reader->bytes + reader->used, got);
        reader->used += got;
        return got;
    }
    reader->stream.next_out = out;
    reader->stream.avail_out = (unsigned)count;
    while (reader->stream.avail_out > 0 && !reader->ended && !reader->dry && !reader->broken) {
        int result = inflate(&reader->stream, Z_NO_FLUSH);
        reader->ended = result == Z_STREAM_END;
        reader->dry = result == Z_BUF_ERROR;
        reader->broken = result != Z_OK && !reader->ended && !reader->dry;
    }
    return count - reader->stream.avail_out;
}

/* Whether everything has been taken, and the sum at a zipped file's end was right. */
static bool reader_at_end(IdxReader *reader) {
    uint8_t more;
    if (reader_take(reader, &more, 1) > 0) return false;
    return !reader->zipped || (reader->ended && reader->stream.avail_in == 0);
}

/* ---- arrays -------------------------------------------------------------------------------------------- */

static size_t big_endian(const uint8_t word[IDX_WORD]) {
    return (size_t)word[0] << 24 | (size_t)word[1] << 16 | (size_t)word[2] << 8 | word[3];
}

/* Reads type, rank and sizes, and finds how many values they promise. */
static Status read_header(IdxReader *reader, const char *name, IdxArray *array, size_t *count, Error *error) {
    uint8_t magic[IDX_WORD];
    if (reader_take(reader, magic, IDX_WORD) < IDX_WORD)
        return error_set(error, STATUS_CORRUPT, "%s: %s: not even a header", name,
                         reader->broken ? "damaged" : "truncated");
    if (magic[0] != 0 || magic[1] != 0 || magic[2] != IDX_UNSIGNED_BYTE || magic[3] < 1 ||
        magic[3] > IDX_RANK_LIMIT)
        return error_set(error, STATUS_CORRUPT,
                         "%s: not an IDX file of bytes: it begins with %02x %02x %02x %02x, expected is "
                         "00 00 08 and a rank of 1 to %d",
                         name, magic[0], magic[1], magic[2], magic[3], IDX_RANK_LIMIT);
    array->rank = magic[3];
    *count = 1;
    for (int axis = 0; axis < array->rank; axis++) {
        uint8_t word[IDX_WORD];
        if (reader_take(reader, word, IDX_WORD) < IDX_WORD)
            return error_set(error, STATUS_CORRUPT, "%s: %s within its header", name,
                             reader->broken ? "damaged" : "truncated");
        array->size[axis] = big_endian(word);
        if (__builtin_mul_overflow(*count, array->size[axis], count) || *count > IDX_BYTES_LIMIT)
            return error_set(error, STATUS_CORRUPT, "%s: its header promises more than %zu bytes", name,
                             IDX_BYTES_LIMIT);
    }
    return STATUS_OK;
}

static Status read_values(IdxReader *reader, const char *name, IdxArray *array, size_t count, Error *error) {
    size_t there = reader->zipped ? reader->size * DEFLATE_GROWTH : reader->size - reader->used;
    if (count > there)
        return error_set(error, STATUS_CORRUPT,
                         "%s: truncated: its header promises %zu bytes of values, there are %s%zu", name,
                         count, reader->zipped ? "at most " : "", there);
    array->values = memory_resize(NULL, count);
    if (!array->values) return error_no_memory(error, name);
    size_t got = reader_take(reader, array->values, count);
    if (got < count)
        return error_set(error, STATUS_CORRUPT,
                         "%s: %s: its header promises %zu bytes of values, %zu were found", name,
                         reader->broken ? "damaged" : "truncated", count, got);
    if (!reader_at_end(reader))
        return error_set(
            error, STATUS_CORRUPT,
            "%s: damaged: its header promises %zu bytes of values, and something else follows them", name,
            count);
    return STATUS_OK;
}

Status idx_parse(const char *name, const uint8_t *bytes, size_t size, IdxArray *array, Error *error) {
    *array = (IdxArray){.rank = 0};
    IdxReader reader;
    Status status = reader_open(&reader, name, bytes, size, error);
    if (status) return status;
    size_t count = 0;
    status = read_header(&reader, name, array, &count, error);
    if (!status) status = read_values(&reader, name, array, count, error);
    reader_close(&reader);
    if (status) {
        memory_free(array->values);
        array->values = NULL;
    }
    return status;
}

/* ---- MNIST's pair of files ----------------------------------------------------------------------------- */

static Status load(const char *path, int rank, IdxArray *array, Error *error) {
    *array = (IdxArray){.rank = 0};
    uint8_t *bytes;
    size_t size;
    Status status = file_load(path, IDX_BYTES_LIMIT, &bytes, &size, error);
    if (status) return status;
    status = idx_parse(path, bytes, size, array, error);
    memory_free(bytes);
    if (!status && array->rank != rank)
        return error_set(error, STATUS_CORRUPT, "%s: an IDX file of rank %d was expected, its rank is %d",
                         path, rank, array->rank);
    return status;
}

static Status check_pair(const SourceFiles *files, const IdxArray *images, const IdxArray *labels,
                         Error *error) {
    if (images->size[1] != MNIST_SIDE || images->size[2] != MNIST_SIDE)
        return error_set(error, STATUS_CORRUPT,
                         "%s: images of %d×%d pixels were expected, these have %zu×%zu", files->path[0],
                         MNIST_SIDE, MNIST_SIDE, images->size[1], images->size[2]);
    if (images->size[0] == 0) return error_set(error, STATUS_CORRUPT, "%s: no images in it", files->path[0]);
    if (images->size[0] != labels->size[0])
        return error_set(error, STATUS_CORRUPT,
                         "%s: %zu labels were expected, as many as there are images in %s, "
                         "it has %zu",
                         files->path[1], images->size[0], files->path[0], labels->size[0]);
    for (size_t i = 0; i < labels->size[0]; i++)
        if (labels->values[i] >= MNIST_CLASSES)
            return error_set(error, STATUS_CORRUPT, "%s: labels 0 to %d were expected, number %zu is %d",
                             files->path[1], MNIST_CLASSES - 1, i + 1, labels->values[i]);
    return STATUS_OK;
}

/* Takes over the images' pixels. */
static Status fill_pictures(IdxArray *images, const IdxArray *labels, Pictures *pictures, Error *error) {
    size_t count = images->size[0];
    pictures->labels = memory_new(count, sizeof *pictures->labels);
    if (!pictures->labels) return error_no_memory(error, "labels");
    for (size_t i = 0; i < count; i++) pictures->labels[i] = labels->values[i];
    pictures->count = (int64_t)count;
    pictures->height = pictures->width = MNIST_SIDE;
    pictures->channels = 1;
    pictures->classes = MNIST_CLASSES;
    pictures->pixels = images->values;
    images->values = NULL;
    return STATUS_OK;
}

Status idx_load(const SourceFiles *files, Pictures *pictures, Error *error) {
    IdxArray images = {.rank = 0}, labels = {.rank = 0};
    Status status = load(files->path[0], 3, &images, error);
    if (!status) status = load(files->path[1], 1, &labels, error);
    if (!status) status = check_pair(files, &images, &labels, error);
    if (!status) status = fill_pictures(&images, &labels, pictures, error);
    memory_free(images.values);
    memory_free(labels.values);
    return status;
}
