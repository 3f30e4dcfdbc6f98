-- brood run SCRIPT [DIRECTORY]: trains one member of the experiment, round by round, and keeps in the directory what
-- command/folder.lua tells.
local command = require "brood.command"
local folder = require "brood.command.folder"
local train = require "brood.command.train"

local ROUND_LIMIT = 1000000

return command.main(function(options, path, given)
    local rounds = command.whole(options, "rounds", 1, ROUND_LIMIT)
    local experiment = command.load(path)
    rounds = rounds or experiment.rounds
    local from = options.from or experiment.from
    from = from and folder.state_of(from)
    local member = experiment:member(experiment.seed, 0)
    if from then command.try(member.load, member, from) end
    local run = folder.new(given, experiment.name, path, {
        { "name", experiment.name }, { "seed", experiment.seed }, { "latent", experiment.latent },
        { "data", experiment.data and tostring(experiment.data) }, { "from", from },
    })
    local log = train.log_to(run:path "log.txt")
    log("%s", experiment:describe())
    train.tell_classes(log, experiment.data)
    log("run: %s", run.directory)
    if from then log("from: %s, at step %d", from, member:age()) end
    train.begin(experiment, member, run, rounds)
    train.go(experiment, member, run, rounds, log)
end)
