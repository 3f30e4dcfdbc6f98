#!/usr/bin/env python3
"""brood run, resume and replay with populations: what decides a run's outcome, and what does not."""

import json
import os
import re
import shutil
import signal
import sys
import unittest

from case import FAILED, FINE, INTERRUPTED, USAGE, png
from populations import PopulationCase, ring

TOY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "experiments", "toy.lua"))
KILLS = int(os.environ.get("BROOD_TEST_KILLS", "6"))  # runs that are killed over and over


ECHO = """import json
for line in sys.stdin:
    request = json.loads(line)
    command, answer = request["command"], {"id": request["id"]}
    if command == "hello":
        COUNT
        answer.update(version=1, reports=[], save=True)
    elif command == "set": answer["hyper"] = lr = request["hyper"]
    elif command == "score": answer["score"] = lr["lr"]
    elif command == "save": open(request["path"], "w").write("state")
    elif command == "quit": break
    print(json.dumps(answer), flush=True)
"""
SLOW = """local pbt = require "brood".pbt
return require "brood".experiment {
    name = "slow", members = pbt.program { command = { "PYTHON", "slow.py" } },
    hyper = { lr = pbt.log_uniform(0.1, 10) }, population = 4, rounds = 2, interval = 5,
}
""".replace("PYTHON", sys.executable)


FAILING = """local pbt = require "brood".pbt
return require "brood".experiment {
    name = "failing", population = 2, rounds = 4, interval = 5, exploit = pbt.none {}, hyper = { a = 1 },
    members = pbt.member {
        init = function(_, _, slot) return { slot = slot, steps = 0 } end,
        step = function(me, _, steps)
            if me.slot == 1 and me.steps == 5 then error("enough", 0) end
            me.steps = me.steps + steps
        end,
        score = function(me) return me.steps end,
    },
}
"""


class Exactness(PopulationCase):
    """The same script and seed give the same numbers, however they are come by."""

    def test_workers(self):
        self.run_ring("one", "--workers", "1")
        for workers in ("2", "3", "8"):
            self.brood("run", "ring.lua", "--out", workers, "--workers", workers)
            self.assertEqual(self.export(workers), self.export("one"))
        self.brood("run", "ring.lua", "--out", "other", "--seed", "4")
        self.assertNotEqual(self.export("other"), self.export("one"))
        self.assertEqual(self.brood("export", "one", "--csv").stdout, self.brood("export", "2", "--csv").stdout)

    def test_another_number_of_workers_after_resuming(self):
        self.run_ring("whole", "--workers", "1")
        self.brood("run", "ring.lua", "--out", "run", "--workers", "1", "--rounds", "2")
        self.brood("resume", "run", "--workers", "3", "--rounds", "2")
        self.brood("resume", "run", "--workers", "2", "--rounds", "2")
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_killed_at_random_instants(self):
        """However often it is killed, and whatever it was doing: saving, committing, drawing."""
        schedule = ("schedule = function(run) run.state[run.round] = math.random()"
                    " if run.round == 2 then run:add(1) elseif run.round == 4 then run:drop(1) end end,")
        self.write("ring.lua", ring(schedule))
        without_plots, with_plots = self.environment, dict(os.environ)
        longest = self.timed("run", "ring.lua", "--out", "whole")
        whole, kills, same = self.export("whole"), 0, 0
        self.environment = with_plots
        longest_with_plots = self.timed("run", "ring.lua", "--out", "drawn")
        for number in range(KILLS):
            run, draws = f"run{number}", number % 3 == 2
            self.environment = with_plots if draws else without_plots
            kills += self.kill_until_done("ring.lua", run, longest_with_plots if draws else longest, number, "--workers",
                                          str(1 + number % 2))
            same += self.export(run) == whole
            for picture in ("scores.png", "lineage.png") if draws and os.path.exists(self.path("drawn", "scores.png")) else ():
                if os.path.exists(self.path(run, picture)):  # what is there is whole
                    png(self.path(run, picture))
            states = {name for name in os.listdir(self.path(run, "states"))}
            self.assertEqual(states, set(os.listdir(self.path("whole", "states"))))
            shutil.rmtree(self.path(run))
        if KILLS > 6:
            print(f"{KILLS} runs, killed {kills} times: {same} identical outcomes")
        self.assertEqual(same, KILLS)

    def test_killed_in_the_first_round(self):
        self.run_ring("whole", rounds="2", interval="1500")
        with self.start("run", "ring.lua", "--out", "run") as process:
            while not self.has_begun("run"):
                self.assertIsNone(process.poll())
            process.kill()
        self.assertEqual(self.round("run"), 0)
        self.assertIn("resumed after round 0 of 2", self.brood("resume", "run").stdout)
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_before_anything_was_begun(self):
        """It starts over, with all that the command line had said."""
        self.run_ring("source", rounds="1")
        state = f"source/states/{self.hash('source')}.safetensors"
        for number, options in enumerate((["--seed", "9", "--set", "batch=8"], ["--from", "source"], ["--from", state])):
            self.brood("run", "ring.lua", "--out", f"whole{number}", "--rounds", "1", *options)
            for store in (None, ""):
                shutil.copytree(self.path(f"whole{number}"), self.path("run"))
                os.remove(self.path("run", "run.db"))
                shutil.rmtree(self.path("run", "states"))
                if store is not None:
                    self.write("run/run.db", store)
                for words in (["replay"], ["show"], ["lineage"], ["export", "--csv"], ["compare"], ["grid"],
                              ["score", "--real", "ring"]):
                    self.assertIn("ended before it had begun: `brood resume run` begins it", self.fails(*words, "run"))
                self.brood("resume", "run")
                self.assertEqual(self.export("run"), self.export(f"whole{number}"))
                shutil.rmtree(self.path("run"))
        self.brood("replay", "source", "--out", "replay")
        shutil.copytree(self.path("replay"), self.path("run"))
        os.remove(self.path("run", "run.db"))
        self.brood("resume", "run")
        self.assertEqual(self.export("run"), self.export("replay"))
        os.remove(self.path("run", "run.db"))
        os.remove(self.path("run", "plan.lua"))
        self.assertIn("run: it was ended before it had begun: remove it, and begin it again", self.fails("resume", "run"))

    def test_killed_before_it_had_begun(self):
        """Programs that take their time to start."""
        self.write("slow.py", "import sys, time\n" + ECHO.replace("COUNT", "time.sleep(0.3)"))
        self.write("slow.lua", SLOW)
        self.assertFalse(self.killed(0.7, "run", "slow.lua", "--out", "run", "--seed", "4"))
        self.assertFalse(self.has_begun("run"))
        self.brood("resume", "run")
        self.brood("run", "slow.lua", "--out", "whole", "--seed", "4")
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_interrupted(self):
        self.run_ring("whole", interval="300", rounds="5")
        with self.start("run", "ring.lua", "--out", "run") as process:
            while not process.stdout.readline().startswith("    1"):
                pass
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED, output + errors)
        stopped = re.search(r"interrupted after round (\d+): `brood resume run` goes on", output)
        self.assertEqual(str(self.round("run")), stopped.group(1))
        self.brood("resume", "run")
        self.assertEqual(self.export("run"), self.export("whole"))


