/* brood.model: turns what scripts/lib/brood/experiment/ has put together, graphs and plain tables, into a
 * model, and trains members of it. Its errors name the field; the library adds the script's line. */
#include "app/lua/lua_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/data/lua_data.h"
#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "base/memory.h"
#include "base/random.h"
#include "gan/state_file.h"

enum { MODEL_KEEPS = 1 }; /* user value of a model: the table of what it borrows (data set, texts, numbers) */

enum { MEMBER_MODEL = 1 }; /* user value of a member: its model */

static ModelBox *box_check(lua_State *L, int index, const char *what) {
    ModelBox *box = binding_object(L, index, MODEL_CLASS, what);
    if (!box->model.layout) script_error(L, "%s: the model is closed", what);
    return box;
}

static void raise_status(lua_State *L, Status status, const Error *error) {
    if (status != STATUS_OK) script_error(L, "%s", error->message);
}

/* ---- reading the table --------------------------------------------------------------------------------- */

enum { SPEC = 1, BOX, KEEPS }; /* places on the stack */

/* Memory and texts that live as long as the model. */
static void *keep(lua_State *L, size_t count, size_t size) {
    return binding_keep(L, KEEPS, count, size);
}

static const char *keep_text(lua_State *L, const char *what) {
    return binding_keep_text(L, KEEPS, what);
}

static const char *text_field(lua_State *L, int table, const char *name) {
    return binding_field(L, table, name) == LUA_TNIL ? (lua_pop(L, 1), NULL) : keep_text(L, name);
}

