-- Optimizers on programs: what they compute, what they learn, live numbers, groups, shared states.
local support = dofile "tests/lua/support.lua"
local graph = require "brood.graph"
local lu, near, count, fails = support.lu, support.near, support.count, support.fails

local Steps, Learning, Live, Groups, Refused = {}, {}, {}, {}, {}

-- A program that minimizes (w - 3)² / 2 from w = 1: the gradient is w - 3.
local function parabola(optimizer, options)
    local g = graph.new()
    local w = g:param("w", nil, { value = 1 })
    local loss = (w - 3):square() / 2
    options = options or {}
    options.minimize, options.optimizer = loss, optimizer
    return g:compile({ loss = loss }, options)
end

-- ---- single steps against the formulas --------------------------------------------------------------------

function Steps.test_sgd()
    local p = parabola(graph.sgd { lr = 0.1 })
    local out = p:run()
    near({ out.loss:item(), out.norm:item(), p:get("w"):item() }, { 2, 2, 1.2 })
    p:run()
    near({ p:get("w"):item() }, { 1.38 })
end

function Steps.test_momentum()
    local p = parabola(graph.sgd { lr = 0.1, momentum = 0.5 })
    local w, m = 1, 0
    for _ = 1, 5 do
        m = 0.5 * m + (w - 3)
        w = w - 0.1 * m
        p:run()
        near({ p:get("w"):item(), p:get("w", "moment1"):item() }, { w, m })
    end
    local q = parabola(graph.sgd { lr = 0.1, momentum = 0.5, nesterov = true })
    q:run()
    near({ q:get("w"):item() }, { 1 + 0.1 * (2 + 0.5 * 2) })
end

function Steps.test_adam()
    local p = parabola(graph.adam { lr = 0.1, beta1 = 0.8, beta2 = 0.9 })
    local w, m, v = 1, 0, 0
    for t = 1, 10 do
        local gradient = w - 3
        m = 0.8 * m + 0.2 * gradient
        v = 0.9 * v + 0.1 * gradient ^ 2
        w = w - 0.1 * (m / (1 - 0.8 ^ t)) / (math.sqrt(v / (1 - 0.9 ^ t)) + 1e-8)
        p:run()
        local moments = { p:get("w", "moment1"):item(), p:get("w", "moment2"):item() }
        near({ p:get("w"):item(), moments[1], moments[2] }, { w, m, v }, 1e-4)
    end
end

function Steps.test_rmsprop()
    local p = parabola(graph.rmsprop { lr = 0.05, decay = 0.9 })
    local w, v = 1, 0
    for _ = 1, 10 do
        local gradient = w - 3
        v = 0.9 * v + 0.1 * gradient ^ 2
        w = w - 0.05 * gradient / (math.sqrt(v) + 1e-8)
        p:run()
        near({ p:get("w"):item() }, { w }, 1e-4)
    end
end

function Steps.test_weight_decay_is_decoupled()
    local p = parabola(graph.sgd { lr = 0.1, weight_decay = 0.5 })
    p:run()
    near({ p:get("w"):item() }, { 1 * (1 - 0.05) + 0.2 })
end

function Steps.test_clipping_by_the_norm_of_all_parameters()
    local g = graph.new()
    local a, b = g:param("a", { 2 }), g:param("b", { 1 })
    local slope = graph.concat({ g:constant(2, { 1 }), g:constant(3, { 1 }) }, 1)
    local loss = (a * slope):sum() + 6 * b:sum() -- the gradient is (2, 3, 6), its norm 7
    local p = g:compile({}, { minimize = loss, optimizer = graph.sgd { lr = 1, clip_norm = 3.5 } })
    near({ p:run().norm:item() }, { 7 })
    near(p:get("a"):flat(), { -1, -1.5 })
    near(p:get("b"):flat(), { -3 })
end

