-- Building graphs: leaves, operators, broadcasting, axes that count from 1, methods and functions.
local support = dofile "tests/lua/support.lua"
local graph = require "brood.graph"
local lu, numbers, near, count = support.lu, support.numbers, support.near, support.count

local Leaves, Operators, Elementwise, Reductions, Movement, Products = {}, {}, {}, {}, {}, {}

-- ---- leaves -----------------------------------------------------------------------------------------------

function Leaves.test_shapes()
    local g = graph.new()
    lu.assertEquals(g:input("x", { 2, 3 }):shape(), { 2, 3 })
    lu.assertEquals(g:input("s"):shape(), {})
    lu.assertEquals(g:param("w", { 4 }):shape(), { 4 })
    lu.assertEquals(g:param("v", 5):shape(), { 5 })
    lu.assertEquals(g:variable("r", { 2, 2 }):shape(), { 2, 2 })
    lu.assertEquals(g:normal({ 3, 2 }):shape(), { 3, 2 })
    lu.assertEquals(g:uniform({ 7 }):shape(), { 7 })
    lu.assertEquals(g:constant(3):shape(), {})
    lu.assertEquals(g:constant(3, { 2, 2 }):shape(), { 2, 2 })
end

function Leaves.test_float_sizes_are_fine_where_whole()
    lu.assertEquals(graph.new():input("x", { 2.0, 6 / 2 }):shape(), { 2, 3 })
end

function Leaves.test_constants()
    local g = graph.new()
    near(numbers(g, g:constant(2.5, { 3 })), { 2.5, 2.5, 2.5 })
    near(numbers(g, g:constant(-1)), { -1 })
end

function Leaves.test_initial_values()
    local g = graph.new()
    local w = g:param("w", { 2, 2 }, { value = { 1, 2, 3, 4 } })
    local v = g:variable("v", { 3 }, { value = 7 })
    local u = g:param("u", { 2 }, { value = graph.value({ 2 }, { 8, 9 }) })
    local p = g:compile { w = w, v = v, u = u, zero = g:param("zero", { 2 }) }
    local out = p:run {}
    near(out.w:flat(), { 1, 2, 3, 4 })
    near(out.v:flat(), { 7, 7, 7 })
    near(out.u:flat(), { 8, 9 })
    near(out.zero:flat(), { 0, 0 })
end

function Leaves.test_asking_twice_gives_the_same_parameter()
    local g = graph.new()
    local y = g:param("w", { 2 }) + g:param("w", { 2 })
    local p = g:compile { y = y }
    p:set("w", { 1, 2 })
    near(p:run({}).y:flat(), { 2, 4 })
end

function Leaves.test_text()
    local g = graph.new()
    local x, w = g:input("x", { 2, 8, 8, 3 }), g:param("w", { 4, 4, 3, 5 })
    local y = graph.conv(x, w, { stride = 2, pad = 1 })
    local _ = (y ^ 3):permute { 1, 4, 2, 3 }
    lu.assertEquals(g:text(), table.concat({
        "0 input (2, 8, 8, 3) 'x'", "1 parameter (4, 4, 3, 5) 'w'", "2 conv (2, 4, 4, 5) of 0 1, stride 2, pad 1",
        "3 pow (2, 4, 4, 5) of 2, number 3", "4 permute (2, 5, 4, 4) of 3, index 0 3 1 2", "",
    }, "\n"))
end

function Leaves.test_printing()
    local g = graph.new()
    local x, w = g:input("x", { 64, 32, 32, 3 }), g:param("w", { 4, 4, 3, 128 })
    lu.assertEquals(tostring(x), "tensor input x (64, 32, 32, 3)")
    lu.assertEquals(tostring(w), "tensor parameter w (4, 4, 3, 128)")
    lu.assertEquals(tostring(graph.conv(x, w, { stride = 2, pad = 1 })), "tensor conv (64, 16, 16, 128)")
    lu.assertEquals(tostring(x:sum()), "tensor reshape ()")
    lu.assertStrContains(tostring(g), "graph")
    g:close()
    lu.assertEquals(tostring(x), "tensor (its graph is closed)")
    lu.assertEquals(tostring(g), "graph (closed)")
    g:close() -- twice is fine
