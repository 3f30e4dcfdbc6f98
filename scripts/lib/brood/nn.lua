-- brood.nn: layers. Where each is written:
--     nn_layer.lua       how a layer is made: begin reading there
--     nn_linear.lua      linear, conv, upconv, embedding
--     nn_shape.lua       reshape, flatten, upsample, avg_pool, global_sum_pool, global_avg_pool
--     nn_activation.lua  relu, leaky_relu, elu, swish, tanh, sigmoid, dropout, noise
--     nn_norm.lua        batch_norm, conditional_batch_norm, instance_norm, layer_norm, pixel_norm
--     nn_spectral.lua    spectral_norm
--     nn_block.lua       sequential, residual, self_attention, minibatch_stddev
--     nn_init.lua        what parameters begin with
--     nn_print.lua       print(net)
--     context.lua        the ctx that layers are called with
local check = require "brood.check"
local layer = require "brood.nn_layer"

local nn = {
    define = layer.define,
    describe = require("brood.nn_print").describe,
    init = require "brood.nn_init",
}

for _, part in ipairs { "linear", "shape", "activation", "norm", "spectral", "block" } do
    for name, constructor in pairs(require("brood.nn_" .. part)) do nn[name] = constructor end
end

return check.module("brood.nn", nn)
