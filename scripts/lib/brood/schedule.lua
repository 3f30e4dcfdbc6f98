-- Schedules: numbers that follow the steps of a run, wherever a learning rate, a penalty's weight and the like stand.
--
--     lr = schedule.warmup { steps = 500, after = schedule.cosine { from = 2e-4, to = 0, steps = 20000 } }
--
-- A schedule is data: a table of its kind and numbers, which the trainer evaluates before every step. `step` counts
-- the steps that are done, from 0; t = min(step / steps, 1); whatever has reached its end stays there.
--
--     constant     value
--     linear       from + (to - from) t
--     cosine       to + (from - to) (1 + cos(pi t)) / 2           Loshchilov and Hutter 2017, without restarts
--     exponential  from (to / from)^t
--     warmup       from + (to - from) t, and behind it what `after` says, its own steps counted from there
--     piecewise    the value of the last point { step, value } that is reached, of the first before that
--
-- At t = 1 linear, cosine and exponential are `to` itself.
local check = require "brood.check"
local script = require "brood.script"

local schedule = {}
local Schedule = { __metatable = "brood.Schedule" } -- the name errors call it by
Schedule.__index = Schedule

-- ---- what each kind is worth at a step -----------------------------------------------------------------------------

-- Between `from` and `to`, by what `shape` makes of the time t.
local function between(shape)
    return function(self, step)
        local t = step / self.steps
        if t >= 1 then return self.to end
        return shape(self.from, self.to, t)
    end
end

local linear = between(function(from, to, t) return from + (to - from) * t end)

local VALUE = {
    constant = function(self) return self.value end,
    linear = linear,
    cosine = between(function(from, to, t) return to + (from - to) * (1 + math.cos(math.pi * t)) / 2 end),
    exponential = between(function(from, to, t) return from * (to / from) ^ t end),
    warmup = function(self, step)
        if step >= self.steps and self.after then return self.after:at(step - self.steps) end
        return linear(self, step)
    end,
    piecewise = function(self, step)
        local value = self[1][2]
        for _, point in ipairs(self) do
            if point[1] <= step then value = point[2] end
        end
        return value
    end,
}

-- The value when `step` steps are done.
function Schedule:at(step)
    check.value("schedule: step", step, { "number", min = 0 })
    return VALUE[self.kind](self, step)
end

-- The least and the largest value that it ever takes.
function Schedule:range()
    if self.kind == "constant" then return self.value, self.value end
    local low, high
    local function count(value)
        low, high = math.min(low or value, value), math.max(high or value, value)
    end
    for _, point in ipairs(self) do count(point[2]) end
    if self.from then count(self.from) end
    if self.to then count(self.to) end
    if self.after then
        local after_low, after_high = self.after:range()
        count(after_low)
        count(after_high)
    end
    return low, high
end

-- "linear from 0.001 to 0 in 2000 steps"
function Schedule:__tostring()
    if self.kind == "constant" then return ("constant %g"):format(self.value) end
    if self.kind == "piecewise" then
        local parts = {}
        for i, point in ipairs(self) do
            parts[i] = i == 1 and ("piecewise %g"):format(point[2]) or ("%g from step %d"):format(point[2], point[1])
        end
        return table.concat(parts, ", ")
    end
    local text = ("%s from %g to %g in %d steps"):format(self.kind, self.from, self.to, self.steps)
    return self.after and ("%s, then %s"):format(text, self.after) or text
end

-- ---- making them ---------------------------------------------------------------------------------------------------

local function is_schedule(value)
    return getmetatable(value) == Schedule.__metatable
end

local function new(kind, fields)
    fields.kind = kind
    return setmetatable(fields, Schedule)
end

local NUMBER = { "number", required = true }
local STEPS = { "number", integer = true, min = 1, required = true }

function schedule.constant(value)
    return new("constant", { value = check.value("schedule.constant", value, NUMBER) })
end

local function moving(kind)
    return function(given)
        return new(kind, check.fields("schedule." .. kind, given, { from = NUMBER, to = NUMBER, steps = STEPS }))
    end
end

schedule.linear = moving "linear"
schedule.cosine = moving "cosine"

function schedule.exponential(given)
    local made = moving "exponential"(given)
    if made.from * made.to > 0 then return made end
    local message = "schedule.exponential: from and to must be both above or both below 0, got %g and %g"
    script.fail(message:format(made.from, made.to))
end

-- From `from` (0) to `to` (where `after` begins), and on as `after`, another schedule, says.
function schedule.warmup(given)
    local fields = check.fields("schedule.warmup", given, {
        from = { "number", default = 0 },
        to = { "number" },
        steps = STEPS,
        after = { "schedule", is = is_schedule },
    })
    if not fields.to and not fields.after then
        script.fail "schedule.warmup: to is missing: a number expected, or else `after`, whose first value it then is"
    end
    fields.to = fields.to or fields.after:at(0)
    return new("warmup", fields)
end

local function is_point(value)
    return type(value) == "table" and #value == 2 and math.tointeger(value[1]) and value[1] >= 0
        and type(value[2]) == "number" and value[2] == value[2] and math.abs(value[2]) < math.huge
end

-- schedule.piecewise { {0, 1e-3}, {1000, 5e-4} }: 1e-3 until step 1000.
function schedule.piecewise(given)
    local fields = check.fields("schedule.piecewise", given, { { "point { step, value }", is = is_point } })
    if #fields == 0 then script.fail "schedule.piecewise: at least one point { step, value } expected" end
    for i, point in ipairs(fields) do
        fields[i] = { math.tointeger(point[1]), point[2] }
        if i > 1 and fields[i][1] <= fields[i - 1][1] then
            script.fail(("schedule.piecewise: step %d of point %d does not come after the step before, %d"):format(
                fields[i][1], i, fields[i - 1][1]))
        end
    end
    return new("piecewise", fields)
end

-- ---- for the constructors that take schedules ----------------------------------------------------------------------

schedule.is = is_schedule

-- A rule for check.fields: a number from `min` (and up to `max`), the name of a hyperparameter, or a schedule that
-- keeps to the bounds.
function schedule.number(min, max) return { "number", min = min, max = max, live = true } end

for _, name in ipairs { "constant", "linear", "cosine", "exponential", "warmup", "piecewise" } do
    schedule[name] = check.constructor(schedule[name])
end

return check.module("schedule", schedule)
