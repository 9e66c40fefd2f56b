"""``focdepth export``: a network as an ONNX file."""

# ruff: noqa: B008

from __future__ import annotations

from pathlib import Path

import typer

from focdepth_ros.cli.parameters import image_size

_MIN_SLICES = 2
_MAX_SLICES = 64


def export(
    output: Path = typer.Option(..., "--output", "-o", metavar="FILE", help="The ONNX file."),
    weights: str = typer.Option(
        "",
        help="Of focdepthformer, as `focdepth weights` lists them, or path of a .safetensors file.",
        show_default="the first of focdepthformer that `focdepth weights` lists",
    ),
    slices: int = typer.Option(
        10, min=_MIN_SLICES, max=_MAX_SLICES, help="Slices of the sweeps that it takes."
    ),
    size: str = typer.Option("640x480", metavar="WxH", help="Of the images, in pixels."),
    opset: int = typer.Option(18, min=18, max=23, help="Version of ONNX's operators."),
) -> None:
    """Write a network as ONNX, for TensorRT and other runtimes.

    It takes images (1, N, 3, H, W) uint8 RGB in the order of exposure and
    dioptres (1, N) float32, and answers position (1, H, W), from 0 at the
    sweep's farthest focus distance to 1 at its nearest in dioptres, and
    confidence (1, H, W). Number and size of the images are fixed. At the end
    the file is run with ONNX Runtime and compared.
    """
    from focdepth_ros.errors import BackendUnavailableError
    from focdepth_ros.libraries import EXPORT_LIBRARIES, NETWORK_LIBRARIES, missing_because
    from focdepth_ros.models.weights_index import choose_weights

    width, height = image_size(size, "--size")
    missing = missing_because((*NETWORK_LIBRARIES, *EXPORT_LIBRARIES), "export")
    if missing is not None:
        raise BackendUnavailableError(f"networks cannot be exported here: {missing}")
    file = choose_weights(weights, "focdepthformer")

    from focdepth_ros.models.checkpoint import read_weights
    from focdepth_ros.models.export import ExportedShape, export_onnx
    from focdepth_ros.models.focdepthformer.model import FocDepthFormer

    network = read_weights(file.path, sha256=file.sha256).network_as(FocDepthFormer)
    shape = ExportedShape(slices, height, width)
    difference = export_onnx(network, output, shape, opset=opset)
    typer.echo(f"written to {output}: {slices} slices of {width}x{height} px, opset {opset}")
    typer.echo(f"largest difference from torch: {difference:.2g}")
