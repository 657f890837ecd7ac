"""The saga's engine: pure functions `(saga, state, what happened) -> (state, messages)`.

Three rules make it safe: what was begun is undone; silence is in doubt, so the silent step is undone too;
and after a failure a late success is answered with its undo again (an undo is idempotent, and "nothing held"
is success). Before the pivot, silence and refusal undo. After it, steps are repeated until they succeed, and only an
explicit refusal or a cancellation undoes. Undos are repeated without limit and wait for nothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, TypeVar

from shared_events.contract import Command, Message, Reply
from shared_events.handlers import Cancel, Later, Output

T = TypeVar("T")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 600.0
"""Between repetitions of an undo, or of a step after the pivot: the pause doubles from one to the other."""


class Standing(StrEnum):
    """How far one step is."""

    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True)
class Step(Generic[T]):
    """One step: what is sent, what answers, how long it may take, and how it is undone.

    A step whose effect an earlier step's undo takes back names that step in `undone_by`.
    """

    name: str
    send: Callable[[T], Command]
    succeeds_with: type[Reply]
    fails_with: type[Reply]
    within_s: float
    undo: Callable[[T], Command] | None = None
    undone_with: type[Reply] | None = None
    undone_by: str = ""


@dataclass(frozen=True)
class Saga(Generic[T]):
    """The steps in their order; success of the step `pivot` is the point of no return by silence.

    `timer` makes the message that says that a step's reply is due: (subject, step, attempt, due at).
    """

    name: str
    steps: tuple[Step[T], ...]
    pivot: str
    timer: Callable[[T, str, int, datetime], Message]
    key: Callable[[T, str], str]

    def step(self, name: str) -> Step[T]:
        """Return the step of that name."""
        return next(step for step in self.steps if step.name == name)

    def after(self, name: str) -> Step[T] | None:
        """Return the step that follows, or None after the last."""
        following = iter(self.steps)
        next(step for step in following if step.name == name)
        return next(following, None)


@dataclass(frozen=True)
class Progress:
    """A step's standing and which sending of its command (or undo) we wait for."""

    standing: Standing
    attempt: int = 1


@dataclass(frozen=True)
class State:
    """Where a saga stands. Steps not begun are absent; `doubted` ones were reported unknown by their service."""

    steps: Mapping[str, Progress] = field(default_factory=lambda: MappingProxyType({}))
    undoing: bool = False
    doubted: frozenset[str] = frozenset()

    def standing(self, name: str) -> Standing | None:
        """Return a step's standing, or None if it has not begun."""
        progress = self.steps.get(name)
        return progress.standing if progress else None

    def moved(self, name: str, standing: Standing, attempt: int = 1) -> "State":
        """Return the state with one step moved."""
        steps = MappingProxyType({**self.steps, name: Progress(standing, attempt)})
        return State(steps, self.undoing, self.doubted)


Turn = tuple[State, tuple[Output, ...]]


