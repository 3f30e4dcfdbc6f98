/* Files: read whole, and written whole or not at all, whatever the system does. The system's calls that
 * writing goes through are replaced here, so that each of them can be made to fail. */
#include "tests/data/made.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "tests/support/alloc.h"

/* ---- a system that fails on demand --------------------------------------------------------------------- */

typedef enum { NOTHING, WRITE, WRITE_SHORT, FSYNC_FILE, FSYNC_FOLDER, CLOSE, RENAME, READ, READ_SHORT } Call;

static Call
    failing; /* fails, with `reason`, the `fail_at`-th time from now; the SHORT ones take 3 bytes at most */
static int reason, fail_at;

static void let_fail(Call call, int with, int at) {
    failing = call, reason = with, fail_at = at;
}

static bool fails(Call call) {
    if (failing != call || --fail_at != 0) return false;
    errno = reason;
    return true;
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (fails(WRITE)) return -1;
    if (failing == WRITE_SHORT && count > 3) count = 3;
    return syscall(SYS_write, file, bytes, count);
}

ssize_t read(int file, void *bytes, size_t count) {
    if (fails(READ)) return -1;
    if (failing == READ_SHORT && count > 3) count = 3;
    return syscall(SYS_read, file, bytes, count);
}

int fsync(int file) {
    struct stat facts;
    fstat(file, &facts);
    if (fails(S_ISDIR(facts.st_mode) ? FSYNC_FOLDER : FSYNC_FILE)) return -1;
    return (int)syscall(SYS_fsync, file);
}

int close(int file) {
    int status = (int)syscall(SYS_close, file);
    return fails(CLOSE) ? -1 : status;
}

int rename(const char *from, const char *to) {
    if (fails(RENAME)) return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- what is in a folder ------------------------------------------------------------------------------- */

static int files_in(const char *folder) {
    DIR *list = opendir(folder);
    assert_non_null(list);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(list));) count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

static void check_content(const char *path, const char *expected) {
    size_t size;
    uint8_t *bytes = file_content(path, &size);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(bytes, expected, size);
    free(bytes);
}

static Status save_text(const char *path, const char *text, Error *error) {
    size_t half = strlen(text) / 2;
    FilePiece pieces[] = {{text, half}, {NULL, 0}, {text + half, strlen(text) - half}};
    return file_save(path, pieces, 3, error);
}

/* ---- saving -------------------------------------------------------------------------------------------- */

static void test_saves(void **folder) {
    Error error = {.status = STATUS_OK};
    const char *path = path_in(*folder, "file");
    assert_int_equal(save_text(path, "first", &error), STATUS_OK);
    check_content(path, "first");
    assert_int_equal(save_text(path, "and second", &error), STATUS_OK);
    check_content(path, "and second");
    assert_int_equal(file_save(path, NULL, 0, &error), STATUS_OK);
    check_content(path, "");
    assert_int_equal(files_in(*folder), 1);
}

static void test_saves_beside_the_program(void **folder) {
    Error error = {.status = STATUS_OK};
    char before[PATH];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(*folder), 0);
    Status status = save_text("plain", "in this folder", &error);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(status, STATUS_OK);
    check_content(path_in(*folder, "plain"), "in this folder");
}

static void test_saves_bit_by_bit(void **folder) {
    Error error = {.status = STATUS_OK};
    const char *path = path_in(*folder, "file");
    let_fail(WRITE_SHORT, 0, 0);
    assert_int_equal(save_text(path, "a text of some length", &error), STATUS_OK);
    let_fail(WRITE, EINTR, 2);
    assert_int_equal(save_text(path_in(*folder, "other"), "another text", &error), STATUS_OK);
    let_fail(NOTHING, 0, 0);
    check_content(path, "a text of some length");
    check_content(path_in(*folder, "other"), "another text");
}

/* Umask rules, as it does for any new file. */
static void test_permissions(void **folder) {
    Error error;
    const char *path = path_in(*folder, "file");
    mode_t before = umask(027);
    assert_int_equal(save_text(path, "text", &error), STATUS_OK);
    umask(before);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0640);
}

static void check_failure(const char *folder, Call call, int with, int at, const char *says) {
    Error error = {.status = STATUS_OK};
    const char *path = path_in(folder, "file");
    assert_int_equal(save_text(path, "old and good", &error), STATUS_OK);
    let_fail(call, with, at);
    Status status = save_text(path, "new", &error);
    let_fail(NOTHING, 0, 0);
    assert_int_equal(status, STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, path, says);
    check_content(path, call == FSYNC_FOLDER ? "new" : "old and good");
    assert_int_equal(files_in(folder), 1);
}

