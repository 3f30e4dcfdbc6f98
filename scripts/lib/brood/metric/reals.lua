-- What a classifier says of the real images: computed once, kept with the classifier, used by every score. Looking at
-- the reference takes a second for gray images and two for colored ones, so that it is kept in the cache folder, too.
local cache = require "brood.metric.cache"
local core = require "brood.metric.core"
local image = require "brood.image"

local REFERENCE = 10000 -- training images that distances are measured from

local WHAT = "metric score"

local Reals = {}
Reals.__index = Reals

local reals = {}

-- Those of a classifier.
function reals.of(classifier)
    classifier.reals = classifier.reals or setmetatable({ classifier = classifier, kept = {} }, Reals)
    return classifier.reals
end

local STORED = { mnist = true, fashion_mnist = true, cifar10 = true, folder = true }

-- `count` samples of a data set, in another order than that of its files, which have classes, writers, days in a row.
-- The same for the same count, and the first ones of any greater count, too.
function reals.samples(set, count)
    if set:count() < 2 or not STORED[set:kind()] then return (set:samples(1, count)) end
    local first, second = set:part(1, 2), set:part(2, 2)
    local taken = math.min(count, first:count())
    local images = { (first:samples(1, taken)) }
    if taken < count then images[2] = second:samples(1, count - taken) end
    return #images == 1 and images[1] or image.join(images)
end

-- make(), the first time that it is asked for under the key.
local function once(self, key, make)
    if self.kept[key] == nil then self.kept[key] = make() end
    return self.kept[key]
end

-- Logits and features of training images.
local function look(self, count)
    local classifier = self.classifier
    count = math.min(count, classifier.data:count())
    local looked = once(self, "looked " .. count, function()
        local function now() return classifier:look(reals.samples(classifier.data, count)) end
        -- Three planes make 1000 classes, which are too much to keep.
        if count ~= REFERENCE or classifier.planes > 1 then return { now() } end
        return { cache.rows(classifier, count, now) }
    end)
    return looked[1], looked[2]
end

local function features_of(self, count) return (select(2, look(self, count))) end

function Reals:features() return features_of(self, REFERENCE) end

function Reals:statistics()
    return once(self, "statistics", function() return core.statistics(WHAT, self:features()) end)
end

-- Features of as many images as are to be scored, and the distance of each from its k-th neighbor.
function Reals:neighbors(count, k)
    local features = features_of(self, count)
    return features, once(self, ("radii %d %d"):format(#features, k), function()
        return core.radii(WHAT, features, k)
    end)
end

-- How many are of each class, as the classifier sees it.
function Reals:classes()
    return once(self, "classes", function()
        local logits = look(self, REFERENCE)
        return core.histogram(WHAT, core.labels(WHAT, logits), logits:shape()[2])
    end)
end

-- Features of so many training images, and how far test images are from the nearest of them.
function Reals:held_out(training)
    local features = features_of(self, training)
    return features, once(self, "held out " .. #features, function()
        local test = self.classifier.test
        local _, held_out = self.classifier:look(reals.samples(test, math.min(test:count(), 2500)))
        return core.nearest(WHAT, held_out, features)
    end)
end

return reals
