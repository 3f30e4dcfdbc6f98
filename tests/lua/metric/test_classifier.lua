-- Classifiers, their cache, and the scores that stand on them: with a network so small that it trains in no time.
local support = dofile "tests/lua/support.lua"
local data = require "brood.data"
local files = require "brood.files"
local graph = require "brood.graph"
local metric = require "brood.metric"
local model = require "brood.model"
local nn = require "brood.nn"
local reals = require "brood.metric.reals"
local lu = support.lu

-- ---- a cache folder of our own ------------------------------------------------------------------------------------

local folder = os.tmpname()
os.remove(folder)
files.make_folder(folder)
local cache_home = folder
local getenv = os.getenv
os.getenv = function(name) return name == "XDG_CACHE_HOME" and cache_home or getenv(name) end

local function path_of(classifier)
    return ("%s/brood/classifier-%s.safetensors"):format(folder, classifier.hash)
end

-- What is to be removed when Lua ends, the last one first.
local made = { folder, folder .. "/brood" }
local _ = setmetatable({}, { __gc = function()
    for i = #made, 1, -1 do os.remove(made[i]) end
end })

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
end

local function write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
end

-- ---- a small classifier -------------------------------------------------------------------------------------------

local set = data.digits { size = 16, count = 1000, classes = { 1, 2, 5, 8 } }
local tested = data.digits { size = 16, count = 2000, classes = { 1, 2, 5, 8 }, split = "test" }

local function tiny()
    return nn.sequential {
        nn.conv { out = 8, kernel = 4, stride = 4 }, nn.relu {}, nn.flatten {}, nn.linear { out = 12 }, nn.relu {},
    }
end