end

-- ---- operators --------------------------------------------------------------------------------------------

local function two(shape_a, shape_b)
    local g = graph.new()
    return g, g:input("a", shape_a), g:input("b", shape_b)
end

function Operators.test_arithmetic()
    local g, a, b = two({ 3 }, { 3 })
    local values = { a = { 1, 2, 3 }, b = { 10, 20, 40 } }
    near(numbers(g, a + b, values), { 11, 22, 43 })
    near(numbers(g, a - b, values), { -9, -18, -37 })
    near(numbers(g, a * b, values), { 10, 40, 120 })
    near(numbers(g, b / a, values), { 10, 10, 40 / 3 })
    near(numbers(g, -a, { a = { 1, 2, 3 } }), { -1, -2, -3 })
end

function Operators.test_numbers_on_either_side()
    local g = graph.new()
    local a = g:input("a", { 2 })
    local values = { a = { 2, 4 } }
    near(numbers(g, a + 1, values), { 3, 5 })
    near(numbers(g, 1 + a, values), { 3, 5 })
    near(numbers(g, a - 1, values), { 1, 3 })
    near(numbers(g, 1 - a, values), { -1, -3 })
    near(numbers(g, 3 * a, values), { 6, 12 })
    near(numbers(g, a * 3, values), { 6, 12 })
    near(numbers(g, a / 2, values), { 1, 2 })
    near(numbers(g, 8 / a, values), { 4, 2 })
    near(numbers(g, a ^ 3, values), { 8, 64 })
    near(numbers(g, a ^ -1, values), { 0.5, 0.25 })
    near(numbers(g, 2 ^ a, values), { 4, 16 })
    near(numbers(g, a ^ 0, {}), { 1, 1 })
end

function Operators.test_precedence()
    local g = graph.new()
    local a = g:input("a", { 2 })
    near(numbers(g, -a ^ 2 + 3 * a - 1, { a = { 2, 5 } }), { 1, -11 })
end

function Operators.test_scalar_tensors_combine_with_anything()
    local g, a, b = two({ 2, 2 }, nil)
    near(numbers(g, a * b, { a = { 1, 2, 3, 4 }, b = 10 }), { 10, 20, 30, 40 })
    near(numbers(g, b - a, { a = { 1, 2, 3, 4 }, b = { 10 } }), { 9, 8, 7, 6 })
end

function Operators.test_broadcasting_repeats_axes_of_size_1()
    local g, a, b = two({ 2, 1 }, { 1, 3 })
    local y = a * b
    lu.assertEquals(y:shape(), { 2, 3 })
    near(numbers(g, y, { a = { 1, 2 }, b = { 10, 20, 30 } }), { 10, 20, 30, 20, 40, 60 })
end

function Operators.test_broadcasting_adds_leading_axes()
    local g, a, b = two({ 2, 2, 2 }, { 2 })
    near(numbers(g, a + b, { a = count(8), b = { 100, 200 } }), { 101, 202, 103, 204, 105, 206, 107, 208 })
    near(numbers(g, b - a, { a = count(8), b = { 100, 200 } }), { 99, 198, 97, 196, 95, 194, 93, 192 })
end

function Operators.test_broadcasting_one_element()
    local g, a, b = two({ 1 }, { 2, 2 })
    near(numbers(g, a / b, { a = { 12 }, b = { 1, 2, 3, 4 } }), { 12, 6, 4, 3 })
end

function Operators.test_broadcasting_both_ways_at_once()
    local g, a, b = two({ 3, 1, 2 }, { 4, 1 })
    local y = a + b
    lu.assertEquals(y:shape(), { 3, 4, 2 })
    local flat = numbers(g, y, { a = count(6), b = { 10, 20, 30, 40 } })
    for i = 0, 2 do
        for j = 0, 3 do
            for k = 0, 1 do
                lu.assertEquals(flat[i * 8 + j * 2 + k + 1], i * 2 + k + 1 + 10 * (j + 1))
            end
        end
    end
end

