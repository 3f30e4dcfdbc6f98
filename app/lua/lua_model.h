/* Models and members as Lua sees them: what brood.experiment is built on. */
#ifndef BROOD_APP_LUA_MODEL_H
#define BROOD_APP_LUA_MODEL_H

#include "app/lua/lua_binding.h"
#include "gan/model.h"

#define MODEL_CLASS  "brood.Model"
#define MEMBER_CLASS "brood.Member"

typedef struct {
    Model model; /* layout NULL: closed */
    Trainer *trainer;
    Workspace *workspace; /* of the samplers */
} ModelBox;

typedef struct {
    Member member; /* state.data NULL: closed */
    ModelBox *model;
    double *hypers;
} MemberBox;

void model_close_member(MemberBox *box); /* frees what it holds; closing twice does nothing */

extern const BindingModule binding_model;

#endif
