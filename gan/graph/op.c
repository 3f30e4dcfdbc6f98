#include "gan/graph/op.h"

#include "gan/graph/node.h"

const char *op_text(Op op) {
    static const char *const TEXT[OP_COUNT] = {
#define X(name, text, arity, formula) [OP_##name] = text,
        OP_TABLE(X)
#undef X
    };
    return TEXT[op];
}

int op_arity(Op op) {
    static const int ARITY[OP_COUNT] = {
#define X(name, text, arity, formula) [OP_##name] = arity,
        OP_TABLE(X)
#undef X
    };
    return ARITY[op];
}

const char *op_formula(Op op) {
    static const char *const FORMULA[OP_COUNT] = {
#define X(name, text, arity, formula) [OP_##name] = formula,
        OP_TABLE(X)
#undef X
    };
    return FORMULA[op];
}

int op_differentiable(Op op) {
    return op_gradient(op) != NULL;
}

GradientRule *op_gradient(Op op) {
    static GradientRule *const RULE[OP_COUNT] = {
        [OP_ADD] = grad_add,         [OP_MUL] = grad_mul,           [OP_POW] = grad_pow,
        [OP_EXP] = grad_exp,         [OP_LOG] = grad_log,           [OP_TANH] = grad_tanh,
        [OP_SIGMOID] = grad_sigmoid, [OP_SOFTPLUS] = grad_softplus, [OP_SUM] = grad_sum,
        [OP_EXPAND] = grad_expand,   [OP_RESHAPE] = grad_reshape,   [OP_PERMUTE] = grad_permute,
        [OP_SLICE] = grad_slice,     [OP_PAD] = grad_pad,           [OP_UPSAMPLE] = grad_upsample,
        [OP_POOLSUM] = grad_poolsum, [OP_GATHER] = grad_gather,     [OP_SCATTER] = grad_scatter,
        [OP_MATMUL] = grad_matmul,   [OP_CONV] = grad_conv,         [OP_CONV_DX] = grad_conv_dx,
        [OP_CONV_DW] = grad_conv_dw,
    };
    return RULE[op];
}
