/* The nearest right name to a misspelt one, for error messages: "did you mean 'conv'?". */
#ifndef BROOD_APP_NAMES_H
#define BROOD_APP_NAMES_H

#include <stddef.h>

enum { NAMES_LENGTH = 64 }; /* longer names are never near */

typedef struct {
    const char *wanted;
    size_t distance; /* of the best one */
    char best[NAMES_LENGTH];
} NameSearch;

/* Starts a search; `wanted` is borrowed until its end. */
void names_start(NameSearch *search, const char *wanted);
void names_offer(NameSearch *search, const char *candidate);
/* The nearest candidate so far, the first of equally near ones in the order of the alphabet; NULL when all
 * differ too much. */
const char *names_best(const NameSearch *search);

#endif
