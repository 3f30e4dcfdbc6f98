-- What constructors say about wrong options (brood.check).
local support = require "support"
local check = require "brood.check"
local graph = require "brood.graph"
local schedule = require "brood.schedule"
local lu, fails = support.lu, support.fails

local Fields, Values, Lists, Words, Modules = {}, {}, {}, {}, {}

local RULES = {
    out = { "number", integer = true, min = 1, required = true, shapes = true },
    slope = { "number", default = 0.2, live = true, min = 0 },
    rate = { "number", min = 0, below = 1 },
    gain = { "number", above = 0, max = 8 },
    share = { "number", min = 0, max = 1 },
    bias = { "boolean", default = true },
    mode = { "string", choices = { "up", "down" }, default = "up" },
    title = { "string" },
    each = { "function" },
    table = { "table" },
    even = { "even number", is = function(v) return v == 2 end, hint = function(v) return v == 3 and ": so near" or "" end },
    any = { "initializer", is = function(v) return v == 1 end },
}

local function given(options)
    return check.fields("nn.thing", options, RULES)
end

-- ---- what is accepted ---------------------------------------------------------------------------------------------

function Fields.test_defaults()
    lu.assertEquals(given { out = 3 }, { out = 3, slope = 0.2, bias = true, mode = "up" })
    lu.assertEquals(check.fields("nn.none", nil, {}), {})
    lu.assertEquals(check.fields("nn.none", {}, {}), {})
end

function Fields.test_given_values()
    local f = print
    local options = { out = 7, slope = "slope", rate = 0, gain = 8, share = 1, bias = false, mode = "down", title = "t",
        each = f, table = {}, even = 2 }
    local fields = given(options)
    lu.assertEquals(fields, options)
    lu.assertNotIs(fields, options)
    fields.out = 8
    lu.assertEquals(options.out, 7)
end

function Fields.test_whole_numbers_become_integers()
    lu.assertEquals(math.type(given({ out = 3.0 }).out), "integer")
    lu.assertEquals(math.type(given({ out = 3, gain = 2 }).gain), "integer") -- as it was given
end

-- ---- what is not --------------------------------------------------------------------------------------------------

function Fields.test_unknown()
    fails("nn.thing: there is no field 'slop': did you mean 'slope'?", function() given { out = 1, slop = 2 } end)
    fails("nn.thing: there is no field 'something_else': it has any, bias, each,", function()
        given { out = 1, something_else = 2 }
    end)
    fails("nn.none: there is no field 'x': it has none", function() check.fields("nn.none", { x = 1 }, {}) end)
end

function Fields.test_missing()
    fails("nn.thing: out is missing: a whole number of at least 1 expected", function() given {} end)
    fails("nn.thing: out is missing", function() given() end)
end

function Fields.test_no_table()
    fails("nn.thing: a table of options expected, as in nn.thing { ... }, got 3", function() given(3) end)
    fails("got the text 'x'", function() given "x" end)
    fails("nn.thing: named fields expected, as in nn.thing { name = value }, got an element [1]", function() given { 64 } end)
    fails("got an element [true]", function() given { out = 1, [true] = 2 } end)
end

function Values.test_numbers()
    fails("nn.thing: out: a whole number of at least 1 expected, got 0", function() given { out = 0 } end)
    fails("out: a whole number of at least 1 expected, got 2.5", function() given { out = 2.5 } end)
    fails("got inf", function() given { out = math.huge } end)
    fails("got nan", function() given { out = 1, gain = 0 / 0 } end)
    fails("got inf", function() given { out = 1, slope = math.huge } end)
    fails("rate: a number of at least 0 and less than 1 expected, got 1", function() given { out = 1, rate = 1 } end)
    fails("gain: a number greater than 0 and of at most 8 expected, got 0", function() given { out = 1, gain = 0 } end)
    fails("share: a number from 0 to 1 expected, got -0.5", function() given { out = 1, share = -0.5 } end)
    fails("out: a whole number of at least 1 expected, got true", function() given { out = true } end)
end

function Values.test_schedules()
    local fading = schedule.linear { from = 0.3, to = 0, steps = 100 }
    lu.assertIs(given({ out = 1, slope = fading }).slope, fading)
    fails("slope: a number of at least 0, the name of a hyperparameter or a schedule expected, got a brood.Schedule", function()
        given { out = 1, slope = schedule.linear { from = 0.3, to = -1, steps = 100 } }
    end)
    fails("rate: a number of at least 0 and less than 1 expected, got a brood.Schedule", function()
        given { out = 1, rate = fading }
    end)
