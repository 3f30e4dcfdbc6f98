-- Members that are no GANs: functions of a script, or any program.
--
--     members = pbt.member {
--         init = function(h, rng, slot) return { theta = { 0.9, 0.9 } } end,      -- a member that has not trained
--         step = function(me, h, steps, rng) ... end,                           -- trains it: changes `me`
--         score = function(me, h, rng) return 1.2 - me.theta[1]^2 end,          -- score [, deviation [, reports]]
--         reports = { "loss" },                                                 -- names of report scores, if there are any
--         save = function(me) return data end, load = function(data) return me end,
--     }
-- `h` holds the present hyperparameters. `rng` is a stream of the member's own, another one for every call, and what the
-- functions do is to depend on nothing else. `me` is copied by what save returns, plain data; without save and load it must
-- be plain data itself.
--
--     members = pbt.program { command = { "python3", "trainer.py" }, reports = { "loss" }, time_limit = 600 }
-- is started once for each member, in the script's folder, and spoken to in lines of JSON: scripts/programs/PROTOCOL.md.
local check = require "brood.check"
local core = require "brood.population.core"
local plain = require "brood.plain"

local member = {}

local function is_names(value)
    if type(value) ~= "table" then return false end
    for _, name in ipairs(value) do
        if type(name) ~= "string" or name == "" then return false end
    end
    return true
end

local NAMES = { "list of names", is = is_names }
local FUNCTION = { "function" }
local NEEDED = { "function", required = true }

function member.functions(given)
    local fields = check.fields("pbt.member", given, {
        init = NEEDED, step = NEEDED, score = NEEDED, save = FUNCTION, load = FUNCTION, reports = NAMES,
    })
    if (fields.save == nil) ~= (fields.load == nil) then
        check.value("pbt.member: " .. (fields.save and "load" or "save"), nil, NEEDED)
    end
    fields.member = "lua"
    return fields
end

function member.program(given)
    local fields = check.fields("pbt.program", given, {
        command = { "list of words, as { \"python3\", \"trainer.py\" },", required = true, is = function(value)
            return is_names(value) and #value > 0
        end },
        reports = NAMES,
        time_limit = { "number", above = 0, default = 600 }, -- seconds that a command may take
        step_limit = { "number", above = 0 },                -- and to train an interval, if that is to be another
    })
    fields.member = "program"
    return fields
end

function member.is(value) return type(value) == "table" and value.member ~= nil end

-- ---- members in Lua, as the population calls them ------------------------------------------------------------------

-- What `score` returned: the deviation and the reports may be left out; reports by name or in order.
local function results(fields, score, deviation, reports)
    if type(score) ~= "number" then error("score: a number expected, got " .. check.describe(score), 0) end
    local list = {}
    for i, name in ipairs(fields.reports or {}) do
        list[i] = type(reports) == "table" and (reports[name] or reports[i]) or nil
        if type(list[i]) ~= "number" then
            error(("score: a number for the report score %s expected, got %s"):format(name, check.describe(list[i])), 0)
        end
    end
    return score, deviation or 0, list
end

local function made(what, me)
    if me == nil then error(what .. ": a member expected, the function returned nothing", 0) end
    return me
end

-- What a function changes in its `h` is nobody else's.
local function copy(values)
    local other = {}
    for name, value in pairs(values) do other[name] = value end
    return other
end

local RANDOM_SEEDS = 0x7FFFFFFF

-- The functions of app/lua/population/lua_member.c. A member is { me, h, slot, and the steps it has made }.
function member.calls(fields, seed)
    local function rng(one, purpose, counter)
        math.randomseed(core.rng(seed, one.slot, "lua.math." .. purpose, counter):integer(0, RANDOM_SEEDS))
        return core.rng(seed, one.slot, "lua." .. purpose, counter)
    end
    local calls = {}
    function calls.create(slot, values)
        local one = { slot = slot, h = values, steps = 0 }
        one.me = made("init", fields.init(copy(values), rng(one, "init", 0), slot))
        return one
    end
    function calls.apply(one, values)
        one.h = values
        return values
    end
    function calls.step(one, first, steps)
        one.steps = first + steps
        fields.step(one.me, copy(one.h), steps, rng(one, "step", first))
    end
    function calls.score(one)
        return results(fields, fields.score(one.me, copy(one.h), rng(one, "score", one.steps)))
    end
    function calls.save(one)
        return plain.encode(fields.save and made("save", fields.save(one.me)) or one.me, "the member")
    end
    function calls.load(one, text)
        local data, message = plain.decode(text)
        if data == nil then error("its state cannot be read: " .. tostring(message), 0) end
        one.me = fields.load and made("load", fields.load(data)) or data
    end
    return calls
end

return member
