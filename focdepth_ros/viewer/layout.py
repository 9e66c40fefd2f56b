"""How the viewer is laid out: the cloud beside the images, figures and texts below."""

from __future__ import annotations

from typing import Any


def layout(over_time: bool) -> Any:
    """Rerun's blueprint of it; with plots and a log only if there is something `over_time`."""
    import rerun.blueprint as rrb

    # The images lie in the camera, and would stand in the way of the cloud.
    in_space = ["/cloud/**", "/camera"]
    images = [
        rrb.Spatial2DView(origin=f"/camera/{name}", name=title)
        for name, title in (
            ("all_in_focus", "all-in-focus"),
            ("depth", "depth [m]"),
            ("confidence", "confidence"),
        )
    ]
    below = [rrb.TextDocumentView(origin="/sweep", name="sweep")]
    if over_time:
        below = [
            rrb.TimeSeriesView(origin="/figures/seconds", name="times [s]"),
            rrb.TimeSeriesView(origin="/figures/shares", name="coverage"),
            *below,
            rrb.TextLogView(origin="/log", name="diagnostics"),
        ]
    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(
                rrb.Spatial3DView(origin="/", contents=in_space, name="point cloud [m]"),
                rrb.Vertical(*images),
                column_shares=[2, 1],
            ),
            rrb.Horizontal(*below),
            row_shares=[5, 2],
        ),
        rrb.TimePanel(state="collapsed", timeline="stamp", play_state="following"),
        rrb.BlueprintPanel(state="hidden"),
        rrb.SelectionPanel(state="hidden"),
        auto_views=False,
    )
