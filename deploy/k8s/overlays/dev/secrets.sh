#!/bin/sh
# Makes the Secrets of this overlay in the namespace `casewire` where they are absent, and never changes one that is
# there. A real installation makes its own: docs/operations.md.
set -eu
namespace=casewire

hex() { od -An -v -tx1 -N 24 /dev/urandom | tr -d ' \n'; }

absent() { ! kubectl -n $namespace get secret "$1" >/dev/null 2>&1; }

kubectl get namespace $namespace >/dev/null 2>&1 || kubectl create namespace $namespace

if absent casewire-keys; then
  kubectl -n $namespace create secret generic casewire-keys --from-literal="master-key=$(head -c 32 /dev/urandom | base64)"
fi
if absent casewire-stream; then
  password=$(hex)
  kubectl -n $namespace create secret generic casewire-stream --from-literal="password=$password" \
    --from-literal="nats-password.conf=CASEWIRE_PASSWORD: \"$password\""
fi
if absent casewire-database; then
  password=$(hex)
  kubectl -n $namespace create secret generic casewire-database --from-literal="password=$password" \
    --from-literal="url=postgres://casewire:$password@postgres:5432/casewire"
fi
