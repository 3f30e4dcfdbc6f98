/* Data sets: opening them, and handing out samples. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "gan/data/image.h"
#include "gan/data/parts.h"

enum {
    SIDE_DEFAULT = 32, /* what images are padded to */
    SIDE_MIN = 8,
    SIDE_MAX = 1024,
    STACKED_CLASSES = 1000,
    MODES_LIMIT = 1000,
    EPOCH_TRAIN = 60000,
    EPOCH_TEST = 10000,
    LOPSIDED = 3,    /* how many times the largest class has what the smallest has */
    FRESH_BITS = 48, /* fresh samples have numbers below 2^48, so that parts of them stay apart */
    PARTS_LIMIT = 1 << 16,
    COUNT_LIMIT = 10000000,
    CLASS_NAME = 32,
};

/* What parts of a data set share. Freed with the last of them; sets are opened and freed by one thread. */
typedef struct DataStore {
    int64_t users;
    Pictures pictures; /* of files; stacked_mnist: the single digits */
    uint64_t key;      /* of what is drawn */
    int64_t *classes;  /* (class_count) what the kind calls each of the set's classes */
    int64_t class_count;
    char **class_names;
    double *centers;
    bool flip;
    int64_t total;    /* samples before any parting */
    real levels[256]; /* of bytes */
} DataStore;

static const char *const KIND_TEXT[DATA_KINDS] = {"digits",        "mnist",  "fashion_mnist", "cifar10",
                                                  "stacked_mnist", "folder", "ring",          "grid"};

const char *data_kind_text(DataKind kind) {
    return KIND_TEXT[kind];
}

bool data_kind_named(const char *text, DataKind *kind) {
    for (int i = 0; i < DATA_KINDS; i++)
        if (strcmp(text, KIND_TEXT[i]) == 0) {
            *kind = (DataKind)i;
            return true;
        }
    return false;
}

DataOptions data_options(DataKind kind) {
    DataOptions options = {.kind = kind};
    if (kind == DATA_RING) options.modes = 8, options.spread = 1, options.deviation = 0.01;
    if (kind == DATA_GRID) options.modes = 5, options.spread = 2, options.deviation = 0.05;
    return options;
}

static bool is_points(DataKind kind) {
    return kind == DATA_RING || kind == DATA_GRID;
}

/* Made by the program, at least in part: samples without number. */
static bool is_drawn(DataKind kind) {
    return is_points(kind) || kind == DATA_DIGITS || kind == DATA_STACKED_MNIST;
}

static bool is_mnist(DataKind kind) {
    return kind == DATA_MNIST || kind == DATA_FASHION_MNIST || kind == DATA_STACKED_MNIST;
}

/* ---- options ------------------------------------------------------------------------------------------- */

static Status check_side(const DataOptions *o, Error *error) {
    bool digits = o->kind == DATA_DIGITS;
    int64_t least = digits ? DIGITS_SIDE_MIN : SIDE_MIN, most = digits ? DIGITS_SIDE_MAX : SIDE_MAX;
    if (o->side == 0 || (o->side >= least && o->side <= most && !is_points(o->kind))) return STATUS_OK;
    if (is_points(o->kind))
        return error_set(error, STATUS_INVALID, "%s: points have no size, %" PRId64 " was given",
                         KIND_TEXT[o->kind], o->side);
    return error_set(error, STATUS_INVALID,
                     "%s: a size of %" PRId64 " to %" PRId64 " pixels was expected, not %" PRId64,
                     KIND_TEXT[o->kind], least, most, o->side);
}

static Status check_channels(const DataOptions *o, Error *error) {
    bool choice = o->kind == DATA_DIGITS || o->kind == DATA_FOLDER;
    if (o->channels == 0 || (choice && (o->channels == 1 || o->channels == 3))) return STATUS_OK;
    if (!choice)
        return error_set(error, STATUS_INVALID, "%s: the channels cannot be chosen, %" PRId64 " was given",
                         KIND_TEXT[o->kind], o->channels);
    return error_set(error, STATUS_INVALID, "%s: 1 or 3 channels were expected, not %" PRId64,
                     KIND_TEXT[o->kind], o->channels);
}

