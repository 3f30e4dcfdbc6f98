/* What parameters begin with, for scripts. */
#ifndef BROOD_APP_LUA_INITIALIZER_H
#define BROOD_APP_LUA_INITIALIZER_H

#include "app/lua/lua_binding.h"

extern const BindingModule binding_initializer;

#endif
