-- Trains a run's population to its end: what `brood run`, `brood resume` and `brood replay` share.
local cache = require "brood.metric.cache"
local command = require "brood.command"
local files = require "brood.files"
local pbt = require "brood.pbt"
local pictures = require "brood.show.pictures"
local population = require "brood.population"
local record = require "brood.record"
local watch = require "brood.show.watch"

local train = {}

local INTERRUPTED = 130 -- exit code
local WORKER_LIMIT = 256

-- How many threads: as many as there are cores, unless --workers says.
function train.workers(options)
    return command.whole(options, "workers", 1, WORKER_LIMIT, math.min(files.cores(), WORKER_LIMIT))
end

-- What helps when a run has ended so. run: nil where it has been closed.
local function advice_for(folder, show, run, message)
    local failed = run ~= nil
    for _, member in ipairs(run and run.members or {}) do failed = failed and member.failed end
    if failed then
        local sound = folder:sound_round()
        return ("resuming it would fail in the same way; %s may help, in a new run: brood run SCRIPT%s"):format(
            show.experiment.members and "other hyperparameters" or "lower learning rates",
            sound and (" --from %s@%d"):format(folder.directory, sound) or "")
    elseif message:find("stack traceback", 1, true) then
        return ("mend the script and begin a new run from there: brood run SCRIPT --from %s"):format(folder.directory)
    end
    return ("when this is put right, `brood resume %s` goes on from there"):format(folder.directory)
end

-- f(), while the run goes on: whatever goes wrong, what was kept before stays. What is wrong with the script stays wrong.
local function guarded(folder, show, run, f)
    local fine, result = pcall(f)
    if fine then return result end
    pcall(show.tell_alarms, show, show.looked, true)
    show.log:write("stopped: ", show.trouble or tostring(result), "\n")
    local message = show.trouble and show.trouble:match "^(.-)\nstack traceback" or tostring(result)
    command.fail("%s: %s\nall rounds that were finished are kept: %s", folder.directory, message,
        advice_for(folder, show, run, message))
end

local function finish(folder, show)
    guarded(folder, show, nil, function()
        show:last()
        show:sum_up()
    end)
end

local function go(folder, experiment, run, show, log)
    files.watch_interrupt()
    show:open(run)
    local ended = guarded(folder, show, run, function()
        local how = run:go(nil, files.interrupted)
        show:close()
        return how
    end)
    if ended == "interrupted" then
        log("interrupted after round %d: `brood resume %s` goes on", run.round, folder.directory)
        run:close()
        os.exit(INTERRUPTED, true)
    end
    run:close()
    finish(folder, show)
end

-- show:moment(...), whose errors are no fault of the script's: show.trouble is what is told of one.
local function shown(show)
    return function(...)
        local function note(message)
            show.trouble = debug.traceback(tostring(message))
            return message
        end
        local fine, message = xpcall(show.moment, note, show, ...)
        if not fine then error(message, 0) end
    end
end

-- A round is finished before Ctrl-C ends a run; where there are no rounds, it ends at once.
local function population_options(folder, show, options)
    return {
        directory = folder.directory, workers = options.workers,
        interrupted = show.experiment.mode == "asynchronous" and files.interrupted or nil,
        progress = shown(show),
    }
end

