/* A folder of PNG files as a data set. */
#include "tests/data/made.h"

#include "gan/data/data.h"
#include "gan/data/image.h"

/* A PNG all of one gray, or of that gray in red only. */
static void make_image(const char *path, int64_t height, int64_t width, int64_t channels, uint8_t level) {
    Image image;
    Error error;
    assert_int_equal(image_new(&image, height, width, channels, &error), STATUS_OK);
    for (int64_t i = 0; i < height * width; i++) image.pixels[i * channels] = level;
    assert_int_equal(png_write(path, &image, &error), STATUS_OK);
    image_free(&image);
}

static DataOptions folder_options(const char *path) {
    DataOptions options = data_options(DATA_FOLDER);
    options.path = path;
    return options;
}

static Dataset *open_ok(const DataOptions *options) {
    Error error = {.status = STATUS_OK};
    Dataset *set = dataset_open(options, &error);
    if (!set) print_error("%s\n", error.message);
    assert_non_null(set);
    return set;
}

static void open_fails(const DataOptions *options, Error *error) {
    Dataset *set = dataset_open(options, error);
    assert_null(set);
}

static int first_byte(const Dataset *set, int64_t index, int64_t *label) {
    uint8_t pixels[4096];
    assert_true(set->height * set->width * set->channels <= (int64_t)sizeof pixels);
    *label = dataset_get(set, index, pixels);
    return pixels[0];
}

/* `count` images 0.png, 1.png, ... of levels base, base + 1, ... */
static void make_images(const char *where, int count, int base) {
    char folder[PATH]; /* `where` may be one of path_in's buffers */
    snprintf(folder, sizeof folder, "%s", where);
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%02d.png", i);
        make_image(path_in(folder, name), 8, 10, 1, (uint8_t)(base + i));
    }
}

static void test_unlabelled(void **state) {
    make_images(*state, 25, 100);
    make_file(path_in(*state, "notes.txt"), "x", 1);
    make_file(path_in(*state, ".hidden.png"), "x", 1);
    DataOptions options = folder_options(*state);
    Dataset *set = open_ok(&options);
    assert_int_equal(set->count, 23); /* the 10th and the 20th are for testing */
    assert_int_equal(set->classes, 0);
    assert_false(set->lopsided);
    assert_int_equal(set->height, 8);
    assert_int_equal(set->width, 10);
    assert_int_equal(set->channels, 1);
    int64_t label;
    assert_int_equal(first_byte(set, 8, &label), 108);
    assert_int_equal(first_byte(set, 9, &label), 110);
    assert_int_equal(label, 0);
    char text[DATASET_TEXT];
    assert_string_equal(dataset_text(set, text), "folder: 23 training images of 8×10×1, unlabelled");
    dataset_free(set);
    options.split = DATA_TEST;
    set = open_ok(&options);
    assert_int_equal(set->count, 2);
    assert_int_equal(first_byte(set, 1, &label), 119);
    dataset_free(set);
    options.split = DATA_ALL;
    set = open_ok(&options);
    assert_int_equal(set->count, 25);
    assert_int_equal(first_byte(set, 9, &label), 109);
    assert_string_equal(dataset_text(set, text), "folder: 25 images of 8×10×1, unlabelled");
    assert_string_equal(dataset_note(set), "");
    dataset_free(set);
    options.kind = DATA_DIGITS;
    Error error;
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "digits: training or test images were expected");
}

