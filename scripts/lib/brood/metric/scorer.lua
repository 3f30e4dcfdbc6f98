-- Turns scores into a scorer, which measures them all in C, on any thread:
--
--     local scorer, finish, facts = metric.scorer({ select, report1, report2 }, experiment)
--     local values, deviations = scorer:measure(images)
--     if finish then values, deviations = finish(values, deviations) end
--
-- `finish` is there when some score is made of several measures (metric.combine): it turns a value for each measure into
-- one for each score. facts[i] tells of score i: name, kind, better, role, samples, classifier (a hash; nil for
-- points), honest (whoever beats real images deserves a look), and ceiling, ceiling_deviation: the same of as many real test
-- images.
--
--     for _, row in ipairs(metric.report(scores, member, experiment)) do print(row.name, row.value, row.deviation) end
-- makes the images once for all scores. A row holds what facts do, and value, deviation, and `suspicious`: better than
-- real images by over three standard deviations.
local check = require "brood.check"
local classifiers = require "brood.metric.classifier"
local core = require "brood.metric.core"
local files = require "brood.files"
local reals = require "brood.metric.reals"
local score = require "brood.metric.score"
local script = require "brood.script"

local kinds, Score = score.kinds, score.Score
local WITHIN = 3 -- deviations of a mode, within which points are of high quality

local scorer = {}

-- ---- which classifier ---------------------------------------------------------------------------------------------

local by_experiment = setmetatable({}, { __mode = "k" })

local function has_points(data) return data:kind() == "ring" or data:kind() == "grid" end

-- Trains those of the roles that scores need, all at once.
local function provide_classifiers(scores, experiment)
    by_experiment[experiment] = by_experiment[experiment] or {}
    local known, wanted = by_experiment[experiment], {}
    if has_points(experiment.data) then return known end
    for _, one in ipairs(scores) do
        if not one.classifier and not known[one.role] then wanted[one.role] = true end
    end
    for role, made in pairs(classifiers.for_roles({ data = experiment.data }, check.names(wanted))) do known[role] = made end
    return known
end

-- For those who make several scorers of an experiment: trains all that they need at once.
function scorer.provide_classifiers(scores, experiment) provide_classifiers(scores, experiment) end

-- The score's classifier; false for points.
local function classifier_for(one, experiment, known)
    return not has_points(experiment.data) and (one.classifier or known[one.role])
end

local function shape_text(of) return table.concat(of:shape(), "×") end

