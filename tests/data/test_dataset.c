/* What every kind of data set promises: samples, batches, epochs, parts, classes. */
#include "tests/data/made.h"

#include <math.h>

#include "gan/data/data.h"
#include "gan/data/image.h"

enum { BATCH = 16, KEY = 99, MADE = 50, PIXELS = 32 * 32 * 3 };

/* MNIST's files, made: image i begins with pixel i·784 mod 251. */
static int made_up(void **state) {
    if (folder_up(state)) return -1;
    setenv("BROOD_DATA", *state, 1);
    make_mnist(*state, "train", MADE);
    make_mnist(*state, "t10k", 20);
    return chdir(*state);
}

static int made_down(void **state) {
    return chdir("/") || folder_down(state);
}

static Dataset *open_ok(const DataOptions *options) {
    Error error = {.status = STATUS_OK};
    Dataset *set = dataset_open(options, &error);
    if (!set) print_error("%s\n", error.message);
    assert_non_null(set);
    return set;
}

static Dataset *open_kind(DataKind kind, DataSplit split) {
    DataOptions options = data_options(kind);
    options.split = split;
    return open_ok(&options);
}

/* ---- samples ------------------------------------------------------------------------------------------- */

static void test_mnist_is_padded_unless_told(void **state) {
    (void)state;
    DataOptions options = data_options(DATA_MNIST);
    Dataset *padded = open_ok(&options);
    options.side = 28;
    Dataset *plain = open_ok(&options);
    options.side = 16;
    Dataset *small = open_ok(&options);
    options.side = 64;
    Dataset *large = open_ok(&options);
    uint8_t a[32 * 32], b[28 * 28], c[16 * 16], d[64 * 64];
    for (int64_t index = 0; index < MADE; index += 7) {
        assert_int_equal(dataset_get(padded, index, a), index % 10);
        assert_int_equal(dataset_get(plain, index, b), index % 10);
        dataset_get(small, index, c);
        dataset_get(large, index, d);
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++) {
                bool inside = y >= 2 && y < 30 && x >= 2 && x < 30;
                assert_int_equal(a[y * 32 + x], inside ? b[(y - 2) * 28 + x - 2] : 0);
                assert_int_equal(a[y * 32 + x], d[(2 * y + 1) * 64 + 2 * x]);
            }
        assert_int_equal(b[5], (index * 784 + 5) % 251);
        assert_int_equal(c[5 * 16 + 6],
                         (a[10 * 32 + 12] + a[10 * 32 + 13] + a[11 * 32 + 12] + a[11 * 32 + 13] + 2) / 4);
    }
    dataset_free(padded);
    dataset_free(plain);
    dataset_free(small);
    dataset_free(large);
}

/* The reals are the bytes, wherever they lie: the conversion works within the place of its result. */
static void test_reals_are_the_bytes(void **state) {
    (void)state;
    for (int kind = 0; kind < DATA_FOLDER; kind++) {
        if (kind == DATA_FASHION_MNIST || kind == DATA_CIFAR10) continue;
        Dataset *set = open_kind((DataKind)kind, DATA_TEST);
        static real samples[3 * PIXELS], expected[PIXELS], labels[3];
        static uint8_t bytes[PIXELS];
        dataset_range(set, 4, 3, samples, labels);
        size_t size = (size_t)(set->height * set->width * set->channels);
        for (int i = 0; i < 3; i++) {
            int64_t label = dataset_get(set, 4 + i, bytes);
            bytes_to_image(bytes, size, expected);
            assert_memory_equal(samples + (size_t)i * size, expected, size * sizeof *expected);
            assert_true(labels[i] == (real)label);
        }
        dataset_free(set);
    }
}

static void test_splits_have_nothing_in_common(void **state) {
    (void)state;
    DataOptions options = data_options(DATA_DIGITS);
    options.count = 1000;
    Dataset *train = open_ok(&options);
    options.split = DATA_TEST;
    Dataset *test = open_ok(&options);
    uint8_t a[1024], b[1024];
    for (int64_t i = 0; i < 50; i++) {
        dataset_get(train, i, a);
        dataset_get(test, i, b);
        assert_memory_not_equal(a, b, sizeof a);
    }
    dataset_free(train);
    dataset_free(test);
}

/* ---- batches ------------------------------------------------------------------------------------------- */

/* Which of the made images a sample is: their first pixels differ. */
static int64_t which(const Dataset *set, const real *sample) {
    uint8_t first;
    image_to_bytes(sample + 2 * set->width + 2, 1, &first);
    for (int64_t i = 0; i < MADE; i++)
        if (i * 784 % 251 == first) return i;
    return -1;
}

