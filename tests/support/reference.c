#include "tests/support/reference.h"

#include <assert.h>
#include <math.h>

int64_t tensor_count(const Tensor *tensor) {
    return shape_count(tensor->shape);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

double reference_identity(double a) {
    return a;
}

double reference_square(double a) {
    return a * a;
}

double reference_negate(double a) {
    return -a;
}

double reference_sigmoid(double a) {
    return 1 / (1 + exp(-a));
}

double reference_softplus(double a) {
    return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a));
}

double reference_step(double a) {
    return isnan(a) ? a : a > 0;
}

double reference_relu(double a) {
    return a < 0 ? 0 : a;
}

double reference_plus(double a, double b) {
    return a + b;
}

double reference_minus(double a, double b) {
    return a - b;
}

double reference_times(double a, double b) {
    return a * b;
}

double reference_over(double a, double b) {
    return a / b;
}

/* ---- walking a tensor ---------------------------------------------------------------------------------- */

typedef struct {
    int64_t at[SHAPE_AXES];
} Index;

/* Steps to the next index in row-major order; false after the last one. */
static bool next(Shape shape, Index *index) {
    for (int axis = shape.rank - 1; axis >= 0; axis--) {
        if (++index->at[axis] < shape.size[axis]) return true;
        index->at[axis] = 0;
    }
    return false;
}

static int64_t offset(Shape shape, Index index) {
    int64_t result = 0;
    for (int axis = 0; axis < shape.rank; axis++) result = result * shape.size[axis] + index.at[axis];
    return result;
}

static void zeros(Tensor *y, Shape shape) {
    assert(shape_count(shape) <= TENSOR_ROOM);
    y->shape = shape;
    for (int64_t i = 0; i < TENSOR_ROOM; i++) y->data[i] = 0;
}

/* ---- elementwise, reductions, movement ----------------------------------------------------------------- */

void reference_unary(Tensor *y, const Tensor *a, double (*f)(double)) {
    y->shape = a->shape;
    for (int64_t i = 0; i < tensor_count(a); i++) y->data[i] = f(a->data[i]);
}

void reference_binary(Tensor *y, const Tensor *a, const Tensor *b, double (*f)(double, double)) {
    y->shape = a->shape.rank ? a->shape : b->shape;
    for (int64_t i = 0; i < tensor_count(y); i++)
        y->data[i] = f(a->data[a->shape.rank ? i : 0], b->data[b->shape.rank ? i : 0]);
}

void reference_fold(Tensor *y, const Tensor *a, unsigned axes, double start, double (*f)(double, double)) {
    Shape shape = a->shape;
    for (int axis = 0; axis < shape.rank; axis++)
        if (axes >> axis & 1) shape.size[axis] = 1;
    zeros(y, shape);
    for (int64_t i = 0; i < tensor_count(y); i++) y->data[i] = start;
    Index from = {{0}};
    do {
        Index to = from;
        for (int axis = 0; axis < shape.rank; axis++)
            if (axes >> axis & 1) to.at[axis] = 0;
        double *target = &y->data[offset(shape, to)];
        *target = f(*target, a->data[offset(a->shape, from)]);
    } while (next(a->shape, &from));
}

void reference_fold_all(Tensor *y, const Tensor *a, double start, double (*f)(double, double)) {
    zeros(y, shape_scalar());
    y->data[0] = start;
    for (int64_t i = 0; i < tensor_count(a); i++) y->data[0] = f(y->data[0], a->data[i]);
}

void reference_scale(Tensor *y, double factor) {
    for (int64_t i = 0; i < tensor_count(y); i++) y->data[i] *= factor;
}

void reference_expand(Tensor *y, const Tensor *a, Shape shape) {
    zeros(y, shape);
    Index to = {{0}};
    do {
        Index from = to;
        for (int axis = 0; axis < a->shape.rank; axis++)
            if (a->shape.size[axis] == 1) from.at[axis] = 0;
        y->data[offset(shape, to)] = a->data[offset(a->shape, from)];
    } while (next(shape, &to));
}

