"""Defaults that several ways into the package share; imports nothing, so that help is quick."""

#: Confidence below which a pixel's depth is not given. With it `graph_cut` answers about three
#: quarters of the pixels of the tuning scenes, with less than half the mean error of all.
DEFAULT_MIN_CONFIDENCE = 0.8

#: Seconds in which a backend whose device failed is not tried again.
DEFAULT_COOLDOWN_S = 10.0

#: Seconds between the reference slice of a sweep and a ground truth of it, at most.
DEFAULT_DEPTH_TOLERANCE_S = 0.5

#: Where pages are served: to this machine alone.
DEFAULT_HOST = "127.0.0.1"

#: Of the page of ``focdepth view``, and of the data that it fetches.
DEFAULT_VIEW_PORT, DEFAULT_VIEW_DATA_PORT = 9090, 9876

#: Megabytes of data that are kept for pages of ``focdepth view`` that are opened later.
DEFAULT_VIEW_MEMORY_MB = 512
