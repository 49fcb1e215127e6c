"""Everything that a recipe can name. Entries are data; what they name is imported only when it is used.

Adding a kind is one new file and one entry here.
"""

from slimcast.catalog.criteria import CRITERIA
from slimcast.catalog.data import DATA, DataInfo
from slimcast.catalog.factorizers import FACTORIZERS
from slimcast.catalog.models import MODELS
from slimcast.catalog.network_info import ModelInfo
from slimcast.catalog.quantizers import QUANTIZERS
from slimcast.catalog.steps import STEPS

__all__ = ["CRITERIA", "DATA", "FACTORIZERS", "MODELS", "QUANTIZERS", "STEPS", "DataInfo", "ModelInfo"]
