-- What a script's author is told: each message, and that it names the author's own line.
local support = require "support"
local graph = require "brood.graph"
local lu, fails = support.lu, support.fails

local Sizes, Shapes, Arguments, Names, Lines = {}, {}, {}, {}, {}

-- ---- sizes ------------------------------------------------------------------------------------------------

function Sizes.test_zero_and_negative()
    local g = graph.new()
    fails("input 'x': axis 2 of shape (2, 0) has size 0: at least 1 expected", function()
        g:input("x", { 2, 0 })
    end)
    fails("parameter 'w': axis 1 of shape (-3) has size -3", function() g:param("w", { -3 }) end)
    fails("variable 'v': axis 1", function() g:variable("v", { 0 }) end)
    fails("g:normal: axis 1", function() g:normal { 0 } end)
    fails("g:uniform: axis 1", function() g:uniform { 0 } end)
    fails("g:constant: axis 1", function() g:constant(1, { 0 }) end)
    fails("graph.value: axis 1", function() graph.value({ 0 }, {}) end)
end

function Sizes.test_no_whole_numbers()
    local g = graph.new()
    fails("input 'x': the size of axis 2 must be a whole number, not 2.5", function()
        g:input("x", { 2, 2.5 })
    end)
    fails("must be a whole number, not nan", function() g:input("x", { 0 / 0 }) end)
    fails("must be a whole number, not inf", function() g:input("x", { math.huge }) end)
    fails("must be a whole number, not 1e+300", function() g:input("x", { 1e300 }) end)
    fails("must be a whole number, not the text '2'", function() g:input("x", { "2" }) end)
    fails("must be a whole number, not a table", function() g:input("x", { {} }) end)
    fails("must be a whole number, not a boolean", function() g:input("x", true) end)
end

function Sizes.test_overflowing()
    local g = graph.new()
    fails("has more than 1099511627776 elements", function() g:input("x", { 2 ^ 40, 2 ^ 40 }) end)
    fails("has more than 1099511627776 elements", function()
        g:input("x", { math.maxinteger, math.maxinteger, 3 })
    end)
    fails("has more than 1099511627776 elements", function() g:input("x", { 1 << 41 }) end)
    fails("has more than", function() g:input("x", { 1 << 20 }):expand { 1 << 30, 1 << 20 } end)
    fails("", function() g:input("p", { 1, 1, 1, 1 }):pad { { 1 << 40, 1 << 40 } } end)
    fails("", function() graph.upsample(g:input("u", { 1, 1, 1, 1 }), 1 << 40) end)
    fails("", function() graph.upsample(g:input("u", { 1, 1, 1, 1 }), math.maxinteger) end)
    fails("", function()
        local y, w = g:input("c", { 1, 3, 3, 1 }), g:param("k", { 1, 1, 1, 1 })
        graph.conv_transpose(y, w, { stride = math.maxinteger })
    end)
    fails("", function()
        graph.conv(g:input("c", { 1, 3, 3, 1 }), g:param("k", { 1, 1, 1, 1 }), { pad = math.maxinteger })
    end)
    lu.assertEquals(g:input("fine", { 2 }):shape(), { 2 })
end

function Sizes.test_more_than_the_machine_has()
    local overcommit = io.open "/proc/sys/vm/overcommit_memory"
    lu.skipIf(overcommit and overcommit:read "n" == 1, "the kernel gives more memory than there is")
    local g = graph.new()
    local w = g:param("w", { 1 << 39 })
    fails("memory", function() g:compile { s = w:sum() } end)
    fails("memory", function() g:state() end)
    local other = graph.new()
    fails("memory", function() other:compile { x = other:input("x", { 1 << 39 }) } end)
    local fine, message = pcall(graph.value, { 1 << 39 }, 0)
    lu.assertFalse(fine)
    lu.assertStrContains(message, "memory")
end

