"""A JPEG as its file holds it: what that is, and what any decoder makes of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from restorekit.errors import RestorekitError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorekit.engine.quantised import Quantised
    from restorekit.images import Coding

OTHER = 8  # of 255: luma that differs by more from the photo's is another picture's
MIDDLE = 2048  # pixels a side that are looked at for the walls of other blocks


def described(coding: Coding) -> str:
    """What a file is, in words."""
    return f"a JPEG of quality about {quality_of(coding.components[0].q)}, {coding.subsampling}"


def quality_of(table: np.ndarray) -> int:
    """The quality of libjpeg's scale whose luma table is nearest."""
    import numpy as np

    from .grid import standard_table

    sums = [abs(int(standard_table(q).sum()) - int(table.sum())) for q in range(1, 101)]
    return int(np.argmin(sums)) + 1


def saved_with_others(coding: Coding) -> bool:
    """Whether the middle of the photo shows the walls of other blocks than its file's."""
    from restorekit.window import Window

    from .grid import saved_before

    height, width = coding.size
    middle = Window(height // 2, width // 2, 1, 1, coding.size).grown(MIDDLE, coding.mcu)
    y = measured(coding.part(middle))[1]
    return saved_before(luma_of(y[..., : middle.height, : middle.width]))


def without_empty_chroma(coding: Coding) -> Coding:
    """As a file without colours, where those of a black-and-white photo are all zero."""
    luma, *chroma = coding.components
    if any(part.k.any() for part in chroma):
        return coding
    return dataclasses.replace(coding, components=(luma,))


def check_seen(y: Tensor, seen: Tensor) -> None:
    """Raises RestorekitError where coefficients and tables do not make the photo that is seen.

    Files may change their tables between scans, of which the last alone are known here.
    """
    import numpy as np

    ours, theirs = luma_of(y.clamp(-1, 1)), luma_of(seen)
    if np.square(ours - theirs).mean() ** 0.5 > OTHER:
        raise RestorekitError(
            "its coefficients make another picture than is seen; save it as a plain JPEG"
        )


def measured(coding: Coding) -> tuple[Quantised, Tensor]:
    """The cells of a JPEG, in whole MCUs, and what any decoder makes of them."""
    import numpy as np
    import torch

    from restorekit.engine.quantised import BLOCK, Plane, Quantised

    height, width = coding.mcu
    mcus = -(-coding.size[0] // height), -(-coding.size[1] // width)
    planes = []
    for part in coding.components:  # whole MCUs, of which the file leaves out luma's last blocks
        wanted = tuple(
            count * side // (BLOCK * shrink)
            for count, side, shrink in zip(mcus, coding.mcu, part.shrink, strict=True)
        )
        more = [(0, max(0, w - n)) for w, n in zip(wanted, part.k.shape, strict=False)]
        k = np.pad(part.k, [*more, (0, 0), (0, 0)], mode="edge")[: wanted[0], : wanted[1]]
        planes.append(Plane(torch.from_numpy(k), torch.from_numpy(part.q.astype(int)), part.shrink))
    operator = Quantised(planes)
    return operator, operator.decoded()


def upright(x: Tensor, orientation: int) -> Tensor:
    """(B, C, H, W) as EXIF's orientation says it is to be seen."""
    if orientation >= 5:
        x = x.transpose(2, 3)
    if orientation in (3, 4, 7, 8):
        x = x.flip(2)
    return x.flip(3) if orientation in (2, 3, 6, 7) else x


def luma_of(pixels: Tensor) -> np.ndarray:
    """(H, W) on 0..255, BT.601, of (1, C, H, W) on [-1, 1]."""
    import torch

    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return (127.5 * (pixels[0].expand(3, -1, -1) + 1) * weights).sum(0).numpy()
