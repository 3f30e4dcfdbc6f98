/* Reading what a run left behind: to resume it, and to show it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "pbt/store/store.h"

Status store_last_round(Store *store, int64_t *round, Error *error) {
    return store_number(store, round, error, "SELECT max(round) FROM round");
}

/* 0 where there is none. */
Status store_round_before(Store *store, int64_t round, int64_t *before, Error *error) {
    sqlite3_stmt *rows;
    bool more = false;
    *before = 0;
    Status status =
        store_ask(store, &rows, error, "SELECT max(round) FROM round WHERE round < ?", "i", round);
    if (!status) status = store_next(store, rows, &more, error);
    if (more) *before = sqlite3_column_int64(rows, 0);
    sqlite3_finalize(rows);
    return status;
}

/* Rounds, steps and slots are far from where counting on would overflow. */
static bool is_count(int64_t number) {
    return number >= 0 && number < (int64_t)1 << 53;
}

static Status read_count(Store *store, int64_t *count, Error *error, const char *sql) {
    Status status = store_number(store, count, error, sql);
    return status || is_count(*count) ? status : store_damaged(store, error, "its counts make no sense");
}

Status store_read_next_slot(Store *store, int64_t *slot, Error *error) {
    Status status = read_count(store, slot, error, "SELECT max(slot) FROM standing");
    if (!status) ++*slot;
    return status;
}

Status store_read_turns(Store *store, int64_t *turns, Error *error) {
    return read_count(store, turns, error, "SELECT max(turn) FROM turn");
}

/* ---- settings ------------------------------------------------------------------------------------------ */

static Status take_settings(Store *store, PbtRun *run, sqlite3_stmt *rows, Error *error) {
    const char *exploit = (const char *)sqlite3_column_text(rows, 1);
    const char *explore = (const char *)sqlite3_column_text(rows, 2);
    Settings *settings = &run->settings;
    settings->interval = sqlite3_column_int64(rows, 0);
    if (!is_count(run->round) || settings->interval < 1 || !is_count(settings->interval) || !exploit ||
        !store_exploit_parse(exploit, &settings->exploit) || !explore ||
        !store_explore_parse(explore, &settings->explore))
        return store_damaged(store, error, "the settings of its last round make no sense");
    Status status = run_check_rules(run, &settings->exploit, &settings->explore, error);
    if (status) return status;
    run->stopped = sqlite3_column_int64(rows, 3) != 0;
    const void *bytes = sqlite3_column_blob(rows, 4);
    size_t size = (size_t)sqlite3_column_bytes(rows, 4);
    memory_free(run->memory);
    if (!(run->memory = memory_new(size, 1))) return error_no_memory(error, "what callbacks remember");
    if (size > 0) memcpy(run->memory, bytes, size);
    run->memory_size = size;
    return STATUS_OK;
}

Status store_read_round(Store *store, PbtRun *run, int64_t round, Error *error) {
    sqlite3_stmt *rows;
    bool more = false;
    run->round = round;
    Status status = store_ask(store, &rows, error,
                              "SELECT interval, exploit, explore, stopped, memory FROM round WHERE round = ?",
                              "i", round);
    if (!status) status = store_next(store, rows, &more, error);
    if (!status)
        status = more ? take_settings(store, run, rows, error)
                      : store_damaged(store, error, "a round is missing from it");
    sqlite3_finalize(rows);
    return status;
}

/* ---- members ------------------------------------------------------------------------------------------- */

static bool take_doubles(sqlite3_stmt *rows, int column, double *numbers, size_t limit, size_t *count) {
    const void *bytes = sqlite3_column_blob(rows, column);
    size_t size = (size_t)sqlite3_column_bytes(rows, column);
    if (size % sizeof(double) != 0 || size / sizeof(double) > limit) return false;
    if (size > 0) memcpy(numbers, bytes, size);
    *count = size / sizeof(double);
    return true;
}

