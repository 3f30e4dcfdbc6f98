-- brood.metric: how good is what a generator makes?
--
-- Functions over numbers, which any script can call on its own (this file):
--     mean, deviation, more = metric.inception_score(logits, { splits = 10, shuffle = false })
--     distance, more = metric.frechet_distance(x, y)
--     distance, deviation = metric.kernel_distance(x, y, { biased = false, subsets = 100, size = 1000 })
--     { precision, recall, density, coverage } = metric.prdc(real, fake, { k = 5, strict = nil })
--     { hit, modes, reverse_kl, high_quality } = metric.modes(...)
--     { counts, entropy, effective, total_variation } = metric.histogram(labels, { classes = 10, reference = counts })
--     { ratio, near_share, exact_share, ... } = metric.memorization { training =, held_out =, generated = }
-- Rows are lists of rows { {1, 2}, {3, 4} }, flat lists { 1, 2, 3, 4, columns = 2 }, lists of numbers (one column) or
-- brood.Values, whose first axis counts rows. Numbers in tables stay double. metrics/metrics.h has the formulas.
--
-- Classifiers, which turn images into logits and features: metric.classifier {}, metric.classifiers {}
-- (metric/classifier.lua). Scores of generators (metric/score.lua): metric.classifier_score {}, metric.frechet {},
-- metric.kernel {}, metric.precision {}, metric.recall {}, metric.density {}, metric.coverage {},
-- metric.memorization_score {}, metric.class_balance {}, metric.class_entropy {}, metric.modes_score {},
-- metric.high_quality {}, metric.reverse_kl {}, metric.combine(f). What measures them, in C: metric.scorer(scores,
-- experiment), metric.report(scores, member, experiment) (metric/scorer.lua). What they say about being fooled, round
-- after round: metric.alarms(history, facts) (metric/alarm.lua), metric.suspicious(fact, value, deviation).
local check = require "brood.check"
local core = require "brood.metric.core"
local script = require "brood.script"

local metric = {}

-- Said on stderr; the result stands.
local function warn_of_few_rows(name, result)
    if not result.few_rows then return end
    io.stderr:write(("brood: %s: warning: metric.%s: fewer rows than features: the result says little\n"):format(
        script.line() or "", name))
end

-- ---- by a classifier's logits -------------------------------------------------------------------------------------

local SCORE = {
    splits = { "number", integer = true, min = 1, default = 1 },
    shuffle = { "boolean" }, -- otherwise splits are made of rows as they stand
}

-- exp of the mean KL(p(class | image) ‖ p(class)). (Salimans et al. 2016) Returns the mean and the population standard
-- deviation over the splits, and a table of both, `whole`, the score of all rows at once, and its spread over 200
-- resamples: bootstrap_deviation, low and high (2.5 % and 97.5 %).
function metric.inception_score(logits, options)
    local given = check.fields("metric.inception_score", options, SCORE)
    local score = core.inception_score("metric.inception_score", logits, given.splits, given.shuffle ~= false)
    return score.mean, score.deviation, score
end

-- The class with the greatest logit of each row, from 1.
function metric.labels(logits)
    return core.labels("metric.labels", logits)
end

-- ---- by features --------------------------------------------------------------------------------------------------

-- Between Gaussians fitted to the rows. (Heusel et al. 2017) Also returns { mean_part, covariance_part, few_rows }.
function metric.frechet_distance(x, y)
    local result = core.frechet("metric.frechet_distance", x, y)
    warn_of_few_rows("frechet_distance", result)
    return result.distance, result
end

-- Mean and covariance of rows, computed once: frechet_distance takes it in the place of rows.
function metric.frechet_statistics(x)
    return core.statistics("metric.frechet_statistics", x)
end

local KERNEL = {
    biased = { "boolean", default = false },
    subsets = { "number", integer = true, min = 1 },
    size = { "number", integer = true, min = 2, default = 1000 }, -- rows in a subset
}

-- Squared maximum mean discrepancy with a cubic kernel, over all rows; or with `subsets`, the mean over so many draws,
-- and the deviation over them. (Bińkowski et al. 2018)
function metric.kernel_distance(x, y, options)
    local given = check.fields("metric.kernel_distance", options, KERNEL)
    if given.subsets and given.biased then
        script.fail "metric.kernel_distance: over subsets it is always unbiased: leave out biased or subsets"
    end
    local result
    if given.subsets then
        result = core.kernel_subsets("metric.kernel_distance", x, y, given.subsets, given.size)
    else
        result = core.kernel("metric.kernel_distance", x, y, given.biased)
    end
    warn_of_few_rows("kernel_distance", result)
    return result.distance, result.deviation
