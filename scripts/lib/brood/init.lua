-- Brood's Lua library: local brood = require "brood".
local graph = require "brood.graph"
local script = require "brood.script"

-- Modules that are loaded when they are first used: brood.nn is require "brood.nn".
local MODULES = { "nn", "context", "loss", "optim", "schedule", "augment", "data", "metric", "pbt" }

local brood = {
    -- Of C, so that `return brood.experiment { ... }` leaves the script's line to be found.
    experiment = script.constructor(function(fields) return require("brood.experiment").new(fields) end),
    graph = graph, -- symbolic tensors, gradients, programs
    grad = graph.grad,
    modules = MODULES,
}

return setmetatable(brood, {
    __tostring = function() return "brood: experiment, grad, graph, " .. table.concat(MODULES, ", ") end,
    __index = function(_, name)
        for _, module in ipairs(MODULES) do
            if module == name then
                brood[name] = require("brood." .. name)
                return brood[name]
            end
        end
        local near = script.nearest(tostring(name), { "graph", "grad", table.unpack(MODULES) })
        script.fail(("brood has no '%s'%s"):format(tostring(name), near and (": did you mean '%s'?"):format(near) or ""))
    end,
})
