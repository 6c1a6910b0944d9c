"""The Jobs: their indexes, deadlines, names, and the configuration that their pods get."""
import json
import unittest

import jsonschema
import kubernetes_validate
import yaml

from chart import CASES, ROOT, Rendered, documents, fleet, minimal, rendered, values

KUBERNETES = ["1.29", "1.33", "1.36"]
# walproof's configuration has kinds of its own; a Prometheus operator's are not Kubernetes'.
FOREIGN = {"PrometheusRule"}
# What the CronJob controller appends to a name, and the longest name of a host.
JOB_SUFFIX, HOST_NAME = 11, 63


class Jobs(unittest.TestCase):
    def test_every_object_is_valid_in_every_supported_kubernetes(self):
        for case in CASES:
            for each in rendered(case.stem).objects:
                for version in KUBERNETES if each["kind"] not in FOREIGN else []:
                    with self.subTest(f"{case.stem} {each['kind']} {version}"):
                        kubernetes_validate.validate(each, version, strict=True)

    def test_the_pods_configuration_is_one_that_walproof_takes(self):
        schema = json.loads((ROOT / "docs/walproof.schema.json").read_text())
        for case in CASES:
            with self.subTest(case.stem):
                jsonschema.Draft202012Validator(schema).validate(rendered(case.stem).configuration())

    def test_the_configuration_is_that_of_docs_kubernetes(self):
        ours = Rendered(minimal(config={"sandbox": {"operator": {"namespace": "postgres-restore-test"}}})).configuration()
        theirs = yaml.safe_load(documents("configuration.yaml")[0]["data"]["walproof.yaml"])
        ours["limits"].pop("baseline")
        self.assertEqual(ours, theirs)

    def test_the_pod_is_that_of_docs_kubernetes(self):
        ours = Rendered(minimal()).pods()["walproof-drill"]
        theirs = documents("drill.yaml")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        for kind, name in (("initContainers", "baseline"), ("containers", "drill")):
            (our,), (their,) = ours[kind], theirs[kind]
            for key in ("name", "args", "resources", "securityContext"):
                self.assertEqual(our[key], their[key])
            paths = {mount["mountPath"] for mount in their["volumeMounts"]} - {"/secrets/forgejo"}
            self.assertEqual({mount["mountPath"] for mount in our["volumeMounts"]}, paths)
        for key in ("restartPolicy", "terminationGracePeriodSeconds", "automountServiceAccountToken"):
            self.assertEqual(ours[key], theirs[key])

    def test_what_one_source_says_itself_is_kept(self):
        (source,) = rendered("full").configuration()["sources"]
        self.assertEqual(source["connection"]["host"], "pal-e-ro.postgres.svc")
        self.assertEqual(source["connection"]["user"], "reader")
        self.assertEqual(source["target"], {"xid": 4294967295})

    def test_one_index_that_fails_ends_no_other(self):
        for case in CASES:
            release = rendered(case.stem)
            sources = len(release.configuration()["sources"])
            for name, job in release.jobs().items():
                with self.subTest(f"{case.stem} {name}"):
                    self.assertEqual(job["completionMode"], "Indexed")
                    self.assertEqual(job["completions"], sources)
                    self.assertEqual(job["backoffLimitPerIndex"], 0)
                    self.assertGreaterEqual(job["backoffLimit"], sources)
                    self.assertNotIn("maxFailedIndexes", job)
                    self.assertEqual(job["template"]["spec"]["restartPolicy"], "Never")
                    disrupted, failed = job["podFailurePolicy"]["rules"]
                    self.assertEqual(disrupted["action"], "Ignore")
                    self.assertEqual(disrupted["onPodConditions"], [{"type": "DisruptionTarget", "status": "True"}])
                    self.assertEqual(failed["action"], "FailIndex")
                    self.assertEqual(failed["onExitCodes"], {"operator": "In", "values": [1, 2, 3, 64, 70]})

    def test_deadlines_follow_from_the_limits_and_the_number_of_sources(self):
        cases = [
            # limits.drill, limits.baseline, sources, at a time: one pod's seconds, the Job's
            ("4h", "10m", 1, 1, 16500, 16800),
            ("4h", "10m", 1, 5, 16500, 16800),
            ("1h30m", "90s", 3, 2, 6990, 2 * 7290),
            ("4h", "10m", 100, 7, 16500, 15 * 16800),
            ("1d", "1h", 4, 4, 91500, 91800),
            ("1w2d3h4m5s", "010m", 1, 1, 790745, 791045),
        ]
        for drill, baseline, sources, parallelism, pod, job in cases:
            with self.subTest(f"{drill} {baseline} {sources}/{parallelism}"):
                limits = {"limits": {"drill": drill, "baseline": baseline}}
                release = Rendered(fleet(sources, config=limits, drill={"parallelism": parallelism}))
                spec = release.jobs()["walproof-drill"]
                self.assertEqual(spec["activeDeadlineSeconds"], job)
                self.assertEqual(spec["template"]["spec"]["activeDeadlineSeconds"], pod)
                grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
                self.assertLessEqual(pod + grace, job)

    def test_a_checks_deadline_follows_from_its_own_limit(self):
        spec = Rendered(fleet(10, check={"limit": "5m", "parallelism": 4})).jobs()["walproof-check"]
        pod = spec["template"]["spec"]
        self.assertEqual(pod["activeDeadlineSeconds"], 300)
        self.assertEqual(pod["terminationGracePeriodSeconds"], 30)
        self.assertEqual(spec["activeDeadlineSeconds"], 3 * (300 + 30))
        self.assertEqual(spec["parallelism"], 4)

    def test_no_name_is_too_long_for_a_host(self):
        for name in ("walproof", "a" * 53, "team.with.dots", "x" * 39 + "-walproof"):
            with self.subTest(name):
                release = Rendered(fleet(12), name=name)
                for each in release.of("CronJob"):
                    own = each["metadata"]["name"]
                    self.assertRegex(own, "^[a-z]([-a-z0-9]*[a-z0-9])?$")
                    self.assertIn("walproof", own, "alerts would not know it")
                    self.assertLessEqual(len(own), 52)
                    self.assertLessEqual(len(own) + JOB_SUFFIX + len("-99999"), HOST_NAME)
                for each in release.objects:
                    self.assertLessEqual(len(each["metadata"]["name"]), 253)
                    for value in each["metadata"].get("labels", {}).values():
                        self.assertLessEqual(len(value), 63)

    def test_history_limits_may_be_zero_or_left_to_kubernetes(self):
        spec = rendered("full").one("CronJob", "walproof-drill")["spec"]
        self.assertEqual(spec["successfulJobsHistoryLimit"], 0)
        self.assertNotIn("failedJobsHistoryLimit", spec)
        self.assertEqual(spec["jobTemplate"]["spec"]["ttlSecondsAfterFinished"], 0)
        job = rendered("minimal").jobs()["walproof-drill"]
        self.assertNotIn("ttlSecondsAfterFinished", job)

    def test_runs_never_overlap(self):
        for case in CASES:
            for each in rendered(case.stem).of("CronJob"):
                self.assertEqual(each["spec"]["concurrencyPolicy"], "Forbid")
                self.assertTrue(each["spec"]["timeZone"])

    def test_histories_are_kept_and_never_written_by_the_chart(self):
        names = {"orders": "walproof-history-orders", "Billing_EU": "walproof-history-billing-eu",
                 "ledger": "walproof-history-ledger"}
        release = rendered("fleet")
        for name in names.values():
            each = release.one("ConfigMap", name, "walproof")
            self.assertEqual(each["metadata"]["annotations"]["helm.sh/resource-policy"], "keep")
            # Helm's patch touches only fields that a manifest of the release has or had.
            self.assertLessEqual(each.keys(), {"apiVersion", "kind", "metadata"})

    def test_the_preflight_writes_nothing(self):
        for case in CASES:
            release = rendered(case.stem)
            (job,) = release.of("Job")
            self.assertEqual(job["metadata"]["annotations"]["helm.sh/hook"], "test")
            pod = job["spec"]["template"]["spec"]
            self.assertEqual([each["args"][:2] for each in pod["initContainers"]], [["config", "check"]])
            self.assertEqual([each["args"][:2] for each in pod["containers"]], [["drill", "--plan"]])
