"""Which values are taken and which are refused, and what a user is told."""
import subprocess
import sys
import unittest

import helm_python
import yaml

from chart import CASES, PATH, ROOT, Rendered, changed, fleet, minimal, minimal_source, values

SOURCE = "pal-e-postgres"

# What is wrong, the values, what the message must say.
REFUSED_BY_SCHEMA = [
    ("a key that nobody knows", minimal(bogus=1), "bogus"),
    ("no source", minimal(config={"sources": []}), "minItems"),
    ("a source without a namespace", minimal(config={"sources": [{"name": SOURCE}]}), "namespace"),
    ("a source without a name", minimal(config={"sources": [{"namespace": "postgres"}]}), "name"),
    ("a name that is no label", minimal_source(name="-a"), "name"),
    ("a namespace that is none", minimal_source(namespace="Postgres"), "namespace"),
    ("an unknown key of a source", minimal_source(bogus=1), "bogus"),
    ("no Secret with the password", minimal(sources={"other": {"baseline": {}}}), "existingSecret"),
    ("a Secret's name that is none", minimal(sources={SOURCE: {"baseline": {"existingSecret": "A"}}}), "existingSecret"),
    ("a password in the values", minimal(sources={SOURCE: {"baseline": {"password": "p"}}}), "password"),
    ("two authorities", minimal(sources={SOURCE: {"authority": {"existingSecret": "a"}}}), "authority"),
    ("PostgreSQL in the pod", minimal(config={"sandbox": {"direct": {}}}), "direct"),
    ("an archive without a Cluster", minimal_source(archive={"s3": {"url": "s3://a", "serverName": "a"}}), "fromCluster"),
    ("a key by the cloud's means", minimal_source(archive={"fromCluster": {"credentials": "ambient"}}), "credentials"),
    ("a history on a disk", minimal(config={"history": {"directory": "/var"}}), "directory"),
    ("a history elsewhere", minimal(config={"history": {"configMaps": {"namespace": "a"}}}), "namespace"),
    ("a duration without a unit", minimal(config={"limits": {"drill": "4"}}), "drill"),
    ("a deadline in milliseconds", minimal(config={"limits": {"drill": "500ms"}}), "drill"),
    ("a check's limit that is none", minimal(check={"limit": "soon"}), "limit"),
    ("a limit of the drill in two places", minimal(drill={"limit": "4h"}), "limit"),
    ("nothing at a time", minimal(drill={"parallelism": 0}), "parallelism"),
    ("a negative history limit", minimal(drill={"failedJobsHistoryLimit": -1}), "failedJobsHistoryLimit"),
    ("an address without a length", minimal(networkPolicy={"apiServer": {"cidrs": ["192.0.2.1"]}}), "cidrs"),
    ("a receiver without a port", minimal(networkPolicy={"publish": [{"namespace": "a"}]}), "port"),
    ("a digest that is none", minimal(image={"digest": "latest"}), "digest"),
    ("another image policy", minimal(image={"pullPolicy": "Sometimes"}), "pullPolicy"),
    ("a Forgejo without a repository", minimal(config={"publish": {"forgejo": {"url": "https://a.example"}}}), "repository"),
]

