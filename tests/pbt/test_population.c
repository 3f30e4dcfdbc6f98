/* Synchronous populations: the same for any number of workers, what controls copy, what failures do, what a
 * schedule may do. */
#include "base/random.h"
#include "tests/pbt/toy_run.h"

static PbtRun *begin(const PbtOptions *options) {
    PbtRun *run;
    assert_ok(pbt_run_new(&run, options, &toy_error));
    return run;
}

static PbtEnd go(PbtRun *run, int64_t rounds) {
    PbtEnd end;
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    return end;
}

/* ---- the same for any number of workers ---------------------------------------------------------------- */

static char *record(PbtOptions options, size_t workers, int64_t rounds) {
    char directory[256];
    toy_directory(directory);
    options.directory = directory;
    options.workers = workers;
    PbtRun *run = begin(&options);
    assert_int_equal(go(run, rounds), PBT_FINISHED);
    pbt_run_free(run);
    char *text = toy_export(directory, false);
    toy_remove(directory);
    return text;
}

static void same_for_all_workers(PbtOptions options, const char *contains) {
    char *one = record(options, 1, 6);
    for (size_t workers = 2; workers <= 3; workers++) {
        char *more = record(options, workers, 6);
        assert_string_equal(one, more);
        memory_free(more);
    }
    if (!strstr(one, contains)) fail_msg("%s is not in the export", contains);
    memory_free(one);
}

static void test_workers(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.noise = world.score_noise = 0.05;
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 7, 3);
    same_for_all_workers(options, ",copied,");
    options.exploit.kind = PBT_TOURNAMENT;
    options.recombine = true;
    same_for_all_workers(options, ",t1");
    options.recombine = false;
    options.exploit = (PbtExploit){.kind = PBT_TTEST, .window = 3, .level = 0.5};
    same_for_all_workers(options, ",copied,");
    options.control = PBT_RANDOM_FITNESS;
    options.exploit = pbt_exploit_default();
    world.fail_slot = 2, world.fail_from = 5, world.fail_until = 7;
    same_for_all_workers(options, ",replaced,");
    assert_int_equal(atomic_load(&world.live), 0);
}

static void test_one_thread(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.homely = true, world.home = pthread_self();
    PbtKind kind = toy_kind(&world);
    kind.one_thread = true;
    PbtOptions options = toy_options(&kind, 5, 1);
    options.workers = 3;
    PbtRun *run = begin(&options);
    go(run, 3);
    pbt_run_free(run);
}

static void test_seeds_differ(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    char *one = record(toy_options(&kind, 4, 1), 1, 3), *two = record(toy_options(&kind, 4, 2), 1, 3);
    assert_string_not_equal(one, two);
    memory_free(one);
    memory_free(two);
}

/* ---- no discovery under random fitness ----------------------------------------------------------------- */

static void test_random_fitness_discovers_nothing(void **state) {
    (void)state;
    enum { RUNS = 2000, MEMBERS = 5, ROUNDS = 20 };
    static const PbtHyper WIDE[] = {{.name = "h0", .kind = PBT_LOG_UNIFORM, .low = 1e-9, .high = 1},
                                    {.name = "h1", .kind = PBT_LOG_UNIFORM, .low = 1e-9, .high = 1}};
    double initial[MEMBERS * 2], sum = 0, squares = 0;
    for (size_t i = 0; i < MEMBERS * 2; i++) initial[i] = 1e-3;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        PbtOptions options = toy_options(&kind, MEMBERS, seed);
        options.space.hypers = WIDE;
        options.initial = initial;
        options.control = PBT_RANDOM_FITNESS;
        PbtRun *run = begin(&options);
        go(run, ROUNDS);
        double change = log(pbt_run_view(run, 0).values[0] / 1e-3);
        sum += change, squares += change * change;
        pbt_run_free(run);
    }
    double mean = sum / RUNS, error = sqrt((squares / RUNS - mean * mean) / RUNS);
    print_message("mean log change %.4f, standard error %.4f\n", mean, error);
    assert_true(error > 0.001 && fabs(mean) < 3 * error);
}

