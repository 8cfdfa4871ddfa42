"""Two-stage domain routing: a classifier picks the domain, that domain's encoder picks the route."""

from .classifier.unmodelled_domains import UnmodelledDomain as UnmodelledDomain
from .classifier.unmodelled_domains import load_domains as load_domains
from .contracts import Classification as Classification
from .contracts import DomainEvidence as DomainEvidence
from .contracts import Evidence as Evidence
from .decision import Decision as Decision
from .errors import FittedError as FittedError
from .errors import JointSpaceError as JointSpaceError
from .errors import PluginError as PluginError
from .errors import QueryError as QueryError
from .errors import RoutesError as RoutesError
from .errors import SettingsError as SettingsError
from .evaluation.labelled_queries import LabelledQueries as LabelledQueries
from .evaluation.labelled_queries import read_labelled_queries as read_labelled_queries
from .evaluation.routes import RouteEvaluation as RouteEvaluation
from .explanation import Explanation as Explanation
from .hookspecs import hookimpl as hookimpl
from .joint_space.space import JointSpace as JointSpace
from .plugins.registry_events import open_registry as open_registry
from .plugins.source_kinds import source_kinds as source_kinds
from .router import DomainRouter as DomainRouter
from .routes import Route as Route
from .routes import load_routes as load_routes
from .serving.domains import ServedDomains as ServedDomains
from .serving.fitting import Fitted as Fitted
from .settings import Settings as Settings
