/* Rows of doubles for the metrics: how they come in from Lua, and the userdata that keeps them. */
#ifndef BROOD_APP_LUA_ROWS_H
#define BROOD_APP_LUA_ROWS_H

#include "app/lua/lua_binding.h"
#include "metrics/metrics.h"

#define ROWS_CLASS "brood.Rows"

extern const BindingClass rows_class;

/* The rows at `index`: a list of rows { {1, 2}, {3, 4} }, a flat list with a field `columns`, a list of
 * numbers (one column), a brood.Value (all axes but the first are one row) or a brood.Rows. Numbers of tables
 * stay doubles. Pushes what keeps them alive unless it stands at `index`. Errors begin with `what`. */
Matrix rows_read(lua_State *L, int index, const char *what);

/* Pushes new rows, to be filled. */
double *rows_push(lua_State *L, size_t rows, size_t columns);

/* Labels as Lua counts them, from 1 to `classes`, as C counts them. `count` takes how many there are. Pushes
 * one value or two. */
uint32_t *rows_labels(lua_State *L, int index, const char *what, size_t classes, size_t *count);

/* Raises an error "WHAT: message", unless the status is fine. */
void rows_raise(lua_State *L, const char *what, Status status, const Error *error);

#endif
