/* Files of published data sets: finding and checking them. */
#include <md5.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "gan/data/parts.h"

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

enum { CHECKED_AT_ONCE = 1 << 16 };

/* The file as it is. */
static Status digest_plain(File *file, Digest *digest, Error *error) {
    uint8_t bytes[CHECKED_AT_ONCE];
    for (size_t left = file->size; left > 0;) {
        size_t some = left < sizeof bytes ? left : sizeof bytes;
        Status status = file_read_next(file, bytes, some, error);
        if (status) return status;
        digest_add(digest, bytes, some);
        left -= some;
    }
    return STATUS_OK;
}

/* What the file is uncompressed; zlib reads a file that is not compressed as it is. */
static Status digest_unzipped(const File *file, Digest *digest, Error *error) {
    int own = dup(file->descriptor); /* gzclose_r closes it */
    gzFile zipped = own < 0 ? NULL : gzdopen(own, "rb");
    if (!zipped) {
        if (own >= 0) close(own);
        return error_no_memory(error, file->path);
    }
    uint8_t bytes[CHECKED_AT_ONCE];
    int got;
    while ((got = gzread(zipped, bytes, sizeof bytes)) > 0) digest_add(digest, bytes, (size_t)got);
    bool whole = gzclose_r(zipped) == Z_OK && got == 0;
    if (whole) return STATUS_OK;
    return error_set(error, STATUS_CORRUPT, "%s: damaged or truncated: fetch it again", file->path);
}

Status data_check_file(const DataFile *published_file, const char *path, Error *error) {
    File file;
    Status status = file_open(&file, path, error);
    if (status) return status;
    Digest digest;
    digest_start(&digest, published_file);
    status = published_file->unzipped ? digest_unzipped(&file, &digest, error)
                                      : digest_plain(&file, &digest, error);
    file_close(&file);
    char text[SHA256_HEX + 1];
    digest_finish(&digest, text);
    if (status || strcmp(text, published_file->digest) == 0) return status;
    return error_set(error, STATUS_CORRUPT, "%s: not the published file: its %s sum is %s, expected is %s",
                     path, digest.sha256 ? "SHA-256" : "MD5", text, published_file->digest);
}
