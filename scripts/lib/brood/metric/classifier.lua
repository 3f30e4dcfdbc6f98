-- Classifiers: small networks, trained here on the labels of a data set, whose logits and features the scores of
-- generators stand on.
--
--     local c = metric.classifier { data = data.mnist {}, seed = 1, half = 1 }
--     print(c)                                   -- what it is, and how good
--     local logits, features = c:look(images)    -- images (n, h, w, c), which are rounded to 8 bits → brood.Rows
--     local selection, report = metric.classifiers { data = data.mnist {} }     -- the two of an experiment
--
-- What comes out is kept in the user's cache folder under the hash of all that it depends on: the data, the
-- architecture, the recipe and the seed. Of data without labels it learns which way up images are
-- (metric/rotation.lua). Images of stacked_mnist are looked at plane by plane by a classifier of MNIST, whose three
-- answers make one of 1000 classes.
local check = require "brood.check"
local context = require "brood.context"
local core = require "brood.metric.core"
local graph = require "brood.graph"
local keep = require "brood.metric.cache"
local networks = require "brood.metric.network"
local nn = require "brood.nn"
local reals = require "brood.metric.reals"
local rotation = require "brood.metric.rotation"
local script = require "brood.script"
local training = require "brood.metric.training"

local BATCH = 64           -- images that are looked at at a time
local PIECE = 1000         -- test images at a time
local TEST_LIMIT = 10000   -- test images that the accuracy is taken from

local Classifier = { __name = "brood.Classifier" }
Classifier.__index = Classifier

local classifier = {}

-- ---- fields -------------------------------------------------------------------------------------------------------

local function is_dataset(value) return getmetatable(value) == "brood.Dataset" end

local FIELDS = {
    data = { "data set, such as data.digits {},", is = is_dataset, required = true },
    test = { "data set", is = is_dataset },                 -- otherwise data:test()
    seed = { "number", integer = true, min = 0, default = 1 },
    half = { "number", integer = true, min = 1, max = 2 },  -- trained on one half of the images only
    -- "strided" or "mixed", or a function(shape, classes) that returns a layer: images to features, (n, features)
    architecture = {
        "name of an architecture, 'strided' or 'mixed', or a function",
        is = function(value) return type(value) == "function" or networks.named[value] ~= nil end,
        default = "strided",
    },
    steps = { "number", integer = true, min = 1 },          -- these three: otherwise as the recipe for such data says
    batch = { "number", integer = true, min = 2 },
    lr = { "number", above = 0 },
    cache = { "boolean", default = true },
    say = { "function" },                                   -- gets lines about what is going on; otherwise stderr
}

-- What it learns from, and what it is then to tell apart.
local function read_data(self)
    self.shape = self.data:shape()
    self.planes = self.data:kind() == "stacked_mnist" and 3 or 1
    self.learned = self.planes == 3 and self.data:digits() or self.data
    self.classes = self.learned:classes()
    self.labelled = #self.classes >= 2
    if self.shape[1] < 8 or self.shape[2] < 8 then
        script.fail(("metric.classifier: data: images of 8×8 or more expected: %s"):format(self.data))
    elseif not self.labelled and self.shape[1] ~= self.shape[2] then
        script.fail(("metric.classifier: data: images without labels must be square, to be turned, as data.folder"
            .. " { size = 32 } makes them: %s"):format(self.data))
    end
    if not self.labelled then self.classes = rotation.classes end
    self.test = self.test or self.data:test()
    self.learned_test = self.planes == 3 and self.learned:test() or self.test
end

local function read(given)
    local self = check.fields("metric.classifier", given, FIELDS)
    read_data(self)
    local recipe = networks.recipe(self.half and self.learned:part(self.half, 2) or self.learned)
    for _, name in ipairs { "steps", "batch", "lr" } do self[name] = self[name] or recipe[name] end
    self.dropout, self.augment, self.change = recipe.dropout, recipe.augment, recipe.change
    self.say = self.say or function(line) io.stderr:write("brood: ", line, "\n") end
    return setmetatable(self, Classifier)
end

-- ---- the networks -------------------------------------------------------------------------------------------------

