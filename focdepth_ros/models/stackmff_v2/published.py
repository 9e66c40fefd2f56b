"""StackMFF-V2 as its authors published it: their weights, and what they make of the scores."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from focdepth_ros.errors import StackError, WeightsError
from focdepth_ros.models.stackmff_v2.config import StackMffV2Config
from focdepth_ros.models.stackmff_v2.model import StackMffV2

_MULTIPLE = 32  # px
_PREFIX = "module."  # of what was trained on several GPUs

_NAMES = (
    (r"feature_extraction\.encoder1\.0\.", "features.stem."),
    (r"feature_extraction\.encoder(\d)\.0\.", lambda found: f"features.encoders.{_at(found, 2)}."),
    (r"feature_extraction\.ebn(\d)\.", lambda found: f"features.encoder_norms.{_at(found, 1)}."),
    (r"feature_extraction\.decoder(\d)\.0\.", lambda found: f"features.decoders.{_at(found, 1)}."),
    (r"feature_extraction\.dbn(\d)\.", lambda found: f"features.decoder_norms.{_at(found, 1)}."),
    (r"feature_extraction\.scab\.catt\.get_all_att\.", "features.bridge.mix."),
    (
        r"feature_extraction\.scab\.catt\.att(\d)\.",
        lambda found: f"features.bridge.gates.{_at(found, 1)}.",
    ),
    (r"feature_extraction\.scab\.satt\.shared_conv2d\.0\.", "features.bridge.spatial."),
    (r"feature_extraction\.final\.", "features.project."),
    (r"layer_interaction\.layer_interaction_depth\.forward_cell_list\.0\.", "onward."),
    (r"layer_interaction\.layer_interaction_depth\.backward_cell_list\.0\.", "backward."),
    (r"\.channel_adj\.", ".mix."),
    (r"\.dwconv_hw\.", ".square."),
    (r"\.dwconv_w\.", ".row."),
    (r"\.dwconv_h\.", ".column."),
    (r"\.conv_gates\.", ".gates."),
    (r"\.conv_can\.", ".candidate."),
)


@dataclass(frozen=True, eq=False)
class FusedStacks:
    """What is made of B stacks of N slices.

    Parameters
    ----------
    image : (B, H, W)
        The slices at their `index`.
    depth : (B, H, W)
        Place in the stack, 0 for the first slice and 1 for the last.
    index : (B, H, W) int64
        Number of a slice.
    """

    image: Tensor
    depth: Tensor
    index: Tensor


def load_published(path: Path | str) -> StackMffV2:
    """The network with the weights of a checkpoint of the authors.

    Nothing in the file is run: it is read as tensors only. `save_weights` makes a file of this
    package of it.

    Parameters
    ----------
    path : Path or str
        Like ``stackmffv2.pth``.

    Raises
    ------
    WeightsError
        If the file cannot be read, or holds other tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever unpickling a damaged file raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path} cannot be read as a checkpoint: {reason}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}; expected tensors by name")
    network = StackMffV2(StackMffV2Config())
    renamed = {_our_name(str(name)): tensor for name, tensor in state.items()}
    try:
        network.load_state_dict(renamed)
    except RuntimeError as error:
        raise WeightsError(
            f"{path} does not hold the weights of the published StackMFF-V2: "
            f"{' '.join(str(error).split())}"
        ) from error
    network.eval().requires_grad_(False)
    return network


def fuse_stacks(network: StackMffV2, images: Tensor, *, official: bool = False) -> FusedStacks:
    """Fuse grey stacks by the scores of a network without the focus guide.

    Parameters
    ----------
    network : StackMffV2
    images : (B, N, H, W) float
        In [0, 1].
    official : bool
        As the authors do it: depth is stretched to the extremes that the batch has, whatever is
        seen, so that it depends on what else is in the batch; the sides must be multiples of 32.
        Otherwise depth is the place in the stack, each stack is on its own, and sides may be any.

    Raises
    ------
    StackError
        If there are fewer than two slices, or `official` gets sides that it does not know.
    WeightsError
        If the network has a focus guide, without which its scores are only half of the answer.
    """
    if network.config.focus_guide:
        raise WeightsError(
            "this network answers by its focus guide, not by scores alone; take one of the preset "
            "'published', or the backend stackmff_v2"
        )
    if images.ndim != 4 or images.shape[1] < 2:
        raise StackError(
            f"images have shape {tuple(images.shape)}; give (B, N, H, W) with at least 2 slices"
        )
    count, height, width = images.shape[1:]
    if official and (height % _MULTIPLE or width % _MULTIPLE):
        raise StackError(
            f"images are {width}x{height} px; the published network takes multiples of {_MULTIPLE}"
        )
    padding = (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
    padded = functional.pad(images, padding, mode="replicate")
    tokens = []
    hidden = None
    for number in range(count):
        features = network.features(padded[:, number, None])
        hidden = network.onward(features, hidden)
        tokens.append((features, hidden))
    scores = torch.cat(network.scores(tokens), dim=1)[:, :, :height, :width]
    place = torch.arange(count, dtype=scores.dtype, device=scores.device)[:, None, None]
    place = (torch.softmax(scores, dim=1) * place).sum(dim=1)
    low, high = (place.min(), place.max()) if official else (0.0, count - 1)
    depth = (place - low) / (high - low)
    index = torch.round(depth * (count - 1)).long()
    return FusedStacks(images.gather(1, index[:, None])[:, 0], depth, index)


def _our_name(name: str) -> str:
    name = name.removeprefix(_PREFIX)
    for pattern, ours in _NAMES:
        name = re.sub(pattern, ours, name)
    return name


def _at(found: re.Match[str], first: int) -> int:
    """Index of a part that they number from `first`."""
    return int(found[1]) - first
