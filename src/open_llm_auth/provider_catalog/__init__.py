"""The providers known out of the box: ids, aliases, addresses, environment names and models, as data (SPEC §4)."""

from .catalog import Catalog, load_catalog, read_catalog
from .sign_ins import load_sign_ins

__all__ = ["Catalog", "load_catalog", "load_sign_ins", "read_catalog"]
