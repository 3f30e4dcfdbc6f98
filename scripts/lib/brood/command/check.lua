-- brood check SCRIPT: builds everything, prints what it is made of, and trains nothing.
local command = require "brood.command"

return command.main(function(_, path)
    print(command.load(path):describe())
end)
