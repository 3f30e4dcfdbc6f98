-- What a script finds around it: guarded globals, libraries, text-only loading, modules, random numbers.
local support = require "support"
local lu, fails = support.lu, support.fails

local Globals, Libraries, Loading, Modules, RandomNumbers, Helpers = {}, {}, {}, {}, {}, {}

-- ---- globals ----------------------------------------------------------------------------------------------

function Globals.test_reading_an_undefined_one()
    fails("there is no global 'pritn': did you mean 'print'?", function() pritn("x") end)
    fails("there is no global 'tostrin': did you mean 'tostring'?", function() return tostrin end)
    fails("there is no global 'completely_unknown'", function() return completely_unknown end)
    fails("there is no global 'completely_unknown'", function() return _G.completely_unknown end)
end

function Globals.test_writing_an_undefined_one()
    fails("assignment to the undefined global 'count' (a new name is declared with local)", function()
        count = 1
    end)
    fails("assignment to the undefined global 'f'", function() function f() end end)
    fails("globals have names, not a number", function() return _G[1] end)
end

function Globals.test_the_guard_can_be_asked_and_passed()
    lu.assertNil(rawget(_G, "made_here"))
    rawset(_G, "made_here", 5)
    lu.assertEquals(made_here, 5)
    made_here = 6
    lu.assertEquals(made_here, 6)
    rawset(_G, "made_here", nil)
    lu.assertEquals(getmetatable(_G), "guarded")
end

-- ---- libraries --------------------------------------------------------------------------------------------

function Libraries.test_what_there_is()
    local names = { "coroutine", "debug", "io", "math", "os", "package", "string", "table", "utf8" }
    for _, name in ipairs(names) do lu.assertIsTable(_G[name], name) end
    lu.assertEquals(_VERSION, "Lua 5.4")
end

function Libraries.test_what_there_is_not()
    lu.assertNil(package.loadlib)
    lu.assertEquals(package.cpath, "")
    for _, name in ipairs { "setmetatable", "getregistry", "setuservalue", "upvaluejoin", "setupvalue" } do
        lu.assertNil(debug[name], name)
    end
    lu.assertIs(require "debug", debug)
end

-- ---- loading: text only -----------------------------------------------------------------------------------

local compiled = string.dump(function() return 1 end)

function Loading.test_load()
    lu.assertEquals(load("return 1 + 1")(), 2)
    lu.assertEquals(load("return ...", "chunk", "bt")(7), 7)
    lu.assertEquals(load("return x", "chunk", "t", { x = 3 })(), 3)
    lu.assertNil(load("return x", "chunk", nil, {})())
    local parts = { "return ", "4", nil }
    local i = 0
    lu.assertEquals(load(function() i = i + 1 return parts[i] end)(), 4)
    local f, message = load("return +")
    lu.assertNil(f)
    lu.assertStrContains(message, "unexpected symbol")
end

function Loading.test_compiled_chunks_are_refused()
    for _, mode in ipairs { "b", "bt", "t" } do
        local f, message = load(compiled, "chunk", mode)
        lu.assertNil(f)
        lu.assertStrContains(message, "attempt to load a binary chunk")
    end
    lu.assertNil((load(compiled)))
end

local function with_file(text, use)
    local name = os.tmpname()
    local file = assert(io.open(name, "wb"))
    file:write(text)
    file:close()
    local result = table.pack(pcall(use, name))
    os.remove(name)
    return table.unpack(result, 1, result.n)
end

function Loading.test_files()
    lu.assertEquals(select(2, with_file("return 5, 6", dofile)), 5)
    lu.assertEquals(select(3, with_file("return 5, 6", dofile)), 6)
    lu.assertEquals(select(2, with_file("return 5", function(name) return loadfile(name)() end)), 5)
    local function with_environment(name) return loadfile(name, "t", { x = 9 })() end
    lu.assertEquals(select(2, with_file("return x", with_environment)), 9)
    lu.assertFalse((with_file(compiled, dofile)))
    lu.assertNil(select(2, with_file(compiled, loadfile)))
    lu.assertNil(select(2, with_file(compiled, function(name) return loadfile(name, "b") end)))
    fails("", function() error(select(2, pcall(dofile, "/nowhere/at/all.lua"))) end)
end

-- ---- modules ----------------------------------------------------------------------------------------------

function Modules.test_the_library()
    local brood, graph = require "brood", require "brood.graph"
    lu.assertIs(brood.graph, graph)
    lu.assertIs(require "brood", brood)
end

function Modules.test_one_that_is_not_there()
    local fine, message = pcall(require, "brood.nothing_of_this_name")
    lu.assertFalse(fine)
    lu.assertStrContains(message, "module 'brood.nothing_of_this_name' not found")
    lu.assertStrContains(message, "tests/lua/brood/nothing_of_this_name.lua")
    lu.assertStrContains(message, "no 'brood/nothing_of_this_name.lua' in Brood's library")
end

function Modules.test_the_path_can_be_set()
    local before = package.path
    package.path = "/nowhere/?.lua"
    local fine, message = pcall(require, "some_module")
    package.path = before
    lu.assertFalse(fine)
    lu.assertStrContains(message, "no file '/nowhere/some_module.lua'")
end

function Modules.test_one_with_a_mistake()
    local folder = os.tmpname()
    os.remove(folder)
    local file = assert(io.open(folder .. ".lua", "w"))
    file:write("return +")
    file:close()
    local before = package.path
    package.path = folder:match "^(.*)/" .. "/?.lua"
    local fine, message = pcall(require, folder:match "[^/]*$")
    package.path = before
    os.remove(folder .. ".lua")
    lu.assertFalse(fine)
    lu.assertStrContains(message, "error loading module")
    lu.assertStrContains(message, ".lua:1: unexpected symbol")
end

-- ---- random numbers ---------------------------------------------------------------------------------------

function RandomNumbers.test_the_seed_is_a_number()
    math.randomseed(7)
    local first = { math.random(1000), math.random(1000), math.random(1000) }
    math.randomseed(7)
    lu.assertEquals({ math.random(1000), math.random(1000), math.random(1000) }, first)
    math.randomseed(8)
    lu.assertNotEquals({ math.random(1000), math.random(1000), math.random(1000) }, first)
    math.randomseed(1, 2)
    fails("math.randomseed: give it a number", function() math.randomseed() end)
    fails("math.randomseed: give it a number", function() math.randomseed("7") end)
end

-- ---- helpers for the library ------------------------------------------------------------------------------

function Helpers.test_script()
    local script = require "brood.script"
    local line = debug.getinfo(1, "l").currentline + 1
    lu.assertStrContains(script.line(), "test_script.lua:" .. line)
    fails("went wrong", function() script.fail("went wrong") end)
    lu.assertEquals(script.nearest("linera", { "linear", "conv", 3, false }), "linear")
    lu.assertEquals(script.nearest("LINEAR", { "linear" }), "linear")
    lu.assertEquals(script.nearest("padding", { "stride", "pad" }), "pad")
    lu.assertNil(script.nearest("something", { "linear", "conv" }))
    lu.assertNil(script.nearest(("x"):rep(500), { ("x"):rep(500) }))
end

support.main { Globals = Globals, Libraries = Libraries, Loading = Loading, Modules = Modules,
    RandomNumbers = RandomNumbers, Helpers = Helpers }
