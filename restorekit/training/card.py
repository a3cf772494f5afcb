"""A model card, made from what a run knows of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEMPLATE = """# {name}

A restorekit prior: {parameters}, noise schedule {schedule}, parametrisation {parametrisation}.

| trained on | {pictures} pictures (every scale counted) |
|---|---|
| steps | {steps} of {batch} crops of {crop} x {crop} pixels, {minutes} minutes |
| held-out PSNR at sigma 15 / 25 / 50, one evaluation | {psnr} dB |

Say here whose photos these are, under which licences, and what the prior is not good for.

## Settings

```json
{settings}
```
"""


def write(path: Path, described: dict[str, Any], pictures: int) -> None:
    """Writes the card of a finished run."""
    training, network = described["training"], described["network"]
    psnr = " / ".join(f"{described['scores'][f'psnr_{s}']:.2f}" for s in (15, 25, 50))
    text = TEMPLATE.format(
        name=described["name"],
        parameters=f"U-Net, widths {network['widths']}, blocks {network['blocks']}",
        schedule=described["schedule"],
        parametrisation=described["parametrisation"],
        pictures=pictures,
        steps=described["steps"],
        batch=training["batch"],
        crop=training["crop"],
        minutes=described["minutes"],
        psnr=psnr,
        settings=json.dumps(training, indent=2),
    )
    path.write_text(text, encoding="utf-8")
