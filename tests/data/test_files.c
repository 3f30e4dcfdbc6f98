/* Files of published data sets: formats, damage, where they are looked for, and the real ones where they are
 * at hand (BROOD_DATA). */
#include "tests/data/made.h"

#include <zlib.h>

#include "gan/data/parts.h"

/* Parses a copy in memory of just its size, so that a sanitizer sees every byte read beyond it. */
static Status parse_idx(const uint8_t *bytes, size_t size, IdxArray *array, Error *error) {
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    Status status = idx_parse("made", copy, size, array, error);
    free(copy);
    return status;
}

static uint8_t *gzipped(const uint8_t *bytes, size_t size, size_t *packed) {
    z_stream stream = {.next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (unsigned)size};
    enum { GZIP = 16 + MAX_WBITS, MEMORY = 8 };
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, GZIP, MEMORY, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&stream, size);
    uint8_t *out = malloc(room);
    assert_non_null(out);
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *packed = room - stream.avail_out;
    deflateEnd(&stream);
    return out;
}

/* ---- IDX ----------------------------------------------------------------------------------------------- */

static void test_idx_plain_and_zipped(void **state) {
    (void)state;
    size_t size, packed;
    uint8_t *bytes = idx_bytes(3, (uint32_t[]){3, 5, 7}, 256, &size);
    uint8_t *zipped = gzipped(bytes, size, &packed);
    for (int round = 0; round < 2; round++) {
        IdxArray array;
        Error error;
        assert_int_equal(parse_idx(round ? zipped : bytes, round ? packed : size, &array, &error), STATUS_OK);
        assert_int_equal(array.rank, 3);
        assert_int_equal(array.size[0], 3);
        assert_int_equal(array.size[1], 5);
        assert_int_equal(array.size[2], 7);
        for (int i = 0; i < 105; i++) assert_int_equal(array.values[i], i);
        memory_free(array.values);
    }
    free(bytes);
    free(zipped);
}

static void test_idx_cut_off_anywhere(void **state) {
    (void)state;
    size_t size, packed;
    uint8_t *bytes = idx_bytes(3, (uint32_t[]){4, 28, 28}, 251, &size),
            *zipped = gzipped(bytes, size, &packed);
    IdxArray array;
    Error error;
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(parse_idx(bytes, cut, &array, &error), STATUS_CORRUPT);
        ASSERT_SAYS(&error, STATUS_CORRUPT, "made: truncated");
        assert_null(array.values);
    }
    for (size_t cut = 0; cut < packed; cut++) {
        assert_int_equal(parse_idx(zipped, cut, &array, &error), STATUS_CORRUPT);
        assert_null(array.values);
    }
    parse_idx(bytes, size - 1, &array, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "promises 3136 bytes", "there are 3135");
    parse_idx(zipped, packed / 2, &array, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "truncated", "promises 3136 bytes");
    free(bytes);
    free(zipped);
}

