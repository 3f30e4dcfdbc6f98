#include "gan/data/parts.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/isa.h"
#include "base/random.h"

ISA_DECLARE(DigitsKernels, digits_kernels);

/* ---- skeletons ----------------------------------------------------------------------------------------- */

/* What the pen does at a point of a skeleton. */
typedef enum { DONE, DOWN, THROUGH, TURN } Pen;

/* A point in hundredths of the digit's height: x from 0 to about 60, y from 0 (top) to 100. */
typedef struct {
    int8_t x, y;
    uint8_t pen; /* DOWN starts a stroke, THROUGH is passed in a curve, TURN is a sharp corner */
} SkeletonPoint;

/* clang-format off */
#define START(x, y)  {x, y, DOWN}
#define AT(x, y)     {x, y, THROUGH}
#define CORNER(x, y) {x, y, TURN}
#define END          {0, 0, DONE}
/* clang-format on */

enum { SKELETON_POINTS = 20 };

typedef struct {
    uint8_t digit;
    uint8_t share; /* of the digit's images, in relation to its other skeletons */
    SkeletonPoint points[SKELETON_POINTS];
} Skeleton;

/* Grouped by digit, in order. */
/* clang-format off */
static const Skeleton SKELETONS[] = {
    /* 0: a closed oval; with overlapping ends; round, closed from the left */
    {0, 4, {START(34, 2), AT(12, 10), AT(1, 45), AT(9, 86), AT(30, 98), AT(52, 85), AT(60, 50), AT(50, 14),
            AT(32, 2), END}},
    {0, 3, {START(44, 9), AT(24, 2), AT(6, 28), AT(4, 68), AT(22, 97), AT(48, 89), AT(59, 54), AT(53, 20),
            AT(37, 3), AT(23, 8), END}},
    {0, 2, {START(14, 10), AT(1, 40), AT(6, 78), AT(28, 98), AT(54, 84), AT(63, 48), AT(50, 10), AT(28, 1),
            AT(10, 14), END}},
    /* 1: a stroke; with a flag; with flag and foot */
    {1, 5, {START(31, 1), AT(30, 34), AT(29, 66), AT(29, 99), END}},
    {1, 4, {START(12, 25), AT(22, 15), CORNER(33, 1), AT(32, 50), AT(31, 99), END}},
    {1, 2, {START(14, 22), AT(24, 13), CORNER(33, 1), AT(32, 50), CORNER(31, 97),
            START(11, 98), AT(31, 97), AT(52, 98), END}},
    /* 2: with a straight foot; with a loop; sharp as a z; with a swung foot */
    {2, 4, {START(8, 22), AT(18, 6), AT(36, 2), AT(50, 16), AT(46, 42), AT(26, 72), CORNER(5, 96), AT(30, 94),
            AT(56, 96), END}},
    {2, 3, {START(9, 20), AT(22, 4), AT(42, 5), AT(50, 24), AT(38, 56), AT(18, 86), AT(7, 93), AT(6, 82),
            AT(18, 80), AT(36, 93), AT(58, 94), END}},
    {2, 2, {START(6, 13), AT(26, 2), AT(46, 9), AT(46, 32), AT(28, 64), CORNER(6, 98), AT(56, 98), END}},
    {2, 2, {START(5, 16), AT(24, 2), AT(48, 14), AT(40, 50), AT(22, 78), CORNER(7, 92), AT(28, 88), AT(44, 99),
            AT(60, 90), END}},
    /* 3: two bowls; with a flat top; with a loop between the bowls */
    {3, 5, {START(8, 13), AT(26, 1), AT(47, 12), AT(44, 35), CORNER(24, 47), AT(47, 57), AT(54, 78), AT(36, 98),
            AT(6, 88), END}},
    {3, 2, {START(8, 3), AT(29, 3), CORNER(50, 3), AT(37, 22), CORNER(24, 41), AT(46, 50), AT(54, 74),
            AT(36, 98), AT(6, 90), END}},
    {3, 2, {START(8, 14), AT(28, 1), AT(48, 14), AT(42, 38), AT(26, 50), AT(19, 44), AT(30, 43), AT(50, 60),
            AT(50, 86), AT(28, 99), AT(6, 89), END}},
    /* 4: open; closed; open and round; in one stroke from the foot */
    {4, 4, {START(15, 4), AT(10, 32), CORNER(5, 58), AT(30, 57), AT(58, 56),
            START(43, 8), AT(41, 50), AT(40, 99), END}},
    {4, 3, {START(42, 1), AT(24, 32), CORNER(3, 65), AT(30, 64), AT(60, 64),
            START(42, 1), AT(42, 50), AT(41, 99), END}},
    {4, 3, {START(10, 5), AT(7, 30), AT(13, 50), AT(30, 54), AT(50, 46),
            START(51, 2), AT(47, 50), AT(43, 99), END}},
    {4, 1, {START(32, 99), AT(34, 50), CORNER(38, 1), AT(20, 32), CORNER(4, 62), AT(30, 62), AT(58, 60), END}},
    /* 5: the bar a stroke of its own; all in one stroke; flowing as an s */
    {5, 4, {START(14, 6), AT(12, 26), CORNER(10, 46), AT(32, 38), AT(52, 56), AT(48, 84), AT(27, 99), AT(4, 90),
            START(14, 6), AT(34, 5), AT(54, 3), END}},
    {5, 3, {START(53, 3), AT(34, 4), CORNER(15, 5), AT(13, 26), CORNER(11, 46), AT(32, 39), AT(52, 57),
            AT(46, 88), AT(24, 99), AT(4, 91), END}},
    {5, 2, {START(52, 4), AT(34, 4), AT(16, 8), AT(12, 28), AT(24, 42), AT(44, 54), AT(49, 76), AT(34, 96),
            AT(7, 95), END}},
    /* 6: round; with a straight back; with a swung start */
    {6, 4, {START(45, 2), AT(20, 24), AT(6, 56), AT(10, 86), AT(30, 99), AT(50, 86), AT(50, 63), AT(31, 53),
            AT(11, 67), END}},
    {6, 3, {START(36, 0), AT(15, 38), AT(5, 74), AT(20, 98), AT(44, 94), AT(52, 74), AT(38, 57), AT(18, 65),
            AT(8, 82), END}},
    {6, 2, {START(50, 12), AT(36, 2), AT(16, 18), AT(5, 54), AT(11, 88), AT(32, 99), AT(50, 84), AT(46, 63),
            AT(28, 55), AT(9, 70), END}},
    /* 7: plain; with a bar; with a hook; round */
    {7, 4, {START(4, 7), AT(28, 5), CORNER(54, 4), AT(36, 44), AT(23, 99), END}},
    {7, 3, {START(4, 6), AT(28, 5), CORNER(54, 4), AT(36, 48), AT(24, 99),
            START(15, 53), AT(32, 50), AT(50, 48), END}},
    {7, 2, {START(6, 20), CORNER(6, 5), AT(30, 5), CORNER(55, 3), AT(36, 40), AT(27, 70), AT(24, 99), END}},
    {7, 2, {START(3, 10), AT(24, 3), AT(50, 5), AT(46, 30), AT(32, 62), AT(26, 99), END}},
    /* 8: one stroke; two rings; one stroke, open at the top */
    {8, 4, {START(46, 12), AT(29, 1), AT(11, 13), AT(16, 36), AT(40, 55), AT(54, 78), AT(32, 99), AT(8, 82),
            AT(17, 58), AT(41, 38), AT(50, 18), AT(42, 6), END}},
    {8, 2, {START(30, 1), AT(13, 10), AT(13, 36), AT(30, 46), AT(47, 35), AT(47, 11), AT(29, 1),
            START(30, 46), AT(9, 60), AT(9, 88), AT(30, 99), AT(52, 87), AT(52, 60), AT(29, 46), END}},
    {8, 3, {START(52, 10), AT(34, 0), AT(13, 10), AT(16, 34), AT(44, 60), AT(51, 84), AT(29, 99), AT(8, 86),
            AT(14, 62), AT(40, 38), AT(55, 6), END}},
    /* 9: with a straight stem; with a curved tail; with a slanting stem */
    {9, 4, {START(48, 22), AT(38, 4), AT(19, 3), AT(6, 22), AT(11, 43), AT(28, 49), AT(44, 36), CORNER(50, 10),
            AT(48, 52), AT(46, 99), END}},
    {9, 3, {START(49, 20), AT(34, 2), AT(13, 8), AT(6, 30), AT(20, 48), AT(40, 42), CORNER(50, 16), AT(52, 50),
            AT(45, 84), AT(26, 99), AT(7, 91), END}},
    {9, 3, {START(46, 10), AT(26, 2), AT(8, 17), AT(11, 40), AT(30, 46), AT(46, 30), CORNER(52, 8), AT(38, 56),
            AT(25, 99), END}},
};
/* clang-format on */
enum { SKELETON_COUNT = sizeof SKELETONS / sizeof SKELETONS[0] };

