-- What a run leaves behind, read by brood.record, and what history makes of it.
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local command = require "brood.command"
local files = require "brood.files"
local history = require "brood.show.history"
local population = require "brood.population"
local record = require "brood.record"
local lu = support.lu
local pbt = brood.pbt

local POPULATION, ROUNDS, INTERVAL = 5, 6, 4

-- ---- runs to read --------------------------------------------------------------------------------------------------

local made = {}

-- The name of a directory that is not there yet, and is gone at the end; in memory, where there is a place.
local function new_directory()
    local path = os.tmpname()
    os.remove(path)
    if files.kind "/dev/shm" == "folder" then path = "/dev/shm/" .. path:match "[^/]*$" end
    made[#made + 1] = path
    return path
end

-- Member 2 fails in its first round.
local function experiment(fields)
    local given = {
        name = "toy", population = POPULATION, rounds = ROUNDS, interval = INTERVAL, seed = 7,
        hyper = {
            h0 = pbt.log_uniform(0.01, 10), h1 = pbt.log_uniform(0.01, 10), kind = pbt.choice { "plain", "odd" },
        },
        members = pbt.member {
            init = function(_, _, slot) return { theta = 0.9, slot = slot, steps = 0 } end,
            step = function(me, h, steps, rng)
                me.steps = me.steps + steps
                me.theta = me.theta * (1 - 0.02 * (h.h0 + h.h1)) + 0.01 * rng:normal()
            end,
            score = function(me)
                if me.slot == 2 and me.steps == INTERVAL then error("it has had enough", 0) end
                return 1.2 - me.theta ^ 2, 0.02, { me.theta }
            end,
            reports = { "theta" },
        },
    }
    for name, value in pairs(fields or {}) do given[name] = value end
    return brood.experiment(given)
end

local function make(fields, options)
    local directory = new_directory()
    local given = { directory = directory, workers = 1, facts = { { name = "place", value = "here", aside = true } } }
    for name, value in pairs(options or {}) do given[name] = value end
    local run = population.new(experiment(fields), given)
    lu.assertEquals(run:go(), "finished")
    run:close()
    return directory
end

local RUN = make()

-- ---- the record ----------------------------------------------------------------------------------------------------

local Record = {}

function Record.test_export()
    local tables = record.export(RUN)
    lu.assertEquals(#tables.scored, POPULATION * ROUNDS)
    lu.assertEquals(tables.scored.columns,
        { "round", "slot", "steps", "age", "failed", "score", "deviation", "fitness", "state" })
    local failed = 0
    for i, row in ipairs(tables.scored) do
        lu.assertEquals(row.round, (i - 1) // POPULATION + 1)
        lu.assertEquals(row.slot, (i - 1) % POPULATION)
        failed = failed + row.failed
        lu.assertEquals(row.score == nil, row.failed == 1) -- no number is nil
        lu.assertEquals(#row.state, row.failed == 1 and 0 or 32)
    end
    lu.assertEquals(failed, 1)
    lu.assertEquals(#tables.value, 3 * POPULATION * (ROUNDS + 1))
    lu.assertEquals(tables.ledger, nil)
    for _, row in ipairs(tables.fact) do lu.assertNotEquals(row.name, "place") end
end

-- What script and seed do not determine comes with the ledger only, and is marked where it stands beside other rows.
function Record.test_ledger()
    local tables = record.export(RUN, true)
    lu.assertEquals(#tables.ledger, POPULATION * ROUNDS)
    local aside = {}
    for _, row in ipairs(tables.fact) do
        if row.aside then aside[row.name] = row.value end
    end
    lu.assertEquals(aside, { place = "here", rounds = tostring(ROUNDS) })
end

function Record.test_fact()
    lu.assertEquals(record.fact(RUN, "seed"), "7")
    lu.assertEquals(record.fact(RUN, "place"), "here")
    lu.assertEquals(record.fact(RUN, "nothing"), nil)
end

function Record.test_best()
    local best = record.best(RUN)
    for _, row in ipairs(record.export(RUN).scored) do
        lu.assertTrue(row.score == nil or row.score <= best.score)
        if row.round == best.round and row.slot == best.slot then
            lu.assertEquals({ row.score, row.state }, { best.score, best.state })
        end
    end
end

function Record.test_lineage()
    local run, best = history.read(RUN), record.best(RUN)
    local line, nodes = record.lineage(RUN, best.slot, best.round), history.lineage(run.best)
    lu.assertEquals(#line, #nodes)
    for i, ancestor in ipairs(line) do
        local node = nodes[i]
        for _, name in ipairs { "round", "slot", "steps", "age", "score", "deviation", "values", "training" } do
            lu.assertEquals(ancestor[name], node[name], name)
        end
    end
    lu.assertEquals(#record.lineage(RUN, 0), ROUNDS) -- of its last round
    lu.assertErrorMsgContains("there was no member 99", record.lineage, RUN, 99)
end

function Record.test_an_asynchronous_run_is_replayed_by_its_order()
    local first = make({ mode = "asynchronous" }, { workers = 2 })
    local order = record.order(first)
    lu.assertEquals(#order, POPULATION * ROUNDS)
    local second = make({ mode = "asynchronous" }, { order = order })
    lu.assertEquals(record.order(second), order)
    lu.assertEquals(record.export(second), record.export(first))
end

-- The store may be read while the run goes on.
function Record.test_in_the_middle_of_a_run()
    local directory, seen = nil, {}
    directory = make({}, { progress = function(run, moment)
        if moment ~= "round" then return end
        local found = history.read(run.directory)
        seen[#seen + 1] = { run.round, found.rounds, #found.nodes }
    end })
    lu.assertEquals(seen[1], { 1, 1, POPULATION })
    lu.assertEquals(seen[ROUNDS], { ROUNDS, ROUNDS, POPULATION * ROUNDS })
    lu.assertEquals(record.export(directory), record.export(RUN)) -- and does it no harm
end

-- ---- history -------------------------------------------------------------------------------------------------------

local History = {}

function History.test_nodes()
    local run = history.read(RUN)
    lu.assertEquals({ run.name, run.control, run.population, run.rounds }, { "toy", "off", POPULATION, ROUNDS })
    lu.assertEquals(run.times[ROUNDS], INTERVAL * ROUNDS)
    lu.assertEquals({ run.hypers[1].name, run.hypers[1].kind, run.hypers[1].low }, { "h0", "log_uniform", 0.01 })
    lu.assertEquals(history.label(run.hypers[3], 1.0), "odd")
    lu.assertEquals(run.reports[1].name, "theta")
    local copies, failed = 0, 0
    for _, node in ipairs(run.nodes) do
        if node.parent then
            lu.assertTrue(node.parent.ends <= node.begins) -- no line goes back in time
            copies = copies + (node.parent.slot ~= node.slot and 1 or 0)
        else
            lu.assertEquals(node.round, 1)
        end
        failed = failed + (node.failed and 1 or 0)
        if node.score then lu.assertEquals(node.score, 1.2 - node.reports[1] ^ 2) end
    end
    lu.assertEquals(failed, 1)
    local rest = 0 -- what was inherited after the last round has no node yet
    for _, event in ipairs(run.events) do
        if event.kind == "copied" and event.round == ROUNDS then rest = rest + 1 end
    end
    lu.assertEquals(copies, history.count(run, "copied") + history.count(run, "replaced") - rest)
end

function History.test_who_lives_on()
    local run = history.read(RUN)
    lu.assertEquals(#run.tips, POPULATION)
    local alive = {}
    for _, tip in ipairs(run.tips) do
        for _, node in ipairs(history.lineage(tip)) do alive[node] = true end
    end
    for _, node in ipairs(run.nodes) do lu.assertEquals(node.alive, alive[node]) end
    lu.assertEquals(history.ranking(run)[1].score, math.max(table.unpack((function()
        local scores = {}
        for i, tip in ipairs(run.tips) do scores[i] = tip.score end
        return scores
    end)())))
end

function History.test_cost()
    local run, training = history.read(RUN), 0
    for _, row in ipairs(record.export(RUN, true).ledger) do training = training + row.training end
    local cost = history.cost(run.nodes)
    lu.assertAlmostEquals(cost.training, training, 1e-12)
    lu.assertEquals(cost.steps, POPULATION * ROUNDS * INTERVAL)
    lu.assertAlmostEquals(cost.all, cost.training + cost.scoring + cost.saving, 1e-12)
end

-- ---- what is no run ------------------------------------------------------------------------------------------------

local Refusals = {}

local function folder_with(content)
    local directory = new_directory()
    files.make_folder(directory)
    if content then files.save(directory .. "/run.db", content) end
    return directory
end

function Refusals.test_no_run()
    for _, read in ipairs { record.export, record.best, history.read } do
        lu.assertErrorMsgContains("there is no such run", read, "/nowhere/at/all")
        lu.assertErrorMsgContains("it has no run.db", read, folder_with(nil))
        lu.assertErrorMsgContains("no run has been begun in it", read, folder_with "")
        lu.assertErrorMsgContains("it is damaged", read, folder_with(("no database "):rep(100)))
    end
    lu.assertErrorMsgContains("a text expected, got nothing", record.export)
    lu.assertErrorMsgContains("a whole number of at least 0 expected", record.lineage, RUN, -1)
end

-- Cut off, or with bytes changed, it is read or refused, whatever they are: never more than an error.
function Refusals.test_damage()
    local file <close> = assert(io.open(RUN .. "/run.db", "rb"))
    local content, refused = file:read "a", 0
    for i = 1, 60 do
        local at = (i * 7919) % #content + 1
        local damaged = i % 3 == 0 and content:sub(1, at)
            or content:sub(1, at - 1) .. ("\xff\0\x7f"):rep(20) .. content:sub(at + 60)
        local fine, message = pcall(history.read, folder_with(damaged))
        if not fine then
            refused = refused + 1
            lu.assertStrContains(message, "run.db")
        end
        command.remove(table.remove(made))
    end
    lu.assertTrue(refused > 10)
end

local code = 0
local exit = os.exit
os.exit = function(status) code = status == true and 0 or status == false and 1 or status or 0 end
support.main { TestRecord = Record, TestHistory = History, TestRefusals = Refusals }
for _, path in ipairs(made) do command.remove(path) end
exit(code, true)
