"""The network as an ONNX file answers like the network."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_network import noise_sweep, small_network

from focdepth_ros.cli import main
from focdepth_ros.errors import BackendUnavailableError, ExportError
from focdepth_ros.libraries import how_to_install
from focdepth_ros.models import export
from focdepth_ros.models.checkpoint import load_weights, save_weights
from focdepth_ros.models.export import ExportedShape, OneShot, export_onnx

SLICES, HEIGHT, WIDTH = 3, 60, 96
SHAPE = ExportedShape(SLICES, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, small_network())
    return path


@pytest.fixture(scope="module")
def exported(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written by the command; tracing takes a while, so once for all tests."""
    path = tmp_path_factory.mktemp("exported") / "new" / "network.onnx"
    size = f"{WIDTH}x{HEIGHT}"
    options = ("--weights", weights, "--output", path, "--slices", SLICES, "--size", size)
    assert main(["export", *map(str, options)]) == 0
    return path


def test_it_answers_like_the_network(exported: Path, weights: Path) -> None:
    images, dioptres = noise_sweep(SLICES, HEIGHT, WIDTH, seed=3)
    with torch.inference_mode():
        expected = load_weights(weights)(images, dioptres)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    given = {"images": images.numpy(), "dioptres": dioptres.numpy()}
    position, confidence = session.run(["position", "confidence"], given)
    np.testing.assert_allclose(position, expected.position, atol=1e-3)
    np.testing.assert_allclose(confidence, torch.sigmoid(expected.confidence_logits), atol=1e-3)
    assert np.std(position) > 0.01


def test_it_is_one_file_of_plain_operators_and_fixed_shapes(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["network.onnx"]
    model = onnx.load(exported)
    onnx.checker.check_model(model)
    assert {node.domain for node in model.graph.node} == {""}
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    shapes = {
        item.name: [size.dim_value for size in item.type.tensor_type.shape.dim]
        for item in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "images": [1, SLICES, 3, HEIGHT, WIDTH],
        "dioptres": [1, SLICES],
        "position": [1, HEIGHT, WIDTH],
        "confidence": [1, HEIGHT, WIDTH],
    }
    # TensorRT knows no others.
    modes = {
        attribute.s
        for node in model.graph.node
        if node.op_type == "Resize"
        for attribute in node.attribute
        if attribute.name == "mode"
    }
    assert modes == {b"linear"}


def test_the_copy_for_one_size_answers_the_same() -> None:
    network = small_network()
    sweep = noise_sweep(SLICES, HEIGHT, WIDTH)
    with torch.inference_mode():
        position, _ = OneShot(network, SHAPE)(*sweep)
        torch.testing.assert_close(position, network(*sweep).position, atol=1e-5, rtol=0.0)


def test_without_confidence_every_pixel_is_sure() -> None:
    paper = {"output": "metres", "refinement": False, "confidence": False}
    with torch.inference_mode():
        _, confidence = OneShot(small_network(**paper), SHAPE)(*noise_sweep(SLICES, HEIGHT, WIDTH))
    assert torch.equal(confidence, torch.ones(1, HEIGHT, WIDTH))


@pytest.mark.parametrize("spoilt", ["position", "confidence", ""])
@pytest.mark.parametrize("by", [0.1, np.nan])
def test_a_file_that_answers_otherwise_is_not_kept(
    spoilt: str, by: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = small_network()
    output = tmp_path / "network.onnx"
    output.write_text("before")

    class Session:
        def __init__(self, path: Path, **_: object) -> None:
            assert path.read_text() == "after"

        def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
            with torch.inference_mode():
                found = OneShot(network, SHAPE)(*map(torch.from_numpy, given.values()))
            answers = dict(zip(names, (values.numpy() for values in found), strict=True))
            if spoilt:
                answers[spoilt][0, 3, 4] += by
            return list(answers.values())

    def written(one_shot: OneShot, sweep: object, path: Path, **_: object) -> None:
        path.write_text("after")

    monkeypatch.setattr(torch.onnx, "export", written)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    if spoilt:
        with pytest.raises(ExportError, match=f"network.onnx differs by {by} from that of torch"):
            export_onnx(network, output, SHAPE)
    else:
        assert export_onnx(network, output, SHAPE) < 1e-5
    assert output.read_text() == ("before" if spoilt else "after")
    assert list(tmp_path.iterdir()) == [output]


def test_what_cannot_be_exported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ExportError, match="with opset 18: no such operator; take a newer torch"):
        export_onnx(small_network(), tmp_path / "x.onnx", SHAPE)
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: None)
    with pytest.raises(ExportError, match=r"ONNX Runtime .* cannot run .*x\.onnx"):
        export_onnx(small_network(), tmp_path / "x.onnx", SHAPE)
    monkeypatch.setattr(export, "EXPORT_LIBRARIES", ("onnx_of_no_kind",))
    words = re.escape(f"onnx_of_no_kind is not installed; {how_to_install('export')}")
    with pytest.raises(BackendUnavailableError, match=words):
        export_onnx(small_network(), tmp_path / "x.onnx", SHAPE)
