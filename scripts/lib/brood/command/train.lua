-- Trains a run's population to its end: what `brood run`, `brood resume` and `brood replay` share.
local alarm = require "brood.show.alarm"
local cache = require "brood.metric.cache"
local command = require "brood.command"
local files = require "brood.files"
local history = require "brood.show.history"
local image = require "brood.image"
local live = require "brood.show.live"
local pictures = require "brood.command.pictures"
local plot = require "brood.plot"
local population = require "brood.population"
local signals = require "brood.show.signals"
local summary = require "brood.show.summary"
local text = require "brood.show.text"

local train = {}

local INTERRUPTED = 130 -- exit code
local WORKER_LIMIT = 256
local SPREAD_IMAGES = 64

-- ---- what is said ----------------------------------------------------------------------------------------------------

-- log.txt; and log(format, ...), which writes there and says it on the terminal, above the live table if there is one.
local Log = { __call = function(self, format, ...)
    local line = format:format(...)
    self:status(nil)
    if self.table then self.table:say(line) else print(line) end
    io.stdout:flush()
    self:write(line, "\n")
end }
Log.__index = Log

-- On a terminal, a line that stands below all others until the next comes; nil takes it away.
function Log:status(line)
    if self.stands then io.stdout:write "\r\27[K" end
    self.stands = line ~= nil and files.terminal() ~= nil
    if self.stands then io.stdout:write(text.cut(line, files.terminal() - 1)) end
    io.stdout:flush()
end

function Log:write(...)
    local fine, message = self.file:write(...)
    if fine then fine, message = self.file:flush() end
    if not fine then command.fail("%s: cannot be written: %s", self.path, message) end
end

function Log:flush() end -- what a live table that writes here asks for

local function log_to(path)
    return setmetatable({ path = path, file = command.try(function() return assert(io.open(path, "a")) end) }, Log)
end

-- Samples of each class, and a warning if some are rare.
local function tell_classes(log, data)
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

-- ---- the show: what people see while it goes on ----------------------------------------------------------------------

local Show = {}
Show.__index = Show

local function new_show(folder, experiment, log)
    local self = setmetatable({ folder = folder, experiment = experiment, log = log, history = {}, told = {} }, Show)
    self.painter = plot.painter(folder.directory, function(line) log("%s", line) end)
    if experiment:makes() == "images" and experiment.data then
        local reals = experiment.data:samples(1, math.min(SPREAD_IMAGES, experiment.data:count()))
        self.real_spread = image.spread(reals)
    end
    return self
end

-- The member with the best score, those that failed last.
local function best_of(members)
    local best
    for _, member in ipairs(members) do
        if not member.failed and (not best or (member.score or 0) > (best.score or 0)) then best = member end
    end
    return best
end

-- What the generators make after a round: the best one's images, and a row of each member's.
function Show:draw(run, round)
    local experiment = self.experiment
    if experiment:makes() == "numbers" then return end
    local name, members = self.folder:path(("samples/%05d"):format(round)), run.members
    local best = best_of(members)
    local member = best and run:gan(best.slot)
    if not member then return end
    pictures.draw(name .. ".png", experiment, pictures.sample(experiment, member, {}), {})
    pictures.draw(name .. "-raw.png", experiment, pictures.sample(experiment, member, { raw = true }), {})
    if #members > 1 then pictures.members(name .. "-members.png", experiment, run, members) end
end