static void test_idx_lies_and_damage(void **state) {
    (void)state;
    IdxArray array;
    Error error;
    static const uint8_t FLOATS[] = {0, 0, 0x0d, 1, 0, 0, 0, 1, 0, 0, 0, 0};
    parse_idx(FLOATS, sizeof FLOATS, &array, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "not an IDX file", "00 00 0d 01");
    static const uint8_t HUGE[] = {0,    0,    8,    3,    0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    parse_idx(HUGE, sizeof HUGE, &array, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "promises more than 1073741824 bytes");

    /* zero times huge is nothing, not an overflow */
    static const uint8_t NOTHING[] = {0, 0, 8, 3, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(parse_idx(NOTHING, sizeof NOTHING, &array, &error), STATUS_OK);
    memory_free(array.values);

    static const uint8_t LARGE[] = {0, 0, 8, 1, 0x3f, 0xff, 0xff, 0xff, 1, 2, 3};
    size_t packed, size;
    uint8_t *zipped = gzipped(LARGE, sizeof LARGE, &packed);
    parse_idx(zipped, packed, &array, &error); /* refused before a gigabyte is asked for */
    ASSERT_SAYS(&error, STATUS_CORRUPT, "promises 1073741823 bytes", "at most");
    free(zipped);

    uint8_t *bytes = idx_bytes(1, (uint32_t[]){100}, 256, &size);
    bytes = realloc(bytes, size + 1);
    assert_non_null(bytes);
    bytes[size] = 0;
    parse_idx(bytes, size + 1, &array, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "something else follows");
    zipped = gzipped(bytes, size, &packed);
    zipped[packed - 5] ^= 1; /* within the check sum */
    parse_idx(zipped, packed, &array, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "damaged");
    zipped[12] ^= 0xff; /* within the data */
    parse_idx(zipped, packed, &array, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "made: ");
    free(zipped);
    free(bytes);
}

/* ---- CIFAR-10 ------------------------------------------------------------------------------------------ */

static void test_cifar_records(void **state) {
    (void)state;
    uint8_t *bytes = malloc(2 * CIFAR_RECORD);
    assert_non_null(bytes);
    for (size_t i = 0; i < 2 * CIFAR_RECORD; i++) bytes[i] = (uint8_t)(i / 1000);
    bytes[0] = 9;
    bytes[CIFAR_RECORD] = 4;
    bytes[1] = 11, bytes[1 + 1024] = 22, bytes[1 + 2048] = 33;         /* the first pixel's planes */
    bytes[CIFAR_RECORD - 1] = 66, bytes[CIFAR_RECORD - 1 - 1024] = 55; /* the last one's */
    Pictures pictures = {.count = 0};
    Error error;
    assert_int_equal(cifar_parse("made", bytes, 2 * CIFAR_RECORD, &pictures, &error), STATUS_OK);
    assert_int_equal(cifar_parse("made", bytes, CIFAR_RECORD, &pictures, &error), STATUS_OK);
    assert_int_equal(pictures.count, 3);
    assert_int_equal(pictures.labels[0], 9);
    assert_int_equal(pictures.labels[1], 4);
    assert_int_equal(pictures.labels[2], 9);
    assert_memory_equal(pictures.pixels, ((uint8_t[]){11, 22, 33}), 3);
    assert_int_equal(pictures.pixels[3071], 66);
    assert_int_equal(pictures.pixels[3070], 55);
    assert_memory_equal(pictures.pixels, pictures.pixels + 2 * CIFAR_PIXELS, CIFAR_PIXELS);

    cifar_parse("made", bytes, CIFAR_RECORD + 7, &pictures, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "made: ", "3073 bytes", "3080 bytes are 1 of them and 7 more");
    cifar_parse("made", bytes, 0, &pictures, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "truncated");
    bytes[CIFAR_RECORD] = 10;
    cifar_parse("made", bytes, 2 * CIFAR_RECORD, &pictures, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "labels 0 to 9", "record 2 has 10");
    assert_int_equal(pictures.count, 3);
    pictures_free(&pictures);
    free(bytes);
}

/* ---- where files are looked for ------------------------------------------------------------------------ */

/* Runs in a folder of its own, with the environment's places empty. */
static int places_up(void **state) {
    if (folder_up(state)) return -1;
    setenv("XDG_DATA_HOME", path_in(*state, "home"), 1);
    unsetenv("BROOD_DATA");
    return chdir(*state);
}

static int places_down(void **state) {
    return chdir("/") || folder_down(state);
}

static Dataset *open_kind(DataKind kind, Error *error) {
    DataOptions options = data_options(kind);
    return dataset_open(&options, error);
}

static void assert_opens(DataKind kind, int64_t count) {
    Error error = {.status = STATUS_OK};
    Dataset *set = open_kind(kind, &error);
    if (!set) print_error("%s\n", error.message);
    assert_non_null(set);
    assert_int_equal(set->count, count);
    dataset_free(set);
}

static void test_missing_files_name_places_and_command(void **state) {
    Error error;
    setenv("BROOD_DATA", "/no/such/place", 1);
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_IO, "mnist", "`brood fetch mnist`", "train-images-idx3-ubyte", "\n  data\n",
                "/no/such/place", path_in(*state, "home/brood"));
    assert_null(open_kind(DATA_FASHION_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_IO, "`brood fetch fashion_mnist`");
    assert_null(open_kind(DATA_STACKED_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_IO, "`brood fetch mnist`");
    assert_null(open_kind(DATA_CIFAR10, &error));
    ASSERT_SAYS(&error, STATUS_IO, "`brood fetch cifar10`", "data_batch_1.bin");
}

static void test_every_place_is_searched(void **state) {
    const char *home = *state;
    make_folder("data");
    make_folder("data/mnist");
    make_mnist("data/mnist", "train", 12);
    assert_opens(DATA_MNIST, 12);

    make_folder(path_in(home, "elsewhere"));
    setenv("BROOD_DATA", path_in(home, "elsewhere"), 1);
    assert_opens(DATA_MNIST, 12); /* `data` comes first */
    assert_int_equal(rename("data", "gone"), 0);
    make_mnist(path_in(home, "elsewhere"), "train", 13); /* in the place itself */
    assert_opens(DATA_MNIST, 13);
    make_folder(path_in(home, "elsewhere/mnist"));
    make_mnist(path_in(home, "elsewhere/mnist"), "train", 14); /* the folder before the place */
    assert_opens(DATA_MNIST, 14);

    unsetenv("BROOD_DATA");
    make_folder(path_in(home, "home"));
    make_folder(path_in(home, "home/brood"));
    make_folder(path_in(home, "home/brood/mnist"));
    make_mnist(path_in(home, "home/brood/mnist"), "train", 15);
    assert_opens(DATA_MNIST, 15);

    make_mnist(home, "train", 16);
    DataOptions options = data_options(DATA_MNIST);
    options.path = home; /* what the script says comes before all */
    Error error;
    Dataset *set = dataset_open(&options, &error);
    assert_non_null(set);
    assert_int_equal(set->count, 16);
    dataset_free(set);
}

static void test_fashion_is_never_mistaken_for_mnist(void **state) {
    setenv("BROOD_DATA", *state, 1);
    make_mnist(*state, "train", 12);
    Error error;
    assert_null(open_kind(DATA_FASHION_MNIST, &error));
    make_folder("fashion_mnist");
    make_mnist("fashion_mnist", "train", 13);
    assert_opens(DATA_FASHION_MNIST, 13);
    assert_opens(DATA_MNIST, 12);
}

static void test_half_a_pair_is_named(void **state) {
    setenv("BROOD_DATA", *state, 1);
    make_mnist(*state, "train", 12);
    assert_int_equal(remove("train-labels-idx1-ubyte"), 0);
    Error error;
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_IO, "has train-images-idx3-ubyte but not train-labels-idx1-ubyte");
}

static void test_pairs_that_do_not_match(void **state) {
    setenv("BROOD_DATA", *state, 1);
    Error error;
    size_t size;
    make_mnist(*state, "train", 12);
    uint8_t *bytes = idx_bytes(1, (uint32_t[]){11}, 10, &size);
    make_file("train-labels-idx1-ubyte", bytes, size);
    free(bytes);
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_CORRUPT, "train-labels", "12 labels were expected", "it has 11");

    bytes = idx_bytes(1, (uint32_t[]){12}, 11, &size);
    make_file("train-labels-idx1-ubyte", bytes, size);
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_CORRUPT, "train-labels", "labels 0 to 9", "number 11 is 10");
    make_file("train-images-idx3-ubyte", bytes, size);
    free(bytes);
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_CORRUPT, "train-images", "rank 3 was expected", "is 1");

    bytes = idx_bytes(3, (uint32_t[]){12, 27, 28}, 10, &size);
    make_file("train-images-idx3-ubyte", bytes, size);
    free(bytes);
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_CORRUPT, "28×28 pixels were expected", "27×28");
}

