#include "tests/support/alloc.h"

#include <stdatomic.h>
#include <stdint.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *block);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void __wrap_free(void *block);

static _Thread_local size_t calls, refuse_at; /* refuse_at: 0 never, else the number of the call */
static _Thread_local bool refuse_onwards, refused;
static atomic_ptrdiff_t live;

size_t alloc_calls(void) {
    return calls;
}

void alloc_refuse(size_t nth, bool onwards) {
    refuse_at = nth ? calls + nth : 0;
    refuse_onwards = onwards;
    refused = false;
}

bool alloc_refused(void) {
    return refused;
}

ptrdiff_t alloc_live(void) {
    return atomic_load(&live);
}

static bool granted(void) {
    calls++;
    bool refuse = refuse_at && (calls == refuse_at || (refuse_onwards && calls > refuse_at));
    refused = refused || refuse;
    return !refuse;
}

static void *counted(void *block) {
    if (block) atomic_fetch_add(&live, 1);
    return block;
}

void *__wrap_malloc(size_t bytes) {
    return granted() ? counted(__real_malloc(bytes)) : NULL;
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return granted() ? counted(__real_calloc(count, bytes)) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return granted() ? counted(__real_aligned_alloc(alignment, bytes)) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes) {
    if (!granted()) return NULL;
    void *block = __real_realloc(old, bytes);
    return old ? block : counted(block);
}

void __wrap_free(void *block) {
    if (block) atomic_fetch_sub(&live, 1);
    __real_free(block);
}
