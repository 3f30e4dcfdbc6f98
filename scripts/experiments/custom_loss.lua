-- A loss of one's own, in the script. It is called once, when the programs are built, with symbolic tensors, and gives
-- the discriminator's loss, the generator's, and signals to watch. Here: the hinge loss; a penalty on the slope of D at
-- what is generated, written out with brood.grad; and a reward for a generator that makes different points of different
-- latent vectors (Mao et al. 2019, "Mode seeking generative adversarial networks"). lib/brood/loss.lua lists all that
-- `net` offers.
--     brood run scripts/experiments/custom_loss.lua
local brood = require "brood"
local nn, optim, data = brood.nn, brood.optim, brood.data

local width = 128

-- How much farther apart the points of two latent vectors are than the vectors, on average.
local function diversity(net, z, points)
    local other = net.graph:normal { net.batch, net.z:shape()[2] }
    local apart = (points - net.G(other)):abs():mean(2)
    return (apart / ((z - other):abs():mean(2) + 1e-3)):mean()
end

local function hinge_with_diversity(net)
    local on_real, on_fake = net.D(net.real), net.D(net.fake)
    local slope = brood.grad(on_fake:sum(), net.fake)
    local penalty = slope:square():sum(2):mean()
    local spread = diversity(net, net.z, net.fake)
    local d_loss = (1 - on_real):relu():mean() + (1 + on_fake):relu():mean() + net.h.gamma * penalty
    local g_loss = -on_fake:mean() - net.h.reward * spread
    return d_loss, g_loss, {
        on_real = on_real:mean(), on_fake = on_fake:mean(), penalty = penalty, diversity = spread,
    }
end

return brood.experiment {
    name = "custom-loss",
    data = data.ring { modes = 8, deviation = 0.02 },
    latent = 16, batch = 256,
    generator = function()
        return nn.sequential {
            nn.linear { out = width }, nn.relu {},
            nn.linear { out = width }, nn.relu {},
            nn.linear { out = 2 },
        }
    end,
    discriminator = function()
        return nn.sequential {
            nn.linear { out = width }, nn.leaky_relu { slope = 0.2 },
            nn.linear { out = width }, nn.leaky_relu { slope = 0.2 },
            nn.linear { out = 1 },
        }
    end,
    loss = hinge_with_diversity,
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5 },
    hyper = { g_lr = 1e-3, d_lr = 1e-3, gamma = 0.1, reward = 0.02 },
    rounds = 20, interval = 250,
}
