-- What scoring costs and what it can tell: the time of one selection score beside 100 training steps, and how far the
-- classifier score wanders from draw to draw, beside what the program says. Times are the processor's, of one thread.
--     brood lua tests/bench/bench_scores.lua [time] [spread] [gaming [mnist]] [classifiers [digits] [mnist] [cifar10]]
local brood = require "brood"
local command = require "brood.command"
local history = require "brood.show.history"
local nn, loss, optim, data, metric = brood.nn, brood.loss, brood.optim, brood.data, brood.metric

local wanted = {}
for _, name in ipairs(arg) do wanted[name] = true end
if #arg == 0 then wanted = { time = true, spread = true } end

-- ---- time ---------------------------------------------------------------------------------------------------------

-- The DCGAN of bench_step.c; with R1 that of the experiments.
local function dcgan(width, set, options)
    local channels = set:shape()[3]
    return brood.experiment {
        name = "bench", data = set, latent = 64, batch = 64,
        generator = function()
            return nn.sequential {
                nn.linear { out = 4 * 4 * 4 * width }, nn.reshape { 4, 4, 4 * width }, nn.batch_norm {}, nn.relu {},
                nn.upconv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
                nn.upconv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.batch_norm {}, nn.relu {},
                nn.upconv { out = channels, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
            }
        end,
        discriminator = function()
            return nn.sequential {
                nn.conv { out = width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
                nn.conv { out = 2 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
                nn.conv { out = 4 * width, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
                nn.flatten {}, nn.linear { out = 1 },
            }
        end,
        loss = loss.non_saturating(options.r1 and { r1 = 1 } or {}),
        g_optimizer = optim.adam { lr = 1e-3, beta1 = 0.5 }, d_optimizer = optim.adam { lr = 1e-3, beta1 = 0.5 },
        rounds = options.rounds, interval = options.interval, select = options.select,
    }
end

-- The least seconds of training and of scoring that a round took, by the ledger of a run.
local function costs(experiment)
    local directory = os.tmpname()
    os.remove(directory)
    local run <close> = experiment:begin { directory = directory, workers = 1 }
    run:go()
    local training, scoring = math.huge, math.huge
    for _, node in ipairs(history.read(directory).nodes) do
        training, scoring = math.min(training, node.training), math.min(scoring, node.scoring)
    end
    command.remove(directory)
    return training, scoring
end

local function time_scores(title, width, set)
    local plain, with_r1 = costs(dcgan(width, set, { rounds = 4, interval = 100 })),
        costs(dcgan(width, set, { rounds = 4, interval = 100, r1 = true }))
    print(("%s, width %d: 100 steps %.0f ms, with R1 %.0f ms"):format(title, width, plain * 1e3, with_r1 * 1e3))
    for _, architecture in ipairs { "strided", "mixed" } do
        local classifier = metric.classifier {
            data = set, architecture = architecture, steps = 1, cache = false, say = function() end, test = set:test(),
        }
        for _, name in ipairs { "classifier_score", "frechet", "kernel", "coverage" } do
            local select = metric[name] { classifier = classifier }
            local _, scoring = costs(dcgan(width, set, { rounds = 8, interval = 2, select = select }))
            print(("    %-8s %-17s %4.0f ms; %5.1f %% of 100 steps, %5.1f %% with R1"):format(architecture, name,
                scoring * 1e3, 100 * scoring / plain, 100 * scoring / with_r1))
        end
    end
end

if wanted.time then
    print "One selection score of 2,500 images, 32×32, beside 100 steps of a DCGAN, batch 64"
    time_scores("gray", 16, data.digits {})
    time_scores("color", 32, data.digits { color = true })
end

-- ---- spread -------------------------------------------------------------------------------------------------------

local DRAWS = 20

local function deviation_of(values)
    local mean, squares = 0, 0
    for _, value in ipairs(values) do mean = mean + value / #values end
    for _, value in ipairs(values) do squares = squares + (value - mean) ^ 2 end
    return math.sqrt(squares / (#values - 1)), mean
end

local function spread(title, scorer, count, draw)
    local values, said = {}, 0
    for i = 1, DRAWS do
        local value, deviation = scorer:measure(draw(i))
        values[i], said = value[1], said + deviation[1] / DRAWS
    end
    local deviation, mean = deviation_of(values)
    print(("    %-10s N = %4d   mean %.3f   spread %.4f   said %.4f"):format(title, count, mean, deviation, said))
end

if wanted.spread then
    print(("The classifier score over %d draws: its spread, and the deviation that the program gives"):format(DRAWS))
    local set, plenty = data.digits {}, data.digits { count = DRAWS * 5000, seed = 7 }
    local classifier = metric.classifier { data = set, half = 1 }
    local experiment = dcgan(16, set, { r1 = true })
    local member = experiment:member(1, 0)
    member:train(800)
    for _, count in ipairs { 1000, 2500, 5000 } do
        local scorer = metric.scorer({ metric.classifier_score { samples = count, classifier = classifier } }, experiment)
        spread("generated", scorer, count, function(i) return member:sample(1, count, i) end)
        spread("real", scorer, count, function(i) return (plenty:samples(1 + (i - 1) * count, count)) end)
    end
end

-- ---- gaming -------------------------------------------------------------------------------------------------------

local SHOWN = { "classifier_score", "frechet", "kernel", "precision", "recall", "coverage", "class_balance",
    "memorization_score" }

local function show_gaming(open)
    local gaming = dofile "tests/lua/gaming.lua"
    local set, count = open {}, 2500
    local selection = metric.classifiers { data = set }
    local scores = { metric.classifier_score { samples = count } }
    scores[1].role = "selection"
    for _, name in ipairs(SHOWN) do scores[#scores + 1] = metric[name] { samples = count } end
    print(("%s: %d images; the first score is the selection classifier's"):format(set, count))
    local words = { ("%-28s %8s"):format("", "select") }
    for _, name in ipairs(SHOWN) do words[#words + 1] = ("%8s"):format(name:sub(1, 8)) end
    print(table.concat(words, " "))
    for _, case in ipairs(gaming.cases(open, selection, count)) do
        words = { ("%-28s"):format(case[1]) }
        for _, row in ipairs(metric.report(scores, { sample = function() return case[2] end }, { data = set })) do
            words[#words + 1] = ("%8.3f"):format(row.value)
        end
        print(table.concat(words, " "))
    end
end

if wanted.gaming then
    show_gaming(function(options) return data[wanted.mnist and "mnist" or "digits"](options) end)
end

-- ---- classifiers --------------------------------------------------------------------------------------------------

if wanted.classifiers then
    for _, name in ipairs { "digits", "mnist", "cifar10" } do
        if wanted[name] or not (wanted.digits or wanted.mnist or wanted.cifar10) then
            local start, clock = os.time(), os.clock()
            local selection, report = metric.classifiers { data = data[name] {}, cache = false }
            print(("%s: both in %d s, %.1f s of the processor"):format(name, os.time() - start, os.clock() - clock))
            print(selection)
            print(report)
        end
    end
end
