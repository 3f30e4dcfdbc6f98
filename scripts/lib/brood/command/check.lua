-- brood check SCRIPT: builds everything, prints what it is made of and how it is to be trained, and tells how long a run
-- will take and how much it will keep. Whatever `brood run` refuses at its beginning is refused here, without classifiers
-- being trained. Nothing comes of the few steps that are timed.
local check = require "brood.check"
local command = require "brood.command"
local files = require "brood.files"
local folder = require "brood.folder"
local members = require "brood.member"
local metric = require "brood.metric"
local pbt = require "brood.pbt"
local random = require("brood.population.core").rng
local text = require "brood.show.text"

local PATIENCE = 1 -- seconds of steps to be timed
local KEPT_ROUNDS = 2 -- whose states are kept
local PICTURE_BYTES = 60e3 -- of a grid of small images

-- ---- how much there is to do -------------------------------------------------------------------------------------------

-- Steps of each member, and the rounds that they are made in. A replay is of as many as its schedule has.
local function amount(experiment)
    local steps, rounds, interval = 0, 0, experiment.interval
    for _, entry in ipairs(experiment.replay or {}) do
        steps, rounds = steps + entry.steps, rounds + math.ceil(entry.steps / interval)
    end
    if experiment.replay then return steps, rounds end
    steps = math.min(experiment.steps or math.huge, experiment.rounds * interval)
    return steps, math.ceil(steps / interval)
end

-- ---- how it is to be trained -------------------------------------------------------------------------------------------

-- A rule as the script has it: a function by its place.
local function rule_text(rule)
    if type(rule) ~= "function" then return pbt.text(rule) or rule.kind end
    return "the function in " .. check.place(rule)
end

local function score_text(score)
    return score and ("%s, %s is better"):format(score, score.better) or "none"
end

