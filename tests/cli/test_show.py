#!/usr/bin/env python3
"""What lets a person see a run: brood export, show, lineage and compare, and the plots."""

import csv
import io
import json
import math
import os
import re
import shutil
import sqlite3
import statistics
import struct
import subprocess
import tempfile
import unittest

from populations import ring

BROOD = os.path.abspath(os.environ.get("BROOD", "build/brood"))
FINE, FAILED, USAGE = 0, 1, 2
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
GNUPLOT = shutil.which("gnuplot")

TOY = """local brood = require "brood"
local pbt = brood.pbt
return brood.experiment {
    name = "toy", population = 6, rounds = 8, interval = 4, seed = 3,
    hyper = { h0 = pbt.log_uniform(0.01, 10), h1 = pbt.log_uniform(0.01, 10), kind = pbt.choice { "plain", "odd" } },
    members = pbt.member {
        init = function(_, _, slot) return { theta = 0.9, slot = slot, steps = 0 } end,
        step = function(me, h, steps, rng)
            me.steps = me.steps + steps
            for _ = 1, steps do me.theta = me.theta * (1 - 0.02 * (h.h0 + h.h1)) + 0.01 * rng:normal() end
        end,
        score = function(me)
            if me.slot == 2 and me.steps == 4 then error("it has had enough", 0) end
            return 1.2 - me.theta ^ 2, 0.02, { me.theta }
        end,
        reports = { "theta" },
    },
}
"""


BEST = "SELECT score, slot, round FROM scored ORDER BY score DESC LIMIT 1"
PRINT = """for _, e in ipairs(require "winner") do
    print(("%d %.17g %.17g %s"):format(e.steps, e.h0, e.h1, e.kind))
end"""


def brood(*arguments, folder=None, path=None):
    environment = dict(os.environ, PATH=path) if path else None
    return subprocess.run([BROOD, *arguments], capture_output=True, text=True, cwd=folder, env=environment)


def rows(directory, sql):
    with sqlite3.connect(f"file:{directory}/run.db?mode=ro", uri=True) as store:
        return store.execute(sql).fetchall()


def png_size(path):
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND", path
    return struct.unpack(">II", data[16:24])


FOLDER = None  # of the runs that all tests read: pbt-3, pbt-4, pbt-5, and the same seeds of random search


def without_gnuplot():
    """A PATH that has a shell and no gnuplot."""
    tools = os.path.join(FOLDER, "tools")
    if not os.path.exists(tools):
        os.mkdir(tools)
        for name in ("sh", "mv", "rm"):
            os.symlink(shutil.which(name), os.path.join(tools, name))
    return tools


def setUpModule():
    global FOLDER
    FOLDER = tempfile.mkdtemp(dir=MEMORY)
    with open(os.path.join(FOLDER, "toy.lua"), "w") as file:
        file.write(TOY)
    for seed in (3, 4, 5):
        for name, control in (("pbt", "off"), ("search", "random-search")):
            done = brood("run", "toy.lua", "--seed", str(seed), "--control", control, "--out", f"{name}-{seed}",
                         folder=FOLDER, path=without_gnuplot())
            assert done.returncode == FINE, done.stderr


def tearDownModule():
    shutil.rmtree(FOLDER)


class Case(unittest.TestCase):
    def path(self, name):
        return os.path.join(FOLDER, name)

    def good(self, *arguments, **more):
        done = brood(*arguments, folder=FOLDER, **more)
        self.assertEqual(done.returncode, FINE, done.stderr)
        return done.stdout

    def bad(self, code, words, *arguments):
        done = brood(*arguments, folder=FOLDER)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertNotIn("traceback", done.stderr)


