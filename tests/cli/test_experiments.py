#!/usr/bin/env python3
"""The example scripts, as a newcomer finds them: each says what it shows and by which command, can be checked, and trains
a few steps, where its data are there. Made files stand in for Fashion-MNIST."""

import glob
import os
import random
import re
import struct
import unittest

from case import FINE, Case

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "experiments")
SCRIPTS = {os.path.basename(path)[:-4]: path for path in sorted(glob.glob(os.path.join(FOLDER, "*.lua")))}


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def verb_of(path):
    """What its head says that it is for: `brood run` or `brood lua`."""
    return re.search(rf"^--     brood (run|lua) scripts/experiments/{os.path.basename(path)}$", text_of(path), re.M)[1]


def take_out(path):
    """Whether its classifiers take longer than a test may."""
    return "select =" in text_of(path)


class Heads(unittest.TestCase):
    def test_what_it_shows_and_how_to_run_it(self):
        for path in SCRIPTS.values():
            head = text_of(path).split("\nlocal ")[0].rstrip()
            self.assertTrue(all(line.startswith("--") or not line for line in head.split("\n")), path)
            self.assertGreater(len(head), 100, path)
            self.assertIn(verb_of(path), ("run", "lua"))

    def test_every_layer_has_a_place_in_one(self):
        words = "".join(text_of(path) for path in SCRIPTS.values())
        layers = re.findall(r"^nn\.([a-z_]+) = ", "".join(
            text_of(path) for path in glob.glob(os.path.join(FOLDER, "..", "lib", "brood", "nn", "*.lua"))), re.M)
        self.assertGreater(len(layers), 20)
        for layer in layers:
            self.assertRegex(words, rf"\bnn\.{layer}\b")


class Experiments(Case):
    environment = dict(os.environ)  # with python3, which some of them start

    def work(self, path):
        if verb_of(path) == "lua":
            self.assertGreater(len(self.brood("lua", path).stdout), 100)
            return
        done = self.brood("check", path, code=None)
        if "`brood fetch" in done.stderr:
            self.skipTest("its data are not there")
        if "No module named 'numpy'" in done.stderr:
            self.skipTest("numpy is not there")
        self.assertEqual(done.returncode, FINE, done.stderr)
        self.assertIn("experiment '", done.stdout)
        if "members =" in text_of(path) or take_out(path):
            return
        self.brood("run", path, "--out", "run", "--rounds", "1", "--set", "interval=2", "--set", "batch=8")
        self.assertIn("00001.png", os.listdir(self.path("run", "samples")))
        self.assertIn("1 round, 2 steps of each member", self.brood("show", "run").stdout)

    def test_fashion_by_made_files(self):
        noise = random.Random(1)
        os.makedirs(self.path("data", "fashion_mnist"))
        for name in ("train", "t10k"):
            with open(self.path("data", "fashion_mnist", f"{name}-images-idx3-ubyte"), "wb") as file:
                file.write(struct.pack(">4I", 0x803, 64, 28, 28) + noise.randbytes(64 * 28 * 28))
            with open(self.path("data", "fashion_mnist", f"{name}-labels-idx1-ubyte"), "wb") as file:
                file.write(struct.pack(">2I", 0x801, 64) + bytes(i % 10 for i in range(64)))
        self.assertIn("fashion_mnist: 64 training images of 32×32×1, in 10 classes",
                      self.brood("check", SCRIPTS["fashion"]).stdout)
        self.brood("run", SCRIPTS["fashion"], "--out", "run", "--rounds", "1", "--set", "interval=2")
        self.assertIn("reals.png", os.listdir(self.path("run")))


for name, path in SCRIPTS.items():
    setattr(Experiments, f"test_{name}", lambda self, path=path: self.work(path))

if __name__ == "__main__":
    unittest.main(verbosity=0)
