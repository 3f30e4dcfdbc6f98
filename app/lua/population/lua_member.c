/* Members written in Lua. scripts/lib/brood/member.lua makes of a script's functions those that are called
 * here:
 *
 *     create(slot, values)                the member
 *     apply(member, values)               values, as the member now has them
 *     step(member, first, steps)
 *     score(member)                       score, deviation, { report scores }
 *     save(member), load(member, text)    all that copies take along, as a text
 *
 * A member is any Lua value. All of it happens on the thread that runs the population. */
#include <stdio.h>
#include <string.h>

#include "app/lua/lua_script.h"
#include "app/lua/population/lua_population.h"
#include "base/file.h"
#include "base/memory.h"

enum { SELF = 1, ARGUMENTS = 2 }; /* places on a body's stack */
enum { STATE_LIMIT = 1 << 28 };   /* bytes of a state */

/* What pbt/ holds of a member: its place in the table that the population keeps. */
typedef struct {
    int reference;
} LuaMember;

/* Pushes a function of the table, and the member. */
static void push_call(lua_State *L, const char *function, const LuaMember *member) {
    callback_function(L, function);
    callback_keeps(L);
    lua_rawgeti(L, -1, member->reference);
    lua_remove(L, -2);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

typedef struct {
    const PbtBirth *birth;
    LuaMember *member;
} CreateCall;

static int create_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    const CreateCall *call = lua_touserdata(L, ARGUMENTS);
    callback_keeps(L);
    int keeps = lua_gettop(L);
    callback_function(L, "create");
    lua_pushinteger(L, call->birth->slot);
    callback_push_values(L, &population->options.space, call->birth->values);
    lua_call(L, 2, 1);
    call->member->reference = luaL_ref(L, keeps);
    return 0;
}

static Status create(void *context, void *worker, const PbtBirth *birth, void **made, Error *error) {
    (void)worker;
    LuaMember *member = memory_new(1, sizeof *member);
    if (!member) return error_no_memory(error, "a member");
    CreateCall call = {birth, member};
    Status status = callback_protect(context, create_body, &call, false, error);
    if (status)
        memory_free(member);
    else
        *made = member;
    return status;
}

static int free_body(lua_State *L) {
    callback_keeps(L);
    luaL_unref(L, -1, ((LuaMember *)lua_touserdata(L, ARGUMENTS))->reference);
    return 0;
}

static void free_member(void *context, void *member) {
    callback_protect(context, free_body, member, false, NULL);
    memory_free(member);
}

/* ---- training ------------------------------------------------------------------------------------------ */

typedef struct {
    LuaMember *member;
    const double *values;
    double *applied;
} ApplyCall;

static int apply_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    const ApplyCall *call = lua_touserdata(L, ARGUMENTS);
    push_call(L, "apply", call->member);
    callback_push_values(L, &population->options.space, call->values);
    lua_call(L, 2, 1);
    callback_read_values(L, -1, &population->options.space, "hyperparameters", call->applied);
    return 0;
}

static Status apply(void *context, void *worker, void *member, const double *values, double *applied,
                    Error *error) {
    (void)worker;
    ApplyCall call = {member, values, applied};
    return callback_protect(context, apply_body, &call, false, error);
}

typedef struct {
    LuaMember *member;
    int64_t first, steps;
} StepCall;

static int step_body(lua_State *L) {
    const StepCall *call = lua_touserdata(L, ARGUMENTS);
    push_call(L, "step", call->member);
    lua_pushinteger(L, call->first);
    lua_pushinteger(L, call->steps);
    lua_call(L, 3, 0);
    return 0;
}

static Status step(void *context, void *worker, void *member, int64_t first, int64_t steps, Error *error) {
    (void)worker;
    StepCall call = {member, first, steps};
    return callback_protect(context, step_body, &call, false, error);
}

typedef struct {
    LuaMember *member;
    PbtScore *score;
} ScoreCall;

static int score_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    const ScoreCall *call = lua_touserdata(L, ARGUMENTS);
    push_call(L, "score", call->member);
    lua_call(L, 1, 3);
    call->score->score = lua_tonumber(L, -3);
    call->score->deviation = lua_tonumber(L, -2);
    callback_read_numbers(L, -1, "score: report scores", call->score->reports,
                          population->options.kind->report_count);
    return 0;
}

