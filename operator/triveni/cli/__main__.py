"""``python -m triveni.cli``, the same as the command `triveni`."""

from triveni.cli.main import main

main()
