-- Alarms in words: what the losses do not tell. Each looks at what the store knows of a member's last rounds, or of the
-- best scores, and says what is wrong and what may help; a run that is resumed or looked at later has the same ones.
--
--     for _, one in ipairs(alarm.of(history.read(directory))) do print(one.round, one.slot, one.kind, one.text) end
local metric = require "brood.metric"

local alarm = {}

local ROUNDS = 3          -- in a row, before anything is said
local WON = 0.995         -- share of images that D tells right
local COLLAPSED = 0.2     -- share of the real images' spread
local EXPLODED = 100      -- times the median of the gradient's norms of late
local LATE = 20           -- rounds that this is
local SOONEST = 2         -- rounds before collapse is looked for: at first everything looks alike

-- ---- of a member ---------------------------------------------------------------------------------------------------

local function last(signals, name, count)
    local values = {}
    for i = math.max(1, #signals - count + 1), #signals do values[#values + 1] = signals[i][name] end
    return values
end

local function all(values, count, test)
    if #values < count then return false end
    for _, value in ipairs(values) do
        if not test(value) then return false end
    end
    return true
end

local function median(values)
    table.sort(values)
    return values[(#values + 1) // 2]
end

local function exploded(signals, player)
    local name = player .. ".norm"
    local norms, now = last(signals, name, LATE + 1), signals[#signals] and signals[#signals][name]
    if #norms < ROUNDS + 1 or not now then return nil end
    norms[#norms] = nil
    local usual = median(norms)
    if usual > 0 and now > EXPLODED * usual then
        return ("%s's gradients explode: their norm is %.3g, it was %.3g: a lower learning rate, or clip, may help"):format(
            player, now, usual)
    end
end

-- What is to be said of a member whose signals of all rounds, the latest last, are { { NAME = number }, ... };
-- `real_spread` is that of as many real images, or nil. A list of { kind =, text = }.
function alarm.look(signals, real_spread)
    local found = {}
    local function say(kind, text)
        if text then found[#found + 1] = { kind = kind, text = text } end
    end
    local accuracy = last(signals, "D.accuracy", ROUNDS)
    if all(accuracy, ROUNDS, function(value) return value >= WON end) then
        say("D won", ("D has won: in %d rounds it told %.1f %% of all images right, and G learns nothing from it:"
            .. " a lower rate for D, or r1, may help"):format(ROUNDS, 100 * accuracy[#accuracy]))
    end
    local spread = last(signals, "spread", 1)[1]
    if real_spread and spread and #signals > SOONEST and spread < COLLAPSED * real_spread then
        say("collapse", ("collapse: what G makes differs by %.2g, what is real by %.2g: G makes nearly the same every"
            .. " time"):format(spread, real_spread))
    end
    for _, player in ipairs { "D", "G" } do say(player .. " explodes", exploded(signals, player)) end
    return found
end

-- The signals of a node and its last ancestors, the latest last.
local function signals_of(node)
    local signals = {}
    while node and #signals <= LATE do
        table.insert(signals, 1, node.signals)
        node = node.parent
    end
    return signals
end

local function look_at(node, real_spread)
    if not node or node.failed then return {} end
    return alarm.look(signals_of(node), real_spread)
end

-- ---- of the scores -------------------------------------------------------------------------------------------------

-- What metric.alarms wants to know of each score: the one that members are selected by, if any, and the reports.
local function score_facts(run)
    local facts = {}
    if run.ranked == "selection" then
        facts[1] = {
            name = run.score, kind = run.facts["select.kind"] or run.score, role = "selection",
            better = run.lower and "lower" or "higher", honest = run.honest,
            ceiling = run.ceiling, ceiling_deviation = run.ceiling_deviation,
        }
    end
    for _, report in ipairs(run.reports) do
        facts[#facts + 1] = {
            name = report.name, kind = report.kind, role = "report", better = report.better, honest = report.honest,
            ceiling = report.ceiling, ceiling_deviation = report.ceiling_deviation,
        }
    end
    return facts
end

-- Those of a node in the same order; false where one was not taken.
local function scores_of(run, node)
    local values, deviations = {}, {}
    local function add(value, deviation)
        values[#values + 1], deviations[#deviations + 1] = value or false, deviation or 0
    end
    if run.ranked == "selection" then add(node.score, node.deviation) end
    for i = 1, #run.reports do add(node.reports[i], node.report_deviations[i]) end
    return { values = values, deviations = deviations }
end

-- The best member of each round.
local function best_of_rounds(run)
    local best = {}
    for _, node in ipairs(run.nodes) do
        local known = best[node.round]
        if node.rank and (not known or node.rank > known.rank) then best[node.round] = node end
    end
    return best
end

-- ---- all of them ---------------------------------------------------------------------------------------------------

-- Those of `found` that were not there before.
local function add_new(alarms, node, found, before)
    local known = {}
    for _, one in ipairs(before) do known[one.kind] = true end
    for _, one in ipairs(found) do
        if not known[one.kind] then
            alarms[#alarms + 1] = { round = node.round, slot = node.slot, node = node, kind = one.kind, text = one.text }
        end
    end
end

local function add_scores(alarms, run, from)
    local facts, best, history, before = score_facts(run), best_of_rounds(run), {}, {}
    for round = 1, run.rounds do
        local found = {}
        if best[round] then history[#history + 1] = scores_of(run, best[round]) end
        if best[round] and round >= from - 1 then
            for _, one in ipairs(metric.alarms(history, facts)) do
                local flagged = one.kind == "ceiling" and one.score == 1 -- as suspicious, wherever scores are shown
                local kind = ("%s of %s"):format(one.kind, one.name)
                if not flagged then found[#found + 1] = { kind = kind, text = one.message } end
            end
            if round >= from then add_new(alarms, best[round], found, before) end
        end
        before = found
    end
end

-- All alarms of a run (history.read) from the round `from` (1) on, each where it is first raised: a list of
-- { round =, slot =, node =, kind =, text = }, in order of round.
function alarm.of(run, from)
    local alarms, real_spread = {}, tonumber(run.facts.spread)
    if run.facts.kind and run.facts.kind ~= "gan" then return alarms end -- others' scores mean what they like
    from = from or 1
    for _, node in ipairs(run.nodes) do
        if node.round >= from then
            add_new(alarms, node, look_at(node, real_spread), look_at(node.parent, real_spread))
        end
    end
    add_scores(alarms, run, from)
    for i, one in ipairs(alarms) do one.place = i end
    table.sort(alarms, function(a, b)
        if a.round ~= b.round then return a.round < b.round end
        return a.place < b.place
    end)
    return alarms
end

return alarm
