#include "app/names.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Capitals count as small letters. */
static bool same_letter(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* How many insertions, deletions, changes and swaps of neighbours turn a into b (the "optimal string
 * alignment" distance); NAMES_LENGTH when one of them is too long. */
static size_t edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    if (n >= NAMES_LENGTH || m >= NAMES_LENGTH) return NAMES_LENGTH;
    size_t rows[3][NAMES_LENGTH] = {{0}}; /* row i is rows[i % 3]; two rows back for the swaps */
    for (size_t j = 0; j <= m; j++) rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            row[j] =
                smaller(above[j - 1] + !same_letter(a[i - 1], b[j - 1]), smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
                row[j] = smaller(row[j], higher[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

/* Whether one name is the beginning of the other: "pad" and "padding". */
static bool abbreviates(const char *a, const char *b) {
    size_t n = smaller(strlen(a), strlen(b));
    return n >= 3 && strncmp(a, b, n) == 0;
}

void names_start(NameSearch *search, const char *wanted) {
    size_t length = strlen(wanted);
    /* More than a third of the letters wrong, or all of a short name, is another name. */
    size_t most = length < 2 ? 0 : length < 6 ? 2 : length / 3 + 1;
    search->wanted = wanted;
    search->distance = most + 1;
    search->best[0] = '\0';
}

void names_offer(NameSearch *search, const char *candidate) {
    if (!*candidate || strlen(candidate) >= NAMES_LENGTH) return;
    size_t distance = edit_distance(search->wanted, candidate);
    if (distance > 2 && abbreviates(search->wanted, candidate)) distance = 2;
    if (distance > search->distance) return;
    if (distance == search->distance && (!search->best[0] || strcmp(candidate, search->best) >= 0)) return;
    search->distance = distance;
    strcpy(search->best, candidate);
}

const char *names_best(const NameSearch *search) {
    return search->best[0] ? search->best : NULL;
}
