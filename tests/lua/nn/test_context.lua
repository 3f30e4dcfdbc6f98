-- What layers are called with (brood.context): names, statistics, hyperparameters, errors.
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local context, graph, nn = brood.context, brood.graph, brood.nn
local lu, fails, near = support.lu, support.fails, support.near

local Making, Names, Starts, Statistics, Numbers, Places, Errors = {}, {}, {}, {}, {}, {}, {}

-- A context in a graph of its own.
local function fresh(options)
    options = options or {}
    options.graph = options.graph or graph.new()
    return context.new(options), options.graph
end

-- ---- making one ---------------------------------------------------------------------------------------------------

function Making.test_defaults()
    local ctx, g = fresh()
    lu.assertIs(ctx.graph, g)
    lu.assertEquals({ ctx.group, ctx.path, ctx.training, ctx.update_statistics }, { "", "", true, true })
    lu.assertEquals(ctx.assignments, {})
    lu.assertNil(ctx.labels)
    lu.assertEquals(fresh({ group = "G" }).path, "G")
    lu.assertEquals(fresh({ group = "G", path = "generator" }).path, "generator")
    lu.assertTrue(context.is(ctx))
    lu.assertFalse(context.is({}))
end

function Making.test_wrong_fields()
    local g = graph.new()
    fails("context.new: graph is missing: a brood.Graph expected", function() context.new {} end)
    fails("context.new: there is no field 'traning': did you mean 'training'?", function()
        context.new { graph = g, traning = true }
    end)
    fails("context.new: seed: a whole number, or false, expected, got 1.5", function()
        context.new { graph = g, seed = 1.5 }
    end)
    fails("labels: a tensor of labels expected, got a table", function() context.new { graph = g, labels = { 1 } } end)
    fails("ctx:with: there is no field 'graph'", function() context.new({ graph = g }):with { graph = g } end)
end

function Making.test_with()
    local ctx, g = fresh { group = "G", path = "generator", classes = 3 }
    local labels = g:input("labels", { 2 })
    local other = ctx:with { group = "D", path = "discriminator", labels = labels }
    lu.assertEquals({ other.group, other.path, other.classes }, { "D", "discriminator", 3 })
    lu.assertIs(other.labels, labels)
    lu.assertIs(other.assignments, ctx.assignments)
    lu.assertIs(other.registry, ctx.registry)
    lu.assertEquals({ ctx.group, ctx.path }, { "G", "generator" })
    lu.assertNil(ctx.labels)
    lu.assertNil(other:with({ labels = false }).labels)
    lu.assertFalse(other:with({ training = false }).training)
    lu.assertEquals(other:with({ group = "E" }).path, "E")
end

-- ---- parameters and variables -------------------------------------------------------------------------------------

