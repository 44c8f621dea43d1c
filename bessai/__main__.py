"""`python -m bessai` is `bessai`."""

from bessai.cli import main

if __name__ == "__main__":
    main()