/* A hash or nothing: a state's name becomes part of a path. */
static bool take_hash(sqlite3_stmt *rows, int column, char hash[FILE_HASH]) {
    const char *text = (const char *)sqlite3_column_text(rows, column);
    if (!text || (*text && strlen(text) != FILE_HASH - 1)) return false;
    if (strspn(text, "0123456789abcdef") != strlen(text)) return false;
    snprintf(hash, FILE_HASH, "%s", text);
    return true;
}

/* Columns: round, slot, parent, parent_round, steps, age, failed, pinned, score, deviation, fitness, window,
 * state, reports, failure. */
static bool take_standing(const PbtRun *run, sqlite3_stmt *rows, bool own, Standing *standing) {
    size_t count = 0, reports = run->options.kind->report_count;
    double reported[2 * PBT_REPORTS];
    *standing = (Standing){.round = sqlite3_column_int64(rows, 0),
                           .slot = sqlite3_column_int64(rows, 1),
                           .parent = sqlite3_column_int64(rows, 2),
                           .parent_round = sqlite3_column_int64(rows, 3),
                           .steps = sqlite3_column_int64(rows, 4),
                           .age = sqlite3_column_int64(rows, 5),
                           .failed = sqlite3_column_int64(rows, 6) != 0,
                           .pinned = sqlite3_column_int64(rows, 7) != 0,
                           .score = {.score = store_real(rows, 8), .deviation = store_real(rows, 9)},
                           .fitness = store_real(rows, 10)};
    bool sound = is_count(standing->slot) && is_count(standing->round) && is_count(standing->parent) &&
                 is_count(standing->parent_round) && is_count(standing->steps) && is_count(standing->age);
    sound = sound && take_doubles(rows, 11, standing->window, PBT_WINDOW, &standing->window_count);
    sound = sound && take_hash(rows, 12, standing->state);
    const char *failure = (const char *)sqlite3_column_text(rows, 14);
    snprintf(standing->failure, sizeof standing->failure, "%s", failure ? failure : "");
    sound = sound && take_doubles(rows, 13, reported, 2 * PBT_REPORTS, &count);
    if (!sound || !own || count == 0) return sound;
    if (count != 2 * reports) return false;
    memcpy(standing->score.reports, reported, reports * sizeof *reported);
    memcpy(standing->score.report_deviations, reported + reports, reports * sizeof *reported);
    return true;
}

static void take_value(const PbtSpace *space, const char *name, double value, double *values) {
    for (size_t i = 0; name && i < space->count; i++)
        if (strcmp(name, space->hypers[i].name) == 0) values[i] = value;
}

/* The run's own members have all values, and legal ones. */
static Status check_values(Store *store, const PbtSpace *space, size_t count, const double *values,
                           Error *error) {
    double kept[PBT_HYPERS];
    memcpy(kept, values, space->count * sizeof *kept);
    bool sound = count == space->count && !pbt_space_keep(space, kept, NULL);
    if (sound && memcmp(kept, values, space->count * sizeof *kept) == 0) return STATUS_OK;
    return store_damaged(store, error, "hyperparameters of a member are missing, or out of their range");
}

/* The values that stood after `round`; NaN where there was no such hyperparameter. */
static Status read_values(Store *store, const PbtRun *run, int64_t round, bool own, Standing *standing,
                          Error *error) {
    const PbtSpace *space = &run->options.space;
    double *values = standing->values;
    sqlite3_stmt *rows;
    bool more = true;
    size_t count = 0;
    for (size_t i = 0; i < space->count; i++) values[i] = NAN;
    Status status =
        store_ask(store, &rows, error, "SELECT name, value FROM value WHERE round = ? AND slot = ?", "ii",
                  round, standing->slot);
    while (!status) {
        status = store_next(store, rows, &more, error);
        if (status || !more) break;
        take_value(space, (const char *)sqlite3_column_text(rows, 0), store_real(rows, 1), values);
        count++;
    }
    sqlite3_finalize(rows);
    return status || !own ? status : check_values(store, space, count, values, error);
}

