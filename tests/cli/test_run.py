#!/usr/bin/env python3
"""brood run, resume, grid and weights: what becomes of a run of one member."""

import json
import os
import pty
import re
import resource
import shutil
import signal
import struct
import subprocess
import unittest

from case import BROOD, FAILED, FINE, INTERRUPTED, USAGE, Case, png, tile

SCRIPT = """local brood = require "brood"
local nn, loss, optim, data = brood.nn, brood.loss, brood.optim, brood.data
return brood.experiment {
    name = "tiny", data = DATA,
    latent = 8, batch = 8, CONDITIONAL
    generator = function()
        return nn.sequential {
            nn.linear { out = 4 * 4 * WIDTH }, nn.reshape { 4, 4, WIDTH }, nn.batch_norm {}, nn.relu {},
            nn.upconv { out = 4, kernel = 4, stride = 2, pad = 1 }, nn.relu {},
            nn.upconv { out = 1, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
        }
    end,
    discriminator = function()
        return nn.sequential {
            nn.conv { out = 4, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.conv { out = 4, kernel = 4, stride = 2, pad = 1 }, nn.leaky_relu { slope = 0.2 },
            nn.dropout {}, nn.flatten {}, nn.linear { out = 1 },
        }
    end,
    loss = loss.non_saturating { r1 = "gamma", lazy = 3 },
    g_optimizer = optim.adam { lr = "lr", beta1 = 0.5 },
    d_optimizer = optim.adam { lr = "lr", beta1 = 0.5 },
    hyper = { gamma = 1, lr = LEARN },
    rounds = ROUNDS, interval = 5, seed = 7, MORE
}
"""

RING = """local brood = require "brood"
local nn, loss, data = brood.nn, brood.loss, brood.data
local function net() return nn.sequential { nn.linear { out = 8 }, nn.relu {}, nn.linear { out = 2 } } end
return brood.experiment {
    name = "ring", data = data.ring {}, latent = 2, batch = 8, generator = net,
    discriminator = function() return nn.linear { out = 1 } end,
    loss = loss.non_saturating {}, rounds = 2, interval = 3,
}
"""

# Its generator is a table of images, one for each class.
CLASSES = """local brood = require "brood"
local nn, loss, data = brood.nn, brood.loss, brood.data
return brood.experiment {
    name = "classes", data = data.digits { size = 16, count = 40 }, latent = 2, batch = 8, conditional = true,
    generator = function() return function(z, ctx)
        local shade = ctx:param("shade", { 10, 256 }, nn.init.normal(1))
        local images = brood.graph.gather(shade, ctx.labels) + 0.2 * z:slice { false, { 1, 1 } }
        return images:tanh():reshape { z:shape()[1], 16, 16, 1 }
    end end,
    discriminator = function() return function(x, ctx)
        return nn.sequential { nn.flatten {}, nn.linear { out = 1 } } (x, ctx)
    end end,
    loss = loss.non_saturating {}, rounds = 1, interval = 1,
}
"""


def script(data="data.digits { size = 16, count = 64 }", conditional="", width="4", learn="0.001", rounds="6",
           more=""):
    text = SCRIPT
    for word, value in (("DATA", data), ("CONDITIONAL", conditional), ("WIDTH", width), ("LEARN", learn),
                        ("ROUNDS", rounds), ("MORE", more)):
        text = text.replace(word, value)
    return text


class TinyCase(Case):
    def run_tiny(self, name="run", *arguments, code=FINE, options=None, **parts):
        return self.brood("run", self.write("tiny.lua", script(**parts)), "--out", name, *arguments, code=code,
                          **(options or {}))


