-- brood export RUN --csv|--json [--ledger]: every number that script and seed determine, in a fixed order, on
-- standard output: two exports of equal runs are equal byte for byte. With --ledger also what they do not determine.
local command = require "brood.command"
local folder = require "brood.folder"
local record = require "brood.record"

-- The tables of a store in their order; each is in the JSON document even when it is empty.
local TABLES = {
    "fact", "round", "scored", "reported", "signal", "standing", "value", "event", "pin", "turn", "ledger",
}

-- The columns of the CSV, all tables' together: a row leaves empty what its table does not have.
local COLUMNS = {
    "round", "slot", "name", "value", "text", "steps", "age", "failed", "pinned", "score", "deviation", "fitness",
    "state", "report", "parent", "parent_round", "kind", "other", "turn", "interval", "exploit", "explore", "stopped",
    "training", "scoring", "saving",
}

-- Seventeen digits give every number back.
local function number_text(value)
    if math.type(value) == "integer" then return ("%d"):format(value) end
    return ("%.17g"):format(value)
end

-- ---- CSV -----------------------------------------------------------------------------------------------------------

local function csv_text(value)
    if value == nil then return "" end
    if type(value) == "number" then return number_text(value) end
    if value:find '[,"\r\n]' then return '"' .. value:gsub('"', '""') .. '"' end
    return value
end

-- A fact's value is a text: so it goes into the column of texts, and that of values holds numbers only.
local function csv_line(name, row)
    local words = { name }
    for i, column in ipairs(COLUMNS) do
        local key = column
        if name == "fact" and column == "value" then key = nil end
        if name == "fact" and column == "text" then key = "value" end
        words[i + 1] = csv_text(key and row[key])
    end
    return table.concat(words, ",")
end

local function write_csv(tables)
    io.write("table,", table.concat(COLUMNS, ","), "\n")
    for _, name in ipairs(TABLES) do
        for _, row in ipairs(tables[name] or {}) do io.write(csv_line(name, row), "\n") end
    end
end

-- ---- JSON ----------------------------------------------------------------------------------------------------------

-- Bytes that are no UTF-8 become U+FFFD.
local function whole_utf8(text)
    local length, bad = utf8.len(text)
    while not length do
        text = text:sub(1, bad - 1) .. "\u{FFFD}" .. text:sub(bad + 1)
        length, bad = utf8.len(text, bad)
    end
    return text
end

local function json_text(value)
    if value == nil then return "null" end
    if type(value) == "number" then
        if value - value ~= 0 then return value > 0 and "1e999" or "-1e999" end -- which readers take for infinity
        return number_text(value)
    end
    return '"' .. whole_utf8(value):gsub('[%c"\\]', function(c)
        return c:find '["\\]' and "\\" .. c or ("\\u%04x"):format(c:byte())
    end) .. '"'
end

local function json_facts(rows)
    local lines = {}
    for i, row in ipairs(rows) do lines[i] = ("    %s: %s"):format(json_text(row.name), json_text(row.value)) end
    return #lines > 0 and "{\n" .. table.concat(lines, ",\n") .. "\n  }" or "{}"
end

local function json_rows(rows)
    local lines = {}
    for i, row in ipairs(rows) do
        local words = {}
        for j, column in ipairs(rows.columns) do
            words[j] = ("%s: %s"):format(json_text(column), json_text(row[column]))
        end
        lines[i] = "    {" .. table.concat(words, ", ") .. "}"
    end
    return #lines > 0 and "[\n" .. table.concat(lines, ",\n") .. "\n  ]" or "[]"
end

local function write_json(tables)
    local between = "{\n"
    for _, name in ipairs(TABLES) do
        local rows = tables[name] or { columns = {} }
        io.write(between, "  ", json_text(name), ": ", name == "fact" and json_facts(rows) or json_rows(rows))
        between = ",\n"
    end
    io.write "\n}\n"
end

-- The store has scores so that greater is better; people have them as they are called.
local function turn_scores(tables)
    local lower = false
    for _, row in ipairs(tables.fact or {}) do lower = lower or row.name == "select.better" and row.value == "lower" end
    if not lower then return end
    for _, row in ipairs(tables.fact) do
        if row.name == "ceiling" then row.value = ("%.17g"):format(0.0 - tonumber(row.value)) end
    end
    for _, name in ipairs { "scored", "standing" } do
        for _, row in ipairs(tables[name] or {}) do row.score = row.score and 0.0 - row.score end
    end
end

return command.main(function(options, directory)
    if not options.csv == not options.json then command.misuse "export: one of --csv and --json expected" end
    folder.check_begun(directory)
    local tables = command.try(record.export, directory, options.ledger)
    turn_scores(tables)
    local write = options.csv and write_csv or write_json
    write(tables)
end)
