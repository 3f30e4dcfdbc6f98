-- brood.pbt: search spaces and rules as scripts write them, and what is said of wrong ones; plain data as text; what
-- --set changes.
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local experiment = require "brood.experiment"
local plain = require "brood.plain"
local optim, pbt = brood.optim, brood.pbt
local lu = support.lu

local Spaces, Rules, Members, Plain, Override = {}, {}, {}, {}, {}

-- ---- an experiment that does nothing -------------------------------------------------------------------------------

local NOTHING = { init = function() return {} end, step = function() end, score = function() return 0 end }

local function nothing(fields)
    local spec = { name = "nothing", members = pbt.member(NOTHING) }
    for name, value in pairs(fields) do spec[name] = value end
    return brood.experiment(spec)
end

local function fails(text, f) support.fails(text, f, nothing) end

-- Values that members begin with, by name.
local function drawn(hyper, count)
    local run <close> = nothing({ hyper = hyper, population = count, exploit = pbt.none {} }):begin {}
    local values = {}
    for i, member in ipairs(run.members) do
        for name, value in pairs(member.values) do
            values[name] = values[name] or {}
            values[name][i] = value
        end
    end
    return values
end

-- ---- search spaces -------------------------------------------------------------------------------------------------

local function share(list, is)
    local count = 0
    for _, value in ipairs(list) do count = count + (is(value) and 1 or 0) end
    return count / #list
end

function Spaces.test_what_is_drawn()
    local values = drawn({
        a = pbt.uniform(-1, 3), b = pbt.log_uniform(1e-4, 1), c = pbt.integer(2, 5), d = pbt.choice { 8, 1, 4 },
        e = pbt.category { "sgd", "adam" }, f = pbt.constant(0.3), g = 7, h = pbt.choice { "low", "high" },
        i = pbt.category { 0.5, -2 },
    }, 2000)
    local function even(name, expected, is) lu.assertAlmostEquals(share(values[name], is), expected, 0.06, name) end
    for _, value in ipairs(values.a) do lu.assertTrue(value >= -1 and value <= 3) end
    even("a", 0.5, function(value) return value < 1 end)
    for _, value in ipairs(values.b) do lu.assertTrue(value >= 1e-4 and value <= 1) end
    even("b", 0.5, function(value) return value < 1e-2 end)
    for _, value in ipairs(values.c) do lu.assertEquals(math.type(value), "integer") end
    for n = 2, 5 do even("c", 0.25, function(value) return value == n end) end
    for _, n in ipairs { 8, 1, 4 } do even("d", 1 / 3, function(value) return value == n end) end
    for _, word in ipairs { "sgd", "adam" } do even("e", 0.5, function(value) return value == word end) end
    even("f", 1, function(value) return value == 0.3 end)
    even("g", 1, function(value) return value == 7 end)
    for _, word in ipairs { "low", "high" } do even("h", 0.5, function(value) return value == word end) end
    for _, n in ipairs { 0.5, -2 } do even("i", 0.5, function(value) return value == n end) end
end

function Spaces.test_members_draw_by_seed_and_slot()
    local function first(seed, count)
        local run <close> = nothing({ hyper = { a = pbt.uniform(0, 1) }, population = count }):begin { seed = seed }
        return run.members[1].values.a
    end
    lu.assertEquals(first(1, 2), first(1, 9))
    lu.assertNotEquals(first(1, 2), first(2, 2))
end