/* ---- chance -------------------------------------------------------------------------------------------- */

/* The random words of one image's shape; the noise of its pixels takes those from NOISE_FIRST on. */
enum { SHAPE_WORDS = 128, NOISE_FIRST = SHAPE_WORDS };
typedef struct {
    uint32_t words[SHAPE_WORDS];
    int next;
} Chance;

static uint32_t chance_word(Chance *chance) {
    return chance->words[chance->next++ % SHAPE_WORDS];
}

static float chance_between(Chance *chance, float low, float high) {
    return low + (high - low) * ((float)(chance_word(chance) >> 8) * 0x1p-24F);
}

/* About normal with mean 0: the sum of a word's bytes, which never goes beyond 3.5 deviations. */
static float chance_bell(Chance *chance, float deviation) {
    uint32_t word = chance_word(chance);
    int sum = (int)(word & 255) + (int)(word >> 8 & 255) + (int)(word >> 16 & 255) + (int)(word >> 24);
    return (float)(sum - 510) * (deviation / 147.8F);
}

/* ---- from skeleton to strokes -------------------------------------------------------------------------- */

enum { CURVE_STEPS = 4, SEGMENT_LIMIT = SKELETON_POINTS * CURVE_STEPS };

typedef struct {
    float x, y, radius;
} PenPoint;

