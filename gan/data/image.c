/* Images as numbers, and the sheets that people look at. */
#include "gan/data/image.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

Status image_new(Image *image, int64_t height, int64_t width, int64_t channels, Error *error) {
    *image = (Image){.height = height, .width = width, .channels = channels};
    if (channels != 1 && channels != 3)
        return error_set(error, STATUS_INVALID, "an image has 1 or 3 channels, not %lld",
                         (long long)channels);
    if (height < 1 || width < 1 || height > IMAGE_SIDE_LIMIT || width > IMAGE_SIDE_LIMIT ||
        height * width > IMAGE_PIXEL_LIMIT)
        return error_set(
            error, STATUS_INVALID,
            "an image of %lld×%lld pixels: sides of 1 to %d and at most %d pixels in all were expected",
            (long long)width, (long long)height, IMAGE_SIDE_LIMIT, IMAGE_PIXEL_LIMIT);
    image->pixels = memory_new((size_t)(height * width), (size_t)channels);
    return image->pixels ? STATUS_OK : error_no_memory(error, "an image");
}

void image_free(Image *image) {
    memory_free(image->pixels);
    image->pixels = NULL;
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

void image_to_bytes(const real *values, size_t count, uint8_t *bytes) {
    for (size_t i = 0; i < count; i++) {
        double level = ((double)values[i] + 1.0) * 127.5 + 0.5;
        /* Comparisons are false for a NaN, which falls to 0. Truncation is floor where it is positive. */
        bytes[i] = level >= 255.0 ? 255 : level > 0.0 ? (uint8_t)level : 0;
    }
}

void bytes_to_image(const uint8_t *bytes, size_t count, real *values) {
    real levels[256];
    for (int level = 0; level < 256; level++) levels[level] = (real)(level / 127.5 - 1.0);
    for (size_t i = 0; i < count; i++) values[i] = levels[bytes[i]];
}

/* On an axis, pixel i of `from` covers i·to .. (i + 1)·to and pixel j of the result j·from .. (j + 1)·from,
 * so that what they share is a whole number. */
typedef struct {
    int64_t first, last; /* pixels of `from` that pixel j touches */
    int64_t begin, end;  /* what pixel j covers */
} Span;

static Span span_of(int64_t j, int64_t from, int64_t to) {
    Span span = {.begin = j * from, .end = (j + 1) * from};
    span.first = span.begin / to;
    span.last = (span.end - 1) / to;
    return span;
}

static int64_t span_share(const Span *span, int64_t i, int64_t to) {
    int64_t low = i * to > span->begin ? i * to : span->begin;
    int64_t high = (i + 1) * to < span->end ? (i + 1) * to : span->end;
    return high - low;
}

void image_resize(const uint8_t *from, int64_t from_height, int64_t from_width, int64_t channels, uint8_t *to,
                  int64_t to_height, int64_t to_width) {
    int64_t area = from_height * from_width; /* of a pixel of the result; area·255 is far below 2^63 */
    for (int64_t y = 0; y < to_height; y++) {
        Span rows = span_of(y, from_height, to_height);
        for (int64_t x = 0; x < to_width; x++) {
            Span columns = span_of(x, from_width, to_width);
            int64_t sum[3] = {0, 0, 0};
            for (int64_t i = rows.first; i <= rows.last; i++) {
                int64_t tall = span_share(&rows, i, to_height);
                for (int64_t j = columns.first; j <= columns.last; j++) {
                    int64_t weight = tall * span_share(&columns, j, to_width);
                    const uint8_t *pixel = from + (i * from_width + j) * channels;
                    for (int64_t c = 0; c < channels; c++) sum[c] += weight * pixel[c];
                }
            }
            for (int64_t c = 0; c < channels; c++) *to++ = (uint8_t)((sum[c] + area / 2) / area);
        }
    }
}

/* ---- grids --------------------------------------------------------------------------------------------- */

GridStyle grid_style(void) {
    return (GridStyle){.margin = 2, .background = 48};
}

enum { TILE_WIDTH = 64 }; /* what the eye can read: smaller tiles are magnified */

/* Where tiles go. */
typedef struct {
    int64_t columns, rows, magnify, pitch_x, pitch_y;
} GridPlan;

static Status grid_plan(const GridStyle *style, int64_t count, int64_t height, int64_t width,
                        int64_t channels, GridPlan *plan, Error *error) {
    if (count < 1 || count > IMAGE_PIXEL_LIMIT || height < 1 || width < 1 || height > IMAGE_SIDE_LIMIT ||
        width > IMAGE_SIDE_LIMIT || (channels != 1 && channels != 3))
        return error_set(error, STATUS_INVALID, "no sheet can show %lld images of %lld×%lld×%lld",
                         (long long)count, (long long)height, (long long)width, (long long)channels);
    if (style->columns < 0 || style->margin < 0 || style->margin > IMAGE_SIDE_LIMIT || style->magnify < 0 ||
        style->magnify > IMAGE_SIDE_LIMIT)
        return error_set(
            error, STATUS_INVALID,
            "a sheet with %lld columns, margin %lld, magnified %lld times: none may be negative or "
            "larger than %d",
            (long long)style->columns, (long long)style->margin, (long long)style->magnify, IMAGE_SIDE_LIMIT);
    plan->columns = style->columns ? style->columns : (int64_t)ceil(sqrt((double)count));
    if (plan->columns > count) plan->columns = count;
    plan->rows = (count + plan->columns - 1) / plan->columns;
    plan->magnify = style->magnify ? style->magnify : (TILE_WIDTH + width - 1) / width;
    plan->pitch_x = width * plan->magnify + style->margin;
    plan->pitch_y = height * plan->magnify + style->margin;
    return STATUS_OK;
}

/* Copies an image into the sheet at (top, left), each pixel becoming a square. */
static void place_tile(Image *sheet, int64_t top, int64_t left, int64_t magnify, int64_t height,
                       int64_t width, const uint8_t *pixels) {
    int64_t channels = sheet->channels;
    for (int64_t y = 0; y < height * magnify; y++) {
        uint8_t *out = sheet->pixels + ((top + y) * sheet->width + left) * channels;
        const uint8_t *row = pixels + y / magnify * width * channels;
        for (int64_t x = 0; x < width * magnify; x++, out += channels)
            memcpy(out, row + x / magnify * channels, (size_t)channels);
    }
}

/* Either `pixels` or `values` is given. */
static Status grid_make(const GridStyle *style, int64_t count, int64_t height, int64_t width,
                        int64_t channels, const uint8_t *pixels, const real *values, Image *sheet,
                        Error *error) {
    *sheet = (Image){.pixels = NULL};
    GridPlan plan = {.columns = 1};
    Status status = grid_plan(style, count, height, width, channels, &plan, error);
    if (!status)
        status = image_new(sheet, plan.rows * plan.pitch_y + style->margin,
                           plan.columns * plan.pitch_x + style->margin, channels, error);
    if (status) return status;
    memset(sheet->pixels, style->background, (size_t)(sheet->height * sheet->width * channels));

    size_t size = (size_t)(height * width * channels);
    uint8_t *rounded = values ? memory_resize(NULL, size) : NULL;
    if (values && !rounded) {
        image_free(sheet);
        return error_no_memory(error, "a sheet of images");
    }
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *tile = values ? rounded : pixels + (size_t)i * size;
        if (values) image_to_bytes(values + (size_t)i * size, size, rounded);
        place_tile(sheet, style->margin + i / plan.columns * plan.pitch_y,
                   style->margin + i % plan.columns * plan.pitch_x, plan.magnify, height, width, tile);
    }
    memory_free(rounded);
    return STATUS_OK;
}

