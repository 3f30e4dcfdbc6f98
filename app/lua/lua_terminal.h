/* The module brood.terminal: lines from the person at the keyboard (lua_terminal.c). */
#ifndef BROOD_APP_LUA_TERMINAL_H
#define BROOD_APP_LUA_TERMINAL_H

#include "app/lua/lua_binding.h"

extern const BindingModule binding_terminal;

#endif
