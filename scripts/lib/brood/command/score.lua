-- brood score IMAGES [--real DATASET] [--path PATH] [--count N]: all metrics of images beside those of as many real test
-- images, by the report classifier of the data set, and the classifier score by the selection classifier, too. IMAGES is
-- a folder of PNG files, a run, or a state file of a run.
local command = require "brood.command"
local data = require "brood.data"
local files = require "brood.files"
local folder = require "brood.folder"
local image = require "brood.image"
local metric = require "brood.metric"
local reals = require "brood.metric.reals"
local text = require "brood.show.text"

local NAMES = { "cifar10", "digits", "fashion_mnist", "folder", "grid", "mnist", "ring", "stacked_mnist" }
local MOST = 10000     -- images
local PIECE = 1000     -- that are generated between two lines of progress
local TRAINING = 60000 -- training images that copies are looked for among

-- ---- what is compared ---------------------------------------------------------------------------------------------

local function say(format, ...)
    io.stderr:write("brood: ", format:format(...), "\n")
end

-- On a terminal, a line that the next one takes the place of; nil takes it away.
local function stands(format, ...)
    if not files.terminal(true) then return end
    io.stderr:write("\r\27[K", format and text.cut(("brood: " .. format):format(...), files.terminal(true) - 1) or "")
end

local function progress(what, done, all)
    if what then
        stands("%d of %d measures taken: %s", done, all, what)
    else
        stands("%d of %d images looked at", done, all)
    end
end

local function named_data(options)
    local name = command.data_name(options.real, NAMES)
    return command.try(data[name], options.path and { path = options.path } or {})
end

-- --real, or what a run was trained on.
local function real_data(options, generator)
    if options.real then return named_data(options) end
    if generator and generator.data then return generator.data end
    command.misuse "score: --real DATASET is missing: what the images are compared with"
end

-- Up to `most` images of a folder, in the size (of squares) and colors of the real ones; those too that data.folder
-- holds out for tests. Where there are more, they are taken from everywhere in it.
local function read_folder(path, real, most)
    local shape = real:shape()
    if shape[1] == 1 then command.fail("%s: %s: images cannot be compared with points", path, real) end
    local size = shape[1] == shape[2] and shape[1] or nil
    local set = data.folder { path = path, size = size, color = shape[3] == 3, split = "all" }
    say("%d images read of %s", set:count(), path)
    if set:note() ~= "" then say("%s: %s", path, set:note()) end
    return reals.samples(set, math.min(most, set:count()))
end

local function check_shapes(path, generator, real)
    local makes, wanted = table.concat(generator.data:shape(), "×"), table.concat(real:shape(), "×")
    if makes == wanted then return end
    command.fail("%s: the generator makes images of %s, those of %s are %s: compare it with what it was trained on", path,
        makes, real:kind(), wanted)
end

-- What the generator makes of fixed latent vectors.
local function generate(generator, count, seed)
    local pieces = {}
    for first = 1, count, PIECE do
        pieces[#pieces + 1] = generator:sample(first, math.min(PIECE, count - first + 1), seed)
        stands("%d of %d images generated", math.min(count, first + PIECE - 1), count)
    end
    stands(nil)
    say("%d images generated", count)
    return image.join(pieces)
end

-- ---- the scores ---------------------------------------------------------------------------------------------------

local OF_IMAGES = {
    "classifier_score", "frechet", "kernel", "precision", "recall", "density", "coverage", "memorization_score",
    "class_balance", "class_entropy", "modes_score", "reverse_kl",
}
local WITHOUT_LABELS = { "frechet", "kernel", "precision", "recall", "density", "coverage", "memorization_score" }
local OF_POINTS = { "modes_score", "high_quality", "reverse_kl" }

local function names_for(real)
    if real:shape()[1] == 1 then return OF_POINTS end
    return #real:classes() >= 2 and OF_IMAGES or WITHOUT_LABELS
end

local function scores_for(real, count)
    local scores = {}
    for _, name in ipairs(names_for(real)) do
        local options = { samples = count }
        if name == "memorization_score" then options.training = TRAINING end
        scores[#scores + 1] = metric[name](options)
    end
    if scores[1].name == "classifier_score" then
        local other = metric.classifier_score { samples = count }
        other.role = "selection"
        table.insert(scores, 2, other)
    end
    return scores
end

local MEANING = {
    classifier_score = "sure of each image, and of many classes",
    frechet = "distance of means and covariances",
    kernel = "distance, all moments up to the third",
    precision = "share of these near real ones",
    recall = "share of real ones near these",
    density = "real ones around each",
    coverage = "share of real ones with one of these near",
    memorization = "share nearer to a training image than 99 % of unseen ones",
    class_balance = "distance from the real classes",
    class_entropy = "as many equally common classes",
    modes = "modes or classes that occur",
    high_quality = "share of points near a mode",
    reverse_kl = "how uneven modes or classes are",
}

local function show(rows)
    print(("%-32s %20s %20s  %-6s  %s"):format("", "these", "real test images", "better", ""))
    for _, row in ipairs(rows) do
        local by = row.role == "selection" and ", 2nd classifier" or ""
        print(("%-32s %11.4f ± %6.4f %11.4f ± %6.4f  %-6s  %s%s"):format(row.name .. by, row.value, row.deviation,
            row.ceiling, row.ceiling_deviation, row.better, MEANING[row.name],
            row.suspicious and ": BETTER THAN REAL IMAGES, suspicious" or ""))
    end
end

-- Which classifiers the scores are by, as `brood classifier` names them, and what is missing without labels.
local function show_classifiers(rows, real)
    local named, words = {}, {}
    for _, row in ipairs(rows) do
        if row.classifier and not named[row.role] then
            named[row.role] = true
            words[#words + 1] = ("the %s%s classifier %s"):format(row.role == "selection" and "2nd, " or "", row.role,
                row.classifier:sub(1, 8))
        end
    end
    if #words > 0 then print("by " .. table.concat(words, "; ")) end
    if rows[1].classifier and #real:classes() < 2 then
        print "no classifier score, nor any score of classes: they are not to be had without labels"
    end
end

return command.main(function(options, path)
    local generator = folder.generator(path)
    local real = real_data(options, generator)
    if generator and generator.data then check_shapes(path, generator, real) end
    local wanted = command.whole(options, "count", 2, MOST, generator and 5000 or MOST)
    local images = generator and command.try(generate, generator, wanted, generator.seed)
        or command.try(read_folder, path, real, wanted)
    local count = math.min(wanted, images:shape()[1])
    if count < 2 then command.fail("%s: at least two images are needed, there is %d", path, count) end
    local scores = scores_for(real, count)
    say("looking at %d images of %s, and at %s", count, path, real)
    stands "looking at real images"
    local rows, reason = command.try(metric.report, scores, { sample = function() return images end },
        { data = real, seed = 1 }, progress)
    stands(nil)
    if not rows then command.fail("%s: %s", path, reason) end
    print(("%d images of %s, beside %s"):format(count, path, real))
    show(rows)
    show_classifiers(rows, real)
end)
