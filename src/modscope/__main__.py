"""`python -m modscope` is the same as `modscope`."""

from modscope.cli import main

if __name__ == "__main__":
    main()
