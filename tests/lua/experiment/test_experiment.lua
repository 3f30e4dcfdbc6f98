-- brood.experiment: what its fields do to the numbers of a member in training, and what it refuses. Most of it on a
-- game of two numbers that can be played by hand.
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local lu, near = support.lu, support.near
local nn, loss, optim, schedule, data = brood.nn, brood.loss, brood.optim, brood.schedule, brood.data
local pbt = brood.pbt

local Live, Schedules, Members, Networks, Refused = {}, {}, {}, {}, {}

-- ---- a game of two numbers ----------------------------------------------------------------------------------------

-- A layer that is one number, times `gain`, plus nothing of its input.
local function number(name, gain)
    return function(x, ctx)
        return ctx:param(name, { 1, 1 }, nn.init.ones()) * ctx:number(gain or 1) + 0 * x
    end
end

-- G is the number theta, D the number psi. Losses: psi theta, and -theta psi.
local function game(fields)
    local spec = {
        name = "game", latent = 1, batch = 1, ema = 0,
        generator = function() return number "theta" end,
        discriminator = function() return number "psi" end,
        loss = function(net)
            local product = (net.D(net.z) * net.fake):mean()
            return product, -product
        end,
        g_optimizer = optim.sgd { lr = 0.1 }, d_optimizer = optim.sgd { lr = 0.1 },
    }
    for name, value in pairs(fields) do spec[name] = value end
    return brood.experiment(spec)
end

local function fails(text, f) support.fails(text, f, game) end

local function theta(member, average) return member:get("G.theta", average):item() end
local function psi(member) return member:get("D.psi"):item() end

-- Trains one step with these hyperparameters; how far theta and psi have moved.
local function moved(member, hypers)
    local t, p = theta(member), psi(member)
    if hypers then member:set_hypers(hypers) end
    assert(member:train(1))
    return theta(member) - t, psi(member) - p
end

-- ---- hyperparameters are live -------------------------------------------------------------------------------------

function Live.test_learning_rates()
    local member = game {
        g_optimizer = optim.sgd { lr = "g_lr" }, d_optimizer = optim.sgd { lr = "d_lr" },
        hyper = { g_lr = 0.1, d_lr = 0.2 },
    }:member(1, 0)
    for i, rates in ipairs { { 0.1, 0.2 }, { 0.3, 0.2 }, { 0, 0.5 }, { 0.7, 0 } } do
        local t = theta(member)
        local by_g, by_d = moved(member, i > 1 and { g_lr = rates[1], d_lr = rates[2] } or nil)
        near({ by_d, by_g }, { -rates[2] * t, rates[1] * psi(member) })
    end
end

function Live.test_optimizer_settings()
    local cases = {
        { "sgd", "momentum", 0, 0.5 }, { "sgd", "weight_decay", 0, 2 }, { "sgd", "clip", 0, 0.01 },
        { "adam", "beta1", 0.9, 0.1 }, { "adam", "beta2", 0.999, 0.5 }, { "adam", "epsilon", 1e-8, 1 },
        { "rmsprop", "decay", 0.9, 0.2 },
    }
    for _, case in ipairs(cases) do
        local kind, field, first, second = table.unpack(case)
        local function member_with(value)
            local member = game {
                g_optimizer = optim[kind] { lr = 0.1, [field] = "live" }, d_optimizer = optim.sgd { lr = 0.01 },
                hyper = { live = first },
            }:member(1, 0)
            assert(member:train(2))
            return (moved(member, { live = value }))
        end
        local before, after = member_with(first), member_with(second)
        lu.assertTrue(math.abs(after - before) > 1e-3 * math.abs(before), kind .. "'s " .. field .. " is not live")
    end
end

function Live.test_discriminator_steps()
    local member = game { d_steps = "n", hyper = { n = 1 } }:member(1, 0)
    for _, n in ipairs { 1, 3, 2, 5 } do
        local t = theta(member)
        local _, by_d = moved(member, { n = n })
        near({ by_d }, { -0.1 * n * t })
    end
end

function Live.test_layers_and_losses()
    local member = game {
        discriminator = function() return number("psi", "gain") end,
        loss = function(net)
            local product = (net.D(net.z) * net.fake):mean()
            return product * net.h.weight, -product * net.number(3)
        end,
        hyper = { gain = 1, weight = 1 },
    }:member(1, 0)
    for _, values in ipairs { { 1, 1 }, { 2, 1 }, { 2, -4 }, { 0, 1 } } do
        local gain, weight = table.unpack(values)
        local t = theta(member)
        local by_g, by_d = moved(member, { gain = gain, weight = weight })
        near({ by_d, by_g }, { -0.1 * t * gain * weight, 0.1 * 3 * gain * psi(member) })
    end
