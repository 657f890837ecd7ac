#!/bin/sh
# Make secrets/ for compose.yml: a random password for each party on each server, and the addresses that contain
# them. What is there already stays: run it again after an upgrade that wants a new secret.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "${1:-secrets}"
cd "${1:-secrets}"
chmod 700 .
umask 022 # the directory keeps others out; inside a container the file must be readable for its user

random() { # NAME: a password, unless there is one
    [ -s "$1" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > "$1"
}
address() { # NAME TEXT: what contains passwords made before
    [ -s "$1" ] || printf '%s' "$2" > "$1"
}

for server in postgres rabbitmq redis; do random "${server}_admin_password"; done
address postgres_admin_url "postgresql://postgres:$(cat postgres_admin_password)@postgres:5432/postgres"
address rabbitmq_admin_url "http://admin:$(cat rabbitmq_admin_password)@rabbitmq:15672"
address redis_admin_url "redis://default:$(cat redis_admin_password)@redis:6379/0"
address rabbitmq_admin.conf "default_user = admin
default_pass = $(cat rabbitmq_admin_password)
"
for service in orders inventory customers payments; do
    random "password_${service}"
    random "password_${service}_audit"
    password=$(cat "password_${service}")
    address "${service}_database_url" "postgresql://${service}:${password}@postgres:5432/${service}"
    address "${service}_broker_url" "amqp://${service}:${password}@rabbitmq:5672/orderflow"
    address "${service}_redis_url" "redis://${service}:${password}@redis:6379/0"
done
random password_flower
random password_ops
