/* Every allocation of a run is refused in turn: nothing crashes, nothing leaks, and what is refused is told.
 * It is never a member's fault: the run ends, and goes on where there is memory as if nothing had been. */
#include "tests/pbt/toy_run.h"
#include "tests/support/alloc.h"

static Status in_a_circle(void *context, int64_t token, const PbtView *members, size_t count, size_t me,
                          PbtStream stream, ptrdiff_t *donor, Error *error) {
    (void)context, (void)token, (void)stream, (void)error;
    size_t next = (me + 1) % count;
    *donor = members[next].failed ? -1 : (ptrdiff_t)next;
    return STATUS_OK;
}

static Status run_once(const PbtOptions *options, bool resume, Error *error) {
    PbtRun *run;
    PbtEnd end;
    Status status = resume ? pbt_run_resume(&run, options, true, error) : pbt_run_new(&run, options, error);
    if (status) {
        assert_null(run);
        return status;
    }
    status = pbt_run_rounds(run, 3, &end, error);
    pbt_run_free(run);
    return status;
}

static Status look(const char *directory, Error *error) {
    PbtLineage lineage;
    PbtBest best;
    int64_t *order = NULL;
    size_t count;
    char *seed = NULL;
    Status status = pbt_lineage(directory, 1, 0, &lineage, error);
    if (!status) pbt_lineage_free(&lineage);
    if (!status) status = pbt_best(directory, &best, error);
    if (!status) status = pbt_order(directory, &order, &count, error);
    if (!status) status = pbt_fact(directory, "seed", &seed, error);
    memory_free(order);
    memory_free(seed);
    return status;
}

static void refuse_each(PbtOptions options, bool resume) {
    bool refused = true;
    char directory[256];
    for (size_t nth = 1; refused; nth++) {
        if (options.directory) toy_directory(directory);
        if (options.directory) options.directory = directory;
        if (resume) assert_ok(run_once(&options, false, &toy_error));
        ptrdiff_t before = alloc_live();
        Error error = {.status = STATUS_OK};
        alloc_refuse(nth, false);
        Status status = run_once(&options, resume, &error);
        if (!status && resume) status = look(directory, &error);
        refused = alloc_refused();
        alloc_refuse(0, false);
        assert_true(alloc_live() == before);
        if (status) assert_true(*error.message);
        assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
        if (options.directory) toy_remove(directory);
    }
}

static PbtOptions circle(const PbtKind *kind) {
    PbtOptions options = toy_options(kind, 3, 1);
    options.exploit.kind = PBT_EXPLOIT_CALLBACK;
    options.callbacks.exploit = in_a_circle;
    return options;
}

static void test_in_memory(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    refuse_each(circle(&kind), false);
}

static void test_in_a_directory(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    PbtOptions options = circle(&kind);
    options.directory = "yes";
    refuse_each(options, false);
    refuse_each(options, true);
}

static void test_asynchronous(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 3, 1);
    options.directory = "yes";
    options.asynchronous = true;
    refuse_each(options, false);
    refuse_each(options, true);
}

static void test_threads(void **state) {
    (void)state;
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    PbtOptions options = toy_options(&kind, 3, 1);
    options.workers = 2;
    refuse_each(options, false);
}

/* ---- members' functions -------------------------------------------------------------------------------- */

static const char *starved; /* the function that finds no memory */

static Status starve(const char *function, Error *error) {
    return starved && strcmp(starved, function) == 0 ? error_no_memory(error, function) : STATUS_OK;
}

static Status create(void *context, void *worker, const PbtBirth *birth, void **member, Error *error) {
    Status status = starve("create", error);
    return status ? status : toy_create(context, worker, birth, member, error);
}

static Status apply(void *context, void *worker, void *member, const double *values, double *applied,
                    Error *error) {
    Status status = starve("apply", error);
    return status ? status : toy_apply(context, worker, member, values, applied, error);
}

