-- What an experiment's members are scored by, and what the run store is told of it.
local check = require "brood.check"

local scoring = {}

-- Report scores of the best members alone have a scorer of their own, which works without Lua.
local function separate_reports(self)
    if self.report_best == 0 or not self.select or #self.report == 0 then return false end
    for _, score in ipairs(self.report) do
        if score.finish then return false end
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
        scorer = scorer, reporter = reporter, sign = sign, reports = reports, told = told,
        finish = finish and function(values, deviations)
            values, deviations = finish(values, deviations)
            values[1] = sign * values[1]
            return values, deviations
        end,
    }
end

-- What members are scored by, as a population takes it; `told` says of each score what there is to say. Trains the
-- classifiers, if they are not kept. nil: the members score themselves, or are not compared.
function scoring.of(self, seed)
    if not self.select and #self.report == 0 then return nil end
    self.scorings[seed] = self.scorings[seed] or new_scoring(self, seed)
    return self.scorings[seed]
end

local ENDLESS = 1000000 -- rounds of a run that its steps end

-- Rounds that the run is to have; nil where nobody knows. An entry of a replay ends in a round's end.
local function planned_rounds(self)
    local rounds = self.replay and 0 or self.rounds
    for _, entry in ipairs(self.replay or {}) do rounds = rounds + math.ceil(entry.steps / self.interval) end
    if self.steps then rounds = math.min(rounds, math.ceil(self.steps / self.interval)) end
    return rounds < ENDLESS and rounds or nil
end

local function exact(number) return number and ("%.17g"):format(number) or nil end

local SPREAD_IMAGES = 64 -- as many as there are in the batch whose spread is a signal

-- How much real images or points differ, which is what the spread of generated ones is compared with.
local function real_spread(self)
    if self:makes() == "numbers" or not self.data then return nil end
    return require("brood.image").spread(self.data:samples(1, math.min(SPREAD_IMAGES, self.data:count())))
end

-- What the command line changed, a line each; nil: nothing.
function scoring.settings(self)
    local set = {}
    for i, override in ipairs(self.overrides or {}) do set[i] = override[1] .. "=" .. override[2] end
    return #set > 0 and table.concat(set, "\n") or nil
end

-- What the store is told of a run, apart from what pbt/ tells by itself.
function scoring.facts(self, by)
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
    fact("rounds", planned_rounds(self), true)
    fact("set", scoring.settings(self), true)
    local told, named = by and by.told or {}, {}
    -- Without one members are only ranked.
    fact("select", self.select and told[1] and told[1].name or self.members and "score" or "none")
    fact("select.better", told[1] and told[1].better or "higher")
    fact("select.honest", told[1] and told[1].honest and "yes" or nil)
    fact("spread", exact(real_spread(self)), true)
    for _, name in ipairs(check.names(self.space)) do
        for i, label in ipairs(self.space[name].labels or {}) do fact(("hyper.%s.label.%d"):format(name, i - 1), label) end
    end
    for i, one in ipairs(told) do
        local sign = i == 1 and by.sign or 1
        local prefix = i == 1 and "" or ("report.%d."):format(i - 1)
        -- On another machine they are others in the last digits: the classifier's hash tells what they mean.
        fact(prefix .. "ceiling", one.ceiling and exact(sign * one.ceiling), true)
        fact(prefix .. "ceiling.deviation", exact(one.ceiling_deviation), true)
        if i > 1 then fact(prefix .. "better", one.better) end
        fact((i == 1 and "select." or prefix) .. "kind", one.kind ~= one.name and one.kind or nil)
        if i > 1 then fact(prefix .. "honest", one.honest and "yes" or nil) end
        if one.classifier and not named[one.role] then
            named[one.role] = true
            fact("classifier." .. one.role, one.classifier)
        end
    end
    return facts
end

return scoring