function Steps.test_a_nan_is_seen()
    local g = graph.new()
    local w, x = g:param("w", nil, { value = 1 }), g:input("x")
    local p = g:compile({}, { minimize = w * x, optimizer = graph.adam { clip_norm = 1 } })
    local norm = p:run({ x = 0 / 0 }).norm:item()
    lu.assertNotEquals(norm, norm)
    local value = p:get("w"):item()
    lu.assertNotEquals(value, value)
end

-- ---- learning ---------------------------------------------------------------------------------------------

-- y = x·w + b with known w and b, from data without noise.
local function regression(optimizer, steps)
    local g = graph.new()
    local x, y = g:input("x", { 32, 2 }), g:input("y", { 32, 1 })
    local w, b = g:param("w", { 2, 1 }), g:param("b", { 1 })
    local loss = (graph.matmul(x, w) + b - y):square():mean()
    local p = g:compile({ loss = loss }, { minimize = loss, optimizer = optimizer })
    local xs = count(64, function(i) return math.sin(1.7 * i) end)
    local ys = count(32, function(i) return 2 * xs[2 * i - 1] - 3 * xs[2 * i] + 0.5 end)
    local data = { x = graph.value({ 32, 2 }, xs), y = graph.value({ 32, 1 }, ys) }
    for _ = 1, steps do p:run(data) end
    return p
end

function Learning.test_a_regression_by_each_kind()
    for _, optimizer in ipairs { graph.sgd { lr = 0.1, momentum = 0.9 }, graph.adam { lr = 0.1 },
        graph.rmsprop { lr = 0.003 } } do
        local p = regression(optimizer, 1500)
        near(p:get("w"):flat(), { 2, -3 }, 0.01)
        near(p:get("b"):flat(), { 0.5 }, 0.01)
    end
end

function Learning.test_exclusive_or()
    local g = graph.new()
    local x, t = g:input("x", { 4, 2 }), g:input("t", { 4, 1 })
    local function weights(n, phase) return count(n, function(i) return math.sin(2.3 * i + phase) end) end
    local w1 = g:param("w1", { 2, 8 }, { value = weights(16, 0) })
    local b1 = g:param("b1", { 8 }, { value = weights(8, 1) })
    local w2, b2 = g:param("w2", { 8, 1 }, { value = weights(8, 2) }), g:param("b2", { 1 })
    local logit = graph.matmul((graph.matmul(x, w1) + b1):tanh(), w2) + b2
    local loss = (logit:softplus() - t * logit):mean() -- binary cross entropy
    local train = g:compile({ loss = loss }, { minimize = loss, optimizer = graph.adam { lr = 0.05 } })
    local ask = g:compile({ p = logit:sigmoid() }, { state = train })
    local data = { x = { 0, 0, 0, 1, 1, 0, 1, 1 }, t = { 0, 1, 1, 0 } }
    for _ = 1, 500 do train:run(data) end
    near(ask:run({ x = data.x }).p:flat(), { 0, 1, 1, 0 }, 0.05)
end

function Learning.test_the_same_bits_again()
    local first, second = regression(graph.adam {}, 20), regression(graph.adam {}, 20)
    lu.assertEquals(first:get("w"):flat(), second:get("w"):flat())
end

-- ---- live numbers -----------------------------------------------------------------------------------------

function Live.test_a_name_is_a_run_value()
    local p = parabola(graph.sgd { lr = "rate" })
    p:run { rate = 0.5 }
    near({ p:get("w"):item() }, { 2 })
    p:run { rate = 0 }
    near({ p:get("w"):item() }, { 2 })
    p:run { rate = 1 }
    near({ p:get("w"):item() }, { 3 })
    lu.assertEquals(p:inputs(), { rate = {} })
    fails("run: 'rate', which the optimizer reads, is missing", function() p:run() end)
    fails("run: the program reads no input 'rat': did you mean 'rate'?", function() p:run { rat = 1 } end)
    fails("sgd: lr: a number expected, got the text '1'", function() p:run { rate = "1" } end)
    fails("sgd: lr is -1", function() p:run { rate = -1 } end)
    fails("sgd: lr is", function() p:run { rate = 0 / 0 } end)
