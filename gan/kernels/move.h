/* Moving numbers about: strided copies, pooling, lookup, maxima. All arrays are row-major. */
#ifndef BROOD_KERNELS_MOVE_H
#define BROOD_KERNELS_MOVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"

enum { MOVE_AXES = 10 };

/* A walk over `rank` axes: at each index, `from` and `to` move by their strides (in numbers). A stride of 0
 * repeats on the reading side. */
typedef struct {
    int rank;
    int64_t size[MOVE_AXES], from[MOVE_AXES], to[MOVE_AXES];
} Move;

void move_copy(const Move *move, const real *from, real *to); /* to = from */
void move_add(const Move *move, const real *from, real *to);  /* to += from; strides of 0 in `to` sum */
void move_max(const Move *move, const real *from, real *to);  /* to = max(to, from), a NaN wins */

/* y[i] = table[index[i]] for `count` rows of `width` numbers; SIZE_MAX, or the position of the first index
 * that is not a whole number in 0 .. rows − 1. */
size_t move_gather(size_t count, size_t width, size_t rows, const real *table, const real *index, real *y);
/* y[index[i]] += values[i]; y is zeroed first. Returns as move_gather does. */
size_t move_scatter(size_t count, size_t width, size_t rows, const real *values, const real *index, real *y);

#endif
