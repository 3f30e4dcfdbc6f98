-- brood resume RUN: goes on with a run, as if it had never stopped.
local command = require "brood.command"
local files = require "brood.files"
local folder = require "brood.folder"
local train = require "brood.command.train"

local ROUND_LIMIT = 1000000

local function lines_of(text)
    local lines = {}
    for line in (text .. "\n"):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    return lines
end

-- The script, where it was when the run began, must still be the run's own copy. If it is gone, the copy does.
local function check_script(run)
    local script = run:fact "script"
    if not script or files.kind(script) ~= "file" then return end
    local now, before = command.read(script), command.read(run:path "script.lua")
    if now == before then return end
    local new, old = lines_of(now), lines_of(before)
    local line = 1
    while new[line] == old[line] do line = line + 1 end
    local advice = run.plan and "remove this one and begin a new run: nothing has been trained yet"
        or ("begin a new run from where this one is: brood run %s --from %s"):format(script, run.directory)
    command.fail("%s: the script has changed since the run began: line %d of %s\n"
        .. "  was: %s\n  is:  %s\nundo the change, or %s",
        run.directory, line, script, old[line] or "(the end)", new[line] or "(the end)", advice)
end

-- Nothing had been kept when it was ended: it starts over.
local function begin(run, options)
    local experiment = run:load_script()
    train.prepare(experiment)
    train.begin(run, experiment, run.plan, options)
end

return command.main(function(options, directory)
    local more = command.whole(options, "rounds", 1, ROUND_LIMIT)
    local run, workers = folder.open(directory, true), train.workers(options)
    check_script(run)
    if run.plan then return begin(run, { more = more, workers = workers, again = true }) end
    if not options.whole then run:check_states() end
    train.resume(run, run:load_script(), {
        more = more, whole = options.whole or nil, drift = options["accept-drift"] or nil, workers = workers,
    })
end)
