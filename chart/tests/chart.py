"""The chart as its tests see it: rendered with Helm's own library, without a cluster."""
import copy
import functools
import pathlib

import helm_python
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATH = ROOT / "chart"
CASES = sorted((PATH / "ci").glob("*.yaml"))
NAMESPACE = "walproof"


class Rendered:
    """The objects of one release."""

    def __init__(self, values, name="walproof", namespace=NAMESPACE, path=PATH):
        with helm_python.Chart.load(str(path)) as chart:
            self.texts = chart.render(values, name=name, namespace=namespace)
        self.notes = next(text for file, text in self.texts.items() if file.endswith("NOTES.txt"))
        manifests = (text for file, text in sorted(self.texts.items()) if file.endswith(".yaml"))
        self.objects = [each for text in manifests for each in yaml.safe_load_all(text) if each]

    def of(self, kind):
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind, name, namespace=None):
        found = [
            each for each in self.of(kind)
            if each["metadata"]["name"] == name and namespace in (None, each["metadata"].get("namespace"))
        ]
        assert len(found) == 1, f"{len(found)} of {kind} {name} instead of one"
        return found[0]

    def jobs(self):
        """The spec of each Job, by the name of its CronJob or its own."""
        specs = {each["metadata"]["name"]: each["spec"]["jobTemplate"]["spec"] for each in self.of("CronJob")}
        return specs | {each["metadata"]["name"]: each["spec"] for each in self.of("Job")}

    def pods(self):
        """The spec of each pod template, by the same names."""
        return {name: spec["template"]["spec"] for name, spec in self.jobs().items()}

    def configuration(self):
        """walproof's configuration, as its pods get it."""
        (each,) = [each for each in self.of("ConfigMap") if "walproof.yaml" in each.get("data", {})]
        return yaml.safe_load(each["data"]["walproof.yaml"])


def values(case):
    return yaml.safe_load((PATH / f"ci/{case}.yaml").read_text())


@functools.cache
def rendered(case):
    """The release of a case of ci. It is everybody's: nobody changes it."""
    return Rendered(values(case))


def changed(base, change):
    """`base` with the maps of `change` merged into it; lists and texts are replaced."""
    merged = copy.deepcopy(base)
    for key, value in change.items():
        is_map = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = changed(merged[key], value) if is_map else value
    return merged


def minimal(**change):
    """The values of ci/minimal.yaml with this changed."""
    return changed(values("minimal"), change)


def minimal_source(**change):
    """The values of ci/minimal.yaml with this changed in its one source's configuration."""
    base = values("minimal")
    base["config"]["sources"] = [changed(base["config"]["sources"][0], change)]
    return base


def fleet(size, **change):
    """Values with this many sources."""
    names = [f"source-{number}" for number in range(size)]
    base = values("minimal")
    base["config"]["sources"] = [{"name": name, "namespace": "postgres"} for name in names]
    base["sources"] = {
        name: {"baseline": {"existingSecret": f"{name}-reader"}, "store": {"existingSecret": f"{name}-store"},
               "authority": {"existingConfigMap": f"{name}-ca"}}
        for name in names
    }
    return changed(base, change)


def documents(file):
    """The objects of a manifest of docs/kubernetes."""
    return [each for each in yaml.safe_load_all((ROOT / "docs/kubernetes" / file).read_text()) if each]
