-- A run in a few lines: what was run, what came of it, what was done to the population, and what it cost. And its
-- schedules, as Lua that can be replayed.
local alarm = require "brood.show.alarm"
local files = require "brood.files"
local history = require "brood.show.history"
local text = require "brood.show.text"

local summary = {}

local CONTROLS = { off = "population based training" }

local function add(lines, format, ...) lines[#lines + 1] = format:format(...) end

local function plural(number, word, words)
    return ("%s %s"):format(text.count(number), number == 1 and word or words)
end

-- ---- what was run --------------------------------------------------------------------------------------------------

local function add_what(lines, run)
    local replays = run.facts.replays or run.facts.replay and "a schedule of the script"
    local way = ("%s, %d members"):format(CONTROLS[run.control] or run.control, run.population)
    if run.population == 1 then way = "one member" end
    add(lines, "%s: %s%s%s, seed %s", run.name, replays and ("a replay of %s, "):format(replays) or "", way,
        run.mode == "asynchronous" and ", asynchronous" or "", run.seed)
    local steps, better = plural(run.times[run.rounds], "step", "steps"), run.lower and "lower" or "higher"
    if run.planned then
        add(lines, "%s of %s rounds, %s of each member: not at its end yet", text.count(run.rounds),
            text.count(run.planned), steps)
    else
        add(lines, "%s%s, %s of each member", plural(run.rounds, "round", "rounds"), run.stopped
            and (" of %s, then stopped by its schedule"):format(text.count(run.stopped)) or "", steps)
    end
    if run.ranked == "selection" then
        add(lines, "selected by %s, %s is better", run.score, better)
    else
        add(lines, "nothing was selected by%s", run.ranked == "report"
            and ("; the best is that with the best report score, %s, %s is better"):format(run.score, better) or "")
    end
end

-- ---- scores --------------------------------------------------------------------------------------------------------

-- The best of the first round.
local function first_of(run)
    local first
    for _, node in ipairs(run.nodes) do
        if node.round == 1 and node.rank and (not first or node.rank > first.rank) then first = node end
    end
    return first
end

local function add_scores(lines, run, columns)
    local head, rows = { "" }, {}
    for _, column in ipairs(columns) do head[#head + 1] = column.name end
    head[#head + 1] = "real images"
    rows[1] = head
    local function row(name, cell, ceiling, deviation)
        local words = { name }
        for _, column in ipairs(columns) do words[#words + 1] = cell(column.node) end
        words[#words + 1] = ceiling and text.noisy(ceiling, deviation) or "-"
        rows[#rows + 1] = words
    end
    local function score_cell(node) return node and text.noisy(node.score, node.deviation) or "-" end
    local by_report = run.ranked == "report" -- the first, which is not said again
    row((by_report and "report: " or "") .. run.score, score_cell, run.ceiling, run.ceiling_deviation)
    for i = by_report and 2 or 1, #run.reports do
        local report = run.reports[i]
        local name = ("report: %s%s"):format(report.name, report.better == "lower" and ", lower is better" or "")
        local function cell(node)
            return node and node.reports[i] and text.noisy(node.reports[i], node.report_deviations[i]) or "-"
        end
        row(name, cell, report.ceiling, report.ceiling_deviation)
    end
    lines[#lines + 1] = ""
    for _, line in ipairs(text.table(rows, { true })) do lines[#lines + 1] = line end
    local by = {}
    for _, role in ipairs { "selection", "report" } do
        local hash = run.facts["classifier." .. role]
        by[#by + 1] = hash and ("%s classifier %s"):format(role, hash:sub(1, 8))
    end
    if #by > 0 then add(lines, "scores by %s", table.concat(by, ", ")) end
end

local function value_text(hyper, value) return history.label(hyper, value) or text.brief(value) end

local function add_member(lines, run, node, what, which)
    local line = history.lineage(node)
    add(lines, "%s: member %d in round %d, at step %s%s", what, node.slot, node.round, text.count(node.ends),
        node.failed and ", failed" or node.flagged and ", suspicious: better than real images" or "")
    if node.state and node.state ~= "" then add(lines, "  state            %s", node.state) end
    local words = {}
    for _, hyper in ipairs(run.hypers) do
        words[#words + 1] = ("%s %s"):format(hyper.name, value_text(hyper, node.values[hyper.name]))
    end
    if #words > 0 then add(lines, "  hyperparameters  %s", table.concat(words, ", ")) end
    local hops = 0
    for i = 2, #line do hops = hops + (line[i].slot ~= line[i - 1].slot and 1 or 0) end
    local from = hops > 0 and ("from member %d, by %s; "):format(line[1].slot, plural(hops, "copy", "copies")) or ""
    add(lines, "  schedule         %s`brood show %s%s --schedule` prints it", from, run.directory, which)
end

-- ---- what was done -------------------------------------------------------------------------------------------------

local ROLLBACK = {} -- no event of its own: a copy onto a member that had got worse

local DONE = { -- kinds of events, and their names for one and for more
    { "copied", "copy", "copies" }, { ROLLBACK, "rollback", "rollbacks" }, { "took hyperparameters", "copy of hyperparameters", "copies of hyperparameters" },
    { "explored", "explore", "explores" }, { "failed", "failure", "failures" },
    { "replaced", "failed member replaced", "failed members replaced" }, { "forked", "fork", "forks" },
    { "pinned", "pin", "pins" }, { "added", "member added", "members added" },
    { "dropped", "member dropped", "members dropped" },
    { "rolled back", "return to a whole round", "returns to a whole round" },
    { "resumed", "resumption", "resumptions" },
}

-- Members that were overwritten when they were worse than their lineage once was, beyond the noise of the scores.
local function count_rollbacks(run)
    local number = 0
    for _, event in ipairs(run.events) do
        local node = event.kind == "copied" and run.at[event.round] and run.at[event.round][event.slot]
        local worse = false
        for _, ancestor in ipairs(node and node.rank and history.lineage(node) or {}) do
            local noise = math.sqrt((ancestor.deviation or 0) ^ 2 + (node.deviation or 0) ^ 2)
            worse = worse or ancestor.rank ~= nil and ancestor.rank - node.rank > 3 * noise
        end
        number = number + (worse and 1 or 0)
    end
    return number
end

local function count_events(run, kind)
    if kind == ROLLBACK then return count_rollbacks(run) end
    if kind ~= "rolled back" and kind ~= "resumed" then return history.count(run, kind) end
    local number = 0
    for _, event in ipairs(run.events) do number = number + (event.kind == kind and 1 or 0) end
    return number
end

local function founders(run)
    local seen, number, all = {}, 0, 0
    for _, tip in ipairs(run.tips) do
        local first = not tip.failed and history.lineage(tip)[1]
        if first and not seen[first] then seen[first], number = true, number + 1 end
    end
    for _, node in ipairs(run.nodes) do all = all + (node.parent and 0 or 1) end
    return number, all
end

-- How many of each kind, and the words of the first three.
local function add_alarms(lines, run)
    local counts, kinds, alarms = {}, {}, alarm.of(run)
    for _, one in ipairs(alarms) do
        if not counts[one.kind] then kinds[#kinds + 1] = one.kind end
        counts[one.kind] = (counts[one.kind] or 0) + 1
    end
    for i, kind in ipairs(kinds) do kinds[i] = ("%s %d"):format(kind, counts[kind]) end
    if #kinds > 0 then add(lines, "alarms: %s", table.concat(kinds, ", ")) end
    for i = 1, math.min(3, #alarms) do
        add(lines, "  member %d in round %d: %s", alarms[i].slot, alarms[i].round, alarms[i].text)
    end
end

local function add_done(lines, run)
    local words = {}
    for _, kind in ipairs(DONE) do
        local number = count_events(run, kind[1])
        if number > 0 then words[#words + 1] = plural(number, kind[2], kind[3]) end
    end
    if #words > 0 then add(lines, "what was done: %s", table.concat(words, ", ")) end
    if run.population > 1 then add(lines, "all members come from %d of %d founders", founders(run)) end
    local flagged, first = 0, nil
    for _, node in ipairs(run.nodes) do
        if node.flagged then flagged, first = flagged + 1, first or node end
    end
    if flagged > 0 then
        add(lines, "suspicious: %s better than real images by over three standard deviations, the first in round %d",
            flagged == 1 and "one score is" or flagged .. " scores are", first.round)
    end
    add_alarms(lines, run)
    local reasons, seen = {}, {}
    for _, event in ipairs(run.events) do
        local reason = event.kind == "failed" and tostring(event.text):gsub("%c", " "):gsub("%d+", "N")
        if reason and not seen[reason] then
            seen[reason] = true
            reasons[#reasons + 1] = ("member %s in round %d: %s"):format(event.slot, event.round, event.text)
        end
    end
    for i = 1, math.min(3, #reasons) do add(lines, "failure of %s", (reasons[i]:gsub("%c", " "))) end
end

-- ---- cost ----------------------------------------------------------------------------------------------------------

local function cost_row(run, name, nodes)
    local cost, images = history.cost(nodes), run.batch and 0
    for _, node in ipairs(nodes) do images = images and images + history.images(run, node) end
    local function seconds(number) return (number < 10 and "%.2f" or "%.0f"):format(number) end
    return {
        name, seconds(cost.training), seconds(cost.scoring), seconds(cost.saving), seconds(cost.all),
        text.count(cost.steps), images and text.count(images) or "-",
    }
end

local function add_cost(lines, run, node, whose)
    local rows = {
        { "CPU seconds", "training", "scoring", "saving", "all", "steps", "images" },
        cost_row(run, "all members", run.nodes),
    }
    if node then rows[3] = cost_row(run, whose, history.lineage(node)) end
    for _, line in ipairs(text.table(rows, { true })) do lines[#lines + 1] = line end
end

-- ---- pictures ------------------------------------------------------------------------------------------------------

local PICTURES = {
    "best.png", "reals.png", "samples", "scores.png", "schedules.png", "lineage.png", "interpolation.png",
    "classes.png", "neighbours.png",
}

local function add_pictures(lines, run)
    local names = {}
    for _, name in ipairs(PICTURES) do
        local kind = files.kind(run.directory .. "/" .. name)
        local empty = kind == "folder" and #files.list(run.directory .. "/" .. name) == 0
        if kind and not empty then names[#names + 1] = kind == "folder" and name .. "/" or name end
    end
    if #names > 0 then add(lines, "pictures in %s: %s", run.directory, table.concat(names, ", ")) end
end

-- ---- all of it -----------------------------------------------------------------------------------------------------

-- `chosen`: a node to tell of instead of the best.
function summary.lines(run, chosen)
    local lines, node = {}, chosen or run.best
    add_what(lines, run)
    if run.rounds == 0 then
        add(lines, "no round has been done yet")
        return lines
    end
    local columns = { { name = "first round", node = first_of(run) }, { name = "best ever", node = run.best } }
    columns[3] = { name = "best at the end", node = history.ranking(run)[1] }
    if chosen then columns[4] = { name = ("member %d"):format(chosen.slot), node = chosen } end
    if run.ranked ~= "age" then add_scores(lines, run, columns) end
    add(lines, "")
    local which = chosen and (" --member %d"):format(chosen.slot) or ""
    local what = run.ranked == "age" and "trained longest" or "best ever"
    if node then add_member(lines, run, node, chosen and "chosen" or what, which) end
    add_done(lines, run)
    add(lines, "")
    add_cost(lines, run, node, chosen and "its lineage" or "the best one's lineage")
    add_pictures(lines, run)
    return lines
end

-- ---- schedules -----------------------------------------------------------------------------------------------------

local function exact(value)
    for digits = 15, 17 do
        local words = ("%%.%dg"):format(digits):format(value)
        if tonumber(words) == value then return words end
    end
end

local KEYWORDS = " and break do else elseif end false for function goto if in local nil not or repeat return then true "
    .. "until while "

local function key_text(name)
    local plain = name:find "^[%a_][%w_]*$" and not KEYWORDS:find(" " .. name .. " ", 1, true)
    return plain and name or ("[%q]"):format(name)
end

-- An entry of a schedule as a Lua table.
local function entry_text(run, entry)
    local words = { ("steps = %d"):format(entry.steps) }
    for _, hyper in ipairs(run.hypers) do
        local value = entry[hyper.name]
        local label = history.label(hyper, value)
        words[#words + 1] = ("%s = %s"):format(key_text(hyper.name),
            label and ("%q"):format(label) or exact(value) or "0/0")
    end
    return ("{ %s }"):format(table.concat(words, ", "))
end

-- What the node and its ancestors were trained with, as a Lua chunk: { { steps =, NAME = number, ... }, ... }.
function summary.schedule(run, node)
    local score = ", " .. run.score .. " " .. text.noisy(node.score, node.deviation)
    local lines = {
        ("-- %s, seed %s: member %d in round %d%s"):format(run.name, run.seed, node.slot, node.round,
            run.ranked ~= "age" and score or ""),
        "return {",
    }
    for _, entry in ipairs(history.schedule(history.lineage(node))) do add(lines, "    %s,", entry_text(run, entry)) end
    lines[#lines + 1] = "}"
    return table.concat(lines, "\n")
end

return summary
