-- brood weights RUN-OR-STATE -o FILE: the averaged generator alone, with facts that tell where it comes from.
local command = require "brood.command"
local folder = require "brood.folder"
local model = require "brood.model"

local function facts_of(state, run, member)
    local facts = { { "state", state:match "[^/]*$" } }
    if member then facts[2] = { "age", ("%d"):format(member.age) } end
    for _, name in ipairs { "name", "data", "latent", "seed" } do
        local value = run and run:fact(name)
        if value then facts[#facts + 1] = { name, value } end
    end
    return facts
end

return command.main(function(options, given)
    local path = options.output or command.misuse "weights: -o FILE is missing, the file to write"
    local slot = command.member(options)
    local state, run, member = folder.state_of(given, slot)
    if slot and not member then command.misuse("--member: %s is a state file, that of one member", given) end
    command.try(model.export, state, "G", path, facts_of(state, run, member))
    print(path)
end)
