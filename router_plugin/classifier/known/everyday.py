"""The profile of the ``general`` domain: queries about everyday things and many fields, which come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files

from registry import Profile
from router_plugin.classifier.known.kept import kept_profile
from router_plugin.contracts import BaseEmbedder

_FOLDER = files("router_plugin.classifier.known").joinpath("everyday_queries")
_FILES = ("queries.txt", "other_fields.txt")
"""Queries about everyday things, and a dozen each about fields such as software, privacy, schools or sports, which a
classifier that knows few domains would otherwise take for one of them."""


def everyday_queries() -> list[str]:
    """The queries themselves."""
    return [query for name in _FILES for query in _FOLDER.joinpath(name).read_text(encoding="utf-8").splitlines()]


def everyday_profile(base: BaseEmbedder) -> Profile:
    """Their profile: the one of the package if it was built with the same base model, else one of this machine's."""
    with as_file(_FOLDER) as folder:
        ready = Profile.load(folder)
    if ready.base == base.digest:
        return ready
    return kept_profile(everyday_queries(), base)


def rebuild() -> None:
    """Build the package's profile and subjects again, with the default base model, after an edit of the texts."""
    from registry import resolve_base_model
    from registry.model_folders.base_models import weights_sha256
    from router_plugin.classifier.known import subjects
    from router_plugin.encoders.torch_encoder import TorchEncoder

    model = resolve_base_model()
    base = BaseEmbedder(weights_sha256(model.path), TorchEncoder(model.path, "cpu").encode)
    subjects.rebuild(base)
    profile = Profile.from_queries(everyday_queries(), base.encode, base.digest)
    with as_file(_FOLDER) as folder:
        profile.save(folder)


if __name__ == "__main__":
    rebuild()
