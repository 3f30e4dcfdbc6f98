/* Fuzzes the reader of run.db. An input that begins as SQLite's files do is a store as it is. Any other is a
 * list of changes to a store that was sound: cells get values of any type and size, rows go. Everything that
 * reads a run is then asked for it, and a run goes on from it, if it can. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "pbt/pbt.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void must(int truth) {
    if (!truth) abort();
}

/* ---- members that are one number ----------------------------------------------------------------------- */

static const char HASH[] = "0123456789abcdef0123456789abcdef"; /* of all states */

static Status create(void *context, void *worker, const PbtBirth *birth, void **member, Error *error) {
    (void)context, (void)worker, (void)error;
    double *number = malloc(sizeof *number);
    must(number != NULL);
    *number = birth->values[0];
    *member = number;
    return STATUS_OK;
}

static void free_member(void *context, void *member) {
    (void)context;
    free(member);
}

static Status apply(void *context, void *worker, void *member, const double *values, double *applied,
                    Error *error) {
    (void)context, (void)worker, (void)member, (void)error;
    memcpy(applied, values, 2 * sizeof *applied);
    return STATUS_OK;
}

static Status step(void *context, void *worker, void *member, int64_t first, int64_t steps, Error *error) {
    (void)context, (void)worker, (void)first, (void)steps;
    *(double *)member *= 0.5;
    return *(double *)member < 1e-3 ? error_set(error, STATUS_NOT_FINITE, "too small") : STATUS_OK;
}

static Status score(void *context, void *worker, void *member, PbtScore *score, Error *error) {
    (void)context, (void)worker, (void)error;
    *score = (PbtScore){.score = *(double *)member, .reports = {1}};
    return STATUS_OK;
}

static Status copy(void *context, void *worker, void *member, void *donor, unsigned parts, Error *error) {
    (void)context, (void)worker, (void)parts, (void)error;
    *(double *)member = *(double *)donor;
    return STATUS_OK;
}

static Status hash(void *context, void *worker, void *member, char text[FILE_HASH], Error *error) {
    (void)context, (void)worker, (void)member, (void)error;
    memcpy(text, HASH, FILE_HASH);
    return STATUS_OK;
}

static Status save(void *context, void *worker, void *member, const char *folder, char text[FILE_HASH],
                   Error *error) {
    (void)folder;
    return hash(context, worker, member, text, error);
}

static Status load(void *context, void *worker, void *member, const char *folder, const char *text,
                   Error *error) {
    (void)context, (void)worker, (void)member, (void)folder, (void)text, (void)error;
    return STATUS_OK;
}

static const char *const REPORTS[] = {"one"};
static const PbtKind KIND = {.reports = REPORTS,
                             .report_count = 1,
                             .create = create,
                             .free = free_member,
                             .apply = apply,
                             .step = step,
                             .score = score,
                             .copy = copy,
                             .hash = hash,
                             .save = save,
                             .load = load};

static const PbtHyper HYPERS[] = {{.name = "a", .kind = PBT_LOG_UNIFORM, .low = 0.01, .high = 10},
                                  {.name = "b", .kind = PBT_INTEGER, .low = 1, .high = 5}};

enum { ROUNDS = 4, ROUND_LIMIT = 1000 /* of a run that goes on */ };

static Status schedule(void *context, PbtRun *run, Error *error) {
    (void)context;
    return pbt_run_round(run) == 2 ? pbt_run_pin(run, 1, error) : STATUS_OK;
}

static PbtOptions options_of(const char *directory, bool asynchronous) {
    return (PbtOptions){.kind = &KIND,
                        .space = {HYPERS, 2},
                        .seed = 1,
                        .population = 4,
                        .interval = 2,
                        .exploit = pbt_exploit_default(),
                        .explore = pbt_explore_default(),
                        .asynchronous = asynchronous,
                        .callbacks = {.schedule = asynchronous ? NULL : schedule},
                        .directory = directory};
}

/* ---- the run's directory ------------------------------------------------------------------------------- */

static char directory[64], path[80];

static void remove_beside(const char *ending) {
    char beside[96];
    snprintf(beside, sizeof beside, "%s%s", path, ending);
    remove(beside);
}

static void remove_directory(void) {
    char states[80];
    snprintf(states, sizeof states, "%s/states", directory);
    remove_beside("-wal"), remove_beside("-shm"), remove_beside("-journal"), remove_beside("");
    remove(states);
    remove(directory);
}

