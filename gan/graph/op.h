/* The op set: one row an op, with its formula. Everything else is built from these. `g` is the incoming
 * gradient, `y` the op's own result. A row gives the enum's name, the printed name, the number of arguments
 * and the formula. */
#ifndef BROOD_GRAPH_OP_H
#define BROOD_GRAPH_OP_H

typedef struct Node Node;

/* clang-format off */
#define OP_TABLE(X) \
    /*  name       text         n  formula */ \
    X(INPUT,     "input",      0, "set before each run") \
    X(PARAMETER, "parameter",  0, "read from the state") \
    X(VARIABLE,  "variable",   0, "read from the state") \
    X(CONSTANT,  "constant",   0, "y[] = c") \
    X(NORMAL,    "normal",     0, "y[i] ~ N(0, 1)") \
    X(UNIFORM,   "uniform",    0, "y[i] ~ U[0, 1)") \
    X(ADD,       "add",        2, "y[i] = a[i] + b[i]             da = g; db = g") \
    X(MUL,       "mul",        2, "y[i] = a[i] b[i]               da = g b; db = g a") \
    X(POW,       "pow",        1, "y[i] = a[i]^p                  da = g p a^(p-1)") \
    X(EXP,       "exp",        1, "y[i] = exp(a[i])               da = g y") \
    X(LOG,       "log",        1, "y[i] = log(a[i])               da = g / a") \
    X(TANH,      "tanh",       1, "y[i] = tanh(a[i])              da = g (1 - y^2)") \
    X(SIGMOID,   "sigmoid",    1, "y[i] = 1 / (1 + exp(-a[i]))    da = g y (1 - y)") \
    X(SOFTPLUS,  "softplus",   1, "y[i] = log(1 + exp(a[i]))      da = g sigmoid(a)") \
    X(STEP,      "step",       1, "y[i] = a[i] > 0                zero") \
    X(DETACH,    "detach",     1, "y = a                          zero") \
    X(SUM,       "sum",        1, "y[j] = sum of a[i] over axes   da = expand(g)") \
    X(EXPAND,    "expand",     1, "y[i] = a[j], axes repeated     da = sum(g)") \
    X(AMAX,      "amax",       1, "y[j] = max of a[i] over axes   zero") \
    X(RESHAPE,   "reshape",    1, "y = a, other sizes             da = reshape(g)") \
    X(PERMUTE,   "permute",    1, "y = a, axes reordered          da = permute(g), inverse") \
    X(SLICE,     "slice",      1, "y = a[first : first + count]   da = pad(g)") \
    X(PAD,       "pad",        1, "y = a with zeros around        da = slice(g)") \
    X(UPSAMPLE,  "upsample",   1, "y = a, pixels repeated k x k   da = poolsum(g)") \
    X(POOLSUM,   "poolsum",    1, "y = sums of k x k blocks       da = upsample(g)") \
    X(GATHER,    "gather",     2, "y[i] = a[b[i]]                 da = scatter(g, b)") \
    X(SCATTER,   "scatter",    2, "y[b[i]] += a[i]                da = gather(g, b)") \
    X(MATMUL,    "matmul",     2, "y = a b                        da = g b^T; db = a^T g") \
    X(CONV,      "conv",       2, "y = conv(a, b)                 da = conv_dx(g, b); db = conv_dw(a, g)") \
    X(CONV_DX,   "conv_dx",    2, "<y, x> = <a, conv(x, b)>       da = conv(g, b); db = conv_dw(g, a)") \
    X(CONV_DW,   "conv_dw",    2, "<y, w> = <b, conv(a, w)>       da = conv_dx(b, g); db = conv(a, g)")
/* clang-format on */

typedef enum {
#define X(name, text, arity, formula) OP_##name,
    OP_TABLE(X)
#undef X
        OP_COUNT
} Op;

const char *op_text(Op op);
int op_arity(Op op);
const char *op_formula(Op op);
int op_differentiable(Op op); /* 0: a leaf, or its gradient is zero by definition */

#endif