end

function Live.test_average()
    local member = game { ema = "decay", ema_warmup = 0, hyper = { decay = 0.5 } }:member(1, 0)
    local mean = 1
    for _, decay in ipairs { 0.5, 0.9, 0, 1, 0.3 } do
        moved(member, { decay = decay })
        mean = decay * mean + (1 - decay) * theta(member)
        near({ theta(member, true) }, { mean })
    end
end

function Live.test_average_warms_up()
    local member = game { ema = 0.999, ema_warmup = 4 }:member(1, 0)
    local mean = 1
    for step = 0, 9 do
        moved(member)
        local decay = math.min(0.999, (1 + step) / (4 + step))
        mean = decay * mean + (1 - decay) * theta(member)
        near({ theta(member, true) }, { mean })
    end
end

-- A loss's own weights, on points in the plane.
local function points(fields)
    local spec = {
        name = "points", data = data.ring {}, latent = 2, batch = 8,
        generator = function() return nn.linear { out = 2 } end,
        discriminator = function()
            return nn.sequential { nn.linear { out = 8 }, nn.tanh {}, nn.linear { out = 1 } }
        end,
        loss = loss.non_saturating {},
    }
    for name, value in pairs(fields) do spec[name] = value end
    return brood.experiment(spec)
end

-- A loss as it is, and called by functions: with what they were called with, and with more.
local function ways_to_call(of)
    return {
        of,
        function(net) return of(net) end,
        function(net) return of(setmetatable({ real = net.real }, { __index = net })) end,
    }
end

function Live.test_weight_clip()
    for _, of in ipairs(ways_to_call(loss.wasserstein { clip = "bound" })) do
        local member = points { loss = of, d_optimizer = optim.sgd { lr = 1 }, hyper = { bound = 0.5 } }:member(1, 0)
        for _, bound in ipairs { 0.5, 0.1, 0.01 } do
            member:set_hypers { bound = bound }
            assert(member:train(2))
            local largest = 0
            for _, weight in ipairs(member:get("D.1.weight"):flat()) do
                largest = math.max(largest, math.abs(weight))
            end
            near({ largest }, { bound })
        end
    end
end

function Live.test_lazy_penalty()
    local first
    for _, of in ipairs(ways_to_call(loss.non_saturating { r1 = 1, lazy = 3 })) do
        local member = points { loss = of }:member(1, 0)
        local seen = {}
        for step = 1, 7 do
            local penalty = assert(member:train(1))["D.penalty"]
            seen[step] = penalty == penalty -- NaN: no update made it
        end
        lu.assertEquals(seen, { true, false, false, true, false, false, true })
        first = first or member:hash()
        lu.assertEquals(member:hash(), first)
    end
end

-- Another loss beside it has its own penalties in every update.
function Live.test_lazy_beside_another()
    local function trained(of)
        local member = points { loss = of, d_optimizer = optim.sgd { lr = 0.1 } }:member(1, 0)
        assert(member:train(5))
        return member:get("D.1.weight"):flat()
    end
    local lazy, eager = loss.hinge { r1 = 1, lazy = 2 }, loss.hinge { r1 = 3 }
    local both = trained(function(net)
        local a, g = lazy(net)
        return net.update == "D" and 0.5 * (a + eager(net)) or nil, g
    end)
    local by_hand = trained(function(net)
        local d_loss, g_loss = loss.hinge {} (net)
        if net.update == "G" then return nil, g_loss end
        local r1 = loss.squared_slope(net.D(net.real), net.real):mean()
        d_loss = d_loss + 0.5 * 0.5 * 3 * r1
        if net.lazy(2) then d_loss = d_loss + 2 * 0.5 * 0.5 * r1 end
        return d_loss
    end)
    near(both, by_hand, 1e-4)
end

function Live.test_what_a_function_asks()
    local member = game {
        loss = function(net)
            local on_fake = net.D(net.z)
            local product = (on_fake * net.fake):mean()
            local d_loss = product
            if net.lazy(3) then d_loss = d_loss + 3 * on_fake:mean() end
            net.clip(1.5)
            return d_loss, -product
        end,
    }:member(1, 0)
    for step = 0, 7 do
        local t, p = theta(member), psi(member)
        local _, by_d = moved(member)
        local free = p - 0.1 * (t + (step % 3 == 0 and 3 or 0))
        near({ by_d }, { math.max(-1.5, math.min(free, 1.5)) - p })
    end
