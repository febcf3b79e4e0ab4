"""The readers that Trine is proved against, each behind one small class.

Every engine answers rows(collection, columns): the rows in the common form of
values.py, sorted. The Arrow readers ask `GET scan`; the SQL engines ask the
Iceberg REST catalogue and then read the table's files themselves.
"""

import glob
import importlib.util
import io
import os
import sys
import urllib.request

import duckdb
import polars
import pyarrow
import pyarrow.parquet
from pyiceberg.catalog import load_catalog

from values import canonical_rows

HERE = os.path.dirname(os.path.abspath(__file__))


class PyArrow:
    """pyarrow on the scan stream."""

    name = "pyarrow"

    def __init__(self, client):
        self._client = client

    def rows(self, collection, columns):
        return _arrow_rows(collection, columns, self.table(collection, columns))

    def table(self, collection, columns, **params):
        url = self._client.scan_url(collection, columns, **params)
        with pyarrow.ipc.open_stream(urllib.request.urlopen(url)) as stream:
            return stream.read_all()


class ParquetScan:
    """pyarrow on the scan as a Parquet file."""

    name = "parquet"

    def __init__(self, client):
        self._client = client

    def rows(self, collection, columns):
        return _arrow_rows(collection, columns, self.table(collection, columns))

    def table(self, collection, columns, **params):
        url = self._client.scan_url(collection, columns, **params)
        request = urllib.request.Request(url, headers={"Accept": "application/vnd.apache.parquet"})
        with urllib.request.urlopen(request) as body:
            return pyarrow.parquet.read_table(io.BytesIO(body.read()))


class Polars:
    """polars on the scan stream."""

    name = "polars"

    def __init__(self, client):
        self._client = client

    def rows(self, collection, columns):
        return canonical_rows(collection.types(columns), self.frame(collection, columns).select(columns).rows())

    def frame(self, collection, columns):
        with urllib.request.urlopen(self._client.scan_url(collection, columns)) as body:
            return polars.read_ipc_stream(body)


class PyIceberg:
    """PyIceberg on the REST catalogue."""

    name = "pyiceberg"

    def __init__(self, base):
        self.catalog = load_catalog("trine", type="rest", uri=base + "/iceberg")

    def rows(self, collection, columns):
        return _arrow_rows(collection, columns, self.table(collection, columns))

    def table(self, collection, columns):
        table = self.catalog.load_table((collection.tenant, collection.name))
        return table.scan(selected_fields=tuple(columns)).to_arrow()


class DuckDB:
    """DuckDB on the REST catalogue."""

    name = "duckdb"

    def __init__(self, base, writes=False):
        # The extensions come with the environment: nothing is downloaded.
        self._db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        for name in ("avro", "httpfs", "iceberg"):
            self._db.execute(f"LOAD '{_duckdb_extension(name)}'")
        self._db.execute("SET TimeZone = 'UTC'")
        self._db.execute("SET threads = 2")
        self._db.execute("SET memory_limit = '2GB'")
        if base:
            self._db.execute(
                f"ATTACH '' AS trine (TYPE iceberg, ENDPOINT '{base}/iceberg', AUTHORIZATION_TYPE 'none'{'' if writes else ', READ_ONLY'})"
            )

    def rows(self, collection, columns):
        return _arrow_rows(collection, columns, self.table(collection, columns))

    def table(self, collection, columns, where="true"):
        wanted = ", ".join(map(_quoted, columns))
        return self._db.execute(f"SELECT {wanted} FROM {collection.sql()} WHERE {where}").to_arrow_table()

    def sql(self, query):
        return self._db.execute(query).fetchall()

    def close(self):
        self._db.close()


class Spark:
    """Spark on the REST catalogue. One session serves the whole suite."""

    name = "spark"

    def __init__(self, base):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # or it asks what the host's name resolves to
        from pyspark.sql import SparkSession  # slow to import

        jars = glob.glob(os.path.join(HERE, ".jars", "*.jar"))
        if not jars:
            raise FileNotFoundError("no jars in interop/.jars: run interop/setup.sh")
        catalog = "spark.sql.catalog.trine"
        builder = (
            SparkSession.builder.master("local[2]")
            .config("spark.driver.memory", "2g")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .config("spark.log.level", "ERROR")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.shuffle.partitions", "4")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.jars", ",".join(jars))
            # CALL, and tags in DDL.
            .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
            .config(catalog, "org.apache.iceberg.spark.SparkCatalog")
            .config(catalog + ".type", "rest")
            .config(catalog + ".uri", (base or "http://127.0.0.1:1") + "/iceberg")
            # Without it Spark reads a table as it was up to 30 s ago.
            .config(catalog + ".cache-enabled", "false")
        )
        self._session = builder.getOrCreate()

    def rows(self, collection, columns):
        wanted = ", ".join(_backquoted(c) for c in columns)
        return canonical_rows(collection.types(columns), self.sql(f"SELECT {wanted} FROM {collection.sql('`')}"))

    def export(self, collection, columns, folder):
        """Writes the rows to Parquet files in folder: a driver cannot collect millions."""
        wanted = ", ".join(_backquoted(c) for c in columns)
        self._session.sql(f"SELECT {wanted} FROM {collection.sql('`')}").write.parquet(str(folder))

    def sql(self, query):
        return [tuple(row) for row in self._session.sql(query).collect()]

    def close(self):
        self._session.stop()


def _arrow_rows(collection, columns, table):
    if table.num_rows == 0:
        return []
    lists = (table.column(c).to_pylist() for c in columns)
    return canonical_rows(collection.types(columns), zip(*lists, strict=True))


def _duckdb_extension(name):
    package = "duckdb_extension_" + name
    folder = importlib.util.find_spec(package).submodule_search_locations[0]
    pattern = os.path.join(folder, "extensions", "v" + duckdb.__version__, name + ".duckdb_extension")
    found = glob.glob(pattern)
    if not found:
        raise FileNotFoundError(f"{package} has no {pattern}")
    return found[0]


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


def _backquoted(name):
    return "`" + name.replace("`", "``") + "`"


def _check():
    """Starts each engine that is more than a library; setup.sh runs it."""
    DuckDB(base=None).close()
    spark = Spark(base=None)
    (version,), = spark.sql("SELECT version()")
    spark.close()
    print(f"pyarrow {pyarrow.__version__}, polars {polars.__version__}, duckdb {duckdb.__version__}, spark {version}")


if __name__ == "__main__":
    sys.exit(_check())
