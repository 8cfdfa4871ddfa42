"""Domain routing for the semantic-router 1.x library: routers, an encoder, and a switch for routers that exist."""

from router_plugin.hosts.semantic_router.attaching import attach, detach
from router_plugin.hosts.semantic_router.domain_encoder import DomainEncoder
from router_plugin.hosts.semantic_router.domain_indexed_router import DomainIndexedRouter
from router_plugin.hosts.semantic_router.domain_routed_router import DomainRoutedRouter
from router_plugin.hosts.semantic_router.host_routes import DOMAIN

__all__ = ["DOMAIN", "DomainEncoder", "DomainIndexedRouter", "DomainRoutedRouter", "attach", "detach"]
