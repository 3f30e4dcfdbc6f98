/* brood.data: data sets for scripts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/lua/lua_data.h"
#include "app/lua/lua_graph.h"
#include "app/lua/lua_script.h"

typedef struct {
    Dataset *dataset; /* NULL: closed */
} DatasetBox;

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

/* The text stays valid as long as the options table holds it. */
static const char *text_option(lua_State *L, const char *what, const char *name) {
    char label[96];
    snprintf(label, sizeof label, "%s: %s", what, name);
    const char *value = binding_field(L, 1, name) == LUA_TNIL ? NULL : binding_text(L, -1, label);
    lua_pop(L, 1);
    return value;
}

/* classes = { 1, 8 } in Lua is classes 0 and 7 in C. Pushes the memory that holds them. */
static void read_classes(lua_State *L, const char *what, DataOptions *options) {
    char label[96];
    snprintf(label, sizeof label, "%s: classes", what);
    int type = binding_field(L, 1, "classes");
    if (type == LUA_TNIL) return;
    if (type != LUA_TTABLE) script_error(L, "%s: a list of class numbers expected", label);
    options->class_count = lua_rawlen(L, -1);
    int list = lua_gettop(L);
    int64_t *classes = binding_scratch(L, options->class_count, sizeof *classes);
    for (size_t i = 0; i < options->class_count; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        classes[i] = binding_integer(L, -1, label, 1, INT32_MAX) - 1;
        lua_pop(L, 1);
    }
    options->classes = classes;
}

static DataSplit read_split(lua_State *L, const char *what) {
    const char *split = text_option(L, what, "split");
    if (split && strcmp(split, "test") == 0) return DATA_TEST;
    if (split && strcmp(split, "train") != 0)
        script_error(L, "%s: split: 'train' or 'test' expected, got '%s'", what, split);
    return DATA_TRAIN;
}

static int open_kind(lua_State *L, DataKind kind, const char *const *fields) {
    char what[64];
    snprintf(what, sizeof what, "data.%s", data_kind_text(kind));
    lua_settop(L, 1);
    binding_fields(L, 1, what, fields);
    DataOptions options = data_options(kind);
    options.split = read_split(L, what);
    options.path = text_option(L, what, "path");
    options.side = whole_option(L, what, "size", options.side, 0, 1024);
    options.channels = flag_option(L, what, "color") ? 3 : options.channels;
    options.flip = flag_option(L, what, "flip");
    options.seed = (uint64_t)whole_option(L, what, "seed", (int64_t)options.seed, 0, INT64_MAX);
    options.count = whole_option(L, what, "count", options.count, 0, INT64_MAX);
    options.modes = whole_option(L, what, "modes", options.modes, 1, 1000);
    options.spread = number_option(L, what, "spread", options.spread);
    options.deviation = number_option(L, what, "deviation", options.deviation);
    read_classes(L, what, &options);
    DatasetBox *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->dataset = NULL;
    luaL_setmetatable(L, DATASET_CLASS);
    Error error;
    box->dataset = dataset_open(&options, &error);
    if (!box->dataset) script_error(L, "%s: %s", what, error.message);
    binding_outside_bytes(L, dataset_memory(box->dataset));
    return 1;
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

static const BindingFunction METHODS[] = {
    {"shape", "(): integer[]", "Height, width and channels of a sample.", dataset_shape},
    {"classes", "(): string[]", "The names of the classes; empty where there are no labels.",
     dataset_classes},
    {"count", "(): integer", "Samples; of an endless set, those that make an epoch.", dataset_count},
    {"samples", "(first: integer, count: integer): brood.Value, brood.Value",
     "Samples in their own order, from 1: images in [-1, 1] (count, height, width, channels) and labels from "
     "1.",
     dataset_samples},
    {NULL, NULL, NULL, NULL}};

static const luaL_Reg METAMETHODS[] = {
    {"__gc", dataset_close}, {"__close", dataset_close}, {"__tostring", dataset_tostring}, {NULL, NULL}};

static const BindingClass dataset_class = {DATASET_CLASS, "A data set.", NULL, METHODS, METAMETHODS};

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
     "PNG files of a folder, or of one folder per class: path, size, color, classes, flip, split.",
     data_folder},
    {"ring", "(options?: table): brood.Dataset",
     "Gaussians on a circle: modes (8), spread, deviation, seed, count.", data_ring},
    {"grid", "(options?: table): brood.Dataset",
     "Gaussians on a square lattice: modes (5 a side), spread, deviation, seed.", data_grid},
    {NULL, NULL, NULL, NULL}};

static const BindingClass *const CLASSES[] = {&dataset_class, NULL};
const BindingModule binding_data = {"brood.data", "Data sets.", FUNCTIONS, CLASSES};
