"""Model registry: versions of domain encoders with their lineage, aliases, and artifacts checked on every load."""

from .classifier_profiles.profiles import Profile as Profile
from .errors import BaseModelError as BaseModelError
from .errors import DamagedArtifactError as DamagedArtifactError
from .errors import DomainRouterError as DomainRouterError
from .errors import InvalidNameError as InvalidNameError
from .errors import NotRegisteredError as NotRegisteredError
from .errors import OutputError as OutputError
from .errors import RegistryError as RegistryError
from .errors import WebhookError as WebhookError
from .model_folders.base_models import BaseModelFiles as BaseModelFiles
from .model_folders.base_models import resolve_base_model as resolve_base_model
from .names import CANDIDATE as CANDIDATE
from .names import CHAMPION as CHAMPION
from .names import GENERAL as GENERAL
from .records import ArtifactFile as ArtifactFile
from .records import BaseModelRecord as BaseModelRecord
from .records import DatasetRecord as DatasetRecord
from .records import ModelRecord as ModelRecord
from .records import ModelVersion as ModelVersion
from .registry import Observer as Observer
from .registry import Registry as Registry
from .watching.watcher import Watcher as Watcher
from .webhooks.signing import verify_webhook as verify_webhook
