-- brood repl: a prompt over the library. What its modules are called in brood, they are called here: nn.relu {}.
local brood = require "brood"
local command = require "brood.command"
local files = require "brood.files"
local terminal = require "brood.terminal"

local KEYWORDS = {
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not",
    "or", "repeat", "return", "then", "true", "until", "while",
}

-- ---- completion ------------------------------------------------------------------------------------------------------

-- The names in `value` that begin so, in order; of methods (":") only functions.
local function names_in(value, beginning, methods)
    local found, seen = {}, {}
    for _, name in ipairs(terminal.names(value)) do
        local fits = name:sub(1, #beginning) == beginning and name:find "^[%a_][%w_]*$"
        local hidden = name:find "^_" and beginning == ""
        if fits and not hidden and not seen[name]
            and (not methods or type(terminal.member(value, name)) == "function") then
            found[#found + 1], seen[name] = name, true
        end
    end
    return found, seen
end

-- What may stand at the end of the text, and how much of it is there.
local function complete(before)
    local path = before:match "[%a_][%w_.:]*$" or ""
    local holder, sign, beginning = path:match "^(.*)([.:])([^.:]*)$"
    local value = _G
    for name in (holder or ""):gmatch "[^.:]+" do value = terminal.member(value, name) end
    if not holder then beginning = path end
    if value == nil or path == "" then return {}, 0 end
    local names, seen = names_in(value, beginning, sign == ":")
    for _, word in ipairs(holder and {} or KEYWORDS) do
        if word:sub(1, #beginning) == beginning and not seen[word] then names[#names + 1] = word end
    end
    table.sort(names)
    return names, #beginning
end

-- ---- values ----------------------------------------------------------------------------------------------------------

local MOST, DEEPEST, WIDEST = 50, 3, 100 -- elements shown of a table, tables in tables, letters in a line

local show

local function key_text(key)
    if type(key) == "string" and key:find "^[%a_][%w_]*$" then return key end
    return "[" .. (type(key) == "string" and ("%q"):format(key) or tostring(key)) .. "]"
end

-- The elements in their order, then the other fields.
local function parts_of(value, depth)
    local parts, list = {}, rawlen(value)
    for i = 1, math.min(list, MOST) do parts[i] = show(rawget(value, i), depth + 1) end
    local fields = {}
    for key, field in next, value do
        local listed = math.type(key) == "integer" and key >= 1 and key <= list
        if not listed then fields[#fields + 1] = ("%s = %s"):format(key_text(key), show(field, depth + 1)) end
    end
    table.sort(fields)
    table.move(fields, 1, MOST - #parts, #parts + 1, parts)
    if list + #fields > MOST then parts[#parts + 1] = ("... (%d in all)"):format(list + #fields) end
    return parts
end

local function is_plain(value)
    return type(value) == "table" and getmetatable(value) == nil
end

-- A value as text: a rule as it was written, another plain table with what is in it, all others as tostring has them.
function show(value, depth)
    if type(value) == "string" and depth > 0 then return ("%q"):format(value) end
    local rule = type(value) == "table" and brood.pbt.text(value)
    if rule then return rule end
    if not is_plain(value) or depth == DEEPEST then return tostring(value) end
    local parts = parts_of(value, depth)
    if #parts == 0 then return "{}" end
    local line = "{ " .. table.concat(parts, ", ") .. " }"
    if #line + 4 * depth <= WIDEST and not line:find "\n" then return line end
    local indent = ("    "):rep(depth + 1)
    return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. ",\n" .. ("    "):rep(depth) .. "}"
end

-- ---- chunks ----------------------------------------------------------------------------------------------------------

-- The text as a function, or nil, a message, and whether more lines can mend it. Expressions come first: their values
-- are wanted.
local function compile(text)
    local expression = text:gsub("^%s*=", "")
    local f, first = load("return " .. expression, "=stdin")
    if f then return f end
    local message
    f, message = load(text, "=stdin")
    return f, message, not f and (first:find "near <eof>$" or message:find "near <eof>$") ~= nil
end

-- Lines until they make sense, or cannot any more: a function or nil, and a message. nil alone: there are no more
-- lines; false: they were given up.
local function read_chunk(read)
    local text
    while true do
        local line = read(text == nil)
        if not line then
            if line == nil and text then return nil, select(2, compile(text)) end
            return line
        end
        text = text and text .. "\n" .. line or line
        local f, message, more = compile(text)
        if not more then return f, message end
    end
end

-- Without what the prompt itself adds to a traceback.
local function tell(message)
    local prompt = message:find("\n\t[C]: in function 'brood.terminal.call'", 1, true)
    io.stderr:write(message:sub(1, (prompt or 0) - 1), "\n")
end

local function run(f)
    local results = table.pack(terminal.call(f))
    if not results[1] then return tell(results[2]) end
    local words = {}
    for i = 2, results.n do
        local fine, text = terminal.call(function() return show(results[i], 0) end)
        words[#words + 1] = fine and text or "(" .. text:match "^[^\n]*" .. ")"
    end
    if #words > 0 then print(table.concat(words, "\t")) end
end

-- ---- lines -----------------------------------------------------------------------------------------------------------

-- $XDG_STATE_HOME/brood/history or ~/.local/state/brood/history; folders that are missing are made.
local function history_path()
    local state = os.getenv "XDG_STATE_HOME"
    local home = os.getenv "HOME"
    if not state or state:sub(1, 1) ~= "/" then state = home and home .. "/.local/state" end -- as the XDG rules say
    if not state then return "" end
    local path = ""
    for part in (state .. "/brood"):gmatch "[^/]+" do
        path = path .. "/" .. part
        if not files.kind(path) then pcall(files.make_folder, path) end
    end
    return path .. "/history"
end

local function reader_of_person()
    local path = history_path()
    local prompt, kept = terminal.prompt(path), true
    print "Brood's library, at a prompt: nn, loss, data ... Names without `local` stay. Tab completes, Ctrl-D leaves."
    return function(first)
        local line = prompt:read(first and "> " or ">> ", complete)
        if line and line:find "%S" and not prompt:remember(line) and kept then
            kept = false
            io.stderr:write(("(the history is not kept: %s cannot be written)\n"):format(path))
        end
        return line
    end
end

local function reader_of_pipe()
    return function() return io.read "l" end
end

-- ---- the prompt ------------------------------------------------------------------------------------------------------

-- The library's modules as globals. A new name may be given without `local`: it stays from line to line.
local function prepare_globals()
    rawset(_G, "brood", brood)
    rawset(_G, "graph", brood.graph)
    for _, name in ipairs(brood.modules) do rawset(_G, name, brood[name]) end
    terminal.open_globals()
end

return command.main(function()
    prepare_globals()
    local read = terminal.interactive() and reader_of_person() or reader_of_pipe()
    while true do
        local f, message = read_chunk(read)
        if f then
            run(f)
        elseif message then
            tell(message)
        elseif f == nil then
            return
        end
    end
end)