static Status read_members(Store *store, const PbtRun *run, sqlite3_stmt *rows, int64_t back, bool own,
                           size_t limit, Standing **standings, size_t *count, Error *error) {
    size_t room = 0;
    bool more = true;
    for (;;) {
        Status status = store_next(store, rows, &more, error);
        if (status || !more) return status;
        if (*count == limit) return store_damaged(store, error, "it has too many members");
        if (!memory_grow((void **)standings, *count, &room, sizeof **standings))
            return error_no_memory(error, "members");
        Standing *standing = &(*standings)[*count];
        if (!take_standing(run, rows, own, standing))
            return store_damaged(store, error, "a member's record makes no sense");
        status = read_values(store, run, standing->round - back, own, standing, error);
        if (status) return status;
        ++*count;
    }
}

static const char STANDINGS[] = "SELECT round, slot, parent, parent_round, steps, age, failed, pinned, "
                                "score, deviation, fitness, window, state, reports, failure"
                                " FROM standing WHERE round = ?1 ORDER BY slot";

static const char LAST_STANDINGS[] =
    "SELECT round, slot, parent, parent_round, steps, age, failed, pinned, score, deviation, fitness, "
    "window, state, reports, failure"
    " FROM standing AS s WHERE round = (SELECT max(round) FROM standing WHERE slot = s.slot AND round <= ?1)"
    " ORDER BY slot";

static Status read_standings(Store *store, const PbtRun *run, const char *sql, int64_t round, bool own,
                             Standing **standings, size_t *count, Error *error) {
    sqlite3_stmt *rows;
    *standings = NULL;
    *count = 0;
    Status status = store_ask(store, &rows, error, sql, "i", round);
    if (!status) status = read_members(store, run, rows, 0, own, PBT_POPULATION, standings, count, error);
    sqlite3_finalize(rows);
    if (!status && *count == 0) status = store_damaged(store, error, "it has no members");
    return status;
}

Status store_read_standings(Store *store, const PbtRun *run, int64_t round, bool latest, Standing **standings,
                            size_t *count, Error *error) {
    return read_standings(store, run, latest ? LAST_STANDINGS : STANDINGS, round, true, standings, count,
                          error);
}

Status store_read_others(Store *store, const PbtRun *run, int64_t round, Standing **standings, size_t *count,
                         Error *error) {
    return read_standings(store, run, STANDINGS, round, false, standings, count, error);
}

/* Without reports: a view of what was published carries them, so they are joined in by hand. */
static Status read_reports(Store *store, const PbtRun *run, Standing *standing, Error *error) {
    sqlite3_stmt *rows;
    bool more = true;
    Status status = store_ask(store, &rows, error,
                              "SELECT value, deviation FROM reported WHERE round = ? AND slot = ?"
                              " ORDER BY report",
                              "ii", standing->round, standing->slot);
    for (size_t i = 0; !status && more && i < run->options.kind->report_count; i++) {
        status = store_next(store, rows, &more, error);
        if (status || !more) continue;
        standing->score.reports[i] = store_real(rows, 0);
        standing->score.report_deviations[i] = store_real(rows, 1);
    }
    sqlite3_finalize(rows);
    return status;
}

/* How often members can have published since. */
static size_t published_limit(const PbtRun *run, int64_t since) {
    size_t limit = 0;
    for (size_t i = 0; i < run->count; i++) limit += (size_t)(run->slots[i]->now.round - since) + 1;
    return limit;
}

Status store_read_scored(Store *store, const PbtRun *run, int64_t since, Standing **standings, size_t *count,
                         Error *error) {
    sqlite3_stmt *rows;
    *standings = NULL;
    *count = 0;
    Status status =
        store_ask(store, &rows, error,
                  "SELECT round, slot, slot, round, steps, age, failed, pinned, score, "
                  "deviation, fitness, window, state,"
                  " x'', failure FROM scored WHERE round >= ?1 AND round > 0 ORDER BY round, slot",
                  "i", since);
    size_t limit = published_limit(run, since);
    if (!status) status = read_members(store, run, rows, 1, true, limit, standings, count, error);
    sqlite3_finalize(rows);
    for (size_t i = 0; !status && i < *count; i++) status = read_reports(store, run, &(*standings)[i], error);
    return status;
}

/* ---- export -------------------------------------------------------------------------------------------- */

typedef struct {
    const char *name, *sql;
    bool aside;
} Table;

