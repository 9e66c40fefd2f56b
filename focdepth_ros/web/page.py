"""How the page looks: settings at the left, the two pictures that belong together at the right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from focdepth_ros.backends.registry import choose_backend, list_backends
from focdepth_ros.defaults import DEFAULT_MIN_CONFIDENCE
from focdepth_ros.files.image_io import IMAGE_SUFFIXES
from focdepth_ros.stack_folder.description import STACK_YAML
from focdepth_ros.web import snippets
from focdepth_ros.web.answer import ALIGNMENTS, DEFAULT_DEGREES
from focdepth_ros.web.limits import WebLimits
from focdepth_ros.web.scenes import SCENES

#: What a focal stack is taken from.
BUILT_IN, UPLOADED = "Simulated", "My images"

TITLE = "Depth from focus"
_INTRODUCTION = """
<div class="fd-intro"><h2>One camera, many focus distances, metric depth</h2>
<p>A camera focuses from near to far. For every pixel it is worked out at which distance it was
sharpest: that is its depth.</p>
<p>Take a simulated scene, or images of your own, and press <b>Estimate depth</b>.</p></div>
"""
_DISTANCES_HELP = (
    "Metres, one per image in the order of their names. Left empty, those of a stack.yaml count; "
    "without any, depth is relative."
)
# Fonts of the system only: nothing is fetched from elsewhere.
_FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")
# Darker than the theme has it, so that all text stands out from what is behind it by 4.5 to 1.
THEME = gr.themes.Soft(primary_hue="teal", neutral_hue="slate", font=_FONTS, font_mono=_MONO).set(
    background_fill_primary="*neutral_50",  # the theme's own, which set() forgets
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    checkbox_label_background_fill_selected="*primary_700",
    checkbox_label_background_fill_selected_dark="*primary_700",
    block_title_text_color="*primary_800",
    block_label_text_color="*primary_800",
    block_label_background_fill_dark="*primary_800",
    block_title_background_fill_dark="*primary_800",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_info_text_size="*text_sm",
    checkbox_border_color="*neutral_500",
)
_HERE = Path(__file__).parent
CSS = (_HERE / "page.css").read_text(encoding="utf-8")
# Pictures, and what they are called where they are not seen.
_PICTURES = {
    "fd-sharp": "All-in-focus image",
    "fd-refocused": "Refocused image",
    "fd-slice": "Slice as it was taken",
    "fd-depth": "Depth in colours",
    "fd-confidence": "Confidence in colours",
}
_SCRIPTS = [
    f"window.focdepthPictures = {json.dumps(_PICTURES)};",
    *((_HERE / name).read_text(encoding="utf-8") for name in ("cloud_view.js", "picture_names.js")),
]
HEAD = "".join(f"<script>{script}</script>" for script in _SCRIPTS)
TOGGLE_DARK = "() => { document.body.classList.toggle('dark') }"


@dataclass(frozen=True)
class Parts:
    """The components of the page that something happens to."""

    mode: gr.Button
    source: gr.Radio
    scene_group: gr.Group
    scene: gr.Dropdown
    hand_held: gr.Checkbox
    upload_group: gr.Group
    files: gr.File
    upload_status: gr.HTML
    distances: gr.Textbox
    far_first: gr.Checkbox
    backend: gr.Dropdown
    alignment: gr.Dropdown
    min_confidence: gr.Slider
    field_of_view: gr.Slider
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    introduction: gr.HTML
    results: gr.Column
    sharp: gr.Image
    slice_picture: gr.Image
    slice_slider: gr.Slider
    slice_caption: gr.HTML
    refocused: gr.Image
    refocus_slider: gr.Slider
    refocus_caption: gr.HTML
    depth: gr.Image
    depth_bar: gr.HTML
    confidence: gr.Image
    cloud: gr.HTML
    reading: gr.HTML
    downloads: dict[str, gr.DownloadButton]


def lay_out(limits: WebLimits) -> Parts:
    """Put the components into the `gr.Blocks` that is open."""
    parts: dict[str, object] = {}
    with gr.Row(elem_id="fd-head"):
        gr.HTML(f"<h1>{TITLE}</h1><p>Metric depth from one camera whose focus moves</p>")
        parts["mode"] = gr.Button("Light / dark", size="sm", elem_id="fd-mode", scale=0)
    with gr.Row():
        with gr.Column(scale=1, min_width=280, elem_id="fd-settings"):
            _settings(parts, limits)
        with gr.Column(scale=4, min_width=300):
            parts["introduction"] = gr.HTML(_INTRODUCTION)
            with gr.Column(visible=False) as parts["results"]:
                with gr.Row():
                    with gr.Column(min_width=300):
                        _photographs(parts)
                    with gr.Column(min_width=300):
                        _depths(parts)
                parts["reading"] = gr.HTML(elem_id="fd-reading")
                _downloads(parts)
    return Parts(**parts)  # type: ignore[arg-type]


def _settings(parts: dict[str, object], limits: WebLimits) -> None:
    parts["source"] = gr.Radio(
        [BUILT_IN, UPLOADED], value=BUILT_IN, label="Focal stack", elem_id="fd-source"
    )
    with gr.Group() as parts["scene_group"]:
        parts["scene"] = gr.Dropdown(list(SCENES), label="Scene", elem_id="fd-scene")
        parts["hand_held"] = gr.Checkbox(
            label="Hand-held", info="The camera shakes, and its focus breathes.", elem_id="fd-held"
        )
    with gr.Group(visible=False) as parts["upload_group"]:
        parts["files"] = gr.File(
            file_count="multiple", label="Images, or one zip", height=170,
            elem_id="fd-files",
        )  # fmt: skip
        parts["upload_status"] = gr.HTML(_upload_help(limits), padding=True, elem_id="fd-uploaded")
        parts["distances"] = gr.Textbox(
            label="Focus distances", info=_DISTANCES_HELP, placeholder="0.3, 0.5, 0.9, inf",
            max_lines=3, elem_id="fd-distances",
        )  # fmt: skip
        parts["far_first"] = gr.Checkbox(
            label="From far to near", info="Order of images without focus distances.",
            elem_id="fd-far-first",
        )  # fmt: skip
    infos = list(list_backends())
    usable = [info.name for info in infos if info.unusable_because is None]
    with gr.Accordion("Settings", open=False):
        parts["backend"] = gr.Dropdown(
            [(f"auto: {choose_backend()}", "auto"), *usable], value="auto", label="Backend",
            elem_id="fd-backend",
        )  # fmt: skip
        if len(usable) < len(infos):
            gr.HTML(snippets.unusable(infos))
        parts["alignment"] = gr.Dropdown(list(ALIGNMENTS), value="auto", label="Alignment")
        parts["min_confidence"] = gr.Slider(
            0.0, 1.0, value=DEFAULT_MIN_CONFIDENCE, step=0.05, label="Least confidence",
            info="Pixels below it are left out.", elem_id="fd-least",
        )  # fmt: skip
        parts["field_of_view"] = gr.Slider(
            20, 120, value=DEFAULT_DEGREES, step=1, label="Horizontal field of view [°]",
            info="For the 3-D view and the point cloud of a camera that is not known.",
            elem_id="fd-view",
        )  # fmt: skip
    with gr.Row(elem_id="fd-buttons"):
        parts["run"] = gr.Button(
            "Estimate depth", variant="primary", scale=3, min_width=150, elem_id="fd-run"
        )
        parts["stop"] = gr.Button(
            "Stop", interactive=False, scale=1, min_width=70, elem_id="fd-stop"
        )
    parts["status"] = gr.HTML(elem_id="fd-status", padding=True)


def _photographs(parts: dict[str, object]) -> None:
    with gr.Tabs():
        with gr.Tab("All in focus"):
            parts["sharp"] = _picture("fd-sharp")
        with gr.Tab("Refocus"):
            parts["refocused"] = _picture("fd-refocused")
            parts["refocus_slider"] = gr.Slider(
                1, 2, step=0.1, label="Focus, near to far", buttons=[], elem_id="fd-refocus-slider"
            )
            parts["refocus_caption"] = gr.HTML(elem_classes="fd-caption")
        with gr.Tab("Slices"):
            parts["slice_picture"] = _picture("fd-slice")
            parts["slice_slider"] = gr.Slider(
                1, 2, step=1, label="Slice, near to far", buttons=[], elem_id="fd-slice-slider"
            )
            parts["slice_caption"] = gr.HTML(elem_id="fd-slice-caption", elem_classes="fd-caption")


def _depths(parts: dict[str, object]) -> None:
    with gr.Tabs():
        with gr.Tab("Depth"):
            parts["depth"] = _picture("fd-depth", "png")
            parts["depth_bar"] = gr.HTML(elem_id="fd-depth-bar")
        with gr.Tab("Confidence"):
            parts["confidence"] = _picture("fd-confidence", "png")
            gr.HTML(snippets.confidence_bar(), elem_id="fd-confidence-bar")
        with gr.Tab("3-D"):
            parts["cloud"] = gr.HTML(elem_id="fd-cloud", elem_classes="fd-caption")


def _downloads(parts: dict[str, object]) -> None:
    wanted = {
        "depth.npy": "Depth (.npy)",
        "depth.png": "Depth (16-bit .png)",
        "cloud.ply": "Point cloud (.ply)",
        "report.html": "Report (.html)",
        "everything.zip": "Everything (.zip)",
    }
    with gr.Row():
        parts["downloads"] = {
            name: gr.DownloadButton(
                label, size="sm", min_width=130, elem_id=f"fd-{name.replace('.', '-')}"
            )
            for name, label in wanted.items()
        }


def _picture(name: str, kind: str = "jpeg") -> gr.Image:
    return gr.Image(
        show_label=False, format=kind, interactive=False, buttons=["fullscreen"], elem_id=name,
        elem_classes="fd-picture",
    )  # fmt: skip


def _upload_help(limits: WebLimits) -> str:
    kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
    return (
        f"<p class='fd-note'>2 to {limits.max_images} images ({kinds}), all of one size, with a "
        f"{STACK_YAML} if there is one; or a zip of them. Up to {limits.max_upload_mb:g} MB.</p>"
    )
