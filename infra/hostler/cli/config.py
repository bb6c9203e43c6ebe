"""hostler config: the file as it is understood."""

from __future__ import annotations

import click

from hostler.cli import options
from hostler.console.out import Out


@click.command()
@options.stack
@options.as_json
@click.option("--sample", is_flag=True, help="A commented sample with every key instead.")
@click.option("--schema", is_flag=True, help="The JSON Schema for your editor instead.")
def command(file: str | None, as_json: bool, sample: bool, schema: bool) -> None:
    """Show the stack file with every default filled in and marked."""
    out = Out(as_json=as_json)
    if sample or schema:
        from importlib.resources import files

        name = "sample.yaml" if sample else "schema.json"
        out.data(files("hostler.stackfile").joinpath("generated", name).read_text(encoding="utf-8").rstrip())
        return
    from hostler.stackfile import config

    loaded = options.load(file)
    if as_json:
        out.json(config.as_json(loaded))
    else:
        out.data(config.config_text(loaded).rstrip())
