"""A fifth service (docs/seams/fifth-service.md): its own database and users, the same promises."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from probe import Service, eventually, parcel_of, sealed

from examples.loyalty import provision
from local_stack.access import new_passwords
from shared_events.contracts.orders import OrderCompleted
from shared_events.contracts.values import Line, Money
from shared_events.parcel import Parcel
from shared_events.publisher import Publisher


class Loyalty(Service):
    """The example, run exactly as its page says."""

    application = "examples.loyalty.worker"


@pytest.fixture(scope="module")
def loyalty(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loyalty]:
    passwords = {**servers.access.passwords, **new_passwords(["loyalty", "loyalty_audit"])}
    access = replace(servers.access, passwords=passwords)
    for _ in range(2):  # it may be run again
        provision.provision(
            postgres_url=access.postgres_admin_url,
            rabbitmq_url=access.rabbitmq_admin_url,
            redis_url=access.redis_admin_url,
            passwords=passwords,
        )
    provision.create_tables(access.database_url("loyalty"))
    made = Loyalty("loyalty", replace(servers, access=access), tmp_path_factory.mktemp("loyalty"))
    made.relay()
    made.worker()
    yield made
    made.stop()


@pytest.fixture
def orders(servers: Any) -> Iterator[Publisher]:
    with Publisher(servers.access.broker_url("orders")) as publisher:
        yield publisher


def completed(customer: UUID, amount: int) -> Parcel:
    fact = OrderCompleted(
        order_id=uuid4(), customer_id=customer, lines=(Line("MUG", 1),), total=Money(amount, "EUR")
    )
    return parcel_of(sealed(fact))


def points(loyalty: Loyalty, customer: UUID) -> int:
    return int(loyalty.scalar("SELECT points FROM points WHERE customer_id = %(id)s", id=customer) or 0)


def test_it_hears_of_every_completed_order_once(loyalty: Loyalty, orders: Publisher) -> None:
    alice, bob = uuid4(), uuid4()
    parcels = [completed(alice, 1250), completed(bob, 300), completed(alice, 799)]

    orders.publish(parcels)
    orders.publish(parcels)

    eventually(lambda: (points(loyalty, alice), points(loyalty, bob)) == (12 + 7, 3))


def test_what_it_cannot_read_is_its_own_dead_letter(loyalty: Loyalty, orders: Publisher) -> None:
    bad = replace(completed(uuid4(), 100), body=b"not JSON")

    orders.publish([bad])

    assert eventually(lambda: loyalty.dead(b"not JSON")).cause == "unreadable"


def test_it_may_say_nothing_and_reach_nobody_else(loyalty: Loyalty) -> None:
    parcel = completed(uuid4(), 100)
    with Publisher(loyalty.servers.access.broker_url("loyalty")) as own:
        refused = own.publish([parcel, replace(parcel, id="2", exchange="orders.x")]).refused

    assert len(refused) == 2
    url = loyalty.servers.access.database_url("loyalty").rpartition("/")[0] + "/orders"
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url)


def test_it_is_under_sixty_lines() -> None:
    room = Path(provision.__file__).parent
    lines = [(room / name).read_text().splitlines() for name in ("handlers.py", "tables.py", "worker.py")]

    assert sum(map(len, lines)) < 60
