/* Bad input: whatever is wrong is refused, with a message that says what was expected and what was got; and
 * debugging programs, which name the op, layer and line where the first number went bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rig.h"

/* ---- building ------------------------------------------------------------------------------------------ */

/* Leaves that the cases below combine wrongly. */
typedef struct {
    Graph *g;
    Node *a23, *a32, *b456, *image, *kernel, *scalar, *index;
    Node *foreign; /* of another graph */
} Parts;

typedef struct {
    const char *name;
    Node *(*build)(const Parts *parts);
    const char *says[4]; /* parts of the message */
} Wrong;

#define WRONG(function, expression)                                                                          \
    static Node *function(const Parts *p) {                                                                  \
        return expression;                                                                                   \
    }
#define SIZES(...)                                                                                           \
    (const int64_t[]) {                                                                                      \
        __VA_ARGS__                                                                                          \
    }
#define ORDER(...)                                                                                           \
    (const int[]) {                                                                                          \
        __VA_ARGS__                                                                                          \
    }

static Node *gradient(const Parts *p, Node *y, Node *x) {
    Node *found = NULL;
    return graph_grad(p->g, y, &x, 1, &found) ? found : NULL;
}

static Shape wide(int rank) {
    Shape shape = {.rank = rank};
    for (int axis = 0; axis < SHAPE_AXES; axis++) shape.size[axis] = 2;
    return shape;
}

