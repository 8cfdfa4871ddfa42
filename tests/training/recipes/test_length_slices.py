"""Slices: the embeddings and gradients of the whole batch, without its padding."""

from contextlib import contextmanager

import pytest
import torch

from training.recipes.length_slices import SLICE, in_slices
from training.retrieval.encoding import load_model

TEXTS = [" ".join(["apple", "bridge", "castle"] * (1 + number % 9)) for number in range(2 * SLICE + 5)]


@pytest.fixture(params=["left", "right"])
def model(request, tiny_base):
    model = load_model(tiny_base.path, "cpu")
    model.tokenizer.padding_side = request.param
    return model


def finetuned(model):
    """The embeddings of the texts, and all gradients of a loss over them."""
    model.zero_grad()
    embeddings = model(model.preprocess(TEXTS))["sentence_embedding"]
    (embeddings @ torch.linspace(-1, 1, embeddings.shape[1])).sum().backward()
    return embeddings.detach(), [weight.grad for weight in model.parameters() if weight.grad is not None]


@contextmanager
def tensors_kept():
    """The bytes of every tensor that is kept for gradients within the block; not those that are computed again."""
    kept = []

    def keep(tensor):
        kept.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def without_positions(model):
    """Padding on the left moves a text to other places, which are to make no difference."""
    if model.tokenizer.padding_side == "left":
        model[0].auto_model.embeddings.position_embeddings.weight.data.zero_()


def test_slices_give_the_embeddings_and_gradients_of_the_whole_batch(model):
    without_positions(model)
    embeddings, gradients = finetuned(model)
    with in_slices(model):
        sliced, sliced_gradients = finetuned(model)
    torch.testing.assert_close(sliced, embeddings, rtol=1e-4, atol=1e-5)
    for gradient, other in zip(gradients, sliced_gradients, strict=True):
        if gradient.shape[0] != model[0].auto_model.config.max_position_embeddings:  # whose places differ on the left
            torch.testing.assert_close(other, gradient, rtol=1e-3, atol=1e-4)


def test_a_slice_is_no_longer_than_its_longest_text(model, monkeypatch):
    lengths, whole = [], type(model).forward

    def forward(self, features, **options):
        lengths.append(features["input_ids"].shape[1])
        return whole(self, features, **options)

    monkeypatch.setattr(type(model), "forward", forward)
    with in_slices(model):
        model(model.preprocess(TEXTS))
    measured, *lengths = lengths
    assert measured == max(lengths)
    assert len(lengths) == 3 and lengths == sorted(lengths) and lengths[0] < lengths[-1]


@pytest.mark.parametrize("tokens", [100, 5])
def test_activations_that_are_not_kept_are_computed_again_and_give_the_same_gradients(model, monkeypatch, tokens):
    """A slice at a time, or, where a text has more tokens than may be kept, a layer at a time."""
    without_positions(model)
    for module in model.train().modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with tensors_kept() as kept:
        embeddings, gradients = finetuned(model)
    each = sum(kept) / model.preprocess(TEXTS)["attention_mask"].numel()
    monkeypatch.setattr("training.recipes.length_slices.KEPT_BYTES", int(tokens * each))
    with in_slices(model), tensors_kept() as again:
        sliced, again_gradients = finetuned(model)
    torch.testing.assert_close(sliced, embeddings, rtol=1e-4, atol=1e-5)
    assert sum(again) < sum(kept) / 10
    for gradient, other in zip(gradients, again_gradients, strict=True):
        if gradient.shape[0] != model[0].auto_model.config.max_position_embeddings:  # whose places differ on the left
            torch.testing.assert_close(other, gradient, rtol=1e-3, atol=1e-4)
    assert not any(getattr(part, "gradient_checkpointing", False) for part in model.modules())


def test_the_model_is_unchanged_afterwards(model):
    with in_slices(model):
        assert "forward" in vars(model)
    assert "forward" not in vars(model)
