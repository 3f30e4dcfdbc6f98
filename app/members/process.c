#include "app/members/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct Process {
    pid_t pid;    /* 0: it has been reaped */
    int to, from; /* its standard input and output; -1: closed */
    char heard[PROCESS_LINE];
    size_t used;  /* bytes of what was heard */
    size_t taken; /* of them the line that the caller has */
    double cpu;   /* seconds, when last looked at */
    char log[FILE_PATH_LIMIT];
    off_t log_start; /* what others wrote before it */
};

extern char **environ;

/* ---- starting ------------------------------------------------------------------------------------------ */

/* Where Brood was started without standard descriptors, their numbers are free, but in the child's way. */
static int above_standard(int descriptor) {
    if (descriptor < 0 || descriptor > STDERR_FILENO) return descriptor;
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    close(descriptor);
    return moved;
}

static void close_end(int *descriptor) {
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
}

static bool open_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    *reading = above_standard(ends[0]);
    *writing = above_standard(ends[1]);
    return *reading >= 0 && *writing >= 0;
}

static Status open_log(Process *process, const char *path, int *log, Error *error) {
    struct stat facts;
    int flags = path ? O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC : O_WRONLY | O_CLOEXEC;
    *log = above_standard(open(path ? path : "/dev/null", flags, 0666));
    if (*log < 0 || fstat(*log, &facts) != 0)
        return error_set(error, STATUS_IO, "%s: cannot be written: %s", path ? path : "/dev/null",
                         strerror(errno));
    snprintf(process->log, sizeof process->log, "%s", path ? path : "");
    process->log_start = facts.st_size;
    return STATUS_OK;
}

static int plan_descriptors(posix_spawn_file_actions_t *actions, const char *directory, const int ends[3]) {
    int reason = directory ? posix_spawn_file_actions_addchdir_np(actions, directory) : 0;
    for (int i = 0; !reason && i < 3; i++) reason = posix_spawn_file_actions_adddup2(actions, ends[i], i);
    return reason ? reason : posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
}

/* Signals that Brood ignores or blocks would be so in the program too. */
static int plan_signals(posix_spawnattr_t *attributes) {
    sigset_t usual, none;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGQUIT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    int reason = posix_spawnattr_setsigdefault(attributes, &usual);
    if (!reason) reason = posix_spawnattr_setsigmask(attributes, &none);
    if (!reason) reason = posix_spawnattr_setpgroup(attributes, 0);
    return reason ? reason
                  : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
                                                             POSIX_SPAWN_SETPGROUP);
}

