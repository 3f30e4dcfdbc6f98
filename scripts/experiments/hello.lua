-- A first taste: a small network learns to draw sin(x), and its loss falls.
--     brood lua scripts/experiments/hello.lua
local graph = require "brood.graph"

local g = graph.new()
local hidden, samples = 32, 64

-- A layer is a function that makes its parameters and returns a formula.
local function linear(x, name, inputs, outputs)
    local weights = {}
    for i = 1, inputs * outputs do weights[i] = (2 * math.random() - 1) / math.sqrt(inputs) end
    local w = g:param(name .. ".weight", { inputs, outputs }, { value = weights })
    return graph.matmul(x, w) + g:param(name .. ".bias", { outputs })
end

-- Fresh points in every run, from -pi to pi, and what the network makes of them.
local x = (g:uniform { samples, 1 } - 0.5) * (2 * math.pi)
local y = linear(linear(x, "first", 1, hidden):tanh(), "second", hidden, 1)

-- The graph knows no sine: the first terms of its series do.
local sine = x - x ^ 3 / 6 + x ^ 5 / 120 - x ^ 7 / 5040 + x ^ 9 / 362880
local loss = (y - sine):square():mean()

local train = g:compile({ loss = loss }, { minimize = loss, optimizer = graph.adam { lr = "rate" } })
print(("%d numbers to learn, %d operations a step"):format(train:stats().parameters, train:stats().flops))

local steps = 2000
for step = 0, steps do
    local out = train:run { rate = 0.01 * (1 - step / steps) }
    if step % 250 == 0 then
        print(("step %4d   loss %.6f   gradient %.4f"):format(step, out.loss:item(), out.norm:item()))
    end
end
