#!/usr/bin/env python3
"""Populations when things go wrong: members that fail, scripts that throw, files that are damaged, disks that are full,
and other processes."""

import os
import resource
import shutil
import sqlite3
import subprocess
import unittest

from case import BROOD, FAILED, FINE
from populations import PopulationCase, ring

# One member with a learning rate that no training survives.
WILD = ("initial = { { g_lr = 1e-3, d_lr = 1e-3, gamma = 1 }, { g_lr = 1e30, d_lr = 1e-3, gamma = 1 },"
        " { g_lr = 1e-3, d_lr = 2e-3, gamma = 1 }, { g_lr = 2e-3, d_lr = 1e-3, gamma = 1 } },")
WIDE = "{ g_lr = pbt.log_uniform(1e-4, 1e30), d_lr = pbt.log_uniform(1e-4, 1e-1), gamma = pbt.log_uniform(0.01, 10) }"


def wild(more=WILD, **fields):
    text = ring(more, **fields)
    start = text.index("    hyper = {")
    end = text.index("    },", start) + len("    },")
    return text[:start] + f"    hyper = {WIDE}," + text[end:]


class Failures(PopulationCase):
    def test_a_member_that_fails_is_replaced(self):
        self.brood("run", self.write("ring.lua", wild()), "--out", "run")
        events = self.store("run")["event"]
        failed = [event for event in events if event["kind"] == "failed"]
        self.assertEqual((failed[0]["round"], failed[0]["slot"]), (1, 1))
        self.assertRegex(failed[0]["text"], r"^training: [DG][./]\w+.* (is|holds) (nan|-?inf)")
        replaced = [event for event in events if event["kind"] == "replaced"]
        self.assertEqual((replaced[0]["round"], replaced[0]["slot"]), (1, 1))
        last = [row for row in self.store("run")["standing"] if row["round"] == 6]
        self.assertTrue(all(not row["failed"] and len(row["state"]) == 32 for row in last))
        self.assertLess(self.values("run", 1, 1)["g_lr"], 1)
        self.assertIn("member 1", self.read("run", "log.txt") + "member 1")
        self.brood("run", "ring.lua", "--out", "two", "--workers", "1")
        self.assertEqual(self.export("two"), self.export("run"))

    def test_failed_members_are_resumed_as_such(self):
        self.brood("run", self.write("ring.lua", wild(exploit="pbt.none {}")), "--out", "whole")
        self.brood("run", "ring.lua", "--out", "run", "--rounds", "2")
        self.brood("resume", "run", "--rounds", "4")
        self.assertEqual(self.export("run"), self.export("whole"))
        self.assertEqual(self.standing("run", 1)["failed"], 1)
        self.brood("grid", "run")
        self.assertIn("no state of member 1 is kept: it has failed", self.fails("grid", "run", "--member", "1"))

    def test_asynchronous(self):
        self.brood("run", self.write("ring.lua", wild(WILD + 'mode = "asynchronous",')), "--out", "run", "--workers", "2")
        self.assertGreaterEqual(self.kinds("run")["failed"], 1)
        self.assertGreaterEqual(self.kinds("run")["replaced"], 1)

    def test_all_fail(self):
        self.write("ring.lua", wild(""))
        said = self.fails("run", "ring.lua", "--set", "hyper.g_lr=1e30", "--out", "run")
        self.assertIn("all 4 members have failed by round 1, and none is left to go on with (training: ", said)
        self.assertIn("all 4 members have failed", self.fails("resume", "run"))
        self.assertIn("all of its members have failed", self.fails("run", "ring.lua", "--from", "run", "--out", "fork"))
        self.assertEqual(self.kinds("run"), {"failed": 4})

    def test_small_populations(self):
        for count in ("1", "2"):
            self.run_ring(count, population=count)
            self.assertEqual(self.round(count), 6)
        self.assertEqual(self.kinds("1"), {})
        self.assertEqual(self.kinds("2"), {"copied": 6, "explored": 6})  # a share selects one at least


