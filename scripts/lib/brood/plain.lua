-- Plain data as text, and back: numbers, texts, booleans, nil, and tables of them without loops. Equal data give equal
-- texts, and every number comes back to the bit.
local plain = {}

local function key_order(a, b)
    if type(a) ~= type(b) then return type(a) == "number" end
    return a < b
end

local function number_text(value)
    if value == math.mininteger then return "0x8000000000000000" end -- whose digits alone are no integer
    if math.type(value) == "integer" then return ("%d"):format(value) end
    if value ~= value then return "(0/0)" end
    if value == math.huge then return "(1/0)" elseif value == -math.huge then return "(-1/0)" end
    return ("%a"):format(value)
end

local write

local DEPTH = 100 -- tables within tables: what Lua reads back

local function write_table(out, value, path, open)
    if open[value] then error(path .. ": the table holds itself", 0) end
    open.depth = (open.depth or 0) + 1
    if open.depth > DEPTH then error(("%s: over %d tables within each other"):format(path, DEPTH), 0) end
    if getmetatable(value) ~= nil then error(path .. ": plain data expected, got an object", 0) end
    open[value] = true
    local keys = {}
    for key in pairs(value) do
        if type(key) ~= "string" and type(key) ~= "number" then
            error(("%s: keys are texts or numbers, got a %s"):format(path, type(key)), 0)
        end
        keys[#keys + 1] = key
    end
    table.sort(keys, key_order)
    out[#out + 1] = "{"
    for _, key in ipairs(keys) do
        out[#out + 1] = "["
        write(out, key, path, open)
        out[#out + 1] = "]="
        write(out, value[key], ("%s.%s"):format(path, tostring(key)), open)
        out[#out + 1] = ","
    end
    out[#out + 1] = "}"
    open[value] = nil
    open.depth = open.depth - 1
end

function write(out, value, path, open)
    local kind = type(value)
    if kind == "table" then return write_table(out, value, path, open) end
    if kind == "number" then
        out[#out + 1] = number_text(value)
    elseif kind == "string" then
        out[#out + 1] = ("%q"):format(value)
    elseif kind == "boolean" or kind == "nil" then
        out[#out + 1] = tostring(value)
    else
        error(("%s: plain data expected (numbers, texts, booleans, tables), got a %s"):format(path, kind), 0)
    end
end

-- The text of a value that errors call `what`.
function plain.encode(value, what)
    local out = {}
    write(out, value, what or "value", {})
    return table.concat(out)
end

-- The value of such a text; nil and a message where it is none. What is read may be hostile: outside of texts there is
-- nothing in it that could call or name anything.
function plain.decode(text)
    local bare = text:gsub("\\.", ""):gsub('"[^"]*"', ""):gsub("%(%-?[01]/0%)", "0")
    if bare:find "[^%w%.%+%-{}%[%]=,]" then return nil, "no plain data" end
    local chunk, message = load("return " .. text, "=plain data", "t", {})
    if not chunk then return nil, message end
    local fine, value = pcall(chunk)
    if not fine then return nil, value end
    return value
end

return plain
