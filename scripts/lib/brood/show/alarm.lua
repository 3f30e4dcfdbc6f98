-- Alarms in words: what the losses do not tell. Each looks at what has been seen of a member's last rounds, and says what
-- is wrong and what may help.
local alarm = {}

local ROUNDS = 3          -- in a row, before anything is said
local WON = 0.995         -- share of images that D tells right
local COLLAPSED = 0.2     -- share of the real images' spread
local EXPLODED = 100      -- times the median of the gradient's norms so far
local SOONEST = 2         -- rounds before collapse is looked for: at first everything looks alike

local function last(history, name, count)
    local values = {}
    for i = math.max(1, #history - count + 1), #history do values[#values + 1] = history[i][name] end
    return values
end

local function all(values, count, test)
    if #values < count then return false end
    for _, value in ipairs(values) do
        if not test(value) then return false end
    end
    return true
end

local function median(values)
    table.sort(values)
    return values[(#values + 1) // 2]
end

local function exploded(history, player)
    local name = player .. ".norm"
    local norms = last(history, name, #history)
    local now = norms[#norms]
    if #norms < ROUNDS + 1 or not now then return nil end
    norms[#norms] = nil
    local usual = median(norms)
    if usual > 0 and now > EXPLODED * usual then
        return ("%s's gradients explode: their norm is %.3g, it was %.3g: a lower learning rate, or clip, may help"):format(
            player, now, usual)
    end
end

-- What is to be said of a member whose signals of all rounds, the latest last, are `history`; `real_spread` is that of as
-- many real images, or nil. A list of { kind =, text = }.
function alarm.look(history, real_spread)
    local found = {}
    local function say(kind, text)
        if text then found[#found + 1] = { kind = kind, text = text } end
    end
    local accuracy = last(history, "D.accuracy", ROUNDS)
    if all(accuracy, ROUNDS, function(value) return value and value >= WON end) then
        say("D won", ("D has won: in %d rounds it told %.1f %% of all images right, and G learns nothing from it:"
            .. " a lower rate for D, or r1, may help"):format(ROUNDS, 100 * accuracy[#accuracy]))
    end
    local spread = last(history, "spread", 1)[1]
    if real_spread and spread and #history > SOONEST and spread < COLLAPSED * real_spread then
        say("collapse", ("collapse: images differ by %.3f, real ones by %.3f: G makes nearly the same every time"):format(
            spread, real_spread))
    end
    for _, player in ipairs { "D", "G" } do say(player .. " explodes", exploded(history, player)) end
    return found
end

return alarm
