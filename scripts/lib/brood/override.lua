-- What the command line changes in an experiment: --set NAME=VALUE, and options that stand for it. NAME is a field that
-- holds a number, a text or true and false; a field within one, as in exploit.top or g_optimizer.lr; or hyper.NAME, which
-- is pinned to a number, or to one of the texts that it may be. What the script has made by then, such as a loss or a data
-- set, cannot be changed. An override is { name, text }, and may have
--     option    as the user gave it, "--control" for one
--     refuse    what is called with the message of an error, and does not return; otherwise the script fails
--     replaced  the hyperparameter, if it was one, that stood where the value stands now
local check = require "brood.check"
local optim = require "brood.optim"
local pbt = require "brood.pbt"
local script = require "brood.script"

local INNER = { "hyper", "exploit", "explore", "g_optimizer", "d_optimizer" }

local function label(override) return override.option or "--set " .. override[1] end

local function refuse(override, message)
    if override.refuse then override.refuse("%s", message) end
    script.fail(message)
end

local overrides = {}

local function fail(override, text, ...)
    refuse(override, ("%s: "):format(label(override)) .. text:format(...))
end

-- f(...), whose errors are those of the command line: they name no line of the script.
local function guarded(override, before, f, ...)
    local fine, result = pcall(f, ...)
    if fine then return result end
    local line = script.line()
    result = tostring(result)
    if line and result:sub(1, #line + 2) == line .. ": " then result = result:sub(#line + 3) end
    refuse(override, before .. result)
end

-- The value, if it is what the rule asks for.
local function checked(override, value, rule)
    return guarded(override, "", check.value, label(override), value, rule)
end

-- What a constructor makes of options.
local function made(override, constructor, options)
    return guarded(override, label(override) .. ": ", constructor, options)
end

local function read(text)
    if text == "true" then return true elseif text == "false" then return false end
    return math.tointeger(tonumber(text)) or tonumber(text) or text
end

local function join(names) return table.concat(names, ", ") end

-- ---- fields of the experiment -----------------------------------------------------------------------------------------

-- A field of its own: what is written there is checked as if the script had said it.
local function scalar(rule)
    return rule[1] == "number" or rule[1] == "string" or rule[1] == "boolean" or rule[1]:find("^number") ~= nil
end

local function set_field(given, override, rules)
    local name, text = override[1], override[2]
    local rule = rules[name]
    if not rule then
        fail(override, "an experiment has no such field%s", check.hint(name, check.names(rules)))
    elseif name == "hyper" then
        fail(override, "one of them is set, as in --set hyper.g_lr=2e-4")
    elseif not scalar(rule) then
        fail(override, "a field that holds a number, a text, or true or false, expected")
    end
    local value = rule[1] == "string" and text or read(text)
    override.replaced = given[name]
    given[name] = checked(override, value, rule)
end

-- ---- fields within them ------------------------------------------------------------------------------------------------

-- One of the options that have names, as the only one.
local function pin_label(override, hyper)
    local label = checked(override, override[2], { "string", choices = hyper.labels, required = true })
    local pinned = pbt[hyper.kind] { label }
    return hyper.structural and pbt.structural(pinned) or pinned
end

local function set_hyper(override, hyper, inner, value)
    if hyper[inner] == nil then
        local names = check.names(hyper)
        local hint = check.hint(inner, names)
        fail(override, "there is no hyperparameter '%s'%s", inner, hint ~= "" and hint or ": there are " .. join(names))
    end
    if pbt.is_hyper(hyper[inner]) and hyper[inner].labels then return pin_label(override, hyper[inner]) end
    return checked(override, value, { "number" })
end

-- The optimizer made anew: its kind knows what can be set.
local function change_optimizer(override, optimizer, inner, value)
    local settings = { [inner] = value }
    for name, old in pairs(optimizer) do
        name = name == "clip_norm" and "clip" or name
        if name == inner then override.replaced = old end
        if name ~= "kind" and name ~= inner then settings[name] = old end
    end
    return made(override, optim[optimizer.kind], settings)
end

-- The rule made anew, as it was written.
local function change_rule(override, rule, outer, inner, value)
    local kind, options = pbt.written(rule)
    if not kind then fail(override, "the script's %s is no rule such as pbt.truncation {}", outer) end
    local names = check.names(options)
    if options[inner] == nil then
        local hint = check.hint(inner, names)
        if hint == "" then
            hint = #names == 0 and ": nothing can be set in it" or ": there are " .. join(names)
        end
        fail(override, "there is no '%s' in pbt.%s {}%s", inner, kind, hint)
    elseif type(options[inner]) == "table" then
        fail(override, "it holds a list: only numbers can be set here; write the list in the script")
    end
    local changed = { [inner] = value }
    for name, old in pairs(options) do
        if name ~= inner then changed[name] = old end
    end
    return made(override, pbt[kind], changed)
end

local function set_inner(given, override, outer, inner, rules, usual)
    local value, known = read(override[2]), false
    for _, possible in ipairs(INNER) do known = known or possible == outer end
    if not known and rules[outer] then
        fail(override, "the script has made its %s by the time this is read: write %s in the script's `%s = ...`", outer,
            inner, outer)
    elseif not known then
        fail(override, "an experiment has no such field%s: only fields of the experiment can be set, and what is in %s",
            check.hint(outer, check.names(rules)), join(INNER))
    end
    local of = given[outer]
    if of == nil then of = usual(outer, given) end
    if type(of) ~= "table" then
        fail(override, of and "the script's %s is a function" or "the script gives no %s", outer)
    end
    if outer == "hyper" then
        local copy = {}
        for name, old in pairs(of) do copy[name] = old end
        copy[inner] = set_hyper(override, of, inner, value)
        given.hyper = copy
    elseif outer:find "_optimizer$" then
        given[outer] = change_optimizer(override, of, inner, value)
    else
        given[outer] = change_rule(override, of, outer, inner, value)
    end
end

local function parts_of(name) return name:match "^([^.]+)%.(.+)$" end

-- Changes `given`, the fields of an experiment whose rules are `rules`: first whole ones, then what is within one.
-- usual(name, given) is what a field is that is not given.
function overrides.apply(given, list, rules, usual)
    for _, override in ipairs(list) do
        if not parts_of(override[1]) then set_field(given, override, rules) end
    end
    for _, override in ipairs(list) do
        local outer, inner = parts_of(override[1])
        if outer then set_inner(given, override, outer, inner, rules, usual) end
    end
end

-- Fails if nothing reads a hyperparameter since one of the overrides took its place.
function overrides.check_read(list, name)
    for _, override in ipairs(list or {}) do
        if override.replaced == name then
            fail(override, "nothing reads the script's hyperparameter %s any more: pin that instead, --set hyper.%s=%s",
                name, name, override[2])
        end
    end
end

return overrides
