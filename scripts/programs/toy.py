#!/usr/bin/env python3
"""The toy of figure 2 in Jaderberg et al. 2017 (arXiv 1711.09846), as a program that Brood trains.

Weights t0 and t1 climb 1.2 - (h0 t0^2 + h1 t1^2); the score is 1.2 - (t0^2 + t1^2), so that a member does well
only if h0 and h1 both had their turn. All of the protocol is here, in the open: PROTOCOL.md explains it, and
member.py has it ready-made for trainers written in Python."""

import json
import sys

RATE = 0.01


class Toy:
    def __init__(self):
        self.theta, self.h = [0.9, 0.9], {}

    def hello(self, _):
        return {"version": 1, "reports": ["theta"], "save": True}

    def set(self, request):
        self.h = request["hyper"]
        return {"hyper": self.h}

    def step(self, request):
        for _ in range(request["steps"]):
            for i, name in enumerate(("h0", "h1")):
                self.theta[i] += RATE * -2 * self.h[name] * self.theta[i]
        return {}

    def score(self, _):
        t0, t1 = self.theta
        return {"score": 1.2 - (t0 * t0 + t1 * t1), "reports": {"theta": t0}}

    def save(self, request):
        with open(request["path"], "w") as file:
            json.dump(self.theta, file)
        return {}

    def load(self, request):
        with open(request["path"]) as file:
            self.theta = json.load(file)
        return {}

    def answer(self, request):
        try:
            answer = getattr(self, request["command"])(request)
        except (OSError, ValueError, KeyError, AttributeError) as error:
            answer = {"error": str(error)}
        return {"id": request["id"], **answer}


def main():
    toy = Toy()
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "quit":
            break
        print(json.dumps(toy.answer(request)), flush=True)


if __name__ == "__main__":
    main()
