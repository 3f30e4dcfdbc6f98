-- brood lineage RUN [--member N] [--all]: who descends from whom, or where one member comes from.
local command = require "brood.command"
local folder = require "brood.folder"
local forest = require "brood.show.forest"
local history = require "brood.show.history"

return command.main(function(options, directory)
    local slot = command.member(options)
    folder.check_begun(directory)
    local run = command.try(history.read, directory)
    if run.rounds == 0 then command.fail("%s: no round has been done in it yet", directory) end
    local node = slot and history.last_of(run, slot)
    if slot and not node then command.fail("%s: there is no member %d in it", directory, slot) end
    local lines = node and forest.lineage_lines(run, node) or forest.lines(run, options.all)
    print(table.concat(lines, "\n"))
end)
