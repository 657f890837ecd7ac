"""The course of a demo: send, break, send on, mend, wait for rest, count, check."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext

from orderflow_cli import check
from orderflow_cli.accepted import Ledger
from orderflow_cli.client import Api, Deployment
from orderflow_cli.demo_plan import Plan, Purchase
from orderflow_cli.demo_result import (
    Result,
    duplicates_refused,
    failures,
    outcomes,
    percentiles,
    time_to_confirmed_ms,
)
from orderflow_cli.demo_shop import Receipt, Shop
from orderflow_cli.demo_view import View
from orderflow_cli.demo_watch import Watch
from orderflow_cli.invariants.judge import Report

_THREADS = 8
_PEACE_S = 3.0
_OUTAGE_S = 4.0
_REST_S = 120.0
_SETTLE_S = 15.0
_MOST_TIMED = 1000


class Demo:
    """One run of a plan on a deployment."""

    def __init__(self, its: Deployment, plan: Plan, view: View, *, calm: bool) -> None:
        self._its, self._plan, self._view = its, plan, view
        self._troubled = its.is_local and not calm
        self._faults: list[str] = []
        self._receipts: list[Receipt] = []
        self._undisturbed: set[str] = set()
        self._began = time.monotonic()

    def run(self) -> Result:
        """Do all of it and return what came of it."""
        with ExitStack() as stack:
            api = stack.enter_context(self._its.api())
            ledger = stack.enter_context(Ledger(self._its.data, self._plan.run, self._its.name))
            shop = Shop(self._its, self._plan, ledger, api)
            stack.callback(shop.close)
            shop.open()
            pool = ThreadPoolExecutor(_THREADS)
            stack.callback(pool.shutdown, cancel_futures=True)
            with self._view, Watch(api, self._plan.run, ledger, self._view.see) as watch:
                self._view.say(
                    f"{len(self._plan.purchases)} orders, {_THREADS} at a time, as {self._plan.run}"
                )
                self._send_all(lambda purchases, over_s: self._send(pool, shop, purchases, over_s), watch)
                self._view.say("all sent; waiting until every order has come to its end")
                wanted = len(self._plan.purchases)
                watch.wait_until(lambda sight: sight.accepted >= wanted and not sight.open, _REST_S)
                watch.look()
            self._view.say("checking the invariants")
            report = check.examine_if_allowed(self._its, api, settle_s=_SETTLE_S)
            return self._result(watch, report, self._times(pool, api))

    def _send_all(self, send: Callable[[Sequence[Purchase], float], None], watch: Watch) -> None:
        """Send some in peace, some before and after a worker is killed, some while Inventory is down, the rest."""
        purchases = self._plan.purchases
        peace, kill, stop, start = (len(purchases) * percent // 100 for percent in (10, 25, 45, 80))
        send(purchases[:peace], 0.0)
        watch.wait_until(lambda sight: sight.accepted >= peace and not sight.undecided, _PEACE_S)
        self._undisturbed = {each.order_id for each in self._receipts if each.purchase.method == "tok_visa"}
        send(purchases[peace:kill], 0.0)
        if self._troubled:
            self._kill_a_worker()
        send(purchases[kill:stop], 0.0)
        with self._outage() if self._troubled else nullcontext():
            send(purchases[stop:start], _OUTAGE_S if self._troubled else 0.0)
        send(purchases[start:], 0.0)

    def _send(
        self, pool: ThreadPoolExecutor, shop: Shop, purchases: Sequence[Purchase], over_s: float
    ) -> None:
        """Send these, spread over so many seconds; the second copy of one goes beside the first."""
        waiting = []
        for purchase in purchases:
            waiting += [pool.submit(shop.buy, purchase) for _ in range(2 if purchase.twice else 1)]
            time.sleep(over_s / len(purchases))
        self._receipts += [each.result() for each in waiting]

    def _kill_a_worker(self) -> None:
        from orderflow_cli import demo_faults

        self._note(demo_faults.kill_worker(self._its.data))

    @contextmanager
    def _outage(self) -> Iterator[None]:
        from orderflow_cli import demo_faults

        demo_faults.stop_service(self._its.data)
        before, began = len(self._receipts), time.monotonic()
        self._view.trouble(f"{demo_faults.SERVICE} down")
        try:
            yield
        finally:
            demo_faults.start_service(self._its.data)
            self._view.trouble("")
        lasted, accepted = time.monotonic() - began, len({each.order_id for each in self._receipts[before:]})
        self._note(f"{demo_faults.SERVICE} stopped for {lasted:.1f} s; {accepted} orders accepted meanwhile")

    def _note(self, fault: str) -> None:
        self._faults.append(fault)
        self._view.say(f"[bold red]fault[/] {fault}")

    def _times(self, pool: ThreadPoolExecutor, api: Api) -> dict[str, float | None]:
        """Return how long each order took to be confirmed; of very many, a sample."""
        ids = sorted({each.order_id for each in self._receipts})[
            :: max(1, len(self._receipts) // _MOST_TIMED)
        ]

        def one(order_id: str) -> float | None:
            return time_to_confirmed_ms(api.get(f"/v1/orders/{order_id}/timeline")["items"])

        return dict(zip(ids, pool.map(one, ids), strict=True))

    def _result(self, watch: Watch, report: Report, times: dict[str, float | None]) -> Result:
        completed, cancelled = outcomes(watch.orders)
        result = Result(
            run=self._plan.run,
            orders=watch.sight.accepted,
            completed=completed,
            cancelled=cancelled,
            open=watch.sight.open,
            lost=watch.sight.lost,
            duplicates_refused=duplicates_refused(self._receipts),
            confirmed_ms=percentiles(times.values()),
            confirmed_undisturbed_ms=percentiles(times.get(each) for each in self._undisturbed),
            faults=self._faults,
            seconds=round(time.monotonic() - self._began, 1),
            invariants=report.invariants,
            left_out=report.left_out,
        )
        broken = [f"{each.invariant}: {each.about} {each.wrong}" for each in report.broken]
        result.failures = failures(self._plan, result, broken)
        return result
