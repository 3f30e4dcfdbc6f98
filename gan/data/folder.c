/* A folder of PNG files as a data set. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "gan/data/image.h"
#include "gan/data/parts.h"

enum {
    FOLDER_CLASS_LIMIT = 10000,
    FOLDER_FILE_LIMIT = 10000000,
    FOLDER_HELD_OUT = 10, /* of so many files of a class one is for testing */
};

/* ---- lists of names ------------------------------------------------------------------------------------ */

typedef struct {
    char **names; /* owned */
    size_t count, room;
} Names;

static void names_free(Names *names) {
    for (size_t i = 0; i < names->count; i++) memory_free(names->names[i]);
    memory_free(names->names);
    *names = (Names){.names = NULL};
}

static bool names_add(Names *names, const char *name) {
    if (!memory_grow((void **)&names->names, names->count, &names->room, sizeof *names->names)) return false;
    names->names[names->count] = memory_string(name);
    return names->names[names->count] && ++names->count;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static Status join(char path[DATA_PATH_LIMIT], const char *folder, const char *name, Error *error) {
    if (snprintf(path, DATA_PATH_LIMIT, "%s/%s", folder, name) < DATA_PATH_LIMIT) return STATUS_OK;
    return error_set(error, STATUS_IO, "%.200s...: the path of a file in it is too long", folder);
}

static bool is_folder(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static bool is_png(const char *name) {
    size_t length = strlen(name);
    return length > 4 && strcasecmp(name + length - 4, ".png") == 0;
}

/* What lies in a folder. Names that begin with a dot are passed over. */
typedef struct {
    Names folders, images;
    size_t others; /* files that are no PNGs */
} Listing;

static void listing_free(Listing *listing) {
    names_free(&listing->folders);
    names_free(&listing->images);
}

static Status listing_add(Listing *listing, const char *folder, const char *name, Error *error) {
    char path[DATA_PATH_LIMIT];
    Status status = join(path, folder, name, error);
    if (status) return status;
    bool inside = is_folder(path);
    if (!inside && !is_png(name)) {
        listing->others++;
        return STATUS_OK;
    }
    Names *names = inside ? &listing->folders : &listing->images;
    size_t limit = inside ? FOLDER_CLASS_LIMIT : FOLDER_FILE_LIMIT;
    if (names->count == limit)
        return error_set(error, STATUS_INVALID, "%s: more than %zu %s in it", folder, limit,
                         inside ? "folders" : "PNG files");
    return names_add(names, name) ? STATUS_OK : error_no_memory(error, "names of files");
}

/* In order of bytes, so that it does not depend on the file system or the user's language. */
static Status listing_read(const char *folder, Listing *listing, Error *error) {
    *listing = (Listing){.others = 0};
    DIR *stream = opendir(folder);
    if (!stream)
        return error_set(error, STATUS_IO, "%s: a folder of PNG files was expected: %s", folder,
                         strerror(errno));
    Status status = STATUS_OK;
    for (struct dirent *entry; !status && (entry = readdir(stream));)
        if (entry->d_name[0] != '.') status = listing_add(listing, folder, entry->d_name, error);
    closedir(stream);
    if (status) {
        listing_free(listing);
        return status;
    }
    if (listing->folders.count)
        qsort(listing->folders.names, listing->folders.count, sizeof(char *), compare_names);
    if (listing->images.count)
        qsort(listing->images.names, listing->images.count, sizeof(char *), compare_names);
    return STATUS_OK;
}

/* ---- which files --------------------------------------------------------------------------------------- */

typedef struct {
    Names paths;
    uint16_t *labels; /* (paths.count) */
    size_t label_room;
    Names classes; /* empty: unlabelled */
} Files;

static void files_free(Files *files) {
    names_free(&files->paths);
    names_free(&files->classes);
    memory_free(files->labels);
    files->labels = NULL;
}

/* Which files of a folder belong to the split. */
typedef struct {
    DataSplit split;
    bool hold_out; /* the folder has no splits of its own */
} Choice;

static bool chosen(Choice choice, size_t index) {
    bool held_out = index % FOLDER_HELD_OUT == FOLDER_HELD_OUT - 1;
    return !choice.hold_out || held_out == (choice.split == DATA_TEST);
}

static Status add_images(Files *files, const char *folder, const Names *images, uint16_t label, Choice choice,
                         Error *error) {
    for (size_t i = 0; i < images->count; i++) {
        if (!chosen(choice, i)) continue;
        char path[DATA_PATH_LIMIT];
        Status status = join(path, folder, images->names[i], error);
        if (status) return status;
        if (!memory_grow((void **)&files->labels, files->paths.count, &files->label_room,
                         sizeof *files->labels))
            return error_no_memory(error, "labels");
        files->labels[files->paths.count] = label;
        if (!names_add(&files->paths, path)) return error_no_memory(error, "names of files");
    }
    return STATUS_OK;
}

static Status add_class(Files *files, const char *root, const char *name, uint16_t label, Choice choice,
                        Error *error) {
    char folder[DATA_PATH_LIMIT];
    Status status = join(folder, root, name, error);
    if (status) return status;
    Listing listing;
    status = listing_read(folder, &listing, error);
    if (status) return status;
    if (listing.images.count == 0)
        status = error_set(error, STATUS_INVALID, "%s: PNG files of a class were expected, there are none",
                           folder);
    else
        status = add_images(files, folder, &listing.images, label, choice, error);
    listing_free(&listing);
    return status;
}

/* The label of a class folder: its place in the list of classes. */
static Status label_of(const Files *files, const char *root, const char *name, uint16_t *label,
                       Error *error) {
    for (size_t i = 0; i < files->classes.count; i++)
        if (strcmp(files->classes.names[i], name) == 0) {
            *label = (uint16_t)i;
            return STATUS_OK;
        }
    return error_set(error, STATUS_INVALID, "%s/%s: a class that the training images do not have", root,
                     name);
}

/* Lists the images of `root`, whose class folders must be among the files' classes. */
static Status add_root(Files *files, const char *root, const Listing *listing, Choice choice, Error *error) {
    if (listing->folders.count && listing->images.count)
        return error_set(
            error, STATUS_INVALID,
            "%s: either PNG files or one folder per class were expected, there are both (%zu files "
            "and %zu folders)",
            root, listing->images.count, listing->folders.count);
    if (!listing->folders.count && !listing->images.count)
        return error_set(error, STATUS_INVALID, "%s: no PNG files in it (and %zu other files)", root,
                         listing->others);
    if (!listing->folders.count && files->classes.count)
        return error_set(error, STATUS_INVALID,
                         "%s: one folder per class was expected, as for training; it has "
                         "%zu PNG files",
                         root, listing->images.count);
    if (!listing->folders.count) return add_images(files, root, &listing->images, 0, choice, error);
    Status status = STATUS_OK;
    for (size_t i = 0; i < listing->folders.count && !status; i++) {
        uint16_t label = 0;
        const char *name = listing->folders.names[i];
        status = label_of(files, root, name, &label, error);
        if (!status) status = add_class(files, root, name, label, choice, error);
    }
    return status;
}

/* Adds the files below `root`, a class's or all. */
static Status add_below(Files *files, const char *root, Choice choice, Error *error) {
    Listing listing;
    Status status = listing_read(root, &listing, error);
    if (status) return status;
    status = add_root(files, root, &listing, choice, error);
    listing_free(&listing);
    return status;
}

/* Finds the files of the split below `path`, and the names of the classes: those of training in all splits.
 */
static Status find_files(const char *path, DataSplit split, Files *files, Error *error) {
    char train[DATA_PATH_LIMIT], test[DATA_PATH_LIMIT];
    Status status = join(train, path, "train", error);
    if (!status) status = join(test, path, "test", error);
    if (status) return status;
    bool splits = is_folder(train) || is_folder(test);

    Listing classes;
    status = listing_read(splits ? train : path, &classes, error);
    if (status) return status;
    files->classes = classes.folders;
    classes.folders = (Names){.names = NULL};
    listing_free(&classes);
    Choice choice = {.split = split, .hold_out = !splits && split != DATA_ALL};
    if (!splits) status = add_below(files, path, choice, error);
    if (splits && split != DATA_TEST) status = add_below(files, train, choice, error);
    if (splits && !status && (split == DATA_TEST || (split == DATA_ALL && is_folder(test))))
        status = add_below(files, test, choice, error);
    if (!status && files->paths.count == 0)
        status =
            error_set(error, STATUS_INVALID,
                      "%s: too few files: of every %d one is held out for testing (or make folders train and "
                      "test in it)",
                      path, FOLDER_HELD_OUT);
    return status;
}

/* ---- their pixels -------------------------------------------------------------------------------------- */

static Status read_header(const char *path, PngHeader *header, Error *error) {
    uint8_t start[PNG_HEADER_BYTES];
    File file;
    Status status = file_open(&file, path, error);
    if (status) return status;
    size_t count = file.size < sizeof start ? file.size : sizeof start;
    status = file_read_next(&file, start, count, error);
    file_close(&file);
    return status ? status : png_header(path, start, count, header, error);
}

/* What was seen of the files, against what comes out. */
typedef struct {
    bool gray, color;
    bool resized, cropped;
    int64_t height, width; /* of the first that is resized */
    bool other_sizes;      /* those that are resized are not all of that size */
} Seen;

static void see(Seen *seen, const PngHeader *header, const Pictures *pictures) {
    *(header->channels == 3 ? &seen->color : &seen->gray) = true;
    if (header->height == pictures->height && header->width == pictures->width) return;
    if (!seen->resized) seen->height = header->height, seen->width = header->width;
    seen->resized = true;
    seen->cropped = seen->cropped || header->height != header->width;
    seen->other_sizes = seen->other_sizes || header->height != seen->height || header->width != seen->width;
}

static void write_note(const Seen *seen, Pictures *pictures) {
    char sizes[PICTURES_NOTE] = "";
    if (seen->resized)
        snprintf(sizes, sizeof sizes, "images of %lld×%lld%s are %sresized to %lld×%lld",
                 (long long)seen->width, (long long)seen->height, seen->other_sizes ? " and other sizes" : "",
                 seen->cropped ? "cropped to squares and " : "", (long long)pictures->width,
                 (long long)pictures->height);
    const char *colors = pictures->channels == 1 && seen->color  ? "images in color become gray"
                         : pictures->channels == 3 && seen->gray ? "gray images are taken as images in color"
                                                                 : "";
    snprintf(pictures->note, sizeof pictures->note, "%s%s%s", sizes, sizes[0] && colors[0] ? ", " : "",
             colors);
}

/* Looks at all headers: without a side asked for, all images must have one size. */
static Status measure(const Files *files, const DataOptions *options, Pictures *pictures, Error *error) {
    Seen seen = {.gray = false};
    for (size_t i = 0; i < files->paths.count; i++) {
        PngHeader header;
        Status status = read_header(files->paths.names[i], &header, error);
        if (status) return status;
        if (i == 0) {
            pictures->height = options->side ? options->side : header.height;
            pictures->width = options->side ? options->side : header.width;
        }
        if (!options->side && (header.height != pictures->height || header.width != pictures->width))
            return error_set(
                error, STATUS_INVALID,
                "%s: %lld×%lld pixels were expected, as in %s; it has %lld×%lld. Give a size to have "
                "all images resized",
                files->paths.names[i], (long long)pictures->width, (long long)pictures->height,
                files->paths.names[0], (long long)header.width, (long long)header.height);
        see(&seen, &header, pictures);
    }
    pictures->channels = options->channels ? options->channels : seen.color ? 3 : 1;
    pictures->count = (int64_t)files->paths.count;
    write_note(&seen, pictures);
    return STATUS_OK;
}

/* Keeps the middle square, packed in place. */
static void crop_square(Image *image) {
    int64_t side = image->height < image->width ? image->height : image->width;
    int64_t top = (image->height - side) / 2, left = (image->width - side) / 2;
    size_t row = (size_t)(side * image->channels);
    for (int64_t y = 0; y < side; y++)
        memmove(image->pixels + (size_t)y * row,
                image->pixels + ((top + y) * image->width + left) * image->channels, row);
    image->height = image->width = side;
}

/* Gray becomes three equal channels; color becomes its luma (ITU-R BT.601). In place: `pixels` has room. */
static void convert_channels(uint8_t *pixels, size_t count, int64_t from, int64_t to) {
    if (from == 1 && to == 3)
        for (size_t i = count; i-- > 0;) memset(pixels + 3 * i, pixels[i], 3);
    if (from == 3 && to == 1)
        for (size_t i = 0; i < count; i++) {
            const uint8_t *p = pixels + 3 * i;
            pixels[i] = (uint8_t)((299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000);
        }
}

/* Brings an image to the set's size and channels. `out` has room for 3 channels. */
static Status fit(Image *image, const Pictures *pictures, bool resize, uint8_t *out, const char *path,
                  Error *error) {
    size_t count = (size_t)(pictures->height * pictures->width);
    if (resize) {
        crop_square(image);
        image_resize(image->pixels, image->height, image->width, image->channels, out, pictures->height,
                     pictures->width);
    } else if (image->height == pictures->height && image->width == pictures->width) {
        memcpy(out, image->pixels, count * (size_t)image->channels);
    } else {
        return error_set(error, STATUS_IO, "%s: changed while it was read", path);
    }
    convert_channels(out, count, image->channels, pictures->channels);
    return STATUS_OK;
}

static Status read_pixels(const Files *files, bool resize, Pictures *pictures, Error *error) {
    size_t area = (size_t)(pictures->height * pictures->width), size = area * (size_t)pictures->channels;
    pictures->pixels = memory_new((size_t)pictures->count, size);
    uint8_t *fitted = memory_new(area, 3);
    Status status = pictures->pixels && fitted ? STATUS_OK : error_no_memory(error, "a folder's images");
    for (size_t i = 0; i < files->paths.count && !status; i++) {
        Image image;
        status = png_read(files->paths.names[i], &image, error);
        if (status) break;
        status = fit(&image, pictures, resize, fitted, files->paths.names[i], error);
        if (!status) memcpy(pictures->pixels + i * size, fitted, size);
        image_free(&image);
    }
    memory_free(fitted);
    return status;
}

Status folder_load(const DataOptions *options, Pictures *pictures, Error *error) {
    Files files = {.labels = NULL};
    Status status = find_files(options->path, options->split, &files, error);
    if (!status) status = measure(&files, options, pictures, error);
    if (!status) status = read_pixels(&files, options->side > 0, pictures, error);
    if (!status && files.classes.count) {
        pictures->classes = (int64_t)files.classes.count;
        pictures->class_names = files.classes.names;
        pictures->labels = files.labels;
        files.classes = (Names){.names = NULL};
        files.labels = NULL;
    }
    files_free(&files);
    return status;
}