end

function Live.test_one_name_for_several_numbers_and_an_input()
    local g = graph.new()
    local w = g:param("w", nil, { value = 1 })
    local sgd = graph.sgd { lr = "h", weight_decay = "h" }
    local p = g:compile({}, { minimize = w * g:input("h"), optimizer = sgd })
    p:run { h = 0.5 }
    near({ p:get("w"):item() }, { 1 * (1 - 0.25) - 0.5 * 0.5 })
end

function Live.test_every_number_can_be_live()
    local settings = {
        sgd = { lr = 0.1, momentum = 0.5, weight_decay = 0.1, clip_norm = 1.85 },
        adam = { lr = 0.1, beta1 = 0.5, beta2 = 0.6, epsilon = 1e-3, weight_decay = 0.1, clip_norm = 1.85 },
        rmsprop = { lr = 0.1, decay = 0.5, epsilon = 1e-3, momentum = 0.5, weight_decay = 0.1,
            clip_norm = 1.85 },
    }
    for kind, numbers in pairs(settings) do
        local names, other = {}, {}
        for name, number in pairs(numbers) do names[name], other[name] = "live_" .. name, number * 1.5 end
        local fixed, live = parabola(graph[kind](numbers)), parabola(graph[kind](names))
        local function values(of)
            local list = {}
            for name, number in pairs(of) do list["live_" .. name] = number end
            return list
        end
        for _ = 1, 3 do
            fixed:run()
            live:run(values(numbers))
        end
        lu.assertEquals(live:get("w"):item(), fixed:get("w"):item(), kind)
        -- Each of them changes something at once.
        for name in pairs(numbers) do
            local changed = values(numbers)
            changed["live_" .. name] = other[name]
            local one, two = parabola(graph[kind](names)), parabola(graph[kind](names))
            for _ = 1, 4 do
                one:run(values(numbers))
                two:run(changed)
            end
            lu.assertNotEquals(one:get("w"):item(), two:get("w"):item(), kind .. " " .. name)
        end
    end
end

function Live.test_tune()
    local p = parabola(graph.sgd { lr = 0.5, momentum = "m" })
    p:run { m = 0 }
    p:tune { lr = 0 }
    p:run { m = 0 }
    near({ p:get("w"):item() }, { 2 })
    p:tune { lr = 1, weight_decay = 0 }
    p:run { m = 0 }
    near({ p:get("w"):item() }, { 3 })
    fails("sgd: there is no option 'rl': did you mean 'lr'?", function() p:tune { rl = 1 } end)
    fails("sgd: momentum comes from the run value 'm'", function() p:tune { momentum = 0.5 } end)
    fails("sgd: there is no option 'nesterov'", function() p:tune { nesterov = true } end)
    fails("sgd: lr is -1", function() p:tune { lr = -1 } end)
    fails("sgd: lr: a number expected", function() p:tune { lr = "rate" } end)
    local g = graph.new()
    fails("tune: the program has no optimizer", function()
        g:compile({ y = g:constant(1) }):tune { lr = 1 }
    end)
end

-- ---- groups and states ------------------------------------------------------------------------------------

-- Two players over one state: the product game a·b, which one minimizes and the other maximizes.
local function game()
    local g = graph.new()
    local a = g:param("a", nil, { group = "A", value = 1 })
    local b = g:param("b", nil, { group = "B", value = 1 })
    return g, a * b
end

function Groups.test_each_player_changes_its_own()
    local g, product = game()
    local sgd, adam = graph.sgd { lr = 0.1 }, graph.adam { lr = 0.1 }
    local state = g:state { optimizers = { A = sgd, B = adam } }
    local first = g:compile({}, { state = state, minimize = product, group = "A", optimizer = sgd })
    local second = g:compile({}, { state = state, minimize = -product, group = "B", optimizer = adam })
    first:run()
    near({ state:get("a"):item(), state:get("b"):item() }, { 0.9, 1 })
    second:run()
    near({ state:get("a"):item(), state:get("b"):item() }, { 0.9, 1.1 })
    near({ state:get("b", "moment1"):item() }, { -0.09 })
