-- The pictures of a run, drawn by gnuplot from its store: scores.png, schedules.png, lineage.png.
--
--     plot.all(directory)              all of them, now
--
--     local painter = plot.painter(directory, say)
--     painter:round()                  after a round: begins to draw, and returns; not too often
--     painter:finish()                 at the end: draws, and waits
--
-- A picture that cannot be drawn is no reason to stop a run: say(text) is told, once, and things go on.
local files = require "brood.files"
local gnuplot = require "brood.plot.gnuplot"
local history = require "brood.show.history"

local plot = {}

local PAUSE = 10  -- seconds at least between the beginnings of two drawings
local SHARE = 50  -- of a run's time, one part at most goes into reading its store for them

plot.missing = "there are no plots: gnuplot is missing (Debian: apt-get install gnuplot-nox)"

local DRAWN = { "scores", "schedules", "lineage" }

local function start(directory)
    local run = history.read(directory)
    local pictures = {}
    if run.rounds == 0 then return nil end
    for _, name in ipairs(DRAWN) do
        local script, height = require("brood.plot." .. name).script(run)
        if script then pictures[#pictures + 1] = { file = name .. ".png", script = script, height = height } end
    end
    return gnuplot.start(directory, pictures)
end

-- True, or nil and why not.
function plot.all(directory)
    if not gnuplot.available() then return nil, plot.missing end
    local fine, job = pcall(start, directory)
    if not fine then return nil, ("the plots cannot be drawn: %s"):format(job) end
    if not job then return true end
    local drawn, why = job:finish()
    if not drawn then return nil, ("the plots cannot be drawn: gnuplot: %s"):format(why) end
    return true
end

-- ---- while the run goes on -----------------------------------------------------------------------------------------

local Painter = {}
Painter.__index = Painter

function plot.painter(directory, say)
    local self = setmetatable({ directory = directory, say = say or function() end, next = 0 }, Painter)
    if gnuplot.available() then pcall(gnuplot.tidy, directory) else self:give_up(plot.missing) end
    return self
end

function Painter:give_up(why)
    self.silent = true
    if not self.told then self.say(why) end
    self.told = true
end

-- Takes note of how the last drawing ended.
function Painter:conclude()
    local job = self.job
    self.job = nil
    if not job then return end
    local drawn, why = job:finish()
    if not drawn and not self.told then
        self.say(("the plots cannot be drawn: gnuplot: %s"):format(why))
        self.told = true
    end
end

function Painter:round()
    local now = files.seconds()
    if self.silent or now < self.next or self.job and self.job:busy() then return end
    self:conclude()
    local fine, job = pcall(start, self.directory)
    if not fine then return self:give_up(("the plots cannot be drawn: %s"):format(job)) end
    self.job = job
    self.next = now + math.max(PAUSE, SHARE * (files.seconds() - now))
end

function Painter:finish()
    self:conclude()
    if self.silent then return end
    local drawn, why = plot.all(self.directory)
    if not drawn then self:give_up(why) end
end

return plot
