/* State files: the same bits come back, equal states are equal files, everything else is refused and said
 * why. */
#include "tests/gan/states.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zlib.h>

#include "gan/optimizer.h"

/* ---- there and back ------------------------------------------------------------------------------------ */

static void test_there_and_back(void **folder) {
    Layout *layout = usual_layout(), *same = usual_layout();
    State saved = state_of(layout), loaded = state_of(same);
    Error error = {.status = STATUS_OK};
    fill_odd(&saved);
    const char *path = save(&saved, *folder);
    fill_bytes(&loaded, 0xa5);
    check_ok(state_load(&loaded, path, &error), &error);
    check_same_tensors(&loaded, &saved);
    for (size_t i = 0; i < layout_count(same); i++) /* what is left is gaps */
        memset(loaded.data + layout_entry(same, i)->offset, 0, layout_entry(same, i)->count * sizeof(real));
    for (size_t i = 0; i < layout_numbers(same); i++) assert_true(loaded.data[i] == 0);

    check_ok(state_load(&loaded, path, &error), &error);
    check_ok(state_save_as(&loaded, path_in(*folder, "again"), NULL, 0, &error), &error);
    size_t size, size_again;
    uint8_t *bytes = file_content(path, &size), *again = file_content(path_in(*folder, "again"), &size_again);
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    state_free(&saved);
    state_free(&loaded);
    layout_free(layout);
    layout_free(same);
}

/* The file's name, the hash of its content, and the hash of the state are one, gaps or not, facts apart. */
static void test_one_state_one_name(void **folder) {
    Layout *layout = usual_layout(), *same = usual_layout();
    State state = state_of(layout), copy = state_of(same);
    char name[STATE_NAME], hash[FILE_HASH], other[FILE_HASH];
    Error error = {.status = STATUS_OK};
    fill_odd(&state);
    fill_bytes(&copy, 0x11);
    for (size_t i = 0; i < layout_count(layout); i++) {
        const LayoutEntry *entry = layout_entry(layout, i);
        memcpy(copy.data + entry->offset, state.data + entry->offset, entry->count * sizeof(real));
    }
    check_ok(state_save(&state, *folder, name, &error), &error);
    check_ok(state_hash(&copy, hash, &error), &error);
    assert_memory_equal(name, hash, FILE_HASH - 1);
    assert_string_equal(name + FILE_HASH - 1, ".safetensors");
    size_t size;
    uint8_t *bytes = file_content(path_in(*folder, name), &size);
    check_ok(file_hash(&(FilePiece){bytes, size}, 1, other, &error), &error);
    assert_string_equal(hash, other);
    free(bytes);
    for (size_t i = 0; i < layout_count(layout); i++) { /* the last bit of each tensor counts */
        const LayoutEntry *entry = layout_entry(layout, i);
        unsigned char *last = (unsigned char *)(copy.data + entry->offset + entry->count) - sizeof(real);
        *last ^= 1;
        check_ok(state_hash(&copy, other, &error), &error);
        assert_string_not_equal(hash, other);
        *last ^= 1;
    }
    check_ok(state_hash(&copy, other, &error), &error);
    assert_string_equal(hash, other);
    state_free(&state);
    state_free(&copy);
    layout_free(layout);
    layout_free(same);
}

/* Tensors lie in a file as they lie in a state, so that whoever reads one goes through the other once. */
static void test_order(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout);
    Safetensors file;
    Error error = {.status = STATUS_OK};
    check_ok(safetensors_open(&file, save(&state, *folder), &error), &error);
    assert_int_equal(file.tensor_count, layout_count(layout));
    size_t end = 0;
    for (size_t i = 0; i < file.tensor_count; i++) {
        const LayoutEntry *entry = NULL;
        char name[256] = "";
        for (size_t e = 0; strcmp(name, file.tensors[i].name) != 0; e++) {
            entry = layout_entry(layout, e);
            snprintf(name, sizeof name, "%s/%s/%s", entry->group, layout_kind_text(entry->kind), entry->name);
        }
        assert_true(entry && entry->offset >= end);
        end = entry->offset + entry->count;
    }
    safetensors_close(&file);
    state_free(&state);
    layout_free(layout);
}

