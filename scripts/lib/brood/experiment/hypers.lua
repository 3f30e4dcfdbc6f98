-- How an experiment's hyperparameters are used: each is read by a network or a loss, or stands for one of the numbers
-- of the players; and whatever it may become is what a number in its place may be.
local check = require "brood.check"
local fields = require "brood.experiment.fields"
local graph = require "brood.graph"
local overrides = require "brood.override"
local schedule = require "brood.schedule"
local script = require "brood.script"

local hypers = {}

hypers.CLIP = schedule.number(0) -- what net.clip may be given

local function fail(self, message, ...)
    script.fail(("experiment (%s): %s"):format(self.line, message:format(...)))
end

-- ---- where they are used ------------------------------------------------------------------------------------------

-- The numbers of a player: the settings of its optimizer, and what bounds its parameters.
local function add_player(add, spec)
    for _, setting in ipairs(check.names(spec.optimizer)) do
        local value = setting ~= "kind" and spec.optimizer[setting]
        local what = ("%s_optimizer: %s"):format(spec.name:lower(), setting)
        add(value, { what = what, optimizer = spec.optimizer.kind, setting = setting })
    end
    add(spec.clip, { what = spec.clip_of, rule = hypers.CLIP })
end

-- A list of uses { name =, what =, rule = } or { name =, what =, optimizer =, setting = }; `what` is for errors. What
-- scripts read for themselves has no rule: any number will do.
local function uses_of(self, players)
    local uses = {}
    local function add(name, use)
        if type(name) ~= "string" then return end
        use.name = name
        uses[#uses + 1] = use
    end
    for _, read in ipairs(self.registry.hyperparameters) do
        add(read.name, {})
        for _, use in ipairs(read.uses) do add(read.name, { what = use.what, rule = use.rule }) end
    end
    for _, spec in ipairs(players) do add_player(add, spec) end
    for _, name in ipairs { "d_steps", "ema" } do add(self[name], { what = name, rule = fields.rules[name] }) end
    for name in pairs(self.read) do add(name, {}) end
    return uses
end

-- ---- whether all are, and none else -------------------------------------------------------------------------------

local function check_names(self, used)
    for _, name in ipairs(check.names(used)) do
        if self.space[name] and self.space[name].structural and not self.read[name] then
            fail(self, "hyper.%s is structural: only generator(h) and discriminator(h) see it, as h.%s", name, name)
        end
        if self.hyper[name] == nil then
            local hint = check.hint(name, check.names(self.hyper))
            fail(self, "hyperparameter '%s' is used, but not in hyper%s", name, hint)
        end
    end
    for _, name in ipairs(check.names(self.hyper)) do
        if not used[name] then
            overrides.check_read(self.overrides, name)
            fail(self, "nothing reads hyper.%s%s", name, check.hint(name, check.names(used)))
        end
    end
end

-- ---- what they may become -----------------------------------------------------------------------------------------

-- The ends of its range, or all options.
local function values_of(hyper) return hyper.numbers or hyper.labels or { hyper.low, hyper.high } end

-- The rule for a number that a script writes itself.
local function plain(rule)
    local other = {}
    for key, value in pairs(rule) do other[key] = value end
    other.live = nil
    return other
end

-- The engine knows what an optimizer's numbers may be.
local function check_setting(self, what, use, value)
    local fine, message = pcall(graph[use.optimizer], { [use.setting] = value })
    if not fine then fail(self, "%s: %s", what, message:match(use.optimizer .. ": .*$") or message) end
end

local function check_range(self, use)
    local hyper = self.space[use.name]
    local what = ("hyper.%s, %s, stands in %s"):format(use.name, hyper, use.what)
    if use.rule and use.rule.integer and hyper.kind:find "uniform$" then
        fail(self, "%s: whole numbers expected, to which it would be rounded: make it pbt.integer(low, high)", what)
    end
    for _, value in ipairs(values_of(hyper)) do
        if use.rule then
            check.value(("experiment (%s): %s"):format(self.line, what), value, plain(use.rule))
        elseif use.optimizer then
            check_setting(self, what, use, value)
        end
    end
end

-- For a shape and its players, before they become a model.
function hypers.check(self, players)
    local uses, used = uses_of(self, players), {}
    for _, use in ipairs(uses) do used[use.name] = true end
    check_names(self, used)
    for _, use in ipairs(uses) do check_range(self, use) end
end

return hypers
