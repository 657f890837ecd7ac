#!/bin/sh
# A Docker engine of its own, apart from any that the machine has: `engine.sh start|stop DIRECTORY`. Needs root
# and dockerd. It listens at DIRECTORY/docker.sock; `stop` removes its bridge and its packet filter rules too.
set -eu
directory=$2
socket=unix://$directory/docker.sock

start() {
    mkdir -p "$directory"
    cat > "$directory/daemon.json" <<JSON
{
  "data-root": "$directory/data", "exec-root": "$directory/run", "pidfile": "$directory/dockerd.pid",
  "hosts": ["$socket"], "bip": "10.99.0.1/24",
  "default-address-pools": [{"base": "10.98.0.0/16", "size": 24}],
  "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 4096, "Soft": 4096}}
}
JSON
    policy=$(iptables -S FORWARD | sed -n 's/^-P FORWARD //p')
    nice -n 5 dockerd --config-file "$directory/daemon.json" > "$directory/dockerd.log" 2>&1 &
    for _ in $(seq 60); do
        if DOCKER_HOST=$socket docker version > /dev/null 2>&1; then
            iptables -P FORWARD "$policy" # dockerd makes it DROP, which cuts off whoever else routes here
            return
        fi
        sleep 0.5
    done
    tail -n 3 "$directory/dockerd.log" >&2
    exit 1
}

stop() {
    pid=$(cat "$directory/dockerd.pid" 2>/dev/null || true)
    if [ -n "$pid" ]; then
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.5; done
    fi
    ip link delete docker0 2>/dev/null || true
    for table in filter nat; do clear_rules "$table"; done
}

clear_rules() { # TABLE: rules that lead to Docker's chains or belong to its networks, then the chains
    iptables -t "$1" -S | grep -E '^-A .*(DOCKER|docker0|10\.9[89]\.|-[io] br-)' | sed 's/^-A/-D/' |
        while read -r rule; do
            # shellcheck disable=SC2086 - a rule is several arguments
            iptables -t "$1" $rule
        done
    iptables -t "$1" -S | sed -n 's/^-N \(DOCKER.*\)/\1/p' | while read -r chain; do
        iptables -t "$1" -F "$chain"
        iptables -t "$1" -X "$chain" 2>/dev/null || true
    done
    # A chain that another one led to could not go before that one.
    iptables -t "$1" -S | sed -n 's/^-N \(DOCKER.*\)/\1/p' | while read -r chain; do
        iptables -t "$1" -X "$chain"
    done
}

"$1"
