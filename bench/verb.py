"""A whole run of `./orderflow bench`, from its options to what it prints and writes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.course import Course, run
from bench.place import own_place
from bench.report import text
from bench.sizes import FULL, QUICK, SECTIONS
from orderflow_cli.errors import CommandError


@dataclass(frozen=True)
class Options:
    """What was asked for; `only` are names of sections, none for all."""

    quick: bool
    rounds: int | None
    only: tuple[str, ...]
    data: Path
    output: Path


def bench(options: Options, say: Callable[[str], None]) -> tuple[dict[str, Any], str]:
    """Run it; return the document and the tables, which are also written to the output directory."""
    unknown = set(options.only) - set(SECTIONS)
    if unknown:
        raise CommandError(f"there is no section {min(unknown)!r}; these are: {', '.join(SECTIONS)}")
    size = QUICK if options.quick else FULL
    size = replace(size, rounds=options.rounds or size.rounds)
    with own_place(options.data / "stack", say) as place:
        course = Course(place, size, options.only or SECTIONS)
        run(course)
    document = {**course.document, "rounds": course.rounds, "quick": options.quick}
    table = text(document)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.output / "bench.txt").write_text(table + "\n", encoding="utf-8")
    return document, table
