"""What a model and its optimizer learn in training, as named tensors, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

_WEIGHTS = "weights."
_MOMENTS = "moments."


def weight_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are trained, and the buffers."""
    buffers = {id(buffer) for buffer in model.buffers()}  # some share memory, which safetensors refuses
    return {
        f"{_WEIGHTS}{name}": tensor.clone().cpu() if id(tensor) in buffers else tensor.cpu().contiguous()
        for name, tensor in _learnt(model).items()
    }


def moment_tensors(model: nn.Module, optimizer: Any) -> dict[str, Tensor]:
    """What the optimizer remembers of each weight."""
    return {
        f"{_MOMENTS}{kind}.{name}": value.cpu().contiguous()
        for name, weight in model.named_parameters()
        for kind, value in optimizer.state.get(weight, {}).items()
    }


def fits(model: nn.Module, tensors: dict[str, Tensor]) -> bool:
    """Whether tensors are those of this model as it is trained now: names, shapes and types."""
    own = {name: (weight.shape, weight.dtype) for name, weight in _learnt(model).items()}
    weights = {
        name.removeprefix(_WEIGHTS): (tensor.shape, tensor.dtype)
        for name, tensor in tensors.items()
        if name.startswith(_WEIGHTS)
    }
    moments = [(_split(name)[1], tensor) for name, tensor in tensors.items() if name.startswith(_MOMENTS)]
    return weights == own and all(
        name in own and (tensor.dim() == 0 or tensor.shape == own[name][0]) for name, tensor in moments
    )


def restore_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give a model the weights and buffers that :func:`weight_tensors` returned."""
    for name, weight in _learnt(model).items():
        weight.copy_(tensors[f"{_WEIGHTS}{name}"])


def restore_moments(model: nn.Module, optimizer: Any, tensors: dict[str, Tensor]) -> None:
    """Give an optimizer what :func:`moment_tensors` returned; its own options stay."""
    names = {weight: name for name, weight in model.named_parameters()}
    weights = [names[weight] for group in optimizer.param_groups for weight in group["params"]]
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(_MOMENTS):
            kind, name = _split(key)
            found.setdefault(name, {})[kind] = tensor
    state = {number: found[name] for number, name in enumerate(weights) if name in found}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _learnt(model: nn.Module) -> dict[str, Tensor]:
    """The trained weights, detached, and the buffers, by name: changing them changes the model."""
    trained = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    return {**trained, **dict(model.named_buffers())}


def _split(key: str) -> tuple[str, str]:
    """The kind of a moment and the name of its weight."""
    kind, _, name = key.removeprefix(_MOMENTS).partition(".")
    return kind, name