class Running(TinyCase):
    def test_what_is_kept(self):
        done = self.run_tiny(rounds="3", options={"env": None})
        self.assertEqual(done.stderr, "")
        kept = set(os.listdir(self.path("run")))
        plots = {"scores.png", "lineage.png"} if shutil.which("gnuplot") else set()
        self.assertEqual(kept - plots, {"script.lua", "plan.lua", "run.db", "log.txt", "states", "samples", "reals.png", "best.png",
                                        "interpolation.png", "neighbours.png"})
        self.assertEqual(sorted(os.listdir(self.path("run", "samples"))),
                         [f"0000{i}{raw}.png" for i in range(4) for raw in ("-raw", "")])
        store = self.store("run", "--ledger")
        last = store["standing"][-1]
        self.assertEqual({name: last[name] for name in ("slot", "age", "steps", "round")},
                         {"slot": 0, "age": 15, "steps": 15, "round": 3})
        self.assertEqual(set(os.listdir(self.path("run", "states"))),
                         {row["state"] + ".safetensors" for row in store["standing"][-2:]})
        self.assertEqual(self.read("run", "script.lua"), self.read("tiny.lua"))
        facts = store["fact"]
        self.assertEqual(facts["script"], os.path.realpath(self.path("tiny.lua")))
        self.assertEqual({name: facts[name] for name in ("name", "kind", "seed", "population", "batch", "latent",
                                                         "hyper.lr", "exploit", "select")},
                         {"name": "tiny", "kind": "gan", "seed": "7", "population": "1", "batch": "8", "latent": "8",
                          "hyper.lr": "constant 0.001",
                          "exploit": "none bottom 0.2 top 0.2 window 10 level 0.05 token 0", "select": "none"})

    def test_lines(self):
        done = self.run_tiny(rounds="12")
        self.assertEqual(done.stdout, self.read("run", "log.txt"))
        lines = done.stdout.splitlines()
        first = next(i for i, line in enumerate(lines) if line.startswith(" round"))
        self.assertEqual(lines[first].split(),
                         "round step loss accuracy on_real on_fake norm loss norm spread ms/step".replace(
                             "on_fake", "on_fake penalty" if "penalty" in lines[first] else "on_fake").split())
        rows = lines[first + 1:first + 13]
        self.assertEqual([row.split()[:2] for row in rows], [[str(i), str(5 * i)] for i in range(1, 13)])
        self.assertEqual({len(row) for row in rows}, {len(lines[first])})
        for row in rows:
            accuracy = float(row.split()[3])
            self.assertTrue(0 <= accuracy <= 1, row)

    def test_a_run_repeats(self):
        self.run_tiny("one", rounds="2")
        self.run_tiny("two", rounds="2")
        self.run_tiny("other", rounds="2", more="ema = 0.5")
        self.assertEqual(self.hash("one"), self.hash("two"))
        self.assertNotEqual(self.hash("one"), self.hash("other"))

    def test_directories(self):
        path = self.write("tiny.lua", script(rounds="1"))
        self.brood("run", path)
        self.brood("run", path)
        self.assertEqual(sorted(os.listdir(self.path("runs"))), ["00001-tiny", "00002-tiny"])
        self.assertIn("is there already", self.fails("run", path, "--out", "runs/00001-tiny"))
        self.assertIn("there is no folder missing", self.fails("run", path, "--out", "missing/run"))
        self.assertIn("there is no folder tiny.lua", self.fails("run", path, "-o", "tiny.lua/run"))

    def test_a_name_with_a_slash(self):
        self.brood("run", self.write("tiny.lua", script(rounds="1").replace('"tiny"', '"a/b c"')))
        self.assertEqual(os.listdir(self.path("runs")), ["00001-a-b-c"])

    def test_rounds(self):
        self.run_tiny("run", "--rounds", "2")
        self.assertEqual(self.round("run"), 2)
        self.brood("run", "--rounds=1", "tiny.lua", "--out=two")
        self.assertEqual(self.round("two"), 1)
        for wrong in ("0", "x", "1.5", "-1", ""):
            self.assertIn("--rounds: a whole number from 1",
                          self.fails("run", "tiny.lua", "--rounds", wrong, code=USAGE))
        self.assertIn("unrecognized option", self.brood("run", "tiny.lua", "--round-about", code=USAGE).stderr)

    def test_points(self):
        self.brood("run", self.write("ring.lua", RING), "--out", "run")
        self.assertEqual(png(self.path("run", "samples", "00002.png"))[:2], (400, 400))
        self.assertFalse(os.path.exists(self.path("run", "reals.png")))
        self.assertEqual(self.brood("grid", "run", "-n", "50").stdout, "run/grid.png\n")
        for kind in ("--interpolate", "--neighbours"):
            self.assertIn("makes points", self.fails("grid", "run", kind))
        self.brood("resume", "run", "--rounds", "1")

    def test_the_experiments_are_sound(self):
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "experiments")
        done = self.brood("run", os.path.join(folder, "ring.lua"), "--out", "run", "--rounds", "1")
        self.assertIn("experiment 'ring'", done.stdout)
        self.assertNotIn("memory: 0.0", done.stdout)
        self.assertNotIn("; 0.0", done.stdout)  # operations a step
        for name in ("mnist", "cifar10"):
            done = subprocess.run([BROOD, "check", os.path.join(folder, name + ".lua")], capture_output=True,
                                  text=True, check=False)
            if done.returncode == FINE:
                self.assertIn(f"experiment '{name}'", done.stdout)
            else:
                self.assertIn(f"`brood fetch {name}`", done.stderr)


