/* Random numbers for tests: splitmix64, so that nothing under test is what makes the cases. A failing case is
 * had again from its seed. */
#ifndef BROOD_TESTS_DRAW_H
#define BROOD_TESTS_DRAW_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t state;
} Draw;

Draw draw_from(uint64_t seed);
uint64_t draw_bits(Draw *draw);
int64_t draw_integer(Draw *draw, int64_t least, int64_t most); /* both included */
double draw_uniform(Draw *draw, double low, double high);
void draw_fill(Draw *draw, double *values, size_t count, double low, double high);

#endif