/* In asynchronous runs a round ends for each member on its own, in the order of turns. */
static const Table TABLES[] = {
    {"fact", "SELECT name, value FROM fact WHERE NOT aside ORDER BY name", false},
    {"round", "SELECT round, interval, exploit, explore, stopped FROM round ORDER BY round", false},
    {"scored",
     "SELECT round, slot, steps, age, failed, score, deviation, fitness, state FROM scored ORDER BY round, "
     "slot",
     false},
    {"reported", "SELECT round, slot, report, value, deviation FROM reported ORDER BY round, slot, report",
     false},
    {"signal",
     "SELECT round, slot, fact.value AS name, signal.value AS value FROM signal JOIN fact"
     " ON fact.name = 'signal.' || signal ORDER BY round, slot, signal",
     false},
    {"standing",
     "SELECT round, slot, parent, parent_round, steps, age, failed, pinned, score, deviation, state FROM "
     "standing"
     " ORDER BY round, slot",
     false},
    {"value", "SELECT round, slot, name, value FROM value ORDER BY round, slot, name", false},
    {"event", "SELECT round, slot, kind, other, text FROM event WHERE NOT aside ORDER BY id", false},
    {"pin", "SELECT slot, round, state FROM pin ORDER BY round, slot", false},
    {"turn", "SELECT row_number() OVER (ORDER BY turn) AS turn, slot, round FROM turn ORDER BY turn", false},
    {"fact", "SELECT name, value FROM fact WHERE aside ORDER BY name", true},
    {"ledger", "SELECT round, slot, training, scoring, saving FROM ledger ORDER BY round, slot", true},
    {"event", "SELECT round, slot, kind, other, text FROM event WHERE aside ORDER BY id", true},
};

enum { COLUMNS = 16 };

static size_t take_fields(sqlite3_stmt *rows, PbtField fields[COLUMNS]) {
    int count = sqlite3_column_count(rows);
    for (int i = 0; i < count && i < COLUMNS; i++) {
        PbtField *field = &fields[i];
        *field = (PbtField){.name = sqlite3_column_name(rows, i)};
        switch (sqlite3_column_type(rows, i)) {
        case SQLITE_INTEGER:
            field->type = PBT_FIELD_WHOLE;
            field->whole = sqlite3_column_int64(rows, i);
            break;
        case SQLITE_FLOAT:
            field->type = PBT_FIELD_REAL;
            field->real = sqlite3_column_double(rows, i);
            break;
        case SQLITE_TEXT:
            field->type = PBT_FIELD_TEXT;
            field->text = (const char *)sqlite3_column_text(rows, i);
            break;
        default: field->type = PBT_FIELD_NOTHING; break;
        }
    }
    return (size_t)count;
}

static Status export_table(Store *store, const Table *table, PbtRow *row, void *context, Error *error) {
    sqlite3_stmt *rows;
    bool more = true;
    PbtField fields[COLUMNS];
    Status status = store_ask(store, &rows, error, table->sql, "");
    while (!status && more) {
        status = store_next(store, rows, &more, error);
        if (!status && more) status = row(context, table->name, fields, take_fields(rows, fields), error);
    }
    sqlite3_finalize(rows);
    return status;
}

/* In one transaction, so that a run that goes on meanwhile is seen at one moment. */
Status pbt_export(const char *directory, bool ledger, PbtRow *row, void *context, Error *error) {
    Store *store;
    Status status = store_look(&store, directory, error);
    if (!status) status = store_run(store, error, "BEGIN", "");
    for (size_t i = 0; !status && i < sizeof TABLES / sizeof *TABLES; i++)
        if (ledger || !TABLES[i].aside) status = export_table(store, &TABLES[i], row, context, error);
    store_close(store);
    return status;
}

/* ---- lineage ------------------------------------------------------------------------------------------- */

