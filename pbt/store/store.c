#include "pbt/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

struct Store {
    sqlite3 *db;
    int lock;   /* descriptor of the directory; -1: not locked */
    bool ahead; /* writes go to a log first */
    char path[FILE_PATH_LIMIT];
    char ending[PBT_ENDING];      /* of states' files */
    char (*forgotten)[FILE_HASH]; /* states whose files go after the commit */
    size_t forgotten_count, forgotten_room;
};

const char *store_path(const Store *store) {
    return store->path;
}

/* ---- messages ------------------------------------------------------------------------------------------ */

static Status explain(Store *store, int code, Error *error) {
    switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(
            error, STATUS_IO,
            "%s: it is locked by another process: wait for that to end, or end it, and try again",
            store->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(error, STATUS_CORRUPT,
                         "%s: it is damaged (%s): put a copy in its place, or begin a new run", store->path,
                         sqlite3_errmsg(store->db));
    case SQLITE_FULL: return error_set(error, STATUS_IO, "%s: the disk is full", store->path);
    case SQLITE_NOMEM: return error_no_memory(error, store->path);
    case SQLITE_ERROR: /* a table or column that is not there */
        return store_damaged(store, error, sqlite3_errmsg(store->db));
    default: return error_set(error, STATUS_IO, "%s: %s", store->path, sqlite3_errmsg(store->db));
    }
}

Status store_damaged(Store *store, Error *error, const char *what) {
    return error_set(error, STATUS_CORRUPT, "%s: it is damaged: %s", store->path, what);
}

/* ---- statements ---------------------------------------------------------------------------------------- */

static int bind(sqlite3_stmt *statement, const char *types, va_list values) {
    int code = SQLITE_OK;
    for (int i = 0; !code && types[i]; i++) {
        if (types[i] == 'i') {
            code = sqlite3_bind_int64(statement, i + 1, va_arg(values, int64_t));
        } else if (types[i] == 'd') {
            code = sqlite3_bind_double(statement, i + 1, va_arg(values, double)); /* NaN becomes NULL */
        } else if (types[i] == 't') {
            code = sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
        } else {
            const void *bytes = va_arg(values, const void *);
            size_t size = va_arg(values, size_t);
            code = size ? sqlite3_bind_blob64(statement, i + 1, bytes, size, SQLITE_TRANSIENT)
                        : sqlite3_bind_zeroblob(statement, i + 1, 0);
        }
    }
    return code;
}

static Status ask(Store *store, sqlite3_stmt **rows, Error *error, const char *sql, const char *types,
                  va_list values) {
    *rows = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, rows, NULL);
    if (!code) code = bind(*rows, types, values);
    if (!code) return STATUS_OK;
    Status status = explain(store, code, error);
    sqlite3_finalize(*rows);
    *rows = NULL;
    return status;
}

Status store_ask(Store *store, sqlite3_stmt **rows, Error *error, const char *sql, const char *types, ...) {
    va_list values;
    va_start(values, types);
    Status status = ask(store, rows, error, sql, types, values);
    va_end(values);
    return status;
}

Status store_next(Store *store, sqlite3_stmt *rows, bool *more, Error *error) {
    int code = sqlite3_step(rows);
    *more = code == SQLITE_ROW;
    return *more || code == SQLITE_DONE ? STATUS_OK : explain(store, code, error);
}

Status store_run(Store *store, Error *error, const char *sql, const char *types, ...) {
    sqlite3_stmt *statement;
    va_list values;
    va_start(values, types);
    Status status = ask(store, &statement, error, sql, types, values);
    va_end(values);
    for (bool more = true; !status && more;) status = store_next(store, statement, &more, error);
    sqlite3_finalize(statement);
    return status;
}

Status store_number(Store *store, int64_t *number, Error *error, const char *sql) {
    sqlite3_stmt *rows;
    bool more = false;
    *number = 0;
    Status status = store_ask(store, &rows, error, sql, "");
    if (!status) status = store_next(store, rows, &more, error);
    if (more) *number = sqlite3_column_int64(rows, 0);
    sqlite3_finalize(rows);
    return status;
}

double store_real(sqlite3_stmt *rows, int column) {
    return sqlite3_column_type(rows, column) == SQLITE_NULL ? (double)NAN
                                                            : sqlite3_column_double(rows, column);
}

/* ---- opening ------------------------------------------------------------------------------------------- */

