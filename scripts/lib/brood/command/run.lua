-- brood run SCRIPT: trains the experiment's population, round by round, in a new directory (folder.lua).
local command = require "brood.command"
local folder = require "brood.folder"
local train = require "brood.command.train"

local SEED_LIMIT, STEP_LIMIT, ROUND_LIMIT = math.maxinteger, 1 << 53, 1000000

-- The options that are fields of the experiment, as --set has them.
local function overrides_of(options)
    local overrides = command.settings(options)
    local function set(name, low, high)
        local number = command.whole(options, name, low, high)
        if number then overrides[#overrides + 1] = command.override(name, ("%d"):format(number), "--" .. name) end
    end
    set("seed", 0, SEED_LIMIT)
    set("steps", 1, STEP_LIMIT)
    set("rounds", 1, ROUND_LIMIT)
    if options.control then overrides[#overrides + 1] = command.override("control", options.control, "--control") end
    if options.steps and not options.rounds then
        overrides[#overrides + 1] = command.override("rounds", ("%d"):format(ROUND_LIMIT))
    end
    return overrides
end

local function run(options, path, overrides, directory)
    local experiment = command.load(path, overrides)
    local from = options.from or experiment.from
    local source, workers = from and folder.source(from, experiment) or {}, train.workers(options)
    train.prepare(experiment)
    local plan = folder.plan(experiment, path, source)
    return train.begin(folder.new(directory, experiment.name, path, plan), experiment, plan, { workers = workers })
end

-- The same with seeds one after the other, for comparisons: directories DIR-1, DIR-2, ...
local function run_seeds(options, path, overrides, count)
    local first = command.load(path, overrides).seed
    local function directory_of(seed)
        return options.out and options.out ~= "" and ("%s-%d"):format(options.out, seed) or options.out
    end
    for seed = first, first + count - 1 do folder.check_new(directory_of(seed)) end
    for seed = first, first + count - 1 do
        local own = table.move(overrides, 1, #overrides, 1, {})
        own[#own + 1] = command.override("seed", ("%d"):format(seed))
        run(options, path, own, directory_of(seed))
    end
end

return command.main(function(options, path)
    local overrides = overrides_of(options)
    local seeds = command.whole(options, "seeds", 1, 1000)
    train.workers(options) -- what is wrong with it is told before anything begins
    if seeds then
        run_seeds(options, path, overrides, seeds)
    else
        folder.check_new(options.out)
        run(options, path, overrides, options.out)
    end
end)
