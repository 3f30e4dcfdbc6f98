/* PNG files, by libpng. Its errors come back by longjmp: what must survive one lies in PngReader and
 * PngWriter, and the functions that call setjmp keep nothing in variables of their own. */
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "gan/data/image.h"
#include "gan/data/parts.h"

enum { PNG_SIGNATURE = 8, ALPHA_CHANNELS = 4 };
/* No PNG file is larger, nor any chunk that is kept as a whole, such as a color profile; there are no more of
 * them. */
#define PNG_BYTES_LIMIT ((size_t)1 << 28)
#define PNG_CHUNK_LIMIT ((png_alloc_size_t)1 << 23)
#define PNG_CHUNK_COUNT 100
/* No deflate stream grows by more than this factor, so a header that promises more is lying. */
#define DEFLATE_GROWTH 1032

/* ---- what libpng calls back ---------------------------------------------------------------------------- */

typedef struct {
    const char *name;
    Error *error;
    Status status;
} PngTrouble;

static void on_error(png_structp png, png_const_charp message) {
    PngTrouble *trouble = png_get_error_ptr(png);
    if (!trouble->status)
        trouble->status =
            error_set(trouble->error, STATUS_CORRUPT, "%s: damaged: %s", trouble->name, message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

/* Fails with a status of our own instead of libpng's words. */
static void give_up(png_structp png, Status status) {
    PngTrouble *trouble = png_get_error_ptr(png);
    trouble->status = status;
    png_longjmp(png, 1);
}

/* Libpng asks for rows and chunks, none of which is large in an honest file; a chunk whose length is a lie
 * would have it ask for gigabytes. What libpng says when it gets no memory depends on where it asked. */
static void *png_new(png_structp png, png_alloc_size_t bytes) {
    PngTrouble *trouble = png_get_mem_ptr(png);
    if (bytes > PNG_CHUNK_LIMIT) {
        if (!trouble->status)
            trouble->status = error_set(trouble->error, STATUS_CORRUPT, "%s: damaged: a chunk of %zu bytes",
                                        trouble->name, (size_t)bytes);
        return NULL;
    }
    void *block = memory_resize(NULL, bytes);
    if (!block && !trouble->status) trouble->status = error_no_memory(trouble->error, trouble->name);
    return block;
}

static void png_release(png_structp png, void *block) {
    (void)png;
    memory_free(block);
}

/* ---- header -------------------------------------------------------------------------------------------- */

static int64_t big_endian(const uint8_t word[4]) {
    return (int64_t)word[0] << 24 | (int64_t)word[1] << 16 | (int64_t)word[2] << 8 | word[3];
}

static Status check_size(const char *name, int64_t height, int64_t width, Error *error) {
    if (height < 1 || width < 1 || height > IMAGE_SIDE_LIMIT || width > IMAGE_SIDE_LIMIT ||
        height * width > IMAGE_PIXEL_LIMIT)
        return error_set(error, STATUS_CORRUPT,
                         "%s: sides of 1 to %d pixels and at most %d pixels in all were expected, the image "
                         "is %lld wide and %lld high",
                         name, IMAGE_SIDE_LIMIT, IMAGE_PIXEL_LIMIT, (long long)width, (long long)height);
    return STATUS_OK;
}

Status png_header(const char *name, const uint8_t *bytes, size_t size, PngHeader *header, Error *error) {
    static const uint8_t FIRST_CHUNK[8] = {0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    if (size < PNG_SIGNATURE || png_sig_cmp(bytes, 0, PNG_SIGNATURE) != 0)
        return error_set(error, STATUS_CORRUPT, "%s: not a PNG file", name);
    if (size < PNG_HEADER_BYTES || memcmp(bytes + PNG_SIGNATURE, FIRST_CHUNK, sizeof FIRST_CHUNK) != 0)
        return error_set(error, STATUS_CORRUPT, "%s: a PNG file truncated or damaged within its header",
                         name);
    const uint8_t *fields = bytes + PNG_SIGNATURE + sizeof FIRST_CHUNK; /* width, height, depth, color type */
    header->width = big_endian(fields);
    header->height = big_endian(fields + 4);
    header->channels = fields[9] & PNG_COLOR_MASK_COLOR ? 3 : 1;
    return check_size(name, header->height, header->width, error);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

typedef struct {
    PngTrouble trouble;
    const uint8_t *bytes;
    size_t size, used;
    png_structp png;
    png_infop info;
    Image image; /* while it is read, with up to 4 channels */
} PngReader;

static void on_read(png_structp png, png_bytep out, size_t count) {
    PngReader *reader = png_get_io_ptr(png);
    if (count > reader->size - reader->used)
        give_up(png, error_set(reader->trouble.error, STATUS_CORRUPT,
                               "%s: truncated: it ends after %zu bytes", reader->trouble.name, reader->size));
    memcpy(out, reader->bytes + reader->used, count);
    reader->used += count;
}

/* Any kind of PNG to 8 bits of gray, gray and alpha, RGB, or RGB and alpha. */
static void set_conversions(PngReader *reader) {
    png_structp png = reader->png;
    int color = png_get_color_type(png, reader->info), depth = png_get_bit_depth(png, reader->info);
    if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (color == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_valid(png, reader->info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
    if (depth == 16) png_set_scale_16(png);
}

/* Transparency laid over black: color·alpha / 255, to the nearest byte. Packs in place. */
static void lay_over_black(Image *image) {
    size_t colors = (size_t)image->channels - 1, count = (size_t)(image->height * image->width);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = image->pixels + i * (colors + 1);
        unsigned alpha = from[colors];
        for (size_t c = 0; c < colors; c++)
            image->pixels[i * colors + c] = (uint8_t)((from[c] * alpha + 127) / 255);
    }
    image->channels = (int64_t)colors;
}

/* Everything that may jump. */
static void read_all(PngReader *reader) {
    png_structp png = reader->png;
    Image *image = &reader->image;
    png_read_info(png, reader->info);
    size_t packed = png_get_rowbytes(png, reader->info) * png_get_image_height(png, reader->info);
    set_conversions(reader);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    image->height = png_get_image_height(png, reader->info);
    image->width = png_get_image_width(png, reader->info);
    image->channels = png_get_channels(png, reader->info);

    size_t row = (size_t)(image->width * image->channels), bytes = row * (size_t)image->height;
    if (packed / DEFLATE_GROWTH > reader->size)
        give_up(png, error_set(reader->trouble.error, STATUS_CORRUPT,
                               "%s: its header promises %lld×%lld pixels, its %zu bytes cannot hold as many",
                               reader->trouble.name, (long long)image->width, (long long)image->height,
                               reader->size));
    image->pixels = memory_resize(NULL, bytes);
    if (!image->pixels) give_up(png, error_no_memory(reader->trouble.error, reader->trouble.name));
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < image->height; y++) png_read_row(png, image->pixels + (size_t)y * row, NULL);
    png_read_end(png, NULL);
}

static void try_reading(PngReader *reader) {
    if (setjmp(png_jmpbuf(reader->png)) == 0) read_all(reader);
}

static Status no_memory(PngReader *reader) {
    return error_no_memory(reader->trouble.error, reader->trouble.name);
}

static Status read_png(PngReader *reader) {
    reader->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader->trouble, on_error, on_warning,
                                           &reader->trouble, png_new, png_release);
    if (!reader->png) return no_memory(reader);
    reader->info = png_create_info_struct(reader->png);
    if (!reader->info) {
        png_destroy_read_struct(&reader->png, NULL, NULL);
        return no_memory(reader);
    }
    png_set_read_fn(reader->png, reader, on_read);
    png_set_user_limits(reader->png, IMAGE_SIDE_LIMIT, IMAGE_SIDE_LIMIT);
    png_set_chunk_malloc_max(reader->png, PNG_CHUNK_LIMIT);
    png_set_chunk_cache_max(reader->png, PNG_CHUNK_COUNT);
    try_reading(reader);
    png_destroy_read_struct(&reader->png, &reader->info, NULL);
    return reader->trouble.status;
}

Status png_parse(const char *name, const uint8_t *bytes, size_t size, Image *image, Error *error) {
    *image = (Image){.pixels = NULL};
    PngHeader header;
    Status status = png_header(name, bytes, size, &header, error);
    if (status) return status;
    PngReader reader = {.trouble = {.name = name, .error = error}, .bytes = bytes, .size = size};
    status = read_png(&reader);
    if (status) {
        memory_free(reader.image.pixels);
        return status;
    }
    *image = reader.image;
    if (image->channels == 2 || image->channels == ALPHA_CHANNELS) lay_over_black(image);
    return STATUS_OK;
}

Status png_read(const char *path, Image *image, Error *error) {
    *image = (Image){.pixels = NULL};
    uint8_t *bytes;
    size_t size;
    Status status = file_load(path, PNG_BYTES_LIMIT, &bytes, &size, error);
    if (status) return status;
    status = png_parse(path, bytes, size, image, error);
    memory_free(bytes);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------- */

typedef struct {
    PngTrouble trouble;
    const Image *image;
    uint8_t *bytes;
    size_t size, room;
    png_structp png;
    png_infop info;
} PngWriter;

static void on_write(png_structp png, png_bytep bytes, size_t count) {
    PngWriter *writer = png_get_io_ptr(png);
    if (count > writer->room - writer->size) {
        size_t room = 2 * (writer->size + count); /* an image is far from the end of memory */
        uint8_t *grown = memory_resize(writer->bytes, room);
        if (!grown) give_up(png, error_no_memory(writer->trouble.error, writer->trouble.name));
        writer->bytes = grown;
        writer->room = room;
    }
    memcpy(writer->bytes + writer->size, bytes, count);
    writer->size += count;
}

static void on_flush(png_structp png) {
    (void)png;
}

static void write_all(PngWriter *writer) {
    const Image *image = writer->image;
    int color = image->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY;
    png_set_IHDR(writer->png, writer->info, (png_uint_32)image->width, (png_uint_32)image->height, 8, color,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer->png, writer->info);
    size_t row = (size_t)(image->width * image->channels);
    for (int64_t y = 0; y < image->height; y++) png_write_row(writer->png, image->pixels + (size_t)y * row);
    png_write_end(writer->png, NULL);
}

static void try_writing(PngWriter *writer) {
    if (setjmp(png_jmpbuf(writer->png)) == 0) write_all(writer);
}

static Status write_png(PngWriter *writer) {
    writer->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &writer->trouble, on_error, on_warning,
                                            &writer->trouble, png_new, png_release);
    if (!writer->png) return error_no_memory(writer->trouble.error, writer->trouble.name);
    writer->info = png_create_info_struct(writer->png);
    if (!writer->info) {
        png_destroy_write_struct(&writer->png, NULL);
        return error_no_memory(writer->trouble.error, writer->trouble.name);
    }
    png_set_write_fn(writer->png, writer, on_write, on_flush);
    try_writing(writer);
    png_destroy_write_struct(&writer->png, &writer->info);
    return writer->trouble.status;
}

static Status encode(const char *name, const Image *image, uint8_t **bytes, size_t *size, Error *error) {
    *bytes = NULL;
    Status status = check_size(name, image->height, image->width, error);
    if (status) return status;
    PngWriter writer = {.trouble = {.name = name, .error = error}, .image = image};
    status = write_png(&writer);
    if (status) {
        memory_free(writer.bytes);
        return status;
    }
    *bytes = writer.bytes;
    *size = writer.size;
    return STATUS_OK;
}

Status png_encode(const Image *image, uint8_t **bytes, size_t *size, Error *error) {
    return encode("a PNG file's bytes", image, bytes, size, error);
}

Status png_write(const char *path, const Image *image, Error *error) {
    uint8_t *bytes;
    size_t size;
    Status status = encode(path, image, &bytes, &size, error);
    if (status) return status;
    status = file_save(path, &(FilePiece){bytes, size}, 1, error);
    memory_free(bytes);
    return status;
}
