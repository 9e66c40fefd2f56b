"""What the registry says where the graph cut has not been compiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from focdepth_ros.backends.registry import choose_backend, create_backend, list_backends
from focdepth_ros.classical import compiled, graph_cut
from focdepth_ros.errors import BackendUnavailableError


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


@pytest.mark.usefixtures("without_library")
def test_auto_takes_the_next_best() -> None:
    assert choose_backend() == "argmax"
    assert create_backend().name == "argmax"


@pytest.mark.usefixtures("without_library")
def test_what_lacks_is_named_with_a_remedy() -> None:
    reasons = {info.name: info.unusable_because for info in list_backends()}
    assert reasons["argmax"] is None
    assert "lib_never_built.so has not been built" in str(reasons["graph_cut"])
    with pytest.raises(BackendUnavailableError, match="install a C\\+\\+ compiler"):
        create_backend("graph_cut")


def test_everything_is_usable_where_it_was_built() -> None:
    assert [info.unusable_because for info in list_backends()] == [None, None]