class TestExport(Case):
    def test_same_bytes_for_the_same_seed(self):
        self.good("run", "toy.lua", "--workers", "2", "--out", "again", path=without_gnuplot())
        for form in ("--csv", "--json"):
            self.assertEqual(self.good("export", "again", form), self.good("export", "pbt-3", form))
        self.assertNotEqual(self.good("export", "pbt-4", "--csv"), self.good("export", "pbt-3", "--csv"))
        aside = [self.good("export", name, "--csv", "--ledger") for name in ("again", "pbt-3")]
        self.assertNotEqual(aside[0], aside[1])

    def test_json_is_all_that_the_store_has(self):
        document = json.loads(self.good("export", "pbt-3", "--json", "--ledger"))
        self.assertEqual(document["fact"], dict(rows(self.path("pbt-3"), "SELECT name, value FROM fact")))
        for table in ("scored", "reported", "standing", "value", "ledger", "round", "event", "pin"):
            count = rows(self.path("pbt-3"), f"SELECT count(*) FROM {table}")[0][0]
            self.assertEqual(len(document[table]), count)
            if count > 0:
                order = "id" if table == "event" else "1" if table == "round" else "1, 2, 3"
                sql = f"SELECT {', '.join(document[table][0])} FROM {table} ORDER BY {order}"
                found = [tuple(row.values()) for row in document[table]]
                self.assertEqual(found, rows(self.path("pbt-3"), sql))  # every bit of them
        names = {name for (name,) in rows(self.path("pbt-3"), "SELECT name FROM sqlite_master WHERE type = 'table'")}
        self.assertEqual(names - set(document) - {"state"}, set())  # no table is forgotten

    def test_csv_is_one_table(self):
        lines = list(csv.DictReader(io.StringIO(self.good("export", "pbt-3", "--csv"))))
        self.assertEqual(sum(line["table"] == "scored" for line in lines), 48)
        values = [float(line["value"]) for line in lines if line["value"] != ""]  # numbers only
        self.assertEqual(values[:6], [value for (value,) in rows(self.path("pbt-3"), "SELECT value FROM reported"
                                      " ORDER BY round, slot, report LIMIT 6")])
        failed = [line for line in lines if line["table"] == "scored" and line["failed"] == "1"]
        self.assertEqual([(line["round"], line["slot"], line["score"]) for line in failed], [("1", "2", "")])
        texts = {line["name"]: line["text"] for line in lines if line["table"] == "fact"}
        self.assertEqual((texts["seed"], texts["control"]), ("3", "off"))
        self.assertNotIn("script", texts)
        self.assertFalse(any(line["table"] == "ledger" for line in lines))

    def test_odd_texts_and_numbers(self):
        shutil.copytree(self.path("pbt-3"), self.path("odd"))
        with sqlite3.connect(self.path("odd/run.db")) as store:
            store.execute("UPDATE fact SET value = ? WHERE name = 'name'", ('a "b", \x01\n\\ é',))
            store.execute("UPDATE fact SET value = CAST(x'61ff62' AS TEXT) WHERE name = 'kind'")
            store.execute("UPDATE reported SET value = 9e999 WHERE round = 1 AND slot = 0")
        store.close()
        document = json.loads(self.good("export", "odd", "--json"))
        self.assertEqual(document["fact"]["name"], 'a "b", \x01\n\\ é')
        self.assertEqual(document["fact"]["kind"], "a\ufffdb")
        self.assertEqual(document["reported"][0]["value"], math.inf)
        done = subprocess.run([BROOD, "export", self.path("odd"), "--csv"], capture_output=True)
        lines = list(csv.DictReader(io.StringIO(done.stdout.decode(errors="replace"), newline="")))
        self.assertIn('a "b", \x01\n\\ é', [line["text"] for line in lines])
        self.assertNotIn("\x1b", self.good("show", "odd"))

    def test_bad_input(self):
        self.bad(USAGE, "one of --csv and --json expected", "export", "pbt-3")
        self.bad(USAGE, "one of --csv and --json expected", "export", "pbt-3", "--csv", "--json")


