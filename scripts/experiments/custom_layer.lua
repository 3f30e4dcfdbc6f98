-- Layers of one's own. A function of a tensor and a context is a layer; nn.define makes a constructor whose options are
-- checked, as those of the library are. Digits of 16 x 16 pixels, in a few minutes:
--     brood run scripts/experiments/custom_layer.lua
local brood = require "brood"
local graph, nn, loss, optim, data = brood.graph, brood.nn, brood.loss, brood.optim, brood.data

local width = 16

-- Keeps what relu throws away, in channels of its own (Shang et al. 2016).
local function crelu(x)
    return graph.concat({ x:relu(), (-x):relu() }, 4)
end

-- Weighs the channels of each image by what all of its pixels say together (Hu et al. 2018, "Squeeze-and-excitation
-- networks"). Layers within are called by ctx:apply, with a name that their parameters are known by. `strength` may be
-- the name of a hyperparameter: 0 leaves x as it is.
local squeeze_excite = nn.define("squeeze_excite", {
    share = { "number", min = 1, integer = true, default = 4 }, -- channels to one number of the summary
    strength = { "number", min = 0, max = 1, live = true, default = 1 },
}, function(self, x, ctx)
    local n, _, _, channels = ctx:images(x)
    local summary = ctx:apply("squeeze", nn.linear { out = math.max(channels // self.share, 1) }, x:mean(2, 3)):relu()
    local weight = 2 * ctx:apply("excite", nn.linear { out = channels }, summary):sigmoid()
    local strength = ctx:number(self.strength)
    return x * (1 - strength + strength * weight:reshape(n, 1, 1, channels))
end)

return brood.experiment {
    name = "custom-layer",
    data = data.digits { size = 16 },
    latent = 32, batch = 64,
    generator = function()
        return nn.sequential {
            nn.linear { out = 4 * 4 * 2 * width }, nn.reshape { 4, 4, 2 * width }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
            squeeze_excite { strength = "excitation" },
            nn.upconv { out = 1, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
        }
    end,
    discriminator = function()
        return nn.sequential {
            nn.conv { out = width, kernel = 4, stride = 2, pad = 1 }, crelu,
            nn.conv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, crelu, squeeze_excite {},
            nn.flatten {}, nn.linear { out = 1 },
        }
    end,
    loss = loss.non_saturating { r1 = "gamma" },
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 },
    d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5 },
    hyper = { g_lr = 1e-3, d_lr = 1e-3, gamma = 1, excitation = 1 },
    rounds = 20, interval = 200,
}
