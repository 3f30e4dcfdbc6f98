#include "gan/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "gan/kernels/loop.h"

/* ---- the clock: counts that travel with the weights ---------------------------------------------------- */

/* Each count is two numbers of 24 bits, so that a float holds it. */
enum { CLOCK_AGE, CLOCK_UPDATES, CLOCK_DRAWS, CLOCK_PLAYER, CLOCK_COUNTS = CLOCK_PLAYER + TRAINER_PLAYERS };
static const char CLOCK[] = "trainer.clock";
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

void member_resume(Member *member) {
    member->updates = (uint64_t)clock_get(&member->state, CLOCK_UPDATES);
    member->draws = (uint64_t)clock_get(&member->state, CLOCK_DRAWS);
}

Status member_new(Member *member, const TrainerModel *model, Error *error) {
    *member = (Member){.hypers = NULL};
    return state_new(&member->state, model->layout, error);
}

void member_free(Member *member) {
    state_free(&member->state);
}

/* ---- binding programs by the names of their inputs ----------------------------------------------------- */

typedef enum { BIND_REAL, BIND_REAL_LABELS, BIND_FAKE_LABELS, BIND_FAKE, BIND_HYPER, BIND_NUMBER } BindKind;

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
    uint64_t lane;          /* programs must not draw the same numbers: each has a stream of its own */
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
    Workspace *
        workspaces[2 * TRAINER_PLAYERS]; /* one for all, or one a phase where several must be alive at once */
    size_t workspace_count;
    const Phase *early; /* the phase whose early images are reused; NULL: none */
    real *unused;       /* (batch, sample): takes images where only labels are wanted */
    char **signals;
    double *values, *sums; /* by signal */
    size_t signal_count, signal_room;
};

static Status find_name(const char *const *names, size_t count, const char *name, size_t *index) {
    for (*index = 0; *index < count; (*index)++)
        if (strcmp(names[*index], name) == 0) return STATUS_OK;
    return STATUS_INVALID;
}

static Status bind_input(const TrainerModel *model, const char *name, Bind *bind, Error *error) {
    static const char *const PLAIN[] = {"real", "real_labels", "fake_labels", "fake"};
    size_t plain;
    if (find_name(PLAIN, sizeof PLAIN / sizeof *PLAIN, name, &plain) == STATUS_OK) {
        bind->kind = (BindKind)plain;
        if (plain <= BIND_REAL_LABELS && !model->data)
            return error_set(error, STATUS_INVALID, "a program reads '%s', but the experiment has no data",
                             name);
        return STATUS_OK;
    }
    if (strncmp(name, "h.", 2) == 0) {
        bind->kind = BIND_HYPER;
        if (find_name(model->hypers, model->hyper_count, name + 2, &bind->index) == STATUS_OK)
            return STATUS_OK;
        return error_set(error, STATUS_INVALID,
                         "a program reads hyperparameter '%s', which the experiment does not have", name + 2);
    }
    bind->kind = BIND_NUMBER;
    bind->index = strncmp(name, "n.", 2) == 0 ? strtoul(name + 2, NULL, 10) : model->number_count;
    if (bind->index < model->number_count) return STATUS_OK;
    return error_set(error, STATUS_INVALID, "a program reads the input '%s', which nothing provides", name);
}

