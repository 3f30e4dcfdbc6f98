-- The model of an experiment: its players' programs, put together.
--
-- Training programs: the discriminator's update (twice where it has lazy penalties, with and without) and the
-- generator's; and one that samples. Each is a graph of its own; equal names are equal parameters.
local check = require "brood.check"
local context = require "brood.context"
local graph = require "brood.graph"
local hypers = require "brood.experiment.hypers"
local model = require "brood.model"
local script = require "brood.script"

local function fail(self, message, ...)
    script.fail(("experiment (%s): %s"):format(self.line, message:format(...)))
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
    if want and want ~= table.concat(images:shape(), ", ") then
        fail(self, "%s makes %s, the data are (%s)", self:place "generator", ctx:origin(images), want)
    end
    return images
end

-- What a loss is called with. Some of it is not there in every experiment.
local Net = { __metatable = "brood.Net" } -- the name errors call it by
local NOT_ALWAYS = { real = true, z = true, real_labels = true, fake_labels = true, classes = true }

function Net.__index(net, name)
    if NOT_ALWAYS[name] then return nil end
    local names = check.names(net)
    for other in pairs(NOT_ALWAYS) do names[#names + 1] = other end
    script.fail(("net.%s: a loss is given nothing of this name%s"):format(name, check.hint(name, names)))
end

local LAZY = { "number", integer = true, min = 1 }

-- net.lazy and net.clip: what a loss asks of the trainer, wherever it is called from, comes to stand in `asked`. It is
-- asked of D's updates. `who` is the loss, if it is one of the library's.
local function let_ask(self, net, asked, penalize)
    local function ask(name, value, who, rule)
        local what = who and ("%s: %s"):format(who, name) or "net." .. name
        check.value(what, value, rule)
        if net.update ~= "D" then return end
        if asked[name] and asked[name].value ~= value then
            fail(self, "%s is %s, but %s for %s: D can have but one", what, value, asked[name].value, asked[name].what)
        end
        asked[name] = { value = value, what = what }
    end
    function net.lazy(every, who)
        ask("lazy", every, who, LAZY)
        return penalize
    end
    function net.clip(bound, who) ask("clip", bound, who, hypers.CLIP) end
end

-- What a loss sees: scripts/lib/brood/loss.lua tells.
local function net_for(self, shop, player, asked, penalize)
    local g, batch = shop.graph, self.batch
    local function labels(name) return self.conditional and g:input(name, { batch }) or nil end
    local net = {
        graph = g, batch = batch, classes = self.conditional and self.classes or nil,
        update = player,
        real = self.data and g:input("real", batch_shape(self, batch)) or nil,
        real_labels = labels "real_labels", fake_labels = labels "fake_labels",
    }
    let_ask(self, net, asked, penalize)
    function net.number(value, what, rule) return shop[player]:number(value, what, rule) end
    function net.G(z, of) return generate(self, shop, z, of or net.fake_labels) end
    function net.D(x, of)
        local ctx = shop.D:with { labels = of or false }
        ctx.path = "D"
        if self.augment then x = self.augment(x, ctx) end
        return ctx:apply(nil, self.networks.D, x)
    end
    net.h = setmetatable({}, { __index = function(_, name) return net.number(name) end })
    if player == "D" and self.fake == "reuse" then
        if not self.data then script.fail "experiment: fake = \"reuse\" needs data" end
        net.fake = g:input("fake", batch_shape(self, batch))
    else
        net.z = g:normal { batch, self.latent }
        net.fake = net.G(net.z)
    end
    return setmetatable(net, Net)
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

-- Signals: outputs to watch. Names that are outputs already, or the trainer's own, would be taken for those.
local TAKEN = { loss = true, norm = true, fake = true }

local function check_signal(self, name, value)
    local shape = getmetatable(value) == "brood.Tensor" and table.concat(value:shape(), ", ")
    if type(name) ~= "string" then
        fail(self, "the loss gives %s among its signals, without a name: { name = scalar, ... } expected",
            check.describe(value))
    elseif TAKEN[name] then
        fail(self, "the loss gives a signal '%s': loss, norm and fake are names of Brood's own: give another", name)
    elseif not scalar(value) then
        fail(self, "the loss gives the signal '%s': a scalar tensor expected, got %s", name,
            shape and ("one of the shape (%s): is :mean() missing?"):format(shape) or check.describe(value))
    end
end

-- Those of D's program are D's. From G's only what D's has not: a loss that gives the same for both is not to make G's
-- update compute what is for D.
local function add_signals(self, outputs, signals, player)
    if type(signals) ~= "table" then
        fail(self, "the loss's third result, a table of signals { name = scalar, ... }, is %s", check.describe(signals))
    end
    for name, value in pairs(signals) do check_signal(self, name, value) end
    for _, name in ipairs(check.names(signals)) do
        self.signals_of[name] = self.signals_of[name] or player
        if self.signals_of[name] == player then outputs[#outputs + 1] = { name, signals[name] } end
    end
end

-- One player's program, as brood.model takes it, and what its loss asked of the trainer.
local function player_program(self, player, penalize)
    local shop, asked = workshop(self, true, player), {}
    local net = net_for(self, shop, player, asked, penalize)
    local d_loss, g_loss, signals = self.loss(net)
    local loss = player == "D" and d_loss or player == "G" and g_loss
    if not scalar(loss) then
        fail(self, "the loss gives no scalar for %s: it returns the discriminator's loss, the generator's loss and, if"
            .. " it likes, a table of signals", player)
    end
    local outputs = { { "loss", loss } }
    if signals ~= nil then add_signals(self, outputs, signals, player) end
    local early = player == "G" and self.fake == "reuse" and net.fake or nil
    if early then outputs[#outputs + 1] = { "fake", net.fake } end
    return {
        graph = shop.graph, loss = loss, outputs = outputs, early = early, assign = shop.assignments,
        parameters = parameters_of(self, shop, player),
    }, asked
end

-- ---- the model ---------------------------------------------------------------------------------------------------------

local function player(self, name, optimizer, repeats)
    local spec, asked = player_program(self, name, true)
    if asked.lazy then
        local penalized = spec
        spec = player_program(self, name, false)
        spec.penalized, spec.lazy = penalized, asked.lazy.value
    end
    spec.name, spec.group, spec.optimizer, spec.repeats = name, name, optimizer, repeats
    if asked.clip then spec.clip, spec.clip_of = asked.clip.value, asked.clip.what end
    return spec
end

local function sampler(self)
    local shop = workshop(self, false)
    local z = shop.graph:input("z", { self.batch, self.latent })
    local labels = self.conditional and shop.graph:input("labels", { self.batch }) or nil
    local images = generate(self, shop, z, labels)
    rawset(self, "made", #images:shape())
    return { graph = shop.graph, outputs = { { "images", images } } }
end

-- The model of a shape (shape.lua): the experiment with networks and a registry. `names` are the hyperparameters that
-- programs may read.
return function(shape, names)
    shape.signals_of = {} -- by name: whose signal it is
    local players = { player(shape, "D", shape.d_optimizer, shape.d_steps), player(shape, "G", shape.g_optimizer, 1) }
    local sampling = sampler(shape)
    hypers.check(shape, players)
    return model.new {
        data = shape.data, batch = shape.batch, players = players, sampler = sampling,
        simultaneous = shape.update == "simultaneous", reuse = shape.fake == "reuse",
        average = "G", average_decay = shape.ema, average_warmup = shape.ema_warmup,
        hypers = names, numbers = shape.registry.schedules or {},
    }
end
