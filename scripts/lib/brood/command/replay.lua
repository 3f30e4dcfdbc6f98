-- brood replay RUN: one member, from scratch, by the schedule of hyperparameters that a lineage of the run went through;
-- or by its last values all the time. Compared with the run, it tells what the schedule is worth by itself. With --order
-- an asynchronous run is made again as it was.
local command = require "brood.command"
local folder = require "brood.folder"
local history = require "brood.show.history"
local record = require "brood.record"
local train = require "brood.command.train"

-- All steps by the last values.
local function hold_last(entries)
    local steps, held = 0, {}
    for name, value in pairs(entries[#entries]) do held[name] = value end
    for _, entry in ipairs(entries) do steps = steps + entry.steps end
    held.steps = steps
    return { held }
end

-- What is not replayed of a run that was no beginning.
local function note_of(run, lineage)
    local from, steps = run:fact "from", 0
    for _, ancestor in ipairs(lineage) do steps = steps + ancestor.steps end
    return from and ("%s was begun from %s: the replay is of the %d steps since then, and begins from scratch"):format(
        run.directory, from, steps)
end

-- One member by the schedule of a lineage.
local function replay_lineage(options, run)
    local lineage = run:find_lineage(command.member(options))
    local found, entries = lineage[#lineage], history.schedule(lineage)
    if options.constant then entries = hold_last(entries) end
    local seed = command.whole(options, "seed", 0, math.maxinteger)
    local overrides = seed and { command.override("seed", ("%d"):format(seed), "--seed") } or {}
    local experiment = run:load_script(overrides)
    experiment:set_replay(entries)
    local what = options.constant and "the last values" or "the schedule"
    return experiment, options.constant and "-constant" or "-replay", {}, {
        replays = ("%s of member %d of %s"):format(what, found.slot, run.directory),
    }, note_of(run, lineage)
end

-- The whole of an asynchronous run again, in the order of its ready moments: to the same numbers.
local function replay_order(options, run)
    for _, name in ipairs { "member", "constant", "seed" } do
        if options[name] then command.misuse("replay: --order and --%s: one or the other", name) end
    end
    local order = command.try(record.order, run.directory)
    if #order == 0 then
        command.fail("%s: not an asynchronous run: `brood run` on the same script and seed gives the same numbers", run.directory)
    end
    local experiment = run:load_script()
    return experiment, "-again", run:source(experiment), { order = order, replays = "the order of " .. run.directory }
end

return command.main(function(options, directory)
    local run, workers = folder.open(directory), train.workers(options)
    folder.check_new(options.out)
    local again = options.order and replay_order or replay_lineage
    local experiment, ending, source, chosen, note = again(options, run)
    train.prepare(experiment)
    local plan = folder.plan(experiment, run:fact "script" or run:path "script.lua", source, chosen)
    local new = folder.new(options.out, experiment.name .. ending, run:path "script.lua", plan)
    train.begin(new, experiment, plan, { workers = workers, note = note })
end)