class Rounds(PopulationCase):
    def test_more_rounds(self):
        self.run_ring("run", rounds="2")
        self.assertIn("run: all its 2 rounds are done: --rounds N trains for N rounds more", self.fails("resume", "run"))
        self.brood("resume", "run", "--rounds", "3")
        self.assertEqual(self.round("run"), 5)
        self.write("longer.lua", ring(rounds="5"))
        self.brood("run", "longer.lua", "--out", "whole")
        self.assertEqual(self.export("run"), self.export("whole"))
        os.remove(self.path("run", "best.png"))
        self.assertIn("all its 5 rounds are done", self.fails("resume", "run"))
        self.assertEqual(self.bytes("run", "best.png"), self.bytes("whole", "best.png"))
        self.assertIn("--rounds: a whole number", self.fails("resume", "run", "--rounds", "0", code=USAGE))

    def test_more_rounds_than_were_made(self):
        """What was to be made is remembered, also if it is killed in between."""
        self.run_ring("run", rounds="1")
        with self.start("resume", "run", "--rounds", "9") as process:
            while not process.stdout.readline().startswith("    2"):
                pass
            process.kill()
        self.brood("resume", "run")
        self.assertEqual(self.round("run"), 10)

    def test_steps(self):
        self.run_ring("run", "--steps", "50")
        self.assertEqual([row["steps"] for row in self.store("run")["standing"] if row["slot"] == 0], [0, 20, 40, 50])
        self.assertIn("all its 3 rounds are done", self.fails("resume", "run"))

    def test_stopped_by_its_schedule(self):
        self.run_ring("run", more="schedule = function(run) if run.round == 2 then run:stop() end end,")
        self.assertEqual(self.round("run"), 2)
        self.assertIn("it was stopped by its schedule after round 2 of 6", self.fails("resume", "run"))
        self.brood("resume", "run", "--rounds", "1")
        self.assertEqual(self.round("run"), 3)

    def test_recombination_of_one_donor(self):
        words = "warning: recombine does nothing: of 4 members the top share, 0.25, is one, who gives all parts"
        self.assertIn(words, self.run_ring("one", rounds="1", more="recombine = true,").stdout)
        two = self.run_ring("two", rounds="1", more="recombine = true,", exploit="pbt.truncation { top = 0.5 }")
        self.assertNotIn("warning", two.stdout)

    def test_twice_into_one_directory(self):
        self.run_ring("run", rounds="1")
        before = self.export("run")
        said = self.fails("run", "ring.lua", "--out", "run")
        self.assertIn("run is there already: give the name of a new directory, or go on with `brood resume run`", said)
        self.assertEqual(self.export("run"), before)

    def test_seeds(self):
        self.run_ring("run", "--seeds", "3", rounds="1")
        self.assertEqual([self.store(f"run-{seed}")["fact"]["seed"] for seed in (3, 4, 5)], ["3", "4", "5"])
        self.brood("run", "ring.lua", "--out", "four", "--seed", "4")
        self.assertEqual(self.export("run-4"), self.export("four"))

    def test_settings(self):
        self.run_ring("run", "--set", "hyper.g_lr=2e-4", "--set", "population=2", "--set", "exploit.bottom=0.4", rounds="1")
        facts = self.store("run")["fact"]
        self.assertEqual((facts["hyper.g_lr"], facts["population"]), ("constant 0.0002", "2"))
        self.assertIn("bottom 0.4", facts["exploit"])
        self.brood("resume", "run", "--rounds", "1")
        self.assertEqual(self.values("run", 1, 2)["g_lr"], 2e-4)
        for arguments, words in (
                (["--set", "populaton=2"], "--set populaton: an experiment has no such field: did you mean 'population'?"),
                (["--control", "no-explor"], "--control: one of 'off', "),
                (["--set", "exploit.top=7"], "--set exploit.top: pbt.truncation: top: a number greater than 0 and of at "
                                             "most 0.5 expected, got 7")):
            for command in ("run", "check") if arguments[0] == "--set" else ("run",):
                said = self.fails(command, "ring.lua", *arguments, code=USAGE)
                self.assertTrue(said.startswith(f"brood: {words}") and said.count("\n") == 1, said)
        self.assertIn("NAME=VALUE", self.fails("run", "ring.lua", "--set", "population", code=USAGE))

    def test_settings_of_optimizers(self):
        self.write("ring.lua", ring())
        said = self.fails("run", "ring.lua", "--set", "g_optimizer.lr=0.1", "--out", "run", code=USAGE)
        self.assertEqual(said, "brood: --set g_optimizer.lr: nothing reads the script's hyperparameter g_lr any more: pin "
                               "that instead, --set hyper.g_lr=0.1\n")
        self.assertFalse(os.path.exists(self.path("run")))
        usual = ring().replace('d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5 },', "")
        self.write("ring.lua", usual.replace("d_lr = pbt.log_uniform(1e-4, 1e-1), ", ""))
        self.brood("run", "ring.lua", "--set", "d_optimizer.lr=1e-3", "--set", "g_optimizer.beta1=0.1", "--rounds", "1")


