-- Each layer against PyTorch: its output, its gradients, the gradients of a gradient penalty, and its variables after
-- one run. The numbers come from tests/golden/layers.py. A double build is held to double precision.
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local graph, nn = brood.graph, brood.nn
local lu = support.lu

local golden = dofile "tests/golden/layers.lua"
local double = graph.value({}, 1 + 1e-12):item() ~= 1
local MARGIN = double and 1e-8 or 1e-4

local CLASSES, LABELS = 5, { 2, 5, 2, 1 }

-- What makes each case, and whether it is sampling rather than training.
local CASES = {
    linear = { nn.linear { out = 2 } },
    linear_no_bias = { nn.linear { out = 2, bias = false } },
    conv = { nn.conv { out = 3, kernel = 4, stride = 2, pad = 1 } },
    conv_no_bias = { nn.conv { out = 2, kernel = 3, bias = false } },
    upconv = { nn.upconv { out = 2, kernel = 4, stride = 2, pad = 1 } },
    upconv_start = { nn.upconv { out = 2, kernel = 3 } },
    embedding = { nn.embedding { out = 3 } },
    upsample = { nn.upsample {} },
    upsample_3 = { nn.upsample { factor = 3 } },
    avg_pool = { nn.avg_pool {} },
    avg_pool_3 = { nn.avg_pool { factor = 3 } },
    global_sum_pool = { nn.global_sum_pool {} },
    global_avg_pool = { nn.global_avg_pool {} },
    reshape = { nn.reshape { 2, 3, 2 } },
    flatten = { nn.flatten {} },
    relu = { nn.relu {} },
    leaky_relu = { nn.leaky_relu {} },
    leaky_relu_slope = { nn.leaky_relu { slope = "slope" }, hyper = { slope = 0.3 } },
    elu = { nn.elu {} },
    elu_alpha = { nn.elu { alpha = "alpha" }, hyper = { alpha = 0.5 } },
    swish = { nn.swish {} },
    tanh = { nn.tanh {} },
    sigmoid = { nn.sigmoid {} },
    dropout_sampling = { nn.dropout {}, sampling = true },
    noise_sampling = { nn.noise {}, sampling = true },
    batch_norm = { nn.batch_norm {} },
    batch_norm_vectors = { nn.batch_norm { momentum = "rate" }, hyper = { rate = 0.25 } },
    batch_norm_no_affine = { nn.batch_norm { affine = false } },
    batch_norm_sampling = { nn.batch_norm {}, sampling = true },
    conditional_batch_norm = { nn.conditional_batch_norm {} },
    conditional_batch_norm_sampling = { nn.conditional_batch_norm {}, sampling = true },
    instance_norm = { nn.instance_norm {} },
    layer_norm = { nn.layer_norm {} },
    layer_norm_vectors = { nn.layer_norm {} },
    pixel_norm = { nn.pixel_norm {} },
    spectral_norm_linear = { nn.spectral_norm(nn.linear { out = 2 }) },
    spectral_norm_sampling = { nn.spectral_norm(nn.linear { out = 2 }), sampling = true },
    spectral_norm_conv = { nn.spectral_norm { nn.conv { out = 2, kernel = 3, pad = 1 } } },
    spectral_norm_upconv = { nn.spectral_norm(nn.upconv { out = 2, kernel = 4, stride = 2, pad = 1 }) },
    self_attention = { nn.self_attention {} },
    minibatch_stddev = { nn.minibatch_stddev { group = 3 } },
    minibatch_stddev_vectors = { nn.minibatch_stddev {} },
    residual = { nn.residual { out = 2 } },
    residual_up = { nn.residual { out = 2, up = true, norm = nn.batch_norm {} } },
    residual_down = { nn.residual { out = 3, down = true, activation = nn.relu {}, spectral = true } },
}

-- ---- the waves of layers.py ---------------------------------------------------------------------------------------

local function count_of(shape)
    local count = 1
    for _, size in ipairs(shape) do count = count * size end
    return count
end

local function wave(stream, shape, middle, reach)
    return support.count(count_of(shape), function(n)
        local i = n - 1
        return middle + reach * math.sin(0.5 + 1.7 * stream + 0.37 * i + 0.011 * i * i)
    end)
end

