/* What a program finds itself in, what comes through to it and back, and that it ends with Brood. */
#include "tests/members/bench.h"
#include "tests/support/alloc.h"

#include <fcntl.h>
#include <float.h>

enum { DESCRIPTORS, HERE, LEADER, SEED, SIGNALS, FACTS };
static const char *const FACT_NAMES[FACTS] = {"descriptors", "here", "leader", "seed", "signals"};

static const char *const SHAPES[] = {"round \"o\"", "sp\u00efky", ""};
static const double SIZES[] = {0.1, 3, 1e300};
static const PbtHyper HYPERS[] = {
    {.name = "label", .kind = PBT_CATEGORY, .labels = SHAPES, .count = 3},
    {.name = "size", .kind = PBT_CHOICE, .numbers = SIZES, .count = 3},
    {.name = "x", .kind = PBT_UNIFORM, .low = -DBL_MAX / 4, .high = DBL_MAX / 4},
};

static void set_up(Bench *bench, const char *argument) {
    bench_set_up(bench, 1, 1, "tests/members/probe.py", argument);
    bench->program.space = (PbtSpace){HYPERS, 3};
    bench->program.reports = FACT_NAMES;
    bench->program.report_count = FACTS;
}

static void *born(Bench *bench) {
    static const double VALUES[] = {1, 0.1, 0};
    const PbtKind *kind = program_kind(bench->kind);
    PbtBirth birth = {UINT64_MAX, 7, VALUES};
    void *member;
    assert_ok(kind->create(kind->context, NULL, &birth, &member, &toy_error));
    return member;
}

static PbtScore scored(Bench *bench, void *member) {
    const PbtKind *kind = program_kind(bench->kind);
    PbtScore score;
    assert_ok(kind->score(kind->context, NULL, member, &score, &toy_error));
    return score;
}

static void test_surroundings(void **state) {
    Bench bench;
    (void)state;
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    int open_file = open("/dev/null", O_RDONLY); /* would be inherited */
    signal(SIGQUIT, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &some, NULL);
    set_up(&bench, NULL);
    bench_make(&bench);
    void *others[] = {born(&bench), born(&bench)}, *member = born(&bench);
    PbtScore score = scored(&bench, member);
    pthread_sigmask(SIG_UNBLOCK, &some, NULL);
    signal(SIGQUIT, SIG_DFL);
    close(open_file);
    assert_near(score.reports[DESCRIPTORS], 3, 0);
    assert_near(score.reports[LEADER], 1, 0);
    assert_near(score.reports[SIGNALS], 1, 0);
    assert_near(score.reports[SEED], 1, 0);
    assert_near(score.reports[HERE], 0, 0);
    assert_near(score.deviation, 0.5, 0);
    const PbtKind *kind = program_kind(bench.kind);
    for (int i = 0; i < 2; i++) kind->free(kind->context, others[i]);
    kind->free(kind->context, member);
    bench_tear_down(&bench);
}