class Engine(Generic[T]):
    """A saga's rules, applied to a state. `now` is the database's time."""

    def __init__(self, saga: Saga[T]) -> None:
        self.saga = saga

    def start(self, subject: T, now: datetime) -> Turn:
        """Send the first step's command."""
        return self._begin(State(), self.saga.steps[0], subject, now)

    def succeeded(self, state: State, step: Step[T], subject: T, now: datetime) -> Turn:
        """Take a step's success: begin the next, or undo it again."""
        if state.undoing:
            return state, self._undo_again(state, step, subject)
        if state.standing(step.name) is not Standing.SENT:
            return state, ()
        done = state.moved(step.name, Standing.DONE)
        cancelled = Cancel(self.saga.key(subject, step.name))
        following = self.saga.after(step.name)
        if following is None:
            return done, (cancelled,)
        begun, outputs = self._begin(done, following, subject, now)
        return begun, (cancelled, *outputs)

    def refused(self, state: State, step: Step[T], subject: T, now: datetime) -> Turn:
        """Take a step's refusal: undo what came before it."""
        if state.undoing or state.standing(step.name) is not Standing.SENT:
            return state, ()
        cancelled = Cancel(self.saga.key(subject, step.name))
        undone, outputs = self.abandon(state.moved(step.name, Standing.REFUSED), subject, now)
        return undone, (cancelled, *outputs)

    def undone(self, state: State, step: Step[T], subject: T) -> Turn:
        """Take the acknowledgement of an undo."""
        if state.standing(step.name) is not Standing.UNDOING:
            return state, ()
        return state.moved(step.name, Standing.UNDONE), (Cancel(self.saga.key(subject, step.name)),)

    def doubted(self, state: State, step: Step[T]) -> Turn:
        """Note that a step's service does not know its outcome yet. It does not stop the clock."""
        return replace(state, doubted=state.doubted | {step.name}), ()

    def timed_out(
        self, state: State, step: Step[T], attempt: int, due_at: datetime, subject: T, now: datetime
    ) -> Turn:
        """Take a timer: send again, or (the second time, before the pivot) give the step up as in doubt.

        A timer that is itself handled late, because we or the broker were away, starts its time anew: only a
        participant's own silence may end a saga.
        """
        progress = state.steps.get(step.name)
        if progress is None or progress.attempt != attempt:
            return state, ()
        if progress.standing is Standing.UNDOING:
            return self._send_undo(state, step, subject, now, attempt + 1)
        if progress.standing is not Standing.SENT or state.undoing:
            return state, ()  # a step that another's undo takes back is not repeated after a failure
        if self._is_before_pivot(step):
            if now - due_at > timedelta(seconds=max(1.0, step.within_s / 4)):
                return state, (self._timer(step, attempt, subject, now),)
            if attempt > 1:
                return self.abandon(state, subject, now)
        return self._begin(state, step, subject, now, attempt + 1)

    def nudged(self, state: State, subject: T, now: datetime) -> Turn:
        """Repeat, under new ids, whatever is waited for."""
        outputs: tuple[Output, ...] = ()
        for name in self.waits_for(state):
            step, attempt = self.saga.step(name), state.steps[name].attempt + 1
            send = self._send_undo if state.undoing else self._repeat
            state, more = send(state, step, subject, now, attempt)
            outputs += more
        return state, outputs

    def asked_again(
        self, state: State, subject: T, now: datetime, timed: Collection[str]
    ) -> tuple[Output, ...]:
        """Repeat what is waited for, without moving any clock; only a step that is not `timed` gets a timer.

        When all is undone, the undos are repeated: whatever is still held is then let go.
        """
        if self.is_undone(state):
            undone = (self.saga.step(name) for name in state.steps if state.standing(name) is Standing.UNDONE)
            return tuple(step.undo(subject) for step in undone if step.undo)
        outputs: tuple[Output, ...] = ()
        for name in self.waits_for(state):
            step, attempt = self.saga.step(name), state.steps[name].attempt
            outputs += (self.outstanding(state, name, subject),)
            if name not in timed:
                outputs += (self._timer(step, attempt, subject, now, undoing=state.undoing),)
        return outputs

    def outstanding(self, state: State, name: str, subject: T) -> Command:
        """Return the command whose reply a step waits for: its own, or its undo."""
        step = self.saga.step(name)
        return step.undo(subject) if state.undoing and step.undo else step.send(subject)

    def clock(
        self, state: State, name: str, timer_at: datetime | None
    ) -> tuple[datetime | None, datetime | None]:
        """Return when a step that is waited for is asked again, and when it is given up, by its timer's time.

        Undos, and steps after the pivot, are never given up.
        """
        step = self.saga.step(name)
        if timer_at is None or state.undoing or not self._is_before_pivot(step):
            return timer_at, None
        if state.steps[name].attempt > 1:
            return None, timer_at
        return timer_at, timer_at + timedelta(seconds=step.within_s / 2)

    def abandon(self, state: State, subject: T, now: datetime) -> Turn:
        """Undo, last step first, every step that was begun and not refused."""
        if state.undoing:
            return state, ()
        outputs: tuple[Output, ...] = ()
        state = replace(state, undoing=True)
        for step in self._begun_in_reverse(state):
            if step.undo is None:
                outputs += (Cancel(self.saga.key(subject, step.name)),)
            else:
                state, more = self._send_undo(state, step, subject, now, 1)
                outputs += (Cancel(self.saga.key(subject, step.name)), *more)
        return state, outputs

    def waits_for(self, state: State) -> list[str]:
        """Return the steps whose reply, or undo's reply, is outstanding."""
        wanted = Standing.UNDOING if state.undoing else Standing.SENT
        return [name for name, progress in state.steps.items() if progress.standing is wanted]

    def is_undone(self, state: State) -> bool:
        """Whether everything that was begun is undone."""
        return state.undoing and not self.waits_for(state)

    def has_done(self, state: State, name: str) -> bool:
        """Whether a step succeeded."""
        return state.standing(name) is Standing.DONE

    def _begun_in_reverse(self, state: State) -> Iterator[Step[T]]:
        begun = {Standing.SENT, Standing.DONE}
        return (step for step in reversed(self.saga.steps) if state.standing(step.name) in begun)

    def _is_before_pivot(self, step: Step[T]) -> bool:
        names = [each.name for each in self.saga.steps]
        return names.index(step.name) <= names.index(self.saga.pivot)

    def _begin(self, state: State, step: Step[T], subject: T, now: datetime, attempt: int = 1) -> Turn:
        timer = self._timer(step, attempt, subject, now)
        return state.moved(step.name, Standing.SENT, attempt), (step.send(subject), timer)

    def _repeat(self, state: State, step: Step[T], subject: T, now: datetime, attempt: int) -> Turn:
        """Send again without bringing the step's deadline nearer."""
        kept = state.steps[step.name].attempt if self._is_before_pivot(step) else attempt
        return self._begin(state, step, subject, now, kept)

    def _send_undo(self, state: State, step: Step[T], subject: T, now: datetime, attempt: int) -> Turn:
        if step.undo is None:
            raise LookupError(f"{step.name} has no undo of its own")
        timer = self._timer(step, attempt, subject, now, undoing=True)
        return state.moved(step.name, Standing.UNDOING, attempt), (step.undo(subject), timer)

    def _undo_again(self, state: State, step: Step[T], subject: T) -> tuple[Output, ...]:
        owner = self.saga.step(step.undone_by or step.name)
        if owner.undo is None or state.standing(owner.name) is None:
            return ()
        return (owner.undo(subject),)

    def _timer(
        self, step: Step[T], attempt: int, subject: T, now: datetime, *, undoing: bool = False
    ) -> Output:
        wait_s = step.within_s / 2
        if undoing or not self._is_before_pivot(step):
            wait_s = min(min(wait_s, FIRST_PAUSE_S) * 2 ** min(attempt - 1, 10), LONGEST_PAUSE_S)
        message = self.saga.timer(subject, step.name, attempt, now + timedelta(seconds=wait_s))
        return Later(message, wait_s, self.saga.key(subject, step.name))
