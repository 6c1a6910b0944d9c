"""What is shipped beside the Jobs: network policies, rules, dashboards, notes, and all of it as snapshots."""
import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest

import yaml

from chart import CASES, PATH, ROOT, Rendered, documents, fleet, minimal, rendered, values

RULES = """
groups:
- name: first
  rules:
  - alert: Kept
    expr: up == 0
    annotations: {summary: "{{ $labels.source }} is {{ $value | humanizeDuration }} old"}
  - alert: LeftOut
    expr: up == 0
- name: second
  rules:
  - alert: AlsoLeftOut
    expr: up == 0
  - record: some:rule
    expr: sum(up)
"""


def peers(policy, direction, port):
    """Who is at the other end of a policy's rules for a port."""
    side = "from" if direction == "ingress" else "to"
    rules = policy["spec"].get(direction, [])
    return [peer for rule in rules if port in [each["port"] for each in rule["ports"]] for peer in rule[side]]


def with_files(files):
    """A copy of the chart with these files alone below rules and dashboards."""
    place = pathlib.Path(tempfile.mkdtemp()) / "walproof"
    shutil.copytree(PATH, place, ignore=shutil.ignore_patterns("rules", "dashboards", "ci", "*.py"))
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


class Shipped(unittest.TestCase):
    def test_the_image_has_a_stand_in_for_each_test_that_cargo_is_told_of(self):
        # Cargo reads nothing else of the manifest either where one of them is missing.
        told = re.findall(r"^\[\[test\]\]\n((?:\w.*\n)+)", (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
        self.assertTrue(told)
        steps = (ROOT / "Dockerfile").read_text()
        (made,) = re.findall(r"echo 'fn main\(\) \{\}' \| tee (.+?) \\\n", steps)
        for keys in told:
            keys = dict(re.findall(r'^(\w+) = "(.*)"$', keys, re.MULTILINE))
            self.assertIn(keys.get("path", f"tests/{keys['name']}.rs"), made.split())

    def test_policies_are_those_of_docs_kubernetes(self):
        theirs = {each["metadata"]["name"]: each for each in documents("network.yaml")}
        ours = Rendered(minimal(
            config={"sandbox": {"operator": {"namespace": "postgres-restore-test"}}},
            networkPolicy={"dns": {"cidrs": ["192.0.2.53/32"]}},
        ))
        # The sandbox admits fewer of the job's pods than there: only those that drill.
        sandbox = ours.one("NetworkPolicy", "walproof-sandbox")["spec"]
        self.assertEqual(sandbox["egress"], theirs["sandbox"]["spec"]["egress"])
        self.assertEqual(sandbox["ingress"][1], theirs["sandbox"]["spec"]["ingress"][1])
        self.assertEqual(sandbox["podSelector"], {})
        job = ours.one("NetworkPolicy", "walproof")["spec"]
        drill = ours.one("NetworkPolicy", "walproof-drill")["spec"]
        (source,) = [each for each in documents("source.yaml") if each["kind"] == "NetworkPolicy"]
        self.assertEqual(job["egress"] + drill["egress"], theirs["walproof"]["spec"]["egress"] + source["spec"]["egress"])
        self.assertEqual(job["policyTypes"], ["Ingress", "Egress"])
        self.assertNotIn("ingress", job)

    def test_only_the_drill_reaches_databases(self):
        for case in CASES:
            for policy in rendered(case.stem).of("NetworkPolicy"):
                if policy["metadata"]["namespace"] == "walproof" and peers(policy, "egress", 5432):
                    selected = policy["spec"]["podSelector"]["matchLabels"]
                    self.assertEqual(selected["app.kubernetes.io/component"], "drill")

    def test_no_policy_is_made_in_production_unasked(self):
        for case in ("minimal", "fleet", "openshift", "plugin"):
            release = rendered(case)
            sandbox = release.configuration()["sandbox"]["operator"]["namespace"]
            namespaces = {each["metadata"]["namespace"] for each in release.of("NetworkPolicy")}
            self.assertLessEqual(namespaces, {"walproof", sandbox})

    def test_policies_can_be_left_out(self):
        self.assertEqual(Rendered(minimal(networkPolicy={"enabled": False})).of("NetworkPolicy"), [])

    def test_rules_become_one_object_with_their_templates_untouched(self):
        place = with_files({"rules/walproof.yaml": RULES, "rules/tests/walproof.yaml": "tests: []\n"})
        rules = {"enabled": True, "additionalLabels": {"release": "p"}, "excludeRules": ["LeftOut", "AlsoLeftOut"]}
        (each,) = Rendered(minimal(prometheusRule=rules), path=place).of("PrometheusRule")
        self.assertEqual(each["metadata"]["labels"]["release"], "p")
        *kept, configured = each["spec"]["groups"]
        kept = [rule for group in kept for rule in group["rules"]]
        wanted = [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]
        self.assertEqual(kept, [wanted[0], wanted[3]])
        self.assertEqual({rule["labels"]["command"] for rule in configured["rules"]}, {"check", "drill"})

    def test_a_command_that_is_suspended_is_not_missed(self):
        place = with_files({"rules/walproof.yaml": RULES})
        values = minimal(prometheusRule={"enabled": True}, check={"suspend": True})
        (each,) = Rendered(values, path=place).of("PrometheusRule")
        configured = each["spec"]["groups"][-1]["rules"]
        self.assertEqual([rule["labels"] for rule in configured], [
            {"command": "drill", "cluster_namespace": "postgres", "cluster_name": "pal-e-postgres"},
        ])

    def test_without_rules_and_dashboards_nothing_is_made_of_them(self):
        release = Rendered(minimal(prometheusRule={"enabled": True}, dashboard={"enabled": True}), path=with_files({}))
        self.assertEqual(release.of("PrometheusRule"), [])
        self.assertFalse([each for each in release.of("ConfigMap") if "dashboard" in each["metadata"]["name"]])

    def test_a_dashboard_is_shipped_as_it_is(self):
        board = json.dumps({"title": "{{ walproof }}", "panels": [{"expr": "a{b=\"c\"}"}]}, indent=2)
        release = Rendered(minimal(dashboard={"enabled": True}), path=with_files({"dashboards/walproof.json": board}))
        each = release.one("ConfigMap", "walproof-dashboard-walproof")
        self.assertEqual(each["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(json.loads(each["data"]["walproof.json"]), json.loads(board))

    def test_by_default_nothing_needs_a_prometheus_operator(self):
        release = rendered("minimal")
        self.assertEqual({each["apiVersion"].split("/")[0] for each in release.objects} - {
            "v1", "batch", "networking.k8s.io", "rbac.authorization.k8s.io"}, set())

    def test_the_sandboxes_namespace_is_restricted(self):
        (namespace,) = rendered("minimal").of("Namespace")
        labels = namespace["metadata"]["labels"]
        self.assertEqual(labels["pod-security.kubernetes.io/enforce"], "restricted")
        self.assertEqual(labels["velero.io/exclude-from-backup"], "true")
        self.assertEqual(rendered("openshift").of("Namespace"), [])

    def test_notes_say_what_is_off_and_what_stays(self):
        notes = Rendered(fleet(2)).notes
        for part in ("create job --from=cronjob/walproof-drill", "managed:", "GRANT pg_monitor", "s3:GetObject",
                     "walproof-history-source-1", "metrics (config.publish.pushgateway)", "alert rules",
                     "patch cronjob walproof-drill"):
            self.assertIn(part, notes)
        self.assertIn("SUSPENDED", rendered("full").notes)
        self.assertNotIn("metrics (config.publish.pushgateway)", rendered("full").notes)

    def test_extra_objects_are_rendered(self):
        release = rendered("full")
        self.assertEqual(release.one("ConfigMap", "walproof-extra")["metadata"]["namespace"], "walproof")
        release.one("ConfigMap", "extra-text", "walproof")

    def test_cases_render_as_they_did(self):
        """Rules and dashboards have tests of their own and are left out. WALPROOF_RENEW=1 writes the snapshots anew."""
        place = with_files({})
        for case in CASES:
            with self.subTest(case.stem):
                texts = Rendered(values(case.stem), path=place).texts
                shown = "".join(
                    f"# {file.removeprefix('walproof/')}\n{text.strip()}\n---\n"
                    for file, text in sorted(texts.items()) if text.strip() and not file.endswith(".tpl")
                )
                snapshot = PATH / f"ci/snapshots/{case.stem}.txt"
                if os.environ.get("WALPROOF_RENEW"):
                    snapshot.parent.mkdir(exist_ok=True)
                    snapshot.write_text(shown)
                self.assertTrue(snapshot.exists(), "no snapshot: scripts/chart --renew")
                self.assertEqual(shown, snapshot.read_text(), "renew with scripts/chart --renew where it is meant to differ")
