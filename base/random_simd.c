/* Vector kernels of the random numbers. Every level gives the same bits: the integers by nature, the normals
 * because SLEEF's "cinz" functions do the same operations at every vector length, without fused
 * multiply-adds (which would be half as fast again: not worth another trajectory on another machine). */
#include "base/random_internal.h"

#include <sleef.h>
#include <string.h>
#include <tgmath.h> /* the square root of a float is a float */

/* ---- vectors of each level -------------------------------------------------------------------------------
 * VECTOR bytes a vector; lanes_multiply multiplies the low halves of 64-bit lanes; reals_log and
 * reals_sincospi (x: sine, y: cosine) work on vectors of reals. The sine within 3.5 units in the last place
 * is twice as fast as within 0.5, and no statistic can tell. */
#if defined(__AVX512F__)
#define VECTOR               64
#define LANES_IN_ORDER_LOW   0, 8, 1, 9, 2, 10, 3, 11
#define LANES_IN_ORDER_HIGH  4, 12, 5, 13, 6, 14, 7, 15
#define lanes_multiply(a, b) ((Lanes)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#ifdef BROOD_DOUBLE
#define reals_log      Sleef_cinz_logd8_u10avx512fnofma
#define reals_sincospi Sleef_cinz_sincospid8_u35avx512fnofma
#else
#define reals_log      Sleef_cinz_logf16_u10avx512fnofma
#define reals_sincospi Sleef_cinz_sincospif16_u35avx512fnofma
#endif

#elif defined(__AVX2__)
#define VECTOR               32
#define LANES_IN_ORDER_LOW   0, 4, 1, 5
#define LANES_IN_ORDER_HIGH  2, 6, 3, 7
#define lanes_multiply(a, b) ((Lanes)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#ifdef BROOD_DOUBLE
#define reals_log      Sleef_cinz_logd4_u10avx
#define reals_sincospi Sleef_cinz_sincospid4_u35avx
#else
#define reals_log      Sleef_cinz_logf8_u10avx
#define reals_sincospi Sleef_cinz_sincospif8_u35avx
#endif

#elif defined(__SSE2__)
#define VECTOR               16
#define LANES_IN_ORDER_LOW   0, 2
#define LANES_IN_ORDER_HIGH  1, 3
#define lanes_multiply(a, b) ((Lanes)_mm_mul_epu32((__m128i)(a), (__m128i)(b)))
#ifdef BROOD_DOUBLE
#define reals_log      Sleef_cinz_logd2_u10sse2
#define reals_sincospi Sleef_cinz_sincospid2_u35sse2
#else
#define reals_log      Sleef_cinz_logf4_u10sse2
#define reals_sincospi Sleef_cinz_sincospif4_u35sse2
#endif

#elif defined(BROOD_DOUBLE)
#define reals_log      Sleef_cinz_logd1_u10purec
#define reals_sincospi Sleef_cinz_sincospid1_u35purec
#else
#define reals_log      Sleef_cinz_logf1_u10purec
#define reals_sincospi Sleef_cinz_sincospif1_u35purec
#endif

#ifdef VECTOR
typedef uint64_t Lanes __attribute__((vector_size(VECTOR)));
typedef real Reals __attribute__((vector_size(VECTOR)));
#else
typedef real Reals;
#endif

/* ---- words --------------------------------------------------------------------------------------------- */
#ifdef VECTOR
enum { LANES = VECTOR / sizeof(uint64_t) };

/* A block in each lane: the four words of Philox's counter in the low halves of 64-bit lanes. The high halves
 * collect rubbish, which the multiplication does not look at. */
typedef struct {
    Lanes c0, c1, c2, c3;
} Blocks;

static inline Lanes lanes_of(uint64_t value) {
    return value - (Lanes){0};
}

static inline Blocks blocks_start(uint64_t counter, uint64_t block) {
    Lanes index;
    for (uint64_t lane = 0; lane < LANES; lane++) index[lane] = block + lane;
    return (Blocks){index, index >> 32, lanes_of(counter), lanes_of(counter >> 32)};
}

