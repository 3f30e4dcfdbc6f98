/* What base/random.c, its vector kernels and the tests share. */
#ifndef BROOD_BASE_RANDOM_INTERNAL_H
#define BROOD_BASE_RANDOM_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/isa.h"
#include "base/real.h"

/* Philox 4x32-10: ten rounds of two 32×32→64 multiplications, each round with the next key of two Weyl
 * sequences. Salmon, Moraes, Dror and Shaw 2011, section 3.3. */
enum { PHILOX_ROUNDS = 10 };
#define PHILOX_MULTIPLIER_0 UINT32_C(0xD2511F53)
#define PHILOX_MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define PHILOX_WEYL_0       UINT32_C(0x9E3779B9)
#define PHILOX_WEYL_1       UINT32_C(0xBB67AE85)

enum { PHILOX_WORDS = 4 }; /* in a block */

typedef struct {
    uint32_t word[PHILOX_WORDS];
} PhiloxBlock;

/* One block of a draw. Philox's 128-bit counter is `block` in the low half and `counter` in the high one. */
static inline PhiloxBlock philox_block(uint64_t key, uint64_t counter, uint64_t block) {
    uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
    uint32_t c2 = (uint32_t)counter, c3 = (uint32_t)(counter >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t product0 = (uint64_t)PHILOX_MULTIPLIER_0 * c0;
        uint64_t product1 = (uint64_t)PHILOX_MULTIPLIER_1 * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)product1;
        c3 = (uint32_t)product0;
        k0 += PHILOX_WEYL_0;
        k1 += PHILOX_WEYL_1;
    }
    return (PhiloxBlock){.word = {c0, c1, c2, c3}};
}

/* Kernels work on whole groups of this many numbers, a multiple of every level's vectors. */
enum { RANDOM_GROUP = 64 };

/* Turns words into numbers, one each. */
typedef void RandomConvert(const uint32_t *words, size_t count, real *out);

/* The kernels of one instruction set. `count` is a multiple of RANDOM_GROUP. */
typedef struct {
    /* The words of a draw, from the first word of `block` on. */
    void (*words)(uint64_t key, uint64_t counter, uint64_t block, size_t count, uint32_t *out);
    RandomConvert *uniform; /* the upper 24 bits, as a fraction */
    RandomConvert *normal;  /* two words make two normals: the first gives the radius, the second the angle */
} RandomKernels;

ISA_DECLARE(RandomKernels, random_kernels);

#endif
