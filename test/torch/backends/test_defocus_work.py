"""How the backend `defocus` works: positions, infinity, progress, interruption, and the command."""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from defocus_scenes import FOCUS_DISTANCES, LENS, focal_stack, slanted_dioptres, textured_image

from focdepth_ros.backends.base import Backend
from focdepth_ros.backends.registry import create_backend
from focdepth_ros.cli import main
from focdepth_ros.colour import srgb_from_linear
from focdepth_ros.defocus import solver
from focdepth_ros.errors import BackendError, DeviceError
from focdepth_ros.files.image_io import write_image
from focdepth_ros.stack import FocalStack, Slice

SIZE = (48, 64)
QUICK = {"epochs": 2, "depths": 30, "iterations": 40, "device": "cpu"}
DIOPTRE = slanted_dioptres(*SIZE, near=1.1, far=5.0)


def quick(**options: Any) -> Backend:
    return create_backend("defocus", **{**QUICK, **options})


@lru_cache(maxsize=1)
def slices() -> tuple[Slice, ...]:
    """A slanted plane as a camera of 8 bits gives it, near to far."""
    light = focal_stack(textured_image(*SIZE), DIOPTRE, psf="disc").numpy()
    items = zip(light, FOCUS_DISTANCES, strict=True)
    return tuple(Slice(srgb_from_linear(part), at) for part, at in items)


def stack_of(items: tuple[Slice, ...]) -> FocalStack:
    return FocalStack(items, lens=LENS)


def test_positions_are_those_of_the_depth_in_dioptres() -> None:
    answer = quick(outliers="keep").estimate(stack_of(slices()))
    position = np.interp(
        -1.0 / answer.depth, -1.0 / np.array(FOCUS_DISTANCES), np.arange(len(FOCUS_DISTANCES))
    )
    np.testing.assert_allclose(answer.slice_index, position, atol=1e-4)
    # On the near side of the sweep there are no positions, but there are depths.
    beyond = answer.depth < 1.0
    assert (answer.slice_index[beyond] == 0.0).all()


def test_a_slice_focused_at_infinity() -> None:
    image = textured_image(*SIZE)
    dioptre = torch.linspace(0.8, 0.0, SIZE[1]).expand(*SIZE).contiguous()
    distances = (1.25, 2.5, 5.0, math.inf)
    model = solver.DefocusModel(LENS, distances, psf="disc")
    with torch.inference_mode():
        light = model.operator(dioptre).forward(image).permute(2, 0, 1, 3).numpy()
    items = tuple(Slice(srgb_from_linear(p), z) for p, z in zip(light, distances, strict=True))
    answer = quick().estimate(stack_of(items))
    assert not (answer.depth <= 0.0).any()
    with np.errstate(divide="ignore"):
        found = 1.0 / answer.depth
    assert np.nanmean(np.abs(found - dioptre.numpy())) < 0.02


def test_an_answer_that_nobody_wants_any_more_is_given_up() -> None:
    backend = create_backend("defocus", epochs=1000, tolerance=0.0, device="cpu")
    begun = threading.Event()
    backend.on_step = lambda words: begun.set()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            backend.estimate(stack_of(slices()))
        except BackendError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60.0)
    backend.interrupt()
    thread.join(30.0)
    assert not thread.is_alive()
    assert "interrupted" in str(raised[0])


def test_epochs_are_told_and_drawn(tmp_path: Path) -> None:
    backend = quick(plots_dir=str(tmp_path / "plots"), tolerance=0.0)
    words: list[str] = []
    backend.on_step = words.append
    backend.estimate(stack_of(slices()))
    assert backend.steps == QUICK["epochs"]
    assert [text.partition(",")[0] for text in words] == ["epoch 1", "epoch 2"]
    assert all(float(text.rpartition(" ")[2]) < 1e-3 for text in words)
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == ["epoch_001.png", "epoch_002.png", "loss.png"]


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (torch.cuda.OutOfMemoryError("Tried to allocate 2.00 GiB."), "too little memory: Tried"),
        (RuntimeError("CUDA error: unspecified launch failure\nmore"), "failed: CUDA error: unsp"),
    ],
)
def test_a_device_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, cause: Exception, words: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise cause

    monkeypatch.setattr(solver, "fista", broken)
    with pytest.raises(DeviceError, match=words) as raised:
        quick().estimate(stack_of(slices()))
    assert "\n" not in str(raised.value)


def test_a_folder_of_pictures_with_a_file_of_settings(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    for number, item in enumerate(slices()):
        write_image(folder / f"{number}.png", item.image)
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"lens: {{focal_length: {LENS.focal_length}, f_number: {LENS.f_number}, "
        f"pixel_pitch: {LENS.pixel_pitch}}}\nfocus_distances: {list(FOCUS_DISTANCES)}\n"
    )
    options = [f"--option={key}={value}" for key, value in QUICK.items()]
    arguments = ["-b", "defocus", f"--option=settings={path}", "-o", str(out)]
    assert main(["estimate", str(folder), *arguments, *options]) == 0
    depth = np.load(out / "depth.npy")
    assert np.nanmean(np.abs(depth * DIOPTRE.numpy() - 1.0)) < 0.03
    assert (out / "cloud.ply").is_file()  # by the lens of the settings


def test_pictures_of_epochs_are_for_what_has_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, item in enumerate(slices()):
        write_image(tmp_path / f"{number}.png", item.image)
    plots = ["--save-plots", str(tmp_path / "plots")]
    assert main(["estimate", str(tmp_path), "-b", "graph_cut", *plots]) == 2
    assert "--save-plots: backend 'graph_cut' does not work in epochs" in capsys.readouterr().err