static Status step(void *context, void *worker, void *member, int64_t first, int64_t steps, Error *error) {
    Status status = starve("step", error);
    return status ? status : toy_step(context, worker, member, first, steps, error);
}

static Status health(void *context, void *worker, void *member, Error *error) {
    (void)context, (void)worker, (void)member;
    return starve("health", error);
}

static Status score(void *context, void *worker, void *member, PbtScore *found, Error *error) {
    Status status = starve("score", error);
    return status ? status : toy_score(context, worker, member, found, error);
}

static Status report(void *context, void *worker, void *member, PbtScore *out, Error *error) {
    (void)context, (void)worker;
    out->reports[0] = ((Toy *)member)->weights.theta[0];
    return starve("report", error);
}

static Status judge(void *context, void *member, PbtScore *found, Error *error) {
    (void)context, (void)member;
    found->score += 1;
    return starve("judge", error);
}

static Status copy(void *context, void *worker, void *member, void *donor, unsigned parts, Error *error) {
    Status status = starve("copy", error);
    return status ? status : toy_copy(context, worker, member, donor, parts, error);
}

static Status hash(void *context, void *worker, void *member, char found[FILE_HASH], Error *error) {
    Status status = starve("hash", error);
    return status ? status : toy_hash(context, worker, member, found, error);
}

static Status save(void *context, void *worker, void *member, const char *folder, char found[FILE_HASH],
                   Error *error) {
    Status status = starve("save", error);
    return status ? status : toy_save(context, worker, member, folder, found, error);
}

static char *starved_run(PbtOptions options, const char *function) {
    char directory[256];
    PbtRun *run;
    PbtEnd end;
    toy_directory(directory);
    options.directory = directory;
    assert_ok(pbt_run_new(&run, &options, &toy_error));
    assert_ok(pbt_run_rounds(run, 1, &end, &toy_error));
    if (function) {
        starved = function;
        assert_refused(pbt_run_rounds(run, 6, &end, &toy_error), STATUS_NO_MEMORY, "out of memory");
        pbt_run_free(run);
        if (strcmp(function, "create") == 0 || strcmp(function, "apply") == 0)
            assert_refused(pbt_run_resume(&run, &options, true, &toy_error), STATUS_NO_MEMORY, function);
        starved = NULL;
        assert_ok(pbt_run_resume(&run, &options, true, &toy_error));
        assert_true(pbt_run_round(run) >= 1);
    }
    assert_ok(pbt_run_rounds(run, 6, &end, &toy_error));
    pbt_run_free(run);
    char *text = toy_export(directory, false);
    toy_remove(directory);
    return text;
}

static void starve_each(bool asynchronous, size_t workers) {
    const char *const functions[] = {"create", "apply", "step", "health", "score",
                                     "report", "judge", "copy", "hash",   "save"};
    ToyWorld world = toy_world();
    PbtKind kind = toy_kind(&world);
    world.fail_slot = 1, world.fail_from = 9, world.fail_until = 10; /* is made anew, then */
    kind.create = create, kind.apply = apply, kind.step = step, kind.health = health, kind.score = score;
    kind.report = report, kind.judge = judge, kind.copy = copy, kind.hash = hash, kind.save = save;
    PbtOptions options = toy_options(&kind, 5, 1);
    options.asynchronous = asynchronous;
    options.workers = workers;
    char *expected = starved_run(options, NULL);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (asynchronous && strcmp(functions[i], "copy") == 0) continue; /* loads what was published */
        char *found = starved_run(options, functions[i]);
        if (!asynchronous || workers == 1) assert_string_equal(found, expected);
        memory_free(found);
    }
    memory_free(expected);
    assert_int_equal(atomic_load(&world.live), 0);
}

static void test_members_without_memory(void **state) {
    (void)state;
    for (size_t workers = 1; workers <= 2; workers++) {
        starve_each(false, workers);
        starve_each(true, workers);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_memory),
        cmocka_unit_test(test_in_a_directory),
        cmocka_unit_test(test_asynchronous),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_members_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
