/* brood.data: data sets for scripts. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/data/lua_data.h"
#include "app/lua/graph/lua_graph.h"
#include "app/lua/lua_script.h"
#include "metrics/metrics.h"

typedef struct {
    Dataset *dataset; /* NULL: closed */
} DatasetBox;
enum { DATASET_OPTIONS = 1 }; /* user value: the table that it was opened with */

Dataset *dataset_check(lua_State *L, int index, const char *what) {
    DatasetBox *box = binding_object(L, index, DATASET_CLASS, what);
    if (!box->dataset) script_error(L, "%s: the data set is closed", what);
    return box->dataset;
}

static int dataset_close(lua_State *L) {
    DatasetBox *box = luaL_checkudata(L, 1, DATASET_CLASS);
    dataset_free(box->dataset);
    box->dataset = NULL;
    return 0;
}

/* ---- options ------------------------------------------------------------------------------------------- */

static int64_t whole_option(lua_State *L, const char *what, const char *name, int64_t otherwise, int64_t low,
                            int64_t high) {
    char label[96];
    snprintf(label, sizeof label, "%s: %s", what, name);
    int64_t value =
        binding_field(L, 1, name) == LUA_TNIL ? otherwise : binding_integer(L, -1, label, low, high);
    lua_pop(L, 1);
    return value;
}

static double number_option(lua_State *L, const char *what, const char *name, double otherwise) {
    char label[96];
    snprintf(label, sizeof label, "%s: %s", what, name);
    double value = binding_field(L, 1, name) == LUA_TNIL ? otherwise : binding_number(L, -1, label);
    lua_pop(L, 1);
    return value;
}

static bool flag_option(lua_State *L, const char *what, const char *name) {
    char label[96];
    snprintf(label, sizeof label, "%s: %s", what, name);
    binding_field(L, 1, name);
    bool value = binding_flag(L, -1, label);
    lua_pop(L, 1);
    return value;
}

/* color = true: 3, false: 1; without it the kind decides. */
static int64_t channels_option(lua_State *L, const char *what) {
    bool given = binding_field(L, 1, "color") != LUA_TNIL;
    lua_pop(L, 1);
    bool color = flag_option(L, what, "color");
    return !given ? 0 : color ? 3 : 1;
}

/* The text stays valid as long as the options table holds it. */
static const char *text_option(lua_State *L, const char *what, const char *name) {
    char label[96];
    snprintf(label, sizeof label, "%s: %s", what, name);
    const char *value = binding_field(L, 1, name) == LUA_TNIL ? NULL : binding_text(L, -1, label);
    lua_pop(L, 1);
    return value;
}

/* classes = { 1, 8 } in Lua is classes 0 and 7 in C; { "cat", "dog" } are names, which the list keeps. Pushes
 * the memory that holds them. */
static void read_classes(lua_State *L, const char *what, DataOptions *options) {
    char label[96];
    snprintf(label, sizeof label, "%s: classes", what);
    int type = binding_field(L, 1, "classes");
    if (type == LUA_TNIL) return;
    if (type != LUA_TTABLE) script_error(L, "%s: a list of class numbers or names expected", label);
    options->class_count = lua_rawlen(L, -1);
    if (options->class_count == 0)
        script_error(L, "%s: the list is empty: name some classes, or leave it out for all", label);
    int list = lua_gettop(L);
    int64_t *classes = binding_scratch(L, options->class_count, sizeof *classes);
    const char **named = binding_scratch(L, options->class_count, sizeof *named);
    for (size_t i = 0; i < options->class_count; i++) {
        named[i] =
            lua_rawgeti(L, list, (lua_Integer)i + 1) == LUA_TSTRING ? binding_text(L, -1, label) : NULL;
        classes[i] = named[i] ? 0 : binding_integer(L, -1, label, 1, INT32_MAX) - 1;
        lua_pop(L, 1);
    }
    options->classes = classes;
    options->named = named;
}

static DataSplit read_split(lua_State *L, const char *what) {
    const char *split = text_option(L, what, "split");
    if (split && strcmp(split, "test") == 0) return DATA_TEST;
    if (split && strcmp(split, "all") == 0) return DATA_ALL;
    if (split && strcmp(split, "train") != 0)
        script_error(L, "%s: split: 'train' or 'test' expected, or 'all' of a folder, got '%s'", what, split);
    return DATA_TRAIN;
}