static void test_signature(void **folder) {
    (void)folder;
    static const Leaf BASE[] = {{"G", "a", LAYOUT_PARAMETER, {2, {2, 3}}},
                                {"G", "b", LAYOUT_PARAMETER, {1, {6}}}};
    static const Leaf OTHERS[][2] = {
        {{"D", "a", LAYOUT_PARAMETER, {2, {2, 3}}}, {"G", "b", LAYOUT_PARAMETER, {1, {6}}}},
        {{"G", "c", LAYOUT_PARAMETER, {2, {2, 3}}}, {"G", "b", LAYOUT_PARAMETER, {1, {6}}}},
        {{"G", "a", LAYOUT_VARIABLE, {2, {2, 3}}}, {"G", "b", LAYOUT_PARAMETER, {1, {6}}}},
        {{"G", "a", LAYOUT_PARAMETER, {2, {3, 2}}}, {"G", "b", LAYOUT_PARAMETER, {1, {6}}}},
        {{"G", "a", LAYOUT_PARAMETER, {3, {1, 2, 3}}}, {"G", "b", LAYOUT_PARAMETER, {1, {6}}}},
        {{"G", "b", LAYOUT_PARAMETER, {1, {6}}}, {"G", "a", LAYOUT_PARAMETER, {2, {2, 3}}}}};
    char base[FILE_HASH], other[FILE_HASH];
    Layout *layout = layout_of(BASE, 2, PLAIN);
    assert_int_equal(state_signature(layout, base, NULL), STATUS_OK);
    layout_free(layout);
    layout = layout_of(BASE, 2, PLAIN);
    assert_int_equal(state_signature(layout, other, NULL), STATUS_OK);
    assert_string_equal(base, other);
    layout_free(layout);
    for (size_t i = 0; i <= sizeof OTHERS / sizeof *OTHERS; i++) {
        layout = i ? layout_of(OTHERS[i - 1], 2, PLAIN) : layout_of(BASE, 2, MOMENTS);
        assert_int_equal(state_signature(layout, other, NULL), STATUS_OK);
        assert_string_not_equal(base, other);
        layout_free(layout);
    }
}

static void test_layouts_that_cannot_be_saved(void **folder) {
    static const Leaf BAD[] = {{"G/H", "a", LAYOUT_PARAMETER, {1, {6}}},
                               {"G", "a\n", LAYOUT_PARAMETER, {1, {6}}},
                               {"G", "\xff", LAYOUT_VARIABLE, {1, {6}}},
                               {"\x01", "a", LAYOUT_VARIABLE, {1, {6}}}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Layout *layout = layout_of(&BAD[i], 1, PLAIN);
        State state = state_of(layout);
        char text[STATE_NAME];
        Error error;
        ptrdiff_t live = alloc_live();
        assert_int_equal(state_signature(layout, text, &error), STATUS_INVALID);
        ASSERT_SAYS(&error, STATUS_INVALID, i ? "name of tensor 1" : "group 'G/H' of parameter 'a'");
        assert_int_equal(state_hash(&state, text, &error), STATUS_INVALID);
        assert_int_equal(state_save(&state, *folder, text, &error), STATUS_INVALID);
        assert_int_equal(alloc_live(), live);
        state_free(&state);
        layout_free(layout);
    }
    assert_int_equal(files_in(*folder), 0);
}

static void test_empty_layout(void **folder) {
    Layout *layout = layout_of(NULL, 0, PLAIN);
    State state = state_of(layout);
    Error error = {.status = STATUS_OK};
    check_ok(state_load(&state, save(&state, *folder), &error), &error);
    state_free(&state);
    layout_free(layout);
}

/* ---- the independent reader ---------------------------------------------------------------------------- */

