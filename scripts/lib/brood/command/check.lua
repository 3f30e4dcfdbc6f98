-- brood check SCRIPT: builds everything, prints what it is made of, and tells how long a run will take and how much it will
-- keep. Nothing comes of the few steps that are timed for that.
local command = require "brood.command"
local files = require "brood.files"
local text = require "brood.show.text"

local PATIENCE = 1 -- seconds of steps to be timed
local KEPT_ROUNDS = 2 -- whose states are kept
local PICTURE_BYTES = 60e3 -- of a grid of small images

local function seconds_a_step(experiment)
    local member = experiment:member(experiment.seed, 0)
    member:train(2) -- the first ones touch memory that is new
    local start, steps = files.seconds(), 0
    repeat
        if not member:train(1) then return nil end
        steps = steps + 1
    until files.seconds() - start > PATIENCE
    return (files.seconds() - start) / steps
end

local function duration_text(seconds)
    if seconds < 100 then return ("%.0f seconds"):format(seconds) end
    if seconds < 6000 then return ("%.0f minutes"):format(seconds / 60) end
    return ("%.1f hours"):format(seconds / 3600)
end

local function estimate(experiment)
    local seconds = seconds_a_step(experiment)
    if not seconds then return "the first steps fail: a number is not finite" end
    local steps = experiment.steps or experiment.rounds * experiment.interval
    local rounds, members = math.ceil(steps / experiment.interval), experiment.population
    local workers = math.min(files.cores(), members)
    local states = KEPT_ROUNDS * members + experiment.keep_best
    if experiment.keep_every > 0 then states = states + members * rounds // experiment.keep_every end
    local pictures = experiment:makes() == "numbers" and 0 or rounds * (members > 1 and 3 or 2)
    return ("about %s for %d × %d steps of %.1f ms in %s%s; %s on the disk"):format(
        duration_text(seconds * steps * members / workers), members, steps, 1e3 * seconds,
        workers == 1 and "1 thread" or ("%d threads"):format(workers),
        (experiment.select or #experiment.report > 0) and ", scoring and classifiers apart" or "",
        text.amount((states * experiment:build():stats().state_bytes + pictures * PICTURE_BYTES) * 1e-3,
            { "kB", "MB", "GB" }))
end

return command.main(function(options, path)
    local experiment = command.load(path, command.settings(options))
    print(experiment:describe())
    if not experiment.members then print("a run: " .. command.try(estimate, experiment)) end
end)
