-- Alarms about a member's signals: each is raised by what it is about, and by nothing less.
local support = dofile "tests/lua/support.lua"
local alarm = require "brood.show.alarm"
local lu = support.lu

-- `count` rounds of an ordinary member; `change` may spoil the last ones.
local function history(count, change)
    local rounds = {}
    for i = 1, count do
        rounds[i] = { ["D.accuracy"] = 0.8, ["D.norm"] = 1 + 0.1 * (i % 3), ["G.norm"] = 2, spread = 0.3 }
        if change then change(rounds[i], i) end
    end
    return rounds
end

local function kinds(rounds, real_spread)
    local found = {}
    for i, one in ipairs(alarm.look(rounds, real_spread)) do found[i] = one.kind end
    return found
end

local Alarm = {}

function Alarm.test_nothing_is_said_of_an_ordinary_member()
    lu.assertEquals(kinds({}), {})
    lu.assertEquals(kinds(history(1), 0.35), {})
    lu.assertEquals(kinds(history(20), 0.35), {})
end

function Alarm.test_d_has_won()
    local function won(from)
        return history(6, function(round, i) if i >= from then round["D.accuracy"] = 0.999 end end)
    end
    lu.assertEquals(kinds(won(5)), {})
    lu.assertEquals(kinds(won(4)), { "D won" })
    lu.assertStrContains(alarm.look(won(4))[1].text, "99.9 %")
end

function Alarm.test_collapse()
    local function collapsed(count) return history(count, function(round) round.spread = 0.05 end) end
    lu.assertEquals(kinds(collapsed(2), 0.35), {}) -- at first everything looks alike
    lu.assertEquals(kinds(collapsed(3), 0.35), { "collapse" })
    lu.assertEquals(kinds(collapsed(3)), {}) -- nothing to compare with
    lu.assertEquals(kinds(history(3, function(round) round.spread = 0.1 end), 0.35), {})
end

function Alarm.test_gradients_explode()
    for _, player in ipairs { "D", "G" } do
        local function exploded(factor)
            return history(8, function(round, i) if i == 8 then round[player .. ".norm"] = factor end end)
        end
        lu.assertEquals(kinds(exploded(1000)), { player .. " explodes" })
        lu.assertEquals(kinds(exploded(20)), {})
    end
end

function Alarm.test_signals_that_are_not_there()
    lu.assertEquals(kinds { {}, {}, {}, {} }, {})
    lu.assertEquals(kinds({ {}, { spread = 0.3 }, {}, {} }, 0.35), {})
end

-- ---- of a run ------------------------------------------------------------------------------------------------------

-- Two members of `count` rounds, as history.read has them: the second copies the first after round 4.
local function run_of(count, change)
    local run, line = {
        facts = { spread = "0.35" }, ranked = "selection", score = "classifier_score", honest = true, ceiling = 9.8,
        ceiling_deviation = 0.02, rounds = count, nodes = {},
        reports = {
            { name = "spread_out", kind = "coverage", better = "higher", honest = true, ceiling = 0.96,
                ceiling_deviation = 0.01 },
        },
    }, {}
    for round = 1, count do
        local parents = { line[1], round == 5 and line[1] or line[2] }
        for slot = 0, 1 do
            local score = 5 - slot + 0.1 * round
            local node = {
                round = round, slot = slot, ends = 100 * round, parent = parents[slot + 1], rank = score, score = score,
                deviation = 0.04, reports = { 0.5 }, report_deviations = { 0.01 },
                signals = { ["D.accuracy"] = 0.8, ["D.norm"] = 1, ["G.norm"] = 2, spread = 0.3 },
            }
            if change then change(node) end
            run.nodes[#run.nodes + 1], line[slot + 1] = node, node
        end
    end
    return run
end

local function told(run, from)
    local words = {}
    for i, one in ipairs(alarm.of(run, from)) do words[i] = ("%d.%d %s"):format(one.round, one.slot, one.kind) end
    return table.concat(words, ", ")
end

local Run = {}

function Run.test_nothing_is_said_of_an_ordinary_run() lu.assertEquals(told(run_of(9)), "") end

-- It is said when it begins, and again when it comes back.
function Run.test_an_alarm_is_raised_once()
    local run = run_of(9, function(node)
        local bad = node.round == 3 or node.round == 4 or node.round == 8
        if node.slot == 1 and bad then node.signals.spread = 0.01 end
    end)
    lu.assertEquals(told(run), "3.1 collapse, 8.1 collapse")
    lu.assertEquals(told(run, 4), "8.1 collapse")
end

-- After a copy a member's past is that of whom it copied.
function Run.test_along_lineages()
    local function won(node, slot, from)
        if node.slot == slot and node.round >= from then node.signals["D.accuracy"] = 1 end
    end
    lu.assertEquals(told(run_of(6, function(node) won(node, 1, 3) end)), "")
    lu.assertEquals(told(run_of(7, function(node) won(node, 1, 3) end)), "7.1 D won")
    lu.assertEquals(told(run_of(5, function(node) -- what the first has seen, the second has too
        won(node, 0, 3)
        won(node, 1, 5)
    end)), "5.0 D won, 5.1 D won")
end

function Run.test_a_failed_member_raises_none()
    local run = run_of(4, function(node) if node.slot == 1 and node.round == 4 then node.signals.spread = 0 end end)
    lu.assertEquals(told(run), "4.1 collapse")
    run.nodes[8].failed = true
    lu.assertEquals(told(run), "")
end

-- Scores are those of the best member of a round.
function Run.test_scores()
    lu.assertEquals(told(run_of(6, function(node)
        if node.round == 5 then node.reports[1] = 0.1 end
    end)), "5.0 coverage of spread_out")
    lu.assertEquals(told(run_of(6, function(node)
        if node.round == 5 and node.slot == 1 then node.reports[1] = 0.1 end
    end)), "")
    lu.assertEquals(told(run_of(3, function(node) -- which is suspicious already
        if node.round == 2 and node.slot == 1 then node.score, node.rank = 10, 10 end
    end)), "")
    lu.assertEquals(told(run_of(3, function(node)
        if node.round == 2 then node.reports[1] = 1 end
    end)), "")
    lu.assertEquals(told(run_of(3, function(node)
        if node.round >= 2 then node.reports[1] = 1.1 end
    end)), "2.0 ceiling of spread_out")
    local others = run_of(6, function(node)
        if node.round == 5 then node.reports[1] = 0.1 end
    end)
    others.facts.kind = "lua"
    lu.assertEquals(told(others), "")
    local unmeasured = run_of(6, function(node) if node.round == 4 then node.reports[1] = nil end end)
    lu.assertEquals(told(unmeasured), "")
end

-- A program's report scores have no ceilings, and maybe the names of others.
function Run.test_scores_without_ceilings()
    local run = run_of(9)
    run.ceiling, run.honest = nil, nil
    run.score, run.reports = "classifier_score", { { name = "classifier_score" } }
    lu.assertEquals(told(run), "")
end

support.main { Alarm = Alarm, Run = Run }
