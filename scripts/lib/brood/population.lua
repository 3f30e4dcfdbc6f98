-- A population of an experiment's members in training.
--
--     local run = experiment:begin { seed = 3 }       -- in memory; with directory = ..., kept there
--     run:go()                                              -- all rounds: "finished" or "stopped"
--     for _, member in ipairs(run.members) do print(member.slot, member.score) end
--     run:close()
--
-- A schedule, schedule(run), is called after each round with the same thing. It reads run.round, run.rounds, run.seed,
-- run.members (tables: pbt.lua tells), and keeps what it has to remember in run.state, plain data. It may set
-- run.interval, run.exploit, run.explore, run.state, and call
--     run:stop()             this round was the last           run:fork(from, into)   `into` becomes a copy of `from`
--     run:pin(member)        never overwritten, state kept     run:add(n)             new members
--     run:set(member, h)     other hyperparameters             run:drop(member)       a member goes
-- Functions that run.exploit and run.explore are set to stand in the experiment's `rules`, so that a run which is resumed
-- finds them.
local check = require "brood.check"
local core = require "brood.population.core"
local files = require "brood.files"
local members = require "brood.member"
local plain = require "brood.plain"
local script = require "brood.script"

local population = {}

-- ---- rules ---------------------------------------------------------------------------------------------------------

