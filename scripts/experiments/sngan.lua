-- Residual networks, spectral norm and the hinge loss (Miyato et al. 2018, "Spectral normalization for generative
-- adversarial networks"): no layer of the discriminator may stretch what goes through it, so that it needs no penalty.
-- It learns the digits that the program draws, in color; give `images` another data set to learn that:
--     brood run scripts/experiments/sngan.lua
local brood = require "brood"
local nn, loss, optim, data = brood.nn, brood.loss, brood.optim, brood.data

local images = data.digits { size = 32, color = true } -- data.cifar10 {}, after `brood fetch cifar10`, takes a day
local width = 16                                       -- 128 in the paper, which takes a graphics card

return brood.experiment {
    name = "sngan",
    data = images,
    latent = 64, batch = 64,
    generator = function()
        local norm = nn.batch_norm {}
        return nn.sequential {
            nn.linear { out = 4 * 4 * 2 * width }, nn.reshape { 4, 4, 2 * width },
            nn.residual { out = 2 * width, up = true, norm = norm },
            nn.residual { out = 2 * width, up = true, norm = norm },
            nn.residual { out = width, up = true, norm = norm },
            nn.batch_norm {}, nn.relu {}, nn.conv { out = images:shape()[3], kernel = 3, pad = 1 }, nn.tanh {},
        }
    end,
    discriminator = function()
        return nn.spectral_norm(nn.sequential { -- of each weight within
            nn.residual { out = width, down = true },
            nn.residual { out = 2 * width, down = true },
            nn.residual { out = 2 * width, down = true },
            nn.residual { out = 2 * width },
            nn.relu {}, nn.global_sum_pool {}, nn.linear { out = 1 },
        })
    end,
    loss = loss.hinge {},
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0, beta2 = 0.9 },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = 0, beta2 = 0.9 },
    d_steps = "d_steps",
    hyper = { g_lr = 5e-4, d_lr = 5e-4, d_steps = 1 },
    rounds = 20, interval = 100,
}