static inline Blocks blocks_round(Blocks b, uint32_t k0, uint32_t k1) {
    Lanes product0 = lanes_multiply(b.c0, lanes_of(PHILOX_MULTIPLIER_0));
    Lanes product1 = lanes_multiply(b.c2, lanes_of(PHILOX_MULTIPLIER_1));
    return (Blocks){(product1 >> 32) ^ b.c1 ^ lanes_of(k0), product1, (product0 >> 32) ^ b.c3 ^ lanes_of(k1),
                    product0};
}

/* Turns lanes of blocks into blocks one after another. */
static inline void blocks_store(Blocks b, uint32_t *out) {
    Lanes front = (b.c0 & lanes_of(UINT32_MAX)) | b.c1 << 32;
    Lanes back = (b.c2 & lanes_of(UINT32_MAX)) | b.c3 << 32;
    Lanes low = __builtin_shufflevector(front, back, LANES_IN_ORDER_LOW);
    Lanes high = __builtin_shufflevector(front, back, LANES_IN_ORDER_HIGH);
    memcpy(out, &low, sizeof low);
    memcpy(out + sizeof low / sizeof *out, &high, sizeof high);
}

/* Two vectors at a time, so that one multiplies while the other waits for its product. */
static void words(uint64_t key, uint64_t counter, uint64_t block, size_t count, uint32_t *out) {
    for (size_t done = 0; done < count; done += 2 * LANES * PHILOX_WORDS, block += 2 * LANES) {
        Blocks a = blocks_start(counter, block), b = blocks_start(counter, block + LANES);
        uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
        for (int round = 0; round < PHILOX_ROUNDS; round++, k0 += PHILOX_WEYL_0, k1 += PHILOX_WEYL_1) {
            a = blocks_round(a, k0, k1);
            b = blocks_round(b, k0, k1);
        }
        blocks_store(a, out + done);
        blocks_store(b, out + done + LANES * PHILOX_WORDS);
    }
}

#else
static void words(uint64_t key, uint64_t counter, uint64_t block, size_t count, uint32_t *out) {
    for (size_t done = 0; done < count; done += PHILOX_WORDS, block++) {
        PhiloxBlock made = philox_block(key, counter, block);
        memcpy(out + done, made.word, sizeof made.word);
    }
}
#endif

/* ---- numbers ------------------------------------------------------------------------------------------- */
static void uniform(const uint32_t *restrict words_in, size_t count, real *restrict out) {
    for (size_t i = 0; i < count; i++) out[i] = (real)(int32_t)(words_in[i] >> 8) * (real)0x1p-24;
}

/* The radius comes from a fraction in (0, 1] with half a unit added, so that no logarithm of 0 is asked for:
 * the largest radius is sqrt(-2 log 2^-32) = 6.66. Signed conversions are exact to the last bit of a real,
 * and cheap everywhere. */
static void normal(const uint32_t *restrict words_in, size_t count, real *restrict out) {
    enum { PAIRS = RANDOM_GROUP / 2, STRIDE = sizeof(Reals) / sizeof(real) };
    real fraction[PAIRS], angle[PAIRS], sine[PAIRS], cosine[PAIRS];
    for (; count > 0; count -= RANDOM_GROUP, words_in += RANDOM_GROUP, out += RANDOM_GROUP) {
        for (int i = 0; i < PAIRS; i++) {
            fraction[i] = ((real)(int32_t)(words_in[2 * i] >> 1) + (real)0.5) * (real)0x1p-31;
            angle[i] = (real)(int32_t)words_in[2 * i + 1] * (real)0x1p-31; /* in half turns, [-1, 1] */
        }
        for (int i = 0; i < PAIRS; i += STRIDE) {
            Reals x, y;
            memcpy(&x, fraction + i, sizeof x);
            memcpy(&y, angle + i, sizeof y);
            x = (Reals)reals_log(x);
            __typeof__(reals_sincospi(y)) turned = reals_sincospi(y);
            memcpy(fraction + i, &x, sizeof x);
            memcpy(sine + i, &turned.x, sizeof turned.x);
            memcpy(cosine + i, &turned.y, sizeof turned.y);
        }
        for (int i = 0; i < PAIRS; i++) {
            real radius = sqrt((real)-2 * fraction[i]);
            out[2 * i] = radius * cosine[i];
            out[2 * i + 1] = radius * sine[i];
        }
    }
}

const RandomKernels ISA(random_kernels) = {.words = words, .uniform = uniform, .normal = normal};
