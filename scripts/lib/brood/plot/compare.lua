-- compare.png: the mean of each arm's runs over the steps, with a band of one standard deviation.
local comparison = require "brood.show.comparison"
local gnuplot = require "brood.plot.gnuplot"
local student = require "brood.show.student"

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

local HEAD, FOOT = 0.09, 0.1 -- shares of the picture's height

-- Of the first report score and the selection score, where there are both.
function compare.script(self)
    local shown = { self.measures[1] }
    if #self.measures > 1 then shown[2] = self.measures[#self.measures] end
    local share = (1 - HEAD - FOOT) / #shown
    local words = {
        ("set multiplot title %s font 'Sans,13'\n"):format(quote("scores at equal steps\n"
            .. "of the member with the best selection score so far: mean over seeds, ± one standard deviation")),
        gnuplot.steps(self.last), "set lmargin 11\nset rmargin 4\nunset key\n", ("set size 1,%.4f\n"):format(share),
    }
    for i, measure in ipairs(shown) do
        words[#words + 1] = ("set origin 0,%.4f\nset ylabel %s\n%s"):format(1 - HEAD - i * share,
            quote(("%s\n%s is better"):format(measure.name, measure.lower and "lower" or "higher")),
            i == #shown and "set xlabel 'steps of each member'\n" or "")
        words[#words + 1] = panel(self, measure, i)
    end
    words[#words + 1] = key(self, FOOT) .. "unset multiplot\n"
    return table.concat(words)
end

-- Draws into a file. True, or nil and why not.
function compare.draw(self, path)
    if not gnuplot.available() then return nil, require("brood.plot").missing end
    local folder, name = path:match "^(.*)/([^/]*)$"
    folder = folder == "" and "/" or folder or "."
    local fine, job = pcall(gnuplot.start, folder, { { file = name or path, script = compare.script(self) } })
    if not fine then return nil, job end
    return job:finish()
end

return compare