/* A box without a data set, which remembers the options table at 1: copied, so that nobody changes it. */
static DatasetBox *push_box(lua_State *L) {
    DatasetBox *box = lua_newuserdatauv(L, sizeof *box, DATASET_OPTIONS);
    box->dataset = NULL;
    luaL_setmetatable(L, DATASET_CLASS);
    lua_newtable(L);
    int copy = lua_gettop(L);
    lua_pushnil(L);
    while (lua_istable(L, 1) && lua_next(L, 1)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, copy);
    }
    lua_settop(L, copy);
    lua_setiuservalue(L, -2, DATASET_OPTIONS);
    return box;
}

/* Opens what the checked options at 1, all there is on the stack, say. */
static int open_checked(lua_State *L, DataKind kind) {
    char what[64];
    snprintf(what, sizeof what, "data.%s", data_kind_text(kind));
    DataOptions options = data_options(kind);
    options.split = read_split(L, what);
    options.path = text_option(L, what, "path");
    options.side = whole_option(L, what, "size", options.side, 0, 1024);
    options.channels = channels_option(L, what);
    options.flip = flag_option(L, what, "flip");
    options.seed = (uint64_t)whole_option(L, what, "seed", (int64_t)options.seed, 0, INT64_MAX);
    options.count = whole_option(L, what, "count", options.count, 0, INT64_MAX);
    options.modes = whole_option(L, what, "modes", options.modes, 1, 1000);
    options.spread = number_option(L, what, "spread", options.spread);
    options.deviation = number_option(L, what, "deviation", options.deviation);
    read_classes(L, what, &options);
    DatasetBox *box = push_box(L);
    Error error;
    box->dataset = dataset_open(&options, &error);
    if (!box->dataset) script_error(L, "%s: %s", what, error.message);
    binding_outside_bytes(L, dataset_memory(box->dataset));
    return 1;
}

static int open_kind(lua_State *L, DataKind kind, const char *const *fields) {
    char what[64];
    snprintf(what, sizeof what, "data.%s", data_kind_text(kind));
    lua_settop(L, 1);
    binding_fields(L, 1, what, fields);
    return open_checked(L, kind);
}

#define DRAWN_FIELDS "seed", "count", "split"
#define IMAGE_FIELDS "size", "flip", "classes"

static int data_digits(lua_State *L) {
    static const char *const FIELDS[] = {IMAGE_FIELDS, DRAWN_FIELDS, "color", NULL};
    return open_kind(L, DATA_DIGITS, FIELDS);
}

static const char *const REAL_FIELDS[] = {IMAGE_FIELDS, "split", "path", NULL};

static int data_mnist(lua_State *L) {
    return open_kind(L, DATA_MNIST, REAL_FIELDS);
}

static int data_fashion_mnist(lua_State *L) {
    return open_kind(L, DATA_FASHION_MNIST, REAL_FIELDS);
}

static int data_cifar10(lua_State *L) {
    return open_kind(L, DATA_CIFAR10, REAL_FIELDS);
}

static int data_stacked_mnist(lua_State *L) {
    static const char *const FIELDS[] = {"size", "flip", "path", DRAWN_FIELDS, NULL};
    return open_kind(L, DATA_STACKED_MNIST, FIELDS);
}

static int data_folder(lua_State *L) {
    static const char *const FIELDS[] = {IMAGE_FIELDS, "split", "path", "color", NULL};
    return open_kind(L, DATA_FOLDER, FIELDS);
}

static const char *const POINT_FIELDS[] = {"modes", "spread", "deviation", DRAWN_FIELDS, NULL};

static int data_ring(lua_State *L) {
    return open_kind(L, DATA_RING, POINT_FIELDS);
}

static int data_grid(lua_State *L) {
    return open_kind(L, DATA_GRID, POINT_FIELDS);
}

/* ---- methods ------------------------------------------------------------------------------------------- */

static int dataset_tostring(lua_State *L) {
    char text[DATASET_TEXT];
    lua_pushstring(L, dataset_text(dataset_check(L, 1, "tostring"), text));
    return 1;
}

static int dataset_note_of(lua_State *L) {
    lua_pushstring(L, dataset_note(dataset_check(L, 1, "note")));
    return 1;
}

