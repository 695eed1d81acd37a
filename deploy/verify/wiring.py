"""Whether docker-compose.yml keeps what it promises, and whether what its services are told of each other is so: names,
ports and folders across compose, Prometheus, Grafana, the collector and Tempo, for which there is no checker here.

    wiring.py ROOT
"""

import pathlib
import sys
from urllib.parse import urlsplit

import yaml

root = pathlib.Path(sys.argv[1])
wrong = []


def read(path):
    return yaml.safe_load((root / path).read_text(encoding="utf-8"))


def expect(holds, what):
    if not holds:
        wrong.append(what)


services = read("docker-compose.yml")["services"]
once = {name for name, service in services.items() if service.get("restart") == "no"}
# Their images hold nothing that could ask; Prometheus scrapes them.
unasked = {"otel-collector", "tempo"}
for name, service in services.items():
    expect(service.get("read_only") is True, f"{name} may write to its image")
    expect(service.get("cap_drop") == ["ALL"], f"{name} keeps capabilities")
    expect("no-new-privileges:true" in service.get("security_opt", []), f"{name} may gain privileges")
    # Gives files to the group of those that read them, and has no network.
    expect("user" in service or name == "secrets", f"{name} runs as root")
    expect(service["logging"]["options"].get("max-size"), f"the logs of {name} grow for ever")
    image = service["image"]
    expect(image == "casewire:local" or not image.endswith(("latest", ":")) and ":" in image, f"{name}: which {image}?")
    for port in service.get("ports", []):
        expect(name == "ingest" or port.startswith("127.0.0.1:"), f"{name} is open to others: {port}")
    for variable, value in service.get("environment", {}).items():
        secret = any(word in variable for word in ("PASSWORD", "TOKEN", "KEY", "DATABASE__URL"))
        expect(not secret or variable.endswith("_FILE") or name == "secrets", f"{name} is given {variable} itself")
    if name not in once:
        memory = service.get("deploy", {}).get("resources", {}).get("limits", {}).get("memory")
        expect(memory, f"{name} may take all memory")
        expect(name in unasked or service.get("healthcheck", {}).get("start_period"), f"nobody asks {name} how it is")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        expect(not source.startswith("./") or (root / source).exists(), f"{name} mounts {source}, which is not there")
    for before, condition in (service.get("depends_on") or {}).items():
        needed = "service_completed_successfully" if before in once else "service_healthy"
        expect(condition["condition"] == needed, f"{name} does not wait until {before} is done or well")
expect("database" in services["postgres"]["networks"], "postgres is on the network that ingest is on")
expect("default" not in services["postgres"]["networks"], "postgres is on the network that ingest is on")
expect("networks" not in services["ingest"], "ingest is on more than the default network")

# Who is where, as far as its own configuration or image says.
collector, tempo = read("deploy/otel/collector.yaml"), read("deploy/tempo/tempo.yaml")


def port(address):
    return int(str(address).rsplit(":", 1)[1])


metrics = collector["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]["port"]
listens = {
    "otel-collector": {port(collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"]), metrics},
    "tempo": {
        tempo["server"]["http_listen_port"],
        port(tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"]),
    },
    "prometheus": {9090},
    "alertmanager": {9093},
    "grafana": {3000},
}
for role in ("ingest", "worker", "desk", "simulator"):
    told = services[role]["environment"]
    listens[role] = {port(told["CASEWIRE_SERVER__LISTEN"]), port(told["CASEWIRE_SERVER__OPS_LISTEN"])}


def leads(where, host, number):
    expect(host in services, f"{where} names {host}, which is no service")
    expect(number in listens.get(host, ()), f"{where} names {host}:{number}, where nobody listens")


def url(where, text):
    parts = urlsplit(text)
    leads(where, parts.hostname, parts.port)


for name, service in services.items():
    endpoint = service.get("environment", {}).get("CASEWIRE_TELEMETRY__OTLP_ENDPOINT")
    if endpoint:
        url(f"the OTLP endpoint of {name}", endpoint.split(":+")[1].rstrip("}"))
url("deploy/otel/collector.yaml", collector["exporters"]["otlphttp"]["endpoint"])
for kind, component in (("receivers", "otlp"), ("exporters", "otlphttp")):
    expect(set(collector[kind]) == {component}, f"the collector's {kind} are not only {component}")
for name, pipeline in collector["service"]["pipelines"].items():
    for kind, used in pipeline.items():
        missing = [component for component in used if component not in collector[kind]]
        expect(not missing, f"the collector's pipeline {name} has {kind} that are not configured: {missing}")
    # It must be able to refuse before anything else takes memory.
    expect(pipeline["processors"][0] == "memory_limiter", f"the collector's pipeline {name} is not limited first")
for source in read("deploy/grafana/provisioning/datasources/casewire.yaml")["datasources"]:
    url(f"Grafana's {source['name']}", source["url"])
prometheus = read("deploy/prometheus/prometheus.yaml")
jobs = prometheus["scrape_configs"] + prometheus["alerting"]["alertmanagers"]
for job in jobs:
    for group in job.get("dns_sd_configs", []):
        for name in group["names"]:
            leads("deploy/prometheus/prometheus.yaml", name, group["port"])
    for target in (target for group in job.get("static_configs", []) for target in group["targets"]):
        host, number = target.rsplit(":", 1)
        leads("deploy/prometheus/prometheus.yaml", "prometheus" if host == "127.0.0.1" else host, int(number))


def mounted(service, path):
    """Where a path of a container is in the repository; nothing where it is not from there."""
    for volume in services[service]["volumes"]:
        source, target = volume.split(":")[:2]
        if path.startswith(target + "/"):
            return root / source / path[len(target) + 1 :]
    return None


def exists(service, path):
    file = mounted(service, path)
    expect(file is not None and file.exists(), f"{service} reads {path}, which nothing puts there")


for rules in prometheus["rule_files"]:
    exists("prometheus", rules)
exists("grafana", services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
for service, flag in (
    ("prometheus", "--config.file="),
    ("alertmanager", "--config.file="),
    ("otel-collector", "--config="),
    ("tempo", "-config.file="),
):
    named = [word.removeprefix(flag) for word in services[service]["command"] if word.startswith(flag)]
    expect(named, f"{service} is told of no configuration")
    for path in named:
        exists(service, path)
exists("nats", services["nats"]["command"][1])
# What Tempo writes is on its volume.
for path in (tempo["storage"]["trace"]["local"]["path"], tempo["storage"]["trace"]["wal"]["path"]):
    expect(path.startswith("/var/tempo/"), f"Tempo writes to {path}, which is read-only")

print(*wrong, sep="\n", end="\n" if wrong else "")
sys.exit(bool(wrong))
