#!/bin/sh
# What everything waits for: databases, users and queues; the four databases at the newest schema; and, while
# no real issuer is configured, the development issuer's key. Running it again changes nothing.
set -eu
orderflow migrate
exec python -m orderflow_cli.dev_issuer /jwks
