-- What keeps a run: members' states, the data set's facts, pictures and files, as commands use them.
local support = dofile "tests/lua/support.lua"
local brood = require "brood"
local data = require "brood.data"
local files = require "brood.files"
local graph = require "brood.graph"
local image = require "brood.image"
local model = require "brood.model"
local nn, loss = brood.nn, brood.loss
local lu = support.lu

local function folder()
    local path = os.tmpname()
    os.remove(path)
    files.make_folder(path)
    return path
end

-- Runs f(path), and removes the folder's files afterwards.
local function in_folder(f)
    local path = folder()
    local fine, message = pcall(f, path)
    for _, name in ipairs(files.list(path)) do os.remove(path .. "/" .. name) end
    os.remove(path)
    if not fine then error(message, 0) end
end

local function experiment(seed)
    return brood.experiment {
        name = "points", data = data.ring {}, latent = 2, batch = 8, seed = seed,
        generator = function() return nn.sequential { nn.linear { out = 4 }, nn.relu {}, nn.linear { out = 2 } } end,
        discriminator = function() return nn.sequential { nn.linear { out = 1 }, nn.dropout {} } end,
        loss = loss.non_saturating {},
    }
end

-- ---- members ---------------------------------------------------------------------------------------------------------

local Members = {}

function Members.test_a_loaded_state_goes_on_bit_for_bit()
    in_folder(function(path)
        local first = experiment(3):member(3, 0)
        assert(first:train(7))
        local name = first:save(path)
        lu.assertEquals(name, first:hash() .. ".safetensors")
        lu.assertEquals({ first:age(), first:steps() }, { 7, 7 })
        assert(first:train(5))
        local second = experiment(3):member(3, 0)
        local fresh = second:hash()
        second:load(path .. "/" .. name)
        lu.assertNotEquals(second:hash(), fresh)
        lu.assertEquals({ second:age(), second:steps() }, { 7, 7 })
        assert(second:train(5))
        lu.assertEquals(second:hash(), first:hash())
        local late = experiment(3):member(3, 0)
        late:load(path .. "/" .. name, 8)
        lu.assertEquals({ late:age(), late:steps() }, { 7, 8 })
        assert(late:train(5))
        lu.assertNotEquals(late:hash(), first:hash())
        local other = experiment(3):member(3, 1)
        other:load(path .. "/" .. name)
        assert(other:train(5))
        lu.assertNotEquals(other:hash(), first:hash())
    end)
end

function Members.test_failures_leave_the_member_alone()
    in_folder(function(path)
        local member = experiment(3):member(3, 0)
        local hash = member:hash()
        lu.assertErrorMsgContains("cannot be", member.load, member, path .. "/none.safetensors")
        files.save(path .. "/bad.safetensors", "no state")
        lu.assertError(member.load, member, path .. "/bad.safetensors")
        lu.assertError(member.save, member, path .. "/none")
        lu.assertEquals(member:hash(), hash)
    end)
end

function Members.test_generate_is_sample_from_given_vectors()
    local member = experiment(3):member(3, 0)
    local latents = member:latents(3, 5, 9)
    lu.assertEquals(latents:shape(), { 5, 2 })
    for _, raw in ipairs { false, true } do
        lu.assertEquals(member:generate(latents, nil, raw):flat(), member:sample(3, 5, 9, raw):flat())
    end
    lu.assertErrorMsgContains("latent vectors (n, 2) expected", member.generate, member, graph.value({ 1, 3 }, 0))
    lu.assertErrorMsgContains("classes from 1 to 8 expected, got 9", member.generate, member, latents, 9)
end

function Members.test_export()
    in_folder(function(path)
        local member = experiment(3):member(3, 0)
        local state, out = path .. "/" .. member:save(path), path .. "/g.safetensors"
        model.export(state, "G", out, { { "one", "1" }, { "two", "words\nof it" } })
        local file <close> = assert(io.open(out, "rb"))
        local text = file:read "a"
        lu.assertStrContains(text, '"one":"1","two":"words\\nof it"')
        lu.assertStrContains(text, '"G.1.weight"')
        lu.assertNil(text:find('"D.', 1, true))
        lu.assertErrorMsgContains("no parameters of a group 'X'", model.export, state, "X", out, {})
        lu.assertErrorMsgContains("a text expected", model.export, state, "G", out, { { "one" } })
    end)
end

-- ---- data ------------------------------------------------------------------------------------------------------------

local Data = {}

-- By number, from 1, or by name.
function Data.test_classes()
    local set = data.digits { size = 16, classes = { "3", 8 } }
    lu.assertEquals(set:classes(), { "3", "7" })
    lu.assertEquals(set:test():classes(), { "3", "7" })
    for said, classes in pairs {
        ["classes: the list is empty: name some classes, or leave it out for all"] = {},
        ["class 11 was asked for, counted from 1; it has 10 classes"] = { 11 },
        ["there is no class 'dog': there are 0, 1, 2"] = { "dog" },
        ["class 4, '3', was asked for twice"] = { 4, "3" },
        ["classes: a list of class numbers or names expected"] = 3,
    } do
        lu.assertErrorMsgContains(said, data.digits, { classes = classes })
    end
end

