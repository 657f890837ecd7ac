"""Run the model check and print what it looked at: `python -m tests.model`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # its neighbours are no package: pytest imports them by name

from check import check


def main() -> int:
    """Return 1 if a promise is broken."""
    done = check()
    print(f"{'search':<42}{'states':>10}{'transitions':>13}{'seconds':>9}")
    for name, report in done.reports.items():
        print(f"{name:<42}{report.states:>10,}{report.transitions:>13,}{report.seconds:>9.1f}")
    print(f"steps of the real handlers: {done.steps:,}")
    print(f"reasons for which the order was cancelled: {', '.join(sorted(done.reasons))}")
    print(done.broken or "every promise holds in every state, and every state comes to rest")
    return 1 if done.broken else 0


if __name__ == "__main__":
    sys.exit(main())
