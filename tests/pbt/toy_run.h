/* Runs of the toy in tests: checks, directories that vanish again, and exports as one text. */
#ifndef BROOD_TESTS_PBT_TOY_RUN_H
#define BROOD_TESTS_PBT_TOY_RUN_H

#include "tests/pbt/toy.h"

#include <ftw.h>
#include <unistd.h>

/* ---- checks -------------------------------------------------------------------------------------------- */

static Error toy_error;

#define assert_ok(call)                                                                                      \
    do {                                                                                                     \
        toy_error = (Error){.status = STATUS_OK};                                                            \
        if ((call) != STATUS_OK) fail_msg("%s: %s", #call, toy_error.message);                               \
    } while (0)

#define assert_refused(call, expected, words)                                                                \
    do {                                                                                                     \
        toy_error = (Error){.status = STATUS_OK};                                                            \
        assert_int_equal(call, expected);                                                                    \
        if (!strstr(toy_error.message, words)) fail_msg("\"%s\" is not in: %s", words, toy_error.message);   \
    } while (0)

/* cmocka's own compares floats. */
#define assert_near(value, expected, tolerance)                                                              \
    do {                                                                                                     \
        double found = (value), wanted = (expected);                                                         \
        if (!(fabs(found - wanted) <= (tolerance))) fail_msg("%s is %.9g, not %.9g", #value, found, wanted); \
    } while (0)

static inline double toy_best(const PbtRun *run) {
    double best = -INFINITY;
    for (size_t i = 0; i < pbt_run_count(run); i++) {
        PbtView view = pbt_run_view(run, i);
        if (!view.failed && view.score.score > best) best = view.score.score;
    }
    return best;
}

/* ---- directories --------------------------------------------------------------------------------------- */

static inline int toy_remove_one(const char *path, const struct stat *facts, int type, struct FTW *place) {
    (void)facts, (void)type, (void)place;
    return remove(path);
}

static inline void toy_remove(const char *directory) {
    nftw(directory, toy_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A new directory for runs; memory is the quickest place for it. */
static inline void toy_directory(char path[256]) {
    snprintf(path, 256, "%s/brood-pbt-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(path));
}

/* ---- exports as one text ------------------------------------------------------------------------------- */

typedef struct {
    char *text;
    size_t used, room;
} ToyText;

static inline void toy_write(ToyText *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void toy_write(ToyText *text, const char *format, ...) {
    if (text->used + 2048 > text->room) {
        text->room = text->room ? 2 * text->room : 1 << 16;
        text->text = memory_resize(text->text, text->room);
        assert_non_null(text->text);
    }
    va_list arguments;
    va_start(arguments, format);
    text->used += (size_t)vsnprintf(text->text + text->used, 2048, format, arguments);
    va_end(arguments);
}

static inline Status toy_row(void *context, const char *table, const PbtField *fields, size_t count,
                             Error *error) {
    ToyText *text = context;
    (void)error;
    toy_write(text, "%s", table);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].type == PBT_FIELD_WHOLE) toy_write(text, ",%lld", (long long)fields[i].whole);
        if (fields[i].type == PBT_FIELD_REAL) toy_write(text, ",%.17g", fields[i].real);
        if (fields[i].type == PBT_FIELD_TEXT) toy_write(text, ",%s", fields[i].text);
        if (fields[i].type == PBT_FIELD_NOTHING) toy_write(text, ",-");
    }
    toy_write(text, "\n");
    return STATUS_OK;
}

/* To be freed by memory_free. */
static inline char *toy_export(const char *directory, bool ledger) {
    ToyText text = {.text = NULL};
    assert_ok(pbt_export(directory, ledger, toy_row, &text, &toy_error));
    assert_non_null(text.text);
    return text.text;
}

#endif
