"""Whether every pod of a rendered overlay may run under pod security `restricted`, is asked how it is by the right
questions, ends in time, is scaled by one alone, and is not taken away with all of its kind.

    pods.py OVERLAY.yaml docs/metrics.md
"""

import re
import sys

import yaml

# server.unready_time, drain_timeout and close_timeout, and the last flush: what a role may need to end.
END = 5 + 30 + 5 + 2
VOLUMES = {"configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected", "downwardAPI", "csi", "ephemeral"}
wrong = []


def expect(holds, what):
    if not holds:
        wrong.append(what)


with open(sys.argv[1], encoding="utf-8") as file:
    documents = [document for document in yaml.safe_load_all(file) if document]
with open(sys.argv[2], encoding="utf-8") as file:
    metrics = set(re.findall(r"^\| `(\w+)`", file.read(), re.MULTILINE))


def of(kind):
    return [document for document in documents if document["kind"] == kind]


for namespace in of("Namespace"):
    labels = namespace["metadata"]["labels"]
    expect(labels.get("pod-security.kubernetes.io/enforce") == "restricted", "the namespace lets any pod in")
expect(of("Namespace"), "there is no namespace")

scaled = {}
for scaler in of("HorizontalPodAutoscaler") + of("ScaledObject"):
    name = scaler["spec"]["scaleTargetRef"]["name"]
    expect(name not in scaled, f"{name} is scaled by two")
    scaled[name] = scaler
for keda in of("ScaledObject"):
    expect(keda["spec"]["minReplicaCount"] >= 2 and keda["spec"].get("fallback"), "no worker where KEDA fails")
    for trigger in keda["spec"]["triggers"]:
        expect(trigger["metadata"].get("ignoreNullValues") == "false", "KEDA takes what is not reported for nothing to do")
        asked = set(re.findall(r"casewire_\w+", trigger["metadata"]["query"]))
        expect(asked and asked <= metrics, f"KEDA asks for {asked - metrics}, which nobody reports")

for workload in of("Deployment") + of("StatefulSet") + of("Job"):
    name, template = workload["metadata"]["name"], workload["spec"]["template"]
    spec, labels = template["spec"], template["metadata"]["labels"]
    context = spec.get("securityContext", {})
    expect(context.get("runAsNonRoot") is True, f"{name} may run as root")
    expect(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", f"{name} has no seccomp profile")
    expect(not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), f"{name} shares the host's")
    expect(spec.get("automountServiceAccountToken") is False, f"{name} is given a token of the cluster")
    for volume in spec.get("volumes", []):
        expect(set(volume) - {"name"} <= VOLUMES, f"{name} mounts {volume}")
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        expect(own.get("allowPrivilegeEscalation") is False, f"{name} may gain privileges")
        expect(own.get("capabilities", {}).get("drop") == ["ALL"], f"{name} keeps capabilities")
        expect(own.get("readOnlyRootFilesystem") is True, f"{name} may write to its image")
        expect("memory" in container["resources"].get("limits", {}), f"{name} may take all memory")
        expect(set(container["resources"]["requests"]) == {"cpu", "memory"}, f"{name} asks for nothing")
    role = labels.get("app.kubernetes.io/component")
    if workload["kind"] != "Deployment" or role == "simulator":
        continue
    container = spec["containers"][0]
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness", "startup")}
    expect(paths == {"liveness": "/livez", "readiness": "/readyz", "startup": "/livez"}, f"{name} is asked {paths}")
    expect(spec["terminationGracePeriodSeconds"] > END, f"{name} is killed before it may have ended")
    rolling = workload["spec"]["strategy"]["rollingUpdate"]
    expect(rolling["maxUnavailable"] == 0, f"a rollout takes a {role} away before another is there")
    expect(("replicas" in workload["spec"]) != (name in scaled), f"{name}: its number is owned by two, or by nobody")
    budgets = [
        budget for budget in of("PodDisruptionBudget") if budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ]
    expect(len(budgets) == 1 and budgets[0]["spec"]["maxUnavailable"] == 1, f"{name} may be drained away at once")

roles = {one["metadata"]["labels"].get("app.kubernetes.io/component") for one in of("Deployment")}
expect({"ingest", "worker", "desk"} <= roles, f"there are only {roles}")
migrations = of("Job")
expect(len(migrations) == 1, "there is not one migration")
for job in migrations:
    version = job["metadata"]["labels"]["app.kubernetes.io/version"]
    expect(job["metadata"]["name"].endswith(f"-{version}"), "a new version could not migrate: a Job cannot be changed")
    expect(job["spec"]["backoffLimit"] and job["spec"]["activeDeadlineSeconds"], "a migration is tried for ever")
print(*wrong, sep="\n", end="\n" if wrong else "")
sys.exit(bool(wrong))
