-- brood compare RUN... [-o FILE]: the scores of runs at equal steps, arm by arm, and a picture of them.
local command = require "brood.command"
local folder = require "brood.folder"
local comparison = require "brood.show.comparison"
local files = require "brood.files"
local history = require "brood.show.history"
local plot = require "brood.plot.compare"
local student = require "brood.show.student"
local text = require "brood.show.text"

local QUARTERS = 4 -- moments at which scores are shown

local function spread_text(values)
    if #values == 0 then return "-" end
    return text.noisy(student.mean(values), student.deviation(values))
end

local function print_table(rows, left)
    print(table.concat(text.table(rows, left), "\n"))
end

-- ---- arms at the last step -----------------------------------------------------------------------------------------

local function mean_of(arm, steps, what)
    local values = {}
    for _, run in ipairs(arm.runs) do
        local point = comparison.at(run, steps)
        values[#values + 1] = point and point[what] or nil
    end
    return #values > 0 and student.mean(values)
end

local function print_arms(compared)
    local head = { "", "runs" }
    for _, measure in ipairs(compared.measures) do head[#head + 1] = measure.name end
    head[#head + 1], head[#head + 2] = "images", "CPU seconds"
    local rows = { head }
    for i, arm in ipairs(compared.arms) do
        local row = { arm.title, tostring(#arm.runs) }
        for _, measure in ipairs(compared.measures) do
            row[#row + 1] = spread_text(comparison.values(arm, measure, compared.last))
        end
        local images, cpu = mean_of(arm, compared.last, "images"), mean_of(arm, compared.last, "cpu")
        row[#row + 1] = images and text.count(images) or "-"
        row[#row + 1] = cpu and text.number(cpu) or "-"
        rows[i + 1] = row
    end
    print(("at step %s of each member, mean ± standard deviation over seeds"):format(text.count(compared.last)))
    print_table(rows, { true })
end

-- ---- on the way ----------------------------------------------------------------------------------------------------

local function print_course(compared)
    local measure, head, rows = compared.measures[1], { "steps" }, {}
    for _, arm in ipairs(compared.arms) do head[#head + 1] = arm.short end
    rows[1] = head
    for quarter = 1, QUARTERS do
        local steps = compared.last * quarter / QUARTERS
        local row = { text.count(steps) }
        for _, arm in ipairs(compared.arms) do row[#row + 1] = spread_text(comparison.values(arm, measure, steps)) end
        rows[#rows + 1] = row
    end
    print(("\n%s%s"):format(measure.name, measure.better and (", %s is better"):format(measure.better) or ""))
    print_table(rows, {})
end

-- ---- pairs of arms -------------------------------------------------------------------------------------------------

-- "+0.123", with as many digits as differences need.
local function signed(value) return (value >= 0 and "+" or "") .. text.number(value) end

local function difference_text(differences)
    local mean, half = student.mean(differences), student.half_interval(differences)
    if not half then return signed(mean), "of one seed, which gives no interval" end
    return signed(mean), ("95 %% interval %s to %s, of %d seeds"):format(signed(mean - half), signed(mean + half),
        #differences)
end

local function print_differences(compared, first, second)
    local rows = {}
    for _, measure in ipairs(compared.measures) do
        local shared, differences = comparison.pairs(first, second, measure, compared.last), {}
        for i, pair in ipairs(shared) do differences[i] = pair.a - pair.b end
        if #shared > 0 then
            local mean, interval = difference_text(differences)
            rows[#rows + 1] = { measure.name, mean, interval, measure.better == "lower" and "lower is better" or "" }
        end
    end
    if #rows == 0 then return end
    print(("\n%s minus %s, seed by seed"):format(first.short, second.short))
    print_table(rows, { true, false, true, true })
end

local function print_pairs(compared, first, second)
    local measure = compared.measures[1]
    local shared = comparison.pairs(first, second, measure, compared.last)
    if #shared < 2 then return end
    local rows = { { "seed", first.short, second.short, "difference" } }
    for _, pair in ipairs(shared) do
        rows[#rows + 1] = { pair.seed, text.number(pair.a), text.number(pair.b), signed(pair.a - pair.b) }
    end
    print(("\n%s of the pairs"):format(measure.name))
    print_table(rows, {})
end

-- ---- what cannot be ------------------------------------------------------------------------------------------------

-- Nothing is compared for a picture that has no place.
local function check_output(path)
    local folder = path and (path:match "^(.*/)[^/]*$" or ".")
    if path and files.kind(folder) ~= "folder" then
        command.fail("%s: there is no folder %s to draw it in", path, folder)
    end
    if path and files.kind(path) == "folder" then
        command.fail("%s: the name of a picture expected, it is a folder", path)
    end
end

local function why_nothing(runs)
    for _, run in ipairs(runs) do
        if run.ranked == "age" then
            return run.directory .. ": it has no scores to compare: nothing was selected by, and there is no report"
        end
    end
    return "the runs have no score in common"
end

-- ---- all of it -----------------------------------------------------------------------------------------------------

return command.main(function(options, ...)
    local runs = {}
    for i, directory in ipairs { ... } do
        folder.check_begun(directory)
        runs[i] = command.try(history.read, directory)
        if runs[i].rounds == 0 then command.fail("%s: no round has been done in it yet", directory) end
    end
    check_output(options.output)
    local compared = comparison.of(runs)
    if #compared.measures == 0 then command.fail("%s", why_nothing(runs)) end
    for _, warning in ipairs(compared.warnings) do io.stderr:write("warning: ", warning, "\n") end
    print_arms(compared)
    print_course(compared)
    for i, first in ipairs(compared.arms) do
        for j = i + 1, #compared.arms do
            print_differences(compared, first, compared.arms[j])
            print_pairs(compared, first, compared.arms[j])
        end
    end
    local path = options.output or "compare.png"
    local drawn, why = plot.draw(compared, path)
    if not drawn and options.output then command.fail("%s: it is not drawn: %s", path, why) end
    print(drawn and "\n" .. path or "")
    if not drawn then io.stderr:write("warning: ", path, " is not drawn: ", why, "\n") end
end)