/* What Python prints of a file; false when there is no python3. */
static bool python_reads(const char *path, char *text, size_t room) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        setenv("PYTHONIOENCODING", "utf-8", 1);
        execlp("python3", "python3", "tests/gan/read_safetensors.py", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t more; (more = read(ends[0], text + used, room - 1 - used)) > 0;) used += (size_t)more;
    text[used] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return false;
    assert_int_equal(status, 0);
    return true;
}

/* The line that the reader should print for a tensor. */
static int tensor_line(char *text, size_t room, const char *name, const LayoutEntry *entry,
                       const real *numbers) {
    char shape[SHAPE_TEXT];
    shape_text(entry->shape, shape);
    double sum = 0;
    for (size_t n = 0; n < entry->count; n++) sum += (double)numbers[n];
    unsigned long sum_of_bytes =
        crc32(0, (const unsigned char *)numbers, (unsigned)(entry->count * sizeof(real)));
    return snprintf(text, room, "tensor %s %s [%.*s] %08lx %.17g\n", name,
                    sizeof(real) == sizeof(float) ? "F32" : "F64", (int)strlen(shape) - 2, shape + 1,
                    sum_of_bytes, sum);
}

static void test_python_reads_states(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout);
    fill(&state, 3);
    char got[1 << 13], line[512], name[256], signature[FILE_HASH];
    if (!python_reads(save(&state, *folder), got, sizeof got)) skip();
    assert_int_equal(state_signature(layout, signature, NULL), STATUS_OK);
    snprintf(line, sizeof line, "fact layout = %s\nfact numbers = ", signature);
    check_contains(got, line);
    size_t expected = strlen(line) + FILE_HASH; /* the hash and the line's end */
    for (size_t i = 0; i < layout_count(layout); i++) {
        const LayoutEntry *entry = layout_entry(layout, i);
        snprintf(name, sizeof name, "%s/%s/%s", entry->group, layout_kind_text(entry->kind), entry->name);
        expected += (size_t)tensor_line(line, sizeof line, name, entry, state.data + entry->offset);
        check_contains(got, line);
    }
    assert_int_equal(strlen(got), expected);
    state_free(&state);
    layout_free(layout);
}

static void test_python_reads_exports(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout);
    Error error = {.status = STATUS_OK};
    fill(&state, 4);
    const char *path = path_in(*folder, "g.safetensors");
    const SafetensorsFact facts[] = {{"run", "runs/00003-\xc3\xa9\"\n"}, {"score", "7.31"}};
    check_ok(state_export(save(&state, *folder), "G", path, facts, 2, &error), &error);
    char got[1 << 13], line[512];
    if (!python_reads(path, got, sizeof got)) skip();
    check_contains(
        got, "fact averaged = yes\nfact run = runs/00003-\xc3\xa9\"\n\nfact score = 7.31\nfact numbers = ");
    static const char *const NAMES[] = {"conv1.w", "scale", "norm.mean"};
    char *tensors = strstr(got, "tensor ");
    assert_non_null(tensors);
    size_t expected = 0;
    for (int i = 0; i < 3; i++) {
        LayoutKind kind = i < 2 ? LAYOUT_AVERAGE_PARAMETER : LAYOUT_AVERAGE_VARIABLE;
        const LayoutEntry *entry = layout_find(layout, kind, NAMES[i]);
        expected += (size_t)tensor_line(line, sizeof line, NAMES[i], entry, state.data + entry->offset);
        check_contains(got, line);
    }
    assert_int_equal(strlen(tensors), expected);
    state_free(&state);
    layout_free(layout);
}

/* ---- training goes on as if never stopped -------------------------------------------------------------- */

typedef struct {
    Rig rig;
    Layout *layout;
    OptimizerSettings settings;
} Training;