end

function Values.test_hyperparameters()
    fails("slope: a number of at least 0, the name of a hyperparameter or a schedule expected, got the text ''", function()
        given { out = 1, slope = "" }
    end)
    fails("out: a whole number of at least 1 expected, got the text 'width': it shapes the network, so no hyperparameter"
        .. " can stand for it", function() given { out = "width" } end)
    fails("rate: a number of at least 0 and less than 1 expected, got the text 'r'", function()
        given { out = 1, rate = "r" }
    end)
end

function Values.test_other_types()
    fails("bias: true or false expected, got 1", function() given { out = 1, bias = 1 } end)
    fails("title: a text expected, got 1", function() given { out = 1, title = 1 } end)
    fails("each: a function expected, got a table", function() given { out = 1, each = {} } end)
    fails("table: a table expected, got a function", function() given { out = 1, table = print } end)
    fails("even: an even number expected, got 3: so near", function() given { out = 1, even = 3 } end)
    fails("even: an even number expected, got 5", function() given { out = 1, even = 5 } end)
    fails("any: an initializer expected, got a brood.Graph", function() given { out = 1, any = graph.new() } end)
end

function Values.test_choices()
    fails("mode: one of 'up', 'down' expected, got the text 'dwon': did you mean 'down'?", function()
        given { out = 1, mode = "dwon" }
    end)
    fails("mode: one of 'up', 'down' expected, got 3", function() given { out = 1, mode = 3 } end)
end

-- ---- lists --------------------------------------------------------------------------------------------------------

local function list(options)
    return check.fields("nn.list", options, { [1] = { "number" }, last = { "boolean" } })
end

function Lists.test_elements()
    lu.assertEquals(list { 4, 5, last = true }, { 4, 5, last = true })
    lu.assertEquals(list {}, {})
    fails("nn.list[2]: a number expected, got the text 'x'", function() list { 1, "x" } end)
end

function Lists.test_gaps()
    fails("nn.list[2] is missing", function() list { 1, nil, 3 } end)
    fails("nn.list: element 5 stands behind a gap", function() list { 1, [5] = 2 } end)
    fails("nn.list: element 0 stands behind a gap", function() list { 1, [0] = 2 } end)
    fails("nn.list: element 1.5 stands behind a gap", function() list { 1, [1.5] = 2 } end)
end

-- ---- words --------------------------------------------------------------------------------------------------------

function Words.test_describe()
    lu.assertEquals(check.describe(nil), "nothing")
    lu.assertEquals(check.describe("x"), "the text 'x'")
    lu.assertEquals(check.describe(3), "3")
    lu.assertEquals(check.describe(0.25), "0.25")
    lu.assertEquals(check.describe(false), "false")
    lu.assertEquals(check.describe({}), "a table")
    lu.assertEquals(check.describe(print), "a function")
    lu.assertEquals(check.describe(graph.new()), "a brood.Graph")
end

function Words.test_hint()
    lu.assertEquals(check.hint("kernal", { "kernel", "pad" }), ": did you mean 'kernel'?")
    lu.assertEquals(check.hint("something", { "kernel", "pad" }), "")
    lu.assertEquals(check.hint(3, { "kernel" }), "")
end

-- ---- modules and constructors -------------------------------------------------------------------------------------

function Modules.test_a_name_that_is_not_there()
    local module = check.module("brood.some", { linear = 1, conv = 2 })
    lu.assertEquals(module.linear, 1)
    fails("brood.some has no 'linaer': did you mean 'linear'?", function() return module.linaer end)
    fails("brood.some has no 'xyz'", function() return module.xyz end)
    fails("brood.some has no '3'", function() return module[3] end)
end

function Modules.test_a_constructor_in_a_tail_call()
    local line = debug.getinfo(1, "l").currentline + 2
    local make = check.constructor(function(options) return given(options) end)
    local function build() return make { out = 0 } end
    local fine, message = pcall(build)
    lu.assertFalse(fine)
    lu.assertStrContains(message, ("test_check.lua:%d: nn.thing: out"):format(line))
    lu.assertEquals(check.constructor(function(a, b) return b, a end)(1, 2), 2)
    lu.assertEquals({ check.constructor(function(a, b) return b, a end)(1, 2) }, { 2, 1 })
end

support.main { Fields = Fields, Values = Values, Lists = Lists, Words = Words, Modules = Modules }
