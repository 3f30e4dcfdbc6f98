-- How classifiers are trained: as players of one, in the same engine that trains GANs; several at the same time, a
-- thread each.
local init = require "brood.nn.initializer"
local context = require "brood.context"
local graph = require "brood.graph"
local loss = require "brood.loss"
local model = require "brood.model"
local optim = require "brood.optim"
local rotation = require "brood.metric.rotation"
local schedule = require "brood.schedule"
local script = require "brood.script"

local PARTS = 5 -- lines of progress

local training = {}

-- ---- one classifier's model ---------------------------------------------------------------------------------------

-- The learning rate rises over a tenth of the steps, and falls to nothing.
local function rate(self)
    local rise = math.max(1, self.steps // 10)
    return schedule.warmup {
        from = self.lr / 10, steps = rise,
        after = schedule.cosine { from = self.lr, to = 0, steps = math.max(1, self.steps - rise) },
    }
end

-- The graph that the classifier is trained in: the loss, and the context that it was made in.
local function loss_of(self, registry)
    local g = graph.new()
    local ctx = context.new { graph = g, registry = registry, seed = false, group = "C" }
    local x = g:input("real", { self.batch, table.unpack(self.learned:shape()) })
    local labels
    if self.labelled then labels = g:input("real_labels", { self.batch }) else x, labels = rotation.turn(g, x) end
    if self.change then x = self.change(x, ctx) end
    local _, logits = self:apply(ctx, x)
    return loss.cross_entropy({ graph = g }, logits, labels), ctx
end

local function model_of(self)
    local cost, ctx = loss_of(self, self.registry)
    local parameters = {}
    for i, declared in ipairs(self.registry.parameters) do parameters[i] = ctx.program.leaves[declared.name] end
    local player = {
        name = "C", group = "C", repeats = 1, optimizer = optim.adam { lr = rate(self) },
        graph = ctx.graph, loss = cost, outputs = { { "loss", cost } }, assign = ctx.assignments,
        parameters = parameters,
    }
    local set = self.half and self.learned:part(self.half, 2) or self.learned
    return model.new {
        data = set, batch = self.batch, players = { player }, hypers = {}, numbers = self.registry.schedules,
    }
end

-- All that the classifier owns: { name, shape, init, ... }.
local function declared(registry)
    local all = {}
    for _, list in ipairs { registry.parameters, registry.variables } do
        table.move(list, 1, #list, #all + 1, all)
    end
    return all
end

-- What is trained, in words that differ when it does: all that is computed, and what parameters begin with.
function training.text(self)
    local registry = context.registry()
    local _, ctx = loss_of(self, registry)
    local lines = { ctx.graph:text() }
    for _, entry in ipairs(declared(registry)) do lines[#lines + 1] = entry.name .. " " .. tostring(entry.init) end
    return table.concat(lines, "\n")
end

local function member_of(self)
    local initial = {}
    local made = model_of(self)
    for _, entry in ipairs(declared(self.registry)) do initial[entry.name] = init.value(entry, self.seed) end
    return made:member(self.seed, 0, initial)
end

-- ---- all of them --------------------------------------------------------------------------------------------------

-- Trains the classifiers in the list.
function training.run(list)
    local members = {}
    for i, self in ipairs(list) do
        self.say(("training a classifier on %s%s, %d steps"):format(self.learned,
            self.half and (" (half %d)"):format(self.half) or "", self.steps))
        members[i] = member_of(self)
    end
    for part = 1, PARTS do
        local steps = {}
        for i, self in ipairs(list) do
            steps[i] = self.steps * part // PARTS - self.steps * (part - 1) // PARTS
        end
        local signals, failure = model.train_together(members, steps)
        if not signals then
            script.fail(("metric.classifier: training failed, a smaller lr may help: %s"):format(failure))
        end
        for i, self in ipairs(list) do
            self.say(("classifier %s: step %d of %d, loss %.4f"):format(self.hash:sub(1, 8), members[i]:age(),
                self.steps, signals[i]["C.loss"]))
        end
    end
    for i, self in ipairs(list) do
        for _, entry in ipairs(declared(self.registry)) do self.looker:set(entry.name, members[i]:get(entry.name)) end
    end
end

return training