-- The functions that rules may be, each with the number it goes by in the store: the experiment's own, then those in
-- `rules`, in order of name.
local function known_functions(experiment)
    local list, token_of = {}, {}
    local function know(f)
        if type(f) ~= "function" or token_of[f] then return end
        list[#list + 1] = f
        token_of[f] = #list
    end
    know(experiment.exploit)
    know(experiment.explore)
    for _, name in ipairs(check.names(experiment.rules or {})) do know(experiment.rules[name]) end
    return list, token_of
end

-- A rule as the core takes it.
local function rule_of(what, rule, token_of)
    if type(rule) == "function" then
        if not token_of[rule] then
            script.fail(("run.%s: the function must stand in the experiment's field `rules`, so that a resumed run finds it")
                :format(what))
        end
        return { kind = "callback", token = token_of[rule] }
    end
    if type(rule) ~= "table" or rule.rule ~= what then
        script.fail(("run.%s: a rule such as %s {}, or a function, expected, got %s"):format(what,
            what == "exploit" and "pbt.truncation" or "pbt.perturb", check.describe(rule)))
    end
    return rule
end

-- ---- what scripts call `run` ---------------------------------------------------------------------------------------

local Run = {}

-- Steps that a member still has to make where their number is fixed, by `steps` or by a replay; else nil.
local function steps_left(self)
    local total = self.experiment.steps
    for _, entry in ipairs(self.experiment.replay or {}) do total = (total or 0) + entry.steps end
    if not total then return nil end
    local made = 0
    for _, member in ipairs(self.core:members()) do made = math.max(made, member.steps) end
    return math.max(0, total - made)
end

local READ = {
    round = function(self) return self.core and self.core:round() or 0 end,
    interval = function(self) return self.core:interval() end,
    share = function(self) return self.core:share() end, -- of the present round's training that is done
    members = function(self) return self.core:members() end,
    scored = function(self) return self.core:scored() end, -- as they were before anybody copied
    planned = function(self) -- rounds, as far as that is known
        local rest = steps_left(self)
        return rest and self.core:round() + math.ceil(rest / self.core:interval()) or self.rounds
    end,
    stopped = function(self) return self.core:stopped() end,
}

local WRITE = {
    interval = function(self, steps)
        self.core:set_interval(check.value("run.interval", steps, { "number", integer = true, min = 1 }))
    end,
    exploit = function(self, rule) self.core:set_exploit(rule_of("exploit", rule, self.token_of)) end,
    explore = function(self, rule) self.core:set_explore(rule_of("explore", rule, self.token_of)) end,
    state = function(self, value) self.kept.state = value end,
}

local FIELDS = { "round", "rounds", "planned", "scored", "share", "interval", "members", "state", "seed", "experiment",
    "directory", "stop", "stopped", "pin", "fork", "add", "drop", "set", "go", "extend", "close", "gan", "signals", "facts",
    "scores" }

local meta = {
    __name = "brood.Run",
    __index = function(self, name)
        if Run[name] then return Run[name] end
        local fields = rawget(self, "fields")
        if name == "state" then return fields.kept.state end
        if READ[name] then return READ[name](fields) end
        if fields[name] ~= nil then return fields[name] end
        if name == "directory" or name == "scores" or name == "going" then
            return nil
        end
        if WRITE[name] then script.fail(("run.%s: it can be set, not read"):format(name)) end
        script.fail(("run has no '%s'%s"):format(tostring(name), check.hint(name, FIELDS)))
    end,
    __newindex = function(self, name, value)
        local fields = rawget(self, "fields")
        if not WRITE[name] then
            script.fail(("run.%s: nothing can be assigned to it%s"):format(tostring(name),
                check.hint(name, check.names(WRITE))))
        end
        WRITE[name](fields, value)
    end,
    __close = function(self) self:close() end,
}

local function number_of(what, member)
    if type(member) == "table" then member = member.slot end
    return check.value(what, member, { "number of a member", is = function(v) return math.type(v) == "integer" end })
end

function Run:stop() self.core:stop() end
function Run:pin(member) self.core:pin(number_of("run:pin", member)) end
function Run:fork(from, into) self.core:fork(number_of("run:fork: from", from), number_of("run:fork: into", into)) end
function Run:add(count) self.core:add(count == nil and 1 or count) end
function Run:drop(member) self.core:drop(number_of("run:drop", member)) end
-- Those that are not given stay as they are.
function Run:set(member, values)
    local slot, all = number_of("run:set", member), {}
    check.value("run:set: hyperparameters", values, { "table" })
    for _, one in ipairs(self.members) do
        if one.slot == slot then all = one.values end
    end
    for name, value in pairs(values) do all[name] = value end
    self.core:set_values(slot, all)
end
function Run:gan(slot) return self.core:gan(slot) end
function Run:signals(slot) return self.core:signals(slot) end
function Run:close() if self.core then self.core:close() end end

-- So many rounds more than are done, even if it was stopped.
function Run:extend(rounds)
    local experiment = self.experiment
    if experiment.steps or experiment.replay then
        error(("%s: there is no going on: `brood run SCRIPT --from RUN` begins where it ended"):format(experiment.steps
            and ("it was to have %d steps"):format(experiment.steps) or "its schedule ends where it ends"), 0)
    end
    rawget(self, "fields").rounds = self.round + rounds
    if self.stopped then self.core:go_on() end
end

-- Goes on until `rounds` are done in all: "finished", "stopped" or "interrupted". What is asked by `leave` between rounds
-- ends it as interrupted, with the round that is done kept.
function Run:go(rounds, leave)
    rounds = rounds or self.rounds
    local fields = rawget(self, "fields")
    if self.experiment.mode == "asynchronous" then
        fields.going = true -- members train while others are looked at
        local ended = self.core:rounds(rounds)
        fields.going = false
        return ended
    end
    while self.core:round() < rounds do
        local ended = self.core:rounds(self.core:round() + 1)
        if ended ~= "finished" then return ended end
        if leave and self.core:round() < rounds and leave() then return "interrupted" end
    end
    return "finished"
end

-- ---- the table that the core is given ------------------------------------------------------------------------------

local function space_of(experiment)
    local space = {}
    for _, name in ipairs(check.names(experiment.space)) do
        local entry = { name = name }
        for key, value in pairs(experiment.space[name]) do entry[key] = value end
        space[#space + 1] = entry
    end
    return space
end

-- Hyperparameters of a replayed lineage: the entry that holds for each step.
local function replay_at(entries, steps)
    local start = 0
    for _, entry in ipairs(entries) do
        start = start + entry.steps
        if steps < start then return entry, start end
    end
    return entries[#entries], math.huge
end

local function values_of(entry)
    local values = {}
    for name, value in pairs(entry) do
        if name ~= "steps" then values[name] = value end
    end
    return values
end

-- Before the next round of a replay: its values, and no more steps than they hold for.
local function follow_replay(self, run)
    local entries = self.experiment.replay
    if not entries then return end
    local member = self.core:members()[1]
    local entry, stop = replay_at(entries, member.steps)
    if stop == math.huge then return run:stop() end
    self.core:set_values(member.slot, values_of(entry))
    self.core:set_interval(math.min(stop - member.steps, self.experiment.interval))
end

-- No member makes more steps than the experiment's `steps`.
local function count_steps(self, run)
    local most = self.experiment.steps
    if not most then return end
    local made = 0
    for _, member in ipairs(self.core:members()) do made = math.max(made, member.steps) end
    if made >= most then
        run:stop()
    elseif made + self.core:interval() > most then
        self.core:set_interval(most - made)
    end
end

local function scheduled(self, run)
    local experiment = self.experiment
    if not (experiment.schedule or experiment.steps or experiment.replay) then return nil end
    return function()
        follow_replay(self, run)
        if experiment.schedule then experiment.schedule(run) end
        count_steps(self, run)
    end
end

local function put_rules(spec, self)
    local experiment = self.experiment
    spec.exploit_rule = rule_of("exploit", experiment.exploit, self.token_of)
    spec.explore_rule = rule_of("explore", experiment.explore, self.token_of)
    if next(self.functions) then
        spec.exploit = function(token, ...)
            local f = self.functions[token]
            return f(...), check.place(f) -- which errors name
        end
        spec.explore = spec.exploit
    end
    spec.burn_in, spec.recombine = experiment.burn_in, experiment.recombine
    spec.asynchronous = experiment.mode == "asynchronous"
end

-- Members are GANs, functions or programs.
local function put_members(spec, self, scoring)
    local experiment = self.experiment
    if not experiment.members then
        spec.kind, spec.signals = "gan", experiment:signals()
        spec.make = self.make
        for name, value in pairs(scoring or {}) do spec[name] = value end
        return
    end
    spec.kind = experiment.members.member
    spec.reports = experiment.members.reports
    if spec.kind == "program" then
        spec.command, spec.time_limit = experiment.members.command, experiment.members.time_limit
        spec.step_limit = experiment.members.step_limit
        spec.working_directory = experiment.folder
    else
        for name, call in pairs(members.calls(experiment.members, self.seed)) do spec[name] = call end
    end
end

-- What is kept with each round, apart from what the core keeps.
local function memory_of(self)
    for path, hash in pairs(script.modules()) do self.modules[path] = hash end
    local memory = { state = self.kept.state, rounds = self.rounds, modules = self.modules }
    local fine, text = pcall(plain.encode, memory, "run")
    local schedule = self.experiment.schedule
    if not fine then error(schedule and ("%s: the schedule: %s"):format(check.place(schedule), text) or text, 0) end
    return text
end

-- Modules that the script had loaded must be what they were; those that are gone are missed when they are loaded.
local function recall(self, memory)
    self.kept.state, self.rounds, self.modules = memory.state, memory.rounds, memory.modules or {}
    for path, hash in pairs(self.modules) do
        if files.kind(path) == "file" and files.hash(path) ~= hash then
            self.core:close()
            error(("%s: this module has changed since the run began: undo the change, or begin a new run from where"
                .. " this one is: brood run SCRIPT --from %s"):format(path, self.directory), 0)
        end
    end
end

local OPTIONS = {
    seed = { "number", integer = true, min = 0 },
    control = { "string" },
    workers = { "number", integer = true, min = 1 },
    directory = { "string" },
    from = { "string" },
    from_round = { "number", integer = true, min = 0 },
    resume = { "boolean" },
    whole = { "boolean" },    -- resume from the last round whose states are whole
    order = { "table" },      -- of an asynchronous run's ready moments, to make it again
    facts = { "table" },      -- more facts for the store
    start = { "string" },     -- a state file that all members begin with; needed on resuming, too
    progress = { "function" }, -- progress(run, "training", "ready" or "round", member's number)
    interrupted = { "function" },
}

-- Members of another run have values of their own.
local function initial_of(experiment, options)
    if experiment.replay then return { values_of(experiment.replay[1]) } end
    return not options.from and experiment.initial or nil
end

-- What is wrong with initial values is wrong in the script, which may have come to its end.
local function new_core(experiment, spec, options)
    local fine, result = pcall(core.new, spec, options.resume, options.whole)
    if fine then return result end
    local of_script = type(result) == "string" and result:find "^initial"
    error(of_script and ("experiment (%s): %s"):format(experiment.line, result) or result, 0)
end

-- A run of the experiment; experiment:begin { ... }.
function population.new(experiment, given)
    local options = check.fields("experiment:begin", given, OPTIONS)
    local functions, token_of = known_functions(experiment)
    local self = {
        experiment = experiment, seed = options.seed or experiment.seed, directory = options.directory,
        rounds = experiment.rounds, kept = { state = {} }, modules = {}, functions = functions, token_of = token_of,
    }
    local run = setmetatable({ fields = self }, meta)
    function self.make(slot, values)
        local member, shape = experiment:member(self.seed, slot, values)
        if options.start then member:load(options.start) end
        return member, shape
    end
    if options.start then experiment:member(self.seed, 0):load(options.start) end -- may be of no use
    local scoring = experiment:scoring(self.seed)
    self.scores = scoring and scoring.told
    self.facts = experiment:facts(scoring)
    local spec = {
        space = space_of(experiment), seed = self.seed, population = experiment.population,
        interval = experiment.replay and math.min(experiment.interval, experiment.replay[1].steps) or experiment.interval,
        initial = initial_of(experiment, options),
        control = options.control or experiment.control, workers = options.workers, directory = options.directory,
        from = options.from, from_round = options.from_round, order = options.order,
        report_best = experiment.report_best, keep_best = experiment.keep_best, keep_every = experiment.keep_every,
        schedule = scheduled(self, run), interrupted = options.interrupted,
        remember = function() return memory_of(self) end,
        progress = options.progress and function(moment, slot) options.progress(run, moment, slot) end,
        facts = table.move(options.facts or {}, 1, #(options.facts or {}), #self.facts + 1, self.facts),
    }
    if experiment.steps then spec.interval = math.min(spec.interval, experiment.steps) end
    put_rules(spec, self)
    put_members(spec, self, scoring)
    self.core = new_core(experiment, spec, options)
    local memory = plain.decode(self.core:memory())
    if memory then recall(self, memory) end
    return run
end

return population
