"""A FocDepthFormer as an ONNX file, for runtimes without torch such as TensorRT."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from focdepth_ros.errors import BackendUnavailableError, ExportError
from focdepth_ros.libraries import EXPORT_LIBRARIES, missing_because
from focdepth_ros.models.focdepthformer.encoder import PATCH
from focdepth_ros.models.focdepthformer.model import FocDepthFormer
from focdepth_ros.models.sweeps import SIZE_MULTIPLE

DEFAULT_OPSET = 18
INPUTS = ("images", "dioptres")
OUTPUTS = ("position", "confidence")

_NEAREST = 3.0  # 1/m, of the sweep on which both are compared
_LARGEST_DIFFERENCE = 1e-2  # both answers go from 0 to 1; rounding alone makes far less


@dataclass(frozen=True)
class ExportedShape:
    """What an exported network takes; both are fixed.

    Parameters
    ----------
    slices : int
        At least 2.
    height, width : int
        Of the images in pixels, as they come from the camera.
    """

    slices: int
    height: int
    width: int


class OneShot(nn.Module):
    """A whole sweep in, its answer out.

    Parameters
    ----------
    network : FocDepthFormer
        A copy is used, made for images of one size.
    shape : ExportedShape
    """

    def __init__(self, network: FocDepthFormer, shape: ExportedShape) -> None:
        super().__init__()
        self.network = _for_one_size(network, shape)

    def forward(self, images: Tensor, dioptres: Tensor) -> tuple[Tensor, Tensor]:
        """Answer a sweep.

        Parameters
        ----------
        images : (1, N, 3, H, W) uint8
            RGB, in the order of exposure.
        dioptres : (1, N) float32
            Inverse focus distances, 1/m.

        Returns
        -------
        position : (1, H, W) float32
            Dioptres in the range of the sweep: 0 at its farthest and 1 at its nearest.
        confidence : (1, H, W) float32 in [0, 1]
            All 1 where the network does not tell.
        """
        found = self.network(images, dioptres)
        if found.confidence_logits is None:
            return found.position, torch.ones_like(found.position)
        return found.position, torch.sigmoid(found.confidence_logits.float())


def export_onnx(
    network: FocDepthFormer,
    output: Path,
    shape: ExportedShape,
    *,
    opset: int = DEFAULT_OPSET,
) -> float:
    """Write an ONNX file once it has been compared with the network.

    Parameters
    ----------
    network : FocDepthFormer
        On the CPU.
    output : Path
    shape : ExportedShape
    opset : int
        Version of the operators.

    Returns
    -------
    float
        Largest difference of position and confidence on a sweep of noise, ONNX Runtime against
        torch.

    Raises
    ------
    BackendUnavailableError
        If a library that it takes is not installed.
    ExportError
        If torch cannot export the network, or what it writes cannot be run or answers otherwise;
        a file that was there before stays.
    """
    missing = missing_because(EXPORT_LIBRARIES, "export")
    if missing is not None:
        raise BackendUnavailableError(f"networks cannot be exported here: {missing}")
    one_shot = OneShot(network, shape).eval()
    sweep = _noise(shape)
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f".{os.getpid()}.{output.name}")
    try:
        _write(one_shot, sweep, unfinished, opset)
        difference = _difference(one_shot, unfinished, sweep)
        if not difference <= _LARGEST_DIFFERENCE:  # NaN fails this comparison too
            raise ExportError(
                f"the network as ONNX for {output} differs by {difference:.2g} from that of torch; "
                f"at most {_LARGEST_DIFFERENCE} is right; take other weights, another opset, or a "
                "newer torch and onnxscript"
            )
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    return difference


def _write(one_shot: OneShot, sweep: tuple[Tensor, Tensor], path: Path, opset: int) -> None:
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of torch about its own code
            torch.onnx.export(
                one_shot,
                sweep,
                path,
                input_names=INPUTS,
                output_names=OUTPUTS,
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except (RuntimeError, TypeError, torch.onnx.errors.OnnxExporterError) as error:
        raise ExportError(
            f"torch {torch.__version__} cannot write the network as ONNX with opset {opset}: "
            f"{error}; take a newer torch and onnxscript, or opset {DEFAULT_OPSET}"
        ) from error


def _difference(one_shot: OneShot, path: Path, sweep: tuple[Tensor, Tensor]) -> float:
    import onnxruntime

    with torch.inference_mode():
        expected = one_shot(*sweep)
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        given = {name: tensor.numpy() for name, tensor in zip(INPUTS, sweep, strict=True)}
        found = session.run(list(OUTPUTS), given)
    except Exception as error:  # its errors have no base of their own
        raise ExportError(
            f"ONNX Runtime {onnxruntime.__version__} cannot run {path}: {error}"
        ) from error
    # Of numpy, since Python's own passes over NaN.
    return float(
        np.max(
            [
                np.abs(values - tensor.numpy()).max()
                for values, tensor in zip(found, expected, strict=True)
            ]
        )
    )


def _for_one_size(network: FocDepthFormer, shape: ExportedShape) -> FocDepthFormer:
    """A copy whose transformer has its positions ready for one grid of patches.

    Otherwise they are interpolated in the file, in a way that TensorRT does not know.
    """
    copied = copy.deepcopy(network)
    grid = [
        -(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE // PATCH for side in (shape.height, shape.width)
    ]
    vit = copied.encoder.vit
    positions = resample_abs_pos_embed(
        vit.pos_embed.detach(), grid, num_prefix_tokens=vit.num_prefix_tokens
    )
    vit.pos_embed = nn.Parameter(positions, requires_grad=False)
    vit.patch_embed = nn.Sequential(vit.patch_embed, nn.Flatten(1, 2))
    vit.dynamic_img_size = False
    return copied


def _noise(shape: ExportedShape) -> tuple[Tensor, Tensor]:
    """Images (1, N, 3, H, W) and dioptres (1, N) of a sweep, not in the order of distance."""
    rng = np.random.default_rng(0)
    size = (1, shape.slices, 3, shape.height, shape.width)
    images = torch.from_numpy(rng.integers(0, 256, size, np.uint8))
    dioptres = torch.linspace(_NEAREST, 0.0, shape.slices)[None].roll(1, dims=1)
    return images, dioptres.contiguous()
