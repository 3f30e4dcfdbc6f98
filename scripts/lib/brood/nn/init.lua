-- brood.nn: layers. Where each is written:
--     layer.lua        how a layer is made: begin reading there
--     linear.lua       linear, conv, upconv, embedding
--     shape.lua        reshape, flatten, upsample, avg_pool, global_sum_pool, global_avg_pool
--     activation.lua   relu, leaky_relu, elu, swish, tanh, sigmoid, dropout, noise
--     norm.lua         batch_norm, conditional_batch_norm, instance_norm, layer_norm, pixel_norm
--     spectral.lua     spectral_norm
--     block.lua        sequential, residual, self_attention, minibatch_stddev
--     initializer.lua  what parameters begin with
--     print.lua        print(net)
--     ../context.lua   the ctx that layers are called with
local check = require "brood.check"
local layer = require "brood.nn.layer"

local nn = {
    define = layer.define,
    describe = require("brood.nn.print").describe,
    init = require "brood.nn.initializer",
}

for _, part in ipairs { "linear", "shape", "activation", "norm", "spectral", "block" } do
    for name, constructor in pairs(require("brood.nn." .. part)) do nn[name] = constructor end
end

return check.module("brood.nn", nn)
