/* Folders and clocks for scripts. */
#ifndef BROOD_APP_LUA_FILES_H
#define BROOD_APP_LUA_FILES_H

#include "app/lua/lua_binding.h"

extern const BindingModule binding_files;

#endif
