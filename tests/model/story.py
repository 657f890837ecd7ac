"""How it came to a broken promise, for people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from model import Holding, Model, Move

Goal = Callable[[Holding, Move], bool]
"""Whether a story may end here: what everybody holds now, and the last step."""


class Happened(NamedTuple):
    """A step of the service at a place."""

    place: int
    move: Move


@dataclass(frozen=True)
class Story:
    """A broken promise, the steps that lead to it, and what everybody holds in the end."""

    broken: str
    steps: tuple[str, ...]
    end: tuple[str, ...]

    @classmethod
    def of(
        cls, model: Model, broken: str, happened: Sequence[Happened], start: Holding | None = None
    ) -> "Story":
        """Tell it. It begins with an accepted order, or with `start`."""
        holding = start or model.start()[0]
        for place, move in happened:
            holding = (*holding[:place], move.held, *holding[place + 1 :])
        return cls(broken, tuple(_line(model, *each) for each in happened), tuple(model.show(holding)))

    def preceded_by(self, model: Model, happened: Sequence[Happened], then: str) -> "Story":
        """Return the story with what came before, and what was done `then`."""
        before = (_line(model, *each) for each in happened)
        return replace(self, steps=(*before, f"--------- {then}", *self.steps))

    def __str__(self) -> str:
        numbered = (f"{number:>3}  {step}" for number, step in enumerate(self.steps, 1))
        return "\n".join([f"BROKEN: {self.broken}", *numbered, *(f"     {line}" for line in self.end)])


def shortened(model: Model, happened: list[Happened], goal: Goal) -> list[Happened]:
    """Leave out every step without which it still comes to the goal."""
    place = len(happened) - 1
    while place >= 0:
        shorter = _replayed(model, happened[:place] + happened[place + 1 :], goal)
        if shorter is not None:
            happened = shorter
        place = min(place, len(happened)) - 1
    return happened


def _replayed(model: Model, happened: list[Happened], goal: Goal) -> list[Happened] | None:
    """Take the same steps from the start, as far as the goal; None if one is not possible, or it is not met."""
    holding, network = model.start()
    done: list[Happened] = []
    for place, wanted in happened:
        possible = model.moves(place, holding[place], network)
        same = (
            each for each in possible if each.needs == wanted.needs and each.turn.what == wanted.turn.what
        )
        move = next((each for each in same if not each.needs & ~network), None)
        if move is None:
            return None
        holding = (*holding[:place], move.held, *holding[place + 1 :])
        network |= move.says | move.sets
        done.append(Happened(place, move))
        if goal(holding, move):
            return done
    return None


def _line(model: Model, place: int, move: Move) -> str:
    said = ", ".join(type(post.message).__name__ for post in model.posts(move.says))
    service = model.services[place]
    what = f"{service.name:<9} {move.turn.what}" + (f" -> {said}" if said else "")
    return f"{what:<72}  [{service.show(move.turn.held)}]"