static double plain_number(lua_State *L, int table, const char *name, double otherwise) {
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

static int hyper_index(lua_State *L, const TrainerModel *trainer, const char *name) {
    for (size_t i = 0; i < trainer->hyper_count; i++)
        if (strcmp(trainer->hypers[i], name) == 0) return (int)i;
    script_error(L, "there is no hyperparameter '%s'", name);
}

static NumberKind number_kind(lua_State *L, const char *text) {
    static const char *const KINDS[NUMBER_KINDS] = {"constant",    "hyper",     "linear", "cosine",
                                                    "exponential", "piecewise", "warmup"};
    for (int kind = 0; kind < NUMBER_KINDS; kind++)
        if (strcmp(text, KINDS[kind]) == 0) return (NumberKind)kind;
    script_error(L, "there is no schedule '%s'", text);
}

/* The list part of a piecewise schedule: { {step, value}, ... }. */
static void read_points(lua_State *L, int table, Number *number) {
    number->point_count = lua_rawlen(L, table);
    NumberPoint *points = keep(L, number->point_count, sizeof *points);
    for (size_t i = 0; i < number->point_count; i++) {
        lua_rawgeti(L, table, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        points[i] = (NumberPoint){lua_tonumber(L, -2), lua_tonumber(L, -1)};
        lua_pop(L, 3);
    }
    number->points = points;
}

/* The number at the top of the stack, popped: a number, a hyperparameter's name, or a schedule's table. */
static Number read_number(lua_State *L, const TrainerModel *trainer) {
    Number number = number_constant(0);
    if (lua_type(L, -1) == LUA_TNUMBER)
        number.from = lua_tonumber(L, -1);
    else if (lua_type(L, -1) == LUA_TSTRING)
        number = number_hyper(hyper_index(L, trainer, lua_tostring(L, -1)));
    else if (lua_type(L, -1) == LUA_TTABLE) {
        int table = lua_gettop(L);
        binding_field(L, table, "kind");
        number.kind = number_kind(L, binding_text(L, -1, "schedule"));
        number.from = plain_number(L, table, number.kind == NUMBER_CONSTANT ? "value" : "from", 0);
        number.to = plain_number(L, table, "to", 0);
        number.steps = plain_number(L, table, "steps", 0);
        if (number.kind == NUMBER_PIECEWISE) read_points(L, table, &number);
        if (binding_field(L, table, "after") != LUA_TNIL) {
            Number *after = keep(L, 1, sizeof *after);
            *after = read_number(L, trainer);
            number.after = after;
        }
        lua_settop(L, table);
    } else
        script_error(L, "a number, the name of a hyperparameter or a schedule expected");
    lua_pop(L, 1);
    Error error;
    raise_status(L, number_check(&number, &error), &error);
    return number;
}

static Number number_field(lua_State *L, const TrainerModel *trainer, int table, const char *name,
                           double otherwise) {
    if (binding_field(L, table, name) != LUA_TNIL) return read_number(L, trainer);
    lua_pop(L, 1);
    return number_constant(otherwise);
}

static void read_names(lua_State *L, TrainerModel *trainer) {
    binding_field(L, SPEC, "hypers");
    int list = lua_gettop(L);
    trainer->hyper_count = lua_rawlen(L, list);
    const char **names = keep(L, trainer->hyper_count, sizeof *names);
    for (size_t i = 0; i < trainer->hyper_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        names[i] = keep_text(L, "hypers");
    }
    trainer->hypers = names;
    lua_pop(L, 1);
}

static void read_numbers(lua_State *L, TrainerModel *trainer) {
    binding_field(L, SPEC, "numbers");
    int list = lua_gettop(L);
    trainer->number_count = lua_rawlen(L, list);
    Number *numbers = keep(L, trainer->number_count, sizeof *numbers);
    for (size_t i = 0; i < trainer->number_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        numbers[i] = read_number(L, trainer);
    }
    trainer->numbers = numbers;
    lua_pop(L, 1);
}

/* ---- programs ------------------------------------------------------------------------------------------ */

/* What one program is made of, read from a table { graph, outputs = {{name, tensor}, ...}, loss, parameters,
 * assign = {{variable, tensor}, ...}, early }. The memory is kept: the graph is only needed while compiling.
 */
static Graph *read_program(lua_State *L, int table, ProgramSpec *spec) {
    binding_field(L, table, "graph");
    GraphBox *box = graph_check(L, -1, "graph");
    binding_field(L, table, "outputs");
    int list = lua_gettop(L);
    spec->output_count = lua_rawlen(L, list);
    ProgramOutput *outputs = keep(L, spec->output_count, sizeof *outputs);
    for (size_t i = 0; i < spec->output_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 2);
        outputs[i].node = tensor_of(L, -1, box, "outputs");
        lua_pop(L, 1);
        lua_rawgeti(L, -1, 1);
        outputs[i].name = keep_text(L, "outputs");
        lua_pop(L, 1);
    }
    spec->outputs = outputs;
    binding_field(L, table, "assign");
    list = lua_gettop(L);
    spec->assignment_count = lua_istable(L, list) ? lua_rawlen(L, list) : 0;
    ProgramAssignment *assignments = keep(L, spec->assignment_count, sizeof *assignments);
    for (size_t i = 0; i < spec->assignment_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        assignments[i] =
            (ProgramAssignment){tensor_of(L, -2, box, "assign"), tensor_of(L, -1, box, "assign")};
        lua_pop(L, 3);
    }
    spec->assignments = assignments;
    if (binding_field(L, table, "early") != LUA_TNIL) spec->early = tensor_of(L, -1, box, "early");
    return graph_begin(L, box);
}

static void read_gradients(lua_State *L, int table, Graph *graph, ProgramSpec *spec) {
    binding_field(L, table, "graph");
    GraphBox *box = graph_check(L, -1, "graph");
    binding_field(L, table, "loss");
    Node *loss = tensor_of(L, -1, box, "loss");
    binding_field(L, table, "parameters");
    int list = lua_gettop(L);
    size_t count = lua_rawlen(L, list);
    Node **parameters = keep(L, count, sizeof *parameters), **gradients = keep(L, count, sizeof *gradients);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        parameters[i] = tensor_of(L, -1, box, "parameters");
        lua_pop(L, 1);
    }
    if (!graph_grad(graph, loss, parameters, count, gradients)) graph_raise(L, graph);
    ProgramGradient *pairs = keep(L, count, sizeof *pairs);
    for (size_t i = 0; i < count; i++) pairs[i] = (ProgramGradient){parameters[i], gradients[i]};
    spec->gradients = pairs;
    spec->gradient_count = count;
}

