"""Replays the fuzz targets' seeds: what was once found stays found. The targets lie beside the program that BROOD names,
in fuzz/."""

import os
import subprocess
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = os.path.join(os.path.dirname(os.environ.get("BROOD", "build/brood")), "fuzz")


class Seeds(unittest.TestCase):
    def replay(self, name):
        folder = os.path.join(HERE, "seeds", name)
        seeds = sorted(os.path.join(folder, seed) for seed in os.listdir(folder))
        done = subprocess.run([os.path.join(TARGETS, name), *seeds], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"{len(seeds)} files replayed", done.stdout)


for folder in sorted(os.listdir(os.path.join(HERE, "seeds"))):
    setattr(Seeds, "test_" + folder, lambda self, name=folder: self.replay(name))

if __name__ == "__main__":
    unittest.main()