function Spaces.test_ranges_refused()
    fails("pbt.uniform(2, 1) is empty: the first bound must lie below the second", function() pbt.uniform(2, 1) end)
    fails("pbt.integer(3, 3) is empty", function() pbt.integer(3, 3) end)
    fails("a plain number is a constant", function() pbt.log_uniform(1, 1) end)
    fails("pbt.log_uniform: low: a number greater than 0 expected, got 0", function() pbt.log_uniform(0, 1) end)
    fails("pbt.log_uniform: low: a number greater than 0 expected, got -1", function() pbt.log_uniform(-1, 1) end)
    fails("pbt.integer: high: a whole number expected, got 2.5", function() pbt.integer(1, 2.5) end)
    fails("pbt.uniform: high is missing: a number expected", function() pbt.uniform(1) end)
    fails("pbt.uniform: low: a number expected, got the text", function() pbt.uniform("1", 2) end)
    fails("pbt.uniform", function() pbt.uniform(0 / 0, 1) end)
    fails("pbt.uniform", function() pbt.uniform(0, math.huge) end)
    fails("pbt.constant: a number expected, got the text", function() pbt.constant "x" end)
end

function Spaces.test_lists_refused()
    fails("pbt.choice: a list of options expected, as in pbt.choice { 32, 64 }, got an empty one", function()
        pbt.choice {}
    end)
    fails("pbt.category: a list of options expected", function() pbt.category "adam" end)
    fails("pbt.choice: options are all numbers or all texts, option 2 is", function() pbt.choice { 1, "two" } end)
    fails("option 1 is", function() pbt.choice { true } end)
    fails("pbt.category: option 3, sgd, is there twice", function() pbt.category { "sgd", "adam", "sgd" } end)
    fails("pbt.choice: option 2, 1.0, is there twice", function() pbt.choice { 1, 1.0 } end)
    fails("pbt.structural: a hyperparameter expected", function() pbt.structural "width" end)
    fails("brood.pbt has no 'loguniform': did you mean 'log_uniform'?", function() return pbt.loguniform end)
end

function Spaces.test_what_is_no_hyperparameter()
    fails("hyper.a: a number, or a range such as pbt.log_uniform(1e-5, 1e-2), expected, got the text 'x'", function()
        nothing { hyper = { a = "x" } }
    end)
    fails("hyper.a", function() nothing { hyper = { a = { 1, 2 } } } end)
    fails("hyper.a", function() nothing { hyper = { a = pbt.truncation {} } } end)
end

function Spaces.test_too_much()
    local hyper = {}
    for i = 1, 65 do hyper["h" .. i] = pbt.uniform(0, 1) end
    fails("65 hyperparameters: at most 64 can be had", function() nothing({ hyper = hyper }):begin {} end)
    fails("the range is too wide", function() nothing({ hyper = { a = pbt.uniform(-1e308, 1e308) } }):begin {} end)
    fails("whole numbers up to 2^53", function() nothing({ hyper = { a = pbt.integer(0, 1 << 60) } }):begin {} end)
    fails("a name of 1 to 63 bytes", function() nothing({ hyper = { [("n"):rep(64)] = 1 } }):begin {} end)
    local options = {}
    for i = 1, 300 do options[i] = i end
    fails("choice of 300 options: 1 to 256 were expected", function()
        nothing({ hyper = { a = pbt.choice(options) } }):begin {}
    end)
end

-- What explore does to each kind: neighbors, bounds, and what is left alone.
function Spaces.test_walks()
    local spec = {
        name = "walks", members = pbt.member(NOTHING), population = 2,
        hyper = {
            lr = pbt.log_uniform(1e-3, 1), updates = pbt.integer(1, 4), size = pbt.choice { 8, 16, 32, 64 },
            kind = pbt.category { "a", "b", "c" }, fixed = 2, shape = pbt.structural(pbt.choice { 1, 2, 3 }),
        },
        initial = {
            { lr = 0.5, updates = 2, size = 16, kind = "b", fixed = 2, shape = 3 },
            { lr = 0.01, updates = 3, size = 32, kind = "c", fixed = 2, shape = 1 },
        },
        exploit = function(me, others) return me.slot == 1 and others[1] or nil end,
    }
    local seen = { updates = {}, size = {} }
    for seed = 1, 200 do
        local run <close> = brood.experiment(spec):begin { seed = seed }
        run:go(1)
        local values = run.members[2].values
        lu.assertTrue(math.abs(values.lr - 0.4) < 1e-12 or math.abs(values.lr - 0.625) < 1e-12, values.lr)
        lu.assertEquals({ values.kind, values.fixed, values.shape }, { "b", 2, 3 })
        lu.assertTrue(values.updates >= 1 and values.updates <= 4 and math.type(values.updates) == "integer")
        seen.size[values.size], seen.updates[values.updates] = true, true
    end
    lu.assertEquals(seen.size, { [8] = true, [32] = true })
    lu.assertTrue(seen.updates[1] and seen.updates[2] and seen.updates[3])
