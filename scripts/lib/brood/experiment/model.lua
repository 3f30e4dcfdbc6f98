-- The model of an experiment: its players' programs, put together.
--
-- Training programs: the discriminator's update (twice where its penalty is lazy, with and without) and the
-- generator's; and one that samples. Each is a graph of its own; equal names are equal parameters.
local check = require "brood.check"
local context = require "brood.context"
local graph = require "brood.graph"
local model = require "brood.model"
local overrides = require "brood.override"
local script = require "brood.script"

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
    rawset(self, "made", #images:shape())
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
    for name in pairs(self.read) do used[name] = true end
    for _, name in ipairs(check.names(used)) do
        if self.space[name] and self.space[name].structural and not self.read[name] then
            script.fail(("experiment (%s): hyper.%s is structural: only generator(h) and discriminator(h) see it, as h.%s")
                :format(self.line, name, name))
        end
        if self.hyper[name] == nil then
            script.fail(("experiment (%s): hyperparameter '%s' is used, but not in hyper%s"):format(self.line, name,
                check.hint(name, check.names(self.hyper))))
        end
    end
    for _, name in ipairs(check.names(self.hyper)) do
        if not used[name] then
            overrides.check_read(self.overrides, name)
            script.fail(("experiment (%s): nothing reads hyper.%s%s"):format(self.line, name,
                check.hint(name, check.names(used))))
        end
    end
end

-- The model of a shape (shape.lua): the experiment with networks and a registry. `hypers` are the names of what the
-- programs may read.
return function(shape, hypers)
    local players = { player(shape, "D", shape.d_optimizer, shape.d_steps), player(shape, "G", shape.g_optimizer, 1) }
    local sampling = sampler(shape)
    check_used(shape, players)
    return model.new {
        data = shape.data, batch = shape.batch, players = players, sampler = sampling,
        simultaneous = shape.update == "simultaneous", reuse = shape.fake == "reuse",
        average = "G", average_decay = shape.ema, average_warmup = shape.ema_warmup,
        hypers = hypers, numbers = shape.registry.schedules or {},
    }
end
