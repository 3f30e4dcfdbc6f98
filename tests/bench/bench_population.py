#!/usr/bin/env python3
"""What a population costs beside its members' training steps: bench_population.py [SCRIPT].

Runs the experiment (scripts/experiments/mnist.lua, or digits.lua where MNIST is missing) for a few rounds and prints
the share of the time that is not spent in training steps, how much faster two workers are than one, and the memory of
a population of 45. Ratios, no verdict; a machine that is busy with other things makes all of them worse."""

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile

BROOD = os.path.abspath(os.environ.get("BROOD", "build/brood"))


def brood(*words):
    done = subprocess.run([BROOD, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.stderr.decode())
    return done.stdout.decode()


def rounds_of(directory):
    """Wall seconds of each round, as the log's table has them; there may be alarms between its lines."""
    with open(os.path.join(directory, "log.txt"), encoding="utf-8") as log:
        lines = [line.split() for line in log]
    start = next(i for i, words in enumerate(lines) if words[-1:] == ["seconds"])
    table = itertools.takewhile(bool, lines[start + 1:])
    return [float(words[-1]) for words in table if words[0].isdigit()]


def run(script, directory, *options):
    """(wall seconds, CPU seconds of training, scoring, saving) of a run's rounds after the first."""
    brood("run", script, "--out", directory, *options)
    ledger = json.loads(brood("export", directory, "--json", "--ledger"))["ledger"]
    later = [row for row in ledger if row["round"] > 1]
    return (sum(rounds_of(directory)[1:]), *(sum(row[what] for row in later)
                                              for what in ("training", "scoring", "saving")))


def main():
    script = sys.argv[1] if len(sys.argv) > 1 else "scripts/experiments/mnist.lua"
    if len(sys.argv) < 2 and subprocess.run([BROOD, "check", script], stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL, check=False).returncode:
        script = "scripts/experiments/digits.lua"
    print(f"{script}: rounds 2 to 4, wall seconds; CPU seconds of training, scoring, saving")
    with tempfile.TemporaryDirectory() as folder:
        walls = {}
        for workers in (1, 2):
            wall, training, scoring, saving = run(script, os.path.join(folder, str(workers)), "--rounds", "4",
                                                  "--workers", str(workers))
            walls[workers] = wall
            print(f"  {workers} worker{'s' if workers > 1 else ' '}  {wall:6.1f} s   {training:6.1f} {scoring:6.1f} "
                  f"{saving:6.2f}   not in training steps: {100 * (1 - training / (workers * wall)):.1f} %")
        print(f"two workers against one: {walls[1] / walls[2]:.2f}")
        run(script, os.path.join(folder, "45"), "--rounds", "2", "--set", "population=45", "--set", "interval=2")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"population of 45: {peak / 1024:.0f} MB resident at the most")


if __name__ == "__main__":
    main()
