-- Layers that multiply by a weight. Images are (batch, height, width, channels).
local graph = require "brood.graph"
local init = require "brood.nn.initializer"
local layer = require "brood.nn.layer"

local nn = {}

-- A number for each channel, unless the layer says bias = false. (It may, before a norm, which takes the mean away.)
local function with_bias(self, y, ctx)
    local shape = y:shape()
    return self.bias and y + ctx:param("bias", { shape[#shape] }, init.zeros()) or y
end

-- y = x W + b: (n, features) → (n, out).
nn.linear = layer.define("nn.linear", {
    out = layer.size(),
    bias = layer.flag(true),
    init = layer.init,
}, function(self, x, ctx)
    local _, features = ctx:vectors(x)
    local w = ctx:weight({ features, self.out }, { init = self.init, fan_in = features, fan_out = self.out })
    return with_bias(self, graph.matmul(x, w), ctx)
end)

local CONVOLUTION = {
    out = layer.size(),
    kernel = layer.size(),
    stride = layer.size(1),
    pad = layer.size(0, 0),
    bias = layer.flag(true),
    init = layer.init,
}

-- Convolution: (n, h, w, c) → (n, (h + 2 pad - kernel) / stride + 1, ..., out); the division is rounded down.
-- Weights (kernel, kernel, c, out).
nn.conv = layer.define("nn.conv", CONVOLUTION, function(self, x, ctx)
    local _, height, width, channels = ctx:images(x)
    local kernel, area = self.kernel, self.kernel ^ 2
    if math.min(height, width) + 2 * self.pad < kernel then
        ctx:fail("a kernel of %d x %d does not fit into %s with pad %d", kernel, kernel, ctx:origin(x), self.pad)
    end
    local w = ctx:weight({ kernel, kernel, channels, self.out },
        { init = self.init, fan_in = area * channels, fan_out = area * self.out })
    return with_bias(self, graph.conv(x, w, { stride = self.stride, pad = self.pad }), ctx)
end)

-- Transposed convolution, the adjoint of conv: (n, h, w, c) → (n, (h - 1) stride - 2 pad + kernel, ..., out).
-- Weights (kernel, kernel, out, c).
nn.upconv = layer.define("nn.upconv", CONVOLUTION, function(self, x, ctx)
    local _, height, width, channels = ctx:images(x)
    local kernel, area = self.kernel, self.kernel ^ 2
    local function grown(size) return (size - 1) * self.stride - 2 * self.pad + kernel end
    if math.min(grown(height), grown(width)) < 1 then
        ctx:fail("nothing would be left of %s: kernel %d, stride %d and pad %d make it %d x %d", ctx:origin(x), kernel,
            self.stride, self.pad, grown(height), grown(width))
    end
    -- Each pixel is spread over kernel x kernel others, so this many come together in one, on average.
    local meeting = area * height * width / (grown(height) * grown(width))
    local w = ctx:weight({ kernel, kernel, self.out, channels },
        { init = self.init, fan_in = meeting * channels, fan_out = area * self.out, outputs = 3 })
    return with_bias(self, graph.conv_transpose(x, w, { stride = self.stride, pad = self.pad }), ctx)
end)

-- A row of a table for each label: (n) → (n, out). `classes` is what the context says unless it is given.
nn.embedding = layer.define("nn.embedding", {
    classes = layer.size(false),
    out = layer.size(),
    init = { init.rule[1], is = init.is, default = init.normal(1) },
}, function(self, x, ctx)
    local classes = self.classes or ctx.classes or ctx:fail("how many classes are there? say it by classes = n")
    local w = ctx:weight({ classes, self.out }, { init = self.init, fan_in = classes, fan_out = self.out })
    return graph.gather(w, x)
end)

return nn
