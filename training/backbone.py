"""Keep the backbone of a run to begin others with: `python -m training.backbone --run RUN --out FILE.safetensors`.

The last layer, which knows the labels of the run, is left out, and filters are stored in eight bits: a third of the
size of what training keeps. `training/weights/pretrained.safetensors` is what this made of recipes/pretrain.json.
"""

import argparse
import sys
from pathlib import Path

from safetensors.torch import save_file

from training.learning.initial import trained_resnet
from training.learning.recipe import Recipe
from training.release.eight_bit import settle

HEAD = ("fc.", "pool.")
"""Names of what makes a probability of the features, and is left out."""


def save_backbone(run: Path, file: Path) -> None:
    """Write the run's last averaged weights. Raises ValueError for a run of another network than a ResNet-18."""
    network = trained_resnet(Recipe.read(run / "recipe.json"), run / "last.pt")
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor for name, tensor in settle(network).items() if not name.startswith(HEAD)}, file)
    file.chmod(0o644)  # safetensors writes for the owner only


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.backbone", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="out folder of training.train")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    given = parser.parse_args()
    try:
        save_backbone(given.run, given.out)
    except (ValueError, OSError) as error:
        sys.exit(f"The backbone cannot be kept: {error}")
    sys.stdout.write(f"{given.out}: {given.out.stat().st_size / 1e6:.1f} MB; begin with it by --init {given.out}\n")


if __name__ == "__main__":
    main()