class TestShow(Case):
    def test_summary(self):
        words = self.good("show", "pbt-3")
        score, slot, round_ = rows(self.path("pbt-3"), BEST)[0]
        self.assertIn("toy: population based training, 6 members, seed 3", words)
        self.assertIn(f"best ever: member {slot} in round {round_}, at step {4 * round_}", words)
        self.assertIn(f"{score:.3f} ± 0.020", words)
        copies = rows(self.path("pbt-3"), "SELECT count(*) FROM event WHERE kind = 'copied'")[0][0]
        self.assertIn(f"{copies} cop", words)
        self.assertIn("1 failure, 1 failed member replaced", words)
        self.assertIn("member 2 in round 1: scoring: it has had enough", words)
        self.assertRegex(words, r"all members +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +192")
        self.assertIn("random-search, 6 members", self.good("show", "search-3"))

    def test_schedule_is_what_the_lineage_was_trained_with(self):
        chunk = self.good("show", "pbt-3", "--schedule")
        expected, place = [], rows(self.path("pbt-3"), BEST)[0][1:]
        while place[1] > 0:  # from the last ancestor back, by the store alone
            slot, round_ = place
            where = f"WHERE slot = {slot} AND round = {round_ - 1}"
            values = dict(rows(self.path("pbt-3"), f"SELECT name, value FROM value {where}"))
            values["kind"] = ("plain", "odd")[int(values["kind"])]
            expected.insert(0, values)
            place = rows(self.path("pbt-3"), f"SELECT parent, parent_round FROM standing {where}")[0]
        with open(self.path("winner.lua"), "w") as file:
            file.write(chunk)
        with open(self.path("print.lua"), "w") as file:
            file.write(PRINT)
        found = []
        entries = [line.split() for line in self.good("lua", "print.lua").splitlines()]
        for steps, h0, h1, kind in entries:
            found += [{"h0": float(h0), "h1": float(h1), "kind": kind}] * (int(steps) // 4)
        self.assertEqual(found, expected)
        self.assertLess(len(entries), len(expected))  # what did not change is said once

    def test_member(self):
        self.assertIn("chosen: member 4 in round 8", self.good("show", "pbt-3", "--member", "4"))
        schedule = self.good("show", "pbt-3", "--member", "4", "--schedule")
        self.assertTrue(schedule.startswith("-- toy, seed 3: member 4 in round 8"))
        self.bad(FAILED, "there is no member 6 in it", "show", "pbt-3", "--member", "6")
        self.bad(USAGE, "a whole number", "show", "pbt-3", "--member", "four")

    def test_lineage(self):
        words = self.good("lineage", "pbt-3")
        lines = words.splitlines()
        sql = "SELECT count(*) FROM event WHERE kind IN ('copied', 'replaced') AND round < 8"
        self.assertEqual(len(lines), 1 + 6 + rows(self.path("pbt-3"), sql)[0][0])  # founders and copies
        self.assertEqual(sum("best ever" in line for line in lines), 1)
        self.assertRegex(words, r"\n   2 +1 +- +failed, replaced by a copy of \d; died out")
        for line in lines[1:]:
            fate = "overwritten" in line or "replaced" in line
            self.assertEqual(fate, re.search(r"[- ]8  ", line) is None, line)  # or it lasts to the last round
        one = self.good("lineage", "pbt-3", "--member", "0")
        self.assertRegex(one.splitlines()[-1], r"^(\d-)?8 +0")
        self.assertRegex(one, "plain|odd")

    def test_acts_of_a_schedule(self):
        schedule = ("exploit = pbt.none {}, schedule = function(run) if run.round == 3 then run:fork(0, 1) run:pin(3)"
                    " run:set(4, { h0 = 2 }) run:add(1) elseif run.round == 6 then run:set(4, { h0 = 3 }) run:stop() end end,")
        with open(self.path("acts.lua"), "w") as file:
            file.write(TOY.replace("seed = 3,", "seed = 3, " + schedule))
        self.good("run", "acts.lua", "--out", "acts", path=without_gnuplot())
        words = self.good("lineage", "acts")
        self.assertRegex(words, r"\n. +1 +1-3 .*overwritten by a fork of 0")
        self.assertRegex(words, r"\n. +3 +1-6 .*pinned after round 3")
        self.assertRegex(words, r"\n. +4 +1-6 .*set after 2 rounds, the first 3")
        self.assertRegex(words, r"\n. +6 +4-6 .*added after round 3")
        self.assertTrue(words.endswith("\nstopped by its schedule after round 6\n"))
        self.assertRegex(self.good("lineage", "acts", "--member", "1"), r"\n4-6 +1, a fork of 0 ")
        self.assertRegex(self.good("lineage", "acts", "--member", "4"), r"\n4-6 +4, set after 2 rounds, the first 3 ")
        self.assertIn("\n6 rounds of 8, then stopped by its schedule, 24 steps", self.good("show", "acts"))
        self.bad(FAILED, "acts: it was stopped by its schedule after round 6 of 8: --rounds N", "resume", "acts")
        with open(self.path("plot.lua"), "w") as file:
            file.write('print(require("brood.plot.lineage").script(require("brood.show.history").read(arg[1])))')
        script = self.good("lua", "plot.lua", "acts")
        for name, points in (("forked", "12 1\n"), ("pinned", "12 3\n"), ("set", "12 4\n24 4\n"), ("added", "12 6\n")):
            self.assertIn(f"${name} << EOD\n{points}EOD", script)

    def test_two_donors(self):
        with open(self.path("ring.lua"), "w") as file:
            file.write(ring("recombine = true,", exploit="pbt.truncation { bottom = 0.5, top = 0.5 }"))
        self.good("run", "ring.lua", "--out", "ring", path=without_gnuplot())
        sql = ("SELECT g.round, g.slot, g.other, d.other FROM event g JOIN event d ON g.round = d.round AND g.slot = d.slot"
               " WHERE g.text = 'G' AND d.text = 'D' AND g.round < 6 ORDER BY g.round DESC")
        _, slot, donor, other = rows(self.path("ring"), sql)[0]
        self.assertRegex(self.good("lineage", "ring"), rf"overwritten by a copy of {donor}, D of {other}")
        self.assertRegex(self.good("lineage", "ring", "--member", str(slot)), rf" {slot}, a copy of {donor}, D of {other} ")

    def test_a_run_that_is_not_at_its_end(self):
        self.assertIn("\n8 rounds, 32 steps of each member\n", self.good("show", "pbt-3"))
        self.assertEqual(rows(self.path("pbt-3"), "SELECT value, aside FROM fact WHERE name = 'rounds'"), [("8", 1)])
        shutil.copytree(self.path("pbt-3"), self.path("going"))
        for change, words in (("UPDATE fact SET value = '20' WHERE name = 'rounds'",
                               "\n8 of 20 rounds, 32 steps of each member: not at its end yet\n"),
                              ("UPDATE round SET stopped = 1 WHERE round = 8",
                               "\n8 rounds of 20, then stopped by its schedule, 32 steps of each member\n")):
            with sqlite3.connect(self.path("going") + "/run.db") as store:
                store.execute(change)
            store.close()
            self.assertIn(words, self.good("show", "going"))
        self.good("run", "toy.lua", "--steps", "10", "--out", "steps", path=without_gnuplot())
        self.assertEqual(rows(self.path("steps"), "SELECT value FROM fact WHERE name = 'rounds'"), [("3",)])

    def test_pictures_that_are_there(self):
        words = self.good("show", "pbt-3")
        self.assertNotIn("samples/", words)  # which is empty
        shutil.copytree(self.path("pbt-3"), self.path("seen"))
        for name in ("best.png", "samples/00001.png"):
            open(self.path("seen/" + name), "w").close()
        self.assertIn("pictures in seen: best.png, samples/", self.good("show", "seen"))

    def run_unselected(self, name, report):
        with open(self.path(name + ".lua"), "w") as file:
            file.write(ring(select="nil", exploit="pbt.none {}", population="2", rounds="2", report=report))
        self.good("run", name + ".lua", "--out", name, path=without_gnuplot())
        return [self.good(*words) for words in (["show", name], ["lineage", name], ["show", name, "--schedule"])]

    def test_nothing_was_selected_by(self):
        show, lineage, schedule = self.run_unselected("reported", "{ metric.modes_score { samples = 300 } }")
        self.assertEqual(rows(self.path("reported"), "SELECT value FROM fact WHERE name = 'select'"), [("none",)])
        self.assertIn("nothing was selected by; the best is that with the best report score, modes, higher", show)
        self.assertEqual(len(re.findall(r"(?m)^(report: )?modes ", show)), 1)
        self.assertRegex(lineage, r"^ +member +rounds +modes\n")
        self.assertRegex(schedule, r"in round \d, modes \d\.")
        words = self.good("compare", "reported", path=without_gnuplot())
        self.assertIn("report: modes", words)
        self.assertNotIn("selection", words)

    def test_lower_is_better(self):
        with open(self.path("low.lua"), "w") as file:
            file.write(ring(select="metric.reverse_kl { samples = 201 }", rounds="2",
                            report="{ metric.reverse_kl { samples = 201 } }"))
        said = self.good("run", "low.lua", "--out", "low", path=without_gnuplot())
        tables = json.loads(self.good("export", "low", "--json"))
        reported = {(row["round"], row["slot"]): row["value"] for row in tables["reported"]}
        for row in tables["scored"]:
            self.assertEqual(row["score"], reported[row["round"], row["slot"]])
        facts = json.loads(self.good("export", "low", "--json", "--ledger"))["fact"]
        self.assertGreater(float(facts["ceiling"]), 0)
        self.assertEqual(facts["ceiling"], facts["report.1.ceiling"])
        best = min(row["score"] for row in tables["scored"] if row["round"] == 1)
        self.assertRegex(said, rf"\n +1 +20  {best:.3f} ")

    def test_no_scores_at_all(self):
        show, lineage, schedule = self.run_unselected("unscored", "{}")
        self.assertIn("\nnothing was selected by\n", show)
        self.assertIn("\ntrained longest: member 0 in round 2, at step 40\n", show)
        self.assertRegex(lineage, r"\n\* +0 +1-2 +20 to 40 +trained longest, 40, in round 2\n")
        self.assertRegex(schedule, r"^-- ring, seed 3: member 0 in round 2\n")
        self.bad(FAILED, "unscored: it has no scores to compare: nothing was selected by", "compare", "unscored")

    def test_a_large_forest_is_brief(self):
        self.good("run", "toy.lua", "--set", "population=24", "--rounds", "12", "--out", "large",
                  path=without_gnuplot())
        brief, whole = self.good("lineage", "large"), self.good("lineage", "large", "--all")
        self.assertLess(len(brief.splitlines()), len(whole.splitlines()))
        hidden = sum(int(number) for number in re.findall(r"\+ (\d+) ", brief))
        shown = sum(bool(re.search(r"\d  +\d+(-\d+)?  ", line)) for line in brief.splitlines())
        self.assertEqual(hidden + shown, len(whole.splitlines()) - 1)  # all are counted
        self.assertEqual(brief.count("best ever"), 1)


class TestCompare(Case):
    def measure(self, name, sql="SELECT r.value FROM scored AS s JOIN reported AS r USING (round, slot)"
                                " ORDER BY s.score DESC LIMIT 1"):
        return rows(self.path(name), sql)[0][0]

    def test_arms_and_differences(self):
        names = [f"{name}-{seed}" for seed in (3, 4, 5) for name in ("pbt", "search")]
        words = self.good("compare", *names, path=without_gnuplot())
        arms = {name: [self.measure(f"{name}-{seed}") for seed in (3, 4, 5)] for name in ("pbt", "search")}
        found = {}
        for line in words.splitlines()[2:4]:
            label, runs, mean, spread = re.match(r"(\S+) +(\d+) +(\S+) ± (\S+)", line).groups()
            found[label] = (int(runs), float(mean), float(spread))
        for label, name in (("PBT", "pbt"), ("random-search", "search")):
            runs, mean, spread = found[label]
            self.assertEqual(runs, 3)
            self.assertAlmostEqual(mean, statistics.mean(arms[name]), delta=1e-3)
            self.assertAlmostEqual(spread, statistics.stdev(arms[name]), delta=1e-3)
        differences = [a - b for a, b in zip(arms["pbt"], arms["search"])]
        half = 4.302653 * statistics.stdev(differences) / math.sqrt(3)
        mean = statistics.mean(differences)
        line = re.search(r"report: theta +(\S+) +95 % interval (\S+) to (\S+), of 3 seeds", words)
        for text, value in zip(line.groups(), (mean, mean - half, mean + half)):
            self.assertAlmostEqual(float(text), value, delta=1e-3 + abs(value) * 1e-2)
        self.assertIn("PBT minus random-search, seed by seed", words)

    def test_labels_and_warnings(self):
        self.good("run", "toy.lua", "--set", "population=4", "--out", "four", path=without_gnuplot())
        words = self.good("compare", "pbt-3", "four", path=without_gnuplot())
        self.assertRegex(words, "(?m)^population 6 +1 ")
        self.assertRegex(words, "(?m)^population 4 +1 ")
        done = brood("compare", "pbt-3", "pbt-3", folder=FOLDER, path=without_gnuplot())
        self.assertIn("pbt-3 is left out: it is the same run as pbt-3", done.stderr)

    def test_equal_steps(self):
        self.good("run", "toy.lua", "--rounds", "2", "--out", "short", path=without_gnuplot())
        words = self.good("compare", "pbt-4", "short", path=without_gnuplot())
        self.assertIn("at step 8 of each member", words)
        early = self.measure("pbt-4", "SELECT max(score) FROM scored WHERE round <= 2")
        self.assertLess(early, self.measure("pbt-4", "SELECT max(score) FROM scored") - 0.005)
        mean = (early + self.measure("short", "SELECT max(score) FROM scored")) / 2  # of two seeds, and so one arm
        self.assertRegex(words, rf"(?m)^toy +2 .* {mean:.3f} ± ")

    @unittest.skipUnless(GNUPLOT, "gnuplot is not there")
    def test_picture(self):
        self.good("compare", "pbt-3", "search-3", "-o", "picture.png")
        self.assertEqual(png_size(self.path("picture.png")), (1200, 800))

    def test_a_picture_that_has_no_place(self):
        self.bad(FAILED, "nowhere/picture.png: there is no folder nowhere/", "compare", "pbt-3", "-o",
                 "nowhere/picture.png")
        self.bad(FAILED, "it is a folder", "compare", "pbt-3", "-o", "pbt-3")

    def test_a_run_that_is_left_out_decides_nothing(self):
        self.good("run", "toy.lua", "--rounds", "3", "--out", "part", path=without_gnuplot())
        for names in (("part", "pbt-3"), ("pbt-3", "part")):  # the longer one is kept, whichever is first
            done = brood("compare", *names, "pbt-4", folder=FOLDER, path=without_gnuplot())
            self.assertIn("part is left out: it is the same run as pbt-3", done.stderr)
            self.assertIn("at step 32 of each member", done.stdout)
            self.assertRegex(done.stdout, r"(?m)^toy +2 ")

    def test_what_is_looked_at_makes_no_arm(self):
        with open(self.path("looked.lua"), "w") as file:
            file.write(TOY.replace("seed = 3,", "seed = 5, keep_best = 2, report_best = 6,"))
        self.good("run", "looked.lua", "--out", "looked", path=without_gnuplot())
        self.good("run", "toy.lua", "--seed", "6", "--set", "report_best=6", "--set", "keep_every=2", "--out", "set",
                  path=without_gnuplot())
        self.assertRegex(self.good("compare", "pbt-3", "looked", "set", path=without_gnuplot()), r"(?m)^toy +3 ")

    def test_a_warm_start_is_another_arm(self):
        self.good("run", "toy.lua", "--from", "pbt-3", "--out", "warm", path=without_gnuplot())
        words = self.good("compare", "pbt-4", "pbt-3", "warm", path=without_gnuplot())
        self.assertRegex(words, r"(?m)^from scratch +2 ")
        self.assertRegex(words, r"(?m)^from pbt-3 +1 ")

    def test_replays(self):
        self.good("replay", "pbt-3", "--out", "replay", path=without_gnuplot())
        self.good("replay", "pbt-3", "--constant", "--out", "constant", path=without_gnuplot())
        words = self.good("compare", "pbt-3", "replay", "constant", path=without_gnuplot())
        for label in ("PBT", "schedule", "constant"):
            self.assertRegex(words, rf"(?m)^{label} +1 ")
        slot, _ = rows(self.path("pbt-3"), BEST)[0][1:]
        self.assertTrue(self.good("show", "replay").startswith(
            f"toy: a replay of the schedule of member {slot} of pbt-3, one member, seed 3\n"))

    def test_replays_over_seeds(self):
        """Each has a schedule of its own, and a schedule without changes is also the last values."""
        with open(self.path("still.lua"), "w") as file:
            file.write(TOY.replace("seed = 3,", "seed = 3, exploit = pbt.none {},"))
        for seed in ("3", "4"):
            self.good("run", "still.lua", "--seed", seed, "--out", f"n-{seed}", path=without_gnuplot())
            self.good("replay", f"n-{seed}", "--out", f"nr-{seed}", path=without_gnuplot())
            self.good("replay", f"n-{seed}", "--constant", "--out", f"nk-{seed}", path=without_gnuplot())
        self.good("replay", "n-3", "--member", "1", "--out", "other", path=without_gnuplot())
        done = brood("compare", "n-3", "n-4", "nr-3", "nr-4", "nk-3", "nk-4", folder=FOLDER, path=without_gnuplot())
        self.assertNotIn("left out", done.stderr)
        for label in ("one member|no exploit|PBT", "schedule", "constant"):
            self.assertRegex(done.stdout, rf"(?m)^({label}) +2 ")
        done = brood("compare", "nr-3", "nr-4", "other", folder=FOLDER, path=without_gnuplot())
        self.assertNotIn("left out", done.stderr)
        self.assertRegex(done.stdout, r"(?m)^toy, as nr-3 +2 ")
        self.assertRegex(done.stdout, r"(?m)^toy, as other +1 ")

    def test_long_labels_are_cut(self):
        for name in ("one", "two"):
            shutil.copytree(self.path("pbt-3"), self.path(name))
            with sqlite3.connect(self.path(name) + "/run.db") as store:
                for fact in ("data", "kind", "name"):
                    store.execute("INSERT OR REPLACE INTO fact VALUES (?, ?, 0)", (fact, f"{name} {fact} " + 90 * "x"))
            store.close()
        words = self.good("compare", "one", "two", path=without_gnuplot()).splitlines()
        labels = [line[3:].split("  ")[0] for line in words[2:4]]
        for label, name in zip(labels, ("one", "two")):
            self.assertTrue(label.startswith(f"data {name} data xxx"), label)
            self.assertEqual((len(label), label[-1]), (60, "…"))

    def test_nobody_said_what_is_better(self):
        words = self.good("compare", "pbt-3", path=without_gnuplot())
        self.assertIn("\nreport: theta\n", words)  # members that are no GANs do not say
        shutil.copytree(self.path("pbt-3"), self.path("lower"))
        with sqlite3.connect(self.path("lower") + "/run.db") as store:
            store.execute("INSERT INTO fact VALUES ('report.1.better', 'lower', 0)")
        store.close()
        self.assertIn("\nreport: theta, lower is better\n", self.good("compare", "lower", path=without_gnuplot()))


class TestPlots(Case):
    @unittest.skipUnless(GNUPLOT, "gnuplot is not there")
    def test_a_run_leaves_pictures(self):
        self.good("run", "toy.lua", "--out", "it's a `run`; $HOME")
        directory = self.path("it's a `run`; $HOME")
        for name in ("scores.png", "schedules.png", "lineage.png"):
            width, height = png_size(os.path.join(directory, name))
            self.assertEqual((width, height >= 800), (1200, True))
            self.assertGreater(os.path.getsize(os.path.join(directory, name)), 10000)
        self.assertEqual([name for name in os.listdir(directory) if name.startswith(".")], [])  # nothing is left over

    def test_without_gnuplot(self):
        done = brood("run", "toy.lua", "--out", "plain", folder=FOLDER, path=without_gnuplot())
        self.assertEqual(done.returncode, FINE)
        self.assertIn("gnuplot is missing", done.stdout + done.stderr)
        self.assertFalse(os.path.exists(self.path("plain/scores.png")))
        done = brood("compare", "plain", folder=FOLDER, path=without_gnuplot())
        self.assertEqual(done.returncode, FINE)
        self.assertIn("gnuplot is missing", done.stderr)


    def test_a_full_disk(self):
        """Pictures that are not whole do not take the places of those that are."""
        tools = self.path("full")
        shutil.copytree(without_gnuplot(), tools, symlinks=True)
        for name in ("tail", "grep", "sed"):
            os.symlink(shutil.which(name), os.path.join(tools, name))
        with open(os.path.join(tools, "gnuplot"), "w") as file:  # opens what it is to draw, and comes no further
            file.write("""#!/bin/sh\nsed -n "s/^set output '\\(.*\\)'/\\1/p" "$1" | while read f; do : > "$f"; done\n""")
        os.chmod(file.name, 0o755)
        shutil.copytree(self.path("pbt-3"), self.path("disk"))
        with open(self.path("disk/scores.png"), "w") as file:
            file.write("the old one")
        done = brood("resume", "disk", "--rounds", "1", folder=FOLDER, path=tools)
        self.assertEqual(done.returncode, FINE, done.stderr)
        self.assertIn("gnuplot: scores.png cannot be written whole: is the disk full?", done.stdout + done.stderr)
        with open(self.path("disk/scores.png")) as file:
            self.assertEqual(file.read(), "the old one")
        self.assertFalse(os.path.exists(self.path("disk/lineage.png")))
        self.assertEqual([name for name in os.listdir(self.path("disk")) if name.startswith(".plot")], [])


class TestNoRun(Case):
    def test_refusals(self):
        os.mkdir(self.path("none"))
        os.mkdir(self.path("foreign"))
        with sqlite3.connect(self.path("foreign/run.db")) as store:
            store.execute("CREATE TABLE fact(a)")
        store.close()
        for words in (["export", "--csv"], ["show"], ["lineage"], ["compare"]):
            self.bad(FAILED, "there is no such run", *words, "nowhere")
            self.bad(FAILED, "it has no run.db", *words, "none")
            self.bad(FAILED, "version 3 was expected, it is of version 0", *words, "foreign")

    def test_rows_that_make_no_sense(self):
        for number, change in enumerate(("UPDATE scored SET round = 1000000000 WHERE round = 8 AND slot = 0",
                                         "UPDATE scored SET slot = -1 WHERE round = 8 AND slot = 0",
                                         "UPDATE standing SET parent_round = 7 WHERE round = 2",
                                         "UPDATE round SET interval = 'many'")):
            name = f"damaged-{number}"
            shutil.copytree(self.path("pbt-3"), self.path(name))
            with sqlite3.connect(self.path(name) + "/run.db") as store:
                store.execute(change)
            store.close()
            for words in (["show"], ["lineage"], ["compare"]):
                self.bad(FAILED, "it is damaged", *words, name)


if __name__ == "__main__":
    unittest.main()
