-- Layers that bring activations to a common scale. Channels are the last axis.
local graph = require "brood.graph"
local init = require "brood.nn.initializer"
local layer = require "brood.nn.layer"

local nn = {}

-- x with mean 0 and variance 1 over some axes; also the mean and the variance.
--
-- The variance is mean((x - m)²), in a form that is quicker to differentiate: with c a constant that equals the mean
-- m, mean((x - c)²) - (m - c)² is the same number and has the same derivatives of every order, but its two means do
-- not depend on one another.
local function standardize(x, axes, epsilon)
    axes.keep = true
    local shift = -x:mean(axes)
    local constant = shift:detach()
    local variance = (x + constant):square():mean(axes) - (shift - constant):square()
    return (x + shift) * (variance + epsilon) ^ -0.5, -shift, variance
end

-- A gain and a bias for each channel, unless the layer says affine = false.
local function with_affine(self, y, ctx)
    if not self.affine then return y end
    local shape = y:shape()
    local channels = { shape[#shape] }
    return y * ctx:param("gain", channels, init.ones()) + ctx:param("bias", channels, init.zeros())
end

-- ---- over the batch -----------------------------------------------------------------------------------------------

-- The axes that hold one channel's numbers, and how many these are.
local function of_channel(x, ctx)
    local shape, axes, count = ctx:channels_last(x), {}, 1
    for axis = 1, #shape - 1 do axes[axis], count = axis, count * shape[axis] end
    if ctx.training and count == 1 then
        ctx:fail("one number has no variance: a batch of two or more expected, got %s", ctx:origin(x))
    end
    return axes, count
end

-- In training, x standardized over all axes but the last. In sampling by running statistics, which each training run
-- moves towards the batch's own: new = old + momentum (batch - old). As in PyTorch, momentum is the weight of the new,
-- and what runs is the unbiased variance (divided by count - 1). (Ioffe and Szegedy 2015)
local function normalize(self, x, ctx)
    local axes, count = of_channel(x, ctx)
    local channels = { x:shape()[#axes + 1] }
    local mean, var = ctx:variable("mean", channels, 0), ctx:variable("var", channels, 1)
    local epsilon = ctx:number(self.epsilon)
    if not ctx.training then return (x - mean) * (var + epsilon) ^ -0.5 end

    local y, batch_mean, batch_var = standardize(x, axes, epsilon)
    local function move(variable, batch)
        local old = ctx:current(variable)
        ctx:assign(variable, old + ctx:number(self.momentum) * (batch:reshape(channels) - old))
    end
    move(mean, batch_mean)
    move(var, batch_var * (count / (count - 1)))
    return y
end

nn.batch_norm = layer.define("nn.batch_norm", {
    momentum = layer.number(0.1, { min = 0, max = 1 }),
    epsilon = layer.number(1e-5, { above = 0 }),
    affine = layer.flag(true),
}, function(self, x, ctx)
    return with_affine(self, normalize(self, x, ctx), ctx)
end)

-- Batch norm with a gain and a bias for each class, chosen by the labels that the network is called with.
-- (Dumoulin et al. 2017)
nn.conditional_batch_norm = layer.define("nn.conditional_batch_norm", {
    classes = layer.size(false), -- what the context says, unless it is given
    momentum = layer.number(0.1, { min = 0, max = 1 }),
    epsilon = layer.number(1e-5, { above = 0 }),
}, function(self, x, ctx)
    local shape = ctx:channels_last(x)
    local n, channels = shape[1], shape[#shape]
    local labels, classes = ctx:needed_labels(), self.classes or ctx.classes
    if not classes then ctx:fail("how many classes are there? say it by classes = n") end
    if labels:shape()[1] ~= n then
        ctx:fail("%d labels expected, one for each example, got %s", n, ctx:origin(labels))
    end
    for axis = 2, #shape - 1 do shape[axis] = 1 end
    local function chosen(name, start) -- (n, 1, 1, channels): a row for each example
        return graph.gather(ctx:param(name, { classes, channels }, start), labels):reshape(shape)
    end
    return normalize(self, x, ctx) * chosen("gain", init.ones()) + chosen("bias", init.zeros())
end)

-- ---- within one example -------------------------------------------------------------------------------------------

-- Each channel of each image by itself. (Ulyanov et al. 2016)
nn.instance_norm = layer.define("nn.instance_norm", {
    epsilon = layer.number(1e-5, { above = 0 }),
    affine = layer.flag(true),
}, function(self, x, ctx)
    ctx:images(x)
    return with_affine(self, (standardize(x, { 2, 3 }, ctx:number(self.epsilon))), ctx)
end)

-- All numbers of each example together; gain and bias are the channels'. Does not mix examples, as the gradient
-- penalty asks for. (Ba et al. 2016)
nn.layer_norm = layer.define("nn.layer_norm", {
    epsilon = layer.number(1e-5, { above = 0 }),
    affine = layer.flag(true),
}, function(self, x, ctx)
    local axes = {}
    for axis = 2, #ctx:channels_last(x) do axes[#axes + 1] = axis end
    return with_affine(self, (standardize(x, axes, ctx:number(self.epsilon))), ctx)
end)

-- The channels of each pixel scaled to a mean square of 1. (Karras et al. 2018)
nn.pixel_norm = layer.define("nn.pixel_norm", { epsilon = layer.number(1e-8, { above = 0 }) }, function(self, x, ctx)
    ctx:channels_last(x)
    return x * (x:square():mean { -1, keep = true } + ctx:number(self.epsilon)) ^ -0.5
end)

return nn
