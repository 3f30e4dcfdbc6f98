-- Scores of generators, ready to be what an experiment selects by or reports.
--
--     select = metric.classifier_score { samples = 2500 }
--     report = { metric.classifier_score {}, metric.frechet {}, metric.kernel {}, metric.coverage {} }
--     report = { metric.combine(function(s) return s.classifier_score - 0.01 * s.frechet end) }
--     select = metric.combine(function(s) return s.modes * s.high_quality end, { name = "spread" })       -- of points
--
-- Images come from fixed latent vectors, the same for all members, by the averaged generator, rounded to 8 bits. The
-- classifier is the experiment's selection or report classifier, as the role says ("report" unless the experiment sets
-- it), or the score's own. Points have none: the data set knows its modes.
--
-- A score has `name` (its kind's, unless the option `name` says otherwise: two reports must differ in it), `better`
-- ("higher" or "lower"), `role`, `samples`, and
--     score:score(member, experiment)    value, standard deviation; or nil and the reason when images are not finite
--     score:ceiling(experiment)          the same of as many real test images: what no honest generator much exceeds
--     score:of_images(images)            of images that are at hand, by the score's own classifier
-- All measuring is a scorer's (metric/scorer.lua).
local check = require "brood.check"
local classifiers = require "brood.metric.classifier"
local script = require "brood.script"

local Score = { __name = "brood.Score" }
Score.__index = Score

-- ---- kinds --------------------------------------------------------------------------------------------------------
-- measure: what the scorer is told besides kind, samples and classifier, from the score's options and what is known of
-- the real images. `labels`: there must be some. `honest`: real images are the best there is, so whoever beats them
-- deserves a look. `points`: of points, not of images; "both".

local kinds = {}

kinds.classifier_score = { better = "higher", labels = true, honest = true }

local REPEATS = { "number", integer = true, min = 2, default = 20 }

kinds.frechet = {
    better = "lower", honest = true, features = true,
    fields = { resamples = REPEATS }, -- behind the deviation
    measure = function(self, reals) return { statistics = reals:statistics(), repeats = self.resamples } end,
}

kinds.kernel = {
    better = "lower", honest = true, features = true,
    fields = { subsets = REPEATS },
    measure = function(self, reals) return { real = reals:features(), repeats = self.subsets } end,
}

local function neighbors(self, reals)
    local features, radii = reals:neighbors(self.samples, self.k)
    return { real = features, radii = radii, k = self.k }
end

local K = { "number", integer = true, min = 1, default = 5 } -- balls reach to the k-th neighbor

for _, name in ipairs { "precision", "recall", "density", "coverage" } do
    kinds[name] = { better = "higher", honest = name == "coverage", features = true, fields = { k = K },
        measure = neighbors }
end

-- The share of images that are nearer to a training image than 99 of 100 test images are.
kinds.memorization = {
    better = "lower", features = true,
    fields = { training = { "number", integer = true, min = 2, default = 10000 } }, -- so many are compared with
    measure = function(self, reals)
        local features, distances = reals:held_out(self.training)
        return { real = features, held_out = distances }
    end,
}

-- Total variation between the classes of the images and those of real ones.
kinds.class_balance = {
    better = "lower", labels = true,
    measure = function(_, reals) return { reference = reals:classes() } end,
}

-- exp(entropy): how many classes there are, if they were equally common.
kinds.class_entropy = { better = "higher", labels = true }

-- Modes with a point near them, or classes with an image.
kinds.modes = { better = "higher", labels = true, honest = true, points = "both" }

-- The share of points near a center, and KL(modes ‖ uniform).
kinds.high_quality = { better = "higher", honest = true, points = true }
kinds.reverse_kl = { better = "lower", labels = true, points = "both" }

-- ---- scores -------------------------------------------------------------------------------------------------------

local COMMON = {
    samples = { "number", integer = true, min = 2, default = 2500 },
    classifier = { "classifier, as metric.classifier {} gives,", is = classifiers.is_classifier },
    name = {
        "name of letters, digits and '_'",
        is = function(value) return type(value) == "string" and value:find "^[%a_][%w_]*$" ~= nil end,
    },
}

-- What one scorer takes for the score: { kind = , and its options }. Only combined scores have several.
local function component(kind, options)
    local one = { kind = kind }
    for name, value in pairs(options) do one[name] = value end
    return one
end

local function make(name, given, rules)
    local self = check.fields("metric." .. name, given, rules)
    self.name, self.role = self.name or name, "report"
    return setmetatable(self, Score)
end

local score = { kinds = kinds, Score = Score, constructors = {} }

for name, kind in pairs(kinds) do
    kind.rules = {}
    for _, source in ipairs { COMMON, kind.fields or {} } do
        for field, rule in pairs(source) do kind.rules[field] = rule end
    end
end

local function constructor(name)
    local kind = kinds[name]
    return function(given)
        local self = make(name, given, kind.rules)
        self.better = kind.better
        self.components = { component(name, self) }
        return self
    end
end

for _, name in ipairs(check.names(kinds)) do
    -- metric.modes and metric.memorization measure rows: their scores are called otherwise.
    local taken = name == "modes" or name == "memorization"
    score.constructors[taken and name .. "_score" or name] = constructor(name)
end

function Score:__tostring()
    return ("%s of %d images"):format(self.name, self.samples)
end

-- ---- combined -----------------------------------------------------------------------------------------------------

local PROBES = { 1, 0.5, 10 } -- stand for what will be measured, to see what a function reads

local function read_name(name)
    if not kinds[name] then
        script.fail(("metric.combine: there is no score '%s'%s"):format(tostring(name),
            check.hint(name, check.names(kinds))))
    end
    return name
end

local function number_from(f, readings)
    local value = f(readings)
    if type(value) ~= "number" then
        script.fail("metric.combine: the function must return a number, it returned " .. check.describe(value))
    end
    return value
end

-- The names that f reads, in order.
local function names_read(f)
    local read = {}
    for _, probe in ipairs(PROBES) do
        number_from(f, setmetatable({}, { __index = function(_, name)
            read[read_name(name)] = true
            return probe
        end }))
    end
    if next(read) == nil then script.fail "metric.combine: the function reads no score, as in s.classifier_score" end
    return check.names(read)
end

-- What f makes of measured values { name = value }.
local function combined(f, values)
    return number_from(f, setmetatable({}, { __index = function(_, name)
        local value = values[read_name(name)]
        if value ~= nil then return value end
        script.fail(("metric.combine: s.%s was not measured, since the function read it only now: it must read all"
            .. " that it may need, whatever the values are"):format(name))
    end }))
end

-- What f makes of other scores, s.classifier_score, s.frechet, s.coverage ... Higher is better. The deviation is what
-- theirs, each moved on its own, make of f's value.
function score.constructors.combine(f, given)
    if type(f) ~= "function" then
        script.fail("metric.combine: a function(s) expected, got " .. check.describe(f))
    end
    local self = make("combine", given, COMMON)
    self.better, self.components = "higher", {}
    for i, name in ipairs(names_read(f)) do
        local options = { samples = self.samples }
        for field, rule in pairs(kinds[name].fields or {}) do options[field] = rule.default end
        self.components[i] = component(name, options)
    end
    -- values, deviations: { name = number }
    function self.finish(values, deviations)
        local value, squares = combined(f, values), 0
        for _, name in ipairs(check.names(deviations)) do
            local moved = {}
            for other, known in pairs(values) do moved[other] = known end
            moved[name] = values[name] + deviations[name]
            squares = squares + (combined(f, moved) - value) ^ 2
        end
        return value, math.sqrt(squares)
    end
    return self
end

return score
