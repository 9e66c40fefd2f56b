import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from focdepth_ros.estimate import depth_from_slice_index

DIOPTRES = np.array([2.0, 1.0, 0.5, 0.0])


def test_gives_the_focus_distance_at_whole_positions() -> None:
    index = np.array([[0.0, 1.0, 2.0, 3.0]], np.float32)
    depth = depth_from_slice_index(index, DIOPTRES)
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, [[0.5, 1.0, 2.0, np.inf]])


def test_interpolates_in_dioptres() -> None:
    # Half-way between 2 and 1 dioptres are 1.5, that is 2/3 m and not the 0.75 m of the metres.
    index = np.array([[0.5, 2.5]], np.float32)
    np.testing.assert_allclose(depth_from_slice_index(index, DIOPTRES), [[2 / 3, 4.0]], rtol=1e-6)


def test_keeps_unknown_unknown() -> None:
    index = np.array([[np.nan, 1.0]], np.float32)
    np.testing.assert_array_equal(depth_from_slice_index(index, DIOPTRES), [[np.nan, 1.0]])


@given(st.lists(st.floats(0.0, 3.0, width=32), min_size=2, max_size=20))
def test_grows_with_the_position(positions: list[float]) -> None:
    index = np.sort(np.array([positions], np.float32))
    depth = depth_from_slice_index(index, DIOPTRES)[0]
    assert np.all(depth[1:] >= depth[:-1])
