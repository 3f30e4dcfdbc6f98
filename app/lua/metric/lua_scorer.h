/* Scorers as Lua sees them: app/scoring/scorer.h, made of a table by scripts/lib/brood/metric/scorer.lua. */
#ifndef BROOD_APP_LUA_SCORER_H
#define BROOD_APP_LUA_SCORER_H

#include "app/lua/lua_binding.h"
#include "app/scoring/scorer.h"

#define SCORER_CLASS "brood.Scorer"

/* The userdata keeps all that the scorer borrows alive. */
typedef struct {
    Scorer *scorer;     /* NULL: closed */
    ScorerBench *bench; /* of the script's own thread; NULL: not needed yet */
} ScorerBox;

extern const BindingClass scorer_class;

/* The open scorer at `index`. */
Scorer *scorer_check(lua_State *L, int index, const char *what);

int scorer_make(lua_State *L); /* core.scorer(spec) */
int scorer_look(lua_State *L); /* core.look(program, planes, images) */

#endif
