-- brood classifier DATASET [--path PATH]: trains or shows the two classifiers of a data set, selection and report, with the
-- pairs of classes that they take for each other.
local command = require "brood.command"
local data = require "brood.data"
local metric = require "brood.metric"

local NAMES = { "cifar10", "digits", "fashion_mnist", "folder", "mnist" } -- labelled, by classes
local SHOWN = 5 -- confused pairs

local function show(role, classifier)
    print(("%s %s"):format(role, classifier))
    for _, pair in ipairs(classifier:worst(SHOWN)) do
        print(("    %-12s called %-12s %5d times, %.1f %% of its test images"):format(pair.class, pair.called, pair.count,
            100 * pair.share))
    end
end

return command.main(function(options, given, path)
    if path and options.path then command.misuse "classifier: PATH and --path: one or the other" end
    path = path or options.path -- where its files are looked for first
    local name = command.data_name(given, NAMES)
    local set = command.try(data[name], path and { path = path } or {})
    local selection, report = command.try(metric.classifiers, { data = set })
    show("selection", selection)
    show("report", report)
end)
