#!/usr/bin/env bash
# Checks what is under deploy/ and docker-compose.yml as far as that goes without a container engine or a cluster, in a
# minute or so. Tools come from Debian, PyPI and npm.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/tools.sh deploy

# A virtual environment of its own, renewed when the list of tools changes.
tools=.tools/deploy
if ! cmp -s scripts/deploy-check.txt $tools/installed.txt; then
  rm -rf $tools
  python3 -m venv $tools
  $tools/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: -r scripts/deploy-check.txt
  cp scripts/deploy-check.txt $tools/installed.txt
fi
PATH=$PATH:/usr/sbin:/usr/local/sbin:$PWD/.tools/kubectl
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What could not be looked at here, told once more at the end.
skipped=()
skip() {
  echo "  ($2: NOT checked)"
  skipped+=("$1: $2")
}

echo "docker-compose.yml: the Compose specification's own schema"
$tools/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

echo "docker-compose.yml and what its services are told: limits, ports, secrets, and who is where"
$tools/bin/python deploy/verify/wiring.py .

echo "deploy/docker/Dockerfile: hadolint"
$tools/bin/hadolint deploy/docker/Dockerfile

echo "deploy/compose/secrets.sh and deploy/nats/nats.conf: made once, never changed, accepted by nats-server"
mkdir "$work/secrets" "$work/data" "$work/nats"
# Whoever has these set means another account.
unset TWILIO_AUTH_TOKEN TWILIO_API_BASE_URL
if TWILIO_AUTH_TOKEN=x sh deploy/compose/secrets.sh "$work/secrets" "$work/data" 2>"$work/refusal" ||
  ! grep -q CASEWIRE_TWILIO__API_BASE_URL "$work/refusal"; then
  echo "a token without Twilio's URL was taken: replies would go to the simulator" >&2
  exit 1
fi
# The group that reads secrets is one that only root can give files to.
if [ "$(id -u)" = 0 ]; then
  sh deploy/compose/secrets.sh "$work/secrets" "$work/data"
  cp -R "$work/secrets" "$work/before"
  sh deploy/compose/secrets.sh "$work/secrets" "$work/data"
  diff -r "$work/before" "$work/secrets"
  ln -s "$work/secrets/stream" "$work/nats/secrets"
else
  skip deploy/compose/secrets.sh "not root"
  mkdir "$work/nats/secrets"
  echo 'CASEWIRE_PASSWORD: "x"' >"$work/nats/secrets/nats-password.conf"
fi
cp -R deploy/nats "$work/nats/conf"
.tools/nats/bin/nats-server -t -c "$work/nats/conf/nats.conf"
cp deploy/k8s/overlays/dev/nats.conf "$work/nats/conf/"
.tools/nats/bin/nats-server -t -c "$work/nats/conf/nats.conf"

echo "deploy/k8s: each overlay renders, in the schemas of Kubernetes; pods and policies are as they should be"
for overlay in dev prod; do
  kubectl kustomize deploy/k8s/overlays/$overlay >"$work/$overlay.yaml"
  $tools/bin/kubernetes-validate -k 1.34 --strict --no-warn --quiet "$work/$overlay.yaml"
  $tools/bin/python deploy/verify/reach.py "$work/$overlay.yaml"
  $tools/bin/python deploy/verify/pods.py "$work/$overlay.yaml" docs/metrics.md
done

echo "deploy/k8s/components: resources of KEDA and the Prometheus operator in the models of npm"
if command -v npm >/dev/null; then
  if ! cmp -s deploy/verify/crds/package.json .tools/crds/package.json; then
    mkdir -p .tools/crds
    rm -rf .tools/crds/node_modules
    cp deploy/verify/crds/package.json .tools/crds/
    # It is a tool, not a part of ours: no scripts, no advice.
    npm install --prefix .tools/crds --silent --no-audit --no-fund --ignore-scripts || { rm .tools/crds/package.json; exit 1; }
  fi
  cp deploy/verify/crds/check.mjs .tools/crds/
  node .tools/crds/check.mjs <"$work/prod.yaml"
else
  skip deploy/k8s/components "no npm"
fi

echo "deploy/grafana/dashboards: Grafana's own model"
$tools/bin/python deploy/verify/dashboards.py deploy/grafana/dashboards/*.json

echo "deploy/prometheus, deploy/alertmanager: their own checkers, and tests of every alert"
promtool check config --syntax-only deploy/prometheus/prometheus.yaml
promtool check rules --lint=all --lint-fatal deploy/prometheus/*.rules.yaml
# Each file by a process of its own: they need half a minute of one core.
printf '%s\n' deploy/prometheus/tests/*.yaml | xargs -P 0 -n 1 promtool test rules
deploy/verify/prometheusrule.sh | diff - deploy/k8s/components/monitoring/prometheusrule.yaml ||
  { echo "prometheusrule.yaml is not of these rules: deploy/verify/prometheusrule.sh says how to make it"; exit 1; }
amtool check-config deploy/alertmanager/alertmanager.yaml
route() { amtool config routes test --config.file deploy/alertmanager/alertmanager.yaml --verify.receivers "$@" >/dev/null; }
route page alertname=WorkerStalled severity=page
route ticket alertname=TextsHeld severity=ticket
route dead-man alertname=Watchdog severity=none

echo "deploy/nginx: nginx -t"
deploy/verify/nginx.sh "$work"


# Units as they are, but for the program, which need not be on this machine.
systemd_units() {
  if [ "$(uname -s)" != Linux ]; then
    skip deploy/systemd "not Linux"
    return
  fi
  if ! command -v systemd-analyze >/dev/null; then
    skip deploy/systemd "no systemd-analyze"
    return
  fi
  mkdir "$work/units"
  local unit
  for unit in deploy/systemd/*; do
    sed "s#/usr/local/bin/casewire #$(command -v true) #" "$unit" >"$work/units/${unit##*/}"
  done
  # What it does not know it only mentions, and ignores.
  local said
  said=$(systemd-analyze verify --man=no "$work"/units/* 2>&1) && [ -z "$said" ] || {
    printf '%s\n' "$said" >&2
    return 1
  }
  for unit in "$work"/units/*.service; do
    # Of 100: what a service could do to the machine if it were taken over.
    systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" | tail -1
  done
}

echo "deploy/systemd: systemd-analyze verify and security"
systemd_units

if [ ${#skipped[@]} -gt 0 ]; then
  echo "NOT checked on this machine:"
  printf '  %s\n' "${skipped[@]}"
fi
