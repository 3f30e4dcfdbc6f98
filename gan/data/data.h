/* Data sets: what a member learns from. Drawn by the program itself (digits, ring, grid) or read from real
 * files (mnist, fashion_mnist, cifar10, a folder of PNGs; stacked_mnist out of mnist's). Pixels stay 8-bit in
 * memory and become reals in [−1, 1] when a batch is asked for. Once opened a data set never changes, and is
 * shared by all threads. See image.h for PNG files and sheets of images. */
#ifndef BROOD_DATA_DATA_H
#define BROOD_DATA_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/real.h"

typedef enum {
    DATA_DIGITS,        /* ten digits written by hand, drawn afresh: never the same twice */
    DATA_MNIST,         /* IDX files, gzip or not */
    DATA_FASHION_MNIST, /* the same format */
    DATA_CIFAR10,       /* binary version */
    DATA_STACKED_MNIST, /* three of MNIST's digits in red, green, blue: 1000 classes, 100·red + 10·green +
                           blue */
    DATA_FOLDER,        /* PNG files, in one folder per class or unlabelled in one folder */
    DATA_RING,          /* points in the plane: equal Gaussians on a circle */
    DATA_GRID,          /* points in the plane: equal Gaussians on a square lattice */
    DATA_KINDS
} DataKind;

typedef enum { DATA_TRAIN, DATA_TEST, DATA_ALL /* of a folder: both */ } DataSplit;

const char *data_kind_text(DataKind kind);              /* "digits", "fashion_mnist", ... */
bool data_kind_named(const char *text, DataKind *kind); /* false: no such kind */

/* ---- opening ------------------------------------------------------------------------------------------- */

typedef struct {
    DataKind kind;
    DataSplit split;
    /* folder: the folder, needed. Real files: where to look before all other places, or NULL. */
    const char *path;
    /* Images come out square, this wide and high. 0: 32 (28×28 padded with black), a folder's as they are.
     * 28: MNIST unpadded. Others: by area averaging of the padded images, or of the middle square of a
     * folder's. Digits: 16 to 64. Real files: 8 to 1024. */
    int64_t side;
    /* digits: 1 or 3; 0 is 1. folder: 1 or 3; 0 is 3 if any file has color, else 1. */
    int64_t channels;
    /* Batches mirror samples, left to right, by the toss of a coin. */
    bool flip;
    /* Of what is drawn: digits, stacked_mnist, ring, grid. */
    uint64_t seed;
    /* Of what is drawn: how many samples there are, at most 10,000,000. 0: 10,000 to test with; for training
     * without end, every sample of every batch a fresh one, and 60,000 counted as an epoch. */
    int64_t count;
    /* Only these classes, from 0, renumbered in this order; not for stacked_mnist. class_count 0: all. */
    const int64_t *classes;
    const char *const
        *named; /* (class_count) names in the place of the numbers, or NULL; NULL where all are numbers */
    size_t class_count;
    /* ring: Gaussians on the circle, its radius. grid: Gaussians along a side, their distance. At most 1000
     * Gaussians, each of this standard deviation. */
    int64_t modes;
    double spread, deviation;
} DataOptions;

/* The usual choices of a kind: training split, everything else 0; ring: 8 modes, radius 1, deviation 0.01;
 * grid: 5 × 5 modes, distance 2, deviation 0.05 (Lin et al. 2018, "PacGAN"). */
DataOptions data_options(DataKind kind);

typedef struct {
    DataKind kind;
    DataSplit split;
    int64_t count; /* samples; of an endless one, those that make an epoch */
    bool endless;  /* training batches hold fresh samples for ever */
    bool points;   /* a sample is a point (x, y): height and width 1, channels 2, no bytes */
    int64_t height, width, channels; /* of a sample, as it comes out */
    int64_t classes;                 /* 0: unlabelled */
    const char *const *class_names;  /* (classes) */
    const int64_t *histogram;        /* (classes) samples of each */
    bool lopsided;         /* a class has three times as many samples as another, or none: worth a warning */
    const double *centers; /* (classes, 2) of points, else NULL */
    double deviation, extent; /* of points: of each Gaussian; half the side of a plot that shows them all */
    struct DataStore *store;  /* what lies behind, shared by parts; for this folder's own use */
    int64_t part, parts;
} Dataset;