function Operators.test_max_and_min()
    local g, a, b = two({ 3 }, { 3 })
    local values = { a = { 1, 5, -3 }, b = { 2, 4, -4 } }
    near(numbers(g, graph.max(a, b), values), { 2, 5, -3 })
    near(numbers(g, graph.min(a, b), values), { 1, 4, -4 })
    near(numbers(g, a:max(2), { a = values.a }), { 2, 5, 2 })
    near(numbers(g, graph.min(0, a), { a = values.a }), { 0, 0, -3 })
    near(numbers(g, a:min(b:mean()), values), { 2 / 3, 2 / 3, -3 })
end

-- ---- element by element -----------------------------------------------------------------------------------

function Elementwise.test_all()
    local points = { -2, -0.5, 0, 0.25, 3 }
    local positive = { 0.5, 1, 2, 4, 9 }
    local cases = {
        exp = { math.exp },
        log = { math.log, positive },
        tanh = { function(x) return (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1) end },
        sigmoid = { function(x) return 1 / (1 + math.exp(-x)) end },
        softplus = { function(x) return math.log(1 + math.exp(x)) end },
        relu = { function(x) return math.max(x, 0) end },
        abs = { math.abs },
        neg = { function(x) return -x end },
        step = { function(x) return x > 0 and 1 or 0 end },
        square = { function(x) return x * x end },
        sqrt = { math.sqrt, positive },
        detach = { function(x) return x end },
        leaky_relu = { function(x) return x > 0 and x or 0.2 * x end },
    }
    for name, case in pairs(cases) do
        local g = graph.new()
        local x = g:input("x", { 5 })
        local at = case[2] or points
        near(numbers(g, x[name](x), { x = at }), count(5, function(i) return case[1](at[i]) end))
    end
end

function Elementwise.test_with_arguments()
    local g = graph.new()
    local x = g:input("x", { 4 })
    local values = { x = { -3, -0.5, 0.5, 3 } }
    near(numbers(g, x:leaky_relu(0.1), values), { -0.3, -0.05, 0.5, 3 })
    near(numbers(g, x:clamp(-1, 2), values), { -1, -0.5, 0.5, 2 })
end

-- ---- reductions -------------------------------------------------------------------------------------------

local function cube()
    local g = graph.new()
    return g, g:input("x", { 2, 3, 2 }), { x = count(12) }
end

function Reductions.test_sum_drops_the_axes()
    local g, x, values = cube()
    lu.assertEquals(x:sum(1):shape(), { 3, 2 })
    lu.assertEquals(x:sum(2):shape(), { 2, 2 })
    lu.assertEquals(x:sum(2, 3):shape(), { 2 })
    lu.assertEquals(x:sum { 1, 3 }:shape(), { 3 })
    lu.assertEquals(x:sum():shape(), {})
    lu.assertEquals(x:sum { 1, 2, 3 }:shape(), {})
    near(numbers(g, x:sum(1), values), { 8, 10, 12, 14, 16, 18 })
    near(numbers(g, x:sum { 2, 3 }, values), { 21, 57 })
    near(numbers(g, x:sum(), values), { 78 })
end

function Reductions.test_axes_count_from_the_end_too()
    local g, x, values = cube()
    near(numbers(g, x:sum(-1), values), { 3, 7, 11, 15, 19, 23 })
    near(numbers(g, x:sum(-3), values), numbers(g, x:sum(1), values))
end

function Reductions.test_keep()
    local g, x, values = cube()
    lu.assertEquals(x:sum { 2, 3, keep = true }:shape(), { 2, 1, 1 })
    lu.assertEquals(x:mean { keep = true }:shape(), { 1, 1, 1 })
    lu.assertEquals(x:amax { 1, keep = true }:shape(), { 1, 3, 2 })
    lu.assertEquals(x:sum { 2, keep = false }:shape(), { 2, 2 })
    near(numbers(g, x - x:mean { 1, keep = true }, values), { -3, -3, -3, -3, -3, -3, 3, 3, 3, 3, 3, 3 })
end

function Reductions.test_mean_and_amax()
    local g, x, values = cube()
    near(numbers(g, x:mean(2, 3), values), { 3.5, 9.5 })
    near(numbers(g, x:mean(), values), { 6.5 })
    near(numbers(g, x:amax(1), values), { 7, 8, 9, 10, 11, 12 })
    near(numbers(g, x:amax(), values), { 12 })
