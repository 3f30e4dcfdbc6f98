-- A conditional GAN: the labels go to both networks, so that one can ask for a digit. The generator learns a gain and a
-- bias for each class in its norms, the discriminator a vector for each class, onto which it projects what it sees
-- (Miyato and Koyama 2018, "cGANs with projection discriminator"). classes.png has a row for each digit:
--     brood fetch mnist
--     brood run scripts/experiments/conditional_mnist.lua
--     brood grid runs/00001-conditional-mnist --class 7
local brood = require "brood"
local nn, loss, optim, data = brood.nn, brood.loss, brood.optim, brood.data

local images = data.mnist { size = 32 } -- or data.digits { size = 32 }, which needs no download
local width = 16

return brood.experiment {
    name = "conditional-mnist",
    data = images, conditional = true,
    latent = 64, batch = 64,
    generator = function()
        return nn.sequential {
            nn.linear { out = 4 * 4 * 4 * width }, nn.reshape { 4, 4, 4 * width },
            nn.conditional_batch_norm {}, nn.relu {},
            nn.upconv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.conditional_batch_norm {}, nn.relu {},
            nn.upconv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.conditional_batch_norm {}, nn.relu {},
            nn.upconv { out = 1, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
        }
    end,
    discriminator = function()
        return nn.sequential {
            nn.conv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.conv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.conv { out = 4 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.flatten {}, loss.projection {},
        }
    end,
    loss = loss.non_saturating { r1 = "gamma" },
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5 },
    hyper = { g_lr = 1e-3, d_lr = 1e-3, gamma = 1 },
    rounds = 20, interval = 250,
}
