-- Differentiable augmentation: what each change does to images, how often, and that gradients pass through.
local support = dofile "tests/lua/support.lua"
local augment = require "brood.augment"
local context = require "brood.context"
local graph = require "brood.graph"
local schedule = require "brood.schedule"
local lu, near, fails, count = support.lu, support.near, support.fails, support.count

local Same, Colors, Places, Share, Gradients, Wrong = {}, {}, {}, {}, {}, {}

local BATCH, SIZE, CHANNELS = 200, 8, 3
local PIXELS = SIZE * SIZE * CHANNELS

-- Images in [-1, 1] in which no two numbers are alike, and none is 0; as the engine keeps them.
local function images(batch)
    local n = batch * PIXELS
    return graph.value({ n }, count(n, function(i) return 2 * ((i * 7919) % n + 0.5) / n - 1 end)):flat()
end

-- The images after a change, and before: lists of lists, [image][pixel, row by row]. Options: inputs, batch.
local function changed(how, options)
    options = options or {}
    local batch = options.batch or BATCH
    local g = graph.new()
    local x = g:input("x", { batch, SIZE, SIZE, CHANNELS })
    local inputs = { x = images(batch) }
    for name, value in pairs(options.inputs or {}) do inputs[name] = value end
    local program = g:compile { y = how(x, g) }
    local function split(numbers)
        return count(batch, function(k) return table.move(numbers, (k - 1) * PIXELS + 1, k * PIXELS, 1, {}) end)
    end
    return split(program:run(inputs, { seed = options.seed or 1 }).y:flat()), split(inputs.x)
end

local function at(row, column, channel) return ((row - 1) * SIZE + column - 1) * CHANNELS + channel end

local function mean(list)
    local sum = 0
    for _, number in ipairs(list) do sum = sum + number end
    return sum / #list
end