static void test_no_regular_file(void **state) {
    setenv("BROOD_DATA", *state, 1);
    make_folder("train-images-idx3-ubyte");
    make_folder("train-labels-idx1-ubyte");
    Error error;
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_IO, "train-images", "something else");
    assert_int_equal(remove("train-images-idx3-ubyte"), 0);
    assert_int_equal(mkfifo("train-images-idx3-ubyte", 0666), 0); /* and nobody waits for a writer */
    assert_null(open_kind(DATA_MNIST, &error));
    ASSERT_SAYS(&error, STATUS_IO, "something else");
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

static void test_sums(void **state) {
    const DataFile sha = {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", false};
    const DataFile md5 = {"abc", "900150983cd24fb0d6963f7d28e17f72", false};
    DataFile unzipped = sha;
    unzipped.unzipped = true;
    const char *path = path_in(*state, "abc");
    Error error;
    make_file(path, "abc", 3);
    assert_int_equal(data_check_file(&sha, path, &error), STATUS_OK);
    assert_int_equal(data_check_file(&md5, path, &error), STATUS_OK);
    assert_int_equal(data_check_file(&unzipped, path, &error), STATUS_OK);
    size_t packed;
    uint8_t *zipped = gzipped((const uint8_t *)"abc", 3, &packed);
    make_file(path, zipped, packed);
    assert_int_equal(data_check_file(&unzipped, path, &error), STATUS_OK);
    assert_int_equal(data_check_file(&sha, path, &error), STATUS_CORRUPT);
    make_file(path, zipped, packed - 6);
    assert_int_equal(data_check_file(&unzipped, path, &error), STATUS_CORRUPT);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "truncated");
    free(zipped);
    make_file(path, "abd", 3);
    data_check_file(&md5, path, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, path, "MD5", md5.digest, "4911e516e5aa21d327512e0c8b197616");
    data_check_file(&md5, path_in(*state, "nothing"), &error);
    ASSERT_SAYS(&error, STATUS_IO, "No such file");
}

