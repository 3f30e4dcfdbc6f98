-- What the commands share: loading a script that returns an experiment.
local experiment = require "brood.experiment"

local command = {}

-- The experiment that a script file returns.
function command.load(path)
    local chunk, message = loadfile(path)
    if not chunk then error(message, 0) end
    local returned = chunk()
    if not experiment.is(returned) then
        error(("%s: the script must return brood.experiment { ... }, it returned %s"):format(path,
            returned == nil and "nothing" or "a " .. type(returned)), 0)
    end
    return returned
end

return command
