-- The fields of an experiment: what they may be, and what must go together.
local check = require "brood.check"
local layer = require "brood.nn.layer"
local loss = require "brood.loss"
local members = require "brood.member"
local optim = require "brood.optim"
local pbt = require "brood.pbt"
local schedule = require "brood.schedule"
local script = require "brood.script"

local fields = {}

local function is_a(class)
    return function(value) return getmetatable(value) == class end
end

local function is_callable(value)
    if type(value) == "function" then return true end
    local meta = getmetatable(value)
    return type(value) == "table" and (meta == "brood.Loss" or type(meta) == "table" and meta.__call ~= nil)
end

local FUNCTION = { "function", is = is_callable }
local OPTIMIZER = { "optimizer, such as optim.adam {},", is = optim.is }

-- Layers can be called, too, but not with h.
local NETWORK = {
    "function(h) that returns a layer",
    is = function(value) return is_callable(value) and not layer.is(value) end,
    hint = function(value)
        if not layer.is(value) then return "" end
        return (", nn.%s: write function() return nn.%s { ... } end"):format(value.kind, value.kind)
    end,
}

-- The name of a function of the library, which makes losses or is a part of them: "loss.hinge".
local function part_of_library(value)
    for _, name in ipairs(check.names(loss)) do
        if loss[name] == value then return "loss." .. name end
    end
end

local LOSS = {
    "loss, such as loss.hinge {}, or a function(net),",
    is = function(value) return is_callable(value) and not part_of_library(value) end,
    hint = function(value)
        local name = part_of_library(value)
        return name and (", %s: write %s {}"):format(name, name) or ""
    end,
}

