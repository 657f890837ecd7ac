#!/bin/bash
# Exit 0 if RabbitMQ answers an AMQP client's first words, and its management API listens. RabbitMQ's own
# command line would start an Erlang machine for each probe.
set -eu
exec 3<>/dev/tcp/127.0.0.1/15672 4<>/dev/tcp/127.0.0.1/5672
printf 'AMQP\0\0\11\1' >&4
answer=$(head -c 1 <&4 | od -An -tu1 | tr -d ' ')
[ "$answer" = 1 ] # a frame of the kind "method": connection.start