end

-- ---- rules ---------------------------------------------------------------------------------------------------------

function Rules.test_defaults()
    local function told(rule)
        local copy = {}
        for key, value in pairs(rule) do copy[key] = value end
        return copy
    end
    lu.assertEquals(told(pbt.truncation {}), { kind = "truncation", rule = "exploit", bottom = 0.2, top = 0.2 })
    lu.assertEquals(told(pbt.truncation { bottom = 0.5 }), { kind = "truncation", rule = "exploit", bottom = 0.5, top = 0.2 })
    lu.assertEquals(told(pbt.tournament {}), { kind = "tournament", rule = "exploit" })
    lu.assertEquals(told(pbt.ttest {}), { kind = "ttest", rule = "exploit", window = 10, level = 0.05 })
    lu.assertEquals(told(pbt.none {}), { kind = "none", rule = "exploit" })
    lu.assertEquals(told(pbt.perturb {}), { kind = "rule", rule = "explore", factors = { 0.8, 1.25 }, chance = 1 })
    lu.assertEquals(told(pbt.resample {}), { kind = "rule", rule = "explore", factors = {}, chance = 0, resample = 0.25 })
    lu.assertEquals(told(pbt.both { resample = 0.5 }),
        { kind = "rule", rule = "explore", factors = { 0.8, 1.25 }, chance = 1, resample = 0.5 })
    lu.assertEquals({ pbt.is_rule(pbt.none {}), pbt.is_rule(pbt.both {}), pbt.is_rule(1), pbt.is_rule {} },
        { "exploit", "explore" })
end

function Rules.test_refused()
    fails("pbt.truncation: bottom: a number greater than 0 and of at most 0.5 expected, got 0.6", function()
        pbt.truncation { bottom = 0.6 }
    end)
    fails("pbt.truncation: top", function() pbt.truncation { top = 0 } end)
    fails("pbt.truncation: there is no field 'botom': did you mean 'bottom'?", function() pbt.truncation { botom = 0.1 } end)
    fails("pbt.ttest: window: a whole number from 2 to 64 expected, got 1", function() pbt.ttest { window = 1 } end)
    fails("pbt.ttest: level", function() pbt.ttest { level = 1 } end)
    fails("pbt.tournament: there is no field 'size'", function() pbt.tournament { size = 3 } end)
    fails("pbt.perturb: factors: a list of numbers above 0 expected", function() pbt.perturb { factors = { 0.8, -1 } } end)
    fails("pbt.perturb: factors", function() pbt.perturb { factors = {} } end)
    fails("pbt.perturb: factors", function() pbt.perturb { factors = { 0.8, math.huge } } end)
    fails("pbt.perturb: chance: a number from 0 to 1 expected, got 1.5", function() pbt.perturb { chance = 1.5 } end)
    fails("pbt.resample: there is no field 'factors'", function() pbt.resample { factors = { 2 } } end)
    fails("exploit: a rule such as pbt.truncation {}, or a function, expected", function()
        nothing { exploit = pbt.perturb {} }
    end)
    fails("explore: a rule such as pbt.perturb {}, or a function, expected", function() nothing { explore = "perturb" } end)
end

