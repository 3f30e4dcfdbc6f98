-- The directory of a run, and what is found in it:
--
--     script.lua              the script as it was run
--     run.db, states/         the run store (pbt/store.h), and the states that it refers to
--     classifiers/            those that score it, by hash
--     log.txt                 what was said
--     reals.png, samples/...  pictures
local cache = require "brood.metric.cache"
local check = require "brood.check"
local command = require "brood.command"
local files = require "brood.files"
local plain = require "brood.plain"
local record = require "brood.record"

local Folder = {}
Folder.__index = Folder

local folder = {}

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

-- A new directory, `given` or nil, for a run of the script.
function folder.new(given, name, script)
    local text = command.read(script)
    local self = setmetatable({ directory = make_directory(given, name) }, Folder)
    command.try(function()
        files.make_folder(self:path "samples")
        files.save(self:path "script.lua", text)
    end)
    return self
end

local function remove(path)
    if files.kind(path) == "folder" then
        for _, name in ipairs(files.list(path)) do remove(path .. "/" .. name) end
    end
    os.remove(path)
end

-- Of a run that could not be begun nothing stays.
function Folder:discard() remove(self.directory) end

-- ---- runs that are there -------------------------------------------------------------------------------------------

-- The run in a directory.
function folder.open(directory)
    local self = setmetatable({ directory = directory:gsub("(.)/+$", "%1") }, Folder)
    if files.kind(directory) ~= "folder" then
        command.fail("%s: there is no such run: the directory of a run expected, such as runs/00001-digits", directory)
    end
    for _, name in ipairs { "script.lua", "run.db" } do
        if files.kind(self:path(name)) ~= "file" then
            command.fail("%s: not a run that can be used: it has no %s", directory, name)
        end
    end
    return self
end

function Folder:path(name) return self.directory .. "/" .. name end

-- What the store knows under a name, or nil.
function Folder:fact(name) return command.try(record.fact, self.directory, name) end

-- What the command line had changed: { { name, text }, ... }.
function Folder:overrides()
    local overrides = {}
    for name, text in (self:fact "set" or ""):gmatch "([^\n=]+)=([^\n]*)" do overrides[#overrides + 1] = { name, text } end
    return overrides
end

-- The experiment of the run's own copy of the script, as the command line had changed it; what it requires is looked for
-- where the script was.
function Folder:load_script(more)
    local overrides, script = self:overrides(), self:fact "script"
    table.move(more or {}, 1, #(more or {}), #overrides + 1, overrides)
    if script then command.look_beside(script) end
    cache.look_in(self:path "classifiers")
    local experiment = command.load(self:path "script.lua", overrides, script)
    local replay = self:fact "replay"
    if replay then experiment:set_replay(plain.decode(replay)) end
    return experiment
end

-- ---- members of a run ----------------------------------------------------------------------------------------------

-- The member whose states people mean: that in `slot` at the end, or else the one with the best score ever. A table of
-- slot, round, state (a hash), age, values.
function Folder:find_member(slot)
    local directory = self.directory
    local best = not slot and command.try(record.best, directory)
    local lineage = command.try(record.lineage, directory, slot or best.slot, best and best.round or nil)
    local last = lineage[#lineage]
    last.state = best and best.state or last.state
    if not last.state or last.state == "" then
        command.fail("%s: no state of member %d is kept: it has failed", directory, last.slot)
    end
    return last
end

function Folder:state_path(member) return self:path(("states/%s.safetensors"):format(member.state)) end

-- The member as it was, alive: the experiment, the brood.Member, and what find_member says of it.
function Folder:revive(slot)
    local experiment, found = self:load_script(), self:find_member(slot)
    local member = experiment:member(experiment.seed, found.slot, found.values)
    command.try(member.load, member, self:state_path(found))
    return experiment, member, found
end

-- ---- states --------------------------------------------------------------------------------------------------------

local function is_state_name(name)
    return name and #name == 44 and name:find "^[%da-f]+%.safetensors$" ~= nil
end

-- The run that a state file lies in, or nil.
function folder.run_of(state)
    local directory, name = state:match "^(.*)/states/([^/]*)$"
    if state:match "^states/[^/]*$" then directory, name = ".", state:sub(8) end
    if not is_state_name(name) or files.kind(directory .. "/run.db") ~= "file" then return nil end
    return folder.open(directory)
end

-- The state file that the user means by a run or by the file itself; and the run and what find_member says, or nil.
function folder.state_of(path, slot)
    if files.kind(path) == "folder" then
        local run = folder.open(path)
        local member = run:find_member(slot)
        return run:state_path(member), run, member
    end
    if files.kind(path) ~= "file" then
        command.fail("%s: there is no such thing: the directory of a run or a state file expected", path)
    end
    return path, folder.run_of(path)
end

-- The hyperparameters of whoever had a state, or nil where the store has forgotten.
local function values_of_state(run, hash)
    for _, row in ipairs(command.try(record.export, run.directory).scored) do
        if row.state == hash then
            local lineage = command.try(record.lineage, run.directory, row.slot, row.round)
            return lineage[#lineage].values
        end
    end
end

-- What a run's averaged generator makes (that of find_member), or a state's of the run that it lies in:
-- :sample(first, count, seed), `data` and `seed`. nil when the path is neither.
function folder.generator(path, slot)
    local experiment, member
    if files.kind(path) == "file" then
        local run = folder.run_of(path)
        if not run then command.fail("%s: not a state file in the directory of a run", path) end
        experiment = run:load_script()
        member = experiment:member(experiment.seed, 0, values_of_state(run, path:match "([%da-f]+)%.safetensors$"))
        command.try(member.load, member, path)
    elseif files.kind(path .. "/run.db") == "file" then
        experiment, member = folder.open(path):revive(slot)
    else
        return nil
    end
    return {
        data = experiment.data, seed = experiment.seed,
        sample = function(_, first, count, seed) return member:sample(first, count, seed) end,
    }
end

-- What `from` means: { run = directory, round = number or nil }, or { state = path }.
function folder.source(text)
    local directory, round = text:match "^(.*)@(%d+)$"
    if directory and files.kind(directory) == "folder" then
        return { run = folder.open(directory).directory, round = math.tointeger(tonumber(round)) }
    end
    if files.kind(text) == "folder" then return { run = folder.open(text).directory } end
    if files.kind(text) ~= "file" then
        command.fail("%s: there is no such thing: the directory of a run, RUN@ROUND, or a state file expected%s", text,
            check.hint(text, {}))
    end
    return { state = text }
end

return folder
