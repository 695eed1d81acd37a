"""Reads each dashboard into Grafana's own model and writes it again: a key that is gone then is one Grafana does not know.

    dashboards.py FILE…
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# Grafana writes these itself; the model leaves them out.
KNOWN = {".id", ".annotations.list.titleFormat", ".templating.list.definition"}


def lost(before, after, path=""):
    """Where `after` has not what `before` has."""
    if isinstance(before, dict):
        for key, value in before.items():
            if not isinstance(after, dict) or key not in after:
                yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        if len(before) != len(after):
            yield f"{path} has another length"
        for one, other in zip(before, after):
            yield from lost(one, other, path)
    elif before != after:
        yield f"{path} became {after!r}"


register_default_plugins()
failed = False
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        before = json.load(file)
    after = json.loads(JSONEncoder().encode(Dashboard.from_json(before)))
    for what in sorted(set(lost(before, after)) - KNOWN):
        failed = True
        print(f"{name}: {what}")
sys.exit(failed)