function Rules.test_experiments()
    fails("select is missing: the score that exploit compares", function()
        brood.experiment {
            name = "x", population = 2, generator = print, discriminator = print, loss = print,
            data = brood.data.ring {},
        }
    end)
    fails("select: the member scores itself", function()
        nothing { select = brood.metric.modes_score {} }
    end)
    for _, field in ipairs { { generator = print }, { data = brood.data.ring {} }, { batch = 8 }, { d_steps = 2 },
        { g_optimizer = optim.adam {} } } do
        fails(next(field) .. ": the members are no GANs, and nothing reads it", function() nothing(field) end)
    end
    fails("exploit: a rule such as pbt.truncation {}, or a function, expected", function()
        nothing { exploit = pbt.tournament } -- without {}
    end)
    fails("rules: a table of functions expected", function() nothing { rules = { a = 5 } } end)
    fails("select, report: there is no data to compare images with", function()
        brood.experiment {
            name = "x", generator = print, discriminator = print, loss = print, report = { brood.metric.frechet {} },
        }
    end)
    local function f(s) return s.modes end
    fails("report: two scores are called 'combine': give one of them another name, by its option name", function()
        brood.experiment {
            name = "x", generator = print, discriminator = print, loss = print, data = brood.data.ring {},
            report = { brood.metric.combine(f), brood.metric.combine(f) },
        }
    end)
    brood.experiment {
        name = "x", generator = print, discriminator = print, loss = print, data = brood.data.ring {},
        report = { brood.metric.combine(f), brood.metric.combine(f, { name = "f" }) },
    }
    fails("population: a whole number from 1 to 4096 expected, got 0", function() nothing { population = 0 } end)
    fails("control", function() nothing { control = "random" } end)
    fails("mode", function() nothing { mode = "later" } end)
    fails("initial: values for 2 members expected, got 1", function()
        nothing({ population = 2, hyper = { a = 1 }, initial = { { a = 1 } } }):begin {}
    end)
    fails("initial: there is no hyperparameter 'b'", function()
        nothing({ hyper = { a = 1 }, initial = { { a = 1, b = 2 } } }):begin {}
    end)
    fails("initial: a number expected for a, got nothing", function()
        nothing({ hyper = { a = 1 }, initial = { {} } }):begin {}
    end)
    fails("initial values of member 0: a is 3, which is outside of its range", function()
        nothing({ hyper = { a = pbt.uniform(0, 1) }, initial = { { a = 3 } } }):begin {}
    end)
    fails("'z' is none of the options of a", function()
        nothing({ hyper = { a = pbt.category { "x", "y" } }, initial = { { a = "z" } } }):begin {}
    end)
    fails("an asynchronous run needs a directory", function() nothing({ mode = "asynchronous" }):begin {} end)
    fails("recombining needs members of two or more parts", function()
        nothing({ recombine = true, population = 2 }):begin {}
    end)
    fails("replay: the schedule is empty", function() nothing { replay = {} } end)
    fails("replay[2].steps is missing: a whole number of at least 1 expected", function()
        nothing { hyper = { a = 1 }, replay = { { steps = 4, a = 1 }, { a = 2 } } }
    end)
    fails("experiment:begin: there is no field 'sede': did you mean 'seed'?", function() nothing({}):begin { sede = 1 } end)
    fails("control: there is no 'none'", function() nothing({}):begin { control = "none" } end)
end

-- ---- members that are no GANs --------------------------------------------------------------------------------------

function Members.test_refused()
    fails("pbt.member: step is missing: a function expected", function()
        pbt.member { init = print, score = print }
    end)
    fails("pbt.member: load is missing: a function expected", function()
        pbt.member { init = print, step = print, score = print, save = print }
    end)
    fails("pbt.member: reports", function()
        pbt.member { init = print, step = print, score = print, reports = { 1 } }
    end)
    fails("pbt.program: command: a list of words", function() pbt.program { command = "python3 x.py" } end)
    fails("pbt.program: command", function() pbt.program { command = {} } end)
    fails("pbt.program: time_limit", function() pbt.program { command = { "true" }, time_limit = 0 } end)
    fails("members: a member, such as pbt.member {} or pbt.program {}, expected", function()
        nothing { members = NOTHING }
    end)
