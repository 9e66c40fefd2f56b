"""The small pieces of HTML on the page; every text of others is escaped."""

from __future__ import annotations

import re
from html import escape

import cv2
import numpy as np

from focdepth_ros.backends.registry import BackendInfo
from focdepth_ros.errors import FocdepthError
from focdepth_ros.pictures.depth_pictures import css_gradient
from focdepth_ros.stack import FocalStack
from focdepth_ros.web.answer import Answer, Reading
from focdepth_ros.web.uploads import Upload

_TICKS = 5
_LITTLE = 10.0  # percent of the pixels
_NAMES = 6  # of files that are shown


def depth_bar(answer: Answer) -> str:
    """The colours of the depth picture with metres, or places in the stack, beneath."""
    near, far = answer.depth_limits
    if answer.estimate.metric:
        values = 1.0 / np.linspace(1.0 / near, 1.0 / far, _TICKS)
        labels = [f"{value:.2f} m" if value < 10.0 else f"{value:.0f} m" for value in values]
    else:
        labels = [f"{value + 1.0:.1f}" for value in np.linspace(near, far, _TICKS)]
        labels[0], labels[-1] = f"slice {labels[0]} (near)", f"{labels[-1]} (far)"
    return _bar(css_gradient(reverse=True), labels) + note("Black: not known well enough.")


def confidence_bar() -> str:
    """The colours of the confidence picture."""
    labels = [f"{value:.2g}" for value in np.linspace(0.0, 1.0, _TICKS)]
    return _bar(css_gradient(colour_map=cv2.COLORMAP_VIRIDIS), labels) + note(
        "How likely the depth of a pixel is right."
    )


def summary(answer: Answer) -> str:
    """What came out, in a few lines, and what went less well."""
    estimate = answer.estimate
    known = estimate.depth[~np.isnan(estimate.depth)]
    share = 100.0 * known.size / estimate.depth.size
    unit = " m" if estimate.metric else ""
    shift = 0.0 if estimate.metric else 1.0
    reach = (
        f"{known.min() + shift:.3g} to {known.max() + shift:.3g}{unit}" if known.size else "none"
    )
    facts = {
        "Backend": estimate.backend,
        "Depth" if estimate.metric else "Slice": reach,
        "Known": f"{share:.0f} % of {estimate.depth.shape[1]}×{estimate.depth.shape[0]} pixels",
        "Time": f"{sum(estimate.timings.get(n, 0.0) for n in ('align', 'add', 'finish')):.1f} s",
    }
    if known.size and answer.metrics:
        facts["Error"] = (
            f"{100.0 * answer.metrics['abs_rel']:.1f} % of the true depth "
            f"(rmse {answer.metrics['rmse']:.2f} m)"
        )
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()
    )
    notes = [*estimate.warnings]
    if not estimate.metric:
        notes.insert(
            0,
            "No focus distances were given: depth is the place in the stack, nearest slice first, "
            "and no metres.",
        )
    if share < _LITTLE:
        notes.append("Little is known well enough: lower Least confidence in the settings.")
    notes += answer.notes
    return f"<dl class='fd-facts'>{rows}</dl>" + "".join(note(text) for text in notes)


def upload_summary(upload: Upload) -> str:
    """What was uploaded, and what of it is used."""
    stack, left_out = upload
    known = "with" if stack.focus_distances is not None else "without"
    text = note(f"{len(stack.images)} images were taken, {known} focus distances.")
    if not left_out:
        return text
    names = ", ".join(left_out[:_NAMES])
    more = f" and {len(left_out) - _NAMES} more" if len(left_out) > _NAMES else ""
    return text + note(f"Left out, since not part of the stack: {names}{more}.")


def problem(text: str) -> str:
    """What was wrong, as a sentence; names of files stay as they are."""
    if re.match("[a-z]+ ", text):
        text = text[0].upper() + text[1:]
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    return f"<p class='fd-note fd-error' role='alert'>{escape(text)}</p>"


def stopped(before: Answer | None) -> str:
    """What stands there when a visitor no longer wanted an answer; `before` is what is shown."""
    if before is None:
        return note("Stopped.")
    return note("Stopped. The answer before stays.") + summary(before)


def nothing_uploaded() -> str:
    """What stands there when the upload was removed."""
    return note("Nothing is uploaded.")


def reading(answer: Answer, x: int, y: int, found: Reading) -> str:
    """What a click has read."""
    place = f"<span class='fd-soft'>at ({x}, {y})</span>"
    sharp = f"sharpest in slice {found.slice_index + 1.0:.1f} of {len(answer.stack)}"
    sure = f"confidence {found.confidence:.2f}"
    if np.isnan(found.depth):
        return _line(f"<b>depth not known</b> {place} · {sure}")
    value = f"{found.depth:.3f} m" if answer.estimate.metric else f"slice {found.depth + 1.0:.1f}"
    return _line(f"<b>{value}</b> {place} · {sure} · {sharp}")


def invitation() -> str:
    """What stands where a click will be read."""
    return _line("<span class='fd-soft'>Click a picture to read its depth.</span>")


def slice_caption(stack: FocalStack, index: int) -> str:
    """Which slice is shown."""
    distance = stack.slices[index].focus_distance
    where = "" if distance is None else f", focused at {distance:.3g} m"
    return note(f"Slice {index + 1} of {len(stack)}{where}, as it was taken.")


def refocus_caption(answer: Answer, position: float) -> str:
    """Where the refocused picture is focused."""
    if answer.estimate.metric:
        where = f"at {answer.refocuser.distance(position):.2f} m"
    else:
        where = f"at slice {position + 1.0:.1f}"
    lens = "the lens of the stack" if answer.stack.lens is not None else "an assumed lens"
    return note(f"Rendered from depth and all-in-focus image: focused {where}, by {lens}.")


def cloud(answer: Answer, key: str) -> str:
    """The 3-D view, or why there is none."""
    try:
        seen = answer.cloud
    except FocdepthError as error:
        return note(f"No 3-D view: {error}.")
    assumed = (
        f" Assumed field of view: {answer.question.degrees:g}° across; change it in the settings."
        if answer.view_assumed
        else ""
    )
    return (
        "<canvas class='fd-cloud' tabindex='0' role='img' aria-label='Point cloud'"
        f" data-src='cloud/{escape(key)}.ply' data-spacing='{seen.spacing}'"
        f" data-half-width='{seen.half_width}'></canvas><p class='fd-note fd-cloud-note'>Drag to "
        "turn, scroll to come closer, double click to see it as the camera did; or the arrow keys, "
        f"+, − and Home.{assumed}</p>"
    )


def unusable(infos: list[BackendInfo]) -> str:
    """Which backends cannot be chosen here, and why."""
    return "".join(
        note(f"{info.name} cannot be used here: {info.unusable_because}")
        for info in infos
        if info.unusable_because is not None
    )


def _bar(gradient: str, labels: list[str]) -> str:
    ticks = "".join(f"<span>{escape(label)}</span>" for label in labels)
    return (
        f"<div class='fd-bar' style='background:{gradient}'></div><div class='fd-ticks'>{ticks}"
        "</div>"
    )


def note(text: str) -> str:
    """A line of small text."""
    return f"<p class='fd-note'>{escape(text)}</p>"


def _line(content: str) -> str:
    return f"<p class='fd-reading' role='status'>{content}</p>"