end

function Live.test_penalty()
    local function after(gamma)
        local member = points { loss = loss.non_saturating { r1 = "gamma" }, hyper = { gamma = 0 } }:member(1, 0)
        assert(member:train(3))
        member:set_hypers { gamma = gamma }
        assert(member:train(1))
        return member:get("D.1.weight"):flat()
    end
    lu.assertEquals(after(0), after(0))
    lu.assertNotEquals(after(10), after(0))
end

-- ---- schedules ----------------------------------------------------------------------------------------------------

local KINDS = {
    schedule.constant(0.3),
    schedule.linear { from = 0.5, to = 0.1, steps = 7 },
    schedule.cosine { from = 0.5, to = 0.1, steps = 7 },
    schedule.exponential { from = 0.5, to = 0.01, steps = 7 },
    schedule.warmup { from = 0.1, to = 0.6, steps = 4 },
    schedule.warmup { steps = 3, after = schedule.cosine { from = 0.4, to = 0, steps = 5 } },
    schedule.piecewise { { 0, 0.1 }, { 3, 0.4 }, { 4, 0.2 } },
}

-- As a setting of an optimizer and as a number in a loss: what `at` says, at every step.
function Schedules.test_are_what_they_say()
    for _, rate in ipairs(KINDS) do
        local member = game {
            g_optimizer = optim.sgd { lr = rate }, d_optimizer = optim.sgd { lr = 1 },
            loss = function(net)
                return (net.D(net.z) * net.number(rate)):mean(), -net.fake:mean()
            end,
        }:member(1, 0)
        for step = 0, 9 do
            local by_g, by_d = moved(member)
            near({ by_g, by_d }, { rate:at(step), -rate:at(step) }, 2e-6)
        end
    end
end

function Schedules.test_of_counts_and_decays()
    local member = game {
        d_steps = schedule.piecewise { { 0, 1 }, { 2, 4 } },
        ema = schedule.piecewise { { 0, 0 }, { 3, 1 } }, ema_warmup = 0,
    }:member(1, 0)
    local held
    for step = 0, 5 do
        local t = theta(member)
        local _, by_d = moved(member)
        near({ by_d }, { -0.1 * t * (step < 2 and 1 or 4) })
        if step < 3 then held = theta(member) end
        near({ theta(member, true) }, { held })
    end
end

-- ---- members ------------------------------------------------------------------------------------------------------

function Members.test_streams()
    local experiment = points {}
    local function trained(seed, slot)
        local member = experiment:member(seed, slot)
        assert(member:train(4))
        return member:get("D.1.weight"):flat()
    end
    lu.assertEquals(trained(1, 0), trained(1, 0))
    lu.assertNotEquals(trained(1, 1), trained(1, 0))
    lu.assertNotEquals(trained(2, 0), trained(1, 0))
end

function Members.test_in_turn_as_alone()
    local experiment = points { loss = loss.non_saturating { r1 = 1, lazy = 3 } }
    local one, other, alone = experiment:member(1, 0), experiment:member(1, 1), experiment:member(1, 0)
    for _ = 1, 5 do
        assert(one:train(1))
        assert(other:train(2))
    end
    assert(alone:train(5))
    lu.assertEquals(one:get("D.1.weight"):flat(), alone:get("D.1.weight"):flat())
    lu.assertEquals(one:get("G.weight", true):flat(), alone:get("G.weight", true):flat())
    lu.assertEquals({ one:age(), other:age() }, { 5, 10 })
end

function Members.test_signals()
    local member = points { loss = loss.non_saturating { r1 = 1, lazy = 4 } }:member(1, 0)
    local signals = assert(member:train(3))
    for _, name in ipairs { "D.loss", "D.norm", "D.on_real", "D.penalty", "G.loss", "G.norm" } do
        lu.assertTrue(math.abs(signals[name]) < math.huge, name)
    end
    signals = assert(member:train(1))
    lu.assertTrue(signals["D.penalty"] ~= signals["D.penalty"], "no update made it")
end

