-- brood run SCRIPT [DIRECTORY]: trains one member of the experiment, round by round, and keeps in the directory the
-- script, a log, and pictures of what is made of fixed latent vectors.
local command = require "brood.command"
local files = require "brood.files"
local image = require "brood.image"

local SHOWN = 64 -- images in a grid

local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
end

local function write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
end

-- The given directory, which must be new, or the next free runs/00001-NAME.
local function make_directory(given, name)
    if given then
        if not files.make_folder(given) then
            error(("%s is there already: give the name of a new directory"):format(given), 0)
        end
        return given
    end
    files.make_folder "runs"
    for number = 1, 99999 do
        local directory = ("runs/%05d-%s"):format(number, name)
        if files.make_folder(directory) then return directory end
    end
    error("runs/ is full", 0)
end

-- Says it on the terminal and in the log.
local function log_to(path)
    local file = assert(io.open(path, "a"))
    file:setvbuf "line"
    return function(format, ...)
        local line = format:format(...)
        print(line)
        io.stdout:flush()
        assert(file:write(line, "\n"))
    end
end

local function is_points(experiment)
    local height, width = table.unpack(experiment.data:shape())
    return height == 1 and width == 1
end

local function draw_points(path, experiment, member)
    local real = experiment.data:samples(1, 1000)
    image.scatter(path, experiment.data:extent(), real, member:sample(1, 1000, experiment.seed))
end

local function draw(directory, experiment, member, round)
    local name = ("%s/samples/%05d"):format(directory, round)
    if is_points(experiment) then return draw_points(name .. ".png", experiment, member) end
    image.grid(name .. ".png", member:sample(1, SHOWN, experiment.seed))
    image.grid(name .. "-raw.png", member:sample(1, SHOWN, experiment.seed, true))
end

local function line_of(round, member, signals, seconds)
    local words = {}
    for name, value in pairs(signals) do words[#words + 1] = ("%s %.4g"):format(name, value) end
    table.sort(words)
    return ("round %d  step %d  %s  %.1f ms a step"):format(round, member:age(), table.concat(words, "  "), seconds * 1e3)
end

return function(path, given)
    local experiment = command.load(path)
    experiment:build()
    local directory = make_directory(given, experiment.name)
    files.make_folder(directory .. "/samples")
    write(directory .. "/script.lua", read(path))
    local log = log_to(directory .. "/log.txt")
    log("%s", experiment:describe())
    log("run: %s", directory)
    if not is_points(experiment) then image.grid(directory .. "/reals.png", (experiment.data:samples(1, SHOWN))) end
    local member = experiment:member(experiment.seed, 0)
    draw(directory, experiment, member, 0)
    for round = 1, experiment.rounds do
        local start = files.seconds()
        local signals, failure = member:train(experiment.interval)
        if not signals then error(("%s: training has failed: %s"):format(directory, failure), 0) end
        log("%s", line_of(round, member, signals, (files.seconds() - start) / experiment.interval))
        draw(directory, experiment, member, round)
    end
    log("done: %s/samples holds the pictures", directory)
end
