#include "app/scoring/looker.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "gan/data/image.h"

/* ---- what the program is ------------------------------------------------------------------------------- */

static size_t input_of(const Looker *looker) {
    return (size_t)program_input_index(looker->program, "images");
}

static size_t output_of(const Looker *looker, const char *name) {
    return (size_t)program_output_index(looker->program, name);
}

static size_t width_of(const Looker *looker, const char *name) {
    return (size_t)program_output_shape(looker->program, output_of(looker, name)).size[1];
}

static size_t batch_of(const Looker *looker) {
    return (size_t)program_input_shape(looker->program, input_of(looker)).size[0];
}

static size_t plane_numbers(const Looker *looker) {
    return (size_t)shape_count(program_input_shape(looker->program, input_of(looker))) / batch_of(looker);
}

static bool gives_rows(const Program *program, const char *name, int64_t batch) {
    int output = program_output_index(program, name);
    if (output < 0) return false;
    Shape shape = program_output_shape(program, (size_t)output);
    return shape.rank == 2 && shape.size[0] == batch;
}

Status looker_check(const Looker *looker, Error *error) {
    const Program *program = looker->program;
    int input = program_input_index(program, "images");
    Shape shape = input < 0 ? shape_of(0) : program_input_shape(program, (size_t)input);
    if (shape.rank != 4 || !gives_rows(program, "features", shape.size[0]) ||
        !gives_rows(program, "logits", shape.size[0]))
        return error_set(
            error, STATUS_INVALID,
            "a classifier's program expected: images (batch, height, width, channels) in, rows of "
            "features and logits out");
    if (looker->planes == 1 || (looker->planes == 3 && shape.size[3] == 1)) return STATUS_OK;
    return error_set(error, STATUS_INVALID,
                     "%zu planes by a classifier of images with %" PRId64
                     " channels: 1, or 3 by a gray images' classifier, expected",
                     looker->planes, shape.size[3]);
}

size_t looker_numbers(const Looker *looker) {
    return plane_numbers(looker) * looker->planes;
}

size_t looker_features(const Looker *looker) {
    return width_of(looker, "features") * looker->planes;
}

size_t looker_classes(const Looker *looker) {
    size_t classes = width_of(looker, "logits");
    return looker->planes == 1 ? classes : classes * classes * classes;
}

/* ---- rounding ------------------------------------------------------------------------------------------ */

/* A NaN or an infinity times 0 is a NaN. */
static bool all_finite(const real *numbers, size_t count) {
    real sum = 0;
    for (size_t i = 0; i < count; i++) sum += numbers[i] * 0;
    return sum == 0;
}

Status looker_round(real *images, size_t count, size_t numbers, size_t first, Error *error) {
    enum { PIECE = 1024 };
    uint8_t bytes[PIECE];
    for (size_t i = 0; i < count; i++)
        if (!all_finite(images + i * numbers, numbers))
            return error_set(error, STATUS_NOT_FINITE, "image %zu holds a number that is not finite",
                             first + i + 1);
    for (size_t i = 0; i < count * numbers; i += PIECE) {
        size_t some = count * numbers - i < PIECE ? count * numbers - i : PIECE;
        image_to_bytes(images + i, some, bytes);
        bytes_to_image(bytes, some, images + i);
    }
    return STATUS_OK;
}

/* ---- looking ------------------------------------------------------------------------------------------- */

/* Plane `plane` of each of `count` images. */
static void take_plane(const Looker *looker, const real *images, size_t count, size_t plane, real *into) {
    size_t numbers = plane_numbers(looker);
    for (size_t i = 0; i < count * numbers; i++) into[i] = images[i * looker->planes + plane];
}

static void put_features(const Looker *looker, const real *rows, size_t count, size_t plane,
                         double *features) {
    size_t width = width_of(looker, "features"), stride = width * looker->planes;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < width; j++)
            features[i * stride + plane * width + j] = (double)rows[i * width + j];
}

/* Of planes: the logit of three classes is the sum of theirs, since their probabilities multiply. */
static void add_logits(const Looker *looker, const real *rows, size_t count, size_t plane, double *logits) {
    size_t classes = width_of(looker, "logits"), all = looker_classes(looker), place = 1;
    for (size_t p = plane + 1; p < looker->planes; p++) place *= classes;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < all; j++) {
            double logit = (double)rows[i * classes + j / place % classes];
            logits[i * all + j] = plane ? logits[i * all + j] + logit : logit;
        }
}

/* At most a batch. What is missing of a whole one is black, and thrown away. */
static Status look_at_batch(const Looker *looker, Workspace *workspace, const real *images, size_t count,
                            size_t plane, double *features, double *logits, Error *error) {
    const Program *program = looker->program;
    real *into = workspace_input(workspace, program, input_of(looker));
    size_t numbers = plane_numbers(looker), room = batch_of(looker) * numbers;
    take_plane(looker, images, count, plane, into);
    for (size_t i = count * numbers; i < room; i++) into[i] = -1;
    Status status = program_run(program, looker->state, workspace, 0, 0, error);
    if (status) return status;
    const real *seen = workspace_output(workspace, program, output_of(looker, "features"));
    if (features) put_features(looker, seen, count, plane, features);
    seen = workspace_output(workspace, program, output_of(looker, "logits"));
    if (logits) add_logits(looker, seen, count, plane, logits);
    return STATUS_OK;
}

Status looker_look(const Looker *looker, Workspace *workspace, const real *images, size_t count,
                   double *features, double *logits, Error *error) {
    size_t batch = batch_of(looker);
    Status status = workspace_reserve(workspace, looker->program, error);
    for (size_t done = 0; !status && done < count; done += batch) {
        size_t some = count - done < batch ? count - done : batch;
        for (size_t plane = 0; !status && plane < looker->planes; plane++)
            status = look_at_batch(looker, workspace, images + done * looker_numbers(looker), some, plane,
                                   features ? features + done * looker_features(looker) : NULL,
                                   logits ? logits + done * looker_classes(looker) : NULL, error);
    }
    return status;
}