FORGEJO = {"publish": {"forgejo": {"url": "https://a.example", "repository": "a/b"}}}
REFUSED_BY_TEMPLATES = [
    ("a source without secrets", minimal() | {"sources": {}}, f"`{SOURCE}` is missing"),
    ("secrets without a source", minimal(sources={"other": {"baseline": {"existingSecret": "a"}}}), "`other` is no source"),
    ("another password file", minimal_source(connection={"passwordFile": "/a"}), "/secrets/source/password"),
    ("a password in the environment", minimal_source(connection={"passwordEnv": "A"}), "connection.passwordEnv"),
    ("authority and tls", minimal_source(connection={"tls": "disable"}), "connection.tls exclude each other"),
    ("two keys", minimal_source(archive={"fromCluster": {"credentials": {"environment": {
        "accessKeyId": "A", "secretAccessKey": "B"}}}}), "credentials exclude each other"),
    ("the sandbox in the source's namespace", minimal(config={"sandbox": {"operator": {"namespace": "postgres"}}}),
     "`postgres` is the namespace of the source"),
    ("the sandbox in the release's namespace", minimal(config={"sandbox": {"operator": {"namespace": "walproof"}}}),
     "the release's own"),
    ("a source in the release's namespace", minimal_source(namespace="walproof"), "install it elsewhere"),
    ("a Forgejo without a token", minimal(config=FORGEJO), "`forgejo` lacks existingSecret"),
    ("secrets for nobody", minimal(publish={"webhook": {"existingSecret": "a"}}), "config.publish.webhook says nothing"),
    ("a webhook without a URL", minimal(config={"publish": {"webhook": {"authorization": {"bearer": {"tokenEnv": "A"}}}}}),
     "lacks a `url`"),
    ("a password that is nowhere", minimal(config={"publish": {"pushgateway": {
        "url": "https://a.example", "authorization": {"basic": {"user": "a"}}}}}), "`pushgateway` lacks existingSecret"),
    ("a token that is nowhere", minimal(config={"publish": {"webhook": {
        "url": "https://a.example", "authorization": {"bearer": {}}}}}), "`webhook` lacks existingSecret"),
    ("name servers that are everybody", minimal(networkPolicy={"dns": {"namespace": ""}}),
     "networkPolicy.dns: a peer without namespace and cidrs would be everybody"),
    ("an operator that is everybody", minimal(networkPolicy={"operator": {"namespace": ""}}),
     "networkPolicy.operator: a peer without"),
    ("a receiver that is everybody", minimal(networkPolicy={"publish": [
        {"namespace": "a", "port": 1}, {"podLabels": {"app": "a"}, "port": 1}]}), "networkPolicy.publish[1]: a peer without"),
    ("no object store", minimal(networkPolicy={"store": {"namespace": ""}}), "where is the object store?"),
    ("no API server", minimal(networkPolicy={"apiServer": {"cidrs": []}}), "networkPolicy.apiServer.cidrs"),
    ("no pods to open", minimal(networkPolicy={"store": {"namespace": "", "cidrs": ["192.0.2.2/32"]},
                                               "storeIngress": {"enabled": True}}), "only pods can be opened"),
]


def blocks(page):
    """The YAML on a page of docs."""
    parts = (ROOT / "docs" / page).read_text().split("```yaml\n")[1:]
    return [yaml.safe_load(part.split("```")[0]) for part in parts]


def refusal(given):
    """What is said of values that must not be taken."""
    try:
        Rendered(given)
    except helm_python.HelmError as error:
        return str(error)
    return None


class Values(unittest.TestCase):
    def test_every_case_of_ci_passes_strict_lint(self):
        for case in CASES:
            with self.subTest(case.stem):
                result = helm_python.lint(str(PATH), values(case.stem), strict=True, kube_version="v1.34.0")
                self.assertEqual(result["errors"], [])
                self.assertEqual([each for each in result["messages"] if each["severity"] > 1], [])

    def test_what_the_schema_refuses_is_named(self):
        for what, given, message in REFUSED_BY_SCHEMA:
            with self.subTest(what), helm_python.Chart.load(str(PATH)) as chart:
                with self.assertRaises(helm_python.HelmValuesError) as refused:
                    chart.validate_schema(given)
                self.assertIn(message, str(refused.exception))

    def test_what_the_templates_refuse_is_named(self):
        for what, given, message in REFUSED_BY_TEMPLATES:
            with self.subTest(what):
                said = refusal(given)
                self.assertIsNotNone(said, "the values were taken")
                self.assertIn(message, said)
                self.assertIn("the values cannot be used", said)

    def test_a_source_without_authority_must_say_tls(self):
        given = minimal()
        del given["sources"][SOURCE]["authority"]
        self.assertIn("lacks `authority`", refusal(given))

    def test_a_source_without_any_key_of_its_store_is_refused(self):
        given = minimal()
        del given["sources"][SOURCE]["store"]
        self.assertIn("has no key of the object store", refusal(given))

    def test_two_sources_may_not_share_a_history(self):
        given = fleet(2)
        given["config"]["sources"][1]["name"] = "Source_0"
        given["sources"]["Source_0"] = given["sources"].pop("source-1")
        self.assertIn("`source-0` and `Source_0` would have the same history", refusal(given))

    def test_all_mistakes_are_told_at_once(self):
        given = minimal_source(connection={"passwordFile": "/a", "passwordEnv": "A"})
        given["sources"]["other"] = {"baseline": {"existingSecret": "a"}}
        said = refusal(given)
        for part in ("connection.passwordFile", "connection.passwordEnv", "`other` is no source"):
            self.assertIn(part, said)

    def test_the_values_on_the_pages_are_taken(self):
        least, told, cilium = blocks("install.md")
        given = changed(least, {"networkPolicy": {"apiServer": {"cidrs": ["192.0.2.1/32"]}}})
        for more in ({}, told, cilium):
            given = changed(given, more)
            Rendered(given)
        (fleet_of_three,) = blocks("fleet.md")
        Rendered(minimal() | fleet_of_three)

    def test_the_schema_is_made_of_walproofs_own(self):
        result = subprocess.run([sys.executable, ROOT / "scripts/chart-schema", "--check"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
