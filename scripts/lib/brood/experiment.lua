-- brood.experiment { ... }: what a script returns. It checks the fields, builds the players' programs, and makes members
-- that train: a population of them (pbt.lua, population.lua), or one. Nothing here runs while they do.
--
-- Training programs: the discriminator's update (twice where its penalty is lazy, with and without) and the
-- generator's; and one that samples. Each is a graph of its own; equal names are equal parameters.
local brood = require "brood"
local check = require "brood.check"
local context = require "brood.context"
local data = require "brood.data"
local graph = require "brood.graph"
local members = require "brood.member"
local init = require "brood.nn.initializer"
local model = require "brood.model"
local pbt = require "brood.pbt"
local schedule = require "brood.schedule"
local script = require "brood.script"

local Experiment = {}
Experiment.__index = Experiment
Experiment.__name = "brood.Experiment"

-- ---- fields --------------------------------------------------------------------------------------------------------

local function is_a(class)
    return function(value) return getmetatable(value) == class end
end

local function is_callable(value)
    if type(value) == "function" then return true end
    local meta = getmetatable(value)
    return type(value) == "table" and (meta == "brood.Loss" or type(meta) == "table" and meta.__call ~= nil)
end

local function is_optimizer(value)
    return type(value) == "table" and type(value.kind) == "string"
end

local FUNCTION = { "function", is = is_callable }
local OPTIMIZER = { "optimizer, such as optim.adam {},", is = is_optimizer }

local function rule(name, example)
    return { ("rule such as %s {}, or a function,"):format(example), is = function(value)
        return type(value) == "function" or pbt.is_rule(value) == name
    end }
end

-- Scores know what they are called by; those of members that are no GANs are the members' own.
local function is_score(value) return type(value) == "table" and type(value.better) == "string" end

local function is_list_of(is)
    return function(value)
        if type(value) ~= "table" or getmetatable(value) ~= nil then return false end
        for _, element in ipairs(value) do
            if not is(element) then return false end
        end
        return true
    end
end

local function is_table(value) return type(value) == "table" end

local CONTROLS = { "off", "random-search", "random-fitness", "weights-only", "hypers-only", "no-explore", "explore-only" }

local FIELDS = {
    name = { "string", required = true },
    data = { "data set, such as data.digits {},", is = is_a "brood.Dataset" }, -- none: the loss makes up what is real
    latent = { "number", integer = true, min = 1, default = 64 },
    batch = { "number", integer = true, min = 1, default = 64 },
    generator = FUNCTION,     -- function(h) returns a layer: latent vectors (n, latent) → images
    discriminator = FUNCTION, -- function(h) returns a layer: images → a number each
    loss = FUNCTION,
    members = { "member, such as pbt.member {} or pbt.program {},", is = members.is }, -- in the place of those three
    augment = { "function", is = is_callable }, -- of what the discriminator sees: brood.augment {}
    g_optimizer = OPTIMIZER,
    d_optimizer = OPTIMIZER,
    d_steps = schedule.number(1),
    update = { "string", choices = { "alternating", "simultaneous" }, default = "alternating" },
    fake = { "string", choices = { "fresh", "reuse" }, default = "fresh" },
    conditional = { "boolean" },                     -- labels go to both networks
    ema = schedule.number(0, 1),                     -- decay of the averaged generator, 0.999
    ema_warmup = { "number", min = 0, default = 10 },
    hyper = { "table" }, -- { name = number, or pbt.uniform(low, high) and the like }
    -- the population
    population = { "number", integer = true, min = 1, max = 4096, default = 1 },
    rounds = { "number", integer = true, min = 1, default = 20 },
    interval = { "number", integer = true, min = 1, default = 100 }, -- steps in a round
    steps = { "number", integer = true, min = 1 },   -- of each member, at most: the last round may be shorter
    select = { "score, such as metric.classifier_score {},", is = is_score },     -- what exploit compares
    report = { "list of scores, such as { metric.frechet {} },", is = is_list_of(is_score) }, -- what people are told
    exploit = rule("exploit", "pbt.truncation"),     -- usually pbt.truncation {}, of one member pbt.none {}
    explore = rule("explore", "pbt.perturb"),        -- usually pbt.perturb {}
    rules = { "table of functions", is = is_table }, -- that a schedule sets run.exploit or run.explore to
    schedule = { "function" },                       -- schedule(run), after each round: population.lua tells
    burn_in = { "number", integer = true, min = 0, default = 0 }, -- steps before the first exploit
    recombine = { "boolean" },                       -- G and D from a donor each
    mode = { "string", choices = { "synchronous", "asynchronous" }, default = "synchronous" },
    control = { "string", choices = CONTROLS, default = "off" },
    initial = { "list of tables of hyperparameters, one a member,", is = is_list_of(is_table) },
    replay = { "schedule, as `brood show RUN --schedule` prints it,", is = is_list_of(is_table) },
    report_best = { "number", integer = true, min = 0, default = 0 }, -- report scores of so many best ones; 0: of all
    keep_best = { "number", integer = true, min = 1, default = 1 },  -- states of the best scores ever
    keep_every = { "number", integer = true, min = 0, default = 0 }, -- and those of every n-th round
    seed = { "number", integer = true, min = 0, default = 1 },
    from = { "string" }, -- start with the members of this run (RUN or RUN@ROUND), or with this state file
}