/* ---- controls ------------------------------------------------------------------------------------------ */

/* Two members, of which slot 1 is far better after a round: what is slot 0 then? */
typedef struct {
    double theta, h0, score;
    int64_t parent, age, steps;
} Fate;

static Fate fate(PbtControl control, int64_t burn_in) {
    static const double START[] = {0.02, 0.02, 5, 5};
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 2, 9);
    options.initial = START;
    options.control = control;
    options.burn_in = burn_in;
    PbtRun *run = begin(&options);
    go(run, 1);
    PbtView loser = pbt_run_view(run, 0), winner = pbt_run_view(run, 1);
    const Toy *toy = pbt_run_member(run, 0, NULL);
    Fate found = {toy->weights.theta[0], loser.values[0], loser.score.score,
                  loser.parent,          loser.age,       loser.steps};
    assert_true(toy->h[0] == loser.values[0] && toy->h[1] == loser.values[1]); /* the live member has them */
    assert_true(winner.values[0] == 5 && winner.parent == 1);
    assert_true((loser.score.score == winner.score.score) == (loser.parent == 1));
    pbt_run_free(run);
    return found;
}

static bool stepped(double value, double from) {
    return fabs(value / from - 0.8) < 1e-12 || fabs(value / from - 1.25) < 1e-12;
}

static void test_controls(void **state) {
    (void)state;
    double own = 0.9 * pow(1 - 0.02 * 0.02, 4), better = 0.9 * pow(1 - 0.02 * 5, 4);
    Fate pbt = fate(PBT_CONTROL_OFF, 0), weights = fate(PBT_WEIGHTS_ONLY, 0),
         hypers = fate(PBT_HYPERS_ONLY, 0), copy = fate(PBT_NO_EXPLORE, 0),
         explore = fate(PBT_EXPLORE_ONLY, 0), none = fate(PBT_RANDOM_SEARCH, 0);
    assert_near(pbt.theta, better, 1e-12);
    assert_true(stepped(pbt.h0, 5) && pbt.parent == 1 && pbt.age == 4 && pbt.steps == 4);
    assert_near(weights.theta, better, 1e-12);
    assert_true(weights.h0 == 0.02);
    assert_near(hypers.theta, own, 1e-12);
    assert_true(stepped(hypers.h0, 5) && hypers.parent == 0);
    assert_near(copy.theta, better, 1e-12);
    assert_true(copy.h0 == 5);
    assert_near(explore.theta, own, 1e-12);
    assert_true(stepped(explore.h0, 0.02));
    assert_near(none.theta, own, 1e-12);
    assert_true(none.h0 == 0.02);
}

static void test_burn_in(void **state) {
    (void)state;
    assert_int_equal(fate(PBT_CONTROL_OFF, 5).parent, 0);
    assert_int_equal(fate(PBT_CONTROL_OFF, 4).parent, 1);
}

