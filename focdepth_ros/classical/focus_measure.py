"""How sharp an image is around each pixel."""

from __future__ import annotations

import cv2
import numpy as np

from focdepth_ros.stack import FloatImage, ImageArray


def grey_image(image: ImageArray) -> ImageArray:
    """Luma of an RGB image (ITU-R BT.601); a mono image as it is.

    Parameters
    ----------
    image : (H, W, 3) or (H, W) uint8

    Returns
    -------
    (H, W) uint8
    """
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def laplacian_of_gaussian_energy(
    image: ImageArray, *, sigma: float, window_sigma: float, reduction: int = 1
) -> FloatImage:
    """Local energy of the Laplacian of Gaussian: the focus measure.

    The squared response is averaged with a Gaussian window, so that a pixel's measure speaks
    for its neighbourhood and the noise of single pixels evens out.

    Parameters
    ----------
    image : (H, W, 3) RGB or (H, W) uint8
    sigma : float
        Of the Gaussian before the Laplacian, in pixels.
    window_sigma : float
        Of the averaging window, in pixels of the image.
    reduction : int
        The measure is smooth, so it can be kept on a grid that is coarser by this factor.

    Returns
    -------
    (ceil(H / reduction), ceil(W / reduction)) float32
        In squared grey levels.

    References
    ----------
    Pertuz, Puig, Garcia, "Analysis of focus measure operators for shape-from-focus", Pattern
    Recognition 46(5), 2013, measure LAP1 on a smoothed image.
    """
    grey = grey_image(image).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    response = cv2.Laplacian(smooth, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REFLECT_101)
    energy = np.multiply(response, response, out=response)
    if reduction > 1:
        height, width = grey.shape
        size = (-(-width // reduction), -(-height // reduction))
        energy = cv2.resize(energy, size, interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.GaussianBlur(
            energy, (0, 0), window_sigma / reduction, borderType=cv2.BORDER_REFLECT_101
        ),
        dtype=np.float32,
    )
