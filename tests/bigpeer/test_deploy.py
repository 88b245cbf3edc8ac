"""What deploys a Big Peer: files that schemas accept, that agree with the program and each other."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import httpx
import kubernetes_validate
import promql_parser
import pytest
import typer
import yaml
from bigpeer_harness import Local, Remote, local
from log_writer import Writer
from test_bridges import TO_FILE, Admin
from test_system import told

from hedgerow.codes import CODES
from hedgerow_bigpeer import limits
from hedgerow_cli.main import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.stem != "kustomization")
KUBERNETES = ("1.30.0", "1.37.0")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    return {document["kind"]: document for document in map(read, MANIFESTS)}


@pytest.fixture(scope="module")
def pod(manifests: dict[str, Any]) -> Any:
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = read(DEPLOY / "compose.yaml")["services"]
    return services


def run_settings(arguments: list[str], **variables: str) -> dict[str, Any]:
    """Return what `hedgerow bigpeer run` makes of arguments; it raises for what it does not know."""
    command = typer.main.get_command(app).commands["bigpeer"].commands["run"]  # type: ignore[attr-defined]
    given = [re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], word) for word in arguments]
    settings: dict[str, Any] = command.make_context("run", given).params
    return settings


# ---- the image


def test_the_container_file_is_linted() -> None:
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("there is no hadolint for this platform")
    done = subprocess.run([linter, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_in_particular_and_serves() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users == ["10001:10001"]
    (command,) = [json.loads(line.partition(" ")[2]) for line in lines if line.startswith("CMD")]
    (entry,) = [json.loads(line.partition(" ")[2]) for line in lines if line.startswith("ENTRYPOINT")]
    assert entry == ["hedgerow", "bigpeer", "run"]
    settings = run_settings(command)
    assert (settings["host"], settings["port"], settings["plain"]) == ("0.0.0.0", 8080, True)
    extras = re.search(r"'\.\[(.*)\]'", "\n".join(lines))
    assert extras is not None and set(extras[1].split(",")) == {"bigpeer", "kafka", "mqtt"}


# ---- compose


def test_the_compose_file_is_one() -> None:
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(read(DEPLOY / "compose.yaml"))).validate()
    broken = read(DEPLOY / "compose.yaml")
    broken["services"]["node1"]["stop_grace"] = "30s"
    with pytest.raises(ValueError, match="stop_grace"):
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(broken)).validate()


def test_compose_has_nodes_of_one_store_behind_a_balancer(services: dict[str, Any]) -> None:
    ours = {name for name, service in services.items() if service["image"] == "hedgerow"}
    nodes = [name for name in ours if "entrypoint" not in services[name]]
    assert len(nodes) >= 2 and ours - set(nodes) == {"key"}
    balancer = (DEPLOY / "haproxy.cfg").read_text()
    for name in nodes:
        service = services[name]
        settings = run_settings(service["command"])
        assert f"server {name} {name}:{settings['port']}" in balancer
        # All of a balancer's connections come from one address.
        assert settings["sockets_per_address"] == limits.CONNECTIONS * 2
        assert service["environment"]["HEDGEROW_RIGHTS_KEY"].startswith("/keys/")
        assert "keys:/keys" in service["volumes"]
        assert service["depends_on"]["key"]["condition"] == "service_completed_successfully"
        assert int(service["stop_grace_period"].removesuffix("s")) >= limits.DRAIN_SECONDS
    stores = {services[name]["environment"]["HEDGEROW_STORE"] for name in nodes}
    assert len(stores) == 1
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published == ["127.0.0.1:8080:8080"]
    assert "option httpchk GET /readyz" in balancer


def test_compose_makes_the_key_once(services: dict[str, Any], tmp_path: Path) -> None:
    service, path = services["key"], tmp_path / "rights.key"
    (script,) = service["command"]
    assert "keys:/keys" in service["volumes"] and script.count("/keys/rights.key") == 2
    command = [*service["entrypoint"], script.replace("/keys", str(tmp_path)).replace("$$", "$")]
    keys = []
    for _ in range(2):
        subprocess.run(command, check=True, timeout=60)
        keys.append(path.read_text())
        assert path.stat().st_mode & 0o777 == 0o600 and list(tmp_path.iterdir()) == [path]
    assert len(bytes.fromhex(keys[0])) == 32 and keys[0] == keys[1]


def test_the_secret_of_kubernetes_is_the_file_that_commands_are_given() -> None:
    told = (ROOT / "docs" / "operations.md").read_text("utf-8")
    lines = re.search(r"^openssl rand[^`]*", told, re.MULTILINE)
    assert lines is not None
    made, key = lines[0].index("> rights.key\n"), "HEDGEROW_RIGHTS_KEY=rights.key hedgerow bigpeer apps add"
    assert made < lines[0].index("--from-file=rights.key\n") < lines[0].index(key)
    head = (DEPLOY / "kubernetes" / "kustomization.yaml").read_text()
    assert head.index("# openssl rand -hex 32 > rights.key\n") < head.index("--from-file=rights.key\n")
    assert not any("--from-literal=rights.key" in text for text in (told, head))


# ---- Kubernetes


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_fit_their_schemas(path: Path, version: str) -> None:
    kubernetes_validate.validate(read(path), version, strict=True)


def test_a_schema_refuses_what_is_wrong(manifests: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(manifests["Deployment"]))
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES[-1], strict=True)


def test_everything_is_listed_and_means_the_same_nodes(manifests: dict[str, Any]) -> None:
    listed = read(DEPLOY / "kubernetes" / "kustomization.yaml")["resources"]
    assert sorted(listed) == [path.name for path in MANIFESTS]
    wanted = {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}
    assert wanted <= set(manifests) and "Secret" not in manifests
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    deployment = manifests["Deployment"]
    assert target == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }


def test_the_deployment_runs_the_program(manifests: dict[str, Any], pod: Any) -> None:
    (container,) = pod["containers"]
    settings = run_settings(container["args"], **manifests["ConfigMap"]["data"])
    assert (settings["app_name"], settings["mesh"], settings["allow_playground"]) == ("farm", "farm", False)
    (port,) = container["ports"]
    assert port["containerPort"] == settings["port"]
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    # Secrets come by reference, and only so.
    values = {entry["name"]: entry for entry in container["env"]}
    assert "secretKeyRef" in values["HEDGEROW_STORE"]["valueFrom"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    path = f"{mounts['keys']['mountPath']}/rights.key"
    assert values["HEDGEROW_RIGHTS_KEY"]["value"] == path and mounts["keys"]["readOnly"]
    assert "postgresql://" not in yaml.safe_dump(manifests)


def test_a_drain_has_its_time(manifests: dict[str, Any], pod: Any) -> None:
    (container,) = pod["containers"]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    probe = container["readinessProbe"]
    # Whoever sends peers here has noticed before the node begins to end.
    assert before >= probe["periodSeconds"] * probe["failureThreshold"]
    assert pod["terminationGracePeriodSeconds"] >= before + limits.DRAIN_SECONDS
    unit = (DEPLOY / "hedgerow-bigpeer.service").read_text()
    found = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert found is not None and int(found[1]) > limits.DRAIN_SECONDS
    assert limits.GOODBYE_SECONDS * 2 + limits.SHUTDOWN_SECONDS < limits.DRAIN_SECONDS
    budget = manifests["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    assert budget < manifests["HorizontalPodAutoscaler"]["spec"]["minReplicas"]


def test_nodes_are_added_before_they_are_full(manifests: dict[str, Any]) -> None:
    metrics = {metric["type"]: metric for metric in manifests["HorizontalPodAutoscaler"]["spec"]["metrics"]}
    assert metrics["Resource"]["resource"]["name"] == "cpu"
    sessions = int(metrics["Pods"]["pods"]["target"]["averageValue"])
    assert metrics["Pods"]["pods"]["metric"]["name"] == "hedgerow_bigpeer_connections"
    # Of three nodes one may go, and the others take what it had.
    assert sessions * 3 / 2 < limits.CONNECTIONS
    assert manifests["HorizontalPodAutoscaler"]["spec"]["maxReplicas"] <= limits.NODES


def test_probes_ask_what_is_answered(served: Local, pod: Any) -> None:
    (container,) = pod["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for path in (*paths.values(), "/healthz"):
        assert served.request("GET", path).status_code == 200, path


# ---- alarms and the board


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with local(tmp_path_factory.mktemp("deploy")) as running:
        yield running


@pytest.fixture(scope="module")
def metrics(served: Local) -> dict[str, set[str]]:
    """The metrics of a node with a bridge, an expected peer, one that tells its health, a refusal."""
    Admin(served).call("PUT", "/b", TO_FILE)
    served.execute("INSERT INTO peers DOCUMENTS ({'_id': 'barn', 'due_s': 60})")
    told(served, Writer("fern"))
    served.peer.service.counters.refused["WRITE_FORBIDDEN"] = 1
    found: dict[str, set[str]] = {"up": {"job", "instance"}}
    for line in served.request("GET", "/metrics").text.splitlines():
        if not line.startswith("#"):
            name, _, labels = line.rpartition(" ")[0].partition("{")
            found[name] = {"instance", "job", *re.findall(r'(\w+)="', labels)}
    return found


def selectors(expression: str) -> list[Any]:
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        if isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def check(expression: str, metrics: dict[str, set[str]]) -> None:
    found = selectors(expression)
    assert found, expression
    for selector in found:
        assert selector.name in metrics, (selector.name, expression)
        for matcher in selector.matchers.matchers:
            assert matcher.name in metrics[selector.name] | {"__name__"}, expression
    grouped = re.findall(r"by \(([^)]*)\)", expression)
    for label in {label.strip() for labels in grouped for label in labels.split(",")}:
        assert any(label in metrics[selector.name] for selector in found), (label, expression)


def test_a_metric_that_is_not_there_is_noticed(metrics: dict[str, set[str]]) -> None:
    for wrong in ("hedgerow_bigpeer_bridge_late > 1", "max by (peer) (hedgerow_bigpeer_connections)"):
        with pytest.raises(AssertionError):
            check(wrong, metrics)


def test_alarms_ask_what_is_measured_and_have_a_page_each(metrics: dict[str, set[str]]) -> None:
    pages = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = re.findall(r"^#+ (Hedgerow\w+)$", pages, re.MULTILINE)
    (group,) = read(DEPLOY / "prometheus" / "rules.yml")["groups"]
    for rule in group["rules"]:
        check(rule["expr"], metrics)
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert any(label in metrics[each.name] for each in selectors(rule["expr"])), rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
    assert headings == [rule["alert"] for rule in group["rules"]]
    (job,) = read(DEPLOY / "prometheus" / "scrape.yml")["scrape_configs"]
    assert f'job="{job["job_name"]}"' in group["rules"][0]["expr"]


def test_runbooks_name_codes_that_there_are() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", text)) - {
        "HEDGEROW_STORE",
        "HEDGEROW_RIGHTS_KEY",
        "HEDGEROW_PLACE",
    }
    assert len(named) > 8 and named <= set(CODES)


def test_a_signal_ends_what_is_open_in_its_time(tmp_path: Path) -> None:
    node = Remote(tmp_path / "node")
    answers: list[int] = []

    def poll() -> None:
        url = f"{node.url}/api/hedgerow/v1/changes?since=now&wait=30"
        answers.append(httpx.get(url, timeout=60).status_code)

    waiting = threading.Thread(target=poll)
    waiting.start()
    body = {"statement": "SELECT * FROM cars"}
    with httpx.stream("POST", f"{node.url}/api/hedgerow/v1/live", json=body, timeout=60) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: rows"
        node.execute("INSERT INTO boats DOCUMENTS ({'n': 1})")
        # It waits for the end, and fails if that takes longer than DRAIN_SECONDS.
        assert node.stop() == 0
        assert "event: error" not in list(lines)
    waiting.join(10)
    assert answers == [200]


def test_the_alarm_of_the_watermark_is_silent_while_it_moves() -> None:
    (group,) = read(DEPLOY / "prometheus" / "rules.yml")["groups"]
    (stands,) = [rule for rule in group["rules"] if rule["alert"] == "HedgerowWatermarkStands"]
    behind, still = stands["expr"].split(" and ")
    assert behind == "hedgerow_bigpeer_watermark_behind > 0"
    assert re.fullmatch(r"changes\(hedgerow_bigpeer_transaction\[\dm\]\) == 0", still)


def test_the_alarm_of_full_nodes_knows_the_limit() -> None:
    (group,) = read(DEPLOY / "prometheus" / "rules.yml")["groups"]
    (full,) = [rule for rule in group["rules"] if rule["alert"] == "HedgerowSessionsFull"]
    assert 0.8 * limits.CONNECTIONS < float(full["expr"].rpartition(" ")[2]) < limits.CONNECTIONS
    assert str(limits.CONNECTIONS) in full["annotations"]["summary"]


def test_the_board_asks_what_is_measured(metrics: dict[str, set[str]]) -> None:
    board = json.loads((DEPLOY / "grafana" / "hedgerow-bigpeer.json").read_text("utf-8"))
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 12
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            check(target["expr"], metrics)
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource"]