/* A regression with noise, running statistics, Adam and an averaged copy. */
static void open_training(Training *training) {
    enum { BATCH = 8, IN = 6, OUT = 4 };
    rig_open(&training->rig);
    Graph *g = training->rig.graph;
    Net net = net_new(g, "G");
    Node *x = graph_normal(g, shape_of(BATCH, IN));
    Node *hidden = graph_tanh(g, net_batch_norm(&net, "norm", net_linear(&net, "first", x, 2 * OUT)));
    Node *y = net_linear(&net, "second", hidden, OUT);
    Node *kept = graph_variable(g, "G", "norm.mean", shape_of(2 * OUT));
    rig_assign(&training->rig, kept,
               graph_add(g, graph_scale(g, kept, 0.9), graph_scale(g, net.moments[0], 0.1)));
    Node *wanted = graph_slice(g, x, (int64_t[]){0, 1}, (int64_t[]){BATCH, OUT});
    Node *loss = graph_mean_all(g, graph_square(g, graph_sub(g, y, wanted)));
    rig_descend(&training->rig, loss, net.parameters, net.parameter_count);
    Error error;
    training->layout = layout_new();
    check_ok(layout_add_graph(training->layout, g, &error), &error);
    for (int kind = LAYOUT_MOMENT1; kind < LAYOUT_KINDS; kind++)
        check_ok(layout_add_kind(training->layout, "G", (LayoutKind)kind, &error), &error);
    check_ok(layout_finish(training->layout, &error), &error);
    rig_compile_on(&training->rig, training->layout, RIG_FUSED);
    training->settings = optimizer_settings(OPTIMIZER_ADAM);
}

static void close_training(Training *training) {
    rig_close(&training->rig);
    layout_free(training->layout);
}

static void train(Training *training, State *state, int first, int last) {
    Rig *rig = &training->rig;
    size_t count, same;
    real *p = state_block(state, "G", LAYOUT_PARAMETER, &count);
    real *average = state_block(state, "G", LAYOUT_AVERAGE_PARAMETER, &same);
    for (int step = first; step <= last; step++) {
        rig_run_on(rig, state, 11, (uint64_t)step);
        optimizer_step(&training->settings, step, count, p,
                       workspace_gradients(rig->workspace, rig->program, "G", &same),
                       state_block(state, "G", LAYOUT_MOMENT1, &same),
                       state_block(state, "G", LAYOUT_MOMENT2, &same));
        for (size_t i = 0; i < count; i++) average[i] = (real)0.9 * average[i] + (real)0.1 * p[i];
    }
}

static void test_training_goes_on(void **folder) {
    enum { HALF = 5 };
    Training whole, second;
    open_training(&whole);
    State state = state_of(whole.layout);
    net_fill(&state, 1);
    train(&whole, &state, 1, HALF);
    const char *path = save(&state, *folder);
    train(&whole, &state, HALF + 1, 2 * HALF);

    open_training(&second); /* another process would do the same */
    State resumed = state_of(second.layout);
    fill_bytes(&resumed, 0xff);
    Error error = {.status = STATUS_OK};
    check_ok(state_load(&resumed, path, &error), &error);
    train(&second, &resumed, HALF + 1, 2 * HALF);
    check_same_bits("the state", resumed.data, state.data, layout_numbers(whole.layout));
    const char *straight = save(&state, *folder), *with_stop = save(&resumed, *folder);
    assert_string_equal(straight, with_stop);
    assert_string_not_equal(straight, path);
    state_free(&state);
    state_free(&resumed);
    close_training(&whole);
    close_training(&second);
}

/* ---- saving by content --------------------------------------------------------------------------------- */

static ino_t inode_of(const char *path) {
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_ino;
}

static void flip_last_byte(const char *path) {
    size_t size;
    uint8_t *bytes = file_content(path, &size);
    bytes[size - 1] ^= 1;
    make_file(path, bytes, size);
    free(bytes);
}

