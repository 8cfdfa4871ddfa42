"""A Python client of the server, blocking and asynchronous, which needs no models."""

from router_plugin.client.calls import Embeddings as Embeddings
from router_plugin.client.clients import AsyncDomainRouterClient as AsyncDomainRouterClient
from router_plugin.client.clients import DomainRouterClient as DomainRouterClient
from router_plugin.client.errors import ClientError as ClientError
from router_plugin.client.errors import RefusedError as RefusedError
from router_plugin.client.errors import UnavailableError as UnavailableError
from router_plugin.client.errors import UnexpectedAnswerError as UnexpectedAnswerError
