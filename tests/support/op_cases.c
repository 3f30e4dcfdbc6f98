#include "tests/support/op_cases.h"

#include <math.h>

enum { MOST_NUMBERS = 2500 }; /* of a drawn argument, so that results stay below TENSOR_ROOM */

/* ---- drawing ------------------------------------------------------------------------------------------- */

static Shape drawn_shape(Draw *draw, int least_rank, int most_rank, int64_t most) {
    Shape shape;
    do {
        shape = (Shape){.rank = (int)draw_integer(draw, least_rank, most_rank)};
        for (int axis = 0; axis < shape.rank; axis++) shape.size[axis] = draw_integer(draw, 1, most);
    } while (shape_count(shape) > MOST_NUMBERS);
    return shape;
}

/* All the axes there can be, unless sizes are kept small for finite differences. */
static int most_rank(int64_t most) {
    return most > 3 ? SHAPE_AXES : 5;
}

static bool drawn_flag(Draw *draw) {
    return draw_bits(draw) >> 63;
}

/* Now and then a long vector, whose length falls anywhere between two multiples of a vector register. */
static void draw_one(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] =
        drawn_flag(draw) ? drawn_shape(draw, 0, 4, most) : drawn_shape(draw, 1, 1, most * 20);
    instance->shape[1] = instance->shape[0];
    instance->number = draw_uniform(draw, -2, 2);
}

static void draw_left_scalar(Draw *draw, int64_t most, OpInstance *instance) {
    draw_one(draw, most, instance);
    instance->shape[0] = shape_scalar();
}

static void draw_right_scalar(Draw *draw, int64_t most, OpInstance *instance) {
    draw_one(draw, most, instance);
    instance->shape[1] = shape_scalar();
}

static void draw_whole_power(Draw *draw, int64_t most, OpInstance *instance) {
    static const double EXPONENT[] = {2, 3, 4, -1, -2, -3};
    draw_one(draw, most, instance);
    instance->number = EXPONENT[draw_integer(draw, 0, 5)];
}

static void draw_broken_power(Draw *draw, int64_t most, OpInstance *instance) {
    static const double EXPONENT[] = {0.5, -0.5, 1.5, -1.5, 0.3, 2.7};
    draw_one(draw, most, instance);
    instance->number = EXPONENT[draw_integer(draw, 0, 5)];
}

static void draw_axes(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = drawn_shape(draw, 1, most_rank(most), most);
    instance->axes = (unsigned)draw_integer(draw, 1, (1 << instance->shape[0].rank) - 1);
}

/* Batch norm's reduction: everything but a last axis of up to a few vector registers. */
static void draw_channels(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = shape_of(draw_integer(draw, 1, 2), draw_integer(draw, 1, 4),
                                  draw_integer(draw, 1, 4), draw_integer(draw, 1, most * 9));
    instance->axes = 7;
}

static void draw_expand(Draw *draw, int64_t most, OpInstance *instance) {
    instance->target = instance->shape[0] = drawn_shape(draw, 1, most_rank(most), most);
    for (int axis = 0; axis < instance->target.rank; axis++)
        if (drawn_flag(draw)) instance->shape[0].size[axis] = 1;
}

static void draw_expand_scalar(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = shape_scalar();
    instance->target = drawn_shape(draw, 1, 4, most);
}

static void draw_reshape(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = drawn_shape(draw, 0, 4, most);
    Shape *to = &instance->target; /* prime factors dealt out to new axes */
    *to = drawn_shape(draw, 1, SHAPE_AXES, 1);
    int64_t left = shape_count(instance->shape[0]);
    for (int64_t prime = 2; left > 1; prime++)
        for (; left % prime == 0; left /= prime) to->size[draw_integer(draw, 0, to->rank - 1)] *= prime;
}

static void draw_permute(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = drawn_shape(draw, 2, most_rank(most), most);
    for (int axis = 0; axis < instance->shape[0].rank; axis++) {
        int other = (int)draw_integer(draw, 0, axis);
        instance->order[axis] = instance->order[other];
        instance->order[other] = axis;
    }
}