void reference_reshape(Tensor *y, const Tensor *a, Shape shape) {
    *y = *a;
    y->shape = shape;
}

void reference_permute(Tensor *y, const Tensor *a, const int *order) {
    Shape shape = {.rank = a->shape.rank};
    for (int axis = 0; axis < shape.rank; axis++) shape.size[axis] = a->shape.size[order[axis]];
    zeros(y, shape);
    Index to = {{0}};
    do {
        Index from = {{0}};
        for (int axis = 0; axis < shape.rank; axis++) from.at[order[axis]] = to.at[axis];
        y->data[offset(shape, to)] = a->data[offset(a->shape, from)];
    } while (next(shape, &to));
}

void reference_slice(Tensor *y, const Tensor *a, const int64_t *first, const int64_t *count) {
    zeros(y, shape_make(a->shape.rank, count));
    Index to = {{0}};
    do {
        Index from = to;
        for (int axis = 0; axis < a->shape.rank; axis++) from.at[axis] += first[axis];
        y->data[offset(y->shape, to)] = a->data[offset(a->shape, from)];
    } while (next(y->shape, &to));
}

void reference_pad(Tensor *y, const Tensor *a, const int64_t *before, const int64_t *after) {
    Shape shape = a->shape;
    for (int axis = 0; axis < shape.rank; axis++) shape.size[axis] += before[axis] + after[axis];
    zeros(y, shape);
    Index from = {{0}};
    do {
        Index to = from;
        for (int axis = 0; axis < shape.rank; axis++) to.at[axis] += before[axis];
        y->data[offset(shape, to)] = a->data[offset(a->shape, from)];
    } while (next(a->shape, &from));
}

void reference_concat(Tensor *y, const Tensor *const *parts, size_t count, int axis) {
    Shape shape = parts[0]->shape;
    for (size_t part = 1; part < count; part++) shape.size[axis] += parts[part]->shape.size[axis];
    zeros(y, shape);
    int64_t before = 0;
    for (size_t part = 0; part < count; part++) {
        Index from = {{0}};
        do {
            Index to = from;
            to.at[axis] += before;
            y->data[offset(shape, to)] = parts[part]->data[offset(parts[part]->shape, from)];
        } while (next(parts[part]->shape, &from));
        before += parts[part]->shape.size[axis];
    }
}

void reference_upsample(Tensor *y, const Tensor *a, int64_t factor) {
    Shape shape = a->shape;
    shape.size[1] *= factor;
    shape.size[2] *= factor;
    zeros(y, shape);
    Index to = {{0}};
    do {
        Index from = to;
        from.at[1] /= factor;
        from.at[2] /= factor;
        y->data[offset(shape, to)] = a->data[offset(a->shape, from)];
    } while (next(shape, &to));
}

void reference_poolsum(Tensor *y, const Tensor *a, int64_t factor) {
    Shape shape = a->shape;
    shape.size[1] /= factor;
    shape.size[2] /= factor;
    zeros(y, shape);
    Index from = {{0}};
    do {
        Index to = from;
        to.at[1] /= factor;
        to.at[2] /= factor;
        y->data[offset(shape, to)] += a->data[offset(a->shape, from)];
    } while (next(a->shape, &from));
}

/* ---- lookup and linear algebra ------------------------------------------------------------------------- */

void reference_gather(Tensor *y, const Tensor *table, const Tensor *index) {
    Shape shape = index->shape;
    for (int axis = 1; axis < table->shape.rank; axis++) shape.size[shape.rank++] = table->shape.size[axis];
    zeros(y, shape);
    int64_t row = tensor_count(table) / table->shape.size[0];
    for (int64_t i = 0; i < tensor_count(index); i++)
        for (int64_t j = 0; j < row; j++)
            y->data[i * row + j] = table->data[(int64_t)index->data[i] * row + j];
}

