/* Fuzzes the reader of CIFAR-10's binary files. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "gan/data/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    Pictures pictures = {.count = 0};
    Error error;
    for (int file = 0; file < 2; file++) { /* as two files of one set */
        if (cifar_parse("fuzz", bytes, size, &pictures, &error)) break;
        for (int64_t i = 0; i < pictures.count; i++)
            if (pictures.labels[i] > 9) abort();
        if (pictures.pixels[pictures.count * CIFAR_PIXELS - 1] != bytes[size - 1]) abort();
    }
    pictures_free(&pictures);
    return 0;
}
