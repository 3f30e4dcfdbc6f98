-- A score by a classifier of one's own can be fooled. Each way is tried here: the set of report scores must catch it.
-- `brood lua tests/bench/bench_scores.lua gaming` prints the numbers.
local support = dofile "tests/lua/support.lua"
local data = require "brood.data"
local gaming = dofile "tests/lua/gaming.lua"
local metric = require "brood.metric"
local lu = support.lu

local COUNT = 600

local function open(options)
    options.size = 16
    return data.digits(options)
end

local set = open {}
local experiment = { data = set, seed = 1 }
local selection = metric.classifiers { data = set, say = function() end }

local select = metric.classifier_score { samples = COUNT }
select.role = "selection"
local scores = { select }
for _, name in ipairs {
    "classifier_score", "frechet", "kernel", "precision", "recall", "coverage", "class_balance", "memorization_score",
} do
    scores[#scores + 1] = metric[name] { samples = COUNT }
end

-- Which report scores say that something is wrong: worse than real images by five standard deviations and by a tenth,
-- or better than they could be.
local function caught_by(rows)
    local caught = {}
    for _, row in ipairs(rows) do
        local worse = row.better == "higher" and row.ceiling - row.value or row.value - row.ceiling
        local deviation = math.sqrt(row.deviation ^ 2 + row.ceiling_deviation ^ 2)
        local wrong = row.suspicious or worse > 5 * deviation and worse > 0.1 * math.abs(row.ceiling)
        if row.role == "report" and wrong then caught[row.name] = true end
    end
    return caught
end

local measured = {}
for _, case in ipairs(gaming.cases(open, selection, COUNT)) do
    local rows = metric.report(scores, { sample = function() return case[2] end }, experiment)
    measured[case[1]] = { rows = rows, caught = caught_by(rows), selection = rows[1] }
end

local TestGaming = {}

local function assert_caught(name, metrics)
    local case = measured[name]
    for _, one in ipairs(metrics) do
        lu.assertTrue(case.caught[one], ("%s: not caught by %s"):format(name, one))
    end
end

function TestGaming.test_real_images_are_not_caught()
    lu.assertEquals(measured["real test images"].caught, {})
end

-- The selection score is as good as can be, and says nothing.
function TestGaming.test_selection_is_fooled()
    for _, name in ipairs { "one memorized image a class", "gradient-made noise" } do
        local row = measured[name].selection
        lu.assertTrue(row.value > row.ceiling, name)
    end
end

function TestGaming.test_memorized()
    assert_caught("one memorized image a class", { "frechet", "kernel", "recall", "coverage", "memorization" })
end

function TestGaming.test_blurred_and_noisy()
    assert_caught("blurred", { "classifier_score", "frechet", "kernel", "recall", "coverage" })
    assert_caught("noise 0.3", { "frechet", "coverage" })
    assert_caught("noise 0.6", { "classifier_score", "frechet", "kernel", "coverage" })
end

function TestGaming.test_dropped()
    assert_caught("1 class dropped", { "frechet", "class_balance" })
    assert_caught("2 classes dropped", { "classifier_score", "frechet", "class_balance", "coverage" })
    assert_caught("5 classes dropped", { "classifier_score", "frechet", "class_balance", "coverage", "recall" })
end

function TestGaming.test_gradient_made()
    assert_caught("gradient-made noise", { "classifier_score", "frechet", "kernel", "precision", "recall", "coverage" })
end

support.main { TestGaming = TestGaming }
