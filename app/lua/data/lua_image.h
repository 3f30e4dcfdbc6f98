/* Pictures for scripts. */
#ifndef BROOD_APP_LUA_IMAGE_H
#define BROOD_APP_LUA_IMAGE_H

#include "app/lua/lua_binding.h"

extern const BindingModule binding_image;

#endif