function Data.test_histogram()
    local counts, lopsided, endless = data.digits({ size = 16, count = 50 }):histogram()
    local sum = 0
    for _, count in ipairs(counts) do sum = sum + count end
    lu.assertEquals({ #counts, sum, lopsided, endless }, { 10, 50, false, false })
    lu.assertTrue(select(3, data.digits({ size = 16 }):histogram()))
end

function Data.test_extent()
    lu.assertTrue(data.ring({ spread = 2 }):extent() > 2)
    lu.assertErrorMsgContains("images, not points", function() return data.digits({ size = 16 }):extent() end)
end

function Data.test_nearest()
    local digits = data.digits { size = 16, count = 1200 }
    local some = digits:samples(1100, 3)
    local nearest, distances = digits:nearest(some)
    lu.assertEquals(nearest:flat(), some:flat())
    lu.assertEquals(distances, { 0, 0, 0 })
    local points = data.ring { modes = 4, deviation = 0.001, count = 100 }
    local found, far = points:nearest(graph.value({ 2, 2 }, { 3, 0, 0, -1 }))
    lu.assertAlmostEquals(found:flat()[1], 1, 0.01)
    lu.assertAlmostEquals(found:flat()[4], -1, 0.01)
    lu.assertAlmostEquals(far[1], 2, 0.01)
    lu.assertErrorMsgContains("of the data set's shape", points.nearest, points, graph.value({ 2, 3 }, 0))
end

function Data.test_download()
    lu.assertNil(data.download "digits")
    lu.assertNil(data.download "no such thing")
    local mnist = data.download "mnist"
    lu.assertEquals({ #mnist.files, mnist.archive, mnist.folder }, { 4, false, "mnist" })
    lu.assertTrue(data.download("cifar10").archive)
    in_folder(function(path)
        files.save(path .. "/file", "not it")
        local fine, why = data.check("cifar10", 1, path .. "/file")
        lu.assertFalse(fine)
        lu.assertStrContains(why, "its MD5 sum is")
    end)
    lu.assertError(data.check, "cifar10", 2, "file")
end

-- ---- pictures --------------------------------------------------------------------------------------------------------

local Pictures = {}

function Pictures.test_spread()
    lu.assertEquals(image.spread(graph.value({ 3, 2, 1, 1 }, 0.5)), 0)
    -- the first pixel is -1 and 1, the second the same in both
    lu.assertAlmostEquals(image.spread(graph.value({ 2, 2, 1, 1 }, { -1, 4, 1, 4 })), 0.5, 1e-6)
    lu.assertAlmostEquals(image.spread(graph.value({ 4, 1 }, { 1, 2, 3, 4 })), math.sqrt(1.25), 1e-6)
end

function Pictures.test_pairs()
    local pairs = image.pairs(graph.value({ 2, 2 }, { 1, 2, 3, 4 }), graph.value({ 2, 2 }, { 5, 6, 7, 8 }))
    lu.assertEquals(pairs:shape(), { 4, 2 })
    lu.assertEquals(pairs:flat(), { 1, 2, 5, 6, 3, 4, 7, 8 })
    lu.assertErrorMsgContains("of the same shape", image.pairs, graph.value({ 2 }, 0), graph.value({ 3 }, 0))
end

function Pictures.test_join()
    local joined = image.join { graph.value({ 1, 2 }, { 1, 2 }), graph.value({ 2, 2 }, { 3, 4, 5, 6 }) }
    lu.assertEquals(joined:shape(), { 3, 2 })
    lu.assertEquals(joined:flat(), { 1, 2, 3, 4, 5, 6 })
    lu.assertErrorMsgContains("of one shape", image.join, { graph.value({ 1, 2 }, 0), graph.value({ 1, 3 }, 0) })
    lu.assertErrorMsgContains("the first", image.join, {})
end

-- ---- files -----------------------------------------------------------------------------------------------------------

local Files = {}

function Files.test_folders()
    in_folder(function(path)
        lu.assertEquals(files.list(path), {})
        files.save(path .. "/b", "one\0two")
        files.save(path .. "/a", "")
        lu.assertEquals(files.list(path), { "a", "b" })
        lu.assertEquals({ files.kind(path), files.kind(path .. "/a"), files.kind "/dev/null" },
            { "folder", "file", "other" })
        lu.assertNil(files.kind(path .. "/c"))
        lu.assertEquals(files.absolute(path .. "/./a"), files.absolute(path) .. "/a")
        lu.assertNil(files.absolute(path .. "/c"))
        lu.assertErrorMsgContains("cannot read the folder", files.list, path .. "/a")
        lu.assertError(files.save, path .. "/a/x", "text")
        local file <close> = assert(io.open(path .. "/b", "rb"))
        lu.assertEquals(file:read "a", "one\0two")
    end)
end

function Files.test_programs()
    lu.assertEquals(files.run { "true" }, 0)
    lu.assertEquals(files.run { "sh", "-c", "exit $1", "sh", "3; echo no shell" }, 2)
    lu.assertEquals(files.run { "sh", "-c", 'exit "$1"', "sh", "3" }, 3)
    lu.assertEquals(files.run { "sh", "-c", "kill -9 $$" }, 137)
    lu.assertErrorMsgContains("cannot run no-such-program", files.run, { "no-such-program" })
end

support.main { Members = Members, Data = Data, Pictures = Pictures, Files = Files }