static Status check_points(const DataOptions *o, Error *error) {
    int64_t most = o->kind == DATA_GRID ? (int64_t)sqrt((double)MODES_LIMIT) : MODES_LIMIT;
    if (o->modes < 1 || o->modes > most)
        return error_set(error, STATUS_INVALID, "%s: 1 to %" PRId64 " modes were expected, not %" PRId64,
                         KIND_TEXT[o->kind], most, o->modes);
    if (!(o->spread > 0 && o->spread < 1e6) || !(o->deviation >= 0 && o->deviation < 1e6))
        return error_set(error, STATUS_INVALID,
                         "%s: a positive spread and a deviation of at least 0 were expected, not %g and %g",
                         KIND_TEXT[o->kind], o->spread, o->deviation);
    return STATUS_OK;
}

static Status check_options(const DataOptions *o, Error *error) {
    const char *name = KIND_TEXT[o->kind];
    Status status = check_side(o, error);
    if (!status) status = check_channels(o, error);
    if (!status && is_points(o->kind)) status = check_points(o, error);
    if (status) return status;
    if (o->kind == DATA_FOLDER && (!o->path || !o->path[0]))
        return error_set(error, STATUS_INVALID, "folder: the path of a folder was expected, none was given");
    if (is_points(o->kind) && o->flip)
        return error_set(error, STATUS_INVALID, "%s: points cannot be flipped", name);
    if (o->count < 0 || o->count > COUNT_LIMIT || (o->count && !is_drawn(o->kind)))
        return error_set(error, STATUS_INVALID, "%s: a count of %" PRId64 " samples%s", name, o->count,
                         is_drawn(o->kind) ? " is out of range"
                                           : ": what is read from files has its own count");
    if (o->split == DATA_ALL && o->kind != DATA_FOLDER)
        return error_set(
            error, STATUS_INVALID,
            "%s: training or test images were expected: all at once are to be had of a folder only", name);
    if (o->kind == DATA_STACKED_MNIST && o->class_count)
        return error_set(error, STATUS_INVALID, "stacked_mnist: its classes cannot be chosen");
    return STATUS_OK;
}

/* ---- classes ------------------------------------------------------------------------------------------- */

