#!/usr/bin/env python3
"""Draws a dashboard as a picture, from what a Prometheus holds: for the docs, where there is no Grafana.

    scripts/draw-dashboard.py http://127.0.0.1:9090 deploy/grafana/dashboards/overview.json MINUTES > docs/dashboard.svg

It draws what the panels ask for, in their places and units, and not how Grafana looks.
"""

import json
import math
import sys
import time
import urllib.parse
import urllib.request
from html import escape

WIDTH, ROW, GAP = 1200, 26, 8
COLOURS = ["#3274d9", "#e0752d", "#56a64b", "#8f3bb8", "#c4162a", "#b8860b", "#37872d", "#5794f2"]
base, board_file, minutes = sys.argv[1], sys.argv[2], float(sys.argv[3])
end = time.time()
start = end - minutes * 60
step = max(5, int(minutes * 60 / 200))


def ask(path, **query):
    with urllib.request.urlopen(f"{base}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
        return json.load(answer)["data"]["result"]


def plain(expr):
    for variable, value in (("$__rate_interval", "1m"), ("$instance", ".*"), ("$role", ".*")):
        expr = expr.replace(variable, value)
    return expr


def named(legend, labels):
    for label, value in labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return "" if "{{" in legend or legend == "__auto" else legend


def shown(value, unit):
    """A number as a person reads it."""
    if unit == "percentunit":
        return f"{value * 100:.1f} %"
    if unit in ("s", "dtdurations"):
        for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (0.001, "ms")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return "0 s" if value == 0 else f"{value * 1e6:.3g} µs"
    if unit == "dateTimeAsIso":
        return time.strftime("%H:%M", time.gmtime(value / 1000))
    if unit == "bytes":
        for size, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
            if value >= size:
                return f"{value / size:.3g} {name}"
    suffix = "/s" if unit in ("reqps", "ops", "cps", "wps", "mps", "eps") else ""
    return f"{value:.3g}{suffix}"


def colour(panel, value):
    """That of the last threshold which is reached."""
    reached = "#37872d"
    for limit in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if limit["value"] is None or value >= limit["value"]:
            reached = {"red": "#c4162a", "orange": "#e0752d", "green": "#37872d", "yellow": "#b8860b"}.get(limit["color"], reached)
    return reached


def stat(panel, x, y, width, height):
    found = []
    for target in panel["targets"]:
        for series in ask("query", query=plain(target["expr"]), time=end):
            found.append((named(target.get("legendFormat", ""), series["metric"]), float(series["value"][1])))
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    found = [(name, value) for name, value in found if not math.isnan(value)] or [("", None)]
    part = width / len(found)
    for index, (name, value) in enumerate(found):
        fill = "#888" if value is None else colour(panel, value)
        text = "no data" if value is None else shown(value, unit)
        yield f'<rect x="{x + index * part:.0f}" y="{y}" width="{part - 2:.0f}" height="{height}" fill="{fill}" rx="3"/>'
        centre = x + index * part + part / 2
        yield f'<text x="{centre:.0f}" y="{y + height / 2 + 8:.0f}" text-anchor="middle" fill="#fff" font-size="22">{escape(text)}</text>'
        if name:
            yield f'<text x="{centre:.0f}" y="{y + height - 8:.0f}" text-anchor="middle" fill="#fff">{escape(name)}</text>'


def lines(panel, x, y, width, height):
    found = []
    for target in panel["targets"]:
        for series in ask("query_range", query=plain(target["expr"]), start=start, end=end, step=step):
            points = [(float(at), float(value)) for at, value in series["values"]]
            points = [(at, value) for at, value in points if not math.isnan(value)]
            if points:
                found.append((named(target.get("legendFormat", ""), series["metric"]), points))
    found.sort(key=lambda one: -max(value for _, value in one[1]))
    # What never was anything is in the legend of Grafana, and would only fill the picture here.
    busy = [one for one in found if max(value for _, value in one[1]) > 0] or found[:1]
    unit = panel["fieldConfig"]["defaults"].get("unit", "short")
    legend = 16
    bottom, left = y + height - legend, x + 52
    values = [value for _, points in busy for _, value in points]
    low, high = (min(values), max(values)) if unit == "dateTimeAsIso" and values else (0, max(values, default=1) or 1)
    high = high if high > low else low + 1
    for part in (0, 0.5, 1):
        at = bottom - (bottom - y - 4) * part
        yield f'<line x1="{left}" x2="{x + width}" y1="{at:.0f}" y2="{at:.0f}" stroke="#ddd"/>'
        yield f'<text x="{left - 4}" y="{at + 4:.0f}" text-anchor="end" fill="#666">{escape(shown(low + (high - low) * part, unit))}</text>'
    at = x
    for index, (name, points) in enumerate(busy[: len(COLOURS)]):
        path = " ".join(
            f"{left + (when - start) / (end - start) * (x + width - left):.1f},{bottom - (value - low) / (high - low) * (bottom - y - 4):.1f}"
            for when, value in points
        )
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[index]}" stroke-width="1.5"/>'
        if name and at + 7 * len(name) < x + width:
            yield f'<rect x="{at}" y="{bottom + 8}" width="9" height="3" fill="{COLOURS[index]}"/>'
            yield f'<text x="{at + 12}" y="{bottom + 14}" fill="#444">{escape(name)}</text>'
            at += 7 * len(name) + 22


with open(board_file, encoding="utf-8") as file:
    board = json.load(file)
out, tallest = [], 0
for panel in board["panels"]:
    place = panel["gridPos"]
    x, y = place["x"] * WIDTH / 24 + GAP, place["y"] * ROW + 40
    width, height = place["w"] * WIDTH / 24 - 2 * GAP, place["h"] * ROW - GAP
    tallest = max(tallest, y + height)
    x, width = round(x), round(width)
    if panel["type"] == "row":
        out.append(f'<text x="{x}" y="{y + 17}" font-size="14" font-weight="bold" fill="#444">{escape(panel["title"])}</text>')
        continue
    out.append(f'<rect x="{x - 4}" y="{y}" width="{width + 8}" height="{height}" fill="#fff" stroke="#ddd" rx="4"/>')
    out.append(f'<text x="{x + 2}" y="{y + 15}" font-weight="bold" fill="#333">{escape(panel["title"])}</text>')
    draw = stat if panel["type"] == "stat" else lines
    if panel["type"] in ("stat", "timeseries"):
        out.extend(draw(panel, x, y + 22, width - 4, height - 26))
print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {tallest + GAP:.0f}" font-family="sans-serif" font-size="11">')
print(f'<rect width="100%" height="100%" fill="#f4f5f5"/><text x="8" y="26" font-size="18" fill="#222">{escape(board["title"])}</text>')
print(*out, "</svg>", sep="\n")
