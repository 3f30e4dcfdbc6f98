/* brood.record: what runs left in their directories, read while they go on or after. Numbers that are not
 * there, or not a number, are nil. */
#include "app/lua/population/lua_record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/lua/lua_script.h"
#include "base/memory.h"
#include "pbt/pbt.h"

/* The directory of a run: the first argument. */
static const char *check_directory(lua_State *L, const char *what) {
    const char *directory = binding_text(L, 1, what);
    char path[FILE_PATH_LIMIT];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/run.db", directory);
    if (length < 0 || (size_t)length >= sizeof path) script_error(L, "%s: the path is too long", what);
    if (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode))
        script_error(L,
                     "%s: there is no such run: the directory of a run expected, such as runs/00001-digits",
                     directory);
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        script_error(L, "%s: not the directory of a run: it has no run.db", directory);
    return directory;
}

static void set_number(lua_State *L, const char *name, double number) {
    if (isnan(number)) return;
    lua_pushnumber(L, number);
    lua_setfield(L, -2, name);
}

static void set_whole(lua_State *L, const char *name, int64_t number) {
    lua_pushinteger(L, number);
    lua_setfield(L, -2, name);
}

/* Calls push(object), which leaves one value, so that an error of Lua's leaves C what it owns. True if there
 * was none; otherwise the message is left. */
static bool push_safely(lua_State *L, lua_CFunction push, void *object) {
    lua_pushcfunction(L, push);
    lua_pushlightuserdata(L, object);
    return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

/* ---- export -------------------------------------------------------------------------------------------- */

typedef struct {
    const char *table; /* whose rows are coming */
    bool aside;        /* it came before: now come the rows that script and seed do not determine */
    const PbtField *fields;
    size_t count;
} Row;

/* The table of that name in the record at index 2, made where there is none. Pushes it. */
static void push_table(lua_State *L, const Row *row) {
    if (lua_getfield(L, 2, row->table) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, (int)row->count, 0);
    for (size_t i = 0; i < row->count; i++) {
        lua_pushstring(L, row->fields[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "columns");
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, row->table);
}

/* Arguments: the row, the record that it is added to, and whether its table is another than the last row's.
 */
static int add_row(lua_State *L) {
    Row *row = lua_touserdata(L, 1);
    if (lua_toboolean(L, 3)) row->aside = lua_getfield(L, 2, row->table) != LUA_TNIL;
    push_table(L, row);
    lua_createtable(L, 0, (int)row->count);
    for (size_t i = 0; i < row->count; i++) {
        const PbtField *field = &row->fields[i];
        switch (field->type) {
        case PBT_FIELD_WHOLE: set_whole(L, field->name, field->whole); break;
        case PBT_FIELD_REAL: set_number(L, field->name, field->real); break;
        case PBT_FIELD_TEXT:
            lua_pushstring(L, field->text);
            lua_setfield(L, -2, field->name);
            break;
        case PBT_FIELD_NOTHING: break;
        }
    }
    if (row->aside) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "aside");
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    return 0;
}

typedef struct {
    lua_State *L; /* the record is on top of the stack; an error's message is left above it */
    Row row;
} Record;

static Status take_row(void *context, const char *table, const PbtField *fields, size_t count, Error *error) {
    Record *record = context;
    lua_State *L = record->L;
    Row *row = &record->row;
    bool other = !row->table || strcmp(row->table, table) != 0;
    *row = (Row){table, row->aside, fields, count};
    lua_pushcfunction(L, add_row);
    lua_pushlightuserdata(L, row);
    lua_pushvalue(L, -3);
    lua_pushboolean(L, other);
    if (lua_pcall(L, 3, 0, 0) == LUA_OK) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "%s", lua_tostring(L, -1));
}

/* record.export(directory [, ledger]) → { TABLE = { { COLUMN = value, ... }, ..., columns = { ... } }, ... }
 */
static int export(lua_State *L) {
    const char *directory = check_directory(L, "record.export: directory");
    bool ledger = binding_flag(L, 2, "record.export: ledger");
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lua_newtable(L);
    Record record = {.L = L};
    Error error = {.status = STATUS_OK};
    if (pbt_export(directory, ledger, take_row, &record, &error) != STATUS_OK)
        script_error(L, "%s", error.message);
    return 1;
}

/* ---- facts --------------------------------------------------------------------------------------------- */

static int push_text(lua_State *L) {
    lua_pushstring(L, lua_touserdata(L, 1)); /* nil for NULL */
    return 1;
}

