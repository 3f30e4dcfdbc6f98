-- Populations for tests: members that walk, folders that vanish again, and what a run's store tells of events.
local brood = require "brood"
local command = require "brood.command"
local record = require "brood.record"
local pbt = brood.pbt

local scenes = {}

function scenes.with(spec, fields)
    for name, value in pairs(fields or {}) do spec[name] = value end
    return brood.experiment(spec)
end

-- A member walks by h.pace at each step; its score is how far it has come.
function scenes.walk(fields, functions)
    local member = {
        init = function(_, _, slot) return { at = 0, born = slot } end,
        step = function(me, h, steps) me.at = me.at + steps * h.pace end,
        score = function(me) return me.at end,
    }
    for name, f in pairs(functions or {}) do member[name] = f end
    return scenes.with({
        name = "walk", members = pbt.member(member), hyper = { pace = pbt.uniform(0, 100) }, population = 4, interval = 5,
        rounds = 3, initial = { { pace = 1 }, { pace = 2 }, { pace = 3 }, { pace = 4 } },
    }, fields)
end

function scenes.column(run, name)
    local list = {}
    for i, member in ipairs(run.members) do list[i] = member[name] end
    return list
end

function scenes.paces(run)
    local list = {}
    for i, member in ipairs(run.members) do list[i] = member.values.pace end
    return list
end

function scenes.in_folder(f)
    local path = os.tmpname()
    os.remove(path)
    local fine, message = pcall(f, path)
    command.remove(path)
    if not fine then error(message, 0) end
end

-- Events of a run as "round kind slot other".
function scenes.events(path, wanted)
    local list = {}
    for _, event in ipairs(record.export(path).event) do
        if not wanted or wanted == event.kind then
            list[#list + 1] = ("%d %s %s %s"):format(event.round, event.kind, event.slot or "-", event.other or "-")
        end
    end
    return list
end

return scenes