local function rule(name, example)
    local makers = {} -- as pbt.tournament is, which was to be called
    for _, maker in pairs(pbt) do makers[maker] = true end
    return { ("rule such as %s {}, or a function,"):format(example), is = function(value)
        return type(value) == "function" and not makers[value] or pbt.is_rule(value) == name
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

local function is_table_of_functions(value)
    if type(value) ~= "table" then return false end
    for _, element in pairs(value) do
        if type(element) ~= "function" then return false end
    end
    return true
end

local CONTROLS = { "off", "random-search", "random-fitness", "weights-only", "hypers-only", "no-explore", "explore-only" }

local FIELDS = {
    name = { "string", required = true },
    data = { "data set, such as data.digits {},", is = is_a "brood.Dataset" }, -- none: the loss makes up what is real
    latent = { "number", integer = true, min = 1, default = 64 },
    batch = { "number", integer = true, min = 1, default = 64 },
    generator = NETWORK,      -- function(h) returns a layer: latent vectors (n, latent) → images
    discriminator = NETWORK,  -- function(h) returns a layer: images → a number each
    loss = LOSS,
    members = { "member, such as pbt.member {} or pbt.program {},", is = members.is }, -- in the place of those three
    augment = { "function", is = is_callable }, -- of what the discriminator sees: brood.augment {}
    g_optimizer = OPTIMIZER,
    d_optimizer = OPTIMIZER,
    d_steps = { "number", integer = true, min = 1, live = true }, -- updates of D in a step
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
    rules = { "table of functions", is = is_table_of_functions }, -- that a schedule sets run.exploit or run.explore to
    schedule = { "function" },                       -- schedule(run), after each round: population.lua tells
    burn_in = { "number", integer = true, min = 0, default = 0 }, -- steps before the first exploit
    recombine = { "boolean" },                       -- G and D from a donor each
    mode = { "string", choices = { "synchronous", "asynchronous" }, default = "synchronous" },
    control = { "string", choices = CONTROLS, default = "off" },
    initial = { "list of tables of hyperparameters, one a member,", is = is_list_of(is_table) }, -- but those of `from`
    replay = { "schedule, as `brood show RUN --schedule` prints it,", is = is_list_of(is_table) },
    report_best = { "number", integer = true, min = 0, default = 0 }, -- report scores of so many best ones; 0: of all
    keep_best = { "number", integer = true, min = 1, default = 1 },  -- states of the best scores ever
    keep_every = { "number", integer = true, min = 0, default = 0 }, -- and those of every n-th round
    seed = { "number", integer = true, min = 0, default = 1 },
    from = { "string" }, -- start with the members of this run (RUN or RUN@ROUND), its best if it has more; or with this state
}

fields.rules = FIELDS

-- ---- what must go together ---------------------------------------------------------------------------------------------

-- Plain numbers are constants.
function fields.space_of(hyper)
    local space = {}
    for _, name in ipairs(check.names(hyper)) do
        local value = hyper[name]
        if name == "steps" then script.fail "experiment: hyper.steps: a schedule's steps are called so: give another name" end
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
function fields.apply_overrides(given, overrides)
    if not overrides then return given end
    local changed = {}
    for key, value in pairs(given) do changed[key] = value end
    require("brood.override").apply(changed, overrides, FIELDS, fields.usual)
    return changed
end

-- Optimizers and rules that are not given.
function fields.usual(name, given)
    if name == "exploit" then return (given.population or 1) > 1 and pbt.truncation {} or pbt.none {} end
    if name == "explore" then return pbt.perturb {} end
    if name:find "_optimizer$" and not given.members then return { kind = "adam", lr = 2e-4, beta1 = 0.5 } end
end

local OF_GANS = {
    "generator", "discriminator", "loss", "data", "latent", "batch", "augment", "g_optimizer", "d_optimizer", "d_steps",
    "update", "fake", "conditional", "ema", "ema_warmup",
}

-- A GAN, or a member of another kind, which reads none of a GAN's fields; `given` is what the script has.
function fields.check_kind(self, given)
    for _, name in ipairs(self.members and OF_GANS or {}) do
        if given[name] then script.fail(("experiment: %s: the members are no GANs, and nothing reads it"):format(name)) end
    end
    for _, name in ipairs(self.members and {} or { "generator", "discriminator", "loss" }) do
        check.value("experiment: " .. name, self[name], FIELDS[name])
    end
end

local REPLAY_ROUNDS = 1000000 -- more than there are: the schedule's end ends it

-- One member goes through a schedule, whatever else the experiment says of populations.
function fields.check_replay(self)
    if not self.replay then return end
    if #self.replay == 0 then script.fail "experiment: replay: the schedule is empty" end
    for i, entry in ipairs(self.replay) do
        local what = ("experiment: replay[%d]"):format(i)
        check.value(what .. ".steps", entry.steps, { "number", integer = true, min = 1 })
        for _, name in ipairs(check.names(self.space)) do
            if entry[name] == nil then script.fail(("%s: %s is missing"):format(what, name)) end
        end
        for _, name in ipairs(check.names(entry)) do
            if name ~= "steps" and not self.space[name] then
                script.fail(("%s: there is no hyperparameter '%s'%s"):format(what, name, check.hint(name,
                    check.names(self.space))))
            end
        end
    end
    self.population, self.exploit, self.control, self.schedule = 1, pbt.none {}, "off", nil
    self.mode, self.rounds = "synchronous", REPLAY_ROUNDS
end

-- Nothing but its name tells in a run what a report is.
local function check_report_names(report)
    local taken = {}
    for _, score in ipairs(report) do
        if taken[score.name] then
            script.fail(("experiment: report: two scores are called '%s': give one of them another name, by its option"
                .. " name"):format(score.name))
        end
        taken[score.name] = true
    end
end

-- Where there are no rounds that all make together, none can be shorter: steps are so many rounds.
local function count_rounds(self)
    if self.mode ~= "asynchronous" or not self.steps then return end
    if self.steps % self.interval ~= 0 then
        script.fail(("experiment: steps (--steps): a multiple of the interval, %d, expected, since the last round of an"
            .. " asynchronous run is no shorter than others, got %d"):format(self.interval, self.steps))
    end
    self.rounds, self.steps = math.min(self.rounds, self.steps // self.interval), nil
end

function fields.check_population(self)
    fields.check_replay(self)
    count_rounds(self)
    local copies = self.population > 1
    for _, name in ipairs { "exploit", "explore" } do self[name] = self[name] or fields.usual(name, self) end
    local compares = pbt.is_rule(self.exploit) and self.exploit.kind ~= "none" and self.control ~= "random-search"
    if copies and compares and not self.select and not self.members then
        script.fail("experiment: select is missing: the score that exploit compares, such as metric.classifier_score {};"
            .. " with exploit = pbt.none {} members go on without being compared")
    end
    check_report_names(self.report or {})
    for _, name in ipairs { "select", "report" } do
        if self[name] and self.members then script.fail(("experiment: %s: the member scores itself"):format(name)) end
    end
    if (self.select or self.report) and not self.data and not self.members then
        script.fail "experiment: select, report: there is no data to compare images with"
    end
end

return fields
