"""What a user would write instead: torchvision transforms, a DataLoader over files, ResNet-18 in eager fp32.

Run in a process of its own: `python -m screening.bench.script SIDE LIST` prints {"images": n, "seconds": s}. LIST is a
file with one path a line; files that Pillow cannot read are left out before the clock starts.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BATCH = 32


def why_not_here() -> str | None:
    """None where the script can run, else what it lacks."""
    lacking = [name for name in ("torch", "torchvision") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(lacking)} not installed here (extra `training`)" if lacking else None


def images_per_second(paths: Sequence[Path], side: int) -> float:
    """Screen these files with the script, in a fresh process. The start of Python and torch is not counted.

    Raises RuntimeError with what the script printed when it fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(map(str, paths)))
        listing.flush()
        command = [sys.executable, "-m", "screening.bench.script", str(side), listing.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the script failed: {done.stderr[-2000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    return float(told["images"] / told["seconds"])


def run(side: int, paths: list[str]) -> dict[str, Any]:
    """The script itself."""
    import torch
    from PIL import Image, UnidentifiedImageError
    from torch.utils.data import DataLoader
    from torchvision.models import resnet18
    from torchvision.transforms import v2

    class Files:
        def __init__(self, names: list[str]) -> None:
            self.names = names
            self.transform = v2.Compose(
                [
                    v2.Resize((side, side), antialias=True),
                    v2.ToImage(),
                    v2.ToDtype(torch.float32, scale=True),
                    v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
                ]
            )

        def __len__(self) -> int:
            return len(self.names)

        def __getitem__(self, index: int) -> torch.Tensor:
            with Image.open(self.names[index]) as picture:
                transformed: torch.Tensor = self.transform(picture.convert("RGB"))
                return transformed

    readable = []
    for name in paths:
        try:
            with Image.open(name) as picture:
                picture.load()
            readable.append(name)
        except (UnidentifiedImageError, OSError):
            continue
    network = resnet18(num_classes=1).eval()
    cores = torch.get_num_threads()
    started = time.perf_counter()
    seen = 0
    with torch.inference_mode():
        for batch in DataLoader(Files(readable), batch_size=BATCH, num_workers=max(1, cores - 1)):
            seen += len(torch.sigmoid(network(batch)))
    return {"images": seen, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    listed = Path(sys.argv[2]).read_text("utf-8").splitlines()
    sys.stdout.write(json.dumps(run(int(sys.argv[1]), listed)) + "\n")
