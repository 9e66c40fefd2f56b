"""What the registry chooses, and what it says where something lacks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from focdepth_ros.backends import defocus, focdepthformer, network
from focdepth_ros.backends.registry import (
    AUTO,
    backend_names,
    choose_backend,
    create_backend,
    first_usable,
    list_backends,
)
from focdepth_ros.classical import compiled, graph_cut
from focdepth_ros.errors import BackendUnavailableError
from focdepth_ros.libraries import how_to_install


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As after an installation without a C++ compiler."""
    monkeypatch.setattr(compiled, "LIBRARY_NAME", "lib_never_built.so")
    caches = (compiled.compiled_library, graph_cut._function)
    for function in caches:
        function.cache_clear()
    yield
    for function in caches:
        function.cache_clear()


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focdepthformer, "cuda_missing_because", lambda: "no driver")


@pytest.fixture
def with_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with torch and weights."""
    network = focdepthformer.FocDepthFormerBackend
    monkeypatch.setattr(network, "unusable_because", classmethod(lambda cls, config=None: None))


def test_best_first() -> None:
    assert backend_names() == ("focdepthformer", "stackmff_v2", "graph_cut", "argmax", "defocus")


@pytest.mark.usefixtures("without_library", "without_gpu")
def test_auto_takes_the_next_best() -> None:
    assert choose_backend() == "argmax"
    assert create_backend().name == "argmax"


@pytest.mark.usefixtures("with_network", "without_gpu")
def test_auto_takes_the_network_only_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_backend() == "graph_cut"
    infos = {info.name: info for info in list_backends()}
    assert infos["focdepthformer"].unusable_because is None
    assert infos["focdepthformer"].passed_over_because == "no driver"
    assert infos["graph_cut"].passed_over_because is None
    assert choose_backend("focdepthformer") == "focdepthformer"
    monkeypatch.setattr(focdepthformer, "cuda_missing_because", lambda: None)
    assert choose_backend() == "focdepthformer"


@pytest.mark.usefixtures("without_gpu")
def test_defocus_has_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defocus, "missing_because", lambda *libraries: None)
    info = {info.name: info for info in list_backends()}["defocus"]
    assert info.unusable_because is None
    assert "needs to know the lens; ask for it" in str(info.passed_over_because)
    assert not info.is_usual
    for name in ("graph_cut", "argmax"):
        usable = classmethod(lambda cls, config=None: "not here")
        monkeypatch.setattr(type(create_backend(name)), "unusable_because", usable)
    with pytest.raises(BackendUnavailableError, match="no backend can be used here"):
        choose_backend()
    assert create_backend("defocus").name == choose_backend("defocus") == "defocus"


def test_defocus_without_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defocus, "_LIBRARIES", ("torch_of_no_kind",))
    words = re.escape(f"torch_of_no_kind is not installed; {how_to_install('torch')}")
    with pytest.raises(BackendUnavailableError, match=words):
        create_backend("defocus")


@pytest.mark.usefixtures("without_gpu")
def test_auto_is_the_best_that_is_usable() -> None:
    assert create_backend(AUTO).name == choose_backend() == "graph_cut"


@pytest.mark.usefixtures("without_library")
def test_what_lacks_is_named_with_a_remedy() -> None:
    reasons = {info.name: info.unusable_because for info in list_backends()}
    assert reasons["argmax"] is None
    assert "lib_never_built.so has not been built" in str(reasons["graph_cut"])
    with pytest.raises(BackendUnavailableError, match="install a C\\+\\+ compiler"):
        create_backend("graph_cut")


def test_libraries_that_lack_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "NETWORK_LIBRARIES", ("numpy", "torch_of_no_kind"))
    words = re.escape(f"torch_of_no_kind is not installed; {how_to_install('torch')}")
    with pytest.raises(BackendUnavailableError, match=words):
        create_backend("focdepthformer", weights="some.safetensors")
    assert choose_backend() == "graph_cut"


def test_what_needs_no_torch_is_usable_where_it_was_built() -> None:
    reasons = {info.name: info.unusable_because for info in list_backends()}
    assert (reasons["graph_cut"], reasons["argmax"]) == (None, None)


def test_the_first_usable_passes_over_what_is_not_there(without_library: None) -> None:
    assert first_usable(("no_such", "graph_cut", "argmax", "focdepthformer")) == "argmax"
    with pytest.raises(BackendUnavailableError, match="none of no_such, graph_cut can be used"):
        first_usable(("no_such", "graph_cut"))


def test_the_first_usable_is_the_first() -> None:
    assert first_usable(("argmax", "graph_cut")) == "argmax"