static void add_graph(lua_State *L, Model *model, const Graph *graph) {
    Error error;
    raise_status(L, layout_add_graph(model->layout, graph, &error), &error);
}

/* First all graphs are read, so that the layout is whole; then they are compiled. */
typedef struct {
    Graph *graph;
    ProgramSpec spec;
    const Program **into;
} Pending;

static void read_player_program(lua_State *L, Model *model, int table, const Program **into, Pending *pending,
                                size_t *count) {
    Pending *next = &pending[(*count)++];
    *next = (Pending){.into = into};
    next->graph = read_program(L, table, &next->spec);
    read_gradients(L, table, next->graph, &next->spec);
    add_graph(L, model, next->graph);
}

static OptimizerKind optimizer_kind(lua_State *L, const char *text) {
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++)
        if (strcmp(optimizer_text((OptimizerKind)kind), text) == 0) return (OptimizerKind)kind;
    script_error(L, "there is no optimizer '%s'", text);
}

static void read_optimizer(lua_State *L, const TrainerModel *trainer, int table, TrainerPlayer *player) {
    binding_field(L, table, "optimizer");
    int fields = lua_gettop(L);
    binding_field(L, fields, "kind");
    player->optimizer = optimizer_kind(L, binding_text(L, -1, "optimizer"));
    lua_pop(L, 1);
    OptimizerSettings usual = optimizer_settings(player->optimizer);
    player->lr = number_field(L, trainer, fields, "lr", usual.lr);
    player->beta1 = number_field(L, trainer, fields, "beta1", usual.beta1);
    player->beta2 = number_field(L, trainer, fields, "beta2", usual.beta2);
    player->epsilon = number_field(L, trainer, fields, "epsilon", usual.epsilon);
    player->momentum = number_field(L, trainer, fields, "momentum", usual.momentum);
    player->decay = number_field(L, trainer, fields, "decay", usual.decay);
    player->weight_decay = number_field(L, trainer, fields, "weight_decay", usual.weight_decay);
    player->clip_norm = number_field(L, trainer, fields, "clip_norm", usual.clip_norm);
    player->nesterov = flag_field(L, fields, "nesterov");
    lua_pop(L, 1);
}

static void read_player(lua_State *L, Model *model, int table, Pending *pending, size_t *count) {
    TrainerModel *trainer = &model->trainer;
    TrainerPlayer *player = &trainer->players[trainer->player_count++];
    player->name = text_field(L, table, "name");
    player->group = text_field(L, table, "group");
    player->repeats = number_field(L, trainer, table, "repeats", 1);
    player->lazy = number_field(L, trainer, table, "lazy", 1);
    player->clip = number_field(L, trainer, table, "clip", 0);
    read_optimizer(L, trainer, table, player);
    read_player_program(L, model, table, &player->update, pending, count);
    if (binding_field(L, table, "penalized") != LUA_TNIL)
        read_player_program(L, model, lua_gettop(L), &player->penalized, pending, count);
}

static void add_optimizer_state(lua_State *L, Model *model) {
    Error error;
    for (size_t p = 0; p < model->trainer.player_count; p++) {
        const TrainerPlayer *player = &model->trainer.players[p];
        for (int moment = 0; moment < optimizer_moments(player->optimizer); moment++)
            raise_status(L,
                         layout_add_kind(model->layout, player->group,
                                         moment ? LAYOUT_MOMENT2 : LAYOUT_MOMENT1, &error),
                         &error);
    }
    if (model->trainer.average) {
        raise_status(L,
                     layout_add_kind(model->layout, model->trainer.average, LAYOUT_AVERAGE_PARAMETER, &error),
                     &error);
        raise_status(L,
                     layout_add_kind(model->layout, model->trainer.average, LAYOUT_AVERAGE_VARIABLE, &error),
                     &error);
    }
    raise_status(L, trainer_add_clock(model->layout, &error), &error);
    raise_status(L, layout_finish(model->layout, &error), &error);
}

