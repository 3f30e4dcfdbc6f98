/* Members of different models, trained at the same time. */
#include <pthread.h>

#include "app/lua/lua_model.h"
#include "app/lua/lua_script.h"

enum { TOGETHER = 16 }; /* members, at most */

typedef struct {
    MemberBox *box;
    int64_t steps;
    double *signals;
    Status status;
    Error error;
    pthread_t thread;
    bool started;
} Stint;

static void *train(void *given) {
    Stint *stint = given;
    stint->status = trainer_run(stint->box->model->trainer, &stint->box->member, stint->steps, stint->signals,
                                &stint->error);
    return NULL;
}

/* What can have no thread is done here, one after the other. */
static void train_all(Stint *stints, size_t count) {
    for (size_t i = 1; i < count; i++)
        stints[i].started = pthread_create(&stints[i].thread, NULL, train, &stints[i]) == 0;
    for (size_t i = 0; i < count; i++)
        if (!stints[i].started) train(&stints[i]);
    for (size_t i = 1; i < count; i++)
        if (stints[i].started) pthread_join(stints[i].thread, NULL);
}

/* Stint `i` of the lists at 1 and 2. Pushes what it needs. */
static void read_stint(lua_State *L, Stint *stints, size_t i) {
    Stint *stint = &stints[i];
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    *stint = (Stint){.box = binding_object(L, -2, MEMBER_CLASS, "train_together"),
                     .steps = binding_integer(L, -1, "train_together: steps", 0, INT64_MAX)};
    if (!stint->box->member.state.data) script_error(L, "train_together: a member is closed");
    for (size_t j = 0; j < i; j++)
        if (stints[j].box->model == stint->box->model)
            script_error(L, "train_together: members of different models expected: each has one trainer");
    stint->signals = binding_scratch(L, trainer_signals(stint->box->model->trainer), sizeof(double));
}

/* → { { signal = mean }, ... }, or nil, a message and whose it is */
static int push_results(lua_State *L, const Stint *stints, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (stints[i].status == STATUS_NOT_FINITE) {
            lua_pushnil(L);
            lua_pushstring(L, stints[i].error.message);
            lua_pushinteger(L, (lua_Integer)i + 1);
            return 3;
        }
        if (stints[i].status) script_error(L, "%s", stints[i].error.message);
    }
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        model_push_signals(L, stints[i].box->model->trainer, stints[i].signals);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

int model_train_together(lua_State *L) {
    Stint stints[TOGETHER];
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    size_t count = lua_rawlen(L, 1);
    if (count < 1 || count > TOGETHER)
        script_error(L, "train_together: 1 to %d members expected, got %zu", TOGETHER, count);
    luaL_checkstack(L, 3 * TOGETHER + LUA_MINSTACK, "train_together");
    for (size_t i = 0; i < count; i++) read_stint(L, stints, i);
    train_all(stints, count);
    return push_results(L, stints, count);
}
