-- Losses and regularizers of GANs.
--
--     loss = loss.non_saturating { r1 = "gamma", lazy = 16 }
--
-- A loss is called while a player's program is built, and gives the discriminator's loss, the generator's loss, and a
-- table of named signals to watch, all scalars. Only the loss of the player in question is used. Those below call D
-- for nothing else, and leave the other one out. Signals are seen as D.NAME; what only G's program gives, as G.NAME.
-- A script can have a loss of its own, which may call those below:
--
--     loss = function(net)
--         local on_real, on_fake = net.D(net.real), net.D(net.fake:detach())
--         return (-on_real):softplus():mean() + on_fake:softplus():mean(), (-net.D(net.fake)):softplus():mean()
--     end
--
-- What `net` offers:
--     net.real, net.fake, net.z           images, (n, height, width, channels), and what the generated ones come from
--     net.D(x, labels), net.G(z, labels)  the networks
--     net.real_labels, net.fake_labels    classes from 1, (n); nil in unconditional experiments; net.classes of them
--     net.h.NAME, net.number(v)           a hyperparameter as a scalar; a number, or what stands for one
--     net.update                          "D" or "G": whose program it is
--     net.lazy(k)                         whether this program has penalties that are in every k-th update of D only:
--                                         if net.lazy(16) then d_loss = d_loss + 16 * penalty end
--     net.clip(c)                         after each of its updates, all of D's parameters are held between -c and c
--     net.graph, net.batch                for random numbers and constants; n
--
-- Options of all losses:
--     r1, r2            weights γ of ½ γ E|∇D|² on real and on generated images (Mescheder et al. 2018, "Which training
--                       methods for GANs do actually converge?", a simpler form of Roth et al. 2017's)
--     gradient_penalty  weight λ of λ E(|∇D| - target)² between real and generated images (Gulrajani et al. 2017)
--     target            that norm: 1
--     one_sided         only norms above the target count (Petzka et al. 2018)
--     lazy              k: penalties are in every k-th update of D only, times k (Karras et al. 2020, StyleGAN2)
--     noise             instance noise: deviation of the normal noise on all that D sees (Sønderby et al. 2017)
--     auxiliary         weight of an auxiliary classifier's loss (Odena et al. 2017): D's output is (n, 1 + classes), a
--                       verdict and a logit for each class
-- and of those whose D says how likely an image is real:
--     smoothing         s: D's target for real images is 1 - s (Salimans et al. 2016, one-sided)
-- Every weight may be the name of a hyperparameter or a schedule. Labels go to D with the images, net.D(x, labels),
-- so all losses serve conditional networks too.
--
-- Their signals:
--     on_real, on_fake  means of D's outputs
--     accuracy          share of the images that D tells right: it says "real" above the middle of its two targets,
--                       0 or, for least_squares, ½ (smoothing left out). Relativistic: one real image against one
--                       generated one, or each image against the mean of the others. None for wasserstein, whose D is
--                       no judge: its outputs have no middle, and however far apart they are, G learns from the slope
--     penalty           all penalties, in the updates that have them; gradient_norm: |∇D| of gradient_penalty
--     classification    the auxiliary classifier's loss
local check = require "brood.check"
local graph = require "brood.graph"
local init = require "brood.nn.initializer"
local layer = require "brood.nn.layer"
local positions = require "brood.positions"
local schedule = require "brood.schedule"
local script = require "brood.script"

local loss = {}

-- ---- parts, for losses in scripts too ------------------------------------------------------------------------------

-- |d output / d x|² of each sample, (n): `output` is what D makes of x, a number a sample or more, which are summed.
function loss.squared_slope(output, x)
    return graph.grad(output:sum(), x):square():reshape(x:shape()[1], -1):sum(2)
end

-- Square root of numbers from 0 up, with gradient 0 at 0, where sqrt's is infinite.
local function safe_sqrt(x)
    local positive = x:step()
    return (x + (1 - positive)):sqrt() * positive
end

-- |d output / d x| of each sample, (n).
function loss.slope(output, x)
    return safe_sqrt(loss.squared_slope(output, x))
end

-- For each sample a random point on the line between a real and a generated image. `net` is a loss's or anything
-- with a graph.
function loss.interpolate(net, real, fake)
    local shape = real:shape()
    for axis = 2, #shape do shape[axis] = 1 end
    return fake + net.graph:uniform(shape) * (real - fake)
end

-- Mean of -log p(label) over the samples: logits (n, classes), labels (n) from 1.
function loss.cross_entropy(net, logits, labels)
    local classes = logits:shape()[2]
    local class = positions(net.graph, classes)
    local identity = 1 - ((class:reshape(classes, 1) - class):abs() - 0.5):step()
    return -(graph.log_softmax(logits) * graph.gather(identity, labels)):sum(2):mean()
end

-- The last layer of a projection discriminator (Miyato and Koyama 2018): of features φ, (n, d), and the labels y,
-- ψ·φ + b + V[y]·φ, (n, 1). Images (n, h, w, d) are summed over their pixels first.
loss.projection = layer.define("loss.projection", { init = init.rule }, function(self, x, ctx)
    local labels = ctx:needed_labels()
    if not ctx.classes then ctx:fail "how many classes are there? the context, ctx.classes, is to say it" end
    if #x:shape() == 4 then x = x:sum(2, 3) end
    local _, features = ctx:vectors(x)
    local size = { init = self.init, fan_in = features, fan_out = 1 }
    local weight = ctx:weight({ features, 1 }, size)
    local embedding = ctx:scope("embedding", function(inner)
        return inner:weight({ ctx.classes, features }, size)
    end)
    local chosen = (graph.gather(embedding, labels) * x):sum { 2, keep = true }
    return graph.matmul(x, weight) + ctx:param("bias", { 1 }, init.zeros()) + chosen
end)

-- ---- what the outputs of D cost -------------------------------------------------------------------------------------
-- real(l, s), fake(l): D's loss for an output l on a real image, with label smoothing s or nil, and on a generated
-- one. generator(l): G's loss for an output on an image of its own. middle: above it D says "real".

local FORMS = {}

-- With the sigmoid σ: -(1 - s) log σ(l) - s log(1 - σ(l)) = softplus(-l) + s l, which no l overflows.
local function cross_entropy_real(l, s)
    local plain = (-l):softplus()
    return s and plain + s * l or plain
end

-- Goodfellow et al. 2014, equation 1: D maximizes log σ(D(x)) + log(1 - σ(D(G(z)))), G minimizes the second term.
FORMS.minimax = {
    real = cross_entropy_real,
    fake = function(l) return l:softplus() end,
    generator = function(l) return -l:softplus() end,
    middle = 0,
}

-- Goodfellow et al. 2014, section 3: G maximizes log σ(D(G(z))).
FORMS.non_saturating = {
    real = cross_entropy_real,
    fake = function(l) return l:softplus() end,
    generator = function(l) return (-l):softplus() end,
    middle = 0,
}

-- Mao et al. 2017, equation 9: ½ (D(x) - 1)² + ½ D(G(z))²; G: ½ (D(G(z)) - 1)².
FORMS.least_squares = {
    real = function(l, s) return 0.5 * (l - (1 - (s or 0))):square() end,
    fake = function(l) return 0.5 * l:square() end,
    generator = function(l) return 0.5 * (l - 1):square() end,
    middle = 0.5,
}

-- Lim and Ye 2017; Miyato et al. 2018: max(0, 1 - D(x)) + max(0, 1 + D(G(z))); G: -D(G(z)).
FORMS.hinge = {
    real = function(l) return (1 - l):relu() end,
    fake = function(l) return (1 + l):relu() end,
    generator = function(l) return -l end,
    middle = 0,
}

-- Arjovsky et al. 2017: -D(x) + D(G(z)); G: -D(G(z)).
FORMS.wasserstein = {
    real = function(l) return -l end,
    fake = function(l) return l end,
    generator = function(l) return -l end,
}

-- Relativistic losses judge how much more real one image looks than others, m. Jolicoeur-Martineau 2019, "The
-- relativistic discriminator", with the targets 1 and -1 for least squares.
local RELATIVISTIC = {
    non_saturating = { real = cross_entropy_real, fake = function(m) return m:softplus() end },
    least_squares = {
        real = function(m, s) return (m - (1 - (s or 0))):square() end,
        fake = function(m) return (m + 1):square() end,
    },
    hinge = FORMS.hinge,
}

-- The share of both kinds of images that D tells right; each may have another limit.
local function share_right(real, above, fake, below)
    return 0.5 * ((real - above):step():mean() + (below - fake):step():mean())
end

-- How the outputs on real and on generated images become D's and G's losses. `needs_real`: G's too needs the real.
-- right: the share of images that D tells right.
local PAIRINGS = {
    none = {
        right = function(form, real, fake)
            return form.middle and share_right(real, form.middle, fake, form.middle)
        end,
        D = function(form, real, fake, s) return form.real(real, s):mean() + form.fake(fake):mean() end,
        G = function(form, _, fake) return form.generator(fake):mean() end,
    },
    -- One real image and one generated image: the paper's RGAN, of which the two equal halves are counted once.
    paired = {
        needs_real = true,
        right = function(_, real, fake) return (real - fake):step():mean() end,
        D = function(form, real, fake, s) return form.real(real - fake, s):mean() end,
        G = function(form, real, fake) return form.real(fake - real):mean() end,
    },
    -- Each image and the mean of the others: the paper's RaGAN.
    average = {
        needs_real = true,
        right = function(_, real, fake) return share_right(real, fake:mean(), fake, real:mean()) end,
        D = function(form, real, fake, s)
            return form.real(real - fake:mean(), s):mean() + form.fake(fake - real:mean()):mean()
        end,
        G = function(form, real, fake)
            return form.real(fake - real:mean()):mean() + form.fake(real - fake:mean()):mean()
        end,
    },
}

-- ---- what a loss does when it is called -----------------------------------------------------------------------------

local Loss = { __metatable = "brood.Loss" } -- the name errors call it by
Loss.__index = Loss

local function label(self) return ("loss.%s (%s)"):format(self.kind, self.line) end

local function fail(self, message, ...)
    script.fail(("%s: %s"):format(label(self), message:format(...)))
end

-- The option `name` as a number or, where it changes, a scalar.
local function number(self, net, name)
    return net.number(self[name], ("%s: %s"):format(label(self), name), self.rules[name])
end

-- D's output on x, and the class logits (n, classes) where there is an auxiliary classifier: columns behind the first.
local function judge(self, net, x, labels)
    local output = net.D(x, labels)
    if not self.auxiliary then return output end
    if not labels then fail(self, "auxiliary: labels expected: conditional = true is missing in the experiment") end
    local shape = output:shape()
    if #shape ~= 2 or shape[2] < 3 or net.classes and shape[2] ~= 1 + net.classes then
        fail(self, "auxiliary: (%d, %s) expected of D, a verdict and a logit for each class, got the shape (%s)", shape[1],
            net.classes and 1 + net.classes or "1 + classes", table.concat(shape, ", "))
    end
    return output:slice { false, { 1, 1 } }, output:slice { false, { 2, -1 } }
end

-- What D is shown, and what it says.
local function look(self, net, x, labels)
    if self.noise then x = x + number(self, net, "noise") * net.graph:normal(x:shape()) end
    local output, logits = judge(self, net, x, labels)
    return { x = x, labels = labels, output = output, logits = logits }
end

-- The auxiliary classifier's loss on one kind of images.
local function classification(net, seen)
    return loss.cross_entropy(net, seen.logits, seen.labels)
end

local function gradient_penalty(self, net, real, fake, signals)
    local point = loss.interpolate(net, real.x, fake.x)
    local norm = loss.slope((judge(self, net, point, real.labels)), point)
    local excess = norm - (self.target or 1)
    if self.one_sided then excess = excess:relu() end
    signals.gradient_norm = norm:mean()
    return number(self, net, "gradient_penalty") * excess:square():mean()
end

-- All penalties added up; nil when there are none.
local function penalties(self, net, real, fake, signals)
    local sum
    local function add(term) sum = sum and sum + term or term end
    local function zero_centered(name, seen)
        add(0.5 * number(self, net, name) * loss.squared_slope(seen.output, seen.x):mean())
    end
    if self.r1 then zero_centered("r1", real) end
    if self.r2 then zero_centered("r2", fake) end
    if self.gradient_penalty then add(gradient_penalty(self, net, real, fake, signals)) end
    return sum
end

local function discriminator_loss(self, net, real, fake)
    local signals = { on_real = real.output:mean(), on_fake = fake.output:mean() }
    signals.accuracy = self.combine.right(self.form, real.output, fake.output)
    local smoothing = self.smoothing and number(self, net, "smoothing")
    local sum = self.combine.D(self.form, real.output, fake.output, smoothing)
    if self.auxiliary then
        signals.classification = classification(net, real) + classification(net, fake)
        sum = sum + number(self, net, "auxiliary") * signals.classification
    end
    -- An experiment's function may call this loss: the trainer has to be told here.
    if self.clip then net.clip(self.clip, label(self)) end
    if not self.lazy or net.lazy(self.lazy, label(self)) then
        signals.penalty = penalties(self, net, real, fake, signals)
    end
    if signals.penalty then sum = sum + (self.lazy or 1) * signals.penalty end
    return sum, signals
end

local function generator_loss(self, net, real, fake)
    local sum = self.combine.G(self.form, real and real.output, fake.output)
    if self.auxiliary then sum = sum + number(self, net, "auxiliary") * classification(net, fake) end
    return sum
end

function Loss:__call(net)
    local for_D, for_G = net.update ~= "G", net.update ~= "D"
    local real, d_loss, signals
    if for_D or self.combine.needs_real then real = look(self, net, net.real, net.real_labels) end
    local fake = look(self, net, for_G and net.fake or net.fake:detach(), net.fake_labels)
    if for_D then d_loss, signals = discriminator_loss(self, net, real, fake) end
    return d_loss, for_G and generator_loss(self, net, real, fake) or nil, signals
end

-- "loss.hinge { lazy = 16, r1 = gamma }"
function Loss:__tostring()
    local words = {}
    for _, name in ipairs(check.names(self.given)) do
        words[#words + 1] = ("%s = %s"):format(name, self.given[name])
    end
    return ("loss.%s {%s}"):format(self.kind, #words > 0 and " " .. table.concat(words, ", ") .. " " or "")
end

-- ---- constructors ---------------------------------------------------------------------------------------------------

local WEIGHT = schedule.number(0)
local OPTIONS = {
    r1 = WEIGHT,
    r2 = WEIGHT,
    gradient_penalty = WEIGHT,
    target = { "number", min = 0 },
    one_sided = { "boolean" },
    lazy = { "number", integer = true, min = 1 },
    noise = WEIGHT,
    auxiliary = WEIGHT,
}
local SMOOTHING = schedule.number(0, 1)

-- Options that do nothing without another.
local function check_together(kind, given)
    for _, name in ipairs { "target", "one_sided" } do
        if given[name] ~= nil and not given.gradient_penalty then
            script.fail(("loss.%s: %s belongs to gradient_penalty, which is not given"):format(kind, name))
        end
    end
    if given.lazy and not (given.r1 or given.r2 or given.gradient_penalty) then
        script.fail(("loss.%s: lazy: there is no penalty to be lazy with: give r1, r2 or gradient_penalty"):format(kind))
    end
end

-- loss.KIND, with options of its own beside the common ones. forms(options) gives what outputs cost, and how those
-- on real and on generated images meet.
local function define(kind, more, forms)
    local rules = {}
    for name, rule in pairs(OPTIONS) do rules[name] = rule end
    for name, rule in pairs(more) do rules[name] = rule end
    loss[kind] = check.constructor(function(given)
        if getmetatable(given) == "brood.Net" then
            local message = "loss.%s makes a loss out of options: it is the loss loss.%s {} that is called with net"
            script.fail(message:format(kind, kind))
        end
        local self = check.fields("loss." .. kind, given, rules)
        check_together(kind, self)
        self.kind, self.line, self.given, self.rules = kind, script.line(), given or {}, rules
        self.form, self.combine = forms(self)
        return setmetatable(self, Loss)
    end)
end

for _, kind in ipairs { "minimax", "non_saturating", "least_squares" } do
    define(kind, { smoothing = SMOOTHING }, function() return FORMS[kind], PAIRINGS.none end)
end

define("hinge", {}, function() return FORMS.hinge, PAIRINGS.none end)

-- clip: after each of its updates, all of D's parameters are held between -clip and clip (0.01 in the paper). Instead
-- of it, gradient_penalty = 10 is what Gulrajani et al. 2017 train with. Without either, D has to keep its slope in
-- bounds by itself, say by spectral_norm.
define("wasserstein", { clip = WEIGHT }, function() return FORMS.wasserstein, PAIRINGS.none end)

define("relativistic", {
    pairing = { "string", choices = { "paired", "average" }, default = "paired" },
    base = { "string", choices = check.names(RELATIVISTIC), default = "non_saturating" },
    smoothing = SMOOTHING,
}, function(options)
    if options.smoothing and options.base == "hinge" then
        script.fail "loss.relativistic: smoothing: the base hinge has no target to smooth"
    end
    return RELATIVISTIC[options.base], PAIRINGS[options.pairing]
end)

return check.module("loss", loss)
