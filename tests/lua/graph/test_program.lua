-- Programs: compiling, running, states, assignments, random leaves, debugging, figures.
local support = dofile "tests/lua/support.lua"
local graph = require "brood.graph"
local lu, near, count, fails = support.lu, support.near, support.count, support.fails

local Running, States, Assignments, Random, Options, Closing = {}, {}, {}, {}, {}, {}

-- ---- running ----------------------------------------------------------------------------------------------

-- The example that the documentation gives.
function Running.test_the_documented_example()
    local g = graph.new()
    local x = g:input("x", { 2, 8, 8, 3 })
    local w = g:param("w", { 4, 4, 3, 16 })
    local y = graph.conv(x, w, { stride = 2, pad = 1 })
    local s = y:tanh():square():sum()
    local p = g:compile { s = s, gw = graph.grad(s, w) }
    p:set("w", count(768, function(i) return math.sin(i) / 8 end))
    local out = p:run { x = count(384, function(i) return math.cos(i) end) }
    lu.assertIsNumber(out.s:item())
    lu.assertTrue(out.s:item() > 0)
    lu.assertEquals(out.gw:shape(), { 4, 4, 3, 16 })
    lu.assertEquals(#out.gw:flat(), 768)
end

-- As many values as a loop can be asked to hold at once, and sums of sums that need several loops.
function Running.test_long_sums()
    local function chain(g, from, terms)
        local y = g:input("x" .. from, { 8 })
        for i = 1, terms do y = y + g:input("x" .. from + i, { 8 }) end
        return y
    end
    for terms = 37, 44 do
        local g = graph.new()
        local p, inputs = g:compile { y = chain(g, 0, terms) + chain(g, 100, terms) }, {}
        for name in pairs(p:inputs()) do inputs[name] = graph.value({ 8 }, 1) end
        lu.assertEquals(p:run(inputs).y:flat(), count(8, function() return 2.0 * (terms + 1) end))
    end
end

function Running.test_values()
    local g = graph.new()
    local x = g:input("x", { 2, 2 })
    local out = g:compile({ y = x * 2, s = x:sum() }):run { x = { 1, 2, 3, 4 } }
    lu.assertEquals(out.y:shape(), { 2, 2 })
    lu.assertEquals(out.s:shape(), {})
    lu.assertEquals(#out.y, 4)
    lu.assertEquals(out.y:flat(), { 2, 4, 6, 8 })
    lu.assertEquals(out.s:item(), 10)
    lu.assertEquals(tostring(out.y), "value (2, 2): 2 4 6 8")
    lu.assertStrContains(tostring(graph.value({ 20 }, 0)), "...")
    fails("item: one element expected, shape (2, 2) has 4", function() out.y:item() end)
end

function Running.test_values_are_copies()
    local g = graph.new()
    local p = g:compile { y = g:input("x", { 2 }) + 1 }
    local first = p:run({ x = { 1, 2 } }).y
    p:run { x = { 10, 20 } }
    lu.assertEquals(first:flat(), { 2, 3 })
end

function Running.test_inputs_as_tables_values_and_numbers()
    local g = graph.new()
    local x, s, one = g:input("x", { 2, 2 }), g:input("s"), g:input("one", { 1, 1 })
    local p = g:compile { y = x * s + one }
    near(p:run({ x = { 1, 2, 3, 4 }, s = 2, one = 1 }).y:flat(), { 3, 5, 7, 9 })
    local value = graph.value({ 2, 2 }, { 1, 2, 3, 4 })
    near(p:run({ x = value, s = { 3 }, one = { 0 } }).y:flat(), { 3, 6, 9, 12 })
    local y = p:run({ x = graph.value({ 2, 2 }, 5), s = graph.value({}, 1), one = 0 }).y
    near(p:run({ x = y, s = 2, one = 0 }).y:flat(), { 10, 10, 10, 10 })
end

function Running.test_what_is_no_number()
    local g = graph.new()
    local p = g:compile { y = g:input("x", { 3 }) }
    local flat = p:run({ x = { 0 / 0, math.huge, -math.huge } }).y:flat()
    lu.assertNotEquals(flat[1], flat[1])
    lu.assertEquals(flat[2], math.huge)
    lu.assertEquals(flat[3], -math.huge)
end

function Running.test_wrong_inputs()
    local g = graph.new()
    local p = g:compile { y = g:input("images", { 2, 2 }) * g:input("scale") }
    local fine = { 1, 2, 3, 4 }
    fails("run: input 'scale' of shape () is missing", function() p:run { images = fine } end)
    fails("run: the program reads no input 'imges': did you mean 'images'?", function()
        p:run { imges = fine, scale = 1 }
    end)
    fails("run: the program reads no input 'quite_another'", function()
        p:run { images = fine, scale = 1, quite_another = 3 }
    end)
    fails("run: input 'images': 4 numbers expected, row by row for shape (2, 2), got 3", function()
        p:run { images = { 1, 2, 3 }, scale = 1 }
    end)
    fails("run: input 'images': element 2: a number expected, got a string", function()
        p:run { images = { 1, "2", 3, 4 }, scale = 1 }
    end)
    fails("numbers are given flat, row by row", function()
        p:run { images = { { 1, 2 }, { 3, 4 }, 5, 6 }, scale = 1 }
    end)
    fails("run: input 'images': shape (2, 2) expected, got (4)", function()
        p:run { images = graph.value({ 4 }, fine), scale = 1 }
    end)
    fails("run: input 'images': a number, a flat table of 4 for shape (2, 2), or a value", function()
        p:run { images = true, scale = 1 }
    end)
    fails("run: input 'scale': a number, a flat table of 1", function()
        p:run { images = fine, scale = "1" }
    end)
    fails("run: a table { name = numbers } of inputs expected, got a number", function() p:run(3) end)
    fails("run: inputs have names", function() p:run { fine } end)
    near(p:run({ images = fine, scale = 1 }).y:flat(), fine) -- still works
    near(p:run({ images = 7, scale = 2 }).y:flat(), { 14, 14, 14, 14 }) -- a number fills an input
end

function Running.test_rows_out_of_range()
    local g = graph.new()
    local p = g:compile { y = graph.gather(g:param("t", { 3, 2 }), g:input("i", { 2 })) }
    lu.assertEquals(#p:run({ i = { 1, 3 } }).y, 4)
    fails("run: gather: index number 2 is 3", function() p:run { i = { 1, 4 } } end)
    fails("these are counted from 0: the script's numbers are one more", function()
        p:run { i = { 0, 1 } }
    end)
    fails("run: gather: index number 2 is", function() p:run { i = { 1, 0 / 0 } } end)
    fails("run: gather: index number 1 is 0.5", function() p:run { i = { 1.5, 1 } } end)
end

function Running.test_what_a_program_expects()
    local g = graph.new()
    local x, unused = g:input("x", { 2, 3 }), g:input("unused", { 5 })
    local p = g:compile { y = x:sum() * g:input("s") }
    lu.assertEquals(p:inputs(), { x = { 2, 3 }, s = {} })
    lu.assertEquals(unused:shape(), { 5 })
end

-- ---- states -----------------------------------------------------------------------------------------------

local function counter()
    local g = graph.new()
    local w, v = g:param("w", { 2 }, { group = "G", value = 1 }), g:variable("v", { 2 }, { group = "G" })
    return g, w, v
end

function States.test_set_and_get()
    local g, w, v = counter()
    local p = g:compile { y = w + v }
    p:set("w", { 5, 6 })
    p:set("v", 10)
    lu.assertEquals(p:get("w"):flat(), { 5, 6 })
    lu.assertEquals(p:get("v"):flat(), { 10, 10 })
    near(p:run({}).y:flat(), { 15, 16 })
    p:set("w", p:get("v"))
    lu.assertEquals(p:get("w"):flat(), { 10, 10 })
end

function States.test_a_failed_set_changes_nothing()
    local g, w = counter()
    local p = g:compile { y = w }
    p:set("w", { 5, 6 })
    fails("set: parameter 'w': element 2: a number expected", function() p:set("w", { 7, false }) end)
    lu.assertEquals(p:get("w"):flat(), { 5, 6 })
end

function States.test_unknown_names()
    local g, w = counter()
    local p = g:compile { y = g:param("weights", { 2 }) + w }
    fails("set: the state has no parameter or variable 'wieghts': did you mean 'weights'?", function()
        p:set("wieghts", 1)
    end)
    fails("get: the state has no parameter or variable 'qqqqqq'", function() p:get("qqqqqq") end)
    fails("get: the state has no moment1 'w'", function() p:get("w", "moment1") end)
    fails("get: there is no kind 'moment': did you mean 'moment1'?", function() p:get("w", "moment") end)
    fails("set: a text expected, got nothing", function() p:set() end)
end

function States.test_several_programs_share_one_state()
    local g, w = counter()
    local x = g:input("x", { 2 })
    local double, square = g:compile { y = w * x }, nil
    square = g:compile({ y = w * w * x }, { state = double })
    double:set("w", { 2, 3 })
    near(double:run({ x = { 1, 1 } }).y:flat(), { 2, 3 })
    near(square:run({ x = { 1, 1 } }).y:flat(), { 4, 9 })
    square:set("w", { 5, 5 })
    near(double:run({ x = { 1, 1 } }).y:flat(), { 5, 5 })
end

function States.test_programs_of_several_graphs_share_one_state()
    local g, w = counter()
    local small = g:compile { y = w:sum() }
    local other = graph.new()
    local same = other:param("w", { 2 }, { group = "G" })
    local large = other:compile({ y = same * 3 }, { state = small:state() })
    small:set("w", { 1, 2 })
    near(large:run({}).y:flat(), { 3, 6 })
end

function States.test_a_state_without_a_parameter()
    local g, w = counter()
    local p = g:compile { y = w }
    local late = g:param("late", { 2 })
    fails("late", function() g:compile({ y = late }, { state = p }) end)
    local other = graph.new()
    fails("w", function() other:compile({ y = other:param("w", { 3 }, { group = "G" }) }, { state = p }) end)
end

function States.test_copies_go_their_own_way()
    local g, w = counter()
    local p = g:compile { y = w }
    local copy = p:state():copy()
    p:set("w", { 8, 9 })
    lu.assertEquals(copy:get("w"):flat(), { 1, 1 })
    copy:set("w", { 3, 4 })
    lu.assertEquals(p:get("w"):flat(), { 8, 9 })
    p:use(copy)
    near(p:run({}).y:flat(), { 3, 4 })
    lu.assertIs(p:state(), copy)
    fails("use: this state was made for other programs", function() p:use(counter():state()) end)
end

function States.test_what_it_holds()
    local g = counter()
    local state = g:state { optimizers = { G = graph.adam {} }, averages = true }
    local kinds = {}
    for _, tensor in ipairs(state:tensors()) do
        kinds[#kinds + 1] = tensor.kind .. " " .. tensor.name
        lu.assertEquals(tensor.group, "G")
        lu.assertEquals(tensor.shape, { 2 })
    end
    table.sort(kinds)
    lu.assertEquals(kinds, { "average_parameter w", "average_variable v", "moment1 w", "moment2 w",
        "parameter w", "variable v" })
    lu.assertStrContains(tostring(state), "state of 6 tensors")
end

function States.test_averages()
    local g, w, v = counter()
    local state = g:state { averages = true }
    local now = g:compile({ y = w + v }, { state = state })
    local smooth = g:compile({ y = w + v }, { state = state, averages = true })
    near(smooth:run({}).y:flat(), { 1, 1 }) -- they begin with the initial values
    state:set("w", { 3, 5 })
    state:average(0.75)
    near(state:get("w", "average_parameter"):flat(), { 1.5, 2 })
    near(smooth:run({}).y:flat(), { 1.5, 2 })
    near(now:run({}).y:flat(), { 3, 5 })
    now:average(0)
    near(smooth:run({}).y:flat(), { 3, 5 })
    fails("a decay from 0 to 1 expected, got 2", function() state:average(2) end)
    fails("average: the state has no room for averages", function() g:state():average(0.5) end)
    fails("compile: the state has no averages to read", function()
        g:compile({ y = w }, { state = g:state(), averages = true })
    end)
end

function States.test_wrong_options()
    local g = counter()
    fails("g:state: there is no option 'average': did you mean 'averages'?", function()
        g:state { average = true }
    end)
    fails("there are no parameters in group 'D'", function()
        g:state { optimizers = { D = graph.adam {} } }
    end)
    fails("the optimizer of group 'G': an optimizer expected", function()
        g:state { optimizers = { G = {} } }
    end)
end

-- ---- assignments ------------------------------------------------------------------------------------------

function Assignments.test_they_happen_after_each_run()
    local g = graph.new()
    local n = g:variable("n", { 2 })
    local p = g:compile({ n = n }, { assign = { { n, n + 1 } } })
    near(p:run({}).n:flat(), { 0, 0 })
    near(p:run({}).n:flat(), { 1, 1 })
    near(p:get("n"):flat(), { 2, 2 })
end

function Assignments.test_all_read_the_old_values()
    local g = graph.new()
    local a, b = g:variable("a", nil, { value = 1 }), g:variable("b", nil, { value = 2 })
    local p = g:compile({}, { assign = { { a, b }, { b, a } } })
    p:run()
    near({ p:get("a"):item(), p:get("b"):item() }, { 2, 1 })
    p:run()
    near({ p:get("a"):item(), p:get("b"):item() }, { 1, 2 })
end

function Assignments.test_a_running_mean()
    local g = graph.new()
    local x, mean = g:input("x", { 4, 2 }), g:variable("mean", { 2 })
    local train = g:compile({ y = x - x:mean(1) }, { assign = { { mean, mean * 0.9 + x:mean(1) * 0.1 } } })
    local sample = g:compile({ y = x - mean }, { state = train })
    local values = { x = { 1, 10, 2, 20, 3, 30, 6, 40 } }
    for _ = 1, 2 do train:run(values) end
    near(train:get("mean"):flat(), { 3 * 0.19, 25 * 0.19 })
    sample:run(values)
    near(train:get("mean"):flat(), { 3 * 0.19, 25 * 0.19 }) -- sampling assigns nothing
end

function Assignments.test_wrong_ones()
    local g = graph.new()
    local v, w, x = g:variable("v", { 2 }), g:param("w", { 2 }), g:input("x", { 3 })
    fails("compile: assign[1]: only variables can be assigned, this is a tensor parameter", function()
        g:compile({}, { assign = { { w, v } } })
    end)
    fails("assignment 'v' of shape (2) cannot take a value of shape (3)", function()
        g:compile({}, { assign = { { v, x } } })
    end)
    fails("variable 'v' is assigned twice", function() g:compile({}, { assign = { { v, w }, { v, v } } }) end)
    fails("compile: assign[2]: a pair {variable, tensor} expected", function()
        g:compile({}, { assign = { { v, w }, v } })
    end)
    fails("compile: assign: a list of pairs", function() g:compile({}, { assign = v }) end)
end

-- ---- random leaves ----------------------------------------------------------------------------------------

function Random.test_fresh_in_every_run_and_repeatable()
    local function program()
        local g = graph.new()
        return g:compile { z = g:normal { 100 }, u = g:uniform { 100 } }
    end
    local p, q = program(), program()
    local first, second = p:run(), p:run()
    lu.assertNotEquals(first.z:flat(), second.z:flat())
    lu.assertNotEquals(first.z:flat(), first.u:flat())
    lu.assertEquals(q:run().z:flat(), first.z:flat())
    lu.assertEquals(q:run().u:flat(), second.u:flat())
    lu.assertEquals(p:run({}, { step = 0 }).z:flat(), first.z:flat())
    lu.assertEquals(p:run().z:flat(), second.z:flat()) -- the step counts on from there
    local other = p:run({}, { step = 0, seed = 7 })
    lu.assertNotEquals(other.z:flat(), first.z:flat())
    lu.assertNotEquals(p:run().z:flat(), second.z:flat()) -- the seed stays
    lu.assertEquals(p:run({}, { step = 0 }).z:flat(), other.z:flat())
end

function Random.test_each_leaf_is_a_stream_of_its_own()
    local g = graph.new()
    local a, b = g:normal { 50 }, g:normal { 50 }
    local out = g:compile({ a = a, b = b, difference = a - a }):run()
    lu.assertNotEquals(out.a:flat(), out.b:flat())
    near(out.difference:flat(), count(50, function() return 0 end))
end

function Random.test_their_distribution()
    local g = graph.new()
    local z, u = g:normal { 20000 }, g:uniform { 20000 }
    local out = g:compile({ mean = z:mean(), square = z:square():mean(), half = u:mean(), low = -(-u):amax(),
        high = u:amax() }):run()
    lu.assertAlmostEquals(out.mean:item(), 0, 0.03)
    lu.assertAlmostEquals(out.square:item(), 1, 0.05)
    lu.assertAlmostEquals(out.half:item(), 0.5, 0.01)
    lu.assertTrue(out.low:item() >= 0 and out.high:item() < 1)
end

function Random.test_wrong_options()
    local g = graph.new()
    local p = g:compile { z = g:normal { 2 } }
    fails("run: there is no option 'sed': did you mean 'seed'?", function() p:run({}, { sed = 1 }) end)
    fails("run: step: a whole number of at least 0 expected, got -1", function() p:run({}, { step = -1 }) end)
    fails("run: seed: a whole number", function() p:run({}, { seed = 1.5 }) end)
end

-- ---- options ----------------------------------------------------------------------------------------------

function Options.test_plain_gives_the_same_numbers()
    local g = graph.new()
    local x = g:input("x", { 3, 4 })
    local y = ((x * 2 + 1):tanh() - x:mean(1)):exp():softplus() / (x:square() + 1):sqrt()
    local inputs = { x = count(12, function(i) return math.sin(i) end) }
    local plain = g:compile({ y = y }, { plain = true })
    lu.assertEquals(plain:run(inputs).y:flat(), g:compile({ y = y }):run(inputs).y:flat())
end

function Options.test_debug_names_the_culprit()
    local g = graph.new()
    local x = g:input("x", { 2 })
    local previous = g:layer "generator.3"
    lu.assertNil(previous)
    local y = (x - 1):log() -- the culprit
    local line = debug.getinfo(1, "l").currentline - 1
    lu.assertEquals(g:layer(nil), "generator.3")
    local p = g:compile({ s = (y * 2):sum() }, { debug = true })
    near({ p:run({ x = { 2, 2 } }).s:item() }, { 0 })
    local message
    fails("log", function()
        local fine, error_message = pcall(p.run, p, { x = { 2, 0 } })
        message = error_message
        p:run { x = { 2, 0 } }
    end)
    lu.assertStrContains(message, "generator.3")
    lu.assertStrContains(message, "test_program.lua:" .. line)
    local quiet = g:compile { s = (y * 2):sum() }
    lu.assertNotEquals(quiet:run({ x = { 2, -1 } }).s:item(), 0) -- without debug there is no error
end

function Options.test_stats()
    local g = graph.new()
    local x, w = g:input("x", { 8, 4 }), g:param("w", { 4, 3 })
    local p = g:compile { y = graph.matmul(x, w) }
    local stats = p:stats()
    lu.assertEquals(stats.parameters, 12)
    lu.assertEquals(stats.flops, 2 * 8 * 4 * 3)
    lu.assertEquals(stats.nodes, 1)
    lu.assertTrue(stats.kernels >= 1)
    lu.assertTrue(stats.arena_bytes >= (8 * 4 + 8 * 3) * 4)
    lu.assertTrue(stats.state_bytes >= 12 * 4)
    lu.assertStrContains(tostring(p), "program of 1 nodes")
end

function Options.test_wrong_ones()
    local g = graph.new()
    local x = g:input("x", { 2 })
    fails("compile: there is no option 'asign': did you mean 'assign'?", function()
        g:compile({ x = x }, { asign = {} })
    end)
    fails("compile: there is nothing to compute", function() g:compile {} end)
    fails("compile: a table { name = tensor } of outputs expected", function() g:compile(x) end)
    fails("compile: outputs have names", function() g:compile { x } end)
    fails("compile: output 'y': a brood.Tensor expected, got 3", function() g:compile { y = 3 } end)
    fails("compile: output 'y': this tensor belongs to another graph", function()
        g:compile { y = graph.new():input("x") }
    end)
    fails("compile: debug: true or false expected, got 1", function() g:compile({ x = x }, { debug = 1 }) end)
    fails("compile: state: a brood.State expected, got a brood.Tensor", function()
        g:compile({ x = x }, { state = x })
    end)
    fails("compile: a table of options expected, got the text 'debug'", function()
        g:compile({ x = x }, "debug")
    end)
end

-- ---- closing ----------------------------------------------------------------------------------------------

function Closing.test_closed_things_say_so()
    local g = graph.new()
    local x = g:input("x", { 2 })
    local p = g:compile { y = x + g:param("w", { 2 }) }
    g:close()
    fails("the tensor's graph is closed", function() return x + 1 end)
    fails("the graph is closed", function() g:input("z") end)
    near(p:run({ x = { 1, 2 } }).y:flat(), { 1, 2 }) -- the program lives on
    local state = p:state()
    p:close()
    p:close()
    fails("run: the program is closed", function() p:run { x = { 1, 2 } } end)
    lu.assertEquals(tostring(p), "program (closed)")
    lu.assertEquals(state:get("w"):flat(), { 0, 0 }) -- so does the state
    state:close()
    state:close()
    fails("get: the state is closed", function() state:get("w") end)
    lu.assertEquals(tostring(state), "state (closed)")
end

function Closing.test_to_be_closed_variables()
    local outside
    do
        local g <close> = graph.new()
        local p <close> = g:compile { y = g:constant(1) }
        outside = p
        lu.assertEquals(p:run().y:item(), 1)
    end
    lu.assertEquals(tostring(outside), "program (closed)")
end

function Closing.test_a_program_with_a_closed_state()
    local g = graph.new()
    local p = g:compile { y = g:param("w", { 2 }) }
    p:state():close()
    fails("run: the program's state is closed", function() p:run() end)
    fails("get: the state is closed", function() p:get("w") end)
end

-- Programs, states and graphs are collected: 300 states of 4 MB would be more than a gigabyte.
function Closing.test_they_are_collected()
    for _ = 1, 300 do
        local g = graph.new()
        g:compile({ y = g:param("w", { 1 << 20 }):slice { { 1, 2 } } }):run()
    end
    local status = io.open "/proc/self/status"
    if not status then return end
    local peak = tonumber(status:read("a"):match "VmHWM:%s*(%d+)")
    status:close()
    lu.assertTrue(peak < 500 * 1024, peak .. " KiB")
end

support.main { Running = Running, States = States, Assignments = Assignments, Random = Random,
    Options = Options, Closing = Closing }
