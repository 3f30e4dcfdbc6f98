-- Layers that work element by element: activations, and the two that disturb training.
local layer = require "brood.nn.layer"

local nn = {}

nn.relu = layer.define("nn.relu", {}, function(_, x) return x:relu() end)

-- x where positive, otherwise slope x.
nn.leaky_relu = layer.define("nn.leaky_relu", { slope = layer.number(0.2) }, function(self, x, ctx)
    local slope = ctx:number(self.slope)
    if type(slope) == "number" then return x:leaky_relu(slope) end
    return x:relu() - slope * (-x):relu()
end)

-- x where positive, otherwise alpha (exp(x) - 1). (Clevert et al. 2016)
nn.elu = layer.define("nn.elu", { alpha = layer.number(1) }, function(self, x, ctx)
    local below = -(-x):relu()
    return x:relu() + ctx:number(self.alpha) * (below:exp() - 1)
end)

-- x sigmoid(x). (Ramachandran et al. 2017; also known as SiLU)
nn.swish = layer.define("nn.swish", {}, function(_, x) return x * x:sigmoid() end)

nn.tanh = layer.define("nn.tanh", {}, function(_, x) return x:tanh() end)

nn.sigmoid = layer.define("nn.sigmoid", {}, function(_, x) return x:sigmoid() end)

-- In training, sets a share `rate` of the elements to zero and scales the others, which keeps the mean.
-- (Srivastava et al. 2014)
nn.dropout = layer.define("nn.dropout", { rate = layer.number(0.5, { min = 0, below = 1 }) }, function(self, x, ctx)
    if not ctx.training then return x end
    local rate = ctx:number(self.rate)
    local dropped = (rate - ctx.graph:uniform(x:shape())):step()
    return x * (1 - dropped) / (1 - rate)
end)

-- In training, adds normal numbers.
nn.noise = layer.define("nn.noise", { std = layer.number(0.1, { min = 0 }) }, function(self, x, ctx)
    if not ctx.training then return x end
    return x + ctx:number(self.std) * ctx.graph:normal(x:shape())
end)

return nn
