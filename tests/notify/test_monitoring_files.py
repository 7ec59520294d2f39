"""The dashboard and the alert rules are about metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.installation import KINDS
from tests.support.machine import CHECKOUT, Machine, write

FOLDER = CHECKOUT / "config" / "monitoring"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The names of all samples that a scan gives, with the labels of each."""
    machine = Machine(tmp_path_factory.mktemp("metrics"))
    for kind in KINDS:
        (machine.work / "ComfyUI" / kind).mkdir(parents=True)
    for name in ("a", "b"):
        write(machine.work / "ComfyUI" / "models" / "vae" / f"{name}.safetensors", "same" * 99)
    machine.run("scan")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(machine.run("metrics").stdout):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*panels, *(rule["expr"] for rule in ALERTS)]


@pytest.mark.parametrize("query", queries())
def test_queries_name_metrics_and_labels_that_there_are(
    samples: dict[str, set[str]], query: str
) -> None:
    names = re.findall(r"comfy_inventory_\w+", query)
    assert names
    labels: set[str] = {"machine"}
    for name in names:
        assert name in samples
        labels |= samples[name]
    used = re.findall(r"(\w+)=~?\"", query) + re.findall(r"by \((\w+)\)", query)
    assert set(used) <= labels


def test_texts_name_labels_that_their_metrics_have(samples: dict[str, set[str]]) -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            names = re.findall(r"comfy_inventory_\w+", target["expr"])
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in samples[names[0]], target
    for rule in ALERTS:
        names = re.findall(r"comfy_inventory_\w+", rule["expr"])
        for label in re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])):
            assert label in samples[names[0]], rule


def test_panels_have_their_own_places() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_the_command_prints_them(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert json.loads(machine.run("metrics", "--dashboard").stdout) == DASHBOARD
    assert machine.run("metrics", "--alerts").stdout == (FOLDER / "alerts.yml").read_text("utf-8")


TRIED = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: 'comfy_inventory_root_up{root="nas",kind="models"}'
        values: '1 0x30'
      - series: 'comfy_inventory_mount_free_bytes{mount="nas"}'
        values: '4x30'
      - series: 'comfy_inventory_mount_size_bytes{mount="nas"}'
        values: '100x30'
      - series: 'comfy_inventory_build_info{version="1"}'
        values: '1x30'
      - series: 'comfy_inventory_problem_files{status="broken"}'
        values: '0x30'
    alert_rule_test:
      - eval_time: 5m
        alertname: ComfyFolderAway
        exp_alerts: []
      - eval_time: 20m
        alertname: ComfyFolderAway
        exp_alerts:
          - exp_labels: {severity: warning, root: nas, kind: models}
            exp_annotations:
              summary: 'nas (models) is out of reach'
              description: 'Its files stay in the inventory. Is its drive or network mount there?'
      - eval_time: 20m
        alertname: ComfyDiskLow
        exp_alerts:
          - exp_labels: {severity: warning, mount: nas}
            exp_annotations:
              summary: 'nas has 4% of its space left'
              description: 'Downloads may break off there.'
      - eval_time: 20m
        alertname: ComfyFilesBroken
        exp_alerts: []
      - eval_time: 20m
        alertname: ComfyScannerGone
        exp_alerts: []
"""


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here")
    shutil.copy(FOLDER / "alerts.yml", tmp_path)
    (tmp_path / "tried.yml").write_text(TRIED)
    for command in (("check", "rules", "alerts.yml"), ("test", "rules", "tried.yml")):
        done = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
