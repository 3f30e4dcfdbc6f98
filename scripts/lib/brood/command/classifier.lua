-- brood classifier DATASET [PATH]: trains or shows the two classifiers of a data set, selection and report, with the
-- pairs of classes that they take for each other.
local command = require "brood.command"
local data = require "brood.data"
local metric = require "brood.metric"
local script = require "brood.script"

local NAMES = { "cifar10", "digits", "fashion_mnist", "folder", "mnist" } -- labelled, by classes
local SHOWN = 5 -- confused pairs

-- The data set that a command line names; `path` is where its files are looked for first.
local function open(name, path)
    name = name:gsub("-", "_")
    for _, known in ipairs(NAMES) do
        if known == name then return data[name](path and { path = path } or {}) end
    end
    local near = script.nearest(name, NAMES)
    command.misuse("there is no data set '%s': %s", name,
        near and ("did you mean '%s'?"):format(near) or "there are " .. table.concat(NAMES, ", "))
end

local function show(role, classifier)
    print(("%s %s"):format(role, classifier))
    for _, pair in ipairs(classifier:worst(SHOWN)) do
        print(("    %-12s called %-12s %5d times, %.1f %% of its test images"):format(pair.class, pair.called, pair.count,
            100 * pair.share))
    end
end

return command.main(function(_, name, path)
    local set = command.try(open, name, path)
    local selection, report = command.try(metric.classifiers, { data = set })
    show("selection", selection)
    show("report", report)
end)
