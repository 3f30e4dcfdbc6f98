/* Instruction sets. The numeric loops (files named *_simd.c) are compiled once for each level that the
 * architecture has, and the level is chosen when the program runs: what is built runs on any machine. */
#ifndef BROOD_BASE_ISA_H
#define BROOD_BASE_ISA_H

typedef enum {
    ISA_BASELINE, /* what every machine of the architecture has */
#if defined(__x86_64__)
    ISA_AVX2,   /* x86-64-v3: AVX2 and FMA */
    ISA_AVX512, /* x86-64-v4 */
#endif
    ISA_LEVELS
} IsaLevel;

/* The best level of this machine, or the lower one that the environment's BROOD_ISA names (baseline, avx2,
 * avx512). Cheap, though not for inner loops. */
IsaLevel isa_level(void);
const char *isa_text(IsaLevel level);

/* In a *_simd.c file, ISA(name) is `name` with the level that is being compiled as its ending. */
#define ISA_JOIN(name, level)  name##_##level
#define ISA_PASTE(name, level) ISA_JOIN(name, level)
#ifdef ISA_SUFFIX
#define ISA(name) ISA_PASTE(name, ISA_SUFFIX)
#endif

/* Declares the tables that the compilations of one *_simd.c file define, and picks one:
 *     ISA_DECLARE(LoopKernels, loop_kernels);   ... = ISA_PICK(loop_kernels); */
#if defined(__x86_64__)
#define ISA_DECLARE(type, name) extern const type name##_baseline, name##_avx2, name##_avx512
#define ISA_PICK(name)                                                                                       \
    (isa_level() == ISA_AVX512 ? &name##_avx512 : isa_level() == ISA_AVX2 ? &name##_avx2 : &name##_baseline)
#else
#define ISA_DECLARE(type, name) extern const type name##_baseline
#define ISA_PICK(name)          (&name##_baseline)
#endif

#endif
