"""`python -m local_stack --data DIR …`: the supervisor's process, started by `./orderflow up`."""

import argparse
import json
import os
import sys
import threading
from pathlib import Path

from local_stack import leftovers, state
from local_stack.control import Listener
from local_stack.requests import Requests
from local_stack.stack import Stack


def main() -> int:
    """Supervise until told to end; 3 if another supervisor has this directory."""
    options = _options()
    lock = leftovers.Lock(options.data)
    if not lock.take():
        return 3
    ended = leftovers.clean(options.data)
    if ended:
        print(f"ended what an earlier stack had left: {ended}", flush=True)
    os.environ[leftovers.MARK] = str(options.data)  # handed down to all that we start
    memory = state.load(options.data)
    memory.port = options.port
    memory.scale = json.loads(options.scale)
    memory.concurrency = options.concurrency
    memory.faulty = options.fault_proxy
    state.save(options.data, memory)
    stack = Stack(options.data, memory, seeded=not options.no_seed)
    listener = Listener(options.data, Requests(stack).answer)
    if options.attached:
        threading.Thread(target=_end_with_parent, args=(stack,), daemon=True).start()
    try:
        return stack.supervisor.run()
    finally:
        listener.close()


def _end_with_parent(stack: Stack) -> None:
    """End the stack with `./orderflow up`, which holds the other end of our standard input."""
    while os.read(0, 1):
        pass
    stack.supervisor.end()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_stack", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--scale", default="{}", help="JSON: how many of each")
    parser.add_argument("--concurrency", type=int)
    parser.add_argument("--no-seed", action="store_true")
    parser.add_argument("--fault-proxy", action="store_true", help="let faults in: see orderflow_cli.chaos")
    parser.add_argument("--attached", action="store_true", help="end when standard input ends")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