static void test_an_epoch_holds_each_sample_once(void **state) {
    (void)state;
    Dataset *set = open_kind(DATA_MNIST, DATA_TRAIN);
    static real samples[BATCH * 1024], labels[BATCH];
    int64_t order[4][MADE];
    int seen[4][MADE] = {{0}};
    for (uint64_t counter = 0; counter * BATCH < 4 * MADE; counter++) {
        dataset_batch(set, KEY, counter, BATCH, samples, labels);
        for (size_t i = 0; i < BATCH && counter * BATCH + i < 4 * MADE; i++) {
            uint64_t position = counter * BATCH + i;
            int64_t index = which(set, samples + i * 1024);
            assert_in_range(index, 0, MADE - 1);
            assert_true(labels[i] == (real)(index % 10));
            order[position / MADE][position % MADE] = index;
            seen[position / MADE][index]++;
        }
    }
    for (int epoch = 0; epoch < 4; epoch++)
        for (int i = 0; i < MADE; i++) assert_int_equal(seen[epoch][i], 1);
    assert_memory_not_equal(order[0], order[1], sizeof order[0]);
    assert_memory_not_equal(order[1], order[2], sizeof order[0]);
    dataset_free(set);
}

static void test_batches_are_functions_of_key_and_counter(void **state) {
    (void)state;
    static real a[BATCH * PIXELS], b[BATCH * PIXELS], la[BATCH], lb[BATCH];
    for (int kind = 0; kind < DATA_KINDS; kind++) {
        if (kind == DATA_FASHION_MNIST || kind == DATA_CIFAR10 || kind == DATA_FOLDER) continue;
        Dataset *set = open_kind((DataKind)kind, DATA_TRAIN), *again = open_kind((DataKind)kind, DATA_TRAIN);
        size_t size = (size_t)(set->height * set->width * set->channels), bytes = BATCH * size * sizeof *a;
        dataset_batch(set, KEY, 1000001, BATCH, a, la);
        dataset_batch(set, KEY, 3, BATCH, b, lb);
        assert_memory_not_equal(a, b, bytes);
        dataset_batch(again, KEY, 1000001, BATCH, b, lb);
        assert_memory_equal(a, b, bytes);
        assert_memory_equal(la, lb, sizeof la);
        dataset_batch(set, KEY + 1, 1000001, BATCH, b, NULL);
        assert_memory_not_equal(a, b, bytes);
        for (size_t i = 0; i < BATCH; i++) /* one at a time: a batch has no other meaning than its samples */
            dataset_batch(set, KEY, 1000001 * BATCH + i, 1, b + i * size, lb + i);
        assert_memory_equal(a, b, bytes);
        dataset_free(set);
        dataset_free(again);
    }
}

static void test_flips(void **state) {
    (void)state;
    DataOptions options = data_options(DATA_MNIST);
    Dataset *plain = open_ok(&options);
    options.flip = true;
    Dataset *flipped = open_ok(&options);
    static real a[1024], b[1024];
    int mirrored = 0, rounds = 400;
    for (int i = 0; i < rounds; i++) {
        dataset_batch(plain, KEY, (uint64_t)i, 1, a, NULL);
        dataset_batch(flipped, KEY, (uint64_t)i, 1, b, NULL);
        bool same = true, mirror = true;
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++) {
                same = same && a[y * 32 + x] == b[y * 32 + x];
                mirror = mirror && a[y * 32 + x] == b[y * 32 + 31 - x];
            }
        assert_true(same != mirror);
        mirrored += mirror;
    }
    assert_in_range(mirrored, 150, 250);
    dataset_range(plain, 0, 1, a, NULL);
    dataset_range(flipped, 0, 1, b, NULL);
    assert_memory_equal(a, b, sizeof a);
    dataset_free(plain);
    dataset_free(flipped);
}

/* ---- drawn kinds --------------------------------------------------------------------------------------- */

static void test_training_digits_never_end(void **state) {
    (void)state;
    Dataset *endless = open_kind(DATA_DIGITS, DATA_TRAIN);
    assert_true(endless->endless);
    assert_int_equal(endless->count, 60000);
    int seen[10] = {0};
    static real samples[64 * 1024], labels[64];
    for (uint64_t counter = 0; counter < 16; counter++) {
        dataset_batch(endless, KEY, counter, 64, samples, labels);
        for (int i = 0; i < 64; i++) seen[(int)labels[i]]++;
    }
    for (int i = 0; i < 10; i++) assert_in_range(seen[i], 60, 150);
    dataset_free(endless);

    DataOptions options = data_options(DATA_DIGITS);
    options.count = 3; /* the same three for ever */
    Dataset *three = open_ok(&options);
    assert_false(three->endless);
    dataset_batch(three, KEY, 0, 3, samples, labels);
    for (int i = 0; i < 3; i++) {
        bool among = false;
        for (int64_t index = 0; index < 3; index++) {
            dataset_range(three, index, 1, samples + 3 * 1024, NULL);
            among = among || memcmp(samples + i * 1024, samples + 3 * 1024, 1024 * sizeof *samples) == 0;
        }
        assert_true(among);
    }
    dataset_free(three);
}