class Trouble(TinyCase):
    """Bad input: each names what is wrong, and leaves what there is alone."""

    def says(self, text, *words):
        done = self.brood("run", self.write("bad.lua", text), "--out", "run", code=FAILED)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse(os.path.exists(self.path("run")), "a run was begun")

    def test_scripts(self):
        good = script()
        self.says("return 1", "must return brood.experiment { ... }, it returned a number")
        self.says("", "it returned nothing")
        self.says("return {", "bad.lua:1:")
        self.says("\33Lua", "bad.lua: this is compiled Lua, which is not run")
        self.says(good.replace("nn.reshape", "nn.reshpe"), "bad.lua:8: brood.nn has no 'reshpe': did you mean 'reshape'?")
        self.says(good.replace("latent = 8", "latnet = 8"), "there is no field 'latnet': did you mean 'latent'?")
        self.says(good.replace("batch = 8", "batch = 'x'"), "batch: a whole number of at least 1 expected")
        self.says(good.replace("interval = 5", "interval = 0"), "interval: a whole number of at least 1")
        self.says(good.replace('"gamma"', '"gama"'), "'gama'", "did you mean 'gamma'?")
        self.says(good.replace("nn.conv { out = 4, kernel = 4", "nn.conv { out = 4, kernel = 40", 1), "bad.lua:15): a kernel of 40 x 40")
        self.says(good.replace("4, 4, 4 }", "4, 4, 5 }"), "bad.lua:8", "reshape")
        self.says(good.replace("out = 1, kernel", "out = 3, kernel"),
                  "bad.lua:6) makes (8, 16, 16, 3) from G.8 tanh (", "bad.lua:10), the data are (8, 16, 16, 1)")
        self.says(good.replace("discriminator = function()", "discriminator = function() error 'thrown'"),
                  "bad.lua:13: thrown", "stack traceback")
        self.says(good.replace('from = "', ""). replace("seed = 7,", "seed = 7, from = 'nowhere',"),
                  "nowhere: there is no such thing")
        self.assertIn("No such file", self.fails("run", "missing.lua"))
        self.fails("run", self.folder)

    def test_folders(self):
        os.mkdir(self.path("empty"))
        self.says(script(data='data.folder { path = "empty" }'), "empty", "bad.lua:4")
        self.says(script(data='data.folder { path = "gone" }'), "gone")

    def test_missing_data(self):
        environment = dict(self.environment, BROOD_DATA=self.folder, HOME=self.folder, XDG_DATA_HOME=self.folder)
        done = self.run_tiny(code=FAILED, data="data.mnist {}", options={"env": environment})
        self.assertIn("Get the files with `brood fetch mnist`", done.stderr)

    def test_numbers_that_are_not_finite(self):
        done = self.run_tiny(code=FAILED, learn="1e30", rounds="3")
        for said in (done.stderr, self.read("run", "log.txt")):
            self.assertRegex(said, r"all 1 members have failed by round 1, .*\(training: [DG]\.\w+ is (nan|-?inf) at step \d+\)")
        self.assertNotIn("traceback", done.stderr)
        events = [(row["round"], row["kind"], row["slot"]) for row in self.store("run")["event"]]
        self.assertEqual(events, [(1, "failed", 0)])
        advice = "lower learning rates may help, in a new run: brood run SCRIPT\n"
        self.assertIn(advice, done.stderr)
        self.assertIn(advice, self.fails("resume", "run"))
        later = "schedule = function(run) if run.round == 2 then run:set(0, { lr = 1e30 }) end end,"
        done = self.run_tiny("late", code=FAILED, learn="brood.pbt.log_uniform(1e-3, 1e30)", rounds="5",
                             more="initial = { { gamma = 1, lr = 1e-3 } }, " + later)
        self.assertIn("brood run SCRIPT --from late@2", done.stderr)

    def test_pictures_that_cannot_be_drawn(self):
        """That is no fault of the script's: the run goes on when there is a place for them."""
        self.run_tiny("whole", rounds="4")
        self.brood("run", "tiny.lua", "--out", "run", "--rounds", "1")
        shutil.rmtree(self.path("run", "samples"))
        said = self.fails("resume", "run", "--rounds", "3")
        self.assertIn("samples/00002.png", said)
        self.assertIn("are kept: when this is put right, `brood resume run` goes on from there", said)
        self.assertIn("stack traceback", self.read("run", "log.txt"))
        os.mkdir(self.path("run", "samples"))
        self.brood("resume", "run")
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_a_full_disk(self):
        """No file may grow over 40 kB, then over 3 kB: what was saved before is unharmed, and goes on."""
        def limit(size):
            return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}
        self.run_tiny("whole", rounds="4")
        self.brood("run", "tiny.lua", "--out", "run", "--rounds", "2")
        before, state = self.export("run"), self.path("run", "states", self.hash("run") + ".safetensors")
        size = os.path.getsize(state)
        log = os.path.getsize(self.path("run", "log.txt"))
        self.assertGreater(size, log + 200)
        done = self.brood("resume", "run", "--rounds", "2", code=FAILED, **limit(size - 100))
        self.assertRegex(done.stderr, "File too large|disk I/O error")  # the state, or the store: what comes first
        self.assertEqual(self.export("run"), before)
        self.assertEqual([name for name in os.listdir(self.path("run", "states")) if name.endswith(".tmp")], [])
        self.brood("resume", "run", "--rounds", "2")
        self.assertEqual(self.export("run"), self.export("whole"))
        self.brood("run", "tiny.lua", "--out", "none", code=FAILED, **limit(300))
        said = self.brood("run", "tiny.lua", "--out", "gone", code=FAILED, **limit(40000)).stderr
        self.assertNotRegex(said, "intact|kept|resume")
        self.assertFalse(os.path.exists(self.path("gone")))
        self.assertFalse(os.path.exists(self.path("none")))

    def test_a_full_device(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("there is no /dev/full")
        self.run_tiny(rounds="1")
        os.remove(self.path("run", "log.txt"))
        os.symlink("/dev/full", self.path("run", "log.txt"))
        before = self.hash("run")
        done = self.brood("resume", "run", "--rounds", "1", code=FAILED)
        self.assertIn("log.txt: cannot be written", done.stderr)
        self.assertEqual(self.hash("run"), before)

    def test_lopsided_classes(self):
        self.run_tiny("even", rounds="1")
        self.assertNotIn("warning", self.read("even", "log.txt"))
        self.assertRegex(self.read("even", "log.txt"), r"classes: 0 \d+, 1 \d+, .*9 \d+\n")
        folder = self.path("pictures")
        for name, count in (("many", 9), ("few", 2)):
            os.makedirs(os.path.join(folder, name))
            for number in range(count):
                shutil.copy(self.path("even", "reals.png"), os.path.join(folder, name, f"{number}.png"))
        done = self.run_tiny("odd", rounds="1", data='data.folder { path = "pictures", size = 16 }')
        self.assertIn("classes: few 2, many 9", done.stdout)
        self.assertIn("warning: some classes", done.stdout)


class Resuming(TinyCase):
    def test_bit_for_bit(self):
        self.run_tiny("whole", rounds="6")
        self.brood("run", "tiny.lua", "--out", "run", "--rounds", "3")
        self.assertNotEqual(self.hash("run"), self.hash("whole"))
        done = self.brood("resume", "run", "--rounds", "3")
        self.assertIn("resumed after round 3 of 6", done.stdout)
        self.assertEqual(self.export("run"), self.export("whole"))
        for name in ("samples/00006.png", "samples/00005-raw.png", "interpolation.png"):
            with open(self.path("whole", name), "rb") as one, open(self.path("run", name), "rb") as other:
                self.assertEqual(one.read(), other.read(), name)
        rows = [re.sub(r" +[\d.]+$", "", line) for line in self.read("run", "log.txt").splitlines()
                if re.match(r" +\d+ ", line)]
        self.assertEqual(rows, [re.sub(r" +[\d.]+$", "", line) for line in
                                self.read("whole", "log.txt").splitlines() if re.match(r" +\d+ ", line)])

    def test_killed(self):
        self.run_tiny("whole", rounds="12")
        with subprocess.Popen([BROOD, "run", "tiny.lua", "--out", "run"], cwd=self.folder,
                              env=self.environment, stdout=subprocess.PIPE,
                              text=True) as process:
            while not process.stdout.readline().startswith("     3"):
                pass
            process.kill()
        self.assertLess(self.round("run"), 12)
        self.write("run/states/" + "0" * 32 + ".safetensors", "half of a st")
        self.write("run/states/" + "0" * 32 + ".safetensors.1-0.tmp", "half of a st")
        self.brood("resume", "run")
        self.assertEqual(self.export("run"), self.export("whole"))
        self.assertEqual(len(os.listdir(self.path("run", "states"))), 2)

    def test_interrupted(self):
        self.run_tiny("whole", rounds="16")
        with subprocess.Popen([BROOD, "run", "tiny.lua", "--out", "run"], cwd=self.folder,
                              env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            while not process.stdout.readline().startswith("     2"):
                pass
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertRegex(errors, r"finishing round \d+(, about \d+ s)?; Ctrl-C again stops at once, back to round \d+\n")
        stopped = re.search(r"interrupted after round (\d+): `brood resume run` goes on", output)
        self.assertEqual(str(self.round("run")), stopped.group(1))
        self.brood("resume", "run")
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_a_long_round(self):
        """On a terminal it is seen how far it is, and Ctrl-C says how long it will still take."""
        ours, theirs = pty.openpty()
        self.write("tiny.lua", script(rounds="2"))
        with subprocess.Popen([BROOD, "run", "tiny.lua", "--out", "run", "--set", "interval=2000"], cwd=self.folder,
                              env=self.environment, stdout=theirs, stderr=subprocess.PIPE) as process:
            os.close(theirs)
            screen = b""
            while b"step 1" not in screen:
                screen += os.read(ours, 65536)
            process.send_signal(signal.SIGINT)
            while b"interrupted after" not in screen:
                screen += os.read(ours, 65536)
            _, errors = process.communicate(timeout=60)
        os.close(ours)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertRegex(screen, rb"round 1: step \d+ of 2000, \S+ steps/s, \S+ images/s, [^,]+ left, D.loss ")
        self.assertRegex(errors, rb"finishing round 1(, about \d+ s)?; Ctrl-C again stops at once, back to the beginning")

    def test_finished(self):
        self.run_tiny(rounds="1")
        self.assertIn("all its 1 rounds are done: --rounds N", self.fails("resume", "run"))

    def test_a_changed_script(self):
        self.run_tiny(rounds="1")
        self.write("tiny.lua", self.read("tiny.lua").replace("latent = 8", "latent = 9"))
        said = self.fails("resume", "run", "--rounds", "1")
        self.assertIn("the script has changed since the run began: line 5 of", said)
        self.assertIn("  was:     latent = 8,", said)
        self.assertIn("  is:      latent = 9,", said)
        self.assertIn("--from run", said)
        self.write("tiny.lua", self.read("run", "script.lua") + "-- more\n")
        self.assertIn("was: (the end)\n  is:  -- more", self.fails("resume", "run", "--rounds", "1").replace(
            "was: \n", "was: (the end)\n"))
        os.remove(self.path("tiny.lua"))
        self.brood("resume", "run", "--rounds", "1")

    def test_modules_beside_the_script(self):
        os.mkdir(self.path("place"))
        self.write("place/size.lua", "return 6")
        path = self.write("place/tiny.lua", script(rounds="1").replace("latent = 8", "latent = require 'size'"))
        self.brood("run", path, "--out", "run")
        self.brood("resume", "run", "--rounds", "1")
        self.brood("grid", "run")

    def test_what_is_no_run(self):
        self.assertIn("there is no such run", self.fails("resume", "nothing"))
        self.assertIn("it has no script.lua", self.fails("resume", self.folder))
        self.run_tiny(rounds="1")
        self.write("run/run.db", "no database, but long enough to be one " * 100)
        for arguments in (["grid", "run"], ["resume", "run"], ["export", "run", "--json"], ["replay", "run"]):
            self.assertIn("run.db: it is damaged", self.fails(*arguments))
        self.write("run/run.db", "")
        self.assertIn("run: it was ended before it had begun: `brood resume run` begins it", self.fails("grid", "run"))
        self.assertIn("run: it was ended before it had begun: `brood resume run` begins it", self.fails("show", "run"))


class States(TinyCase):
    """State files that are not what they should be are refused, and the difference is named."""

    def setUp(self):
        super().setUp()
        self.run_tiny(rounds="1")
        self.state = self.path("run", "states", self.hash("run") + ".safetensors")
        with open(self.state, "rb") as file:
            self.bytes = file.read()

    def refused(self, content, *words):
        with open(self.state, "wb") as file:
            file.write(content)
        for arguments in (["resume", "run", "--rounds", "1"], ["grid", "run"], ["run", "tiny.lua", "--from", "run"],
                          ["weights", "run", "-o", "g.safetensors"]):
            said = self.fails(*arguments)
            for word in words:
                self.assertIn(word, said, arguments)
        self.assertFalse(os.path.exists(self.path("g.safetensors")))
        self.assertEqual(os.listdir(self.path("runs")), [])

    def test_damaged(self):
        self.refused(self.bytes[:-40], self.hash("run"))
        self.refused(self.bytes + b"more", self.hash("run"))
        self.refused(b"", self.hash("run"))
        middle = len(self.bytes) - 1000
        self.refused(self.bytes[:middle] + bytes([self.bytes[middle] ^ 1]) + self.bytes[middle + 1:], "damaged")
        self.refused(struct.pack("<Q", 1 << 60) + self.bytes[8:], self.hash("run"))

    def test_of_another_architecture(self):
        self.write("wide.lua", script(width="5", rounds="1"))
        for place in ("run", os.path.relpath(self.state, self.folder)):
            said = self.fails("run", "wide.lua", "--from", place)
            self.assertIn("the state of another architecture", said)
            self.assertRegex(said, r"G/parameter/G.1.weight: \(8, 80\) here, \(8, 64\) in the file")
        self.assertIn("there is no such thing", self.fails("run", "wide.lua", "--from", "gone"))

    def test_from_another_run(self):
        """The same script goes on from where the other one was; another one begins with its weights."""
        self.run_tiny("two", rounds="2")
        self.brood("run", "tiny.lua", "--from", "run", "--out", "on", "--rounds", "1")
        self.assertEqual(self.hash("on"), self.hash("two"))
        self.assertEqual(self.standing("on")["age"], 10)
        with open(self.path("on", "samples", "00000.png"), "rb") as one, \
                open(self.path("run", "samples", "00001.png"), "rb") as other:
            self.assertEqual(one.read(), other.read())
        self.write("field.lua", script(rounds="1", more='from = "run"'))
        self.brood("run", "field.lua", "--out", "field")
        self.assertEqual(self.hash("field"), self.hash("two"))
        self.write("slow.lua", script(rounds="1", learn="0.0001"))
        self.brood("run", "slow.lua", "--out", "slow", "--from", os.path.relpath(self.state, self.folder))
        self.assertNotEqual(self.hash("slow"), self.hash("two"))
        self.assertIn("at step 5", self.read("slow", "log.txt"))

    def test_from_a_run_with_other_hyperparameters(self):
        """What the new script says of hyperparameters holds; what it does not know is left out."""
        self.write("other.lua", script(rounds="1", learn="brood.pbt.log_uniform(1e-5, 1e-4)").replace(
            "gamma = 1,", "penalty = 2,").replace('"gamma"', '"penalty"'))
        self.brood("run", "other.lua", "--out", "other", "--from", "run")
        values = {row["name"]: row["value"] for row in self.store("other")["value"] if row["round"] == 0}
        self.assertEqual(values, {"lr": 1e-4, "penalty": 2})
        self.assertEqual(self.standing("other")["age"], 10)

    def header(self, name):
        with open(self.path(name), "rb") as file:
            return json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))

    def test_weights(self):
        self.assertEqual(self.brood("weights", "run", "-o", "g.safetensors").stdout, "g.safetensors\n")
        header = self.header("g.safetensors")
        facts = header.pop("__metadata__")
        self.assertEqual({name: facts[name] for name in ("averaged", "name", "latent", "age", "state")},
                         {"averaged": "yes", "name": "tiny", "latent": "8", "age": "5",
                          "state": self.hash("run") + ".safetensors"})
        self.assertIn("digits", facts["data"])
        self.assertEqual(header["G.1.weight"]["shape"], [8, 64])
        self.assertTrue(all(name.startswith("G.") for name in header), header)
        self.assertIn("G.3.running_mean" if "G.3.running_mean" in header else "G.3.mean", header)
        name = os.path.basename(self.state)
        self.brood("weights", f"run/states/{name}", "--output", "same.safetensors")
        facts = self.header("same.safetensors")["__metadata__"]
        self.assertEqual((facts["state"], facts["name"]), (name, "tiny"))
        shutil.copy(self.state, self.path("alone.safetensors"))
        self.brood("weights", "alone.safetensors", "-o", "again.safetensors")
        self.assertEqual(self.header("again.safetensors")["__metadata__"]["state"], "alone.safetensors")
        self.assertIn("-o FILE is missing", self.fails("weights", "run", code=USAGE))
        self.fails("weights", "tiny.lua", "-o", "bad.safetensors")
        self.fails("weights", "run", "-o", "missing/g.safetensors")
        self.assertFalse(os.path.exists(self.path("bad.safetensors")))