WRONG(add_shapes, graph_add(p->g, p->a23, p->a32))
WRONG(mul_shapes, graph_mul(p->g, p->a23, p->b456))
WRONG(sub_ranks, graph_sub(p->g, p->a23, p->b456))
WRONG(max_shapes, graph_max(p->g, p->a23, p->a32))
WRONG(input_zero, graph_input(p->g, "x", shape_of(3, 0)))
WRONG(input_negative, graph_input(p->g, "x", shape_of(-4)))
WRONG(input_too_large, graph_input(p->g, "x", shape_of(1 << 21, 1 << 21)))
WRONG(input_overflow, graph_input(p->g, "x", shape_of(INT64_MAX, 2, INT64_MAX)))
WRONG(input_axes, graph_input(p->g, "x", wide(9)))
WRONG(input_rank, graph_input(p->g, "x", (Shape){.rank = -1}))
WRONG(input_no_name, graph_input(p->g, "", shape_of(1)))
WRONG(input_null_name, graph_input(p->g, NULL, shape_of(1)))
WRONG(input_twice, graph_input(p->g, "a23", shape_of(7)))
WRONG(parameter_twice, graph_parameter(p->g, "D", "kernel", shape_of(7)))
WRONG(parameter_group, graph_parameter(p->g, "G", "kernel", shape_of(3, 3, 2, 5)))
WRONG(variable_taken, graph_variable(p->g, "D", "kernel", shape_of(3, 3, 2, 5)))
WRONG(normal_zero, graph_normal(p->g, shape_of(0)))
WRONG(uniform_large, graph_uniform(p->g, shape_of(INT64_MAX)))
WRONG(foreign_argument, graph_add(p->g, p->foreign, p->foreign))
WRONG(foreign_second, graph_mul(p->g, p->a23, p->foreign))
WRONG(foreign_gradient, gradient(p, p->scalar, p->foreign))
WRONG(null_argument, graph_add(p->g, NULL, p->a23))
WRONG(pow_nan, graph_pow(p->g, p->a23, (double)NAN))
WRONG(clamp_order, graph_clamp(p->g, p->a23, 2, 1))
WRONG(sum_axis, graph_sum(p->g, p->a23, 1 << 2))
WRONG(amax_axis, graph_amax(p->g, p->a23, 1u << 31))
WRONG(expand_rank, graph_expand(p->g, p->a23, shape_of(1, 2, 3)))
WRONG(expand_size, graph_expand(p->g, p->a23, shape_of(2, 6)))
WRONG(expand_zero, graph_expand(p->g, p->scalar, shape_of(0)))
WRONG(reshape_count, graph_reshape(p->g, p->a23, shape_of(7)))
WRONG(reshape_overflow, graph_reshape(p->g, p->a23, shape_of(INT64_MAX, INT64_MAX)))
WRONG(permute_twice, graph_permute(p->g, p->a23, ORDER(0, 0)))
WRONG(permute_range, graph_permute(p->g, p->a23, ORDER(0, 2)))
WRONG(permute_negative, graph_permute(p->g, p->a23, ORDER(-1, 0)))
WRONG(slice_first, graph_slice(p->g, p->a23, SIZES(-1, 0), SIZES(1, 1)))
WRONG(slice_count, graph_slice(p->g, p->a23, SIZES(0, 1), SIZES(2, 3)))
WRONG(slice_empty, graph_slice(p->g, p->a23, SIZES(0, 0), SIZES(2, 0)))
WRONG(slice_overflow, graph_slice(p->g, p->a23, SIZES(0, INT64_MAX), SIZES(1, INT64_MAX)))
WRONG(pad_negative, graph_pad(p->g, p->a23, SIZES(0, -1), SIZES(0, 0)))
WRONG(pad_overflow, graph_pad(p->g, p->a23, SIZES(INT64_MAX, 0), SIZES(INT64_MAX, 0)))
WRONG(concat_none, graph_concat(p->g, NULL, 0, 0))
WRONG(concat_sizes, graph_concat(p->g, (Node *[]){p->a23, p->a32}, 2, 0))
WRONG(concat_axis, graph_concat(p->g, (Node *[]){p->a23, p->a23}, 2, 2))
WRONG(concat_ranks, graph_concat(p->g, (Node *[]){p->a23, p->b456}, 2, 0))
WRONG(concat_null, graph_concat(p->g, (Node *[]){p->a23, NULL}, 2, 0))
WRONG(upsample_rank, graph_upsample(p->g, p->a23, 2))
WRONG(upsample_zero, graph_upsample(p->g, p->image, 0))
WRONG(upsample_overflow, graph_upsample(p->g, p->image, INT64_MAX))
WRONG(pool_rest, graph_poolsum(p->g, p->image, 4))
WRONG(pool_rank, graph_avg_pool(p->g, p->b456, 2))
WRONG(conv_rank, graph_conv(p->g, p->a23, p->kernel, 1, 0))
WRONG(conv_kernel_rank, graph_conv(p->g, p->image, p->a23, 1, 0))
WRONG(conv_channels, graph_conv(p->g, p->image, graph_input(p->g, "w", shape_of(3, 3, 4, 5)), 1, 0))
WRONG(conv_large_kernel, graph_conv(p->g, p->image, graph_input(p->g, "w", shape_of(3, 9, 2, 5)), 1, 1))
WRONG(conv_stride, graph_conv(p->g, p->image, p->kernel, 0, 0))
WRONG(conv_pad, graph_conv(p->g, p->image, p->kernel, 1, -1))
WRONG(conv_overflow, graph_conv(p->g, p->image, p->kernel, 1, INT64_MAX))
WRONG(transpose_channels, graph_conv_transpose(p->g, p->image, p->kernel, 1, 0))
WRONG(transpose_pad, graph_conv_transpose(p->g, p->image, graph_input(p->g, "w", shape_of(3, 3, 5, 2)), 1, 5))
WRONG(transpose_overflow,
      graph_conv_transpose(p->g, p->image, graph_input(p->g, "w", shape_of(3, 3, 5, 2)), INT64_MAX, 0))
WRONG(transpose_sum_overflow,
      graph_conv_transpose(p->g, graph_input(p->g, "y", shape_of(1, 1 << 23, 1, 1)),
                           graph_input(p->g, "w", shape_of(SHAPE_LIMIT, 1, 1, 1)), SHAPE_LIMIT, 0))
WRONG(gather_scalar, graph_gather(p->g, p->scalar, p->index))
WRONG(gather_axes, graph_gather(p->g, graph_input(p->g, "t", wide(8)), p->a23))
WRONG(scatter_shapes, graph_scatter(p->g, p->a23, p->index, 5))
WRONG(scatter_rows, graph_scatter(p->g, p->index, p->index, 0))
WRONG(matmul_inner, graph_matmul(p->g, p->a23, p->a23, false, false))
WRONG(matmul_flags, graph_matmul(p->g, p->a23, p->a32, true, false))
WRONG(matmul_rank, graph_matmul(p->g, p->a23, p->b456, false, false))
WRONG(matmul_batch, graph_matmul(p->g, p->b456, graph_input(p->g, "c", shape_of(3, 6, 2)), false, false))
WRONG(grad_of_vector, gradient(p, p->a23, p->a23))
WRONG(grad_independent, gradient(p, graph_sum_all(p->g, p->a32), p->a23))
WRONG(grad_detached, gradient(p, graph_sum_all(p->g, graph_detach(p->g, p->a23)), p->a23))
WRONG(grad_of_step, gradient(p, graph_sum_all(p->g, graph_step(p->g, p->a23)), p->a23))
WRONG(grad_by_index, gradient(p, graph_sum_all(p->g, graph_gather(p->g, p->a23, p->index)), p->index))

