-- A Wasserstein GAN with gradient penalty learns from CIFAR-10, with the settings of the paper on population based
-- training (Jaderberg et al. 2017, appendix A.3; Gulrajani et al. 2017 for the loss): 4 x 4 convolutions, a generator
-- half as wide as the discriminator, batch norm in the generator alone, five updates of the discriminator a step. The
-- discriminator's loss, its sign turned, estimates how far apart real and generated images are: it falls as they
-- become alike. Many hours:
--     brood fetch cifar10
--     brood run scripts/experiments/cifar10_wgan_gp.lua
local brood = require "brood"
local nn, loss, optim, data = brood.nn, brood.loss, brood.optim, brood.data

local width = 32 -- of the discriminator; 64 or 128 if time does not matter
local half = width // 2

return brood.experiment {
    name = "cifar10-wgan-gp",
    data = data.cifar10 {},
    latent = 128, batch = 128,
    generator = function()
        return nn.sequential {
            nn.linear { out = 4 * 4 * 4 * half }, nn.reshape { 4, 4, 4 * half }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = 2 * half, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = half, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = 3, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
        }
    end,
    discriminator = function()
        return nn.sequential {
            nn.conv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.conv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.conv { out = 4 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.flatten {}, nn.linear { out = 1 },
        }
    end,
    loss = loss.wasserstein { gradient_penalty = 10 },
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5, beta2 = 0.999, epsilon = 1e-8 },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5, beta2 = 0.999, epsilon = 1e-8 },
    d_steps = 5,
    hyper = { g_lr = 5e-4, d_lr = 5e-4 }, -- the paper's populations chose among 1e-4, 2e-4 and 5e-4
    rounds = 40, interval = 250,
}