static const char *const FASHION_NAMES[] = {"T-shirt/top", "trouser", "pullover", "dress", "coat",
                                            "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
static const char *const CIFAR_NAMES[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};

/* How many classes the kind has before any are chosen. */
static int64_t kind_classes(const DataOptions *o, const Pictures *pictures) {
    if (o->kind == DATA_STACKED_MNIST) return STACKED_CLASSES;
    if (o->kind == DATA_RING) return o->modes;
    if (o->kind == DATA_GRID) return o->modes * o->modes;
    return o->kind == DATA_DIGITS ? DIGITS_CLASSES : pictures->classes;
}

/* Borrowed, or made in `number`. */
static const char *class_name(const DataOptions *o, const Pictures *pictures, int64_t class,
                              char number[CLASS_NAME]) {
    snprintf(number, CLASS_NAME, o->kind == DATA_STACKED_MNIST ? "%03d" : "%d", (int)class);
    if (is_points(o->kind)) snprintf(number, CLASS_NAME, "mode %d", (int)class + 1);
    return o->kind == DATA_FASHION_MNIST ? FASHION_NAMES[class]
           : o->kind == DATA_CIFAR10     ? CIFAR_NAMES[class]
           : o->kind == DATA_FOLDER      ? pictures->class_names[class]
                                         : number;
}

static Status refuse_name(const DataOptions *o, const Pictures *pictures, const char *name, Error *error) {
    char list[512] = "", number[CLASS_NAME];
    int64_t kind_has = kind_classes(o, pictures);
    for (int64_t i = 0; i < kind_has; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", class_name(o, pictures, i, number));
    }
    return error_set(error, STATUS_INVALID, "%s: there is no class '%s': there are %s", KIND_TEXT[o->kind],
                     name, list);
}

/* The class that is asked for at a place. People count from 1. */
static Status find_class(const DataOptions *o, const Pictures *pictures, size_t place, int64_t *class,
                         Error *error) {
    const char *name = o->named ? o->named[place] : NULL;
    char number[CLASS_NAME];
    int64_t kind_has = kind_classes(o, pictures);
    if (name) {
        for (*class = 0; *class < kind_has; ++*class)
            if (strcmp(class_name(o, pictures, *class, number), name) == 0) return STATUS_OK;
        return refuse_name(o, pictures, name, error);
    }
    *class = o->classes[place];
    if (*class >= 0 && *class < kind_has) return STATUS_OK;
    return error_set(error, STATUS_INVALID,
                     "%s: class %" PRId64 " was asked for, counted from 1; it has %" PRId64 " classes",
                     KIND_TEXT[o->kind], *class + 1, kind_has);
}

static Status choose_class(const DataOptions *o, DataStore *store, size_t place, Error *error) {
    int64_t *class = &store->classes[place];
    char number[CLASS_NAME];
    *class = (int64_t)place;
    Status status = o->class_count ? find_class(o, &store->pictures, place, class, error) : STATUS_OK;
    if (status) return status;
    const char *name = class_name(o, &store->pictures, *class, number);
    for (size_t i = 0; i < place; i++)
        if (store->classes[i] == *class)
            return error_set(error, STATUS_INVALID, "%s: class %" PRId64 ", '%s', was asked for twice",
                             KIND_TEXT[o->kind], *class + 1, name);
    store->class_names[place] = memory_string(name);
    return store->class_names[place] ? STATUS_OK : error_no_memory(error, "class names");
}

/* Lists the set's classes: those asked for, or all. */
static Status choose_classes(const DataOptions *o, DataStore *store, Error *error) {
    int64_t kind_has = kind_classes(o, &store->pictures);
    if (o->class_count && kind_has == 0)
        return error_set(error, STATUS_INVALID, "%s: unlabelled images have no classes to choose from",
                         KIND_TEXT[o->kind]);
    if (o->class_count > (size_t)kind_has)
        return error_set(error, STATUS_INVALID, "%s: %zu classes were asked for, it has %" PRId64,
                         KIND_TEXT[o->kind], o->class_count, kind_has);
    size_t count = o->class_count ? o->class_count : (size_t)kind_has;
    store->classes = memory_new(count, sizeof *store->classes);
    store->class_names = memory_new(count, sizeof *store->class_names);
    if (!store->classes || !store->class_names) return error_no_memory(error, "class names");
    store->class_count = (int64_t)count;
    Status status = STATUS_OK;
    for (size_t i = 0; !status && i < count; i++) status = choose_class(o, store, i, error);
    return status;
}

/* Drops the pictures of classes that were not asked for, and renumbers the labels. */
static Status keep_classes(const DataOptions *o, DataStore *store, Error *error) {
    Pictures *p = &store->pictures;
    if (!o->class_count || !p->labels) return STATUS_OK;
    size_t size = (size_t)(p->height * p->width * p->channels), kept = 0;
    for (size_t i = 0; i < (size_t)p->count; i++) {
        int64_t label = 0;
        while (label < store->class_count && store->classes[label] != p->labels[i]) label++;
        if (label == store->class_count) continue;
        p->labels[kept] = (uint16_t)label;
        memmove(p->pixels + kept * size, p->pixels + i * size, size);
        kept++;
    }
    if (kept == 0)
        return error_set(error, STATUS_INVALID, "%s: no images of the chosen classes", KIND_TEXT[o->kind]);
    p->count = (int64_t)kept;
    uint8_t *smaller = memory_resize(p->pixels, kept * size);
    if (smaller) p->pixels = smaller;
    return STATUS_OK;
}

/* ---- points -------------------------------------------------------------------------------------------- */

static Status place_centers(const DataOptions *o, DataStore *store, Dataset *set, Error *error) {
    store->centers = memory_new((size_t)store->class_count, 2 * sizeof *store->centers);
    if (!store->centers) return error_no_memory(error, "the centers of modes");
    for (int64_t i = 0; i < store->class_count; i++) {
        int64_t mode = store->classes[i];
        double *center = store->centers + 2 * i, middle = 0.5 * (double)(o->modes - 1);
        if (o->kind == DATA_RING) {
            double angle = 2 * 3.14159265358979323846 * (double)mode / (double)o->modes;
            center[0] = o->spread * cos(angle);
            center[1] = o->spread * sin(angle);
        } else {
            center[0] = o->spread * ((double)(mode % o->modes) - middle);
            center[1] = o->spread * ((double)(mode / o->modes) - middle);
        }
        set->extent = fmax(set->extent, fmax(fabs(center[0]), fabs(center[1])));
    }
    set->extent = 1.25 * (set->extent + 4 * o->deviation);
    if (set->extent == 0) set->extent = 1; /* a single mode without width */
    set->centers = store->centers;
    set->deviation = o->deviation;
    return STATUS_OK;
}

/* ---- numbers and labels of samples --------------------------------------------------------------------- */

/* A sample's number among those of the whole set, of which parts have none in common. Fresh samples have an
 * index like counted ones, only far above. Parts of a stored set are every so-manieth sample of it in a
 * shuffled order: files have orders of their own (MNIST's images come in turn from two groups of writers, so
 * that every second one would be one group's). */
static uint64_t number_of(const Dataset *set, uint64_t index) {
    static const uint64_t SHUFFLE = 0x6272656564; /* one for all: parts of a part stay within it */
    uint64_t number = index * (uint64_t)set->parts + (uint64_t)set->part;
    if (set->parts == 1 || is_drawn(set->kind)) return number;
    return random_permute(SHUFFLE, 0, (uint64_t)set->store->pictures.count, number);
}

/* The three digits behind a sample of stacked_mnist. */
static void stacked_choice(const DataStore *store, uint64_t number, uint64_t choice[3]) {
    for (uint64_t c = 0; c < 3; c++)
        choice[c] = random_integer_at(store->key, number, c, (uint64_t)store->pictures.count);
}

static int64_t stacked_label(const DataStore *store, const uint64_t choice[3]) {
    const uint16_t *labels = store->pictures.labels;
    return 100 * labels[choice[0]] + 10 * labels[choice[1]] + labels[choice[2]];
}

/* Drawn classes take turns by index, so that every set and part of one has as many of each. */
static int64_t label_of(const Dataset *set, uint64_t index) {
    const DataStore *store = set->store;
    if (set->kind == DATA_STACKED_MNIST) {
        uint64_t choice[3];
        stacked_choice(store, number_of(set, index), choice);
        return stacked_label(store, choice);
    }
    if (is_drawn(set->kind)) return (int64_t)(index % (uint64_t)set->classes);
    return store->pictures.labels ? store->pictures.labels[number_of(set, index)] : 0;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

void pictures_free(Pictures *pictures) {
    for (int64_t i = 0; pictures->class_names && i < pictures->classes; i++)
        memory_free(pictures->class_names[i]);
    memory_free(pictures->class_names);
    memory_free(pictures->pixels);
    memory_free(pictures->labels);
    *pictures = (Pictures){.count = 0};
}

static void store_release(DataStore *store) {
    if (!store || --store->users > 0) return;
    pictures_free(&store->pictures);
    for (int64_t i = 0; store->class_names && i < store->class_count; i++) memory_free(store->class_names[i]);
    memory_free(store->class_names);
    memory_free(store->classes);
    memory_free(store->centers);
    memory_free(store);
}

void dataset_free(Dataset *dataset) {
    if (!dataset) return;
    store_release(dataset->store);
    memory_free((void *)(uintptr_t)dataset->histogram);
    memory_free(dataset);
}

static Status load_pictures(const DataOptions *options, Pictures *pictures, Error *error) {
    if (options->kind == DATA_FOLDER) return folder_load(options, pictures, error);
    if (!is_mnist(options->kind) && options->kind != DATA_CIFAR10) return STATUS_OK;
    SourceFiles files;
    Status status = source_find(options, &files, error);
    if (status) return status;
    return options->kind == DATA_CIFAR10 ? cifar_load(&files, pictures, error)
                                         : idx_load(&files, pictures, error);
}

/* The shape of what comes out. */
static void set_shape(Dataset *set, const DataOptions *o, const Pictures *pictures) {
    set->points = is_points(o->kind);
    set->height = set->width = set->points ? 1 : o->side ? o->side : SIDE_DEFAULT;
    if (o->kind == DATA_FOLDER) set->height = pictures->height, set->width = pictures->width;
    set->channels = set->points                     ? 2
                    : o->kind == DATA_DIGITS        ? (o->channels ? o->channels : 1)
                    : o->kind == DATA_STACKED_MNIST ? 3
                                                    : pictures->channels;
}

/* Counts the samples of each class. Classes of samples that are drawn are as even as chance has them. */
static Status make_histogram(Dataset *set, Error *error) {
    int64_t *histogram = memory_new((size_t)set->classes, sizeof *histogram);
    if (!histogram) return error_no_memory(error, "the histogram of classes");
    set->histogram = histogram;
    if (set->classes == 0) return STATUS_OK;
    for (int64_t i = 0; i < set->count; i++) histogram[label_of(set, (uint64_t)i)]++;
    int64_t least = histogram[0], most = histogram[0];
    for (int64_t i = 0; i < set->classes; i++) {
        least = histogram[i] < least ? histogram[i] : least;
        most = histogram[i] > most ? histogram[i] : most;
    }
    set->lopsided = !is_drawn(set->kind) && (least == 0 || most / LOPSIDED >= least);
    return STATUS_OK;
}

static Status fill_store(const DataOptions *o, DataStore *store, Error *error) {
    Status status = load_pictures(o, &store->pictures, error);
    if (!status) status = choose_classes(o, store, error);
    if (!status) status = keep_classes(o, store, error);
    if (status) return status;
    store->key = random_key(o->seed, o->split, KIND_TEXT[o->kind]);
    store->flip = o->flip;
    int64_t epoch = o->split == DATA_TRAIN ? EPOCH_TRAIN : EPOCH_TEST;
    store->total = !is_drawn(o->kind) ? store->pictures.count : o->count ? o->count : epoch;
    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        bytes_to_image(&byte, 1, &store->levels[i]);
    }
    return STATUS_OK;
}

static Status open_set(const DataOptions *o, Dataset *set, Error *error) {
    set->store = memory_new(1, sizeof *set->store);
    if (!set->store) return error_no_memory(error, "a data set");
    set->store->users = 1;
    Status status = fill_store(o, set->store, error);
    if (status) return status;
    DataStore *store = set->store;
    set->kind = o->kind;
    set->split = o->split;
    set->count = store->total;
    set->endless = is_drawn(o->kind) && o->split == DATA_TRAIN && o->count == 0;
    set_shape(set, o, &store->pictures);
    set->classes = store->class_count;
    set->class_names = (const char *const *)store->class_names;
    set->part = 0;
    set->parts = 1;
    if (set->points) status = place_centers(o, store, set, error);
    return status ? status : make_histogram(set, error);
}

Dataset *dataset_open(const DataOptions *options, Error *error) {
    if (check_options(options, error)) return NULL;
    Dataset *set = memory_new(1, sizeof *set);
    if (!set) {
        error_no_memory(error, "a data set");
        return NULL;
    }
    if (open_set(options, set, error)) {
        dataset_free(set);
        return NULL;
    }
    return set;
}

Dataset *dataset_part(const Dataset *dataset, int64_t part, int64_t parts, Error *error) {
    if (parts < 1 || part < 0 || part >= parts || parts > dataset->count ||
        parts > PARTS_LIMIT / dataset->parts) {
        error_set(error, STATUS_INVALID,
                  "part %" PRId64 " of %" PRId64 " of a data set with %" PRId64
                  " samples: parts of at least one sample, counted from 0, were expected",
                  part, parts, dataset->count);
        return NULL;
    }
    Dataset *set = memory_new(1, sizeof *set);
    if (!set) {
        error_no_memory(error, "a part of a data set");
        return NULL;
    }
    *set = *dataset;
    set->histogram = NULL;
    set->store->users++;
    set->part = dataset->part + part * dataset->parts;
    set->parts = dataset->parts * parts;
    set->count = (dataset->count - part + parts - 1) / parts;
    if (make_histogram(set, error)) {
        dataset_free(set);
        return NULL;
    }
    return set;
}

/* ---- words about it ------------------------------------------------------------------------------------ */

/* 60000 as 60,000. */
static void grouped(int64_t number, char text[32]) {
    char plain[32];
    int length = snprintf(plain, sizeof plain, "%" PRId64, number), used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[used++] = ',';
        text[used++] = plain[i];
    }
    text[used] = '\0';
}