static const Wrong WRONGS[] = {
    {"add", add_shapes, {"add", "(2, 3)", "(3, 2)"}},
    {"mul", mul_shapes, {"(2, 3)", "(4, 5, 6)"}},
    {"sub", sub_ranks, {"(2, 3)", "(4, 5, 6)"}},
    {"max", max_shapes, {"max", "(2, 3)", "(3, 2)"}},
    {"input of size 0", input_zero, {"(3, 0)", "at least 1"}},
    {"input of negative size", input_negative, {"-4", "at least 1"}},
    {"too large an input", input_too_large, {"(2097152, 2097152)", "more than"}},
    {"overflowing input", input_overflow, {"9223372036854775807", "more than"}},
    {"nine axes", input_axes, {"8 axes", "9"}},
    {"negative rank", input_rank, {"-1"}},
    {"empty name", input_no_name, {"name"}},
    {"no name", input_null_name, {"name"}},
    {"input of another shape", input_twice, {"a23", "(7)", "(2, 3)"}},
    {"parameter of another shape", parameter_twice, {"kernel", "(7)", "(3, 3, 2, 5)"}},
    {"parameter of another group", parameter_group, {"kernel", "G", "D"}},
    {"variable named like a parameter", variable_taken, {"kernel", "variable", "parameter"}},
    {"normal of size 0", normal_zero, {"(0)", "at least 1"}},
    {"too many uniforms", uniform_large, {"more than"}},
    {"node of another graph", foreign_argument, {"another graph"}},
    {"second node of another graph", foreign_second, {"another graph"}},
    {"gradient by a node of another graph", foreign_gradient, {"another graph"}},
    {"missing argument", null_argument, {"missing"}},
    {"pow of NaN", pow_nan, {"pow", "nan", "finite"}},
    {"clamp", clamp_order, {"clamp", "2", "1"}},
    {"sum over no axis", sum_axis, {"sum", "(2, 3)", "axis"}},
    {"amax over no axis", amax_axis, {"amax", "(2, 3)", "axis"}},
    {"expand, other rank", expand_rank, {"(2, 3)", "(1, 2, 3)"}},
    {"expand, other size", expand_size, {"(2, 3)", "(2, 6)", "axis 2"}},
    {"expand to nothing", expand_zero, {"(0)"}},
    {"reshape", reshape_count, {"(2, 3)", "6", "(7)"}},
    {"overflowing reshape", reshape_overflow, {"more than"}},
    {"permute, twice", permute_twice, {"permute", "once"}},
    {"permute, out of range", permute_range, {"permute", "2 axes"}},
    {"permute, negative", permute_negative, {"permute"}},
    {"slice before the start", slice_first, {"slice", "(2, 3)", "axis 1"}},
    {"slice beyond the end", slice_count, {"slice", "(2, 3)", "axis 2"}},
    {"empty slice", slice_empty, {"slice", "(2, 3)", "axis 2"}},
    {"overflowing slice", slice_overflow, {"slice", "axis 2"}},
    {"negative pad", pad_negative, {"pad", "-1", "axis 2"}},
    {"overflowing pad", pad_overflow, {"pad", "axis 1"}},
    {"concat of nothing", concat_none, {"concat"}},
    {"concat, other sizes", concat_sizes, {"concat", "(2, 3)", "(3, 2)"}},
    {"concat, no such axis", concat_axis, {"concat", "(2, 3)", "axis 3"}},
    {"concat, other rank", concat_ranks, {"concat", "(2, 3)", "(4, 5, 6)"}},
    {"concat of a missing part", concat_null, {"missing"}},
    {"upsample of a matrix", upsample_rank, {"upsample", "(2, 3)", "batch"}},
    {"upsample by 0", upsample_zero, {"upsample", "factor", "0"}},
    {"overflowing upsample", upsample_overflow, {"upsample"}},
    {"pool with a rest", pool_rest, {"pool", "(2, 6, 6, 2)", "4"}},
    {"pool of no image", pool_rank, {"pool", "(4, 5, 6)", "batch"}},
    {"conv of no image", conv_rank, {"conv", "(2, 3)", "batch"}},
    {"conv without kernel", conv_kernel_rank, {"conv", "(2, 3)", "kernel"}},
    {"conv, other channels", conv_channels, {"conv", "(2, 6, 6, 2)", "(3, 3, 4, 5)", "channels"}},
    {"conv, large kernel", conv_large_kernel, {"conv", "3", "9", "(2, 6, 6, 2)"}},
    {"conv, stride 0", conv_stride, {"conv", "stride 0"}},
    {"conv, negative pad", conv_pad, {"conv", "pad -1"}},
    {"conv, overflowing pad", conv_overflow, {"conv", "pad"}},
    {"transposed conv, other channels",
     transpose_channels,
     {"conv_transpose", "(2, 6, 6, 2)", "(3, 3, 2, 5)"}},
    {"transposed conv, nothing left", transpose_pad, {"conv_transpose", "pad of 5", "(2, 6, 6, 2)"}},
    {"overflowing transposed conv", transpose_overflow, {"conv_transpose", "stride"}},
    {"barely overflowing transposed conv", transpose_sum_overflow, {"conv_transpose"}},
    {"gather from a scalar", gather_scalar, {"gather", "scalar"}},
    {"gather, too many axes", gather_axes, {"gather", "8 axes"}},
    {"scatter, other shapes", scatter_shapes, {"scatter", "(2, 3)", "(4)"}},
    {"scatter to no rows", scatter_rows, {"at least 1"}},
    {"matmul, inner sizes", matmul_inner, {"matmul", "(2, 3)", "3 columns", "2 rows"}},
    {"matmul, flags", matmul_flags, {"matmul", "(2, 3) transposed", "(3, 2)"}},
    {"matmul, ranks", matmul_rank, {"matmul", "(2, 3)", "(4, 5, 6)"}},
    {"matmul, batches", matmul_batch, {"matmul", "(4, 5, 6)", "(3, 6, 2)"}},
    {"gradient of a matrix", grad_of_vector, {"grad", "scalar", "(2, 3)"}},
    {"gradient by something else", grad_independent, {"does not depend", "a23"}},
    {"gradient by something detached", grad_detached, {"does not depend", "a23"}},
    {"gradient by what only step reads", grad_of_step, {"does not depend", "a23"}},
    {"gradient by an index", grad_by_index, {"does not depend", "index"}},
};

