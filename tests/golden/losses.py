#!/usr/bin/python3
"""Writes losses.lua: what PyTorch makes of the losses, in double, for tests/lua/nn/test_loss.lua.

    /usr/bin/python3 tests/golden/losses.py > tests/golden/losses.lua

Debian's python3-torch (1.13) is what it was made with. Nothing random: images, weights, noise and the places of
interpolated images are waves that the Lua side computes by the same formula. Of each case there are both losses, the
gradient of D's with respect to D's parameters (first.w, first.b, last.w, then what the case adds), and the gradient
of G's with respect to the generated images.

D is last.w · tanh(first.w · x + first.b); with classes, last.w has a column more for each.
"""
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

BATCH, SIZE, HIDDEN, CLASSES = 3, 2, 3, 3
REAL_LABELS, FAKE_LABELS = torch.tensor([0, 2, 1]), torch.tensor([1, 2, 0])


def wave(stream, shape, middle=0.0, reach=1.0):
    values = [middle + reach * math.sin(0.5 + 1.7 * stream + 0.37 * i + 0.011 * i * i) for i in range(math.prod(shape))]
    return torch.tensor(values).reshape(shape)


IMAGES = (BATCH, SIZE, SIZE, 1)
SHARE = wave(3, (BATCH, 1, 1, 1), 0.5, 0.45)
NOISE = [wave(4, IMAGES), wave(5, IMAGES)]


class Discriminator:
    def __init__(self, outputs=1, projection=False):
        self.parameters = [wave(6, (SIZE * SIZE, HIDDEN), 0, 1.2), wave(7, (HIDDEN,), 0, 0.3),
                           wave(8, (HIDDEN, outputs), 0, 1.5)]
        if projection:
            self.parameters += [wave(9, (1,)), wave(10, (CLASSES, HIDDEN))]
        for parameter in self.parameters:
            parameter.requires_grad_()

    def __call__(self, x, labels):
        first, bias, last, *more = self.parameters
        hidden = torch.tanh(x.reshape(BATCH, -1) @ first + bias)
        output = hidden @ last
        if more:
            output = output + more[0] + (more[1][labels] * hidden).sum(1, keepdim=True)
        return output


def slopes(output, x):
    """The gradient of each sample's output, as rows."""
    return torch.autograd.grad(output.sum(), x, create_graph=True)[0].reshape(BATCH, -1)


def sigmoid_losses(saturating, smoothing=0.0):
    def losses(real, fake):
        d = (F.binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - smoothing))
             + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))
        g = torch.log(1 - torch.sigmoid(fake)).mean() if saturating else -F.logsigmoid(fake).mean()
        return d, g
    return losses


def least_squares(smoothing=0.0):
    def losses(real, fake):
        return (F.mse_loss(real, torch.full_like(real, 1 - smoothing)) / 2 + F.mse_loss(fake, torch.zeros_like(fake)) / 2,
                F.mse_loss(fake, torch.ones_like(fake)) / 2)
    return losses


def hinge(real, fake):
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean(), -fake.mean()


def wasserstein(real, fake):
    return fake.mean() - real.mean(), -fake.mean()


def of_margin(base):
    """What a relativistic margin costs when it should be large, and when it should be small."""
    if base == "non_saturating":
        def large(m, s):
            return F.binary_cross_entropy_with_logits(m, torch.full_like(m, 1 - s))
        return large, lambda m: F.binary_cross_entropy_with_logits(m, torch.zeros_like(m))
    if base == "least_squares":
        return lambda m, s: ((m - 1 + s) ** 2).mean(), lambda m: ((m + 1) ** 2).mean()
    return lambda m, s: F.relu(1 - m).mean(), lambda m: F.relu(1 + m).mean()


def paired(base, smoothing=0.0):
    large, _ = of_margin(base)
    return lambda real, fake: (large(real - fake, smoothing), large(fake - real, 0))


def average(base, smoothing=0.0):
    large, small = of_margin(base)

    def losses(real, fake):
        r, f = real - fake.mean(), fake - real.mean()
        return large(r, smoothing) + small(f), large(f, 0) + small(r)
    return losses


def case(name, losses, outputs=1, projection=False, penalty=None, noise=0.0, auxiliary=0.0):
    D = Discriminator(outputs, projection)
    real, fake = wave(1, IMAGES, 0, 0.8).requires_grad_(), wave(2, IMAGES, 0, 0.8).requires_grad_()
    seen_real, seen_fake = real + noise * NOISE[0], fake + noise * NOISE[1]
    out_real, out_fake = D(seen_real, REAL_LABELS), D(seen_fake, FAKE_LABELS)
    d, g = losses(out_real[:, :1], out_fake[:, :1])
    if penalty:
        point = (SHARE * seen_real + (1 - SHARE) * seen_fake).detach().requires_grad_()
        norm = slopes(D(point, REAL_LABELS)[:, :1], point).norm(dim=1)
        d = d + penalty(slopes(out_real[:, :1], real), slopes(out_fake[:, :1], fake), norm)
    if auxiliary:
        on_fake = F.cross_entropy(out_fake[:, 1:], FAKE_LABELS)
        d = d + auxiliary * (F.cross_entropy(out_real[:, 1:], REAL_LABELS) + on_fake)
        g = g + auxiliary * on_fake
    of_d = torch.autograd.grad(d, D.parameters, retain_graph=True)
    of_g, = torch.autograd.grad(g, fake)
    numbers = [d, g] + [value for tensor in (*of_d, of_g) for value in tensor.reshape(-1)]
    print(f'    ["{name}"] = {{{", ".join(f"{float(number):.13g}" for number in numbers)}}},')


print("-- Made by losses.py: PyTorch's numbers. D's loss, G's loss, gradients of D's loss, gradient of G's loss.")
print("return {")
case("minimax", sigmoid_losses(True))
case("non_saturating", sigmoid_losses(False))
case("non_saturating smoothing", sigmoid_losses(False, 0.1))
case("least_squares", least_squares())
case("least_squares smoothing", least_squares(0.1))
case("hinge", hinge)
case("wasserstein", wasserstein)
for base in ("non_saturating", "least_squares", "hinge"):
    case(f"paired {base}", paired(base))
    case(f"average {base}", average(base))
case("paired smoothing", paired("least_squares", 0.2))
case("average smoothing", average("non_saturating", 0.2))
case("r1", sigmoid_losses(False), penalty=lambda real, fake, norm: 0.7 / 2 * (real ** 2).sum(1).mean())
case("r2", sigmoid_losses(False), penalty=lambda real, fake, norm: 0.7 / 2 * (fake ** 2).sum(1).mean())
case("r1 and r2", paired("non_saturating"),
     penalty=lambda real, fake, norm: 0.7 / 2 * (real ** 2).sum(1).mean() + 0.3 / 2 * (fake ** 2).sum(1).mean())
case("gradient_penalty", wasserstein, penalty=lambda real, fake, norm: 10 * ((norm - 1) ** 2).mean())
case("gradient_penalty one_sided", wasserstein, penalty=lambda real, fake, norm: 10 * (F.relu(norm - 5) ** 2).mean())
case("noise", hinge, noise=0.3, penalty=lambda real, fake, norm: 2 * ((norm - 1) ** 2).mean())
case("auxiliary", sigmoid_losses(False), outputs=1 + CLASSES, auxiliary=0.6,
     penalty=lambda real, fake, norm: 0.5 / 2 * (real ** 2).sum(1).mean())
case("projection", hinge, projection=True, penalty=lambda real, fake, norm: 0.5 * ((norm - 1) ** 2).mean())
print("}")
