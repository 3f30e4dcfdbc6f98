-- Runs at equal steps. Runs that differ in nothing but the seed are one arm.
--
--     local comparison = comparison.of(runs)
--     arms       { { title =, short =, runs = { ... } }, ... } in the order in which the first of each was given
--     measures   { { name =, better =, of = function(node) }, ... }: the scores that all runs have; better is "higher"
--                or "lower", nil where nobody said so
--     last       the steps up to which all have come
--     warnings   texts
--
-- What counts at a step is the member with the best selection score so far: what a person would have kept. Where
-- nothing was selected by, it is that with the best report score.
local history = require "brood.show.history"
local text = require "brood.show.text"

local comparison = {}

-- Facts that do not make another arm: the seed, what is looked at, and what follows from the classifiers' training.
local SAME = { "^seed$", "^report_best$", "ceiling", "%.better$", "^classifier%." }

-- Fields of a script by which members do not train otherwise.
local UNTRAINED = { "seed", "report_best", "keep_best", "keep_every" }

local LONG = 30  -- characters of a label, beyond which letters stand for them
local MOST = 60  -- of a label
local WORD = 30  -- of what it says of one fact

-- ---- arms ----------------------------------------------------------------------------------------------------------

local function tells_apart(run, name)
    if run.aside[name] then return name == "from" end
    for _, pattern in ipairs(SAME) do
        if name:find(pattern) then return false end
    end
    return true
end

