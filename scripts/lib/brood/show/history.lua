-- What happened in a run, out of its store: who was trained in each round, who descends from whom, and how it went.
--
--     local run = history.read "runs/00003-digits"
--
--     facts, name, control, mode, population, seed, batch    what it was begun with
--     aside                          { NAME = true } for facts that script and seed do not determine
--     ranked                         what the best is best by: "selection" (a selection score), "report" (nothing was
--                                    selected by: the first report score), or "age" (there are no scores: the steps)
--     score, lower, ceiling, ceiling_deviation   of that: its name, whether lower is better, what real images have
--     honest                         whether real images are the best there is by it
--     reports                        { { name =, better =, honest =, ceiling =, ceiling_deviation = }, ... }: report
--                                    scores; better is "higher" or "lower", nil where nobody said so
--     hypers                         { { name =, kind =, low =, high =, labels = }, ... } in order of name
--     rounds, planned                rounds done; rounds that it is to have, nil where it has come to its end
--     stopped                        rounds that it was to have, where its schedule stopped it before
--     times                          steps that a member has had by the end of a round, times[0] = 0
--     nodes                          all members at all rounds' ends, in order of round, then slot
--     tips                           those that the population now comes from, in order of slot
--     best                           the node with the best score ever; nil while there is none
--     events                         rows of the store's table: round, slot, kind, other, text
--
-- A node is a member at the end of a round's training:
--     round, slot, age, state        age in steps, along its lineage
--     score, deviation, rank         the score as people say it; of two ranks the greater is better
--     reports, report_deviations     report scores, in their order
--     signals                        { NAME = number }, of its training
--     failed, flagged                flagged: better than real images by over three standard deviations
--     values                         hyperparameters that it was trained with: { NAME = number }
--     parent, children               who its weights come from: the node that was copied, or itself a round before
--     forked                         it is a copy that the schedule asked for
--     parts                          { { name =, slot = }, ... }: of a copy, what another member than its parent gave
--     acts                           { { word = "pinned" or "set" or "added", round = }, ... }: what the schedule did with
--                                    it after that round, the one before or, if there is no later node, its own
--     steps, training, scoring, saving   of this round: steps, CPU seconds
--     begins, ends                   times
--     alive                          whether any of the tips descends from it
local record = require "brood.record"

local history = {}

-- ---- reading rows --------------------------------------------------------------------------------------------------

local WHOLE = {
    round = true, slot = true, parent = true, parent_round = true, age = true, steps = true, interval = true,
}

local function damaged(self, what) error(("%s/run.db: it is damaged: %s"):format(self.directory, what), 0) end

-- The rows of a table, each of which has whole numbers where the columns tell so.
local function rows_of(self, name)
    local rows = self.tables[name] or { columns = {} }
    for _, row in ipairs(rows) do
        for _, column in ipairs(rows.columns) do
            local value = row[column]
            local whole = math.type(value) == "integer" and value >= 0
            local nobody = value == nil and name == "event" and column == "slot"
            if WHOLE[column] and not whole and not nobody then
                damaged(self, ("no whole number in the column %s of the table %s"):format(column, name))
            end
        end
    end
    return rows
end

-- Index by round and slot.
local function put(index, row, value)
    index[row.round] = index[row.round] or {}
    index[row.round][row.slot] = value
end

local function get(index, round, slot) return index[round] and index[round][slot] end

-- ---- facts ---------------------------------------------------------------------------------------------------------

local function number_of(facts, name) return tonumber(facts[name]) end

