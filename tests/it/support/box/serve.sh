#!/bin/sh
# What every container of the box runs: serves its release at /api/version, counts its starts in the data volume, and logs a beat.
if [ "$MODE" = crashes ]; then
    echo "cannot start: broken on purpose" >&2
    exit 3
fi
mkdir -p /data /www/api
echo "$RELEASE" >>/data/starts
if [ "$MODE" != ailing ]; then
    echo "$RELEASE" >/www/api/version
fi
while :; do
    echo "beat $RELEASE"
    sleep 2
done &
exec httpd -f -p 8080 -h /www