end

local PRDC = {
    k = { "number", integer = true, min = 1, default = 5 },
    strict = { "boolean" }, -- rows at exactly the k-th neighbor's distance: true, out; false, in; nil, as the authors do
}

-- (Kynkäänniemi et al. 2019; Naeem et al. 2020)
function metric.prdc(real, fake, options)
    local given = check.fields("metric.prdc", options, PRDC)
    local result = core.prdc("metric.prdc", real, fake, given.k, given.strict)
    warn_of_few_rows("prdc", result)
    return result
end

local MEMORIZATION = {}
for _, name in ipairs { "training", "held_out", "generated" } do
    MEMORIZATION[name] = { "list of rows", is = function(value) return value ~= nil end, required = true }
end

-- Are generated rows nearer to training rows than unseen real ones are?
function metric.memorization(rows)
    local given = check.fields("metric.memorization", rows, MEMORIZATION)
    local result = core.memorization("metric.memorization", given.training, given.held_out, given.generated)
    warn_of_few_rows("memorization", result)
    return result
end

-- ---- by labels ----------------------------------------------------------------------------------------------------

local function is_list(value) return type(value) ~= "number" and value ~= nil end

local MODES = {
    modes = { "number", integer = true, min = 1 },        -- of samples that are mode numbers, from 1
    centers = { "list of rows", is = is_list },           -- of samples that are points ...
    deviation = { "number", above = 0 },                  -- ... around centers with this standard deviation;
    within = { "number", above = 0, default = 3 },        -- so many of it are high quality
    stacked = { "boolean", default = false },             -- samples is { first, second, third }: classes of digits
}

-- How many modes were hit, and KL(samples ‖ uniform).
--     metric.modes(numbers, { modes = 1000 })
--     metric.modes(points, { centers = centers, deviation = 0.05 })
--     metric.modes({ red, green, blue }, { stacked = true })
function metric.modes(samples, options)
    local name = "metric.modes"
    local given = check.fields(name, options, MODES)
    if given.stacked then
        if type(samples) ~= "table" or #samples ~= 3 then
            script.fail(name .. ": stacked: three lists expected, { first, second, third }")
        end
        return core.modes_stacked(name, samples[1], samples[2], samples[3])
    elseif given.centers then
        if not given.deviation then script.fail(name .. ": deviation is missing: that of the points around a center") end
        return core.modes_near(name, samples, given.centers, given.deviation, given.within)
    elseif given.modes then
        return core.modes(name, samples, given.modes)
    end
    script.fail(name .. ": one of modes, centers and stacked expected: it says what the samples are")
end

local HISTOGRAM = {
    classes = { "number", integer = true, min = 1, required = true },
    reference = { "list of counts", is = is_list }, -- otherwise all classes alike
}

-- How many labels, from 1, are of each class; entropy; exp(entropy); distance from the reference.
function metric.histogram(labels, options)
    local given = check.fields("metric.histogram", options, HISTOGRAM)
    local counts = core.histogram("metric.histogram", labels, given.classes)
    local result = core.summary("metric.histogram", counts, given.reference)
    result.counts = counts
    return result
end

-- ½ Σ |p - q| of two lists of counts: 0 equal, 1 without overlap.
function metric.total_variation(counts, reference)
    if reference == nil then script.fail "metric.total_variation: two lists of counts expected, got one" end
    return core.summary("metric.total_variation", counts, reference).total_variation
end

local classifier, score = require "brood.metric.classifier", require "brood.metric.score"
local scorer = require "brood.metric.scorer"

metric.classifier, metric.classifiers = classifier.classifier, classifier.classifiers
metric.scorer, metric.report, metric.provide_classifiers = scorer.scorer, scorer.report, scorer.provide_classifiers
metric.check, metric.seconds = scorer.check, scorer.seconds
metric.suspicious, metric.alarms = scorer.suspicious, require("brood.metric.alarm").alarms
for name, f in pairs(score.constructors) do metric[name] = f end

for name, f in pairs(metric) do metric[name] = check.constructor(f) end

return check.module("brood.metric", metric)
