"""Who reaches whom under the NetworkPolicies of a rendered overlay, if the cluster's network enforces them.

    reach.py OVERLAY.yaml

Pods are those of the overlay, and some that stand for what is outside of it.
"""

import ipaddress
import sys

import yaml

OURS = "casewire"


def pod(name, namespace, labels, address=None):
    return {"name": name, "namespace": namespace, "labels": labels, "address": address, "ports": {}}


# The labels are those that each one's own chart or operator gives.
OUTSIDE = [
    pod("nats", "nats", {"app.kubernetes.io/name": "nats"}),
    pod("postgres", "databases", {"cnpg.io/podRole": "instance"}),
    pod("dns", "kube-system", {"k8s-app": "kube-dns"}),
    pod("ingress-nginx", "ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    pod("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"}),
    pod("stranger", "default", {"app.kubernetes.io/name": "casewire", "app.kubernetes.io/component": "worker"}),
    pod("the internet", None, {}, "203.0.113.7"),
    pod("the cluster's own API", None, {}, "10.96.0.1"),
    pod("the cloud's metadata", None, {}, "169.254.169.254"),
]


def pods(documents):
    for document in documents:
        template = document.get("spec", {}).get("template") if isinstance(document.get("spec"), dict) else None
        if template is None or document["kind"] not in ("Deployment", "StatefulSet", "Job"):
            continue
        labels = template["metadata"]["labels"]
        name = labels.get("app.kubernetes.io/component") or labels["app.kubernetes.io/name"]
        found = pod(name, document["metadata"]["namespace"], labels)
        for container in template["spec"]["containers"]:
            found["ports"].update({port["name"]: port["containerPort"] for port in container.get("ports", [])})
        yield found


def matches(selector, labels):
    """Whether a label selector chooses these labels; an empty one chooses all."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", []):
        has = labels.get(rule["key"])
        holds = {
            "In": lambda: has in rule["values"],
            "NotIn": lambda: has not in rule["values"],
            "Exists": lambda: has is not None,
            "DoesNotExist": lambda: has is None,
        }[rule["operator"]]()
        if not holds:
            return False
    return True


def is_peer(peer, other, namespace):
    if "ipBlock" in peer:
        if other["address"] is None:
            return False
        address = ipaddress.ip_address(other["address"])
        excepted = any(address in ipaddress.ip_network(block) for block in peer["ipBlock"].get("except", []))
        return address in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not excepted
    if other["address"] is not None:
        return False
    if "namespaceSelector" in peer:
        # The cluster itself labels every namespace with its name.
        if not matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other["namespace"]}):
            return False
    elif other["namespace"] != namespace:
        return False
    return matches(peer.get("podSelector", {}), other["labels"])


def is_port(listed, port, target):
    number = listed.get("port")
    if isinstance(number, str):
        number = target["ports"].get(number)
    return listed.get("protocol", "TCP") == "TCP" and number in (None, port)


def allowed(policies, side, peers, subject, other, target, port):
    """Whether the policies of one side let it through: those that choose the subject, if any does."""
    chosen = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == subject["namespace"]
        and side in policy["spec"]["policyTypes"]
        and matches(policy["spec"]["podSelector"], subject["labels"])
    ]
    if not chosen:
        return True
    for policy in chosen:
        for rule in policy["spec"].get(side.lower()) or []:
            peer = any(is_peer(peer, other, subject["namespace"]) for peer in rule.get(peers, [])) or not rule.get(peers)
            listed = any(is_port(one, port, target) for one in rule.get("ports", [])) or not rule.get("ports")
            if peer and listed:
                return True
    return False


def reaches(policies, source, target, port):
    return allowed(policies, "Egress", "to", source, target, target, port) and allowed(
        policies, "Ingress", "from", target, source, target, port
    )


with open(sys.argv[1], encoding="utf-8") as file:
    documents = [document for document in yaml.safe_load_all(file) if document]
policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
inside = list(pods(documents))
trial = any(one["name"] == "postgres" for one in inside)
# A trial has servers of its own, in its namespace.
everybody = inside + [one for one in OUTSIDE if not (trial and one["name"] in ("nats", "postgres"))]
named = {one["name"]: one for one in everybody}
wrong = []


def only(sources, target, port):
    """Exactly these reach it."""
    found = {one["name"] for one in everybody if one["name"] != target and reaches(policies, one, named[target], port)}
    # What is neither ours nor chosen by a policy of ours reaches the world as it likes.
    if named[target]["namespace"] != OURS:
        found &= {one["name"] for one in inside}
    if found != sources:
        wrong.append(f"{target}:{port} is reached by {sorted(found)}, not by {sorted(sources)}")


only({"worker"}, "the internet", 443)
only(set(), "the internet", 80)
only(set(), "the cluster's own API", 443)
only(set(), "the cloud's metadata", 80)
only({"worker", "desk", "migrate"}, "postgres", 5432)
only({"ingest", "worker", "migrate"}, "nats", 4222)
if trial:
    only({"worker"}, "simulator", 8080)
    only({"simulator", "worker"}, "ingest", 8080)
    only(set(), "desk", 8080)
else:
    only({"ingress-nginx"}, "ingest", 8080)
    only({"ingress-nginx"}, "desk", 8080)
    for role in ("ingest", "worker", "desk"):
        only({"prometheus"}, role, 9090)
    # Traces.
    only({"ingest", "worker", "desk", "migrate"}, "prometheus", 4318)
only(set(), "worker", 8080)
for one in inside:
    if one["labels"].get("app.kubernetes.io/name") == OURS and not reaches(policies, one, named["dns"], 53):
        wrong.append(f"{one['name']} cannot ask for names")
print(*wrong, sep="\n", end="\n" if wrong else "")
sys.exit(bool(wrong))