/* Structural hyperparameters go with the weights under every control, and are never changed. */
static void test_structural(void **state) {
    (void)state;
    static const PbtHyper HYPERS[] = {
        {.name = "h0", .kind = PBT_LOG_UNIFORM, .low = 0.01, .high = 10},
        {.name = "h1", .kind = PBT_UNIFORM, .low = 0, .high = 9, .structural = true}};
    static const double START[] = {0.02, 1, 5, 2};
    const PbtControl controls[] = {PBT_CONTROL_OFF, PBT_WEIGHTS_ONLY, PBT_NO_EXPLORE, PBT_HYPERS_ONLY};
    for (size_t c = 0; c < 4; c++) {
        ToyWorld world = toy_world();
        PbtKind kind = toy_kind(&world);
        PbtOptions options = toy_options(&kind, 2, 9);
        options.space.hypers = HYPERS;
        options.initial = START;
        options.control = controls[c];
        PbtRun *run = begin(&options);
        go(run, 1);
        const Toy *toy = pbt_run_member(run, 0, NULL);
        assert_true(toy->h[1] == (controls[c] == PBT_HYPERS_ONLY ? 1 : 2));
        assert_true(pbt_run_view(run, 0).values[1] == toy->h[1]);
        options.recombine = true;
        pbt_run_free(run);
        assert_refused(pbt_run_new(&run, &options, &toy_error), STATUS_INVALID, "h1 is structural");
    }
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static void test_failed_member_is_replaced(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.fail_slot = 3, world.fail_from = 6, world.fail_until = 7;
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 10, 5);
    PbtRun *run = begin(&options);
    go(run, 2);
    PbtView view = pbt_run_view(run, 3);
    const Toy *toy = pbt_run_member(run, 3, NULL);
    assert_false(view.failed);
    assert_true(view.parent != 3 && isfinite(view.score.score) && isfinite(toy->weights.theta[0]));
    assert_int_equal(view.steps, 8); /* never goes back */
    go(run, 12);
    for (size_t i = 0; i < 10; i++) assert_false(pbt_run_view(run, i).failed);
    pbt_run_free(run);
    assert_int_equal(world.copies_of_failed, 0);
    assert_int_equal(atomic_load(&world.live), 0);
}

/* A member that fails again and again never spreads what is wrong with it. */
static void test_nan_does_not_spread(void **state) {
    (void)state;
    const PbtExploitKind rules[] = {PBT_TRUNCATION, PBT_TOURNAMENT, PBT_TTEST};
    for (size_t r = 0; r < 3; r++) {
        ToyWorld world = toy_world();
        world.nan_slot = 0;
        world.fail_slot = 1, world.fail_until = INT64_MAX;
        PbtKind kind = toy_kind(&world);
        PbtOptions options = toy_options(&kind, 5, r);
        options.exploit.kind = rules[r];
        PbtRun *run = begin(&options);
        go(run, 20);
        for (size_t i = 0; i < 5; i++) assert_true(isfinite(pbt_run_view(run, i).score.score));
        pbt_run_free(run);
        assert_int_equal(world.copies_of_failed, 0);
    }
}

static void test_random_search_keeps_failures(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.fail_slot = 1, world.fail_until = INT64_MAX;
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 3, 5);
    options.control = PBT_RANDOM_SEARCH;
    PbtRun *run = begin(&options);
    go(run, 4);
    assert_true(pbt_run_view(run, 1).failed);
    assert_non_null(strstr(pbt_run_view(run, 1).failure, "training: the loss is nan in step 0"));
    assert_false(pbt_run_view(run, 0).failed);
    pbt_run_free(run);
}

static void test_all_fail(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.all_fail_from = 9;
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 4, 5);
    options.workers = 2;
    PbtRun *run = begin(&options);
    PbtEnd end;
    assert_refused(pbt_run_rounds(run, 10, &end, &toy_error), STATUS_NOT_FINITE,
                   "all 4 members have failed by round 3");
    assert_non_null(strstr(toy_error.message, "the loss is nan"));
    assert_refused(pbt_run_rounds(run, 10, &end, &toy_error), STATUS_INVALID,
                   "the run ended with an error: free it and resume");
    pbt_run_free(run);
}

static void test_hypers_are_read_back(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.deaf = true;
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 2, 5);
    PbtRun *run = begin(&options);
    assert_true(pbt_run_view(run, 0).failed);
    assert_non_null(strstr(pbt_run_view(run, 0).failure, "h1 was set to"));
    PbtEnd end;
    assert_refused(pbt_run_rounds(run, 10, &end, &toy_error), STATUS_NOT_FINITE, "but the member reads 0");
    pbt_run_free(run);
}

