"""Who has what: permissions, tokens and secrets, in every case of ci."""
import unittest

from chart import CASES, NAMESPACE, documents, rendered, values

SOURCE_VOLUMES = {"source-password", "source-ca", "store-key"}
WRITING = {"create", "update", "patch", "delete", "deletecollection", "bind", "escalate", "impersonate", "*"}
ALLOWED_VOLUMES = {"configMap", "emptyDir", "projected", "secret", "name"}


def rules_of(file):
    """The rules of the Role in a manifest of docs/kubernetes."""
    (role,) = [each for each in documents(file) if each["kind"] == "Role"]
    return role["rules"]


def containers(pod):
    return {each["name"]: each for each in pod.get("initContainers", []) + pod["containers"]}


def mounts(container):
    return {each["name"]: each for each in container["volumeMounts"]}


class Identities(unittest.TestCase):
    def each(self):
        for case in CASES:
            with self.subTest(case.stem):
                given = values(case.stem)
                yield given, rendered(case.stem)

    def test_nothing_is_granted_in_the_whole_cluster(self):
        for _, release in self.each():
            self.assertEqual(release.of("ClusterRole") + release.of("ClusterRoleBinding"), [])
            cluster_wide = {each["kind"] for each in release.objects if "namespace" not in each["metadata"]}
            self.assertLessEqual(cluster_wide, {"Namespace"})

    def test_roles_are_those_of_docs_kubernetes(self):
        for given, release in self.each():
            config = release.configuration()
            sandbox = config["sandbox"]["operator"]["namespace"]
            production_key = rules_of("optional/production-key.yaml")[0]
            wanted = {(NAMESPACE, "walproof"): rules_of("identity.yaml"), (sandbox, "walproof-sandbox"): rules_of("sandbox.yaml")}
            wanted[NAMESPACE, "walproof"][1]["resourceNames"] = [
                "walproof-history-" + source["name"].lower().replace("_", "-") for source in config["sources"]
            ]
            for source in config["sources"]:
                rules = wanted.setdefault((source["namespace"], "walproof-source"), rules_of("source.yaml"))
                key = given["sources"][source["name"]].get("productionKey")
                if key:
                    rules.append(production_key | {"resourceNames": [key["existingSecret"]]})
            got = {(each["metadata"]["namespace"], each["metadata"]["name"]): each["rules"] for each in release.of("Role")}
            self.assertEqual(got, wanted)

    def test_no_verb_writes_where_a_source_runs(self):
        for _, release in self.each():
            namespaces = {source["namespace"] for source in release.configuration()["sources"]}
            for role in release.of("Role"):
                if role["metadata"]["namespace"] in namespaces:
                    for rule in role["rules"]:
                        self.assertFalse(WRITING & set(rule["verbs"]), rule)

    def test_every_role_is_bound_to_the_one_identity(self):
        for _, release in self.each():
            subject = {"kind": "ServiceAccount", "name": "walproof", "namespace": NAMESPACE}
            names = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in release.of("Role")}
            bound = set()
            for binding in release.of("RoleBinding"):
                self.assertEqual(binding["subjects"], [subject])
                self.assertEqual(binding["roleRef"]["kind"], "Role")
                bound.add((binding["metadata"]["namespace"], binding["roleRef"]["name"]))
            self.assertEqual(bound, names)

    def test_no_token_is_mounted_unasked(self):
        for _, release in self.each():
            (account,) = release.of("ServiceAccount")
            self.assertIs(account["automountServiceAccountToken"], False)
            for pod in release.pods().values():
                self.assertIs(pod["automountServiceAccountToken"], False)
                self.assertEqual(pod["serviceAccountName"], account["metadata"]["name"])

    def test_the_baseline_has_the_password_and_neither_token_nor_key(self):
        for _, release in self.each():
            pod = release.pods()["walproof-drill"]
            baseline = mounts(containers(pod)["baseline"])
            self.assertLessEqual(set(baseline), {"configuration", "work", "source-password", "source-ca"})
            self.assertIn("source-password", baseline)
            self.assertNotIn("env", containers(pod)["baseline"])

    def test_who_has_the_token_has_no_way_into_a_database(self):
        for _, release in self.each():
            for name, pod in release.pods().items():
                for container in containers(pod).values():
                    mounted = set(mounts(container))
                    if "api-token" in mounted:
                        self.assertFalse(mounted & {"source-password", "source-ca"}, name)
                    elif container["name"] != "baseline":
                        self.assertEqual(mounted, {"configuration"})

    def test_only_the_drills_pod_holds_database_secrets(self):
        for _, release in self.each():
            for name, pod in release.pods().items():
                if name != "walproof-drill":
                    self.assertNotIn("source-password", {each["name"] for each in pod["volumes"]})

    def test_each_pod_sees_the_secrets_of_its_own_source_alone(self):
        for given, release in self.each():
            sources = [source["name"] for source in release.configuration()["sources"]]
            for pod in release.pods().values():
                for container in containers(pod).values():
                    for name, mount in mounts(container).items():
                        if name in SOURCE_VOLUMES:
                            self.assertEqual(mount["subPathExpr"], "$(JOB_COMPLETION_INDEX)")
                            self.assertTrue(mount["readOnly"])
                for volume in pod["volumes"]:
                    if volume["name"] in SOURCE_VOLUMES:
                        self.projected_by_index(volume, sources, given["sources"])

    def projected_by_index(self, volume, sources, known):
        entry = {"source-password": "baseline", "source-ca": "authority", "store-key": "store"}[volume["name"]]
        owned = {}
        for projection in volume["projected"]["sources"]:
            ((_, what),) = projection.items()
            self.assertTrue(what["optional"], "one source's missing secret would stop all")
            for item in what["items"]:
                index, file = item["path"].split("/")
                self.assertEqual(file, item["key"])
                owned.setdefault(sources[int(index)], set()).add(what["name"])
        wanted = {name: set(known[name][entry].values()) for name in sources if entry in known[name]}
        self.assertEqual(owned, wanted)

    def test_pods_meet_the_restricted_pod_security_standard(self):
        for _, release in self.each():
            for name, pod in release.pods().items():
                context = pod["securityContext"]
                self.assertIs(context["runAsNonRoot"], True, name)
                self.assertNotEqual(context.get("runAsUser"), 0)
                self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & pod.keys())
                for volume in pod["volumes"]:
                    self.assertLessEqual(volume.keys(), ALLOWED_VOLUMES)
                for container in containers(pod).values():
                    self.assertEqual(container["securityContext"], {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
                    })
                    self.assertNotIn("ports", container)

    def test_on_openshift_users_and_groups_are_the_platforms(self):
        for pod in rendered("openshift").pods().values():
            self.assertEqual(pod["securityContext"], {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}})

    def test_elsewhere_the_user_is_the_images(self):
        for pod in rendered("minimal").pods().values():
            self.assertEqual(pod["securityContext"]["runAsUser"], 10001)
