-- How a run is doing, while it goes on: in a terminal a table that is drawn again in its place, elsewhere a line a
-- round.
--
--     local table = live.new {
--         out = io.stdout, terminal = true, columns = 80,   -- what it is shown on; found out unless given
--         hypers = { "d_lr", "g_lr" }, reports = { "frechet" }, score = "classifier_score",
--         lower = false,                                    -- the score is better when lower
--         unscored = false,                                 -- members are not scored at all
--         ceiling = 9.35, ceiling_deviation = 0.04,         -- of real images, and whether to beat them is suspicious:
--         honest = true,
--         rounds = 20, interval = 100, images = 64 (of a step), asynchronous = false,
--     }
--     table:update(views, { moment = "start", round = 0 })
--     table:update(views, { moment = "training", round = 0, share = 0.4 })  -- of the round's training that is done
--     table:update(views, { moment = "ready", round = 0, slot = 3 })    -- of a member, in the middle of a round
--     table:update(views, { moment = "round", round = 1 })              -- done
--     table:say "a line that stays, above the table"
--     table:finish()
--
-- A view is { slot, failed, pinned, steps, age, score, deviation, reports = {}, values = { NAME = number or text },
-- parent = slot, failure = text }. `seconds` in an update is the time on a clock, for those who have one of their
-- own; `interval` there is the present one.
--
-- The cursor always stands below the table, and is never hidden: whenever the program ends, the terminal is in order.
local files = require "brood.files"
local text = require "brood.show.text"

local Live = {}
Live.__index = Live

local live = {}

local PAUSE = 0.1       -- seconds at least between two drawings within a round
local NAMES = { 12, 7 } -- characters of a column's name, where the numbers need no more; fewer if columns are missing
local STATE = 8         -- characters at least for the state
local GAP = "  "

local BOLD, RED, YELLOW, PLAIN = "\27[1m", "\27[31m", "\27[33m", "\27[0m"

function live.new(options)
    local self = setmetatable({ options = options, out = options.out or io.stdout, ready = {}, widths = {} }, Live)
    local dumb = os.getenv "TERM" == "dumb" or os.getenv "TERM" == nil
    self.terminal = options.terminal
    if self.terminal == nil then self.terminal = not dumb and self:size() ~= nil end
    self.colors = not os.getenv "NO_COLOR"
    return self
end

function Live:size()
    local columns, rows = files.terminal(self.out == io.stderr)
    if self.options.columns then return self.options.columns, self.options.rows or rows or math.maxinteger end
    return columns, rows
end

-- ---- what is known of the members ----------------------------------------------------------------------------------

-- A float, so that it is not shown as a count.
local function shown(self, score)
    return score and not self.options.unscored and score + 0.0 or nil
end

local function flagged(self, view)
    local ceiling = self.options.ceiling
    if not ceiling or not self.options.honest or view.failed or not view.score then return false end
    local noise = math.sqrt((view.deviation or 0) ^ 2 + (self.options.ceiling_deviation or 0) ^ 2)
    return (self.options.lower and ceiling - view.score or view.score - ceiling) > 3 * noise
end

