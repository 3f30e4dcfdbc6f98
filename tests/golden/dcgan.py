#!/usr/bin/python3
"""Writes dcgan.inc: what PyTorch makes of a small DCGAN's training, in double, for tests/graph/test_golden.c.

    /usr/bin/python3 tests/golden/dcgan.py > tests/golden/dcgan.inc

Debian's python3-torch is what it was made with. Nothing random: inputs and initial parameters are waves that the
C side computes by the same formula. All tensors are written in Brood's layouts: images (batch, height, width,
channels), weights (kernel height, kernel width, x channels, y channels), where x is the larger image.
"""
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

BATCH, LATENT, WIDTH, CHANNELS, SIZE, STEPS = 8, 8, 4, 2, 16, 10
G_RATE, D_RATE, BETAS, EPSILON = 2e-3, 1e-3, (0.5, 0.999), 1e-8
SLOPE, PENALTY, R1 = 0.2, 10.0, 3.0

# (name, shape in Brood's layout), in the order of the networks' parameters
G_SHAPES = [("G.1.w", (4, 4, 2 * WIDTH, LATENT)), ("G.1.norm.s", (2 * WIDTH,)), ("G.1.norm.b", (2 * WIDTH,)),
            ("G.2.w", (4, 4, WIDTH, 2 * WIDTH)), ("G.2.norm.s", (WIDTH,)), ("G.2.norm.b", (WIDTH,)),
            ("G.3.w", (4, 4, CHANNELS, WIDTH))]
D_SHAPES = [("D.1.w", (4, 4, CHANNELS, WIDTH)), ("D.1.b", (WIDTH,)), ("D.2.w", (4, 4, WIDTH, 2 * WIDTH)),
            ("D.2.norm.s", (2 * WIDTH,)), ("D.2.norm.b", (2 * WIDTH,)),
            ("D.3.w", (4, 4, 2 * WIDTH, 1)), ("D.3.b", (1,))]
PLAIN_D_SHAPES = [s for s in D_SHAPES if "norm" not in s[0]]
PLAIN_D_SHAPES.insert(3, ("D.2.b", (2 * WIDTH,)))


def wave(stream, shape, middle=0.0, reach=1.0):
    count = math.prod(shape)
    values = [middle + reach * math.sin(0.5 + 1.7 * stream + 0.37 * i + 0.011 * i * i) for i in range(count)]
    return torch.tensor(values).reshape(shape)


def initial(shapes, stream):
    """Weights scaled by what they sum over, scales around 1, biases around 0."""
    parameters = {}
    for index, (name, shape) in enumerate(shapes):
        reach = math.sqrt(2.0 * shape[-1] / math.prod(shape)) if name.endswith(".w") else 0.1
        middle = 1.0 if name.endswith(".s") else 0.0
        parameters[name] = wave(stream + index, shape, middle, reach).requires_grad_()
    return parameters


def kernel(w):
    return w.permute(3, 2, 0, 1).contiguous()  # (kh, kw, cx, cy) -> (cy, cx, kh, kw), for both kinds of convolution


def norm(p, name, x, statistics):
    running = statistics and statistics[name]
    mean, variance = running if running else (None, None)
    return F.batch_norm(x, mean, variance, p[name + ".s"], p[name + ".b"], training=True, momentum=0.1, eps=1e-5)


def generator(p, z, statistics):
    x = z.reshape(BATCH, LATENT, 1, 1)
    x = F.relu(norm(p, "G.1.norm", F.conv_transpose2d(x, kernel(p["G.1.w"])), statistics))
    x = F.relu(norm(p, "G.2.norm", F.conv_transpose2d(x, kernel(p["G.2.w"]), stride=2, padding=1), statistics))
    return torch.tanh(F.conv_transpose2d(x, kernel(p["G.3.w"]), stride=2, padding=1))