local function settings(experiment)
    local lines = {}
    local function line(name, text, ...) lines[#lines + 1] = ("%-12s %s"):format(name, text:format(...)) end
    local steps, rounds = amount(experiment)
    line("population", "%d × %d rounds of up to %d steps: %d steps each, seed %d", experiment.population, rounds,
        experiment.interval, steps, experiment.seed)
    for _, name in ipairs(check.names(experiment.space)) do
        line("hyper", "%s = %s", name, tostring(experiment.space[name]))
    end
    if experiment.replay then line("replay", "a schedule of %d entries", #experiment.replay) end
    for _, name in ipairs { "exploit", "explore" } do line(name, "%s", rule_text(experiment[name])) end
    if experiment.members then
        line("select", "the member's own score")
        line("report", "%s", #(experiment.members.reports or {}) > 0 and table.concat(experiment.members.reports, ", ")
            or "none")
    else
        line("select", "%s", score_text(experiment.select))
        for i = 1, math.max(1, #experiment.report) do line("report", "%s", score_text(experiment.report[i])) end
    end
    if experiment.control ~= "off" then line("control", "%s", experiment.control) end
    if experiment.mode ~= "synchronous" then line("mode", "%s", experiment.mode) end
    if experiment.burn_in > 0 then line("burn-in", "%d steps", experiment.burn_in) end
    if experiment.schedule then line("schedule", "%s", rule_text(experiment.schedule)) end
    if experiment.from then line("from", "%s", experiment.from) end
    return table.concat(lines, "\n")
end

-- ---- whether it can be begun -------------------------------------------------------------------------------------------

-- In the place of functions of the script, whose errors are to be told, and not to be a failed member.
local IDLE = members.functions { init = function() return {} end, step = function() end, score = function() return 0 end }

-- A directory that a program's stderr can be kept in, so that it can be told; closing it removes it.
local function place_for_errors()
    local path = os.tmpname()
    os.remove(path)
    return setmetatable({ path = path }, { __close = function() command.remove(path) end })
end

-- A small population, which is not scored; what its first member is like.
local function begin(experiment)
    local functions = experiment.members and experiment.members.member == "lua"
    local small = setmetatable({
        members = functions and IDLE or experiment.members,
        population = experiment.initial and experiment.population or math.min(experiment.population, 2),
        scoring = function() return nil end,
    }, { __index = experiment })
    local place <close> = experiment.members and experiment.members.command and place_for_errors() or nil
    local run <close> = small:begin { directory = place and place.path }
    local first = run.members[1]
    if first.failed then
        local program = experiment.members and experiment.members.command
        error(("the first member has failed at once%s: %s"):format(program and (", `%s`, in %s"):format(
            table.concat(program, " "), experiment.folder) or "", first.failure), 0)
    end
    return first
end

local function check_scores(experiment)
    local scores = table.move(experiment.report, 1, #experiment.report, 1, {})
    table.insert(scores, experiment.select)
    if #scores > 0 then metric.check(scores, experiment) end
end

-- ---- members that are tried --------------------------------------------------------------------------------------------

-- Calls step() again and again: the seconds that one takes, or nil where one fails.
local function seconds_of(step)
    local start, steps = files.seconds(), 0
    repeat
        if not step(steps) then return nil end
        steps = steps + 1
    until files.seconds() - start > PATIENCE
    return (files.seconds() - start) / steps
end

local function seconds_of_gan(experiment)
    local member = experiment:member(experiment.seed, 0)
    member:train(2) -- the first ones touch memory that is new
    return seconds_of(function() return member:train(1) end)
end

-- A member in Lua does all that it will be asked for.
local function seconds_of_functions(experiment, values)
    local calls = members.calls(experiment.members, experiment.seed)
    local function try(what, f, ...)
        local results = table.pack(pcall(f, ...))
        if not results[1] then error(("%s: %s"):format(what, results[2]), 0) end
        return table.unpack(results, 2, results.n)
    end
    local one = try("init", calls.create, 0, values)
    local seconds = seconds_of(function(steps)
        try("step", calls.step, one, steps, 1)
        return true
    end)
    try("score", calls.score, one)
    try("load", calls.load, one, try("save", calls.save, one))
    if type(experiment.explore) == "function" then
        local changed = try("explore", experiment.explore, values, random(experiment.seed, 0, "check", 0))
        if type(changed) ~= "table" then error("explore: it must return hyperparameters, it returned "
            .. check.describe(changed), 0) end
    end
    return seconds
end

-- ---- what a run will take ----------------------------------------------------------------------------------------------

local function duration_text(seconds)
    if seconds < 100 then return ("%.0f seconds"):format(seconds) end
    if seconds < 6000 then return ("%.0f minutes"):format(seconds / 60) end
    return ("%.1f hours"):format(seconds / 3600)
end

local function room_text(experiment, rounds)
    local population = experiment.population
    local states = KEPT_ROUNDS * population + experiment.keep_best
    if experiment.keep_every > 0 then states = states + population * rounds // experiment.keep_every end
    local pictures = experiment:makes() == "numbers" and 0 or rounds * (population > 1 and 3 or 2)
    return ("; %s on the disk"):format(text.amount(
        (states * experiment:build():stats().state_bytes + pictures * PICTURE_BYTES) * 1e-3, { "kB", "MB", "GB" }))
end

local function estimate(experiment, seconds)
    if not seconds then return "the first steps fail: a number is not finite" end
    local steps, rounds = amount(experiment)
    local workers = experiment.members and 1 or math.min(files.cores(), experiment.population) -- Lua is one thread
    local scored = not experiment.members and (experiment.select or #experiment.report > 0)
    return ("about %s for %d × %d steps of %s in %d thread%s%s%s"):format(
        duration_text(seconds * steps * experiment.population / workers), experiment.population, steps,
        seconds < 1e-4 and ("%.1f µs"):format(1e6 * seconds) or ("%.1f ms"):format(1e3 * seconds), workers,
        workers > 1 and "s" or "", scored and ", scoring and classifiers apart" or "",
        experiment.members and "" or room_text(experiment, rounds))
end

return command.main(function(options, path)
    local experiment = command.load(path, command.settings(options))
    print(experiment:describe())
    print("\n" .. settings(experiment))
    if experiment.from then folder.source(experiment.from, experiment) end
    command.try(check_scores, experiment)
    local first = command.try(begin, experiment)
    local kind = experiment.members and experiment.members.member or "gan"
    if kind == "program" then return end
    local seconds_a_step = kind == "gan" and seconds_of_gan or seconds_of_functions
    local seconds = command.try(seconds_a_step, experiment, first.values)
    print("\na run: " .. command.try(estimate, experiment, seconds))
end)
