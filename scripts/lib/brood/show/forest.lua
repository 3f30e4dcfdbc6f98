-- Who descends from whom, as lines of text: a tree for each founder. A branch is the life of a member's weights in one
-- slot, from a copy (or the beginning) until it is overwritten; copies of it hang below it, in order of time. Where
-- that would be too many lines, those that died out are counted instead.
--
--     member              rounds  classifier_score
--     * 11                1-6     2.954 to 7.871   overwritten by a copy of 4
--     * └─ 4              7-20    8.192 to 8.915   best ever, 9.407, in round 12; pinned after round 15
--
-- Marked with * is the lineage of the best member ever.
local history = require "brood.show.history"
local text = require "brood.show.text"

local forest = {}

local MANY = 50 -- branches, beyond which those that died out are counted

-- ---- branches ------------------------------------------------------------------------------------------------------

-- Whether it is no copy, but what its parent became a round later.
local function goes_on(node) return node.parent.slot == node.slot and node.parent.round == node.round - 1 end

-- The node's own branch: { nodes = , copies = branches, alive =, marked = }; `winners` is the set of marked nodes.
local function branch_of(node, winners)
    local branch, copies = { nodes = {}, copies = {}, slot = node.slot }, {}
    while node do
        local on
        branch.nodes[#branch.nodes + 1] = node
        branch.alive, branch.marked = branch.alive or node.alive, branch.marked or winners[node]
        for _, child in ipairs(node.children) do
            if goes_on(child) then on = child else copies[#copies + 1] = child end
        end
        node = on
    end
    branch.size = 1
    for i, copy in ipairs(copies) do
        branch.copies[i] = branch_of(copy, winners)
        branch.size = branch.size + branch.copies[i].size
    end
    return branch
end

local function set_of(nodes)
    local set = {}
    for _, node in ipairs(nodes) do set[node] = true end
    return set
end

local function founders_of(run)
    local winners, founders = set_of(run.best and history.lineage(run.best) or {}), {}
    for _, node in ipairs(run.nodes) do
        if not node.parent then founders[#founders + 1] = branch_of(node, winners) end
    end
    return founders
end

-- ---- words about a branch ------------------------------------------------------------------------------------------

-- What became of it, where it did not last to the end.
local function fate_of(run, branch, following)
    local last = branch.nodes[#branch.nodes]
    local next_node = following[last.round] and following[last.round][last.slot]
    if last.failed and next_node then return "failed, replaced by " .. history.origin(next_node) end
    if last.failed then return "failed" end
    if next_node then return "overwritten by " .. history.origin(next_node) end
    for _, event in ipairs(run.events) do
        if event.kind == "dropped" and event.slot == last.slot then return "dropped" end
    end
    return nil
end

local function scores_of(branch)
    local first, last
    for _, node in ipairs(branch.nodes) do
        if node.score then first, last = first or node, node end
    end
    if not first then return "-" end
    if first == last then return text.number(first.score) end
    return ("%s to %s"):format(text.number(first.score), text.number(last.score))
end

local function rounds_of(branch)
    local first, last = branch.nodes[1].round, branch.nodes[#branch.nodes].round
    return first == last and ("%d"):format(first) or ("%d-%d"):format(first, last)
end

-- What a schedule did with a member, each word once: "pinned after round 3", "set after 5 rounds, the first 2".
local function add_acts(words, nodes)
    local counts, first, order = {}, {}, {}
    for _, node in ipairs(nodes) do
        for _, act in ipairs(node.acts) do
            if not first[act.word] then order[#order + 1], first[act.word] = act.word, act.round end
            counts[act.word] = (counts[act.word] or 0) + 1
        end
    end
    for _, word in ipairs(order) do
        words[#words + 1] = counts[word] == 1 and ("%s after round %d"):format(word, first[word])
            or ("%s after %d rounds, the first %d"):format(word, counts[word], first[word])
    end
end

local function remarks_of(run, branch, following)
    local words = {}
    for _, node in ipairs(branch.nodes) do
        if node == run.best then
            local what = run.ranked == "age" and "trained longest" or "best ever"
            words[1] = ("%s, %s, in round %d"):format(what, text.number(node.score), node.round)
        end
    end
    add_acts(words, branch.nodes)
    words[#words + 1] = fate_of(run, branch, following)
    if not branch.alive then words[#words + 1] = "died out" end
    return table.concat(words, "; ")
end

-- ---- the tree ------------------------------------------------------------------------------------------------------

-- Branches to be shown, and how many died out, with the last round of any of them.
local function sift(branches, brief)
    local shown, dead, last = {}, 0, 0
    for _, branch in ipairs(branches) do
        if not brief or branch.alive or branch.marked then
            shown[#shown + 1] = branch
        else
            dead = dead + branch.size
            last = math.max(last, branch.nodes[#branch.nodes].round)
        end
    end
    return shown, dead, last
end

local function dead_line(stem, dead, last)
    local words = dead == 1 and "a branch that died out in round %d" or "branches that died out, the last in round %d"
    return { "", ("%s+ %d"):format(stem, dead), "", "", words:format(last) }
end

-- Rows { mark, tree, rounds, scores, remarks } of the branches, each below `stem`.
local function grow(run, rows, branches, stem, brief, following)
    local shown, dead, last = sift(branches, brief)
    for i, branch in ipairs(shown) do
        local ends = i == #shown and dead == 0
        rows[#rows + 1] = {
            branch.marked and "*" or "", stem .. (ends and "└─ " or "├─ ") .. branch.slot, rounds_of(branch),
            scores_of(branch), remarks_of(run, branch, following),
        }
        grow(run, rows, branch.copies, stem .. (ends and "   " or "│  "), brief, following)
    end
    if dead > 0 then rows[#rows + 1] = dead_line(stem .. "└─ ", dead, last) end
end

-- By round and slot, who was trained after it in its place though it does not descend from it.
local function followers(run)
    local following = {}
    for _, node in ipairs(run.nodes) do
        if node.parent and not goes_on(node) then
            following[node.round - 1] = following[node.round - 1] or {}
            following[node.round - 1][node.slot] = node
        end
    end
    return following
end

-- With `all`, those that died out are shown, however many they are.
function forest.lines(run, all)
    local founders, size, following = founders_of(run), 0, followers(run)
    for _, founder in ipairs(founders) do size = size + founder.size end
    local brief = not all and size > MANY
    local rows = { { "", "member", "rounds", run.score, "" } }
    local shown, dead, last = sift(founders, brief)
    for _, founder in ipairs(shown) do
        rows[#rows + 1] = {
            founder.marked and "*" or "", tostring(founder.slot), rounds_of(founder), scores_of(founder),
            remarks_of(run, founder, following),
        }
        grow(run, rows, founder.copies, "", brief, following)
    end
    if dead > 0 then rows[#rows + 1] = dead_line("", dead, last) end
    local lines = text.table(rows, { true, true, true, true, true })
    if brief then lines[#lines + 1] = ("%d branches in all: --all shows each"):format(size) end
    if run.stopped then lines[#lines + 1] = ("stopped by its schedule after round %d"):format(run.rounds) end
    return lines
end

-- ---- one lineage ---------------------------------------------------------------------------------------------------

local function same_values(a, b, hypers)
    for _, hyper in ipairs(hypers) do
        if a.values[hyper.name] ~= b.values[hyper.name] then return false end
    end
    return true
end

-- The lineage of a node: a row for each stretch in which it neither was copied nor changed.
function forest.lineage_lines(run, node)
    local rows = { { "rounds", "member", "steps", run.score } }
    for _, hyper in ipairs(run.hypers) do table.insert(rows[1], hyper.name) end
    local stretches = {}
    for _, ancestor in ipairs(history.lineage(node)) do
        local last = stretches[#stretches]
        local before = last and last.nodes[#last.nodes]
        if last and before.slot == ancestor.slot and same_values(before, ancestor, run.hypers) then
            last.nodes[#last.nodes + 1] = ancestor
        else
            stretches[#stretches + 1] = { nodes = { ancestor } }
        end
    end
    for _, stretch in ipairs(stretches) do
        local first, last = stretch.nodes[1], stretch.nodes[#stretch.nodes]
        local words = { tostring(first.slot), first.parent and not goes_on(first) and history.origin(first) or nil }
        add_acts(words, stretch.nodes)
        local row = {
            rounds_of(stretch), table.concat(words, ", "),
            ("%s to %s"):format(text.count(first.begins), text.count(last.ends)), scores_of(stretch),
        }
        for _, hyper in ipairs(run.hypers) do
            local value = first.values[hyper.name]
            row[#row + 1] = history.label(hyper, value) or text.brief(value)
        end
        rows[#rows + 1] = row
    end
    return text.table(rows, { true, true, true, true })
end

return forest
