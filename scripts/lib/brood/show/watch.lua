-- What people see while a run goes on: the log, the tables, the pictures, and alarms.
--
--     local log = watch.log(path)                      log(format, ...) says it, on the terminal and in the file
--     local show = watch.new(folder, experiment, log)
--     show:open(run)                                   before it goes on
--     show:moment(run, "ready" or "round", slot)       what the population calls
--     show:close()
--     show:last()                                      at the end
local alarm = require "brood.show.alarm"
local command = require "brood.command"
local files = require "brood.files"
local history = require "brood.show.history"
local image = require "brood.image"
local live = require "brood.show.live"
local metric = require "brood.metric"
local pictures = require "brood.command.pictures"
local plot = require "brood.plot"
local signals = require "brood.show.signals"
local summary = require "brood.show.summary"
local text = require "brood.show.text"

local watch = {}

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

function watch.log(path)
    return setmetatable({ path = path, file = command.try(function() return assert(io.open(path, "a")) end) }, Log)
end

-- Samples of each class, and a warning if some are rare.
function watch.tell_classes(log, data)
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

function watch.new(folder, experiment, log)
    local self = setmetatable({ folder = folder, experiment = experiment, log = log }, Show)
    self.history, self.told = {}, {}                            -- by slot: signals of its rounds; alarms that stand
    self.measured, self.scores, self.told_scores = {}, {}, {} -- by slot; of the best member, round by round; alarms
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

-- The generator of a member, or nil. In an asynchronous run others train meanwhile, and only what is saved holds still.
function Show:gan(run, member)
    local experiment = self.experiment
    if member.failed then return nil end
    if experiment.mode ~= "asynchronous" or not run.going then return run:gan(member.slot) end
    local copy = experiment:member(run.seed, member.slot, member.values)
    copy:load(self.folder:state_path(member))
    return copy
end

-- What the generators make after a round: the best one's images, and a row of each member's.
function Show:draw(run, round)
    local experiment = self.experiment
    if experiment:makes() == "numbers" then return end
    local name, members = self.folder:path(("samples/%05d"):format(round)), run.members
    local best = best_of(members)
    local gan = best and self:gan(run, best)
    if not gan then return end
    pictures.draw(name .. ".png", experiment, pictures.sample(experiment, gan, {}), {})
    pictures.draw(name .. "-raw.png", experiment, pictures.sample(experiment, gan, { raw = true }), {})
    if #members == 1 then return end
    local rows = {}
    for i, member in ipairs(members) do rows[i] = self:gan(run, member) or false end
    pictures.members(name .. "-members.png", experiment, rows)
end

local function find(members, slot)
    for _, member in ipairs(members) do
        if member.slot == slot then return member end
    end
end

-- Says each alarm once, until it is over. `found` is a list of { kind =, text = }, `before` what was found last time.
local function tell_alarms(log, place, found, before)
    local now = {}
    for _, one in ipairs(found) do
        now[one.kind] = true
        if not before[one.kind] then log("alarm, %s: %s", place, one.text) end
    end
    return now
end

-- At a member's ready moment: what its signals tell.
function Show:look_for_alarms(run, slot)
    local members = run.members
    if find(members, slot).failed then return end
    if run.going then self:measure(run, slot) end
    self.history[slot] = self.history[slot] or {}
    table.insert(self.history[slot], run:signals(slot))
    local place = ("step %d%s"):format(find(members, slot).steps, #members > 1 and (", member %d"):format(slot) or "")
    self.told[slot] = tell_alarms(self.log, place, alarm.look(self.history[slot], self.real_spread), self.told[slot] or {})
end

function Show:measure(run, slot)
    local values, deviations = run:measured(slot)
    self.measured[slot] = values and { values = values, deviations = deviations }
end

-- After a round: what the scores of the best member tell. A copy's are those of whom it was copied from. In an
-- asynchronous run they were looked at when that was ready; it trains meanwhile.
function Show:look_at_scores(run)
    local best = run.scores and best_of(run.members)
    if not best then return end
    if not run.going then self:measure(run, best.parent) end
    local measured = self.measured[best.parent]
    if not measured then return end
    table.insert(self.scores, measured)
    local found = {}
    for i, one in ipairs(metric.alarms(self.scores, run.scores)) do
        found[i] = { kind = ("%s %d"):format(one.kind, one.score), text = one.message }
    end
    self.told_scores = tell_alarms(self.log, ("round %d"):format(run.round), found, self.told_scores)
end

-- One member: its signals.
function Show:tell_signals(run, round)
    local member = run.members[1]
    local of = run:signals(member.slot)
    local names = signals.sorted(self.experiment:signals())
    local seconds = (files.seconds() - self.round_start) / math.max(1, member.steps - self.steps)
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
    local rest = math.max(0, run.planned - round) * run.interval
    if rest > 0 then
        self.log:status(("%s steps/s, %s images/s, %s left"):format(text.number(rate),
            text.count(rate * self.experiment.batch), text.seconds(rest * seconds)))
    end
end

-- Several members: a table that is drawn in its place, and lines for the log.
function Show:open(run)
    self.round_start, self.steps = files.seconds(), run.members[1].steps
    if not self.experiment.members and self.experiment.population == 1 then return end
    local scores, experiment = run.scores, self.experiment
    local reports = {}
    for i = 2, #(scores or {}) do reports[i - 1] = scores[i].name end
    local options = {
        hypers = experiment:moving(), reports = experiment.members and experiment.members.reports or reports,
        score = scores and scores[1].name or "score", lower = scores and scores[1].better == "lower" or nil,
        rounds = run.planned, interval = run.interval, batch = not experiment.members and experiment.batch or nil,
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

-- The members of a round as they were trained and scored, each with whom it has copied since.
local function trained(run)
    local now, members = {}, run.scored
    for _, member in ipairs(run.members) do now[member.slot] = member end
    for _, member in ipairs(members) do member.parent = now[member.slot].parent end
    return members
end

function Show:update(run, moment, slot)
    local info = { moment = moment, round = run.round, slot = slot, interval = run.interval }
    local members = moment == "round" and trained(run) or run.members
    self.log.table:update(members, info)
    if moment ~= "ready" then self.lines:update(members, info) end
end

-- What the population calls: after a member is ready, and after a round.
function Show:moment(run, moment, slot)
    local alone = not self.experiment.members and self.experiment.population == 1
    if moment == "ready" then
        if not alone then self:update(run, moment, slot) end
        if not self.experiment.members then self:look_for_alarms(run, slot) end
        return
    end
    if alone then self:tell_signals(run, run.round) else self:update(run, moment) end
    self:look_at_scores(run)
    self:draw(run, run.round)
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

-- The end of all: the plots, and a summary.
function Show:sum_up()
    self.painter:finish()
    self.log("\n%s", table.concat(summary.lines(history.read(self.folder.directory)), "\n"))
end

function Show:close()
    self.log:status(nil)
    if self.log.table then self.log.table:finish() end
    self.log.table = nil
end

return watch