local function deviation(list)
    local middle = mean(list)
    return math.sqrt(mean(count(#list, function(i) return (list[i] - middle) ^ 2 end)))
end

local function same(a, b)
    for i = 1, #b do
        if a[i] ~= b[i] then return false end
    end
    return true
end

-- `numbers` look uniform from low to high: their mean and deviation, and that none lies outside.
local function uniform(numbers, low, high)
    local reach = high - low
    for _, number in ipairs(numbers) do lu.assertTrue(number >= low - 1e-3 and number <= high + 1e-3, number) end
    lu.assertAlmostEquals(mean(numbers), (low + high) / 2, 0.1 * reach)
    lu.assertAlmostEquals(deviation(numbers), reach / math.sqrt(12), 0.1 * reach)
end

-- ---- no change -----------------------------------------------------------------------------------------------------

function Same.test_strength_0()
    local how = augment { flip = 0, brightness = 0, saturation = 0, contrast = 0, translation = 0, cutout = 0 }
    local after, before = changed(how)
    for k = 1, BATCH do lu.assertTrue(same(after[k], before[k])) end
end

-- The same, where strengths are inputs: the work is done, and changes nothing.
function Same.test_live_strength_0()
    for _, name in ipairs { "flip", "brightness", "saturation", "contrast", "translation", "cutout" } do
        local after, before = changed(augment { [name] = "s" }, { inputs = { ["h.s"] = 0 } })
        for k = 1, BATCH do lu.assertTrue(same(after[k], before[k]), name) end
    end
end

function Same.test_p_0()
    local how = augment { "flip", "brightness", "saturation", "contrast", "translation", "cutout", p = "p" }
    local after, before = changed(how, { inputs = { ["h.p"] = 0 } })
    for k = 1, BATCH do lu.assertTrue(same(after[k], before[k])) end
end

-- As a layer, it is for training only.
function Same.test_in_sampling()
    local g = graph.new()
    local x = g:input("x", { 2, 4, 4, 1 })
    local ctx = context.new { graph = g, training = false }
    lu.assertIs(augment { "cutout" }(x, ctx), x)
    lu.assertNotIs(augment { "cutout" }(x, context.new { graph = g }), x)
end

-- ---- colors ----------------------------------------------------------------------------------------------------------

function Colors.test_brightness()
    local after, before = changed(augment { "brightness" })
    local added = count(BATCH, function(k)
        local difference = after[k][1] - before[k][1]
        near(after[k], count(PIXELS, function(i) return before[k][i] + difference end))
        return difference
    end)
    uniform(added, -0.5, 0.5)
end

-- The factors by which distances from middle(image, i) have grown, one for each image, the same for all its pixels.
local function factors(name, middle)
    local after, before = changed(augment { name })
    return count(BATCH, function(k)
        local function distance(image, i) return image[k][i] - middle(before[k], i) end
        local factor = distance(after, 1) / distance(before, 1)
        near(after[k], count(PIXELS, function(i)
            return middle(before[k], i) + factor * distance(before, i)
        end), 1e-4)
        return factor
    end)
end

function Colors.test_saturation()
    uniform(factors("saturation", function(image, i)
        local first = (i - 1) // CHANNELS * CHANNELS
        return (image[first + 1] + image[first + 2] + image[first + 3]) / 3
    end), 0, 2)
end

function Colors.test_contrast()
    local means = setmetatable({}, { __mode = "k" })
    uniform(factors("contrast", function(image)
        means[image] = means[image] or mean(image)
        return means[image]
    end), 0.5, 1.5)
end

function Colors.test_saturation_of_gray_images()
    local g = graph.new()
    local x = g:input("x", { 2, 2, 2, 1 })
    near(support.numbers(g, augment { "saturation" }(x, g), { x = count(8) }), count(8))
end

-- ---- places ------------------------------------------------------------------------------------------------------------

local function mirror(image)
    local mirrored = {}
    for row = 1, SIZE do
        for column = 1, SIZE do
            for channel = 1, CHANNELS do
                mirrored[at(row, column, channel)] = image[at(row, SIZE + 1 - column, channel)]
            end
        end
    end
    return mirrored
end

local function count_mirrored(how, options)
    local after, before = changed(how, options)
    local mirrored = 0
    for k = 1, BATCH do
        local is = same(after[k], mirror(before[k]))
        lu.assertTrue(is or same(after[k], before[k]))
        mirrored = mirrored + (is and 1 or 0)
    end
    return mirrored / BATCH
end

function Places.test_flip_is_an_exact_mirror_half_of_the_time()
    lu.assertAlmostEquals(count_mirrored(augment { "flip" }), 0.5, 0.12)
end

function Places.test_flip_by_strength()
    lu.assertEquals(count_mirrored(augment { flip = 1 }), 1)
    lu.assertAlmostEquals(count_mirrored(augment { flip = 0.2 }), 0.2, 0.1)
    lu.assertAlmostEquals(count_mirrored(augment { flip = "f" }, { inputs = { ["h.f"] = 0.9 } }), 0.9, 0.08)
end

-- By how much an image was moved down and right, found from the places of two of its numbers; all others must agree.
local function moved(after, before)
    local place = {}
    for i = 1, PIXELS, CHANNELS do place[before[i]] = i end
    local middle = at(SIZE // 2, SIZE // 2, 1)
    local from = place[after[middle]]
    local down = (middle - 1) // (SIZE * CHANNELS) - (from - 1) // (SIZE * CHANNELS)
    local right = (middle - from) // CHANNELS - down * SIZE
    for row = 1, SIZE do
        for column = 1, SIZE do
            local inside = row - down >= 1 and row - down <= SIZE and column - right >= 1 and column - right <= SIZE
            for channel = 1, CHANNELS do
                local expected = inside and before[at(row - down, column - right, channel)] or 0
                if after[at(row, column, channel)] ~= expected then
                    lu.fail(("pixel %d, %d after a move by %d, %d"):format(row, column, down, right))
                end
            end
        end
    end
    return down, right
end

function Places.test_translation_moves_whole_images()
    local after, before = changed(augment { translation = 0.25 })
    for k = 1, BATCH do
        local down, right = moved(after[k], before[k])
        lu.assertTrue(math.max(math.abs(down), math.abs(right)) <= SIZE // 4)
    end
end

-- Every pair of moves, whole numbers from -most to most, is as likely as any. Of each image only the pixel in the
-- middle is looked at, whose number tells where it comes from.
local function check_moves(how, size, most, inputs)
    local batch = 4000
    local g = graph.new()
    local place = g:input("place", { 1, size, size, 1 })
    local middle = { size // 2, size // 2 }
    local numbers = count(size * size)
    inputs = setmetatable({ place = numbers }, { __index = inputs })
    local program = g:compile { y = how(place:expand(batch, size, size, 1), g):slice { false, middle, middle } }
    local given = {}
    for name in pairs(program:inputs()) do given[name] = inputs[name] end
    local seen = {}
    for _, from in ipairs(program:run(given, { seed = 3 }).y:flat()) do seen[from] = (seen[from] or 0) + 1 end
    local even = batch / (2 * most + 1) ^ 2
    for row = size // 2 - most, size // 2 + most do
        for column = size // 2 - most, size // 2 + most do
            local from = (row - 1) * size + column
            lu.assertAlmostEquals(seen[from] or 0, even, 4.5 * math.sqrt(even))
            seen[from] = nil
        end
    end
    lu.assertEquals(seen, {})
end

function Places.test_translation_is_uniform()
    check_moves(augment { "translation" }, 16, 2)
    check_moves(augment { translation = 0.25 }, 8, 2)
    check_moves(augment { translation = "t" }, 8, 1, { ["h.t"] = 1 / 8 })
end

-- The rows and columns of the hole, its only zeros; all else is as before.
local function hole(after, before)
    local rows, columns, zeros = {}, {}, 0
    for row = 1, SIZE do
        for column = 1, SIZE do
            local i = at(row, column, 1)
            if after[i] == 0 then
                zeros, rows[row], columns[column] = zeros + 1, true, true
            end
            for channel = 0, CHANNELS - 1 do
                local expected = after[i] == 0 and 0 or before[i + channel]
                if after[i + channel] ~= expected then lu.fail(("pixel %d, %d"):format(row, column)) end
            end
        end
    end
    local function span(places)
        local first, last, number = nil, 0, 0
        for place = 1, SIZE do
            if places[place] then first, last, number = first or place, place, number + 1 end
        end
        lu.assertEquals(last, (first or 1) + number - 1) -- without gaps
        return first, last, number
    end
    local top, bottom, height = span(rows)
    local left, right, width = span(columns)
    lu.assertEquals(zeros, height * width)
    return { { top, bottom, height }, { left, right, width } }
end

function Places.test_cutout()
    local after, before = changed(augment { "cutout" })
    local middles = { {}, {} }
    for k = 1, BATCH do
        for axis, span in ipairs(hole(after[k], before[k])) do
            local first, last, size = table.unpack(span)
            local at_edge = first == 1 or last == SIZE
            lu.assertTrue(at_edge and size >= SIZE // 4 and size <= SIZE // 2 or size == SIZE // 2, size)
            -- the middle that the whole square would have
            local middle = first == 1 and last - SIZE / 4 or first - 1 + SIZE / 4
            table.insert(middles[axis], middle)
        end
    end
    for axis = 1, 2 do uniform(middles[axis], 0, SIZE) end
end

function Places.test_cutout_by_strength()
    local after, before = changed(augment { cutout = "c" }, { inputs = { ["h.c"] = 3 / SIZE } })
    for k = 1, BATCH do
        for _, span in ipairs(hole(after[k], before[k])) do
            lu.assertTrue(span[3] == 3 or (span[1] == 1 or span[2] == SIZE) and span[3] >= 1 and span[3] < 3)
        end
    end
end

-- ---- how often, and alike for real and generated images -----------------------------------------------------------------

function Share.test_p()
    for _, name in ipairs { "brightness", "saturation", "contrast", "cutout" } do
        for _, p in ipairs { 0.25, 0.75 } do
            local after, before = changed(augment { name, p = p })
            local touched = mean(count(BATCH, function(k) return same(after[k], before[k]) and 0 or 1 end))
            lu.assertAlmostEquals(touched, p, 0.1, name)
        end
    end
    lu.assertAlmostEquals(count_mirrored(augment { flip = 1, p = "p" }, { inputs = { ["h.p"] = 0.3 } }), 0.3, 0.1)
end

function Share.test_fresh_in_every_run()
    local g = graph.new()
    local x = g:constant(0, { BATCH, 2, 2, 1 })
    local program = g:compile { y = augment { "brightness" }(x, g) }
    lu.assertFalse(same(program:run().y:flat(), program:run().y:flat()))
end

-- Two calls, as for real and for generated images: other random numbers of one distribution.
function Share.test_two_calls()
    local g = graph.new()
    local x = g:constant(0.25, { 2000, 4, 4, 1 })
    local how = augment { "brightness", "cutout", "translation", p = 0.7 }
    local program = g:compile { real = how(x, g):mean(2, 3, 4), fake = how(x, g):mean(2, 3, 4) }
    local out = program:run()
    local real, fake = out.real:flat(), out.fake:flat()
    lu.assertFalse(same(real, fake))
    local both = mean(count(2000, function(k) return (real[k] - mean(real)) * (fake[k] - mean(fake)) end))
    lu.assertAlmostEquals(both / (deviation(real) * deviation(fake)), 0, 0.1)
    lu.assertAlmostEquals(mean(real), mean(fake), 0.15 * deviation(real))
    lu.assertAlmostEquals(deviation(real), deviation(fake), 0.1 * deviation(real))
end

-- ---- gradients --------------------------------------------------------------------------------------------------------

local EACH = { "flip", "brightness", "saturation", "contrast", "translation", "cutout" }

-- Each change is affine in the image: with the random numbers held, ⟨w, f(b) - f(a)⟩ = ⟨gradient, b - a⟩ for any images.
local function check_adjoint(how)
    local batch = 4
    local g = graph.new()
    local shape = { batch, SIZE, SIZE, CHANNELS }
    local n = batch * PIXELS
    local x, w = g:input("x", shape), g:input("w", shape)
    local y = (how(x, g) * w):sum()
    local program = g:compile { y = y, gradient = graph.grad(y, x) }
    local weights = count(n, function(i) return math.sin(i * i) end)
    local a, b = images(batch), count(n, function(i) return math.cos(3 * i) end)
    local function at_image(image) return program:run({ x = image, w = weights }, { seed = 5, step = 1 }) end
    local first, second = at_image(a), at_image(b)
    local gradient, change = first.gradient:flat(), 0
    for i = 1, n do change = change + gradient[i] * (b[i] - a[i]) end
    lu.assertAlmostEquals(second.y:item() - first.y:item(), change, 2e-3 * math.max(1, math.abs(change)))
    lu.assertTrue(deviation(gradient) > 0.1)
end

for _, name in ipairs(EACH) do
    Gradients["test_of_" .. name] = function() check_adjoint(augment { name }) end
end

function Gradients.test_of_all()
    check_adjoint(augment(EACH))
    check_adjoint(augment { p = 0.5, table.unpack(EACH) })
end

-- A penalty on D's slope, through the augmentation and on to D's parameters.
function Gradients.test_of_a_penalty()
    local g = graph.new()
    local x = g:input("x", { 4, SIZE, SIZE, CHANNELS })
    local w = g:param("w", { PIXELS, 1 }, { value = count(PIXELS, function(i) return math.sin(i) / 20 end) })
    local function penalty_of(how)
        local output = graph.matmul(how(x, g):reshape(4, PIXELS), w)
        return graph.grad(output:sum(), x):square():sum()
    end
    local plain, flipped = penalty_of(function(y) return y end), penalty_of(augment { flip = 1 })
    local out = g:compile { plain = plain, flipped = flipped, of_plain = graph.grad(plain, w),
        of_flipped = graph.grad(flipped, w) }:run()
    near({ out.flipped:item() }, { out.plain:item() })
    near(out.of_flipped:flat(), out.of_plain:flat())
    lu.assertTrue(deviation(out.of_plain:flat()) > 1e-3)
end

-- ---- hyperparameters and errors ---------------------------------------------------------------------------------------

function Share.test_names_are_told_to_the_context()
    local g = graph.new()
    local ctx = context.new { graph = g }
    augment { brightness = "b", p = "p" }(g:input("x", { 2, 4, 4, 1 }), ctx)
    lu.assertNotNil(ctx.registry.hyperparameters.b)
    lu.assertNotNil(ctx.registry.hyperparameters.p)
end

function Wrong.test_options()
    fails("augment[1]: one of 'flip', 'brightness'", function() local _ = augment { "flp" } end)
    fails("did you mean 'flip'?", function() local _ = augment { "flp" } end)
    fails("augment: there is no field 'cutot': did you mean 'cutout'?", function() local _ = augment { cutot = 0.5 } end)
    fails("augment: translation: a number from 0 to 1", function() local _ = augment { translation = 4 } end)
    fails("augment: p: a number from 0 to 1", function()
        local _ = augment { "flip", p = schedule.constant(1.5) }
    end)
    fails("augment: flip is given twice", function() local _ = augment { "flip", flip = 0.3 } end)
    fails("augment: one or more expected of flip, ", function() local _ = augment {} end)
    fails("augment: one or more expected of flip, ", function() local _ = augment { p = 0.5 } end)
end

function Wrong.test_shape()
    local g = graph.new()
    local x = g:input("x", { 4, 10 })
    fails("augment: images (n, height, width, channels) expected, got the shape (4, 10)", function()
        augment { "flip" }(x, g)
    end)
end

support.main { Same = Same, Colors = Colors, Places = Places, Share = Share, Gradients = Gradients, Wrong = Wrong }
