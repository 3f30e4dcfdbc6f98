#include "gan/initializer.h"

#include "base/memory.h"
#include "base/random.h"

const char *initializer_text(InitializerKind kind) {
    static const char *const TEXT[INITIALIZER_KINDS] = {"constant", "normal", "uniform", "orthogonal"};
    return TEXT[kind];
}

static void fill_constant(double number, size_t count, real *numbers) {
    for (size_t i = 0; i < count; i++) numbers[i] = (real)number;
}

static void fill_normal(double deviation, size_t count, uint64_t key, real *numbers) {
    random_normal(key, 0, 0, count, numbers);
    for (size_t i = 0; i < count; i++) numbers[i] *= (real)deviation;
}

static void fill_uniform(double bound, size_t count, uint64_t key, real *numbers) {
    random_uniform(key, 0, 0, count, numbers);
    for (size_t i = 0; i < count; i++) numbers[i] = (2 * numbers[i] - 1) * (real)bound;
}

/* LAPACK, as OpenBLAS exports it: the factors of A = Q·R, and Q itself. Column-major. */
void dgeqrf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work,
             const int *lwork, int *info);
void dorgqr_(const int *m, const int *n, const int *k, double *a, const int *lda, const double *tau,
             double *work, const int *lwork, int *info);

/* Q of a normal matrix's QR factors, each column turned so that R's diagonal is positive, is uniform among
 * the matrices with orthonormal columns (Mezzadri 2007, "How to generate random matrices from the classical
 * compact groups"). `a` (tall × wide, column-major) is normal numbers at first, and Q in the end; `work`
 * takes 3 · wide. */
static void make_orthonormal(int tall, int wide, double *a, double *work) {
    double *tau = work, *sign = work + wide, *room = work + 2 * wide;
    int info;
    dgeqrf_(&tall, &wide, a, &tall, tau, room, &wide, &info);
    size_t rows = (size_t)tall, columns = (size_t)wide;
    for (size_t j = 0; j < columns; j++) sign[j] = a[j + j * rows] < 0 ? -1 : 1;
    dorgqr_(&tall, &wide, &wide, a, &tall, tau, room, &wide, &info);
    for (size_t j = 0; j < columns; j++)
        for (size_t i = 0; i < rows; i++) a[i + j * rows] *= sign[j];
}

static Status fill_orthogonal(double gain, Shape shape, uint64_t key, real *numbers, Error *error) {
    size_t count = (size_t)shape_count(shape), columns = shape.rank ? (size_t)shape.size[shape.rank - 1] : 1;
    size_t rows = count / columns, tall = rows > columns ? rows : columns, wide = count / tall;
    double *a = memory_new(count + 3 * wide, sizeof *a);
    if (!a || tall > INT32_MAX) {
        memory_free(a);
        return error_no_memory(error, "an orthogonal matrix");
    }
    for (size_t i = 0; i < count; i++) a[i] = random_normal_at(key, 0, i);
    make_orthonormal((int)tall, (int)wide, a, a + count);
    /* Tall column-major is wide row-major: where rows are the longer side, Q is read transposed. */
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            numbers[i * columns + j] = (real)(gain * (rows >= columns ? a[i + j * tall] : a[j + i * tall]));
    memory_free(a);
    return STATUS_OK;
}

Status initializer_fill(Initializer initializer, Shape shape, uint64_t key, real *numbers, Error *error) {
    size_t count = (size_t)shape_count(shape);
    switch (initializer.kind) {
    case INITIALIZER_NORMAL: fill_normal(initializer.number, count, key, numbers); break;
    case INITIALIZER_UNIFORM: fill_uniform(initializer.number, count, key, numbers); break;
    case INITIALIZER_ORTHOGONAL: return fill_orthogonal(initializer.number, shape, key, numbers, error);
    default: fill_constant(initializer.number, count, numbers);
    }
    return STATUS_OK;
}
