/* Models and members as Lua sees them: what brood.experiment is built on. */
#ifndef BROOD_APP_LUA_MODEL_H
#define BROOD_APP_LUA_MODEL_H

#include "app/lua/lua_binding.h"
#include "gan/model.h"

#define MODEL_CLASS  "brood.Model"
#define MEMBER_CLASS "brood.Member"

extern const BindingModule binding_model;

#endif