static void test_building(void **unused) {
    (void)unused;
    Graph *other = graph_new();
    for (size_t i = 0; i < sizeof WRONGS / sizeof *WRONGS; i++) {
        const Wrong *wrong = &WRONGS[i];
        Graph *g = graph_new();
        Parts parts = {.g = g,
                       .a23 = graph_input(g, "a23", shape_of(2, 3)),
                       .a32 = graph_input(g, "a32", shape_of(3, 2)),
                       .b456 = graph_input(g, "b456", shape_of(4, 5, 6)),
                       .image = graph_input(g, "image", shape_of(2, 6, 6, 2)),
                       .kernel = graph_parameter(g, "D", "kernel", shape_of(3, 3, 2, 5)),
                       .scalar = graph_input(g, "scalar", shape_scalar()),
                       .index = graph_input(g, "index", shape_of(4)),
                       .foreign = graph_input(other, "foreign", shape_of(2, 3))};
        assert_null(graph_error(g));
        if (wrong->build(&parts)) fail_msg("%s: a node was made", wrong->name);
        if (!graph_error(g)) fail_msg("%s: no error was left", wrong->name);
        const char *message = graph_error(g)->message;
        assert_int_equal(graph_error(g)->status, STATUS_INVALID);
        for (int s = 0; s < 4 && wrong->says[s]; s++)
            if (!strstr(message, wrong->says[s]))
                fail_msg("%s: \"%s\" does not say \"%s\"", wrong->name, message, wrong->says[s]);
        graph_free(g);
    }
    graph_free(other);
}

