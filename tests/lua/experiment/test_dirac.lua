-- The smallest GAN: scripts/experiments/dirac.lua, run as a person runs it, goes where the theory and an independent
-- computation say.
local support = dofile "tests/lua/support.lua"
local lu = support.lu

-- update, generator's loss, gamma: (theta, psi) after 1 and 10 steps, and the norm after 2000.
local EXPECTED = {
    ["alternating minimax 0"] = { { 1.066407, 0.926894 }, { 1.375101, 0.177778 }, 1.38 }, -- goes round
    ["alternating minimax 0.3"] = { { 1.063707, 0.896894 }, { 1.303258, 0.064338 }, 0 }, -- converges
    ["alternating non-saturating 0"] = { { 1.026283, 0.926894 }, { 1.195773, 0.262660 }, 0.20 },
    ["simultaneous minimax 0"] = { { 1.073106, 0.926894 }, { 1.438811, 0.155970 }, 3.23 }, -- goes away
}

-- What the script prints: by case and steps { theta, psi, norm }.
local function table_of(script)
    local brood = os.getenv "BROOD" or "build/brood"
    local pipe <close> = assert(io.popen(("'%s' lua %s"):format(brood, script)))
    local found = {}
    for line in pipe:lines() do
        local update, form, gamma, steps, theta, psi, norm =
            line:match "^(%l+)%s+([%l-]+)%s+([%d.]+)%s+(%d+)%s+(%S+)%s+(%S+)%s+(%S+)$"
        if update then
            local case = ("%s %s %s"):format(update, form, gamma)
            found[case] = found[case] or {}
            found[case][tonumber(steps)] = { tonumber(theta), tonumber(psi), tonumber(norm) }
        end
    end
    return found
end

local Dirac = {}

function Dirac.test_trajectories()
    local found = table_of "scripts/experiments/dirac.lua"
    for case, expected in pairs(EXPECTED) do
        lu.assertNotNil(found[case], "the script prints nothing of: " .. case)
        for i, steps in ipairs { 1, 10 } do
            local theta, psi = table.unpack(found[case][steps])
            lu.assertAlmostEquals(theta, expected[i][1], 5e-6, case)
            lu.assertAlmostEquals(psi, expected[i][2], 5e-6, case)
        end
        local norm = found[case][2000][3]
        lu.assertAlmostEquals(norm, expected[3], expected[3] == 0 and 1e-12 or 0.005, case)
    end
end

support.main { TestDirac = Dirac }
