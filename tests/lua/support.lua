-- What the Lua tests share.
package.path = package.path .. ";/usr/share/lua/5.4/?.lua"

-- luaunit reads and writes undefined globals, which the guard refuses: it gets an environment of its own.
local function unguarded(module)
    local function look_up(_, name) return rawget(_G, name) end
    local environment = setmetatable({ arg = arg }, { __index = look_up })
    environment._G = environment
    local file = assert(package.searchpath(module, package.path))
    return assert(loadfile(file, "t", environment))(module, file)
end

local lu = unguarded "luaunit"
local graph = require "brood.graph"

local support = { lu = lu }

-- Runs the suites { TestName = { test_this = function() ... end } } and ends the program.
function support.main(suites)
    local list = {}
    for name, suite in pairs(suites) do list[#list + 1] = { name, suite } end
    table.sort(list, function(a, b) return a[1] < b[1] end)
    local runner = lu.LuaUnit.new()
    runner:setOutputType("text")
    os.exit(runner:runSuiteByInstances(list) == 0, true)
end

-- The numbers of a tensor, flat, for given inputs.
function support.numbers(g, tensor, inputs)
    return g:compile({ y = tensor }):run(inputs or {}).y:flat()
end

-- Both lists have the same numbers, but for rounding.
function support.near(actual, expected, margin)
    lu.assertEquals(#actual, #expected)
    for i = 1, #expected do
        local scale = math.max(1, math.abs(expected[i]))
        if not (math.abs(actual[i] - expected[i]) <= (margin or 1e-5) * scale) then
            lu.fail(("element %d: %.9g expected, got %.9g"):format(i, expected[i], actual[i]))
        end
    end
end

-- f fails, its error names a line of f's own, or of the function `maker` that makes experiments for it, and then says
-- something that holds `text`.
function support.fails(text, f, maker)
    local fine, message = pcall(f)
    lu.assertFalse(fine, "an error was expected: " .. text)
    lu.assertIsString(message)
    local file, line, said = message:match("^(.-):(%d+): (.*)$")
    lu.assertNotNil(file, "the error names no line: " .. message)
    local within = false
    for _, function_ in ipairs { f, maker } do
        local where = debug.getinfo(function_, "S")
        within = within or file == where.short_src and tonumber(line) >= where.linedefined
            and tonumber(line) <= where.lastlinedefined
    end
    lu.assertTrue(within, "the line is not the script's: " .. message)
    lu.assertStrContains(said, text)
end

-- n numbers: 1, 2, ... n, or f(1), f(2), ...
function support.count(n, f)
    local list = {}
    for i = 1, n do list[i] = f and f(i) or i end
    return list
end

return support