-- Those that score the run, by hash, so that it can be resumed and its scores be taken again wherever it lies.
local function keep_classifiers(folder, run)
    local hashes = {}
    for _, one in ipairs(run.scores or {}) do hashes[#hashes + 1] = one.classifier or nil end
    if #hashes > 0 then cache.keep(hashes, folder:path "classifiers") end
end

-- What may take long, or go wrong, before there is a run: networks are built, classifiers trained.
function train.prepare(experiment)
    if not experiment.members then experiment:build() end
    experiment:scoring(experiment.seed)
end

-- Of a top share of one member all parts come from that one.
local function warn_of_recombination(log, experiment)
    local exploit, population = experiment.exploit, experiment.population
    if not experiment.recombine or not pbt.is_rule(exploit) or exploit.kind ~= "truncation" then return end
    if math.min(math.floor(exploit.top * population + 0.5), population // 2) > 1 then return end
    log("warning: recombine does nothing: of %d members the top share, %g, is one, who gives all parts", population,
        exploit.top)
end

-- The state that all members begin with is kept: a run that is killed early begins with it again.
local START = "start.safetensors"

local function keep_start(folder, state)
    command.try(files.save, folder:path(START), command.read(state))
    return folder:path(START)
end

local function kept_start(folder)
    return files.kind(folder:path(START)) == "file" and folder:path(START) or nil
end

-- As many as any member made: a run that is made again may have gone on for longer than its script says.
local function rounds_of(order)
    local made, most = {}, 0
    for _, slot in ipairs(order) do
        made[slot] = (made[slot] or 0) + 1
        most = math.max(most, made[slot])
    end
    return most
end

-- A run in its directory, which holds nothing yet but the plan (folder.plan): source (folder.source), replays (what, in
-- words), order (of ready moments, to make an asynchronous run again). options: workers; note (to be told); again (it was
-- ended before it had begun), and more (so many rounds).
function train.begin(folder, experiment, plan, options)
    local log = watch.log(folder:path "log.txt")
    log("%s", experiment:describe())
    watch.tell_classes(log, experiment.data)
    warn_of_recombination(log, experiment)
    if options.note then log("note: %s", options.note) end
    log("run: %s", folder.directory)
    local show = watch.new(folder, experiment, log)
    local chosen = population_options(folder, show, options)
    local source, start = plan.source, kept_start(folder)
    chosen.from, chosen.from_round = source.run, source.round
    chosen.start = start or source.state and keep_start(folder, source.state)
    if plan.order then chosen.order, experiment.rounds = plan.order, rounds_of(plan.order) end
    chosen.facts = {
        { name = "script", value = plan.facts.script, aside = true },
        { name = "machine", value = files.machine(), aside = true },
    }
    if source.name then table.insert(chosen.facts, { name = "from", value = source.name, aside = true }) end
    if plan.replays then table.insert(chosen.facts, { name = "replays", value = plan.replays, aside = true }) end
    local fine, run = pcall(population.new, experiment, chosen)
    if not fine then
        if not options.again then folder:discard() end
        command.fail("%s", run)
    end
    if options.more then command.try(run.extend, run, options.more) end
    guarded(folder, show, run, function()
        keep_classifiers(folder, run)
        if not experiment.members then pictures.reals(folder:path "reals.png", experiment) end
        show:draw(run, 0)
    end)
    go(folder, experiment, run, show, log)
end

-- The same machine gives the same bits; another one may not.
local function check_machine(folder, drift)
    local before, now = folder:fact "machine", files.machine()
    if drift or not before or before == now then return end
    command.fail("%s: it was begun on another kind of machine, where the same steps give other bits:\n  was: %s\n  is:  %s\n"
        .. "resume it there, or accept that it drifts with --accept-drift", folder.directory, before, now)
end

-- The population as it was; what is wrong with a state is told with a way out.
local function revive(folder, experiment, chosen)
    local fine, run = pcall(population.new, experiment, chosen)
    if fine then return run end
    local message = tostring(run)
    if not chosen.whole and message:find(folder:path "states/", 1, true) then
        message = ("%s\n`brood resume %s --whole` goes back to the last round whose states are whole"):format(message,
            folder.directory)
    end
    if chosen.whole and message:find(folder:path "states/", 1, true) then
        message = message .. "\nthere is no round whose states are whole: it cannot go on; begin a new run"
    end
    command.fail("%s", message)
end

-- Goes on. options: more (rounds), whole, drift, workers.
function train.resume(folder, experiment, options)
    check_machine(folder, options.drift)
    local log = watch.log(folder:path "log.txt")
    local show = watch.new(folder, experiment, log)
    local chosen = population_options(folder, show, options)
    chosen.resume, chosen.whole = true, options.whole
    chosen.start = kept_start(folder)
    local order = (folder:kept_plan() or {}).order -- what is left of it
    if order and #record.order(folder.directory) < #order then chosen.order = order end
    local run = revive(folder, experiment, chosen)
    if options.more then command.try(run.extend, run, options.more) end
    local round, planned = run.round, run.planned
    if run.stopped or round >= run.rounds then
        run:close()
        guarded(folder, show, nil, function() -- it may have been ended before these
            show:last()
            show.painter:finish()
        end)
        local ended = round < planned and "it was stopped by its schedule after round %d of " .. planned
            or "all its %d rounds are done"
        command.fail("%s: " .. ended .. ": --rounds N trains for N rounds more", folder.directory, round)
    end
    log("resumed after round %d of %d", round, planned)
    go(folder, experiment, run, show, log)
end

return train