/* The lock is on the directory: it goes with the process, however that ends, and leaves readers of run.db
 * alone. */
static Status lock(Store *store, const char *directory, Error *error) {
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return error_set(error, STATUS_IO, "%s: the run's directory cannot be made: %s", directory,
                         strerror(errno));
    store->lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->lock < 0)
        return error_set(error, STATUS_IO, "%s: the run's directory cannot be opened: %s", directory,
                         strerror(errno));
    if (flock(store->lock, LOCK_EX | LOCK_NB) != 0)
        return error_set(error, STATUS_IO,
                         "%s: another process is running this run: wait for it to end, or end it", directory);
    char states[FILE_PATH_LIMIT];
    int length = snprintf(states, sizeof states, "%s/states", directory);
    if (length < 0 || (size_t)length >= sizeof states || (mkdir(states, 0777) != 0 && errno != EEXIST))
        return error_set(error, STATUS_IO, "%s/states: cannot be made: %s", directory, strerror(errno));
    return STATUS_OK;
}

enum { PATIENCE = 1000 }; /* milliseconds to wait for another's transaction */

static Status set_path(Store *store, const char *directory, Error *error) {
    int length = snprintf(store->path, sizeof store->path, "%s/run.db", directory);
    if (length > 0 && (size_t)length < sizeof store->path) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "the path of the run's directory is too long");
}

static Status open_file(Store *store, const char *name, int flags, Error *error) {
    int code = sqlite3_open_v2(name, &store->db, flags, NULL);
    if (code) return store->db ? explain(store, code, error) : error_no_memory(error, store->path);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, PATIENCE);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return STATUS_OK;
}

/* With a log of writes ahead, readers never keep the writer waiting, nor it them. Where the file system
 * cannot have one, the journal stays. After each commit the log's content is moved into run.db, which so
 * lacks next to nothing even after a kill. */
static Status write_ahead(Store *store, Error *error) {
    enum { PATIENCE_TO_CHANGE = 10000 }; /* for those who read a run that is over */
    sqlite3_busy_timeout(store->db, PATIENCE_TO_CHANGE);
    Status status = store_run(store, error, "PRAGMA journal_mode=WAL", "");
    sqlite3_busy_timeout(store->db, PATIENCE);
    if (!status) status = store_run(store, error, "PRAGMA wal_autocheckpoint=1", "");
    store->ahead = !status;
    return status;
}

/* A run that is over is in run.db alone, and needs no log to be read; as long as somebody reads it, that
 * cannot be changed, and the log's content at least is moved. */
static void write_behind(Store *store) {
    if (sqlite3_exec(store->db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL))
        sqlite3_exec(store->db, "PRAGMA wal_checkpoint", NULL, NULL, NULL);
}

static Status check_health(Store *store, Error *error) {
    sqlite3_stmt *rows;
    bool more = false;
    Status status = store_ask(store, &rows, error, "PRAGMA quick_check(1)", "");
    if (!status) status = store_next(store, rows, &more, error);
    const char *verdict = more ? (const char *)sqlite3_column_text(rows, 0) : NULL;
    if (!status && (!verdict || strcmp(verdict, "ok") != 0))
        status = store_damaged(store, error, verdict ? verdict : "it cannot be checked");
    sqlite3_finalize(rows);
    return status;
}