end

-- ---- plain data ----------------------------------------------------------------------------------------------------

local function back(value) return plain.decode(plain.encode(value)) end

function Plain.test_round_trip()
    local values = {
        0, -0.0, 1, -1, 0.1, 1 / 3, 1e308, 5e-324, -2.5e-310, math.huge, -math.huge, math.maxinteger, math.mininteger,
        1e15, 2 ^ 53, "", "text", 'quotes " and \\ and \n and \0 and \200', "return os", "a (b) ; --[[ ]]", true, false,
    }
    for _, value in ipairs(values) do
        local got = back(value)
        lu.assertTrue(got == value, tostring(value))
        lu.assertEquals(math.type(got), math.type(value))
        lu.assertEquals(plain.encode(got), plain.encode(value))
    end
    lu.assertEquals(1 / back(-0.0), -math.huge)
    local nan = back(0 / 0)
    lu.assertTrue(nan ~= nan)
    lu.assertNil(back(nil))
end

-- Numbers of all sizes come back to the bit.
function Plain.test_every_number()
    math.randomseed(5)
    for _ = 1, 3000 do
        local bits = math.random(0)
        local value = string.unpack("d", string.pack("j", bits))
        if value == value then
            lu.assertEquals(string.pack("d", back(value)), string.pack("d", value))
        end
        lu.assertEquals(back(bits), bits)
    end
end

function Plain.test_tables()
    local value = { 1, 2, { deep = { deeper = { "x" } } }, name = "n", [10] = true, [0.5] = false, [-3] = {}, [""] = 0 }
    lu.assertEquals(back(value), value)
    local one, other = {}, {}
    for i = 1, 50 do one["k" .. i] = i end
    for i = 50, 1, -1 do other["k" .. i] = i end
    lu.assertEquals(plain.encode(one), plain.encode(other))
    local shared = { 1 }
    lu.assertEquals(back { shared, shared }, { { 1 }, { 1 } })
end

function Plain.test_what_is_not_plain()
    local loop = {}
    loop.inner = { loop }
    local function refused(text, value)
        local fine, message = pcall(plain.encode, value, "run.state")
        lu.assertFalse(fine)
        lu.assertStrContains(message, text)
    end
    refused("run.state.f: plain data expected (numbers, texts, booleans, tables), got a function", { f = print })
    refused("the table holds itself", loop)
    refused("plain data expected, got an object", setmetatable({}, {}))
    refused("keys are texts or numbers, got a boolean", { [true] = 1 })
    refused("run.state.t: plain data expected", { t = io.stdout })
end

-- Texts from outside are never run.
function Plain.test_hostile_texts()
    for _, text in ipairs {
        "os.exit(1)", "print", "(function() end)()", "1 + 1", "x", "{[x]=1}", "{os.exit(1)}", "a.b", '("x"):rep(1e9)',
        "{}{}", "--", "[[x]]", "'x'", "{1,2", '"unclosed', "while true do end", "function() end", "1;2", "{[1]=2}}",
        "..", "#{}", "not true", '"a".."b"', "goto x", "nil,os", ("{"):rep(300), '"\\', "true and x", "(1/0)(2)",
    } do
        local fine, value = pcall(plain.decode, text)
        lu.assertTrue(fine, text)
        lu.assertTrue(value == nil or type(value) ~= "function" and type(value) ~= "userdata", text)
    end
    lu.assertNil((plain.decode "os"))
    lu.assertEquals(plain.decode "{[1]=os,}", {})
    lu.assertNil((plain.decode "x"))
    lu.assertEquals(plain.decode(plain.encode "\") os.exit(1) (\""), "\") os.exit(1) (\"")
end

-- ---- as text -------------------------------------------------------------------------------------------------------

