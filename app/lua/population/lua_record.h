/* What a run left in its directory, for scripts. */
#ifndef BROOD_APP_LUA_RECORD_H
#define BROOD_APP_LUA_RECORD_H

#include "app/lua/lua_binding.h"

extern const BindingModule binding_record;

#endif