function Names.test_paths_and_groups()
    local ctx, g = fresh { group = "G", path = "generator" }
    ctx:param("weight", { 2, 3 }, nn.init.normal(0.1))
    ctx:scope(3, function(inner) inner:scope("conv", function(c) c:param("bias", { 4 }, nn.init.zeros()) end) end)
    ctx:variable("mean", { 4 }, 0)
    local names = {}
    for _, tensor in ipairs(g:state():tensors()) do
        names[#names + 1] = table.concat({ tensor.group, tensor.kind, tensor.name }, " ")
    end
    table.sort(names)
    lu.assertEquals(names, { "G parameter generator.3.conv.bias", "G parameter generator.weight", "G variable generator.mean" })
end

function Names.test_the_registry()
    local registry = context.registry()
    local ctx = fresh { group = "G", registry = registry }
    ctx:param("b", { 2 }, nn.init.ones())
    ctx:param("a", {}, nn.init.zeros())
    ctx:variable("v", { 3 }, 0.5)
    fresh({ group = "G", registry = registry }):param("b", { 2 }, nn.init.ones()) -- another program
    lu.assertEquals(#registry.parameters, 2)
    local b = registry.parameters[1]
    lu.assertEquals({ b.name, b.group, b.shape, b.init.kind, b.init.value }, { "G.b", "G", { 2 }, "constant", 1 })
    lu.assertIs(registry.parameters["G.b"], b)
    lu.assertEquals(registry.parameters[2].name, "G.a")
    lu.assertEquals({ registry.variables[1].name, registry.variables[1].init.value }, { "G.v", 0.5 })
end

function Names.test_asking_again()
    local ctx = fresh()
    local w = ctx:param("w", { 2 }, nn.init.zeros())
    lu.assertIs(ctx:param("w", { 2 }, nn.init.zeros()), w)
    lu.assertIs(ctx:with({ training = false }):param("w", { 2 }, nn.init.zeros()), w)
    lu.assertIs(ctx:variable("v", { 2 }, 0), ctx:variable("v", { 2 }, 0))
end

function Names.test_a_shape_that_changes()
    local registry = context.registry()
    local net = nn.sequential { nn.linear { out = 2 } }
    local function build(features)
        local ctx, g = fresh { path = "generator", registry = registry }
        return net(g:input("x", { 4, features }), ctx)
    end
    build(3)
    build(3)
    fails("generator.1.weight has the shape (5, 2) here, and (3, 2) in generator.1 linear", function() build(5) end)
end

function Names.test_two_layers_at_one_place()
    local function build(one, two)
        local ctx, g = fresh { path = "net" }
        local x = g:input("x", { 4, 3 })
        return one(x, ctx) + two(x, ctx)
    end
    local first = nn.linear { out = 2 }
    local second = nn.linear { out = 2 }
    build(first, first)
    build(first, nn.linear { out = 2, name = "second" })
    local fine, message = pcall(build, first, second)
    lu.assertFalse(fine)
    lu.assertStrContains(message, ("net linear (%s): net.weight belongs to net linear (%s) already: give the two layers "
        .. "different names"):format(second.line, first.line))
    -- A layer that is made anew in each call of a function is one layer.
    local function inside(x, ctx) return nn.linear { out = 2 }(x, ctx) end
    build(inside, inside)
end

-- ---- what they begin with -----------------------------------------------------------------------------------------

local function first_weights(options, extra)
    local ctx, g = fresh(options)
    local x = g:input("x", { 1, 3 })
    if extra then x = nn.linear { out = 3, name = "extra" }(x, ctx) end
    local y = nn.linear { out = 4, name = "head" }(x, ctx)
    return g:compile({ y = y }):get("head.weight"):flat()
end

function Starts.test_seeds_and_names()
    local weights = first_weights()
    lu.assertEquals(#weights, 12)
    lu.assertNotEquals(weights[1], weights[2])
    lu.assertEquals(first_weights(), weights)
    lu.assertEquals(first_weights(nil, true), weights) -- whatever other layers there are
    lu.assertEquals(first_weights { seed = 1 }, weights)
    lu.assertNotEquals(first_weights { seed = 2 }, weights)
    lu.assertEquals(first_weights { seed = false }, support.count(12, function() return 0 end))
end

function Starts.test_variables()
    local ctx, g = fresh()
    local one, random = ctx:variable("one", { 2 }, 1), ctx:variable("random", { 2 }, nn.init.normal(1))
    local p = g:compile { y = one + random }
    lu.assertEquals(p:get("one"):flat(), { 1, 1 })
    lu.assertNotEquals(p:get("random"):flat(), { 0, 0 })
end

function Starts.test_no_initializer()
    local ctx = fresh { path = "net" }
    fails("net: w: an initializer, such as nn.init.zeros(), expected, got nothing", function() ctx:param("w", { 2 }) end)
    fails("net: w: an initializer, such as nn.init.zeros(), expected, got a table", function()
        ctx:param("w", { 2 }, { kind = "he" })
    end)
    fails("net: w: nn.init.he() goes by the layer's size, which only ctx:weight tells", function()
        ctx:param("w", { 2 }, nn.init.he())
    end)
end

-- What an experiment does: it sets the states itself.
function Starts.test_from_the_registry()
    local ctx, g = fresh { seed = false }
    nn.linear { out = 4, name = "head" }(g:input("x", { 1, 3 }), ctx)
    local state = g:state()
    for _, entry in ipairs(ctx.registry.parameters) do state:set(entry.name, nn.init.value(entry, 1)) end
    lu.assertEquals(state:get("head.weight"):flat(), first_weights())
end

-- ---- statistics ---------------------------------------------------------------------------------------------------

function Statistics.test_assignments_chain()
    local ctx, g = fresh()
    local v = ctx:variable("v", {}, 1)
    lu.assertIs(ctx:current(v), v)
    ctx:assign(v, ctx:current(v) * 2)
    ctx:assign(v, ctx:current(v) + 3)
    lu.assertEquals(#ctx.assignments, 1)
    local p = g:compile({ before = v }, { assign = ctx.assignments })
    lu.assertEquals(p:run().before:item(), 1)
    lu.assertEquals(p:get("v"):item(), 5)
    p:run()
    lu.assertEquals(p:get("v"):item(), 13)
end

function Statistics.test_when_nothing_is_assigned()
    for _, options in ipairs { { training = false }, { update_statistics = false } } do
        local ctx = fresh(options)
        local v = ctx:variable("v", {}, 1)
        ctx:assign(v, v * 2)
        lu.assertEquals(ctx.assignments, {})
        lu.assertIs(ctx:current(v), v)
    end
end

function Statistics.test_once()
    local ctx = fresh()
    local calls = 0
    local function f()
        calls = calls + 1
        return calls
    end
    lu.assertEquals({ ctx:once("k", f), ctx:once("k", f), ctx:with({ group = "" }):once("k", f) }, { 1, 1, 1 })
    lu.assertEquals(ctx:once("other", f), 2)
    lu.assertEquals(ctx:scope(1, function(inner) return inner:once("k", f) end), 3)
    lu.assertEquals(fresh():once("k", f), 4)
end

-- ---- hyperparameters ----------------------------------------------------------------------------------------------

function Numbers.test_numbers_and_names()
    local ctx, g = fresh { path = "net" }
    lu.assertEquals(ctx:number(0.3), 0.3)
    lu.assertEquals(ctx.registry.hyperparameters, {})
    local y = nn.leaky_relu { slope = "slope" }(g:input("x", { 2 }), ctx) + ctx:number("slope") * 0
    lu.assertEquals(#ctx.registry.hyperparameters, 1)
    lu.assertEquals(ctx.registry.hyperparameters[1].name, "slope")
    lu.assertStrContains(ctx.registry.hyperparameters.slope.layer, "net leaky_relu (")
    local p = g:compile { y = y }
    lu.assertEquals(p:inputs(), { x = { 2 }, ["h.slope"] = {} })
    near(p:run({ x = { -1, 2 }, ["h.slope"] = 0.5 }).y:flat(), { -0.5, 2 })
    near(p:run({ x = { -1, 2 }, ["h.slope"] = 0.1 }).y:flat(), { -0.1, 2 })
end

function Numbers.test_schedules()
    local ctx, g = fresh()
    local one = brood.schedule.linear { from = 0, to = 1, steps = 10 }
    local two = brood.schedule.linear { from = 0, to = 1, steps = 10 }
    local y = ctx:number(one) + 10 * ctx:number(two) + 100 * ctx:with({ group = "G" }):number(one)
    lu.assertEquals(#ctx.registry.schedules, 2)
    lu.assertIs(ctx.registry.schedules[2], two)
    lu.assertEquals(g:compile({ y = y }):run({ ["n.0"] = 2, ["n.1"] = 3 }).y:item(), 232)
    -- Another program of the same experiment.
    local other, h = fresh { registry = ctx.registry }
    lu.assertEquals(h:compile({ y = other:number(two) }):inputs(), { ["n.1"] = {} })
end

-- ---- places -------------------------------------------------------------------------------------------------------

function Places.test_the_graph_knows_them()
    local g = graph.new()
    local ctx = fresh { graph = g, path = "net" }
    lu.assertNil(g:layer())
    ctx:scope("part", function()
        local label = g:layer()
        g:layer(label)
        lu.assertEquals(label, "net.part")
    end)
    lu.assertNil(g:layer())
    pcall(function() ctx:scope("part", function() error "no" end) end)
    lu.assertNil(g:layer())
end

function Places.test_a_number_that_is_not_finite()
    local ctx, g = fresh { path = "net" }
    local line = debug.getinfo(1, "l").currentline + 1
    local net = nn.sequential { nn.tanh {}, function(x) return x:log() end }
    local p = g:compile({ y = net(g:input("x", { 2 }), ctx) }, { debug = true })
    fails(("net.2 function (tests/lua/nn/test_context.lua:%d)"):format(line), function() p:run { x = { -1, 1 } } end)
end

function Places.test_rows()
    local ctx, g = fresh { path = "net" }
    local inner = nn.linear { out = 3 }
    local net = nn.sequential { inner, nn.tanh {} }
    lu.assertNil(context.row(net))
    net(g:input("x", { 5, 2 }), ctx)
    local row = context.row(net)
    lu.assertEquals({ row.path, row.input, row.shape, #row }, { "net", { 5, 2 }, { 5, 3 }, 2 })
    lu.assertIs(row[1].layer, inner)
    lu.assertEquals(row[1].parameters, { ["net.1.weight"] = 6, ["net.1.bias"] = 3 })
    lu.assertIs(context.row(inner), row[1])
end

-- ---- errors -------------------------------------------------------------------------------------------------------

function Errors.test_both_layers_are_named()
    local ctx, g = fresh { path = "discriminator" }
    local line = debug.getinfo(1, "l").currentline + 2
    local net = nn.sequential {
        nn.flatten {},
        nn.conv { out = 8, kernel = 4 },
    }
    local x = g:input("x", { 64, 5, 5, 4 })
    fails(("discriminator.2 conv (tests/lua/nn/test_context.lua:%d): images (batch, height, width, channels) expected, "
        .. "got (64, 100) from discriminator.1 flatten (tests/lua/nn/test_context.lua:%d)"):format(line + 1, line),
        function() net(x, ctx) end)
    fails("discriminator conv (tests/lua/nn/test_context.lua:" .. line + 1 .. "): images (batch, height, width, channels) "
        .. "expected, got (3)", function() net[2](g:input("v", { 3 }), ctx) end)
end

-- Of layers within layers, the innermost one made the tensor, or let it through.
function Errors.test_the_innermost_layer_is_named()
    local ctx, g = fresh { path = "net" }
    local flatten = nn.flatten {}
    local net = nn.sequential { nn.sequential { nn.relu {}, flatten }, nn.dropout { rate = 0.5 }, nn.upsample {} }
    local sampling = ctx:with { training = false }
    fails(("net.3 upsample (%s): images (batch, height, width, channels) expected, got (2, 9) from net.1.2 flatten (%s)")
        :format(net[3].line, flatten.line), function() net(g:input("x", { 2, 3, 3 }), sampling) end)
end

function Errors.test_no_context()
    local x = graph.new():input("x", { 2, 2 })
    fails("relu is called with a tensor and a context, layer(x, ctx); got a brood.Tensor and nothing", function()
        nn.relu {}(x)
    end)
    fails("got a brood.Tensor and a table", function() nn.relu {}(x, {}) end)
end

function Errors.test_no_layer()
    local ctx, g = fresh { path = "net" }
    local x = g:input("x", { 2, 2 })
    fails("net: a layer or a function(x, ctx) expected, got nothing", function() ctx:apply(nil, nil, x) end)
    fails("net: a layer or a function(x, ctx) expected, got a table", function() ctx:apply("part", {}, x) end)
end

function Errors.test_no_tensor()
    local ctx, g = fresh { path = "net" }
    fails("net relu (", function() nn.relu {}(3, ctx) end)
    fails("a tensor expected, got 3", function() nn.relu {}(3, ctx) end)
    local x = g:input("x", { 2, 2 })
    local line = debug.getinfo(1, "l").currentline + 1
    local net = nn.sequential { nn.relu {}, function() end }
    fails(("net.2 function (tests/lua/nn/test_context.lua:%d): a layer returns a tensor, this one returned nothing"):format(line),
        function() net(x, ctx) end)
end

function Errors.test_fail()
    local ctx = fresh { path = "net" }
    fails("net: 3 and x", function() ctx:fail("%d and %s", 3, "x") end)
    fails("100%", function() fresh():fail("100%%") end)
end

support.main { Making = Making, Names = Names, Starts = Starts, Statistics = Statistics, Numbers = Numbers,
    Places = Places, Errors = Errors }
