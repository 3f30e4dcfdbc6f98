/* What a run was begun with, as pairs of texts: written once, and compared on resuming. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "pbt/store/store.h"

/* ---- numbers and rules as text ------------------------------------------------------------------------- */

enum { NUMBER_TEXT = 32 };

/* The shortest text that reads back as the same number. */
static void number_text(double number, char text[NUMBER_TEXT]) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, NUMBER_TEXT, "%.*g", digits, number);
        if (strtod(text, NULL) == number) return;
    }
}

static const char *const EXPLOIT_NAMES[] = {"none", "truncation", "tournament", "ttest", "callback"};
static const char *const EXPLORE_NAMES[] = {"rule", "callback"};

void store_exploit_text(const PbtExploit *exploit, char text[STORE_RULE]) {
    char bottom[NUMBER_TEXT], top[NUMBER_TEXT], level[NUMBER_TEXT];
    number_text(exploit->bottom, bottom);
    number_text(exploit->top, top);
    number_text(exploit->level, level);
    snprintf(text, STORE_RULE, "%s bottom %s top %s window %zu level %s token %" PRId64,
             EXPLOIT_NAMES[exploit->kind], bottom, top, exploit->window, level, exploit->token);
}

void store_explore_text(const PbtExplore *explore, char text[STORE_RULE]) {
    char chance[NUMBER_TEXT], resample[NUMBER_TEXT], factor[NUMBER_TEXT];
    number_text(explore->chance, chance);
    number_text(explore->resample, resample);
    int used = snprintf(text, STORE_RULE, "%s chance %s resample %s token %" PRId64 " factors",
                        EXPLORE_NAMES[explore->kind], chance, resample, explore->token);
    for (size_t i = 0; i < explore->factor_count && used < STORE_RULE; i++) {
        number_text(explore->factors[i], factor);
        used += snprintf(text + used, (size_t)(STORE_RULE - used), " %s", factor);
    }
}

static bool find_name(const char *const *names, size_t count, const char *name, size_t *index) {
    for (*index = 0; *index < count; ++*index)
        if (strcmp(names[*index], name) == 0) return true;
    return false;
}

bool store_exploit_parse(const char *text, PbtExploit *exploit) {
    char name[16];
    size_t kind;
    *exploit = (PbtExploit){.kind = PBT_NONE};
    int found = sscanf(text, "%15s bottom %lf top %lf window %zu level %lf token %" SCNd64, name,
                       &exploit->bottom, &exploit->top, &exploit->window, &exploit->level, &exploit->token);
    if (found != 6 || !find_name(EXPLOIT_NAMES, sizeof EXPLOIT_NAMES / sizeof *EXPLOIT_NAMES, name, &kind))
        return false;
    exploit->kind = (PbtExploitKind)kind;
    return pbt_exploit_check(exploit, NULL) == STATUS_OK;
}

bool store_explore_parse(const char *text, PbtExplore *explore) {
    char name[16];
    size_t kind;
    int used = 0, more = 0;
    *explore = (PbtExplore){.kind = PBT_EXPLORE_RULE};
    int found = sscanf(text, "%15s chance %lf resample %lf token %" SCNd64 " factors%n", name,
                       &explore->chance, &explore->resample, &explore->token, &used);
    if (found != 4 || used == 0) return false;
    if (!find_name(EXPLORE_NAMES, sizeof EXPLORE_NAMES / sizeof *EXPLORE_NAMES, name, &kind)) return false;
    explore->kind = (PbtExploreKind)kind;
    double factor;
    for (const char *rest = text + used; sscanf(rest, " %lf%n", &factor, &more) == 1; rest += more) {
        if (explore->factor_count == PBT_FACTORS) return false;
        explore->factors[explore->factor_count++] = factor;
    }
    return pbt_explore_check(explore, NULL) == STATUS_OK;
}

/* ---- the facts of a run -------------------------------------------------------------------------------- */

enum { FACT_TEXT = 1024, FACT_NAME = 2 * PBT_NAME };

typedef Status FactVisit(Store *store, const char *name, const char *value, bool aside, Error *error);

typedef struct {
    Store *store;
    FactVisit *visit;
    int64_t count; /* of those told so far that are not set aside */
} Facts;

static Status tell(Facts *facts, const char *name, const char *value, bool aside, Error *error) {
    facts->count += !aside;
    return facts->visit(facts->store, name, value, aside, error);
}

static void append(char text[FACT_TEXT], const char *more) {
    size_t used = strlen(text);
    snprintf(text + used, FACT_TEXT - used, "%s", more);
}

