-- Scorers as scripts make them; images without labels, stacked digits, points; alarms.
local support = dofile "tests/lua/support.lua"
local core = require "brood.metric.core"
local data = require "brood.data"
local files = require "brood.files"
local graph = require "brood.graph"
local metric = require "brood.metric"
local nn = require "brood.nn"
local image = require "brood.image"
local reals = require "brood.metric.reals"
local rotation = require "brood.metric.rotation"
local lu = support.lu

local function tiny()
    return nn.sequential {
        nn.conv { out = 8, kernel = 4, stride = 4 }, nn.relu {}, nn.flatten {}, nn.linear { out = 12 }, nn.relu {},
    }
end

local function classifier(fields)
    local given = { architecture = tiny, steps = 150, batch = 32, lr = 0.01, cache = false, say = function() end }
    for name, value in pairs(fields) do given[name] = value end
    return metric.classifier(given)
end

local set = data.digits { size = 16, count = 1000, classes = { 1, 2, 5, 8 } }
local one = classifier { data = set, half = 1 }
local other = classifier { data = set, half = 2, seed = 2 }
local experiment = { data = set, seed = 1 }
local real = reals.samples(set:test(), 300)

-- The warnings of f.
local function said_by(f)
    local said, stderr = {}, io.stderr
    io.stderr = { write = function(_, ...) said[#said + 1] = table.concat { ... } end }
    local fine, message = pcall(f)
    io.stderr = stderr
    if not fine then error(message, 0) end
    return table.concat(said)
end

-- ---- scorers ------------------------------------------------------------------------------------------------------

local TestScorer = {}

function TestScorer.test_facts()
    local select = metric.classifier_score { samples = 300, classifier = one }
    select.role = "selection"
    local scores = { select, metric.frechet { samples = 200, classifier = other }, metric.coverage { samples = 300,
        classifier = one } }
    local scorer, finish, facts = metric.scorer(scores, experiment)
    lu.assertNil(finish)
    lu.assertEquals({ scorer:count(), scorer:samples() }, { 3, 300 })
    lu.assertEquals({ facts[1].name, facts[1].role, facts[1].better, facts[1].classifier, facts[1].samples },
        { "classifier_score", "selection", "higher", one.hash, 300 })
    lu.assertEquals({ facts[2].name, facts[2].role, facts[2].better, facts[2].classifier },
        { "frechet", "report", "lower", other.hash })
    local values, deviations = scorer:measure(real)
    lu.assertEquals({ values[1], deviations[1] }, { facts[1].ceiling, facts[1].ceiling_deviation })
    lu.assertEquals(values[3], facts[3].ceiling)
    for i, score in ipairs(scores) do
        lu.assertEquals({ score:of_images(real) }, { values[i], deviations[i] })
    end
end

-- Values of measures become values of scores.
function TestScorer.test_finish()
    local scores = {
        metric.combine(function(s) return s.coverage - 2 * s.class_balance end, { samples = 300, classifier = one }),
        metric.recall { samples = 300, classifier = one },
    }
    local scorer, finish, facts = metric.scorer(scores, experiment)
    lu.assertEquals(scorer:count(), 3)
    local values, deviations = finish(scorer:measure(real))
    local coverage, balance = scores[1].components, {}
    lu.assertEquals({ coverage[1].kind, coverage[2].kind }, { "class_balance", "coverage" })
    for i, name in ipairs { "coverage", "class_balance", "recall" } do
        balance[i] = metric[name] { samples = 300, classifier = one }:of_images(real)
    end
    support.near(values, { balance[1] - 2 * balance[2], balance[3] }, 1e-12)
    lu.assertEquals(#deviations, 2)
    lu.assertEquals({ facts[1].ceiling, facts[1].honest }, { values[1], false })
end

-- A score is called what its kind is, or what the script says, which changes nothing else.
function TestScorer.test_names()
    local function f(s) return s.coverage end
    local given = { samples = 300, classifier = one }
    local scores = { metric.combine(f, given), metric.recall(given) }
    given.name = "other_2"
    scores[3], scores[4] = metric.combine(f, given), metric.recall(given)
    local _, _, facts = metric.scorer(scores, experiment)
    local names, kinds = {}, {}
    for i, fact in ipairs(facts) do names[i], kinds[i] = fact.name, fact.kind end
    lu.assertEquals(names, { "combine", "recall", "other_2", "other_2" })
    lu.assertEquals(kinds, { "combine", "recall", "combine", "recall" })
    lu.assertEquals({ facts[1].ceiling, facts[2].ceiling }, { facts[3].ceiling, facts[4].ceiling })
    support.fails("metric.combine: name: a name of letters, digits and '_' expected, got the text 'a b'", function()
        metric.combine(f, { name = "a b" })
    end)
end

-- A role's classifier is the experiment's; both roles are trained at once.
function TestScorer.test_images_at_hand_and_members()
    local scores = { metric.classifier_score { samples = 300, classifier = one } }
    local asked
    local member = { sample = function(_, first, count, seed)
        asked = { first, count, seed }
        return real
    end }
    local rows = metric.report(scores, member, { data = set, seed = 7 })
    lu.assertEquals(asked, { 1, 300, 7 })
    lu.assertEquals(rows[1].value, (scores[1]:of_images(real)))
end

-- Fewer test images than a score wants: the ceiling makes do with them.
function TestScorer.test_few_test_images()
    local few = data.digits { size = 16, count = 50, classes = { 1, 2, 5, 8 }, split = "test" }
    local c = classifier { data = set, test = few }
    local _, _, facts = metric.scorer({ metric.frechet { samples = 300, classifier = c } }, experiment)
    local expected = metric.frechet { samples = 50, classifier = c }:of_images(reals.samples(few, 50))
    lu.assertEquals(facts[1].ceiling, expected)
end

function TestScorer.test_refusals()
    support.fails("a list of scores expected", function() metric.scorer({}, experiment) end)
    support.fails("the experiment has no data", function() metric.scorer({ metric.frechet {} }, {}) end)
    support.fails("samples: a whole number of at least 2 expected, got 1", function()
        metric.classifier_score { samples = 1 }
    end)
    support.fails("neighbor 5 of 4 rows; k must be 1 or more and below", function()
        metric.scorer({ metric.coverage { samples = 4, classifier = one } }, experiment)
    end)
    support.fails("metric.frechet: its classifier looks at images of 16×16×1, those of digits: endless", function()
        metric.scorer({ metric.frechet { samples = 20, classifier = one } }, { data = data.digits { size = 16,
            color = true } })
    end)
    support.fails("images of 16×16×1 expected, as those of digits: 1,000 training images of 16×16×1, in 4 classes;"
        .. " got 4×64×1", function()
        metric.frechet { samples = 20, classifier = one }:of_images(graph.value({ 20, 4, 64, 1 }, 0))
    end)
    support.fails("got nothing", function() metric.frechet { samples = 20, classifier = one }:of_images() end)
    local scorer = metric.scorer({ metric.frechet { samples = 20, classifier = one } }, experiment)
    support.fails("images of 256 numbers expected, got 768", function()
        scorer:measure(graph.value({ 20, 16, 16, 3 }, 0))
    end)
    support.fails("19 images, but 20 are to be measured", function()
        scorer:measure(graph.value({ 19, 16, 16, 1 }, 0))
    end)
    local values, reason = scorer:measure(graph.value({ 20, 16, 16, 1 }, 0 / 0))
    lu.assertNil(values)
    lu.assertStrContains(reason, "image 1 holds a number that is not finite")
end

-- What the library hands to C is checked there, too.
function TestScorer.test_core()
    local points = { numbers = 2, centers = core.rows("centers", { { 0, 0 }, { 1, 1 } }), deviation = 0.1, within = 3 }
    local function of(measure)
        points.measures = { measure }
        return points
    end
    support.fails("there is no measure 'nonsense'", function()
        core.scorer(of { kind = "nonsense", samples = 2 })
    end)
    support.fails("modes: at least two images are needed", function()
        core.scorer(of { kind = "modes", samples = 1 })
    end)
    support.fails("frechet: points have no classifier", function()
        core.scorer(of { kind = "frechet", samples = 2 })
    end)
    support.fails("there is nothing to measure", function()
        points.measures = {}
        core.scorer(points)
    end)
    support.fails("program: a brood.Program expected", function()
        core.scorer { numbers = 256, lookers = { {} }, measures = {} }
    end)
    support.fails("a classifier's program expected", function()
        local g = graph.new()
        core.scorer { numbers = 256, lookers = { { program = g:compile { y = g:input("x", { 2 }) + 1 } } } }
    end)
    local kept
    do
        local scorer <close> = core.scorer(of { kind = "modes", samples = 2 })
        kept = scorer
        lu.assertEquals((scorer:measure(graph.value({ 2, 2 }, { 0, 0, 1, 1 }))), { 2 })
        support.fails("points (n, numbers) expected", function() scorer:measure(graph.value({ 4 }, 0)) end)
    end
    support.fails("the scorer is closed", function() kept:count() end)
end

-- Fewer images than features: computed, and said.
function TestScorer.test_few_images()
    local value
    local said = said_by(function()
        value = metric.frechet { samples = 8, classifier = one }:of_images(real)
    end)
    lu.assertStrContains(said, "8 images, fewer than the 12 features: frechet say little")
    lu.assertTrue(value > 0)
end

-- All images the same: no score breaks.
function TestScorer.test_constant_images()
    for _, name in ipairs {
        "classifier_score", "frechet", "kernel", "precision", "recall", "density", "coverage", "memorization_score",
        "class_balance", "class_entropy", "modes_score", "reverse_kl",
    } do
        local value, deviation = metric[name] { samples = 100, classifier = one }:of_images(graph.value(
            { 100, 16, 16, 1 }, 0.5))
        lu.assertTrue(value == value and math.abs(value) < math.huge and deviation >= 0 and deviation < math.huge, name)
        if name == "classifier_score" or name == "class_entropy" then
            support.near({ value, deviation }, { 1, 0 }, 1e-9)
        end
    end
end

-- What training images hold again and again is found.
function TestScorer.test_memorization()
    local score = metric.memorization_score { samples = 200, classifier = one, training = 1000 }
    lu.assertTrue(score:of_images((set:samples(1, 200))) == 1)
    lu.assertTrue(score:of_images(reals.samples(set:test(), 200)) < 0.05)
end


-- ---- images without labels ----------------------------------------------------------------------------------------

local folder = os.tmpname()
os.remove(folder)
files.make_folder(folder)
local made = { folder }
local _ = setmetatable({}, { __gc = function()
    for i = #made, 1, -1 do os.remove(made[i]) end
end })

local function write(name, text)
    made[#made + 1] = folder .. "/" .. name
    local file <close> = assert(io.open(made[#made], "wb"))
    assert(file:write(text))
end

local TestRotation = {}

function TestRotation.test_turns()
    local flat = support.count(8 * 9) -- eight images of 3 × 3
    local turned, way = rotation.of_images(graph.value({ 8, 3, 3, 1 }, flat))
    lu.assertEquals(way:flat(), { 1, 1, 2, 2, 3, 3, 4, 4 })
    local function image_of(number) return table.move(turned:flat(), number * 9 - 8, number * 9, 1, {}) end
    local function plus(base, list) return support.count(9, function(i) return base + list[i] end) end
    lu.assertEquals(image_of(2), plus(9, { 1, 2, 3, 4, 5, 6, 7, 8, 9 }))
    lu.assertEquals(image_of(3), plus(18, { 3, 6, 9, 2, 5, 8, 1, 4, 7 }))
    lu.assertEquals(image_of(5), plus(36, { 9, 8, 7, 6, 5, 4, 3, 2, 1 }))
    lu.assertEquals(image_of(7), plus(54, { 7, 4, 1, 8, 5, 2, 9, 6, 3 }))
end

function TestRotation.test_classifier()
    local letters = data.digits { size = 16, count = 120 }
    local images, known = letters:samples(1, 120), {}
    for i = 1, 120 do
        local path = ("%s/%03d.png"):format(folder, i)
        image.grid(path, (letters:samples(i, 1)), { columns = 1, margin = 0, magnify = 1 })
        made[#made + 1] = path
    end
    local unlabelled = data.folder { path = folder, size = 16 }
    lu.assertEquals(unlabelled:classes(), {})
    local count = unlabelled:count()
    lu.assertEquals(count, 108)
    -- What is taken as real: the same first ones whatever the count, each image once, not in the order of the files.
    local all = reals.samples(unlabelled, count):flat()
    lu.assertEquals(reals.samples(unlabelled, 70):flat(), table.move(all, 1, 70 * 256, 1, {}))
    lu.assertNotEquals(table.move(all, 1, 256, 1, {}), (unlabelled:samples(1, 1)):flat())
    for i = 0, count - 1 do known[table.concat(all, " ", i * 256 + 1, i * 256 + 256)] = true end
    local different = 0
    for _ in pairs(known) do different = different + 1 end
    lu.assertEquals(different, count)
    local c = classifier { data = unlabelled, steps = 250 }
    lu.assertFalse(c.labelled)
    lu.assertEquals(#c.classes, 4)
    lu.assertTrue(c.facts.accuracy > 0.4, tostring(c.facts.accuracy)) -- 0.25 would be guessing
    lu.assertStrContains(tostring(c), "which way up")
    local value, deviation = metric.frechet { samples = 60, classifier = c }:of_images(images)
    lu.assertTrue(value >= 0 and deviation > 0)
    for _, name in ipairs { "classifier_score", "class_balance", "class_entropy", "modes_score" } do
        support.fails("it is not to be had without labels", function()
            metric[name] { samples = 60, classifier = c }:of_images(images)
        end)
    end
end

-- ---- stacked digits -----------------------------------------------------------------------------------------------

local TestStacked = {}

-- MNIST's files, of drawn digits.
local function write_mnist()
    for split, prefix in pairs { train = "train", test = "t10k" } do
        local digits = data.digits { size = 28, count = 600, split = split }
        local images, labels = digits:samples(1, 600)
        local bytes, classes = {}, {}
        for i, value in ipairs(images:flat()) do bytes[i] = string.char(math.floor((value + 1) * 127.5 + 0.5)) end
        for i, label in ipairs(labels:flat()) do classes[i] = string.char(label // 1 - 1 | 0) end
        write(prefix .. "-images-idx3-ubyte", string.pack(">I4I4I4I4", 0x803, 600, 28, 28) .. table.concat(bytes))
        write(prefix .. "-labels-idx1-ubyte", string.pack(">I4I4", 0x801, 600) .. table.concat(classes))
    end
end

function TestStacked.test_modes()
    write_mnist()
    local stacked = data.stacked_mnist { path = folder, count = 1500 }
    lu.assertEquals(stacked:digits():kind(), "mnist")
    lu.assertEquals(stacked:digits():count(), 600)
    local c = classifier { data = stacked, test = stacked, steps = 250 }
    lu.assertEquals({ #c.classes, c.planes, c.width }, { 10, 3, 36 })
    lu.assertTrue(c.facts.accuracy > 0.7, tostring(c.facts.accuracy))
    local images, labels = stacked:samples(1, 500)
    local logits, features = c:look(images)
    lu.assertEquals({ logits:shape(), features:shape() }, { { 500, 1000 }, { 500, 36 } })
    local called, right = metric.labels(logits):flat(), 0
    for i, label in ipairs(labels:flat()) do
        if called[i] == label then right = right + 1 end
    end
    lu.assertTrue(right / 500 > c.facts.accuracy ^ 3 - 0.1, right)
    local score = metric.modes_score { samples = 500, classifier = c }
    lu.assertTrue(score:of_images(images) > 300)
    lu.assertTrue(score:of_images(image.join(support.count(500, function() return (stacked:samples(1, 1)) end))) == 1)
    support.fails("only stacked_mnist is made of digits", function() set:digits() end)
end

-- ---- points -------------------------------------------------------------------------------------------------------

local TestPoints = {}

function TestPoints.test_ring()
    local ring = data.ring { modes = 8, deviation = 0.02 }
    local centers, deviation = ring:centers()
    lu.assertEquals({ #centers, deviation }, { 8, 0.02 })
    support.near(centers[1], { 1, 0 }, 1e-9)
    local scores = {
        metric.modes_score { samples = 400 }, metric.high_quality { samples = 400 }, metric.reverse_kl { samples = 400 },
        metric.combine(function(s) return s.modes * s.high_quality end, { samples = 400 }),
    }
    local experiment_of_points = { data = ring, seed = 1 }
    local function rows_of(points)
        return metric.report(scores, { sample = function() return points end }, experiment_of_points)
    end
    local rows = rows_of((ring:samples(1, 400)))
    lu.assertEquals({ rows[1].value, rows[1].ceiling, rows[1].classifier }, { 8, 8, nil })
    lu.assertTrue(rows[2].value > 0.97 and rows[3].value < 0.01)
    support.near({ rows[4].value }, { 8 * rows[2].value }, 1e-9)
    rows = rows_of(graph.value({ 400, 2 }, support.count(800, function(i) return i % 2 end))) -- all at one center
    lu.assertEquals({ rows[1].value, rows[2].value }, { 1, 1 })
    support.near({ rows[3].value }, { math.log(8) }, 1e-9)
    support.fails("metric.frechet: the data are points", function()
        metric.report({ metric.frechet {} }, { sample = function() end }, experiment_of_points)
    end)
    support.fails("metric.high_quality: it is for points", function()
        metric.scorer({ metric.high_quality { classifier = one } }, experiment)
    end)
    support.fails("centers: the data set has images", function() set:centers() end)
end

-- ---- alarms -------------------------------------------------------------------------------------------------------

local TestAlarms = {}

local FACTS = {
    { name = "classifier_score", kind = "classifier_score", role = "selection", better = "higher", honest = true,
        ceiling = 9.8, ceiling_deviation = 0.02 },
    { name = "classifier_score", kind = "classifier_score", role = "report", better = "higher", honest = true,
        ceiling = 9.6, ceiling_deviation = 0.02 },
    { name = "coverage", kind = "coverage", role = "report", better = "higher", honest = true, ceiling = 0.96,
        ceiling_deviation = 0.005 },
    { name = "evenness", kind = "class_balance", role = "report", better = "lower", honest = false, ceiling = 0.02,
        ceiling_deviation = 0.01 },
}
local DEVIATIONS = { 0.04, 0.04, 0.01, 0.01 }

local function history_of(rounds)
    local history = {}
    for i, values in ipairs(rounds) do history[i] = { values = values, deviations = DEVIATIONS } end
    return history
end

local function kinds_of(rounds)
    local kinds = {}
    for i, alarm in ipairs(metric.alarms(history_of(rounds), FACTS)) do
        kinds[i] = alarm.kind
        lu.assertStrContains(alarm.message, alarm.name == "classifier_score" and alarm.kind == "gap" and "gap" or alarm.name)
    end
    return table.concat(kinds, " ")
end

local GOOD = {
    { 2, 1.9, 0.05, 0.6 }, { 3, 2.9, 0.1, 0.5 }, { 4, 3.8, 0.2, 0.3 }, { 5, 4.8, 0.3, 0.2 }, { 6, 5.8, 0.4, 0.1 },
    { 7, 6.7, 0.5, 0.1 }, { 8, 7.6, 0.6, 0.05 },
}

local function then_(...)
    local rounds = table.move(GOOD, 1, #GOOD, 1, {})
    return table.move({ ... }, 1, select("#", ...), #rounds + 1, rounds)
end

function TestAlarms.test_quiet()
    lu.assertEquals(metric.alarms({}, FACTS), {})
    for count = 1, #GOOD do lu.assertEquals(kinds_of(table.move(GOOD, 1, count, 1, {})), "") end
end

function TestAlarms.test_ceiling()
    lu.assertEquals(kinds_of(then_ { 9.9, 9.6, 0.6, 0.05 }), "") -- 2.2 standard deviations
    lu.assertEquals(kinds_of(then_ { 9.99, 9.6, 0.6, 0.05 }), "ceiling")
    lu.assertEquals(kinds_of(then_ { 8, 7.6, 0.6, 0.05 }), "")
end

function TestAlarms.test_gap()
    lu.assertEquals(kinds_of(then_({ 9, 6, 0.6, 0.05 })), "gap")
    lu.assertEquals(kinds_of(then_({ 9, 8.4, 0.6, 0.05 })), "")
    -- Wide, but no longer growing.
    local rounds = {}
    for i = 1, 12 do rounds[i] = { 9, 6, 0.6, 0.05 } end
    lu.assertEquals(kinds_of(rounds), "")
end

function TestAlarms.test_collapse()
    lu.assertEquals(kinds_of(then_({ 8, 7.6, 0.25, 0.05 })), "coverage")
    lu.assertEquals(kinds_of(then_({ 8, 7.6, 0.45, 0.05 })), "")
    lu.assertEquals(kinds_of(then_({ 8, 7.6, 0.6, 0.4 })), "classes")
    lu.assertEquals(kinds_of(then_({ 8, 7.6, 0.6, 0.2 })), "")
end

-- A round whose member could not be scored has gaps.
function TestAlarms.test_missing()
    lu.assertEquals(kinds_of(then_({}, { 8, 7.6, 0.6, 0.05 })), "")
    lu.assertEquals(kinds_of(then_({})), "")
end

support.main {
    TestScorer = TestScorer, TestRotation = TestRotation, TestStacked = TestStacked,
    TestPoints = TestPoints, TestAlarms = TestAlarms,
}