local function sorted(names)
    local list = {}
    for name in pairs(names) do list[#list + 1] = name end
    table.sort(list)
    return list
end

local function set_waves(program, shapes, stream)
    for index, name in ipairs(sorted(shapes)) do
        local last = name:match "[^.]*$"
        local positive = last == "var" or last == "gain"
        program:set(name, wave(stream + index - 1, shapes[name], positive and 1 or 0.1, 0.5))
    end
end

-- ---- comparing ----------------------------------------------------------------------------------------------------

-- |a - b| is small beside |b|.
local function close(what, a, b)
    lu.assertEquals(#a, #b, what)
    local difference, size = 0, 0
    for i = 1, #b do
        difference, size = difference + (a[i] - b[i]) ^ 2, size + b[i] ^ 2
    end
    local error = math.sqrt(difference / math.max(size, 1e-30))
    if not (error <= MARGIN) then
        lu.fail(("%s: relative error %.3g\nexpected %s\ngot      %s"):format(what, error,
            table.concat(b, " ", 1, math.min(#b, 8)), table.concat(a, " ", 1, math.min(#a, 8))))
    end
end

-- ---- one case -----------------------------------------------------------------------------------------------------

local function tensors_of(g, case, x, names)
    local list, order = {}, sorted(names)
    for i, name in ipairs(order) do list[i] = name == "x" and x or g:param(name, case.parameters[name]) end
    return list, order
end

local function run(name, case, expected)
    local embedding = name == "embedding"
    local g = graph.new()
    local x, labels = g:input("x", expected.x), g:input("labels", { #LABELS })
    local ctx = brood.context.new { graph = g, seed = false, training = not case.sampling, labels = labels,
        classes = CLASSES }
    local y = case[1](x, ctx)
    lu.assertEquals(y:shape(), expected.shape)
    local loss = (y * g:input("weights", y:shape())):sum()
    local outputs = { y = y }
    local function add_gradients(prefix, of, wanted)
        local tensors, order = tensors_of(g, expected, x, wanted)
        if #tensors == 0 then return end
        for i, gradient in ipairs(graph.grad(of, tensors)) do outputs[prefix .. order[i]] = gradient end
    end
    add_gradients("gradient of ", loss, expected.gradients)
    if not embedding then
        add_gradients("second gradient of ", 0.5 * graph.grad(loss, x):square():sum(), expected.second)
    end

    local program = g:compile(outputs, { assign = ctx.assignments })
    set_waves(program, expected.parameters, 1)
    set_waves(program, expected.variables, 21)
    local inputs = {}
    local given = { x = embedding and LABELS or wave(0, expected.x, 0.1, 1), labels = LABELS,
        weights = wave(40, expected.shape, 0, 1) }
    for hyper, value in pairs(case.hyper or {}) do given["h." .. hyper] = value end
    for input in pairs(program:inputs()) do inputs[input] = given[input] end
    local out = program:run(inputs)

    close("y", out.y:flat(), expected.y)
    for of, numbers in pairs(expected.gradients) do close("gradient of " .. of, out["gradient of " .. of]:flat(), numbers) end
    for of, numbers in pairs(expected.second) do
        close("second gradient of " .. of, out["second gradient of " .. of]:flat(), numbers)
    end
    for of, numbers in pairs(expected.after) do close(of .. " afterwards", program:get(of):flat(), numbers) end
    -- Nothing else was declared.
    local declared = {}
    for _, entry in ipairs(ctx.registry.parameters) do declared[entry.name] = entry.shape end
    lu.assertEquals(declared, expected.parameters)
end

local Golden = {}
for name, case in pairs(CASES) do
    Golden["test_" .. name] = function() run(name, case, golden[name]) end
end

local Complete = {}

function Complete.test_each_golden_case_is_run()
    for name in pairs(golden) do lu.assertNotNil(CASES[name], name) end
end

-- Random layers have no golden values in training; tests/lua/nn/test_nn.lua has tests of their own for them.
function Complete.test_each_layer_has_a_case()
    local covered = { sequential = true, spectral_norm = true, dropout = true, noise = true, define = true, describe = true,
        init = true }
    for _, name in ipairs(sorted(nn)) do lu.assertTrue(CASES[name] ~= nil or covered[name] == true, name) end
end

support.main { Golden = Golden, Complete = Complete }