end

function Groups.test_one_group_needs_no_name()
    local p = parabola(graph.adam {}, { group = "" })
    p:run()
    lu.assertTrue(p:get("w"):item() > 1)
end

function Groups.test_steps_belong_to_the_state()
    local p = parabola(graph.adam { lr = 0.1 })
    for _ = 1, 3 do p:run() end
    local copy = p:state():copy()
    for _ = 1, 2 do p:run() end
    local expected = p:get("w"):item()
    p:use(copy) -- three steps back, their count too
    for _ = 1, 2 do p:run() end
    lu.assertEquals(p:get("w"):item(), expected)
end

-- ---- refused ----------------------------------------------------------------------------------------------

function Refused.test_settings()
    fails("adam: there is no option 'beta': did you mean 'beta1'?", function() graph.adam { beta = 0.5 } end)
    fails("sgd: there is no option 'beta1'", function() graph.sgd { beta1 = 0.5 } end)
    fails("adam: lr: a number expected, got a table", function() graph.adam { lr = {} } end)
    fails("adam: beta1 is 1", function() graph.adam { beta1 = 1 } end)
    fails("rmsprop: there is no option 'kind'", function() graph.rmsprop { kind = "sgd" } end)
    fails("sgd: nesterov: true or false expected", function() graph.sgd { nesterov = 1 } end)
    fails("the name of a run value has 1 to", function() graph.sgd { lr = "" } end)
    fails("adam: a table of options expected, got 0.1", function() graph.adam(0.1) end)
    lu.assertEquals(graph.adam().kind, "adam")
end

function Refused.test_compiling()
    local g = graph.new()
    local w, x = g:param("w", { 2 }), g:input("x", { 2 })
    local loss, adam = (w * x):sum(), graph.adam {}
    fails("compile: minimize needs an optimizer", function() g:compile({}, { minimize = loss }) end)
    fails("compile: an optimizer needs what it is to minimize", function()
        g:compile({ y = x }, { optimizer = adam })
    end)
    fails("compile: optimizer: an optimizer expected", function()
        g:compile({}, { minimize = loss, optimizer = {} })
    end)
    fails("the gradient is taken of a scalar", function()
        g:compile({}, { minimize = w, optimizer = adam })
    end)
    fails("does not depend on parameter w", function()
        g:compile({}, { minimize = x:sum(), optimizer = adam })
    end)
    fails("compile: the output 'norm'", function()
        g:compile({ norm = loss }, { minimize = loss, optimizer = adam })
    end)
    fails("compile: there are no parameters in group 'G'", function()
        g:compile({}, { minimize = loss, optimizer = adam, group = "G" })
    end)
    local empty = graph.new()
    fails("compile: there is nothing to optimize", function()
        empty:compile({}, { minimize = empty:input("x"), optimizer = adam })
    end)
end

function Refused.test_groups_and_states()
    local g, product = game()
    local adam = graph.adam {}
    fails("compile: the parameters are in several groups, 'A' and 'B' among them", function()
        g:compile({}, { minimize = product, optimizer = adam })
    end)
    fails("did you mean 'A'?", function()
        g:compile({}, { minimize = product, optimizer = adam, group = "a" })
    end)
    fails("compile: the state has no room for the moments of adam over group 'A'", function()
        g:compile({}, { minimize = product, optimizer = adam, group = "A", state = g:state() })
    end)
    fails("no room for the moments of adam", function() -- there is for sgd's only
        g:compile({}, { minimize = product, optimizer = adam, group = "A",
            state = g:state { optimizers = { A = graph.sgd {} } } })
    end)
end

support.main { Steps = Steps, Learning = Learning, Live = Live, Groups = Groups, Refused = Refused }