/* Names of the hyperparameters, in order. */
static Status read_names(Store *store, PbtLineage *lineage, Error *error) {
    sqlite3_stmt *rows;
    bool more = true;
    Status status = STATUS_OK;
    if (!(lineage->names = memory_new(PBT_HYPERS, sizeof *lineage->names)))
        return error_no_memory(error, "a lineage");
    status =
        store_ask(store, &rows, error, "SELECT DISTINCT name FROM value WHERE round = 0 ORDER BY name", "");
    while (!status && more) {
        status = store_next(store, rows, &more, error);
        if (status || !more) break;
        const char *name = (const char *)sqlite3_column_text(rows, 0);
        if (lineage->hypers == PBT_HYPERS || !name || strlen(name) >= PBT_NAME) {
            status = store_damaged(store, error, "the names of its hyperparameters make no sense");
            break;
        }
        snprintf(lineage->names[lineage->hypers++], PBT_NAME, "%s", name);
    }
    sqlite3_finalize(rows);
    return status;
}

static const char ANCESTOR[] =
    "SELECT s.steps - b.steps, s.age, s.score, s.deviation, l.training, l.scoring, l.saving, b.parent,"
    " b.parent_round, s.state FROM scored AS s JOIN standing AS b ON b.slot = s.slot AND b.round = s.round - "
    "1"
    " LEFT JOIN ledger AS l ON l.round = s.round AND l.slot = s.slot WHERE s.round = ? AND s.slot = ?";

/* Reads the one that was in `slot` in `round`, and moves both on to where it came from. */
static Status read_ancestor(Store *store, int64_t *round, int64_t *slot, PbtAncestor *ancestor, bool *found,
                            Error *error) {
    sqlite3_stmt *rows;
    *found = false;
    if (!is_count(*round)) return STATUS_OK; /* there is none */
    Status status = store_ask(store, &rows, error, ANCESTOR, "ii", *round, *slot);
    if (!status) status = store_next(store, rows, found, error);
    if (!status && *found) {
        *ancestor = (PbtAncestor){.round = *round,
                                  .slot = *slot,
                                  .steps = sqlite3_column_int64(rows, 0),
                                  .age = sqlite3_column_int64(rows, 1),
                                  .score = store_real(rows, 2),
                                  .deviation = store_real(rows, 3),
                                  .training = store_real(rows, 4),
                                  .scoring = store_real(rows, 5),
                                  .saving = store_real(rows, 6)};
        if (!take_hash(rows, 9, ancestor->state))
            status = store_damaged(store, error, "a state's name makes no sense");
        int64_t before = *round - 1;
        *slot = sqlite3_column_int64(rows, 7);
        *round = sqlite3_column_int64(rows, 8);
        if (*round > before) status = store_damaged(store, error, "a member descends from a later round");
    }
    sqlite3_finalize(rows);
    return status;
}

static Status read_trained_values(Store *store, const PbtAncestor *ancestor, size_t hypers, double *values,
                                  Error *error) {
    sqlite3_stmt *rows;
    bool more = true;
    Status status =
        store_ask(store, &rows, error, "SELECT value FROM value WHERE round = ? AND slot = ? ORDER BY name",
                  "ii", ancestor->round - 1, ancestor->slot);
    for (size_t i = 0; !status && more && i < hypers; i++) {
        status = store_next(store, rows, &more, error);
        if (!status) values[i] = more ? store_real(rows, 0) : (double)NAN;
    }
    sqlite3_finalize(rows);
    return status;
}

static void turn_round(PbtLineage *lineage) {
    for (size_t i = 0, j = lineage->count; i + 1 < j; i++) {
        PbtAncestor swapped = lineage->ancestors[i];
        lineage->ancestors[i] = lineage->ancestors[--j];
        lineage->ancestors[j] = swapped;
    }
}

/* From the last ancestor back to the first; a round 0, or a member that was added, ends it. */
static Status read_ancestors(Store *store, int64_t round, int64_t slot, PbtLineage *lineage, Error *error) {
    size_t room = 0;
    for (bool found = true;;) {
        if (!memory_grow((void **)&lineage->ancestors, lineage->count, &room, sizeof *lineage->ancestors))
            return error_no_memory(error, "a lineage");
        Status status =
            read_ancestor(store, &round, &slot, &lineage->ancestors[lineage->count], &found, error);
        if (status || !found) return status;
        lineage->count++;
    }
}

