#!/bin/sh
# Build the stand-ins into the Docker engine that DOCKER_HOST names: `build.sh WORK_DIRECTORY`. Needs root and
# debootstrap. The images get the official names, so use an engine of its own (deploy/stand-ins/engine.sh).
set -eu
cd "$(dirname "$0")"
work=$1
root=$work/debian
mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/debian.sources 2>/dev/null || true)
export DOCKER_BUILDKIT=0 # the one that needs no plugin

if [ ! -e "$root/usr/bin/python3" ]; then
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
        bookworm "$root" "${mirror:-http://deb.debian.org/debian}" > "$work/debootstrap.log" 2>&1
fi
# What this machine needs to reach its package registries, the images need too.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/pip.conf /etc/apt/apt.conf.d/99*; do
    [ ! -e "$file" ] || cp "$file" "$root$file"
done
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d" # installing starts no server
chmod 755 "$root/usr/sbin/policy-rc.d"
tar -C "$root" --numeric-owner -c . | docker import - orderflow-stand-in > /dev/null

for name in python postgres redis rabbitmq caddy; do
    tag=$(sed -n "s/^ *\(FROM\|image:\) \($name:[^ ]*\).*/\2/p" ../Dockerfile ../../compose.yml | head -n 1)
    echo "$tag"
    docker build --target "$name" --tag "$tag" . > "$work/build.log" 2>&1 || { tail -n 20 "$work/build.log" >&2; exit 1; }
done
