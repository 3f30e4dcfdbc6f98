/* Programs that go wrong: each is a failed member with a message that is the same each time, is replaced, and
 * leaves nothing behind; the others go on. */
#include "tests/members/bench.h"

#include <sys/resource.h>

static const char ROGUE[] = "tests/members/rogue.py";

/* ---- in a population ----------------------------------------------------------------------------------- */

typedef struct {
    const char *misdeed; /* and the command at which it is done */
    const char *words;   /* what the run says of it */
} Case;

static const Case CASES[] = {
    {"exit:step",
     "training: step: the program exited with status 3; the last line of its stderr: ValueError: the loss of "
     "step 7 is odd\n"},
    {"exit:score", "scoring: score: the program exited with status 3; "},
    {"exit:save", "saving: save: the program exited with status 3; "},
    {"exit:load", "copying: load: the program exited with status 3; "},
    {"exit:set", "applying hyperparameters: set: the program exited with status 3; "},
    {"leave:step", "training: step: the program exited with status 0\n"},
    {"killed:score", "scoring: score: the program was killed by signal 9, SIGKILL\n"},
    {"leave_child:step",
     "training: step: the program exited with status 4; the last line of its stderr: left a child\n"},
    {"deaf:step", "scoring: score: the program exited with status 5\n"},
    {"rubbish:step",
     "training: step: the answer is not a JSON object on one line: Epoch 1/10:  [31mloss [0m 0.5 "
     "\u00e9\u00df\n"},
    {"empty:step", "training: step: the answer is not a JSON object on one line: \n"},
    {"array:score", "scoring: score: the answer is not a JSON object on one line: [1, 2]\n"},
    {"two:score", "scoring: score: the answer is not a JSON object on one line: {\"id\": "},
    {"binary:step", "training: step: the answer is not a JSON object on one line: ??"},
    {"deep:step", "training: step: the answer is not a JSON object on one line: {\"a\":{\"a\":"},
    {"endless:step", "training: step: the program wrote a line of over 65535 bytes\n"},
    {"nan:score", "scoring: score: the answer is not JSON, which knows no NaN and no infinity: {\"id\": "},
    {"infinite:score", "scoring: score: the answer has a number that is not finite: score\n"},
    {"no_score:score", "scoring: score: the answer lacks a number: score\n"},
    {"text_score:score", "scoring: score: the answer has something else than a number: score\n"},
    {"bad_deviation:score", "scoring: score: the answer has something else than a number: deviation\n"},
    {"no_reports:score", "scoring: score: the answer lacks a number: theta\n"},
    {"no_id:step", "training: step: the answer has no id; it must be that of the request\n"},
    {"old_id:step",
     "training: step: the answer has the id of another request: each must be answered once, in turn\n"},
    {"twice:step",
     "scoring: score: the answer has the id of another request: each must be answered once, in turn\n"},
    {"error:step", "training: step: the learning rate is too high for me\n"},
    {"odd_error:step", "training: step: it does not say why\n"},
    {"wrong_hyper:set", "applying hyperparameters: h0 was set to "},
    {"text_hyper:set", "applying hyperparameters: set: the answer has something else than a number: h0\n"},
    {"no_hyper:set", "applying hyperparameters: set: the answer lacks a number: h0\n"},
    {"forget:load", "copying: the copy has the hash "},
    {"other_name:save",
     "saving: save: the program says that it has saved, but there is no file at the path it was given; some "
     "libraries add an ending to a file's name\n"},
};

/* All copy member 0, which does no wrong. */
static Status copy_first(void *context, int64_t token, const PbtView *members, size_t count, size_t me,
                         PbtStream stream, ptrdiff_t *donor, Error *error) {
    (void)context, (void)token, (void)count, (void)stream, (void)error;
    *donor = members[me].slot == 0 ? -1 : 0;
    return STATUS_OK;
}

/* What a run leaves in which each member but the first does one misdeed. */
static char *run_cases(const Case *cases, size_t count, size_t workers, int64_t rounds) {
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    bench_set_up(&bench, count + 1, 1, ROGUE, NULL);
    for (size_t i = 0; i < count; i++) bench.command[3 + i] = cases[i].misdeed;
    bench.program.step_limit = 1;
    bench.options.workers = workers;
    bench.options.exploit.kind = PBT_EXPLOIT_CALLBACK;
    bench.options.callbacks.exploit = copy_first;
    bench_make(&bench);
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_ok(pbt_run_rounds(run, rounds, &end, &toy_error));
    assert_int_equal(pbt_run_round(run), rounds);
    assert_false(pbt_run_view(run, 0).failed);
    pbt_run_free(run);
    char *text = toy_export(bench.directory, false);
    bench_tear_down(&bench);
    return text;
}