end

function Reductions.test_softmax_and_relatives()
    local g = graph.new()
    local x = g:input("x", { 2, 3 })
    local values = { x = { 1, 2, 3, 1000, 1000, 1000 } } -- exp(1000) overflows
    local e = { math.exp(1), math.exp(2), math.exp(3) }
    local z = e[1] + e[2] + e[3]
    local third = 1 / 3
    near(numbers(g, graph.softmax(x), values), { e[1] / z, e[2] / z, e[3] / z, third, third, third })
    local log_z, log_third = math.log(z), math.log(third)
    near(numbers(g, x:log_softmax(2), values),
        { 1 - log_z, 2 - log_z, 3 - log_z, log_third, log_third, log_third })
    near(numbers(g, graph.log_sum_exp(x, -1), values), { log_z, 1000 + math.log(3) })
    lu.assertEquals(x:log_sum_exp():shape(), { 2 })
    lu.assertEquals(x:log_sum_exp(1):shape(), { 3 })
    near(numbers(g, x:softmax(1):sum(1), values), { 1, 1, 1 })
end

-- ---- movement ---------------------------------------------------------------------------------------------

function Movement.test_reshape()
    local g, x, values = cube()
    lu.assertEquals(x:reshape(4, 3):shape(), { 4, 3 })
    lu.assertEquals(x:reshape({ 12 }):shape(), { 12 })
    lu.assertEquals(x:reshape { -1, 4 }:shape(), { 3, 4 })
    lu.assertEquals(x:reshape(1, -1, 1):shape(), { 1, 12, 1 })
    lu.assertEquals(x:sum():reshape { 1, 1 }:shape(), { 1, 1 })
    lu.assertEquals(x:sum { keep = true }:reshape():shape(), {})
    near(numbers(g, x:reshape(4, 3):sum(1), values), { 1 + 4 + 7 + 10, 2 + 5 + 8 + 11, 3 + 6 + 9 + 12 })
end

function Movement.test_permute()
    local g, x, values = cube()
    local y = x:permute { 3, 1, 2 }
    lu.assertEquals(y:shape(), { 2, 2, 3 })
    near(numbers(g, y, values), { 1, 3, 5, 7, 9, 11, 2, 4, 6, 8, 10, 12 })
    near(numbers(g, x:permute(-1, 1, 2), values), numbers(g, y, values))
end

function Movement.test_slice()
    local g, x, values = cube()
    near(numbers(g, x:slice { { 2, 2 } }, values), { 7, 8, 9, 10, 11, 12 })
    near(numbers(g, x:slice { false, { 2, 3 }, { 1, 1 } }, values), { 3, 5, 9, 11 })
    near(numbers(g, x:slice { nil, { -1, -1 } }, values), { 5, 6, 11, 12 })
    near(numbers(g, x:slice { nil, nil, 2 }, values), { 2, 4, 6, 8, 10, 12 })
    near(numbers(g, x:slice { { -2, -1 }, { 1, -2 }, -1 }, values), { 2, 4, 8, 10 })
    lu.assertEquals(x:slice({}):shape(), { 2, 3, 2 })
end

function Movement.test_pad()
    local g = graph.new()
    local x = g:input("x", { 2, 2 })
    local y = x:pad { { 1, 0 }, { 0, 2 } }
    lu.assertEquals(y:shape(), { 3, 4 })
    near(numbers(g, y, { x = { 1, 2, 3, 4 } }), { 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0 })
    near(numbers(g, x:pad { false, 1 }, { x = { 1, 2, 3, 4 } }), { 0, 1, 2, 0, 0, 3, 4, 0 })
end

function Movement.test_expand()
    local g = graph.new()
    local x = g:input("x", { 2, 1 })
    near(numbers(g, x:expand { 2, 3 }, { x = { 1, 2 } }), { 1, 1, 1, 2, 2, 2 })
    near(numbers(g, x:expand(2, 2, 2), { x = { 1, 2 } }), { 1, 1, 2, 2, 1, 1, 2, 2 })
    near(numbers(g, g:constant(4):expand { 2, 2 }), { 4, 4, 4, 4 })
end

