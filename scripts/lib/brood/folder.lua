-- The directory of a run, and what is found in it:
--
--     script.lua, plan.lua    the script as it was run, and what else it was begun with
--     run.db, states/         the run store (pbt/store/store.h), and the states that it refers to
--     classifiers/            those that score it, by hash
--     log.txt                 what was said
--     reals.png, samples/...  pictures
local cache = require "brood.metric.cache"
local command = require "brood.command"
local files = require "brood.files"
local plain = require "brood.plain"
local record = require "brood.record"

local Folder = {}
Folder.__index = Folder

local folder = {}

-- ---- new runs ------------------------------------------------------------------------------------------------------

local function refuse_old(given)
    command.fail("%s is there already: give the name of a new directory, or go on with `brood resume %s`", given, given)
end

-- Before anything takes long: a directory that is given (or nil) can be made.
function folder.check_new(given)
    if not given then return end
    if given == "" then command.misuse "--out: the name of a new directory expected, got none" end
    if files.kind(given) then refuse_old(given) end
    local above = given:match "^(.*[^/])/+[^/]+/*$"
    if above and files.kind(above) ~= "folder" then
        command.fail("%s cannot be made: there is no folder %s", given, above)
    end
end

-- The given directory, which must be new, or the next free runs/00001-NAME.
local function make_directory(given, name)
    if given then
        if not command.try(files.make_folder, given) then refuse_old(given) end
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

-- What a run of the experiment is begun with, apart from its script: plain data that is kept in its directory, so that it
-- can be begun again. source: folder.source; more: { replays =, order = }, as train.begin knows them.
function folder.plan(experiment, script, source, more)
    local plan = { source = source, facts = {
        script = files.absolute(script) or script, set = experiment:settings(),
        replay = experiment.replay and plain.encode(experiment.replay),
    } }
    for name, value in pairs(more or {}) do plan[name] = value end
    return plan
end

-- A new directory, `given` or nil, for a run of the script by a plan.
function folder.new(given, name, script, plan)
    local text = command.read(script)
    local self = setmetatable({ directory = make_directory(given, name) }, Folder)
    local fine, message = pcall(function()
        files.make_folder(self:path "samples")
        files.save(self:path "plan.lua", plain.encode(plan, "plan"))
        files.save(self:path "script.lua", text)
    end)
    if fine then return self end
    self:discard()
    command.fail("%s", message)
end

-- Of a run that could not be begun nothing stays.
function Folder:discard() command.remove(self.directory) end

-- ---- runs that are there -------------------------------------------------------------------------------------------

-- Whether anything is in the store: a run that is killed early has left no more than its plan.
local function has_begun(self)
    if files.kind(self:path "run.db") ~= "file" then return false end
    local fine, message = pcall(record.fact, self.directory, "name")
    return fine or not tostring(message):find("no run has been begun in it", 1, true)
end

-- For commands that read a store: a run that was ended before its first commit has nothing to show.
function folder.check_begun(directory)
    local self = setmetatable({ directory = directory }, Folder)
    if files.kind(self:path "plan.lua") and not has_begun(self) then
        command.fail("%s: it was ended before it had begun: `brood resume %s` begins it", directory, directory)
    end
end

-- The run in a directory. One that was ended before its first commit is refused, unless it is to be `begun`: then it has
-- a `plan`, and its facts are as far as that knows them.
function folder.open(directory, begun)
    local self = setmetatable({ directory = directory:gsub("(.)/+$", "%1") }, Folder)
    if files.kind(directory) ~= "folder" then
        command.fail("%s: there is no such run: the directory of a run expected, such as runs/00001-digits", directory)
    end
    if files.kind(self:path "script.lua") ~= "file" then
        command.fail("%s: not a run that can be used: it has no script.lua", directory)
    end
    if has_begun(self) then return self end
    self.plan = self:kept_plan()
    if not self.plan then
        command.fail("%s: it was ended before it had begun: remove it, and begin it again", self.directory)
    elseif not begun then
        command.fail("%s: it was ended before it had begun: `brood resume %s` begins it", self.directory, self.directory)
    end
    return self
