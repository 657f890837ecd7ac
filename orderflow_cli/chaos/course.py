"""The course of a run: load and storm at once, healing, rest, the count, the invariants."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rich.markup import escape

from orderflow_cli import check
from orderflow_cli.accepted import Ledger
from orderflow_cli.chaos import count
from orderflow_cli.chaos.absorbed import Absorbed
from orderflow_cli.chaos.insist import FAILURES, insist
from orderflow_cli.chaos.load import Load, PatientShop, load_plan
from orderflow_cli.chaos.outsider import Outsider
from orderflow_cli.chaos.report import Result
from orderflow_cli.chaos.rest import await_letters, await_rest, send_canary
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.chaos.storm import Storm, Struck
from orderflow_cli.chaos.verdict import Evidence, result
from orderflow_cli.client import Deployment
from orderflow_cli.demo_plan import Plan
from orderflow_cli.demo_shop import Receipt

_PATIENCE_S = 300.0
_SETTLE_S = 60.0
_REMOVE_S = 20.0


class Chaos:
    """One run of a schedule on one deployment; `scene` is None where no fault can be made."""

    def __init__(self, its: Deployment, scene: Scene | None, run: str, say: Callable[[str], None]) -> None:
        self._its, self._scene, self._run, self._say = its, scene, run, say
        self._canaries: list[Receipt] = []

    def run(self, orders: int, seconds: float, seed: int, faults: Sequence[Fault]) -> Result:
        """Do all of it, and return what it came to."""
        its_plan = load_plan(self._run, orders)
        with ExitStack() as stack:
            api = stack.enter_context(self._its.api())
            ledger = stack.enter_context(Ledger(self._its.data, self._run, self._its.name))
            shop = PatientShop(self._its, its_plan, ledger, api, patience_s=_PATIENCE_S)
            stack.callback(shop.close)
            shop.open()
            absorbed = stack.enter_context(Absorbed(self._its.data)) if self._scene else None
            before = count.known_letters(api)
            load = Load(shop, its_plan, seconds, seed)
            self._say(f"{orders} orders in {seconds:g} s under {len(faults)} faults, as {self._run}")
            began = time.monotonic()
            struck = self._weather_it(load, shop, its_plan, faults, seconds)
            lasted_s = time.monotonic() - began
            self._say("all sent and all healed; waiting until every order has come to its end")
            await_rest(api, self._run, self._say)
            letters = await_letters(api, before, self._scene)
            receipts = load.receipts + self._canaries
            found = count.count_orders(receipts, count.orders_of(api, self._run))
            ids = {each.order_id for each in receipts}
            found.doubled += count.charged_twice(api, ids)
            if self._scene:
                found.doubled += count.sold_twice(self._scene.access.audit_url("inventory"), ids)
            self._say("checking the invariants")
            report = check.examine_if_allowed(self._its, api, settle_s=_SETTLE_S)
            evidence = Evidence(
                found, letters, struck, receipts, load.refused, load.unanswered, shop.heard, report,
                absorbed.total if absorbed else 0, self._scene,
            )  # fmt: skip
            count.discard_poison(api, letters, self._run)
            return result(self._run, seed, lasted_s, evidence)

    def _weather_it(
        self, load: Load, shop: PatientShop, its_plan: Plan, faults: Sequence[Fault], seconds: float
    ) -> list[Struck]:
        """Send all orders through all faults; return once everything is healed."""
        if self._scene is None:
            load.run()
            return []
        send = self._canaries.append
        storm = Storm(self._scene, faults, seconds, lambda fault: send_canary(shop, its_plan, fault, send))
        try:
            storm.begin()
            load.run()
            storm.end()
        finally:
            storm.call_off()
            self._dismiss(self._scene.outsider)
        return storm.struck

    def _dismiss(self, outsider: Outsider) -> None:
        """Remove our user at RabbitMQ; one that stays is no reason to lose the count."""
        try:
            insist(outsider.remove, _REMOVE_S)
        except FAILURES as error:
            self._say(f"the user {outsider.name} could not be removed from RabbitMQ: {escape(str(error))}")