const char *dataset_text(const Dataset *d, char text[DATASET_TEXT]) {
    char count[32], classes[48] = "unlabelled", size[64] = "in the plane";
    grouped(d->count, count);
    if (d->classes) snprintf(classes, sizeof classes, "in %" PRId64 " classes", d->classes);
    if (d->points) snprintf(classes, sizeof classes, "around %" PRId64 " centers", d->classes);
    if (!d->points)
        snprintf(size, sizeof size, "of %" PRId64 "×%" PRId64 "×%" PRId64, d->height, d->width, d->channels);
    static const char *const SPLITS[] = {" training", " test", ""};
    snprintf(text, DATASET_TEXT, "%s: %s%s %s %s, %s", KIND_TEXT[d->kind], d->endless ? "endless" : count,
             SPLITS[d->split], d->points ? "points" : "images", size, classes);
    return text;
}

const char *dataset_note(const Dataset *dataset) {
    return dataset->store->pictures.note;
}

size_t dataset_memory(const Dataset *dataset) {
    const Pictures *p = &dataset->store->pictures;
    size_t bytes = sizeof *dataset + sizeof *dataset->store;
    bytes += (size_t)p->count * (size_t)(p->height * p->width * p->channels);
    if (p->labels) bytes += (size_t)p->count * sizeof *p->labels;
    return bytes;
}