/* A list that is too long for the text is told apart by a hash of all of it. */
static Status list_text(const PbtHyper *hyper, char text[FACT_TEXT], Error *error) {
    char all[PBT_OPTIONS * NUMBER_TEXT] = "", number[NUMBER_TEXT];
    size_t used = 0;
    for (size_t i = 0; i < hyper->count; i++) {
        number_text(hyper->numbers ? hyper->numbers[i] : (double)i, number);
        used += (size_t)snprintf(all + used, sizeof all - used, " %s", number);
    }
    FilePiece pieces[1 + PBT_OPTIONS] = {{all, used}};
    size_t count = 1;
    for (size_t i = 0; hyper->labels && i < hyper->count; i++)
        pieces[count++] = (FilePiece){hyper->labels[i], strlen(hyper->labels[i]) + 1};
    char hash[FILE_HASH];
    Status status = file_hash(pieces, count, hash, error);
    if (status) return status;
    if (!hyper->labels && used + NUMBER_TEXT < FACT_TEXT) {
        append(text, all);
        return STATUS_OK;
    }
    size_t start = strlen(text);
    snprintf(text + start, FACT_TEXT - start, " of %zu options, %s", hyper->count, hash);
    return STATUS_OK;
}

static Status hyper_fact(Facts *facts, const PbtHyper *hyper, Error *error) {
    char name[FACT_NAME], text[FACT_TEXT] = "", low[NUMBER_TEXT], high[NUMBER_TEXT];
    bool list = hyper->kind == PBT_CHOICE || hyper->kind == PBT_CATEGORY;
    snprintf(name, sizeof name, "hyper.%s", hyper->name);
    number_text(hyper->low, low);
    number_text(hyper->high, high);
    append(text, pbt_hyper_kind_name(hyper->kind));
    if (list) {
        Status status = list_text(hyper, text, error);
        if (status) return status;
    } else {
        append(text, " ");
        append(text, low);
    }
    if (!list && hyper->kind != PBT_CONSTANT) {
        append(text, " ");
        append(text, high);
    }
    if (hyper->structural) append(text, " structural");
    return tell(facts, name, text, false, error);
}

static Status number_fact(Facts *facts, const char *name, int64_t number, Error *error) {
    char text[NUMBER_TEXT];
    snprintf(text, sizeof text, "%" PRId64, number);
    return tell(facts, name, text, false, error);
}

static Status list_facts(Facts *facts, const char *what, const char *const *names, size_t count,
                         Error *error) {
    Status status = STATUS_OK;
    char name[FACT_NAME];
    for (size_t i = 0; !status && i < count; i++) {
        snprintf(name, sizeof name, "%s.%zu", what, i + 1);
        status = tell(facts, name, names[i], false, error);
    }
    return status;
}

static Status rule_facts(Facts *facts, const PbtOptions *options, Error *error) {
    char text[STORE_RULE];
    store_exploit_text(&options->exploit, text);
    Status status = tell(facts, "exploit", text, false, error);
    if (status) return status;
    store_explore_text(&options->explore, text);
    return tell(facts, "explore", text, false, error);
}

static Status each_fact(Facts *facts, const PbtOptions *options, Error *error) {
    const PbtKind *kind = options->kind;
    const char *mode = options->asynchronous ? "asynchronous" : "synchronous";
    char seed[NUMBER_TEXT];
    snprintf(seed, sizeof seed, "%" PRIu64, options->seed);
    Status status = tell(facts, "seed", seed, false, error);
    if (!status) status = number_fact(facts, "population", (int64_t)options->population, error);
    if (!status) status = number_fact(facts, "interval", options->interval, error);
    if (!status) status = number_fact(facts, "burn_in", options->burn_in, error);
    if (!status) status = number_fact(facts, "report_best", (int64_t)options->report_best, error);
    if (!status) status = tell(facts, "mode", mode, false, error);
    if (!status) status = tell(facts, "control", pbt_control_name(options->control), false, error);
    if (!status) status = tell(facts, "recombine", options->recombine ? "yes" : "no", false, error);
    if (!status) status = rule_facts(facts, options, error);
    for (size_t i = 0; !status && i < options->space.count; i++)
        status = hyper_fact(facts, &options->space.hypers[i], error);
    if (!status) status = list_facts(facts, "part", kind->parts, kind->part_count, error);
    if (!status) status = list_facts(facts, "report", kind->reports, kind->report_count, error);
    if (!status) status = list_facts(facts, "signal", kind->signals, kind->signal_count, error);
    for (size_t i = 0; !status && i < options->fact_count; i++)
        status = tell(facts, options->facts[i].name, options->facts[i].value, options->facts[i].aside, error);
    return status;
}

/* ---- writing and comparing ----------------------------------------------------------------------------- */