local function sorted_keys(set)
    local keys = {}
    for key in pairs(set) do keys[#keys + 1] = key end
    table.sort(keys)
    return keys
end

local function names_of(runs)
    local names = {}
    for _, run in ipairs(runs) do
        for name in pairs(run.facts) do
            if tells_apart(run, name) then names[name] = true end
        end
    end
    return sorted_keys(names)
end

-- The script that was run, without the likes of the seed in it; and what the command line changed, but for what is a
-- fact itself.
local function script_of(run)
    local file = io.open(run.directory .. "/script.lua", "rb")
    local script = file and file:read "a" or ""
    if file then file:close() end
    local changed = {}
    for name, value in (run.facts.set or ""):gmatch "([%w_.]+)=([^\n]*)" do
        local known = run.facts[name] or name == "steps" or name == "rounds"
        for _, field in ipairs(UNTRAINED) do known = known or name == field end
        if not known then changed[#changed + 1] = name .. "=" .. value end
    end
    for _, field in ipairs(UNTRAINED) do script = script:gsub("%f[%w_]" .. field .. "%s*=%s*%d+%s*,?%s*", "") end
    return script, table.concat(changed, ", ")
end

-- What follows from being a replay.
local OF_A_REPLAY = {
    control = true, population = true, exploit = true, explore = true, interval = true, replay = true,
}

-- Of a replay of a run: whether its schedule or its last values; else nil.
local function replayed(run)
    if not run.facts.replay or not run.facts.replays then return nil end
    return run.facts.replays:find "^the last values" and "constant" or "schedule"
end

-- Each replay has a schedule of its own: what they share is the experiment.
local function signature(run, names)
    local kind = replayed(run)
    local words = { script_of(run), kind }
    for _, name in ipairs(names) do
        if not (kind and OF_A_REPLAY[name]) then words[#words + 1] = name .. "=" .. tostring(run.facts[name]) end
    end
    return table.concat(words, "\n")
end

-- A rule in its parts: "truncation bottom 0.2 ..." is { exploit = "truncation", ["exploit.bottom"] = "0.2", ... }.
local function add_rule(traits, name, rule)
    local key
    for word in rule:gmatch "%S+" do
        if not traits[name] then
            traits[name] = word
        elseif word:find "^%a" then
            key = name .. "." .. word
        elseif key then
            traits[key] = traits[key] and traits[key] .. " " .. word or word
        end
    end
end

-- What a label may say of a run: its facts, rules in their parts. Without exploit there are no rules. Of replays it
-- says what was replayed, in the place of all that follows from that.
local function traits_of(run, names)
    local traits = { from = "scratch" }
    for _, name in ipairs(names) do
        local rule = name == "exploit" or name == "explore"
        if run.facts.replay and OF_A_REPLAY[name] then
            traits.control = replayed(run) or "schedule"
        elseif not rule then
            traits[name] = run.facts[name] or traits[name]
        elseif run.control ~= "random-search" then
            add_rule(traits, name, run.facts[name] or "")
        end
    end
    if run.population == 1 and traits.control == "off" then traits.control = "one member" end
    return traits
end

-- Traits in which arms differ, the word for which is what they hold.
local PLAIN = { control = true, name = true, mode = true, exploit = true, explore = true }

local function word_for(name, value)
    if name == "control" and value == "off" then return "PBT" end
    if name == "exploit" and value == "none" then return "no exploit" end
    return text.cut(PLAIN[name] and value or ("%s %s"):format(name:match "[^.]*$", value), WORD)
end

-- Arms that no fact tells apart differ in their scripts, or in what was changed on the command line.
local function label_scripts(arms)
    local count = {}
    for _, arm in ipairs(arms) do count[arm.label] = (count[arm.label] or 0) + 1 end
    for _, arm in ipairs(arms) do
        local _, changed = script_of(arm.runs[1])
        if changed == "" then changed = "as " .. arm.runs[1].directory end
        changed = text.cut(changed, MOST // 2)
        if count[arm.label] > 1 then
            arm.label = ("%s, %s"):format(text.cut(arm.label, MOST - 2 - text.width(changed)), changed)
        end
    end
end

-- Whether arms that have the trait differ in it.
local function differs(arms, name)
    local first
    for _, arm in ipairs(arms) do
        first = first or arm.traits[name]
        if arm.traits[name] and arm.traits[name] ~= first then return true end
    end
    return false
end

-- What tells most comes first; the end may be cut.
local function names_in_order(traits)
    local names = {}
    for _, name in ipairs { "control", "from" } do names[#names + 1] = traits[name] and name or nil end
    for _, name in ipairs(sorted_keys(traits)) do
        if name ~= "control" and name ~= "from" then names[#names + 1] = name end
    end
    return names
end

local function label_arms(arms, names)
    for _, arm in ipairs(arms) do arm.traits = traits_of(arm.runs[1], names) end
    for _, arm in ipairs(arms) do
        local words = {}
        for _, name in ipairs(names_in_order(arm.traits)) do
            if differs(arms, name) then words[#words + 1] = word_for(name, arm.traits[name]) end
        end
        arm.label = text.cut(#words > 0 and table.concat(words, ", ") or arm.runs[1].name, MOST)
    end
end

-- Long labels are told once, and then a letter stands for each.
local function shorten(arms)
    local long = false
    for _, arm in ipairs(arms) do long = long or text.width(arm.label) > LONG end
    for i, arm in ipairs(arms) do
        arm.short = long and #arms <= 26 and string.char(64 + i) or arm.label
        arm.title = arm.short == arm.label and arm.label or ("%s: %s"):format(arm.short, arm.label)
    end
end

local function add_run(arm, run, warnings)
    local twin = arm.seeds[run.seed]
    local longer = twin and run.times[run.rounds] > twin.times[twin.rounds]
    if twin then
        local left_out, kept = longer and twin or run, longer and run or twin
        warnings[#warnings + 1] = ("%s is left out: it is the same run as %s"):format(left_out.directory, kept.directory)
    end
    if twin and not longer then return end
    arm.seeds[run.seed] = run
    for i, other in ipairs(arm.runs) do
        if other == twin then arm.runs[i] = run end
    end
    if not twin then arm.runs[#arm.runs + 1] = run end
end

-- Whether an arm has a replay of the same seed that is not the same run, as of another member.
local function has_another_schedule(arm, run)
    local twin = arm and arm.seeds[run.seed]
    return twin ~= nil and twin.facts.replay ~= run.facts.replay
end

-- Of two runs that are the same the longer one is kept.
local function make_arms(runs, warnings)
    local names, arms, by_signature = names_of(runs), {}, {}
    for _, run in ipairs(runs) do
        local key = signature(run, names)
        while has_another_schedule(by_signature[key], run) do key = key .. "+" end
        local arm = by_signature[key]
        if not arm then
            arm = { runs = {}, seeds = {} }
            by_signature[key], arms[#arms + 1] = arm, arm
        end
        add_run(arm, run, warnings)
    end
    label_arms(arms, names)
    label_scripts(arms)
    shorten(arms)
    return arms
end

-- ---- what is measured ----------------------------------------------------------------------------------------------

local function all_have(runs, has)
    for _, run in ipairs(runs) do
        if not has(run) then return false end
    end
    return true
end

-- The first report of that name; its index.
local function report_index(run, name)
    for i, report in ipairs(run.reports) do
        if report.name == name then return i end
    end
end

local function find_measures(runs)
    local measures, first = {}, runs[1]
    local function same_selection(run)
        return run.ranked == "selection" and run.score == first.score and run.lower == first.lower
    end
    for i, report in ipairs(first.reports) do
        local function has(run)
            local index = report_index(run, report.name)
            return index and run.reports[index].better == report.better
        end
        if report_index(first, report.name) == i and all_have(runs, has) then
            measures[#measures + 1] = {
                name = "report: " .. report.name, better = report.better,
                of = function(run, node) return node.reports[report_index(run, report.name)] end,
            }
        end
    end
    if all_have(runs, same_selection) then
        measures[#measures + 1] = {
            name = "selection: " .. first.score, better = first.lower and "lower" or "higher",
            of = function(_, node) return node.score end,
        }
    end
    return measures
end

local function check_classifiers(runs, warnings)
    for _, role in ipairs { "report", "selection" } do
        local name = "classifier." .. role
        for _, run in ipairs(runs) do
            if run.facts[name] ~= runs[1].facts[name] then
                local words = "%s and %s were scored by different %s classifiers: their scores do not compare"
                warnings[#warnings + 1] = words:format(runs[1].directory, run.directory, role)
                break
            end
        end
    end
end

-- ---- curves --------------------------------------------------------------------------------------------------------

-- By round: { ends, node (the best so far), images, cpu, steps }.
local function curve_of(run)
    local curve, best, images, cpu, next_node = {}, nil, run.batch and 0, 0, 1
    for round = 1, run.rounds do
        local node = run.nodes[next_node]
        while node and node.round == round do
            if node.rank and (not best or node.rank > best.rank) then best = node end
            images = images and images + history.images(run, node)
            cpu = cpu + node.training + node.scoring + node.saving
            next_node = next_node + 1
            node = run.nodes[next_node]
        end
        curve[round] = { ends = run.times[round], node = best, images = images, cpu = cpu }
    end
    return curve
end

-- What had been reached by then; nil where nothing was.
function comparison.at(run, steps)
    local found
    for _, point in ipairs(run.curve) do
        if point.ends <= steps then found = point end
    end
    return found
end

-- The measure's values of an arm's runs, in their order; runs that have none are left out.
function comparison.values(arm, measure, steps)
    local values = {}
    for _, run in ipairs(arm.runs) do
        local point = comparison.at(run, steps)
        values[#values + 1] = point and point.node and measure.of(run, point.node) or nil
    end
    return values
end

-- { { seed =, a =, b = }, ... } of the seeds that two arms share.
function comparison.pairs(first, second, measure, steps)
    local list = {}
    for _, run in ipairs(first.runs) do
        local other = second.seeds[run.seed]
        local here, there = comparison.at(run, steps), other and comparison.at(other, steps)
        local a = here and here.node and measure.of(run, here.node)
        local b = there and there.node and measure.of(other, there.node)
        if a and b then list[#list + 1] = { seed = run.seed, a = a, b = b } end
    end
    table.sort(list, function(one, other) return (tonumber(one.seed) or 0) < (tonumber(other.seed) or 0) end)
    return list
end

-- Moments at which any run of the arms ended a round, up to the last that all have come to.
function comparison.moments(self, arm)
    local times = {}
    for _, run in ipairs(arm.runs) do
        for _, point in ipairs(run.curve) do
            if point.ends <= self.last then times[point.ends] = true end
        end
    end
    return sorted_keys(times)
end

function comparison.of(runs)
    local self = { warnings = {}, last = math.huge }
    self.arms = make_arms(runs, self.warnings)
    local kept = {}
    for _, arm in ipairs(self.arms) do table.move(arm.runs, 1, #arm.runs, #kept + 1, kept) end
    self.measures = find_measures(kept)
    check_classifiers(kept, self.warnings)
    for _, run in ipairs(kept) do
        run.curve = curve_of(run)
        self.last = math.min(self.last, run.times[run.rounds])
    end
    return self
end

return comparison
