-- Pictures by gnuplot: each is drawn under another name and renamed if it is whole, so that a viewer never sees half of
-- one, and an old one stays where there is no room for the new.
local files = require "brood.files"

local gnuplot = {}

-- Color-blind safe (Okabe and Ito).
gnuplot.colors = {
    blue = "#0072B2", orange = "#E69F00", green = "#009E73", pink = "#CC79A7", red = "#D55E00", sky = "#56B4E9",
    black = "#000000", grey = "#C4C4C4",
}
gnuplot.width, gnuplot.height = 1200, 800

-- ---- words of its language -----------------------------------------------------------------------------------------

-- A text in quotes. Within single ones nothing is special to gnuplot; lines are put together by "\n".
function gnuplot.quote(text)
    local lines = {}
    for line in (tostring(text) .. "\n"):gmatch "([^\n]*)\n" do
        lines[#lines + 1] = "'" .. line:gsub("[%c`]", " "):gsub("'", "''") .. "'"
    end
    return table.concat(lines, '."\\n".')
end

function gnuplot.number(value) return (value == nil or value - value ~= 0) and "NaN" or ("%.10g"):format(value) end

-- A named block of data: rows of numbers; an empty row interrupts lines. A block is never empty.
function gnuplot.block(name, rows)
    local lines = { ("$%s << EOD"):format(name) }
    for _, row in ipairs(rows) do
        local words = {}
        for i = 1, #row do words[i] = gnuplot.number(row[i]) end
        lines[#lines + 1] = table.concat(words, " ")
    end
    if #rows == 0 then lines[#lines + 1] = "NaN NaN NaN NaN" end
    lines[#lines + 1] = "EOD\n"
    return table.concat(lines, "\n")
end

-- The key of a multiplot, alone in a strip at its bottom that is `share` of its height: entries { style, words }.
function gnuplot.key(entries, share)
    local terms = {}
    for i, entry in ipairs(entries) do terms[i] = ("NaN with %s title %s"):format(entry[1], gnuplot.quote(entry[2])) end
    return ([[
set size 1,%.4f
set origin 0,0
unset title
unset label
unset logscale
unset xlabel
unset ylabel
unset border
unset tics
unset grid
set xrange [0:1]
set yrange [0:1]
set lmargin 3
set rmargin 3
set tmargin 0
set bmargin 0
set key inside center center horizontal font ',11'
plot %s
]]):format(share, table.concat(terms, ", "))
end

-- An x axis of steps, with a little room after the last.
function gnuplot.steps(last)
    return ("set xrange [0:%s]\nset format x '%%.0f'\n"):format(gnuplot.number(last * 1.02))
end

-- A logarithmic y axis for numbers from `low` to `high`, with numbers to read even where there is no power of ten.
function gnuplot.logarithmic(low, high)
    local tics, steps = {}, high / low < 300 and { 1, 2, 5 } or { 1 }
    local first, last = math.floor(math.log(low, 10)), math.ceil(math.log(high, 10))
    local stride = math.max(1, (last - first) // 6)
    for power = first, last, #steps > 1 and 1 or stride do
        for _, step in ipairs(steps) do
            local value = step * 10.0 ^ power
            tics[#tics + 1] = ("%s %.3g"):format(gnuplot.quote(("%.3g"):format(value)), value)
        end
    end
    return ("set logscale y\nset yrange [%.6g:%.6g]\nset ytics (%s)\n"):format(low, high, table.concat(tics, ", "))
end

-- Where a file of this name is begun, and its looks. Names are shown as they are: no markup.
local function begin(temporary, height)
    local size = ("size %d,%d font 'Sans,12' noenhanced"):format(gnuplot.width, height or gnuplot.height)
    return ([[
reset
set encoding utf8
if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) { set terminal pngcairo %s } else { set terminal png truecolor %s }
set output %s
set border 3 lc rgb '#606060'
set tics nomirror textcolor rgb '#202020'
set grid lc rgb '#E8E8E8' lt 1
set key outside bottom center horizontal samplen 3 spacing 1.2
]]):format(size, size, gnuplot.quote(temporary))
end

-- ---- drawing -------------------------------------------------------------------------------------------------------

local there -- whether gnuplot is; nil until it was looked for

function gnuplot.available()
    if there == nil then there = os.execute "command -v gnuplot >/dev/null 2>&1" == true end
    return there
end

local function shell_quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

-- Removes what drawing left behind when it was killed.
function gnuplot.tidy(folder)
    for _, name in ipairs(files.list(folder)) do
        if name:find "^%.plot%-%x+%-" then os.remove(folder .. "/" .. name) end
    end
end

-- Gives a picture its name. A PNG file ends with the chunk IEND, which is missing where the disk was full.
local function rename(temporary, file)
    local path = shell_quote("./" .. file)
    return ("if tail -c 12 %s 2>/dev/null | grep -aq IEND; then mv -f -- %s %s; else code=1; echo %s; fi"):format(temporary,
        temporary, path, shell_quote(file .. " cannot be written whole: is the disk full?"))
end

-- Starts drawing pictures { { file = name in the folder, script = text, height = pixels or nil }, ... } and returns at
-- once something to ask: job:busy(), and job:finish(), which waits, and returns true, or nil and what gnuplot says.
function gnuplot.start(folder, pictures)
    local mark = (".plot-%x-"):format(math.floor(files.seconds() * 1e6))
    local words, renames = {}, {}
    for i, picture in ipairs(pictures) do
        local temporary = ("%s%d.png"):format(mark, i)
        words[#words + 1] = begin(temporary, picture.height) .. picture.script .. "\nunset output\n"
        renames[#renames + 1] = rename(temporary, picture.file)
    end
    local script = folder .. "/" .. mark .. "script"
    files.save(script, table.concat(words, "\n"))
    io.stdout:flush()
    local command = "cd -- %s && trap '' INT; gnuplot %sscript 2>&1; code=$?; %s; rm -f %s*; exit $code"
    local pipe = assert(io.popen(command:format(shell_quote(folder), mark, table.concat(renames, "; "), mark)))
    local job = {}
    function job:busy() return files.kind(script) ~= nil end
    function job:finish()
        local said = pipe:read "a"
        if pipe:close() then return true end
        return nil, (said:match "line %d+: ([^\n]*)" or said:match "[^\n]+" or "it has failed")
    end
    return job
end

return gnuplot