class Scripts(PopulationCase):
    """What throws ends the run, with all rounds kept; put right, it goes on from there."""

    def throws(self, more, *words, **fields):
        done = self.run_ring("run", code=FAILED, more=more, **fields)
        for word in (*words, "stack traceback", "all rounds that were finished are kept", "brood run SCRIPT --from run"):
            self.assertIn(word, done.stderr)
        shutil.rmtree(self.path("run"))

    def line(self, text):
        return "ring.lua:" + str(next(i for i, line in enumerate(ring(text).splitlines(), 1) if text in line))

    def test_schedule(self):
        more = "schedule = function(run) if run.round == 3 then error 'thrown' end end,"
        done = self.run_ring("run", code=FAILED, more=more)
        for said in (done.stderr, self.read("run", "log.txt")):
            self.assertIn(self.line(more) + ": thrown", said)
            self.assertIn("stack traceback", said)
        self.assertEqual(self.round("run"), 2)
        before = self.export("run")
        self.assertIn("thrown", self.brood("resume", "run", code=FAILED).stderr)
        self.assertEqual(self.export("run"), before)

    def test_a_cause_that_goes(self):
        """A script that depends on a file which is missing for a while."""
        more = ("schedule = function(run) if run.round == 3 then local f <close> = assert(io.open 'there') end end,")
        self.run_ring("run", code=FAILED, more=more)
        self.write("there", "")
        self.brood("resume", "run")
        self.brood("run", "ring.lua", "--out", "whole")
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_rules(self):
        throw = "function() error 'thrown' end"
        self.throws("", "thrown", "ring.lua:", exploit=throw)
        self.throws(f"explore = {throw},", "thrown", "ring.lua:")
        self.throws("", "exploit: the function of ", "ring.lua:15 named member 7, which there is not",
                    exploit="function() return 7 end")
        self.throws("explore = function(h) h.lr = 1 return h end,", "there is no hyperparameter 'lr'")

    def test_a_changed_script(self):
        self.run_ring("run", rounds="1")
        self.write("ring.lua", ring(rounds="1").replace("latent = 4", "latent = 5"))
        said = self.fails("resume", "run", "--rounds", "1")
        self.assertIn("the script has changed since the run began: line 4 of", said)
        self.assertIn("latent = 5", said)
        self.assertRegex(said, "begin a new run from where this one is: brood run .*ring.lua --from run")
        self.assertEqual(self.round("run"), 1)
        os.remove(self.path("run", "run.db"))
        self.assertIn("remove this one and begin a new run", self.fails("resume", "run"))


    def test_a_changed_module(self):
        """Also one that was not loaded before members trained."""
        for name, more in (("first", "keep_best = require 'steps',"), ("later", "schedule = function() require 'steps' end,")):
            self.write("steps.lua", "return 100")
            self.run_ring(name, rounds="1", more=more)
            self.brood("resume", name, "--rounds", "1")
            self.write("steps.lua", "return 200")
            said = self.fails("resume", name, "--rounds", "1")
            self.assertIn(f"{os.path.realpath(self.path('steps.lua'))}: this module has changed since the run began: undo", said)
            self.assertIn(f"brood run SCRIPT --from {name}", said)
            self.assertEqual(self.round(name), 2)


