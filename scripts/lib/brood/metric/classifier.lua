-- Classifiers: small networks, trained here on the labels of a data set, whose logits and features the scores of
-- generators stand on.
--
--     local c = metric.classifier { data = data.mnist {}, seed = 1, half = 1 }
--     print(c)                                   -- what it is, and how good
--     local logits, features = c:look(images)    -- images (n, h, w, c); they are rounded to 8 bits
--
-- Training is a player of one in the same engine that trains GANs. What comes out is kept in the user's cache folder
-- under the hash of all that it depends on: the data, the architecture, the recipe and the seed.
local check = require "brood.check"
local context = require "brood.context"
local core = require "brood.metric.core"
local graph = require "brood.graph"
local init = require "brood.nn.initializer"
local keep = require "brood.metric.cache"
local loss = require "brood.loss"
local model = require "brood.model"
local networks = require "brood.metric.network"
local nn = require "brood.nn"
local optim = require "brood.optim"
local schedule = require "brood.schedule"
local script = require "brood.script"

local BATCH = 100          -- images that are looked at at a time
local TEST_LIMIT = 10000   -- test images that the accuracy is taken from
local HASHED = 10000       -- training images that go into the hash

local Classifier = { __name = "brood.Classifier" }
Classifier.__index = Classifier

local classifier = {}

-- ---- fields -------------------------------------------------------------------------------------------------------

local function is_dataset(value) return getmetatable(value) == "brood.Dataset" end

local FIELDS = {
    data = { "data set, such as data.digits {},", is = is_dataset, required = true },
    test = { "data set", is = is_dataset },                 -- otherwise data:test()
    seed = { "number", integer = true, min = 0, default = 1 },
    half = { "number", integer = true, min = 1, max = 2 },  -- trained on one half of the images (see recipe)
    -- "strided" or "mixed", or a function(shape, classes) that returns a layer: images to features, (n, features)
    architecture = {
        "name of an architecture, 'strided' or 'mixed', or a function",
        is = function(value) return type(value) == "function" or networks[value] ~= nil end,
        default = "strided",
    },
    steps = { "number", integer = true, min = 1 },          -- these three: otherwise as the recipe for such data says
    batch = { "number", integer = true, min = 2 },
    lr = { "number", above = 0 },
    cache = { "boolean", default = true },
    say = { "function" },                                   -- gets lines about what is going on; otherwise stderr
}

local function read(given)
    local self = check.fields("metric.classifier", given, FIELDS)
    self.shape, self.classes = self.data:shape(), self.data:classes()
    if #self.classes < 2 then
        script.fail(("metric.classifier: data: at least two classes expected: %s"):format(self.data))
    elseif self.shape[1] < 8 or self.shape[2] < 8 then
        script.fail(("metric.classifier: data: images of 8×8 or more expected: %s"):format(self.data))
    end
    local recipe = networks.recipe(self.data)
    for _, name in ipairs { "steps", "batch", "lr" } do self[name] = self[name] or recipe[name] end
    self.dropout, self.augment, self.change = recipe.dropout, recipe.augment, recipe.change
    self.test = self.test or self.data:test()
    self.trained_on = self.half and self.data:part(self.half, 2) or self.data
    self.say = self.say or function(line) io.stderr:write("brood: ", line, "\n") end
    return setmetatable(self, Classifier)
end

-- ---- the networks -------------------------------------------------------------------------------------------------

