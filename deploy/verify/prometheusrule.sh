#!/bin/sh
# Writes the rules once more, as the Prometheus operator wants them: the same text, two spaces further in.
#
#   deploy/verify/prometheusrule.sh > deploy/k8s/components/monitoring/prometheusrule.yaml
set -eu
cd "$(dirname "$0")/../prometheus"
echo "# Made by deploy/verify/prometheusrule.sh from deploy/prometheus: change it there."
for rules in recording alerts; do
  cat <<HEAD
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: casewire-$rules
  labels: { app.kubernetes.io/name: casewire }
spec:
HEAD
  sed -e '/^#/d' -e 's/^./  &/' "$rules.rules.yaml"
done