-- Plain numbers are constants.
local function space_of(hyper)
    local space = {}
    for _, name in ipairs(check.names(hyper)) do
        local value = hyper[name]
        if type(value) == "number" then value = pbt.constant(value) end
        if not pbt.is_hyper(value) then
            script.fail(("experiment: hyper.%s: a number, or a range such as pbt.log_uniform(1e-5, 1e-2), expected, got %s")
                :format(name, check.describe(value)))
        end
        space[name] = value
    end
    return space
end

-- What `--set NAME=VALUE` of the command line changes, before anything else is looked at: { { name, text }, ... }.
local function apply_overrides(given, overrides)
    if not overrides then return given end
    local changed = {}
    for key, value in pairs(given) do changed[key] = value end
    for _, override in ipairs(overrides) do require("brood.override")(changed, override, FIELDS) end
    return changed
end

local experiment = {}

-- A GAN, or a member of another kind.
local function check_kind(self)
    for _, name in ipairs { "generator", "discriminator", "loss" } do
        if self.members and self[name] then
            script.fail(("experiment: %s: there is a member, which is no GAN"):format(name))
        elseif not self.members then
            check.value("experiment: " .. name, self[name], { "function", is = is_callable })
        end
    end
end

local REPLAY_ROUNDS = 1000000 -- more than there are: the schedule's end ends it

local function check_replay(self)
    if not self.replay then return end
    if #self.replay == 0 then script.fail "experiment: replay: the schedule is empty" end
    if self.mode == "asynchronous" then script.fail "experiment: replay: it is of rounds, and so synchronous" end
    for i, entry in ipairs(self.replay) do
        check.value(("experiment: replay[%d].steps"):format(i), entry.steps, { "number", integer = true, min = 1 })
    end
    self.population, self.exploit, self.control, self.schedule = 1, pbt.none {}, "off", nil
end

local function check_population(self)
    check_replay(self)
    local copies = self.population > 1
    self.exploit = self.exploit or (copies and pbt.truncation {} or pbt.none {})
    self.explore = self.explore or pbt.perturb {}
    local compares = pbt.is_rule(self.exploit) and self.exploit.kind ~= "none" and self.control ~= "random-search"
    if copies and compares and not self.select and not self.members then
        script.fail("experiment: select is missing: the score that exploit compares, such as metric.classifier_score {};"
            .. " with exploit = pbt.none {} members go on without being compared")
    end
    for _, name in ipairs { "select", "report" } do
        if self[name] and self.members then script.fail(("experiment: %s: the member scores itself"):format(name)) end
    end
    if (self.select or self.report) and not self.data and not self.members then
        script.fail "experiment: select, report: there is no data to compare images with"
    end
end

