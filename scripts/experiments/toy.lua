-- The toy of figure 2 in Jaderberg et al. 2017 (arXiv 1711.09846), as members written in Lua: what each can do with one
-- number of its own, together they do with both.
--     brood run scripts/experiments/toy.lua
--     brood run scripts/experiments/toy.lua --control no-explore     and weights-only, explore-only, random-search
-- Two weights are to climb 1.2 - (theta1^2 + theta2^2), but see 1.2 - (h1 theta1^2 + h2 theta2^2) only. One member begins
-- with h = (1, 0), the other with (0, 1): alone they get to 0.39. Every 4 steps the weaker one copies the better one's
-- weights and h, and changes h a little.
local brood = require "brood"
local pbt = brood.pbt

local rate = 0.01

local function climb(me, h, steps)
    for _ = 1, steps do
        me[1] = me[1] - rate * 2 * h.h1 * me[1]
        me[2] = me[2] - rate * 2 * h.h2 * me[2]
    end
end

return brood.experiment {
    name = "toy",
    members = pbt.member {
        init = function() return { 0.9, 0.9 } end,
        step = climb,
        score = function(me) return 1.2 - (me[1] ^ 2 + me[2] ^ 2) end,
    },
    hyper = { h1 = pbt.uniform(0, 10), h2 = pbt.uniform(0, 10) },
    initial = { { h1 = 1, h2 = 0 }, { h1 = 0, h2 = 1 } },
    population = 2, rounds = 50, interval = 4,
    exploit = pbt.truncation { bottom = 0.5, top = 0.5 },
    explore = function(h, rng)
        h.h1, h.h2 = math.max(0, h.h1 + rng:normal(0, 0.1)), math.max(0, h.h2 + rng:normal(0, 0.1))
        return h
    end,
}