-- What metric.classifier makes of the fields, and what it said.
local function classifier(fields)
    local said = {}
    local given = {
        data = set, test = tested, architecture = tiny, steps = 200, batch = 32, lr = 0.01,
        say = function(line) said[#said + 1] = line end,
    }
    for name, value in pairs(fields or {}) do given[name] = value end
    local result = metric.classifier(given)
    made[#made + 1] = path_of(result)
    return result, table.concat(said, "\n")
end

local known = classifier()

local TestData = {}

function TestData.test_parts()
    local odd, even = set:part(1, 2), set:part(2, 2)
    lu.assertEquals({ odd:count(), even:count() }, { 500, 500 })
    local function image(of, number) return (of:samples(number, 1)):flat() end
    lu.assertNotEquals(image(odd, 3), image(even, 3))
    support.fails("part: part: a whole number from 1 to 2 expected, got 3", function() set:part(3, 2) end)
end

-- The same options, but for the split and how many are drawn.
function TestData.test_test()
    local test = set:test()
    lu.assertEquals({ test:kind(), test:count(), test:shape(), test:classes() },
        { "digits", 10000, set:shape(), set:classes() })
    lu.assertNotEquals((test:samples(1, 1)):flat(), (set:samples(1, 1)):flat())
    lu.assertEquals((set:part(2, 2):test():samples(1, 1)):flat(), (test:samples(1, 1)):flat())
end

local TestClassifier = {}

function TestClassifier.test_accuracy()
    lu.assertTrue(known.facts.accuracy > 0.8, tostring(known.facts.accuracy))
    lu.assertEquals(known.facts.tested, 2000)
    local total, right = 0, 0
    for i, row in ipairs(known.facts.confusion) do
        for j, count in ipairs(row) do
            total = total + count
            if i == j then right = right + count end
        end
    end
    lu.assertEquals(total, 2000)
    lu.assertEquals(right / total, known.facts.accuracy)
    lu.assertTrue(known.facts.score > 2 and known.facts.score <= 4)
    lu.assertStrContains(tostring(known), "of 2000 test images")
end

function TestClassifier.test_worst()
    local worst = known:worst(3)
    lu.assertTrue(#worst <= 3 and #worst > 0)
    lu.assertTrue(worst[1].count >= worst[#worst].count)
    lu.assertNotEquals(worst[1].class, worst[1].called)
end

-- Another number of images than a batch, and each is judged alone.
function TestClassifier.test_look()
    local images = set:samples(1, 130)
    local logits, features = known:look(images)
    lu.assertEquals(logits:shape(), { 130, 4 })
    lu.assertEquals(features:shape(), { 130, 12 })
    local few = known:look((set:samples(121, 10)))
    support.near(few:flat(), table.move(logits:flat(), 481, 520, 1, {}), 1e-5)
end

-- Only what an 8-bit picture can show counts.
function TestClassifier.test_rounding()
    local function constant(level) return (known:look(graph.value({ 1, 16, 16, 1 }, level))):flat() end
    lu.assertEquals(constant(0.0039), constant(0.0041))
    lu.assertNotEquals(constant(0.0039), constant(0.02))
    lu.assertEquals(constant(1), constant(7))
end

function TestClassifier.test_deterministic()
    local again = classifier { cache = false }
    lu.assertEquals(again.hash, known.hash)
    local images = set:samples(1, 5)
    lu.assertEquals((again:look(images)):flat(), (known:look(images)):flat())
end

-- The script's lines do not matter.
function TestClassifier.test_hash_is_of_content()
    local function same()
        return nn.sequential {
            nn.conv { out = 8, kernel = 4, stride = 4 }, nn.relu {}, nn.flatten {}, nn.linear { out = 12 }, nn.relu {},
        }
    end
    local there = classifier { architecture = same, steps = 1, cache = false }
    lu.assertEquals(there.hash, classifier { steps = 1, cache = false }.hash)
end

function TestClassifier.test_hash_tells_apart()
    local hashes = { [known.hash] = true }
    local function differs(fields)
        fields.cache, fields.steps = false, fields.steps or 1
        local other = classifier(fields)
        lu.assertNil(hashes[other.hash])
        hashes[other.hash] = true
    end
    differs { steps = 2 }
    differs {}
    differs { seed = 2 }
    differs { half = 1 }
    differs { half = 2 }
    differs { batch = 33 }
    differs { data = data.digits { size = 16, count = 1000, classes = { 1, 2, 5, 7 } } }
    differs { data = data.digits { size = 16, count = 1000, classes = { 1, 2, 5, 8 }, seed = 2 } }
    differs { test = data.digits { size = 16, count = 1999, classes = { 1, 2, 5, 8 }, split = "test" } }
    differs { architecture = function() return nn.sequential { nn.flatten {}, nn.linear { out = 12 } } end }
end

-- Functions may be layers: those of one place in the script differ by what they do.
function TestClassifier.test_hash_tells_functions_apart()
    local hashes = {}
    local function differs(activation, factor, trained, init)
        local function layer(x, ctx)
            x = factor * x[ctx.training and trained or activation](x)
            return x * ctx:param("scale", {}, init)
        end
        local hash = classifier {
            architecture = function() return nn.sequential { nn.flatten {}, nn.linear { out = 4 }, layer } end,
            steps = 1, cache = false,
        }.hash
        lu.assertNil(hashes[hash])
        hashes[hash] = true
    end
    local ones, twos = nn.init.ones(), nn.init.constant(2)
    differs("tanh", 1, "tanh", ones)
    differs("sigmoid", 1, "sigmoid", ones)
    differs("tanh", 3, "tanh", ones)
    differs("tanh", 1, "sigmoid", ones)
    differs("tanh", 1, "tanh", twos)
end

-- Both of an experiment are trained at the same time, each as if alone.
function TestClassifier.test_together()
    local said = {}
    local fields = { data = set, test = tested, steps = 20, batch = 16, cache = false,
        say = function(line) said[#said + 1] = line end }
    local both = { metric.classifiers(fields) }
    lu.assertEquals({ both[1].half, both[2].half, both[1].seed, both[2].seed }, { 1, 2, 1, 2 })
    lu.assertEquals(#said, 2 + 2 * 5)
    fields.seed, fields.half, fields.architecture = 2, 2, "mixed"
    local alone = metric.classifier(fields)
    lu.assertEquals({ alone.hash, alone.facts }, { both[2].hash, both[2].facts })
    local images = set:samples(1, 5)
    lu.assertEquals((alone:look(images)):flat(), (both[2]:look(images)):flat())
    lu.assertNotEquals((both[1]:look(images)):flat(), (both[2]:look(images)):flat())
    support.fails("training failed, a smaller lr may help", function()
        fields.lr, fields.steps = 1e30, 30
        metric.classifiers(fields)
    end)
end

function TestClassifier.test_together_refusals()
    local g = graph.new()
    local w = g:param("w", { 2 }, { group = "C" })
    local loss = (w - 1):square():sum()
    local made = model.new {
        batch = 1, hypers = {}, numbers = {}, players = { {
            name = "C", group = "C", repeats = 1, optimizer = { kind = "sgd", lr = 0.1 }, graph = g, loss = loss,
            outputs = { { "loss", loss } }, assign = {}, parameters = { w },
        } },
    }
    local one, other = made:member(1, 0, {}), made:member(1, 1, {})
    support.fails("members of different models expected", function() model.train_together({ one, other }, { 1, 1 }) end)
    support.fails("1 to 16 members expected, got 0", function() model.train_together({}, {}) end)
    support.fails("steps: a whole number", function() model.train_together({ one }, {}) end)
    support.fails("a brood.Member expected", function() model.train_together({ 1 }, { 1 }) end)
    lu.assertEquals(model.train_together({ one }, { 3 })[1]["C.loss"] > 0, true)
    lu.assertEquals(one:age(), 3)
end

local TestCache = {}

function TestCache.test_second_time()
    local again, said = classifier()
    lu.assertEquals(said, "")
    lu.assertEquals(again.facts, known.facts)
    local images = set:samples(1, 5)
    lu.assertEquals((again:look(images)):flat(), (known:look(images)):flat())
end

local function assert_retrained(said, reason)
    lu.assertStrContains(said, "cannot be used and is trained again")
    lu.assertStrContains(said, reason)
    lu.assertStrContains(said, "training a classifier on")
end

function TestCache.test_damaged()
    local path, text = path_of(known), read(path_of(known))
    write(path, text:sub(1, -9) .. "\0\1\2\3\4\5\6\7")
    local again, said = classifier()
    assert_retrained(said, path)
    lu.assertEquals(again.facts, known.facts)
    lu.assertEquals(read(path), text) -- mended
    write(path, text:sub(1, 100))
    assert_retrained(select(2, classifier()), path)
end

-- The file of another classifier under this one's name.
function TestCache.test_stale()
    local other = classifier { seed = 5 }
    write(path_of(known), read(path_of(other)))
    local again, said = classifier()
    assert_retrained(said, "it is of another classifier")
    lu.assertEquals(again.facts, known.facts)
end

-- What it says of the reference images is kept, too, and goes by the weights.
function TestCache.test_real_images()
    local endless = data.digits { size = 16, classes = { 1, 2, 5, 8 } }
    local function features(fields)
        fields.data, fields.steps = endless, 5
        local made_now = classifier(fields)
        local path = path_of(made_now):gsub("classifier%-", "reals-")
        made[#made + 1] = path
        local looked, look = 0, made_now.look
        function made_now.look(...)
            looked = looked + 1
            return look(...)
        end
        local all = reals.of(made_now)
        local rows, counts = all:features(), all:classes()
        lu.assertEquals(rows:shape(), { 10000, 12 })
        return { looked, rows:flat(), counts }, path, made_now
    end
    local first, path, known_one = features {}
    lu.assertEquals(first[1], 1)
    local second = features {}
    lu.assertEquals(second, { 0, first[2], first[3] })
    local text = read(path)
    write(path, text:sub(1, -9) .. "\0\1\2\3\4\5\6\7")
    lu.assertEquals(features {}, first)
    lu.assertEquals(read(path), text) -- mended
    lu.assertEquals(features { cache = false }, first)
    -- The same classifier with other weights, as from another machine.
    local name = known_one.registry.parameters[1].name
    known_one.looker:set(name, 0.5)
    known_one.reals = nil
    lu.assertNotEquals(reals.of(known_one):features():flat(), first[2])
end

function TestCache.test_cannot_be_written()
    write(folder .. "/file", "")
    made[#made + 1] = folder .. "/file"
    cache_home = folder .. "/file"
    local again, said = classifier()
    cache_home = folder
    lu.assertStrContains(said, "cannot be kept for the next time")
    lu.assertEquals(again.facts, known.facts)
end

local TestRefusals = {}

function TestRefusals.test_fields()
    support.fails("metric.classifier: data is missing", function() metric.classifier {} end)
    support.fails("half: a whole number from 1 to 2 expected, got 3", function()
        metric.classifier { data = set, half = 3 }
    end)
    support.fails("architecture: a name of an architecture", function()
        metric.classifier { data = set, architecture = "strided2" }
    end)
    support.fails("images of 8×8 or more expected", function() metric.classifier { data = data.ring {} } end)
    support.fails("features (n, how many) expected, got (64, 4, 4, 8)", function()
        local function images() return nn.conv { out = 8, kernel = 4, stride = 4 } end
        metric.classifier { data = set, architecture = images }
    end)
end

function TestRefusals.test_other_images()
    support.fails("images of 16×16×1 expected", function() known:look(graph.value({ 2, 16, 16, 3 }, 0)) end)
    support.fails("got (2, 256)", function() known:look(graph.value({ 2, 256 }, 0)) end)
    support.fails("got nothing", function() known:look() end)
end

function TestRefusals.test_nan()
    local numbers = support.count(3 * 256, function(i) return i == 300 and 0 / 0 or 0 end)
    support.fails("image 2 holds", function() known:look(graph.value({ 3, 16, 16, 1 }, numbers)) end)
end

-- ---- scores -------------------------------------------------------------------------------------------------------

-- Members that "generate" given images.
local function member(images)
    return { sample = function() return images end }
end

local function experiment() return { data = set, seed = 1 } end

local TestScores = {}

local function score_of(name, images, fields)
    local given = { samples = 400, classifier = known }
    for field, value in pairs(fields or {}) do given[field] = value end
    return metric[name](given):score(member(images), experiment())
end

-- Real images that training did not see; one image again and again; gray.
local real = reals.samples(set:test(), 400)
local one = graph.value({ 400, 16, 16, 1 }, (function()
    local image, all = (set:samples(1, 1)):flat(), {}
    for i = 0, 399 do table.move(image, 1, 256, i * 256 + 1, all) end
    return all
end)())
local gray = graph.value({ 400, 16, 16, 1 }, 0)

function TestScores.test_real_is_best()
    for _, bad in ipairs { one, gray } do
        lu.assertTrue(score_of("classifier_score", real) > score_of("classifier_score", bad) + 1)
        lu.assertTrue(score_of("frechet", real) < score_of("frechet", bad))
        lu.assertTrue(score_of("kernel", real) < score_of("kernel", bad))
        lu.assertTrue(score_of("coverage", real) > 0.8 and score_of("coverage", bad) < 0.1)
        lu.assertTrue(score_of("class_balance", real) < 0.15 and score_of("class_balance", bad) > 0.7)
    end
    lu.assertTrue(score_of("recall", one) < 0.02)
end

function TestScores.test_deviation()
    for _, name in ipairs { "classifier_score", "frechet", "kernel", "coverage", "density", "class_balance" } do
        local value, deviation = score_of(name, real)
        lu.assertTrue(deviation > 0 and deviation < 10, name)
        lu.assertEquals({ score_of(name, real) }, { value, deviation })
    end
end

function TestScores.test_ceiling()
    local score = metric.classifier_score { samples = 400, classifier = known }
    lu.assertEquals({ score:ceiling(experiment()) }, { score:score(member(real), experiment()) })
end

function TestScores.test_combine()
    local both = metric.combine(function(s) return s.classifier_score - 2 * s.class_balance end,
        { samples = 400, classifier = known })
    local value, deviation = both:score(member(real), experiment())
    local score, score_deviation = score_of("classifier_score", real)
    local balance, balance_deviation = score_of("class_balance", real)
    support.near({ value }, { score - 2 * balance })
    support.near({ deviation }, { math.sqrt(score_deviation ^ 2 + (2 * balance_deviation) ^ 2) })
    support.fails("there is no score 'frechett': did you mean 'frechet'?", function()
        metric.combine(function(s) return s.frechett end)
    end)
    support.fails("the function must return a number, it returned nothing", function()
        metric.combine(function() end)
    end)
    support.fails("the function reads no score", function() metric.combine(function() return 1 end) end)
    support.fails("s.kernel was not measured, since the function read it only now", function()
        local fickle = metric.combine(function(s)
            return s.frechet < 0.001 and s.kernel or s.frechet
        end, { samples = 400, classifier = known })
        fickle.finish({ frechet = 0 }, { frechet = 0 })
    end)
end

function TestScores.test_report()
    local scores = {
        metric.classifier_score { samples = 400, classifier = known },
        metric.coverage { samples = 400, classifier = known },
    }
    local sampled = 0
    local counting = { sample = function() sampled = sampled + 1 return real end }
    local rows = metric.report(scores, counting, experiment())
    lu.assertEquals(sampled, 1)
    lu.assertEquals({ rows[1].name, rows[2].name }, { "classifier_score", "coverage" })
    lu.assertEquals({ rows[1].value, rows[1].deviation }, { score_of("classifier_score", real) })
    lu.assertEquals({ rows[1].ceiling, rows[1].suspicious }, { rows[1].value, false })
end

function TestScores.test_not_finite()
    local numbers = support.count(400 * 256, function(i) return i == 300 and 1 / 0 or 0 end)
    local value, reason = score_of("frechet", graph.value({ 400, 16, 16, 1 }, numbers))
    lu.assertNil(value)
    lu.assertStrContains(reason, "generated image 2")
end

support.main {
    TestData = TestData, TestClassifier = TestClassifier, TestCache = TestCache, TestRefusals = TestRefusals,
    TestScores = TestScores,
}