static void draw_slice(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = drawn_shape(draw, 1, most_rank(most), most);
    for (int axis = 0; axis < instance->shape[0].rank; axis++) {
        int64_t size = instance->shape[0].size[axis];
        instance->first[axis] = draw_integer(draw, 0, size - 1);
        instance->last[axis] = draw_integer(draw, 1, size - instance->first[axis]);
    }
}

static void draw_pad(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = drawn_shape(draw, 1, 4, most / 2 + 1);
    for (int axis = 0; axis < instance->shape[0].rank; axis++) {
        instance->first[axis] = draw_integer(draw, 0, 2);
        instance->last[axis] = draw_integer(draw, 0, 2);
    }
}

static void draw_concat(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = instance->shape[1] = drawn_shape(draw, 1, 4, most / 2 + 1);
    instance->axis = (int)draw_integer(draw, 0, instance->shape[0].rank - 1);
    instance->shape[1].size[instance->axis] = draw_integer(draw, 1, most);
}

static void draw_upsample(Draw *draw, int64_t most, OpInstance *instance) {
    instance->factor = draw_integer(draw, 2, 3);
    instance->shape[0] = shape_of(draw_integer(draw, 1, 2), draw_integer(draw, 1, 4),
                                  draw_integer(draw, 1, 4), draw_integer(draw, 1, most));
}

static void draw_poolsum(Draw *draw, int64_t most, OpInstance *instance) {
    instance->factor = draw_integer(draw, 2, 3);
    instance->shape[0] = shape_of(draw_integer(draw, 1, 2), draw_integer(draw, 1, 2) * instance->factor,
                                  draw_integer(draw, 1, 2) * instance->factor, draw_integer(draw, 1, most));
}

static void draw_gather(Draw *draw, int64_t most, OpInstance *instance) {
    instance->rows = draw_integer(draw, 1, most);
    instance->shape[0] = drawn_shape(draw, 1, 3, most);
    instance->shape[0].size[0] = instance->rows;
    instance->shape[1] = drawn_shape(draw, 0, 2, most / 2 + 1);
}

static void draw_scatter(Draw *draw, int64_t most, OpInstance *instance) {
    draw_gather(draw, most, instance);
    Shape table = instance->shape[0];
    instance->shape[0] = instance->shape[1];
    for (int axis = 1; axis < table.rank; axis++)
        instance->shape[0].size[instance->shape[0].rank++] = table.size[axis];
}

static void draw_matmul(Draw *draw, int64_t most, OpInstance *instance) {
    int64_t m = draw_integer(draw, 1, most * 2), k = draw_integer(draw, 1, most * 2),
            n = draw_integer(draw, 1, most * 2);
    instance->transpose_a = drawn_flag(draw);
    instance->transpose_b = drawn_flag(draw);
    instance->shape[0] = instance->transpose_a ? shape_of(k, m) : shape_of(m, k);
    instance->shape[1] = instance->transpose_b ? shape_of(n, k) : shape_of(k, n);
}

static void draw_batched_matmul(Draw *draw, int64_t most, OpInstance *instance) {
    draw_matmul(draw, most, instance);
    int64_t batch = draw_integer(draw, 1, 4);
    for (int i = 0; i < 2; i++)
        instance->shape[i] = shape_of(batch, instance->shape[i].size[0], instance->shape[i].size[1]);
}

static void draw_square_matrix(Draw *draw, int64_t most, OpInstance *instance) {
    instance->shape[0] = shape_of(draw_integer(draw, 1, most), draw_integer(draw, 1, most));
}

static void draw_kernel(Draw *draw, int64_t most, OpInstance *instance) {
    instance->stride = draw_integer(draw, 1, 3);
    instance->pad = draw_integer(draw, 0, 2);
    instance->shape[1] = shape_of(draw_integer(draw, 1, 4), draw_integer(draw, 1, 4),
                                  draw_integer(draw, 1, most), draw_integer(draw, 1, most));
}

