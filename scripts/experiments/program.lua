-- Population based training of a program that is not Brood's: a trainer in Python with numpy, which learns to tell two
-- spirals apart (scripts/programs/spirals.py). Any program that speaks the protocol of scripts/programs/PROTOCOL.md will do.
--     brood run scripts/experiments/program.lua
local brood = require "brood"
local pbt = brood.pbt

return brood.experiment {
    name = "spirals",
    -- Started in this script's folder, once for each member; they train side by side, so each is held to one thread.
    members = pbt.program {
        command = { "env", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "python3", "../programs/spirals.py" },
        reports = { "loss" }, time_limit = 60,
    },
    hyper = {
        lr = pbt.log_uniform(1e-4, 1),
        momentum = pbt.uniform(0, 0.99),
        weight_decay = pbt.log_uniform(1e-6, 1e-1),
    },
    population = 8, rounds = 20, interval = 200,
    exploit = pbt.truncation { bottom = 0.25, top = 0.25 },
    explore = pbt.perturb {},
}
