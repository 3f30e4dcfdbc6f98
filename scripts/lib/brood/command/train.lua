-- Trains a member round by round: what `brood run` and `brood resume` share.
local command = require "brood.command"
local files = require "brood.files"
local image = require "brood.image"
local pictures = require "brood.command.pictures"

local train = {}

local INTERRUPTED = 130 -- exit code

-- ---- what is said ----------------------------------------------------------------------------------------------------

-- Says it on the terminal and in the log.
function train.log_to(path)
    local file = command.try(function() return assert(io.open(path, "a")) end)
    return function(format, ...)
        local line = format:format(...)
        print(line)
        io.stdout:flush()
        local fine, message = file:write(line, "\n")
        if fine then fine, message = file:flush() end
        if not fine then command.fail("%s: cannot be written: %s", path, message) end
    end
end

-- Samples of each class, and a warning if some are rare.
function train.tell_classes(log, data)
    if not data then return end
    local counts, lopsided, endless = data:histogram()
    local names, words = data:classes(), {}
    if #names == 0 or endless or #names > 20 and not lopsided then return end
    for i = 1, math.min(#names, 20) do words[i] = ("%s %d"):format(names[i], counts[i]) end
    log("classes: %s%s", table.concat(words, ", "), #names > 20 and ", ..." or "")
    if lopsided then
        log "warning: some classes have three times as many samples as others, or more: rare ones are learned badly"
    end
end

-- ---- the table of signals --------------------------------------------------------------------------------------------

local FIRST = { loss = 1, accuracy = 2, on_real = 3, on_fake = 4, norm = 9 } -- the others between

-- The players' signals in the order of columns: D's, then G's.
local function sorted(signals)
    local names = {}
    for name in pairs(signals) do names[#names + 1] = name end
    local function rank(name)
        local player, signal = name:match "^(.-)%.(.*)$"
        return ("%s %d %s"):format(player, FIRST[signal] or 5, signal)
    end
    table.sort(names, function(a, b) return rank(a) < rank(b) end)
    return names
end

-- Seven characters or less, as long as the number is not odd.
local function number_text(value)
    if value ~= value then return "-" end -- nothing made it in this round
    local size = math.abs(value)
    if size ~= 0 and size < 1e-3 or size >= 1e5 then return ("%.0e"):format(value) end
    return (size < 10 and "%.4f" or size < 1000 and "%.2f" or "%.0f"):format(value)
end

local function width_of(name) return math.max(7, #name) + 2 end

-- Two lines above the table: the players, and their signals.
local function heading(names)
    local players, words, last = { (" "):rep(14) }, { (" %5s%8s"):format("round", "step") }, nil
    for _, name in ipairs(names) do
        local player, signal = name:match "^(.-)%.(.*)$"
        local width = width_of(signal)
        players[#players + 1] = ("%" .. width .. "s"):format(player ~= last and player or "")
        words[#words + 1] = ("%" .. width .. "s"):format(signal)
        last = player
    end
    words[#words + 1] = ("%9s%9s"):format("spread", "ms/step")
    return (table.concat(players):gsub(" +$", "")), table.concat(words)
end

local function row(names, signals, round, age, spread, seconds)
    local words = { (" %5d%8d"):format(round, age) }
    for _, name in ipairs(names) do
        words[#words + 1] = ("%" .. width_of(name:match "%.(.*)$") .. "s"):format(number_text(signals[name]))
    end
    return table.concat(words) .. ("%9s%9.1f"):format(spread and number_text(spread) or "-", seconds * 1e3)
end

-- ---- rounds ----------------------------------------------------------------------------------------------------------

-- What the generator makes after a round: drawn, and how far it spreads.
local function show(run, experiment, member, round)
    if experiment:makes() == "numbers" then return nil end
    local name = run:path(("samples/%05d"):format(round))
    local made = pictures.sample(experiment, member, {})
    pictures.draw(name .. ".png", experiment, made, {})
    pictures.draw(name .. "-raw.png", experiment, pictures.sample(experiment, member, { raw = true }), {})
    return image.spread(made)
end

-- What takes longer, or tells little before the end.
local function show_last(run, experiment, member)
    if experiment:makes() ~= "images" then return end
    pictures.interpolation(run:path "interpolation.png", experiment, member, {})
    if experiment.conditional then pictures.classes(run:path "classes.png", experiment, member, {}) end
    if experiment.data then pictures.neighbors(run:path "neighbours.png", experiment, member, {}) end
end

local function give_up(log, run, what)
    log("stopped: %s", what)
    command.fail("%s: %s. What is kept is the state after round %d, at step %d: %s", run.directory, what, run.round,
        run.age, run:state_path())
end

-- f(), in a round: whatever goes wrong, what was kept before stays.
local function guarded(log, run, f)
    local fine, result, more = pcall(f)
    if not fine then give_up(log, run, tostring(result)) end
    return result, more
end

-- A member before its first round.
function train.begin(experiment, member, run, rounds)
    command.try(function()
        pictures.reals(run:path "reals.png", experiment)
        run:keep(member, run.round or 0, rounds)
        show(run, experiment, member, 0)
    end)
end

-- Trains from the round after `run.round` to `rounds`.
function train.go(experiment, member, run, rounds, log)
    local names
    files.watch_interrupt()
    for round = run.round + 1, rounds do
        local start = files.seconds()
        local signals, failure = guarded(log, run, function() return member:train(experiment.interval) end)
        local seconds = (files.seconds() - start) / experiment.interval
        if not signals then give_up(log, run, "training has failed in round " .. round .. ": " .. failure) end
        guarded(log, run, function() run:keep(member, round, rounds) end)
        local spread = guarded(log, run, function() return show(run, experiment, member, round) end)
        if not names then
            names = sorted(signals)
            local players, words = heading(names)
            log("%s\n%s", players, words)
        end
        log("%s", row(names, signals, round, member:age(), spread, seconds))
        if files.interrupted() and round < rounds then
            log("interrupted after round %d of %d: `brood resume %s` goes on", round, rounds, run.directory)
            os.exit(INTERRUPTED, true)
        end
    end
    guarded(log, run, function() show_last(run, experiment, member) end)
    log("done: the pictures are in %s", run.directory)
end

return train
