"""Where workers run, what they are given, and what the sharing job is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.controller.objects.samples import CASES, CLUSTER_IPS, SETTINGS, everything, read_case, secure_model
from triveni.controller.objects import (
    Object,
    Settings,
    UnusableSource,
    disruption_budget,
    network_policies,
    sharing_job,
    worker_pod,
)
from triveni.controller.objects.deadlines import SHARE, START, WORKER_END
from triveni.identity.authority import Authority
from triveni.sharing.arguments import Arguments, FilePlace, S3Place, UrlPlace, parse
from triveni.worker.config import Config
from triveni.worker.service import ERASE_S, RUN_ENDS_S, SIGNAL_FOLLOWS_S

JOBS = [case for case in CASES if case != "owner"]
"""Those with a sharing job."""

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def worker(epoch: int = 1, settings: Settings = SETTINGS, **workers: Any) -> Object:
    spec: Object = worker_pod(secure_model(workers=workers), epoch, 0, settings)["spec"]
    return spec


def sharing(settings: Settings = SETTINGS, **spec: Any) -> Object:
    found: Object = sharing_job(secure_model(**spec), 1, CLUSTER_IPS, settings)["spec"]["template"]["spec"]
    return found


# --- independence ---------------------------------------------------------------------------------------------------


def test_workers_prefer_to_be_apart_where_nothing_is_said() -> None:
    (preferred,) = worker()["affinity"]["podAntiAffinity"][PREFERRED]
    assert preferred["weight"] == 100
    assert preferred["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"


def test_required_independence_leaves_no_way_around() -> None:
    anti = worker(independence="Required", topologyKey="topology.kubernetes.io/zone")["affinity"]["podAntiAffinity"]
    assert [term["topologyKey"] for term in anti[REQUIRED]] == ["topology.kubernetes.io/zone"]
    assert PREFERRED not in anti


def test_required_independence_shuns_nodes_that_lie_in_no_domain() -> None:
    """Anti-affinity alone says nothing about a node without the label: two workers could share it."""
    zone = "topology.kubernetes.io/zone"
    theirs = {
        "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": []}, {"matchExpressions": [{"key": "a"}]}]}}
    }
    labelled = {"key": zone, "operator": "Exists"}
    for affinity, expected in (
        (None, [{"matchExpressions": [labelled]}]),
        (theirs, [{"matchFields": [], "matchExpressions": [labelled]}, {"matchExpressions": [{"key": "a"}, labelled]}]),
    ):
        built = worker(independence="Required", topologyKey=zone, **({"affinity": affinity} if affinity else {}))
        assert built["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"] == expected


@pytest.mark.parametrize("independence", ["Required", "Preferred"])
def test_a_worker_that_still_ends_keeps_no_node_from_the_next_epoch(independence: str) -> None:
    anti = worker(epoch=2, independence=independence)["affinity"]["podAntiAffinity"]
    term = anti[REQUIRED][0] if independence == "Required" else anti[PREFERRED][0]["podAffinityTerm"]
    chosen = term["labelSelector"]["matchLabels"].items()
    other = secure_model()
    assert worker_pod(other, 2, 1, SETTINGS)["metadata"]["labels"].items() >= chosen
    assert not worker_pod(other, 1, 1, SETTINGS)["metadata"]["labels"].items() >= chosen


@pytest.mark.parametrize("independence", ["Required", "Preferred"])
def test_the_users_affinity_is_kept_whole(independence: str) -> None:
    node = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": []}]}}}
    term = {"labelSelector": {"matchLabels": {"app": "loud"}}, "topologyKey": "kubernetes.io/hostname"}
    anti = {REQUIRED: [term], PREFERRED: [{"weight": 1, "podAffinityTerm": term}]}
    wanted = {**node, "podAffinity": {REQUIRED: [term]}, "podAntiAffinity": anti}
    built = worker(independence=independence, affinity=wanted)["affinity"]
    assert built["podAffinity"] == {REQUIRED: [term]}
    (on,) = built["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    assert on["matchFields"] == []
    both = built["podAntiAffinity"]
    assert (both[REQUIRED][0], both[PREFERRED][0]) == (term, anti[PREFERRED][0])
    assert len(both[REQUIRED]) + len(both[PREFERRED]) == 3


@pytest.mark.parametrize(("theirs", "kept"), [(None, []), ("nonsense", ["nonsense"]), (7, [7]), ([], [])])
def test_terms_that_nobody_has_checked_are_left_to_the_api_server(theirs: object, kept: list[object]) -> None:
    for rule in (REQUIRED, PREFERRED):
        independence = "Required" if rule == REQUIRED else "Preferred"
        built = worker(independence=independence, affinity={"podAntiAffinity": {rule: theirs}})
        assert built["affinity"]["podAntiAffinity"][rule][:-1] == kept


def test_the_sharing_job_runs_on_the_same_kind_of_node_but_next_to_whom_it_likes() -> None:
    workers = {
        "nodeSelector": {"pool": "mpc"},
        "tolerations": [{"key": "mpc", "operator": "Exists"}],
        "priorityClassName": "high",
        "independence": "Required",
    }
    job, pod = sharing(workers=workers), worker(**workers)
    for field in ("nodeSelector", "tolerations", "priorityClassName"):
        assert job[field] == pod[field] == workers[field]
    assert "affinity" not in job


# --- what a pod is given --------------------------------------------------------------------------------------------


def test_the_image_is_the_operators_unless_the_secure_model_names_one() -> None:
    assert worker()["containers"][0]["image"] == sharing()["containers"][0]["image"] == SETTINGS.worker_image
    own = "registry.example/own:1"
    assert worker(image=own)["containers"][0]["image"] == own
    assert sharing(workers={"image": own})["containers"][0]["image"] == own


def test_resources_of_the_secure_model_replace_the_defaults_as_a_whole() -> None:
    wanted = {"limits": {"memory": "64Mi"}}
    assert worker(resources=wanted)["containers"][0]["resources"] == wanted
    assert sharing(workers={"resources": wanted})["containers"][0]["resources"] == wanted


def test_no_pod_has_a_limit_of_cpu_that_nobody_asked_for() -> None:
    assert all("cpu" not in pod["containers"][0]["resources"]["limits"] for pod in (worker(), sharing()))


def test_pull_secrets_are_those_of_the_operator_and_of_the_secure_model_each_once() -> None:
    settings = Settings("i", image_pull_secrets=("a", "b"))
    pod = worker(settings=settings, imagePullSecrets=[{"name": "b"}, {"name": "c"}])
    assert pod["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert "imagePullSecrets" not in worker(settings=Settings("i"))


def test_a_worker_has_the_time_to_end_in_order() -> None:
    drain = Config.__dataclass_fields__["drain_s"].default
    assert drain + RUN_ENDS_S + SIGNAL_FOLLOWS_S + ERASE_S < WORKER_END == worker()["terminationGracePeriodSeconds"]


def test_pods_that_need_no_names_get_no_name_server() -> None:
    http = {"source": {"http": {"url": "https://models.example/m.keras"}}}
    assert worker()["dnsPolicy"] == sharing()["dnsPolicy"] == "None"
    assert "dnsPolicy" not in sharing(model=http)


def test_the_budget_allows_to_evict_workers_that_do_not_serve() -> None:
    spec = disruption_budget(secure_model())["spec"]
    assert (spec["minAvailable"], spec["unhealthyPodEvictionPolicy"]) == (3, "AlwaysAllow")


# --- the sharing job ------------------------------------------------------------------------------------------------


def expanded(arguments: list[str]) -> list[str]:
    """As the container gets them: `$$` becomes `$`, and there is no `$(NAME)` for which a variable would be put in."""
    rest = [argument.replace("$$", "") for argument in arguments]
    assert not any("$" in argument for argument in rest)
    return [argument.replace("$$", "$") for argument in arguments]


def read(job: Object) -> Arguments:
    """What the job makes of its arguments."""
    return parse(expanded(job["spec"]["template"]["spec"]["containers"][0]["args"]))


@pytest.mark.parametrize("case", JOBS)
def test_the_sharing_job_accepts_its_arguments(case: str, authority: Authority) -> None:
    model = read_case(case)
    (job,) = (item for item in everything(model, authority) if item["kind"] == "Job")
    arguments = read(job)
    assert [str(worker) for worker in arguments.workers] == [f"{ip}:8443" for ip in CLUSTER_IPS]
    assert (arguments.protocol, arguments.digest) == (model.spec.protocol, model.spec.model.digest)
    inputs, declared = arguments.inputs, model.spec.model.input_range
    assert (inputs and (inputs.min, inputs.max)) == (declared and (declared.min, declared.max))
    assert (str(arguments.credentials), str(arguments.report)) == ("/etc/triveni", "/dev/termination-log")
    assert (arguments.words or "").startswith("spec.model.source.")


@pytest.mark.parametrize(
    ("case", "place"),
    [
        ("minimal", FilePlace(Path("/model/model.keras"))),
        ("pvc", FilePlace(Path("/model/vision/model.keras"))),
        (
            "http",
            UrlPlace("https://models.example:8443/vision/model.keras?version=7", Path("/etc/triveni-source-ca/ca.pem")),
        ),
        (
            "s3",
            S3Place(
                endpoint="http://minio.storage.svc:80",
                bucket="models",
                key="vision/model.keras",
                region="eu-central-1",
                credentials=Path("/etc/triveni-source"),
                authorities=None,
            ),
        ),
    ],
)
def test_the_sharing_job_looks_for_the_model_where_the_secure_model_says(case: str, place: object) -> None:
    assert read(sharing_job(read_case(case), 1, CLUSTER_IPS, SETTINGS)).place == place


def test_where_services_have_ipv6_addresses_the_job_finds_them() -> None:
    job = sharing_job(secure_model(), 1, ("fd00::10", "fd00::11", "fd00::12"), SETTINGS)
    assert [worker.host for worker in read(job).workers] == ["fd00::10", "fd00::11", "fd00::12"]


@pytest.mark.parametrize("key", ["$(HOME)/m.keras", "$$", "a$", "--report", "-x", "= $(HOME", "m model.keras"])
def test_the_name_of_an_object_reaches_the_job_as_it_was_written(key: str) -> None:
    s3 = {"endpoint": "https://s3.example", "bucket": "models", "key": key, "credentialsSecret": {"name": "keys"}}
    job = sharing_job(secure_model(model={"source": {"s3": s3}}), 1, CLUSTER_IPS, SETTINGS)
    place = read(job).place
    assert isinstance(place, S3Place)
    assert place.key == key


def test_a_signature_in_an_address_is_not_in_the_words_for_messages() -> None:
    http = {"url": "https://models.example/m.keras?signature=geheim"}
    job = sharing_job(secure_model(model={"source": {"http": http}}), 1, CLUSTER_IPS, SETTINGS)
    assert read(job).words == "spec.model.source.http: https://models.example/m.keras"


@pytest.mark.parametrize("case", JOBS)
def test_every_file_that_the_sharing_job_is_told_of_is_mounted(case: str, authority: Authority) -> None:
    (job,) = (item for item in everything(read_case(case), authority) if item["kind"] == "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    paths = [path for argument in container["args"] for path in re.findall(r"=(/(?:etc|model).*)", argument)]
    assert paths
    assert all(any(f"{path}/".startswith(f"{mount}/") for mount in mounts) for path in paths)


def test_a_missing_config_map_or_secret_does_not_keep_the_job_from_saying_so() -> None:
    for source in ("configMap", "secret"):
        spec = sharing(model={"source": {source: {"name": "m", "key": "model.keras"}}})
        volume = next(volume for volume in spec["volumes"] if volume["name"] == "model")
        assert volume[source]["optional"] is True


def test_the_job_gives_up_before_it_is_stopped_and_is_not_tried_again() -> None:
    spec = sharing_job(secure_model(), 1, CLUSTER_IPS, SETTINGS)["spec"]
    assert SHARE < START == spec["activeDeadlineSeconds"]
    assert spec["backoffLimit"] == 0
    assert f"--timeout={SHARE}" in spec["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"file": {"path": "m.keras"}}, "file.path"),
        ({"http": {"url": "https://models.example:99999/m?signature=geheim"}}, "http.url"),
        (
            {
                "s3": {
                    "endpoint": "https://s3:99999",
                    "bucket": "models",
                    "key": "m",
                    "credentialsSecret": {"name": "keys"},
                }
            },
            "s3.endpoint",
        ),
    ],
)
def test_a_source_that_no_job_can_read_is_a_typed_error(source: Object, field: str) -> None:
    for build in (
        lambda model: sharing_job(model, 1, CLUSTER_IPS, SETTINGS),
        lambda model: network_policies(model, SETTINGS),
    ):
        with pytest.raises(UnusableSource) as caught:
            build(secure_model(model={"source": source}))
        assert caught.value.field == f"spec.model.source.{field}"
        assert "geheim" not in str(caught.value)
