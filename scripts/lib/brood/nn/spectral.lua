-- nn.spectral_norm(nn.conv { ... }): a layer whose weight is divided by its largest singular value, so that the layer
-- changes no distance by more than its input. (Miyato et al. 2018)
--
-- The singular value is found by power iteration, one turn in each training run: u and v are close to the singular
-- vectors already, and the weights change little from run to run. u is kept in a state variable. However often the
-- layer is called in a program, there is one turn a run, and all calls have the same weight. Wrapped around several
-- layers (nn.sequential, nn.residual ...), it treats each weight within by itself.
local graph = require "brood.graph"
local init = require "brood.nn.initializer"
local layer = require "brood.nn.layer"
local script = require "brood.script"

local nn = {}

local function unit(vector)
    return vector * (vector:square():sum() + 1e-24) ^ -0.5
end

-- The weight as a matrix with a column for each output.
local function as_matrix(weight, outputs)
    local shape, order = weight:shape(), {}
    for axis = 1, #shape do
        if axis ~= outputs then order[#order + 1] = axis end
    end
    order[#order + 1] = outputs
    return weight:permute(order):reshape(-1, shape[outputs])
end

local function rescale(ctx, weight, outputs)
    return ctx:once("spectral", function()
        local w = as_matrix(weight, outputs)
        local u = ctx:variable("u", { 1, w:shape()[2] }, init.normal(1))
        local v = unit(graph.matmul(u, w, { transpose_b = true })):detach()
        local turned = ctx.training and unit(graph.matmul(v, w)):detach() or unit(u)
        ctx:assign(u, turned)
        local sigma = graph.matmul(graph.matmul(v, w), turned, { transpose_b = true }):reshape {}
        return weight / sigma
    end)
end

nn.spectral_norm = layer.define("nn.spectral_norm", { [1] = layer.any }, function(self, x, ctx)
    return ctx:rescaling(rescale):apply(nil, self[1], x)
end, {
    opens = true,
    wraps = true, -- and print(net) shows both in one line
    setup = function(self)
        if #self ~= 1 then script.fail(("nn.spectral_norm: one layer expected, got %d"):format(#self)) end
        self.name = self.name or layer.is(self[1]) and self[1].name or nil
    end,
})

return nn
