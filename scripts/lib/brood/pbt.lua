-- Population based training (Jaderberg et al. 2017, arXiv 1711.09846): what an experiment says of its hyperparameters and
-- of how members inherit from each other.
--
--     hyper   = { g_lr = pbt.log_uniform(1e-5, 1e-2), d_steps = pbt.integer(1, 5), width = pbt.structural(pbt.choice { 8, 16 }) }
--     exploit = pbt.truncation { bottom = 0.2, top = 0.2 }
--     explore = pbt.perturb { factors = { 0.8, 1.25 } }
--
-- Hyperparameters keep to their bounds for ever. Explore walks on the axis on which the prior is even, in equal steps up
-- and down, and turns round at the bounds (pbt.perturb tells how far): nothing drifts by itself.
--
-- Either rule may be a function. Both are to depend on what they are given alone; `rng` draws random numbers:
--     exploit = function(me, others, rng) return others[1] end           -- the donor, or nil; failed ones are left out
--     explore = function(h, rng) h.g_lr = h.g_lr * rng:uniform(0.5, 2) return h end
-- A member is a table: slot, score, deviation, reports, fitness (what is compared: greater is better, whatever the score
-- is), values (its hyperparameters), window (the last scores of its lineage), steps, age, parent, failed, pinned.
local check = require "brood.check"
local script = require "brood.script"

local pbt = {}

-- ---- search space --------------------------------------------------------------------------------------------------

local Hyper = { __metatable = "brood.Hyper" } -- the name errors call it by
Hyper.__index = Hyper

local function hyper(fields) return setmetatable(fields, Hyper) end

-- As the script has it: pbt.uniform(0, 0.9).
function Hyper:__tostring()
    local words = {}
    if self.kind == "constant" then
        words[1] = ("%.6g"):format(self.low)
    elseif self.low then
        words[1], words[2] = ("%.6g"):format(self.low), ("%.6g"):format(self.high)
    end
    for i, option in ipairs(self.numbers or {}) do words[i] = ("%.6g"):format(option) end
    for i, option in ipairs(self.labels or {}) do words[i] = ("%q"):format(option) end
    local text = ("pbt.%s%s%s%s"):format(self.kind, self.low and "(" or " { ", table.concat(words, ", "),
        self.low and ")" or " }")
    return self.structural and "pbt.structural(" .. text .. ")" or text
end

local NUMBER = { "number", required = true }

local function range(kind, rule)
    return function(low, high)
        local what = "pbt." .. kind
        low, high = check.value(what .. ": low", low, rule), check.value(what .. ": high", high, rule)
        if not (low < high) then
            script.fail(("%s(%s, %s) is empty: the first bound must lie below the second; a plain number is a constant")
                :format(what, tostring(low), tostring(high)))
        end
        return hyper { kind = kind, low = low, high = high }
    end
end

-- A number between two bounds, all equally likely; by its logarithm; or a whole number, both bounds included.
pbt.uniform = range("uniform", NUMBER)
pbt.log_uniform = range("log_uniform", { "number", above = 0, required = true })
pbt.integer = range("integer", { "number", integer = true, required = true })

