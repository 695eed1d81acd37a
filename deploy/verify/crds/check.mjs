// Checks the resources of a rendered overlay whose kinds Kubernetes itself does not know: node check.mjs < rendered.yaml
// The models know the types of fields. They let unknown ones by, so those that we use are listed here.
import { readFileSync } from "node:fs";
import { loadAll } from "js-yaml";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";

const MODELS = { ScaledObject, PodMonitor, PrometheusRule };
const KNOWN = {
  ScaledObject: ["scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "fallback", "advanced", "triggers"],
  PodMonitor: ["selector", "podMetricsEndpoints"],
  PrometheusRule: ["groups"],
};

const found = loadAll(readFileSync(0, "utf8")).filter((resource) => resource?.kind in MODELS);
for (const resource of found) {
  const name = `${resource.kind} ${resource.metadata.name}`;
  new MODELS[resource.kind](resource).validate();
  const unknown = Object.keys(resource.spec).filter((key) => !KNOWN[resource.kind].includes(key));
  if (unknown.length > 0) throw new Error(`${name}: not among the fields we know: ${unknown}`);
  console.log(`  ${name}`);
}
if (found.length === 0) throw new Error("nothing to check: was monitoring left out of the overlay?");
