#!/usr/bin/env python3
"""Writes oracle_values.inc: what NumPy, SciPy and scikit-learn make of rows that rows.h can make again.

    /usr/bin/python3 tests/metrics/oracle.py > tests/metrics/oracle_values.inc

Needs Debian's python3-scipy and python3-sklearn. Only for who changes the cases: tests read the header.
"""
import numpy as np
import scipy.linalg
import scipy.special
import scipy.stats
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import polynomial_kernel

KINDS = ["ROWS_PLAIN", "ROWS_REPEATED_COLUMNS", "ROWS_CONSTANT_COLUMNS", "ROWS_CONSTANT", "ROWS_FADING", "ROWS_GRID"]

# kind of x, kind of y, rows of x, rows of y, columns, k, scale of y, shift of y
PAIRS = [
    (0, 0, 2, 2, 1, 1, 1.0, 0.5),
    (0, 0, 30, 40, 3, 2, 1.2, 0.25),
    (0, 0, 97, 131, 10, 3, 0.8, 0.125),
    (0, 0, 300, 260, 64, 5, 1.1, 0.0),
    (0, 0, 700, 500, 33, 7, 1.0, 0.0625),
    (0, 0, 257, 256, 17, 255, 1.0, 0.0),
    (0, 0, 20, 30, 50, 4, 1.3, 0.25),       # fewer rows than features
    (0, 0, 200, 30, 50, 4, 1.0, 0.25),      # of one set only
    (1, 0, 100, 90, 8, 3, 1.1, 0.125),      # rank 3 against full rank
    (1, 1, 100, 90, 8, 3, 1.1, 0.125),
    (2, 0, 80, 90, 12, 3, 1.0, 0.125),
    (2, 2, 500, 400, 24, 3, 1.1, 0.0),
    (3, 0, 20, 25, 6, 3, 1.0, 0.25),        # constant rows
    (3, 3, 20, 25, 6, 3, 1.0, 0.25),
    (4, 4, 200, 150, 20, 3, 1.1, 0.0),      # variances from 1 to 2^-38
    (5, 5, 60, 50, 1, 4, 2.0, 0.0),         # integers: equal rows and equal distances in plenty
    (5, 5, 300, 310, 3, 3, 2.0, 0.0),
    (0, 0, 5000, 5000, 128, 5, 1.05, 0.03125),
]

# rows, classes, splits, scale
LOGITS = [(2, 2, 1, 3.0), (40, 3, 7, 2.0), (333, 10, 10, 6.0), (500, 100, 4, 30.0), (1000, 10, 3, 1500.0)]

LABELS = [(100, 10, 3), (1000, 37, 20), (26000, 1000, 1000)]  # samples, classes, classes that occur


def bells(count, seed):
    """Sums of four uniforms of the generator, and its state after them."""
    out = np.empty(count)
    for i in range(count):
        total = 0.0
        for part in range(4):
            seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
            total = total + (seed >> 11) * 2.0**-53
        out[i] = total - 2
    return out


def filled(rows, columns, seed, scale, shift):
    stretched = scale * (1 + np.arange(columns) / columns)
    return bells(rows * columns, seed).reshape(rows, columns) * stretched + shift


def shaped(x, kind):
    if kind == 1:
        x = x[:, np.arange(x.shape[1]) % 3]
    if kind == 2:
        x = x.copy()
        x[:, 1::2] = 0.5
    if kind == 3:
        x = np.repeat(x[:1], len(x), axis=0)
    if kind == 4:
        x = x * 0.5 ** np.arange(x.shape[1])
    if kind == 5:
        x = np.floor(2 * x)
    return x


def frechet(x, y):
    """tr((C1 C2)^1/2) is the sum of the singular values of X'ᵀ·Y' over the roots of rows − 1, for centered rows X'
    and Y'; a QR decomposition first keeps that small. No covariance is formed, so rank does not matter."""
    a, b = x - x.mean(0), y - y.mean(0)
    product = np.linalg.qr(a, mode="r") @ np.linalg.qr(b, mode="r").T
    trace = np.linalg.svd(product, compute_uv=False).sum() / np.sqrt((len(x) - 1) * (len(y) - 1))
    means = ((x.mean(0) - y.mean(0)) ** 2).sum()
    c, d = np.atleast_2d(np.cov(x.T)), np.atleast_2d(np.cov(y.T))
    result = means + np.trace(c) + np.trace(d) - 2 * trace
    if np.linalg.matrix_rank(c) == np.linalg.matrix_rank(d) == len(c):
        usual = means + np.trace(c) + np.trace(d) - 2 * np.trace(scipy.linalg.sqrtm(c @ d)).real
        assert abs(usual - result) <= 1e-9 * abs(usual), (usual, result)
    return result, means