static int dataset_hash_of(lua_State *L) {
    char hash[FILE_HASH];
    Error error;
    if (dataset_hash(dataset_check(L, 1, "hash"), hash, &error)) script_error(L, "hash: %s", error.message);
    lua_pushstring(L, hash);
    return 1;
}

static int dataset_kind(lua_State *L) {
    lua_pushstring(L, data_kind_text(dataset_check(L, 1, "kind")->kind));
    return 1;
}

static int dataset_shape(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "shape");
    value_push_shape(L, shape_of(dataset->height, dataset->width, dataset->channels));
    return 1;
}

static int dataset_classes(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "classes");
    lua_createtable(L, (int)dataset->classes, 0);
    for (int64_t i = 0; i < dataset->classes; i++) {
        lua_pushstring(L, dataset->class_names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int dataset_count(lua_State *L) {
    lua_pushinteger(L, dataset_check(L, 1, "count")->count);
    return 1;
}

/* samples (count, height, width, channels), labels (count) from 1 */
static int dataset_samples(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "samples");
    int64_t first = binding_integer(L, 2, "samples: first", 1, dataset->count);
    int64_t count = binding_integer(L, 3, "samples: count", 1, dataset->count - first + 1);
    Value *samples = value_push(L, shape_of(count, dataset->height, dataset->width, dataset->channels));
    Value *labels = value_push(L, shape_of(count));
    dataset_range(dataset, first - 1, count, samples->data, labels->data);
    for (int64_t i = 0; i < count; i++) labels->data[i] += 1;
    return 2;
}

static int dataset_extent(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "extent");
    if (!dataset->points) script_error(L, "extent: the data set has images, not points");
    lua_pushnumber(L, dataset->extent);
    return 1;
}

/* centers {{x, y}, ...}, the deviation of the points around each */
static int dataset_centers(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "centers");
    if (!dataset->points) script_error(L, "centers: the data set has images, not points");
    lua_createtable(L, (int)dataset->classes, 0);
    for (int64_t i = 0; i < dataset->classes; i++) {
        lua_createtable(L, 2, 0);
        for (int64_t axis = 0; axis < 2; axis++) {
            lua_pushnumber(L, dataset->centers[2 * i + axis]);
            lua_rawseti(L, -2, axis + 1);
        }
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushnumber(L, dataset->deviation);
    return 2;
}