/* record.fact(directory, name) → text, or nil */
static int fact(lua_State *L) {
    const char *directory = check_directory(L, "record.fact: directory");
    const char *name = binding_text(L, 2, "record.fact: name");
    char *value;
    Error error;
    if (pbt_fact(directory, name, &value, &error) != STATUS_OK) script_error(L, "%s", error.message);
    bool pushed = push_safely(L, push_text, value);
    memory_free(value);
    return pushed ? 1 : lua_error(L);
}

/* ---- lineage ------------------------------------------------------------------------------------------- */

static void push_ancestor(lua_State *L, const PbtLineage *lineage, const PbtAncestor *ancestor) {
    lua_createtable(L, 0, 10);
    set_whole(L, "round", ancestor->round);
    set_whole(L, "slot", ancestor->slot);
    set_whole(L, "steps", ancestor->steps);
    set_whole(L, "age", ancestor->age);
    set_number(L, "score", ancestor->score);
    set_number(L, "deviation", ancestor->deviation);
    set_number(L, "training", ancestor->training);
    set_number(L, "scoring", ancestor->scoring);
    set_number(L, "saving", ancestor->saving);
    lua_pushstring(L, ancestor->state);
    lua_setfield(L, -2, "state");
    lua_createtable(L, 0, (int)lineage->hypers);
    for (size_t i = 0; i < lineage->hypers; i++) set_number(L, lineage->names[i], ancestor->values[i]);
    lua_setfield(L, -2, "values");
}

static int push_lineage(lua_State *L) {
    const PbtLineage *lineage = lua_touserdata(L, 1);
    lua_createtable(L, (int)lineage->count, 0);
    for (size_t i = 0; i < lineage->count; i++) {
        push_ancestor(L, lineage, &lineage->ancestors[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* record.lineage(directory, slot [, round]) → { { round =, slot =, ..., values = { NAME = number } }, ... }
 */
static int lineage(lua_State *L) {
    const char *directory = check_directory(L, "record.lineage: directory");
    int64_t slot = binding_integer(L, 2, "record.lineage: slot", 0, INT64_MAX);
    int64_t round = lua_isnoneornil(L, 3) ? 0 : binding_integer(L, 3, "record.lineage: round", 0, INT64_MAX);
    PbtLineage found;
    Error error;
    if (pbt_lineage(directory, slot, round, &found, &error) != STATUS_OK)
        script_error(L, "%s", error.message);
    bool pushed = push_safely(L, push_lineage, &found);
    pbt_lineage_free(&found);
    return pushed ? 1 : lua_error(L);
}

/* ---- best, order --------------------------------------------------------------------------------------- */

/* record.best(directory) → { round =, slot =, score =, state = } */
static int best(lua_State *L) {
    PbtBest found;
    Error error;
    if (pbt_best(check_directory(L, "record.best: directory"), &found, &error) != STATUS_OK)
        script_error(L, "%s", error.message);
    lua_createtable(L, 0, 4);
    set_whole(L, "round", found.round);
    set_whole(L, "slot", found.slot);
    set_number(L, "score", found.score);
    lua_pushstring(L, found.state);
    lua_setfield(L, -2, "state");
    return 1;
}

typedef struct {
    int64_t *slots;
    size_t count;
} Order;

static int push_order(lua_State *L) {
    const Order *order = lua_touserdata(L, 1);
    lua_createtable(L, (int)order->count, 0);
    for (size_t i = 0; i < order->count; i++) {
        lua_pushinteger(L, order->slots[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* record.order(directory) → { slot, slot, ... } */
static int order(lua_State *L) {
    Order found;
    Error error;
    if (pbt_order(check_directory(L, "record.order: directory"), &found.slots, &found.count, &error) !=
        STATUS_OK)
        script_error(L, "%s", error.message);
    bool pushed = push_safely(L, push_order, &found);
    memory_free(found.slots);
    return pushed ? 1 : lua_error(L);
}

static const BindingFunction FUNCTIONS[] = {
    {"export", "(directory: string, ledger?: boolean): table<string, table[]>",
     "The tables of a run's store as lists of rows, each with its list of columns; with the ledger also what "
     "script and seed do not determine: rows of tables that hold both have aside = true there.",
     export},
    {"fact", "(directory: string, name: string): string?", "What is known of a run under a name.", fact},
    {"lineage", "(directory: string, slot: integer, round?: integer): table[]",
     "A member and its ancestors, round by round, the first first: round, slot, steps, age, score, "
     "deviation, training, scoring, saving, state, values.",
     lineage},
    {"best", "(directory: string): table",
     "The best score that any member ever had: round, slot, score, state.", best},
    {"order", "(directory: string): integer[]",
     "The slots of an asynchronous run in the order of their ready moments, to replay it.", order},
    {NULL, NULL, NULL, NULL}};
const BindingModule binding_record = {"brood.record", "What a run left in its directory.", FUNCTIONS, NULL};
