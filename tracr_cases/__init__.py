"""The catalogue of RASP programs: `get(name)`, `names()`.

Every program is one decorated function in the module of its family.
"""

from tracr_cases.catalogue import Case, get, names, register

__all__ = ["Case", "get", "names", "register"]
