-- What a layer is called with: y = layer(x, ctx). A context knows the graph that is being built, where in the network
-- the layer stands (its path, which its parameters are named after), and whether this is training or sampling.
--
--     local g = graph.new()
--     local ctx = context.new { graph = g, group = "G", path = "generator" }
--     local y = net(g:input("z", { 16, 64 }), ctx)
--     local p = g:compile({ y = y }, { assign = ctx.assignments })
--
-- What layers use: ctx:images, ctx:vectors and ctx:channels_last (sizes); ctx:weight, ctx:param and ctx:variable (what
-- they own); ctx:number (a number that may be a hyperparameter); ctx:apply (a layer within); ctx:current and ctx:assign
-- (statistics); ctx:fail (errors); ctx:needed_labels; ctx.training, ctx.labels, ctx.classes.
local check = require "brood.check"
local init = require "brood.nn.initializer"
local script = require "brood.script"

local context = {}
local Context = {}
Context.__index = Context

-- ---- making one ---------------------------------------------------------------------------------------------------

-- What the contexts of an experiment share: all that their networks declared, in order and by name. Entries of
-- parameters and variables are { name, group, shape, init, layer }, those of hyperparameters { name, layer, uses };
-- schedules are in the order of the inputs "n.0", "n.1" ... that stand for them. Uses are { what, rule }: an option
-- that the hyperparameter stands for, and what that may be.
function context.registry()
    return { parameters = {}, variables = {}, hyperparameters = {}, schedules = {} }
end

local function is_a(class)
    return function(value) return getmetatable(value) == class end
end

local FIELDS = {
    group = { "string" },              -- the player that owns the parameters
    path = { "string" },               -- where the names of parameters begin; otherwise the group
    training = { "boolean" },          -- false: running statistics, no dropout, nothing is assigned
    update_statistics = { "boolean" }, -- false: nothing is assigned
    labels = { "tensor of labels", is = function(v) return v == false or is_a("brood.Tensor")(v) end },
    classes = { "number", integer = true, min = 1 }, -- how many different labels there are
}

local NEW_FIELDS = {
    graph = { "brood.Graph", is = is_a "brood.Graph", required = true },
    registry = { "table" },
    -- Chooses what parameters begin with. false: zeros, since whoever makes the states will set them.
    seed = { "whole number, or false,", is = function(v) return v == false or math.type(v) == "integer" end },
}
for name, rule in pairs(FIELDS) do NEW_FIELDS[name] = rule end

function context.new(options)
    local given = check.fields("context.new", options, NEW_FIELDS)
    return setmetatable({
        graph = given.graph,
        group = given.group or "",
        path = given.path or given.group or "",
        training = given.training ~= false,
        update_statistics = given.update_statistics ~= false,
        labels = given.labels or nil,
        classes = given.classes,
        registry = given.registry or context.registry(),
        seed = given.seed == nil and 1 or given.seed,
        assignments = {}, -- {variable, tensor} pairs: the option `assign` of g:compile
        program = {
            leaves = {},   -- parameters and variables by name
            owners = {},   -- the layers that declared them
            assigned = {}, -- by variable: its pair among the assignments
            once = {},     -- results of ctx:once
            makers = setmetatable({}, { __mode = "k" }), -- by tensor: the label of the layer that made it
        },
    }, Context)
end

function context.is(value)
    return getmetatable(value) == Context
end

local function derive(self, changes)
    local inner = {}
    for key, value in pairs(self) do inner[key] = value end
    for key, value in pairs(changes) do inner[key] = value end
    return setmetatable(inner, Context)
end

-- Another context of the same program with some fields changed, as in ctx:with { group = "D", labels = on_fake }.
-- labels = false takes them away.
function Context:with(options)
    local changes = check.fields("ctx:with", options, FIELDS)
    local other = derive(self, changes)
    other.path = changes.path or changes.group or self.path
    other.labels = other.labels or nil
    return other
end

-- ---- errors -------------------------------------------------------------------------------------------------------

