"""Says what to do with joint spaces that were exported when their module was here: their folders name this file."""

from router_plugin.errors import JointSpaceError

raise JointSpaceError(
    "this joint space was exported by an earlier build of domain-router, whose module has moved: export it again with "
    "'domain-router joint-space', and embed again what is in the index"
)