/* ---- samples ------------------------------------------------------------------------------------------- */

/* Puts one of MNIST's images into the middle of a black canvas (side, side, channels), in one channel. */
static void place_digit(const Pictures *p, uint64_t number, uint8_t *canvas, int64_t side, int64_t channels,
                        int64_t channel) {
    const uint8_t *from = p->pixels + number * (uint64_t)(p->height * p->width);
    int64_t margin = (side - p->width) / 2;
    for (int64_t y = 0; y < p->height; y++) {
        uint8_t *row = canvas + ((y + margin) * side + margin) * channels + channel;
        for (int64_t x = 0; x < p->width; x++) row[x * channels] = *from++;
    }
}

/* MNIST's kinds: unpadded, padded, or padded and resized. */
static void mnist_pixels(const Dataset *set, uint64_t number, uint8_t *out) {
    const DataStore *store = set->store;
    int64_t side = set->width == store->pictures.width ? set->width : SIDE_DEFAULT;
    uint8_t padded[SIDE_DEFAULT * SIDE_DEFAULT * 3];
    uint8_t *canvas = set->width == side ? out : padded;
    memset(canvas, 0, (size_t)(side * side * set->channels));
    if (set->kind == DATA_STACKED_MNIST) {
        uint64_t choice[3];
        stacked_choice(store, number, choice);
        for (int64_t c = 0; c < 3; c++) place_digit(&store->pictures, choice[c], canvas, side, 3, c);
    } else {
        place_digit(&store->pictures, number, canvas, side, 1, 0);
    }
    if (canvas != out) image_resize(canvas, side, side, set->channels, out, set->height, set->width);
}