-- Which layer this is: "discriminator.3 conv (dcgan.lua:17)".
function Context:label()
    local layer, words = self.layer, {}
    if self.path ~= "" then words[1] = self.path end
    if type(layer) == "function" then
        words[#words + 1] = ("function (%s)"):format(check.place(layer))
    elseif layer then
        words[#words + 1] = layer.kind
        if layer.line then words[#words + 1] = ("(%s)"):format(layer.line) end
    end
    return table.concat(words, " ")
end

-- Ends with an error that names the layer. The arguments are string.format's.
function Context:fail(message, ...)
    local label = self:label()
    script.fail((label ~= "" and label .. ": " or "") .. message:format(...))
end

-- The shape of x and the layer it comes from: "(64, 100) from discriminator.2 flatten (dcgan.lua:16)".
function Context:origin(x)
    local maker = self.program.makers[x]
    return ("(%s)%s"):format(table.concat(x:shape(), ", "), maker and " from " .. maker or "")
end

-- ---- the sizes of what comes in -----------------------------------------------------------------------------------

-- batch, height, width, channels = ctx:images(x)
function Context:images(x)
    local shape = x:shape()
    if #shape ~= 4 then
        self:fail("images (batch, height, width, channels) expected, got %s", self:origin(x))
    end
    return table.unpack(shape)
end

-- batch, features = ctx:vectors(x)
function Context:vectors(x)
    local shape = x:shape()
    if #shape ~= 2 then
        local advice = #shape > 2 and ": put nn.flatten {} before it" or ""
        self:fail("vectors (batch, features) expected, got %s%s", self:origin(x), advice)
    end
    return table.unpack(shape)
end

-- The shape of x, (batch, ..., channels): vectors, images, or anything else of two axes or more.
function Context:channels_last(x)
    local shape = x:shape()
    if #shape < 2 then self:fail("a batch of vectors or images expected, got %s", self:origin(x)) end
    return shape
end

-- ---- places in the network ----------------------------------------------------------------------------------------

local function join(path, name)
    return path == "" and tostring(name) or path .. "." .. name
end

-- f(inner) while the graph knows that what is made belongs to the place of `inner`.
local function at(inner, f)
    local graph = inner.graph
    local before = graph:layer(inner:label():sub(1, 200))
    local _ <close> = setmetatable({}, { __close = function() graph:layer(before) end })
    return f(inner)
end

-- f(inner), where `inner` is this context at the path "<path>.<name>".
function Context:scope(name, f)
    return at(derive(self, { path = join(self.path, name) }), f)
end

local function is_tensor(value) return getmetatable(value) == "brood.Tensor" end

local rows = setmetatable({}, { __mode = "k" }) -- by layer: what its latest call made

-- What the latest call of a layer made: { layer, path, shape, parameters = { name = count }, [1..] = rows within },
-- for print(net). nil: it has not been called.
function context.row(layer)
    return rows[layer]
end

local function run(layer, x, ctx)
    if type(layer) == "function" then return layer(x, ctx) end
    return layer:forward(x, ctx)
end

-- layer(x) as the part `name` of this place; without a name, at this place itself. All layers are called through here.
function Context:apply(name, layer, x)
    local row = { layer = layer, parameters = {} }
    local inner = derive(self, { layer = layer, row = row, path = name and join(self.path, name) or self.path })
    row.path = inner.path
    if type(layer) ~= "function" and not (type(layer) == "table" and layer.forward) then
        self:fail("a layer or a function(x, ctx) expected, got %s", check.describe(layer))
    end
    if not is_tensor(x) then inner:fail("a tensor expected, got %s", check.describe(x)) end
    local y = at(inner, function() return run(layer, x, inner) end)
    if not is_tensor(y) then inner:fail("a layer returns a tensor, this one returned %s", check.describe(y)) end
    row.input, row.shape = x:shape(), y:shape()
    rows[layer] = row
    if self.row then table.insert(self.row, row) end
    local makers = self.program.makers
    makers[y] = makers[y] or inner:label()
    return y
end

-- ---- what layers own ----------------------------------------------------------------------------------------------

-- Enters it into one of the registry's lists. The shape must be the same in all programs.
local function declare(self, list, entry)
    local known = list[entry.name]
    if not known then
        list[#list + 1], list[entry.name] = entry, entry
    elseif table.concat(known.shape, ", ") ~= table.concat(entry.shape, ", ") then
        self:fail("%s has the shape (%s) here, and (%s) in %s: the sizes of what comes in must not change", entry.name,
            table.concat(entry.shape, ", "), table.concat(known.shape, ", "), known.layer)
    end
end

-- A layer that was made anew by the same line counts as the same.
local function same_layer(a, b)
    if a == b or type(a) ~= "table" or type(b) ~= "table" then return a == b end
    return a.kind == b.kind and a.line ~= nil and a.line == b.line
end

local function claim(self, name)
    local owners = self.program.owners
    local owner = owners[name]
    if owner and not same_layer(owner.layer, self.layer) then
        self:fail("%s belongs to %s already: give the two layers different names, as in nn.conv { name = 'first', ... }"
            .. ", or call them in ctx:scope(name, function(ctx) ... end)", name, owner:label())
    end
    owners[name] = owners[name] or self
end

local function check_start(self, name, start)
    if not init.is(start) then
        self:fail("%s: an initializer, such as nn.init.zeros(), expected, got %s", name, check.describe(start))
    elseif init.goes_by_size(start) then
        self:fail("%s: nn.init.%s() goes by the layer's size, which only ctx:weight tells", name, start.kind)
    end
end

-- A parameter or variable, made by graph[method]. What comes with the second call is the same tensor.
local function leaf(self, list, method, name, shape, start)
    local full = join(self.path, name)
    check_start(self, name, start)
    claim(self, full)
    local entry = { name = full, group = self.group, shape = shape, init = start, layer = self:label() }
    declare(self, list, entry)
    local leaves = self.program.leaves
    if not leaves[full] then
        local value = self.seed and init.value(entry, self.seed) or nil
        leaves[full] = self.graph[method](self.graph, full, shape, { group = self.group, value = value })
    end
    return leaves[full]
end

-- The parameter "<path>.<name>" of the group. `start` is an initializer (nn/initializer.lua).
function Context:param(name, shape, start)
    local tensor = leaf(self, self.registry.parameters, "param", name, shape, start)
    if self.row then
        local count = 1
        for _, size in ipairs(shape) do count = count * size end
        self.row.parameters[join(self.path, name)] = count
    end
    return tensor
end

-- The parameter "<path>.weight", which spectral_norm may rescale. Options: init; fan_in, how many products make up
-- one output; fan_out, to how many outputs an input goes; outputs, the axis that counts the outputs (the last).
function Context:weight(shape, options)
    local weight = self:param("weight", shape, init.resolve(options.init, options.fan_in, options.fan_out))
    return self.rescale and self.rescale(self, weight, options.outputs or #shape) or weight
end

-- This context, but each weight is what f(ctx, weight, outputs) makes of it.
function Context:rescaling(f)
    return derive(self, { rescale = f })
end

-- The state variable "<path>.<name>", which no optimizer changes. `start`: a number or an initializer.
function Context:variable(name, shape, start)
    if type(start) == "number" then start = init.constant(start) end
    return leaf(self, self.registry.variables, "variable", name, shape, start)
end

-- ---- what happens to variables ------------------------------------------------------------------------------------

-- What the variable will hold after the assignments made so far.
function Context:current(variable)
    local pair = self.program.assigned[variable]
    return pair and pair[2] or variable
end

-- The variable holds the tensor's numbers after each run. In sampling nothing is assigned.
function Context:assign(variable, tensor)
    if not (self.training and self.update_statistics) then return end
    local assigned = self.program.assigned
    if not assigned[variable] then
        assigned[variable] = { variable }
        table.insert(self.assignments, assigned[variable])
    end
    assigned[variable][2] = tensor:detach()
end

-- ---- the rest -----------------------------------------------------------------------------------------------------

-- A schedule's input.
local function scheduled(self, schedule)
    local list = self.registry.schedules
    if not list[schedule] then
        list[schedule] = #list -- inputs are counted from 0
        list[#list + 1] = schedule
    end
    return self.graph:input("n." .. list[schedule])
end

-- The options of the layer that a hyperparameter stands for.
local function add_uses(self, uses, name)
    local rules = type(self.layer) == "table" and self.layer.option_rules or {}
    for _, option in ipairs(check.names(rules)) do
        if rules[option].live and self.layer[option] == name then
            uses[#uses + 1] = { what = ("%s: %s"):format(self:label(), option), rule = rules[option] }
        end
    end
end

-- A number as it is; a text, the name of a hyperparameter, as the scalar input "h.<text>"; a schedule as the scalar
-- input "n.<i>". Inputs may change between two runs. `what` and `rule` (check.lua) say what the number is and may be,
-- where it is no option of the layer.
function Context:number(value, what, rule)
    if getmetatable(value) == "brood.Schedule" then return scheduled(self, value) end
    if type(value) ~= "string" then return value end
    local list = self.registry.hyperparameters
    if not list[value] then
        list[value] = { name = value, layer = self:label(), uses = {} }
        list[#list + 1] = list[value]
    end
    local uses = list[value].uses
    if rule then uses[#uses + 1] = { what = what, rule = rule } else add_uses(self, uses, value) end
    return self.graph:input("h." .. value)
end

-- The labels that the network is called with; an error where there are none.
function Context:needed_labels()
    local advice = self.classes and "call the network with them, as in net.D(x, labels)"
        or "conditional = true is missing in the experiment"
    return self.labels or self:fail("labels expected: %s", advice)
end

-- f() the first time in this program, afterwards the same result. The key belongs to this place.
function Context:once(key, f)
    local once = self.program.once
    key = join(self.path, key)
    if once[key] == nil then once[key] = f() end
    return once[key]
end

return context
