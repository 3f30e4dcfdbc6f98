-- Three of MNIST's digits in red, green and blue, one over the other: a thousand different numbers, far more than a
-- batch holds. A generator that makes only some of what there is shows it by the numbers that never come (Metz et al.
-- 2017, "Unrolled generative adversarial networks"; metric.modes counts them):
--     brood fetch mnist
--     brood run scripts/experiments/stacked_mnist.lua
local brood = require "brood"
local nn, loss, optim, data = brood.nn, brood.loss, brood.optim, brood.data

local width = 24

return brood.experiment {
    name = "stacked-mnist",
    data = data.stacked_mnist { size = 32 },
    latent = 128, batch = 64,
    generator = function()
        return nn.sequential {
            nn.linear { out = 4 * 4 * 4 * width }, nn.reshape { 4, 4, 4 * width }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = 3, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
        }
    end,
    discriminator = function()
        return nn.sequential {
            nn.conv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.conv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.conv { out = 4 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.minibatch_stddev {}, nn.flatten {}, nn.linear { out = 1 },
        }
    end,
    loss = loss.non_saturating { r1 = "gamma" },
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5 },
    hyper = { g_lr = 1e-3, d_lr = 1e-3, gamma = 1 },
    rounds = 20, interval = 250,
}