/* How one image departs from the skeleton. Lengths in units of the digit's height. */
typedef struct {
    float width;          /* factor on x */
    float bend_x, bend_y; /* slow bends: x += bend_x·y², y += bend_y·x² */
    float swell;          /* the lower half wider than the upper: x *= 1 + swell·y */
    float slant;          /* x −= slant·y (y grows downward) */
    float cosine, sine;   /* rotation */
} Hand;

static Hand hand_draw(Chance *chance) {
    Hand hand;
    hand.width = 1.0F + chance_bell(chance, 0.06F);
    hand.bend_x = chance_bell(chance, 0.06F);
    hand.bend_y = chance_bell(chance, 0.06F);
    hand.swell = chance_bell(chance, 0.06F);
    hand.slant = 0.12F + chance_bell(chance, 0.15F);
    float half = chance_bell(chance, 0.04F); /* tangent of half the angle: an exact rotation without libm */
    hand.cosine = (1.0F - half * half) / (1.0F + half * half);
    hand.sine = 2.0F * half / (1.0F + half * half);
    return hand;
}

static PenPoint hand_place(const Hand *hand, SkeletonPoint from, float wobble, float pressure,
                           Chance *chance) {
    float x = ((float)from.x - 30.0F) * 0.01F + chance_bell(chance, wobble);
    float y = ((float)from.y - 50.0F) * 0.01F + chance_bell(chance, wobble);
    x *= hand->width * (1.0F + hand->swell * y);
    float bent_x = x + hand->bend_x * y * y, bent_y = y + hand->bend_y * x * x;
    bent_x -= hand->slant * bent_y;
    PenPoint point = {.x = hand->cosine * bent_x - hand->sine * bent_y,
                      .y = hand->sine * bent_x + hand->cosine * bent_y,
                      .radius = 1.0F + chance_bell(chance, pressure)};
    return point;
}

/* Between a and b of the cubic through before, a, b, after (Catmull and Rom 1974). */
static PenPoint curve_point(const PenPoint *before, const PenPoint *a, const PenPoint *b,
                            const PenPoint *after, float t) {
    float t2 = t * t, t3 = t2 * t;
    float w0 = 0.5F * (2.0F * t2 - t3 - t), w1 = 0.5F * (3.0F * t3 - 5.0F * t2 + 2.0F);
    float w2 = 0.5F * (4.0F * t2 - 3.0F * t3 + t), w3 = 0.5F * (t3 - t2);
    return (PenPoint){.x = w0 * before->x + w1 * a->x + w2 * b->x + w3 * after->x,
                      .y = w0 * before->y + w1 * a->y + w2 * b->y + w3 * after->y,
                      .radius = a->radius + t * (b->radius - a->radius)};
}

