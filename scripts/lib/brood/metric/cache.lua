-- Where classifiers are kept between runs: classifier-HASH.safetensors in $XDG_CACHE_HOME/brood or ~/.cache/brood. The
-- file is a state file with one text in it, lines of a name and numbers. What cannot be read is trained again; what
-- cannot be written is not kept; both are said. Runs keep those that scored them, and look there first. Beside them
-- lies what they say of the real images that others are compared with (metric/reals.lua).
local core = require "brood.metric.core"
local files = require "brood.files"
local graph = require "brood.graph"

local cache = {}

local places = {} -- folders of runs
local in_use = setmetatable({}, { __mode = "v" }) -- by hash

-- The folder, made if need be; nil and the reason when there can be none.
local function folder()
    local root, home = os.getenv "XDG_CACHE_HOME", os.getenv "HOME"
    if not root or root == "" then
        if not home or home == "" then return nil, "neither XDG_CACHE_HOME nor HOME is set" end
        root = home .. "/.cache"
    end
    for _, path in ipairs { root, root .. "/brood" } do
        local fine, message = pcall(files.make_folder, path)
        if not fine then return nil, message end
    end
    return root .. "/brood"
end

local function path_of(self, directory)
    return ("%s/classifier-%s.safetensors"):format(directory, self.hash)
end

-- ---- facts --------------------------------------------------------------------------------------------------------

local NUMBERS = { "accuracy", "tested", "score", "score_deviation" }

local function write_facts(self)
    local lines = { "hash " .. self.hash }
    for _, name in ipairs(NUMBERS) do lines[#lines + 1] = ("%s %.17g"):format(name, self.facts[name]) end
    for _, row in ipairs(self.facts.confusion) do lines[#lines + 1] = "confusion " .. table.concat(row, " ") end
    return table.concat(lines, "\n")
end

-- The facts in the text; nil when they are not those of this classifier.
local function read_facts(self, text)
    local facts, hash = { confusion = {} }, nil
    for name, rest in text:gmatch "(%S+) ([^\n]*)" do
        if name == "hash" then
            hash = rest
        elseif name == "confusion" then
            local row = {}
            for number in rest:gmatch "%S+" do row[#row + 1] = math.tointeger(tonumber(number)) end
            if #row ~= #self.classes then return nil end
            table.insert(facts.confusion, row)
        else
            facts[name] = tonumber(rest)
        end
    end
    for _, name in ipairs(NUMBERS) do
        if not facts[name] then return nil end
    end
    return hash == self.hash and #facts.confusion == #self.classes and facts or nil
end

-- ---- the two uses -------------------------------------------------------------------------------------------------

local function exists(path)
    local file = io.open(path, "rb")
    if file then file:close() end
    return file ~= nil
end

-- From now on this folder is looked into first.
function cache.look_in(directory) table.insert(places, 1, directory) end

-- Where the classifier is kept, or nil.
local function find(self)
    for _, directory in ipairs(places) do
        if exists(path_of(self, directory)) then return path_of(self, directory) end
    end
    local directory = folder()
    return directory and exists(path_of(self, directory)) and path_of(self, directory) or nil
end

-- Fills the classifier from the cache. False when it is not there, or is damaged.
function cache.load(self)
    in_use[self.hash] = self
    local path = find(self)
    if not path then return false end
    local text, message = core.load(self.looker, path)
    self.facts = text and read_facts(self, text)
    if not self.facts then
        self.say(("the kept classifier cannot be used and is trained again: %s"):format(message
            or path .. ": it is of another classifier"))
    end
    return self.facts ~= nil
end

function cache.save(self)
    local directory, message = folder()
    local saved = false
    if directory then saved, message = core.save(self.looker, path_of(self, directory), write_facts(self)) end
    if not saved then self.say(("the classifier cannot be kept for the next time: %s"):format(message)) end
end

-- Writes the classifiers of these hashes that are in use into a folder, which is made.
function cache.keep(hashes, directory)
    files.make_folder(directory)
    for _, hash in ipairs(hashes) do
        local self = in_use[hash]
        if self and not exists(path_of(self, directory)) then
            local saved, message = core.save(self.looker, path_of(self, directory), write_facts(self))
            if not saved then error(message, 0) end
        end
    end
end

-- ---- what they say of real images ---------------------------------------------------------------------------------

-- The classifier and its weights, which training on another machine may have made others in the last digits.
local function content_of(self)
    local parts = { self.hash }
    for _, list in ipairs { self.registry.parameters, self.registry.variables } do
        for _, entry in ipairs(list) do parts[#parts + 1] = self.looker:get(entry.name) end
    end
    return core.hash(table.unpack(parts))
end

-- Logits and features of `count` real images, as look() gives them: from reals-HASH.safetensors beside the classifier,
-- or to be kept there. That it cannot be written is not said: neither can the classifier, which says so.
function cache.rows(self, count, look)
    local directory = folder()
    if not directory or not self.cache then return look() end
    local path, content = ("%s/reals-%s.safetensors"):format(directory, self.hash), content_of(self)
    local g = graph.new()
    g:variable("logits", { count, #self.classes })
    g:variable("features", { count, self.width })
    local state = g:state()
    if exists(path) and core.load(state, path) == content then
        return core.rows("logits", state:get "logits"), core.rows("features", state:get "features")
    end
    local logits, features = look()
    state:set("logits", logits:flat())
    state:set("features", features:flat())
    core.save(state, path, content)
    return logits, features
end

return cache
