#include "tests/support/draw.h"

Draw draw_from(uint64_t seed) {
    return (Draw){.state = seed * 0xd1342543de82ef95u + 1};
}

uint64_t draw_bits(Draw *draw) {
    uint64_t z = draw->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t draw_integer(Draw *draw, int64_t least, int64_t most) {
    return least + (int64_t)(draw_bits(draw) % (uint64_t)(most - least + 1));
}

double draw_uniform(Draw *draw, double low, double high) {
    return low + (high - low) * (double)(draw_bits(draw) >> 11) * 0x1p-53;
}

void draw_fill(Draw *draw, double *values, size_t count, double low, double high) {
    for (size_t i = 0; i < count; i++) values[i] = draw_uniform(draw, low, high);
}
