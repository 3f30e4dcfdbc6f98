#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

void *memory_new(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT) return NULL;
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* never 0 */
    void *block = aligned_alloc(ALIGNMENT, bytes);
    if (block) memset(block, 0, bytes);
    return block;
}

void *memory_resize(void *old, size_t bytes) {
    return realloc(old, bytes ? bytes : 1);
}

char *memory_string(const char *text) {
    if (!text) return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = memory_resize(NULL, bytes);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

void memory_free(void *block) {
    free(block);
}

bool memory_grow(void **items, size_t count, size_t *room, size_t size) {
    if (count < *room) return true;
    size_t wanted = *room ? *room * 2 : 8, bytes;
    if (wanted < *room || __builtin_mul_overflow(wanted, size, &bytes)) return false;
    void *grown = memory_resize(*items, bytes);
    if (!grown) return false;
    *items = grown;
    *room = wanted;
    return true;
}
