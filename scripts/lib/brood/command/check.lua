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
local TRIED = 4 -- members at most

-- Bytes on the disk, roughly: one for each number of an image and some for what frames it, a picture of points, a row for
-- each member and round in the store, the plots, and a classifier.
local IMAGE_BYTES, POINTS_BYTES, ROW_BYTES, PLOTS_BYTES, CLASSIFIER_BYTES = 250, 45e3, 1300, 250e3, 450e3
local GRID, ROW, LAST = 64, 16, 5 -- images of a grid and of a member's row; grids that are drawn at the end

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

-- A directory for a program's stderr, so that it can be told, or for what members publish; closing it removes it.
local function new_place()
    local path = os.tmpname()
    os.remove(path)
    return setmetatable({ path = path }, { __close = function() command.remove(path) end })
end

-- A small population, which is not scored, begun with what `source` says (folder.source); its members.
local function begin(experiment, source)
    local functions = experiment.members and experiment.members.member == "lua"
    local small = setmetatable({
        members = functions and IDLE or experiment.members,
        population = experiment.initial and experiment.population
            or math.min(experiment.population, experiment.members and 2 or TRIED),
        scoring = function() return nil end,
    }, { __index = experiment })
    local program = experiment.members and experiment.members.command
    local place <close> = (program or experiment.mode == "asynchronous") and new_place() or nil
    local run <close> = small:begin {
        directory = place and place.path, from = source.run, from_round = source.round, start = source.state,
    }
    local began = run.members
    local first = began[1]
    if first.failed then
        error(("the first member has failed at once%s: %s"):format(program and (", `%s`, in %s"):format(
            table.concat(program, " "), experiment.folder) or "", first.failure), 0)
    end
    return began
end

local function check_scores(experiment)
    local scores = table.move(experiment.report, 1, #experiment.report, 1, {})
    table.insert(scores, experiment.select)
    if #scores > 0 then metric.check(scores, experiment) end
end

-- ---- members that are tried --------------------------------------------------------------------------------------------

-- Calls step() again and again: the seconds that one takes, or nil and why it fails.
local function seconds_of(step, patience)
    local start, steps = files.seconds(), 0
    repeat
        local fine, why = step(steps)
        if not fine then return nil, why end
        steps = steps + 1
    until files.seconds() - start > patience
    return (files.seconds() - start) / steps
end

-- The mean over those whose first steps do not fail, which may not be all.
local function seconds_of_gans(experiment, tried, source)
    local sum, fine, failure = 0, 0, nil
    for _, one in ipairs(tried) do
        local member = experiment:member(experiment.seed, one.slot, one.values)
        if source.state then member:load(source.state) end
        local seconds
        local went, why = member:train(2) -- the first ones touch memory that is new
        if went then seconds, why = seconds_of(function() return member:train(1) end, PATIENCE / #tried) end
        if seconds then sum, fine = sum + seconds, fine + 1 end
        failure = failure or why
    end
    if fine > 0 then return sum / fine end
    error(("the first steps fail, of %s: %s"):format(#tried == 1 and "the one member" or
        ("all %d members that were tried"):format(#tried), failure), 0)
end

-- A member in Lua does all that it will be asked for.
local function seconds_of_functions(experiment, tried)
    local values = tried[1].values
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
    end, PATIENCE)
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

-- Of the pictures of all rounds, that before the first with them, and those of the end.
local function picture_bytes(experiment, rounds)
    local makes, population = experiment:makes(), experiment.population
    if makes == "numbers" then return 0 end
    if makes == "points" then return (2 * (rounds + 1) + 1) * POINTS_BYTES end
    local height, width, channels = table.unpack(experiment:member(experiment.seed, 0):sample(1, 1, 0):shape(), 2)
    local images = (rounds + 1) * (2 * GRID + (population > 1 and ROW * population or 0)) + LAST * GRID
    return images * (height * width * channels + IMAGE_BYTES)
end

-- How many classifiers are trained for the scores.
local function count_classifiers(experiment)
    if experiment:makes() ~= "images" then return 0 end
    local roles = {}
    for _, score in ipairs { experiment.select or experiment.report[1], table.unpack(experiment.report) } do
        if not score.classifier then roles[score == experiment.select and "selection" or "report"] = true end
    end
    return #check.names(roles)
end

local function room_text(experiment, rounds)
    local population = experiment.population
    local states = KEPT_ROUNDS * population + experiment.keep_best
    if experiment.keep_every > 0 then states = states + population * rounds // experiment.keep_every end
    local bytes = states * experiment:build():stats().state_bytes + picture_bytes(experiment, rounds)
        + rounds * population * ROW_BYTES + count_classifiers(experiment) * CLASSIFIER_BYTES + PLOTS_BYTES
    return ("; about %s on the disk"):format(text.amount(bytes * 1e-3, { "kB", "MB", "GB" }))
end

-- Seconds that the scores of a round take, of all members: report scores may be those of the best ones only.
local function seconds_of_scoring(experiment)
    local chosen, reports = experiment.select or experiment.report[1], experiment.report
    if experiment.members or not chosen then return nil end
    local member, some = experiment:member(experiment.seed, 0), math.min(experiment.report_best, experiment.population)
    if some == 0 then
        return experiment.population * metric.seconds({ chosen, table.unpack(reports) }, member, experiment)
    end
    return experiment.population * metric.seconds({ chosen }, member, experiment)
        + (#reports > 0 and some * metric.seconds(reports, member, experiment) or 0)
end

local function step_text(seconds)
    return seconds < 1e-4 and ("%.1f µs"):format(1e6 * seconds) or ("%.1f ms"):format(1e3 * seconds)
end

local function estimate(experiment, seconds)
    local steps, rounds = amount(experiment)
    local workers = experiment.members and 1 or math.min(files.cores(), experiment.population) -- Lua is one thread
    local scoring = seconds_of_scoring(experiment)
    local all = (seconds * steps * experiment.population + (scoring or 0) * rounds) / workers
    return ("about %s for %d × %d steps of %s%s in %d thread%s%s%s"):format(duration_text(all), experiment.population,
        steps, step_text(seconds),
        scoring and (" and scores of %s a member and round"):format(step_text(scoring / experiment.population)) or "",
        workers, workers > 1 and "s" or "", count_classifiers(experiment) > 0 and ", training classifiers apart" or "",
        experiment.members and "" or room_text(experiment, rounds))
end

return command.main(function(options, path)
    local experiment = command.load(path, command.settings(options))
    print(experiment:describe())
    print("\n" .. settings(experiment))
    local source = experiment.from and folder.source(experiment.from, experiment) or {}
    command.try(check_scores, experiment)
    local tried = command.try(begin, experiment, source)
    local kind = experiment.members and experiment.members.member or "gan"
    if kind == "program" then return end
    local seconds_a_step = kind == "gan" and seconds_of_gans or seconds_of_functions
    local seconds = command.try(seconds_a_step, experiment, tried, source)
    print("\na run: " .. command.try(estimate, experiment, seconds))
end)
