-- The live table and the line a round, numbers as people read them, and Student's t.
local support = dofile "tests/lua/support.lua"
local live = require "brood.show.live"
local student = require "brood.show.student"
local text = require "brood.show.text"
local lu = support.lu

-- What is written to it, as text.
local function paper()
    local words = {}
    return {
        write = function(self, ...)
            for _, word in ipairs { ... } do words[#words + 1] = tostring(word) end
            return self
        end,
        flush = function() end,
        text = function() return table.concat(words) end,
        clear = function() words = {} end,
    }
end

local function lines_of(words)
    local lines = {}
    for line in words:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    return lines
end

-- Without the marks of bold and color; what moves the cursor stays.
local function plain(words) return (words:gsub("\27%[%d*m", "")) end

local function view(slot, score, more)
    local one = {
        slot = slot, steps = 100, age = 100, score = score, deviation = 0.05,
        reports = { score and score - 0.25 or nil, 30.0 },
        values = { d_lr = 0.00123456, g_lr = 2e-5, act = "relu" }, parent = slot,
    }
    for name, value in pairs(more or {}) do one[name] = value end
    return one
end

local function options(out, more)
    local given = {
        out = out, terminal = true, columns = 120, rows = 30, hypers = { "act", "d_lr", "g_lr" }, score = "inception",
        reports = { "inception", "frechet" }, ceiling = 9, ceiling_deviation = 0.04, honest = true, rounds = 20, interval = 100,
    }
    for name, value in pairs(more or {}) do given[name] = value end
    return given
end

local FAILED = { failed = true, failure = "training: the loss is nan in step 17" }

-- ---- in a terminal -------------------------------------------------------------------------------------------------

local Terminal = {}

function Terminal.test_a_table_shows_each_member()
    local out = paper()
    local board = live.new(options(out))
    board:update({
        view(0, 4.5), view(1, 6.25, { parent = 0 }), view(2, nil, FAILED), view(3, 9.4), view(4, 5, { pinned = true }),
    }, { moment = "round", round = 3 })
    local words = out.text()
    lu.assertStrContains(words, "\27[33m     3") -- above the ceiling: suspicious
    lu.assertStrContains(words, "\27[31m     2") -- failed
    local lines = lines_of(plain(words):gsub("\27%[2K", ""))
    lu.assertStrMatches(lines[1], "member +age +inception +report +frechet +act +d_lr +g_lr +from +state")
    lu.assertStrMatches(lines[2], " +0 +100 +4%.500 ± 0%.050 +4%.250 +30%.00 +relu +0%.00123 +2e%-5")
    lu.assertStrMatches(lines[3], " +1 .* 0") -- copied from member 0
    lu.assertStrContains(lines[4], "failed: training: the loss is nan")
    lu.assertStrContains(lines[5], "suspicious: above real images")
    lu.assertStrMatches(lines[6], " +4 .*pinned")
    lu.assertStrContains(lines[7], "round 3 of 20; best 9.400 ± 0.050, member 3; real images 9.000 ± 0.040; 1 copy; 1 failed")
end

function Terminal.test_the_best_is_bold()
    local out = paper()
    live.new(options(out)):update({ view(0, 4.5), view(1, 6.25) }, { moment = "round", round = 1 })
    lu.assertStrContains(out.text(), "\27[1m     1")
    lu.assertNotStrContains(out.text(), "\27[1m     0")
    out.clear()
    live.new(options(out, { lower = true, ceiling = 0.5 })):update({ view(0, 45), view(1, 6.25), view(2, 0.1) },
        { moment = "round", round = 1 })
    lu.assertStrContains(out.text(), "best 0.100 ± 0.050, member 2")
    lu.assertStrContains(out.text(), "\27[33m     2") -- below what real images have: suspicious
    lu.assertNotStrContains(out.text(), "\27[33m     1")
end

-- However narrow: no line is longer than the terminal, and the most important columns stay.
function Terminal.test_nothing_wraps()
    for columns = 40, 160 do
        local out = paper()
        local board = live.new(options(out, { columns = columns }))
        local views = { view(0, 4.5), view(1, nil, FAILED), view(2, 123456.789) }
        board:update(views, { moment = "start", round = 0, seconds = 0 })
        views[1].steps = 200
        board:update(views, { moment = "round", round = 1, seconds = 1 })
        for _, line in ipairs(lines_of(plain(out.text()):gsub("\27%[%d*[KAJ]", ""))) do
            lu.assertTrue(text.width(line) < columns, line)
        end
        lu.assertStrMatches(lines_of(plain(out.text()))[1], ".*member .*ince.*state")
    end
end

-- Each drawing goes up over the last one, and clears what is left of it.
function Terminal.test_it_is_drawn_in_its_place()
    local out = paper()
    local board = live.new(options(out))
    board:update({ view(0, 1), view(1, 2), view(2, 3) }, { moment = "round", round = 1 })
    local first = #lines_of(out.text())
    lu.assertNotStrContains(out.text(), "A\27")
    out.clear()
    board:update({ view(0, 1), view(1, 2) }, { moment = "round", round = 2 })
    lu.assertStrContains(out.text():sub(1, 10), ("\27[%dA\27[2K"):format(first))
    lu.assertEquals(out.text():sub(-3), "\27[J")
    out.clear()
    board:say "something else"
    local lines = lines_of(out.text())
    lu.assertStrContains(lines[1], "something else") -- above the table, which is drawn again
    lu.assertStrContains(lines[2], "member")
end

function Terminal.test_a_large_population_shows_its_best()
    local out, views = paper(), {}
    for slot = 0, 44 do views[slot + 1] = view(slot, slot % 7) end
    live.new(options(out, { rows = 20 })):update(views, { moment = "round", round = 1 })
    local lines = lines_of(plain(out.text()):gsub("\27%[%d*[KAJ]", ""))
    lu.assertTrue(#lines < 20)
    lu.assertStrContains(plain(out.text()), "and 31 more members, none of them better")
    for i = 2, 15 do lu.assertStrMatches(lines[i], " +%d+ +100 +[456]%.000.*") end
end

function Terminal.test_who_is_ready()
    local out = paper()
    local board = live.new(options(out))
    local views = { view(0, 1), view(1, 2) }
    board:update(views, { moment = "start", round = 0, seconds = 0 })
    board.drew = nil
    board:update(views, { moment = "ready", slot = 1, round = 0, seconds = 1 })
    local lines = lines_of(plain(out.text()))
    lu.assertStrContains(lines[#lines - 3], "training")
    lu.assertStrContains(lines[#lines - 2], "ready")
    lu.assertStrContains(lines[#lines - 1], "round 0 of 20 done, 1 of 2 ready")
end

-- Of 2 × 100 steps a round: 80 in a second, and 3920 are to come.
function Terminal.test_within_a_round()
    local out = paper()
    local board = live.new(options(out))
    local views = { view(0, 1, { steps = 0 }), view(1, 2, { steps = 0 }) }
    board:update(views, { moment = "start", round = 0, seconds = 0 })
    board.drew = nil
    board:update(views, { moment = "training", round = 0, seconds = 1, share = 0.4 })
    local lines = lines_of(plain(out.text()))
    lu.assertStrContains(lines[#lines - 2], "training")
    lu.assertStrContains(lines[#lines - 1], "round 0 of 20 done, 40 % of the next, 0 of 2 ready")
    lu.assertStrContains(lines[#lines], "80 steps/s, 49 s left")
end

function Terminal.test_speed_and_time_left()
    local out = paper()
    local board = live.new(options(out, { images = 64, rounds = 10 }))
    local function views(steps) return { view(0, 1, { steps = steps }), view(1, 2, { steps = steps }) } end
    board:update(views(300), { moment = "start", round = 3, seconds = 50 }) -- resumed: what was before does not count
    board:update(views(400), { moment = "round", round = 4, seconds = 60 })
    lu.assertStrContains(out.text(), "20 steps/s, 1,280 images/s, 1 min 00 s left")
end

-- ---- elsewhere -----------------------------------------------------------------------------------------------------

local Lines = {}

function Lines.test_a_line_a_round()
    local out = paper()
    local board = live.new(options(out, { terminal = false }))
    local views = { view(0, 4.5), view(1, 6.25, { parent = 0 }), view(2, nil, FAILED), view(3, 2) }
    board:update(views, { moment = "start", round = 0, seconds = 0 })
    board:update(views, { moment = "ready", slot = 0, round = 0, seconds = 1 })
    lu.assertEquals(out.text(), "")
    board:update(views, { moment = "round", round = 1, seconds = 2.5 })
    board:update(views, { moment = "round", round = 2, seconds = 4 })
    board:finish()
    local lines = lines_of(out.text())
    lu.assertEquals(#lines, 4)
    lu.assertEquals(table.remove(lines, 1), "real images: inception 9.000 ± 0.040")
    lu.assertStrMatches(lines[1], "round +step +inception +member +median +worst +report +copies failures +seconds")
    lu.assertStrMatches(lines[2], " +1 +100 +6%.250 ± 0%.050 +1 +4%.500 +2%.000 +6%.000 +1 +1 +2%.5")
    lu.assertStrMatches(lines[3], " +2 .* 1%.5")
    lu.assertNotStrContains(out.text(), "\27")
end

function Lines.test_all_failed_and_suspicious()
    local out = paper()
    local board = live.new(options(out, { terminal = false }))
    board:update({ view(0, nil, FAILED) }, { moment = "round", round = 1, seconds = 1 })
    lu.assertStrMatches(lines_of(out.text())[3], " +1 +100 +%- +%- +%- +%- +%- +0 +1 +%-")
    board:update({ view(0, 9.5) }, { moment = "round", round = 2, seconds = 1 })
    lu.assertStrContains(out.text(), "suspicious: member 0 is better than real images")
end

-- ---- words and numbers ---------------------------------------------------------------------------------------------

local Words = {}

function Words.test_numbers()
    lu.assertEquals(text.number(nil), "-")
    lu.assertEquals(text.number(0 / 0), "-")
    lu.assertEquals(text.number(1 / 0), "inf")
    lu.assertEquals(text.number(9.40711), "9.407")
    lu.assertEquals(text.number(0.000123), "1.23e-4")
    lu.assertEquals(text.number(1.5e9), "1.50e9")
    lu.assertEquals(text.number(12), "12")
    lu.assertEquals(text.brief(2e-5), "2e-5")
    lu.assertEquals(text.brief(0.8), "0.8")
    lu.assertEquals(text.noisy(33.2412, 2), "33.24 ± 2.00")
    lu.assertEquals(text.noisy(33.2412, 0.001), "33.24 ± 0.001")
    lu.assertEquals(text.noisy(33.2412, nil), "33.24")
    lu.assertEquals(text.noisy(-4.96e-9, 0.01), "0.000 ± 0.010")
    lu.assertEquals(text.noisy(5.4e-4, 0.01), "0.001 ± 0.010")
    lu.assertEquals(text.noisy(5.4321e-4, 1e-4), "5.40e-4 ± 0.0001")
    lu.assertEquals(text.amount(0.04, { "kB", "MB" }), "0.0 kB")
    lu.assertEquals(text.amount(4.2, { "kB", "MB" }), "4.2 kB")
    lu.assertEquals(text.amount(4200, { "kB", "MB" }), "4.2 MB")
    lu.assertEquals(text.amount(4.2e9, { "kB", "MB" }), "4200000.0 MB")
    lu.assertEquals(text.count(1234567), "1,234,567")
    lu.assertEquals(text.count(999), "999")
    lu.assertEquals(text.seconds(125), "2 min 05 s")
    lu.assertEquals(text.seconds(3725), "1 h 02 min")
    lu.assertEquals(text.cut("Fréchet distance", 8), "Fréchet…")
end

-- Tables of Student's t, two-sided 95 %.
function Words.test_student()
    local known = { 12.7062, 4.3027, 3.1824, 2.7764, 2.5706, [9] = 2.2622, [10] = 2.2281, [30] = 2.0423, [199] = 1.972 }
    for freedom, t in pairs(known) do lu.assertAlmostEquals(student.quantile(0.95, freedom), t, 5e-5) end
    lu.assertEquals(student.deviation { 3 }, nil)
    lu.assertEquals(student.half_interval { 3 }, nil)
    lu.assertAlmostEquals(student.half_interval { 1, 2, 3 }, 4.30265 / math.sqrt(3), 1e-5)
end

support.main { TestTerminal = Terminal, TestLines = Lines, TestWords = Words }
