#!/usr/bin/env bash
# What checkov has against the image's Dockerfile and what Kubernetes gets. It is a large tool, hence not in deploy-check.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$PATH:$PWD/.tools/kubectl
tools=.tools/policy
if [ ! -x $tools/bin/checkov ]; then
  python3 -m venv $tools
  $tools/bin/python -m pip install -q --disable-pip-version-check checkov==3.3.30
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for overlay in dev prod; do kubectl kustomize deploy/k8s/overlays/$overlay >"$work/$overlay.yaml"; done

# It would ask its makers' servers first, and wait for them where they cannot be reached.
scan() { http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 $tools/bin/checkov --skip-download --quiet --compact "$@"; }

echo "checkov: Dockerfile"
scan --framework dockerfile -f deploy/docker/Dockerfile

# CKV_K8S_11: no limit of cpu, which would throttle the bursts that a webhook must survive.
# CKV_K8S_15: images are pinned, so a pull at every start would add nothing but a dependency on the registry.
# CKV_K8S_43: the digest is yours to give, once you have pushed the image.
echo "checkov: what Kubernetes gets in production"
scan --framework kubernetes --skip-check CKV_K8S_11,CKV_K8S_15,CKV_K8S_43 -f "$work/prod.yaml"
# CKV_K8S_40: PostgreSQL's own image has the low uid of Debian's user.
echo "checkov: what a trial cluster gets"
scan --framework kubernetes --skip-check CKV_K8S_11,CKV_K8S_15,CKV_K8S_43,CKV_K8S_40 -f "$work/dev.yaml"