static void test_failures_harm_nothing(void **folder) {
    check_failure(*folder, WRITE, ENOSPC, 1, "No space left on device");
    check_failure(*folder, WRITE, ENOSPC, 2, "No space left on device");
    check_failure(*folder, WRITE, EIO, 2, "Input/output error");
    check_failure(*folder, FSYNC_FILE, EIO, 1, "Input/output error");
    check_failure(*folder, CLOSE, EDQUOT, 1, "Disk quota exceeded");
    check_failure(*folder, RENAME, EROFS, 1, "Read-only file system");
    check_failure(*folder, FSYNC_FOLDER, EIO, 1, "power cut");
}

static void test_folders_that_cannot_be_synced(void **folder) {
    Error error = {.status = STATUS_OK};
    let_fail(FSYNC_FOLDER, EINVAL, 1);
    assert_int_equal(save_text(path_in(*folder, "file"), "text", &error), STATUS_OK);
    assert_int_equal(fail_at, 0); /* it was asked for */
    let_fail(FSYNC_FOLDER, EIO, 1);
    assert_int_equal(file_sync_folder(path_in(*folder, "file"), &error), STATUS_IO);
    let_fail(NOTHING, 0, 0);
    assert_int_equal(file_sync_folder(path_in(*folder, "file"), &error), STATUS_OK);
}

static void test_places_that_cannot_be_written(void **folder) {
    Error error;
    make_folder(path_in(*folder, "folder"));
    assert_int_equal(save_text(path_in(*folder, "folder"), "text", &error), STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, "Is a directory");
    assert_int_equal(save_text(path_in(*folder, "missing/file"), "text", &error), STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, "missing/file", "No such file or directory");
    assert_int_equal(save_text("", "text", &error), STATUS_IO);
    char long_name[600];
    memset(long_name, 'x', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(save_text(path_in(*folder, long_name), "text", &error), STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, "File name too long");
    static char long_path[FILE_PATH_LIMIT];
    memset(long_path, '/', sizeof long_path - 1);
    assert_int_equal(save_text(long_path, "text", &error), STATUS_IO);
    assert_int_equal(files_in(*folder), 1);
    if (geteuid() == 0) return; /* who may write anywhere */
    assert_int_equal(chmod(path_in(*folder, "folder"), 0555), 0);
    assert_int_equal(save_text(path_in(*folder, "folder/file"), "text", &error), STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, "folder/file", "Permission denied");
}

/* The file size that a process may reach stands for a disk's end. */
static void test_full_disk(void **folder) {
    enum { MOST = 10000, BYTES = 3 * MOST };
    Error error = {.status = STATUS_OK};
    const char *path = path_in(*folder, "file");
    assert_int_equal(save_text(path, "old", &error), STATUS_OK);
    struct rlimit before, low;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = MOST;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    static char much[BYTES];
    Status status = file_save(path, &(FilePiece){much, BYTES}, 1, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, path, "File too large", "unharmed");
    check_content(path, "old");
    assert_int_equal(files_in(*folder), 1);
}

/* A killed process of the same number may have left its temporary file: another number is taken. */
static void test_left_over_temporary(void **folder) {
    Error error;
    char left[2 * PATH];
    const char *path = path_in(*folder, "file");
    snprintf(left, sizeof left, "%s.%ld-0.tmp", path, (long)getpid());
    make_file(left, "left", 4);
    assert_int_equal(save_text(path, "text", &error), STATUS_OK);
    check_content(path, "text");
    check_content(left, "left");
}

enum { THREADS = 4, ROUNDS = 25 };

static void *save_often(void *path) {
    for (int round = 0; round < ROUNDS; round++)
        if (save_text(path, "what all of them write", NULL)) return path;
    return NULL;
}

static void test_threads(void **folder) {
    char *path = (char *)path_in(*folder, "file");
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, save_often, path), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    check_content(path, "what all of them write");
    assert_int_equal(files_in(*folder), 1);
}

/* ---- loading ------------------------------------------------------------------------------------------- */

static void test_loads(void **folder) {
    Error error = {.status = STATUS_OK};
    uint8_t *bytes;
    size_t size;
    const char *path = path_in(*folder, "file");
    make_file(path, "0123456789", 10);
    for (int way = 0; way < 3; way++) {
        if (way == 1) let_fail(READ_SHORT, 0, 0);
        if (way == 2) let_fail(READ, EINTR, 1);
        assert_int_equal(file_load(path, 10, &bytes, &size, &error), STATUS_OK);
        let_fail(NOTHING, 0, 0);
        assert_int_equal(size, 10);
        assert_memory_equal(bytes, "0123456789", 10);
        memory_free(bytes);
    }
    make_file(path, "", 0);
    assert_int_equal(file_load(path, 10, &bytes, &size, &error), STATUS_OK);
    assert_int_equal(size, 0);
    memory_free(bytes);
}

static void refuse(const char *path, size_t limit, Status status, const char *says) {
    Error error;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(file_load(path, limit, &bytes, &size, &error), status);
    assert_null(bytes);
    ASSERT_SAYS(&error, status, path, says);
}