-- Refuses a score that cannot be had of the data.
local function check_score(one, data)
    local points = has_points(data)
    if one.classifier and not points and shape_text(one.classifier.data) ~= shape_text(data) then
        script.fail(("metric.%s: its classifier looks at images of %s, those of %s are %s: it needs one that was"
            .. " trained on such"):format(one.name, shape_text(one.classifier.data), data, shape_text(data)))
    end
    local labelled = not points and (one.classifier and one.classifier.labelled or #data:classes() >= 2)
    for _, part in ipairs(one.components) do
        local kind, what = kinds[part.kind], "metric." .. part.kind
        if points and not kind.points then
            script.fail(("%s: the data are points: metric.modes_score {}, metric.high_quality {} and"
                .. " metric.reverse_kl {} are for them"):format(what))
        elseif not points and kind.points == true then
            script.fail(("%s: it is for points, and the data are images"):format(what))
        elseif not points and kind.labels and not labelled then
            script.fail(("%s: it is not to be had without labels: %s. metric.frechet {}, metric.kernel {} and"
                .. " metric.coverage {} are"):format(what, data))
        end
    end
end

-- Whether scores can be had of the experiment's data, before classifiers are trained for them.
function scorer.check(scores, experiment)
    if type(scores) ~= "table" or #scores == 0 then
        script.fail "metric.scorer: a list of scores expected, such as { metric.classifier_score {} }"
    elseif not experiment.data then
        script.fail "metric.scorer: the experiment has no data to compare with"
    end
    for _, one in ipairs(scores) do check_score(one, experiment.data) end
end

-- ---- the table that core.scorer takes -----------------------------------------------------------------------------

-- Position of an element in a list, which it joins if it is not there.
local function place_in(list, element)
    for i, known in ipairs(list) do
        if known == element then return i end
    end
    list[#list + 1] = element
    return #list
end

-- Said on stderr; the results stand.
local function warn_of_few(scores, chosen)
    local few, count, width = {}, 0, 0
    for i, one in ipairs(scores) do
        for _, part in ipairs(one.components) do
            if chosen[i] and kinds[part.kind].features and part.samples < chosen[i].width then
                few[#few + 1], count, width = part.kind, part.samples, chosen[i].width
            end
        end
    end
    if #few == 0 then return end
    io.stderr:write(("brood: warning: %d images, fewer than the %d features: %s say little\n"):format(count, width,
        table.concat(few, ", ")))
end

local function measure_of(part, classifier, looker, most)
    local options = {}
    for name, value in pairs(part) do options[name] = value end
    options.samples = math.min(part.samples, most)
    if options.samples < 2 then script.fail(("metric.%s: at least two images are needed"):format(part.kind)) end
    local measure = { kind = part.kind, samples = options.samples, looker = looker }
    local more = classifier and kinds[part.kind].measure
    for name, value in pairs(more and more(options, reals.of(classifier)) or {}) do measure[name] = value end
    return measure
end

-- chosen: each score's classifier. Scores of more than `most` images make do with so many.
local function build(scores, chosen, data, most)
    local shape = data:shape()
    local spec = { numbers = shape[1] * shape[2] * shape[3], lookers = {}, measures = {} }
    local used = {}
    for i, one in ipairs(scores) do
        local looker = chosen[i] and place_in(used, chosen[i]) or nil
        for _, part in ipairs(one.components) do
            spec.measures[#spec.measures + 1] = measure_of(part, chosen[i], looker, most)
        end
    end
    for i, classifier in ipairs(used) do
        spec.lookers[i] = { program = classifier.looker, planes = classifier.planes }
    end
    if #used == 0 then
        local centers, deviation = data:centers()
        spec.centers, spec.deviation, spec.within = core.rows("centers", centers), deviation, WITHIN
    end
    return core.scorer(spec)
end

-- From a value for each measure to one for each score; nil when these are the same.
local function finish_of(scores)
    local plain = true
    for _, one in ipairs(scores) do plain = plain and not one.finish end
    if plain then return nil end
    return function(measured, spreads)
        local values, deviations, at = {}, {}, 0
        for i, one in ipairs(scores) do
            local by_name, spread_by_name = {}, {}
            for j, part in ipairs(one.components) do
                by_name[part.kind], spread_by_name[part.kind] = measured[at + j], spreads[at + j]
            end
            values[i], deviations[i] = measured[at + 1], spreads[at + 1]
            if one.finish then values[i], deviations[i] = one.finish(by_name, spread_by_name) end
            at = at + #one.components
        end
        return values, deviations
    end
end

-- ---- how long it takes -------------------------------------------------------------------------------------------

local PROBE = 256 -- images

local function seconds_an_image(f)
    f() -- the first touches memory that is new
    local start = files.seconds()
    f()
    return (files.seconds() - start) / PROBE
end

-- Seconds that it takes to make a member's images for these scores and to look at them, by classifiers that have learned
-- nothing; measures take little beside that.
function scorer.seconds(scores, member, experiment)
    local images, most, lookers = nil, {}, {}
    for _, one in ipairs(scores) do
        local key = has_points(experiment.data) and "points" or one.classifier or one.role
        most[key] = math.max(most[key] or 0, one.samples)
        lookers[key] = one.classifier or key ~= "points" and classifiers.untrained({ data = experiment.data }, one.role)
    end
    local seconds, made = seconds_an_image(function() images = member:sample(1, PROBE, experiment.seed) end), 0
    for _, count in pairs(most) do made = math.max(made, count) end
    seconds = seconds * made
    for key, count in pairs(most) do
        local looker = lookers[key]
        if looker then seconds = seconds + count * seconds_an_image(function() looker:look(images) end) end
    end
    return seconds
end

-- ---- a scorer -----------------------------------------------------------------------------------------------------

local function most_samples(scores)
    local most = 2
    for _, one in ipairs(scores) do most = math.max(most, one.samples) end
    return most
end

-- What the scores make of real test images.
local function ceilings(scores, chosen, data, made, finish)
    local test = chosen[1] and chosen[1].test or data:test()
    local count = math.min(most_samples(scores), test:count())
    local measuring = count < most_samples(scores) and build(scores, chosen, data, count) or made
    local values, deviations = measuring:measure(reals.samples(test, count))
    if not values then script.fail("real test images: " .. deviations) end
    if finish then values, deviations = finish(values, deviations) end
    return values, deviations
end

function scorer.scorer(scores, experiment)
    scorer.check(scores, experiment)
    local known, chosen = provide_classifiers(scores, experiment), {}
    for i, one in ipairs(scores) do
        chosen[i] = classifier_for(one, experiment, known)
    end
    warn_of_few(scores, chosen)
    local made, finish = build(scores, chosen, experiment.data, math.maxinteger), finish_of(scores)
    local values, deviations = ceilings(scores, chosen, experiment.data, made, finish)
    local facts = {}
    for i, one in ipairs(scores) do
        facts[i] = {
            name = one.name, kind = one.finish and "combine" or one.components[1].kind, better = one.better,
            role = one.role, samples = one.samples,
            honest = #one.components == 1 and kinds[one.components[1].kind].honest or false,
            classifier = chosen[i] and chosen[i].hash or nil, ceiling = values[i], ceiling_deviation = deviations[i],
        }
    end
    return made, finish, facts
end

-- ---- by scripts ---------------------------------------------------------------------------------------------------

local prepared = setmetatable({}, { __mode = "k" }) -- [scores][experiment]

local function prepare(scores, experiment)
    prepared[scores] = prepared[scores] or setmetatable({}, { __mode = "k" })
    local known = prepared[scores][experiment]
    if not known then
        known = table.pack(scorer.scorer(scores, experiment))
        prepared[scores][experiment] = known
    end
    return table.unpack(known, 1, 3)
end

-- Better than real images by over three standard deviations.
function scorer.suspicious(fact, value, deviation)
    if not fact.honest then return false end
    local beyond = fact.better == "higher" and value - fact.ceiling or fact.ceiling - value
    return beyond > 3 * math.sqrt(deviation ^ 2 + fact.ceiling_deviation ^ 2)
end

-- Points may be (n, 2) as well as (n, 1, 1, 2).
local function check_shape(images, data)
    local shape = getmetatable(images) == "brood.Value" and images:shape() or {}
    local got, wanted = table.concat(shape, "×", 2), shape_text(data)
    if #shape > 1 and (got == wanted or has_points(data) and got == "2") then return end
    script.fail(("metric scores: %s of %s expected, as those of %s; got %s"):format(
        has_points(data) and "points" or "images", wanted, data,
        #shape > 1 and got or #shape > 0 and ("(%d)"):format(shape[1]) or check.describe(images)))
end

local function rows_of(scores, experiment, images, progress)
    local made, finish, facts = prepare(scores, experiment)
    check_shape(images, experiment.data)
    local values, deviations = made:measure(images, progress)
    if not values then return nil, "generated " .. deviations end
    if finish then values, deviations = finish(values, deviations) end
    local rows = {}
    for i, fact in ipairs(facts) do
        local row = { value = values[i], deviation = deviations[i] }
        for name, known in pairs(fact) do row[name] = known end
        row.suspicious = scorer.suspicious(fact, row.value, row.deviation)
        rows[i] = row
    end
    return rows
end

-- A row for each score. nil and the reason when an image is not finite. progress(what, done, all) is told of images that
-- are looked at (what: nil), and of the measure that comes next.
function scorer.report(scores, member, experiment, progress)
    return rows_of(scores, experiment, member:sample(1, most_samples(scores), experiment.seed), progress)
end

local function alone(self)
    self.list = self.list or { self }
    return self.list
end

local function first_of(rows, reason)
    if not rows then return nil, reason end
    return rows[1].value, rows[1].deviation
end

function Score:score(member, experiment)
    return first_of(scorer.report(alone(self), member, experiment))
end

-- Of images (n, height, width, channels) that are at hand; the score needs a classifier of its own.
function Score:of_images(images)
    if not self.classifier then script.fail(("metric.%s: of_images needs the option classifier"):format(self.name)) end
    self.apart = self.apart or { data = self.classifier.data }
    return first_of(rows_of(alone(self), self.apart, images))
end

function Score:ceiling(experiment)
    local _, _, facts = prepare(alone(self), experiment)
    return facts[1].ceiling, facts[1].ceiling_deviation
end

return scorer
