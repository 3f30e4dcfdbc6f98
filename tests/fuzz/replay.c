/* Stands in for libFuzzer's main: runs a fuzz target over the files that are given, so that seeds and what
 * was once found are an ordinary test with any compiler. Usage: replay FILE... */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The input in memory of just its size, so that a sanitizer sees every byte read beyond it. */
static int replay(const char *path) {
    enum { LIMIT = 1 << 24 };
    FILE *file = fopen(path, "rb");
    uint8_t *room = malloc(LIMIT);
    if (!file || !room) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    size_t size = fread(room, 1, LIMIT, file);
    fclose(file);
    uint8_t *bytes = realloc(room, size ? size : 1);
    if (!bytes) return 1;
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return 0;
}

int main(int count, char **paths) {
    for (int i = 1; i < count; i++)
        if (replay(paths[i])) return 1;
    printf("%d files replayed\n", count - 1);
    return count < 2; /* a test without seeds tests nothing */
}
