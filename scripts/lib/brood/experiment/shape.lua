-- Shapes: the networks of an experiment for some values of its structural hyperparameters, and the model made of them. A
-- shape is the experiment with registry, networks, model, and its number among the shapes.
local build_model = require "brood.experiment.model"
local check = require "brood.check"
local context = require "brood.context"
local layer = require "brood.nn.layer"
local script = require "brood.script"

local shape = {}

-- What a structural hyperparameter is where nobody has drawn it: for `brood check` and the like.
function shape.usual_value(hyper)
    if hyper.numbers or hyper.labels then return (hyper.numbers or hyper.labels)[1] end
    return hyper.low
end

-- The store knows options that have names by their numbers, from 0.
local function named_value(hyper, value)
    return hyper.labels and type(value) == "number" and hyper.labels[value // 1 + 1 | 0] or value
end

-- Structural ones and constants: what the networks may depend on.
local function fixed_values(self, values)
    local fixed, words = {}, {}
    for _, name in ipairs(check.names(self.space)) do
        local hyper = self.space[name]
        if hyper.structural or hyper.kind == "constant" then
            fixed[name] = named_value(hyper, values and hyper.structural and values[name] or shape.usual_value(hyper))
            if hyper.structural then words[#words + 1] = ("%s=%s"):format(name, fixed[name]) end
        end
    end
    return fixed, table.concat(words, " ")
end

-- The `h` of generator(h).
local function visible(self, fixed)
    return setmetatable({}, {
        __index = function(_, name)
            if fixed[name] == nil and self.space[name] then
                script.fail(("h.%s: it changes while training goes on: give its name, \"%s\", where a number stands;"
                    .. " pbt.structural(...) makes one that shapes networks"):format(name, name))
            elseif fixed[name] == nil then
                script.fail(("h.%s: there is no such hyperparameter%s"):format(tostring(name), check.hint(name,
                    check.names(self.space))))
            end
            self.read[name] = true
            return fixed[name]
        end,
    })
end

-- Hyperparameters that programs read: { name, ... }.
local function live_names(self)
    local names = {}
    for _, name in ipairs(check.names(self.space)) do
        if not self.space[name].structural then names[#names + 1] = name end
    end
    return names
end

-- What generator(h) or discriminator(h) returns.
local function network(self, name, h)
    local made = self[name](h)
    if layer.any.is(made) then return made end
    script.fail(("experiment (%s): %s returns %s: a %s expected%s"):format(self.line, self:place(name),
        check.describe(made), layer.any[1], layer.any.hint(made)))
end

local function build(self, fixed)
    local made = setmetatable({ registry = context.registry(), number = #self.shapes + 1 }, { __index = self })
    local h = visible(self, fixed)
    made.networks = { G = network(self, "generator", h), D = network(self, "discriminator", h) }
    made.model = build_model(made, live_names(self))
    return made
end

-- That for the structural hyperparameters among `values` (nil: some); each is built once.
function shape.of(self, values)
    if self.members then script.fail(("experiment (%s): the members are no GANs"):format(self.line)) end
    local fixed, key = fixed_values(self, values)
    local known = self.shapes[key]
    if not known then
        known = build(self, fixed)
        self.shapes[key], self.shapes[known.number] = known, known
    end
    return known
end

return shape
