/* The run store: run.db, an SQLite file, and states/, files named by the hash of what they hold. A round is
 * one transaction; states are in their place before it, and removed after the one that no longer refers to
 * them. */
#ifndef BROOD_PBT_STORE_H
#define BROOD_PBT_STORE_H

#include <sqlite3.h>

#include "pbt/population.h"

enum { STORE_VERSION = 3 /* changes whenever the tables do */, STORE_RULE = 512 };

/* ---- store.c: opening, asking -------------------------------------------------------------------------- */

/* Opens the store in a directory, which is made where there is none, and locks it against other processes.
 * `begun` tells whether a run has been put into it. States' files have the ending. */
Status store_open(Store **store, const char *directory, const char *ending, bool *begun, Error *error);
/* To read only, without a lock; it keeps nobody from writing meanwhile. */
Status store_look(Store **store, const char *directory, Error *error);
void store_close(Store *store);
const char *store_path(const Store *store); /* of run.db */

/* Runs one statement. `types` has a letter for each parameter: i int64_t, d double (NaN becomes NULL), t text
 * (NULL becomes NULL), b blob (bytes, size_t). */
Status store_run(Store *store, Error *error, const char *sql, const char *types, ...);
/* Prepares one, to be stepped by store_next and ended by sqlite3_finalize. */
Status store_ask(Store *store, sqlite3_stmt **rows, Error *error, const char *sql, const char *types, ...);
Status store_next(Store *store, sqlite3_stmt *rows, bool *more, Error *error);
Status store_damaged(Store *store, Error *error, const char *what); /* for content that makes no sense */
Status store_number(Store *store, int64_t *number, Error *error, const char *sql); /* 0 where there is none */
double store_real(sqlite3_stmt *rows, int column);                                 /* NULL is NaN */

/* ---- facts.c: what the run was begun with -------------------------------------------------------------- */

Status store_put_options(Store *store, const PbtOptions *options, Error *error); /* and makes the tables */
/* Whether it is the definition of a table (or index) of a store. */
bool store_is_table(const char *sql);
Status store_check_options(Store *store, const PbtOptions *options, Error *error);
/* Rules as text, and back; false where the text is none. */
void store_exploit_text(const PbtExploit *exploit, char text[STORE_RULE]);
void store_explore_text(const PbtExplore *explore, char text[STORE_RULE]);
bool store_exploit_parse(const char *text, PbtExploit *exploit);
bool store_explore_parse(const char *text, PbtExplore *explore);

/* ---- store.c: writing ---------------------------------------------------------------------------------- */

Status store_begin(Store *store, Error *error);
void store_abandon(Store *store); /* undoes what was not committed, if anything */
Status store_put_round(Store *store, const PbtRun *run, Error *error);
Status store_put_scored(Store *store, const PbtRun *run, const Slot *slot, Error *error);
Status store_put_standing(Store *store, const PbtRun *run, const Slot *slot, Error *error);
Status store_put_states(Store *store, const PbtRun *run, Error *error); /* all that were saved */
Status store_put_turn(Store *store, int64_t turn, int64_t slot, int64_t round, Error *error);
Status store_put_events(Store *store, const PbtRun *run, int64_t round, Error *error);
Status store_put_pin(Store *store, int64_t slot, int64_t round, const char *state, Error *error);
/* Forgets the states that neither these last rounds, nor the best scores, pins, or every n-th round need. */
Status store_retain(Store *store, const PbtOptions *options, int64_t since, Error *error);
/* Commits, then removes the files of the states that were forgotten. */
Status store_commit(Store *store, const char *states, Error *error);
Status store_give_up(Store *store, int64_t round, Error *error); /* all that came after `round` */
void store_sweep(Store *store, const char *states);              /* removes files that nothing refers to */

/* ---- record.c ------------------------------------------------------------------------------------------ */

Status store_last_round(Store *store, int64_t *round, Error *error);
Status store_round_before(Store *store, int64_t round, int64_t *before, Error *error);
/* Into the run: round, settings, memory. */
Status store_read_round(Store *store, PbtRun *run, int64_t round, Error *error);
/* Members that had not been dropped, as they stood after `round`; with `latest` each after its last up to
 * that. `standings` is to be freed by memory_free. */
Status store_read_standings(Store *store, const PbtRun *run, int64_t round, bool latest, Standing **standings,
                            size_t *count, Error *error);
/* Members of a run with another space, and other scores, maybe: NaN for the values that it did not have,
 * illegal ones as they were. */
Status store_read_others(Store *store, const PbtRun *run, int64_t round, Standing **standings, size_t *count,
                         Error *error);
/* Asynchronous: what members published at their ready moments from `since` on. */
Status store_read_scored(Store *store, const PbtRun *run, int64_t since, Standing **standings, size_t *count,
                         Error *error);
Status store_read_next_slot(Store *store, int64_t *slot, Error *error);
Status store_read_turns(Store *store, int64_t *turns, Error *error);

#endif
