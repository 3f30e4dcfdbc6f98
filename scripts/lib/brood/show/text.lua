-- Numbers and other things as people read them.
local text = {}

-- Seven characters or less, as long as the number is not odd. "-" for none.
function text.number(value)
    if value == nil or value ~= value then return "-" end
    local size = math.abs(value)
    if math.type(value) == "integer" and size < 1e6 then return ("%d"):format(value) end
    if size == math.huge then return value > 0 and "inf" or "-inf" end
    if size ~= 0 and (size < 1e-3 or size >= 1e6) then
        return (("%.2e"):format(value):gsub("e([+-])0*(%d)", "e%1%2"):gsub("e%+", "e"))
    end
    return ((size < 10 and "%.3f" or size < 1000 and "%.2f" or "%.0f"):format(value))
end

-- So many of a unit, in the greatest of `units`, each a thousand times the one before, of which it is one or more:
-- "4.2 kB".
function text.amount(value, units)
    local unit = 1
    while unit < #units and value >= 1000 do value, unit = value / 1000, unit + 1 end
    return ("%.1f %s"):format(value, units[unit])
end

-- Three digits, without zeros at the end: 0.8, 2.5e-4, 12.
function text.brief(value)
    if value == nil or value ~= value then return "-" end
    return (("%.3g"):format(value):gsub("e([+-])0*(%d)", "e%1%2"):gsub("e%+", "e"))
end

-- A value near zero, of which no more is shown than its noise leaves: zero, if need be.
local function near_zero(value, deviation)
    local place = 10.0 ^ (math.floor(math.log(deviation, 10)) - 1)
    return place * math.floor(value / place + 0.5) + 0.0 -- which makes -0.0 zero
end

-- "4.512 ± 0.031", both to the same place; the noise is left out where it is not known.
function text.noisy(value, deviation)
    local words = text.number(value)
    if value == nil or not deviation or deviation ~= deviation or deviation == 0 then return words end
    if words:find "e%-" then words = text.number(near_zero(value, deviation)) end
    local noise = ("%%.%df"):format(#(words:match "^-?%d+%.(%d+)$" or "")):format(deviation)
    if words:find "e" or tonumber(noise) == 0 then noise = text.brief(deviation) end
    return words .. " ± " .. noise
end

-- 12.3 s, 4 min 10 s, 2 h 05 min.
function text.seconds(seconds)
    if seconds ~= seconds or seconds == math.huge then return "?" end
    if seconds < 10 then return ("%.1f s"):format(seconds) end
    if seconds < 60 then return ("%.0f s"):format(seconds) end
    local whole = math.floor(seconds + 0.5)
    if whole < 3600 then return ("%d min %02d s"):format(whole // 60, whole % 60) end
    return ("%d h %02d min"):format(whole // 3600, whole // 60 % 60)
end

-- 12345678 is 12,345,678.
function text.count(number)
    local digits = ("%d"):format(math.floor(number + 0.5))
    local changed
    repeat digits, changed = digits:gsub("^(-?%d+)(%d%d%d)", "%1,%2") until changed == 0
    return digits
end

-- Characters, as a terminal counts them for texts of the Latin alphabet.
function text.width(line) return utf8.len(line) or #line end

-- Filled with spaces to `width`: on the right, or with `right` on the left.
function text.pad(line, width, right)
    local spaces = (" "):rep(width - text.width(line))
    return right and spaces .. line or line .. spaces
end

-- Cut to `width`, with an ellipsis where something is missing.
function text.cut(line, width)
    if text.width(line) <= width then return line end
    return line:sub(1, (utf8.offset(line, width) or width) - 1) .. "…"
end

-- Rows of texts as lines, columns as wide as they need. `left` columns are flush left, the others right.
function text.table(rows, left)
    local widths, lines = {}, {}
    for _, row in ipairs(rows) do
        for i, word in ipairs(row) do widths[i] = math.max(widths[i] or 0, text.width(word)) end
    end
    for i, row in ipairs(rows) do
        local words = {}
        for j, word in ipairs(row) do words[j] = text.pad(word, widths[j], not left[j]) end
        lines[i] = (table.concat(words, "  "):gsub(" +$", ""))
    end
    return lines
end

return text