static void make_directory(void) {
    snprintf(directory, sizeof directory, "%s/brood-fuzz-XXXXXX",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    must(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/run.db", directory);
    atexit(remove_directory);
}

/* Alone: without what a store that could not be closed left. */
static void write_store(const uint8_t *bytes, size_t size) {
    remove_beside("-wal"), remove_beside("-shm"), remove_beside("-journal");
    FILE *file = fopen(path, "wb");
    must(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static sqlite3 *open_database(void) {
    sqlite3 *db;
    must(sqlite3_open(path, &db) == SQLITE_OK);
    sqlite3_exec(db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; PRAGMA writable_schema=ON", NULL,
                 NULL, NULL);
    return db;
}

/* ---- a store that is sound ----------------------------------------------------------------------------- */

enum { TABLES = 32, COLUMNS = 32, NAME = 64 };

typedef struct {
    char name[NAME], columns[COLUMNS][NAME], key[COLUMNS * NAME], *sql;
    int column_count;
} Table;

typedef struct {
    uint8_t *bytes; /* of run.db, whose tables let through NULL */
    size_t size;
    Table tables[TABLES];
    int table_count;
} Sound;

static void take_columns(sqlite3 *db, Table *table) {
    char sql[2 * NAME];
    sqlite3_stmt *rows;
    snprintf(sql, sizeof sql, "PRAGMA table_info(%s)", table->name);
    must(!sqlite3_prepare_v2(db, sql, -1, &rows, NULL));
    while (sqlite3_step(rows) == SQLITE_ROW) {
        must(table->column_count < COLUMNS);
        const char *name = (const char *)sqlite3_column_text(rows, 1);
        snprintf(table->columns[table->column_count++], NAME, "%s", name);
        if (sqlite3_column_int(rows, 5) == 0) continue; /* not of the primary key */
        strcat(table->key, *table->key ? ", " : "");
        strcat(table->key, name);
    }
    sqlite3_finalize(rows);
    if (!*table->key) strcpy(table->key, "rowid");
}

static void take_tables(Sound *sound, sqlite3 *db) {
    sqlite3_stmt *rows;
    must(!sqlite3_prepare_v2(db, "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name", -1,
                             &rows, NULL));
    while (sqlite3_step(rows) == SQLITE_ROW) {
        must(sound->table_count < TABLES);
        Table *table = &sound->tables[sound->table_count++];
        snprintf(table->name, NAME, "%s", (const char *)sqlite3_column_text(rows, 0));
        must((table->sql = strdup((const char *)sqlite3_column_text(rows, 1))) != NULL);
        take_columns(db, table);
    }
    sqlite3_finalize(rows);
}

static Sound make_sound(bool asynchronous) {
    Sound sound = {.size = 0};
    PbtOptions options = options_of(directory, asynchronous);
    PbtRun *run;
    PbtEnd end;
    remove(path);
    must(!pbt_run_new(&run, &options, NULL) && !pbt_run_rounds(run, ROUNDS, &end, NULL));
    pbt_run_free(run);
    sqlite3 *db = open_database();
    take_tables(&sound, db);
    must(!sqlite3_exec(db, "UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')", NULL, NULL, NULL));
    sqlite3_close(db);
    must(!file_load(path, 1 << 24, &sound.bytes, &sound.size, NULL));
    return sound;
}

/* ---- changes ------------------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *next, *end;
} Bytes;

static uint8_t byte(Bytes *bytes) {
    return bytes->next < bytes->end ? *bytes->next++ : 0;
}

static const uint8_t *some(Bytes *bytes, size_t count, uint8_t room[8]) {
    memset(room, 0, 8);
    for (size_t i = 0; i < count; i++) room[i] = byte(bytes);
    return room;
}

static void bind_any(sqlite3_stmt *change, Bytes *bytes) {
    uint8_t kind = byte(bytes), room[8];
    int64_t whole;
    double real;
    size_t length = 0;
    const uint8_t *start;
    switch (kind % 6) {
    case 0: sqlite3_bind_int(change, 1, (int8_t)byte(bytes)); break;
    case 1:
        memcpy(&whole, some(bytes, sizeof whole, room), sizeof whole);
        sqlite3_bind_int64(change, 1, whole);
        break;
    case 2:
        memcpy(&real, some(bytes, sizeof real, room), sizeof real);
        sqlite3_bind_double(change, 1, real);
        break;
    case 3: break; /* NULL */
    default:
        length = byte(bytes);
        if (length > (size_t)(bytes->end - bytes->next)) length = (size_t)(bytes->end - bytes->next);
        start = bytes->next;
        bytes->next += length;
        if (kind % 6 == 4)
            sqlite3_bind_text(change, 1, (const char *)start, (int)length, SQLITE_TRANSIENT);
        else
            sqlite3_bind_blob(change, 1, start, (int)length, SQLITE_TRANSIENT);
    }
}

/* What the store does not let through is left as it was. */
static void change_one(const Sound *sound, sqlite3 *db, Bytes *bytes) {
    const Table *table = &sound->tables[byte(bytes) % sound->table_count];
    uint8_t what = byte(bytes);
    int row = byte(bytes);
    char sql[8 * NAME + 2 * sizeof table->key], where[4 * NAME + 2 * sizeof table->key];
    sqlite3_stmt *change;
    snprintf(where, sizeof where, "WHERE (%s) = (SELECT %s FROM %s LIMIT 1 OFFSET %d)", table->key,
             table->key, table->name, row);
    if (what == 255) {
        snprintf(sql, sizeof sql, "DELETE FROM %s %s", table->name, where);
    } else {
        const char *column = table->columns[what % table->column_count];
        bool all = what >= 128; /* rows at once */
        snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s = ?1 %s", table->name, column,
                 all ? "" : where);
    }
    must(!sqlite3_prepare_v2(db, sql, -1, &change, NULL));
    if (what != 255) bind_any(change, bytes);
    sqlite3_step(change);
    sqlite3_finalize(change);
}

static void write_changed(const Sound *sound, Bytes bytes) {
    write_store(sound->bytes, sound->size);
    sqlite3 *db = open_database();
    sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    while (bytes.next < bytes.end) change_one(sound, db, &bytes);
    for (int i = 0; i < sound->table_count; i++) { /* the tables are called again what they were */
        sqlite3_stmt *change;
        must(!sqlite3_prepare_v2(db, "UPDATE sqlite_master SET sql = ?1 WHERE name = ?2", -1, &change, NULL));
        sqlite3_bind_text(change, 1, sound->tables[i].sql, -1, SQLITE_STATIC);
        sqlite3_bind_text(change, 2, sound->tables[i].name, -1, SQLITE_STATIC);
        must(sqlite3_step(change) == SQLITE_DONE);
        sqlite3_finalize(change);
    }
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    must(sqlite3_close(db) == SQLITE_OK);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static Status see(void *context, const char *table, const PbtField *fields, size_t count, Error *error) {
    size_t *sum = context;
    (void)error;
    *sum += strlen(table);
    for (size_t i = 0; i < count; i++) {
        *sum += strlen(fields[i].name);
        if (fields[i].type == PBT_FIELD_TEXT) *sum += strlen(fields[i].text);
    }
    return STATUS_OK;
}

static void read_lineage(int64_t slot, int64_t round) {
    PbtLineage lineage;
    if (pbt_lineage(directory, slot, round, &lineage, NULL)) return;
    double values[PBT_HYPERS];
    for (size_t i = 0; i < lineage.count; i++)
        memcpy(values, lineage.ancestors[i].values, lineage.hypers * sizeof *values); /* are there */
    for (size_t h = 0; h < lineage.hypers; h++) must(strlen(lineage.names[h]) < PBT_NAME);
    must(lineage.count > 0 && lineage.ancestors[lineage.count - 1].slot == slot);
    pbt_lineage_free(&lineage);
}

static void read_all(int64_t slot, int64_t round) {
    size_t sum = 0, count = 0;
    char *value;
    int64_t *order;
    PbtBest best;
    Error error;
    pbt_export(directory, true, see, &sum, &error);
    if (!pbt_best(directory, &best, &error)) must(isfinite(best.score) && strlen(best.state) < FILE_HASH);
    read_lineage(slot, round);
    if (!pbt_fact(directory, "seed", &value, &error)) memory_free(value);
    if (!pbt_order(directory, &order, &count, &error)) memory_free(order);
}

static void begin_from_it(void) {
    PbtOptions options = options_of(NULL, false);
    PbtRun *run;
    PbtEnd end;
    options.from = directory;
    if (pbt_run_new(&run, &options, NULL)) return;
    pbt_run_rounds(run, 1, &end, NULL);
    pbt_run_free(run);
}

static void go_on(bool asynchronous, bool whole) {
    PbtOptions options = options_of(directory, asynchronous);
    PbtRun *run;
    PbtEnd end;
    if (pbt_run_resume(&run, &options, whole, NULL)) return;
    int64_t round = pbt_run_round(run);
    if (round < ROUND_LIMIT) pbt_run_rounds(run, round + 1, &end, NULL);
    pbt_run_free(run);
}

/* Bits of the first byte of changes, or of the last of a store, say what is done with it. */
enum { ASYNCHRONOUS = 1, WHOLE = 2, BEGIN = 4, SLOT = 8, ROUND = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char MAGIC[] = "SQLite format 3";
    static Sound sounds[2];
    if (!*directory) {
        make_directory();
        for (int i = 0; i < 2; i++) sounds[i] = make_sound(i);
    }
    if (size == 0) return 0;
    bool changes = size < sizeof MAGIC || memcmp(bytes, MAGIC, sizeof MAGIC) != 0;
    unsigned what = bytes[changes ? 0 : size - 1];
    if (changes)
        write_changed(&sounds[what & ASYNCHRONOUS], (Bytes){bytes + 1, bytes + size});
    else
        write_store(bytes, size);
    read_all(what / SLOT % 4, what / ROUND);
    if (what & BEGIN)
        begin_from_it();
    else
        go_on(what & ASYNCHRONOUS, what & WHOLE);
    return 0;
}
