#include "gan/trainer.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "gan/kernels/loop.h"

/* ---- the clock: counts that travel with the weights ---------------------------------------------------- */

enum { CLOCK_AGE, CLOCK_PLAYER, CLOCK_COUNTS = CLOCK_PLAYER + TRAINER_PLAYERS };
static const char CLOCK[] = "trainer.clock"; /* (counts, 2): two numbers of 24 bits each, which floats hold */
static const int64_t CLOCK_BASE = 1 << 24;

Status trainer_add_clock(Layout *layout, Error *error) {
    Graph *graph = graph_new();
    if (!graph) return error_no_memory(error, "the trainer's clock");
    Status status = STATUS_NO_MEMORY;
    if (graph_variable(graph, "trainer", CLOCK, shape_of(CLOCK_COUNTS, 2)))
        status = layout_add_graph(layout, graph, error);
    else
        error_no_memory(error, "the trainer's clock");
    graph_free(graph);
    return status;
}

static real *clock_count(const State *state, int which) {
    return state_tensor(state, LAYOUT_VARIABLE, CLOCK) + 2 * which;
}

static int64_t clock_get(const State *state, int which) {
    const real *count = clock_count(state, which);
    return (int64_t)count[0] * CLOCK_BASE + (int64_t)count[1];
}

static void clock_set(State *state, int which, int64_t value) {
    real *count = clock_count(state, which);
    count[0] = (real)(value / CLOCK_BASE);
    count[1] = (real)(value % CLOCK_BASE);
}

int64_t member_age(const Member *member) {
    return clock_get(&member->state, CLOCK_AGE);
}

void member_copy_group(Member *member, const Member *from, const TrainerModel *model, const char *group,
                       bool age) {
    const Layout *layout = member->state.layout;
    for (size_t i = 0; i < layout_count(layout); i++) {
        const LayoutEntry *entry = layout_entry(layout, i);
        if (strcmp(entry->group, group) == 0)
            memcpy(member->state.data + entry->offset, from->state.data + entry->offset,
                   entry->count * sizeof(real));
    }
    for (int p = 0; p < (int)model->player_count; p++)
        if (strcmp(model->players[p].group, group) == 0)
            clock_set(&member->state, CLOCK_PLAYER + p, clock_get(&from->state, CLOCK_PLAYER + p));
    if (age) clock_set(&member->state, CLOCK_AGE, clock_get(&from->state, CLOCK_AGE));
}

Status member_new(Member *member, const TrainerModel *model, Error *error) {
    *member = (Member){.hypers = NULL};
    return state_new(&member->state, model->layout, error);
}

void member_free(Member *member) {
    state_free(&member->state);
}

/* ---- what a trainer is made of ------------------------------------------------------------------------- */

typedef enum { BIND_REAL, BIND_REAL_LABELS, BIND_FAKE_LABELS, BIND_FAKE, BIND_HYPER, BIND_NUMBER } BindKind;
static const char *const PLAIN_INPUTS[] = {
    [BIND_REAL] = "real",
    [BIND_REAL_LABELS] = "real_labels",
    [BIND_FAKE_LABELS] = "fake_labels",
    [BIND_FAKE] = "fake",
};
enum { PLAIN_COUNT = sizeof PLAIN_INPUTS / sizeof *PLAIN_INPUTS };

typedef struct {
    BindKind kind;
    size_t input, index; /* of the program; of the hyperparameter or number */
} Bind;

typedef struct {
    size_t output, signal;
} Report;

typedef struct {
    const Program *program; /* NULL: there is none */
    Workspace *workspace;   /* borrowed from the trainer */
    Bind *binds;
    Report *reports;
    size_t bind_count, report_count;
} Phase;

typedef struct {
    Phase update, penalized;
    size_t norm_signal;
} Player;

struct Trainer {
    const TrainerModel *model;
    Player players[TRAINER_PLAYERS];
    Workspace *workspaces[TRAINER_PLAYERS]; /* one for all, or one a player */
    size_t workspace_count;
    const Phase *early;               /* the phase whose early images are reused; NULL: none */
    size_t early_output, early_count; /* which output these images are; numbers in it */
    real *unused;                     /* (batch, sample): takes images where only labels are wanted */
    char **signals;
    double *sums; /* by signal: over the updates that made it */
    int64_t *counts;
    size_t signal_count, signal_room;
};

