#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"

/* ---- reading ------------------------------------------------------------------------------------------- */

static Status cannot_read(const char *path, Error *error) {
    return error_set(error, STATUS_IO, "%s: cannot be read: %s", path, strerror(errno));
}

Status file_open(File *file, const char *path, Error *error) {
    *file = (File){.path = path, .descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    if (file->descriptor < 0) return cannot_read(path, error);
    struct stat facts;
    Status status = STATUS_OK;
    if (fstat(file->descriptor, &facts) != 0)
        status = cannot_read(path, error);
    else if (!S_ISREG(facts.st_mode))
        status = error_set(error, STATUS_IO, "%s: a file was expected, this is something else", path);
    else
        file->size = (size_t)facts.st_size;
    if (status) file_close(file);
    return status;
}

void file_close(File *file) {
    if (file->descriptor >= 0) close(file->descriptor);
    file->descriptor = -1;
}

Status file_read_next(File *file, void *bytes, size_t count, Error *error) {
    for (size_t got = 0; got < count;) {
        ssize_t more = read(file->descriptor, (char *)bytes + got, count - got);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return cannot_read(file->path, error);
        if (more == 0)
            return error_set(error, STATUS_CORRUPT, "%s: truncated: it ends %zu bytes too early", file->path,
                             count - got);
        got += (size_t)more;
    }
    return STATUS_OK;
}

Status file_load(const char *path, size_t limit, uint8_t **bytes, size_t *size, Error *error) {
    *bytes = NULL;
    *size = 0;
    File file;
    Status status = file_open(&file, path, error);
    if (status) return status;
    uint8_t *content = NULL;
    if (file.size > limit)
        status = error_set(error, STATUS_CORRUPT, "%s: at most %zu bytes were expected, the file has %zu",
                           path, limit, file.size);
    else if (!(content = memory_resize(NULL, file.size)))
        status = error_no_memory(error, path);
    else
        status = file_read_next(&file, content, file.size, error);
    file_close(&file);
    if (status) {
        memory_free(content);
        return status;
    }
    *bytes = content;
    *size = file.size;
    return STATUS_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

/* Creates a new file beside `path`; the umask rules its permissions, as it does for any new file. Numbers
 * that are taken belong to other threads, or to a process of the same number that was killed. */
static int create_beside(const char *path, char temporary[FILE_PATH_LIMIT]) {
    enum { ATTEMPTS = 1000 };
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int length = snprintf(temporary, FILE_PATH_LIMIT, "%s.%ld-%d.tmp", path, (long)getpid(), attempt);
        if (length >= FILE_PATH_LIMIT) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST) return file;
    }
    return -1;
}

static bool write_piece(int file, FilePiece piece) {
    for (size_t done = 0; done < piece.size;) {
        ssize_t more = write(file, (const char *)piece.bytes + done, piece.size - done);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return false;
        done += (size_t)more;
    }
    return true;
}

static bool write_pieces(int file, const FilePiece *pieces, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!write_piece(file, pieces[i])) return false;
    return true;
}

Status file_sync_folder(const char *path, Error *error) {
    char folder[FILE_PATH_LIMIT];
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) + 1 : 1;
    snprintf(folder, sizeof folder, "%.*s", length, slash ? path : ".");
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return STATUS_OK; /* a folder may be closed to readers */
    bool synced = fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP;
    int reason = errno;
    close(file);
    if (synced) return STATUS_OK;
    return error_set(error, STATUS_IO,
                     "%s: its folder cannot be synced, so that the file may not outlive a power cut: %s",
                     path, strerror(reason));
}

Status file_save(const char *path, const FilePiece *pieces, size_t count, Error *error) {
    char temporary[FILE_PATH_LIMIT];
    int file = create_beside(path, temporary);
    if (file < 0)
        return error_set(error, STATUS_IO, "%s: cannot be written: no file can be created there: %s", path,
                         strerror(errno));
    bool written = write_pieces(file, pieces, count) && fsync(file) == 0;
    int reason = errno;
    if (close(file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written && rename(temporary, path) != 0) {
        written = false;
        reason = errno;
    }
    if (!written) {
        unlink(temporary);
        return error_set(error, STATUS_IO, "%s: cannot be written: %s; what was there before is unharmed",
                         path, strerror(reason));
    }
    return file_sync_folder(path, error);
}

/* ---- hashing ------------------------------------------------------------------------------------------- */

static void write_hash(const XXH3_state_t *state, char hash[FILE_HASH]) {
    XXH128_hash_t value = XXH3_128bits_digest(state);
    snprintf(hash, FILE_HASH, "%016llx%016llx", (unsigned long long)value.high64,
             (unsigned long long)value.low64);
}

Status file_hash(const FilePiece *pieces, size_t count, char hash[FILE_HASH], Error *error) {
    XXH3_state_t *state = XXH3_createState();
    if (!state) return error_no_memory(error, "a hash");
    XXH3_128bits_reset(state); /* this and updating fail only when given NULL */
    for (size_t i = 0; i < count; i++)
        if (pieces[i].size > 0) XXH3_128bits_update(state, pieces[i].bytes, pieces[i].size);
    write_hash(state, hash);
    XXH3_freeState(state);
    return STATUS_OK;
}

static Status hash_rest(File *file, XXH3_state_t *state, Error *error) {
    uint8_t bytes[1 << 14];
    Status status = STATUS_OK;
    for (size_t left = file->size; !status && left > 0;) {
        size_t count = left < sizeof bytes ? left : sizeof bytes;
        status = file_read_next(file, bytes, count, error);
        if (!status) XXH3_128bits_update(state, bytes, count);
        left -= count;
    }
    return status;
}

Status file_hash_at(const char *path, char hash[FILE_HASH], Error *error) {
    File file;
    Status status = file_open(&file, path, error);
    if (status) return status;
    XXH3_state_t *state = XXH3_createState();
    if (state) {
        XXH3_128bits_reset(state);
        status = hash_rest(&file, state, error);
        if (!status) write_hash(state, hash);
        XXH3_freeState(state);
    } else {
        status = error_no_memory(error, "a hash");
    }
    file_close(&file);
    return status;
}
