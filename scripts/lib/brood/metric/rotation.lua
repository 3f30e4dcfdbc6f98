-- Images without labels have one thing that can be asked of a classifier: which of four ways up is this? What it learns
-- to see for that serves the distances. (Gidaris et al. 2018, "Unsupervised representation learning by predicting image
-- rotations")
local graph = require "brood.graph"
local positions = require "brood.positions"

local rotation = { classes = { "upright", "turned left", "upside down", "turned right" } }

-- Of square images x (n, side, side, channels), the first quarter as they are, the others turned by one, two and three
-- quarters; and which way up each is, (n), from 1.
function rotation.turn(g, x)
    local count, side, _, channels = table.unpack(x:shape())
    local row, column = positions(g, side):reshape(1, side, 1), positions(g, side):reshape(1, 1, side)
    local image = positions(g, count):reshape(count, 1, 1)
    local rest = side + 1
    local sources = { { row, column }, { column, rest - row }, { rest - row, rest - column }, { rest - column, row } }
    local index, way = (image - 1) * (side * side), nil
    for k, source in ipairs(sources) do
        local from = (image - (count * (k - 1) // 4 + 0.5)):step()
        local before = (image - (count * k // 4 + 0.5)):step()
        index = index + (from - before) * ((source[1] - 1) * side + source[2])
        way = way and way + from or from
    end
    return graph.gather(x:reshape(-1, channels), index), way:reshape(count)
end

-- The same of images that are at hand.
function rotation.of_images(images)
    local g = graph.new()
    local turned, way = rotation.turn(g, g:input("x", images:shape()))
    local made = g:compile({ turned = turned, way = way }):run { x = images }
    return made.turned, made.way
end

return rotation
