/* Errors: a function that can fail returns a Status and fills an Error that its caller owns. The message
 * says what failed and where, what was expected, what was found, and what to do. */
#ifndef BROOD_BASE_ERROR_H
#define BROOD_BASE_ERROR_H

typedef enum {
    STATUS_OK = 0,
    STATUS_INVALID,   /* the caller's values make no sense: shapes, names, ranges */
    STATUS_NO_MEMORY, /* an allocation failed */
    STATUS_IO,        /* the system refused: missing file, full disk, no permission */
    STATUS_CORRUPT,   /* a file's content is damaged, truncated or hostile */
    STATUS_NOT_FINITE /* a NaN or an infinity where a number was needed */
} Status;

typedef struct {
    Status status;
    char message[1024]; /* one or more lines, no trailing newline */
} Error;

/* Fills `error` (which may be NULL) and returns `status`, so that a failure reads `return error_set(...)`. */
Status error_set(Error *error, Status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts text before the message, as in "runs/00003-digits/run.db: " or a script's "file:line: ". */
Status error_prefix(Error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "out of memory: N bytes for WHAT". */
Status error_no_memory(Error *error, const char *what);

/* A number as messages show it: a NaN has no sign, which no script decides. */
double error_number(double number);

#endif
