-- lineage.png: the forest of descent. Each member has a lane, colored by its score; a copy is a line from the lane of
-- the donor to that of the copier. What has died out is thin; the lineage of the best member ever is drawn on black.
local gnuplot = require "brood.plot.gnuplot"
local history = require "brood.show.history"
local scores = require "brood.plot.scores"

local colors, quote, block = gnuplot.colors, gnuplot.quote, gnuplot.block

local lineage = {}

local SLANT = 0.35 -- of a round, in which a copy's line goes from lane to lane

-- The way of the node's weights through its round: from where they were before, along its lane.
local function path(node)
    local rows, slant = {}, 0
    if node.parent and node.parent.slot ~= node.slot then
        rows[1] = { node.begins, node.parent.slot, node.score }
        slant = SLANT * (node.ends - node.begins)
    end
    rows[#rows + 1] = { node.begins + slant, node.slot, node.score }
    rows[#rows + 1] = { node.ends, node.slot, node.score }
    rows[#rows + 1] = {}
    return rows
end

local MARKS = { -- what the schedule did: the points that show it
    forked = { 8, "fork" }, pinned = { 4, "pinned" }, set = { 12, "set by the schedule" }, added = { 10, "added" },
}
local MARKED = { "forked", "pinned", "set", "added" }

-- { [word] = rows of what happened then }
local function marks_of(run)
    local marks = { forked = {}, pinned = {}, set = {}, added = {} }
    for _, node in ipairs(run.nodes) do
        if node.forked then table.insert(marks.forked, { node.begins, node.slot }) end
        for _, act in ipairs(node.acts) do table.insert(marks[act.word], { run.times[act.round], node.slot }) end
    end
    return marks
end

local function append(rows, more) table.move(more, 1, #more, #rows + 1, rows) end

local function data_of(run)
    local living, dead, failed, winner = {}, {}, {}, {}
    for _, node in ipairs(run.nodes) do
        if node.score then append(node.alive and living or dead, path(node)) end
        local failed_before = node.parent and node.parent.failed
        if node.failed and not failed_before then failed[#failed + 1] = { node.ends, node.slot } end
    end
    for _, node in ipairs(run.best and history.lineage(run.best) or {}) do append(winner, path(node)) end
    local data = block("living", living) .. block("dead", dead) .. block("failed", failed) .. block("winner", winner)
    return data, #failed > 0
end

-- Colors for all but the lowest twentieth of the scores, which would take them all.
local function color_range(run)
    local values = {}
    for _, node in ipairs(run.nodes) do
        if node.rank then values[#values + 1] = node.rank end
    end
    table.sort(values)
    if #values == 0 or values[1] == values[#values] then return "" end
    local low, high = values[1 + #values // 20], values[#values]
    if low == high then low = values[1] end
    if run.lower then low, high = -high, -low end
    return ("set cbrange [%s:%s]\n"):format(gnuplot.number(low), gnuplot.number(high))
end

-- viridis, without its darkest end, which is too near to black.
local PALETTE = "set palette defined (0 '#472D7B', 1 '#3B528B', 2 '#2C728E', 3 '#21918C', 4 '#28AE80', 5 '#5EC962', "
    .. "6 '#ADDC30', 7 '#FDE725')"

function lineage.script(run)
    local last = 0
    for _, node in ipairs(run.nodes) do last = math.max(last, node.slot) end
    local data, any_failed = data_of(run)
    local thick = math.max(2, math.min(7, 260 // (last + 1)))
    local thin, dot = math.max(1, thick * 0.3), math.max(1.2, thick * 0.35)
    local terms = {}
    local function add(format, ...) terms[#terms + 1] = format:format(...) end
    add("$dead using 1:2:3 with lines lw %.1f lc palette notitle", thin)
    add("$winner using 1:2 with lines lw %d lc rgb '%s' title 'the lineage of the best member'", thick + 5,
        colors.black)
    add("$living using 1:2:3 with lines lw %d lc palette notitle", thick)
    add("$winner using 1:2:3 with lines lw %d lc palette notitle", thick)
    add("NaN with lines lw %d lc rgb '%s' title 'has living descendants'", thick, colors.green)
    add("NaN with lines lw %.1f lc rgb '%s' title 'died out'", thin, colors.green)
    add("$best using 1:2 with points pt 7 ps %.1f lc rgb '%s' title '%s'", dot, colors.black,
        run.ranked == "age" and "trained longest" or "the best score ever")
    local marks = marks_of(run)
    for _, word in ipairs(MARKED) do
        if #marks[word] > 0 then
            data = data .. block(word, marks[word])
            add("$%s using 1:2 with points pt %d ps 2 lw 2 lc rgb '%s' title '%s'", word, MARKS[word][1], colors.black,
                MARKS[word][2])
        end
    end
    if any_failed then
        add("$failed using 1:2 with points pt 2 ps 1.2 lw 2 lc rgb '%s' title 'failed'", colors.red)
    end
    return table.concat {
        data, block("best", run.best and { { run.best.ends, run.best.slot } } or {}),
        ("set title %s font 'Sans,13'\n"):format(quote(scores.title(run, "who descends from whom"))),
        gnuplot.steps(run.times[run.rounds]), "set xlabel 'steps'\nset ylabel 'member'\n",
        ("set yrange [%d.6:-0.6]\nset ytics %s offset -0.8,0\n"):format(last, last <= 24 and "1" or "autofreq"),
        PALETTE, run.lower and " negative\n" or "\n", color_range(run),
        ("set cblabel %s\nset lmargin 9\n"):format(quote(run.ranked == "age" and "steps of training" or run.score)),
        "plot ", table.concat(terms, ", \\\n  "), "\n",
    }
end

return lineage