static void test_class_folders(void **state) {
    static const char *const NAMES[] = {"cats", "ants", "bees"}; /* listed in order of name */
    for (int i = 0; i < 3; i++) {
        make_folder(path_in(*state, NAMES[i]));
        make_images(path_in(*state, NAMES[i]), 4 + i, 50 * i);
    }
    DataOptions options = folder_options(*state);
    Dataset *set = open_ok(&options);
    assert_int_equal(set->classes, 3);
    assert_string_equal(set->class_names[0], "ants");
    assert_string_equal(set->class_names[2], "cats");
    assert_int_equal(set->histogram[0], 5);
    assert_int_equal(set->histogram[1], 6);
    assert_int_equal(set->histogram[2], 4);
    int64_t label;
    assert_int_equal(first_byte(set, 0, &label), 50);
    assert_int_equal(label, 0);
    assert_int_equal(first_byte(set, 14, &label), 3);
    assert_int_equal(label, 2);
    dataset_free(set);

    options.classes = (int64_t[]){2, 0};
    options.class_count = 2;
    set = open_ok(&options);
    assert_int_equal(set->count, 9);
    assert_string_equal(set->class_names[0], "cats");
    assert_string_equal(set->class_names[1], "ants");
    first_byte(set, 0, &label);
    assert_int_equal(label, 1);
    dataset_free(set);

    options.class_count = 0;
    options.split = DATA_TEST;
    Error error;
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "too few files");
}

static void test_train_and_test_folders(void **state) {
    make_folder(path_in(*state, "train"));
    make_folder(path_in(*state, "train/a"));
    make_folder(path_in(*state, "train/b"));
    make_folder(path_in(*state, "test"));
    make_folder(path_in(*state, "test/b"));
    make_images(path_in(*state, "train/a"), 30, 0);
    make_images(path_in(*state, "train/b"), 10, 100);
    make_images(path_in(*state, "test/b"), 5, 200);
    DataOptions options = folder_options(*state);
    Dataset *set = open_ok(&options);
    assert_int_equal(set->count, 40);
    assert_true(set->lopsided);
    dataset_free(set);
    options.split = DATA_TEST;
    set = open_ok(&options);
    assert_int_equal(set->count, 5);
    int64_t label;
    assert_int_equal(first_byte(set, 0, &label), 200);
    assert_int_equal(label, 1); /* the class's number in training */
    dataset_free(set);
    options.split = DATA_ALL;
    set = open_ok(&options);
    assert_int_equal(set->count, 45);
    assert_int_equal(first_byte(set, 44, &label), 204);
    assert_int_equal(label, 1);
    dataset_free(set);
    make_folder(path_in(*state, "test/c"));
    Error error;
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "test/c", "do not have");
}

static void test_resized_and_recolored(void **state) {
    make_image(path_in(*state, "a.png"), 8, 8, 1, 200);
    make_image(path_in(*state, "b.png"), 30, 10, 3, 200);
    DataOptions options = folder_options(*state);
    Error error;
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "b.png", "8×8 pixels were expected", "a.png", "10×30", "Give a size");
    options.side = 16;
    Dataset *set = open_ok(&options);
    assert_int_equal(set->channels, 3); /* since one file has color */
    assert_int_equal(set->height, 16);
    uint8_t pixels[16 * 16 * 3];
    dataset_get(set, 0, pixels);
    assert_memory_equal(pixels, ((uint8_t[]){200, 200, 200}), 3);
    dataset_get(set, 1, pixels);
    assert_memory_equal(pixels, ((uint8_t[]){200, 0, 0}), 3);
    assert_string_equal(
        dataset_note(set),
        "images of 8×8 and other sizes are cropped to squares and resized to 16×16, gray images "
        "are taken as images in color");
    dataset_free(set);
    options.channels = 1;
    set = open_ok(&options);
    dataset_get(set, 1, pixels);
    assert_int_equal(pixels[255], 60); /* 0.299 · 200 */
    assert_non_null(strstr(dataset_note(set), "16×16, images in color become gray"));
    dataset_free(set);
    assert_int_equal(remove(path_in(*state, "b.png")), 0);
    set = open_ok(&options);
    assert_string_equal(dataset_note(set), "images of 8×8 are resized to 16×16");
    dataset_free(set);
}

