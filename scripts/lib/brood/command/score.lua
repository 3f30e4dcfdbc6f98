-- brood score DIRECTORY --real DATASET [--path PATH] [--count N]: all metrics of a folder of PNG files beside those of
-- as many real test images, by the report classifier of the data set.
local check = require "brood.check"
local command = require "brood.command"
local data = require "brood.data"
local image = require "brood.image"
local metric = require "brood.metric"

local NAMES = { "cifar10", "digits", "fashion_mnist", "folder", "mnist" }
local MOST = 10000 -- images

local function open_real(options)
    if not options.real then command.misuse "score: --real DATASET is missing: what the images are compared with" end
    local name = options.real:gsub("-", "_")
    for _, known in ipairs(NAMES) do
        if known == name then return data[name](options.path and { path = options.path } or {}) end
    end
    command.misuse("score: there is no data set '%s'%s", options.real, check.hint(name, NAMES))
end

-- The images of the folder, in the size and colors of the real ones; those too that data.folder holds out for tests.
local function open_images(directory, real)
    local shape = real:shape()
    local training = data.folder { path = directory, size = shape[1], color = shape[3] == 3 }
    local test = training:test()
    return image.join { (training:samples(1, training:count())), (test:samples(1, test:count())) }
end

-- A member that generates images that are there.
local function member_of(images)
    return { sample = function() return images end }
end

local function scores(count)
    return {
        metric.classifier_score { samples = count }, metric.frechet { samples = count },
        metric.kernel { samples = count }, metric.precision { samples = count }, metric.recall { samples = count },
        metric.density { samples = count }, metric.coverage { samples = count }, metric.class_balance { samples = count },
    }
end

local function show(rows)
    print(("%-18s %22s %22s  %s"):format("", "these", "real test images", "better"))
    for _, row in ipairs(rows) do
        print(("%-18s %12.4f ± %7.4f %12.4f ± %7.4f  %s%s"):format(row.name, row.value, row.deviation, row.ceiling,
            row.ceiling_deviation, row.better, row.suspicious and "   better than real images: suspicious" or ""))
    end
end

return command.main(function(options, directory)
    local real = command.try(open_real, options)
    local images = command.try(open_images, directory, real)
    local count = math.min(command.whole(options, "count", 10, MOST, MOST), images:shape()[1])
    print(("%d images of %s, beside %s"):format(count, directory, real))
    show(command.try(metric.report, scores(count), member_of(images), { data = real, seed = 1 }))
end)
