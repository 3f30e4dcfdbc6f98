-- Scores of generators, ready to be what an experiment selects by or reports.
--
--     select = metric.classifier_score { samples = 2500 }
--     report = { metric.classifier_score {}, metric.frechet {}, metric.kernel {}, metric.coverage {} }
--     report = { metric.combine(function(s) return s.classifier_score - 0.01 * s.frechet end) }
--
-- A score has `name`, `better` ("higher" or "lower"), `role` and
--     score:score(member, experiment)    value, standard deviation; or nil and the reason when images are not finite
--     score:ceiling(experiment)          the same of as many real test images: what no honest generator much exceeds
-- Images come from fixed latent vectors, the same for all members, by the averaged generator, rounded to 8 bits. The
-- classifier is the experiment's selection or report classifier, as the role says ("report" unless the experiment sets
-- it), or the score's own. What is known of the real images is computed once and kept with the classifier.
--
--     for _, row in ipairs(metric.report(scores, member, experiment)) do print(row.name, row.value, row.deviation) end
-- makes the images once for all scores. A row holds name, value, deviation, ceiling, ceiling_deviation, and
-- `suspicious`: better than real images by over three standard deviations.
local check = require "brood.check"
local core = require "brood.metric.core"
local classifiers = require "brood.metric.classifier"
local script = require "brood.script"

local REFERENCE = 10000 -- real images that distances are measured from

-- ---- what is known of images --------------------------------------------------------------------------------------

local WHAT = "metric score"

-- What a classifier says of images.
local function view_of(classifier, images)
    local logits, features = classifier:look(images)
    return { classifier = classifier, logits = core.rows(WHAT, logits), features = core.rows(WHAT, features) }
end

-- Training images, as the classifier sees them.
local function real_of(classifier)
    if not classifier.real then
        local count = math.min(classifier.data:count(), REFERENCE)
        classifier.real = view_of(classifier, (classifier.data:samples(1, count)))
        classifier.real.statistics = core.statistics(WHAT, classifier.real.features)
        classifier.real.few = {}
    end
    return classifier.real
end

-- The first `count` of them, with the radii of their k-th neighbors.
local function few_real(classifier, count, k)
    local few = real_of(classifier).few
    local key = ("%d %d"):format(count, k)
    if not few[key] then
        local view = view_of(classifier, (classifier.data:samples(1, count)))
        few[key] = { features = view.features, radii = core.radii(WHAT, view.features, k) }
    end
    return few[key]
end

local function test_view(classifier, count)
    classifier.test_views = classifier.test_views or {}
    local views, most = classifier.test_views, math.min(count, classifier.test:count())
    views[most] = views[most] or view_of(classifier, (classifier.test:samples(1, most)))
    return views[most]
end

-- ---- each kind's number -------------------------------------------------------------------------------------------
-- measure(self, view) → value, standard deviation

local kinds = {}

kinds.classifier_score = {
    better = "higher",
    measure = function(_, view)
        local score = core.inception_score(WHAT, view.logits, 1, true)
        return score.whole, score.bootstrap_deviation
    end,
}

kinds.frechet = {
    better = "lower",
    fields = { resamples = { "number", integer = true, min = 2, default = 20 } }, -- behind the deviation
    measure = function(self, view)
        local statistics = real_of(view.classifier).statistics
        local distance = core.frechet(WHAT, statistics, view.features).distance
        return distance, core.frechet_spread(WHAT, statistics, view.features, self.resamples)
    end,
}

