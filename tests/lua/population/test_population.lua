-- Populations of an experiment: what rules that are functions, schedules and members written in Lua are given, and what
-- becomes of what they return.
local scenes = dofile "tests/lua/scenes.lua"
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local record = require "brood.record"
local pbt = brood.pbt
local walk, with, column, paces, events = scenes.walk, scenes.with, scenes.column, scenes.paces, scenes.events
local in_folder = scenes.in_folder
local lu, fails = support.lu, support.fails

local Exploit, Explore, Schedule, Members = {}, {}, {}, {}

-- ---- exploit -------------------------------------------------------------------------------------------------------

function Exploit.test_what_it_is_given()
    local seen = {}
    local run <close> = walk({ exploit = function(me, others, rng)
        seen[#seen + 1] = { me, others, rng:uniform() }
    end }):begin {}
    lu.assertEquals(run:go(1), "finished")
    lu.assertEquals(#seen, 4)
    local me, others = seen[2][1], seen[2][2]
    lu.assertEquals({ me.slot, me.steps, me.age, me.score, me.fitness, me.parent, me.failed, me.pinned },
        { 1, 5, 5, 10, 10, 1, false, false })
    lu.assertEquals({ me.values, me.window, me.deviation, #me.reports }, { { pace = 2 }, { 10 }, 0, 0 })
    lu.assertEquals({ others[1].slot, others[2].slot, others[3].slot, #others }, { 0, 2, 3, 3 })
    for i = 2, 4 do lu.assertNotEquals(seen[i][3], seen[1][3]) end
end

-- A donor is one of the others, its number, or nil.
function Exploit.test_what_it_returns()
    local run <close> = walk({
        exploit = function(me, others)
            if me.slot == 0 then return others[3] elseif me.slot == 1 then return 2 end
        end,
        explore = function(h) return h end,
    }):begin {}
    run:go(1)
    lu.assertEquals(column(run, "parent"), { 3, 2, 2, 3 })
    lu.assertEquals(paces(run), { 4, 3, 3, 4 })
    lu.assertEquals(column(run, "score"), { 20, 15, 15, 20 })
    run:go(2)
    lu.assertEquals(column(run, "score"), { 40, 30, 30, 40 })
    lu.assertEquals(run.members[1].window, { 20, 40 })
end

-- Those that have failed have no score, and are nobody's donor: they are not among the others.
function Exploit.test_failed_members_are_left_out()
    local seen = {}
    local run <close> = walk({ exploit = function(me, others)
        seen[#seen + 1] = ("%d of %d"):format(me.slot, #others)
        table.sort(others, function(a, b) return a.score > b.score end)
        return others[1]
    end }, { score = function(me)
        if me.born == 2 then error "it broke" end
        return me.at
    end }):begin {}
    lu.assertEquals(run:go(1), "finished")
    lu.assertEquals(seen, { "0 of 2", "1 of 2", "3 of 2" }) -- a failed one is replaced without being asked
end

function Exploit.test_rubbish()
    local function refused(text, exploit)
        local run <close> = walk({ exploit = exploit }):begin {}
        local fine, message = pcall(run.go, run)
        lu.assertFalse(fine)
        lu.assertStrContains(message, text)
        lu.assertStrContains(message, "test_population.lua:")
        lu.assertEquals(run.round, 0)
    end
    refused("must return one of the others, or nil; it returned a string", function() return "best" end)
    refused("it returned a number", function() return 1.5 end)
    refused("it returned a boolean", function() return true end)
    refused("it returned a table", function() return {} end)
    refused("named member 9, which there is not", function() return 9 end)
    refused("named member -1, which there is not", function() return -1 end)
    refused("its own donor", function(me) return me end)
    refused("thrown", function() error "thrown" end)
    refused("attempt to index a nil value", function(me) return me.none.slot end)
    refused("stack traceback", function(me) return me.none.slot end)
end

function Exploit.test_random_numbers_repeat()
    local function outcome(seed, exploit)
        local run <close> = walk({ exploit = exploit, rounds = 6 }):begin { seed = seed }
        run:go()
        return column(run, "parent"), paces(run)
    end
    local function by_rng(_, others, rng) return others[rng:integer(1, 3)] end
    local function by_math() return function(_, others) return others[math.random(3)] end end
    for _, exploit in ipairs { by_rng, by_math() } do
        local parents, values = outcome(1, exploit)
        math.random()
        lu.assertEquals({ outcome(1, exploit) }, { parents, values })
        lu.assertNotEquals(select(2, outcome(2, exploit)), values)
    end
    local seen = {}
    local run <close> = walk({ exploit = function() seen[#seen + 1] = math.random() end }):begin {}
    run:go(2)
    table.sort(seen)
    for i = 2, #seen do lu.assertNotEquals(seen[i], seen[i - 1]) end
end

-- ---- explore -------------------------------------------------------------------------------------------------------

local function weakest_copies(me, others)
    return me.slot == 0 and others[3] or nil
end

function Explore.test_what_it_does()
    local given
    local run <close> = walk({
        exploit = function(me, others) return me.age == 5 and weakest_copies(me, others) or nil end,
        explore = function(h, rng)
            given = { pace = h.pace }
            h.pace = h.pace + rng:normal(0, 0.001) + 5
            return h
        end,
    }):begin {}
    run:go(1)
    lu.assertEquals(given, { pace = 4 })
    lu.assertAlmostEquals(paces(run)[1], 9, 0.01)
    run:go(2) -- what was explored is what it trains by
    lu.assertAlmostEquals(run.members[1].score, 20 + 45, 0.05)
end

-- Values beyond the bounds come to lie on them; what is no number ends the run.
function Explore.test_bounds_and_rubbish()
    local function after(explore)
        local run <close> = walk({ exploit = weakest_copies, explore = explore }):begin {}
        run:go(1)
        return paces(run)[1]
    end
    lu.assertEquals(after(function() return { pace = 1e9 } end), 100)
    lu.assertEquals(after(function() return { pace = -1 } end), 0)
    local function refused(text, explore)
        local fine, message = pcall(after, explore)
        lu.assertFalse(fine)
        lu.assertStrContains(message, text)
    end
    refused("explore: what the function of tests/lua/population/test_population.lua:", function() end)
    refused("a table of hyperparameters expected, got nothing", function() end)
    refused("a table of hyperparameters expected, got number", function() return 3 end)
    refused("a number expected for pace, got nothing", function() return {} end)
    refused("a number expected for pace, got boolean", function() return { pace = true } end)
    refused("there is no hyperparameter 'lr'", function(h) h.lr = 1 return h end)
    refused("there is no hyperparameter '[not a name]'", function() return { 1 } end)
    refused("hyperparameter pace is nan: a finite number was expected", function() return { pace = 0 / 0 } end)
    refused(("what the function of tests/lua/population/test_population.lua:%d returned: hyperparameter pace is nan"):format(
        debug.getinfo(1, "l").currentline + 1),
        function() return { pace = 0 / 0 } end)
    refused("hyperparameter pace is inf", function() return { pace = math.huge } end)
    refused("thrown", function() error(setmetatable({}, { __tostring = function() return "thrown" end })) end)
    refused("(error object is a table value)", function() error {} end)
end

-- Texts of categories and choices come and go as texts; structural and constant ones stay what they are.
function Explore.test_kinds_of_values()
    local seen = {}
    local experiment = with({
        name = "kinds", population = 2, interval = 1, rounds = 4,
        members = pbt.member {
            init = function(h) return { width = h.width } end,
            step = function(me, h) seen[#seen + 1] = { me.width, h.width, h.rule, h.size, h.count, h.fixed } end,
            score = function(me) return me.width end,
        },
        hyper = {
            width = pbt.structural(pbt.integer(1, 9)), rule = pbt.category { "adam", "sgd" },
            size = pbt.choice { "small", "middle", "large" }, count = pbt.integer(1, 5), fixed = 0.5,
        },
        initial = {
            { width = 3, rule = "sgd", size = "small", count = 2, fixed = 0.5 },
            { width = 8, rule = "adam", size = "middle", count = 4, fixed = 0.5 },
        },
        exploit = function(me, others) return me.slot == 0 and others[1] or nil end,
        explore = function(h)
            lu.assertEquals({ h.width, h.rule, math.type(h.count) }, { 8, "adam", "integer" })
            return { width = 1, rule = "sgd", size = "large", count = 2.6, fixed = 9 }
        end,
    })
    local run <close> = experiment:begin {}
    run:go(1)
    lu.assertEquals(run.members[1].values, { width = 8, rule = "sgd", size = "large", count = 3, fixed = 0.5 })
    run:go(2)
    lu.assertEquals(seen, {
        { 3, 3, "sgd", "small", 2, 0.5 }, { 8, 8, "adam", "middle", 4, 0.5 },
        { 8, 8, "sgd", "large", 3, 0.5 }, { 8, 8, "adam", "middle", 4, 0.5 },
    })
end

function Explore.test_a_word_that_is_no_option()
    local run <close> = with({
        name = "words", population = 2, hyper = { rule = pbt.category { "adam", "sgd" } },
        members = pbt.member { init = function() return {} end, step = function() end, score = function() return 0 end },
        exploit = function(me, others) return me.slot == 0 and others[1] or nil end,
        explore = function() return { rule = "rmsprop" } end,
    }, {}):begin {}
    local fine, message = pcall(run.go, run)
    lu.assertFalse(fine)
    lu.assertStrContains(message, "'rmsprop' is none of the options of rule")
end

-- ---- schedules -----------------------------------------------------------------------------------------------------

function Schedule.test_what_it_reads()
    local seen = {}
    local run <close> = walk({ schedule = function(run)
        seen[#seen + 1] = { run.round, run.rounds, run.interval, run.seed, #run.members, run.members[2].score }
    end }):begin { seed = 9 }
    run:go()
    lu.assertEquals({ seen[1], seen[3], #seen }, { { 1, 3, 5, 9, 4, 10 }, { 3, 3, 5, 9, 4, seen[3][6] }, 3 })
end

function Schedule.test_interval_and_stop()
    local run <close> = walk({ exploit = pbt.none {}, rounds = 9, schedule = function(run)
        run.interval = 2 * run.interval
        if run.round == 3 then run:stop() end
    end }):begin {}
    lu.assertEquals(run:go(), "stopped")
    lu.assertEquals({ run.round, run.stopped, run.interval, run.members[1].steps }, { 3, true, 40, 5 + 10 + 20 })
    lu.assertEquals(run:go(), "stopped")
    run:extend(1)
    lu.assertFalse(run.stopped)
    lu.assertEquals(run:go(), "finished")
    lu.assertEquals({ run.round, run.members[1].steps }, { 4, 35 + 40 })
end

function Schedule.test_rules()
    local function second(me, others) return me.slot == 3 and others[2] or nil end
    local function triple(h) h.pace = 3 * h.pace return h end
    local run <close> = walk({
        exploit = pbt.none {}, rules = { second = second, triple = triple },
        schedule = function(run)
            if run.round == 1 then run.exploit, run.explore = second, triple end
            if run.round == 2 then run.exploit = pbt.none {} end
        end,
    }):begin {}
    run:go(1)
    lu.assertEquals(paces(run), { 1, 2, 3, 4 })
    run:go(2)
    lu.assertEquals(paces(run), { 1, 2, 3, 6 })
    run:go(3)
    lu.assertEquals(paces(run), { 1, 2, 3, 6 })
end

function Schedule.test_what_is_refused()
    local function refused(text, schedule, fields)
        local spec = { schedule = schedule }
        for name, value in pairs(fields or {}) do spec[name] = value end
        local run <close> = walk(spec):begin {}
        local fine, message = pcall(run.go, run)
        lu.assertFalse(fine, text)
        lu.assertStrContains(message, text)
        lu.assertStrContains(message, "test_population.lua:")
        lu.assertStrContains(message, "stack traceback")
    end
    refused("run.exploit: the function must stand in the experiment's field `rules`", function(run)
        run.exploit = function() end
    end)
    refused("run.exploit: a rule such as pbt.truncation {}, or a function, expected, got", function(run)
        run.exploit = pbt.perturb {}
    end)
    refused("run.explore: a rule such as pbt.perturb {}", function(run) run.explore = nil end)
    refused("run.interval: a whole number of at least 1 expected, got 0", function(run) run.interval = 0 end)
    refused("run.interval: a whole number", function(run) run.interval = 2.5 end)
    refused("run.intervall: nothing can be assigned to it: did you mean 'interval'?", function(run) run.intervall = 3 end)
    refused("run.round: nothing can be assigned to it", function(run) run.round = 3 end)
    refused("run has no 'memebers': did you mean 'members'?", function(run) return run.memebers end)
    refused("pin: there is no member 7", function(run) run:pin(7) end)
    refused("run:pin: a number of a member expected, got the text 'x'", function(run) run:pin "x" end)
    refused("drop: there is no member 4", function(run) run:drop(4) end)
    refused("drop: member 0 is the last one", function(run) run:drop(0) end, { population = 1, initial = { { pace = 1 } } })
    refused("fork: member 1 cannot become a copy of member 1: they are one", function(run) run:fork(1, 1) end)
    refused("it is pinned", function(run) run:pin(1) run:fork(0, 1) end)
    refused("fork: there is no member 9", function(run) run:fork(9, 1) end)
    refused("add", function(run) run:add(0) end)
    refused("add: 4095 more than 4 members: at most 4096 can be had", function(run) run:add(4095) end)
    refused("hyperparameter pace of member 0 cannot become 200: that is outside of its range", function(run)
        run:set(0, { pace = 200 })
    end)
    refused("there is no hyperparameter 'pase'", function(run) run:set(0, { pase = 2 }) end)
    refused("a number expected for pace, got boolean", function(run) run:set(0, { pace = true }) end)
    refused("thrown", function() error "thrown" end)
end

function Schedule.test_only_between_rounds()
    local run <close> = walk {}:begin {}
    run:go(1)
    for what, f in pairs {
        interval = function() run.interval = 3 end, stop = function() run:stop() end, pin = function() run:pin(0) end,
        fork = function() run:fork(0, 1) end, add = function() run:add(1) end, drop = function() run:drop(1) end,
        exploit = function() run.exploit = pbt.none {} end, values = function() run:set(0, { pace = 1 }) end,
    } do
        fails(what .. ": only the schedule can do this", f)
    end
end

function Schedule.test_pin()
    local run <close> = walk({
        exploit = pbt.truncation { bottom = 0.25, top = 0.25 },
        schedule = function(run) if run.round == 1 then run:pin(run.members[2]) run:pin(0) end end, rounds = 5,
    }):begin {}
    run:go(1)
    local first = paces(run)[1]
    run:go()
    lu.assertEquals({ paces(run)[1], paces(run)[2] }, { first, 2 })
    lu.assertEquals(column(run, "pinned"), { true, true, false, false })
end

function Schedule.test_fork_add_drop_set()
    local run <close> = walk({ exploit = pbt.none {}, rounds = 4, schedule = function(run)
        if run.round == 1 then run:fork(3, 0) run:add(2) end
        if run.round == 2 then run:drop(1) run:set(2, { pace = 50 }) end
    end }):begin {}
    run:go(1)
    lu.assertEquals(column(run, "slot"), { 0, 1, 2, 3, 4, 5 })
    lu.assertEquals({ paces(run)[1], run.members[1].score, run.members[1].parent }, { 4, 20, 3 })
    lu.assertEquals({ run.members[5].steps, run.members[5].score, run.members[6].age }, { 0, nil, 0 })
    local fresh = paces(run)[5]
    run:go(2)
    lu.assertEquals(column(run, "slot"), { 0, 2, 3, 4, 5 })
    lu.assertEquals({ run.members[1].score, paces(run)[2] }, { 40, 50 })
    lu.assertAlmostEquals(run.members[4].score, 5 * fresh, 1e-9)
    run:go(3)
    lu.assertEquals(run.members[2].score, 30 + 5 * 50)
    run:go(4)
    lu.assertEquals(run.members[2].score, 30 + 10 * 50)
end

-- A member's number is never given again.
function Schedule.test_new_members_have_new_numbers()
    in_folder(function(path)
        local experiment = walk { exploit = pbt.none {}, rounds = 4, schedule = function(run)
            if run.round == 1 then run:add(1) elseif run.round == 2 then run:drop(4) elseif run.round == 3 then run:add(1) end
        end }
        do
            local run <close> = experiment:begin { directory = path }
            run:go(2)
        end
        local run <close> = experiment:begin { directory = path, resume = true }
        run:go()
        lu.assertEquals(column(run, "slot"), { 0, 1, 2, 3, 5 })
    end)
end

function Schedule.test_state()
    in_folder(function(path)
        local experiment = walk { rounds = 6, schedule = function(run)
            run.state.count = (run.state.count or 0) + 1
            run.state.best = { run.members[4].score, note = "round " .. run.round }
        end }
        do
            local run <close> = experiment:begin { directory = path }
            run:go(3)
            lu.assertEquals(run.state.count, 3)
        end
        local run <close> = experiment:begin { directory = path, resume = true }
        lu.assertEquals({ run.state.count, run.state.best.note, run.round }, { 3, "round 3", 3 })
        run:go()
        lu.assertEquals({ run.state.count, run.state.best.note }, { 6, "round 6" })
    end)
end

function Schedule.test_a_state_that_cannot_be_kept()
    in_folder(function(path)
        local run <close> = walk({ schedule = function(run) run.state.f = print end }):begin { directory = path }
        local fine, message = pcall(run.go, run)
        lu.assertFalse(fine)
        lu.assertStrMatches(message, "tests/lua/population/test_population.lua:%d+: the schedule: run.state.f: plain data expected .*")
    end)
end

function Schedule.test_every_event_is_kept()
    in_folder(function(path)
        local run <close> = walk({ exploit = pbt.none {}, rounds = 3, schedule = function(run)
            if run.round == 1 then
                run.interval = 7
                run.exploit = pbt.tournament {}
                run.explore = pbt.resample {}
                run:pin(1)
                run:fork(3, 2)
                run:add()
            elseif run.round == 2 then
                run:drop(0)
                run:set(1, { pace = 9 })
                run:stop()
            end
        end }):begin { directory = path }
        run:go()
        local kinds = {}
        for _, event in ipairs(events(path)) do kinds[event:match "^%d+ (%S+)"] = true end
        for _, kind in ipairs { "interval", "exploit", "explore", "pinned", "forked", "added", "dropped", "values", "stopped" } do
            lu.assertTrue(kinds[kind], kind)
        end
        lu.assertEquals(events(path, "forked"), { "1 forked 2 3" })
    end)
end

-- ---- members in Lua ------------------------------------------------------------------------------------------------

function Members.test_what_they_are_given()
    local calls = {}
    local run <close> = walk({ population = 2, initial = { { pace = 1 }, { pace = 2 } }, exploit = pbt.none {}, rounds = 2 }, {
        init = function(h, rng, slot)
            calls[#calls + 1] = ("init %g %d"):format(h.pace, slot)
            return { at = 0, drawn = rng:uniform() }
        end,
        step = function(me, h, steps, rng)
            calls[#calls + 1] = ("step %g %d"):format(h.pace, steps)
            me.at = me.at + rng:normal()
        end,
        score = function(me, _, rng) return me.at, math.abs(rng:uniform(0, 0.1)) end,
    }):begin {}
    run:go()
    lu.assertEquals(calls, { "init 1 0", "init 2 1", "step 1 5", "step 2 5", "step 1 5", "step 2 5" })
    lu.assertTrue(run.members[1].deviation > 0 and run.members[1].deviation < 0.1)
    lu.assertNotEquals(run.members[1].score, run.members[2].score)
end

function Members.test_random_streams_repeat_and_differ()
    local function outcome(seed)
        local drawn = {}
        local run <close> = walk({ exploit = pbt.none {}, rounds = 2 }, {
            step = function(me, _, steps, rng)
                for _ = 1, steps do me.at = me.at + rng:uniform() end
                drawn[#drawn + 1] = me.at
            end,
        }):begin { seed = seed }
        run:go()
        return drawn
    end
    local one = outcome(1)
    lu.assertEquals(outcome(1), one)
    lu.assertNotEquals(outcome(2), one)
    local seen = {}
    for _, value in ipairs(one) do
        lu.assertNil(seen[value])
        seen[value] = true
    end
end

-- A copy is a copy: what the donor does afterwards does not show in it.
function Members.test_copies_are_apart()
    local experiment = walk({
        population = 2, initial = { { pace = 1 }, { pace = 2 } },
        exploit = function(me, others) return me.slot == 0 and me.age == 10 and others[1] or nil end,
        explore = function() return { pace = 0 } end, rounds = 2,
    }, { init = function() return { at = 0, deep = { list = {} } } end, step = function(me, h, steps)
        me.at = me.at + steps * h.pace
        table.insert(me.deep.list, h.pace)
    end, score = function(me) return me.at + 1000 * #me.deep.list end })
    local run <close> = experiment:begin {}
    run:go()
    lu.assertEquals(column(run, "score"), { 2000 + 20, 2000 + 20 })
    run:go(3)
    lu.assertEquals(column(run, "score"), { 3000 + 20, 3000 + 30 })
end

function Members.test_save_and_load()
    local saved, loaded = 0, 0
    local experiment = walk({ rounds = 2 }, {
        init = function() return setmetatable({ at = 0 }, { __index = { name = "an object" } }) end,
        save = function(me) saved = saved + 1 return { me.at } end,
        load = function(given) loaded = loaded + 1 return setmetatable({ at = given[1] }, { __index = { name = "again" } }) end,
    })
    local run <close> = experiment:begin {}
    run:go()
    lu.assertTrue(saved > 0 and loaded >= 2)
end

function Members.test_reports()
    local function scored(fields)
        local run <close> = walk({ exploit = pbt.none {}, rounds = 1 }, fields):begin {}
        run:go()
        return run.members[2]
    end
    local by_name = scored { reports = { "loss", "size" }, score = function(me) return 1, 0.5, { size = me.at, loss = 0.25 } end }
    lu.assertEquals({ by_name.reports.loss, by_name.reports.size, by_name.reports[1], by_name.deviation },
        { 0.25, 10, 0.25, 0.5 })
    local in_order = scored { reports = { "loss", "size" }, score = function() return 1, nil, { 3, 4 } end }
    lu.assertEquals({ in_order.reports.loss, in_order.reports.size, in_order.deviation }, { 3, 4, 0 })
    local missing = walk({ rounds = 1 }, { reports = { "loss" }, score = function(me) return me.at end }):begin {}
    local fine, message = pcall(missing.go, missing)
    lu.assertFalse(fine)
    lu.assertStrContains(message, "a number for the report score loss expected, got")
end

-- A member that fails is replaced by a copy of a good one, and the others go on.
function Members.test_failures()
    local function failing(functions, text)
        in_folder(function(path)
            local run <close> = walk({ rounds = 3, exploit = pbt.truncation { bottom = 0.25, top = 0.25 } }, functions)
                :begin { directory = path }
            lu.assertEquals(run:go(), "finished", text)
            local failed = events(path, "failed")
            lu.assertEquals({ failed[1], #failed }, { "2 failed 1 -", 1 }, text)
            lu.assertEquals({ events(path, "replaced")[1]:match "^2 replaced 1 %d$", #events(path, "replaced") },
                { events(path, "replaced")[1], 1 }, text)
            lu.assertFalse(run.members[2].failed)
            lu.assertTrue(run.members[2].score > 30)
            for _, event in ipairs(record.export(path).event) do
                if event.kind == "failed" then lu.assertStrContains(event.text, text) end
            end
        end)
    end
    local rounds = {}
    local function once(slot, f) -- in the second call for the member that was born in the slot
        rounds = {}
        return function(me, ...)
            if me.born == slot then
                rounds[1] = (rounds[1] or 0) + 1
                if rounds[1] == 2 then return f(me, ...) end
            end
            return nil
        end
    end
    local trap = once(1, function() error "it broke" end)
    failing({ step = function(me, h, steps) trap(me) me.at = me.at + steps * h.pace end },
        "training: test_population.lua:")
    trap = once(1, function() return true end)
    failing({ score = function(me) return trap(me) and 0 / 0 or me.at end }, "scoring: the score is nan")
    trap = once(1, function() return true end)
    failing({ score = function(me) return trap(me) and math.huge or me.at end }, "scoring: the score is inf")
    trap = once(1, function() return true end)
    failing({ score = function(me) if not trap(me) then return me.at end end }, "score: a number expected, got nothing")
    trap = once(1, function() return true end)
    failing({ score = function(me) if trap(me) then return "far" end return me.at end }, "score: a number expected, got the text")
    trap = once(1, function(me) me.f = print end)
    failing({ step = function(me, h, steps) trap(me) me.at = me.at + steps * h.pace end },
        "saving: the member.f: plain data expected")
end

function Members.test_all_failed()
    local run <close> = walk({}, { score = function() return 0 / 0 end }):begin {}
    fails("all 4 members have failed by round 1", function() run:go() end)
    local born <close> = walk({}, { init = function() error "no luck" end }):begin {}
    fails("no luck", function() born:go() end)
    local nothing <close> = walk({}, { init = function() end }):begin {}
    fails("init: a member expected, the function returned nothing", function() nothing:go() end)
end

function Members.test_small_populations()
    local run <close> = walk({ population = 1, initial = { { pace = 1 } }, exploit = pbt.truncation {} }):begin {}
    run:go()
    lu.assertEquals({ run.members[1].score, run.members[1].parent }, { 15, 0 })
    local two <close> = walk({ population = 2, initial = { { pace = 1 }, { pace = 2 } },
        exploit = pbt.truncation { bottom = 0.01, top = 0.01 }, explore = function(h) return h end }):begin {}
    two:go()
    lu.assertEquals(paces(two), { 2, 2 }) -- one is always selected
end

function Members.test_steps_and_burn_in()
    local run <close> = walk({ steps = 12, rounds = 100, exploit = pbt.none {} }):begin {}
    lu.assertEquals(run:go(), "stopped")
    lu.assertEquals(column(run, "steps"), { 12, 12, 12, 12 })
    local short <close> = walk({ steps = 3, rounds = 100 }):begin {}
    lu.assertEquals(short:go(), "stopped")
    lu.assertEquals({ short.round, short.members[1].steps }, { 1, 3 })
    in_folder(function(path)
        local burnt <close> = walk({ burn_in = 11, rounds = 4 }):begin { directory = path }
        burnt:go()
        for _, event in ipairs(events(path, "copied")) do lu.assertTrue(tonumber(event:match "^%d+") >= 3, event) end
        lu.assertTrue(#events(path, "copied") > 0)
    end)
end

support.main { Exploit = Exploit, Explore = Explore, Schedule = Schedule, Members = Members }