/* The point that continues a curve past its end, so that it leaves along the chord. */
static PenPoint beyond(const PenPoint *end, const PenPoint *inner) {
    return (PenPoint){.x = 2.0F * end->x - inner->x, .y = 2.0F * end->y - inner->y, .radius = end->radius};
}

/* Turns placed points into line segments: a curve runs from each point to the next unless that starts a
 * stroke, and is smooth except at corners. */
static size_t trace(const Skeleton *skeleton, const PenPoint *points, DigitsSegment *segments) {
    const SkeletonPoint *pen = skeleton->points;
    size_t count = 0;
    for (int i = 0; pen[i].pen != DONE && pen[i + 1].pen != DONE; i++) {
        if (pen[i + 1].pen == DOWN) continue;
        const PenPoint *a = &points[i], *b = &points[i + 1];
        PenPoint before = pen[i].pen == THROUGH ? points[i - 1] : beyond(a, b);
        bool goes_on = pen[i + 1].pen == THROUGH && (pen[i + 2].pen == THROUGH || pen[i + 2].pen == TURN);
        PenPoint after = goes_on ? points[i + 2] : beyond(b, a);
        PenPoint from = *a;
        for (int step = 1; step <= CURVE_STEPS; step++) {
            PenPoint to = curve_point(&before, a, b, &after, (float)step / (float)CURVE_STEPS);
            segments[count++] = (DigitsSegment){from.x, from.y, from.radius, to.x, to.y, to.radius};
            from = to;
        }
    }
    return count;
}

/* ---- place, pen and ink -------------------------------------------------------------------------------- */

typedef struct {
    float left, right, top, bottom;
} Box;

/* What the strokes cover, pen and all. */
static Box box_of(const DigitsSegment *segments, size_t count) {
    Box box = {
        .left = segments[0].x0, .right = segments[0].x0, .top = segments[0].y0, .bottom = segments[0].y0};
    for (size_t i = 0; i < count; i++) {
        const DigitsSegment *s = &segments[i];
        box.left = fminf(box.left, fminf(s->x0 - s->r0, s->x1 - s->r1));
        box.right = fmaxf(box.right, fmaxf(s->x0 + s->r0, s->x1 + s->r1));
        box.top = fminf(box.top, fminf(s->y0 - s->r0, s->y1 - s->r1));
        box.bottom = fmaxf(box.bottom, fmaxf(s->y0 + s->r0, s->y1 + s->r1));
    }
    return box;
}

static void scale(DigitsSegment *segments, size_t count, float lengths, float radii) {
    for (size_t i = 0; i < count; i++) {
        DigitsSegment *s = &segments[i];
        *s = (DigitsSegment){.x0 = s->x0 * lengths,
                             .y0 = s->y0 * lengths,
                             .r0 = s->r0 * radii,
                             .x1 = s->x1 * lengths,
                             .y1 = s->y1 * lengths,
                             .r1 = s->r1 * radii};
    }
}

/* How far to move what lies between low and high, so that its middle is `shift` from the page's, unless ink
 * would come to the edge. */
static float move_of(float low, float high, float side, float shift) {
    float slack = fmaxf(0.5F * (side - (high - low)) - 1.0F, 0.0F);
    return 0.5F * (side - (low + high)) + fmaxf(-slack, fminf(slack, shift));
}

/* Brings strokes from units of the digit's height to pixels on the page. */
static void put_on_page(DigitsSegment *segments, size_t count, float side, Chance *chance) {
    float height = side * chance_between(chance, 0.50F, 0.84F);
    float radius = side * chance_between(chance, 0.036F, 0.066F);
    float shift_x = side * chance_bell(chance, 0.054F), shift_y = side * chance_bell(chance, 0.054F);
    scale(segments, count, height,
          fminf(radius, 0.095F * height)); /* else a small eight's rings would close */
    Box box = box_of(segments, count);
    float longest = fmaxf(box.right - box.left, box.bottom - box.top), room = side - 2.0F;
    if (longest > room) {
        scale(segments, count, room / longest, room / longest);
        box = box_of(segments, count);
    }
    float x = move_of(box.left, box.right, side, shift_x), y = move_of(box.top, box.bottom, side, shift_y);
    for (size_t i = 0; i < count; i++) {
        segments[i].x0 += x;
        segments[i].x1 += x;
        segments[i].y0 += y;
        segments[i].y1 += y;
    }
}

