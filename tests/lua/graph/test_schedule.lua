-- Schedules, and the optimizers that take them.
local support = dofile "tests/lua/support.lua"
local graph = require "brood.graph"
local optim = require "brood.optim"
local schedule = require "brood.schedule"
local lu, near, fails, count = support.lu, support.near, support.fails, support.count

local Values, Printed, Wrong, Optimizers = {}, {}, {}, {}

-- The values at these steps.
local function values(of, ...)
    local steps = { ... }
    return count(#steps, function(i) return of:at(steps[i]) end)
end

-- ---- values --------------------------------------------------------------------------------------------------------

function Values.test_constant()
    lu.assertEquals(values(schedule.constant(0.3), 0, 1, 1e9), { 0.3, 0.3, 0.3 })
end

function Values.test_linear()
    local down = schedule.linear { from = 1, to = 0.2, steps = 8 }
    near(values(down, 0, 1, 4, 7, 8, 9, 1e9), { 1, 0.9, 0.6, 0.3, 0.2, 0.2, 0.2 }, 1e-12)
    near(values(schedule.linear { from = -1, to = 1, steps = 2 }, 0, 1, 2), { -1, 0, 1 }, 1e-12)
end

function Values.test_cosine()
    local down = schedule.cosine { from = 3, to = 1, steps = 6 }
    near(values(down, 0, 1, 2, 3, 4, 6, 7), { 3, 2 + math.sqrt(3) / 2, 2.5, 2, 1.5, 1, 1 }, 1e-12)
end

function Values.test_exponential()
    local down = schedule.exponential { from = 1, to = 1e-4, steps = 4 }
    near(values(down, 0, 1, 2, 3), { 1, 1e-1, 1e-2, 1e-3 }, 1e-12)
    lu.assertEquals(values(down, 4, 5), { 1e-4, 1e-4 })
    near(values(schedule.exponential { from = -1, to = -9, steps = 2 }, 0, 1, 2), { -1, -3, -9 }, 1e-12)
end

-- Nothing is lost to rounding at the ends.
function Values.test_exact_ends()
    for _, kind in ipairs { "linear", "cosine", "exponential" } do
        local of = schedule[kind] { from = 0.1, to = 0.3, steps = 7 }
        lu.assertEquals(values(of, 0, 7, 100), { 0.1, 0.3, 0.3 }, kind)
    end
end

function Values.test_warmup()
    near(values(schedule.warmup { to = 1, steps = 4 }, 0, 1, 3, 4, 100), { 0, 0.25, 0.75, 1, 1 }, 1e-12)
    near(values(schedule.warmup { from = 0.5, to = 1, steps = 4 }, 0, 2, 4), { 0.5, 0.75, 1 }, 1e-12)
    local down = schedule.linear { from = 2, to = 0, steps = 10 }
    local both = schedule.warmup { steps = 4, after = down }
    lu.assertEquals(both.to, 2) -- where `after` begins
    near(values(both, 0, 2, 4, 5, 14, 20), { 0, 1, 2, 1.8, 0, 0 }, 1e-12)
    local jump = schedule.warmup { to = 1, steps = 2, after = schedule.constant(5) }
    near(values(jump, 0, 1, 2, 3), { 0, 0.5, 5, 5 }, 1e-12)
end

function Values.test_piecewise()
    local steps = schedule.piecewise { { 0, 1 }, { 10, 0.5 }, { 20, 0.25 } }
    lu.assertEquals(values(steps, 0, 9, 10, 19, 20, 1000), { 1, 1, 0.5, 0.5, 0.25, 0.25 })
    lu.assertEquals(values(schedule.piecewise { { 5, 3 }, { 6, 4 } }, 0, 5, 6), { 3, 3, 4 })
end

function Values.test_plain_data()
    local of = schedule.warmup { steps = 4, after = schedule.linear { from = 2, to = 0, steps = 10 } }
    local fields = {}
    for name, value in pairs(of) do fields[name] = type(value) end
    lu.assertEquals(fields, { kind = "string", from = "number", to = "number", steps = "number", after = "table" })
    lu.assertEquals({ of.kind, of.after.kind, of.after.steps }, { "warmup", "linear", 10 })
    local points = schedule.piecewise { { 0, 1 }, { 10, 2 } }
    lu.assertEquals({ points.kind, points[2][1], points[2][2] }, { "piecewise", 10, 2 })
end

function Values.test_does_not_keep_what_it_was_given()
    local point = { 0, 1 }
    local of = schedule.piecewise { point }
    point[2] = 7
    lu.assertEquals(of:at(0), 1)
end

function Values.test_range()
    local function range(of) return { of:range() } end
    lu.assertEquals(range(schedule.constant(2)), { 2, 2 })
    lu.assertEquals(range(schedule.linear { from = 2, to = -1, steps = 3 }), { -1, 2 })
    lu.assertEquals(range(schedule.piecewise { { 0, 5 }, { 1, 9 }, { 2, 7 } }), { 5, 9 })
    local after = schedule.piecewise { { 0, -5 }, { 1, 9 } }
    lu.assertEquals(range(schedule.warmup { to = 1, steps = 2, after = after }), { -5, 9 })
end

-- ---- print -----------------------------------------------------------------------------------------------------------

function Printed.test_all_kinds()
    lu.assertEquals(tostring(schedule.constant(0.5)), "constant 0.5")
    lu.assertEquals(tostring(schedule.linear { from = 1e-3, to = 0, steps = 2000 }), "linear from 0.001 to 0 in 2000 steps")
    lu.assertEquals(tostring(schedule.warmup { steps = 10, after = schedule.cosine { from = 1, to = 0, steps = 20 } }),
        "warmup from 0 to 1 in 10 steps, then cosine from 1 to 0 in 20 steps")
    lu.assertEquals(tostring(schedule.piecewise { { 0, 1 }, { 10, 0.5 }, { 20, 0.25 } }),
        "piecewise 1, 0.5 from step 10, 0.25 from step 20")
end

-- ---- refused ---------------------------------------------------------------------------------------------------------

function Wrong.test_names()
    fails("schedule has no 'liner': did you mean 'linear'?", function() local _ = schedule.liner {} end)
    fails("schedule.linear: there is no field 'step': did you mean 'steps'?", function()
        local _ = schedule.linear { from = 0, to = 1, step = 10 }
    end)
end

function Wrong.test_values()
    fails("schedule.linear: to is missing", function() local _ = schedule.linear { from = 0, steps = 10 } end)
    fails("schedule.cosine: steps: a whole number of at least 1 expected, got 0", function()
        local _ = schedule.cosine { from = 0, to = 1, steps = 0 }
    end)
    fails("schedule.constant: a number expected, got the text '1'", function() local _ = schedule.constant "1" end)
    fails("from: a number expected, got nan", function() local _ = schedule.linear { from = 0 / 0, to = 1, steps = 1 } end)
    fails("from and to must be both above or both below 0, got 1 and 0", function()
        local _ = schedule.exponential { from = 1, to = 0, steps = 5 }
    end)
    fails("schedule.warmup: to is missing", function() local _ = schedule.warmup { steps = 5 } end)
    fails("schedule.warmup: after: a schedule expected", function()
        local _ = schedule.warmup { steps = 5, after = { kind = "constant", value = 1 } }
    end)
    fails("step: a number of at least 0 expected, got -1", function() local _ = schedule.constant(1):at(-1) end)
end

function Wrong.test_points()
    fails("at least one point", function() local _ = schedule.piecewise {} end)
    fails("schedule.piecewise[2]: a point { step, value } expected", function()
        local _ = schedule.piecewise { { 0, 1 }, { 10 } }
    end)
    fails("schedule.piecewise[1]: a point { step, value } expected", function()
        local _ = schedule.piecewise { { 0.5, 1 } }
    end)
    fails("step 10 of point 3 does not come after the step before, 10", function()
        local _ = schedule.piecewise { { 0, 1 }, { 10, 2 }, { 10, 3 } }
    end)
end

-- ---- optimizers ------------------------------------------------------------------------------------------------------

local function fields(of)
    local list = {}
    for name, value in pairs(of) do list[name] = value end
    return list
end

function Optimizers.test_plain_tables()
    local falling = schedule.linear { from = 1e-3, to = 0, steps = 100 }
    local adam = optim.adam { lr = falling, beta1 = 0.5, beta2 = "b2", epsilon = 1e-6, weight_decay = 0.1, clip = 5 }
    lu.assertIs(adam.lr, falling)
    adam.lr = nil
    lu.assertEquals(fields(adam), { kind = "adam", beta1 = 0.5, beta2 = "b2", epsilon = 1e-6, weight_decay = 0.1,
        clip_norm = 5 })
    lu.assertEquals(fields(optim.sgd { lr = "g_lr", momentum = 0.9, nesterov = true }),
        { kind = "sgd", lr = "g_lr", momentum = 0.9, nesterov = true })
    lu.assertEquals(fields(optim.rmsprop { decay = 0.9, momentum = 0.1 }),
        { kind = "rmsprop", decay = 0.9, momentum = 0.1 })
    lu.assertEquals(fields(optim.adam()), { kind = "adam" })
end

-- What is made is what the engine reads.
function Optimizers.test_in_the_engine()
    local function train(optimizer, rate)
        local g = graph.new()
        local w = g:param("w", { 2 }, { value = { 1, -2 } })
        local program = g:compile({}, { minimize = w:square():sum(), optimizer = optimizer })
        for _ = 1, 3 do program:run { rate = rate } end
        return program:get("w"):flat()
    end
    near(train(optim.adam { lr = "rate", beta1 = 0.5, clip = 1 }, 0.1),
        train(graph.adam { lr = 0.1, beta1 = 0.5, clip_norm = 1 }))
    near(train(optim.sgd { lr = 0.1, momentum = 0.9, nesterov = true }),
        train(graph.sgd { lr = 0.1, momentum = 0.9, nesterov = true }))
    near(train(optim.rmsprop { lr = 0.1, decay = 0.9 }), train(graph.rmsprop { lr = 0.1, decay = 0.9 }))
end

function Optimizers.test_refused()
    fails("optim has no 'adamw': did you mean 'adam'?", function() local _ = optim.adamw {} end)
    fails("optim.adam: there is no field 'learning_rate'", function() local _ = optim.adam { learning_rate = 1 } end)
    fails("optim.adam: there is no field 'beta': did you mean 'beta1'?", function() local _ = optim.adam { beta = 0.5 } end)
    fails("optim.adam: there is no field 'momentum'", function() local _ = optim.adam { momentum = 0.5 } end)
    fails("optim.sgd: there is no field 'epsilon'", function() local _ = optim.sgd { epsilon = 0.5 } end)
    fails("optim.adam: lr: a number, the name of a hyperparameter or a schedule", function()
        local _ = optim.adam { lr = {} }
    end)
    fails("lr is -1: a number from 0", function() local _ = optim.adam { lr = -1 } end)
    fails("beta1 is 1: a number from 0 to below 1", function() local _ = optim.adam { beta1 = 1 } end)
end

-- At its least and at its largest.
function Optimizers.test_schedules_out_of_range()
    fails("lr is -1", function() local _ = optim.sgd { lr = schedule.linear { from = 1, to = -1, steps = 5 } } end)
    fails("momentum is 1.5", function()
        local _ = optim.sgd { momentum = schedule.piecewise { { 0, 0.5 }, { 9, 1.5 } } }
    end)
end

support.main { Values = Values, Printed = Printed, Wrong = Wrong, Optimizers = Optimizers }
