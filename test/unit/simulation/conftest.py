import numpy as np
import pytest

from focdepth_ros.simulation import Part, Scene
from focdepth_ros.simulation.primitives import Box, Cylinder, Rectangle, Sphere, rotation
from focdepth_ros.simulation.textures import Texture, fractal_noise
from focdepth_ros.stack import CameraIntrinsics, Lens


@pytest.fixture(scope="session")
def camera() -> CameraIntrinsics:
    return CameraIntrinsics(width=160, height=120, fx=200.0, fy=200.0, cx=79.5, cy=59.5)


@pytest.fixture(scope="session")
def lens() -> Lens:
    """Blurs by 5 px of diameter per dioptre, as an aperture of 25 mm does at fx = 200 px."""
    return Lens(focal_length=0.02, f_number=0.8, pixel_pitch=1e-4)


@pytest.fixture(scope="session")
def room(camera: CameraIntrinsics) -> Scene:
    """A slanted wall, a box, a ball and two rods, all textured but the ball."""
    rng = np.random.default_rng(3)

    def texture(depth: float) -> Texture:
        noise = np.stack([fractal_noise(rng, 256, roughness=0.7) for _ in range(3)], axis=-1)
        return Texture(noise, depth / camera.fx)

    wall = Rectangle((0.0, 0.0, 3.0), (np.inf, np.inf), orientation=rotation(yaw=0.3))
    box = Box((0.25, 0.1, 1.3), (0.3, 0.3, 0.2), orientation=rotation(0.5, 0.3))
    near_rod = Cylinder((0.05, 0.0, 0.6), 0.006, 1.0, orientation=rotation(roll=0.4))
    far_rod = Cylinder((0.0, 0.3, 2.0), 0.02, 3.0, orientation=rotation(roll=1.4))
    return Scene(
        (
            Part(wall, texture(3.0)),
            Part(box, texture(1.3)),
            Part(Sphere((-0.2, -0.1, 0.9), 0.12), np.array([0.6, 0.3, 0.2], np.float32)),
            Part(near_rod, texture(0.6)),
            Part(far_rod, texture(2.0)),
        ),
        camera,
    )


@pytest.fixture(scope="session")
def card(camera: CameraIntrinsics) -> Scene:
    """A red card of 48 x 40 px at 0.8 m before a green wall at 2 m."""
    card_size = (48.0 * 0.8 / 200.0, 40.0 * 0.8 / 200.0)
    wall = Rectangle((0.0, 0.0, 2.0), (np.inf, np.inf))
    return Scene(
        (
            Part(wall, np.array([0.0, 0.8, 0.0], np.float32)),
            Part(Rectangle((0.0, 0.0, 0.8), card_size), np.array([0.8, 0.0, 0.0], np.float32)),
        ),
        camera,
        light=(0.0, 0.0, -1.0),
    )
