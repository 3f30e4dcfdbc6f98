/* Fuzzes the reader of PNG files: as they come, and with every chunk's check sum put right, since hardly any
 * changed byte would get past those. What is accepted is written and read again, and must be the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "gan/data/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void write_and_read_again(const Image *image) {
    uint8_t *bytes;
    size_t size;
    Image again;
    Error error;
    if (png_encode(image, &bytes, &size, &error)) abort();
    if (png_parse("again", bytes, size, &again, &error)) abort();
    memory_free(bytes);
    size_t count = (size_t)(image->height * image->width * image->channels);
    if (again.height != image->height || again.width != image->width || again.channels != image->channels ||
        memcmp(again.pixels, image->pixels, count) != 0)
        abort();
    image_free(&again);
}

static void check(const uint8_t *bytes, size_t size) {
    Image image;
    PngHeader header;
    Error error;
    Status of_header = png_header("fuzz", bytes, size, &header, &error);
    if (png_parse("fuzz", bytes, size, &image, &error)) return;
    if (of_header || header.height != image.height || header.width != image.width ||
        header.channels != image.channels)
        abort();
    enum { SMALL = 1 << 16 };
    if (image.height * image.width < SMALL) write_and_read_again(&image);
    image_free(&image);
}

static size_t big_endian(const uint8_t *word) {
    return (size_t)word[0] << 24 | (size_t)word[1] << 16 | (size_t)word[2] << 8 | word[3];
}

/* A chunk is its length, a name of four letters, its content, and a sum of name and content. */
static void repair_sums(uint8_t *bytes, size_t size) {
    enum { SIGNATURE = 8, AROUND = 12 };
    for (size_t at = SIGNATURE; at + AROUND <= size;) {
        size_t length = big_endian(bytes + at);
        if (length > size - at - AROUND) return;
        unsigned long sum = crc32(0, bytes + at + 4, (unsigned)length + 4);
        for (size_t i = 0; i < 4; i++) bytes[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
        at += AROUND + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    check(bytes, size);
    uint8_t *repaired = malloc(size ? size : 1);
    if (!repaired) return 0;
    memcpy(repaired, bytes, size);
    repair_sums(repaired, size);
    check(repaired, size);
    free(repaired);
    return 0;
}