static void test_copies_are_proved(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.noise = 0.01;
    world.forgetful = true;
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 4, 5);
    PbtRun *run = begin(&options);
    go(run, 1);
    size_t failed = 0;
    for (size_t i = 0; i < 4; i++) {
        PbtView view = pbt_run_view(run, i);
        failed += view.failed;
        if (view.failed) assert_non_null(strstr(view.failure, "copying: the copy has the hash"));
    }
    assert_int_equal(failed, 1);
    pbt_run_free(run);
}

/* ---- callbacks ----------------------------------------------------------------------------------------- */

static Status in_a_circle(void *context, int64_t token, const PbtView *members, size_t count, size_t me,
                          PbtStream stream, ptrdiff_t *donor, Error *error) {
    (void)context, (void)members, (void)stream, (void)error;
    assert_int_equal(token, 7);
    *donor = (ptrdiff_t)((me + 1) % count);
    return STATUS_OK;
}

/* Everyone copies the next one as it was, though that one is overwritten too. */
static void test_circle(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 5, 5);
    options.control = PBT_NO_EXPLORE;
    options.exploit = (PbtExploit){.kind = PBT_EXPLOIT_CALLBACK, .token = 7};
    options.callbacks.exploit = in_a_circle;
    PbtRun *run = begin(&options);
    double before[5];
    for (size_t i = 0; i < 5; i++) before[i] = pbt_run_view(run, i).values[0];
    go(run, 1);
    for (size_t i = 0; i < 5; i++) {
        const Toy *toy = pbt_run_member(run, i, NULL);
        double donor = before[(i + 1) % 5];
        assert_true(toy->h[0] == donor);
        assert_near(toy->weights.theta[0], 0.9 * pow(1 - 0.02 * donor, 4), 1e-12);
        assert_int_equal(pbt_run_view(run, i).parent, (i + 1) % 5);
    }
    pbt_run_free(run);
    assert_int_equal(atomic_load(&world.live), 0);
}

/* One that cannot be set aside fails; who copies it finds it as it was scored. */
static void test_broken_circle(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.bad_copies = 1;
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 5, 5);
    options.control = PBT_NO_EXPLORE;
    options.exploit = (PbtExploit){.kind = PBT_EXPLOIT_CALLBACK, .token = 7};
    options.callbacks.exploit = in_a_circle;
    PbtRun *run = begin(&options);
    double before = pbt_run_view(run, 0).values[0];
    go(run, 1);
    PbtView view = pbt_run_view(run, 0), copy = pbt_run_view(run, 4);
    assert_true(view.failed);
    assert_string_equal(view.failure, "copying: the toy is broken");
    assert_true(!copy.failed && copy.parent == 0 && copy.values[0] == before);
    pbt_run_free(run);
    assert_int_equal(atomic_load(&world.live), 0);
}

static ptrdiff_t rubbish;
static Status rubbish_donor(void *context, int64_t token, const PbtView *members, size_t count, size_t me,
                            PbtStream stream, ptrdiff_t *donor, Error *error) {
    (void)context, (void)token, (void)members, (void)count, (void)stream, (void)error;
    *donor = me == 1 ? rubbish : -1;
    return STATUS_OK;
}

static Status rubbish_values(void *context, int64_t token, PbtStream stream, double *values, Error *error) {
    (void)context, (void)token, (void)stream, (void)error;
    values[0] = NAN;
    return STATUS_OK;
}

static Status far_values(void *context, int64_t token, PbtStream stream, double *values, Error *error) {
    (void)context, (void)token, (void)stream, (void)error;
    values[0] = 1e9;
    return STATUS_OK;
}