local function make_networks(self)
    local make = networks.named[self.architecture] or self.architecture
    self.body = make(self.learned:shape(), #self.classes)
    self.head = nn.linear { out = #self.classes }
    self.drop = nn.dropout { rate = self.dropout }
    self.registry = context.registry()
end

-- Features and logits of the images x.
function Classifier:apply(ctx, x)
    local features = ctx:apply("body", self.body, x)
    local shape = features:shape()
    if #shape ~= 2 then
        script.fail(("metric.classifier: architecture: features (n, how many) expected, got (%s)"):format(
            table.concat(shape, ", ")))
    end
    return features, ctx:apply("head", self.head, ctx:apply("drop", self.drop, features))
end

-- What looks at images: features and logits of a batch, by the running statistics.
local function make_looker(self)
    local g = graph.new()
    local ctx = context.new { graph = g, registry = self.registry, seed = false, group = "C", training = false }
    local features, logits = self:apply(ctx, g:input("images", { BATCH, table.unpack(self.learned:shape()) }))
    self.width = features:shape()[2] * self.planes
    self.looker, self.looks = g:compile { features = features, logits = logits }, g:text()
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
    return core.look(self.looker, self.planes, images)
end

-- ---- how good it is -----------------------------------------------------------------------------------------------

-- Test images and their labels, piece by piece: f(images, labels).
local function each_piece(self, f)
    local set = self.learned_test
    local count = math.min(set:count(), TEST_LIMIT)
    for first = 1, count, PIECE do
        local images, labels = set:samples(first, math.min(PIECE, count - first + 1))
        if not self.labelled then images, labels = rotation.of_images(images) end
        f(images, labels:flat())
    end
    return count
end

-- [i][j]: test images of class i that are called j.
local function confusion_of(self)
    local confusion, right = {}, 0
    for i = 1, #self.classes do
        confusion[i] = {}
        for j = 1, #self.classes do confusion[i][j] = 0 end
    end
    local count = each_piece(self, function(images, labels)
        local called = core.labels("metric.classifier", (core.look(self.looker, 1, images))):flat()
        for i, label in ipairs(labels) do
            local a, b = label // 1 | 0, called[i] // 1 | 0
            confusion[a][b] = confusion[a][b] + 1
            if a == b then right = right + 1 end
        end
    end)
    return confusion, right / count, count
end

-- Sets accuracy, confusion, and the score of real test images.
local function evaluate(self)
    local confusion, accuracy, count = confusion_of(self)
    local images = reals.samples(self.test, math.min(self.test:count(), TEST_LIMIT))
    local score = core.inception_score("metric.classifier", (self:look(images)), 1, true)
    self.facts = {
        accuracy = accuracy, tested = count, confusion = confusion,
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
    return ("classifier %s of %s%s%s, %s, seed %d: accuracy %.2f %% of %d test images%s"):format(
        self.hash:sub(1, 8), self.labelled and "" or "which way up are ", self.data,
        self.half and (" (half %d)"):format(self.half) or "",
        type(self.architecture) == "string" and self.architecture or "own architecture", self.seed,
        100 * f.accuracy, f.tested,
        self.labelled and (", whose score is %.3f ± %.3f"):format(f.score, f.score_deviation) or "")
end

-- ---- what it depends on -------------------------------------------------------------------------------------------

-- The classifier in words: each op of what looks and of what is trained, since functions may be layers, and the rest of
-- the recipe.
local function identity(self)
    return table.concat({
        "classifier 3", self.looks, training.text(self),
        ("%d classes%s, seed %d, half %s"):format(#self.classes, self.labelled and "" or " (ways up)", self.seed,
            self.half or "none"),
        ("steps %d, batch %d, lr %.9g, dropout %.9g, augment %s"):format(self.steps, self.batch, self.lr, self.dropout,
            self.augment or "none"),
    }, "\n")
end

-- Of the data, the test data, and what is learned from.
local function hash_of(self)
    return core.hash(identity(self), self.data:hash(), self.test:hash(), self.planes > 1 and self.learned:hash() or "")
end

-- ---- constructors -------------------------------------------------------------------------------------------------

-- The classifiers that the lists of fields describe. Those that are not kept are trained at the same time.
local function make_all(given)
    local all, missing = {}, {}
    for i, fields in ipairs(given) do
        local self = read(fields)
        make_networks(self)
        make_looker(self)
        self.hash = hash_of(self)
        if not (self.cache and keep.load(self)) then missing[#missing + 1] = self end
        all[i] = self
    end
    if #missing > 0 then training.run(missing) end
    for _, self in ipairs(missing) do
        evaluate(self)
        if self.cache then keep.save(self) end
    end
    return all
end

function classifier.classifier(given)
    return make_all({ given })[1]
end

-- An experiment has two, which know nothing of each other: the selection classifier, that exploit goes by, and the
-- report classifier, that people are told by. They have different seeds, architectures and halves of the data.
local ROLES = {
    selection = { seed = 1, half = 1, architecture = "strided" },
    report = { seed = 2, half = 2, architecture = "mixed" },
}

local function fields_of(given, role)
    local all = {}
    for name, value in pairs(type(given) == "table" and given or {}) do all[name] = value end
    for name, value in pairs(ROLES[role]) do all[name] = value end
    return all
end

-- One that has learned nothing, and so is had at once: for those who want to know how long it takes to look.
function classifier.untrained(given, role)
    local self = read(fields_of(given, role))
    make_networks(self)
    make_looker(self)
    return self
end

-- { role = classifier } for the list of roles, of more fields of metric.classifier.
function classifier.for_roles(given, roles)
    local all, by_role = {}, {}
    for i, role in ipairs(roles) do all[i] = fields_of(given, role) end
    for i, made in ipairs(make_all(all)) do by_role[roles[i]] = made end
    return by_role
end

-- Both: selection, report.
function classifier.classifiers(given)
    local made = classifier.for_roles(given, { "selection", "report" })
    return made.selection, made.report
end

function classifier.is_classifier(value)
    return getmetatable(value) == Classifier
end

return classifier
