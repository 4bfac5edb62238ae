"""``iphub query``: read-only SQL over the published register, for operators."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.register.querying import Answer, query_register
from iphub.context import FormatOption, HomeOption, open_hub
from iphub.output import Format, emit


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over patents, trademarks and designs.")],
    home: HomeOption = Path("hub"),
    limit: Annotated[int, typer.Option(min=1, help="Rows shown at most.")] = 1_000,
    format: FormatOption = Format.TEXT,
) -> None:
    """Ask the published register in SQL (DuckDB's dialect); nothing can be changed."""
    with open_hub(home) as hub:
        answer = query_register(hub.register, sql, limit=limit)
    document = {"columns": list(answer.columns), "items": answer.rows, "more": answer.more}
    emit(document, lambda out: _say(out, answer), format)


def _say(out: Console, answer: Answer) -> None:
    table = Table(*answer.columns)
    for row in answer.rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table, markup=False)
    if answer.more:
        out.print("There are more rows; narrow the question or raise --limit.")
