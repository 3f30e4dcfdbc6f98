#include "base/isa.h"

#include <stdlib.h>
#include <string.h>

static const char *const TEXT[ISA_LEVELS] = {
    "baseline",
#if defined(__x86_64__)
    "avx2",
    "avx512",
#endif
};

const char *isa_text(IsaLevel level) {
    return TEXT[level];
}

static IsaLevel best_level(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        return ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return ISA_AVX2;
#endif
    return ISA_BASELINE;
}

IsaLevel isa_level(void) {
    IsaLevel best = best_level();
    const char *wanted = getenv("BROOD_ISA");
    for (int level = 0; wanted && level < (int)best; level++)
        if (strcmp(wanted, TEXT[level]) == 0) return (IsaLevel)level;
    return best;
}