static const char *const TABLES[] = {
    "CREATE TABLE fact(name TEXT PRIMARY KEY, value TEXT NOT NULL, aside INT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE round(round INTEGER PRIMARY KEY, interval INT NOT NULL, exploit TEXT NOT NULL,"
    " explore TEXT NOT NULL, stopped INT NOT NULL, memory BLOB NOT NULL)",
    /* As a member was at the end of a round's training. */
    "CREATE TABLE scored(round INT, slot INT, steps INT NOT NULL, age INT NOT NULL, failed INT NOT NULL,"
    " pinned INT NOT NULL, score REAL, deviation REAL, fitness REAL, window BLOB NOT NULL, state TEXT NOT "
    "NULL, failure TEXT NOT NULL, PRIMARY KEY(round, slot)) WITHOUT ROWID",
    "CREATE TABLE reported(round INT, slot INT, report INT, value REAL, deviation REAL,"
    " PRIMARY KEY(round, slot, report)) WITHOUT ROWID",
    /* By the place of its name among the kind's signals. */
    "CREATE TABLE signal(round INT, slot INT, signal INT, value REAL, PRIMARY KEY(round, slot, signal))"
    " WITHOUT ROWID",
    /* As it stood after exploit and explore, and goes into the next round. `reports`: values, then
       deviations. */
    "CREATE TABLE standing(round INT, slot INT, parent INT NOT NULL, parent_round INT NOT NULL, steps INT "
    "NOT NULL, age INT NOT NULL,"
    " failed INT NOT NULL, pinned INT NOT NULL, score REAL, deviation REAL, fitness REAL, window BLOB NOT "
    "NULL,"
    " reports BLOB NOT NULL, state TEXT NOT NULL, failure TEXT NOT NULL, PRIMARY KEY(round, slot)) WITHOUT "
    "ROWID",
    "CREATE TABLE value(round INT, slot INT, name TEXT, value REAL NOT NULL, PRIMARY KEY(round, slot, name))"
    " WITHOUT ROWID",
    "CREATE TABLE event(id INTEGER PRIMARY KEY, round INT NOT NULL, slot INT, kind TEXT NOT NULL, other INT,"
    " text TEXT NOT NULL, aside INT NOT NULL)",
    "CREATE TABLE state(hash TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE pin(slot INT NOT NULL, round INT NOT NULL, state TEXT NOT NULL)",
    "CREATE TABLE ledger(round INT, slot INT, training REAL NOT NULL, scoring REAL NOT NULL, saving REAL NOT "
    "NULL,"
    " PRIMARY KEY(round, slot)) WITHOUT ROWID",
    "CREATE TABLE turn(turn INTEGER PRIMARY KEY, slot INT NOT NULL, round INT NOT NULL)",
    "CREATE INDEX best ON scored(score)",
};

bool store_is_table(const char *sql) {
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
        if (strcmp(TABLES[i], sql) == 0) return true;
    return false;
}

static Status write_fact(Store *store, const char *name, const char *value, bool aside, Error *error) {
    return store_run(store, error, "INSERT INTO fact VALUES(?, ?, ?)", "tti", name, value, (int64_t)aside);
}

Status store_put_options(Store *store, const PbtOptions *options, Error *error) {
    char version[32];
    snprintf(version, sizeof version, "PRAGMA user_version=%d", STORE_VERSION);
    Status status = store_run(store, error, version, "");
    for (size_t i = 0; !status && i < sizeof TABLES / sizeof *TABLES; i++)
        status = store_run(store, error, TABLES[i], "");
    Facts facts = {store, write_fact, 0};
    return status ? status : each_fact(&facts, options, error);
}

static Status find_fact(Store *store, const char *name, char **value, Error *error) {
    sqlite3_stmt *rows;
    bool more = false;
    *value = NULL;
    Status status = store_ask(store, &rows, error, "SELECT value FROM fact WHERE name = ?", "t", name);
    if (!status) status = store_next(store, rows, &more, error);
    if (more && !(*value = memory_string((const char *)sqlite3_column_text(rows, 0))))
        status = error_no_memory(error, "a fact");
    sqlite3_finalize(rows);
    return status;
}

/* Those set aside may differ; a new one is no reason either to refuse. */
static Status compare_fact(Store *store, const char *name, const char *value, bool aside, Error *error) {
    char *begun;
    if (aside) return STATUS_OK;
    Status status = find_fact(store, name, &begun, error);
    if (status) return status;
    if (!begun)
        status = error_set(error, STATUS_INVALID,
                           "%s: this run was begun without %s, which now is \"%.300s\": resume it as it was "
                           "begun, or begin a new run",
                           store_path(store), name, value);
    else if (strcmp(begun, value) != 0)
        status =
            error_set(error, STATUS_INVALID,
                      "%s: this run was begun with %s \"%.300s\", which now is \"%.300s\": resume it as it "
                      "was begun, or begin a new run",
                      store_path(store), name, begun, value);
    memory_free(begun);
    return status;
}

static Status compare_count(Store *store, int64_t now, Error *error) {
    int64_t begun = 0;
    Status status = store_number(store, &begun, error, "SELECT count(*) FROM fact WHERE NOT aside");
    if (status || begun == now) return status;
    return error_set(
        error, STATUS_INVALID,
        "%s: this run was begun with %lld facts (hyperparameters, report scores, ...), now there are "
        "%lld: resume it as it was begun, or begin a new run",
        store_path(store), (long long)begun, (long long)now);
}

Status store_check_options(Store *store, const PbtOptions *options, Error *error) {
    Facts facts = {store, compare_fact, 0};
    Status status = each_fact(&facts, options, error);
    return status ? status : compare_count(store, facts.count, error);
}

Status pbt_fact(const char *directory, const char *name, char **value, Error *error) {
    Store *store;
    *value = NULL;
    Status status = store_look(&store, directory, error);
    if (!status) status = find_fact(store, name, value, error);
    store_close(store);
    return status;
}
