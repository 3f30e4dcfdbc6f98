-- Layers that have no parameters and only move or add up elements. Images are (batch, height, width, channels).
local graph = require "brood.graph"
local layer = require "brood.nn.layer"

local nn = {}

local function batch_size(x, ctx)
    return x:shape()[1] or ctx:fail("a batch expected, got ()")
end

-- Other sizes for each example: nn.reshape { 4, 4, 64 } makes (n, 4, 4, 64) of (n, 1024). One may be -1: what is left.
nn.reshape = layer.define("nn.reshape", {
    [1] = { "size: a whole number of at least 1, or -1,", is = function(size)
        return math.tointeger(size) and (size >= 1 or size == -1)
    end },
}, function(self, x, ctx)
    local n, given, wanted, open = batch_size(x, ctx), 1, 1, 0
    for axis, size in ipairs(x:shape()) do given = axis > 1 and given * size or 1 end
    for _, size in ipairs(self) do
        if size == -1 then open = open + 1 else wanted = wanted * size end
    end
    if open > 1 or given % wanted ~= 0 or open == 0 and given ~= wanted then
        ctx:fail("(%s) for each example expected, got %s, which has %d numbers for each", table.concat(self, ", "),
            ctx:origin(x), given)
    end
    return x:reshape(n, table.unpack(self))
end)

-- (n, ...) → (n, all others together).
nn.flatten = layer.define("nn.flatten", {}, function(_, x, ctx)
    return x:reshape(batch_size(x, ctx), -1)
end)

-- Each pixel becomes factor x factor equal ones.
nn.upsample = layer.define("nn.upsample", { factor = layer.size(2) }, function(self, x, ctx)
    ctx:images(x)
    return graph.upsample(x, self.factor)
end)

-- Means of factor x factor blocks.
nn.avg_pool = layer.define("nn.avg_pool", { factor = layer.size(2) }, function(self, x, ctx)
    local _, height, width = ctx:images(x)
    if height % self.factor ~= 0 or width % self.factor ~= 0 then
        ctx:fail("height and width must be multiples of %d, got %s", self.factor, ctx:origin(x))
    end
    return graph.avg_pool(x, self.factor)
end)

-- Sums over all pixels: (n, h, w, c) → (n, c).
nn.global_sum_pool = layer.define("nn.global_sum_pool", {}, function(_, x, ctx)
    ctx:images(x)
    return x:sum(2, 3)
end)

-- Means over all pixels: (n, h, w, c) → (n, c).
nn.global_avg_pool = layer.define("nn.global_avg_pool", {}, function(_, x, ctx)
    ctx:images(x)
    return x:mean(2, 3)
end)

return nn
