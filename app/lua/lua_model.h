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
    bool kept; /* a population trains it, and closes it */
} MemberBox;

void model_close_member(MemberBox *box); /* frees what it holds; closing twice does nothing */

extern const BindingModule binding_model;

/* Pushes { name = value } of the trainer's signals. */
void model_push_signals(lua_State *L, const Trainer *trainer, const double *signals);

int model_train_together(lua_State *L); /* model.train_together(members, steps), in lua_together.c */

#endif
