#!/usr/bin/env bash
# Whether nginx takes deploy/nginx/casewire.conf, in folder $1: nginx -t, with the certificates of our tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$1
tls=$PWD/crates/bus/tests/it/tls
sed -e "s|/etc/nginx/tls/.*\.pem|$tls/server.pem|" -e "s|/etc/nginx/tls/.*\.key|$tls/server.key|" \
  -e "s|/var/log/nginx|$work|" deploy/nginx/casewire.conf >"$work/casewire.conf"
cat >"$work/nginx.conf" <<CONF
pid $work/nginx.pid;
error_log stderr;
events {}
http { include $work/casewire.conf; }
CONF
nginx -q -t -c "$work/nginx.conf" -p "$work"