function Rules.test_text()
    lu.assertEquals(pbt.text(pbt.truncation { bottom = 0.25 }), "pbt.truncation { bottom = 0.25, top = 0.2 }")
    lu.assertEquals(pbt.text(pbt.tournament {}), "pbt.tournament {}")
    lu.assertEquals(pbt.text(pbt.perturb { factors = { 0.5, 2 } }), "pbt.perturb { chance = 1, factors = { 0.5, 2 } }")
    lu.assertEquals(pbt.text(pbt.resample {}), "pbt.resample { chance = 0.25 }")
    lu.assertNil(pbt.text { kind = "none", rule = "exploit" })
end

function Spaces.test_text()
    lu.assertEquals(tostring(pbt.log_uniform(1e-5, 1e-2)), "pbt.log_uniform(1e-05, 0.01)")
    lu.assertEquals(tostring(pbt.constant(3)), "pbt.constant(3)")
    lu.assertEquals(tostring(pbt.structural(pbt.choice { 8, 16 })), "pbt.structural(pbt.choice { 8, 16 })")
    lu.assertEquals(tostring(pbt.category { "up", "down" }), 'pbt.category { "up", "down" }')
end

-- ---- --set ---------------------------------------------------------------------------------------------------------

local function gan(fields)
    local spec = { name = "x", generator = print, discriminator = print, loss = print }
    for name, value in pairs(fields or {}) do spec[name] = value end
    return spec
end

-- An experiment as the command line changes it.
local function with(settings, fields)
    experiment.overrides = settings
    local fine, made = pcall(fields and fields.loss and brood.experiment or nothing, fields or {})
    experiment.overrides = nil
    if not fine then error(made, 0) end
    return made
end

local function refused(text, name, value, fields)
    local fine, message = pcall(with, { { name, value } }, fields)
    lu.assertFalse(fine, "an error was expected: " .. text)
    lu.assertStrContains(message, text)
end

function Override.test_fields()
    local made = with({ { "population", "4" }, { "name", "other" }, { "mode", "asynchronous" }, { "seed", "12" },
        { "recombine", "true" }, { "interval", "7" } })
    lu.assertEquals({ made.population, made.name, made.mode, made.seed, made.recombine, made.interval },
        { 4, "other", "asynchronous", 12, true, 7 })
    lu.assertEquals(with({ { "ema", "0.5" } }, gan()).ema, 0.5)
    lu.assertEquals(with({ { "rounds", "3" }, { "rounds", "5" } }).rounds, 5)
end

function Override.test_inner_fields()
    local exploit = pbt.truncation { bottom = 0.3 }
    local made = with({ { "exploit.bottom", "0.1" }, { "exploit.top", "0.4" } }, { exploit = exploit })
    lu.assertEquals({ made.exploit.bottom, made.exploit.top }, { 0.1, 0.4 })
    lu.assertEquals(exploit.bottom, 0.3, "the script's own table is left alone")
    made = with({ { "hyper.lr", "2e-4" } }, { hyper = { lr = pbt.log_uniform(1e-5, 1), other = 3 } })
    lu.assertEquals(made.space.lr.kind, "constant")
    local run <close> = made:begin {}
    lu.assertEquals(run.members[1].values, { lr = 2e-4, other = 3 })
    lu.assertEquals(with({ { "explore.chance", "0.5" } }, { explore = pbt.perturb {} }).explore.chance, 0.5)
end

-- What holds where the script says nothing, whatever the order of the settings.
function Override.test_what_is_usual()
    local made = with { { "exploit.top", "0.4" }, { "explore.chance", "0.5" }, { "population", "4" } }
    lu.assertEquals({ made.exploit.kind, made.exploit.top, made.exploit.bottom, made.explore.chance },
        { "truncation", 0.4, 0.2, 0.5 })
end