-- The mean over subsets; its deviation from theirs, which shrinks with the root of the images.
kinds.kernel = {
    better = "lower",
    fields = { subsets = { "number", integer = true, min = 2, default = 20 } },
    measure = function(self, view)
        local real, count = real_of(view.classifier).features, #view.features
        local size = math.max(2, math.min(1000, count // 2, #real // 2))
        local result = core.kernel_subsets(WHAT, real, view.features, self.subsets, size)
        return result.distance, result.deviation * math.sqrt(size / count)
    end,
}

-- Shares of n images: binomial deviations.
kinds.coverage = {
    better = "higher",
    fields = {
        k = { "number", integer = true, min = 1, default = 5 },
        of = { "string", choices = { "coverage", "precision", "recall" }, default = "coverage" },
    },
    measure = function(self, view)
        local real = few_real(view.classifier, math.min(#view.features, view.classifier.data:count()), self.k)
        local share = core.prdc(WHAT, real.features, view.features, self.k, nil, real.radii)[self.of]
        return share, math.sqrt(share * (1 - share) / #view.features)
    end,
}

-- Total variation between the classes of the images and those of real ones.
kinds.class_balance = {
    better = "lower",
    measure = function(_, view)
        local classes = #view.classifier.classes
        local function counts(of) return core.histogram(WHAT, core.labels(WHAT, of.logits), classes) end
        local off = core.summary(WHAT, counts(view), counts(real_of(view.classifier))).total_variation
        return off, math.sqrt(off * (1 - off) / #view.logits)
    end,
}

-- ---- scores -------------------------------------------------------------------------------------------------------

local Score = { __name = "brood.Score" }
Score.__index = Score

local by_experiment = setmetatable({}, { __mode = "k" })

-- The classifier that the score goes by: its own, or the experiment's for its role.
local function classifier_for(self, experiment)
    if self.classifier then return self.classifier end
    by_experiment[experiment] = by_experiment[experiment] or {}
    local known = by_experiment[experiment]
    if not known[self.role] then
        local first = self.role == "selection"
        known[self.role] = classifiers.classifier {
            data = experiment.data, seed = first and 1 or 2, half = first and 1 or 2,
            architecture = first and "strided" or "mixed",
        }
    end
    return known[self.role]
end

local function generate(self, member, experiment)
    local images = member:sample(1, self.samples, experiment.seed)
    local fine, where = core.finite(images)
    if not fine then return nil, ("generated image %d holds a number that is not finite"):format(where) end
    return images
end

function Score:score(member, experiment)
    local images, reason = generate(self, member, experiment)
    if not images then return nil, reason end
    return self:measure(view_of(classifier_for(self, experiment), images))
end

-- Of images (n, height, width, channels) that are at hand; the score needs a classifier of its own.
function Score:of_images(images)
    if not self.classifier then script.fail(("metric.%s: of_images needs the option classifier"):format(self.name)) end
    return self:measure(view_of(self.classifier, images))
end

function Score:ceiling(experiment)
    local classifier = classifier_for(self, experiment)
    self.ceilings = self.ceilings or setmetatable({}, { __mode = "k" })
    local known = self.ceilings[classifier]
    if not known then
        known = { self:measure(test_view(classifier, self.samples)) }
        self.ceilings[classifier] = known
    end
    return known[1], known[2]
end

function Score:__tostring()
    return ("%s of %d images"):format(self.name, self.samples)
end

local COMMON = {
    samples = { "number", integer = true, min = 2, default = 2500 },
    classifier = { "classifier, as metric.classifier {} gives,", is = classifiers.is_classifier },
}

local function make(name, given, rules)
    local self = check.fields("metric." .. name, given, rules)
    self.name, self.role = name, "report"
    return setmetatable(self, Score)
end

local score = {}

for name, kind in pairs(kinds) do
    local rules = {}
    for _, source in ipairs { COMMON, kind.fields or {} } do
        for field, rule in pairs(source) do rules[field] = rule end
    end
    kind.rules = rules
    score[name] = function(given)
        local self = make(name, given, rules)
        self.better, self.measure = kind.better, kind.measure
        if self.of and self.of ~= name then self.name = self.of end
        return self
    end
end

-- ---- combined -----------------------------------------------------------------------------------------------------

-- The usual settings of a kind.
local function usual(kind)
    local self = {}
    for name, rule in pairs(kind.rules) do self[name] = rule.default end
    return self
end

-- The table that f reads: each score is measured when it is asked for. Measured ones lie in `known`.
local function readings(view, known, shifted)
    return setmetatable({}, {
        __index = function(_, name)
            local kind = kinds[name]
            if not kind then
                script.fail(("metric.combine: there is no score '%s'%s"):format(tostring(name),
                    check.hint(name, check.names(kinds))))
            end
            known[name] = known[name] or { kind.measure(usual(kind), view) }
            return known[name][1] + (name == shifted and known[name][2] or 0)
        end,
    })
end

-- What f makes of other scores, s.classifier_score, s.frechet, s.kernel, s.coverage and s.class_balance. Higher is
-- better. The deviation is what theirs, each moved on its own, make of f's value.
function score.combine(f, given)
    if type(f) ~= "function" then
        script.fail("metric.combine: a function(s) expected, got " .. check.describe(f))
    end
    local self = make("combine", given, COMMON)
    self.better = "higher"
    function self.measure(_, view)
        local known, squares = {}, 0
        local value = f(readings(view, known))
        if type(value) ~= "number" then
            script.fail("metric.combine: the function must return a number, it returned " .. check.describe(value))
        end
        for _, name in ipairs(check.names(known)) do
            squares = squares + (f(readings(view, known, name)) - value) ^ 2
        end
        return value, math.sqrt(squares)
    end
    return self
end

-- ---- many at once -------------------------------------------------------------------------------------------------

local function row_of(self, view, experiment)
    local value, deviation = self:measure(view)
    local ceiling, ceiling_deviation = self:ceiling(experiment)
    local beyond = self.better == "higher" and value - ceiling or ceiling - value
    return {
        name = self.name, better = self.better, value = value, deviation = deviation, ceiling = ceiling,
        ceiling_deviation = ceiling_deviation,
        suspicious = beyond > 3 * math.sqrt(deviation ^ 2 + ceiling_deviation ^ 2),
    }
end

-- A row for each score. nil and the reason when an image is not finite.
function score.report(scores, member, experiment)
    local views, rows = {}, {}
    for i, one in ipairs(scores) do
        local classifier = classifier_for(one, experiment)
        local key = classifier.hash .. one.samples
        if not views[key] then
            local images, reason = generate(one, member, experiment)
            if not images then return nil, reason end
            views[key] = view_of(classifier, images)
        end
        rows[i] = row_of(one, views[key], experiment)
    end
    return rows
end

return score
