"""``python -m iphub``: the command line without an installed script."""

from iphub.cli import main

main()