void reference_scatter(Tensor *y, const Tensor *values, const Tensor *index, int64_t rows) {
    Shape shape = {.rank = 1, .size = {rows}};
    for (int axis = index->shape.rank; axis < values->shape.rank; axis++)
        shape.size[shape.rank++] = values->shape.size[axis];
    zeros(y, shape);
    int64_t row = shape_count(shape) / rows;
    for (int64_t i = 0; i < tensor_count(index); i++)
        for (int64_t j = 0; j < row; j++)
            y->data[(int64_t)index->data[i] * row + j] += values->data[i * row + j];
}

void reference_matmul(Tensor *y, const Tensor *a, const Tensor *b, bool transpose_a, bool transpose_b) {
    bool batched = a->shape.rank == 3;
    const int64_t *a_size = a->shape.size + batched, *b_size = b->shape.size + batched;
    int64_t batch = batched ? a->shape.size[0] : 1;
    int64_t m = a_size[transpose_a ? 1 : 0], k = a_size[transpose_a ? 0 : 1], n = b_size[transpose_b ? 0 : 1];
    zeros(y, batched ? shape_of(batch, m, n) : shape_of(m, n));
    for (int64_t s = 0; s < batch; s++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                for (int64_t l = 0; l < k; l++)
                    y->data[(s * m + i) * n + j] +=
                        a->data[s * m * k + (transpose_a ? l * m + i : i * k + l)] *
                        b->data[s * k * n + (transpose_b ? j * k + l : l * n + j)];
}

/* ---- convolution --------------------------------------------------------------------------------------- */

/* All terms x·w·y of the trilinear form: `visit` gets the offsets of one term's three factors. */
typedef struct {
    double *x, *w, *y;
    void (*visit)(double *x, double *w, double *y);
} Form;

static void into_x(double *x, double *w, double *y) {
    *x += *w * *y;
}

static void into_w(double *x, double *w, double *y) {
    *w += *x * *y;
}

static void into_y(double *x, double *w, double *y) {
    *y += *x * *w;
}

static void form_visit(Form form, Shape xs, Shape ws, Shape ys, int64_t stride, int64_t pad) {
    Shape loops = {.rank = 7}; /* b, i, j, cy, di, dj, cx */
    for (int axis = 0; axis < 4; axis++) loops.size[axis] = ys.size[axis];
    for (int axis = 0; axis < 3; axis++) loops.size[4 + axis] = ws.size[axis];
    Index loop = {{0}};
    do {
        const int64_t *l = loop.at;
        Index x = {{l[0], l[1] * stride + l[4] - pad, l[2] * stride + l[5] - pad, l[6]}};
        Index w = {{l[4], l[5], l[6], l[3]}};
        Index y = {{l[0], l[1], l[2], l[3]}};
        if (x.at[1] < 0 || x.at[1] >= xs.size[1] || x.at[2] < 0 || x.at[2] >= xs.size[2]) continue;
        form.visit(form.x + offset(xs, x), form.w + offset(ws, w), form.y + offset(ys, y));
    } while (next(loops, &loop));
}

void reference_conv_y(Tensor *y, const Tensor *x, const Tensor *w, int64_t stride, int64_t pad) {
    Shape xs = x->shape, ws = w->shape;
    zeros(y, shape_of(xs.size[0], (xs.size[1] + 2 * pad - ws.size[0]) / stride + 1,
                      (xs.size[2] + 2 * pad - ws.size[1]) / stride + 1, ws.size[3]));
    form_visit((Form){(double *)x->data, (double *)w->data, y->data, into_y}, xs, ws, y->shape, stride, pad);
}

void reference_conv_x(Tensor *x, const Tensor *y, const Tensor *w, int64_t stride, int64_t pad, Shape shape) {
    zeros(x, shape);
    form_visit((Form){x->data, (double *)w->data, (double *)y->data, into_x}, shape, w->shape, y->shape,
               stride, pad);
}

void reference_conv_w(Tensor *w, const Tensor *x, const Tensor *y, int64_t stride, int64_t pad, Shape shape) {
    zeros(w, shape);
    form_visit((Form){(double *)x->data, w->data, (double *)y->data, into_w}, x->shape, shape, y->shape,
               stride, pad);
}
