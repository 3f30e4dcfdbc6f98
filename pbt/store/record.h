/* What a run left in its directory. All of this may be read while the run goes on. Part of pbt/pbt.h. */
#ifndef BROOD_PBT_RECORD_H
#define BROOD_PBT_RECORD_H

#include "pbt/pbt.h"

/* ---- export -------------------------------------------------------------------------------------------- */

typedef enum { PBT_FIELD_NOTHING, PBT_FIELD_WHOLE, PBT_FIELD_REAL, PBT_FIELD_TEXT } PbtFieldType;

typedef struct {
    const char *name;
    PbtFieldType type;
    int64_t whole;
    double real;
    const char *text;
} PbtField;

/* One row of one table. Everything is valid during the call only. */
typedef Status PbtRow(void *context, const char *table, const PbtField *fields, size_t count, Error *error);

/* All that script and seed determine, in a fixed order, so that equal runs give equal rows. With `ledger`
 * also what they do not: CPU seconds, resumptions, facts set aside. */
Status pbt_export(const char *directory, bool ledger, PbtRow *row, void *context, Error *error);

/* A fact's value, to be freed by memory_free; NULL when the run has none of that name. */
Status pbt_fact(const char *directory, const char *name, char **value, Error *error);

/* ---- lineage ------------------------------------------------------------------------------------------- */

/* One round of a lineage: who carried the weights through it, and how. */
typedef struct {
    int64_t round, slot;
    int64_t steps; /* trained in this round */
    int64_t age;   /* steps of the weights at its end */
    double score, deviation;
    double training, scoring, saving; /* CPU seconds */
    const double *values;             /* hyperparameters it was trained with */
    char state[FILE_HASH];            /* after it; "" when none was saved. It may be forgotten by now */
} PbtAncestor;

typedef struct {
    char (*names)[PBT_NAME]; /* of the hyperparameters */
    size_t hypers;
    PbtAncestor *ancestors; /* the first first */
    size_t count;
    double *values; /* count × hypers */
} PbtLineage;

/* Of the member that was in `slot` at the end of the training of `round` (0: its last): its schedule is what
 * it and its ancestors were trained with. Recombined members descend from the donor of their first part. */
Status pbt_lineage(const char *directory, int64_t slot, int64_t round, PbtLineage *lineage, Error *error);
void pbt_lineage_free(PbtLineage *lineage);

typedef struct {
    int64_t round, slot;
    double score;
    char state[FILE_HASH]; /* in the directory's states/ */
} PbtBest;
/* The best selection score ever; STATUS_INVALID when nothing has been scored. */
Status pbt_best(const char *directory, PbtBest *best, Error *error);

/* Slots in the order of an asynchronous run's ready moments, to replay it; to be freed by memory_free. */
Status pbt_order(const char *directory, int64_t **order, size_t *count, Error *error);

#endif
