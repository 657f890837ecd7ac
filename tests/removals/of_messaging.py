"""What keeps messages: none lost, none taken twice, none believed that is forged."""

from tests.removals.trial import Edit, Removal

_MESSAGING = "tests/integration/messaging"

OF_MESSAGING = (
    Removal(
        "inbox",
        "Inbox: a message id is claimed once",
        "every claim is fresh",
        (
            Edit(
                "shared_events/inbox.py",
                "    return {row[0] for row in run(connection, _CLAIM, as_rows(rows))}",
                "    run(connection, _CLAIM, as_rows(rows))\n    return {row['id'] for row in rows}",
            ),
        ),
        f"{_MESSAGING}/test_duplicates.py::test_a_message_sent_again_later_takes_no_second_effect",
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
                "        deliveries = bundles.split(_delivery(message))\n",
                "        deliveries = bundles.split(_delivery(message))\n        message.ack()\n",
            ),
        ),
        f"{_MESSAGING}/test_crashes.py::test_a_message_that_kills_its_process_once_takes_effect_once",
    ),
    Removal(
        "bundle-finished",
        "A bundle is acknowledged when all of its messages are done with",
        "acknowledged with the first",
        (
            Edit(
                "shared_events/batches.py",
                "            if not parked.post.unfinished:\n",
                "            if parked.post not in posts:\n",
            ),
        ),
        "tests/unit/test_acknowledgements.py::test_only_what_is_finished_is_acknowledged_and_all_of_it",
    ),
    Removal(
        "handed-over",
        "A stop ends what a pool process was handed",
        "Celery forgets what the process has not said it took",
        (
            Edit(
                "shared_events/consumer.py",
                "            job._accepted |= job._write_to is not None\n",
                "            pass\n",
            ),
        ),
        f"{_MESSAGING}/test_graceful_stop.py::"
        "test_what_a_pool_process_was_handed_is_done_although_it_had_not_said_that_it_took_it",
    ),
    Removal(
        "group-refused",
        "Group commit: what one order is refused for is not the others' answer",
        "the refusal is everybody's",
        (Edit("shared_events/spare.py", "not isinstance(error, _NOBODY_S_FAULT)", "False"),),
        "tests/integration/test_spare_connections.py::"
        "test_one_that_the_database_refuses_takes_none_of_the_others_with_it",
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
        (
            Edit("shared_events/parcel.py", "mandatory: bool = True", "mandatory: bool = False"),
            Edit("shared_events/relay/__init__.py", "mandatory=not _is_fact(first.type)", "mandatory=False"),
        ),
        f"{_MESSAGING}/test_relay.py::"
        "test_a_reply_that_nobody_can_receive_is_buried_and_its_replay_leaves_again",
    ),
    Removal(
        "relay-locks",
        "Relay: rows that another has in hand are left alone",
        "rows are not locked",
        (Edit("shared_events/relay/__init__.py", "LIMIT {BATCH} FOR UPDATE SKIP LOCKED", "LIMIT {BATCH}"),),
        f"{_MESSAGING}/test_relay.py::test_two_relays_share_the_work",
    ),
    Removal(
        "relay-frozen",
        "Relay: the server takes its rows from a frozen one",
        "a transaction may stand still as long as it likes",
        (
            Edit(
                "shared_events/database.py",
                "idle_in_transaction_session_timeout=15s",
                "idle_in_transaction_session_timeout=0",
            ),
        ),
        f"{_MESSAGING}/test_relay.py::"
        "test_when_a_relay_freezes_the_server_takes_its_rows_and_another_goes_on",
    ),
)