def discriminator(p, x):
    x = F.leaky_relu(F.conv2d(x, kernel(p["D.1.w"]), p["D.1.b"], stride=2, padding=1), SLOPE)
    x = F.conv2d(x, kernel(p["D.2.w"]), p.get("D.2.b"), stride=2, padding=1)
    x = F.leaky_relu(norm(p, "D.2.norm", x, None) if "D.2.norm.s" in p else x, SLOPE)
    return F.conv2d(x, kernel(p["D.3.w"]), p["D.3.b"]).reshape(BATCH)


def images(stream):
    return wave(stream, (BATCH, SIZE, SIZE, CHANNELS)).permute(0, 3, 1, 2)


def write(name, tensors):
    print("static const GoldenTensor %s[] = {" % name)
    for key, tensor in tensors.items():
        numbers = ["%.13g" % v for v in tensor.detach().reshape(-1).tolist()]
        print('    {"%s", %d, (const double[]){' % (key, len(numbers)))
        for i in range(0, len(numbers), 8):
            print("        %s," % ", ".join(numbers[i:i + 8]))
        print("    }},")
    print("};\n")


def gradients(loss, parameters):
    return dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values()))))


def train():
    g, d = initial(G_SHAPES, 100), initial(D_SHAPES, 200)
    statistics = {"G.1.norm": (torch.zeros(2 * WIDTH), torch.ones(2 * WIDTH)),
                  "G.2.norm": (torch.zeros(WIDTH), torch.ones(WIDTH))}
    optimizers = {"g": torch.optim.Adam(g.values(), G_RATE, BETAS, EPSILON),
                  "d": torch.optim.Adam(d.values(), D_RATE, BETAS, EPSILON)}
    losses = {}

    def update(which, parameters, loss, step):
        optimizers[which].zero_grad()
        found = gradients(loss, parameters)
        if step == 1:
            write("GOLDEN_%s_GRADIENTS" % which.upper(), found)
        for name, parameter in parameters.items():
            parameter.grad = found[name]
        optimizers[which].step()
        losses.setdefault(which, []).append(loss.detach())

    for step in range(1, STEPS + 1):
        real, z1, z2 = images(3 * step), wave(3 * step + 1, (BATCH, LATENT)), wave(3 * step + 2, (BATCH, LATENT))
        fake = generator(g, z1, statistics).detach()
        update("d", d, F.softplus(-discriminator(d, real)).mean() + F.softplus(discriminator(d, fake)).mean(), step)
        update("g", g, F.softplus(-discriminator(d, generator(g, z2, statistics))).mean(), step)
    write("GOLDEN_LOSSES", {name: torch.stack(values) for name, values in losses.items()})
    write("GOLDEN_G_PARAMETERS", g)
    write("GOLDEN_D_PARAMETERS", d)
    write("GOLDEN_STATISTICS", {name + moment: value for name, pair in statistics.items()
                                for moment, value in zip((".mean", ".variance"), pair)})


def penalties():
    """Gradients of the penalties alone, at the initial parameters of a discriminator without batch norm."""
    d = initial(PLAIN_D_SHAPES, 300)
    for name, norm_of in (("GOLDEN_WGAN_GP", lambda n2: PENALTY * (n2.sqrt() - 1).square().mean()),
                          ("GOLDEN_R1", lambda n2: R1 / 2 * n2.mean())):
        x = images(50).detach().requires_grad_()
        slope, = torch.autograd.grad(discriminator(d, x).sum(), x, create_graph=True)
        penalty = norm_of(slope.square().sum((1, 2, 3)))
        found = torch.autograd.grad(penalty, list(d.values()), allow_unused=True)
        tensors = {key: value for key, value in zip(d, found) if value is not None and value.abs().max() > 0}
        write(name, {"penalty": penalty, **tensors})


print("/* Written by tests/golden/dcgan.py with PyTorch %s, in double. */" % torch.__version__)
print("/* clang-format off */")
train()
penalties()
print("/* clang-format on */")
