-- What parameters begin with. nn.init.he() and the like describe it; the numbers depend on nothing but the run's
-- seed and the parameter's name, so that a layer more or less leaves all others as they were.
--
--     nn.conv { out = 64, kernel = 4, init = nn.init.normal(0.02) }
local check = require "brood.check"
local initializer = require "brood.initializer"

local init = {}

-- How an initializer looks in print(net): "normal(0.02)".
local shown = {
    __tostring = function(self)
        return ("%s(%.6g)"):format(self.kind, self.std or self.bound or self.gain or self.value)
    end,
}

-- A kind that is described by one number: init.normal(0.02) is { kind = "normal", std = 0.02 }.
local function kind(name, field, default, least)
    local rule = { "number", min = least }
    init[name] = check.constructor(function(number)
        if number == nil then number = default end
        number = check.value(("nn.init.%s: %s"):format(name, field), number, rule)
        return setmetatable({ kind = name, [field] = number }, shown)
    end)
end

-- ---- kinds ---------------------------------------------------------------------------------------------------------

-- Normal numbers of mean 0. DCGAN's 0.02 hardly trains narrow networks: the default of all layers is he().
kind("normal", "std", 0.02, 0)

-- Uniform numbers from -bound to bound.
kind("uniform", "bound", 0.05, 0)

-- Glorot and Bengio 2010: variance 2 gain² / (fan_in + fan_out), between what keeps values and what keeps gradients.
kind("glorot", "gain", 1, 0)

-- He et al. 2015: variance gain² / fan_in; with gain √2, values keep their scale through relu.
kind("he", "gain", math.sqrt(2), 0)

-- Saxe et al. 2014: all singular values are `gain`. The last axis counts the columns, the others the rows.
kind("orthogonal", "gain", 1, 0)

-- The same number everywhere.
kind("constant", "value")

function init.zeros() return init.constant(0) end

function init.ones() return init.constant(1) end

function init.is(value)
    return getmetatable(value) == shown
end

-- The rule of a field `init`.
init.rule = { "initializer, such as nn.init.he(),", is = init.is, default = init.he() }

-- ---- numbers ------------------------------------------------------------------------------------------------------

function init.goes_by_size(spec)
    return spec.kind == "glorot" or spec.kind == "he"
end

-- glorot and he as the normal distribution that they are for a layer of this size; others as they are.
function init.resolve(spec, fan_in, fan_out)
    if spec.kind == "glorot" then return init.normal(spec.gain * math.sqrt(2 / (fan_in + fan_out))) end
    if spec.kind == "he" then return init.normal(spec.gain / math.sqrt(fan_in)) end
    return spec
end

-- The seed of one parameter's numbers: FNV-1a over the name, begun with the run's seed.
function init.seed(seed, name)
    local hash = 0xcbf29ce484222325 ~ (math.tointeger(seed) * 0x9e3779b97f4a7c15)
    for i = 1, #name do hash = (hash ~ name:byte(i)) * 0x100000001b3 end
    return hash
end

-- The numbers of a resolved initializer: a brood.Value. Computed in C (gan/initializer.c).
function init.fill(spec, shape, seed)
    return initializer.fill(spec.kind, spec.std or spec.bound or spec.gain or spec.value, shape, seed)
end

-- The first value of a declared parameter or variable (an entry of a context's registry) in the run of this seed.
function init.value(declared, seed)
    return init.fill(declared.init, declared.shape, init.seed(seed, declared.name))
end

return check.module("nn.init", init)
