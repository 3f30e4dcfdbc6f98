-- brood.experiment { ... }: what a script returns. It checks the fields, builds the players' programs once, and
-- makes members that train. Nothing here runs while they do.
--
-- Training programs: the discriminator's update (twice where its penalty is lazy, with and without) and the
-- generator's; and one that samples. Each is a graph of its own; equal names are equal parameters.
local brood = require "brood"
local check = require "brood.check"
local context = require "brood.context"
local data = require "brood.data"
local graph = require "brood.graph"
local init = require "brood.nn.initializer"
local model = require "brood.model"
local schedule = require "brood.schedule"
local script = require "brood.script"

local Experiment = {}
Experiment.__index = Experiment
Experiment.__name = "brood.Experiment"

-- ---- fields --------------------------------------------------------------------------------------------------------

local function is_a(class)
    return function(value) return getmetatable(value) == class end
end

local function is_callable(value)
    if type(value) == "function" then return true end
    local meta = getmetatable(value)
    return type(value) == "table" and (meta == "brood.Loss" or type(meta) == "table" and meta.__call ~= nil)
end

local function is_optimizer(value)
    return type(value) == "table" and type(value.kind) == "string"
end

local FUNCTION = { "function", is = is_callable, required = true }
local OPTIMIZER = { "optimizer, such as optim.adam {},", is = is_optimizer }
local WHOLE = { "number", integer = true, min = 1 }

local FIELDS = {
    name = { "string", required = true },
    data = { "data set, such as data.digits {},", is = is_a "brood.Dataset" }, -- none: the loss makes up what is real
    latent = { "number", integer = true, min = 1, default = 64 },
    batch = { "number", integer = true, min = 1, default = 64 },
    generator = FUNCTION,     -- function(h) returns a layer: latent vectors (n, latent) → images
    discriminator = FUNCTION, -- function(h) returns a layer: images → a number each
    loss = FUNCTION,
    augment = { "function", is = is_callable }, -- of what the discriminator sees: brood.augment {}
    g_optimizer = OPTIMIZER,
    d_optimizer = OPTIMIZER,
    d_steps = schedule.number(1),
    update = { "string", choices = { "alternating", "simultaneous" }, default = "alternating" },
    fake = { "string", choices = { "fresh", "reuse" }, default = "fresh" },
    conditional = { "boolean" },                     -- labels go to both networks
    ema = schedule.number(0, 1),                     -- decay of the averaged generator, 0.999
    ema_warmup = { "number", min = 0, default = 10 },
    hyper = { "table" },                             -- { name = number }
    rounds = { "number", integer = true, min = 1, default = 20 },
    interval = { "number", integer = true, min = 1, default = 100 },
    seed = { "number", integer = true, min = 0, default = 1 },
    from = { "string" }, -- start with the state of this run, or with this state file, of the same networks
}

local function check_hypers(hyper)
    for _, name in ipairs(check.names(hyper)) do
        check.value(("experiment: hyper.%s"):format(name), hyper[name], { "number" })
    end
end

local experiment = {}

function experiment.new(given)
    local self = check.fields("experiment", given, FIELDS)
    local adam = { kind = "adam", lr = 2e-4, beta1 = 0.5 }
    self.g_optimizer, self.d_optimizer = self.g_optimizer or adam, self.d_optimizer or adam
    self.d_steps, self.ema, self.hyper = self.d_steps or 1, self.ema or 0.999, self.hyper or {}
    check_hypers(self.hyper)
    self.line = script.line()
    self.classes = self.data and #self.data:classes() or 0
    if self.conditional and self.classes == 0 then
        script.fail "experiment: conditional: the data set has no labels"
    end
    return setmetatable(self, Experiment)
end

-- ---- one program being built -----------------------------------------------------------------------------------------

-- What one player's program is built with: a graph, and a context for each network.
local function workshop(self, training, updating)
    local g = graph.new()
    local shared = context.new {
        graph = g, registry = self.registry, seed = false, training = training,
        classes = self.conditional and self.classes or nil,
    }
    local function of(player)
        return shared:with { group = player, path = player, update_statistics = updating == player }
    end
    return { graph = g, assignments = shared.assignments, G = of "G", D = of "D" }
