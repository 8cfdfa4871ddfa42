"""Training: from question-answer pairs or labelled texts to an adapted, measured and registered embedding model."""

from .adaptation import adapt as adapt
from .errors import PreparedDataError as PreparedDataError
from .errors import SourceError as SourceError
from .errors import TrainingError as TrainingError
from .job import TrainingJob as TrainingJob
from .prepared.format import PreparedData as PreparedData
from .prepared.format import read_prepared as read_prepared
from .prepared.judged import prepare_judged as prepare_judged
from .prepared.labelled import prepare_labels as prepare_labels
from .prepared.preparation import PrepareOptions as PrepareOptions
from .prepared.preparation import prepare as prepare
from .prepared.split_options import SplitOptions as SplitOptions
from .publishing import publish as publish
from .recipes.recipes import Contrastive as Contrastive
from .recipes.recipes import ReferenceTriplet as ReferenceTriplet
from .sources.beir import read_beir as read_beir
from .sources.labels import read_labels as read_labels
from .sources.logs import read_logs as read_logs
from .sources.pairs import read_pairs as read_pairs
from .sources.triplets import read_triplets as read_triplets