-- Says what is wrong with a member, once, until it is over.
function Show:look_for_alarms(run, round)
    for _, member in ipairs(run.members) do
        local slot = member.slot
        self.history[slot] = self.history[slot] or {}
        if not member.failed then table.insert(self.history[slot], run:signals(slot)) end
        local found, before = {}, self.told[slot] or {}
        for _, one in ipairs(member.failed and {} or alarm.look(self.history[slot], self.real_spread)) do
            found[one.kind] = true
            if not before[one.kind] then
                self.log("alarm, round %d%s: %s", round, #run.members > 1 and (", member %d"):format(slot) or "", one.text)
            end
        end
        self.told[slot] = found
    end
end

-- One member: its signals.
function Show:tell_signals(run, round)
    local member = run.members[1]
    local of = run:signals(member.slot)
    local names = signals.sorted(self.experiment:signals())
    local seconds = (files.seconds() - self.round_start) / math.max(1, member.steps - (self.steps or 0))
    local score = run.scores and member.score
    if not self.headed then
        local players, words = signals.heading(names, score and run.scores[1].name)
        self.log("%s\n%s", players, words)
        self.headed = true
    end
    local sign = score and run.scores[1].better == "lower" and -1 or 1
    self.log("%s", signals.row(names, of, round, member.age, seconds, score and sign * score, member.deviation))
    self.steps = member.steps
    local rate = 1 / seconds
    local rest = math.max(0, run.rounds - round) * run.interval
    if self.experiment.steps then rest = math.max(0, self.experiment.steps - member.steps) end
    if rest > 0 then
        self.log:status(("%s steps/s, %s images/s, %s left"):format(text.number(rate),
            text.count(rate * self.experiment.batch), text.seconds(rest * seconds)))
    end
end

-- Several members: a table that is drawn in its place, and lines for the log.
function Show:open_tables(run)
    local scores, experiment = run.scores, self.experiment
    local reports = {}
    for i = 2, #(scores or {}) do reports[i - 1] = scores[i].name end
    local options = {
        hypers = experiment:moving(), reports = experiment.members and experiment.members.reports or reports,
        score = scores and scores[1].name or "score", lower = scores and scores[1].better == "lower" or nil,
        rounds = run.rounds, interval = run.interval, batch = not experiment.members and experiment.batch or nil,
        asynchronous = experiment.mode == "asynchronous",
    }
    if scores and scores[1].ceiling then
        options.ceiling = (options.lower and -1 or 1) * scores[1].ceiling
        options.ceiling_deviation = scores[1].ceiling_deviation
    end
    self.log.table = live.new(options)
    options.out, options.terminal = self.log, false
    self.lines = live.new(options)
    self:update(run, "start")
end

function Show:update(run, moment, slot)
    local info = { moment = moment, round = run.round, slot = slot, interval = run.interval }
    local members = run.members
    self.log.table:update(members, info)
    if moment ~= "ready" then self.lines:update(members, info) end
end

-- What the population calls: after a member is ready, and after a round.
function Show:moment(run, moment, slot)
    local alone = not self.experiment.members and self.experiment.population == 1
    if moment == "ready" then
        if not alone then self:update(run, moment, slot) end
        return
    end
    if alone then self:tell_signals(run, run.round) else self:update(run, moment) end
    self:draw(run, run.round)
    if not self.experiment.members then self:look_for_alarms(run, run.round) end
    self.painter:round()
    self.round_start = files.seconds()
end

-- What takes longer, or tells little before the end: of the best state ever.
function Show:last()
    local experiment = self.experiment
    if experiment:makes() == "numbers" then return end
    local _, member = self.folder:revive()
    pictures.draw(self.folder:path "best.png", experiment, pictures.sample(experiment, member, {}), {})
    if experiment:makes() ~= "images" then return end
    pictures.interpolation(self.folder:path "interpolation.png", experiment, member, {})
    if experiment.conditional then pictures.classes(self.folder:path "classes.png", experiment, member, {}) end
    if experiment.data then pictures.neighbors(self.folder:path "neighbours.png", experiment, member, {}) end
end

function Show:close()
    self.log:status(nil)
    if self.log.table then self.log.table:finish() end
    self.log.table = nil
end

-- ---- to the end ------------------------------------------------------------------------------------------------------

-- How many threads: as many as there are cores, unless --workers says.
function train.workers(options)
    return command.whole(options, "workers", 1, WORKER_LIMIT, math.min(files.cores(), WORKER_LIMIT))
end

-- f(), while the run goes on: whatever goes wrong, what was kept before stays.
local function guarded(folder, log, f)
    local fine, result = pcall(f)
    if fine then return result end
    log("stopped: %s", tostring(result))
    command.fail("%s: %s\nall rounds that were finished are kept: `brood resume %s` goes on from there", folder.directory,
        tostring(result), folder.directory)
end

local function finish(folder, show, log)
    guarded(folder, log, function()
        show:last()
        show.painter:finish()
        log("\n%s", table.concat(summary.lines(history.read(folder.directory)), "\n"))
    end)
end

local function go(folder, experiment, run, show, log)
    files.watch_interrupt()
    show.round_start = files.seconds()
    if experiment.members or experiment.population > 1 then show:open_tables(run) end
    local ended = guarded(folder, log, function() return run:go(nil, files.interrupted) end)
    show:close()
    if ended == "interrupted" then
        log("interrupted after round %d: `brood resume %s` goes on", run.round, folder.directory)
        run:close()
        os.exit(INTERRUPTED, true)
    end
    run:close()
    finish(folder, show, log)
end

-- A round is finished before Ctrl-C ends a run; where there are no rounds, it ends at once.
local function population_options(folder, show, options)
    return {
        directory = folder.directory, workers = options.workers,
        interrupted = show.experiment.mode == "asynchronous" and files.interrupted or nil,
        progress = function(...) show:moment(...) end,
    }
end

-- What may take long, or go wrong, before there is a run: networks are built, classifiers trained.
function train.prepare(experiment)
    if not experiment.members then experiment:build() end
    experiment:scoring(experiment.seed)
end

-- Those that score the run, by hash, so that it can be resumed and its scores be taken again wherever it lies.
local function keep_classifiers(folder, run)
    local hashes = {}
    for _, one in ipairs(run.scores or {}) do hashes[#hashes + 1] = one.classifier or nil end
    if #hashes > 0 then cache.keep(hashes, folder:path "classifiers") end
end

-- A new run in a new directory. options: script (its path), overrides, source (folder.source), workers, replays.
function train.begin(folder, experiment, options)
    local log = log_to(folder:path "log.txt")
    log("%s", experiment:describe())
    tell_classes(log, experiment.data)
    log("run: %s", folder.directory)
    local show = new_show(folder, experiment, log)
    local chosen = population_options(folder, show, options)
    chosen.from, chosen.from_round, chosen.start = options.source.run, options.source.round, options.source.state
    chosen.facts = {
        { name = "script", value = files.absolute(options.script) or options.script, aside = true },
        { name = "machine", value = files.machine(), aside = true },
    }
    local from = options.source.run or options.source.state
    if from then table.insert(chosen.facts, { name = "from", value = from, aside = true }) end
    if options.replays then table.insert(chosen.facts, { name = "replays", value = options.replays, aside = true }) end
    local fine, run = pcall(population.new, experiment, chosen)
    if not fine then
        folder:discard()
        command.fail("%s", run)
    end
    command.try(function()
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

-- Goes on. options: more (rounds), whole, drift, workers.
function train.resume(folder, experiment, options)
    check_machine(folder, options.drift)
    local log = log_to(folder:path "log.txt")
    local show = new_show(folder, experiment, log)
    local chosen = population_options(folder, show, options)
    chosen.resume, chosen.whole = true, options.whole
    local run = command.try(population.new, experiment, chosen)
    if options.more then run:extend(options.more) end
    if run.stopped or run.round >= run.rounds then
        command.fail("%s: all its %d rounds are done: --rounds N trains for N rounds more", folder.directory, run.round)
    end
    log("resumed after round %d of %d", run.round, run.rounds)
    go(folder, experiment, run, show, log)
end

return train
