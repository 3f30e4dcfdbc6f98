#include "gan/kernels/loop.h"

#include "base/isa.h"

ISA_DECLARE(LoopKernels, loop_kernels);

const LoopKernels *loop_kernels(void) {
    return ISA_PICK(loop_kernels);
}
