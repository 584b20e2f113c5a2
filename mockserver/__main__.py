"""`python -m mockserver` is the command `viralsync-mock`."""

from mockserver.cli import main

if __name__ == "__main__":
    main()