static void test_first_error_stays(void **unused) {
    (void)unused;
    Graph *g = graph_new();
    Node *x = graph_input(g, "x", shape_of(2, 3)), *y = graph_input(g, "y", shape_of(5));
    Node *bad = graph_add(g, x, y), *found;
    assert_null(bad);
    assert_null(graph_tanh(g, bad));
    assert_null(graph_reshape(g, x, shape_of(99)));
    assert_false(graph_grad(g, x, &x, 1, &found));
    check_contains(graph_error(g)->message, "add");
    graph_clear_error(g);
    assert_null(graph_error(g));
    assert_non_null(graph_tanh(g, x));
    graph_free(g);
    graph_free(NULL);
}

/* Equal expressions are one node; leaves and random numbers are not. */
static void test_equal_expressions(void **unused) {
    (void)unused;
    Graph *g = graph_new();
    Node *x = graph_input(g, "x", shape_of(2, 3)), *y = graph_input(g, "y", shape_of(2, 3));
    assert_ptr_equal(graph_tanh(g, x), graph_tanh(g, x));
    assert_ptr_equal(graph_add(g, x, y), graph_add(g, y, x));
    assert_ptr_equal(graph_pow(g, x, 3), graph_pow(g, x, 3));
    assert_ptr_not_equal(graph_pow(g, x, 3), graph_pow(g, x, 4));
    assert_ptr_not_equal(graph_sum(g, x, 1), graph_sum(g, x, 2));
    assert_ptr_not_equal(graph_tanh(g, x), graph_tanh(g, y));
    assert_ptr_not_equal(graph_normal(g, shape_of(3)), graph_normal(g, shape_of(3)));
    assert_ptr_not_equal(x, y);
    graph_free(g);
}

static int by_address(const void *a, const void *b) {
    const Node *const *left = a, *const *right = b;
    return (*left > *right) - (*left < *right);
}

/* So many that their hashes must meet: each constant is a node of its own, and the same one when asked again.
 */
static void test_many_expressions(void **unused) {
    (void)unused;
    enum { COUNT = 20000 };
    static Node *nodes[COUNT], *sorted[COUNT];
    Graph *g = graph_new();
    for (int i = 0; i < COUNT; i++) nodes[i] = sorted[i] = graph_constant(g, i);
    for (int i = 0; i < COUNT; i++) assert_ptr_equal(graph_constant(g, i), nodes[i]);
    qsort(sorted, COUNT, sizeof *sorted, by_address);
    for (int i = 1; i < COUNT; i++) assert_ptr_not_equal(sorted[i], sorted[i - 1]);
    graph_free(g);
}

/* ---- compiling ----------------------------------------------------------------------------------------- */

static void refuse(const Graph *g, const Layout *layout, const ProgramSpec *spec, const char *says) {
    Error error = {.status = STATUS_OK, .message = ""};
    Program *program = program_new(g, layout, spec, &error);
    if (program) fail_msg("a program was made, expected an error about %s", says);
    assert_int_equal(error.status, STATUS_INVALID);
    check_contains(error.message, says);
}