static int spawn(Process *process, const ProcessOptions *options, const int ends[3]) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int reason = posix_spawn_file_actions_init(&actions);
    if (reason) return reason;
    reason = posix_spawnattr_init(&attributes);
    if (!reason) {
        reason = plan_descriptors(&actions, options->directory, ends);
        if (!reason) reason = plan_signals(&attributes);
        if (!reason)
            reason = posix_spawnp(&process->pid, options->command[0], &actions, &attributes,
                                  (char *const *)(uintptr_t)options->command, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (reason) process->pid = 0;
    return reason;
}

Status process_start(Process **out, const ProcessOptions *options, Error *error) {
    *out = NULL;
    Process *process = memory_new(1, sizeof *process);
    if (!process) return error_no_memory(error, "a program");
    process->to = process->from = -1;
    int ends[3] = {-1, -1, -1};
    Status status = open_log(process, options->log, &ends[STDERR_FILENO], error);
    if (!status &&
        (!open_pipe(&ends[STDIN_FILENO], &process->to) || !open_pipe(&process->from, &ends[STDOUT_FILENO]) ||
         fcntl(process->to, F_SETFL, O_NONBLOCK) != 0 || fcntl(process->from, F_SETFL, O_NONBLOCK) != 0))
        status = error_set(error, STATUS_IO, "there is no pipe for the program: %s", strerror(errno));
    int reason = status ? 0 : spawn(process, options, ends);
    if (reason)
        status = error_set(error, STATUS_INVALID, "the program cannot be started: %s: %s",
                           options->command[0], strerror(reason));
    for (int i = 0; i < 3; i++) close_end(&ends[i]);
    if (status)
        process_free(process);
    else
        *out = process;
    return status;
}

/* ---- its end ------------------------------------------------------------------------------------------- */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Whether it has ended. It is not reaped: until then nobody else can get its number. */
static bool has_ended(const Process *process, siginfo_t *how) {
    *how = (siginfo_t){.si_pid = 0};
    return waitid(P_PID, (id_t)process->pid, how, WEXITED | WNOHANG | WNOWAIT) == 0 && how->si_pid != 0;
}

static bool wait_for_end(const Process *process, siginfo_t *how) {
    const struct timespec nap = {.tv_nsec = 2 * 1000 * 1000};
    double deadline = seconds() + PROCESS_GRACE;
    while (!has_ended(process, how)) {
        if (seconds() > deadline) return false;
        nanosleep(&nap, NULL);
    }
    return true;
}

/* The last line of its standard error that is not empty; "" where there is none. */
static void last_words(const Process *process, char words[PROCESS_QUOTE]) {
    char tail[2048];
    struct stat facts;
    *words = '\0';
    int log = *process->log ? open(process->log, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (log < 0) return;
    if (fstat(log, &facts) == 0) {
        off_t start = facts.st_size - (off_t)sizeof tail;
        if (start < process->log_start) start = process->log_start;
        ssize_t size = pread(log, tail, sizeof tail, start);
        while (size > 0 && strchr(" \t\r\n", tail[size - 1])) size--;
        ssize_t first = size > 0 ? size : 0;
        while (first > 0 && tail[first - 1] != '\n') first--;
        if (size > first) process_quote(words, tail + first, (size_t)(size - first));
    }
    close(log);
}

static Status tell_end(const Process *process, Error *error) {
    siginfo_t how;
    char words[PROCESS_QUOTE];
    if (!wait_for_end(process, &how))
        return error_set(error, STATUS_INVALID, "the program closed its standard output");
    last_words(process, words);
    const char *before = *words ? "; the last line of its stderr: " : "";
    if (how.si_code == CLD_EXITED)
        return error_set(error, STATUS_INVALID, "the program exited with status %d%s%s", how.si_status,
                         before, words);
    const char *name = sigabbrev_np(how.si_status);
    return error_set(error, STATUS_INVALID, "the program was killed by signal %d%s%s%s%s", how.si_status,
                     name ? ", SIG" : "", name ? name : "", before, words);
}

/* ---- saying and hearing -------------------------------------------------------------------------------- */

/* A write that raises no SIGPIPE, which would end Brood. */
static ssize_t write_quietly(int descriptor, const char *bytes, size_t size) {
    const struct timespec now = {0};
    sigset_t pipe_signal, before, pending;
    sigpending(&pending);
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    ssize_t written = write(descriptor, bytes, size);
    int reason = errno;
    if (written < 0 && reason == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe_signal, NULL, &now) < 0 && errno == EINTR) {}
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = reason;
    return written;
}

/* Says what can be said. Who does not listen any more may have said why: that is for whoever hears. */
static void say(Process *process, const char **bytes, size_t *size) {
    ssize_t written = write_quietly(process->to, *bytes, *size);
    if (written >= 0) {
        *bytes += written;
        *size -= (size_t)written;
    } else if (errno != EAGAIN && errno != EINTR) {
        *size = 0;
    }
}

/* False when there is nothing more to be heard, ever. */
static bool hear(Process *process) {
    ssize_t count = read(process->from, process->heard + process->used, PROCESS_LINE - process->used);
    if (count > 0) process->used += (size_t)count;
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Waits for at most `patience` seconds, and not for long, until something can be said or heard. A program
 * that has ended may have left its pipes to children of its own: what it said itself is there by then. */
static bool exchange(Process *process, const char **bytes, size_t *size, double patience) {
    enum { LONGEST = 100 }; /* milliseconds */
    struct pollfd ends[2] = {{process->from, POLLIN, 0}, {*size > 0 ? process->to : -1, POLLOUT, 0}};
    siginfo_t how;
    bool ended = has_ended(process, &how);
    int wait = ended ? 0 : patience * 1000 < LONGEST ? (int)(patience * 1000) + 1 : LONGEST;
    int ready = poll(ends, 2, wait);
    if (ready <= 0) return !ended;
    if (ends[1].revents) say(process, bytes, size);
    return ends[0].revents ? hear(process) : true;
}

static bool take_line(Process *process, const char **line, size_t *length) {
    char *end = memchr(process->heard, '\n', process->used);
    if (!end) return false;
    *end = '\0';
    *line = process->heard;
    *length = (size_t)(end - process->heard);
    process->taken = *length + 1;
    return true;
}

Status process_ask(Process *process, const char *bytes, size_t size, double limit, const char **line,
                   size_t *length, Error *error) {
    double deadline = seconds() + limit;
    if (process->pid == 0) return error_set(error, STATUS_INVALID, "the program has been stopped");
    process->used -= process->taken;
    memmove(process->heard, process->heard + process->taken, process->used);
    process->taken = 0;
    while (!take_line(process, line, length)) {
        double left = deadline - seconds();
        if (process->used == PROCESS_LINE)
            return error_set(error, STATUS_INVALID, "the program wrote a line of over %d bytes",
                             PROCESS_LINE - 1);
        if (left <= 0)
            return error_set(error, STATUS_INVALID, "the program gave no answer within %g s", limit);
        if (!exchange(process, &bytes, &size, left)) return tell_end(process, error);
    }
    return STATUS_OK;
}

/* ---- stopping ------------------------------------------------------------------------------------------ */

static double timeval_seconds(struct timeval time) {
    return (double)time.tv_sec + 1e-6 * (double)time.tv_usec;
}

void process_stop(Process *process, const char *farewell) {
    siginfo_t how;
    if (process->pid > 0) {
        size_t size = farewell ? strlen(farewell) : 0;
        if (farewell) say(process, &farewell, &size);
        close_end(&process->to);
        if (!farewell || !wait_for_end(process, &how)) {
            kill(-process->pid, SIGTERM);
            wait_for_end(process, &how);
        }
        kill(-process->pid, SIGKILL); /* also what it left behind, if it has ended itself */
        struct rusage used;
        while (wait4(process->pid, NULL, 0, &used) < 0 && errno == EINTR) {}
        process->cpu = timeval_seconds(used.ru_utime) + timeval_seconds(used.ru_stime);
    }
    process->pid = 0;
    close_end(&process->to);
    close_end(&process->from);
}

void process_free(Process *process) {
    if (!process) return;
    process_stop(process, NULL);
    memory_free(process);
}

/* ---- CPU seconds --------------------------------------------------------------------------------------- */

/* Of /proc/PID/stat the fields 14 to 17: user and system time, its own and that of children it has reaped.
 * The second field, its name in parentheses, may hold anything. */
static void look_at_cpu(Process *process) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)process->pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    text[size > 0 ? size : 0] = '\0';
    const char *fields = strrchr(text, ')');
    unsigned long long ticks[4];
    if (fields && sscanf(fields + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu %llu %llu",
                         &ticks[0], &ticks[1], &ticks[2], &ticks[3]) == 4)
        process->cpu = (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]) / (double)sysconf(_SC_CLK_TCK);
}

