/* The Lua library inside the program. app/embed.sh makes the table from scripts/lib/brood/ at build time. */
#ifndef BROOD_APP_EMBEDDED_H
#define BROOD_APP_EMBEDDED_H

#include <stddef.h>

typedef struct {
    const char *name;          /* "brood/init.lua"; NULL ends the table */
    const unsigned char *text; /* the file's bytes */
    size_t length;
} EmbeddedScript;

extern const EmbeddedScript embedded_scripts[];

#endif
