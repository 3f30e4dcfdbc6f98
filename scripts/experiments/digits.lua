-- A population of DCGANs learns to write digits, which the program draws for it. Nothing to download:
--     brood run scripts/experiments/digits.lua
-- Each of the eight starts with learning rates, momentum and a penalty drawn from wide ranges, which in most cases do not
-- go together. After every 250 steps the two weakest copy one of the two strongest, and go on with each number moved up or
-- down: on the logarithmic ranges doubled or halved, beta1 by 0.31 (pbt.perturb), and back again at the bounds.
local brood = require "brood"
local nn, loss, optim, data, pbt, metric = brood.nn, brood.loss, brood.optim, brood.data, brood.pbt, brood.metric

local width = 16

return brood.experiment {
    name = "digits",
    data = data.digits { size = 24 },
    latent = 64, batch = 32,
    generator = function()
        return nn.sequential {
            nn.linear { out = 3 * 3 * 4 * width }, nn.reshape { 3, 3, 4 * width }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = 1, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
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
    loss = loss.non_saturating { r1 = "gamma" },
    g_optimizer = optim.adam { lr = "g_lr", beta1 = "beta1" },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = "beta1" },
    hyper = {
        g_lr = pbt.log_uniform(1e-5, 1e-2),
        d_lr = pbt.log_uniform(1e-5, 1e-2),
        beta1 = pbt.uniform(0, 0.9),
        gamma = pbt.log_uniform(1e-2, 1e1),
    },
    population = 8, rounds = 24, interval = 250,
    exploit = pbt.truncation { bottom = 0.25, top = 0.25 },
    explore = pbt.perturb { factors = { 0.5, 2 } },
    select = metric.classifier_score { samples = 2500 },
    report = { metric.classifier_score { samples = 2500 }, metric.frechet {}, metric.coverage {} },
    report_best = 2, -- report scores of the two best members of a round: they cost more than the selection score
}
