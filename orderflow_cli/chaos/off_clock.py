"""`python -m orderflow_cli.chaos.off_clock SECONDS MODULE …`: runs a module with its clock so many seconds off."""

import runpy
import sys
import time

import time_machine


def main() -> None:
    """Set the clock, then become the module. What Python asks for the time is answered wrongly; sleeping is not."""
    seconds, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    time_machine.travel(time.time() + float(seconds), tick=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
