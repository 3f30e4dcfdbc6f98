-- Populations that are kept: resumed, begun from others, made again from an order; and populations of GANs: shapes, copies,
-- hyperparameters that are live, replays.
local scenes = dofile "tests/lua/scenes.lua"
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local files = require "brood.files"
local record = require "brood.record"
local nn, loss, optim, data, pbt, metric = brood.nn, brood.loss, brood.optim, brood.data, brood.pbt, brood.metric
local walk, with, column, paces, in_folder = scenes.walk, scenes.with, scenes.column, scenes.paces, scenes.in_folder
local lu = support.lu

local function fails(text, f) support.fails(text, f, scenes.with) end

local Stores, Gans, Replay = {}, {}, {}

-- ---- the store -----------------------------------------------------------------------------------------------------

-- Through every round left and taken up again it is the same run.
function Stores.test_resume_each_round()
    local function experiment()
        return walk({ rounds = 8, schedule = function(run)
            run.state[run.round] = math.random()
            if run.round == 3 then run:add(1) run.interval = 3 end
            if run.round == 5 then run:drop(0) run.exploit = pbt.tournament {} end
        end }, {
            step = function(me, h, steps, rng)
                for _ = 1, steps do me.at = me.at + h.pace * rng:uniform() end
            end,
        })
    end
    in_folder(function(whole)
        local run <close> = experiment():begin { directory = whole, seed = 3 }
        run:go()
        in_folder(function(pieces)
            experiment():begin({ directory = pieces, seed = 3 }):close()
            for round = 1, 8 do
                local piece <close> = experiment():begin { directory = pieces, seed = 3, resume = true }
                lu.assertEquals(piece.round, round - 1)
                piece:go(round)
                if round == 8 then lu.assertEquals(piece.state, run.state) end
            end
            lu.assertEquals(record.export(pieces), record.export(whole))
        end)
    end)
end

