-- The architectures that classifiers have unless a script brings its own, and how they are trained. Each is a
-- function(shape) that returns a layer from images to features: at most 128, since Fréchet distances of a few thousand
-- images say little about more.
local augment = require "brood.augment"
local nn = require "brood.nn"

local networks = { named = {} }

local function add_conv(net, out, kernel, stride, activation)
    net:add(nn.conv { out = out, kernel = kernel, stride = stride, pad = (kernel - 1) // 2, bias = false })
    net:add(nn.batch_norm {})
    net:add(activation {})
end

-- layers: { { out, kernel, stride }, ... }
local function convolutions(layers, activation)
    local net = nn.sequential {}
    for _, layer in ipairs(layers) do add_conv(net, layer[1], layer[2], layer[3], activation) end
    return net
end

local function is_gray(shape) return shape[3] == 1 end

-- Kernels of 4 that halve the image. The selection classifier looks at every member after every round, so it
-- is the smaller one: 2,500 images cost less than a tenth of what 100 steps of a small DCGAN do.
function networks.named.strided(shape)
    if is_gray(shape) then
        local net = convolutions({ { 16, 4, 2 }, { 32, 4, 2 }, { 64, 4, 2 } }, nn.relu)
        return net:add(nn.flatten {}):add(nn.linear { out = 64 }):add(nn.relu {})
    end
    local net = convolutions({ { 32, 4, 2 }, { 32, 3, 1 }, { 64, 4, 2 }, { 64, 3, 1 }, { 128, 3, 2 } }, nn.relu)
    return net:add(nn.global_avg_pool {})
end

-- Odd kernels and another activation.
function networks.named.mixed(shape)
    if is_gray(shape) then
        local net = convolutions({ { 24, 5, 2 }, { 48, 5, 2 }, { 64, 3, 2 } }, nn.leaky_relu)
        return net:add(nn.flatten {}):add(nn.linear { out = 64 }):add(nn.leaky_relu {})
    end
    local net = convolutions({ { 32, 5, 2 }, { 48, 3, 1 }, { 96, 3, 2 }, { 96, 3, 1 }, { 128, 3, 2 } }, nn.leaky_relu)
    return net:add(nn.global_avg_pool {})
end

-- So many steps, but no more than a hundred times through all images, and a few hundred at least.
local function steps_for(set, batch, steps)
    return math.max(300, math.min(steps, 100 * set:count() // batch))
end

-- Early enough to be quick: seconds for digits, which are easy; half a minute for gray images, minutes for colored ones.
-- `augment` is what `change` does, in words.
function networks.recipe(set)
    if set:kind() == "digits" then return { steps = 400, batch = 100, lr = 4e-3, dropout = 0.3 } end
    if is_gray(set:shape()) then
        local shift = augment { translation = 0.0625 }
        return {
            steps = steps_for(set, 100, 2500), batch = 100, lr = 4e-3, dropout = 0.3,
            augment = "translation 0.0625 into black",
            change = function(x, ctx) return shift(x + 1, ctx) - 1 end, -- what comes in is -1, as around digits
        }
    end
    local change = augment { "flip", translation = 0.125 }
    return {
        steps = steps_for(set, 64, 8000), batch = 64, lr = 4e-3, dropout = 0.1, augment = "flip, translation 0.125",
        change = change,
    }
end

return networks