/* A program runs beside its script, while paths of the run are given from where Brood is. */
static void test_folders(void **state) {
    Bench bench;
    char before[200], path[300], hash[FILE_HASH], other[FILE_HASH];
    (void)state;
    set_up(&bench, NULL);
    bench.command[2] = "probe.py";
    assert_non_null(getcwd(before, sizeof before));
    snprintf(path, sizeof path, "%s/tests/members", before);
    bench.program.working_directory = path;
    assert_int_equal(chdir(bench.directory), 0);
    bench.program.folder = "run";
    bench_make(&bench);
    void *member = born(&bench);
    assert_near(scored(&bench, member).reports[HERE], 1, 0);
    const PbtKind *kind = program_kind(bench.kind);
    assert_ok(kind->save(kind->context, NULL, member, "run", hash, &toy_error));
    assert_ok(kind->save(kind->context, NULL, member, "run", other, &toy_error));
    assert_string_equal(hash, other);
    assert_ok(file_hash_at("run/programs/member-7.txt", other, &toy_error));
    snprintf(path, sizeof path, "run/%s", hash);
    assert_ok(file_hash_at(path, other, &toy_error));
    assert_string_equal(hash, other);
    FilePiece piece = {"7", 1};
    assert_ok(file_hash(&piece, 1, other, &toy_error));
    assert_string_equal(hash, other);
    assert_ok(kind->load(kind->context, NULL, member, "run", hash, &toy_error));
    assert_ok(file_save(path, &(FilePiece){"8", 1}, 1, &toy_error));
    assert_refused(kind->load(kind->context, NULL, member, "run", hash, &toy_error), STATUS_CORRUPT,
                   "its content is damaged");
    assert_refused(kind->load(kind->context, NULL, member, "run", "0123", &toy_error), STATUS_IO,
                   "No such file");
    kind->free(kind->context, member);
    assert_int_equal(chdir(before), 0);
    bench_tear_down(&bench);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static void assert_same(Bench *bench, void *member, double label, double size, double x) {
    const PbtKind *kind = program_kind(bench->kind);
    const double values[] = {label, size, x};
    double applied[] = {-1, -1, -1};
    assert_ok(kind->apply(kind->context, NULL, member, values, applied, &toy_error));
    assert_memory_equal(values, applied, sizeof values);
}

static void test_values(void **state) {
    static const double NUMBERS[] = {0.1 + 0.2,   1.0 / 3, DBL_MIN,           DBL_TRUE_MIN,
                                     DBL_MAX / 4, -1e-5,   1 + DBL_EPSILON,   123456789012345680.0,
                                     5e-324,      1e22,    4503599627370497.5};
    Bench bench;
    (void)state;
    set_up(&bench, NULL);
    bench_make(&bench);
    void *member = born(&bench);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        assert_same(&bench, member, (double)(i % 3), SIZES[i % 3], NUMBERS[i]);
    uint64_t key = random_key(1, 0, "numbers");
    for (uint64_t i = 0; i < 1000; i++)
        assert_same(&bench, member, 0, 0.1, exp(100 * random_normal_at(key, i, 0)));
    const PbtKind *kind = program_kind(bench.kind);
    kind->free(kind->context, member);
    bench_tear_down(&bench);
}

/* ---- CPU seconds --------------------------------------------------------------------------------------- */

static void test_cpu(void **state) {
    Bench bench;
    (void)state;
    set_up(&bench, NULL);
    bench_make(&bench);
    void *member = born(&bench);
    const PbtKind *kind = program_kind(bench.kind);
    double before = kind->cpu(kind->context, member);
    assert_ok(kind->step(kind->context, NULL, member, 0, 3, &toy_error));
    double after = kind->cpu(kind->context, member), said = scored(&bench, member).score;
    assert_true(after - before > 0.2);
    assert_near(after, said, 0.15);
    Status status = kind->load(kind->context, NULL, member, bench.directory, "x", &toy_error);
    assert_int_equal(status, STATUS_IO);
    kind->free(kind->context, member);
    bench_tear_down(&bench);
}

/* ---- ends ---------------------------------------------------------------------------------------------- */

static bool comes_to_be(const char *path) {
    for (double start = bench_seconds(); bench_seconds() - start < 10; usleep(10000))
        if (access(path, F_OK) == 0) return true;
    return false;
}

static void test_quit(void **state) {
    Bench bench;
    char path[300];
    (void)state;
    set_up(&bench, NULL);
    bench.command[3] = bench.directory;
    bench_make(&bench);
    const PbtKind *kind = program_kind(bench.kind);
    void *member = born(&bench);
    kind->free(kind->context, member);
    snprintf(path, sizeof path, "%s/left", bench.directory);
    assert_int_equal(access(path, F_OK), 0); /* it was given the time */
    bench_tear_down(&bench);
}

/* Another process makes a member and is killed. */
static void test_ends_with_brood(void **state) {
    Bench bench;
    char path[300];
    (void)state;
    set_up(&bench, NULL);
    bench.command[3] = bench.directory;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bench_make(&bench);
        born(&bench);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    snprintf(path, sizeof path, "%s/left", bench.directory);
    assert_true(comes_to_be(path));
    toy_remove(bench.directory);
}

/* Brood may be started without standard descriptors, whose numbers pipes then get. */
static void test_without_standard_descriptors(void **state) {
    Bench bench;
    char path[300];
    uint8_t *log;
    size_t size;
    int status;
    (void)state;
    set_up(&bench, NULL);
    bench_make(&bench);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(0), close(1), close(2);
        void *member = born(&bench);
        double descriptors = scored(&bench, member).reports[DESCRIPTORS];
        const PbtKind *kind = program_kind(bench.kind);
        kind->free(kind->context, member);
        _exit(descriptors == 3 ? 42 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    snprintf(path, sizeof path, "%s/programs/member-7.txt", bench.directory);
    assert_ok(file_load(path, 6, &log, &size, &toy_error));
    assert_int_equal(size, 6);
    assert_memory_equal(log, "hello\n", size);
    memory_free(log);
    bench_tear_down(&bench);
}

/* ---- no memory ----------------------------------------------------------------------------------------- */

static void test_no_memory(void **state) {
    static const double VALUES[] = {1, 0.1, 0};
    Bench bench;
    PbtBirth birth = {1, 0, VALUES};
    Status status = STATUS_NO_MEMORY;
    (void)state;
    set_up(&bench, NULL);
    alloc_refuse(1, false);
    assert_refused(program_kind_new(&bench.kind, &bench.program, &toy_error), STATUS_NO_MEMORY, "programs");
    alloc_refuse(0, false);
    bench_make(&bench);
    const PbtKind *kind = program_kind(bench.kind);
    size_t refusals = 0;
    while (status) {
        void *member = NULL;
        alloc_refuse(refusals + 1, false);
        status = kind->create(kind->context, NULL, &birth, &member, &toy_error);
        bool refused = alloc_refused();
        alloc_refuse(0, false);
        assert_int_equal(status, refused ? STATUS_NO_MEMORY : STATUS_OK);
        refusals += refused;
        kind->free(kind->context, member);
    }
    assert_true(refusals >= 2);
    bench_tear_down(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_quit),
        cmocka_unit_test(test_ends_with_brood),
        cmocka_unit_test(test_without_standard_descriptors),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
