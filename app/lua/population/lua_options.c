/* Reads the table that a population is made from. What C points into is kept by Lua. */
#include <string.h>

#include "app/lua/lua_script.h"
#include "app/lua/population/lua_population.h"

/* ---- plain fields -------------------------------------------------------------------------------------- */

/* Pushes the list in a field, and returns how long it is; pushes nil where there is none. */
static size_t push_list(lua_State *L, int table, const char *name) {
    int type = binding_field(L, table, name);
    if (type != LUA_TNIL && type != LUA_TTABLE) script_error(L, "%s: a list expected", name);
    return type == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
}

static int64_t integer_field(lua_State *L, int table, const char *name, int64_t otherwise) {
    int64_t value = binding_field(L, table, name) == LUA_TNIL
                        ? otherwise
                        : binding_integer(L, -1, name, INT64_MIN, INT64_MAX);
    lua_pop(L, 1);
    return value;
}

static double number_field(lua_State *L, int table, const char *name, double otherwise) {
    double value = binding_field(L, table, name) == LUA_TNIL ? otherwise : binding_number(L, -1, name);
    lua_pop(L, 1);
    return value;
}

static bool flag_field(lua_State *L, int table, const char *name) {
    binding_field(L, table, name);
    bool value = binding_flag(L, -1, name);
    lua_pop(L, 1);
    return value;
}

static const char *text_field(lua_State *L, int table, int keeps, const char *name) {
    const char *text = NULL;
    if (binding_field(L, table, name) != LUA_TNIL) {
        lua_pushvalue(L, -1);
        text = binding_keep_text(L, keeps, name);
    }
    lua_pop(L, 1);
    return text;
}

const char *const *options_texts(lua_State *L, int table, int keeps, const char *field, size_t *count) {
    const char **texts = NULL;
    *count = push_list(L, table, field);
    if (!lua_isnil(L, -1)) {
        texts = binding_keep(L, keeps, *count, sizeof *texts);
        for (size_t i = 0; i < *count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            texts[i] = binding_keep_text(L, keeps, field);
        }
    }
    lua_pop(L, 1);
    return texts;
}

/* The place of the text in the field among `names`. */
static int choice_field(lua_State *L, int table, const char *field, const char *const *names, int count) {
    binding_field(L, table, field);
    const char *text = binding_text(L, -1, field);
    int index = 0;
    while (index < count && strcmp(names[index], text) != 0) index++;
    if (index == count) script_error(L, "%s: there is no '%s'", field, text);
    lua_pop(L, 1);
    return index;
}

/* ---- the space ----------------------------------------------------------------------------------------- */

static const char *const KINDS[] = {"uniform", "log_uniform", "integer", "choice", "category", "constant"};

