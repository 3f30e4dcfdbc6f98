-- The paper's toy (scripts/experiments/toy.lua) under every control: means of the best score over 200 seeds, which are
-- known (Jaderberg et al. 2017, figure 2, simulated). Through the whole of a population with members in Lua.
local support = dofile "tests/lua/support.lua"
local lu = support.lu

local SEEDS = 200

local toy = dofile "scripts/experiments/toy.lua"

local function best(control, seed)
    local run <close> = toy:begin { seed = seed, control = control }
    lu.assertEquals(run:go(), "finished")
    local members = run.members
    return math.max(members[1].score, members[2].score)
end

local function check(control, expected, margin)
    local sum = 0
    for seed = 1, SEEDS do sum = sum + best(control, seed) end
    local mean = sum / SEEDS
    print(("%-14s %.4f, %.3f expected"):format(control, mean, expected))
    lu.assertAlmostEquals(mean, expected, margin)
end

local Toy = {}

function Toy.test_pbt() check("off", 1.198, 0.01) end
function Toy.test_weights_only() check("weights-only", 1.172, 0.01) end
function Toy.test_no_explore() check("no-explore", 0.390, 0.01) end
function Toy.test_explore_only() check("explore-only", 1.08, 0.03) end
function Toy.test_grid_search() check("random-search", 0.390, 0.01) end

support.main { Toy = Toy }