static void test_saved_once(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout), loaded = state_of(layout);
    Error error = {.status = STATUS_OK};
    fill(&state, 5);
    const char *path = save(&state, *folder);
    ino_t inode = inode_of(path);
    assert_string_equal(save(&state, *folder), path);
    assert_int_equal(inode_of(path), inode); /* left alone */
    flip_last_byte(path);
    assert_int_equal(state_load(&loaded, path, &error), STATUS_CORRUPT);
    assert_string_equal(save(&state, *folder), path);
    assert_int_not_equal(inode_of(path), inode); /* replaced */
    check_ok(state_load(&loaded, path, &error), &error);
    assert_int_equal(truncate(path, 100), 0);
    assert_string_equal(save(&state, *folder), path);
    check_ok(state_load(&loaded, path, &error), &error);
    check_same_tensors(&loaded, &state);
    state.data[0] += 1;
    assert_string_not_equal(save(&state, *folder), path);
    assert_int_equal(files_in(*folder), 2);
    state_free(&state);
    state_free(&loaded);
    layout_free(layout);
}

enum { THREADS = 4, ROUNDS = 10 };

typedef struct {
    const char *folder;
    State state;
    bool failed;
} Saver;

static void *save_often(void *argument) {
    Saver *saver = argument;
    char name[STATE_NAME];
    for (int round = 0; round < ROUNDS; round++) {
        saver->state.data[0] = (real)round;
        if (state_save(&saver->state, saver->folder, name, NULL)) saver->failed = true;
    }
    return NULL;
}

static void test_threads_save_equal_states(void **folder) {
    Layout *layout = usual_layout();
    Saver savers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        savers[i] = (Saver){.folder = *folder, .state = state_of(layout)};
        assert_int_equal(pthread_create(&threads[i], NULL, save_often, &savers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(savers[i].failed);
        state_free(&savers[i].state);
    }
    assert_int_equal(files_in(*folder), ROUNDS);
    layout_free(layout);
}

/* A process that is killed at any instant leaves whole files, and at most a temporary one. */
static void check_whole(const char *folder, State *state) {
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".tmp")) continue;
        Error error = {.status = STATUS_OK};
        check_ok(state_load(state, path_in(folder, entry->d_name), &error), &error);
    }
    closedir(list);
}

/* Saves one state after the other, and tells when the first of them are there. */
static void save_until_killed(State *state, const char *folder, int tell) {
    enum { STATES = 8 };
    char name[STATE_NAME];
    for (int i = 0;; i++) {
        state->data[0] = (real)(i % STATES);
        if (state_save_as(state, path_in(folder, "latest"), NULL, 0, NULL) ||
            state_save(state, folder, name, NULL) || write(tell, "x", 1) != 1)
            _exit(1);
    }
}

static void test_killed_while_saving(void **folder) {
    enum { KILLS = 20, MICROSECONDS = 5000 };
    Layout *layout = usual_layout();
    State state = state_of(layout);
    Draw draw = draw_from(1);
    for (int round = 0; round < KILLS; round++) {
        int ends[2], status;
        char byte;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) save_until_killed(&state, *folder, ends[1]);
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        usleep((useconds_t)draw_integer(&draw, 0, MICROSECONDS));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(ends[0]);
        check_whole(*folder, &state);
    }
    state_free(&state);
    layout_free(layout);
}

/* ---- what cannot be saved ------------------------------------------------------------------------------ */

static void test_places_that_cannot_be_written(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout);
    char name[STATE_NAME];
    static char long_path[2 * FILE_PATH_LIMIT];
    Error error;
    ptrdiff_t live = alloc_live();
    assert_int_equal(state_save(&state, path_in(*folder, "missing"), name, &error), STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, "missing/", ".safetensors", "cannot be written",
                "No such file or directory");
    make_file(path_in(*folder, "file"), "x", 1);
    assert_int_equal(state_save(&state, path_in(*folder, "file"), name, &error), STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, "Not a directory");
    assert_int_equal(state_save_as(&state, *folder, NULL, 0, &error), STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, *folder, "Is a directory");
    memset(long_path, 'x', sizeof long_path - 1);
    assert_int_equal(state_save(&state, long_path, name, &error), STATUS_INVALID);
    ASSERT_SAYS(&error, STATUS_INVALID, "too long");
    const SafetensorsFact fact = {"layout", "mine"};
    assert_int_equal(state_save_as(&state, path_in(*folder, "as"), &fact, 1, &error), STATUS_INVALID);
    ASSERT_SAYS(&error, STATUS_INVALID, "'layout'");
    assert_int_equal(alloc_live(), live);
    assert_int_equal(files_in(*folder), 1);
    state_free(&state);
    layout_free(layout);
}