static Program *compile(lua_State *L, const Model *model, const Graph *graph, const ProgramSpec *spec) {
    Error error;
    Program *program = program_new(graph, model->layout, spec, &error);
    if (!program) script_error(L, "%s", error.message);
    return program;
}

/* ---- what members start from --------------------------------------------------------------------------- */

static void copy_to_average(State *state, LayoutKind kind, LayoutKind average) {
    for (size_t i = 0; i < layout_count(state->layout); i++) {
        const LayoutEntry *entry = layout_entry(state->layout, i);
        const real *from = entry->kind == average ? state_tensor(state, kind, entry->name) : NULL;
        if (from) memcpy(state->data + entry->offset, from, entry->count * sizeof(real));
    }
}

/* Fills a new member's state from a table { [name] = numbers }. */
static void read_initial(lua_State *L, int table, State *state) {
    for (size_t i = 0; i < layout_count(state->layout); i++) {
        const LayoutEntry *entry = layout_entry(state->layout, i);
        if (entry->kind != LAYOUT_PARAMETER && entry->kind != LAYOUT_VARIABLE) continue;
        if (binding_field(L, table, entry->name) != LUA_TNIL)
            value_read(L, -1, entry->name, entry->shape, state->data + entry->offset);
        lua_pop(L, 1);
    }
    copy_to_average(state, LAYOUT_PARAMETER, LAYOUT_AVERAGE_PARAMETER);
    copy_to_average(state, LAYOUT_VARIABLE, LAYOUT_AVERAGE_VARIABLE);
}

/* ---- models -------------------------------------------------------------------------------------------- */

static int model_close(lua_State *L) {
    ModelBox *box = luaL_checkudata(L, 1, MODEL_CLASS);
    trainer_free(box->trainer);
    workspace_free(box->workspace);
    box->trainer = NULL;
    box->workspace = NULL;
    model_free(&box->model);
    return 0;
}

static void read_trainer(lua_State *L, TrainerModel *trainer) {
    if (binding_field(L, SPEC, "data") != LUA_TNIL) trainer->data = dataset_check(L, -1, "data");
    luaL_ref(L, KEEPS);
    trainer->batch = (size_t)plain_number(L, SPEC, "batch", 1);
    trainer->simultaneous = flag_field(L, SPEC, "simultaneous");
    trainer->reuse = flag_field(L, SPEC, "reuse");
    read_names(L, trainer);
    read_numbers(L, trainer);
    trainer->average = text_field(L, SPEC, "average");
    trainer->average_decay = number_field(L, trainer, SPEC, "average_decay", 0.999);
    trainer->average_warmup = plain_number(L, SPEC, "average_warmup", 10);
}