Status grid_of_bytes(const GridStyle *style, int64_t count, int64_t height, int64_t width, int64_t channels,
                     const uint8_t *pixels, Image *sheet, Error *error) {
    return grid_make(style, count, height, width, channels, pixels, NULL, sheet, error);
}

Status grid_of_reals(const GridStyle *style, int64_t count, int64_t height, int64_t width, int64_t channels,
                     const real *values, Image *sheet, Error *error) {
    return grid_make(style, count, height, width, channels, NULL, values, sheet, error);
}

/* ---- scatter plots ------------------------------------------------------------------------------------- */

/* Told apart by people of every color vision. */
static const uint8_t BLUE[3] = {31, 119, 180}, ORANGE[3] = {240, 110, 10}, GRAY[3] = {205, 205, 205};

ScatterStyle scatter_style(double extent) {
    return (ScatterStyle){.side = 400, .extent = extent, .radius = 1.6};
}

/* Lays a color over a pixel. */
static void blend(Image *picture, int64_t row, int64_t column, double share, const uint8_t color[3]) {
    uint8_t *pixel = picture->pixels + (row * picture->width + column) * 3;
    for (int c = 0; c < 3; c++) pixel[c] = (uint8_t)(pixel[c] + share * (color[c] - pixel[c]) + 0.5);
}