/* ---- binding programs by the names of their inputs ----------------------------------------------------- */

static bool find_name(const char *const *names, size_t count, const char *name, size_t *index) {
    for (*index = 0; *index < count; (*index)++)
        if (strcmp(names[*index], name) == 0) return true;
    return false;
}

/* The index of n.INDEX; `count`, which is none, for anything else. */
static size_t number_index(const char *name, size_t count) {
    if (strncmp(name, "n.", 2) != 0 || name[2] < '0' || name[2] > '9') return count;
    char *end;
    unsigned long index = strtoul(name + 2, &end, 10);
    return *end == '\0' && index < count ? index : count;
}

static Status find_source(const Trainer *trainer, const char *name, Bind *bind, Error *error) {
    const TrainerModel *model = trainer->model;
    size_t plain;
    if (find_name(PLAIN_INPUTS, PLAIN_COUNT, name, &plain)) {
        bind->kind = (BindKind)plain;
        if (plain <= BIND_REAL_LABELS && !model->data)
            return error_set(error, STATUS_INVALID, "a program reads '%s', but the experiment has no data",
                             name);
        if (plain == BIND_FAKE && !trainer->early)
            return error_set(error, STATUS_INVALID,
                             "a program reads 'fake', but no player's images are reused: none of them makes a"
                             " 'fake' early, or reuse is off");
        return STATUS_OK;
    }
    if (strncmp(name, "h.", 2) == 0) {
        bind->kind = BIND_HYPER;
        if (find_name(model->hypers, model->hyper_count, name + 2, &bind->index)) return STATUS_OK;
        return error_set(error, STATUS_INVALID,
                         "a program reads hyperparameter '%s', which the experiment does not have", name + 2);
    }
    bind->kind = BIND_NUMBER;
    bind->index = number_index(name, model->number_count);
    if (bind->index < model->number_count) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "a program reads the input '%s', which nothing provides", name);
}

static size_t sample_numbers(const TrainerModel *model) {
    return model->data ? (size_t)(model->data->height * model->data->width * model->data->channels) : 0;
}

/* Numbers that its source writes into an input. */
static size_t source_count(const Trainer *trainer, const Bind *bind) {
    switch (bind->kind) {
    case BIND_REAL: return trainer->model->batch * sample_numbers(trainer->model);
    case BIND_REAL_LABELS:
    case BIND_FAKE_LABELS: return trainer->model->batch;
    case BIND_FAKE: return trainer->early_count;
    case BIND_HYPER:
    case BIND_NUMBER: break;
    }
    return 1;
}

static Status bind_input(const Trainer *trainer, const Program *program, Bind *bind, Error *error) {
    const char *name = program_input_name(program, bind->input);
    Status status = find_source(trainer, name, bind, error);
    if (status != STATUS_OK) return status;
    Shape shape = program_input_shape(program, bind->input);
    size_t expected = source_count(trainer, bind);
    if ((size_t)shape_count(shape) == expected) return STATUS_OK;
    char text[SHAPE_TEXT];
    return error_set(error, STATUS_INVALID,
                     "a program's input '%s' has the shape %s: one of %zu numbers expected", name,
                     shape_text(shape, text), expected);
}

/* The signal PLAYER.NAME, made when it is new. */
static Status add_signal(Trainer *trainer, const char *player, const char *name, size_t *index,
                         Error *error) {
    char text[256];
    snprintf(text, sizeof text, "%s.%s", player, name);
    if (find_name((const char *const *)trainer->signals, trainer->signal_count, text, index))
        return STATUS_OK;
    char *copy = memory_string(text);
    if (!copy || !memory_grow((void **)&trainer->signals, trainer->signal_count, &trainer->signal_room,
                              sizeof(char *))) {
        memory_free(copy);
        return error_no_memory(error, "a trainer's signals");
    }
    trainer->signals[trainer->signal_count++] = copy;
    return STATUS_OK;
}