static void assert_told(const Case *cases, size_t count, const char *text) {
    char line[512];
    for (size_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, ",%zu,failed,-,%s", i + 1, cases[i].words);
        if (!strstr(text, line)) fail_msg("%s: \"%s\" is not in:\n%s", cases[i].misdeed, line, text);
    }
}

/* Whether a child that a program left behind is still there. */
static bool any_left(void) {
    return system("grep -qsa \"left b[y] $PPID\" /proc/[0-9]*/cmdline") == 0;
}

static void test_misdeeds(void **state) {
    enum { COUNT = sizeof CASES / sizeof *CASES };
    (void)state;
    size_t descriptors = bench_descriptors();
    char *one = run_cases(CASES, COUNT, 1, 2), *two = run_cases(CASES, COUNT, 2, 2);
    assert_told(CASES, COUNT, one);
    assert_string_equal(one, two);
    memory_free(one);
    memory_free(two);
    assert_int_equal(bench_descriptors(), descriptors);
    assert_false(any_left());
}

static void test_hangs(void **state) {
    static const Case HANGS[] = {{"hang:step", "training: step: the program gave no answer within 1 s\n"},
                                 {"stubborn:step", "training: step: the program gave no answer within 1 s\n"},
                                 {"mute:step", "training: step: the program closed its standard output\n"}};
    (void)state;
    double start = bench_seconds();
    char *text = run_cases(HANGS, 3, 3, 3);
    assert_told(HANGS, 3, text);
    assert_non_null(strstr(text, "replaced"));
    assert_true(bench_seconds() - start < 20);
    memory_free(text);
}

/* No misdeed at all. */
static void test_wordy(void **state) {
    Bench bench;
    struct stat facts;
    char path[300];
    (void)state;
    bench_set_up(&bench, 2, 1, ROGUE, "wordy:step");
    bench_make(&bench);
    bench_run(&bench, 2);
    snprintf(path, sizeof path, "%s/programs/member-1.txt", bench.directory);
    assert_int_equal(stat(path, &facts), 0);
    assert_true(facts.st_size >= 20 * 100000);
    char *text = toy_export(bench.directory, false);
    assert_null(strstr(text, "failed,"));
    memory_free(text);
    bench_tear_down(&bench);
}

/* ---- at the start -------------------------------------------------------------------------------------- */

static Status create(Bench *bench, uint64_t seed, int64_t slot, const double *values, void **member) {
    const PbtKind *kind = program_kind(bench->kind);
    PbtBirth birth = {seed, slot, values};
    return kind->create(kind->context, NULL, &birth, member, &toy_error);
}

static void assert_no_start(const char *misdeed, Status status, const char *words) {
    static const double VALUES[] = {1, 1};
    Bench bench;
    void *member;
    bench_set_up(&bench, 2, 1, ROGUE, misdeed);
    if (strcmp(misdeed, "hang:hello") == 0) bench.program.time_limit = 0.5;
    bench_make(&bench);
    assert_refused(create(&bench, 1, 1, VALUES, &member), status, words);
    bench_tear_down(&bench);
}

static void test_hello(void **state) {
    (void)state;
    assert_no_start("hang:hello", STATUS_INVALID, "hello: the program gave no answer within 0.5 s");
    assert_no_start("version:hello", STATUS_INVALID,
                    "hello: the program speaks version 2 of the protocol: 1 was");
    assert_no_start("no_version:hello", STATUS_INVALID, "hello: the answer lacks a number: version");
    assert_no_start("no_save:hello", STATUS_INVALID, "hello: the program cannot save");
    assert_no_start("other_reports:hello", STATUS_INVALID, "does not list the report score theta");
    assert_no_start("exit:hello", STATUS_INVALID, "hello: the program exited with status 3; the last line");
    assert_no_start("rubbish:hello", STATUS_CORRUPT, "hello: the answer is not a JSON object");
}

/* A long text is cut between two characters. */
static void test_long_error(void **state) {
    (void)state;
    assert_no_start("long_error:hello", STATUS_INVALID, "hello: \u00e9\u00e9");
    size_t length = strlen(toy_error.message);
    assert_true(length < 220);
    assert_string_equal(toy_error.message + length - 5, "\u00e9...");
}

