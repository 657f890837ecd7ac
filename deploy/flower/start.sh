#!/bin/sh
# Start Flower, which reads its secrets from the environment only: put them there from their files, out of
# sight of `docker inspect`.
set -eu
broker=$(cat "$FLOWER_PASSWORD_FILE")
CELERY_BROKER_URL="amqp://flower:$broker@rabbitmq:5672/orderflow"
FLOWER_BROKER_API="http://flower:$broker@rabbitmq:15672/api/"
FLOWER_BASIC_AUTH="$OPS_USER:$(cat "$OPS_PASSWORD_FILE")"
export CELERY_BROKER_URL FLOWER_BROKER_API FLOWER_BASIC_AUTH
exec celery -A shared_events.flower flower --address=0.0.0.0 --port=5555 --url-prefix=flower --max-tasks=10000
