-- Layers (brood.nn) beyond their golden values: errors, shapes, what is random, statistics, initial weights, printing.
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local context, graph, nn = brood.context, brood.graph, brood.nn
local lu, fails, near, count = support.lu, support.fails, support.near, support.count

local Shapes, Options, Random, Norms, Spectral, Blocks, Nesting, Initial, Printing, Training = {}, {}, {}, {}, {}, {}, {},
    {}, {}, {}

-- The symbolic output for an input of this shape, the context, the graph, the input.
local function call(layer, shape, options)
    options = options or {}
    options.graph = graph.new()
    options.path = options.path or "net"
    local ctx = context.new(options)
    local x = ctx.graph:input("x", shape)
    return ctx:apply(nil, layer, x), ctx, ctx.graph, x
end

local function numbers_of(shape)
    local n = 1
    for _, size in ipairs(shape) do n = n * size end
    return count(n, function(i) return math.sin(0.7 * i + 0.01 * i * i) end)
end

-- The numbers of the output.
local function output(layer, shape, options, x)
    local y, ctx, g = call(layer, shape, options)
    return g:compile({ y = y }, { assign = ctx.assignments }):run({ x = x or numbers_of(shape) }).y:flat()
end

local function moments(numbers)
    local sum, squares = 0, 0
    for _, x in ipairs(numbers) do sum, squares = sum + x, squares + x * x end
    local mean = sum / #numbers
    return mean, math.sqrt(squares / #numbers - mean * mean)
end

-- ---- shapes -------------------------------------------------------------------------------------------------------

local function makes(layer, from, to, options)
    lu.assertEquals((call(layer, from, options)):shape(), to)
end

function Shapes.test_of_what_comes_out()
    makes(nn.linear { out = 7 }, { 3, 5 }, { 3, 7 })
    makes(nn.conv { out = 7, kernel = 4, stride = 2, pad = 1 }, { 3, 8, 10, 2 }, { 3, 4, 5, 7 })
    makes(nn.conv { out = 7, kernel = 3 }, { 3, 8, 8, 2 }, { 3, 6, 6, 7 })
    makes(nn.conv { out = 1, kernel = 3, stride = 2 }, { 3, 8, 8, 2 }, { 3, 3, 3, 1 }) -- rounded down
    makes(nn.upconv { out = 7, kernel = 4, stride = 2, pad = 1 }, { 3, 4, 5, 2 }, { 3, 8, 10, 7 })
    makes(nn.upconv { out = 7, kernel = 4 }, { 3, 1, 1, 2 }, { 3, 4, 4, 7 })
    makes(nn.embedding { out = 7, classes = 4 }, { 3 }, { 3, 7 })
    makes(nn.embedding { out = 7, classes = 4 }, { 3, 2 }, { 3, 2, 7 })
    makes(nn.upsample { factor = 3 }, { 3, 2, 4, 2 }, { 3, 6, 12, 2 })
    makes(nn.avg_pool {}, { 3, 2, 4, 2 }, { 3, 1, 2, 2 })
    makes(nn.global_sum_pool {}, { 3, 2, 4, 5 }, { 3, 5 })
    makes(nn.global_avg_pool {}, { 3, 2, 4, 5 }, { 3, 5 })
    makes(nn.reshape { 2, 2, 3 }, { 5, 12 }, { 5, 2, 2, 3 })
    makes(nn.reshape { 2, -1 }, { 5, 3, 4 }, { 5, 2, 6 })
    makes(nn.reshape {}, { 5, 1 }, { 5 })
    makes(nn.flatten {}, { 5, 2, 3, 4 }, { 5, 24 })
    makes(nn.flatten {}, { 5 }, { 5, 1 })
    makes(nn.self_attention {}, { 2, 3, 4, 16 }, { 2, 3, 4, 16 })
    makes(nn.self_attention {}, { 2, 3, 4, 1 }, { 2, 3, 4, 1 })
    makes(nn.minibatch_stddev {}, { 8, 3, 4, 5 }, { 8, 3, 4, 6 })
    makes(nn.minibatch_stddev {}, { 8, 5 }, { 8, 6 })
    makes(nn.residual { out = 7 }, { 2, 4, 6, 3 }, { 2, 4, 6, 7 })
    makes(nn.residual { out = 3, up = true }, { 2, 4, 6, 3 }, { 2, 8, 12, 3 })
    makes(nn.residual { out = 3, down = true, kernel = 5 }, { 2, 4, 6, 3 }, { 2, 2, 3, 3 })
    for _, name in ipairs { "relu", "leaky_relu", "elu", "swish", "tanh", "sigmoid", "dropout", "noise", "pixel_norm",
        "batch_norm", "layer_norm" } do
        makes(nn[name] {}, { 3, 2, 4, 5 }, { 3, 2, 4, 5 })
        makes(nn[name] {}, { 3, 5 }, { 3, 5 })
    end
    makes(nn.instance_norm {}, { 3, 2, 4, 5 }, { 3, 2, 4, 5 })
end

local function refuses(layer, shape, text, options)
    local fine, message = pcall(call, layer, shape, options)
    lu.assertFalse(fine)
    lu.assertStrContains(message, ("net %s (%s): %s"):format(layer.kind, layer.line, text))
end

function Shapes.test_that_do_not_fit()
    local images = "images (batch, height, width, channels) expected, got "
    local batch = "a batch of vectors or images expected, got (3)"
    refuses(nn.linear { out = 7 }, { 3, 2, 2, 5 },
        "vectors (batch, features) expected, got (3, 2, 2, 5): put nn.flatten {} before it")
    refuses(nn.linear { out = 7 }, { 3 }, "vectors (batch, features) expected, got (3)")
    refuses(nn.conv { out = 7, kernel = 3 }, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.conv { out = 7, kernel = 4 }, { 3, 8, 3, 1 }, "a kernel of 4 x 4 does not fit into (3, 8, 3, 1) with pad 0")
    refuses(nn.upconv { out = 7, kernel = 3 }, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.upconv { out = 7, kernel = 2, pad = 2 }, { 3, 2, 5, 1 },
        "nothing would be left of (3, 2, 5, 1): kernel 2, stride 1 and pad 2 make it -1 x 2")
    refuses(nn.upsample {}, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.avg_pool {}, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.avg_pool {}, { 3, 4, 5, 1 }, "height and width must be multiples of 2, got (3, 4, 5, 1)")
    refuses(nn.global_sum_pool {}, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.global_avg_pool {}, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.reshape { 2, 5 }, { 3, 12 }, "(2, 5) for each example expected, got (3, 12), which has 12 numbers for each")
    refuses(nn.reshape { 5, -1 }, { 3, 12 }, "(5, -1) for each example expected, got (3, 12)")
    refuses(nn.reshape { -1, -1 }, { 3, 12 }, "(-1, -1) for each example expected, got (3, 12)")
    refuses(nn.batch_norm {}, { 3 }, batch)
    refuses(nn.batch_norm {}, { 1, 5 }, "one number has no variance: a batch of two or more expected, got (1, 5)")
    refuses(nn.instance_norm {}, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.layer_norm {}, { 3 }, batch)
    refuses(nn.pixel_norm {}, {}, "a batch of vectors or images expected, got ()")
    refuses(nn.self_attention {}, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.minibatch_stddev {}, { 6, 5 }, "the batch must be a multiple of the group of 4, got (6, 5)")
    refuses(nn.minibatch_stddev { group = 1 }, { 3 }, batch)
    refuses(nn.residual { out = 7 }, { 3, 5 }, images .. "(3, 5)")
    refuses(nn.residual { out = 7, down = true }, { 3, 4, 5, 1 }, "height and width must be even to be halved, got (3, 4, 5, 1)")
    refuses(nn.flatten {}, {}, "a batch expected, got ()")
    refuses(nn.reshape { 1 }, {}, "a batch expected, got ()")
    refuses(nn.conditional_batch_norm {}, { 3, 5 }, "labels expected")
    refuses(nn.embedding { out = 3 }, { 3 }, "how many classes are there? say it by classes = n")
end

-- The layer within is the one that is named.
function Shapes.test_that_do_not_fit_a_wrapped_layer()
    local conv = nn.conv { out = 7, kernel = 3 }
    local _, message = pcall(call, nn.sequential { nn.relu {}, nn.spectral_norm(conv) }, { 3, 5 })
    lu.assertStrContains(message, ("net.2 conv (%s): images"):format(conv.line))
end

function Shapes.test_labels()
    local y, ctx, g = call(nn.relu {}, { 3, 5 })
    local norm = nn.conditional_batch_norm {}
    local few = ctx:with { labels = g:input("labels", { 2 }), classes = 4 }
    local _, message = pcall(norm, y, few)
    lu.assertStrContains(message, "net conditional_batch_norm")
    lu.assertStrContains(message, "3 labels expected, one for each example, got (2)")
    _, message = pcall(norm, y, ctx:with { labels = g:input("labels", { 2 }) })
    lu.assertStrContains(message, "how many classes are there?")
end

-- ---- options ------------------------------------------------------------------------------------------------------

function Options.test_wrong_ones()
    fails("nn.conv: there is no field 'kernal': did you mean 'kernel'?", function() nn.conv { out = 3, kernal = 3 } end)
    fails("nn.conv: kernel is missing: a whole number of at least 1 expected", function() nn.conv { out = 3 } end)
    fails("nn.linear: out is missing", function() nn.linear {} end)
    fails("nn.linear: out: a whole number of at least 1 expected, got the text 'width': it shapes the network", function()
        nn.linear { out = "width" }
    end)
    fails("nn.linear: init: an initializer, such as nn.init.he(), expected, got 0.02", function()
        nn.linear { out = 3, init = 0.02 }
    end)
    fails("nn.dropout: rate: a number of at least 0 and less than 1, the name of a hyperparameter or a schedule expected, got 1",
        function() nn.dropout { rate = 1 } end)
    fails("nn.relu: there is no field 'slope': it has name", function() nn.relu { slope = 0.1 } end)
    fails("nn.reshape[2]: a size: a whole number of at least 1, or -1, expected, got 0", function() nn.reshape { 4, 0 } end)
    fails("nn.relu: named fields expected", function() nn.relu { 3 } end)
    fails("nn.residual: kernel: an odd number expected, got 4", function() nn.residual { out = 3, kernel = 4 } end)
    fails("nn.residual: up or down expected, not both", function() nn.residual { out = 3, up = true, down = true } end)
    fails("nn.residual: norm: a layer or a function(x, ctx) expected, got a function: write nn.batch_norm {}", function()
        nn.residual { out = 3, norm = nn.batch_norm }
    end)
    fails("nn.spectral_norm: one layer expected, got 0", function() nn.spectral_norm {} end)
    fails("nn.spectral_norm: one layer expected, got 2", function() nn.spectral_norm { nn.relu {}, nn.tanh {} } end)
    fails("brood.nn has no 'linaer': did you mean 'linear'?", function() return nn.linaer end)
    fails("nn.init has no 'orthgonal': did you mean 'orthogonal'?", function() return nn.init.orthgonal end)
    fails("brood has no 'nm': did you mean 'nn'?", function() return brood.nm end)
end

function Options.test_constructors_are_not_layers()
    local x = graph.new():input("x", { 2 })
    fails("nn.relu makes a layer out of options: the layer nn.relu {} can be called with a tensor", function()
        nn.relu(x, {})
    end)
    fails("nn.sequential[2]: a layer or a function(x, ctx) expected, got a function: write nn.relu {}", function()
        nn.sequential { nn.tanh {}, nn.relu }
    end)
    fails("nn.sequential[1]: a layer or a function(x, ctx) expected, got 3", function() nn.sequential { 3 } end)
    fails("nn.sequential[2] is missing", function() nn.sequential { nn.tanh {}, nil, nn.tanh {} } end)
end

function Options.test_names()
    fails("nn.relu: name: a name of letters, digits and underscores, not beginning with a digit, expected, got the text '1st'",
        function() nn.relu { name = "1st" } end)
    fails("got the text 'a.b'", function() nn.relu { name = "a.b" } end)
    local _, ctx = call(nn.sequential { nn.linear { out = 2, name = "head" }, nn.linear { out = 2 } }, { 3, 4 })
    lu.assertNotNil(ctx.registry.parameters["net.head.weight"])
    lu.assertNotNil(ctx.registry.parameters["net.2.weight"])
end

function Options.test_the_line_is_kept()
    local line = debug.getinfo(1, "l").currentline + 1
    local layer = nn.relu {}
    lu.assertEquals(layer.line, "tests/lua/nn/test_nn.lua:" .. line)
    line = debug.getinfo(1, "l").currentline + 1
    local function build() return nn.sequential {} end
    lu.assertEquals(build().line, "tests/lua/nn/test_nn.lua:" .. line)
end

-- Hyperparameters where they can be, numbers where they must be.
function Options.test_hyperparameters()
    local names = {}
    local function read(layer, shape)
        local _, ctx = call(layer, shape or { 4, 2, 2, 3 }, { classes = 2 })
        names[#names + 1] = ctx.registry.hyperparameters[1].name
        lu.assertEquals(#ctx.registry.hyperparameters, 1)
    end
    read(nn.leaky_relu { slope = "slope" })
    read(nn.elu { alpha = "alpha" })
    read(nn.dropout { rate = "rate" })
    read(nn.noise { std = "std" })
    read(nn.batch_norm { momentum = "momentum" })
    for _, name in ipairs { "batch_norm", "instance_norm", "layer_norm", "pixel_norm", "minibatch_stddev" } do
        read(nn[name] { epsilon = "eps_" .. name })
    end
    lu.assertEquals(table.concat(names, " "), "slope alpha rate std momentum eps_batch_norm eps_instance_norm "
        .. "eps_layer_norm eps_pixel_norm eps_minibatch_stddev")
end

-- A changed options table changes no layer that was made of it.
function Options.test_options_are_copied()
    local options = { out = 3 }
    local layer = nn.linear(options)
    options.out = 5
    makes(layer, { 2, 4 }, { 2, 3 })
    lu.assertStrContains(layer:describe { 2, 4 }, "out 3")
end

-- ---- random layers ------------------------------------------------------------------------------------------------

-- Runs a random layer with gradients; the tensors' numbers in a table.
local function disturb(layer, hyper, runs)
    local y, _, g, x = call(layer, { 200, 50 })
    local p = g:compile { y = y, gx = graph.grad(y:sum(), x) }
    local inputs = { x = count(10000, function(i) return 1 + i / 10000 end) }
    for name, value in pairs(hyper or {}) do inputs["h." .. name] = value end
    local first = p:run(inputs)
    for _ = 2, runs or 1 do p:run(inputs) end
    return inputs.x, first.y:flat(), first.gx:flat(), p:run(inputs).y:flat()
end

local function check_dropout(rate, layer, hyper)
    local x, y, gx, again = disturb(layer, hyper)
    local dropped, changed = 0, 0
    for i = 1, #x do
        if gx[i] == 0 then dropped = dropped + 1 end
        local expected = gx[i] == 0 and 0 or 1 / (1 - rate)
        if not (math.abs(gx[i] - expected) < 1e-5 and math.abs(y[i] - x[i] * expected) < 1e-5) then
            lu.fail(("element %d: x %g, y %g, gradient %g"):format(i, x[i], y[i], gx[i]))
        end
        if y[i] ~= again[i] then changed = changed + 1 end
    end
    lu.assertAlmostEquals(dropped / #x, rate, 0.02)
    lu.assertAlmostEquals(changed / #x, 2 * rate * (1 - rate), 0.02)
end

function Random.test_dropout()
    check_dropout(0.5, nn.dropout {})
    check_dropout(0.2, nn.dropout { rate = 0.2 })
    check_dropout(0.7, nn.dropout { rate = "p" }, { p = 0.7 })
    check_dropout(0, nn.dropout { rate = "p" }, { p = 0 })
end

local function check_noise(std, layer, hyper)
    local x, y, gx, again = disturb(layer, hyper)
    local noise, between = {}, {}
    for i = 1, #x do
        lu.assertEquals(gx[i], 1)
        noise[i], between[i] = y[i] - x[i], y[i] - again[i]
    end
    local mean, deviation = moments(noise)
    lu.assertAlmostEquals(mean, 0, 0.05 * std)
    lu.assertAlmostEquals(deviation, std, 0.03 * std)
    local _, difference = moments(between)
    lu.assertAlmostEquals(difference, std * math.sqrt(2), 0.05 * std)
end

function Random.test_noise()
    check_noise(0.1, nn.noise {})
    check_noise(2, nn.noise { std = 2 })
    check_noise(0.5, nn.noise { std = "s" }, { s = 0.5 })
end

function Random.test_nothing_happens_in_sampling()
    for _, layer in ipairs { nn.dropout {}, nn.noise {} } do
        local y, _, _, x = call(layer, { 2, 3 }, { training = false })
        lu.assertIs(y, x)
    end
end

-- ---- norms --------------------------------------------------------------------------------------------------------

-- Two calls in one program move the statistics twice, in the order of the calls.
function Norms.test_running_statistics_chain()
    local norm = nn.batch_norm { momentum = 0.5 }
    local y, ctx, g = call(norm, { 2, 1 })
    local other = norm(g:input("other", { 2, 1 }), ctx)
    local p = g:compile({ y = y, other = other }, { assign = ctx.assignments })
    p:run { x = { 1, 3 }, other = { 10, 30 } }
    near(p:get("net.mean"):flat(), { (0 * 0.5 + 2 * 0.5) * 0.5 + 20 * 0.5 })
    near(p:get("net.var"):flat(), { (1 * 0.5 + 2 * 0.5) * 0.5 + 200 * 0.5 }) -- unbiased variances 2 and 200
end

function Norms.test_statistics_that_stay()
    local y, ctx, g = call(nn.batch_norm {}, { 2, 1 }, { update_statistics = false })
    near(g:compile({ y = y }, { assign = ctx.assignments }):run({ x = { 1, 3 } }).y:flat(), { -1, 1 }, 1e-4)
    lu.assertEquals(ctx.assignments, {})
end

-- Trained for a while on one distribution, sampling gives what training gives.
function Norms.test_sampling_after_training()
    local norm = nn.batch_norm {}
    local y, ctx, g = call(norm, { 50, 2 })
    local sampled = norm(g:input("s", { 1, 2 }), ctx:with { training = false })
    local p = g:compile({ y = y, sampled = sampled }, { assign = ctx.assignments })
    local x = count(100, function(i) return 3 + 2 * math.sin(i * 0.9) * (i % 2 + 1) end)
    for _ = 1, 80 do p:run { x = x, s = { 0, 0 } } end
    local out = p:run { x = x, s = { x[1], x[2] } }
    near(out.sampled:flat(), { out.y:flat()[1], out.y:flat()[2] }, 0.02)
end

function Norms.test_standardized()
    local mean, deviation = moments(output(nn.batch_norm {}, { 8, 3, 3, 1 }))
    near({ mean, deviation }, { 0, 1 }, 1e-3)
    mean, deviation = moments(output(nn.layer_norm {}, { 1, 8 }))
    near({ mean, deviation }, { 0, 1 }, 1e-3)
    mean, deviation = moments(output(nn.instance_norm {}, { 1, 3, 3, 1 }))
    near({ mean, deviation }, { 0, 1 }, 1e-3)
end

-- Far from 0, where mean(x²) - mean(x)² would have lost all digits.
function Norms.test_large_means()
    local x = count(8, function(i) return 1000 + i % 2 end)
    local y = output(nn.batch_norm { epsilon = 1e-9 }, { 8, 1 }, nil, x)
    near(y, count(8, function(i) return i % 2 == 1 and 1 or -1 end), 1e-3)
end

function Norms.test_layer_norm_does_not_mix_examples()
    for _, layer in ipairs { nn.layer_norm {}, nn.instance_norm {}, nn.pixel_norm {} } do
        local x = numbers_of { 2, 2, 2, 3 }
        local before = output(layer, { 2, 2, 2, 3 }, nil, x)
        for i = 13, 24 do x[i] = -x[i] * i end
        local after = output(layer, { 2, 2, 2, 3 }, nil, x)
        lu.assertEquals({ table.unpack(after, 1, 12) }, { table.unpack(before, 1, 12) })
        lu.assertNotEquals(after[13], before[13])
    end
end

function Norms.test_classes_of_a_conditional_norm()
    local g = graph.new()
    local ctx = context.new { graph = g, labels = g:input("labels", { 2 }), classes = 3 }
    local y = nn.conditional_batch_norm { epsilon = 1e-9 }(g:input("x", { 2, 1 }), ctx)
    local p = g:compile { y = y }
    p:set("gain", { 1, 10, 100 })
    p:set("bias", { 0, 0.5, 7 })
    near(p:run({ x = { 1, 3 }, labels = { 3, 2 } }).y:flat(), { -100 + 7, 10 + 0.5 }, 1e-3)
end

-- ---- spectral norm ------------------------------------------------------------------------------------------------

-- The largest singular value of a matrix of two columns, rows given.
local function largest_singular_value(w)
    local a, b, c = 0, 0, 0
    for row = 1, #w, 2 do
        a, b, c = a + w[row] ^ 2, b + w[row] * w[row + 1], c + w[row + 1] ^ 2
    end
    return math.sqrt((a + c) / 2 + math.sqrt(((a - c) / 2) ^ 2 + b * b))
end

function Spectral.test_it_becomes_one()
    local y, ctx, g = call(nn.spectral_norm(nn.linear { out = 2, bias = false }), { 3, 3 })
    local p = g:compile({ y = y }, { assign = ctx.assignments })
    local identity = { x = { 1, 0, 0, 0, 1, 0, 0, 0, 1 } } -- so that y is the weight that is used
    p:set("net.weight", { 3, 1, -2, 0.5, 1, 4 })
    local first = largest_singular_value(p:run(identity).y:flat())
    for _ = 1, 30 do p:run(identity) end
    local last = p:run(identity).y:flat()
    lu.assertAlmostEquals(largest_singular_value(last), 1, 1e-4)
    lu.assertTrue(math.abs(first - 1) > 1e-3)
    local scale = 3 / last[1]
    near(last, { 3 / scale, 1 / scale, -2 / scale, 0.5 / scale, 1 / scale, 4 / scale })
end

-- However often it is called, u moves once a run, and all calls have the same weight.
function Spectral.test_one_turn_a_run()
    local function after_one_run(calls)
        local net = nn.spectral_norm(nn.linear { out = 3 })
        local y, ctx, g, x = call(net, { 2, 4 })
        local sum = y
        for _ = 2, calls do sum = sum + net(x, ctx) end
        local p = g:compile({ sum = sum }, { assign = ctx.assignments })
        local out = p:run { x = numbers_of { 2, 4 } }
        lu.assertEquals(#ctx.assignments, 1)
        return p:get("net.u"):flat(), out.sum:flat()
    end
    local once, one = after_one_run(1)
    local thrice, three = after_one_run(3)
    lu.assertEquals(thrice, once)
    for i, value in ipairs(one) do one[i] = 3 * value end
    near(three, one)
end

function Spectral.test_sampling_moves_nothing()
    local _, ctx = call(nn.spectral_norm(nn.linear { out = 3 }), { 2, 4 }, { training = false })
    lu.assertEquals(ctx.assignments, {})
end

-- Around several layers, it treats each weight by itself.
function Spectral.test_around_a_network()
    local net = nn.spectral_norm(nn.sequential {
        nn.conv { out = 4, kernel = 3 }, nn.relu {}, nn.self_attention {}, nn.flatten {}, nn.linear { out = 1 },
    })
    local _, ctx = call(net, { 2, 6, 6, 2 })
    local names = {}
    for _, entry in ipairs(ctx.registry.variables) do names[#names + 1] = entry.name end
    lu.assertEquals(table.concat(names, " "), "net.1.u net.3.query.u net.3.key.u net.3.value.u net.3.out.u net.5.u")
    lu.assertEquals(#ctx.assignments, 6)
end

function Spectral.test_a_layer_without_weight()
    makes(nn.spectral_norm(nn.relu {}), { 2, 3 }, { 2, 3 })
end

-- ---- blocks -------------------------------------------------------------------------------------------------------

function Blocks.test_attention_begins_as_the_identity()
    local x = numbers_of { 2, 2, 3, 8 }
    near(output(nn.self_attention {}, { 2, 2, 3, 8 }, nil, x), x)
end

function Blocks.test_stddev_of_equal_examples()
    local y = output(nn.minibatch_stddev {}, { 4, 2 }, nil, { 1, 2, 1, 2, 1, 2, 1, 2 })
    near(y, { 1, 2, 1e-4, 1, 2, 1e-4, 1, 2, 1e-4, 1, 2, 1e-4 })
end

-- Groups are i, i + m, i + 2m ...
function Blocks.test_stddev_of_groups()
    local y = output(nn.minibatch_stddev { group = 2 }, { 4, 1 }, nil, { 1, 10, 3, 50 })
    near(y, { 1, 1, 10, 20, 3, 1, 50, 20 })
end

function Blocks.test_residual_parts()
    local norm = nn.batch_norm {}
    local _, ctx = call(nn.residual { out = 4, norm = norm, spectral = true }, { 2, 4, 4, 2 })
    local names = {}
    for _, entry in ipairs(ctx.registry.parameters) do names[#names + 1] = entry.name:sub(5) end
    lu.assertEquals(table.concat(names, " "), "shortcut.weight shortcut.bias norm1.gain norm1.bias conv1.weight conv1.bias "
        .. "norm2.gain norm2.bias conv2.weight conv2.bias")
    lu.assertNotNil(ctx.registry.variables["net.conv2.u"])
    _, ctx = call(nn.residual { out = 2, activation = nn.leaky_relu { slope = "s" } }, { 2, 4, 4, 2 })
    lu.assertNil(ctx.registry.parameters["net.shortcut.weight"])
    lu.assertNotNil(ctx.registry.hyperparameters.s)
end

-- ---- sequential and functions -------------------------------------------------------------------------------------

function Nesting.test_sequential()
    local net = nn.sequential { nn.linear { out = 3 } }
    lu.assertIs(net:add(nn.relu {}):add(nn.sequential { nn.linear { out = 2 } }), net)
    lu.assertEquals(#net, 3)
    lu.assertEquals(net[2].kind, "relu")
    local y, ctx = call(net, { 5, 4 })
    lu.assertEquals(y:shape(), { 5, 2 })
    lu.assertEquals(ctx.registry.parameters["net.3.1.weight"].shape, { 3, 2 })
    fails("nn.sequential[4] is missing: a layer or a function(x, ctx) expected", function() net:add() end)
    lu.assertEquals(#net, 3)
end

function Nesting.test_an_empty_sequential()
    local y, _, _, x = call(nn.sequential {}, { 2 })
    lu.assertIs(y, x)
end

function Nesting.test_functions_are_layers()
    local inner = nn.linear { out = 2, name = "inner" }
    local function double(x, ctx) return inner(x, ctx) * 2 + ctx:param("shift", { 2 }, nn.init.ones()) end
    local y, ctx, g = call(nn.sequential { nn.tanh {}, double }, { 1, 2 })
    lu.assertEquals(ctx.registry.parameters["net.2.inner.weight"].shape, { 2, 2 })
    local p = g:compile { y = y }
    p:set("net.2.inner.weight", { 1, 0, 0, 1 })
    near(p:run({ x = { 0.5, -1 } }).y:flat(), { 2 * math.tanh(0.5) + 1, 2 * math.tanh(-1) + 1 })
end

-- One network in several graphs, at several batch sizes, in training and in sampling: one set of parameters.
function Nesting.test_one_network_in_many_programs()
    local net = nn.sequential { nn.linear { out = 3 }, nn.batch_norm {}, nn.dropout {}, nn.spectral_norm(nn.linear { out = 1 }) }
    local registry = context.registry()
    local function build(batch, training)
        call(net, { batch, 2 }, { registry = registry, training = training })
        return #registry.parameters, #registry.variables
    end
    lu.assertEquals({ build(8, true) }, { 6, 3 })
    lu.assertEquals({ build(2, true) }, { 6, 3 })
    lu.assertEquals({ build(1, false) }, { 6, 3 })
end

-- A layer of one's own.
function Nesting.test_define()
    local scale = nn.define("my.scale", { by = { "number", default = 2, live = true } }, function(self, x, ctx)
        if #x:shape() ~= 2 then ctx:fail("two axes expected, got %s", ctx:origin(x)) end
        return x * ctx:number(self.by) * ctx:param("gain", {}, nn.init.ones())
    end)
    near(output(scale {}, { 1, 2 }, nil, { 1, 3 }), { 2, 6 })
    lu.assertEquals(scale({ by = 3 }).kind, "scale")
    fails("my.scale: there is no field 'bye': did you mean 'by'?", function() scale { bye = 1 } end)
    refuses(scale {}, { 2 }, "two axes expected, got (2)")
    makes(nn.sequential { scale {}, scale {} }, { 1, 2 }, { 1, 2 })
end

-- ---- initial weights ----------------------------------------------------------------------------------------------

local function drawn(spec, shape, seed)
    return nn.init.fill(spec, shape, seed or 1):flat()
end

function Initial.test_distributions()
    local shape = { 100, 200 }
    local mean, deviation = moments(drawn(nn.init.normal(), shape))
    near({ mean, deviation }, { 0, 0.02 }, 5e-4)
    local uniform = drawn(nn.init.uniform(0.3), shape)
    mean, deviation = moments(uniform)
    near({ mean, deviation }, { 0, 0.3 / math.sqrt(3) }, 5e-3)
    lu.assertTrue(math.max(table.unpack(uniform, 1, 200)) <= 0.3)
    lu.assertEquals(drawn(nn.init.zeros(), { 3 }), { 0, 0, 0 })
    lu.assertEquals(drawn(nn.init.ones(), {}), { 1 })
    lu.assertEquals(drawn(nn.init.constant(0.5), { 2 }), { 0.5, 0.5 })
end

function Initial.test_scaled_to_the_layer()
    local resolve = nn.init.resolve
    lu.assertAlmostEquals(resolve(nn.init.glorot(), 30, 70).std, math.sqrt(2 / 100), 1e-12)
    lu.assertAlmostEquals(resolve(nn.init.he(), 50, 70).std, math.sqrt(2 / 50), 1e-12)
    lu.assertAlmostEquals(resolve(nn.init.he(1), 50, 70).std, math.sqrt(1 / 50), 1e-12)
    lu.assertEquals(resolve(nn.init.normal(0.5), 50, 70).std, 0.5)
    local _, ctx = call(nn.conv { out = 5, kernel = 3, init = nn.init.glorot() }, { 1, 8, 8, 2 })
    lu.assertAlmostEquals(ctx.registry.parameters["net.weight"].init.std, math.sqrt(2 / (9 * 2 + 9 * 5)), 1e-12)
    _, ctx = call(nn.upconv { out = 5, kernel = 4, stride = 2, pad = 1 }, { 1, 8, 8, 3 })
    lu.assertAlmostEquals(ctx.registry.parameters["net.weight"].init.std, math.sqrt(2 / (4 * 3)), 1e-12)
    _, ctx = call(nn.upconv { out = 5, kernel = 4 }, { 1, 1, 1, 3 }) -- each output sees one pixel
    lu.assertAlmostEquals(ctx.registry.parameters["net.weight"].init.std, math.sqrt(2 / 3), 1e-12)
end

local function product_error(w, rows, columns, gain)
    local worst = 0
    for i = 1, columns do
        for j = 1, columns do
            local sum = 0
            for row = 0, rows - 1 do sum = sum + w[row * columns + i] * w[row * columns + j] end
            worst = math.max(worst, math.abs(sum - (i == j and gain * gain or 0)))
        end
    end
    return worst
end

function Initial.test_orthogonal()
    lu.assertTrue(product_error(drawn(nn.init.orthogonal(), { 40, 20 }), 40, 20, 1) < 1e-5)
    lu.assertTrue(product_error(drawn(nn.init.orthogonal(2), { 3, 3, 4, 30 }), 36, 30, 2) < 4e-5)
    lu.assertTrue(product_error(drawn(nn.init.orthogonal(), { 60, 60 }, 7), 60, 60, 1) < 1e-5)
    local wide, tall = drawn(nn.init.orthogonal(), { 20, 40 }), {}
    for row = 0, 19 do
        for column = 1, 40 do tall[(column - 1) * 20 + row + 1] = wide[row * 40 + column] end
    end
    lu.assertTrue(product_error(tall, 40, 20, 1) < 1e-5)
    near(support.count(3, function(i) return math.abs(drawn(nn.init.orthogonal(), { 1 }, i)[1]) end), { 1, 1, 1 })
    lu.assertAlmostEquals(moments(drawn(nn.init.orthogonal(), { 60, 60 })), 0, 0.01)
end

function Initial.test_seeds()
    local shape = { 5 }
    for _, spec in ipairs { nn.init.normal(), nn.init.uniform(), nn.init.orthogonal() } do
        lu.assertEquals(drawn(spec, shape, 3), drawn(spec, shape, 3))
        lu.assertNotEquals(drawn(spec, shape, 3), drawn(spec, shape, 4))
    end
    local seed = nn.init.seed
    lu.assertEquals(seed(1, "G.1.weight"), seed(1, "G.1.weight"))
    local all = { seed(1, "a"), seed(1, "b"), seed(2, "a"), seed(0, "a"), seed(-1, "a"), seed(1, "aa"), seed(1, "") }
    for i = 1, #all do
        for j = 1, i - 1 do lu.assertNotEquals(all[i], all[j]) end
    end
end

function Initial.test_wrong_ones()
    fails("nn.init.normal: std: a number of at least 0 expected, got -1", function() nn.init.normal(-1) end)
    fails("nn.init.he: gain: a number of at least 0 expected, got the text 'x'", function() nn.init.he("x") end)
    fails("nn.init.constant: value is missing", function() nn.init.constant() end)
end

-- Root mean squares of what the layers of these kinds make.
local function scales(net, shape, kinds)
    local outputs, order = {}, {}
    local watched = nn.sequential {}
    for _, child in ipairs(net) do
        watched:add(child)
        if kinds[child.kind] then
            watched:add(function(x)
                order[#order + 1] = ("s%02d"):format(#order)
                outputs[order[#order]] = x:square():mean():sqrt()
                return x
            end)
        end
    end
    local _, ctx, g = call(watched, shape)
    lu.assertNotNil(ctx)
    local random = graph.new()
    local x = random:compile({ x = random:normal(shape) }):run().x
    local out, list = g:compile(outputs):run { x = x }, {}
    for i, name in ipairs(order) do list[i] = out[name]:item() end
    return list
end

local function discriminator(width, batch_norm)
    local net = nn.sequential {}
    for i = 0, 2 do
        net:add(nn.conv { out = width * 2 ^ i, kernel = 4, stride = 2, pad = 1 })
        if batch_norm then net:add(nn.batch_norm {}) end
        net:add(nn.leaky_relu {})
    end
    return net:add(nn.conv { out = 16, kernel = 4 }):add(nn.flatten {})
end

local function generator(width, batch_norm)
    local net = nn.sequential { nn.linear { out = 4 * 4 * width * 4 }, nn.reshape { 4, 4, width * 4 }, nn.relu {} }
    for i = 1, 0, -1 do
        net:add(nn.upconv { out = width * 2 ^ i, kernel = 4, stride = 2, pad = 1 })
        if batch_norm then net:add(nn.batch_norm {}) end
        net:add(nn.relu {})
    end
    return net:add(nn.upconv { out = 8, kernel = 4, stride = 2, pad = 1 })
end

-- The default keeps activations at their scale in narrow and in wide networks, without any norm.
function Initial.test_dcgan_keeps_its_scale()
    for _, width in ipairs { 4, 48 } do
        for _, scale in ipairs(scales(discriminator(width), { 8, 32, 32, 3 }, { conv = true })) do
            lu.assertTrue(scale > 0.5 and scale < 2.5, ("discriminator %d: %g"):format(width, scale))
        end
        for _, scale in ipairs(scales(generator(width), { 8, 64 }, { linear = true, upconv = true })) do
            lu.assertTrue(scale > 0.5 and scale < 2.5, ("generator %d: %g"):format(width, scale))
        end
    end
end

-- ---- printing -----------------------------------------------------------------------------------------------------

local function small_net()
    return nn.sequential {
        nn.linear { out = 2048, bias = false }, nn.reshape { 4, 4, -1 },
        nn.sequential { nn.upconv { out = 3, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = "slope" } },
        nn.spectral_norm(nn.conv { out = 2, kernel = 1, init = nn.init.orthogonal(), name = "last" }),
        function(x) return x:tanh() end,
    }
end

function Printing.test_before_it_is_called()
    local net = small_net()
    local lines = {}
    for line in tostring(net):gmatch "[^\n]+" do lines[#lines + 1] = line end
    lu.assertEquals(lines[1], ("sequential (%s)"):format(net.line))
    lu.assertEquals(#lines, 8)
    lu.assertEquals(lines[2], "1      linear              out 2048, no bias")
    lu.assertEquals(lines[5], "  3.1  upconv              out 3, kernel 4, pad 1, stride 2")
    lu.assertEquals(lines[7], "last   spectral_norm conv  out 2, init orthogonal(1), kernel 1")
    lu.assertStrContains(lines[8], "5      function            tests/lua/nn/test_nn.lua:")
end

function Printing.test_after()
    local net = small_net()
    local text = net:describe { 16, 100 }
    lu.assertEquals(tostring(net), text) -- shapes are those of the latest call
    lu.assertStrMatches(text:match "[^\n]*linear[^\n]*", "1 +linear +out 2048, no bias +%(16, 2048%) +204,800")
    lu.assertStrMatches(text:match "[^\n]*input[^\n]*", " +input +%(16, 100%) +parameters")
    lu.assertStrMatches(text:match "[^\n]*reshape[^\n]*", "2 +reshape +4, 4, %-1 +%(16, 4, 4, 128%)")
    lu.assertStrMatches(text:match "[^\n]*upconv[^\n]*", "  3.1 +upconv +out 3, kernel 4, pad 1, stride 2 +%(16, 8, 8, 3%) +6,147")
    lu.assertStrMatches(text:match "[^\n]*spectral[^\n]*", "last +spectral_norm conv .*%(16, 8, 8, 2%) +8")
    lu.assertStrMatches(text:match "[^\n]*total[^\n]*", " +total +210,955")
    call(net, { 4, 100 }, { path = "generator" })
    lu.assertStrContains(tostring(net), "generator: sequential (")
    lu.assertStrContains(tostring(net), "(4, 8, 8, 2)")
end

function Printing.test_shared_layers_count_once()
    local inner = nn.linear { out = 10, name = "inner" }
    local net = nn.sequential { function(x, ctx) return inner(inner(x, ctx), ctx) end }
    local text = net:describe { 3, 10 }
    lu.assertStrMatches(text:match "total[^\n]*", "total +110")
    lu.assertStrContains(text, "shared")
end

function Printing.test_single_layers()
    local layer = nn.linear { out = 3 }
    lu.assertEquals(tostring(layer), ("linear (%s)\nlinear  out 3"):format(layer.line))
    lu.assertStrMatches(layer:describe({ 2, 4 }):match "linear +out[^\n]*", "linear +out 3 +%(2, 3%) +15")
    lu.assertStrContains(nn.conditional_batch_norm({}):describe({ 3, 4 }, { classes = 10 }), "80")
    lu.assertStrContains(nn.embedding({ out = 6 }):describe({ 3 }, { classes = 10 }), "60")
    lu.assertStrContains(tostring(nn.residual { out = 3, norm = nn.batch_norm {}, down = true }), "out 3, down, norm batch_norm")
    lu.assertStrContains(nn.batch_norm({}):describe { 1, 4 }, "(1, 4)") -- where training needs two
    fails("describe: there is no field 'clases': did you mean 'classes'?", function() layer:describe({ 2 }, { clases = 3 }) end)
end

-- Functions show what they make, and the parameters that are their own.
function Printing.test_functions_with_layers_in_them()
    local head = nn.linear { out = 2, name = "head" }
    local net = nn.sequential { function(x, ctx) return head(x, ctx) * ctx:param("gain", { 2 }, nn.init.ones()) end }
    local text = net:describe { 5, 3 }
    lu.assertStrMatches(text:match "function[^\n]*", "function +tests/lua/nn/test_nn.lua:%d+ +%(5, 2%) +2")
    lu.assertStrMatches(text:match "[^\n]*linear[^\n]*", "  1.head +linear +out 2 +%(5, 2%) +8")
    lu.assertStrMatches(text:match "total[^\n]*", "total +10")
    lu.assertStrContains(nn.spectral_norm(net):describe { 5, 3 }, "spectral_norm sequential (")
end

function Printing.test_a_function()
    local function net(x, ctx) return nn.linear { out = 2 }(x, ctx):tanh() end
    local text = nn.describe(net, { 5, 3 })
    lu.assertEquals(text:match "^[^\n]*", "function")
    lu.assertStrMatches(text:match "[^\n]*linear[^\n]*", " *linear +out 2 +%(5, 2%) +8")
    lu.assertStrContains(nn.describe(function(x) return x end), "test_nn.lua:")
end

-- The example runs, and shows every layer.
function Printing.test_the_zoo()
    local file, shown = "scripts/experiments/layers.lua", {}
    local function keep(...) shown[#shown + 1] = table.concat({ ... }, " ") end
    local environment = setmetatable({ print = keep, io = { write = keep } }, { __index = _G })
    assert(loadfile(file, "t", environment))()
    local all = table.concat(shown, "\n")
    for name, value in pairs(nn) do
        if type(value) == "function" and name ~= "define" and name ~= "describe" then
            lu.assertStrMatches(all, (".*%%f[%%w_]%s%%f[^%%w_].*"):format(name), nil, nil, name .. " is not in " .. file)
        end
    end
    lu.assertStrContains(all, "Four points")
end

-- ---- all together -------------------------------------------------------------------------------------------------

-- A network of many layers learns to tell stripes from their negatives.
function Training.test_it_learns()
    local net = nn.sequential {
        nn.conv { out = 8, kernel = 3, pad = 1 }, nn.batch_norm {}, nn.leaky_relu {},
        nn.residual { out = 8, down = true, norm = nn.batch_norm {} }, nn.minibatch_stddev {}, nn.self_attention {},
        nn.flatten {}, nn.dropout { rate = 0.2 }, nn.spectral_norm(nn.linear { out = 8 }), nn.elu {}, nn.linear { out = 1 },
    }
    local y, ctx, g = call(net, { 8, 4, 4, 1 }, { group = "C" })
    local labels = g:input("labels", { 8, 1 })
    local loss = (-labels * y):softplus():mean()
    local p = g:compile({ loss = loss }, { assign = ctx.assignments, minimize = loss, optimizer = graph.adam { lr = 0.01 } })
    local x, signs = {}, {}
    for i = 1, 8 do
        signs[i] = i % 2 == 0 and 1 or -1
        for pixel = 0, 15 do x[#x + 1] = signs[i] * (pixel % 2 == 0 and 1 or -1) + 0.3 * math.sin(i * pixel) end
    end
    local first, last = nil, nil
    for _ = 1, 60 do
        last = p:run({ x = x, labels = signs }).loss:item()
        first = first or last
    end
    lu.assertTrue(first > 0.3, first)
    lu.assertTrue(last < 0.1, last)
end

support.main { Shapes = Shapes, Options = Options, Random = Random, Norms = Norms, Spectral = Spectral, Blocks = Blocks,
    Nesting = Nesting, Initial = Initial, Printing = Printing, Training = Training }