/* A wide image: its middle square is kept. */
static void test_middle_square(void **state) {
    Image image;
    Error error;
    assert_int_equal(image_new(&image, 8, 24, 1, &error), STATUS_OK);
    for (int i = 0; i < 8 * 24; i++) image.pixels[i] = i % 24 >= 8 && i % 24 < 16 ? 250 : 7;
    assert_int_equal(png_write(path_in(*state, "wide.png"), &image, &error), STATUS_OK);
    image_free(&image);
    DataOptions options = folder_options(*state);
    options.side = 8;
    Dataset *set = open_ok(&options);
    uint8_t pixels[64];
    dataset_get(set, 0, pixels);
    for (int i = 0; i < 64; i++) assert_int_equal(pixels[i], 250);
    dataset_free(set);
}

static void hash_of(const DataOptions *options, int64_t parts, char hash[FILE_HASH]) {
    Error error;
    Dataset *set = open_ok(options), *part = dataset_part(set, 0, parts, &error);
    assert_int_equal(dataset_hash(parts > 1 ? part : set, hash, &error), STATUS_OK);
    dataset_free(set);
    dataset_free(part);
}

/* Every pixel and label counts, and the names of files do not. */
static void test_hash(void **state) {
    static const char *const CLASSES[] = {"a", "b"};
    char hash[FILE_HASH], other[FILE_HASH];
    for (int i = 0; i < 2; i++) {
        make_folder(path_in(*state, CLASSES[i]));
        make_images(path_in(*state, CLASSES[i]), 3, 10 * i);
    }
    DataOptions options = folder_options(*state);
    hash_of(&options, 1, hash);
    hash_of(&options, 2, other);
    assert_string_not_equal(hash, other);
    options.flip = true;
    hash_of(&options, 1, other);
    assert_string_not_equal(hash, other);
    options.flip = false;
    assert_int_equal(rename(path_in(*state, "b/02.png"), path_in(*state, "b/03.png")), 0);
    hash_of(&options, 1, other);
    assert_string_equal(hash, other);
    assert_int_equal(rename(path_in(*state, "a/02.png"), path_in(*state, "b/00-first.png")), 0);
    hash_of(&options, 1, other); /* the same pixels in the same order */
    assert_string_not_equal(hash, other);
    assert_int_equal(rename(path_in(*state, "b/00-first.png"), path_in(*state, "a/02.png")), 0);
    make_image(path_in(*state, "b/03.png"), 8, 10, 1, 13);
    hash_of(&options, 1, other);
    assert_string_not_equal(hash, other);
}

static void test_what_is_wrong_is_said(void **state) {
    DataOptions options = folder_options(*state);
    Error error;
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, *state, "no PNG files");
    make_file(path_in(*state, "picture.jpg"), "x", 1);
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "no PNG files", "1 other files");
    make_file(path_in(*state, "broken.png"), "x", 1);
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "broken.png", "not a PNG file");
    assert_int_equal(remove(path_in(*state, "broken.png")), 0);

    make_images(*state, 3, 0);
    make_folder(path_in(*state, "class"));
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "either PNG files or one folder per class", "3 files and 1 folders");
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "%02d.png", i);
        assert_int_equal(remove(path_in(*state, name)), 0);
    }
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, path_in(*state, "class"), "there are none");

    options.path = path_in(*state, "nowhere");
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_IO, "nowhere", "No such file or directory");
    options.path = NULL;
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "path of a folder was expected");
}

static void test_truncated_image_among_good_ones(void **state) {
    make_images(*state, 5, 0);
    size_t size;
    uint8_t *bytes = file_content(path_in(*state, "03.png"), &size);
    make_file(path_in(*state, "03.png"), bytes, size - 20);
    free(bytes);
    DataOptions options = folder_options(*state);
    Error error;
    open_fails(&options, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "03.png", "truncated");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unlabelled, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_class_folders, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_train_and_test_folders, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_resized_and_recolored, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_middle_square, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_hash, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_is_said, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_truncated_image_among_good_ones, folder_up, folder_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
