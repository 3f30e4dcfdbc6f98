-- The directory of a run: what is kept in it, and where.
--
--     script.lua, run.txt     what is run: the script, and facts about it
--     log.txt                 what was said
--     state.txt, states/      which state is the latest, and that one and the one before
--     reals.png, samples/...  pictures
--
-- run.txt and state.txt hold a fact a line, "name value". They are written whole or not at all, a state before the
-- text that names it, and a state is removed after no text names it any more: so whenever the program is stopped,
-- there is a state to go on from.
local command = require "brood.command"
local files = require "brood.files"

local Run = {}
Run.__index = Run

local folder = {}

-- ---- facts ---------------------------------------------------------------------------------------------------------

-- facts: { { name, value }, ... }; nil values are left out.
local function save_facts(path, facts)
    local lines = {}
    for _, fact in ipairs(facts) do
        if fact[2] ~= nil then
            lines[#lines + 1] = ("%s %s\n"):format(fact[1], (tostring(fact[2]):gsub("%c", " ")))
        end
    end
    files.save(path, table.concat(lines))
end

local function read_facts(path)
    local facts = {}
    for name, value in command.read(path):gmatch "(%S+) ([^\n]*)\n" do facts[name] = value end
    return facts
end

-- ---- new runs ------------------------------------------------------------------------------------------------------

-- The given directory, which must be new, or the next free runs/00001-NAME.
local function make_directory(given, name)
    if given then
        if not command.try(files.make_folder, given) then
            command.fail("%s is there already: give the name of a new directory, or go on with `brood resume %s`", given,
                given)
        end
        return given
    end
    command.try(files.make_folder, "runs")
    name = name:gsub("[^%w%-_.]", "-")
    for number = 1, 99999 do
        local directory = ("runs/%05d-%s"):format(number, name)
        if command.try(files.make_folder, directory) then return directory end
    end
    command.fail "runs/ is full"
end

-- A new run: `given` is its directory or nil, `facts` what run.txt says.
function folder.new(given, name, script, facts)
    local text = command.read(script)
    local self = setmetatable({ directory = make_directory(given, name) }, Run)
    command.try(function()
        files.make_folder(self:path "samples")
        files.make_folder(self:path "states")
        files.save(self:path "script.lua", text)
        save_facts(self:path "run.txt", { { "script", files.absolute(script) or script }, table.unpack(facts) })
    end)
    return self
end

-- ---- runs that are there -------------------------------------------------------------------------------------------

local function is_state_name(name)
    return name and #name == 44 and name:find "^[%da-f]+%.safetensors$" ~= nil
end

local function count_of(facts, name, path)
    local number = math.tointeger(facts[name] and facts[name]:match "^%d+$" and tonumber(facts[name]))
    if not number then command.fail("%s: damaged: no number for '%s' in it", path, name) end
    return number
end

-- The run in a directory.
function folder.open(directory)
    local self = setmetatable({ directory = directory:gsub("(.)/+$", "%1") }, Run)
    if files.kind(directory) ~= "folder" then
        command.fail("%s: there is no such run: the directory of a run expected, such as runs/00001-digits", directory)
    end
    local path = self:path "state.txt"
    for _, name in ipairs { "script.lua", "run.txt", "state.txt" } do
        if files.kind(self:path(name)) ~= "file" then
            command.fail("%s: not a run that can be used: it has no %s", directory, name)
        end
    end
    self.facts = read_facts(self:path "run.txt")
    local state = read_facts(path)
    if not is_state_name(state.state) then command.fail("%s: damaged: it names no state", path) end
    self.state, self.before = state.state, is_state_name(state.before) and state.before or nil
    for _, name in ipairs { "age", "steps", "round", "rounds" } do self[name] = count_of(state, name, path) end
    return self
end

function Run:path(name) return self.directory .. "/" .. name end

function Run:state_path() return self:path("states/" .. self.state) end

-- The run's own copy of the script; what it requires is looked for where the script was.
function Run:load_script()
    if self.facts.script then command.look_beside(self.facts.script) end
    return command.load(self:path "script.lua")
end

-- The state file that the user means by a run or by the file itself.
function folder.state_of(path)
    if files.kind(path) == "folder" then return folder.open(path):state_path() end
    if files.kind(path) ~= "file" then
        command.fail("%s: there is no such thing: the directory of a run or a state file expected", path)
    end
    return path
end

-- The run that a state file lies in, or nil.
function folder.run_of(state)
    local directory, name = state:match "^(.*)/states/([^/]*)$"
    if state:match "^states/[^/]*$" then directory, name = ".", state:sub(8) end
    if not is_state_name(name) or files.kind(directory .. "/state.txt") ~= "file" then return nil end
    return folder.open(directory)
end

-- What a run's averaged generator makes, or a state's of the run that it lies in: :sample(first, count, seed), `data`
-- and `seed`. nil when the path is neither.
function folder.generator(path)
    local state = files.kind(path) == "file"
    local run = state and folder.run_of(path)
    if state and not run then command.fail("%s: not a state file in the directory of a run", path) end
    if not state and files.kind(path .. "/run.txt") ~= "file" then return nil end
    run = run or folder.open(path)
    local experiment = run:load_script()
    local member = experiment:member(experiment.seed, 0)
    command.try(member.load, member, state and path or run:state_path())
    return {
        data = experiment.data, seed = experiment.seed,
        sample = function(_, first, count, seed) return member:sample(first, count, seed) end,
    }
end

-- ---- keeping -------------------------------------------------------------------------------------------------------

-- Removes states that are no longer named, and what a kill has left of unfinished ones.
local function tidy(self)
    for _, name in ipairs(files.list(self:path "states")) do
        local unfinished = name:find "%.safetensors%..*%.tmp$"
        if unfinished or is_state_name(name) and name ~= self.state and name ~= self.before then
            os.remove(self:path("states/" .. name))
        end
    end
end

-- Keeps the member's state as that after `round` of `rounds`.
function Run:keep(member, round, rounds)
    local name = member:save(self:path "states")
    local age = member:age()
    local before = name == self.state and self.before or self.state
    save_facts(self:path "state.txt", {
        { "state", name }, { "before", before }, { "age", age }, { "steps", member:steps() },
        { "round", round }, { "rounds", rounds },
    })
    self.state, self.before, self.round, self.age, self.rounds = name, before, round, age, rounds
    tidy(self)
end

return folder