-- Right after the copy donor and copier are the same, and only explore tells them apart.
function Stores.test_copies_are_proved()
    in_folder(function(path)
        local run <close> = walk({ exploit = pbt.truncation { bottom = 0.25, top = 0.25 }, rounds = 5 })
            :begin { directory = path }
        run:go()
        local export = record.export(path)
        local state, copies = {}, 0
        for _, row in ipairs(export.standing) do state[row.round .. " " .. row.slot] = row.state end
        for _, event in ipairs(export.event) do
            if event.kind == "copied" then
                copies = copies + 1
                local mine, theirs = state[event.round .. " " .. event.slot], state[event.round .. " " .. event.other]
                lu.assertEquals(#mine, 32)
                lu.assertEquals(mine, theirs)
            end
        end
        lu.assertEquals(copies, 5)
    end)
end

function Stores.test_other_options_are_refused()
    in_folder(function(path)
        do
            local run <close> = walk {}:begin { directory = path }
            run:go(1)
        end
        local function resume(fields, options)
            options = options or {}
            options.directory, options.resume = path, true
            walk(fields):begin(options):close()
        end
        for name, fields in pairs {
            interval = { interval = 6 }, exploit = { exploit = pbt.tournament {} }, burn_in = { burn_in = 3 },
            population = { population = 3, initial = { { pace = 1 }, { pace = 2 }, { pace = 3 } } },
            name = { name = "other" },
        } do
            local fine, message = pcall(resume, fields)
            lu.assertFalse(fine, name)
            lu.assertStrContains(message, name)
        end
        lu.assertErrorMsgContains("seed", resume, {}, { seed = 2 })
        lu.assertErrorMsgContains("control", resume, {}, { control = "no-explore" })
        fails("there is a run in it already", function() walk {}:begin { directory = path } end)
        local held <close> = walk {}:begin { directory = path, resume = true }
        fails("another process is running this run", function() walk {}:begin { directory = path, resume = true } end)
    end)
end

function Stores.test_from_another_run()
    in_folder(function(path)
        local source <close> = walk { exploit = pbt.none {}, rounds = 3 }:begin { directory = path }
        source:go()
        local function from(fields, options)
            local spec = { exploit = pbt.none {} }
            for name, value in pairs(fields) do spec[name] = value end
            local other = with({
                name = "later", members = walk({}).members, hyper = { pace = pbt.uniform(0, 100) }, interval = 5,
            }, spec)
            options.from = options.from or path
            return other:begin(options)
        end
        local later <close> = from({ population = 6 }, {})
        lu.assertEquals(column(later, "score"), {}) -- that was another run's
        lu.assertEquals(column(later, "age"), { 15, 15, 15, 15, 15, 15 })
        lu.assertEquals(paces(later), { 1, 2, 3, 4, 1, 2 })
        later:go(1)
        lu.assertEquals(later.members[2].score, 40)
        local earlier <close> = from({ population = 2 }, { from_round = 2 })
        lu.assertEquals(column(earlier, "age"), { 10, 10 })
        local narrow <close> = from({ population = 4, hyper = { pace = pbt.uniform(2, 3), new = pbt.uniform(5, 6) } }, {})
        lu.assertEquals(paces(narrow), { 2, 2, 3, 3 })
        for _, member in ipairs(narrow.members) do lu.assertTrue(member.values.new >= 5 and member.values.new <= 6) end
        fails("after round 9", function() from({}, { from_round = 9 }) end)
        fails("cannot be begun from", function() from({}, { from_round = 3, from = "/nowhere" }) end)
        local nine = { pace = 9 }
        local own <close> = walk({ initial = { nine, nine, nine, nine } }):begin { from = path } -- which give way
        lu.assertEquals(paces(own), { 1, 2, 3, 4 })
    end)
end

-- An asynchronous run is made again from the order of its ready moments, and resumed from wherever it was left.
function Stores.test_asynchronous()
    local function experiment()
        return walk({ mode = "asynchronous", rounds = 6, explore = pbt.perturb {} }, {
            step = function(me, h, steps, rng)
                for _ = 1, steps do me.at = me.at + h.pace * rng:uniform() end
            end,
        })
    end
    in_folder(function(whole)
        do
            local run <close> = experiment():begin { directory = whole }
            lu.assertEquals(run:go(), "finished")
            lu.assertEquals(column(run, "steps"), { 30, 30, 30, 30 })
        end
        local order = record.order(whole)
        lu.assertEquals(#order, 24)
        in_folder(function(again)
            do
                local run <close> = experiment():begin { directory = again, order = order }
                run:go(2)
            end
            do
                local run <close> = experiment():begin { directory = again, order = order, resume = true }
                run:go()
            end
            lu.assertEquals(record.export(again), record.export(whole))
        end)
        table.sort(order) -- another order is another run
        in_folder(function(other)
            local run <close> = experiment():begin { directory = other, order = order }
            run:go()
            lu.assertNotEquals(record.export(other), record.export(whole))
            lu.assertEquals(record.order(other), order)
        end)
    end)
end

-- ---- GANs ----------------------------------------------------------------------------------------------------------

local function points(fields)
    return with({
        name = "points", data = data.ring {}, latent = 2, batch = 8, population = 3, interval = 4, rounds = 3,
        generator = function(h)
            return nn.sequential { nn.linear { out = h.width }, nn.relu {}, nn.linear { out = 2 } }
        end,
        discriminator = function() return nn.sequential { nn.linear { out = 8 }, nn.tanh {}, nn.linear { out = 1 } } end,
        loss = loss.non_saturating { r1 = "gamma" },
        g_optimizer = optim.adam { lr = "g_lr" }, d_optimizer = optim.adam { lr = "d_lr" },
        hyper = {
            width = pbt.structural(pbt.choice { 4, 8 }), gamma = pbt.log_uniform(0.01, 10),
            g_lr = pbt.log_uniform(1e-4, 1e-1), d_lr = pbt.log_uniform(1e-4, 1e-1),
        },
        exploit = function(me, others) return me.slot == 0 and others[1] or nil end,
    }, fields)
end

local INITIAL = {
    { width = 4, gamma = 1, g_lr = 0.01, d_lr = 0.01 }, { width = 8, gamma = 2, g_lr = 0.02, d_lr = 0.03 },
    { width = 8, gamma = 2, g_lr = 0.02, d_lr = 0.03 },
}

-- Where lower is better, scores are what they are called, and fitness is what is greater when it is better.
function Gans.test_lower_is_better()
    local seen = {}
    local score = { samples = 50 }
    local run <close> = points({
        select = brood.metric.reverse_kl(score), report = { brood.metric.reverse_kl(score) },
        exploit = function(me) seen[#seen + 1] = me end,
    }):begin {}
    run:go(1)
    lu.assertEquals(#seen, 3)
    for i, me in ipairs(seen) do
        lu.assertTrue(me.score > 0)
        lu.assertEquals({ me.fitness, me.window[1], me.reports[1] }, { -me.score, me.score, me.score })
        lu.assertEquals(run.members[i].score, me.score)
    end
end

-- Two shapes in one population: the shape goes with the weights.
function Gans.test_structural()
    local run <close> = points { initial = INITIAL }:begin {}
    local function shape(slot) return run:gan(slot):get("G.1.weight"):shape() end
    lu.assertEquals({ shape(0), shape(1) }, { { 2, 4 }, { 2, 8 } })
    run:go(1)
    lu.assertEquals({ shape(0), shape(1) }, { { 2, 8 }, { 2, 8 } })
    lu.assertEquals(run.members[1].values.width, 8)
    lu.assertEquals(run:gan(0):hash(), run:gan(1):hash())
    lu.assertNotEquals(run:gan(1):hash(), run:gan(2):hash())
    run:go(3)
end

-- A copy that is told the same hyperparameters trains by numbers of its own.
function Gans.test_copies_go_their_own_ways()
    local run <close> = points({ initial = INITIAL, explore = function(h) return h end }):begin {}
    run:go(1)
    lu.assertEquals(run:gan(0):hash(), run:gan(1):hash())
    run:go(2)
    lu.assertNotEquals(run.members[1].values, nil)
    local plain <close> = points({ initial = INITIAL, exploit = pbt.none {} }):begin {}
    plain:go(2)
    lu.assertEquals(run:gan(1):hash(), plain:gan(1):hash())
end

-- What was explored is what the live optimizer and loss go by: a member that trains on by hand with the values that the
-- population tells comes to the same weights, and with any other to others.
function Gans.test_explored_values_are_live()
    in_folder(function(path)
        local spec = { initial = INITIAL, rounds = 2 }
        local run <close> = points(spec):begin { directory = path }
        run:go(1)
        local values = run.members[1].values
        lu.assertNotEquals({ values.gamma, values.g_lr, values.d_lr }, { 2, 0.02, 0.03 })
        local state, steps = run.members[1].state, run.members[1].steps
        local copy = path .. ".safetensors"
        local file <close> = assert(io.open(("%s/states/%s.safetensors"):format(path, state), "rb"))
        files.save(copy, file:read "a")
        run:go(2)
        local wanted = record.export(path).scored[4]
        lu.assertEquals({ wanted.slot, wanted.round }, { 0, 2 })
        local function by_hand(changed)
            local told = {}
            for name, value in pairs(values) do told[name] = changed and changed[name] or value end
            local member = points(spec):member(1, 0, told)
            member:load(copy, steps)
            assert(member:train(4))
            return member:hash()
        end
        lu.assertEquals(by_hand(), wanted.state)
        for name, value in pairs(values) do
            if name ~= "width" then lu.assertNotEquals(by_hand { [name] = value * 1.25 }, wanted.state, name) end
        end
        os.remove(copy)
    end)
end

function Gans.test_what_networks_may_see()
    fails("h.gamma: it changes while training goes on: give its name, \"gamma\", where a number stands", function()
        points({ generator = function(h) return nn.linear { out = 2 + h.gamma } end }):begin {}
    end)
    fails("h.witdh: there is no such hyperparameter: did you mean 'width'?", function()
        points({ generator = function(h) return nn.linear { out = h.witdh } end }):begin {}
    end)
    fails("nothing reads hyper.width", function()
        points({ generator = function() return nn.linear { out = 2 } end }):begin {}
    end)
    fails("hyper.width is structural: only generator(h) and discriminator(h) see it, as h.width", function()
        points({ generator = function() return nn.linear { out = 2 } end, g_optimizer = optim.adam { lr = "width" } }):begin {}
    end)
end

-- Constants and texts reach the networks, too.
function Gans.test_constants_and_texts()
    local seen = {}
    local experiment = points {
        generator = function(h)
            seen[h.kind .. h.width .. h.depth] = true
            return nn.sequential { nn.linear { out = h.width }, h.kind == "relu" and nn.relu {} or nn.tanh {}, nn.linear { out = 2 } }
        end,
        hyper = {
            width = pbt.structural(4), kind = pbt.structural(pbt.category { "relu", "tanh" }), depth = 3, gamma = 1,
            g_lr = 0.01, d_lr = 0.01,
        },
        population = 8, exploit = pbt.none {},
    }
    local run <close> = experiment:begin {}
    run:go(1)
    lu.assertTrue(seen.relu43 and seen.tanh43)
    local kinds = {}
    for _, member in ipairs(run.members) do kinds[member.values.kind] = true end
    lu.assertEquals(kinds, { relu = true, tanh = true })
end

-- G of one, D of another: each part is its donor's to the bit.
function Gans.test_recombine()
    local hyper = { gamma = pbt.log_uniform(0.01, 10), g_lr = pbt.log_uniform(1e-4, 1e-1), d_lr = pbt.log_uniform(1e-4, 1e-1) }
    local function bits(member, name) return table.concat(member:get(name):flat(), " ") end
    local mosaics = 0
    for seed = 1, 6 do
        in_folder(function(path)
            local run <close> = points({
                recombine = true, population = 6, hyper = hyper, select = metric.modes_score {}, exploit = pbt.truncation {
                    bottom = 0.5, top = 0.5 },
                generator = function() return nn.sequential { nn.linear { out = 4 }, nn.relu {}, nn.linear { out = 2 } } end,
            }):begin { seed = seed, directory = path }
            run:go(1)
            local donors = {}
            for _, event in ipairs(record.export(path).event) do
                if event.kind == "copied" then
                    donors[event.slot] = donors[event.slot] or {}
                    donors[event.slot][event.text ~= "" and event.text or "G"] = event.other
                    donors[event.slot].whole = event.text == ""
                end
            end
            for slot, from in pairs(donors) do
                local mine = run:gan(slot)
                lu.assertEquals(bits(mine, "G.1.weight"), bits(run:gan(from.G), "G.1.weight"))
                lu.assertEquals(bits(mine, "D.1.weight"), bits(run:gan(from.D or from.G), "D.1.weight"))
                if not from.whole and from.D ~= from.G then
                    mosaics = mosaics + 1
                    lu.assertNotEquals(bits(mine, "D.1.weight"), bits(run:gan(from.G), "D.1.weight"))
                end
            end
            run:go(3)
        end)
    end
    lu.assertTrue(mosaics > 0)
end

function Gans.test_workers_change_nothing()
    local function exported(workers)
        local export
        in_folder(function(path)
            local run <close> = points({ population = 5, select = metric.modes_score {}, exploit = pbt.tournament {} })
                :begin { directory = path, workers = workers }
            run:go()
            export = record.export(path)
        end)
        return export
    end
    local one = exported(1)
    lu.assertEquals(exported(2), one)
    lu.assertEquals(exported(4), one)
end

-- ---- replay --------------------------------------------------------------------------------------------------------

function Replay.test_schedule()
    local trained = {}
    local run <close> = walk({
        replay = { { steps = 7, pace = 2 }, { steps = 5, pace = 3 }, { steps = 1, pace = 50 } }, rounds = 100,
    }, { step = function(me, h, steps)
        trained[#trained + 1] = { h.pace, steps }
        me.at = me.at + steps * h.pace
    end }):begin {}
    lu.assertEquals(run:go(), "stopped")
    lu.assertEquals(trained, { { 2, 5 }, { 2, 2 }, { 3, 5 }, { 50, 1 } })
    lu.assertEquals(column(run, "score"), { 14 + 15 + 50 })
end

function Replay.test_what_is_refused()
    fails("there is no hyperparameter 'pase'", function()
        walk({ replay = { { steps = 7, pace = 1, pase = 2 } } }):begin {}
    end)
    fails("pace is 200, which is outside of its range", function()
        walk({ replay = { { steps = 7, pace = 200 } } }):begin {}
    end)
end

support.main { Stores = Stores, Gans = Gans, Replay = Replay }
