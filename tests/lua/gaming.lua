-- Images that try to fool a score: each case of them is bad in a way of its own.
local context = require "brood.context"
local graph = require "brood.graph"
local image = require "brood.image"
local reals = require "brood.metric.reals"

local gaming = {}

-- f(g, x) of images.
local function through(images, f)
    local g = graph.new()
    local y = f(g, g:input("x", images:shape()))
    return g:compile({ y = y }):run({ x = images }, { seed = 5 }).y
end

function gaming.noisy(images, strength)
    return through(images, function(g, x) return x + strength * g:normal(x:shape()) end)
end

-- By means over 5 × 5 pixels; black beyond the rim.
function gaming.blurred(images)
    return through(images, function(g, x)
        local count, height, width, channels = table.unpack(x:shape())
        local planes = x:permute(1, 4, 2, 3):reshape(count * channels, height, width, 1)
        local blurred = graph.conv(planes + 1, g:constant(1 / 25, { 5, 5, 1, 1 }), { pad = 2 }) - 1
        return blurred:reshape(count, channels, height, width):permute(1, 3, 4, 2)
    end)
end

-- One training image of each class, again and again: of some, that which the classifier is surest of.
function gaming.memorized(set, classifier, count)
    local classes = #set:classes()
    local logits = classifier:look((set:samples(1, 50 * classes))):flat()
    local best, list = {}, {}
    for i = 1, 50 * classes do
        local rest, greatest, class = 0, -math.huge, nil
        for j = 1, classes do
            local logit = logits[(i - 1) * classes + j]
            if logit > greatest then greatest, class = logit, j end
        end
        for j = 1, classes do rest = rest + math.exp(logits[(i - 1) * classes + j] - greatest) end
        if not best[class] or rest < best[class].rest then best[class] = { rest = rest, image = i } end
    end
    for class = 1, classes do list[class] = set:samples(best[class].image, 1) end
    local one_each, all = image.join(list), {}
    for i = 1, (count + classes - 1) // classes do all[i] = one_each end
    return image.join(all)
end

-- Noise that gradient ascent has made a classifier sure of, one class after the other.
function gaming.pleasing(classifier, count, steps)
    local g = graph.new()
    local shape = { count, table.unpack(classifier.shape) }
    local x, wanted = g:input("x", shape), g:input("wanted", { count, #classifier.classes })
    local ctx = context.new {
        graph = g, registry = classifier.registry, seed = false, group = "C", training = false,
    }
    local _, logits = classifier:apply(ctx, x)
    local sure = (logits:log_softmax() * wanted):sum()
    local push = 2 * graph.grad(sure, x):step() - 1
    local p = g:compile { x = (x + 0.05 * push):clamp(-1, 1) }
    for _, list in ipairs { classifier.registry.parameters, classifier.registry.variables } do
        for _, entry in ipairs(list) do p:set(entry.name, classifier.looker:get(entry.name)) end
    end
    local hot, classes = {}, #classifier.classes
    for i = 1, count * classes do hot[i] = (i - 1) // classes % classes == (i - 1) % classes and 1 or 0 end
    hot = graph.value({ count, classes }, hot)
    local images = through(graph.value(shape, 0), function(h, y) return y + 0.3 * h:normal(shape) end)
    for _ = 1, steps do images = p:run({ x = images, wanted = hot }).x end
    return images
end

-- Real images of some classes only.
function gaming.without(open, dropped, count)
    local kept = {}
    for class = dropped + 1, 10 do kept[#kept + 1] = class end
    return reals.samples(open { classes = kept, split = "test" }, count)
end

-- All cases: { { name, images }, ... }. open(options): the data set.
function gaming.cases(open, classifier, count)
    local set = open {}
    local honest = reals.samples(set:test(), count)
    return {
        { "real test images", honest },
        { "one memorized image a class", gaming.memorized(set, classifier, count) },
        { "blurred", gaming.blurred(honest) },
        { "noise 0.3", gaming.noisy(honest, 0.3) },
        { "noise 0.6", gaming.noisy(honest, 0.6) },
        { "1 class dropped", gaming.without(open, 1, count) },
        { "2 classes dropped", gaming.without(open, 2, count) },
        { "5 classes dropped", gaming.without(open, 5, count) },
        { "gradient-made noise", gaming.pleasing(classifier, count, 40) },
    }
end

return gaming