/* model.new(table) */
static int model_new(lua_State *L) {
    lua_settop(L, SPEC);
    ModelBox *box = lua_newuserdatauv(L, sizeof *box, MODEL_KEEPS);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, MODEL_CLASS);
    lua_newtable(L);
    lua_pushvalue(L, KEEPS);
    lua_setiuservalue(L, BOX, MODEL_KEEPS);
    Model *model = &box->model;
    model->layout = layout_new();
    box->workspace = workspace_new();
    if (!model->layout || !box->workspace) script_error(L, "out of memory: no room for a model");
    read_trainer(L, &model->trainer);
    Pending pending[2 * TRAINER_PLAYERS];
    size_t count = 0;
    binding_field(L, SPEC, "players");
    int players = lua_gettop(L);
    if (lua_rawlen(L, players) > TRAINER_PLAYERS) script_error(L, "at most %d players", TRAINER_PLAYERS);
    for (size_t p = 0; p < lua_rawlen(L, players); p++) {
        lua_rawgeti(L, players, (lua_Integer)p + 1);
        read_player(L, model, lua_gettop(L), pending, &count);
        lua_settop(L, players);
    }
    Graph *sampler = NULL;
    ProgramSpec sampling = {.output_count = 0};
    if (binding_field(L, SPEC, "sampler") != LUA_TNIL) {
        sampler = read_program(L, lua_gettop(L), &sampling);
        add_graph(L, model, sampler);
    }
    add_optimizer_state(L, model);
    model->trainer.layout = model->layout;
    for (size_t i = 0; i < count; i++)
        *pending[i].into = model->programs[model->program_count++] =
            compile(L, model, pending[i].graph, &pending[i].spec);
    if (sampler) {
        model->raw_sampler = compile(L, model, sampler, &sampling);
        sampling.read_averages = true;
        model->sampler = compile(L, model, sampler, &sampling);
    }
    Error error;
    box->trainer = trainer_new(&model->trainer, &error);
    if (!box->trainer) script_error(L, "%s", error.message);
    binding_outside_bytes(L, trainer_bytes(box->trainer));
    lua_settop(L, BOX);
    return 1;
}

static int model_stats(lua_State *L) {
    const ModelBox *box = box_check(L, 1, "stats");
    lua_newtable(L);
    lua_pushinteger(L, (lua_Integer)(layout_numbers(box->model.layout) * sizeof(real)));
    lua_setfield(L, -2, "state_bytes");
    lua_pushinteger(L, (lua_Integer)trainer_bytes(box->trainer));
    lua_setfield(L, -2, "workspace_bytes");
    double flops = 0;
    for (size_t i = 0; i < box->model.program_count; i++)
        flops += program_stats(box->model.programs[i]).flops;
    lua_pushnumber(L, flops);
    lua_setfield(L, -2, "flops");
    return 1;
}

