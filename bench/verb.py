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
    "hot": sections.hot,
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
        course.document |= {"quick": options.quick, "machine": machine.about(place)}
        try:
            _run(course)
        finally:  # what was found before a failure took half an hour: keep it
            document = {**course.document, "rounds": course.rounds}
            options.output.mkdir(parents=True, exist_ok=True)
            words = json.dumps(document, indent=1) + "\n"
            (options.output / "bench.json").write_text(words, encoding="utf-8")
    table = text(document)
    (options.output / "bench.txt").write_text(table + "\n", encoding="utf-8")
    draw(document, options.output)
    return document, table


def _run(course: Course) -> None:
    Rounds(course).run()
    for name, section in _AFTER_THE_ROUNDS.items():
        if name in course.sections:
            course.say(f"section {name}")
            section(course)
