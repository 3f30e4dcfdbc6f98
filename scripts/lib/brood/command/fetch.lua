-- brood fetch NAME: brings a published data set into the user's data folder. Everything is gathered in a folder beside
-- its place, checked there, and moved when all is well.
local check = require "brood.check"
local command = require "brood.command"
local data = require "brood.data"
local files = require "brood.files"

local IDX = { "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte" }
local CIFAR = { "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin",
    "test_batch.bin" }

-- By kind: the files that a data set is read from, where they lie in its folder, and other folders to find them in.
local SETS = {
    mnist = { unpacked = IDX, inner = "", folders = { "mnist", "MNIST/raw" } },
    fashion_mnist = { unpacked = IDX, inner = "", folders = { "fashion_mnist", "fashion-mnist", "FashionMNIST/raw" } },
    cifar10 = { unpacked = CIFAR, inner = "/cifar-10-batches-bin",
        folders = { "cifar-10-batches-bin", "cifar10", "cifar10/cifar-10-batches-bin" } },
}

local function make_folders(path)
    for at in (path .. "/"):gmatch "()/" do
        if at > 1 then files.make_folder(path:sub(1, at - 1)) end
    end
end

local function is_file(path) return files.kind(path) == "file" end

local function copy(from, to)
    local input <close> = assert(io.open(from, "rb"))
    local output <close> = assert(io.open(to, "wb"))
    for block in function() return input:read(1 << 20) end do assert(output:write(block)) end
    assert(output:flush())
end

-- ---- by the sums -----------------------------------------------------------------------------------------------------

-- Gets one published file by fetch(name, to) from the first of the places where it is right.
local function get(kind, number, name, to, places)
    local failures = {}
    for _, place in ipairs(places) do
        print(("getting %s%s"):format(place.address, name))
        local fine, why = place.fetch(name, to)
        if fine then fine, why = data.check(kind, number, to) end
        if fine then return end
        os.remove(to)
        failures[#failures + 1] = ("%s%s: %s"):format(place.address, name, why)
    end
    error(table.concat(failures, "\n"), 0)
end

local function by_curl(address)
    return {
        address = address,
        fetch = function(name, to)
            local code = files.run { "curl", "--fail", "--location", "--show-error", "--progress-bar", "--connect-timeout",
                "20", "--output", to, address .. name }
            return code == 0, ("curl has failed (exit code %d)"):format(code)
        end,
    }
end

local function by_copy(folder)
    return { address = folder .. "/", fetch = function(name, to) copy(folder .. "/" .. name, to) return true end }
end

local function unpack_archive(path, folder)
    local code = files.run { "tar", "-xzf", path, "-C", folder }
    if code ~= 0 then error(("%s: tar cannot unpack it (exit code %d)"):format(path, code), 0) end
    os.remove(path)
end

local function gather_published(kind, download, places, stage)
    for number, name in ipairs(download.files) do
        local to = stage .. "/" .. name
        get(kind, number, name, to, places)
        if download.archive then unpack_archive(to, stage) end
    end
end

-- ---- from a folder ---------------------------------------------------------------------------------------------------

-- The folder below `from` that has all the files: as published, or unpacked.
local function find(from, kind, names)
    local folders = { from }
    for _, folder in ipairs(SETS[kind].folders) do folders[#folders + 1] = from .. "/" .. folder end
    for _, folder in ipairs(folders) do
        local all = true
        for _, name in ipairs(names) do all = all and is_file(folder .. "/" .. name) end
        if all then return folder end
    end
end

-- Unpacked files: MNIST's sums are those of the unpacked bytes; the others have none.
local function gather_unpacked(kind, folder, stage)
    local verified = kind == "mnist"
    make_folders(stage .. SETS[kind].inner)
    for number, name in ipairs(SETS[kind].unpacked) do
        local to = stage .. SETS[kind].inner .. "/" .. name
        copy(folder .. "/" .. name, to)
        if verified then
            local fine, why = data.check(kind, number, to)
            if not fine then error(why, 0) end
        end
    end
    if not verified then print(("unverified: no sums are known of the unpacked files in %s"):format(folder)) end
end

local function gather_from_folder(kind, download, from, stage)
    local published = find(from, kind, download.files)
    if published then return gather_published(kind, download, { by_copy(published) }, stage) end
    local unpacked = find(from, kind, SETS[kind].unpacked)
    if unpacked then return gather_unpacked(kind, unpacked, stage) end
    error(("%s: it has neither %s nor %s, with what belongs to them"):format(from, download.files[1],
        SETS[kind].unpacked[1]), 0)
end

-- ---- all of it -------------------------------------------------------------------------------------------------------

local function gather(kind, download, from, stage)
    if not from or from:find "://" then
        local mirrors = from and { (from:gsub("/*$", "/", 1)) } or download.mirrors
        local places = {}
        for i, mirror in ipairs(mirrors) do places[i] = by_curl(mirror) end
        gather_published(kind, download, places, stage)
    elseif files.kind(from) == "folder" then
        gather_from_folder(kind, download, from, stage)
    else
        error(("--from %s: there is no such folder, and it is no address such as https://..."):format(from), 0)
    end
end

local function move_all(from, to)
    make_folders(to)
    for _, name in ipairs(files.list(from)) do
        local source, target = from .. "/" .. name, to .. "/" .. name
        if files.kind(source) == "folder" then move_all(source, target) else assert(os.rename(source, target)) end
    end
end

-- Files that would be read in the place of those on the stage: other forms of them, and what lies in folders that are
-- looked in before.
local function in_the_way(kind, download, stage)
    local found, own = {}, download.folder .. SETS[kind].inner
    local function look(folder, name)
        local path = folder .. "/" .. name
        if is_file(download.home .. path) and not is_file(stage .. path) then found[download.home .. path] = true end
    end
    for _, folder in ipairs(SETS[kind].folders) do
        for _, name in ipairs(SETS[kind].unpacked) do
            local dotted = name:gsub("-idx", ".idx", 1) -- as some unpackers write it
            for _, form in ipairs { name, name .. ".gz", dotted, dotted .. ".gz" } do look("/" .. folder, form) end
        end
        if folder == own then return check.names(found) end
    end
end

local function fetch(kind, download, from)
    local stage = ("%s/.fetch-%s"):format(download.home, kind)
    local part = stage .. "/" .. download.folder
    command.remove(stage)
    make_folders(part)
    local others
    local fine, message = pcall(function()
        gather(kind, download, from, part)
        for _, split in ipairs { "train", "test" } do print(tostring(data[kind] { path = stage, split = split })) end
        others = in_the_way(kind, download, stage)
        move_all(part, download.home .. "/" .. download.folder)
    end)
    command.remove(stage)
    if not fine then error(("%s\nnothing was kept"):format(message), 0) end
    for _, path in ipairs(others) do
        local gone, why = os.remove(path)
        if not gone then error(("%s: remove it: it is read in the place of what was fetched"):format(why), 0) end
        print(("removed %s: it would be read in the place of what was fetched"):format(path))
    end
    print(("kept in %s/%s"):format(download.home, download.folder))
end

return command.main(function(options, name)
    local kind = command.data_name(name, check.names(SETS))
    local download = data.download(kind)
    if download.home == "" then
        command.fail "no place to keep it in: neither XDG_DATA_HOME nor HOME is set"
    end
    command.try(fetch, kind, download, options.from)
end)
