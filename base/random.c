#include "base/random.h"

#include <assert.h>
#include <math.h>
#include <sleef.h>
#include <string.h>
#include <xxhash.h>

#include "base/random_internal.h"

uint64_t random_key(uint64_t seed, uint64_t slot, const char *purpose) {
    PhiloxBlock mixed = philox_block(seed, XXH3_64bits(purpose, strlen(purpose)), slot);
    return (uint64_t)mixed.word[1] << 32 | mixed.word[0];
}

/* ---- filling arrays --------------------------------------------------------------------------------------
 * In stretches of whole groups: what the kernels make beyond the numbers asked for is thrown away, so that a
 * number never depends on where a call begins or ends. */
enum { STRETCH = 16 * RANDOM_GROUP };

typedef struct {
    uint64_t block; /* the first that is made */
    size_t made;    /* numbers; a multiple of RANDOM_GROUP, at most STRETCH */
    size_t skip;    /* of these, before the first that is wanted */
    size_t count;   /* wanted */
} Stretch;

static Stretch stretch_at(uint64_t first, size_t count) {
    Stretch s = {.block = first / PHILOX_WORDS, .skip = first % PHILOX_WORDS};
    s.count = count < STRETCH - s.skip ? count : STRETCH - s.skip;
    s.made = (s.skip + s.count + RANDOM_GROUP - 1) / RANDOM_GROUP * RANDOM_GROUP;
    return s;
}

void random_bits(uint64_t key, uint64_t counter, uint64_t first, size_t count, uint32_t *out) {
    const RandomKernels *kernels = ISA_PICK(random_kernels);
    uint32_t words[STRETCH];
    while (count > 0) {
        Stretch s = stretch_at(first, count);
        kernels->words(key, counter, s.block, s.made, words);
        memcpy(out, words + s.skip, s.count * sizeof *out);
        first += s.count, count -= s.count, out += s.count;
    }
}

static void fill(const RandomKernels *kernels, RandomConvert *convert, uint64_t key, uint64_t counter,
                 uint64_t first, size_t count, real *out) {
    uint32_t words[STRETCH];
    real numbers[STRETCH];
    while (count > 0) {
        Stretch s = stretch_at(first, count);
        kernels->words(key, counter, s.block, s.made, words);
        convert(words, s.made, numbers);
        memcpy(out, numbers + s.skip, s.count * sizeof *out);
        first += s.count, count -= s.count, out += s.count;
    }
}

void random_uniform(uint64_t key, uint64_t counter, uint64_t first, size_t count, real *out) {
    const RandomKernels *kernels = ISA_PICK(random_kernels);
    fill(kernels, kernels->uniform, key, counter, first, count, out);
}

void random_normal(uint64_t key, uint64_t counter, uint64_t first, size_t count, real *out) {
    const RandomKernels *kernels = ISA_PICK(random_kernels);
    fill(kernels, kernels->normal, key, counter, first, count, out);
}

/* ---- one value -------------------------------------------------------------------------------------------
 * Each takes a block of its own, from a key changed by a constant of its own (digits of pi), so that no two
 * kinds of draws see the same words. */
#define SALT_UNIFORM UINT64_C(0x452821E638D01377)
#define SALT_NORMAL  UINT64_C(0xBE5466CF34E90C6C)
#define SALT_INTEGER UINT64_C(0xC0AC29B7C97C50DD)
#define SALT_PERMUTE UINT64_C(0x3F84D5B5B5470917)

static uint64_t block_front(PhiloxBlock block) {
    return (uint64_t)block.word[1] << 32 | block.word[0];
}

static uint64_t block_back(PhiloxBlock block) {
    return (uint64_t)block.word[3] << 32 | block.word[2];
}

double random_uniform_at(uint64_t key, uint64_t counter, uint64_t index) {
    return (double)(block_front(philox_block(key ^ SALT_UNIFORM, counter, index)) >> 11) * 0x1p-53;
}