static void test_seed_size_and_color_of_digits(void **state) {
    (void)state;
    DataOptions options = data_options(DATA_DIGITS);
    options.side = 48;
    options.channels = 3;
    Dataset *set = open_ok(&options);
    assert_int_equal(set->width, 48);
    assert_int_equal(set->channels, 3);
    options.seed = 1;
    Dataset *other = open_ok(&options);
    static uint8_t a[48 * 48 * 3], b[48 * 48 * 3];
    dataset_get(set, 0, a);
    dataset_get(other, 0, b);
    assert_memory_not_equal(a, b, sizeof a);
    char text[DATASET_TEXT];
    assert_string_equal(dataset_text(set, text), "digits: endless training images of 48×48×3, in 10 classes");
    dataset_free(set);
    dataset_free(other);
}

static void test_stacked_mnist(void **state) {
    (void)state;
    Dataset *single = open_kind(DATA_MNIST, DATA_TEST), *set = open_kind(DATA_STACKED_MNIST, DATA_TEST);
    assert_int_equal(set->classes, 1000);
    assert_int_equal(set->channels, 3);
    assert_int_equal(set->count, 10000);
    assert_string_equal(set->class_names[7], "007");
    int64_t total = 0;
    for (int i = 0; i < 1000; i++) total += set->histogram[i];
    assert_int_equal(total, 10000);
    uint8_t stacked[PIXELS], digit[1024];
    int equal = 0; /* labels such as 333 */
    for (int64_t index = 0; index < 100; index++) {
        int64_t label = dataset_get(set, index, stacked);
        int64_t digits[3] = {label / 100, label / 10 % 10, label % 10};
        equal += digits[0] == digits[1] && digits[1] == digits[2];
        for (int c = 0; c < 3; c++) { /* each channel is one of MNIST's images with that label */
            bool found = false;
            for (int64_t i = 0; i < single->count && !found; i++) {
                if (dataset_get(single, i, digit) != digits[c]) continue;
                found = true;
                for (int p = 0; p < 1024; p++) found = found && stacked[3 * p + c] == digit[p];
            }
            assert_true(found);
        }
    }
    assert_in_range(equal, 0, 10);
    dataset_free(single);
    dataset_free(set);
}

static void test_ring_and_grid(void **state) {
    (void)state;
    for (int kind = DATA_RING; kind <= DATA_GRID; kind++) {
        Dataset *set = open_kind((DataKind)kind, DATA_TRAIN);
        assert_true(set->points);
        assert_int_equal(set->classes, kind == DATA_RING ? 8 : 25);
        enum { COUNT = 20000 };
        static real points[2 * COUNT], labels[COUNT];
        dataset_batch(set, KEY, 0, COUNT, points, labels);
        double spread = 0;
        for (int i = 0; i < COUNT; i++) {
            const double *center = set->centers + 2 * (int)labels[i];
            double off_x = (double)points[2 * i] - center[0], off_y = (double)points[2 * i + 1] - center[1];
            double distance = hypot(off_x, off_y);
            assert_true(distance < 6 * set->deviation);
            assert_true(fabs((double)points[2 * i]) < set->extent &&
                        fabs((double)points[2 * i + 1]) < set->extent);
            spread += (off_x * off_x + off_y * off_y) / (2.0 * COUNT);
        }
        assert_true(fabs(sqrt(spread) / set->deviation - 1) < 0.02);
        dataset_free(set);
    }
    Dataset *ring = open_kind(DATA_RING, DATA_TEST), *grid = open_kind(DATA_GRID, DATA_TEST);
    assert_true(fabs(ring->centers[2 * 2 + 1] - 1) < 1e-12); /* a quarter around */
    assert_true(grid->centers[0] == -4 && grid->centers[1] == -4 && grid->centers[49] == 4);
    assert_string_equal(ring->class_names[0], "mode 1");
    dataset_free(ring);
    dataset_free(grid);
}

/* ---- classes and parts --------------------------------------------------------------------------------- */

