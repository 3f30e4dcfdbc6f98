/* The one front to the allocator. All memory that Brood owns comes through these calls, so that tests can
 * count them and make the n-th one fail (they wrap the symbols at link time). */
#ifndef BROOD_BASE_MEMORY_H
#define BROOD_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory for `count` items of `size` bytes, aligned to 64 bytes; NULL when there is none or the
 * product overflows. `count` 0 gives a valid pointer. Freed by memory_free. */
void *memory_new(size_t count, size_t size);

/* Grows or shrinks a block to `bytes`, keeping its content and adding nothing; alignment is the system's.
 * `old` may be NULL. On failure returns NULL and leaves `old` as it was. */
void *memory_resize(void *old, size_t bytes);

/* A copy of a string; NULL when there is no memory or `text` is NULL. */
char *memory_string(const char *text);

void memory_free(void *block);

/* Makes room for one more item in a growing array: `*items` holds `count` of `*room` items of `size` bytes.
 * Doubles the room when full. Returns false, changing nothing, when there is no memory. */
bool memory_grow(void **items, size_t count, size_t *room, size_t size);

#endif
