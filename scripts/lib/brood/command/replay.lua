-- brood replay RUN: one member, from scratch, by the schedule of hyperparameters that a lineage of the run went through;
-- or by its last values all the time. Compared with the run, it tells what the schedule is worth by itself.
local command = require "brood.command"
local folder = require "brood.command.folder"
local record = require "brood.record"
local train = require "brood.command.train"

-- A lineage as the experiment's field `replay` has it; equal values that follow each other are one entry.
local function schedule_of(lineage)
    local entries = {}
    for _, ancestor in ipairs(lineage) do
        local last, same = entries[#entries], true
        for name, value in pairs(ancestor.values) do same = same and last ~= nil and last[name] == value end
        if same and last then
            last.steps = last.steps + ancestor.steps
        else
            local entry = { steps = ancestor.steps }
            for name, value in pairs(ancestor.values) do entry[name] = value end
            entries[#entries + 1] = entry
        end
    end
    return entries
end

-- All steps by the last values.
local function hold_last(entries)
    local steps, held = 0, {}
    for name, value in pairs(entries[#entries]) do held[name] = value end
    for _, entry in ipairs(entries) do steps = steps + entry.steps end
    held.steps = steps
    return { held }
end

return command.main(function(options, directory)
    local run = folder.open(directory)
    local slot = command.whole(options, "member", 0, 4095)
    local found = run:find_member(slot)
    local entries = schedule_of(command.try(record.lineage, run.directory, found.slot, found.round))
    if options.constant then entries = hold_last(entries) end
    local seed = command.whole(options, "seed", 0, math.maxinteger)
    local overrides = seed and { { "seed", ("%d"):format(seed) } } or {}
    local experiment = run:load_script(overrides)
    experiment:set_replay(entries)
    train.prepare(experiment)
    local all = run:overrides()
    table.move(overrides, 1, #overrides, #all + 1, all)
    local new = folder.new(options.out, experiment.name .. (options.constant and "-constant" or "-replay"),
        run:path "script.lua")
    train.begin(new, experiment, {
        script = run:fact "script" or run:path "script.lua", overrides = all, source = {}, workers = train.workers(options),
        replays = ("%s of member %d of %s"):format(options.constant and "the last values" or "the schedule", found.slot,
            run.directory),
    })
end)