static const double *read_numbers(lua_State *L, int table, int keeps, size_t *count) {
    double *numbers = NULL;
    *count = push_list(L, table, "numbers");
    if (!lua_isnil(L, -1)) {
        numbers = binding_keep(L, keeps, *count, sizeof *numbers);
        for (size_t i = 0; i < *count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            numbers[i] = binding_number(L, -1, "numbers");
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    return numbers;
}

static PbtHyper read_hyper(lua_State *L, int table, int keeps) {
    PbtHyper hyper = {.name = text_field(L, table, keeps, "name"),
                      .kind =
                          (PbtHyperKind)choice_field(L, table, "kind", KINDS, sizeof KINDS / sizeof *KINDS),
                      .low = number_field(L, table, "low", 0),
                      .high = number_field(L, table, "high", 0),
                      .structural = flag_field(L, table, "structural")};
    hyper.numbers = read_numbers(L, table, keeps, &hyper.count);
    size_t labels;
    hyper.labels = options_texts(L, table, keeps, "labels", &labels);
    if (hyper.labels && hyper.numbers && labels != hyper.count)
        script_error(L, "%s: as many labels as numbers expected", hyper.name);
    if (hyper.labels) hyper.count = labels;
    return hyper;
}

static PbtSpace read_space(lua_State *L, int spec, int keeps) {
    size_t count = push_list(L, spec, "space");
    int list = lua_gettop(L);
    PbtHyper *hypers = binding_keep(L, keeps, count, sizeof *hypers);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        hypers[i] = read_hyper(L, lua_gettop(L), keeps);
        lua_settop(L, list);
    }
    lua_pop(L, 1);
    pbt_space_sort(hypers, count);
    PbtSpace space = {hypers, count};
    Error error;
    if (pbt_space_check(&space, &error)) script_error(L, "%s", error.message);
    return space;
}

/* { { name = number, ... }, ... }, one for each member. */
static const double *read_initial(lua_State *L, int spec, int keeps, Population *population) {
    size_t given = push_list(L, spec, "initial");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return NULL;
    }
    size_t members = population->options.population, hypers = population->options.space.count;
    if (given != members)
        script_error(L, "initial: values for %zu members expected, got %zu", members, given);
    double *values = binding_keep(L, keeps, members * hypers, sizeof *values);
    for (size_t i = 0; i < members; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        callback_read_values(L, -1, &population->options.space, "initial", values + i * hypers);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return values;
}

/* ---- rules --------------------------------------------------------------------------------------------- */

void options_read_exploit(lua_State *L, int index, PbtExploit *exploit) {
    static const char *const NAMES[] = {"none", "truncation", "tournament", "ttest", "callback"};
    index = lua_absindex(L, index);
    luaL_checktype(L, index, LUA_TTABLE);
    *exploit = pbt_exploit_default();
    exploit->kind = (PbtExploitKind)choice_field(L, index, "kind", NAMES, sizeof NAMES / sizeof *NAMES);
    exploit->bottom = number_field(L, index, "bottom", exploit->bottom);
    exploit->top = number_field(L, index, "top", exploit->top);
    exploit->window = (size_t)integer_field(L, index, "window", (int64_t)exploit->window);
    exploit->level = number_field(L, index, "level", exploit->level);
    exploit->token = integer_field(L, index, "token", 0);
}

void options_read_explore(lua_State *L, int index, PbtExplore *explore) {
    static const char *const NAMES[] = {"rule", "callback"};
    index = lua_absindex(L, index);
    luaL_checktype(L, index, LUA_TTABLE);
    *explore = pbt_explore_default();
    explore->kind = (PbtExploreKind)choice_field(L, index, "kind", NAMES, sizeof NAMES / sizeof *NAMES);
    explore->chance = number_field(L, index, "chance", explore->chance);
    explore->resample = number_field(L, index, "resample", explore->resample);
    explore->token = integer_field(L, index, "token", 0);
    size_t factors = push_list(L, index, "factors");
    if (!lua_isnil(L, -1)) {
        explore->factor_count = factors;
        if (explore->factor_count > PBT_FACTORS)
            script_error(L, "explore: at most %d factors, got %zu", PBT_FACTORS, explore->factor_count);
        for (size_t i = 0; i < explore->factor_count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            explore->factors[i] = binding_number(L, -1, "factors");
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

static void read_rules(lua_State *L, int spec, PbtOptions *options) {
    options->exploit = pbt_exploit_default();
    if (binding_field(L, spec, "exploit_rule") != LUA_TNIL) options_read_exploit(L, -1, &options->exploit);
    options->explore = pbt_explore_default();
    if (binding_field(L, spec, "explore_rule") != LUA_TNIL) options_read_explore(L, -1, &options->explore);
    lua_pop(L, 2);
}

static PbtControl read_control(lua_State *L, int spec) {
    const char *names[PBT_CONTROLS];
    for (int i = 0; i < PBT_CONTROLS; i++) names[i] = pbt_control_name((PbtControl)i);
    if (binding_field(L, spec, "control") == LUA_TNIL) {
        lua_pop(L, 1);
        return PBT_CONTROL_OFF;
    }
    lua_pop(L, 1);
    return (PbtControl)choice_field(L, spec, "control", names, PBT_CONTROLS);
}

/* ---- facts, order -------------------------------------------------------------------------------------- */

/* { { name =, value =, aside = }, ... } */
static void read_facts(lua_State *L, int spec, int keeps, PbtOptions *options) {
    options->fact_count = push_list(L, spec, "facts");
    if (options->fact_count > 0) {
        PbtFact *facts = binding_keep(L, keeps, options->fact_count, sizeof *facts);
        for (size_t i = 0; i < options->fact_count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            int fact = lua_gettop(L);
            facts[i] = (PbtFact){text_field(L, fact, keeps, "name"), text_field(L, fact, keeps, "value"),
                                 flag_field(L, fact, "aside")};
            lua_pop(L, 1);
        }
        options->facts = facts;
    }
    lua_pop(L, 1);
}

static void read_order(lua_State *L, int spec, int keeps, PbtOptions *options) {
    options->order_count = push_list(L, spec, "order");
    if (options->order_count > 0) {
        int64_t *order = binding_keep(L, keeps, options->order_count, sizeof *order);
        for (size_t i = 0; i < options->order_count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            order[i] = binding_integer(L, -1, "order", 0, PBT_POPULATION);
            lua_pop(L, 1);
        }
        options->order = order;
    }
    lua_pop(L, 1);
}

/* ---- all ----------------------------------------------------------------------------------------------- */

void options_read(lua_State *L, int spec, int keeps, Population *population) {
    PbtOptions *options = &population->options;
    options->space = read_space(L, spec, keeps);
    options->seed = (uint64_t)integer_field(L, spec, "seed", 1);
    options->population = (size_t)integer_field(L, spec, "population", 1);
    options->interval = integer_field(L, spec, "interval", 1);
    options->burn_in = integer_field(L, spec, "burn_in", 0);
    options->control = read_control(L, spec);
    options->recombine = flag_field(L, spec, "recombine");
    options->asynchronous = flag_field(L, spec, "asynchronous");
    options->workers = (size_t)integer_field(L, spec, "workers", 1);
    options->directory = text_field(L, spec, keeps, "directory");
    options->report_best = (size_t)integer_field(L, spec, "report_best", 0);
    options->keep_best = (size_t)integer_field(L, spec, "keep_best", 1);
    options->keep_every = integer_field(L, spec, "keep_every", 0);
    options->from = text_field(L, spec, keeps, "from");
    options->from_round = integer_field(L, spec, "from_round", 0);
    options->initial = read_initial(L, spec, keeps, population);
    read_rules(L, spec, options);
    read_facts(L, spec, keeps, options);
    read_order(L, spec, keeps, options);
    options->callbacks = population_callbacks(L, spec, population);
}