class Controls(PopulationCase):
    """Every control leaves its trace."""

    def kinds_under(self, control):
        self.run_ring(control, "--control", control)
        self.assertEqual(self.store(control)["fact"]["control"], control)
        return self.kinds(control)

    def changes(self, run):
        """Members whose hyperparameters changed in a round, and those whose weights came from another."""
        store = self.store(run)
        values = {}
        for row in store["value"]:
            values.setdefault((row["round"], row["slot"]), []).append(row["value"])
        hypers = sum(values[place] != values[0, place[1]] for place in values)
        weights = sum(row["parent"] != row["slot"] for row in store["standing"])
        return hypers > 0, weights > 0

    def test_off(self):
        kinds = self.kinds_under("off")
        self.assertEqual((kinds["copied"], kinds["explored"]), (6, 6))
        self.assertEqual(self.changes("off"), (True, True))

    def test_random_search(self):
        self.assertEqual(self.kinds_under("random-search"), {})
        self.assertEqual(self.changes("random-search"), (False, False))

    def test_random_fitness(self):
        kinds = self.kinds_under("random-fitness")
        self.assertEqual((kinds["copied"], kinds["explored"]), (6, 6))
        rows = self.store("random-fitness")["scored"]
        self.assertTrue(all(0 <= row["fitness"] < 1 for row in rows))
        self.assertTrue(any(row["fitness"] != row["score"] for row in rows))

    def test_weights_only(self):
        self.assertEqual(self.kinds_under("weights-only"), {"copied": 6})
        self.assertEqual(self.changes("weights-only"), (False, True))

    def test_hypers_only(self):
        self.assertEqual(self.kinds_under("hypers-only"), {"took hyperparameters": 6, "explored": 6})
        self.assertEqual(self.changes("hypers-only"), (True, False))

    def test_no_explore(self):
        self.assertEqual(self.kinds_under("no-explore"), {"copied": 6})
        store = self.store("no-explore")
        first = {row["value"] for row in store["value"] if row["round"] == 0}
        self.assertLess({row["value"] for row in store["value"] if row["round"] == 6}, first)

    def test_a_word_that_is_none(self):
        said = self.fails("run", self.write("ring.lua", ring()), "--control", "random", code=USAGE)
        self.assertIn("random-search", said)