-- A pinned option is the only one, and shapes networks as it did.
function Override.test_options_with_names()
    local act = pbt.structural(pbt.category { "relu", "tanh", "2" })
    local made = with({ { "hyper.act", "2" } }, { hyper = { act = act, other = 3 } })
    lu.assertEquals(tostring(made.space.act), 'pbt.structural(pbt.category { "2" })')
    local run <close> = made:begin { workers = 1 }
    lu.assertEquals(run.members[1].values, { act = "2", other = 3 })
    lu.assertEquals(#act.labels, 3)
end

-- A text stays one, a hyperparameter may be called kind, and what the script left out can be set.
function Override.test_by_the_rule_of_the_field()
    lu.assertEquals(with({ { "name", "2024" } }).name, "2024")
    lu.assertEquals(with({ { "name", "true" } }).name, "true")
    lu.assertEquals(with({ { "hyper.kind", "3" } }, { hyper = { kind = pbt.uniform(1, 5) } }).hyper.kind, 3)
    local adam = optim.adam { lr = 1e-3, clip = 5 }
    local made = with({ { "g_optimizer.epsilon", "1e-6" } }, gan { g_optimizer = adam }).g_optimizer
    lu.assertEquals(made, { kind = "adam", lr = 1e-3, clip_norm = 5, epsilon = 1e-6 })
    lu.assertEquals(with({ { "g_optimizer.clip", "2" } }, gan { g_optimizer = adam }).g_optimizer.clip_norm, 2)
    lu.assertNil(adam.epsilon)
    lu.assertEquals(with({ { "explore.chance", "0.5" } }, { explore = pbt.resample {} }).explore.resample, 0.5)
end

function Override.test_refused()
    refused("--set popluation: an experiment has no such field: did you mean 'population'?", "popluation", "4")
    refused("population: a whole number from 1 to 4096 expected, got", "population", "many")
    refused("population", "population", "2.5")
    refused("--set hyper: one of them is set, as in --set hyper.g_lr=2e-4", "hyper", "1")
    refused("--set schedule: a field that holds a number", "schedule", "1")
    refused("--set hyper.lf: there is no hyperparameter 'lf': did you mean 'lr'?", "hyper.lf", "1", { hyper = { lr = 1 } })
    refused("--set hyper.lr: the script gives no hyper", "hyper.lr", "1")
    refused("--set hyper.lr: a number expected, got", "hyper.lr", "fast", { hyper = { lr = 1 } })
    refused("--set exploit.kind: there is no 'kind' in pbt.truncation {}: there are bottom, top", "exploit.kind", "none",
        { exploit = pbt.truncation {} })
    refused("--set exploit.top: pbt.truncation: top: a number greater than 0 and of at most 0.5 expected, got 7",
        "exploit.top", "7", { exploit = pbt.truncation {} })
    refused("--set exploit.top: there is no 'top' in pbt.tournament {}: nothing can be set in it", "exploit.top", "0.3",
        { exploit = pbt.tournament {} })
    refused("--set explore.factors: it holds a list", "explore.factors", "3", { explore = pbt.perturb {} })
    refused("--set explore.chance: the script's explore is a function", "explore.chance", "1",
        { explore = function(h) return h end })
    refused("--set g_optimizer.epsilo: optim.adam: there is no field 'epsilo': did you mean 'epsilon'?",
        "g_optimizer.epsilo", "1", gan { g_optimizer = optim.adam {} })
    refused("--set exploit.bottom: there is no 'bottom' in pbt.none {}", "exploit.bottom", "0.1") -- of one member
    refused("--set g_optimizer.lr: the script gives no g_optimizer", "g_optimizer.lr", "0.1") -- no GANs
    refused("--set members.step: the script has made its members by the time this is read: write step in the script's"
        .. " `members = ...`", "members.step", "1")
    refused("--set hiper.lr: an experiment has no such field: did you mean 'hyper'?", "hiper.lr", "1")
    refused("--set hyper.act: one of 'relu', 'tanh' expected, got the text 'tahn': did you mean 'tanh'?", "hyper.act", "tahn",
        { hyper = { act = pbt.category { "relu", "tanh" } } })
end

support.main { Spaces = Spaces, Rules = Rules, Members = Members, Plain = Plain, Override = Override }
