-- Twenty-five small clouds of points on a square lattice: the harder sister of ring.lua. What the generator draws
-- between the clouds, and the clouds that it leaves out, are there to be seen in samples/ (Lin et al. 2018, "PacGAN"):
--     brood run scripts/experiments/grid.lua
local brood = require "brood"
local nn, loss, optim, data = brood.nn, brood.loss, brood.optim, brood.data

local width = 128

return brood.experiment {
    name = "grid",
    data = data.grid { modes = 5, spread = 1, deviation = 0.05 },
    latent = 16, batch = 256,
    generator = function()
        return nn.sequential {
            nn.linear { out = width }, nn.relu {},
            nn.linear { out = width }, nn.relu {},
            nn.linear { out = width }, nn.relu {},
            nn.linear { out = 2 },
        }
    end,
    discriminator = function()
        return nn.sequential {
            nn.linear { out = width }, nn.leaky_relu { slope = 0.2 },
            nn.linear { out = width }, nn.leaky_relu { slope = 0.2 },
            nn.linear { out = width }, nn.leaky_relu { slope = 0.2 },
            nn.linear { out = 1 },
        }
    end,
    loss = loss.non_saturating { r1 = "gamma" },
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5 },
    hyper = { g_lr = 1e-3, d_lr = 1e-3, gamma = 0.1 },
    rounds = 20, interval = 500,
}
