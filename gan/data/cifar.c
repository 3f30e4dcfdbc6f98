/* CIFAR-10's binary files: records of a label and 32×32 pixels, in planes of red, green and blue. */
#include "base/file.h"
#include "base/memory.h"
#include "gan/data/parts.h"

enum { CIFAR_CLASSES = 10, CIFAR_PLANE = CIFAR_SIDE * CIFAR_SIDE };
/* Published files have 10,000 records. */
#define CIFAR_RECORD_LIMIT ((size_t)1000000)

static Status make_room(Pictures *pictures, size_t records, Error *error) {
    size_t count = (size_t)pictures->count + records; /* six files within the limit do not overflow */
    uint8_t *pixels = memory_resize(pictures->pixels, count * CIFAR_PIXELS);
    if (!pixels) return error_no_memory(error, "CIFAR-10's images");
    pictures->pixels = pixels;
    uint16_t *labels = memory_resize(pictures->labels, count * sizeof *labels);
    if (!labels) return error_no_memory(error, "CIFAR-10's labels");
    pictures->labels = labels;
    return STATUS_OK;
}

static void interleave(const uint8_t *planes, uint8_t *pixels) {
    for (size_t i = 0; i < CIFAR_PLANE; i++)
        for (size_t channel = 0; channel < 3; channel++)
            pixels[3 * i + channel] = planes[channel * CIFAR_PLANE + i];
}

Status cifar_parse(const char *name, const uint8_t *bytes, size_t size, Pictures *pictures, Error *error) {
    size_t records = size / CIFAR_RECORD;
    if (size == 0 || size % CIFAR_RECORD != 0)
        return error_set(
            error, STATUS_CORRUPT,
            "%s: truncated, or not a CIFAR-10 binary file: whole records of %d bytes were expected, its "
            "%zu bytes are %zu of them and %zu more",
            name, CIFAR_RECORD, size, records, size % CIFAR_RECORD);
    if (records > CIFAR_RECORD_LIMIT)
        return error_set(error, STATUS_CORRUPT, "%s: at most %zu records were expected, there are %zu", name,
                         CIFAR_RECORD_LIMIT, records);
    for (size_t i = 0; i < records; i++)
        if (bytes[i * CIFAR_RECORD] >= CIFAR_CLASSES)
            return error_set(error, STATUS_CORRUPT, "%s: labels 0 to %d were expected, record %zu has %d",
                             name, CIFAR_CLASSES - 1, i + 1, bytes[i * CIFAR_RECORD]);
    Status status = make_room(pictures, records, error);
    if (status) return status;
    for (size_t i = 0; i < records; i++) {
        const uint8_t *record = bytes + i * CIFAR_RECORD;
        size_t to = (size_t)pictures->count + i;
        pictures->labels[to] = record[0];
        interleave(record + 1, pictures->pixels + to * CIFAR_PIXELS);
    }
    pictures->count += (int64_t)records;
    return STATUS_OK;
}

Status cifar_load(const SourceFiles *files, Pictures *pictures, Error *error) {
    pictures->height = pictures->width = CIFAR_SIDE;
    pictures->channels = 3;
    pictures->classes = CIFAR_CLASSES;
    for (int i = 0; i < files->count; i++) {
        uint8_t *bytes;
        size_t size;
        Status status = file_load(files->path[i], CIFAR_RECORD_LIMIT * CIFAR_RECORD, &bytes, &size, error);
        if (status) return status;
        status = cifar_parse(files->path[i], bytes, size, pictures, error);
        memory_free(bytes);
        if (status) return status;
    }
    return STATUS_OK;
}
