-- Gradients through the Lua surface, of any order.
local support = dofile "tests/lua/support.lua"
local graph = require "brood.graph"
local brood = require "brood"
local lu, numbers, near = support.lu, support.numbers, support.near
local count, fails = support.count, support.fails

local First, Higher, Refused = {}, {}, {}

-- ---- one order --------------------------------------------------------------------------------------------

function First.test_one_tensor_gives_a_tensor_a_list_gives_a_list()
    local g = graph.new()
    local a, b = g:input("a", { 2 }), g:input("b", { 2 })
    local y = (a * a * b):sum()
    local values = { a = { 2, 3 }, b = { 10, 20 } }
    near(numbers(g, graph.grad(y, a), values), { 40, 120 })
    local list = graph.grad(y, { b, a })
    lu.assertEquals(#list, 2)
    near(numbers(g, list[1], { a = values.a }), { 4, 9 })
    near(numbers(g, list[2], values), { 40, 120 })
end

function First.test_brood_grad_is_the_same_function()
    lu.assertIs(brood.grad, graph.grad)
end

function First.test_gradients_take_the_shape_of_their_tensor()
    local g = graph.new()
    local x, w, b = g:input("x", { 5, 3 }), g:param("w", { 3, 2 }), g:param("b", { 2 })
    local list = graph.grad((graph.matmul(x, w) + b):tanh():sum(), { w, b, x })
    lu.assertEquals(list[1]:shape(), { 3, 2 })
    lu.assertEquals(list[2]:shape(), { 2 })
    lu.assertEquals(list[3]:shape(), { 5, 3 })
end

function First.test_broadcasting_sums_the_gradient()
    local g = graph.new()
    local a, b = g:input("a", { 3, 2 }), g:input("b", { 2 })
    local values = { a = count(6), b = { 1, 1 } }
    near(numbers(g, graph.grad((a * b):sum(), b), { a = values.a }), { 9, 12 })
    local c = g:input("c")
    near(numbers(g, graph.grad((a * c):sum(), c), { a = values.a }), { 21 })
end

function First.test_of_an_intermediate_tensor()
    local g = graph.new()
    local x = g:input("x", { 2 })
    local middle = x * 3
    near(numbers(g, graph.grad((middle * middle):sum(), middle), { x = { 1, 2 } }), { 6, 12 })
end

-- What can be simplified on the way from h to y must not pass h by.
function First.test_intermediates_are_not_simplified_away()
    local g = graph.new()
    local x = g:input("x", { 2, 2 })
    local values = { x = { 1, 2, 3, 4 } }
    local shaped = x:reshape { 4 }
    near(numbers(g, graph.grad(shaped:reshape { 2, 2 }:square():sum(), shaped), values), { 2, 4, 6, 8 })
    local scaled = x * 2
    near(numbers(g, graph.grad((scaled * 3):square():sum(), scaled), values), { 36, 72, 108, 144 })
    local wide = x:sum { keep = true }:expand { 2, 1 }
    near(numbers(g, graph.grad(wide:expand { 2, 2 }:sum(), wide), {}), { 2, 2 })
    -- One way to y that a simplification could hide, beside one that none can: the sum of both counts.
    local product = x * g:constant(3)
    local y = (product * x:detach()):sum() + product:square():sum()
    near(numbers(g, graph.grad(y, product), values), { 7, 14, 21, 28 })
end

function First.test_y_may_have_one_element_in_any_shape()
    local g = graph.new()
    local x = g:input("x", { 1, 1 })
    near(numbers(g, graph.grad(x * x, x), { x = { 3 } }), { 6 })
end

function First.test_detach_stops_the_gradient()
    local g = graph.new()
    local x = g:input("x", { 2 })
    near(numbers(g, graph.grad((x * x:detach()):sum(), x), { x = { 3, 4 } }), { 3, 4 })
end

function First.test_kinks()
    local g = graph.new()
    local x = g:input("x", { 3 })
    local values = { x = { -2, 0.5, 3 } }
    near(numbers(g, graph.grad(x:relu():sum(), x), values), { 0, 1, 1 })
    near(numbers(g, graph.grad(x:leaky_relu(0.1):sum(), x), values), { 0.1, 1, 1 })
    near(numbers(g, graph.grad(x:abs():sum(), x), values), { -1, 1, 1 })
    near(numbers(g, graph.grad(x:clamp(-1, 1):sum(), x), values), { 0, 1, 0 })
    near(numbers(g, graph.grad(x:max(1):sum(), x), values), { 0, 0, 1 })
end

function First.test_softmax_cross_entropy()
    local g = graph.new()
    local x, t = g:input("x", { 1, 3 }), g:input("t", { 1, 3 })
    local loss = -(graph.log_softmax(x) * t):sum()
    local values = { x = { 1, 2, 3 }, t = { 0, 1, 0 } }
    local z = math.exp(1) + math.exp(2) + math.exp(3)
    near(numbers(g, graph.grad(loss, x), values), { math.exp(1) / z, math.exp(2) / z - 1, math.exp(3) / z })
    near(numbers(g, graph.grad(graph.log_sum_exp(x):sum(), x), { x = values.x }),
        { math.exp(1) / z, math.exp(2) / z, math.exp(3) / z })
end

-- Against differences, through every kind of op that a network uses.
function First.test_against_differences()
    local g = graph.new()
    local x = g:input("x", { 2, 4, 4, 2 })
    local w, v = g:param("w", { 3, 3, 2, 3 }), g:param("v", { 12, 1 })
    local h = graph.avg_pool(graph.conv(x, w, { stride = 1, pad = 1 }), 2):sigmoid():reshape { 2, 12 }
    local loss = graph.matmul(h:tanh(), v):softplus():mean()
    local p = g:compile { loss = loss, gradient = graph.grad(loss, w) }
    local values = { x = count(64, function(i) return math.sin(0.7 * i) end) }
    local weights = count(54, function(i) return math.cos(1.3 * i) / 2 end)
    p:set("v", count(12, function(i) return math.sin(i) end))
    p:set("w", weights)
    local gradient = p:run(values).gradient:flat()
    local function at(i, shift)
        local moved = table.move(weights, 1, #weights, 1, {})
        moved[i] = moved[i] + shift
        p:set("w", moved)
        return p:run(values).loss:item()
    end
    for _, i in ipairs { 1, 20, 37, 54 } do
        local difference = (at(i, 1e-2) - at(i, -1e-2)) / 2e-2
        lu.assertAlmostEquals(gradient[i], difference, 2e-3)
    end
end

-- ---- more orders ------------------------------------------------------------------------------------------

function Higher.test_third_derivative_of_a_power()
    local g = graph.new()
    local x = g:input("x")
    local y = x ^ 4
    local first = graph.grad(y, x)
    local second = graph.grad(first, x)
    local third = graph.grad(second, x)
    local p = g:compile { first = first, second = second, third = third, fourth = graph.grad(third, x) }
    local out = p:run { x = 2 }
    near({ out.first:item(), out.second:item(), out.third:item(), out.fourth:item() }, { 32, 48, 48, 24 })
end

function Higher.test_derivatives_of_tanh()
    local g = graph.new()
    local x = g:input("x", { 3 })
    local at = { -1, 0.3, 2 }
    local first = graph.grad(x:tanh():sum(), x)
    local second = graph.grad(first:sum(), x)
    local third = graph.grad(second:sum(), x)
    local t = count(3, function(i) return (math.exp(2 * at[i]) - 1) / (math.exp(2 * at[i]) + 1) end)
    near(numbers(g, first, { x = at }), count(3, function(i) return 1 - t[i] ^ 2 end))
    near(numbers(g, second, { x = at }), count(3, function(i) return -2 * t[i] * (1 - t[i] ^ 2) end), 1e-4)
    local function third_at(i) return (1 - t[i] ^ 2) * (6 * t[i] ^ 2 - 2) end
    near(numbers(g, third, { x = at }), count(3, third_at), 1e-4)
end

-- A gradient penalty: the gradient with respect to the weights of the squared norm of that with respect to x.
function Higher.test_gradient_penalty()
    local g = graph.new()
    local x, w = g:input("x", { 2, 3 }), g:param("w", { 3, 1 })
    local penalty = graph.grad(graph.matmul(x, w):square():sum(), x):square():sum(2):mean()
    local p = g:compile { penalty = penalty, gradient = graph.grad(penalty, w) }
    p:set("w", { 1, -2, 0.5 })
    local rows = { { 1, 2, 3 }, { -1, 0, 2 } }
    local out = p:run { x = { 1, 2, 3, -1, 0, 2 } }
    -- d/dx (x·w)² = 2 (x·w) w, its squared norm 4 (x·w)² |w|²
    local weights, norm = { 1, -2, 0.5 }, 1 + 4 + 0.25
    local value, slope = 0, { 0, 0, 0 }
    for _, row in ipairs(rows) do
        local dot = row[1] * weights[1] + row[2] * weights[2] + row[3] * weights[3]
        value = value + 4 * dot ^ 2 * norm / 2
        for i = 1, 3 do slope[i] = slope[i] + (8 * dot * row[i] * norm + 8 * dot ^ 2 * weights[i]) / 2 end
    end
    near({ out.penalty:item() }, { value })
    near(out.gradient:flat(), slope)
end

-- ---- refused ----------------------------------------------------------------------------------------------

function Refused.test_not_a_scalar()
    local g = graph.new()
    local x = g:input("x", { 2, 3 })
    fails("grad: the gradient is taken of a scalar, not of shape (2, 3)", function() graph.grad(x * 2, x) end)
end

function Refused.test_independent()
    local g = graph.new()
    local x, z = g:input("x", { 2 }), g:input("z", { 2 })
    local y = x:sum()
    fails("does not depend on input z", function() graph.grad(y, z) end)
    fails("does not depend on input z", function() graph.grad(y, { x, z }) end)
    fails("does not depend on input x", function() graph.grad(x:detach():sum(), x) end)
    lu.assertEquals(graph.grad(y, x):shape(), { 2 }) -- the failure left nothing behind
end

function Refused.test_wrong_arguments()
    local g, other = graph.new(), graph.new()
    local x = g:input("x", { 2 })
    local y = x:sum()
    fails("grad: y: a brood.Tensor expected, got 3", function() graph.grad(3, x) end)
    fails("grad: x: a brood.Tensor expected, got nothing", function() graph.grad(y) end)
    fails("the list is empty", function() graph.grad(y, {}) end)
    fails("grad: x[2]: a brood.Tensor expected, got the text 'x'", function() graph.grad(y, { x, "x" }) end)
    fails("grad: x: this tensor belongs to another graph", function()
        graph.grad(y, other:input("x", { 2 }))
    end)
end

support.main { First = First, Higher = Higher, Refused = Refused }
