-- compare.png: the mean of each arm's runs over the steps, with a band of one standard deviation.
local comparison = require "brood.show.comparison"
local gnuplot = require "brood.plot.gnuplot"
local student = require "brood.show.student"
local text = require "brood.show.text"

local colors, quote, block = gnuplot.colors, gnuplot.quote, gnuplot.block

local compare = {}

local ARMS = { colors.blue, colors.orange, colors.green, colors.pink, colors.red, colors.sky, "#8C6D31", "#000000" }

local LINE, BAND = "linespoints pt 7 ps 0.6 lw 3", "filledcurves fs transparent solid 0.15 noborder"

local function rows_of(self, arm, measure)
    local rows = {}
    for i, steps in ipairs(comparison.moments(self, arm)) do
        local values = comparison.values(arm, measure, steps)
        local mean, spread = student.mean(values), student.deviation(values) or 0
        rows[i] = { steps, mean, mean - spread, mean + spread }
    end
    return rows
end

local function panel(self, measure, number)
    local data, bands, lines = {}, {}, {}
    for i, arm in ipairs(self.arms) do
        local name, color = ("arm_%d_%d"):format(number, i), ARMS[(i - 1) % #ARMS + 1]
        data[i] = block(name, rows_of(self, arm, measure))
        bands[i] = ("$%s using 1:3:4 with %s fc rgb '%s'"):format(name, BAND, color)
        lines[i] = ("$%s using 1:2 with %s lc rgb '%s'"):format(name, LINE, color)
    end
    table.move(lines, 1, #lines, #bands + 1, bands)
    return table.concat(data) .. "plot " .. table.concat(bands, ", \\\n  ") .. "\n"
end

local function key(self, share)
    local entries = {}
    for i, arm in ipairs(self.arms) do
        local words = ("%s (%d %s)"):format(arm.title, #arm.runs, #arm.runs == 1 and "run" or "runs")
        entries[i] = { ("%s lc rgb '%s'"):format(LINE, ARMS[(i - 1) % #ARMS + 1]), words }
    end
    return gnuplot.key(entries, share)
end

local BASE, HEAD = 742, 72            -- pixels above the key, and those above the panels
local LETTER, SAMPLE, ROW = 8, 90, 22 -- pixels at most of the key's letters, its samples of a line, its rows

-- The pixels that the key takes, however long its words.
local function key_height(self)
    local widest = 0
    for _, arm in ipairs(self.arms) do widest = math.max(widest, text.width(arm.title) + #" (1000 runs)") end
    local columns = math.max(1, gnuplot.width // (widest * LETTER + SAMPLE))
    return 36 + ROW * math.ceil(#self.arms / columns)
end

-- Of the first report score and the selection score, where there are both. The height of the picture as well.
function compare.script(self)
    local below = key_height(self)
    local height = BASE + below
    local head, foot = HEAD / height, below / height -- shares of it
    local shown = { self.measures[1] }
    if #self.measures > 1 then shown[2] = self.measures[#self.measures] end
    local share = (1 - head - foot) / #shown
    local words = {
        ("set multiplot title %s font 'Sans,13'\n"):format(quote("scores at equal steps\n"
            .. "of the member with the best score so far: mean over seeds, ± one standard deviation")),
        gnuplot.steps(self.last), "set lmargin 11\nset rmargin 4\nunset key\n", ("set size 1,%.4f\n"):format(share),
    }
    for i, measure in ipairs(shown) do
        words[#words + 1] = ("set origin 0,%.4f\nset ylabel %s\n%s"):format(1 - head - i * share,
            quote(measure.better and ("%s\n%s is better"):format(measure.name, measure.better) or measure.name),
            i == #shown and "set xlabel 'steps of each member'\n" or "")
        words[#words + 1] = panel(self, measure, i)
    end
    words[#words + 1] = key(self, foot) .. "unset multiplot\n"
    return table.concat(words), height
end

-- Draws into a file. True, or nil and why not.
function compare.draw(self, path)
    if not gnuplot.available() then return nil, require("brood.plot").missing end
    local folder, name = path:match "^(.*)/([^/]*)$"
    folder = folder == "" and "/" or folder or "."
    local script, height = compare.script(self)
    local fine, job = pcall(gnuplot.start, folder, { { file = name or path, script = script, height = height } })
    if not fine then return nil, job end
    return job:finish()
end

return compare