static int dataset_histogram(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "histogram");
    lua_createtable(L, (int)dataset->classes, 0);
    for (int64_t i = 0; i < dataset->classes; i++) {
        lua_pushinteger(L, dataset->histogram[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushboolean(L, dataset->lopsided);
    lua_pushboolean(L, dataset->endless);
    return 3;
}

/* ---- nearest samples ----------------------------------------------------------------------------------- */

enum { NEAREST_CHUNK = 512 };

static double *push_doubles(lua_State *L, const real *numbers, size_t count) {
    double *doubles = binding_scratch(L, count, sizeof *doubles);
    for (size_t i = 0; numbers && i < count; i++) doubles[i] = (double)numbers[i];
    return doubles;
}

/* Looks through the data set chunk by chunk. distances: (count), which: (count). */
static Status find_nearest(lua_State *L, const Dataset *dataset, const Value *images, double *distances,
                           int64_t *which, Error *error) {
    size_t count = (size_t)images->shape.size[0], numbers = images->count / count;
    Matrix queries = {push_doubles(L, images->data, images->count), count, numbers};
    real *chunk = binding_scratch(L, NEAREST_CHUNK * numbers, sizeof *chunk);
    double *doubles = push_doubles(L, NULL, NEAREST_CHUNK * numbers),
           *found = binding_scratch(L, count, sizeof *found);
    size_t *where = binding_scratch(L, count, sizeof *where);
    real labels[NEAREST_CHUNK];
    for (size_t i = 0; i < count; i++) distances[i] = INFINITY;
    for (int64_t first = 0; first < dataset->count; first += NEAREST_CHUNK) {
        int64_t some = dataset->count - first < NEAREST_CHUNK ? dataset->count - first : NEAREST_CHUNK;
        dataset_range(dataset, first, some, chunk, labels);
        for (size_t i = 0; i < (size_t)some * numbers; i++) doubles[i] = (double)chunk[i];
        Status status =
            memorization_nearest(queries, (Matrix){doubles, (size_t)some, numbers}, found, where, error);
        if (status) return status;
        for (size_t i = 0; i < count; i++) {
            if (!(found[i] < distances[i])) continue;
            distances[i] = found[i];
            which[i] = first + (int64_t)where[i];
        }
    }
    return STATUS_OK;
}

/* dataset:nearest(images) → the nearest samples, their distances */
static int dataset_nearest(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "nearest");
    const Value *images = binding_object(L, 2, VALUE_CLASS, "nearest: images");
    int64_t numbers = dataset->height * dataset->width * dataset->channels;
    if (images->shape.rank < 1 || (int64_t)images->count != images->shape.size[0] * numbers)
        script_error(L, "nearest: images of the data set's shape expected");
    size_t count = (size_t)images->shape.size[0];
    double *distances = binding_scratch(L, count, sizeof *distances);
    int64_t *which = binding_scratch(L, count, sizeof *which);
    Error error;
    if (find_nearest(L, dataset, images, distances, which, &error) != STATUS_OK)
        script_error(L, "nearest: %s", error.message);
    Value *nearest = value_push(L, images->shape);
    real label;
    for (size_t i = 0; i < count; i++)
        dataset_range(dataset, which[i], 1, nearest->data + (int64_t)i * numbers, &label);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushnumber(L, distances[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 2;
}

/* dataset:part(part, parts): the samples part, part + parts, ... */
static int dataset_part_of(lua_State *L) {
    const Dataset *dataset = dataset_check(L, 1, "part");
    int64_t parts = binding_integer(L, 3, "part: parts", 1, INT32_MAX);
    int64_t part = binding_integer(L, 2, "part: part", 1, parts);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, DATASET_OPTIONS);
    lua_replace(L, 1);
    DatasetBox *box = push_box(L);
    Error error;
    box->dataset = dataset_part(dataset, part - 1, parts, &error);
    if (!box->dataset) script_error(L, "part: %s", error.message);
    return 1;
}

/* Puts a copy of the options that the data set at 1 was opened with in its place, alone on the stack. */
static void copy_options(lua_State *L) {
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, DATASET_OPTIONS);
    lua_replace(L, 1);
    push_box(L);
    lua_getiuservalue(L, -1, DATASET_OPTIONS);
    lua_replace(L, 1);
    lua_settop(L, 1);
    lua_pushnil(L);
    lua_setfield(L, 1, "count"); /* of this set alone */
}

/* dataset:test(): what it would be with split = "test" */
static int dataset_test(lua_State *L) {
    DataKind kind = dataset_check(L, 1, "test")->kind;
    copy_options(L);
    lua_pushliteral(L, "test");
    lua_setfield(L, 1, "split");
    return open_checked(L, kind);
}

/* dataset:digits(): MNIST's images, that those of stacked_mnist are made of */
static int dataset_digits(lua_State *L) {
    if (dataset_check(L, 1, "digits")->kind != DATA_STACKED_MNIST)
        script_error(L, "digits: only stacked_mnist is made of digits");
    copy_options(L);
    return open_checked(L, DATA_MNIST);
}

static const BindingFunction METHODS[] = {
    {"kind", "(): string", "\"digits\", \"mnist\" and so on: the function that opens such sets.",
     dataset_kind},
    {"hash", "(): string",
     "Of all that its samples depend on: stored pixels and labels, and the options of what is drawn.",
     dataset_hash_of},
    {"note", "(): string",
     "How a folder's images were made alike, such as \"images in color become gray\"; empty: not at all.",
     dataset_note_of},
    {"shape", "(): integer[]", "Height, width and channels of a sample.", dataset_shape},
    {"classes", "(): string[]", "The names of the classes; empty where there are no labels.",
     dataset_classes},
    {"count", "(): integer", "Samples; of an endless set, those that make an epoch.", dataset_count},
    {"samples", "(first: integer, count: integer): brood.Value, brood.Value",
     "Samples in their own order, from 1: images in [-1, 1] (count, height, width, channels) and labels from "
     "1.",
     dataset_samples},
    {"part", "(part: integer, parts: integer): brood.Dataset",
     "Every parts-th sample, beginning with number `part`, from 1: disjoint sets that share their pixels.",
     dataset_part_of},
    {"test", "(): brood.Dataset", "The test images of the same data set, opened with the same options.",
     dataset_test},
    {"extent", "(): number", "Of points: half the side of a plot that shows them all.", dataset_extent},
    {"digits", "(): brood.Dataset", "Of stacked_mnist: MNIST, whose images are its planes.", dataset_digits},
    {"centers", "(): number[][], number",
     "Of points: the center of each mode, and their standard deviation around it.", dataset_centers},
    {"histogram", "(): integer[], boolean, boolean",
     "Samples of each class; whether that is lopsided; whether there is no end of samples.",
     dataset_histogram},
    {"nearest", "(images: brood.Value): brood.Value, number[]",
     "The sample nearest to each image, pixel by pixel, and its distance.", dataset_nearest},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg METAMETHODS[] = {
    {"__gc", dataset_close}, {"__close", dataset_close}, {"__tostring", dataset_tostring}, {NULL, NULL}};

static const BindingClass dataset_class = {DATASET_CLASS, "A data set.", NULL, METHODS, METAMETHODS};

/* ---- files to be fetched ------------------------------------------------------------------------------- */

static const DataDownload *download_check(lua_State *L) {
    const char *name = binding_text(L, 1, "download: kind");
    DataKind kind;
    return data_kind_named(name, &kind) ? data_download(kind) : NULL;
}

static void set_text(lua_State *L, const char *name, const char *text) {
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* data.download(kind) → { folder, archive, mirrors, files = names, home }, nil where there is nothing to
 * fetch */
static int data_download_of(lua_State *L) {
    const DataDownload *download = download_check(L);
    if (!download) return 0;
    char home[DATA_PATH_LIMIT];
    data_home(home);
    lua_newtable(L);
    set_text(L, "home", home);
    set_text(L, "folder", download->folder);
    lua_pushboolean(L, download->archive);
    lua_setfield(L, -2, "archive");
    lua_newtable(L);
    for (size_t i = 0; i < download->file_count; i++) {
        lua_pushstring(L, download->files[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "files");
    lua_newtable(L);
    for (size_t i = 0; download->mirrors[i]; i++) {
        lua_pushstring(L, download->mirrors[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "mirrors");
    return 1;
}

/* data.check(kind, number, path) → true, or false and why not */
static int data_check(lua_State *L) {
    const DataDownload *download = download_check(L);
    if (!download) script_error(L, "check: there is nothing to fetch");
    int64_t which = binding_integer(L, 2, "check: number", 1, (int64_t)download->file_count);
    Error error;
    bool right =
        data_check_file(&download->files[which - 1], binding_text(L, 3, "check: path"), &error) == STATUS_OK;
    lua_pushboolean(L, right);
    if (right) return 1;
    lua_pushstring(L, error.message);
    return 2;
}

static const BindingFunction FUNCTIONS[] = {
    {"digits", "(options?: table): brood.Dataset",
     "Ten digits drawn by the program: size (16 to 64), color, seed, count, classes, flip, split.",
     data_digits},
    {"mnist", "(options?: table): brood.Dataset", "MNIST: size (32), classes, flip, split, path.",
     data_mnist},
    {"fashion_mnist", "(options?: table): brood.Dataset", "Fashion-MNIST: as mnist.", data_fashion_mnist},
    {"cifar10", "(options?: table): brood.Dataset",
     "CIFAR-10, the binary files: size, classes, flip, split, path.", data_cifar10},
    {"stacked_mnist", "(options?: table): brood.Dataset",
     "Three digits of MNIST in red, green and blue, 1000 classes: size, seed, count, split, path.",
     data_stacked_mnist},
    {"folder", "(options: table): brood.Dataset",
     "PNG files of a folder, or of one folder per class: path, size, color (nil: if any file has), classes, "
     "flip, split (train, test or all).",
     data_folder},
    {"ring", "(options?: table): brood.Dataset",
     "Gaussians on a circle: modes (8), spread, deviation, seed, count.", data_ring},
    {"grid", "(options?: table): brood.Dataset",
     "Gaussians on a square lattice: modes (5 a side), spread, deviation, seed.", data_grid},
    {"download", "(kind: string): table?",
     "What there is to fetch: home, folder, files, mirrors, archive; nil: nothing.", data_download_of},
    {"check", "(kind: string, number: integer, path: string): boolean, string?",
     "Whether a file is the one that was published, by its sum; if not, why.", data_check},
    {NULL, NULL, NULL, NULL}};

static const BindingClass *const CLASSES[] = {&dataset_class, NULL};
const BindingModule binding_data = {"brood.data", "Data sets.", FUNCTIONS, CLASSES};
