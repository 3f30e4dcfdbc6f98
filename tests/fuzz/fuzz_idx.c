/* Fuzzes the reader of IDX files, plain and gzipped. */
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "gan/data/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    IdxArray array;
    Error error;
    if (idx_parse("fuzz", bytes, size, &array, &error)) return 0;
    size_t count = 1, sum = 0;
    for (int axis = 0; axis < array.rank; axis++) count *= array.size[axis];
    for (size_t i = 0; i < count; i++) sum += array.values[i]; /* every value promised can be read */
    memory_free(array.values);
    return sum == SIZE_MAX; /* never: keeps the sum alive */
}
