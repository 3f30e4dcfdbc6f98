-- schedules.png: each hyperparameter over the steps, those of all members thin, those along the lineage of the best
-- member ever bold.
local gnuplot = require "brood.plot.gnuplot"
local history = require "brood.show.history"
local scores = require "brood.plot.scores"

local colors, quote, block = gnuplot.colors, gnuplot.quote, gnuplot.block

local schedules = {}

local THIN, BOLD = "lines lw 1 lc rgb '#A8A8A8'", ("lines lw 4 lc rgb '%s'"):format(colors.blue)
local ROW = 260 -- pixels, at least, that a row of panels is high

local WHOLE = { integer = true, choice = true, category = true } -- all of a step

-- What was trained with a value, as a level line that begins where the parent's ends.
local function levels(nodes, name)
    local rows = {}
    for _, node in ipairs(nodes) do
        local value, before = node.values[name], node.parent and node.parent.values[name]
        if before and before ~= value then rows[#rows + 1] = { node.begins, before } end
        rows[#rows + 1] = { node.begins, value }
        rows[#rows + 1] = { node.ends, value }
        rows[#rows + 1] = {}
    end
    return rows
end

-- One line from step to step.
local function staircase(nodes, name)
    local rows = {}
    for _, node in ipairs(nodes) do
        rows[#rows + 1] = { node.begins, node.values[name] }
        rows[#rows + 1] = { node.ends, node.values[name] }
    end
    return rows
end

local function range_of(run, hyper)
    local low, high = math.huge, -math.huge
    for _, node in ipairs(run.nodes) do
        local value = node.values[hyper.name]
        if value then low, high = math.min(low, value), math.max(high, value) end
    end
    return low, high
end

-- Options that have names stand at their names, others at their numbers.
local function axis_of(run, hyper)
    local low, high = range_of(run, hyper)
    local words = "unset logscale y\nset ytics autofreq\n"
    if low > high then return words .. "set yrange [*:*]\n" end
    if hyper.kind == "log_uniform" and low > 0 then return gnuplot.logarithmic(low / 1.3, high * 1.3) end
    local margin, whole = high > low and 0.08 * (high - low) or math.max(0.1 * math.abs(high), 0.1), WHOLE[hyper.kind]
    if whole then margin = math.max(margin, 0.4) end
    words = words .. ("set yrange [%s:%s]\n"):format(gnuplot.number(low - margin), gnuplot.number(high + margin))
    if not hyper.labels then return words .. (whole and high - low <= 10 and "set ytics 1\n" or "") end
    local tics = {}
    for number = 0, #hyper.labels do tics[#tics + 1] = ("%s %d"):format(quote(hyper.labels[number]), number) end
    return words .. ("set ytics (%s)\n"):format(table.concat(tics, ", "))
end

local function panel(run, number, hyper, winner, lowest)
    local all, best = "all_" .. number, "best_" .. number
    return table.concat {
        block(all, levels(run.nodes, hyper.name)), block(best, staircase(winner, hyper.name)), axis_of(run, hyper),
        lowest and "set xlabel 'steps'\n" or "unset xlabel\n",
        ("set title %s offset 0,-0.5\n"):format(quote(hyper.name)),
        ("plot $%s using 1:2 with %s, $%s using 1:2 with %s\n"):format(all, THIN, best, BOLD),
    }
end

-- Hyperparameters that can change.
local function moving(run)
    local list = {}
    for _, hyper in ipairs(run.hypers) do
        if hyper.kind ~= "constant" then list[#list + 1] = hyper end
    end
    return list
end

local function columns_for(count) return count <= 3 and 1 or count <= 8 and 2 or count <= 18 and 3 or 4 end

-- The height of the picture as well; nil where there is nothing to draw.
function schedules.script(run)
    local hypers = moving(run)
    if #hypers == 0 then return nil end
    local columns = columns_for(#hypers)
    local rows = (#hypers + columns - 1) // columns
    local height = math.max(gnuplot.height, rows * ROW + 100)
    local head, foot = 60 / height, 40 / height
    local share = (1 - head - foot) / rows
    local winner = run.best and history.lineage(run.best) or {}
    local words = {
        ("set multiplot title %s font 'Sans,13'\n"):format(quote(scores.title(run, "hyperparameters"))),
        gnuplot.steps(run.times[run.rounds]), "set lmargin 11\nset rmargin 4\nunset key\n",
        ("set size %.4f,%.4f\n"):format(1 / columns, share),
    }
    for i, hyper in ipairs(hypers) do
        local row, column = (i - 1) // columns, (i - 1) % columns
        words[#words + 1] = ("set origin %.4f,%.4f\n"):format(column / columns, 1 - head - (row + 1) * share)
        words[#words + 1] = panel(run, i, hyper, winner, i + columns > #hypers)
    end
    local key = gnuplot.key({ { THIN, "all members" }, { BOLD, "the lineage of the best member" } }, foot)
    words[#words + 1] = key .. "unset multiplot\n"
    return table.concat(words), height
end

return schedules
