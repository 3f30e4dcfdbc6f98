-- The smallest GAN there is: one real point, 0; the generator is a number, fake = theta; the discriminator is a slope,
-- D(x) = psi x. Its dynamics are known, and show what penalties are for (Mescheder et al. 2018, "Which training
-- methods for GANs do actually converge?"):
--     brood lua scripts/experiments/dirac.lua
local brood = require "brood"
local nn, optim = brood.nn, brood.optim

-- The generator's loss: minimax says -softplus(D(fake)), non-saturating softplus(-D(fake)).
local GENERATOR = {
    minimax = function(on_fake) return -on_fake:softplus() end,
    ["non-saturating"] = function(on_fake) return (-on_fake):softplus() end,
}

local function dirac(update, form, gamma)
    return brood.experiment {
        name = "dirac", latent = 1, batch = 1, update = update, ema = 0,
        generator = function()
            return function(z, ctx) return ctx:param("theta", { 1, 1 }, nn.init.ones()) + 0 * z end
        end,
        discriminator = function()
            return function(x, ctx) return ctx:param("psi", { 1, 1 }, nn.init.ones()) * x end
        end,
        loss = function(net)
            local real = net.graph:constant(0, { 1, 1 })
            local on_real, on_fake = net.D(real), net.D(net.fake)
            local slope = brood.grad(on_fake:sum(), net.fake) -- psi
            local d_loss = (-on_real):softplus() + on_fake:softplus() + 0.5 * net.h.gamma * slope:square()
            return d_loss:mean(), GENERATOR[form](on_fake):mean()
        end,
        g_optimizer = optim.sgd { lr = 0.1 }, d_optimizer = optim.sgd { lr = 0.1 },
        hyper = { gamma = gamma },
    }
end

print "update        generator's loss  gamma   steps      theta        psi       norm"
for _, case in ipairs {
    { "alternating", "minimax", 0 }, { "alternating", "minimax", 0.3 },
    { "alternating", "non-saturating", 0 }, { "simultaneous", "minimax", 0 },
} do
    local member = dirac(table.unpack(case)):member(1, 0)
    local done = 0
    for _, steps in ipairs { 1, 10, 2000 } do
        assert(member:train(steps - done))
        done = steps
        local theta, psi = member:get("G.theta"):item(), member:get("D.psi"):item()
        print(("%-13s %-16s %6g %7d %10.6f %10.6f %10.3g"):format(case[1], case[2], case[3], steps, theta, psi,
            math.sqrt(theta * theta + psi * psi)))
    end
end
