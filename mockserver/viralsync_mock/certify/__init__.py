"""A client in any language on trial: run it through the scenarios of a suite, and judge its traffic."""