static void draw_conv(Draw *draw, int64_t most, OpInstance *instance) {
    int64_t room[2];
    do { /* strides that leave a rest are wanted too */
        draw_kernel(draw, most, instance);
        for (int i = 0; i < 2; i++) room[i] = draw_integer(draw, 1, most + 2) + 2 * instance->pad;
    } while (room[0] < instance->shape[1].size[0] || room[1] < instance->shape[1].size[1]);
    instance->shape[0] = shape_of(draw_integer(draw, 1, 3), room[0] - 2 * instance->pad,
                                  room[1] - 2 * instance->pad, instance->shape[1].size[2]);
}

static void draw_conv_transpose(Draw *draw, int64_t most, OpInstance *instance) {
    int64_t y[2], x[2];
    do {
        draw_kernel(draw, most, instance);
        for (int i = 0; i < 2; i++) {
            y[i] = draw_integer(draw, 1, most / 2 + 1);
            x[i] = (y[i] - 1) * instance->stride - 2 * instance->pad + instance->shape[1].size[i];
        }
    } while (x[0] < 1 || x[1] < 1);
    instance->shape[0] = shape_of(draw_integer(draw, 1, 3), y[0], y[1], instance->shape[1].size[3]);
}

/* The arguments are x and y of T(x, w, y); w, the result, takes the place of `target`. */
static void draw_conv_dw(Draw *draw, int64_t most, OpInstance *instance) {
    draw_conv(draw, most, instance);
    Shape x = instance->shape[0], w = instance->shape[1];
    instance->target = w;
    instance->shape[1] =
        shape_of(x.size[0], (x.size[1] + 2 * instance->pad - w.size[0]) / instance->stride + 1,
                 (x.size[2] + 2 * instance->pad - w.size[1]) / instance->stride + 1, w.size[3]);
}

/* ---- building, and the plain references ---------------------------------------------------------------- */

#define BUILD(function, expression)                                                                          \
    static Node *function(const OpCase *self, Graph *g, Node *const *args, const OpInstance *i) {            \
        (void)self, (void)i;                                                                                 \
        return expression;                                                                                   \
    }
#define REFERENCE(function, ...)                                                                             \
    static void function(const OpCase *self, Tensor *y, const Tensor *args, const OpInstance *i) {           \
        (void)self, (void)i;                                                                                 \
        __VA_ARGS__;                                                                                         \
    }

BUILD(build_unary, self->unary(g, args[0]))
REFERENCE(plain_unary, reference_unary(y, args, self->number1))
BUILD(build_binary, self->binary(g, args[0], args[1]))
REFERENCE(plain_binary, reference_binary(y, args, args + 1, self->number2))
BUILD(build_twice, self->binary(g, args[0], args[0]))
REFERENCE(plain_twice, reference_binary(y, args, args, self->number2))

BUILD(build_scale, graph_scale(g, args[0], i->number))
REFERENCE(plain_scale, reference_unary(y, args, reference_identity); reference_scale(y, i->number))
BUILD(build_offset, graph_offset(g, args[0], i->number))
REFERENCE(plain_offset, reference_unary(y, args, reference_identity);
          for (int64_t n = 0; n < tensor_count(y); n++) y->data[n] += i->number)
BUILD(build_pow, graph_pow(g, args[0], i->number))
REFERENCE(plain_pow, reference_unary(y, args, reference_identity);
          for (int64_t n = 0; n < tensor_count(y); n++) y->data[n] = pow(y->data[n], i->number))
BUILD(build_leaky_relu, graph_leaky_relu(g, args[0], i->number))
REFERENCE(plain_leaky_relu, reference_unary(y, args, reference_identity);
          for (int64_t n = 0; n < tensor_count(y); n++) if (y->data[n] < 0) y->data[n] *= i->number)
BUILD(build_clamp, graph_clamp(g, args[0], -0.75, 0.75))
REFERENCE(plain_clamp, reference_unary(y, args, reference_identity);
          for (int64_t n = 0; n < tensor_count(y); n++) y->data[n] = fmin(fmax(y->data[n], -0.75), 0.75))

static int64_t folded(const Tensor *y, const Tensor *a) {
    return tensor_count(a) / tensor_count(y);
}

