"""Raw objects of the Engine's API for tests of pure functions, fixed ones and any (hypothesis)."""

from typing import Any

from hypothesis import strategies as st

Raw = dict[str, Any]

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
names = st.from_regex(r"[A-Z][A-Z0-9_]{0,6}", fullmatch=True)
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
env_lists = st.dictionaries(names, values, max_size=6).map(
    lambda env: [f"{name}={value}" for name, value in env.items()]
)
labels = st.dictionaries(words, values, max_size=4)
# What the Engine knows and we don't: any JSON under names that no code of ours mentions. (No
# null: the Engine's language cannot tell one from an absent field.)
anything = st.recursive(
    st.booleans() | st.integers(0, 2**40) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=2,
)
unknown = st.dictionaries(words.map(lambda word: f"Future{word}"), anything, max_size=1)
rollouts = st.fixed_dictionaries(
    {"Parallelism": st.integers(0, 9), "FailureAction": st.just("pause")},
    optional={"Delay": st.integers(1, 10**10), "FutureField": words},
)


def _merged(strategy: st.SearchStrategy[Raw]) -> st.SearchStrategy[Raw]:
    return st.tuples(unknown, strategy).map(lambda parts: {**parts[0], **parts[1]})


containers = _merged(
    st.fixed_dictionaries(
        {"Image": words}, optional={"Env": env_lists, "Labels": labels, "Sysctls": labels}
    )
)
resources = _merged(
    st.fixed_dictionaries(
        {},
        optional={
            "Limits": _merged(st.just({"NanoCPUs": 5, "Pids": 7})),
            "Reservations": _merged(
                st.just({"MemoryBytes": 9, "GenericResources": [{"NamedResourceSpec": {}}]})
            ),
        },
    )
)
placements = _merged(
    st.fixed_dictionaries(
        {}, optional={"Constraints": st.lists(words, min_size=1), "MaxReplicas": st.just(3)}
    )
)
templates = _merged(
    st.fixed_dictionaries(
        {"ContainerSpec": containers},
        optional={
            "Resources": resources,
            "Placement": placements,
            "ForceUpdate": st.integers(1, 5),
        },
    )
)
replicated = st.integers(0, 20).map(lambda n: {"Replicated": {"Replicas": n}})
unscalable = st.sampled_from(
    [{"Global": {}}, {"ReplicatedJob": {"MaxConcurrent": 1}}, {"GlobalJob": {}}]
)


def specs(modes: st.SearchStrategy[Raw] = replicated | unscalable) -> st.SearchStrategy[Raw]:
    """Specs with the sections that we write into, present or not, and fields that we don't know."""
    return _merged(
        st.fixed_dictionaries(
            {"Name": words, "Labels": labels, "TaskTemplate": templates, "Mode": modes},
            optional={
                "UpdateConfig": rollouts,
                "RollbackConfig": rollouts,
                "EndpointSpec": unknown,
            },
        )
    )


def spec(**container: Any) -> Raw:
    """A small replicated service of three tasks."""
    return {
        "Name": "web",
        "Labels": {},
        "TaskTemplate": {"ContainerSpec": {"Image": "lab/web:1", **container}},
        "Mode": {"Replicated": {"Replicas": 3}},
    }


def without(raw: Raw, *path: str) -> Raw:
    """A copy without what stands at the path, and without the sections that this leaves empty."""
    head, *rest = path
    copy = dict(raw)
    if not rest:
        copy.pop(head, None)
    elif isinstance(copy.get(head), dict):
        copy[head] = without(copy[head], *rest)
    if not copy.get(head, True):
        del copy[head]
    return copy


def service(state: str = "", *, version: int = 10, status: Raw | None = None, **of: Any) -> Raw:
    """A service as the Engine gives it; `state` is that of its UpdateStatus."""
    raw: Raw = {
        "ID": "s1",
        "Version": {"Index": version},
        "CreatedAt": "2026-01-01T00:00:00.123456789Z",
        "UpdatedAt": "2026-01-01T00:00:00.123456789Z",
        "Spec": of.pop("spec", None) or spec(),
    }
    if state:
        raw["UpdateStatus"] = {"State": state, "Message": f"it is {state}"}
    if status is not None:
        raw["ServiceStatus"] = status
    return {**raw, **of}


def task(
    state: str = "running",
    *,
    slot: int = 1,
    node: str = "n1",
    desired: str = "running",
    error: str = "",
    at: str = "2026-01-01T00:01:00Z",
    image: str = "lab/web:1",
    version: int = 1,
) -> Raw:
    return {
        "ID": f"t-{slot}-{state}-{at}-{node}",
        "ServiceID": "s1",
        "Version": {"Index": version},
        "CreatedAt": at,
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "Status": {"State": state, "Timestamp": at, **({"Err": error} if error else {})},
        "Spec": {"ContainerSpec": {"Image": image}},
    }