static void test_chosen_classes(void **state) {
    (void)state;
    DataOptions options = data_options(DATA_MNIST);
    options.classes = (int64_t[]){7, 3};
    options.class_count = 2;
    Dataset *set = open_ok(&options);
    assert_int_equal(set->count, 10);
    assert_int_equal(set->classes, 2);
    assert_string_equal(set->class_names[0], "7");
    assert_int_equal(set->histogram[0], 5);
    uint8_t pixels[1024];
    assert_int_equal(dataset_get(set, 0, pixels), 1); /* image 3, the second class */
    assert_int_equal(pixels[2 * 32 + 2], 3 * 784 % 251);
    assert_int_equal(dataset_get(set, 9, pixels), 0);
    assert_int_equal(pixels[2 * 32 + 2], 47 * 784 % 251);
    dataset_free(set);

    options.kind = DATA_DIGITS;
    options.split = DATA_TEST;
    set = open_ok(&options);
    assert_int_equal(set->histogram[1], 5000);
    assert_string_equal(set->class_names[1], "3");
    dataset_free(set);

    options.named = (const char *const[]){"9", NULL};
    set = open_ok(&options);
    assert_string_equal(set->class_names[0], "9");
    assert_string_equal(set->class_names[1], "3");
    dataset_free(set);

    DataOptions ring = data_options(DATA_RING);
    ring.classes = options.classes;
    ring.class_count = 2;
    set = open_ok(&ring);
    assert_true(fabs(set->centers[2] - cos(3 * 3.14159265358979 / 4)) < 1e-9);
    dataset_free(set);
}

static void test_parts_are_disjoint(void **state) {
    (void)state;
    Dataset *whole = open_kind(DATA_MNIST, DATA_TRAIN);
    Error error;
    int seen[MADE] = {0};
    int64_t total = 0;
    for (int64_t part = 0; part < 3; part++) {
        Dataset *third = dataset_part(whole, part, 3, &error);
        assert_non_null(third);
        total += third->count;
        int64_t of_classes = 0;
        for (int i = 0; i < 10; i++) of_classes += third->histogram[i];
        assert_int_equal(of_classes, third->count);
        static real sample[1024];
        for (int64_t i = 0; i < third->count; i++) {
            dataset_range(third, i, 1, sample, NULL);
            seen[which(third, sample)]++;
        }
        dataset_free(third);
    }
    assert_int_equal(total, MADE);
    for (int i = 0; i < MADE; i++) assert_int_equal(seen[i], 1);

    Dataset *half = dataset_part(whole, 1, 2, &error), *quarter = dataset_part(half, 0, 2, &error);
    dataset_free(whole); /* the pixels live on */
    static real sample[1024];
    int of_half[MADE] = {0};
    int64_t odd = 0;
    for (int64_t i = 0; i < half->count; i++) {
        dataset_range(half, i, 1, sample, NULL);
        of_half[which(half, sample)]++;
        odd += which(half, sample) % 2;
    }
    assert_in_range(odd, half->count / 4,
                    half->count - half->count / 4); /* not every second one of the file */
    dataset_free(half);
    assert_int_equal(quarter->count, 13);
    for (int64_t i = 0; i < quarter->count; i++) {
        dataset_range(quarter, i, 1, sample, NULL);
        assert_int_equal(of_half[which(quarter, sample)], 1);
    }
    dataset_free(quarter);
}

/* Halves of endless digits: no image in common, and every class in both. */
static void test_parts_of_digits(void **state) {
    (void)state;
    Dataset *whole = open_kind(DATA_DIGITS, DATA_TRAIN);
    Error error;
    Dataset *halves[2] = {dataset_part(whole, 0, 2, &error), dataset_part(whole, 1, 2, &error)};
    static real a[BATCH * 1024], b[BATCH * 1024], labels[BATCH];
    for (int i = 0; i < 10; i++) assert_int_equal(halves[1]->histogram[i], 3000);
    dataset_batch(halves[0], KEY, 0, BATCH, a, labels);
    dataset_batch(halves[1], KEY, 0, BATCH, b, labels);
    for (int i = 0; i < BATCH; i++) assert_memory_not_equal(a + i * 1024, b + i * 1024, 1024 * sizeof *a);
    assert_null(dataset_part(whole, 2, 2, &error));
    assert_null(dataset_part(whole, 0, 0, &error));
    assert_null(dataset_part(halves[0], 0, 1 << 16, &error));
    dataset_free(halves[0]);
    dataset_free(halves[1]);
    dataset_free(whole);
}

