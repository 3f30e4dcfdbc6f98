#!/usr/bin/env python3
"""Ten steps of PyTorch's optimizers, in double, on the problem of tests/gan/test_optimizer.c.

    python3 tests/gan/optimizer_golden.py > tests/gan/optimizer_golden.h

The committed numbers are from PyTorch 1.13."""
import torch

COUNT, STEPS = 37, 10

CASES = [  # name, PyTorch's optimizer, the members of OptimizerSettings that say the same
    ("sgd", lambda p: torch.optim.SGD(p, lr=0.1),
     ".kind = OPTIMIZER_SGD, .lr = 0.1"),
    ("sgd_momentum", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
     ".kind = OPTIMIZER_SGD, .lr = 0.05, .momentum = 0.9"),
    ("sgd_nesterov", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
     ".kind = OPTIMIZER_SGD, .lr = 0.05, .momentum = 0.9, .nesterov = 1"),
    ("adam", lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.9, 0.999), eps=1e-8),
     ".kind = OPTIMIZER_ADAM, .lr = 0.02, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8"),
    ("adam_gan", lambda p: torch.optim.Adam(p, lr=0.03, betas=(0.0, 0.9), eps=1e-3),
     ".kind = OPTIMIZER_ADAM, .lr = 0.03, .beta1 = 0, .beta2 = 0.9, .epsilon = 1e-3"),
    ("adamw", lambda p: torch.optim.AdamW(p, lr=0.02, betas=(0.5, 0.99), eps=1e-8, weight_decay=0.3),
     ".kind = OPTIMIZER_ADAM, .lr = 0.02, .beta1 = 0.5, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.3"),
    ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, eps=1e-8),
     ".kind = OPTIMIZER_RMSPROP, .lr = 0.01, .decay = 0.99, .epsilon = 1e-8"),
    ("rmsprop_momentum", lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-4, momentum=0.8),
     ".kind = OPTIMIZER_RMSPROP, .lr = 0.01, .decay = 0.9, .epsilon = 1e-4, .momentum = 0.8"),
]


def start(i):
    return (i * 37 + 11) % 101 / 50 - 1


def gradient(p, i, step):
    target, curvature = (i * 53 + 29) % 97 / 48 - 1, 0.1 + i % 7 * 0.4
    return curvature * (p - target) + 0.05 * ((i + 3 * step) % 5 - 2)


def run(make):
    p = torch.tensor([start(i) for i in range(COUNT)], dtype=torch.float64, requires_grad=True)
    optimizer = make([p])
    for step in range(1, STEPS + 1):
        p.grad = torch.tensor([gradient(x, i, step) for i, x in enumerate(p.tolist())], dtype=torch.float64)
        optimizer.step()
    return p.tolist()


print("""/* Made by tests/gan/optimizer_golden.py: parameters after ten steps of PyTorch's optimizers. */
#ifndef BROOD_TESTS_OPTIMIZER_GOLDEN_H
#define BROOD_TESTS_OPTIMIZER_GOLDEN_H

#include "gan/optimizer.h"

/* clang-format off */
static const struct {
    const char *name;
    OptimizerSettings settings;
    double p[37];
} GOLDEN[] = {""")
for name, make, settings in CASES:
    numbers = [f"{x:.17g}" for x in run(make)]
    print(f'    {{"{name}", {{{settings}}}, {{')
    for i in range(0, COUNT, 4):
        print("        " + ", ".join(numbers[i:i + 4]) + ",")
    print("    }},")
print("};\n/* clang-format on */\n\n#endif")
