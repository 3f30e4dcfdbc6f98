#!/usr/bin/env python3
"""brood fetch: only what has the right sum is kept, and of the rest only what can be read."""

import functools
import gzip
import hashlib
import http.server
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import unittest

BROOD = os.path.abspath(os.environ.get("BROOD", "build/brood"))
FINE, FAILED, USAGE = 0, 1, 2
IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(name):
    """Two images, or their labels."""
    if "images" in name:
        return struct.pack(">4I", 0x803, 2, 28, 28) + bytes(range(256)) * 6 + bytes(32)
    return struct.pack(">2I", 0x801, 2) + b"\x03\x07"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.home = folder.name, os.path.join(folder.name, "home")
        self.given = os.path.join(folder.name, "given")
        os.mkdir(self.given)

    def fetch(self, *arguments, code=FINE):
        environment = dict(os.environ, XDG_DATA_HOME=self.home, BROOD_DATA="")
        done = subprocess.run([BROOD, "fetch", *arguments], capture_output=True, text=True, cwd=self.folder,
                              check=False, env=environment, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def give(self, name, content):
        path = os.path.join(self.given, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def kept(self):
        base = os.path.join(self.home, "brood")
        return sorted(os.path.relpath(os.path.join(at, name), base) for at, _, names in os.walk(base)
                      for name in names)

    def refused(self, *arguments):
        before = self.kept()
        done = self.fetch(*arguments, code=FAILED)
        self.assertIn("nothing was kept", done.stderr)
        self.assertNotIn("traceback", done.stderr)
        self.assertEqual(self.kept(), before)
        self.assertFalse([name for name in os.listdir(os.path.join(self.home, "brood"))
                          if name.startswith(".fetch")])
        return done.stderr


class Names(Case):
    def test_unknown_ones(self):
        self.assertIn("there is no data set 'cifer10': did you mean 'cifar10'?",
                      self.fetch("cifer10", code=USAGE).stderr)
        self.assertIn("there are cifar10, fashion_mnist, mnist", self.fetch("imagenet", code=USAGE).stderr)
        self.fetch(code=USAGE)


class Folders(Case):
    def test_unpacked_files_are_unverified(self):
        for name in IDX:
            self.give(name, idx(name))
        done = self.fetch("fashion-mnist", "--from", self.given)
        self.assertIn("unverified: no sums are known", done.stdout)
        self.assertIn("fashion_mnist: 2 training images", done.stdout)
        self.assertEqual(self.kept(), sorted(f"fashion_mnist/{name}" for name in IDX))
        check = "print(require 'brood'.data.fashion_mnist { split = 'test' })"
        done = subprocess.run([BROOD, "lua", "-"], input=check, capture_output=True, text=True, check=False,
                              cwd=self.folder, env=dict(os.environ, XDG_DATA_HOME=self.home, BROOD_DATA=""))
        self.assertIn("2 test images", done.stdout, done.stderr)

    def test_cifar_as_unpacked(self):
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        for name in names:
            self.give("cifar-10-batches-bin/" + name, (b"\x04" + bytes(3072)) * 3)
        done = self.fetch("cifar10", "--from", self.given)
        self.assertIn("unverified", done.stdout)
        self.assertIn("cifar10: 15 training images", done.stdout)
        self.assertEqual(self.kept(), sorted(f"cifar10/cifar-10-batches-bin/{name}" for name in names))
        self.give("cifar-10-batches-bin/test_batch.bin", b"\x0b" + bytes(3072))
        self.refused("cifar10", "--from", self.given)

    def test_what_has_a_sum_must_have_it(self):
        for name in IDX:
            self.give(name, idx(name))
        self.assertIn("its SHA-256 sum is", self.refused("mnist", "--from", self.given))
        for name in IDX:
            self.give(name + ".gz", gzip.compress(idx(name)))
        said = self.refused("fashion_mnist", "--from", self.given)
        self.assertIn("its MD5 sum is", said)
        self.assertIn("expected is 8d4fb7e6c68d591d4c3dfef9ec88bf0d", said)

    def test_garbage(self):
        for name in IDX:
            self.give(name, b"no images")
        self.assertIn("train-images-idx3-ubyte", self.refused("fashion-mnist", "--from", self.given))

    def test_what_is_not_there(self):
        self.assertIn("it has neither train-images-idx3-ubyte.gz nor train-images-idx3-ubyte",
                      self.refused("mnist", "--from", self.given))
        self.assertIn("there is no such folder", self.refused("mnist", "--from", "nowhere"))

    def test_real_ones(self):
        real = os.environ.get("BROOD_DATA", "")
        if not os.path.exists(os.path.join(real, IDX[0] + ".gz")):
            self.skipTest("BROOD_DATA has no MNIST")
        self.assertIn("mnist: 60,000 training images", self.fetch("mnist", "--from", real).stdout)
        self.assertEqual(self.kept(), sorted(f"mnist/{name}.gz" for name in IDX))
        for name in IDX:
            shutil.copy(os.path.join(real, name + ".gz"), self.given)
        with open(os.path.join(self.given, IDX[0] + ".gz"), "r+b") as file:
            file.seek(1000000)
            file.write(b"damage")
        before = hashlib.sha256(open(os.path.join(self.home, "brood/mnist", IDX[0] + ".gz"), "rb").read())
        self.refused("mnist", "--from", self.given)
        after = hashlib.sha256(open(os.path.join(self.home, "brood/mnist", IDX[0] + ".gz"), "rb").read())
        self.assertEqual(before.digest(), after.digest())
        self.fetch("mnist", "--from", "file://" + real)

    def test_nothing_is_read_in_the_place_of_what_was_fetched(self):
        for name in IDX:
            self.give(name, idx(name))
        old = os.path.join(self.home, "brood/fashion_mnist")
        os.makedirs(old)
        for name in ("train.images-idx3-ubyte", IDX[0].replace("-idx", ".idx"), IDX[1] + ".gz"):
            shutil.copy(os.path.join(self.given, IDX[0]), os.path.join(old, name))
        done = self.fetch("fashion-mnist", "--from", self.given)
        self.assertEqual(done.stdout.count("removed "), 2)
        self.assertIn(f"removed {old}/{IDX[1]}.gz: it would be read", done.stdout)
        self.assertEqual(self.kept(), sorted(f"fashion_mnist/{name}" for name in
                                             (*IDX, "train.images-idx3-ubyte")))  # which is something else
        before = os.path.join(self.home, "brood/cifar-10-batches-bin/test_batch.bin")  # looked in before cifar10/
        os.makedirs(os.path.dirname(before))
        for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
            self.give(name, (b"\x04" + bytes(3072)) * 3)
        shutil.copy(os.path.join(self.given, "test_batch.bin"), before)
        self.assertIn(f"removed {before}", self.fetch("cifar10", "--from", self.given).stdout)
        self.assertFalse(os.path.exists(before))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


class Addresses(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("curl"):
            self.skipTest("there is no curl")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=self.given))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.address = f"http://127.0.0.1:{server.server_port}"

    def test_a_wrong_sum(self):
        for name in IDX:
            self.give(name + ".gz", gzip.compress(idx(name)))
        said = self.refused("mnist", "--from", self.address)
        self.assertIn(f"{self.address}/train-images-idx3-ubyte.gz: ", said)
        self.assertIn("its SHA-256 sum is", said)
        self.assertNotIn("curl has failed", said)  # there is no second place to try

    def test_what_is_not_there(self):
        said = self.refused("cifar10", "--from", self.address + "/")
        self.assertEqual(said.count("curl has failed"), 1, said)
        self.assertIn(f"{self.address}/cifar-10-binary.tar.gz: curl has failed (exit code 22)", said)


if __name__ == "__main__":
    unittest.main(verbosity=0)
