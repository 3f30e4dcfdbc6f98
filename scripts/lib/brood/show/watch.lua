-- What people see while a run goes on: the log, the tables, the pictures, and alarms.
--
--     local log = watch.log(path)                      log(format, ...) says it, on the terminal and in the file
--     local show = watch.new(folder, experiment, log)
--     show:open(run)                                   before it goes on
--     show:moment(run, "training", "ready" or "round", slot)     what the population calls
--     show:close()
--     show:last()                                      at the end
local alarm = require "brood.show.alarm"
local command = require "brood.command"
local files = require "brood.files"
local history = require "brood.show.history"
local live = require "brood.show.live"
local pictures = require "brood.show.pictures"
local plot = require "brood.plot"
local signals = require "brood.show.signals"
local summary = require "brood.show.summary"
local text = require "brood.show.text"

local watch = {}

local PAUSE = 0.2 -- seconds at least between two lines of what goes on within a round
local SHARE = 50 -- of a run's time, one part at most goes into reading its store for alarms

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

-- The alarms that were told before a run was resumed: { [line] = true }.
local function told_alarms(path)
    local told = {}
    if files.kind(path) ~= "file" then return told end
    for line in io.lines(path) do
        if line:find "^alarm, " then told[line] = true end
    end
    return told
end

function watch.new(folder, experiment, log)
    local self = setmetatable({ folder = folder, experiment = experiment, log = log }, Show)
    self.told, self.looked, self.next_look = told_alarms(log.path), 0, 0
    self.painter = plot.painter(folder.directory, function(line) log("%s", line) end)
    return self
end

-- The member with the best score, those that failed last.
local function best_of(members, lower)
    local best, sign = nil, lower and -1 or 1
    for _, member in ipairs(members) do
        local better = best and sign * (member.score or 0) > sign * (best.score or 0)
        if not member.failed and (not best or better) then best = member end
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
    local best = best_of(members, run.scores and run.scores[1].better == "lower")
    local gan = best and self:gan(run, best)
    if not gan then return end
    pictures.draw(name .. ".png", experiment, pictures.sample(experiment, gan, {}), {})
    pictures.draw(name .. "-raw.png", experiment, pictures.sample(experiment, gan, { raw = true }), {})
    if #members == 1 then return end
    local rows = {}
    for i, member in ipairs(members) do rows[i] = self:gan(run, member) or false end
    pictures.members(name .. "-members.png", experiment, rows)
end

-- What members' signals and the best scores tell. Reading the store takes longer the longer the run, so not every round
-- is looked at at once, unless it is the last look. What has been told stands in the log.
function Show:tell_alarms(round, last)
    local now = files.seconds()
    if self.experiment.members or not last and now < self.next_look then return end
    for _, one in ipairs(alarm.of(history.read(self.folder.directory), self.looked + 1)) do
        local line = ("alarm, step %d, member %d: %s"):format(one.node.ends, one.slot, one.text)
        if not self.told[line] then self.log("%s", line) end
        self.told[line] = true -- in an asynchronous run some members are ahead
    end
    self.looked = round
    self.next_look = files.seconds() + SHARE * (files.seconds() - now)
end

-- Real images that a step takes, as far as that is one number.
function Show:images()
    return self.experiment.batch * (tonumber(self.experiment.d_steps) or 1)
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
    self.log("%s", signals.row(names, of, round, member.age, seconds, score, member.deviation))
    self.steps = member.steps
    local rate = 1 / seconds
    local rest = math.max(0, run.planned - round) * run.interval
    if rest > 0 then
        self.log:status(("%s steps/s, %s images/s, %s left"):format(text.number(rate),
            text.count(rate * self:images()), text.seconds(rest * seconds)))
    end
end

-- What Ctrl-C will be answered by: a round is finished, in the time that the last one took or that its beginning makes
-- probable.
function Show:expect(run)
    if self.experiment.mode == "asynchronous" then return files.at_interrupt("stopping", "; once more stops at once") end
    local seconds, share = self.round_seconds, run.share
    if not seconds and share > 0 then seconds = (files.seconds() - self.round_start) / share end
    files.at_interrupt(("finishing round %d"):format(run.round + 1),
        ("; Ctrl-C again stops at once, back to %s"):format(run.round > 0 and "round " .. run.round or "the beginning"),
        seconds and self.round_start + seconds)
end

-- One member, in the middle of a round.
function Show:tell_share(run)
    local now = files.seconds()
    if now - (self.shared or self.round_start) < PAUSE then return end
    self.shared = now
    local steps, elapsed = run.share * run.interval, now - self.round_start
    local rate = steps / elapsed
    local rest = math.max(0, run.planned - run.round) * run.interval - steps
    local words = {
        ("round %d: step %d of %d"):format(run.round + 1, math.floor(steps + 0.5), run.interval),
        ("%s steps/s"):format(text.number(rate)), ("%s images/s"):format(text.count(rate * self:images())),
        ("%s left"):format(text.seconds(rest / rate)),
    }
    local of = run:signals(run.members[1].slot)
    for _, name in ipairs(signals.sorted(self.experiment:signals())) do
        if name:find "%.loss$" then words[#words + 1] = ("%s %s"):format(name, text.number(of[name])) end
    end
    self.log:status(table.concat(words, ", "))
end

-- Several members: a table that is drawn in its place, and lines for the log.
function Show:open(run)
    self.round_start, self.steps = files.seconds(), run.members[1].steps
    self:expect(run)
    if not self.experiment.members and self.experiment.population == 1 then return end
    local scores, experiment = run.scores, self.experiment
    local reports = {}
    for i = 2, #(scores or {}) do reports[i - 1] = scores[i].name end
    local options = {
        hypers = experiment:moving(), reports = experiment.members and experiment.members.reports or reports,
        score = scores and (experiment.select and "" or "report: ") .. scores[1].name or "score",
        lower = scores and scores[1].better == "lower" or nil,
        unscored = not scores and not experiment.members or nil,
        rounds = run.planned, interval = run.interval, images = not experiment.members and self:images() or nil,
        asynchronous = experiment.mode == "asynchronous",
    }
    if scores and scores[1].ceiling then
        options.ceiling, options.ceiling_deviation = scores[1].ceiling, scores[1].ceiling_deviation
        options.honest = scores[1].honest
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
    local info = { moment = moment, round = run.round, slot = slot, interval = run.interval, share = run.share }
    local members = moment == "round" and trained(run) or run.members
    self.log.table:update(members, info)
    if moment == "round" or moment == "start" then self.lines:update(members, info) end
end

-- What the population calls: within a round's training, after a member is ready, and after a round.
function Show:moment(run, moment, slot)
    local alone = not self.experiment.members and self.experiment.population == 1
    if moment ~= "round" then
        self:expect(run)
        if not alone then self:update(run, moment, slot) elseif moment == "training" then self:tell_share(run) end
        return
    end
    self.round_seconds = files.seconds() - self.round_start
    if alone then self:tell_signals(run, run.round) else self:update(run, moment) end
    self:tell_alarms(run.round)
    self:draw(run, run.round)
    self.painter:round()
    self.round_start = files.seconds()
    self:expect(run)
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
    files.at_interrupt("drawing the last pictures", "; Ctrl-C again stops at once")
    self:tell_alarms(self.looked, true)
    if self.log.table then self.log.table:finish() end
    self.log.table = nil
end

return watch
