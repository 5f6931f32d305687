"""`python -m deepclassics`, which is also what torchrun starts."""

from deepclassics.cli import main

main()