static void stored_pixels(const Dataset *set, uint64_t number, uint8_t *out) {
    const Pictures *p = &set->store->pictures;
    size_t size = (size_t)(p->height * p->width * p->channels);
    const uint8_t *pixels = p->pixels + number * size;
    if (set->height == p->height && set->width == p->width)
        memcpy(out, pixels, size);
    else
        image_resize(pixels, p->height, p->width, p->channels, out, set->height, set->width);
}

/* The pixels of a sample; returns its label. */
static int64_t make_pixels(const Dataset *set, uint64_t index, uint8_t *out) {
    const DataStore *store = set->store;
    uint64_t number = number_of(set, index);
    int64_t label = label_of(set, index);
    if (set->kind == DATA_DIGITS)
        digits_draw(store->key, number, (int)store->classes[label], (int)set->width, (int)set->channels, out);
    else if (is_mnist(set->kind))
        mnist_pixels(set, number, out);
    else
        stored_pixels(set, number, out);
    return label;
}

static int64_t make_point(const Dataset *set, uint64_t index, real *out) {
    int64_t label = label_of(set, index);
    for (uint64_t axis = 0; axis < 2; axis++) {
        double offset = set->deviation * random_normal_at(set->store->key, number_of(set, index), axis);
        out[axis] = (real)(set->centers[2 * label + (int64_t)axis] + offset);
    }
    return label;
}

static void mirror(const Dataset *set, uint8_t *pixels) {
    size_t channels = (size_t)set->channels, width = (size_t)set->width;
    for (int64_t y = 0; y < set->height; y++) {
        uint8_t *left = pixels + (size_t)y * width * channels, *right = left + (width - 1) * channels;
        for (; left < right; left += channels, right -= channels)
            for (size_t c = 0; c < channels; c++) {
                uint8_t kept = left[c];
                left[c] = right[c];
                right[c] = kept;
            }
    }
}