static Status score(void *context, void *worker, void *member, PbtScore *out, Error *error) {
    (void)worker;
    ScoreCall call = {member, out};
    return callback_protect(context, score_body, &call, false, error);
}

/* ---- states -------------------------------------------------------------------------------------------- */

typedef struct {
    LuaMember *member, *donor;
    const char *folder; /* to save into; NULL: only the hash is wanted */
    char *hash;
    const uint8_t *bytes;
    size_t size;
} StateCall;

/* Pushes the member's state, a text. */
static FilePiece push_state(lua_State *L, const LuaMember *member) {
    FilePiece piece;
    push_call(L, "save", member);
    lua_call(L, 1, 1);
    piece.bytes = luaL_checklstring(L, -1, &piece.size);
    if (piece.size > STATE_LIMIT) luaL_error(L, "save: a state of at most %d bytes expected", STATE_LIMIT);
    return piece;
}

static int copy_body(lua_State *L) {
    const StateCall *call = lua_touserdata(L, ARGUMENTS);
    push_call(L, "load", call->member);
    push_state(L, call->donor);
    lua_call(L, 2, 0);
    return 0;
}

static Status copy(void *context, void *worker, void *member, void *donor, unsigned parts, Error *error) {
    (void)worker, (void)parts; /* there is one */
    StateCall call = {.member = member, .donor = donor};
    return callback_protect(context, copy_body, &call, false, error);
}

/* A failure of the disk is the run's, not the member's: its status is told apart. */
typedef struct {
    StateCall state;
    Status status;
    Error *error;
} SaveCall;

static int save_body(lua_State *L) {
    SaveCall *call = lua_touserdata(L, ARGUMENTS);
    char path[FILE_PATH_LIMIT];
    FilePiece piece = push_state(L, call->state.member);
    call->status = file_hash(&piece, 1, call->state.hash, call->error);
    if (call->status || !call->state.folder) return 0;
    int length = snprintf(path, sizeof path, "%s/%s", call->state.folder, call->state.hash);
    call->status = length < 0 || (size_t)length >= sizeof path
                       ? error_set(call->error, STATUS_INVALID, "the path of the states is too long")
                       : file_save(path, &piece, 1, call->error);
    return 0;
}

static Status save(void *context, void *worker, void *member, const char *folder, char hash[FILE_HASH],
                   Error *error) {
    (void)worker;
    SaveCall call = {.state = {.member = member, .folder = folder, .hash = hash}, .error = error};
    Status status = callback_protect(context, save_body, &call, false, error);
    return status ? status : call.status;
}

static Status hash(void *context, void *worker, void *member, char text[FILE_HASH], Error *error) {
    return save(context, worker, member, NULL, text, error);
}

static int load_body(lua_State *L) {
    const StateCall *call = lua_touserdata(L, ARGUMENTS);
    push_call(L, "load", call->member);
    lua_pushlstring(L, (const char *)call->bytes, call->size);
    lua_call(L, 2, 0);
    return 0;
}

static Status load(void *context, void *worker, void *member, const char *folder, const char *hash,
                   Error *error) {
    char path[FILE_PATH_LIMIT];
    uint8_t *bytes;
    (void)worker;
    StateCall call = {.member = member};
    int length = snprintf(path, sizeof path, "%s/%s", folder, hash);
    if (length < 0 || (size_t)length >= sizeof path)
        return error_set(error, STATUS_INVALID, "the path of the states is too long");
    Status status = file_load(path, STATE_LIMIT, &bytes, &call.size, error);
    if (status) return status;
    call.bytes = bytes;
    status = callback_protect(context, load_body, &call, false, error);
    memory_free(bytes);
    return status;
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

void lua_members(lua_State *L, int spec, int keeps, Population *population) {
    PbtKind *kind = &population->own_kind;
    *kind = (PbtKind){.context = population,
                      .one_thread = true,
                      .create = create,
                      .free = free_member,
                      .apply = apply,
                      .step = step,
                      .score = score,
                      .copy = copy,
                      .hash = hash,
                      .save = save,
                      .load = load};
    kind->reports = options_texts(L, spec, keeps, "reports", &kind->report_count);
    if (kind->report_count > PBT_REPORTS) script_error(L, "reports: at most %d scores", PBT_REPORTS);
    population->options.kind = kind;
}
