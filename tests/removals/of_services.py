"""What keeps orders, stock and money right in the services, and requests at their edge."""

from tests.removals.trial import Edit, Removal

_PAYMENTS = "tests/integration/payments/test_payments.py"

OF_SERVICES = (
    Removal(
        "remembered-prices",
        "Intake: an order at remembered prices is written only if they hold",
        "they are not compared",
        (
            Edit(
                "orders_svc/tables/work.py",
                '_INSERT.replace("{status}", _STATUS_IF_IT_HOLDS)',
                '_INSERT.replace("{status}", "status")',
            ),
        ),
        "tests/integration/intake/test_remembered_prices.py::"
        "test_what_is_remembered_of_the_catalogue_is_not_sold_at_when_it_has_changed",
    ),
    Removal(
        "undo",
        "Saga: every step that was begun is undone",
        "stock has no undo",
        (
            Edit(
                "orders_svc/saga.py",
                "undo=lambda order: inventory.ReleaseStock(order_id=order.id),",
                "undo=None,",
            ),
        ),
        "tests/unit/test_saga.py::test_failure_reads_up",
    ),
    Removal(
        "late-success",
        "Saga: a success that comes after a failure is undone again",
        "a late success is ignored",
        (
            Edit(
                "orders_svc/saga_engine.py",
                "return state, self._undo_again(state, step, subject)",
                "return state, ()",
            ),
        ),
        "tests/unit/test_saga.py::test_a_success_that_comes_after_the_end_is_undone_again",
    ),
    Removal(
        "silence",
        "Saga: a silent step is in doubt, and undone too",
        "what is only sent is not undone",
        (
            Edit(
                "orders_svc/saga_engine.py",
                "begun = {Standing.SENT, Standing.DONE}",
                "begun = {Standing.DONE}",
            ),
        ),
        "tests/unit/test_saga.py::"
        "test_before_the_pivot_silence_is_asked_again_and_then_undone_with_the_silent_step",
    ),
    Removal(
        "late-timer",
        "Saga: only a participant's own silence ends a step",
        "a timer that was itself late counts",
        (
            Edit(
                "orders_svc/saga_engine.py",
                "if now - due_at > timedelta(seconds=max(1.0, step.within_s / 4)):",
                "if not due_at:",
            ),
        ),
        "tests/unit/test_saga.py::test_a_timer_that_is_itself_late_starts_its_time_anew",
    ),
    Removal(
        "pivot",
        "Saga: after the pivot silence undoes nothing",
        "the pivot is ignored",
        (
            Edit(
                "orders_svc/saga_engine.py",
                "return names.index(step.name) <= names.index(self.saga.pivot)",
                "return bool(names)",
            ),
        ),
        "tests/unit/test_saga.py::test_after_the_pivot_silence_is_asked_again_for_ever",
    ),
    Removal(
        "stock-tombstone",
        "Tombstone: an undo before its do refuses what comes later (stock)",
        "a release that finds nothing notes nothing",
        (
            Edit(
                "inventory_svc/domain.py",
                "return self._note(Reservation(order_id, Status.RELEASED))",
                "return Reservation(order_id, Status.RELEASED)",
            ),
        ),
        "tests/unit/test_inventory_handlers.py::test_an_undo_before_its_do_leaves_a_tombstone",
    ),
    Removal(
        "constraint",
        "Stock: the database itself refuses to oversell",
        "the constraint",
        (
            Edit(
                "migrations/inventory/versions/0001_inventory.py",
                "CHECK (0 <= reserved AND reserved <= on_hand)",
                "CHECK (true)",
            ),
        ),
        "tests/integration/test_inventory_batches.py::"
        "test_the_database_refuses_to_oversell_whatever_the_code_does",
    ),
    Removal(
        "stock-locks",
        "Stock: rows are locked before they are read",
        "they are read without a lock",
        (
            Edit(
                "inventory_svc/tables/work.py",
                "WHERE sku = ANY(%(skus)s::text[]) ORDER BY sku FOR NO KEY UPDATE",
                "WHERE sku = ANY(%(skus)s::text[]) ORDER BY sku",
            ),
        ),
        "tests/integration/test_inventory_batches.py::"
        "test_commands_that_race_each_other_leave_every_sum_right",
    ),
    Removal(
        "all-or-nothing",
        "Stock: every line of an order is set aside, or none",
        "shortages are not looked at",
        (Edit("inventory_svc/domain.py", "        if shortages:\n", "        if not wanted:\n"),),
        "tests/unit/test_inventory_handlers.py::test_nothing_is_set_aside_if_one_line_is_short",
    ),
    Removal(
        "payment-tombstone",
        "Tombstone: an undo before its do refuses what comes later (money)",
        "a void that finds nothing notes nothing",
        (
            Edit(
                "payments_svc/handlers.py",
                "payment = work.add(tombstone(command.order_id, command.reason))",
                "payment = tombstone(command.order_id, command.reason)",
            ),
        ),
        f"{_PAYMENTS}::test_a_void_that_finds_nothing_refuses_what_comes_later",
    ),
    Removal(
        "lease-token",
        "Payment lease: a result counts only under the last lease",
        "the token is not compared",
        (Edit("payments_svc/domain/payment.py", "if intent.lease_token != lease:", "if False:"),),
        f"{_PAYMENTS}::test_the_late_result_of_an_old_lease_is_ignored",
    ),
    Removal(
        "lease-held",
        "Payment lease: one executor at a time makes a call",
        "a live lease is taken over",
        (
            Edit(
                "payments_svc/domain/payment.py",
                "if intent.leased_until is not None and intent.leased_until > now:",
                "if False:",
            ),
        ),
        f"{_PAYMENTS}::test_a_copy_delivered_during_the_call_does_not_keep_the_result_out",
    ),
    Removal(
        "lease-first",
        "Payment lease: an order's first call has one, too",
        "the time is known only from a payment's row",
        (
            Edit(
                "payments_svc/tables/work.py",
                "self.now = row.now  # a first row's lease begins now, too",
                "assert row",
            ),
        ),
        "tests/integration/payments/test_commands.py::"
        "test_the_lease_of_an_orders_first_call_is_as_long_as_any",
    ),
    Removal(
        "provider-key",
        "Payment: a call is repeated under its first key",
        "each try has a key of its own",
        (
            Edit(
                "payments_svc/domain/intent.py",
                'return f"{self.order_id}:{self.operation}"',
                'return f"{uuid4()}:{self.operation}"',
            ),
        ),
        f"{_PAYMENTS}::test_an_executor_killed_between_the_call_and_the_result_leaves_one_charge",
    ),
    Removal(
        "idempotency-row",
        "Idempotency key: its answer is stored in the effect's transaction",
        "it is stored in a transaction of its own",
        (
            Edit(
                "shared_http/idempotency.py",
                "    if not idempotency_rows.add(connection, attempt.scope, attempt.stored(response)):\n",
                "    with current_edge().engine.begin() as own:\n"
                "        added = idempotency_rows.add(own, attempt.scope, attempt.stored(response))\n"
                "    if not added:\n",
            ),
        ),
        "tests/integration/test_idempotency.py::test_an_effect_that_is_rolled_back_at_the_end_frees_the_key",
    ),
    Removal(
        "idempotency",
        "Idempotency key: one effect, whatever Redis has forgotten",
        "an answered key is not looked at",
        (
            Edit(
                "shared_http/idempotency.py",
                "    if not idempotency_rows.add(connection, attempt.scope, attempt.stored(response)):\n"
                "        raise _AlreadyAnswered\n",
                "    idempotency_rows.add(connection, attempt.scope, attempt.stored(response))\n",
            ),
        ),
        "tests/integration/test_idempotency.py::test_without_redis_the_answers_are_the_same",
    ),
    Removal(
        "leaving",
        "Rolling restart: what is to end says so before it does",
        "the mark is not looked at",
        (
            Edit(
                "shared_http/health.py",
                "if self._leaving_mark is not None and self._leaving_mark.exists():",
                "if False:",
            ),
        ),
        "tests/unit/test_http_health.py::test_what_is_told_to_leave_says_so_until_the_mark_is_gone",
    ),
)
