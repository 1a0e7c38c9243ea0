"""What training minimises: the labels, the boxes, and the teacher, on one batch of augmented pictures."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.learning.distil import FeatureMatch, Teacher
from training.learning.networks import Backbone, BoxHeads, Stages
from training.learning.recipe import Recipe


class Trainee(nn.Module):
    """A backbone with the heads that only training needs."""

    def __init__(self, backbone: Backbone, teacher: Teacher | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.boxes = BoxHeads(backbone)
        self.match = FeatureMatch(backbone, teacher) if teacher else None


def training_loss(
    trainee: Trainee, recipe: Recipe, stages: Stages, masks: Tensor, targets: Tensor, taught: Stages | None
) -> Tensor:
    """Weighted cross-entropy, where-is-it at two strides, and following the teacher on the very same crops.

    stages: what the trainee computed; masks (n, 1, h, w) in 0..1; targets (n,) in 0..1; taught: what the teacher did.
    """
    loss = recipe.label_weight * functional.binary_cross_entropy_with_logits(
        stages.logits, targets, pos_weight=targets.new_tensor(recipe.positive_weight)
    )
    if recipe.box_weight:
        loss = loss + recipe.box_weight * trainee.boxes.loss(stages, masks)
    if taught is None or recipe.distillation is None:
        return loss
    follow = recipe.distillation
    if follow.logit:
        sure = taught.logits.clamp(-follow.logit_limit, follow.logit_limit)
        loss = loss + follow.logit * functional.mse_loss(stages.logits, sure)
    if follow.maps:
        loss = loss + follow.maps * functional.mse_loss(stages.maps, taught.maps)
    if follow.features and trainee.match is not None:
        loss = loss + follow.features * trainee.match(stages, taught)
    return loss


def still_visible(before: Tensor, after: Tensor) -> Tensor:
    """(n,) 0 where a crop left out every fracture box of a picture that has boxes, else 1."""
    had_boxes, has_boxes = before.flatten(1).amax(1) > 0, after.flatten(1).amax(1) > 0.1
    return (~had_boxes | has_boxes).float()


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay on matrices and filters only; biases and normalisation go free."""
    trained = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Exponential moving average of weights; counters are copied. A decay of 0 copies everything."""
    with torch.no_grad():
        for held, new in zip(average.state_dict().values(), current.state_dict().values(), strict=True):
            if held.dtype.is_floating_point:
                held.lerp_(new, 1 - decay)
            else:
                held.copy_(new)