static void test_compiling(void **unused) {
    (void)unused;
    Error error;
    Graph *g = graph_new(), *other = graph_new();
    Node *x = graph_input(g, "x", shape_of(2, 3)), *foreign = graph_input(other, "x", shape_of(2, 3));
    Node *p = graph_parameter(g, "D", "p", shape_of(2, 3)), *v = graph_variable(g, "D", "v", shape_of(2, 3));
    Layout *layout = layout_new(), *empty = layout_new();
    assert_int_equal(layout_add_graph(layout, g, &error), STATUS_OK);
    assert_int_equal(layout_finish(layout, &error), STATUS_OK);
    assert_int_equal(layout_finish(empty, &error), STATUS_OK);
    Node *row = graph_input(g, "row", shape_of(3)), *y = graph_add(g, x, p);

#define OUTPUTS(n, ...) &(ProgramSpec){.outputs = (ProgramOutput[]){__VA_ARGS__}, .output_count = n}
    refuse(g, layout, OUTPUTS(1, {"y", NULL}), "'y'");
    refuse(g, layout, OUTPUTS(1, {"y", foreign}), "another graph");
    refuse(g, layout, OUTPUTS(2, {"y", x}, {"y", p}), "'y'");
    refuse(g, empty, OUTPUTS(1, {"y", y}), "'p'");
#define ASSIGN(n, ...)                                                                                       \
    &(ProgramSpec){.assignments = (ProgramAssignment[]){__VA_ARGS__}, .assignment_count = n}
    refuse(g, layout, ASSIGN(1, {p, x}), "variable");
    refuse(g, layout, ASSIGN(1, {NULL, x}), "variable");
    refuse(g, layout, ASSIGN(1, {v, NULL}), "'v'");
    refuse(g, layout, ASSIGN(1, {v, row}), "(3)");
    refuse(g, layout, ASSIGN(1, {v, foreign}), "another graph");
    refuse(g, layout, ASSIGN(2, {v, x}, {v, p}), "'v'");
    refuse(g, empty, ASSIGN(1, {v, x}), "'v'");
#define DESCEND(n, ...) &(ProgramSpec){.gradients = (ProgramGradient[]){__VA_ARGS__}, .gradient_count = n}
    refuse(g, layout, DESCEND(1, {v, x}), "parameter");
    refuse(g, layout, DESCEND(1, {p, row}), "(3)");
    refuse(g, layout, DESCEND(2, {p, x}, {p, x}), "'p'");
    refuse(g, empty, DESCEND(1, {p, x}), "'p'");
    layout_free(layout);
    layout_free(empty);
    graph_free(g);
    graph_free(other);
}

/* ---- running ------------------------------------------------------------------------------------------- */

static Status run(Rig *rig, Error *error) {
    *error = (Error){.status = STATUS_OK, .message = ""};
    return program_run(rig->program, &rig->state, rig->workspace, 1, 1, error);
}

static void test_row_numbers(void **unused) {
    (void)unused;
    Error error;
    const double bad[] = {5, -1, 0.5, (double)NAN, (double)INFINITY, -(double)INFINITY, 1e30};
    for (int scatter = 0; scatter < 2; scatter++) {
        Rig rig;
        rig_open(&rig);
        Graph *g = rig.graph;
        Node *index = graph_input(g, "index", shape_of(3)), *v = graph_variable(g, "", "v", shape_scalar());
        Node *table = graph_input(g, "table", scatter ? shape_of(3, 4) : shape_of(5, 4));
        Node *y = scatter ? graph_scatter(g, table, index, 5) : graph_gather(g, table, index);
        rig_want(&rig, "y", y);
        rig_assign(&rig, v, graph_offset(g, v, 1));
        rig_compile(&rig, RIG_FUSED);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            rig_set(&rig, "index", (double[]){0, 4, bad[i]});
            assert_int_equal(run(&rig, &error), STATUS_INVALID);
            check_contains(error.message, scatter ? "scatter" : "gather");
            check_contains(error.message, "number 3");
            check_contains(error.message, "0 .. 4");
        }
        assert_true(*rig_tensor(&rig, "v") == 0); /* a run that fails assigns nothing */
        rig_set(&rig, "index", (double[]){0, 4, 4});
        assert_int_equal(run(&rig, &error), STATUS_OK);
        assert_true(*rig_tensor(&rig, "v") == 1);
        rig_close(&rig);
    }
}

static void test_workspace_not_reserved(void **unused) {
    (void)unused;
    Error error;
    Rig rig;
    rig_open(&rig);
    rig_want(&rig, "y", graph_tanh(rig.graph, graph_normal(rig.graph, shape_of(10))));
    rig_compile(&rig, RIG_FUSED);
    Workspace *small = workspace_new();
    assert_int_equal(program_run(rig.program, &rig.state, small, 1, 1, &error), STATUS_INVALID);
    check_contains(error.message, "reserve");
    workspace_free(small);
    rig_close(&rig);
}

/* ---- debugging programs -------------------------------------------------------------------------------- */

/* log(x) in one layer, exp of something in another, both feeding what comes after; v is assigned at the end.
 */
