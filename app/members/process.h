/* Another program, spoken to in lines over its standard input and output. It leads a process group of its
 * own, so that Ctrl-C in a terminal does not reach it and all that it started ends with it; it inherits no
 * descriptor but its standard three. Nothing that it does can hold its caller up for longer than was allowed,
 * and what is said of its failures is the same each time: no process numbers, no times.
 *
 * A process is used by one thread at a time; different ones by different threads. */
#ifndef BROOD_APP_MEMBERS_PROCESS_H
#define BROOD_APP_MEMBERS_PROCESS_H

#include <stddef.h>

#include "base/error.h"

enum {
    PROCESS_LINE = 1 << 16, /* bytes of a line that it may write, with its newline */
    PROCESS_GRACE = 2,      /* seconds to leave when asked to, and again to die by SIGTERM */
    PROCESS_QUOTE = 200     /* room for something it said, in a message */
};

typedef struct Process Process;

typedef struct {
    const char *const *command; /* argv, ending with NULL; found along PATH, run without a shell */
    const char *directory;      /* that it runs in; NULL: the caller's */
    const char *log; /* path of a file to which its standard error is appended; NULL: thrown away */
} ProcessOptions;

/* STATUS_INVALID when the program cannot be started, STATUS_IO when there is no log or no pipe for it. */
Status process_start(Process **process, const ProcessOptions *options, Error *error);

/* Says `size` bytes, which end with a newline, and hears a line, which is text without its newline and stays
 * valid until the next call. When none comes within `limit` seconds, or the program ends, or its line is too
 * long, the status is STATUS_INVALID, and nothing but process_stop makes sense. */
Status process_ask(Process *process, const char *bytes, size_t size, double limit, const char **line,
                   size_t *length, Error *error);

/* Ends it and all of its group, and reaps it: by the farewell, a line with its newline, and by the end of its
 * standard input; then by SIGTERM, then by SIGKILL. Without a farewell (NULL) SIGTERM comes at once. Stopping
 * twice does nothing. */
void process_stop(Process *process, const char *farewell);
void process_free(Process *process); /* stops it; NULL does nothing */

/* CPU seconds that it and those of its children that have ended have used. */
double process_cpu(Process *process);

/* What it said, for a message: cut, on one line, and valid UTF-8 whatever it was. */
void process_quote(char text[PROCESS_QUOTE], const char *bytes, size_t size);

#endif
