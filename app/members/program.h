/* Members that are programs, in any language: one is started for each member, and told in JSON lines over its
 * standard input what to do. scripts/programs/PROTOCOL.md is the protocol. A program that hangs, dies, or
 * says what makes no sense is a failed member, and is stopped; its last words are in the message. */
#ifndef BROOD_APP_MEMBERS_PROGRAM_H
#define BROOD_APP_MEMBERS_PROGRAM_H

#include "pbt/pbt.h"

enum { PROGRAM_VERSION = 1 /* of the protocol */ };

typedef struct {
    const char *const *command; /* argv, ending with NULL; found along PATH, run without a shell */
    double time_limit;          /* seconds that a request may take, */
    double step_limit;          /* and to train an interval; 0: the same */
    const char *folder; /* of the run: FOLDER/programs/member-N.txt takes the standard error of slot N's
                           programs. It is made if need be; NULL: standard error is thrown away */
    const char *working_directory; /* where the programs run; NULL: where Brood does */
    PbtSpace space;
    const char *const *reports; /* names of report scores, which a program may list in any order */
    size_t report_count;
} ProgramOptions;

typedef struct ProgramKind ProgramKind;

/* What the options point to is borrowed. STATUS_INVALID when they make no sense, STATUS_IO when a folder is
 * not there or cannot be made. */
Status program_kind_new(ProgramKind **kind, const ProgramOptions *options, Error *error);
const PbtKind *program_kind(const ProgramKind *kind);
void program_kind_free(ProgramKind *kind); /* after the last of its members */

#endif
