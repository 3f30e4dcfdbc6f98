"""A small population of GANs on points of the plane, for the tests of what becomes of populations."""

import os
import random
import shutil
import subprocess
import time

from case import BROOD, FAILED, FINE, Case

RING = """local brood = require "brood"
local nn, loss, optim, data, pbt, metric = brood.nn, brood.loss, brood.optim, brood.data, brood.pbt, brood.metric
return brood.experiment {
    name = "ring", data = data.ring {}, latent = 4, batch = 16,
    generator = function() return nn.sequential { nn.linear { out = 8 }, nn.relu {}, nn.linear { out = 2 } } end,
    discriminator = function()
        return nn.sequential { nn.linear { out = 8 }, nn.leaky_relu { slope = 0.2 }, nn.linear { out = 1 } }
    end,
    loss = loss.non_saturating { r1 = "gamma" },
    g_optimizer = optim.adam { lr = "g_lr", beta1 = 0.5 }, d_optimizer = optim.adam { lr = "d_lr", beta1 = 0.5 },
    hyper = {
        g_lr = pbt.log_uniform(1e-4, 1e-1), d_lr = pbt.log_uniform(1e-4, 1e-1), gamma = pbt.log_uniform(0.01, 10),
    },
    population = 4, rounds = 6, interval = 20, seed = 3,
    exploit = pbt.truncation { bottom = 0.25, top = 0.25 },
    select = metric.modes_score { samples = 300 }, report = { metric.modes_score { samples = 200 } },
    MORE
}
"""


def ring(more="", **fields):
    """The script, with fields set to other values."""
    text = RING.replace("MORE", more)
    for name, value in fields.items():
        lines = [line for line in text.splitlines() if f" {name} = " in line]
        assert len(lines) == 1, name
        before, after = lines[0].split(f" {name} = ", 1)
        depth, end = 0, 0
        while depth or after[end] != ",":
            depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(after[end], 0)
            end += 1
        text = text.replace(lines[0], f"{before} {name} = {value}{after[end:]}")
    return text


class PopulationCase(Case):
    def run_ring(self, run, *arguments, code=FINE, script="ring.lua", more="", **fields):
        return self.brood("run", self.write(script, ring(more, **fields)), "--out", run, *arguments, code=code)

    def fails_in_script(self, *arguments):
        return self.brood(*arguments, code=FAILED).stderr

    def kinds(self, run):
        """How often each kind of event happened."""
        counts = {}
        for event in self.store(run)["event"]:
            counts[event["kind"]] = counts.get(event["kind"], 0) + 1
        return counts

    def values(self, run, slot, round_):
        return {row["name"]: row["value"] for row in self.store(run)["value"]
                if (row["slot"], row["round"]) == (slot, round_)}

    def start(self, *arguments, **options):
        return subprocess.Popen([BROOD, *arguments], cwd=self.folder, env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def killed(self, seconds, *arguments):
        """Runs brood, and kills it (SIGKILL) after so many seconds. Whether it came to its end before that, or was there
        already: it may have been killed while it drew its last pictures."""
        process = self.start(*arguments)
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return False
        done = process.returncode == FINE or "rounds are done" in errors
        self.assertTrue(done, output + errors)
        return True

    def begin_or_resume(self, script, run, *options):
        """What brings the run to its end: nothing is lost where it had not begun."""
        if os.path.exists(self.path(run)) and not os.path.exists(self.path(run, "script.lua")):
            shutil.rmtree(self.path(run))
        if os.path.exists(self.path(run)):
            return ["resume", run, *options]
        return ["run", script, "--out", run, *options]

    def has_begun(self, run):
        if not os.path.exists(self.path(run, "run.db")):
            return False
        done = subprocess.run([BROOD, "export", run, "--json"], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            self.assertIn("it was ended before it had begun", done.stderr)
        return done.returncode == FINE

    def kill_until_done(self, script, run, longest, seed, *options):
        """Begins a run and kills it at random instants, over and over, until it is done; how often it was killed."""
        draw, kills = random.Random(seed), 0
        while not self.killed(draw.uniform(0, longest), *self.begin_or_resume(script, run, *options)):
            kills += 1
            longest *= 1.02  # an end is certain, also on a machine that has other things to do
        return kills

    def timed(self, *arguments):
        start = time.monotonic()
        self.brood(*arguments)
        return time.monotonic() - start