static int model_signals(lua_State *L) {
    const Trainer *trainer = box_check(L, 1, "signals")->trainer;
    lua_newtable(L);
    for (size_t i = 0; i < trainer_signals(trainer); i++) {
        lua_pushstring(L, trainer_signal_name(trainer, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* ---- members ------------------------------------------------------------------------------------------- */

static MemberBox *member_check(lua_State *L, const char *what) {
    MemberBox *box = binding_object(L, 1, MEMBER_CLASS, what);
    if (!box->member.state.data) script_error(L, "%s: the member is closed", what);
    return box;
}

void model_close_member(MemberBox *box) {
    member_free(&box->member);
    memory_free(box->hypers);
    box->hypers = NULL;
}

static int member_close(lua_State *L) {
    MemberBox *box = luaL_checkudata(L, 1, MEMBER_CLASS);
    if (!box->kept) model_close_member(box);
    return 0;
}

/* model:member(seed, slot, initial) */
static int model_new_member(lua_State *L) {
    ModelBox *model = box_check(L, 1, "member");
    uint64_t seed = (uint64_t)binding_integer(L, 2, "member: seed", 0, INT64_MAX);
    uint64_t slot = (uint64_t)binding_integer(L, 3, "member: slot", 0, INT64_MAX);
    luaL_checktype(L, 4, LUA_TTABLE);
    MemberBox *box = lua_newuserdatauv(L, sizeof *box, MEMBER_MODEL);
    memset(box, 0, sizeof *box);
    luaL_setmetatable(L, MEMBER_CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, MEMBER_MODEL);
    box->model = model;
    box->hypers = memory_new(model->model.trainer.hyper_count, sizeof(double));
    Error error;
    if (!box->hypers) script_error(L, "out of memory: no room for a member");
    raise_status(L, model_member(&model->model, seed, slot, &box->member, &error), &error);
    read_initial(L, 4, &box->member.state);
    box->member.hypers = box->hypers;
    binding_outside_bytes(L, layout_numbers(model->model.layout) * sizeof(real));
    return 1;
}

/* member:set_hypers{ name = number } */
static int member_set_hypers(lua_State *L) {
    MemberBox *box = member_check(L, "set_hypers");
    const TrainerModel *trainer = &box->model->model.trainer;
    luaL_checktype(L, 2, LUA_TTABLE);
    for (size_t i = 0; i < trainer->hyper_count; i++) {
        if (binding_field(L, 2, trainer->hypers[i]) != LUA_TNIL)
            box->hypers[i] = binding_number(L, -1, trainer->hypers[i]);
        lua_pop(L, 1);
    }
    return 0;
}

void model_push_signals(lua_State *L, const Trainer *trainer, const double *signals) {
    lua_newtable(L);
    for (size_t i = 0; i < trainer_signals(trainer); i++) {
        lua_pushnumber(L, signals[i]);
        lua_setfield(L, -2, trainer_signal_name(trainer, i));
    }
}

/* member:train(steps) → { signal = mean }, or nil and a message when a number is no longer finite */
static int member_train(lua_State *L) {
    MemberBox *box = member_check(L, "train");
    int64_t steps = binding_integer(L, 2, "train: steps", 0, INT64_MAX);
    Trainer *trainer = box->model->trainer;
    double *signals = binding_scratch(L, trainer_signals(trainer), sizeof *signals);
    Error error;
    Status status = trainer_run(trainer, &box->member, steps, signals, &error);
    if (status == STATUS_NOT_FINITE) {
        lua_pushnil(L);
        lua_pushstring(L, error.message);
        return 2;
    }
    raise_status(L, status, &error);
    model_push_signals(L, trainer, signals);
    return 1;
}

static int member_age_of(lua_State *L) {
    lua_pushinteger(L, member_age(&member_check(L, "age")->member));
    return 1;
}

/* member:sample(first, count, seed [, raw]) → images */
static int member_sample(lua_State *L) {
    MemberBox *box = member_check(L, "sample");
    Model *model = &box->model->model;
    if (!model->sampler) script_error(L, "sample: the model has no generator to sample");
    int64_t first = binding_integer(L, 2, "sample: first", 1, INT32_MAX) - 1;
    int64_t count = binding_integer(L, 3, "sample: count", 1, 1 << 20);
    uint64_t seed = (uint64_t)binding_integer(L, 4, "sample: seed", 0, INT64_MAX);
    bool raw = binding_flag(L, 5, "sample: raw");
    Shape shape = program_output_shape(model->sampler, 0);
    shape.size[0] = count;
    Value *images = value_push(L, shape);
    Error error;
    raise_status(L,
                 model_sample(model, raw, &box->member.state, box->model->workspace,
                              random_key(seed, 0, "latents"), (size_t)first, (size_t)count, NULL,
                              images->data, &error),
                 &error);
    return 1;
}

/* member:latents(first, count, seed) → the latent vectors that member:sample takes */
static int member_latents(lua_State *L) {
    const Model *model = &member_check(L, "latents")->model->model;
    if (!model->sampler) script_error(L, "latents: the model has no generator to sample");
    int64_t first = binding_integer(L, 2, "latents: first", 1, INT32_MAX) - 1;
    int64_t count = binding_integer(L, 3, "latents: count", 1, 1 << 20);
    uint64_t seed = (uint64_t)binding_integer(L, 4, "latents: seed", 0, INT64_MAX);
    size_t latent = model_latent(model);
    Value *latents = value_push(L, shape_of(count, (int64_t)latent));
    random_normal(random_key(seed, 0, "latents"), 0, (uint64_t)first * latent, latents->count, latents->data);
    return 1;
}

/* Class numbers (count) from 1 at `index`, checked. Pushes one value. */
static const real *read_labels(lua_State *L, int index, const Model *model, int64_t count) {
    Value *labels = value_push(L, shape_of(count));
    value_read(L, index, "generate: labels", labels->shape, labels->data);
    real classes = model->trainer.data ? (real)model->trainer.data->classes : 0;
    for (size_t i = 0; i < labels->count; i++)
        if (!(labels->data[i] >= 1 && labels->data[i] <= classes))
            script_error(L, "generate: labels: classes from 1 to %d expected, got %g", (int)classes,
                         (double)labels->data[i]);
    return labels->data;
}

/* member:generate(latents, labels or nil [, raw]) → images */
static int member_generate(lua_State *L) {
    MemberBox *box = member_check(L, "generate");
    Model *model = &box->model->model;
    if (!model->sampler) script_error(L, "generate: the model has no generator to sample");
    const Value *latents = binding_object(L, 2, VALUE_CLASS, "generate: latents");
    if (latents->shape.rank != 2 || (size_t)latents->shape.size[1] != model_latent(model))
        script_error(L, "generate: latent vectors (n, %zu) expected", model_latent(model));
    if (model_conditional(model) && lua_isnoneornil(L, 3))
        script_error(L, "generate: the generator is conditional: labels expected");
    bool raw = binding_flag(L, 4, "generate: raw");
    int64_t count = latents->shape.size[0];
    const real *labels = lua_isnoneornil(L, 3) ? NULL : read_labels(L, 3, model, count);
    Shape shape = program_output_shape(model->sampler, 0);
    shape.size[0] = count;
    Value *images = value_push(L, shape);
    Error error;
    raise_status(L,
                 model_sample_from(model, raw, &box->member.state, box->model->workspace, latents->data,
                                   (size_t)count, labels, images->data, &error),
                 &error);
    return 1;
}

/* ---- states in files ----------------------------------------------------------------------------------- */

/* member:save(directory) → the file's name */
static int member_save(lua_State *L) {
    MemberBox *box = member_check(L, "save");
    char name[STATE_NAME];
    Error error;
    raise_status(L, state_save(&box->member.state, binding_text(L, 2, "save: directory"), name, &error),
                 &error);
    lua_pushstring(L, name);
    return 1;
}

/* member:load(path [, steps]) */
static int member_load(lua_State *L) {
    MemberBox *box = member_check(L, "load");
    const char *path = binding_text(L, 2, "load: path");
    int64_t steps = lua_isnoneornil(L, 3) ? -1 : binding_integer(L, 3, "load: steps", 0, INT64_MAX);
    Error error;
    raise_status(L, state_load(&box->member.state, path, &error), &error);
    box->member.steps = steps < 0 ? member_age(&box->member) : steps;
    return 0;
}

/* member:hash() */
static int member_hash(lua_State *L) {
    char hash[FILE_HASH];
    Error error;
    raise_status(L, state_hash(&member_check(L, "hash")->member.state, hash, &error), &error);
    lua_pushstring(L, hash);
    return 1;
}

static int member_steps(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)member_check(L, "steps")->member.steps);
    return 1;
}

/* model.export(state's path, group, path, { {name, text}, ... }) */
static int model_export(lua_State *L) {
    enum { STATE = 1, GROUP, PATH, FACTS };
    const char *state = binding_text(L, STATE, "export: state"),
               *group = binding_text(L, GROUP, "export: group");
    const char *path = binding_text(L, PATH, "export: path");
    luaL_checktype(L, FACTS, LUA_TTABLE);
    size_t count = lua_rawlen(L, FACTS);
    SafetensorsFact *facts = binding_scratch(L, count, sizeof *facts);
    for (size_t i = 0; i < count; i++) { /* the table keeps the texts */
        lua_rawgeti(L, FACTS, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        facts[i] =
            (SafetensorsFact){binding_text(L, -2, "export: fact"), binding_text(L, -1, "export: fact")};
        lua_pop(L, 3);
    }
    Error error;
    raise_status(L, state_export(state, group, path, facts, count, &error), &error);
    return 0;
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

/* member:get(name [, average]) → a parameter's or variable's numbers */
static int member_get(lua_State *L) {
    MemberBox *box = member_check(L, "get");
    const char *name = binding_text(L, 2, "get: name");
    bool average = binding_flag(L, 3, "get: average");
    const Layout *layout = box->model->model.layout;
    const LayoutEntry *entry =
        layout_find(layout, average ? LAYOUT_AVERAGE_PARAMETER : LAYOUT_PARAMETER, name);
    if (!entry) entry = layout_find(layout, average ? LAYOUT_AVERAGE_VARIABLE : LAYOUT_VARIABLE, name);
    if (!entry) script_error(L, "get: there is no tensor '%s'", name);
    Value *value = value_push(L, entry->shape);
    memcpy(value->data, box->member.state.data + entry->offset, entry->count * sizeof(real));
    return 1;
}

/* ---- the module ---------------------------------------------------------------------------------------- */

static const BindingFunction MODEL_METHODS[] = {
    {"member", "(seed: integer, slot: integer, initial: table<string, brood.Numbers>): brood.Member",
     "A member that has not trained yet, and what its parameters and variables begin with.",
     model_new_member},
    {"stats", "(): table", "state_bytes, workspace_bytes, flops.", model_stats},
    {"signals", "(): string[]", "Names of what is seen of a step.", model_signals},
    {NULL, NULL, NULL, NULL}};

static const BindingFunction MEMBER_METHODS[] = {
    {"set_hypers", "(values: table<string, number>)", "Sets hyperparameters; effective from the next step.",
     member_set_hypers},
    {"train", "(steps: integer): table<string, number>?, string?",
     "Trains; the mean of each signal, or nil and what is no longer finite.", member_train},
    {"age", "(): integer", "Steps that the state has been trained.", member_age_of},
    {"sample", "(first: integer, count: integer, seed: integer, raw?: boolean): brood.Value",
     "Images from fixed latent vectors, by the averaged generator or the raw one.", member_sample},
    {"latents", "(first: integer, count: integer, seed: integer): brood.Value",
     "The latent vectors that sample goes by.", member_latents},
    {"generate", "(latents: brood.Value, labels?: brood.Numbers, raw?: boolean): brood.Value",
     "Images of given latent vectors and classes.", member_generate},
    {"save", "(directory: string): string", "Saves the state as HASH.safetensors; that name.", member_save},
    {"load", "(path: string, steps?: integer)",
     "Takes on a saved state; with the steps that its member had made, its age if none are given, it goes on "
     "bit for bit.",
     member_load},
    {"hash", "(): string", "What the state's file is called after.", member_hash},
    {"steps", "(): integer", "Steps that this member has made, whatever state it took on.", member_steps},
    {"get", "(name: string, average?: boolean): brood.Value", "A parameter's or variable's numbers.",
     member_get},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg MODEL_META[] = {{"__gc", model_close}, {"__close", model_close}, {NULL, NULL}};
static const luaL_Reg MEMBER_META[] = {{"__gc", member_close}, {"__close", member_close}, {NULL, NULL}};
static const BindingClass model_class = {MODEL_CLASS, "What members of one architecture share.", NULL,
                                         MODEL_METHODS, MODEL_META};
static const BindingClass member_class = {MEMBER_CLASS, "One member in training.", NULL, MEMBER_METHODS,
                                          MEMBER_META};
static const BindingFunction FUNCTIONS[] = {
    {"new", "(spec: table): brood.Model", "A model, of what brood.experiment has put together.", model_new},
    {"train_together",
     "(members: brood.Member[], steps: integer[]): table<string, number>[]?, string?, integer?",
     "Trains members of different models at once, on a thread each: the signals of each; or nil, what is no "
     "longer finite, and whose it is.",
     model_train_together},
    {"export", "(state: string, group: string, path: string, facts: string[][])",
     "Writes one group of a state file alone, averages where there are any.", model_export},
    {NULL, NULL, NULL, NULL}};
static const BindingClass *const CLASSES[] = {&model_class, &member_class, NULL};
const BindingModule binding_model = {"brood.model", "Models and members.", FUNCTIONS, CLASSES};
