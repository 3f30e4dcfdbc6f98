-- scores.png: the scores of the best, the median and the worst member along their lineages, over those of all others,
-- beneath them the report score of the same three. Every line goes from a member to the one it comes from, so none goes
-- back in time where a slot was overwritten. Where nothing is scored, the losses of G and D take their places.
local alarm = require "brood.show.alarm"
local gnuplot = require "brood.plot.gnuplot"
local history = require "brood.show.history"
local text = require "brood.show.text"

local colors, quote, block = gnuplot.colors, gnuplot.quote, gnuplot.block

local scores = {}

-- How things are drawn.
local THIN = ("lines lw 1 lc rgb '%s'"):format(colors.grey)
local DOTTED = "linespoints pt 7 ps 0.4 lw 1" .. THIN:match " lc .*"
local ALONE = "points pt 7 ps 1" .. THIN:match " lc .*" -- in a single round there are no lines
local BOLD = "linespoints pt 7 ps 0.6 lw 3 lc rgb '%s'"
local CEILING = ("lines dt 2 lw 2 lc rgb '%s'"):format(colors.black)
local FLAG = ("points pt 9 ps 1.6 lc rgb '%s'"):format(colors.red)
local ALARM = ("points pt 10 ps 1.6 lw 1.5 lc rgb '%s'"):format(colors.red)
local FAILED = ("points pt 2 lw 2 lc rgb '%s'"):format(colors.red)
local CROSS = ("front point pt 2 lw 2 lc rgb '%s' offset 0.5,0.5 font ',9' textcolor rgb '%s'\n"):format(colors.red,
    colors.red)
local BEST = ("points pt 6 ps 2.2 lw 2 lc rgb '%s'"):format(colors.black)

local MANY = 400 -- members at rounds, beyond which they are lines without points
local WIDE = 50  -- times the least score is the greatest: where lower is better, the axis is logarithmic

-- ---- lines ---------------------------------------------------------------------------------------------------------