double process_cpu(Process *process) {
    if (process->pid > 0) look_at_cpu(process);
    return process->cpu;
}

/* ---- quoting ------------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character that begins here; 0 when none does. */
static size_t utf8_length(const unsigned char *bytes, size_t size) {
    unsigned first = bytes[0], second = size > 1 ? bytes[1] : 0;
    size_t length = first < 0x80   ? 1
                    : first < 0xC2 ? 0
                    : first < 0xE0 ? 2
                    : first < 0xF0 ? 3
                    : first < 0xF5 ? 4
                                   : 0;
    if (length > size) return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xC0) != 0x80) return 0;
    bool too_long = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    bool no_character = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
    return too_long || no_character ? 0 : length;
}

void process_quote(char text[PROCESS_QUOTE], const char *bytes, size_t size) {
    static const char MORE[] = "...";
    size_t used = 0;
    while (size > 0) {
        size_t length = utf8_length((const unsigned char *)bytes, size), step = length ? length : 1;
        if (used + step + sizeof MORE > PROCESS_QUOTE) {
            memcpy(text + used, MORE, sizeof MORE);
            return;
        }
        bool control = (unsigned char)*bytes < 0x20 || *bytes == 0x7F;
        memcpy(text + used, control ? " " : length ? bytes : "?", step);
        used += step;
        bytes += step;
        size -= step;
    }
    text[used] = '\0';
}