BUILD(build_sum, graph_sum(g, args[0], i->axes))
REFERENCE(plain_sum, reference_fold(y, args, i->axes, 0, reference_plus))
BUILD(build_mean, graph_mean(g, args[0], i->axes))
REFERENCE(plain_mean, reference_fold(y, args, i->axes, 0, reference_plus);
          reference_scale(y, 1 / (double)folded(y, args)))
BUILD(build_amax, graph_amax(g, args[0], i->axes))
REFERENCE(plain_amax, reference_fold(y, args, i->axes, (double)-INFINITY, fmax))
BUILD(build_sum_all, graph_sum_all(g, args[0]))
REFERENCE(plain_sum_all, reference_fold_all(y, args, 0, reference_plus))
BUILD(build_mean_all, graph_mean_all(g, args[0]))
REFERENCE(plain_mean_all, reference_fold_all(y, args, 0, reference_plus);
          reference_scale(y, 1 / (double)tensor_count(args)))
BUILD(build_expand, graph_expand(g, args[0], i->target))
REFERENCE(plain_expand, reference_expand(y, args, i->target))
REFERENCE(plain_expand_scalar, Tensor one = args[0]; one.shape = i->target;
          for (int axis = 0; axis < one.shape.rank; axis++) one.shape.size[axis] = 1;
          reference_expand(y, &one, i->target))

BUILD(build_reshape, graph_reshape(g, args[0], i->target))
REFERENCE(plain_reshape, reference_reshape(y, args, i->target))
BUILD(build_permute, graph_permute(g, args[0], i->order))
REFERENCE(plain_permute, reference_permute(y, args, i->order))
BUILD(build_slice, graph_slice(g, args[0], i->first, i->last))
REFERENCE(plain_slice, reference_slice(y, args, i->first, i->last))
BUILD(build_pad, graph_pad(g, args[0], i->first, i->last))
REFERENCE(plain_pad, reference_pad(y, args, i->first, i->last))
BUILD(build_concat, graph_concat(g, (Node *[]){args[0], args[1], args[0]}, 3, i->axis))
REFERENCE(plain_concat, reference_concat(y, (const Tensor *[]){args, args + 1, args}, 3, i->axis))
BUILD(build_upsample, graph_upsample(g, args[0], i->factor))
REFERENCE(plain_upsample, reference_upsample(y, args, i->factor))
BUILD(build_poolsum, graph_poolsum(g, args[0], i->factor))
REFERENCE(plain_poolsum, reference_poolsum(y, args, i->factor))
BUILD(build_avg_pool, graph_avg_pool(g, args[0], i->factor))
REFERENCE(plain_avg_pool, reference_poolsum(y, args, i->factor);
          reference_scale(y, 1 / (double)(i->factor * i->factor)))

BUILD(build_gather, graph_gather(g, args[0], args[1]))
REFERENCE(plain_gather, reference_gather(y, args, args + 1))
BUILD(build_scatter, graph_scatter(g, args[0], args[1], i->rows))
REFERENCE(plain_scatter, reference_scatter(y, args, args + 1, i->rows))
BUILD(build_matmul, graph_matmul(g, args[0], args[1], i->transpose_a, i->transpose_b))
REFERENCE(plain_matmul, reference_matmul(y, args, args + 1, i->transpose_a, i->transpose_b))
BUILD(build_gram, graph_matmul(g, args[0], args[0], true, false))
REFERENCE(plain_gram, reference_matmul(y, args, args, true, false))

static Shape transposed_shape(const Tensor *y, const Tensor *w, const OpInstance *i) {
    const int64_t *size = y->shape.size, *kernel = w->shape.size;
    return shape_of(size[0], (size[1] - 1) * i->stride - 2 * i->pad + kernel[0],
                    (size[2] - 1) * i->stride - 2 * i->pad + kernel[1], kernel[2]);
}

BUILD(build_conv, graph_conv(g, args[0], args[1], i->stride, i->pad))
REFERENCE(plain_conv, reference_conv_y(y, args, args + 1, i->stride, i->pad))
BUILD(build_conv_dx, graph_conv_transpose(g, args[0], args[1], i->stride, i->pad))
REFERENCE(plain_conv_dx,
          reference_conv_x(y, args, args + 1, i->stride, i->pad, transposed_shape(args, args + 1, i)))

