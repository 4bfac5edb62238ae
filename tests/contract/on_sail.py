"""Asks Sail, a Spark engine without a JVM, in a process of its own: its threads end with it.

Reads ``{name: query}`` from the standard input and writes ``{name: {record: times}}``, how often
each query found a record broken. Queries have the columns ``recordId`` and ``broken``.
"""

import json
import sys
import warnings
from collections import Counter
from datetime import date

from pysail.spark import SparkConnectServer

with warnings.catch_warnings(action="ignore", category=FutureWarning):  # about pandas 3
    from pyspark.sql import SparkSession


def main() -> None:
    queries, as_of = json.load(sys.stdin), date.fromisoformat(sys.argv[1])
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    host, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://{host}:{port}").getOrCreate()
    found = {}
    for name, query in queries.items():
        parameters = {"as_of": as_of} if ":as_of" in query else None
        rows = spark.sql(query, parameters).collect()
        found[name] = Counter(row.recordId for row in rows if row.broken)
    spark.stop()
    server.stop()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
