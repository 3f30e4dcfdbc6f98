-- Pictures of what a generator makes. All of the same latent vectors as long as the seed is the same.
local graph = require "brood.graph"
local image = require "brood.image"
local script = require "brood.script"

local pictures = {}

local SHOWN = 64      -- images in a grid
local POINTS = 1000   -- points in a plot
local STEPS = 10      -- images in a strip of an interpolation
local STRIPS = 8
local ROW = 16        -- images of each member
local SMALL = 200     -- pixels of a member's plot
local PLOTS = 4       -- such plots in a row
local PAIRS = 32      -- of an image and its neighbor
local CLASS_LIMIT = 20 -- rows of a class sheet

-- The number of a class; an error names those that there are.
function pictures.class(experiment, name)
    if not experiment.conditional then
        script.fail(("there are no classes to choose from: experiment '%s' is not conditional"):format(experiment.name))
    end
    local names = experiment.data:classes()
    for number, known in ipairs(names) do
        if known == name then return number end
    end
    script.fail(("there is no class '%s': there are %s"):format(name, table.concat(names, ", ", 1,
        math.min(#names, CLASS_LIMIT))))
end

-- Class numbers for `count` images: the one chosen, or all in turn. nil where there are none.
local function labels_for(experiment, options, count)
    if not experiment.conditional then return nil end
    local labels = {}
    for i = 1, count do labels[i] = options.class or (i - 1) % experiment.classes + 1 end
    return labels
end

-- A column for each class, where there are some: in whole rows.
local function columns(experiment, options)
    local in_turn = experiment.conditional and not options.class and experiment.classes <= CLASS_LIMIT
    return in_turn and experiment.classes or nil
end

local function usual_count(experiment, options)
    if experiment:makes() == "points" then return POINTS end
    local across = columns(experiment, options) or 1
    return math.ceil(SHOWN / across) * across
end

-- What is made of fixed latent vectors. options: count, seed, class, raw.
function pictures.sample(experiment, member, options)
    local count = options.count or usual_count(experiment, options)
    local latents = member:latents(1, count, options.seed or experiment.seed)
    return member:generate(latents, labels_for(experiment, options, count), options.raw)
end

-- Points over those of the data: an image.
local function plot(experiment, made, side)
    local data = experiment.data
    return image.scatter(data:extent(), data:samples(1, math.min(POINTS, data:count())), made, side)
end

-- Draws what pictures.sample gave.
function pictures.draw(path, experiment, made, options)
    if experiment:makes() == "points" then
        image.grid(path, plot(experiment, made), { columns = 1, margin = 0, magnify = 1 })
    elseif experiment:makes() == "images" then
        image.grid(path, made, { columns = columns(experiment, options) })
    end
end

-- Images of the data set itself.
function pictures.reals(path, experiment)
    if experiment:makes() ~= "images" or not experiment.data then return end
    image.grid(path, (experiment.data:samples(1, math.min(SHOWN, experiment.data:count()))))
end

-- A row of images, or a plot of points, for each of several members, of the same latent vectors; black where one is false.
function pictures.members(path, experiment, members)
    local points = experiment:makes() == "points"
    local rows, shape = {}, nil
    for i, member in ipairs(members) do
        rows[i] = member and pictures.sample(experiment, member, { count = not points and ROW or nil })
        rows[i] = rows[i] and points and plot(experiment, rows[i], SMALL) or rows[i]
        shape = shape or rows[i] and rows[i]:shape()
    end
    for i = 1, #members do rows[i] = rows[i] or graph.value(shape, -1) end
    image.grid(path, image.join(rows), points and { columns = PLOTS, magnify = 1 } or { columns = ROW })
end

-- ---- from one latent vector to another ---------------------------------------------------------------------------------

-- Along the great circle, where normal vectors lie (White 2016, "Sampling generative networks").
local function between(from, to, share)
    local dot, from_square, to_square = 0, 0, 0
    for i = 1, #from do
        dot, from_square, to_square = dot + from[i] * to[i], from_square + from[i] ^ 2, to_square + to[i] ^ 2
    end
    local cosine = dot / math.sqrt(from_square * to_square)
    local angle = math.acos(math.max(-1, math.min(1, cosine)))
    local a, b = 1 - share, share
    if math.sin(angle) > 1e-6 then
        a, b = math.sin((1 - share) * angle) / math.sin(angle), math.sin(share * angle) / math.sin(angle)
    end
    local point = {}
    for i = 1, #from do point[i] = a * from[i] + b * to[i] end
    return point
end

local function rows_of(value)
    local flat, rows = value:flat(), {}
    local columns = #flat // value:shape()[1]
    for row = 1, value:shape()[1] do
        rows[row] = table.move(flat, (row - 1) * columns + 1, row * columns, 1, {})
    end
    return rows
end

local function value_of(rows)
    local flat = {}
    for _, row in ipairs(rows) do table.move(row, 1, #row, #flat + 1, flat) end
    return graph.value({ #rows, #rows[1] }, flat)
end

-- A strip a row, each from one latent vector to another. Where the generator does not look at it, there is nothing to
-- be drawn.
function pictures.interpolation(path, experiment, member, options)
    local strips = options.count or STRIPS
    local latents = member:latents(1, 2 * strips, options.seed or experiment.seed)
    if #latents == 0 then return end
    local ends = rows_of(latents)
    local points, labels = {}, experiment.conditional and {} or nil
    for strip = 1, strips do
        for step = 0, STEPS - 1 do
            points[#points + 1] = between(ends[2 * strip - 1], ends[2 * strip], step / (STEPS - 1))
            if labels then labels[#points] = options.class or (strip - 1) % experiment.classes + 1 end
        end
    end
    image.grid(path, member:generate(value_of(points), labels, options.raw), { columns = STEPS })
end

-- ---- classes, neighbors ------------------------------------------------------------------------------------------------

-- A row for each class; in a column the latent vector is the same.
function pictures.classes(path, experiment, member, options)
    local columns = options.count or STEPS
    local latents = member:latents(1, columns, options.seed or experiment.seed)
    local rows = {}
    for class = 1, math.min(experiment.classes, CLASS_LIMIT) do
        rows[class] = member:generate(latents, class, options.raw)
    end
    image.grid(path, image.join(rows), { columns = columns })
end

-- Pairs: an image, and at its right the nearest one of the data set.
function pictures.neighbors(path, experiment, member, options)
    local made = pictures.sample(experiment, member, {
        count = options.count or PAIRS, seed = options.seed, class = options.class, raw = options.raw,
    })
    local nearest = experiment.data:nearest(made)
    image.grid(path, image.pairs(made, nearest), { columns = 8 })
end

return pictures
