#!/bin/sh
# Start Caddy with what deploy/gateway/Caddyfile refers to. Passwords come from files, never from the
# environment that `docker inspect` shows: $OPS_PASSWORD_FILE, and Flower's password on RabbitMQ in
# $FLOWER_PASSWORD_FILE.
set -eu
OPS_PASSWORD_HASH=$(printf "%s\n" "$(cat "$OPS_PASSWORD_FILE")" | caddy hash-password)
RABBITMQ_AUTHORIZATION="Basic $(printf 'flower:%s' "$(cat "$FLOWER_PASSWORD_FILE")" | base64 | tr -d '\n')"
export OPS_PASSWORD_HASH RABBITMQ_AUTHORIZATION
exec caddy run --config /etc/orderflow/Caddyfile --adapter caddyfile
