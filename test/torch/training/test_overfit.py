"""Whether the network can learn at all: a few stacks by heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pattern_photographs import patterns

from focdepth_ros.evaluation.metrics import depth_metrics
from focdepth_ros.models.focdepthformer.config import preset
from focdepth_ros.models.focdepthformer.model import FocDepthFormer, Prediction
from focdepth_ros.simulation import SimulatedStack, random_scene, render_stack
from focdepth_ros.stack import CameraIntrinsics, Lens
from focdepth_ros.training.batch import TrainingBatch
from focdepth_ros.training.config import LossSettings
from focdepth_ros.training.losses import training_losses
from focdepth_ros.training.rendering.random_layers import SurfaceClass
from focdepth_ros.training.sources.rendered import SimulatedSource

STACKS = 4
LR = 4e-3
CAMERA = CameraIntrinsics(width=64, height=48, fx=80.0, fy=80.0, cx=31.5, cy=23.5)
LENS = Lens(focal_length=0.025, f_number=1.4, pixel_pitch=160e-6)
DISTANCES = (0.4, 0.6, 0.9, 1.4, 2.2, 4.0)
LOSS = LossSettings(
    kind="l1", depth_ratio=0.3, gradient=0.05, sharpness=0.0, confidence=0.02, coarse=0.4
)


def depths(stacks: list[SimulatedStack], prediction: Prediction) -> list[np.ndarray]:
    near, far = 1.0 / DISTANCES[0], 1.0 / DISTANCES[-1]
    dioptres = far + prediction.position.clamp(0.0, 1.0) * (near - far)
    return list((1.0 / dioptres).detach().numpy())


@pytest.fixture(scope="module")
def stacks() -> list[SimulatedStack]:
    scenes = [
        random_scene(seed, intrinsics=CAMERA, textureless_fraction=0.1, photographs=())
        for seed in range(STACKS)
    ]
    return [render_stack(scene, LENS, DISTANCES) for scene in scenes]


def learn(network: FocDepthFormer, batch: TrainingBatch, steps: int, loss: LossSettings) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LR, total_steps=steps)
    for _ in range(steps):
        losses = training_losses(network(batch.images, batch.dioptres), batch, loss)
        optimiser.zero_grad()
        losses["total"].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    network.eval()


def test_learns_four_stacks_by_heart(stacks: list[SimulatedStack]) -> None:
    torch.manual_seed(0)
    batch = TrainingBatch(
        images=torch.stack(
            [
                torch.stack([torch.from_numpy(s.image).permute(2, 0, 1) for s in one.stack.slices])
                for one in stacks
            ]
        ),
        dioptres=torch.tensor([1.0 / z for z in DISTANCES]).repeat(STACKS, 1),
        inverse_depth=torch.stack([1.0 / torch.from_numpy(one.depth) for one in stacks]),
    )
    network = FocDepthFormer(preset("tiny"))
    learn(network, batch, 110, LOSS)
    with torch.no_grad():
        found = depths(stacks, network(batch.images, batch.dioptres))
    errors = [
        depth_metrics(depth, one.depth)["abs_rel"] for depth, one in zip(found, stacks, strict=True)
    ]
    assert np.mean(errors) < 0.05, errors


def test_learns_the_labels_of_simulated_stacks() -> None:
    torch.manual_seed(0)
    source = SimulatedSource((64, 64), 2, patterns())
    batch = source.batch(torch.Generator().manual_seed(3), 4)
    assert batch.labels is not None
    network = FocDepthFormer(preset("tiny", segmentation_classes=len(SurfaceClass)))
    learn(network, batch, 60, replace(LOSS, segmentation=1.0))
    with torch.no_grad():
        logits = network(batch.images, batch.dioptres).labels
    assert logits is not None
    assert logits.shape == (2, len(SurfaceClass), 64, 64)
    known = batch.labels >= 0
    right = (logits.argmax(dim=1) == batch.labels)[known].float().mean()
    most_frequent = batch.labels[known].bincount().max() / known.sum()
    assert right > 0.9 > most_frequent + 0.1
