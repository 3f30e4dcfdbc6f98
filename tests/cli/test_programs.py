#!/usr/bin/env python3
"""Members that are programs, driven by scripts: scripts/experiments/program.lua and toy_program.lua."""

import importlib.util
import os
import sys
import unittest

from case import FAILED, Case

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")

# A program that gets worse: in the step from 20 on the member of slot 1 does what WHAT says.
FRAIL = """import json, os, signal, sys, time
slot, at, lr = 0, 0, 0
for line in sys.stdin:
    request = json.loads(line)
    command, answer = request["command"], {}
    if command == "hello":
        slot = request["slot"]
        answer = {"version": 1, "save": True}
    elif command == "set":
        lr = request["hyper"]["lr"]
        answer = {"hyper": {"lr": lr}}
    elif command == "step":
        if slot == 1 and request["first"] == 20:
            WHAT
        at += lr * request["steps"]
    elif command == "score":
        answer = {"score": at}
    elif command == "save":
        open(request["path"], "w").write(repr(at))
    elif command == "load":
        at = float(open(request["path"]).read())
    elif command == "quit":
        break
    print(json.dumps({"id": request["id"], **answer}), flush=True)
"""

SCRIPT = """local brood = require "brood"
local pbt = brood.pbt
return brood.experiment {
    name = "frail", hyper = { lr = pbt.uniform(0, 1) }, population = 4, rounds = 4, interval = 20, keep_every = 1,
    members = pbt.program { command = { "python3", "frail.py" }, time_limit = 5 },
    exploit = pbt.truncation { bottom = 0.25, top = 0.25 },
}
"""


class Programs(Case):
    def setUp(self):
        super().setUp()
        tools = self.path("tools")
        os.mkdir(tools)
        os.symlink(sys.executable, os.path.join(tools, "python3"))
        os.symlink("/usr/bin/env", os.path.join(tools, "env"))
        self.environment = dict(os.environ, PATH=tools)

    def script(self, name):
        path = os.path.join(ROOT, "experiments", name)
        self.assertTrue(os.path.exists(path), path)
        return path

    def test_check_tells_why_a_program_fails(self):
        script = """local pbt = require "brood".pbt
            return require "brood".experiment {
                name = "broken", members = pbt.program { command = { %s } }, hyper = { lr = 1 },
            }"""
        for command, words in (('"nothing-of-this-name"', "the program cannot be started: nothing-of-this-name: No such file"),
                               (f'"{sys.executable}", "-c", "import nothing_such"',
                                "exited with status 1; the last line of its stderr: ModuleNotFoundError")):
            self.assertIn(words, self.fails("check", self.write("broken.lua", script % command)))

    def test_the_toy(self):
        toy = self.script("toy_program.lua")
        self.brood("run", toy, "--out", "whole")
        best = max(row["score"] for row in self.store("whole")["scored"])
        self.assertGreater(best, 1.15)
        self.assertEqual(self.store("whole")["fact"]["kind"], "program")
        self.brood("run", toy, "--out", "run", "--rounds", "20", "--workers", "1")
        self.brood("resume", "run", "--rounds", "30", "--workers", "2")
        self.assertEqual(self.export("run"), self.export("whole"))
        self.assertEqual(sorted(os.listdir(self.path("run", "programs"))), ["member-0.txt", "member-1.txt"])

    def test_numpy(self):
        if not importlib.util.find_spec("numpy"):
            self.skipTest("there is no numpy")
        spirals = self.script("program.lua")
        self.brood("run", spirals, "--out", "whole", "--rounds", "4", "--set", "population=4")
        self.brood("run", spirals, "--out", "run", "--rounds", "2", "--set", "population=4")
        self.brood("resume", "run", "--rounds", "2")
        self.assertEqual(self.export("run"), self.export("whole"))
        self.assertEqual({row["report"] for row in self.store("run")["reported"]}, {1})

    def frail(self, what, *words):
        self.write("frail.py", FRAIL.replace("WHAT", what))
        run = "run-" + str(len(os.listdir(self.folder)))
        self.brood("run", self.write("frail.lua", SCRIPT), "--out", run)
        events = [(row["round"], row["kind"], row["slot"]) for row in self.store(run)["event"]]
        self.assertIn((2, "failed", 1), events)
        self.assertIn((2, "replaced", 1), events)
        text = next(row["text"] for row in self.store(run)["event"] if row["kind"] == "failed")
        for word in words:
            self.assertIn(word, text)
        last = [row for row in self.store(run)["standing"] if row["round"] == 4]
        self.assertTrue(all(not row["failed"] for row in last))
        return run

    def test_a_program_that_dies(self):
        run = self.frail('print("no more", file=sys.stderr); sys.exit(3)', "training: ", "3", "no more")
        self.assertIn("no more", self.read(run, "programs", "member-1.txt"))
        self.frail("os.kill(os.getpid(), signal.SIGKILL)", "training: ")

    def test_a_program_that_prints_rubbish(self):
        self.frail('print("Epoch 1/10", flush=True)', "training: ")

    def test_a_program_that_hangs(self):
        self.write("frail.py", FRAIL.replace("WHAT", "time.sleep(600)"))
        self.brood("run", self.write("frail.lua", SCRIPT.replace("time_limit = 5", "step_limit = 2")), "--out", "hung")
        self.assertIn((2, "replaced", 1), [(row["round"], row["kind"], row["slot"])
                                           for row in self.store("hung")["event"]])

    def test_a_program_that_is_not_there(self):
        said = self.fails("run", self.write("none.lua", SCRIPT.replace('"python3", "frail.py"', '"no-such-thing"')), "--out",
                          "run")
        self.assertIn("no-such-thing", said)
        self.assertIn("all 4 members have failed", said)

    def test_replay(self):
        self.write("frail.py", FRAIL.replace("WHAT", "pass"))
        self.brood("run", self.write("frail.lua", SCRIPT), "--out", "run")
        best = max(row["score"] for row in self.store("run")["scored"])
        self.brood("replay", "run", "--out", "again")
        self.assertAlmostEqual(self.standing("again")["score"], best, delta=1e-9)
        self.assertIn("run: its members are programs, and no GANs", self.fails("grid", "run"))
        said = self.brood("run", "frail.lua", "--from", "run@2", "--out", "fork").stdout
        self.assertIn("frail", said)
        first = {row["slot"]: row["age"] for row in self.store("fork")["standing"] if row["round"] == 0}
        self.assertEqual(set(first.values()), {40})

    def test_weights_of_a_program(self):
        self.write("frail.py", FRAIL.replace("WHAT", "pass"))
        self.brood("run", self.write("frail.lua", SCRIPT), "--out", "run", "--rounds", "1")
        self.brood("weights", "run", "-o", "g.safetensors", code=FAILED)


if __name__ == "__main__":
    unittest.main(verbosity=0)
