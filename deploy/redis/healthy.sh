#!/bin/sh
# Exit 0 if Redis answers its administrator, with its data loaded.
set -eu
REDISCLI_AUTH=$(cat "$REDIS_ADMIN_PASSWORD_FILE")
export REDISCLI_AUTH
[ "$(redis-cli ping)" = PONG ]