static Status read_schedule(Store *store, PbtLineage *lineage, Error *error) {
    Status status = STATUS_OK;
    size_t hypers = lineage->hypers ? lineage->hypers : 1;
    if (!(lineage->values = memory_new(lineage->count, hypers * sizeof(double))))
        return error_no_memory(error, "a lineage");
    for (size_t i = 0; !status && i < lineage->count; i++) {
        double *values = lineage->values + i * lineage->hypers;
        lineage->ancestors[i].values = values;
        status = read_trained_values(store, &lineage->ancestors[i], lineage->hypers, values, error);
    }
    return status;
}

static Status last_round_of(Store *store, int64_t slot, int64_t *round, Error *error) {
    sqlite3_stmt *rows;
    bool more = false;
    Status status = store_ask(store, &rows, error, "SELECT max(round) FROM scored WHERE slot = ?", "i", slot);
    if (!status) status = store_next(store, rows, &more, error);
    if (more) *round = sqlite3_column_int64(rows, 0);
    sqlite3_finalize(rows);
    return status;
}

Status pbt_lineage(const char *directory, int64_t slot, int64_t round, PbtLineage *lineage, Error *error) {
    Store *store;
    *lineage = (PbtLineage){.count = 0};
    Status status = store_look(&store, directory, error);
    if (!status && round == 0) status = last_round_of(store, slot, &round, error);
    if (!status) status = read_names(store, lineage, error);
    if (!status) status = read_ancestors(store, round, slot, lineage, error);
    if (!status && lineage->count == 0)
        status = error_set(error, STATUS_INVALID, "%s: there was no member %lld in round %lld", directory,
                           (long long)slot, (long long)round);
    turn_round(lineage);
    if (!status) status = read_schedule(store, lineage, error);
    store_close(store);
    if (status) pbt_lineage_free(lineage);
    return status;
}

void pbt_lineage_free(PbtLineage *lineage) {
    memory_free(lineage->names);
    memory_free(lineage->ancestors);
    memory_free(lineage->values);
    *lineage = (PbtLineage){.count = 0};
}

/* ---- best, order --------------------------------------------------------------------------------------- */

Status pbt_best(const char *directory, PbtBest *best, Error *error) {
    Store *store;
    sqlite3_stmt *rows = NULL;
    bool more = false;
    *best = (PbtBest){.score = NAN};
    Status status = store_look(&store, directory, error);
    if (!status)
        status = store_ask(store, &rows, error,
                           "SELECT round, slot, score, state FROM scored WHERE score IS NOT NULL"
                           " ORDER BY score DESC, round, slot LIMIT 1",
                           "");
    if (!status) status = store_next(store, rows, &more, error);
    if (!status && !more)
        status = error_set(error, STATUS_INVALID, "%s: nothing has been scored in it yet", directory);
    if (!status) {
        *best = (PbtBest){.round = sqlite3_column_int64(rows, 0),
                          .slot = sqlite3_column_int64(rows, 1),
                          .score = store_real(rows, 2)};
        if (!take_hash(rows, 3, best->state) || !isfinite(best->score))
            status = store_damaged(store, error, "the record of its best member makes no sense");
    }
    sqlite3_finalize(rows);
    store_close(store);
    return status;
}

Status pbt_order(const char *directory, int64_t **order, size_t *count, Error *error) {
    Store *store;
    sqlite3_stmt *rows = NULL;
    bool more = true;
    size_t room = 0;
    *order = NULL;
    *count = 0;
    Status status = store_look(&store, directory, error);
    if (!status) status = store_ask(store, &rows, error, "SELECT slot FROM turn ORDER BY turn", "");
    while (!status && more) {
        status = store_next(store, rows, &more, error);
        if (status || !more) break;
        if (memory_grow((void **)order, *count, &room, sizeof **order))
            (*order)[(*count)++] = sqlite3_column_int64(rows, 0);
        else
            status = error_no_memory(error, "an order");
    }
    sqlite3_finalize(rows);
    store_close(store);
    if (!status) return STATUS_OK;
    memory_free(*order);
    *order = NULL;
    *count = 0;
    return status;
}