-- D's are D's; what only G's program gives is G's.
function Members.test_signals_of_a_function()
    local member = game {
        loss = function(net)
            local product = (net.D(net.z) * net.fake):mean()
            local signals = { product = product, theta = net.update == "G" and net.fake:mean() or nil }
            return product, -product, signals
        end,
    }:member(1, 0)
    assert(member:train(1))
    local before = theta(member)
    local signals = assert(member:train(1))
    lu.assertEquals(signals["G.theta"], before)
    lu.assertTrue(signals["D.product"] ~= nil)
    lu.assertNil(signals["D.theta"])
    lu.assertNil(signals["G.product"])
end

function Members.test_not_finite()
    local member = game {
        loss = function(net)
            local product = (net.D(net.z) * net.fake):mean()
            return product * net.h.weight, -product
        end,
        hyper = { weight = 1 },
    }:member(1, 0)
    assert(member:train(3))
    member:set_hypers { weight = 1e39 } -- no float holds it
    local signals, message = member:train(2)
    lu.assertNil(signals)
    lu.assertEquals(message, "D.loss is inf at step 4")
end

function Members.test_what_is_sampled()
    local averaged = points { ema = 0.99 }:member(1, 0)
    assert(averaged:train(20))
    lu.assertNotEquals(averaged:sample(1, 5, 1):flat(), averaged:sample(1, 5, 1, true):flat())
    local plain = points { ema = 0 }:member(1, 0)
    assert(plain:train(20))
    lu.assertEquals(plain:sample(1, 5, 1):flat(), plain:sample(1, 5, 1, true):flat())
    local five, third = averaged:sample(1, 5, 1):flat(), averaged:sample(3, 1, 1):flat()
    lu.assertEquals({ five[5], five[6] }, third)
end

-- ---- networks -----------------------------------------------------------------------------------------------------

-- Labels reach both networks, in training and in sampling.
function Networks.test_conditional()
    local experiment = brood.experiment {
        name = "conditional", data = data.digits { size = 16 }, latent = 4, batch = 6, conditional = true,
        generator = function()
            return nn.sequential {
                function(z, ctx)
                    lu.assertNotNil(ctx.labels)
                    return z + brood.graph.gather(ctx:param("classes", { 10, 4 }, nn.init.normal(1)), ctx.labels)
                end,
                nn.linear { out = 16 * 16 }, nn.tanh {}, nn.reshape { 16, 16, 1 },
            }
        end,
        discriminator = function()
            return nn.sequential { nn.flatten {}, nn.linear { out = 8 }, loss.projection {} }
        end,
        loss = loss.hinge {},
    }
    for _, fake in ipairs { "fresh", "reuse" } do
        experiment.fake = fake
        experiment.model = nil
        local member = experiment:member(1, 0)
        local before = member:get("D.3.embedding.weight"):flat()
        assert(member:train(3))
        lu.assertNotEquals(member:get("D.3.embedding.weight"):flat(), before)
        local images = member:sample(1, 12, 1)
        lu.assertEquals(images:shape(), { 12, 16, 16, 1 })
    end
end

-- A network's variables change when its own player updates: once for every call, and never in sampling. The averages
-- of G's follow.
function Networks.test_statistics()
    local function counting(layer)
        return function(x, ctx)
            local count = ctx:variable("count", { 1 }, 0)
            ctx:assign(count, ctx:current(count) + 1)
            return ctx:apply("layer", layer, x)
        end
    end
    for _, fake in ipairs { "fresh", "reuse" } do
        local member = points {
            generator = function() return counting(nn.linear { out = 2 }) end,
            discriminator = function() return counting(nn.linear { out = 1 }) end,
            d_steps = 2, ema = 0.5, ema_warmup = 0, fake = fake,
        }:member(1, 0)
        assert(member:train(3))
        member:sample(1, 9, 1)
        local function count(name, average) return member:get(name .. ".count", average):item() end
        lu.assertEquals({ count "G", count "D", count("G", true) }, { 3, 3 * 2 * 2, 3 / 2 + 2 / 4 + 1 / 8 })
    end
end

-- With the generated images reused training takes another course, and is as repeatable.
function Networks.test_reuse()
    local function trained(fake)
        local member = points { fake = fake, d_steps = 2 }:member(1, 0)
        assert(member:train(5))
        return member:get("G.weight"):flat()
    end
    lu.assertEquals(trained "reuse", trained "reuse")
    lu.assertNotEquals(trained "reuse", trained "fresh")
end

-- A relativistic generator looks at real images too.
function Networks.test_all_orders()
    for _, update in ipairs { "alternating", "simultaneous" } do
        for _, fake in ipairs { "fresh", "reuse" } do
            local member = points {
                update = update, fake = fake, loss = loss.relativistic { r1 = 0.1, lazy = 2 },
            }:member(1, 0)
            local signals = assert(member:train(6))
            lu.assertTrue(signals["G.loss"] > 0)
        end
    end
