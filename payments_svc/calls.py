"""How calls are made: leased in one transaction, by a message's handler; made with none open; taken in another.

A process may die between any two lines here. Then the message comes again, the leases lapse, and whoever comes next
asks the provider under the same key. That the provider does not know the key proves nothing, since the lost request
may still be on its way: so the call is repeated under its key, and that outcome is taken.

What waits together is leased together and called side by side; results are taken as they come back. A call that
stays slow is left to its thread, and its message to the end of its lease, so that it holds up none of the others.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from sqlalchemy import Engine

from payments_svc.breaker import Breaker, Open
from payments_svc.domain import Call, CallWanted, Silence
from payments_svc.handlers import LEASE_S, calls, outputs
from payments_svc.provider import Outcome, Provider, ProviderTimeout, ProviderUnavailable
from payments_svc.tables import PaymentsWork
from shared_events import inbox, logs
from shared_events.effect import Attempt, emit, handle, handled

log = logging.getLogger(__name__)

AT_ONCE = 64
"""How many calls one process makes side by side, and so the most that it leases together."""
GATHER_S = 0.25
"""How long a result waits for others, to be taken in one transaction with them."""
SLOW_AFTER_S = 1.0
"""How long a batch waits for its calls."""
SLOW_AT_MOST = 128
"""So many calls are left to their threads; beyond that a batch waits for its own, and its time limits hold again."""
TRIAL_S = 1.0
"""How long calls wait while one of them tries whether the provider is well again."""


class Leased(NamedTuple):
    """A call that this process is to make, and the message that asked for it."""

    attempt: Attempt
    call: Call


class Answered(NamedTuple):
    """What came of a leased call."""

    leased: Leased
    result: Outcome | Silence


class Calls:
    """The effect of the messages in the table `calls`."""

    def __init__(self, engine: Engine, provider: Provider, breaker: Breaker) -> None:
        self.engine = engine
        self._provider = provider
        self._breaker = breaker
        self._threads: ThreadPoolExecutor | None = None
        self._slow: set[Future[Answered]] = set()
        self._one_late = threading.Lock()

    def __call__(self, attempts: Sequence[Attempt]) -> tuple[tuple[str, float], ...]:
        """Make the calls that are still needed and that nobody else is making."""
        leased = self._lease(attempts)
        for answered in self._answers(leased) if leased else ():
            self._take(answered)
        return ()

    def finish(self, within_s: float = LEASE_S / 2) -> None:
        """Wait for the calls that were left to their threads: this process is about to end."""
        until = time.monotonic() + within_s
        while self._slow and time.monotonic() < until:
            time.sleep(0.02)  # a future is done before its result is taken

    def _lease(self, attempts: Sequence[Attempt]) -> list[Leased]:
        """Transaction 1. A message that leads to no call ends here, so it is noted in the inbox here.

        While the breaker is closed all calls are made, while it is open none, and between the two one, to try it.
        """
        leased: list[Leased] = []
        ended: list[Attempt] = []
        wait_s, is_closed = self._breaker.open_for_s, self._breaker.looks_closed
        with self.engine.begin() as connection:
            work = PaymentsWork(connection)
            work.wait_s = wait_s
            work.lock([each.received.message for each in attempts])
            for attempt in attempts:
                call = _lease_one(attempt, work)
                if call is None:
                    ended.append(attempt)
                else:
                    leased.append(Leased(attempt, call))
                    work.wait_s = 0.0 if is_closed else TRIAL_S
            _claim(work, ended)
            work.complete()
        handled([each.received for each in attempts])
        return leased

    def _answers(self, leased: list[Leased]) -> Iterator[list[Answered]]:
        """Make the calls side by side, with no transaction open; yield the answers as they come."""
        threads, self._threads = self._threads or ThreadPoolExecutor(AT_ONCE, "call"), None
        running = {threads.submit(self._answer, each): each for each in leased}
        try:
            yield from self._until_slow(running)
            if running:
                self._leave(running)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        if running:  # a call that never returns keeps its thread, and none of the next batch
            threads.shutdown(wait=False)
        else:
            self._threads = threads

    def _until_slow(self, running: "dict[Future[Answered], Leased]") -> Iterator[list[Answered]]:
        """Yield answers and take their calls out of `running`, until what is left there is slow."""
        until = time.monotonic() + SLOW_AFTER_S
        while running:
            if time.monotonic() >= until:
                if len(self._slow) + len(running) <= SLOW_AT_MOST:
                    return
                until = time.monotonic() + SLOW_AFTER_S
            done = _next_of(running, until)
            for each in done:
                del running[each]
            if done:
                yield [each.result() for each in done]

    def _leave(self, slow: "dict[Future[Answered], Leased]") -> None:
        """End the messages of these calls, but for one more that comes when the lease does; the calls go on."""
        try:
            with self.engine.begin() as connection:
                work = PaymentsWork(connection)
                for attempt, call in slow.values():
                    again = CallWanted(call.intent_id, call.order_id, LEASE_S)
                    emit(outputs([again]), attempt.received.envelope, work)
                _claim(work, [attempt for attempt, _ in slow.values()])
                work.complete()
        finally:  # after it: what a result leads to replaces the message left behind, not the other way round
            for future in slow:
                self._slow.add(future)
                future.add_done_callback(self._take_late)

    def _take_late(self, future: "Future[Answered]") -> None:
        """Take a result in the thread that made the call. If that fails, whoever comes next asks the provider."""
        try:
            with self._one_late:  # of the two connections, batches need one
                self._take([future.result()])
        except Exception:
            log.exception("the late result of a call is left to the next executor")
        finally:
            self._slow.discard(future)

    def _answer(self, leased: Leased) -> Answered:
        """Call the provider."""
        envelope, call = leased.attempt.received.envelope, leased.call
        with logs.context(
            correlation_id=envelope.correlation_id, message_id=envelope.id, order_id=envelope.subject
        ):
            try:
                return Answered(leased, self._breaker.call(lambda: _outcome(self._provider, call)))
            except (ProviderUnavailable, Open) as error:
                log.warning("%s of order %s was not made: %s", call.operation, call.order_id, error)
                return Answered(leased, Silence(sent=False))
            except ProviderTimeout as error:
                log.warning("%s of order %s is in doubt: %s", call.operation, call.order_id, error)
            except Exception:  # a provider class that breaks its contract may have charged all the same
                log.exception("%s of order %s is in doubt", call.operation, call.order_id)
            return Answered(leased, Silence(sent=True))

    def _take(self, answered: Sequence[Answered]) -> None:
        """Transaction 2. The lease decides whether a result counts, not the inbox.

        A copy of the message may have been delivered to another process meanwhile, which found the lease,
        left, and noted the id: that must not keep the result out.
        """
        with self.engine.begin() as connection:
            work = PaymentsWork(connection)
            work.lock_orders(each.leased.call.order_id for each in answered)
            _claim(work, [each.leased.attempt for each in answered])
            for (attempt, call), result in answered:
                payment = work.payments[call.order_id]
                intent = payment.intent(call.intent_id)
                if intent is not None:
                    said = outputs(payment.take(intent, call.lease, result))
                    emit(said, attempt.received.envelope, work)
            work.complete()


def _lease_one(attempt: Attempt, work: PaymentsWork) -> Call | None:
    """Run the message's handler; return the call that it leased, if it did."""
    work.call = None
    handle(attempt.received, calls, work)
    return work.call


