/* PNG files in and out, numbers, and sheets. */
#include "tests/data/made.h"

#include <math.h>
#include <png.h>
#include <signal.h>
#include <sys/resource.h>
#include <zlib.h>

#include "gan/data/image.h"

/* ---- PNG files of every kind, made by libpng itself ---------------------------------------------------- */

typedef struct {
    int width, height, depth, color; /* color: libpng's */
    bool interlaced;
    const uint8_t *rows; /* as the file has them, `stride` bytes each */
    size_t stride;
    int palette;               /* colors of it: red 10, 20, ...; green 1, 2, ...; blue 200 */
    int clear;                 /* how many colors of the palette are half transparent */
    png_color_16p see_through; /* the one transparent color, or NULL */
} Made;

typedef struct {
    uint8_t *bytes;
    size_t size;
} Bytes;

static void collect(png_structp png, png_bytep bytes, size_t count) {
    Bytes *out = png_get_io_ptr(png);
    out->bytes = realloc(out->bytes, out->size + count);
    assert_non_null(out->bytes);
    memcpy(out->bytes + out->size, bytes, count);
    out->size += count;
}

static Bytes make_png(const Made *made) {
    Bytes out = {NULL, 0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &out, collect, NULL);
    png_set_IHDR(png, info, (png_uint_32)made->width, (png_uint_32)made->height, made->depth, made->color,
                 made->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_color palette[256];
    png_byte clear[256];
    for (int i = 0; i < made->palette; i++) {
        palette[i] = (png_color){(png_byte)(10 * (i + 1)), (png_byte)(i + 1), 200};
        clear[i] = 128;
    }
    if (made->palette) png_set_PLTE(png, info, palette, made->palette);
    if (made->clear || made->see_through) png_set_tRNS(png, info, clear, made->clear, made->see_through);
    png_write_info(png, info);
    png_bytep rows[64];
    for (int y = 0; y < made->height; y++)
        rows[y] = (png_bytep)(uintptr_t)(made->rows + (size_t)y * made->stride);
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return out;
}

/* Reads from a copy of just its size, so that a sanitizer sees every byte read beyond it. */
static Status parse(const uint8_t *bytes, size_t size, Image *image, Error *error) {
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    Status status = png_parse("made.png", copy, size, image, error);
    free(copy);
    return status;
}

static void assert_becomes(const Made *made, int64_t channels, const uint8_t *expected) {
    Bytes png = make_png(made);
    Image image;
    Error error;
    Status status = parse(png.bytes, png.size, &image, &error);
    if (status) print_error("%s\n", error.message);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(image.height, made->height);
    assert_int_equal(image.width, made->width);
    assert_int_equal(image.channels, channels);
    assert_memory_equal(image.pixels, expected, (size_t)(made->height * made->width * channels));
    PngHeader header;
    assert_int_equal(png_header("made.png", png.bytes, png.size, &header, &error), STATUS_OK);
    assert_int_equal(header.height, image.height);
    assert_int_equal(header.width, image.width);
    assert_int_equal(header.channels, channels);
    image_free(&image);
    free(png.bytes);
}

static void test_gray_of_every_depth(void **state) {
    (void)state;
    static const uint8_t ONE[] = {0xA0}, TWO[] = {0x1B}, FOUR[] = {0x0F, 0x80}, EIGHT[] = {1, 200, 255, 0};
    static const uint8_t SIXTEEN[] = {0, 0, 0xff, 0xff, 0x80, 0x80, 0x12, 0xff};
    assert_becomes(&(Made){4, 1, 1, PNG_COLOR_TYPE_GRAY, .rows = ONE, .stride = 1}, 1,
                   (uint8_t[]){255, 0, 255, 0});
    assert_becomes(&(Made){4, 1, 2, PNG_COLOR_TYPE_GRAY, .rows = TWO, .stride = 1}, 1,
                   (uint8_t[]){0, 85, 170, 255});
    assert_becomes(&(Made){3, 1, 4, PNG_COLOR_TYPE_GRAY, .rows = FOUR, .stride = 2}, 1,
                   (uint8_t[]){0, 255, 136});
    assert_becomes(&(Made){2, 2, 8, PNG_COLOR_TYPE_GRAY, .rows = EIGHT, .stride = 2}, 1, EIGHT);
    assert_becomes(&(Made){4, 1, 16, PNG_COLOR_TYPE_GRAY, .rows = SIXTEEN, .stride = 8}, 1,
                   (uint8_t[]){0, 255, 128, 19}); /* 0x12ff·255/65535 = 18.9 */
}

static void test_color_and_palette(void **state) {
    (void)state;
    static const uint8_t RGB[] = {1, 2, 3, 4, 5, 6}, DEEP[] = {1, 0, 2, 0, 0xff, 0xff},
                         INDEX[] = {0x12, 0x00};
    assert_becomes(&(Made){2, 1, 8, PNG_COLOR_TYPE_RGB, .rows = RGB, .stride = 6}, 3, RGB);
    assert_becomes(&(Made){1, 1, 16, PNG_COLOR_TYPE_RGB, .rows = DEEP, .stride = 6}, 3,
                   (uint8_t[]){1, 2, 255});
    assert_becomes(&(Made){3, 1, 4, PNG_COLOR_TYPE_PALETTE, .rows = INDEX, .stride = 2, .palette = 3}, 3,
                   (uint8_t[]){20, 2, 200, 30, 3, 200, 10, 1, 200});
}

static void test_transparency_is_laid_over_black(void **state) {
    (void)state;
    static const uint8_t GRAY[] = {200, 255, 200, 0, 200, 128}, RGBA[] = {255, 100, 3, 128, 9, 9, 9, 0};
    assert_becomes(&(Made){3, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, .rows = GRAY, .stride = 6}, 1,
                   (uint8_t[]){200, 0, 100});
    assert_becomes(&(Made){2, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, .rows = RGBA, .stride = 8}, 3,
                   (uint8_t[]){128, 50, 2, 0, 0, 0});
    static const uint8_t INDEX[] = {0x12};
    assert_becomes(
        &(Made){2, 1, 4, PNG_COLOR_TYPE_PALETTE, .rows = INDEX, .stride = 1, .palette = 3, .clear = 2}, 3,
        (uint8_t[]){10, 1, 100, 30, 3, 200});
    static const uint8_t KEYED[] = {7, 8};
    png_color_16 seven = {.gray = 7};
    assert_becomes(&(Made){2, 1, 8, PNG_COLOR_TYPE_GRAY, .rows = KEYED, .stride = 2, .see_through = &seven},
                   1, (uint8_t[]){0, 8});
}

static void test_interlaced(void **state) {
    (void)state;
    uint8_t pixels[11 * 13 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 7);
    assert_becomes(&(Made){13, 11, 8, PNG_COLOR_TYPE_RGB, .interlaced = true, .rows = pixels, .stride = 39},
                   3, pixels);
    assert_becomes(&(Made){13, 11, 8, PNG_COLOR_TYPE_GRAY, .interlaced = true, .rows = pixels, .stride = 13},
                   1, pixels);
}

/* ---- damage -------------------------------------------------------------------------------------------- */

static void test_cut_off_anywhere(void **state) {
    (void)state;
    uint8_t pixels[16 * 16 * 3];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * i);
    Bytes png = make_png(&(Made){16, 16, 8, PNG_COLOR_TYPE_RGB, .rows = pixels, .stride = 48});
    Image image;
    Error error;
    for (size_t cut = 0; cut < png.size; cut++) {
        assert_int_equal(parse(png.bytes, cut, &image, &error), STATUS_CORRUPT);
        assert_null(image.pixels);
    }
    parse(png.bytes, png.size - 1, &image, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "made.png: truncated");
    parse((const uint8_t *)"GIF89a, not a PNG", 17, &image, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "made.png: not a PNG file");
    png.bytes[png.size / 2] ^= 0x10;
    parse(png.bytes, png.size, &image, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "made.png: damaged");
    free(png.bytes);
}

