"""What is printed: the document, as tables for a reader."""

from collections.abc import Iterator
from typing import Any

_GOALS = {
    "saga_vs_naive": "at least 3",
    "saga_vs_faststream": "at least 1.3",
    "saga_vs_dbos": "at least 8",
    "intake_vs_bare": "at least 0.4",
    "hot_vs_spread": "at least 1",
    "drain_vs_steady": "at least 1",
    "million_vs_fresh": "at least 0.9",
    "quota_half_vs_one": "0.8 to 1.2",
    "quota_two_vs_one": "0.8 to 1.2",
}
"""What each ratio is to reach."""
_BARE = "bare-flask"
NOISE_CORES = 0.15
"""More CPU than this for others, and a turn is no fair one."""


def text(document: dict[str, Any]) -> str:
    """Return the document as tables, one after another."""
    parts = (_systems, _costs, _times, _ratios, _quotas, _memory, _noise)
    return "\n".join(line for part in parts for line in part(document))


def _systems(document: dict[str, Any]) -> Iterator[str]:
    yield f"{'whole saga':<16}{'orders/s':>10}{'CPU ms':>9}{'p50 ms':>9}{'p99 ms':>9}  does not guarantee"
    yield from (
        _system(name, each)
        for name, each in {"orderflow": document, **document.get("contenders", {})}.items()
        if name != _BARE
    )
    bare = document.get("contenders", {}).get(_BARE, {})
    for name, rate in (("orderflow", document.get("intake_per_s")), (_BARE, bare.get("orders_per_s"))):
        if rate:
            yield f"intake alone, {name}: {rate} orders/s"


def _system(name: str, each: dict[str, Any]) -> str:
    if "orders_per_s" not in each:
        return f"{name:<16}failed: {each['failed']}"
    low = each.get("confirmed_ms", {}).get("low") or {"p50": "-", "p99": "-"}
    left = f"; {each['unfinished']} unfinished" if each.get("unfinished") else ""
    wrong = "; wrong: " + each["wrong"][0] if each.get("wrong") else ""
    cpu = each["cpu_ms_per_order"]["total"]
    numbers = f"{each['orders_per_s']:>10}{cpu:>9.2f}{low['p50']:>9}{low['p99']:>9}"
    return f"{name:<16}{numbers}  {each.get('does_not_guarantee', '')}{left}{wrong}".rstrip()


def _costs(document: dict[str, Any]) -> Iterator[str]:
    yield from ("", "CPU ms an order, by kind of process:")
    yield from (f"  {kind:<12}{ms:8.3f}" for kind, ms in document["cpu_ms_per_order"].items())
    yield from (f"  {kind:<12}{ms:8.3f}  apart" for kind, ms in document["apart"].items())


def _times(document: dict[str, Any]) -> Iterator[str]:
    words = {
        "confirmed_ms": "202 to confirmed",
        "intake_ms": "the 202 itself, nothing else at work",
        "intake_during_saga_ms": "the 202 itself, while the saga runs",
    }
    for key, what in words.items():
        if key in document:
            yield from ("", f"{what}, ms (open loop):")
            for load, times in document[key].items():
                yield f"  {load:<8} p50 {times['p50']:>8}   p99 {times['p99']:>8}"


def _ratios(document: dict[str, Any]) -> Iterator[str]:
    if document.get("ratios"):
        yield from ("", "ratios:")
        for name, value in document["ratios"].items():
            yield f"  {name:<20}{value if value is not None else '-':>8}   {_GOALS.get(name, '')}".rstrip()


def _quotas(document: dict[str, Any]) -> Iterator[str]:
    if "quotas" in document:
        yield from ("", "orders/s by cores for the whole stack:")
        yield from (f"  {cores:<8}{rate}" for cores, rate in document["quotas"].items())


def _memory(document: dict[str, Any]) -> Iterator[str]:
    if "memory" in document:
        yield from ("", "memory in MB (proportional):")
        for name, each in document["memory"].items():
            held = "  ".join(f"{key} {value}" for key, value in each.items())
            yield f"  {name:<20}{held}"
        yield f"connections to PostgreSQL: {document['connections']}"


def _noise(document: dict[str, Any]) -> Iterator[str]:
    most = max((turn["elsewhere_cores"] for turn in document.get("rounds", [])), default=0.0)
    if most > NOISE_CORES:
        yield from ("", f"others on this machine used up to {most:.1f} cores during a turn: rough figures")
