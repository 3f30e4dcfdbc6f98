/* What the tests of metrics assert. */
#ifndef BROOD_TESTS_METRICS_CHECK_H
#define BROOD_TESTS_METRICS_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/metrics.h"

/* Fails unless |got − expected| <= tolerance · |expected|, or <= tolerance where 0 is expected. */
#define assert_near(got, expected, tolerance) check_near(got, expected, tolerance, #got, __FILE__, __LINE__)

static inline void check_near(double got, double expected, double tolerance, const char *what,
                              const char *file, int line) {
    double scale = fabs(expected) > 0 ? fabs(expected) : 1;
    if (fabs(got - expected) <= tolerance * scale) return;
    print_error("%s is %.17g, expected %.17g: off by %.2g\n", what, got, expected, (got - expected) / scale);
    _fail(file, line);
}

#define assert_ok(status) check_ok(status, &error, __FILE__, __LINE__)

static inline void check_ok(Status status, const Error *error, const char *file, int line) {
    if (status == STATUS_OK) return;
    print_error("%s\n", error->message);
    _fail(file, line);
}

/* Fails unless `status` is the expected one and the message holds the text. */
#define assert_refused(status, expected, text)                                                               \
    check_refused(status, expected, text, &error, __FILE__, __LINE__)

static inline void check_refused(Status status, Status expected, const char *text, const Error *error,
                                 const char *file, int line) {
    if (status == expected && error->status == expected && strstr(error->message, text)) return;
    print_error("status %d, expected %d with \"%s\" in the message: %s\n", (int)status, (int)expected, text,
                status ? error->message : "none");
    _fail(file, line);
}

#endif
