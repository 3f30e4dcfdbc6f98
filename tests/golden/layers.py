#!/usr/bin/python3
"""Writes layers.lua: what PyTorch makes of each layer, in double, for tests/lua/nn/test_layers_golden.lua.

    /usr/bin/python3 tests/golden/layers.py > tests/golden/layers.lua

Debian's python3-torch is what it was made with. Nothing random: inputs and parameters are waves that the Lua side
computes by the same formula. All tensors are written in Brood's layouts: images (batch, height, width, channels),
weights (kernel height, kernel width, x channels, y channels), where x is the larger image.

For each case: the output y; the gradients of the loss sum(y * wave) with respect to the input and all parameters;
the second gradients, those of half the squared norm of the input's gradient; and the variables after one run.
"""
import math
import types

import torch
import torch.nn.functional as F
from torch.nn.utils.spectral_norm import SpectralNorm

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

CLASSES = 5
LABELS = [2, 5, 2, 1]  # from 1, as in Lua


def wave(stream, shape, middle=0.0, reach=1.0):
    count = math.prod(shape)
    values = [middle + reach * math.sin(0.5 + 1.7 * stream + 0.37 * i + 0.011 * i * i) for i in range(count)]
    return torch.tensor(values).reshape(shape)


# ---- layouts ----------------------------------------------------------------------------------------------------------

def chw(x):
    return x.permute(0, 3, 1, 2)


def hwc(x):
    return x.permute(0, 2, 3, 1)


def kernel(w):
    """(kh, kw, cx, cy) -> (cy, cx, kh, kw), which both kinds of convolution take."""
    return w.permute(3, 2, 0, 1)


# ---- the layers: functions of the input x, the parameters p and the variables v, which they may change ----------------

def linear(x, p, v):
    return F.linear(x, p["weight"].T, p.get("bias"))


def conv(stride, pad):
    return lambda x, p, v: hwc(F.conv2d(chw(x), kernel(p["weight"]), p.get("bias"), stride, pad))


def upconv(stride, pad):
    return lambda x, p, v: hwc(F.conv_transpose2d(chw(x), kernel(p["weight"]), p.get("bias"), stride, pad))


def upsample(x, factor=2):
    return hwc(F.interpolate(chw(x), scale_factor=factor, mode="nearest"))


def avg_pool(x, factor=2):
    return hwc(F.avg_pool2d(chw(x), factor))


def channels_first(x):
    return chw(x) if x.dim() == 4 else x


def channels_last(x):
    return hwc(x) if x.dim() == 4 else x


def batch_norm(training, momentum=0.1):
    def run(x, p, v):
        y = F.batch_norm(channels_first(x), v["mean"], v["var"], p.get("gain"), p.get("bias"), training, momentum, 1e-5)
        return channels_last(y)
    return run


def conditional_batch_norm(training):
    def run(x, p, v):
        index = torch.tensor(LABELS) - 1
        y = batch_norm(training)(x, {}, v)
        gain, bias = F.embedding(index, p["gain"]), F.embedding(index, p["bias"])
        return y * gain[:, None, None, :] + bias[:, None, None, :]
    return run


def instance_norm(x, p, v):
    return hwc(F.instance_norm(chw(x), weight=p["gain"], bias=p["bias"], eps=1e-5))


def layer_norm(x, p, v):
    return channels_last(F.group_norm(channels_first(x), 1, p["gain"], p["bias"], 1e-5))


def pixel_norm(x, p, v):
    return x / torch.sqrt(torch.mean(x ** 2, dim=-1, keepdim=True) + 1e-8)


def spectral(weight, u, dim, training):
    """PyTorch's own spectral norm of a weight in PyTorch's layout. Changes u, (1, n), in training."""
    rows = weight if dim == 0 else weight.transpose(0, dim)
    matrix = rows.reshape(rows.shape[0], -1).detach()
    first = F.normalize(u.detach().reshape(-1).clone(), dim=0)
    holder = types.SimpleNamespace(weight_orig=weight, weight_u=first, weight_v=F.normalize(matrix.T @ first, dim=0))
    result = SpectralNorm("weight", 1, dim, 1e-12).compute_weight(holder, do_power_iteration=training)
    if training:
        u.data.copy_(holder.weight_u.reshape(1, -1))
    return result