end

-- The shape of a batch: points come without height and width.
local function batch_shape(self, count)
    local height, width, channels = table.unpack(self.data:shape())
    if height == 1 and width == 1 then return { count, channels } end
    return { count, height, width, channels }
end

local function generate(self, shop, z, labels)
    local ctx = shop.G:with { labels = labels or false }
    ctx.path = "G"
    local images = ctx:apply(nil, self.networks.G, z)
    local want = self.data and table.concat(batch_shape(self, z:shape()[1]), ", ")
    local got = table.concat(images:shape(), ", ")
    if want and want ~= got then
        script.fail(("experiment (%s): the generator makes (%s), the data are (%s)"):format(self.line, got, want))
    end
    return images
end

-- What a loss sees: scripts/lib/brood/loss.lua tells.
local function net_for(self, shop, player, penalize)
    local g, batch = shop.graph, self.batch
    local function labels(name) return self.conditional and g:input(name, { batch }) or nil end
    local net = {
        graph = g, batch = batch, classes = self.conditional and self.classes or nil,
        update = player, penalize = penalize,
        real = self.data and g:input("real", batch_shape(self, batch)) or nil,
        real_labels = labels "real_labels", fake_labels = labels "fake_labels",
    }
    function net.number(value) return shop[player]:number(value) end
    function net.G(z, of) return generate(self, shop, z, of or net.fake_labels) end
    function net.D(x, of)
        local ctx = shop.D:with { labels = of or false }
        ctx.path = "D"
        if self.augment then x = self.augment(x, ctx) end
        return ctx:apply(nil, self.networks.D, x)
    end
    net.h = setmetatable({}, { __index = function(_, name) return net.number(name) end })
    if player == "D" and self.fake == "reuse" then
        if not self.data then script.fail("experiment: fake = \"reuse\" needs data") end
        net.fake = g:input("fake", batch_shape(self, batch))
    else
        net.z = g:normal { batch, self.latent }
        net.fake = net.G(net.z)
    end
    return net
end

