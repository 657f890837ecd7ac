"""What always holds over stock, money, messages and orders, and how it is checked while the system runs."""

from orderflow_cli.invariants import messages, money, orders, stock
from orderflow_cli.invariants.rules import Invariant

INVARIANTS: tuple[Invariant, ...] = (*stock.RULES, *money.RULES, *messages.RULES, *orders.RULES)