def kernel(x, y):
    """The distance is a small difference of large means: small sets are summed in extended precision, the others as
    scikit-learn does."""
    if len(x) <= 1000:
        x, y = x.astype(np.longdouble), y.astype(np.longdouble)
        kxx, kyy, kxy = (((a @ b.T) / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    else:
        kxx, kyy, kxy = (polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    unbiased = ((kxx.sum() - np.trace(kxx)) / (n * (n - 1)) + (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
                - 2 * kxy.mean())
    return unbiased, kxx.mean() + kyy.mean() - 2 * kxy.mean()


def prdc(x, y, k, inner, outer):
    """inner: how ties count for precision and recall; outer: for density and coverage."""
    rx = np.partition(cdist(x, x) + np.diag([np.inf] * len(x)), k - 1)[:, k - 1]
    ry = np.partition(cdist(y, y) + np.diag([np.inf] * len(y)), k - 1)[:, k - 1]
    d = cdist(x, y)
    return (inner(d, rx[:, None]).any(0).mean(), inner(d, ry[None, :]).any(1).mean(),
            outer(d, rx[:, None]).sum(0).mean() / k, outer(d.min(1), rx).mean())


def memorization(training, held_out, generated):
    g, h = cdist(generated, training).min(1), cdist(held_out, training).min(1)
    near = np.quantile(h, 0.01)
    return np.median(g), g.mean(), np.median(h), h.mean(), near, (g < near).mean()


def classifier_score(logits):
    log_p = scipy.special.log_softmax(logits, axis=1)
    p = np.exp(log_p)
    return np.exp(np.mean([scipy.stats.entropy(row, p.mean(0)) for row in p]))


def numbers(*values):
    return ", ".join("%.17g" % value for value in values)


def pair_line(index, pair):
    kx, ky, nx, ny, columns, k, scale, shift = pair
    x = shaped(filled(nx, columns, 1000 + index, 1.0, 0.0), kx)
    y = shaped(filled(ny, columns, 2000 + index, scale, shift), ky)
    held_out = shaped(filled(ny, columns, 3000 + index, 1.0, 0.0), kx)
    deficient = (min(nx, ny) <= columns or max(kx, ky) > 0 and kx != 4)
    original = prdc(x, y, k, np.less_equal, np.less)
    out = prdc(x, y, k, np.less, np.less)
    into = prdc(x, y, k, np.less_equal, np.less_equal)
    return "    {%s, %s, %d, %d, %d, %d, %s, %s,\n     %s, %s,\n     {{%s},\n      {%s},\n      {%s}},\n     {%s}}," % (
        KINDS[kx], KINDS[ky], nx, ny, columns, k, numbers(scale, shift), "true" if deficient else "false",
        numbers(*frechet(x, y)), numbers(*kernel(x, y)), numbers(*original), numbers(*out), numbers(*into),
        numbers(*memorization(x, held_out, y)))


def logits_line(index, case):
    rows, classes, splits, scale = case
    logits = filled(rows, classes, 4000 + index, scale, 0.0)
    bounds = [k * rows // splits for k in range(splits + 1)]
    scores = [classifier_score(logits[a:b]) for a, b in zip(bounds, bounds[1:])]
    return "    {%d, %d, %d, %s}," % (
        rows, classes, splits, numbers(scale, classifier_score(logits), np.mean(scores), np.std(scores)))


def labels_line(index, case):
    samples, classes, occurring = case
    uniforms = bells(samples, 5000 + index) + 2  # 0 .. 4
    labels = np.minimum((uniforms / 4 * occurring).astype(int), occurring - 1)
    counts = np.bincount(labels, minlength=classes)
    entropy = scipy.stats.entropy(counts)
    variation = abs(counts / samples - 1 / classes).sum() / 2
    return "    {%d, %d, %d, %d, %s}," % (
        samples, classes, occurring, (counts > 0).sum(), numbers(entropy, np.log(classes) - entropy, variation))


def main():
    print("/* Written by oracle.py; see there for what the columns are. */")
    print("static const PairCase PAIRS[] = {")
    for index, pair in enumerate(PAIRS):
        print(pair_line(index, pair))
    print("};\n\nstatic const LogitsCase LOGITS[] = {")
    for index, case in enumerate(LOGITS):
        print(logits_line(index, case))
    print("};\n\nstatic const LabelsCase LABELS[] = {")
    for index, case in enumerate(LABELS):
        print(labels_line(index, case))
    print("};")


main()
