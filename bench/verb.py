"""A whole run of `./orderflow bench`, from its options to what it prints and writes."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import machine, memory, sections
from bench.course import Course
from bench.place import own_place
from bench.plots import draw
from bench.report import text
from bench.rounds import Rounds
from bench.sizes import FULL, QUICK, SECTIONS, Size
from orderflow_cli.errors import CommandError

_AFTER_THE_ROUNDS: dict[str, Callable[[Course], None]] = {
    "latency": sections.latency,
    "intake": sections.intake,
    "backlog": sections.backlog,
    "quotas": sections.quotas,
    "memory": memory.memory,
    "million": sections.million,
}


@dataclass(frozen=True)
class Options:
    """What was asked for; `only` are names of sections, none for all."""

    quick: bool
    rounds: int | None
    only: tuple[str, ...]
    data: Path
    output: Path


def bench(
    options: Options, say: Callable[[str], None], size: Size | None = None
) -> tuple[dict[str, Any], str]:
    """Run it; return the document and the tables, which are also written to the output directory."""
    unknown = set(options.only) - set(SECTIONS)
    if unknown:
        raise CommandError(f"there is no section {min(unknown)!r}; these are: {', '.join(SECTIONS)}")
    size = size or (QUICK if options.quick else FULL)
    size = replace(size, rounds=options.rounds or size.rounds)
    with own_place(options.data / "stack", say) as place:
        course = Course(place, size, options.only or SECTIONS)
        Rounds(course).run()
        for name, section in _AFTER_THE_ROUNDS.items():
            if name in course.sections:
                say(f"section {name}")
                section(course)
        about = machine.about(place)
    document = {**course.document, "rounds": course.rounds, "machine": about, "quick": options.quick}
    return document, _write(document, options.output)


def _write(document: dict[str, Any], folder: Path) -> str:
    """Write the document, the tables and the plots; return the tables."""
    table = text(document)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / "bench.txt").write_text(table + "\n", encoding="utf-8")
    draw(document, folder)
    return table