static void test_downloads_are_complete(void **state) {
    (void)state;
    for (int kind = 0; kind < DATA_KINDS; kind++) {
        const DataDownload *download = data_download((DataKind)kind);
        if (!download) continue;
        assert_non_null(download->mirrors[0]);
        for (size_t i = 0; i < download->file_count; i++) {
            size_t digits = strlen(download->files[i].digest);
            assert_true(digits == 32 || digits == 64);
        }
    }
    assert_ptr_equal(data_download(DATA_STACKED_MNIST), data_download(DATA_MNIST));
    assert_null(data_download(DATA_DIGITS));
    assert_null(data_download(DATA_FOLDER));
}

/* ---- the real files ------------------------------------------------------------------------------------ */

static const char *given_data; /* BROOD_DATA as the tests were started with */

/* A real data set, or NULL when its files are not at hand. */
static Dataset *open_real(DataKind kind, DataSplit split) {
    if (!given_data) return NULL;
    setenv("BROOD_DATA", given_data, 1);
    DataOptions options = data_options(kind);
    options.split = split;
    Error error;
    return dataset_open(&options, &error);
}

static void test_real_mnist(void **state) {
    (void)state;
    Dataset *train = open_real(DATA_MNIST, DATA_TRAIN), *test = open_real(DATA_MNIST, DATA_TEST);
    if (!train || !test) skip();
    static const int64_t TRAIN[] = {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949};
    assert_int_equal(train->count, 60000);
    assert_int_equal(test->count, 10000);
    assert_memory_equal(train->histogram, TRAIN, sizeof TRAIN);
    assert_false(train->lopsided);
    assert_int_equal(train->height, 32);
    assert_true(dataset_memory(train) < 50 * 1000 * 1000);
    uint8_t pixels[32 * 32];
    assert_int_equal(dataset_get(train, 0, pixels), 5); /* the five that begins MNIST */
    assert_int_equal(dataset_get(test, 0, pixels), 7);
    dataset_free(train);
    dataset_free(test);
}

static void test_real_cifar10(void **state) {
    (void)state;
    Dataset *train = open_real(DATA_CIFAR10, DATA_TRAIN), *test = open_real(DATA_CIFAR10, DATA_TEST);
    if (!train || !test) skip();
    assert_int_equal(train->count, 50000);
    assert_int_equal(test->count, 10000);
    assert_int_equal(train->channels, 3);
    for (int i = 0; i < 10; i++) assert_int_equal(train->histogram[i], 5000);
    dataset_free(train);
    dataset_free(test);
}

int main(void) {
    if (getenv("BROOD_DATA")) given_data = realpath(getenv("BROOD_DATA"), NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx_plain_and_zipped),
        cmocka_unit_test(test_idx_cut_off_anywhere),
        cmocka_unit_test(test_idx_lies_and_damage),
        cmocka_unit_test(test_cifar_records),
        cmocka_unit_test_setup_teardown(test_missing_files_name_places_and_command, places_up, places_down),
        cmocka_unit_test_setup_teardown(test_every_place_is_searched, places_up, places_down),
        cmocka_unit_test_setup_teardown(test_fashion_is_never_mistaken_for_mnist, places_up, places_down),
        cmocka_unit_test_setup_teardown(test_half_a_pair_is_named, places_up, places_down),
        cmocka_unit_test_setup_teardown(test_pairs_that_do_not_match, places_up, places_down),
        cmocka_unit_test_setup_teardown(test_no_regular_file, places_up, places_down),
        cmocka_unit_test_setup_teardown(test_sums, folder_up, folder_down),
        cmocka_unit_test(test_downloads_are_complete),
        cmocka_unit_test_setup_teardown(test_real_mnist, places_up, places_down),
        cmocka_unit_test_setup_teardown(test_real_cifar10, places_up, places_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
