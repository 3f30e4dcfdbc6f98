-- The toy of toy.lua once more, its members being programs (scripts/programs/toy.py, which needs nothing but Python).
--     brood run scripts/experiments/toy_program.lua
local brood = require "brood"
local pbt = brood.pbt

return brood.experiment {
    name = "toy-program",
    members = pbt.program { command = { "python3", "../programs/toy.py" }, reports = { "theta" }, time_limit = 10 },
    hyper = { h0 = pbt.uniform(0, 10), h1 = pbt.uniform(0, 10) },
    initial = { { h0 = 1, h1 = 0 }, { h0 = 0, h1 = 1 } },
    population = 2, rounds = 50, interval = 4,
    exploit = pbt.truncation { bottom = 0.5, top = 0.5 },
    explore = function(h, rng)
        h.h0, h.h1 = math.max(0, h.h0 + rng:normal(0, 0.1)), math.max(0, h.h1 + rng:normal(0, 0.1))
        return h
    end,
}