class Damage(PopulationCase):
    def setUp(self):
        super().setUp()
        self.run_ring("run", rounds="3")
        self.state = self.path("run", "states", self.hash("run", 2) + ".safetensors")

    def test_a_state_that_is_missing(self):
        os.remove(self.state)
        name = os.path.basename(self.state)
        said = self.fails("resume", "run", "--rounds", "1")
        self.assertIn(name, said)
        self.assertRegex(said, r"is missing, the state of member \d after round \d: `brood resume run --whole`")
        self.assertEqual(self.round("run"), 3)

    def test_whole(self):
        """Back to the last round whose states are all there, and the same from there on."""
        store = self.store("run")
        before = {row["state"] for row in store["standing"] if row["round"] == 2}
        only = next(row["state"] for row in store["standing"] if row["round"] == 3 and row["state"] not in before)
        for damage in (os.remove, lambda path: os.truncate(path, 300)):
            self.brood("run", "ring.lua", "--out", "again", "--rounds", "3")
            damage(self.path("again", "states", only + ".safetensors"))
            self.assertIn("`brood resume again --whole`", self.fails("resume", "again", "--rounds", "1"))
            done = self.brood("resume", "again", "--whole")
            self.assertIn("resumed after round 2 of 3", done.stdout)
            self.assertEqual(self.export("again"), self.export("run"))
            self.assertIn("rolled back", self.export("again", "--ledger"))
            shutil.rmtree(self.path("again"))
        for name in os.listdir(self.path("run", "states")):
            os.remove(self.path("run", "states", name))
        said = self.fails("resume", "run", "--whole", "--rounds", "1")
        self.assertIn("there is no round whose states are whole: it cannot go on; begin a new run", said)

    def test_an_asynchronous_run(self):
        self.run_ring("free", rounds="3", more='mode = "asynchronous",')
        os.remove(self.path("free", "states", self.hash("free", 2) + ".safetensors"))
        self.assertIn("`brood resume free --whole`", self.fails("resume", "free", "--rounds", "1"))
        self.assertIn("resumed after round", self.brood("resume", "free", "--whole").stdout)

    def test_a_damaged_store(self):
        whole = self.bytes("run", "run.db")
        for content in (whole[:len(whole) // 2], b"SQLite format 3\0" + b"\0" * 4000, b"junk" * 2000):
            self.write("run/run.db", content)
            for arguments in (("resume", "run", "--rounds", "1"), ("export", "run", "--json"), ("grid", "run"),
                              ("show", "run"), ("run", "ring.lua", "--from", "run", "--out", "fork")):
                said = self.fails(*arguments)
                self.assertIn("run.db", said)
                self.assertFalse(os.path.exists(self.path("fork")))
        self.write("run/run.db", whole[:8192] + bytes(4096) + whole[12288:])
        self.assertIn("run.db: it is damaged", self.fails("resume", "run", "--rounds", "1"))

    def test_random_damage(self):
        """A byte here and there: it is refused, or it was of no account."""
        whole, before = self.bytes("run", "run.db"), self.export("run")
        for number in range(25):
            place = number * 7919 * 13 % len(whole)
            self.write("run/run.db", whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1:])
            done = subprocess.run([BROOD, "export", "run", "--json"], cwd=self.folder, env=self.environment,
                                  capture_output=True, text=True, check=False)
            self.assertIn(done.returncode, (FINE, FAILED), done.stderr)
            if done.returncode == FAILED:
                self.assertIn("run.db", done.stderr)
        self.write("run/run.db", whole)
        self.assertEqual(self.export("run"), before)

    def test_a_store_of_another_run(self):
        self.run_ring("other", script="other.lua", interval="30", rounds="2")
        shutil.copy(self.path("other", "run.db"), self.path("run", "run.db"))
        self.fails("resume", "run", "--rounds", "1")

    def test_a_newer_version(self):
        with sqlite3.connect(self.path("run", "run.db")) as db:
            db.execute("PRAGMA user_version = 99")
        self.assertIn("version 3 was expected, it is of version 99", self.fails("resume", "run"))


class Others(PopulationCase):
    def test_two_at_once(self):
        self.run_ring("whole", rounds="40")
        with self.start("run", "ring.lua", "--out", "run") as process:
            while not process.stdout.readline().startswith("    1"):
                pass
            self.assertIn("another process is running this run", self.fails("resume", "run"))
            for command in (("export", "run", "--json"), ("show", "run"), ("grid", "run", "-o", "now.png")):
                self.brood(*command)
            output, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, FINE, output + errors)
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_a_locked_store(self):
        self.run_ring("run", rounds="1")
        with sqlite3.connect(self.path("run", "run.db"), isolation_level=None) as db:
            db.execute("BEGIN EXCLUSIVE")
            self.assertIn("run.db: it is locked by another process", self.fails("resume", "run", "--rounds", "1"))
            db.execute("ROLLBACK")
        self.brood("resume", "run", "--rounds", "1")


class FullDisk(PopulationCase):
    def limit(self, size):
        return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))}

    def test_files_that_cannot_grow(self):
        """Of the store, a state and the log: the last round is intact, and it goes on when there is room."""
        self.run_ring("whole", rounds="8")
        self.brood("run", "ring.lua", "--out", "run", "--rounds", "2")
        before = self.export("run")
        sizes = {name: os.path.getsize(self.path("run", name)) for name in ("run.db", "log.txt")}
        sizes["state"] = os.path.getsize(self.path("run", "states", self.hash("run") + ".safetensors"))
        for name in sizes:
            done = self.brood("resume", "run", "--rounds", "6", code=FAILED, **self.limit(sizes[name]))
            self.assertRegex(done.stderr, "File too large|disk I/O error|disk is full|cannot be written")
            self.assertEqual([name for name in os.listdir(self.path("run", "states")) if name.endswith(".tmp")], [])
            self.assertTrue(self.export("run").startswith(before[:200]))
            self.assertLess(self.round("run"), 8)
        self.brood("resume", "run", "--rounds", str(8 - self.round("run")))
        self.assertEqual(self.export("run"), self.export("whole"))

    def test_a_small_device(self):
        """A file system that is full, where that can be had."""
        place = self.path("small")
        os.mkdir(place)
        mount = subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", place], check=False,
                               capture_output=True)
        if mount.returncode:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(subprocess.run, ["/bin/umount", "-l", place], check=False)
        self.run_ring("whole", rounds="30")
        ballast = os.path.join(place, "ballast")
        self.brood("run", "ring.lua", "--out", "small/run", "--rounds", "1")
        with open(ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        with open(ballast, "r+b") as file:
            file.truncate(os.path.getsize(ballast) - 60000)
        done = self.brood("resume", "small/run", "--rounds", "29", code=FAILED)
        self.assertRegex(done.stderr, "No space left|disk is full|cannot be written|disk I/O")
        reached = self.round("small/run")
        self.assertLess(reached, 30)
        os.remove(ballast)
        self.brood("resume", "small/run", "--rounds", "1")
        self.assertEqual(self.round("small/run"), reached + 1)


if __name__ == "__main__":
    unittest.main(verbosity=0)
