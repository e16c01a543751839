"""Entry point, filled in below."""


def main() -> None: ...
