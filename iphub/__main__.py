"""``python -m iphub``: the command line without an installed script."""

if __name__ == "__main__":  # processes that read load this module, too, and run no command
    from iphub.cli import main

    main()