local function read_reports(facts)
    local reports = {}
    while facts["report." .. #reports + 1] do
        local prefix = "report." .. #reports + 1
        reports[#reports + 1] = {
            name = facts[prefix], kind = facts[prefix .. ".kind"] or facts[prefix], better = facts[prefix .. ".better"],
            honest = facts[prefix .. ".honest"] == "yes",
            ceiling = number_of(facts, prefix .. ".ceiling"),
            ceiling_deviation = number_of(facts, prefix .. ".ceiling.deviation"),
        }
    end
    return reports
end

-- Options that have names are the numbers 0, 1, ...; the facts hyper.NAME.label.0 and so on are the names.
local function read_labels(facts, name)
    local labels, number = {}, 0
    while facts[("hyper.%s.label.%d"):format(name, number)] do
        labels[number] = facts[("hyper.%s.label.%d"):format(name, number)]
        number = number + 1
    end
    return number > 0 and labels or nil
end

local function read_hyper(facts, name)
    local kind, low, high = (facts["hyper." .. name] or ""):match "^(%S+)%s*(%S*)%s*(%S*)"
    return {
        name = name, kind = kind or "uniform", low = tonumber(low), high = tonumber(high),
        labels = read_labels(facts, name),
    }
end

local function read_facts(self)
    local facts = {}
    self.aside = {}
    for _, row in ipairs(rows_of(self, "fact")) do
        local unseen = row.name == "set" and "[^%C\n]" or "%c" -- which has a line for each setting
        if row.name then facts[row.name], self.aside[row.name] = tostring(row.value):gsub(unseen, " "), row.aside end
    end
    self.facts = facts
    self.name, self.control, self.mode = facts.name or "run", facts.control or "off", facts.mode or "synchronous"
    self.seed, self.population = facts.seed or "?", number_of(facts, "population") or 0
    self.batch = number_of(facts, "batch")
    self.reports, self.lower = read_reports(facts), facts["select.better"] == "lower"
    self.ranked = facts.select ~= "none" and "selection" or #self.reports > 0 and "report" or "age"
    self.score = facts.select or "score"
    if self.ranked ~= "selection" then self.score = self.ranked == "report" and self.reports[1].name or "steps" end
    self.sign, self.honest = self.lower and -1 or 1, facts["select.honest"] == "yes"
    local ceiling = number_of(facts, "ceiling")
    self.ceiling, self.ceiling_deviation = ceiling and self.sign * ceiling, number_of(facts, "ceiling.deviation") or 0
end

-- ---- members -------------------------------------------------------------------------------------------------------

local function read_times(self)
    local intervals, interval = {}, number_of(self.facts, "interval") or 1
    self.times = { [0] = 0 }
    self.rounds = 0 -- that any member has done
    local stopped = {}
    for _, row in ipairs(rows_of(self, "round")) do
        intervals[row.round], stopped[row.round] = row.interval, row.stopped == 1
    end
    for _, row in ipairs(rows_of(self, "scored")) do self.rounds = math.max(self.rounds, row.round) end
    if self.rounds > #rows_of(self, "scored") then damaged(self, "rounds are missing from it") end
    for round = 1, self.rounds do
        interval = intervals[round - 1] or interval
        self.times[round] = self.times[round - 1] + interval
    end
    local planned = number_of(self.facts, "rounds")
    if planned and planned > self.rounds then self[stopped[self.rounds] and "stopped" or "planned"] = planned end
end

local function flagged(self, rank, deviation)
    if not rank or not self.ceiling or not self.honest then return false end
    return rank - self.sign * self.ceiling > 3 * math.sqrt((deviation or 0) ^ 2 + self.ceiling_deviation ^ 2)
end

local function new_node(self, row)
    local rank = row.failed ~= 1 and row.score or nil
    return {
        round = row.round, slot = row.slot, age = row.age, state = row.state, failed = row.failed == 1,
        rank = rank, score = rank and (self.ranked == "age" and row.age or self.sign * rank), deviation = row.deviation,
        flagged = flagged(self, rank, row.deviation), reports = {}, report_deviations = {},
        signals = {}, values = {}, children = {}, acts = {},
        steps = row.steps, training = 0, scoring = 0, saving = 0,
        begins = self.times[row.round - 1], ends = self.times[row.round],
    }
end

local function read_nodes(self)
    self.nodes, self.at = {}, {}
    for _, row in ipairs(rows_of(self, "scored")) do
        if row.round < 1 then damaged(self, "a score before the first round") end
        local node = new_node(self, row)
        self.nodes[#self.nodes + 1] = node
        put(self.at, row, node)
    end
    for _, row in ipairs(rows_of(self, "reported")) do
        local node = get(self.at, row.round, row.slot)
        if node and row.report then
            node.reports[row.report], node.report_deviations[row.report] = row.value, row.deviation
        end
    end
    for _, row in ipairs(rows_of(self, "signal")) do
        local node = get(self.at, row.round, row.slot)
        if node and row.name then node.signals[row.name] = row.value end
    end
    for _, row in ipairs(rows_of(self, "ledger")) do
        local node = get(self.at, row.round, row.slot)
        if node then node.training, node.scoring, node.saving = row.training or 0, row.scoring or 0, row.saving or 0 end
    end
end

local function read_values(self)
    local seen = {}
    self.hypers = {}
    for _, row in ipairs(rows_of(self, "value")) do
        local node, name = get(self.at, row.round + 1, row.slot), row.name
        if name and not seen[name] then
            seen[name] = true
            self.hypers[#self.hypers + 1] = read_hyper(self.facts, name)
        end
        if node and name then node.values[name] = row.value end
    end
    table.sort(self.hypers, function(a, b) return a.name < b.name end)
end

-- Where the members of the round after `row.round` come from.
local function read_parents(self)
    self.standings = {}
    for _, row in ipairs(rows_of(self, "standing")) do
        put(self.standings, row, row)
        if row.parent_round > row.round then damaged(self, "a member descends from a later round") end
    end
    for _, node in ipairs(self.nodes) do
        local before = get(self.standings, node.round - 1, node.slot)
        local parent = before and get(self.at, before.parent_round, before.parent)
        node.steps = before and node.steps - before.steps or node.steps
        node.parent = parent
        if parent then parent.children[#parent.children + 1] = node end
    end
end

local ACTS = { pinned = "pinned", values = "set", added = "added" }

-- What events tell of nodes: acts of the schedule, and who else gave a part of a copy.
local function read_acts(self)
    for _, event in ipairs(self.events) do
        local node = event.slot and get(self.at, event.round + 1, event.slot)
        local copied = event.kind == "copied" or event.kind == "replaced"
        if node and event.kind == "forked" then
            node.forked, node.parts = true, nil
        elseif node and copied and event.text ~= "" and node.parent and event.other ~= node.parent.slot then
            node.parts = node.parts or {}
            table.insert(node.parts, { name = tostring(event.text):gsub("%c", " "), slot = event.other })
        end
        node = node or event.slot and get(self.at, event.round, event.slot)
        local set_by_replay = event.kind == "values" and self.facts.replay
        if node and ACTS[event.kind] and not set_by_replay then
            table.insert(node.acts, { word = ACTS[event.kind], round = event.round })
        end
    end
end

-- ---- the population as it is now -----------------------------------------------------------------------------------

-- The last node of each member that has not been dropped.
local function find_tips(self)
    local last, dropped = {}, {}
    for _, node in ipairs(self.nodes) do last[node.slot] = node end
    for _, event in ipairs(self.events) do
        if event.kind == "dropped" and event.slot then dropped[event.slot] = true end
    end
    self.tips = {}
    for slot, node in pairs(last) do
        if not dropped[slot] then self.tips[#self.tips + 1] = node end
    end
    table.sort(self.tips, function(a, b) return a.slot < b.slot end)
    for _, tip in ipairs(self.tips) do
        local node = not tip.failed and tip or nil
        while node and not node.alive do
            node.alive = true
            node = node.parent
        end
    end
end

local function find_best(self)
    for _, node in ipairs(self.nodes) do
        if node.rank and (not self.best or node.rank > self.best.rank) then self.best = node end
    end
end

-- An error names what is wrong with the directory or its store.
function history.read(directory)
    local self = { directory = directory:gsub("(.)/+$", "%1"), tables = record.export(directory, true) }
    read_facts(self)
    read_times(self)
    read_nodes(self)
    read_values(self)
    read_parents(self)
    self.events = rows_of(self, "event")
    read_acts(self)
    find_tips(self)
    find_best(self)
    self.tables = nil
    return self
end

-- ---- questions -----------------------------------------------------------------------------------------------------

-- "a copy of 2, D of 3" of a node that is one.
function history.origin(node)
    local words = { ("%s of %d"):format(node.forked and "a fork" or "a copy", node.parent.slot) }
    for _, part in ipairs(node.parts or {}) do words[#words + 1] = ("%s of %s"):format(part.name, part.slot) end
    return table.concat(words, ", ")
end

-- The node and its ancestors, the first first.
function history.lineage(node)
    local line = {}
    while node do
        line[#line + 1] = node
        node = node.parent
    end
    for i = 1, #line // 2 do line[i], line[#line + 1 - i] = line[#line + 1 - i], line[i] end
    return line
end

-- What a lineage was trained with, as the experiment's field `replay` has it: { { steps =, NAME = number, ... }, ... }.
-- Equal values that follow each other are one entry.
function history.schedule(lineage)
    local entries = {}
    for _, ancestor in ipairs(lineage) do
        local last = entries[#entries]
        local same = last ~= nil
        for name, value in pairs(ancestor.values) do same = same and last[name] == value end
        if same then
            last.steps = last.steps + ancestor.steps
        else
            local entry = { steps = ancestor.steps }
            for name, value in pairs(ancestor.values) do entry[name] = value end
            entries[#entries + 1] = entry
        end
    end
    return entries
end

-- The last node of a slot; nil where there never was such a member.
function history.last_of(run, slot)
    for round = run.rounds, 1, -1 do
        local node = get(run.at, round, slot)
        if node then return node end
    end
end

-- Tips that have a score, the best first.
function history.ranking(run)
    local ranking = {}
    for _, tip in ipairs(run.tips) do
        if tip.rank then ranking[#ranking + 1] = tip end
    end
    table.sort(ranking, function(a, b)
        if a.rank ~= b.rank then return a.rank > b.rank end
        return a.slot < b.slot
    end)
    return ranking
end

-- How many members an event of this kind has happened to, each round counted apart.
function history.count(run, kind)
    local count, seen = 0, {}
    for _, event in ipairs(run.events) do
        local key = ("%s %s"):format(event.round, event.slot)
        if event.kind == kind and not seen[key] then count, seen[key] = count + 1, true end
    end
    return count
end

-- Images that a node's discriminator has seen of the data in its round; nil where the run does not know its batch. How
-- many updates it has in a step is a number or the name of a hyperparameter.
function history.images(run, node)
    local updates = run.facts.d_steps
    return run.batch and node.steps * run.batch * (tonumber(updates) or node.values[updates or "d_steps"] or 1)
end

-- CPU seconds of all that was done for some nodes.
function history.cost(nodes)
    local cost = { training = 0, scoring = 0, saving = 0, steps = 0 }
    for _, node in ipairs(nodes) do
        for what in pairs(cost) do cost[what] = cost[what] + node[what] end
    end
    cost.all = cost.training + cost.scoring + cost.saving
    return cost
end

-- A hyperparameter's value as text: the name of an option, or the number.
function history.label(hyper, value)
    return hyper.labels and hyper.labels[math.tointeger(value)] or nil
end

return history