end

-- What it was begun with (folder.plan), or nil.
function Folder:kept_plan()
    if files.kind(self:path "plan.lua") ~= "file" then return nil end
    return plain.decode(command.read(self:path "plan.lua"))
end

function Folder:path(name) return self.directory .. "/" .. name end

-- What the store knows under a name, or nil.
function Folder:fact(name)
    if self.plan then return self.plan.facts[name] end
    return command.try(record.fact, self.directory, name)
end

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

-- ---- what members are, and their states ----------------------------------------------------------------------------

local KINDS = { gan = "GANs", lua = "functions of the script", program = "programs" }

-- "gan", "lua" or "program".
function Folder:kind() return self:fact "kind" or "gan" end

-- For what only a generator has.
function Folder:check_gan()
    local kind = self:kind()
    if kind ~= "gan" then
        command.fail("%s: its members are %s, and no GANs: there is no generator in it", self.directory,
            KINDS[kind] or kind)
    end
end

-- The file of a member's state, which goes by its hash.
function Folder:state_path(member)
    return self:path("states/" .. member.state .. (self:kind() == "gan" and ".safetensors" or ""))
end

-- The members after each round: { [round] = { row, ... } }, and the last round.
local function standings_of(self)
    local rounds, last = {}, 0
    for _, row in ipairs(command.try(record.export, self.directory).standing) do
        rounds[row.round] = rounds[row.round] or {}
        table.insert(rounds[row.round], row)
        last = math.max(last, row.round)
    end
    return rounds, last
end

-- The first of these members whose state is not there any more, or nil.
local function lost(self, rows)
    for _, row in ipairs(rows) do
        if row.state and row.state ~= "" and not files.kind(self:state_path(row)) then return row end
    end
end