/* The signal PLAYER.NAME, made when it is new. */
static Status add_signal(Trainer *trainer, const char *player, const char *name, size_t *index,
                         Error *error) {
    char text[256];
    snprintf(text, sizeof text, "%s.%s", player, name);
    if (find_name((const char *const *)trainer->signals, trainer->signal_count, text, index) == STATUS_OK)
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

static Status bind_phase(Trainer *trainer, const char *player, const Program *program, uint64_t lane,
                         Phase *phase, Error *error) {
    if (!program) return STATUS_OK;
    phase->program = program;
    phase->lane = lane;
    phase->binds = memory_new(program_inputs(program), sizeof(Bind));
    phase->reports = memory_new(program_outputs(program), sizeof(Report));
    if (!phase->binds || !phase->reports) return error_no_memory(error, "a trainer");
    for (size_t i = 0; i < program_inputs(program); i++) {
        Bind *bind = &phase->binds[phase->bind_count++];
        bind->input = i;
        Status status = bind_input(trainer->model, program_input_name(program, i), bind, error);
        if (status != STATUS_OK) return status;
    }
    for (size_t i = 0; i < program_outputs(program); i++) {
        if (shape_count(program_output_shape(program, i)) != 1) continue;
        Report *report = &phase->reports[phase->report_count++];
        report->output = i;
        Status status = add_signal(trainer, player, program_output_name(program, i), &report->signal, error);
        if (status != STATUS_OK) return status;
    }
    if (trainer->model->reuse && program_output_index(program, "fake") >= 0) trainer->early = phase;
    return STATUS_OK;
}

/* One workspace serves all phases in turn, unless several must be alive at once. */
static Status give_workspace(Trainer *trainer, Phase *phase, Error *error) {
    if (!phase->program) return STATUS_OK;
    bool own = trainer->model->reuse || trainer->model->simultaneous || trainer->workspace_count == 0;
    if (own && !(trainer->workspaces[trainer->workspace_count++] = workspace_new()))
        return error_no_memory(error, "a workspace");
    phase->workspace = trainer->workspaces[trainer->workspace_count - 1];
    return workspace_reserve(phase->workspace, phase->program, error);
}

static Status build(Trainer *trainer, Error *error) {
    const TrainerModel *model = trainer->model;
    Status status = STATUS_OK;
    for (size_t p = 0; p < model->player_count && status == STATUS_OK; p++) {
        const TrainerPlayer *given = &model->players[p];
        Player *player = &trainer->players[p];
        status = bind_phase(trainer, given->name, given->update, 2 * p, &player->update, error);
        if (status == STATUS_OK)
            status = bind_phase(trainer, given->name, given->penalized, 2 * p + 1, &player->penalized, error);
        if (status == STATUS_OK)
            status = add_signal(trainer, given->name, "norm", &player->norm_signal, error);
        if (status == STATUS_OK) status = give_workspace(trainer, &player->update, error);
        if (status == STATUS_OK) status = give_workspace(trainer, &player->penalized, error);
    }
    if (status != STATUS_OK) return status;
    trainer->values = memory_new(trainer->signal_count, sizeof(double));
    trainer->sums = memory_new(trainer->signal_count, sizeof(double));
    size_t sample =
        model->data ? (size_t)(model->data->height * model->data->width * model->data->channels) : 0;
    trainer->unused = memory_new(model->batch * sample, sizeof(real));
    return trainer->values && trainer->sums && trainer->unused ? STATUS_OK
                                                               : error_no_memory(error, "a trainer");
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
    memory_free(trainer->values);
    memory_free(trainer->sums);
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

/* ---- one update ---------------------------------------------------------------------------------------- */

static const Bind *find_bind(const Phase *phase, BindKind kind) {
    for (size_t i = 0; i < phase->bind_count; i++)
        if (phase->binds[i].kind == kind) return &phase->binds[i];
    return NULL;
}

static real *bind_pointer(const Phase *phase, const Bind *bind) {
    return workspace_input(phase->workspace, phase->program, bind->input);
}

static void draw_real(const Trainer *trainer, Member *member, const Phase *phase) {
    const Bind *images = find_bind(phase, BIND_REAL), *labels = find_bind(phase, BIND_REAL_LABELS);
    if (!images && !labels) return;
    real *classes = labels ? bind_pointer(phase, labels) : NULL;
    dataset_batch(trainer->model->data, random_key(member->key, 0, "data"), member->draws++,
                  trainer->model->batch, images ? bind_pointer(phase, images) : trainer->unused, classes);
    for (size_t i = 0; classes && i < trainer->model->batch; i++) classes[i] += 1;
}

static void draw_labels(const Trainer *trainer, uint64_t key, uint64_t counter, real *labels) {
    uint64_t classes = trainer->model->data ? (uint64_t)trainer->model->data->classes : 0;
    for (size_t i = 0; i < trainer->model->batch; i++)
        labels[i] = classes ? (real)(1 + random_integer_at(key, counter, i, classes)) : 1;
}

/* Fills a program's inputs. `counter` numbers the update whose images it generates. */
static void bind_inputs(Trainer *trainer, Member *member, const Phase *phase, uint64_t counter) {
    const TrainerModel *model = trainer->model;
    int64_t age = member_age(member);
    for (size_t i = 0; i < phase->bind_count; i++) {
        const Bind *bind = &phase->binds[i];
        real *to = bind_pointer(phase, bind);
        switch (bind->kind) {
        case BIND_HYPER: to[0] = (real)member->hypers[bind->index]; break;
        case BIND_NUMBER: to[0] = (real)number_at(&model->numbers[bind->index], member->hypers, age); break;
        case BIND_FAKE_LABELS: draw_labels(trainer, random_key(member->key, 0, "labels"), counter, to); break;
        case BIND_FAKE: {
            const Phase *early = trainer->early;
            size_t output = (size_t)program_output_index(early->program, "fake");
            size_t count = (size_t)shape_count(program_output_shape(early->program, output));
            memcpy(to, workspace_output(early->workspace, early->program, output), count * sizeof(real));
            break;
        }
        case BIND_REAL:
        case BIND_REAL_LABELS: break; /* draw_real's */
        }
    }
}

static OptimizerSettings settings_now(const TrainerPlayer *player, const Member *member) {
    int64_t age = member_age(member);
    const double *hypers = member->hypers;
    return (OptimizerSettings){.kind = player->optimizer,
                               .lr = number_at(&player->lr, hypers, age),
                               .beta1 = number_at(&player->beta1, hypers, age),
                               .beta2 = number_at(&player->beta2, hypers, age),
                               .epsilon = number_at(&player->epsilon, hypers, age),
                               .momentum = number_at(&player->momentum, hypers, age),
                               .decay = number_at(&player->decay, hypers, age),
                               .weight_decay = number_at(&player->weight_decay, hypers, age),
                               .clip_norm = number_at(&player->clip_norm, hypers, age),
                               .nesterov = player->nesterov};
}

/* A NaN is neither above nor below: it stays. */
static void clamp(size_t count, real *p, real bound) {
    for (size_t i = 0; i < count; i++) p[i] = p[i] > bound ? bound : p[i] < -bound ? -bound : p[i];
}

static Status take_step(Trainer *trainer, Member *member, size_t p, const Phase *phase, Error *error) {
    const TrainerPlayer *player = &trainer->model->players[p];
    OptimizerSettings settings = settings_now(player, member);
    if (optimizer_check(&settings, error) != STATUS_OK)
        return error_prefix(error, "player %s: ", player->name);
    int64_t updates = clock_get(&member->state, CLOCK_PLAYER + (int)p) + 1;
    clock_set(&member->state, CLOCK_PLAYER + (int)p, updates);
    size_t count, unused;
    real *weights = state_block(&member->state, player->group, LAYOUT_PARAMETER, &count);
    real *m = state_block(&member->state, player->group, LAYOUT_MOMENT1, &unused);
    real *v = state_block(&member->state, player->group, LAYOUT_MOMENT2, &unused);
    const real *g = workspace_gradients(phase->workspace, phase->program, player->group, &unused);
    trainer->values[trainer->players[p].norm_signal] =
        optimizer_step(&settings, updates, count, weights, g, m, v);
    double bound = number_at(&player->clip, member->hypers, member_age(member));
    if (bound > 0) clamp(count, weights, (real)bound);
    return STATUS_OK;
}

static void read_signals(Trainer *trainer, const Phase *phase) {
    for (size_t i = 0; i < phase->report_count; i++)
        trainer->values[phase->reports[i].signal] =
            (double)*workspace_output(phase->workspace, phase->program, phase->reports[i].output);
}

/* The phase of a player's next update: with the penalty, every lazy-th time. */
static const Phase *next_phase(const Trainer *trainer, const Member *member, size_t p) {
    const Player *player = &trainer->players[p];
    if (!player->penalized.program) return &player->update;
    int64_t every = llround(number_at(&trainer->model->players[p].lazy, member->hypers, member_age(member)));
    int64_t done = clock_get(&member->state, CLOCK_PLAYER + (int)p);
    return every <= 1 || done % every == 0 ? &player->penalized : &player->update;
}

static uint64_t phase_key(const Member *member, const Phase *phase) {
    return random_key(member->key, phase->lane, "program");
}

/* Computes the gradients; of the phase with early images only what is left to do. */
static Status compute(Trainer *trainer, Member *member, const Phase *phase, uint64_t step_counter,
                      Error *error) {
    Status status;
    if (phase == trainer->early)
        status = program_finish(phase->program, &member->state, phase->workspace, phase_key(member, phase),
                                step_counter, error);
    else {
        uint64_t counter = member->updates;
        bind_inputs(trainer, member, phase, trainer->early ? step_counter : counter);
        draw_real(trainer, member, phase);
        status = program_run(phase->program, &member->state, phase->workspace, phase_key(member, phase),
                             counter, error);
    }
    member->updates++;
    if (status == STATUS_OK) read_signals(trainer, phase);
    return status;
}

static Status begin_early(Trainer *trainer, Member *member, uint64_t step_counter, Error *error) {
    const Phase *phase = trainer->early;
    if (!phase) return STATUS_OK;
    bind_inputs(trainer, member, phase, step_counter);
    draw_real(trainer, member, phase);
    return program_begin(phase->program, &member->state, phase->workspace, phase_key(member, phase),
                         step_counter, error);
}

static int64_t repeats_now(const Trainer *trainer, const Member *member, size_t p) {
    const TrainerPlayer *player = &trainer->model->players[p];
    if (trainer->model->simultaneous || &trainer->players[p].update == trainer->early) return 1;
    int64_t repeats = llround(number_at(&player->repeats, member->hypers, member_age(member)));
    return repeats < 1 ? 1 : repeats;
}

static Status step_in_turn(Trainer *trainer, Member *member, uint64_t step_counter, Error *error) {
    for (size_t p = 0; p < trainer->model->player_count; p++)
        for (int64_t r = repeats_now(trainer, member, p); r > 0; r--) {
            const Phase *phase = next_phase(trainer, member, p);
            Status status = compute(trainer, member, phase, step_counter, error);
            if (status == STATUS_OK) status = take_step(trainer, member, p, phase, error);
            if (status != STATUS_OK) return status;
        }
    return STATUS_OK;
}

static Status step_at_once(Trainer *trainer, Member *member, uint64_t step_counter, Error *error) {
    const Phase *phases[TRAINER_PLAYERS];
    for (size_t p = 0; p < trainer->model->player_count; p++) {
        phases[p] = next_phase(trainer, member, p);
        Status status = compute(trainer, member, phases[p], step_counter, error);
        if (status != STATUS_OK) return status;
    }
    for (size_t p = 0; p < trainer->model->player_count; p++) {
        Status status = take_step(trainer, member, p, phases[p], error);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* ---- the moving average -------------------------------------------------------------------------------- */

static void average_block(const State *state, const char *group, LayoutKind kind, LayoutKind average,
                          double decay) {
    size_t count, same;
    const real *now = state_block(state, group, kind, &count);
    real *mean = state_block(state, group, average, &same);
    if (!mean || same != count) return;
    const LoopKernels *loops = loop_kernels();
    loops->op[LOOP_SCALE](count, mean, mean, NULL, NULL, (real)decay, 0);
    loops->op[LOOP_SCALE_ADD](count, mean, now, mean, NULL, (real)(1 - decay), 0);
}

/* Weights and running statistics with the same decay. Early on the average follows closely: what it started
 * from is no network yet. */
static void update_average(const TrainerModel *model, Member *member) {
    if (!model->average) return;
    double step = (double)member_age(member),
           decay = number_at(&model->average_decay, member->hypers, (int64_t)step);
    double ceiling = model->average_warmup > 0 ? (1 + step) / (model->average_warmup + step) : 1;
    if (decay > ceiling) decay = ceiling;
    average_block(&member->state, model->average, LAYOUT_PARAMETER, LAYOUT_AVERAGE_PARAMETER, decay);
    average_block(&member->state, model->average, LAYOUT_VARIABLE, LAYOUT_AVERAGE_VARIABLE, decay);
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static Status check_signals(const Trainer *trainer, const Member *member, Error *error) {
    for (size_t i = 0; i < trainer->signal_count; i++)
        if (!isfinite(trainer->values[i]))
            return error_set(error, STATUS_NOT_FINITE, "%s is %g at step %" PRId64, trainer->signals[i],
                             trainer->values[i], member_age(member) + 1);
    return STATUS_OK;
}

static Status run_step(Trainer *trainer, Member *member, Error *error) {
    uint64_t step_counter = member->updates;
    Status status = begin_early(trainer, member, step_counter, error);
    if (status == STATUS_OK)
        status = trainer->model->simultaneous ? step_at_once(trainer, member, step_counter, error)
                                              : step_in_turn(trainer, member, step_counter, error);
    if (status == STATUS_OK) status = check_signals(trainer, member, error);
    if (status != STATUS_OK) return status;
    update_average(trainer->model, member);
    clock_set(&member->state, CLOCK_AGE, member_age(member) + 1);
    clock_set(&member->state, CLOCK_UPDATES, (int64_t)member->updates);
    clock_set(&member->state, CLOCK_DRAWS, (int64_t)member->draws);
    return STATUS_OK;
}

Status trainer_run(Trainer *trainer, Member *member, int64_t steps, double *signals, Error *error) {
    memset(trainer->sums, 0, trainer->signal_count * sizeof(double));
    for (int64_t step = 0; step < steps; step++) {
        Status status = run_step(trainer, member, error);
        if (status != STATUS_OK) return status;
        for (size_t i = 0; i < trainer->signal_count; i++) trainer->sums[i] += trainer->values[i];
    }
    for (size_t i = 0; signals && i < trainer->signal_count; i++)
        signals[i] = steps > 0 ? trainer->sums[i] / (double)steps : 0;
    return STATUS_OK;
}
