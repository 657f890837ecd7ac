"""The names that mean the same on every machine: services, their processes, and all else that runs."""

SERVICES = ("orders", "inventory", "customers", "payments")

# One account name means the same party on every server: a service, the auditor of one, or Flower.
ACCOUNTS = (*SERVICES, *(f"{service}_audit" for service in SERVICES), "flower")

SERVERS = ("postgres", "redis", "rabbitmq")
