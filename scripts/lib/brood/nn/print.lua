-- What print(net) shows: a table of layers with their options, output shapes and parameter counts.
--
--     print(net)                                      -- shapes are those of the latest call
--     print(net:describe { 64, 100 })                 -- what becomes of an input of this shape
--     print(net:describe({ 64, 100 }, { classes = 10 }))
--     print(nn.describe(f, { 64, 100 }))              -- of any layer, a plain function too
local check = require "brood.check"
local context = require "brood.context"
local graph = require "brood.graph"

local printing = {}

-- ---- words --------------------------------------------------------------------------------------------------------

-- 1234567 as "1,234,567".
local function thousands(count)
    local text = tostring(count):reverse():gsub("(%d%d%d)", "%1,"):reverse()
    return (text:gsub("^,", ""))
end

local function shape_text(shape)
    return shape and "(" .. table.concat(shape, ", ") .. ")" or ""
end

local function option_text(name, value)
    if value == true then return name end
    if value == false then return "no " .. name end
    if type(value) == "string" then return ("%s '%s'"):format(name, value) end
    if type(value) == "number" then return ("%s %.6g"):format(name, value) end
    if type(value) == "function" then return name .. " function" end
    return ("%s %s"):format(name, value.kind and not value.is_layer and tostring(value) or value.kind)
end

-- "out 64, kernel 4, stride 2": the options that were given.
local function options_text(layer)
    if type(layer) == "function" then return check.place(layer) end
    local words = {}
    for _, value in ipairs(layer) do
        if type(value) == "number" then words[#words + 1] = ("%d"):format(value) end
    end
    for _, name in ipairs(layer.shown) do
        local place = name == "out" and 1 or #words + 1
        if name ~= "name" then table.insert(words, place, option_text(name, layer[name])) end
    end
    return table.concat(words, ", ")
end

-- ---- rows ---------------------------------------------------------------------------------------------------------

local function kind_of(layer)
    return type(layer) == "function" and "function" or layer.kind
end

-- A row for each layer, as context.row has them, but of layers that have not been called.
local function outline(layer, path)
    local row = { layer = layer, path = path, parameters = {} }
    if type(layer) == "table" and layer.opens then
        for i, child in ipairs(layer) do
            local name = not layer.wraps and (type(child) == "table" and child.name or i) or ""
            row[i] = outline(child, path .. (path ~= "" and name ~= "" and "." or "") .. name)
        end
    end
    return row
end

-- All parameters of the row and those within, by name.
local function parameters_of(row, into)
    for name, count in pairs(row.parameters) do into[name] = count end
    for _, inner in ipairs(row) do parameters_of(inner, into) end
    return into
end

-- How many numbers the row's parameters hold; "shared" when another row has counted them.
local function count_text(row, counted)
    local total, known = 0, false
    for name, count in pairs(parameters_of(row, {})) do
        if counted[name] then known = true else total = total + count end
        counted[name] = count
    end
    return total > 0 and thousands(total) or known and "shared" or ""
end

-- The row that is worth a line, and its kind: that of a wrapped layer, with the wrapper's kind before it.
local function unwrap(row)
    local kind = kind_of(row.layer)
    while type(row.layer) == "table" and row.layer.wraps and #row == 1 do
        row = row[1]
        kind = kind .. " " .. kind_of(row.layer)
    end
    return row, kind
end

-- Appends the cells of the row, and of the rows within where the layer opens. `root` is the path of the whole.
local function lay_out(row, depth, root, cells, counted)
    local inner, kind = unwrap(row)
    local layer = inner.layer
    local is_function = type(layer) == "function"
    local open = #inner > 0 and (is_function or layer.opens)
    if depth > 0 then
        cells[#cells + 1] = {
            ("  "):rep(depth - 1) .. inner.path:sub(#root + 1):gsub("^%.", ""),
            kind,
            options_text(layer),
            (is_function or not open) and shape_text(inner.shape) or "",
            count_text(open and { parameters = inner.parameters } or inner, counted),
        }
    end
    for _, part in ipairs(open and inner or {}) do lay_out(part, depth + 1, root, cells, counted) end
    return cells
end

-- ---- the table ----------------------------------------------------------------------------------------------------

local function widths_of(cells)
    local widths = { 0, 0, 0, 0, 0 }
    for _, row in ipairs(cells) do
        for column, text in ipairs(row) do widths[column] = math.max(widths[column], utf8.len(text) or #text) end
    end
    return widths
end

-- The cells in columns, the last one to the right.
local function draw(cells)
    local widths, lines = widths_of(cells), {}
    for _, row in ipairs(cells) do
        local line = {}
        for column, text in ipairs(row) do
            local gap = (" "):rep(widths[column] - (utf8.len(text) or #text))
            if widths[column] > 0 then line[#line + 1] = column == #row and gap .. text or text .. gap end
        end
        lines[#lines + 1] = table.concat(line, "  "):gsub("%s+$", "")
    end
    return lines
end

local function build(layer, shape, options)
    local given = check.fields("describe", options, { classes = { "number", integer = true, min = 1 } })
    local g <close> = graph.new()
    local ctx = context.new {
        graph = g,
        training = false,
        seed = false,
        classes = given.classes,
        labels = given.classes and g:input("labels", { shape[1] }),
    }
    ctx:apply(nil, layer, g:input("input", shape))
    return context.row(layer)
end

-- "generator: sequential (dcgan.lua:9)"
local function title_of(row)
    local _, kind = unwrap(row)
    local line = type(row.layer) == "table" and row.layer.line
    return (row.path ~= "" and row.path .. ": " or "") .. kind .. (line and (" (%s)"):format(line) or "")
end

-- See the top. Returns a text.
function printing.describe(layer, shape, options)
    local row = shape and build(layer, shape, options) or context.row(layer) or outline(layer, "")
    local opens, counted, title = type(layer) == "table" and layer.opens, {}, title_of(row)
    local cells = lay_out(row, opens and 0 or 1, row.path, {}, counted)
    if not row.shape then
        return table.concat({ title, table.unpack(draw(cells)) }, "\n")
    end
    local total = 0
    for _, count in pairs(counted) do total = total + count end
    table.insert(cells, 1, { "", "input", "", shape_text(row.input), "parameters" })
    table.insert(cells, { "", "", "", "total", thousands(total) })
    local lines = draw(cells)
    local rule = ("-"):rep(math.max(#lines[1], #lines[#lines]))
    table.insert(lines, 1, title)
    table.insert(lines, 2, rule)
    table.insert(lines, #lines, rule)
    return table.concat(lines, "\n")
end

return printing
