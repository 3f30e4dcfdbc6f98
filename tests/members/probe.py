"""probe.py [FOLDER]: a member that tells what it finds itself in; leaves a file called "left" in FOLDER at its end."""

import json
import os
import signal
import sys
import time


def facts(hello):
    watched = sum(1 << (number - 1) for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM))
    with open("/proc/self/status") as file:
        refused = [int(line.split()[1], 16) for line in file if line.startswith(("SigBlk", "SigIgn"))]
    return {
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,  # one is the listing's own
        "leader": int(os.getpgid(0) == os.getpid()),
        "signals": int(not any(signals & watched for signals in refused)),
        "seed": int(hello["seed"] == 2**64 - 1),
        "here": int(os.path.exists("probe.py")),
    }


def main():
    hello, hyper, last_cpu = {}, {}, 0.0
    for line in sys.stdin:
        request = json.loads(line)
        command, answer = request["command"], {"id": request["id"], "of no interest": [{"to": None}]}
        if command == "quit":
            break
        if command == "hello":
            hello, hyper = request, request["hyper"]
            print("hello", file=sys.stderr, flush=True)
            answer.update(version=1, reports=sorted(facts(hello)))
        elif command == "set":
            hyper = request["hyper"]
            answer["hyper"] = hyper
        elif command == "step":
            while time.process_time() < last_cpu + 0.1 * request["steps"]:
                pass
            last_cpu = time.process_time()
        elif command == "score":
            answer.update(score=last_cpu, deviation=None if last_cpu < 0 else 0.5, reports=facts(hello))
        elif command == "save":
            with open(request["path"], "w") as file:
                file.write(json.dumps(hello["slot"]))
        print(json.dumps(answer), flush=True)
    if len(sys.argv) > 1:
        with open(os.path.join(sys.argv[1], "left"), "w"):
            pass


if __name__ == "__main__":
    main()