def spectral_linear(training):
    return lambda x, p, v: F.linear(x, spectral(p["weight"].T, v["u"], 0, training), p["bias"])


def spectral_conv(x, p, v):
    return hwc(F.conv2d(chw(x), spectral(kernel(p["weight"]), v["u"], 0, True), p["bias"], 1, 1))


def spectral_upconv(x, p, v):
    return hwc(F.conv_transpose2d(chw(x), spectral(kernel(p["weight"]), v["u"], 1, True), p["bias"], 2, 1))


def embedding(x, p, v):
    return F.embedding(x.long() - 1, p["weight"])


def self_attention(x, p, v):
    """SAGAN's formulas (Zhang et al. 2019), with the convolutions of kernel 1 that they speak of."""
    def project(y, name):
        return F.conv2d(y, p[name + ".weight"].T[:, :, None, None])
    y = chw(x)
    n, c, h, w = y.shape
    query, key, value = (project(y, name).flatten(2) for name in ("query", "key", "value"))
    attention = torch.softmax(torch.einsum("ncq,nck->nqk", query, key), dim=2)
    seen = torch.einsum("nqk,nck->ncq", attention, value).reshape(n, -1, h, w)
    return hwc(y + p["gamma"] * project(seen, "out"))


def minibatch_stddev(group):
    """As in progressive growing's minibatch_stddev_layer (Karras et al. 2018)."""
    def run(x, p, v):
        y = channels_first(x)
        rest = y.shape[1:]
        size = min(group, y.shape[0])
        z = y.reshape(size, -1, *rest)
        z = z - z.mean(0, keepdim=True)
        z = torch.sqrt(z.square().mean(0) + 1e-8)
        z = z.mean(list(range(1, z.dim())), keepdim=True)
        z = z.repeat(size, *([1] * len(rest))).expand(-1, 1, *rest[1:])
        return channels_last(torch.cat([y, z], 1))
    return run


def residual(direction, norm=False, spectral_norm=False, shortcut=True):
    def run(x, p, v):
        def convolve(y, name, pad):
            w = kernel(p[name + ".weight"])
            if spectral_norm:
                w = spectral(w, v[name + ".u"], 0, True)
            return F.conv2d(y, w, p[name + ".bias"], 1, pad)

        def bring(y, name):
            part = {end: p[f"{name}.{end}"] for end in ("gain", "bias")} if norm else {}
            state = {end: v[f"{name}.{end}"] for end in ("mean", "var")} if norm else {}
            return chw(batch_norm(True)(hwc(y), part, state)) if norm else y

        up = (lambda y: F.interpolate(y, scale_factor=2, mode="nearest")) if direction == "up" else (lambda y: y)
        down = (lambda y: F.avg_pool2d(y, 2)) if direction == "down" else (lambda y: y)
        y = convolve(up(torch.relu(bring(chw(x), "norm1"))), "conv1", 1)
        y = down(convolve(torch.relu(bring(y, "norm2")), "conv2", 1))
        short = up(chw(x))  # in the order of the papers, where Brood has the cheaper one
        short = down(convolve(short, "shortcut", 0) if shortcut else short)
        return hwc(y + short)
    return run


# ---- the cases --------------------------------------------------------------------------------------------------------

def norm_of(name, channels):
    return {name + ".gain": (channels,), name + ".bias": (channels,)}


def statistics(name, channels):
    return {name + ".mean": (channels,), name + ".var": (channels,)}


def conv_of(name, size, x, y):
    return {name + ".weight": (size, size, x, y), name + ".bias": (y,)}


GAIN = {"gain": (3,), "bias": (3,)}
RUNNING = {"mean": (3,), "var": (3,)}

