-- brood grid RUN: pictures of what a run's generator makes.
local command = require "brood.command"
local folder = require "brood.folder"
local pictures = require "brood.show.pictures"

local COUNT_LIMIT = 10000

-- The one kind of picture that the options ask for: "grid" if none.
local function kind_of(options)
    local kind
    for _, name in ipairs { "interpolate", "neighbours", "classes" } do
        if options[name] and kind then command.misuse("--%s and --%s: one picture at a time", kind, name) end
        if options[name] then kind = name end
    end
    return kind or "grid"
end

local DRAW = {
    grid = function(path, experiment, member, options)
        pictures.draw(path, experiment, pictures.sample(experiment, member, options), options)
    end,
    interpolate = pictures.interpolation,
    neighbours = pictures.neighbors,
    classes = pictures.classes,
}
local FILES = { grid = "grid.png", interpolate = "interpolation.png", neighbours = "neighbours.png", classes = "classes.png" }

local function check_possible(kind, experiment)
    local makes = experiment:makes()
    if makes == "numbers" then command.fail("experiment '%s' makes no images", experiment.name) end
    if makes == "points" and kind ~= "grid" then
        command.fail("--%s: experiment '%s' makes points, of which only a plot can be drawn", kind, experiment.name)
    end
    if kind == "neighbours" and not experiment.data then
        command.fail("--neighbours: experiment '%s' has no data set", experiment.name)
    end
    if kind == "classes" and not experiment.conditional then
        command.fail("--classes: experiment '%s' is not conditional", experiment.name)
    end
end

return command.main(function(options, directory)
    local kind = kind_of(options)
    if kind == "classes" and options.class then command.misuse "--classes and --class: all of them, or one" end
    local chosen = {
        count = command.whole(options, "count", 1, COUNT_LIMIT), raw = options.raw or nil,
        seed = command.whole(options, "seed", 0, math.maxinteger),
    }
    local slot = command.member(options)
    local run = folder.open(directory)
    run:check_gan()
    check_possible(kind, run:load_script())
    local experiment, member = run:revive(slot)
    local path = options.output or run:path(FILES[kind])
    chosen.class = options.class and command.try(pictures.class, experiment, options.class)
    local fine, message = pcall(DRAW[kind], path, experiment, member, chosen)
    if not fine then
        local large = chosen.count and tostring(message):find "^an image of"
        command.fail("%s%s", large and ("-n %d is too many for one picture: "):format(chosen.count) or "", message)
    end
    print(path)
end)
