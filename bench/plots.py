"""Three plots of a run, each as PNG and SVG: rates, CPU of an order by kind of process, and times."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

_SHADES = (
    "#1b6ca8",
    "#4a9bd4",
    "#8fc1e3",
    "#f2a65a",
    "#d95d39",
    "#7a9e7e",
    "#b8c480",
    "#8d6b94",
    "#c9b1bd",
    "#999999",
)


def draw(document: dict[str, Any], folder: Path) -> None:
    """Draw what the document has."""
    systems = {"orderflow": document, **document.get("contenders", {})}
    whole = {name: each for name, each in systems.items() if name != "bare-flask" and "orders_per_s" in each}
    _save(_rates(whole), folder, "rates")
    _save(_cpu(whole), folder, "cpu")
    if "confirmed_ms" in document:
        _save(_times(document), folder, "times")


def _rates(systems: dict[str, dict[str, Any]]) -> Any:
    figure, axes = plt.subplots(figsize=(7, 1 + 0.5 * len(systems)))
    bars = axes.barh(list(systems), [each["orders_per_s"] for each in systems.values()], color=_SHADES[0])
    axes.bar_label(bars, padding=3)
    axes.margins(x=0.12)  # room for the numbers
    axes.set_xlabel("orders a second, POST to the end (closed loop, median)")
    axes.invert_yaxis()
    return figure


def _cpu(systems: dict[str, dict[str, Any]]) -> Any:
    figure, axes = plt.subplots(figsize=(7, 1.5 + 0.5 * len(systems)))
    kinds = [
        kind
        for kind in dict.fromkeys(kind for each in systems.values() for kind in each["cpu_ms_per_order"])
        if kind != "total"
    ]
    left = dict.fromkeys(systems, 0.0)
    for kind, shade in zip(kinds, _SHADES * 2, strict=False):
        widths = [each["cpu_ms_per_order"].get(kind, 0.0) for each in systems.values()]
        axes.barh(list(systems), widths, left=list(left.values()), label=kind, color=shade)
        left = {name: left[name] + width for name, width in zip(systems, widths, strict=True)}
    axes.set_xlabel("ms of CPU an order, all processes")
    axes.legend(ncols=5, fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    axes.invert_yaxis()
    return figure


def _times(document: dict[str, Any]) -> Any:
    figure, axes = plt.subplots(figsize=(7, 3))
    rows = {
        f"{what}, {load}": times
        for what, key in (("202 to confirmed", "confirmed_ms"), ("202 (intake alone)", "intake_ms"))
        for load, times in document.get(key, {}).items()
        if times
    }
    for name, shade in (("p99", _SHADES[2]), ("p50", _SHADES[0])):
        axes.barh(list(rows), [each[name] for each in rows.values()], color=shade, label=name)
    axes.set_xlabel("ms (open loop, from the moment an order was due)")
    axes.legend()
    axes.invert_yaxis()
    return figure


def _save(figure: Any, folder: Path, name: str) -> None:
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(folder / f"{name}.{kind}", dpi=120, metadata={"Date": None} if kind == "svg" else None)
    plt.close(figure)