function experiment.new(given)
    local self = check.fields("experiment", apply_overrides(given, experiment.overrides), FIELDS)
    check_kind(self)
    local adam = { kind = "adam", lr = 2e-4, beta1 = 0.5 }
    self.g_optimizer, self.d_optimizer = self.g_optimizer or adam, self.d_optimizer or adam
    self.d_steps, self.ema, self.hyper = self.d_steps or 1, self.ema or 0.999, self.hyper or {}
    self.space = space_of(self.hyper)
    self.line = script.line()
    check_population(self)
    self.report = self.report or {}
    self.shapes, self.read, self.scorings, self.overrides = {}, {}, {}, experiment.overrides
    self.classes = self.data and #self.data:classes() or 0
    if self.conditional and self.classes == 0 then
        script.fail "experiment: conditional: the data set has no labels"
    end
    return setmetatable(self, Experiment)
end

-- ---- one program being built -----------------------------------------------------------------------------------------

-- What one player's program is built with: a graph, and a context for each network.
local function workshop(self, training, updating)
    local g = graph.new()
    local shared = context.new {
        graph = g, registry = self.registry, seed = false, training = training,
        classes = self.conditional and self.classes or nil,
    }
    local function of(player)
        return shared:with { group = player, path = player, update_statistics = updating == player }
    end
    return { graph = g, assignments = shared.assignments, G = of "G", D = of "D" }
end

-- The shape of a batch: points come without height and width.
local function batch_shape(self, count)
    local height, width, channels = table.unpack(self.data:shape())
    if height == 1 and width == 1 then return { count, channels } end
    return { count, height, width, channels }
end

local function generate(self, shop, z, labels)
    local ctx = shop.G:with { labels = labels or false }
    ctx.path = "G"
    local images = ctx:apply(nil, self.networks.G, z)
    local want = self.data and table.concat(batch_shape(self, z:shape()[1]), ", ")
    local got = table.concat(images:shape(), ", ")
    if want and want ~= got then
        script.fail(("experiment (%s): the generator makes (%s), the data are (%s)"):format(self.line, got, want))
    end
    return images
end

-- What a loss sees: scripts/lib/brood/loss.lua tells.
local function net_for(self, shop, player, penalize)
    local g, batch = shop.graph, self.batch
    local function labels(name) return self.conditional and g:input(name, { batch }) or nil end
    local net = {
        graph = g, batch = batch, classes = self.conditional and self.classes or nil,
        update = player, penalize = penalize,
        real = self.data and g:input("real", batch_shape(self, batch)) or nil,
        real_labels = labels "real_labels", fake_labels = labels "fake_labels",
    }
    function net.number(value) return shop[player]:number(value) end
    function net.G(z, of) return generate(self, shop, z, of or net.fake_labels) end
    function net.D(x, of)
        local ctx = shop.D:with { labels = of or false }
        ctx.path = "D"
        if self.augment then x = self.augment(x, ctx) end
        return ctx:apply(nil, self.networks.D, x)
    end
    net.h = setmetatable({}, { __index = function(_, name) return net.number(name) end })
    if player == "D" and self.fake == "reuse" then
        if not self.data then script.fail("experiment: fake = \"reuse\" needs data") end
        net.fake = g:input("fake", batch_shape(self, batch))
    else
        net.z = g:normal { batch, self.latent }
        net.fake = net.G(net.z)
    end
    return net
end

