-- Layers made of other layers.
local graph = require "brood.graph"
local check = require "brood.check"
local init = require "brood.nn.initializer"
local layer = require "brood.nn.layer"
local linear = require "brood.nn.linear"
local activation = require "brood.nn.activation"
local spectral = require "brood.nn.spectral"
local script = require "brood.script"

local nn = {}

-- ---- sequential ---------------------------------------------------------------------------------------------------

-- One layer after the other. Their parameters are named by their place, or their name: "generator.3.weight".
--     net = nn.sequential { nn.linear { out = 64 }, nn.relu {} }
--     net:add(nn.linear { out = 2 })                                -- #net is 3, net[3] the last layer
nn.sequential = layer.define("nn.sequential", { [1] = layer.any }, function(self, x, ctx)
    for i, child in ipairs(self) do
        x = ctx:apply(layer.is(child) and child.name or i, child, x)
    end
    return x
end, {
    opens = true, -- print(net) shows what is inside

    -- Appends a layer. Returns the sequential.
    add = function(self, child)
        self[#self + 1] = check.value(("nn.sequential[%d]"):format(#self + 1), child, layer.any)
        return self
    end,
})

-- ---- residual -----------------------------------------------------------------------------------------------------

local function wrap(self, conv)
    return self.spectral and spectral.spectral_norm(conv) or conv
end

-- x plus what this makes of it: norm, activation, conv, norm, activation, conv. `up` doubles height and width before
-- the first convolution, `down` halves them after the second; without both it is the plain block. Where the channels
-- change, x goes through a convolution of kernel 1. `norm` and `activation` are layers; each is used twice, with
-- parameters of its own. (He et al. 2016, in the order of Gulrajani et al. 2017)
nn.residual = layer.define("nn.residual", {
    out = layer.size(),
    kernel = layer.size(3),
    up = layer.flag(false),
    down = layer.flag(false),
    norm = layer.any,
    activation = layer.any,
    spectral = layer.flag(false), -- spectral_norm around the convolutions
    init = layer.init,
}, function(self, x, ctx)
    local _, height, width, channels = ctx:images(x)
    if self.down and (height % 2 ~= 0 or width % 2 ~= 0) then
        ctx:fail("height and width must be even to be halved, got %s", ctx:origin(x))
    end

    local short = x
    if self.down then short = graph.avg_pool(short, 2) end
    if channels ~= self.out then short = ctx:apply("shortcut", self.shortcut, short) end
    if self.up then short = graph.upsample(short, 2) end -- last: a convolution of kernel 1 costs less before it

    local y = x
    if self.norm then y = ctx:apply("norm1", self.norm, y) end
    y = ctx:apply("activation1", self.activation, y)
    if self.up then y = graph.upsample(y, 2) end
    y = ctx:apply("conv1", self.conv, y)
    if self.norm then y = ctx:apply("norm2", self.norm, y) end
    y = ctx:apply("activation2", self.activation, y)
    y = ctx:apply("conv2", self.conv, y)
    if self.down then y = graph.avg_pool(y, 2) end
    return y + short
end, {
    setup = function(self)
        local kernel, out = self.kernel, self.out
        if kernel % 2 == 0 then script.fail("nn.residual: kernel: an odd number expected, got " .. kernel) end
        if self.up and self.down then script.fail("nn.residual: up or down expected, not both") end
        self.activation = self.activation or activation.relu {}
        self.conv = wrap(self, linear.conv { out = out, kernel = kernel, pad = kernel // 2, init = self.init })
        self.shortcut = wrap(self, linear.conv { out = out, kernel = 1, init = self.init })
    end,
})

-- ---- self_attention -----------------------------------------------------------------------------------------------

-- Each pixel of x plus gamma times a mean of what all pixels have to say, weighted by how well their keys match the
-- pixel's query. gamma starts at 0: the layer is first the identity. Queries and keys have an eighth of the channels,
-- values a half. (Zhang et al. 2019, SAGAN)
nn.self_attention = layer.define("nn.self_attention", { init = layer.init }, function(self, x, ctx)
    local n, height, width, channels = ctx:images(x)
    local pixels = height * width

    -- A convolution of kernel 1, which is a product of matrices: (n, pixels, from) → (n, pixels, to).
    local function project(name, y, from, to)
        return ctx:scope(name, function(inner)
            local w = inner:weight({ from, to }, { init = self.init, fan_in = from, fan_out = to })
            return graph.matmul(y:reshape(n * pixels, from), w):reshape(n, pixels, to)
        end)
    end

    local few, half = math.max(channels // 8, 1), math.max(channels // 2, 1)
    local query, key = project("query", x, channels, few), project("key", x, channels, few)
    local value = project("value", x, channels, half)
    local attention = graph.matmul(query, key, { transpose_b = true }):softmax(3) -- (n, pixels, pixels)
    local seen = project("out", graph.matmul(attention, value), half, channels)
    return x + ctx:param("gamma", {}, init.zeros()) * seen:reshape(n, height, width, channels)
end)

-- ---- minibatch_stddev ---------------------------------------------------------------------------------------------

-- One more channel: how much the examples of a group differ, the mean of all their standard deviations. Tells the
-- discriminator about generators that draw the same again and again. The batch is cut into groups of `group` examples,
-- i, i + m, i + 2m ... with m groups; a smaller batch is one group. (Karras et al. 2018)
nn.minibatch_stddev = layer.define("nn.minibatch_stddev", {
    group = layer.size(4),
    epsilon = layer.number(1e-8, { above = 0 }),
}, function(self, x, ctx)
    local shape = ctx:channels_last(x)
    local n, rank = shape[1], #shape
    local group = math.min(self.group, n)
    if n % group ~= 0 then
        ctx:fail("the batch must be a multiple of the group of %d, got %s", group, ctx:origin(x))
    end

    local y = x:reshape(group, n // group, -1)
    local variance = (y - y:mean { 1, keep = true }):square():mean(1)
    local deviation = (variance + ctx:number(self.epsilon)):sqrt():mean(2) -- a number for each group

    local one, all = { 1, n // group }, { group, n // group }
    for axis = 2, rank do
        one[axis + 1] = 1
        all[axis + 1] = axis < rank and shape[axis] or 1
    end
    local channel = deviation:reshape(one):expand(all)
    shape[rank] = 1
    return graph.concat({ x, channel:reshape(shape) }, rank)
end)

return nn