/* A color of the given hue (0 to 1, once around), saturation and value (0 to 255). */
static void color_of(float hue, float saturation, float value, float rgb[3]) {
    static const float PHASE[3] = {5, 3, 1};
    for (int channel = 0; channel < 3; channel++) {
        float k = PHASE[channel] + 6.0F * hue;
        while (k >= 6.0F) k -= 6.0F;
        float ramp = fminf(k, 4.0F - k);
        rgb[channel] = value - value * saturation * fmaxf(0, fminf(1, ramp));
    }
}

static DigitsTone tone_draw(int channels, Chance *chance) {
    DigitsTone tone;
    tone.blur = chance_between(chance, 0.0F, 0.16F);
    tone.noise = chance_between(chance, 1.0F, 5.0F);
    float ink = chance_between(chance, 225.0F, 255.0F), paper = chance_between(chance, 0.0F, 7.0F);
    if (channels == 1) {
        for (int i = 0; i < 3; i++) {
            tone.paper[i] = paper;
            tone.ink[i] = ink;
        }
        return tone;
    }
    /* Each drawn by itself: the order of a call's arguments would be the compiler's to choose. */
    float hue = chance_between(chance, 0, 1), contrast = chance_between(chance, 0.25F, 0.75F);
    float ink_saturation = chance_between(chance, 0.25F, 0.9F);
    float paper_saturation = chance_between(chance, 0.3F, 0.8F);
    float paper_value = chance_between(chance, 10.0F, 70.0F);
    color_of(hue, ink_saturation, ink, tone.ink);
    color_of(hue + contrast, paper_saturation, paper_value, tone.paper);
    return tone;
}

/* ---- the digit ----------------------------------------------------------------------------------------- */

static const Skeleton *choose(int digit, Chance *chance) {
    int first = 0, shares = 0;
    while (SKELETONS[first].digit != digit) first++;
    for (int i = first; i < SKELETON_COUNT && SKELETONS[i].digit == digit; i++) shares += SKELETONS[i].share;
    int left = (int)(((uint64_t)chance_word(chance) * (uint64_t)shares) >> 32);
    while (left >= SKELETONS[first].share) left -= SKELETONS[first++].share;
    return &SKELETONS[first];
}

void digits_draw(uint64_t key, uint64_t id, int digit, int side, int channels, uint8_t *pixels) {
    Chance chance = {.next = 0};
    random_bits(key, id, 0, SHAPE_WORDS, chance.words);
    const Skeleton *skeleton = choose(digit, &chance);
    Hand hand = hand_draw(&chance);
    float wobble = chance_between(&chance, 0.010F, 0.034F), pressure = chance_between(&chance, 0.03F, 0.16F);

    PenPoint points[SKELETON_POINTS];
    for (int i = 0; skeleton->points[i].pen != DONE; i++)
        points[i] = hand_place(&hand, skeleton->points[i], wobble, pressure, &chance);
    DigitsSegment segments[SEGMENT_LIMIT];
    size_t count = trace(skeleton, points, segments);
    put_on_page(segments, count, (float)side, &chance);

    const DigitsKernels *kernels = ISA_PICK(digits_kernels);
    DigitsCanvas canvas;
    memset(canvas.ink, 0, sizeof(float) * DIGITS_STRIDE * (size_t)(side + 2));
    kernels->stroke(&canvas, side, segments, count, chance_between(&chance, 0.8F, 1.5F));

    DigitsTone tone = tone_draw(channels, &chance);
    uint32_t noise[DIGITS_SIDE_MAX * DIGITS_SIDE_MAX];
    random_bits(key, id, NOISE_FIRST, (size_t)side * (size_t)side, noise);
    kernels->develop(&canvas, side, channels, &tone, noise, pixels);
}
