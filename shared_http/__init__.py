"""The edge of every API: access, idempotency, problems, paging, health, metrics. Handlers never import it."""
