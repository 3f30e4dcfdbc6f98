-- How a layer is made. This is all of nn.noise:
--
--     nn.noise = layer.define("nn.noise", { std = layer.number(0.1, { min = 0 }) }, function(self, x, ctx)
--         if not ctx.training then return x end
--         return x + ctx:number(self.std) * ctx.graph:normal(x:shape())
--     end)
--
-- layer.define, which scripts know as nn.define, gives a constructor: nn.noise {} is a layer, a plain description.
-- Calling the layer, layer(x, ctx), runs the function above: it adds to the graph of x and returns the result. `self`
-- holds the options that the constructor was given; the rules in the second argument say what they may be (check.lua).
-- All layers have the option `name`, which replaces the layer's number in the names of its parameters.
-- A layer that needs no options may as well be a plain function(x, ctx).
local check = require "brood.check"
local context = require "brood.context"
local init = require "brood.nn.initializer"
local script = require "brood.script"

local layer = {}

local constructors = setmetatable({}, { __mode = "k" }) -- their names

-- Whether a value is a layer made by a constructor.
function layer.is(value)
    local class = getmetatable(value)
    return type(class) == "table" and class.is_layer == true
end

-- ---- rules that many layers share ---------------------------------------------------------------------------------

-- A number that shapes the network.
function layer.size(default, least)
    return { "number", integer = true, min = least or 1, default = default, required = default == nil, shapes = true }
end

-- A number or the name of a hyperparameter: ctx:number(self.slope).
function layer.number(default, bounds)
    local rule = { "number", default = default, live = true }
    for key, value in pairs(bounds or {}) do rule[key] = value end
    return rule
end

function layer.flag(default)
    return { "boolean", default = default }
end

layer.init = init.rule

layer.any = {
    "layer or a function(x, ctx)",
    is = function(value) return layer.is(value) or type(value) == "function" and not constructors[value] end,
    hint = function(value)
        return constructors[value] and (": write %s {}"):format(constructors[value]) or ""
    end,
}

local NAME = {
    "name of letters, digits and underscores, not beginning with a digit,",
    is = function(value) return type(value) == "string" and value:find "^[%a_][%w_]*$" ~= nil end,
}

-- ---- making layers ------------------------------------------------------------------------------------------------

-- What all layers can do.
local methods = {
    is_layer = true,

    -- What print(layer) shows (nn/print.lua). With a shape, what the layer makes of that.
    describe = function(self, shape, options)
        return require "brood.nn.print".describe(self, shape, options)
    end,
}

local function call(self, x, ctx)
    if not context.is(ctx) then
        script.fail(("%s is called with a tensor and a context, layer(x, ctx); got %s and %s"):format(self.kind,
            check.describe(x), check.describe(ctx)))
    end
    return ctx:apply(self.name, self, x)
end

-- A constructor of layers. `more` holds further methods and fields; more.setup(self) completes a new layer.
function layer.define(name, rules, forward, more)
    local class = { kind = name:match "[^.]*$", forward = forward, __call = call }
    for _, part in ipairs { methods, more or {} } do
        for key, method in pairs(part) do class[key] = method end
    end
    class.__index = class
    class.__tostring = class.describe
    local all = { name = NAME }
    for key, rule in pairs(rules) do all[key] = rule end
    class.option_rules = all

    local constructor = check.constructor(function(given)
        if getmetatable(given) == "brood.Tensor" then
            script.fail(("%s makes a layer out of options: the layer %s {} can be called with a tensor"):format(name,
                name))
        end
        if layer.is(given) then given = { given } end
        local self = check.fields(name, given, all)
        self.line = script.line()
        self.shown = check.names(given or {})
        setmetatable(self, class)
        if class.setup then class.setup(self) end
        return self
    end)
    constructors[constructor] = name
    return constructor
end

return layer
