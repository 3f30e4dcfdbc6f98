-- Metrics through Lua: the golden values, the forms that rows come in, and errors. Classifiers are tested in
-- test_classifier.lua.
local support = dofile "tests/lua/support.lua"
local graph = require "brood.graph"
local metric = require "brood.metric"
local lu = support.lu

-- rows × columns of f(i, j), i and j from 0: a list of rows.
local function rows_of(rows, columns, f)
    local list = {}
    for i = 1, rows do
        list[i] = {}
        for j = 1, columns do list[i][j] = f(i - 1, j - 1) end
    end
    return list
end

local function flat_of(rows)
    local flat = { columns = #rows[1] }
    for _, row in ipairs(rows) do
        for _, number in ipairs(row) do flat[#flat + 1] = number end
    end
    return flat
end

local function value_of(rows)
    return graph.value({ #rows, #rows[1] }, flat_of(rows))
end

local function repeated(row, times)
    local list = {}
    for i = 1, times do list[i] = row end
    return list
end

local function joined(a, b)
    local list = table.move(a, 1, #a, 1, {})
    return table.move(b, 1, #b, #list + 1, list)
end

local function near(actual, expected, relative)
    local margin = (relative or 1e-10) * math.max(math.abs(expected), 1e-300)
    if not (math.abs(actual - expected) <= margin) then
        lu.fail(("%.15g expected, got %.15g"):format(expected, actual))
    end
end

local X = rows_of(40, 5, function(i, j) return math.sin(0.37 * i + 1.3 * j + 0.11 * i * j) end)
local Y = rows_of(40, 5, function(i, j) return 1.2 * math.cos(0.21 * i + 0.9 * j + 0.07 * i * j) + 0.1 * j end)
local L = rows_of(50, 10, function(i, j) return 3 * math.sin(0.7 * i + 1.3 * j + 0.01 * i * j) end)

local TestScore = {}

function TestScore.test_golden()
    near(metric.inception_score(rows_of(20, 10, function() return 0 end)), 1)
    near(metric.inception_score(rows_of(100, 10, function(i, j) return j == i % 10 and 1000 or 0 end)), 10)
    near(metric.inception_score(rows_of(20, 10, function(_, j) return j == 3 and 50 or 0 end)), 1)
    local confident = rows_of(100, 10, function(i, j) return math.log(j == i % 10 and 0.9 or 0.1 / 9) end)
    near(metric.inception_score(confident), 5.799546134795291)
    near(metric.inception_score(L), 2.30684439925453)
end

function TestScore.test_splits()
    local two = rows_of(20, 2, function(i, j) return j == i // 10 and 1000 or 0 end)
    near(metric.inception_score(two, { splits = 1 }), 2)
    near(metric.inception_score(two, { splits = 2, shuffle = false }), 1)
    lu.assertTrue(metric.inception_score(two, { splits = 2 }) > 1.5)
    local mean, deviation = metric.inception_score(L, { splits = 5, shuffle = false })
    near(mean, 2.27161785996282)
    near(deviation, 0.0189981719404284)
end

function TestScore.test_more()
    local mean, deviation, more = metric.inception_score(L)
    near(more.whole, mean)
    lu.assertEquals(deviation, 0)
    lu.assertTrue(more.bootstrap_deviation > 0)
    lu.assertTrue(more.low < mean and mean < more.high)
end

function TestScore.test_labels()
    lu.assertEquals(metric.labels({ { 0, 2, 1 }, { 5, 5, 0 }, { -1, -2, -0.5 } }):flat(), { 2, 1, 3 })
end

local TestFrechet = {}

function TestFrechet.test_golden()
    local real = joined(repeated({ 2, 1 }, 50), repeated({ 1, 1 }, 50))
    local fake = joined(repeated({ 9, 9 }, 50), repeated({ 2, 9 }, 50))
    near(metric.frechet_distance(real, fake), 980 / 11, 1e-8)
    near(metric.frechet_distance(X, Y), 0.452777065117, 1e-11)
end

-- Four points with exactly the covariance diag(4, 1), and the same rotated by 45°.
function TestFrechet.test_rotated()
    local a, b = math.sqrt(6), math.sqrt(1.5) -- four rows: the sums of squares are 3 times 4 and 3 times 1
    local straight = { { a, 0 }, { -a, 0 }, { 0, b }, { 0, -b } }
    local turned, half = {}, math.sqrt(0.5)
    for i, p in ipairs(straight) do turned[i] = { half * (p[1] - p[2]), half * (p[1] + p[2]) } end
    near(metric.frechet_distance(straight, turned), 0.9446148618625845)
end

function TestFrechet.test_parts_and_symmetry()
    local distance, more = metric.frechet_distance(X, Y)
    near(more.mean_part + more.covariance_part, distance)
    near(metric.frechet_distance(Y, X), distance)
    lu.assertTrue(math.abs(metric.frechet_distance(X, X)) < 1e-10)
    lu.assertFalse(more.few_rows)
end

function TestFrechet.test_statistics()
    local of_x = metric.frechet_statistics(X)
    lu.assertEquals(of_x:rows(), 40)
    lu.assertEquals(metric.frechet_distance(of_x, Y), (metric.frechet_distance(X, Y)))
    support.fails("x has 5 columns, y has 2", function() metric.frechet_distance(of_x, { { 1, 2 }, { 2, 3 } }) end)
end

local TestKernel = {}

function TestKernel.test_golden()
    near(metric.kernel_distance({ 0, 1 }, { 0, 2 }), -13)
    near(metric.kernel_distance({ 0, 1 }, { 0, 2 }, { biased = true }), 19.75)
    near(metric.kernel_distance(X, Y), 0.146955419619, 1e-11)
    near(metric.kernel_distance(X, Y, { biased = true }), 0.312263293127, 1e-11)
end

function TestKernel.test_subsets()
    local distance, deviation = metric.kernel_distance(X, Y, { subsets = 20, size = 20 })
    lu.assertEquals({ metric.kernel_distance(X, Y, { subsets = 20, size = 20 }) }, { distance, deviation })
    lu.assertTrue(deviation > 0 and math.abs(distance - 0.147) < 4 * deviation)
    near(metric.kernel_distance(X, Y, { subsets = 3, size = 40 }), metric.kernel_distance(X, Y))
end

local TestPrdc = {}

local function assert_prdc(result, precision, recall, density, coverage)
    near(result.precision, precision)
    near(result.recall, recall)
    near(result.density, density, 1e-7)
    near(result.coverage, coverage)
end

function TestPrdc.test_golden()
    local real, fake = { 0, 1, 2, 3, 10 }, { 0.5, 1.5, 2.5, 9, 20 }
    assert_prdc(metric.prdc(real, fake, { k = 1 }), 0.8, 1, 1.4, 1)
    assert_prdc(metric.prdc(real, fake, { k = 2 }), 0.8, 1, 1, 1)
    assert_prdc(metric.prdc({ 0, 1, 2 }, { 3, 5 }, { k = 1, strict = true }), 0, 1 / 3, 0, 0)
    assert_prdc(metric.prdc({ 0, 1, 2 }, { 3, 5 }, { k = 1, strict = false }), 0.5, 2 / 3, 0.5, 1 / 3)
    assert_prdc(metric.prdc({ 0, 1, 2 }, { 3, 5 }, { k = 1 }), 0.5, 2 / 3, 0, 0) -- each as its authors do
    assert_prdc(metric.prdc(X, Y, { k = 3, strict = true }), 1, 0.8, 0.8416667, 0.85)
end

function TestPrdc.test_identical()
    local result = metric.prdc(X, X, { k = 3 })
    lu.assertEquals({ result.precision, result.recall, result.coverage }, { 1, 1, 1 })
    near(result.density, 1)
end

local TestModes = {}

function TestModes.test_golden()
    local result = metric.modes(support.count(1000, function(i) return (i - 1) % 100 + 1 end), { modes = 1000 })
    lu.assertEquals(result.hit, 100)
    near(result.reverse_kl, math.log(10))
end

function TestModes.test_uniform_draws()
    math.randomseed(3)
    local result = metric.modes(support.count(26000, function() return math.random(1000) end), { modes = 1000 })
    lu.assertEquals(result.hit, 1000)
    lu.assertTrue(math.abs(result.reverse_kl - 0.0196) < 0.004)
end

function TestModes.test_centers()
    local centers = { { 0, 0 }, { 10, 0 }, { 0, 10 } }
    local points = { { 0.1, 0 }, { 9.9, 0 }, { 9, 0 }, { 0.2, 0.1 } }
    local result = metric.modes(points, { centers = centers, deviation = 0.1 })
    lu.assertEquals(result.hit, 2)
    lu.assertEquals(result.high_quality, 0.75)
end

function TestModes.test_stacked()
    local result = metric.modes({ { 1, 10, 1 }, { 2, 10, 2 }, { 3, 10, 3 } }, { stacked = true })
    lu.assertEquals({ result.hit, result.modes }, { 2, 1000 })
end

function TestModes.test_histogram()
    local result = metric.histogram({ 1, 1, 2, 3 }, { classes = 4 })
    lu.assertEquals(result.counts, { 2, 1, 1, 0 })
    near(result.entropy, 1.5 * math.log(2))
    near(result.total_variation, 0.25)
    near(metric.histogram({ 1, 2 }, { classes = 2, reference = { 30, 10 } }).total_variation, 0.25)
    near(metric.total_variation({ 1, 0 }, { 0, 5 }), 1)
    near(metric.total_variation({ 10, 20 }, { 1, 2 }) + 1, 1)
end

local TestMemorization = {}

function TestMemorization.test_copies()
    local training = rows_of(60, 2, function(i, j) return math.sin(7.1 * i + j) * 5 end)
    local held_out = rows_of(30, 2, function(i, j) return math.sin(3.3 * i + 2 * j + 0.5) * 5 end)
    local copies = metric.memorization { training = training, held_out = held_out, generated = training }
    lu.assertEquals({ copies.ratio, copies.exact_share }, { 0, 1 })
    local fair = metric.memorization { training = training, held_out = held_out, generated = held_out }
    lu.assertEquals({ fair.ratio, fair.exact_share }, { 1, 0 })
end

local TestRows = {}

-- A list of rows, a flat list, and a value (which is float in the usual build).
function TestRows.test_forms()
    local expected = metric.frechet_distance(X, Y)
    lu.assertEquals((metric.frechet_distance(flat_of(X), flat_of(Y))), expected)
    near(metric.frechet_distance(value_of(X), value_of(Y)), expected, 1e-5)
    local images = graph.value({ 40, 1, 5, 1 }, flat_of(X))
    near(metric.frechet_distance(images, Y), expected, 1e-5)
end

-- Differences of 1e-9 beside 1 would be lost in floats.
function TestRows.test_tables_stay_double()
    local function shifted(by) return rows_of(9, 1, function(i) return 1 + i * 1e-9 + by end) end
    near(metric.frechet_distance(shifted(0), shifted(1e-9)), 1e-18, 1e-5)
end

function TestRows.test_wrong_rows()
    local f = metric.frechet_distance
    support.fails("metric.frechet_distance: x: row 2, column 2 (counted from 1) is", function()
        f({ { 1, 2 }, { 3, 0 / 0 } }, Y)
    end)
    support.fails("metric.frechet_distance: y: 1 row; at least two", function() f(X, { { 1, 2, 3, 4, 5 } }) end)
    support.fails("x has 5 columns, y has 2", function() f(X, { { 1, 2 }, { 3, 4 } }) end)
    support.fails("x: rows of different widths: row 1 has 2 numbers, row 3 has 1", function()
        f({ { 1, 2 }, { 1, 2 }, { 1 } }, Y)
    end)
    support.fails("x: row 2, column 1: a number expected, got a string", function() f({ { 1 }, { "1" } }, Y) end)
    support.fails("x: 3 numbers do not make rows of 2 columns", function() f({ 1, 2, 3, columns = 2 }, Y) end)
    support.fails("x: rows of numbers expected", function() f(nil, Y) end)
    support.fails("x: rows of numbers expected", function() f("rows", Y) end)
end

-- `return f(x)` leaves no trace of its line unless care is taken.
function TestRows.test_tail_call()
    support.fails("x: rows of numbers expected", function() return metric.prdc and metric.frechet_distance(1, Y) end)
end

function TestRows.test_every_metric_refuses()
    local bad = { { 1, 2 }, { 1 / 0, 2 } }
    local good = { { 1, 2 }, { 2, 3 }, { 3, 5 } }
    local where = "row 2, column 1 (counted from 1) is inf"
    support.fails(where, function() metric.inception_score(bad) end)
    support.fails(where, function() metric.kernel_distance(good, bad) end)
    support.fails(where, function() metric.prdc(good, bad, { k = 1 }) end)
    support.fails(where, function() metric.labels(bad) end)
    support.fails(where, function()
        metric.memorization { training = good, held_out = good, generated = bad }
    end)
    support.fails("at least two", function() metric.inception_score { { 1, 2 } } end)
    support.fails("at least two", function() metric.prdc(good, { { 1, 2 } }, { k = 1 }) end)
    support.fails("real has 2 columns, fake has 1", function() metric.prdc(good, { 1, 2 }, { k = 1 }) end)
end

function TestRows.test_wrong_options()
    support.fails("did you mean 'splits'?", function() metric.inception_score(L, { split = 2 }) end)
    support.fails("a whole number of at least 1 expected, got 0", function() metric.prdc(X, Y, { k = 0 }) end)
    support.fails("metric.kernel_distance: over subsets", function()
        metric.kernel_distance(X, Y, { subsets = 2, biased = true })
    end)
    support.fails("element 2: a whole number from 1 to 3 expected, got 4", function()
        metric.histogram({ 1, 4 }, { classes = 3 })
    end)
    support.fails("element 1: a whole number from 1 to 9 expected, got 0", function()
        metric.modes({ 0 }, { modes = 9 })
    end)
    support.fails("one of modes, centers and stacked expected", function() metric.modes({ 1 }) end)
    support.fails("2 classes, but the reference has 3", function() metric.total_variation({ 1, 2 }, { 1, 2, 3 }) end)
    support.fails("element 1: a count expected, got -1", function() metric.total_variation({ -1 }, { 1 }) end)
    support.fails("brood.metric has no 'frechet_distanc': did you mean 'frechet_distance'?", function()
        return metric.frechet_distanc
    end)
end

-- Fewer rows than features: computed, and said on stderr.
function TestRows.test_few_rows()
    local f = function(i, j) return math.sin(i * 3.7 + j * 1.9) end
    local said, stderr = {}, io.stderr
    io.stderr = { write = function(_, text) said[#said + 1] = text end }
    local distance = metric.frechet_distance(rows_of(4, 9, f), rows_of(5, 9, f))
    metric.frechet_distance(X, Y)
    io.stderr = stderr
    lu.assertTrue(distance > 0)
    lu.assertEquals(#said, 1)
    lu.assertStrContains(said[1], "test_metric.lua")
    lu.assertStrContains(said[1], "metric.frechet_distance: fewer rows than features")
end

support.main {
    TestScore = TestScore, TestFrechet = TestFrechet, TestKernel = TestKernel, TestPrdc = TestPrdc,
    TestModes = TestModes, TestMemorization = TestMemorization, TestRows = TestRows,
}