/* There is no constructor: it is what conv's gradient by its weights is. */
static Node *build_conv_dw(const OpCase *self, Graph *g, Node *const *args, const OpInstance *i) {
    (void)self;
    Node *w = graph_input(g, "any weights", i->target), *gradient;
    Node *form = graph_sum_all(g, graph_mul(g, graph_conv(g, args[0], w, i->stride, i->pad), args[1]));
    return graph_grad(g, form, &w, 1, &gradient) ? gradient : NULL;
}
REFERENCE(plain_conv_dw, reference_conv_w(y, args, args + 1, i->stride, i->pad, i->target))

static double halve(double a) {
    return a / 2;
}
static Node *node_halve(Graph *g, Node *a) {
    return graph_div(g, a, graph_constant(g, 2));
}

/* ---- the table ----------------------------------------------------------------------------------------- */

#define UNARY(...)         .arity = 1, .draw = draw_one, .build = build_unary, .reference = plain_unary, __VA_ARGS__
#define BINARY(...)        .arity = 2, .build = build_binary, .reference = plain_binary, __VA_ARGS__
#define OTHER(draws, name) .draw = draws, .build = build_##name, .reference = plain_##name
#define SUGAR              OP_COUNT

/* clang-format off */
const OpCase OP_CASES[] = {
    {"add", OP_ADD, BINARY(.binary = graph_add, .number2 = reference_plus, .draw = draw_one, .linear = {3}, .orders = 2)},
    {"add, scalar on the left", SUGAR, BINARY(.binary = graph_add, .number2 = reference_plus, .draw = draw_left_scalar, .linear = {3}, .orders = 2)},
    {"add, scalar on the right", SUGAR, BINARY(.binary = graph_add, .number2 = reference_plus, .draw = draw_right_scalar, .linear = {3}, .orders = 2)},
    {"add to itself", SUGAR, .binary = graph_add, .number2 = reference_plus, .arity = 1, OTHER(draw_one, twice), .linear = {1}, .orders = 2},
    {"mul", OP_MUL, BINARY(.binary = graph_mul, .number2 = reference_times, .draw = draw_one, .linear = {1, 2}, .orders = 3)},
    {"mul, scalar on the left", SUGAR, BINARY(.binary = graph_mul, .number2 = reference_times, .draw = draw_left_scalar, .linear = {1, 2}, .orders = 3)},
    {"mul, scalar on the right", SUGAR, BINARY(.binary = graph_mul, .number2 = reference_times, .draw = draw_right_scalar, .linear = {1, 2}, .orders = 3)},
    {"mul by itself", SUGAR, .binary = graph_mul, .number2 = reference_times, .arity = 1, OTHER(draw_one, twice), .orders = 3},
    {"sub", SUGAR, BINARY(.binary = graph_sub, .number2 = reference_minus, .draw = draw_one, .linear = {3}, .orders = 2)},
    {"div", SUGAR, BINARY(.binary = graph_div, .number2 = reference_over, .draw = draw_one, .domain = {DOMAIN_ANY, DOMAIN_NONZERO}, .linear = {1}, .orders = 3)},
    {"div of a scalar", SUGAR, BINARY(.binary = graph_div, .number2 = reference_over, .draw = draw_left_scalar, .domain = {DOMAIN_ANY, DOMAIN_NONZERO}, .linear = {1}, .orders = 3)},
    {"div by a scalar", SUGAR, BINARY(.binary = graph_div, .number2 = reference_over, .draw = draw_right_scalar, .domain = {DOMAIN_ANY, DOMAIN_NONZERO}, .linear = {1}, .orders = 3)},
    {"div by a constant", SUGAR, UNARY(.unary = node_halve, .number1 = halve, .linear = {1}, .orders = 2)},
    {"neg", SUGAR, UNARY(.unary = graph_neg, .number1 = reference_negate, .linear = {1}, .orders = 2)},
    {"scale", SUGAR, .arity = 1, OTHER(draw_one, scale), .linear = {1}, .orders = 2},
    {"offset", SUGAR, .arity = 1, OTHER(draw_one, offset), .orders = 2},
    {"pow, whole exponents", OP_POW, .arity = 1, OTHER(draw_whole_power, pow), .domain = {DOMAIN_NONZERO}, .orders = 3},
    {"pow, broken exponents", OP_POW, .arity = 1, OTHER(draw_broken_power, pow), .domain = {DOMAIN_POSITIVE}, .orders = 3},
    {"square", SUGAR, UNARY(.unary = graph_square, .number1 = reference_square, .orders = 3)},
    {"sqrt", SUGAR, UNARY(.unary = graph_sqrt, .number1 = sqrt, .domain = {DOMAIN_POSITIVE}, .orders = 3)},
    {"exp", OP_EXP, UNARY(.unary = graph_exp, .number1 = exp, .orders = 3)},
    {"log", OP_LOG, UNARY(.unary = graph_log, .number1 = log, .domain = {DOMAIN_POSITIVE}, .orders = 3)},
    {"tanh", OP_TANH, UNARY(.unary = graph_tanh, .number1 = tanh, .orders = 3)},
    {"sigmoid", OP_SIGMOID, UNARY(.unary = graph_sigmoid, .number1 = reference_sigmoid, .orders = 3)},
    {"softplus", OP_SOFTPLUS, UNARY(.unary = graph_softplus, .number1 = reference_softplus, .orders = 3)},
    {"step", OP_STEP, UNARY(.unary = graph_step, .number1 = reference_step, .domain = {DOMAIN_NONZERO})},
    {"detach", OP_DETACH, UNARY(.unary = graph_detach, .number1 = reference_identity, .linear = {0})},
    {"relu", SUGAR, UNARY(.unary = graph_relu, .number1 = reference_relu, .domain = {DOMAIN_NONZERO}, .orders = 2)},
    {"leaky relu", SUGAR, .arity = 1, OTHER(draw_one, leaky_relu), .domain = {DOMAIN_NONZERO}, .orders = 2},
    {"abs", SUGAR, UNARY(.unary = graph_abs, .number1 = fabs, .domain = {DOMAIN_NONZERO}, .orders = 2)},
    {"max", SUGAR, BINARY(.binary = graph_max, .number2 = fmax, .draw = draw_one, .domain = {DOMAIN_GRID, DOMAIN_OFF_GRID}, .orders = 2)},
    {"max with a scalar", SUGAR, BINARY(.binary = graph_max, .number2 = fmax, .draw = draw_right_scalar, .domain = {DOMAIN_GRID, DOMAIN_OFF_GRID}, .orders = 2)},
    {"min", SUGAR, BINARY(.binary = graph_min, .number2 = fmin, .draw = draw_one, .domain = {DOMAIN_GRID, DOMAIN_OFF_GRID}, .orders = 2)},
    {"clamp", SUGAR, .arity = 1, OTHER(draw_one, clamp), .domain = {DOMAIN_GRID}, .orders = 2},
    {"sum", OP_SUM, .arity = 1, OTHER(draw_axes, sum), .linear = {1}, .orders = 2},
    {"sum to channels", OP_SUM, .arity = 1, OTHER(draw_channels, sum), .linear = {1}, .orders = 2},
    {"sum of all", SUGAR, .arity = 1, OTHER(draw_one, sum_all), .linear = {1}, .orders = 2},
    {"mean", SUGAR, .arity = 1, OTHER(draw_axes, mean), .linear = {1}, .orders = 2},
    {"mean of all", SUGAR, .arity = 1, OTHER(draw_one, mean_all), .linear = {1}, .orders = 2},
    {"amax", OP_AMAX, .arity = 1, OTHER(draw_axes, amax)},
    {"amax to channels", OP_AMAX, .arity = 1, OTHER(draw_channels, amax)},
    {"expand", OP_EXPAND, .arity = 1, OTHER(draw_expand, expand), .linear = {1}, .orders = 2},
    {"expand a scalar", SUGAR, .arity = 1, .draw = draw_expand_scalar, .build = build_expand, .reference = plain_expand_scalar, .linear = {1}, .orders = 2},
    {"reshape", OP_RESHAPE, .arity = 1, OTHER(draw_reshape, reshape), .linear = {1}, .orders = 2},
    {"permute", OP_PERMUTE, .arity = 1, OTHER(draw_permute, permute), .linear = {1}, .orders = 2},
    {"slice", OP_SLICE, .arity = 1, OTHER(draw_slice, slice), .linear = {1}, .orders = 2},
    {"pad", OP_PAD, .arity = 1, OTHER(draw_pad, pad), .linear = {1}, .orders = 2},
    {"concat", SUGAR, .arity = 2, OTHER(draw_concat, concat), .linear = {3}, .orders = 2},
    {"upsample", OP_UPSAMPLE, .arity = 1, OTHER(draw_upsample, upsample), .linear = {1}, .orders = 2},
    {"poolsum", OP_POOLSUM, .arity = 1, OTHER(draw_poolsum, poolsum), .linear = {1}, .orders = 2},
    {"average pool", SUGAR, .arity = 1, OTHER(draw_poolsum, avg_pool), .linear = {1}, .orders = 2},
    {"gather", OP_GATHER, .arity = 2, OTHER(draw_gather, gather), .domain = {DOMAIN_ANY, DOMAIN_INDEX}, .linear = {1}, .orders = 2},
    {"scatter", OP_SCATTER, .arity = 2, OTHER(draw_scatter, scatter), .domain = {DOMAIN_ANY, DOMAIN_INDEX}, .linear = {1}, .orders = 2},
    {"matmul", OP_MATMUL, .arity = 2, OTHER(draw_matmul, matmul), .linear = {1, 2}, .orders = 3},
    {"batched matmul", OP_MATMUL, .arity = 2, OTHER(draw_batched_matmul, matmul), .linear = {1, 2}, .orders = 3},
    {"matmul with itself", SUGAR, .arity = 1, OTHER(draw_square_matrix, gram), .orders = 3},
    {"conv", OP_CONV, .arity = 2, OTHER(draw_conv, conv), .linear = {1, 2}, .orders = 3},
    {"conv_dx (transposed conv)", OP_CONV_DX, .arity = 2, OTHER(draw_conv_transpose, conv_dx), .linear = {1, 2}, .orders = 3},
    {"conv_dw", OP_CONV_DW, .arity = 2, OTHER(draw_conv_dw, conv_dw), .linear = {1, 2}, .orders = 3},
};
/* clang-format on */

