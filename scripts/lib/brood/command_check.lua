-- brood check SCRIPT: builds everything, prints what it is made of, and trains nothing.
local command = require "brood.command"

return function(path)
    print(command.load(path):describe())
end