function Sizes.test_too_many_axes()
    local g = graph.new()
    fails("input 'x': a shape has at most 8 axes, this one 9", function()
        g:input("x", { 1, 1, 1, 1, 1, 1, 1, 1, 1 })
    end)
    lu.assertEquals(#g:input("y", { 1, 1, 1, 1, 1, 1, 1, 1 }):shape(), 8)
end

-- ---- shapes -----------------------------------------------------------------------------------------------

local function some()
    local g = graph.new()
    return g, g:input("a", { 2, 3 }), g:input("b", { 4, 3 }), g:input("image", { 1, 8, 8, 3 })
end

function Shapes.test_operators()
    local _, a, b = some()
    fails("+: the shapes (2, 3) and (4, 3) do not go together", function() return a + b end)
    fails("-: the shapes", function() return a - b end)
    fails("*: the shapes", function() return a * b end)
    fails("/: the shapes", function() return a / b end)
    fails("max: the shapes", function() return a:max(b) end)
    fails("min: the shapes", function() return graph.min(a, b) end)
    fails("+: tensors and numbers can be combined, not a string", function() return a + "1" end)
    fails("+: tensors and numbers can be combined, not a string", function() return "1" + a end)
    fails("*: tensors and numbers can be combined, not a table", function() return {} * a end)
    fails("+: tensors and numbers can be combined, not a nil", function() return a + nil end)
    fails("^: one side must be a number", function() return a ^ b end)
    fails("^: a number raised to a tensor must be greater than 0, not -2", function() return (-2) ^ a end)
end

function Shapes.test_tensors_of_two_graphs()
    local _, a = some()
    local _, b = some()
    fails("+: this tensor belongs to another graph", function() return a + b end)
    fails("concat: parts[2]: this tensor belongs to another graph", function()
        return graph.concat({ a, b }, 1)
    end)
    fails("matmul: b: this tensor belongs to another graph", function() return graph.matmul(a, b) end)
end

function Shapes.test_movement()
    local _, a = some()
    fails("reshape: (2, 3) has 6 elements, (4, 2) has 8", function() a:reshape { 4, 2 } end)
    fails("reshape: no size fits the place of -1", function() a:reshape { 4, -1 } end)
    fails("reshape: only one size can be left open", function() a:reshape { -1, -1 } end)
    fails("reshape: axis 1 of shape (0, 3)", function() a:reshape { 0, 3 } end)
    fails("expand: shape (2, 3) cannot become (4, 3)", function() a:expand { 4, 3 } end)
    fails("expand: shape (2, 3) cannot become (3)", function() a:expand { 3 } end)
    fails("permute: all 2 axes must be named once, got 1", function() a:permute { 1 } end)
    fails("permute: the order must name each of the 2 axes once", function() a:permute { 1, 1 } end)
    fails("permute: an axis from 1 to 2 expected", function() a:permute { 1, 3 } end)
    fails("slice: axis 2 has positions 1 to 3, which {2, 4} does not fit", function()
        a:slice { false, { 2, 4 } }
    end)
    fails("slice: axis 1 has positions 1 to 2, which {2, 1} does not fit", function()
        a:slice { { 2, 1 } }
    end)
    fails("slice: axis 1 has positions", function() a:slice { { 0, 1 } } end)
    fails("slice: axis 1 has positions", function() a:slice { { -3, 1 } } end)
    fails("slice: axis 1, second number: a whole number", function() a:slice { { 1 } } end)
    fails("slice: axis 1, first number: a whole number from", function() a:slice { true } end)
    fails("slice: axis: a whole number from 1 to 2 expected, got 3", function()
        a:slice { false, false, { 1, 1 } }
    end)
    fails("slice: a table with a pair for each axis expected", function() a:slice(1, 2) end)
    fails("pad: -1 before and 0 after axis 1", function() a:pad { { -1, 0 } } end)
end

function Shapes.test_axes()
    local _, a = some()
    fails("sum: an axis from 1 to 2 expected (or -1 for the last, and so on), got 0", function() a:sum(0) end)
    fails("mean: an axis from 1 to 2 expected", function() a:mean(3) end)
    fails("amax: an axis from 1 to 2 expected", function() a:amax(-3) end)
    fails("sum: an axis from 1 to 2 expected (or -1 for the last, and so on), got 1.5", function()
        a:sum(1.5)
    end)
    fails("sum: axis 1 is named twice", function() a:sum(1, 1) end)
    fails("sum: axis -2 is named twice", function() a:sum(1, -2) end)
    fails("sum: there is no option 'kep', only keep", function() a:sum { 1, kep = true } end)
    fails("sum: keep: true or false expected, got 1", function() a:sum { 1, keep = 1 } end)
    fails("softmax: a scalar has no axis", function() graph.softmax(a:sum()) end)
    fails("concat: an axis from 1 to 2 expected", function() graph.concat({ a, a }, 3) end)
end

function Shapes.test_products()
    local g, a, b, image = some()
    fails("matmul: (2, 3) and (4, 3) do not fit: 3 columns on the left, 4 rows on the right", function()
        graph.matmul(a, b)
    end)
    fails("matmul: two matrices", function() graph.matmul(a, image) end)
    fails("conv: images (batch, height, width, channels) expected, got shape (2, 3)", function()
        graph.conv(a, g:param("w", { 3, 3, 3, 8 }))
    end)
    fails("conv: weights", function() graph.conv(image, a) end)
    fails("channels", function() graph.conv(image, g:param("w4", { 3, 3, 4, 8 })) end)
    fails("does not fit into images", function() graph.conv(image, g:param("w9", { 9, 9, 3, 8 })) end)
    fails("padding included", function()
        graph.conv(image, g:param("w", { 3, 3, 3, 8 }), { stride = 2 ^ 40, pad = 2 ^ 40 - 1 })
    end)
    fails("conv: stride: a whole number of at least 1 expected, got 0", function()
        graph.conv(image, g:param("w", { 3, 3, 3, 8 }), { stride = 0 })
    end)
    fails("conv: there is no option 'padding': did you mean 'pad'?", function()
        graph.conv(image, g:param("w", { 3, 3, 3, 8 }), { padding = 1 })
    end)
    fails("channels", function() graph.conv_transpose(image, g:param("w", { 3, 3, 3, 8 })) end)
    fails("pool: height and width of (1, 8, 8, 3) are not multiples of 3", function()
        graph.avg_pool(image, 3)
    end)
    fails("upsample: factor: a whole number of at least 1 expected, got 0", function()
        graph.upsample(image, 0)
    end)
    fails("upsample: images (batch, height, width, channels) expected", function() graph.upsample(a, 2) end)
    fails("gather: the table has no rows", function() graph.gather(g:param("s"), a) end)
    fails("scatter: values", function() graph.scatter(a, b, 3) end)
    fails("concat: (2, 3) and (4, 3) differ beyond axis 2", function() graph.concat({ a, b }, 2) end)
end

-- ---- arguments --------------------------------------------------------------------------------------------

function Arguments.test_wrong_types()
    local g, a = some()
    fails("conv: a brood.Tensor expected, got 3", function() graph.conv(3, a) end)
    fails("matmul: a: a brood.Tensor expected, got a brood.Graph", function() graph.matmul(g, a) end)
    fails("concat: a list of tensors expected, got userdata", function() graph.concat(a, a) end)
    fails("concat: at least one tensor expected", function() graph.concat({}, 1) end)
    fails("g:input: a brood.Graph expected, got a brood.Tensor", function() g.input(a, "x") end)
    fails("exp: a brood.Tensor expected, got nothing", function() a.exp() end)
    fails("clamp: high: a number expected, got nothing", function() a:clamp(1) end)
    fails("clamp: the bounds 2 and 1 are not in order", function() a:clamp(2, 1) end)
    fails("leaky_relu: slope: a number expected, got the text '0.1'", function() a:leaky_relu("0.1") end)
    fails("g:constant: a number expected, got a table", function() g:constant({}) end)
    fails("graph.new takes no arguments", function() graph.new(1) end)
    fails("matmul: transpose_a: true or false expected, got 1", function()
        graph.matmul(a, a, { transpose_a = 1 })
    end)
    fails("graph.value: 3 numbers expected", function() graph.value({ 3 }, { 1 }) end)
end

function Arguments.test_leaves()
    local g = some()
    fails("input: a text expected, got 3", function() g:input(3) end)
    fails("must have 1 to 200 characters", function() g:input("") end)
    fails("must have 1 to 200 characters", function() g:param(("x"):rep(201), { 2 }) end)
    fails("parameter 'w': there is no option 'grop': did you mean 'group'?", function()
        g:param("w", { 2 }, { grop = "G" })
    end)
    fails("parameter 'w': 2 numbers expected, row by row for shape (2), got 3", function()
        g:param("w", { 2 }, { value = { 1, 2, 3 } })
    end)
    fails("the name is taken by input 'a' of shape (2, 3)", function() g:input("a", { 3 }) end)
    g:param("taken", { 2 }, { group = "G" })
    fails("the name is taken by parameter 'taken'", function()
        g:variable("taken", { 2 }, { group = "G" })
    end)
    fails("the name is taken by parameter 'taken' of shape (2) in group G", function()
        g:param("taken", { 2 })
    end)
    fails("a path has at most 200 characters", function() g:layer(("x"):rep(300)) end)
end

-- ---- names that do not exist ------------------------------------------------------------------------------

function Names.test_members()
    local g, a = some()
    local p = g:compile { a = a }
    fails("brood.Tensor has no 'sigmiod': did you mean 'sigmoid'?", function() a:sigmiod() end)
    fails("brood.Graph has no 'parma': did you mean 'param'?", function() g:parma("w") end)
    fails("brood.graph has no 'covn': did you mean 'conv'?", function() graph.covn(a, a) end)
    fails("brood.Program has no 'rnu': did you mean 'run'?", function() p:rnu {} end)
    fails("brood.State has no 'cpoy': did you mean 'copy'?", function() p:state():cpoy() end)
    fails("brood.Value has no 'flatten': did you mean 'flat'?", function()
        graph.value({ 1 }, 1):flatten()
    end)
    fails("brood.Tensor: cannot be indexed with a number", function() return a[1] end)
    fails("brood.Tensor: nothing can be assigned to it", function() a.name = "x" end)
    fails("brood.graph: nothing can be assigned to it", function() graph.extra = 1 end)
end

function Names.test_metatables_are_out_of_reach()
    local g, a = some()
    lu.assertEquals(getmetatable(a), "brood.Tensor")
    lu.assertEquals(getmetatable(g), "brood.Graph")
    lu.assertFalse((pcall(setmetatable, graph, {})))
    lu.assertNil(debug.getmetatable)
    lu.assertNil(debug.setuservalue)
end

-- ---- lines ------------------------------------------------------------------------------------------------

local function here() return debug.getinfo(2, "l").currentline end

function Lines.test_the_line_of_the_call()
    local _, a, b = some()
    local line
    local fine, message = pcall(function()
        local first = a * 2
        line = here() + 1
        local second = first + b
        return second
    end)
    lu.assertFalse(fine)
    lu.assertStrContains(message, "test_errors.lua:" .. line .. ": +: the shapes")
end

function Lines.test_a_tail_call_keeps_its_line()
    local _, a, b = some()
    local line = here() + 1
    local function build() return graph.matmul(a, b) end
    local fine, message = pcall(function() return build() end)
    lu.assertFalse(fine)
    lu.assertStrContains(message, "test_errors.lua:" .. line .. ": matmul")
end

function Lines.test_called_by_pcall_itself()
    local _, a, b = some()
    local line = here() + 1
    local fine, message = pcall(graph.matmul, a, b)
    lu.assertFalse(fine)
    lu.assertStrContains(message, "test_errors.lua:" .. line .. ": matmul")
end

function Lines.test_in_a_coroutine()
    local _, a, b = some()
    local line = here() + 1
    local fine, message = coroutine.resume(coroutine.create(function() return a + b end))
    lu.assertFalse(fine)
    lu.assertStrContains(message, "test_errors.lua:" .. line .. ": +: the shapes")
end

function Lines.test_a_program_with_nothing_left_behind()
    local g, a, b = some()
    pcall(function() return a + b end)
    pcall(function() return graph.matmul(a, b) end)
    lu.assertEquals(g:compile({ y = a:sum() }):run({ a = { 1, 2, 3, 4, 5, 6 } }).y:item(), 21)
end

support.main { Sizes = Sizes, Shapes = Shapes, Arguments = Arguments, Names = Names, Lines = Lines }
