/* The module brood.terminal: lines from the person at the keyboard (lua_terminal.c). */
#ifndef BROOD_APP_LUA_TERMINAL_H
#define BROOD_APP_LUA_TERMINAL_H

#include "app/lua/lua_binding.h"

extern const BindingModule binding_terminal;

/* Whether Ctrl-C has been pressed in a call that it is to end: whatever else goes on shall end soon. */
bool terminal_interrupted(void);

#endif