/* Gives the file another size, with a right check sum. */
static void lie(Bytes *png, uint32_t width, uint32_t height) {
    for (int i = 0; i < 4; i++) {
        png->bytes[16 + i] = (uint8_t)(width >> (24 - 8 * i));
        png->bytes[20 + i] = (uint8_t)(height >> (24 - 8 * i));
    }
    uint32_t sum = (uint32_t)crc32(0, png->bytes + 12, 17);
    for (int i = 0; i < 4; i++) png->bytes[29 + i] = (uint8_t)(sum >> (24 - 8 * i));
}

static void test_lying_sizes(void **state) {
    (void)state;
    uint8_t pixels[64] = {0};
    Bytes png = make_png(&(Made){8, 8, 8, PNG_COLOR_TYPE_GRAY, .rows = pixels, .stride = 8});
    Image image;
    Error error;
    lie(&png, 0x7fffffff, 0x7fffffff);
    parse(png.bytes, png.size, &image, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "1 to 16384 pixels", "2147483647 wide");
    lie(&png, 16384, 16384);
    parse(png.bytes, png.size, &image, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "at most 67108864 pixels", "16384 wide and 16384 high");
    lie(&png, 8192, 8192); /* within the limits, and refused before 64 MB are asked for */
    parse(png.bytes, png.size, &image, &error);
    ASSERT_SAYS(&error, STATUS_CORRUPT, "8192×8192", "cannot hold as many");
    lie(&png, 8, 9);
    assert_int_equal(parse(png.bytes, png.size, &image, &error), STATUS_CORRUPT);
    lie(&png, 0, 8);
    assert_int_equal(parse(png.bytes, png.size, &image, &error), STATUS_CORRUPT);
    free(png.bytes);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static Image striped(int64_t height, int64_t width, int64_t channels) {
    Image image;
    Error error;
    assert_int_equal(image_new(&image, height, width, channels, &error), STATUS_OK);
    for (int64_t i = 0; i < height * width * channels; i++) image.pixels[i] = (uint8_t)(i * i / 7);
    return image;
}

static void test_written_and_read_again(void **state) {
    for (int64_t channels = 1; channels <= 3; channels += 2) {
        Image image = striped(37, 53, channels), again;
        Error error;
        const char *path = path_in(*state, "picture.png");
        assert_int_equal(png_write(path, &image, &error), STATUS_OK);
        assert_int_equal(png_read(path, &again, &error), STATUS_OK);
        assert_int_equal(again.height, 37);
        assert_int_equal(again.width, 53);
        assert_int_equal(again.channels, channels);
        assert_memory_equal(again.pixels, image.pixels, (size_t)(37 * 53 * channels));
        image_free(&again);
        image_free(&image);
    }
    struct stat facts;
    mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(path_in(*state, "picture.png"), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0666 & ~mask);
}

static int count_entries(const char *folder) {
    char command[2 * PATH];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    int count = -1;
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

/* A file may only grow to 1000 bytes: as on a disk that becomes full. */
static void test_full_disk_harms_nothing(void **state) {
    Image small = striped(4, 4, 1), large = striped(300, 300, 3);
    Error error;
    const char *path = path_in(*state, "picture.png");
    assert_int_equal(png_write(path, &small, &error), STATUS_OK);
    struct rlimit old, tight;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    Status status = png_write(path, &large, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, STATUS_IO);
    ASSERT_SAYS(&error, STATUS_IO, path, "cannot be written", "File too large", "unharmed");
    Image again;
    assert_int_equal(png_read(path, &again, &error), STATUS_OK);
    assert_memory_equal(again.pixels, small.pixels, 16);
    assert_int_equal(count_entries(*state), 1); /* no temporary file is left */
    image_free(&again);
    image_free(&small);
    image_free(&large);
}

static void test_places_that_cannot_be_written(void **state) {
    Image image = striped(4, 4, 1);
    Error error;
    png_write(path_in(*state, "no/such/folder.png"), &image, &error);
    ASSERT_SAYS(&error, STATUS_IO, "no/such/folder.png", "No such file or directory");
    make_folder(path_in(*state, "taken"));
    png_write(path_in(*state, "taken"), &image, &error);
    ASSERT_SAYS(&error, STATUS_IO, "taken", "directory");
    assert_int_equal(count_entries(*state), 1);
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(chmod(*state, 0500), 0);
        png_write(path_in(*state, "picture.png"), &image, &error);
        assert_int_equal(chmod(*state, 0700), 0);
        ASSERT_SAYS(&error, STATUS_IO, "picture.png", "Permission denied");
    }
    image_free(&image);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static void test_bytes_and_reals(void **state) {
    (void)state;
    uint8_t bytes[256], again[256];
    real values[256];
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    bytes_to_image(bytes, 256, values);
    assert_true(values[0] == -1 && values[255] == 1);
    for (int i = 0; i < 256; i++) assert_true(values[i] == (real)(i / 127.5 - 1));
    image_to_bytes(values, 256, again);
    assert_memory_equal(again, bytes, 256);

    const real odd[] = {(real)-7, (real)7,      (real)NAN,    (real)INFINITY, (real)-INFINITY,
                        (real)0,  (real)-1.001, (real)0.9999, (real)-0.9999,  (real)-0.9};
    image_to_bytes(odd, 10, again);
    assert_memory_equal(again, ((uint8_t[]){0, 255, 0, 255, 0, 128, 0, 255, 0, 13}), 10);
}

static void test_resizing_is_the_mean_of_areas(void **state) {
    (void)state;
    static const uint8_t FOUR[] = {0, 100, 200, 51};
    uint8_t out[64];
    image_resize(FOUR, 2, 2, 1, out, 1, 1);
    assert_int_equal(out[0], 88); /* 351 / 4 = 87.75 */
    image_resize(FOUR, 2, 2, 1, out, 4, 4);
    static const uint8_t DOUBLED[] = {0, 0, 100, 100, 0, 0, 100, 100, 200, 200, 51, 51, 200, 200, 51, 51};
    assert_memory_equal(out, DOUBLED, 16);
    image_resize(FOUR, 2, 2, 1, out, 2, 2);
    assert_memory_equal(out, FOUR, 4);
    image_resize(FOUR, 1, 4, 1, out, 1, 3); /* thirds: (3·0 + 100)/4, (2·100 + 2·200)/4, (200 + 3·51)/4 */
    assert_memory_equal(out, ((uint8_t[]){25, 150, 88}), 3);
    static const uint8_t RGB[] = {0, 10, 20, 100, 30, 40};
    image_resize(RGB, 1, 2, 3, out, 1, 1);
    assert_memory_equal(out, ((uint8_t[]){50, 20, 30}), 3);
}

/* ---- sheets -------------------------------------------------------------------------------------------- */

static void test_grid_puts_tiles_in_rows(void **state) {
    (void)state;
    const uint8_t tiles[] = {1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24}; /* three of 2×2 */
    GridStyle style = {.columns = 2, .margin = 1, .magnify = 1, .background = 99};
    Image sheet;
    Error error;
    assert_int_equal(grid_of_bytes(&style, 3, 2, 2, 1, tiles, &sheet, &error), STATUS_OK);
    static const uint8_t EXPECTED[] = {
        99, 99, 99, 99, 99, 99, 99, /**/
        99, 1,  2,  99, 11, 12, 99, /**/
        99, 3,  4,  99, 13, 14, 99, /**/
        99, 99, 99, 99, 99, 99, 99, /**/
        99, 21, 22, 99, 99, 99, 99, /**/
        99, 23, 24, 99, 99, 99, 99, /**/
        99, 99, 99, 99, 99, 99, 99, /**/
    };
    assert_int_equal(sheet.height, 7);
    assert_int_equal(sheet.width, 7);
    assert_memory_equal(sheet.pixels, EXPECTED, sizeof EXPECTED);
    image_free(&sheet);

    real values[12];
    bytes_to_image(tiles, 12, values);
    assert_int_equal(grid_of_reals(&style, 3, 2, 2, 1, values, &sheet, &error), STATUS_OK);
    assert_memory_equal(sheet.pixels, EXPECTED, sizeof EXPECTED);
    image_free(&sheet);
}

static void test_grid_magnifies_small_tiles(void **state) {
    (void)state;
    uint8_t *tiles = calloc(10, 32 * 32 * 3);
    assert_non_null(tiles);
    tiles[32 * 32 * 3 - 1] = 200; /* the last pixel of the first tile */
    GridStyle style = grid_style();
    Image sheet;
    Error error;
    assert_int_equal(grid_of_bytes(&style, 10, 32, 32, 3, tiles, &sheet, &error), STATUS_OK);
    assert_int_equal(sheet.width, 4 * (64 + 2) + 2); /* ten tiles: four columns, three rows */
    assert_int_equal(sheet.height, 3 * (64 + 2) + 2);
    for (int y = 62; y < 64; y++)
        for (int x = 62; x < 64; x++)
            assert_int_equal(sheet.pixels[((y + 2) * sheet.width + x + 2) * 3 + 2], 200);
    assert_int_equal(sheet.pixels[((61 + 2) * sheet.width + 63 + 2) * 3 + 2], 0);
    image_free(&sheet);
    free(tiles);

    grid_of_bytes(&style, 1000000, 32, 32, 3, NULL, &sheet, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "pixels");
    grid_of_bytes(&style, 0, 32, 32, 3, NULL, &sheet, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "0 images");
    style.margin = -1;
    grid_of_bytes(&style, 4, 32, 32, 3, NULL, &sheet, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "margin -1");
}

static void test_scatter_shows_both_sets(void **state) {
    (void)state;
    const real reals[] = {-1, 1, (real)NAN, 0, 9, 9}, fakes[] = {1, -1, 1, -1, 0, (real)INFINITY};
    ScatterStyle style = scatter_style(2);
    Image picture;
    Error error;
    size_t left_out = 0;
    assert_int_equal(scatter_plot(&style, reals, 3, fakes, 3, &picture, &left_out, &error), STATUS_OK);
    assert_int_equal(left_out, 3);
    assert_int_equal(picture.width, 400);
    const uint8_t *real_dot = picture.pixels + (100 * 400 + 100) * 3,
                  *fake_dot = picture.pixels + (300 * 400 + 300) * 3;
    assert_true(real_dot[2] > 150 && real_dot[0] < 80); /* blue, upper left */
    assert_true(fake_dot[0] > 200 && fake_dot[2] < 80); /* orange, lower right */
    assert_int_equal(picture.pixels[(100 * 400 + 300) * 3], 255);
    image_free(&picture);

    assert_int_equal(scatter_plot(&style, NULL, 0, NULL, 0, &picture, NULL, &error), STATUS_OK);
    image_free(&picture);
    style.extent = (double)NAN;
    scatter_plot(&style, NULL, 0, NULL, 0, &picture, NULL, &error);
    ASSERT_SAYS(&error, STATUS_INVALID, "extent");
    style = scatter_style(1);
    style.side = -5;
    assert_int_equal(scatter_plot(&style, NULL, 0, NULL, 0, &picture, NULL, &error), STATUS_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gray_of_every_depth),
        cmocka_unit_test(test_color_and_palette),
        cmocka_unit_test(test_transparency_is_laid_over_black),
        cmocka_unit_test(test_interlaced),
        cmocka_unit_test(test_cut_off_anywhere),
        cmocka_unit_test(test_lying_sizes),
        cmocka_unit_test_setup_teardown(test_written_and_read_again, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_full_disk_harms_nothing, folder_up, folder_down),
        cmocka_unit_test_setup_teardown(test_places_that_cannot_be_written, folder_up, folder_down),
        cmocka_unit_test(test_bytes_and_reals),
        cmocka_unit_test(test_resizing_is_the_mean_of_areas),
        cmocka_unit_test(test_grid_puts_tiles_in_rows),
        cmocka_unit_test(test_grid_magnifies_small_tiles),
        cmocka_unit_test(test_scatter_shows_both_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