local function parameters_of(self, shop, player)
    local found = {}
    for _, declared in ipairs(self.registry.parameters) do
        if declared.group == player then found[#found + 1] = shop[player].program.leaves[declared.name] end
    end
    return found
end

local function scalar(value)
    return getmetatable(value) == "brood.Tensor" and #value:shape() == 0
end

-- One player's program, as brood.model takes it.
local function player_program(self, player, penalize)
    local shop = workshop(self, true, player)
    local net = net_for(self, shop, player, penalize)
    local d_loss, g_loss, signals = self.loss(net)
    local loss = player == "D" and d_loss or player == "G" and g_loss
    if not scalar(loss) then
        script.fail(("experiment (%s): the loss gives no scalar for %s: it returns the discriminator's loss, the"
            .. " generator's loss and, if it likes, a table of signals"):format(self.line, player))
    end
    local outputs = { { "loss", loss } }
    for _, name in ipairs(check.names(signals or {})) do
        if player == "D" and scalar(signals[name]) then outputs[#outputs + 1] = { name, signals[name] } end
    end
    local early = player == "G" and self.fake == "reuse" and net.fake or nil
    if early then outputs[#outputs + 1] = { "fake", net.fake } end
    return {
        graph = shop.graph, loss = loss, outputs = outputs, early = early, assign = shop.assignments,
        parameters = parameters_of(self, shop, player),
    }
end

-- ---- the model ---------------------------------------------------------------------------------------------------------

local function player(self, name, optimizer, repeats)
    local lazy = type(self.loss) == "table" and self.loss.lazy or nil
    local spec = player_program(self, name, not (lazy and name == "D"))
    spec.name, spec.group, spec.optimizer, spec.repeats = name, name, optimizer, repeats
    if lazy and name == "D" then spec.penalized, spec.lazy = player_program(self, name, true), lazy end
    if name == "D" and type(self.loss) == "table" then spec.clip = self.loss.clip end
    return spec
end

local function sampler(self)
    local shop = workshop(self, false)
    local z = shop.graph:input("z", { self.batch, self.latent })
    local labels = self.conditional and shop.graph:input("labels", { self.batch }) or nil
    local images = generate(self, shop, z, labels)
    self.made = #images:shape()
    return { graph = shop.graph, outputs = { { "images", images } } }
end

-- A hyperparameter is read by a network or loss, or stands for one of the numbers of the players.
local function check_used(self, players)
    local used = {}
    for _, read in ipairs(self.registry.hyperparameters) do used[read.name] = true end
    local function look(value)
        if type(value) == "string" then used[value] = true end
    end
    for _, spec in ipairs(players) do
        for key, value in pairs(spec.optimizer) do
            if key ~= "kind" then look(value) end
        end
        look(spec.repeats)
        look(spec.clip)
    end
    look(self.ema)
    for _, name in ipairs(check.names(used)) do
        if self.hyper[name] == nil then
            script.fail(("experiment (%s): hyperparameter '%s' is used, but not in hyper%s"):format(self.line, name,
                check.hint(name, check.names(self.hyper))))
        end
    end
    for _, name in ipairs(check.names(self.hyper)) do
        if not used[name] then
            script.fail(("experiment (%s): nothing reads hyper.%s%s"):format(self.line, name,
                check.hint(name, check.names(used))))
        end
    end
end

-- Builds everything; once.
function Experiment:build()
    if self.model then return self.model end
    self.registry = context.registry()
    self.networks = { G = self.generator(self.hyper), D = self.discriminator(self.hyper) }
    local players = { player(self, "D", self.d_optimizer, self.d_steps), player(self, "G", self.g_optimizer, 1) }
    local sampling = sampler(self)
    check_used(self, players)
    self.model = model.new {
        data = self.data, batch = self.batch, players = players, sampler = sampling,
        simultaneous = self.update == "simultaneous", reuse = self.fake == "reuse",
        average = "G", average_decay = self.ema, average_warmup = self.ema_warmup,
        hypers = check.names(self.hyper), numbers = self.registry.schedules or {},
    }
    return self.model
end

-- A new member of the population: its own initial weights, its own random streams.
function Experiment:member(seed, slot)
    self:build()
    local initial = {}
    local own = seed * 1000003 + slot
    for _, list in ipairs { self.registry.parameters, self.registry.variables } do
        for _, declared in ipairs(list) do initial[declared.name] = init.value(declared, own) end
    end
    local member = self.model:member(seed, slot, initial)
    member:set_hypers(self.hyper)
    return member
end

-- "images", "points" (of the plane) or "numbers": what the generator makes.
function Experiment:makes()
    self:build()
    if self.data then
        local height, width = table.unpack(self.data:shape())
        return height == 1 and width == 1 and "points" or "images"
    end
    return self.made == 4 and "images" or "numbers"
end

-- ---- what people look at -------------------------------------------------------------------------------------------------

-- A network as text: of a plain function there is only the place to show.
local function network_text(network)
    if type(network) ~= "function" then return tostring(network) end
    local place = debug.getinfo(network, "S")
    return ("the function in %s:%d"):format(place.short_src, place.linedefined)
end

-- The networks with their shapes and counts, the data, and what a member takes in memory.
function Experiment:describe()
    self:build()
    local stats = self.model:stats()
    return table.concat({
        ("experiment '%s'"):format(self.name),
        ("data: %s"):format(self.data and tostring(self.data) or "none"),
        "", "generator", network_text(self.networks.G),
        "", "discriminator", network_text(self.networks.D),
        "", ("memory: %.1f MB a member, %.1f MB a worker; %.2f GFLOP a step of one update each"):format(
            stats.state_bytes * 1e-6, stats.workspace_bytes * 1e-6, stats.flops * 1e-9),
    }, "\n")
end

Experiment.__tostring = Experiment.describe

experiment.new = check.constructor(experiment.new)
experiment.is = function(value) return getmetatable(value) == Experiment end

return experiment