-- Those with a score, the best first.
local function ranking(self, views)
    local list = {}
    if self.options.unscored then return list end
    for _, view in ipairs(views) do
        if not view.failed and view.score and view.score == view.score then list[#list + 1] = view end
    end
    table.sort(list, function(a, b)
        if a.score ~= b.score then return (a.score > b.score) ~= (self.options.lower or false) end
        return a.slot < b.slot
    end)
    return list
end

local function count(views, f)
    local number = 0
    for _, view in ipairs(views) do number = number + (f(view) and 1 or 0) end
    return number
end

local function is_copy(view) return view.parent and view.parent ~= view.slot end
local function has_failed(view) return view.failed end

local function steps_of(views)
    local steps = 0
    for _, view in ipairs(views) do steps = steps + view.steps end
    return steps
end

-- ---- speed ---------------------------------------------------------------------------------------------------------

local function is_within(info) return info.moment == "ready" or info.moment == "training" end

-- From the first update on: nothing is known of a time before it.
local function take_time(self, views, info)
    local now, steps = info.seconds or files.seconds(), steps_of(views)
    self.interval = info.interval or self.options.interval
    if is_within(info) and self.bound and self.interval then
        steps = math.max(steps, self.bound.steps + (info.share or 0) * self.interval * #views)
    end
    if not self.began or steps < self.began.steps then self.began = { seconds = now, steps = steps } end
    if not is_within(info) then
        self.bound, self.last_bound = { seconds = now, steps = steps }, self.bound
    end
    local seconds = now - self.began.seconds
    self.rate = seconds > 0 and steps > self.began.steps and (steps - self.began.steps) / seconds or nil
    self.steps = steps
end

local function left(self, views, round)
    if not self.rate or not self.options.rounds or not self.interval or not self.bound then return nil end
    local all = self.bound.steps + (self.options.rounds - round) * self.interval * #views
    return math.max(0, all - self.steps) / self.rate
end

local function speed_line(self, views, round)
    if not self.rate then return "" end
    local words = { (self.rate < 100 and text.brief or text.count)(self.rate) .. " steps/s" }
    if self.options.images then words[2] = text.count(self.rate * self.options.images) .. " images/s" end
    local seconds = left(self, views, round)
    if seconds and round < self.options.rounds then words[#words + 1] = text.seconds(seconds) .. " left" end
    return table.concat(words, ", ")
end

-- ---- columns -------------------------------------------------------------------------------------------------------

-- With as many words as there is room for.
local function state_of(self, view, room)
    local brief = room < 2 * STATE
    if view.failed then
        return "failed" .. (view.failure and not brief and ": " .. view.failure:gsub("%c", " ") or "")
    end
    if flagged(self, view) then return brief and "too good" or "suspicious: above real images" end
    if view.pinned then return "pinned" end
    if self.resting or self.options.asynchronous then return "" end
    return self.ready[view.slot] and "ready" or "training"
end

-- Options that have names are known by them.
local function value_of(view, name)
    local value = view.values[name]
    return type(value) == "string" and value or text.brief(value)
end

-- All that could be shown, the most important first; they stand in the order of `place`.
local function all_columns(self)
    local columns = {}
    local function add(place, name, cell) columns[#columns + 1] = { place = place, name = name, cell = cell } end
    local reports, hypers = self.options.reports or {}, self.options.hypers or {}
    local function report(i)
        return function(view) return text.number(not view.failed and view.reports[i] or nil) end
    end
    add(1, "member", function(view) return ("%d"):format(view.slot) end)
    if not self.options.unscored then
        add(3, self.options.score or "score", function(view)
            return view.failed and "-" or text.noisy(shown(self, view.score), view.deviation)
        end)
    end
    add(1000, "from", function(view) return is_copy(view) and ("%d"):format(view.parent) or "" end)
    local function name_of(i) return reports[i] == self.options.score and "report" or reports[i] end
    if reports[1] then add(4, name_of(1), report(1)) end
    for i, name in ipairs(hypers) do add(100 + i, name, function(view) return value_of(view, name) end) end
    add(2, "age", function(view) return ("%d"):format(view.age) end)
    for i = 2, #reports do add(4 + i, name_of(i), report(i)) end
    return columns
end

-- The columns that there is room for beside the state, the names of the others, and how long a state may be.
local function fit(columns, room, name)
    local chosen, missing, used = {}, {}, STATE
    for _, column in ipairs(columns) do
        column.heading = text.cut(column.name, math.max(column.needs, name))
        column.width = math.max(column.needs, text.width(column.heading))
        if used + column.width + #GAP <= room then
            used = used + column.width + #GAP
            chosen[#chosen + 1] = column
        else
            missing[#missing + 1] = column.name
        end
    end
    table.sort(chosen, function(a, b) return a.place < b.place end)
    return chosen, missing, room - used + STATE
end

local function lay_out(self, views, room)
    local columns = all_columns(self)
    for _, column in ipairs(columns) do
        column.cells, column.needs = {}, self.widths[column.name] or 0
        for i, view in ipairs(views) do
            column.cells[i] = column.cell(view)
            column.needs = math.max(column.needs, text.width(column.cells[i]))
        end
        self.widths[column.name] = column.needs -- and no less again, so that columns do not jump to and fro
    end
    for _, name in ipairs(NAMES) do
        local chosen, missing, rest = fit(columns, room, name)
        if #missing == 0 or name == NAMES[#NAMES] then return chosen, missing, rest end
    end
end

-- ---- the table -----------------------------------------------------------------------------------------------------

-- As many as there is room for: the best ones, in order of slot.
local function choose(self, views, most)
    if #views <= most then return views, {} end
    local best, kept, others = ranking(self, views), {}, {}
    for i = 1, math.min(most, #best) do kept[best[i].slot] = true end
    local chosen = {}
    for _, view in ipairs(views) do
        local list = kept[view.slot] and chosen or others
        list[#list + 1] = view
    end
    return chosen, others
end

local function paint(self, line, style)
    return self.colors and style and style .. line .. PLAIN or line
end

local function style_of(self, view, best)
    if view.failed then return RED end
    if flagged(self, view) then return YELLOW end
    return view == best and BOLD or nil
end

local function summary_line(self, views, best, info)
    local rounds = self.options.rounds
    local words = { ("round %d%s"):format(info.round, rounds and " of " .. rounds or "") }
    if not self.resting and not self.options.asynchronous then
        local trained = info.share and (", %.0f %% of the next"):format(100 * info.share) or ""
        words[1] = words[1] .. (" done%s, %d of %d ready"):format(trained, count(views, function(view)
            return self.ready[view.slot]
        end), #views)
    end
    if best then
        local score = text.noisy(shown(self, best.score), best.deviation)
        words[#words + 1] = ("best %s, member %d"):format(score, best.slot)
    end
    if best and self.options.ceiling then
        words[#words + 1] = "real images " .. text.noisy(self.options.ceiling + 0.0, self.options.ceiling_deviation)
    end
    local copies, failures = count(views, is_copy), count(views, has_failed)
    if copies > 0 then words[#words + 1] = copies == 1 and "1 copy" or copies .. " copies" end
    if failures > 0 then words[#words + 1] = failures .. " failed" end
    return table.concat(words, "; ")
end

local function frame(self, views, info, columns, rows)
    local room, lines, best = columns - 1, {}, ranking(self, views)[1]
    local some, others = choose(self, views, math.max(1, rows - 6))
    local chosen, missing, rest = lay_out(self, some, room)
    local function line(cell_of, state)
        local words = {}
        for i, column in ipairs(chosen) do words[i] = text.pad(cell_of(column), column.width, true) end
        words[#words + 1] = text.cut(state, rest)
        return (table.concat(words, GAP):gsub(" +$", ""))
    end
    lines[1] = line(function(column) return column.heading end, "state")
    for i, view in ipairs(some) do
        local cells = line(function(column) return column.cells[i] end, state_of(self, view, rest))
        lines[#lines + 1] = paint(self, cells, style_of(self, view, best))
    end
    if #others > 0 then lines[#lines + 1] = ("and %d more members, none of them better"):format(#others) end
    lines[#lines + 1] = text.cut(summary_line(self, views, best, info), room)
    lines[#lines + 1] = text.cut(speed_line(self, views, info.round), room)
    if #missing > 0 then
        lines[#lines + 1] = text.cut("for a wider terminal: " .. table.concat(missing, ", "), room)
    end
    return lines
end

-- Up to where the table begins; none where the terminal has changed, or something else was written below it.
local function home(self, columns, rows)
    local interrupted = files.interrupted()
    local same = self.columns == columns and self.rows == rows and self.interrupted == interrupted
    self.columns, self.rows, self.interrupted = columns, rows, interrupted
    return same and self.drawn and self.drawn > 0 and ("\27[%dA"):format(self.drawn) or ""
end

local function draw(self, views, info)
    local now = files.seconds()
    self.latest = { views, info }
    if is_within(info) and self.drew and now - self.drew < PAUSE then return end
    self.drew, self.resting = now, not is_within(info)
    local columns, rows = self:size()
    columns, rows = columns or 80, rows or 24
    local lines = frame(self, views, info, columns, rows)
    local words = { home(self, columns, rows) }
    for _, line in ipairs(lines) do words[#words + 1] = "\27[2K" .. line .. "\n" end
    words[#words + 1] = "\27[J"
    self.out:write(table.concat(words))
    self.out:flush()
    self.drawn, self.pending = #lines, nil
end

-- ---- a line a round ------------------------------------------------------------------------------------------------

local LINE = "%5s %9s  %-18s %6s %9s %9s %9s %7s %8s %8s"

local function write_line(self, ...)
    self.out:write((LINE:format(...):gsub(" +$", "")), "\n")
    self.out:flush()
end

local function round_line(self, views, info)
    local report = (self.options.reports or {})[1]
    if not self.headed then
        local score, ceiling = text.cut(self.options.score or "score", 18), self.options.ceiling
        if ceiling then
            self.out:write(("real images: %s %s\n"):format(self.options.score or "score",
                text.noisy(ceiling + 0.0, self.options.ceiling_deviation)))
        end
        write_line(self, "round", "step", score, "member", "median", "worst", report and "report" or "", "copies",
            "failures", "seconds")
        self.headed = true
    end
    local list = ranking(self, views)
    local best, median, worst = list[1], list[(#list + 1) // 2], list[#list]
    local steps = 0
    for _, view in ipairs(views) do steps = math.max(steps, view.steps) end
    local seconds = self.last_bound and self.bound.seconds - self.last_bound.seconds
    local noisy = best and text.noisy(shown(self, best.score), best.deviation) or "-"
    noisy = noisy .. (" "):rep(18 - text.width(noisy)) -- whose ± is two bytes
    local function score_of(view) return text.number(view and shown(self, view.score)) end
    write_line(self, info.round, steps, noisy, best and best.slot or "-", score_of(median), score_of(worst),
        report and text.number(best and best.reports[1]) or "", count(views, is_copy), count(views, has_failed),
        seconds and ("%.1f"):format(seconds) or "-")
    if best and flagged(self, best) then
        self.out:write(("      suspicious: member %d is better than real images\n"):format(best.slot))
    end
end

-- ---- from outside --------------------------------------------------------------------------------------------------

function Live:update(views, info)
    if info.moment == "ready" and info.slot then self.ready[info.slot] = true end
    take_time(self, views, info)
    if self.terminal then
        draw(self, views, info)
    elseif info.moment == "round" then
        round_line(self, views, info)
    end
    if not is_within(info) then self.ready = {} end
end

function Live:say(line)
    if not self.terminal or not self.drawn then
        self.out:write(line, "\n")
    else
        self.out:write(home(self, self:size()), "\27[J", line, "\n")
        self.drawn = 0
        draw(self, table.unpack(self.latest))
    end
    self.out:flush()
end

-- Leaves the table as it last was.
function Live:finish()
    if self.terminal and self.latest then
        self.drew = nil
        draw(self, table.unpack(self.latest))
    end
    self.out:flush()
end

return live