-- Options, all numbers or all texts.
local function list(kind)
    return function(options)
        local what = "pbt." .. kind
        if type(options) ~= "table" or #options == 0 then
            script.fail(("%s: a list of options expected, as in %s { 32, 64 }, got %s"):format(what, what,
                type(options) == "table" and "an empty one" or check.describe(options)))
        end
        local type_of, seen = type(options[1]), {}
        for i, option in ipairs(options) do
            if type(option) ~= type_of or type_of ~= "number" and type_of ~= "string" then
                script.fail(("%s: options are all numbers or all texts, option %d is %s"):format(what, i,
                    check.describe(option)))
            end
            if seen[option] then script.fail(("%s: option %d, %s, is there twice"):format(what, i, tostring(option))) end
            seen[option] = true
        end
        local copy = table.move(options, 1, #options, 1, {})
        return hyper { kind = kind, [type_of == "number" and "numbers" or "labels"] = copy }
    end
end

-- One of an ordered list, whose neighbors explore moves to; or of one without order, which is only ever drawn anew.
pbt.choice = list "choice"
pbt.category = list "category"

-- What never changes. A plain number in `hyper` means the same.
function pbt.constant(value)
    return hyper { kind = "constant", low = check.value("pbt.constant", value, NUMBER) }
end

-- What shapes the networks: generator(h) and discriminator(h) see it as h.NAME. It is copied with the weights, and never
-- explored.
function pbt.structural(of)
    if type(of) == "number" then of = pbt.constant(of) end
    if getmetatable(of) ~= "brood.Hyper" then
        script.fail(("pbt.structural: a hyperparameter expected, as in pbt.structural(pbt.choice { 32, 64 }), got %s"):format(
            check.describe(of)))
    end
    local copy = {}
    for key, value in pairs(of) do copy[key] = value end
    copy.structural = true
    return hyper(copy)
end

-- ---- how rules were written ----------------------------------------------------------------------------------------

-- Rules are plain data, which schedules may keep; so what made one stands beside it: { name, options }.
local written = setmetatable({}, { __mode = "k" })

local function remember(rule, name, options)
    written[rule] = { name, options }
    return rule
end

local function option_text(value)
    if type(value) ~= "table" then return ("%.6g"):format(value) end
    local words = {}
    for i, element in ipairs(value) do words[i] = ("%.6g"):format(element) end
    return "{ " .. table.concat(words, ", ") .. " }"
end

-- A rule as the script has it, with all its options.
local function rule_text(name, options)
    local words = {}
    for _, option in ipairs(check.names(options)) do
        words[#words + 1] = ("%s = %s"):format(option, option_text(options[option]))
    end
    return ("pbt.%s {%s}"):format(name, #words > 0 and " " .. table.concat(words, ", ") .. " " or "")
end

-- ---- exploit -------------------------------------------------------------------------------------------------------

local SHARE = { "number", above = 0, max = 0.5, default = 0.2 }

local function exploit(kind, rules)
    return function(given)
        local options, rule = check.fields("pbt." .. kind, given, rules), { kind = kind, rule = "exploit" }
        for name, value in pairs(options) do rule[name] = value end
        return remember(rule, kind, options)
    end
end

-- The bottom share copies a random member of the top share; a share selects at least one member, at most half.
pbt.truncation = exploit("truncation", { bottom = SHARE, top = SHARE })
-- Each compares itself with one other at random, and copies it if that is better.
pbt.tournament = exploit("tournament", {})
-- The same, if Welch's t-test of the last `window` scores of both lineages says so: p, two-sided, below `level`.
pbt.ttest = exploit("ttest", {
    window = { "number", integer = true, min = 2, max = 64, default = 10 },
    level = { "number", above = 0, below = 1, default = 0.05 },
})
-- Nobody copies.
pbt.none = exploit("none", {})

-- ---- explore -------------------------------------------------------------------------------------------------------

local CHANCE = { "number", min = 0, max = 1 }
local FACTORS = { "list of numbers above 0", is = function(value)
    if type(value) ~= "table" or #value == 0 or #value > 8 then return false end
    for _, factor in ipairs(value) do
        if type(factor) ~= "number" or not (factor > 0 and factor < math.huge) then return false end
    end
    return true
end }

-- The options, with the usual ones where none are given.
local function explore(kind, given, usual)
    local options = check.fields("pbt." .. kind, given, {
        factors = usual.factors and FACTORS, chance = CHANCE, resample = usual.resample and CHANCE,
    })
    for name, value in pairs(usual) do
        if options[name] == nil then options[name] = value end
    end
    local rule = { kind = "rule", rule = "explore" }
    for name, value in pairs(options) do rule[name] = value end
    return remember(rule, kind, options), options
end

-- Each hyperparameter, with probability `chance`, walks by one of the factors f, drawn evenly:
--     log_uniform    × f, which is ln f along the axis of the logarithm
--     uniform        + ln f × half the range: with f = 2 on uniform(0, 0.9), + 0.31, and with f = 0.5, - 0.31
--     integer        the same, and to the whole number that is there, or by chance its neighbor
--     choice         one option up where f is above 1, one down where it is below; at an end it stays
-- and turns round at the bounds: what would go beyond one by d comes to stand d before it. category is left alone.
-- (pbt/space.c)
function pbt.perturb(given) return (explore("perturb", given, { factors = { 0.8, 1.25 }, chance = 1 })) end
-- Each, with probability `chance`, is drawn from its prior anew.
function pbt.resample(given)
    local _, options = explore("resample", given, { chance = 0.25 })
    return remember({ kind = "rule", rule = "explore", factors = {}, chance = 0, resample = options.chance }, "resample",
        options)
end
-- Each, with probability `resample`, is drawn anew, and otherwise, with probability `chance`, walks.
function pbt.both(given)
    return (explore("both", given, { factors = { 0.8, 1.25 }, chance = 1, resample = 0.25 }))
end

-- ---- members that are no GANs --------------------------------------------------------------------------------------

-- A member written in Lua (member.lua tells what the functions are given), and one that is a program (scripts/programs).
function pbt.member(given) return require("brood.member").functions(given) end
function pbt.program(given) return require("brood.member").program(given) end

for name, f in pairs(pbt) do pbt[name] = check.constructor(f) end

-- What a rule is: "exploit", "explore", or nil.
function pbt.is_rule(value) return type(value) == "table" and value.rule or nil end
function pbt.is_hyper(value) return getmetatable(value) == "brood.Hyper" end

-- How a rule was made: the name of the constructor, and its options. nil: not by one of them.
function pbt.written(rule)
    if written[rule] then return table.unpack(written[rule]) end
end

-- A rule as the script has it, or nil.
function pbt.text(rule)
    return written[rule] and rule_text(table.unpack(written[rule])) or nil
end

return check.module("brood.pbt", pbt)
