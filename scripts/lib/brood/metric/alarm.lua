-- Alarms: what the scores of a run, round after round, say about being fooled. Pure functions of what was measured.
--
--     local _, _, facts = metric.scorer({ select, report1, report2 }, experiment)
--     history[#history + 1] = { values = values, deviations = deviations }        -- after each round, of the best member
--     for _, alarm in ipairs(metric.alarms(history, facts)) do print(alarm.kind, alarm.message) end
--
-- They are about the last round. Kinds:
--     ceiling     a score beats real test images by over three standard deviations
--     gap         the selection classifier likes the images more and more, the report classifier does not
--     coverage    coverage or recall has fallen below half of its best
--     classes     classes have got lost: their balance, entropy or number is well below its best
-- The gap is looked for between two classifier scores only. In that score two classifiers see the same honest flaw
-- alike, since it soon stands near its ceiling, but not in others: of digits in less contrast, coverage is 84 % of that
-- of real images by one and 58 % by the other, with classifier scores of 97 % and 91 %; the number of classes and
-- density jump about from round to round, and the distances of good images differ twofold. A rule for them would cry at
-- every run.
--
-- An alarm holds kind, score (its number), name, value, before (what it is compared with) and message.
local scorer = require "brood.metric.scorer"
local script = require "brood.script"

local BACK = 5          -- rounds that the gap is looked at over
local WIDE = 0.1        -- a gap worth a word, as a share of the ceiling
local STRANGE = 3       -- standard deviations

-- What of the best may be lost without a word; `of` turns a value into something that shrinks when it collapses.
local function itself(value) return value end
local COLLAPSES = {
    coverage = { kind = "coverage", keep = 0.5, of = itself, least = 0.1 },
    recall = { kind = "coverage", keep = 0.5, of = itself, least = 0.1 },
    class_entropy = { kind = "classes", keep = 0.75, of = itself, least = 2 },
    class_balance = { kind = "classes", keep = 0.75, of = function(value) return 1 - value end, least = 0.3 },
    modes = { kind = "classes", keep = 0.75, of = itself, least = 2 },
}

local function joined(a, b) return math.sqrt(a ^ 2 + b ^ 2) end

-- ---- each alarm ---------------------------------------------------------------------------------------------------

local function above_ceiling(alarms, history, facts)
    local last = history[#history]
    for i, fact in ipairs(facts) do
        local value, deviation = last.values[i], last.deviations[i]
        if value and scorer.suspicious(fact, value, deviation) then
            alarms[#alarms + 1] = {
                kind = "ceiling", score = i, name = fact.name, value = value, before = fact.ceiling,
                message = ("%s (%s) %.4g ± %.2g is better than real images, %.4g ± %.2g: look at the images before"
                    .. " believing it"):format(fact.name, fact.role, value, deviation, fact.ceiling,
                    fact.ceiling_deviation),
            }
        end
    end
end

-- Selection score minus report score, as shares of their ceilings, and its deviation.
local function gap_of(round, facts, select, report)
    local a, b = facts[select], facts[report]
    if not round.values[select] or not round.values[report] then return nil end
    return round.values[select] / a.ceiling - round.values[report] / b.ceiling,
        joined(round.deviations[select] / a.ceiling, round.deviations[report] / b.ceiling)
end

-- Classifier scores by both classifiers, each with its ceiling.
local function comparable(a, b)
    return a.role == "selection" and b.role == "report" and a.kind == "classifier_score" and b.kind == a.kind
        and a.ceiling and b.ceiling
end

local function gap_alarm(last, before, facts, select, report)
    local now, deviation = gap_of(last, facts, select, report)
    local then_, then_deviation = gap_of(before, facts, select, report)
    if not now or not then_ or now <= WIDE or now - then_ <= STRANGE * joined(deviation, then_deviation) then return nil end
    return {
        kind = "gap", score = report, name = facts[report].name, value = now, before = then_,
        message = ("the selection classifier sees %.0f %% of what real images have, the report classifier %.0f %%, and"
            .. " the gap has grown from %.0f %% in %d rounds: members learn to please the selection classifier"):format(
            100 * last.values[select] / facts[select].ceiling, 100 * last.values[report] / facts[report].ceiling,
            100 * then_, BACK),
    }
end

local function growing_gap(alarms, history, facts)
    local last, before = history[#history], history[#history - BACK]
    if not before then return end
    for select, a in ipairs(facts) do
        for report, b in ipairs(facts) do
            alarms[#alarms + 1] = comparable(a, b) and gap_alarm(last, before, facts, select, report) or nil
        end
    end
end

-- The best of earlier rounds, as `of` sees it: number, its deviation, the value itself.
local function best_before(history, i, of)
    local best, deviation, value
    for round = 1, #history - 1 do
        local known = history[round].values[i]
        if known and known == known and (not best or of(known) > best) then
            best, deviation, value = of(known), history[round].deviations[i], known
        end
    end
    return best, deviation, value
end

local function collapses(alarms, history, facts)
    local last = history[#history]
    for i, fact in ipairs(facts) do
        local rule, value = COLLAPSES[fact.kind], last.values[i]
        local best, deviation, before
        if rule and value then best, deviation, before = best_before(history, i, rule.of) end
        if best and best >= rule.least and rule.of(value) < rule.keep * best
            and best - rule.of(value) > STRANGE * joined(deviation, last.deviations[i]) then
            alarms[#alarms + 1] = {
                kind = rule.kind, score = i, name = fact.name, value = value, before = before,
                message = ("%s is %.4g, after %.4g: the generator makes less and less of what there is"):format(
                    fact.name, value, before),
            }
        end
    end
end

-- ---- all of them --------------------------------------------------------------------------------------------------

local alarm = {}

function alarm.alarms(history, facts)
    if type(history) ~= "table" or type(facts) ~= "table" then
        script.fail "metric.alarms: a list of rounds { values = , deviations = } and the scorer's facts expected"
    end
    local alarms = {}
    if #history == 0 then return alarms end
    above_ceiling(alarms, history, facts)
    growing_gap(alarms, history, facts)
    collapses(alarms, history, facts)
    return alarms
end

return alarm