static size_t sample_size(const Dataset *set) {
    return (size_t)(set->height * set->width * set->channels);
}

/* One sample as reals. Its bytes are made at the very end of the place that the reals will take: real i ends
 * before byte i + 1 of them begins, so that going upward each byte is read before it is written over. */
static int64_t make_sample(const Dataset *set, uint64_t index, bool mirrored, real *out) {
    if (set->points) return make_point(set, index, out);
    size_t size = sample_size(set);
    uint8_t *bytes = (uint8_t *)(out + size) - size;
    int64_t label = make_pixels(set, index, bytes);
    if (mirrored) mirror(set, bytes);
    for (size_t i = 0; i < size; i++) out[i] = set->store->levels[bytes[i]];
    return label;
}

int64_t dataset_get(const Dataset *dataset, int64_t index, uint8_t *pixels) {
    assert(!dataset->points && index >= 0 && index < dataset->count);
    return make_pixels(dataset, (uint64_t)index, pixels);
}

void dataset_range(const Dataset *dataset, int64_t first, int64_t count, real *samples, real *labels) {
    assert(first >= 0 && count >= 0 && first <= dataset->count - count);
    size_t size = sample_size(dataset);
    for (int64_t i = 0; i < count; i++) {
        int64_t label = make_sample(dataset, (uint64_t)(first + i), false, samples + (size_t)i * size);
        if (labels) labels[i] = (real)label;
    }
}

/* What position of the stream holds. */
typedef struct {
    uint64_t index;
    bool mirrored;
} Draw;

static Draw draw_at(const Dataset *set, uint64_t key, uint64_t fresh_key, uint64_t position) {
    uint32_t words[3] = {0, 0, 0};
    if (set->endless || set->store->flip) random_bits(fresh_key, position, 0, 3, words);
    uint64_t count = (uint64_t)set->count, fresh = (uint64_t)words[1] << 32 | words[0];
    return (Draw){.index = set->endless ? fresh >> (64 - FRESH_BITS)
                                        : random_permute(key, position / count, count, position % count),
                  .mirrored = set->store->flip && words[2] >> 31};
}

void dataset_batch(const Dataset *dataset, uint64_t key, uint64_t counter, size_t batch, real *samples,
                   real *labels) {
    uint64_t fresh_key = random_key(key, 0, "samples of batches");
    size_t size = sample_size(dataset);
    for (size_t i = 0; i < batch; i++) {
        Draw draw = draw_at(dataset, key, fresh_key, counter * batch + i);
        int64_t label = make_sample(dataset, draw.index, draw.mirrored, samples + i * size);
        if (labels) labels[i] = (real)label;
    }
}

/* ---- its hash ------------------------------------------------------------------------------------------ */

Status dataset_hash(const Dataset *dataset, char hash[FILE_HASH], Error *error) {
    const Dataset *d = dataset;
    const DataStore *store = d->store;
    const Pictures *p = &store->pictures;
    char text[512];
    int length = snprintf(text, sizeof text,
                          "%s: part %" PRId64 " of %" PRId64 ", %" PRId64 " samples%s of %" PRId64 "×%" PRId64
                          "×%" PRId64 "%s, %" PRId64 " classes, key %" PRIu64
                          ", deviation %a; stored %" PRId64 " of %" PRId64 "×%" PRId64 "×%" PRId64,
                          KIND_TEXT[d->kind], d->part, d->parts, d->count, d->endless ? " and more" : "",
                          d->height, d->width, d->channels, store->flip ? ", flipped" : "", d->classes,
                          is_drawn(d->kind) ? store->key : 0, d->deviation, p->count, p->height, p->width,
                          p->channels);
    const FilePiece pieces[] = {
        {text, (size_t)length},
        {p->pixels, (size_t)(p->count * p->height * p->width * p->channels)},
        {p->labels, p->labels ? (size_t)p->count * sizeof *p->labels : 0},
        {store->classes, is_drawn(d->kind) ? (size_t)store->class_count * sizeof *store->classes : 0},
        {store->centers, store->centers ? (size_t)store->class_count * 2 * sizeof *store->centers : 0},
    };
    return file_hash(pieces, sizeof pieces / sizeof pieces[0], hash, error);
}
