"""What the tests of the command line share: a folder for each, the program, pictures, and what a run's store holds."""

import json
import os
import struct
import subprocess
import tempfile
import unittest
import zlib

BROOD = os.path.abspath(os.environ.get("BROOD", "build/brood"))
FINE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # runs sync what they write, which takes time


def png(path):
    """(width, height, rows of bytes) of a grey or RGB PNG."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    place, packed = 8, b""
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        body = data[place + 8:place + 8 + length]
        if kind == b"IHDR":
            width, height, _, color = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        place += 12 + length
    stride, step, flat = width * (3 if color == 2 else 1), 3 if color == 2 else 1, zlib.decompress(packed)
    rows, above = [], bytearray(stride)
    for y in range(height):
        kind, line = flat[y * (stride + 1)], bytearray(flat[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride):
            left, up = line[x - step] if x >= step else 0, above[x]
            corner = above[x - step] if x >= step else 0
            guess = left + up - corner
            near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            line[x] = (line[x] + (0, left, up, (left + up) // 2, near)[kind]) & 255
        rows.append(bytes(line))
        above = line
    return width, height, rows


def tile(picture, row, column, side=64, margin=2):
    """The bytes of one image of a grey grid."""
    top, left = margin + row * (side + margin), margin + column * (side + margin)
    return b"".join(line[left:left + side] for line in picture[2][top:top + side])


class Case(unittest.TestCase):
    environment = dict(os.environ, PATH="")  # no gnuplot: plots take longer than all the rest

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w" if isinstance(text, str) else "wb") as file:
            file.write(text)
        return self.path(name)

    def read(self, *names):
        with open(self.path(*names), encoding="utf-8") as file:
            return file.read()

    def bytes(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def brood(self, *arguments, code=FINE, **options):
        options.setdefault("env", self.environment)
        done = subprocess.run([BROOD, *arguments], capture_output=True, text=True, cwd=self.folder, check=False,
                              stdin=subprocess.DEVNULL, timeout=120, **options)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def fails(self, *arguments, code=FAILED):
        """What is said when it fails, as a failure of the command and not of a script."""
        done = self.brood(*arguments, code=code)
        self.assertTrue(done.stderr.startswith("brood: "), done.stderr)
        self.assertNotIn("traceback", done.stderr)
        return done.stderr

    def export(self, run, *options):
        """All numbers of a run that its script and seed determine, as text."""
        return self.brood("export", run, "--json", *options).stdout

    def store(self, run, *options):
        return json.loads(self.export(run, *options))

    def round(self, run):
        return self.store(run)["round"][-1]["round"]

    def standing(self, run, slot=0):
        """A member at the end."""
        return [row for row in self.store(run)["standing"] if row["slot"] == slot][-1]

    def hash(self, run, slot=0):
        return self.standing(run, slot)["state"]
