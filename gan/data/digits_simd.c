#include <math.h>

#include "base/isa.h"
#include "gan/data/parts.h"

extern const DigitsKernels ISA(digits_kernels);

enum { LANES = 8 }; /* a piece of stroke with its pen is about as wide as that */

/* The rows or columns from `low` to `high` that lie on the canvas; pixel i's centre is at i + 0.5. */
static void clip(float low, float high, int side, int *first, int *last) {
    *first = low > 0 ? (int)low : 0;
    *last = high < (float)side ? (int)high : side - 1;
}

static void stroke_segment(DigitsCanvas *canvas, int side, DigitsSegment s, float edge) {
    float reach = (s.r0 > s.r1 ? s.r0 : s.r1) + 0.5F * edge;
    int top, bottom, left, right;
    clip((s.y0 < s.y1 ? s.y0 : s.y1) - reach, (s.y0 < s.y1 ? s.y1 : s.y0) + reach, side, &top, &bottom);
    clip((s.x0 < s.x1 ? s.x0 : s.x1) - reach, (s.x0 < s.x1 ? s.x1 : s.x0) + reach, side, &left, &right);

    float dx = s.x1 - s.x0, dy = s.y1 - s.y0, dr = s.r1 - s.r0;
    float scale = 1.0F / (dx * dx + dy * dy + 1e-6F), sharpness = 1.0F / edge;
    for (int row = top; row <= bottom; row++) {
        float *ink = canvas->ink + (row + 1) * DIGITS_STRIDE + DIGITS_MARGIN;
        float y = (float)row + 0.5F - s.y0;
        /* Whole lanes: it runs past `right` into the margin, no harm there. */
        int count = (right - left + LANES) / LANES * LANES;
        for (int i = 0; i < count; i++) {
            float x = (float)(left + i) + 0.5F - s.x0;
            float along = (x * dx + y * dy) * scale;
            along = along < 0 ? 0 : along;
            along = along > 1 ? 1 : along;
            float off_x = x - along * dx, off_y = y - along * dy;
            float distance = sqrtf(off_x * off_x + off_y * off_y);
            float cover = (s.r0 + along * dr - distance) * sharpness + 0.5F;
            float old = ink[left + i];
            ink[left + i] = cover > old ? cover : old;
        }
    }
}

static void stroke(DigitsCanvas *canvas, int side, const DigitsSegment *segments, size_t count, float edge) {
    for (size_t i = 0; i < count; i++) stroke_segment(canvas, side, segments[i], edge);
}

/* One row of coverage, at most 1, blurred with the rows above and below and then along itself. */
static void blur_row(const float *row, int side, float blur, float *out) {
    float middle = 1.0F - 2.0F * blur;
    float tall[DIGITS_SIDE_MAX + 2]; /* columns −1 to side */
    for (int i = 0; i < side + 2; i++) {
        float above = row[i - 1 - DIGITS_STRIDE], here = row[i - 1], below = row[i - 1 + DIGITS_STRIDE];
        above = above < 1 ? above : 1;
        here = here < 1 ? here : 1;
        below = below < 1 ? below : 1;
        tall[i] = middle * here + blur * (above + below);
    }
    for (int i = 0; i < side; i++) out[i] = middle * tall[i + 1] + blur * (tall[i] + tall[i + 2]);
}

/* A word's four bytes added up are close to normal: mean 510, variance 4·(256² − 1)/12. */
static void noise_row(const uint32_t *words, int side, float deviation, float *out) {
    float scale = deviation / 147.800F;
    for (int i = 0; i < side; i++) {
        uint32_t pairs = (words[i] & 0xFF00FFU) + ((words[i] >> 8) & 0xFF00FFU);
        out[i] = (float)((int32_t)((pairs & 0xFFFFU) + (pairs >> 16)) - 510) * scale;
    }
}

static void develop(const DigitsCanvas *canvas, int side, int channels, const DigitsTone *tone,
                    const uint32_t *noise, uint8_t *pixels) {
    for (int row = 0; row < side; row++) {
        float cover[DIGITS_SIDE_MAX], grain[DIGITS_SIDE_MAX];
        blur_row(canvas->ink + (row + 1) * DIGITS_STRIDE + DIGITS_MARGIN, side, tone->blur, cover);
        noise_row(noise + row * side, side, tone->noise, grain);
        for (int channel = 0; channel < channels; channel++) {
            float paper = tone->paper[channel], range = tone->ink[channel] - paper;
            uint8_t *out = pixels + row * side * channels + channel;
            uint8_t levels[DIGITS_SIDE_MAX]; /* in a row of their own, which vectors can be stored to */
            for (int i = 0; i < side; i++) {
                float value = paper + range * cover[i] + grain[i] + 0.5F;
                value = value > 0 ? value : 0;
                value = value < 255 ? value : 255;
                levels[i] = (uint8_t)(int32_t)value;
            }
            for (int i = 0; i < side; i++) out[i * channels] = levels[i];
        }
    }
}

const DigitsKernels ISA(digits_kernels) = {stroke, develop};