-- A point for each node that has a score; a failure interrupts the line.
local function points_of(line, score_of)
    local rows = {}
    for _, node in ipairs(line) do rows[#rows + 1] = { node.ends, score_of(node) } end
    return rows
end

-- All steps from a member to its descendant.
local function edges(run, score_of)
    local rows = {}
    for _, node in ipairs(run.nodes) do
        if node.parent then rows[#rows + 1] = { node.parent.ends, score_of(node.parent) } end
        rows[#rows + 1] = { node.ends, score_of(node) }
        rows[#rows + 1] = {}
    end
    return rows
end

-- The best, the median and the worst of those that have a score at the end.
local function chosen(run)
    local ranking = history.ranking(run)
    if #ranking == 0 then return {} end
    if run.ranked == "age" then
        return { { name = ("member %d"):format(ranking[1].slot), color = colors.blue, tip = ranking[1] } }
    end
    local lines = { { name = "best", color = colors.blue, tip = ranking[1] } }
    if #ranking > 2 then lines[2] = { name = "median", color = colors.orange, tip = ranking[(#ranking + 1) // 2] } end
    if #ranking > 1 then lines[#lines + 1] = { name = "worst", color = colors.pink, tip = ranking[#ranking] } end
    return lines
end

-- ---- one panel -----------------------------------------------------------------------------------------------------

-- panel: { name (of its data), score_of = function(node), label, lower, ceiling, ceiling_deviation }
local function ceiling_script(run, panel)
    local last = run.times[run.rounds]
    local low = panel.ceiling - 3 * panel.ceiling_deviation
    local high = panel.ceiling + 3 * panel.ceiling_deviation
    return block(panel.name .. "_ceiling", { { 0, panel.ceiling, low, high }, { last, panel.ceiling, low, high } })
end

local function range_of(run, panel)
    local least, most = panel.ceiling or math.huge, panel.ceiling or -math.huge
    for _, node in ipairs(run.nodes) do
        local score = panel.score_of(node)
        if score then least, most = math.min(least, score), math.max(most, score) end
    end
    return least, most
end

local function data_of(run, panel, lines)
    local words = { block(panel.name .. "_all", edges(run, panel.score_of)) }
    for i, line in ipairs(lines) do
        words[#words + 1] = block(panel.name .. "_" .. i, points_of(history.lineage(line.tip), panel.score_of))
    end
    if panel.ceiling then words[#words + 1] = ceiling_script(run, panel) end
    return table.concat(words)
end

local function add(parts, format, ...) parts[#parts + 1] = format:format(...) end

-- The terms of gnuplot's plot command.
local function terms_of(run, panel, lines)
    local parts = {}
    if panel.ceiling then
        add(parts, "$%s_ceiling using 1:3:4 with filledcurves fc rgb '#DCDCDC'", panel.name)
    end
    local thin = run.rounds == 1 and ALONE or #run.nodes <= MANY and DOTTED or THIN
    add(parts, "$%s_all using 1:2 with %s", panel.name, thin)
    if panel.ceiling then add(parts, "$%s_ceiling using 1:2 with %s", panel.name, CEILING) end
    for i = #lines, 1, -1 do add(parts, "$%s_%d using 1:2 with %s", panel.name, i, BOLD:format(lines[i].color)) end
    return parts
end

local function key_of(run, lines, alarms, flags, any_failed)
    local entries = {}
    for _, line in ipairs(lines) do entries[#entries + 1] = { BOLD:format(line.color), line.name } end
    if run.population > 1 then entries[#entries + 1] = { THIN, "all others" } end
    if run.ceiling or run.reports[1] and run.reports[1].ceiling then
        entries[#entries + 1] = { CEILING, "real images ± 3 deviations" }
    end
    if run.best and run.ranked ~= "age" then entries[#entries + 1] = { BEST, "best ever" } end
    if #flags > 0 then entries[#entries + 1] = { FLAG, "suspicious: above real images" } end
    if #alarms > 0 then entries[#entries + 1] = { ALARM, "alarms" } end
    if any_failed then entries[#entries + 1] = { FAILED, "failed members" } end
    return entries
end

-- ---- marks ---------------------------------------------------------------------------------------------------------

-- A cross for each round in which members failed, with their number if there are several.
local function failure_marks(run)
    local counts, words = {}, {}
    for _, event in ipairs(run.events) do
        local time = run.times[event.round]
        if event.kind == "failed" and time then counts[time] = (counts[time] or 0) + 1 end
    end
    for time, count in pairs(counts) do
        words[#words + 1] = ("set label %s at first %s, graph 0.025 %s"):format(quote(count > 1 and count or ""),
            gnuplot.number(time), CROSS)
    end
    table.sort(words)
    return table.concat(words), next(counts) ~= nil
end

local function flagged(run)
    local rows = {}
    for _, node in ipairs(run.nodes) do
        if node.flagged then rows[#rows + 1] = { node.ends, node.score } end
    end
    return rows
end

-- A point for each member that an alarm is about: `brood show` has the words.
local function alarmed(run, score_of)
    local rows, seen = {}, {}
    for _, one in ipairs(alarm.of(run)) do
        local score = score_of(one.node)
        if score and not seen[one.node] then
            seen[one.node] = true
            rows[#rows + 1] = { one.node.ends, score }
        end
    end
    return rows
end

-- ---- both panels ---------------------------------------------------------------------------------------------------

-- `better`: "higher" or "lower", nil where nobody said so.
local function label_of(name, better) return better and ("%s\n%s is better"):format(name, better) or name end

-- A player's loss, where there are no scores.
local function loss_panel(name, player, small)
    return {
        name = name, small = small, label = ("loss of %s"):format(player), ceiling_deviation = 0,
        score_of = function(node) return node.signals[player .. ".loss"] end,
    }
end

local function main_panel(run)
    if run.ranked == "age" then return loss_panel("main", "G") end
    return {
        name = "main", lower = run.lower, score_of = function(node) return node.score end,
        label = label_of((run.ranked == "report" and "report: " or "") .. run.score, run.lower and "lower" or "higher"),
        ceiling = run.ceiling, ceiling_deviation = run.ceiling_deviation,
    }
end

local function report_panel(run)
    if run.ranked == "age" then return loss_panel("report", "D", true) end
    local index = run.ranked == "report" and 2 or 1 -- the first is above
    local report = run.reports[index]
    return report and {
        name = "report", small = true, lower = report.better == "lower",
        score_of = function(node) return not node.failed and node.reports[index] or nil end,
        label = label_of("report: " .. report.name, report.better),
        ceiling = report.ceiling, ceiling_deviation = report.ceiling_deviation or 0,
    }
end

local function y_axis(run, panel)
    local words = ("unset logscale y\nset yrange [*:*]\nset ytics autofreq\nset ylabel %s\n"):format(quote(panel.label))
    local least, most = range_of(run, panel)
    local wide = panel.lower and least > 0 and most > WIDE * least
    return words .. (wide and gnuplot.logarithmic(least / 1.3, most * 1.3) or "")
end

-- What is said above a picture of the run.
function scores.title(run, what)
    local way = run.control == "off" and "population based training" or run.control
    local who = run.population == 1 and "one member" or ("%s, population %d"):format(way, run.population)
    local words = ("%s: %s\n%s%s, seed %s"):format(run.name, what, who,
        run.mode == "asynchronous" and ", asynchronous" or "", run.seed)
    local best = run.best
    if not best or run.ranked == "age" then return words end
    return ("%s. Best ever: %s by member %d at step %s%s"):format(words, text.noisy(best.score, best.deviation),
        best.slot, text.count(best.ends), best.flagged and ", suspiciously good" or "")
end

local HEAD, FOOT, REPORT = 0.07, 0.085, 0.33 -- shares of the picture's height

local function place(panel, height, bottom)
    return ("set size 1,%.4f\nset origin 0,%.4f\nset tics font ',%d'\n"):format(height, bottom,
        panel.small and 10 or 12)
end

local function panel_script(run, panel, lines, marks)
    local terms = terms_of(run, panel, lines)
    table.move(marks, 1, #marks, #terms + 1, terms)
    return y_axis(run, panel) .. "plot " .. table.concat(terms, ", \\\n  ") .. "\n"
end

function scores.script(run)
    local lines, panel, report = chosen(run), main_panel(run), report_panel(run)
    local crosses, any_failed = failure_marks(run)
    local alarms, flags = alarmed(run, panel.score_of), flagged(run)
    local best = run.best and run.ranked ~= "age" and { { run.best.ends, run.best.score } } or {}
    local marks = { "$alarms using 1:2 with " .. ALARM, "$flags using 1:2 with " .. FLAG, "$best using 1:2 with " .. BEST }
    local what = (run.ranked == "age" and "losses" or "scores") .. " along lineages"
    local below = FOOT + (report and REPORT or 0)
    local words = {
        data_of(run, panel, lines), report and data_of(run, report, lines) or "", block("alarms", alarms),
        block("flags", flags), block("best", best),
        ("set multiplot title %s font 'Sans,13'\n"):format(quote(scores.title(run, what))),
        gnuplot.steps(run.times[run.rounds]), "set lmargin 11\nset rmargin 4\nunset key\n",
        report and "" or "set xlabel 'steps'\n", place(panel, 1 - HEAD - below, below), crosses,
        panel_script(run, panel, lines, marks),
        report and "unset label\nset xlabel 'steps'\n" .. place(report, REPORT, FOOT) or "",
        report and panel_script(run, report, lines, {}) or "",
        gnuplot.key(key_of(run, lines, alarms, flags, any_failed), FOOT), "unset multiplot\n",
    }
    return table.concat(words)
end

return scores
