/* Pictures: PNG files in and out, conversions between bytes and the engine's reals, and the sheets that
 * people look at: grids of images, scatter plots of points.
 *
 * An Image is 8-bit gray or RGB. Reals stand for pixels as value = pixel / 127.5 − 1, so 0 is −1 and 255
 * is 1. */
#ifndef BROOD_DATA_IMAGE_H
#define BROOD_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/real.h"

typedef struct {
    int64_t height, width, channels; /* channels: 1 gray, 3 RGB */
    uint8_t *pixels;                 /* (height, width, channels), owned */
} Image;

/* No side of an image is longer than the one, none has more pixels than the other: 200 MB of RGB. */
enum { IMAGE_SIDE_LIMIT = 16384, IMAGE_PIXEL_LIMIT = 1 << 26 };

/* A black image; fails when a side is out of range or there is no memory. `image` needs no initialization,
 * and is safe to free after a failure. */
Status image_new(Image *image, int64_t height, int64_t width, int64_t channels, Error *error);
void image_free(Image *image);

/* ---- numbers ------------------------------------------------------------------------------------------- */

/* To the nearest byte, halves upward: floor((value + 1)·127.5 + 0.5), clamped to 0 .. 255. A NaN becomes 0,
 * black, so that rounding never depends on the machine; whoever must notice NaNs looks before. */
void image_to_bytes(const real *values, size_t count, uint8_t *bytes);

/* value = byte / 127.5 − 1, computed in double and rounded once. */
void bytes_to_image(const uint8_t *bytes, size_t count, real *values);

/* Resizes by area averaging, exactly: every pixel of the result is the mean of the rectangle that it covers,
 * rounded to the nearest byte. Enlarging repeats and blends pixels. Sides at most IMAGE_SIDE_LIMIT. */
void image_resize(const uint8_t *from, int64_t from_height, int64_t from_width, int64_t channels, uint8_t *to,
                  int64_t to_height, int64_t to_width);

/* ---- PNG ----------------------------------------------------------------------------------------------- */

/* Reads any PNG as 8-bit gray or RGB. Converted, not refused: 16 bits are scaled to 8, fewer than 8 are
 * expanded, palettes become RGB, interlaced files are woven together, and transparency is laid over black
 * (−1, what images are padded with). Gamma and color profiles are ignored: bytes stay what they are.
 * `name` is for messages. Fails on what is damaged, truncated or larger than the limits above. */
Status png_read(const char *path, Image *image, Error *error);
Status png_parse(const char *name, const uint8_t *bytes, size_t size, Image *image, Error *error);

/* What a PNG's first PNG_HEADER_BYTES say, without decoding it: the size, and the channels that reading would
 * give. */
enum { PNG_HEADER_BYTES = 33 };
typedef struct {
    int64_t height, width, channels;
} PngHeader;
Status png_header(const char *name, const uint8_t *bytes, size_t size, PngHeader *header, Error *error);

/* Writes a file whole or not at all: under a temporary name in the same folder, synced, then renamed. On
 * failure (no such folder, full disk, no permission) the message says so, a file of that name that was there
 * before is as it was, and the temporary one is gone. */
Status png_write(const char *path, const Image *image, Error *error);

/* The bytes of the file, to be freed by memory_free. */
Status png_encode(const Image *image, uint8_t **bytes, size_t *size, Error *error);

/* ---- sheets -------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t columns; /* 0: about as many as rows */
    int64_t margin;  /* pixels between tiles and around them */
    int64_t
        magnify; /* each pixel becomes a square of this side; 0: what makes a tile 64 pixels wide or more */
    uint8_t background; /* gray level of margins and empty places */
} GridStyle;

/* Margins of 2 pixels in dark gray, the rest chosen by itself. */
GridStyle grid_style(void);

/* Tiles `count` images (count, height, width, channels), row by row. */
Status grid_of_bytes(const GridStyle *style, int64_t count, int64_t height, int64_t width, int64_t channels,
                     const uint8_t *pixels, Image *sheet, Error *error);
Status grid_of_reals(const GridStyle *style, int64_t count, int64_t height, int64_t width, int64_t channels,
                     const real *values, Image *sheet, Error *error);

typedef struct {
    int64_t side;  /* of the square picture, in pixels */
    double extent; /* the axes go from −extent to +extent, y upward */
    double radius; /* of a dot, in pixels */
} ScatterStyle;

/* 400 pixels, the given extent, dots of 1.6 pixels. */
ScatterStyle scatter_style(double extent);

/* Plots points (count, 2): real ones in blue below, fake ones in orange above, dots with smooth edges, on
 * white with thin axes. Points outside the extent or not finite are left out; their number is put into
 * `left_out` unless that is NULL. Either set may be empty. */
Status scatter_plot(const ScatterStyle *style, const real *reals, size_t real_count, const real *fakes,
                    size_t fake_count, Image *picture, size_t *left_out, Error *error);

/* How much images (count, numbers) differ: the standard deviation of each number over all of them, averaged
 * over the numbers. */
double images_spread(const real *images, size_t count, size_t numbers);

#endif