static void test_rubbish_from_callbacks(void **state) {
    (void)state;
    const struct {
        ptrdiff_t donor;
        const char *words;
    } cases[] = {{3, "donor 3 for member 1: there are 3 members"}, {-7, "donor -7"}, {1, "its own donor"}};
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 3, 5);
    PbtRun *run;
    PbtEnd end;
    options.exploit.kind = PBT_EXPLOIT_CALLBACK;
    assert_refused(pbt_run_new(&run, &options, &toy_error), STATUS_INVALID, "no function to call");
    options.callbacks.exploit = rubbish_donor;
    for (size_t c = 0; c < 3; c++) {
        rubbish = cases[c].donor;
        run = begin(&options);
        assert_refused(pbt_run_rounds(run, 1, &end, &toy_error), STATUS_INVALID, cases[c].words);
        pbt_run_free(run);
    }
    options.exploit = pbt_exploit_default();
    options.explore.kind = PBT_EXPLORE_CALLBACK;
    options.callbacks.explore = rubbish_values;
    run = begin(&options);
    assert_refused(pbt_run_rounds(run, 1, &end, &toy_error), STATUS_NOT_FINITE, "hyperparameter h0 is");
    pbt_run_free(run);
    options.callbacks.explore = far_values;
    run = begin(&options);
    go(run, 1);
    size_t at_bound = 0;
    for (size_t i = 0; i < 3; i++) at_bound += pbt_run_view(run, i).values[0] == 10;
    assert_int_equal(at_bound, 1);
    pbt_run_free(run);
    assert_int_equal(atomic_load(&world.live), 0);
}

static bool at_once(void *context) {
    return ++*(int *)context > 3;
}

static void test_interruption(void **state) {
    (void)state;
    for (size_t workers = 1; workers <= 2; workers++) {
        int asked = 0;
        ToyWorld world = toy_world();
        PbtKind kind = toy_kind(&world);
        PbtOptions options = toy_options(&kind, 3, 5);
        options.workers = workers;
        options.callbacks.context = &asked;
        options.callbacks.interrupted = at_once;
        PbtRun *run = begin(&options);
        assert_int_equal(go(run, 1000), PBT_INTERRUPTED);
        assert_true(pbt_run_round(run) < 1000);
        int64_t steps = pbt_run_view(run, 0).steps;
        PbtEnd end; /* members that were trained, but not settled, would be trained again */
        assert_refused(pbt_run_rounds(run, 1000, &end, &toy_error), STATUS_INVALID,
                       "the run was interrupted: free it and resume");
        assert_int_equal(pbt_run_view(run, 0).steps, steps);
        pbt_run_free(run);
    }
}

/* ---- members at rest ----------------------------------------------------------------------------------- */

/* Those at rest may be read, as the thread sanitizer sees; `told` counts ready moments, [1] of them those
 * with others at work. */
static Status look_at_members(void *context, PbtRun *run, PbtMoment moment, int64_t slot, Error *error) {
    int *told = context;
    size_t resting = 0, count = pbt_run_count(run);
    (void)error;
    for (size_t i = 0; i < count; i++) {
        if (!pbt_run_resting(run, i)) continue;
        const Toy *toy = pbt_run_member(run, i, NULL);
        assert_true(toy->weights.trained > 0 || !told[2]);
        resting++;
    }
    if (moment == PBT_MEMBER_READY) assert_true(pbt_run_resting(run, (size_t)slot));
    assert_true(resting == count || (resting == 1 && told[2]));
    told[0]++;
    told[1] += resting < count;
    return STATUS_OK;
}

static void test_resting(void **state) {
    (void)state;
    for (int mode = 0; mode < 4; mode++) {
        char directory[256];
        toy_directory(directory);
        int told[3] = {0, 0, mode % 2}; /* by threads */
        ToyWorld world = toy_world();
        world.dawdle = true;
        PbtKind kind = toy_kind(&world);
        PbtOptions options = toy_options(&kind, 6, 5);
        options.directory = directory;
        options.asynchronous = mode / 2;
        options.workers = mode % 2 ? 3 : 1;
        options.callbacks.context = told;
        options.callbacks.progress = look_at_members;
        PbtRun *run = begin(&options);
        for (size_t i = 0; i < 6; i++) assert_true(pbt_run_resting(run, i));
        go(run, 3);
        for (size_t i = 0; i < 6; i++) assert_true(pbt_run_resting(run, i));
        assert_int_equal(told[0], 3 * 6 + 3);
        assert_int_equal(told[1], !(mode % 2) ? 0 : mode / 2 ? 3 * 6 + 3 : 3 * 6);
        pbt_run_free(run);
        toy_remove(directory);
    }
}