# name: function, input's shape, parameters' shapes, variables' shapes
CASES = {
    "linear": (linear, (3, 4), {"weight": (4, 2), "bias": (2,)}, {}),
    "linear_no_bias": (linear, (3, 4), {"weight": (4, 2)}, {}),
    "conv": (conv(2, 1), (2, 6, 5, 2), {"weight": (4, 4, 2, 3), "bias": (3,)}, {}),
    "conv_no_bias": (conv(1, 0), (2, 4, 4, 2), {"weight": (3, 3, 2, 2)}, {}),
    "upconv": (upconv(2, 1), (2, 2, 3, 3), {"weight": (4, 4, 2, 3), "bias": (2,)}, {}),
    "upconv_start": (upconv(1, 0), (2, 1, 1, 3), {"weight": (3, 3, 2, 3), "bias": (2,)}, {}),
    "embedding": (embedding, (4,), {"weight": (CLASSES, 3)}, {}),
    "upsample": (lambda x, p, v: upsample(x), (2, 2, 3, 2), {}, {}),
    "upsample_3": (lambda x, p, v: upsample(x, 3), (1, 2, 2, 2), {}, {}),
    "avg_pool": (lambda x, p, v: avg_pool(x), (2, 4, 2, 2), {}, {}),
    "avg_pool_3": (lambda x, p, v: avg_pool(x, 3), (1, 3, 6, 2), {}, {}),
    "global_sum_pool": (lambda x, p, v: x.sum((1, 2)), (2, 3, 2, 2), {}, {}),
    "global_avg_pool": (lambda x, p, v: x.mean((1, 2)), (2, 3, 2, 2), {}, {}),
    "reshape": (lambda x, p, v: x.reshape(2, 2, 3, 2), (2, 12), {}, {}),
    "flatten": (lambda x, p, v: x.flatten(1), (2, 2, 3, 2), {}, {}),
    "relu": (lambda x, p, v: F.relu(x), (3, 4), {}, {}),
    "leaky_relu": (lambda x, p, v: F.leaky_relu(x, 0.2), (3, 4), {}, {}),
    "leaky_relu_slope": (lambda x, p, v: F.leaky_relu(x, 0.3), (3, 4), {}, {}),
    "elu": (lambda x, p, v: F.elu(x), (3, 4), {}, {}),
    "elu_alpha": (lambda x, p, v: F.elu(x, 0.5), (3, 4), {}, {}),
    "swish": (lambda x, p, v: F.silu(x), (3, 4), {}, {}),
    "tanh": (lambda x, p, v: torch.tanh(x), (3, 4), {}, {}),
    "sigmoid": (lambda x, p, v: torch.sigmoid(x), (3, 4), {}, {}),
    "dropout_sampling": (lambda x, p, v: F.dropout(x, 0.5, False), (3, 4), {}, {}),
    "noise_sampling": (lambda x, p, v: x.clone(), (3, 4), {}, {}),
    "batch_norm": (batch_norm(True), (3, 2, 2, 3), GAIN, RUNNING),
    "batch_norm_vectors": (batch_norm(True, 0.25), (5, 3), GAIN, RUNNING),
    "batch_norm_no_affine": (batch_norm(True), (3, 2, 2, 3), {}, RUNNING),
    "batch_norm_sampling": (batch_norm(False), (3, 2, 2, 3), GAIN, RUNNING),
    "conditional_batch_norm": (conditional_batch_norm(True), (4, 2, 2, 3),
                               {"gain": (CLASSES, 3), "bias": (CLASSES, 3)}, RUNNING),
    "conditional_batch_norm_sampling": (conditional_batch_norm(False), (4, 2, 2, 3),
                                        {"gain": (CLASSES, 3), "bias": (CLASSES, 3)}, RUNNING),
    "instance_norm": (instance_norm, (2, 3, 2, 3), GAIN, {}),
    "layer_norm": (layer_norm, (2, 2, 2, 3), GAIN, {}),
    "layer_norm_vectors": (layer_norm, (4, 3), GAIN, {}),
    "pixel_norm": (pixel_norm, (2, 2, 2, 3), {}, {}),
    "spectral_norm_linear": (spectral_linear(True), (3, 4), {"weight": (4, 2), "bias": (2,)}, {"u": (1, 2)}),
    "spectral_norm_sampling": (spectral_linear(False), (3, 4), {"weight": (4, 2), "bias": (2,)}, {"u": (1, 2)}),
    "spectral_norm_conv": (spectral_conv, (2, 3, 3, 2), {"weight": (3, 3, 2, 2), "bias": (2,)}, {"u": (1, 2)}),
    "spectral_norm_upconv": (spectral_upconv, (1, 2, 2, 3), {"weight": (4, 4, 2, 3), "bias": (2,)}, {"u": (1, 2)}),
    "self_attention": (self_attention, (2, 3, 2, 8),
                       {"query.weight": (8, 1), "key.weight": (8, 1), "value.weight": (8, 4), "out.weight": (4, 8),
                        "gamma": ()}, {}),
    "minibatch_stddev": (minibatch_stddev(3), (6, 2, 2, 2), {}, {}),
    "minibatch_stddev_vectors": (minibatch_stddev(4), (3, 3), {}, {}),
    "residual": (residual(None, shortcut=False), (2, 3, 3, 2),
                 {**conv_of("conv1", 3, 2, 2), **conv_of("conv2", 3, 2, 2)}, {}),
    "residual_up": (residual("up", norm=True), (2, 2, 2, 3),
                    {**conv_of("shortcut", 1, 3, 2), **norm_of("norm1", 3), **conv_of("conv1", 3, 3, 2),
                     **norm_of("norm2", 2), **conv_of("conv2", 3, 2, 2)},
                    {**statistics("norm1", 3), **statistics("norm2", 2)}),
    "residual_down": (residual("down", spectral_norm=True), (2, 4, 4, 2),
                      {**conv_of("shortcut", 1, 2, 3), **conv_of("conv1", 3, 2, 3), **conv_of("conv2", 3, 3, 3)},
                      {"shortcut.u": (1, 3), "conv1.u": (1, 3), "conv2.u": (1, 3)}),
}


