-- Alarms about a member's signals: each is raised by what it is about, and by nothing less.
local support = require "support"
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

support.main { Alarm = Alarm }