end

-- ---- refusals -----------------------------------------------------------------------------------------------------

function Refused.test_hyperparameters()
    fails("nothing reads hyper.lr", function() game { hyper = { lr = 1 } }:member(1, 0) end)
    fails("hyperparameter 'rat' is used, but not in hyper", function()
        game { g_optimizer = optim.sgd { lr = "rat" }, d_optimizer = optim.sgd { lr = "rate" }, hyper = { rate = 1 } }
            :member(1, 0)
    end)
    fails("d_stesp", function() game { d_stesp = 2 } end)
    fails("hyper.steps: a schedule's steps are called so", function() game { hyper = { steps = 2 } } end)
end

-- Of a number that stands in the place of a hyperparameter's name: the same bounds.
function Refused.test_ranges()
    local function dropout(rate)
        return function() return nn.sequential { nn.dropout { rate = rate }, nn.linear { out = 1 } } end
    end
    local digits = { data = data.digits { size = 16 }, generator = function()
        return nn.sequential { nn.linear { out = 256 }, nn.reshape { 16, 16, 1 } }
    end, discriminator = function() return nn.sequential { nn.flatten {}, nn.linear { out = 1 } } end }
    local smooth, share = loss.minimax { smoothing = "s" }, "smoothing: a number from 0 to 1 expected, got "
    for _, case in ipairs {
        { 2, share .. "2", { loss = smooth } },
        { pbt.uniform(0, 1.5), share .. "1.5", { loss = smooth } },
        { pbt.uniform(-1, 1), "r1: a number of at least 0 expected, got -1", { loss = loss.hinge { r1 = "s" } } },
        { pbt.choice { 1, -2, 3 }, "clip: a number of at least 0 expected, got -2",
            { loss = loss.wasserstein { clip = "s" } } },
        { -1, "net.clip: a number of at least 0 expected, got -1", { loss = function(net)
            net.clip "s"
            return loss.wasserstein {} (net)
        end } },
        { 1, "dropout (", { discriminator = dropout "s" } },
        { 1, "rate: a number of at least 0 and less than 1 expected, got 1", { discriminator = dropout "s" } },
        { pbt.category { "a", "b" }, "expected, got the text 'a'", { discriminator = dropout "s" } },
        { pbt.integer(0, 3), "d_steps: a whole number of at least 1 expected, got 0", { d_steps = "s" } },
        { -3, "d_steps: a whole number of at least 1 expected, got -3", { d_steps = "s" } },
        { 1.5, "d_steps: a whole number of at least 1 expected, got 1.5", { d_steps = "s" } },
        { pbt.uniform(1, 5), "rounded: make it pbt.integer(low, high)", { d_steps = "s" } },
        { 2, "ema: a number from 0 to 1 expected, got 2", { ema = "s" } },
        { pbt.uniform(0, 1), "g_optimizer: beta1: adam: beta1 is 1: a number from 0 to below 1 expected",
            { g_optimizer = optim.adam { beta1 = "s" } } },
        { 2, "flip: a number from 0 to 1 expected, got 2", { augment = brood.augment { flip = "s" }, data = digits.data,
            generator = digits.generator, discriminator = digits.discriminator } },
    } do
        local hyper, text, spec = table.unpack(case)
        spec.hyper = { s = hyper }
        local experiment = points(spec)
        support.fails(text, function() experiment:member(1, 0) end)
        support.fails("hyper.s, pbt.", function() experiment:member(1, 0) end)
    end
    fails("d_steps: a whole number of at least 1", function() game { d_steps = 2.5 } end)
    points({ loss = loss.minimax { smoothing = "s" }, d_steps = "n", discriminator = dropout "rate", ema = "decay",
        hyper = { s = pbt.uniform(0, 1), n = pbt.integer(1, 5), rate = pbt.uniform(0, 0.9), decay = 1 } }):member(1, 0)
end

function Refused.test_orders()
    fails("updates are simultaneous", function() game { update = "simultaneous", d_steps = 2 }:member(1, 0) end)
    fails("needs data", function() game { fake = "reuse" }:member(1, 0) end)
    fails("the data set has no labels", function() game { conditional = true } end)
end

