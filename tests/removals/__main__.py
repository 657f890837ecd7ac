"""`python -m tests.removals`: take each safety mechanism out of a copy of the tree; a test must fail.

Shows that every mechanism is held by a test, and not only by its author's word. Each trial runs one test, first on
the untouched copy, where it must pass, then without the mechanism, where it must fail by an assertion. The status
is 1 if a mechanism can be taken out unnoticed. The tests start servers of their own; all trials take minutes.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from tests.removals.table import REMOVALS
from tests.removals.trial import Inapplicable, Removal, Result, Tree, copied_tree

_WIDEST = 100


def main() -> int:
    """Run the trials that the command line names, all by default; return the exit status."""
    options = _options()
    chosen = [each for each in REMOVALS if options.only in (None, each.name)]
    if not chosen:
        print(f"there is no {options.only}: see --list", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{each.name:24} {each.mechanism}" for each in chosen))
        return 0
    began = time.monotonic()
    with copied_tree() as tree:
        survivors = _try_all(tree, chosen)
    print(f"\n{len(chosen) - survivors} of {len(chosen)} removals were noticed, {_since(began)}")
    return 1 if survivors else 0


def _try_all(tree: Tree, chosen: Sequence[Removal]) -> int:
    """Print the table; return how many mechanisms could be taken out unnoticed."""
    tests = sorted({each.test for each in chosen})
    began = time.monotonic()
    untouched = dict(zip(tests, tree.run(tests), strict=True))
    print(f"the {len(tests)} tests on the untouched tree: {_since(began)}\n")
    print("| mechanism | what was taken out | test that fails | how it failed |")
    print("|---|---|---|---|")
    survivors = 0
    for removal in chosen:
        noticed, how = _try(tree, removal, untouched[removal.test])
        survivors += not noticed
        print(f"| {removal.mechanism} | {removal.taken_out} | `{removal.test_name}` | {how} |", flush=True)
    return survivors


def _try(tree: Tree, removal: Removal, untouched: Result) -> tuple[bool, str]:
    """Return whether a removal was noticed, and how."""
    if not untouched.passed:
        return False, f"**no trial**: the test does not pass as it is ({_cell(untouched.how)})"
    try:
        with tree.without(removal):
            [result] = tree.run([removal.test])
    except Inapplicable as error:
        return False, f"**no trial**: {_cell(str(error))}"
    if result.failed:
        return True, f"`{_cell(result.how)}`"
    return False, f"**not noticed**: {_cell(result.how)}"


def _cell(text: str) -> str:
    flat = " ".join(text.split()).replace("|", "/").replace("`", "'")
    return flat if len(flat) <= _WIDEST else f"{flat[:_WIDEST]}…"


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.removals", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="one removal by its name")
    parser.add_argument("--list", action="store_true", help="show the names and end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
