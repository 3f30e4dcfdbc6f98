"""rogue.py MISDEED:COMMAND ...: the toy, but the member in slot 1 does the first misdeed when it is told the command,
the one in slot 2 the second, and so on: from its slot's second interval on, or at once in hello and load."""

import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/programs"))
import toy


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def hang():
    while True:
        time.sleep(1)


def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()


def die(status, words=""):
    sys.stderr.write(words)
    sys.stderr.flush()
    os._exit(status)


def leave_child():
    """Ends, and leaves its pipes to a stubborn child, which can be told by the number of who started it all."""
    import subprocess  # takes its time, and few need it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)", f"left by {os.getppid()}"])
    die(4, "left a child\n")


def deaf(right):
    os.close(0)
    say(json.dumps(right) + "\n")
    die(5)


def endless():
    while True:
        say("x" * 65536)


def change(**fields):
    """An answer, but for some fields; None takes them away."""
    def answer(right):
        for name, value in fields.items():
            right[name] = value
            if value is None:
                del right[name]
        say(json.dumps(right) + "\n")
    return answer


def wrong_hyper(**fields):
    def answer(right):
        right["hyper"] = dict(right["hyper"], **fields)
        say(json.dumps(right) + "\n")
    return answer


def wordy(right):
    """Much on standard error is no misdeed."""
    sys.stderr.write("words, words, words\n" * 100000)
    sys.stderr.flush()
    say(json.dumps(right) + "\n")


# Called with the right answer, in the place of saying it.
MISDEEDS = {
    "hang": lambda right: hang(),
    "stubborn": lambda right: stubborn(),
    "exit": lambda right: die(3, "Traceback\nValueError: the loss of step 7 is odd\n\n"),
    "leave": lambda right: die(0),
    "killed": lambda right: os.kill(os.getpid(), signal.SIGKILL),
    "leave_child": lambda right: leave_child(),
    "rubbish": lambda right: say("Epoch 1/10: \x1b[31mloss\x1b[0m 0.5 \u00e9\u00df\n" + "y" * 10),
    "empty": lambda right: say("\n"),
    "array": lambda right: say("[1, 2]\n"),
    "two": lambda right: say(json.dumps(right) + json.dumps(right) + "\n"),
    "binary": lambda right: (sys.stdout.buffer.write(b"\xff\xfe\x00\x01\n"), sys.stdout.flush()),
    "deep": lambda right: say("{\"a\":" * 5000 + "1" + "}" * 5000 + "\n"),
    "endless": lambda right: endless(),
    "deaf": deaf,
    "mute": lambda right: (os.close(1), hang()),
    "nan": change(score=float("nan")),
    "infinite": lambda right: say("{\"id\": %d, \"score\": 1e999}\n" % right["id"]),
    "no_score": change(score=None),
    "text_score": change(score="high"),
    "bad_deviation": change(deviation=[1]),
    "no_reports": change(reports=None),
    "no_id": change(id=None),
    "old_id": change(id=1),
    "twice": lambda right: (say(json.dumps(right) + "\n"), say(json.dumps(right) + "\n")),
    "error": change(error="the learning rate is too high\nfor me"),
    "long_error": change(error="\u00e9" * 1000),
    "odd_error": change(error=42),
    "version": change(version=2),
    "no_version": change(version=None),
    "no_save": change(save=False),
    "other_reports": change(reports=["loss"]),
    "wrong_hyper": wrong_hyper(h0=77.5),
    "text_hyper": wrong_hyper(h0="0.5"),
    "no_hyper": change(hyper=None),
    "wordy": wordy,
    "forget": lambda right: say(json.dumps(right) + "\n"),  # see Rogue.load
    "other_name": lambda right: say(json.dumps(right) + "\n"),  # see Rogue.obey
}


class Rogue(toy.Toy):
    def __init__(self, misdeeds):
        super().__init__()
        self.misdeeds, self.misdeed, self.command, self.trained = misdeeds, None, None, False

    def hello(self, request):
        if 1 <= request["slot"] <= len(self.misdeeds):
            self.misdeed, self.command = self.misdeeds[request["slot"] - 1].split(":")
        return super().hello(request)

    def step(self, request):
        self.trained = self.trained or request["first"] > 0
        return super().step(request)

    def load(self, request):
        return {} if self.misdeed == "forget" else super().load(request)

    def obey(self, request):
        right = self.answer(request)
        early = request["command"] in ("hello", "load")
        if request["command"] != self.command or not (self.trained or early):
            say(json.dumps(right) + "\n")
        elif self.misdeed == "other_name":
            os.rename(request["path"], request["path"] + ".npz")
            say(json.dumps(right) + "\n")
        else:
            MISDEEDS[self.misdeed](right)


def main():
    rogue = Rogue(sys.argv[1:])
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "quit":
            break
        rogue.obey(request)


if __name__ == "__main__":
    main()