local function parameters_of(self, shop, player)
    local found = {}
    for _, declared in ipairs(self.registry.parameters) do
        if declared.group == player then found[#found + 1] = shop[player].program.leaves[declared.name] end
    end
    return found
end

local function scalar(value)
    return getmetatable(value) == "brood.Tensor" and #value:shape() == 0
end

-- One player's program, as brood.model takes it.
local function player_program(self, player, penalize)
    local shop = workshop(self, true, player)
    local net = net_for(self, shop, player, penalize)
    local d_loss, g_loss, signals = self.loss(net)
    local loss = player == "D" and d_loss or player == "G" and g_loss
    if not scalar(loss) then
        script.fail(("experiment (%s): the loss gives no scalar for %s: it returns the discriminator's loss, the"
            .. " generator's loss and, if it likes, a table of signals"):format(self.line, player))
    end
    local outputs = { { "loss", loss } }
    for _, name in ipairs(check.names(signals or {})) do
        if player == "D" and scalar(signals[name]) then outputs[#outputs + 1] = { name, signals[name] } end
    end
    local early = player == "G" and self.fake == "reuse" and net.fake or nil
    if early then outputs[#outputs + 1] = { "fake", net.fake } end
    return {
        graph = shop.graph, loss = loss, outputs = outputs, early = early, assign = shop.assignments,
        parameters = parameters_of(self, shop, player),
    }
end

-- ---- the model ---------------------------------------------------------------------------------------------------------

local function player(self, name, optimizer, repeats)
    local lazy = type(self.loss) == "table" and self.loss.lazy or nil
    local spec = player_program(self, name, not (lazy and name == "D"))
    spec.name, spec.group, spec.optimizer, spec.repeats = name, name, optimizer, repeats
    if lazy and name == "D" then spec.penalized, spec.lazy = player_program(self, name, true), lazy end
    if name == "D" and type(self.loss) == "table" then spec.clip = self.loss.clip end
    return spec
end

local function sampler(self)
    local shop = workshop(self, false)
    local z = shop.graph:input("z", { self.batch, self.latent })
    local labels = self.conditional and shop.graph:input("labels", { self.batch }) or nil
    local images = generate(self, shop, z, labels)
    rawset(self, "made", #images:shape())
    return { graph = shop.graph, outputs = { { "images", images } } }
end

-- A hyperparameter is read by a network or loss, or stands for one of the numbers of the players.
local function check_used(self, players)
    local used = {}
    for _, read in ipairs(self.registry.hyperparameters) do used[read.name] = true end
    local function look(value)
        if type(value) == "string" then used[value] = true end
    end
    for _, spec in ipairs(players) do
        for key, value in pairs(spec.optimizer) do
            if key ~= "kind" then look(value) end
        end
        look(spec.repeats)
        look(spec.clip)
    end
    look(self.ema)
    for name in pairs(self.read) do used[name] = true end
    for _, name in ipairs(check.names(used)) do
        if self.space[name] and self.space[name].structural and not self.read[name] then
            script.fail(("experiment (%s): hyper.%s is structural: only generator(h) and discriminator(h) see it, as h.%s")
                :format(self.line, name, name))
        end
        if self.hyper[name] == nil then
            script.fail(("experiment (%s): hyperparameter '%s' is used, but not in hyper%s"):format(self.line, name,
                check.hint(name, check.names(self.hyper))))
        end
    end
    for _, name in ipairs(check.names(self.hyper)) do
        if not used[name] then
            script.fail(("experiment (%s): nothing reads hyper.%s%s"):format(self.line, name,
                check.hint(name, check.names(used))))
        end
    end
end

-- ---- shapes ------------------------------------------------------------------------------------------------------------

-- What a structural hyperparameter is where nobody has drawn it: for `brood check` and the like.
local function usual_value(hyper)
    if hyper.numbers or hyper.labels then return (hyper.numbers or hyper.labels)[1] end
    return hyper.low
end

-- The store knows options that have names by their numbers, from 0.
local function named_value(hyper, value)
    return hyper.labels and type(value) == "number" and hyper.labels[value // 1 + 1 | 0] or value
end

-- Structural ones and constants: what the networks may depend on.
local function fixed_values(self, values)
    local fixed, words = {}, {}
    for _, name in ipairs(check.names(self.space)) do
        local hyper = self.space[name]
        if hyper.structural or hyper.kind == "constant" then
            fixed[name] = named_value(hyper, values and hyper.structural and values[name] or usual_value(hyper))
            if hyper.structural then words[#words + 1] = ("%s=%s"):format(name, fixed[name]) end
        end
    end
    return fixed, table.concat(words, " ")
end

-- The `h` of generator(h).
local function visible(self, fixed)
    return setmetatable({}, {
        __index = function(_, name)
            if fixed[name] == nil and self.space[name] then
                script.fail(("h.%s: it changes while training goes on: give its name, \"%s\", where a number stands;"
                    .. " pbt.structural(...) makes one that shapes networks"):format(name, name))
            elseif fixed[name] == nil then
                script.fail(("h.%s: there is no such hyperparameter%s"):format(tostring(name), check.hint(name,
                    check.names(self.space))))
            end
            self.read[name] = true
            return fixed[name]
        end,
    })
end

-- Hyperparameters that programs read: { name, ... }.
local function live_names(self)
    local names = {}
    for _, name in ipairs(check.names(self.space)) do
        if not self.space[name].structural then names[#names + 1] = name end
    end
    return names
end

-- Names of those that are no constants.
function Experiment:moving()
    local names = {}
    for _, name in ipairs(check.names(self.space)) do
        if self.space[name].kind ~= "constant" then names[#names + 1] = name end
    end
    return names
end

local function build_shape(self, fixed)
    local shape = setmetatable({ registry = context.registry(), number = #self.shapes + 1 }, { __index = self })
    local h = visible(self, fixed)
    shape.networks = { G = self.generator(h), D = self.discriminator(h) }
    local players = { player(shape, "D", self.d_optimizer, self.d_steps), player(shape, "G", self.g_optimizer, 1) }
    local sampling = sampler(shape)
    check_used(shape, players)
    shape.model = model.new {
        data = self.data, batch = self.batch, players = players, sampler = sampling,
        simultaneous = self.update == "simultaneous", reuse = self.fake == "reuse",
        average = "G", average_decay = self.ema, average_warmup = self.ema_warmup,
        hypers = live_names(self), numbers = shape.registry.schedules or {},
    }
    return shape
end

-- Networks and programs for the structural hyperparameters among `values` (nil: some); each built once. A shape is the
-- experiment with registry, networks, model and its number among the shapes.
function Experiment:shape(values)
    if self.members then script.fail(("experiment (%s): the members are no GANs"):format(self.line)) end
    local fixed, key = fixed_values(self, values)
    local shape = self.shapes[key]
    if not shape then
        shape = build_shape(self, fixed)
        self.shapes[key], self.shapes[shape.number] = shape, shape
    end
    return shape
end

function Experiment:build() return self:shape().model end

-- A new member of the population: its own initial weights, its own random streams. Returns the number of its shape, too.
function Experiment:member(seed, slot, values)
    local shape = self:shape(values)
    local initial = {}
    local own = seed * 1000003 + slot
    for _, list in ipairs { shape.registry.parameters, shape.registry.variables } do
        for _, declared in ipairs(list) do initial[declared.name] = init.value(declared, own) end
    end
    local member = shape.model:member(seed, slot, initial)
    local live = {}
    for name, hyper in pairs(self.space) do
        local value = values and values[name] or usual_value(hyper)
        if type(value) == "number" then live[name] = value end
    end
    member:set_hypers(live)
    return member, shape.number
end

-- From now on one member goes through a schedule of hyperparameters: { { steps =, NAME = value, ... }, ... }.
function Experiment:set_replay(entries)
    self.replay = entries
    check_replay(self)
    self.rounds = REPLAY_ROUNDS
end

-- Names of what is seen of a round's steps: the trainer's, then how far fixed images spread.
function Experiment:signals()
    local names = self:build():signals()
    names[#names + 1] = "spread"
    return names
end

-- "images", "points" (of the plane) or "numbers": what the generator makes.
function Experiment:makes()
    if self.members then return "numbers" end
    if self.data then
        local height, width = table.unpack(self.data:shape())
        return height == 1 and width == 1 and "points" or "images"
    end
    return self:shape().made == 4 and "images" or "numbers"
end

-- ---- scores, facts, runs -----------------------------------------------------------------------------------------------

-- Report scores of the best members alone have a scorer of their own, which works without Lua.
local function separate_reports(self)
    if self.report_best == 0 or not self.select or #self.report == 0 then return false end
    for _, score in ipairs(self.report) do
        if score.name == "combine" then return false end
    end
    return true
end

local function new_scoring(self, seed)
    local metric = require "brood.metric"
    local apart, seeded = separate_reports(self), setmetatable({ seed = seed }, { __index = self })
    local scores = { self.select or self.report[1], table.unpack(apart and {} or self.report) }
    scores[1].role = self.select and "selection" or "report"
    if apart then metric.provide_classifiers({ scores[1], table.unpack(self.report) }, seeded) end
    local scorer, finish, told = metric.scorer(scores, seeded)
    local reporter, _, more
    if apart then reporter, _, more = metric.scorer(self.report, seeded) end
    table.move(more or {}, 1, #(more or {}), #told + 1, told)
    local sign = told[1].better == "lower" and -1 or 1
    local reports = {}
    for i = 2, #told do reports[i - 1] = told[i].name end
    return {
        scorer = scorer, reporter = reporter, sign = sign, reports = reports, told = told, raw_finish = finish,
        finish = finish and function(values, deviations)
            values, deviations = finish(values, deviations)
            values[1] = sign * values[1]
            return values, deviations
        end,
    }
end

-- What members are scored by, as a population takes it; `told` says of each score what there is to say. Trains the
-- classifiers, if they are not kept. nil: the members score themselves, or are not compared.
function Experiment:scoring(seed)
    if not self.select and #self.report == 0 then return nil end
    self.scorings[seed] = self.scorings[seed] or new_scoring(self, seed)
    return self.scorings[seed]
end

local function exact(number) return number and ("%.17g"):format(number) or nil end

-- What the store is told of a run, apart from what pbt/ tells by itself.
function Experiment:facts(scoring)
    local facts = {}
    local function fact(name, value, aside)
        if value ~= nil then facts[#facts + 1] = { name = name, value = tostring(value), aside = aside } end
    end
    fact("name", self.name)
    fact("kind", self.members and self.members.member or "gan")
    fact("latent", not self.members and self.latent or nil)
    fact("batch", not self.members and self.batch or nil)
    fact("d_steps", not self.members and type(self.d_steps) ~= "table" and self.d_steps or nil) -- or a schedule
    fact("data", self.data and tostring(self.data) or nil)
    fact("replay", self.replay and require("brood.plain").encode(self.replay) or nil)
    local set = {}
    for i, override in ipairs(self.overrides or {}) do set[i] = override[1] .. "=" .. override[2] end
    fact("set", #set > 0 and table.concat(set, "\n") or nil, true)
    local told, named = scoring and scoring.told or {}, {}
    fact("select", told[1] and told[1].name or self.members and "score" or "none")
    fact("select.better", told[1] and told[1].better or "higher")
    for _, name in ipairs(check.names(self.space)) do
        for i, label in ipairs(self.space[name].labels or {}) do fact(("hyper.%s.label.%d"):format(name, i - 1), label) end
    end
    for i, one in ipairs(told) do
        local sign = i == 1 and scoring.sign or 1
        local prefix = i == 1 and "" or ("report.%d."):format(i - 1)
        fact(prefix .. "ceiling", one.ceiling and exact(sign * one.ceiling))
        fact(prefix .. "ceiling.deviation", exact(one.ceiling_deviation))
        if i > 1 then fact(prefix .. "better", one.better) end
        if one.classifier and not named[one.role] then
            named[one.role] = true
            fact("classifier." .. one.role, one.classifier)
        end
    end
    return facts
end

-- A population in training: population.lua.
function Experiment:begin(options)
    return require("brood.population").new(self, options)
end

-- ---- what people look at -------------------------------------------------------------------------------------------------

-- A network as text: of a plain function there is only the place to show.
local function network_text(network)
    if type(network) ~= "function" then return tostring(network) end
    local place = debug.getinfo(network, "S")
    return ("the function in %s:%d"):format(place.short_src, place.linedefined)
end

local function member_text(member)
    return member.member == "program" and table.concat(member.command, " ") or "functions of the script"
end

-- The networks with their shapes and counts, the data, and what a member takes in memory.
function Experiment:describe()
    if self.members then return ("experiment '%s', members: %s"):format(self.name, member_text(self.members)) end
    local shape = self:shape()
    local stats = shape.model:stats()
    return table.concat({
        ("experiment '%s'"):format(self.name),
        ("data: %s"):format(self.data and tostring(self.data) or "none"),
        "", "generator", network_text(shape.networks.G),
        "", "discriminator", network_text(shape.networks.D),
        "", ("memory: %.1f MB a member, %.1f MB a worker; %.2f GFLOP a step of one update each"):format(
            stats.state_bytes * 1e-6, stats.workspace_bytes * 1e-6, stats.flops * 1e-9),
    }, "\n")
end

Experiment.__tostring = Experiment.describe

experiment.new = check.constructor(experiment.new)
experiment.is = function(value) return getmetatable(value) == Experiment end

return experiment
