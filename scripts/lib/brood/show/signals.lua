-- The signals of one member as a table that grows by a line a round.
local signals = {}

local FIRST = { loss = 1, accuracy = 2, on_real = 3, on_fake = 4, norm = 9 } -- the others between

-- The players' signals in the order of columns: D's, then G's. Those without a player are columns of their own.
function signals.sorted(names)
    local sorted = {}
    for _, name in ipairs(names) do
        if name:find(".", 1, true) then sorted[#sorted + 1] = name end
    end
    local function rank(name)
        local player, signal = name:match "^(.-)%.(.*)$"
        return ("%s %d %s"):format(player, FIRST[signal] or 5, signal)
    end
    table.sort(sorted, function(a, b) return rank(a) < rank(b) end)
    return sorted
end

-- Seven characters or less, as long as the number is not odd.
local function number_text(value)
    if not value or value ~= value then return "-" end -- nothing made it in this round
    local size = math.abs(value)
    if size ~= 0 and size < 1e-3 or size >= 1e5 then return ("%.0e"):format(value) end
    return (size < 10 and "%.4f" or size < 1000 and "%.2f" or "%.0f"):format(value)
end

local function width_of(name) return math.max(7, #name) + 2 end

-- Two lines above the table: the players, and their signals.
function signals.heading(names, score)
    local players, words, last = { (" "):rep(14) }, { (" %5s%8s"):format("round", "step") }, nil
    for _, name in ipairs(names) do
        local player, signal = name:match "^(.-)%.(.*)$"
        local width = width_of(signal)
        players[#players + 1] = ("%" .. width .. "s"):format(player ~= last and player or "")
        words[#words + 1] = ("%" .. width .. "s"):format(signal)
        last = player
    end
    words[#words + 1] = ("%9s%9s"):format("spread", "ms/step")
    if score then words[#words + 1] = ("%18s"):format(score) end
    return (table.concat(players):gsub(" +$", "")), table.concat(words)
end

-- A line of the table: `of` are the signals by name, `seconds` a step's.
function signals.row(names, of, round, age, seconds, score, deviation)
    local words = { (" %5d%8d"):format(round, age) }
    for _, name in ipairs(names) do
        words[#words + 1] = ("%" .. width_of(name:match "%.(.*)$") .. "s"):format(number_text(of[name]))
    end
    words[#words + 1] = ("%9s%9.1f"):format(number_text(of.spread), seconds * 1e3)
    if score then words[#words + 1] = ("%10.3f ± %.3f"):format(score, deviation) end
    return table.concat(words)
end

return signals