# ---- running and writing ----------------------------------------------------------------------------------------------

def start(shapes, stream):
    """Parameters and variables, in order of name; variances are greater than 0."""
    tensors = {}
    for index, name in enumerate(sorted(shapes)):
        positive = name.split(".")[-1] in ("var", "gain")
        tensors[name] = wave(stream + index, shapes[name], 1.0 if positive else 0.1, 0.5)
    return tensors


def gradients(y, tensors):
    """By name; those that y does not depend on, or only by a gradient of zero, are left out."""
    found = torch.autograd.grad(y, list(tensors.values()), create_graph=True, allow_unused=True) if y.requires_grad else []
    return {name: g for name, g in zip(tensors, found) if g is not None and g.abs().max() > 1e-12}


def numbers(tensor):
    return "{" + ", ".join(f"{value:.10g}" for value in tensor.detach().contiguous().flatten().tolist()) + "}"


def table(entries, write):
    return "{ " + ", ".join(f'["{name}"] = {write(value)}' for name, value in sorted(entries.items())) + " }"


def shape(sizes):
    return "{" + ", ".join(str(size) for size in sizes) + "}"


def case(name, function, x_shape, parameter_shapes, variable_shapes):
    labels = name.startswith("embedding")
    x = torch.tensor(LABELS, dtype=torch.float64) if labels else wave(0, x_shape, 0.1)
    parameters, variables = start(parameter_shapes, 1), start(variable_shapes, 21)
    for tensor in [*parameters.values()] + ([] if labels else [x]):
        tensor.requires_grad_()
    y = function(x, parameters, variables)
    wanted = {**parameters} if labels else {"x": x, **parameters}
    first = gradients((y * wave(40, y.shape)).sum(), wanted)
    second = {} if labels else gradients(0.5 * first["x"].square().sum(), wanted)
    print(f'    ["{name}"] = {{')
    print(f"        x = {shape(x_shape)}, shape = {shape(y.shape)},")
    print(f"        parameters = {table(parameter_shapes, shape)},")
    print(f"        variables = {table(variable_shapes, shape)},")
    print(f"        y = {numbers(y)},")
    print(f"        gradients = {table(first, numbers)},")
    print(f"        second = {table(second, numbers)},")
    print(f"        after = {table(variables, numbers)},")
    print("    },")


def main():
    print("-- Made by tests/golden/layers.py.")
    print("return {")
    for name, parts in CASES.items():
        case(name, *parts)
    print("}")


if __name__ == "__main__":
    main()
