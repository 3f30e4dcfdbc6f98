/* What the Lua bindings share: the tables that describe them, classes of userdata, and readers of arguments
 * whose errors name the script's line. */
#ifndef BROOD_APP_LUA_BINDING_H
#define BROOD_APP_LUA_BINDING_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "base/real.h"
#include "gan/graph/shape.h"

/* ---- descriptions: what Lua sees, and what `brood lua-types` prints ------------------------------------ */

typedef struct {
    const char *name;      /* NULL ends a table */
    const char *signature; /* as LuaLS writes it, self left out: "(axis: integer): brood.Tensor" */
    const char *doc;       /* one line */
    lua_CFunction function;
} BindingFunction;

typedef struct {
    const char *name; /* "brood.Tensor": the metatable's name and the type's in the definition file */
    const char *doc;
    const char *operators; /* lines of the definition file for overloaded operators; NULL: none */
    const BindingFunction *methods;
    const luaL_Reg *metamethods;
} BindingClass;

typedef struct {
    const char *name, *doc;
    const BindingFunction *functions;
    const BindingClass *const *classes; /* ended by NULL; or NULL */
} BindingModule;

extern const BindingModule binding_script, binding_graph;
extern const BindingModule *const binding_modules[]; /* all of them, ended by NULL */

/* Makes `require` find the module. */
void binding_preload(lua_State *L, const BindingModule *module);

/* ---- readers of arguments: each raises an error that names `what` -------------------------------------- */

/* The userdata of a class at `index`. */
void *binding_object(lua_State *L, int index, const char *class_name, const char *what);
/* A whole number between two bounds. */
int64_t binding_integer(lua_State *L, int index, const char *what, int64_t low, int64_t high);
double binding_number(lua_State *L, int index, const char *what);
bool binding_flag(lua_State *L, int index, const char *what); /* absent: false */
const char *binding_text(lua_State *L, int index, const char *what);

/* A shape: a table of sizes, one number for one axis, or nothing for a scalar. Checked by shape_check, unless
 * `unchecked` lets any whole numbers through. */
Shape binding_shape(lua_State *L, int index, const char *what, bool unchecked);
/* Turns the arguments from `index` on into one table there, unless a table is what is given: f(1, 2), f{1,
 * 2}. */
void binding_pack(lua_State *L, int index);
/* An axis of a tensor of `rank` axes as Lua counts it, from 1, or from -1 backwards; as C counts it. */
int binding_axis(lua_State *L, int index, const char *what, int rank);

/* An optional table of named fields, none and nil counting as the empty table. An unknown field is an error
 * that names the nearest of `names` (ended by NULL). */
void binding_fields(lua_State *L, int index, const char *what, const char *const *names);
/* Pushes a field and returns its type; pushes nil where there is no table. */
int binding_field(lua_State *L, int index, const char *name);

/* Memory for the time of a call, collected by Lua: no error can leak it. Pushes one value. */
void *binding_scratch(lua_State *L, size_t count, size_t size);

/* Memory that lives as long as the table at `keeps`, which holds it; zeroed. */
void *binding_keep(lua_State *L, int keeps, size_t count, size_t size);
/* The text at the top of the stack, kept in the same way; pops it. */
const char *binding_keep_text(lua_State *L, int keeps, const char *what);

/* Tells the collector that an object it knows as small holds `bytes` outside Lua, so that it comes round in
 * time. */
void binding_outside_bytes(lua_State *L, size_t bytes);

#endif
