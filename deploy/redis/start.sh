#!/bin/sh
# Start Redis with users by access list (compose.yml; the local stack does the same in local_stack/redis.py).
# The administrator's password is in the file $REDIS_ADMIN_PASSWORD_FILE; the services' users are made by
# `orderflow_cli.provision` and kept in /data/users.acl.
set -eu
users=/data/users.acl
if [ ! -s "$users" ]; then
    digest=$(tr -d '\n' < "$REDIS_ADMIN_PASSWORD_FILE" | sha256sum | cut -d ' ' -f 1)
    printf 'user default on #%s ~* &* +@all\n' "$digest" > "$users"
fi
exec redis-server /etc/orderflow/redis.conf --dir /data --aclfile "$users"