/* ---- recombination ------------------------------------------------------------------------------------- */

static void test_recombination(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    world.noise = 0.05;
    PbtKind kind = toy_kind(&world);
    size_t mosaics = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        PbtOptions options = toy_options(&kind, 8, seed);
        options.recombine = true;
        options.exploit.bottom = options.exploit.top = 0.5;
        PbtRun *run = begin(&options);
        go(run, 1);
        for (size_t i = 0; i < 8; i++) {
            PbtView view = pbt_run_view(run, i);
            const double *theta = ((const Toy *)pbt_run_member(run, i, NULL))->weights.theta;
            assert_near(view.score.score, 1.2 - theta[0] * theta[0] - theta[1] * theta[1], 1e-12);
            if (view.parent == view.slot) continue;
            const double *donor =
                ((const Toy *)pbt_run_member(run, (size_t)view.parent, NULL))->weights.theta;
            assert_true(theta[0] == donor[0]);
            mosaics += theta[1] != donor[1];
        }
        pbt_run_free(run);
    }
    assert_true(mosaics > 20);
}

/* ---- the schedule -------------------------------------------------------------------------------------- */

static Status schedule(void *context, PbtRun *run, Error *error) {
    (void)context;
    PbtExploit none = {.kind = PBT_NONE};
    Status status = STATUS_OK;
    switch (pbt_run_round(run)) {
    case 1: status = pbt_run_set_interval(run, 6, error); break;
    case 2: status = pbt_run_pin(run, 0, error); break;
    case 3: status = pbt_run_fork(run, 1, 2, error); break;
    case 4: status = pbt_run_add(run, 2, error); break;
    case 5: status = pbt_run_drop(run, 3, error); break;
    case 6: status = pbt_run_set_exploit(run, &none, error); break;
    case 7: return pbt_run_stop(run, error);
    default: break;
    }
    return status;
}

static void test_schedule(void **state) {
    (void)state;
    static const double START[] = {0.01, 0.01, 1, 1, 2, 2, 3, 3};
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 4, 5);
    options.initial = START;
    options.control = PBT_NO_EXPLORE;
    options.callbacks.schedule = schedule;
    char directory[256];
    toy_directory(directory);
    options.directory = directory;
    PbtRun *run = begin(&options);
    go(run, 2);
    PbtView view = pbt_run_view(run, 0);
    assert_int_equal(view.steps, 10);
    assert_true(view.pinned);
    double pinned = view.values[0];
    go(run, 3);
    assert_string_equal(pbt_run_view(run, 1).state, pbt_run_view(run, 2).state);
    assert_true(pbt_run_view(run, 2).values[0] == pbt_run_view(run, 1).values[0]);
    go(run, 4);
    assert_int_equal(pbt_run_count(run), 6);
    assert_int_equal(pbt_run_view(run, 5).slot, 5);
    assert_int_equal(pbt_run_view(run, 5).age, 0);
    go(run, 5);
    assert_int_equal(pbt_run_count(run), 5);
    assert_int_equal(pbt_run_view(run, 3).slot, 4);
    assert_int_equal(go(run, 20), PBT_STOPPED);
    assert_int_equal(pbt_run_round(run), 7);
    assert_true(pbt_run_view(run, 0).values[0] == pinned &&
                pbt_run_view(run, 0).parent == 0); /* never overwritten */
    assert_int_equal(go(run, 20), PBT_STOPPED);
    assert_refused(pbt_run_pin(run, 0, &toy_error), STATUS_INVALID, "only the schedule");
    pbt_run_free(run);
    assert_ok(pbt_run_resume(&run, &options, false, &toy_error));
    assert_int_equal(go(run, 20), PBT_STOPPED); /* says so */
    assert_ok(pbt_run_go_on(run, &toy_error));
    assert_int_equal(go(run, 9), PBT_FINISHED);
    assert_int_equal(pbt_run_view(run, 0).parent, 0);
    pbt_run_free(run);
    char *text = toy_export(directory, false);
    const char *const events[] = {"event,1,-,interval,-,6",   "event,2,0,pinned,-,", "event,3,2,forked,1,",
                                  "event,4,4,added,-,",       "event,4,5,added,-,",  "event,5,3,dropped,-,",
                                  "event,6,-,exploit,-,none", "event,7,-,stopped,-,"};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (!strstr(text, events[i])) fail_msg("%s is not in the export", events[i]);
    memory_free(text);
    toy_remove(directory);
}

