-- brood show RUN [--member N] [--schedule]: a run in a few lines, or the schedule of its best member as Lua.
local command = require "brood.command"
local folder = require "brood.folder"
local history = require "brood.show.history"
local summary = require "brood.show.summary"

return command.main(function(options, directory)
    local slot = command.member(options)
    folder.check_begun(directory)
    local run = command.try(history.read, directory)
    local node = slot and history.last_of(run, slot)
    if slot and not node then command.fail("%s: there is no member %d in it", directory, slot) end
    if not options.schedule then
        print(table.concat(summary.lines(run, node), "\n"))
        return
    end
    node = node or run.best or command.fail("%s: nothing has been scored in it yet", directory)
    print(summary.schedule(run, node))
end)
