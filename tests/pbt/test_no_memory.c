/* Every allocation of a run is refused in turn: nothing crashes, nothing leaks, and what is refused is told.
 * Members that cannot be made are failed members, so a run may also get along. */
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
        if (!refused) assert_int_equal(status, STATUS_OK);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_memory),
        cmocka_unit_test(test_in_a_directory),
        cmocka_unit_test(test_asynchronous),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
