-- Losses: values and gradients against PyTorch's (tests/golden/losses.py), penalties against differences, and what a
-- training step needs of them.
local support = dofile "tests/lua/support.lua"
local context = require "brood.context"
local graph = require "brood.graph"
local loss = require "brood.loss"
local schedule = require "brood.schedule"
local lu, near, fails, count = support.lu, support.near, support.fails, support.count

local golden = dofile "tests/golden/losses.lua"
local double = graph.value({}, 1 + 1e-12):item() ~= 1
local MARGIN = double and 1e-9 or 1e-4

local Golden, Penalties, Step, Options, Parts, Wrong = {}, {}, {}, {}, {}, {}

local BATCH, SIZE, HIDDEN, CLASSES = 3, 2, 3, 3
local IMAGES = { BATCH, SIZE, SIZE, 1 }
local REAL_LABELS, FAKE_LABELS = { 1, 3, 2 }, { 2, 3, 1 }

local function wave(stream, n, middle, reach)
    return count(n, function(i)
        i = i - 1
        return (middle or 0) + (reach or 1) * math.sin(0.5 + 1.7 * stream + 0.37 * i + 0.011 * i * i)
    end)
end

-- ---- what a loss is called with ------------------------------------------------------------------------------------

-- A graph whose random numbers are inputs: share; noise1 on real and noise2 on generated images, which come first in G's
-- program.
local function fixed_graph(g, update)
    local noises = update == "G" and 1 or 0
    return {
        constant = function(_, ...) return g:constant(...) end,
        uniform = function(_, shape) return g:input("share", shape) end,
        normal = function(_, shape)
            noises = noises + 1
            return g:input("noise" .. noises, shape)
        end,
    }
end

local INPUTS = {
    real = wave(1, 12, 0, 0.8),
    fake = wave(2, 12, 0, 0.8),
    share = wave(3, 3, 0.5, 0.45),
    noise1 = wave(4, 12),
    noise2 = wave(5, 12),
    real_labels = REAL_LABELS,
    fake_labels = FAKE_LABELS,
}

-- A little net, with D(x) = last.w · tanh(first.w · x + first.b). Options: the player `update`, `outputs` of D,
-- `labels`, `projection`, `penalize` (what net.lazy says), `head`, which changes D's output.
local function tiny(options)
    local g = graph.new()
    local function param(name, stream, shape, reach)
        local n = shape[1] * (shape[2] or 1)
        return g:param(name, shape, { group = "D", value = wave(stream, n, 0, reach) })
    end
    local outputs = options.outputs or 1
    local first = param("first.w", 6, { SIZE * SIZE, HIDDEN }, 1.2)
    local bias = param("first.b", 7, { HIDDEN }, 0.3)
    local last = param("last.w", 8, { HIDDEN, outputs }, 1.5)
    local net = {
        graph = fixed_graph(g, options.update),
        batch = BATCH,
        real = g:input("real", IMAGES),
        fake = g:input("fake", IMAGES),
        update = options.update,
        parameters = { first, bias, last },
        compile = function(out) return g:compile(out) end,
        calls = {},
        asked = {},
    }
    function net.lazy(every)
        net.asked.lazy = every
        return options.penalize
    end
    function net.clip(bound) net.asked.clip = bound end
    if options.labels then
        net.real_labels, net.fake_labels = g:input("real_labels", { BATCH }), g:input("fake_labels", { BATCH })
        net.classes = CLASSES
    end
    function net.number(value) return type(value) == "string" and g:input("h." .. value) or value end
    function net.D(x, labels)
        table.insert(net.calls, { x = x, labels = labels })
        local hidden = (graph.matmul(x:reshape { BATCH, SIZE * SIZE }, first) + bias):tanh()
        if options.projection then
            local ctx = context.new { graph = g, group = "D", labels = labels, classes = CLASSES, seed = false }
            return loss.projection { name = "head" } (hidden, ctx)
        end
        local output = graph.matmul(hidden, last)
        if options.head then return options.head(output) end
        return output
    end
    if options.projection then
        param("D.head.weight", 8, { HIDDEN, 1 }, 1.5)
        net.parameters[3] = g:param("D.head.weight", { HIDDEN, 1 }, { group = "D" })
        net.parameters[4] = param("D.head.bias", 9, { 1 })
        net.parameters[5] = param("D.head.embedding.weight", 10, { CLASSES, HIDDEN })
    end
    return net
