"""Messaging that loses nothing and doubles nothing: contracts, outbox, relay, inbox, dead letters."""