static void test_refuses_to_load(void **folder) {
    const char *path = path_in(*folder, "file");
    make_file(path, "0123456789", 10);
    refuse(path, 9, STATUS_CORRUPT, "at most 9 bytes");
    let_fail(READ, EIO, 1);
    refuse(path, 10, STATUS_IO, "Input/output error");
    let_fail(NOTHING, 0, 0);
    refuse(path_in(*folder, "nobody"), 9, STATUS_IO, "No such file");
    refuse(*folder, 9, STATUS_IO, "something else");
    refuse("/dev/zero", 9, STATUS_IO, "something else");
    const char *pipe_path = path_in(*folder, "pipe");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    refuse(pipe_path, 9, STATUS_IO, "something else");
    alloc_refuse(1, true);
    refuse(path, 10, STATUS_NO_MEMORY, "");
    alloc_refuse(0, false);
}

/* A file that shrinks between opening and reading. */
static void test_reads_piece_by_piece(void **folder) {
    Error error;
    const char *path = path_in(*folder, "file");
    make_file(path, "0123456789", 10);
    File file;
    char bytes[16];
    assert_int_equal(file_open(&file, path, &error), STATUS_OK);
    assert_int_equal(file.size, 10);
    assert_int_equal(file_read_next(&file, bytes, 4, &error), STATUS_OK);
    assert_memory_equal(bytes, "0123", 4);
    assert_int_equal(file_read_next(&file, bytes, 0, &error), STATUS_OK);
    assert_int_equal(file_read_next(&file, bytes, 3, &error), STATUS_OK);
    assert_memory_equal(bytes, "456", 3);
    assert_int_equal(truncate(path, 8), 0);
    assert_int_equal(file_read_next(&file, bytes, 3, &error), STATUS_CORRUPT);
    ASSERT_SAYS(&error, STATUS_CORRUPT, path, "truncated", "2 bytes too early");
    file_close(&file);
    file_close(&file);
}

/* ---- hashing ------------------------------------------------------------------------------------------- */

/* The values of the command xxh128sum. */
static void test_hashes(void **folder) {
    (void)folder;
    static const struct {
        const char *text, *hash;
    } KNOWN[] = {{"", "99aa06d3014798d86001c324468d497f"}, {"abc", "06b05ab6733a618578af5f94892f3950"}};
    char hash[FILE_HASH];
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        assert_int_equal(file_hash(&(FilePiece){KNOWN[i].text, strlen(KNOWN[i].text)}, 1, hash, NULL),
                         STATUS_OK);
        assert_string_equal(hash, KNOWN[i].hash);
    }
    assert_int_equal(file_hash((FilePiece[]){{"a", 1}, {NULL, 0}, {"bc", 2}}, 3, hash, NULL), STATUS_OK);
    assert_string_equal(hash, KNOWN[1].hash);
    assert_int_equal(file_hash(NULL, 0, hash, NULL), STATUS_OK);
    assert_string_equal(hash, KNOWN[0].hash);
}

static void check_hash_at(const char *path, size_t size) {
    char *bytes = memory_new(size, 1), expected[FILE_HASH], found[FILE_HASH];
    Error error;
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(i * i % 251);
    FilePiece piece = {bytes, size};
    assert_int_equal(file_save(path, &piece, 1, &error), STATUS_OK);
    assert_int_equal(file_hash(&piece, 1, expected, &error), STATUS_OK);
    assert_int_equal(file_hash_at(path, found, &error), STATUS_OK);
    assert_string_equal(found, expected);
    memory_free(bytes);
}

static void test_hashes_of_files(void **folder) {
    char path[FILE_PATH_LIMIT], hash[FILE_HASH];
    Error error;
    snprintf(path, sizeof path, "%s/hashed", (char *)*folder);
    assert_int_equal(file_hash_at(path, hash, &error), STATUS_IO);
    assert_non_null(strstr(error.message, "No such file"));
    assert_int_equal(file_hash_at(*folder, hash, &error), STATUS_IO);
    for (size_t size = 0; size < 40000; size = 3 * size + 1) check_hash_at(path, size);
    check_hash_at(path, 1 << 15);
    let_fail(READ, EIO, 2);
    assert_int_equal(file_hash_at(path, hash, &error), STATUS_IO);
    let_fail(NOTHING, 0, 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_up, folder_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_saves),
        IN_FOLDER(test_saves_beside_the_program),
        IN_FOLDER(test_saves_bit_by_bit),
        IN_FOLDER(test_permissions),
        IN_FOLDER(test_failures_harm_nothing),
        IN_FOLDER(test_folders_that_cannot_be_synced),
        IN_FOLDER(test_places_that_cannot_be_written),
        IN_FOLDER(test_full_disk),
        IN_FOLDER(test_left_over_temporary),
        IN_FOLDER(test_threads),
        IN_FOLDER(test_loads),
        IN_FOLDER(test_refuses_to_load),
        IN_FOLDER(test_reads_piece_by_piece),
        IN_FOLDER(test_hashes),
        IN_FOLDER(test_hashes_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
