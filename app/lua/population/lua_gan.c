/* GAN pairs of an experiment: made by its function `make`, then trained and scored without Lua. */
#include <string.h>

#include "app/lua/lua_model.h"
#include "app/lua/lua_script.h"
#include "app/lua/metric/lua_scorer.h"
#include "app/lua/population/lua_population.h"

enum { SELF = 1, ARGUMENTS = 2 }; /* places on a body's stack */

/* ---- making -------------------------------------------------------------------------------------------- */

typedef struct {
    const PbtBirth *birth;
    GanPair *pair;
} MakeCall;

/* Those of all shapes are one: the trainer's, then the spread. */
static void check_signals(lua_State *L, const Trainer *trainer, const PbtKind *kind) {
    size_t count = trainer_signals(trainer);
    bool same = count + 1 == kind->signal_count;
    for (size_t i = 0; same && i < count; i++)
        same = strcmp(trainer_signal_name(trainer, i), kind->signals[i]) == 0;
    if (!same)
        luaL_error(L, "the loss tells of other signals for these networks than for those of another shape:"
                      " they must be the same for all");
}

/* make(slot, values) → a member, and the number of its model, from 1. It is kept as long as the pair lives.
 */
static int make_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    const MakeCall *call = lua_touserdata(L, ARGUMENTS);
    callback_keeps(L);
    int keeps = lua_gettop(L);
    callback_seed_random(L, (uint64_t)call->birth->slot, "lua.make", 0);
    callback_function(L, "make");
    lua_pushinteger(L, call->birth->slot);
    callback_push_values(L, &population->options.space, call->birth->values);
    lua_call(L, 2, 2);
    MemberBox *box = luaL_checkudata(L, -2, MEMBER_CLASS);
    lua_Integer number = lua_tointeger(L, -1);
    if (number < 1 || number > GAN_MODELS)
        luaL_error(L, "members of more than %d shapes in one run", GAN_MODELS);
    check_signals(L, box->model->trainer, population->options.kind);
    lua_pop(L, 1);
    lua_rawsetp(L, keeps, box);
    box->kept = true;
    *call->pair = (GanPair){.model = &box->model->model,
                            .number = (size_t)number - 1,
                            .member = &box->member,
                            .hypers = box->hypers,
                            .owner = box};
    return 0;
}

static Status make(void *context, const PbtBirth *birth, GanPair *pair, Error *error) {
    MakeCall call = {birth, pair};
    return callback_protect(context, make_body, &call, false, error);
}

static int unmake_body(lua_State *L) {
    callback_keeps(L);
    lua_pushnil(L);
    lua_rawsetp(L, -2, lua_touserdata(L, ARGUMENTS));
    return 0;
}

/* Its memory goes now, the rest when Lua likes. */
static void unmake(void *context, GanPair *pair) {
    ((MemberBox *)pair->owner)->kept = false;
    model_close_member(pair->owner);
    callback_protect(context, unmake_body, pair->owner, false, NULL);
}

/* ---- judging ------------------------------------------------------------------------------------------- */

typedef struct {
    const GanPair *pair;
    PbtScore *score;
} JudgeCall;

/* finish(values, deviations) → scores, deviations: the selection score, greater being better, then the others
 */
static int judge_body(lua_State *L) {
    const Population *population = lua_touserdata(L, SELF);
    const JudgeCall *call = lua_touserdata(L, ARGUMENTS);
    size_t measures = scorer_count(population->scorer);
    size_t reports = population->reporter ? 0 : population->options.kind->report_count;
    double values[PBT_REPORTS + 1], deviations[PBT_REPORTS + 1];
    callback_seed_random(L, 0, "lua.finish", 0);
    callback_function(L, "finish");
    callback_push_numbers(L, call->pair->values, measures);
    callback_push_numbers(L, call->pair->deviations, measures);
    lua_call(L, 2, 2);
    callback_read_numbers(L, -1, "deviations of scores", deviations, reports + 1);
    callback_read_numbers(L, -2, "scores", values, reports + 1);
    call->score->score = values[0];
    call->score->deviation = deviations[0];
    memcpy(call->score->reports, values + 1, reports * sizeof *values);
    memcpy(call->score->report_deviations, deviations + 1, reports * sizeof *deviations);
    return 0;
}

static Status judge(void *context, const GanPair *pair, PbtScore *score, Error *error) {
    JudgeCall call = {pair, score};
    return callback_protect(context, judge_body, &call, false, error);
}

/* ---- the kind ------------------------------------------------------------------------------------------ */

/* What scores go by: `scorer`, maybe a `reporter`, and either the `sign` of the first measure or `finish`. */
static void read_scorer(lua_State *L, int spec, Population *population, GanOptions *options) {
    if (binding_field(L, spec, "scorer") != LUA_TNIL) {
        options->scorer = population->scorer = scorer_check(L, -1, "scorer");
        size_t measures = scorer_count(options->scorer);
        if (binding_field(L, spec, "reporter") != LUA_TNIL) {
            options->reporter = population->reporter = scorer_check(L, -1, "reporter");
            measures += scorer_count(options->reporter);
        }
        lua_pop(L, 1);
        if (measures > GAN_MEASURES) script_error(L, "at most %d measures, got %zu", GAN_MEASURES, measures);
        binding_field(L, spec, "sign");
        options->sign = population->sign = lua_isnil(L, -1) ? 1 : binding_number(L, -1, "sign");
        if (binding_field(L, spec, "finish") == LUA_TFUNCTION) options->judge = judge;
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

void gan_members(lua_State *L, int spec, int keeps, Population *population) {
    GanOptions options = {.context = population,
                          .space = population->options.space,
                          .seed = population->options.seed,
                          .make = make,
                          .unmake = unmake};
    options.reports = options_texts(L, spec, keeps, "reports", &options.report_count);
    options.signals = options_texts(L, spec, keeps, "signals", &options.signal_count);
    read_scorer(L, spec, population, &options);
    Error error;
    if (gan_kind_new(&population->gan, &options, &error)) script_error(L, "%s", error.message);
    population->options.kind = gan_kind(population->gan);
}