def _next_of(running: "Collection[Future[Answered]]", until: float) -> "set[Future[Answered]]":
    """Wait for the first call to end, and a little for others to be taken with it."""
    wait(running, timeout=max(0.0, until - time.monotonic()), return_when=FIRST_COMPLETED)
    return wait(running, timeout=max(0.0, min(GATHER_S, until - time.monotonic()))).done


def _claim(work: PaymentsWork, attempts: Sequence[Attempt]) -> None:
    if attempts:
        inbox.claim(work.connection, [(each.received.envelope, each.number) for each in attempts])


def _outcome(provider: Provider, call: Call) -> Outcome:
    """Ask what came of an earlier try; if there was none, or nothing is known of it, make the call."""
    known = provider.lookup(call.key) if call.ask_first else None
    return known or _OPERATIONS[call.operation](provider, call)


_OPERATIONS: dict[str, Callable[[Provider, Call], Outcome]] = {
    "authorize": lambda provider, call: provider.authorize(
        call.key, call.amount.amount, call.amount.currency, call.method, str(call.order_id)
    ),
    "capture": lambda provider, call: provider.capture(
        call.key, call.reference, call.amount.amount, call.amount.currency
    ),
    "void": lambda provider, call: provider.void(call.key, call.reference),
    "refund": lambda provider, call: provider.refund(
        call.key, call.reference, call.amount.amount, call.amount.currency
    ),
}