/* The file size that a process may reach stands for a disk's end. */
static void test_full_disk(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout), loaded = state_of(layout);
    Error error;
    const char *path = save(&state, *folder);
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 1000;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    fill(&state, 1);
    char name[STATE_NAME];
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    Status status = state_save(&state, *folder, name, &error);
    Status status_as = state_save_as(&state, path, NULL, 0, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, STATUS_IO);
    assert_int_equal(status_as, STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, path, "File too large", "unharmed");
    check_ok(state_load(&loaded, path, &error), &error);
    assert_true(loaded.data[0] == 0);
    assert_int_equal(files_in(*folder), 1);
    state_free(&state);
    state_free(&loaded);
    layout_free(layout);
}

/* ---- exporting ----------------------------------------------------------------------------------------- */

static void check_exported(const Safetensors *file, const char *name, const State *state, LayoutKind kind) {
    const SafetensorsTensor *tensor = safetensors_find(file, name);
    assert_non_null(tensor);
    assert_memory_equal(tensor->numbers, state_tensor(state, kind, name), safetensors_bytes(tensor));
}

/* The group's tensors, three of "G" in all, are those of these kinds. */
static void check_export(const char *folder, int kinds, LayoutKind parameters, LayoutKind variables,
                         const char *averaged) {
    Layout *layout = layout_of(LEAVES, LEAF_COUNT, kinds);
    State state = state_of(layout);
    fill(&state, 9);
    Error error = {.status = STATUS_OK};
    const char *path = path_in(folder, "exported");
    check_ok(state_export(save(&state, folder), "G", path, NULL, 0, &error), &error);
    Safetensors file;
    check_ok(safetensors_open(&file, path, &error), &error);
    check_ok(safetensors_load(&file, &error), &error);
    assert_int_equal(file.tensor_count, 3);
    check_exported(&file, "conv1.w", &state, parameters);
    check_exported(&file, "scale", &state, parameters);
    check_exported(&file, "norm.mean", &state, variables);
    assert_string_equal(safetensors_fact(&file, "averaged"), averaged);
    assert_int_equal(file.fact_count, 2);
    safetensors_close(&file);
    state_free(&state);
    layout_free(layout);
}

static void test_exports(void **folder) {
    check_export(*folder, PLAIN, LAYOUT_PARAMETER, LAYOUT_VARIABLE, "no");
    check_export(*folder, MOMENTS, LAYOUT_PARAMETER, LAYOUT_VARIABLE, "no");
    check_export(*folder, MOMENTS | AVERAGES, LAYOUT_AVERAGE_PARAMETER, LAYOUT_AVERAGE_VARIABLE, "yes");
}

static void refuse_export(const char *state_path, const char *group, const char *path,
                          const SafetensorsFact *fact, Status status, const char *says) {
    Error error = {.status = STATUS_OK};
    ptrdiff_t live = alloc_live();
    assert_int_equal(state_export(state_path, group, path, fact, fact != NULL, &error), status);
    ASSERT_SAYS(&error, status, says);
    assert_int_equal(alloc_live(), live);
}