static Status bind_phase(Trainer *trainer, const char *player, const Program *program, Phase *phase,
                         Error *error) {
    if (!program) return STATUS_OK;
    phase->program = program;
    phase->binds = memory_new(program_inputs(program), sizeof(Bind));
    phase->reports = memory_new(program_outputs(program), sizeof(Report));
    if (!phase->binds || !phase->reports) return error_no_memory(error, "a trainer");
    for (size_t i = 0; i < program_inputs(program); i++) {
        Bind *bind = &phase->binds[phase->bind_count++];
        bind->input = i;
        Status status = bind_input(trainer, program, bind, error);
        if (status != STATUS_OK) return error_prefix(error, "player %s: ", player);
    }
    for (size_t i = 0; i < program_outputs(program); i++) {
        if (program_output_shape(program, i).rank > 0) continue;
        Report *report = &phase->reports[phase->report_count++];
        report->output = i;
        Status status = add_signal(trainer, player, program_output_name(program, i), &report->signal, error);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* ---- making a trainer ---------------------------------------------------------------------------------- */

static bool is_one(const Number *number) {
    return number->kind == NUMBER_CONSTANT && number->from == 1;
}

/* Where each player has to update exactly once a step, more would be passed over in silence. */
static Status check_repeats(const Trainer *trainer, size_t p, Error *error) {
    const TrainerPlayer *player = &trainer->model->players[p];
    bool early = trainer->early == &trainer->players[p].update;
    if (is_one(&player->repeats) || !(early || trainer->model->simultaneous)) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "player %s updates exactly once a step when %s", player->name,
                     early ? "its images are reused" : "updates are simultaneous");
}

static Status find_early(Trainer *trainer, Error *error) {
    const TrainerModel *model = trainer->model;
    for (size_t p = 0; model->reuse && p < model->player_count; p++) {
        const TrainerPlayer *player = &model->players[p];
        int output = program_output_index(player->update, "fake");
        if (output < 0) continue;
        if (trainer->early || player->penalized)
            return error_set(error, STATUS_INVALID,
                             "player %s: only one player, with one program, has images"
                             " to reuse",
                             player->name);
        trainer->early = &trainer->players[p].update;
        trainer->early_output = (size_t)output;
        trainer->early_count = (size_t)shape_count(program_output_shape(player->update, (size_t)output));
    }
    return STATUS_OK;
}

/* One workspace serves all phases in turn, unless those of several players must be alive at once. */
static Status give_workspace(Trainer *trainer, Phase *phase, bool fresh, Error *error) {
    if (!phase->program) return STATUS_OK;
    if (fresh && !(trainer->workspaces[trainer->workspace_count++] = workspace_new()))
        return error_no_memory(error, "a workspace");
    phase->workspace = trainer->workspaces[trainer->workspace_count - 1];
    return workspace_reserve(phase->workspace, phase->program, error);
}

static Status build_player(Trainer *trainer, size_t p, Error *error) {
    const TrainerPlayer *given = &trainer->model->players[p];
    Player *player = &trainer->players[p];
    bool own_space = p == 0 || trainer->model->reuse || trainer->model->simultaneous;
    Status status = check_repeats(trainer, p, error);
    if (status == STATUS_OK) status = bind_phase(trainer, given->name, given->update, &player->update, error);
    if (status == STATUS_OK)
        status = bind_phase(trainer, given->name, given->penalized, &player->penalized, error);
    if (status == STATUS_OK) status = add_signal(trainer, given->name, "norm", &player->norm_signal, error);
    if (status == STATUS_OK) status = give_workspace(trainer, &player->update, own_space, error);
    if (status == STATUS_OK) status = give_workspace(trainer, &player->penalized, false, error);
    return status;
}

static Status build(Trainer *trainer, Error *error) {
    const TrainerModel *model = trainer->model;
    Status status = find_early(trainer, error);
    for (size_t p = 0; p < model->player_count && status == STATUS_OK; p++)
        status = build_player(trainer, p, error);
    if (status != STATUS_OK) return status;
    trainer->sums = memory_new(trainer->signal_count, sizeof *trainer->sums);
    trainer->counts = memory_new(trainer->signal_count, sizeof *trainer->counts);
    trainer->unused = memory_new(model->batch, sample_numbers(model) * sizeof(real));
    if (trainer->sums && trainer->counts && trainer->unused) return STATUS_OK;
    return error_no_memory(error, "a trainer");
}

Trainer *trainer_new(const TrainerModel *model, Error *error) {
    Trainer *trainer = memory_new(1, sizeof *trainer);
    if (!trainer) {
        error_no_memory(error, "a trainer");
        return NULL;
    }
    trainer->model = model;
    if (build(trainer, error) == STATUS_OK) return trainer;
    trainer_free(trainer);
    return NULL;
}

static void phase_free(Phase *phase) {
    memory_free(phase->binds);
    memory_free(phase->reports);
}

void trainer_free(Trainer *trainer) {
    if (!trainer) return;
    for (size_t p = 0; p < TRAINER_PLAYERS; p++) {
        phase_free(&trainer->players[p].update);
        phase_free(&trainer->players[p].penalized);
    }
    for (size_t i = 0; i < trainer->workspace_count; i++) workspace_free(trainer->workspaces[i]);
    for (size_t i = 0; i < trainer->signal_count; i++) memory_free(trainer->signals[i]);
    memory_free(trainer->signals);
    memory_free(trainer->sums);
    memory_free(trainer->counts);
    memory_free(trainer->unused);
    memory_free(trainer);
}

size_t trainer_bytes(const Trainer *trainer) {
    size_t bytes = 0;
    for (size_t i = 0; i < trainer->workspace_count; i++) bytes += workspace_bytes(trainer->workspaces[i]);
    return bytes;
}

size_t trainer_signals(const Trainer *trainer) {
    return trainer->signal_count;
}

const char *trainer_signal_name(const Trainer *trainer, size_t index) {
    return trainer->signals[index];
}

/* ---- a step under way ---------------------------------------------------------------------------------- */

/* All that is random is numbered by the member's own steps and by what comes when within one: nothing of it
 * is stored, and no stream is ever rewound. */
typedef struct {
    Trainer *trainer;
    const TrainerModel *model;
    Member *member;
    int64_t age;      /* of the state, before it */
    uint64_t updates; /* begun in this step, of all players */
    uint64_t draws;   /* batches drawn in this step */
    Error *error;
} Step;

static double number_now(const Step *step, const Number *number) {
    return number_at(number, step->member->hypers, step->age);
}

/* Numbers an update of this member: no other has the same. */
static uint64_t update_counter(const Step *step, uint64_t update) {
    static const uint64_t MOST_UPDATES = TRAINER_PLAYERS * TRAINER_REPEATS;
    return (uint64_t)step->member->steps * MOST_UPDATES + update;
}

/* Adds to a signal. A NaN or an infinity is the end of the step. */
static Status record(const Step *step, size_t signal, double value) {
    step->trainer->sums[signal] += value;
    step->trainer->counts[signal]++;
    if (isfinite(value)) return STATUS_OK;
    return error_set(step->error, STATUS_NOT_FINITE, "%s is %g at step %" PRId64,
                     step->trainer->signals[signal], error_number(value), step->age + 1);
}

static Status record_outputs(const Step *step, const Phase *phase) {
    for (size_t i = 0; i < phase->report_count; i++) {
        const Report *report = &phase->reports[i];
        const real *value = workspace_output(phase->workspace, phase->program, report->output);
        Status status = record(step, report->signal, (double)*value);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* ---- inputs -------------------------------------------------------------------------------------------- */

static real *input_of(const Phase *phase, BindKind kind) {
    for (size_t i = 0; i < phase->bind_count; i++)
        if (phase->binds[i].kind == kind)
            return workspace_input(phase->workspace, phase->program, phase->binds[i].input);
    return NULL;
}

/* The first batches of all steps are one stream of epochs, the second batches another, and so on: how many a
 * step takes may change at any time. */
static void draw_real(Step *step, const Phase *phase) {
    real *images = input_of(phase, BIND_REAL), *labels = input_of(phase, BIND_REAL_LABELS);
    if (!images && !labels) return;
    size_t batch = step->model->batch;
    dataset_batch(step->model->data, random_key(step->member->key, step->draws++, "data"),
                  (uint64_t)step->member->steps, batch, images ? images : step->trainer->unused, labels);
    for (size_t i = 0; labels && i < batch; i++) labels[i] += 1;
}

static void draw_labels(const Step *step, uint64_t counter, real *labels) {
    uint64_t classes = step->model->data ? (uint64_t)step->model->data->classes : 0;
    uint64_t key = random_key(step->member->key, 0, "labels");
    for (size_t i = 0; i < step->model->batch; i++)
        labels[i] = classes ? (real)(1 + random_integer_at(key, counter, i, classes)) : 1;
}

/* `images` numbers the update whose images the program generates or judges: their labels go by it. */
static void fill_input(const Step *step, const Phase *phase, const Bind *bind, uint64_t images) {
    const Trainer *trainer = step->trainer;
    real *to = workspace_input(phase->workspace, phase->program, bind->input);
    switch (bind->kind) {
    case BIND_HYPER: to[0] = (real)step->member->hypers[bind->index]; break;
    case BIND_NUMBER: to[0] = (real)number_now(step, &step->model->numbers[bind->index]); break;
    case BIND_FAKE_LABELS: draw_labels(step, images, to); break;
    case BIND_FAKE:
        memcpy(to,
               workspace_output(trainer->early->workspace, trainer->early->program, trainer->early_output),
               trainer->early_count * sizeof(real));
        break;
    case BIND_REAL:
    case BIND_REAL_LABELS: break; /* draw_real's */
    }
}

static void fill_inputs(Step *step, const Phase *phase) {
    uint64_t images = update_counter(step, step->trainer->early ? 0 : step->updates);
    for (size_t i = 0; i < phase->bind_count; i++) fill_input(step, phase, &phase->binds[i], images);
    draw_real(step, phase);
}

/* ---- one update ---------------------------------------------------------------------------------------- */

typedef Status Run(const Program *program, State *state, Workspace *workspace, uint64_t key, uint64_t counter,
                   Error *error);

static Status run(const Step *step, const Phase *phase, Run *run_program, uint64_t update) {
    return run_program(phase->program, &step->member->state, phase->workspace,
                       random_key(step->member->key, 0, "program"), update_counter(step, update),
                       step->error);
}

/* The update that makes early images is the step's first, number 0: it is begun before, and finished after,
 * those that use the images. */
static Status begin_early(Step *step) {
    const Phase *early = step->trainer->early;
    if (!early) return STATUS_OK;
    fill_inputs(step, early);
    return run(step, early, program_begin, step->updates++);
}

/* Computes the gradients. */
static Status compute(Step *step, const Phase *phase) {
    Status status;
    if (phase == step->trainer->early)
        status = run(step, phase, program_finish, 0);
    else {
        fill_inputs(step, phase);
        status = run(step, phase, program_run, step->updates++);
    }
    return status == STATUS_OK ? record_outputs(step, phase) : status;
}

static OptimizerSettings settings_now(const Step *step, const TrainerPlayer *player) {
    return (OptimizerSettings){.kind = player->optimizer,
                               .lr = number_now(step, &player->lr),
                               .beta1 = number_now(step, &player->beta1),
                               .beta2 = number_now(step, &player->beta2),
                               .epsilon = number_now(step, &player->epsilon),
                               .momentum = number_now(step, &player->momentum),
                               .decay = number_now(step, &player->decay),
                               .weight_decay = number_now(step, &player->weight_decay),
                               .clip_norm = number_now(step, &player->clip_norm),
                               .nesterov = player->nesterov};
}

/* A NaN is neither above nor below: it stays. */
static void clamp(size_t count, real *p, real bound) {
    for (size_t i = 0; i < count; i++) p[i] = p[i] > bound ? bound : p[i] < -bound ? -bound : p[i];
}

/* The optimizer's step with the gradients that the phase has computed. */
static Status take_step(const Step *step, size_t p, const Phase *phase) {
    const TrainerPlayer *player = &step->model->players[p];
    State *state = &step->member->state;
    OptimizerSettings settings = settings_now(step, player);
    if (optimizer_check(&settings, step->error) != STATUS_OK)
        return error_prefix(step->error, "player %s: ", player->name);
    int64_t updates = clock_get(state, CLOCK_PLAYER + (int)p) + 1;
    clock_set(state, CLOCK_PLAYER + (int)p, updates);
    size_t count, gradients;
    real *weights = state_block(state, player->group, LAYOUT_PARAMETER, &count);
    real *m = state_block(state, player->group, LAYOUT_MOMENT1, &gradients);
    real *v = state_block(state, player->group, LAYOUT_MOMENT2, &gradients);
    const real *g = workspace_gradients(phase->workspace, phase->program, player->group, &gradients);
    assert(gradients == count);
    double norm = optimizer_step(&settings, updates, count, weights, g, m, v);
    double bound = number_now(step, &player->clip);
    if (bound > 0) clamp(count, weights, (real)bound);
    return record(step, step->trainer->players[p].norm_signal, norm);
}

/* The phase of a player's next update: with the penalty, every lazy-th time. */
static const Phase *next_phase(const Step *step, size_t p) {
    const Player *player = &step->trainer->players[p];
    if (!player->penalized.program) return &player->update;
    int64_t every = llround(number_now(step, &step->model->players[p].lazy));
    int64_t done = clock_get(&step->member->state, CLOCK_PLAYER + (int)p);
    return every <= 1 || done % every == 0 ? &player->penalized : &player->update;
}

static Status update_player(Step *step, size_t p) {
    const TrainerPlayer *player = &step->model->players[p];
    double repeats = round(number_now(step, &player->repeats));
    if (!(repeats <= TRAINER_REPEATS))
        return error_set(step->error, STATUS_INVALID, "player %s: %g updates in a step: at most %d expected",
                         player->name, repeats, TRAINER_REPEATS);
    int64_t left = repeats < 1 ? 1 : (int64_t)repeats;
    Status status = STATUS_OK;
    for (; left > 0 && status == STATUS_OK; left--) {
        const Phase *phase = next_phase(step, p);
        status = compute(step, phase);
        if (status == STATUS_OK) status = take_step(step, p, phase);
    }
    return status;
}

static Status update_in_turn(Step *step) {
    Status status = STATUS_OK;
    for (size_t p = 0; p < step->model->player_count && status == STATUS_OK; p++)
        status = update_player(step, p);
    return status;
}

static Status update_at_once(Step *step) {
    const Phase *phases[TRAINER_PLAYERS];
    Status status = STATUS_OK;
    for (size_t p = 0; p < step->model->player_count && status == STATUS_OK; p++) {
        phases[p] = next_phase(step, p);
        status = compute(step, phases[p]);
    }
    for (size_t p = 0; p < step->model->player_count && status == STATUS_OK; p++)
        status = take_step(step, p, phases[p]);
    return status;
}

/* ---- the moving average -------------------------------------------------------------------------------- */

static void average_block(const State *state, const char *group, LayoutKind kind, LayoutKind average,
                          double decay) {
    size_t count, same;
    const real *now = state_block(state, group, kind, &count);
    real *mean = state_block(state, group, average, &same);
    assert(same == count);
    const LoopKernels *loops = loop_kernels();
    loops->op[LOOP_SCALE](count, mean, mean, NULL, NULL, (real)decay, 0);
    loops->op[LOOP_SCALE_ADD](count, mean, now, mean, NULL, (real)(1 - decay), 0);
}

/* Weights and running statistics with the same decay. Early on the average follows closely: what it started
 * from is no network yet. */
static Status update_average(const Step *step) {
    const TrainerModel *model = step->model;
    if (!model->average) return STATUS_OK;
    double decay = number_now(step, &model->average_decay), age = (double)step->age;
    if (!(decay >= 0 && decay <= 1))
        return error_set(step->error, STATUS_INVALID,
                         "the decay of the average is %g: a number from 0 to 1 expected", decay);
    if (model->average_warmup > 0) decay = fmin(decay, (1 + age) / (model->average_warmup + age));
    average_block(&step->member->state, model->average, LAYOUT_PARAMETER, LAYOUT_AVERAGE_PARAMETER, decay);
    average_block(&step->member->state, model->average, LAYOUT_VARIABLE, LAYOUT_AVERAGE_VARIABLE, decay);
    return STATUS_OK;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* A member's steps count even if they fail, so that its streams never show the same numbers again. */
static Status run_step(Trainer *trainer, Member *member, Error *error) {
    Step step = {.trainer = trainer,
                 .model = trainer->model,
                 .member = member,
                 .age = member_age(member),
                 .error = error};
    Status status = begin_early(&step);
    if (status == STATUS_OK)
        status = trainer->model->simultaneous ? update_at_once(&step) : update_in_turn(&step);
    if (status == STATUS_OK) status = update_average(&step);
    if (status == STATUS_OK) clock_set(&member->state, CLOCK_AGE, step.age + 1);
    member->steps++;
    return status;
}

Status trainer_run(Trainer *trainer, Member *member, int64_t steps, double *signals, Error *error) {
    for (size_t i = 0; i < trainer->signal_count; i++) trainer->sums[i] = 0, trainer->counts[i] = 0;
    Status status = STATUS_OK;
    for (int64_t step = 0; step < steps && status == STATUS_OK; step++)
        status = run_step(trainer, member, error);
    for (size_t i = 0; signals && status == STATUS_OK && i < trainer->signal_count; i++)
        signals[i] = trainer->counts[i] ? trainer->sums[i] / (double)trainer->counts[i] : (double)NAN;
    return status;
}
