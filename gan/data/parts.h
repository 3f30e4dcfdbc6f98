/* What the files of this folder tell each other: published files, and the readers that fill a set of
 * pictures. Every reader takes bytes from memory and trusts none of them; `name` is for messages. */
#ifndef BROOD_DATA_PARTS_H
#define BROOD_DATA_PARTS_H

#include "gan/data/data.h"

/* ---- source.c: files ----------------------------------------------------------------------------------- */

/* The files that a split of a kind consists of, found. */
enum { SOURCE_FILES = 5 };
typedef struct {
    int count;
    char path[SOURCE_FILES][DATA_PATH_LIMIT];
} SourceFiles;
Status source_find(const DataOptions *options, SourceFiles *files, Error *error);

/* ---- pictures ------------------------------------------------------------------------------------------ */

/* Images as a reader found them. */
enum { PICTURES_NOTE = 160 };
typedef struct {
    int64_t count, height, width, channels;
    uint8_t *pixels;          /* (count, height, width, channels), owned */
    uint16_t *labels;         /* (count), owned; NULL: unlabelled */
    int64_t classes;          /* 0: unlabelled */
    char **class_names;       /* (classes), owned; NULL: the kind's own */
    char note[PICTURES_NOTE]; /* what was done to make them alike, for people; "": nothing */
} Pictures;
void pictures_free(Pictures *pictures);

/* ---- idx.c: MNIST's format ----------------------------------------------------------------------------- */

enum { IDX_RANK_LIMIT = 3 };
typedef struct {
    int rank;
    size_t size[IDX_RANK_LIMIT];
    uint8_t *values; /* owned */
} IdxArray;
/* Unsigned bytes of rank 1 to 3, gzip or not. */
Status idx_parse(const char *name, const uint8_t *bytes, size_t size, IdxArray *array, Error *error);
/* An images' and a labels' file of MNIST's size and classes. */
Status idx_load(const SourceFiles *files, Pictures *pictures, Error *error);

/* ---- cifar.c ------------------------------------------------------------------------------------------- */

enum { CIFAR_SIDE = 32, CIFAR_PIXELS = CIFAR_SIDE * CIFAR_SIDE * 3, CIFAR_RECORD = 1 + CIFAR_PIXELS };
/* Appends a file's records to `pictures`. */
Status cifar_parse(const char *name, const uint8_t *bytes, size_t size, Pictures *pictures, Error *error);
Status cifar_load(const SourceFiles *files, Pictures *pictures, Error *error);

/* ---- folder.c ------------------------------------------------------------------------------------------ */

/* Reads options->path: a folder `train` or `test` inside it when there is one of either, else the folder
 * itself, of which every tenth file of a class is for testing. DATA_ALL: all of them. */
Status folder_load(const DataOptions *options, Pictures *pictures, Error *error);

/* ---- digits.c ------------------------------------------------------------------------------------------ */

enum { DIGITS_CLASSES = 10, DIGITS_SIDE_MIN = 16, DIGITS_SIDE_MAX = 64 };

/* Draws `digit` (0 to 9) into pixels (side, side, channels), channels 1 or 3. */
void digits_draw(uint64_t key, uint64_t id, int digit, int side, int channels, uint8_t *pixels);

/* ---- digits_simd.c: digits' loops ---------------------------------------------------------------------- */

/* The canvas: `side` rows of coverage 0 (paper) to 1 (ink), with a margin of empty pixels all around so that
 * loops may run past the edges. Pixel (row, column) lies at ink[(row + 1)·DIGITS_STRIDE + DIGITS_MARGIN +
 * column]. */
enum { DIGITS_MARGIN = 16, DIGITS_STRIDE = DIGITS_MARGIN + DIGITS_SIDE_MAX + DIGITS_MARGIN };
typedef struct {
    float ink[(DIGITS_SIDE_MAX + 2) * DIGITS_STRIDE];
} DigitsCanvas;

/* A piece of a stroke in pixels: a line from (x0, y0) to (x1, y1), the pen's radius going from r0 to r1. */
typedef struct {
    float x0, y0, r0, x1, y1, r1;
} DigitsSegment;

/* How coverage becomes pixels: value = paper + (ink − paper)·blurred coverage + noise, from 0 to 255. */
typedef struct {
    float blur;     /* weight of each of the two neighbors, in rows and then in columns: 0 to 1/3 */
    float noise;    /* standard deviation of the noise */
    float paper[3]; /* per channel */
    float ink[3];
} DigitsTone;

typedef struct {
    /* Raises coverage to that of the segments, whose edges are `edge` pixels soft. */
    void (*stroke)(DigitsCanvas *canvas, int side, const DigitsSegment *segments, size_t count, float edge);
    /* Writes pixels (side, side, channels); `noise` are side·side random words. */
    void (*develop)(const DigitsCanvas *canvas, int side, int channels, const DigitsTone *tone,
                    const uint32_t *noise, uint8_t *pixels);
} DigitsKernels;

#endif