class Grids(TinyCase):
    def test_options(self):
        self.run_tiny(rounds="2")

        def draw(*options):
            self.assertEqual(self.brood("grid", "run", "-o", "out.png", *options).stdout, "out.png\n")
            return png(self.path("out.png"))

        usual = draw()
        self.assertEqual(usual[:2], (8 * 66 + 2, 8 * 66 + 2))
        self.assertEqual(usual, png(self.path("run", "samples", "00002.png")))
        self.assertEqual(draw("--raw"), png(self.path("run", "samples", "00002-raw.png")))
        self.assertNotEqual(draw("--raw"), usual)
        few = draw("-n", "4")
        self.assertEqual(few[:2], (2 * 66 + 2, 2 * 66 + 2))
        self.assertEqual(tile(few, 0, 1), tile(usual, 0, 1))
        self.assertEqual(draw("--count=4"), few)
        self.assertEqual(draw("--seed", "7"), usual)
        self.assertNotEqual(draw("--seed", "8"), usual)
        strips = draw("--interpolate", "-n", "3")
        self.assertEqual(strips[:2], (10 * 66 + 2, 3 * 66 + 2))
        for row in range(3):
            self.assertEqual(tile(strips, row, 0), tile(usual, 0, 2 * row))
            self.assertEqual(tile(strips, row, 9), tile(usual, 0, 2 * row + 1))
            self.assertNotIn(tile(strips, row, 5), (tile(strips, row, 0), tile(strips, row, 9)))
        self.assertEqual(self.brood("grid", "run", "--interpolate").stdout, "run/interpolation.png\n")
        self.assertIn("one picture at a time", self.fails("grid", "run", "--interpolate", "--neighbours", code=USAGE))
        self.assertIn("--seed: a whole number", self.fails("grid", "run", "--seed", "-1", code=USAGE))
        self.assertIn("is not conditional", self.fails("grid", "run", "--class", "7"))
        self.assertIn("is not conditional", self.fails("grid", "run", "--classes"))
        self.assertIn("missing/out.png", self.fails("grid", "run", "-o", "missing/out.png"))

    def test_neighbors(self):
        """Beside each image stands the one of the data set that is nearest to it by pixels."""
        self.run_tiny(rounds="1")
        self.brood("grid", "run", "--neighbours", "-n", "8", "-o", "out.png")
        self.assertRegex(self.fails("grid", "run", "--interpolate", "-n", "5000"),
                         "-n 5000 is too many for one picture: an image of ")
        pairs, reals = png(self.path("out.png")), png(self.path("run", "reals.png"))
        usual = png(self.path("run", "samples", "00001.png"))
        everything = [tile(reals, i // 8, i % 8) for i in range(64)]

        def distance(a, b):
            return sum((x - y) ** 2 for x, y in zip(a[::4], b[::4]))

        for number in range(8):
            made = tile(pairs, number // 4, 2 * (number % 4))
            near = tile(pairs, number // 4, 2 * (number % 4) + 1)
            self.assertEqual(made, tile(usual, 0, number))
            self.assertIn(near, everything)
            least = min(distance(made, real) for real in everything)
            self.assertLess(distance(made, near), 1.02 * least + 1000)

    def test_classes(self):
        self.brood("run", self.write("classes.lua", CLASSES), "--out", "run")
        self.assertTrue(os.path.exists(self.path("run", "classes.png")))
        usual = png(self.path("run", "samples", "00001.png"))
        self.assertEqual(usual[:2], (10 * 66 + 2, 7 * 66 + 2))
        self.brood("grid", "run", "--class", "3", "-n", "4", "-o", "three.png")
        three = png(self.path("three.png"))
        self.brood("grid", "run", "--classes", "-n", "4", "-o", "sheet.png")
        sheet = png(self.path("sheet.png"))
        self.assertEqual(sheet[:2], (4 * 66 + 2, 10 * 66 + 2))
        for column in range(4):
            self.assertEqual(tile(sheet, 3, column), tile(three, column // 2, column % 2))
            self.assertEqual(tile(sheet, column, column), tile(usual, 0, column))
        self.assertNotEqual(tile(sheet, 3, 0), tile(sheet, 4, 0))
        self.brood("grid", "run", "--interpolate", "--class", "3", "-n", "1", "-o", "strip.png")
        self.assertEqual(tile(png(self.path("strip.png")), 0, 0), tile(three, 0, 0))
        self.assertIn("there is no class 'x': there are 0, 1, 2", self.fails("grid", "run", "--class", "x"))


class Help(Case):
    def test_every_option_is_shown(self):
        for command, options in (("run", ("--from RUN", "--rounds N")), ("resume", ("--rounds N",)),
                                 ("grid", ("-n, --count N", "-o, --output FILE", "--interpolate", "--neighbours",
                                           "--class NAME", "--classes", "--seed N", "--raw")),
                                 ("weights", ("-o, --output FILE", "-o FILE RUN-OR-STATE", "best member there ever was")),
                                 ("export", ("--csv|--json RUN",)), ("classifier", ("--path PATH",)),
                                 ("fetch", ("--from PLACE",))):
            done = self.brood("help", command)
            for option in options + ("--scripts DIR",):
                self.assertIn(option, done.stdout)
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 120)
            lines = done.stdout[done.stdout.index("\nOptions:\n"):].splitlines()[2:]
            self.assertTrue(all(line[22] == " " and line[23] != " " for line in lines), done.stdout)  # in columns


if __name__ == "__main__":
    unittest.main(verbosity=0)
