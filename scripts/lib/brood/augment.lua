-- Differentiable augmentation: D sees real and generated images through the same random changes, and so has more to
-- learn from few data, while the generator still gets gradients (Zhao et al. 2020, "Differentiable augmentation for
-- data-efficient GAN training").
--
--     augment = augment { "flip", "translation", "cutout", p = 0.8 }
--     augment = augment { "brightness", translation = 0.25, saturation = "saturation" }
--
-- gives a function(x, ctx), a layer as any. Images are (n, height, width, channels) in [-1, 1]. Strengths, and what a
-- name alone stands for (Zhao's, but for flip, which is not among theirs):
--     flip         0.5    probability of the mirror image
--     brightness   0.5    up to this much is added or taken away
--     saturation   1      up to this share more or less distance from the pixel's gray
--     contrast     0.5    up to this share more or less distance from the image's mean
--     translation  0.125  up to this share of the size, in whole pixels, along both axes; what comes in is 0
--     cutout       0.5    sides of the square that is set to 0, as shares of the image's
-- and p, the probability of each change for each image, 1 (Karras et al. 2020, ADA, is how a p below 1 came up). All
-- may be the names of hyperparameters or schedules. Strength 0 leaves images as they are. Every image has random
-- numbers of its own, fresh in every run.
local check = require "brood.check"
local graph = require "brood.graph"
local positions = require "brood.positions"
local schedule = require "brood.schedule"
local script = require "brood.script"

-- ---- random numbers: one for each image, (n, 1, 1, 1) ----------------------------------------------------------------

local function uniform(env)
    return env.graph:uniform { env.batch, 1, 1, 1 }
end

-- Uniform from -reach to reach.
local function about_zero(env, reach)
    return (2 * uniform(env) - 1) * reach
end

-- 1 with probability p, otherwise 0.
local function chosen(env, p)
    return (p - uniform(env)):step()
end

-- What a change does: `amount` to the images that it is for, nothing to the others.
local function sometimes(env, amount)
    return env.p == 1 and amount or amount * chosen(env, env.p)
end

-- x, (n, 1, 1, 1), rounded to whole numbers from -most to most.
local function round(env, x, most)
    local edge = positions(env.graph, most) - 0.5
    return ((x - edge):step() - (-x - edge):step()):sum { 4, keep = true }
end

-- ---- colors ----------------------------------------------------------------------------------------------------------

local change = {}

function change.brightness(env, x, strength)
    return x + sometimes(env, about_zero(env, strength))
end

-- The gray of a pixel is a product with a matrix of 1 / channels: nine times as fast as a mean along so short an axis.
function change.saturation(env, x, strength)
    local average = env.graph:constant(1 / env.channels, { env.channels, env.channels })
    local gray = graph.matmul(x:reshape(-1, env.channels), average):reshape(x:shape())
    return x + sometimes(env, about_zero(env, strength)) * (x - gray)
end

function change.contrast(env, x, strength)
    local middle = x:mean { 2, 3, 4, keep = true }
    return x + sometimes(env, about_zero(env, strength)) * (x - middle)
end

-- ---- places ------------------------------------------------------------------------------------------------------------

-- The places 1, 2, ... along the height or the width, (h, 1, 1) or (w, 1).
local function rows(env) return positions(env.graph, env.height):reshape(-1, 1, 1) end
local function columns(env) return positions(env.graph, env.width):reshape(-1, 1) end

-- x with each pixel taken from another row and column, whole numbers. What they find outside is 0: the image gets a
-- rim of zeros, and nothing is looked for further out.
local function take(env, x, row, column)
    local high, wide = env.height + 2, env.width + 2
    local first = (positions(env.graph, env.batch) - 1) * (high * wide) + 1
    local index = first:reshape(-1, 1, 1, 1) + row:clamp(0, high - 1) * wide + column:clamp(0, wide - 1)
    local pixels = x:pad { false, { 1, 1 }, { 1, 1 } }:reshape(-1, env.channels)
    return graph.gather(pixels, index:reshape(env.batch, env.height, env.width))
end

function change.flip(env, x, strength)
    local column = columns(env)
    local mirrored = sometimes(env, chosen(env, strength))
    return take(env, x, rows(env), column + mirrored * (env.width + 1 - 2 * column))
end

-- Whole numbers from -strength·size to strength·size, all equally likely.
local function shift(env, strength, size)
    local most = type(strength) == "number" and math.ceil(strength * size) or size
    return sometimes(env, round(env, about_zero(env, strength * size + 0.5), most))
end

function change.translation(env, x, strength)
    local down, right = shift(env, strength, env.height), shift(env, strength, env.width)
    return take(env, x, rows(env) - down, columns(env) - right)
end

-- 1 at the places, seen from their middles, that are in a span of length strength·size, which is around any point.
local function span(env, places, strength, size)
    local distance = (places - 0.5 - uniform(env) * size):abs()
    return (strength * (size / 2) - distance):step()
end

function change.cutout(env, x, strength)
    local hole = span(env, rows(env), strength, env.height) * span(env, columns(env), strength, env.width)
    return x * (1 - sometimes(env, hole))
end

-- ---- the constructor -----------------------------------------------------------------------------------------------------

local ORDER = { "flip", "brightness", "saturation", "contrast", "translation", "cutout" }
local USUAL = { flip = 0.5, brightness = 0.5, saturation = 1, contrast = 0.5, translation = 0.125, cutout = 0.5 }

local SHARE = schedule.number(0, 1)
local RULES = { { "string", choices = ORDER }, p = SHARE }
for _, name in ipairs(ORDER) do RULES[name] = SHARE end

-- The strengths by name.
local function read(given)
    local fields, strengths = check.fields("augment", given, RULES), {}
    for _, name in ipairs(ORDER) do strengths[name] = fields[name] end
    for _, name in ipairs(fields) do
        if strengths[name] then script.fail(("augment: %s is given twice"):format(name)) end
        strengths[name] = USUAL[name]
    end
    if not next(strengths) then script.fail("augment: one or more expected of " .. table.concat(ORDER, ", ")) end
    return strengths, fields.p or 1
end

-- A number as it is; the name of a hyperparameter or a schedule as a scalar tensor. `ctx` is a layer's context, or a
-- graph, and errors call it `what`.
local function number(ctx, value, what)
    if type(ctx) == "table" then return ctx:number(value, what, SHARE) end
    return type(value) == "string" and ctx:input("h." .. value) or value
end

-- What the changes need to know.
local function environment(x, ctx)
    local n, height, width, channels = table.unpack(x:shape())
    if #x:shape() ~= 4 then
        local shape = table.concat(x:shape(), ", ")
        script.fail(("augment: images (n, height, width, channels) expected, got the shape (%s)"):format(shape))
    end
    local g = type(ctx) == "table" and ctx.graph or ctx
    return { graph = g, batch = n, height = height, width = width, channels = channels }
end

return check.constructor(function(given)
    local strengths, p = read(given)
    local label = ("augment (%s): "):format(script.line())
    return function(x, ctx)
        if type(ctx) == "table" and ctx.training == false then return x end
        local env = environment(x, ctx)
        env.p = number(ctx, p, label .. "p")
        for _, name in ipairs(ORDER) do
            local strength = strengths[name] and number(ctx, strengths[name], label .. name)
            if strength and strength ~= 0 then x = change[name](env, x, strength) end
        end
        return x
    end
end)
