#!/usr/bin/env python3
"""brood score and brood classifier, with small pictures that the test draws."""

import json
import os
import pty
import random
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

BROOD = os.path.abspath(os.environ.get("BROOD", "build/brood"))
FINE, FAILED, USAGE = 0, 1, 2
SIDE = 8
CLASSES = ["bar", "cross", "frame"]


def png(pixels, side=SIDE, channels=1):
    """A PNG of rows of bytes, gray or (3 channels) in color."""
    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content
                + struct.pack(">I", zlib.crc32(kind + content)))
    step = side * channels
    rows = b"".join(b"\0" + bytes(pixels[i:i + step]) for i in range(0, len(pixels), step))
    header = struct.pack(">IIBBBBB", side, len(pixels) // step, 8, 2 if channels == 3 else 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def picture(kind, rng):
    """8 × 8 pixels of one of the classes, in its own gray, with noise."""
    light, pixels = rng.randint(150, 230), []
    at = rng.randint(2, 5)
    for y in range(SIDE):
        for x in range(SIDE):
            on = {"bar": y == at, "cross": y == at or x == at, "frame": y in (1, 6) or x in (1, 6)}[kind]
            pixels.append(max(0, min(255, (light if on else 20) + rng.randint(-15, 15))))
    return pixels


def write(folder, count, kinds, seed, make=picture):
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(seed)
    for i in range(count):
        with open(os.path.join(folder, f"{i:04d}.png"), "wb") as file:
            file.write(png(make(kinds[i % len(kinds)], rng)))


def column(text, name, which=0):
    """A number of the table: of the images, or (1) of the real ones."""
    line = next(line for line in text.splitlines() if line.startswith(name + " "))
    return float(re.findall(r"(-?[\d.]+) ± *[\d.]+", line)[which])


class Home(unittest.TestCase):
    """A folder with pictures in classes, and a cache of its own."""

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp()
        cls.real = os.path.join(cls.home, "real")
        for number, name in enumerate(CLASSES):
            write(os.path.join(cls.real, name), 120, [name], number)
        cls.good = os.path.join(cls.home, "good")
        write(cls.good, 90, CLASSES, 50)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.home)

    def environment(self, cache=None):
        return dict(os.environ, XDG_CACHE_HOME=cache or os.path.join(self.home, "cache"))

    def brood(self, *arguments, code=FINE, cache=None):
        done = subprocess.run([BROOD, *arguments], capture_output=True, text=True, env=self.environment(cache),
                              cwd=self.home, timeout=300, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def score(self, folder, *more, **options):
        return self.brood("score", folder, "--real", "folder", "--path", self.real, *more, **options)


class ScoreTest(Home):
    def test_table(self):
        done = self.score(self.good)
        for name in ["classifier_score", "classifier_score, 2nd classifier", "frechet", "kernel", "precision", "recall",
                     "density", "coverage", "memorization", "class_balance", "class_entropy", "modes", "reverse_kl"]:
            self.assertIn(f"\n{name} ", done.stdout)
        self.assertGreater(column(done.stdout, "classifier_score"), 2.5)
        self.assertGreater(column(done.stdout, "classifier_score", 1), 2.5)
        self.assertEqual(column(done.stdout, "modes"), 3)
        self.assertIn("90 images read", done.stderr)
        self.assertIn("90 images of", done.stdout.splitlines()[0])
        # The second time the classifiers are there already.
        self.assertNotIn("training a classifier", self.score(self.good).stderr)
        self.assertNotIn("without labels", done.stdout)
        known = dict(re.findall(r"(?m)^(selection|report) classifier ([0-9a-f]{8}) ",
                                self.brood("classifier", "folder", self.real).stdout))
        self.assertEqual(f"by the report classifier {known['report']}; the 2nd, selection classifier "
                         f"{known['selection']}", done.stdout.splitlines()[-1])

    def test_bad_images_score_badly(self):
        worse = os.path.join(self.home, "worse")
        write(worse, 90, ["bar"], 60)
        gray = os.path.join(self.home, "gray")
        write(gray, 90, ["bar"], 61, make=lambda kind, rng: [128] * (SIDE * SIDE))
        good = self.score(self.good).stdout
        for folder in [worse, gray]:
            text = self.score(folder).stdout
            self.assertLess(column(text, "classifier_score"), 1.3)
            self.assertGreater(column(text, "frechet"), 3 * column(good, "frechet"))
            self.assertLess(column(text, "coverage"), 0.5 * column(good, "coverage"))
            self.assertGreater(column(text, "class_balance"), 0.5)

    def test_count_and_other_sizes(self):
        large = os.path.join(self.home, "large")
        os.makedirs(large)
        rng = random.Random(1)
        for i in range(30):
            small = picture(CLASSES[i % 3], rng)
            twice = [small[y // 2 * SIDE + x // 2] for y in range(16) for x in range(16)]
            with open(os.path.join(large, f"{i}.png"), "wb") as file:
                file.write(png(twice, 16))
        done = self.score(large, "--count", "20")
        self.assertIn("20 images of", done.stdout)
        self.assertGreater(column(done.stdout, "classifier_score"), 2)
        self.assertIn("large: images of 16×16 are resized to 8×8\n", done.stderr)
        with open(os.path.join(large, "wide.png"), "wb") as file:
            file.write(png([9] * 20 * 10, 20))
        self.assertIn("images of 16×16 and other sizes are cropped to squares and resized to 8×8",
                      self.score(large).stderr)

    def test_images_in_color_beside_gray_ones(self):
        colored = os.path.join(self.home, "colored")
        os.makedirs(colored)
        for name in os.listdir(self.good):
            rng = random.Random(50 + int(name[:4]))
            pixels = [level for level in picture(CLASSES[int(name[:4]) % 3], rng) for _ in range(3)]
            with open(os.path.join(colored, name), "wb") as file:
                file.write(png(pixels, channels=3))
        done = self.score(colored)
        self.assertIn("colored: images in color become gray\n", done.stderr)
        self.assertGreater(column(done.stdout, "classifier_score"), 2.5)
        self.assertNotIn("become", self.score(self.good).stderr)

    def test_damaged_image(self):
        folder = os.path.join(self.home, "damaged")
        shutil.copytree(self.good, folder)
        with open(os.path.join(folder, "0007.png"), "r+b") as file:
            file.truncate(60)
        done = self.score(folder, code=FAILED)
        self.assertRegex(done.stderr, "damaged/0007.png: .*truncated")
        self.assertNotIn("images read", done.stderr)

    def test_few_images_of_folders_of_classes(self):
        """Are of all classes, not of the first."""
        done = self.score(self.real, "--count", "60")
        self.assertEqual(column(done.stdout, "modes"), 3)

    def test_few_images(self):
        one = os.path.join(self.home, "one")
        write(one, 1, CLASSES, 3)
        self.assertIn("at least two images are needed, there is 1", self.score(one, code=FAILED).stderr)
        few = os.path.join(self.home, "few")
        write(few, 12, CLASSES, 4)
        self.assertIn("fewer than the", self.score(few).stderr)

    def test_unlabelled(self):
        done = self.brood("score", self.good, "--real", "folder", "--path", os.path.join(self.real, "cross"))
        self.assertIn("\nfrechet ", done.stdout)
        self.assertNotIn("classifier_score", done.stdout)
        self.assertIn("\nno classifier score, nor any score of classes: they are not to be had without labels",
                      done.stdout)

    def test_refusals(self):
        self.assertIn("--real DATASET is missing", self.brood("score", self.good, code=USAGE).stderr)
        self.assertIn("did you mean 'folder'?", self.brood("score", self.good, "--real", "foldr", code=USAGE).stderr)
        self.assertIn("nowhere", self.score("nowhere", code=FAILED).stderr)
        empty = os.path.join(self.home, "empty")
        os.makedirs(empty)
        self.assertIn("empty", self.score(empty, code=FAILED).stderr)
        self.assertIn("cannot be compared with points",
                      self.brood("score", self.good, "--real", "ring", code=FAILED).stderr)

    def test_cache_that_cannot_be_used(self):
        blocked = os.path.join(self.home, "blocked")
        with open(blocked, "w", encoding="utf-8") as file:
            file.write("a file where a folder should be")
        done = self.score(self.good, cache=blocked)
        self.assertIn("cannot be kept for the next time", done.stderr)
        self.assertEqual(done.stdout, self.score(self.good).stdout)
        cache = os.path.join(self.home, "cache", "brood")
        for name in os.listdir(cache):
            with open(os.path.join(cache, name), "r+b") as file:
                file.seek(-20, os.SEEK_END)
                file.write(b"damaged damaged")
        damaged = self.score(self.good)
        self.assertIn("cannot be used and is trained again", damaged.stderr)
        self.assertEqual(damaged.stdout, done.stdout)

    def test_classifier_command(self):
        text = self.brood("classifier", "folder", self.real).stdout
        self.assertRegex(text, r"(?m)^selection classifier [0-9a-f]{8} of folder: .* \(half 1\), strided, seed 1: "
                               r"accuracy [\d.]+ %")
        self.assertRegex(text, r"(?m)^report classifier [0-9a-f]{8} of folder: .* \(half 2\), mixed, seed 2: accuracy")
        self.assertIn("did you mean 'mnist'?", self.brood("classifier", "mnit", code=USAGE).stderr)


RUN = """local brood = require "brood"
local nn, loss, data = brood.nn, brood.loss, brood.data
return brood.experiment {
    name = "tiny", data = data.folder { path = "%s" }, latent = 8, batch = 8,
    generator = function()
        return nn.sequential { nn.linear { out = 64 }, nn.reshape { 8, 8, 1 }, nn.tanh {} }
    end,
    discriminator = function() return nn.sequential { nn.flatten {}, nn.linear { out = 1 } } end,
    loss = loss.non_saturating {}, rounds = 2, interval = 3,
    select = brood.metric.classifier_score { samples = 20 },
    report = { brood.metric.classifier_score { samples = 20, name = "held_out" } },
}
"""


class RunTest(Home):
    """Runs, and states of runs."""

    def test_run_and_state(self):
        script, run = os.path.join(self.home, "tiny.lua"), os.path.join(self.home, "run")
        with open(script, "w", encoding="utf-8") as file:
            file.write(RUN % self.real)
        self.brood("run", script, "--out", run)
        done = self.brood("score", run, "--count", "60")
        self.assertIn("60 images generated", done.stderr)
        by = re.search("by the report classifier (.*); the 2nd, selection classifier (.*)\n", done.stdout)
        shown = self.brood("show", run).stdout
        self.assertIn(f"\nscores by selection classifier {by[2]}, report classifier {by[1]}\n", shown)
        self.assertIn("\nreport: held_out ", shown)
        facts = json.loads(self.brood("export", run, "--json").stdout)["fact"]
        self.assertEqual(facts["report.1.kind"], "classifier_score")
        self.assertNotIn("\33", done.stderr)
        self.assertGreater(column(done.stdout, "frechet"), 0)
        state = os.path.join(run, "states", sorted(os.listdir(os.path.join(run, "states")))[0])
        self.assertIn("60 images of", self.brood("score", state, "--count", "60").stdout)
        other = self.brood("score", run, "--real", "digits", "--count", "20", code=FAILED)
        self.assertIn("makes images of 8×8×1, those of digits are 32×32×1", other.stderr)
        self.assertIn("not a state file", self.brood("score", script, code=FAILED).stderr)
        screen = self.on_a_terminal("score", run, "--count", "60")
        for step in ("60 of 60 images looked at", " measures taken: frechet", "\33[Kbrood: 60 images generated"):
            self.assertIn(step, screen)

    def on_a_terminal(self, *arguments):
        """What the program says where its standard error is a terminal."""
        ours, theirs = pty.openpty()
        subprocess.run([BROOD, *arguments], stdout=subprocess.DEVNULL, stderr=theirs, env=self.environment(),
                       check=True)
        os.close(theirs)
        screen = b""
        try:
            while more := os.read(ours, 65536):
                screen += more
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        return screen.decode()


if __name__ == "__main__":
    unittest.main()
