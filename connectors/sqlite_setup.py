"""How SQLite is set up for a whole process, before anybody opens a file with it.

SQLite keeps account of its memory under one lock. A page of 1,000 changes asks for some ten
thousand pieces of it, and the account, which nobody reads, is a fifth of the page's cost. SQLite's
authors advise to build without it (https://sqlite.org/compile.html, SQLITE_DEFAULT_MEMSTATUS);
Debian's library and those of most Pythons are built with it, and Python has no name for the switch.
"""

import ctypes
from importlib.util import find_spec

_CONFIG_MEMSTATUS = 9
_OK = 0


def keep_no_account_of_memory() -> bool:
    """Switch the account off; return whether it is off now.

    SQLite refuses, and nothing is altered, once it is in use; a Python that has SQLite inside of
    itself and does not show it is left as it is. Both are slower and work alike.
    """
    module = find_spec("_sqlite3")
    if module is None or module.origin is None:
        return False
    try:
        # The library that Python's own module is linked with: there may be several.
        configure = ctypes.CDLL(module.origin).sqlite3_config
    except (AttributeError, OSError):
        return False
    return bool(configure(_CONFIG_MEMSTATUS, 0) == _OK)