static void assert_not_found(const char *command, const char *words) {
    Bench bench;
    void *member;
    bench_set_up(&bench, 1, 1, ROGUE, NULL);
    bench.command[0] = command;
    bench_make(&bench);
    assert_refused(create(&bench, 1, 0, NULL, &member), STATUS_INVALID, words);
    bench_tear_down(&bench);
}

static void test_cannot_start(void **state) {
    (void)state;
    size_t descriptors = bench_descriptors();
    assert_not_found("no-such-program",
                     "the program cannot be started: no-such-program: No such file or directory");
    assert_not_found("tests/members/bench.h", "bench.h: Permission denied");
    assert_not_found("/dev/null", "/dev/null: Permission denied");
    assert_int_equal(bench_descriptors(), descriptors);
}

/* What an earlier program of the slot wrote is not this one's last word. */
static void test_last_words(void **state) {
    static const double VALUES[] = {1, 1};
    Bench bench;
    char path[300];
    void *member;
    (void)state;
    bench_set_up(&bench, 2, 1, ROGUE, "leave:hello");
    bench_make(&bench);
    snprintf(path, sizeof path, "%s/programs/member-1.txt", bench.directory);
    assert_ok(file_save(path, &(FilePiece){"of old\n", 7}, 1, &toy_error));
    assert_refused(create(&bench, 1, 1, VALUES, &member), STATUS_INVALID, "exited with status 0");
    assert_null(strstr(toy_error.message, "of old"));
    bench_tear_down(&bench);
}

static void test_all_fail(void **state) {
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    (void)state;
    bench_set_up(&bench, 3, 1, ROGUE, NULL);
    bench.command[0] = "no-such-program";
    bench_make(&bench);
    assert_ok(pbt_run_new(&run, &bench.options, &toy_error));
    assert_refused(pbt_run_rounds(run, 3, &end, &toy_error), STATUS_NOT_FINITE,
                   "no-such-program: No such file");
    pbt_run_free(run);
    bench_tear_down(&bench);
}

static void test_options(void **state) {
    Bench bench;
    static const char *const NOTHING[] = {NULL};
    (void)state;
    bench_set_up(&bench, 1, 1, ROGUE, NULL);
    ProgramOptions options = bench.program;
    options.command = NOTHING;
    assert_refused(program_kind_new(&bench.kind, &options, &toy_error), STATUS_INVALID, "command: ");
    options = bench.program;
    options.time_limit = 0;
    assert_refused(program_kind_new(&bench.kind, &options, &toy_error), STATUS_INVALID, "limits of 0 and 0");
    options = bench.program;
    options.working_directory = ROGUE;
    assert_refused(program_kind_new(&bench.kind, &options, &toy_error), STATUS_IO,
                   "a folder to run programs");
    options = bench.program;
    options.folder = "/no/such/folder";
    assert_refused(program_kind_new(&bench.kind, &options, &toy_error), STATUS_IO,
                   "/no/such/folder/programs: cannot make this folder for programs: No such file");
    toy_remove(bench.directory);
}

/* ---- a full disk --------------------------------------------------------------------------------------- */

/* A limit of file size is one that programs inherit. It ends the run, since no other member could save. */
static void test_full_disk(void **state) {
    Bench bench;
    PbtRun *run;
    PbtEnd end;
    static const double VALUES[] = {1, 1};
    const struct rlimit small = {0, RLIM_INFINITY};
    struct rlimit before;
    char hash[FILE_HASH];
    void *member;
    (void)state;
    bench_set_up(&bench, 2, 1, ROGUE, NULL);
    bench_make(&bench);
    bench_run(&bench, 1);
    const PbtKind *kind = program_kind(bench.kind);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    Status status = create(&bench, 1, 0, VALUES, &member);
    Status saved =
        status ? status : kind->save(kind->context, NULL, member, bench.directory, hash, &toy_error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(saved, STATUS_IO);
    assert_non_null(strstr(toy_error.message, "no state can be written: File too large"));
    kind->free(kind->context, member);
    assert_ok(pbt_run_resume(&run, &bench.options, false, &toy_error));
    assert_ok(pbt_run_rounds(run, 2, &end, &toy_error));
    pbt_run_free(run);
    bench_tear_down(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misdeeds),     cmocka_unit_test(test_hangs),
        cmocka_unit_test(test_wordy),        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_long_error),   cmocka_unit_test(test_all_fail),
        cmocka_unit_test(test_cannot_start), cmocka_unit_test(test_options),
        cmocka_unit_test(test_last_words),   cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
