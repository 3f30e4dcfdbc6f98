-- A zoo of small networks: every layer of brood.nn is in one of them.
--     brood lua scripts/experiments/layers.lua
--
-- A network is a description. nn.conv { out = 16, kernel = 4 } does nothing yet; net:describe { 8, 32, 32, 3 } shows
-- what it makes of 8 images of 32 x 32 pixels and 3 channels. No layer is told the sizes of what comes in.
local brood = require "brood"
local nn = brood.nn

local function show(title, net, shape, options)
    print(("\n%s\n%s"):format(title, net:describe(shape, options)))
end

-- ---- DCGAN --------------------------------------------------------------------------------------------------------
-- The generator grows an image out of 64 random numbers; the discriminator shrinks an image to one number. Twice the
-- size, or half of it, is kernel 4, stride 2, pad 1.

local function twice(out) return nn.upconv { out = out, kernel = 4, stride = 2, pad = 1 } end
local function half(out) return nn.conv { out = out, kernel = 4, stride = 2, pad = 1 } end

show("DCGAN's generator (Radford et al. 2016)", nn.sequential {
    nn.linear { out = 4 * 4 * 64 }, nn.reshape { 4, 4, 64 }, nn.batch_norm {}, nn.relu {},
    twice(32), nn.batch_norm {}, nn.relu {},
    twice(16), nn.batch_norm {}, nn.relu {},
    twice(3), nn.tanh {},
}, { 8, 64 })

-- Against a discriminator that knows all the real images by heart: noise, dropout, spectral norm. Against a generator
-- that always draws the same: minibatch_stddev, which shows the discriminator how much a batch varies.
show("A discriminator that is held back", nn.sequential {
    nn.noise { std = "noise" }, -- "noise" is the name of a hyperparameter: it may change while training goes on
    nn.spectral_norm(half(16)), nn.leaky_relu { slope = 0.1 },
    nn.spectral_norm(half(32)), nn.leaky_relu { slope = 0.1 }, nn.dropout { rate = 0.3 },
    nn.spectral_norm(half(64)), nn.leaky_relu { slope = 0.1 },
    nn.minibatch_stddev { group = 4 },
    nn.flatten {}, nn.linear { out = 1 },
}, { 8, 32, 32, 3 })

-- ---- residual networks --------------------------------------------------------------------------------------------
-- A residual block adds to its input what two convolutions make of it. Norms are layers, too, so a block can be given
-- one: here one with a gain and a bias for each class, so that the labels tell the generator what to draw. Attention
-- lets far pixels of an image agree with each other.

local by_class = nn.conditional_batch_norm {}
show("A generator for ten classes, with attention (after Zhang et al. 2019)", nn.sequential {
    nn.linear { out = 4 * 4 * 64 }, nn.reshape { 4, 4, 64 },
    nn.residual { out = 64, up = true, norm = by_class },
    nn.self_attention {},
    nn.residual { out = 32, up = true, norm = by_class },
    nn.residual { out = 16, up = true, norm = by_class },
    nn.batch_norm {}, nn.relu {}, nn.conv { out = 3, kernel = 3, pad = 1 }, nn.tanh {},
}, { 8, 64 }, { classes = 10 })

-- spectral_norm around all of them treats every weight within.
show("A residual discriminator", nn.spectral_norm(nn.sequential {
    nn.residual { out = 32, down = true },
    nn.residual { out = 64, down = true, activation = nn.swish {} },
    nn.residual { out = 64 }, -- neither up nor down: the plain block
    nn.relu {}, nn.global_sum_pool {}, nn.linear { out = 1 },
}), { 8, 32, 32, 3 })

-- ---- other norms and other ways to grow ---------------------------------------------------------------------------
-- A gradient penalty looks at one image at a time, so the norms of a discriminator that is penalized must not mix the
-- images of a batch: layer_norm and instance_norm do not.

show("A discriminator for a gradient penalty", nn.sequential {
    half(16), nn.layer_norm {}, nn.elu {},
    nn.conv { out = 32, kernel = 3, pad = 1 }, nn.avg_pool { factor = 2 }, nn.instance_norm {}, nn.elu {},
    nn.global_avg_pool {}, nn.linear { out = 1 }, nn.sigmoid {},
}, { 8, 32, 32, 3 })

show("A generator in the manner of progressive growing (Karras et al. 2018)", nn.sequential {
    nn.pixel_norm {},
    nn.linear { out = 4 * 4 * 32 }, nn.reshape { 4, 4, -1 }, nn.leaky_relu {}, nn.pixel_norm {},
    nn.upsample { factor = 2 }, nn.conv { out = 32, kernel = 3, pad = 1 }, nn.leaky_relu {}, nn.pixel_norm {},
    nn.conv { out = 3, kernel = 1, init = nn.init.normal(0.02), name = "to_rgb" },
}, { 8, 64 })

-- ---- layers of one's own ------------------------------------------------------------------------------------------
-- A function is a layer. It may call others: inside of functions they need names, after which their parameters are
-- called.

local classes = nn.embedding { out = 16, name = "classes" }

local function with_label(z, ctx)
    return brood.graph.concat({ z, classes(ctx.labels, ctx) }, 2)
end

-- nn.define makes a constructor with checked options. It is what all layers of the library are made by: to see how a
-- layer is written, open any of scripts/lib/brood/nn/*.lua.
local scale = nn.define("scale", { by = { "number", default = 1 } }, function(self, x, ctx)
    return x * ctx:param("factor", {}, nn.init.constant(self.by))
end)

local net = nn.sequential { with_label, nn.linear { out = 32 } }
net:add(nn.relu {}):add(nn.sequential { nn.linear { out = 2, init = nn.init.orthogonal() }, scale { by = 2 } })
show("A generator of points, with layers of its own", net, { 8, 16 }, { classes = 10 })

-- ---- a network at work --------------------------------------------------------------------------------------------
-- An experiment does this by itself. By hand: a graph, a context that says whose the parameters are, a program.

local g = brood.graph.new()
local labels = g:input("labels", { 4 })
local ctx = brood.context.new { graph = g, group = "G", training = false, labels = labels, classes = 10 }
local points = g:compile { points = net(g:normal { 4, 16 }, ctx) }:run({ labels = { 1, 1, 7, 7 } }).points
print("\nFour points of the last generator, not yet trained:")
for i, number in ipairs(points:flat()) do io.write(("%8.3f%s"):format(number, i % 2 == 0 and "\n" or "")) end
