-- Checks what is given to constructors: nn.conv { out = 64 }, loss.hinge {}, pbt.truncation { top = 0.2 } ...
--
--     local options = check.fields("nn.conv", given, {
--         out = { "number", integer = true, min = 1, required = true, shapes = true },
--         slope = { "number", default = 0.2, live = true },
--         mode = { "string", choices = { "up", "down" } },
--         norm = { "layer", is = is_layer },       -- a type of our own
--         [1] = { "layer", is = is_layer },        -- each element of the list part
--     })
--
-- A rule's first element is a type of Lua's, or any name with an `is` function beside it. Then:
--     required = true             it must be given          default = v    what it is otherwise
--     integer = true              a whole number
--     min, max, above, below      bounds of a number: from, to, greater than, less than
--     live = true                 the name of a hyperparameter, or a schedule, may stand for the number
--     shapes = true               it may not, since the number shapes the network; the error says so
--     choices = { ... }           the texts that are possible
--     hint = function(value)      more words for the error about a wrong value
-- Errors begin with the line of the script that called the constructor.
local script = require "brood.script"

local check = {}

-- ---- words for errors ---------------------------------------------------------------------------------------------

-- A value, as errors call it: "nothing", "the text 'x'", "-3", "a brood.Tensor".
function check.describe(value)
    local kind = type(value)
    if kind == "nil" then return "nothing" end
    if kind == "string" then return ("the text '%s'"):format(value) end
    if value ~= value then return "nan" end -- C writes -nan, too
    if kind == "number" then return math.type(value) == "integer" and tostring(value) or ("%.6g"):format(value) end
    if kind == "boolean" then return tostring(value) end
    local class = getmetatable(value)
    return "a " .. (type(class) == "string" and class or kind)
end

-- Where a function is written: "dcgan.lua:17".
function check.place(f)
    local place = debug.getinfo(f, "S")
    return ("%s:%d"):format(place.short_src, place.linedefined)
end

-- ": did you mean 'pad'?", or nothing where no name is near.
function check.hint(name, names)
    local near = type(name) == "string" and script.nearest(name, names)
    return near and (": did you mean '%s'?"):format(near) or ""
end

-- The names among a table's keys, in order.
function check.names(of)
    local names = {}
    for name in pairs(of) do
        if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    return names
end

local function number_expected(rule)
    local text = rule.integer and "a whole number" or "a number"
    if rule.min and rule.max then return ("%s from %.6g to %.6g"):format(text, rule.min, rule.max) end
    local bounds = {}
    if rule.min then bounds[#bounds + 1] = ("of at least %.6g"):format(rule.min) end
    if rule.above then bounds[#bounds + 1] = ("greater than %.6g"):format(rule.above) end
    if rule.max then bounds[#bounds + 1] = ("of at most %.6g"):format(rule.max) end
    if rule.below then bounds[#bounds + 1] = ("less than %.6g"):format(rule.below) end
    return text .. (#bounds > 0 and " " or "") .. table.concat(bounds, " and ")
end

-- What a rule asks for: "a whole number of at least 1".
local function expected(rule)
    local kind = rule[1]
    if rule.choices then return "one of '" .. table.concat(rule.choices, "', '") .. "'" end
    if kind == "boolean" then return "true or false" end
    if kind == "string" then return "a text" end
    if kind ~= "number" then return (kind:find "^[aeiou]" and "an " or "a ") .. kind end
    return number_expected(rule) .. (rule.live and ", the name of a hyperparameter or a schedule" or "")
end

-- ---- one value ----------------------------------------------------------------------------------------------------

local function fits_number(value, rule)
    return type(value) == "number" and value == value and math.abs(value) < math.huge
        and (not rule.integer or math.tointeger(value) ~= nil)
        and (not rule.min or value >= rule.min) and (not rule.max or value <= rule.max)
        and (not rule.above or value > rule.above) and (not rule.below or value < rule.below)
end

local function fits_live(value, rule)
    if getmetatable(value) == "brood.Schedule" then
        local low, high = value:range()
        return fits_number(low, rule) and fits_number(high, rule)
    end
    return type(value) == "string" and value ~= ""
end

local function fits(value, rule)
    if rule.is then return rule.is(value) end
    if rule[1] == "number" then return fits_number(value, rule) or rule.live and fits_live(value, rule) end
    if rule.choices then
        for _, choice in ipairs(rule.choices) do
            if value == choice then return true end
        end
        return false
    end
    return type(value) == rule[1]
end

-- A value that is named `what` in errors. Returns it; whole numbers become integers.
function check.value(what, value, rule)
    if fits(value, rule) then return rule.integer and math.tointeger(value) or value end
    if value == nil then script.fail(("%s is missing: %s expected"):format(what, expected(rule))) end
    local hint = rule.choices and check.hint(value, rule.choices) or rule.hint and rule.hint(value) or ""
    if rule.shapes and type(value) == "string" then
        hint = ": it shapes the network, so no hyperparameter can stand for it"
    end
    script.fail(("%s: %s expected, got %s%s"):format(what, expected(rule), check.describe(value), hint))
end

-- ---- all fields ---------------------------------------------------------------------------------------------------

local function unknown(what, name, rules)
    local names = check.names(rules)
    local hint = check.hint(name, names)
    if hint == "" then
        hint = #names == 0 and ": it has none" or ": it has " .. table.concat(names, ", ")
    end
    script.fail(("%s: there is no field '%s'%s"):format(what, name, hint))
end

local function check_names(what, given, rules)
    local elements = #given
    for key in pairs(given) do
        if type(key) == "string" and not rules[key] then unknown(what, key, rules) end
        local in_list = math.type(key) == "integer" and key >= 1 and key <= elements
        if type(key) == "number" and rules[1] and not in_list then
            script.fail(("%s: element %s stands behind a gap: the one before it is nil"):format(what, key))
        elseif type(key) ~= "string" and not (rules[1] and in_list) then
            script.fail(("%s: named fields expected, as in %s { name = value }, got an element [%s]"):format(what,
                what, tostring(key)))
        end
    end
end

-- A new table of the given fields and the defaults of the others. Nothing given is as good as {}.
function check.fields(what, given, rules)
    given = given == nil and {} or given
    if type(given) ~= "table" then
        script.fail(("%s: a table of options expected, as in %s { ... }, got %s"):format(what, what,
            check.describe(given)))
    end
    check_names(what, given, rules)
    local fields = {}
    for i = 1, #given do fields[i] = check.value(("%s[%d]"):format(what, i), given[i], rules[1]) end
    for _, name in ipairs(check.names(rules)) do
        local rule, value = rules[name], given[name]
        if value ~= nil or rule.required then
            fields[name] = check.value(("%s: %s"):format(what, name), value, rule)
        else
            fields[name] = rule.default
        end
    end
    return fields
end

-- ---- modules and constructors -------------------------------------------------------------------------------------

-- Makes the use of a name that the module does not have an error; its text are the names that it has. Returns the module.
function check.module(name, module)
    return setmetatable(module, {
        __tostring = function() return name .. ": " .. table.concat(check.names(module), ", ") end,
        __index = function(_, key)
            script.fail(("%s has no '%s'%s"):format(name, tostring(key), check.hint(key, check.names(module))))
        end,
    })
end

-- A function that errors and lines shall be blamed on its caller's line, even in `return nn.relu {}`: a tail call
-- replaces the caller's frame by that of a Lua function, but not by one of C.
check.constructor = script.constructor

return check
