"""What the command line may ask of a running stack, and what it answers."""

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from local_stack import blueprint, state
from local_stack.errors import StackError
from local_stack.stack import Stack
from local_stack.unit import Unit
from orderflow_cli.names import SERVICES


class Requests:
    """Answers one request at a time, in whatever thread."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.supervisor = stack.supervisor

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request; StackError says why it is refused."""
        verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "status": lambda _: self.supervisor.describe(),
            "access": lambda _: asdict(self.stack.blueprint.access),
            "progress": self._progress,
            "down": self._down,
            "stop": self._stop,
            "start": self._start,
            "resolve": lambda request: {"names": self._resolve(request["names"])},
            "restart": self._restart,
            "resize": self._resize,
            "clock": self._clock,
        }
        verb = verbs.get(str(request.get("verb")))
        if verb is None:
            raise StackError(f"no such request: {request.get('verb')}")
        return verb(request)

    def _progress(self, request: dict[str, Any]) -> dict[str, Any]:
        said = self.supervisor.said[int(request.get("since", 0)) :]
        return {"phase": self.supervisor.phase, "failure": self.supervisor.error, "said": said}

    def _down(self, _request: dict[str, Any]) -> dict[str, Any]:
        self.supervisor.end()
        return {"pid": os.getpid()}

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        names = self._resolve(request["names"])
        self.supervisor.want(names, False)
        return {"names": names}

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        names = self._resolve(request["names"])
        self.supervisor.want(names, True)
        return {"names": names}

    def _restart(self, request: dict[str, Any]) -> dict[str, Any]:
        """Restart one process; a successor of what is behind the gateway is ready by then."""
        (name,) = self._resolve([request["name"]])
        self.stack.restart(name)
        return {"names": [name]}

    def _clock(self, request: dict[str, Any]) -> dict[str, Any]:
        """Set a process's clock off, from its next start on; 0 sets it right."""
        names = self._resolve([request["name"]])
        self.stack.blueprint.clocks |= dict.fromkeys(names, float(request["seconds"]))
        return {"names": names}

    def _resize(self, request: dict[str, Any]) -> dict[str, Any]:
        """Apply --scale and --concurrency; the names that are returned change and should become ready."""
        scale, concurrency = dict(request.get("scale") or {}), request.get("concurrency")
        blueprint.check_scale(scale)
        workers: list[str] = []
        if concurrency and concurrency != self.stack.state.concurrency:
            self.stack.state.concurrency = concurrency
            units = self.supervisor.units.values()
            workers = [unit.name for unit in units if _is_worker(unit.name) and unit.wanted]
        self.stack.state.scale |= scale
        changed = self._scale()
        restarted = [name for name in workers if name not in changed]
        self.supervisor.restart(restarted)
        state.save(self.stack.data, self.stack.state)
        return {"names": changed + restarted, "restarted": restarted}

    def _scale(self) -> list[str]:
        units = self.supervisor.units
        wanted = set(blueprint.names(self.stack.state.scale)) - set(blueprint.SINGLE)
        present = {name for name, unit in units.items() if _is_scalable(unit) and not unit.removed}
        for name in sorted(wanted - present):
            # One of this name may still be on its way out: then it comes back instead.
            self.supervisor.add(units.get(name) or self.stack.blueprint.unit(name))
        surplus = sorted(present - wanted)
        if any("-api" in name for name in surplus + sorted(wanted - present)):
            for name in surplus:
                self.supervisor.units[name].removed = True
            self.stack.gateway.reload()
        self.supervisor.remove(surplus)
        return sorted(wanted - present) + surplus

    def _resolve(self, wanted: Iterable[str]) -> list[str]:
        known = [name for name, unit in self.supervisor.units.items() if not unit.removed]
        found: list[str] = []
        for name in wanted:
            same = [
                each for each in known if each == name or (name in SERVICES and each.startswith(f"{name}-"))
            ]
            if not same:
                raise StackError(f"there is no {name}; these run here: {', '.join(known)}")
            found += [each for each in same if each not in found]
        return found


def _is_scalable(unit: Unit) -> bool:
    return blueprint.base_of(unit.name) in blueprint.SCALABLE


def _is_worker(name: str) -> bool:
    return blueprint.base_of(name).endswith("-worker")