class Sheets(PopulationCase):
    def test_a_plot_of_each_member(self):
        self.run_ring("run", "--rounds", "1")
        width, height, rows = png(self.path("run", "samples", "00001-members.png"))
        self.assertEqual((width, height), (4 * 202 + 2, 204))
        plots = {b"".join(line[3 * (2 + 202 * i):3 * (202 + 202 * i)] for line in rows) for i in range(4)}
        self.assertEqual(len(plots), 4 - self.kinds("run")["copied"])


SHEET = """local brood = require "brood"
local nn, loss, data = brood.nn, brood.loss, brood.data
return brood.experiment {
    name = "sheet", data = data.digits { size = 16, count = 9 }, batch = 4, rounds = 4, interval = 2,
    generator = function() return nn.sequential {
        nn.linear { out = 512 }, nn.reshape { 8, 8, 8 }, nn.upconv { out = 1, kernel = 4, stride = 2, pad = 1 }, nn.tanh {},
    } end,
    discriminator = function() return nn.sequential { nn.flatten {}, nn.linear { out = 1 } } end,
    loss = loss.hinge {},
}
"""


class Checks(PopulationCase):
    """brood check refuses what brood run refuses, and shows what is to be run."""

    def test_what_it_shows(self):
        shown = self.brood("check", self.write("ring.lua", ring(rounds="5", more="steps = 90,"))).stdout
        for words in ("population   4 × 5 rounds of up to 20 steps: 90 steps each, seed 3",
                      "hyper        g_lr = pbt.log_uniform(0.0001, 0.1)", "exploit      pbt.truncation { bottom = 0.25,",
                      "explore      pbt.perturb {", "select       modes of 300 ", "report       modes of 200 ",
                      "a run: about "):
            self.assertIn(words, shown)
        self.assertRegex(shown, r"4 × 90 steps of \S+ .?s and scores of \S+ .?s a member and round in \d+ thread")
        self.assertNotIn("classifiers", shown)  # of points there are none
        scored = "select = brood.metric.classifier_score {}, report = { brood.metric.frechet {} }, loss"
        shown = self.brood("check", self.write("sheet.lua", SHEET.replace("loss =", scored + " ="))).stdout
        self.assertRegex(shown, r"and scores of \S+ .?s a member and round in .*, training classifiers apart; about")
        entry = "{ steps = %d, g_lr = 1e-3, d_lr = 1e-3, gamma = 1 }"
        replay = f"replay = {{ {entry % 25}, {entry % 10} }},"
        shown = self.brood("check", self.write("ring.lua", ring(more=replay))).stdout
        self.assertIn("population   1 × 3 rounds of up to 20 steps: 35 steps each", shown)
        shown = self.brood("check", TOY).stdout
        for words in ("hyper        h1 = pbt.uniform(0, 10)", "explore      the function in ",
                      "select       the member's own", "for 2 × 200 steps of "):
            self.assertIn(words, shown)

    def test_scores_that_cannot_be_had(self):
        said = self.fails("check", self.write("ring.lua", ring(select="metric.classifier_score {}")))
        self.assertIn("metric.classifier_score: the data are points", said)

    def test_what_it_cannot_begin_with(self):
        self.run_ring("run", rounds="1")
        state = self.bytes("run", "states", self.hash("run") + ".safetensors")
        self.write("cut.safetensors", state[:len(state) // 2])
        wider = ring().replace("out = 8 }, nn.relu", "out = 9 }, nn.relu")
        for text, source, words in ((ring(), "cut.safetensors", "brood: cut.safetensors: truncated"),
                                    (wider, "run", "G.1.weight: (4, 9) here, (4, 8) in the file")):
            self.write("ring.lua", text)
            for command in (("run", "ring.lua", "--from", source, "--out", "fork"),
                            ("check", "ring.lua", "--set", "from=" + source)):
                self.assertIn(words, self.fails(*command))
            self.assertFalse(os.path.exists(self.path("fork")))
        self.write("ring.lua", ring(population="1"))
        said = self.fails("check", "ring.lua", "--set", "hyper.g_lr=1e30")
        self.assertRegex(said, r"the first steps fail, of the one member: \w\.\S+ is -?(nan|inf) at step \d")
        self.assertIn("all 4 members that were tried",
                      self.fails("check", "ring.lua", "--set", "hyper.g_lr=1e30", "--set", "population=6"))

    def test_an_asynchronous_one(self):
        shown = self.brood("check", self.write("ring.lua", ring(more='mode = "asynchronous",'))).stdout
        self.assertIn("a run: about ", shown)
        schedule = 'mode = "asynchronous", schedule = function() end,'
        self.assertIn("asynchronous", self.fails("check", self.write("ring.lua", ring(more=schedule))))

    def test_the_room_that_it_takes(self):
        for name, text in (("points", ring(rounds="12")), ("gray", SHEET), ("color", SHEET.replace("size = 16", "size = 64")
                           .replace("count = 9", "count = 9, color = true").replace("stride = 2", "stride = 8")
                           .replace("kernel = 4", "kernel = 8").replace("pad = 1", "pad = 0").replace("out = 1,", "out = 3,"))):
            said = re.search(r"about ([\d.]+) (kB|MB) on the disk", self.brood("check", self.write("a.lua", text)).stdout)
            self.brood("run", "a.lua", "--out", name)
            room = sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(self.path(name))
                       for file in files)
            told = float(said[1]) * {"kB": 1e3, "MB": 1e6}[said[2]]
            self.assertTrue(0.5 < told / (room + 250e3) < 2, (name, told, room))  # without plots

    def test_rules_that_cannot_be(self):
        rule = '{ rule = "exploit", kind = "truncation", top = 7 }'
        said = self.fails("check", self.write("ring.lua", ring(exploit=rule)))
        self.assertIn("top", said)

    def test_members_in_lua(self):
        with open(TOY, encoding="utf-8") as file:
            toy = file.read()
        for old, new, words in (("return { 0.9, 0.9 }", "return nosuch", "toy.lua:23: there is no global 'nosuch'"),
                                ("h.h1 * me[1]", "h.h3 * me[1]", "step: "),
                                ("return 1.2 - (", "return nil, (", "score: a number expected, got nothing"),
                                ("        return h\n", "", "explore: it must return hyperparameters, it returned nothing"),
                                ("return { 0.9, 0.9 }", "return { 0.9, 0.9, print }", "save: the member.3: plain data")):
            self.assertIn(old, toy)
            self.assertIn(words, self.fails("check", self.write("toy.lua", toy.replace(old, new))))


class Forks(PopulationCase):
    def test_from_a_run(self):
        self.run_ring("run", more="keep_every = 2,")
        self.run_ring("plain", rounds="2", more="keep_every = 2,")
        for source, round_ in (("run", 6), ("run@6", 6), ("run@2", 2)):
            self.brood("run", "ring.lua", "--from", source, "--out", source + "-fork")
            old = {row["slot"]: row for row in self.store("run")["standing"] if row["round"] == round_}
            new = {row["slot"]: row for row in self.store(source + "-fork")["standing"] if row["round"] == 0}
            for slot, row in new.items():
                self.assertEqual([row[name] for name in ("state", "age", "steps")],
                                 [old[slot][name] for name in ("state", "age", "steps")])
                self.assertIsNone(row["score"])  # the other run may have selected by something else
                self.assertEqual(self.values(source + "-fork", slot, 0), self.values("run", slot, round_))
        self.assertEqual(self.export("run-fork"), self.export("run@6-fork"))
        # from where it was, the same numbers follow: streams go on by the slots' own steps
        scored = [[(row["slot"], row["state"]) for row in self.store(run)["scored"] if row["round"] == round_]
                  for run, round_ in (("run", 3), ("run@2-fork", 1))]
        self.assertEqual(*scored)
        self.assertIn("run@9: the states after round 9 are not there: those after rounds 2, 4, 5 and 6 are",
                      self.fails("run", "ring.lua", "--from", "run@9"))
        self.assertIn("there is no such thing", self.fails("run", "ring.lua", "--from", "none@2"))

    def test_rounds_whose_states_are_gone(self):
        self.run_ring("run")
        said = self.fails("run", "ring.lua", "--from", "run@2", "--out", "fork")
        self.assertIn("run@2: the states after round 2 are not kept: those after rounds 5 and 6 are", said)
        self.assertFalse(os.path.exists(self.path("fork")))
        os.remove(self.path("run", "states", self.hash("run", 1) + ".safetensors"))
        self.assertIn("`brood resume run --whole`", self.fails("resume", "run", "--rounds", "1"))
        self.brood("resume", "run", "--rounds", "1", "--whole")

    def test_members_of_another_kind(self):
        """Of a run of functions there is no generator, and no GAN can go on from it; nor the other way round."""
        self.run_ring("run", rounds="1")
        self.brood("run", TOY, "--rounds", "2", "--out", "toy")
        self.assertIn("toy: its members are functions of the script, those of experiment 'ring' are GANs",
                      self.fails("run", "ring.lua", "--from", "toy"))
        self.assertIn("run: its members are GANs, those of", self.fails("run", TOY, "--from", "run"))
        state = f"run/states/{self.hash('run')}.safetensors"
        self.assertIn("a state file is that of a GAN", self.fails("run", TOY, "--from", state))
        for command in (["score"], ["grid"], ["weights", "-o", "file"]):
            self.assertIn("toy: its members are functions of the script, and no GANs", self.fails(*command, "toy"))

    def test_members_that_are_not_there(self):
        self.run_ring("run", rounds="1")
        for command in (["grid"], ["weights", "-o", "file"], ["replay"]):
            self.assertIn("run: there is no member 7: at the end there are 0, 1, 2 and 3",
                          self.fails(*command, "run", "--member", "7"))
        state = f"run/states/{self.hash('run')}.safetensors"
        self.assertIn("that of one member", self.fails("weights", state, "--member", "2", "-o", "file", code=USAGE))
        self.assertIn("--class", self.fails("grid", "run", "--classes", "--class", "3", code=USAGE))
        for command in ("show", "lineage", "grid", "replay"):
            self.assertIn("from 0 to 4095 expected", self.fails(command, "run", "--member", "5000", code=USAGE))

    def test_nothing_is_begun_by_mistake(self):
        """Options and all directories are looked at first."""
        self.write("ring.lua", ring())
        self.fails("run", "ring.lua", "--out", "run", "--workers", "0", code=USAGE)
        os.mkdir(self.path("seed-5"))
        self.assertIn("seed-5 is there already", self.fails("run", "ring.lua", "--out", "seed", "--seeds", "3"))
        self.assertIn("there is no folder none", self.fails("run", "ring.lua", "--out", "none/run"))
        for more in ([], ["--seeds", "2"]):
            self.assertIn("--out: the name of a new directory", self.fails("run", "ring.lua", "--out", "", *more, code=USAGE))
        self.assertEqual(sorted(os.listdir(self.folder)), ["ring.lua", "seed-5"])

    def test_from_a_state(self):
        self.run_ring("run", rounds="1")
        state = self.hash("run", 2)
        self.brood("run", "ring.lua", "--from", f"run/states/{state}.safetensors", "--out", "fork")
        self.brood("grid", "run", "--member", "2", "-o", "old.png")
        old, new = [self.bytes(name) for name in ("old.png", os.path.join("fork", "samples", "00000.png"))]
        self.assertEqual(old, new)
        with open(self.path("run", "states", state + ".safetensors"), "r+b") as file:
            file.truncate(100)
        self.fails("run", "ring.lua", "--from", f"run/states/{state}.safetensors", "--out", "none")
        self.assertFalse(os.path.exists(self.path("none")))

    def test_replay(self):
        self.run_ring("run", rounds="8")
        best = max(self.store("run")["scored"], key=lambda row: (row["score"], -row["round"], -row["slot"]))
        schedule = self.brood("show", "run", "--schedule").stdout
        for name, options in (("replay", []), ("constant", ["--constant"])):
            self.brood("replay", "run", *options, "--out", name)
            store = self.store(name)
            self.assertEqual((store["fact"]["population"], store["fact"]["exploit"].split()[0]), ("1", "none"))
            self.assertEqual(self.standing(name)["steps"], best["steps"])
        told = [dict(re.findall(r"(\w+) = ([-+.\w]+)", line)) for line in schedule.splitlines() if "steps" in line]
        values = {name: [self.values(name, 0, row["round"] - 1) for row in self.store(name)["scored"]]
                  for name in ("replay", "constant")}
        self.assertAlmostEqual(values["replay"][0]["g_lr"], float(told[0]["g_lr"]), delta=1e-12)
        self.assertAlmostEqual(values["replay"][-1]["g_lr"], float(told[-1]["g_lr"]), delta=1e-12)
        self.assertTrue(all(row == values["constant"][0] for row in values["constant"]))
        self.assertEqual(values["constant"][0], values["replay"][-1])
        self.brood("replay", "run", "--member", "0", "--out", "zero", "--seed", "9")
        self.assertEqual((self.store("zero")["fact"]["seed"], self.standing("zero")["steps"]),
                         ("9", self.standing("run")["age"]))
        self.assertIn("rounds are done", self.fails("resume", "replay"))

    def test_replay_of_a_part(self):
        """Of a run that was no beginning, and of a member that has failed, of which no state is kept."""
        self.run_ring("run", rounds="2")
        self.brood("run", "ring.lua", "--from", "run", "--out", "fork")
        said = self.brood("replay", "fork", "--out", "part").stdout
        self.assertRegex(said, r"note: fork was begun from run: the replay is of the \d+ steps since then, and begins from scratch")
        self.assertNotIn("note:", self.brood("replay", "run", "--out", "whole").stdout)
        script = self.write("failing.lua", FAILING)
        self.brood("run", script, "--out", "failing")
        self.brood("replay", "failing", "--member", "1", "--out", "failed")
        self.assertEqual(self.standing("failed")["steps"], 10)

    def test_a_script_that_has_initial_values(self):
        """They give way to those of the members that a run begins with."""
        self.brood("run", TOY, "--rounds", "3", "--out", "toy")
        self.brood("run", TOY, "--rounds", "1", "--from", "toy", "--out", "fork")
        for slot in (0, 1):
            self.assertEqual(self.values("fork", slot, 0), self.values("toy", slot, 3))
        self.brood("resume", "fork", "--rounds", "1")
        self.assertRegex(self.fails_in_script("run", TOY, "--set", "population=3", "--out", "none"),
                         r"experiment \(.*toy.lua:\d+\): initial: values for 3 members expected, got 2")


class Asynchronous(PopulationCase):
    FIELDS = {"more": 'mode = "asynchronous",'}

    def test_alone_it_repeats(self):
        self.run_ring("one", "--workers", "1", **self.FIELDS)
        self.brood("run", "ring.lua", "--out", "two", "--workers", "1")
        self.assertEqual(self.export("one"), self.export("two"))
        self.assertEqual(len(self.store("one")["turn"]), 24)

    def test_replayed_from_its_order(self):
        """Whatever two threads come to, one makes it again from the order of their turns."""
        self.run_ring("run", "--workers", "2", interval="60", **self.FIELDS)
        self.write("again.lua", """local folder, experiment = arg[1], require "brood.command".load "ring.lua"
            local order = require "brood.record".order(folder)
            local run <close> = experiment:begin { directory = "again", order = order, workers = 2 }
            assert(run:go() == "finished")""")
        self.brood("lua", "again.lua", "run")
        self.assertEqual(self.export("again"), self.export("run"))
        self.brood("replay", "run", "--order", "--out", "command")
        self.assertEqual(self.export("command"), self.export("run"))
        self.run_ring("rounds", rounds="2")
        self.assertIn("not an asynchronous run", self.fails("replay", "rounds", "--order"))

    def test_order_of_a_run_that_was_no_new_one(self):
        """Begun from another run or from a state, and gone on with for more rounds than its script has."""
        self.run_ring("run", rounds="2", **self.FIELDS)
        state = f"run/states/{self.hash('run')}.safetensors"
        for name, source in (("members", "run"), ("state", state)):
            self.brood("run", "ring.lua", "--from", source, "--out", name, "--workers", "2")
            self.brood("resume", name, "--rounds", "2")
            if name == "members":
                self.brood("resume", "run", "--rounds", "1")
            self.brood("replay", name, "--order", "--out", name + "-again")
            self.assertEqual(self.export(name + "-again"), self.export(name))
        shutil.rmtree(self.path("run"))
        said = self.fails("replay", "members", "--order", "--out", "none")
        self.assertRegex(said, "members: it was begun from .*/run, which is gone: it cannot be made again")

    def test_an_order_that_is_left_and_taken_up_again(self):
        """Killed before anything was kept, and in the middle; then it goes on for more rounds."""
        self.run_ring("run", "--workers", "2", rounds="2", **self.FIELDS)
        self.brood("resume", "run", "--rounds", "4", "--workers", "2")
        self.brood("replay", "run", "--order", "--out", "again")
        os.makedirs(self.path("begun", "samples"))
        for name in ("plan.lua", "script.lua"):
            shutil.copy(self.path("again", name), self.path("begun"))
        self.brood("resume", "begun")
        self.assertEqual(self.export("begun"), self.export("run"))
        self.write("part.lua", """local experiment = require "brood.command".load "ring.lua"
            local order = require "brood.record".order "run"
            local run <close> = experiment:begin {
                directory = "part", order = table.move(order, 1, 9, 1, {}),
                facts = { { name = "script", value = "ring.lua", aside = true } },
            }
            run:go(6)""")
        self.brood("lua", "part.lua")
        for name in ("plan.lua", "script.lua", "samples"):
            take = shutil.copytree if name == "samples" else shutil.copy
            take(self.path("again", name), self.path("part", name))
        self.assertEqual(len(self.store("part")["turn"]), 9)
        self.brood("resume", "part", "--rounds", "4", "--workers", "2")
        self.assertEqual(self.export("part"), self.export("run"))
        self.brood("resume", "part", "--rounds", "1")
        self.assertEqual(self.round("part"), 7)

    def test_steps(self):
        """As many rounds as they are; there is no shorter one."""
        self.run_ring("run", "--steps", "60", **self.FIELDS)
        self.assertEqual((self.round("run"), self.standing("run")["steps"]), (3, 60))
        self.assertIn("steps (--steps): a multiple of the interval, 20, expected, since the last round of an asynchronous",
                      self.fails_in_script("run", "ring.lua", "--steps", "50"))

    def test_killed(self):
        self.write("ring.lua", ring(**self.FIELDS))
        longest = self.timed("run", "ring.lua", "--out", "whole", "--workers", "1")
        whole = self.export("whole")
        for number in range(max(2, KILLS // 3)):
            self.kill_until_done("ring.lua", f"run{number}", longest, number, "--workers", "1")
            self.assertEqual(self.export(f"run{number}"), whole)
            self.kill_until_done("ring.lua", f"two{number}", longest, number, "--workers", "2")
            store = self.store(f"two{number}")
            self.assertEqual([row["round"] for row in store["standing"] if row["slot"] == 3], list(range(7)))
            self.assertEqual(len(store["turn"]), 24)

    def test_interrupted(self):
        self.write("ring.lua", ring(rounds="9", interval="200", **self.FIELDS))
        with self.start("run", "ring.lua", "--out", "run") as process:
            while not process.stdout.readline().startswith("    1"):
                pass
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED, output + errors)
        self.brood("resume", "run")
        self.assertEqual(len(self.store("run")["turn"]), 36)

    def test_copies_of_equal_age(self):
        self.run_ring("run", "--workers", "2", **self.FIELDS)
        store = self.store("run")
        self.assertGreater(self.kinds("run").get("copied", 0), 0)
        age = {(row["round"], row["slot"]): row["age"] for row in store["scored"]}
        for event in store["event"]:
            if event["kind"] == "copied":
                self.assertEqual(age[event["round"], event["other"]], age[event["round"], event["slot"]])


# G learns too slowly to get anywhere, unless g_lr is set.
FROZEN = """local brood = require "brood"
local nn, loss, optim, data, pbt = brood.nn, brood.loss, brood.optim, brood.data, brood.pbt
return brood.experiment {
    name = "frozen", data = data.digits { size = 16 }, latent = 8, batch = 16,
    generator = function()
        return nn.sequential { nn.linear { out = 256 }, nn.tanh {}, nn.reshape { 16, 16, 1 } }
    end,
    discriminator = function()
        return nn.sequential { nn.flatten {}, nn.linear { out = 16 }, nn.leaky_relu {}, nn.linear { out = 1 } }
    end,
    loss = loss.non_saturating {},
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 }, d_optimizer = optim.adam { lr = 0.005, beta1 = 0.5 },
    hyper = { g_lr = pbt.log_uniform(1e-8, 1e-7) },
    population = 2, rounds = 6, interval = 100, exploit = pbt.none {},
}
"""


class Alarms(PopulationCase):
    def run_frozen(self, run, *arguments):
        return self.brood("run", self.write("frozen.lua", FROZEN), "--out", run, *arguments).stdout

    def points(self, run):
        """What scores.png has under the name alarms."""
        self.write("plot.lua", 'print(require("brood.plot.scores").script(require("brood.show.history").read(arg[1])))')
        script = self.brood("lua", "plot.lua", run).stdout
        return [line for line in script.split("$alarms << EOD\n")[1].split("EOD")[0].splitlines() if "NaN" not in line]

    def test_told_once_shown_and_drawn(self):
        said = self.run_frozen("run")
        alarms = [line for line in said.splitlines() if line.startswith("alarm, ")]
        self.assertEqual([line[:25] for line in alarms], ["alarm, step 400, member 0", "alarm, step 400, member 1"])
        self.assertIn("D has won: in 3 rounds it told ", alarms[0])
        self.assertIn("\n".join(alarms), self.read("run", "log.txt"))
        self.assertIn("alarms: D won 2\n  member 0 in round 4: D has won", self.brood("show", "run").stdout)
        self.assertEqual([point.split()[0] for point in self.points("run")], ["400", "400"])

    def test_resumed(self):
        whole = self.run_frozen("whole")
        self.run_frozen("run", "--rounds", "4")
        said = self.brood("resume", "run", "--rounds", "2").stdout
        self.assertNotIn("\nalarm, ", said)  # it was told before
        self.assertIn("alarms: D won 2\n", said)
        self.assertEqual(self.points("run"), self.points("whole"))
        self.assertIn("alarms: D won 2\n", whole)

    def test_told_when_an_error_comes_between(self):
        self.write("boom.lua", FROZEN.replace("rounds = 6", """rounds = 6,
            schedule = function(run) if run.round == 4 and os.getenv "BOOM" then error("boom", 0) end end"""))
        self.brood("run", "boom.lua", "--out", "run", code=FAILED, env=dict(self.environment, BOOM="1"))
        self.brood("resume", "run")
        told = [line for line in self.read("run", "log.txt").splitlines() if line.startswith("alarm, ")]
        self.assertEqual([line[:25] for line in told], ["alarm, step 400, member 0", "alarm, step 400, member 1"])

    def test_none(self):
        said = self.run_frozen("run", "--set", "hyper.g_lr=0.002")
        self.assertNotIn("alarm", said)
        self.assertEqual(self.points("run"), [])


if __name__ == "__main__":
    unittest.main(verbosity=0)