end

-- Runs what was compiled, giving it the inputs it asks for.
local function run(program, more)
    local inputs = {}
    for name in pairs(program:inputs()) do inputs[name] = more and more[name] or INPUTS[name] end
    return program:run(inputs)
end

-- D's loss, G's loss, D's gradients, and the gradient of G's with respect to the generated images, in one list as in
-- losses.lua; and the signals.
local function evaluate(of, options, more)
    local function net(update)
        return tiny(setmetatable({ update = options.both or update }, { __index = options }))
    end
    local d_net, g_net = net "D", net "G"
    local d_loss, _, signals = of(d_net)
    local _, g_loss = of(g_net)
    local outputs = { loss = d_loss }
    for i, gradient in ipairs(graph.grad(d_loss, d_net.parameters)) do outputs["g" .. i] = gradient end
    for name, signal in pairs(signals or {}) do outputs["signal " .. name] = signal end
    local d = run(d_net.compile(outputs), more)
    local g = run(g_net.compile { loss = g_loss, gradient = graph.grad(g_loss, g_net.fake) }, more)
    local numbers, seen = { d.loss:item(), g.loss:item() }, {}
    for i = 1, #d_net.parameters do
        for _, number in ipairs(d["g" .. i]:flat()) do numbers[#numbers + 1] = number end
    end
    for _, number in ipairs(g.gradient:flat()) do numbers[#numbers + 1] = number end
    for name in pairs(signals or {}) do seen[name] = d["signal " .. name]:item() end
    return numbers, seen
end

-- ---- against PyTorch -----------------------------------------------------------------------------------------------

local function relativistic(pairing, base)
    return { loss.relativistic { pairing = pairing, base = base } }
end

-- The loss, then what its net needs.
local CASES = {
    ["minimax"] = { loss.minimax {} },
    ["non_saturating"] = { loss.non_saturating() },
    ["non_saturating smoothing"] = { loss.non_saturating { smoothing = 0.1 } },
    ["least_squares"] = { loss.least_squares {} },
    ["least_squares smoothing"] = { loss.least_squares { smoothing = "s" }, more = { ["h.s"] = 0.1 } },
    ["hinge"] = { loss.hinge {} },
    ["wasserstein"] = { loss.wasserstein { clip = 0.01 } },
    ["paired non_saturating"] = { loss.relativistic {} },
    ["average non_saturating"] = relativistic("average", "non_saturating"),
    ["paired least_squares"] = relativistic("paired", "least_squares"),
    ["average least_squares"] = relativistic("average", "least_squares"),
    ["paired hinge"] = relativistic("paired", "hinge"),
    ["average hinge"] = relativistic("average", "hinge"),
    ["paired smoothing"] = { loss.relativistic { base = "least_squares", smoothing = 0.2 } },
    ["average smoothing"] = { loss.relativistic { pairing = "average", smoothing = 0.2 } },
    ["r1"] = { loss.non_saturating { r1 = 0.7 } },
    ["r2"] = { loss.non_saturating { r2 = "gamma" }, more = { ["h.gamma"] = 0.7 } },
    ["r1 and r2"] = { loss.relativistic { r1 = 0.7, r2 = 0.3 } },
    ["gradient_penalty"] = { loss.wasserstein { gradient_penalty = "weight" }, more = { ["h.weight"] = 10 } },
    ["gradient_penalty one_sided"] = { loss.wasserstein { gradient_penalty = 10, one_sided = true, target = 5 } },
    ["noise"] = { loss.hinge { noise = "std", gradient_penalty = 2 }, more = { ["h.std"] = 0.3 } },
    ["auxiliary"] = { loss.non_saturating { auxiliary = 0.6, r1 = 0.5 }, outputs = 1 + CLASSES, labels = true },
    ["projection"] = { loss.hinge { gradient_penalty = 0.5 }, projection = true, labels = true },
}

for name, case in pairs(CASES) do
    local function options(both)
        return { outputs = case.outputs, labels = case.labels, projection = case.projection, both = both }
    end
    local more = setmetatable(case.more or {}, { __index = INPUTS })
    Golden["test " .. name] = function() near(evaluate(case[1], options(), more), golden[name], MARGIN) end
    -- Both losses of one call, when no one player is named.
    Golden["test both: " .. name] = function()
        near(evaluate(case[1], options "both", more), golden[name], MARGIN)
    end
end

function Golden.test_every_case_is_here()
    for name in pairs(golden) do lu.assertNotNil(CASES[name], name) end
    for name in pairs(CASES) do lu.assertNotNil(golden[name], name) end
end

-- D's output may be (n) or a map of verdicts, as patch discriminators have.
function Golden.test_other_shapes_of_output()
    for _, shape in ipairs { { BATCH }, { BATCH, 1, 1, 1 } } do
        local function head(output) return output:reshape(shape) end
        for _, name in ipairs { "hinge", "r1", "average non_saturating", "gradient_penalty" } do
            local more = setmetatable(CASES[name].more or {}, { __index = INPUTS })
            near(evaluate(CASES[name][1], { head = head }, more), golden[name], MARGIN)
        end
    end
end

-- The same, written in a script.
function Golden.test_a_function_as_loss()
    local function own(net)
        local on_real, on_fake = net.D(net.real), net.D(net.fake:detach())
        local r1 = graph.grad(on_real:sum(), net.real):square():sum(2, 3, 4):mean()
        return (-on_real):softplus():mean() + on_fake:softplus():mean() + 0.5 * 0.7 * r1,
            (-net.D(net.fake)):softplus():mean()
    end
    near(evaluate(own, {}), golden.r1, MARGIN)
end

-- ---- penalties against differences -----------------------------------------------------------------------------------

-- A discriminator with a convolution, and its penalty alone: D's loss with it less D's loss without.
local function convolutional(with, without)
    local g = graph.new()
    local w = g:param("w", { 3, 3, 1, 2 }, { value = wave(11, 18) })
    local v = g:param("v", { 18, 1 }, { value = wave(12, 18, 0.1) })
    local net = {
        graph = fixed_graph(g),
        real = g:input("real", { 2, 5, 5, 1 }),
        fake = g:input("fake", { 2, 5, 5, 1 }),
        update = "D",
        number = function(value) return value end,
    }
    function net.D(x) return graph.matmul(graph.conv(x, w):tanh():reshape(2, 18), v) end
    local penalty = with(net) - without(net)
    local out = { penalty = penalty, w = graph.grad(penalty, w), v = graph.grad(penalty, v) }
    out.d_real, out.d_fake = net.D(net.real), net.D(net.fake)
    return g:compile(out), { real = wave(13, 50), fake = wave(14, 50), share = wave(15, 2, 0.5, 0.4) }
end

local SHIFT = double and 1e-5 or 1e-2
local DIFFERENCES = double and 1e-7 or 3e-2

-- The slope of f(table) in each of its elements.
local function differences(numbers, f)
    return count(#numbers, function(i)
        local kept = numbers[i]
        numbers[i] = kept + SHIFT
        local above = f(numbers)
        numbers[i] = kept - SHIFT
        local below = f(numbers)
        numbers[i] = kept
        return (above - below) / (2 * SHIFT)
    end)
end

local PENALTIES = {
    r1 = { loss.hinge { r1 = 1 }, "real", function(squares) return (squares[1] + squares[2]) / 4 end },
    r2 = { loss.hinge { r2 = 1 }, "fake", function(squares) return (squares[1] + squares[2]) / 4 end },
    both = { loss.hinge { r1 = 1, r2 = 1 } },
    two_sided = { loss.hinge { gradient_penalty = 1 } },
    one_sided = { loss.hinge { gradient_penalty = 1, one_sided = true } },
}

for name, case in pairs(PENALTIES) do
    Penalties["test_of_parameters_" .. name] = function()
        local program, inputs = convolutional(case[1], loss.hinge {})
        local out = run(program, inputs)
        for parameter, stream in pairs { w = 11, v = 12 } do
            local start = wave(stream, 18, stream == 12 and 0.1 or 0)
            local slope = differences(start, function(numbers)
                program:set(parameter, numbers)
                return run(program, inputs).penalty:item()
            end)
            program:set(parameter, start)
            near(out[parameter]:flat(), slope, DIFFERENCES)
        end
    end
end

-- The slopes themselves, from nothing but D's outputs.
for _, name in ipairs { "r1", "r2" } do
    Penalties["test_of_images_" .. name] = function()
        local of, input, value = table.unpack(PENALTIES[name])
        local program, inputs = convolutional(of, loss.hinge {})
        local squares = { 0, 0 }
        local slopes = differences(inputs[input], function()
            local outputs = run(program, inputs)["d_" .. input]:flat()
            return outputs[1] + outputs[2]
        end)
        for i, slope in ipairs(slopes) do
            local sample = i <= 25 and 1 or 2
            squares[sample] = squares[sample] + slope ^ 2
        end
        near({ run(program, inputs).penalty:item() }, { value(squares) }, DIFFERENCES)
    end
end

-- Where D is flat, the norm has no slope of its own: the penalty is there, and its gradient a number.
function Penalties.test_of_a_flat_discriminator()
    local net = tiny { update = "D" }
    local sum, _, signals = loss.wasserstein { gradient_penalty = 10 } (net)
    local gradients = graph.grad(sum, net.parameters)
    local program = net.compile { norm = signals.gradient_norm, penalty = signals.penalty, w = gradients[1],
        last = gradients[3] }
    program:set("last.w", { 0, 0, 0 })
    local out = run(program)
    lu.assertEquals(out.norm:item(), 0)
    near({ out.penalty:item() }, { 10 })
    near(out.w:flat(), count(12, function() return 0 end))
    for _, number in ipairs(out.last:flat()) do lu.assertTrue(number == number and math.abs(number) < 100) end
end

-- ---- a training step -------------------------------------------------------------------------------------------------

-- One real point 0, one generated point θ, D(x) = ψ x, both players by gradient descent (Mescheder et al. 2018).
local function dirac(of, steps, simultaneous)
    local g = graph.new()
    local theta = g:param("theta", { 1, 1 }, { group = "G", value = 1 })
    local psi = g:param("psi", { 1, 1 }, { group = "D", value = 1 })
    local function compile(update, group)
        local net = { graph = g, real = g:input("real", { 1, 1 }), fake = theta, update = update }
        function net.D(x) return x * psi end
        function net.number(value) return value end
        local d_loss, g_loss = of(net)
        return group == "D" and d_loss or g_loss
    end
    local state = g:state { optimizers = { G = graph.sgd { lr = 0.1 }, D = graph.sgd { lr = 0.1 } } }
    local function phase(update, group)
        return g:compile({}, { minimize = compile(update, group), optimizer = graph.sgd { lr = 0.1 }, group = group,
            state = state })
    end
    local D, G = phase("D", "D"), phase("G", "G")
    for _ = 1, steps do
        local before = state:get("psi"):item()
        run(D, { real = 0 })
        local after = state:get("psi"):item()
        if simultaneous then state:set("psi", before) end
        run(G, { real = 0 })
        if simultaneous then state:set("psi", after) end
    end
    return { state:get("theta"):item(), state:get("psi"):item() }
end

function Step.test_dirac_minimax()
    near(dirac(loss.minimax {}, 1), { 1.066407, 0.926894 }, 2e-6)
    near(dirac(loss.minimax {}, 10), { 1.375101, 0.177778 }, 2e-6)
end

function Step.test_dirac_r1()
    near(dirac(loss.minimax { r1 = 0.3 }, 1), { 1.063707, 0.896894 }, 2e-6)
    near(dirac(loss.minimax { r1 = 0.3 }, 10), { 1.303258, 0.064338 }, 2e-6)
    local last = dirac(loss.minimax { r1 = 0.3 }, 2000)
    lu.assertTrue(math.abs(last[1]) + math.abs(last[2]) < 1e-10)
end

function Step.test_dirac_non_saturating()
    near(dirac(loss.non_saturating {}, 1), { 1.026283, 0.926894 }, 2e-6)
    near(dirac(loss.non_saturating {}, 10), { 1.195773, 0.262660 }, 2e-6)
end

function Step.test_dirac_simultaneous()
    near(dirac(loss.minimax {}, 10, true), { 1.438811, 0.155970 }, 2e-6)
end

-- A player's program holds nothing that only the other's needs: a call of D may update running statistics.
function Step.test_calls_of_D()
    local function calls(of, update)
        local net = tiny { update = update, labels = true }
        local d_loss, g_loss, signals = of(net)
        lu.assertEquals(d_loss ~= nil, update ~= "G")
        lu.assertEquals(g_loss ~= nil, update ~= "D")
        lu.assertEquals(signals ~= nil, update ~= "G")
        return #net.calls
    end
    lu.assertEquals(calls(loss.hinge {}, "D"), 2)
    lu.assertEquals(calls(loss.hinge {}, "G"), 1)
    lu.assertEquals(calls(loss.hinge {}), 2)
    lu.assertEquals(calls(loss.hinge { r1 = 1, r2 = 1 }, "D"), 2)
    lu.assertEquals(calls(loss.hinge { gradient_penalty = 1 }, "D"), 3)
    lu.assertEquals(calls(loss.hinge { gradient_penalty = 1 }, "G"), 1)
    lu.assertEquals(calls(loss.relativistic {}, "G"), 2)
end

function Step.test_labels_go_to_D()
    local net = tiny { update = "D", labels = true }
    loss.hinge { gradient_penalty = 1 } (net)
    lu.assertIs(net.calls[1].x, net.real)
    lu.assertIs(net.calls[1].labels, net.real_labels)
    lu.assertIs(net.calls[2].labels, net.fake_labels)
    lu.assertIs(net.calls[3].labels, net.real_labels)
end

-- D's update leaves the generator out of it.
function Step.test_no_gradient_of_D_reaches_the_generator()
    local net = tiny { update = "D" }
    local d_loss = loss.hinge {} (net)
    fails("does not depend on input fake", function() graph.grad(d_loss, net.fake) end)
end

function Step.test_lazy()
    local of = loss.non_saturating { r1 = 0.7, lazy = 4 }
    local without = evaluate(loss.non_saturating {}, {})
    near(evaluate(of, { penalize = false }), without, 1e-9)
    local always = evaluate(loss.non_saturating { r1 = 0.7 }, {})
    local numbers, signals = evaluate(of, { penalize = true })
    near(numbers, count(#always, function(i) return without[i] + 4 * (always[i] - without[i]) end), MARGIN)
    near({ signals.penalty }, { always[1] - without[1] }, MARGIN) -- as it would be without laziness
end

-- One program, another weight: no rebuild.
function Step.test_live_numbers()
    local net = tiny { update = "D" }
    local program = net.compile { loss = loss.non_saturating { r1 = "gamma", smoothing = "s" } (net) }
    local function at(gamma, s)
        return run(program, setmetatable({ ["h.gamma"] = gamma, ["h.s"] = s }, { __index = INPUTS })).loss:item()
    end
    near({ at(0.7, 0) }, { golden.r1[1] }, MARGIN)
    near({ at(0, 0) }, { golden.non_saturating[1] }, MARGIN)
    near({ at(0, 0.1) }, { golden["non_saturating smoothing"][1] }, MARGIN)
end

function Step.test_signals()
    local _, signals = evaluate(loss.wasserstein { gradient_penalty = 10 }, {})
    near({ signals.on_fake - signals.on_real }, { golden.wasserstein[1] }, MARGIN)
    near({ signals.penalty }, { golden.gradient_penalty[1] - golden.wasserstein[1] }, MARGIN)
    near({ signals.gradient_norm }, { (5.8101776 + 4.3855801 + 5.3628264) / 3 }, 1e-4)
    local _, classes = evaluate(loss.hinge { auxiliary = 2 }, { outputs = 1 + CLASSES, labels = true })
    local plain = evaluate(loss.hinge {}, { outputs = 1 + CLASSES, labels = true, head = function(output)
        return output:slice { false, { 1, 1 } }
    end })
    local with = evaluate(loss.hinge { auxiliary = 2 }, { outputs = 1 + CLASSES, labels = true })
    near({ 2 * classes.classification }, { with[1] - plain[1] }, MARGIN)
    local _, none = evaluate(loss.hinge {}, {})
    lu.assertNil(none.penalty)
end

-- The share of images that D tells right.
function Step.test_accuracy()
    local function accuracy_by(of)
        local g = graph.new()
        local net = { graph = g, update = "D", real = g:input("real", { 4, 1 }), fake = g:input("fake", { 4, 1 }) }
        function net.D(x) return x end
        local d_loss, _, signals = of(net)
        if not signals.accuracy then return nil end
        local program = g:compile { loss = d_loss, accuracy = signals.accuracy }
        return function(real, fake) return program:run({ real = real, fake = fake }).accuracy:item() end
    end
    for _, of in ipairs { loss.minimax {}, loss.non_saturating {}, loss.hinge {} } do
        local accuracy = accuracy_by(of)
        lu.assertEquals(accuracy({ 1, 2, 3, 4 }, { -1, -2, -3, -4 }), 1)
        lu.assertEquals(accuracy({ -1, -2, -3, -4 }, { 1, 2, 3, 4 }), 0)
        lu.assertEquals(accuracy({ 1, 1, 1, -1 }, { 1, 1, 1, -1 }), 0.5)
        lu.assertEquals(accuracy({ 1, 1, 1, -1 }, { -1, -1, -1, -1 }), 0.875)
    end
    local squares = accuracy_by(loss.least_squares {}) -- targets 1 and 0
    lu.assertEquals(squares({ 0.6, 0.9, 1, 1.2 }, { 0.4, 0.1, 0, -0.2 }), 1)
    lu.assertEquals(squares({ 0.4, 0.1, 1, 1.2 }, { 0.4, 0.1, 0, 0.6 }), 0.625)
    for _, base in ipairs { "non_saturating", "least_squares", "hinge" } do
        local pairs_ = accuracy_by(loss.relativistic { base = base })
        lu.assertEquals(pairs_({ 11, 12, 13, 14 }, { 10, 10, 10, 10 }), 1)
        lu.assertEquals(pairs_({ -3, -3, -3, -3 }, { -4, -4, -4, -2 }), 0.75)
        local means = accuracy_by(loss.relativistic { base = base, pairing = "average" })
        lu.assertEquals(means({ 11, 12, 13, 14 }, { 10, 10, 10, 10 }), 1)
        lu.assertEquals(means({ 2, 2, 2, -6 }, { -1, 1, -1, 1 }), 0.625) -- means 0 and 0
    end
    lu.assertNil(accuracy_by(loss.wasserstein {}))
end

-- Outputs of a thousand: no infinity, no NaN.
function Step.test_large_outputs()
    for _, of in ipairs { loss.minimax { smoothing = 0.1 }, loss.non_saturating {}, loss.relativistic {},
        loss.relativistic { pairing = "average" } } do
        local numbers = evaluate(of, { head = function(output) return output * 1000 end })
        for _, number in ipairs(numbers) do lu.assertTrue(math.abs(number) < 1e7) end -- false for NaN
    end
end

-- Noise is fresh for real and for generated images, and changes from run to run.
function Step.test_noise()
    local g = graph.new()
    local net = { graph = g, real = g:constant(0, { 64, 8 }), fake = g:constant(0, { 64, 8 }), update = "D", seen = {} }
    function net.number(value) return value end
    function net.D(x)
        table.insert(net.seen, x)
        return x:sum(2)
    end
    local d_loss = loss.hinge { noise = 0.5 } (net)
    local program = g:compile { real = net.seen[1], fake = net.seen[2], loss = d_loss }
    local out, again = program:run(), program:run()
    local sum, product = 0, 0
    local real, fake, later = out.real:flat(), out.fake:flat(), again.real:flat()
    for i = 1, 512 do
        sum, product = sum + real[i] ^ 2, product + real[i] * fake[i]
        lu.assertNotEquals(real[i], later[i])
    end
    lu.assertAlmostEquals(math.sqrt(sum / 512), 0.5, 0.05)
    lu.assertAlmostEquals(product / 512, 0, 0.05)
end

-- ---- options -----------------------------------------------------------------------------------------------------------

function Options.test_what_is_asked_of_the_trainer()
    local function asked(of, update)
        local net = tiny { update = update, penalize = true }
        of(net)
        return net.asked
    end
    lu.assertEquals(asked(loss.wasserstein { clip = 0.01 }, "D"), { clip = 0.01 })
    lu.assertEquals(asked(loss.wasserstein { clip = "bound" }, "D"), { clip = "bound" })
    lu.assertEquals(asked(loss.wasserstein { gradient_penalty = 10 }, "D"), {})
    lu.assertEquals(asked(loss.hinge { r1 = 1, lazy = 16 }, "D"), { lazy = 16 })
    lu.assertEquals(asked(loss.hinge { r1 = 1, lazy = 16 }, "G"), {})
    lu.assertEquals(asked(loss.hinge { r1 = 1 }, "D"), {})
    lu.assertEquals(loss.hinge {}.kind, "hinge")
end

function Options.test_printed()
    lu.assertEquals(tostring(loss.hinge { r1 = "gamma", lazy = 16 }), "loss.hinge { lazy = 16, r1 = gamma }")
end

function Options.test_schedules()
    local fading = schedule.linear { from = 0.3, to = 0, steps = 100 }
    lu.assertIs(loss.hinge { noise = fading }.noise, fading)
    fails("noise: a number of at least 0", function()
        local _ = loss.hinge { noise = schedule.linear { from = 0.3, to = -1, steps = 100 } }
    end)
end

-- ---- parts for scripts -------------------------------------------------------------------------------------------------

function Parts.test_interpolate()
    local g = graph.new()
    local real, fake = g:constant(1, { 512, 2, 2, 1 }), g:constant(3, { 512, 2, 2, 1 })
    local numbers = support.numbers(g, loss.interpolate({ graph = g }, real, fake))
    local sum = 0
    for i = 1, #numbers, 4 do
        lu.assertTrue(numbers[i] >= 1 and numbers[i] <= 3)
        for j = 1, 3 do lu.assertEquals(numbers[i + j], numbers[i]) end -- one point for each image
        sum = sum + numbers[i]
    end
    lu.assertAlmostEquals(sum / 512, 2, 0.1)
end

function Parts.test_cross_entropy()
    local g = graph.new()
    local logits, labels = g:input("logits", { 2, 3 }), g:input("labels", { 2 })
    local program = g:compile { y = loss.cross_entropy({ graph = g }, logits, labels) }
    local function at(values, classes) return program:run { logits = values, labels = classes }.y:item() end
    lu.assertAlmostEquals(at({ 0, 0, 0, 0, 0, 0 }, { 1, 3 }), math.log(3), 1e-5)
    lu.assertAlmostEquals(at({ 500, 0, 0, 0, 0, 500 }, { 1, 3 }), 0, 1e-5)
    lu.assertAlmostEquals(at({ 500, 0, 0, 0, 0, 500 }, { 2, 3 }), 250, 1e-3)
    lu.assertErrorMsgContains("index number 2 is 3", at, { 0, 0, 0, 0, 0, 0 }, { 1, 4 }) -- counted from 0
end

function Parts.test_projection_sums_over_pixels()
    local g = graph.new()
    local labels = g:input("labels", { 2 })
    local ctx = context.new { graph = g, group = "D", labels = labels, classes = 4 }
    local x = g:input("x", { 2, 2, 2, 3 })
    local head = loss.projection {}
    local program = g:compile { maps = head(x, ctx), sums = head(x:sum(2, 3), ctx) }
    local out = program:run { x = wave(1, 24), labels = { 4, 2 } }
    near(out.maps:flat(), out.sums:flat())
    lu.assertEquals(out.maps:shape(), { 2, 1 })
end

-- ---- errors ------------------------------------------------------------------------------------------------------------

function Wrong.test_names()
    fails("loss has no 'hing': did you mean 'hinge'?", function() local _ = loss.hing {} end)
    fails("loss.hinge: there is no field 'r3': did you mean 'r1'?", function() local _ = loss.hinge { r3 = 1 } end)
    fails("did you mean 'gradient_penalty'?", function() local _ = loss.wasserstein { gradient_penality = 1 } end)
    fails("loss.hinge: there is no field 'clip'", function() local _ = loss.hinge { clip = 0.01 } end)
    fails("loss.hinge: there is no field 'smoothing'", function() local _ = loss.hinge { smoothing = 0.1 } end)
    fails("did you mean 'hinge'?", function() local _ = loss.relativistic { base = "hing" } end)
    fails("pairing: one of 'paired', 'average' expected", function() local _ = loss.relativistic { pairing = "all" } end)
end

function Wrong.test_values()
    fails("loss.hinge: r1: a number of at least 0, the name of a hyperparameter or a schedule", function()
        local _ = loss.hinge { r1 = -1 }
    end)
    fails("loss.minimax: smoothing: a number from 0 to 1", function() local _ = loss.minimax { smoothing = 2 } end)
    fails("loss.hinge: lazy: a whole number of at least 1 expected, got 0", function()
        local _ = loss.hinge { r1 = 1, lazy = 0 }
    end)
    fails("a table of options expected", function() local _ = loss.hinge "r1" end)
end

function Wrong.test_options_that_would_do_nothing()
    fails("loss.hinge: lazy: there is no penalty to be lazy with", function() local _ = loss.hinge { lazy = 4 } end)
    fails("loss.hinge: one_sided belongs to gradient_penalty", function()
        local _ = loss.hinge { r1 = 1, one_sided = true }
    end)
    fails("loss.hinge: target belongs to gradient_penalty", function() local _ = loss.hinge { target = 0 } end)
    fails("the base hinge has no target to smooth", function()
        local _ = loss.relativistic { base = "hinge", smoothing = 0.1 }
    end)
end

function Wrong.test_labels_and_classes()
    local of = loss.hinge { auxiliary = 1 }
    local line = debug.getinfo(1, "l").currentline - 1
    local where = ("%s:%d"):format(debug.getinfo(1, "S").short_src, line)
    for _, outputs in ipairs { 1, 4 } do
        fails("loss.hinge (" .. where .. "): auxiliary: labels expected: conditional = true is missing", function()
            of(tiny { update = "D", outputs = outputs })
        end)
    end
    fails("auxiliary: (3, 4) expected of D, a verdict and a logit for each class, got the shape (3, 1)", function()
        of(tiny { update = "D", labels = true })
    end)
    fails("labels expected: call the network with them, as in net.D(x, labels)", function()
        loss.hinge {} (tiny { update = "D", projection = true })
    end)
    local g = graph.new()
    fails("labels expected: conditional = true is missing in the experiment", function()
        loss.projection {} (g:input("x", { 2, 3 }), context.new { graph = g })
    end)
    fails("how many classes are there?", function()
        loss.projection {} (g:input("x", { 2, 3 }), context.new { graph = g, labels = g:input("labels", { 2 }) })
    end)
end

support.main { Golden = Golden, Penalties = Penalties, Step = Step, Options = Options, Parts = Parts, Wrong = Wrong }
