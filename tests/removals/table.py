"""The mechanisms that keep orders, stock and money right, each with the smallest edit that takes it out.

Short texts, so that they survive changes nearby; tests/house/test_removals.py says when one no longer applies.
"""

from tests.removals.trial import Edit, Removal

_MESSAGING = "tests/integration/messaging"
_PAYMENTS = "tests/integration/payments/test_payments.py"

REMOVALS = (
    Removal(
        "inbox",
        "Inbox: a message id is claimed once",
        "every claim is fresh",
        (
            Edit(
                "shared_events/inbox.py",
                "    return {row[0] for row in connection.exec_driver_sql(_CLAIM, columns)}",
                "    connection.exec_driver_sql(_CLAIM, columns)\n    return set(columns['id'])  # type: ignore",
            ),
        ),
        f"{_MESSAGING}/test_duplicates.py::test_a_message_sent_again_later_takes_no_second_effect",
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
        "strict-consumer",
        "Strict consumer: what cannot be read is a dead letter",
        "Celery's own handling, which acknowledges it away",
        (
            Edit(
                "shared_events/consumer.py",
                "= self._batches.take\n",
                "= super().create_task_handler()\n",
            ),
        ),
        f"{_MESSAGING}/test_bad_messages.py::test_an_unreadable_body_is_buried_with_its_reason",
    ),
    Removal(
        "decode-error",
        "Strict consumer: so is what cannot be unpacked",
        "Celery's own handling, which acknowledges it away",
        (
            Edit(
                "shared_events/consumer.py",
                "        self._batches.take(message)\n",
                "        super().on_decode_error(message, _error)\n",
            ),
        ),
        f"{_MESSAGING}/test_bad_messages.py::test_a_compressed_message_is_buried",
    ),
    Removal(
        "late-acks",
        "Acknowledged only after the verdict",
        "acknowledged on arrival",
        (
            Edit(
                "shared_events/batches.py",
                "        delivery = _delivery(message)\n",
                "        delivery = _delivery(message)\n        message.ack()\n",
            ),
        ),
        f"{_MESSAGING}/test_crashes.py::test_a_message_that_kills_its_process_once_takes_effect_once",
    ),
    Removal(
        "confirms",
        "Relay: deletes only what the broker has confirmed",
        "what was sent counts as confirmed",
        (
            Edit(
                "shared_events/publisher.py",
                "self._waiting[self._sequence] = parcel.id",
                "self._confirmed.add(parcel.id)",
            ),
        ),
        f"{_MESSAGING}/test_relay.py::test_what_a_silent_broker_has_not_confirmed_stays_in_the_outbox",
    ),
    Removal(
        "mandatory",
        "Relay: what no queue takes comes back",
        "published without `mandatory`",
        (Edit("shared_events/publisher.py", "mandatory=True", "mandatory=False"),),
        f"{_MESSAGING}/test_relay.py::"
        "test_a_reply_that_nobody_can_receive_is_buried_and_its_replay_leaves_again",
    ),
    Removal(
        "relay-lease",
        "Relay: rows that another has leased are left alone",
        "leases are not looked at",
        (
            Edit(
                "shared_events/relay/__init__.py",
                "AND (leased_until IS NULL OR leased_until < now())",
                "",
            ),
        ),
        f"{_MESSAGING}/test_relay.py::test_two_relays_share_the_work",
    ),
    Removal(
        "relay-finish",
        "Relay: a stopped one deletes what it has published",
        "it ends as it stands",
        (Edit("shared_events/relay/__init__.py", "        self._finish()\n", ""),),
        f"{_MESSAGING}/test_relay.py::"
        "test_a_relay_that_is_stopped_in_the_middle_leaves_nothing_to_be_sent_again",
    ),
    Removal(
        "forged",
        "A message counts only if the user of its source published it",
        "`user_id` is not compared",
        (
            Edit(
                "shared_events/delivery.py",
                "if envelope.source != owner or delivery.user_id != publisher:",
                "if False:",
            ),
        ),
        f"{_MESSAGING}/test_bad_messages.py::test_a_message_from_another_than_it_says_is_buried",
    ),
    Removal(
        "outbox",
        "Outbox: messages leave with the transaction, or not at all",
        "they are written in a transaction of their own",
        (
            Edit(
                "shared_events/work.py",
                "        outbox.write(self._writes, self._outgoing)\n",
                "        with self.connection.engine.begin() as own:\n"
                "            apart = Writes()\n"
                "            outbox.write(apart, self._outgoing)\n"
                "            apart.send(own)\n",
            ),
        ),
        "tests/integration/test_inventory_batches.py::"
        "test_a_message_that_the_database_refuses_hurts_only_itself",
    ),
    Removal(
        "alone",
        "A bad message of a batch hurts only itself",
        "the batch fails as one",
        (
            Edit(
                "shared_events/runtime.py",
                "if len(once) == 1 or database.is_lost(error):",
                "if once:",
            ),
        ),
        f"{_MESSAGING}/test_bad_messages.py::test_one_bad_message_in_a_batch_harms_no_other",
    ),
    Removal(
        "dead-letter-confirmed",
        "A dead letter is confirmed before its message is acknowledged",
        "the broker's answer is not looked at",
        (Edit("shared_events/runtime.py", "if parcel.id in outcome.confirmed:", "if parcel.id:"),),
        "tests/unit/test_verdicts.py::test_a_message_is_kept_until_its_copy_is_confirmed",
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
                "    .order_by(STOCK.c.sku)\n    .with_for_update(key_share=True)\n",
                "    .order_by(STOCK.c.sku)\n",
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
        "idempotency-row",
        "Idempotency key: its answer is stored in the effect's transaction",
        "it is stored in a transaction of its own",
        (
            Edit(
                "shared_http/idempotency.py",
                "    if not idempotency_rows.add(connection, attempt.scope, stored):\n",
                "    with current_edge().engine.begin() as own:\n"
                "        added = idempotency_rows.add(own, attempt.scope, stored)\n"
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
                "    if not idempotency_rows.add(connection, attempt.scope, stored):\n        raise _AlreadyAnswered\n",
                "    idempotency_rows.add(connection, attempt.scope, stored)\n",
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
