"""What is printed: the document, as a table for a reader."""

from typing import Any


def text(document: dict[str, Any]) -> str:
    """Return the document as tables."""
    lines = []
    if "orders_per_s" in document:
        lines.append(f"whole saga: {document['orders_per_s']} orders/s; CPU ms an order:")
        lines += [f"  {kind:<12}{ms:8.3f}" for kind, ms in document["cpu_ms_per_order"].items()]
        lines += [f"  {kind:<12}{ms:8.3f}  (apart)" for kind, ms in document["apart"].items()]
    return "\n".join(lines)
