/* Watches the allocator. Tests are linked with
 *     -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=free
 * which brings every such call of Brood and of the tests here (not those inside shared libraries): under
 * base/memory.h, so that its own inner calls are seen as well, and beside it, so that a stray malloc is. */
#ifndef BROOD_TESTS_ALLOC_H
#define BROOD_TESTS_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Calls of this thread that asked for memory, since it started. */
size_t alloc_calls(void);

/* From now on the n-th call of this thread (1: the next) gets NULL, and with `onwards` all after it too;
 * 0 ends that. */
void alloc_refuse(size_t nth, bool onwards);
bool alloc_refused(void); /* whether a call was refused since */

/* Blocks of the process that are allocated and not yet freed. */
ptrdiff_t alloc_live(void);

#endif