function Movement.test_concat()
    local g, a, b = two({ 2, 1 }, { 2, 2 })
    local values = { a = { 1, 2 }, b = { 3, 4, 5, 6 } }
    near(numbers(g, graph.concat({ a, b }, 2), values), { 1, 3, 4, 2, 5, 6 })
    near(numbers(g, graph.concat({ b, a, b }, -1), values), { 3, 4, 1, 3, 4, 5, 6, 2, 5, 6 })
    near(numbers(g, graph.concat({ b, b }, 1), { b = values.b }), { 3, 4, 5, 6, 3, 4, 5, 6 })
    near(numbers(g, graph.concat({ b }, 1), { b = values.b }), values.b)
end

-- ---- products and images ----------------------------------------------------------------------------------

function Products.test_matmul()
    local g, a, b = two({ 2, 3 }, { 3, 2 })
    local values = { a = count(6), b = count(6) }
    near(numbers(g, graph.matmul(a, b), values), { 22, 28, 49, 64 })
    near(numbers(g, graph.matmul(a, b, { transpose_a = true, transpose_b = true }), values),
        { 9, 19, 29, 12, 26, 40, 15, 33, 51 })
    near(numbers(g, graph.matmul(a, a, { transpose_b = true }), { a = values.a }), { 14, 32, 32, 77 })
end

function Products.test_batched_matmul()
    local g, a, b = two({ 2, 1, 2 }, { 2, 2, 1 })
    near(numbers(g, graph.matmul(a, b), { a = count(4), b = count(4) }), { 5, 25 })
end

function Products.test_conv()
    local g = graph.new()
    local x, w = g:input("x", { 1, 4, 4, 1 }), g:input("w", { 3, 3, 1, 1 })
    local values = { x = count(16), w = { 0, 0, 0, 0, 1, 0, 0, 0, 0 } } -- the middle of each window
    near(numbers(g, graph.conv(x, w), values), { 6, 7, 10, 11 })
    near(numbers(g, graph.conv(x, w, { pad = 1 }), values), count(16))
    near(numbers(g, graph.conv(x, w, { stride = 2, pad = 1 }), values), { 1, 3, 9, 11 })
end

function Products.test_conv_transpose()
    local g = graph.new()
    local y, w = g:input("y", { 1, 2, 2, 1 }), g:input("w", { 2, 2, 1, 1 })
    local up = graph.conv_transpose(y, w, { stride = 2 })
    lu.assertEquals(up:shape(), { 1, 4, 4, 1 })
    near(numbers(g, up, { y = { 1, 2, 3, 4 }, w = { 1, 10, 100, 1000 } }),
        { 1, 10, 2, 20, 100, 1000, 200, 2000, 3, 30, 4, 40, 300, 3000, 400, 4000 })
end

function Products.test_resampling()
    local g = graph.new()
    local x = g:input("x", { 1, 2, 2, 1 })
    local values = { x = { 1, 2, 3, 4 } }
    near(numbers(g, graph.upsample(x, 2), values), { 1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4 })
    near(numbers(g, graph.avg_pool(x, 2), values), { 2.5 })
    near(numbers(g, graph.avg_pool(graph.upsample(x, 2), 2), values), { 1, 2, 3, 4 })
end

function Products.test_gather_counts_rows_from_1()
    local g = graph.new()
    local t, i = g:input("t", { 3, 2 }), g:input("i", { 4 })
    local values = { t = { 11, 12, 21, 22, 31, 32 }, i = { 3, 1, 1, 2 } }
    local rows = graph.gather(t, i)
    lu.assertEquals(rows:shape(), { 4, 2 })
    near(numbers(g, rows, values), { 31, 32, 11, 12, 11, 12, 21, 22 })
end

function Products.test_scatter_is_the_adjoint_of_gather()
    local g = graph.new()
    local v, i = g:input("v", { 3, 1 }), g:input("i", { 3 })
    near(numbers(g, graph.scatter(v, i, 4), { v = { 1, 10, 100 }, i = { 2, 4, 2 } }), { 0, 101, 0, 10 })
end

support.main { Leaves = Leaves, Operators = Operators, Elementwise = Elementwise, Reductions = Reductions,
    Movement = Movement, Products = Products }