static Status bad_schedule(void *context, PbtRun *run, Error *error) {
    switch (*(int *)context) {
    case 0: return pbt_run_set_interval(run, 0, error);
    case 1: return pbt_run_pin(run, 9, error);
    case 2: return pbt_run_fork(run, 1, 1, error);
    case 3: return pbt_run_drop(run, 0, error) || pbt_run_drop(run, 1, error);
    case 4: return pbt_run_add(run, PBT_POPULATION, error);
    default: return error_set(error, STATUS_INVALID, "line 12: a mistake");
    }
}

static void test_schedule_refusals(void **state) {
    (void)state;
    const char *const words[] = {"an interval of 0 steps", "there is no member 9", "they are one",
                                 "member 1 is the last",   "at most 4096",         "line 12: a mistake"};
    for (int which = 0; which < 6; which++) {
        ToyWorld world = toy_world();
        PbtKind kind = toy_kind(&world);
        PbtOptions options = toy_options(&kind, 2, 5);
        options.callbacks.context = &which;
        options.callbacks.schedule = bad_schedule;
        PbtRun *run = begin(&options);
        PbtEnd end;
        assert_refused(pbt_run_rounds(run, 2, &end, &toy_error), STATUS_INVALID, words[which]);
        pbt_run_free(run);
    }
}

/* ---- options ------------------------------------------------------------------------------------------- */

static void test_refusals(void **state) {
    (void)state;
    static const double OUTSIDE[] = {1, 11};
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    const PbtOptions good = toy_options(&kind, 1, 1);
    PbtOptions bad = good;
    PbtRun *run;
    bad.interval = 0;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "an interval of 0 steps");
    bad = good, bad.population = 0;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "a population of 0");
    bad = good, bad.initial = OUTSIDE;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "h1 is 11, which is outside");
    bad = good, bad.asynchronous = true;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "needs a directory");
    bad = good, bad.burn_in = -1;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "burn-in");
    bad = good, bad.workers = 1000;
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_INVALID, "1000 workers");
    bad = good, bad.directory = "/proc/nowhere";
    assert_refused(pbt_run_new(&run, &bad, &toy_error), STATUS_IO, "/proc/nowhere: the run's directory");
    run = begin(&good); /* a population of one just trains */
    go(run, 3);
    assert_int_equal(pbt_run_view(run, 0).age, 12);
    pbt_run_free(run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers),
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_random_fitness_discovers_nothing),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_burn_in),
        cmocka_unit_test(test_structural),
        cmocka_unit_test(test_failed_member_is_replaced),
        cmocka_unit_test(test_nan_does_not_spread),
        cmocka_unit_test(test_random_search_keeps_failures),
        cmocka_unit_test(test_all_fail),
        cmocka_unit_test(test_hypers_are_read_back),
        cmocka_unit_test(test_copies_are_proved),
        cmocka_unit_test(test_circle),
        cmocka_unit_test(test_broken_circle),
        cmocka_unit_test(test_rubbish_from_callbacks),
        cmocka_unit_test(test_interruption),
        cmocka_unit_test(test_resting),
        cmocka_unit_test(test_recombination),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_schedule_refusals),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
