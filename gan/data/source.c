/* Files: reading them whole, replacing them safely, finding and checking those of published data sets. */
#include <errno.h>
#include <fcntl.h>
#include <md5.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"
#include "gan/data/parts.h"

/* ---- reading ------------------------------------------------------------------------------------------- */

/* Opens without waiting for a pipe's other end, and refuses what is no regular file. */
static Status open_regular(const char *path, int *file, struct stat *facts, Error *error) {
    *file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (*file < 0) return error_set(error, STATUS_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (fstat(*file, facts) == 0 && S_ISREG(facts->st_mode)) return STATUS_OK;
    close(*file);
    return error_set(error, STATUS_IO, "%s: a file was expected, this is something else", path);
}

/* Reads until `count` bytes are there or the file ends; -1 on failure. */
static ssize_t read_fully(int file, uint8_t *bytes, size_t count) {
    size_t got = 0;
    while (got < count) {
        ssize_t more = read(file, bytes + got, count - got);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return -1;
        if (more == 0) break;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

Status file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size, Error *error) {
    *bytes = NULL;
    int file;
    struct stat facts;
    Status status = open_regular(path, &file, &facts, error);
    if (status) return status;
    *size = (size_t)facts.st_size;
    if (*size > limit) {
        status = error_set(error, STATUS_CORRUPT, "%s: at most %zu bytes were expected, the file has %zu",
                           path, limit, *size);
    } else if (!(*bytes = memory_resize(NULL, *size))) {
        status = error_no_memory(error, path);
    } else {
        ssize_t got = read_fully(file, *bytes, *size);
        if (got < 0)
            status = error_set(error, STATUS_IO, "%s: cannot be read: %s", path, strerror(errno));
        else if ((size_t)got < *size)
            status = error_set(error, STATUS_IO, "%s: shrank while it was read", path);
    }
    close(file);
    if (status) {
        memory_free(*bytes);
        *bytes = NULL;
    }
    return status;
}

Status file_read_start(const char *path, size_t count, uint8_t *bytes, size_t *got, Error *error) {
    int file;
    struct stat facts;
    Status status = open_regular(path, &file, &facts, error);
    if (status) return status;
    ssize_t read_bytes = read_fully(file, bytes, count);
    if (read_bytes < 0)
        status = error_set(error, STATUS_IO, "%s: cannot be read: %s", path, strerror(errno));
    else
        *got = (size_t)read_bytes;
    close(file);
    return status;
}

/* ---- replacing ----------------------------------------------------------------------------------------- */

/* Creates a new file beside `path`. The umask rules its permissions, as it does for any new file. */
static int create_beside(const char *path, char temporary[DATA_PATH_LIMIT]) {
    enum { ATTEMPTS = 100 };
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int length = snprintf(temporary, DATA_PATH_LIMIT, "%s.%ld-%d.tmp", path, (long)getpid(), attempt);
        if (length >= DATA_PATH_LIMIT) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file >= 0 || errno != EEXIST) return file;
    }
    return -1;
}

static bool write_fully(int file, const uint8_t *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t more = write(file, bytes + done, size - done);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return false;
        done += (size_t)more;
    }
    return true;
}

/* So that the new name outlives a power cut. Some file systems cannot sync a folder: no reason to fail. */
static void sync_folder_of(const char *path) {
    char folder[DATA_PATH_LIMIT];
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) + 1 : 1;
    snprintf(folder, sizeof folder, "%.*s", length, slash ? path : ".");
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return;
    fsync(file);
    close(file);
}

