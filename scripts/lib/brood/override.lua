-- What the command line changes in an experiment: --set NAME=VALUE. NAME is a field that holds a number, a text or true
-- and false; a field within one, as in exploit.top or g_optimizer.lr; or hyper.NAME, which is pinned to a number.
local check = require "brood.check"
local script = require "brood.script"

local INNER = { "hyper", "exploit", "explore", "g_optimizer", "d_optimizer" }

local function read(text)
    if text == "true" then return true elseif text == "false" then return false end
    return math.tointeger(tonumber(text)) or tonumber(text) or text
end

local function fail(name, text, ...)
    script.fail(("--set %s: "):format(name) .. text:format(...))
end

-- A field of its own: what is written there is checked as if the script had said it.
local function scalar(rule)
    return rule[1] == "number" or rule[1] == "string" or rule[1] == "boolean" or rule[1]:find("^number") ~= nil
end

local function set_field(given, name, value, rules)
    local rule = rules[name]
    if not rule then
        fail(name, "an experiment has no such field%s", check.hint(name, check.names(rules)))
    elseif not scalar(rule) then
        fail(name, "a field that holds a number, a text, or true or false, expected%s", name == "hyper"
            and ", as in --set hyper.g_lr=2e-4" or "")
    end
    given[name] = value
end

local function set_inner(given, outer, inner, value, rules)
    local name, of = outer .. "." .. inner, given[outer]
    local known = false
    for _, possible in ipairs(INNER) do known = known or possible == outer end
    if not known then
        fail(name, "nothing within %s can be set: only fields of the experiment, and what is in %s%s", outer,
            table.concat(INNER, ", "), check.hint(outer, rules[outer] and {} or INNER))
    elseif type(of) ~= "table" then
        fail(name, "the script gives no %s", outer)
    elseif of[inner] == nil or inner == "kind" or inner == "rule" or type(of[inner]) == "table" and outer ~= "hyper" then
        local names = {}
        for _, key in ipairs(check.names(of)) do
            if key ~= "kind" and key ~= "rule" then names[#names + 1] = key end
        end
        fail(name, "there is no '%s'%s: there are %s", inner, check.hint(inner, names), table.concat(names, ", "))
    end
    if outer == "hyper" then check.value("--set " .. name, value, { "number" }) end
    local copy = {}
    for key, old in pairs(of) do copy[key] = old end
    copy[inner] = value
    given[outer] = copy
end

-- Changes `given`, the fields of an experiment whose rules are `rules`. An override is { name, text }.
return function(given, override, rules)
    local name, value = override[1], read(override[2])
    local outer, inner = name:match "^([^.]+)%.(.+)$"
    if outer then
        set_inner(given, outer, inner, value, rules)
    else
        set_field(given, name, value, rules)
    end
end
