-- What the commands share: their options, how they fail, and loading a script that returns an experiment.
local check = require "brood.check"
local experiment = require "brood.experiment"
local files = require "brood.files"

local command = {}

local MEMBER_LIMIT = 4095 -- the greatest slot that there can be

-- ---- failing -------------------------------------------------------------------------------------------------------

local FAILED, USAGE = 1, 2

local function stop(code, message)
    io.stdout:flush()
    io.stderr:write("brood: ", message, "\n")
    os.exit(code, true)
end

-- Ends the program. For what is no error of the script: there is no traceback.
function command.fail(format, ...) stop(FAILED, format:format(...)) end

-- The same when the command line makes no sense.
function command.misuse(format, ...) stop(USAGE, format:format(...)) end

-- f(...), whose errors end the program.
function command.try(f, ...)
    local results = table.pack(pcall(f, ...))
    if not results[1] then stop(FAILED, tostring(results[2])) end
    return table.unpack(results, 2, results.n)
end

-- ---- options -------------------------------------------------------------------------------------------------------

-- A command's module returns command.main(f); f is called with the options given, { name = value or true }, and the
-- arguments. The program hands over --NAME=VALUE or --NAME, then --, then the arguments.
function command.main(f)
    return function(...)
        local words, options, first = table.pack(...), {}, 1
        while words[first] ~= "--" do
            local name, value = words[first]:match "^%-%-([^=]*)=(.*)$"
            if name == "set" then -- may be given again and again
                options.set = options.set or {}
                table.insert(options.set, value)
            else
                options[name or words[first]:sub(3)] = value or true
            end
            first = first + 1
        end
        return f(options, table.unpack(words, first + 1, words.n))
    end
end

-- A whole number among the options.
function command.whole(options, name, low, high, otherwise)
    local text = options[name]
    if not text then return otherwise end
    local number = math.tointeger(text:match "^%d+$" and tonumber(text))
    if not number or number < low or number > high then
        command.misuse("--%s: a whole number from %d to %d expected, got '%s'", name, low, high, text)
    end
    return number
end

-- The member that is asked for, by its slot, or nil.
function command.member(options) return command.whole(options, "member", 0, MEMBER_LIMIT) end

-- The name in brood.data of a data set that the user names, with - or with _; one of `names`.
function command.data_name(given, names)
    local wanted = given:gsub("-", "_")
    for _, name in ipairs(names) do
        if name == wanted then return name end
    end
    local hint = check.hint(wanted, names)
    if hint == "" then hint = ": there are " .. table.concat(names, ", ") end
    command.misuse("there is no data set '%s'%s", given, hint)
end

-- ---- files and folders ---------------------------------------------------------------------------------------------

-- A file, or a folder with all that is in it, is no more.
function command.remove(path)
    if files.kind(path) == "folder" then
        for _, name in ipairs(files.list(path)) do command.remove(path .. "/" .. name) end
    end
    os.remove(path)
end

-- ---- scripts -------------------------------------------------------------------------------------------------------

function command.read(path)
    local file, message = io.open(path, "rb")
    local text = file and file:read "a"
    if file then file:close() end
    if not text then command.fail("%s", message or path .. ": a file expected") end
    return text
end

-- `require` looks in the folder of `path`, too: for a script that is not where it was written.
function command.look_beside(path)
    local folder = path:match "^(.*)/[^/]*$"
    if folder and files.kind(folder) then package.path = ("%s/?.lua;%s/?/init.lua"):format(folder, folder) end
end

-- What the command line changes in an experiment (override.lua), by --set or by an option of its own.
function command.override(name, text, option)
    return { name, text, option = option, refuse = command.misuse }
end

-- What --set asks for, as experiments take it.
function command.settings(options)
    local settings = {}
    for i, setting in ipairs(options.set or {}) do
        local name, text = setting:match "^([%w_.]+)=(.*)$"
        if not name then command.misuse("--set: NAME=VALUE expected, as in --set population=4, got '%s'", setting) end
        settings[i] = command.override(name, text)
    end
    return settings
end

-- The experiment that a script file returns. `overrides` are settings; `original` is where the script stood, if it is a
-- copy: programs run there.
function command.load(path, overrides, original)
    local text = command.read(path)
    local chunk, message = load(text:gsub("^#[^\n]*", ""), "@" .. (original or path))
    if not chunk and message:find("binary chunk", 1, true) then
        command.fail("%s: this is compiled Lua, which is not run: give the source text", path)
    end
    if not chunk then command.fail("%s", message) end
    experiment.overrides = overrides
    local returned = chunk()
    experiment.overrides = nil
    if not experiment.is(returned) then
        command.fail("%s: the script must return brood.experiment { ... }, it returned %s", path,
            returned == nil and "nothing" or "a " .. type(returned))
    end
    returned.folder = (original or path):match "^(.*)/[^/]*$" or "."
    return returned
end

return command
