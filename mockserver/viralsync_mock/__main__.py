"""`python -m viralsync_mock` is the command `viralsync-mock`."""

from viralsync_mock.cli import main

if __name__ == "__main__":
    main()