/* Opens. Fails with STATUS_IO when files are missing (the message names the command that fetches them and
 * every place looked in), STATUS_CORRUPT when they are damaged, STATUS_INVALID when the options make no
 * sense. */
Dataset *dataset_open(const DataOptions *options, Error *error);
void dataset_free(Dataset *dataset);

/* Every `parts`-th sample, beginning with `part` (0 .. parts − 1): disjoint sets for classifiers that must
 * not know each other. Shares the pixels; either may be freed first. */
Dataset *dataset_part(const Dataset *dataset, int64_t part, int64_t parts, Error *error);

/* One line for people: "mnist: 60,000 training images of 32×32×1, in 10 classes". Returns `text`. */
enum { DATASET_TEXT = 192 };
const char *dataset_text(const Dataset *dataset, char text[DATASET_TEXT]);

/* One line for people about how a folder's images were made alike: "images of 40×30 and other sizes are
 * cropped to squares and resized to 16×16"; "" where none was changed. */
const char *dataset_note(const Dataset *dataset);

/* Memory that it holds, shared parts included. */
size_t dataset_memory(const Dataset *dataset);

/* ---- samples ------------------------------------------------------------------------------------------- */

/* Batch number `counter` of an endless stream of epochs: samples (batch, height, width, channels) in [−1, 1]
 * (points: as they are) and labels (batch), counted from 0; `labels` may be NULL. Each epoch is another
 * permutation of the samples; a batch may reach over the end of one. A pure function of (dataset, key,
 * counter, batch): nothing is stored, so a stream resumes anywhere. Unlabelled samples have label 0. */
void dataset_batch(const Dataset *dataset, uint64_t key, uint64_t counter, size_t batch, real *samples,
                   real *labels);

/* Samples first .. first + count − 1 in their own order, never mirrored. first + count ≤ dataset->count. */
void dataset_range(const Dataset *dataset, int64_t first, int64_t count, real *samples, real *labels);

/* The 8-bit pixels (height, width, channels) of one image (not of points); returns its label. */
int64_t dataset_get(const Dataset *dataset, int64_t index, uint8_t *pixels);

/* The hash of all that samples and batches depend on: the pixels and labels that are stored, and the options
 * of what is drawn. Sets of equal hashes hand out the same, whatever they are called and wherever they lie.
 */
Status dataset_hash(const Dataset *dataset, char hash[FILE_HASH], Error *error);

/* ---- files --------------------------------------------------------------------------------------------- */

/* What `brood fetch` downloads for a kind. */
typedef struct {
    const char *name;   /* of the file, as published */
    const char *digest; /* hexadecimal: 64 digits are SHA-256, 32 are MD5 */
    bool unzipped;      /* the digest is of the uncompressed bytes, not of the file as published */
} DataFile;

typedef struct {
    const char *folder;         /* below the user's data folder; archives bring their own folder inside it */
    const char *const *mirrors; /* addresses that a file's name is put behind, the best first; NULL ends */
    const DataFile *files;
    size_t file_count;
    bool archive; /* the file is a .tar.gz, to be unpacked in the folder */
} DataDownload;

/* NULL when there is nothing to fetch. (stacked_mnist's is mnist's.) */
const DataDownload *data_download(DataKind kind);

/* Compares a file with its digest: STATUS_CORRUPT, with both sums, when it is another one. */
Status data_check_file(const DataFile *file, const char *path, Error *error);

/* The user's data folder: $XDG_DATA_HOME/brood or ~/.local/share/brood. Real files are looked for in `data`,
 * in $BROOD_DATA and here, in this order; in each, in the kind's own folder and (but for Fashion-MNIST, whose
 * files have MNIST's names) in the place itself. Empty when neither variable is set. */
enum { DATA_PATH_LIMIT = 4096 };
void data_home(char path[DATA_PATH_LIMIT]);

#endif