Status file_replace(const char *path, const uint8_t *bytes, size_t size, Error *error) {
    char temporary[DATA_PATH_LIMIT];
    int file = create_beside(path, temporary);
    if (file < 0)
        return error_set(error, STATUS_IO, "%s: cannot be written: no file can be created there: %s", path,
                         strerror(errno));
    bool written = write_fully(file, bytes, size) && fsync(file) == 0;
    int reason = errno;
    if (close(file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written && rename(temporary, path) == 0) {
        sync_folder_of(path);
        return STATUS_OK;
    }
    if (written) reason = errno;
    unlink(temporary);
    return error_set(error, STATUS_IO,
                     "%s: cannot be written (%zu bytes): %s; what was there before is unharmed", path, size,
                     strerror(reason));
}

/* ---- where published files lie ------------------------------------------------------------------------- */

enum { FOLDERS = 4 };

/* The files of one kind, and the folders that they may be in, below a place. */
typedef struct {
    const char *folders[FOLDERS];       /* NULL ends */
    const char *files[2][SOURCE_FILES]; /* by split; NULL ends */
    bool own_folder;                    /* never in the place itself */
} Published;

#define IDX_FILES                                                                                            \
    {                                                                                                        \
        {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}, {                                            \
            "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"                                               \
        }                                                                                                    \
    }
static const Published MNIST = {{"mnist", "MNIST/raw"}, IDX_FILES, false};
static const Published FASHION = {{"fashion_mnist", "fashion-mnist", "FashionMNIST/raw"}, IDX_FILES, true};
static const Published CIFAR = {
    {"cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10"},
    {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
     {"test_batch.bin"}},
    false};

static const Published *published(DataKind kind) {
    if (kind == DATA_MNIST || kind == DATA_STACKED_MNIST) return &MNIST;
    if (kind == DATA_FASHION_MNIST) return &FASHION;
    return kind == DATA_CIFAR10 ? &CIFAR : NULL;
}

void data_home(char path[DATA_PATH_LIMIT]) {
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int length = 0;
    if (data && data[0] == '/') /* the XDG specification: other values are to be ignored */
        length = snprintf(path, DATA_PATH_LIMIT, "%s/brood", data);
    else if (home && home[0])
        length = snprintf(path, DATA_PATH_LIMIT, "%s/.local/share/brood", home);
    if (length <= 0 || length >= DATA_PATH_LIMIT) path[0] = '\0';
}

/* Finds `name` in a folder under one of the names that it is known by. */
static bool file_there(const char *folder, const char *name, char path[DATA_PATH_LIMIT]) {
    static const char *const ENDINGS[] = {"", ".gz"};
    for (size_t i = 0; i < sizeof ENDINGS / sizeof ENDINGS[0]; i++) {
        int length = snprintf(path, DATA_PATH_LIMIT, "%s/%s%s", folder, name, ENDINGS[i]);
        if (length < DATA_PATH_LIMIT && access(path, F_OK) == 0) return true;
        char *dash = strstr(path + strlen(folder), "-idx"); /* some unpackers write train-images.idx3-ubyte */
        if (!dash || length >= DATA_PATH_LIMIT) continue;
        *dash = '.';
        if (access(path, F_OK) == 0) return true;
    }
    return false;
}

typedef struct {
    const Published *published;
    DataSplit split;
    SourceFiles *files;
    char incomplete[512]; /* what the first folder with some of the files lacks; empty: no such folder */
    char looked_in[512];  /* the places, one a line */
} Search;

/* Whether all files of the split are in the folder; notes what is lacking if some are. */
static bool search_folder(Search *search, const char *folder) {
    const char *const *names = search->published->files[search->split];
    const char *found = NULL, *lacking = NULL;
    search->files->count = 0;
    for (int i = 0; i < SOURCE_FILES && names[i]; i++) {
        if (!file_there(folder, names[i], search->files->path[i]))
            lacking = names[i];
        else
            found = names[i];
        search->files->count++;
    }
    if (found && lacking && !search->incomplete[0])
        snprintf(search->incomplete, sizeof search->incomplete, "%s has %s but not %s", folder, found,
                 lacking);
    return !lacking;
}

static bool search_place(Search *search, const char *place, bool itself) {
    char folder[DATA_PATH_LIMIT];
    size_t used = strlen(search->looked_in);
    snprintf(search->looked_in + used, sizeof search->looked_in - used, "\n  %s", place);
    for (int i = 0; i < FOLDERS && search->published->folders[i]; i++) {
        int length = snprintf(folder, sizeof folder, "%s/%s", place, search->published->folders[i]);
        if (length < DATA_PATH_LIMIT && search_folder(search, folder)) return true;
    }
    return itself && search_folder(search, place);
}

static Status say_missing(const Search *search, const DataOptions *options, Error *error) {
    DataKind fetched = options->kind == DATA_STACKED_MNIST ? DATA_MNIST : options->kind;
    const char *first = search->published->files[options->split][0], *folder = search->published->folders[0];
    char lacking[sizeof search->incomplete];
    snprintf(lacking, sizeof lacking, "%s was not found", first);
    return error_set(
        error, STATUS_IO,
        "%s: %s. Get the files with `brood fetch %s`, or set BROOD_DATA to the folder that holds them. "
        "Looked in these places, and in the folder %s of each:%s",
        data_kind_text(options->kind), search->incomplete[0] ? search->incomplete : lacking,
        data_kind_text(fetched), folder, search->looked_in);
}

Status source_find(const DataOptions *options, SourceFiles *files, Error *error) {
    Search search = {.published = published(options->kind), .split = options->split, .files = files};
    bool itself = !search.published->own_folder;
    if (options->path && search_place(&search, options->path, true)) return STATUS_OK;
    if (search_place(&search, "data", itself)) return STATUS_OK;
    const char *variable = getenv("BROOD_DATA");
    if (variable && variable[0] && search_place(&search, variable, itself)) return STATUS_OK;
    char home[DATA_PATH_LIMIT];
    data_home(home);
    if (home[0] && search_place(&search, home, itself)) return STATUS_OK;

    return say_missing(&search, options, error);
}

/* ---- what can be fetched ------------------------------------------------------------------------------- */

static const char *const MNIST_MIRRORS[] = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                                            "https://storage.googleapis.com/cvdf-datasets/mnist/", NULL};
static const DataFile MNIST_FILES[] = {
    {"train-images-idx3-ubyte.gz", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db", true},
    {"train-labels-idx1-ubyte.gz", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", true},
    {"t10k-images-idx3-ubyte.gz", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7", true},
    {"t10k-labels-idx1-ubyte.gz", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", true},
};
static const char *const FASHION_MIRRORS[] = {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                                              NULL};
static const DataFile FASHION_FILES[] = {
    {"train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", false},
    {"train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", false},
    {"t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", false},
    {"t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", false},
};
static const char *const CIFAR_MIRRORS[] = {"https://www.cs.toronto.edu/~kriz/", NULL};
static const DataFile CIFAR_FILES[] = {
    {"cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", false},
};

const DataDownload *data_download(DataKind kind) {
    static const DataDownload MNIST_DOWNLOAD = {"mnist", MNIST_MIRRORS, MNIST_FILES, 4, false};
    static const DataDownload FASHION_DOWNLOAD = {"fashion_mnist", FASHION_MIRRORS, FASHION_FILES, 4, false};
    static const DataDownload CIFAR_DOWNLOAD = {"cifar10", CIFAR_MIRRORS, CIFAR_FILES, 1, true};
    if (kind == DATA_MNIST || kind == DATA_STACKED_MNIST) return &MNIST_DOWNLOAD;
    if (kind == DATA_FASHION_MNIST) return &FASHION_DOWNLOAD;
    return kind == DATA_CIFAR10 ? &CIFAR_DOWNLOAD : NULL;
}

/* ---- checking ------------------------------------------------------------------------------------------ */

enum { SHA256_HEX = 2 * SHA256_DIGEST_LENGTH, MD5_HEX = 2 * MD5_DIGEST_LENGTH };

typedef struct {
    bool sha256;
    SHA256_CTX sha;
    MD5_CTX md5;
} Digest;

static void digest_start(Digest *digest, const DataFile *file) {
    digest->sha256 = strlen(file->digest) == SHA256_HEX;
    if (digest->sha256)
        SHA256_Init(&digest->sha);
    else
        MD5Init(&digest->md5);
}

static void digest_add(Digest *digest, const uint8_t *bytes, size_t size) {
    if (digest->sha256)
        SHA256_Update(&digest->sha, bytes, size);
    else
        MD5Update(&digest->md5, bytes, size);
}

static void digest_finish(Digest *digest, char text[SHA256_HEX + 1]) {
    uint8_t sum[SHA256_DIGEST_LENGTH];
    if (digest->sha256)
        SHA256_Final(sum, &digest->sha);
    else
        MD5Final(sum, &digest->md5);
    size_t bytes = digest->sha256 ? SHA256_DIGEST_LENGTH : MD5_DIGEST_LENGTH;
    for (size_t i = 0; i < bytes; i++) snprintf(text + 2 * i, 3, "%02x", sum[i]);
}

/* The next bytes of the file, uncompressed if the digest is of those. -1 on failure. */
static int next_bytes(gzFile zipped, int plain, uint8_t *bytes, unsigned room) {
    return zipped ? gzread(zipped, bytes, room) : (int)read_fully(plain, bytes, room);
}

Status data_check_file(const DataFile *file, const char *path, Error *error) {
    int plain;
    struct stat facts;
    Status status = open_regular(path, &plain, &facts, error);
    if (status) return status;
    gzFile zipped = NULL;
    if (file->unzipped && !(zipped = gzdopen(plain, "rb"))) { /* reads uncompressed files as they are */
        close(plain);
        return error_no_memory(error, path);
    }
    Digest digest;
    digest_start(&digest, file);
    enum { ROOM = 1 << 16 };
    uint8_t bytes[ROOM];
    int got;
    while ((got = next_bytes(zipped, plain, bytes, ROOM)) > 0) digest_add(&digest, bytes, (size_t)got);
    char text[SHA256_HEX + 1];
    digest_finish(&digest, text);

    bool whole = got == 0;
    if (zipped)
        whole = gzclose_r(zipped) == Z_OK && whole;
    else
        close(plain);
    if (!whole) return error_set(error, STATUS_CORRUPT, "%s: damaged or truncated: fetch it again", path);
    if (strcmp(text, file->digest) == 0) return STATUS_OK;
    return error_set(error, STATUS_CORRUPT, "%s: not the published file: its %s sum is %s, expected is %s",
                     path, digest.sha256 ? "SHA-256" : "MD5", text, file->digest);
}
