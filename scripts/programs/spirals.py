#!/usr/bin/env python3
"""A small trainer in Python with numpy, as a member of a Brood population: a network of two hidden layers learns to
tell two interleaved spirals apart. Hyperparameters: lr, momentum, weight_decay."""

import numpy as np

import member

WIDTH, BATCH, TURNS = 32, 64, 1.5


def spirals(count, seed):
    """Points (count, 2) on two spirals, with a little noise, and which of the two each is on (count, 1)."""
    rng = np.random.default_rng(seed)
    label = np.arange(count)[:, None] % 2
    radius = np.sqrt(rng.uniform(0.02, 1, (count, 1)))
    angle = 2 * np.pi * TURNS * radius + np.pi * label
    return radius * np.hstack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.02, (count, 2)), label


TRAINING, TESTING = spirals(2000, 1), spirals(1000, 2)


class Trainer:
    reports = ["loss"]

    def __init__(self, seed, slot, hyper):
        self.seed, self.slot = seed, slot
        rng = np.random.default_rng([seed, slot])
        sizes = [(2, WIDTH), (WIDTH, WIDTH), (WIDTH, 1)]
        self.weights = [rng.normal(0, np.sqrt(2 / size[0]), size) for size in sizes]
        self.weights += [np.zeros((1, size[1])) for size in sizes]
        self.velocity = [np.zeros_like(weight) for weight in self.weights]
        self.set(hyper)

    def set(self, hyper):
        self.lr, self.momentum, self.decay = hyper["lr"], hyper["momentum"], hyper["weight_decay"]
        return {"lr": self.lr, "momentum": self.momentum, "weight_decay": self.decay}

    def forward(self, x):
        layers = [x]
        for i in range(3):
            x = x @ self.weights[i] + self.weights[3 + i]
            x = np.tanh(x) if i < 2 else x
            layers.append(x)
        return layers

    def step(self, first, steps):
        rng = np.random.default_rng([self.seed, self.slot, first])  # another stream for each interval
        for _ in range(steps):
            pick = rng.integers(0, len(TRAINING[0]), BATCH)
            layers = self.forward(TRAINING[0][pick])
            slope = (1 / (1 + np.exp(-layers[3])) - TRAINING[1][pick]) / BATCH
            slopes = [None] * 6
            for i in (2, 1, 0):
                slopes[i], slopes[3 + i] = layers[i].T @ slope, slope.sum(axis=0, keepdims=True)
                slope = slope @ self.weights[i].T * (1 - layers[i] ** 2)
            for weight, velocity, change in zip(self.weights, self.velocity, slopes):
                velocity *= self.momentum
                velocity -= self.lr * (change + self.decay * weight)
                weight += velocity

    def score(self):
        logit, label = self.forward(TESTING[0])[3], TESTING[1]
        right = float(np.mean((logit > 0) == label))
        loss = float(np.mean(np.logaddexp(0, logit) - label * logit))
        return {"score": right, "deviation": float(np.sqrt(right * (1 - right) / len(label))),
                "reports": {"loss": loss}}

    def save(self, path):
        with open(path, "wb") as file:  # given a name, numpy would add an ending to it
            for array in self.weights + self.velocity:
                np.save(file, array)

    def load(self, path):
        with open(path, "rb") as file:
            arrays = [np.load(file) for _ in range(12)]
        self.weights, self.velocity = arrays[:6], arrays[6:]


if __name__ == "__main__":
    member.serve(Trainer)
