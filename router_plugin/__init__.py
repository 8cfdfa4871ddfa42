"""Two-stage domain routing: a classifier picks the domain, that domain's encoder picks the route."""

from typing import TYPE_CHECKING

from registry.shared.lazy import lazy_names

if TYPE_CHECKING:
    from router_plugin.classifier.unmodelled_domains import OwnDomain, load_domains
    from router_plugin.contracts import Classification, DomainEvidence, Evidence
    from router_plugin.decision import Decision
    from router_plugin.errors import FittedError, JointSpaceError, PluginError, QueryError, RoutesError, SettingsError
    from router_plugin.evaluation.routes import RouteEvaluation
    from router_plugin.explanation import Explanation
    from router_plugin.hookspecs import hookimpl
    from router_plugin.joint_space.space import JointSpace
    from router_plugin.plugins.registry_events import open_registry
    from router_plugin.router import DomainRouter
    from router_plugin.routes import Route, load_routes
    from router_plugin.serving.domains import ServedDomains
    from router_plugin.serving.fitting import Fitted
    from router_plugin.settings import Settings

__all__ = [
    "Classification",
    "Decision",
    "DomainEvidence",
    "DomainRouter",
    "Evidence",
    "Explanation",
    "Fitted",
    "FittedError",
    "JointSpace",
    "JointSpaceError",
    "OwnDomain",
    "PluginError",
    "QueryError",
    "Route",
    "RouteEvaluation",
    "RoutesError",
    "ServedDomains",
    "Settings",
    "SettingsError",
    "hookimpl",
    "load_domains",
    "load_routes",
    "open_registry",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Classification": "contracts",
        "Decision": "decision",
        "DomainEvidence": "contracts",
        "DomainRouter": "router",
        "Evidence": "contracts",
        "Explanation": "explanation",
        "Fitted": "serving.fitting",
        "FittedError": "errors",
        "JointSpace": "joint_space.space",
        "JointSpaceError": "errors",
        "OwnDomain": "classifier.unmodelled_domains",
        "PluginError": "errors",
        "QueryError": "errors",
        "Route": "routes",
        "RouteEvaluation": "evaluation.routes",
        "RoutesError": "errors",
        "ServedDomains": "serving.domains",
        "Settings": "settings",
        "SettingsError": "errors",
        "hookimpl": "hookspecs",
        "load_domains": "classifier.unmodelled_domains",
        "load_routes": "routes",
        "open_registry": "plugins.registry_events",
    },
)