static void open_debug(Rig *rig, RigMode mode) {
    rig_open(rig);
    Graph *g = rig->graph;
    graph_set_source(g, "script.lua:3", NULL);
    Node *x = graph_input(g, "x", shape_of(4)), *z = graph_input(g, "z", shape_of(4));
    Node *v = graph_variable(g, "G", "v", shape_scalar());
    graph_set_source(g, "script.lua:17", "generator.3");
    Node *a = graph_log(g, x);
    graph_set_source(g, "script.lua:21", "discriminator.1");
    Node *b = graph_exp(g, graph_scale(g, z, 1000));
    graph_set_source(g, "script.lua:30", NULL);
    Node *y = graph_sum_all(g, graph_add(g, graph_tanh(g, a), b));
    rig_want(rig, "y", y);
    rig_assign(rig, v, graph_offset(g, v, 1));
    rig_compile(rig, mode);
}

static void test_debug_names_the_place(void **unused) {
    (void)unused;
    Error error;
    Rig rig;
    open_debug(&rig, RIG_DEBUG);
    rig_set(&rig, "x", (double[]){1, 2, 3, 4});
    rig_set(&rig, "z", (double[]){0, 0, -1, 0});
    assert_int_equal(run(&rig, &error), STATUS_OK);
    assert_true(*rig_tensor(&rig, "v") == 1);

    rig_set(&rig, "x", (double[]){1, 2, -3, 4});
    assert_int_equal(run(&rig, &error), STATUS_NOT_FINITE);
    check_contains(error.message, "log");
    check_contains(error.message, "generator.3");
    check_contains(error.message, "script.lua:17");
    check_contains(error.message, "nan");
    check_contains(error.message, "element 3 of 4");
    assert_null(strstr(error.message, "tanh"));

    rig_set(&rig, "x", (double[]){1, 2, 3, 4});
    rig_set(&rig, "z", (double[]){0, 0, 0, 1});
    assert_int_equal(run(&rig, &error), STATUS_NOT_FINITE);
    check_contains(error.message, "exp");
    check_contains(error.message, "discriminator.1");
    check_contains(error.message, "script.lua:21");
    check_contains(error.message, "inf");
    check_contains(error.message, "element 4 of 4");
    assert_true(*rig_tensor(&rig, "v") == 1); /* nothing is assigned by a run that stopped */

    rig_set(&rig, "z", (double[]){0, 0, (double)NAN, 0}); /* bad from the start: no op's fault */
    assert_int_equal(run(&rig, &error), STATUS_NOT_FINITE);
    check_contains(error.message, "'z'");
    rig_set(&rig, "z", (double[]){0, 0, 0, 0});
    *rig_tensor(&rig, "v") = (real)INFINITY;
    assert_int_equal(run(&rig, &error), STATUS_NOT_FINITE);
    check_contains(error.message, "'v'");
    rig_close(&rig);
}

/* An ordinary program lets the numbers pass, to be seen in its results. */
static void test_ordinary_programs_go_on(void **unused) {
    (void)unused;
    Error error;
    Rig rig;
    open_debug(&rig, RIG_FUSED);
    rig_set(&rig, "x", (double[]){1, 2, -3, 4});
    rig_set(&rig, "z", (double[]){0, 0, 0, 0});
    assert_int_equal(run(&rig, &error), STATUS_OK);
    assert_true(isnan(rig_number(&rig, "y")));
    rig_close(&rig);
}

static void test_sources(void **unused) {
    (void)unused;
    Graph *g = graph_new();
    Node *x = graph_input(g, "x", shape_of(2));
    assert_null(node_line(x));
    assert_null(node_layer(x));
    char line[] = "a.lua:1", layer[] = "generator.1";
    graph_set_source(g, line, layer);
    line[0] = layer[0] = '?'; /* they are copied */
    Node *y = graph_tanh(g, x);
    graph_set_source(g, NULL, NULL);
    assert_string_equal(node_line(y), "a.lua:1");
    assert_string_equal(node_layer(y), "generator.1");
    assert_null(node_line(graph_exp(g, y)));
    assert_null(node_name(y));
    assert_string_equal(node_name(x), "x");
    graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_building),
        cmocka_unit_test(test_first_error_stays),
        cmocka_unit_test(test_equal_expressions),
        cmocka_unit_test(test_many_expressions),
        cmocka_unit_test(test_compiling),
        cmocka_unit_test(test_row_numbers),
        cmocka_unit_test(test_workspace_not_reserved),
        cmocka_unit_test(test_debug_names_the_place),
        cmocka_unit_test(test_ordinary_programs_go_on),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
