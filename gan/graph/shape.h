/* Shapes of tensors: up to SHAPE_AXES axes, every size at least 1, row-major. */
#ifndef BROOD_GRAPH_SHAPE_H
#define BROOD_GRAPH_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { SHAPE_AXES = 8, SHAPE_TEXT = 160 };
#define SHAPE_LIMIT                                                                                          \
    ((int64_t)1 << 40) /* elements; anything larger is a mistake, and no product overflows                   \
                        */

typedef struct {
    int rank; /* 0 is a scalar */
    int64_t size[SHAPE_AXES];
} Shape;

/* Shape from a list of sizes: shape_of(2, 3, 4) has rank 3. */
#define shape_of(...)                                                                                        \
    shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})
Shape shape_make(int rank, const int64_t *size);
Shape shape_scalar(void);

/* Refuses ranks above SHAPE_AXES, sizes below 1 and more than SHAPE_LIMIT elements. */
Status shape_check(const Shape *shape, Error *error);

int64_t shape_count(Shape shape); /* number of elements */
bool shape_equal(Shape a, Shape b);

/* "(64, 32, 32, 3)"; "()" is a scalar. Returns `text`. */
const char *shape_text(Shape shape, char text[SHAPE_TEXT]);

#endif
