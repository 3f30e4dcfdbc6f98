"""Makes a trainer written in Python a member of a Brood population: member.serve(Trainer) speaks the protocol of
PROTOCOL.md until Brood is done, where Trainer is a class like this one.

    class Trainer:
        reports = ["loss"]                        # names of its report scores
        def __init__(self, seed, slot, hyper): ...
        def set(self, hyper): ...                 # from the next step on; returns what it now trains with
        def step(self, first, steps): ...         # steps first .. first + steps - 1
        def score(self): ...                      # {"score": s, "deviation": d, "reports": {"loss": l}}
        def save(self, path): ...                 # all but the hyperparameters, the same bytes for the same state
        def load(self, path): ...

What is printed, by the trainer or by a library, goes to standard error, and so to the run's programs/ folder. An
exception is a failed member, and its traceback goes there too."""

import json
import os
import sys
import traceback

VERSION = 1


def do(trainer_class, trainer, command, request):
    """The trainer and its answer."""
    if command == "hello":
        trainer = trainer_class(request["seed"], request["slot"], request["hyper"])
        return trainer, {"version": VERSION, "reports": list(trainer.reports), "save": True}
    if command == "set":
        return trainer, {"hyper": trainer.set(request["hyper"])}
    if command == "step":
        trainer.step(request["first"], request["steps"])
    elif command == "score":
        return trainer, trainer.score()
    elif command == "save":
        trainer.save(request["path"])
    elif command == "load":
        trainer.load(request["path"])
    else:
        raise ValueError(f"there is no command {command}")
    return trainer, {}


def serve(trainer_class):
    trainer = None
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for line in sys.stdin:
            request = json.loads(line)
            if request["command"] == "quit":
                return
            try:
                trainer, answer = do(trainer_class, trainer, request["command"], request)
                text = json.dumps({"id": request["id"], **answer})
            except Exception as error:  # whatever it is, it is the member's own
                traceback.print_exc()
                text = json.dumps({"id": request["id"], "error": f"{type(error).__name__}: {error}"})
            print(text, file=answers, flush=True)