function Refused.test_shapes()
    local place = debug.getinfo(1, "S").short_src .. ":" .. debug.getinfo(1, "l").currentline + 3
    local text = ("generator (%s) makes (8, 3) from G.2 linear (%s), the data are (8, 2)"):format(place, place)
    fails(text, function()
        points { generator = function() return nn.sequential { nn.relu {}, nn.linear { out = 3 } } end }:member(1, 0)
    end)
    fails("the loss gives no scalar for D", function()
        game { loss = function(net) return net.D(net.fake), net.D(net.fake):mean() end }:member(1, 0)
    end)
end

function Refused.test_networks()
    local place = debug.getinfo(1, "S").short_src .. ":" .. debug.getinfo(1, "l").currentline + 2
    fails(("generator (%s) returns nothing: a layer or a function(x, ctx) expected"):format(place), function()
        game { generator = function() local _ = nn.linear { out = 1 } end }:member(1, 0)
    end)
    fails("returns a function: a layer or a function(x, ctx) expected: write nn.relu {}", function()
        game { discriminator = function() return nn.relu end }:member(1, 0)
    end)
    fails("experiment: generator: a function(h) that returns a layer expected, got a table, nn.linear: write function()"
        .. " return nn.linear { ... } end", function() game { generator = nn.linear { out = 1 } } end)
    for _, head in ipairs { loss.projection {}, nn.conditional_batch_norm {} } do
        fails("labels expected: conditional = true is missing in the experiment", function()
            points { discriminator = function() return nn.sequential { nn.linear { out = 3 }, head } end }:member(1, 0)
        end)
    end
end

function Refused.test_optimizers()
    fails("experiment: g_optimizer: an optimizer, such as optim.adam {}, expected", function()
        game { g_optimizer = { kind = "adam", lrr = 1 } }
    end)
end

function Refused.test_losses()
    fails("experiment: loss: a loss, such as loss.hinge {}, or a function(net), expected, got a function, loss.hinge:"
        .. " write loss.hinge {}", function() game { loss = loss.hinge } end)
    fails("loss.hinge makes a loss out of options: it is the loss loss.hinge {} that is called with net", function()
        points { loss = function(net) return loss.hinge(net) end }:member(1, 0)
    end)
    fails("net.rael: a loss is given nothing of this name: did you mean 'real'?", function()
        points { loss = function(net) return net.D(net.rael) end }:member(1, 0)
    end)
    fails("did you mean 'classes'?", function() points { loss = function(net) return net.clases end }:member(1, 0) end)
    local function both(one, other)
        return function(net)
            local d, g = one(net)
            other(net)
            return d, g
        end
    end
    support.fails("lazy is 8, but 4 for loss.hinge (", function()
        points { loss = both(loss.hinge { r1 = 1, lazy = 4 }, loss.hinge { r1 = 1, lazy = 8 }) }:member(1, 0)
    end, both)
    support.fails("clip is 2, but 1 for net.clip: D can have but one", function()
        points { loss = both(function(net) net.clip(1) end, loss.wasserstein { clip = 2 }) }:member(1, 0)
    end, both)
    fails("net.lazy is missing: a whole number of at least 1 expected", function()
        points { loss = function(net) net.lazy() end }:member(1, 0)
    end)
end

function Refused.test_signals()
    local function refuses(text, signals)
        for _, player in ipairs { "D", "G" } do
            fails(text, function()
                points { loss = function(net)
                    local d, g = loss.hinge {} (net)
                    return d, g, net.update == player and signals(net) or nil
                end }:member(1, 0)
            end)
        end
    end
    refuses("signal 'on_fake': a scalar tensor expected, got one of the shape (8, 1): is :mean() missing?",
        function(net) return { on_fake = net.D(net.fake) } end)
    refuses("signal 'weight': a scalar tensor expected, got 3", function() return { weight = 3 } end)
    refuses("a table of signals { name = scalar, ... }, is the text 'text'", function() return "text" end)
    refuses("a brood.Tensor among its signals", function(net) return { net.fake:mean() } end)
    for _, name in ipairs { "loss", "norm", "fake" } do
        refuses(("a signal '%s'"):format(name), function(net) return { [name] = net.fake:mean() } end)
    end
end

function Refused.test_settings_out_of_range()
    local member = game { d_optimizer = optim.sgd { lr = "lr" }, hyper = { lr = 1 } }:member(1, 0)
    fails("lr is -1", function()
        member:set_hypers { lr = -1 }
        member:train(1)
    end)
end

support.main {
    TestLive = Live, TestSchedules = Schedules, TestMembers = Members, TestNetworks = Networks, TestRefused = Refused,
}