/* A table in the place of ours could be a view, which may compute without end, or have triggers. */
static Status check_tables(Store *store, Error *error) {
    sqlite3_stmt *rows;
    bool more = true;
    Status status =
        store_ask(store, &rows, error, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL", "");
    while (!status && more) {
        status = store_next(store, rows, &more, error);
        const char *sql = !status && more ? (const char *)sqlite3_column_text(rows, 1) : NULL;
        if (sql && !store_is_table(sql))
            status =
                error_set(error, STATUS_CORRUPT, "%s: there is a table in it that is none of a run's: %.100s",
                          store->path, (const char *)sqlite3_column_text(rows, 0));
    }
    sqlite3_finalize(rows);
    return status;
}

static Status check_version(Store *store, bool *begun, Error *error) {
    int64_t tables = 0, version = 0;
    Status status = store_number(store, &tables, error, "SELECT count(*) FROM sqlite_master");
    *begun = tables > 0;
    if (status || !*begun) return status;
    status = store_number(store, &version, error, "PRAGMA user_version");
    if (status) return status;
    if (version == STORE_VERSION) return check_tables(store, error);
    return error_set(error, STATUS_CORRUPT,
                     "%s: version %d was expected, it is of version %lld: use the Brood that made it",
                     store->path, STORE_VERSION, (long long)version);
}

static Status new_store(Store **store, Error *error) {
    *store = memory_new(1, sizeof **store);
    if (!*store) return error_no_memory(error, "the run store");
    (*store)->lock = -1;
    return STATUS_OK;
}

Status store_open(Store **out, const char *directory, const char *ending, bool *begun, Error *error) {
    Store *store;
    *out = NULL;
    *begun = false;
    Status status = new_store(&store, error);
    if (status) return status;
    snprintf(store->ending, sizeof store->ending, "%s", ending);
    status = lock(store, directory, error);
    if (!status) status = set_path(store, directory, error);
    if (!status) status = open_file(store, store->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error);
    if (!status) status = store_run(store, error, "PRAGMA synchronous=EXTRA", "");
    if (!status) status = check_health(store, error);
    if (!status) status = check_version(store, begun, error);
    if (!status) status = write_ahead(store, error);
    if (status)
        store_close(store);
    else
        *out = store;
    return status;
}

/* Whether the file is the copy of one with a log, which is not there, and cannot be made: a folder that
 * cannot be written. */
static bool is_left_alone(Store *store) {
    char log[FILE_PATH_LIMIT + 4];
    snprintf(log, sizeof log, "%s-wal", store->path);
    int code = sqlite3_exec(store->db, "PRAGMA user_version", NULL, NULL, NULL) & 0xFF;
    return (code == SQLITE_CANTOPEN || code == SQLITE_READONLY) && access(log, F_OK) != 0;
}

/* Nobody can change it, so it can be read without a log. */
static Status open_alone(Store *store, Error *error) {
    char name[3 * FILE_PATH_LIMIT + 32] = "file:";
    size_t used = strlen(name);
    for (const char *next = store->path; *next; next++)
        used += (size_t)snprintf(name + used, 4, strchr("%?#", *next) ? "%%%02X" : "%c", *next);
    snprintf(name + used, sizeof name - used, "?immutable=1");
    sqlite3_close(store->db);
    store->db = NULL;
    return open_file(store, name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error);
}

Status store_look(Store **out, const char *directory, Error *error) {
    Store *store;
    bool begun = false;
    *out = NULL;
    Status status = new_store(&store, error);
    if (status) return status;
    status = set_path(store, directory, error);
    /* To write, so that what a killed process left can be undone. */
    if (!status) status = open_file(store, store->path, SQLITE_OPEN_READWRITE, error);
    if (!status && is_left_alone(store)) status = open_alone(store, error);
    if (!status) status = check_version(store, &begun, error);
    if (!status && !begun)
        status = error_set(error, STATUS_INVALID, "%s: no run has been begun in it", store->path);
    if (status)
        store_close(store);
    else
        *out = store;
    return status;
}

void store_close(Store *store) {
    if (!store) return;
    if (store->ahead) write_behind(store);
    sqlite3_close(store->db);
    if (store->lock >= 0) close(store->lock);
    memory_free(store->forgotten);
    memory_free(store);
}

/* ---- transactions -------------------------------------------------------------------------------------- */

Status store_begin(Store *store, Error *error) {
    store->forgotten_count = 0;
    return store_run(store, error, "BEGIN IMMEDIATE", "");
}

void store_abandon(Store *store) {
    store->forgotten_count = 0;
    if (!sqlite3_get_autocommit(store->db)) sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

static void remove_state(const char *states, const char *name) {
    char path[FILE_PATH_LIMIT];
    int length = snprintf(path, sizeof path, "%s/%s", states, name);
    if (length > 0 && (size_t)length < sizeof path) unlink(path);
}

Status store_commit(Store *store, const char *states, Error *error) {
    Status status = store_run(store, error, "COMMIT", "");
    if (status) return status;
    for (size_t i = 0; i < store->forgotten_count; i++) {
        char name[FILE_HASH + PBT_ENDING];
        snprintf(name, sizeof name, "%s%s", store->forgotten[i], store->ending);
        remove_state(states, name);
    }
    store->forgotten_count = 0;
    return STATUS_OK;
}

/* ---- a round ------------------------------------------------------------------------------------------- */

Status store_put_round(Store *store, const PbtRun *run, Error *error) {
    const PbtCallbacks *callbacks = &run->options.callbacks;
    const void *memory = run->memory; /* as it was, where nothing new is remembered */
    size_t size = run->memory_size;
    char exploit[STORE_RULE], explore[STORE_RULE];
    Status status =
        callbacks->remember ? callbacks->remember(callbacks->context, &memory, &size, error) : STATUS_OK;
    if (status) return status;
    store_exploit_text(&run->settings.exploit, exploit);
    store_explore_text(&run->settings.explore, explore);
    return store_run(store, error, "INSERT OR REPLACE INTO round VALUES(?, ?, ?, ?, ?, ?)", "iittib",
                     run->round, run->settings.interval, exploit, explore, (int64_t)run->stopped, memory,
                     size);
}

/* Also those that no member has any more: one that failed after it was saved, or was dropped. They are
 * forgotten at once. */
Status store_put_states(Store *store, const PbtRun *run, Error *error) {
    Status status = STATUS_OK;
    for (size_t i = 0; !status && i < run->saved_count; i++)
        status = store_run(store, error, "INSERT OR IGNORE INTO state VALUES(?)", "t",
                           (const char *)run->saved[i]);
    return status;
}

Status store_put_scored(Store *store, const PbtRun *run, const Slot *slot, Error *error) {
    const Standing *scored = &slot->scored;
    const Ledger *ledger = &slot->ledger;
    const PbtScore *score = &scored->score;
    Status status = store_run(store, error, "INSERT INTO scored VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                              "iiiiiidddbtt", scored->round, scored->slot, scored->steps, scored->age,
                              (int64_t)scored->failed, (int64_t)scored->pinned, score->score,
                              score->deviation, scored->fitness, scored->window,
                              scored->window_count * sizeof(double), scored->state, scored->failure);
    for (size_t i = 0; !status && !scored->failed && i < run->options.kind->report_count; i++)
        status = store_run(store, error, "INSERT INTO reported VALUES(?, ?, ?, ?, ?)", "iiidd", scored->round,
                           scored->slot, (int64_t)i + 1, score->reports[i], score->report_deviations[i]);
    for (size_t i = 0; !status && i < run->options.kind->signal_count; i++)
        status = store_run(store, error, "INSERT INTO signal VALUES(?, ?, ?, ?)", "iiid", scored->round,
                           scored->slot, (int64_t)i + 1, slot->signals[i]);
    if (!status)
        status = store_run(store, error, "INSERT INTO ledger VALUES(?, ?, ?, ?, ?)", "iiddd", scored->round,
                           scored->slot, ledger->training, ledger->scoring, ledger->saving);
    return status;
}

Status store_put_standing(Store *store, const PbtRun *run, const Slot *slot, Error *error) {
    const Standing *now = &slot->now;
    const PbtSpace *space = &run->options.space;
    size_t reports = run->options.kind->report_count;
    double reported[2 * PBT_REPORTS];
    memcpy(reported, now->score.reports, reports * sizeof *reported);
    memcpy(reported + reports, now->score.report_deviations, reports * sizeof *reported);
    Status status =
        store_run(store, error, "INSERT INTO standing VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  "iiiiiiiidddbbtt", now->round, now->slot, now->parent, now->parent_round, now->steps,
                  now->age, (int64_t)now->failed, (int64_t)now->pinned, now->score.score,
                  now->score.deviation, now->fitness, now->window, now->window_count * sizeof(double),
                  reported, 2 * reports * sizeof *reported, now->state, now->failure);
    for (size_t i = 0; !status && i < space->count; i++)
        status = store_run(store, error, "INSERT INTO value VALUES(?, ?, ?, ?)", "iitd", now->round,
                           now->slot, space->hypers[i].name, now->values[i]);
    return status;
}

Status store_put_turn(Store *store, int64_t turn, int64_t slot, int64_t round, Error *error) {
    return store_run(store, error, "INSERT INTO turn VALUES(?, ?, ?)", "iii", turn, slot, round);
}

Status store_put_pin(Store *store, int64_t slot, int64_t round, const char *state, Error *error) {
    return store_run(store, error, "INSERT INTO pin VALUES(?, ?, ?)", "iit", slot, round, state);
}

Status store_put_events(Store *store, const PbtRun *run, int64_t round, Error *error) {
    Status status = STATUS_OK;
    for (size_t i = 0; !status && i < run->event_count; i++) {
        const Event *event = &run->events[i];
        status = store_run(store, error,
                           "INSERT INTO event VALUES(NULL, ?1, nullif(?2, -1), ?3,"
                           " CASE WHEN ?4 < 0 THEN NULL ELSE ?4 END, ?5, ?6)",
                           "iititi", round, event->slot, event->kind, event->other, event->text,
                           (int64_t)(event->other == ASIDE));
    }
    return status;
}

/* ---- retention ----------------------------------------------------------------------------------------- */

/* What is kept: ?1 the first of the last rounds, ?2 how many of the best, ?3 every n-th round. */
static const char FORGOTTEN[] =
    "SELECT hash FROM state WHERE hash NOT IN (SELECT state FROM scored WHERE round >= ?1"
    " UNION SELECT state FROM standing WHERE round >= ?1 UNION SELECT state FROM pin"
    " UNION SELECT state FROM (SELECT state FROM scored INDEXED BY best WHERE score IS NOT NULL"
    " ORDER BY score DESC, round, slot LIMIT ?2)"
    " UNION SELECT state FROM scored WHERE ?3 > 0 AND round % ?3 = 0"
    " UNION SELECT state FROM standing WHERE ?3 > 0 AND round > 0 AND round % ?3 = 0)";

static Status forget(Store *store, const char *hash, Error *error) {
    if (!hash) return store_damaged(store, error, "a state without a name");
    size_t *count = &store->forgotten_count;
    if (!memory_grow((void **)&store->forgotten, *count, &store->forgotten_room, sizeof *store->forgotten))
        return error_no_memory(error, "states");
    snprintf(store->forgotten[(*count)++], FILE_HASH, "%s", hash);
    return STATUS_OK;
}

Status store_retain(Store *store, const PbtOptions *options, int64_t since, Error *error) {
    sqlite3_stmt *rows;
    bool more = true;
    int64_t best = options->keep_best > 0 ? (int64_t)options->keep_best : 1;
    store->forgotten_count = 0;
    Status status = store_ask(store, &rows, error, FORGOTTEN, "iii", since, best, options->keep_every);
    while (!status && more) {
        status = store_next(store, rows, &more, error);
        if (!status && more) status = forget(store, (const char *)sqlite3_column_text(rows, 0), error);
    }
    sqlite3_finalize(rows);
    for (size_t i = 0; !status && i < store->forgotten_count; i++)
        status = store_run(store, error, "DELETE FROM state WHERE hash = ?", "t", store->forgotten[i]);
    return status;
}

static const char *const ROUND_TABLES[] = {"round", "scored", "reported", "signal", "standing",
                                           "value", "event",  "pin",      "ledger", "turn"};

Status store_give_up(Store *store, int64_t round, Error *error) {
    char sql[128];
    Status status = store_begin(store, error);
    for (size_t i = 0; !status && i < sizeof ROUND_TABLES / sizeof *ROUND_TABLES; i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE round > ?", ROUND_TABLES[i]);
        status = store_run(store, error, sql, "i", round);
    }
    if (!status) status = store_run(store, error, "COMMIT", "");
    if (status) store_abandon(store);
    return status;
}

/* Only what a member's save has written, or begun to: a hash and the ending, maybe followed by the name of a
 * temporary file. */
static bool is_state_name(const Store *store, const char *name) {
    size_t digits = strspn(name, "0123456789abcdef"), ending = strlen(store->ending);
    if (digits != FILE_HASH - 1 || strncmp(name + digits, store->ending, ending) != 0) return false;
    const char *rest = name + digits + ending;
    size_t length = strlen(rest);
    return length == 0 || (*rest == '.' && length > 4 && strcmp(rest + length - 4, ".tmp") == 0);
}

static bool is_referred_to(Store *store, const char *name) {
    sqlite3_stmt *rows;
    bool more = true; /* in doubt it is */
    char hash[FILE_HASH];
    if (strlen(name) != FILE_HASH - 1 + strlen(store->ending)) return false; /* a temporary file */
    memcpy(hash, name, FILE_HASH - 1);
    hash[FILE_HASH - 1] = '\0';
    if (store_ask(store, &rows, NULL, "SELECT 1 FROM state WHERE hash = ?", "t", hash)) return true;
    if (store_next(store, rows, &more, NULL)) more = true;
    sqlite3_finalize(rows);
    return more;
}

void store_sweep(Store *store, const char *states) {
    DIR *folder = opendir(states);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (is_state_name(store, entry->d_name) && !is_referred_to(store, entry->d_name))
            remove_state(states, entry->d_name);
    closedir(folder);
}
