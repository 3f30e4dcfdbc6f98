/* Every allocation that fails, one after the other: each time a clean error, nothing lost, nothing harmed. */
#include "tests/data/made.h"

#include "gan/data/data.h"
#include "gan/data/image.h"
#include "tests/support/alloc.h"

/* Carries out the deed with its first, second, ... allocation refused, until one succeeds unhindered. */
static void refuse_each(Status (*deed)(const char *folder, Error *error), const char *folder) {
    enum { ENOUGH = 10000 };
    size_t nth = 1;
    for (; nth < ENOUGH; nth++) {
        ptrdiff_t live = alloc_live();
        Error error = {.status = STATUS_OK};
        alloc_refuse(nth, nth % 2 == 0);
        Status status = deed(folder, &error);
        bool refused = alloc_refused();
        alloc_refuse(0, false);
        assert_int_equal(alloc_live(), live);
        if (!refused) {
            assert_int_equal(status, STATUS_OK);
            break;
        }
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_int_equal(error.status, STATUS_NO_MEMORY);
        assert_memory_equal(error.message, "out of memory", 13);
    }
    assert_in_range(nth, 2, ENOUGH - 1);
}

static Status open_and_part(const DataOptions *options, Error *error) {
    Dataset *set = dataset_open(options, error);
    if (!set) return error->status;
    Dataset *part = dataset_part(set, 0, 2, error);
    dataset_free(set);
    if (!part) return error->status;
    dataset_free(part);
    return STATUS_OK;
}

static Status open_digits(const char *folder, Error *error) {
    (void)folder;
    DataOptions options = data_options(DATA_DIGITS);
    return open_and_part(&options, error);
}

static Status open_ring(const char *folder, Error *error) {
    (void)folder;
    DataOptions options = data_options(DATA_RING);
    return open_and_part(&options, error);
}

static Status open_mnist(const char *folder, Error *error) {
    DataOptions options = data_options(DATA_MNIST);
    options.path = folder;
    options.classes = (int64_t[]){1, 3};
    options.class_count = 2;
    return open_and_part(&options, error);
}

static Status open_folder(const char *folder, Error *error) {
    DataOptions options = data_options(DATA_FOLDER);
    options.path = folder;
    options.side = 8;
    return open_and_part(&options, error);
}

static Status draw_sheets(const char *folder, Error *error) {
    real values[4 * 9] = {0};
    Image sheet, read;
    GridStyle style = grid_style();
    Status status = grid_of_reals(&style, 4, 3, 3, 1, values, &sheet, error);
    if (status) return status;
    char path[2 * PATH];
    snprintf(path, sizeof path, "%s/sheet.png", folder);
    status = png_write(path, &sheet, error);
    image_free(&sheet);
    if (!status) status = png_read(path, &read, error);
    if (status) return status;
    image_free(&read);
    ScatterStyle plain = scatter_style(1);
    status = scatter_plot(&plain, values, 2, values, 2, &sheet, NULL, error);
    image_free(&sheet);
    return status;
}

static void test_drawn(void **state) {
    refuse_each(open_digits, *state);
    refuse_each(open_ring, *state);
}

static void test_mnist(void **state) {
    make_mnist(*state, "train", 30);
    refuse_each(open_mnist, *state);
}

static void test_folder(void **state) {
    static const char *const NAMES[] = {"a", "b"}, *const FILES[] = {"a/1.png", "b/1.png"};
    Image image;
    Error error;
    assert_int_equal(image_new(&image, 5, 9, 3, &error), STATUS_OK);
    for (int i = 0; i < 2; i++) {
        make_folder(path_in(*state, NAMES[i]));
        assert_int_equal(png_write(path_in(*state, FILES[i]), &image, &error), STATUS_OK);
    }
    image_free(&image);
    refuse_each(open_folder, *state);
}

static void test_sheets(void **state) {
    refuse_each(draw_sheets, *state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_drawn, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_mnist, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_folder, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_sheets, folder_up, folder_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