-- "1, 2 and 5" of numbers in order.
local function join(numbers)
    if #numbers == 0 then return "none" end
    local head = table.concat(numbers, ", ", 1, #numbers - 1)
    return (head ~= "" and head .. " and " or "") .. ("%d"):format(numbers[#numbers])
end

-- The rounds after which all states are still there.
local function kept_rounds(self, rounds, last)
    local kept = {}
    for round = 1, last do
        if rounds[round] and not lost(self, rounds[round]) then kept[#kept + 1] = round end
    end
    return kept
end

-- The last round that a new run can begin with: nobody has failed, and all states are there. nil: there is none.
function Folder:sound_round()
    local rounds, last = standings_of(self)
    local function is_sound(rows)
        for _, row in ipairs(rows) do
            if not row.state or row.state == "" then return false end
        end
        return not lost(self, rows)
    end
    for round = last, 1, -1 do
        if rounds[round] and is_sound(rounds[round]) then return round end
    end
end

-- A run that is to go on needs the states of its last round.
function Folder:check_states()
    if self:fact "mode" == "asynchronous" then return end -- whose members are in rounds of their own
    local rounds, last = standings_of(self)
    local missing = rounds[last] and lost(self, rounds[last])
    if missing then
        command.fail("%s is missing, the state of member %d after round %d: `brood resume %s --whole` goes back to the last"
            .. " round whose states are whole", self:state_path(missing), missing.slot, last, self.directory)
    end
end

-- ---- members of a run ----------------------------------------------------------------------------------------------

local function lineage_of(self, slot, round)
    local fine, lineage = pcall(record.lineage, self.directory, slot, round)
    if fine then return lineage end
    local rounds, last = standings_of(self)
    local slots, known = {}, false
    for i, row in ipairs(rounds[last] or {}) do slots[i], known = row.slot, known or row.slot == slot end
    if known or round or last == 0 then command.fail("%s", lineage) end
    command.fail("%s: there is no member %d: at the end there are %s", self.directory, slot, join(slots))
end

-- The lineage of the member that people mean, itself the last: that in `slot` at the end, or else the one with the best
-- score ever. Tables of slot, round, state (a hash, or ""), age, values.
function Folder:find_lineage(slot)
    local best = not slot and command.try(record.best, self.directory)
    local lineage = lineage_of(self, slot or best.slot, best and best.round or nil)
    local last = lineage[#lineage]
    last.state = best and best.state or last.state
    return lineage
end

-- That member, which must have a state.
function Folder:find_member(slot)
    local lineage = self:find_lineage(slot)
    local last = lineage[#lineage]
    if not last.state or last.state == "" then
        command.fail("%s: no state of member %d is kept: it has failed", self.directory, last.slot)
    end
    return last
end

-- The member as it was, alive: the experiment, the brood.Member, and what find_member says of it.
function Folder:revive(slot)
    self:check_gan()
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
        run:check_gan()
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
    elseif files.kind(path .. "/run.db") == "file" or files.kind(path .. "/plan.lua") == "file" then
        experiment, member = folder.open(path):revive(slot)
    else
        return nil
    end
    return {
        data = experiment.data, seed = experiment.seed,
        sample = function(_, first, count, seed) return member:sample(first, count, seed) end,
    }
end

-- The last round that all members have made; nil where there is none.
local function last_round(run)
    local rounds = command.try(record.export, run.directory).round
    local last = rounds[#rounds].round
    return last > 0 and last or nil
end

-- What `from` means for an experiment: { run = directory, round = number or nil }, or { state = path }, both from the
-- root, and `name`, as it was given. Members that are of another kind, rounds whose states are gone, and a state file that
-- they cannot begin with are refused.
function folder.source(text, experiment)
    local kind = experiment.members and experiment.members.member or "gan"
    local directory, round = text:match "^(.*)@(%d+)$"
    if not directory or files.kind(directory) ~= "folder" then directory, round = text, nil end
    if files.kind(directory) == "folder" then
        local run = folder.open(directory)
        round = math.tointeger(tonumber(round))
        if run:kind() ~= kind then
            command.fail("%s: its members are %s, those of experiment '%s' are %s", text, KINDS[run:kind()] or run:kind(),
                experiment.name, KINDS[kind])
        end
        if round then
            local rounds, last = standings_of(run)
            if round == 0 or not rounds[round] or lost(run, rounds[round]) then
                command.fail("%s: the states after round %d are not %s: those after rounds %s are", text, round,
                    round > last and "there" or "kept", join(kept_rounds(run, rounds, last)))
            end
        end
        return { run = files.absolute(run.directory), round = round or last_round(run), name = run.directory }
    end
    if files.kind(text) ~= "file" then
        command.fail("%s: there is no such thing: the directory of a run, RUN@ROUND, or a state file expected", text)
    end
    if kind ~= "gan" then
        command.fail("%s: a state file is that of a GAN, the members of experiment '%s' are %s: begin with a run of such",
            text, experiment.name, KINDS[kind])
    end
    local member = experiment:member(experiment.seed, 0)
    command.try(member.load, member, text)
    return { state = files.absolute(text), name = text }
end

-- What the run itself was begun from, as `source` has it: {} of a run from scratch.
function Folder:source(experiment)
    local plan, name = self:kept_plan() or {}, self:fact "from"
    if not name then return {} end
    if files.kind(self:path "start.safetensors") then
        return { state = files.absolute(self:path "start.safetensors"), name = name }
    end
    local from = plan.source and plan.source.run
    if not from or files.kind(from) ~= "folder" then
        command.fail("%s: it was begun from %s, which is gone: it cannot be made again", self.directory, from or name)
    end
    return folder.source(plan.source.round and ("%s@%d"):format(from, plan.source.round) or from, experiment)
end

return folder