local function make_networks(self)
    local make = networks[self.architecture] or self.architecture
    self.body = make(self.shape, #self.classes)
    self.head = nn.linear { out = #self.classes }
    self.drop = nn.dropout { rate = self.dropout }
    self.registry = context.registry()
end

-- Features and logits of the images x.
local function apply(self, ctx, x)
    local features = ctx:apply("body", self.body, x)
    local shape = features:shape()
    if #shape ~= 2 then
        script.fail(("metric.classifier: architecture: features (n, how many) expected, got (%s)"):format(
            table.concat(shape, ", ")))
    end
    return features, ctx:apply("head", self.head, ctx:apply("drop", self.drop, features))
end

local function new_context(self, g, training)
    return context.new {
        graph = g, registry = self.registry, seed = false, group = "C", training = training,
        update_statistics = training,
    }
end

-- What looks at images: features and logits of a batch, by the running statistics.
local function make_looker(self)
    local g = graph.new()
    local x = g:input("images", { BATCH, table.unpack(self.shape) })
    local features, logits = apply(self, new_context(self, g, false), x)
    self.width = features:shape()[2]
    self.looker = g:compile { features = features, logits = logits }
end

local function make_model(self)
    local g = graph.new()
    local ctx = new_context(self, g, true)
    local x = g:input("real", { self.batch, table.unpack(self.shape) })
    if self.change then x = self.change(x, ctx) end
    local _, logits = apply(self, ctx, x)
    local cost = loss.cross_entropy({ graph = g }, logits, g:input("real_labels", { self.batch }))
    local parameters = {}
    for i, declared in ipairs(self.registry.parameters) do parameters[i] = ctx.program.leaves[declared.name] end
    local rise = math.max(1, self.steps // 10)
    local lr = schedule.warmup {
        from = self.lr / 10, steps = rise,
        after = schedule.cosine { from = self.lr, to = 0, steps = math.max(1, self.steps - rise) },
    }
    local player = {
        name = "C", group = "C", repeats = 1, optimizer = optim.adam { lr = lr },
        graph = g, loss = cost, outputs = { { "loss", cost } }, assign = ctx.assignments, parameters = parameters,
    }
    return model.new {
        data = self.trained_on, batch = self.batch, players = { player }, hypers = {},
        numbers = self.registry.schedules,
    }
end

local function declared(self)
    local all = {}
    for _, list in ipairs { self.registry.parameters, self.registry.variables } do
        table.move(list, 1, #list, #all + 1, all)
    end
    return all
end

-- ---- training -----------------------------------------------------------------------------------------------------

local function train(self)
    self.say(("training a classifier on %s%s, %d steps"):format(self.data,
        self.half and (" (half %d)"):format(self.half) or "", self.steps))
    local trained, initial = make_model(self), {}
    for _, entry in ipairs(declared(self)) do initial[entry.name] = init.value(entry, self.seed) end
    local member = trained:member(self.seed, 0, initial)
    local parts = 5
    for part = 1, parts do
        local signals, failure = member:train(self.steps * part // parts - self.steps * (part - 1) // parts)
        if not signals then
            script.fail(("metric.classifier: training failed, a smaller lr may help: %s"):format(failure))
        end
        self.say(("classifier: step %d of %d, loss %.4f"):format(member:age(), self.steps, signals["C.loss"]))
    end
    for _, entry in ipairs(declared(self)) do self.looker:set(entry.name, member:get(entry.name)) end
end

-- ---- looking ------------------------------------------------------------------------------------------------------

-- Logits (n, classes) and features (n, width) of images (n, height, width, channels), rounded to 8 bits first.
function Classifier:look(images)
    local shape = getmetatable(images) == "brood.Value" and images:shape() or {}
    if #shape ~= 4 or table.concat(shape, "×", 2) ~= table.concat(self.shape, "×") then
        script.fail(("classifier: images of %s expected, as it was trained on %s; got %s"):format(
            table.concat(self.shape, "×"), self.data, #shape > 0 and ("(%s)"):format(table.concat(shape, ", "))
            or check.describe(images)))
    end
    local logits = graph.value({ shape[1], #self.classes }, 0)
    local features = graph.value({ shape[1], self.width }, 0)
    for first = 1, shape[1], BATCH do
        local seen = self.looker:run { images = core.take(images, first, BATCH) }
        core.put(logits, first, seen.logits)
        core.put(features, first, seen.features)
    end
    return logits, features
end

-- Logits, features and labels of images first, ..., first + count - 1 of a data set.
function Classifier:look_at_data(set, first, count)
    local images, labels = set:samples(first, count)
    local logits, features = self:look(images)
    return logits, features, labels
end

-- ---- how good it is -----------------------------------------------------------------------------------------------

-- Sets accuracy, confusion ([i][j]: test images of class i that are called j) and the score of real test images.
local function evaluate(self)
    local count = math.min(self.test:count(), TEST_LIMIT)
    local logits, _, labels = self:look_at_data(self.test, 1, count)
    local called, is = core.labels("metric.classifier", logits):flat(), labels:flat()
    local right, confusion = 0, {}
    for i = 1, #self.classes do
        confusion[i] = {}
        for j = 1, #self.classes do confusion[i][j] = 0 end
    end
    for i = 1, count do
        local a, b = is[i] // 1 | 0, called[i] // 1 | 0
        confusion[a][b] = confusion[a][b] + 1
        if a == b then right = right + 1 end
    end
    local score = core.inception_score("metric.classifier", logits, 1, true)
    self.facts = {
        accuracy = right / count, tested = count, confusion = confusion,
        score = score.mean, score_deviation = score.bootstrap_deviation,
    }
end

-- The pairs of classes that are taken for each other most often: { { class, called, count, share }, ... }.
function Classifier:worst(most)
    local pairs_of = {}
    for i, row in ipairs(self.facts.confusion) do
        local total = 0
        for _, count in ipairs(row) do total = total + count end
        for j, count in ipairs(row) do
            if i ~= j and count > 0 then
                local share = count / total
                local pair = { class = self.classes[i], called = self.classes[j], count = count, share = share }
                pairs_of[#pairs_of + 1] = pair
            end
        end
    end
    table.sort(pairs_of, function(a, b)
        if a.count ~= b.count then return a.count > b.count end
        return a.class .. a.called < b.class .. b.called
    end)
    return table.move(pairs_of, 1, most or 5, 1, {})
end

function Classifier:__tostring()
    local f = self.facts
    return ("classifier %s of %s%s, %s, seed %d: accuracy %.2f %% of %d test images, whose score is %.3f ± %.3f"):format(
        self.hash:sub(1, 8), self.data, self.half and (" (half %d)"):format(self.half) or "",
        type(self.architecture) == "string" and self.architecture or "own architecture", self.seed,
        100 * f.accuracy, f.tested, f.score, f.score_deviation)
end

-- ---- what it depends on -------------------------------------------------------------------------------------------

-- Stands for a data set: what it says of itself, and its images, up to HASHED of them, evenly spread.
local function data_hash(set)
    local count = set:count()
    local chunks = math.max(1, math.min(count, HASHED) // BATCH)
    local hash = core.hash(tostring(set))
    for chunk = 0, chunks - 1 do
        local first = count * chunk // chunks + 1
        hash = core.hash(hash, set:samples(first, math.min(BATCH, count - first + 1)))
    end
    return hash
end

-- The architecture in words, without the title, which says where it was made. A function that is a layer shows its
-- place only, so the program's size counts too.
local function identity(self)
    local stats = self.looker:stats()
    local layers = nn.describe(self.body, { 2, table.unpack(self.shape) }):gsub("^[^\n]*\n", "")
    return table.concat({
        "classifier 1", layers,
        ("%d nodes, %d parameters, %.0f flops"):format(stats.nodes, stats.parameters, stats.flops),
        ("%d classes, seed %d, half %s"):format(#self.classes, self.seed, self.half or "none"),
        ("steps %d, batch %d, lr %.9g, dropout %.9g, augment %s"):format(self.steps, self.batch, self.lr, self.dropout,
            self.augment or "none"),
    }, "\n")
end

-- ---- constructors -------------------------------------------------------------------------------------------------

function classifier.classifier(given)
    local self = read(given)
    make_networks(self)
    make_looker(self)
    self.hash = core.hash(identity(self), data_hash(self.trained_on), data_hash(self.test))
    if self.cache and keep.load(self) then return self end
    train(self)
    evaluate(self)
    if self.cache then keep.save(self) end
    return self
end

-- The two of an experiment, which know nothing of each other: the selection classifier, that exploit goes by, and the
-- report classifier, that people are told by. They have different seeds, architectures and halves of the data.
function classifier.classifiers(given)
    local function with(changes)
        local fields = {}
        for name, value in pairs(type(given) == "table" and given or {}) do fields[name] = value end
        for name, value in pairs(changes) do fields[name] = value end
        return classifier.classifier(fields)
    end
    return with { seed = 1, half = 1, architecture = "strided" }, with { seed = 2, half = 2, architecture = "mixed" }
end

function classifier.is_classifier(value)
    return getmetatable(value) == Classifier
end

return classifier