/* Names that only begin like those of a group's parameters. */
static void test_exports_nothing_else(void **folder) {
    static const float number;
    static const char *const NAMES[] = {"G", "Gx/parameter/a", "G/parameterx/a", "G/parameter",
                                        "/G/parameter/a"};
    enum { COUNT = sizeof NAMES / sizeof *NAMES };
    SafetensorsTensor tensors[COUNT];
    for (int i = 0; i < COUNT; i++)
        tensors[i] = (SafetensorsTensor){.name = NAMES[i], .type = SAFETENSORS_F32, .numbers = &number};
    SafetensorsDraft draft;
    Error error = {.status = STATUS_OK};
    check_ok(safetensors_draft(&draft, tensors, COUNT, NULL, 0, &error), &error);
    check_ok(file_save(path_in(*folder, "file"), draft.pieces, draft.count, &error), &error);
    safetensors_draft_free(&draft);
    refuse_export(path_in(*folder, "file"), "G", path_in(*folder, "out"), NULL, STATUS_INVALID,
                  "no parameters");
}

static void test_refuses_to_export(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout);
    const char *path = save(&state, *folder), *out = path_in(*folder, "out");
    refuse_export(path, "nobody", out, NULL, STATUS_INVALID, "no parameters of a group 'nobody'");
    refuse_export(path, "", out, NULL, STATUS_INVALID, "no parameters of a group ''");
    refuse_export(path, "G/parameter", out, NULL, STATUS_INVALID, "no parameters");
    refuse_export(path, "G", out, &(SafetensorsFact){"averaged", "?"}, STATUS_INVALID, "'averaged'");
    refuse_export(path, "G", out, &(SafetensorsFact){"f", "\xff"}, STATUS_INVALID, "UTF-8");
    refuse_export(path, "G", path_in(*folder, "no/where"), NULL, STATUS_IO, "No such file");
    refuse_export(path_in(*folder, "none"), "G", out, NULL, STATUS_IO, "No such file");
    flip_last_byte(path);
    refuse_export(path, "G", out, NULL, STATUS_CORRUPT, "damaged");
    assert_int_equal(files_in(*folder), 1);
    state_free(&state);
    layout_free(layout);
}

/* ---- running out of memory ----------------------------------------------------------------------------- */

static Status everything(State *state, const char *path, const char *folder, Error *error) {
    char signature[FILE_HASH], hash[FILE_HASH], name[STATE_NAME];
    Status status = state_signature(state->layout, signature, error);
    if (!status) status = state_hash(state, hash, error);
    if (!status) status = state_save(state, folder, name, error);
    if (!status) status = state_load(state, path, error);
    if (!status) status = state_export(path, "G", path_in(folder, "export"), NULL, 0, error);
    return status;
}

static void test_no_memory(void **folder) {
    Layout *layout = usual_layout();
    State state = state_of(layout);
    Error error = {.status = STATUS_OK};
    check_ok(state_save_as(&state, path_in(*folder, "state"), NULL, 0, &error), &error);
    ptrdiff_t live = alloc_live();
    for (size_t n = 1;; n++) {
        alloc_refuse(n, false);
        Status status = everything(&state, path_in(*folder, "state"), *folder, &error);
        bool refused = alloc_refused();
        alloc_refuse(0, false);
        assert_int_equal(alloc_live(), live);
        if (!refused) {
            assert_int_equal(status, STATUS_OK);
            assert_true(n > 30);
            break;
        }
        /* A file that cannot be looked at is written again: the only failure that is none. */
        if (status != STATUS_OK) assert_int_equal(status, STATUS_NO_MEMORY);
    }
    state_free(&state);
    layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_there_and_back),
        IN_FOLDER(test_one_state_one_name),
        IN_FOLDER(test_order),
        IN_FOLDER(test_signature),
        IN_FOLDER(test_layouts_that_cannot_be_saved),
        IN_FOLDER(test_empty_layout),
        IN_FOLDER(test_python_reads_states),
        IN_FOLDER(test_python_reads_exports),
        IN_FOLDER(test_training_goes_on),
        IN_FOLDER(test_saved_once),
        IN_FOLDER(test_threads_save_equal_states),
        IN_FOLDER(test_killed_while_saving),
        IN_FOLDER(test_places_that_cannot_be_written),
        IN_FOLDER(test_full_disk),
        IN_FOLDER(test_exports),
        IN_FOLDER(test_exports_nothing_else),
        IN_FOLDER(test_refuses_to_export),
        IN_FOLDER(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
