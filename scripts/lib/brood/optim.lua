-- Optimizers: which one trains a player, and with what numbers.
--
--     g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 }
--     d_optimizer = optim.sgd { lr = schedule.linear { from = 0.1, to = 0, steps = 5000 }, momentum = 0.9 }
--
-- An optimizer is data: a table of its kind and of the settings that were given. Every number may be the name of a
-- hyperparameter or a schedule: it is live, and what is changed counts from the next step on.
local check = require "brood.check"
local graph = require "brood.graph"
local schedule = require "brood.schedule"

local optim = {}

local made = setmetatable({}, { __mode = "k" }) -- the optimizers

-- The settings as the engine is to check them, each schedule at its least or its largest value: the ranges are
-- written down once, in the engine.
local function sample(settings, extreme)
    local numbers = {}
    for name, value in pairs(settings) do
        if schedule.is(value) then value = select(extreme, value:range()) end
        numbers[name] = value
    end
    return numbers
end

-- Errors name the line of the script that made it.
local function describe(kind, given, rules)
    local settings = check.fields("optim." .. kind, given, rules)
    settings.clip_norm, settings.clip = settings.clip, nil -- as the engine calls it
    for extreme = 1, 2 do graph[kind](sample(settings, extreme)) end
    settings.kind, made[settings] = kind, true
    return settings
end

local function rules(more)
    local number = schedule.number()
    local all = { lr = number, weight_decay = number, clip = number }
    for _, name in ipairs(more) do all[name] = number end
    return all
end

local ADAM = rules { "beta1", "beta2", "epsilon" }
local SGD = rules { "momentum" }
SGD.nesterov = { "boolean" }
local RMSPROP = rules { "decay", "epsilon", "momentum" }

-- Common to all three: lr, the learning rate; weight_decay, decoupled (Loshchilov and Hutter 2017); clip, the global
-- norm down to which gradients are scaled. gan/optimizer.h has the formulas, and the numbers that hold when none is
-- given.

-- Adam (Kingma and Ba 2014): lr (1e-3), beta1 (0.9), beta2 (0.999), epsilon (1e-8).
function optim.adam(given) return describe("adam", given, ADAM) end

-- Gradient descent: lr (1e-2), momentum (0), nesterov (false).
function optim.sgd(given) return describe("sgd", given, SGD) end

-- RMSProp: lr (1e-3), decay of the mean square (0.99), epsilon (1e-8), momentum (0).
function optim.rmsprop(given) return describe("rmsprop", given, RMSPROP) end

for name, constructor in pairs(optim) do optim[name] = check.constructor(constructor) end

-- Whether a value is what one of them made: others were never checked.
function optim.is(value) return made[value] == true end

return check.module("optim", optim)