static void test_lopsided_is_noticed(void **state) {
    Dataset *even = open_kind(DATA_MNIST, DATA_TRAIN);
    assert_false(even->lopsided);
    dataset_free(even);
    size_t size;
    uint8_t *bytes = idx_bytes(1, (uint32_t[]){MADE}, 9, &size); /* no nines */
    make_file(path_in(*state, "train-labels-idx1-ubyte"), bytes, size);
    free(bytes);
    Dataset *uneven = open_kind(DATA_MNIST, DATA_TRAIN);
    assert_true(uneven->lopsided);
    assert_int_equal(uneven->histogram[9], 0);
    dataset_free(uneven);
}

/* ---- options ------------------------------------------------------------------------------------------- */

static void test_kinds_have_names(void **state) {
    (void)state;
    for (int i = 0; i < DATA_KINDS; i++) {
        DataKind kind = DATA_KINDS;
        assert_true(data_kind_named(data_kind_text((DataKind)i), &kind));
        assert_int_equal(kind, i);
    }
    DataKind kind;
    assert_false(data_kind_named("imagenet", &kind));
}

static void refused(DataOptions options, const char *reason) {
    Error error = {.status = STATUS_OK};
    Dataset *set = dataset_open(&options, &error);
    assert_null(set);
    ASSERT_SAYS(&error, STATUS_INVALID, data_kind_text(options.kind), reason);
}

static void test_options_that_make_no_sense(void **state) {
    (void)state;
    refused((DataOptions){.kind = DATA_DIGITS, .side = 15}, "16 to 64 pixels was expected, not 15");
    refused((DataOptions){.kind = DATA_DIGITS, .side = 65}, "not 65");
    refused((DataOptions){.kind = DATA_DIGITS, .channels = 2}, "1 or 3 channels");
    refused((DataOptions){.kind = DATA_DIGITS, .count = -1}, "out of range");
    refused((DataOptions){.kind = DATA_MNIST, .side = 7}, "8 to 1024");
    refused((DataOptions){.kind = DATA_MNIST, .channels = 3}, "cannot be chosen");
    refused((DataOptions){.kind = DATA_MNIST, .count = 5}, "its own count");
    DataOptions ring = data_options(DATA_RING);
    ring.modes = 0;
    refused(ring, "1 to 1000 modes");
    ring = data_options(DATA_RING);
    ring.deviation = (double)NAN;
    refused(ring, "deviation");
    ring = data_options(DATA_RING);
    ring.side = 32;
    refused(ring, "no size");
    ring = data_options(DATA_RING);
    ring.flip = true;
    refused(ring, "flipped");
    DataOptions grid = data_options(DATA_GRID);
    grid.modes = 32;
    refused(grid, "1 to 31 modes");
    int64_t classes[] = {1, 10, 1};
    refused((DataOptions){.kind = DATA_DIGITS, .classes = classes, .class_count = 2},
            "class 11 was asked for, counted from 1");
    classes[1] = 2;
    refused((DataOptions){.kind = DATA_DIGITS, .classes = classes, .class_count = 3},
            "class 2, '1', was asked for twice");
    const char *names[] = {"2", "ten", NULL};
    DataOptions named = {.kind = DATA_DIGITS, .classes = classes, .named = names, .class_count = 3};
    refused(named, "there is no class 'ten': there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    names[1] = "1", classes[2] = 2;
    refused(named, "class 3, '2', was asked for twice");
    refused((DataOptions){.kind = DATA_DIGITS, .classes = classes, .class_count = 11}, "11 classes");
    refused((DataOptions){.kind = DATA_STACKED_MNIST, .classes = classes, .class_count = 1},
            "cannot be chosen");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mnist_is_padded_unless_told),
        cmocka_unit_test(test_reals_are_the_bytes),
        cmocka_unit_test(test_splits_have_nothing_in_common),
        cmocka_unit_test(test_an_epoch_holds_each_sample_once),
        cmocka_unit_test(test_batches_are_functions_of_key_and_counter),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_training_digits_never_end),
        cmocka_unit_test(test_seed_size_and_color_of_digits),
        cmocka_unit_test(test_stacked_mnist),
        cmocka_unit_test(test_ring_and_grid),
        cmocka_unit_test(test_chosen_classes),
        cmocka_unit_test(test_parts_are_disjoint),
        cmocka_unit_test(test_parts_of_digits),
        cmocka_unit_test(test_kinds_have_names),
        cmocka_unit_test(test_options_that_make_no_sense),
        cmocka_unit_test(test_lopsided_is_noticed),
    };
    return cmocka_run_group_tests(tests, made_up, made_down);
}
