/* Counter-based random numbers (Philox 4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as
 * 1, 2, 3"). A value is a pure function of (key, counter, index): nothing is stored, nothing is advanced,
 * any part of a stream can be had on its own, in any order, by any thread.
 *
 *   key      which stream: random_key(run seed, member slot, purpose)
 *   counter  which draw of it, say a step's number
 *   index    which number of that draw
 *
 * Integers, uniforms and permutations are the same values on every platform. Normals are the same bits at
 * every level of x86-64; elsewhere they agree to rounding. A float build and a double build draw the same
 * words. */
#ifndef BROOD_BASE_RANDOM_H
#define BROOD_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/real.h"

/* The key of a stream: seed of the run, slot of the member, and what the numbers are for. */
uint64_t random_key(uint64_t seed, uint64_t slot, const char *purpose);

/* ---- filling arrays: the numbers with indices first .. first + count - 1 ---------------------------------
 * All three read the same words: a draw (key, counter) is for one of them. */

/* Random words: index i is word i mod 4 of Philox's block i / 4. */
void random_bits(uint64_t key, uint64_t counter, uint64_t first, size_t count, uint32_t *out);

/* Uniform in [0, 1), multiples of 2^-24 (in both builds): the upper bits of one word each. */
void random_uniform(uint64_t key, uint64_t counter, uint64_t first, size_t count, real *out);

/* Normal, mean 0 and variance 1, by Box and Muller's transform: indices 2i and 2i + 1 are made of those two
 * words. None lies beyond ±6.66, where 3 in 10^11 should. */
void random_normal(uint64_t key, uint64_t counter, uint64_t first, size_t count, real *out);

/* ---- one value -------------------------------------------------------------------------------------------
 * Each of these reads words of its own: at one (key, counter, index) they are independent of each other, and
 * of the arrays above. */

/* A uniform double in [0, 1) with 53 bits; a normal double; an integer in 0 .. bound - 1 (bound > 0), exactly
 * uniform. */
double random_uniform_at(uint64_t key, uint64_t counter, uint64_t index);
double random_normal_at(uint64_t key, uint64_t counter, uint64_t index);
uint64_t random_integer_at(uint64_t key, uint64_t counter, uint64_t index, uint64_t bound);

/* Where position `index` of 0 .. n - 1 goes under a random permutation of n, without storing it: a Feistel
 * network over the next even power of two, walked until it lands below n. Each (key, counter) is another
 * permutation. `index` is below n. */
uint64_t random_permute(uint64_t key, uint64_t counter, uint64_t n, uint64_t index);

#endif
