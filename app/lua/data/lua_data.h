/* Data sets as Lua sees them. */
#ifndef BROOD_APP_LUA_DATA_H
#define BROOD_APP_LUA_DATA_H

#include "app/lua/lua_binding.h"
#include "gan/data/data.h"

#define DATASET_CLASS "brood.Dataset"

extern const BindingModule binding_data;

/* The open data set at `index`. */
Dataset *dataset_check(lua_State *L, int index, const char *what);

#endif