/* SLEEF's scalar functions rather than libm's: the same bits with every C library. */
double random_normal_at(uint64_t key, uint64_t counter, uint64_t index) {
    PhiloxBlock block = philox_block(key ^ SALT_NORMAL, counter, index);
    double fraction = ((double)(block_front(block) >> 11) + 0.5) * 0x1p-53; /* never 0 */
    double angle = (double)(block_back(block) >> 11) * 0x1p-52;             /* in half turns, [0, 2) */
    return sqrt(-2 * Sleef_cinz_logd1_u10purec(fraction)) * Sleef_cinz_cospid1_u05purec(angle);
}

__extension__ typedef unsigned __int128 Wide;

/* Lemire 2019, "Fast random integer generation in an interval": the high half of word·bound, where words
 * whose low half falls into the uneven rest are drawn again, under a key made of the block's unused half. */
uint64_t random_integer_at(uint64_t key, uint64_t counter, uint64_t index, uint64_t bound) {
    assert(bound > 0);
    uint64_t rest = -bound % bound; /* 2^64 mod bound */
    key ^= SALT_INTEGER;
    for (;;) {
        PhiloxBlock block = philox_block(key, counter, index);
        Wide product = (Wide)block_front(block) * bound;
        if ((uint64_t)product >= rest) return (uint64_t)(product >> 64);
        key = block_back(block);
    }
}

/* ---- permutations ----------------------------------------------------------------------------------------
 * Eleven rounds, since with few things to permute each round shuffles little: the permutations of up to six
 * things are equally frequent, as far as 240,000 draws can tell, from ten on. A twelfth word decides whether
 * 0 and 1 change places: a Feistel network by itself makes even permutations only (of 16 things or more),
 * which shows when five are permuted. */
enum { FEISTEL_ROUNDS = 11, FEISTEL_BLOCKS = (FEISTEL_ROUNDS + 1) / PHILOX_WORDS };

typedef struct {
    uint32_t key[FEISTEL_ROUNDS];
    uint32_t swap; /* its lowest bit */
} Feistel;
_Static_assert(sizeof(Feistel) == FEISTEL_BLOCKS * sizeof(PhiloxBlock),
               "a Feistel network is whole blocks of words");

static Feistel feistel_draw(uint64_t key, uint64_t counter) {
    PhiloxBlock blocks[FEISTEL_BLOCKS];
    for (uint64_t i = 0; i < FEISTEL_BLOCKS; i++) blocks[i] = philox_block(key, counter, i);
    Feistel feistel;
    memcpy(&feistel, blocks, sizeof feistel);
    return feistel;
}

/* MurmurHash3's 32-bit finalizer (Appleby). */
static uint32_t scramble(uint32_t x) {
    x = (x ^ x >> 16) * UINT32_C(0x85EBCA6B);
    x = (x ^ x >> 13) * UINT32_C(0xC2B2AE35);
    return x ^ x >> 16;
}

/* A permutation of the numbers of 2·bits bits. */
static uint64_t feistel_apply(const Feistel *feistel, int bits, uint64_t index) {
    uint32_t mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    uint32_t left = (uint32_t)(index >> bits), right = (uint32_t)index & mask;
    for (int round = 0; round < FEISTEL_ROUNDS; round++) {
        uint32_t mixed = (left ^ scramble(right ^ feistel->key[round])) & mask;
        left = right;
        right = mixed;
    }
    uint64_t to = (uint64_t)left << bits | right;
    return to < 2 ? to ^ (feistel->swap & 1) : to;
}

/* Half the bits of the smallest even power of two that is at least n. */
static int half_bits(uint64_t n) {
    int bits = 1;
    while (bits < 32 && (n - 1) >> (2 * bits)) bits++;
    return bits;
}

uint64_t random_permute(uint64_t key, uint64_t counter, uint64_t n, uint64_t index) {
    assert(index < n); /* else the walk might never come below n */
    Feistel feistel = feistel_draw(key ^ SALT_PERMUTE, counter);
    int bits = half_bits(n);
    do index = feistel_apply(&feistel, bits, index);
    while (index >= n);
    return index;
}
