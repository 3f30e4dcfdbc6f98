#include "gan/graph/shape.h"

#include <inttypes.h>
#include <stdio.h>

Shape shape_make(int rank, const int64_t *size) {
    Shape shape = {.rank = rank};
    for (int axis = 0; axis < rank && axis < SHAPE_AXES; axis++) shape.size[axis] = size[axis];
    return shape;
}

Shape shape_scalar(void) {
    return (Shape){.rank = 0};
}

Status shape_check(const Shape *shape, Error *error) {
    if (shape->rank < 0 || shape->rank > SHAPE_AXES)
        return error_set(error, STATUS_INVALID, "a shape has at most %d axes, this one %d", SHAPE_AXES,
                         shape->rank);
    char text[SHAPE_TEXT];
    int64_t count = 1;
    for (int axis = 0; axis < shape->rank; axis++) {
        if (shape->size[axis] < 1)
            return error_set(error, STATUS_INVALID,
                             "axis %d of shape %s has size %" PRId64 ": at least 1 expected", axis + 1,
                             shape_text(*shape, text), shape->size[axis]);
        if (__builtin_mul_overflow(count, shape->size[axis], &count) || count > SHAPE_LIMIT)
            return error_set(error, STATUS_INVALID, "shape %s has more than %" PRId64 " elements",
                             shape_text(*shape, text), SHAPE_LIMIT);
    }
    return STATUS_OK;
}

int64_t shape_count(Shape shape) {
    int64_t count = 1;
    for (int axis = 0; axis < shape.rank; axis++) count *= shape.size[axis];
    return count;
}

bool shape_equal(Shape a, Shape b) {
    if (a.rank != b.rank) return false;
    for (int axis = 0; axis < a.rank; axis++)
        if (a.size[axis] != b.size[axis]) return false;
    return true;
}

const char *shape_text(Shape shape, char text[SHAPE_TEXT]) {
    int used = snprintf(text, SHAPE_TEXT, "(");
    for (int axis = 0; axis < shape.rank && axis < SHAPE_AXES && used < SHAPE_TEXT; axis++)
        used += snprintf(text + used, (size_t)(SHAPE_TEXT - used), axis ? ", %" PRId64 : "%" PRId64,
                         shape.size[axis]);
    if (used < SHAPE_TEXT) snprintf(text + used, (size_t)(SHAPE_TEXT - used), ")");
    return text;
}
