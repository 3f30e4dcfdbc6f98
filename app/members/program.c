#include "app/members/program.h"

#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/members/process.h"
#include "base/memory.h"

struct ProgramKind {
    ProgramOptions options;
    PbtKind table;
    char exchange[PATH_MAX]; /* the folder through which states go from one member to another */
    bool passing;            /* and which goes with the kind */
};

typedef struct {
    const ProgramKind *kind;
    int64_t slot;
    int64_t asked; /* requests */
    Process *process;
    off_t size;    /* of the state that it saved last */
    Error failure; /* its first; the program is stopped by then */
} Program;

/* ---- what is said -------------------------------------------------------------------------------------- */

/* Every cJSON function passes a NULL on, so that only results are looked at. */

/* In the fewest digits, at most 17, that give the same number back; cJSON's own may be off by a bit. */
static bool add_number(cJSON *object, const char *name, double value) {
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

static bool add_whole(cJSON *object, const char *name, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

static bool add_seed(cJSON *object, const char *name, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

static bool add_text(cJSON *object, const char *name, const char *text) {
    return cJSON_AddStringToObject(object, name, text) != NULL;
}

static bool add_values(cJSON *object, const PbtSpace *space, const double *values) {
    cJSON *hypers = cJSON_AddObjectToObject(object, "hyper");
    bool fine = hypers != NULL;
    for (size_t i = 0; fine && i < space->count; i++) {
        const PbtHyper *hyper = &space->hypers[i];
        const char *label = pbt_hyper_label(hyper, values[i]);
        fine = label ? add_text(hypers, hyper->name, label) : add_number(hypers, hyper->name, values[i]);
    }
    return fine;
}

static cJSON *request_new(Program *program, const char *command) {
    cJSON *request = cJSON_CreateObject();
    if (add_whole(request, "id", ++program->asked) && add_text(request, "command", command)) return request;
    cJSON_Delete(request);
    return NULL;
}

/* The request as a line, to be freed by cJSON_free; NULL when there is no memory. The request is deleted. */
static char *line_of(cJSON *request, bool whole, size_t *size) {
    char *line = whole ? cJSON_PrintUnformatted(request) : NULL;
    cJSON_Delete(request);
    if (!line) return NULL;
    *size = strlen(line) + 1;
    line[*size - 1] = '\n'; /* in the place of the zero */
    return line;
}

/* ---- what is answered ---------------------------------------------------------------------------------- */

static const cJSON *item(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static Status take_number(const cJSON *object, const char *name, double *value, Error *error) {
    const cJSON *found = item(object, name);
    if (!found) return error_set(error, STATUS_INVALID, "the answer lacks a number: %s", name);
    if (!cJSON_IsNumber(found))
        return error_set(error, STATUS_INVALID, "the answer has something else than a number: %s", name);
    *value = found->valuedouble;
    return isfinite(*value)
               ? STATUS_OK
               : error_set(error, STATUS_NOT_FINITE, "the answer has a number that is not finite: %s", name);
}

static Status not_json(const char *line, size_t length, Error *error) {
    char quoted[PROCESS_QUOTE];
    process_quote(quoted, line, length);
    if (strstr(line, "NaN") || strstr(line, "Infinity"))
        return error_set(error, STATUS_NOT_FINITE,
                         "the answer is not JSON, which knows no NaN and no infinity: %s", quoted);
    return error_set(error, STATUS_CORRUPT, "the answer is not a JSON object on one line: %s", quoted);
}

/* An error needs no id, so that a program can tell of one whose request it has not understood. */
static Status check_answer(const Program *program, const cJSON *answer, Error *error) {
    const cJSON *failure = item(answer, "error"), *id = item(answer, "id");
    char quoted[PROCESS_QUOTE] = "it does not say why";
    if (failure && !cJSON_IsNull(failure)) {
        if (cJSON_IsString(failure))
            process_quote(quoted, failure->valuestring, strlen(failure->valuestring));
        return error_set(error, STATUS_INVALID, "%s", quoted);
    }
    if (!cJSON_IsNumber(id))
        return error_set(error, STATUS_CORRUPT, "the answer has no id; it must be that of the request");
    if (id->valuedouble != (double)program->asked)
        return error_set(error, STATUS_CORRUPT,
                         "the answer has the id of another request: each must be answered once, in turn");
    return STATUS_OK;
}

static Status read_answer(const Program *program, const char *line, size_t length, cJSON **answer,
                          Error *error) {
    *answer = cJSON_ParseWithLengthOpts(line, length + 1, NULL, true);
    if (!cJSON_IsObject(*answer)) return not_json(line, length, error);
    return check_answer(program, *answer, error);
}

/* One request, which is used up, and its answer, to be deleted. */
static Status ask(Program *program, cJSON *request, bool whole, double limit, cJSON **answer, Error *error) {
    size_t size, length;
    const char *said;
    *answer = NULL;
    char *line = line_of(request, whole, &size);
    if (!line) return error_no_memory(error, "a request");
    Status status = process_ask(program->process, line, size, limit, &said, &length, error);
    cJSON_free(line);
    return status ? status : read_answer(program, said, length, answer, error);
}

/* A request whose answer says no more than that it has been done. */
static Status order(Program *program, cJSON *request, bool whole, double limit, Error *error) {
    cJSON *answer;
    Status status = ask(program, request, whole, limit, &answer, error);
    cJSON_Delete(answer);
    return status;
}

/* ---- failing ------------------------------------------------------------------------------------------- */

/* What each function begins with: a program that has failed stays failed. */
static Status still_there(const Program *program, Error *error) {
    const Error *failure = &program->failure;
    return failure->status ? error_set(error, failure->status, "%s", failure->message) : STATUS_OK;
}

/* And what it ends with: pbt/ does not use a failed member again, and so the program has no more to do. */
static Status conclude(Program *program, const char *command, Status status, Error *error) {
    if (!status || program->failure.status) return status;
    error_prefix(error, "%s: ", command);
    if (error) program->failure = *error;
    program->failure.status = status;
    process_stop(program->process, NULL);
    return status;
}

/* ---- create, free -------------------------------------------------------------------------------------- */

static bool lists(const cJSON *names, const char *name) {
    const cJSON *one;
    cJSON_ArrayForEach(one,
                       names) if (cJSON_IsString(one) && strcmp(one->valuestring, name) == 0) return true;
    return false;
}

static Status check_capabilities(const Program *program, const cJSON *answer, Error *error) {
    const ProgramOptions *options = &program->kind->options;
    double version;
    Status status = take_number(answer, "version", &version, error);
    if (status) return status;
    if (version != PROGRAM_VERSION)
        return error_set(error, STATUS_INVALID,
                         "the program speaks version %g of the protocol: %d was expected", version,
                         PROGRAM_VERSION);
    if (cJSON_IsFalse(item(answer, "save")))
        return error_set(error, STATUS_INVALID,
                         "the program cannot save: members are copied and kept by saving and loading");
    for (size_t i = 0; i < options->report_count; i++)
        if (!lists(item(answer, "reports"), options->reports[i]))
            return error_set(error, STATUS_INVALID,
                             "the program does not list the report score %s among its reports",
                             options->reports[i]);
    return STATUS_OK;
}

static Status greet(Program *program, const PbtBirth *birth, Error *error) {
    const ProgramOptions *options = &program->kind->options;
    cJSON *request = request_new(program, "hello"), *answer;
    bool whole = add_whole(request, "version", PROGRAM_VERSION) && add_seed(request, "seed", birth->seed) &&
                 add_whole(request, "slot", birth->slot) &&
                 add_values(request, &options->space, birth->values);
    Status status = ask(program, request, whole, options->time_limit, &answer, error);
    if (!status) status = check_capabilities(program, answer, error);
    cJSON_Delete(answer);
    return status;
}

static Status start(Program *program, Error *error) {
    const ProgramOptions *options = &program->kind->options;
    ProcessOptions process = {options->command, options->working_directory, NULL};
    char log[FILE_PATH_LIMIT + 64];
    if (options->folder) {
        snprintf(log, sizeof log, "%s/member-%" PRId64 ".txt", program->kind->exchange, program->slot);
        process.log = log;
    }
    return process_start(&program->process, &process, error);
}

static void program_free(void *context, void *member) {
    Program *program = member;
    char farewell[64];
    (void)context;
    if (!program) return;
    snprintf(farewell, sizeof farewell, "{\"id\":%" PRId64 ",\"command\":\"quit\"}\n", program->asked + 1);
    if (program->process) process_stop(program->process, farewell);
    process_free(program->process);
    memory_free(program);
}

static Status create(void *context, void *worker, const PbtBirth *birth, void **member, Error *error) {
    (void)worker;
    Program *program = memory_new(1, sizeof *program);
    if (!program) return error_no_memory(error, "a program");
    *program = (Program){.kind = context, .slot = birth->slot};
    Status status = start(program, error);
    if (!status) status = conclude(program, "hello", greet(program, birth, error), error);
    if (status)
        program_free(context, program);
    else
        *member = program;
    return status;
}

/* ---- apply --------------------------------------------------------------------------------------------- */

static Status take_label(const PbtHyper *hyper, const char *wanted, const cJSON *found, double *value,
                         Error *error) {
    char quoted[PROCESS_QUOTE];
    if (!cJSON_IsString(found))
        return error_set(error, STATUS_INVALID, "the answer's %s is not a text", hyper->name);
    if (strcmp(found->valuestring, wanted) == 0) return STATUS_OK;
    *value = NAN;
    process_quote(quoted, found->valuestring, strlen(found->valuestring));
    return error_set(error, STATUS_INVALID, "%s was set to \"%s\", but the program reads \"%s\"", hyper->name,
                     wanted, quoted);
}

static Status take_values(const PbtSpace *space, const cJSON *hypers, const double *values, double *applied,
                          Error *error) {
    Status status = STATUS_OK;
    for (size_t i = 0; !status && i < space->count; i++) {
        const PbtHyper *hyper = &space->hypers[i];
        const char *label = pbt_hyper_label(hyper, values[i]);
        applied[i] = values[i];
        status = label ? take_label(hyper, label, item(hypers, hyper->name), &applied[i], error)
                       : take_number(hypers, hyper->name, &applied[i], error);
    }
    return status;
}

static Status apply(void *context, void *worker, void *member, const double *values, double *applied,
                    Error *error) {
    Program *program = member;
    const ProgramOptions *options = &program->kind->options;
    (void)context, (void)worker;
    Status status = still_there(program, error);
    if (status) return status;
    cJSON *request = request_new(program, "set"), *answer;
    bool whole = add_values(request, &options->space, values);
    status = ask(program, request, whole, options->time_limit, &answer, error);
    if (!status) status = take_values(&options->space, item(answer, "hyper"), values, applied, error);
    cJSON_Delete(answer);
    return conclude(program, "set", status, error);
}

/* ---- step, score --------------------------------------------------------------------------------------- */

static Status step(void *context, void *worker, void *member, int64_t first, int64_t steps, Error *error) {
    Program *program = member;
    (void)context, (void)worker;
    Status status = still_there(program, error);
    if (status) return status;
    cJSON *request = request_new(program, "step");
    bool whole = add_whole(request, "first", first) && add_whole(request, "steps", steps);
    status = order(program, request, whole, program->kind->options.step_limit, error);
    return conclude(program, "step", status, error);
}

/* A report score that could not be measured is null. */
static Status take_score(const ProgramOptions *options, const cJSON *answer, PbtScore *score, Error *error) {
    const cJSON *reports = item(answer, "reports");
    Status status = take_number(answer, "score", &score->score, error);
    score->deviation = 0;
    if (!status && item(answer, "deviation"))
        status = take_number(answer, "deviation", &score->deviation, error);
    for (size_t i = 0; !status && i < options->report_count; i++) {
        const char *name = options->reports[i];
        score->reports[i] = NAN;
        if (!cJSON_IsNull(item(reports, name)))
            status = take_number(reports, name, &score->reports[i], error);
    }
    return status;
}

static Status score(void *context, void *worker, void *member, PbtScore *score, Error *error) {
    Program *program = member;
    const ProgramOptions *options = &program->kind->options;
    (void)context, (void)worker;
    Status status = still_there(program, error);
    if (status) return status;
    cJSON *answer;
    status = ask(program, request_new(program, "score"), true, options->time_limit, &answer, error);
    if (!status) status = take_score(options, answer, score, error);
    cJSON_Delete(answer);
    return conclude(program, "score", status, error);
}

/* ---- states -------------------------------------------------------------------------------------------- */

enum { STATE_PATH = PATH_MAX + FILE_HASH + 16 };

/* Has the form of a state's name with an ending, so that what a killed run leaves in the folder of its states
 * is known for what it is, and removed. */
static void unfinished(char path[STATE_PATH], const Program *program, const char *folder,
                       const char *ending) {
    snprintf(path, STATE_PATH, "%s/%032" PRIx64 "%s.tmp", folder, (uint64_t)program->slot, ending);
}

static Status save_at(Program *program, const char *path, char hash[FILE_HASH], Error *error) {
    struct stat facts;
    unlink(path); /* of a run that was killed */
    cJSON *request = request_new(program, "save");
    bool whole = add_text(request, "path", path);
    Status status = order(program, request, whole, program->kind->options.time_limit, error);
    if (status) return status;
    if (stat(path, &facts) != 0 || !S_ISREG(facts.st_mode))
        return error_set(error, STATUS_INVALID,
                         "the program says that it has saved, but there is no file at the path it was given; "
                         "some libraries add an ending to a file's name");
    if (file_hash_at(path, hash, error))
        return error_set(error, STATUS_INVALID, "what the program saved cannot be read");
    program->size = facts.st_size;
    return STATUS_OK;
}

static Status load_from(Program *program, const char *path, Error *error) {
    cJSON *request = request_new(program, "load");
    bool whole = add_text(request, "path", path);
    return order(program, request, whole, program->kind->options.time_limit, error);
}

static Status hash(void *context, void *worker, void *member, char hash[FILE_HASH], Error *error) {
    Program *program = member;
    char path[STATE_PATH];
    (void)context, (void)worker;
    Status status = still_there(program, error);
    if (status) return status;
    unfinished(path, program, program->kind->exchange, "");
    status = conclude(program, "save", save_at(program, path, hash, error), error);
    unlink(path);
    return status;
}

static Status copy(void *context, void *worker, void *member, void *donor, unsigned parts, Error *error) {
    Program *program = member, *from = donor;
    char path[STATE_PATH], found[FILE_HASH];
    (void)context, (void)worker, (void)parts;
    Status status = still_there(program, error);
    if (!status) status = still_there(from, error);
    if (status) return status;
    unfinished(path, from, program->kind->exchange, "");
    status = conclude(from, "save", save_at(from, path, found, error), error);
    if (!status) status = conclude(program, "load", load_from(program, path, error), error);
    unlink(path);
    return status;
}

/* When a program could not save, it may be that nobody could. Asks for as much room as it last needed. */
static Status check_room(const Program *program, const char *folder, Error *error) {
    enum { LEAST = 1 << 16 };
    char path[STATE_PATH];
    unfinished(path, program, folder, ".room");
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int reason = file < 0 ? errno : posix_fallocate(file, 0, program->size > LEAST ? program->size : LEAST);
    if (file >= 0) close(file);
    unlink(path);
    return reason ? error_set(error, STATUS_IO, "%s: no state can be written: %s", folder, strerror(reason))
                  : STATUS_OK;
}

/* Gives the file its name for good. Another member, or an earlier round, may have had the same. */
static Status settle(const char *written, const char *folder, const char *hash, Error *error) {
    char path[STATE_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, hash);
    if (access(path, F_OK) == 0) {
        unlink(written);
        return file_sync_folder(path, error);
    }
    int file = open(written, O_RDONLY | O_CLOEXEC);
    bool fine = file >= 0 && fsync(file) == 0;
    int reason = errno;
    if (file >= 0) close(file);
    if (fine && rename(written, path) != 0) {
        fine = false;
        reason = errno;
    }
    if (fine) return file_sync_folder(path, error);
    unlink(written);
    return error_set(error, STATUS_IO, "%s: cannot be written: %s", path, strerror(reason));
}

static Status save(void *context, void *worker, void *member, const char *folder, char hash[FILE_HASH],
                   Error *error) {
    Program *program = member;
    char root[PATH_MAX], path[STATE_PATH];
    (void)context, (void)worker;
    Status status = still_there(program, error);
    if (status) return status;
    if (!realpath(folder, root))
        return error_set(error, STATUS_IO, "%s: no state can be written: %s", folder, strerror(errno));
    unfinished(path, program, root, "");
    status = conclude(program, "save", save_at(program, path, hash, error), error);
    if (!status) return settle(path, root, hash, error);
    Status room = check_room(program, root, error);
    unlink(path);
    return room ? room : status;
}

static Status load(void *context, void *worker, void *member, const char *folder, const char *hash,
                   Error *error) {
    Program *program = member;
    char root[PATH_MAX], path[STATE_PATH], found[FILE_HASH];
    (void)context, (void)worker;
    Status status = still_there(program, error);
    if (status) return status;
    if (!realpath(folder, root))
        return error_set(error, STATUS_IO, "the folder cannot be read: %s", strerror(errno));
    snprintf(path, sizeof path, "%s/%s", root, hash);
    status = file_hash_at(path, found, error);
    if (!status && strcmp(found, hash) != 0)
        status = error_set(error, STATUS_CORRUPT, "its content is damaged: it has the hash %s", found);
    return status ? status : conclude(program, "load", load_from(program, path, error), error);
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

static double cpu(void *context, void *member) {
    Program *program = member;
    (void)context;
    return process_cpu(program->process);
}

static Status check_options(const ProgramOptions *options, Error *error) {
    struct stat facts;
    const char *directory = options->working_directory;
    if (!options->command || !options->command[0] || !*options->command[0])
        return error_set(error, STATUS_INVALID, "command: the name of a program was expected, there is none");
    if (!(options->time_limit > 0 && isfinite(options->time_limit)) ||
        !(options->step_limit >= 0 && isfinite(options->step_limit)))
        return error_set(error, STATUS_INVALID, "limits of %g and %g seconds: more than 0 were expected",
                         options->time_limit, options->step_limit);
    if (directory && (stat(directory, &facts) != 0 || !S_ISDIR(facts.st_mode)))
        return error_set(error, STATUS_IO, "%s: a folder to run programs in was expected", directory);
    return STATUS_OK;
}

/* The programs may run in another folder, and so are told paths from the root. */
static Status make_folder(ProgramKind *kind, Error *error) {
    const char *folder = kind->options.folder, *place = getenv("TMPDIR");
    char path[PATH_MAX], root[PATH_MAX];
    snprintf(path, sizeof path, "%s/brood-XXXXXX", place && *place ? place : "/tmp");
    if (folder) snprintf(path, sizeof path, "%s/programs", folder);
    bool made =
        folder ? (mkdir(folder, 0777) == 0 || errno == EEXIST) && (mkdir(path, 0777) == 0 || errno == EEXIST)
               : mkdtemp(path) != NULL;
    if (!made || !realpath(path, root))
        return error_set(error, STATUS_IO, "%s: cannot make this folder for programs: %s", path,
                         strerror(errno));
    snprintf(kind->exchange, sizeof kind->exchange, "%s", root);
    kind->passing = !folder;
    return STATUS_OK;
}

Status program_kind_new(ProgramKind **out, const ProgramOptions *options, Error *error) {
    *out = NULL;
    Status status = check_options(options, error);
    if (status) return status;
    ProgramKind *kind = memory_new(1, sizeof *kind);
    if (!kind) return error_no_memory(error, "programs");
    kind->options = *options;
    if (options->step_limit == 0) kind->options.step_limit = options->time_limit;
    kind->table = (PbtKind){.context = kind,
                            .reports = options->reports,
                            .report_count = options->report_count,
                            .create = create,
                            .free = program_free,
                            .apply = apply,
                            .step = step,
                            .score = score,
                            .copy = copy,
                            .hash = hash,
                            .save = save,
                            .load = load,
                            .cpu = cpu};
    status = make_folder(kind, error);
    if (status)
        program_kind_free(kind);
    else
        *out = kind;
    return status;
}

const PbtKind *program_kind(const ProgramKind *kind) {
    return &kind->table;
}

void program_kind_free(ProgramKind *kind) {
    if (kind && kind->passing) rmdir(kind->exchange);
    memory_free(kind);
}
