-- brood weights RUN-OR-STATE -o FILE: the averaged generator alone, with facts that tell where it comes from.
local command = require "brood.command"
local folder = require "brood.command.folder"
local model = require "brood.model"

local function facts_of(state)
    local facts = { { "state", state:match "[^/]*$" } }
    local run = folder.run_of(state)
    if not run then return facts end
    for _, name in ipairs { "name", "data", "latent", "seed" } do
        if run.facts[name] then facts[#facts + 1] = { name, run.facts[name] } end
    end
    if run.state == facts[1][2] then facts[#facts + 1] = { "age", ("%d"):format(run.age) } end
    return facts
end

return command.main(function(options, given)
    local path = options.output or command.misuse "weights: -o FILE is missing, the file to write"
    local state = folder.state_of(given)
    command.try(model.export, state, "G", path, facts_of(state))
    print(path)
end)