/* A disc around (x, y), whose edge is one pixel soft; pixel i's centre is at i + 0.5. */
static void draw_dot(Image *picture, double x, double y, double radius, const uint8_t color[3]) {
    double reach = radius + 1.0;
    int64_t top = (int64_t)fmax(y - reach, 0), bottom = (int64_t)fmin(y + reach, (double)picture->height - 1);
    int64_t left = (int64_t)fmax(x - reach, 0), right = (int64_t)fmin(x + reach, (double)picture->width - 1);
    for (int64_t row = top; row <= bottom; row++)
        for (int64_t column = left; column <= right; column++) {
            double off_x = (double)column + 0.5 - x, off_y = (double)row + 0.5 - y;
            double share = radius + 0.5 - sqrt(off_x * off_x + off_y * off_y);
            if (share > 0) blend(picture, row, column, fmin(share, 1.0), color);
        }
}

/* Returns how many points were left out. */
static size_t draw_points(Image *picture, const ScatterStyle *style, const real *points, size_t count,
                          const uint8_t color[3]) {
    size_t left_out = 0;
    double half = 0.5 * (double)style->side, scale = half / style->extent;
    for (size_t i = 0; i < count; i++) {
        double x = (double)points[2 * i], y = (double)points[2 * i + 1];
        if (fabs(x) <= style->extent && fabs(y) <= style->extent) /* false for a NaN */
            draw_dot(picture, half + x * scale, half - y * scale, style->radius, color);
        else
            left_out++;
    }
    return left_out;
}

Status scatter_plot(const ScatterStyle *style, const real *reals, size_t real_count, const real *fakes,
                    size_t fake_count, Image *picture, size_t *left_out, Error *error) {
    *picture = (Image){.pixels = NULL};
    if (!(style->extent > 0) || !isfinite(style->extent) || !(style->radius > 0) ||
        !(style->radius <= (double)style->side))
        return error_set(
            error, STATUS_INVALID,
            "a plot of extent %g with dots of radius %g: both must be positive, and the dots no larger "
            "than the picture's %lld pixels",
            style->extent, style->radius, (long long)style->side);
    Status status = image_new(picture, style->side, style->side, 3, error);
    if (status) return status;
    memset(picture->pixels, 255, (size_t)(picture->height * picture->width * 3));
    for (int64_t i = 0; i < style->side; i++) {
        blend(picture, i, style->side / 2, 1.0, GRAY);
        blend(picture, style->side / 2, i, 1.0, GRAY);
    }
    size_t missing = draw_points(picture, style, reals, real_count, BLUE);
    missing += draw_points(picture, style, fakes, fake_count, ORANGE);
    if (left_out) *left_out = missing;
    return STATUS_OK;
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

static double deviation(const real *images, size_t count, size_t numbers, size_t which) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < count; i++) mean += (double)images[i * numbers + which];
    mean /= (double)count;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)images[i * numbers + which] - mean;
        squares += difference * difference;
    }
    return sqrt(squares / (double)count);
}

double images_spread(const real *images, size_t count, size_t numbers) {
    double sum = 0;
    for (size_t which = 0; which < numbers; which++) sum += deviation(images, count, numbers, which);
    return sum / (double)numbers;
}