const size_t OP_CASE_COUNT = sizeof OP_CASES / sizeof *OP_CASES;

OpInstance op_case_draw(const OpCase *op, Draw *draw, int64_t most) {
    OpInstance instance = {.number = 0};
    op->draw(draw, most, &instance);
    return instance;
}

static double drawn_number(Draw *draw, Domain domain, int64_t rows) {
    double sign = drawn_flag(draw) ? 1 : -1, jitter = draw_uniform(draw, -0.1, 0.1);
    switch (domain) {
    case DOMAIN_POSITIVE: return draw_uniform(draw, 0.5, 2);
    case DOMAIN_NONZERO: return sign * draw_uniform(draw, 0.5, 2);
    case DOMAIN_GRID: return 0.5 * (double)draw_integer(draw, -3, 3) + jitter;
    case DOMAIN_OFF_GRID: return 0.5 * (double)draw_integer(draw, -3, 3) + 0.25 + jitter;
    case DOMAIN_INDEX: return (double)draw_integer(draw, 0, rows - 1);
    default: return draw_uniform(draw, -2, 2);
    }
}

void op_case_fill(const OpCase *op, const OpInstance *instance, Draw *draw, Tensor *args) {
    for (int i = 0; i < op->arity; i++) {
        args[i].shape = instance->shape[i];
        for (int64_t n = 0; n < tensor_count(&args[i]); n++)
            args[i].data[n] = drawn_number(draw, op->domain[i], instance->rows);
    }
}

Node *op_case_build(const OpCase *op, const OpInstance *instance, Graph *graph, Node *const *args) {
    return op->build(op, graph, args, instance);
}

void op_case_reference(const OpCase *op, const OpInstance *instance, Tensor *y, const Tensor *args) {
    op->reference(op, y, args, instance);
}
