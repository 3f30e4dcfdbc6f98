-- brood.experiment { ... }: what a script returns. Its fields are checked (fields.lua), networks and programs are built
-- (shape.lua, model.lua), and members are made that train: a population of them (population.lua), or one. Nothing here
-- runs while they do.
local check = require "brood.check"
local fields = require "brood.experiment.fields"
local init = require "brood.nn.initializer"
local scoring = require "brood.experiment.scoring"
local script = require "brood.script"
local shape = require "brood.experiment.shape"
local text = require "brood.show.text"

local Experiment = {}
Experiment.__index = Experiment
Experiment.__name = "brood.Experiment"

local experiment = {}

function experiment.new(given)
    given = fields.apply_overrides(given, experiment.overrides)
    local self = check.fields("experiment", given, fields.rules)
    fields.check_kind(self, given)
    for _, name in ipairs { "g_optimizer", "d_optimizer" } do self[name] = self[name] or fields.usual(name, self) end
    self.d_steps, self.ema, self.hyper = self.d_steps or 1, self.ema or 0.999, self.hyper or {}
    self.space = fields.space_of(self.hyper)
    self.line = script.line()
    fields.check_population(self)
    self.report = self.report or {}
    self.shapes, self.read, self.scorings, self.overrides = {}, {}, {}, experiment.overrides
    self.classes = self.data and #self.data:classes() or 0
    if self.conditional and self.classes == 0 then
        script.fail "experiment: conditional: the data set has no labels"
    end
    return setmetatable(self, Experiment)
end

-- A function among the fields, as errors call it: "generator (dcgan.lua:9)".
function Experiment:place(name)
    return type(self[name]) == "function" and ("%s (%s)"):format(name, check.place(self[name])) or name
end

-- ---- members -----------------------------------------------------------------------------------------------------------

-- Names of those that are no constants.
function Experiment:moving()
    local names = {}
    for _, name in ipairs(check.names(self.space)) do
        if self.space[name].kind ~= "constant" then names[#names + 1] = name end
    end
    return names
end

-- Networks and model for the structural hyperparameters among `values`.
function Experiment:shape(values) return shape.of(self, values) end

function Experiment:build() return self:shape().model end

-- A new member of the population: its own initial weights, its own random streams. Returns the number of its shape, too.
function Experiment:member(seed, slot, values)
    local made = self:shape(values)
    local initial = {}
    local own = seed * 1000003 + slot
    for _, list in ipairs { made.registry.parameters, made.registry.variables } do
        for _, declared in ipairs(list) do initial[declared.name] = init.value(declared, own) end
    end
    local member = made.model:member(seed, slot, initial)
    local live = {}
    for name, hyper in pairs(self.space) do
        local value = values and values[name] or shape.usual_value(hyper)
        if type(value) == "number" then live[name] = value end
    end
    member:set_hypers(live)
    return member, made.number
end

-- From now on one member goes through a schedule of hyperparameters: { { steps =, NAME = value, ... }, ... }.
function Experiment:set_replay(entries)
    self.replay = entries
    fields.check_replay(self)
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

-- ---- runs --------------------------------------------------------------------------------------------------------------

-- What members are scored by; see scoring.of.
function Experiment:scoring(seed) return scoring.of(self, seed) end

-- What the store is told of a run.
function Experiment:facts(by) return scoring.facts(self, by) end
function Experiment:settings() return scoring.settings(self) end

-- A population in training: population.lua.
function Experiment:begin(options)
    return require("brood.population").new(self, options)
end

-- ---- what people look at -------------------------------------------------------------------------------------------------

-- A network as text: of a plain function there is only the place to show.
local function network_text(network)
    return type(network) == "function" and "the function in " .. check.place(network) or tostring(network)
end

local function member_text(member)
    return member.member == "program" and table.concat(member.command, " ") or "functions of the script"
end

local BYTES, FLOPS = { "kB", "MB", "GB" }, { "kFLOP", "MFLOP", "GFLOP" }

-- The networks with their shapes and counts, the data, and what a member takes in memory.
function Experiment:describe()
    if self.members then return ("experiment '%s', members: %s"):format(self.name, member_text(self.members)) end
    local made = self:shape()
    local stats = made.model:stats()
    return table.concat({
        ("experiment '%s'"):format(self.name),
        ("data: %s"):format(self.data and tostring(self.data) or "none"),
        "", "generator", network_text(made.networks.G),
        "", "discriminator", network_text(made.networks.D),
        "", ("memory: %s a member, %s a worker; %s a step of one update each"):format(
            text.amount(stats.state_bytes * 1e-3, BYTES), text.amount(stats.workspace_bytes * 1e-3, BYTES),
            text.amount(stats.flops * 1e-3, FLOPS)),
    }, "\n")
end

Experiment.__tostring = Experiment.describe

experiment.new = check.constructor(experiment.new)
experiment.is = function(value) return getmetatable(value) == Experiment end

return experiment
