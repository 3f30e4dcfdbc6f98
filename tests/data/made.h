/* What the tests of data sets share: folders that come and go, and files made on the spot. */
#ifndef BROOD_TESTS_DATA_MADE_H
#define BROOD_TESTS_DATA_MADE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

enum { PATH = 1024 };

static inline int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *where) {
    (void)facts, (void)kind, (void)where;
    return remove(path);
}

/* cmocka's set-up and tear-down: *state is a fresh folder. */
static inline int folder_up(void **state) {
    char *folder = malloc(PATH);
    if (!folder) return -1;
    const char *place = getenv("TMPDIR");
    snprintf(folder, PATH, "%s/brood-test-XXXXXX", place ? place : "/tmp");
    *state = folder;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int folder_down(void **state) {
    enum { OPEN_FOLDERS = 8 };
    int failed = nftw(*state, remove_entry, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

/* folder/name, in one of a few buffers that take turns. */
static inline const char *path_in(const char *folder, const char *name) {
    static char paths[8][2 * PATH];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", folder, name);
    return paths[next];
}

static inline void make_folder(const char *path) {
    assert_int_equal(mkdir(path, 0777), 0);
}

static inline void make_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A file's content, for free(). */
static inline uint8_t *file_content(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

/* An IDX file's bytes, for free(): `rank` sizes, then values that count up and begin again after `values`. */
static inline uint8_t *idx_bytes(int rank, const uint32_t *sizes, unsigned values, size_t *size) {
    size_t count = 1, used = 4;
    for (int axis = 0; axis < rank; axis++) count *= sizes[axis];
    uint8_t *bytes = malloc(4 + 4 * (size_t)rank + count);
    assert_non_null(bytes);
    memcpy(bytes, (uint8_t[]){0, 0, 8, (uint8_t)rank}, 4);
    for (int axis = 0; axis < rank; axis++)
        for (int shift = 24; shift >= 0; shift -= 8) bytes[used++] = (uint8_t)(sizes[axis] >> shift);
    for (size_t i = 0; i < count; i++) bytes[used++] = (uint8_t)(i % values);
    *size = used;
    return bytes;
}

/* MNIST's pair of files: `count` images, whose pixels tell them apart, with labels 0, 1, ... 9, 0, ... */
static inline void make_mnist(const char *folder, const char *split, uint32_t count) {
    char name[64];
    size_t size;
    uint8_t *bytes = idx_bytes(3, (uint32_t[]){count, 28, 28}, 251, &size);
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", split);
    make_file(path_in(folder, name), bytes, size);
    free(bytes);
    bytes = idx_bytes(1, &count, 10, &size);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", split);
    make_file(path_in(folder, name), bytes, size);
    free(bytes);
}

/* The call fails with the status and says each of the things. */
static inline void assert_says(const Error *error, Status status, const char *const *things) {
    if (error->status != status) print_error("%s\n", error->message);
    assert_int_equal(error->status, status);
    for (; *things; things++) {
        if (!strstr(error->message, *things)) print_error("'%s' is not in: %s\n", *things, error->message);
        assert_non_null(strstr(error->message, *things));
    }
}
#define ASSERT_SAYS(error, status, ...)                                                                      \
    assert_says((error), (status), (const char *const[]){__VA_ARGS__, NULL})

#endif
